//! The shares processor: follows the log and sums it per worker and minute, each share exactly once.
//!
//! The position in the log is written together with the sums, so a crash repeats nothing and leaves nothing out.

use super::{Base, Fatal, Stop};
use pool_core::id::{MinerId, Worker};
use pool_core::ports::{Bucket, Miner, StoreError};
use pool_core::share::LoggedShare;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

const ROLE: &str = "processor";
/// Shares of one step: bounds memory, and keeps a long catch-up from blocking a stop.
const BATCH: usize = 10_000;
/// Accounts known to be in the directory, so that each is looked up once.
const KNOWN_MAX: usize = 100_000;

/// Runs until `stop`.
///
/// # Errors
/// [`Fatal`] when the store is broken for good.
pub async fn run(base: Base, mut stop: Stop) -> Result<(), Fatal> {
    let mut known = HashSet::new();
    loop {
        let pause = match step(&base, &mut known).await {
            Ok(BATCH) => Duration::ZERO,
            Ok(_) => {
                base.status.trouble(ROLE, None);
                Duration::from_millis(500)
            }
            Err(error) => {
                Fatal::unless_transient(ROLE, &base.status, error)?;
                Duration::from_secs(1)
            }
        };
        if !stop.pause(pause).await {
            return Ok(());
        }
    }
}

/// Takes one batch in and returns its size.
async fn step(base: &Base, known: &mut HashSet<MinerId>) -> Result<usize, StoreError> {
    let upto = base.stores.rollups.upto().await?;
    let shares = base.stores.shares.read(upto, BATCH).await?;
    let Some(last) = shares.last() else { return Ok(0) };
    for share in &shares {
        let miner = &share.record.worker.miner;
        if known.contains(miner) {
            continue;
        }
        if base.stores.directory.miner(miner).await?.is_none() {
            let new = Miner { id: miner.clone(), since: share.record.at, threshold: None };
            base.stores.directory.save(&new).await?;
        }
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(miner.clone());
    }
    base.stores.rollups.add(last.seq, &buckets(&shares)).await?;
    metrics::counter!("pool_processed_shares_total", "coin" => base.label()).increment(shares.len() as u64);
    Ok(shares.len())
}

/// The sums of some shares per worker and minute, in the order of minute and worker.
fn buckets(shares: &[LoggedShare]) -> Vec<Bucket> {
    let mut sums: BTreeMap<(u64, &Worker), (u64, u128)> = BTreeMap::new();
    for share in shares {
        let sum = sums.entry((share.record.at.millis() / 60_000, &share.record.worker)).or_default();
        sum.0 += 1;
        sum.1 = sum.1.saturating_add(share.record.work.get());
    }
    sums.into_iter()
        .map(|((minute, worker), (shares, work))| Bucket { worker: worker.clone(), minute, shares, work })
        .collect()
}
