//! A [`Directory`] in memory.

use super::locked;
use crate::id::MinerId;
use crate::ports::{Directory, Miner, StoreError};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use async_trait::async_trait;
use core::ops::Bound;
use std::sync::Mutex;

/// Miners and their choices in memory.
#[derive(Debug, Default)]
pub struct MemoryDirectory(Mutex<BTreeMap<MinerId, Miner>>);

#[async_trait]
impl Directory for MemoryDirectory {
    async fn miner(&self, id: &MinerId) -> Result<Option<Miner>, StoreError> {
        Ok(locked(&self.0).get(id).cloned())
    }

    async fn save(&self, miner: &Miner) -> Result<(), StoreError> {
        locked(&self.0).insert(miner.id.clone(), miner.clone());
        Ok(())
    }

    async fn list(&self, after: Option<&MinerId>, limit: usize) -> Result<Vec<Miner>, StoreError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let miners = locked(&self.0);
        Ok(miners.range((start, Bound::Unbounded)).take(limit).map(|(_, miner)| miner.clone()).collect())
    }
}
