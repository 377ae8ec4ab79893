//! A development node: a small Dynex network in one process.
//!
//! It speaks the daemon's JSON-RPC on one socket and the wallet program's on another, so that the pool's real node
//! client and wallet run against it unchanged, and it checks the real proof of work at a target a CPU meets. Behind it
//! is an honest little chain (`chain`). Everybody else on the network is played by a clock. For tests it can lie, be
//! busy, fall behind, refuse, reorganise ([`Faults`]), play the authority that does not let a block through, and have
//! all the trouble of a line ([`crate::devnode_http::Faults`]). [`TestService`] is the useful-work service on loopback.
//!
//! It refuses to be a real node: one difficulty for ever, no peers, no signatures. All blocks stay in memory, so it is
//! made for hours, not for months. With a data folder the next start goes on with the same chain and the same wallet.
//!
//! [`DevNode::open`] binds the sockets and returns the node and a future that serves it for as long as it is polled.

mod chain;
mod journal;
mod server;
mod service;
mod wallet;

use super::address::Address;
use super::params::{COIN, Network};
use super::tx::public_key;
use crate::devnode_http::{Faults as LineFaults, ServeRules, serve};
use chain::{Chain, Refusal, Rules};
use curve25519_dalek::scalar::Scalar;
use journal::Journal;
pub use journal::JournalError;
use server::{Daemon, Shared};
pub use service::TestService;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use wallet::Walletd;

/// Where both halves serve JSON-RPC.
const RPC_PATH: &str = "/json_rpc";

/// What a [`DevNode`] is to be.
#[derive(Clone, Debug)]
pub struct DevNodeConfig {
    /// Where the daemon listens; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Where the wallet program listens; port 0 picks a free one.
    pub wallet_listen: SocketAddr,
    /// Whose wallet it is: the pool's address.
    pub wallet: Address,
    /// The network it says it is.
    pub network: Network,
    /// Expected hashes a block.
    pub difficulty: u64,
    /// How often everybody else finds a block; `None`: only when [`DevNode::others_find`] says so.
    pub pace: Option<Duration>,
    /// Blocks for which a coinbase is locked.
    pub maturity: u64,
    /// Blocks for which any other output is.
    pub spendable_age: u64,
    /// Where the chain is kept; `None`: nowhere.
    pub data: Option<PathBuf>,
}

impl DevNodeConfig {
    /// The wallet of an address on free loopback ports: 400 hashes a block, a block of others each second, maturity 8.
    #[must_use]
    pub fn new(wallet: Address) -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: loopback,
            wallet_listen: loopback,
            wallet,
            network: Network::Devnet,
            difficulty: 400,
            pace: Some(Duration::from_secs(1)),
            maturity: 8,
            spendable_age: 2,
            data: None,
        }
    }
}

/// An address nobody holds the keys of but whoever counts to a small number: for development and tests.
///
/// # Panics
/// Never: small multiples of a point are points.
#[must_use]
pub fn toy_address(n: u32) -> Address {
    let key = |n: u64| public_key(&Scalar::from(n).to_bytes()).expect("small numbers are below the order");
    let n = u64::from(n);
    Address::of_keys(key(2 * n + 1), key(2 * n + 2)).expect("a multiple of a point is a point")
}

/// What went wrong with opening a [`DevNode`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevNodeError {
    /// An address cannot be listened on.
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
    /// A difficulty of nothing.
    #[error("development chain's difficulty must be at least 1")]
    Difficulty,
}

/// Ways in which the daemon misbehaves. All off at first; each may be switched at any time.
#[derive(Debug, Default)]
pub struct Faults {
    /// It says that it has not caught up.
    pub busy: AtomicBool,
    /// Its templates pay somebody else.
    pub wrong_payee: AtomicBool,
    /// It takes no block at all, for a rule of its own.
    pub refuse_blocks: AtomicBool,
    /// The project's authority lets no block through.
    pub unauthorised: AtomicBool,
    /// So many blocks it has not heard of yet.
    pub behind: AtomicU32,
}

/// A running development node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DevNode {
    shared: Arc<Shared>,
    faults: Arc<Faults>,
    line: LineFaults,
    wallet_line: LineFaults,
    address: SocketAddr,
    wallet_address: SocketAddr,
    others: Address,
}

/// Serves a node, and plays everybody else, for as long as it is polled.
pub type DevNodeDriver = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), DevNodeError> {
    let listen = |source| DevNodeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    Ok((listener, bound))
}

