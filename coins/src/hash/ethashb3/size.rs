//! Epochs: which cache and which dataset a block is hashed with, and how large they are.

use super::sponge::keccak256;
use std::fmt;

/// Blocks of one epoch.
pub const EPOCH_BLOCKS: u64 = 32_000;

/// A run of [`EPOCH_BLOCKS`] blocks with one cache. Range: `0..2048`, as far as the chain's library has sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u16);

/// An epoch past the last one that sizes are defined for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("block is past epoch {}, the last one with a dataset", Epoch::LAST.get())]
pub struct TooLate;

impl Epoch {
    /// The last one.
    pub const LAST: Self = Self(2047);

    /// # Errors
    /// [`TooLate`] past [`Epoch::LAST`].
    pub const fn new(number: u64) -> Result<Self, TooLate> {
        if number > Self::LAST.0 as u64 { Err(TooLate) } else { Ok(Self(number as u16)) }
    }

    /// The epoch of a block.
    ///
    /// # Errors
    /// [`TooLate`] from block 65 536 000 on.
    pub const fn of_block(number: u64) -> Result<Self, TooLate> {
        Self::new(number / EPOCH_BLOCKS)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The one after it, if there is one.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        if self.0 == Self::LAST.0 { None } else { Some(Self(self.0 + 1)) }
    }

    /// The one before it, if there is one.
    #[must_use]
    pub const fn previous(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// What its cache is made from: Keccak-256, as often as its number says, of 32 zero bytes.
    #[must_use]
    pub fn seed_hash(self) -> [u8; 32] {
        (0..self.0).fold([0; 32], |seed, _| keccak256(&seed))
    }

    /// How large its cache and its dataset are. Costs some hundred divisions.
    #[must_use]
    pub fn sizes(self) -> Sizes {
        let epoch = u32::from(self.0);
        Sizes {
            cache_rows: prime_below((1 << 18) + (1 << 11) * epoch),
            dataset_pages: prime_below((1 << 23) + (1 << 16) * epoch),
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The sizes of one epoch's cache and dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Rows of 64 bytes.
    pub cache_rows: u32,
    /// Pages of 128 bytes.
    pub dataset_pages: u32,
}

impl Sizes {
    /// Bytes of the cache.
    #[must_use]
    pub const fn cache_bytes(self) -> u64 {
        self.cache_rows as u64 * 64
    }

    /// Bytes of the dataset.
    #[must_use]
    pub const fn dataset_bytes(self) -> u64 {
        self.dataset_pages as u64 * 128
    }
}

/// The largest prime below an even number.
fn prime_below(even: u32) -> u32 {
    (1..even).rev().step_by(2).find(|number| is_prime(*number)).unwrap_or(2)
}

fn is_prime(odd: u32) -> bool {
    (3..)
        .step_by(2)
        .take_while(|divisor| u64::from(*divisor) * u64::from(*divisor) <= u64::from(odd))
        .all(|divisor: u32| !odd.is_multiple_of(divisor))
}
