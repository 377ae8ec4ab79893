//! The way in, with a coin whose hashes are made up and a node that misbehaves on request.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use async_trait::async_trait;
use pool_core::block::{BlockFate, FoundBlock};
use pool_core::coin::{BadAddress, Coin, Cost, Node, NodeError, RawBlock, Submitted};
use pool_core::faulty::{Fault, FaultPlan, Faulty};
use pool_core::id::{BlockId, CoinId, InstanceId, JobId, MinerId, Seq, ShareSeq, Worker, WorkerName};
use pool_core::intake::{Attest, Intake, Refusal, Resubmitted, Submit, SubmitError};
use pool_core::memory::{MemoryBlockBook, MemoryShareLog};
use pool_core::ports::{BlockBook, BlockList, ShareLog, StoreError};
use pool_core::share::{Evidence, Proof, Reject, Share, ShareRecord};
use pool_core::time::Timestamp;
use pool_core::units::{Target, U256, Units, Work};
use std::collections::BTreeSet;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

const ALL: usize = usize::MAX;
const START: ShareSeq = ShareSeq::new(0);

/// A chain whose solutions bring their own hash.
#[derive(Debug)]
struct MadeUp;

#[derive(Debug)]
struct MadeUpJob {
    network_target: Target,
}

#[derive(Clone, Copy, Debug)]
struct MadeUpSolution {
    nonce: u64,
    hash: U256,
}

fn block_id(nonce: u64) -> BlockId {
    let mut bytes = [0xb1; 32];
    bytes[..8].copy_from_slice(&nonce.to_be_bytes());
    BlockId::new(bytes)
}

impl Coin for MadeUp {
    type Template = Target;
    type Job = MadeUpJob;
    type Solution = MadeUpSolution;
    const COST: Cost = Cost::Light;

    fn job(&self, _: JobId, template: Arc<Target>) -> Arc<MadeUpJob> {
        Arc::new(MadeUpJob { network_target: *template })
    }

    fn network_target(&self, job: &MadeUpJob) -> Target {
        job.network_target
    }

    fn network_target_of(&self, job: &MadeUpJob, solution: &MadeUpSolution) -> Target {
        // The second of its two chains, that of the nonces from 500 000 on, is ten times as hard.
        if solution.nonce < 500_000 {
            job.network_target
        } else {
            Target::new(job.network_target.get() / U256::from(10u64))
        }
    }

    fn chain(&self, _: &MadeUpJob, solution: &MadeUpSolution) -> u16 {
        if solution.nonce < 500_000 { 2 } else { 3 }
    }

    fn prove(&self, _: &MadeUpJob, solution: &MadeUpSolution) -> Result<Proof, Reject> {
        // Nonces from a million on belong to somebody else.
        if solution.nonce < 1_000_000 {
            Ok(Proof::new(solution.hash))
        } else {
            Err(Reject::ForeignExtranonce)
        }
    }

    fn evidence(&self, _: &MadeUpJob, solution: &MadeUpSolution) -> Evidence {
        evidence(solution.nonce, solution.hash)
    }

    fn reprove(&self, evidence: &Evidence) -> Result<Proof, Reject> {
        let hash = evidence.bytes().get(8..).and_then(|hash| <[u8; 32]>::try_from(hash).ok());
        hash.map(|hash| Proof::new(U256::from_be_bytes(hash))).ok_or(Reject::Malformed)
    }

    fn block_id(&self, _: &MadeUpJob, solution: &MadeUpSolution) -> BlockId {
        block_id(solution.nonce)
    }

    fn assemble(&self, _: &MadeUpJob, solution: &MadeUpSolution) -> RawBlock {
        RawBlock {
            id: block_id(solution.nonce),
            bytes: format!("block {}", solution.nonce).into_bytes(),
            height: solution.nonce,
        }
    }

    fn address(&self, text: &str) -> Result<MinerId, BadAddress> {
        MinerId::new(text).map_err(|bad| BadAddress(bad.to_string()))
    }
}

