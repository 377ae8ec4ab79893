//! A submitted nonce, from the many ways to write it to the one number.
//!
//! Miners send the whole 64-bit nonce or only the part below their extranonce, with or without leading zeros and
//! `0x`; one family has been seen to send it in decimal. Which reading is meant is decided from the text and the
//! extranonce alone, without hashing anything: a submit costs at most one proof.

use crate::extranonce::Extranonce;
use pool_core::share::Reject;

/// Hexadecimal digits of a whole nonce.
const DIGITS: usize = 16;

/// The nonce that `text` means to a connection with `extranonce`.
///
/// The rule of the bridges: with `E` digits of extranonce, up to `16 - E` digits are the miner's own part; more are
/// the whole nonce. Added here: a whole nonce must begin with the extranonce. Decimal is read where `decimal` says
/// that the family writes it and the number begins with the extranonce, and where the text is too long for
/// hexadecimal. As no extranonce is zero, a number below 2^48 is never a whole decimal nonce, and the two readings
/// of one text never both fit a two-byte extranonce.
///
/// # Errors
/// [`Reject::Malformed`] for text that is no nonce, [`Reject::ForeignExtranonce`] for one of somebody else.
pub fn parse(text: &str, extranonce: Extranonce, decimal: bool) -> Result<u64, Reject> {
    let stripped = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let digits = stripped.unwrap_or(text);
    let maybe_decimal =
        stripped.is_none() && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if maybe_decimal && (decimal || digits.len() > DIGITS) {
        match digits.parse::<u64>() {
            Ok(nonce) if extranonce.owns(nonce) => return Ok(nonce),
            Ok(_) if digits.len() > DIGITS => return Err(Reject::ForeignExtranonce),
            Ok(_) => {}
            Err(_) => return Err(Reject::Malformed),
        }
    }
    // `from_str_radix` alone would take a sign.
    if digits.is_empty() || digits.len() > DIGITS || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Reject::Malformed);
    }
    let number = u64::from_str_radix(digits, 16).map_err(|_| Reject::Malformed)?;
    if digits.len() <= DIGITS - 2 * usize::from(extranonce.width()) {
        return Ok(extranonce.in_nonce() | number);
    }
    if extranonce.owns(number) { Ok(number) } else { Err(Reject::ForeignExtranonce) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix() -> Extranonce {
        Extranonce::new(0x0021, 2).unwrap()
    }

    fn hex_only(text: &str) -> Result<u64, Reject> {
        parse(text, prefix(), false)
    }

    #[test]
    fn every_spelling_is_one_number() {
        for whole in [
            "0021d1b51bc4b490",
            "0x0021d1b51bc4b490",
            "0X0021D1B51BC4B490",
            "21d1b51bc4b490",
            "d1b51bc4b490",
            "0xD1B51BC4B490",
        ] {
            assert_eq!(hex_only(whole), Ok(0x0021_d1b5_1bc4_b490), "{whole}");
        }
        for small in
            ["1", "01", "0001", "0x1", "0X0001", "000000000001", "0021000000000001", "21000000000001"]
        {
            assert_eq!(hex_only(small), Ok(0x0021_0000_0000_0001), "{small}");
        }
    }

    #[test]
    fn a_whole_nonce_of_somebody_else_is_foreign() {
        for foreign in ["0022d1b51bc4b490", "0000000000000001", "0x0000000000001", "ffffffffffffffff"] {
            assert_eq!(hex_only(foreign), Err(Reject::ForeignExtranonce), "{foreign}");
        }
    }

    #[test]
    fn what_is_no_nonce_is_malformed() {
        for bad in [
            "",
            "0x",
            "x",
            "0x0x1",
            "+1",
            "-1",
            " 1",
            "g",
            "0021d1b51bc4b490a",
            "0x0021d1b51bc4b4900",
            "99999999999999999999999",
        ] {
            assert_eq!(hex_only(bad), Err(Reject::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn decimal_is_read_where_it_fits() {
        // 0x0021d1b51bc4b490 in decimal, 16 digits; as hexadecimal it would be another's.
        assert_eq!(parse("9519250016613520", prefix(), true), Ok(0x0021_d1b5_1bc4_b490));
        assert_eq!(hex_only("9519250016613520"), Err(Reject::ForeignExtranonce));
        // Too long for hexadecimal: decimal for everybody.
        let high = Extranonce::new(0xf000, 2).unwrap();
        assert_eq!(parse("17293822569102704641", high, false), Ok(0xf000_0000_0000_0001));
        assert_eq!(hex_only("17293822569102704641"), Err(Reject::ForeignExtranonce));
        // A short run of digits stays hexadecimal in the decimal family too.
        assert_eq!(parse("123456789012", prefix(), true), Ok(0x0021_1234_5678_9012));
    }

    proptest! {
        #[test]
        fn both_readings_never_fit_one_prefix(prefix in 1..=0xffffu32, nonce in 0..1u64 << 48) {
            let prefix = Extranonce::new(prefix, 2).unwrap();
            let nonce = prefix.in_nonce() | nonce;
            for text in [format!("{nonce:016x}"), format!("{nonce:x}"), format!("0x{nonce:x}"), format!("{nonce}")] {
                prop_assert_eq!(parse(&text, prefix, true), Ok(nonce), "{}", text);
            }
            let own = nonce & 0xffff_ffff_ffff;
            prop_assert_eq!(parse(&format!("{own:012x}"), prefix, true), Ok(nonce));
            prop_assert_eq!(parse(&format!("{own:x}"), prefix, false), Ok(nonce));
        }

        #[test]
        fn a_nonce_always_has_its_prefix(text: String, prefix in 1..=0xffffu32, decimal: bool) {
            let prefix = Extranonce::new(prefix, 2).unwrap();
            if let Ok(nonce) = parse(&text, prefix, decimal) {
                prop_assert!(prefix.owns(nonce));
            }
        }
    }
}
