//! Kaspa as this program mines it.

use super::{
    Chain, CoinName, Commit, Defaults, Demo, Facts, Mined, Opened, Spot, demo_common, demo_key, demo_miner,
};
use crate::config::{CoinConfig, Section};
use crate::roles::Stop;
use anyhow::Context;
use futures_util::FutureExt;
use pool_coins::kaspa::Kaspa;
use pool_coins::kaspa::address::Address;
use pool_coins::kaspa::coin::KaspaJob;
use pool_coins::kaspa::devnode::{DevNode, DevNodeConfig, bits_of_work};
use pool_coins::kaspa::fate::FateRules;
use pool_coins::kaspa::miner::mine;
use pool_coins::kaspa::node::{KaspaNode, KaspaNodeConfig};
use pool_coins::kaspa::params::Network;
use pool_coins::kaspa::wallet::{KaspaWallet, WalletKey, WalletRules, payout_limits};
use pool_coins::miner::MinerConfig;
use pool_core::coin::Wallet;
use pool_stratum::dialect::kaspa::{self as dialect, DialectRow, DialectTable, ExtranonceForm, NotifyForm};
use std::str::FromStr;
use std::sync::Arc;

/// What is known of Kaspa. A block's value is that of November 2026, from the emission schedule at DAA score
/// 598 000 000.
pub const FACTS: Facts = Facts {
    id: "kaspa",
    name: "Kaspa",
    symbol: "KAS",
    decimals: 8,
    algorithm: "kHeavyHash",
    website: "https://kaspa.org",
    block_link: "https://explorer.kaspa.org/blocks/",
    address_link: "https://explorer.kaspa.org/addresses/",
    tx_link: "https://explorer.kaspa.org/txs/",
    difficulty_one: 1 << 32,
    network_difficulty_one: 2.0,
    hashes_per_work: 1,
    nonce_bits: 64,
    extranonce_beside: false,
    job_life_secs: 90,
    payouts_open_max: 4,
    line_bytes: None,
    block_value: 194_454_365,
    signs: true,
    getwork: false,
    defaults: Defaults {
        job_interval_ms: 250,
        confirmations: 1_000,
        difficulty: ["1", "16777216", "4096"],
        share_interval_ms: 5_000,
        extranonce_bytes: 2,
        window_blocks: 10_000,
        threshold: 1_000_000_000,
        payout_confirmations: 200,
        proof_threads: 1,
        rates: [1_000_000_000_000_000, 500_000_000_000_000_000, 21_000_000_000_000, 100_000_000_000],
    },
};

impl Mined for Kaspa {
    type Dialect = dialect::Kaspa<KaspaJob>;

    fn height(job: &KaspaJob) -> u64 {
        job.template().header().blue_score
    }
}

/// Bytes of text that leave room for a commitment. Source: [`KaspaNodeConfig::extra_data`].
const EXTRA_DATA_COMMITTED_MAX: usize = 31;

/// What only a Kaspa pool has.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which network.
    pub network: Network,
    /// Where the chain pays the pool.
    pub address: Address,
    /// Text in the coinbase of our blocks.
    pub extra_data: String,
    /// Put the root of the share log into the coinbase.
    pub commit_log: bool,
    /// Mine although the node says that it has not caught up. Private networks only.
    pub mine_unsynced: bool,
    /// Which miner software speaks how.
    pub agents: DialectTable,
}

impl Settings {
    pub(super) fn from_section(section: &Section<'_, '_>) -> Option<Self> {
        let network = section.required("network", "mainnet, testnet-10, simnet or devnet", Network::from_str);
        let address = section.required("address", "the pool's own address", |text| {
            Address::parse(text, network.unwrap_or(Network::Mainnet))
        });
        let extra_data = section.parsed("extra_data", extra_data).unwrap_or_else(|| "poolwright".to_owned());
        let agents = agents(section);
        let mine_unsynced = section.flag("mine_unsynced", false);
        let commit_log = section.flag("commit_log", false);
        if commit_log && extra_data.len() > EXTRA_DATA_COMMITTED_MAX {
            section.mistake("extra_data", "must be at most 31 characters where commit_log is on");
        }
        Some(Self { network: network?, address: address?, extra_data, commit_log, mine_unsynced, agents })
    }
}

/// The operator's rows come before the built-in ones, so that they win.
fn agents(section: &Section<'_, '_>) -> DialectTable {
    let rows: Vec<_> = section.sections("agent").iter().map(agent).collect();
    DialectTable::new(&rows).unwrap_or_else(|error| {
        section.mistake("agent", error.to_string());
        DialectTable::default()
    })
}

fn agent(row: &Section<'_, '_>) -> DialectRow {
    let notify = row.parsed("notify", |text| match text {
        "array" => Ok(NotifyForm::Array),
        "big-job" => Ok(NotifyForm::BigJob),
        _ => Err("must be \"array\" or \"big-job\""),
    });
    let extranonce = row.parsed("extranonce", |text| match text {
        "notify-1" => Ok(ExtranonceForm::Notify1),
        "notify-2" => Ok(ExtranonceForm::Notify2),
        "subscribe" => Ok(ExtranonceForm::Subscribe),
        _ => Err("must be \"notify-1\", \"notify-2\" or \"subscribe\""),
    });
    let parsed = DialectRow {
        agent_contains: row
            .required("contains", "a part of the user agent", |text| Ok::<_, String>(text.to_owned()))
            .unwrap_or_default(),
        notify: notify.unwrap_or_default(),
        extranonce: extranonce.unwrap_or_default(),
        extranonce_early: row.flag("extranonce_early", false),
        extranonce_bare_method: row.flag("extranonce_bare_method", false),
        minimal_json: row.flag("minimal_json", false),
        decimal_nonce: row.flag("decimal_nonce", false),
        power_of_two: row.flag("power_of_two", false),
        show_message: row.flag("show_message", false),
    };
    row.known();
    parsed
}

