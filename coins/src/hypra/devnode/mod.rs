//! A development node: a small Hypra network in one process.
//!
//! It speaks the node's own JSON-RPC over HTTP, so that the pool's real node client and wallet run against it unchanged,
//! and it checks real EthashB3 with the cache of the first epoch, at a target a CPU meets. Behind it is an honest little
//! chain (`chain`): accounts, signed transactions, fees the way Hypra pays them, uncles, reorganisations, and states that
//! are forgotten after 128 blocks. Everybody else on the network is played by a clock: it finds blocks at a pace, and by
//! chance ([`Weather`], seeded) it is faster than the pool, whose block then is an uncle or nothing. For tests it can lie,
//! stall, lose answers and refuse ([`Faults`]).
//!
//! It refuses to be a real node: no peers, no contracts but such as refuse payments, a difficulty for ever. All blocks stay
//! in memory, so it is made for hours, not for months. With a data folder the next start goes on with the same chain.
//!
//! [`DevNode::open`] binds the socket and returns the node and a future that serves it for as long as it is polled.

mod chain;
mod journal;
mod server;

use super::address::Address;
use super::epochs::{CacheRules, EpochCaches};
use super::params::Network;
use super::rewards::RewardRules;
use crate::devnode_http::{self, Faults, ServeRules};
pub use chain::Weather;
use chain::{Chain, Refusal, Rules};
use journal::Journal;
pub use journal::JournalError;
use server::Handler;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;

/// What a [`DevNode`] is to be.
#[derive(Clone, Debug)]
pub struct DevNodeConfig {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The network it says it is.
    pub network: Network,
    /// Whom submitted blocks pay: the pool.
    pub coinbase: Address,
    /// Expected hashes of a submitted block.
    pub difficulty: u64,
    /// How often everybody else finds a block; `None`: only when [`DevNode::others_find`] says so.
    pub pace: Option<Duration>,
    /// The height from which blocks have a base fee; `None`: never, as on mainnet today.
    pub london: Option<u64>,
    /// What becomes of submitted blocks.
    pub weather: Weather,
    /// Decides everything that chance decides.
    pub seed: u64,
    /// Accounts that begin with money. Unit: wei.
    pub funds: Vec<(Address, u128)>,
    /// Contracts, which refuse every payment.
    pub contracts: Vec<Address>,
    /// Where the chain is kept; `None`: nowhere.
    pub data: Option<PathBuf>,
    /// Caches to check with, shared with others of the process; `None`: its own.
    pub caches: Option<Arc<EpochCaches>>,
}

impl Default for DevNodeConfig {
    /// A devnet on any free loopback port: 4000 hashes a block, a block of others each second, one submitted block in ten
    /// an uncle and one in fifty lost. The coinbase is nobody's.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            network: Network::Devnet,
            coinbase: Address::new([0xdd; 20]),
            difficulty: 4_000,
            pace: Some(Duration::from_secs(1)),
            london: None,
            weather: Weather { late: 100, lost: 20 },
            seed: 1,
            funds: Vec::new(),
            contracts: Vec::new(),
            data: None,
            caches: None,
        }
    }
}

impl DevNodeConfig {
    /// What its blocks pay: what a [`super::fate::FateRules`] for it must say.
    #[must_use]
    pub fn rewards(&self) -> RewardRules {
        RewardRules { london: self.london.unwrap_or(u64::MAX), ..Network::Devnet.rewards() }
    }
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
    /// The thread that built the cache ended early.
    #[error("development node's cache was not built")]
    Cache,
}

/// The chain that several sockets may lead to.
#[derive(Debug)]
struct Host {
    chain: Mutex<Chain>,
    network: Network,
    coinbase: Address,
}

impl Host {
    fn chain(&self) -> MutexGuard<'_, Chain> {
        // A step that panicked is reported by whoever made it; the chain before it is whole.
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running development node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DevNode {
    host: Arc<Host>,
    faults: Faults,
    address: SocketAddr,
}

/// Serves a node, and plays everybody else, for as long as it is polled.
pub type DevNodeDriver = Pin<Box<dyn Future<Output = ()> + Send>>;

impl DevNode {
    /// Builds the cache, opens the chain and binds the socket.
    ///
    /// # Errors
    /// [`DevNodeError`] for an address that cannot be had, or a file that is not this chain's.
    pub async fn open(config: DevNodeConfig) -> Result<(Self, DevNodeDriver), DevNodeError> {
        let (listen, pace) = (config.listen, config.pace);
        // Half a second of work, and more for a chain to go on with.
        let host = tokio::task::spawn_blocking(move || Self::host(config));
        let host = host.await.map_err(|_| DevNodeError::Cache)??;
        Self::listen(Arc::new(host), listen, pace).await
    }

