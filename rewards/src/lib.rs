#![cfg_attr(not(feature = "std"), no_std)]
#![deny(clippy::float_arithmetic, clippy::float_cmp)]
//! Who gets how much, exactly, and so that anyone can compute it again.
//!
//! Money is integers, weights are fixed-point units of expected blocks, and there is no float, clock, thread or file
//! in this crate. The line from a share to a paid miner:
//!
//! - [`scheme`]: schemes as data ([`scheme::SchemeParams`]) and as values that hear events ([`scheme::Scheme`]);
//! - [`engine`]: the running schemes, incremental, without window scans;
//! - [`split`]: the kernel that turns weights and an amount into whole units under one of four rounding rules;
//! - [`tally`]: fees, scheme and rounding together: what each block pays to whom;
//! - [`fold`]: the share log and the block book folded into drafts of ledger entries;
//! - `settle` and `audit` (feature `std`): the fold posted to the ledger, and compared with it;
//! - [`proof`]: what lets anyone check all of it;
//! - [`reference`](mod@reference): the published list of blocks by which FPPS averages fees;
//! - [`solvency`], [`advice`]: which reserve and which window a pool needs;
//! - `case` (feature `case`): single cases of any scheme on exact rationals, from JSON to JSON;
//! - [`plan`] and `pay` (feature `std`): from balances to payouts that happen once.
//!
//! What must hold of all this, with the test that says so, stands in `INVARIANTS.md`; which mistakes are noticed, in
//! `MUTANTS.md`.

extern crate alloc;

pub mod account;
pub mod advice;
#[cfg(feature = "std")]
pub mod audit;
#[cfg(feature = "case")]
pub mod case;
pub mod codec;
pub mod engine;
mod fixed;
pub mod fold;
#[cfg(feature = "std")]
pub mod pay;
pub mod plan;
pub mod proof;
pub mod reference;
pub mod scheme;
#[cfg(feature = "std")]
pub mod settle;
pub mod solvency;
pub mod split;
pub mod tally;
mod wide;
