//! The broker on one machine: topics as tables of messages, groups as positions in them.

use super::SqliteStore;
use super::fault::{Fault, blob_at, corrupt, key, rows_max, u64_at};
use super::queue::Pace;
use super::scribe::Scribe;
use async_trait::async_trait;
use pool_core::id::Seq;
use pool_core::ports::{Broker, Message, StoreError};
use rusqlite::{Connection, OptionalExtension, params};

/// Messages removed in one transaction.
const FORGOTTEN_AT_ONCE: i64 = 4_096;

#[async_trait]
impl Broker for SqliteStore {
    async fn publish(&self, topic: &str, batch: &[Vec<u8>]) -> Result<Seq, StoreError> {
        let (topic, batch) = (topic.to_owned(), batch.to_vec());
        self.write(batch.len(), Pace::Gather, move |scribe| publish(scribe, &topic, &batch)).await
    }

    async fn fetch(&self, topic: &str, group: &str, limit: usize) -> Result<Vec<Message>, StoreError> {
        let (topic, group) = (topic.to_owned(), group.to_owned());
        self.read(move |db| fetch(db, &topic, &group, limit)).await
    }

    async fn commit(&self, topic: &str, group: &str, upto: Seq) -> Result<(), StoreError> {
        let (topic, group) = (topic.to_owned(), group.to_owned());
        self.write(1, Pace::Gather, move |scribe| commit(scribe, &topic, &group, upto)).await
    }
}

impl SqliteStore {
    /// Removes a topic's messages up to and with `before`, whoever has read them. For retention: a broker that never
    /// forgets fills the disk. Places are never used again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_messages(&self, topic: &str, before: Seq) -> Result<(), StoreError> {
        loop {
            let topic = topic.to_owned();
            let removed = self.write(1, Pace::Gather, move |scribe| forget(scribe, &topic, before)).await?;
            if removed == 0 {
                return Ok(());
            }
        }
    }
}

fn publish(scribe: &Scribe, topic: &str, batch: &[Vec<u8>]) -> Result<Seq, Fault> {
    let (topic, mut head) = topic_named(scribe, topic)?;
    for payload in batch {
        head = head.checked_add(1).ok_or_else(|| corrupt("the topic is full"))?;
        scribe
            .sql("INSERT INTO messages (topic, seq, payload) VALUES (?1, ?2, ?3)")?
            .execute(params![topic, head, payload])?;
    }
    if !batch.is_empty() {
        scribe.sql("UPDATE topics SET head = ?2 WHERE id = ?1")?.execute([topic, head])?;
    }
    Ok(Seq::new(head.cast_unsigned()))
}

/// A topic's row and the place of its last message; the row is made when it is missing.
fn topic_named(scribe: &Scribe, name: &str) -> Result<(i64, i64), Fault> {
    let found = scribe
        .sql("SELECT id, head FROM topics WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some(row) => Ok(row),
        None => Ok((scribe.sql("INSERT INTO topics (name, head) VALUES (?1, 0)")?.insert([name])?, 0)),
    }
}

fn fetch(db: &Connection, topic: &str, group: &str, limit: usize) -> Result<Vec<Message>, Fault> {
    let mut statement = db.prepare_cached(
        "SELECT m.seq, m.payload FROM topics t
         JOIN messages m ON m.topic = t.id AND m.seq > coalesce(
             (SELECT upto FROM positions p WHERE p.topic = t.id AND p.consumer = ?2), 0)
         WHERE t.name = ?1 ORDER BY m.seq LIMIT ?3",
    )?;
    let mut rows = statement.query(params![topic, group, rows_max(limit)])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        messages.push(Message { seq: Seq::new(u64_at(row, 0)?), payload: blob_at(row, 1)?.to_vec() });
    }
    Ok(messages)
}

fn commit(scribe: &Scribe, topic: &str, group: &str, upto: Seq) -> Result<(), Fault> {
    let (topic, _) = topic_named(scribe, topic)?;
    scribe
        .sql(
            "INSERT INTO positions (topic, consumer, upto) VALUES (?1, ?2, ?3)
             ON CONFLICT (topic, consumer) DO UPDATE SET upto = max(upto, excluded.upto)",
        )?
        .execute(params![topic, group, key(upto.get())])?;
    Ok(())
}

fn forget(scribe: &Scribe, topic: &str, before: Seq) -> Result<usize, Fault> {
    let (topic, _) = topic_named(scribe, topic)?;
    let removed = scribe
        .sql(
            "DELETE FROM messages WHERE topic = ?1 AND seq IN (
                 SELECT seq FROM messages WHERE topic = ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3)",
        )?
        .execute(params![topic, key(before.get()), FORGOTTEN_AT_ONCE])?;
    Ok(removed)
}
