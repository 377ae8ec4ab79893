//! Difficulty on the wire: the top of the target, little-endian, as hexadecimal digits.
//!
//! A hash is read as a little-endian number `H`; a share of difficulty `D` has `H <= (2^256 - 1) / D`. The wire carries
//! the upper 32 bits of that bound. The miner divides back, rounding down twice, and what comes out is exactly: the
//! upper 32 bits of `H` are not above the ones it was sent (a test tries that). So that is the target here: the sent
//! bits, with ones below. A share is credited with what the sent target stands for; above 10^7 the steps are coarse.
//!
//! Miners of 2.3.5f are said to take 64 bits. How is not public, so it is configuration, and off.

use pool_core::units::{Target, U256, Work};

/// How a target is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetForm {
    /// Four bytes, eight digits: what every public miner reads.
    #[default]
    Bits32,
    /// Eight bytes, sixteen digits, as other CryptoNote pools write them.
    Bits64,
}

impl TargetForm {
    const fn bits(self) -> usize {
        match self {
            Self::Bits32 => 32,
            Self::Bits64 => 64,
        }
    }

    /// The upper bits of the greatest hash; at least 1, which the miner can divide by.
    fn top(self, work: Work) -> u64 {
        let bound = U256::MAX / U256::from(work.get());
        let top: U256 = bound >> (256 - self.bits());
        top.to::<u64>().max(1)
    }

    /// Appends the digits.
    pub fn write(self, work: Work, out: &mut Vec<u8>) {
        let bytes = self.top(work).to_le_bytes();
        out.extend_from_slice(hex::encode(&bytes[..self.bits() / 8]).as_bytes());
    }

    /// The target that the digits stand for.
    #[must_use]
    pub fn share_target(self, work: Work) -> Target {
        let below = 256 - self.bits();
        let top = U256::from(self.top(work)) << below;
        Target::new(top | (U256::MAX >> self.bits()))
    }
}

/// The target of a share of `work` as every public miner is told it.
#[must_use]
pub fn share_target(work: Work) -> Target {
    TargetForm::Bits32.share_target(work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(form: TargetForm, difficulty: u128) -> String {
        let mut out = Vec::new();
        form.write(Work::new(difficulty).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    /// Published pairs of difficulty and digits, and what the reference miner makes of them.
    const KNOWN: [(u128, &str, u32); 9] = [
        (1, "ffffffff", 1),
        (2, "ffffff7f", 2),
        (1_000, "37894100", 1_000),
        (10_000, "b88d0600", 10_000),
        (20_000, "dc460300", 20_000),
        (25_000, "169f0200", 25_000),
        (200_000, "e2530000", 200_007),
        (60_000_000, "47000000", 60_492_497),
        (100_000_000, "2a000000", 102_261_126),
    ];

    #[test]
    fn the_published_pairs() {
        for (difficulty, digits, decoded) in KNOWN {
            assert_eq!(written(TargetForm::Bits32, difficulty), digits);
            let top = u32::from_le_bytes(hex::decode(digits).unwrap().try_into().unwrap());
            assert_eq!(u32::MAX / top, decoded);
        }
    }

    #[test]
    fn nothing_is_harder_than_a_miner_can_divide_by() {
        assert_eq!(written(TargetForm::Bits32, u128::MAX), "01000000");
        assert_eq!(written(TargetForm::Bits64, 1 << 32), "ffffffff00000000");
        assert_eq!(share_target(Work::new(1).unwrap()), Target::MAX);
        assert_eq!(share_target(Work::new(u128::MAX).unwrap()).work().get(), 1 << 31);
    }

    proptest! {
        /// The reference miner's own arithmetic: both quotients rounded down.
        #[test]
        fn a_share_is_good_here_exactly_when_the_miner_thinks_so(difficulty in 1u64..200_000_000, hash: [u8; 32]) {
            let work = Work::new(u128::from(difficulty)).unwrap();
            let mut hash = hash;
            // Small hashes are the interesting ones.
            let bound = U256::MAX / U256::from(difficulty);
            let near = U256::from_le_bytes(hash) % (bound.saturating_mul(U256::from(2)).max(U256::ONE));
            hash.copy_from_slice(&near.to_le_bytes::<32>());
            let hash_top = u32::from_le_bytes(hash[28..].try_into().unwrap());
            let sent = u32::try_from(TargetForm::Bits32.top(work)).unwrap();
            let miner = hash_top == 0 || u32::MAX / hash_top >= u32::MAX / sent;
            let here = U256::from_le_bytes(hash) <= share_target(work).get();
            prop_assert_eq!(here, miner, "{} {} {}", difficulty, hash_top, sent);
        }

        #[test]
        fn a_target_is_never_harder_than_its_difficulty(difficulty in 1u128..4_000_000_000) {
            let work = Work::new(difficulty).unwrap();
            let exact = U256::MAX / U256::from(difficulty);
            for form in [TargetForm::Bits32, TargetForm::Bits64] {
                prop_assert!(form.share_target(work).get() >= exact);
            }
            prop_assert!(TargetForm::Bits64.share_target(work) <= share_target(work));
        }
    }
}
