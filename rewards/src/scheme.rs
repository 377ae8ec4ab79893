//! Schemes as data and as values that events change.
//!
//! [`SchemeParams`] says everything about how a block is split: it can be written down, hashed and compared, and a
//! change of it works forward only. A [`Scheme`] is the running value behind it. It hears four events and nothing
//! else: a share, and of a block that it was found, that it settled, that it is lost. These are three events because
//! the place of a block in the log is known at once and its value only later, in any order. A scheme knows neither
//! fees nor rounding: it tells a [`Sink`] which amount goes by which weights.

use crate::account::AccountIx;
use crate::codec::{BadSnapshot, Reader, Writer};
use crate::engine;
use crate::split::Rounding;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Debug;
use pool_core::id::{BlockId, MinerId, ShareSeq};
use pool_core::units::{Amount, BasisPoints, Units, Work};
use serde::{Deserialize, Serialize};

/// What to do with the part of a window that no share covers yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Underfilled {
    /// The present shares get all of it. Over-pays a pool's first shares a little.
    #[default]
    Renormalise,
    /// The operator keeps it. Exactly fair to every share, and dear to the first ones.
    OperatorKeeps,
}

/// How the edges of a PPLNS window are weighed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowEdge {
    /// Interval overlap: the block's share is inside, the oldest share counts for its overlap. Budget exact.
    #[default]
    Interval,
    /// The winning share is not paid and the oldest is scaled by `min(r, t) / t`: each share's expectation is exact
    /// under any difficulties, and the operator takes the difference to the budget, either way.
    HopExact,
}

/// What a share is worth under a scheme that pays shares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by", deny_unknown_fields)]
pub enum BlockValue {
    /// A fixed value per expected block.
    Fixed {
        /// Smallest units per expected block.
        value: Amount,
    },
    /// The mean value of the pool's last `blocks` concluded blocks, lost ones at zero: what an expected block brought
    /// in, with red blocks, uncles and orphans in it.
    Realised {
        /// How many conclusions back.
        blocks: u32,
        /// Dropped from both the lowest and the highest values before the mean is taken.
        trim: u32,
        /// Stands for each conclusion that does not exist yet.
        start: Amount,
    },
    /// The mean value of the network's blocks of the share's own period, from the list on record for it (see
    /// [`crate::reference`]): FPPS by the day's blocks, where a period is a day. Paid when the list is there.
    Reference {
        /// Dropped from both the lowest and the highest fees before the mean is taken.
        trim: u32,
    },
}

