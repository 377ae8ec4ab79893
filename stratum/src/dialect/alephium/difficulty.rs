//! Alephium's stratum difficulty: a way to print work.
//!
//! One difficulty is 2^30 tries at the target 2^226 - 1, and a miner needs sixteen hashes for a try, because only one
//! in sixteen lands on the job's chain. [`Work`] counts tries here, as the network's own target does; who shows hash
//! rates multiplies by sixteen. Source: alephium/mining-pool, `lib/{stratum,jobManager}.js` with its default of 30 zero
//! bits (behaviour and vectors).

use crate::dialect::kaspa::difficulty as decimal;
use crate::json::push_hex;
use pool_core::units::{Target, U256, Work};

/// The easiest hash that a share of `work` may have: `floor((2^226 - 1) × 2^30 / work)`.
///
/// ```
/// use pool_core::units::Work;
/// use pool_stratum::dialect::alephium::difficulty::share_target;
///
/// let difficulty_16 = share_target(Work::new(16 << 30).unwrap());
/// assert_eq!(difficulty_16.to_string(), format!("000000003{}", "f".repeat(55)));
/// ```
#[must_use]
pub fn share_target(work: Work) -> Target {
    let one = (U256::ONE << 226) - U256::ONE;
    Target::new((one << 30) / U256::from(work.get()))
}

/// Appends `work` as a difficulty in decimal, exactly; whole ones without a fraction.
pub fn write(work: Work, out: &mut Vec<u8>) {
    // The other dialect's difficulty is 2^32: four times the work prints the same digits.
    let four_times = Work::new(work.get().saturating_mul(4)).unwrap_or(Work::ONE);
    decimal::write(four_times, out);
}

/// The work of a difficulty written in decimal: `floor(difficulty × 2^30)`. `None` for anything else, and for less than
/// one try.
#[must_use]
pub fn parse(text: &str) -> Option<Work> {
    decimal::parse(text).and_then(|four_times| Work::new(four_times.get() / 4).ok())
}

/// Appends a target as short as it is: hexadecimal digits of its bytes without leading zero bytes.
pub fn write_target(target: Target, out: &mut Vec<u8>) {
    let bytes = target.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(31);
    push_hex(out, &bytes[zeros..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn published_targets_are_met() {
        // alephium/mining-pool's own conversions.
        for (difficulty, target) in [
            ("0.25", "0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffc".to_owned()),
            ("1", format!("03{}", "f".repeat(56))),
            ("8.5", "78".repeat(28)),
            ("16", format!("3f{}", "f".repeat(54))),
            ("4096", format!("3f{}", "f".repeat(52))),
            ("8192", format!("1f{}", "f".repeat(52))),
        ] {
            let mut out = Vec::new();
            write_target(share_target(parse(difficulty).unwrap()), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), target, "{difficulty}");
            let mut out = Vec::new();
            write(parse(difficulty).unwrap(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), difficulty);
        }
        assert_eq!(parse("0.000000000000001"), None);
        assert_eq!(parse("x"), None);
    }

    #[test]
    fn the_hardest_target_is_still_a_byte() {
        let mut out = Vec::new();
        write_target(Target::new(U256::ZERO), &mut out);
        assert_eq!(out, b"00");
    }

    proptest! {
        #[test]
        fn a_target_is_worth_its_work_to_the_try(tries in 1..=u128::MAX >> 2) {
            let work = Work::new(tries).unwrap();
            prop_assert!(share_target(work).work().get().abs_diff(tries) <= 1);
            let mut out = Vec::new();
            write(work, &mut out);
            prop_assert_eq!(parse(&String::from_utf8(out).unwrap()), Some(work));
        }
    }
}
