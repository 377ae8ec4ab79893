//! The books, computed again: what the tables promise each other, read from one consistent view.

use super::SqliteStore;
use super::fault::{Fault, corrupt, u64_at, u128_at};
use super::scribe::{PRUNED, mark, share_head};
use pool_core::ledger::{Account, Balance};
use pool_core::ports::StoreError;
use pool_core::units::Amount;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

/// What a check went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Shares in the log now.
    pub shares: u64,
    /// Ledger entries.
    pub entries: u64,
    /// Postings in them.
    pub postings: u64,
    /// Accounts whose sums were computed again.
    pub accounts: u64,
    /// Concluded blocks.
    pub conclusions: u64,
}

impl SqliteStore {
    /// Computes again what can be: every account's sums from the postings and debits against credits over all of them,
    /// the entries' index, and that sequences have no gap. Reads the whole ledger and counts the log; runs beside
    /// everything else.
    ///
    /// # Errors
    /// `Corrupt` with the first thing that does not fit: stop the pool. Else [`StoreError`].
    pub async fn check(&self) -> Result<Checked, StoreError> {
        self.read(|db| {
            let view = db.unchecked_transaction()?;
            let checked = check(&view)?;
            view.finish()?;
            Ok(checked)
        })
        .await
    }

    /// Goes through every page of the file with the engine's own check. Slow on a large file.
    ///
    /// # Errors
    /// `Corrupt` with the engine's first finding.
    pub async fn check_file(&self) -> Result<(), StoreError> {
        self.read(|db| {
            let finding: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
            if finding == "ok" { Ok(()) } else { Err(corrupt(finding)) }
        })
        .await
    }
}

fn check(db: &Connection) -> Result<Checked, Fault> {
    let shares = check_log(db)?;
    let entries = dense(db, "entry", "SELECT count(*), min(seq), max(seq) FROM entries")?;
    dense(db, "block", "SELECT count(*), min(seq), max(seq) FROM blocks")?;
    let conclusions =
        dense(db, "conclusion", "SELECT count(conclusion), min(conclusion), max(conclusion) FROM blocks")?;
    let (events, first, last) = span(db, "SELECT count(*), min(seq), max(seq) FROM events")?;
    if events > 0 && last - first + 1 != events {
        return Err(corrupt(format!("{events} events from {first} to {last}: there is a gap")));
    }
    let (postings, accounts) = check_balances(db)?;
    Ok(Checked { shares, entries, postings, accounts, conclusions })
}

/// The log is dense from the first share kept to the head, and every share's worker has names.
fn check_log(db: &Connection) -> Result<u64, Fault> {
    let (count, first, last) = span(db, "SELECT count(*), min(seq), max(seq) FROM shares")?;
    let (head, pruned) = (share_head(db)?, mark(db, PRUNED)?);
    if count > 0 && (first != pruned + 1 || last != head || last - first + 1 != count) {
        return Err(corrupt(format!(
            "{count} shares from {first} to {last}, pruned up to {pruned}: the log has a gap"
        )));
    }
    let nameless: i64 = db.query_row(
        "SELECT count(*) FROM (SELECT DISTINCT worker FROM shares) WHERE worker NOT IN (SELECT id FROM workers)",
        [],
        |row| row.get(0),
    )?;
    if nameless > 0 {
        return Err(corrupt(format!("{nameless} workers of shares have no name")));
    }
    let misplaced: i64 = db.query_row(
        "SELECT (SELECT count(*) FROM shares s LEFT JOIN share_blocks b ON b.block = s.block
                 WHERE s.block IS NOT NULL AND b.seq IS NOT s.seq)
              + (SELECT count(*) FROM share_blocks b LEFT JOIN shares s ON s.seq = b.seq
                 WHERE b.seq > ?1 AND s.block IS NOT b.block)",
        [super::fault::key(pruned)],
        |row| row.get(0),
    )?;
    if misplaced > 0 {
        return Err(corrupt(format!("{misplaced} shares of blocks are not where they are said to be")));
    }
    Ok(count)
}

/// Numbers from 1 without a gap.
fn dense(db: &Connection, what: &str, sql: &str) -> Result<u64, Fault> {
    let (count, first, last) = span(db, sql)?;
    if count > 0 && (first != 1 || last != count) {
        return Err(corrupt(format!(
            "{count} numbers of kind {what} from {first} to {last}: there is a gap"
        )));
    }
    Ok(count)
}

