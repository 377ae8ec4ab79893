//! Payouts: the only role that holds a signing key. What it does, and why nobody is paid twice, says `pool_rewards::pay`.

use super::{Base, Fatal, Stop};
use pool_core::coin::Wallet;
use pool_core::event::PoolEvent;
use pool_rewards::pay::{PayRules, PayStores, Payer};
use std::sync::Arc;
use std::time::Duration;

const ROLE: &str = "payouts";

/// Runs until `stop`, looking every `period`.
///
/// # Errors
/// [`Fatal`] when the books contradict themselves or the store is broken for good.
pub async fn run(
    base: Base,
    rules: PayRules,
    wallet: Arc<dyn Wallet>,
    period: Duration,
    mut stop: Stop,
) -> Result<(), Fatal> {
    let coin = rules.coin.clone();
    let mut payer = Payer::new(rules);
    let records = base.stores.clone();
    let stores =
        PayStores { ledger: &*records.ledger, payouts: &*records.payouts, directory: &*records.directory };
    loop {
        match payer.step(base.clock.now(), stores, &*wallet).await {
            Ok(progress) => {
                for (payout, txid) in &progress.sent {
                    tracing::info!(%payout, %txid, "a payout was sent");
                }
                for (payout, total) in progress.settled {
                    tracing::info!(%payout, %total, "a payout is final");
                    metrics::counter!("pool_settled_payouts_total", "coin" => base.label()).increment(1);
                    let at = base.clock.now();
                    base.tell(PoolEvent::PayoutSettled { coin: coin.clone(), payout, total, at }).await;
                }
                for (payout, reason) in &progress.voided {
                    tracing::warn!(%payout, reason, "a payout is void, its balances are back");
                }
                for trouble in &progress.troubles {
                    tracing::warn!(payout = %trouble.payout, error = %trouble.error, "a payout waits");
                }
                metrics::gauge!("pool_open_payouts", "coin" => base.label()).set(progress.open as f64);
                // A wallet that is short for a moment is no trouble; one that can never pay a batch is.
                let stuck = progress.troubles.iter().find(|trouble| !trouble.error.is_transient());
                base.status
                    .trouble(ROLE, stuck.map(|trouble| format!("{}: {}", trouble.payout, trouble.error)));
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the books did not answer, trying again")
            }
            Err(error) => {
                base.alarm(ROLE, format!("payouts stopped: {error}")).await;
                return Err(Fatal::new(ROLE, error));
            }
        }
        if !stop.pause(period).await {
            return Ok(());
        }
    }
}
