//! The cache of an epoch, and the dataset that is computed from it.

use super::size::{Epoch, Sizes};
use super::sponge::{keccak512, keccak512_row};
use super::{ACCESSES, Divisor, Hashed, MIX_WORDS, Page, Row, WORDS, Walk, bytes, fnv, result, seed, words};
use std::fmt;
use std::num::NonZeroUsize;

/// Rows mixed into one item.
const PARENTS: u32 = 256;
/// Passes over the cache.
const ROUNDS: usize = 3;
/// Items computed side by side when many are wanted: enough to keep the memory busy.
const ABREAST: usize = 8;

/// A row on a cache line of its own: a row that straddled two would cost two waits.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(Row);

/// An epoch's cache: from it every hash of the epoch can be computed. 16 MiB in epoch 0, 128 KiB more in each.
pub struct LightCache {
    rows: Box<[Line]>,
    row_count: Divisor,
    page_count: Divisor,
}

impl fmt::Debug for LightCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LightCache").field("sizes", &self.sizes()).finish_non_exhaustive()
    }
}

impl LightCache {
    /// The cache of an epoch. Blocks for half a second in epoch 0 and more in later ones: never on an I/O thread.
    #[must_use]
    pub fn build(epoch: Epoch) -> Self {
        Self::with_sizes(&epoch.seed_hash(), epoch.sizes())
    }

    /// A cache of other sizes, as private networks and tests have them. Sizes of zero count as one.
    #[must_use]
    pub fn with_sizes(seed_hash: &[u8; 32], sizes: Sizes) -> Self {
        let count = sizes.cache_rows.max(1);
        let row_count = Divisor::new(count);
        let mut rows = Vec::with_capacity(count as usize);
        let mut row = words(&keccak512(seed_hash));
        for _ in 0..count {
            rows.push(Line(row));
            row = keccak512_row(&row);
        }
        for _ in 0..ROUNDS {
            let mut before = rows[count as usize - 1].0;
            for place in 0..count as usize {
                let other = rows[row_count.remainder(rows[place].0[0]) as usize].0;
                for (word, other) in before.iter_mut().zip(other) {
                    *word ^= other;
                }
                before = keccak512_row(&before);
                rows[place].0 = before;
            }
        }
        let page_count = Divisor::new(sizes.dataset_pages.max(1));
        Self { rows: rows.into_boxed_slice(), row_count, page_count }
    }

    /// Its sizes.
    #[must_use]
    pub const fn sizes(&self) -> Sizes {
        Sizes { cache_rows: self.row_count.number, dataset_pages: self.page_count.number }
    }

    /// The bytes of one row, as others print them; `None` past the last.
    #[must_use]
    pub fn row(&self, place: u32) -> Option<[u8; 64]> {
        self.rows.get(place as usize).map(|line| bytes(&line.0))
    }

    /// The bytes of one item of the dataset. A number past the last item is computed all the same.
    #[must_use]
    pub fn item(&self, number: u32) -> [u8; 64] {
        let [item] = self.items([number]);
        bytes(&item)
    }

    /// Several items, walked side by side: while one waits for memory the others go on.
    #[inline(always)]
    fn items<const N: usize>(&self, numbers: [u32; N]) -> [Row; N] {
        let (rows, row_count) = (&*self.rows, self.row_count);
        let mut items = numbers.map(|number| {
            let mut item = rows[row_count.remainder(number) as usize].0;
            item[0] ^= number;
            keccak512_row(&item)
        });
        // The word that names the next row goes round: with 16 steps written out its place is a constant.
        for turn in 0..PARENTS / WORDS as u32 {
            for place in 0..WORDS {
                let step = turn * WORDS as u32 + place as u32;
                for (item, number) in items.iter_mut().zip(numbers) {
                    let row = &rows[row_count.remainder(fnv(number ^ step, item[place])) as usize].0;
                    for (word, other) in item.iter_mut().zip(row) {
                        *word = fnv(*word, *other);
                    }
                }
            }
        }
        items.map(|item| keccak512_row(&item))
    }

    /// The mix that a walk from `seed` ends in.
    #[must_use]
    pub fn mix(&self, seed: &[u8; 64]) -> [u8; 32] {
        let mut walk = Walk::new(seed);
        for step in 0..ACCESSES {
            let page = walk.page(step, self.page_count);
            walk.take(&join(self.items([2 * page, 2 * page + 1])));
        }
        walk.digest()
    }

