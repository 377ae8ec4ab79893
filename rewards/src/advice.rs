//! How long a PPLNS window should be, and what a chosen one means to miners. Integers only.
//!
//! Windows are in expected blocks. "Twice the difficulty" is hours on a chain with a block in ten minutes and four
//! seconds for a pool that finds a block in two; so a window is chosen by time, by how much one share's pay may vary,
//! and by the smallest miner, who must have many shares inside. The largest of the three is the advice.

use crate::fixed::Fixed;
use crate::wide::U512;
use pool_core::units::{Units, Work};
use serde::{Deserialize, Serialize};

/// How fast a pool finds blocks: its part of the network's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockRate {
    /// Milliseconds between two blocks of the network, all its chains together.
    pub interval_ms: u64,
    /// The pool's part of the network's hash rate, in millionths.
    pub part_ppm: u32,
}

/// What a window should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// At least this long, in seconds.
    pub seconds: u64,
    /// One share's pay varies by no more than this, as a coefficient of variation in basis points.
    pub variation_bps: u16,
    /// Milliseconds between two shares of the smallest miner.
    pub share_interval_ms: u64,
    /// How many of his shares should be inside.
    pub shares: u32,
}

/// The three windows and the largest of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// By time.
    pub by_time: Units,
    /// By variation.
    pub by_variation: Units,
    /// By the smallest miner.
    pub by_miner: Units,
    /// The largest.
    pub window: Units,
}

/// What a window means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meaning {
    /// How long it lasts on average, in milliseconds.
    pub millis: u64,
    /// The coefficient of variation of one share's pay, in basis points, rounded up.
    pub variation_bps: u32,
    /// What a newcomer lends the pool until he leaves: this much expected block value.
    pub loan: Units,
    /// Shares that are never paid, in parts of a thousand million, rounded up.
    pub never_paid_per_billion: u32,
    /// Shares of a miner inside, for one share each so many milliseconds as asked.
    pub shares: u64,
}

/// A rate or a wish of nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadWish {
    /// The pool finds no blocks.
    #[error("the block interval and the pool's part of the network must be above zero, the part at most all")]
    NoBlocks,
    /// No variation at all needs an endless window.
    #[error("the variation must be above zero")]
    NoVariation,
    /// The window would pass `2^32` blocks.
    #[error("the window would be longer than 2^32 blocks")]
    TooLong,
    /// A window of nothing, or a share interval of nothing.
    #[error("the window and the share interval must be above zero")]
    Nothing,
}

impl BlockRate {
    /// The rate of a pool of so much work on a network of so much, both in hashes a second. `interval_ms`: between two
    /// blocks of the network, all its chains together. `None` for a pool that outlives no block: `2^64` milliseconds.
    #[must_use]
    pub fn of_work(interval_ms: u64, pool: Work, network: Work) -> Option<Self> {
        let part = U512::from(pool.get()) * U512::from(1_000_000u64) / U512::from(network.get());
        if part >= U512::from(1_000u64) {
            let part_ppm = u32::try_from(part.min(U512::from(1_000_000u64))).ok()?;
            return Some(Self { interval_ms, part_ppm });
        }
        // Millionths are too coarse for a small pool: its own interval, then, as that of a network it is all of.
        let interval = U512::from(interval_ms) * U512::from(network.get()) / U512::from(pool.get());
        Some(Self { interval_ms: u64::try_from(interval).ok()?, part_ppm: 1_000_000 })
    }

    /// Milliseconds between two blocks of the pool, on average, rounded down.
    ///
    /// # Errors
    /// [`BadWish::NoBlocks`].
    pub fn pool_interval_ms(&self) -> Result<u64, BadWish> {
        self.check()?;
        let interval = u128::from(self.interval_ms) * 1_000_000 / u128::from(self.part_ppm);
        u64::try_from(interval).map_err(|_| BadWish::TooLong)
    }

