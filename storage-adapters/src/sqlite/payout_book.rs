//! The payout book: one row per payout; each step fills a column once.

use super::SqliteStore;
use super::fault::{Fault, conflict, json, json_at, missing, optional_json_at, rows_max};
use super::queue::Pace;
use super::scribe::Scribe;
use async_trait::async_trait;
use pool_core::id::PayoutId;
use pool_core::payout::{BookedPayout, PayoutBatch, SignedTx, TxFate};
use pool_core::ports::{PayoutBook, StoreError};
use rusqlite::{Connection, Params, params};

#[async_trait]
impl PayoutBook for SqliteStore {
    async fn prepare(&self, batch: &PayoutBatch) -> Result<(), StoreError> {
        let batch = batch.clone();
        self.write(1, Pace::Now, move |scribe| prepare(scribe, &batch)).await
    }

    async fn attach(&self, id: &PayoutId, signed: &SignedTx) -> Result<(), StoreError> {
        let (id, signed) = (id.clone(), signed.clone());
        self.write(1, Pace::Now, move |scribe| attach(scribe, &id, &signed)).await
    }

    async fn conclude(&self, id: &PayoutId, fate: &TxFate) -> Result<(), StoreError> {
        let (id, fate) = (id.clone(), fate.clone());
        self.write(1, Pace::Now, move |scribe| conclude(scribe, &id, &fate)).await
    }

    async fn open(&self) -> Result<Vec<BookedPayout>, StoreError> {
        self.read(|db| {
            payouts(db, "SELECT batch, signed, fate FROM payouts WHERE fate IS NULL ORDER BY number, id", [])
        })
        .await
    }

    async fn list(&self, before: Option<u64>, limit: usize) -> Result<Vec<BookedPayout>, StoreError> {
        self.read(move |db| {
            payouts(
                db,
                "SELECT batch, signed, fate FROM payouts WHERE ?1 IS NULL OR number < ?1
                 ORDER BY number DESC, id DESC LIMIT ?2",
                params![before.map(u64::to_be_bytes), rows_max(limit)],
            )
        })
        .await
    }
}

fn prepare(scribe: &Scribe, batch: &PayoutBatch) -> Result<(), Fault> {
    let id = &batch.id;
    if let Some(booked) = one(scribe, id)? {
        return if booked.batch == *batch {
            Ok(())
        } else {
            Err(conflict(format!("payout {id} is prepared with other content")))
        };
    }
    scribe.sql("INSERT INTO payouts (id, number, batch) VALUES (?1, ?2, ?3)")?.execute(params![
        id.as_str(),
        id.number().to_be_bytes(),
        json(batch)
    ])?;
    Ok(())
}

fn attach(scribe: &Scribe, id: &PayoutId, signed: &SignedTx) -> Result<(), Fault> {
    let booked = one(scribe, id)?.ok_or_else(|| missing(format!("payout {id}")))?;
    match (&booked.signed, &booked.conclusion) {
        (Some(before), _) if before == signed => Ok(()),
        (Some(_), _) => Err(conflict(format!("payout {id} is signed with other bytes"))),
        (None, Some(_)) => Err(conflict(format!("payout {id} has ended unsigned"))),
        (None, None) => {
            scribe
                .sql("UPDATE payouts SET signed = ?2 WHERE id = ?1")?
                .execute(params![id.as_str(), json(signed)])?;
            Ok(())
        }
    }
}

fn conclude(scribe: &Scribe, id: &PayoutId, fate: &TxFate) -> Result<(), Fault> {
    let booked = one(scribe, id)?.ok_or_else(|| missing(format!("payout {id}")))?;
    match fate {
        TxFate::Unknown | TxFate::Pending { .. } => {
            return Err(conflict(format!("payout {id}: a conclusion must be final")));
        }
        TxFate::Settled { .. } if booked.signed.is_none() => {
            return Err(conflict(format!("payout {id} was never signed and cannot be settled")));
        }
        TxFate::Settled { .. } | TxFate::Void { .. } => {}
    }
    match booked.conclusion {
        Some(before) if before == *fate => Ok(()),
        Some(_) => Err(conflict(format!("payout {id} has another end already"))),
        None => {
            scribe
                .sql("UPDATE payouts SET fate = ?2 WHERE id = ?1")?
                .execute(params![id.as_str(), json(fate)])?;
            Ok(())
        }
    }
}

fn one(scribe: &Scribe, id: &PayoutId) -> Result<Option<BookedPayout>, Fault> {
    let sql = "SELECT batch, signed, fate FROM payouts WHERE id = ?1";
    Ok(payouts(scribe.db(), sql, [id.as_str()])?.pop())
}

fn payouts(db: &Connection, sql: &'static str, params: impl Params) -> Result<Vec<BookedPayout>, Fault> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut payouts = Vec::new();
    while let Some(row) = rows.next()? {
        payouts.push(BookedPayout {
            batch: json_at(row, 0)?,
            signed: optional_json_at(row, 1)?,
            conclusion: optional_json_at(row, 2)?,
        });
    }
    Ok(payouts)
}