/// How the part of a reward that goes to miners is weighed. Windows are in units: one is one expected block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Rule {
    /// All to the finder.
    Solo {},
    /// By the work since the pool's block before. Known to be hoppable: a share is worth up to `ln D` times its fair
    /// value in a young round.
    Prop {},
    /// By the work in the window before the block.
    Pplns {
        /// The window.
        window: Units,
        /// Policy while the log is shorter than the window.
        #[serde(default)]
        underfilled: Underfilled,
        /// How the edges are weighed.
        #[serde(default)]
        edge: WindowEdge,
    },
    /// By scores that fade with work: a share's weight is divided by `1 + w/L` for every share of `w` units behind it.
    Exponential {
        /// `L`, the mean life of a score.
        window: Units,
        /// Policy while the log is shorter than that.
        #[serde(default)]
        underfilled: Underfilled,
    },
    /// The geometric method: scores fade with work, and a block ends them all. The operator keeps the part of the
    /// score that nobody holds, `average_fee` of all value on average, more in short rounds.
    Geometric {
        /// `c`, above zero.
        average_fee: BasisPoints,
    },
    /// The double geometric method: as the geometric one, but a block leaves `carry_over` of each score.
    DoubleGeometric {
        /// `c`, above zero.
        average_fee: BasisPoints,
        /// `o`, below 10 000.
        carry_over: BasisPoints,
    },
    /// By raw work in a window of `blocks` times the block's own difficulty. Slightly hoppable at retargets.
    Tides {
        /// How many times the difficulty.
        blocks: u32,
    },
    /// Subsidies per share from the reserve, each block's real transaction fees by PPLNS.
    PpsPlus {
        /// A block's subsidy; what a block brings in above it counts as fees.
        subsidy: Amount,
        /// The window for fees.
        window: Units,
        /// Policy while the log is shorter than the window.
        #[serde(default)]
        underfilled: Underfilled,
        /// Milliseconds of share timestamps that make one ledger entry.
        period_ms: u64,
        /// How far below zero the reserve may go.
        overdraft: Amount,
    },
    /// A part by one rule, the rest by another.
    Mixed {
        /// The first rule's part, rounded down.
        part: BasisPoints,
        /// By which the part is split.
        first: Box<Rule>,
        /// By which the rest is split.
        rest: Box<Rule>,
    },
    /// Each share at a fixed value of an expected block; the reserve carries the luck.
    Pps {
        /// Smallest units per expected block.
        value: Amount,
        /// Milliseconds of share timestamps that make one ledger entry.
        period_ms: u64,
        /// How far below zero the reserve may go.
        overdraft: Amount,
    },
    /// Each share at what an expected block really brings in; the reserve carries the luck.
    Fpps {
        /// What an expected block is worth.
        value: BlockValue,
        /// Milliseconds of share timestamps that make one ledger entry.
        period_ms: u64,
        /// How far below zero the reserve may go.
        overdraft: Amount,
    },
}

impl Rule {
    /// True for schemes that pay shares from the reserve.
    #[must_use]
    pub const fn pays_shares(&self) -> bool {
        self.period_ms().is_some()
    }

    /// Milliseconds of share timestamps between two payments of shares, where shares are paid.
    #[must_use]
    pub const fn period_ms(&self) -> Option<u64> {
        match self {
            Self::Pps { period_ms, .. } | Self::Fpps { period_ms, .. } | Self::PpsPlus { period_ms, .. } => {
                Some(*period_ms)
            }
            _ => None,
        }
    }

    /// How far below zero the reserve may go, where shares are paid.
    #[must_use]
    pub const fn overdraft(&self) -> Option<Amount> {
        match self {
            Self::Pps { overdraft, .. } | Self::Fpps { overdraft, .. } | Self::PpsPlus { overdraft, .. } => {
                Some(*overdraft)
            }
            _ => None,
        }
    }

    /// What an expected block is worth, where shares are paid.
    #[must_use]
    pub fn share_value(&self) -> Option<BlockValue> {
        match self {
            Self::Pps { value, .. } | Self::PpsPlus { subsidy: value, .. } => {
                Some(BlockValue::Fixed { value: *value })
            }
            Self::Fpps { value, .. } => Some(value.clone()),
            _ => None,
        }
    }

    /// A block's value in the parts this rule treats differently.
    #[must_use]
    pub fn parts(&self, value: Amount) -> RewardParts {
        match self {
            Self::PpsPlus { subsidy, .. } => {
                let subsidy = value.min(*subsidy);
                RewardParts { subsidy, fees: value.saturating_sub(subsidy), extra: Amount::ZERO }
            }
            _ => RewardParts::whole(value),
        }
    }

