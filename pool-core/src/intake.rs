//! From a solution to a place in the log: prove, judge, and, should it solve a block, keep and submit that block.
//!
//! One value per coin, shared by all connections, without a runtime of its own: every future here is the caller's to
//! run. The order is the promise:
//!
//! 1. the proof is computed once, and [`judge`] compares it;
//! 2. a block is written to the block book *before* the node hears of it, so a crash cannot drop it;
//! 3. the share is appended to the log, and only its place in the log lets a miner read "accepted".
//!
//! Submitting a block and recording its share do not wait for each other: [`Intake::take`] hands the block back as
//! [`Taken::block`], to be given to [`Intake::submit_block`] on a task of the caller's. A node that is away delays no
//! reply; [`Intake::resubmit_open`] hands the block over later.
//!
//! Only a book that cannot be written turns the order around: then the block goes to the node without a record, because
//! the chain is the only place left that keeps it, and the miner reads no "accepted". The money arrives at the pool's
//! address and is the operator's to assign; the alarm is the caller's to raise, for every [`Refusal::Store`].

use crate::block::{BookedBlock, FoundBlock};
use crate::coin::{Coin, Node, NodeError, RawBlock};
use crate::id::{BlockId, CoinId, InstanceId, ShareSeq, Worker};
use crate::ports::{BlockBook, ShareLog, StoreError};
use crate::share::{Candidate, Proof, Reject, Share, Verdict, judge};
use crate::time::Timestamp;
use crate::units::Target;
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;

/// A solution on its way in.
#[derive(Debug)]
pub struct Submit<'a, C: Coin> {
    /// When it was received.
    pub at: Timestamp,
    /// The job it answers.
    pub job: &'a C::Job,
    /// The answer.
    pub solution: &'a C::Solution,
    /// The target the job was issued with to this connection.
    pub share_target: Target,
    /// Whose it is.
    pub worker: Worker,
}

/// An accepted share that is not on record yet.
#[derive(Debug)]
#[must_use = "an accepted share counts only once it is recorded"]
pub struct Taken {
    /// The share, for [`Intake::record`].
    pub share: Share,
    /// The block it solved, on disk already, for [`Intake::submit_block`].
    pub block: Option<RawBlock>,
}

