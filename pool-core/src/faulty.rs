//! Ports that fail on purpose: any store, behind a plan of faults.
//!
//! A storage error that says `Unavailable` leaves the caller in doubt: the write happened or it did not. Code that
//! handles only one of the two is wrong, and no real disk shows both on demand. [`Stores::faulty`] wraps the ports of a
//! pool so that every call first asks a [`FaultPlan`]: fail before the work, fail after it, or be poisoned from here on.
//! The plan is seeded, so a failing run can be run again; without faults the wrapper keeps every promise of what it
//! wraps, and passes the same suites.
//!
//! It is for tests and for the simulator, needs nothing but the ports, and is no mock: what is behind it is real.

use crate::block::{BlockFate, BookedBlock, FoundBlock};
use crate::event::PoolEvent;
use crate::id::{BlockId, MinerId, PayoutId, Seq, ShareSeq, Worker};
use crate::ledger::{Account, Balance, Cause, Entry, LedgerEntry, Posted};
use crate::payout::{BookedPayout, PayoutBatch, SignedTx, TxFate};
use crate::ports::{
    BlockBook, BlockList, Broker, Bucket, DifficultyCache, Directory, EventBus, Ledger, Message, Miner,
    PayoutBook, RollupQuery, Rollups, ShareLog, StoreError, Stores, Subscription,
};
use crate::share::{LoggedShare, Share};
use crate::time::Timestamp;
use crate::units::Work;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_trait::async_trait;
use core::fmt::Debug;
use core::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: the call goes through.
    None,
    /// `Unavailable`, and the call was not made.
    NotDone,
    /// `Unavailable`, and the call was made.
    Done,
    /// `Poisoned`, and so is every later write, until [`FaultPlan::restart`].
    Poison,
}

/// The error behind an injected `Unavailable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fault of the plan")]
pub struct Injected;

/// Which calls fail, and how. Shared by all ports of a pool, so that one order of calls has one outcome.
///
/// ```
/// use pool_core::faulty::{Fault, FaultPlan};
/// use pool_core::id::ShareSeq;
/// use pool_core::ports::Stores;
///
/// let plan = FaultPlan::script([Fault::None, Fault::NotDone]);
/// let stores = Stores::memory().faulty(plan.clone());
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// assert_eq!(stores.shares.head().await.unwrap(), ShareSeq::new(0));
/// assert!(stores.shares.head().await.unwrap_err().is_transient());
/// assert_eq!(stores.shares.head().await.unwrap(), ShareSeq::new(0), "the script is over");
/// # });
/// ```
#[derive(Debug)]
pub struct FaultPlan(Mutex<Plan>);

#[derive(Debug, Default)]
struct Plan {
    /// Answers for the next calls; when it is empty the chance decides.
    script: VecDeque<Fault>,
    seed: u64,
    per_mille: u16,
    poison_after: Option<u64>,
    writes: u64,
    faults: u64,
    poisoned: bool,
}

impl FaultPlan {
    /// No faults.
    #[must_use]
    pub fn none() -> Arc<Self> {
        Self::script([])
    }

    /// These outcomes for the next calls, in their order, and then no faults.
    pub fn script(faults: impl IntoIterator<Item = Fault>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Plan { script: faults.into_iter().collect(), ..Plan::default() })))
    }

    /// Of 1000 calls about `per_mille` are unavailable, as the seed says; half of the writes among them are done.
    #[must_use]
    pub fn seeded(seed: u64, per_mille: u16) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Plan { seed, per_mille, ..Plan::default() })))
    }

    /// Poisons the store at the write after the next `writes` ones.
    pub fn poison_after(&self, writes: u64) {
        let mut plan = self.plan();
        plan.poison_after = Some(plan.writes.saturating_add(writes));
    }

    /// No faults from here on. What is poisoned stays poisoned.
    pub fn heal(&self) {
        let mut plan = self.plan();
        plan.script.clear();
        (plan.per_mille, plan.poison_after) = (0, None);
    }

    /// A new process over the same data: nothing is poisoned any more.
    pub fn restart(&self) {
        let mut plan = self.plan();
        (plan.poisoned, plan.poison_after) = (false, None);
    }

    /// How many calls have failed by this plan.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.plan().faults
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, is_write: bool) -> Fault {
        let mut plan = self.plan();
        if is_write {
            plan.writes += 1;
            plan.poisoned |= plan.poison_after.is_some_and(|after| plan.writes > after);
            if plan.poisoned {
                plan.faults += 1;
                return Fault::Poison;
            }
        }
        let fault = plan.script.pop_front().unwrap_or_else(|| plan.chance());
        plan.poisoned |= fault == Fault::Poison && is_write;
        plan.faults += u64::from(fault != Fault::None);
        fault
    }

    async fn write<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match self.next(true) {
            Fault::None => call.await,
            Fault::NotDone => Err(unavailable()),
            Fault::Done => {
                call.await?;
                Err(unavailable())
            }
            Fault::Poison => Err(StoreError::Poisoned(String::from("a fault of the plan"))),
        }
    }

    /// A read changes nothing, so it is done or not alike; a poisoned store can still be read.
    async fn read<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match self.next(false) {
            Fault::None | Fault::Poison => call.await,
            Fault::NotDone | Fault::Done => Err(unavailable()),
        }
    }
}

