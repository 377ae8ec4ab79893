//! The write connection and what its thread remembers between groups: the next sequence, workers' row ids.
//!
//! Everything remembered here can be read back from the file, and is forgotten whenever something is rolled back.

use super::fault::{Fault, corrupt, u64_at};
use pool_core::id::Worker;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use std::collections::HashMap;

/// Workers whose row ids are remembered in one generation; two generations are kept.
const WORKERS_REMEMBERED_MAX: usize = 16_384;

/// Statements kept prepared: more than this crate has.
const STATEMENTS_MAX: usize = 128;

/// The position up to which shares were pruned.
pub(super) const PRUNED: &str = "shares-pruned";
/// The position up to which shares are summed.
pub(super) const SUMMED: &str = "rollups-upto";

/// Writes rows. Lives on the writer's thread.
#[derive(Debug)]
pub(super) struct Scribe {
    db: Connection,
    share_head: Option<u64>,
    workers: Workers,
    /// Listeners are to be woken after the commit.
    told: bool,
}

/// Two generations: when the young one is full it becomes the old one, so a worker in use is never forgotten for
/// long and memory is bounded without keeping an order.
#[derive(Debug, Default)]
struct Workers {
    young: HashMap<Worker, i64>,
    old: HashMap<Worker, i64>,
}

impl Workers {
    fn get(&mut self, worker: &Worker) -> Option<i64> {
        if let Some(id) = self.young.get(worker) {
            return Some(*id);
        }
        let (worker, id) = self.old.remove_entry(worker)?;
        self.put(worker, id);
        Some(id)
    }

    fn put(&mut self, worker: Worker, id: i64) {
        if self.young.len() >= WORKERS_REMEMBERED_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(worker, id);
    }

    fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

impl Scribe {
    pub(super) fn new(db: Connection) -> Result<Self, Fault> {
        db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        Ok(Self { db, share_head: None, workers: Workers::default(), told: false })
    }

    pub(super) fn db(&self) -> &Connection {
        &self.db
    }

    /// A statement, prepared once.
    pub(super) fn sql(&self, sql: &'static str) -> Result<CachedStatement<'_>, Fault> {
        Ok(self.db.prepare_cached(sql)?)
    }

    /// The place of the last share ever logged.
    pub(super) fn share_head(&mut self) -> Result<u64, Fault> {
        if let Some(head) = self.share_head {
            return Ok(head);
        }
        let head = share_head(&self.db)?;
        self.share_head = Some(head);
        Ok(head)
    }

    pub(super) fn set_share_head(&mut self, head: u64) {
        self.share_head = Some(head);
    }

    /// The row id of a worker, which gets a row when it has none.
    pub(super) fn worker(&mut self, worker: &Worker) -> Result<i64, Fault> {
        if let Some(id) = self.workers.get(worker) {
            return Ok(id);
        }
        let names = params![worker.miner.as_str(), worker.name.as_str()];
        let found: Option<i64> = self
            .db
            .prepare_cached("SELECT id FROM workers WHERE miner = ?1 AND name = ?2")?
            .query_row(names, |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => self
                .db
                .prepare_cached("INSERT INTO workers (miner, name) VALUES (?1, ?2)")?
                .insert(params![worker.miner.as_str(), worker.name.as_str()])?,
        };
        self.workers.put(worker.clone(), id);
        Ok(id)
    }

    /// Sets a named position.
    pub(super) fn set_mark(&self, name: &str, value: i64) -> Result<(), Fault> {
        self.sql(
            "INSERT INTO marks (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )?
        .execute(params![name, value])?;
        Ok(())
    }

    /// Something was written that listeners wait for.
    pub(super) fn tell(&mut self) {
        self.told = true;
    }

    /// Whether listeners are to be woken, once. A group of which a part was undone may wake them for nothing.
    pub(super) fn take_told(&mut self) -> bool {
        std::mem::take(&mut self.told)
    }

    pub(super) fn begin(&self) -> rusqlite::Result<()> {
        self.run("BEGIN IMMEDIATE")
    }

    pub(super) fn commit(&self) -> rusqlite::Result<()> {
        self.run("COMMIT")
    }

    /// Undoes the whole group. Errors are of no use: the store is poisoned already, and the engine may have rolled
    /// back by itself.
    pub(super) fn roll_back(&mut self) {
        self.forget();
        if !self.db.is_autocommit() {
            let _ = self.run("ROLLBACK");
        }
    }

    pub(super) fn open_savepoint(&self) -> rusqlite::Result<()> {
        self.run("SAVEPOINT work")
    }

    pub(super) fn keep_savepoint(&self) -> rusqlite::Result<()> {
        self.run("RELEASE work")
    }

    pub(super) fn undo_savepoint(&mut self) -> rusqlite::Result<()> {
        self.forget();
        self.run("ROLLBACK TO work")?;
        self.run("RELEASE work")
    }

    fn run(&self, sql: &'static str) -> rusqlite::Result<()> {
        self.db.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    fn forget(&mut self) {
        self.share_head = None;
        self.workers.clear();
    }
}

/// A named position; 0 when it was never set.
pub(super) fn mark(db: &Connection, name: &str) -> Result<u64, Fault> {
    let mut statement = db.prepare_cached("SELECT value FROM marks WHERE name = ?1")?;
    let mut rows = statement.query([name])?;
    match rows.next()? {
        Some(row) => u64_at(row, 0),
        None => Ok(0),
    }
}

/// The place of the last share ever logged: the last row, or what was pruned when no row is left.
pub(super) fn share_head(db: &Connection) -> Result<u64, Fault> {
    let last: Option<i64> =
        db.prepare_cached("SELECT max(seq) FROM shares")?.query_row([], |row| row.get(0))?;
    let last = u64::try_from(last.unwrap_or(0)).map_err(|_| corrupt("a share with a negative sequence"))?;
    Ok(last.max(mark(db, PRUNED)?))
}
