//! The blocks by which FPPS averages fees, as the operator publishes them: a day's list, trimmed and meant.
//!
//! Shares of a day are paid by what the network's blocks of that day brought in; yesterday's list for today's shares
//! would make fee spikes hoppable. The list holds every block that was found, with what it really paid: a block without
//! transactions counts, one that the chain paid nothing for (red, lost) stands at zero, and an uncle stands with its own
//! reward. So the mean over it is what an expected block is worth on a graph of blocks or with uncles as well as on a
//! line. It is a ratio of sums, and knows neither halvings nor a table of subsidies.
//!
//! A list goes on record before the period it prices is paid, as a ledger entry that moves nothing, and can never be
//! changed then. Which list priced a period stands in the period's entry, by its hash.

use crate::tally::Rate;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use pool_core::id::BlockId;
use pool_core::ledger::Cause;
use pool_core::units::Amount;
use serde::{Deserialize, Serialize};

/// The most blocks of one list. A day of two blocks a second fits; where a chain has ten, what an expected block is
/// worth is measured well enough on the pool's own
/// ([`BlockValue::Realised`](crate::scheme::BlockValue::Realised)).
pub const BLOCKS_MAX: usize = 200_000;

/// One of the network's blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceBlock {
    /// Its hash.
    pub id: BlockId,
    /// Its height, or what stands for it on its chain: breaks ties between equal fees.
    pub height: u64,
    /// What it made new. Unit: smallest units, as all amounts.
    pub subsidy: Amount,
    /// What its transactions paid.
    pub fees: Amount,
}

/// A list that prices nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadReference {
    /// A block that is there twice.
    #[error("block {0} is in the list twice")]
    Repeated(BlockId),
    /// Nothing is left after trimming.
    #[error("{blocks} blocks, of which {trim} are dropped at each end: none is left")]
    Empty {
        /// How many there are.
        blocks: usize,
        /// How many are dropped at each end.
        trim: u32,
    },
    /// More than [`BLOCKS_MAX`].
    #[error("more than {} blocks", BLOCKS_MAX)]
    TooMany,
    /// Amounts past the range.
    #[error("the amounts up to block {0} sum past 2^120")]
    Overflow(BlockId),
}

/// The reference blocks of one period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Listed")]
pub struct Reference {
    /// The length of the period, in milliseconds: 86 400 000 for a day of universal time.
    period_ms: u64,
    /// Its number since 1970.
    number: u64,
    /// By ascending fees, then height, then hash.
    blocks: Vec<ReferenceBlock>,
}

/// A list as it was written, not checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    period_ms: u64,
    number: u64,
    blocks: Vec<ReferenceBlock>,
}

impl TryFrom<Listed> for Reference {
    type Error = BadReference;

    fn try_from(list: Listed) -> Result<Self, BadReference> {
        Self::new(list.period_ms, list.number, list.blocks)
    }
}

impl Reference {
    /// The list of period `number` of `period_ms` since 1970. The order of `blocks` does not matter.
    ///
    /// # Errors
    /// [`BadReference::Repeated`], [`BadReference::TooMany`].
    pub fn new(period_ms: u64, number: u64, mut blocks: Vec<ReferenceBlock>) -> Result<Self, BadReference> {
        if blocks.len() > BLOCKS_MAX {
            return Err(BadReference::TooMany);
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = blocks.iter().find(|block| !seen.insert(block.id)) {
            return Err(BadReference::Repeated(twice.id));
        }
        blocks.sort_unstable_by_key(|block| (block.fees, block.height, block.id));
        Ok(Self { period_ms, number, blocks })
    }

    /// The blocks, by ascending fees, then height, then hash.
    #[must_use]
    pub fn blocks(&self) -> &[ReferenceBlock] {
        &self.blocks
    }

    /// The cause under which it goes on record.
    #[must_use]
    pub fn cause(&self) -> Cause {
        reference_cause(self.period_ms, self.number)
    }

    /// The canonical text: what is written down and hashed.
    #[must_use]
    pub fn canonical(&self) -> String {
        serde_json::to_string(self).expect("a list has text keys only")
    }

    /// BLAKE3 of [`Reference::canonical`], in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> String {
        blake3::hash(self.canonical().as_bytes()).to_hex().as_str().into()
    }

