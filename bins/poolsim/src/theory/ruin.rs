//! The reserve of an operator who pays shares at once (PPS, FPPS) and takes blocks as they come.
//!
//! In blocks of mean value: the reserve falls by `1 - f` per expected block and rises by a block's value at the points
//! of a Poisson process. Started at `R` it is ever exhausted with probability `e^(-zR)`, `z > 0` the root of
//! `E[e^(-zV)] = 1 - (1-f) z`. This is the double-precision twin of `pool_rewards::solvency`, which computes the same in
//! integers; they are compared in the tests.

use super::special::root;

/// The exponent `z` for equal blocks and a margin `f` in `(0, 1)`. `z = 2f + 4f²/3 + …`.
///
/// Source: the dual risk model of pay-per-share pools (Albrecher, Finger, Goffard 2021), equal blocks.
#[must_use]
pub fn exponent(f: f64) -> f64 {
    exponent_of(f, &[(1.0, 1.0)])
}

/// The exponent for random blocks: `(value over the mean, probability)`, means one.
#[must_use]
pub fn exponent_of(f: f64, values: &[(f64, f64)]) -> f64 {
    // Convex, zero at 0 and falling there: above its lowest point there is one root.
    let excess = |z: f64| {
        let transform: f64 = values.iter().map(|(value, chance)| chance * (-z * value).exp_m1()).sum();
        transform + (1.0 - f) * z
    };
    let slope = |z: f64| {
        let transform: f64 = values.iter().map(|(value, chance)| chance * value * (-z * value).exp()).sum();
        1.0 - f - transform
    };
    let mut high = 1.0;
    while slope(high) <= 0.0 || excess(high) <= 0.0 {
        high *= 2.0;
    }
    let lowest = root(0.0, high, slope);
    root(lowest, high, excess)
}

/// Rosenfeld's exponent in the diffusion limit: `2f / (1 + cv²)`, `cv` the variation of the block value. Slightly
/// smaller than the exact one, so it asks for a slightly larger reserve.
#[must_use]
pub fn diffusion_exponent(f: f64, cv: f64) -> f64 {
    2.0 * f / (1.0 + cv * cv)
}

/// The reserve in blocks that lasts for ever with probability `1 - ruin`, for an exponent.
#[must_use]
pub fn reserve(exponent: f64, ruin: f64) -> f64 {
    -ruin.ln() / exponent
}

/// The probability that a reserve of so many blocks is ever exhausted.
#[must_use]
pub fn probability(exponent: f64, reserve: f64) -> f64 {
    (-exponent * reserve).exp()
}

/// What is left of a fee when a part `lost` of blocks brings nothing and a part `withheld` of the work keeps its
/// blocks to itself: `1 - (1-f) / ((1-lost)(1-withheld))`. At most zero: any reserve is exhausted.
#[must_use]
pub fn effective_margin(f: f64, lost: f64, withheld: f64) -> f64 {
    1.0 - (1.0 - f) / ((1.0 - lost) * (1.0 - withheld))
}

/// How many days of its income a pool's reserve is.
#[must_use]
pub fn reserve_days(reserve: f64, pool_blocks_per_day: f64) -> f64 {
    reserve / pool_blocks_per_day
}
