//! The first bytes of a connection that claims to come from a load balancer.
//!
//! They come in pieces of any length, so what is said of a beginning must stay true of the whole.

use pool_stratum::net::proxy::{HEADER_BYTES_MAX, Parsed, looks_like_header, parse};

/// A header is found at its last byte and not before; what is refused stays refused; nothing reads past its bound.
pub fn target(data: &[u8]) {
    let whole = parse(data);
    match whole {
        Ok(Parsed::Header { len, .. }) => {
            assert!(len <= data.len() && len <= HEADER_BYTES_MAX);
            assert_eq!(parse(&data[..len]), whole, "what follows a header does not matter");
            assert!(looks_like_header(&data[..len]));
            for shorter in 0..len {
                assert_eq!(parse(&data[..shorter]), Ok(Parsed::NeedMore), "{shorter} of {len} bytes");
            }
        }
        Ok(Parsed::NeedMore) => {
            assert!(data.len() < HEADER_BYTES_MAX, "{} bytes and still no decision", data.len());
            for shorter in 0..data.len() {
                assert_eq!(parse(&data[..shorter]), Ok(Parsed::NeedMore));
            }
        }
        Err(_) => {
            let mut longer = data.to_vec();
            for byte in [0, b' ', b'\r', b'\n', 0xff] {
                longer.push(byte);
                assert!(parse(&longer).is_err(), "refused bytes became a header");
            }
        }
    }
}
