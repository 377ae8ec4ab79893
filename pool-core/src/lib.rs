#![cfg_attr(not(feature = "std"), no_std)]
//! The vocabulary of a mining pool, and the rules that need nothing but it.
//!
//! Every feature of a pool is a step in one sentence, and its words are the types here:
//!
//! ```text
//! Template ─▶ Job ─▶ Solution ─▶ Proof ─▶ Verdict ─▶ Share ─▶ Window ─▶ Split ─▶ Entry ─▶ Payout
//! ```
//!
//! - [`units`]: money, targets, work and the weight of a share, as integers;
//! - [`share`]: [`share::judge`], the only door to credit;
//! - [`vardiff`]: how hard a worker's next share should be;
//! - [`block`], [`ledger`], [`payout`]: what happens to blocks and money, as values;
//! - [`coin`]: what a chain must offer; [`ports`]: what storage and brokers must offer;
//! - [`intake`]: from a solution to a place in the log, and a found block to the node;
//! - [`memory`]: all ports in memory; [`faulty`]: any port with faults by a seeded plan;
//! - `testing` (feature `testing`): the suites that every adapter must pass.
//!
//! Nothing here opens a socket or a file, starts a task or reads a clock: time is an argument. Without the default
//! feature `std` the values and rules remain, for `no_std + alloc`.

extern crate alloc;

pub mod block;
#[cfg(feature = "std")]
pub mod coin;
pub mod event;
#[cfg(feature = "std")]
pub mod faulty;
pub mod id;
#[cfg(feature = "std")]
pub mod intake;
pub mod ledger;
pub mod limits;
#[cfg(feature = "std")]
pub mod memory;
pub mod pacer;
pub mod payout;
#[cfg(feature = "std")]
pub mod ports;
pub mod share;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod units;
pub mod vardiff;
