//! Difficulty as Kaspa's stratum writes it, between [`Work`] and decimal text, exactly.
//!
//! One difficulty is 2^32 hashes, and a share target is `floor((2^224 - 1) / difficulty)`. Both directions are integer
//! arithmetic: a difficulty is a count of hashes over 2^32, which always has a finite decimal expansion, so text never
//! drifts and no two machines disagree. The node's and the explorers' difficulty is another number (half of the
//! expected hashes) and does not appear here.
//! Source: `diff_to_target` of kaspa-stratum-bridge 2.1.0 (behaviour).

use pool_core::units::{Target, U256, Work};

/// Difficulty 1: 2^32 hashes.
pub const ONE: Work = match Work::new(1 << FRACTION_BITS) {
    Ok(work) => work,
    Err(_) => unreachable!(),
};

const FRACTION_BITS: u32 = 32;

/// Text longer than this is no difficulty: 29 digits are the most a [`Work`] needs before its point, 32 behind.
const TEXT_MAX_LEN: usize = 128;

/// Text that is no difficulty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a difficulty: write a decimal number such as 8192 or 0.5, from 2^-32 to 2^96")]
pub struct BadDifficulty;

/// The share target of a difficulty: `floor((2^224 - 1) × 2^32 / work)`.
///
/// Not above what [`Target::from_work`] gives for the same work by more than rounding; the two differ because
/// Kaspa's difficulty 1 is `2^224 - 1` and not `2^224`. Met by a proof that, as an integer, is not above it.
#[must_use]
pub fn target(work: Work) -> Target {
    let hardest = U256::MAX >> FRACTION_BITS as usize;
    Target::new((hardest << FRACTION_BITS as usize) / U256::from(work.get()))
}

/// Reads decimal digits with an optional fraction: `8192`, `1000.5`, `8192.0`. No sign, no exponent, no bare point.
/// A fraction that is no whole number of hashes is rounded down.
///
/// # Errors
/// [`BadDifficulty`] for other text, less than one hash, or more than [`Work`] holds.
pub fn parse(text: &str) -> Result<Work, BadDifficulty> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > TEXT_MAX_LEN || !digits(whole) || !digits(fraction) {
        return Err(BadDifficulty);
    }
    let whole: u128 = whole.parse().map_err(|_| BadDifficulty)?;
    let whole = whole.checked_mul(1 << FRACTION_BITS).ok_or(BadDifficulty)?;
    Work::new(whole + u128::from(binary_fraction(fraction))).map_err(|_| BadDifficulty)
}

/// `floor(0.digits × 2^32)`: doubled 32 times, what passes the point is the next bit.
fn binary_fraction(digits: &str) -> u32 {
    let mut digits: Vec<u8> = digits.bytes().map(|byte| byte - b'0').collect();
    let mut bits = 0;
    for _ in 0..FRACTION_BITS {
        let mut carry = 0;
        for digit in digits.iter_mut().rev() {
            let doubled = *digit * 2 + carry;
            (*digit, carry) = (doubled % 10, doubled / 10);
        }
        bits = bits << 1 | u32::from(carry);
    }
    bits
}

/// The shortest decimal text of exactly this difficulty: [`parse`] gives the same work back.
#[must_use]
pub fn text(work: Work) -> String {
    let mut text = (work.get() >> FRACTION_BITS).to_string();
    let mut rest = work.get() & ((1 << FRACTION_BITS) - 1);
    if rest != 0 {
        text.push('.');
    }
    while rest != 0 {
        rest *= 10;
        text.push(char::from(b'0' + (rest >> FRACTION_BITS) as u8));
        rest &= (1 << FRACTION_BITS) - 1;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn published_difficulties_have_their_published_targets() {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/kaspa.json")).unwrap();
        for vector in vectors["stratumDifficulty"].as_array().unwrap() {
            let (difficulty, expected) = (vector[0].to_string(), vector[1].as_str().unwrap());
            assert_eq!(target(parse(&difficulty).unwrap()).to_string(), expected, "{difficulty}");
        }
        let four = target(parse("4").unwrap());
        assert_eq!(four.to_string(), format!("000000003{}", "f".repeat(55)));
        assert_eq!(target(ONE).to_string(), format!("00000000{}", "f".repeat(56)));
        assert_eq!(target(Work::ONE).to_string(), format!("{}00000000", "f".repeat(56)));
    }

    #[test]
    fn text_is_exact_and_shortest() {
        for (text_of, hashes) in [
            ("1", 1u128 << 32),
            ("8192", 8192 << 32),
            ("0.5", 1 << 31),
            ("1000.5", 2001 << 31),
            ("0.00000000023283064365386962890625", 1),
            ("79228162514264337593543950335.99999999976716935634613037109375", u128::MAX),
        ] {
            let work = Work::new(hashes).unwrap();
            assert_eq!(text(work), text_of);
            assert_eq!(parse(text_of), Ok(work));
        }
    }

    #[test]
    fn a_fraction_of_a_hash_is_rounded_down() {
        assert_eq!(parse("0.1"), Ok(Work::new((1 << 32) / 10).unwrap()));
        assert_eq!(parse("8192.0"), parse("8192"));
        assert_eq!(parse("007.50"), parse("7.5"));
    }

    #[test]
    fn what_is_no_difficulty_is_refused() {
        let long = "0".repeat(TEXT_MAX_LEN) + "1";
        for bad in [
            "",
            "0",
            "0.0",
            "0.0000000001",
            ".5",
            "5.",
            ".",
            "-1",
            "+1",
            "1e3",
            " 1",
            "1 ",
            "0x10",
            "1,5",
            "1.2.3",
            "NaN",
            "inf",
            "１",
            "79228162514264337593543950336",
            &long,
        ] {
            assert_eq!(parse(bad), Err(BadDifficulty), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_work_comes_back_from_its_text(hashes in 1u128..) {
            let work = Work::new(hashes).unwrap();
            prop_assert_eq!(parse(&text(work)), Ok(work));
        }

        #[test]
        fn no_text_panics(text in "[0-9]{0,45}\\.?[0-9]{0,40}|.{0,20}") {
            let _ = parse(&text);
        }

        #[test]
        fn a_target_stands_for_its_work(hashes in (1u128 << 20)..(1 << 100)) {
            let work = Work::new(hashes).unwrap();
            let stands_for = target(work).work().get();
            // Two roundings, and 2^224 - 1 instead of 2^224: less than one part in 2^224.
            prop_assert!(stands_for.abs_diff(hashes) <= 1, "{} {}", stands_for, hashes);
        }

        #[test]
        fn the_stratum_dialect_reads_and_writes_the_same(hashes in 1u128.., shift in 0u32..128) {
            use pool_stratum::dialect::kaspa::difficulty as dialect;
            let work = Work::new((hashes >> shift).max(1)).unwrap();
            let mut written = Vec::new();
            dialect::write(work, &mut written);
            prop_assert_eq!(text(work).into_bytes(), written);
            prop_assert_eq!(target(work), dialect::share_target(work));
            prop_assert_eq!(dialect::parse(&text(work)), Some(work));
        }
    }
}
