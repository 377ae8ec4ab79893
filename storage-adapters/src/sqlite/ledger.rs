//! The ledger: entries and their postings, and with them, in the same transaction, each account's two sums.
//!
//! The sums are a cache that [`super::SqliteStore::check`] computes again. Conservation holds by construction: a
//! posting is one row with one amount and two different accounts.

use super::SqliteStore;
use super::fault::{Fault, conflict, corrupt, key, parsed_at, rows_max, text_at, u64_at, u128_at};
use super::queue::Pace;
use super::scribe::Scribe;
use async_trait::async_trait;
use pool_core::id::Seq;
use pool_core::ledger::{Account, Balance, Cause, Entry, LedgerEntry, Posted, Posting};
use pool_core::ports::{Ledger, StoreError};
use pool_core::time::Timestamp;
use pool_core::units::Amount;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use std::collections::{BTreeMap, HashMap};

#[async_trait]
impl Ledger for SqliteStore {
    async fn post(&self, entry: &Entry) -> Result<Posted, StoreError> {
        let entry = entry.clone();
        self.write(1 + entry.postings.len(), Pace::Now, move |scribe| post(scribe, &entry)).await
    }

    async fn balance(&self, account: &Account) -> Result<Balance, StoreError> {
        let name = account.to_string();
        self.read(move |db| Ok(account_named(db, &name)?.map(|row| row.balance).unwrap_or_default())).await
    }

    async fn balances(
        &self,
        after: Option<&Account>,
        limit: usize,
    ) -> Result<Vec<(Account, Balance)>, StoreError> {
        // No account's text is empty, so all stand behind the empty one.
        let after = after.map(ToString::to_string).unwrap_or_default();
        self.read(move |db| balances(db, &after, limit)).await
    }

    async fn entries(
        &self,
        account: Option<&Account>,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<LedgerEntry>, StoreError> {
        let account = account.map(ToString::to_string);
        self.read(move |db| entries_of(db, account.as_deref(), after, limit)).await
    }

    async fn entry(&self, cause: &Cause) -> Result<Option<LedgerEntry>, StoreError> {
        let cause = cause.to_string();
        self.read(move |db| entry_of(db, &cause)).await
    }
}

fn post(scribe: &Scribe, entry: &Entry) -> Result<Posted, Fault> {
    let cause = entry.cause.to_string();
    if let Some(before) = entry_of(scribe.db(), &cause)? {
        return if before.entry.same_content(entry) {
            Ok(Posted::Before(before.seq))
        } else {
            Err(conflict(format!("{cause} is posted with other content (entry {})", before.seq)))
        };
    }
    let seq: i64 =
        scribe.sql("SELECT coalesce(max(seq), 0) + 1 FROM entries")?.query_row([], |row| row.get(0))?;
    let touched = touched(scribe.db(), entry)?;
    scribe
        .sql("INSERT INTO entries (seq, cause, coin, at, memo) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![seq, cause, entry.coin.as_str(), entry.at.millis().cast_signed(), entry.memo])?;
    let mut ids = HashMap::with_capacity(touched.len());
    for (account, Touched { id, balance }) in touched {
        let (debits, credits) = (balance.debits.get().to_be_bytes(), balance.credits.get().to_be_bytes());
        let id = match id {
            Some(id) => {
                scribe
                    .sql("UPDATE accounts SET debits = ?2, credits = ?3 WHERE id = ?1")?
                    .execute(params![id, debits, credits])?;
                id
            }
            None => scribe
                .sql("INSERT INTO accounts (name, debits, credits) VALUES (?1, ?2, ?3)")?
                .insert(params![account.to_string(), debits, credits])?,
        };
        scribe.sql("INSERT INTO touches (account, entry) VALUES (?1, ?2)")?.execute([id, seq])?;
        ids.insert(account, id);
    }
    for (line, posting) in (0i64..).zip(&entry.postings) {
        let amount = posting.amount().get().to_be_bytes();
        scribe
            .sql("INSERT INTO postings (entry, line, debit, credit, amount) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![seq, line, ids[posting.debit()], ids[posting.credit()], amount])?;
    }
    Ok(Posted::Now(Seq::new(seq.cast_unsigned())))
}

/// An account that an entry moves money through: its row, if it has one, and its sums after the entry.
struct Touched {
    id: Option<i64>,
    balance: Balance,
}

fn touched<'entry>(
    db: &Connection,
    entry: &'entry Entry,
) -> Result<BTreeMap<&'entry Account, Touched>, Fault> {
    let mut touched: BTreeMap<&Account, Touched> = BTreeMap::new();
    for posting in &entry.postings {
        for account in [posting.debit(), posting.credit()] {
            if !touched.contains_key(account) {
                let row = account_named(db, &account.to_string())?;
                let (id, balance) = row.map_or((None, Balance::default()), |row| (Some(row.id), row.balance));
                touched.insert(account, Touched { id, balance });
            }
            let state = touched.get_mut(account).expect("inserted above when it was missing");
            state.balance = state
                .balance
                .after(account, posting)
                .ok_or_else(|| corrupt(format!("the sums of {account} pass 2^128")))?;
        }
    }
    Ok(touched)
}

struct AccountRow {
    id: i64,
    balance: Balance,
}

fn account_named(db: &Connection, name: &str) -> Result<Option<AccountRow>, Fault> {
    let mut statement = db.prepare_cached("SELECT id, debits, credits FROM accounts WHERE name = ?1")?;
    let mut rows = statement.query([name])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(AccountRow { id: row.get(0)?, balance: balance_at(row, 1)? }))
}

