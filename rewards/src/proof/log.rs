//! A Merkle mountain range over shares, with units summed in every node.
//!
//! Shares are leaves in the order of the log. Whenever two perfect trees of equal height stand side by side they
//! become one, so a log of `n` shares is at most 64 perfect trees, its peaks, and appending costs two hashes on average.
//! A node's hash covers the sums of its children, and a leaf's hash covers where its share begins on the line of work;
//! so a path to the root proves both that the share is there and that all work before it adds up to its position.

use super::{BadProof, Digest, Hasher};
use crate::codec::{BadSnapshot, Reader, Writer};
use alloc::vec::Vec;
use pool_core::id::ShareSeq;
use pool_core::share::LoggedShare;
use pool_core::units::Units;
use serde::{Deserialize, Serialize};

/// Shares to a segment. Unit: shares, a power of two. What is published before a block is the root at the end of the last
/// whole segment: it changes seldom enough to be compared by hand, and often enough that hardly any work is behind it.
pub const SEGMENT_SHARES: u64 = 256;

const LEAF: u8 = 0x00;
const NODE: u8 = 0x01;
const ROOT: u8 = 0x02;

/// A perfect tree: its shares' units and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// All units under it.
    pub units: Units,
    /// Its hash.
    pub hash: Digest,
}

impl Node {
    /// The leaf of a share that begins at `start` on the line of work.
    ///
    /// Covers place, position, units, account, work, chain and the evidence by which the proof of work can be
    /// computed again.
    #[must_use]
    pub fn leaf(share: &LoggedShare, start: Units) -> Self {
        let record = &share.record;
        let hash = Hasher::new(LEAF)
            .u64(share.seq.get())
            .u128(start.to_bits())
            .u128(record.units.to_bits())
            .bytes(record.worker.miner.as_str().as_bytes())
            .u128(record.work.get())
            .u16(record.chain)
            .bytes(record.evidence.bytes())
            .end();
        Self { units: record.units, hash }
    }

    fn join(left: Self, right: Self) -> Option<Self> {
        let units = left.units.checked_add(right.units)?;
        let hash = Hasher::new(NODE)
            .u128(left.units.to_bits())
            .digest(&left.hash)
            .u128(right.units.to_bits())
            .digest(&right.hash)
            .end();
        Some(Self { units, hash })
    }
}

/// What a log holds up to a share, in 56 bytes and a hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRoot {
    /// How many shares.
    pub shares: u64,
    /// All their units.
    pub units: Units,
    /// The hash over all peaks.
    pub root: Digest,
}

/// The growing end of a mountain range: its peaks, highest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    shares: u64,
    units: Units,
    peaks: Vec<Node>,
}

impl Peaks {
    /// Appends a share; `None`, and nothing changed, when the units pass their range.
    pub fn push(&mut self, share: &LoggedShare) -> Option<()> {
        self.push_leaf(Node::leaf(share, self.units))
    }

    fn push_leaf(&mut self, leaf: Node) -> Option<()> {
        let units = self.units.checked_add(leaf.units)?;
        // As many peaks are as high as the new tree as the count has trailing ones.
        let mut tree = leaf;
        for _ in 0..self.shares.trailing_ones() {
            let left = self.peaks.pop().expect("a peak for every one in the count");
            tree = Node::join(left, tree).expect("no more than all units, which fit");
        }
        self.peaks.push(tree);
        self.shares += 1;
        self.units = units;
        Some(())
    }

    /// The root over all shares so far.
    #[must_use]
    pub fn root(&self) -> LogRoot {
        LogRoot { shares: self.shares, units: self.units, root: bag(self.shares, &self.peaks) }
    }

    /// The root at the end of the last whole segment of [`SEGMENT_SHARES`]; `None` before there is one.
    ///
    /// Needs no memory of that moment: the peaks of a whole number of segments are the higher ones of today.
    #[must_use]
    pub fn segment_root(&self) -> Option<LogRoot> {
        let shares = self.shares - self.shares % SEGMENT_SHARES;
        let peaks = &self.peaks[..shares.count_ones() as usize];
        let units = peaks.iter().try_fold(Units::ZERO, |sum, peak| sum.checked_add(peak.units))?;
        (shares > 0).then(|| LogRoot { shares, units, root: bag(shares, peaks) })
    }

    pub(crate) fn save(&self, out: &mut Writer) {
        out.u64(self.shares);
        out.u128(self.units.to_bits());
        out.length(self.peaks.len());
        for peak in &self.peaks {
            out.u128(peak.units.to_bits());
            for half in peak.hash.bytes().chunks(16) {
                out.u128(u128::from_be_bytes(half.try_into().expect("half of 32 bytes")));
            }
        }
    }

    pub(crate) fn load(from: &mut Reader<'_>) -> Result<Self, BadSnapshot> {
        let (shares, units) = (from.u64()?, Units::from_bits(from.u128()?));
        let peaks = from.list(|from| {
            let units = Units::from_bits(from.u128()?);
            let mut bytes = [0; 32];
            bytes[..16].copy_from_slice(&from.u128()?.to_be_bytes());
            bytes[16..].copy_from_slice(&from.u128()?.to_be_bytes());
            Ok(Node { units, hash: Digest::new(bytes) })
        })?;
        if peaks.len() != shares.count_ones() as usize {
            return Err(BadSnapshot("peaks do not fit their count"));
        }
        Ok(Self { shares, units, peaks })
    }
}

