//! Scheme, fees and rounding together: what each block, and each period of shares, pays to whom.
//!
//! A [`Tally`] hears logged shares and the conclusions of blocks, and answers with [`Award`]s. It is pure: the same
//! calls in the same order give the same awards, and the order of conclusions among later shares does not matter.
//! The order of operations is published and fixed: the fee is floored off the value, the finder's bonus is floored
//! off the rest, and what remains is split. A change of parameters works forward only: shares and blocks behind it
//! follow the new ones, open blocks before it keep the old ones.

use crate::account::{AccountIx, Accounts};
use crate::scheme::{
    Anchor, BadEvent, BadParams, Event, RewardParts, Scheme, SchemeParams, ShareEvent, Sink, Weights,
};
use crate::split::{Residues, Rounding, SplitError, accrue, split, weight_sum};
use crate::wide::U512;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use pool_core::id::{BlockId, MinerId, ShareSeq};
use pool_core::share::LoggedShare;
use pool_core::units::{Amount, Units};

/// What one concluded block pays. `value = fee + bonus + reserve + the amounts of all splits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Award {
    /// The block.
    pub id: BlockId,
    /// The number of the parameters it is split by; the first are 1.
    pub version: u32,
    /// The place in the log of the share that solved it.
    pub anchor: ShareSeq,
    /// Who solved it.
    pub finder: MinerId,
    /// What the chain paid.
    pub value: Amount,
    /// The operator's fee.
    pub fee: Amount,
    /// The finder's bonus.
    pub bonus: Amount,
    /// What goes to the reserve, under schemes that pay shares.
    pub reserve: Amount,
    /// What is split, by which weights, and how it came out. Empty where nothing is.
    pub splits: Vec<AwardSplit>,
}

/// One amount of an award and how it was split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwardSplit {
    /// What was to be split.
    pub amount: Amount,
    /// What earlier blocks left over and is split with it.
    pub carried_in: Amount,
    /// What is left over for the next block.
    pub carried_out: Amount,
    /// What the operator adds, where the weights pass the budget (hop-exact windows after a retarget).
    pub topped_up: Amount,
    /// Where the window began on the line of work.
    pub from: Units,
    /// Where it ended.
    pub to: Units,
    /// The sum of all accounts' weights.
    pub weight: Units,
    /// The operator's own weight.
    pub operator_weight: Units,
    /// Whole units now due to each account, by ascending id, no zeros.
    pub credits: Vec<(MinerId, Amount)>,
    /// Whole units now due to the operator for his weight.
    pub operator: Amount,
}

/// The work of a closed period under a scheme that pays shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// The number of the parameters in force.
    pub version: u32,
    /// The first share.
    pub from: ShareSeq,
    /// The last share.
    pub upto: ShareSeq,
    /// Work by account.
    pub work: Vec<(AccountIx, Units)>,
}

/// The value of one expected block as an exact fraction of smallest units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Smallest units …
    pub value: Amount,
    /// … for this many expected blocks, at least 1.
    pub blocks: u32,
}

/// What a period pays, before it is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeriodPay {
    /// Whole units now due, by ascending id, no zeros.
    pub credits: Vec<(MinerId, Amount)>,
    /// Their sum.
    pub total: Amount,
    /// Everyone's work in the period.
    pub units: Units,
    residues: Vec<(AccountIx, u64)>,
}

/// Residues by account number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ResidueTable {
    accounts: Vec<u64>,
    operator: u64,
}

impl Residues<AccountIx> for ResidueTable {
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

/// Parameters with the running scheme they started.
#[derive(Debug)]
struct Regime {
    params: SchemeParams,
    scheme: Box<dyn Scheme>,
}

/// A found block until its award is out.
#[derive(Clone, Copy, Debug)]
struct Claim {
    regime: usize,
    anchor: ShareSeq,
    finder: AccountIx,
    /// Value, fee and bonus, once the chain has spoken and while a scheme holds the award back.
    settled: Option<(Amount, Amount, Amount)>,
}

/// What a scheme told its sink.
enum Call {
    Split(Amount, Weights),
    Reserve(Amount),
}

#[derive(Default)]
struct Calls(Vec<(BlockId, Call)>);

impl Sink for Calls {
    fn split(&mut self, id: BlockId, amount: Amount, weights: Weights) {
        self.0.push((id, Call::Split(amount, weights)));
    }

