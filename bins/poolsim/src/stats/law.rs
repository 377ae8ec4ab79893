//! Laws that charts are compared with: the gamma law of luck, and Wilson's interval of a proportion.

use super::deviations;
use crate::outcome::Estimate;

/// Lanczos' approximation of `ln Γ(x)` for `x > 0`; off by less than 1e-13 of itself.
#[must_use]
pub fn ln_gamma(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let t = x + 7.5;
    let mut sum = 0.999_999_999_999_809_9;
    for (index, coefficient) in COEFFICIENTS.iter().enumerate() {
        sum += coefficient / (x + 1.0 + index as f64);
    }
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// The regularised lower incomplete gamma function `P(a, x)`: by its series below `a + 1`, else by its continued
/// fraction.
fn gamma_below(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut k) = (1.0 / a, 1.0 / a, a);
        while term.abs() > sum.abs() * 1e-16 {
            k += 1.0;
            term *= x / k;
            sum += term;
        }
        return front * sum;
    }
    let tiny = 1e-300;
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1.0 / tiny, 1.0 / b);
    let mut h = d;
    for i in 1..100_000 {
        let i = f64::from(i);
        let an = -i * (i - a);
        b += 2.0;
        d = an * d + b;
        d = if d.abs() < tiny { tiny } else { d };
        c = b + an / c;
        c = if c.abs() < tiny { tiny } else { c };
        d = 1.0 / d;
        let factor = d * c;
        h *= factor;
        if (factor - 1.0).abs() < 1e-15 {
            break;
        }
    }
    1.0 - front * h
}

/// The `p` quantile of the mean of `n` exponentials of mean one: what luck alone does to the work per block after `n`
/// blocks. `n` above zero, `p` within `(0, 1)`.
#[must_use]
pub fn gamma_quantile(n: u64, p: f64) -> f64 {
    let a = n as f64;
    let (mut low, mut high) = (0.0, a + 20.0 + 12.0 * a.sqrt());
    while high - low > 1e-12 * high {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if gamma_below(a, middle) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high) / a
}

/// Wilson's interval of a proportion; all of `0..=1` where there is no trial.
#[must_use]
pub fn wilson(hits: u64, trials: u64, confidence: f64) -> Estimate {
    if trials == 0 {
        return Estimate { value: 0.0, low: 0.0, high: 1.0 };
    }
    let (n, p, z) = (trials as f64, hits as f64 / trials as f64, deviations(confidence));
    let center = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    Estimate { value: p, low: (center - half).max(0.0).min(p), high: (center + half).min(1.0).max(p) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luck_bands_are_the_known_ones() {
        for (n, p, value) in [
            (1, 0.5, std::f64::consts::LN_2),
            (1, 0.9, std::f64::consts::LN_10),
            (1, 0.999, 6.907_755),
            (10, 0.05, 0.542_541),
            (10, 0.95, 1.570_522),
            (100, 0.05, 0.841_40),
            (100, 0.95, 1.169_97),
        ] {
            let quantile = gamma_quantile(n, p);
            assert!((quantile - value).abs() < 2e-4, "n {n} p {p}: {quantile}");
        }
        assert!((gamma_quantile(1_000_000, 0.5) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn wilson_never_leaves_the_unit_interval() {
        let none = wilson(0, 100, 0.95);
        assert_eq!((none.value, none.low), (0.0, 0.0));
        assert!((none.high - 0.036_99).abs() < 1e-4, "{none:?}");
        let half = wilson(50, 100, 0.95);
        assert!((half.low - 0.403_83).abs() < 1e-4 && (half.high - 0.596_17).abs() < 1e-4, "{half:?}");
        assert_eq!(wilson(7, 7, 0.99).high, 1.0);
    }
}