    /// The name people know it by.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Solo {} => "SOLO",
            Self::Prop {} => "PROP",
            Self::Pplns { .. } => "PPLNS",
            Self::Exponential { .. } => "EXP-PPLNS",
            Self::Geometric { .. } => "GEOMETRIC",
            Self::DoubleGeometric { .. } => "DGM",
            Self::Tides { .. } => "TIDES",
            Self::PpsPlus { .. } => "PPS+",
            Self::Mixed { .. } => "MIXED",
            Self::Pps { .. } => "PPS",
            Self::Fpps { .. } => "FPPS",
        }
    }

    fn validate(&self) -> Result<(), BadParams> {
        let value = |amount: Amount| if amount.is_zero() { Err(BadParams::NoValue) } else { Ok(()) };
        let fits = |window: Units| match window {
            Units::ZERO => Err(BadParams::EmptyWindow),
            long if long > WINDOW_MAX => Err(BadParams::HugeWindow),
            _ => Ok(()),
        };
        let average = |fee: BasisPoints| match fee.get() {
            1..10_000 => Ok(()),
            _ => Err(BadParams::BadAverageFee),
        };
        if self.period_ms().is_some_and(|millis| millis < 1_000) {
            return Err(BadParams::ShortPeriod);
        }
        match self {
            Self::Solo {} | Self::Prop {} => Ok(()),
            Self::Pplns { window, .. } | Self::Exponential { window, .. } => fits(*window),
            Self::Geometric { average_fee } => average(*average_fee),
            Self::DoubleGeometric { average_fee, carry_over } => {
                average(*average_fee)?;
                if carry_over.get() == 10_000 { Err(BadParams::FullCarryOver) } else { Ok(()) }
            }
            Self::Tides { blocks } => {
                if (1..=1_000_000).contains(blocks) {
                    Ok(())
                } else {
                    Err(BadParams::EmptyWindow)
                }
            }
            Self::PpsPlus { subsidy, window, .. } => {
                value(*subsidy)?;
                fits(*window)
            }
            Self::Mixed { first, rest, .. } => {
                for part in [first, rest] {
                    if part.pays_shares() || matches!(**part, Self::Mixed { .. }) {
                        return Err(BadParams::BadMixture);
                    }
                    part.validate()?;
                }
                Ok(())
            }
            Self::Pps { value: fixed, .. } => value(*fixed),
            Self::Fpps { value: BlockValue::Fixed { value: fixed }, .. } => value(*fixed),
            Self::Fpps { value: BlockValue::Reference { trim }, .. } => {
                let fits = (*trim as usize) < crate::reference::BLOCKS_MAX / 2;
                if fits { Ok(()) } else { Err(BadParams::BadMean) }
            }
            Self::Fpps { value: BlockValue::Realised { blocks, trim, start }, .. } => {
                value(*start)?;
                if u64::from(*trim) * 2 >= u64::from(*blocks) || *blocks > 100_000 {
                    return Err(BadParams::BadMean);
                }
                Ok(())
            }
        }
    }

    /// The running value of a rule that was validated.
    fn start(&self) -> Box<dyn Scheme> {
        match self {
            Self::Solo {} => Box::new(engine::Solo::default()),
            Self::Prop {} => Box::new(engine::Prop::default()),
            Self::Pplns { window, underfilled, edge } => {
                Box::new(engine::Pplns::new(*window, *underfilled, *edge))
            }
            Self::Exponential { window, underfilled } => {
                Box::new(engine::Scored::exponential(*window, *underfilled))
            }
            Self::Geometric { average_fee } => {
                Box::new(engine::Scored::geometric(*average_fee, BasisPoints::ZERO))
            }
            Self::DoubleGeometric { average_fee, carry_over } => {
                Box::new(engine::Scored::geometric(*average_fee, *carry_over))
            }
            Self::Tides { blocks } => Box::new(engine::Tides::new(*blocks)),
            Self::PpsPlus { window, underfilled, .. } => {
                Box::new(engine::PpsPlus::new(*window, *underfilled))
            }
            Self::Mixed { part, first, rest } => {
                Box::new(engine::Mixed::new(*part, first.start(), rest.start()))
            }
            Self::Pps { .. } | Self::Fpps { .. } => Box::new(engine::PayPerShare::default()),
        }
    }
}

