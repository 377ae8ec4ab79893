//! From the share log and the block book to the ledger, as a fold that can be done again.
//!
//! [`Fold`] is pure: logged shares and conclusions go in, in their order, and drafts of ledger entries come out.
//! [`Settler`] feeds it from the stores and posts what comes out; [`audit`] feeds it from the same stores and compares
//! instead of posting. A settler keeps nothing that is not in the stores: after a crash a new one folds the log again,
//! every entry it posts again is the same to the byte, and the ledger says that it was there before. Where it is not
//! the same the ledger refuses, and that stops the pool.
//!
//! Parameters are part of the record. Before a scheme is in force it is posted to the ledger, as an entry without
//! postings under the cause `adjustment/scheme/1`, `…/2`, each with the first share it applies to; so a replay uses
//! for each share and block what was in force then.

pub use crate::audit::{AuditReport, AuditStores, Difference, audit};

use crate::codec::{BadSnapshot, Reader, Writer};
use crate::fold::{Fold, FoldError, Folded, PeriodMemo, Price, Scheduled, scheme_cause};
use crate::reference::{BadReference, Reference, reference_cause};
use crate::scheme::{BadParams, BlockValue, Rule, SchemeParams};
use crate::tally::{Period, Rate};
use pool_core::block::BookedBlock;
use pool_core::id::{BlockId, CoinId, MinerId, Seq, ShareSeq};
use pool_core::ledger::{Account, Balance, Cause, Entry, LedgerEntry, Posted};
use pool_core::ports::{BlockBook, BlockList, Ledger, ShareLog, StoreError};
use pool_core::time::Timestamp;
use pool_core::units::Amount;
use std::collections::VecDeque;

/// Shares read at once.
pub(crate) const SHARES_PER_READ: usize = 4_096;
/// Shares folded in one step, so that a caller can stop in between.
const SHARES_PER_STEP: usize = 16 * SHARES_PER_READ;
/// Blocks, entries and accounts read at once.
pub(crate) const ROWS_PER_READ: usize = 512;

/// What a snapshot begins with; another number for another layout.
const SNAPSHOT_FORMAT: &str = "pool-rewards settler 2";

