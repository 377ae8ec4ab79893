//! From a miner's socket to a paid miner: CPU miners of both generations against sessions, both stages, the development
//! network, its wallet and the useful-work service on loopback.

#![cfg(all(feature = "dynex", feature = "devnode", feature = "wallet", feature = "miner"))]
#![allow(clippy::unwrap_used)]

use pool_coins::devnode_http::Fault;
use pool_coins::dynex::Dynex;
use pool_coins::dynex::coin::DynexJob;
use pool_coins::dynex::devnode::{DevNode, DevNodeConfig, TestService, toy_address};
use pool_coins::dynex::fate::FateRules;
use pool_coins::dynex::miner::{MinerConfig, MinerCounters, MinerEvent, mine};
use pool_coins::dynex::node::{DynexNode, DynexNodeConfig};
use pool_coins::dynex::params::{COIN, FEE, Network};
use pool_coins::dynex::pouw::{Backend, Outage, PouwRules, PouwStage, ServiceConfig, ServiceGeneration};
use pool_coins::dynex::wallet::{DynexWallet, WalletRpc, WalletRules};
use pool_core::block::BlockFate;
use pool_core::coin::{Coin, Node, Wallet};
use pool_core::id::{CoinId, InstanceId, JobId, PayoutId, ShareSeq, Worker};
use pool_core::intake::{Intake, Refusal, Submit};
use pool_core::limits::Limits;
use pool_core::payout::{PayoutBatch, PayoutItem, TxFate};
use pool_core::ports::Stores;
use pool_core::share::Reject;
use pool_core::time::{Micros, Moment, Timestamp};
use pool_core::units::{Amount, Work};
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_stratum::dialect::dynex::Dynex as Dialect;
use pool_stratum::extranonce::{ExtranonceSpace, SpaceRules};
use pool_stratum::jobs::{JobRing, Posted};
use pool_stratum::session::{Action, Input, Login, Outcome, Session, SessionRules, Ticket, split_user};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(120);
const MATURITY: u64 = 4;

type Grammar = Dialect<DynexJob>;

fn unix_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

/// Everything behind the socket of a pool.
struct Pool {
    intake: Arc<Intake<Dynex>>,
    stage: PouwStage,
    rules: Arc<SessionRules<Grammar>>,
    space: ExtranonceSpace,
    jobs: watch::Sender<Option<Arc<Posted<Grammar>>>>,
    stores: Stores,
    started: Instant,
}

/// What a task of a connection has to say.
enum Done {
    LoggedIn(Ticket, Result<Login, String>),
    Settled(Ticket, Outcome),
    Told(Ticket, Result<String, String>),
}

impl Pool {
    fn new(node: &DynexNode, stage: PouwStage) -> Arc<Self> {
        let stores = Stores::memory();
        let intake = Intake {
            coin: Arc::new(Dynex::new(Network::Devnet).with_floor(Work::new(2).unwrap())),
            node: Arc::new(node.clone()),
            shares: stores.shares.clone(),
            blocks: stores.blocks.clone(),
            instance: InstanceId::new(0),
            coin_id: CoinId::new("dynex").unwrap(),
            attest: Some(Arc::new(stage.clone())),
        };
        let ring = Arc::new(JobRing::new(8, Micros::from_secs(120)));
        let work = |hashes| Work::new(hashes).unwrap();
        // Never as hard as a block, so that most shares are none.
        let range = WorkRange::new(work(2), work(3)).unwrap();
        let vardiff = VardiffRules::new(Micros::from_secs(1), range, work(2)).unwrap();
        let rest = Micros::from_secs(120);
        let space = SpaceRules { width: 4, instance_bits: 0, instance: 0, rest };
        Arc::new(Self {
            intake: Arc::new(intake),
            stage,
            rules: Arc::new(SessionRules::new(Grammar::default(), Limits::default(), vardiff, ring)),
            space: ExtranonceSpace::new(space).unwrap(),
            jobs: watch::Sender::new(None),
            stores,
            started: Instant::now(),
        })
    }

    fn now(&self) -> Moment {
        Moment::new(u64::try_from(self.started.elapsed().as_micros()).unwrap())
    }

    /// Templates in, jobs out.
    async fn make_jobs(self: Arc<Self>, node: DynexNode) {
        for id in 1.. {
            if let Ok(template) = node.template().await {
                let job = self.intake.coin.job(JobId::new(id), Arc::new(template));
                let posted = self.rules.jobs().publish(self.now(), job).unwrap();
                self.jobs.send_replace(Some(posted));
            }
            node.changed().await;
        }
    }

    async fn login(&self, user: &str) -> Result<Login, String> {
        let (account, name) = split_user(user);
        let miner = self.intake.coin.address(account).map_err(|error| error.to_string())?;
        Ok(Login { worker: Worker { miner, name }, start: None })
    }

