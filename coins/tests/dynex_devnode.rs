//! The real node client and wallet against the development node, over its real protocols on loopback.

#![cfg(all(feature = "dynex", feature = "devnode", feature = "wallet"))]
#![allow(clippy::unwrap_used)]

use pool_coins::devnode_http::Fault;
use pool_coins::dynex::Dynex;
use pool_coins::dynex::address::Address;
use pool_coins::dynex::blob::Block;
use pool_coins::dynex::coin::DynexJob;
use pool_coins::dynex::devnode::{DevNode, DevNodeConfig, DevNodeError, toy_address};
use pool_coins::dynex::fate::FateRules;
use pool_coins::dynex::node::{DynexNode, DynexNodeConfig};
use pool_coins::dynex::params::{COIN, FEE, Network};
use pool_coins::dynex::wallet::{DynexWallet, WalletRpc, WalletRules, payout_limits};
use pool_coins::failover::CoolDown;
use pool_core::block::{BlockFate, Placement};
use pool_core::coin::{Coin, Node, NodeError, RawBlock, Submitted, Wallet, WalletError};
use pool_core::id::{BlockId, CoinId, JobId, MinerId, PayoutId};
use pool_core::payout::{PayoutBatch, PayoutItem, SignedTx, TxFate};
use pool_core::time::Timestamp;
use pool_core::units::Amount;
use pool_stratum::dialect::dynex::{DynexSolution, Pouw};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;

/// Longer than anything here takes; a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(120);
const MATURITY: u64 = 4;
const FATE: FateRules = FateRules { confirmations: 4, lost_depth: 6 };

fn pool() -> Address {
    toy_address(1)
}

fn dev_config() -> DevNodeConfig {
    DevNodeConfig {
        difficulty: 3,
        pace: None,
        maturity: MATURITY,
        spendable_age: 1,
        ..DevNodeConfig::new(pool())
    }
}

fn node_config(endpoints: &[SocketAddr]) -> DynexNodeConfig {
    DynexNodeConfig {
        maturity: MATURITY,
        timeout: Duration::from_millis(800),
        poll: Duration::from_millis(50),
        refresh: Duration::from_secs(2),
        cool_down: CoolDown { first: Duration::from_millis(100), max: Duration::from_millis(300) },
        fate: FATE,
        ..DynexNodeConfig::new(endpoints.iter().map(ToString::to_string).collect(), Network::Devnet, pool())
    }
}

