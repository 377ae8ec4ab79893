//! Many proofs on few cores: whoever comes while another proof is under way is taken along with the next.
//!
//! A hash from a cache mostly waits for memory, and four hashes walked at once take hardly longer than one
//! ([`LightCache::hash_many`](crate::hash::ethashb3::LightCache::hash_many)). So callers on different threads put their
//! work into one queue, and as many of them as there are cores to use take up to four pieces each and hash for the
//! others too. There is no thread here but the callers' own, and a single caller waits for nobody.

use super::epochs::EpochCache;
use crate::hash::ethashb3::Hashed;
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Pieces hashed at once.
const ABREAST: usize = 4;

/// The queue. Give it more callers than leaders, or there is nobody to take along.
#[derive(Debug)]
pub struct Prover {
    leaders_max: usize,
    queue: Mutex<Queue>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    next_ticket: u64,
    waiting: VecDeque<Piece>,
    done: HashMap<u64, Hashed>,
    leaders: usize,
}

#[derive(Clone, Debug)]
struct Piece {
    ticket: u64,
    cache: Arc<EpochCache>,
    header: [u8; 32],
    nonce: u64,
}

impl Prover {
    /// For so many threads that hash at the same time: as many as there are cores to spare.
    #[must_use]
    pub fn new(leaders_max: NonZeroUsize) -> Self {
        Self { leaders_max: leaders_max.get(), queue: Mutex::default(), news: Condvar::new() }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every state between two statements of the guarded code is whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hash of a sealed header and a nonce. Blocks for milliseconds.
    #[must_use]
    pub fn hash(&self, cache: &Arc<EpochCache>, header: &[u8; 32], nonce: u64) -> Hashed {
        if let Some(dataset) = cache.dataset() {
            return dataset.hash(header, nonce);
        }
        let mut queue = self.queue();
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        queue.waiting.push_back(Piece { ticket, cache: cache.clone(), header: *header, nonce });
        loop {
            if let Some(hashed) = queue.done.remove(&ticket) {
                return hashed;
            }
            if queue.leaders == self.leaders_max || queue.waiting.is_empty() {
                queue = self.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let pieces = queue.take();
            queue.leaders += 1;
            drop(queue);
            let hashes = hash_all(&pieces);
            queue = self.queue();
            queue.leaders -= 1;
            queue.done.extend(pieces.iter().map(|piece| piece.ticket).zip(hashes));
            self.news.notify_all();
        }
    }
}

impl Queue {
    /// The oldest pieces of one cache.
    fn take(&mut self) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::with_capacity(ABREAST);
        while pieces.len() < ABREAST
            && let Some(next) = self.waiting.front()
            && pieces.first().is_none_or(|first| Arc::ptr_eq(&first.cache, &next.cache))
        {
            pieces.extend(self.waiting.pop_front());
        }
        pieces
    }
}

fn hash_all(pieces: &[Piece]) -> Vec<Hashed> {
    let Some(first) = pieces.first() else { return Vec::new() };
    if pieces.len() == 1 {
        return vec![first.cache.light().hash(&first.header, first.nonce)];
    }
    // Fewer than four are filled up with the first again: it costs nothing beside.
    let work = [0, 1, 2, 3].map(|place| {
        let piece = pieces.get(place).unwrap_or(first);
        (&piece.header, piece.nonce)
    });
    first.cache.light().hash_many(work)[..pieces.len().min(ABREAST)].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::ethashb3::{LightCache, Sizes};

    fn tiny(seed: u8) -> Arc<EpochCache> {
        let sizes = Sizes { cache_rows: 61, dataset_pages: 251 };
        Arc::new(EpochCache::of(LightCache::with_sizes(&[seed; 32], sizes)))
    }

    #[test]
    fn many_callers_on_two_caches_get_each_their_own_hash() {
        let caches = [tiny(1), tiny(2)];
        for leaders in [1, 2, 3] {
            let prover = Prover::new(NonZeroUsize::new(leaders).unwrap());
            std::thread::scope(|scope| {
                for caller in 0..12u64 {
                    let (prover, caches) = (&prover, &caches);
                    scope.spawn(move || {
                        for round in 0..20 {
                            let cache = &caches[((caller + round) % 2) as usize];
                            let (header, nonce) = ([caller as u8; 32], round);
                            let expected = cache.light().hash(&header, nonce);
                            assert_eq!(prover.hash(cache, &header, nonce), expected);
                        }
                    });
                }
            });
            let queue = prover.queue();
            assert!(queue.waiting.is_empty() && queue.done.is_empty() && queue.leaders == 0);
        }
    }
}
