//! An [`EventBus`] of one process: a bounded queue for every listener, filled by the publisher.
//!
//! A publisher never waits: when a listener's queue is full, its oldest event makes room. The queue belongs to the
//! listener; when he goes, the bus forgets it at the next event or listener.

use super::locked;
use crate::event::PoolEvent;
use crate::ports::{EventBus, StoreError, Subscription};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use async_trait::async_trait;
use core::num::NonZeroUsize;
use event_listener::Event;
use std::sync::Mutex;

/// Tells the listeners of this process. Dropping it ends every subscription once its queue is read.
#[derive(Debug)]
pub struct MemoryEventBus {
    /// Events one listener may be behind before he misses the oldest.
    depth_max: NonZeroUsize,
    listeners: Mutex<Vec<Weak<Listener>>>,
}

#[derive(Debug, Default)]
struct Listener {
    queue: Mutex<Queue>,
    filled: Event,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<PoolEvent>,
    bus_gone: bool,
}

impl MemoryEventBus {
    /// A bus whose listeners may each be `depth_max` events behind.
    #[must_use]
    pub const fn new(depth_max: NonZeroUsize) -> Self {
        Self { depth_max, listeners: Mutex::new(Vec::new()) }
    }
}

impl Default for MemoryEventBus {
    /// Listeners may be 1024 events behind.
    fn default() -> Self {
        Self::new(NonZeroUsize::new(1024).expect("1024 is not zero"))
    }
}

#[async_trait]
impl EventBus for MemoryEventBus {
    async fn publish(&self, event: &PoolEvent) -> Result<(), StoreError> {
        // One lock over all listeners, so that every listener sees one order of events.
        locked(&self.listeners).retain(|listener| {
            let Some(listener) = listener.upgrade() else { return false };
            let mut queue = locked(&listener.queue);
            if queue.events.len() >= self.depth_max.get() {
                queue.events.pop_front();
            }
            queue.events.push_back(event.clone());
            drop(queue);
            listener.filled.notify(1);
            true
        });
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        let listener = Arc::<Listener>::default();
        let mut listeners = locked(&self.listeners);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(&listener));
        drop(listeners);
        Ok(Box::new(MemorySubscription(listener)))
    }
}

impl Drop for MemoryEventBus {
    fn drop(&mut self) {
        for listener in locked(&self.listeners).iter().filter_map(Weak::upgrade) {
            locked(&listener.queue).bus_gone = true;
            listener.filled.notify(1);
        }
    }
}

#[derive(Debug)]
struct MemorySubscription(Arc<Listener>);

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self) -> Option<PoolEvent> {
        loop {
            // Listening begins before the look, so that an event between look and wait still wakes.
            let filled = self.0.filled.listen();
            {
                let mut queue = locked(&self.0.queue);
                if let Some(event) = queue.events.pop_front() {
                    return Some(event);
                }
                if queue.bus_gone {
                    return None;
                }
            }
            filled.await;
        }
    }
}
