//! Rewards: folds the log and the blocks' fates into ledger entries, again and again; repeating it changes nothing.

use super::{Base, Fatal, Stop};
use pool_core::ledger::Cause;
use pool_rewards::scheme::SchemeParams;
use pool_rewards::settle::{Settler, Stores};
use std::time::Duration;

const ROLE: &str = "rewards";

/// Runs until `stop`.
///
/// # Errors
/// [`Fatal`] when the records contradict themselves or the store is broken for good.
pub async fn run(base: Base, params: SchemeParams, mut stop: Stop) -> Result<(), Fatal> {
    let records = base.stores.clone();
    let stores = Stores { shares: &*records.shares, blocks: &*records.blocks, ledger: &*records.ledger };
    let mut settler = loop {
        match Settler::start(base.coin.clone(), params.clone(), stores, base.clock.now()).await {
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
            return Ok(());
        }
    }
}
