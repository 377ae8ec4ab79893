//! Quantiles by counting in bins of growing width: integers, so the order of merging never matters.

use std::collections::BTreeMap;

/// Each bin is wider than the one nearer to zero by this factor; a quantile is off by half of that, 0.5 %.
const GROWTH: f64 = 1.01;
/// Values nearer to zero than this count as zero.
const ZERO: f64 = 1e-12;

/// Counts of values, by size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Negative bins are counted under `-index - SHIFT`, positive ones under `index + SHIFT`, zero under 0.
    bins: BTreeMap<i32, u64>,
    count: u64,
}

/// Larger than any bin's distance from one.
const SHIFT: i32 = 1 << 20;

fn bin(value: f64) -> i32 {
    let size = value.abs();
    if size < ZERO || size.is_nan() {
        return 0;
    }
    let index = (size.ln() / GROWTH.ln()).floor().clamp(-1e5, 1e5) as i32 + SHIFT;
    if value < 0.0 { -index } else { index }
}

fn middle(bin: i32) -> f64 {
    match bin {
        0 => 0.0,
        1.. => GROWTH.powf(f64::from(bin - SHIFT) + 0.5),
        _ => -GROWTH.powf(f64::from(-bin - SHIFT) + 0.5),
    }
}

impl Sketch {
    /// One more value; `NaN` counts as zero.
    pub fn push(&mut self, value: f64) {
        *self.bins.entry(bin(value)).or_default() += 1;
        self.count += 1;
    }

    /// Adds what another has seen.
    pub fn merge(&mut self, other: &Self) {
        for (bin, count) in &other.bins {
            *self.bins.entry(*bin).or_default() += count;
        }
        self.count += other.count;
    }

    /// The value below which a part `p` of all values lie; zero of none.
    #[must_use]
    pub fn quantile(&self, p: f64) -> f64 {
        let rank = (p * (self.count.saturating_sub(1)) as f64).round() as u64;
        let mut below = 0;
        for (bin, count) in &self.bins {
            below += count;
            if below > rank {
                return middle(*bin);
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_quantile_is_off_by_half_a_percent(
            mut values in prop::collection::vec(-1e6f64..1e6, 1..200),
            p in 0.0f64..=1.0,
        ) {
            let mut sketch = Sketch::default();
            values.iter().for_each(|value| sketch.push(*value));
            values.sort_by(f64::total_cmp);
            let exact = values[(p * (values.len() - 1) as f64).round() as usize];
            prop_assert!((sketch.quantile(p) - exact).abs() <= 0.0051 * exact.abs() + ZERO);
        }

        #[test]
        fn order_and_merging_change_nothing(values in prop::collection::vec(-1e3f64..1e3, 2..80), cut in 1usize..80) {
            let cut = cut.min(values.len());
            let of = |values: &[f64]| {
                let mut sketch = Sketch::default();
                values.iter().for_each(|value| sketch.push(*value));
                sketch
            };
            let (mut one, mut two) = (of(&values[..cut]), of(&values[cut..]));
            let whole = of(&values);
            let first = one.clone();
            one.merge(&two);
            two.merge(&first);
            prop_assert_eq!(&one, &whole);
            prop_assert_eq!(&two, &whole);
        }
    }
}
