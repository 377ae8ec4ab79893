//! A [`ShareLog`] in memory.

use super::locked;
use crate::id::{BlockId, ShareSeq};
use crate::ports::{ShareLog, StoreError};
use crate::share::{LoggedShare, Share, ShareRecord};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::Mutex;

/// Accepted shares in memory, from the last pruning on.
#[derive(Debug, Default)]
pub struct MemoryShareLog(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    /// How many were pruned: the place of `kept[i]` is `pruned + i + 1`.
    pruned: u64,
    kept: VecDeque<ShareRecord>,
    /// Where the share of each block stands or stood; pruning does not forget it.
    places: HashMap<BlockId, ShareSeq>,
}

impl Log {
    fn head(&self) -> ShareSeq {
        ShareSeq::new(self.pruned + self.kept.len() as u64)
    }

    /// Appends one share unless its block is on record, and returns its place.
    fn push(&mut self, record: &ShareRecord) -> ShareSeq {
        let next = ShareSeq::new(self.head().get() + 1);
        if let Some(block) = record.block {
            let place = *self.places.entry(block).or_insert(next);
            if place != next {
                return place;
            }
        }
        self.kept.push_back(record.clone());
        next
    }
}

#[async_trait]
impl ShareLog for MemoryShareLog {
    async fn append(&self, batch: &[Share]) -> Result<ShareSeq, StoreError> {
        let mut log = locked(&self.0);
        let head = log.head();
        Ok(batch.iter().fold(head, |_, share| log.push(share.record())))
    }

    async fn read(&self, after: ShareSeq, limit: usize) -> Result<Vec<LoggedShare>, StoreError> {
        let log = locked(&self.0);
        let skipped = usize::try_from(after.get().saturating_sub(log.pruned)).unwrap_or(usize::MAX);
        let logged = |(place, record): (u64, &ShareRecord)| LoggedShare {
            seq: ShareSeq::new(place),
            record: record.clone(),
        };
        Ok((log.pruned + 1..).zip(&log.kept).skip(skipped).take(limit).map(logged).collect())
    }

    async fn head(&self) -> Result<ShareSeq, StoreError> {
        Ok(locked(&self.0).head())
    }

    async fn prune(&self, before: ShareSeq) -> Result<(), StoreError> {
        let mut log = locked(&self.0);
        while log.pruned < before.get() && log.kept.pop_front().is_some() {
            log.pruned += 1;
        }
        Ok(())
    }
}
