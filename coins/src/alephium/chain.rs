//! Four groups of addresses, sixteen chains between them.
//!
//! A block of chain `from → to` moves money from addresses of one group to addresses of another. Which chain a block
//! belongs to is decided by its hash alone: the last two bytes modulo 16, which are its last four bits. Source:
//! alephium/alephium, `protocol/…/model/ChainIndex.scala`.

use std::fmt;

/// Address groups.
pub const GROUPS: usize = 4;
/// Chains: one from each group to each.
pub const CHAINS: usize = GROUPS * GROUPS;

/// A group of addresses, `0..=3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(u8);

impl Group {
    /// All four.
    pub const ALL: [Self; GROUPS] = [Self(0), Self(1), Self(2), Self(3)];

    /// The group of this number; `None` from 4 on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < GROUPS as u8 { Some(Self(number)) } else { None }
    }

    /// The group of a number whose upper bits do not matter.
    pub(crate) const fn of_low_bits(number: u8) -> Self {
        Self(number % GROUPS as u8)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Its place in a list of four.
    #[must_use]
    pub const fn place(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of the sixteen chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainIndex(u8);

impl ChainIndex {
    /// The chain from one group to another.
    #[must_use]
    pub const fn new(from: Group, to: Group) -> Self {
        Self(from.0 * GROUPS as u8 + to.0)
    }

    /// The chain between two group numbers as nodes and miners write them; `None` when one is no group.
    #[must_use]
    pub fn of_numbers(from: u32, to: u32) -> Option<Self> {
        let group = |number| u8::try_from(number).ok().and_then(Group::new);
        Some(Self::new(group(from)?, group(to)?))
    }

    /// The chain at a place in the order of all, `0..16`.
    #[must_use]
    pub const fn of_place(place: u8) -> Option<Self> {
        if place < CHAINS as u8 { Some(Self(place)) } else { None }
    }

    /// The chain that a block with this hash belongs to.
    #[must_use]
    pub const fn of_hash(hash: &[u8; 32]) -> Self {
        // Two bytes big-endian modulo 16 are four bits.
        Self(hash[31] % CHAINS as u8)
    }

    /// All sixteen, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..CHAINS as u8).map(Self)
    }

    /// The group that pays.
    #[must_use]
    pub const fn from(self) -> Group {
        Group(self.0 / GROUPS as u8)
    }

    /// The group that is paid; its address of the pool gets the reward.
    #[must_use]
    pub const fn to(self) -> Group {
        Group(self.0 % GROUPS as u8)
    }

    /// Its place among all: `4 × from + to`.
    #[must_use]
    pub const fn place(self) -> u8 {
        self.0
    }
}

impl fmt::Display for ChainIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},{})", self.from(), self.to())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_four_times_from_plus_to() {
        let chain = ChainIndex::of_numbers(1, 2).unwrap();
        assert_eq!(
            (chain.place(), chain.from().get(), chain.to().get(), chain.to_string()),
            (6, 1, 2, "(1,2)".into())
        );
        for (place, chain) in ChainIndex::all().enumerate() {
            assert_eq!(usize::from(chain.place()), place);
            assert_eq!(ChainIndex::new(chain.from(), chain.to()), chain);
            assert_eq!(ChainIndex::of_place(chain.place()), Some(chain));
        }
        assert_eq!(ChainIndex::of_place(16), None);
        assert_eq!(ChainIndex::of_numbers(4, 0), None);
        assert_eq!(ChainIndex::of_numbers(0, 256), None);
        let mut hash = [0xff; 32];
        hash[31] = 0x65;
        assert_eq!(ChainIndex::of_hash(&hash).to_string(), "(1,1)");
    }
}
