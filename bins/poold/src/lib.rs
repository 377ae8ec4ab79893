//! The reference pool: wires the crates to one process, every role in it, on SQLite.
//!
//! What is valuable is in the crates below; here is composition: [`config`] reads settings, [`chains`]
//! knows the coins, [`explain`] says what they
//! mean, [`pool`] starts the [`roles`], [`run`] and [`demo`] are the commands of the binary.

pub mod chains;
pub mod clock;
pub mod config;
pub mod demo;
pub mod explain;
pub mod log;
pub mod pool;
pub mod roles;
pub mod run;
pub mod status;