/// What went wrong in settling.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The stores behind it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configured scheme cannot be.
    #[error("scheme: {0}")]
    Params(#[from] BadParams),
    /// The log or the block book contradicts itself, or shares that are needed were pruned.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// A snapshot cannot be used.
    #[error(transparent)]
    Snapshot(#[from] BadSnapshot),
    /// The reference blocks on record for a period price nothing.
    #[error("{cause}: {source}")]
    Reference {
        /// Their entry.
        cause: Cause,
        /// Why.
        source: BadReference,
    },
    /// What was written to the ledger before cannot be read.
    #[error("ledger entry {cause} has a memo that is none: {detail}")]
    BadMemo {
        /// The entry.
        cause: Cause,
        /// Why.
        detail: String,
    },
}

impl SettleError {
    /// True when the same step may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

/// What settling reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct Stores<'a> {
    /// Accepted shares.
    pub shares: &'a dyn ShareLog,
    /// Found blocks and their conclusions.
    pub blocks: &'a dyn BlockBook,
    /// Money.
    pub ledger: &'a dyn Ledger,
}

/// Folds a block of the book's list of conclusions.
pub(crate) fn conclude(fold: &mut Fold, block: &BookedBlock) -> Result<Folded, FoldError> {
    match &block.conclusion {
        Some((number, fate)) => fold.conclude(*number, block.found.id, fate.value()),
        None => Ok(Folded::Waiting),
    }
}

/// What an expected block is worth in a period, by what is on record; `None` while the reference blocks that its rule
/// asks for are not.
pub(crate) async fn price(
    stores: Stores<'_>,
    rule: &Rule,
    period: &Period,
    conclusion: Seq,
) -> Result<Option<Price>, SettleError> {
    let (Some(BlockValue::Reference { trim }), Some(period_ms)) = (rule.share_value(), rule.period_ms())
    else {
        let rate = rate(stores.blocks, rule, conclusion).await?;
        return Ok(Some(Price { rate, conclusion, reference: None }));
    };
    let cause = reference_cause(period_ms, period.number);
    let Some(LedgerEntry { entry, .. }) = stores.ledger.entry(&cause).await? else { return Ok(None) };
    let bad = |detail: &str| SettleError::BadMemo { cause: cause.clone(), detail: detail.to_owned() };
    let list: Reference = serde_json::from_str(&entry.memo).map_err(|error| bad(&error.to_string()))?;
    if list.cause() != cause {
        return Err(bad("it is another period's"));
    }
    let rate = list.rate(trim).map_err(|source| SettleError::Reference { cause: cause.clone(), source })?;
    Ok(Some(Price { rate, conclusion, reference: Some(list.hash()) }))
}

/// Puts the reference blocks of a period on record, by which [`BlockValue::Reference`] prices it. The same list again
/// changes nothing.
///
/// # Errors
/// [`StoreError::Conflict`] when another list is on record for the period; else [`StoreError`].
pub async fn record_reference(
    coin: &CoinId,
    list: &Reference,
    ledger: &dyn Ledger,
    now: Timestamp,
) -> Result<Posted, StoreError> {
    let entry = Entry {
        coin: coin.clone(),
        cause: list.cause(),
        at: now,
        postings: Vec::new(),
        memo: list.canonical(),
    };
    ledger.post(&entry).await
}

/// The value of an expected block by the last conclusions up to and with `upto`. Pure in the block book's record; zero
/// where it comes from elsewhere.
///
/// # Errors
/// [`StoreError`].
pub async fn rate(blocks: &dyn BlockBook, rule: &Rule, upto: Seq) -> Result<Rate, StoreError> {
    let (count, trim, start) = match rule.share_value() {
        Some(BlockValue::Fixed { value }) => return Ok(Rate { value, blocks: 1 }),
        Some(BlockValue::Realised { blocks, trim, start }) => (blocks, trim, start),
        Some(BlockValue::Reference { .. }) | None => return Ok(Rate { value: Amount::ZERO, blocks: 1 }),
    };
    let mut after = Seq::new(upto.get().saturating_sub(u64::from(count)));
    let mut values = Vec::new();
    while after < upto {
        let page = blocks.list(BlockList::Concluded(after), ROWS_PER_READ).await?;
        let Some(last) = page.last().and_then(|block| block.conclusion.as_ref()).map(|(seq, _)| *seq) else {
            break;
        };
        for block in &page {
            if let Some((seq, fate)) = &block.conclusion
                && *seq <= upto
            {
                values.push(fate.value());
            }
        }
        after = last;
    }
    Ok(trimmed_mean(values, count, trim, start))
}

/// The mean of `count` values without the `trim` highest and lowest, missing ones standing at `start`.
fn trimmed_mean(mut values: Vec<Amount>, count: u32, trim: u32, start: Amount) -> Rate {
    values.resize(count as usize, start);
    values.sort_unstable();
    let kept = values.len().saturating_sub(2 * trim as usize).max(1);
    let sum = Amount::checked_sum(values.into_iter().skip(trim as usize).take(kept));
    Rate {
        value: sum.unwrap_or(Amount::new(u128::MAX)),
        blocks: u32::try_from(kept).expect("no more than the count"),
    }
}

/// What a step did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Shares folded.
    pub shares: u64,
    /// Entries that are new in the ledger.
    pub posted: Vec<Cause>,
    /// Entries that were there before.
    pub replayed: u64,
    /// More shares wait: call again without a pause.
    pub more: bool,
    /// The next concluded block has no share in the log, so nothing concluded behind it settles. Where this stays, an
    /// intake was interrupted and not recovered.
    pub waiting: Option<BlockId>,
    /// A closed period cannot be paid: the reserve lacks this much.
    pub reserve_short: Option<Amount>,
    /// A closed period cannot be priced: its reference blocks are not on record. The cause under which they are due.
    pub reference_missing: Option<Cause>,
}

/// Folds the stores into the ledger, step by step.
#[derive(Debug)]
pub struct Settler {
    coin: CoinId,
    fold: Fold,
    outbox: VecDeque<Entry>,
}

/// All recorded parameters of a ledger, in order.
///
/// # Errors
/// [`SettleError::Store`]; [`SettleError::BadMemo`] for a record that cannot be read.
pub async fn schedule(ledger: &dyn Ledger) -> Result<Vec<Scheduled>, SettleError> {
    let mut schedule: Vec<Scheduled> = Vec::new();
    loop {
        let version = u32::try_from(schedule.len() + 1).unwrap_or(u32::MAX);
        let cause = scheme_cause(version);
        let Some(LedgerEntry { entry, .. }) = ledger.entry(&cause).await? else { return Ok(schedule) };
        let bad = |detail: String| SettleError::BadMemo { cause: cause.clone(), detail };
        let scheduled: Scheduled =
            serde_json::from_str(&entry.memo).map_err(|error| bad(error.to_string()))?;
        if scheduled.hash != scheduled.params.hash() {
            return Err(bad("the hash is not that of the parameters".into()));
        }
        if schedule.last().is_some_and(|before| before.from > scheduled.from) {
            return Err(bad("parameters work forward only".into()));
        }
        schedule.push(scheduled);
    }
}

