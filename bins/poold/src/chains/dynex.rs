//! Dynex as this program mines it. What of a share can be verified here, and what cannot, is told in
//! [`pool_coins::dynex::pouw`].

use super::{
    Chain, CoinName, Defaults, Demo, Facts, Mined, Opened, Service, Spot, demo_common, demo_miner, http_node,
    login_of,
};
use crate::config::{CoinConfig, Section};
use crate::roles::Stop;
use anyhow::Context;
use futures_util::FutureExt;
use pool_coins::dynex::Dynex;
use pool_coins::dynex::address::{Address, Payee};
use pool_coins::dynex::coin::DynexJob;
use pool_coins::dynex::devnode::{DevNode, DevNodeConfig, toy_address};
use pool_coins::dynex::fate::FateRules;
use pool_coins::dynex::miner::mine;
use pool_coins::dynex::node::{DynexNode, DynexNodeConfig};
use pool_coins::dynex::params::{MATURITY, Network};
use pool_coins::dynex::pouw::{Backend, Outage, PouwRules, PouwStage, ServiceConfig, ServiceGeneration};
use pool_coins::dynex::wallet::{
    DynexWallet, WalletRpc, WalletRules, payout_limits, payout_limits_with_payment_ids,
};
use pool_coins::miner::MinerConfig;
use pool_core::coin::Wallet;
use pool_core::id::Worker;
use pool_stratum::dialect::dynex::target::TargetForm;
use pool_stratum::dialect::dynex::{self as dialect, DynexPuzzle, DynexRules};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// What is known of Dynex. A block's value is what the emission left of it late in 2026, roughly.
pub const FACTS: Facts = Facts {
    id: "dynex",
    name: "Dynex",
    symbol: "DNX",
    decimals: 9,
    algorithm: "DynexSolve",
    website: "https://dynexcoin.org",
    block_link: "https://blockexplorer.dynexcoin.org/?hash=",
    address_link: "https://blockexplorer.dynexcoin.org/?address=",
    tx_link: "https://blockexplorer.dynexcoin.org/?hash=",
    difficulty_one: 1,
    network_difficulty_one: 1.0,
    hashes_per_work: 1,
    nonce_bits: 32,
    extranonce_beside: true,
    job_life_secs: 90,
    payouts_open_max: 4,
    // The useful-work data of a share, and what stands around them.
    line_bytes: Some(80 * 1024),
    block_value: 5_000_000_000,
    signs: false,
    getwork: false,
    defaults: Defaults {
        job_interval_ms: 2_000,
        confirmations: MATURITY,
        difficulty: ["1000", "1000000000", "200000"],
        share_interval_ms: 20_000,
        extranonce_bytes: 3,
        window_blocks: 10,
        threshold: 1_000_000_000,
        payout_confirmations: 60,
        proof_threads: 1,
        rates: [10_000_000, 1_000_000_000, 100_000, 1_000],
    },
};

impl Mined for Dynex {
    type Dialect = dialect::Dynex<DynexJob>;

    fn height(job: &DynexJob) -> u64 {
        job.work().height
    }
}

/// What only a Dynex pool has.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which network.
    pub network: Network,
    /// Where the chain pays the pool: the address of the wallet program.
    pub address: Address,
    /// The wallet program; without it nothing is paid out.
    pub wallet: Option<String>,
    /// A file with the wallet program's name and password.
    pub wallet_login_file: Option<PathBuf>,
    /// Accounts may have payment ids; each is then paid alone.
    pub payment_ids: bool,
    /// Mine on templates that do not show whom they pay.
    pub trust_hidden_payee: bool,
    /// What stands behind the extranonce in every coinbase; two pools on one wallet take different ones.
    pub tag: [u8; 4],
    /// What is taken from miners.
    pub dialect: DynexRules,
    /// The second stage.
    pub backend: Backend,
    /// What becomes of shares while it is away.
    pub pouw: PouwRules,
}

