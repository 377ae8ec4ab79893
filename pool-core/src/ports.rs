//! The ports: what the pool needs written down, carried or told, as object-safe traits of at most five methods.
//!
//! The contract of each is a list, and each line of it is a case in the suite of [`crate::testing`]. Atomicity
//! across ports comes from idempotent writes keyed by cause, never from a transaction in a signature. All futures
//! are safe to drop: a dropped write happened or did not, and the same write again is safe.

use crate::block::{BlockFate, BookedBlock, FoundBlock};
use crate::coin::BoxError;
use crate::event::PoolEvent;
use crate::id::{BlockId, MinerId, PayoutId, Seq, ShareSeq, Worker};
use crate::ledger::{Account, Balance, Entry, LedgerEntry, Posted};
use crate::payout::{BookedPayout, PayoutBatch, SignedTx, TxFate};
use crate::share::{LoggedShare, Share};
use crate::time::Timestamp;
use crate::units::{Amount, Work};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_trait::async_trait;
use core::fmt::Debug;
use serde::{Deserialize, Serialize};

/// What went wrong between the pool and its storage: the world's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The outcome is unknown; send the same write again.
    #[error("storage unavailable")]
    Unavailable(#[source] BoxError),
    /// A write failed in a way after which the store takes nothing more (a failed fsync, a full disk): stop
    /// acknowledging, alarm, restart.
    #[error("storage poisoned: {0}")]
    Poisoned(String),
    /// Stored data contradicts itself: stop the pool.
    #[error("storage corrupt: {0}")]
    Corrupt(String),
    /// The same key with other content: a bug or a second writer. Stop what caused it.
    #[error("conflict: {0}")]
    Conflict(String),
    /// What was named is not there.
    #[error("not found: {0}")]
    NotFound(String),
}

impl StoreError {
    /// True when the same call may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Append-only record of accepted shares; every balance can be recomputed from it.
/// - durable: after `Ok` the whole batch survives a crash.
/// - ordered: sequences are dense and growing from 1; who has seen `n` has seen everything below `n`.
/// - whole: a batch is logged in its order, without a gap, or not at all.
/// - once: a share that solved a block is logged once per block; appending it again changes nothing (its first place
///   stays), so an interrupted intake can be finished after a restart.
/// - prune: removes only `seq <= before`; sequences are never used again.
#[async_trait]
pub trait ShareLog: Debug + Send + Sync {
    /// Appends and returns the place of the batch's last share. Many callers at once share one group commit. An empty
    /// batch returns the head.
    ///
    /// # Errors
    /// `Unavailable`: outcome unknown, send the same batch again. `Poisoned`, `Corrupt`: stop the pool.
    async fn append(&self, batch: &[Share]) -> Result<ShareSeq, StoreError>;
    /// At most `limit` shares behind `after`, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn read(&self, after: ShareSeq, limit: usize) -> Result<Vec<LoggedShare>, StoreError>;
    /// The place of the last share ever logged (0 for an empty log), pruned or not.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn head(&self) -> Result<ShareSeq, StoreError>;
    /// Forgets everything up to and with `before`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn prune(&self, before: ShareSeq) -> Result<(), StoreError>;
}

/// Found blocks, from before their submission to their fate. Nothing may be lost.
/// - durable: after `Ok` it survives a crash.
/// - one block, one row: recording an id again with the same content changes nothing; other content is a conflict.
/// - a fate is final: concluding again with the same fate changes nothing; with another one it is a conflict.
/// - conclusions are numbered densely from 1 in the order they were made.
#[async_trait]
pub trait BlockBook: Debug + Send + Sync {
    /// Writes a candidate down. True when it was new.
    ///
    /// # Errors
    /// `Conflict` for another block under the same id; else [`StoreError`].
    async fn record(&self, found: &FoundBlock) -> Result<bool, StoreError>;
    /// Notes that the node has the block (the first time stays).
    ///
    /// # Errors
    /// `NotFound` for a block never recorded; else [`StoreError`].
    async fn submitted(&self, id: &BlockId, at: Timestamp) -> Result<(), StoreError>;
    /// Writes a final fate down and returns its number among all conclusions.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for a second, other fate or one that is not final; else [`StoreError`].
    async fn conclude(&self, id: &BlockId, fate: &BlockFate) -> Result<Seq, StoreError>;
    /// All blocks without a conclusion, in the order of recording.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn open(&self) -> Result<Vec<BookedBlock>, StoreError>;
    /// At most `limit` blocks by `list`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn list(&self, list: BlockList, limit: usize) -> Result<Vec<BookedBlock>, StoreError>;
}

/// Which blocks to list, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockList {
    /// The newest first, recorded before this place (`None`: from the top).
    Newest(Option<Seq>),
    /// Concluded ones, in the order of their conclusions, behind this number.
    Concluded(Seq),
    /// That one.
    One(BlockId),
}

