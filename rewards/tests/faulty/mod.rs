//! The in-memory ports behind a door that fails on purpose: before the write, or after it with the answer lost.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use async_trait::async_trait;
use pool_core::block::{BlockFate, BookedBlock, FoundBlock};
use pool_core::id::{BlockId, MinerId, PayoutId, Seq, ShareSeq};
use pool_core::ledger::{Account, Balance, Cause, Entry, LedgerEntry, Posted};
use pool_core::memory::{MemoryBlockBook, MemoryDirectory, MemoryLedger, MemoryPayoutBook, MemoryShareLog};
use pool_core::payout::{BookedPayout, PayoutBatch, SignedTx, TxFate};
use pool_core::ports::{BlockBook, BlockList, Directory, Ledger, Miner, PayoutBook, ShareLog, StoreError};
use pool_core::share::{LoggedShare, Share};
use pool_core::time::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::{Arc, Mutex};

/// When the world fails. `odds` of a thousand per call, half of them after the effect.
#[derive(Debug)]
pub struct Faults {
    random: ChaCha8Rng,
    pub odds: u32,
    pub struck: u32,
}

/// Faults shared by all doors of a test.
#[derive(Clone, Debug)]
pub struct Weather(Arc<Mutex<Faults>>);

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    Before,
    After,
}

impl Weather {
    pub fn new(seed: u64) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        Self(Arc::new(Mutex::new(Faults { random, odds: 0, struck: 0 })))
    }

    pub fn odds(&self, odds: u32) {
        self.0.lock().unwrap().odds = odds;
    }

    pub fn struck(&self) -> u32 {
        self.0.lock().unwrap().struck
    }

    pub fn next(&self) -> Option<Strike> {
        let mut faults = self.0.lock().unwrap();
        let odds = faults.odds;
        if odds == 0 || faults.random.random_range(0..1_000) >= odds {
            return None;
        }
        faults.struck += 1;
        Some(if faults.random.random_bool(0.5) { Strike::Before } else { Strike::After })
    }
}

fn gone() -> StoreError {
    StoreError::Unavailable("the test's weather".into())
}

/// Runs a call that may be struck before or after its effect.
macro_rules! through {
    ($self:ident, $call:expr) => {{
        let strike = $self.weather.next();
        if strike == Some(Strike::Before) {
            return Err(gone());
        }
        let done = $call.await;
        if strike == Some(Strike::After) {
            return Err(gone());
        }
        done
    }};
}

/// All ports that settling and paying use, each behind the same weather.
#[derive(Debug)]
pub struct Ports {
    pub weather: Weather,
    pub shares: MemoryShareLog,
    pub blocks: MemoryBlockBook,
    pub ledger: MemoryLedger,
    pub payouts: MemoryPayoutBook,
    pub directory: MemoryDirectory,
}

impl Ports {
    pub fn new(seed: u64) -> Self {
        Self {
            weather: Weather::new(seed),
            shares: MemoryShareLog::default(),
            blocks: MemoryBlockBook::default(),
            ledger: MemoryLedger::default(),
            payouts: MemoryPayoutBook::default(),
            directory: MemoryDirectory::default(),
        }
    }
}

#[async_trait]
impl ShareLog for Ports {
    async fn append(&self, batch: &[Share]) -> Result<ShareSeq, StoreError> {
        through!(self, self.shares.append(batch))
    }
    async fn read(&self, after: ShareSeq, limit: usize) -> Result<Vec<LoggedShare>, StoreError> {
        through!(self, self.shares.read(after, limit))
    }
    async fn head(&self) -> Result<ShareSeq, StoreError> {
        through!(self, self.shares.head())
    }
    async fn prune(&self, before: ShareSeq) -> Result<(), StoreError> {
        through!(self, self.shares.prune(before))
    }
}

#[async_trait]
impl BlockBook for Ports {
    async fn record(&self, found: &FoundBlock) -> Result<bool, StoreError> {
        through!(self, self.blocks.record(found))
    }
    async fn submitted(&self, id: &BlockId, at: Timestamp) -> Result<(), StoreError> {
        through!(self, self.blocks.submitted(id, at))
    }
    async fn conclude(&self, id: &BlockId, fate: &BlockFate) -> Result<Seq, StoreError> {
        through!(self, self.blocks.conclude(id, fate))
    }
    async fn open(&self) -> Result<Vec<BookedBlock>, StoreError> {
        through!(self, self.blocks.open())
    }
    async fn list(&self, list: BlockList, limit: usize) -> Result<Vec<BookedBlock>, StoreError> {
        through!(self, self.blocks.list(list, limit))
    }
}

#[async_trait]
impl Ledger for Ports {
    async fn post(&self, entry: &Entry) -> Result<Posted, StoreError> {
        through!(self, self.ledger.post(entry))
    }
    async fn balance(&self, account: &Account) -> Result<Balance, StoreError> {
        through!(self, self.ledger.balance(account))
    }
    async fn balances(
        &self,
        after: Option<&Account>,
        limit: usize,
    ) -> Result<Vec<(Account, Balance)>, StoreError> {
        through!(self, self.ledger.balances(after, limit))
    }
    async fn entries(
        &self,
        account: Option<&Account>,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<LedgerEntry>, StoreError> {
        through!(self, self.ledger.entries(account, after, limit))
    }
    async fn entry(&self, cause: &Cause) -> Result<Option<LedgerEntry>, StoreError> {
        through!(self, self.ledger.entry(cause))
    }
}

#[async_trait]
impl PayoutBook for Ports {
    async fn prepare(&self, batch: &PayoutBatch) -> Result<(), StoreError> {
        through!(self, self.payouts.prepare(batch))
    }
    async fn attach(&self, id: &PayoutId, signed: &SignedTx) -> Result<(), StoreError> {
        through!(self, self.payouts.attach(id, signed))
    }
    async fn conclude(&self, id: &PayoutId, fate: &TxFate) -> Result<(), StoreError> {
        through!(self, self.payouts.conclude(id, fate))
    }
    async fn open(&self) -> Result<Vec<BookedPayout>, StoreError> {
        through!(self, self.payouts.open())
    }
    async fn list(&self, before: Option<u64>, limit: usize) -> Result<Vec<BookedPayout>, StoreError> {
        through!(self, self.payouts.list(before, limit))
    }
}

#[async_trait]
impl Directory for Ports {
    async fn miner(&self, id: &MinerId) -> Result<Option<Miner>, StoreError> {
        through!(self, self.directory.miner(id))
    }
    async fn save(&self, miner: &Miner) -> Result<(), StoreError> {
        through!(self, self.directory.save(miner))
    }
    async fn list(&self, after: Option<&MinerId>, limit: usize) -> Result<Vec<Miner>, StoreError> {
        through!(self, self.directory.list(after, limit))
    }
}

/// Runs a future on this thread.
pub fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
