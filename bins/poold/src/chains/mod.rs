//! The coins this program can mine: what each adds to the libraries to become a pool.
//!
//! A coin here is a module with its own settings (a section of the configuration beside the keys that all coins have),
//! [`Facts`] for screens and defaults, `open`, which turns settings into the library's values, and what `poold demo`
//! needs: a development node and a miner. Everything that happens afterwards is the same for all coins and generic over
//! [`Mined`].

pub mod alephium;
pub mod dynex;
pub mod hypra;
pub mod kaspa;
pub mod nexa;

use crate::config::Section;
use crate::roles::Stop;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pool_coins::alephium::Alephium;
use pool_coins::dynex::Dynex;
use pool_coins::http::{HttpPeer, HttpRules, Login};
use pool_coins::hypra::Hypra;
use pool_coins::hypra::epochs::CacheRules;
use pool_coins::kaspa::Kaspa;
use pool_coins::miner::{MinerCounters, MinerEvent};
use pool_coins::nexa::Nexa;
use pool_core::coin::{Coin, Node, PayoutLimits, Wallet};
use pool_core::id::{BlockId, MinerId, Worker, WorkerName};
use pool_core::intake::Attest;
use pool_core::share::Evidence;
use pool_core::units::{Amount, Target, Work};
use pool_stratum::session::split_user;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What kind of chain a pool works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// One with peers: a node must have caught up before anyone mines on it.
    Public,
    /// A development chain, whose only node is always on its own.
    Development,
}

/// A coin's name on the command line and in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum CoinName {
    /// Kaspa, kHeavyHash.
    Kaspa,
    /// Alephium, Blake3.
    Alephium,
    /// Nexa, NexaPow.
    Nexa,
    /// Hypra, EthashB3.
    Hypra,
    /// Dynex, DynexSolve.
    Dynex,
}

impl CoinName {
    /// All of them, in the order of their ports.
    pub const ALL: [Self; 5] = [Self::Kaspa, Self::Alephium, Self::Nexa, Self::Hypra, Self::Dynex];

    /// What is known of it.
    #[must_use]
    pub const fn facts(self) -> &'static Facts {
        match self {
            Self::Kaspa => &kaspa::FACTS,
            Self::Alephium => &alephium::FACTS,
            Self::Nexa => &nexa::FACTS,
            Self::Hypra => &hypra::FACTS,
            Self::Dynex => &dynex::FACTS,
        }
    }

    /// Whether a text is an address of the coin on any of its networks, and the canonical spelling.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn judge_address(self, text: &str) -> Result<String, String> {
        match self {
            Self::Kaspa => kaspa::judge_address(text),
            Self::Alephium => alephium::judge_address(text),
            Self::Nexa => nexa::judge_address(text),
            Self::Hypra => hypra::judge_address(text),
            Self::Dynex => dynex::judge_address(text),
        }
    }
}

/// What screens and defaults need to know of a coin.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Its name in the configuration, in URLs and in records.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// Its ticker.
    pub symbol: &'static str,
    /// Decimals of one coin.
    pub decimals: u8,
    /// The proof of work.
    pub algorithm: &'static str,
    /// The project's site.
    pub website: &'static str,
    /// The beginning of a block's address in an explorer.
    pub block_link: &'static str,
    /// The beginning of an account's address in an explorer.
    pub address_link: &'static str,
    /// The beginning of a transaction's address in an explorer.
    pub tx_link: &'static str,
    /// Target work of stratum difficulty 1, in this coin's convention.
    pub difficulty_one: u128,
    /// Work of the network's target at the difficulty 1 that explorers print.
    pub network_difficulty_one: f64,
    /// Hashes behind one unit of target work.
    pub hashes_per_work: u64,
    /// Bits of the nonce that a connection and its extranonce share.
    pub nonce_bits: u32,
    /// True where the extranonce lies outside of the nonce and takes no bits of it.
    pub extranonce_beside: bool,
    /// How long a job may be answered, and so how long a nonce prefix rests after its connection ended. Unit: seconds.
    pub job_life_secs: u64,
    /// Payouts on their way at once.
    pub payouts_open_max: usize,
    /// Bytes that a line of this coin's miners may have, where that is more than usual.
    pub line_bytes: Option<usize>,
    /// What a block brings, roughly, in smallest units: where FPPS begins before blocks have matured.
    pub block_value: u128,
    /// True where this program signs payouts with a key of its own; false where the node's wallet does.
    pub signs: bool,
    /// True where miners may work by HTTP.
    pub getwork: bool,
    /// Defaults of the configuration.
    pub defaults: Defaults,
}

