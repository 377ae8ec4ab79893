//! The shares checker: what the stratum server asks of the pool, answered from the coin's rules and the records.

use super::{Base, Fatal, Stop};
use async_trait::async_trait;
use pool_coins::kaspa::Kaspa;
use pool_coins::kaspa::coin::KaspaJob;
use pool_core::coin::Coin;
use pool_core::event::PoolEvent;
use pool_core::id::Worker;
use pool_core::intake::{Intake, Refusal, Submit};
use pool_core::share::Reject;
use pool_core::units::{Target, Work};
use pool_stratum::dialect;
use pool_stratum::dialect::kaspa::KaspaSolution;
use pool_stratum::net::{Application, Caller, Listener, Server};
use pool_stratum::session::{Login, Outcome, Submission, split_user};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

const ROLE: &str = "stratum";

/// Kaspa's dialect over Kaspa's jobs.
pub type Dialect = dialect::kaspa::Kaspa<KaspaJob>;

/// The pool as a stratum server sees it.
#[derive(Debug)]
pub struct Checker {
    base: Base,
    intake: Arc<Intake<Kaspa>>,
    /// Blocks being handed to the node; a stop waits for them.
    submissions: TaskTracker,
    broken: AtomicBool,
    broke: Notify,
}

impl Checker {
    /// A checker that has checked nothing yet.
    #[must_use]
    pub fn new(base: Base, intake: Arc<Intake<Kaspa>>) -> Self {
        let submissions = TaskTracker::new();
        Self { base, intake, submissions, broken: AtomicBool::new(false), broke: Notify::new() }
    }

    /// After this no solution is acknowledged any more: whether one would be on record cannot be known.
    async fn breaks(&self, error: &pool_core::ports::StoreError) {
        if !self.broken.swap(true, Ordering::AcqRel) {
            self.base.alarm(ROLE, format!("shares cannot be recorded, none is acknowledged: {error}")).await;
            self.broke.notify_one();
        }
    }

    /// Proves, judges and records a solution; `Accepted` only when it is on record.
    pub async fn check_solution(
        &self,
        job: Arc<KaspaJob>,
        solution: KaspaSolution,
        share_target: Target,
        worker: Worker,
    ) -> Outcome {
        if self.broken.load(Ordering::Acquire) {
            return Outcome::Rejected(Reject::Busy);
        }
        match self.check(job, solution, share_target, worker).await {
            Ok(()) => Outcome::Accepted,
            Err(Refusal::Reject(reject)) => Outcome::Rejected(reject),
            Err(Refusal::Store(error)) => {
                if error.is_transient() {
                    tracing::warn!(%error, "a share was not recorded");
                } else {
                    self.breaks(&error).await;
                }
                Outcome::Rejected(Reject::Busy)
            }
        }
    }

    async fn check(
        &self,
        job: Arc<KaspaJob>,
        solution: KaspaSolution,
        share_target: Target,
        worker: Worker,
    ) -> Result<(), Refusal> {
        let at = self.base.clock.now();
        let submit = Submit { at, job: &*job, solution: &solution, share_target, worker };
        let taken = self.intake.take(submit).await?;
        if let Some(block) = taken.block {
            let miner = taken.share.record().worker.miner.clone();
            tracing::info!(block = %block.id, "a block was found");
            metrics::counter!("pool_found_blocks_total").increment(1);
            self.base.status.block(block.id, at);
            let (base, intake, coin) = (self.base.clone(), self.intake.clone(), self.intake.coin_id.clone());
            self.submissions.spawn(async move {
                // Whatever goes wrong here is made good by the blocks role, which finds the block open in the book.
                if let Err(error) = intake.submit_block(&block, base.clock.now()).await {
                    tracing::warn!(block = %block.id, %error, "the node did not take a block, trying again later");
                }
                base.tell(PoolEvent::BlockFound { coin, block: block.id, miner, at }).await;
            });
        }
        self.intake.record(taken.share).await?;
        Ok(())
    }
}

#[async_trait]
impl Application<Dialect> for Checker {
    async fn login(&self, user: &str, _password: &str, _caller: Caller) -> Result<Login, String> {
        let (account, name) = split_user(user);
        let miner = self.intake.coin.address(account).map_err(|error| error.to_string())?;
        let worker = Worker { miner, name };
        // A cache that does not answer costs a miner some seconds at the default difficulty, nothing more.
        let start = self.base.stores.difficulty.get(&worker).await.unwrap_or_default();
        Ok(Login { worker, start })
    }

    async fn submit(&self, submission: Submission<Dialect>) -> Outcome {
        let Submission { job, solution, share_target, worker, .. } = submission;
        self.check_solution(job, solution, share_target, worker).await
    }

    async fn remember(&self, worker: Worker, work: Work) {
        if let Err(error) = self.base.stores.difficulty.put(&worker, work).await {
            tracing::debug!(%error, "a difficulty was not remembered");
        }
    }
}

/// Serves miners until `stop`, then drains.
///
/// # Errors
/// [`Fatal`] when shares cannot be recorded any more.
pub async fn run(
    server: Server<Dialect, Checker>,
    checker: Arc<Checker>,
    listeners: Vec<Listener>,
    mut stop: Stop,
) -> Result<(), Fatal> {
    let shutdown = async {
        tokio::select! {
            () = stop.requested() => {}
            () = checker.broke.notified() => {}
        }
    };
    let drained = server.serve(listeners, shutdown).await;
    tracing::info!(closed = drained.closed, cut = drained.cut, "miners are disconnected");
    checker.submissions.close();
    checker.submissions.wait().await;
    if checker.broken.load(Ordering::Acquire) {
        return Err(Fatal::new(ROLE, anyhow::anyhow!("shares cannot be recorded; see the alarm above")));
    }
    Ok(())
}
