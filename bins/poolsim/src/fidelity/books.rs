//! A pool's books kept by the production engine: shares in, whole units out.
//!
//! The engine weighs, [`pool_rewards::split`] makes whole units of it, and fees come off in the published order: those
//! are the parts that pay in production. What is left out is what needs names and a ledger: tiers, referral, statements.
//! Blocks settle at once, because a scheme's result does not depend on when they do. Schemes that pay shares pay at
//! every block and checkpoint.

use crate::fidelity::journal::Journal;
use crate::run::RunError;
use crate::scenario::NamedScheme;
use pool_core::id::{BlockId, ShareSeq};
use pool_core::units::{Amount, Units, Work};
use pool_rewards::account::AccountIx;
use pool_rewards::scheme::{
    Anchor, BadEvent, BlockValue, Event, RewardParts, Rule, RunCounts, Scheme, ShareRun, Sink, Weights,
};
use pool_rewards::split::{Quota, Residues, Rounding, SplitError, accrue, split, weight_sum};
use std::collections::VecDeque;

/// Hashes of a share: windows of raw work look at it. Any number would do, as all shares have the same.
const SHARE_HASHES: u128 = 1 << 40;

/// Residues in tables.
#[derive(Debug, Default)]
struct Owed {
    accounts: Vec<u64>,
    operator: u64,
}

impl Residues<AccountIx> for Owed {
    fn of(&mut self, key: &AccountIx) -> &mut u64 {
        if self.accounts.len() <= key.index() {
            self.accounts.resize(key.index() + 1, 0);
        }
        &mut self.accounts[key.index()]
    }

    fn of_operator(&mut self) -> &mut u64 {
        &mut self.operator
    }
}

/// What an engine says, kept for a moment.
#[derive(Debug, Default)]
struct Said {
    splits: Vec<(Amount, Weights)>,
    reserve: Vec<Amount>,
}

impl Sink for Said {
    fn split(&mut self, _id: BlockId, amount: Amount, weights: Weights) {
        self.splits.push((amount, weights));
    }

    fn reserve(&mut self, _id: BlockId, amount: Amount) {
        self.reserve.push(amount);
    }
}

/// The log of one book as it is heard by all schemes: numbers and weights of shares.
#[derive(Debug)]
pub struct Log {
    next: u64,
    counts: RunCounts,
    /// Whose the shares of the running batch are.
    pub batch: Vec<AccountIx>,
}

impl Default for Log {
    fn default() -> Self {
        Self { next: 1, counts: RunCounts::default(), batch: Vec::new() }
    }
}

impl Log {
    /// The batch as a run of shares of so many units each. [`Log::done`] ends it.
    pub fn run(&mut self, units: Units) -> ShareRun<'_> {
        let work = Work::new(SHARE_HASHES).unwrap_or(Work::ONE);
        self.counts.run(ShareSeq::new(self.next), units, work, &self.batch)
    }

    /// The batch was heard by everyone.
    pub fn done(&mut self) {
        self.next += self.batch.len() as u64;
        self.batch.clear();
    }
}

/// One pool's books under one scheme.
#[derive(Debug)]
pub struct Books<'a> {
    line_up: usize,
    pool: usize,
    scheme: &'a NamedScheme,
    engine: Box<dyn Scheme>,
    owed: Owed,
    owed_by_reserve: Vec<u64>,
    carry: Amount,
    subsidy: f64,
    factor: f64,
    /// Values of the last blocks, where an expected block is worth what they brought in.
    last: VecDeque<Amount>,
    received: u128,
    credited: u128,
}

impl<'a> Books<'a> {
    /// Empty books.
    ///
    /// # Errors
    /// [`RunError::Params`]; never for a scenario that was read, whose parameters were checked then.
    pub fn new(
        scheme: &'a NamedScheme,
        subsidy: Amount,
        line_up: usize,
        pool: usize,
    ) -> Result<Self, RunError> {
        let engine = scheme
            .params
            .start()
            .map_err(|source| RunError::Params { scheme: scheme.name.clone(), source })?;
        let last = match scheme.params.rule.share_value() {
            Some(BlockValue::Realised { blocks, start, .. }) => {
                std::iter::repeat_n(start, blocks as usize).collect()
            }
            _ => VecDeque::new(),
        };
        Ok(Self {
            line_up,
            pool,
            scheme,
            engine,
            owed: Owed::default(),
            owed_by_reserve: Vec::new(),
            carry: Amount::ZERO,
            subsidy: subsidy.get() as f64,
            factor: 1.0,
            last,
            received: 0,
            credited: 0,
        })
    }