/// What the operator takes and gives, in the published order. Every step rounds in the miner's favour, and every unit
/// ends on a named account.
///
/// 1. The pool's fee is floored off the block's value, and the finder's bonus off what is left.
/// 2. What remains is split.
/// 3. Where fees differ by account (tiers, a grace period, or referral is set) the pool's fee is not taken in step 1
///    but here: each account's fee is floored off its whole units. The rate is the one its shares were accepted under.
/// 4. Referral is floored out of the fee that was really taken from the referred account; the operator pays it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fees {
    /// The pool's fee, taken from a block's value (from a share's value under schemes that pay shares).
    pub pool: BasisPoints,
    /// The finder's bonus, taken from what the fee left.
    pub finder_bonus: BasisPoints,
    /// Accounts with a fee of their own.
    pub tiers: BTreeMap<MinerId, BasisPoints>,
    /// Milliseconds after an account's first share (by share timestamps) in which its shares are free of fees. By
    /// account and not by worker: worker names are free to invent.
    pub grace_ms: u64,
    /// The referrer's part of the fees really taken.
    pub referral: BasisPoints,
    /// Who referred whom: account to referrer.
    pub referrers: BTreeMap<MinerId, MinerId>,
}

impl Fees {
    /// True when fees are taken from accounts after the split and not from the block's value before it.
    #[must_use]
    pub fn by_account(&self) -> bool {
        !self.tiers.is_empty() || self.grace_ms > 0 || self.referral.get() > 0
    }

    /// The fee of a share: of this account, so long after its first share.
    #[must_use]
    pub fn of_share(&self, miner: &MinerId, age_ms: u64) -> BasisPoints {
        if age_ms < self.grace_ms {
            BasisPoints::ZERO
        } else {
            self.tiers.get(miner).copied().unwrap_or(self.pool)
        }
    }
}

/// Everything that decides a split: data, hashed, and written to the ledger before it is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemeParams {
    /// How miners' part is weighed.
    pub rule: Rule,
    /// What the operator takes.
    #[serde(default)]
    pub fees: Fees,
    /// How whole units come out.
    #[serde(default)]
    pub rounding: Rounding,
}

/// Parameters that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadParams {
    /// A window of nothing.
    #[error("the window must be above zero units")]
    EmptyWindow,
    /// A window past `2^32` blocks: sums of work around it would not fit.
    #[error("the window must be at most 2^32 expected blocks")]
    HugeWindow,
    /// Periods of no time.
    #[error("a period must last at least one second")]
    ShortPeriod,
    /// An expected block worth nothing.
    #[error("the value of an expected block must be above zero")]
    NoValue,
    /// A mean over nothing.
    #[error("the mean must be taken over at least one block after trimming, and at most 100000")]
    BadMean,
    /// A finder's bonus makes no sense where shares are paid, or where the finder gets all.
    #[error("a finder's bonus needs a scheme that splits blocks")]
    BonusWithoutSplit,
    /// Referral is a part of a fee that is taken from whole credits; schemes that pay shares have none.
    #[error("referral needs a scheme that splits blocks")]
    ReferralWithoutSplit,
    /// An account that refers itself would lower its own fee.
    #[error("an account cannot refer itself")]
    SelfReferral,
    /// The geometric methods divide by it.
    #[error("the average fee must be above 0 and below 10000 basis points")]
    BadAverageFee,
    /// All scores carried over is the exponential window, which has its own rule.
    #[error("the carry-over must be below 10000 basis points")]
    FullCarryOver,
    /// Mixtures mix two rules that split blocks.
    #[error("a mixture mixes two rules that split blocks, and no mixture")]
    BadMixture,
}

/// The longest window: `2^32` expected blocks.
const WINDOW_MAX: Units = Units::from_bits(1 << (Units::FRACTION_BITS + 32));

impl SchemeParams {
    /// A scheme without fees, rounded by the residual ledger.
    #[must_use]
    pub fn new(rule: Rule) -> Self {
        Self { rule, fees: Fees::default(), rounding: Rounding::default() }
    }

