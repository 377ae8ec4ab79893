//! Jobs: waits for news from the node, paces them, and turns the newest template into one job for all miners.
//!
//! When no node answers, there is no work: miners are told, and nobody hashes for nothing.

use super::{Base, Fatal, Stop};
use crate::chains::Mined;
use crate::status::TemplateStatus;
use pool_core::coin::Node;
use pool_core::id::JobId;
use pool_core::pacer::Pacer;
use pool_core::time::Micros;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const ROLE: &str = "jobs";
/// How jobs are paced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The least time between two jobs.
    pub interval: Micros,
    /// A template older than this is no work any more, whatever the reason it was not replaced.
    pub template_age_max: Duration,
    /// Between two tries of a node that does not answer.
    pub retry: Duration,
}

impl Pace {
    /// The usual pace at one job per `interval`: a template lives a minute, a node is asked again each second.
    #[must_use]
    pub const fn new(interval: Micros) -> Self {
        Self { interval, template_age_max: Duration::from_secs(60), retry: Duration::from_secs(1) }
    }
}

/// Runs until `stop`. `work` shows the newest job; `None` while there is none.
///
/// # Errors
/// None today; the signature is that of all roles.
pub async fn run<C: Mined>(
    base: Base,
    coin: Arc<C>,
    node: Arc<dyn Node<C>>,
    pace: Pace,
    work: watch::Sender<Option<Arc<C::Job>>>,
    mut stop: Stop,
) -> Result<(), Fatal> {
    let mut pacer = Pacer::new(pace.interval);
    let mut next = 1;
    let mut good = base.clock.moment();
    pacer.news(good, true);
    loop {
        let due = pacer.deadline().map(|due| due.since(base.clock.moment()).to_duration());
        tokio::select! {
            () = stop.requested() => return Ok(()),
            () = node.changed(), if due.is_none() => pacer.news(base.clock.moment(), false),
            () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => {}
        }
        let now = base.clock.moment();
        if pacer.poll(now).is_none() {
            continue;
        }
        let template = tokio::select! {
            () = stop.requested() => return Ok(()),
            template = node.template() => template,
        };
        match template {
            Ok(template) => {
                good = base.clock.moment();
                let job = coin.job(JobId::new(next), Arc::new(template));
                let status = TemplateStatus {
                    at: base.clock.now(),
                    job: JobId::new(next),
                    target: coin.network_target(&job),
                    height: C::height(&job),
                };
                next += 1;
                base.status.template(Some(status));
                base.status.trouble(ROLE, None);
                metrics::counter!("pool_jobs_total", "coin" => base.label()).increment(1);
                work.send_replace(Some(job));
            }
            Err(error) => {
                metrics::counter!("pool_template_errors_total", "coin" => base.label()).increment(1);
                base.status.trouble(ROLE, Some(format!("no template: {error}")));
                let stale = base.clock.moment().since(good).to_duration() > pace.template_age_max;
                // A node that is away for a moment leaves its last template good: blocks on it still count.
                if stale || !error.is_transient() {
                    if work.send_replace(None).is_some() {
                        base.status.template(None);
                        base.alarm(ROLE, format!("no work for miners: {error}")).await;
                    }
                } else {
                    tracing::warn!(%error, "no template, trying again");
                }
                if !stop.pause(pace.retry).await {
                    return Ok(());
                }
                pacer.news(base.clock.moment(), false);
            }
        }
    }
}
