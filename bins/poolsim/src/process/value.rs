//! What a block brings in: the subsidy of its time and its transaction fees, in blocks (multiples of the first subsidy).

use crate::random::{Purpose, Stream};
use crate::scenario::{FeeProcess, Scenario};

/// The values of blocks, in the order in which they are asked for.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    process: &'a FeeProcess,
    change: Option<(f64, f64)>,
    stream: Stream,
    /// The AR(1) logarithm, standardised.
    level: Option<f64>,
    place: usize,
}

impl<'a> Values<'a> {
    /// From the first block on.
    #[must_use]
    pub fn new(scenario: &'a Scenario, mut stream: Stream) -> Self {
        let place = match &scenario.fees {
            FeeProcess::Replay { parts } => stream.below(parts.len()),
            _ => 0,
        };
        let change = scenario.network.reward_change.map(|change| (change.at_seconds, change.factor));
        Self { process: &scenario.fees, change, stream, level: None, place }
    }

    /// The stream these draw from.
    pub const PURPOSE: Purpose = Purpose::Fees;

    /// The subsidy at a moment.
    #[must_use]
    pub fn subsidy(&self, seconds: f64) -> f64 {
        match self.change {
            Some((at, factor)) if seconds >= at => factor,
            _ => 1.0,
        }
    }

    /// Subsidy and fees of the next block.
    pub fn next(&mut self, seconds: f64) -> (f64, f64) {
        (self.subsidy(seconds), self.fees())
    }

    fn fees(&mut self) -> f64 {
        match *self.process {
            FeeProcess::None => 0.0,
            FeeProcess::Independent { mean, variation } => {
                let shock = self.stream.normal();
                lognormal(mean, variation, shock)
            }
            FeeProcess::Autoregressive { mean, variation, correlation } => {
                let shock = self.stream.normal();
                let level = match self.level {
                    Some(level) => correlation * level + (1.0 - correlation * correlation).sqrt() * shock,
                    None => shock,
                };
                self.level = Some(level);
                lognormal(mean, variation, level)
            }
            FeeProcess::Spikes { mean, chance, size } => {
                if self.stream.uniform() < chance {
                    size
                } else {
                    mean
                }
            }
            FeeProcess::Replay { ref parts } => {
                let part = parts[self.place];
                self.place = (self.place + 1) % parts.len();
                part
            }
        }
    }
}

/// A lognormal value of this mean and coefficient of variation, from a standard normal one.
fn lognormal(mean: f64, variation: f64, normal: f64) -> f64 {
    let variance = (variation * variation).ln_1p();
    mean * (variance.sqrt() * normal - 0.5 * variance).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use std::path::Path;

    fn scenario(fees: &str) -> Scenario {
        let text = format!(
            "name='v'\nfidelity='fluid'\nblocks=10\n[network]\ninterval_seconds=600\nsubsidy='100'\n\
             [network.reward_change]\nat_days=1\nfactor=0.5\n[fees]\n{fees}\n[[pool]]\nname='p'\n\
             [[miners]]\nname='m'\npart=0.1\n[[scheme]]\nkind='prop'\n"
        );
        Scenario::parse(&text, Path::new("")).unwrap()
    }

    fn moments(fees: &str) -> (f64, f64, f64) {
        let scenario = scenario(fees);
        let mut values = Values::new(&scenario, Stream::new(1, 0, Values::PURPOSE));
        let n = 100_000;
        let drawn: Vec<f64> = (0..n).map(|_| values.next(0.0).1).collect();
        let mean = drawn.iter().sum::<f64>() / f64::from(n);
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n);
        let next = drawn.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum::<f64>() / f64::from(n);
        (mean, variance.sqrt() / mean, next / variance)
    }

    #[test]
    fn fees_have_the_mean_the_spread_and_the_memory_asked_for() {
        let (mean, variation, memory) = moments("process='independent'\nmean=0.2\nvariation=0.5");
        assert!((mean - 0.2).abs() < 4.5 * 0.1 / 316.0, "{mean}");
        assert!((variation - 0.5).abs() < 0.02 && memory.abs() < 0.02, "{variation} {memory}");
        let (mean, variation, memory) = moments("process='ar1'\nmean=0.2\nvariation=0.5\ncorrelation=0.9");
        assert!((mean - 0.2).abs() < 0.01 && (variation - 0.5).abs() < 0.05, "{mean} {variation}");
        // Of the values, not of their logarithms: (e^(0.9 s^2) - 1) / (e^(s^2) - 1) with s^2 = ln 1.25.
        assert!((memory - (1.25f64.powf(0.9) - 1.0) / 0.25).abs() < 0.03, "{memory}");
        let (mean, ..) = moments("process='spikes'\nmean=0.1\nchance=0.01\nsize=10.1");
        assert!((mean - 0.2).abs() < 4.5 * 1.0 / 316.0, "{mean}");
        assert_eq!(moments("process='none'").0, 0.0);
    }

    #[test]
    fn the_reward_changes_when_it_should() {
        let scenario = scenario("process='none'");
        let mut values = Values::new(&scenario, Stream::new(1, 0, Values::PURPOSE));
        assert_eq!(values.next(86_399.0), (1.0, 0.0));
        assert_eq!(values.next(86_400.0), (0.5, 0.0));
    }
}
