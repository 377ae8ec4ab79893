//! Numbers from 0 to `2^128` with 128 bits behind the point, and the two functions that luck needs.
//!
//! Everything is integer arithmetic rounded down, so results are the same on every machine; errors are below `2^-110`.

use crate::wide::{U512, narrow};
use pool_core::units::U256;

/// Bits behind the point.
const BITS: usize = 128;

/// `ln 2` in `2^-128`.
const LN_2: u128 = 0xb172_17f7_d1cf_79ab_c9e3_b398_03f2_f6af;

/// A number not below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fixed(U256);

impl Fixed {
    pub(crate) const ZERO: Self = Self(U256::ZERO);

    pub(crate) fn whole(value: u128) -> Self {
        Self(U256::from(value) << BITS)
    }

    pub(crate) fn one() -> Self {
        Self::whole(1)
    }

    /// `top / bottom`; `None` for a zero `bottom`.
    pub(crate) fn ratio(top: u128, bottom: u128) -> Option<Self> {
        (bottom != 0).then(|| Self((U256::from(top) << BITS) / U256::from(bottom)))
    }

    pub(crate) fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, zero at least.
    pub(crate) fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The product, at most the largest number.
    pub(crate) fn times(self, other: Self) -> Self {
        Self(narrow((U512::from(self.0) * U512::from(other.0)) >> BITS).unwrap_or(U256::MAX))
    }

    /// The quotient, at most the largest number; `None` by zero.
    pub(crate) fn over(self, other: Self) -> Option<Self> {
        if other.0.is_zero() {
            return None;
        }
        Some(Self(narrow((U512::from(self.0) << BITS) / U512::from(other.0)).unwrap_or(U256::MAX)))
    }

    /// `floor(self × scale)`, at most `u128::MAX`.
    pub(crate) fn floor_times(self, scale: u128) -> u128 {
        let product = (U512::from(self.0) * U512::from(scale)) >> BITS;
        narrow(product).and_then(|low| u128::try_from(low).ok()).unwrap_or(u128::MAX)
    }

    /// `ceil(self × scale)`, at most `u128::MAX`.
    pub(crate) fn ceil_times(self, scale: u128) -> u128 {
        let product = U512::from(self.0) * U512::from(scale);
        let floor = self.floor_times(scale);
        if (U512::from(floor) << BITS) < product { floor.saturating_add(1) } else { floor }
    }

    /// `e^-self`.
    pub(crate) fn exp_minus(self) -> Self {
        // self = k ln 2 + rest, and the rest is summed as a series of ever smaller terms of changing sign.
        let ln_2 = U256::from(LN_2);
        let (halvings, rest) = self.0.div_rem(ln_2);
        let Ok(halvings) = usize::try_from(halvings) else { return Self::ZERO };
        if halvings >= 2 * BITS {
            return Self::ZERO;
        }
        let rest = Self(rest);
        let (mut plus, mut minus, mut term) = (Self::one(), Self::ZERO, Self::one());
        for n in 1..64u64 {
            term = Self(term.times(rest).0 / U256::from(n));
            if term == Self::ZERO {
                break;
            }
            if n % 2 == 1 { minus = minus.add(term) } else { plus = plus.add(term) }
        }
        Self(plus.less(minus).0 >> halvings)
    }

    /// The natural logarithm of a number from 1 on; zero below.
    pub(crate) fn ln(self) -> Self {
        let length = self.0.bit_len();
        if length <= BITS {
            return Self::ZERO;
        }
        // self = 2^k m with m from 1 to 2, and ln m = 2 artanh((m - 1) / (m + 1)).
        let doublings = length - BITS - 1;
        let small = Self(self.0 >> doublings);
        let ratio = small.less(Self::one()).over(small.add(Self::one())).unwrap_or(Self::ZERO);
        let square = ratio.times(ratio);
        let (mut power, mut sum) = (ratio, ratio);
        for n in 1..128u64 {
            power = power.times(square);
            if power == Self::ZERO {
                break;
            }
            sum = sum.add(Self(power.0 / U256::from(2 * n + 1)));
        }
        Self(sum.0 << 1).add(Self(U256::from(LN_2) * U256::from(doublings)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digits behind the point that can be relied on.
    const SCALE: u128 = 10u128.pow(30);

    #[test]
    fn known_values_to_thirty_digits() {
        let near = |value: Fixed, digits: u128| value.floor_times(SCALE).abs_diff(digits) <= 2;
        assert!(near(Fixed::one().exp_minus(), 367_879_441_171_442_321_595_523_770_161));
        assert!(near(Fixed::whole(8).exp_minus(), 335_462_627_902_511_838_821_389_125));
        assert!(near(Fixed::whole(2).ln(), 693_147_180_559_945_309_417_232_121_458));
        assert!(near(Fixed::whole(10).ln(), 2_302_585_092_994_045_684_017_991_454_684));
        assert!(near(Fixed::ratio(20, 19).unwrap().ln(), 51_293_294_387_550_533_426_196_144_254));
        assert_eq!(Fixed::whole(1_000).exp_minus(), Fixed::ZERO);
        assert_eq!(Fixed::ratio(1, 2).unwrap().ln(), Fixed::ZERO);
        assert_eq!(Fixed::ratio(1, 0), None);
        assert_eq!(Fixed::ratio(7, 2).unwrap().ceil_times(1), 4);
        assert_eq!(Fixed::ratio(7, 2).unwrap().floor_times(1), 3);
        assert_eq!(Fixed::whole(3).ceil_times(1), 3);
    }

    #[test]
    fn the_two_functions_undo_each_other() {
        for x in [1u128, 3, 77, 1_000, 5_555] {
            let x = Fixed::ratio(x, 1_000).unwrap();
            let back = Fixed::one().over(x.exp_minus()).unwrap().ln();
            assert!(back.floor_times(SCALE).abs_diff(x.floor_times(SCALE)) <= 1 << 4, "{x:?}");
        }
    }
}
