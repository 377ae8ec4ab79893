//! Hypra as this program mines it.

use super::{Chain, CoinName, Defaults, Demo, Facts, Mined, Opened, Spot, demo_common, demo_key, demo_miner};
use crate::config::{CoinConfig, Section};
use crate::roles::Stop;
use anyhow::Context;
use futures_util::FutureExt;
use pool_coins::http::HttpRules;
use pool_coins::hypra::Hypra;
use pool_coins::hypra::address::Address;
use pool_coins::hypra::coin::HypraJob;
use pool_coins::hypra::devnode::{DevNode, DevNodeConfig};
use pool_coins::hypra::epochs::{CacheRules, EpochCaches};
use pool_coins::hypra::fate::FateRules;
use pool_coins::hypra::miner::mine;
use pool_coins::hypra::node::{HypraNode, HypraNodeConfig};
use pool_coins::hypra::params::Network;
use pool_coins::hypra::rewards::RewardRules;
use pool_coins::hypra::wallet::{HypraWallet, WalletKey, WalletRules, payout_limits};
use pool_coins::miner::MinerConfig;
use pool_core::coin::Wallet;
use pool_stratum::dialect::hypra as dialect;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;

/// What is known of Hypra.
pub const FACTS: Facts = Facts {
    id: "hypra",
    name: "Hypra",
    symbol: "HYP",
    decimals: 18,
    algorithm: "EthashB3",
    website: "https://www.hypra.network",
    block_link: "https://explorer.hypra.network/block/",
    address_link: "https://explorer.hypra.network/address/",
    tx_link: "https://explorer.hypra.network/tx/",
    difficulty_one: 1 << 32,
    network_difficulty_one: 1.0,
    hashes_per_work: 1,
    nonce_bits: 64,
    extranonce_beside: false,
    job_life_secs: 90,
    payouts_open_max: 64,
    line_bytes: None,
    block_value: 4_000_000_000_000_000_000,
    signs: true,
    getwork: true,
    defaults: Defaults {
        job_interval_ms: 500,
        confirmations: 32,
        difficulty: ["0.0001", "65536", "0.05"],
        share_interval_ms: 5_000,
        extranonce_bytes: 2,
        window_blocks: 100,
        threshold: 1_000_000_000_000_000_000,
        payout_confirmations: 32,
        proof_threads: 4,
        rates: [5_000_000_000, 200_000_000_000, 1_000_000_000, 20_000_000],
    },
};

impl Mined for Hypra {
    type Dialect = dialect::Hypra<HypraJob>;

    fn height(job: &HypraJob) -> u64 {
        job.work().height
    }
}

/// What only a Hypra pool has.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which network.
    pub network: Network,
    /// Where the chain pays the pool: what the nodes mine for.
    pub address: Address,
    /// Mine although a node says that it has not caught up. Private networks only.
    pub mine_unsynced: bool,
    /// Threads that compute the epoch's full dataset into memory; none: proofs use the cache.
    pub dataset_threads: Option<NonZeroUsize>,
    /// What blocks pay, by height.
    pub rewards: RewardRules,
}

impl Settings {
    pub(super) fn from_section(section: &Section<'_, '_>) -> Option<Self> {
        let network = section.required("network", "mainnet, krontos or devnet", Network::from_str);
        let address = section.required("address", "the pool's own address", Address::parse);
        let threads = section.number("dataset_threads", 0..=256, 0);
        let mine_unsynced = section.flag("mine_unsynced", false);
        let rewards = network.unwrap_or(Network::Mainnet).rewards();
        let london = section.number("london_height", 0..=u64::MAX, rewards.london);
        Some(Self {
            network: network?,
            address: address?,
            mine_unsynced,
            dataset_threads: usize::try_from(threads).ok().and_then(NonZeroUsize::new),
            rewards: RewardRules { london, ..rewards },
        })
    }
}

/// An address in its canonical spelling. Hypra's addresses name no network.
pub(super) fn judge_address(text: &str) -> Result<String, String> {
    Address::parse(text).map(|address| address.to_string()).map_err(|error| error.to_string())
}

/// The library's parts from the settings. The only place where a key is read.
///
/// # Errors
/// A key that cannot be read, settings that do not fit together.
pub fn open(config: &CoinConfig, own: &Settings, chain: Chain) -> anyhow::Result<Opened<Hypra>> {
    let caches = Arc::new(EpochCaches::new(CacheRules { dataset_threads: own.dataset_threads }));
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let coin = Hypra::new(own.network, caches.clone(), cores);
    let (node, driver) = HypraNode::open(HypraNodeConfig {
        mine_unsynced: chain == Chain::Development || own.mine_unsynced,
        http: HttpRules::default(),
        fate: FateRules { confirmations: config.confirmations, rewards: own.rewards },
        caches: Some(caches),
        ..HypraNodeConfig::new(config.nodes.clone(), own.network, own.address)
    })?;
    let wallet = match config.key_file.as_ref().filter(|_| config.payout.enabled) {
        None => None,
        Some(path) => {
            let key = WalletKey::from_file(path)
                .with_context(|| format!("cannot read the key in {}", path.display()))?;
            let rules = WalletRules { settle_depth: config.payout.confirmations, ..WalletRules::default() };
            let wallet = HypraWallet::new(key, &node, rules).context("hypra.key_file")?;
            Some(Arc::new(wallet) as Arc<dyn Wallet>)
        }
    };
    Ok(Opened {
        wallet,
        payout_limits: payout_limits(config.payout.threshold),
        ..Opened::new(coin, node, driver, dialect::Hypra::new("poolwright"))
    })
}

/// A development node that speaks Ethereum's JSON-RPC, and a CPU miner.
pub(super) fn demo(spot: &Spot) -> anyhow::Result<Demo> {
    let key_path = spot.data.join("pool.key");
    let key = WalletKey::from_hex(&demo_key(&key_path)?).context("the demo's key")?;
    let difficulty = spot.block_work.map_or(DevNodeConfig::default().difficulty, |log2| 1 << log2.min(62));
    let node = DevNodeConfig {
        listen: spot.node,
        coinbase: key.address(),
        difficulty,
        data: Some(spot.data.join("node")),
        ..DevNodeConfig::default()
    };
    let section = format!(
        r#"[hypra]
network = "devnet"
nodes = ["http://{node}"]
address = "{address}"
key_file = "{key}"
store = "sqlite:{store}"
confirmations = 8
{common}confirmations = 4

[hypra.expect]
pool_hashrate = "500 H/s"
network_hashrate = "5 kH/s"
fastest_miner = "1 kH/s"
slowest_miner = "100 H/s"
connections = 10
"#,
        node = spot.node,
        address = key.address(),
        key = key_path.display(),
        store = spot.data.join("pool.db").display(),
        common = demo_common(CoinName::Hypra, spot, "0.0000001", "20", "1"),
    );
    let miner = MinerConfig {
        pool: spot.stratum.to_string(),
        user: format!("{}.cpu", Address::new([7; 20])),
        password: "x".to_owned(),
        agent: concat!("poolwright-cpu-miner/", env!("CARGO_PKG_VERSION")).to_owned(),
        threads: spot.threads,
        hashes_per_second_max: Some(400),
    };
    let node = async move {
        let (node, driver) = DevNode::open(node).await.context("the development node")?;
        Ok(async move {
            driver.await;
            drop(node);
        }
        .boxed())
    };
    Ok(Demo {
        section,
        node: node.boxed(),
        miner: demo_miner(move |counters, events, stop: Stop| {
            async move { mine(miner, counters, events, stop.heard()).await }.boxed()
        }),
    })
}
