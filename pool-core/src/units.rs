//! Units of money and of work, each a newtype with one fallible door.
//!
//! Money is an integer in the coin's smallest unit ([`Amount`]). Work is exact: a [`Target`] is what a hash is
//! compared with, [`Work`] is the expected number of hashes a target stands for, and [`Units`] is the
//! probability that a share is also a block, in fixed point: the only weight a reward scheme sums. There is no
//! `Difficulty` type here: difficulty is a way to print a target on one coin's wire and lives with that wire.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;
use ruint::Uint;
use serde::{Deserialize, Serialize};

/// Unsigned 256-bit integer, the width of a target, a hash read as a number, and every `u128 × u128` product.
pub type U256 = Uint<256, 4>;
type U384 = Uint<384, 6>;

/// Money of one coin. Unit: the coin's smallest (sompi, atto-ALPH, …). Range: all of `u128`.
///
/// Written as a decimal string in JSON, because amounts pass 2^53.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `smallest` units of a coin.
    #[must_use]
    pub const fn new(smallest: u128) -> Self {
        Self(smallest)
    }

    /// The count of smallest units.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }

    /// True for [`Amount::ZERO`].
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Sum, or `None` past `u128::MAX`.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// Difference, or `None` below zero.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// Difference, zero at least.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `floor(self × numerator / denominator)` through 256 bits.
    ///
    /// `None` if the denominator is zero or the result passes `u128::MAX`.
    #[must_use]
    pub fn mul_div(self, numerator: u128, denominator: u128) -> Option<Self> {
        mul_div(self.0, numerator, denominator).map(Self)
    }

    /// The sum of many, or `None` past `u128::MAX`.
    pub fn checked_sum<I: IntoIterator<Item = Self>>(amounts: I) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// Decimal text with the coin's number of `decimals`, trailing zeros kept: 150 000 000 at 8 is `1.50000000`.
    #[must_use]
    pub fn display(self, decimals: u8) -> String {
        if decimals == 0 {
            return self.0.to_string();
        }
        let width = usize::from(decimals) + 1;
        let digits = alloc::format!("{:0width$}", self.0);
        let (whole, fraction) = digits.split_at(digits.len() - usize::from(decimals));
        alloc::format!("{whole}.{fraction}")
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that is not an unsigned decimal integer of at most 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an amount: write an unsigned whole number of the coin's smallest units")]
pub struct BadAmount;

impl FromStr for Amount {
    type Err = BadAmount;

    fn from_str(text: &str) -> Result<Self, BadAmount> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadAmount);
        }
        text.parse().map(Self).map_err(|_| BadAmount)
    }
}

impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// `floor(a × b / c)` with a 256-bit product; `None` for `c = 0` or a result past `u128::MAX`.
#[must_use]
pub fn mul_div(a: u128, b: u128, c: u128) -> Option<u128> {
    if c == 0 {
        return None;
    }
    if let Some(product) = a.checked_mul(b) {
        return Some(product / c);
    }
    let quotient = U256::from(a) * U256::from(b) / U256::from(c);
    u128::try_from(quotient).ok()
}

/// A fraction of an amount in ten-thousandths. Range: `0..=10_000`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct BasisPoints(u16);

/// More than 10 000 basis points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than 10000 basis points (100 %)")]
pub struct TooManyBasisPoints;

impl BasisPoints {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// # Errors
    /// [`TooManyBasisPoints`] above 10 000.
    pub const fn new(points: u16) -> Result<Self, TooManyBasisPoints> {
        if points > 10_000 { Err(TooManyBasisPoints) } else { Ok(Self(points)) }
    }

    /// The count of ten-thousandths.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// `floor(amount × points / 10 000)`: fees round in the miner's favour.
    #[must_use]
    pub fn of(self, amount: Amount) -> Amount {
        amount.mul_div(u128::from(self.0), 10_000).expect("a part of an amount fits where the amount fits")
    }
}

impl<'de> Deserialize<'de> for BasisPoints {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u16::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Expected hashes a share or a block stands for. Unit: hashes, `1..=2^128-1`. Sums exactly; difficulty does not.
/// Written as a decimal string in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Work(u128);

/// Zero work: a free share would divide a reward by nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("work must be at least one hash")]
pub struct ZeroWork;

impl Work {
    /// The least work there is: one hash.
    pub const ONE: Self = Self(1);

    /// # Errors
    /// [`ZeroWork`] for 0.
    pub const fn new(hashes: u128) -> Result<Self, ZeroWork> {
        if hashes == 0 { Err(ZeroWork) } else { Ok(Self(hashes)) }
    }

    /// The count of hashes.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }

    /// The sum, stopping at `u128::MAX`.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The largest power of two that is not above this work.
    #[must_use]
    pub const fn floor_power_of_two(self) -> Self {
        Self(1 << (127 - self.0.leading_zeros()))
    }
}

/// What a hash is compared with: a hash solves a target when, read as an integer, it is not above it.
///
/// 256-bit unsigned; bytes are big-endian (`00000000ffff…` is Bitcoin's first target). Zero is allowed and is met
/// by the zero hash alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(U256);

impl Target {
    /// Met by every hash.
    pub const MAX: Self = Self(U256::MAX);

    /// A target from its integer value.
    #[must_use]
    pub const fn new(value: U256) -> Self {
        Self(value)
    }

    /// The integer value.
    #[must_use]
    pub const fn get(self) -> U256 {
        self.0
    }

    /// A target from 32 big-endian bytes.
    #[must_use]
    pub const fn from_be_bytes(bytes: [u8; 32]) -> Self {
        Self(U256::from_be_bytes(bytes))
    }

    /// The 32 big-endian bytes.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_be_bytes()
    }

