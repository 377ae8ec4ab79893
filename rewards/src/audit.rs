//! Everything again, and compared: each split from the log, each balance from the ledger, each payout from its book.
//!
//! An audit writes nothing. What it recomputes is the very fold that settlement posts from, on the inputs that entries
//! recorded; what it cannot recompute (adjustments by hand) it lists. What a pool that was stopped in the middle has
//! not written yet is unfinished, and no difference.

use crate::fold::{Draft, Fold, Folded, scheme_cause};
use crate::reference::reference_cause;
use crate::settle::{
    ROWS_PER_READ, SHARES_PER_READ, SettleError, Stores, conclude, price, recorded, schedule,
};
use pool_core::id::{CoinId, PayoutId, Seq};
use pool_core::ledger::{Account, Balance, Cause, LedgerEntry, Posting};
use pool_core::payout::{BookedPayout, TxFate};
use pool_core::ports::{BlockList, Ledger, PayoutBook};
use std::collections::{BTreeMap, BTreeSet};

/// What an audit reads.
#[derive(Clone, Copy, Debug)]
pub struct AuditStores<'a> {
    /// What settling reads and writes.
    pub settled: Stores<'a>,
    /// Payouts.
    pub payouts: &'a dyn PayoutBook,
}

/// Something that is not as the log, the books and the ledger say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What: a cause, an account, a payout.
    pub place: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Shares folded.
    pub shares: u64,
    /// Concluded blocks folded.
    pub blocks: u64,
    /// Ledger entries read.
    pub entries: u64,
    /// Accounts compared.
    pub accounts: u64,
    /// Payouts compared.
    pub payouts: u64,
    /// Conclusions, periods and payout steps whose entry is not written yet: what the next start will do first.
    pub unfinished: Vec<String>,
    /// Adjustments by hand, which nothing can recompute.
    pub adjustments: Vec<String>,
    /// Everything that does not agree. Empty: the books are right.
    pub differences: Vec<Difference>,
}

impl AuditReport {
    /// True when every split and every balance is what the log says.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.differences.is_empty()
    }

    fn differs(&mut self, place: impl ToString, expected: impl ToString, found: impl ToString) {
        self.differences.push(Difference {
            place: place.to_string(),
            expected: expected.to_string(),
            found: found.to_string(),
        });
    }
}

/// Recomputes every split from the log and every balance from the ledger, and lists what does not agree.
///
/// # Errors
/// [`SettleError`] where the stores or the log do not let it finish; a difference is no error.
pub async fn audit(coin: &CoinId, stores: AuditStores<'_>) -> Result<AuditReport, SettleError> {
    let mut report = AuditReport::default();
    let mut expected = BTreeSet::new();
    audit_splits(coin, stores.settled, &mut report, &mut expected).await?;
    audit_ledger(coin, stores, &mut report, &expected).await?;
    Ok(report)
}

/// Entries that ought to be there, those found, and those not found behind the last one found.
#[derive(Default)]
struct Ordered {
    missing: Vec<String>,
}

impl Ordered {
    fn compare(&mut self, draft: &Draft, found: Option<&LedgerEntry>, report: &mut AuditReport) {
        match found {
            None => self.missing.push(draft.cause.to_string()),
            Some(LedgerEntry { entry, .. }) => {
                for cause in self.missing.drain(..) {
                    report.differs(cause, "an entry", "none, but entries behind it");
                }
                if entry.memo != draft.memo {
                    report.differs(&draft.cause, &draft.memo, &entry.memo);
                }
                for (should, is) in differing(&draft.postings, &entry.postings) {
                    report.differs(&draft.cause, should, is);
                }
            }
        }
    }
}

fn posting_text(posting: Option<&Posting>) -> String {
    posting.map_or_else(
        || "no posting".to_owned(),
        |posting| format!("{} -> {}: {}", posting.debit(), posting.credit(), posting.amount()),
    )
}

fn differing(should: &[Posting], is: &[Posting]) -> Vec<(String, String)> {
    (0..should.len().max(is.len()))
        .filter(|place| should.get(*place) != is.get(*place))
        .map(|place| (posting_text(should.get(place)), posting_text(is.get(place))))
        .collect()
}

