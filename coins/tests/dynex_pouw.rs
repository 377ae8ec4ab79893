//! The second stage against the useful-work service on loopback, both generations, and what it does while that is away.

#![cfg(all(feature = "dynex", feature = "devnode"))]
#![allow(clippy::unwrap_used)]

use pool_coins::devnode_http::Fault;
use pool_coins::dynex::Dynex;
use pool_coins::dynex::address::Address;
use pool_coins::dynex::coin::DynexJob;
use pool_coins::dynex::devnode::TestService;
use pool_coins::dynex::params::Network;
use pool_coins::dynex::pouw::{Backend, Outage, PouwRules, PouwStage, ServiceConfig, ServiceGeneration};
use pool_coins::dynex::template::{DynexTemplate, Expected, Stated};
use pool_coins::failover::CoolDown;
use pool_core::coin::Coin;
use pool_core::id::{InstanceId, JobId, MinerId, Worker, WorkerName};
use pool_core::intake::Attest;
use pool_core::share::{Candidate, Reject, Share, Verdict, judge};
use pool_core::time::Timestamp;
use pool_core::units::Target;
use pool_stratum::dialect::dynex::{DynexSolution, MallobId, Pouw, PouwClaim, Question};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;

const POOL: &str =
    "XwoViygnRn7QaFtbc8XkwigF5oXhRZ41uinUK8XviwvAe4XjHJqfUVHGcieAJQSyWcQ1d6tzfGvyz5KZKSNeU3Bh1d9FDxNoJ";

struct Rig {
    service: TestService,
    _tasks: JoinSet<()>,
    coin: Dynex,
    job: Arc<DynexJob>,
    vector: Value,
}

