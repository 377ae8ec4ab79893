//! Kaspa's stratum difficulty: a way to print work.
//!
//! One difficulty is 2^32 hashes, and the target of a difficulty is `(2^224 - 1) / difficulty`. On the wire it is a
//! decimal number that may have a fraction; here it is [`Work`] and text, converted exactly both ways, for a float on
//! one side would make a share's worth depend on rounding. Source: kaspa-stratum-bridge 2.1.0, `src/hasher.rs`
//! (behaviour).

use pool_core::units::{Target, U256, Work};

/// Significant digits read; further ones are zeros to a number this long.
const DIGITS_MAX: u32 = 64;

/// The easiest hash that a share of `work` may have: `floor((2^224 - 1) × 2^32 / work)`, at most 2^256 - 1.
///
/// ```
/// use pool_core::units::Work;
/// use pool_stratum::dialect::kaspa::difficulty::share_target;
///
/// let difficulty_4 = share_target(Work::new(4 << 32).unwrap());
/// assert_eq!(difficulty_4.to_string(), format!("000000003{}", "f".repeat(55)));
/// ```
#[must_use]
pub fn share_target(work: Work) -> Target {
    let one = (U256::ONE << 224) - U256::ONE;
    Target::new((one << 32) / U256::from(work.get()))
}

/// Appends `work` as a difficulty in decimal, exactly; whole ones without a fraction.
pub fn write(work: Work, out: &mut Vec<u8>) {
    let whole = work.get() >> 32;
    out.extend_from_slice(whole.to_string().as_bytes());
    let mut fraction = work.get() & 0xffff_ffff;
    if fraction == 0 {
        return;
    }
    out.push(b'.');
    while fraction != 0 {
        fraction *= 10;
        out.push(b'0' + (fraction >> 32) as u8);
        fraction &= 0xffff_ffff;
    }
}

/// The work of a difficulty written in decimal (`8192`, `0.5`, `1e4`): `floor(difficulty × 2^32)`.
///
/// `None` for anything else, for less than one hash, and for 2^128 hashes and more.
///
/// ```
/// use pool_core::units::Work;
/// use pool_stratum::dialect::kaspa::difficulty::parse;
///
/// assert_eq!(parse("0.5"), Work::new(1 << 31).ok());
/// assert_eq!(parse("-1"), None);
/// ```
#[must_use]
pub fn parse(text: &str) -> Option<Work> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || digits.len() > 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            (number, exponent.strip_prefix('+').unwrap_or(exponent).parse::<i32>().ok()?)
        }
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (mut mantissa, mut digits, mut scale) = (U256::ZERO, 0, exponent);
    for (place, byte) in whole.bytes().chain(fraction.bytes()).enumerate() {
        if !byte.is_ascii_digit() {
            return None;
        }
        if digits < DIGITS_MAX {
            mantissa = mantissa * U256::from(10u8) + U256::from(byte - b'0');
            digits += u32::from(mantissa != U256::ZERO);
            scale -= i32::from(place >= whole.len());
        } else {
            scale += i32::from(place < whole.len());
        }
    }
    if mantissa == U256::ZERO {
        return None;
    }
    // Beyond these scales the result is zero or too large, whatever the 64 digits are; within them 10^scale fits.
    let hashes = if scale >= 0 {
        if scale > 29 {
            return None;
        }
        let power = U256::from(10u8).pow(U256::from(scale.unsigned_abs()));
        mantissa.checked_mul(power)?.checked_mul(U256::ONE << 32)?
    } else {
        if scale < -75 {
            return None;
        }
        let power = U256::from(10u8).pow(U256::from(scale.unsigned_abs()));
        mantissa.checked_mul(U256::ONE << 32)? / power
    };
    Work::new(u128::try_from(hashes).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(work: Work) -> String {
        let mut out = Vec::new();
        write(work, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn published_targets_are_met() {
        // kaspa-stratum-bridge's own conversions; see testdata/README.md.
        for (difficulty, target) in [
            ("0.5", "00000001fffffffffffffffffffffffffffffffffffffffffffffffffffffffe"),
            ("1", "00000000ffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
            ("4", "000000003fffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
            ("8192", "000000000007ffffffffffffffffffffffffffffffffffffffffffffffffffff"),
            ("1000.5", "00000000004180d4e2b3e0c89a8bf646e066594ca2390f39717ab0cebe9feb87"),
        ] {
            assert_eq!(share_target(parse(difficulty).unwrap()).to_string(), target, "{difficulty}");
        }
    }

    #[test]
    fn spellings_of_a_difficulty() {
        for same in [
            "8192",
            "8192.0",
            "08192",
            "8192.",
            "8.192e3",
            "81920E-1",
            "0.8192e+4",
            "8192.000000000000000000000000000000000000000000000000000000000000000000000000000",
        ] {
            assert_eq!(parse(same).map(Work::get), Some(8192 << 32), "{same}");
        }
        assert_eq!(parse(".5").map(Work::get), Some(1 << 31));
        assert_eq!(parse("1e-9").map(Work::get), Some(4));
        for bad in [
            "",
            ".",
            "-1",
            "+1",
            "0",
            "0.0",
            "1e",
            "1e+",
            "1e9999",
            "1e-99",
            "1e40",
            "0x10",
            "1,5",
            "NaN",
            "inf",
            "1 ",
            "1e1e1",
            "9".repeat(80).as_str(),
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn whole_difficulties_print_without_a_fraction() {
        assert_eq!(text(Work::new(8192 << 32).unwrap()), "8192");
        assert_eq!(text(Work::new((8192 << 32) + (1 << 31)).unwrap()), "8192.5");
        assert_eq!(text(Work::new(1).unwrap()), "0.00000000023283064365386962890625");
    }

    proptest! {
        #[test]
        fn work_survives_the_wire(hashes in 1..=u128::MAX) {
            let work = Work::new(hashes).unwrap();
            prop_assert_eq!(parse(&text(work)), Some(work));
        }

        #[test]
        fn a_target_is_worth_its_work_to_the_hash(hashes in 1..=u128::MAX) {
            let work = Work::new(hashes).unwrap();
            prop_assert!(share_target(work).work().get().abs_diff(hashes) <= 1);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9.eE+-]{0,90}") {
            let _ = parse(&text);
        }
    }
}
