//! `poolctl replay`: a block's whole statement again, from an exported log, compared byte by byte.

use crate::records::{self, Published};
use anyhow::Context;
use pool_core::id::BlockId;
use pool_rewards::proof::Digest;
use pool_rewards::proof::export::{Replay, difference};
use pool_rewards::proof::log::LogRoot;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("what").args(["statement", "root"]).required(true).multiple(true)))]
pub(crate) struct Arguments {
    /// The exported log: a file, - for standard input, or a store as sqlite:PATH.
    log: String,
    /// The published statement, signed or bare; a file may hold several, one a line.
    #[arg(long)]
    statement: Option<PathBuf>,
    /// Compare the statement of this block alone.
    #[arg(long, requires = "statement")]
    block: Option<BlockId>,
    /// The operator's public key, 64 hexadecimal digits or a file of them: statements must be signed by it.
    #[arg(long, requires = "statement")]
    key: Option<String>,
    /// Find a root of the log that some block's coinbase committed to, 64 hexadecimal digits. May be repeated.
    #[arg(long)]
    root: Vec<Digest>,
    /// The coin, where the log is a store.
    #[arg(long, default_value = "kaspa")]
    coin: String,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    records::block_on(replay(arguments))
}

async fn replay(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let mut wanted = match &arguments.statement {
        Some(path) => records::published(path)?,
        None => Vec::new(),
    };
    if let Some(block) = arguments.block {
        wanted.retain(|published| published.block == block);
        if wanted.is_empty() {
            writeln!(out, "block {block}: no statement of it was given")?;
            return Ok(ExitCode::FAILURE);
        }
    }
    let key = arguments.key.as_deref().map(records::public_key).transpose()?;
    let mut equal = true;
    for published in &wanted {
        equal &= signature(published, key.as_ref(), &mut out)?;
    }
    let mut roots = Roots::new(&arguments.root);
    let mut replayed = BTreeMap::new();
    let asked: std::collections::BTreeSet<BlockId> = wanted.iter().map(|published| published.block).collect();
    let line = |replay: &Replay| {
        roots.look(replay);
        Ok(())
    };
    records::replay(&arguments.log, &arguments.coin, line, |block| {
        if asked.contains(&block.block) {
            replayed.insert(block.block, block.statement);
        }
        Ok(())
    })
    .await
    .context("the log cannot be replayed")?;
    for published in &wanted {
        let block = published.block;
        match replayed.get(&block) {
            None => {
                writeln!(out, "block {block}: the log concludes no such block")?;
                equal = false;
            }
            Some(text) => match difference(text, &published.text) {
                None => writeln!(out, "block {block}: equal, {} bytes", text.len())?,
                Some(found) => {
                    let place = &published.place;
                    writeln!(
                        out,
                        "block {block}: DIFFERENT at {}: the log makes it {}, {place} says {}",
                        found.place, found.one, found.other
                    )?;
                    equal = false;
                }
            },
        }
    }
    for (root, found) in roots.0 {
        match found {
            Some(LogRoot { shares, units, .. }) => {
                writeln!(out, "root {root}: the log's after {shares} shares, {} units", units.to_bits())?;
            }
            None => {
                writeln!(out, "root {root}: the log never had it")?;
                equal = false;
            }
        }
    }
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says whether a statement is signed as it should be.
fn signature(published: &Published, key: Option<&[u8; 32]>, out: &mut impl Write) -> anyhow::Result<bool> {
    let place = &published.place;
    match (&published.signed, key) {
        (Some(signed), _) => {
            let fault = signed.verify(key).err();
            if let Some(fault) = &fault {
                writeln!(out, "block {}: {place}: {fault}", published.block)?;
            }
            Ok(fault.is_none())
        }
        (None, Some(_)) => {
            writeln!(out, "block {}: {place}: the statement is not signed", published.block)?;
            Ok(false)
        }
        (None, None) => Ok(true),
    }
}

/// Roots that are looked for, and where each was found.
struct Roots(BTreeMap<Digest, Option<LogRoot>>);

impl Roots {
    fn new(list: &[Digest]) -> Self {
        Self(list.iter().map(|root| (*root, None)).collect())
    }

    fn look(&mut self, replay: &Replay) {
        if self.0.is_empty() {
            return;
        }
        let Some(fold) = replay.fold() else { return };
        let root = fold.log_root();
        if let Some(found @ None) = self.0.get_mut(&root.root) {
            *found = Some(root);
        }
    }
}
