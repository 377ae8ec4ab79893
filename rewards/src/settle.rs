//! From the share log and the block book to the ledger, as a fold that can be done again.
//!
//! [`Fold`] is pure: logged shares and conclusions go in, in their order, and [`Draft`]s of ledger entries come out.
//! [`Settler`] feeds it from the stores and posts what comes out; [`audit`] feeds it from the same stores and compares
//! instead of posting. A settler keeps nothing that is not in the stores: after a crash a new one folds the log again,
//! every entry it posts again is the same to the byte, and the ledger says that it was there before. Where it is not
//! the same the ledger refuses, and that stops the pool.
//!
//! Parameters are part of the record. Before a scheme is in force it is posted to the ledger, as an entry without
//! postings under the cause `adjustment/scheme/1`, `…/2`, each with the first share it applies to; so a replay uses
//! for each share and block what was in force then.

use crate::scheme::{BadEvent, BadParams, BlockValue, Rule, SchemeParams};
use crate::split::SplitError;
use crate::tally::{Award, Period, PeriodPay, Rate, Tally};
use pool_core::block::BookedBlock;
use pool_core::id::{BlockId, CoinId, MinerId, PayoutId, Seq, ShareSeq};
use pool_core::ledger::{Account, Balance, Cause, Entry, LedgerEntry, Posted, Posting};
use pool_core::payout::{BookedPayout, TxFate};
use pool_core::ports::{BlockBook, BlockList, Ledger, PayoutBook, ShareLog, StoreError};
use pool_core::share::LoggedShare;
use pool_core::time::Timestamp;
use pool_core::units::{Amount, Units};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Shares read at once.
const SHARES_PER_READ: usize = 4_096;
/// Shares folded in one step, so that a caller can stop in between.
const SHARES_PER_STEP: usize = 16 * SHARES_PER_READ;
/// Blocks, entries and accounts read at once.
const ROWS_PER_READ: usize = 512;

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
    /// The log or the block book contradicts itself.
    #[error("log: {0}")]
    Event(#[from] BadEvent),
    /// Shares are gone that are needed to compute the state again.
    #[error("shares {from} to {upto} were pruned and are needed: restore a snapshot or keep the log longer")]
    Pruned {
        /// The first missing share.
        from: ShareSeq,
        /// The last missing share.
        upto: ShareSeq,
    },
    /// A conclusion is missing in the block book.
    #[error("conclusion {found} cannot follow conclusion {last}")]
    ConclusionGap {
        /// The last conclusion.
        last: Seq,
        /// The one that came.
        found: Seq,
    },
    /// A period's pay passes the range of amounts.
    #[error("period up to share {upto}: {source}")]
    Period {
        /// The period's last share.
        upto: ShareSeq,
        /// Why.
        source: SplitError,
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

/// Parameters and the first share they apply to: the memo of a `scheme/n` entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduled {
    /// The first share.
    pub from: ShareSeq,
    /// BLAKE3 of the parameters.
    pub hash: String,
    /// The parameters.
    pub params: SchemeParams,
}

impl Scheduled {
    /// Parameters in force from a share on.
    #[must_use]
    pub fn new(from: ShareSeq, params: SchemeParams) -> Self {
        Self { from, hash: params.hash(), params }
    }
}

/// The cause under which the `version`-th parameters are recorded. The first version is 1.
#[must_use]
pub fn scheme_cause(version: u32) -> Cause {
    Cause::Adjustment(format!("scheme/{version}"))
}

/// An entry without its coin and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Why.
    pub cause: Cause,
    /// What moves.
    pub postings: Vec<Posting>,
    /// What an auditor needs, as JSON.
    pub memo: String,
}

impl Draft {
    fn entry(self, coin: &CoinId, at: Timestamp) -> Entry {
        Entry { coin: coin.clone(), cause: self.cause, at, postings: self.postings, memo: self.memo }
    }
}

#[derive(Serialize)]
struct BlockMemo<'a> {
    scheme: u32,
    hash: &'a str,
    anchor: ShareSeq,
    finder: &'a MinerId,
    value: Amount,
    fee: Amount,
    bonus: Amount,
    reserve: Amount,
    splits: Vec<SplitMemo>,
}