    fn reserve(&mut self, id: BlockId, amount: Amount) {
        self.0.push((id, Call::Reserve(amount)));
    }
}

/// The running tally of one coin's pool.
#[derive(Debug)]
pub struct Tally {
    accounts: Accounts,
    regimes: Vec<Regime>,
    claims: BTreeMap<BlockId, Claim>,
    /// Fractions owed out of blocks.
    owed: ResidueTable,
    /// Fractions owed out of the reserve.
    owed_by_reserve: ResidueTable,
    carry: Amount,
    last: Option<ShareSeq>,
    /// The running period: its number since 1970 and its first share.
    period: Option<(u64, ShareSeq)>,
}

impl Tally {
    /// A tally before the first share.
    ///
    /// # Errors
    /// [`BadParams`].
    pub fn new(params: SchemeParams) -> Result<Self, BadParams> {
        let scheme = params.start()?;
        Ok(Self {
            accounts: Accounts::default(),
            regimes: [Regime { params, scheme }].into(),
            claims: BTreeMap::new(),
            owed: ResidueTable::default(),
            owed_by_reserve: ResidueTable::default(),
            carry: Amount::ZERO,
            last: None,
            period: None,
        })
    }

    /// The parameters in force and their number.
    #[must_use]
    pub fn params(&self) -> (u32, &SchemeParams) {
        let version = self.regimes.len();
        (u32::try_from(version).unwrap_or(u32::MAX), &self.regimes[version - 1].params)
    }

    /// The parameters of a number.
    #[must_use]
    pub fn params_of(&self, version: u32) -> Option<&SchemeParams> {
        let index = usize::try_from(version).ok()?.checked_sub(1)?;
        self.regimes.get(index).map(|regime| &regime.params)
    }

    /// All accounts seen.
    #[must_use]
    pub const fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The last share heard.
    #[must_use]
    pub const fn last(&self) -> Option<ShareSeq> {
        self.last
    }

    /// True while the block was found and its award is not out.
    #[must_use]
    pub fn knows(&self, id: &BlockId) -> bool {
        self.claims.contains_key(id)
    }

    /// Blocks that were found and whose award is not out.
    pub fn open(&self) -> impl Iterator<Item = (&BlockId, ShareSeq)> {
        self.claims.iter().map(|(id, claim)| (id, claim.anchor))
    }

    fn version(regime: usize) -> u32 {
        u32::try_from(regime + 1).unwrap_or(u32::MAX)
    }

    /// Puts other parameters in force for all shares and blocks to come. Returns the period this closes.
    ///
    /// # Errors
    /// [`BadParams`]; nothing has changed then.
    pub fn change(&mut self, params: SchemeParams) -> Result<Option<Period>, BadParams> {
        let scheme = params.start()?;
        let closed = self.close_period();
        self.regimes.push(Regime { params, scheme });
        Ok(closed)
    }

    fn close_period(&mut self) -> Option<Period> {
        let (_, from) = self.period.take()?;
        let upto = self.last?;
        let regime = self.regimes.len() - 1;
        let work = self.regimes[regime].scheme.close_period();
        Some(Period { version: Self::version(regime), from, upto, work })
    }

    /// The next share of the log, with the block it solved. Returns the period that ended before it, if one did.
    ///
    /// # Errors
    /// [`BadEvent`]; nothing has changed then.
    pub fn share(&mut self, share: &LoggedShare) -> Result<Option<Period>, BadEvent> {
        let LoggedShare { seq, record } = share;
        if let Some(last) = self.last
            && last.get().checked_add(1) != Some(seq.get())
        {
            return Err(BadEvent::Gap { last, found: *seq });
        }
        if record.units > Units::BLOCK {
            return Err(BadEvent::HeavyShare(*seq));
        }
        if let Some(id) = record.block
            && self.claims.contains_key(&id)
        {
            return Err(BadEvent::Repeated(id));
        }
        let account = self.accounts.intern(&record.worker.miner).map_err(|_| BadEvent::TooManyAccounts)?;
        let closed = self.turn_period(record.at.millis(), *seq);
        let regime = self.regimes.len() - 1;
        let scheme = &mut self.regimes[regime].scheme;
        let mut calls = Calls::default();
        let event = ShareEvent { seq: *seq, account, units: record.units, work: record.work };
        scheme.apply(&Event::Share(event), &mut calls)?;
        self.last = Some(*seq);
        if let Some(id) = record.block {
            let found = Event::Found { id, finder: account, anchor: Anchor::AtFind };
            scheme.apply(&found, &mut calls)?;
            self.claims.insert(id, Claim { regime, anchor: *seq, finder: account, settled: None });
        }
        debug_assert!(calls.0.is_empty(), "a share pays no block");
        Ok(closed)
    }

