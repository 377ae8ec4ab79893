//! Can the operator carry the luck of paying shares? Reserve, ruin probability and effective margin, exactly.
//!
//! Under PPS and FPPS the reserve pays steadily and is refilled by blocks that come by chance. With a margin `f` the
//! probability that a reserve of `R` blocks is ever exhausted is `e^(-zR)`, where `z > 0` is the root of
//! `E[e^(-zV)] = 1 - (1 - f) z` and `V` a block's value over its mean. For equal blocks `z` is `2f + 4f²/3 + …`; the
//! usual rule of thumb `2f` asks for slightly more than is needed. The root is found by Newton's method in integers.

use crate::fixed::Fixed;
use alloc::vec::Vec;
use pool_core::units::{Amount, BasisPoints};
use serde::{Deserialize, Serialize};

/// One part in a thousand million: how probabilities are written here.
pub const PER_BILLION: u32 = 1_000_000_000;

/// What is known of an operator's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Business {
    /// The fee taken off a share's value.
    pub fee: BasisPoints,
    /// Blocks found that bring nothing in, if the value of an expected block does not already count them as zero.
    #[serde(default)]
    pub lost: BasisPoints,
    /// Work of miners who keep their blocks to themselves.
    #[serde(default)]
    pub withheld: BasisPoints,
}

/// Why a reserve cannot be named or does not suffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Insolvent {
    /// Shares cost more than blocks bring in: any reserve is exhausted.
    #[error("there is no margin: losses and withheld blocks cost more than the fee brings in")]
    NoMargin,
    /// No values to judge by.
    #[error("block values must be above zero")]
    NoValue,
    /// A probability that is none.
    #[error("the ruin probability must be above 0 and below 1")]
    BadProbability,
    /// The reserve is too small.
    #[error("the reserve is {reserve}, and {needed} is needed for the accepted ruin probability")]
    Short {
        /// What there is.
        reserve: Amount,
        /// What is needed.
        needed: Amount,
    },
}

/// A positive share of each block's value that stays with the operator, as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margin {
    top: u128,
    bottom: u128,
}

impl Business {
    /// `1 - (1 - f) / ((1 - lost)(1 - withheld))`.
    ///
    /// # Errors
    /// [`Insolvent::NoMargin`] when that is not above zero, or when it is one.
    pub fn margin(&self) -> Result<Margin, Insolvent> {
        let left = |part: BasisPoints| 10_000 - u128::from(part.get());
        let (costs, income) = (left(self.fee) * 10_000, left(self.lost) * left(self.withheld));
        if costs >= income || costs == 0 {
            return Err(Insolvent::NoMargin);
        }
        Ok(Margin { top: income - costs, bottom: income })
    }
}

impl Margin {
    /// As a fraction of whole numbers.
    #[must_use]
    pub const fn fraction(&self) -> (u128, u128) {
        (self.top, self.bottom)
    }

    /// In parts of a thousand million, rounded down.
    #[must_use]
    pub fn per_billion(&self) -> u32 {
        let parts = self.top * u128::from(PER_BILLION) / self.bottom;
        u32::try_from(parts).expect("a margin is below one")
    }

