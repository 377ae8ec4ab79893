//! `poold demo`: a whole pool on this machine, to look at: a development node that speaks Kaspa's own protocol and
//! checks real proof of work at an easy target, the pool on SQLite, and a CPU miner connected through real stratum.

use crate::config::Config;
use crate::pool::{self, Chain};
use crate::roles::Stop;
use crate::run::{block_on, finish};
use anyhow::Context;
use pool_coins::kaspa::devnode::{DevNode, DevNodeConfig, bits_of_work};
use pool_coins::kaspa::miner::{MinerConfig, MinerCounters, MinerEvent, mine};
use pool_coins::kaspa::params::Network;
use pool_coins::kaspa::wallet::{KaspaWallet, WalletKey};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What `poold demo` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Where the demo keeps its data; a next start goes on with it
    #[arg(long, default_value = "data/demo")]
    data: PathBuf,
    /// Pages and JSON
    #[arg(long, default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// Where miners connect
    #[arg(long, default_value = "127.0.0.1:5555")]
    stratum: SocketAddr,
    /// The development node's gRPC port
    #[arg(long, default_value = "127.0.0.1:16610")]
    node: SocketAddr,
    /// Search threads of the built-in miner; 0 for none
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// About 2^N hashes solve a block
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    block_work: u32,
}

/// The built-in miner's key, and the address it is paid at. Only a development network would ever pay it.
const MINER_KEY: &str = "0000000000000000000000000000000000000000000000000000000000000002";

/// Runs the demo until a signal, and says how it ended.
#[must_use]
pub fn main(arguments: &Arguments) -> ExitCode {
    finish(prepare(arguments).and_then(|config| {
        let arguments = arguments.clone();
        block_on(config, |config, stop| run(arguments, config, stop))
    }))
}

/// Makes the folder, the key and the configuration.
fn prepare(arguments: &Arguments) -> anyhow::Result<Config> {
    std::fs::create_dir_all(&arguments.data)
        .with_context(|| format!("cannot make {}", arguments.data.display()))?;
    let key_path = arguments.data.join("pool.key");
    let key = key(&key_path)?;
    let address = KaspaWallet::address_of(&key, Network::Devnet);
    let source = configuration(arguments, &key_path, &address.to_string());
    let path = arguments.data.join("pool.toml");
    std::fs::write(&path, &source).with_context(|| format!("cannot write {}", path.display()))?;
    Config::read(&source).map_err(|bad| anyhow::anyhow!("{bad}"))
}

/// The pool's key of an earlier run, or a new one.
fn key(path: &Path) -> anyhow::Result<WalletKey> {
    if path.exists() {
        return WalletKey::from_file(path)
            .with_context(|| format!("cannot read the key in {}", path.display()));
    }
    let mut bytes = [0; 32];
    let mut random = std::fs::File::open("/dev/urandom").context("no source of randomness")?;
    std::io::Read::read_exact(&mut random, &mut bytes)?;
    let key = WalletKey::from_bytes(&bytes).context("a fresh key")?;
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create_new(true), 0o600);
    let mut file = options.open(path).with_context(|| format!("cannot write {}", path.display()))?;
    std::io::Write::write_all(&mut file, hex::encode(bytes).as_bytes())?;
    Ok(key)
}

/// The demo's settings, as the operator of a real pool would write them.
fn configuration(arguments: &Arguments, key: &Path, address: &str) -> String {
    let Arguments { data, http, stratum, node, .. } = arguments;
    let (store, key) = (data.join("pool.db"), key.display());
    format!(
        r#"# Written by `poold demo`. A real pool's configuration is explained in pool.example.toml.
[pool]
name = "Poolwright demo"
store = "sqlite:{store}"

[http]
listen = "{http}"

[kaspa]
network = "devnet"
nodes = ["{node}"]
address = "{address}"
key_file = "{key}"
confirmations = 10
maturity = 20
mine_unsynced = true

[[kaspa.listen]]
address = "{stratum}"

[kaspa.vardiff]
share_interval_ms = 1000
start_difficulty = "0.00001"
min_difficulty = "0.00000000023283064365386962890625"

[kaspa.reward]
scheme = "pplns"
window_blocks = "20"

[kaspa.payout]
interval_secs = 15
threshold = "25"
confirmations = 10

[kaspa.expect]
pool_hashrate = "1 MH/s"
network_hashrate = "10 MH/s"
fastest_miner = "2 MH/s"
slowest_miner = "100 kH/s"
connections = 10
"#,
        store = store.display(),
    )
}

async fn run(arguments: Arguments, config: Config, stop: Stop) -> anyhow::Result<()> {
    let (node, driver) = DevNode::open(DevNodeConfig {
        listen: arguments.node,
        bits: bits_of_work(arguments.block_work),
        data: Some(arguments.data.join("node")),
        ..DevNodeConfig::default()
    })
    .await
    .context("the development node")?;
    let driver = tokio::spawn(driver);
    let miner = (arguments.threads > 0).then(|| tokio::spawn(miner(arguments, stop.clone())));
    let result = pool::run(config, Chain::Development, stop).await;
    if let Some(miner) = miner {
        let _ = tokio::time::timeout(Duration::from_secs(5), miner).await;
    }
    drop(node);
    driver.abort();
    result
}

async fn miner(arguments: Arguments, mut stop: Stop) -> anyhow::Result<()> {
    let address = KaspaWallet::address_of(&WalletKey::from_hex(MINER_KEY)?, Network::Devnet);
    let (sender, mut events) = mpsc::channel(256);
    let counters = Arc::new(MinerCounters::default());
    let config = MinerConfig {
        pool: arguments.stratum.to_string(),
        user: format!("{address}.cpu"),
        password: "x".to_owned(),
        agent: concat!("poolwright-cpu-miner/", env!("CARGO_PKG_VERSION")).to_owned(),
        threads: arguments.threads,
        // The pool and the node run on the same cores, and so does whoever looks at the page.
        hashes_per_second_max: Some(300_000),
    };
    let tell = async {
        while let Some(event) = events.recv().await {
            match event {
                MinerEvent::Connected => tracing::info!("the miner is connected"),
                MinerEvent::Disconnected { reason } => tracing::info!(reason, "the miner is disconnected"),
                MinerEvent::Answered { refusal: Some(reason), .. } => {
                    tracing::warn!(reason, "a share was refused")
                }
                _ => {}
            }
        }
    };
    tokio::join!(mine(config, counters, sender, async { stop.requested().await }), tell);
    Ok(())
}
