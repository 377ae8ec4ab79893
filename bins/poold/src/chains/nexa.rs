//! Nexa as this program mines it.

use super::{
    Chain, CoinName, Defaults, Demo, Facts, Mined, Opened, Spot, demo_common, demo_miner, http_node, login_of,
};
use crate::config::{CoinConfig, Section};
use crate::roles::Stop;
use anyhow::Context;
use futures_util::FutureExt;
use pool_coins::http::Login;
use pool_coins::miner::MinerConfig;
use pool_coins::nexa::Nexa;
use pool_coins::nexa::address::Address;
use pool_coins::nexa::coin::NexaJob;
use pool_coins::nexa::devnode::{DevNode, DevNodeConfig, bits_of_work, wallet_address};
use pool_coins::nexa::fate::FateRules;
use pool_coins::nexa::miner::mine;
use pool_coins::nexa::node::{NexaNode, NexaNodeConfig};
use pool_coins::nexa::params::Network;
use pool_coins::nexa::wallet::{NexaWallet, WalletRules, payout_limits};
use pool_core::coin::Wallet;
use pool_stratum::dialect::nexa::{self as dialect, Form, NexaRow, NexaTable};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// What is known of Nexa. A block's value is the subsidy before the first halving.
pub const FACTS: Facts = Facts {
    id: "nexa",
    name: "Nexa",
    symbol: "NEXA",
    decimals: 2,
    algorithm: "NexaPow",
    website: "https://nexa.org",
    block_link: "https://explorer.nexa.org/block/",
    address_link: "https://explorer.nexa.org/address/",
    tx_link: "https://explorer.nexa.org/tx/",
    difficulty_one: 1 << 32,
    network_difficulty_one: 4_295_032_833.0,
    hashes_per_work: 1,
    nonce_bits: 96,
    extranonce_beside: false,
    job_life_secs: 90,
    payouts_open_max: 4,
    line_bytes: None,
    block_value: 1_000_000_000,
    signs: false,
    getwork: false,
    defaults: Defaults {
        job_interval_ms: 1_000,
        confirmations: 5_001,
        difficulty: ["0.0001", "65536", "0.1"],
        share_interval_ms: 5_000,
        extranonce_bytes: 2,
        window_blocks: 10,
        threshold: 1_000_000,
        payout_confirmations: 30,
        proof_threads: 1,
        rates: [100_000_000_000, 10_000_000_000_000, 200_000_000, 10_000_000],
    },
};

impl Mined for Nexa {
    type Dialect = dialect::Nexa<NexaJob>;

    fn height(job: &NexaJob) -> u64 {
        job.work().height
    }
}

/// What only a Nexa pool has.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which network.
    pub network: Network,
    /// Where the chain pays the pool: an address of the wallet of `wallet_node`.
    pub address: Address,
    /// A file with name and password of the nodes.
    pub login_file: Option<PathBuf>,
    /// The node whose wallet pays; `None`: the first of the nodes.
    pub wallet_node: Option<String>,
    /// Pay to addresses that carry a token group, too.
    pub token_addresses: bool,
    /// Which miner software speaks which grammar.
    pub agents: NexaTable,
}

impl Settings {
    pub(super) fn from_section(section: &Section<'_, '_>) -> Option<Self> {
        let network =
            section.required("network", "mainnet, testnet, stormtest or regtest", Network::from_str);
        let address = section.required("address", "the pool's own address", |text| {
            Address::parse(text, network.unwrap_or(Network::Mainnet))
        });
        let login_file = section.text("login_file").map(PathBuf::from);
        let wallet_node = section.parsed("wallet_node", http_node);
        let token_addresses = section.flag("token_addresses", false);
        let agents = agents(section);
        Some(Self { network: network?, address: address?, login_file, wallet_node, token_addresses, agents })
    }
}

fn form(text: &str) -> Result<Form, &'static str> {
    match text {
        "short" => Ok(Form::Short),
        "echelon" => Ok(Form::Echelon),
        _ => Err("must be \"short\" or \"echelon\""),
    }
}

