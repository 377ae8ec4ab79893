//! Hashrates of a group's accounts.
//!
//! A group has a total; how it is spread decides what each account gets of it. Drawn spreads come from the scenario's
//! seed alone, so all replications and all schemes see the same people.

use crate::random::{Purpose, Stream};

/// How a group's total is spread over its accounts.
#[derive(Clone, Debug, PartialEq)]
pub enum Spread {
    /// All the same.
    Equal,
    /// Logarithms are normal with this standard deviation.
    Lognormal {
        /// Of the logarithm.
        sigma: f64,
    },
    /// A Pareto law: the part above `x` falls like `x^-alpha`.
    Pareto {
        /// The exponent, above zero. At most one means that a few have nearly all.
        alpha: f64,
    },
    /// In these ratios.
    Given(Vec<f64>),
}

impl Spread {
    /// Parts of `total` for `count` accounts; [`Spread::Given`] has its own count. `stream_of` tells groups apart. All
    /// parts are above zero and sum to `total` up to rounding, the largest first.
    #[must_use]
    pub fn parts(&self, total: f64, count: usize, seed: u64, group: u64) -> Vec<f64> {
        let mut stream = Stream::new(seed, group, Purpose::Population);
        let mut sizes: Vec<f64> = match self {
            Self::Equal => vec![1.0; count],
            Self::Lognormal { sigma } => (0..count).map(|_| (sigma * stream.normal()).exp()).collect(),
            Self::Pareto { alpha } => (0..count).map(|_| stream.uniform().powf(-1.0 / alpha)).collect(),
            Self::Given(ratios) => ratios.clone(),
        };
        if !matches!(self, Self::Given(_)) {
            sizes.sort_by(|left, right| right.total_cmp(left));
        }
        let sum: f64 = sizes.iter().sum();
        sizes.into_iter().map(|size| total * size / sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_come_from_the_seed() {
        for spread in [
            Spread::Equal,
            Spread::Lognormal { sigma: 1.5 },
            Spread::Pareto { alpha: 1.16 },
            Spread::Given(vec![1.0, 3.0]),
        ] {
            let parts = spread.parts(0.2, 50, 7, 1);
            assert!((parts.iter().sum::<f64>() - 0.2).abs() < 1e-12);
            assert!(parts.iter().all(|part| *part > 0.0));
            assert_eq!(parts, spread.parts(0.2, 50, 7, 1));
        }
        let lognormal = Spread::Lognormal { sigma: 1.0 };
        assert_ne!(lognormal.parts(1.0, 9, 7, 1), lognormal.parts(1.0, 9, 7, 2));
        assert_eq!(Spread::Given(vec![1.0, 3.0]).parts(0.2, 0, 7, 1), [0.05, 0.15000000000000002]);
    }

    #[test]
    fn a_lognormal_group_has_its_spread() {
        let parts = Spread::Lognormal { sigma: 0.8 }.parts(1.0, 20_000, 3, 0);
        let logs: Vec<f64> = parts.iter().map(|part| part.ln()).collect();
        let mean = logs.iter().sum::<f64>() / 20_000.0;
        let deviation = (logs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0).sqrt();
        assert!((deviation - 0.8).abs() < 4.5 * 0.8 / (2.0f64 * 20_000.0).sqrt(), "{deviation}");
    }
}
