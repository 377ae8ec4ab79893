//! Schemes as data and as values that events change.
//!
//! [`SchemeParams`] says everything about how a block is split: it can be written down, hashed and compared, and a
//! change of it works forward only. A [`Scheme`] is the running value behind it. It hears four events and nothing
//! else: a share, and of a block that it was found, that it settled, that it is lost. These are three events because
//! the place of a block in the log is known at once and its value only later, in any order. A scheme knows neither
//! fees nor rounding: it tells a [`Sink`] which amount goes by which weights.

use crate::account::AccountIx;
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
    /// True for schemes that pay shares from the reserve and not blocks.
    #[must_use]
    pub const fn pays_shares(&self) -> bool {
        matches!(self, Self::Pps { .. } | Self::Fpps { .. })
    }

    /// The name people know it by.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Solo {} => "SOLO",
            Self::Prop {} => "PROP",
            Self::Pplns { .. } => "PPLNS",
            Self::Pps { .. } => "PPS",
            Self::Fpps { .. } => "FPPS",
        }
    }
}

/// What the operator takes and gives, in the published order: fee from the value, finder's bonus from what is left,
/// the split, then per-account tiers and grace floored from each account's whole units, then referral out of the fee
/// that was really taken. Every step rounds in the miner's favour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fees {
    /// The pool's fee, taken from a block's value (from a share's value under PPS and FPPS).
    pub pool: BasisPoints,
    /// The finder's bonus, taken from what the fee left.
    pub finder_bonus: BasisPoints,
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
        let period = |millis: u64| if millis < 1_000 { Err(BadParams::ShortPeriod) } else { Ok(()) };
        let value = |amount: Amount| if amount.is_zero() { Err(BadParams::NoValue) } else { Ok(()) };
        match &self.rule {
            Rule::Prop {} => {}
            Rule::Pplns { window, .. } => {
                if *window == Units::ZERO {
                    return Err(BadParams::EmptyWindow);
                }
                if *window > WINDOW_MAX {
                    return Err(BadParams::HugeWindow);
                }
            }
            Rule::Solo {} | Rule::Pps { .. } | Rule::Fpps { .. } if self.fees.finder_bonus.get() > 0 => {
                return Err(BadParams::BonusWithoutSplit);
            }
            Rule::Solo {} => {}
            Rule::Pps { value: fixed, period_ms, .. } => {
                value(*fixed)?;
                period(*period_ms)?;
            }
            Rule::Fpps { value: mean, period_ms, .. } => {
                period(*period_ms)?;
                match mean {
                    BlockValue::Fixed { value: fixed } => value(*fixed)?,
                    BlockValue::Realised { blocks, trim, start } => {
                        value(*start)?;
                        if u64::from(*trim) * 2 >= u64::from(*blocks) || *blocks > 100_000 {
                            return Err(BadParams::BadMean);
                        }
                    }
                }
            }
        }
        Ok(())
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
        Ok(match &self.rule {
            Rule::Solo {} => Box::new(engine::Solo::default()),
            Rule::Prop {} => Box::new(engine::Prop::default()),
            Rule::Pplns { window, underfilled, edge } => {
                Box::new(engine::Pplns::new(*window, *underfilled, *edge))
            }
            Rule::Pps { .. } | Rule::Fpps { .. } => Box::new(engine::PayPerShare::default()),
        })
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

    /// Blocks found and not concluded, oldest first.
    fn open(&self) -> Vec<BlockId>;

    /// By what a block's reward would be split if the last share had solved it; `None` where no share counts.
    fn preview(&self) -> Option<Weights>;

    /// Work of shares heard since the last call, by account, for schemes that pay shares; empty for others.
    fn close_period(&mut self) -> Vec<(AccountIx, Units)> {
        Vec::new()
    }
}

/// Names of the accounts in weights, by ascending id: the order in which everything is written down.
#[must_use]
pub fn named<T: Copy>(list: &[(AccountIx, T)], accounts: &crate::account::Accounts) -> BTreeMap<MinerId, T> {
    list.iter()
        .filter_map(|(account, value)| accounts.name(*account).map(|name| (name.clone(), *value)))
        .collect()
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
                r#""edge":"interval"},"fees":{"pool":0,"finder_bonus":0},"rounding":"residual-ledger"}"#
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
