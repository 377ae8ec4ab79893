//! The event bus as a table: a bounded tail of what was told, numbered, and listeners that are places in it.
//!
//! An event is told when it is written down. Listeners do not hold queues: each reads the table from its own place, so
//! one that sleeps costs nothing and misses an event only when it is more than [`EVENTS_KEPT`] behind. A place
//! outlives the process: who wrote down [`SqliteSubscription::heard`] listens on from there after a restart
//! ([`SqliteEventBus::subscribe_after`]), or reads what he missed without listening
//! ([`SqliteStore::events_after`]), also from another process.
//!
//! One event must not depend on the disk: the alarm that the disk has failed. What cannot be written down is still
//! told to the listeners of this process, from memory, and the publisher is given the error.

use super::fault::{Fault, corrupt, json, key, rows_max, text_at, u64_at};
use super::queue::Pace;
use super::scribe::Scribe;
use super::{Open, SqliteStore};
use async_trait::async_trait;
use pool_core::event::PoolEvent;
use pool_core::id::Seq;
use pool_core::ports::{EventBus, StoreError, Subscription};
use rusqlite::{Connection, params};
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use tokio::sync::watch;

/// Events the table holds.
const EVENTS_KEPT: i64 = 10_000;

/// Events one listener reads at once.
const READ_AT_ONCE: usize = 64;

/// The bus of one store. Clones share it; like the ports, it keeps the store open.
#[derive(Clone, Debug)]
pub struct SqliteEventBus(SqliteStore);

impl SqliteStore {
    /// The bus of this store. In a store that was opened for reading nothing is told, and listeners wait.
    #[must_use]
    pub fn event_bus(&self) -> SqliteEventBus {
        SqliteEventBus(self.clone())
    }

    /// At most `limit` events behind `after`, oldest first, each with its place. What left the table is missing
    /// without a word; kinds of event that this program does not know are too.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn events_after(&self, after: Seq, limit: usize) -> Result<Vec<(Seq, PoolEvent)>, StoreError> {
        let after = after.get();
        let tail = SqliteStore::read(self, move |db| tail(db, after, limit)).await?;
        Ok(tail.events.into_iter().map(|(seq, event)| (Seq::new(seq), event)).collect())
    }
}

impl SqliteEventBus {
    /// Listens on from a place: first what was told since, as far as it is still there, then what is told from now on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn subscribe_after(&self, after: Seq) -> Result<SqliteSubscription, StoreError> {
        self.listen(Some(after.get())).await
    }

    async fn listen(&self, after: Option<u64>) -> Result<SqliteSubscription, StoreError> {
        let open = &self.0.0;
        let mut news = open.news.clone();
        // Before the look at the table: what is told in between must be looked for again.
        news.mark_unchanged();
        let unwritten = open.unwritten.subscribe().await?;
        let place = match after {
            Some(after) => after,
            None => SqliteStore::read(&self.0, head).await?,
        };
        Ok(SqliteSubscription {
            open: Arc::downgrade(open),
            news,
            unwritten,
            ready: VecDeque::new(),
            read: place,
            heard: place,
            drained: after.is_none(),
        })
    }
}

#[async_trait]
impl EventBus for SqliteEventBus {
    async fn publish(&self, event: &PoolEvent) -> Result<(), StoreError> {
        let text = json(event);
        let written = self.0.write(1, Pace::Gather, move |scribe| publish(scribe, &text)).await;
        if written.is_err() {
            self.0.0.unwritten.publish(event).await?;
        }
        written
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        Ok(Box::new(self.listen(None).await?))
    }
}

/// One listener: a place in the table. It does not keep the store open.
#[derive(Debug)]
pub struct SqliteSubscription {
    open: Weak<Open>,
    /// Changes after every commit that told something.
    news: watch::Receiver<u64>,
    /// What could not be written down.
    unwritten: Box<dyn Subscription>,
    /// Read, not yet heard.
    ready: VecDeque<(u64, PoolEvent)>,
    /// The place of the last event read.
    read: u64,
    /// The place of the last event heard.
    heard: u64,
    /// There was nothing left to read when `news` last changed.
    drained: bool,
}

impl SqliteSubscription {
    /// The place of the last event heard: where to listen on after a restart.
    #[must_use]
    pub fn heard(&self) -> Seq {
        Seq::new(self.heard)
    }