fn balance_at(row: &Row<'_>, column: usize) -> Result<Balance, Fault> {
    Ok(Balance {
        debits: Amount::new(u128_at(row, column)?),
        credits: Amount::new(u128_at(row, column + 1)?),
    })
}

/// At most `limit` accounts behind the text `after`, in the order of their text.
pub(super) fn balances(db: &Connection, after: &str, limit: usize) -> Result<Vec<(Account, Balance)>, Fault> {
    let mut statement = db.prepare_cached(
        "SELECT name, debits, credits FROM accounts WHERE name > ?1 ORDER BY name LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after, rows_max(limit)])?;
    let mut balances = Vec::new();
    while let Some(row) = rows.next()? {
        balances.push((parsed_at(row, 0)?, balance_at(row, 1)?));
    }
    Ok(balances)
}

/// At most `limit` entries behind `after`, of one account or all, in order.
pub(super) fn entries_of(
    db: &Connection,
    account: Option<&str>,
    after: Seq,
    limit: usize,
) -> Result<Vec<LedgerEntry>, Fault> {
    let (after, limit) = (key(after.get()), rows_max(limit));
    let Some(name) = account else {
        return entries(
            db,
            "SELECT seq, cause, coin, at, memo FROM entries WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            params![after, limit],
        );
    };
    let id: Option<i64> = db
        .prepare_cached("SELECT id FROM accounts WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    let Some(id) = id else { return Ok(Vec::new()) };
    entries(
        db,
        "SELECT e.seq, e.cause, e.coin, e.at, e.memo FROM touches t JOIN entries e ON e.seq = t.entry
         WHERE t.account = ?1 AND t.entry > ?2 ORDER BY t.entry LIMIT ?3",
        params![id, after, limit],
    )
}

fn entry_of(db: &Connection, cause: &str) -> Result<Option<LedgerEntry>, Fault> {
    let sql = "SELECT seq, cause, coin, at, memo FROM entries WHERE cause = ?1";
    Ok(entries(db, sql, [cause])?.pop())
}

/// Entries never change, so their postings may be read by later statements.
fn entries(db: &Connection, sql: &'static str, params: impl Params) -> Result<Vec<LedgerEntry>, Fault> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut accounts = Accounts { db, known: HashMap::new() };
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        entries.push(LedgerEntry {
            seq: Seq::new(seq.cast_unsigned()),
            entry: Entry {
                cause: parsed_at(row, 1)?,
                coin: parsed_at(row, 2)?,
                at: Timestamp::from_millis(u64_at(row, 3)?),
                memo: text_at(row, 4)?.to_owned(),
                postings: postings(db, seq, &mut accounts)?,
            },
        });
    }
    Ok(entries)
}

fn postings(db: &Connection, entry: i64, accounts: &mut Accounts<'_>) -> Result<Vec<Posting>, Fault> {
    let mut statement =
        db.prepare_cached("SELECT debit, credit, amount FROM postings WHERE entry = ?1 ORDER BY line")?;
    let mut rows = statement.query([entry])?;
    let mut postings = Vec::new();
    while let Some(row) = rows.next()? {
        let (debit, credit) = (accounts.named(row.get(0)?)?, accounts.named(row.get(1)?)?);
        postings.push(Posting::new(debit, credit, Amount::new(u128_at(row, 2)?)).map_err(corrupt)?);
    }
    Ok(postings)
}

/// Accounts by their row ids, each read once per answer.
struct Accounts<'db> {
    db: &'db Connection,
    known: HashMap<i64, Account>,
}

impl Accounts<'_> {
    fn named(&mut self, id: i64) -> Result<Account, Fault> {
        if let Some(account) = self.known.get(&id) {
            return Ok(account.clone());
        }
        let mut statement = self.db.prepare_cached("SELECT name FROM accounts WHERE id = ?1")?;
        let mut rows = statement.query([id])?;
        let row = rows.next()?.ok_or_else(|| corrupt(format!("no account has the row id {id}")))?;
        let account: Account = parsed_at(row, 0)?;
        self.known.insert(id, account.clone());
        Ok(account)
    }
}