#[derive(Serialize)]
struct SplitMemo {
    amount: Amount,
    carried_in: Amount,
    carried_out: Amount,
    topped_up: Amount,
    from: Units,
    to: Units,
    weight: Units,
    operator_weight: Units,
}

/// The inputs of a period's pay, as its entry's memo records them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeriodMemo {
    /// The number of the parameters in force.
    pub scheme: u32,
    /// Their hash.
    pub hash: String,
    /// The first share.
    pub from: ShareSeq,
    /// The last share.
    pub upto: ShareSeq,
    /// All work of the period.
    pub units: Units,
    /// Conclusions up to and with this one were known.
    pub conclusion: Seq,
    /// The value of `blocks` expected blocks.
    pub value: Amount,
    /// For how many expected blocks.
    pub blocks: u32,
}

/// A posting where there is something to move.
fn moved(postings: &mut Vec<Posting>, debit: Account, credit: Account, amount: Amount) {
    if !amount.is_zero() {
        postings.push(Posting::new(debit, credit, amount).expect("two accounts and an amount above zero"));
    }
}

/// The postings of an award, in their published order: fee, bonus, reserve; then per split what is brought together
/// in the residue account and what leaves it: credits and referrals by ascending account, the operator, the carry.
fn award_postings(award: &Award) -> Vec<Posting> {
    let mut postings = Vec::new();
    moved(&mut postings, Account::Chain, Account::Operator, award.fee);
    moved(&mut postings, Account::Chain, Account::Miner(award.finder.clone()), award.bonus);
    moved(&mut postings, Account::Chain, Account::Reserve, award.reserve);
    for split in &award.splits {
        moved(&mut postings, Account::Chain, Account::Residue, split.amount);
        moved(&mut postings, Account::Carry, Account::Residue, split.carried_in);
        moved(&mut postings, Account::Operator, Account::Residue, split.topped_up);
        for (miner, amount) in &split.credits {
            moved(&mut postings, Account::Residue, Account::Miner(miner.clone()), *amount);
        }
        for (referrer, amount) in &split.referrals {
            moved(&mut postings, Account::Residue, Account::Miner(referrer.clone()), *amount);
        }
        moved(&mut postings, Account::Residue, Account::Operator, split.fees);
        moved(&mut postings, Account::Residue, Account::Operator, split.operator);
        moved(&mut postings, Account::Residue, Account::Carry, split.carried_out);
    }
    postings
}

/// What concluding a block did in a fold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Folded {
    /// These entries are due: none while a scheme waits for an earlier block.
    Drafts(Vec<Draft>),
    /// The block's share was not folded yet; the same conclusion is to be tried again after more shares.
    Waiting,
}

/// The pure fold: shares and conclusions in, drafts of entries out.
#[derive(Debug)]
pub struct Fold {
    tally: Tally,
    schedule: Vec<Scheduled>,
    hashes: Vec<String>,
    shares: ShareSeq,
    conclusions: Seq,
    periods: VecDeque<Period>,
}

impl Fold {
    /// A fold before the first share. `schedule` begins with the first parameters and is in order.
    ///
    /// # Errors
    /// [`BadParams`] of the first parameters; the others are checked when they come into force.
    pub fn new(first: Scheduled, later: Vec<Scheduled>) -> Result<Self, BadParams> {
        let tally = Tally::new(first.params.clone())?;
        let hashes = [first.hash].into_iter().chain(later.iter().map(|next| next.hash.clone())).collect();
        Ok(Self {
            tally,
            schedule: later,
            hashes,
            shares: ShareSeq::new(0),
            conclusions: Seq::new(0),
            periods: VecDeque::new(),
        })
    }

    /// The last share folded.
    #[must_use]
    pub const fn shares(&self) -> ShareSeq {
        self.shares
    }

    /// The last conclusion folded.
    #[must_use]
    pub const fn conclusions(&self) -> Seq {
        self.conclusions
    }

