//! Random numbers that know where they belong.
//!
//! A [`Stream`] is named by the scenario's seed, a replication and a [`Purpose`]. Its name is the key of one ChaCha8
//! block, whose output seeds a xoshiro256++ generator: two names never share a key, and a replication's luck depends
//! neither on threads nor on what other replications drew. One purpose per source of luck keeps luck common where
//! scenarios differ in something else: another scheme, fee process or strategy draws from streams of its own.
//!
//! A stream of opposite bits gives the opposite luck, which is what antithetic replications are: uniform, exponential,
//! normal and geometric numbers are monotone in one uniform number. Large binomial numbers are drawn by rejection and
//! are merely different then.

use crate::stats::ln_gamma;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream's numbers decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// How much work until the next block.
    Blocks = 1,
    /// Whose share it is, or how many of them are whose.
    Shares = 2,
    /// Which account found a block, where shares are not drawn one by one.
    Finders = 3,
    /// Transaction fees.
    Fees = 4,
    /// When accounts are on duty.
    Duty = 5,
    /// The network's hashrate.
    Hashrate = 6,
    /// Which blocks are withheld.
    Withheld = 7,
    /// Blocks of the rest of the network, and forks.
    Net = 8,
    /// Stale shares.
    Stales = 9,
    /// Paths to ruin.
    Ruin = 10,
    /// Hashrates of a population; replication 0 always.
    Population = 11,
    /// The withholding game, played out.
    Game = 12,
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream {
    state: [u64; 4],
    /// All ones where this stream is the opposite of its partner.
    flip: u64,
}

impl Stream {
    /// The stream of this name.
    #[must_use]
    pub fn new(seed: u64, replication: u64, purpose: Purpose) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&replication.to_le_bytes());
        key[16] = purpose as u8;
        key[24..].copy_from_slice(b"poolsim1");
        let mut chacha = ChaCha8Rng::from_seed(key);
        let mut state = [0; 4];
        for word in &mut state {
            *word = chacha.next_u64();
        }
        // The one state that never leaves itself.
        if state == [0; 4] {
            state[0] = 1;
        }
        Self { state, flip: 0 }
    }

    /// As [`Stream::new`]; replications `2k` and `2k + 1` are each other's opposite.
    #[must_use]
    pub fn antithetic(seed: u64, replication: u64, purpose: Purpose) -> Self {
        let mut stream = Self::new(seed, replication / 2, purpose);
        stream.flip = if replication % 2 == 1 { u64::MAX } else { 0 };
        stream
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result ^ self.flip
    }

    /// Uniform on `(0, 1)`, symmetric around a half: 2^52 values, neither end among them.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
    }

    /// Exponential with mean one.
    #[inline]
    pub fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }

    /// Standard normal, by inversion.
    pub fn normal(&mut self) -> f64 {
        normal_quantile(self.uniform())
    }

    /// Trials up to and with the first success of probability `p`, at least 1.
    #[inline]
    pub fn geometric(&mut self, p: f64) -> u64 {
        if p >= 1.0 {
            return 1;
        }
        // ln(u) / ln(1 - p); a number past 2^64 saturates, after which no replication has work.
        1 + (self.uniform().ln() / (-p).ln_1p()) as u64
    }

    /// An index below `count`, which is above zero.
    #[inline]
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }

    /// Successes among `trials` of probability `p`.
    pub fn binomial(&mut self, trials: u64, p: f64) -> u64 {
        if p <= 0.0 || trials == 0 {
            return 0;
        }
        if p >= 1.0 {
            return trials;
        }
        if p > 0.5 {
            return trials - self.binomial(trials, 1.0 - p);
        }
        let mean = trials as f64 * p;
        if mean < 14.0 { self.binomial_inverted(trials, p) } else { self.binomial_squeezed(trials, p) }
    }

    /// Events of a Poisson process in which `mean` are expected, at most about `2^50`.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            return 0;
        }
        if mean < 12.0 {
            let (mut left, mut probability, mut events) = (self.uniform(), (-mean).exp(), 0u64);
            while left > probability && probability > 1e-300 {
                left -= probability;
                events += 1;
                probability *= mean / events as f64;
            }
            return events;
        }
        // Hormann's PTRS: transformed rejection with squeeze.
        let spread = mean.sqrt();
        let b = 0.931 + 2.53 * spread;
        let a = -0.059 + 0.02483 * b;
        let alpha = 1.1239 + 1.1328 / (b - 3.4);
        let quick = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let u = self.uniform() - 0.5;
            let v = self.uniform();
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
            if us >= 0.07 && v <= quick {
                return k as u64;
            }
            if k < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            if (v * alpha / (a / (us * us) + b)).ln() <= k * mean.ln() - mean - ln_gamma(k + 1.0) {
                return k as u64;
            }
        }
    }

    /// By adding up probabilities from zero.
    fn binomial_inverted(&mut self, trials: u64, p: f64) -> u64 {
        let odds = p / (1.0 - p);
        let mut probability = (trials as f64 * (-p).ln_1p()).exp();
        let mut left = self.uniform();
        let mut successes = 0;
        while left > probability && successes < trials {
            left -= probability;
            successes += 1;
            probability *= odds * (trials - successes + 1) as f64 / successes as f64;
            if probability < 1e-300 {
                break;
            }
        }
        successes
    }

    /// By a transformed rejection with squeeze (Hormann's BTRS), exact for means from ten on.
    fn binomial_squeezed(&mut self, trials: u64, p: f64) -> u64 {
        let n = trials as f64;
        let odds = p / (1.0 - p);
        let spread = (n * p * (1.0 - p)).sqrt();
        let b = 1.15 + 2.53 * spread;
        let a = -0.0873 + 0.0248 * b + 0.01 * p;
        let center = n * p + 0.5;
        let quick = 0.92 - 4.2 / b;
        let alpha = (2.83 + 5.1 / b) * spread;
        let mode = ((n + 1.0) * p).floor();
        loop {
            let u = self.uniform() - 0.5;
            let mut v = self.uniform();
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + center).floor();
            if us >= 0.07 && v <= quick && k >= 0.0 && k <= n {
                return k as u64;
            }
            if k < 0.0 || k > n {
                continue;
            }
            v = (v * alpha / (a / (us * us) + b)).ln();
            let upper = (mode + 0.5) * ((mode + 1.0) / (odds * (n - mode + 1.0))).ln()
                + (n + 1.0) * ((n - mode + 1.0) / (n - k + 1.0)).ln()
                + (k + 0.5) * (odds * (n - k + 1.0) / (k + 1.0)).ln()
                + stirling(mode)
                + stirling(n - mode)
                - stirling(k)
                - stirling(n - k);
            if v <= upper {
                return k as u64;
            }
        }
    }
}