/// A development node, the pool's node client, and the tasks that drive both until the rig is dropped.
struct Rig {
    dev: DevNode,
    node: DynexNode,
    coin: Dynex,
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
        let (node, driver) = DynexNode::open(node_config(&[dev.address()])).unwrap();
        tasks.spawn(driver);
        within(node.ready()).await;
        Self { dev, node, coin: Dynex::new(Network::Devnet), tasks, found: vec![] }
    }

    async fn job(&self) -> Arc<DynexJob> {
        let template = within(self.node.template()).await.unwrap();
        self.coin.job(JobId::new(1), Arc::new(template))
    }

    /// A solution of the newest template by a connection with this extranonce.
    fn solution(&self, job: &DynexJob, extranonce: u32) -> DynexSolution {
        let target = self.coin.network_target(job);
        (0u32..)
            .map(|nonce| {
                let nonce = nonce.to_le_bytes();
                let result = self.coin.hash(&job.template().hashing_blob(extranonce, nonce));
                DynexSolution { extranonce, nonce, result, pouw: Pouw::default() }
            })
            .find(|solution| self.coin.prove(job, solution).is_ok_and(|proof| proof.meets(target)))
            .unwrap()
    }

    /// A block on the newest template, solved and not submitted.
    async fn solve(&self) -> RawBlock {
        let job = self.job().await;
        self.coin.assemble(&job, &self.solution(&job, 0x0102_0304))
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
                self.dev.others_find(2);
                for block in &self.found {
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

    fn paid(&self) -> u128 {
        u128::from(self.dev.balance(&pool()))
    }

    fn wallet(&self) -> DynexWallet {
        let rpc = WalletRpc { endpoint: self.dev.wallet_address().to_string(), login: None };
        let rules =
            WalletRules { settle_depth: 3, timeout: Duration::from_millis(800), ..WalletRules::default() };
        DynexWallet::new(&rpc, &self.node, rules).unwrap()
    }

    /// Mines `count` blocks for the pool and lets them mature.
    async fn earn(&mut self, count: usize) {
        for _ in 0..count {
            self.mine().await;
        }
        self.dev.others_find(6);
    }

    /// Lets everybody else mine until a transaction's fate is not pending and not unknown.
    async fn outcome(&self, wallet: &DynexWallet, tx: &SignedTx) -> TxFate {
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
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it takes for ever")
}

fn batch(number: u64, items: &[(u32, u128)]) -> PayoutBatch {
    let items: Vec<(String, u128)> =
        items.iter().map(|(n, amount)| (toy_address(*n).to_string(), *amount)).collect();
    batch_of(number, &items)
}

fn batch_of(number: u64, items: &[(String, u128)]) -> PayoutBatch {
    let coin = CoinId::new("dynex").unwrap();
    let mut items: Vec<PayoutItem> = items
        .iter()
        .map(|(miner, amount)| PayoutItem {
            miner: MinerId::new(miner).unwrap(),
            amount: Amount::new(*amount),
        })
        .collect();
    items.sort_by(|a, b| a.miner.cmp(&b.miner));
    PayoutBatch { id: PayoutId::new(&coin, number), coin, at: Timestamp::from_millis(1), items }
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("poolwright-dynex-{name}-{}", std::process::id()));
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
async fn what_blocks_are_worth_is_what_the_chain_paid_to_the_last_unit() {
    let mut rig = Rig::new().await;
    for round in 0..6 {
        rig.mine().await;
        if round % 2 == 0 {
            rig.dev.others_find(1);
        }
    }
    let fates = rig.settle().await;
    assert_eq!(fates.len(), 6);
    assert!(
        fates.values().all(|fate| matches!(fate, BlockFate::Matured { placement: Placement::Main, .. })),
        "{fates:?}"
    );
    assert_eq!(Rig::worth(&fates), rig.paid());
    assert!(Rig::worth(&fates) > 6 * 95 * u128::from(COIN));
}

#[tokio::test]
async fn a_reorganisation_loses_blocks_and_the_sums_still_agree() {
    let mut rig = Rig::new().await;
    rig.dev.others_find(2);
    for _ in 0..3 {
        rig.mine().await;
    }
    for block in &rig.found {
        assert!(matches!(rig.node.fate(&block.id).await.unwrap(), BlockFate::Pending { .. }));
    }
    rig.dev.reorganise(2);
    rig.mine().await;
    let fates = rig.settle().await;
    let lost = fates
        .values()
        .filter(|fate| matches!(fate, BlockFate::Lost { placement: Placement::Orphan, .. }))
        .count();
    assert_eq!((lost, fates.len()), (2, 4), "{fates:?}");
    assert_eq!(Rig::worth(&fates), rig.paid());
}

#[tokio::test]
async fn a_template_follows_the_tip_and_says_when_older_work_is_worthless() {
    let rig = Rig::new().await;
    let first = within(rig.node.template()).await.unwrap();
    assert!(first.is_clean());
    let again = within(rig.node.template()).await.unwrap();
    assert!(!again.is_clean() && again.previous() == first.previous());
    let changed = rig.node.changed();
    rig.dev.others_find(1);
    within(changed).await;
    let next = within(rig.node.template()).await.unwrap();
    assert!(next.is_clean() && next.height() == first.height() + 1);
}

#[tokio::test]
async fn two_connections_never_work_on_the_same_block() {
    let rig = Rig::new().await;
    let job = rig.job().await;
    let (one, other) = (rig.solution(&job, 1), rig.solution(&job, 2));
    let blocks = [&one, &other].map(|solution| rig.coin.assemble(&job, solution));
    assert_ne!(blocks[0].id, blocks[1].id);
    for raw in &blocks {
        let block = Block::parse(&raw.bytes).unwrap();
        assert_eq!(BlockId::new(block.id()), raw.id);
        assert!(pool_coins::dynex::tx::pays(&block.coinbase, &pool()).is_ok());
    }
    assert_eq!(within(rig.node.submit(&blocks[0])).await.unwrap(), Submitted::Accepted);
    // The second is beside the chain: the node has it, and says "not accepted".
    assert_eq!(within(rig.node.submit(&blocks[1])).await.unwrap(), Submitted::Known);
}

#[tokio::test]
async fn submitting_again_and_losing_answers_changes_nothing() {
    let mut rig = Rig::new().await;
    let block = rig.solve().await;
    rig.dev.line_faults().next(1, "submitblock", Fault::CutAfter);
    let outcome = within(rig.node.submit(&block)).await.unwrap();
    assert!(matches!(outcome, Submitted::Accepted | Submitted::Known));
    for _ in 0..3 {
        assert_eq!(within(rig.node.submit(&block)).await.unwrap(), Submitted::Known);
    }
    rig.found.push(block);
    let fates = rig.settle().await;
    assert_eq!(Rig::worth(&fates), rig.paid());
    assert!(Rig::worth(&fates) < 96 * u128::from(COIN), "once");
}

#[tokio::test]
async fn a_block_that_the_authority_refuses_stays_open_and_is_listed() {
    let mut rig = Rig::new().await;
    rig.dev.others_find(1);
    rig.dev.faults().unauthorised.store(true, Ordering::Relaxed);
    let block = rig.solve().await;
    let error = within(rig.node.submit(&block)).await.unwrap_err();
    assert!(error.is_transient(), "the authority may think better of it: {error:?}");
    let listed = rig.node.unauthorised();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].id, listed[0].height), (block.id, block.height));
    assert!(listed[0].words.contains("not accepted"), "{listed:?}");
    assert_eq!(within(rig.node.fate(&block.id)).await.unwrap(), BlockFate::Unknown);

    // It does: the block is taken, and nothing is listed any more.
    rig.dev.faults().unauthorised.store(false, Ordering::Relaxed);
    assert_eq!(within(rig.node.submit(&block)).await.unwrap(), Submitted::Accepted);
    assert!(rig.node.unauthorised().is_empty());
    rig.found.push(block);

    // It does not: somebody else's block takes the place, and that is final, with the reason.
    rig.dev.faults().unauthorised.store(true, Ordering::Relaxed);
    let refused = rig.solve().await;
    assert!(within(rig.node.submit(&refused)).await.is_err());
    rig.dev.faults().unauthorised.store(false, Ordering::Relaxed);
    rig.dev.others_find(1);
    rig.found.push(refused.clone());
    let fates = rig.settle().await;
    match &fates[&refused.id] {
        BlockFate::Lost { placement: Placement::Orphan, detail } => {
            assert!(detail.contains("not authorised"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(Rig::worth(&fates), rig.paid());
    // A late try is refused for good.
    let error = within(rig.node.submit(&refused)).await;
    assert!(matches!(error, Ok(Submitted::Known) | Err(NodeError::Refused { .. })), "{error:?}");
}

#[tokio::test]
async fn a_block_with_a_wrong_nonce_or_changed_bytes_is_never_taken() {
    let rig = Rig::new().await;
    let job = rig.job().await;
    let good = rig.solution(&job, 7);
    rig.dev.others_find(1);
    let late = rig.coin.assemble(&job, &DynexSolution { nonce: [0xff; 4], ..good });
    // The chain has moved on: whatever else is wrong with it, its place is taken.
    let error = within(rig.node.submit(&late)).await.unwrap_err();
    assert!(matches!(error, NodeError::Refused { .. }) && !error.is_transient(), "{error}");
    let broken = RawBlock { id: BlockId::new([1; 32]), bytes: vec![1, 2, 3], height: 2 };
    let error = within(rig.node.submit(&broken)).await.unwrap_err();
    assert!(matches!(error, NodeError::Refused { .. }), "{error}");
    assert!(rig.node.unauthorised().is_empty());
}

#[tokio::test]
async fn a_block_whose_parent_the_node_lacks_is_not_refused_for_good() {
    let rig = Rig::new().await;
    let mut other = Rig::new().await;
    other.mine().await;
    let foreign = other.solve().await;
    let error = within(rig.node.submit(&foreign)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_block_nobody_has_heard_of_is_unknown_until_its_place_is_known() {
    let mut rig = Rig::new().await;
    let unsent = rig.solve().await;
    assert_eq!(within(rig.node.fate(&BlockId::new([9; 32]))).await.unwrap(), BlockFate::Unknown);
    rig.dev.others_find(12);
    assert_eq!(within(rig.node.fate(&unsent.id)).await.unwrap(), BlockFate::Unknown);
    // As a pool does at its start with every open block of its book.
    rig.node.expect(unsent.id, unsent.height);
    rig.found.push(unsent.clone());
    let fates = rig.settle().await;
    assert!(matches!(fates[&unsent.id], BlockFate::Lost { placement: Placement::Orphan, .. }), "{fates:?}");
}

#[tokio::test]
async fn a_node_that_has_not_caught_up_gives_no_work_and_takes_no_block_for_good() {
    let rig = Rig::new().await;
    let block = rig.solve().await;
    rig.dev.faults().busy.store(true, Ordering::Relaxed);
    assert!(matches!(within(rig.node.template()).await, Err(NodeError::NotSynced)));
    assert!(within(rig.node.submit(&block)).await.unwrap_err().is_transient());
    rig.dev.faults().busy.store(false, Ordering::Relaxed);
    assert_eq!(within(rig.node.submit(&block)).await.unwrap(), Submitted::Accepted);
}

#[tokio::test]
async fn garbage_and_lies_are_errors_and_never_jobs() {
    let rig = Rig::new().await;
    let faults = rig.dev.line_faults();
    faults.next(1, "getblocktemplate", Fault::Garbage);
    assert!(matches!(within(rig.node.template()).await, Err(NodeError::Garbage(_))));
    let empty = serde_json::json!({"status": "OK"});
    faults.next(1, "getblocktemplate", Fault::Answer(empty));
    assert!(matches!(within(rig.node.template()).await, Err(NodeError::Garbage(_))));
    rig.dev.faults().wrong_payee.store(true, Ordering::Relaxed);
    let error = within(rig.node.template()).await.unwrap_err();
    assert!(error.to_string().contains("not seen to pay the pool"), "{error}");
    rig.dev.faults().wrong_payee.store(false, Ordering::Relaxed);
    assert!(within(rig.node.template()).await.is_ok(), "a node that comes to its senses is asked again");
}

#[tokio::test]
async fn a_lie_about_a_blocks_reward_decides_nothing() {
    let mut rig = Rig::new().await;
    let id = rig.mine().await;
    rig.dev.others_find(8);
    let height = rig.found[0].height;
    let lie = serde_json::json!({"block_header": {
        "hash": id.to_string(), "prev_hash": "00".repeat(32), "height": height, "orphan_status": false,
        "reward": 1,
    }});
    rig.dev.line_faults().next(1, "getblockheaderbyhash", Fault::Answer(lie));
    assert!(matches!(within(rig.node.fate(&id)).await, Err(NodeError::Garbage(_))));
    assert!(within(rig.node.fate(&id)).await.unwrap().is_final());
}

#[tokio::test]
async fn the_pool_changes_over_from_a_node_that_lies_stalls_lags_or_leaves_and_back() {
    let mut rig = Rig::new().await;
    let (second, driver) = rig.dev.another(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let serving = rig.tasks.spawn(driver);
    let (node, driver) = DynexNode::open(node_config(&[second.address(), rig.dev.address()])).unwrap();
    rig.tasks.spawn(driver);
    rig.node = node;
    within(rig.node.ready()).await;
    rig.mine().await;

    second.faults().wrong_payee.store(true, Ordering::Relaxed);
    rig.mine().await;
    second.faults().wrong_payee.store(false, Ordering::Relaxed);

    second.line_faults().always("getblocktemplate", Fault::Silence);
    rig.mine().await;
    assert!(rig.node.status()[0].faults > 0);
    second.line_faults().clear();

    // Four blocks behind: the watch finds out, and asks the other first.
    rig.dev.others_find(4);
    second.faults().behind.store(4, Ordering::Relaxed);
    within(async {
        while rig.node.template().await.unwrap().height() != rig.dev.height() + 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    second.faults().behind.store(0, Ordering::Relaxed);

    rig.dev.disconnect_all();
    second.disconnect_all();
    serving.abort();
    within(async {
        while rig.node.template().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    rig.mine().await;
    let fates = rig.settle().await;
    assert_eq!(fates.len(), 4);
    assert_eq!(Rig::worth(&fates), rig.paid());
}

#[tokio::test]
async fn a_node_of_another_network_is_never_used() {
    let rig = Rig::new().await;
    let config = DynexNodeConfig { network: Network::Mainnet, ..node_config(&[rig.dev.address()]) };
    let (node, _driver) = DynexNode::open(config).unwrap();
    let error = within(node.template()).await.unwrap_err();
    assert!(error.to_string().contains("another network"), "{error}");
    assert!(DynexNode::open(node_config(&[])).is_err());
    let bad = DynexNodeConfig { endpoints: vec!["no port".into()], ..node_config(&[]) };
    assert!(DynexNode::open(bad).is_err());
}

#[tokio::test]
async fn a_payout_is_signed_without_effect_sent_again_and_settles() {
    let mut rig = Rig::new().await;
    rig.earn(2).await;
    let wallet = rig.wallet();
    let before = within(wallet.spendable()).await.unwrap();
    assert_eq!(before.get(), rig.paid());
    let batch = batch(1, &[(11, 5 * u128::from(COIN)), (12, 7 * u128::from(COIN))]);
    let tx = within(wallet.sign(&batch, &[])).await.unwrap();
    assert_eq!(tx.fee.get(), u128::from(FEE));
    assert_eq!(rig.paid(), before.get(), "signing changes nothing in the world");
    assert_eq!(within(wallet.fate(&tx)).await.unwrap(), TxFate::Unknown);
    for _ in 0..3 {
        within(wallet.broadcast(&tx)).await.unwrap();
    }
    assert!(matches!(within(wallet.fate(&tx)).await.unwrap(), TxFate::Pending { .. }));
    let end = rig.outcome(&wallet, &tx).await;
    assert_eq!(end, TxFate::Settled { fee: Amount::new(u128::from(FEE)) });
    assert_eq!(rig.dev.balance(&toy_address(11)), 5 * COIN);
    assert_eq!(rig.dev.balance(&toy_address(12)), 7 * COIN);
    within(wallet.broadcast(&tx)).await.unwrap();
    rig.dev.others_find(2);
    assert_eq!(rig.dev.balance(&toy_address(11)), 5 * COIN, "once");
}

#[tokio::test]
async fn a_lost_answer_at_any_step_of_a_payout_neither_pays_twice_nor_loses() {
    let mut rig = Rig::new().await;
    rig.earn(3).await;
    let wallet = rig.wallet();
    for (step, method) in
        ["createDelayedTransaction", "save", "sendDelayedTransaction"].into_iter().enumerate()
    {
        let miner = 20 + u32::try_from(step).unwrap();
        let batch = batch(1 + step as u64, &[(miner, u128::from(COIN))]);
        rig.dev.wallet_faults().next(1, method, Fault::CutAfter);
        let tx = within(async {
            loop {
                // Not attached, so nobody knows of it: the next try starts over.
                if let Ok(tx) = wallet.sign(&batch, &[]).await {
                    return tx;
                }
            }
        })
        .await;
        within(async { while wallet.broadcast(&tx).await.is_err() {} }).await;
        assert!(matches!(rig.outcome(&wallet, &tx).await, TxFate::Settled { .. }));
        assert_eq!(rig.dev.balance(&toy_address(miner)), COIN, "{method}");
    }
}

#[tokio::test]
async fn what_was_made_and_never_written_down_locks_no_coins() {
    let mut rig = Rig::new().await;
    rig.earn(2).await;
    let wallet = rig.wallet();
    let kept = within(wallet.sign(&batch(1, &[(11, 90 * u128::from(COIN))]), &[])).await.unwrap();
    // Made, and the pool crashed before it was written down.
    let second = batch(2, &[(12, 90 * u128::from(COIN))]);
    let open = std::slice::from_ref(&kept);
    let stray = within(wallet.sign(&second, open)).await.unwrap();
    assert!(within(wallet.spendable()).await.unwrap().is_zero());
    let again = within(wallet.sign(&second, open)).await.unwrap();
    assert_ne!(again.id, stray.id);
    within(wallet.broadcast(&kept)).await.unwrap();
    within(wallet.broadcast(&again)).await.unwrap();
    let refused = within(wallet.broadcast(&stray)).await;
    assert!(matches!(refused, Err(WalletError::Refused(_))), "{refused:?}");
    let void = within(wallet.fate(&stray)).await.unwrap();
    assert!(matches!(void, TxFate::Void { .. }), "{void:?}");
    assert!(matches!(rig.outcome(&wallet, &kept).await, TxFate::Settled { .. }));
    assert!(matches!(rig.outcome(&wallet, &again).await, TxFate::Settled { .. }));
    assert_eq!(rig.dev.balance(&toy_address(12)), 90 * COIN);
}

#[tokio::test]
async fn batches_that_cannot_be_paid_say_why() {
    let mut rig = Rig::new().await;
    let wallet = rig.wallet();
    let short = within(wallet.sign(&batch(1, &[(11, u128::from(COIN))]), &[])).await;
    assert!(matches!(short, Err(WalletError::Short { spendable, .. }) if spendable.is_zero()), "{short:?}");
    rig.earn(1).await;
    let id = "ab".repeat(32);
    let with_id = |n: u32| format!("{}#{id}", toy_address(n));
    for (items, words) in [
        (vec![(pool().to_string(), 5)], "own address"),
        (vec![("nobody".to_owned(), 5)], "nobody"),
        (vec![(with_id(11), 5), (toy_address(12).to_string(), 5)], "alone"),
        (vec![(with_id(11), 5), (toy_address(11).to_string(), 5)], "twice"),
        (vec![(toy_address(11).to_string(), u128::MAX)], "more than there can be"),
    ] {
        match within(wallet.sign(&batch_of(1, &items), &[])).await {
            Err(WalletError::Impossible(why)) => assert!(why.contains(words), "{why}"),
            other => panic!("{words}: {other:?}"),
        }
    }
    let alone = batch_of(2, &[(with_id(11), u128::from(COIN))]);
    let tx = within(wallet.sign(&alone, &[])).await.unwrap();
    within(wallet.broadcast(&tx)).await.unwrap();
    assert!(matches!(rig.outcome(&wallet, &tx).await, TxFate::Settled { .. }));
    assert_eq!(rig.dev.balance(&toy_address(11)), COIN);
    let many = payout_limits(Amount::ZERO).items_max;
    let items: Vec<_> = (0..many as u32).map(|n| (100 + n, 1_000)).collect();
    assert!(within(wallet.sign(&batch(3, &items), &[])).await.is_ok(), "{many} fit into one transaction");
}

#[tokio::test]
async fn a_wallet_of_somebody_else_is_not_paid_from() {
    let rig = Rig::with(DevNodeConfig { wallet: toy_address(77), ..dev_config() }).await;
    let error = within(rig.wallet().sign(&batch(1, &[(11, 1)]), &[])).await.unwrap_err();
    assert!(error.to_string().contains("does not hold"), "{error}");
}

#[tokio::test]
async fn a_restart_goes_on_with_the_same_chain_and_the_same_wallet() {
    let folder = Folder::new("restart");
    let config = || DevNodeConfig { data: Some(folder.0.clone()), ..dev_config() };
    let (height, balance, kept, found);
    {
        let mut rig = Rig::with(config()).await;
        rig.earn(2).await;
        rig.dev.reorganise(1);
        let wallet = rig.wallet();
        let sent = within(wallet.sign(&batch(1, &[(11, u128::from(COIN))]), &[])).await.unwrap();
        within(wallet.broadcast(&sent)).await.unwrap();
        rig.dev.others_find(1);
        kept = within(wallet.sign(&batch(2, &[(12, u128::from(COIN))]), &[])).await.unwrap();
        (height, balance) = (rig.dev.height(), rig.dev.balance(&pool()));
        found = std::mem::take(&mut rig.found);
        rig.tasks.shutdown().await;
    }
    let mut rig = Rig::with(config()).await;
    assert_eq!((rig.dev.height(), rig.dev.balance(&pool())), (height, balance));
    assert_eq!(rig.dev.balance(&toy_address(11)), COIN);
    let wallet = rig.wallet();
    assert_eq!(within(wallet.fate(&kept)).await.unwrap(), TxFate::Unknown, "kept, and not sent");
    within(wallet.broadcast(&kept)).await.unwrap();
    assert!(matches!(rig.outcome(&wallet, &kept).await, TxFate::Settled { .. }));
    rig.found = found;
    assert_eq!(rig.settle().await.len(), 2);
    drop(rig);
    let other = DevNodeConfig { difficulty: 9, ..config() };
    assert!(matches!(DevNode::open(other).await, Err(DevNodeError::Journal(_))));
}