impl DevNode {
    /// Opens the chain and binds the sockets.
    ///
    /// # Errors
    /// [`DevNodeError`] for an address that cannot be had, or a file that is not this chain's.
    pub async fn open(config: DevNodeConfig) -> Result<(Self, DevNodeDriver), DevNodeError> {
        if config.difficulty == 0 {
            return Err(DevNodeError::Difficulty);
        }
        let rules = Rules {
            network: config.network,
            difficulty: config.difficulty,
            maturity: config.maturity,
            spendable_age: config.spendable_age,
            generated: 85_000_000 * COIN,
        };
        let journal = config.data.as_ref().map(|folder| {
            let line = format!(
                "network={} difficulty={} maturity={} spendable_age={}",
                config.network, config.difficulty, config.maturity, config.spendable_age
            );
            Journal::open(&folder.join("dynex.chain"), &line)
        });
        let shared = Arc::new(Shared::new(Chain::open(rules, journal.transpose()?)?));
        let (listener, address) = bind(config.listen).await?;
        let (wallet_listener, wallet_address) = bind(config.wallet_listen).await?;
        let node = Self {
            shared,
            faults: Arc::default(),
            line: LineFaults::default(),
            wallet_line: LineFaults::default(),
            address,
            wallet_address,
            others: toy_address(1_000_000),
        };
        let walletd = Walletd { shared: node.shared.clone(), own: config.wallet };
        let wallet = serve(wallet_listener, Arc::new(walletd), serve_rules(), node.wallet_line.clone());
        let daemon = node.daemon(listener);
        let playing = node.clone();
        let driver = Box::pin(async move {
            tokio::select! {
                () = daemon => {}
                () = wallet => {}
                () = playing.play_others(config.pace) => {}
            }
        });
        Ok((node, driver))
    }

    /// Another daemon of the same network, with faults of its own. It has no wallet: that is the first one's.
    ///
    /// # Errors
    /// [`DevNodeError::Listen`].
    pub async fn another(&self, listen: SocketAddr) -> Result<(Self, DevNodeDriver), DevNodeError> {
        let (listener, address) = bind(listen).await?;
        let node = Self { faults: Arc::default(), line: LineFaults::default(), address, ..self.clone() };
        let driver = Box::pin(node.daemon(listener));
        Ok((node, driver))
    }

    fn daemon(&self, listener: TcpListener) -> impl Future<Output = ()> + Send + use<> {
        let daemon = Daemon { shared: self.shared.clone(), faults: self.faults.clone(), others: self.others };
        serve(listener, Arc::new(daemon), serve_rules(), self.line.clone())
    }

    async fn play_others(self, pace: Option<Duration>) {
        let Some(pace) = pace else { return std::future::pending().await };
        let mut tick = tokio::time::interval(pace.max(Duration::from_millis(1)));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.others_find(1);
        }
    }

    /// Where the daemon listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the wallet program listens.
    #[must_use]
    pub const fn wallet_address(&self) -> SocketAddr {
        self.wallet_address
    }

    /// The faults' switches.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Trouble on the daemon's line.
    #[must_use]
    pub const fn line_faults(&self) -> &LineFaults {
        &self.line
    }

    /// Trouble on the wallet's line.
    #[must_use]
    pub const fn wallet_faults(&self) -> &LineFaults {
        &self.wallet_line
    }

    /// Everybody else finds `count` blocks.
    pub fn others_find(&self, count: usize) {
        for _ in 0..count {
            report(self.shared.change(|chain| chain.others_find(&self.others, unix_secs())));
        }
    }

    /// The newest `depth` blocks are overtaken by a chain that has not seen them.
    pub fn reorganise(&self, depth: u64) {
        report(self.shared.change(|chain| chain.reorganise(depth, &self.others, unix_secs())));
    }

    /// Cuts every connection to the daemon and to the wallet.
    pub fn disconnect_all(&self) {
        self.line.disconnect_all();
        self.wallet_line.disconnect_all();
    }

    /// The height of the newest block.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.shared.chain().top()
    }

    /// What the chain has paid to an address and not yet seen spent. Unit: smallest units.
    #[must_use]
    pub fn balance(&self, address: &Address) -> u64 {
        self.shared.chain().balance(address)
    }
}

fn serve_rules() -> ServeRules {
    ServeRules { rpc_paths: vec![RPC_PATH.to_owned()], ..ServeRules::default() }
}

fn report(outcome: Result<(), Refusal>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "development chain cannot go on");
    }
}

fn unix_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
