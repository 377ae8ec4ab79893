//! The real node client and wallet against the development node, over its real protocol on loopback.

#![cfg(all(feature = "nexa", feature = "devnode", feature = "wallet"))]
#![allow(clippy::unwrap_used)]

use pool_coins::devnode_http::{Fault, RpcFault};
use pool_coins::failover::CoolDown;
use pool_coins::nexa::Nexa;
use pool_coins::nexa::address::Address;
use pool_coins::nexa::coin::NexaJob;
use pool_coins::nexa::devnode::{DevNode, DevNodeConfig, bits_of_work, wallet_address};
use pool_coins::nexa::fate::FateRules;
use pool_coins::nexa::node::{NexaNode, NexaNodeConfig};
use pool_coins::nexa::params::Network;
use pool_coins::nexa::wallet::{NexaWallet, WalletRules, payout_limits};
use pool_core::block::{BlockFate, Placement};
use pool_core::coin::{Coin, Node, NodeError, RawBlock, Submitted, Wallet, WalletError};
use pool_core::id::{BlockId, CoinId, JobId, MinerId, PayoutId};
use pool_core::payout::{PayoutBatch, PayoutItem, SignedTx, TxFate};
use pool_core::time::Timestamp;
use pool_core::units::Amount;
use pool_stratum::dialect::nexa::{NexaNonce, NexaSolution};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const SUBSIDY: u128 = 1_000_000_000;
/// Longer than anything here takes; a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn pool_address() -> Address {
    wallet_address(Network::Regtest)
}

fn miner_address(n: u8) -> Address {
    Address::pay_to_key_template(Network::Regtest, [n; 20])
}

fn dev_config() -> DevNodeConfig {
    DevNodeConfig {
        bits: bits_of_work(4),
        pace: None,
        orphan_every: None,
        maturity: 10,
        ..DevNodeConfig::default()
    }
}

const FATE: FateRules = FateRules { confirmations: 11, lost_depth: 8 };

fn node_config(endpoints: Vec<String>) -> NexaNodeConfig {
    NexaNodeConfig {
        timeout: Duration::from_millis(800),
        poll: Duration::from_millis(200),
        probe: Duration::from_millis(40),
        fate: FATE,
        cool_down: CoolDown { first: Duration::from_millis(200), max: Duration::from_millis(400) },
        ..NexaNodeConfig::new(endpoints, Network::Regtest, pool_address())
    }
}

/// A development node, the pool's node client, and the tasks that drive both until the rig is dropped.
struct Rig {
    dev: DevNode,
    node: NexaNode,
    coin: Nexa,
    tasks: JoinSet<()>,
    found: Vec<RawBlock>,
}

impl Rig {
    async fn new() -> Self {
        Self::with(dev_config()).await
    }

    async fn with(config: DevNodeConfig) -> Self {
        let (dev, driver) = DevNode::open(config).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(driver);
        let mut rig = Self {
            node: NexaNode::open(node_config(vec![dev.endpoint()])).unwrap().0,
            dev,
            coin: Nexa::new(Network::Regtest),
            tasks,
            found: vec![],
        };
        let endpoints = vec![rig.dev.endpoint()];
        rig.connect(endpoints).await;
        rig
    }

    /// Another client, as after a restart of the pool.
    async fn connect(&mut self, endpoints: Vec<String>) {
        let (node, driver) = NexaNode::open(node_config(endpoints)).unwrap();
        self.tasks.spawn(driver);
        within(node.ready()).await;
        self.node = node;
    }

    async fn job(&self) -> Arc<NexaJob> {
        let template = within(self.node.template()).await.unwrap();
        self.coin.job(JobId::new(1), Arc::new(template))
    }

    /// A solution of a job that meets the network's target, or one that does not.
    fn search(&self, job: &NexaJob, solved: bool) -> NexaSolution {
        let target = self.coin.network_target(job);
        (0u64..)
            .map(|n| NexaSolution {
                nonce: NexaNonce::new(&[&[1; 4], &n.to_le_bytes()[..]].concat()).unwrap(),
            })
            .find(|solution| self.coin.prove(job, solution).unwrap().meets(target) == solved)
            .unwrap()
    }

    /// A block on the newest candidate, solved and not submitted.
    async fn solve(&self) -> RawBlock {
        let job = self.job().await;
        self.coin.assemble(&job, &self.search(&job, true))
    }

