//! Products wider than 128 bits, with their remainders.
//!
//! An amount times a sum of units has at most 256 bits, so one 256-bit product and one division by 128 bits is all
//! that money ever needs here. Everything is exact; what does not fit is `None`, never a wrapped number.

use pool_core::units::U256;

/// Unsigned 512-bit integer for products of three factors.
pub(crate) type U512 = ruint::Uint<512, 8>;

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
    if let Ok(part) = u64::try_from(part) {
        return u64::try_from((u128::from(part) << 64) / whole).expect("a fraction is below one");
    }
    let quotient = (U256::from(part) << 64) / U256::from(whole);
    u64::try_from(quotient).expect("a fraction is below one")
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
        fn a_fraction_has_64_exact_bits(whole in 1..=u128::MAX, seed: u128) {
            let part = seed % whole;
            prop_assert_eq!(BigUint::from(fraction_bits(part, whole)), (BigUint::from(part) << 64) / whole);
        }
    }
}
