//! A [`DifficultyCache`] in memory, bounded: who was written longest ago makes room.

use super::locked;
use crate::id::Worker;
use crate::ports::{DifficultyCache, StoreError};
use crate::units::Work;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use async_trait::async_trait;
use core::num::NonZeroUsize;
use std::collections::HashMap;
use std::sync::Mutex;

/// Last difficulties in memory. Names come from outside, so their number is bounded.
#[derive(Debug)]
pub struct MemoryDifficultyCache {
    workers_max: NonZeroUsize,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    /// Counts the writes; the least stamp is the oldest write.
    stamp: u64,
    works: HashMap<Worker, (u64, Work)>,
    by_stamp: BTreeMap<u64, Worker>,
}

impl MemoryDifficultyCache {
    /// A cache of at most `workers_max` workers.
    #[must_use]
    pub fn new(workers_max: NonZeroUsize) -> Self {
        Self { workers_max, cache: Mutex::default() }
    }
}

impl Default for MemoryDifficultyCache {
    /// At most 65 536 workers, some 20 MB when the names are long.
    fn default() -> Self {
        Self::new(NonZeroUsize::new(65_536).expect("65536 is not zero"))
    }
}

#[async_trait]
impl DifficultyCache for MemoryDifficultyCache {
    async fn get(&self, worker: &Worker) -> Result<Option<Work>, StoreError> {
        Ok(locked(&self.cache).works.get(worker).map(|&(_, work)| work))
    }

    async fn put(&self, worker: &Worker, work: Work) -> Result<(), StoreError> {
        let mut cache = locked(&self.cache);
        cache.stamp += 1;
        let stamp = cache.stamp;
        if let Some((before, _)) = cache.works.insert(worker.clone(), (stamp, work)) {
            cache.by_stamp.remove(&before);
        }
        cache.by_stamp.insert(stamp, worker.clone());
        while cache.works.len() > self.workers_max.get() {
            let Some((_, oldest)) = cache.by_stamp.pop_first() else { break };
            cache.works.remove(&oldest);
        }
        Ok(())
    }
}
