//! Rewards: folds the log and the blocks' fates into ledger entries, again and again; repeating it changes nothing.
//!
//! The state in memory follows from the records, so losing it costs time and nothing else. To save that time it is kept
//! in a file beside the store, now and then and at the end; a start that finds a good one goes on from there.

use super::{Base, Fatal, Stop};
use crate::chains::Commit;
use pool_core::ledger::Cause;
use pool_rewards::scheme::SchemeParams;
use pool_rewards::settle::{SettleError, Settler, Stores};
use std::path::{Path, PathBuf};
use std::time::Duration;

const ROLE: &str = "rewards";
/// Between two copies of the state.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(300);

/// How rewards are split, and where it is kept and told.
pub struct Books {
    /// The scheme.
    pub params: SchemeParams,
    /// The file of the state; `None`: it is folded anew at each start.
    pub snapshot: Option<PathBuf>,
    /// Who puts the log's root into the coinbase.
    pub commit: Option<Commit>,
}

/// Runs until `stop`.
///
/// # Errors
/// [`Fatal`] when the records contradict themselves or the store is broken for good.
pub async fn run(base: Base, books: Books, mut stop: Stop) -> Result<(), Fatal> {
    let records = base.stores.clone();
    let stores = Stores { shares: &*records.shares, blocks: &*records.blocks, ledger: &*records.ledger };
    let mut settler = loop {
        match start(&base, &books, stores).await {
            Ok(settler) => break settler,
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the ledger did not answer, trying again")
            }
            Err(error) => return Err(Fatal::new(ROLE, error)),
        }
        if !stop.pause(Duration::from_secs(1)).await {
            return Ok(());
        }
    };
    let mut kept = base.clock.moment();
    let mut committed = None;
    loop {
        let pause = match settler.step(stores, base.clock.now()).await {
            Ok(progress) => {
                for cause in &progress.posted {
                    if let Cause::BlockReward(block) = cause {
                        tracing::info!(%block, "a block's reward is split");
                    }
                }
                metrics::counter!("pool_settled_entries_total", "coin" => base.label())
                    .increment(progress.posted.len() as u64);
                let short =
                    progress.reserve_short.map(|missing| format!("the reserve is short by {missing} units"));
                base.status.trouble(ROLE, short);
                let root = settler.fold().segment_root().map(|segment| segment.root);
                if let (Some(commit), Some(root)) = (&books.commit, root)
                    && committed != Some(root)
                {
                    commit(*root.bytes());
                    committed = Some(root);
                }
                let moment = base.clock.moment();
                if moment.since(kept).to_duration() >= SNAPSHOT_EVERY {
                    kept = moment;
                    keep(&settler, books.snapshot.as_deref());
                }
                if progress.more { Duration::ZERO } else { Duration::from_millis(500) }
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the records did not answer, trying again");
                Duration::from_secs(1)
            }
            Err(error) => {
                base.alarm(ROLE, format!("rewards stopped: {error}")).await;
                return Err(Fatal::new(ROLE, error));
            }
        };
        if !stop.pause(pause).await {
            keep(&settler, books.snapshot.as_deref());
            return Ok(());
        }
    }
}

/// From the file if there is a good one, else from the records.
async fn start(base: &Base, books: &Books, stores: Stores<'_>) -> Result<Settler, SettleError> {
    let (coin, params, now) = (base.coin.clone(), books.params.clone(), base.clock.now());
    if let Some(bytes) = books.snapshot.as_ref().and_then(|path| std::fs::read(path).ok()) {
        match Settler::resume(coin.clone(), params.clone(), stores, now, &bytes).await {
            Ok(settler) => return Ok(settler),
            Err(SettleError::Snapshot(bad)) => {
                tracing::warn!(%coin, %bad, "the kept state is not used, the log is folded anew")
            }
            Err(error) => return Err(error),
        }
    }
    Settler::start(coin, params, stores, now).await
}

/// Writes the state beside the store: whole, or not at all.
fn keep(settler: &Settler, path: Option<&Path>) {
    let (Some(path), Some(bytes)) = (path, settler.snapshot()) else { return };
    let written = write_whole(path, &bytes);
    if let Err(error) = written {
        tracing::warn!(path = %path.display(), %error, "the state is not kept; a start folds the log anew");
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    std::fs::write(&new, bytes)?;
    std::fs::File::open(&new)?.sync_all()?;
    std::fs::rename(&new, path)
}