    /// Closes the running period if a share of this time belongs to a later one. Time that goes back stays inside.
    fn turn_period(&mut self, millis: u64, seq: ShareSeq) -> Option<Period> {
        let (_, params) = self.params();
        let (crate::scheme::Rule::Pps { period_ms, .. } | crate::scheme::Rule::Fpps { period_ms, .. }) =
            &params.rule
        else {
            return None;
        };
        let number = millis / (*period_ms).max(1);
        match self.period {
            Some((running, _)) if number <= running => None,
            _ => {
                let closed = self.close_period();
                self.period = Some((number, seq));
                closed
            }
        }
    }

    /// The block is final and worth `value`; zero where it is lost. Returns the awards that are now out: none while
    /// the scheme waits for an earlier block, several when others waited for this one.
    ///
    /// # Errors
    /// [`BadEvent::UnknownBlock`] for a block that is not open; [`BadEvent::AmountOverflow`] past the range.
    pub fn conclude(&mut self, id: BlockId, value: RewardParts) -> Result<Vec<Award>, BadEvent> {
        let claim = *self.claims.get(&id).ok_or(BadEvent::UnknownBlock(id))?;
        if claim.settled.is_some() {
            return Err(BadEvent::UnknownBlock(id));
        }
        let total = value.total().ok_or(BadEvent::AmountOverflow(id))?;
        let fees = self.regimes[claim.regime].params.fees.clone();
        let (mut fee, mut bonus) = (Amount::ZERO, Amount::ZERO);
        let mut net_of = |part: Amount| {
            let part_fee = fees.pool.of(part);
            let left = part.saturating_sub(part_fee);
            let part_bonus = fees.finder_bonus.of(left);
            fee = fee.checked_add(part_fee).expect("parts of a value that fits");
            bonus = bonus.checked_add(part_bonus).expect("parts of a value that fits");
            left.saturating_sub(part_bonus)
        };
        let pays_shares = self.regimes[claim.regime].params.rule.pays_shares();
        // Shares were already paid with the fee taken off: the whole block refills the reserve.
        let net = if pays_shares {
            value
        } else {
            RewardParts {
                subsidy: net_of(value.subsidy),
                fees: net_of(value.fees),
                extra: net_of(value.extra),
            }
        };
        let event = match net.total() {
            Some(amount) if !amount.is_zero() => Event::Settled { id, value: net },
            _ => Event::Lost { id },
        };
        let mut calls = Calls::default();
        self.regimes[claim.regime].scheme.apply(&event, &mut calls)?;
        if let Some(claim) = self.claims.get_mut(&id) {
            claim.settled = Some((total, fee, bonus));
        }
        let mut awards = Vec::new();
        if matches!(event, Event::Lost { .. }) {
            awards.extend(self.award(id, Vec::new())?);
        }
        let mut calls = calls.0.into_iter().peekable();
        while let Some((id, call)) = calls.next() {
            let mut own = alloc::vec![call];
            while let Some((_, call)) = calls.next_if(|(next, _)| *next == id) {
                own.push(call);
            }
            awards.extend(self.award(id, own)?);
        }
        Ok(awards)
    }

    fn award(&mut self, id: BlockId, calls: Vec<Call>) -> Result<Option<Award>, BadEvent> {
        let Some(claim) = self.claims.remove(&id) else { return Ok(None) };
        let (value, fee, bonus) = claim.settled.unwrap_or_default();
        let finder = self.accounts.name(claim.finder).expect("the finder was numbered").clone();
        let mut award = Award {
            id,
            version: Self::version(claim.regime),
            anchor: claim.anchor,
            finder,
            value,
            fee,
            bonus,
            reserve: Amount::ZERO,
            splits: Vec::new(),
        };
        let rounding = self.regimes[claim.regime].params.rounding;
        for call in calls {
            match call {
                Call::Reserve(amount) => {
                    award.reserve = award.reserve.checked_add(amount).ok_or(BadEvent::AmountOverflow(id))?;
                }
                Call::Split(amount, weights) => {
                    let split =
                        self.split(amount, weights, rounding).map_err(|_| BadEvent::AmountOverflow(id))?;
                    award.splits.push(split);
                }
            }
        }
        Ok(Some(award))
    }

