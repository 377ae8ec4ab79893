//! What is done against luck in the estimates: control variates, and importance sampling of ruin.
//!
//! Antithetic replications are a property of streams ([`crate::random`]), common luck between schemes one of the driver:
//! all schemes of a scenario hear the same shares.

use crate::outcome::{Controlled, Estimate, UltimateRuin};
use crate::random::{Purpose, Stream};
use crate::stats::{Cross, deviations};

/// Income over work, and the same with the part of its luck taken out that the number of blocks explains. Quantities of
/// `samples`: 0 income, 1 work, 2 blocks found less expected work, whose mean is known to be zero.
#[must_use]
pub fn per_work(samples: &Cross<3>, confidence: f64, control: bool) -> (Estimate, Option<Controlled>) {
    let Some((ratio, error)) = samples.ratio(0, 1) else { return (Estimate::default(), None) };
    let z = deviations(confidence);
    let around = |value: f64, error: f64| Estimate { value, low: value - z * error, high: value + z * error };
    let plain = around(ratio, error);
    if !control || samples.count() < 3 {
        return (plain, None);
    }
    let blocks = samples.covariance(2, 2);
    // The residual income - ratio × work goes with blocks by this slope.
    let with = samples.covariance(0, 2) - ratio * samples.covariance(1, 2);
    let slope = if blocks > 0.0 { with / blocks } else { 0.0 };
    let n = samples.count() as f64;
    let residual = samples.variance_of([1.0, -ratio, 0.0]);
    let left = samples.variance_of([1.0, -ratio, -slope]);
    let value = (samples.mean(0) - slope * samples.mean(2)) / samples.mean(1);
    // One degree of freedom went into the slope.
    let error = (left / n * (n - 1.0) / (n - 2.0).max(1.0)).sqrt() / samples.mean(1).abs();
    let gain = if left > 0.0 {
        (residual / left).max(1.0)
    } else if residual > 0.0 {
        f64::MAX
    } else {
        1.0
    };
    let gain = gain.min(1e12);
    (plain, Some(Controlled { estimate: around(value, error), gain }))
}

/// The positive root of `e^-z = 1 - (1 - f) z`: how fast the probability of ruin falls with the reserve, per block.
/// `None` where the fee is not positive.
#[must_use]
pub fn ruin_exponent(fee: f64) -> Option<f64> {
    if fee.is_nan() || fee <= 0.0 || fee >= 1.0 {
        return None;
    }
    // Newton from above: g(z) = e^-z - 1 + (1 - f) z is convex with g(0) = 0, so it comes down to the larger root.
    let mut z = 2.0 * fee + 2.0 * fee * fee + 4.0 * fee * fee * fee + 1.0 / (1.0 - fee) * fee * fee;
    while (-z).exp() - 1.0 + (1.0 - fee) * z < 0.0 {
        z *= 2.0;
    }
    for _ in 0..200 {
        let step = ((-z).exp() - 1.0 + (1.0 - fee) * z) / (1.0 - fee - (-z).exp());
        z -= step;
        if step.abs() < 1e-15 * z {
            break;
        }
    }
    Some(z)
}

/// A pool that pays every share `unit × (1 - fee)` and gets one block with probability `unit × alive` per share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Payer {
    /// Reserve at the beginning, in blocks.
    pub reserve: f64,
    /// The fee on shares.
    pub fee: f64,
    /// The part of blocks that is paid: neither lost nor withheld.
    pub alive: f64,
    /// A share's work in expected blocks.
    pub unit: f64,
    /// Expected blocks until the horizon.
    pub horizon: f64,
}

/// Blocks on all paths together, at most about: some seconds' worth.
const PATH_BLOCKS: f64 = 2e7;
/// However long they are, there are so many.
const PATHS_MIN: u64 = 100;

