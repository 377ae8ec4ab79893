//! A development node: a small Kaspa network in one process.
//!
//! It speaks Kaspa's own gRPC protocol on a socket, so that the pool's real node client runs against it unchanged,
//! and it checks real kHeavyHash, at a target a CPU meets. Behind it is an honest little chain (`chain`): a block
//! graph coloured by the real algorithm, coinbases that must pay exactly what their merge set earns, coins that
//! mature, signed transactions, reorganisations. Everybody else on the network is played by a clock: it finds blocks
//! at a pace, and by chance ([`Weather`], seeded) it overtakes the pool's blocks, so that some are merged late, some
//! red, some never. For tests it can lie, stall, lose answers, refuse and reorganise ([`Faults`]).
//!
//! It refuses to be a real node: one target for ever, no peers, no pruning. All blocks stay in memory, so it is made
//! for hours, not for months. With a data folder the next start goes on with the same chain.
//!
//! [`DevNode::open`] binds the socket and returns the node and a future that serves it for as long as it is polled.

mod chain;
mod dag;
mod journal;
mod server;

use super::address::Address;
use super::coinbase::CoinbasePayload;
use super::params::Network;
pub use chain::Weather;
use chain::{Chain, Rules};
use journal::Journal;
pub use journal::JournalError;
use pool_core::id::BlockId;
use server::{Host, Service, Shared};
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;

/// What a [`DevNode`] is to be.
#[derive(Clone, Debug)]
pub struct DevNodeConfig {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The network it says it is.
    pub network: Network,
    /// The target of every block, in compact form. See [`bits_of_work`].
    pub bits: u32,
    /// How often everybody else finds a block; `None`: only when [`DevNode::others_find`] says so.
    pub pace: Option<Duration>,
    /// How many blue blocks beside it a block stands before it is red.
    pub k: usize,
    /// DAA score that a coinbase must age.
    pub maturity: u64,
    /// A block's subsidy. Unit: sompi.
    pub subsidy: u64,
    /// What becomes of submitted blocks.
    pub weather: Weather,
    /// Decides everything that chance decides.
    pub seed: u64,
    /// Where the chain is kept; `None`: nowhere.
    pub data: Option<PathBuf>,
}

impl Default for DevNodeConfig {
    /// A devnet on any free loopback port: 2^20 hashes a block, a block of others each second, `k` 4, maturity 20,
    /// 44 KAS a block, one block in ten late and one in twenty red.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            network: Network::Devnet,
            bits: bits_of_work(20),
            pace: Some(Duration::from_secs(1)),
            k: 4,
            maturity: 20,
            subsidy: 4_400_000_000,
            weather: Weather { late: 100, red: 50, lost: 0 },
            seed: 1,
            data: None,
        }
    }
}

/// The compact target that about `2^log2_hashes` hashes meet, `1..=200`; outside of that the nearest.
#[must_use]
pub const fn bits_of_work(log2_hashes: u32) -> u32 {
    // The target is 2^(256 - n): a single bit, written as a mantissa of three bytes with its top bit clear.
    let n = if log2_hashes < 1 {
        1
    } else if log2_hashes > 200 {
        200
    } else {
        log2_hashes
    };
    let bit = 256 - n;
    if bit == 255 {
        // 2^255 is just above the easiest target a chain knows.
        return 0x207f_ffff;
    }
    let bytes = bit / 8 + 1;
    let lead = 1u32 << (bit % 8);
    if lead >= 0x80 { (bytes + 1) << 24 | lead << 8 } else { bytes << 24 | lead << 16 }
}

/// What went wrong with opening a [`DevNode`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevNodeError {
    /// The address cannot be listened on.
    #[error("development node cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        source: std::io::Error,
    },
    /// The chain's file.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Ways in which the node misbehaves. All off at first; each may be switched at any time.
#[derive(Debug, Default)]
pub struct Faults {
    /// It says that it has not caught up, and takes no blocks.
    pub unsynced: AtomicBool,
    /// It reads and never answers.
    pub stalled: AtomicBool,
    /// Its templates are no blocks.
    pub garbage: AtomicBool,
    /// Its templates pay somebody else.
    pub wrong_payee: AtomicBool,
    /// It calls every block invalid.
    pub refuse_blocks: AtomicBool,
    /// It calls every transaction unwanted.
    pub refuse_transactions: AtomicBool,
    /// So many blocks it takes and says nothing.
    pub lost_block_answers: AtomicU32,
    /// So many transactions it takes and says nothing.
    pub lost_transaction_answers: AtomicU32,
}

