//! What the server counts, through the `metrics` facade. Labels: the pool's name, and reasons from closed lists; never
//! an address, a worker or anything else a peer chooses.
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `pool_stratum_connections`, `pool_stratum_bans` | gauge | `pool` |
//! | `pool_stratum_connections_total` | counter | `pool`, `transport` |
//! | `pool_stratum_refused_total` | counter | `pool`, `reason` |
//! | `pool_stratum_closed_total` | counter | `pool`, `reason` |
//! | `pool_stratum_bans_total` | counter | `pool`, `reason` |
//! | `pool_stratum_accept_errors_total` | counter | `pool` |
//! | `pool_stratum_bytes_total` | counter | `pool`, `direction` |
//! | `pool_stratum_lines_total` | counter | `pool` |
//! | `pool_stratum_accepted_total`, `pool_stratum_garbage_total` | counter | `pool` |
//! | `pool_stratum_rejected_total` | counter | `pool`, `reason` |
//! | `pool_stratum_jobs_total`, `pool_stratum_jobs_replaced_total` | counter | `pool` |
//! | `pool_stratum_submit_seconds` | histogram: submit read to reply queued | `pool` |
//! | `pool_stratum_broadcast_seconds` | histogram: job published to handed to the socket | `pool` |
//!
//! Handles are looked up once per server, so install a recorder before making one.

use super::door::Refusal;
use crate::session::Tally;
use metrics::{Counter, Gauge, Histogram, SharedString, counter, gauge, histogram};
use pool_core::share::Reject;
use pool_core::time::Micros;

/// The handles of one server.
pub(super) struct Meter {
    pool: SharedString,
    connections: Gauge,
    bans: Gauge,
    plain: Counter,
    tls: Counter,
    pub(super) accept_errors: Counter,
    pub(super) bytes_in: Counter,
    pub(super) bytes_out: Counter,
    pub(super) lines: Counter,
    accepted: Counter,
    garbage: Counter,
    /// In the order of [`Tally::REJECTS`].
    rejected: Vec<Counter>,
    pub(super) jobs: Counter,
    pub(super) jobs_replaced: Counter,
    submit: Histogram,
    broadcast: Histogram,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("pool", &self.pool).finish_non_exhaustive()
    }
}

impl Meter {
    pub(super) fn new(pool: &str) -> Self {
        let pool: SharedString = pool.to_owned().into();
        let label = || pool.clone();
        Self {
            connections: gauge!("pool_stratum_connections", "pool" => label()),
            bans: gauge!("pool_stratum_bans", "pool" => label()),
            plain: counter!("pool_stratum_connections_total", "pool" => label(), "transport" => "plain"),
            tls: counter!("pool_stratum_connections_total", "pool" => label(), "transport" => "tls"),
            accept_errors: counter!("pool_stratum_accept_errors_total", "pool" => label()),
            bytes_in: counter!("pool_stratum_bytes_total", "pool" => label(), "direction" => "in"),
            bytes_out: counter!("pool_stratum_bytes_total", "pool" => label(), "direction" => "out"),
            lines: counter!("pool_stratum_lines_total", "pool" => label()),
            accepted: counter!("pool_stratum_accepted_total", "pool" => label()),
            garbage: counter!("pool_stratum_garbage_total", "pool" => label()),
            rejected: Tally::REJECTS.iter().map(|reject| rejects(pool.clone(), *reject)).collect(),
            jobs: counter!("pool_stratum_jobs_total", "pool" => label()),
            jobs_replaced: counter!("pool_stratum_jobs_replaced_total", "pool" => label()),
            submit: histogram!("pool_stratum_submit_seconds", "pool" => label()),
            broadcast: histogram!("pool_stratum_broadcast_seconds", "pool" => label()),
            pool,
        }
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        self.refused_for(refusal.label());
    }

    pub(super) fn refused_for(&self, reason: &'static str) {
        counter!("pool_stratum_refused_total", "pool" => self.pool.clone(), "reason" => reason).increment(1);
    }

    pub(super) fn closed(&self, reason: &'static str) {
        counter!("pool_stratum_closed_total", "pool" => self.pool.clone(), "reason" => reason).increment(1);
    }

    pub(super) fn banned(&self, reason: &'static str) {
        counter!("pool_stratum_bans_total", "pool" => self.pool.clone(), "reason" => reason).increment(1);
    }

    pub(super) fn pool(&self) -> &str {
        &self.pool
    }

    pub(super) fn entered(&self, tls: bool) {
        if tls { &self.tls } else { &self.plain }.increment(1);
    }

    /// The state of now, and what all sessions counted so far.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and counts stay far below 2^52")]
    pub(super) fn report(&self, open: usize, banned: usize, tally: &Tally) {
        self.connections.set(open as f64);
        self.bans.set(banned as f64);
        self.accepted.absolute(tally.accepted());
        self.garbage.absolute(tally.garbage());
        for ((_, count), counter) in tally.rejected().zip(&self.rejected) {
            counter.absolute(count);
        }
    }

    pub(super) fn settled_in(&self, length: Micros) {
        self.submit.record(length.to_duration());
    }

    pub(super) fn delivered_in(&self, length: Micros) {
        self.broadcast.record(length.to_duration());
    }
}

fn rejects(pool: SharedString, reject: Reject) -> Counter {
    let reason = match reject {
        Reject::Malformed => "malformed",
        Reject::UnknownMethod => "unknown_method",
        Reject::NotSubscribed => "not_subscribed",
        Reject::Unauthorized => "unauthorized",
        Reject::BadAddress => "bad_address",
        Reject::UnknownJob => "unknown_job",
        Reject::Stale => "stale",
        Reject::Duplicate => "duplicate",
        Reject::LowDifficulty => "low_difficulty",
        Reject::ForeignExtranonce => "foreign_extranonce",
        Reject::NoWork => "no_work",
        Reject::BadNonce => "bad_nonce",
        Reject::ForeignChain => "foreign_chain",
        Reject::WrongChain => "wrong_chain",
        Reject::WrongResult => "wrong_result",
        Reject::Unattested { .. } => "unattested",
        Reject::Busy => "busy",
        // The list grows in the core first; until it is named here it is one of the rest.
        _ => "other",
    };
    counter!("pool_stratum_rejected_total", "pool" => pool, "reason" => reason)
}