fn extra_data(text: &str) -> Result<String, String> {
    if text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        Ok(text.to_owned())
    } else {
        Err("must be at most 64 printable ASCII characters".to_owned())
    }
}

/// `host:port` of a node's gRPC listener.
pub(super) fn node(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix("grpc://").unwrap_or(text);
    let port = bare.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
    match port.map(str::parse::<u16>) {
        Some(Ok(port)) if port > 0 => Ok(bare.to_owned()),
        _ => Err(format!("is {text:?}, must be host:port of a node's gRPC listener")),
    }
}

/// An address of any of the networks, in its canonical spelling.
pub(super) fn judge_address(text: &str) -> Result<String, String> {
    Address::decode(text).map(|address| address.to_string()).map_err(|error| error.to_string())
}

/// The library's parts from the settings. The only place where a key is read.
///
/// # Errors
/// A key that cannot be read, settings that do not fit together.
pub fn open(config: &CoinConfig, own: &Settings, chain: Chain) -> anyhow::Result<Opened<Kaspa>> {
    let maturity = config.maturity.unwrap_or_else(|| own.network.coinbase_maturity());
    let (node, driver) = KaspaNode::open(KaspaNodeConfig {
        extra_data: own.extra_data.clone(),
        mine_unsynced: chain == Chain::Development || own.mine_unsynced,
        fate: FateRules { confirmations: config.confirmations, maturity, ..FateRules::default() },
        ..KaspaNodeConfig::new(config.nodes.clone(), own.network, own.address.clone())
    })?;
    let wallet = match config.key_file.as_ref().filter(|_| config.payout.enabled) {
        None => None,
        Some(path) => {
            let key = WalletKey::from_file(path)
                .with_context(|| format!("cannot read the key in {}", path.display()))?;
            let rules = WalletRules {
                maturity,
                change_age: maturity.min(WalletRules::default().change_age),
                settle_depth: config.payout.confirmations,
                ..WalletRules::default()
            };
            let wallet = KaspaWallet::new(key, &node, rules).context("kaspa.key_file")?;
            Some(Arc::new(wallet) as Arc<dyn Wallet>)
        }
    };
    let commit = own.commit_log.then(|| {
        let node = node.clone();
        Arc::new(move |root| {
            if let Err(error) = node.set_commitment(Some(root)) {
                tracing::warn!(%error, "the log's root is not committed to");
            }
        }) as Commit
    });
    Ok(Opened {
        wallet,
        payout_limits: payout_limits(config.payout.threshold),
        commit,
        ..Opened::new(Kaspa::new(own.network), node, driver, dialect::Kaspa::new(own.agents.clone()))
    })
}

/// The built-in miner's key, and the address it is paid at. Only a development network would ever pay it.
const MINER_KEY: &str = "0000000000000000000000000000000000000000000000000000000000000002";

/// A development node that speaks Kaspa's own gRPC and checks real proof of work, and a CPU miner.
pub(super) fn demo(spot: &Spot) -> anyhow::Result<Demo> {
    let key_path = spot.data.join("pool.key");
    let key = WalletKey::from_hex(&demo_key(&key_path)?).context("the demo's key")?;
    let address = KaspaWallet::address_of(&key, Network::Devnet);
    let section = format!(
        r#"[kaspa]
network = "devnet"
nodes = ["{node}"]
address = "{address}"
key_file = "{key}"
store = "sqlite:{store}"
confirmations = 10
maturity = 20
mine_unsynced = true
{common}confirmations = 10

[kaspa.expect]
pool_hashrate = "1 MH/s"
network_hashrate = "10 MH/s"
fastest_miner = "2 MH/s"
slowest_miner = "100 kH/s"
connections = 10
"#,
        node = spot.node,
        key = key_path.display(),
        store = spot.data.join("pool.db").display(),
        common = demo_common(CoinName::Kaspa, spot, "0.00001", "20", "25"),
    );
    let node = DevNodeConfig {
        listen: spot.node,
        bits: bits_of_work(spot.block_work.unwrap_or(20)),
        data: Some(spot.data.join("node")),
        ..DevNodeConfig::default()
    };
    let node = async move {
        let (node, driver) = DevNode::open(node).await.context("the development node")?;
        Ok(async move {
            driver.await;
            drop(node);
        }
        .boxed())
    };
    let miner = MinerConfig {
        pool: spot.stratum.to_string(),
        user: format!("{}.cpu", KaspaWallet::address_of(&WalletKey::from_hex(MINER_KEY)?, Network::Devnet)),
        password: "x".to_owned(),
        agent: concat!("poolwright-cpu-miner/", env!("CARGO_PKG_VERSION")).to_owned(),
        threads: spot.threads,
        // The pool and the node run on the same cores, and so does whoever looks at the page.
        hashes_per_second_max: Some(300_000),
    };
    Ok(Demo {
        section,
        node: node.boxed(),
        miner: demo_miner(move |counters, events, stop: Stop| {
            async move { mine(miner, counters, events, stop.heard()).await }.boxed()
        }),
    })
}
