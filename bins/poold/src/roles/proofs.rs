//! Watches the threads for heavy proofs: how many solutions wait, for how long, and how many were refused.

use super::{Base, Fatal, Stop};
use pool_stratum::net::ProofPool;
use std::sync::Arc;
use std::time::Duration;

/// Runs until `stop`, reporting every second.
///
/// # Errors
/// None today; the signature is that of all roles.
pub async fn run(base: Base, proofs: Arc<ProofPool>, mut stop: Stop) -> Result<(), Fatal> {
    let mut before = proofs.counts();
    while stop.pause(Duration::from_secs(1)).await {
        let now = proofs.counts();
        metrics::gauge!("pool_proofs_waiting", "coin" => base.label()).set(now.queued as f64);
        metrics::gauge!("pool_proof_wait_seconds", "coin" => base.label())
            .set(now.mean_wait_since(&before).as_secs_f64());
        metrics::counter!("pool_proofs_total", "coin" => base.label()).absolute(now.started);
        metrics::counter!("pool_proofs_refused_total", "coin" => base.label()).absolute(now.refused);
        before = now;
    }
    Ok(())
}
