//! What is kept of many values: sums that merge, quantiles that merge, intervals.
//!
//! Everything here is absorbed in one fixed order, chunk by chunk, so results do not depend on threads. The sketch
//! counts integers in bins of fixed edges and would merge in any order.

mod law;
mod moments;
mod sketch;
mod totals;

pub use law::{gamma_quantile, ln_gamma, wilson};
pub use moments::{Cross, Moments};
pub use sketch::Sketch;
pub use totals::{Totals, summary};

use crate::outcome::{Distribution, Estimate, QUANTILES};
use crate::random::normal_quantile;

/// A random quantity, one value per replication.
///
/// Where replications come in antithetic pairs, the interval is that of the pairs' means: the two are not independent.
#[derive(Clone, Debug, Default)]
pub struct Quantity {
    all: Moments,
    pairs: Option<(Moments, Option<f64>)>,
    sketch: Sketch,
}

impl Quantity {
    /// Nothing seen.
    #[must_use]
    pub fn new(antithetic: bool) -> Self {
        Self { pairs: antithetic.then(Default::default), ..Self::default() }
    }

    /// The next replication's value. A chunk holds whole pairs.
    pub fn push(&mut self, value: f64) {
        self.all.push(value);
        self.sketch.push(value);
        if let Some((pairs, waiting)) = &mut self.pairs {
            match waiting.take() {
                Some(partner) => pairs.push(0.5 * (partner + value)),
                None => *waiting = Some(value),
            }
        }
    }

    /// Appends what another has seen after this one.
    pub fn merge(&mut self, later: &Self) {
        self.all.merge(&later.all);
        self.sketch.merge(&later.sketch);
        if let (Some((pairs, _)), Some((others, _))) = (&mut self.pairs, &later.pairs) {
            pairs.merge(others);
        }
    }

    /// Values seen.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.all.count()
    }

    /// Their mean.
    #[must_use]
    pub const fn mean(&self) -> f64 {
        self.all.mean()
    }

    /// Quantiles at these probabilities.
    #[must_use]
    pub fn quantiles<const N: usize>(&self, at: [f64; N]) -> [f64; N] {
        at.map(|p| self.sketch.quantile(p).clamp(self.all.min(), self.all.max()))
    }

    /// What is reported of it, all values multiplied by `scale`, which is not below zero.
    #[must_use]
    pub fn distribution(&self, confidence: f64, scale: f64) -> Distribution {
        if self.all.count() == 0 {
            return Distribution::default();
        }
        let interval = self.pairs.as_ref().map_or(&self.all, |(pairs, _)| pairs);
        let half = interval.half_width(confidence) * scale;
        let mean = self.all.mean() * scale;
        Distribution {
            count: self.all.count(),
            mean: Estimate { value: mean, low: mean - half, high: mean + half },
            variance: self.all.variance() * scale * scale,
            skew: self.all.skew(),
            min: self.all.min() * scale,
            max: self.all.max() * scale,
            quantiles: self.quantiles(QUANTILES).map(|quantile| quantile * scale),
        }
    }
}

/// How many standard errors an interval of this confidence reaches to each side.
#[must_use]
pub fn deviations(confidence: f64) -> f64 {
    normal_quantile(0.5 + 0.5 * confidence)
}

/// Samples of `N` quantities at a time, paired where replications are antithetic.
#[derive(Clone, Debug)]
pub struct Joint<const N: usize> {
    samples: Cross<N>,
    antithetic: bool,
    waiting: Option<[f64; N]>,
}

impl<const N: usize> Joint<N> {
    /// Nothing seen.
    #[must_use]
    pub fn new(antithetic: bool) -> Self {
        Self { samples: Cross::default(), antithetic, waiting: None }
    }

    /// The next replication's values.
    pub fn push(&mut self, values: [f64; N]) {
        if !self.antithetic {
            self.samples.push(values);
        } else if let Some(partner) = self.waiting.take() {
            let mut mean = values;
            for (value, other) in mean.iter_mut().zip(partner) {
                *value = 0.5 * (*value + other);
            }
            self.samples.push(mean);
        } else {
            self.waiting = Some(values);
        }
    }

    /// Appends what another has seen after this one.
    pub fn merge(&mut self, later: &Self) {
        self.samples.merge(&later.samples);
    }

    /// The samples: replications, or pairs of them.
    #[must_use]
    pub const fn samples(&self) -> &Cross<N> {
        &self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_narrow_the_interval_and_not_the_spread() {
        let (mut plain, mut paired) = (Quantity::new(false), Quantity::new(true));
        for k in 0..100 {
            let x = f64::from(k) / 100.0;
            for value in [x, 2.0 - x] {
                plain.push(value);
                paired.push(value);
            }
        }
        let (plain, paired) = (plain.distribution(0.95, 1.0), paired.distribution(0.95, 1.0));
        assert_eq!(plain.variance, paired.variance);
        assert!(plain.mean.high - plain.mean.low > 0.1);
        assert!(paired.mean.high - paired.mean.low < 1e-9);
        let doubled = Quantity::new(false).distribution(0.95, 2.0);
        assert_eq!(doubled, Distribution::default());
    }
}
