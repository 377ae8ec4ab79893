//! `poolctl sign-key` and `poolctl statement`: the operator's side of publishing what blocks paid.

use crate::records;
use anyhow::{Context, bail};
use pool_core::id::BlockId;
use pool_core::ledger::Cause;
use pool_rewards::proof::key::OperatorKey;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct KeyArguments {
    /// The file to make; one that exists is left alone and its public key is shown.
    file: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The block, 64 hexadecimal digits; all blocks with a statement where none is named.
    block: Option<BlockId>,
    /// The operator's key file, as sign-key makes it.
    #[arg(long)]
    key: PathBuf,
    /// The database, as the configuration names it: sqlite:PATH. The pool may be running.
    #[arg(long, default_value = "sqlite:data/pool.db")]
    store: String,
    /// The coin.
    #[arg(long, default_value = "kaspa")]
    coin: String,
    /// Where signed statements go, a JSON object a line: - is standard output.
    #[arg(long, default_value = "-")]
    out: PathBuf,
}

/// Makes a key, or shows the public half of one that is there.
pub(crate) fn make_key(arguments: &KeyArguments) -> anyhow::Result<ExitCode> {
    let path = &arguments.file;
    if !path.exists() {
        let mut seed = [0; 32];
        let mut random = File::open("/dev/urandom").context("no source of randomness")?;
        random.read_exact(&mut seed).context("no source of randomness")?;
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).with_context(|| format!("cannot write {}", path.display()))?;
        writeln!(file, "{}", hex::encode(seed)).and_then(|()| file.sync_all())?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", read_key(path)?.public_text())?;
    Ok(ExitCode::SUCCESS)
}

fn read_key(path: &Path) -> anyhow::Result<OperatorKey> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    OperatorKey::from_hex(&text).with_context(|| path.display().to_string())
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    records::block_on(sign(arguments))
}

async fn sign(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let key = read_key(&arguments.key)?;
    let (_, stores) = records::open(&arguments.store, &arguments.coin)?;
    let mut out = records::create(&arguments.out)?;
    let mut write = |statement: String| -> anyhow::Result<()> {
        serde_json::to_writer(&mut *out, &key.sign(statement))?;
        Ok(out.write_all(b"\n")?)
    };
    match arguments.block {
        Some(block) => {
            let Some(row) = stores.ledger.entry(&Cause::BlockReward(block)).await? else {
                bail!("{}: no reward of block {block} is in the ledger", arguments.store);
            };
            write(row.entry.memo)?;
        }
        None => records::statements(&stores, async |_, statement| write(statement)).await?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