impl Rig {
    async fn new() -> Self {
        let (service, driver) = TestService::open(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(driver);
        let vectors: Value = serde_json::from_str(include_str!("../testdata/dynex.json")).unwrap();
        let vector = vectors["templates"][0].clone();
        let expected = Expected {
            pay_to: Address::parse(POOL).unwrap(),
            trust_hidden_payee: false,
            tag: [0xc0, 0xff, 0xee, 0x01],
            maturity: 60,
        };
        let stated = Stated { height: 385_301, difficulty: 100_000_000_000, reserved_offset: 130 };
        let blob = hex::decode(vector["blocktemplate_blob"].as_str().unwrap()).unwrap();
        let template = DynexTemplate::check(&blob, stated, &expected).unwrap();
        let coin = Dynex::new(Network::Mainnet);
        let job = coin.job(JobId::new(1), Arc::new(template));
        Self { service, _tasks: tasks, coin, job, vector }
    }

    fn config(&self, generation: ServiceGeneration) -> ServiceConfig {
        ServiceConfig {
            pool_uuid: "11111111-2222".to_owned(),
            timeout: Duration::from_millis(400),
            failures_max: 3,
            cool_down: CoolDown { first: Duration::from_millis(300), max: Duration::from_millis(300) },
            ..ServiceConfig::new(&self.service.address().to_string(), generation)
        }
    }

    fn stage(&self, generation: ServiceGeneration, outage: Outage) -> PouwStage {
        let rules = PouwRules { outage, ..PouwRules::default() };
        PouwStage::open(Backend::Service(Box::new(self.config(generation))), rules).unwrap()
    }

    /// The published share, with a claim.
    fn solution(&self, data: &str) -> DynexSolution {
        let share = &self.vector["share"];
        let bytes = |name: &str| hex::decode(share[name].as_str().unwrap()).unwrap();
        let claim = PouwClaim { mallob: MallobId::new("ab12").unwrap(), data: data.to_owned() };
        DynexSolution {
            extranonce: 1,
            nonce: bytes("nonce").try_into().unwrap(),
            result: bytes("result").try_into().unwrap(),
            pouw: Pouw::new(claim),
        }
    }

    fn worker() -> Worker {
        Worker { miner: MinerId::new(POOL).unwrap(), name: WorkerName::clean("rig0") }
    }

    /// The published share as it was judged; a block's where `network` says so.
    fn share(&self, solution: &DynexSolution, network: Target) -> Share {
        let proof = self.coin.prove(&self.job, solution).unwrap();
        let candidate = Candidate {
            instance: InstanceId::new(0),
            at: Timestamp::from_millis(60_000),
            worker: Self::worker(),
            share_target: Target::MAX,
            network_target: network,
            chain: 0,
            evidence: self.coin.evidence(&self.job, solution),
            block: self.coin.block_id(&self.job, solution),
        };
        match judge(candidate, proof) {
            Verdict::Accepted(share) => share,
            Verdict::Rejected(reject) => panic!("{reject}"),
        }
    }

    async fn attest(&self, stage: &PouwStage, data: &str) -> Result<(), Reject> {
        let solution = self.solution(data);
        let share = self.share(&solution, self.job.template().target());
        assert_eq!(share.block(), None);
        stage.attest(&self.job, &solution, &share).await
    }

    async fn attest_block(&self, stage: &PouwStage) -> Result<(), Reject> {
        let solution = self.solution("ok");
        let share = self.share(&solution, Target::MAX);
        assert!(share.block().is_some());
        stage.attest(&self.job, &solution, &share).await
    }
}

#[tokio::test]
async fn both_generations_ask_with_their_own_ten_texts() {
    let rig = Rig::new().await;
    let share = &rig.vector["share"];
    let blob = share["hashing_blob_with_nonce"].as_str().unwrap();
    let result = share["result"].as_str().unwrap();
    let stage = rig.stage(ServiceGeneration::V230, Outage::Refuse);
    rig.attest(&stage, "proof").await.unwrap();
    let old = ["ab12", POOL, blob, result, "112571", "100000000000", "385301", "0", "11111111-2222", "proof"];
    assert_eq!(rig.service.last(), old);
    let stage = rig.stage(ServiceGeneration::V235, Outage::Refuse);
    rig.attest(&stage, "proof").await.unwrap();
    let new = ["ab12", POOL, "rig0", blob, result, "112571", "100000000000", "385301", "1", "proof"];
    assert_eq!(rig.service.last(), new);
    assert_eq!(stage.counters().accepted.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_the_service_refuses_is_refused_with_its_code() {
    let rig = Rig::new().await;
    for generation in [ServiceGeneration::V230, ServiceGeneration::V235] {
        let stage = rig.stage(generation, Outage::Accept);
        assert_eq!(rig.attest(&stage, "bad").await, Err(Reject::Unattested { code: 500 }));
        // Another hash than the pool proved: the service and the pool disagree.
        let lie = DynexSolution { result: [7; 32], ..rig.solution("ok") };
        let share = rig.share(&rig.solution("ok"), rig.job.template().target());
        let outcome = stage.attest(&rig.job, &lie, &share).await;
        assert_eq!(outcome, Err(Reject::Unattested { code: 499 }));
        assert_eq!(stage.counters().disagreed.load(Ordering::Relaxed), 1);
        assert_eq!(stage.counters().refused.load(Ordering::Relaxed), 2);
    }
    rig.service.disown("ab12");
    let stage = rig.stage(ServiceGeneration::V230, Outage::Accept);
    assert_eq!(rig.attest(&stage, "ok").await, Err(Reject::Unattested { code: 414 }));
}

#[tokio::test]
async fn an_outage_is_nobodys_fault_and_goes_by_the_policy() {
    let rig = Rig::new().await;
    for fault in [Fault::Silence, Fault::Cut, Fault::Garbage, Fault::Status(502)] {
        let faults = rig.service.faults();
        faults.clear();
        faults.always("/json_rpc", fault.clone());
        let refuse = rig.stage(ServiceGeneration::V230, Outage::Refuse);
        assert_eq!(rig.attest(&refuse, "ok").await, Err(Reject::Busy), "{fault:?}");
        let accept = rig.stage(ServiceGeneration::V235, Outage::Accept);
        assert_eq!(rig.attest(&accept, "ok").await, Ok(()), "{fault:?}");
        assert_eq!(accept.counters().provisional.load(Ordering::Relaxed), 1);
        assert_eq!(accept.counters().unavailable.load(Ordering::Relaxed), 1);
        // A candidate for a block is tried whatever the policy is for shares, unless told otherwise.
        assert_eq!(rig.attest_block(&refuse).await, Ok(()), "{fault:?}");
        let backend = Backend::Service(Box::new(rig.config(ServiceGeneration::V230)));
        let rules = PouwRules { submit_unattested_blocks: false, ..PouwRules::default() };
        let strict = PouwStage::open(backend, rules).unwrap();
        assert_eq!(rig.attest_block(&strict).await, Err(Reject::Busy), "{fault:?}");
    }
}

#[tokio::test]
async fn held_shares_wait_for_the_service_and_no_longer_than_told() {
    let rig = Rig::new().await;
    let hold = |shares_max, wait| Outage::Hold { shares_max, wait, every: Duration::from_millis(50) };
    let stage = rig.stage(ServiceGeneration::V230, hold(1, Duration::from_secs(30)));
    rig.service.faults().next(2, "/json_rpc", Fault::Garbage);
    assert_eq!(rig.attest(&stage, "ok").await, Ok(()), "it came back");
    assert_eq!(stage.counters().provisional.load(Ordering::Relaxed), 0);

    rig.service.faults().always("/json_rpc", Fault::Garbage);
    let stage = rig.stage(ServiceGeneration::V230, hold(1, Duration::from_millis(200)));
    let (one, two) = tokio::join!(rig.attest(&stage, "ok"), rig.attest(&stage, "ok"));
    assert_eq!((one, two), (Err(Reject::Busy), Err(Reject::Busy)), "one waits in vain, one finds no place");
}

#[tokio::test]
async fn a_service_that_is_gone_is_left_alone_and_found_again() {
    let rig = Rig::new().await;
    rig.service.faults().always("/json_rpc", Fault::Status(500));
    let stage = rig.stage(ServiceGeneration::V235, Outage::Refuse);
    for _ in 0..10 {
        assert_eq!(rig.attest(&stage, "ok").await, Err(Reject::Busy));
    }
    assert_eq!(rig.service.faults().requests(), 3, "after three failures nobody asks for a while");
    rig.service.faults().clear();
    let found = async {
        while rig.attest(&stage, "ok").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), found).await.unwrap();
}

#[tokio::test]
async fn questions_of_miners_are_passed_on_in_the_newer_generation() {
    let rig = Rig::new().await;
    let stage = rig.stage(ServiceGeneration::V235, Outage::Refuse);
    let question = Question { mallob: MallobId::new("ab12").unwrap(), payload: "x\ny".into() }.to_text();
    let ip = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    rig.attest(&stage, "ok").await.unwrap();
    assert_eq!(stage.ask(&Rig::worker(), &question, ip).await, Ok("heard:x\ny".into()));
    assert_eq!(rig.service.last(), ["ab12", "x\ny", "192.0.2.7", POOL, "rig0", "false", "1"]);
    assert!(stage.ask(&Rig::worker(), "no-question", ip).await.is_err());
    rig.service.faults().always("/json_rpc", Fault::Garbage);
    assert!(stage.ask(&Rig::worker(), &question, ip).await.unwrap_err().contains("away"));
    let old = rig.stage(ServiceGeneration::V230, Outage::Refuse);
    assert!(old.ask(&Rig::worker(), &question, ip).await.is_err());
}

#[tokio::test]
async fn without_a_service_every_claim_counts_and_the_claim_is_let_go() {
    let rig = Rig::new().await;
    let stage = PouwStage::open(Backend::Disabled, PouwRules::default()).unwrap();
    let solution = rig.solution("anything");
    let share = rig.share(&solution, rig.job.template().target());
    stage.attest(&rig.job, &solution, &share).await.unwrap();
    assert_eq!(solution.pouw.take(), None, "a session that remembers the solution does not keep the claim");
    assert_eq!(rig.service.validated(), 0);
    assert!(
        PouwStage::open(
            Backend::Service(Box::new(ServiceConfig::new("no port", ServiceGeneration::V230))),
            PouwRules::default()
        )
        .is_err()
    );
}