    /// Checks what the shape cannot say.
    ///
    /// # Errors
    /// [`BadParams`].
    pub fn validate(&self) -> Result<(), BadParams> {
        let pays_shares = self.rule.pays_shares();
        if self.fees.finder_bonus.get() > 0 && (pays_shares || self.rule == (Rule::Solo {})) {
            return Err(BadParams::BonusWithoutSplit);
        }
        if self.fees.referral.get() > 0 && pays_shares {
            return Err(BadParams::ReferralWithoutSplit);
        }
        if self.fees.referrers.iter().any(|(miner, referrer)| miner == referrer) {
            return Err(BadParams::SelfReferral);
        }
        self.rule.validate()
    }

    /// The canonical text: JSON with its keys in the order of the fields.
    #[must_use]
    pub fn canonical(&self) -> String {
        serde_json::to_string(self).expect("parameters have text keys and finite numbers only")
    }

    /// The name of these parameters: BLAKE3 of [`SchemeParams::canonical`], in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> String {
        blake3::hash(self.canonical().as_bytes()).to_hex().to_string()
    }

    /// The running value of these parameters, before the first event.
    ///
    /// # Errors
    /// [`BadParams`].
    pub fn start(&self) -> Result<Box<dyn Scheme>, BadParams> {
        self.validate()?;
        Ok(self.rule.start())
    }
}

/// What a number of units is written as in configuration: `10000`, `2.5` or `3/2` expected blocks, rounded down to
/// the fixed point.
///
/// # Errors
/// [`BadUnits`] for any other text, and past `2^40` blocks.
pub fn parse_units(text: &str) -> Result<Units, BadUnits> {
    let number = |digits: &str| -> Result<u128, BadUnits> {
        let plain = !digits.is_empty() && digits.len() <= 24 && digits.bytes().all(|b| b.is_ascii_digit());
        if plain { digits.parse().map_err(|_| BadUnits) } else { Err(BadUnits) }
    };
    let (numerator, denominator) = match (text.split_once('/'), text.split_once('.')) {
        (Some((top, bottom)), None) => (number(top)?, number(bottom)?),
        (None, Some((whole, decimals))) if decimals.len() <= 12 => {
            let scale = 10u128.pow(u32::try_from(decimals.len()).map_err(|_| BadUnits)?);
            let whole = number(whole)?.checked_mul(scale).ok_or(BadUnits)?;
            (whole.checked_add(number(decimals)?).ok_or(BadUnits)?, scale)
        }
        (None, None) => (number(text)?, 1),
        _ => return Err(BadUnits),
    };
    Units::from_ratio(numerator, denominator).ok_or(BadUnits)
}

/// Text that is no number of expected blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a number of expected blocks: write 10000, 2.5 or 3/2")]
pub struct BadUnits;

/// A block's value in the parts that schemes may treat differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardParts {
    /// Newly made coins.
    pub subsidy: Amount,
    /// Transaction fees.
    pub fees: Amount,
    /// Anything else the chain paid for it: merged red blocks, included uncles.
    pub extra: Amount,
}

impl RewardParts {
    /// A value whose parts are not told apart: all of it counts as subsidy.
    #[must_use]
    pub const fn whole(value: Amount) -> Self {
        Self { subsidy: value, fees: Amount::ZERO, extra: Amount::ZERO }
    }

    /// The sum, or `None` past `2^128 - 1`.
    #[must_use]
    pub fn total(&self) -> Option<Amount> {
        Amount::checked_sum([self.subsidy, self.fees, self.extra])
    }
}

/// A share as schemes see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareEvent {
    /// Its place in the log; grows by one from share to share.
    pub seq: ShareSeq,
    /// Whose it is.
    pub account: AccountIx,
    /// Expected blocks, at most one.
    pub units: Units,
    /// Expected hashes; only schemes with raw-work windows look at it.
    pub work: Work,
}

