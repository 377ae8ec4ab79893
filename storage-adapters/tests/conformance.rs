//! Every promise of every port, kept by SQLite: one test per line of each contract.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use async_trait::async_trait;
use pool_core::ports::Stores;
use pool_core::testing::Reopen;
use std::path::Path;
use tempfile::TempDir;

/// The database in a directory, opened as a pool opens it.
fn opened(dir: &Path) -> Stores {
    pool_storage::open(&format!("sqlite:{}", dir.join("pool.db").display())).unwrap().stores
}

/// A database of its own, and the directory it lies in.
fn fresh() -> (TempDir, Stores) {
    let dir = tempfile::tempdir().unwrap();
    let stores = opened(dir.path());
    (dir, stores)
}

struct OneFile(TempDir);

#[async_trait]
impl Reopen for OneFile {
    async fn open(&self) -> Stores {
        opened(self.0.path())
    }
}

pool_core::stores_suite!(fresh());
pool_core::durable_suite!(OneFile(tempfile::tempdir().unwrap()));
