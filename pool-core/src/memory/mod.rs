//! All ports in this process's memory: for tests, for the simulator, for a pool that shall remember nothing.
//!
//! They keep every promise of [`crate::ports`] but the one that needs a disk: what they hold ends with them. No
//! future here ever waits for anything but an event of a bus; a lock is held for one step and never across an `.await`.

mod block_book;
mod broker;
mod difficulty_cache;
mod directory;
mod event_bus;
mod ledger;
mod payout_book;
mod rollups;
mod share_log;

pub use block_book::MemoryBlockBook;
pub use broker::MemoryBroker;
pub use difficulty_cache::MemoryDifficultyCache;
pub use directory::MemoryDirectory;
pub use event_bus::MemoryEventBus;
pub use ledger::MemoryLedger;
pub use payout_book::MemoryPayoutBook;
pub use rollups::MemoryRollups;
pub use share_log::MemoryShareLog;

use crate::ports::Stores;
use alloc::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};

impl Stores {
    /// Fresh and empty ports in memory, with the default bounds of each.
    #[must_use]
    pub fn memory() -> Self {
        Self {
            shares: Arc::new(MemoryShareLog::default()),
            blocks: Arc::new(MemoryBlockBook::default()),
            ledger: Arc::new(MemoryLedger::default()),
            payouts: Arc::new(MemoryPayoutBook::default()),
            broker: Arc::new(MemoryBroker::default()),
            directory: Arc::new(MemoryDirectory::default()),
            rollups: Arc::new(MemoryRollups::default()),
            difficulty: Arc::new(MemoryDifficultyCache::default()),
            events: Arc::new(MemoryEventBus::default()),
        }
    }
}

/// The content of a lock. Every step here leaves its data whole before it can panic, so a lock that a panic let go is
/// as good as any.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
