//! `poold demo`: a whole pool on this machine, to look at: a development node that speaks the coin's own protocol and
//! checks real proof of work at an easy target, the pool on SQLite, and a CPU miner connected through real stratum.

use crate::chains::{self, Chain, CoinName, Demo, Spot};
use crate::config::Config;
use crate::pool;
use crate::roles::Stop;
use crate::run::{block_on, finish};
use anyhow::Context;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Between the ports of one coin's node and the next one's, where several run.
const NODE_PORTS: u16 = 10;

/// What `poold demo` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The coin to mine, or `all`
    #[arg(long, default_value = "kaspa", value_parser = coins)]
    coin: Coins,
    /// Where the demo keeps its data, a folder for each coin; a next start goes on with it
    #[arg(long, default_value = "data/demo")]
    data: PathBuf,
    /// Pages and JSON
    #[arg(long, default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// Where miners connect; with several coins each gets the next port
    #[arg(long, default_value = "127.0.0.1:5555")]
    stratum: SocketAddr,
    /// The development node's port; with several coins each node begins ten ports higher
    #[arg(long, default_value = "127.0.0.1:16610")]
    node: SocketAddr,
    /// Search threads of each built-in miner; 0 for none
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// About 2^N hashes solve a block; without it, what suits one slow core
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=200))]
    block_work: Option<u32>,
}

/// Which coins: one, or all.
#[derive(Clone, Debug)]
struct Coins(Vec<CoinName>);

fn coins(text: &str) -> Result<Coins, String> {
    if text == "all" {
        return Ok(Coins(CoinName::ALL.to_vec()));
    }
    let named = CoinName::ALL.into_iter().find(|coin| coin.facts().id == text);
    named.map(|coin| Coins(vec![coin])).ok_or_else(|| {
        let known: Vec<_> = CoinName::ALL.iter().map(|coin| coin.facts().id).collect();
        format!("must be one of {}, or all", known.join(", "))
    })
}

/// Runs the demo until a signal, and says how it ended.
#[must_use]
pub fn main(arguments: &Arguments) -> ExitCode {
    finish(prepare(arguments).and_then(|(config, demos)| {
        let miners = arguments.threads > 0;
        block_on(config, move |config, stop| run(demos, miners, config, stop))
    }))
}

/// The port `step` above one.
fn above(address: SocketAddr, step: u16) -> anyhow::Result<SocketAddr> {
    let port = address.port().checked_add(step).context("there is no port that high")?;
    Ok(SocketAddr::new(address.ip(), port))
}

/// Makes the folders, the keys and the configuration.
fn prepare(arguments: &Arguments) -> anyhow::Result<(Config, Vec<Demo>)> {
    let mut source = format!(
        r#"# Written by `poold demo`. A real pool's configuration is explained in pool.example.toml.
[pool]
name = "Poolwright demo"

[http]
listen = "{}"
"#,
        arguments.http
    );
    let mut demos = Vec::new();
    for (place, coin) in (0u16..).zip(&arguments.coin.0) {
        let data = arguments.data.join(coin.facts().id);
        std::fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
        let spot = Spot {
            data,
            stratum: above(arguments.stratum, place)?,
            node: above(arguments.node, place * NODE_PORTS)?,
            threads: arguments.threads,
            block_work: arguments.block_work,
        };
        let demo = chains::demo(*coin, &spot)?;
        source.push('\n');
        source.push_str(&demo.section);
        demos.push(demo);
    }
    let path = arguments.data.join("pool.toml");
    std::fs::write(&path, &source).with_context(|| format!("cannot write {}", path.display()))?;
    let config = Config::read(&source).map_err(|bad| anyhow::anyhow!("{bad}"))?;
    Ok((config, demos))
}

async fn run(demos: Vec<Demo>, miners: bool, config: Config, stop: Stop) -> anyhow::Result<()> {
    let (mut drivers, mut mining) = (Vec::new(), Vec::new());
    for demo in demos {
        drivers.push(tokio::spawn(demo.node.await?));
        if miners {
            mining.push(tokio::spawn((demo.miner)(stop.clone())));
        }
    }
    let result = pool::run(config, Chain::Development, stop).await;
    for miner in mining {
        let _ = tokio::time::timeout(Duration::from_secs(5), miner).await;
    }
    for driver in drivers {
        driver.abort();
    }
    result
}