    async fn mine(&mut self) -> BlockId {
        let block = self.solve().await;
        assert_eq!(within(self.node.submit(&block)).await.unwrap(), Submitted::Accepted);
        self.found.push(block.clone());
        block.id
    }

    /// Lets everybody else mine until every found block has a final fate.
    async fn settle(&mut self) -> BTreeMap<BlockId, BlockFate> {
        let mut fates = BTreeMap::new();
        within(async {
            while fates.len() < self.found.len() {
                self.dev.others_find(3);
                for block in &self.found {
                    if fates.contains_key(&block.id) {
                        continue;
                    }
                    let fate = self.node.fate(&block.id).await.unwrap();
                    if fate.is_final() {
                        fates.insert(block.id, fate);
                    }
                }
            }
        })
        .await;
        fates
    }

    fn worth(fates: &BTreeMap<BlockId, BlockFate>) -> u128 {
        fates.values().map(|fate| fate.value().get()).sum()
    }

    fn balance(&self, address: &Address) -> u128 {
        u128::from(self.dev.balance(address))
    }

    fn wallet(&self) -> NexaWallet {
        let rules = WalletRules { coin_age: 1, settle_depth: 4, coins_max: 20, ..WalletRules::default() };
        NexaWallet::new(&self.dev.endpoint(), &self.node, rules).unwrap()
    }

    /// Mines `count` blocks for the pool and lets them mature.
    async fn earn(&mut self, count: usize) {
        for _ in 0..count {
            self.mine().await;
        }
        self.dev.others_find(12);
    }

    /// Lets everybody else mine until a transaction's fate is not pending and not unknown.
    async fn outcome(&self, wallet: &NexaWallet, tx: &SignedTx) -> TxFate {
        within(async {
            loop {
                match wallet.fate(tx).await.unwrap() {
                    TxFate::Unknown | TxFate::Pending { .. } => self.dev.others_find(1),
                    end => return end,
                }
            }
        })
        .await
    }

