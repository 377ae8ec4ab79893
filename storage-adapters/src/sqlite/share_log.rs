//! The share log: rows in sequence order, so that appending touches one page and pruning frees whole ranges.

use super::SqliteStore;
use super::fault::{Fault, blob_at, corrupt, key, parsed_at, rows_max, u64_at, u128_at};
use super::queue::Pace;
use super::scribe::{PRUNED, Scribe, mark, share_head};
use async_trait::async_trait;
use pool_core::id::{BlockId, InstanceId, ShareSeq, Worker};
use pool_core::ports::{ShareLog, StoreError};
use pool_core::share::{Evidence, LoggedShare, Share, ShareRecord};
use pool_core::time::Timestamp;
use pool_core::units::{Units, Work};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::HashMap;

/// Shares removed in one transaction: pruning a month must not keep a share waiting.
const PRUNED_AT_ONCE: u64 = 4_096;

/// Rows reserved for an answer before it is known how many there are.
const RESERVED_MAX: usize = 4_096;

#[async_trait]
impl ShareLog for SqliteStore {
    async fn append(&self, batch: &[Share]) -> Result<ShareSeq, StoreError> {
        let batch: Box<[Share]> = batch.into();
        self.write(batch.len(), Pace::Gather, move |scribe| append(scribe, &batch)).await
    }

    async fn read(&self, after: ShareSeq, limit: usize) -> Result<Vec<LoggedShare>, StoreError> {
        SqliteStore::read(self, move |db| read(db, after, limit)).await
    }

    async fn head(&self) -> Result<ShareSeq, StoreError> {
        SqliteStore::read(self, |db| share_head(db).map(ShareSeq::new)).await
    }

    async fn prune(&self, before: ShareSeq) -> Result<(), StoreError> {
        while self.write(1, Pace::Gather, move |scribe| prune_some(scribe, before)).await? == More::Yes {}
        Ok(())
    }
}

fn append(scribe: &mut Scribe, batch: &[Share]) -> Result<ShareSeq, Fault> {
    let mut head = scribe.share_head()?;
    let mut last = head;
    for share in batch {
        let record = share.record();
        if let Some(block) = &record.block
            && let Some(place) = place_of(scribe, block)?
        {
            last = place;
            continue;
        }
        let worker = scribe.worker(&record.worker)?;
        head = head.checked_add(1).ok_or_else(|| corrupt("the share log is full"))?;
        last = head;
        insert(scribe, head, worker, record)?;
    }
    scribe.set_share_head(head);
    Ok(ShareSeq::new(last))
}

fn place_of(scribe: &Scribe, block: &BlockId) -> Result<Option<u64>, Fault> {
    let place: Option<i64> = scribe
        .sql("SELECT seq FROM share_blocks WHERE block = ?1")?
        .query_row([block.bytes()], |row| row.get(0))
        .optional()?;
    Ok(place.map(i64::cast_unsigned))
}

fn insert(scribe: &Scribe, seq: u64, worker: i64, record: &ShareRecord) -> Result<(), Fault> {
    let block = record.block.as_ref().map(BlockId::bytes);
    scribe
        .sql(
            "INSERT INTO shares (seq, at, instance, worker, chain, work, units, evidence, block)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            key(seq),
            record.at.millis().cast_signed(),
            record.instance.get(),
            worker,
            record.chain,
            record.work.get().to_be_bytes(),
            record.units.to_bits().to_be_bytes(),
            record.evidence.bytes(),
            block,
        ])?;
    if let Some(block) = block {
        scribe
            .sql("INSERT INTO share_blocks (block, seq) VALUES (?1, ?2)")?
            .execute(params![block, key(seq)])?;
    }
    Ok(())
}

/// At most `limit` shares behind `after`. One statement, so one consistent view.
pub(super) fn read(db: &Connection, after: ShareSeq, limit: usize) -> Result<Vec<LoggedShare>, Fault> {
    let mut statement = db.prepare_cached(
        "SELECT seq, at, instance, worker, chain, work, units, evidence, block
         FROM shares WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = statement.query(params![key(after.get()), rows_max(limit)])?;
    let mut shares = Vec::with_capacity(limit.min(RESERVED_MAX));
    let mut workers = Workers::new(db);
    while let Some(row) = rows.next()? {
        shares.push(share_at(row, &mut workers)?);
    }
    Ok(shares)
}

fn share_at(row: &Row<'_>, workers: &mut Workers<'_>) -> Result<LoggedShare, Fault> {
    let block: Option<[u8; 32]> = row.get(8)?;
    Ok(LoggedShare {
        seq: ShareSeq::new(u64_at(row, 0)?),
        record: ShareRecord {
            at: Timestamp::from_millis(u64_at(row, 1)?),
            instance: InstanceId::new(row.get(2)?),
            worker: workers.named(row.get(3)?)?,
            chain: row.get(4)?,
            work: Work::new(u128_at(row, 5)?).map_err(corrupt)?,
            units: Units::from_bits(u128_at(row, 6)?),
            evidence: Evidence::new(blob_at(row, 7)?).map_err(corrupt)?,
            block: block.map(BlockId::new),
        },
    })
}

/// Workers by their row ids, each read once per answer.
#[derive(Debug)]
pub(super) struct Workers<'db> {
    db: &'db Connection,
    known: HashMap<i64, Worker>,
}

impl<'db> Workers<'db> {
    pub(super) fn new(db: &'db Connection) -> Self {
        Self { db, known: HashMap::new() }
    }

    pub(super) fn named(&mut self, id: i64) -> Result<Worker, Fault> {
        if let Some(worker) = self.known.get(&id) {
            return Ok(worker.clone());
        }
        let mut statement = self.db.prepare_cached("SELECT miner, name FROM workers WHERE id = ?1")?;
        let mut rows = statement.query([id])?;
        let row = rows.next()?.ok_or_else(|| corrupt(format!("no worker has the row id {id}")))?;
        let worker = Worker { miner: parsed_at(row, 0)?, name: parsed_at(row, 1)? };
        self.known.insert(id, worker.clone());
        Ok(worker)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum More {
    Yes,
    No,
}

/// Removes the first of the shares up to `before`, and notes how far: the head must outlive the rows.
fn prune_some(scribe: &mut Scribe, before: ShareSeq) -> Result<More, Fault> {
    let first: Option<i64> = scribe.sql("SELECT min(seq) FROM shares")?.query_row([], |row| row.get(0))?;
    let Some(first) = first.map(i64::cast_unsigned).filter(|first| *first <= before.get()) else {
        return Ok(More::No);
    };
    let head = scribe.share_head()?;
    let last = before.get().min(head).min(first.saturating_add(PRUNED_AT_ONCE - 1));
    scribe.sql("DELETE FROM shares WHERE seq <= ?1")?.execute([key(last)])?;
    let pruned = mark(scribe.db(), PRUNED)?.max(last);
    scribe.set_mark(PRUNED, key(pruned))?;
    Ok(if last < before.get().min(head) { More::Yes } else { More::No })
}
