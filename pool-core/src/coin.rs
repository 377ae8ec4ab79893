//! What a chain must offer to be mined by a pool: pure rules ([`Coin`]) and two I/O halves ([`Node`], [`Wallet`]).
//!
//! A third party who writes a coin depends on this crate alone. The pure half never blocks and never fails for
//! outside reasons; the I/O halves say with `is_transient()` whether trying again may help.

use crate::block::BlockFate;
use crate::id::{BlockId, JobId, MinerId};
use crate::payout::{PayoutBatch, SignedTx, TxFate};
use crate::share::{Evidence, Proof, Reject};
use crate::units::{Amount, Target};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Debug;

/// How dear one proof is, and so where it may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Microseconds: prove where the line was read.
    Light,
    /// More: prove on a bounded worker pool, never on an I/O thread.
    Heavy,
}

/// An address a coin does not pay to; the text is for the miner's screen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAddress(pub String);

/// A block in the coin's own encoding, with the names a book needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBlock {
    /// Its hash.
    pub id: BlockId,
    /// Its bytes, as [`Node::submit`] of the same coin takes them.
    pub bytes: Vec<u8>,
    /// A height, a blue score: what people look it up by.
    pub height: u64,
}

/// A chain's pure rules. A value (configuration such as the network), cheap to share.
pub trait Coin: Debug + Send + Sync + 'static {
    /// The node's offer.
    type Template: Debug + Send + Sync + 'static;
    /// The miner's puzzle, computed once from a template and shared by all connections.
    type Job: Debug + Send + Sync + 'static;
    /// The miner's answer.
    type Solution: Debug + Clone + Send + Sync + 'static;
    /// How dear [`Coin::prove`] is.
    const COST: Cost;
    /// Hashes behind one unit of a target's work, for hash rates on screens; pay depends on units alone. More than 1
    /// where a hash must meet something beside its target, as landing on one of several chains.
    const HASHES_PER_WORK: u64 = 1;

    /// The puzzle of a template. `id` is what miners will call it.
    fn job(&self, id: JobId, template: Arc<Self::Template>) -> Arc<Self::Job>;

    /// The network's target of a job.
    fn network_target(&self, job: &Self::Job) -> Target;

    /// The network's target for one solution of a job. Another than [`Coin::network_target`] only where a job has parts
    /// for several chains, and the solution says for which it is.
    fn network_target_of(&self, job: &Self::Job, _solution: &Self::Solution) -> Target {
        self.network_target(job)
    }

    /// The chain a solution is for, among several of one coin; 0 where there is one.
    fn chain(&self, _job: &Self::Job, _solution: &Self::Solution) -> u16 {
        0
    }

    /// Hashes a solution, once.
    ///
    /// # Errors
    /// A [`Reject`] for a solution that is none for this job.
    fn prove(&self, job: &Self::Job, solution: &Self::Solution) -> Result<Proof, Reject>;

    /// The bytes from which [`Coin::reprove`] finds the same proof; also the identity of the solution.
    fn evidence(&self, job: &Self::Job, solution: &Self::Solution) -> Evidence;

    /// Hashes a logged share again.
    ///
    /// # Errors
    /// [`Reject::Malformed`] for bytes that are no evidence of this coin.
    fn reprove(&self, evidence: &Evidence) -> Result<Proof, Reject>;

    /// The hash of the block that a solution completes.
    fn block_id(&self, job: &Self::Job, solution: &Self::Solution) -> BlockId;

    /// The block that a solution completes, to be submitted.
    fn assemble(&self, job: &Self::Job, solution: &Self::Solution) -> RawBlock;

    /// The canonical account behind what a miner typed.
    ///
    /// # Errors
    /// [`BadAddress`] with a text that says what is wrong with it.
    fn address(&self, text: &str) -> Result<MinerId, BadAddress>;
}

/// The source of a foreign error.
pub type BoxError = Box<dyn core::error::Error + Send + Sync>;

