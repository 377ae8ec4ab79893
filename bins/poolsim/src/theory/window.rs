//! Choosing a window, reading a luck chart, and sampling an audit.

use super::special::{gamma_below, gamma_quantile};

/// The probability that a share is never paid under a window of `window` units: `e^-X`.
#[must_use]
pub fn never_paid(window: f64) -> f64 {
    (-window).exp()
}

/// The same for shares of finite weight `p`: `(1-p)^(X/p)`.
#[must_use]
pub fn never_paid_discrete(window: f64, p: f64) -> f64 {
    ((window / p) * (-p).ln_1p()).exp()
}

/// The window in units for which a share's pay has this coefficient of variation: `1/cv²`.
#[must_use]
pub fn window_for_variation(cv: f64) -> f64 {
    1.0 / (cv * cv)
}

/// What a newcomer lends the pool, in blocks of his own part of its income: `X/2`. He has it back after he left.
#[must_use]
pub fn loan(window: f64) -> f64 {
    window / 2.0
}

/// Seconds that a window of `window` units lasts for a pool with `part` of a network of `blocks_per_second`.
#[must_use]
pub fn window_seconds(window: f64, blocks_per_second: f64, part: f64) -> f64 {
    window / (blocks_per_second * part)
}

/// The effort (work over expected work) that a round passes with probability `1 - part`: `ln(1/(1-part))`.
#[must_use]
pub fn effort_quantile(part: f64) -> f64 {
    -(-part).ln_1p()
}

/// The same for the mean effort of `blocks` rounds: a Gamma variable over its shape.
#[must_use]
pub fn mean_effort_quantile(blocks: u32, part: f64) -> f64 {
    gamma_quantile(blocks, part) / f64::from(blocks)
}

/// The probability that the mean effort of `blocks` rounds is below `effort`.
#[must_use]
pub fn mean_effort_below(blocks: u32, effort: f64) -> f64 {
    gamma_below(blocks, effort * f64::from(blocks))
}

/// How many shares, drawn at random by work, an auditor opens to see phantom work of a part `phi` with probability
/// `1 - missed`: `ln(missed) / ln(1 - phi)`, rounded up.
#[must_use]
pub fn audit_samples(phi: f64, missed: f64) -> u64 {
    (missed.ln() / (-phi).ln_1p()).ceil() as u64
}
