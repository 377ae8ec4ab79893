//! `poolctl prove`: one miner's proof of what a block paid him, to be checked by anyone without the log.

use crate::records;
use anyhow::{Context, bail};
use pool_core::id::{BlockId, MinerId};
use pool_rewards::proof::export::{Replayed, difference};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The exported log: a file, - for standard input, or a store as sqlite:PATH.
    log: String,
    /// The signed statement; a file may hold several, one a line.
    #[arg(long)]
    statement: PathBuf,
    /// The block, where the file holds several statements.
    #[arg(long)]
    block: Option<BlockId>,
    /// Whose pay to prove: the account as the log has it.
    #[arg(long)]
    miner: MinerId,
    /// Where the proof goes: - is standard output.
    #[arg(long, default_value = "-")]
    out: PathBuf,
    /// The coin, where the log is a store.
    #[arg(long, default_value = "kaspa")]
    coin: String,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    records::block_on(prove(arguments))
}

async fn prove(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut published = records::published(&arguments.statement)?;
    if let Some(block) = arguments.block {
        published.retain(|published| published.block == block);
    }
    let [published] = published.as_slice() else {
        bail!("{}: {} statements fit: name one block", arguments.statement.display(), published.len());
    };
    let (block, place) = (published.block, &published.place);
    let Some(signed) = &published.signed else {
        bail!("{place}: the statement is not signed: sign it with poolctl statement");
    };
    let mut found: Option<Replayed> = None;
    let each = |replayed: Replayed| {
        if replayed.block == block {
            found = Some(replayed);
        }
        Ok(())
    };
    records::replay(&arguments.log, &arguments.coin, |_| Ok(()), each)
        .await
        .context("the log cannot be replayed")?;
    let Some(replayed) = found else { bail!("block {block}: the log concludes no such block") };
    if let Some(found) = difference(&replayed.statement, &published.text) {
        bail!(
            "block {block}: the statement is not this log's: at {} the log makes it {}, {place} says {}",
            found.place,
            found.one,
            found.other
        );
    }
    let Some(proof) = replayed.prove(signed.clone(), &arguments.miner) else {
        bail!("block {block}: {} has no part in it", arguments.miner);
    };
    proof.verify(None).with_context(|| format!("block {block}: the proof does not hold"))?;
    let mut out = records::create(&arguments.out)?;
    serde_json::to_writer(&mut *out, &proof)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