    /// The root `z`, for blocks of these values (one value: equal blocks).
    fn exponent(&self, values: &[Amount]) -> Result<Fixed, Insolvent> {
        let sum = Amount::checked_sum(values.iter().copied()).ok_or(Insolvent::NoValue)?;
        if sum.is_zero() {
            return Err(Insolvent::NoValue);
        }
        let count = values.len() as u128;
        // Each value over the mean.
        let scaled: Vec<Fixed> = values
            .iter()
            .map(|value| Fixed::ratio(value.get(), sum.get()).map(|part| part.times(Fixed::whole(count))))
            .collect::<Option<_>>()
            .ok_or(Insolvent::NoValue)?;
        let each = Fixed::ratio(1, count).ok_or(Insolvent::NoValue)?;
        let cost = Fixed::ratio(self.bottom - self.top, self.bottom).ok_or(Insolvent::NoMargin)?;
        // g(z) = E[e^(-zV)] - 1 + (1 - f) z is convex with g(0) = 0 and g(1 / (1 - f)) > 0: from there Newton's steps
        // fall to the root and never pass it.
        let mut z = Fixed::one().over(cost).ok_or(Insolvent::NoMargin)?;
        for _ in 0..256 {
            let (mut mean, mut slope) = (Fixed::ZERO, Fixed::ZERO);
            for value in &scaled {
                let part = z.times(*value).exp_minus().times(each);
                mean = mean.add(part);
                slope = slope.add(part.times(*value));
            }
            let height = mean.add(cost.times(z)).less(Fixed::one());
            let Some(step) = height.over(cost.less(slope)) else { break };
            let next = z.less(step);
            if step == Fixed::ZERO || next == Fixed::ZERO {
                break;
            }
            z = next;
        }
        if z == Fixed::ZERO { Err(Insolvent::NoMargin) } else { Ok(z) }
    }

    /// The reserve that is exhausted with no more than this probability, rounded up. `values` are what blocks bring
    /// in: their mean is the block that is meant, their spread makes the reserve larger.
    ///
    /// # Errors
    /// [`Insolvent`].
    pub fn reserve(&self, values: &[Amount], ruin_per_billion: u32) -> Result<Amount, Insolvent> {
        if ruin_per_billion == 0 || ruin_per_billion >= PER_BILLION {
            return Err(Insolvent::BadProbability);
        }
        let log = Fixed::ratio(u128::from(PER_BILLION), u128::from(ruin_per_billion))
            .ok_or(Insolvent::BadProbability)?
            .ln();
        let blocks = log.over(self.exponent(values)?).ok_or(Insolvent::NoMargin)?;
        Ok(Amount::new(blocks.ceil_times(mean(values)?.get())))
    }

    /// The probability that this reserve is ever exhausted, in parts of a thousand million, rounded up.
    ///
    /// # Errors
    /// [`Insolvent`].
    pub fn ruin_per_billion(&self, values: &[Amount], reserve: Amount) -> Result<u32, Insolvent> {
        let blocks = Fixed::ratio(reserve.get(), mean(values)?.get()).ok_or(Insolvent::NoValue)?;
        let ruin = self.exponent(values)?.times(blocks).exp_minus();
        Ok(u32::try_from(ruin.ceil_times(u128::from(PER_BILLION))).unwrap_or(PER_BILLION))
    }

    /// Refuses a reserve that is too small.
    ///
    /// # Errors
    /// [`Insolvent::Short`] with what is needed; else [`Insolvent`].
    pub fn accept(&self, values: &[Amount], ruin_per_billion: u32, reserve: Amount) -> Result<(), Insolvent> {
        let needed = self.reserve(values, ruin_per_billion)?;
        if reserve < needed { Err(Insolvent::Short { reserve, needed }) } else { Ok(()) }
    }
}

