//! From a miner's socket to a paid miner: CPU miners of three grammars on one port, against sessions, proofs, the
//! development network and the wallet.

#![cfg(all(feature = "hypra", feature = "devnode", feature = "wallet", feature = "miner"))]
#![allow(clippy::unwrap_used)]

use pool_coins::hypra::Hypra;
use pool_coins::hypra::address::Address;
use pool_coins::hypra::coin::HypraJob;
use pool_coins::hypra::devnode::{DevNode, DevNodeConfig, Weather};
use pool_coins::hypra::epochs::{CacheRules, EpochCaches};
use pool_coins::hypra::fate::FateRules;
use pool_coins::hypra::miner::{MinerConfig, MinerCounters, MinerEvent, mine};
use pool_coins::hypra::node::{HypraNode, HypraNodeConfig};
use pool_coins::hypra::params::{HYP, Network};
use pool_coins::hypra::wallet::{HypraWallet, WalletKey, WalletRules};
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
use pool_stratum::dialect::hypra::Hypra as Dialect;
use pool_stratum::extranonce::{ExtranonceSpace, SpaceRules};
use pool_stratum::jobs::{JobRing, Posted};
use pool_stratum::session::{
    Action, Input, Login, Outcome, Session, SessionRules, Submission, Ticket, split_user,
};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Longer than anything here takes; a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(400);
const CONFIRMATIONS: u64 = 9;
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

type Grammar = Dialect<HypraJob>;

fn unix_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

fn key(n: u8) -> WalletKey {
    WalletKey::from_bytes(&[n; 32]).unwrap()
}

/// Everything behind the socket of a pool.
struct Pool {
    intake: Arc<Intake<Hypra>>,
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
}

