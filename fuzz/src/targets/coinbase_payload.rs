//! What a node says a block's coinbase is: [`CoinbasePayload::parse`].
//!
//! Whom a block pays is read from here, so reading and writing must be one thing seen from two sides.

use pool_coins::kaspa::coinbase::CoinbasePayload;

/// A payload that was read is written to the same bytes, unless its script is longer than the chain allows.
pub fn target(data: &[u8]) {
    let Ok(payload) = CoinbasePayload::parse(data) else {
        assert!(data.len() < 19 + 255, "bytes with room for every field are always a payload");
        return;
    };
    let written = payload.to_bytes();
    if payload.pay_to.script.len() <= CoinbasePayload::SCRIPT_MAX_LEN {
        assert_eq!(written, data);
        assert_eq!(CoinbasePayload::parse(&written), Ok(payload));
    } else {
        let again = CoinbasePayload::parse(&written).expect("what was written can be read");
        assert_eq!(again.pay_to.script.len(), CoinbasePayload::SCRIPT_MAX_LEN);
        assert_eq!(again.extra_data, payload.extra_data);
    }
}