    async fn submit(&self, submission: pool_stratum::session::Submission<Grammar>) -> Outcome {
        let submit = Submit {
            at: unix_now(),
            job: &*submission.job,
            solution: &submission.solution,
            share_target: submission.share_target,
            worker: submission.worker,
        };
        let taken = match self.intake.take(submit).await {
            Ok(taken) => taken,
            Err(Refusal::Reject(reject)) => return Outcome::Rejected(reject),
            Err(Refusal::Store(error)) => panic!("{error}"),
        };
        if let Some(block) = &taken.block {
            // Lost to another block, or not: its fate is asked for later.
            let _ = self.intake.submit_block(block, unix_now()).await;
        }
        self.intake.record(taken.share).await.unwrap();
        Outcome::Accepted
    }

    async fn connection(self: Arc<Self>, socket: TcpStream) {
        let (read, mut write) = socket.into_split();
        let mut lines = BufReader::new(read).lines();
        let lease = self.space.take(self.now()).unwrap();
        let mut session = Session::new(self.rules.clone(), lease, self.now());
        let mut jobs = self.jobs.subscribe();
        let (done, mut finished) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        loop {
            while let Some(action) = session.poll() {
                let (pool, done) = (self.clone(), done.clone());
                match action {
                    Action::Send(bytes) | Action::Notify(bytes) => {
                        if write.write_all(&bytes).await.is_err() {
                            return;
                        }
                    }
                    Action::Login { ticket, user, .. } => {
                        tasks.spawn(async move {
                            let _ = done.send(Done::LoggedIn(ticket, pool.login(&user).await));
                        });
                    }
                    Action::Prove(submission) => {
                        tasks.spawn(async move {
                            let ticket = submission.ticket;
                            let _ = done.send(Done::Settled(ticket, pool.submit(submission).await));
                        });
                    }
                    Action::Ask { ticket, worker, payload } => {
                        tasks.spawn(async move {
                            let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
                            let answer = pool.stage.ask(&worker, &payload, ip).await;
                            let _ = done.send(Done::Told(ticket, answer));
                        });
                    }
                    Action::Remember { .. } => {}
                    Action::Close(_) => return,
                }
            }
            tokio::select! {
                line = lines.next_line() => match line {
                    Ok(Some(line)) => session.handle(self.now(), Input::Frame(line.as_bytes())),
                    Ok(None) | Err(_) => return,
                },
                Ok(()) = jobs.changed() => {
                    let posted = jobs.borrow_and_update().clone();
                    if let Some(posted) = posted {
                        session.handle(self.now(), Input::Job(posted));
                    }
                }
                Some(done) = finished.recv() => {
                    let input = match done {
                        Done::LoggedIn(ticket, result) => Input::LoggedIn { ticket, result },
                        Done::Settled(ticket, outcome) => Input::Settled { ticket, outcome },
                        Done::Told(ticket, result) => Input::Told { ticket, result },
                    };
                    session.handle(self.now(), input);
                }
                () = tokio::time::sleep(Duration::from_millis(200)) => session.handle(self.now(), Input::Tick),
            }
        }
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            connections.spawn(self.clone().connection(socket));
        }
    }

    async fn shares(&self) -> usize {
        self.stores.shares.read(ShareSeq::default(), 100_000).await.unwrap().len()
    }
}

/// A network, a service, a pool, and the tasks that drive them.
struct World {
    dev: DevNode,
    node: DynexNode,
    service: TestService,
    pool: Arc<Pool>,
    address: SocketAddr,
    tasks: JoinSet<()>,
}