    /// Expected hashes to meet this target: `floor(2^256 / (target + 1))`, at least 1, at most `2^128 - 1`.
    #[must_use]
    pub fn work(self) -> Work {
        let Some(above) = self.0.checked_add(U256::ONE) else { return Work::ONE };
        // 2^256 / above = (2^256 - above) / above + 1, and the numerator fits 256 bits.
        let hashes = (U256::ZERO.wrapping_sub(above) / above).saturating_add(U256::ONE);
        Work(u128::try_from(hashes).unwrap_or(u128::MAX).max(1))
    }

    /// The easiest target whose [`Target::work`] is at least `work`: `floor(2^256 / work) - 1`.
    #[must_use]
    pub fn from_work(work: Work) -> Self {
        let work = U256::from(work.get());
        if work == U256::ONE {
            return Self::MAX;
        }
        // floor(2^256 / w): one more than floor((2^256 - w) / w).
        Self(U256::ZERO.wrapping_sub(work) / work)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_be_bytes()))
    }
}

/// Expected blocks: the probability that a share is also a block, summed. Fixed point Q40.88 in a `u128`.
///
/// One unit is one expected block, so the sum over a log counts the blocks the work was worth. `2^40` blocks fit;
/// the step is `2^-88`. Source of the rule: weight of a share is `min(d, D) / D` at its own job's network
/// difficulty `D`, which makes vardiff, retargets and many chains the same case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Units(u128);

impl Units {
    /// No work.
    pub const ZERO: Self = Self(0);
    /// One expected block: `2^88`.
    pub const BLOCK: Self = Self(1 << Self::FRACTION_BITS);
    /// Bits behind the binary point.
    pub const FRACTION_BITS: u32 = 88;

    /// From the raw Q40.88 bits.
    #[must_use]
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The raw Q40.88 bits.
    #[must_use]
    pub const fn to_bits(self) -> u128 {
        self.0
    }

    /// The weight of a share: `floor((network + 1) × 2^88 / (share + 1))`, never above one block.
    #[must_use]
    pub fn of_share(share: Target, network: Target) -> Self {
        if network >= share {
            return Self::BLOCK;
        }
        let above = |target: Target| U384::from(target.0) + U384::ONE;
        let weight = (above(network) << Self::FRACTION_BITS as usize) / above(share);
        Self(u128::try_from(weight).unwrap_or(Self::BLOCK.0))
    }

    /// `floor(numerator × 2^88 / denominator)`; `None` for a zero denominator or past the range.
    #[must_use]
    pub fn from_ratio(numerator: u128, denominator: u128) -> Option<Self> {
        mul_div(numerator, 1 << Self::FRACTION_BITS, denominator).map(Self)
    }

    /// Sum, or `None` past `2^40` blocks.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// Difference, or `None` below zero.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// Difference, zero at least.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

macro_rules! decimal_serde {
    ($name:ident, $make:expr) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let Amount(number) = Amount::deserialize(deserializer)?;
                let make: fn(u128) -> Result<Self, ZeroWork> = $make;
                make(number).map_err(serde::de::Error::custom)
            }
        }
    };
}
decimal_serde!(Work, Work::new);
decimal_serde!(Units, |bits| Ok(Units(bits)));

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amount_prints_with_the_coins_decimals() {
        assert_eq!(Amount::new(150_000_000).display(8), "1.50000000");
        assert_eq!(Amount::new(7).display(8), "0.00000007");
        assert_eq!(Amount::new(7).display(0), "7");
        assert_eq!(Amount::new(u128::MAX).display(18).split('.').next_back().map(str::len), Some(18));
    }

    #[test]
    fn amount_text_refuses_what_is_not_digits() {
        for bad in ["", "+1", "-1", " 1", "1.0", "0x1", "340282366920938463463374607431768211456"] {
            assert_eq!(bad.parse::<Amount>(), Err(BadAmount), "{bad:?}");
        }
        assert_eq!("340282366920938463463374607431768211455".parse(), Ok(Amount::new(u128::MAX)));
    }

    #[test]
    fn equal_targets_weigh_one_block() {
        let target = Target::new(U256::from(12_345u64));
        assert_eq!(Units::of_share(target, target), Units::BLOCK);
        assert_eq!(Units::of_share(target, Target::MAX), Units::BLOCK);
        assert_eq!(Units::of_share(Target::MAX, Target::new(U256::ZERO)), Units::ZERO);
    }

    #[test]
    fn work_of_known_targets() {
        assert_eq!(Target::MAX.work(), Work::ONE);
        assert_eq!(Target::new(U256::ZERO).work().get(), u128::MAX);
        assert_eq!(Target::new((U256::ONE << 224) - U256::ONE).work().get(), 1 << 32);
        assert_eq!(Target::from_work(Work(1 << 32)).get(), (U256::ONE << 224) - U256::ONE);
    }

    proptest! {
        #[test]
        fn a_target_from_work_asks_for_at_least_that_work(hashes in 1..=u128::MAX) {
            let work = Work(hashes);
            prop_assert!(Target::from_work(work).work() >= work);
        }

        #[test]
        fn mul_div_never_wraps(a: u128, b: u128, c: u128) {
            let wide = U256::from(a) * U256::from(b);
            let expected = (c != 0).then(|| wide / U256::from(c)).and_then(|q| u128::try_from(q).ok());
            prop_assert_eq!(mul_div(a, b, c), expected);
        }

        #[test]
        fn a_part_is_never_more_than_the_whole(amount: u128, points in 0..=10_000u16) {
            let part = BasisPoints(points).of(Amount::new(amount));
            prop_assert!(part.get() <= amount);
        }

        #[test]
        fn amount_text_round_trips(amount: u128) {
            prop_assert_eq!(Amount::new(amount).to_string().parse(), Ok(Amount::new(amount)));
        }
    }
}