impl Plan {
    fn chance(&mut self) -> Fault {
        if self.per_mille == 0 {
            return Fault::None;
        }
        // SplitMix64 (Steele, Lea, Flood 2014): every seed is as good as any other.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.seed;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        if (bits >> 1) % 1_000 >= u64::from(self.per_mille) {
            Fault::None
        } else if bits & 1 == 0 {
            Fault::NotDone
        } else {
            Fault::Done
        }
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable(Box::new(Injected))
}

impl Stores {
    /// These ports behind a plan of faults. Events already on their way to a listener are not touched by it.
    #[must_use]
    pub fn faulty(self, plan: Arc<FaultPlan>) -> Self {
        Self {
            shares: Arc::new(Faulty { inner: self.shares, plan: plan.clone() }),
            blocks: Arc::new(Faulty { inner: self.blocks, plan: plan.clone() }),
            ledger: Arc::new(Faulty { inner: self.ledger, plan: plan.clone() }),
            payouts: Arc::new(Faulty { inner: self.payouts, plan: plan.clone() }),
            broker: Arc::new(Faulty { inner: self.broker, plan: plan.clone() }),
            directory: Arc::new(Faulty { inner: self.directory, plan: plan.clone() }),
            rollups: Arc::new(Faulty { inner: self.rollups, plan: plan.clone() }),
            difficulty: Arc::new(Faulty { inner: self.difficulty, plan: plan.clone() }),
            events: Arc::new(Faulty { inner: self.events, plan }),
        }
    }
}

/// One port behind a plan of faults.
#[derive(Debug)]
pub struct Faulty<P: ?Sized> {
    /// What does the work.
    pub inner: Arc<P>,
    /// What goes wrong.
    pub plan: Arc<FaultPlan>,
}

#[async_trait]
impl<P: ShareLog + ?Sized> ShareLog for Faulty<P> {
    async fn append(&self, batch: &[Share]) -> Result<ShareSeq, StoreError> {
        self.plan.write(self.inner.append(batch)).await
    }

    async fn read(&self, after: ShareSeq, limit: usize) -> Result<Vec<LoggedShare>, StoreError> {
        self.plan.read(self.inner.read(after, limit)).await
    }

    async fn head(&self) -> Result<ShareSeq, StoreError> {
        self.plan.read(self.inner.head()).await
    }

    async fn prune(&self, before: ShareSeq) -> Result<(), StoreError> {
        self.plan.write(self.inner.prune(before)).await
    }
}

#[async_trait]
impl<P: BlockBook + ?Sized> BlockBook for Faulty<P> {
    async fn record(&self, found: &FoundBlock) -> Result<bool, StoreError> {
        self.plan.write(self.inner.record(found)).await
    }

    async fn submitted(&self, id: &BlockId, at: Timestamp) -> Result<(), StoreError> {
        self.plan.write(self.inner.submitted(id, at)).await
    }

    async fn conclude(&self, id: &BlockId, fate: &BlockFate) -> Result<Seq, StoreError> {
        self.plan.write(self.inner.conclude(id, fate)).await
    }

    async fn open(&self) -> Result<Vec<BookedBlock>, StoreError> {
        self.plan.read(self.inner.open()).await
    }

    async fn list(&self, list: BlockList, limit: usize) -> Result<Vec<BookedBlock>, StoreError> {
        self.plan.read(self.inner.list(list, limit)).await
    }
}