/// Shares of equal weight, one behind the other in the log: what replays and simulations hear instead of one share
/// after the other. Made by [`RunCounts::run`].
#[derive(Clone, Copy, Debug)]
pub struct ShareRun<'a> {
    first: ShareSeq,
    units: Units,
    work: Work,
    accounts: &'a [AccountIx],
    counts: &'a RunCounts,
}

impl<'a> ShareRun<'a> {
    /// The shares one by one.
    pub fn events(&self) -> impl Iterator<Item = ShareEvent> + use<'a> {
        let (first, units, work) = (self.first.get(), self.units, self.work);
        let places = self.accounts.iter().enumerate();
        places.map(move |(place, account)| ShareEvent {
            // A log ends before its numbers do; what would pass them is refused as a gap.
            seq: ShareSeq::new(first.saturating_add(place as u64)),
            account: *account,
            units,
            work,
        })
    }

    /// Whose they are, in their order.
    #[must_use]
    pub const fn accounts(&self) -> &'a [AccountIx] {
        self.accounts
    }

    /// How many are whose: each account once, in no particular order.
    pub fn counts(&self) -> impl Iterator<Item = (AccountIx, u64)> + use<'a> {
        let counts = self.counts;
        counts.present.iter().map(|account| (*account, u64::from(counts.counts[account.index()])))
    }

    /// Units of each share.
    #[must_use]
    pub const fn units(&self) -> Units {
        self.units
    }

    /// The first share; `None` of an empty run.
    pub(crate) fn head(&self) -> Option<ShareEvent> {
        self.events().next()
    }

    /// The last share's number and the sum of all units; `None` where either passes its range.
    pub(crate) fn sum(&self) -> Option<(ShareSeq, u128)> {
        let last = self.first.get().checked_add((self.accounts.len() as u64).checked_sub(1)?)?;
        Some((ShareSeq::new(last), self.units.to_bits().checked_mul(self.accounts.len() as u128)?))
    }
}

/// Counts the shares of a run by account. Kept from run to run, so that its memory is.
#[derive(Clone, Debug, Default)]
pub struct RunCounts {
    counts: Vec<u32>,
    present: Vec<AccountIx>,
}

impl RunCounts {
    /// A run of shares of these accounts, beginning with share `first`, each of so many units and so much work. At
    /// most `2^32 - 1` of them count; what is behind is left out.
    pub fn run<'a>(
        &'a mut self,
        first: ShareSeq,
        units: Units,
        work: Work,
        accounts: &'a [AccountIx],
    ) -> ShareRun<'a> {
        let accounts = &accounts[..accounts.len().min(u32::MAX as usize)];
        for account in self.present.drain(..) {
            self.counts[account.index()] = 0;
        }
        let highest = accounts.iter().map(|account| account.index()).max().unwrap_or(0);
        if self.counts.len() <= highest {
            self.counts.resize(highest + 1, 0);
        }
        if highest < accounts.len() {
            // Few accounts: count first and look who was there afterwards.
            let counts = &mut self.counts[..=highest];
            for account in accounts {
                counts[account.index()] += 1;
            }
            let there = counts.iter().enumerate().filter(|(_, count)| **count > 0);
            self.present.extend(there.filter_map(|(index, _)| u32::try_from(index).ok()).map(AccountIx::new));
        } else {
            for account in accounts {
                let count = &mut self.counts[account.index()];
                if *count == 0 {
                    self.present.push(*account);
                }
                *count += 1;
            }
        }
        ShareRun { first, units, work, accounts, counts: self }
    }
}

/// Where on the line of work a block stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anchor {
    /// Behind the share that solved it, which is the last one heard.
    #[default]
    AtFind,
    /// Behind the share that was the log's head when the job was sent out.
    AtWorkIssue(ShareSeq),
}