fn evidence(nonce: u64, hash: U256) -> Evidence {
    Evidence::new(&[&nonce.to_be_bytes()[..], &hash.to_be_bytes::<32>()].concat()).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Healthy,
    Away,
    Silent,
    Refusing,
}

/// A node that takes blocks, and looks whether they are on disk when it hears of them.
#[derive(Debug)]
struct FakeNode {
    book: Arc<dyn BlockBook>,
    mood: Mutex<Mood>,
    /// Every block it was offered, and whether that was on disk.
    asked: Mutex<Vec<(BlockId, bool)>>,
    has: Mutex<BTreeSet<BlockId>>,
}

impl FakeNode {
    fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn heard_of_booked_blocks_only(&self) -> bool {
        self.asked.lock().unwrap().iter().all(|(_, on_disk)| *on_disk)
    }

    fn has(&self, nonce: u64) -> bool {
        self.has.lock().unwrap().contains(&block_id(nonce))
    }
}

#[async_trait]
impl Node<MadeUp> for FakeNode {
    async fn template(&self) -> Result<Target, NodeError> {
        Ok(NETWORK)
    }

    async fn changed(&self) {
        pending().await
    }

    async fn submit(&self, block: &RawBlock) -> Result<Submitted, NodeError> {
        let booked = self.book.list(BlockList::One(block.id), 1).await.unwrap();
        let on_disk = booked.first().is_some_and(|booked| booked.found.raw == block.bytes);
        self.asked.lock().unwrap().push((block.id, on_disk));
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Healthy => {
                let new = self.has.lock().unwrap().insert(block.id);
                Ok(if new { Submitted::Accepted } else { Submitted::Known })
            }
            Mood::Away => Err(NodeError::Unreachable("connection refused".into())),
            Mood::Silent => pending().await,
            Mood::Refusing => Err(NodeError::Refused { reason: "bad merkle root".into() }),
        }
    }

    async fn fate(&self, _: &BlockId) -> Result<BlockFate, NodeError> {
        Ok(BlockFate::Unknown)
    }
}

const SHARE: Target = Target::new(U256::from_limbs([u64::MAX, u64::MAX, u64::MAX, u64::MAX >> 20]));
const NETWORK: Target = Target::new(U256::from_limbs([u64::MAX, u64::MAX, u64::MAX, u64::MAX >> 40]));
const SHARE_HASH: U256 = U256::from_limbs([0, 0, 0, u64::MAX >> 30]);
const BLOCK_HASH: U256 = U256::from_limbs([7, 0, 0, u64::MAX >> 50]);

struct Pool {
    /// What the disk holds, beyond all faults.
    log: Arc<MemoryShareLog>,
    book: Arc<MemoryBlockBook>,
    node: Arc<FakeNode>,
    intake: Intake<MadeUp>,
}

impl Pool {
    fn new() -> Self {
        Self::failing(FaultPlan::none(), FaultPlan::none())
    }

    fn failing(log_plan: Arc<FaultPlan>, book_plan: Arc<FaultPlan>) -> Self {
        let (log, book) = (Arc::new(MemoryShareLog::default()), Arc::new(MemoryBlockBook::default()));
        let node = Arc::new(FakeNode {
            book: book.clone(),
            mood: Mutex::new(Mood::Healthy),
            asked: Mutex::default(),
            has: Mutex::default(),
        });
        let intake = Intake {
            coin: Arc::new(MadeUp),
            node: node.clone(),
            shares: Arc::new(Faulty { inner: Arc::clone(&log), plan: log_plan }),
            blocks: Arc::new(Faulty { inner: Arc::clone(&book), plan: book_plan }),
            instance: InstanceId::new(3),
            coin_id: CoinId::new("made-up").unwrap(),
            attest: None,
        };
        Self { log, book, node, intake }
    }