fn bag(shares: u64, peaks: &[Node]) -> Digest {
    let mut hasher = Hasher::new(ROOT).u64(shares);
    for peak in peaks {
        hasher = hasher.u128(peak.units.to_bits()).digest(&peak.hash);
    }
    hasher.end()
}

/// A share's place under a root: siblings from the leaf up to its peak, and the other peaks from the left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inclusion {
    /// The share's number from the log's beginning, 0 the first.
    pub index: u64,
    /// Siblings, the lowest first.
    pub path: Vec<Node>,
    /// All peaks but the share's own, the highest first.
    pub peaks: Vec<Node>,
}

/// The perfect trees of `count` leaves: the first leaf and the height of each, the highest first.
fn trees(count: u64) -> impl Iterator<Item = (u64, u32)> {
    let mut start = 0;
    (0..64).rev().filter(move |height| count >> height & 1 == 1).map(move |height| {
        let first = start;
        start += 1 << height;
        (first, height)
    })
}

impl Inclusion {
    /// The place of leaf `index` among all leaves of a log. Hashes the whole log; `None` outside of it.
    #[must_use]
    pub fn of(leaves: &[Node], index: u64) -> Option<Self> {
        let count = leaves.len() as u64;
        if index >= count {
            return None;
        }
        let mut inclusion = Self { index, path: Vec::new(), peaks: Vec::new() };
        for (first, height) in trees(count) {
            let (first_place, size) = (usize::try_from(first).ok()?, 1usize << height);
            let mut level = leaves[first_place..first_place + size].to_vec();
            let own = (first..first + size as u64).contains(&index);
            let mut place = usize::try_from(index.saturating_sub(first)).ok()?;
            while level.len() > 1 {
                if own {
                    inclusion.path.push(level[place ^ 1]);
                    place /= 2;
                }
                level = level.chunks(2).map(|pair| Node::join(pair[0], pair[1])).collect::<Option<_>>()?;
            }
            if !own {
                inclusion.peaks.push(level[0]);
            }
        }
        Some(inclusion)
    }

    /// Checks that `share` stands under `root`, and where: returns where it begins on the line of work.
    ///
    /// # Errors
    /// [`BadProof`].
    pub fn verify(&self, share: &LoggedShare, root: &LogRoot) -> Result<Units, BadProof> {
        let (peak, (first, height)) = trees(root.shares)
            .enumerate()
            .find(|(_, (first, height))| (*first..first + (1 << height)).contains(&self.index))
            .ok_or(BadProof::Shape)?;
        let peaks = root.shares.count_ones() as usize;
        if self.path.len() != height as usize || self.peaks.len() + 1 != peaks {
            return Err(BadProof::Shape);
        }
        // All work to the left of the share.
        let mut start = Units::ZERO;
        let mut add = |units: Units| {
            start = start.checked_add(units).ok_or(BadProof::Overflow)?;
            Ok(())
        };
        for left in &self.peaks[..peak] {
            add(left.units)?;
        }
        let inside = self.index - first;
        for (level, sibling) in self.path.iter().enumerate() {
            if inside >> level & 1 == 1 {
                add(sibling.units)?;
            }
        }
        let mut node = Node::leaf(share, start);
        for (level, sibling) in self.path.iter().enumerate() {
            let (left, right) = if inside >> level & 1 == 1 { (*sibling, node) } else { (node, *sibling) };
            node = Node::join(left, right).ok_or(BadProof::Overflow)?;
        }
        let mut all = self.peaks.clone();
        all.insert(peak, node);
        let total = all.iter().try_fold(Units::ZERO, |sum, peak| sum.checked_add(peak.units));
        if total != Some(root.units) || bag(root.shares, &all) != root.root {
            return Err(BadProof::Root);
        }
        if share.seq != ShareSeq::new(self.index + 1) {
            return Err(BadProof::Position);
        }
        Ok(start)
    }

    /// Checks that `share` is the one under `root` that covers `position` on the line of work: what a sampling audit
    /// asks for at positions nobody could choose.
    ///
    /// # Errors
    /// [`BadProof::Position`] when it covers another stretch; else as [`Inclusion::verify`].
    pub fn verify_at(&self, share: &LoggedShare, root: &LogRoot, position: Units) -> Result<(), BadProof> {
        let start = self.verify(share, root)?;
        let end = start.checked_add(share.record.units).ok_or(BadProof::Overflow)?;
        if start <= position && position < end { Ok(()) } else { Err(BadProof::Position) }
    }
}