    fn refused(&self, source: BadEvent) -> RunError {
        RunError::Engine { scheme: self.scheme.name.clone(), source }
    }

    fn unsplit(&self, source: SplitError) -> RunError {
        RunError::Split { scheme: self.scheme.name.clone(), source }
    }

    /// Hears shares.
    ///
    /// # Errors
    /// [`RunError::Engine`].
    pub fn shares(&mut self, run: &ShareRun<'_>) -> Result<(), RunError> {
        let mut said = Said::default();
        self.engine.shares(run, &mut said).map_err(|error| self.refused(error))
    }

    /// Pays the work since the last time, where shares are paid. `factor` is the subsidy of now over the first, which
    /// holds for what follows as well: the operator announces new values when the reward changes.
    ///
    /// # Errors
    /// [`RunError::Split`] past 128 bits.
    pub fn close(&mut self, journal: &mut Journal<'_>, factor: f64, now: f64) -> Result<(), RunError> {
        self.factor = factor;
        let params = &self.scheme.params;
        let (sum, blocks) = match params.rule.share_value() {
            // The driver refuses schemes that need a list of the network's blocks.
            None | Some(BlockValue::Reference { .. }) => return Ok(()),
            Some(BlockValue::Fixed { value }) => (scaled(value, factor), 1),
            Some(BlockValue::Realised { trim, .. }) => {
                let mut sorted: Vec<Amount> = self.last.iter().copied().collect();
                sorted.sort_unstable();
                let kept = &sorted[trim as usize..sorted.len() - trim as usize];
                let sum = Amount::checked_sum(kept.iter().copied());
                (sum.ok_or_else(|| self.unsplit(SplitError::AmountOverflow))?, kept.len() as u128)
            }
        };
        // (1 - fee) × units × sum / blocks, exactly, residues included: as the settlement prices a period.
        let overflow = SplitError::AmountOverflow;
        let scale = sum.get().checked_mul(10_000 - u128::from(params.fees.pool.get()));
        let scale = Amount::new(scale.ok_or_else(|| self.unsplit(overflow))?);
        let divisor = blocks * 10_000 * Units::BLOCK.to_bits();
        let mut paid = 0u128;
        for (account, units) in self.engine.close_period() {
            if self.owed_by_reserve.len() <= account.index() {
                self.owed_by_reserve.resize(account.index() + 1, 0);
            }
            let quota = Quota::new(scale, units.to_bits(), divisor).ok_or(overflow);
            let due = quota.and_then(|quota| quota.accrue(&mut self.owed_by_reserve[account.index()]));
            let due = due.map_err(|error| self.unsplit(error))?;
            journal.credit(self.line_up, account.index(), due.get() as f64 / self.subsidy, now);
            paid += due.get();
        }
        self.credited += paid;
        journal.operator(self.line_up, self.pool, -(paid as f64 / self.subsidy), now);
        Ok(())
    }

