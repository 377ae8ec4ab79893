//! A real pool's log through other schemes: what would everyone have got?
//!
//! The log is an export as `pool_rewards::proof::export` writes it: JSON lines, the pool and its parameters first, then
//! shares and conclusions in their order. [`Log::read`] believes nothing: a gap, a share or a solution that comes twice,
//! a block nobody found, a share without weight or with a difficulty out of all proportion is an error that names the
//! line. [`compare`] then lets the production tally pay the same log under each scheme, fees as they were at the time.
//!
//! What it cannot know: blocks that are not concluded in the log are worth nothing in it, and under another scheme
//! miners might have come and gone at other times.

mod log;

pub use log::{BadLog, Fault, JUMP_MAX, Log};

use log::Event;
use pool_core::id::{BlockId, CoinId, InstanceId, MinerId, ShareSeq, Worker, WorkerName};
use pool_core::share::{Evidence, LoggedShare, ShareRecord};
use pool_core::time::Timestamp;
use pool_core::units::{Amount, BasisPoints, Units};
use pool_rewards::scheme::{BlockValue, Fees, Rule, SchemeParams, Underfilled, WindowEdge, parse_units};
use pool_rewards::tally::{Award, Period, Rate, Tally};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// A rule to be compared, with the name of its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What the column is called.
    pub name: String,
    /// The rule. `None`: the pool's own, changes and all.
    pub rule: Option<Rule>,
}

/// What everyone would have got, scheme by scheme.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The coin.
    pub coin: CoinId,
    /// Shares in the log.
    pub shares: u64,
    /// Blocks found.
    pub found: u64,
    /// Blocks concluded; the others count as nothing here.
    pub concluded: u64,
    /// What all concluded blocks brought, in smallest units.
    pub value: Amount,
    /// All work, in expected blocks.
    pub work: f64,
    /// Milliseconds from the first to the last share.
    pub millis: u64,
    /// One column per scheme.
    pub columns: Vec<Column>,
    /// Accounts by ascending id: their work in expected blocks.
    pub accounts: Vec<(MinerId, f64)>,
}

/// What one scheme would have paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The first parameters, as canonical JSON.
    pub params: String,
    /// Credits, in the order of [`Comparison::accounts`].
    pub credits: Vec<Amount>,
    /// Their sum.
    pub paid: Amount,
    /// What is left for the operator, smallest units: fees, luck, fractions not yet due. Below zero where shares cost
    /// more than blocks brought.
    pub operator: i128,
}

impl Comparison {
    /// What an account's credit is, over its part of the work in all that blocks brought. One: by work, without a fee.
    /// `None` for an account without work, or where blocks brought nothing.
    #[must_use]
    pub fn against_work(&self, column: usize, account: usize) -> Option<f64> {
        let due = self.accounts[account].1 / self.work * self.value.get() as f64;
        (due > 0.0).then(|| self.columns[column].credits[account].get() as f64 / due)
    }
}

impl Comparison {
    /// The part of a scheme's money that went to others than did the work: half the sum of differences between parts of
    /// the credits and parts of the work. Zero for a scheme that pays nothing.
    #[must_use]
    pub fn astray(&self, column: usize) -> f64 {
        let column = &self.columns[column];
        let paid = column.credits.iter().map(|credit| credit.get() as f64).sum::<f64>();
        if paid <= 0.0 {
            return 0.0;
        }
        let parts = self.accounts.iter().zip(&column.credits);
        let off = parts.map(|((_, work), credit)| (credit.get() as f64 / paid - work / self.work).abs());
        off.sum::<f64>() / 2.0
    }
}

/// Why a log that reads well cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A scheme's parameters cannot be.
    #[error("scheme {name}: {source}")]
    Params {
        /// The column.
        name: String,
        /// Why.
        source: pool_rewards::scheme::BadParams,
    },
    /// A scheme refused an event of the log.
    #[error("line {line}, scheme {name}: {source}")]
    Event {
        /// The line of the log.
        line: usize,
        /// The column.
        name: String,
        /// Why.
        source: pool_rewards::scheme::BadEvent,
    },
    /// What shares were worth stood in lists of the network's blocks, which a log does not have.
    #[error("scheme {0} pays shares by the network's blocks of the day, and a log has no list of them")]
    NoReference(String),
    /// Amounts pass the range of 128 bits.
    #[error("scheme {0}: amounts sum past 2^127")]
    Overflow(String),
}

