//! The last difficulty per worker. Names come from whoever connects, so the table is bounded: the workers written
//! longest ago leave first.

use super::SqliteStore;
use super::fault::{Fault, corrupt, u128_at};
use super::queue::Pace;
use super::scribe::Scribe;
use async_trait::async_trait;
use pool_core::id::Worker;
use pool_core::ports::{DifficultyCache, StoreError};
use pool_core::units::Work;
use rusqlite::{Connection, params};

/// Writes a worker's difficulty is remembered for, counted over all workers.
const WRITES_KEPT: i64 = 131_072;

#[async_trait]
impl DifficultyCache for SqliteStore {
    async fn get(&self, worker: &Worker) -> Result<Option<Work>, StoreError> {
        let worker = worker.clone();
        self.read(move |db| get(db, &worker)).await
    }

    async fn put(&self, worker: &Worker, work: Work) -> Result<(), StoreError> {
        let worker = worker.clone();
        self.write(1, Pace::Gather, move |scribe| put(scribe, &worker, work)).await
    }
}

fn get(db: &Connection, worker: &Worker) -> Result<Option<Work>, Fault> {
    let mut statement = db.prepare_cached("SELECT work FROM difficulties WHERE miner = ?1 AND name = ?2")?;
    let mut rows = statement.query(params![worker.miner.as_str(), worker.name.as_str()])?;
    match rows.next()? {
        Some(row) => Ok(Some(Work::new(u128_at(row, 0)?).map_err(corrupt)?)),
        None => Ok(None),
    }
}

/// Every write takes the next number as its row's key, so the rows further back than [`WRITES_KEPT`] are the oldest.
fn put(scribe: &Scribe, worker: &Worker, work: Work) -> Result<(), Fault> {
    let next: i64 =
        scribe.sql("SELECT coalesce(max(id), 0) + 1 FROM difficulties")?.query_row([], |row| row.get(0))?;
    scribe
        .sql(
            "INSERT INTO difficulties (id, miner, name, work) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (miner, name) DO UPDATE SET id = excluded.id, work = excluded.work",
        )?
        .execute(params![next, worker.miner.as_str(), worker.name.as_str(), work.get().to_be_bytes()])?;
    scribe.sql("DELETE FROM difficulties WHERE id <= ?1")?.execute([next.saturating_sub(WRITES_KEPT)])?;
    Ok(())
}