    /// The last share of the log found a block that is worth `value` for certain; zero for one that is lost.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn block(
        &mut self,
        journal: &mut Journal<'_>,
        id: BlockId,
        finder: AccountIx,
        value: Amount,
        now: f64,
    ) -> Result<(), RunError> {
        self.found(id, finder)?;
        self.concluded(journal, id, finder, value, now)
    }

    /// The last share of the log found a block.
    ///
    /// # Errors
    /// [`RunError::Engine`].
    pub fn found(&mut self, id: BlockId, finder: AccountIx) -> Result<(), RunError> {
        let found = Event::Found { id, finder, anchor: Anchor::AtFind };
        self.engine.apply(&found, &mut Said::default()).map_err(|error| self.refused(error))
    }

    /// A block that was found is worth `value`; zero for one that is lost.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn concluded(
        &mut self,
        journal: &mut Journal<'_>,
        id: BlockId,
        finder: AccountIx,
        value: Amount,
        now: f64,
    ) -> Result<(), RunError> {
        let mut said = Said::default();
        if self.last.pop_front().is_some() {
            self.last.push_back(value);
        }
        let params = &self.scheme.params;
        // Where shares are paid the fee is off their value already.
        let (fee_points, bonus_points) = if params.rule.pays_shares() {
            Default::default()
        } else {
            (params.fees.pool, params.fees.finder_bonus)
        };
        let mut bonus = 0u128;
        let mut net_of = |part: Amount| {
            let left = part.saturating_sub(fee_points.of(part));
            let part_bonus = bonus_points.of(left);
            bonus += part_bonus.get();
            left.saturating_sub(part_bonus)
        };
        let RewardParts { subsidy, fees, extra } = match &params.rule {
            Rule::PpsPlus { subsidy, .. } => {
                let subsidy = value.min(scaled(*subsidy, self.factor));
                RewardParts { subsidy, fees: value.saturating_sub(subsidy), extra: Amount::ZERO }
            }
            rule => rule.parts(value),
        };
        let net = RewardParts { subsidy: net_of(subsidy), fees: net_of(fees), extra: net_of(extra) };
        let nothing = net.total().is_none_or(Amount::is_zero);
        let event = if nothing { Event::Lost { id } } else { Event::Settled { id, value: net } };
        self.engine.apply(&event, &mut said).map_err(|error| self.refused(error))?;
        journal.credit(self.line_up, finder.index(), bonus as f64 / self.subsidy, now);
        let mut credited = bonus;
        for (amount, weights) in said.splits {
            credited += self.split(journal, amount, &weights, now)?;
        }
        self.received += value.get();
        self.credited += credited;
        // Everything nobody else was credited with; residues below one unit per account are among it.
        let own = value.get() as f64 / self.subsidy - credited as f64 / self.subsidy;
        journal.operator(self.line_up, self.pool, own, now);
        Ok(())
    }

    /// Hands an amount out by weights and says how much of it went to accounts.
    fn split(
        &mut self,
        journal: &mut Journal<'_>,
        amount: Amount,
        weights: &Weights,
        now: f64,
    ) -> Result<u128, RunError> {
        let overflow = SplitError::AmountOverflow;
        let pot = amount.checked_add(self.carry).ok_or(overflow).map_err(|error| self.unsplit(error))?;
        let sum = weight_sum(&weights.accounts, weights.operator).map_err(|error| self.unsplit(error))?;
        let budget = sum.saturating_sub(weights.over);
        if budget == Units::ZERO {
            self.carry = pot;
            return Ok(0);
        }
        let due = match self.scheme.params.rounding {
            Rounding::ResidualLedger => {
                accrue(&weights.accounts, weights.operator, budget, pot, &mut self.owed)
            }
            rule => {
                // What the weights pass the budget by is the operator's to add.
                let over = Quota::new(pot, weights.over.to_bits(), budget.to_bits()).ok_or(overflow);
                over.and_then(|over| {
                    let added = Amount::new(over.whole + u128::from(over.fraction > 0));
                    split(&weights.accounts, weights.operator, pot.checked_add(added).ok_or(overflow)?, rule)
                })
            }
        };
        let due = due.map_err(|error| self.unsplit(error))?;
        self.carry = due.carry;
        let mut credited = 0;
        for (account, amount) in due.entries {
            credited += amount.get();
            journal.credit(self.line_up, account.index(), amount.get() as f64 / self.subsidy, now);
        }
        Ok(credited)
    }

    /// What blocks brought in and what accounts were credited with, in smallest units, since the beginning.
    #[must_use]
    pub const fn totals(&self) -> (u128, u128) {
        (self.received, self.credited)
    }
}

/// An amount times a factor, rounded to the nearest unit. Exact for a factor of one.
pub(super) fn scaled(amount: Amount, factor: f64) -> Amount {
    if factor == 1.0 {
        return amount;
    }
    // In 2^-32 of the amount: floats end before amounts do.
    let parts = (factor * 4_294_967_296.0).round() as u128;
    amount.mul_div(parts, 1 << 32).unwrap_or(Amount::new(u128::MAX))
}