/// The usual schemes: the pool's own first, unless it needs what a log does not have. Windows are in expected blocks; what shares are worth under PPS is the mean
/// value of the log's paid blocks, under FPPS of all its blocks, lost ones at zero.
#[must_use]
pub fn usual(log: &Log) -> Vec<Candidate> {
    let window = |text: &str| parse_units(text).expect("a plain number of blocks");
    let pplns = |text: &str| Rule::Pplns {
        window: window(text),
        underfilled: Underfilled::Renormalise,
        edge: WindowEdge::Interval,
    };
    let points = |points: u16| BasisPoints::new(points).expect("below 10000");
    let mut rules = vec![
        ("SOLO", Rule::Solo {}),
        ("PROP", Rule::Prop {}),
        ("PPLNS 2", pplns("2")),
        ("PPLNS 8", pplns("8")),
        ("EXP 4", Rule::Exponential { window: window("4"), underfilled: Underfilled::Renormalise }),
        ("DGM 1% 90%", Rule::DoubleGeometric { average_fee: points(100), carry_over: points(9_000) }),
        ("TIDES 8", Rule::Tides { blocks: 8 }),
    ];
    let overdraft = Amount::new(u128::MAX);
    let period_ms = 3_600_000;
    if let Some(value) = log.mean_paid() {
        rules.push(("PPS", Rule::Pps { value, period_ms, overdraft }));
    }
    if let Some(value) = log.mean_concluded() {
        rules.push(("FPPS", Rule::Fpps { value: BlockValue::Fixed { value }, period_ms, overdraft }));
    }
    let known = log
        .schedule
        .iter()
        .all(|scheduled| !matches!(scheduled.params.rule.share_value(), Some(BlockValue::Reference { .. })));
    let own = Candidate { name: format!("as it was ({})", log.own_rule().name()), rule: None };
    let own = known.then_some(own);
    let named = rules.into_iter().map(|(name, rule)| Candidate { name: name.to_owned(), rule: Some(rule) });
    own.into_iter().chain(named).collect()
}

/// Pays the log under each scheme.
///
/// # Errors
/// [`ReplayError`].
pub fn compare(log: &Log, candidates: &[Candidate]) -> Result<Comparison, ReplayError> {
    let columns: Vec<Column> = candidates
        .par_iter()
        .map(|candidate| Payer::new(log, candidate)?.play())
        .collect::<Result<_, _>>()?;
    let mut order: Vec<usize> = (0..log.miners.len()).collect();
    order.sort_by(|a, b| log.miners[*a].cmp(&log.miners[*b]));
    let mut work = vec![Units::ZERO; log.miners.len()];
    let mut total = Units::ZERO;
    for event in &log.events {
        if let Event::Share(share) = event {
            let sum = &mut work[share.miner as usize];
            // The tally has refused a log of more than 2^40 blocks by now.
            *sum = sum.checked_add(share.units).unwrap_or(*sum);
            total = total.checked_add(share.units).unwrap_or(total);
        }
    }
    let columns = columns.into_iter().map(|mut column| {
        column.credits = order.iter().map(|index| column.credits[*index]).collect();
        column
    });
    Ok(Comparison {
        coin: log.coin.clone(),
        shares: log.shares,
        found: log.blocks.len() as u64,
        concluded: log.concluded,
        value: log.value,
        work: blocks(total),
        millis: log.millis(),
        columns: columns.collect(),
        accounts: order.iter().map(|index| (log.miners[*index].clone(), blocks(work[*index]))).collect(),
    })
}

/// Expected blocks as a number for people.
fn blocks(units: Units) -> f64 {
    units.to_bits() as f64 / Units::BLOCK.to_bits() as f64
}

/// One column in the making.
struct Payer<'a> {
    log: &'a Log,
    name: String,
    /// The parameters and the first share they apply to, the first one in the tally already.
    later: Vec<(ShareSeq, SchemeParams)>,
    params: String,
    tally: Tally,
    credits: BTreeMap<MinerId, u128>,
    concluded: Vec<Amount>,
}

impl<'a> Payer<'a> {
    fn new(log: &'a Log, candidate: &Candidate) -> Result<Self, ReplayError> {
        let mut schedule: Vec<(ShareSeq, SchemeParams)> = log
            .schedule
            .iter()
            .map(|scheduled| (scheduled.from, swapped(&scheduled.params, candidate.rule.as_ref())))
            .collect();
        // A change of the rule alone changes nothing under another one.
        schedule.dedup_by(|next, before| next.1 == before.1);
        let (_, first) = schedule.remove(0);
        let params = first.canonical();
        let name = candidate.name.clone();
        let tally = Tally::new(first).map_err(|source| ReplayError::Params { name: name.clone(), source })?;
        schedule.reverse();
        let credits = BTreeMap::new();
        Ok(Self { log, name, later: schedule, params, tally, credits, concluded: Vec::new() })
    }

