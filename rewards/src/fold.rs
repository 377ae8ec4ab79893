//! The pure half of settlement: shares and conclusions in, drafts of ledger entries out.
//!
//! A [`Fold`] hears the share log and the block book in their orders and says what is due. It keeps nothing that could
//! not be computed again from them, so `settle` posts what it says, an audit compares what it says, and a replay tool
//! prints what it says: one computation, three uses.

use crate::codec::{BadSnapshot, Reader, Writer};
use crate::proof::accounts::Part;
use crate::proof::log::{LogRoot, Peaks};
use crate::proof::statement::{self, SplitStatement, Statement};
use crate::proof::{Digest, accounts};
use crate::scheme::{BadEvent, BadParams, SchemeParams};
use crate::split::{Rounding, SplitError};
use crate::tally::{Award, Period, PeriodPay, Rate, Tally};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use pool_core::id::{BlockId, CoinId, Seq, ShareSeq};
use pool_core::ledger::{Account, Cause, Entry, Posting};
use pool_core::share::LoggedShare;
use pool_core::time::Timestamp;
use pool_core::units::{Amount, Units};
use serde::{Deserialize, Serialize};

/// What cannot be folded: the record contradicts itself, or a part of it is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FoldError {
    /// Parameters on record cannot be.
    #[error("scheme: {0}")]
    Params(#[from] BadParams),
    /// An event that cannot follow those before it.
    #[error("log: {0}")]
    Event(#[from] BadEvent),
    /// Shares are gone that are needed to compute the state again.
    #[error(
        "shares {from} to {upto} were pruned and are needed: resume from a snapshot or keep the log longer"
    )]
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
    /// What an auditor needs, as JSON: a block's [`Statement`], a period's [`PeriodMemo`].
    pub memo: String,
    /// The award behind a block's entry, with the named parts of each of its splits.
    pub award: Option<Box<(Award, Vec<Vec<Part>>)>>,
}

impl Draft {
    /// The entry of a coin, written at `at`.
    #[must_use]
    pub fn entry(self, coin: &CoinId, at: Timestamp) -> Entry {
        Entry { coin: coin.clone(), cause: self.cause, at, postings: self.postings, memo: self.memo }
    }
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
    /// The hash of the reference blocks behind that value, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// What an expected block is worth in a period, and by which record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Its value.
    pub rate: Rate,
    /// Conclusions up to and with this one were looked at.
    pub conclusion: Seq,
    /// The hash of the reference blocks, where the value comes from a list of them.
    pub reference: Option<String>,
}

/// A posting where there is something to move.
fn moved(postings: &mut Vec<Posting>, debit: Account, credit: Account, amount: Amount) {
    if !amount.is_zero() {
        postings.push(Posting::new(debit, credit, amount).expect("two accounts and an amount above zero"));
    }
}

