//! How miners speak to a pool: bounded framing, dialects as data, a sans-IO session, extranonce leases, and a server.
//!
//! A connection is three values without a socket, and one driver with it:
//!
//! ```text
//! bytes ─▶ frame::LineBuffer ─▶ session::Session<D> ─▶ actions ─▶ bytes
//!                                 │          ▲
//!                                 ▼          │
//!                         dialect::Dialect   jobs::JobRing (shared), extranonce::Lease (own)
//! ```
//!
//! - [`frame`]: bytes to lines, with a bound and without a buffer while nothing is half said;
//! - [`dialect`]: what a coin's miners write and read; [`dialect::kaspa`] with its table of miner families;
//! - [`session`]: one miner's state machine: inputs and time in, actions out;
//! - [`jobs`]: the jobs that may still be answered, shared by all connections, each rendered once;
//! - [`extranonce`]: which part of the nonce space belongs to whom;
//! - `net` (feature `tokio`): sockets, TLS, limits; the only asynchronous module.
//!
//! Outside of `net` nothing reads a clock, opens a socket or waits: time and events are arguments, so a test, a
//! simulator or another runtime drives a session just as the server does. Nothing a peer sends can make this crate
//! panic or hold more memory than [`pool_core::limits::Limits`] says.

pub mod dialect;
pub mod duplicates;
pub mod extranonce;
pub mod frame;
pub mod jobs;
mod json;
#[cfg(feature = "tokio")]
pub mod net;
pub mod session;