/// Defaults of a coin's section.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// Milliseconds between two jobs, at least.
    pub job_interval_ms: u64,
    /// Depth at which a block's fate is final.
    pub confirmations: u64,
    /// Stratum difficulties: least, most, start.
    pub difficulty: [&'static str; 3],
    /// Wanted milliseconds between two shares of a worker.
    pub share_interval_ms: u64,
    /// Bytes of extranonce each connection gets.
    pub extranonce_bytes: u8,
    /// Expected blocks in a PPLNS window.
    pub window_blocks: u64,
    /// What a miner must be owed, in smallest units.
    pub threshold: u128,
    /// Depth at which a payout is final.
    pub payout_confirmations: u64,
    /// Threads for proofs, where they are heavy.
    pub proof_threads: u64,
    /// Expected hash rates: the pool's, the network's, the fastest miner's, the slowest miner's.
    pub rates: [u128; 4],
}

/// What this program needs of a chain beside [`Coin`].
pub trait Mined: Coin {
    /// The grammar of its miners.
    type Dialect: pool_stratum::dialect::Dialect<Job = Self::Job, Solution = Self::Solution>;

    /// What people look a job up by: a height, a blue score.
    fn height(job: &Self::Job) -> u64;

    /// Account and worker of a user name.
    fn split_user(user: &str) -> (&str, WorkerName) {
        split_user(user)
    }
}

/// A coin's parts, ready to be run.
pub struct Opened<C: Mined> {
    /// The chain's rules.
    pub coin: Arc<C>,
    /// Its nodes.
    pub node: Arc<dyn Node<C>>,
    /// What keeps the nodes connected, and whatever else the coin has to do in the background.
    pub driver: BoxFuture<'static, ()>,
    /// The grammar.
    pub dialect: C::Dialect,
    /// The money; `None` when nothing is paid out.
    pub wallet: Option<Arc<dyn Wallet>>,
    /// What one payout can carry.
    pub payout_limits: PayoutLimits,
    /// The second stage of verification, for coins that have one.
    pub attest: Option<Arc<dyn Attest<C>>>,
    /// The service behind the pool that miners may ask, for coins that have one.
    pub service: Option<Arc<dyn Service>>,
    /// What puts the root of the share log into the coinbase, for coins that can and operators who want it.
    pub commit: Option<Commit>,
    /// Is told of each block that is open at the start, for nodes that know blocks by their heights.
    pub expect: Option<Arc<dyn Fn(BlockId, u64) + Send + Sync>>,
    /// What the operator should know of the chain now, if anything.
    pub trouble: Option<Trouble>,
}

impl<C: Mined> Opened<C> {
    /// The parts that every coin has; the others are to be filled in.
    fn new(
        coin: C,
        node: impl Node<C> + 'static,
        driver: impl Future<Output = ()> + Send + 'static,
        dialect: C::Dialect,
    ) -> Self {
        Self {
            coin: Arc::new(coin),
            node: Arc::new(node),
            driver: driver.boxed(),
            dialect,
            wallet: None,
            payout_limits: PayoutLimits { items_max: 1, amount_min: Amount::new(1) },
            attest: None,
            service: None,
            commit: None,
            expect: None,
            trouble: None,
        }
    }
}

/// Says what is wrong with the chain's side, for pages.
pub type Trouble = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Is told the root of the share log whenever a segment of it is whole.
pub type Commit = Arc<dyn Fn([u8; 32]) + Send + Sync>;

/// A service behind the pool that miners may ask something.
#[async_trait::async_trait]
pub trait Service: Debug + Send + Sync {
    /// Its answer.
    ///
    /// # Errors
    /// A text for the miner's screen.
    async fn ask(&self, worker: Worker, payload: String, from: SocketAddr) -> Result<String, String>;
}

/// A chain's address rules without its types, for pages.
pub trait Addresses: Debug + Send + Sync {
    /// The canonical account behind what somebody typed.
    ///
    /// # Errors
    /// What is wrong with it.
    fn account(&self, text: &str) -> Result<MinerId, String>;
}

impl<C: Coin> Addresses for C {
    fn account(&self, text: &str) -> Result<MinerId, String> {
        self.address(text).map_err(|error| error.to_string())
    }
}

/// What is wrong with an address, and of which other coin it is one, if of any that this program knows.
#[must_use]
pub fn address_trouble(own: &str, text: &str, trouble: &str) -> String {
    let others = CoinName::ALL.into_iter().filter(|coin| coin.facts().id != own);
    match others.into_iter().find(|coin| coin.judge_address(text).is_ok()) {
        Some(coin) => format!("{trouble} (it is an address of {})", coin.facts().name),
        None => trouble.to_owned(),
    }
}

/// Hashes logged shares of a coin again; `None` from [`Reprover::work`] for evidence that is none.
pub trait Reprover {
    /// The work of the target that the share's hash solves.
    fn work(&mut self, evidence: &Evidence) -> Option<Work>;
}