impl World {
    async fn new(generation: ServiceGeneration, outage: Outage) -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut tasks = JoinSet::new();
        let config = DevNodeConfig {
            difficulty: 12,
            pace: None,
            maturity: MATURITY,
            spendable_age: 1,
            ..DevNodeConfig::new(toy_address(1))
        };
        let (dev, driver) = DevNode::open(config).await.unwrap();
        tasks.spawn(driver);
        let (service, driver) = TestService::open(loopback).await.unwrap();
        tasks.spawn(driver);
        let config = DynexNodeConfig {
            maturity: MATURITY,
            poll: Duration::from_millis(50),
            fate: FateRules { confirmations: 4, lost_depth: 6 },
            ..DynexNodeConfig::new(vec![dev.address().to_string()], Network::Devnet, toy_address(1))
        };
        let (node, driver) = DynexNode::open(config).unwrap();
        tasks.spawn(driver);
        let backend =
            Backend::Service(Box::new(ServiceConfig::new(&service.address().to_string(), generation)));
        let rules = PouwRules { outage, ..PouwRules::default() };
        let pool = Pool::new(&node, PouwStage::open(backend, rules).unwrap());
        tasks.spawn(pool.clone().make_jobs(node.clone()));
        let listener = TcpListener::bind(loopback).await.unwrap();
        let address = listener.local_addr().unwrap();
        tasks.spawn(pool.clone().serve(listener));
        // A login without a job is refused, and tried again; here the job comes first.
        until("the first job", async || pool.jobs.borrow().is_some()).await;
        Self { dev, node, service, pool, address, tasks }
    }

    /// A miner of its own account: its events, its counters, and its end.
    fn miner(
        &mut self,
        n: u32,
        agent: &str,
    ) -> (mpsc::Receiver<MinerEvent>, Arc<MinerCounters>, AbortHandle) {
        let config = MinerConfig {
            pool: self.address.to_string(),
            user: format!("{}.rig{n}", toy_address(n)),
            password: "x".into(),
            agent: agent.into(),
            threads: 1,
            hashes_per_second_max: None,
        };
        let counters = Arc::new(MinerCounters::default());
        let (events, heard) = mpsc::channel(10_000);
        let mining = self.tasks.spawn(mine(config, counters.clone(), events, std::future::pending()));
        (heard, counters, mining)
    }
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what} takes for ever"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_miners_socket_to_a_paid_miner_in_both_generations() {
    for (generation, agent) in
        [(ServiceGeneration::V230, "poolwright-miner"), (ServiceGeneration::V235, "poolwright-miner 2.3.5")]
    {
        let mut world = World::new(generation, Outage::Refuse).await;
        let (mut events, counters, mining) = world.miner(21, agent);
        until("mining", async || counters.accepted.load(Ordering::Relaxed) >= 12 && world.dev.height() >= 2)
            .await;
        assert!(matches!(events.recv().await, Some(MinerEvent::Connected)));
        // What was refused was late, and nothing else.
        while let Ok(event) = events.try_recv() {
            if let MinerEvent::Answered { refusal: Some(words), solution } = event {
                assert!(words.contains("expired") || words.contains("low"), "{words}: {solution:?}");
            }
        }
        // An answered share is on record, and was vouched for.
        assert!(world.pool.shares().await as u64 >= counters.accepted.load(Ordering::Relaxed));
        assert!(world.service.validated() >= 12);
        assert_eq!(world.service.relayed() > 0, generation == ServiceGeneration::V235);
        let refused = world.pool.stage.counters().refused.load(Ordering::Relaxed);
        assert_eq!(refused, 0, "the service computes the hashes that the pool and the miner do");

        // Blocks mature, and are worth what the chain paid.
        let booked = world.pool.stores.blocks.open().await.unwrap();
        assert!(!booked.is_empty());
        mining.abort();
        world.dev.others_find(12);
        let mut worth = 0u128;
        for block in &booked {
            let mut fate = BlockFate::Unknown;
            until("a fate", async || {
                fate = world.node.fate(&block.found.id).await.unwrap();
                fate.is_final()
            })
            .await;
            worth += fate.value().get();
        }
        assert!(worth >= 95 * u128::from(COIN));

        // And the miner is paid.
        let rpc = WalletRpc { endpoint: world.dev.wallet_address().to_string(), login: None };
        let rules = WalletRules { settle_depth: 3, ..WalletRules::default() };
        let wallet = DynexWallet::new(&rpc, &world.node, rules).unwrap();
        let coin = CoinId::new("dynex").unwrap();
        let miner = booked[0].found.share.worker.miner.clone();
        assert_eq!(miner.as_str(), toy_address(21).to_string());
        let amount = 90 * u128::from(COIN);
        let batch = PayoutBatch {
            id: PayoutId::new(&coin, 1),
            coin,
            at: unix_now(),
            items: vec![PayoutItem { miner, amount: Amount::new(amount) }],
        };
        let tx = wallet.sign(&batch, &[]).await.unwrap();
        wallet.broadcast(&tx).await.unwrap();
        until("a payout", async || {
            world.dev.others_find(1);
            wallet.fate(&tx).await.unwrap() == TxFate::Settled { fee: Amount::new(u128::from(FEE)) }
        })
        .await;
        assert_eq!(u128::from(world.dev.balance(&toy_address(21))), amount);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_service_bans_nobody_and_blocks_still_go_to_the_node() {
    let mut world = World::new(ServiceGeneration::V230, Outage::Refuse).await;
    let (mut events, counters, _mining) = world.miner(22, "poolwright-miner");
    until("mining", async || counters.accepted.load(Ordering::Relaxed) >= 3).await;
    world.service.faults().always("/json_rpc", Fault::Status(500));
    let height = world.dev.height();
    let tally = world.pool.rules.tally();
    let busy = || tally.rejected().find(|(kind, _)| *kind == Reject::Busy).unwrap().1;
    until("refusals and blocks", async || busy() >= 3 && world.dev.height() > height).await;
    assert!(world.pool.stage.counters().provisional.load(Ordering::Relaxed) > 0, "a block was tried");
    world.service.faults().clear();
    let before = counters.accepted.load(Ordering::Relaxed);
    until("mining again", async || counters.accepted.load(Ordering::Relaxed) > before + 2).await;
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, MinerEvent::Disconnected { .. }), "{event:?}");
    }
}