    async fn take(&self, nonce: u64, hash: U256) -> Result<pool_core::intake::Taken, Refusal> {
        let job = self.intake.coin.job(JobId::new(1), Arc::new(NETWORK));
        let solution = MadeUpSolution { nonce, hash };
        let submit = Submit::<MadeUp> {
            at: at(nonce),
            job: &job,
            solution: &solution,
            share_target: SHARE,
            worker: worker(),
        };
        self.intake.take(submit).await
    }

    /// Everything a healthy pool does for a solution, up to the reply.
    async fn accept(&self, nonce: u64, hash: U256) -> ShareSeq {
        let taken = self.take(nonce, hash).await.unwrap();
        self.intake.record(taken.share).await.unwrap()
    }

    async fn logged(&self) -> Vec<ShareRecord> {
        self.log.read(START, ALL).await.unwrap().into_iter().map(|share| share.record).collect()
    }

    async fn booked(&self) -> usize {
        self.book.list(BlockList::Newest(None), ALL).await.unwrap().len()
    }
}

fn at(nonce: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + nonce)
}

fn worker() -> Worker {
    Worker { miner: MinerId::new("made-up:miner").unwrap(), name: WorkerName::clean("rig") }
}

fn is_pending(future: impl Future) -> bool {
    matches!(pin!(future).poll(&mut Context::from_waker(Waker::noop())), Poll::Pending)
}

#[tokio::test]
async fn an_ordinary_share_is_logged_and_touches_neither_book_nor_node() {
    let pool = Pool::new();
    let taken = pool.take(5, SHARE_HASH).await.unwrap();
    assert_eq!(taken.block, None);
    assert_eq!(pool.logged().await, []);
    assert_eq!(pool.intake.record(taken.share).await.unwrap(), ShareSeq::new(1));
    let expected = ShareRecord {
        instance: InstanceId::new(3),
        at: at(5),
        worker: worker(),
        work: SHARE.work(),
        units: Units::of_share(SHARE, NETWORK),
        chain: 2,
        evidence: evidence(5, SHARE_HASH),
        block: None,
    };
    assert_eq!(pool.logged().await, [expected]);
    assert_eq!((pool.booked().await, pool.node.asked()), (0, 0));
}

#[tokio::test]
async fn a_share_counts_on_the_chain_its_solution_is_for() {
    let pool = Pool::new();
    pool.accept(500_000, NETWORK.get()).await;
    let harder = Target::new(NETWORK.get() / U256::from(10u64));
    let logged = pool.logged().await;
    assert_eq!(
        (logged[0].chain, logged[0].block),
        (3, None),
        "a block for the first chain is none for this one"
    );
    assert_eq!(logged[0].units, Units::of_share(SHARE, harder));
}

/// A service that vouches for even nonces, does not for odd ones, and is away for those above 100.
#[derive(Debug, Default)]
struct Service(Mutex<usize>);

#[async_trait::async_trait]
impl Attest<MadeUp> for Service {
    async fn attest(&self, _: &MadeUpJob, solution: &MadeUpSolution, _: &Share) -> Result<(), Reject> {
        *self.0.lock().unwrap() += 1;
        match solution.nonce {
            101.. => Err(Reject::Busy),
            nonce if nonce % 2 == 0 => Ok(()),
            _ => Err(Reject::Unattested { code: 414 }),
        }
    }
}

#[tokio::test]
async fn what_the_second_stage_does_not_vouch_for_earns_nothing() {
    let mut pool = Pool::new();
    let service = Arc::new(Service::default());
    pool.intake.attest = Some(service.clone());
    pool.accept(4, SHARE_HASH).await;
    for (nonce, hash, expected) in [
        (5, SHARE_HASH, Reject::Unattested { code: 414 }),
        (7, U256::ZERO, Reject::Unattested { code: 414 }),
        (102, SHARE_HASH, Reject::Busy),
        (8, SHARE.get() + U256::ONE, Reject::LowDifficulty),
    ] {
        let Err(Refusal::Reject(reject)) = pool.take(nonce, hash).await else { panic!("{nonce} counts") };
        assert_eq!(reject, expected);
    }
    assert_eq!(*service.0.lock().unwrap(), 4, "it is not asked about a bad proof");
    assert_eq!((pool.logged().await.len(), pool.booked().await, pool.node.asked()), (1, 0, 0));
}