    fn split(
        &mut self,
        amount: Amount,
        weights: Weights,
        rounding: Rounding,
    ) -> Result<AwardSplit, SplitError> {
        let pot = amount.checked_add(self.carry).ok_or(SplitError::AmountOverflow)?;
        let weight = weight_sum(&weights.accounts, Units::ZERO)?;
        let sum = weight.checked_add(weights.operator).ok_or(SplitError::WeightOverflow)?;
        let budget = sum.saturating_sub(weights.over);
        let mut done = AwardSplit {
            amount,
            carried_in: self.carry,
            carried_out: pot,
            topped_up: Amount::ZERO,
            from: weights.from,
            to: weights.to,
            weight,
            operator_weight: weights.operator,
            credits: Vec::new(),
            operator: Amount::ZERO,
        };
        if budget == Units::ZERO {
            self.carry = pot;
            return Ok(done);
        }
        done.carried_out = Amount::ZERO;
        if weights.over > Units::ZERO {
            // Rounded up: what the operator adds covers every fraction that becomes due later.
            let (whole, rest) = crate::wide::mul_div_rem(pot.get(), weights.over.to_bits(), budget.to_bits())
                .ok_or(SplitError::AmountOverflow)?;
            done.topped_up = Amount::new(whole + u128::from(rest > 0));
        }
        if rounding == Rounding::ResidualLedger {
            let due = accrue(&weights.accounts, weights.operator, budget, pot, &mut self.owed)?;
            done.operator = due.operator;
            done.credits = self.by_name(due.entries);
        } else {
            let named: Vec<(MinerId, Units)> =
                crate::scheme::named(&weights.accounts, &self.accounts).into_iter().collect();
            let pot = pot.checked_add(done.topped_up).ok_or(SplitError::AmountOverflow)?;
            let due = split(&named, weights.operator, pot, rounding)?;
            done.operator = due.operator;
            done.carried_out = due.carry;
            done.credits = due.entries.into_iter().filter(|(_, amount)| !amount.is_zero()).collect();
        }
        self.carry = done.carried_out;
        Ok(done)
    }

    fn by_name(&self, list: Vec<(AccountIx, Amount)>) -> Vec<(MinerId, Amount)> {
        let mut named: Vec<_> = list
            .into_iter()
            .filter(|(_, amount)| !amount.is_zero())
            .filter_map(|(account, amount)| self.accounts.name(account).map(|name| (name.clone(), amount)))
            .collect();
        named.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        named
    }

    /// What a period pays at a rate: `(1 - fee) × units × rate`, exact, residues included. Changes nothing.
    ///
    /// # Errors
    /// [`SplitError::AmountOverflow`] past the range.
    pub fn price(&self, period: &Period, rate: Rate) -> Result<PeriodPay, SplitError> {
        let fee = self.params_of(period.version).map_or(0, |params| u64::from(params.fees.pool.get()));
        let scale = U512::from(rate.value.get()) * U512::from(10_000 - fee);
        let divisor =
            (U512::from(rate.blocks.max(1)) * U512::from(10_000u64)) << Units::FRACTION_BITS as usize;
        let mut pay = PeriodPay {
            credits: Vec::new(),
            total: Amount::ZERO,
            units: weight_sum(&period.work, Units::ZERO)?,
            residues: Vec::with_capacity(period.work.len()),
        };
        let mut due = Vec::with_capacity(period.work.len());
        for (account, units) in &period.work {
            let (whole, rest) = (U512::from(units.to_bits()) * scale).div_rem(divisor);
            let quota = crate::split::Quota {
                whole: u128::try_from(whole).map_err(|_| SplitError::AmountOverflow)?,
                fraction: u64::try_from((rest << 64) / divisor).expect("a remainder is below its divisor"),
            };
            let mut residue = self.owed_by_reserve.accounts.get(account.index()).copied().unwrap_or(0);
            let amount = quota.accrue(&mut residue)?;
            pay.total = pay.total.checked_add(amount).ok_or(SplitError::AmountOverflow)?;
            pay.residues.push((*account, residue));
            due.push((*account, amount));
        }
        pay.credits = self.by_name(due);
        Ok(pay)
    }

    /// Takes note that a period was paid as [`Tally::price`] said. Periods are committed in their order.
    pub fn commit(&mut self, pay: &PeriodPay) {
        for (account, residue) in &pay.residues {
            *self.owed_by_reserve.of(account) = *residue;
        }
    }

    /// What a block of this value would pay if the last share had solved it, rounded by largest remainders, with the
    /// operator's part. `None` where no share counts or shares are paid by themselves.
    ///
    /// Bonus and fee are off: the finder is not known yet.
    #[must_use]
    pub fn preview(&self, value: Amount) -> Option<(Vec<(MinerId, Amount)>, Amount)> {
        let regime = self.regimes.last()?;
        let weights = regime.scheme.preview()?;
        let fee = regime.params.fees.pool.of(value);
        let left = value.checked_sub(fee)?;
        let net = left.checked_sub(regime.params.fees.finder_bonus.of(left))?;
        let named: Vec<(MinerId, Units)> =
            crate::scheme::named(&weights.accounts, &self.accounts).into_iter().collect();
        let due = split(&named, weights.operator, net, Rounding::LargestRemainder).ok()?;
        Some((due.entries, fee.checked_add(due.operator)?))
    }
}
