//! A Merkle tree over what one split gave to whom, with two sums in every node: weights and whole units.
//!
//! Leaves stand by ascending account. A node without a neighbour goes up as it is. The root carries the sums of the
//! whole, so an account that is left out, or one that is there twice, changes what the statement says it paid.

use super::{BadProof, Digest, Hasher};
use crate::split::{Quota, Rounding};
use alloc::vec::Vec;
use pool_core::id::MinerId;
use pool_core::units::{Amount, BasisPoints, Units};
use serde::{Deserialize, Serialize};

const LEAF: u8 = 0x10;
const NODE: u8 = 0x11;

/// What one account got out of a split, before its fee.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Who.
    pub miner: MinerId,
    /// The fee its shares were accepted under, where fees are taken from accounts; else zero.
    pub fee: BasisPoints,
    /// Its weight.
    pub weight: Units,
    /// Whole units credited, the fee not taken yet.
    pub gross: Amount,
    /// What is left of its entitlements so far, in `2^-64` units; zero without a residual ledger.
    pub residue: u64,
}

impl Part {
    /// The fee out of the gross units, rounded down.
    #[must_use]
    pub fn fee_amount(&self) -> Amount {
        self.fee.of(self.gross)
    }

    /// Checks that the gross units are what the weight is due out of `pot`, by the rule.
    ///
    /// Under the residual ledger this is exact: the residue after it shows whether a unit was carried. Under the
    /// others the amount is the quota rounded down or up.
    ///
    /// # Errors
    /// [`BadProof::Amount`].
    pub fn verify(&self, pot: Amount, budget: Units, rounding: Rounding) -> Result<(), BadProof> {
        let quota = Quota::new(pot, self.weight.to_bits(), budget.to_bits()).ok_or(BadProof::Overflow)?;
        let above = self.gross.get().checked_sub(quota.whole).ok_or(BadProof::Amount)?;
        let due = match rounding {
            // The sum of two fractions wrapped if what is left is less than one of them.
            Rounding::ResidualLedger => above == u128::from(self.residue < quota.fraction),
            Rounding::FloorCarry => above == 0,
            Rounding::LargestRemainder | Rounding::CumulativeFloor => above <= 1,
        };
        if due { Ok(()) } else { Err(BadProof::Amount) }
    }
}

/// A subtree: its sums and its hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SumNode {
    /// All weights under it.
    pub weight: Units,
    /// All gross units under it.
    pub gross: Amount,
    /// Its hash.
    pub hash: Digest,
}

impl SumNode {
    fn leaf(part: &Part) -> Self {
        let hash = Hasher::new(LEAF)
            .bytes(part.miner.as_str().as_bytes())
            .u16(part.fee.get())
            .u128(part.weight.to_bits())
            .u128(part.gross.get())
            .u64(part.residue)
            .end();
        Self { weight: part.weight, gross: part.gross, hash }
    }

    fn join(left: &Self, right: &Self) -> Option<Self> {
        let side = |hasher: Hasher, node: &Self| {
            hasher.u128(node.weight.to_bits()).u128(node.gross.get()).digest(&node.hash)
        };
        Some(Self {
            weight: left.weight.checked_add(right.weight)?,
            gross: left.gross.checked_add(right.gross)?,
            hash: side(side(Hasher::new(NODE), left), right).end(),
        })
    }
}

/// The root of a tree of `accounts` leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SumRoot {
    /// How many leaves.
    pub accounts: u64,
    /// All weights.
    pub weight: Units,
    /// All gross units.
    pub gross: Amount,
    /// The hash at the top.
    pub root: Digest,
}

fn level_up(level: &[SumNode]) -> Option<Vec<SumNode>> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => SumNode::join(left, right),
            [alone] => Some(*alone),
            _ => None,
        })
        .collect()
}

/// The root over parts in ascending order; `None` when a sum passes its range.
#[must_use]
pub fn root(parts: &[Part]) -> Option<SumRoot> {
    let mut level: Vec<SumNode> = parts.iter().map(SumNode::leaf).collect();
    while level.len() > 1 {
        level = level_up(&level)?;
    }
    let top = level.first().copied().unwrap_or_default();
    Some(SumRoot { accounts: parts.len() as u64, weight: top.weight, gross: top.gross, root: top.hash })
}

