//! The PROXY protocol, versions 1 and 2: how a load balancer says for whom it speaks.
//!
//! [`parse`] looks at the first bytes of a connection and never at more than [`HEADER_BYTES_MAX`]. It is a pure
//! function: bytes in, "more", "a header of this length" or "no header" out. Who may send one is not decided here;
//! the server asks only peers in its list of trusted sources, before TLS, and treats a header from anyone else as
//! garbage. Source of the format: HAProxy's `proxy-protocol.txt`, sections 2.1 and 2.2.
//!
//! It refuses datagram and Unix-socket families (a stratum miner has neither), and it does not read the
//! type-length-value fields behind the addresses of version 2 beyond skipping them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The most bytes a header may have. Version 1 stops at 107; version 2 could announce 65 551, and honest balancers
/// stay below 600.
pub const HEADER_BYTES_MAX: usize = 2_048;

const V1_BYTES_MAX: usize = 107;
const V1_START: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// For whom a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// For a client at this address.
    Client(SocketAddr),
    /// For itself (a health check), or it does not know: the connection's own peer counts.
    Itself,
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header.
    NeedMore,
    /// A whole header; what follows it belongs to the client.
    Header {
        /// Its length in bytes.
        len: usize,
        /// For whom the proxy speaks.
        source: Source,
    },
}

/// Bytes that are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadHeader {
    /// They do not begin like one: another protocol.
    #[error("no PROXY header")]
    Absent,
    /// They begin like one and are longer than any honest one.
    #[error("PROXY header is too long")]
    TooLong,
    /// They begin like one and break its grammar.
    #[error("PROXY header is malformed: {0}")]
    Malformed(&'static str),
}

/// True when the bytes are, or may become, a header: what an untrusted peer must not send.
///
/// At least one byte decides: no stratum line and no TLS record begins like either version.
#[must_use]
pub fn looks_like_header(bytes: &[u8]) -> bool {
    let begins = |signature: &[u8]| {
        let len = bytes.len().min(signature.len());
        len >= signature.len().min(6) && bytes[..len] == signature[..len]
    };
    begins(V1_START) || begins(V2_SIGNATURE)
}

/// Reads a header off the beginning of a connection.
///
/// Pure; call it again with more bytes after [`Parsed::NeedMore`].
///
/// # Errors
/// [`BadHeader`], as soon as no continuation could make a header of the bytes.
pub fn parse(bytes: &[u8]) -> Result<Parsed, BadHeader> {
    let agrees = |signature: &[u8]| bytes.iter().zip(signature).all(|(byte, expected)| byte == expected);
    if bytes.is_empty() {
        Ok(Parsed::NeedMore)
    } else if agrees(V1_START) {
        version_1(bytes)
    } else if agrees(V2_SIGNATURE) {
        version_2(bytes)
    } else {
        Err(BadHeader::Absent)
    }
}

fn version_1(bytes: &[u8]) -> Result<Parsed, BadHeader> {
    let window = &bytes[..bytes.len().min(V1_BYTES_MAX)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < V1_BYTES_MAX { Ok(Parsed::NeedMore) } else { Err(BadHeader::TooLong) };
    };
    let line = std::str::from_utf8(&window[V1_START.len().min(end)..end])
        .map_err(|_| BadHeader::Malformed("not ASCII"))?;
    let source = version_1_source(line)?;
    Ok(Parsed::Header { len: end + 2, source })
}

fn version_1_source(line: &str) -> Result<Source, BadHeader> {
    let (family, rest) = line.split_once(' ').unwrap_or((line, ""));
    let is_v4 = match family {
        // What follows UNKNOWN must be ignored, says the specification.
        "UNKNOWN" => return Ok(Source::Itself),
        "TCP4" => true,
        "TCP6" => false,
        _ => return Err(BadHeader::Malformed("unknown family")),
    };
    let mut fields = rest.split(' ');
    let mut field = || fields.next().ok_or(BadHeader::Malformed("a field is missing"));
    let (source, destination, source_port, destination_port) = (field()?, field()?, field()?, field()?);
    if fields.next().is_some() {
        return Err(BadHeader::Malformed("a field too many"));
    }
    let address = |text: &str| -> Result<IpAddr, BadHeader> {
        let parsed = if is_v4 {
            text.parse::<Ipv4Addr>().map(IpAddr::V4)
        } else {
            text.parse::<Ipv6Addr>().map(IpAddr::V6)
        };
        parsed.map_err(|_| BadHeader::Malformed("bad address"))
    };
    address(destination)?;
    port(destination_port)?;
    Ok(Source::Client(SocketAddr::new(address(source)?, port(source_port)?)))
}