    /// The tally behind it.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Folds the next share of the log.
    ///
    /// # Errors
    /// [`SettleError::Pruned`] when shares are missing before it, [`SettleError::Event`] for one that cannot be,
    /// [`SettleError::Params`] when parameters recorded for it cannot be.
    pub fn share(&mut self, share: &LoggedShare) -> Result<(), SettleError> {
        let next = ShareSeq::new(self.shares.get() + 1);
        if share.seq > next {
            let upto = ShareSeq::new(share.seq.get() - 1);
            return Err(SettleError::Pruned { from: next, upto });
        }
        if share.seq < next {
            return Err(BadEvent::Gap { last: self.shares, found: share.seq }.into());
        }
        while self.schedule.first().is_some_and(|scheduled| scheduled.from <= share.seq) {
            let closed = self.tally.change(self.schedule[0].params.clone())?;
            self.periods.extend(closed);
            self.schedule.remove(0);
        }
        self.periods.extend(self.tally.share(share)?);
        self.shares = share.seq;
        Ok(())
    }

    /// Folds the next conclusion of the block book.
    ///
    /// # Errors
    /// [`SettleError::ConclusionGap`] out of order, [`SettleError::Event`] for amounts past the range.
    pub fn conclude(&mut self, block: &BookedBlock) -> Result<Folded, SettleError> {
        let Some((number, fate)) = &block.conclusion else { return Ok(Folded::Waiting) };
        if number.get() != self.conclusions.get() + 1 {
            return Err(SettleError::ConclusionGap { last: self.conclusions, found: *number });
        }
        let id = block.found.id;
        if !self.tally.knows(&id) {
            return Ok(Folded::Waiting);
        }
        let awards = self.tally.conclude(id, fate.value())?;
        self.conclusions = *number;
        Ok(Folded::Drafts(awards.iter().map(|award| self.award_draft(award)).collect()))
    }

    fn hash(&self, version: u32) -> &str {
        self.hashes.get(version as usize - 1).map_or("", String::as_str)
    }

    fn award_draft(&self, award: &Award) -> Draft {
        let splits = award
            .splits
            .iter()
            .map(|split| SplitMemo {
                amount: split.amount,
                carried_in: split.carried_in,
                carried_out: split.carried_out,
                topped_up: split.topped_up,
                from: split.from,
                to: split.to,
                weight: split.weight,
                operator_weight: split.operator_weight,
            })
            .collect();
        let memo = BlockMemo {
            scheme: award.version,
            hash: self.hash(award.version),
            anchor: award.anchor,
            finder: &award.finder,
            value: award.value,
            fee: award.fee,
            bonus: award.bonus,
            reserve: award.reserve,
            splits,
        };
        Draft {
            cause: Cause::BlockReward(award.id),
            postings: award_postings(award),
            memo: serde_json::to_string(&memo).expect("a memo has text keys only"),
        }
    }

    /// The oldest closed period that is not paid yet.
    #[must_use]
    pub fn period(&self) -> Option<&Period> {
        self.periods.front()
    }

    /// What the oldest closed period pays at a rate. Changes nothing.
    ///
    /// # Errors
    /// [`SettleError::Period`] past the range of amounts.
    pub fn price(&self, period: &Period, rate: Rate) -> Result<PeriodPay, SettleError> {
        self.tally.price(period, rate).map_err(|source| SettleError::Period { upto: period.upto, source })
    }

    /// Takes the oldest closed period off the list as paid, and returns its entry.
    pub fn pay_period(&mut self, pay: &PeriodPay, conclusion: Seq, rate: Rate) -> Option<Draft> {
        let period = self.periods.pop_front()?;
        self.tally.commit(pay);
        let memo = PeriodMemo {
            scheme: period.version,
            hash: self.hash(period.version).to_owned(),
            from: period.from,
            upto: period.upto,
            units: pay.units,
            conclusion,
            value: rate.value,
            blocks: rate.blocks,
        };
        let mut postings = Vec::with_capacity(pay.credits.len());
        for (miner, amount) in &pay.credits {
            moved(&mut postings, Account::Reserve, Account::Miner(miner.clone()), *amount);
        }
        Some(Draft {
            cause: Cause::ShareCredit(period.upto),
            postings,
            memo: serde_json::to_string(&memo).expect("a memo has text keys only"),
        })
    }