    /// What an expected block was worth: the mean without the `trim` blocks of the lowest and of the highest fees,
    /// which leave both sums.
    ///
    /// # Errors
    /// [`BadReference::Empty`], [`BadReference::Overflow`].
    pub fn rate(&self, trim: u32) -> Result<Rate, BadReference> {
        let dropped = trim as usize;
        let empty = BadReference::Empty { blocks: self.blocks.len(), trim };
        let kept =
            self.blocks.len().checked_sub(dropped.saturating_mul(2)).filter(|kept| *kept > 0).ok_or(empty)?;
        let mut sum = Amount::ZERO;
        for block in &self.blocks[dropped..dropped + kept] {
            let parts = [sum, block.subsidy, block.fees];
            sum = Amount::checked_sum(parts)
                .filter(|sum| sum.get() < 1 << 120)
                .ok_or(BadReference::Overflow(block.id))?;
        }
        Ok(Rate { value: sum, blocks: u32::try_from(kept).expect("a list is shorter") })
    }
}

/// The cause under which the list of a period goes on record.
#[must_use]
pub fn reference_cause(period_ms: u64, number: u64) -> Cause {
    Cause::Adjustment(format!("reference/{period_ms}/{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(number: u8, subsidy: u128, fees: u128) -> ReferenceBlock {
        let (subsidy, fees) = (Amount::new(subsidy), Amount::new(fees));
        ReferenceBlock { id: BlockId::new([number; 32]), height: number.into(), subsidy, fees }
    }

    #[test]
    fn both_ends_leave_both_sums() {
        let list = Reference::new(
            86_400_000,
            7,
            alloc::vec![
                block(1, 100, 0),
                block(2, 100, 900),
                block(3, 100, 10),
                block(4, 50, 20),
                block(5, 0, 0),
            ],
        )
        .unwrap();
        assert_eq!(list.rate(0), Ok(Rate { value: Amount::new(1_280), blocks: 5 }));
        // The lost block and the empty one have equal fees: the lower height is dropped first.
        assert_eq!(list.rate(1), Ok(Rate { value: Amount::new(180), blocks: 3 }));
        assert_eq!(list.rate(2), Ok(Rate { value: Amount::new(110), blocks: 1 }));
        assert_eq!(list.rate(3), Err(BadReference::Empty { blocks: 5, trim: 3 }));
        assert_eq!(list.rate(u32::MAX), Err(BadReference::Empty { blocks: 5, trim: u32::MAX }));
        assert_eq!(list.cause().to_string(), "adjustment/reference/86400000/7");
        let heights: Vec<u64> = list.blocks().iter().map(|block| block.height).collect();
        assert_eq!(heights, [1, 5, 3, 4, 2], "by fees, and by height where they are equal");
        let digest = blake3::hash(list.canonical().as_bytes());
        assert_eq!(list.hash(), hex::encode(digest.as_bytes()));
    }

    #[test]
    fn lists_that_price_nothing_name_their_block() {
        let twice = Reference::new(1_000, 1, alloc::vec![block(1, 1, 1), block(2, 1, 1), block(1, 2, 2)]);
        assert_eq!(twice, Err(BadReference::Repeated(BlockId::new([1; 32]))));
        let most = (1u128 << 120) - 1;
        let widest = Reference::new(1_000, 1, alloc::vec![block(1, 1, 0), block(2, most - 2, 1)]).unwrap();
        assert_eq!(widest.rate(0).map(|rate| rate.value), Ok(Amount::new(most)));
        let wider = Reference::new(1_000, 1, alloc::vec![block(1, 1, 0), block(2, most - 1, 1)]).unwrap();
        assert_eq!(wider.rate(0), Err(BadReference::Overflow(BlockId::new([2; 32]))));
        let wide = Reference::new(1_000, 1, alloc::vec![block(1, 1, 0), block(2, u128::MAX, 1)]).unwrap();
        assert_eq!(wide.rate(0), Err(BadReference::Overflow(BlockId::new([2; 32]))));
        assert_eq!(
            Reference::new(1_000, 1, Vec::new()).unwrap().rate(0),
            Err(BadReference::Empty { blocks: 0, trim: 0 })
        );
    }

    proptest! {
        #[test]
        fn the_order_in_which_blocks_are_given_changes_nothing(
            fees in proptest::collection::vec(0u64..5, 1..40), seed: u64, trim in 0u32..4
        ) {
            let mut blocks: Vec<ReferenceBlock> =
                (0u8..).zip(&fees).map(|(number, fees)| block(number, 7, (*fees).into())).collect();
            let list = Reference::new(60_000, 3, blocks.clone()).unwrap();
            let count = blocks.len() as u64;
            for index in 1..count {
                blocks.swap(index as usize, (seed.wrapping_mul(index) % (index + 1)) as usize);
            }
            let other = Reference::new(60_000, 3, blocks).unwrap();
            prop_assert_eq!((list.hash(), list.rate(trim)), (other.hash(), other.rate(trim)));
            let read: Reference = serde_json::from_str(&list.canonical()).unwrap();
            prop_assert_eq!(read, list);
        }
    }
}