    fn play(mut self) -> Result<Column, ReplayError> {
        let mut seq = ShareSeq::new(0);
        for (index, event) in self.log.events.iter().enumerate() {
            // The first line names the pool.
            let line = index + 2;
            let refused = |source, name: &str| ReplayError::Event { line, name: name.to_owned(), source };
            match event {
                Event::Share(share) => {
                    seq = ShareSeq::new(seq.get() + 1);
                    while let Some((_, params)) = self.later.pop_if(|(from, _)| *from <= seq) {
                        let closed = self.change(params)?;
                        self.pay_period(closed)?;
                    }
                    let block = share.block.map(|block| self.log.blocks[block as usize]);
                    let logged = logged(seq, &self.log.miners[share.miner as usize], share, block);
                    let closed = self.tally.share(&logged).map_err(|source| refused(source, &self.name))?;
                    self.pay_period(closed)?;
                }
                Event::Conclusion { block, value } => {
                    self.concluded.push(*value);
                    let id = self.log.blocks[*block as usize];
                    let awards =
                        self.tally.conclude(id, *value).map_err(|source| refused(source, &self.name))?;
                    for award in awards {
                        self.pay_block(&award)?;
                    }
                }
            }
        }
        // The last period ends with the log.
        let params = self.tally.params().1.clone();
        let closed = self.change(params)?;
        self.pay_period(closed)?;
        let credits: Vec<Amount> = self
            .log
            .miners
            .iter()
            .map(|miner| Amount::new(self.credits.get(miner).copied().unwrap_or(0)))
            .collect();
        let overflow = || ReplayError::Overflow(self.name.clone());
        // Referrers who do not mine are paid too.
        let paid = Amount::checked_sum(self.credits.values().map(|credit| Amount::new(*credit)));
        let paid = paid.ok_or_else(overflow)?;
        let (value, cost) = (i128::try_from(self.log.value.get()), i128::try_from(paid.get()));
        let operator = value.ok().zip(cost.ok()).and_then(|(value, cost)| value.checked_sub(cost));
        let operator = operator.ok_or_else(overflow)?;
        Ok(Column { name: self.name, params: self.params, credits, paid, operator })
    }

    fn change(&mut self, params: SchemeParams) -> Result<Option<Period>, ReplayError> {
        self.tally.change(params).map_err(|source| ReplayError::Params { name: self.name.clone(), source })
    }

    fn credit(&mut self, miner: &MinerId, amount: Amount) -> Result<(), ReplayError> {
        let overflow = ReplayError::Overflow(self.name.clone());
        let sum = self.credits.entry(miner.clone()).or_default();
        *sum = sum.checked_add(amount.get()).ok_or(overflow)?;
        Ok(())
    }

    fn pay_block(&mut self, award: &Award) -> Result<(), ReplayError> {
        self.credit(&award.finder, award.bonus)?;
        for split in &award.splits {
            for part in self.tally.named(split) {
                self.credit(&part.miner, part.gross.saturating_sub(part.fee_amount()))?;
            }
            for (referrer, amount) in &split.referrals {
                self.credit(referrer, *amount)?;
            }
        }
        Ok(())
    }

    fn pay_period(&mut self, period: Option<Period>) -> Result<(), ReplayError> {
        let Some(period) = period else { return Ok(()) };
        let value = self.tally.params_of(period.version).and_then(|params| params.rule.share_value());
        let Some(value) = value else { return Ok(()) };
        if let BlockValue::Reference { .. } = value {
            return Err(ReplayError::NoReference(self.name.clone()));
        }
        let rate = rate(&value, &self.concluded).ok_or_else(|| ReplayError::Overflow(self.name.clone()))?;
        let pay = self.tally.price(&period, rate).map_err(|_| ReplayError::Overflow(self.name.clone()))?;
        self.tally.commit(&pay);
        for (miner, amount) in &pay.credits {
            self.credit(miner, *amount)?;
        }
        Ok(())
    }
}

/// The parameters with another rule, less what that rule cannot have.
fn swapped(params: &SchemeParams, rule: Option<&Rule>) -> SchemeParams {
    let Some(rule) = rule else { return params.clone() };
    let mut fees: Fees = params.fees.clone();
    if rule.pays_shares() || matches!(rule, Rule::Solo {}) {
        fees.finder_bonus = BasisPoints::ZERO;
    }
    if rule.pays_shares() {
        fees.referral = BasisPoints::ZERO;
        fees.referrers = BTreeMap::new();
    }
    SchemeParams { rule: rule.clone(), fees, rounding: params.rounding }
}

/// A share as the tally wants it; what decides no pay is left empty.
fn logged(seq: ShareSeq, miner: &MinerId, share: &log::Share, block: Option<BlockId>) -> LoggedShare {
    LoggedShare {
        seq,
        record: ShareRecord {
            instance: InstanceId::new(0),
            at: Timestamp::from_millis(share.millis),
            worker: Worker { miner: miner.clone(), name: WorkerName::clean("") },
            work: share.work,
            units: share.units,
            chain: 0,
            evidence: Evidence::new(&[]).expect("nothing is short enough"),
            block,
        },
    }
}

/// What an expected block is worth: fixed, or the trimmed mean of the last concluded ones. `None` past the range, and
/// for what a log does not know.
fn rate(value: &BlockValue, concluded: &[Amount]) -> Option<Rate> {
    match value {
        BlockValue::Fixed { value } => Some(Rate { value: *value, blocks: 1 }),
        BlockValue::Reference { .. } => None,
        BlockValue::Realised { blocks, trim, start } => {
            let count = *blocks as usize;
            let mut values: Vec<Amount> = concluded.iter().rev().take(count).copied().collect();
            values.resize(count, *start);
            values.sort_unstable();
            let kept = &values[*trim as usize..count.checked_sub(*trim as usize)?];
            let sum = Amount::checked_sum(kept.iter().copied())?;
            Some(Rate { value: sum, blocks: u32::try_from(kept.len()).ok()? })
        }
    }
}

#[cfg(test)]
mod tests;
