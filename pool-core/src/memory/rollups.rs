//! [`Rollups`] in memory.

use super::locked;
use crate::id::{ShareSeq, Worker};
use crate::ports::{Bucket, RollupQuery, Rollups, StoreError};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use async_trait::async_trait;
use std::sync::Mutex;

/// Sums per worker and minute in memory.
#[derive(Debug, Default)]
pub struct MemoryRollups(Mutex<Sums>);

#[derive(Debug, Default)]
struct Sums {
    upto: ShareSeq,
    /// Minute by minute, in each by worker.
    minutes: BTreeMap<u64, BTreeMap<Worker, Sum>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    shares: u64,
    work: u128,
}

impl Sums {
    fn sum(&self, minute: u64, worker: &Worker) -> Sum {
        self.minutes.get(&minute).and_then(|workers| workers.get(worker)).copied().unwrap_or_default()
    }
}

#[async_trait]
impl Rollups for MemoryRollups {
    async fn add(&self, upto: ShareSeq, buckets: &[Bucket]) -> Result<(), StoreError> {
        let mut sums = locked(&self.0);
        if upto <= sums.upto {
            return Ok(());
        }
        // All sums first, so that one out of range leaves the others as they were.
        let mut changed: BTreeMap<(u64, &Worker), Sum> = BTreeMap::new();
        for Bucket { worker, minute, shares, work } in buckets {
            let sum = changed.entry((*minute, worker)).or_insert_with(|| sums.sum(*minute, worker));
            let past = || StoreError::Corrupt(format!("the sums of {worker} pass their range"));
            sum.shares = sum.shares.checked_add(*shares).ok_or_else(past)?;
            sum.work = sum.work.checked_add(*work).ok_or_else(past)?;
        }
        for ((minute, worker), sum) in changed {
            sums.minutes.entry(minute).or_default().insert(worker.clone(), sum);
        }
        sums.upto = upto;
        Ok(())
    }

    async fn upto(&self) -> Result<ShareSeq, StoreError> {
        Ok(locked(&self.0).upto)
    }

    async fn series(&self, query: &RollupQuery) -> Result<Vec<Bucket>, StoreError> {
        // A range that ends before it begins is empty here, and a panic in the tree.
        if query.from >= query.to {
            return Ok(Vec::new());
        }
        let sums = locked(&self.0);
        let mut series = Vec::new();
        for (&minute, workers) in sums.minutes.range(query.from..query.to) {
            for (worker, &Sum { shares, work }) in workers {
                if query.miner.as_ref().is_none_or(|miner| *miner == worker.miner) {
                    series.push(Bucket { worker: worker.clone(), minute, shares, work });
                }
            }
        }
        Ok(series)
    }
}