    /// The hash of a sealed header and a nonce.
    #[must_use]
    pub fn hash(&self, header: &[u8; 32], nonce: u64) -> Hashed {
        let seed = seed(header, nonce);
        let mix = self.mix(&seed);
        Hashed { mix, result: result(&seed, &mix) }
    }

    /// Four hashes at once, in well under four times the time of one.
    #[must_use]
    pub fn hash_many(&self, work: [(&[u8; 32], u64); 4]) -> [Hashed; 4] {
        let seeds = work.map(|(header, nonce)| seed(header, nonce));
        let mut walks = seeds.map(|seed| Walk::new(&seed));
        for step in 0..ACCESSES {
            let pages = walks.each_ref().map(|walk| walk.page(step, self.page_count));
            let mut numbers = [0; 8];
            for (pair, page) in numbers.as_chunks_mut::<2>().0.iter_mut().zip(pages) {
                *pair = [2 * page, 2 * page + 1];
            }
            let items = self.items(numbers);
            for (walk, pair) in walks.iter_mut().zip(items.as_chunks::<2>().0) {
                walk.take(&join(*pair));
            }
        }
        let mut hashed = [Hashed { mix: [0; 32], result: [0; 32] }; 4];
        for ((hashed, walk), seed) in hashed.iter_mut().zip(&walks).zip(&seeds) {
            let mix = walk.digest();
            *hashed = Hashed { mix, result: result(seed, &mix) };
        }
        hashed
    }
}

fn join(pair: [Row; 2]) -> Page {
    let mut page = [0; MIX_WORDS];
    page[..WORDS].copy_from_slice(&pair[0]);
    page[WORDS..].copy_from_slice(&pair[1]);
    page
}

/// A page on cache lines of its own.
#[derive(Clone, Copy)]
#[repr(align(128))]
struct Leaf(Page);

/// An epoch's whole dataset: a gigabyte in epoch 0, 8 MiB more in each. A hash takes microseconds with it.
pub struct FullDataset {
    pages: Box<[Leaf]>,
    page_count: Divisor,
}

impl fmt::Debug for FullDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FullDataset").field("pages", &self.pages.len()).finish_non_exhaustive()
    }
}

impl FullDataset {
    /// The dataset of a cache. Blocks for minutes, on `threads` threads that end with the call.
    #[must_use]
    pub fn build(cache: &LightCache, threads: NonZeroUsize) -> Self {
        let mut pages = vec![Leaf([0; MIX_WORDS]); cache.page_count.number as usize].into_boxed_slice();
        // Whole groups of pages for each thread.
        let part = pages.len().div_ceil(threads.get()).next_multiple_of(ABREAST / 2);
        std::thread::scope(|scope| {
            for (place, part_pages) in pages.chunks_mut(part).enumerate() {
                let first = place * part;
                scope.spawn(move || fill(cache, first, part_pages));
            }
        });
        Self { pages, page_count: cache.page_count }
    }

    /// Bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.pages.len() as u64 * 128
    }

    /// The bytes of one item; `None` past the last.
    #[must_use]
    pub fn item(&self, number: u32) -> Option<[u8; 64]> {
        let page = self.pages.get(number as usize / 2)?;
        page.0.as_chunks::<WORDS>().0.get(number as usize % 2).map(bytes)
    }

    /// The hash of a sealed header and a nonce: the same as [`LightCache::hash`] of the dataset's cache.
    #[must_use]
    pub fn hash(&self, header: &[u8; 32], nonce: u64) -> Hashed {
        let seed = seed(header, nonce);
        let mut walk = Walk::new(&seed);
        for step in 0..ACCESSES {
            let page = walk.page(step, self.page_count);
            walk.take(&self.pages[page as usize].0);
        }
        let mix = walk.digest();
        Hashed { mix, result: result(&seed, &mix) }
    }
}

fn fill(cache: &LightCache, first: usize, pages: &mut [Leaf]) {
    let mut page = first as u32;
    for group in pages.chunks_mut(ABREAST / 2) {
        // The last group may be shorter: what is computed past it is dropped.
        let mut numbers = [0; ABREAST];
        for (number, item) in numbers.iter_mut().zip(2 * page..) {
            *number = item;
        }
        let items = cache.items(numbers);
        for (leaf, pair) in group.iter_mut().zip(items.as_chunks::<2>().0) {
            leaf.0 = join(*pair);
        }
        page += (ABREAST / 2) as u32;
    }
}
