//! Watches found blocks until the chain has said what became of each. None is ever forgotten: a candidate that the
//! node has not taken is submitted again, and an open block is asked about until it has a fate.

use super::{Base, Fatal, Stop};
use pool_core::coin::{Coin, Node, NodeError};
use pool_core::event::PoolEvent;
use pool_core::intake::Intake;
use pool_core::ports::StoreError;
use std::sync::Arc;
use std::time::Duration;

const ROLE: &str = "blocks";

/// Runs until `stop`, looking every `period`.
///
/// # Errors
/// [`Fatal`] when the store is broken for good.
pub async fn run<C: Coin>(
    base: Base,
    intake: Arc<Intake<C>>,
    node: Arc<dyn Node<C>>,
    period: Duration,
    mut stop: Stop,
) -> Result<(), Fatal> {
    loop {
        if let Err(error) = step(&base, &intake, &node, &stop).await {
            Fatal::unless_transient(ROLE, &base.status, error)?;
        }
        if !stop.pause(period).await {
            return Ok(());
        }
    }
}

async fn step<C: Coin>(
    base: &Base,
    intake: &Intake<C>,
    node: &Arc<dyn Node<C>>,
    stop: &Stop,
) -> Result<(), StoreError> {
    intake.resubmit_open(base.clock.now()).await?;
    let open = base.stores.blocks.open().await?;
    metrics::gauge!("pool_open_blocks", "coin" => base.label()).set(open.len() as f64);
    let mut trouble = None;
    for booked in open {
        if stop.is_requested() {
            break;
        }
        let fate = match node.fate(&booked.found.id).await {
            Ok(fate) => fate,
            Err(error) => {
                tracing::debug!(block = %booked.found.id, %error, "the node says nothing of a block now");
                trouble = Some(format!("the node says nothing of a found block: {error}"));
                // A node that is away is away for all; nonsense about one block must not hide the others.
                if matches!(error, NodeError::Unreachable(_)) {
                    break;
                }
                continue;
            }
        };
        if !fate.is_final() {
            continue;
        }
        // A block whose share did not reach the log could never be split: it is put there before the last look.
        intake.anchor(&booked).await?;
        base.stores.blocks.conclude(&booked.found.id, &fate).await?;
        tracing::info!(block = %booked.found.id, ?fate, "a block has its fate");
        metrics::counter!("pool_concluded_blocks_total", "coin" => base.label()).increment(1);
        let (block, value, at) = (booked.found.id, fate.value(), base.clock.now());
        base.tell(PoolEvent::BlockConcluded { coin: base.coin.clone(), block, value, at }).await;
    }
    base.status.trouble(ROLE, trouble);
    Ok(())
}