    fn host(config: DevNodeConfig) -> Result<Host, DevNodeError> {
        let rewards = config.rewards();
        let caches = config.caches.unwrap_or_else(|| Arc::new(EpochCaches::new(CacheRules::default())));
        caches.at_or_build(0).map_err(|_| DevNodeError::Cache)?;
        let rules = Rules {
            chain_id: config.network.chain_id(),
            difficulty: config.difficulty,
            rewards,
            funds: config.funds,
            contracts: config.contracts,
            seed: config.seed,
        };
        let line = format!(
            "chain={} difficulty={} london={:?} seed={} funds={:?} contracts={:?}",
            rules.chain_id, rules.difficulty, config.london, rules.seed, rules.funds, rules.contracts
        );
        let mut chain = Chain::new(rules, config.weather, caches, GENESIS);
        if let Some(folder) = &config.data {
            let (journal, records) = Journal::open(&folder.join("devnode.chain"), &line)?;
            chain.replay(journal, records)?;
        }
        Ok(Host { chain: Mutex::new(chain), network: config.network, coinbase: config.coinbase })
    }

    /// Another socket to the same chain, with faults of its own: a second node of the network.
    ///
    /// # Errors
    /// [`DevNodeError::Listen`].
    pub async fn another(&self, listen: SocketAddr) -> Result<(Self, DevNodeDriver), DevNodeError> {
        Self::listen(self.host.clone(), listen, None).await
    }

    async fn listen(
        host: Arc<Host>,
        listen: SocketAddr,
        pace: Option<Duration>,
    ) -> Result<(Self, DevNodeDriver), DevNodeError> {
        let bind = async {
            let listener = TcpListener::bind(listen).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (address, listener) =
            bind.await.map_err(|source| DevNodeError::Listen { address: listen, source })?;
        let node = Self { host, faults: Faults::default(), address };
        let driver = Box::pin(node.clone().drive(listener, pace));
        Ok((node, driver))
    }

    async fn drive(self, listener: TcpListener, pace: Option<Duration>) {
        let handler = Arc::new(Handler(self.host.clone()));
        let serve = devnode_http::serve(listener, handler, ServeRules::default(), self.faults.clone());
        let others = async {
            let Some(pace) = pace else { return std::future::pending().await };
            let mut tick = tokio::time::interval(pace.max(Duration::from_millis(1)));
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                let node = self.clone();
                if tokio::task::spawn_blocking(move || node.others_find(1)).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = serve => {}
            () = others => {}
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a node client is configured with.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The faults' switches.
    #[must_use]
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Everybody else finds `count` blocks, each on top of all that is known. Blocks for some milliseconds each.
    pub fn others_find(&self, count: usize) {
        for _ in 0..count {
            report(self.host.chain().others_find(unix_seconds()));
        }
    }

    /// The newest `depth` blocks are overtaken by a chain that has not seen them.
    pub fn reorganise(&self, depth: u64) {
        report(self.host.chain().reorganise(depth, unix_seconds()));
    }

    /// What becomes of blocks submitted from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.host.chain().set_weather(weather);
    }

    /// Cuts every client's connection.
    pub fn disconnect_all(&self) {
        self.faults.disconnect_all();
    }

    /// Forgets every transaction that is in no block yet.
    pub fn forget_waiting(&self) {
        self.host.chain().forget_waiting();
    }

    /// The newest block's height.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.host.chain().height()
    }

    /// What an account has. Unit: wei.
    #[must_use]
    pub fn balance(&self, address: &Address) -> u128 {
        self.host.chain().account(address).balance
    }
}

fn report(outcome: Result<(), Refusal>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "development chain cannot go on");
    }
}

/// 2026-01-01T00:00:00Z.
const GENESIS: u64 = 1_767_225_600;

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
