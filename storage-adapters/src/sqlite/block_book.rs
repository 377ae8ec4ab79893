//! The block book: one row per block, from before its submission to its fate.

use super::SqliteStore;
use super::fault::{
    Fault, blob_at, conflict, corrupt, json, json_at, key, missing, optional_json_at, parsed_at, rows_max,
    u64_at,
};
use super::queue::Pace;
use super::scribe::Scribe;
use async_trait::async_trait;
use pool_core::block::{BlockFate, BookedBlock, FoundBlock};
use pool_core::id::{BlockId, Seq};
use pool_core::ports::{BlockBook, BlockList, StoreError};
use pool_core::time::Timestamp;
use rusqlite::{Connection, Params, Row, params};

const NEWEST: &str = "SELECT seq, id, coin, share, raw, height, submitted, conclusion, fate FROM blocks
     WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2";
const CONCLUDED: &str = "SELECT seq, id, coin, share, raw, height, submitted, conclusion, fate FROM blocks
     WHERE conclusion > ?1 ORDER BY conclusion LIMIT ?2";
const ONE: &str = "SELECT seq, id, coin, share, raw, height, submitted, conclusion, fate FROM blocks
     WHERE id = ?1 LIMIT ?2";
const OPEN: &str = "SELECT seq, id, coin, share, raw, height, submitted, conclusion, fate FROM blocks
     WHERE conclusion IS NULL ORDER BY seq";

#[async_trait]
impl BlockBook for SqliteStore {
    async fn record(&self, found: &FoundBlock) -> Result<bool, StoreError> {
        let found = found.clone();
        self.write(1, Pace::Now, move |scribe| record(scribe, &found)).await
    }

    async fn submitted(&self, id: &BlockId, at: Timestamp) -> Result<(), StoreError> {
        let id = *id;
        self.write(1, Pace::Now, move |scribe| submitted(scribe, &id, at)).await
    }

    async fn conclude(&self, id: &BlockId, fate: &BlockFate) -> Result<Seq, StoreError> {
        let (id, fate) = (*id, fate.clone());
        self.write(1, Pace::Now, move |scribe| conclude(scribe, &id, &fate)).await
    }

    async fn open(&self) -> Result<Vec<BookedBlock>, StoreError> {
        self.read(|db| blocks(db, OPEN, [])).await
    }

    async fn list(&self, list: BlockList, limit: usize) -> Result<Vec<BookedBlock>, StoreError> {
        let limit = rows_max(limit);
        self.read(move |db| match list {
            BlockList::Newest(before) => {
                blocks(db, NEWEST, params![before.map_or(i64::MAX, |seq| key(seq.get())), limit])
            }
            BlockList::Concluded(after) => blocks(db, CONCLUDED, params![key(after.get()), limit]),
            BlockList::One(id) => blocks(db, ONE, params![id.bytes(), limit]),
        })
        .await
    }
}

fn record(scribe: &Scribe, found: &FoundBlock) -> Result<bool, Fault> {
    if let Some(booked) = one(scribe, &found.id)? {
        return if booked.found == *found {
            Ok(false)
        } else {
            Err(conflict(format!("block {} is recorded with other content", found.id)))
        };
    }
    scribe
        .sql(
            "INSERT INTO blocks (seq, id, coin, share, raw, height)
             VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM blocks), ?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            found.id.bytes(),
            found.coin.as_str(),
            json(&found.share),
            found.raw,
            found.height.cast_signed(),
        ])?;
    Ok(true)
}

fn submitted(scribe: &Scribe, id: &BlockId, at: Timestamp) -> Result<(), Fault> {
    let changed = scribe
        .sql("UPDATE blocks SET submitted = coalesce(submitted, ?2) WHERE id = ?1")?
        .execute(params![id.bytes(), at.millis().cast_signed()])?;
    if changed == 0 { Err(missing(format!("block {id}"))) } else { Ok(()) }
}

fn conclude(scribe: &Scribe, id: &BlockId, fate: &BlockFate) -> Result<Seq, Fault> {
    let booked = one(scribe, id)?.ok_or_else(|| missing(format!("block {id}")))?;
    if !fate.is_final() {
        return Err(conflict(format!("block {id}: a conclusion must be final")));
    }
    if let Some((seq, before)) = booked.conclusion {
        return if before == *fate {
            Ok(seq)
        } else {
            Err(conflict(format!("block {id} has another fate already")))
        };
    }
    let last: i64 =
        scribe.sql("SELECT coalesce(max(conclusion), 0) FROM blocks")?.query_row([], |row| row.get(0))?;
    scribe.sql("UPDATE blocks SET conclusion = ?2, fate = ?3 WHERE id = ?1")?.execute(params![
        id.bytes(),
        last + 1,
        json(fate)
    ])?;
    Ok(Seq::new((last + 1).cast_unsigned()))
}

fn one(scribe: &Scribe, id: &BlockId) -> Result<Option<BookedBlock>, Fault> {
    Ok(blocks(scribe.db(), ONE, params![id.bytes(), 1])?.pop())
}

fn blocks(db: &Connection, sql: &'static str, params: impl Params) -> Result<Vec<BookedBlock>, Fault> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut blocks = Vec::new();
    while let Some(row) = rows.next()? {
        blocks.push(block_at(row)?);
    }
    Ok(blocks)
}

fn block_at(row: &Row<'_>) -> Result<BookedBlock, Fault> {
    let conclusion: Option<i64> = row.get(7)?;
    let fate = optional_json_at(row, 8)?;
    Ok(BookedBlock {
        seq: Seq::new(u64_at(row, 0)?),
        found: FoundBlock {
            id: BlockId::new(row.get(1)?),
            coin: parsed_at(row, 2)?,
            share: json_at(row, 3)?,
            raw: blob_at(row, 4)?.to_vec(),
            height: u64_at(row, 5)?,
        },
        submitted: row.get::<_, Option<i64>>(6)?.map(|at| Timestamp::from_millis(at.cast_unsigned())),
        conclusion: match (conclusion, fate) {
            (None, None) => None,
            (Some(seq), Some(fate)) => Some((Seq::new(seq.cast_unsigned()), fate)),
            _ => return Err(corrupt("half a conclusion")),
        },
    })
}
