//! The shares checker: what the stratum server asks of the pool, answered from the coin's rules and the records.

use super::{Base, Fatal, Stop};
use crate::chains::{Mined, Service, address_trouble};
use async_trait::async_trait;
use pool_core::coin::Cost;
use pool_core::event::PoolEvent;
use pool_core::id::Worker;
use pool_core::intake::{Intake, Refusal, Submit};
use pool_core::share::{Proof, Reject};
use pool_core::units::{Target, Work};
use pool_stratum::net::{Application, Caller, Listener, ProofPool, Server};
use pool_stratum::session::{Login, Outcome, Submission};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

const ROLE: &str = "stratum";

/// The pool of one coin as a stratum server sees it.
#[derive(Debug)]
pub struct Checker<C: Mined> {
    base: Base,
    intake: Arc<Intake<C>>,
    /// Threads for proofs, where a proof is too dear for the thread that serves connections.
    proofs: Option<Arc<ProofPool>>,
    service: Option<Arc<dyn Service>>,
    /// Blocks being handed to the node; a stop waits for them.
    submissions: TaskTracker,
    broken: AtomicBool,
    broke: Notify,
}

impl<C: Mined> Checker<C> {
    /// A checker that has checked nothing yet, for a coin whose proofs are light.
    #[must_use]
    pub fn new(base: Base, intake: Arc<Intake<C>>) -> Self {
        let submissions = TaskTracker::new();
        let (broken, broke) = (AtomicBool::new(false), Notify::new());
        Self { base, intake, proofs: None, service: None, submissions, broken, broke }
    }

    /// The same with threads for heavy proofs.
    #[must_use]
    pub fn with_proofs(self, proofs: Option<Arc<ProofPool>>) -> Self {
        Self { proofs, ..self }
    }

    /// The same with a service that miners may ask.
    #[must_use]
    pub fn with_service(self, service: Option<Arc<dyn Service>>) -> Self {
        Self { service, ..self }
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
        job: Arc<C::Job>,
        solution: C::Solution,
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
        job: Arc<C::Job>,
        solution: C::Solution,
        share_target: Target,
        worker: Worker,
    ) -> Result<(), Refusal> {
        let at = self.base.clock.now();
        let proof = self.prove(&job, &solution).await?;
        let submit = Submit { at, job: &*job, solution: &solution, share_target, worker };
        let taken = self.intake.take_proved(submit, proof).await?;
        if let Some(block) = taken.block {
            let miner = taken.share.record().worker.miner.clone();
            tracing::info!(block = %block.id, "a block was found");
            metrics::counter!("pool_found_blocks_total", "coin" => self.base.label()).increment(1);
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

    /// Hashes a solution, once: here where that is light, on the coin's own threads where it is not.
    async fn prove(&self, job: &Arc<C::Job>, solution: &C::Solution) -> Result<Proof, Reject> {
        let Some(proofs) = self.proofs.as_ref().filter(|_| C::COST == Cost::Heavy) else {
            return self.intake.coin.prove(job, solution);
        };
        let (coin, job, solution) = (self.intake.coin.clone(), Arc::clone(job), solution.clone());
        match proofs.run(move || coin.prove(&job, &solution)).await {
            Ok(proved) => proved,
            Err(full) => {
                tracing::debug!(coin = %self.base.coin, %full, "a share was not proved");
                Err(Reject::Busy)
            }
        }
    }
}

#[async_trait]
impl<C: Mined> Application<C::Dialect> for Checker<C> {
    async fn login(&self, user: &str, _password: &str, _caller: Caller) -> Result<Login, String> {
        let (account, name) = C::split_user(user);
        let miner = self.intake.coin.address(account);
        let miner =
            miner.map_err(|error| address_trouble(self.base.coin.as_str(), account, &error.to_string()))?;
        let worker = Worker { miner, name };
        // A cache that does not answer costs a miner some seconds at the default difficulty, nothing more.
        let start = self.base.stores.difficulty.get(&worker).await.unwrap_or_default();
        Ok(Login { worker, start })
    }

    async fn submit(&self, submission: Submission<C::Dialect>) -> Outcome {
        let Submission { job, solution, share_target, worker, .. } = submission;
        self.check_solution(job, solution, share_target, worker).await
    }

    async fn ask(&self, worker: Worker, payload: String, caller: Caller) -> Result<String, String> {
        match &self.service {
            Some(service) => service.ask(worker, payload, caller.address).await,
            None => Err("this pool has no such service".to_owned()),
        }
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
pub async fn run<C: Mined>(
    server: Server<C::Dialect, Checker<C>>,
    checker: Arc<Checker<C>>,
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