impl Faults {
    /// Counts one down; true when there was one.
    fn take(count: &AtomicU32) -> bool {
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// A running development node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DevNode {
    shared: Arc<Shared>,
    address: SocketAddr,
}

/// Serves a node, and plays everybody else, for as long as it is polled.
pub type DevNodeDriver = Pin<Box<dyn Future<Output = ()> + Send>>;

impl DevNode {
    /// Opens the chain and binds the socket.
    ///
    /// # Errors
    /// [`DevNodeError`] for an address that cannot be had, or a file that is not this chain's.
    pub async fn open(config: DevNodeConfig) -> Result<(Self, DevNodeDriver), DevNodeError> {
        let rules = Rules {
            network: config.network,
            bits: config.bits,
            k: config.k,
            maturity: config.maturity,
            subsidy: config.subsidy,
            seed: config.seed,
            genesis_ms: GENESIS_MS,
        };
        let journal = config.data.as_ref().map(|folder| {
            let line = format!(
                "network={} bits={:08x} k={} maturity={} subsidy={} seed={}",
                config.network.id(),
                config.bits,
                config.k,
                config.maturity,
                config.subsidy,
                config.seed
            );
            Journal::open(&folder.join("devnode.chain"), &line)
        });
        let chain = Chain::open(rules, config.weather, journal.transpose()?)?;
        let host = Arc::new(Host::new(chain, config.network.id().to_owned()));
        Self::listen(Arc::new(Shared::new(host)), config.listen, config.pace).await
    }

    /// Another socket to the same chain, with faults of its own: a second node of the network.
    ///
    /// # Errors
    /// [`DevNodeError::Listen`].
    pub async fn another(&self, listen: SocketAddr) -> Result<(Self, DevNodeDriver), DevNodeError> {
        let shared = Arc::new(Shared::new(self.shared.host.clone()));
        Self::listen(shared, listen, None).await
    }

    async fn listen(
        shared: Arc<Shared>,
        listen: SocketAddr,
        pace: Option<Duration>,
    ) -> Result<(Self, DevNodeDriver), DevNodeError> {
        let bind = async {
            let listener = TcpListener::bind(listen).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (address, listener) =
            bind.await.map_err(|source| DevNodeError::Listen { address: listen, source })?;
        let node = Self { shared, address };
        let driver = Box::pin(node.clone().drive(listener, pace));
        Ok((node, driver))
    }

    async fn drive(self, listener: TcpListener, pace: Option<Duration>) {
        let serve = tonic::transport::Server::builder()
            .tcp_nodelay(true)
            .serve_with_incoming(Service(self.shared.clone()), TcpListenerStream::new(listener));
        let others = async {
            let Some(pace) = pace else { return std::future::pending().await };
            let mut tick = tokio::time::interval(pace.max(Duration::from_millis(1)));
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                self.others_find(1);
            }
        };
        tokio::select! {
            outcome = serve => {
                if let Err(error) = outcome {
                    tracing::error!(%error, "development node's server ended");
                }
            }
            () = others => {}
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The faults' switches.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Everybody else finds `count` blocks, each on top of all that is known.
    pub fn others_find(&self, count: usize) {
        for _ in 0..count {
            self.report(self.shared.change(|chain| chain.others_find(unix_ms())));
        }
    }

    /// The newest `depth` chain blocks are overtaken by a chain that has not seen them.
    pub fn reorganise(&self, depth: usize) {
        self.report(self.shared.change(|chain| chain.reorganise(depth, unix_ms())));
    }

    /// What becomes of blocks submitted from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.shared.chain().set_weather(weather);
    }

    /// Cuts every client's stream.
    pub fn disconnect_all(&self) {
        self.shared.cuts.send_modify(|count| *count += 1);
    }

    /// The DAA score of the next block.
    #[must_use]
    pub fn daa_score(&self) -> u64 {
        self.shared.chain().virtual_daa_score()
    }

    /// What the chain has paid to an address and not yet seen spent. Unit: sompi. Zero for an address of another
    /// network.
    #[must_use]
    pub fn balance(&self, address: &Address) -> u64 {
        self.shared.chain().balance(&address.to_string()).unwrap_or_default()
    }

    /// What a block's coinbase says; `None` for a block it does not have.
    #[must_use]
    pub fn coinbase(&self, block: &BlockId) -> Option<CoinbasePayload> {
        let block = self.shared.chain().block(&block.to_string(), true).ok()?;
        let payload = hex::decode(&block.transactions.first()?.payload).ok()?;
        CoinbasePayload::parse(&payload).ok()
    }

    fn report(&self, outcome: Result<(), chain::Refusal>) {
        if let Err(error) = outcome {
            tracing::error!(%error, "development chain cannot go on");
        }
    }
}

/// 2026-01-01T00:00:00Z.
const GENESIS_MS: u64 = 1_767_225_600_000;

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kaspa::header::target_of_bits;

    #[test]
    fn bits_name_the_work_they_are_asked_for() {
        for log2 in 2..=200 {
            let work = target_of_bits(bits_of_work(log2)).unwrap().work().get();
            assert!(
                work == (1u128 << log2.min(127)) || work == (1u128 << log2.min(127)) - 1 || log2 > 127,
                "{log2}: {work}"
            );
        }
    }
}
