//! Numbers modulo secp256k1's field prime, p = 2^256 - 2^32 - 977.
//!
//! Nothing here is secret: the "private key" of this proof of work is a hash that everybody can compute. So every
//! shortcut that depends on the numbers is allowed, and that is most of what makes this faster than a library that
//! protects keys.
//!
//! A value is four 64-bit limbs, the least first, anywhere below 2^256: it may stand for its residue plus p, and is
//! brought below p only where that shows ([`Field::to_be_bytes`], comparisons). As 2^256 = 2^32 + 977 modulo p, what
//! overflows on top comes back at the bottom times that constant.

/// 2^256 modulo p.
const FOLD: u64 = 0x1_0000_03d1;

/// A residue modulo p.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field([u64; 4]);

/// `a + b × c + carry`, low half and high half; it always fits.
#[inline(always)]
const fn mul_add(a: u64, b: u64, c: u64, carry: u64) -> (u64, u64) {
    let wide = a as u128 + b as u128 * c as u128 + carry as u128;
    (wide as u64, (wide >> 64) as u64)
}

/// Four limbs plus a small number, modulo p: what leaves at the top comes back at the bottom.
#[inline(always)]
const fn add_small(limbs: [u64; 4], small: u128) -> [u64; 4] {
    let [a, b, c, d] = limbs;
    let low = a as u128 + (small as u64) as u128;
    let next = b as u128 + (small >> 64) + (low >> 64);
    let (c, carry) = c.overflowing_add((next >> 64) as u64);
    let (d, carry) = d.overflowing_add(carry as u64);
    let (low, next) = (low as u64, next as u64);
    if !carry {
        return [low, next, c, d];
    }
    // The sum passed 2^256, so what is left is far too small for this to overflow out of the second limb.
    let (low, carry) = low.overflowing_add(FOLD);
    [low, next.wrapping_add(carry as u64), c, d]
}

/// Eight limbs modulo p.
#[inline(always)]
const fn reduce(wide: [u64; 8]) -> [u64; 4] {
    let (a, carry) = mul_add(wide[0], wide[4], FOLD, 0);
    let (b, carry) = mul_add(wide[1], wide[5], FOLD, carry);
    let (c, carry) = mul_add(wide[2], wide[6], FOLD, carry);
    let (d, carry) = mul_add(wide[3], wide[7], FOLD, carry);
    add_small([a, b, c, d], carry as u128 * FOLD as u128)
}

impl Field {
    pub(super) const ONE: Self = Self([1, 0, 0, 0]);

    /// From limbs, the least first; any number below 2^256.
    pub(super) const fn from_limbs(limbs: [u64; 4]) -> Self {
        Self(limbs)
    }

    #[inline]
    pub(super) const fn add(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        let low = a as u128 + e as u128;
        let next = b as u128 + f as u128 + (low >> 64);
        let third = c as u128 + g as u128 + (next >> 64);
        let top = d as u128 + h as u128 + (third >> 64);
        let limbs = [low as u64, next as u64, third as u64, top as u64];
        Self(add_small(limbs, (top >> 64) * FOLD as u128))
    }

    #[inline]
    pub(super) const fn sub(self, other: Self) -> Self {
        let (limbs, borrow) = sub(self.0, other.0);
        if !borrow {
            return Self(limbs);
        }
        // 2^256 too much is 2^32 + 977 too much; once more when that borrows too.
        let (limbs, borrow) = sub(limbs, [FOLD, 0, 0, 0]);
        if !borrow {
            return Self(limbs);
        }
        let (limbs, _) = sub(limbs, [FOLD, 0, 0, 0]);
        Self(limbs)
    }

    #[inline]
    pub(super) const fn double(self) -> Self {
        self.add(self)
    }

