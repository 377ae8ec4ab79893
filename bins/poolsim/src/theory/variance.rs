//! How far the pay of one share, and the income of a miner, spread.
//!
//! A share's variance is in units of its own fair value squared, for shares of equal weight `p` without fee; the
//! finite-`p` forms are exact and tend to the well-known ones as `p` falls. It says how much someone who comes and goes
//! depends on luck. It is **not** the variance of a steady miner's income: there a longer window changes nothing.

/// SOLO: `1/p - 1`.
#[must_use]
pub fn solo(p: f64) -> f64 {
    1.0 / p - 1.0
}

/// PROP, over shares of all ages: `ln(1/p)/(1-p) - 1`.
#[must_use]
pub fn prop(p: f64) -> f64 {
    -p.ln() / (1.0 - p) - 1.0
}

/// PPLNS with a window of `window` units: `(1-p)/X`.
#[must_use]
pub fn pplns(p: f64, window: f64) -> f64 {
    (1.0 - p) / window
}

/// The exponential window of mean life `window`: `(1-p)/(2L + p)`, which tends to `1/(2L)`.
///
/// Derived: a share is paid `(p/L) ρ^-(n+1)` of a block by the `n`-th share behind it if that is a block, `ρ = 1 + p/L`.
#[must_use]
pub fn exponential(p: f64, window: f64) -> f64 {
    (1.0 - p) / (2.0 * window + p)
}

/// The double geometric method with average fee `c` and carry-over `o` (the geometric method is `o = 0`), before the
/// operator's part: the mean is `1 - c`.
///
/// Derived: with `r = 1 + p(1-c)(1-o)/c` the pay `V` of a share obeys `V = r^-1 (b (r-1) + (o or 1) V')`, from which
/// the second moment is `p((r-1)² + 2(r-1) o m)/(r² - 1 + p(1-o²))`. Tends to `(1-c)^4 (1-o) / (c(2-c+oc))`.
#[must_use]
pub fn double_geometric(p: f64, c: f64, o: f64) -> f64 {
    let growth = p * (1.0 - c) * (1.0 - o) / c;
    let r = 1.0 + growth;
    let mean = p * (1.0 - c);
    let second = p * (growth * growth + 2.0 * growth * o * mean) / (r * r - 1.0 + p * (1.0 - o * o));
    (second - mean * mean) / (p * p)
}

/// The limit of [`double_geometric`] for small shares.
#[must_use]
pub fn double_geometric_limit(c: f64, o: f64) -> f64 {
    (1.0 - c).powi(4) * (1.0 - o) / (c * (2.0 - c + o * c))
}

/// The mean part of a block that the operator keeps under the geometric method: `c`, for any `p`.
#[must_use]
pub fn geometric_operator_mean(c: f64) -> f64 {
    c
}

/// The variance of that part: `p/(r² - 1 + p) - c²` with `r = 1 + p(1-c)/c`. Tends to `c(1-c)²/(2-c)`.
#[must_use]
pub fn geometric_operator_variance(p: f64, c: f64) -> f64 {
    let r = 1.0 + p * (1.0 - c) / c;
    p / (r * r - 1.0 + p) - c * c
}

/// The variance of a SOLO miner's income, in block values squared: a part `q` of the pool over `t` expected blocks
/// finds a Poisson number of them, `q t`.
#[must_use]
pub fn solo_income(q: f64, t: f64) -> f64 {
    q * t
}

/// The variance of a steady miner's income under PROP or any window: `q² t`, the pool's luck in his part of it.
#[must_use]
pub fn pooled_income(q: f64, t: f64) -> f64 {
    q * q * t
}

/// What comes on top because his shares in each window of `shares` shares are themselves counted by chance:
/// `q (1-q) t / N`, for blocks whose windows do not overlap.
#[must_use]
pub fn share_noise(q: f64, t: f64, shares: f64) -> f64 {
    q * (1.0 - q) * t / shares
}

/// Both for a PPLNS window of `window` units and shares of weight `p`: `q² t (1-p) + q (1-q) t p (X + 1 - p)/X`.
/// Windows overlap there, so that blocks have their noise in common, `X + 1` times that of [`share_noise`].
///
/// Derived: a share is paid `1/N = p/X` by each block in the window behind it, a binomial number of mean `X`; the mean
/// of its square is `X² + X(1-p)`, and `t/p` shares are handed in. The number of blocks has the variance `t (1-p)`.
#[must_use]
pub fn window_income(q: f64, t: f64, window: f64, p: f64) -> f64 {
    pooled_income(q, t) * (1.0 - p) + share_noise(q, t, window / p) * (window + 1.0 - p)
}

/// The variance of income under PPS: only the number of his own shares varies, `q t p` for shares of weight `p`.
#[must_use]
pub fn pps_income(q: f64, t: f64, p: f64) -> f64 {
    q * t * p
}