#[tokio::test]
async fn a_rejected_solution_leaves_no_trace() {
    let pool = Pool::new();
    let too_easy = SHARE.get() + U256::ONE;
    let Err(Refusal::Reject(reject)) = pool.take(5, too_easy).await else { panic!("it earns nothing") };
    assert_eq!(reject, Reject::LowDifficulty);
    let Err(Refusal::Reject(reject)) = pool.take(1_000_000, U256::ZERO).await else {
        panic!("it is foreign")
    };
    assert_eq!(reject, Reject::ForeignExtranonce);
    assert_eq!((pool.logged().await.len(), pool.booked().await, pool.node.asked()), (0, 0, 0));
}

#[tokio::test]
async fn a_block_is_on_disk_before_the_node_hears_of_it() {
    let pool = Pool::new();
    let taken = pool.take(5, BLOCK_HASH).await.unwrap();
    let raw = taken.block.unwrap();
    assert_eq!(pool.node.asked(), 0, "taking does not wait for a node");
    let booked = pool.book.open().await.unwrap();
    let expected = FoundBlock {
        id: block_id(5),
        coin: CoinId::new("made-up").unwrap(),
        share: taken.share.record().clone(),
        raw: b"block 5".to_vec(),
        height: 5,
    };
    assert_eq!((booked.len(), &booked[0].found, booked[0].submitted), (1, &expected, None));
    pool.intake.submit_block(&raw, at(9)).await.unwrap();
    assert!(pool.node.has(5) && pool.node.heard_of_booked_blocks_only());
    assert_eq!(pool.book.open().await.unwrap()[0].submitted, Some(at(9)));
}

#[tokio::test]
async fn a_block_below_a_harder_share_target_goes_in_at_the_networks_work() {
    let pool = Pool::new();
    let job = pool.intake.coin.job(JobId::new(1), Arc::new(NETWORK));
    let solution = MadeUpSolution { nonce: 5, hash: BLOCK_HASH };
    let share_target = Target::new(U256::ONE);
    let submit =
        Submit::<MadeUp> { at: at(5), job: &job, solution: &solution, share_target, worker: worker() };
    let taken = pool.intake.take(submit).await.unwrap();
    assert!(taken.block.is_some());
    assert_eq!((taken.share.record().work, taken.share.record().units), (NETWORK.work(), Units::BLOCK));
    // And a crash before its share was logged loses none of that.
    let record = taken.share.record().clone();
    drop(taken);
    pool.intake.recover().await.unwrap();
    assert_eq!(pool.logged().await, [record]);
}

#[tokio::test]
async fn a_silent_node_denies_no_share() {
    let pool = Pool::new();
    pool.node.becomes(Mood::Silent);
    let taken = pool.take(5, BLOCK_HASH).await.unwrap();
    let raw = taken.block.unwrap();
    {
        let mut submitting = pin!(pool.intake.submit_block(&raw, at(9)));
        assert!(is_pending(submitting.as_mut()));
        assert_eq!(pool.intake.record(taken.share).await.unwrap(), ShareSeq::new(1));
        assert!(is_pending(submitting.as_mut()));
        // Given up here, as a caller's deadline would.
    }
    assert_eq!(pool.book.open().await.unwrap()[0].submitted, None);
    pool.node.becomes(Mood::Healthy);
    let offered = pool.intake.resubmit_open(at(20)).await.unwrap();
    assert_eq!(offered, Resubmitted { submitted: 1, refused: 0, waiting: 0 });
    assert!(pool.node.has(5));
    assert_eq!(pool.book.open().await.unwrap()[0].submitted, Some(at(20)));
    let asked = pool.node.asked();
    assert_eq!(pool.intake.resubmit_open(at(30)).await.unwrap(), Resubmitted::default());
    assert_eq!(pool.node.asked(), asked, "what the node took is not offered again");
    assert_eq!(pool.logged().await.len(), 1);
}