    /// Waits until there is work again.
    async fn recovered(&self) {
        within(async {
            while self.node.template().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    async fn until_good(&self, place: usize, good: bool) {
        within(async {
            while self.node.status()[place].state.is_ok() != good {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it takes for ever")
}

fn batch(number: u64, items: &[(u8, u128)]) -> PayoutBatch {
    let coin = CoinId::new("nexa").unwrap();
    let mut items: Vec<PayoutItem> = items
        .iter()
        .map(|(n, amount)| PayoutItem {
            miner: MinerId::new(&miner_address(*n).to_string()).unwrap(),
            amount: Amount::new(*amount),
        })
        .collect();
    items.sort_by(|a, b| a.miner.cmp(&b.miner));
    PayoutBatch { id: PayoutId::new(&coin, number), coin, at: Timestamp::from_millis(1), items }
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("poolwright-nexa-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn from_a_candidate_to_a_paid_miner() {
    let mut rig = Rig::new().await;
    let id = rig.mine().await;
    assert_eq!(rig.node.fate(&id).await.unwrap(), BlockFate::Pending { confirmations: 1 });
    let fates = rig.settle().await;
    let BlockFate::Matured { value, placement: Placement::Main, detail } = &fates[&id] else {
        panic!("{fates:?}")
    };
    assert_eq!(value.get(), SUBSIDY);
    assert!(detail.contains("at height 1"), "{detail}");
    let wallet = rig.wallet();
    let tx = within(wallet.sign(&batch(1, &[(1, 700), (2, 123_456)]), &[])).await.unwrap();
    within(wallet.broadcast(&tx)).await.unwrap();
    assert_eq!(rig.outcome(&wallet, &tx).await, TxFate::Settled { fee: tx.fee });
    assert_eq!((rig.balance(&miner_address(1)), rig.balance(&miner_address(2))), (700, 123_456));
    assert_eq!(rig.balance(&pool_address()), SUBSIDY - 700 - 123_456 - tx.fee.get());
}

#[tokio::test]
async fn what_blocks_are_worth_is_what_the_chain_paid_to_the_satoshi() {
    let mut rig = Rig::with(DevNodeConfig { orphan_every: Some(3), ..dev_config() }).await;
    for _ in 0..9 {
        let block = rig.solve().await;
        within(rig.node.submit(&block)).await.unwrap();
        rig.found.push(block);
    }
    let fates = rig.settle().await;
    let lost = fates
        .values()
        .filter(|fate| matches!(fate, BlockFate::Lost { placement: Placement::Orphan, .. }))
        .count();
    assert_eq!(lost, 3, "{fates:?}");
    assert_eq!(Rig::worth(&fates), 6 * SUBSIDY);
    assert_eq!(Rig::worth(&fates), rig.balance(&pool_address()));
}

#[tokio::test]
async fn fees_are_part_of_a_blocks_value() {
    let mut rig = Rig::new().await;
    rig.earn(1).await;
    let wallet = rig.wallet();
    let tx = within(wallet.sign(&batch(1, &[(1, 5_000)]), &[])).await.unwrap();
    within(wallet.broadcast(&tx)).await.unwrap();
    // The transaction waits; the next candidate has it.
    rig.dev.restart();
    rig.found.clear();
    rig.recovered().await;
    rig.mine().await;
    let fates = rig.settle().await;
    assert_eq!(Rig::worth(&fates), SUBSIDY + tx.fee.get());
}

#[tokio::test]
async fn a_reorganisation_takes_blocks_back_and_the_sums_still_agree() {
    let mut rig = Rig::new().await;
    for _ in 0..4 {
        rig.mine().await;
    }
    for block in &rig.found {
        assert!(matches!(rig.node.fate(&block.id).await.unwrap(), BlockFate::Pending { .. }));
    }
    rig.dev.reorganise(2);
    assert_eq!(rig.node.fate(&rig.found[3].id).await.unwrap(), BlockFate::Unknown, "too early to say lost");
    let fates = rig.settle().await;
    assert_eq!(Rig::worth(&fates), 2 * SUBSIDY);
    assert_eq!(Rig::worth(&fates), rig.balance(&pool_address()));
}

#[tokio::test]
async fn a_block_nobody_has_heard_of_is_unknown() {
    let rig = Rig::new().await;
    let unsent = rig.solve().await;
    assert_eq!(within(rig.node.fate(&unsent.id)).await.unwrap(), BlockFate::Unknown);
    rig.dev.others_find(2);
    assert_eq!(within(rig.node.fate(&unsent.id)).await.unwrap(), BlockFate::Unknown);
    rig.dev.others_find(10);
    assert!(matches!(within(rig.node.fate(&unsent.id)).await.unwrap(), BlockFate::Lost { .. }));
}

#[tokio::test]
async fn a_lost_answer_is_found_on_the_chain_and_a_lost_question_is_asked_again() {
    let mut rig = Rig::new().await;
    // Obeyed, and the answer cut off.
    let first = rig.solve().await;
    rig.dev.faults().next(1, "submitminingsolution", Fault::CutAfter);
    assert_eq!(within(rig.node.submit(&first)).await.unwrap(), Submitted::Known);
    // Never arrived: a transient error, and the candidate is still there for the next try.
    let second = rig.solve().await;
    rig.dev.faults().next(1, "submitminingsolution", Fault::Cut);
    let error = within(rig.node.submit(&second)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(within(rig.node.submit(&second)).await.unwrap(), Submitted::Accepted);
    for _ in 0..3 {
        assert_eq!(within(rig.node.submit(&first)).await.unwrap(), Submitted::Known);
        assert_eq!(within(rig.node.submit(&second)).await.unwrap(), Submitted::Known);
    }
    rig.found.extend([first, second]);
    let fates = rig.settle().await;
    assert_eq!(Rig::worth(&fates), 2 * SUBSIDY, "each once");
}

#[tokio::test]
async fn a_wrong_nonce_uses_the_candidate_up_and_is_refused_for_good() {
    let rig = Rig::new().await;
    let job = rig.job().await;
    let wrong = rig.coin.assemble(&job, &rig.search(&job, false));
    let error = within(rig.node.submit(&wrong)).await.unwrap_err();
    assert!(matches!(&error, NodeError::Refused { reason } if reason == "high-hash"), "{error:?}");
    let good = rig.coin.assemble(&job, &rig.search(&job, true));
    let error = within(rig.node.submit(&good)).await.unwrap_err();
    assert!(matches!(&error, NodeError::Refused { .. }) && !error.is_transient(), "{error:?}");
    let fresh = rig.solve().await;
    assert_eq!(within(rig.node.submit(&fresh)).await.unwrap(), Submitted::Accepted);
    let changed = RawBlock { id: BlockId::new([7; 32]), ..fresh.clone() };
    assert!(matches!(within(rig.node.submit(&changed)).await, Err(NodeError::Refused { .. })));
    let cut = RawBlock { bytes: fresh.bytes[..20].to_vec(), ..fresh };
    assert!(matches!(within(rig.node.submit(&cut)).await, Err(NodeError::Refused { .. })));
}

#[tokio::test]
async fn a_candidate_that_the_chain_has_passed_is_refused_in_words() {
    let rig = Rig::new().await;
    let late = rig.solve().await;
    rig.dev.others_find(1);
    rig.job().await;
    let error = within(rig.node.submit(&late)).await.unwrap_err();
    assert!(matches!(&error, NodeError::Refused { reason } if reason.contains("stale")), "{error:?}");
}

#[tokio::test]
async fn two_solutions_of_one_candidate_make_one_block() {
    let rig = Rig::new().await;
    let job = rig.job().await;
    let target = rig.coin.network_target(&job);
    let mut solutions = (0u64..)
        .map(|n| NexaSolution { nonce: NexaNonce::new(&[&[2; 8], &n.to_le_bytes()[..]].concat()).unwrap() })
        .filter(|solution| rig.coin.prove(&job, solution).unwrap().meets(target));
    let blocks = [0; 2].map(|_| rig.coin.assemble(&job, &solutions.next().unwrap()));
    assert_eq!(within(rig.node.submit(&blocks[0])).await.unwrap(), Submitted::Accepted);
    assert!(matches!(within(rig.node.submit(&blocks[1])).await, Err(NodeError::Refused { .. })));
    rig.dev.others_find(12);
    assert!(matches!(within(rig.node.fate(&blocks[0].id)).await.unwrap(), BlockFate::Matured { .. }));
    assert!(matches!(within(rig.node.fate(&blocks[1].id)).await.unwrap(), BlockFate::Lost { .. }));
}

#[tokio::test]
async fn after_a_restart_of_the_pool_an_old_claim_is_made_again() {
    let mut rig = Rig::new().await;
    let block = rig.solve().await;
    let endpoints = vec![rig.dev.endpoint()];
    rig.connect(endpoints).await;
    assert_eq!(within(rig.node.submit(&block)).await.unwrap(), Submitted::Accepted);
    let endpoints = vec![rig.dev.endpoint()];
    rig.connect(endpoints).await;
    assert_eq!(within(rig.node.submit(&block)).await.unwrap(), Submitted::Known);
    rig.found.push(block);
    assert_eq!(Rig::worth(&rig.settle().await), SUBSIDY);
}

#[tokio::test]
async fn after_a_restart_of_both_the_loss_is_said_and_no_other_candidate_is_harmed() {
    let mut rig = Rig::new().await;
    let block = rig.solve().await;
    rig.dev.restart();
    let endpoints = vec![rig.dev.endpoint()];
    rig.connect(endpoints).await;
    // The restarted node gives out the same number for another candidate.
    let live = rig.solve().await;
    let error = within(rig.node.submit(&block)).await.unwrap_err();
    assert!(
        matches!(&error, NodeError::Refused { reason } if reason.contains("cannot be built again")),
        "{error:?}"
    );
    assert_eq!(within(rig.node.submit(&live)).await.unwrap(), Submitted::Accepted);
    rig.dev.others_find(12);
    assert!(matches!(within(rig.node.fate(&block.id)).await.unwrap(), BlockFate::Lost { .. }));
    // And a claim on a node that is no longer configured.
    let (stranger, driver) = DevNode::open(dev_config()).await.unwrap();
    rig.tasks.spawn(driver);
    let unsent = rig.solve().await;
    rig.connect(vec![stranger.endpoint()]).await;
    let error = within(rig.node.submit(&unsent)).await.unwrap_err();
    assert!(
        matches!(&error, NodeError::Refused { reason } if reason.contains("not among the nodes")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_node_that_has_not_caught_up_gives_no_work() {
    let rig = Rig::new().await;
    rig.dev.set_unsynced(true);
    let endpoints = vec![rig.dev.endpoint()];
    let (node, _driver) = NexaNode::open(node_config(endpoints)).unwrap();
    let error = within(node.template()).await.unwrap_err();
    assert!(matches!(error, NodeError::NotSynced), "{error:?}");
    rig.dev.set_unsynced(false);
    assert!(within(node.template()).await.is_ok(), "a node that comes to its senses is asked again");
    for code in [-9, -10, -28] {
        rig.dev.faults().next(1, "getminingcandidate", Fault::Error(RpcFault::new(code, "not now")));
        let error = within(node.template()).await.unwrap_err();
        assert!(matches!(error, NodeError::NotSynced), "{code}: {error:?}");
    }
}

#[tokio::test]
async fn garbage_and_lies_are_errors_and_never_jobs() {
    let rig = Rig::new().await;
    let honest = rig.job().await;
    let hash = hex::encode([9; 32]);
    for lie in [
        json!(null),
        json!({"id": 1}),
        json!({"id": 1, "headerCommitment": "zz", "nBits": "207fffff"}),
        json!({"id": 1, "headerCommitment": hash, "nBits": "2100ffff"}),
    ] {
        rig.dev.faults().next(1, "getminingcandidate", Fault::Answer(lie.clone()));
        let error = within(rig.node.template()).await.unwrap_err();
        assert!(matches!(error, NodeError::Garbage(_)), "{lie}: {error:?}");
    }
    for fault in [Fault::Garbage, Fault::Status(503), Fault::Cut] {
        rig.dev.faults().next(1, "getminingcandidate", fault.clone());
        let error = within(rig.node.template()).await.unwrap_err();
        assert!(error.is_transient(), "{fault:?}: {error:?}");
    }
    assert_eq!(rig.job().await.work().commitment, honest.work().commitment);
    let tailstorm = json!({
        "id": 1, "headerCommitment": hash, "nBits": "207fffff", "previousBlockHash": hash,
    });
    rig.dev.faults().next(1, "getminingcandidate", Fault::Answer(tailstorm));
    let error = within(rig.node.template()).await.unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("tailstorm"), "{error:?}");
}

#[tokio::test]
async fn a_node_whose_candidates_pay_somebody_else_is_found_out_at_its_first_block() {
    let mut rig = Rig::new().await;
    let (second, driver) = rig.dev.another(LOOPBACK).await.unwrap();
    rig.tasks.spawn(driver);
    second.set_wrong_payee(true);
    let endpoints = vec![second.endpoint(), rig.dev.endpoint()];
    rig.connect(endpoints).await;
    let of = |rig: &Rig, dev: &DevNode, job: &NexaJob| {
        let _ = rig;
        job.template().node().ends_with(&dev.address().to_string())
    };
    let stolen = rig.mine().await;
    let job = rig.job().await;
    assert!(of(&rig, &rig.dev, &job), "the honest node is asked first now");
    rig.dev.others_find(12);
    let fate = rig.node.fate(&stolen).await.unwrap();
    assert!(matches!(&fate, BlockFate::Matured { value, .. } if value.is_zero()), "{fate:?}");
}

#[tokio::test]
async fn the_pool_changes_over_from_a_node_that_stalls_or_leaves_and_back() {
    let mut rig = Rig::new().await;
    let (second, driver) = rig.dev.another(LOOPBACK).await.unwrap();
    let serving = rig.tasks.spawn(driver);
    let endpoints = vec![second.endpoint(), rig.dev.endpoint()];
    rig.connect(endpoints).await;
    rig.until_good(0, true).await;
    rig.until_good(1, true).await;
    rig.mine().await;

    second.faults().always(pool_coins::devnode_http::On::Any, Fault::Silence);
    rig.mine().await;
    rig.until_good(0, false).await;
    rig.mine().await;
    second.faults().clear();
    rig.until_good(0, true).await;

    // Both cut, one gone for good: the other is found again.
    rig.dev.disconnect_all();
    second.disconnect_all();
    serving.abort();
    rig.recovered().await;
    within(async {
        // The dead node's last candidate may still be the newest for a moment.
        loop {
            let block = rig.solve().await;
            if rig.node.submit(&block).await.is_ok() {
                rig.found.push(block);
                break;
            }
        }
    })
    .await;
    let fates = rig.settle().await;
    assert_eq!(fates.len(), 4);
    assert_eq!(Rig::worth(&fates), rig.balance(&pool_address()));
}

#[tokio::test]
async fn a_node_that_is_behind_is_not_mined_on() {
    let mut rig = Rig::new().await;
    let (behind, driver) = DevNode::open(dev_config()).await.unwrap();
    rig.tasks.spawn(driver);
    rig.dev.others_find(5);
    let endpoints = vec![behind.endpoint(), rig.dev.endpoint()];
    rig.connect(endpoints).await;
    rig.until_good(1, true).await;
    let job = rig.job().await;
    assert!(job.template().node().ends_with(&rig.dev.address().to_string()));
    assert_eq!(job.template().height(), 6);
}

#[tokio::test]
async fn nodes_that_disagree_decide_nothing() {
    let mut rig = Rig::new().await;
    let (fork, driver) = DevNode::open(dev_config()).await.unwrap();
    rig.tasks.spawn(driver);
    let id = rig.mine().await;
    rig.dev.others_find(12);
    fork.others_find(1);
    let endpoints = vec![rig.dev.endpoint(), fork.endpoint()];
    rig.connect(endpoints).await;
    rig.until_good(0, true).await;
    rig.until_good(1, true).await;
    assert!(
        matches!(rig.node.fate(&id).await.unwrap(), BlockFate::Matured { .. }),
        "the fork is too short to matter"
    );
    fork.others_find(20);
    let error = within(rig.node.fate(&id)).await.unwrap_err();
    assert!(matches!(&error, NodeError::Garbage(why) if why.contains("different blocks")), "{error:?}");
}

#[tokio::test]
async fn a_node_of_another_network_or_without_a_password_is_never_used() {
    let (testnet, driver) =
        DevNode::open(DevNodeConfig { network: Network::Testnet, ..dev_config() }).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(driver);
    let (regtest, driver) = DevNode::open(dev_config()).await.unwrap();
    tasks.spawn(driver);
    // Something that is no HTTP server at all.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nonsense = listener.local_addr().unwrap();
    tasks.spawn(async move {
        use tokio::io::AsyncWriteExt;
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"SSH-2.0-nothing\r\n").await;
        }
    });
    let endpoints = vec![testnet.endpoint(), regtest.address().to_string(), nonsense.to_string()];
    let (node, driver) = NexaNode::open(node_config(endpoints)).unwrap();
    tasks.spawn(driver);
    assert!(within(node.template()).await.is_err());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let states: Vec<String> =
        node.status().into_iter().map(|status| status.state.expect_err("no node is good")).collect();
    assert!(states[0].contains("not on regtest"), "{states:?}");
    assert!(states[1].contains("401"), "{states:?}");
    assert!(NexaNode::open(node_config(vec!["nowhere".into()])).is_err());
    assert!(NexaNode::open(node_config(vec![])).is_err());
    let foreign = Address::pay_to_key_template(Network::Mainnet, [1; 20]);
    let config = NexaNodeConfig { pay_to: foreign, ..node_config(vec!["localhost:1".into()]) };
    assert!(NexaNode::open(config).is_err());
}

#[tokio::test]
async fn news_comes_with_blocks_and_new_candidates_and_not_without() {
    let rig = Rig::new().await;
    let first = rig.job().await;
    assert!(first.work().clean);
    // Nothing happens: no news for three polls.
    let quiet = tokio::time::timeout(Duration::from_millis(700), async {
        // News from before the template was fetched may wake it once.
        rig.node.changed().await;
        rig.job().await;
        rig.node.changed().await;
    });
    assert!(quiet.await.is_err());
    rig.dev.others_find(1);
    within(rig.node.changed()).await;
    let next = rig.job().await;
    assert!(next.work().clean);
    assert_eq!(next.work().height, first.work().height + 1);
    assert_ne!(next.work().commitment, first.work().commitment);
    // Another candidate on the same tip.
    rig.dev.restart();
    within(rig.node.changed()).await;
    rig.recovered().await;
    within(async {
        loop {
            let other = rig.job().await;
            if other.work().commitment != next.work().commitment {
                assert!(!other.work().clean, "older work is still good");
                break;
            }
            rig.node.changed().await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_wallet_signs_without_effect_and_sends_again_and_again() {
    let mut rig = Rig::new().await;
    rig.earn(3).await;
    let wallet = rig.wallet();
    let before = within(wallet.spendable()).await.unwrap();
    assert_eq!(before.get(), 3 * SUBSIDY);
    let one = within(wallet.sign(&batch(1, &[(1, 2_000), (2, 3_000)]), &[])).await.unwrap();
    let same = within(wallet.sign(&batch(1, &[(1, 2_000), (2, 3_000)]), &[])).await.unwrap();
    assert_eq!(one, same, "the same wallet builds the same transaction");
    assert_eq!(within(wallet.spendable()).await.unwrap(), before);
    assert_eq!(within(wallet.fate(&one)).await.unwrap(), TxFate::Unknown);
    let other = within(wallet.sign(&batch(2, &[(3, 4_000)]), std::slice::from_ref(&one))).await.unwrap();
    assert!(other.spends.iter().all(|coin| !one.spends.contains(coin)));
    for _ in 0..3 {
        within(wallet.broadcast(&one)).await.unwrap();
    }
    within(wallet.broadcast(&other)).await.unwrap();
    assert_eq!(within(wallet.fate(&one)).await.unwrap(), TxFate::Pending { confirmations: 0 });
    rig.dev.others_find(1);
    assert_eq!(within(wallet.fate(&one)).await.unwrap(), TxFate::Pending { confirmations: 1 });
    within(wallet.broadcast(&one)).await.unwrap();
    assert_eq!(rig.outcome(&wallet, &one).await, TxFate::Settled { fee: one.fee });
    assert_eq!(rig.outcome(&wallet, &other).await, TxFate::Settled { fee: other.fee });
    within(wallet.broadcast(&one)).await.unwrap();
    let paid = [1, 2, 3].map(|n| rig.balance(&miner_address(n)));
    assert_eq!(paid, [2_000, 3_000, 4_000]);
}

#[tokio::test]
async fn lost_answers_and_a_reorganisation_pay_nobody_twice() {
    let mut rig = Rig::new().await;
    rig.earn(2).await;
    let wallet = rig.wallet();
    let tx = within(wallet.sign(&batch(1, &[(1, 9_000)]), &[])).await.unwrap();
    rig.dev.faults().next(1, "sendrawtransaction", Fault::CutAfter);
    within(wallet.broadcast(&tx)).await.unwrap();
    rig.dev.others_find(2);
    assert_eq!(within(wallet.fate(&tx)).await.unwrap(), TxFate::Pending { confirmations: 2 });
    rig.dev.reorganise(2);
    assert_eq!(within(wallet.fate(&tx)).await.unwrap(), TxFate::Pending { confirmations: 0 });
    rig.dev.faults().next(1, "sendrawtransaction", Fault::Cut);
    within(wallet.broadcast(&tx)).await.unwrap();
    assert_eq!(rig.outcome(&wallet, &tx).await, TxFate::Settled { fee: tx.fee });
    assert_eq!(rig.balance(&miner_address(1)), 9_000);
}

#[tokio::test]
async fn a_transaction_whose_coin_went_elsewhere_is_void_only_when_that_is_final() {
    let mut rig = Rig::new().await;
    rig.earn(1).await;
    let wallet = rig.wallet();
    let tx = within(wallet.sign(&batch(1, &[(1, 9_000)]), &[])).await.unwrap();
    let rival = rig.dev.spend_elsewhere(&tx.spends[0]).unwrap();
    assert!(matches!(within(wallet.broadcast(&tx)).await, Err(WalletError::Refused(_))));
    assert_eq!(within(wallet.fate(&tx)).await.unwrap(), TxFate::Pending { confirmations: 0 });
    let TxFate::Void { detail } = rig.outcome(&wallet, &tx).await else { panic!() };
    assert!(detail.contains(&rival), "{detail}");
    assert_eq!(rig.balance(&miner_address(1)), 0);
    // The same when the transaction had been waiting in the node before.
    let second = within(wallet.sign(&batch(2, &[(1, 9_000)]), &[])).await.unwrap();
    within(wallet.broadcast(&second)).await.unwrap();
    rig.dev.spend_elsewhere(&second.spends[0]).unwrap();
    assert!(matches!(rig.outcome(&wallet, &second).await, TxFate::Void { .. }));
}

#[tokio::test]
async fn what_a_wallet_cannot_do_it_says() {
    let mut rig = Rig::new().await;
    let wallet = rig.wallet();
    let error = within(wallet.sign(&batch(1, &[(1, 9_000)]), &[])).await.unwrap_err();
    assert!(matches!(error, WalletError::Short { .. }), "{error:?}");
    rig.mine().await;
    let error = within(wallet.sign(&batch(1, &[(1, 9_000)]), &[])).await.unwrap_err();
    assert!(matches!(error, WalletError::Short { .. }), "the coinbase is not ripe: {error:?}");
    rig.dev.others_find(12);
    let error = within(wallet.sign(&batch(1, &[(1, 2 * SUBSIDY)]), &[])).await.unwrap_err();
    assert!(
        matches!(&error, WalletError::Short { spendable, .. } if spendable.get() == SUBSIDY),
        "{error:?}"
    );
    let error = within(wallet.sign(&batch(1, &[(1, 545)]), &[])).await.unwrap_err();
    assert!(matches!(error, WalletError::Impossible(_)), "{error:?}");
    let mut foreign = batch(1, &[(1, 1_000)]);
    let mainnet = Address::pay_to_key_template(Network::Mainnet, [1; 20]).to_string();
    foreign.items[0].miner = MinerId::new(&mainnet).unwrap();
    assert!(matches!(within(wallet.sign(&foreign, &[])).await, Err(WalletError::Impossible(_))));
    rig.dev.faults().next(1, "signrawtransaction", Fault::Error(RpcFault::new(-13, "locked")));
    let error = within(wallet.sign(&batch(1, &[(1, 9_000)]), &[])).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    // A node that signs something else than it was given.
    let honest = within(wallet.sign(&batch(1, &[(1, 9_000)]), &[])).await.unwrap();
    let lie = json!({ "hex": hex::encode(&honest.raw), "complete": true });
    rig.dev.faults().next(1, "signrawtransaction", Fault::Answer(lie));
    let error = within(wallet.sign(&batch(2, &[(1, 9_001)]), &[])).await.unwrap_err();
    assert!(error.to_string().contains("another transaction"), "{error:?}");
    let other =
        NexaNode::open(NexaNodeConfig { pay_to: miner_address(5), ..node_config(vec![rig.dev.endpoint()]) });
    let keyless = NexaWallet::new(&rig.dev.endpoint(), &other.unwrap().0, WalletRules::default()).unwrap();
    let error = within(keyless.sign(&batch(1, &[(1, 9_000)]), &[])).await.unwrap_err();
    assert!(
        matches!(&error, WalletError::Impossible(why) if why.contains("does not hold the key")),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_largest_batch_goes_through_and_many_coins_are_joined() {
    let mut rig = Rig::new().await;
    rig.earn(25).await;
    let wallet = rig.wallet();
    let limits = payout_limits(Amount::ZERO);
    let items: Vec<(u8, u128)> = (0..limits.items_max).map(|n| (n as u8, 546 + n as u128)).collect();
    let tx = within(wallet.sign(&batch(1, &items), &[])).await.unwrap();
    within(wallet.broadcast(&tx)).await.unwrap();
    let joined =
        within(wallet.upkeep(std::slice::from_ref(&tx))).await.unwrap().expect("25 coins are too many");
    assert!(joined.spends.iter().all(|coin| !tx.spends.contains(coin)));
    within(wallet.broadcast(&joined)).await.unwrap();
    assert_eq!(rig.outcome(&wallet, &tx).await, TxFate::Settled { fee: tx.fee });
    assert_eq!(rig.outcome(&wallet, &joined).await, TxFate::Settled { fee: joined.fee });
    assert_eq!(rig.balance(&miner_address(249)), 546 + 249);
    assert_eq!(within(wallet.upkeep(&[])).await.unwrap(), None);
    let spent =
        25 * SUBSIDY - tx.fee.get() - joined.fee.get() - items.iter().map(|(_, amount)| amount).sum::<u128>();
    assert_eq!(rig.balance(&pool_address()), spent);
}

#[tokio::test]
async fn a_chain_in_a_folder_goes_on_where_it_was() {
    let folder = Folder::new("folder");
    let config = || DevNodeConfig { data: Some(folder.0.clone()), ..dev_config() };
    let mut rig = Rig::with(config()).await;
    rig.earn(2).await;
    let wallet = rig.wallet();
    let tx = within(wallet.sign(&batch(1, &[(1, 9_000)]), &[])).await.unwrap();
    within(wallet.broadcast(&tx)).await.unwrap();
    rig.dev.reorganise(1);
    let (height, balance, found) = (rig.dev.height(), rig.balance(&pool_address()), rig.found.clone());
    drop(wallet);
    drop(rig);
    // A crash in the middle of a line.
    use std::io::Write;
    let mut file =
        std::fs::OpenOptions::new().append(true).open(folder.0.join("devnode-nexa.chain")).unwrap();
    file.write_all(b"b 0011").unwrap();
    let mut rig = Rig::with(config()).await;
    assert_eq!((rig.dev.height(), rig.balance(&pool_address())), (height, balance));
    rig.found = found;
    let fates = rig.settle().await;
    assert_eq!(Rig::worth(&fates), 2 * SUBSIDY);
    let wallet = rig.wallet();
    assert_eq!(rig.outcome(&wallet, &tx).await, TxFate::Settled { fee: tx.fee });
    let other = DevNode::open(DevNodeConfig { maturity: 11, ..config() }).await;
    assert!(other.is_err(), "a folder of another chain is refused");
}