/// The probability that the reserve is ever used up, share by share under odds tilted so that it always is.
///
/// Shares between two blocks are one geometric draw. Blocks come less often by the factor that makes `e^(-z balance)` a
/// martingale, and each path counts by what it was less likely: the product of likelihood ratios collapses to `e^(-z ×
/// (reserve - balance at ruin))`, which hardly varies, so few paths are enough for any reserve. There are at most `paths`
/// of them. `None` for no path, or a fee of everything.
#[must_use]
pub fn ultimate_ruin(payer: &Payer, paths: u64, seed: u64, confidence: f64) -> Option<UltimateRuin> {
    let Payer { reserve, fee, alive, unit, horizon } = *payer;
    // Per paid block: what shares cost less what blocks bring.
    let effective = 1.0 - (1.0 - fee) / alive;
    let Some(exponent) = ruin_exponent(effective).filter(|_| reserve.is_finite()) else {
        let certain = Estimate { value: 1.0, low: 1.0, high: 1.0 };
        return (fee < 1.0).then_some(UltimateRuin {
            sampled: certain,
            by_horizon: certain,
            paths: 0,
            exact: 1.0,
            diffusion: 1.0,
            exponent: 0.0,
            effective_fee: effective,
        });
    };
    if paths == 0 {
        return None;
    }
    // Under the tilt a path is about `reserve / fee` blocks long. All weigh nearly the same, so few long ones will do.
    let paths = paths.min((PATH_BLOCKS / (1.0 + reserve / effective)) as u64).max(PATHS_MIN.min(paths));
    let (p, step) = (unit * alive, unit * (1.0 - fee));
    let z = share_exponent(p, step, exponent);
    // Under the tilt a share is a block with p' = p e^(-z (1 - step)), normalised by what z was chosen for.
    let tilted = p * (-z * (1.0 - step)).exp();
    let mut samples = Cross::<2>::default();
    for path in 0..paths {
        let mut stream = Stream::new(seed, path, Purpose::Ruin);
        let (mut balance, mut work) = (reserve, 0.0);
        loop {
            // A share is paid and its block comes in before the balance is looked at.
            let shares = stream.geometric(tilted);
            let lasts = (balance / step).floor() + 1.0;
            if shares as f64 > lasts {
                balance -= lasts * step;
                work += lasts * unit;
                break;
            }
            balance += 1.0 - shares as f64 * step;
            work += shares as f64 * unit;
        }
        let weight = (-z * (reserve - balance)).exp();
        samples.push([weight, if work <= horizon { weight } else { 0.0 }]);
    }
    let reach = deviations(confidence);
    let of = |i: usize| {
        let half = reach * (samples.covariance(i, i) / paths as f64).sqrt();
        let value = samples.mean(i);
        Estimate { value, low: (value - half).max(0.0), high: (value + half).min(1.0) }
    };
    Some(UltimateRuin {
        sampled: of(0),
        by_horizon: of(1),
        paths,
        exact: (-exponent * reserve).exp(),
        diffusion: (-2.0 * effective * reserve).exp(),
        exponent,
        effective_fee: effective,
    })
}

/// The exponent for shares that are not infinitely small: `p e^(-z (1 - step)) + (1 - p) e^(z step) = 1`.
fn share_exponent(p: f64, step: f64, start: f64) -> f64 {
    let excess = |z: f64| p * (-z * (1.0 - step)).exp_m1() + (1.0 - p) * (z * step).exp_m1();
    let (mut low, mut high) = (0.0, start);
    while excess(high) < 0.0 {
        low = high;
        high *= 2.0;
    }
    // Convex and zero at zero: below the root it is negative, above positive.
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if excess(middle) < 0.0 { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponents_of_ruin_are_the_known_ones() {
        for (fee, z) in [
            (0.005, 0.010_033_47),
            (0.01, 0.020_134_45),
            (0.02, 0.040_542_38),
            (0.03, 0.061_230_83),
            (0.04, 0.082_207_12),
            (0.05, 0.103_478_83),
        ] {
            let found = ruin_exponent(fee).unwrap();
            assert!((found - z).abs() < 2e-8, "{fee}: {found}");
        }
        assert_eq!(ruin_exponent(0.0), None);
        assert_eq!(ruin_exponent(-0.1), None);
    }

    #[test]
    fn tilted_paths_find_rare_ruin() {
        let payer = Payer { reserve: 30.0, fee: 0.02, alive: 1.0, unit: 1e-4, horizon: 1e12 };
        let likely = ultimate_ruin(&payer, 2_000, 1, 0.999_99).unwrap();
        // Shares of a ten-thousandth of a block end below zero by half of that on average.
        assert!((likely.sampled.value / 0.2963 - 1.0).abs() < 0.001, "{likely:?}");
        assert!((likely.by_horizon.value / likely.sampled.value - 1.0).abs() < 1e-9);
        let rare = Payer { reserve: 340.77, ..payer };
        let rare = ultimate_ruin(&rare, 2_000, 1, 0.999).unwrap();
        assert!((rare.exact / 1e-6 - 1.0).abs() < 0.001, "{rare:?}");
        assert!((rare.sampled.value / 1e-6 - 1.0).abs() < 0.002, "{rare:?}");
        let soon = Payer { horizon: 100.0, ..payer };
        let soon = ultimate_ruin(&soon, 20_000, 1, 0.999).unwrap();
        assert!(soon.by_horizon.value < 0.01 * soon.sampled.value.max(0.01) + 0.01, "{soon:?}");
    }

    #[test]
    fn withheld_blocks_eat_the_fee() {
        let payer = Payer { reserve: 30.0, fee: 0.02, alive: 0.98, unit: 1e-3, horizon: 1e3 };
        let certain = ultimate_ruin(&payer, 100, 1, 0.95).unwrap();
        assert_eq!((certain.sampled.value, certain.paths), (1.0, 0));
        assert!(certain.effective_fee.abs() < 1e-12);
    }

    /// Income that is the number of blocks and nothing else is known exactly once blocks are taken out.
    #[test]
    fn blocks_explain_income_of_a_steady_miner() {
        let mut stream = Stream::new(9, 0, Purpose::Blocks);
        let mut samples = Cross::<3>::default();
        for _ in 0..200 {
            let blocks = stream.poisson(100.0) as f64;
            samples.push([0.1 * blocks * 0.99, 10.0, blocks - 100.0]);
        }
        let (plain, controlled) = per_work(&samples, 0.95, true);
        let controlled = controlled.unwrap();
        assert!(plain.low < 0.99 && plain.high > 0.99 && plain.high - plain.low > 0.02, "{plain:?}");
        assert!((controlled.estimate.value - 0.99).abs() < 1e-9, "{controlled:?}");
        assert!(controlled.gain > 1e6);
    }
}
