//! Means, variances, skewness and covariances in one pass, mergeable (Chan's and Pebay's update formulas).

use super::deviations;

/// Moments of one quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    count: u64,
    mean: f64,
    second: f64,
    third: f64,
    min: f64,
    max: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self { count: 0, mean: 0.0, second: 0.0, third: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Moments {
    /// One more value.
    pub fn push(&mut self, value: f64) {
        self.merge(&Self { count: 1, mean: value, second: 0.0, third: 0.0, min: value, max: value });
    }

    /// Appends what another has seen.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let n = a + b;
        let delta = other.mean - self.mean;
        self.third += other.third
            + delta * delta * delta * a * b * (a - b) / (n * n)
            + 3.0 * delta * (a * other.second - b * self.second) / n;
        self.second += other.second + delta * delta * a * b / n;
        self.mean += delta * b / n;
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Values seen.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; zero of none.
    #[must_use]
    pub const fn mean(&self) -> f64 {
        self.mean
    }

    /// The least; infinity of none.
    #[must_use]
    pub const fn min(&self) -> f64 {
        self.min
    }

    /// The greatest; minus infinity of none.
    #[must_use]
    pub const fn max(&self) -> f64 {
        self.max
    }

    /// Sample variance; zero below two values.
    #[must_use]
    pub fn variance(&self) -> f64 {
        if self.count < 2 { 0.0 } else { (self.second / (self.count - 1) as f64).max(0.0) }
    }

    /// Skewness; zero where nothing varies.
    #[must_use]
    pub fn skew(&self) -> f64 {
        let n = self.count as f64;
        // What is left of equal values after rounding is no spread.
        let noise = f64::EPSILON * self.mean.abs();
        if self.count < 3 || self.second <= n * noise * noise {
            return 0.0;
        }
        n.sqrt() * self.third / self.second.powf(1.5)
    }

    /// Half the width of the mean's interval; zero below two values.
    #[must_use]
    pub fn half_width(&self, confidence: f64) -> f64 {
        if self.count < 2 {
            0.0
        } else {
            deviations(confidence) * (self.variance() / self.count as f64).sqrt()
        }
    }
}

/// Means and covariances of `N` quantities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cross<const N: usize> {
    count: u64,
    mean: [f64; N],
    products: [[f64; N]; N],
}

impl<const N: usize> Default for Cross<N> {
    fn default() -> Self {
        Self { count: 0, mean: [0.0; N], products: [[0.0; N]; N] }
    }
}

impl<const N: usize> Cross<N> {
    /// One more sample.
    pub fn push(&mut self, values: [f64; N]) {
        self.merge(&Self { count: 1, mean: values, products: [[0.0; N]; N] });
    }

    /// Appends what another has seen.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let n = a + b;
        let mut delta = [0.0; N];
        for (delta, (theirs, mine)) in delta.iter_mut().zip(other.mean.iter().zip(self.mean)) {
            *delta = theirs - mine;
        }
        for (i, row) in self.products.iter_mut().enumerate() {
            for (j, product) in row.iter_mut().enumerate() {
                *product += other.products[i][j] + delta[i] * delta[j] * a * b / n;
            }
        }
        for (mean, delta) in self.mean.iter_mut().zip(delta) {
            *mean += delta * b / n;
        }
        self.count += other.count;
    }

    /// Samples seen.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The mean of quantity `i`.
    #[must_use]
    pub const fn mean(&self, i: usize) -> f64 {
        self.mean[i]
    }

    /// The sample covariance of quantities `i` and `j`; zero below two samples.
    #[must_use]
    pub fn covariance(&self, i: usize, j: usize) -> f64 {
        if self.count < 2 { 0.0 } else { self.products[i][j] / (self.count - 1) as f64 }
    }

    /// The variance of `Σ weights × quantities`.
    #[must_use]
    pub fn variance_of(&self, weights: [f64; N]) -> f64 {
        let mut sum = 0.0;
        for (i, left) in weights.iter().enumerate() {
            for (j, right) in weights.iter().enumerate() {
                sum += left * right * self.covariance(i, j);
            }
        }
        sum.max(0.0)
    }

    /// The mean of quantity `i` over that of quantity `j`, and its standard error (delta method). `None` for a zero
    /// denominator.
    #[must_use]
    pub fn ratio(&self, i: usize, j: usize) -> Option<(f64, f64)> {
        if self.count == 0 || self.mean[j] == 0.0 {
            return None;
        }
        let ratio = self.mean[i] / self.mean[j];
        let mut weights = [0.0; N];
        weights[i] += 1.0;
        weights[j] -= ratio;
        let error = (self.variance_of(weights) / self.count as f64).sqrt() / self.mean[j].abs();
        Some((ratio, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn merging_is_the_same_as_one_pass(values in prop::collection::vec(-1e3f64..1e3, 3..60), cut in 0usize..60) {
            let cut = cut.min(values.len());
            let of = |values: &[f64]| {
                let mut moments = Moments::default();
                values.iter().for_each(|value| moments.push(*value));
                moments
            };
            let mut merged = of(&values[..cut]);
            merged.merge(&of(&values[cut..]));
            let whole = of(&values);
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let power = |p: i32| values.iter().map(|x| (x - mean).powi(p)).sum::<f64>() / n;
            for moments in [merged, whole] {
                prop_assert!((moments.mean() - mean).abs() < 1e-9 * 1e3);
                prop_assert!((moments.variance() - power(2) * n / (n - 1.0)).abs() < 1e-9 * 1e6);
                if power(2) > 1.0 {
                    prop_assert!((moments.skew() - power(3) / power(2).powf(1.5)).abs() < 1e-6);
                }
            }
        }

        #[test]
        fn covariances_are_those_of_the_definition(
            values in prop::collection::vec((-1e2f64..1e2, -1e2f64..1e2), 2..40),
            cut in 0usize..40,
        ) {
            let cut = cut.min(values.len());
            let of = |values: &[(f64, f64)]| {
                let mut cross = Cross::<2>::default();
                values.iter().for_each(|(x, y)| cross.push([*x, *y]));
                cross
            };
            let mut merged = of(&values[..cut]);
            merged.merge(&of(&values[cut..]));
            let n = values.len() as f64;
            let (mx, my) = (values.iter().map(|v| v.0).sum::<f64>() / n, values.iter().map(|v| v.1).sum::<f64>() / n);
            let covariance = values.iter().map(|(x, y)| (x - mx) * (y - my)).sum::<f64>() / (n - 1.0);
            prop_assert!((merged.covariance(0, 1) - covariance).abs() < 1e-8);
            prop_assert!((merged.variance_of([1.0, -1.0]) - merged.covariance(0, 0) - merged.covariance(1, 1)
                + 2.0 * merged.covariance(0, 1)).abs() < 1e-8);
        }
    }
}
