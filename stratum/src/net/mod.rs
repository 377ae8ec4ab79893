//! The server: sockets, TLS, PROXY headers, limits, bans, broadcasts and a drain that loses nothing.
//!
//! ```text
//! accept ─▶ door (a place, or a refusal that says why) ─▶ PROXY header ─▶ TLS ─▶ Connection: one task
//!                                                                               │  Session<D> decides
//! jobs: watch ─▶ ring (rendered once) ─▶ bells, in rounds ─────────────────────▶│  SendQueue, newest job wins
//!                                                        Application ◀─────────┘  login, submit, remember
//! ```
//!
//! This is the only asynchronous module of the crate, and the only one that reads a clock. Tasks are spawned in one
//! place, [`Server::serve`], one per connection; they end with it (and, with the feature `getwork`, one per request). A connection that is silent costs a task, a session,
//! a timer and a socket, and no buffer: bytes are read into the stack of whoever is awake and kept only while a line is
//! incomplete or a peer does not read.
//!
//! - [`application`]: what the server asks of the pool;
//! - [`door`], [`host`]: limits and bans per IPv4 address and IPv6 /64;
//! - [`proxy`]: PROXY protocol, versions 1 and 2;
//! - [`tls`], [`listener`]: certificates and sockets;
//! - [`proof_pool`]: threads for proofs too dear for an I/O thread;
//! - `getwork`: work by HTTP, for the coins that have such miners;
//! - [`server`]: the server itself.
//!
//! The rest, the connection, its send queue, the bells, is private.

pub mod application;
mod bell;
mod connection;
pub mod door;
#[cfg(feature = "getwork")]
pub mod getwork;
pub mod host;
pub mod listener;
mod meter;
pub mod proof_pool;
pub mod proxy;
mod queue;
pub mod server;
pub mod tls;
mod transport;

pub use application::{Application, Caller};
pub use listener::{Listener, ListenerRules, ProxyRule, bind};
pub use proof_pool::{ProofPool, ProofRules};
pub use server::{Drained, Server, ServerRules};
