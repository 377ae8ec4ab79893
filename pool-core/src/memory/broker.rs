//! A [`Broker`] in memory.

use super::locked;
use crate::id::Seq;
use crate::ports::{Broker, Message, StoreError};
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use async_trait::async_trait;
use std::sync::Mutex;

/// Messages between the roles of one process. Keeps all of them until [`MemoryBroker::forget`].
#[derive(Debug, Default)]
pub struct MemoryBroker(Mutex<BTreeMap<String, Topic>>);

#[derive(Debug, Default)]
struct Topic {
    /// How many were forgotten: the place of `kept[i]` is `forgotten + i + 1`.
    forgotten: u64,
    kept: VecDeque<Vec<u8>>,
    positions: BTreeMap<String, u64>,
}

impl Topic {
    fn head(&self) -> u64 {
        self.forgotten + self.kept.len() as u64
    }
}

impl MemoryBroker {
    /// Removes a topic's messages up to and with `before`, whoever has read them. Places are never used again.
    pub fn forget(&self, topic: &str, before: Seq) {
        if let Some(topic) = locked(&self.0).get_mut(topic) {
            while topic.forgotten < before.get() && topic.kept.pop_front().is_some() {
                topic.forgotten += 1;
            }
        }
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    async fn publish(&self, topic: &str, batch: &[Vec<u8>]) -> Result<Seq, StoreError> {
        let mut topics = locked(&self.0);
        let topic = topics.entry(topic.to_owned()).or_default();
        topic.kept.extend(batch.iter().cloned());
        Ok(Seq::new(topic.head()))
    }

    async fn fetch(&self, topic: &str, group: &str, limit: usize) -> Result<Vec<Message>, StoreError> {
        let topics = locked(&self.0);
        let Some(topic) = topics.get(topic) else { return Ok(Vec::new()) };
        let position = topic.positions.get(group).copied().unwrap_or(0);
        let skipped = usize::try_from(position.saturating_sub(topic.forgotten)).unwrap_or(usize::MAX);
        let messages = (topic.forgotten + 1..).zip(&topic.kept).skip(skipped).take(limit);
        let message =
            |(place, payload): (u64, &Vec<u8>)| Message { seq: Seq::new(place), payload: payload.clone() };
        Ok(messages.map(message).collect())
    }

    async fn commit(&self, topic: &str, group: &str, upto: Seq) -> Result<(), StoreError> {
        let mut topics = locked(&self.0);
        let topic = topics.entry(topic.to_owned()).or_default();
        let position = topic.positions.entry(group.to_owned()).or_default();
        *position = upto.get().max(*position);
        Ok(())
    }
}