    #[inline]
    pub(super) const fn mul(self, other: Self) -> Self {
        let (x, y) = (self.0, other.0);
        let (w0, k) = mul_add(0, x[0], y[0], 0);
        let (w1, k) = mul_add(0, x[0], y[1], k);
        let (w2, k) = mul_add(0, x[0], y[2], k);
        let (w3, w4) = mul_add(0, x[0], y[3], k);
        let (w1, k) = mul_add(w1, x[1], y[0], 0);
        let (w2, k) = mul_add(w2, x[1], y[1], k);
        let (w3, k) = mul_add(w3, x[1], y[2], k);
        let (w4, w5) = mul_add(w4, x[1], y[3], k);
        let (w2, k) = mul_add(w2, x[2], y[0], 0);
        let (w3, k) = mul_add(w3, x[2], y[1], k);
        let (w4, k) = mul_add(w4, x[2], y[2], k);
        let (w5, w6) = mul_add(w5, x[2], y[3], k);
        let (w3, k) = mul_add(w3, x[3], y[0], 0);
        let (w4, k) = mul_add(w4, x[3], y[1], k);
        let (w5, k) = mul_add(w5, x[3], y[2], k);
        let (w6, w7) = mul_add(w6, x[3], y[3], k);
        Self(reduce([w0, w1, w2, w3, w4, w5, w6, w7]))
    }

    #[inline]
    pub(super) const fn square(self) -> Self {
        let x = self.0;
        // The products off the diagonal, each once.
        let (w1, k) = mul_add(0, x[0], x[1], 0);
        let (w2, k) = mul_add(0, x[0], x[2], k);
        let (w3, w4) = mul_add(0, x[0], x[3], k);
        let (w3, k) = mul_add(w3, x[1], x[2], 0);
        let (w4, w5) = mul_add(w4, x[1], x[3], k);
        let (w5, w6) = mul_add(w5, x[2], x[3], 0);
        // Twice, plus the squares.
        let w7 = w6 >> 63;
        let w6 = w6 << 1 | w5 >> 63;
        let w5 = w5 << 1 | w4 >> 63;
        let w4 = w4 << 1 | w3 >> 63;
        let w3 = w3 << 1 | w2 >> 63;
        let w2 = w2 << 1 | w1 >> 63;
        let w1 = w1 << 1;
        let (w0, k) = mul_add(0, x[0], x[0], 0);
        let (w1, carry) = w1.overflowing_add(k);
        let (w2, k) = mul_add(w2, x[1], x[1], carry as u64);
        let (w3, carry) = w3.overflowing_add(k);
        let (w4, k) = mul_add(w4, x[2], x[2], carry as u64);
        let (w5, carry) = w5.overflowing_add(k);
        let (w6, k) = mul_add(w6, x[3], x[3], carry as u64);
        Self(reduce([w0, w1, w2, w3, w4, w5, w6, w7.wrapping_add(k)]))
    }

    fn square_times(self, times: u32) -> Self {
        (0..times).fold(self, |value, _| value.square())
    }

    /// The value to the powers that are 223 ones, a zero and 22 ones in binary, two ones, and three: both exponents
    /// below begin with the first.
    fn runs(self) -> (Self, Self, Self) {
        let x2 = self.square().mul(self);
        let x3 = x2.square().mul(self);
        let x6 = x3.square_times(3).mul(x3);
        let x9 = x6.square_times(3).mul(x3);
        let x11 = x9.square_times(2).mul(x2);
        let x22 = x11.square_times(11).mul(x11);
        let x44 = x22.square_times(22).mul(x22);
        let x88 = x44.square_times(44).mul(x44);
        let x176 = x88.square_times(88).mul(x88);
        let x220 = x176.square_times(44).mul(x44);
        let x223 = x220.square_times(3).mul(x3);
        (x223.square_times(23).mul(x22), x2, x3)
    }

    /// The multiplicative inverse, by Fermat; zero for zero.
    pub(super) fn invert(self) -> Self {
        // p - 2 goes on with 00001 011 01.
        let (top, x2, _) = self.runs();
        top.square_times(5).mul(self).square_times(3).mul(x2).square_times(2).mul(self)
    }

    /// True for the square of something (zero included), by Euler: its power of (p - 1) / 2 is 1.
    pub(super) fn is_square(self) -> bool {
        // (p - 1) / 2 goes on with 00001 0111.
        let (top, _, x3) = self.runs();
        let power = top.square_times(5).mul(self).square_times(4).mul(x3).normal();
        power.0 == [1, 0, 0, 0] || power.0 == [0; 4]
    }