#[async_trait]
impl<P: Ledger + ?Sized> Ledger for Faulty<P> {
    async fn post(&self, entry: &Entry) -> Result<Posted, StoreError> {
        self.plan.write(self.inner.post(entry)).await
    }

    async fn balance(&self, account: &Account) -> Result<Balance, StoreError> {
        self.plan.read(self.inner.balance(account)).await
    }

    async fn balances(
        &self,
        after: Option<&Account>,
        limit: usize,
    ) -> Result<Vec<(Account, Balance)>, StoreError> {
        self.plan.read(self.inner.balances(after, limit)).await
    }

    async fn entries(
        &self,
        account: Option<&Account>,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<LedgerEntry>, StoreError> {
        self.plan.read(self.inner.entries(account, after, limit)).await
    }

    async fn entry(&self, cause: &Cause) -> Result<Option<LedgerEntry>, StoreError> {
        self.plan.read(self.inner.entry(cause)).await
    }
}

#[async_trait]
impl<P: PayoutBook + ?Sized> PayoutBook for Faulty<P> {
    async fn prepare(&self, batch: &PayoutBatch) -> Result<(), StoreError> {
        self.plan.write(self.inner.prepare(batch)).await
    }

    async fn attach(&self, id: &PayoutId, signed: &SignedTx) -> Result<(), StoreError> {
        self.plan.write(self.inner.attach(id, signed)).await
    }

    async fn conclude(&self, id: &PayoutId, fate: &TxFate) -> Result<(), StoreError> {
        self.plan.write(self.inner.conclude(id, fate)).await
    }

    async fn open(&self) -> Result<Vec<BookedPayout>, StoreError> {
        self.plan.read(self.inner.open()).await
    }

    async fn list(&self, before: Option<u64>, limit: usize) -> Result<Vec<BookedPayout>, StoreError> {
        self.plan.read(self.inner.list(before, limit)).await
    }
}

#[async_trait]
impl<P: Broker + ?Sized> Broker for Faulty<P> {
    async fn publish(&self, topic: &str, batch: &[Vec<u8>]) -> Result<Seq, StoreError> {
        self.plan.write(self.inner.publish(topic, batch)).await
    }

    async fn fetch(&self, topic: &str, group: &str, limit: usize) -> Result<Vec<Message>, StoreError> {
        self.plan.read(self.inner.fetch(topic, group, limit)).await
    }

    async fn commit(&self, topic: &str, group: &str, upto: Seq) -> Result<(), StoreError> {
        self.plan.write(self.inner.commit(topic, group, upto)).await
    }
}

#[async_trait]
impl<P: Directory + ?Sized> Directory for Faulty<P> {
    async fn miner(&self, id: &MinerId) -> Result<Option<Miner>, StoreError> {
        self.plan.read(self.inner.miner(id)).await
    }

    async fn save(&self, miner: &Miner) -> Result<(), StoreError> {
        self.plan.write(self.inner.save(miner)).await
    }

    async fn list(&self, after: Option<&MinerId>, limit: usize) -> Result<Vec<Miner>, StoreError> {
        self.plan.read(self.inner.list(after, limit)).await
    }
}

#[async_trait]
impl<P: Rollups + ?Sized> Rollups for Faulty<P> {
    async fn add(&self, upto: ShareSeq, buckets: &[Bucket]) -> Result<(), StoreError> {
        self.plan.write(self.inner.add(upto, buckets)).await
    }

    async fn upto(&self) -> Result<ShareSeq, StoreError> {
        self.plan.read(self.inner.upto()).await
    }

    async fn series(&self, query: &RollupQuery) -> Result<Vec<Bucket>, StoreError> {
        self.plan.read(self.inner.series(query)).await
    }
}

#[async_trait]
impl<P: DifficultyCache + ?Sized> DifficultyCache for Faulty<P> {
    async fn get(&self, worker: &Worker) -> Result<Option<Work>, StoreError> {
        self.plan.read(self.inner.get(worker)).await
    }

    async fn put(&self, worker: &Worker, work: Work) -> Result<(), StoreError> {
        self.plan.write(self.inner.put(worker, work)).await
    }
}

#[async_trait]
impl<P: EventBus + ?Sized> EventBus for Faulty<P> {
    async fn publish(&self, event: &PoolEvent) -> Result<(), StoreError> {
        self.plan.write(self.inner.publish(event)).await
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        self.plan.read(self.inner.subscribe()).await
    }
}