async fn audit_splits(
    coin: &CoinId,
    stores: Stores<'_>,
    report: &mut AuditReport,
    expected: &mut BTreeSet<Cause>,
) -> Result<(), SettleError> {
    let mut schedule = schedule(stores.ledger).await?;
    for version in 1..=schedule.len() {
        expected.insert(scheme_cause(u32::try_from(version).unwrap_or(u32::MAX)));
    }
    if schedule.is_empty() {
        return Ok(());
    }
    let mut fold = Fold::new(coin.clone(), schedule.remove(0), schedule)?;
    loop {
        let page = stores.shares.read(fold.shares(), SHARES_PER_READ).await?;
        for share in &page {
            fold.share(share)?;
        }
        report.shares += page.len() as u64;
        if page.len() < SHARES_PER_READ {
            break;
        }
    }
    let mut rewards = Ordered::default();
    'blocks: loop {
        let page = stores.blocks.list(BlockList::Concluded(fold.conclusions()), ROWS_PER_READ).await?;
        for block in &page {
            match conclude(&mut fold, block)? {
                Folded::Waiting => {
                    report.differs(block.found.id, "its share in the log", "none");
                    break 'blocks;
                }
                Folded::Drafts(drafts) => {
                    report.blocks += 1;
                    for draft in drafts {
                        let found = stores.ledger.entry(&draft.cause).await?;
                        rewards.compare(&draft, found.as_ref(), report);
                        expected.insert(draft.cause);
                    }
                }
            }
        }
        if page.len() < ROWS_PER_READ {
            break;
        }
    }
    report.unfinished.append(&mut rewards.missing);
    let mut credits = Ordered::default();
    while let Some(period) = fold.period().cloned() {
        let cause = Cause::ShareCredit(period.upto);
        let memo = recorded(stores.ledger, &period).await?;
        let rule = fold.tally().params_of(period.version).map(|params| params.rule.clone());
        match (memo, rule) {
            (Some(memo), Some(rule)) => {
                let Some(price) = price(stores, &rule, &period, memo.conclusion).await? else {
                    let due = reference_cause(rule.period_ms().unwrap_or_default(), period.number);
                    report.differs(&cause, format!("its reference blocks under {due}"), "none");
                    fold.skip_period();
                    expected.insert(cause);
                    continue;
                };
                if price.reference.is_some() {
                    expected.insert(reference_cause(rule.period_ms().unwrap_or_default(), period.number));
                }
                let pay = fold.price(&period, price.rate)?;
                if let Some(draft) = fold.pay_period(&pay, price) {
                    let found = stores.ledger.entry(&draft.cause).await?;
                    credits.compare(&draft, found.as_ref(), report);
                }
            }
            _ => {
                credits.missing.push(cause.to_string());
                fold.skip_period();
            }
        }
        expected.insert(cause);
    }
    report.unfinished.append(&mut credits.missing);
    Ok(())
}

/// What the ledger says of one payout.
#[derive(Default)]
struct PayoutEntries {
    taken: Option<Vec<Posting>>,
    settled: Option<Vec<Posting>>,
    voided: Option<Vec<Posting>>,
}

async fn audit_ledger(
    coin: &CoinId,
    stores: AuditStores<'_>,
    report: &mut AuditReport,
    expected: &BTreeSet<Cause>,
) -> Result<(), SettleError> {
    let ledger = stores.settled.ledger;
    let mut balances: BTreeMap<Account, Balance> = BTreeMap::new();
    let mut payouts: BTreeMap<PayoutId, PayoutEntries> = BTreeMap::new();
    let mut after = Seq::new(0);
    loop {
        let page = ledger.entries(None, after, ROWS_PER_READ).await?;
        for LedgerEntry { seq, entry } in &page {
            if seq.get() != after.get() + 1 {
                report.differs(format!("entry {seq}"), after.get() + 1, seq);
            }
            after = *seq;
            report.entries += 1;
            if entry.coin != *coin {
                report.differs(&entry.cause, coin, &entry.coin);
            }
            for posting in &entry.postings {
                for account in [posting.debit(), posting.credit()] {
                    let balance = balances.entry(account.clone()).or_default();
                    match balance.after(account, posting) {
                        Some(next) => *balance = next,
                        None => report.differs(account, "a sum below 2^128", "more"),
                    }
                }
            }
            let postings = || entry.postings.clone();
            match &entry.cause {
                Cause::BlockReward(_) | Cause::ShareCredit(_) => {
                    if !expected.contains(&entry.cause) {
                        report.differs(&entry.cause, "no entry", format!("entry {seq}"));
                    }
                }
                Cause::Adjustment(reference) if !expected.contains(&entry.cause) => {
                    report.adjustments.push(reference.clone());
                }
                Cause::Adjustment(_) | Cause::Upkeep(_) => {}
                Cause::Payout(id) => payouts.entry(id.clone()).or_default().taken = Some(postings()),
                Cause::PayoutSettled(id) => {
                    payouts.entry(id.clone()).or_default().settled = Some(postings());
                }
                Cause::PayoutVoided(id) => payouts.entry(id.clone()).or_default().voided = Some(postings()),
            }
        }
        if page.len() < ROWS_PER_READ {
            break;
        }
    }
    audit_balances(ledger, report, balances).await?;
    audit_payouts(stores.payouts, report, payouts).await
}

