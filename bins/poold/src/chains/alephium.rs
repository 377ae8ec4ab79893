//! Alephium as this program mines it.

use super::{Chain, CoinName, Defaults, Demo, Facts, Mined, Opened, Spot, demo_common, demo_key, demo_miner};
use crate::config::{CoinConfig, Section};
use crate::roles::Stop;
use anyhow::Context;
use futures_util::FutureExt;
use pool_coins::alephium::Alephium;
use pool_coins::alephium::address::{Address, PayTo};
use pool_coins::alephium::coin::AlephiumJob;
use pool_coins::alephium::devnode::{DevNode, DevNodeConfig, bits_of_work};
use pool_coins::alephium::fate::FateRules;
use pool_coins::alephium::miner::mine;
use pool_coins::alephium::node::{AlephiumNode, AlephiumNodeConfig, Endpoint};
use pool_coins::alephium::params::Network;
use pool_coins::alephium::wallet::{AlephiumWallet, WalletKeys, WalletRules, payout_limits};
use pool_coins::alephium::wire::Layout;
use pool_coins::miner::MinerConfig;
use pool_core::coin::{Coin, Wallet};
use pool_stratum::dialect::alephium as dialect;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// What is known of Alephium. A block's value is that of the main chain since the emission reached its floor. A target's
/// work is that of one chain: a hash lands on the job's own chain one time in sixteen.
pub const FACTS: Facts = Facts {
    id: "alephium",
    name: "Alephium",
    symbol: "ALPH",
    decimals: 18,
    algorithm: "Blake3",
    website: "https://alephium.org",
    block_link: "https://explorer.alephium.org/blocks/",
    address_link: "https://explorer.alephium.org/addresses/",
    tx_link: "https://explorer.alephium.org/transactions/",
    difficulty_one: 1 << 30,
    network_difficulty_one: 1.0,
    hashes_per_work: Alephium::HASHES_PER_WORK,
    nonce_bits: 192,
    extranonce_beside: false,
    job_life_secs: 10,
    payouts_open_max: 4,
    line_bytes: None,
    block_value: 143_317_807_237_549_265,
    signs: true,
    getwork: false,
    defaults: Defaults {
        job_interval_ms: 500,
        confirmations: 60,
        difficulty: ["0.0001", "16777216", "64"],
        share_interval_ms: 5_000,
        extranonce_bytes: 2,
        window_blocks: 2_000,
        threshold: 500_000_000_000_000_000,
        payout_confirmations: 10,
        proof_threads: 1,
        rates: [200_000_000_000_000, 40_000_000_000_000_000, 16_000_000_000_000, 1_000_000_000],
    },
};

impl Mined for Alephium {
    type Dialect = dialect::Alephium<AlephiumJob>;

    fn height(job: &AlephiumJob) -> u64 {
        job.template().all().map(|template| u64::from(template.height())).max().unwrap_or_default()
    }
}

/// What only an Alephium pool has.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which network.
    pub network: Network,
    /// Where the chain pays the pool, an address for each group.
    pub address: PayTo,
    /// A file with the key of the nodes' REST interface.
    pub api_key_file: Option<PathBuf>,
    /// The layout of the miners' protocol; `None`: told from what a node says first.
    pub layout: Option<Layout>,
    /// How long after a reward's lock its block is final, in milliseconds.
    pub lock_margin_ms: u64,
}

impl Settings {
    pub(super) fn from_section(section: &Section<'_, '_>) -> Option<Self> {
        let network = section.required("network", "mainnet, testnet or devnet", Network::from_str);
        let address = section.required(
            "address",
            "the pool's four addresses, one of each group, with commas between",
            PayTo::from_str,
        );
        let api_key_file = section.text("api_key_file").map(PathBuf::from);
        let layout = section.parsed("layout", |text| match text {
            "auto" => Ok(None),
            "versioned" => Ok(Some(Layout::Versioned)),
            "bare" => Ok(Some(Layout::Bare)),
            _ => Err("must be \"auto\", \"versioned\" (nodes from 3.6.0 on) or \"bare\""),
        });
        let lock_margin_ms =
            section.number("lock_margin_ms", 0..=86_400_000, FateRules::default().lock_margin_ms);
        let layout = layout.flatten();
        Some(Self { network: network?, address: address?, api_key_file, layout, lock_margin_ms })
    }
}

