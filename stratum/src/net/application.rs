//! What a server needs from whoever runs it: who a user is, and what a solution is worth.

use crate::dialect::Dialect;
use crate::session::{Login, Outcome, Submission};
use async_trait::async_trait;
use pool_core::id::Worker;
use pool_core::units::Work;
use std::net::SocketAddr;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its address; the one that a trusted proxy named, if one did. Not for logs above debug, nor for metrics.
    pub address: SocketAddr,
    /// True when it came over TLS.
    pub tls: bool,
}

/// The pool behind a server.
///
/// - `submit` returns [`Outcome::Accepted`] only after the share is on record; the miner reads "true" because of it.
/// - A future that was begun is driven to its end even when the connection is gone meanwhile: a block that was found
///   is not forgotten because a cable was pulled. It is dropped half-way only if the server itself is.
/// - Futures of one connection run concurrently, within one task; what is expensive belongs on a pool of its own.
#[async_trait]
pub trait Application<D: Dialect>: Send + Sync + 'static {
    /// Who is this?
    ///
    /// # Errors
    /// A text for the miner's screen.
    async fn login(&self, user: &str, password: &str, caller: Caller) -> Result<Login, String>;

    /// Proves, judges and records a solution.
    async fn submit(&self, submission: Submission<D>) -> Outcome;

    /// Passes a miner's question on to a service behind the pool, for the coins that have one.
    ///
    /// # Errors
    /// A text for the miner's screen.
    async fn ask(&self, _worker: Worker, _payload: String, _caller: Caller) -> Result<String, String> {
        Err("this pool has no such service".to_owned())
    }

    /// Keeps a worker's difficulty for its next connection. May be lost.
    async fn remember(&self, worker: Worker, work: Work);
}