/// The postings of an award, in their published order: fee, bonus, reserve; then per split what is brought together
/// in the residue account and what leaves it: credits and referrals by ascending account, the operator, the carry.
fn award_postings(award: &Award, parts: &[Vec<Part>]) -> Vec<Posting> {
    let mut postings = Vec::new();
    moved(&mut postings, Account::Chain, Account::Operator, award.fee);
    moved(&mut postings, Account::Chain, Account::Miner(award.finder.clone()), award.bonus);
    moved(&mut postings, Account::Chain, Account::Reserve, award.reserve);
    for (split, parts) in award.splits.iter().zip(parts) {
        moved(&mut postings, Account::Chain, Account::Residue, split.amount);
        moved(&mut postings, Account::Carry, Account::Residue, split.carried_in);
        moved(&mut postings, Account::Operator, Account::Residue, split.topped_up);
        // An account has a part for each fee it mined under; its credit is one.
        for own in parts.chunk_by(|left, right| left.miner == right.miner) {
            let net = own.iter().map(|part| part.gross.get() - part.fee_amount().get()).sum();
            let miner = Account::Miner(own[0].miner.clone());
            moved(&mut postings, Account::Residue, miner, Amount::new(net));
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
    coin: CoinId,
    tally: Tally,
    schedule: Vec<Scheduled>,
    hashes: Vec<String>,
    shares: ShareSeq,
    conclusions: Seq,
    periods: VecDeque<Period>,
    /// The Merkle range over all shares folded.
    log: Peaks,
    /// The range's root at each open block's share.
    roots: BTreeMap<BlockId, LogRoot>,
    /// The hash of the last statement.
    previous: Digest,
}

impl Fold {
    /// A fold before the first share. `schedule` begins with the first parameters and is in order.
    ///
    /// # Errors
    /// [`BadParams`] of the first parameters; the others are checked when they come into force.
    pub fn new(coin: CoinId, first: Scheduled, later: Vec<Scheduled>) -> Result<Self, BadParams> {
        let tally = Tally::new(first.params.clone())?;
        let hashes = [first.hash].into_iter().chain(later.iter().map(|next| next.hash.clone())).collect();
        Ok(Self {
            coin,
            tally,
            schedule: later,
            hashes,
            shares: ShareSeq::new(0),
            conclusions: Seq::new(0),
            periods: VecDeque::new(),
            log: Peaks::default(),
            roots: BTreeMap::new(),
            previous: Digest::default(),
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

    /// The root over all shares folded: what a template may carry before it is known which block it pays.
    #[must_use]
    pub fn log_root(&self) -> LogRoot {
        self.log.root()
    }

    /// The root at the end of the last whole segment of the log, the one a pool commits to while it mines; `None`
    /// before there is one. See [`crate::proof::log::SEGMENT_SHARES`].
    #[must_use]
    pub fn segment_root(&self) -> Option<LogRoot> {
        self.log.segment_root()
    }

    /// Folds the next share of the log.
    ///
    /// # Errors
    /// [`FoldError::Pruned`] when shares are missing before it, [`FoldError::Event`] for one that cannot be,
    /// [`FoldError::Params`] when parameters recorded for it cannot be.
    pub fn share(&mut self, share: &LoggedShare) -> Result<(), FoldError> {
        let next = ShareSeq::new(self.shares.get() + 1);
        if share.seq > next {
            let upto = ShareSeq::new(share.seq.get() - 1);
            return Err(FoldError::Pruned { from: next, upto });
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
        self.log.push(share).ok_or(BadEvent::LongLog)?;
        if let Some(id) = share.record.block {
            self.roots.insert(id, self.log.root());
        }
        Ok(())
    }

    /// Folds the next conclusion of the block book: what the chain paid for a block, zero for a lost one.
    ///
    /// # Errors
    /// [`FoldError::ConclusionGap`] out of order, [`FoldError::Event`] for amounts past the range.
    pub fn conclude(&mut self, number: Seq, id: BlockId, value: Amount) -> Result<Folded, FoldError> {
        if number.get() != self.conclusions.get() + 1 {
            return Err(FoldError::ConclusionGap { last: self.conclusions, found: number });
        }
        if !self.tally.knows(&id) {
            return Ok(Folded::Waiting);
        }
        let awards = self.tally.conclude(id, value)?;
        self.conclusions = number;
        let drafts: Result<_, _> = awards.into_iter().map(|award| self.award_draft(award)).collect();
        Ok(Folded::Drafts(drafts?))
    }

    fn hash(&self, version: u32) -> &str {
        self.hashes.get(version as usize - 1).map_or("", String::as_str)
    }

    /// The entry of an award, and its statement as the memo. Statements make one chain.
    fn award_draft(&mut self, award: Award) -> Result<Draft, FoldError> {
        let id = award.id;
        let overflow = || FoldError::Event(BadEvent::AmountOverflow(id));
        let parts: Vec<Vec<Part>> = award.splits.iter().map(|split| self.tally.named(split)).collect();
        let splits = award.splits.iter().zip(&parts).map(|(split, parts)| {
            let referrals = Amount::checked_sum(split.referrals.iter().map(|(_, amount)| *amount));
            Some(SplitStatement {
                amount: split.amount,
                carried_in: split.carried_in,
                carried_out: split.carried_out,
                topped_up: split.topped_up,
                from: split.from,
                to: split.to,
                budget: split.budget,
                operator_weight: split.operator_weight,
                operator: split.operator,
                fees: split.fees,
                referrals: referrals?,
                accounts: accounts::root(parts)?,
            })
        });
        let statement = Statement {
            format: statement::FORMAT,
            coin: self.coin.clone(),
            block: id,
            scheme: award.version,
            params: self.hash(award.version).into(),
            rounding: self
                .tally
                .params_of(award.version)
                .map_or_else(Rounding::default, |params| params.rounding),
            log: self.roots.remove(&id).unwrap_or_default(),
            finder: award.finder.clone(),
            value: award.value,
            fee: award.fee,
            bonus: award.bonus,
            reserve: award.reserve,
            splits: splits.collect::<Option<_>>().ok_or_else(overflow)?,
            previous: self.previous,
        };
        let memo = statement.text();
        self.previous = Digest::of(memo.as_bytes());
        Ok(Draft {
            cause: Cause::BlockReward(id),
            postings: award_postings(&award, &parts),
            memo,
            award: Some(Box::new((award, parts))),
        })
    }

    /// The oldest closed period that is not paid yet.
    #[must_use]
    pub fn period(&self) -> Option<&Period> {
        self.periods.front()
    }

    /// What the oldest closed period pays at a rate. Changes nothing.
    ///
    /// # Errors
    /// [`FoldError::Period`] past the range of amounts.
    pub fn price(&self, period: &Period, rate: Rate) -> Result<PeriodPay, FoldError> {
        self.tally.price(period, rate).map_err(|source| FoldError::Period { upto: period.upto, source })
    }

    /// Takes the oldest closed period off the list as paid, and returns its entry.
    pub fn pay_period(&mut self, pay: &PeriodPay, price: Price) -> Option<Draft> {
        let period = self.periods.pop_front()?;
        self.tally.commit(pay);
        let memo = PeriodMemo {
            scheme: period.version,
            hash: self.hash(period.version).into(),
            from: period.from,
            upto: period.upto,
            units: pay.units,
            conclusion: price.conclusion,
            value: price.rate.value,
            blocks: price.rate.blocks,
            reference: price.reference,
        };
        let mut postings = Vec::with_capacity(pay.credits.len());
        for (miner, amount) in &pay.credits {
            moved(&mut postings, Account::Reserve, Account::Miner(miner.clone()), *amount);
        }
        Some(Draft {
            cause: Cause::ShareCredit(period.upto),
            postings,
            memo: serde_json::to_string(&memo).expect("a memo has text keys only"),
            award: None,
        })
    }

    /// Writes the whole state. Equal states write equal bytes.
    pub fn save(&self, out: &mut Writer) {
        self.tally.save(out);
        out.u64(self.shares.get());
        out.u64(self.conclusions.get());
        out.length(self.periods.len());
        for period in &self.periods {
            out.u32(period.version);
            out.u64(period.number);
            out.u64(period.from.get());
            out.u64(period.upto.get());
            out.weights(&period.work);
        }
        self.log.save(out);
        out.length(self.roots.len());
        for (id, root) in &self.roots {
            out.block(id);
            out.u64(root.shares);
            out.u128(root.units.to_bits());
            out.bytes(root.root.bytes());
        }
        out.bytes(self.previous.bytes());
    }

    /// The state that [`Fold::save`] wrote, under the same schedule and perhaps later parameters.
    ///
    /// # Errors
    /// [`BadSnapshot`], also when its parameters are not those of the schedule.
    pub fn load(coin: CoinId, from: &mut Reader<'_>, schedule: &[Scheduled]) -> Result<Self, BadSnapshot> {
        let tally = Tally::load(from)?;
        let (shares, conclusions) = (ShareSeq::new(from.u64()?), Seq::new(from.u64()?));
        let periods = from.list(|from| {
            let (version, number) = (from.u32()?, from.u64()?);
            let (first, upto) = (ShareSeq::new(from.u64()?), ShareSeq::new(from.u64()?));
            Ok(Period { version, number, from: first, upto, work: from.weights()? })
        })?;
        let log = Peaks::load(from)?;
        let digest = |from: &mut Reader<'_>| {
            let bytes = from.bytes()?.try_into().map_err(|_| BadSnapshot("a hash is none"))?;
            Ok(Digest::new(bytes))
        };
        let roots = from.list(|from| {
            let (id, shares) = (from.block()?, from.u64()?);
            let units = Units::from_bits(from.u128()?);
            Ok((id, LogRoot { shares, units, root: digest(from)? }))
        })?;
        let previous = digest(from)?;
        let in_force = tally.params().0 as usize;
        let foreign = || BadSnapshot("its parameters are not those on record");
        let (past, later) = schedule.split_at_checked(in_force).ok_or_else(foreign)?;
        for (version, scheduled) in (1..).zip(past) {
            if tally.params_of(version) != Some(&scheduled.params) {
                return Err(foreign());
            }
        }
        if later.iter().any(|scheduled| scheduled.from <= shares) {
            return Err(foreign());
        }
        Ok(Self {
            coin,
            tally,
            schedule: later.to_vec(),
            hashes: schedule.iter().map(|scheduled| scheduled.hash.clone()).collect(),
            shares,
            conclusions,
            periods: periods.into(),
            log,
            roots: roots.into_iter().collect(),
            previous,
        })
    }

    /// Takes the oldest closed period off the list unpaid, for an audit of a pool that has not settled it yet.
    pub fn skip_period(&mut self) {
        self.periods.pop_front();
    }
}