async fn audit_balances(
    ledger: &dyn Ledger,
    report: &mut AuditReport,
    mut balances: BTreeMap<Account, Balance>,
) -> Result<(), SettleError> {
    for (account, balance) in &balances {
        let may_owe = matches!(account, Account::Chain | Account::Reserve | Account::Operator);
        if !may_owe && balance.debits > balance.credits {
            let (credits, debits) = (balance.credits, balance.debits);
            report.differs(account, format!("at most {credits} taken"), format!("{debits} taken"));
        }
    }
    let mut last: Option<Account> = None;
    loop {
        let page = ledger.balances(last.as_ref(), ROWS_PER_READ).await?;
        for (account, found) in &page {
            report.accounts += 1;
            let should = balances.remove(account).unwrap_or_default();
            if should != *found {
                report.differs(account, balance_text(should), balance_text(*found));
            }
        }
        let full = page.len() == ROWS_PER_READ;
        last = page.into_iter().next_back().map(|(account, _)| account);
        if !full {
            break;
        }
    }
    for (account, should) in balances {
        if should != Balance::default() {
            report.differs(account, balance_text(should), "no balance");
        }
    }
    Ok(())
}

fn balance_text(balance: Balance) -> String {
    format!("{} in, {} out", balance.credits, balance.debits)
}

async fn audit_payouts(
    book: &dyn PayoutBook,
    report: &mut AuditReport,
    mut ledger: BTreeMap<PayoutId, PayoutEntries>,
) -> Result<(), SettleError> {
    let mut before = None;
    let mut seen = BTreeSet::new();
    loop {
        let page = book.list(before, ROWS_PER_READ).await?;
        for payout in &page {
            let id = &payout.batch.id;
            before = Some(id.number());
            if seen.insert(id.clone()) {
                report.payouts += 1;
                let entries = ledger.remove(id).unwrap_or_default();
                audit_payout(payout, &entries, report);
            }
        }
        if page.len() < ROWS_PER_READ {
            break;
        }
    }
    for id in ledger.keys() {
        report.differs(Cause::Payout(id.clone()), "a payout in the book", "none");
    }
    Ok(())
}

fn audit_payout(payout: &BookedPayout, entries: &PayoutEntries, report: &mut AuditReport) {
    let id = &payout.batch.id;
    let mut compare = |cause: Cause, should: Option<Vec<Posting>>, is: &Option<Vec<Posting>>, done: bool| {
        match (should, is) {
            (Some(should), Some(is)) => {
                for (should, is) in differing(&should, is) {
                    report.differs(&cause, should, is);
                }
            }
            (None, Some(_)) => report.differs(cause, "no entry", "an entry"),
            (Some(_), None) if done => report.differs(cause, "an entry", "none"),
            (Some(_), None) => report.unfinished.push(cause.to_string()),
            (None, None) => {}
        }
    };
    let later = entries.settled.is_some() || entries.voided.is_some() || payout.signed.is_some();
    compare(
        Cause::Payout(id.clone()),
        Some(crate::pay::taken_postings(&payout.batch)),
        &entries.taken,
        later,
    );
    let (settled, voided) = match &payout.conclusion {
        Some(TxFate::Settled { fee }) => (Some(crate::pay::settled_postings(&payout.batch, *fee)), None),
        Some(TxFate::Void { .. }) => (None, Some(crate::pay::voided_postings(&payout.batch))),
        Some(TxFate::Unknown | TxFate::Pending { .. }) | None => (None, None),
    };
    compare(Cause::PayoutSettled(id.clone()), settled, &entries.settled, false);
    compare(Cause::PayoutVoided(id.clone()), voided, &entries.voided, false);
}
