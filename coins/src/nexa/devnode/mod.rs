//! A development node: a small Nexa network in one process.
//!
//! It speaks the real node's JSON-RPC over HTTP with basic authentication on a socket of its own, wallet included, so
//! that the pool's real node client and wallet run against it unchanged; and it checks real NexaPow, at a target a CPU
//! meets. Behind it is an honest little chain (`chain`): one block at a height, the longest branch counts, coinbases
//! mature, transactions are checked, candidates are forgotten as the real node forgets them. Everybody else on the
//! network is played by a clock: it finds blocks at a pace, and now and then it overtakes a block of the pool
//! ([`DevNodeConfig::orphan_every`]). For tests it can stall, lose answers, lie, forget and reorganise.
//!
//! It refuses to be a real node: one target for ever, no peers, no scripts, one wallet address. All blocks stay in
//! memory, so it is made for hours, not for months. With a data folder the next start goes on with the same chain.
//!
//! [`DevNode::open`] binds the socket and returns the node and a future that serves it for as long as it is polled.

mod chain;
mod journal;
mod server;

use super::address::Address;
use super::params::Network;
use crate::devnode_http::{Faults, ServeRules, serve};
use crate::hash::nexapow::NexaPow;
use crate::http::Login;
use chain::{Chain, Rules};
use journal::Journal;
pub use journal::JournalError;
use server::Service;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// What a [`DevNode`] is to be.
#[derive(Clone, Debug)]
pub struct DevNodeConfig {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The network it says it is.
    pub network: Network,
    /// The target of candidates, in compact form. See [`bits_of_work`].
    pub bits: u32,
    /// How often everybody else finds a block; `None`: only when [`DevNode::others_find`] says so.
    pub pace: Option<Duration>,
    /// Every how many blocks of the pool one is overtaken by two of everybody else's; `None`: never.
    pub orphan_every: Option<u64>,
    /// Blocks that must lie on a coinbase before it is spent.
    pub maturity: u64,
    /// A block's subsidy. Unit: satoshis.
    pub subsidy: u64,
    /// How long a candidate stays the same when nothing happens.
    pub candidate_life: Duration,
    /// Name and password of everybody who asks; `None`: nobody needs one.
    pub login: Option<Login>,
    /// Where the chain is kept; `None`: nowhere.
    pub data: Option<PathBuf>,
}