impl Settings {
    pub(super) fn from_section(section: &Section<'_, '_>) -> Option<Self> {
        let network = section.required("network", "mainnet, testnet or devnet", Network::from_str);
        let address = section.required("address", "the pool's own address", Address::parse);
        let tag = section.parsed("tag", |text| {
            let mut tag = [0; 4];
            hex::decode_to_slice(text, &mut tag).map_err(|_| "must be 8 hexadecimal digits")?;
            Ok::<_, &str>(tag)
        });
        let wallet = section.parsed("wallet", http_node);
        let wallet_login_file = section.text("wallet_login_file").map(PathBuf::from);
        let payment_ids = section.flag("payment_ids", false);
        let trust_hidden_payee = section.flag("trust_hidden_payee", false);
        let dialect = dialect_rules(section);
        let pouw = section.section("pouw");
        let (backend, rules) = (backend(&pouw, network), pouw_rules(&pouw));
        pouw.known();
        Some(Self {
            network: network?,
            address: address?,
            wallet,
            wallet_login_file,
            payment_ids,
            trust_hidden_payee,
            tag: tag.unwrap_or_default(),
            dialect,
            backend: backend?,
            pouw: rules,
        })
    }
}

fn dialect_rules(section: &Section<'_, '_>) -> DynexRules {
    let usual = DynexRules::default();
    let names = |key, usual: &Vec<String>| {
        section.list(key, |text| Ok::<_, String>(text.to_owned())).unwrap_or_else(|| usual.clone())
    };
    let target = section.parsed("target_digits", |text| match text {
        "8" => Ok(TargetForm::Bits32),
        "16" => Ok(TargetForm::Bits64),
        _ => Err("must be 8 or 16"),
    });
    DynexRules {
        algorithms_v230: names("algorithms_v230", &usual.algorithms_v230),
        algorithms_v235: names("algorithms_v235", &usual.algorithms_v235),
        mallob_required: section.flag("mallob_required", usual.mallob_required),
        target: target.unwrap_or_default(),
        ..usual
    }
}

/// The service that vouches for useful work. A pool on mainnet must say what it wants.
fn backend(section: &Section<'_, '_>, network: Option<Network>) -> Option<Backend> {
    let generation = section.parsed("service", |text| match text {
        "v230" => Ok(Some(ServiceGeneration::V230)),
        "v235" => Ok(Some(ServiceGeneration::V235)),
        "disabled" => Ok(None),
        _ => Err("must be \"v230\", \"v235\" or \"disabled\""),
    });
    if generation.is_none() && network == Some(Network::Mainnet) && !section.has("service") {
        section.mistake(
            "service",
            "is missing: v230, v235, or disabled if every claim of useful work shall count",
        );
    }
    let endpoint = section.parsed("endpoint", http_node);
    let usual = ServiceConfig::new("127.0.0.1:8080", ServiceGeneration::V235);
    let path = section.text("path").unwrap_or_else(|| usual.path.clone());
    let pool_uuid = section.text("pool_uuid").unwrap_or_default();
    let timeout = Duration::from_millis(section.number("timeout_ms", 100..=60_000, 5_000));
    match (generation.flatten(), endpoint) {
        (None, _) => Some(Backend::Disabled),
        (Some(_), None) => {
            section.mistake("endpoint", "is missing: where the service is, as in \"http://127.0.0.1:8080\"");
            None
        }
        (Some(generation), Some(endpoint)) => {
            let config = ServiceConfig::new(&endpoint, generation);
            Some(Backend::Service(Box::new(ServiceConfig { path, pool_uuid, timeout, ..config })))
        }
    }
}

fn pouw_rules(section: &Section<'_, '_>) -> PouwRules {
    let usual = PouwRules::default();
    let outage = section.parsed("outage", |text| match text {
        "refuse" => Ok(Outage::Refuse),
        "accept" => Ok(Outage::Accept),
        "hold" => Ok(Outage::hold()),
        _ => Err("must be \"refuse\", \"accept\" or \"hold\""),
    });
    let submit_unattested_blocks = section.flag("submit_unattested_blocks", usual.submit_unattested_blocks);
    PouwRules { outage: outage.unwrap_or(usual.outage), submit_unattested_blocks }
}

/// An address in its canonical spelling, with a payment id if it has one. Dynex's addresses name no network.
pub(super) fn judge_address(text: &str) -> Result<String, String> {
    Payee::parse(text).map(|payee| payee.to_string()).map_err(|error| error.to_string())
}

/// The useful-work service as miners ask it.
#[derive(Debug)]
struct Relay(PouwStage);

#[async_trait::async_trait]
impl Service for Relay {
    async fn ask(&self, worker: Worker, payload: String, from: SocketAddr) -> Result<String, String> {
        self.0.ask(&worker, &payload, from.ip()).await
    }
}

