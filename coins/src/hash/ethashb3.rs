//! EthashB3, Hypra's proof of work: Ethash with BLAKE3 at both ends, and epochs of 32 000 blocks.
//!
//! A hash walks 64 pages of a dataset of gigabytes. Miners hold the dataset; a pool need not, for every item of it can
//! be computed from a cache of megabytes ([`LightCache`]), 256 dependent look-ups each. What that costs is not
//! arithmetic but waiting for memory, 16 384 times in a row: so the two items of a page are walked side by side, and
//! [`LightCache::hash_many`] walks several hashes at once. [`FullDataset`] is for those who have the memory.
//!
//! What differs from Ethash: the length of an epoch; the 64-byte seed of the walk is BLAKE3, extended to 64 bytes, of the
//! sealed header's hash and the nonce in little-endian order; the result is BLAKE3 of that seed and the mix. The chain of
//! seed hashes, the cache and the dataset are those of Ethash, with Keccak as it was before SHA-3. Source: the chain's
//! node and its own library (behaviour), recomputed independently for the vectors in `testdata/`.
//!
//! Pure functions and values: nothing here knows of blocks but [`Epoch::of_block`], starts a thread or keeps a cache for
//! later.

mod cache;
mod size;
mod sponge;

pub use cache::{FullDataset, LightCache};
pub use size::{EPOCH_BLOCKS, Epoch, Sizes, TooLate};
pub use sponge::{keccak256, keccak512};

use pool_core::units::U256;

/// Words of a dataset item and of a cache row.
const WORDS: usize = 16;
/// Words of the mix: two items, one page.
const MIX_WORDS: usize = 2 * WORDS;
/// Pages a hash reads.
const ACCESSES: u32 = 64;
/// The multiplier of the mixing function.
const FNV_PRIME: u32 = 0x0100_0193;

/// One row of a cache, one item of a dataset: little-endian words.
type Row = [u32; WORDS];
/// Two items.
type Page = [u32; MIX_WORDS];

/// What a hash comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// The mix digest: a node wants it with the nonce.
    pub mix: [u8; 32],
    /// The result in the chain's byte order: big-endian.
    pub result: [u8; 32],
}

impl Hashed {
    /// The result as the integer that is compared with a target.
    #[must_use]
    pub const fn number(&self) -> U256 {
        U256::from_be_bytes(self.result)
    }
}

/// The 64 bytes a walk begins with. `header` is the seal hash: that of a header without mix and nonce.
#[must_use]
pub fn seed(header: &[u8; 32], nonce: u64) -> [u8; 64] {
    let mut input = [0; 40];
    input[..32].copy_from_slice(header);
    input[32..].copy_from_slice(&nonce.to_le_bytes());
    let mut seed = [0; 64];
    blake3::Hasher::new().update(&input).finalize_xof().fill(&mut seed);
    seed
}

/// The result of a walk that began with `seed` and ended in `mix`.
///
/// Cheap, so a claimed mix can be held against a target before the walk is done: a result that is too large with the
/// claimed mix is too large or a lie.
#[must_use]
pub fn result(seed: &[u8; 64], mix: &[u8; 32]) -> [u8; 32] {
    *blake3::Hasher::new().update(seed).update(mix).finalize().as_bytes()
}

/// The mixing function.
#[inline(always)]
const fn fnv(a: u32, b: u32) -> u32 {
    a.wrapping_mul(FNV_PRIME) ^ b
}

/// A divisor with its reciprocal: the remainder costs two multiplications and no division. Source: Lemire, Kaser and
/// Kurz, "Faster remainder by direct computation" (the rule).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Divisor {
    number: u32,
    reciprocal: u64,
}

impl Divisor {
    /// For a number of at least one.
    const fn new(number: u32) -> Self {
        // For 1 the reciprocal would be 2^64, and wraps to the 0 that makes every remainder 0.
        Self { number, reciprocal: (u64::MAX / number as u64).wrapping_add(1) }
    }

    #[inline(always)]
    const fn remainder(self, of: u32) -> u32 {
        let fraction = self.reciprocal.wrapping_mul(of as u64);
        ((fraction as u128 * self.number as u128) >> 64) as u32
    }
}

/// A walk under way: the mix so far.
#[derive(Clone, Copy, Debug)]
struct Walk {
    first: u32,
    mix: Page,
}

impl Walk {
    fn new(seed: &[u8; 64]) -> Self {
        let half = words(seed);
        let mut mix = [0; MIX_WORDS];
        mix[..WORDS].copy_from_slice(&half);
        mix[WORDS..].copy_from_slice(&half);
        Self { first: half[0], mix }
    }

    /// The page of step `step`.
    #[inline(always)]
    const fn page(&self, step: u32, pages: Divisor) -> u32 {
        pages.remainder(fnv(step ^ self.first, self.mix[step as usize % MIX_WORDS]))
    }

    #[inline(always)]
    fn take(&mut self, page: &Page) {
        for (word, other) in self.mix.iter_mut().zip(page) {
            *word = fnv(*word, *other);
        }
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = [0; 32];
        for (bytes, four) in digest.as_chunks_mut::<4>().0.iter_mut().zip(self.mix.as_chunks::<4>().0) {
            *bytes = fnv(fnv(fnv(four[0], four[1]), four[2]), four[3]).to_le_bytes();
        }
        digest
    }
}

/// 64 bytes as little-endian words.
fn words(bytes: &[u8; 64]) -> Row {
    let mut words = [0; WORDS];
    for (word, four) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*four);
    }
    words
}

/// The reverse of [`words`].
fn bytes(words: &Row) -> [u8; 64] {
    let mut bytes = [0; 64];
    for (four, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *four = word.to_le_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests;