/// A decimal port without sign or leading zeros.
fn port(text: &str) -> Result<u16, BadHeader> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain).ok_or(BadHeader::Malformed("bad port"))
}

fn version_2(bytes: &[u8]) -> Result<Parsed, BadHeader> {
    let Some((command, rest)) = bytes.get(12..).and_then(<[u8]>::split_first) else {
        return Ok(Parsed::NeedMore);
    };
    let local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(BadHeader::Malformed("unknown version or command")),
    };
    let &[family, high, low, ref rest @ ..] = rest else { return Ok(Parsed::NeedMore) };
    let announced = usize::from(u16::from_be_bytes([high, low]));
    let len = 16 + announced;
    if len > HEADER_BYTES_MAX {
        return Err(BadHeader::TooLong);
    }
    let wanted = match family {
        // LOCAL must be accepted whatever its family says; UNSPEC has no address.
        _ if local => 0,
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        _ => return Err(BadHeader::Malformed("not TCP over IP")),
    };
    if announced < wanted {
        return Err(BadHeader::Malformed("too short for its addresses"));
    }
    let Some(body) = rest.get(..announced) else { return Ok(Parsed::NeedMore) };
    let source = match (wanted, body) {
        (12, &[a, b, c, d, _, _, _, _, high, low, ..]) => {
            Source::Client(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low])))
        }
        (36, _) => {
            let (address, rest) = body.split_first_chunk::<16>().expect("36 bytes were checked");
            let port = u16::from_be_bytes([rest[16], rest[17]]);
            Source::Client(SocketAddr::new(Ipv6Addr::from(*address).into(), port))
        }
        _ => Source::Itself,
    };
    Ok(Parsed::Header { len, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = V2_SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn client(text: &str) -> Source {
        Source::Client(text.parse().unwrap())
    }

    #[test]
    fn version_1_names_the_client() {
        for (header, source) in [
            ("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", client("192.0.2.1:56324")),
            ("PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", client("[2001:db8::1]:65535")),
            ("PROXY UNKNOWN\r\n", Source::Itself),
            ("PROXY UNKNOWN whatever follows is ignored\r\n", Source::Itself),
        ] {
            let with_payload = format!("{header}{{\"id\":1}}\n");
            let expected = Ok(Parsed::Header { len: header.len(), source });
            assert_eq!(parse(with_payload.as_bytes()), expected, "{header}");
            assert!(looks_like_header(header.as_bytes()));
        }
    }

    #[test]
    fn version_1_refuses_what_breaks_its_grammar() {
        for bad in [
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 1\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 056324 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 +56324 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
            "PROXY TCP4 192.0.2.1  198.51.100.2 1 443\r\n",
            "PROXY TCP4 192.000.2.1 198.51.100.2 1 443\r\n",
            "PROXY TCP4 ::1 ::1 1 443\r\n",
            "PROXY TCP6 192.0.2.1 198.51.100.2 1 443\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.2 1 443\r\n",
            "PROXY  TCP4 192.0.2.1 198.51.100.2 1 443\r\n",
        ] {
            assert!(matches!(parse(bad.as_bytes()), Err(BadHeader::Malformed(_))), "{bad}");
        }
        let endless = format!("PROXY UNKNOWN {}", "x".repeat(200));
        assert_eq!(parse(endless.as_bytes()), Err(BadHeader::TooLong));
        assert_eq!(parse(&endless.as_bytes()[..106]), Ok(Parsed::NeedMore));
    }

    #[test]
    fn version_2_names_the_client_and_skips_the_rest() {
        let four = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 1, 0xbb];
        let with_fields = [&four[..], &[0x04, 0, 1, 0]].concat();
        let mut six = [0; 36];
        six[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
        six[32..34].copy_from_slice(&9_u16.to_be_bytes());
        for (header, source) in [
            (v2(0x21, 0x11, &four), client("192.0.2.1:56324")),
            (v2(0x21, 0x11, &with_fields), client("192.0.2.1:56324")),
            (v2(0x21, 0x21, &six), client("[2001:db8::7]:9")),
            (v2(0x21, 0x00, &[]), Source::Itself),
            (v2(0x20, 0x00, &[]), Source::Itself),
            (v2(0x20, 0x11, &four), Source::Itself),
        ] {
            let mut bytes = header.clone();
            bytes.extend(b"\x16\x03\x01");
            assert_eq!(parse(&bytes), Ok(Parsed::Header { len: header.len(), source }));
            for cut in 0..header.len() {
                assert_eq!(parse(&header[..cut]), Ok(Parsed::NeedMore), "{cut}");
            }
        }
    }

    #[test]
    fn version_2_refuses_what_a_miner_cannot_be() {
        for bad in [v2(0x11, 0x11, &[0; 12]), v2(0x22, 0x11, &[0; 12]), v2(0x21, 0x12, &[0; 12])] {
            assert!(matches!(parse(&bad), Err(BadHeader::Malformed(_))));
        }
        assert!(matches!(parse(&v2(0x21, 0x31, &[0; 216])), Err(BadHeader::Malformed(_))));
        assert!(matches!(parse(&v2(0x21, 0x11, &[0; 11])), Err(BadHeader::Malformed(_))));
        assert!(matches!(parse(&v2(0x21, 0x21, &[0; 35])), Err(BadHeader::Malformed(_))));
        assert_eq!(parse(&v2(0x21, 0x11, &[0; HEADER_BYTES_MAX])[..16]), Err(BadHeader::TooLong));
    }

    #[test]
    fn other_protocols_are_told_apart_at_their_first_bytes() {
        for other in
            [&b"{\"id\":1}"[..], b"GET / HTTP/1.1", b"\x16\x03\x01", b"PROXZ", b"\n", b"\r\n\r\n\r\n"]
        {
            assert_eq!(parse(other), Err(BadHeader::Absent));
            assert!(!looks_like_header(other));
        }
        assert!(looks_like_header(V2_SIGNATURE));
        assert!(!looks_like_header(b""));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_no_header_is_longer_than_the_bytes(
            start in 0usize..3,
            tail in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut bytes = [&b""[..], V1_START, V2_SIGNATURE][start].to_vec();
            bytes.extend(tail);
            if let Ok(Parsed::Header { len, .. }) = parse(&bytes) {
                prop_assert!(len <= bytes.len() && len <= HEADER_BYTES_MAX);
                // Nothing behind the header changes what it says.
                prop_assert_eq!(parse(&bytes[..len]), parse(&bytes));
            }
        }

        #[test]
        fn every_version_1_header_round_trips_and_is_incomplete_until_its_last_byte(
            source: SocketAddr, destination: SocketAddr,
        ) {
            prop_assume!(source.is_ipv4() == destination.is_ipv4());
            let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            let header = format!(
                "PROXY {family} {} {} {} {}\r\n",
                source.ip(), destination.ip(), source.port(), destination.port()
            );
            let plain = SocketAddr::new(source.ip(), source.port());
            let expected = Parsed::Header { len: header.len(), source: Source::Client(plain) };
            prop_assert_eq!(parse(header.as_bytes()), Ok(expected));
            for cut in 0..header.len() {
                prop_assert_eq!(parse(&header.as_bytes()[..cut]), Ok(Parsed::NeedMore));
            }
        }

        #[test]
        fn a_refusal_is_final(bytes in proptest::collection::vec(any::<u8>(), 1..40), more: Vec<u8>) {
            if let Err(refusal) = parse(&bytes) {
                let longer = [bytes, more].concat();
                prop_assert_eq!(parse(&longer), Err(refusal));
            }
        }
    }
}
