//! Multiples of secp256k1's base point, from a table.
//!
//! The table holds `digit × 256^place × G` for each of the 32 places of a scalar and its 255 digits that are not
//! zero: half a megabyte, made once in a few milliseconds. A multiple is then at most 32 additions and no doubling.
//! The order of the group is prime and a scalar is below it, so no addition ever meets the same point twice or its
//! negative: every partial sum is a multiple smaller than the next digit's, and both are smaller than the order.

use super::field::Field;

/// Digits of a scalar.
const PLACES: usize = 32;
/// Values of a digit that is not zero.
const DIGITS: usize = 255;

/// The base point.
const BASE: Affine = Affine {
    x: Field::from_limbs([
        0x59f2_815b_16f8_1798,
        0x029b_fcdb_2dce_28d9,
        0x55a0_6295_ce87_0b07,
        0x79be_667e_f9dc_bbac,
    ]),
    y: Field::from_limbs([
        0x9c47_d08f_fb10_d4b8,
        0xfd17_b448_a685_5419,
        0x5da4_fbfc_0e11_08a8,
        0x483a_da77_26a3_c465,
    ]),
};

/// A point, not the one at infinity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    pub(super) x: Field,
    pub(super) y: Field,
}

impl Affine {
    /// The sign of y in one byte, and x.
    pub(super) fn compressed(&self) -> [u8; 33] {
        let mut bytes = [0; 33];
        bytes[0] = 2 + u8::from(self.y.is_odd());
        bytes[1..].copy_from_slice(&self.x.to_be_bytes());
        bytes
    }
}

/// A point in Jacobian coordinates: x / z², y / z³. Not the one at infinity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jacobian {
    x: Field,
    y: Field,
    z: Field,
}

impl Jacobian {
    const fn of(point: Affine) -> Self {
        Self { x: point.x, y: point.y, z: Field::ONE }
    }

    /// The sum with a point that is neither the same nor its negative.
    fn plus(&self, other: &Affine) -> Self {
        let zz = self.z.square();
        let h = other.x.mul(zz).sub(self.x);
        let r = other.y.mul(zz.mul(self.z)).sub(self.y);
        let hh = h.square();
        let hhh = hh.mul(h);
        let v = self.x.mul(hh);
        let x = r.square().sub(hhh).sub(v.double());
        let y = r.mul(v.sub(x)).sub(self.y.mul(hhh));
        Self { x, y, z: self.z.mul(h) }
    }

    fn doubled(&self) -> Self {
        let yy = self.y.square();
        let s = self.x.mul(yy).double().double();
        let xx = self.x.square();
        let m = xx.double().add(xx);
        let x = m.square().sub(s.double());
        let y = m.mul(s.sub(x)).sub(yy.square().double().double().double());
        Self { x, y, z: self.y.mul(self.z).double() }
    }

    fn scaled(&self, z_inverse: Field) -> Affine {
        let zz = z_inverse.square();
        Affine { x: self.x.mul(zz), y: self.y.mul(zz.mul(z_inverse)) }
    }

    /// True when y is a square modulo p.
    ///
    /// y is `Y / z³`, and that is a square exactly when `Y × z` is: they differ by z⁴, a square. So this needs no
    /// inverse.
    pub(super) fn has_square_y(&self) -> bool {
        self.y.mul(self.z).is_square()
    }
}

/// Both points with one inversion.
pub(super) fn affine_pair(one: &Jacobian, other: &Jacobian) -> (Affine, Affine) {
    let inverse = one.z.mul(other.z).invert();
    (one.scaled(inverse.mul(other.z)), other.scaled(inverse.mul(one.z)))
}

/// All points with one inversion. `points` is not empty.
fn affine_all(points: &[Jacobian]) -> Vec<Affine> {
    // Products of all z up to each one; the inverse of the last yields the inverse of each, backwards.
    let mut products = Vec::with_capacity(points.len());
    let mut product = Field::ONE;
    for point in points {
        products.push(product);
        product = product.mul(point.z);
    }
    let mut inverse = product.invert();
    let mut flat = Vec::with_capacity(points.len());
    for (point, before) in points.iter().zip(products).rev() {
        flat.push(point.scaled(inverse.mul(before)));
        inverse = inverse.mul(point.z);
    }
    flat.reverse();
    flat
}

/// The table.
#[derive(Debug)]
pub(super) struct Multiples(Vec<Affine>);

impl Multiples {
    /// Computes it: 8160 points.
    pub(super) fn new() -> Self {
        let mut table = Vec::with_capacity(PLACES * DIGITS);
        let mut base = BASE;
        for _ in 0..PLACES {
            // The base of this place, its multiples up to 255, and 256 times it, which is the next base.
            let mut row = Vec::with_capacity(DIGITS + 1);
            row.push(Jacobian::of(base));
            row.push(row[0].doubled());
            while row.len() <= DIGITS {
                row.push(row[row.len() - 1].plus(&base));
            }
            let mut row = affine_all(&row);
            base = row.pop().expect("256 points were pushed");
            table.extend(row);
        }
        Self(table)
    }

    /// The multiple of the base point by a big-endian scalar from 1 to the group's order less one; `None` for zero.
    pub(super) fn of(&self, scalar: &[u8; 32]) -> Option<Jacobian> {
        let mut sum: Option<Jacobian> = None;
        // From the least place up: then every partial sum is below the next digit's multiple.
        for (row, digit) in self.0.chunks_exact(DIGITS).zip(scalar.iter().rev()) {
            if let Some(place) = usize::from(*digit).checked_sub(1) {
                let point = &row[place];
                sum = Some(sum.map_or(Jacobian::of(*point), |sum| sum.plus(point)));
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secp256k1::{PublicKey, SecretKey};
    use std::sync::LazyLock;

    static TABLE: LazyLock<Multiples> = LazyLock::new(Multiples::new);

    /// Against libsecp256k1.
    fn check(scalar: [u8; 32]) {
        let Ok(key) = SecretKey::from_secret_bytes(scalar) else { return };
        let expected = PublicKey::from_secret_key(&key);
        let sum = TABLE.of(&scalar).unwrap();
        let (point, same) = affine_pair(&sum, &sum);
        assert_eq!(point.compressed(), expected.serialize());
        assert_eq!(same.compressed(), expected.serialize());
        assert_eq!(point.y.to_be_bytes(), expected.serialize_uncompressed()[33..]);
        assert_eq!(sum.has_square_y(), point.y.is_square());
    }

    #[test]
    fn multiples_at_the_edges() {
        assert!(TABLE.of(&[0; 32]).is_none());
        for place in 0..32 {
            for digit in [1, 2, 3, 127, 128, 254, 255] {
                let mut scalar = [0; 32];
                scalar[place] = digit;
                check(scalar);
                scalar[31] |= 1;
                check(scalar);
            }
        }
        // The group's order less one, less two, and halves of it.
        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        let order: [u8; 32] = hex::decode(order).unwrap().try_into().unwrap();
        for less in 1..=65 {
            let mut scalar = order;
            scalar[31] = scalar[31].wrapping_sub(less);
            check(scalar);
        }
        let half: [u8; 32] = std::array::from_fn(|i| {
            let before = if i == 0 { 0 } else { order[i - 1] };
            before << 7 | order[i] >> 1
        });
        check(half);
    }

    proptest! {
        #[test]
        fn multiples_are_those_of_the_library(scalar: [u8; 32]) {
            check(scalar);
        }
    }
}