/// For a coin whose evidence is all that a proof needs.
struct Plain<C>(C);

impl<C: Coin> Reprover for Plain<C> {
    fn work(&mut self, evidence: &Evidence) -> Option<Work> {
        self.0.reprove(evidence).ok().map(|proof| Target::new(proof.hash()).work())
    }
}

impl CoinName {
    /// What hashes shares of this coin again. The rules of hashing are the same on every network of a coin.
    #[must_use]
    pub fn reprover(self) -> Box<dyn Reprover> {
        match self {
            Self::Kaspa => Box::new(Plain(Kaspa::new(pool_coins::kaspa::params::Network::Mainnet))),
            Self::Alephium => Box::new(Plain(Alephium)),
            Self::Nexa => Box::new(Plain(Nexa::new(pool_coins::nexa::params::Network::Mainnet))),
            Self::Hypra => {
                let rules = CacheRules { dataset_threads: None };
                Box::new(Plain(Hypra::with_rules(pool_coins::hypra::params::Network::Mainnet, rules)))
            }
            Self::Dynex => Box::new(Plain(Dynex::new(pool_coins::dynex::params::Network::Mainnet))),
        }
    }
}

/// Where a demo's parts are.
#[derive(Clone, Debug)]
pub struct Spot {
    /// The folder of this coin's data.
    pub data: PathBuf,
    /// Where miners connect.
    pub stratum: SocketAddr,
    /// Where the development node listens; a node with several ports takes the ones above, too.
    pub node: SocketAddr,
    /// Search threads of the built-in miner.
    pub threads: usize,
    /// About `2^N` hashes solve a block; `None`: what suits one slow core.
    pub block_work: Option<u32>,
}

/// A demo's coin: its section of the configuration, its node, its miner.
pub struct Demo {
    /// The section, as the operator of a real pool would write it.
    pub section: String,
    /// Starts the development node; the inner future drives it.
    pub node: BoxFuture<'static, anyhow::Result<BoxFuture<'static, ()>>>,
    /// Mines until told to stop.
    pub miner: Box<dyn FnOnce(Stop) -> BoxFuture<'static, anyhow::Result<()>> + Send>,
}

/// The demo of a coin.
///
/// # Errors
/// A key or a folder that cannot be made.
pub fn demo(coin: CoinName, spot: &Spot) -> anyhow::Result<Demo> {
    match coin {
        CoinName::Kaspa => kaspa::demo(spot),
        CoinName::Alephium => alephium::demo(spot),
        CoinName::Nexa => nexa::demo(spot),
        CoinName::Hypra => hypra::demo(spot),
        CoinName::Dynex => dynex::demo(spot),
    }
}

/// A node's address as the coin's client takes it.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn node_address(coin: CoinName, text: &str) -> Result<String, String> {
    match coin {
        CoinName::Kaspa => kaspa::node(text),
        CoinName::Alephium => alephium::node(text),
        CoinName::Nexa | CoinName::Hypra | CoinName::Dynex => http_node(text),
    }
}

/// A demo's miner: what it reports goes to the log.
pub(crate) fn demo_miner(
    mine: impl FnOnce(Arc<MinerCounters>, mpsc::Sender<MinerEvent>, Stop) -> BoxFuture<'static, ()>
    + Send
    + 'static,
) -> Box<dyn FnOnce(Stop) -> BoxFuture<'static, anyhow::Result<()>> + Send> {
    Box::new(move |stop| {
        async move {
            let (sender, mut events) = mpsc::channel(256);
            let tell = async {
                while let Some(event) = events.recv().await {
                    match event {
                        MinerEvent::Connected => tracing::info!("the miner is connected"),
                        MinerEvent::Disconnected { reason } => {
                            tracing::info!(reason, "the miner is disconnected")
                        }
                        MinerEvent::Answered { refusal: Some(reason), .. } => {
                            tracing::warn!(reason, "a share was refused")
                        }
                        _ => {}
                    }
                }
            };
            tokio::join!(mine(Arc::default(), sender, stop), tell);
            Ok(())
        }
        .boxed()
    })
}

/// A coin's own settings.
#[derive(Clone, Debug)]
pub enum Settings {
    /// Kaspa's.
    Kaspa(kaspa::Settings),
    /// Alephium's.
    Alephium(alephium::Settings),
    /// Nexa's.
    Nexa(nexa::Settings),
    /// Hypra's.
    Hypra(hypra::Settings),
    /// Dynex's.
    Dynex(dynex::Settings),
}