    /// The residue itself, below p.
    const fn normal(self) -> Self {
        // At or above p exactly when adding 2^256 - p overflows.
        let [a, b, c, d] = self.0;
        let (a, carry) = a.overflowing_add(FOLD);
        let (b, carry) = b.overflowing_add(carry as u64);
        let (c, carry) = c.overflowing_add(carry as u64);
        let (d, carry) = d.overflowing_add(carry as u64);
        if carry { Self([a, b, c, d]) } else { self }
    }

    /// True when the residue is odd.
    pub(super) const fn is_odd(self) -> bool {
        self.normal().0[0] & 1 == 1
    }

    /// The residue, big-endian.
    pub(super) fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, limb) in bytes.chunks_exact_mut(8).zip(self.normal().0.iter().rev()) {
            place.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }
}

/// The difference of four limbs modulo 2^256, and whether it is negative.
#[inline(always)]
const fn sub(one: [u64; 4], other: [u64; 4]) -> ([u64; 4], bool) {
    const fn step(a: u64, b: u64, borrow: bool) -> (u64, bool) {
        let (less, first) = a.overflowing_sub(b);
        let (less, second) = less.overflowing_sub(borrow as u64);
        (less, first | second)
    }
    let (a, borrow) = step(one[0], other[0], false);
    let (b, borrow) = step(one[1], other[1], borrow);
    let (c, borrow) = step(one[2], other[2], borrow);
    let (d, borrow) = step(one[3], other[3], borrow);
    ([a, b, c, d], borrow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ruint::aliases::U256;

    const PRIME: [u64; 4] = [0xffff_fffe_ffff_fc2f, u64::MAX, u64::MAX, u64::MAX];
    const P: U256 = U256::from_limbs(PRIME);

    fn number(field: Field) -> U256 {
        U256::from_be_bytes(field.to_be_bytes())
    }

    /// Any limbs, with those around 0, p and 2^256 more often than chance has them.
    fn limbs() -> impl Strategy<Value = [u64; 4]> {
        prop_oneof![
            any::<[u64; 4]>(),
            (0u64..4).prop_map(|low| [low, 0, 0, 0]),
            (0u64..2000).prop_map(|low| [PRIME[0] - 1000 + low, u64::MAX, u64::MAX, u64::MAX]),
            (0u64..4).prop_map(|low| [u64::MAX - low, u64::MAX, u64::MAX, u64::MAX]),
            (0u64..4, any::<u64>()).prop_map(|(low, top)| [low, 0, u64::MAX, top]),
        ]
    }

    proptest! {
        #[test]
        fn arithmetic_is_that_of_a_wide_integer_modulo_p(a in limbs(), b in limbs()) {
            let (x, y) = (Field(a), Field(b));
            let (a, b) = (U256::from_limbs(a), U256::from_limbs(b));
            prop_assert_eq!(number(x), a.reduce_mod(P));
            prop_assert_eq!(number(x.add(y)), a.add_mod(b, P));
            prop_assert_eq!(number(x.double()), a.add_mod(a, P));
            prop_assert_eq!(number(x.sub(y).add(y)), a.reduce_mod(P));
            prop_assert_eq!(number(x.mul(y)), a.mul_mod(b, P));
            prop_assert_eq!(number(x.square()), a.mul_mod(a, P));
            prop_assert_eq!(x.is_odd(), a.reduce_mod(P).bit(0));
        }

        #[test]
        fn an_inverse_is_one_and_squares_are_squares(a in limbs()) {
            let (x, a) = (Field(a), U256::from_limbs(a));
            let is_zero = a.reduce_mod(P).is_zero();
            prop_assert_eq!(number(x.mul(x.invert())), U256::from(!is_zero));
            prop_assert!(x.square().is_square());
            // p is 3 modulo 4: of a number and its negative exactly one is a square.
            let negative = Field::from_limbs([0; 4]).sub(x);
            prop_assert_eq!(x.is_square() ^ negative.is_square(), !is_zero);
        }
    }
}