#[tokio::test]
async fn a_node_that_is_away_gets_the_blocks_later() {
    let pool = Pool::new();
    pool.node.becomes(Mood::Away);
    for nonce in [1, 2, 3] {
        let taken = pool.take(nonce, BLOCK_HASH).await.unwrap();
        let failed = pool.intake.submit_block(&taken.block.unwrap(), at(9)).await;
        assert!(matches!(failed, Err(SubmitError::Node(error)) if error.is_transient()));
        pool.intake.record(taken.share).await.unwrap();
    }
    assert_eq!(pool.logged().await.len(), 3);
    let waiting = Resubmitted { submitted: 0, refused: 0, waiting: 3 };
    assert_eq!(pool.intake.resubmit_open(at(10)).await.unwrap(), waiting);
    // A block that ended meanwhile (another node of ours had it) is not offered any more.
    let lost = BlockFate::Lost { placement: pool_core::block::Placement::Orphan, detail: String::new() };
    pool.book.conclude(&block_id(2), &lost).await.unwrap();
    pool.node.becomes(Mood::Healthy);
    let offered = pool.intake.resubmit_open(at(11)).await.unwrap();
    assert_eq!(offered, Resubmitted { submitted: 2, refused: 0, waiting: 0 });
    assert!(pool.node.has(1) && !pool.node.has(2) && pool.node.has(3));
}

#[tokio::test]
async fn a_refused_block_stays_open_and_keeps_its_share() {
    let pool = Pool::new();
    pool.node.becomes(Mood::Refusing);
    let taken = pool.take(5, BLOCK_HASH).await.unwrap();
    let failed = pool.intake.submit_block(&taken.block.unwrap(), at(9)).await;
    assert!(matches!(failed, Err(SubmitError::Node(error)) if !error.is_transient()));
    pool.intake.record(taken.share).await.unwrap();
    let refused = Resubmitted { submitted: 0, refused: 1, waiting: 0 };
    assert_eq!(pool.intake.resubmit_open(at(10)).await.unwrap(), refused);
    assert_eq!((pool.book.open().await.unwrap().len(), pool.logged().await.len()), (1, 1));
}

#[tokio::test]
async fn a_block_the_node_took_before_a_crash_is_known_to_it_afterwards() {
    // The record goes well, the note that the node took it does not.
    let pool = Pool::failing(FaultPlan::none(), FaultPlan::script([Fault::None, Fault::NotDone]));
    let taken = pool.take(5, BLOCK_HASH).await.unwrap();
    let failed = pool.intake.submit_block(&taken.block.unwrap(), at(9)).await;
    assert!(matches!(failed, Err(SubmitError::Store(StoreError::Unavailable(_)))));
    assert!(pool.node.has(5));
    assert_eq!(pool.intake.resubmit_open(at(10)).await.unwrap().submitted, 1);
    assert_eq!(pool.book.open().await.unwrap()[0].submitted, Some(at(10)));
    assert_eq!(pool.node.asked(), 2);
}

#[tokio::test]
async fn an_unknown_outcome_in_the_book_is_made_known_by_the_same_solution_again() {
    for script in [vec![Fault::NotDone], vec![Fault::Done], vec![Fault::Done, Fault::NotDone]] {
        let pool = Pool::failing(FaultPlan::none(), FaultPlan::script(script.clone()));
        let taken = loop {
            match pool.take(5, BLOCK_HASH).await {
                Ok(taken) => break taken,
                Err(Refusal::Store(error)) if error.is_transient() => {}
                Err(refusal) => panic!("{refusal} under {script:?}"),
            }
        };
        assert_eq!((pool.booked().await, pool.node.asked()), (1, 0), "{script:?}");
        pool.intake.submit_block(&taken.block.unwrap(), at(9)).await.unwrap();
        assert!(pool.node.heard_of_booked_blocks_only(), "{script:?}");
    }
}