/// What went wrong between the pool and a node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// No answer, or none in time.
    #[error("node unreachable")]
    Unreachable(#[source] BoxError),
    /// It answers, and has not caught up with the network.
    #[error("node is not synchronised")]
    NotSynced,
    /// It answers nonsense.
    #[error("node answered garbage: {0}")]
    Garbage(String),
    /// It refuses what it was asked, for good.
    #[error("node refused: {reason}")]
    Refused {
        /// Its words.
        reason: String,
    },
}

impl NodeError {
    /// True when the same call may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::NotSynced | Self::Garbage(_))
    }
}

/// What submitting a block did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// The node took it now.
    Accepted,
    /// The node had it already.
    Known,
}

/// A chain's node, or several behind one face.
#[async_trait::async_trait]
pub trait Node<C: Coin>: Debug + Send + Sync {
    /// The newest offer, checked.
    ///
    /// # Errors
    /// [`NodeError`]; transient ones are worth another call.
    async fn template(&self) -> Result<C::Template, NodeError>;

    /// Waits until a newer template may be had than the last one this value returned. May wake early, never late
    /// for long: an implementation adds a slow poll of its own.
    async fn changed(&self);

    /// Hands over a block. Idempotent: the same block again is [`Submitted::Known`].
    ///
    /// # Errors
    /// [`NodeError::Refused`] is final for this block; transient errors are not.
    async fn submit(&self, block: &RawBlock) -> Result<Submitted, NodeError>;

    /// What the chain says of a block now.
    ///
    /// # Errors
    /// [`NodeError`], after which nothing is known.
    async fn fate(&self, block: &BlockId) -> Result<BlockFate, NodeError>;
}

/// What went wrong between the pool and its own money.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// The node behind the wallet.
    #[error("wallet: {0}")]
    Node(#[from] NodeError),
    /// Not enough spendable coins now.
    #[error("wallet holds {spendable} spendable, the batch needs {needed}")]
    Short {
        /// What can be spent now.
        spendable: Amount,
        /// What the batch and its fee need.
        needed: Amount,
    },
    /// The batch can never be signed as it is.
    #[error("batch cannot be paid: {0}")]
    Impossible(String),
    /// The network refuses the transaction for good.
    #[error("transaction refused: {0}")]
    Refused(String),
}

impl WalletError {
    /// True when the same call may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Node(error) => error.is_transient(),
            Self::Short { .. } => true,
            Self::Impossible(_) | Self::Refused(_) => false,
        }
    }
}

/// The pool's money on one chain. Signing changes nothing in the world; sending is repeatable.
#[async_trait::async_trait]
pub trait Wallet: Debug + Send + Sync {
    /// Signs a batch without any effect. Spends nothing that a transaction of `in_flight` spends.
    ///
    /// # Errors
    /// [`WalletError`].
    async fn sign(&self, batch: &PayoutBatch, in_flight: &[SignedTx]) -> Result<SignedTx, WalletError>;

    /// Sends a signed transaction, again and again if need be. `Ok` when the network has it, now or before.
    ///
    /// # Errors
    /// [`WalletError`]; after [`WalletError::Refused`] only [`Wallet::fate`] can tell whether it is void.
    async fn broadcast(&self, tx: &SignedTx) -> Result<(), WalletError>;

    /// What the chain says of a transaction of ours.
    ///
    /// # Errors
    /// [`WalletError`], after which nothing is known.
    async fn fate(&self, tx: &SignedTx) -> Result<TxFate, WalletError>;

    /// What can be spent now.
    ///
    /// # Errors
    /// [`WalletError`].
    async fn spendable(&self) -> Result<Amount, WalletError>;

    /// A transaction to ourselves that keeps the wallet usable (joins many small coins), if one is due now. Signed,
    /// not sent. Spends nothing that a transaction of `in_flight` spends.
    ///
    /// # Errors
    /// [`WalletError`].
    async fn upkeep(&self, in_flight: &[SignedTx]) -> Result<Option<SignedTx>, WalletError>;
}

/// What one transaction of a coin can carry, for planning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayoutLimits {
    /// The most outputs of one batch.
    pub items_max: usize,
    /// The least amount of one output.
    pub amount_min: Amount,
}
