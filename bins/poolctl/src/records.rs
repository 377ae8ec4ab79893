//! What the commands around statements read and write: stores, logs, statements, keys.

use anyhow::{Context, bail};
use pool_core::id::{BlockId, CoinId, Seq};
use pool_core::ledger::Cause;
use pool_core::ports::Stores;
use pool_rewards::proof::export::{Export, Replay, Replayed};
use pool_rewards::proof::statement::SignedStatement;
use pool_rewards::settle;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

/// The longest line of a log. The first one holds every fee and referral of the pool, so this is generous.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// The longest statement or proof that is read.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Ledger entries read at once.
const ENTRIES_PER_READ: usize = 512;

pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// A store, for reading only.
pub(crate) fn open(store: &str, coin: &str) -> anyhow::Result<(CoinId, Stores)> {
    Ok((CoinId::new(coin)?, pool_storage::open_read_only(store)?))
}

pub(crate) fn settled(stores: &Stores) -> settle::Stores<'_> {
    settle::Stores { shares: &*stores.shares, blocks: &*stores.blocks, ledger: &*stores.ledger }
}

/// A file to write, or standard output for `-`.
pub(crate) fn create(path: &Path) -> anyhow::Result<Box<dyn Write>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufWriter::new(std::io::stdout())));
    }
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Box::new(BufWriter::new(file)))
}

/// A file as text, or standard input for `-`.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let mut read = || -> std::io::Result<usize> {
        if path == Path::new("-") {
            std::io::stdin().take(FILE_BYTES_MAX).read_to_string(&mut text)
        } else {
            File::open(path)?.take(FILE_BYTES_MAX).read_to_string(&mut text)
        }
    };
    read().with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}

/// Every statement on record, in the order of their chain, with its block.
pub(crate) async fn statements(
    stores: &Stores,
    mut each: impl AsyncFnMut(BlockId, String) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut after = Seq::new(0);
    loop {
        let page = stores.ledger.entries(None, after, ENTRIES_PER_READ).await?;
        let full = page.len() == ENTRIES_PER_READ;
        for row in page {
            after = row.seq;
            if let Cause::BlockReward(block) = row.entry.cause {
                each(block, row.entry.memo).await?;
            }
        }
        if !full {
            return Ok(());
        }
    }
}

/// Replays a log: a file of lines, `-` for standard input, or a store as `sqlite:PATH`. `line` hears of the state
/// behind every line, `each` of every statement.
pub(crate) async fn replay(
    log: &str,
    coin: &str,
    mut line: impl FnMut(&Replay) -> anyhow::Result<()>,
    mut each: impl FnMut(Replayed) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut replay = Replay::default();
    let mut done = |replay: &Replay, replayed: Vec<Replayed>| -> anyhow::Result<()> {
        line(replay)?;
        replayed.into_iter().try_for_each(&mut each)
    };
    if log.starts_with("sqlite:") {
        let (coin, stores) = open(log, coin)?;
        let mut export = Export::start(coin, settled(&stores)).await?;
        loop {
            let lines = export.next().await?;
            if lines.is_empty() {
                return Ok(());
            }
            for text in lines {
                let replayed = replay.apply(text).with_context(|| log.to_owned())?;
                done(&replay, replayed)?;
            }
        }
    }
    let mut input: Box<dyn BufRead> = if log == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(log).with_context(|| format!("cannot read {log}"))?))
    };
    let mut bytes = Vec::new();
    for number in 1u64.. {
        bytes.clear();
        if input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        let text = std::str::from_utf8(&bytes).with_context(|| format!("{log}: line {number}: not UTF-8"))?;
        let replayed = replay.line(text.trim_end()).with_context(|| log.to_owned())?;
        done(&replay, replayed)?;
    }
    if replay.fold().is_none() {
        bail!("{log}: it is empty");
    }
    Ok(())
}

/// A published statement: its text as it claims to be, not checked yet, and its signature where it has one.
pub(crate) struct Published {
    /// Where it stands, for messages.
    pub(crate) place: String,
    /// The block it says it is of.
    pub(crate) block: BlockId,
    /// Its text.
    pub(crate) text: String,
    /// With its signature.
    pub(crate) signed: Option<SignedStatement>,
}

/// The statements of a file: one JSON object of whatever layout, or one a line; each signed or bare.
pub(crate) fn published(path: &Path) -> anyhow::Result<Vec<Published>> {
    let text = read(path)?;
    let texts: Vec<&str> = if serde_json::from_str::<Value>(&text).is_ok() {
        [text.trim()].into()
    } else {
        text.lines().filter(|line| !line.trim().is_empty()).collect()
    };
    if texts.is_empty() {
        bail!("{}: there is no statement in it", path.display());
    }
    let of = |(index, text): (usize, &str)| -> anyhow::Result<Published> {
        let place = match texts.len() {
            1 => path.display().to_string(),
            _ => format!("{}: statement {}", path.display(), index + 1),
        };
        let value: Value =
            serde_json::from_str(text).with_context(|| format!("{place}: not a JSON object"))?;
        let signed = match value.get("signature") {
            Some(_) => Some(
                serde_json::from_value::<SignedStatement>(value.clone())
                    .with_context(|| format!("{place}: not a signed statement"))?,
            ),
            None => None,
        };
        let text = signed.as_ref().map_or_else(|| text.to_owned(), |signed| signed.statement.clone());
        let inner: Value =
            serde_json::from_str(&text).with_context(|| format!("{place}: not a statement"))?;
        let block = inner.get("block").and_then(Value::as_str).and_then(|block| block.parse().ok());
        let block = block.with_context(|| format!("{place}: it names no block"))?;
        Ok(Published { place, block, text, signed })
    };
    texts.iter().copied().enumerate().map(of).collect()
}

/// An operator's public key from the command line: 64 hexadecimal digits, or a file that holds them.
pub(crate) fn public_key(text: &str) -> anyhow::Result<[u8; 32]> {
    let mut key = [0; 32];
    if hex::decode_to_slice(text.trim(), &mut key).is_ok() {
        return Ok(key);
    }
    let held = std::fs::read_to_string(text)
        .with_context(|| format!("{text:?} is neither 64 hexadecimal digits nor a file"))?;
    hex::decode_to_slice(held.trim(), &mut key)
        .with_context(|| format!("{text}: a public key is 64 hexadecimal digits"))?;
    Ok(key)
}
