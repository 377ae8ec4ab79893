//! `poolctl audit`: every split and every balance again, from the log alone.
//!
//! Also hashes every share of the log again: credit never exceeds proof, and anyone can see it.

use pool_core::id::{CoinId, ShareSeq};
use pool_core::ports::Stores;
use pool_rewards::settle::{self, AuditStores};
use poold::chains::CoinName;
use std::io::Write;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The database, as the configuration names it: sqlite:PATH. The pool may be running.
    #[arg(default_value = "sqlite:data/pool.db")]
    store: String,
    /// The coin.
    #[arg(long, value_enum, default_value = "kaspa")]
    coin: CoinName,
    /// Leave the shares' proofs out.
    #[arg(long)]
    without_proofs: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(audit(arguments))
}

async fn audit(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let stores = pool_storage::open_read_only(&arguments.store)?;
    let coin = CoinId::new(arguments.coin.facts().id)?;
    let mut out = std::io::stdout().lock();
    let mut bad_proofs = 0;
    if !arguments.without_proofs {
        bad_proofs = proofs(arguments.coin, &stores, &mut out).await?;
    }
    let settled =
        settle::Stores { shares: &*stores.shares, blocks: &*stores.blocks, ledger: &*stores.ledger };
    let report = settle::audit(&coin, AuditStores { settled, payouts: &*stores.payouts }).await?;
    writeln!(
        out,
        "{} shares, {} blocks, {} entries, {} accounts, {} payouts",
        report.shares, report.blocks, report.entries, report.accounts, report.payouts
    )?;
    for text in &report.adjustments {
        writeln!(out, "note: entry by hand: {text}")?;
    }
    for text in &report.unfinished {
        writeln!(out, "note: not finished yet: {text}")?;
    }
    for difference in &report.differences {
        writeln!(
            out,
            "DIFFERENCE at {}: expected {}, found {}",
            difference.place, difference.expected, difference.found
        )?;
    }
    let agrees = report.agrees() && bad_proofs == 0;
    writeln!(out, "{}", if agrees { "the books agree" } else { "the books do NOT agree" })?;
    Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Hashes every share again and counts those whose proof does not carry their work.
async fn proofs(coin: CoinName, stores: &Stores, out: &mut impl Write) -> anyhow::Result<u64> {
    let mut coin = coin.reprover();
    let (mut after, mut bad) = (ShareSeq::new(0), 0);
    loop {
        let shares = stores.shares.read(after, 10_000).await?;
        let Some(last) = shares.last() else { return Ok(bad) };
        after = last.seq;
        for share in &shares {
            let proven = coin.work(&share.record.evidence);
            if proven.is_none_or(|work| work < share.record.work) {
                bad += 1;
                writeln!(out, "DIFFERENCE at share {}: its proof does not carry its work", share.seq)?;
            }
        }
    }
}