/// `host:port` of a node's socket for miners, with `+REST` behind it where its REST port is not the usual one.
pub(super) fn node(text: &str) -> Result<String, String> {
    Endpoint::parse(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// An address in its canonical spelling. Alephium's addresses name no network.
pub(super) fn judge_address(text: &str) -> Result<String, String> {
    Address::parse(text).map(|address| address.to_string()).map_err(|error| error.to_string())
}

/// The library's parts from the settings. The only place where keys are read.
///
/// # Errors
/// A file that cannot be read, settings that do not fit together.
pub fn open(config: &CoinConfig, own: &Settings, chain: Chain) -> anyhow::Result<Opened<Alephium>> {
    let fate = match chain {
        Chain::Development => DevNodeConfig::fate_rules(),
        Chain::Public => FateRules {
            confirmations: config.confirmations,
            lock_margin_ms: own.lock_margin_ms,
            ..FateRules::default()
        },
    };
    let api_key = match &own.api_key_file {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            Some(text.with_context(|| format!("cannot read {}", path.display()))?.trim().to_owned())
        }
        None => None,
    };
    let (node, driver) = AlephiumNode::open(AlephiumNodeConfig {
        api_key,
        layout: own.layout,
        fate,
        ..AlephiumNodeConfig::new(config.nodes.clone(), own.network, own.address.clone())
    })?;
    let wallet = match config.key_file.as_ref().filter(|_| config.payout.enabled) {
        None => None,
        Some(path) => {
            let keys = WalletKeys::from_file(path)
                .with_context(|| format!("cannot read the keys in {}", path.display()))?;
            let rules =
                WalletRules { chain_confirmations: config.payout.confirmations, ..WalletRules::default() };
            let wallet = AlephiumWallet::new(keys, &node, rules).context("alephium.key_file")?;
            Some(Arc::new(wallet) as Arc<dyn Wallet>)
        }
    };
    Ok(Opened {
        wallet,
        payout_limits: payout_limits(config.payout.threshold),
        ..Opened::new(Alephium, node, driver, dialect::Alephium::default())
    })
}

/// A development node of sixteen chains that speaks the miners' protocol and REST, and a CPU miner.
pub(super) fn demo(spot: &Spot) -> anyhow::Result<Demo> {
    let key_path = spot.data.join("pool.key");
    let keys = WalletKeys::from_text(&demo_key(&key_path)?).context("the demo's key")?;
    let rest = spot.node.port().checked_add(1).context("there is no port that high")?;
    let node = DevNodeConfig {
        listen: spot.node,
        listen_rest: SocketAddr::new(spot.node.ip(), rest),
        bits: bits_of_work(spot.block_work.unwrap_or(13)),
        data: Some(spot.data.join("node")),
        ..DevNodeConfig::new(keys.addresses())
    };
    let section = format!(
        r#"[alephium]
network = "devnet"
nodes = ["{node}+{rest}"]
address = "{address}"
key_file = "{key}"
store = "sqlite:{store}"
{common}confirmations = 3

[alephium.expect]
pool_hashrate = "50 kH/s"
network_hashrate = "1 MH/s"
fastest_miner = "1 MH/s"
slowest_miner = "10 kH/s"
connections = 10
"#,
        node = spot.node,
        address = keys.addresses(),
        key = key_path.display(),
        store = spot.data.join("pool.db").display(),
        common = demo_common(CoinName::Alephium, spot, "0.000003", "20", "0.5"),
    );
    let miner = MinerConfig {
        pool: spot.stratum.to_string(),
        user: format!("{}.cpu", Address::of_key_hash([7; 32])),
        password: "x".to_owned(),
        agent: concat!("poolwright-cpu-miner/", env!("CARGO_PKG_VERSION")).to_owned(),
        threads: spot.threads,
        hashes_per_second_max: Some(50_000),
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