    /// Reads on, when there may be something. False when the store is closed. Cancel-safe: what is marked as read was
    /// put into `ready`.
    async fn read_on(&mut self) -> bool {
        // Without a writer there is no news.
        let told = self.news.has_changed().unwrap_or(false);
        if self.drained && !told {
            return true;
        }
        let Some(open) = self.open.upgrade() else { return false };
        self.drained = false;
        self.news.mark_unchanged();
        let after = self.read;
        // What cannot be read now is tried again at the next news.
        let tail = SqliteStore(open).read(move |db| tail(db, after, READ_AT_ONCE)).await.unwrap_or_default();
        self.drained = tail.rows < READ_AT_ONCE;
        self.read = tail.last.unwrap_or(self.read);
        self.ready.extend(tail.events);
        true
    }
}

#[async_trait]
impl Subscription for SqliteSubscription {
    async fn next(&mut self) -> Option<PoolEvent> {
        loop {
            if let Some((seq, event)) = self.ready.pop_front() {
                self.heard = seq;
                return Some(event);
            }
            if !self.read_on().await {
                return None;
            }
            if !self.ready.is_empty() || !self.drained {
                continue;
            }
            // Caught up, over rows of unknown kinds too.
            self.heard = self.read;
            tokio::select! {
                news = self.news.changed() => match news {
                    // `changed` marks the news as seen.
                    Ok(()) => self.drained = false,
                    // The writer has ended; what nobody can write down is still told.
                    Err(_) => return self.unwritten.next().await,
                },
                event = self.unwritten.next() => return event,
            }
        }
    }
}

fn publish(scribe: &mut Scribe, event: &str) -> Result<(), Fault> {
    let seq = head(scribe.db())?.checked_add(1).ok_or_else(|| corrupt("the event table is full"))?;
    let seq = key(seq);
    scribe.sql("INSERT INTO events (seq, event) VALUES (?1, ?2)")?.execute(params![seq, event])?;
    scribe.sql("DELETE FROM events WHERE seq <= ?1")?.execute([seq.saturating_sub(EVENTS_KEPT)])?;
    scribe.tell();
    Ok(())
}

/// The place of the last event; the newest row never leaves, so it is never used again.
fn head(db: &Connection) -> Result<u64, Fault> {
    let last: Option<i64> =
        db.prepare_cached("SELECT max(seq) FROM events")?.query_row([], |row| row.get(0))?;
    u64::try_from(last.unwrap_or(0)).map_err(|_| corrupt("an event with a negative sequence"))
}

/// Some rows of the table.
#[derive(Debug, Default)]
struct Tail {
    events: Vec<(u64, PoolEvent)>,
    /// Rows read, of whatever kind.
    rows: usize,
    /// The place of the last of them.
    last: Option<u64>,
}

fn tail(db: &Connection, after: u64, limit: usize) -> Result<Tail, Fault> {
    let mut statement =
        db.prepare_cached("SELECT seq, event FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let mut rows = statement.query(params![key(after), rows_max(limit)])?;
    let mut tail = Tail::default();
    while let Some(row) = rows.next()? {
        let seq = u64_at(row, 0)?;
        tail.rows += 1;
        tail.last = Some(seq);
        // A newer program may have told of things this one has no name for.
        if let Ok(event) = serde_json::from_str(text_at(row, 1)?) {
            tail.events.push((seq, event));
        }
    }
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_a_bounded_tail_and_places_are_used_once() {
        let dir = tempfile::tempdir().unwrap();
        let (db, _) = super::super::open_migrated(&dir.path().join("pool.db")).unwrap();
        let mut scribe = Scribe::new(db).unwrap();
        let event =
            json(&PoolEvent::Alarm { message: "x".into(), at: pool_core::time::Timestamp::from_millis(1) });
        scribe.begin().unwrap();
        for _ in 0..EVENTS_KEPT + 5 {
            publish(&mut scribe, &event).unwrap();
        }
        scribe.commit().unwrap();
        let count = |sql: &str| scribe.db().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM events"), EVENTS_KEPT);
        assert_eq!(count("SELECT min(seq) FROM events"), 6);
        assert_eq!(head(scribe.db()).unwrap(), EVENTS_KEPT as u64 + 5);
        // Who was too far behind goes on with the oldest that is left.
        assert_eq!(tail(scribe.db(), 0, 1).unwrap().last, Some(6));
        assert_eq!(tail(scribe.db(), u64::MAX, 1).unwrap().rows, 0);
    }
}
