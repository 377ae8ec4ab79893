//! `poolctl mine`: the CPU miner, with a journal of every answer for tests that hold a pool to its word.

use anyhow::Context;
use pool_coins::miner::{MinerConfig, MinerCounters, MinerEvent};
use pool_coins::{alephium, dynex, hypra, kaspa, nexa};
use poold::chains::CoinName;
use std::fs::File;
use std::io::{LineWriter, Write};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The coin.
    #[arg(long, value_enum, default_value = "kaspa")]
    coin: CoinName,
    /// The pool's stratum port.
    #[arg(long, default_value = "127.0.0.1:5555")]
    pool: String,
    /// Your address, a dot, a worker's name.
    #[arg(long)]
    user: String,
    /// The password; d=0.01 asks for a fixed difficulty.
    #[arg(long, default_value = "x")]
    password: String,
    /// What the miner calls itself, which decides the dialect the pool speaks.
    #[arg(long, default_value = concat!("poolctl/", env!("CARGO_PKG_VERSION")))]
    agent: String,
    /// Search threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Stay below so many hashes per second and thread.
    #[arg(long)]
    hashes_per_second_max: Option<u64>,
    /// Stop after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Append every answered share to this file, a JSON object a line.
    #[arg(long)]
    journal: Option<PathBuf>,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work(arguments))
}

async fn work(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut journal = match &arguments.journal {
        Some(path) => {
            let file = File::options().create(true).append(true).open(path);
            Some(LineWriter::new(file.with_context(|| format!("cannot write {}", path.display()))?))
        }
        None => None,
    };
    let counters = Arc::new(MinerCounters::default());
    let (sender, mut events) = mpsc::channel(4_096);
    let config = MinerConfig {
        pool: arguments.pool,
        user: arguments.user,
        password: arguments.password,
        agent: arguments.agent,
        threads: arguments.threads,
        hashes_per_second_max: arguments.hashes_per_second_max,
    };
    let seconds = arguments.seconds;
    let stop = async move {
        let timer = async {
            match seconds {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = timer => {}
        }
    };
    let count = counters.clone();
    let mut mining: Pin<Box<dyn Future<Output = ()>>> = match arguments.coin {
        CoinName::Kaspa => Box::pin(kaspa::miner::mine(config, count, sender, stop)),
        CoinName::Alephium => Box::pin(alephium::miner::mine(config, count, sender, stop)),
        CoinName::Nexa => Box::pin(nexa::miner::mine(config, count, sender, stop)),
        CoinName::Hypra => Box::pin(hypra::miner::mine(config, count, sender, stop)),
        CoinName::Dynex => Box::pin(dynex::miner::mine(config, count, sender, stop)),
    };
    let mut report = tokio::time::interval(Duration::from_secs(10));
    report.tick().await;
    let mut before = 0;
    loop {
        tokio::select! {
            () = &mut mining => break,
            _ = report.tick() => {
                let hashes = counters.hashes.load(Ordering::Relaxed);
                eprintln!("{}, {}", rate((hashes - before) / 10), totals(&counters));
                before = hashes;
            }
            Some(event) = events.recv() => tell(event, journal.as_mut())?,
        }
    }
    // The miner is gone, and so is every sender: what is left are answers that came before.
    while let Ok(event) = events.try_recv() {
        tell(event, journal.as_mut())?;
    }
    eprintln!("{}", totals(&counters));
    Ok(ExitCode::SUCCESS)
}

/// A hash rate for the screen. Coins differ by a factor of a thousand.
fn rate(hashes_per_second: u64) -> String {
    match hashes_per_second {
        0..10_000 => format!("{hashes_per_second} H/s"),
        rate => format!("{} kH/s", rate / 1_000),
    }
}

fn totals(counters: &MinerCounters) -> String {
    let [jobs, accepted, refused] = [&counters.jobs, &counters.accepted, &counters.refused]
        .map(|counter| counter.load(Ordering::Relaxed));
    format!("{jobs} jobs, {accepted} accepted, {refused} refused")
}

fn tell(event: MinerEvent, journal: Option<&mut LineWriter<File>>) -> anyhow::Result<()> {
    match event {
        MinerEvent::Connected => eprintln!("connected"),
        MinerEvent::Disconnected { reason } => eprintln!("disconnected: {reason}"),
        MinerEvent::Answered { solution, refusal } => {
            if let Some(reason) = &refusal {
                eprintln!("refused: {reason}");
            }
            if let Some(journal) = journal {
                let mut line = solution.fields;
                line.insert("accepted".to_owned(), refusal.is_none().into());
                line.insert("refusal".to_owned(), refusal.into());
                let line = serde_json::Value::Object(line);
                writeln!(journal, "{line}")?;
            }
        }
        _ => {}
    }
    Ok(())
}