/// What a scheme hears. Amounts in [`Event::Settled`] are net: fee and bonus are off already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A share was accepted.
    Share(ShareEvent),
    /// The last share solved a block.
    Found {
        /// The block.
        id: BlockId,
        /// Who solved it.
        finder: AccountIx,
        /// Where it stands.
        anchor: Anchor,
    },
    /// The block is final and worth this much. Zero is possible.
    Settled {
        /// The block.
        id: BlockId,
        /// What is to be split.
        value: RewardParts,
    },
    /// The block is final and worth nothing.
    Lost {
        /// The block.
        id: BlockId,
    },
}

/// An event that cannot follow those before it. Nothing has changed when it is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadEvent {
    /// A share is missing, or came twice.
    #[error("share {found} cannot follow share {last}")]
    Gap {
        /// The last share heard.
        last: ShareSeq,
        /// The one that came.
        found: ShareSeq,
    },
    /// A share above one expected block.
    #[error("share {0} weighs more than one block")]
    HeavyShare(ShareSeq),
    /// The sum of all work passes `2^40` expected blocks.
    #[error("the log holds more than 2^40 expected blocks")]
    LongLog,
    /// A block was found with no share before it.
    #[error("block {0} has no share")]
    NoShare(BlockId),
    /// A block was found a second time, or two by one share.
    #[error("block {0} was found before")]
    Repeated(BlockId),
    /// A block that was never found, or is concluded already.
    #[error("block {0} is not open")]
    UnknownBlock(BlockId),
    /// A block whose window reaches shares that were forgotten.
    #[error("the window of block {0} reaches behind the retained log")]
    ForgottenWindow(BlockId),
    /// An anchor that the retained log does not reach.
    #[error("anchor {0} is not in the retained log")]
    UnknownAnchor(ShareSeq),
    /// Amounts past `2^128 - 1`.
    #[error("amounts of block {0} sum past 2^128")]
    AmountOverflow(BlockId),
    /// More accounts than have numbers.
    #[error("more accounts than 2^32 - 1")]
    TooManyAccounts,
}

/// By what an amount is to be split. The parts of [`Weights::accounts`] and [`Weights::operator`] sum to the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    /// Ascending account numbers, each once, no zero.
    pub accounts: Vec<(AccountIx, Units)>,
    /// The operator's own part.
    pub operator: Units,
    /// What the weights should have summed to but pass: the operator adds that part of the amount from his own.
    pub over: Units,
    /// Where the window begins on the line of work.
    pub from: Units,
    /// Where it ends: the anchor's position.
    pub to: Units,
}

/// What a scheme decides. Called while an event is applied, in a fixed order.
pub trait Sink {
    /// `amount` of block `id` goes to miners by `weights`.
    fn split(&mut self, id: BlockId, amount: Amount, weights: Weights);
    /// `amount` of block `id` goes to the operator's reserve.
    fn reserve(&mut self, id: BlockId, amount: Amount);
}

/// A running scheme. Equal events in equal order make equal values and equal calls to the sink, whatever the order
/// in which blocks conclude relative to later shares.
pub trait Scheme: Debug + Send + Sync {
    /// Hears an event. The only mutator.
    ///
    /// # Errors
    /// [`BadEvent`]; nothing has changed then.
    fn apply(&mut self, event: &Event, out: &mut dyn Sink) -> Result<(), BadEvent>;

    /// Hears a run of shares: the same as hearing them one by one, and faster where a scheme can add up.
    ///
    /// # Errors
    /// [`BadEvent`]; the shares before the one that is refused count then.
    fn shares(&mut self, run: &ShareRun<'_>, out: &mut dyn Sink) -> Result<(), BadEvent> {
        run.events().try_for_each(|share| self.apply(&Event::Share(share), out))
    }

    /// Blocks found and not concluded, oldest first.
    fn open(&self) -> Vec<BlockId>;

    /// By what a block's reward would be split if the last share had solved it; `None` where no share counts.
    fn preview(&self) -> Option<Weights>;

    /// Work of shares heard since the last call, by account, for schemes that pay shares; empty for others.
    fn close_period(&mut self) -> Vec<(AccountIx, Units)> {
        Vec::new()
    }

