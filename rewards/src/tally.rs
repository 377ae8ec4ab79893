//! Scheme, fees and rounding together: what each block, and each period of shares, pays to whom.
//!
//! A [`Tally`] hears logged shares and the conclusions of blocks, and answers with [`Award`]s. It is pure: the same
//! calls in the same order give the same awards, and the order of conclusions among later shares does not matter.
//! The order of operations is that of [`Fees`](crate::scheme::Fees).
//!
//! A change of parameters works forward only: shares and blocks behind it follow the new ones, open blocks before it
//! keep the old ones. Where the rule stays the same, or is another PPLNS window, the work so far stays in: a new fee
//! takes nothing from anyone's window. A change to a rule of another kind begins with an empty window; what the old
//! one still promised to shares before the change ends with it, and an operator who changes kinds says so beforehand.

use crate::account::{AccountIx, Accounts, Holder};
use crate::codec::{BadSnapshot, Reader, Writer};
use crate::proof::accounts::Part;
use crate::scheme::{
    Anchor, BadEvent, BadParams, Event, RewardParts, Scheme, SchemeParams, ShareEvent, Sink, Weights,
};
use crate::split::{Quota, Residues, Rounding, SplitError, accrue_each, split, weight_sum};
use crate::wide::{U512, mul_div_rem};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use pool_core::id::{BlockId, MinerId, ShareSeq};
use pool_core::share::LoggedShare;
use pool_core::units::{Amount, BasisPoints, Units};

/// Blocks and sums of blocks are below this, so that no sum here can pass 128 bits.
const VALUE_MAX: u128 = 1 << 120;

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
    /// The operator's fee, where it comes off the value.
    pub fee: Amount,
    /// The finder's bonus.
    pub bonus: Amount,
    /// What goes to the reserve, under schemes that pay shares.
    pub reserve: Amount,
    /// What is split, by which weights, and how it came out. Empty where nothing is.
    pub splits: Vec<AwardSplit>,
}

/// One amount of an award and how it was split.
///
/// `amount + carried_in + topped_up + residues before = credits + fees + referrals + operator + carried_out + residues`.
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
    /// The whole of which weights are parts.
    pub budget: Units,
    /// The operator's own weight.
    pub operator_weight: Units,
    /// What each account got before its fee, in the order of holders.
    pub parts: Vec<AccountPart>,
    /// Fees taken from accounts, less what referrers get of them.
    pub fees: Amount,
    /// What referrers get, by ascending id, no zeros.
    pub referrals: Vec<(MinerId, Amount)>,
    /// Whole units now due to the operator for his weight.
    pub operator: Amount,
}

/// What one account got out of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountPart {
    /// Which.
    pub account: AccountIx,
    /// Its weight.
    pub weight: Units,
    /// Whole units credited, its fee not taken yet.
    pub gross: Amount,
    /// What is left of its entitlements so far, in `2^-64` units; zero without a residual ledger.
    pub residue: u64,
}

/// The work of a closed period under a scheme that pays shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// The number of the parameters in force.
    pub version: u32,
    /// Its number since 1970, by its own length.
    pub number: u64,
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

