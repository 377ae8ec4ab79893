//! A development node: a small Alephium network in one process.
//!
//! It speaks the miners' protocol on one socket, in either layout, and REST on another, so that the pool's real node
//! client runs against it unchanged, and it checks real double BLAKE3, at a target a CPU meets. Behind it are sixteen
//! honest little chains (`chain`): coinbases that unlock in time, uncles that are named and paid, signed transfers,
//! reorganisations. Everybody else on the network is played by a clock: it finds blocks at a pace, chain after chain,
//! and by chance ([`Weather`], seeded) it is faster than the pool, whose block then becomes an uncle or nothing. For
//! tests it can lie, stall, lose answers, refuse and reorganise ([`Faults`]).
//!
//! It refuses to be a real node: one target for ever, no peers, no scripts. All blocks stay in memory, so it is made for
//! hours, not for months. With a data folder the next start goes on with the same chains.
//!
//! [`DevNode::open`] binds the sockets and returns the node and a future that serves it for as long as it is polled.

mod chain;
mod journal;
mod server;

use super::address::{Address, PayTo};
use super::fate::FateRules;
use super::header::CompactTarget;
use super::params::Network;
use super::wire::Layout;
use crate::devnode_http::{self, ServeRules};
pub use chain::Weather;
use chain::{Chain, Rules};
use journal::Journal;
pub use journal::JournalError;
use pool_core::units::{Target, Work};
use server::{Host, Shared};
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;

/// What a [`DevNode`] is to be.
#[derive(Clone, Debug)]
pub struct DevNodeConfig {
    /// Where to listen for miners; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Where to listen for REST; port 0 picks a free one.
    pub listen_rest: SocketAddr,
    /// The network it says it is.
    pub network: Network,
    /// The addresses it pays when the pool mines.
    pub pay_to: PayTo,
    /// The target of every block, in compact form. See [`bits_of_work`].
    pub bits: u32,
    /// How often everybody else finds a block of some chain; `None`: only when [`DevNode::others_find`] says so.
    pub pace: Option<Duration>,
    /// How long a reward is locked.
    pub lock: Duration,
    /// A block's reward without uncles. Unit: atto-ALPH.
    pub reward: u128,
    /// What becomes of submitted blocks.
    pub weather: Weather,
    /// Which layout of the miners' protocol it speaks.
    pub layout: Layout,
    /// The least time between two pushes of templates.
    pub push: Duration,
    /// Decides everything that chance decides.
    pub seed: u64,
    /// Where the chains are kept; `None`: nowhere.
    pub data: Option<PathBuf>,
}

impl DevNodeConfig {
    /// A devnet on any free loopback ports that pays `pay_to`: 2^12 tries a block, eight blocks of others each second,
    /// rewards locked for ten seconds, one block in ten an uncle and one in fifty nothing.
    #[must_use]
    pub fn new(pay_to: PayTo) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen,
            listen_rest: listen,
            network: Network::Devnet,
            pay_to,
            bits: bits_of_work(12),
            pace: Some(Duration::from_millis(125)),
            lock: Duration::from_secs(10),
            reward: 143_317_807_237_549_265,
            weather: Weather { uncle: 100, orphan: 20 },
            layout: Layout::Versioned,
            push: Duration::from_millis(250),
            seed: 1,
            data: None,
        }
    }

    /// When fates are final on chains of this pace: three blocks, at the lock's end; lost after twenty.
    #[must_use]
    pub const fn fate_rules() -> FateRules {
        FateRules { confirmations: 3, lock_margin_ms: 0, lost_depth: 20 }
    }
}