/// `ln k!` less Stirling's approximation of it.
fn stirling(k: f64) -> f64 {
    const TABLE: [f64; 10] = [
        0.081_061_466_795_327_8,
        0.041_340_695_955_409_5,
        0.027_677_925_684_998_3,
        0.020_790_672_103_765_2,
        0.016_644_691_189_821_3,
        0.013_876_128_823_071_1,
        0.011_896_709_945_892_4,
        0.010_411_265_261_972_0,
        0.009_255_462_182_712_75,
        0.008_330_563_433_362_87,
    ];
    if k < 10.0 {
        return TABLE[k as usize];
    }
    let next = (k + 1.0) * (k + 1.0);
    (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / 1260.0 / next) / next) / (k + 1.0)
}

/// The standard normal quantile at `p` in `(0, 1)`: Acklam's rational approximation, off by less than 1.2e-9 of itself.
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        horner(&C, q) / (horner(&D, q) * q + 1.0)
    };
    if p < 0.02425 {
        tail(p)
    } else if p > 1.0 - 0.02425 {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        let r = q * q;
        horner(&A, r) * q / (horner(&B, r) * r + 1.0)
    }
}

fn horner(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// Draws from fixed odds in constant time (Walker's aliases).
#[derive(Clone, Debug, Default)]
pub struct Alias {
    cells: Vec<(u64, u32)>,
}

impl Alias {
    /// The table of these weights: finite, none below zero, at most `2^32`, not all zero.
    #[must_use]
    pub fn new(weights: &[f64]) -> Self {
        let total: f64 = weights.iter().sum();
        let scale = weights.len() as f64 / total;
        let mut heights: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..heights.len()).partition(|&i| heights[i] < 1.0);
        let mut cells: Vec<(u64, u32)> = (0..heights.len()).map(|own| (u64::MAX, own as u32)).collect();
        while let (Some(&low), Some(&high)) = (small.last(), large.last()) {
            small.pop();
            // The part of the cell that is its own, in 2^-64.
            cells[low] = ((heights[low] * 2f64.powi(64)) as u64, high as u32);
            heights[high] -= 1.0 - heights[low];
            if heights[high] < 1.0 {
                large.pop();
                small.push(high);
            }
        }
        Self { cells }
    }

    /// An index, by its weight.
    #[inline]
    pub fn draw(&self, stream: &mut Stream) -> u32 {
        let product = u128::from(stream.bits()) * self.cells.len() as u128;
        let cell = (product >> 64) as usize;
        let (own, alias) = self.cells[cell];
        if (product as u64) < own { cell as u32 } else { alias }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of xoshiro256++ from the state 1, 2, 3, 4, as its authors publish them.
    #[test]
    fn the_generator_is_the_published_one() {
        let mut stream = Stream { state: [1, 2, 3, 4], flip: 0 };
        let expected = [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386];
        assert_eq!(expected.map(|_| stream.bits()), expected);
    }

    #[test]
    fn names_make_streams() {
        let first = |seed, replication, purpose| Stream::new(seed, replication, purpose).bits();
        assert_eq!(first(1, 2, Purpose::Blocks), first(1, 2, Purpose::Blocks));
        let others =
            [first(2, 2, Purpose::Blocks), first(1, 3, Purpose::Blocks), first(1, 2, Purpose::Shares)];
        assert!(others.iter().all(|other| *other != first(1, 2, Purpose::Blocks)));
        let (mut plus, mut minus) =
            (Stream::antithetic(1, 6, Purpose::Fees), Stream::antithetic(1, 7, Purpose::Fees));
        for _ in 0..100 {
            assert!((plus.uniform() + minus.uniform() - 1.0).abs() < 1e-12);
        }
    }

    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let n = 200_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            let x = draw();
            sum += x;
            squares += x * x;
        }
        let mean = sum / f64::from(n);
        (mean, squares / f64::from(n) - mean * mean)
    }

    /// Means within 4.5 standard errors, variances within 3 %.
    #[test]
    fn every_law_has_its_mean_and_variance() {
        let mut s = Stream::new(5, 0, Purpose::Blocks);
        let check = |name: &str, (mean, variance): (f64, f64), of_mean: f64, of_variance: f64| {
            let z = (mean - of_mean) / (of_variance / 200_000.0).sqrt();
            assert!(z.abs() < 4.5, "{name}: mean {mean} for {of_mean}, z {z}");
            assert!(
                (variance / of_variance - 1.0).abs() < 0.03,
                "{name}: variance {variance} for {of_variance}"
            );
        };
        check("uniform", moments(|| s.uniform()), 0.5, 1.0 / 12.0);
        check("exponential", moments(|| s.exponential()), 1.0, 1.0);
        check("normal", moments(|| s.normal()), 0.0, 1.0);
        check("geometric", moments(|| s.geometric(0.01) as f64), 100.0, 9900.0);
        check("few", moments(|| s.binomial(40, 0.1) as f64), 4.0, 3.6);
        check("many", moments(|| s.binomial(1000, 0.3) as f64), 300.0, 210.0);
        check("most", moments(|| s.binomial(1000, 0.9) as f64), 900.0, 90.0);
        check("huge", moments(|| s.binomial(10_000_000, 0.01) as f64), 1e5, 99_000.0);
        check("rare", moments(|| s.poisson(3.5) as f64), 3.5, 3.5);
        check("frequent", moments(|| s.poisson(230.0) as f64), 230.0, 230.0);
        let alias = Alias::new(&[1.0, 0.0, 3.0, 4.0]);
        let counts =
            (0..4).map(|wanted| moments(|| f64::from(alias.draw(&mut s) == wanted)).0).collect::<Vec<_>>();
        for (count, part) in counts.iter().zip([0.125, 0.0, 0.375, 0.5]) {
            assert!((count - part).abs() < 0.006, "{counts:?}");
        }
    }

    #[test]
    fn normal_quantiles_are_the_known_ones() {
        for (p, x) in
            [(0.975, 1.959_963_985), (0.5, 0.0), (0.001, -3.090_232_306), (0.999_999, 4.753_424_309)]
        {
            assert!((normal_quantile(p) - x).abs() < 1e-7, "{p}");
        }
    }
}