/// Double-entry ledger. Nothing may be lost, and a cause pays once.
/// - durable and whole: after `Ok` every posting survives a crash; without it none did.
/// - idempotent: the same cause with the same content is [`Posted::Before`]; other content is a conflict and moves nothing.
/// - conserving: over all accounts, debits equal credits, always.
/// - ordered: entries are numbered densely from 1.
#[async_trait]
pub trait Ledger: Debug + Send + Sync {
    /// Posts an entry.
    ///
    /// # Errors
    /// `Conflict` for the same cause with other content; `Corrupt` when a sum passes 2^128; else [`StoreError`].
    async fn post(&self, entry: &Entry) -> Result<Posted, StoreError>;
    /// What moved through one account; zero for one never seen.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn balance(&self, account: &Account) -> Result<Balance, StoreError>;
    /// At most `limit` accounts behind `after` in the order of their text, with their balances.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn balances(
        &self,
        after: Option<&Account>,
        limit: usize,
    ) -> Result<Vec<(Account, Balance)>, StoreError>;
    /// At most `limit` entries behind `after` that touch `account` (`None`: all), in order.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn entries(
        &self,
        account: Option<&Account>,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<LedgerEntry>, StoreError>;
    /// The entry of a cause.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn entry(&self, cause: &crate::ledger::Cause) -> Result<Option<LedgerEntry>, StoreError>;
}

/// Payouts from plan to end. Nothing may be lost; signed bytes are never replaced.
/// - idempotent: preparing, attaching or concluding again with the same content changes nothing; other content is a conflict.
/// - in order: attach needs a prepared payout, a settled conclusion needs a signed one.
#[async_trait]
pub trait PayoutBook: Debug + Send + Sync {
    /// Writes a batch down.
    ///
    /// # Errors
    /// `Conflict` for another batch under the same id; else [`StoreError`].
    async fn prepare(&self, batch: &PayoutBatch) -> Result<(), StoreError>;
    /// Writes its signed transaction down, before anyone sends it.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for other bytes or a concluded payout; else [`StoreError`].
    async fn attach(&self, id: &PayoutId, signed: &SignedTx) -> Result<(), StoreError>;
    /// Writes its end down.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for another end, one that is not final, or settling what was never signed; else [`StoreError`].
    async fn conclude(&self, id: &PayoutId, fate: &TxFate) -> Result<(), StoreError>;
    /// All payouts without an end, in the order of their numbers.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn open(&self) -> Result<Vec<BookedPayout>, StoreError>;
    /// At most `limit` payouts, newest number first, below `before` (`None`: from the top).
    ///
    /// # Errors
    /// [`StoreError`].
    async fn list(&self, before: Option<u64>, limit: usize) -> Result<Vec<BookedPayout>, StoreError>;
}

/// One message of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its place in the topic.
    pub seq: Seq,
    /// What it says.
    pub payload: Vec<u8>,
}

/// Carries records between roles: at least once, in order within a topic, never lost.
/// - durable: after `publish` returned `Ok` every message of the batch will be delivered.
/// - a group's position moves by [`Broker::commit`] alone; what was not committed is delivered again.
/// - groups do not see each other.
#[async_trait]
pub trait Broker: Debug + Send + Sync {
    /// Appends messages to a topic and returns the last one's place.
    ///
    /// # Errors
    /// `Unavailable`: outcome unknown, publish again (consumers must expect the same message twice).
    async fn publish(&self, topic: &str, batch: &[Vec<u8>]) -> Result<Seq, StoreError>;
    /// At most `limit` messages behind the group's committed position. Empty when there are none now.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn fetch(&self, topic: &str, group: &str, limit: usize) -> Result<Vec<Message>, StoreError>;
    /// Moves the group's position to `upto`; never back.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn commit(&self, topic: &str, group: &str, upto: Seq) -> Result<(), StoreError>;
}