/// The compact target that about `2^log2_tries` tries meet, `0..=120`; above that the nearest. A try takes sixteen
/// hashes.
#[must_use]
pub fn bits_of_work(log2_tries: u32) -> u32 {
    let work = Work::new(1 << log2_tries.min(120)).unwrap_or(Work::ONE);
    CompactTarget::of_target(Target::from_work(work)).get()
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
    /// The target is none.
    #[error("development node: {0:08x} is no target")]
    Target(u32),
    /// The chains' file.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Ways in which the node misbehaves. All off at first; each may be switched at any time.
#[derive(Debug, Default)]
pub struct Faults {
    /// It says that it has not caught up.
    pub unsynced: AtomicBool,
    /// It pushes nothing and answers no REST.
    pub stalled: AtomicBool,
    /// Its jobs are none.
    pub garbage: AtomicBool,
    /// It pays somebody else.
    pub wrong_payee: AtomicBool,
    /// It takes no block.
    pub refuse_blocks: AtomicBool,
    /// It takes no transaction.
    pub refuse_transactions: AtomicBool,
    /// So many blocks it takes and says nothing.
    pub lost_block_answers: AtomicU32,
    /// So many transactions it takes and says nothing of.
    pub lost_transaction_answers: AtomicU32,
    /// Everything that can happen to a REST question.
    pub rest: devnode_http::Faults,
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
    rest: SocketAddr,
}

/// Serves a node, and plays everybody else, for as long as it is polled.
pub type DevNodeDriver = Pin<Box<dyn Future<Output = ()> + Send>>;

impl DevNode {
    /// Opens the chains and binds the sockets.
    ///
    /// # Errors
    /// [`DevNodeError`] for an address that cannot be had, a target that is none, or a file that is not these chains'.
    pub async fn open(config: DevNodeConfig) -> Result<(Self, DevNodeDriver), DevNodeError> {
        let target = CompactTarget::new(config.bits);
        if target.expand().is_none_or(|target| target.get().is_zero()) {
            return Err(DevNodeError::Target(config.bits));
        }
        let rules = Rules {
            network: config.network,
            target,
            lock_ms: u64::try_from(config.lock.as_millis()).unwrap_or(u64::MAX / 2),
            reward: config.reward,
            seed: config.seed,
        };
        let journal = config.data.as_ref().map(|folder| {
            let line = format!("network={} bits={:08x} seed={}", config.network, config.bits, config.seed);
            Journal::open(&folder.join("devnode.alephium"), &line)
        });
        let chain = Chain::open(rules, config.weather, journal.transpose()?)?;
        Self::listen(Arc::new(Host::new(chain)), &config).await
    }

    /// Another node of the same network: sockets, templates and faults of its own. Of `config` the sockets, the
    /// addresses to pay, the layout and the push count.
    ///
    /// # Errors
    /// [`DevNodeError::Listen`].
    pub async fn another(&self, config: &DevNodeConfig) -> Result<(Self, DevNodeDriver), DevNodeError> {
        let quiet = DevNodeConfig { pace: None, ..config.clone() };
        Self::listen(self.shared.host.clone(), &quiet).await
    }

    async fn listen(host: Arc<Host>, config: &DevNodeConfig) -> Result<(Self, DevNodeDriver), DevNodeError> {
        let bind = async |listen: SocketAddr| {
            let bound = async {
                let listener = TcpListener::bind(listen).await?;
                Ok((listener.local_addr()?, listener))
            };
            bound.await.map_err(|source| DevNodeError::Listen { address: listen, source })
        };
        let (address, miners) = bind(config.listen).await?;
        let (rest, web) = bind(config.listen_rest).await?;
        let shared = Arc::new(Shared::new(host, config));
        let node = Self { shared: shared.clone(), address, rest };
        let serve_web = devnode_http::serve(
            web,
            shared.clone(),
            ServeRules { rpc_paths: Vec::new(), ..ServeRules::default() },
            shared.faults.rest.clone(),
        );
        let (everybody, pace) = (node.clone(), config.pace);
        let driver = Box::pin(async move {
            let others = async {
                let Some(pace) = pace else { return std::future::pending().await };
                let mut tick = tokio::time::interval(pace.max(Duration::from_millis(1)));
                tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                loop {
                    tick.tick().await;
                    everybody.others_find(1);
                }
            };
            tokio::select! {
                () = serve_web => {}
                () = server::serve_miners(shared, miners) => {}
                () = others => {}
            }
        });
        Ok((node, driver))
    }

    /// Where it listens for miners.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for REST.
    #[must_use]
    pub const fn rest_address(&self) -> SocketAddr {
        self.rest
    }

    /// Both, as [`super::node::AlephiumNodeConfig::endpoints`] has them.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("{}+{}", self.address, self.rest.port())
    }

    /// The faults' switches.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Everybody else finds `count` blocks, of one chain after the other.
    pub fn others_find(&self, count: usize) {
        self.shared.change(|chain| {
            for _ in 0..count {
                chain.others_find(unix_ms());
            }
        });
    }

    /// The newest `depth` blocks of every chain are overtaken by blocks that have not seen them.
    pub fn reorganise(&self, depth: usize) {
        self.shared.change(|chain| chain.reorganise(depth, unix_ms()));
    }

    /// What becomes of blocks submitted from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.shared.chain().set_weather(weather);
    }

    /// Cuts every client's connection.
    pub fn disconnect_all(&self) {
        self.shared.cuts.send_modify(|count| *count += 1);
        self.shared.faults.rest.disconnect_all();
    }

    /// What the chains have paid to an address and not yet seen spent. Unit: atto-ALPH.
    #[must_use]
    pub fn balance(&self, address: &Address) -> u128 {
        self.shared.chain().balance(address)
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_name_the_work_they_are_asked_for() {
        for log2 in 0..=120 {
            let target = CompactTarget::new(bits_of_work(log2)).expand().unwrap();
            let work = target.work().get();
            let wanted = 1u128 << log2;
            assert!(work >= wanted && work <= wanted + (wanted >> 15) + 1, "{log2}: {work}");
        }
    }
}