/// One account's part of a split with the way to the root: 80 bytes per level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartProof {
    /// Which of the statement's splits, 0 the first.
    pub split: usize,
    /// Its place among the accounts, 0 the first.
    pub index: u64,
    /// What it got.
    pub part: Part,
    /// Siblings, the lowest first; levels where it stands alone have none.
    pub path: Vec<SumNode>,
}

impl PartProof {
    /// The way from the part at `index` to the root of `parts`; `None` outside of them.
    #[must_use]
    pub fn of(split: usize, parts: &[Part], index: usize) -> Option<Self> {
        let part = parts.get(index)?.clone();
        let mut level: Vec<SumNode> = parts.iter().map(SumNode::leaf).collect();
        let (mut place, mut path) = (index, Vec::new());
        while level.len() > 1 {
            path.extend(level.get(place ^ 1).copied());
            place /= 2;
            level = level_up(&level)?;
        }
        Some(Self { split, index: index as u64, part, path })
    }

    /// Checks the way to `root`.
    ///
    /// # Errors
    /// [`BadProof`].
    pub fn verify(&self, root: &SumRoot) -> Result<(), BadProof> {
        if self.index >= root.accounts {
            return Err(BadProof::Shape);
        }
        let mut node = SumNode::leaf(&self.part);
        let (mut place, mut count) = (self.index, root.accounts);
        let mut path = self.path.iter();
        while count > 1 {
            if place ^ 1 < count {
                let sibling = path.next().ok_or(BadProof::Shape)?;
                let (left, right) = if place & 1 == 1 { (sibling, &node) } else { (&node, sibling) };
                node = SumNode::join(left, right).ok_or(BadProof::Overflow)?;
            }
            place /= 2;
            count = count.div_ceil(2);
        }
        if path.next().is_some() {
            return Err(BadProof::Shape);
        }
        let found =
            SumRoot { accounts: root.accounts, weight: node.weight, gross: node.gross, root: node.hash };
        if found == *root { Ok(()) } else { Err(BadProof::Root) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(list: &[(u64, u64)]) -> Vec<Part> {
        let part = |(index, (weight, gross)): (usize, &(u64, u64))| Part {
            miner: MinerId::new(&alloc::format!("miner-{index:05}")).unwrap(),
            fee: BasisPoints::ZERO,
            weight: Units::from_bits((*weight).into()),
            gross: Amount::new((*gross).into()),
            residue: 0,
        };
        list.iter().enumerate().map(part).collect()
    }

    #[test]
    fn a_proof_among_a_hundred_thousand_stays_small() {
        let list: Vec<(u64, u64)> = (0..100_000).map(|index| (index, index)).collect();
        let parts = parts(&list);
        let root = root(&parts).unwrap();
        let proof = PartProof::of(0, &parts, 77_777).unwrap();
        assert_eq!(proof.verify(&root), Ok(()));
        assert!(serde_json::to_string(&proof).unwrap().len() < 4_096);
    }

    proptest! {
        #[test]
        fn every_part_is_proved_and_no_other(
            list in proptest::collection::vec((any::<u64>(), any::<u64>()), 1..50), chosen: prop::sample::Index
        ) {
            let parts = parts(&list);
            let root = root(&parts).unwrap();
            prop_assert_eq!(root.gross.get(), list.iter().map(|(_, gross)| u128::from(*gross)).sum::<u128>());
            let index = chosen.index(list.len());
            let proof = PartProof::of(0, &parts, index).unwrap();
            prop_assert_eq!(proof.verify(&root), Ok(()));
            let mut more = proof.clone();
            more.part.gross = Amount::new(more.part.gross.get() + 1);
            prop_assert_eq!(more.verify(&root), Err(BadProof::Root));
            let mut heavier = proof.clone();
            heavier.part.weight = Units::from_bits(heavier.part.weight.to_bits() + 1);
            prop_assert_eq!(heavier.verify(&root), Err(BadProof::Root));
            let mut longer = proof.clone();
            longer.path.push(SumNode::default());
            prop_assert!(longer.verify(&root).is_err());
            let mut elsewhere = proof;
            elsewhere.index = root.accounts;
            prop_assert_eq!(elsewhere.verify(&root), Err(BadProof::Shape));
        }
    }
}
