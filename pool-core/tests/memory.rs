//! The suites of every port, on the adapters in memory.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use async_trait::async_trait;
use pool_core::ports::Stores;
use pool_core::testing::Reopen;

pool_core::stores_suite!(((), Stores::memory()));

/// What a process keeps while it runs survives the clones of it.
struct Kept(Stores);

#[async_trait]
impl Reopen for Kept {
    async fn open(&self) -> Stores {
        self.0.clone()
    }
}

pool_core::durable_suite!(Kept(Stores::memory()));