impl Default for DevNodeConfig {
    /// A regtest on any free loopback port: 2^14 hashes a block, a block of others each half second, one block of the
    /// pool in ten overtaken, maturity 20, 10 million NEXA a block, candidates that live 30 s.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            network: Network::Regtest,
            bits: bits_of_work(14),
            pace: Some(Duration::from_millis(500)),
            orphan_every: Some(10),
            maturity: 20,
            subsidy: 1_000_000_000,
            candidate_life: Duration::from_secs(30),
            login: Some(Login { user: "poolwright".into(), password: "development".into() }),
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

/// The address whose key every development node's wallet has: what a pool on such a node is paid at.
#[must_use]
pub fn wallet_address(network: Network) -> Address {
    chain::wallet_address(network)
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

/// How everybody else behaves.
#[derive(Clone, Copy, Debug)]
struct Others {
    orphan_every: Option<u64>,
}

/// One chain, whoever asks for it.
#[derive(Debug)]
struct Host {
    chain: Mutex<Chain>,
    begun: Instant,
    candidate_life: Duration,
    others: Others,
    found: AtomicU64,
}

impl Host {
    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().expect("nobody panics while holding the chain")
    }
}

/// One socket.
#[derive(Debug)]
struct Shared {
    host: Arc<Host>,
    unsynced: AtomicBool,
    wrong_payee: AtomicBool,
}

/// A running development node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DevNode {
    shared: Arc<Shared>,
    address: SocketAddr,
    login: Option<Login>,
    faults: Faults,
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
            maturity: config.maturity,
            subsidy: config.subsidy,
        };
        let journal = config.data.as_ref().map(|folder| {
            let line = format!(
                "nexa network={} bits={:08x} maturity={} subsidy={}",
                config.network, config.bits, config.maturity, config.subsidy
            );
            Journal::open(&folder.join("devnode-nexa.chain"), &line)
        });
        let chain = Chain::open(rules, Arc::new(NexaPow::new()), journal.transpose()?)?;
        let host = Arc::new(Host {
            chain: Mutex::new(chain),
            begun: Instant::now(),
            candidate_life: config.candidate_life,
            others: Others { orphan_every: config.orphan_every },
            found: AtomicU64::new(0),
        });
        Self::listen(host, config.listen, config.login, config.pace).await
    }

    /// Another socket to the same chain, with faults of its own: a second node of the network. Candidates are shared,
    /// and so are their numbers.
    ///
    /// # Errors
    /// [`DevNodeError::Listen`].
    pub async fn another(&self, listen: SocketAddr) -> Result<(Self, DevNodeDriver), DevNodeError> {
        Self::listen(self.shared.host.clone(), listen, self.login.clone(), None).await
    }

    async fn listen(
        host: Arc<Host>,
        listen: SocketAddr,
        login: Option<Login>,
        pace: Option<Duration>,
    ) -> Result<(Self, DevNodeDriver), DevNodeError> {
        let bind = async {
            let listener = TcpListener::bind(listen).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (address, listener) =
            bind.await.map_err(|source| DevNodeError::Listen { address: listen, source })?;
        let shared = Shared { host, unsynced: AtomicBool::new(false), wrong_payee: AtomicBool::new(false) };
        let node = Self { shared: Arc::new(shared), address, login, faults: Faults::default() };
        let driver = Box::pin(node.clone().drive(listener, pace));
        Ok((node, driver))
    }

    async fn drive(self, listener: TcpListener, pace: Option<Duration>) {
        let rules = ServeRules { login: self.login.clone(), ..ServeRules::default() };
        let service = Arc::new(Service(self.shared.clone()));
        let serving = serve(listener, service, rules, self.faults.clone());
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
            () = serving => {}
            () = others => {}
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL a pool is configured with, name and password included.
    #[must_use]
    pub fn endpoint(&self) -> String {
        match &self.login {
            Some(Login { user, password }) => format!("http://{user}:{password}@{}", self.address),
            None => format!("http://{}", self.address),
        }
    }

    /// Trouble on demand.
    #[must_use]
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Whether this node says that it is still catching up.
    pub fn set_unsynced(&self, unsynced: bool) {
        self.shared.unsynced.store(unsynced, Ordering::Relaxed);
    }

    /// Whether this node's candidates pay somebody else than they should.
    pub fn set_wrong_payee(&self, wrong: bool) {
        self.shared.wrong_payee.store(wrong, Ordering::Relaxed);
    }

    /// Forgets all candidates and numbers new ones from one, as a restart does.
    pub fn restart(&self) {
        self.shared.host.chain().forget_candidates();
        self.faults.disconnect_all();
    }

    /// Everybody else finds `count` blocks, each on top of the last.
    pub fn others_find(&self, count: usize) {
        let mut chain = self.shared.host.chain();
        for _ in 0..count {
            chain.others_find();
        }
    }

    /// The newest `depth` blocks lose their place to `depth + 1` blocks of everybody else.
    pub fn reorganise(&self, depth: usize) {
        self.shared.host.chain().reorganise(depth);
    }

    /// Another program with the wallet's key spends one of its coins (`outpoint` as it is printed), and everybody else
    /// mines that at once. The idem of that transaction as it is printed; `None` when there is no such coin.
    pub fn spend_elsewhere(&self, outpoint: &str) -> Option<String> {
        let outpoint = super::codec::from_display(outpoint)?;
        self.shared.host.chain().spend_elsewhere(&outpoint).map(super::codec::display)
    }

    /// What an address holds on the chain. Unit: satoshis.
    #[must_use]
    pub fn balance(&self, address: &Address) -> u64 {
        self.shared.host.chain().balance(address)
    }

    /// The tip's height.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.shared.host.chain().tip()
    }

    /// The wallet's address.
    #[must_use]
    pub fn wallet_address(&self) -> Address {
        self.shared.host.chain().wallet_address()
    }

    /// Cuts every connection. New ones are welcome.
    pub fn disconnect_all(&self) {
        self.faults.disconnect_all();
    }
}
