//! What is known exactly about reward schemes: closed forms, each with its source, and a check of each by simulation.
//!
//! The forms are in double precision and for people and tests; what pays miners is integers and lives in
//! `pool_rewards`. A form is here only if it was derived again and compared with values computed to 30 digits by an
//! implementation that shares no code with this one (`testdata/theory.json`). [`validate`] plays each of them out, by
//! the production engines wherever an engine is concerned, and says how many standard errors the two are apart.
//!
//! - [`hopping`]: what a share handed in at a chosen moment is worth;
//! - [`variance`]: how far pay and income spread;
//! - [`window`]: choosing a window, luck charts, audits by sampling;
//! - [`ruin`]: the reserve of an operator who pays shares;
//! - [`dilemma`]: pools that withhold from each other;
//! - [`special`]: the special functions behind them.

pub mod dilemma;
pub mod hopping;
pub mod ruin;
pub mod special;
pub mod validate;
pub mod variance;
pub mod window;

#[cfg(test)]
mod tests;