#[tokio::test]
async fn a_book_that_fails_acknowledges_nothing() {
    for script in [[Fault::NotDone; 3], [Fault::Poison, Fault::None, Fault::None]] {
        let pool = Pool::failing(FaultPlan::none(), FaultPlan::script(script));
        assert!(matches!(pool.take(5, BLOCK_HASH).await, Err(Refusal::Store(_))), "{script:?}");
        assert_eq!((pool.booked().await, pool.logged().await.len()), (0, 0), "{script:?}");
    }
}

#[tokio::test]
async fn a_book_that_fails_denies_no_ordinary_share() {
    let plan = FaultPlan::none();
    plan.poison_after(0);
    let pool = Pool::failing(FaultPlan::none(), plan);
    assert!(pool.take(1, BLOCK_HASH).await.is_err());
    assert_eq!(pool.accept(2, SHARE_HASH).await, ShareSeq::new(1));
}

#[tokio::test]
async fn a_log_that_fails_gives_no_place_to_answer_with() {
    for fault in [Fault::NotDone, Fault::Done, Fault::Poison] {
        let pool = Pool::failing(FaultPlan::script([Fault::None, fault]), FaultPlan::none());
        assert_eq!(pool.accept(1, SHARE_HASH).await, ShareSeq::new(1));
        let taken = pool.take(2, SHARE_HASH).await.unwrap();
        let failed = pool.intake.record(taken.share).await;
        match fault {
            Fault::Poison => assert!(matches!(failed, Err(StoreError::Poisoned(_)))),
            Fault::NotDone | Fault::Done => assert!(failed.unwrap_err().is_transient()),
            Fault::None => unreachable!("not among these"),
        }
        // An ordinary share is not sent again: a log would count it twice.
        assert_eq!(pool.logged().await.len(), 1 + usize::from(fault == Fault::Done), "{fault:?}");
    }
}

#[tokio::test]
async fn the_share_of_a_block_may_be_sent_again_until_its_place_is_known() {
    for script in [vec![Fault::NotDone], vec![Fault::Done], vec![Fault::Done, Fault::NotDone, Fault::Done]] {
        let pool = Pool::failing(FaultPlan::script(script.clone()), FaultPlan::none());
        let share = pool.take(1, BLOCK_HASH).await.unwrap().share;
        let place = loop {
            match pool.intake.record(share.clone()).await {
                Ok(place) => break place,
                Err(error) => assert!(error.is_transient(), "{error} under {script:?}"),
            }
        };
        assert_eq!((place, pool.logged().await.len()), (ShareSeq::new(1), 1), "{script:?}");
    }
}

#[tokio::test]
async fn an_anchor_is_the_place_of_a_blocks_share_and_is_made_where_there_is_none() {
    let pool = Pool::new();
    pool.accept(1, SHARE_HASH).await;
    assert_eq!(pool.accept(2, BLOCK_HASH).await, ShareSeq::new(2));
    let unlogged = pool.take(3, BLOCK_HASH).await.unwrap().share.record().clone();
    let open = pool.book.open().await.unwrap();
    for _ in 0..2 {
        assert_eq!(pool.intake.anchor(&open[0]).await.unwrap(), ShareSeq::new(2));
        assert_eq!(pool.intake.anchor(&open[1]).await.unwrap(), ShareSeq::new(3));
    }
    let logged = pool.logged().await;
    assert_eq!((logged.len(), &logged[2]), (3, &unlogged));
}

#[tokio::test]
async fn a_poisoned_log_takes_nothing_more() {
    let plan = FaultPlan::none();
    plan.poison_after(1);
    let pool = Pool::failing(plan, FaultPlan::none());
    pool.accept(1, SHARE_HASH).await;
    for nonce in 2..5 {
        let taken = pool.take(nonce, SHARE_HASH).await.unwrap();
        assert!(matches!(pool.intake.record(taken.share).await, Err(StoreError::Poisoned(_))));
    }
    assert_eq!(pool.logged().await.len(), 1);
}