impl ResidueTable {
    fn save(&self, out: &mut Writer) {
        out.u64(self.operator);
        // Trailing zeros say nothing.
        let used = self.accounts.iter().rposition(|residue| *residue > 0).map_or(0, |last| last + 1);
        out.length(used);
        for residue in &self.accounts[..used] {
            out.u64(*residue);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, BadSnapshot> {
        Ok(Self { operator: from.u64()?, accounts: from.list(Reader::u64)? })
    }
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

/// Parameters and the running scheme they are applied by.
#[derive(Debug)]
struct Regime {
    params: SchemeParams,
    engine: usize,
}

/// A found block until its award is out.
#[derive(Clone, Debug)]
struct Claim {
    regime: usize,
    anchor: ShareSeq,
    finder: AccountIx,
    settled: Option<Settled>,
}

/// What the chain said of a block whose award a scheme holds back, in whole or in part.
#[derive(Clone, Debug)]
struct Settled {
    value: Amount,
    fee: Amount,
    bonus: Amount,
    /// What the scheme has not handed out yet.
    left: Amount,
    calls: Vec<Call>,
}

/// What a scheme told its sink.
#[derive(Clone, Debug)]
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
    engines: Vec<Box<dyn Scheme>>,
    claims: BTreeMap<BlockId, Claim>,
    /// Fractions owed out of blocks.
    owed: ResidueTable,
    /// Fractions owed out of the reserve.
    owed_by_reserve: ResidueTable,
    carry: Amount,
    last: Option<ShareSeq>,
    /// The running period: its number since 1970 and its first share.
    period: Option<(u64, ShareSeq)>,
    /// The timestamp of each account's first share, kept while a grace period was ever in force.
    since: BTreeMap<MinerId, u64>,
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
            regimes: [Regime { params, engine: 0 }].into(),
            engines: [scheme].into(),
            claims: BTreeMap::new(),
            owed: ResidueTable::default(),
            owed_by_reserve: ResidueTable::default(),
            carry: Amount::ZERO,
            last: None,
            period: None,
            since: BTreeMap::new(),
        })
    }

    /// The parameters in force and their number.
    #[must_use]
    pub fn params(&self) -> (u32, &SchemeParams) {
        let regime = self.regimes.len() - 1;
        (Self::version(regime), &self.regimes[regime].params)
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
        let engine = self.engines.len() - 1;
        let goes_on = params.rule == self.params().1.rule || self.engines[engine].retune(&params.rule);
        if !goes_on {
            self.engines.push(scheme);
        }
        self.regimes.push(Regime { params, engine: self.engines.len() - 1 });
        Ok(closed)
    }

    fn close_period(&mut self) -> Option<Period> {
        let (number, from) = self.period.take()?;
        let upto = self.last?;
        let version = self.params().0;
        let engine = self.engines.len() - 1;
        let work = self.engines[engine].close_period();
        Some(Period { version, number, from, upto, work })
    }

    /// The next share of the log, with the block it solved. Returns the period that ended before it, if one did.
    ///
    /// # Errors
    /// [`BadEvent`]; nothing has changed then that a later share would not change too.
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
        let miner = &record.worker.miner;
        let fee = self.share_fee(miner, record.at.millis());
        let holder = Holder { miner: miner.clone(), fee };
        let account = self.accounts.intern(holder).map_err(|_| BadEvent::TooManyAccounts)?;
        let closed = self.turn_period(record.at.millis(), *seq);
        let (regime, engine) = (self.regimes.len() - 1, self.engines.len() - 1);
        let scheme = &mut self.engines[engine];
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

    /// The fee a share is accepted under, where fees are taken from accounts.
    fn share_fee(&mut self, miner: &MinerId, millis: u64) -> BasisPoints {
        let fees = &self.regimes[self.regimes.len() - 1].params.fees;
        if fees.grace_ms > 0 && !self.since.contains_key(miner) {
            // An account that mined here before there was a grace period is not new.
            let known = self.accounts.knows(miner);
            self.since.insert(miner.clone(), if known { 0 } else { millis });
        }
        if !fees.by_account() {
            return BasisPoints::ZERO;
        }
        let since = self.since.get(miner).copied().unwrap_or(0);
        fees.of_share(miner, millis.saturating_sub(since))
    }

    /// Closes the running period if a share of this time belongs to a later one. Time that goes back stays inside.
    fn turn_period(&mut self, millis: u64, seq: ShareSeq) -> Option<Period> {
        let number = millis / self.params().1.rule.period_ms()?.max(1);
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
    /// [`BadEvent::UnknownBlock`] for a block that is not open; [`BadEvent::AmountOverflow`] for a value from `2^120`.
    pub fn conclude(&mut self, id: BlockId, value: Amount) -> Result<Vec<Award>, BadEvent> {
        let claim = self.claims.get(&id).ok_or(BadEvent::UnknownBlock(id))?;
        if claim.settled.is_some() {
            return Err(BadEvent::UnknownBlock(id));
        }
        if value.get() >= VALUE_MAX {
            return Err(BadEvent::AmountOverflow(id));
        }
        let index = claim.regime;
        let regime = &self.regimes[index];
        let fees = &regime.params.fees;
        let (mut fee, mut bonus) = (Amount::ZERO, Amount::ZERO);
        // Where shares are paid the fee is off their value already, and what blocks bring in goes where it is due whole.
        let (fee_points, bonus_points) = if regime.params.rule.pays_shares() {
            (BasisPoints::ZERO, BasisPoints::ZERO)
        } else if fees.by_account() {
            (BasisPoints::ZERO, fees.finder_bonus)
        } else {
            (fees.pool, fees.finder_bonus)
        };
        let mut net_of = |part: Amount| {
            let part_fee = fee_points.of(part);
            let left = part.saturating_sub(part_fee);
            let part_bonus = bonus_points.of(left);
            fee = Amount::new(fee.get() + part_fee.get());
            bonus = Amount::new(bonus.get() + part_bonus.get());
            left.saturating_sub(part_bonus)
        };
        let RewardParts { subsidy, fees, extra } = regime.params.rule.parts(value);
        let net = RewardParts { subsidy: net_of(subsidy), fees: net_of(fees), extra: net_of(extra) };
        let left = net.total().ok_or(BadEvent::AmountOverflow(id))?;
        let event = if left.is_zero() { Event::Lost { id } } else { Event::Settled { id, value: net } };
        let mut calls = Calls::default();
        self.engines[regime.engine].apply(&event, &mut calls)?;
        if let Some(claim) = self.claims.get_mut(&id) {
            claim.settled = Some(Settled { value, fee, bonus, left, calls: Vec::new() });
        }
        let mut awards = Vec::new();
        if left.is_zero() {
            awards.extend(self.award(id)?);
        }
        for (id, call) in calls.0 {
            let Some(settled) = self.claims.get_mut(&id).and_then(|claim| claim.settled.as_mut()) else {
                continue;
            };
            let (Call::Split(amount, _) | Call::Reserve(amount)) = &call;
            settled.left = settled.left.saturating_sub(*amount);
            settled.calls.push(call);
            if settled.left.is_zero() {
                awards.extend(self.award(id)?);
            }
        }
        Ok(awards)
    }

    /// The award of a block of which everything was handed out.
    fn award(&mut self, id: BlockId) -> Result<Option<Award>, BadEvent> {
        let Some(Claim { regime, anchor, finder, settled: Some(settled) }) = self.claims.remove(&id) else {
            return Ok(None);
        };
        let finder = self.accounts.holder(finder).expect("the finder was numbered").miner.clone();
        let Settled { value, fee, bonus, calls, .. } = settled;
        let version = Self::version(regime);
        let mut award = Award {
            id,
            version,
            anchor,
            finder,
            value,
            fee,
            bonus,
            reserve: Amount::ZERO,
            splits: Vec::new(),
        };
        for call in calls {
            match call {
                Call::Reserve(amount) => {
                    award.reserve = award.reserve.checked_add(amount).ok_or(BadEvent::AmountOverflow(id))?;
                }
                Call::Split(amount, weights) => {
                    let split = self.split(regime, amount, weights);
                    award.splits.push(split.map_err(|_| BadEvent::AmountOverflow(id))?);
                }
            }
        }
        Ok(Some(award))
    }

    fn split(&mut self, regime: usize, amount: Amount, weights: Weights) -> Result<AwardSplit, SplitError> {
        let rounding = self.regimes[regime].params.rounding;
        let pot = amount.checked_add(self.carry).ok_or(SplitError::AmountOverflow)?;
        let sum = weight_sum(&weights.accounts, weights.operator)?;
        let budget = sum.saturating_sub(weights.over);
        let mut done = AwardSplit {
            amount,
            carried_in: self.carry,
            carried_out: pot,
            topped_up: Amount::ZERO,
            from: weights.from,
            to: weights.to,
            budget,
            operator_weight: weights.operator,
            parts: Vec::new(),
            fees: Amount::ZERO,
            referrals: Vec::new(),
            operator: Amount::ZERO,
        };
        if budget == Units::ZERO {
            self.carry = pot;
            return Ok(done);
        }
        done.carried_out = Amount::ZERO;
        if weights.over > Units::ZERO {
            // Rounded up: what the operator adds covers every fraction that becomes due later.
            let (whole, rest) = mul_div_rem(pot.get(), weights.over.to_bits(), budget.to_bits())
                .ok_or(SplitError::AmountOverflow)?;
            done.topped_up = Amount::new(whole + u128::from(rest > 0));
        }
        let ordered = self.accounts.in_order(&weights.accounts);
        if rounding == Rounding::ResidualLedger {
            let mut parts = Vec::with_capacity(ordered.len());
            let each = |account: &AccountIx, weight, gross, residue| {
                parts.push(AccountPart { account: *account, weight, gross, residue });
            };
            done.operator = accrue_each(&ordered, weights.operator, budget, pot, &mut self.owed, each)?;
            done.parts = parts;
        } else {
            // Keyed by their place, which is their order.
            let listed: Vec<(usize, Units)> =
                ordered.iter().enumerate().map(|(place, (_, weight))| (place, *weight)).collect();
            let pot = pot.checked_add(done.topped_up).ok_or(SplitError::AmountOverflow)?;
            let due = split(&listed, weights.operator, pot, rounding)?;
            done.operator = due.operator;
            done.carried_out = due.carry;
            let parts = ordered.iter().zip(due.entries).map(|((account, weight), (_, gross))| AccountPart {
                account: *account,
                weight: *weight,
                gross,
                residue: 0,
            });
            done.parts = parts.collect();
        }
        charge(&mut done, &self.accounts, &self.regimes[regime].params);
        self.carry = done.carried_out;
        Ok(done)
    }

    /// What a period pays at a rate: `(1 - fee) × units × rate`, exact, residues included. Changes nothing.
    ///
    /// # Errors
    /// [`SplitError::AmountOverflow`] past the range.
    pub fn price(&self, period: &Period, rate: Rate) -> Result<PeriodPay, SplitError> {
        let params = self.params_of(period.version);
        let common = params.filter(|params| !params.fees.by_account()).map(|params| params.fees.pool);
        let divisor =
            (U512::from(rate.blocks.max(1)) * U512::from(10_000u64)) << Units::FRACTION_BITS as usize;
        let mut pay = PeriodPay {
            credits: Vec::new(),
            total: Amount::ZERO,
            units: weight_sum(&period.work, Units::ZERO)?,
            residues: Vec::with_capacity(period.work.len()),
        };
        let mut due: BTreeMap<MinerId, Amount> = BTreeMap::new();
        for (account, units) in &period.work {
            let Some(holder) = self.accounts.holder(*account) else { continue };
            let fee = common.unwrap_or(holder.fee);
            let scale = U512::from(rate.value.get()) * U512::from(10_000 - fee.get());
            let (whole, rest) = (U512::from(units.to_bits()) * scale).div_rem(divisor);
            let quota = Quota {
                whole: u128::try_from(whole).map_err(|_| SplitError::AmountOverflow)?,
                fraction: u64::try_from((rest << 64) / divisor).expect("a remainder is below its divisor"),
            };
            let mut residue = self.owed_by_reserve.accounts.get(account.index()).copied().unwrap_or(0);
            let amount = quota.accrue(&mut residue)?;
            pay.total = pay.total.checked_add(amount).ok_or(SplitError::AmountOverflow)?;
            pay.residues.push((*account, residue));
            if !amount.is_zero() {
                let sum = due.entry(holder.miner.clone()).or_default();
                // No more than the total, which fits.
                *sum = sum.checked_add(amount).ok_or(SplitError::AmountOverflow)?;
            }
        }
        pay.credits = due.into_iter().collect();
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
    /// Fees and bonus are off as the current parameters take them from the value; the finder is not known yet.
    #[must_use]
    pub fn preview(&self, value: Amount) -> Option<(Vec<(MinerId, Amount)>, Amount)> {
        let regime = self.regimes.last()?;
        let weights = self.engines.last()?.preview()?;
        let by_account = regime.params.fees.by_account();
        let fee = if by_account { Amount::ZERO } else { regime.params.fees.pool.of(value) };
        let left = value.checked_sub(fee)?;
        let net = left.checked_sub(regime.params.fees.finder_bonus.of(left))?;
        let sums = self.accounts.by_miner(weights.accounts, |sum: &mut Units, weight| {
            *sum = sum.checked_add(weight).unwrap_or(*sum);
        });
        let named: Vec<(MinerId, Units)> = sums.into_iter().collect();
        let due = split(&named, weights.operator, net, Rounding::LargestRemainder).ok()?;
        Some((due.entries, fee.checked_add(due.operator)?))
    }

    /// The parts of a split with the names of their accounts.
    #[must_use]
    pub fn named(&self, split: &AwardSplit) -> Vec<Part> {
        let named = |part: &AccountPart| {
            let holder = self.accounts.holder(part.account)?;
            let AccountPart { weight, gross, residue, .. } = *part;
            Some(Part { miner: holder.miner.clone(), fee: holder.fee, weight, gross, residue })
        };
        split.parts.iter().filter_map(named).collect()
    }

    /// Writes the whole state. Equal states write equal bytes.
    pub fn save(&self, out: &mut Writer) {
        self.accounts.save(out);
        out.length(self.regimes.len());
        for regime in &self.regimes {
            out.bytes(regime.params.canonical().as_bytes());
            out.u64(regime.engine as u64);
        }
        for engine in &self.engines {
            engine.save(out);
        }
        out.length(self.claims.len());
        for (id, claim) in &self.claims {
            out.block(id);
            out.u64(claim.regime as u64);
            out.u64(claim.anchor.get());
            out.account(claim.finder);
            out.u8(u8::from(claim.settled.is_some()));
            if let Some(settled) = &claim.settled {
                save_settled(out, settled);
            }
        }
        self.owed.save(out);
        self.owed_by_reserve.save(out);
        out.amount(self.carry);
        out.seq(self.last);
        out.seq(self.period.map(|(_, from)| from));
        out.u64(self.period.map_or(0, |(number, _)| number));
        out.length(self.since.len());
        for (miner, millis) in &self.since {
            out.bytes(miner.as_str().as_bytes());
            out.u64(*millis);
        }
    }

    /// The state that [`Tally::save`] wrote.
    ///
    /// # Errors
    /// [`BadSnapshot`].
    pub fn load(from: &mut Reader<'_>) -> Result<Self, BadSnapshot> {
        let accounts = Accounts::load(from)?;
        let regimes = from.list(|from| {
            let params: SchemeParams =
                serde_json::from_str(&from.text()?).map_err(|_| BadSnapshot("parameters are none"))?;
            let engine = usize::try_from(from.u64()?).map_err(|_| BadSnapshot("an engine is none"))?;
            Ok(Regime { params, engine })
        })?;
        let mut engines: Vec<Box<dyn Scheme>> = Vec::new();
        for (index, regime) in regimes.iter().enumerate() {
            // Engines are numbered as they were started; each is read as the last parameters it went on under.
            let last_of_it = regimes.get(index + 1).is_none_or(|next| next.engine != regime.engine);
            if regime.engine != engines.len() {
                return Err(BadSnapshot("engines are out of order"));
            }
            if last_of_it {
                let scheme = regime.params.start().map_err(|_| BadSnapshot("parameters cannot be"))?;
                engines.push(scheme);
            }
        }
        for engine in &mut engines {
            engine.load(from)?;
        }
        if engines.is_empty() {
            return Err(BadSnapshot("there are no parameters"));
        }
        let claims = from.list(|from| {
            let id = from.block()?;
            let regime = usize::try_from(from.u64()?).ok().filter(|regime| *regime < regimes.len());
            let regime = regime.ok_or(BadSnapshot("a block has no parameters"))?;
            let (anchor, finder) = (ShareSeq::new(from.u64()?), from.account()?);
            accounts.holder(finder).ok_or(BadSnapshot("a finder is not known"))?;
            let settled = if from.u8()? == 0 { None } else { Some(load_settled(from)?) };
            Ok((id, Claim { regime, anchor, finder, settled }))
        })?;
        let (owed, owed_by_reserve) = (ResidueTable::load(from)?, ResidueTable::load(from)?);
        let (carry, last) = (from.amount()?, from.seq()?);
        let (first, number) = (from.seq()?, from.u64()?);
        let since = from.list(|from| {
            let miner = MinerId::new(&from.text()?).map_err(|_| BadSnapshot("an account is none"))?;
            Ok((miner, from.u64()?))
        })?;
        Ok(Self {
            accounts,
            regimes,
            engines,
            claims: claims.into_iter().collect(),
            owed,
            owed_by_reserve,
            carry,
            last,
            period: first.map(|first| (number, first)),
            since: since.into_iter().collect(),
        })
    }
}

/// Takes each account's fee off its gross units, and referral out of the fee.
fn charge(done: &mut AwardSplit, accounts: &Accounts, params: &SchemeParams) {
    if !params.fees.by_account() {
        return;
    }
    let mut referrals = BTreeMap::<&MinerId, u128>::new();
    let mut fees = 0;
    for part in &done.parts {
        let Some(holder) = accounts.holder(part.account) else { continue };
        let fee = holder.fee.of(part.gross).get();
        fees += fee;
        if let Some(referrer) = params.fees.referrers.get(&holder.miner) {
            let referral = params.fees.referral.of(Amount::new(fee)).get();
            *referrals.entry(referrer).or_default() += referral;
            fees -= referral;
        }
    }
    let positive = referrals.into_iter().filter(|(_, amount)| *amount > 0);
    done.referrals = positive.map(|(miner, amount)| (miner.clone(), Amount::new(amount))).collect();
    done.fees = Amount::new(fees);
}

fn save_settled(out: &mut Writer, settled: &Settled) {
    for amount in [settled.value, settled.fee, settled.bonus, settled.left] {
        out.amount(amount);
    }
    out.length(settled.calls.len());
    for call in &settled.calls {
        match call {
            Call::Reserve(amount) => {
                out.u8(0);
                out.amount(*amount);
            }
            Call::Split(amount, weights) => {
                out.u8(1);
                out.amount(*amount);
                out.weights(&weights.accounts);
                for units in [weights.operator, weights.over, weights.from, weights.to] {
                    out.u128(units.to_bits());
                }
            }
        }
    }
}

fn load_settled(from: &mut Reader<'_>) -> Result<Settled, BadSnapshot> {
    let (value, fee, bonus, left) = (from.amount()?, from.amount()?, from.amount()?, from.amount()?);
    let calls = from.list(|from| {
        let kind = from.u8()?;
        let amount = from.amount()?;
        if kind == 0 {
            return Ok(Call::Reserve(amount));
        }
        let accounts = from.weights()?;
        let mut units = || from.u128().map(Units::from_bits);
        let weights = Weights { accounts, operator: units()?, over: units()?, from: units()?, to: units()? };
        Ok(Call::Split(amount, weights))
    })?;
    Ok(Settled { value, fee, bonus, left, calls })
}