/// The library's parts from the settings.
///
/// # Errors
/// A file that cannot be read, settings that do not fit together.
pub fn open(config: &CoinConfig, own: &Settings, _chain: Chain) -> anyhow::Result<Opened<Dynex>> {
    let maturity = config.maturity.unwrap_or(MATURITY);
    let usual = FateRules::default();
    let (node, driver) = DynexNode::open(DynexNodeConfig {
        tag: own.tag,
        trust_hidden_payee: own.trust_hidden_payee,
        maturity,
        fate: FateRules {
            confirmations: config.confirmations.max(maturity),
            lost_depth: usual.lost_depth.min(config.confirmations.max(maturity)),
        },
        ..DynexNodeConfig::new(config.nodes.clone(), own.network, own.address)
    })?;
    let wallet = match own.wallet.as_ref().filter(|_| config.payout.enabled) {
        None => None,
        Some(endpoint) => {
            let login = own.wallet_login_file.as_deref().map(login_of).transpose()?;
            let rpc = WalletRpc { endpoint: endpoint.clone(), login };
            let rules = WalletRules { settle_depth: config.payout.confirmations, ..WalletRules::default() };
            let wallet = DynexWallet::new(&rpc, &node, rules).context("dynex.wallet")?;
            Some(Arc::new(wallet) as Arc<dyn Wallet>)
        }
    };
    let stage = PouwStage::open(own.backend.clone(), own.pouw).context("dynex.pouw")?;
    let threshold = config.payout.threshold;
    let (of_blocks, of_trouble) = (node.clone(), node.clone());
    Ok(Opened {
        wallet,
        payout_limits: if own.payment_ids {
            payout_limits_with_payment_ids(threshold)
        } else {
            payout_limits(threshold)
        },
        attest: Some(Arc::new(stage.clone())),
        service: Some(Arc::new(Relay(stage))),
        expect: Some(Arc::new(move |block, height| of_blocks.expect(block, height))),
        trouble: Some(Arc::new(move || {
            let blocks = of_trouble.unauthorised();
            let last = blocks.last()?;
            Some(format!(
                "{} block(s) were refused by the network's authority, the last at height {}: {}",
                blocks.len(),
                last.height,
                last.words
            ))
        })),
        ..Opened::new(
            Dynex::new(own.network).with_payment_ids(own.payment_ids).with_floor(config.vardiff.min),
            node,
            driver,
            dialect::Dynex::new(own.dialect.clone()),
        )
    })
}

/// A development node that speaks the daemon's and the wallet program's JSON-RPC, and a CPU miner.
pub(super) fn demo(spot: &Spot) -> anyhow::Result<Demo> {
    let wallet_port = spot.node.port().checked_add(1).context("there is no port that high")?;
    let wallet_listen = SocketAddr::new(spot.node.ip(), wallet_port);
    let usual = DevNodeConfig::new(toy_address(1));
    let node = DevNodeConfig {
        listen: spot.node,
        wallet_listen,
        difficulty: spot.block_work.map_or(usual.difficulty, |log2| 1 << log2.min(62)),
        data: Some(spot.data.join("node")),
        ..usual
    };
    let section = format!(
        r#"[dynex]
network = "devnet"
nodes = ["{node}"]
address = "{address}"
wallet = "{wallet_listen}"
store = "sqlite:{store}"
maturity = {maturity}
confirmations = {maturity}
{common}confirmations = 4

[dynex.pouw]
service = "disabled"

[dynex.expect]
pool_hashrate = "300 H/s"
network_hashrate = "1 kH/s"
fastest_miner = "1 kH/s"
slowest_miner = "100 H/s"
connections = 10
"#,
        node = spot.node,
        address = node.wallet,
        store = spot.data.join("pool.db").display(),
        maturity = node.maturity,
        common = demo_common(CoinName::Dynex, spot, "200", "20", "1"),
    );
    let miner = MinerConfig {
        pool: spot.stratum.to_string(),
        user: format!("{}.cpu", toy_address(7)),
        password: "x".to_owned(),
        agent: concat!("poolwright-cpu-miner/", env!("CARGO_PKG_VERSION")).to_owned(),
        threads: spot.threads,
        hashes_per_second_max: Some(250),
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