#[tokio::test]
async fn recovery_finishes_what_a_crash_interrupted_exactly_once() {
    let pool = Pool::new();
    pool.accept(1, SHARE_HASH).await;
    // Booked and logged; booked and not logged, twice.
    pool.accept(2, BLOCK_HASH).await;
    let third = pool.take(3, BLOCK_HASH).await.unwrap().share.record().clone();
    let fourth = pool.take(4, BLOCK_HASH).await.unwrap().share.record().clone();
    assert_eq!(pool.logged().await.len(), 2);
    for _ in 0..3 {
        assert_eq!(pool.intake.recover().await.unwrap(), 3, "all open blocks were looked at");
        let logged = pool.logged().await;
        assert_eq!(logged.len(), 4);
        assert_eq!(logged[2..], [third.clone(), fourth.clone()], "as they were first judged");
    }
    // The interrupted intake's own write, arriving late, changes nothing either.
    assert_eq!(pool.accept(3, BLOCK_HASH).await, ShareSeq::new(3));
    assert_eq!(pool.log.head().await.unwrap(), ShareSeq::new(4));
}

#[tokio::test]
async fn recovery_after_an_unknown_outcome_is_safe() {
    let script = [Fault::Done, Fault::NotDone, Fault::Done, Fault::NotDone];
    let pool = Pool::failing(FaultPlan::script(script), FaultPlan::none());
    for nonce in [1, 2] {
        let _interrupted = pool.take(nonce, BLOCK_HASH).await.unwrap();
    }
    assert!(pool.intake.recover().await.unwrap_err().is_transient());
    let looked_at = loop {
        match pool.intake.recover().await {
            Ok(looked_at) => break looked_at,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    };
    assert_eq!((looked_at, pool.logged().await.len()), (2, 2));
}

#[tokio::test]
async fn recovery_of_an_empty_book_writes_nothing() {
    let pool = Pool::new();
    assert_eq!(pool.intake.recover().await.unwrap(), 0);
    pool.accept(1, BLOCK_HASH).await;
    let matured = BlockFate::Lost { placement: pool_core::block::Placement::Red, detail: String::new() };
    assert_eq!(pool.book.conclude(&block_id(1), &matured).await.unwrap(), Seq::new(1));
    assert_eq!(pool.intake.recover().await.unwrap(), 0);
    assert_eq!(pool.logged().await.len(), 1);
}

#[tokio::test]
async fn a_book_that_lies_stops_recovery_and_earns_nothing() {
    type Lie = (&'static str, fn(&mut FoundBlock));
    let lies: [Lie; 7] = [
        ("evidence of nothing", |found| found.share.evidence = Evidence::new(b"nothing").unwrap()),
        ("evidence of an easier share", |found| found.share.evidence = evidence(9, SHARE_HASH)),
        ("evidence of hardly any work", |found| found.share.evidence = evidence(9, U256::MAX)),
        ("more work than was proved", |found| {
            found.share.work = Work::new(Target::new(BLOCK_HASH).work().get() + 1).unwrap();
        }),
        ("more than a block", |found| found.share.units = Units::from_bits(Units::BLOCK.to_bits() + 1)),
        ("the share of another block", |found| found.share.block = Some(block_id(8))),
        ("the share of no block", |found| found.share.block = None),
    ];
    for (lie, tell) in lies {
        let pool = Pool::new();
        let honest = pool.take(1, BLOCK_HASH).await.unwrap();
        let mut found = FoundBlock {
            id: block_id(9),
            coin: CoinId::new("made-up").unwrap(),
            share: ShareRecord {
                evidence: evidence(9, BLOCK_HASH),
                block: Some(block_id(9)),
                ..honest.share.record().clone()
            },
            raw: b"block 9".to_vec(),
            height: 9,
        };
        // The easier share proves its own work: claim the network's, as the solver of a block may.
        found.share.work = NETWORK.work();
        tell(&mut found);
        pool.book.record(&found).await.unwrap();
        assert!(matches!(pool.intake.recover().await, Err(StoreError::Corrupt(_))), "{lie}");
        let lying = &pool.book.open().await.unwrap()[1];
        assert!(matches!(pool.intake.anchor(lying).await, Err(StoreError::Corrupt(_))), "{lie}");
        assert_eq!(pool.logged().await, [], "{lie}: nothing is written beside a lie");
    }
}

/// Whatever fails and whenever the process dies of it: what was acknowledged is in the log, and after recovery every
/// block on disk has its share in the log once and is with the node.
#[tokio::test]
async fn no_fault_loses_or_repeats_a_block() {
    for seed in 0..200 {
        let plans = [FaultPlan::seeded(seed, 600), FaultPlan::seeded(seed + 1_000, 600)];
        let pool = Pool::failing(plans[0].clone(), plans[1].clone());
        let mut acknowledged = BTreeSet::new();
        for nonce in 0..12 {
            pool.node.becomes(if (seed + nonce).is_multiple_of(3) { Mood::Away } else { Mood::Healthy });
            let Ok(taken) = pool.take(nonce, BLOCK_HASH).await else { continue };
            let submitted = pool.intake.submit_block(&taken.block.unwrap(), at(nonce)).await;
            if pool.intake.record(taken.share).await.is_ok() {
                acknowledged.insert(nonce);
            }
            if submitted.is_err() && nonce.is_multiple_of(5) {
                // A restart under the same faults; whatever it could not do is left for the next one.
                let (_, _) = (pool.intake.recover().await, pool.intake.resubmit_open(at(50)).await);
            }
        }
        assert!(plans.iter().any(|plan| plan.faults() > 0), "seed {seed}: nothing failed");
        plans.iter().for_each(|plan| plan.heal());
        pool.node.becomes(Mood::Healthy);
        pool.intake.recover().await.unwrap();
        pool.intake.resubmit_open(at(99)).await.unwrap();

        let logged: Vec<BlockId> = pool.logged().await.iter().filter_map(|record| record.block).collect();
        let once: BTreeSet<BlockId> = logged.iter().copied().collect();
        assert_eq!(logged.len(), once.len(), "seed {seed}: a block's share is in the log twice");
        for nonce in acknowledged {
            assert!(once.contains(&block_id(nonce)), "seed {seed}: an acknowledged share is not in the log");
        }
        for booked in pool.book.open().await.unwrap() {
            assert!(once.contains(&booked.found.id), "seed {seed}: a block without its share");
            assert!(booked.submitted.is_some(), "seed {seed}: a block that no node has");
            assert!(pool.node.has.lock().unwrap().contains(&booked.found.id), "seed {seed}");
        }
    }
}

#[tokio::test]
async fn a_block_that_no_book_can_keep_goes_to_the_chain_and_is_not_acknowledged() {
    for script in [vec![Fault::NotDone; 3], vec![Fault::Poison]] {
        let pool = Pool::failing(FaultPlan::none(), FaultPlan::script(script.clone()));
        assert!(matches!(pool.take(5, BLOCK_HASH).await, Err(Refusal::Store(_))), "{script:?}");
        assert!(pool.node.has(5), "the money is on the chain, {script:?}");
        assert_eq!((pool.booked().await, pool.logged().await.len()), (0, 0), "{script:?}");
    }
}

#[tokio::test]
async fn writes_that_are_safe_to_repeat_are_repeated() {
    for script in [vec![Fault::NotDone; 2], vec![Fault::Done; 2], vec![Fault::Done, Fault::NotDone]] {
        let faults = || FaultPlan::script(script.clone());
        let pool = Pool::failing(faults(), faults());
        let taken = pool.take(5, BLOCK_HASH).await.unwrap();
        assert_eq!((pool.booked().await, pool.node.asked()), (1, 0), "on disk before the node hears of it");
        assert_eq!(pool.intake.record(taken.share).await.unwrap(), ShareSeq::new(1));
        assert_eq!(pool.logged().await.len(), 1, "{script:?}");
    }
}
