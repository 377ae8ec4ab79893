//! What a share is worth that is handed in at a chosen moment: hopping between rounds, windows at retargets, halvings
//! and starts, and windows of time.
//!
//! Values are relative: 1 is the fair value, a share's chance to be a block times the block. Ages and windows are in
//! expected blocks. All here follow from one fact: the work until the next block is exponential with mean one,
//! whatever was done before.

use super::special::{e1, root, scaled_e1};

/// What a share at age `x > 0` of a PROP round is worth: `e^x E1(x)`, the mean of `1 / (x + N)` for an exponential `N`.
///
/// Source: Rosenfeld 2011, appendix B, re-derived.
#[must_use]
pub fn round_age_value(x: f64) -> f64 {
    scaled_e1(x)
}

/// The same for shares of finite weight `p`, with `before` shares in the round: `Σ (1-p)^(n-1) / (before + n)`.
///
/// Costs `40 / p` steps except for `before = 0`, where the sum is `ln(1/p) / (1-p)`.
#[must_use]
pub fn round_age_value_discrete(before: u64, p: f64) -> f64 {
    if p >= 1.0 {
        return 1.0 / (before as f64 + 1.0);
    }
    if before == 0 {
        return -p.ln() / (1.0 - p);
    }
    let (mut chance, mut n, mut sum) = (1.0, before as f64, 0.0);
    while chance > 1e-18 {
        n += 1.0;
        sum += chance / n;
        chance *= 1.0 - p;
    }
    sum
}

/// The age at which a PROP share is worth exactly its fair value: `x0 = 0.434818…`, the root of `e^x E1(x) = 1`.
#[must_use]
pub fn leaving_age() -> f64 {
    root(0.01, 2.0, |x| 1.0 - round_age_value(x))
}

/// A small hopper's income per work when he mines one PROP pool up to [`leaving_age`] and a fair pool else:
/// `1 + x0 e^-x0 = 1.2815`.
#[must_use]
pub fn hopper_total() -> f64 {
    let x0 = leaving_age();
    1.0 + x0 * (-x0).exp()
}

/// The same for the part of his work that he does inside the PROP pool: `1 + x0 / (e^x0 - 1) = 1.7983`.
#[must_use]
pub fn hopper_inside() -> f64 {
    let x0 = leaving_age();
    1.0 + x0 / x0.exp_m1()
}

/// The part of his work that he does inside: `1 - e^-x0 = 0.3526`.
#[must_use]
pub fn hopper_presence() -> f64 {
    -(-leaving_age()).exp_m1()
}

/// A small hopper's income per work with `pools ≥ 1` equal PROP pools, always at the youngest round below
/// [`leaving_age`], else in a fair pool.
///
/// `∫_0^x0 n e^(-(n-1)x) E1(x) dx + e^(-n x0)`, which is `n (ln n + E1(n x0))/(n-1) - e^(-n x0)/(n-1)` for `n > 1`.
#[must_use]
pub fn hopper_among(pools: u32) -> f64 {
    if pools <= 1 {
        return hopper_total();
    }
    let (n, x0) = (f64::from(pools), leaving_age());
    n * (n.ln() + e1(n * x0)) / (n - 1.0) - (-n * x0).exp() / (n - 1.0)
}

/// The same without a fair pool to fall back to, always at the youngest of `rounds` rounds: `m ln m / (m - 1)`.
///
/// With one pool's own rounds per chain this is what a selective miner takes: 2.957 on 16 chains.
#[must_use]
pub fn youngest_of(rounds: u32) -> f64 {
    let m = f64::from(rounds);
    if rounds <= 1 { 1.0 } else { m * m.ln() / (m - 1.0) }
}

/// What miners who stay get when hoppers bring `eta` times the pool's loyal rate up to [`leaving_age`]:
/// `1 - η x0 e^-x0 / (1 + η e^-x0)`. Tends to `1 - x0`.
#[must_use]
pub fn loyal_left(eta: f64) -> f64 {
    let x0 = leaving_age();
    let stay = (-x0).exp();
    1.0 - eta * x0 * stay / (1.0 + eta * stay)
}

/// What a share handed in `x` expected blocks after a pool's first share is worth under an exponential window that is
/// renormalised while it is short, `x` and all work in window lengths: `e^x ln(1 / (1 - e^-x))`.
#[must_use]
pub fn startup_value(x: f64) -> f64 {
    -x.exp() * (-(-x).exp()).ln_1p()
}

/// What a share handed in `x` (of the old difficulty) before a retarget by `growth` is worth where the window is
/// `window` times the block's own difficulty in raw work (TIDES).
///
/// `(x/X)(1 - 1/g²) + 1/g` up to `X`, then `1 + (1 - x/(gX))/g` up to `gX`: expired shares enter again. Growth above 1.
#[must_use]
pub fn raw_window_value(x: f64, window: f64, growth: f64) -> f64 {
    if x <= window {
        (x / window) * (1.0 - 1.0 / (growth * growth)) + 1.0 / growth
    } else {
        1.0 + (1.0 - x / (growth * window)).max(0.0) / growth
    }
}

/// How long before a retarget a raw-work window is worth its fair value: `X g / (1 + g)`.
#[must_use]
pub fn raw_window_break_even(window: f64, growth: f64) -> f64 {
    window * growth / (1.0 + growth)
}

/// What a share handed in `x` before a change of the block value to `part` of itself is worth under a window of
/// `window` units: `x/X + (1 - x/X) part`, against the value before the change.
#[must_use]
pub fn value_change_value(x: f64, window: f64, part: f64) -> f64 {
    let before = (x / window).clamp(0.0, 1.0);
    before + (1.0 - before) * part
}

/// Under a window of time: what work in the first window length after a miner of `size` times the others' rate joins
/// is worth, `(H(2 + 3H) - 2(1 + H) ln(1 + H)) / (2H²)`. He stays longer than that. Above 1.
///
/// Source: Rosenfeld's formulas for intermittent miners in a pool with a window of time, 2011, re-derived: a share at
/// `s` is paid at rate `1 + H` over a window that holds `1 + H min(t, 1)`.
#[must_use]
pub fn time_window_joining(size: f64) -> f64 {
    (size * (2.0 + 3.0 * size) - 2.0 * (1.0 + size) * size.ln_1p()) / (2.0 * size * size)
}

/// The same for the last window length before he leaves: `1/2 + 1/H - ln(1 + H)/H²`. Below 1.
#[must_use]
pub fn time_window_leaving(size: f64) -> f64 {
    0.5 + 1.0 / size - size.ln_1p() / (size * size)
}

/// The mean of [`time_window_joining`] and [`time_window_leaving`]: what coming and going costs. At least 94.8064 %.
#[must_use]
pub fn time_window_visit(size: f64) -> f64 {
    (time_window_joining(size) + time_window_leaving(size)) / 2.0
}