    fn check(&self) -> Result<(), BadWish> {
        let fits = self.interval_ms > 0 && (1..=1_000_000).contains(&self.part_ppm);
        if fits { Ok(()) } else { Err(BadWish::NoBlocks) }
    }

    /// Expected blocks in so many milliseconds, rounded up to the fixed point.
    fn units_in(&self, millis: u128) -> Result<Units, BadWish> {
        let top = (U512::from(millis) * U512::from(self.part_ppm)) << Units::FRACTION_BITS as usize;
        let bottom = U512::from(self.interval_ms) * U512::from(1_000_000u64);
        let units = u128::try_from(top.div_ceil(bottom)).map_err(|_| BadWish::TooLong)?;
        if units >> (Units::FRACTION_BITS + 32) > 0 {
            Err(BadWish::TooLong)
        } else {
            Ok(Units::from_bits(units))
        }
    }

    /// The windows that fulfil a wish.
    ///
    /// # Errors
    /// [`BadWish`].
    pub fn advise(&self, wish: &Wish) -> Result<Advice, BadWish> {
        self.check()?;
        if wish.variation_bps == 0 {
            return Err(BadWish::NoVariation);
        }
        let by_time = self.units_in(u128::from(wish.seconds) * 1_000)?;
        // The variance of one share's pay is 1/X.
        let variation = u128::from(wish.variation_bps);
        let top = U512::from(100_000_000u64) << Units::FRACTION_BITS as usize;
        let by_variation = top.div_ceil(U512::from(variation * variation));
        let by_variation = Units::from_bits(u128::try_from(by_variation).map_err(|_| BadWish::TooLong)?);
        let by_miner = self.units_in(u128::from(wish.share_interval_ms) * u128::from(wish.shares))?;
        Ok(Advice { by_time, by_variation, by_miner, window: by_time.max(by_variation).max(by_miner) })
    }

