//! Every bound of the pool in one place, each with its reason.

use crate::time::Micros;
use serde::{Deserialize, Serialize};

/// Bounds on what one peer, one connection or one queue may take. All are limits, none a tuning goal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one line. The longest honest line (an authorize with long names) is under 1 KiB; 8 KiB stops floods.
    pub line_bytes_max: usize,
    /// Nesting of JSON in a line. Honest requests have 2.
    pub json_depth_max: usize,
    /// Bytes of a request's `id`, which is echoed.
    pub id_bytes_max: usize,
    /// Connections of this process. Below the descriptor limit, or the process dies at the worst time.
    pub connections_max: usize,
    /// Connections of one IPv4 address or one IPv6 /64. Farms behind one address are common.
    pub connections_per_host_max: usize,
    /// Milliseconds from connect to a subscribe: a socket that says nothing is no miner.
    pub subscribe_ms_max: u64,
    /// Milliseconds from connect to an authorized worker.
    pub authorize_ms_max: u64,
    /// Milliseconds without any line from an authorized miner.
    pub idle_ms_max: u64,
    /// Milliseconds a started line may take: a byte every ten seconds is an attack.
    pub line_ms_max: u64,
    /// Milliseconds a blocked write may take before a connection that does not read is dropped.
    pub write_ms_max: u64,
    /// Bytes queued to one connection. Replies above it close it; notifications are replaced, never queued twice.
    pub send_bytes_max: usize,
    /// Shares of one connection waiting to be judged or recorded.
    pub pending_submits_max: usize,
    /// Jobs a miner may still submit for. At four jobs a second, 300 are 75 s.
    pub jobs_kept_max: usize,
    /// Solutions remembered per connection to refuse repeats; beyond it the oldest job's are dropped with the job.
    pub duplicates_kept_max: usize,
    /// Workers authorized on one connection (farm proxies multiplex).
    pub workers_per_connection_max: usize,
    /// Malformed lines before a connection is closed.
    pub garbage_lines_max: u32,
    /// Seconds an address that sent garbage stays out. Narrow and expiring, so that a NAT is not punished for long.
    pub ban_secs: u64,
    /// Addresses remembered for bans and counts.
    pub hosts_tracked_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_bytes_max: 8 * 1024,
            json_depth_max: 8,
            id_bytes_max: 64,
            connections_max: 18_000,
            connections_per_host_max: 4_096,
            subscribe_ms_max: 10_000,
            authorize_ms_max: 30_000,
            idle_ms_max: 600_000,
            line_ms_max: 10_000,
            write_ms_max: 10_000,
            send_bytes_max: 64 * 1024,
            pending_submits_max: 256,
            jobs_kept_max: 300,
            duplicates_kept_max: 8_192,
            workers_per_connection_max: 16,
            garbage_lines_max: 5,
            ban_secs: 60,
            hosts_tracked_max: 20_000,
        }
    }
}

impl Limits {
    /// [`Limits::idle_ms_max`] as a length of time.
    #[must_use]
    pub const fn idle(&self) -> Micros {
        Micros::from_millis(self.idle_ms_max)
    }
}