/// Why a solution was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The miner's fault.
    #[error(transparent)]
    Reject(#[from] Reject),
    /// The store's. Whether the solution is on record is unknown; the miner must not read "accepted".
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of the blocks that a node was offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resubmitted {
    /// The node has them now.
    pub submitted: usize,
    /// The node refuses them for good. Their fate is still asked for.
    pub refused: usize,
    /// No node answered: next time.
    pub waiting: usize,
}

/// The way in for one coin's solutions.
#[derive(Debug)]
pub struct Intake<C: Coin> {
    /// The chain's rules.
    pub coin: Arc<C>,
    /// The chain's node.
    pub node: Arc<dyn Node<C>>,
    /// Where shares are recorded.
    pub shares: Arc<dyn ShareLog>,
    /// Where blocks are kept.
    pub blocks: Arc<dyn BlockBook>,
    /// This share checker among several.
    pub instance: InstanceId,
    /// The coin's name in records.
    pub coin_id: CoinId,
    /// Who vouches for what the proof does not show, for the coins that have such a part.
    pub attest: Option<Arc<dyn Attest<C>>>,
}

/// The second stage of a coin whose shares can be verified only in part by hashing.
///
/// It is asked once per good proof, before the share is recorded. What it decides when it gets no answer is its own,
/// configured policy; an outage of a service is no miner's fault, so it is [`Reject::Busy`] if it refuses at all.
#[async_trait::async_trait]
pub trait Attest<C: Coin>: core::fmt::Debug + Send + Sync {
    /// Whether a proved share counts.
    ///
    /// # Errors
    /// [`Reject::Unattested`] when it does not, [`Reject::Busy`] when that cannot be known now.
    async fn attest(&self, job: &C::Job, solution: &C::Solution, share: &Share) -> Result<(), Reject>;
}

impl<C: Coin> Intake<C> {
    /// Proves and judges; a block is on disk when this returns.
    ///
    /// # Errors
    /// [`Refusal`]. A block that could not be written down was handed to the node before [`Refusal::Store`] is returned.
    pub async fn take(&self, submit: Submit<'_, C>) -> Result<Taken, Refusal> {
        let proof = self.coin.prove(submit.job, submit.solution)?;
        self.take_proved(submit, proof).await
    }

    /// [`Intake::take`] for who proved elsewhere, such as on threads for [`crate::coin::Cost::Heavy`] coins. `proof`
    /// must be the coin's own for this job and solution: credit rests on it.
    ///
    /// # Errors
    /// As [`Intake::take`].
    pub async fn take_proved(&self, submit: Submit<'_, C>, proof: Proof) -> Result<Taken, Refusal> {
        let Submit { at, job, solution, share_target, worker } = submit;
        let network_target = self.coin.network_target_of(job, solution);
        // The hash of a block costs as much as a proof: it is only computed for a block.
        let solves = proof.meets(network_target);
        let block = if solves { self.coin.block_id(job, solution) } else { BlockId::new([0; 32]) };
        let candidate = Candidate {
            instance: self.instance,
            at,
            worker,
            share_target,
            network_target,
            chain: self.coin.chain(job, solution),
            evidence: self.coin.evidence(job, solution),
            block,
        };
        let share = match judge(candidate, proof) {
            Verdict::Accepted(share) => share,
            Verdict::Rejected(reject) => return Err(reject.into()),
        };
        if let Some(attest) = &self.attest {
            attest.attest(job, solution, &share).await?;
        }
        if share.block().is_none() {
            return Ok(Taken { share, block: None });
        }
        let raw = self.coin.assemble(job, solution);
        assert_eq!(share.block(), Some(raw.id), "a coin names one block by one hash");
        let found = FoundBlock {
            id: raw.id,
            coin: self.coin_id.clone(),
            share: share.record().clone(),
            raw: raw.bytes.clone(),
            height: raw.height,
        };
        if let Err(error) = again(|| self.blocks.record(&found)).await {
            // Whatever the node says now, there is nobody left to remember it.
            let _unknown = self.node.submit(&raw).await;
            return Err(error.into());
        }
        Ok(Taken { share, block: Some(raw) })
    }

    /// Records an accepted share. The place it returns is what "accepted" means.
    ///
    /// The share of a block is sent again when the outcome of an append is unknown, for a log takes it once; any other
    /// is not, for it would count twice.
    ///
    /// # Errors
    /// [`StoreError`]: the share may be on record or not, and must not be called accepted.
    pub async fn record(&self, share: Share) -> Result<ShareSeq, StoreError> {
        let batch = core::slice::from_ref(&share);
        if share.block().is_some() {
            again(|| self.shares.append(batch)).await
        } else {
            self.shares.append(batch).await
        }
    }

    /// Hands a recorded block to the node and notes that it was taken.
    ///
    /// # Errors
    /// [`SubmitError`]. Nothing is lost by one: [`Intake::resubmit_open`] tries again.
    pub async fn submit_block(&self, block: &RawBlock, at: Timestamp) -> Result<(), SubmitError> {
        self.node.submit(block).await?;
        self.blocks.submitted(&block.id, at).await?;
        Ok(())
    }

    /// Offers every open block to the node that the node has not taken yet.
    ///
    /// # Errors
    /// [`StoreError`] when the book cannot be read or written.
    pub async fn resubmit_open(&self, at: Timestamp) -> Result<Resubmitted, StoreError> {
        let mut result = Resubmitted::default();
        for booked in self.blocks.open().await? {
            if booked.submitted.is_some() {
                continue;
            }
            let found = booked.found;
            let raw = RawBlock { id: found.id, bytes: found.raw, height: found.height };
            match self.submit_block(&raw, at).await {
                Ok(()) => result.submitted += 1,
                Err(SubmitError::Node(error)) if error.is_transient() => result.waiting += 1,
                Err(SubmitError::Node(_)) => result.refused += 1,
                Err(SubmitError::Store(error)) => return Err(error),
            }
        }
        Ok(result)
    }

    /// Finishes what a crash interrupted: the share of every open block is proved again from its evidence and recorded,
    /// if it is not in the log. Returns the number of open blocks. Safe to repeat.
    ///
    /// # Errors
    /// [`StoreError`]; `Corrupt` when a block's own evidence does not prove it.
    pub async fn recover(&self) -> Result<usize, StoreError> {
        let open = self.blocks.open().await?;
        let shares =
            open.iter().map(|booked| self.prove_again(&booked.found)).collect::<Result<Vec<_>, _>>()?;
        again(|| self.shares.append(&shares)).await?;
        Ok(shares.len())
    }

    /// The place of a block's share in the log, where it is put if it is not there. To be called before a block is
    /// concluded: a block whose share is in no log has no place among the shares it pays.
    ///
    /// # Errors
    /// [`StoreError`]; `Corrupt` when the block's own evidence does not prove it.
    pub async fn anchor(&self, booked: &BookedBlock) -> Result<ShareSeq, StoreError> {
        let share = self.prove_again(&booked.found)?;
        again(|| self.shares.append(core::slice::from_ref(&share))).await
    }

    fn prove_again(&self, found: &FoundBlock) -> Result<Share, StoreError> {
        let record = &found.share;
        let corrupt = || StoreError::Corrupt(format!("the evidence of block {} does not prove it", found.id));
        let proof = self.coin.reprove(&record.evidence).map_err(|_| corrupt())?;
        // The network's target is not in the record. It lies between the proof, which met it, and the share's target;
        // the proof stands in for it here, and what the share weighed is taken from the record.
        let candidate = Candidate {
            instance: record.instance,
            at: record.at,
            worker: record.worker.clone(),
            share_target: Target::from_work(record.work),
            network_target: Target::new(proof.hash()),
            chain: record.chain,
            evidence: record.evidence.clone(),
            block: found.id,
        };
        match judge(candidate, proof) {
            Verdict::Accepted(share) => share.restore(record).ok_or_else(corrupt),
            Verdict::Rejected(_) => Err(corrupt()),
        }
    }
}

/// How often a write that is safe to repeat is sent while its outcome is unknown.
const ATTEMPTS: usize = 3;

/// Sends a write that may be repeated until its outcome is known, [`ATTEMPTS`] times at most.
async fn again<T, F>(mut write: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    for _ in 1..ATTEMPTS {
        match write().await {
            Err(error) if error.is_transient() => {}
            known => return known,
        }
    }
    write().await
}

/// Why a block was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The book.
    #[error(transparent)]
    Store(#[from] StoreError),
}
