//! A [`Ledger`] in memory.

use super::locked;
use crate::id::Seq;
use crate::ledger::{Account, Balance, Cause, Entry, LedgerEntry, Posted};
use crate::ports::{Ledger, StoreError};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use async_trait::async_trait;
use core::ops::Bound;
use std::collections::HashMap;
use std::sync::Mutex;

/// A double-entry ledger in memory.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    /// The entry at `i` has the place `i + 1`.
    entries: Vec<LedgerEntry>,
    by_cause: HashMap<Cause, usize>,
    /// By the accounts' texts, whose order is the order of pages.
    accounts: BTreeMap<String, Page>,
}

/// One account's page.
#[derive(Clone, Debug)]
struct Page {
    account: Account,
    balance: Balance,
    /// Indices of the entries that touch it.
    entries: Vec<usize>,
}

impl Books {
    /// The accounts an entry touches, with their balances after it. Nothing moves before all sums are known to fit.
    fn balances_after<'entry>(
        &self,
        entry: &'entry Entry,
    ) -> Result<BTreeMap<&'entry Account, Balance>, StoreError> {
        let mut after: BTreeMap<&Account, Balance> = BTreeMap::new();
        for posting in &entry.postings {
            for account in [posting.debit(), posting.credit()] {
                let balance = after.entry(account).or_insert_with(|| {
                    self.accounts.get(&account.to_string()).map_or_else(Balance::default, |page| page.balance)
                });
                *balance = balance.after(account, posting).ok_or_else(|| {
                    StoreError::Corrupt(format!("{}: the sums of {account} pass 2^128", entry.cause))
                })?;
            }
        }
        Ok(after)
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn post(&self, entry: &Entry) -> Result<Posted, StoreError> {
        let mut books = locked(&self.0);
        if let Some(&index) = books.by_cause.get(&entry.cause) {
            let before = &books.entries[index];
            return if before.entry.same_content(entry) {
                Ok(Posted::Before(before.seq))
            } else {
                let (cause, seq) = (&entry.cause, before.seq);
                Err(StoreError::Conflict(format!("{cause} is posted with other content (entry {seq})")))
            };
        }
        let balances = books.balances_after(entry)?;
        let index = books.entries.len();
        let seq = Seq::new(index as u64 + 1);
        for (account, balance) in balances {
            let page = books.accounts.entry(account.to_string()).or_insert_with(|| Page {
                account: account.clone(),
                balance: Balance::default(),
                entries: Vec::new(),
            });
            page.balance = balance;
            page.entries.push(index);
        }
        books.by_cause.insert(entry.cause.clone(), index);
        books.entries.push(LedgerEntry { seq, entry: entry.clone() });
        Ok(Posted::Now(seq))
    }

    async fn balance(&self, account: &Account) -> Result<Balance, StoreError> {
        let books = locked(&self.0);
        Ok(books.accounts.get(&account.to_string()).map_or_else(Balance::default, |page| page.balance))
    }

    async fn balances(
        &self,
        after: Option<&Account>,
        limit: usize,
    ) -> Result<Vec<(Account, Balance)>, StoreError> {
        let books = locked(&self.0);
        let start = after.map_or(Bound::Unbounded, |account| Bound::Excluded(account.to_string()));
        let pages = books.accounts.range((start, Bound::Unbounded)).take(limit);
        Ok(pages.map(|(_, page)| (page.account.clone(), page.balance)).collect())
    }

    async fn entries(
        &self,
        account: Option<&Account>,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<LedgerEntry>, StoreError> {
        let books = locked(&self.0);
        let skipped = usize::try_from(after.get()).unwrap_or(usize::MAX);
        let Some(account) = account else {
            return Ok(books.entries.iter().skip(skipped).take(limit).cloned().collect());
        };
        let Some(page) = books.accounts.get(&account.to_string()) else { return Ok(Vec::new()) };
        let start = page.entries.partition_point(|&index| index < skipped);
        Ok(page.entries[start..].iter().take(limit).map(|&index| books.entries[index].clone()).collect())
    }

    async fn entry(&self, cause: &Cause) -> Result<Option<LedgerEntry>, StoreError> {
        let books = locked(&self.0);
        Ok(books.by_cause.get(cause).map(|&index| books.entries[index].clone()))
    }
}
