//! A suite that nothing can fail tests nothing: adapters with one fault each, and the case that finds it.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use async_trait::async_trait;
use pool_core::block::{BlockFate, BookedBlock, FoundBlock};
use pool_core::event::PoolEvent;
use pool_core::id::{BlockId, PayoutId, Seq, ShareSeq};
use pool_core::ledger::{Account, Balance, Cause, Entry, LedgerEntry, Posted};
use pool_core::memory::{
    MemoryBlockBook, MemoryBroker, MemoryEventBus, MemoryLedger, MemoryPayoutBook, MemoryRollups,
};
use pool_core::payout::{BookedPayout, PayoutBatch, SignedTx, TxFate};
use pool_core::ports::{
    BlockBook, BlockList, Broker, Bucket, EventBus, Ledger, Message, PayoutBook, RollupQuery, Rollups,
    ShareLog, StoreError, Stores, Subscription,
};
use pool_core::share::{LoggedShare, Share, ShareRecord};
use pool_core::testing::{self, Reopen};
use pool_core::time::Timestamp;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

/// True when the case panics, as it must over a faulty adapter.
async fn finds(case: impl Future<Output = ()> + Send + 'static) -> bool {
    tokio::spawn(case).await.is_err_and(|error| error.is_panic())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LogFault {
    None,
    LosesTheLastOfABatch,
    LetsOthersInBetween,
    LogsABlockTwice,
    ForgetsItsHeadWithItsShares,
    PrunesOneTooMany,
    CountsFromZero,
}

/// A share log of its own, as simple as can be, with one fault.
#[derive(Debug)]
struct FaultyLog {
    fault: LogFault,
    state: Mutex<LogState>,
}

#[derive(Debug, Default)]
struct LogState {
    head: u64,
    shares: BTreeMap<u64, ShareRecord>,
    blocks: BTreeMap<BlockId, u64>,
}

impl LogState {
    fn push(&mut self, record: &ShareRecord, fault: LogFault) -> ShareSeq {
        let next = self.head.wrapping_add(1);
        if let Some(block) = record.block.filter(|_| fault != LogFault::LogsABlockTwice) {
            let place = *self.blocks.entry(block).or_insert(next);
            if place != next {
                return ShareSeq::new(place);
            }
        }
        self.head = next;
        self.shares.insert(next, record.clone());
        ShareSeq::new(next)
    }
}

impl FaultyLog {
    fn new(fault: LogFault) -> Arc<Self> {
        let head = if fault == LogFault::CountsFromZero { u64::MAX } else { 0 };
        Arc::new(Self { fault, state: Mutex::new(LogState { head, ..LogState::default() }) })
    }
}

#[async_trait]
impl ShareLog for FaultyLog {
    async fn append(&self, batch: &[Share]) -> Result<ShareSeq, StoreError> {
        let kept = batch.len() - usize::from(self.fault == LogFault::LosesTheLastOfABatch && batch.len() > 1);
        if self.fault == LogFault::LetsOthersInBetween {
            let mut last = self.head().await?;
            for share in &batch[..kept] {
                last = self.state.lock().unwrap().push(share.record(), self.fault);
                tokio::task::yield_now().await;
            }
            return Ok(last);
        }
        let mut state = self.state.lock().unwrap();
        let head = ShareSeq::new(state.head);
        Ok(batch[..kept].iter().fold(head, |_, share| state.push(share.record(), self.fault)))
    }

    async fn read(&self, after: ShareSeq, limit: usize) -> Result<Vec<LoggedShare>, StoreError> {
        let shares = &self.state.lock().unwrap().shares;
        let behind = shares.iter().filter(|(seq, _)| **seq > after.get()).take(limit);
        Ok(behind
            .map(|(seq, record)| LoggedShare { seq: ShareSeq::new(*seq), record: record.clone() })
            .collect())
    }

    async fn head(&self) -> Result<ShareSeq, StoreError> {
        Ok(ShareSeq::new(self.state.lock().unwrap().head))
    }

    async fn prune(&self, before: ShareSeq) -> Result<(), StoreError> {
        let LogState { head, shares, .. } = &mut *self.state.lock().unwrap();
        let first = before.get().saturating_add(1 + u64::from(self.fault == LogFault::PrunesOneTooMany));
        shares.retain(|seq, _| *seq >= first);
        if self.fault == LogFault::ForgetsItsHeadWithItsShares {
            *head = shares.last_key_value().map_or(0, |(seq, _)| *seq);
        }
        Ok(())
    }
}

#[tokio::test]
async fn the_share_log_suite_finds_faults() {
    use LogFault::{
        CountsFromZero, ForgetsItsHeadWithItsShares, LetsOthersInBetween, LogsABlockTwice,
        LosesTheLastOfABatch, PrunesOneTooMany,
    };
    use testing::share_log as cases;
    let log = |fault| FaultyLog::new(fault);
    assert!(finds(cases::places_are_dense_and_returned(log(LosesTheLastOfABatch))).await);
    assert!(finds(cases::every_field_comes_back(log(LosesTheLastOfABatch))).await);
    assert!(finds(cases::a_batch_stays_together_among_many_writers(log(LetsOthersInBetween))).await);
    assert!(finds(cases::the_share_of_a_block_is_logged_once(log(LogsABlockTwice))).await);
    assert!(finds(cases::the_share_of_a_block_is_logged_once_by_many_at_once(log(LogsABlockTwice))).await);
    assert!(finds(cases::pruning_forgets_no_block(log(LogsABlockTwice))).await);
    assert!(finds(cases::the_head_outlives_pruning(log(ForgetsItsHeadWithItsShares))).await);
    assert!(finds(cases::pruning_removes_what_is_before(log(PrunesOneTooMany))).await);
    assert!(finds(cases::an_empty_log_has_head_zero(log(CountsFromZero))).await);
    assert!(finds(cases::places_are_dense_and_returned(log(CountsFromZero))).await);
}

// The same log without a fault passes: what the cases find above is the fault.
pool_core::share_log_suite!(((), FaultyLog::new(LogFault::None)));

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LedgerFault {
    PaysACauseTwice,
    TakesOtherContentForTheSame,
    KeepsTheLaterTime,
    WritesHalfAnEntry,
    LooksBeforeItWrites,
    OrdersAccountsByKind,
}

#[derive(Debug)]
struct FaultyLedger {
    fault: LedgerFault,
    books: MemoryLedger,
}

impl FaultyLedger {
    fn new(fault: LedgerFault) -> Arc<Self> {
        Arc::new(Self { fault, books: MemoryLedger::default() })
    }

    /// The same entry under a cause that is still free.
    async fn renamed(&self, entry: &Entry) -> Entry {
        let mut entry = entry.clone();
        while self.books.entry(&entry.cause).await.unwrap().is_some() {
            entry.cause = Cause::Adjustment(format!("{} again", entry.cause));
        }
        entry
    }
}

#[async_trait]
impl Ledger for FaultyLedger {
    async fn post(&self, entry: &Entry) -> Result<Posted, StoreError> {
        match self.fault {
            LedgerFault::PaysACauseTwice => self.books.post(&self.renamed(entry).await).await,
            LedgerFault::TakesOtherContentForTheSame => match self.books.entry(&entry.cause).await? {
                Some(before) => Ok(Posted::Before(before.seq)),
                None => self.books.post(entry).await,
            },
            LedgerFault::WritesHalfAnEntry => {
                let half = entry.postings.iter().take(entry.postings.len().div_ceil(2));
                self.books.post(&Entry { postings: half.cloned().collect(), ..entry.clone() }).await
            }
            LedgerFault::LooksBeforeItWrites => match self.books.entry(&entry.cause).await? {
                Some(_) => self.books.post(entry).await,
                None => {
                    tokio::task::yield_now().await;
                    self.books.post(&self.renamed(entry).await).await
                }
            },
            LedgerFault::KeepsTheLaterTime | LedgerFault::OrdersAccountsByKind => {
                self.books.post(entry).await
            }
        }
    }

    async fn balance(&self, account: &Account) -> Result<Balance, StoreError> {
        self.books.balance(account).await
    }

    async fn balances(
        &self,
        after: Option<&Account>,
        limit: usize,
    ) -> Result<Vec<(Account, Balance)>, StoreError> {
        let mut balances = self.books.balances(after, limit).await?;
        if self.fault == LedgerFault::OrdersAccountsByKind {
            balances.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        Ok(balances)
    }

    async fn entries(
        &self,
        account: Option<&Account>,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<LedgerEntry>, StoreError> {
        self.books.entries(account, after, limit).await
    }

    async fn entry(&self, cause: &Cause) -> Result<Option<LedgerEntry>, StoreError> {
        let mut entry = self.books.entry(cause).await?;
        if self.fault == LedgerFault::KeepsTheLaterTime {
            entry.iter_mut().for_each(|logged| logged.entry.at = testing::at(9_999));
        }
        Ok(entry)
    }
}

#[tokio::test]
async fn the_ledger_suite_finds_faults() {
    use LedgerFault::{
        KeepsTheLaterTime, LooksBeforeItWrites, OrdersAccountsByKind, PaysACauseTwice,
        TakesOtherContentForTheSame, WritesHalfAnEntry,
    };
    use testing::ledger as cases;
    let ledger = |fault| FaultyLedger::new(fault);
    assert!(finds(cases::posting_again_changes_nothing(ledger(PaysACauseTwice))).await);
    assert!(finds(cases::one_cause_posted_by_many_is_posted_once(ledger(PaysACauseTwice))).await);
    assert!(finds(cases::one_cause_posted_by_many_is_posted_once(ledger(LooksBeforeItWrites))).await);
    let ignorant = ledger(TakesOtherContentForTheSame);
    assert!(finds(cases::other_content_is_a_conflict_and_moves_nothing(ignorant)).await);
    assert!(finds(cases::two_contents_at_once_leave_one(ledger(TakesOtherContentForTheSame))).await);
    assert!(finds(cases::another_time_is_the_same_entry(ledger(KeepsTheLaterTime))).await);
    assert!(finds(cases::posting_moves_money(ledger(WritesHalfAnEntry))).await);
    assert!(finds(cases::every_cause_and_account_comes_back(ledger(WritesHalfAnEntry))).await);
    assert!(finds(cases::accounts_come_in_the_order_of_their_text(ledger(OrdersAccountsByKind))).await);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BookFault {
    ReplacesContent,
    KeepsTheLastSubmission,
    ConcludesWithAnything,
    NumbersByRecording,
}

#[derive(Debug)]
struct FaultyBook {
    fault: BookFault,
    book: MemoryBlockBook,
}

impl FaultyBook {
    fn new(fault: BookFault) -> Arc<Self> {
        Arc::new(Self { fault, book: MemoryBlockBook::default() })
    }
}

#[async_trait]
impl BlockBook for FaultyBook {
    async fn record(&self, found: &FoundBlock) -> Result<bool, StoreError> {
        match self.book.record(found).await {
            Err(StoreError::Conflict(_)) if self.fault == BookFault::ReplacesContent => Ok(false),
            honest => honest,
        }
    }

    async fn submitted(&self, id: &BlockId, at: Timestamp) -> Result<(), StoreError> {
        self.book.submitted(id, at).await
    }

    async fn conclude(&self, id: &BlockId, fate: &BlockFate) -> Result<Seq, StoreError> {
        match self.book.conclude(id, fate).await {
            Err(StoreError::Conflict(_)) if self.fault == BookFault::ConcludesWithAnything => Ok(Seq::new(1)),
            Ok(_) if self.fault == BookFault::NumbersByRecording => {
                Ok(self.book.list(BlockList::One(*id), 1).await?[0].seq)
            }
            honest => honest,
        }
    }

    async fn open(&self) -> Result<Vec<BookedBlock>, StoreError> {
        self.book.open().await
    }

    async fn list(&self, list: BlockList, limit: usize) -> Result<Vec<BookedBlock>, StoreError> {
        let mut blocks = self.book.list(list, limit).await?;
        if self.fault == BookFault::KeepsTheLastSubmission {
            blocks.iter_mut().filter_map(|block| block.submitted.as_mut()).for_each(|at| {
                *at = testing::at(12);
            });
        }
        Ok(blocks)
    }
}

#[tokio::test]
async fn the_block_book_suite_finds_faults() {
    use testing::block_book as cases;
    let book = |fault| FaultyBook::new(fault);
    assert!(finds(cases::other_content_under_an_id_is_a_conflict(book(BookFault::ReplacesContent))).await);
    assert!(finds(cases::the_first_submission_stays(book(BookFault::KeepsTheLastSubmission))).await);
    assert!(finds(cases::a_fate_is_final(book(BookFault::ConcludesWithAnything))).await);
    assert!(finds(cases::only_a_final_fate_concludes(book(BookFault::ConcludesWithAnything))).await);
    assert!(finds(cases::two_fates_at_once_leave_one(book(BookFault::ConcludesWithAnything))).await);
    let by_recording = book(BookFault::NumbersByRecording);
    assert!(finds(cases::conclusions_are_numbered_in_their_order(by_recording)).await);
}

/// A payout book that takes every signature and every end for good.
#[derive(Debug, Default)]
struct CredulousBook(MemoryPayoutBook);

#[async_trait]
impl PayoutBook for CredulousBook {
    async fn prepare(&self, batch: &PayoutBatch) -> Result<(), StoreError> {
        self.0.prepare(batch).await.or_else(forgiven)
    }

    async fn attach(&self, id: &PayoutId, signed: &SignedTx) -> Result<(), StoreError> {
        self.0.attach(id, signed).await.or_else(forgiven)
    }

    async fn conclude(&self, id: &PayoutId, fate: &TxFate) -> Result<(), StoreError> {
        self.0.conclude(id, fate).await.or_else(forgiven)
    }

    async fn open(&self) -> Result<Vec<BookedPayout>, StoreError> {
        // In the order of the text: 10 before 2.
        let mut open = self.0.open().await?;
        open.sort_by(|a, b| a.batch.id.cmp(&b.batch.id));
        Ok(open)
    }

    async fn list(&self, before: Option<u64>, limit: usize) -> Result<Vec<BookedPayout>, StoreError> {
        self.0.list(before.map(|before| before + 1), limit).await
    }
}

fn forgiven(error: StoreError) -> Result<(), StoreError> {
    if matches!(error, StoreError::Conflict(_)) { Ok(()) } else { Err(error) }
}

#[tokio::test]
async fn the_payout_book_suite_finds_faults() {
    use testing::payout_book as cases;
    let book = || Arc::new(CredulousBook::default());
    assert!(finds(cases::another_batch_under_an_id_is_a_conflict(book())).await);
    assert!(finds(cases::signed_bytes_are_never_replaced(book())).await);
    assert!(finds(cases::what_has_ended_is_not_signed_any_more(book())).await);
    assert!(finds(cases::what_was_never_signed_cannot_settle(book())).await);
    assert!(finds(cases::only_a_final_end_concludes(book())).await);
    assert!(finds(cases::an_end_is_final(book())).await);
    assert!(finds(cases::two_batches_at_once_leave_one(book())).await);
    assert!(finds(cases::two_signatures_at_once_leave_one(book())).await);
    assert!(finds(cases::two_ends_at_once_leave_one(book())).await);
    assert!(finds(cases::open_payouts_come_in_the_order_of_their_numbers(book())).await);
    assert!(finds(cases::limits_and_numbers_have_no_edge(book())).await);
}

/// A broker that commits what it hands out, for all groups alike.
#[derive(Debug, Default)]
struct HastyBroker(MemoryBroker);

#[async_trait]
impl Broker for HastyBroker {
    async fn publish(&self, topic: &str, batch: &[Vec<u8>]) -> Result<Seq, StoreError> {
        self.0.publish(topic, batch).await
    }

    async fn fetch(&self, topic: &str, _: &str, limit: usize) -> Result<Vec<Message>, StoreError> {
        let messages = self.0.fetch(topic, "all", limit).await?;
        if let Some(last) = messages.last() {
            self.0.commit(topic, "all", last.seq).await?;
        }
        Ok(messages)
    }

    async fn commit(&self, topic: &str, _: &str, upto: Seq) -> Result<(), StoreError> {
        self.0.commit(topic, "all", upto).await
    }
}

#[tokio::test]
async fn the_broker_suite_finds_faults() {
    use testing::broker as cases;
    let broker = || Arc::new(HastyBroker::default());
    assert!(finds(cases::what_was_not_committed_comes_again(broker())).await);
    assert!(finds(cases::groups_do_not_see_each_other(broker())).await);
    assert!(finds(cases::a_late_group_begins_at_the_beginning(broker())).await);
    assert!(finds(cases::hostile_names_stay_apart(broker())).await);
}

/// Sums that add whatever they are given, however often.
#[derive(Debug, Default)]
struct EagerRollups {
    sums: MemoryRollups,
    added: Mutex<u64>,
    upto: Mutex<ShareSeq>,
}

#[async_trait]
impl Rollups for EagerRollups {
    async fn add(&self, upto: ShareSeq, buckets: &[Bucket]) -> Result<(), StoreError> {
        for bucket in buckets {
            let next = {
                let mut added = self.added.lock().unwrap();
                *added += 1;
                ShareSeq::new(*added)
            };
            self.sums.add(next, std::slice::from_ref(bucket)).await?;
            tokio::task::yield_now().await;
        }
        let mut last = self.upto.lock().unwrap();
        *last = upto.max(*last);
        Ok(())
    }

    async fn upto(&self) -> Result<ShareSeq, StoreError> {
        Ok(*self.upto.lock().unwrap())
    }

    async fn series(&self, query: &RollupQuery) -> Result<Vec<Bucket>, StoreError> {
        self.sums.series(query).await
    }
}

#[tokio::test]
async fn the_rollups_suite_finds_faults() {
    use testing::rollups as cases;
    let rollups = || Arc::new(EagerRollups::default());
    assert!(finds(cases::a_batch_counts_once(rollups())).await);
    assert!(finds(cases::one_batch_by_many_at_once_counts_once(rollups())).await);
    assert!(finds(cases::a_sum_past_the_range_changes_nothing(rollups())).await);
    assert!(finds(cases::a_reader_beside_a_writer_sees_whole_batches(rollups())).await);
}

/// A bus whose listeners hear only the last event.
#[derive(Debug)]
struct ShortBus(MemoryEventBus);

#[async_trait]
impl EventBus for ShortBus {
    async fn publish(&self, event: &PoolEvent) -> Result<(), StoreError> {
        self.0.publish(event).await
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        self.0.subscribe().await
    }
}

#[tokio::test]
async fn the_event_bus_suite_finds_faults() {
    use testing::event_bus as cases;
    let bus = || Arc::new(ShortBus(MemoryEventBus::new(NonZeroUsize::MIN)));
    assert!(finds(cases::every_listener_hears_every_event_in_order(bus())).await);
    assert!(finds(cases::nothing_from_before_is_heard(bus())).await);
}

/// Data that begins anew whenever it is opened.
struct Amnesia;

#[async_trait]
impl Reopen for Amnesia {
    async fn open(&self) -> Stores {
        Stores::memory()
    }
}

#[tokio::test]
async fn the_durable_suite_finds_amnesia() {
    use testing::durable as cases;
    assert!(finds(cases::shares_survive(&Amnesia)).await);
    assert!(finds(cases::a_pruned_log_goes_on_where_it_was(&Amnesia)).await);
    assert!(finds(cases::a_log_emptied_by_pruning_goes_on_where_it_was(&Amnesia)).await);
    assert!(finds(cases::the_share_of_a_block_is_logged_once_across_openings(&Amnesia)).await);
    assert!(finds(cases::blocks_survive(&Amnesia)).await);
    assert!(finds(cases::conclusions_go_on_where_they_were(&Amnesia)).await);
    assert!(finds(cases::the_ledger_survives(&Amnesia)).await);
    assert!(finds(cases::a_cause_pays_once_across_openings(&Amnesia)).await);
    assert!(finds(cases::payouts_survive(&Amnesia)).await);
    assert!(finds(cases::messages_and_positions_survive(&Amnesia)).await);
    assert!(finds(cases::miners_survive(&Amnesia)).await);
    assert!(finds(cases::sums_survive_and_count_once(&Amnesia)).await);
    assert!(finds(cases::what_many_writers_were_told_survives(&Amnesia)).await);
    assert!(finds(cases::many_openings_change_nothing(&Amnesia)).await);
}
