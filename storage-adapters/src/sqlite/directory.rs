//! Who mines here: one row per miner, the last write wins.

use super::SqliteStore;
use super::fault::{Fault, parsed_at, rows_max, u64_at};
use super::queue::Pace;
use async_trait::async_trait;
use pool_core::id::MinerId;
use pool_core::ports::{Directory, Miner, StoreError};
use pool_core::time::Timestamp;
use pool_core::units::Amount;
use rusqlite::{Connection, Params, params};

#[async_trait]
impl Directory for SqliteStore {
    async fn miner(&self, id: &MinerId) -> Result<Option<Miner>, StoreError> {
        let id = id.clone();
        self.read(move |db| {
            let sql = "SELECT id, since, threshold FROM miners WHERE id = ?1";
            Ok(miners(db, sql, [id.as_str()])?.pop())
        })
        .await
    }

    async fn save(&self, miner: &Miner) -> Result<(), StoreError> {
        let miner = miner.clone();
        self.write(1, Pace::Gather, move |scribe| {
            scribe
                .sql(
                    "INSERT INTO miners (id, since, threshold) VALUES (?1, ?2, ?3)
                     ON CONFLICT (id) DO UPDATE SET since = excluded.since, threshold = excluded.threshold",
                )?
                .execute(params![
                    miner.id.as_str(),
                    miner.since.millis().cast_signed(),
                    miner.threshold.map(|amount| amount.get().to_be_bytes()),
                ])?;
            Ok(())
        })
        .await
    }

    async fn list(&self, after: Option<&MinerId>, limit: usize) -> Result<Vec<Miner>, StoreError> {
        // No miner's text is empty, so all stand behind the empty one.
        let after = after.map(|id| id.as_str().to_owned()).unwrap_or_default();
        self.read(move |db| {
            let sql = "SELECT id, since, threshold FROM miners WHERE id > ?1 ORDER BY id LIMIT ?2";
            miners(db, sql, params![after, rows_max(limit)])
        })
        .await
    }
}

fn miners(db: &Connection, sql: &'static str, params: impl Params) -> Result<Vec<Miner>, Fault> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut miners = Vec::new();
    while let Some(row) = rows.next()? {
        let threshold: Option<[u8; 16]> = row.get(2)?;
        miners.push(Miner {
            id: parsed_at(row, 0)?,
            since: Timestamp::from_millis(u64_at(row, 1)?),
            threshold: threshold.map(|bytes| Amount::new(u128::from_be_bytes(bytes))),
        });
    }
    Ok(miners)
}
