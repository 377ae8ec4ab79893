//! What a block pays to whom.
//!
//! The chain has ways of its own. The fees of a block go to its miner as everywhere; and then the reward step mints again
//! what the transactions *could* have cost (gas limit times price cap), to the miner and, where there are uncles, to their
//! miners too. From London on that second sum is divided among all of them. An uncle earns a tenth of a coin whatever its
//! distance, and the block that includes it another tenth. There is no treasury's share.
//! Source: `accumulateRewards` of the chain's node (behaviour). Another public port lacks the division from London on, so
//! nothing is credited by these rules alone: see [`super::fate`].

use super::params::HYP;

/// A tenth of a coin: an uncle's own reward, and that for including one. Unit: wei.
pub const UNCLE: u128 = HYP / 10;

/// Heights at which what blocks pay changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewardRules {
    /// From here on a block is paid for the uncles it includes.
    pub veldin: u64,
    /// From here on 3 HYP a block, and the fees' second half is divided.
    pub london: u64,
    /// From here on 2 HYP.
    pub arrow: u64,
    /// From here on 1 HYP.
    pub gray: u64,
}

/// The fees of one block. Unit: wei.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fees {
    /// What the miner gets of what was paid: gas used times what of the price is not burnt.
    pub paid: u128,
    /// What is minted again: gas limit times the price's cap.
    pub reserved: u128,
}

impl RewardRules {
    /// A block's own reward. Unit: wei.
    #[must_use]
    pub const fn base(&self, height: u64) -> u128 {
        if height >= self.gray {
            HYP
        } else if height >= self.arrow {
            2 * HYP
        } else if height >= self.london {
            3 * HYP
        } else {
            4 * HYP
        }
    }

    /// The part of the fees that each of a block's miners is paid again.
    const fn again(&self, height: u64, fees: Fees, uncles: u8) -> u128 {
        if height >= self.london { fees.reserved / (uncles as u128 + 1) } else { fees.reserved }
    }

    /// What a block with so many uncles pays to its miner, all told. Unit: wei; `None` past 2^128.
    #[must_use]
    pub fn of_block(&self, height: u64, fees: Fees, uncles: u8) -> Option<u128> {
        let again = self.again(height, fees, uncles);
        let sum = self.base(height).checked_add(fees.paid)?.checked_add(again)?;
        if height < self.veldin {
            return Some(sum);
        }
        sum.checked_add(UNCLE.checked_add(again)?.checked_mul(uncles.into())?)
    }

    /// What it pays to each uncle's miner. Unit: wei; `None` past 2^128.
    #[must_use]
    pub fn of_uncle(&self, height: u64, fees: Fees, uncles: u8) -> Option<u128> {
        UNCLE.checked_add(self.again(height, fees, uncles))
    }

    /// What a block surely pays to its miner: its own reward and the fees once, nothing for uncles.
    #[must_use]
    pub fn of_block_at_least(&self, height: u64, fees: Fees) -> Option<u128> {
        self.base(height).checked_add(fees.paid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypra::params::Network;

    const FEES: Fees = Fees { paid: 30, reserved: 100 };

    #[test]
    fn base_rewards_step_down() {
        let rules = Network::Mainnet.rewards();
        let at = [1, 13_524_556, 13_524_557, 27_200_176, 27_200_177, 40_725_106, 40_725_107, u64::MAX];
        assert_eq!(at.map(|height| rules.base(height) / HYP), [4, 4, 3, 3, 2, 2, 1, 1]);
    }

    #[test]
    fn fees_are_minted_again_and_uncles_share_them() {
        let rules = Network::Mainnet.rewards();
        let (early, later, london) = (500_008, 500_009, 13_524_557);
        assert_eq!(rules.of_block(later, FEES, 0), Some(4 * HYP + 130));
        assert_eq!(rules.of_block(early, FEES, 2), Some(4 * HYP + 130), "not paid for uncles yet");
        assert_eq!(rules.of_block(later, FEES, 2), Some(4 * HYP + 130 + 2 * (UNCLE + 100)));
        assert_eq!(rules.of_uncle(later, FEES, 2), Some(UNCLE + 100));
        // A third of 100 for each of three, the rest is nobody's.
        assert_eq!(rules.of_block(london, FEES, 2), Some(3 * HYP + 30 + 33 + 2 * (UNCLE + 33)));
        assert_eq!(rules.of_uncle(london, FEES, 2), Some(UNCLE + 33));
        assert_eq!(rules.of_block(london, FEES, 0), Some(3 * HYP + 130));
        assert_eq!(rules.of_block_at_least(london, FEES), Some(3 * HYP + 30));
        let huge = Fees { paid: 0, reserved: u128::MAX };
        assert_eq!((rules.of_block(later, huge, 0), rules.of_uncle(later, huge, 1)), (None, None));
    }
}
