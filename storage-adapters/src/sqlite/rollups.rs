//! Sums per worker and minute, keyed by the minute first: new minutes are appended.

use super::SqliteStore;
use super::fault::{Fault, conflict, corrupt, key, u64_at, u128_at};
use super::queue::Pace;
use super::scribe::{SUMMED, Scribe, mark};
use super::share_log::Workers;
use async_trait::async_trait;
use pool_core::id::ShareSeq;
use pool_core::ports::{Bucket, RollupQuery, Rollups, StoreError};
use rusqlite::{Connection, params};

#[async_trait]
impl Rollups for SqliteStore {
    async fn add(&self, upto: ShareSeq, buckets: &[Bucket]) -> Result<(), StoreError> {
        let buckets: Box<[Bucket]> = buckets.into();
        self.write(1 + buckets.len(), Pace::Gather, move |scribe| add(scribe, upto, &buckets)).await
    }

    async fn upto(&self) -> Result<ShareSeq, StoreError> {
        self.read(|db| mark(db, SUMMED).map(ShareSeq::new)).await
    }

    async fn series(&self, query: &RollupQuery) -> Result<Vec<Bucket>, StoreError> {
        let query = query.clone();
        self.read(move |db| series(db, &query)).await
    }
}

fn add(scribe: &mut Scribe, upto: ShareSeq, buckets: &[Bucket]) -> Result<(), Fault> {
    if upto.get() <= mark(scribe.db(), SUMMED)? {
        return Ok(());
    }
    for bucket in buckets {
        add_one(scribe, bucket)?;
    }
    scribe.set_mark(SUMMED, upto.get().cast_signed())
}

fn add_one(scribe: &mut Scribe, bucket: &Bucket) -> Result<(), Fault> {
    let worker = scribe.worker(&bucket.worker)?;
    let minute = i64::try_from(bucket.minute)
        .map_err(|_| conflict(format!("minute {} passes 2^63", bucket.minute)))?;
    let before = {
        let mut statement =
            scribe.sql("SELECT shares, work FROM rollups WHERE minute = ?1 AND worker = ?2")?;
        let mut rows = statement.query([minute, worker])?;
        match rows.next()? {
            Some(row) => (u64_at(row, 0)?, u128_at(row, 1)?),
            None => (0, 0),
        }
    };
    let past = || corrupt(format!("the sums of {} pass their range", bucket.worker));
    let shares = before.0.checked_add(bucket.shares).ok_or_else(past)?;
    let work = before.1.checked_add(bucket.work).ok_or_else(past)?;
    scribe
        .sql(
            "INSERT INTO rollups (minute, worker, shares, work) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (minute, worker) DO UPDATE SET shares = excluded.shares, work = excluded.work",
        )?
        .execute(params![minute, worker, shares.cast_signed(), work.to_be_bytes()])?;
    Ok(())
}

fn series(db: &Connection, query: &RollupQuery) -> Result<Vec<Bucket>, Fault> {
    let (from, to) = (key(query.from), key(query.to));
    let mut statement;
    let mut rows = match &query.miner {
        Some(miner) => {
            statement = db.prepare_cached(
                "SELECT r.minute, r.worker, r.shares, r.work
                 FROM workers w JOIN rollups r ON r.worker = w.id
                 WHERE w.miner = ?1 AND r.minute >= ?2 AND r.minute < ?3
                 ORDER BY r.minute, w.name",
            )?;
            statement.query(params![miner.as_str(), from, to])?
        }
        None => {
            statement = db.prepare_cached(
                "SELECT r.minute, r.worker, r.shares, r.work
                 FROM rollups r JOIN workers w ON w.id = r.worker
                 WHERE r.minute >= ?1 AND r.minute < ?2
                 ORDER BY r.minute, w.miner, w.name",
            )?;
            statement.query(params![from, to])?
        }
    };
    let mut workers = Workers::new(db);
    let mut buckets = Vec::new();
    while let Some(row) = rows.next()? {
        buckets.push(Bucket {
            minute: u64_at(row, 0)?,
            worker: workers.named(row.get(1)?)?,
            shares: u64_at(row, 2)?,
            work: u128_at(row, 3)?,
        });
    }
    Ok(buckets)
}