    /// What a window means to a miner with one share each `share_interval_ms`.
    ///
    /// # Errors
    /// [`BadWish`].
    pub fn meaning(&self, window: Units, share_interval_ms: u64) -> Result<Meaning, BadWish> {
        self.check()?;
        if window == Units::ZERO || share_interval_ms == 0 {
            return Err(BadWish::Nothing);
        }
        let bits = window.to_bits();
        let top = U512::from(bits) * U512::from(self.interval_ms) * U512::from(1_000_000u64);
        let millis = (top / U512::from(self.part_ppm)) >> Units::FRACTION_BITS as usize;
        let millis = u64::try_from(millis).map_err(|_| BadWish::TooLong)?;
        // 10^4 / sqrt(X), rounded up: the root of 10^8 × 2^88 / X.
        let square = (U512::from(100_000_000u64) << Units::FRACTION_BITS as usize).div_ceil(U512::from(bits));
        let square = u128::try_from(square).unwrap_or(u128::MAX);
        let root = square.isqrt();
        let root = if root * root < square { root + 1 } else { root };
        let blocks = Fixed::ratio(bits, Units::BLOCK.to_bits()).ok_or(BadWish::Nothing)?;
        let never = blocks.exp_minus().ceil_times(u128::from(crate::solvency::PER_BILLION));
        Ok(Meaning {
            millis,
            variation_bps: u32::try_from(root).unwrap_or(u32::MAX),
            loan: Units::from_bits(bits / 2),
            never_paid_per_billion: u32::try_from(never).unwrap_or(u32::MAX),
            shares: millis / share_interval_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KASPA_5_PERCENT: BlockRate = BlockRate { interval_ms: 100, part_ppm: 50_000 };

    fn blocks(count: u128) -> Units {
        Units::from_bits(count << 88)
    }

    #[test]
    fn the_published_choices() {
        let rates = [
            (KASPA_5_PERCENT, [8u64, 200, 20_000]),
            (BlockRate { interval_ms: 500, part_ppm: 100_000 }, [20, 500, 50_000]),
            (BlockRate { interval_ms: 600_000, part_ppm: 50_000 }, [48_000, 1_200_000, 120_000_000]),
        ];
        for (rate, seconds) in rates {
            for ((variation_bps, window), seconds) in
                [(5_000, 4), (1_000, 100), (100, 10_000)].into_iter().zip(seconds)
            {
                let wish = Wish { seconds: 0, variation_bps, share_interval_ms: 0, shares: 0 };
                let advice = rate.advise(&wish).unwrap();
                assert_eq!(advice.window, blocks(window));
                let meaning = rate.meaning(advice.window, 5_000).unwrap();
                assert_eq!(meaning.millis, seconds * 1_000);
                assert_eq!(meaning.variation_bps, u32::from(variation_bps));
                assert_eq!(meaning.loan, blocks(window / 2));
                assert_eq!(meaning.shares, seconds / 5);
            }
        }
    }

    #[test]
    fn a_rate_follows_from_work_for_large_pools_and_small() {
        let of =
            |pool, network| BlockRate::of_work(100, Work::new(pool).unwrap(), Work::new(network).unwrap());
        assert_eq!(of(5, 100), Some(KASPA_5_PERCENT));
        assert_eq!(of(5, 100).unwrap().pool_interval_ms(), Ok(2_000));
        assert_eq!(
            of(200, 100),
            Some(BlockRate { interval_ms: 100, part_ppm: 1_000_000 }),
            "no more than all"
        );
        // A ten-millionth of a network: a block each 10^9 ms, where millionths would say never.
        assert_eq!(of(1, 10_000_000).unwrap().pool_interval_ms(), Ok(1_000_000_000));
        assert_eq!(of(1, u128::MAX), None);
        let rate = BlockRate { interval_ms: u64::MAX, part_ppm: 1 };
        assert_eq!(rate.pool_interval_ms(), Err(BadWish::TooLong));
        assert_eq!(BlockRate { interval_ms: 0, part_ppm: 1 }.pool_interval_ms(), Err(BadWish::NoBlocks));
    }

    #[test]
    fn the_largest_of_three_is_the_advice() {
        let wish = Wish { seconds: 3_600, variation_bps: 1_000, share_interval_ms: 10_000, shares: 1_000 };
        let advice = KASPA_5_PERCENT.advise(&wish).unwrap();
        assert_eq!(
            (advice.by_time, advice.by_variation, advice.by_miner),
            (blocks(1_800), blocks(100), blocks(5_000))
        );
        assert_eq!(advice.window, blocks(5_000));
        assert_eq!(KASPA_5_PERCENT.meaning(advice.window, 10_000).unwrap().shares, 1_000);
    }

    #[test]
    fn shares_outside_every_block() {
        let of = |count| KASPA_5_PERCENT.meaning(blocks(count), 1).unwrap().never_paid_per_billion;
        assert_eq!([1, 2, 3, 5, 8].map(of), [367_879_442, 135_335_284, 49_787_069, 6_737_947, 335_463]);
    }

    #[test]
    fn what_cannot_be_wished() {
        let wish = Wish { seconds: 1, variation_bps: 100, share_interval_ms: 1, shares: 1 };
        for (interval_ms, part_ppm) in [(0, 1), (1, 0), (1, 1_000_001)] {
            let rate = BlockRate { interval_ms, part_ppm };
            assert_eq!(rate.advise(&wish), Err(BadWish::NoBlocks));
            assert_eq!(rate.meaning(blocks(1), 1), Err(BadWish::NoBlocks));
        }
        let of = |wish| KASPA_5_PERCENT.advise(&wish);
        assert_eq!(of(Wish { variation_bps: 0, ..wish }), Err(BadWish::NoVariation));
        assert_eq!(of(Wish { seconds: u64::MAX, ..wish }), Err(BadWish::TooLong));
        assert_eq!(KASPA_5_PERCENT.meaning(Units::ZERO, 1), Err(BadWish::Nothing));
        assert_eq!(KASPA_5_PERCENT.meaning(blocks(1), 0), Err(BadWish::Nothing));
    }
}
