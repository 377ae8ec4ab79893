//! `[COIN.reward]`: every scheme of the reward crate by name, the operator's fees, and what a promise to pay per share
//! rests on.

use super::reader::Section;
use super::{coins, milli};
use crate::chains::Facts;
use pool_core::units::{Amount, BasisPoints, Units};
use pool_rewards::scheme::{BlockValue, Fees, Rule, SchemeParams, Underfilled, WindowEdge};

/// The schemes by the names they have here.
const SCHEMES: [&str; 10] = [
    "pplns",
    "prop",
    "solo",
    "pps",
    "fpps",
    "pps-plus",
    "exponential",
    "geometric",
    "double-geometric",
    "tides",
];

/// How rewards are split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewardConfig {
    /// The scheme and the operator's fees, as the library takes them.
    pub params: SchemeParams,
    /// What a promise to pay per share rests on; `None` for schemes that split blocks.
    pub promise: Option<Promise>,
}

/// The reserve behind schemes that pay shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The operator's reserve.
    pub reserve: Amount,
    /// The highest probability of ruin the operator accepts, in parts per million.
    pub ruin_ppm: u32,
    /// Blocks that are expected to bring nothing, beside those that the value of a block counts already.
    pub lost: BasisPoints,
    /// Work of miners who are expected to keep their blocks to themselves.
    pub withheld: BasisPoints,
}

impl Promise {
    /// The accepted probability of ruin as the library counts it.
    #[must_use]
    pub const fn ruin_per_billion(&self) -> u32 {
        self.ruin_ppm * 1_000
    }
}

impl RewardConfig {
    /// `block` is what a block brings before any has matured.
    pub(super) fn from_section(section: &Section<'_, '_>, facts: &Facts, block: Amount) -> Self {
        let scheme = section.parsed("scheme", |text| {
            let known = SCHEMES.into_iter().find(|scheme| *scheme == text);
            known.ok_or_else(|| format!("must be one of {}", SCHEMES.join(", ")))
        });
        let points = |key, default| {
            let points = u16::try_from(section.number(key, 0..=10_000, default)).unwrap_or_default();
            BasisPoints::new(points).unwrap_or_default()
        };
        let window = section.parsed("window_blocks", milli).unwrap_or(facts.defaults.window_blocks * 1_000);
        let window = Units::from_ratio(u128::from(window), 1_000).unwrap_or_else(|| {
            section.mistake("window_blocks", "is too large");
            Units::BLOCK
        });
        let underfilled = section.parsed("underfilled", |text| match text {
            "renormalise" => Ok(Underfilled::Renormalise),
            "operator-keeps" => Ok(Underfilled::OperatorKeeps),
            _ => Err("must be \"renormalise\" or \"operator-keeps\""),
        });
        let edge = section.parsed("edge", |text| match text {
            "interval" => Ok(WindowEdge::Interval),
            "hop-exact" => Ok(WindowEdge::HopExact),
            _ => Err("must be \"interval\" or \"hop-exact\""),
        });
        let (underfilled, edge) = (underfilled.unwrap_or_default(), edge.unwrap_or_default());
        let average_fee = points("average_fee_bps", 100);
        let carry_over = points("carry_over_bps", 5_000);
        let tides_blocks = u32::try_from(section.number("tides_blocks", 1..=1_000_000, 8)).unwrap_or(8);
        let reserve = section.parsed("reserve", |text| coins(text, facts)).unwrap_or(Amount::ZERO);
        let period_ms = section.number("period_secs", 10..=86_400, 3_600) * 1_000;
        let subsidy = section.parsed("subsidy", |text| coins(text, facts)).unwrap_or(block);
        let promise = Promise {
            reserve,
            ruin_ppm: u32::try_from(section.number("ruin_ppm", 1..=500_000, 1_000)).unwrap_or(1_000),
            lost: points("lost_bps", 0),
            withheld: points("withheld_bps", 0),
        };
        let overdraft = reserve;
        let rule = match scheme.unwrap_or("pplns") {
            "prop" => Rule::Prop {},
            "solo" => Rule::Solo {},
            "pps" => Rule::Pps { value: block, period_ms, overdraft },
            "fpps" => Rule::Fpps {
                value: BlockValue::Realised { blocks: 1_000, trim: 0, start: block },
                period_ms,
                overdraft,
            },
            "pps-plus" => Rule::PpsPlus { subsidy, window, underfilled, period_ms, overdraft },
            "exponential" => Rule::Exponential { window, underfilled },
            "geometric" => Rule::Geometric { average_fee },
            "double-geometric" => Rule::DoubleGeometric { average_fee, carry_over },
            "tides" => Rule::Tides { blocks: tides_blocks },
            _ => Rule::Pplns { window, underfilled, edge },
        };
        let fees = Fees {
            pool: points("fee_bps", 100),
            finder_bonus: points("finder_bonus_bps", 0),
            grace_ms: section.number("grace_hours", 0..=8_760, 0) * 3_600_000,
            ..Fees::default()
        };
        let promise = rule.pays_shares().then_some(promise);
        let params = SchemeParams { fees, ..SchemeParams::new(rule) };
        if let Err(bad) = params.validate() {
            section.mistake("scheme", format!("cannot be with these settings: {bad}"));
        }
        section.known();
        Self { params, promise }
    }

    /// The pool's fee in percent, for screens.
    #[must_use]
    pub fn fee_percent(&self) -> f64 {
        f64::from(self.params.fees.pool.get()) / 100.0
    }
}