    /// Takes the oldest closed period off the list unpaid, for an audit of a pool that has not settled it yet.
    fn skip_period(&mut self) {
        self.periods.pop_front();
    }
}

/// The value of an expected block by the last conclusions up to and with `upto`. Pure in the block book's record.
///
/// # Errors
/// [`StoreError`].
pub async fn rate(blocks: &dyn BlockBook, rule: &Rule, upto: Seq) -> Result<Rate, StoreError> {
    let (count, trim, start) = match rule.share_value() {
        Some(BlockValue::Fixed { value }) => return Ok(Rate { value, blocks: 1 }),
        Some(BlockValue::Realised { blocks, trim, start }) => (blocks, trim, start),
        None => return Ok(Rate { value: Amount::ZERO, blocks: 1 }),
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
        let first = schedule.remove(0);
        Ok(Self { coin, fold: Fold::new(first, schedule)?, outbox: VecDeque::new() })
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
        self.fold.tally.preview(value)
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
                match self.fold.conclude(block)? {
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
        while let Some(period) = self.fold.period().cloned() {
            let Some(rule) = self.fold.tally.params_of(period.version).map(|params| params.rule.clone())
            else {
                return Ok(());
            };
            let recorded = recorded(stores.ledger, &period).await?;
            let conclusion = match &recorded {
                Some(memo) => memo.conclusion,
                None => self.fold.conclusions(),
            };
            let rate = rate(stores.blocks, &rule, conclusion).await?;
            let pay = self.fold.price(&period, rate)?;
            if recorded.is_none()
                && let Some(short) = lacking(stores.ledger, &rule, pay.total).await?
            {
                progress.reserve_short = Some(short);
                return Ok(());
            }
            let draft = self.fold.pay_period(&pay, conclusion, rate);
            self.outbox.extend(draft.map(|draft| draft.entry(&self.coin, now)));
            self.flush(stores, progress).await?;
        }
        Ok(())
    }
}

/// The inputs under which a period was paid before, if it was.
async fn recorded(ledger: &dyn Ledger, period: &Period) -> Result<Option<PeriodMemo>, SettleError> {
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
    let mut expected = BTreeMap::new();
    audit_splits(stores.settled, &mut report, &mut expected).await?;
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
    stores: Stores<'_>,
    report: &mut AuditReport,
    expected: &mut BTreeMap<Cause, ()>,
) -> Result<(), SettleError> {
    let mut schedule = schedule(stores.ledger).await?;
    for version in 1..=schedule.len() {
        expected.insert(scheme_cause(u32::try_from(version).unwrap_or(u32::MAX)), ());
    }
    if schedule.is_empty() {
        return Ok(());
    }
    let mut fold = Fold::new(schedule.remove(0), schedule)?;
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
            match fold.conclude(block)? {
                Folded::Waiting => {
                    report.differs(block.found.id, "its share in the log", "none");
                    break 'blocks;
                }
                Folded::Drafts(drafts) => {
                    report.blocks += 1;
                    for draft in drafts {
                        let found = stores.ledger.entry(&draft.cause).await?;
                        rewards.compare(&draft, found.as_ref(), report);
                        expected.insert(draft.cause, ());
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
                let rate = rate(stores.blocks, &rule, memo.conclusion).await?;
                let pay = fold.price(&period, rate)?;
                if let Some(draft) = fold.pay_period(&pay, memo.conclusion, rate) {
                    let found = stores.ledger.entry(&draft.cause).await?;
                    credits.compare(&draft, found.as_ref(), report);
                }
            }
            _ => {
                credits.missing.push(cause.to_string());
                fold.skip_period();
            }
        }
        expected.insert(cause, ());
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
    expected: &BTreeMap<Cause, ()>,
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
                    if !expected.contains_key(&entry.cause) {
                        report.differs(&entry.cause, "no entry", format!("entry {seq}"));
                    }
                }
                Cause::Adjustment(reference) if !expected.contains_key(&entry.cause) => {
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