impl Settler {
    /// A settler of a coin under `params`. Records them in the ledger if they are not in force yet: the first for
    /// the whole log, a change for shares behind the log's head of now.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn start(
        coin: CoinId,
        params: SchemeParams,
        stores: Stores<'_>,
        now: Timestamp,
    ) -> Result<Self, SettleError> {
        let mut schedule = Self::record(&coin, params, stores, now).await?;
        let first = schedule.remove(0);
        let fold = Fold::new(coin.clone(), first, schedule)?;
        Ok(Self { coin, fold, outbox: VecDeque::new() })
    }

    /// As [`Settler::start`], from where a snapshot stands: shares up to it may be pruned.
    ///
    /// # Errors
    /// [`SettleError::Snapshot`] for bytes that are none of this coin's, or that are ahead of the stores: start without
    /// it. Else [`SettleError`].
    pub async fn resume(
        coin: CoinId,
        params: SchemeParams,
        stores: Stores<'_>,
        now: Timestamp,
        snapshot: &[u8],
    ) -> Result<Self, SettleError> {
        let (body, digest) =
            snapshot.split_last_chunk::<32>().ok_or(BadSnapshot("it is shorter than its digest"))?;
        if blake3::hash(body).as_bytes() != digest {
            return Err(BadSnapshot("its digest is another").into());
        }
        let mut from = Reader::new(body);
        if from.text()? != SNAPSHOT_FORMAT || from.text()? != coin.as_str() {
            return Err(BadSnapshot("it is of another coin or format").into());
        }
        let schedule = Self::record(&coin, params, stores, now).await?;
        let fold = Fold::load(coin.clone(), &mut from, &schedule)?;
        from.end()?;
        if fold.shares() > stores.shares.head().await? {
            return Err(BadSnapshot("it is ahead of the log").into());
        }
        Ok(Self { coin, fold, outbox: VecDeque::new() })
    }

    /// The state as bytes, when everything due is in the ledger. Losing them costs time: the log is folded again.
    #[must_use]
    pub fn snapshot(&self) -> Option<Vec<u8>> {
        if !self.outbox.is_empty() {
            return None;
        }
        let mut out = Writer::default();
        out.bytes(SNAPSHOT_FORMAT.as_bytes());
        out.bytes(self.coin.as_str().as_bytes());
        self.fold.save(&mut out);
        let mut bytes = out.into_bytes();
        let digest = blake3::hash(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        Some(bytes)
    }

    /// All parameters on record, with `params` in force: recorded now if they are not the last.
    async fn record(
        coin: &CoinId,
        params: SchemeParams,
        stores: Stores<'_>,
        now: Timestamp,
    ) -> Result<Vec<Scheduled>, SettleError> {
        params.validate()?;
        let mut schedule = schedule(stores.ledger).await?;
        if schedule.last().is_none_or(|scheduled| scheduled.params != params) {
            let from = if schedule.is_empty() { 1 } else { stores.shares.head().await?.get() + 1 };
            let scheduled = Scheduled::new(ShareSeq::new(from), params);
            let entry = Entry {
                coin: coin.clone(),
                cause: scheme_cause(u32::try_from(schedule.len() + 1).unwrap_or(u32::MAX)),
                at: now,
                postings: Vec::new(),
                memo: serde_json::to_string(&scheduled).expect("parameters have text keys only"),
            };
            stores.ledger.post(&entry).await?;
            schedule.push(scheduled);
        }
        Ok(schedule)
    }

    /// The fold behind it: cursors, parameters, accounts.
    #[must_use]
    pub const fn fold(&self) -> &Fold {
        &self.fold
    }

    /// What a block of this value would pay if it came now, by ascending account, and the operator's part; `None`
    /// before the first share and under schemes that pay shares.
    #[must_use]
    pub fn preview(&self, value: Amount) -> Option<(Vec<(MinerId, Amount)>, Amount)> {
        self.fold.tally().preview(value)
    }

    /// Folds what is new and posts what is due. May be dropped at any point and called again.
    ///
    /// # Errors
    /// [`SettleError`]; after a transient one call again, after any other stop.
    pub async fn step(&mut self, stores: Stores<'_>, now: Timestamp) -> Result<Progress, SettleError> {
        let mut progress = Progress::default();
        self.flush(stores, &mut progress).await?;
        for _ in 0..SHARES_PER_STEP / SHARES_PER_READ {
            let page = stores.shares.read(self.fold.shares(), SHARES_PER_READ).await?;
            progress.more = page.len() == SHARES_PER_READ;
            for share in &page {
                self.fold.share(share)?;
                progress.shares += 1;
            }
            self.pay_periods(stores, now, &mut progress).await?;
            if !progress.more {
                break;
            }
        }
        loop {
            let after = self.fold.conclusions();
            let page = stores.blocks.list(BlockList::Concluded(after), ROWS_PER_READ).await?;
            let full = page.len() == ROWS_PER_READ;
            for block in &page {
                match conclude(&mut self.fold, block)? {
                    Folded::Drafts(drafts) => {
                        self.outbox.extend(drafts.into_iter().map(|draft| draft.entry(&self.coin, now)));
                    }
                    Folded::Waiting => {
                        progress.waiting = (!progress.more).then_some(block.found.id);
                        self.flush(stores, &mut progress).await?;
                        return Ok(progress);
                    }
                }
                self.flush(stores, &mut progress).await?;
            }
            if !full {
                break;
            }
        }
        // New conclusions may have filled the reserve.
        self.pay_periods(stores, now, &mut progress).await?;
        Ok(progress)
    }

    /// Posts what is due, in order. An entry leaves the outbox only when the ledger has it.
    async fn flush(&mut self, stores: Stores<'_>, progress: &mut Progress) -> Result<(), SettleError> {
        while let Some(entry) = self.outbox.front() {
            match stores.ledger.post(entry).await? {
                Posted::Now(_) => progress.posted.push(entry.cause.clone()),
                Posted::Before(_) => progress.replayed += 1,
            }
            self.outbox.pop_front();
        }
        Ok(())
    }

    async fn pay_periods(
        &mut self,
        stores: Stores<'_>,
        now: Timestamp,
        progress: &mut Progress,
    ) -> Result<(), SettleError> {
        progress.reserve_short = None;
        progress.reference_missing = None;
        while let Some(period) = self.fold.period().cloned() {
            let Some(rule) = self.fold.tally().params_of(period.version).map(|params| params.rule.clone())
            else {
                return Ok(());
            };
            let recorded = recorded(stores.ledger, &period).await?;
            let conclusion = match &recorded {
                Some(memo) => memo.conclusion,
                None => self.fold.conclusions(),
            };
            let Some(price) = price(stores, &rule, &period, conclusion).await? else {
                let period_ms = rule.period_ms().unwrap_or_default();
                progress.reference_missing = Some(reference_cause(period_ms, period.number));
                return Ok(());
            };
            let pay = self.fold.price(&period, price.rate)?;
            if recorded.is_none()
                && let Some(short) = lacking(stores.ledger, &rule, pay.total).await?
            {
                progress.reserve_short = Some(short);
                return Ok(());
            }
            let draft = self.fold.pay_period(&pay, price);
            self.outbox.extend(draft.map(|draft| draft.entry(&self.coin, now)));
            self.flush(stores, progress).await?;
        }
        Ok(())
    }
}

/// The inputs under which a period was paid before, if it was.
pub(crate) async fn recorded(
    ledger: &dyn Ledger,
    period: &Period,
) -> Result<Option<PeriodMemo>, SettleError> {
    let cause = Cause::ShareCredit(period.upto);
    match ledger.entry(&cause).await? {
        None => Ok(None),
        Some(LedgerEntry { entry, .. }) => serde_json::from_str(&entry.memo)
            .map(Some)
            .map_err(|error| SettleError::BadMemo { cause, detail: error.to_string() }),
    }
}

/// How much the reserve lacks to pay this, within its overdraft.
async fn lacking(ledger: &dyn Ledger, rule: &Rule, total: Amount) -> Result<Option<Amount>, StoreError> {
    let Some(overdraft) = rule.overdraft() else { return Ok(None) };
    let Balance { debits, credits } = ledger.balance(&Account::Reserve).await?;
    let full = || StoreError::Corrupt("the reserve's sums pass 2^128".into());
    let needed = debits.checked_add(total).ok_or_else(full)?;
    let limit = credits.checked_add(overdraft).ok_or_else(full)?;
    Ok((needed > limit).then(|| needed.saturating_sub(limit)))
}