/// The mean value, rounded up.
fn mean(values: &[Amount]) -> Result<Amount, Insolvent> {
    let sum = Amount::checked_sum(values.iter().copied()).ok_or(Insolvent::NoValue)?.get();
    let count = values.len() as u128;
    if sum == 0 { Err(Insolvent::NoValue) } else { Ok(Amount::new(sum.div_ceil(count))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn margin(fee: u16) -> Margin {
        business(fee, 0, 0).margin().unwrap()
    }

    fn business(fee: u16, lost: u16, withheld: u16) -> Business {
        let points = |points| BasisPoints::new(points).unwrap();
        Business { fee: points(fee), lost: points(lost), withheld: points(withheld) }
    }

    /// 24 digits of a decimal text.
    fn digits(text: &serde_json::Value) -> u128 {
        let text = text.as_str().unwrap();
        let (whole, fraction) = text.split_once('.').unwrap();
        let fraction: String = fraction.chars().chain("0".repeat(24).chars()).take(24).collect();
        whole.parse::<u128>().unwrap() * 10u128.pow(24) + fraction.parse::<u128>().unwrap()
    }

    fn vector(id: &str) -> serde_json::Value {
        let file: serde_json::Value = serde_json::from_str(include_str!("../testdata/rewards.json")).unwrap();
        let cases = file["cases"].as_array().unwrap();
        cases.iter().find(|case| case["id"] == id).unwrap()["expected"].clone()
    }

    #[test]
    fn root_and_reserve_equal_the_published_digits() {
        let expected = vector("th-10-pps-ruin");
        let block = Amount::new(10u128.pow(24));
        for (fee, key) in
            [(50, "0.005"), (100, "0.01"), (200, "0.02"), (300, "0.03"), (400, "0.04"), (500, "0.05")]
        {
            let z = margin(fee).exponent(&[block]).unwrap().floor_times(10u128.pow(24));
            assert!(z.abs_diff(digits(&expected[key]["z_exact"])) < 10, "{key}");
            for (ruin, of) in [(10_000_000, "R_0.01"), (1_000_000, "R_0.001"), (1_000, "R_1e-6")] {
                let reserve = margin(fee).reserve(&[block], ruin).unwrap().get();
                assert!(reserve.abs_diff(digits(&expected[key][of]["exact"])) < 10_000, "{key} {of}");
                let back = margin(fee).ruin_per_billion(&[block], Amount::new(reserve)).unwrap();
                assert!(back == ruin || back == ruin + 1, "{back}");
                let short = Amount::new(reserve - 1);
                assert_eq!(margin(fee).accept(&[block], ruin, Amount::new(reserve)), Ok(()));
                let needed = Amount::new(reserve);
                let refused = Err(Insolvent::Short { reserve: short, needed });
                assert_eq!(margin(fee).accept(&[block], ruin, short), refused);
            }
        }
    }

    #[test]
    fn values_that_spread_need_more() {
        let expected = vector("th-11-fpps-feevar");
        for (values, key) in [([8, 12], "0.04"), ([5, 15], "0.25")] {
            let z = margin(200).exponent(&values.map(Amount::new)).unwrap().floor_times(10u128.pow(24));
            assert!(z.abs_diff(digits(&expected[key]["z"])) < 10, "{key}");
        }
    }

    #[test]
    fn losses_and_withholding_eat_the_fee() {
        for ((fee, lost, withheld), (top, bottom)) in
            [((200, 50, 0), (3, 199)), ((200, 0, 100), (1, 99)), ((400, 100, 200), (17, 1_617))]
        {
            let (t, b) = business(fee, lost, withheld).margin().unwrap().fraction();
            assert_eq!(t * bottom, b * top);
        }
        assert_eq!(business(200, 0, 200).margin(), Err(Insolvent::NoMargin));
        assert_eq!(business(0, 0, 0).margin(), Err(Insolvent::NoMargin));
        assert_eq!(business(10_000, 0, 0).margin(), Err(Insolvent::NoMargin));
        assert_eq!(business(200, 50, 0).margin().unwrap().per_billion(), 15_075_376);
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        let margin = margin(100);
        assert_eq!(margin.reserve(&[], 1_000), Err(Insolvent::NoValue));
        assert_eq!(margin.reserve(&[Amount::ZERO], 1_000), Err(Insolvent::NoValue));
        let block = [Amount::new(5)];
        assert_eq!(margin.reserve(&block, 0), Err(Insolvent::BadProbability));
        assert_eq!(margin.reserve(&block, PER_BILLION), Err(Insolvent::BadProbability));
        assert_eq!(margin.ruin_per_billion(&block, Amount::ZERO), Ok(PER_BILLION));
    }
}
