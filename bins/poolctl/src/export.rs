//! `poolctl export`: a pool's log as lines that anyone can replay, and the statements that came of it.

use crate::records;
use anyhow::Context;
use pool_core::ports::Stores;
use pool_rewards::proof::export::Export;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The database, as the configuration names it: sqlite:PATH. The pool may be running.
    #[arg(default_value = "sqlite:data/pool.db")]
    store: String,
    /// The coin.
    #[arg(long, default_value = "kaspa")]
    coin: String,
    /// Where the log goes, a JSON object a line: - is standard output.
    #[arg(long, default_value = "-")]
    log: PathBuf,
    /// Write all statements on record to this file, one a line, in the order of their chain.
    #[arg(long)]
    statements: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    records::block_on(export(arguments))
}

async fn export(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (coin, stores) = records::open(&arguments.store, &arguments.coin)?;
    if let Some(path) = &arguments.statements {
        let mut out = records::create(path)?;
        records::statements(&stores, async |_, statement| Ok(writeln!(out, "{statement}")?)).await?;
        out.flush().with_context(|| format!("cannot write {}", path.display()))?;
    }
    let lines = write_log(coin, &stores, &mut records::create(&arguments.log)?)
        .await
        .with_context(|| format!("cannot export {} to {}", arguments.store, arguments.log.display()))?;
    eprintln!("{lines} lines");
    Ok(ExitCode::SUCCESS)
}

async fn write_log(
    coin: pool_core::id::CoinId,
    stores: &Stores,
    out: &mut impl Write,
) -> anyhow::Result<u64> {
    let mut export = Export::start(coin, records::settled(stores)).await?;
    let mut written = 0;
    loop {
        let lines = export.next().await?;
        if lines.is_empty() {
            break;
        }
        for line in &lines {
            serde_json::to_writer(&mut *out, line)?;
            out.write_all(b"\n")?;
        }
        written += lines.len() as u64;
    }
    out.flush()?;
    Ok(written)
}
