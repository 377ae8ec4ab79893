//! The pool when the world fails: a node that goes away, a disk that takes nothing more.
#![allow(clippy::unwrap_used, reason = "a test ends where something is missing")]

use async_trait::async_trait;
use pool_coins::kaspa::Kaspa;
use pool_coins::kaspa::devnode::{DevNode, DevNodeConfig, bits_of_work};
use pool_coins::kaspa::node::{KaspaNode, KaspaNodeConfig};
use pool_coins::kaspa::params::Network;
use pool_coins::kaspa::wallet::{KaspaWallet, WalletKey};
use pool_core::coin::{Coin, Node};
use pool_core::id::{CoinId, InstanceId, JobId, MinerId, ShareSeq, Worker, WorkerName};
use pool_core::intake::Intake;
use pool_core::ports::{ShareLog, StoreError, Stores};
use pool_core::share::{LoggedShare, Reject, Share};
use pool_core::time::Micros;
use pool_core::units::Target;
use pool_stratum::dialect::kaspa::KaspaSolution;
use pool_stratum::net::Application;
use pool_stratum::session::Outcome;
use poold::clock::Clock;
use poold::roles::jobs::{self, Pace};
use poold::roles::stratum::Checker;
use poold::roles::{Base, Stop};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(60);

/// A development node and a client of it.
async fn chain() -> (DevNode, KaspaNode) {
    let (devnode, driver) =
        DevNode::open(DevNodeConfig { bits: bits_of_work(4), ..DevNodeConfig::default() }).await.unwrap();
    tokio::spawn(driver);
    let key = WalletKey::from_bytes(&[7; 32]).unwrap();
    let pay_to = KaspaWallet::address_of(&key, Network::Devnet);
    let config = KaspaNodeConfig {
        timeout: Duration::from_millis(500),
        mine_unsynced: true,
        ..KaspaNodeConfig::new(vec![devnode.address().to_string()], Network::Devnet, pay_to)
    };
    let (node, driver) = KaspaNode::open(config).unwrap();
    tokio::spawn(driver);
    node.ready().await;
    (devnode, node)
}

fn base(stores: Stores) -> Base {
    Base { coin: CoinId::new("kaspa").unwrap(), stores, status: Arc::default(), clock: Clock::start() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_goes_away_stops_the_work_and_brings_it_back() {
    let (devnode, node) = chain().await;
    let base = base(Stores::memory());
    let (sender, stop) = Stop::channel();
    let (work, mut jobs) = watch::channel(None);
    let pace = Pace {
        interval: Micros::from_millis(50),
        template_age_max: Duration::from_millis(300),
        retry: Duration::from_millis(50),
    };
    let coin = Arc::new(Kaspa::new(Network::Devnet));
    let role = tokio::spawn(jobs::run(base.clone(), coin, Arc::new(node), pace, work, stop));

    let has_work = |wanted: bool| move |job: &Option<_>| job.is_some() == wanted;
    tokio::time::timeout(PATIENCE, jobs.wait_for(has_work(true))).await.unwrap().unwrap();
    devnode.faults().stalled.store(true, Ordering::SeqCst);
    tokio::time::timeout(PATIENCE, jobs.wait_for(has_work(false))).await.unwrap().unwrap();
    assert!(base.status.current_template().is_none());
    assert!(base.status.troubles().iter().any(|(part, _)| *part == "jobs"), "the operator is told");

    devnode.faults().stalled.store(false, Ordering::SeqCst);
    tokio::time::timeout(PATIENCE, jobs.wait_for(has_work(true))).await.unwrap().unwrap();
    sender.send_replace(true);
    tokio::time::timeout(PATIENCE, role).await.unwrap().unwrap().unwrap();
}

/// A log on a disk that can fill up.
#[derive(Debug)]
struct FullDisk {
    inner: Arc<dyn ShareLog>,
    full: AtomicBool,
}

#[async_trait]
impl ShareLog for FullDisk {
    async fn append(&self, batch: &[Share]) -> Result<ShareSeq, StoreError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError::Poisoned("no space left on device".to_owned()));
        }
        self.inner.append(batch).await
    }

    async fn read(&self, after: ShareSeq, limit: usize) -> Result<Vec<LoggedShare>, StoreError> {
        self.inner.read(after, limit).await
    }

    async fn head(&self) -> Result<ShareSeq, StoreError> {
        self.inner.head().await
    }

    async fn prune(&self, before: ShareSeq) -> Result<(), StoreError> {
        self.inner.prune(before).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_acknowledges_nothing_and_raises_an_alarm() {
    let (_devnode, node) = chain().await;
    let mut stores = Stores::memory();
    let disk = Arc::new(FullDisk { inner: stores.shares.clone(), full: AtomicBool::new(false) });
    stores.shares = disk.clone();
    let base = base(stores.clone());
    let coin = Arc::new(Kaspa::new(Network::Devnet));
    let job = coin.job(JobId::new(1), Arc::new(node.template().await.unwrap()));
    let intake = Arc::new(Intake {
        coin,
        node: Arc::new(node),
        shares: stores.shares.clone(),
        blocks: stores.blocks.clone(),
        instance: InstanceId::new(0),
        coin_id: CoinId::new("kaspa").unwrap(),
        attest: None,
    });
    let checker = Checker::new(base.clone(), intake);
    let worker = Worker { miner: MinerId::new("kaspadev:m").unwrap(), name: WorkerName::clean("w") };
    let submit =
        |nonce| checker.check_solution(job.clone(), KaspaSolution { nonce }, Target::MAX, worker.clone());

    assert_eq!(submit(1).await, Outcome::Accepted);
    disk.full.store(true, Ordering::SeqCst);
    assert_eq!(submit(2).await, Outcome::Rejected(Reject::Busy));
    assert!(
        base.status.troubles().iter().any(|(_, words)| words.contains("no space left")),
        "the operator is told"
    );
    // What failed once is not trusted again in this process, even if there is space now.
    disk.full.store(false, Ordering::SeqCst);
    assert_eq!(submit(3).await, Outcome::Rejected(Reject::Busy));
    assert_eq!(stores.shares.head().await.unwrap(), ShareSeq::new(1));
}

#[tokio::test]
async fn a_mistyped_address_is_an_error_the_miner_prints() {
    let (_devnode, node) = chain().await;
    let stores = Stores::memory();
    let intake = Intake {
        coin: Arc::new(Kaspa::new(Network::Devnet)),
        node: Arc::new(node),
        shares: stores.shares.clone(),
        blocks: stores.blocks.clone(),
        instance: InstanceId::new(0),
        coin_id: CoinId::new("kaspa").unwrap(),
        attest: None,
    };
    let checker = Checker::new(base(stores), Arc::new(intake));
    let caller = pool_stratum::net::Caller { address: ([127, 0, 0, 1], 1).into(), tls: false };
    let mainnet = "kaspa:qpumuen7l8wthtz45p3ftn58pvrs9xlumvkuu2xet8egzkcklqtes4ypce9sf.rig";
    let error = checker.login(mainnet, "x", caller).await.unwrap_err();
    assert!(error.contains("mainnet") && error.contains("devnet"), "{error}");
    let good = "kaspadev:qpumuen7l8wthtz45p3ftn58pvrs9xlumvkuu2xet8egzkcklqtese6y7tc99.rig 1<script>";
    let login = checker.login(good, "x", caller).await.unwrap();
    assert_eq!(login.worker.name.as_str(), "rig_1_script_");
    assert!(checker.login(&good.replace("tc99", "tc9q"), "x", caller).await.is_err());
}
