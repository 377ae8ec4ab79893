//! Products wider than 128 bits, with their remainders.
//!
//! An amount times a sum of units has at most 256 bits, so one 256-bit product and one division by 128 bits is all
//! that money ever needs here. Everything is exact; what does not fit is `None`, never a wrapped number.

use pool_core::units::U256;

/// Unsigned 512-bit integer for products of three factors.
pub(crate) type U512 = ruint::Uint<512, 8>;

/// Unsigned 384-bit integer: 128 bits times 256.
pub(crate) type U384 = ruint::Uint<384, 6>;

/// The low 256 bits, where the rest is zero.
pub(crate) fn narrow(wide: U512) -> Option<U256> {
    let [low @ .., a, b, c, d] = *wide.as_limbs();
    (a | b | c | d == 0).then(|| U256::from_limbs(low))
}

/// `a × b` as a quotient and a remainder by `c`; `None` for `c = 0` or a quotient past 128 bits.
pub(crate) fn mul_div_rem(a: u128, b: u128, c: u128) -> Option<(u128, u128)> {
    if c == 0 {
        return None;
    }
    if let Some(product) = a.checked_mul(b) {
        return Some((product / c, product % c));
    }
    let (quotient, rest) = (U256::from(a) * U256::from(b)).div_rem(U256::from(c));
    Some((
        u128::try_from(quotient).ok()?,
        u128::try_from(rest).expect("a remainder is below its 128-bit divisor"),
    ))
}

/// `floor(part × 2^64 / whole)` for `part < whole`.
pub(crate) fn fraction_bits(part: u128, whole: u128) -> u64 {
    debug_assert!(part < whole, "a fraction is below one");
    let quotient = (U256::from(part) << 64) / U256::from(whole);
    u64::try_from(quotient).expect("a fraction is below one")
}

/// `amount / total`, ready to be multiplied with many weights: one long division, then a few products each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    amount: u128,
    total: u128,
    /// `floor(amount × 2^(64 + shift) / total)`.
    reciprocal: [u64; 4],
    shift: u32,
}

impl Ratio {
    /// `None` for a zero `total`.
    pub(crate) fn new(amount: u128, total: u128) -> Option<Self> {
        if total == 0 {
            return None;
        }
        let bits = |number: u128| 128 - number.leading_zeros();
        // The most that keeps the reciprocal in 256 bits; never less than the bits of `total`.
        let shift = (191 + bits(total) - bits(amount)).min(128);
        let reciprocal = (U512::from(amount) << (64 + shift as usize)) / U512::from(total);
        let reciprocal = *narrow(reciprocal).expect("the shift leaves it 256 bits").as_limbs();
        Some(Self { amount, total, reciprocal, shift })
    }

    /// `floor(amount × weight × 2^64 / total)` as whole part and fraction, for `weight <= total`.
    pub(crate) fn of(&self, weight: u128) -> (u128, u64) {
        debug_assert!(weight <= self.total, "a part is no more than the whole");
        // One too low at most: weight × (1 / reciprocal's last bit) is below one.
        let product = mul_limbs(weight, self.reciprocal);
        let low = [product[0], product[1], product[2], product[3], product[4], product[5]];
        let (words, bits) = ((self.shift / 64) as usize, self.shift % 64);
        let word = |index: usize| {
            let here = low.get(index + words).copied().unwrap_or(0) >> bits;
            let above = low.get(index + words + 1).copied().unwrap_or(0);
            if bits == 0 { here } else { here | above << (64 - bits) }
        };
        let (fraction, whole) = (word(0), u128::from(word(2)) << 64 | u128::from(word(1)));
        // What is missing to the exact product, in 2^-64, modulo 2^192: below twice the total, so nothing wraps.
        let exact = mul_u128(self.amount, weight);
        let taken_whole = mul_u128(whole, self.total);
        let taken_fraction = mul_u128(u128::from(fraction), self.total);
        let (mut rest_high, rest_low) = (exact.1.wrapping_sub(taken_whole.1), exact.0);
        let (rest_low, borrowed) = rest_low.overflowing_sub(taken_whole.0);
        rest_high = rest_high.wrapping_sub(u128::from(borrowed));
        debug_assert!(rest_high == 0 || rest_high == 1, "the whole part is right or one too low");
        // (rest << 64) - fraction × total
        let shifted = (rest_low << 64, rest_high << 64 | rest_low >> 64);
        let (difference_low, borrowed) = shifted.0.overflowing_sub(taken_fraction.0);
        let difference_high = shifted.1.wrapping_sub(taken_fraction.1).wrapping_sub(u128::from(borrowed));
        if difference_high == 0 && difference_low < self.total {
            return (whole, fraction);
        }
        let (fraction, carried) = fraction.overflowing_add(1);
        (whole + u128::from(carried), fraction)
    }

    /// `amount × weight mod total`, for the whole part that [`Ratio::of`] gave.
    pub(crate) const fn rest(&self, weight: u128, whole: u128) -> u128 {
        // Below the total, so 128 bits of the difference are all of it.
        self.amount.wrapping_mul(weight).wrapping_sub(whole.wrapping_mul(self.total))
    }
}

/// A product of two 128-bit numbers, low half first.
fn mul_u128(a: u128, b: u128) -> (u128, u128) {
    let product = mul_limbs(a, [b as u64, (b >> 64) as u64, 0, 0]);
    let pair = |index: usize| u128::from(product[index + 1]) << 64 | u128::from(product[index]);
    (pair(0), pair(2))
}

/// A 128-bit number times a 256-bit one, lowest limb first.
pub(crate) fn mul_limbs(a: u128, b: [u64; 4]) -> [u64; 6] {
    let mut product = [0; 6];
    for (place, half) in [a as u64, (a >> 64) as u64].into_iter().enumerate() {
        let mut carry = 0u128;
        for (index, limb) in b.into_iter().enumerate() {
            let sum = u128::from(half) * u128::from(limb) + u128::from(product[place + index]) + carry;
            product[place + index] = sum as u64;
            carry = sum >> 64;
        }
        product[place + 4] = carry as u64;
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quotient_and_remainder_make_the_product(a: u128, b: u128, c in 1..=u128::MAX) {
            let product = BigUint::from(a) * b;
            match mul_div_rem(a, b, c) {
                Some((quotient, rest)) => {
                    prop_assert!(rest < c);
                    prop_assert_eq!(BigUint::from(quotient) * c + rest, product);
                }
                None => prop_assert!(product / c > BigUint::from(u128::MAX)),
            }
        }

        #[test]
        fn a_ratio_is_exact_for_every_weight(
            amount: u128, total in 1..=u128::MAX, seed: u128, shifts in (0u32..128, 0u32..128, 0u32..128)
        ) {
            let (amount, total) = (amount >> shifts.0, (total >> shifts.1).max(1));
            let ratio = Ratio::new(amount, total).unwrap();
            for weight in [(seed >> shifts.2) % total, total, 0, 1.min(total), total - 1] {
                let (whole, fraction) = ratio.of(weight);
                let exact = (BigUint::from(amount) * weight) << 64;
                prop_assert_eq!((BigUint::from(whole) << 64) + fraction, exact / total);
                let rest = BigUint::from(amount) * weight % total;
                prop_assert_eq!(BigUint::from(ratio.rest(weight, whole)), rest);
            }
        }

        #[test]
        fn a_fraction_has_64_exact_bits(whole in 1..=u128::MAX, seed: u128) {
            let part = seed % whole;
            prop_assert_eq!(BigUint::from(fraction_bits(part, whole)), (BigUint::from(part) << 64) / whole);
        }
    }
}
