#![cfg_attr(not(feature = "std"), no_std)]
//! Who gets how much, exactly, and so that anyone can compute it again.
//!
//! Money is integers, weights are fixed-point units of expected blocks, and there is no float, clock, thread or file
//! in this crate. The line from a share to a paid miner:
//!
//! - [`scheme`]: schemes as data ([`scheme::SchemeParams`]) and as values that hear events ([`scheme::Scheme`]);
//! - [`engine`]: the running schemes, incremental, without window scans;
//! - [`split`]: the kernel that turns weights and an amount into whole units under one of four rounding rules;
//! - [`tally`]: fees, scheme and rounding together: what each block pays to whom;
//! - `settle` (feature `std`): folds the share log and the block book into ledger entries, and audits them;
//! - `case` (feature `case`): single cases of any scheme on exact rationals, from JSON to JSON;
//! - [`plan`] and `pay` (feature `std`): from balances to payouts that happen once.

extern crate alloc;

pub mod account;
#[cfg(feature = "case")]
pub mod case;
pub mod codec;
pub mod engine;
#[cfg(feature = "std")]
pub mod pay;
pub mod plan;
pub mod scheme;
#[cfg(feature = "std")]
pub mod settle;
pub mod split;
pub mod tally;
mod wide;