/// The positions at which a sampling audit of a window opens shares: `H(block | j) mod work` behind its beginning.
///
/// A part `phi` of phantom work survives `k` openings with probability `(1 - phi)^k`.
pub fn sample(block: &[u8; 32], from: Units, to: Units, count: u32) -> impl Iterator<Item = Units> {
    let width = to.saturating_sub(from).to_bits();
    let block = *block;
    (0..count).filter(move |_| width > 0).filter_map(move |number| {
        let hash = Hasher::new(0x03).raw(&block).u64(u64::from(number)).end();
        let (high, low) = hash.bytes().split_at(16);
        let wide = |half: &[u8]| half.iter().fold(0u128, |value, byte| value << 8 | u128::from(*byte));
        // 256 random bits modulo at most 128: no position is favoured by more than 2^-128.
        let value = pool_core::units::U256::from(wide(high)) << 128 | pool_core::units::U256::from(wide(low));
        let offset = u128::try_from(value % pool_core::units::U256::from(width)).ok()?;
        from.checked_add(Units::from_bits(offset))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pool_core::id::{InstanceId, MinerId, Worker, WorkerName};
    use pool_core::share::{Evidence, ShareRecord};
    use pool_core::time::Timestamp;
    use pool_core::units::Work;
    use proptest::prelude::*;

    fn share(seq: u64, units: u128) -> LoggedShare {
        let worker = Worker { miner: MinerId::new("a").unwrap(), name: WorkerName::clean("w") };
        let record = ShareRecord {
            instance: InstanceId::new(1),
            at: Timestamp::from_millis(0),
            worker,
            work: Work::new(units + 1).unwrap(),
            units: Units::from_bits(units),
            chain: 0,
            evidence: Evidence::new(&seq.to_be_bytes()).unwrap(),
            block: None,
        };
        LoggedShare { seq: ShareSeq::new(seq), record }
    }

    proptest! {
        #[test]
        fn every_share_is_proved_where_it_stands_and_nowhere_else(
            units in proptest::collection::vec(0u128..1 << 90, 1..70), chosen: prop::sample::Index, flip: u8
        ) {
            let shares: Vec<LoggedShare> =
                units.iter().enumerate().map(|(index, units)| share(index as u64 + 1, *units)).collect();
            let mut peaks = Peaks::default();
            let (mut leaves, mut start) = (Vec::new(), Units::ZERO);
            let mut starts = Vec::new();
            for share in &shares {
                leaves.push(Node::leaf(share, start));
                starts.push(start);
                start = start.checked_add(share.record.units).unwrap();
                peaks.push(share).unwrap();
            }
            let root = peaks.root();
            prop_assert_eq!((root.shares, root.units), (units.len() as u64, start));
            let index = chosen.index(units.len());
            let proof = Inclusion::of(&leaves, index as u64).unwrap();
            prop_assert_eq!(proof.verify(&shares[index], &root), Ok(starts[index]));
            if units[index] > 0 {
                prop_assert_eq!(proof.verify_at(&shares[index], &root, starts[index]), Ok(()));
                let end = starts[index].checked_add(shares[index].record.units).unwrap();
                prop_assert_eq!(proof.verify_at(&shares[index], &root, end), Err(BadProof::Position));
            }
            // Another share, other units, another place, another count, a bent sibling: refused.
            let mut other = shares[index].clone();
            other.record.units = Units::from_bits(units[index] + 1);
            prop_assert!(proof.verify(&other, &root).is_err());
            let mut moved = proof.clone();
            moved.index ^= 1;
            prop_assert!(moved.verify(&shares[index], &root).is_err());
            let fewer = LogRoot { shares: root.shares + 1, ..root };
            prop_assert!(proof.verify(&shares[index], &fewer).is_err());
            let lighter = LogRoot { units: Units::from_bits(root.units.to_bits() + 1), ..root };
            prop_assert!(proof.verify(&shares[index], &lighter).is_err());
            let mut bent = proof.clone();
            if let Some(node) = bent.path.first_mut().or(bent.peaks.first_mut()) {
                // Moving units from one side of the tree to the other changes every hash above.
                node.units = Units::from_bits(node.units.to_bits() ^ (1 << (flip % 64)));
                prop_assert!(bent.verify(&shares[index], &root).is_err());
            }
            prop_assert_eq!(Inclusion::of(&leaves, units.len() as u64), None);
        }

        #[test]
        fn the_root_of_a_segment_is_the_root_when_it_closed(count in 0u64..1_500) {
            let (mut peaks, mut closed) = (Peaks::default(), None);
            for number in 1..=count {
                peaks.push(&share(number, u128::from(number))).unwrap();
                if number % SEGMENT_SHARES == 0 {
                    closed = Some(peaks.root());
                }
            }
            prop_assert_eq!(peaks.segment_root(), closed);
        }

        #[test]
        fn samples_fall_inside_and_are_the_same_for_everyone(block: [u8; 32], from in 0u128..1 << 100, width in 1u128..1 << 100) {
            let (from, to) = (Units::from_bits(from), Units::from_bits(from + width));
            let list: Vec<Units> = sample(&block, from, to, 8).collect();
            prop_assert_eq!(list.len(), 8);
            prop_assert!(list.iter().all(|position| (from..to).contains(position)));
            prop_assert_eq!(sample(&block, from, to, 8).collect::<Vec<_>>(), list);
            prop_assert_eq!(sample(&block, to, to, 8).count(), 0);
        }
    }
}