fn span(db: &Connection, sql: &str) -> Result<(u64, u64, u64), Fault> {
    let (count, first, last): (i64, Option<i64>, Option<i64>) =
        db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let number = |value: i64| u64::try_from(value).map_err(|_| corrupt("a negative sequence"));
    Ok((number(count)?, number(first.unwrap_or(0))?, number(last.unwrap_or(0))?))
}

/// Every account's sums from the postings, against what is stored; and debits against credits.
fn check_balances(db: &Connection) -> Result<(u64, u64), Fault> {
    let mut sums: BTreeMap<i64, Balance> = BTreeMap::new();
    let mut touches: BTreeSet<(i64, i64)> = BTreeSet::new();
    let mut postings = 0;
    let past = || corrupt("the sum of the postings passes 2^128");
    let mut statement =
        db.prepare("SELECT entry, debit, credit, amount FROM postings ORDER BY entry, line")?;
    let mut rows = statement.query([])?;
    let mut touched = 0u64;
    let mut entry_now = None;
    while let Some(row) = rows.next()? {
        let (entry, debit, credit): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let amount = Amount::new(u128_at(row, 3)?);
        if amount.is_zero() || debit == credit {
            return Err(corrupt(format!("entry {entry} has a posting that moves nothing")));
        }
        // Pairs are counted per entry, so memory holds one entry's pairs and not the ledger's.
        if entry_now.replace(entry) != Some(entry) {
            touched += touches.len() as u64;
            touches.clear();
        }
        touches.extend([(debit, entry), (credit, entry)]);
        let side = sums.entry(debit).or_default();
        side.debits = side.debits.checked_add(amount).ok_or_else(past)?;
        let side = sums.entry(credit).or_default();
        side.credits = side.credits.checked_add(amount).ok_or_else(past)?;
        postings += 1;
    }
    touched += touches.len() as u64;
    compare_accounts(db, &sums)?;
    let (pairs, strays): (i64, i64) = db.query_row(
        "SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (
             SELECT 1 FROM postings p WHERE p.entry = t.entry AND t.account IN (p.debit, p.credit)))
         FROM touches t",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if pairs.cast_unsigned() != touched || strays != 0 {
        return Err(corrupt("the accounts' index of entries does not fit the postings"));
    }
    let orphans: i64 = db.query_row(
        "SELECT count(*) FROM (SELECT DISTINCT entry FROM postings)
         WHERE entry NOT IN (SELECT seq FROM entries)",
        [],
        |row| row.get(0),
    )?;
    if orphans > 0 {
        return Err(corrupt(format!("{orphans} entries have postings and no cause")));
    }
    Ok((postings, sums.len() as u64))
}

fn compare_accounts(db: &Connection, sums: &BTreeMap<i64, Balance>) -> Result<(), Fault> {
    let mut statement = db.prepare("SELECT id, name, debits, credits FROM accounts")?;
    let mut rows = statement.query([])?;
    let mut found = 0;
    // Difference of all debits and all credits, kept modulo 2^128: zero at the end exactly when they are equal,
    // because every posting adds its amount to both sides.
    let mut difference = 0u128;
    while let Some(row) = rows.next()? {
        let (id, name) = (u64_at(row, 0)?.cast_signed(), row.get::<_, String>(1)?);
        name.parse::<Account>().map_err(corrupt)?;
        let stored =
            Balance { debits: Amount::new(u128_at(row, 2)?), credits: Amount::new(u128_at(row, 3)?) };
        match sums.get(&id) {
            Some(computed) if *computed == stored => found += 1,
            Some(computed) => {
                return Err(corrupt(format!(
                    "{name}: stored debits {} and credits {}, postings say {} and {}",
                    stored.debits, stored.credits, computed.debits, computed.credits
                )));
            }
            None => return Err(corrupt(format!("{name} has sums and no posting"))),
        }
        difference = difference.wrapping_add(stored.debits.get()).wrapping_sub(stored.credits.get());
    }
    if found != sums.len() {
        return Err(corrupt("postings name accounts that do not exist"));
    }
    if difference != 0 {
        return Err(corrupt("debits and credits differ"));
    }
    Ok(())
}