impl Pool {
    fn new(node: &HypraNode, caches: Arc<EpochCaches>) -> Arc<Self> {
        let stores = Stores::memory();
        let intake = Intake {
            coin: Arc::new(Hypra::new(Network::Devnet, caches, NonZeroUsize::MIN)),
            node: Arc::new(node.clone()),
            shares: stores.shares.clone(),
            blocks: stores.blocks.clone(),
            instance: InstanceId::new(0),
            coin_id: CoinId::new("hypra").unwrap(),
            attest: None,
        };
        let ring = Arc::new(JobRing::new(64, Micros::from_secs(300)));
        let work = |hashes| Work::new(hashes).unwrap();
        let range = WorkRange::new(work(3), work(6)).unwrap();
        let vardiff = VardiffRules::new(Micros::from_secs(1), range, work(4)).unwrap();
        let space = SpaceRules { width: 2, instance_bits: 0, instance: 0, rest: Micros::from_secs(300) };
        Arc::new(Self {
            intake: Arc::new(intake),
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
    async fn make_jobs(self: Arc<Self>, node: HypraNode) {
        let mut id = 0;
        loop {
            match node.template().await {
                Ok(template) => {
                    id += 1;
                    let job = self.intake.coin.job(JobId::new(id), Arc::new(template));
                    let posted = self.rules.jobs().publish(self.now(), job).unwrap();
                    self.jobs.send_replace(Some(posted));
                    node.changed().await;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn login(&self, user: &str) -> Result<Login, String> {
        let (account, name) = split_user(user);
        let miner = self.intake.coin.address(account).map_err(|error| error.to_string())?;
        Ok(Login { worker: Worker { miner, name }, start: None })
    }

    async fn submit(&self, submission: Submission<Grammar>) -> Outcome {
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
            // Too late, or not: its fate is asked for later.
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
                    Action::Ask { .. } | Action::Remember { .. } => {}
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
async fn from_a_miners_socket_to_a_paid_miner_in_three_grammars() {
    let caches = Arc::new(EpochCaches::new(CacheRules::default()));
    let mut tasks = JoinSet::new();
    let dev_config = DevNodeConfig {
        coinbase: key(1).address(),
        difficulty: 20,
        pace: None,
        weather: Weather::default(),
        caches: Some(caches.clone()),
        ..DevNodeConfig::default()
    };
    let (dev, driver) = DevNode::open(dev_config.clone()).await.unwrap();
    tasks.spawn(driver);
    let (node, driver) = HypraNode::open(HypraNodeConfig {
        poll: Duration::from_millis(50),
        refresh: Duration::from_secs(1),
        fate: FateRules { confirmations: CONFIRMATIONS, rewards: dev_config.rewards() },
        caches: Some(caches.clone()),
        ..HypraNodeConfig::new(vec![dev.endpoint()], Network::Devnet, key(1).address())
    })
    .unwrap();
    tasks.spawn(driver);
    let pool = Pool::new(&node, caches);
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(pool.clone().serve(listener));
    tasks.spawn(pool.clone().make_jobs(node.clone()));

    let accounts: Vec<Address> = (20..23).map(|n| key(n).address()).collect();
    let mut mining = JoinSet::new();
    let mut miners = Vec::new();
    for (account, agent) in accounts.iter().zip(["miner/1", "miner/1 stratum2", "miner/1 ethproxy"]) {
        let config = MinerConfig {
            pool: address.to_string(),
            user: format!("{}.rig", account.checksummed()),
            password: "x".into(),
            agent: agent.into(),
            threads: 1,
            hashes_per_second_max: None,
        };
        let counters = Arc::new(MinerCounters::default());
        let (events, heard) = mpsc::channel(10_000);
        mining.spawn(mine(config, counters.clone(), events, std::future::pending()));
        miners.push((agent, counters, heard));
    }
    until("mining", async || {
        let enough =
            |(_, counters, _): &(&str, Arc<MinerCounters>, _)| counters.accepted.load(Ordering::Relaxed) >= 4;
        miners.iter().all(enough) && dev.height() >= 2
    })
    .await;
    mining.shutdown().await;
    for (agent, counters, heard) in &mut miners {
        assert!(matches!(heard.recv().await, Some(MinerEvent::Connected)), "{agent}");
        assert!(counters.accepted.load(Ordering::Relaxed) >= 4);
        while let Ok(event) = heard.try_recv() {
            if let MinerEvent::Answered { refusal: Some(words), solution } = event {
                // While the caches are being built, and for a job of which the difficulty was raised meanwhile.
                let fine = ["busy", "tale", "Low difficulty", "Invalid share"];
                assert!(fine.iter().any(|part| words.contains(part)), "{agent}: {words}: {solution:?}");
            }
        }
    }
    let tally = pool.rules.tally();
    for kind in [Reject::Duplicate, Reject::Malformed, Reject::ForeignExtranonce, Reject::UnknownMethod] {
        let (_, count) = tally.rejected().find(|(known, _)| *known == kind).unwrap();
        assert_eq!(count, 0, "{kind}");
    }

    // Every share on record proves itself again, and belongs to one of the three.
    let shares = pool.stores.shares.read(ShareSeq::default(), 100_000).await.unwrap();
    assert!(shares.len() as u64 >= tally.accepted());
    for share in shares.iter().take(20) {
        assert!(pool.intake.coin.reprove(&share.record.evidence).is_ok());
        assert!(accounts.iter().any(|account| account.to_string() == share.record.worker.miner.as_str()));
    }

    // Blocks mature, and are worth what the chain paid.
    let booked = pool.stores.blocks.open().await.unwrap();
    assert!(!booked.is_empty());
    let mut worth = 0;
    for block in &booked {
        let mut fate = BlockFate::Unknown;
        until("a fate", async || {
            dev.others_find(1);
            fate = node.fate(&block.found.id).await.unwrap();
            fate.is_final()
        })
        .await;
        worth += fate.value().get();
    }
    assert_eq!(worth, dev.balance(&key(1).address()));
    assert!(worth >= 4 * HYP);

    // And the miner is paid.
    let rules = WalletRules { settle_depth: 4, ..WalletRules::default() };
    let wallet = HypraWallet::new(key(1), &node, rules).unwrap();
    let coin = CoinId::new("hypra").unwrap();
    let miner = booked[0].found.share.worker.miner.clone();
    let to = Address::parse(miner.as_str()).unwrap();
    let batch = PayoutBatch {
        id: PayoutId::new(&coin, 1),
        coin,
        at: unix_now(),
        items: vec![PayoutItem { miner, amount: Amount::new(3 * HYP) }],
    };
    let tx = wallet.sign(&batch, &[]).await.unwrap();
    wallet.broadcast(&tx).await.unwrap();
    until("a payout", async || {
        dev.others_find(1);
        matches!(wallet.fate(&tx).await.unwrap(), TxFate::Settled { .. })
    })
    .await;
    assert_eq!(dev.balance(&to), 3 * HYP);
    tasks.shutdown().await;
}
