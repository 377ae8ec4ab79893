//! All ports in this process's memory: for tests, for the simulator, for a pool that shall remember nothing.
//!
//! They keep every promise of [`crate::ports`] but the one that needs a disk: what they hold ends with them. No
//! future here ever waits for anything but an event of a bus; a lock is held for one step and never across an `.await`.

mod event_bus;

pub use event_bus::MemoryEventBus;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The content of a lock. Every step below leaves its data whole before it can panic, so a lock that a panic let go
/// is as good as any.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