/// The operator's rows come before the built-in ones, so that they win.
fn agents(section: &Section<'_, '_>) -> NexaTable {
    let default = section.parsed("grammar", form).unwrap_or_default();
    let row = |row: &Section<'_, '_>| {
        let contains =
            row.required("contains", "a part of the user agent", |text| Ok::<_, String>(text.to_owned()));
        let form = row.parsed("grammar", form).unwrap_or_default();
        let extranonce_bytes =
            row.has("extranonce_bytes").then(|| row.number("extranonce_bytes", 0..=8, 4) as u8);
        row.known();
        NexaRow { agent_contains: contains.unwrap_or_default(), form, extranonce_bytes }
    };
    let rows: Vec<_> = section.sections("agent").iter().map(row).collect();
    NexaTable::new(&rows, default).unwrap_or_else(|error| {
        section.mistake("agent", error.to_string());
        NexaTable::default()
    })
}

/// An address of any of the networks, in its canonical spelling.
pub(super) fn judge_address(text: &str) -> Result<String, String> {
    Address::decode(text).map(|address| address.to_string()).map_err(|error| error.to_string())
}

/// The library's parts from the settings.
///
/// # Errors
/// A file that cannot be read, settings that do not fit together.
pub fn open(config: &CoinConfig, own: &Settings, _chain: Chain) -> anyhow::Result<Opened<Nexa>> {
    let login: Option<Login> = own.login_file.as_deref().map(login_of).transpose()?;
    let fate = FateRules::of(own.network);
    let (node, driver) = NexaNode::open(NexaNodeConfig {
        login,
        fate: FateRules {
            confirmations: config.confirmations,
            lost_depth: fate.lost_depth.min(config.confirmations),
        },
        ..NexaNodeConfig::new(config.nodes.clone(), own.network, own.address.clone())
    })?;
    let wallet = if config.payout.enabled {
        let endpoint =
            own.wallet_node.as_ref().or(config.nodes.first()).context("nexa.nodes names no node")?;
        let rules = WalletRules { settle_depth: config.payout.confirmations, ..WalletRules::default() };
        Some(Arc::new(NexaWallet::new(endpoint, &node, rules).context("nexa.wallet_node")?) as Arc<dyn Wallet>)
    } else {
        None
    };
    let coin = Nexa::new(own.network).with_token_addresses(own.token_addresses);
    Ok(Opened {
        wallet,
        payout_limits: payout_limits(config.payout.threshold),
        ..Opened::new(coin, node, driver, dialect::Nexa::new(own.agents.clone()))
    })
}

/// A development node that speaks the real node's JSON-RPC, wallet included, and a CPU miner.
pub(super) fn demo(spot: &Spot) -> anyhow::Result<Demo> {
    let node = DevNodeConfig {
        listen: spot.node,
        bits: bits_of_work(spot.block_work.unwrap_or(14)),
        data: Some(spot.data.join("node")),
        ..DevNodeConfig::default()
    };
    let login_file = spot.data.join("node.login");
    let login =
        node.login.as_ref().map_or(String::new(), |login| format!("{}:{}", login.user, login.password));
    std::fs::write(&login_file, login).with_context(|| format!("cannot write {}", login_file.display()))?;
    let section = format!(
        r#"[nexa]
network = "regtest"
nodes = ["{node}"]
address = "{address}"
login_file = "{login}"
store = "sqlite:{store}"
confirmations = {confirmations}
{common}confirmations = 3

[nexa.expect]
pool_hashrate = "10 kH/s"
network_hashrate = "30 kH/s"
fastest_miner = "20 kH/s"
slowest_miner = "1 kH/s"
connections = 10
"#,
        node = spot.node,
        address = wallet_address(node.network),
        login = login_file.display(),
        store = spot.data.join("pool.db").display(),
        confirmations = node.maturity + 1,
        common = demo_common(CoinName::Nexa, spot, "0.0000005", "20", "100000"),
    );
    let miner = MinerConfig {
        pool: spot.stratum.to_string(),
        user: format!("{}.cpu", Address::pay_to_key_template(node.network, [7; 20])),
        password: "x".to_owned(),
        agent: concat!("poolwright-cpu-miner/", env!("CARGO_PKG_VERSION")).to_owned(),
        threads: spot.threads,
        hashes_per_second_max: Some(4_000),
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