impl Settings {
    pub(crate) fn from_section(coin: CoinName, section: &Section<'_, '_>) -> Option<Self> {
        match coin {
            CoinName::Kaspa => kaspa::Settings::from_section(section).map(Self::Kaspa),
            CoinName::Alephium => alephium::Settings::from_section(section).map(Self::Alephium),
            CoinName::Nexa => nexa::Settings::from_section(section).map(Self::Nexa),
            CoinName::Hypra => hypra::Settings::from_section(section).map(Self::Hypra),
            CoinName::Dynex => dynex::Settings::from_section(section).map(Self::Dynex),
        }
    }

    /// Which coin's.
    #[must_use]
    pub const fn coin(&self) -> CoinName {
        match self {
            Self::Kaspa(_) => CoinName::Kaspa,
            Self::Alephium(_) => CoinName::Alephium,
            Self::Nexa(_) => CoinName::Nexa,
            Self::Hypra(_) => CoinName::Hypra,
            Self::Dynex(_) => CoinName::Dynex,
        }
    }

    /// The network's name.
    #[must_use]
    pub fn network(&self) -> &'static str {
        match self {
            Self::Kaspa(own) => own.network.name(),
            Self::Alephium(own) => own.network.name(),
            Self::Nexa(own) => own.network.name(),
            Self::Hypra(own) => own.network.name(),
            Self::Dynex(own) => own.network.name(),
        }
    }

    /// Where the chain pays the pool.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Kaspa(own) => own.address.to_string(),
            Self::Alephium(own) => own.address.to_string(),
            Self::Nexa(own) => own.address.to_string(),
            Self::Hypra(own) => own.address.to_string(),
            Self::Dynex(own) => own.address.to_string(),
        }
    }

    /// What is unwise about paying sums as small as this, if anything.
    #[must_use]
    pub fn payout_warning(&self, threshold: Amount) -> Option<&'static str> {
        match self {
            Self::Kaspa(_) => (threshold.get() < 100_000_000)
                .then_some("a threshold below 1 KAS makes transactions expensive (storage mass)"),
            Self::Hypra(_) => (threshold.get() < 100_000_000_000_000_000).then_some(
                "every miner is paid by a transaction of his own: a small threshold is spent on gas",
            ),
            Self::Alephium(_) | Self::Nexa(_) | Self::Dynex(_) => None,
        }
    }

    /// Blocks a second of the whole network.
    #[must_use]
    pub fn blocks_per_second(&self) -> f64 {
        match self {
            Self::Kaspa(own) => own.network.blocks_per_second() as f64,
            Self::Alephium(own) => 16.0 / own.network.block_seconds() as f64,
            Self::Nexa(_) | Self::Dynex(_) => 1.0 / 120.0,
            Self::Hypra(_) => 1.0 / 9.0,
        }
    }
}

/// The key of an earlier run, or a new one, in a file that only its owner reads. 32 random bytes in hexadecimal.
///
/// # Errors
/// What the file system says.
pub fn demo_key(path: &std::path::Path) -> anyhow::Result<String> {
    use anyhow::Context;
    if let Ok(text) = std::fs::read_to_string(path) {
        return Ok(text.trim().to_owned());
    }
    let mut bytes = [0; 32];
    let mut random = std::fs::File::open("/dev/urandom").context("no source of randomness")?;
    std::io::Read::read_exact(&mut random, &mut bytes)?;
    // Far below the order of every curve in use.
    bytes[0] = 0;
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create_new(true), 0o600);
    let mut file = options.open(path).with_context(|| format!("cannot write {}", path.display()))?;
    let text = hex::encode(bytes);
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    Ok(text)
}

/// Name and password of a node from a file of one line, `name:password`, as nodes write their cookie files.
///
/// # Errors
/// What the file system says, or that there is no colon.
pub(crate) fn login_of(path: &std::path::Path) -> anyhow::Result<Login> {
    use anyhow::Context;
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (user, password) = text.trim().split_once(':').with_context(|| {
        format!("{} must hold one line, a name and a password with a colon between", path.display())
    })?;
    Ok(Login { user: user.to_owned(), password: password.to_owned() })
}

/// A node behind HTTP: `host:port` or a URL.
pub(crate) fn http_node(text: &str) -> Result<String, String> {
    HttpPeer::new(text, &HttpRules::default()).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// The settings that every coin's demo has.
#[must_use]
pub(crate) fn demo_common(coin: CoinName, spot: &Spot, start: &str, window: &str, threshold: &str) -> String {
    let id = coin.facts().id;
    format!(
        r#"
[[{id}.listen]]
address = "{stratum}"

[{id}.vardiff]
share_interval_ms = 1000
start_difficulty = "{start}"
min_difficulty = "0.000000000001"

[{id}.reward]
scheme = "pplns"
window_blocks = "{window}"

[{id}.payout]
interval_secs = 15
threshold = "{threshold}"
"#,
        stratum = spot.stratum,
    )
}