/// What a miner chose for himself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Miner {
    /// His account.
    pub id: MinerId,
    /// First seen.
    pub since: Timestamp,
    /// The least sum he wants to be paid; `None`: the pool's default.
    pub threshold: Option<Amount>,
}

/// Who mines here. Last write wins.
#[async_trait]
pub trait Directory: Debug + Send + Sync {
    /// One miner.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn miner(&self, id: &MinerId) -> Result<Option<Miner>, StoreError>;
    /// Writes a miner down, replacing what was there.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn save(&self, miner: &Miner) -> Result<(), StoreError>;
    /// At most `limit` miners behind `after`, in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn list(&self, after: Option<&MinerId>, limit: usize) -> Result<Vec<Miner>, StoreError>;
}

/// One minute of one worker, for charts and hash rates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Whose.
    pub worker: Worker,
    /// The minute: Unix milliseconds divided by 60 000.
    pub minute: u64,
    /// Accepted shares.
    pub shares: u64,
    /// Their expected hashes, summed.
    pub work: u128,
}

/// Sums per worker and minute, rebuildable from the log.
/// - once: a batch whose `upto` is not above [`Rollups::upto`] changes nothing.
/// - whole: the buckets and the position change together.
#[async_trait]
pub trait Rollups: Debug + Send + Sync {
    /// Adds the sums of the log's shares behind the last position up to and with `upto`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn add(&self, upto: ShareSeq, buckets: &[Bucket]) -> Result<(), StoreError>;
    /// The place in the log up to which shares are summed.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn upto(&self) -> Result<ShareSeq, StoreError>;
    /// Buckets of `query`, by minute and then worker.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn series(&self, query: &RollupQuery) -> Result<Vec<Bucket>, StoreError>;
}

/// Which buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RollupQuery {
    /// One miner, or all.
    pub miner: Option<MinerId>,
    /// The first minute.
    pub from: u64,
    /// The first minute not wanted any more.
    pub to: u64,
}

/// The last difficulty of a worker, so that a reconnect starts where it was. May be lost.
#[async_trait]
pub trait DifficultyCache: Debug + Send + Sync {
    /// The last work per share of a worker.
    ///
    /// # Errors
    /// [`StoreError`]; a caller goes on with the default.
    async fn get(&self, worker: &Worker) -> Result<Option<Work>, StoreError>;
    /// Remembers it.
    ///
    /// # Errors
    /// [`StoreError`]; a caller goes on.
    async fn put(&self, worker: &Worker, work: Work) -> Result<(), StoreError>;
}

/// Tells whoever listens. May be lost: a slow listener misses the oldest.
#[async_trait]
pub trait EventBus: Debug + Send + Sync {
    /// Tells all present listeners.
    ///
    /// # Errors
    /// [`StoreError`]; a caller goes on.
    async fn publish(&self, event: &PoolEvent) -> Result<(), StoreError>;
    /// Listens from now on.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError>;
}

/// One listener of an [`EventBus`].
#[async_trait]
pub trait Subscription: Debug + Send {
    /// The next event; `None` when the bus is gone. Cancel-safe.
    async fn next(&mut self) -> Option<PoolEvent>;
}

/// All ports of one pool, as a binary hands them to its roles. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Accepted shares.
    pub shares: Arc<dyn ShareLog>,
    /// Found blocks.
    pub blocks: Arc<dyn BlockBook>,
    /// Money.
    pub ledger: Arc<dyn Ledger>,
    /// Payouts.
    pub payouts: Arc<dyn PayoutBook>,
    /// Messages between roles.
    pub broker: Arc<dyn Broker>,
    /// Miners and their choices.
    pub directory: Arc<dyn Directory>,
    /// Sums per minute.
    pub rollups: Arc<dyn Rollups>,
    /// Last difficulties.
    pub difficulty: Arc<dyn DifficultyCache>,
    /// Who listens.
    pub events: Arc<dyn EventBus>,
}