    /// Goes on under another rule, for blocks found from now on; open ones keep theirs. False, and nothing changed,
    /// where the rules have no state in common.
    fn retune(&mut self, rule: &Rule) -> bool {
        let _ = rule;
        false
    }

    /// Writes the whole state. Equal states write equal bytes.
    fn save(&self, out: &mut Writer);

    /// Takes over a state that a scheme of the same parameters wrote.
    ///
    /// # Errors
    /// [`BadSnapshot`]; the value is unusable then.
    fn load(&mut self, from: &mut Reader<'_>) -> Result<(), BadSnapshot>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pplns(window: Units) -> Rule {
        Rule::Pplns { window, underfilled: Underfilled::default(), edge: WindowEdge::default() }
    }

    #[test]
    fn units_are_written_in_three_ways() {
        assert_eq!(parse_units("2"), Ok(Units::from_bits(2 << 88)));
        assert_eq!(parse_units("3/2"), parse_units("1.5"));
        assert_eq!(parse_units("10000"), Ok(Units::from_bits(10_000 << 88)));
        for bad in ["", "-1", "1/0", "1e3", "1.", ".5", "1/2/3", "1.5/2", " 1", "1099511627776"] {
            assert_eq!(parse_units(bad), Err(BadUnits), "{bad:?}");
        }
    }

    #[test]
    fn parameters_are_data_with_a_name() {
        let params = SchemeParams::new(pplns(Units::BLOCK));
        let text = params.canonical();
        assert_eq!(
            text,
            concat!(
                r#"{"rule":{"kind":"pplns","window":"309485009821345068724781056","underfilled":"renormalise","#,
                r#""edge":"interval"},"fees":{"pool":0,"finder_bonus":0,"tiers":{},"grace_ms":0,"referral":0,"#,
                r#""referrers":{}},"rounding":"residual-ledger"}"#
            )
        );
        assert_eq!(serde_json::from_str::<SchemeParams>(&text).unwrap(), params);
        let other = SchemeParams { rounding: Rounding::LargestRemainder, ..params.clone() };
        assert_ne!(params.hash(), other.hash());
        for unknown in [
            r#"{"rule":{"kind":"prop","window":"1"}}"#,
            r#"{"rule":{"kind":"prop"},"fee":1}"#,
            r#"{"rule":{"kind":"prop"},"fees":{"pool":10001}}"#,
            r#"{"rule":{"kind":"score"}}"#,
        ] {
            assert!(serde_json::from_str::<SchemeParams>(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn impossible_parameters_are_named() {
        let of = |rule| SchemeParams::new(rule).validate();
        assert_eq!(of(pplns(Units::ZERO)), Err(BadParams::EmptyWindow));
        assert_eq!(of(pplns(Units::from_bits(u128::MAX))), Err(BadParams::HugeWindow));
        let pps =
            |value, period_ms| Rule::Pps { value: Amount::new(value), period_ms, overdraft: Amount::ZERO };
        assert_eq!(of(pps(0, 60_000)), Err(BadParams::NoValue));
        assert_eq!(of(pps(1, 999)), Err(BadParams::ShortPeriod));
        assert_eq!(of(pps(1, 1_000)), Ok(()));
        let fpps = |blocks, trim| Rule::Fpps {
            value: BlockValue::Realised { blocks, trim, start: Amount::new(1) },
            period_ms: 60_000,
            overdraft: Amount::ZERO,
        };
        assert_eq!(of(fpps(6, 3)), Err(BadParams::BadMean));
        assert_eq!(of(fpps(7, 3)), Ok(()));
        let mut solo = SchemeParams::new(Rule::Solo {});
        solo.fees.finder_bonus = BasisPoints::new(1).unwrap();
        assert_eq!(solo.validate(), Err(BadParams::BonusWithoutSplit));
    }
}
