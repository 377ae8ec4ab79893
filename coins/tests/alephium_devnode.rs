//! The real node client and wallet against the development node, over its real protocols on loopback.

#![cfg(all(feature = "alephium", feature = "devnode", feature = "wallet"))]
#![allow(clippy::unwrap_used)]

use pool_coins::alephium::Alephium;
use pool_coins::alephium::address::Address;
use pool_coins::alephium::chain::{ChainIndex, Group};
use pool_coins::alephium::coin::AlephiumJob;
use pool_coins::alephium::devnode::{DevNode, DevNodeConfig, DevNodeError, Weather, bits_of_work};
use pool_coins::alephium::fate::FateRules;
use pool_coins::alephium::node::{AlephiumNode, AlephiumNodeConfig};
use pool_coins::alephium::params::{ALPH, Network};
use pool_coins::alephium::wallet::{AlephiumWallet, WalletKeys, WalletRules};
use pool_coins::alephium::wire::Layout;
use pool_coins::devnode_http::Fault;
use pool_core::block::{BlockFate, Placement};
use pool_core::coin::{Coin, Node, NodeError, RawBlock, Submitted, Wallet, WalletError};
use pool_core::id::{BlockId, CoinId, JobId, MinerId, PayoutId};
use pool_core::payout::{PayoutBatch, PayoutItem, SignedTx, TxFate};
use pool_core::time::Timestamp;
use pool_core::units::Amount;
use pool_stratum::dialect::alephium::{AlephiumPuzzle, AlephiumSolution};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;

/// Longer than anything here takes; a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(60);
const REWARD: u128 = 143_317_807_237_549_265;

fn keys(n: u8) -> WalletKeys {
    WalletKeys::from_text(&format!("{}{n:02x}", "0".repeat(62))).unwrap()
}

fn dev_config() -> DevNodeConfig {
    DevNodeConfig {
        bits: bits_of_work(2),
        pace: None,
        lock: Duration::from_millis(300),
        weather: Weather::default(),
        push: Duration::from_millis(20),
        ..DevNodeConfig::new(keys(1).addresses())
    }
}

fn node_config(nodes: &[&DevNode]) -> AlephiumNodeConfig {
    AlephiumNodeConfig {
        timeout: Duration::from_millis(800),
        poll: Duration::from_millis(300),
        silence_max: Duration::from_secs(5),
        probe: Duration::from_millis(200),
        fate: FateRules { lost_depth: 12, ..DevNodeConfig::fate_rules() },
        ..AlephiumNodeConfig::new(
            nodes.iter().map(|node| node.endpoint()).collect(),
            Network::Devnet,
            keys(1).addresses(),
        )
    }
}

/// A development node, the pool's node client, and the tasks that drive both until the rig is dropped.
struct Rig {
    dev: DevNode,
    node: AlephiumNode,
    tasks: JoinSet<()>,
    found: Vec<RawBlock>,
    turn: usize,
}

impl Rig {
    async fn new() -> Self {
        Self::with(dev_config()).await
    }

    async fn with(config: DevNodeConfig) -> Self {
        let (dev, driver) = DevNode::open(config).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(driver);
        let (node, driver) = AlephiumNode::open(node_config(&[&dev])).unwrap();
        tasks.spawn(driver);
        within(node.ready()).await;
        Self { dev, node, tasks, found: vec![], turn: 0 }
    }

    async fn job(&self) -> Arc<AlephiumJob> {
        let template = within(async {
            loop {
                match self.node.template().await {
                    Ok(template) => return template,
                    Err(error) => assert!(error.is_transient(), "{error:?}"),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        Alephium.job(JobId::new(1), Arc::new(template))
    }

    /// A block on the newest templates, of one chain after the other, solved and not submitted.
    async fn solve(&mut self) -> RawBlock {
        within(async {
            loop {
                let job = self.job().await;
                self.turn += 1;
                let chain = ChainIndex::of_place(job.live()[self.turn % job.live().len()]).unwrap();
                // Where every template made its block already, the node has news soon.
                if !job.template().of(chain).unwrap().used().is_marked() {
                    return solve(&job, chain.place(), 0);
                }
                self.node.changed().await;
            }
        })
        .await
    }

    async fn mine(&mut self) -> BlockId {
        for _ in 0..100 {
            let block = self.solve().await;
            match within(self.node.submit(&block)).await {
                // Known, where a verdict was lost or another node was faster.
                Ok(Submitted::Accepted | Submitted::Known) => {
                    self.found.push(block.clone());
                    return block.id;
                }
                // The template was used up between the answer and the block.
                Err(NodeError::Refused { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the node refuses every block");
    }

    /// Lets everybody else mine until every found block has a final fate.
    async fn settle(&mut self) -> BTreeMap<BlockId, BlockFate> {
        let mut fates = BTreeMap::new();
        within(async {
            while fates.len() < self.found.len() {
                self.dev.others_find(16);
                tokio::time::sleep(Duration::from_millis(150)).await;
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

    /// What the chains paid to all four addresses.
    fn paid(&self) -> u128 {
        keys(1).addresses().all().iter().map(|address| self.dev.balance(address)).sum()
    }

    fn wallet(&self) -> AlephiumWallet {
        let rules = WalletRules {
            chain_confirmations: 2,
            group_confirmations: 2,
            coins_max: 6,
            ..WalletRules::default()
        };
        AlephiumWallet::new(keys(1), &self.node, rules).unwrap()
    }

    /// Mines `count` blocks for the pool and lets their rewards unlock.
    async fn earn(&mut self, count: usize) {
        for _ in 0..count {
            self.mine().await;
        }
        // A block that came late is named as an uncle by now, and its reward is locked from now on.
        self.dev.others_find(48);
        tokio::time::sleep(Duration::from_millis(350)).await;
        self.dev.others_find(16);
    }

    /// Lets everybody else mine until a transaction's fate is not pending and not unknown.
    async fn outcome(&self, wallet: &AlephiumWallet, tx: &SignedTx) -> TxFate {
        within(async {
            loop {
                match wallet.fate(tx).await.unwrap() {
                    TxFate::Unknown | TxFate::Pending { .. } => self.dev.others_find(16),
                    end => return end,
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }
}

/// The `skip`th block of a chain of a job.
fn solve(job: &Arc<AlephiumJob>, chain: u8, skip: usize) -> RawBlock {
    let solution = |count: u64| {
        let mut nonce = [0; 24];
        nonce[16..].copy_from_slice(&count.to_be_bytes());
        AlephiumSolution { chain, nonce }
    };
    let solves = |solution: &AlephiumSolution| {
        let target = Alephium.network_target_of(job, solution);
        Alephium.prove(job, solution).is_ok_and(|proof| proof.meets(target))
    };
    let found = (0..).map(solution).filter(solves).nth(skip).unwrap();
    Alephium.assemble(job, &found)
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it takes for ever")
}

async fn until(mut done: impl FnMut() -> bool) {
    within(async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Addresses of miners: number `n`, of a group.
fn miner(n: u8, group: u8) -> Address {
    keys(n).addresses().of(Group::new(group).unwrap()).clone()
}

fn batch(number: u64, items: &[(Address, u128)]) -> PayoutBatch {
    let coin = CoinId::new("alephium").unwrap();
    let mut items: Vec<PayoutItem> = items
        .iter()
        .map(|(address, amount)| PayoutItem {
            miner: MinerId::new(&address.to_string()).unwrap(),
            amount: Amount::new(*amount),
        })
        .collect();
    items.sort_by(|a, b| a.miner.cmp(&b.miner));
    PayoutBatch { id: PayoutId::new(&coin, number), coin, at: Timestamp::from_millis(1), items }
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("poolwright-alephium-{name}-{}", std::process::id()));
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
async fn what_blocks_are_worth_is_what_the_chains_paid_to_the_atto() {
    let weather = Weather { uncle: 300, orphan: 150 };
    let mut rig = Rig::with(DevNodeConfig { weather, seed: 7, ..dev_config() }).await;
    for round in 0..30 {
        rig.mine().await;
        if round % 3 == 0 {
            rig.dev.others_find(5);
        }
    }
    let fates = rig.settle().await;
    let count = |wanted: Placement| {
        let placed = |fate: &&BlockFate| match fate {
            BlockFate::Matured { placement, .. } | BlockFate::Lost { placement, .. } => *placement == wanted,
            BlockFate::Unknown | BlockFate::Pending { .. } => false,
        };
        fates.values().filter(placed).count()
    };
    assert_eq!(count(Placement::Main) + count(Placement::Uncle) + count(Placement::Orphan), 30);
    assert!(
        count(Placement::Main) > 0 && count(Placement::Uncle) > 0 && count(Placement::Orphan) > 0,
        "{fates:?}"
    );
    assert_eq!(Rig::worth(&fates), rig.paid());
    let chains: BTreeSet<u8> =
        rig.found.iter().map(|block| ChainIndex::of_hash(block.id.bytes()).place()).collect();
    assert!(chains.len() > 8, "blocks of many chains: {chains:?}");
}

#[tokio::test]
async fn a_reorganisation_makes_uncles_and_the_sums_still_agree() {
    let mut rig = Rig::new().await;
    for _ in 0..6 {
        rig.mine().await;
    }
    for block in &rig.found {
        assert!(matches!(rig.node.fate(&block.id).await.unwrap(), BlockFate::Pending { .. }));
    }
    rig.dev.reorganise(2);
    rig.mine().await;
    let fates = rig.settle().await;
    assert!(
        fates.values().any(|fate| matches!(fate, BlockFate::Matured { placement: Placement::Uncle, .. })),
        "blocks that were on their chains are uncles now: {fates:?}"
    );
    assert_eq!(Rig::worth(&fates), rig.paid());
}

#[tokio::test]
async fn a_block_nobody_has_heard_of_is_unknown() {
    let mut rig = Rig::new().await;
    assert_eq!(within(rig.node.fate(&BlockId::new([9; 32]))).await.unwrap(), BlockFate::Unknown);
    let unsent = rig.solve().await;
    assert_eq!(within(rig.node.fate(&unsent.id)).await.unwrap(), BlockFate::Unknown);
}

#[tokio::test]
async fn submitting_again_and_losing_answers_changes_nothing() {
    let mut rig = Rig::new().await;
    let block = rig.solve().await;
    rig.dev.faults().lost_block_answers.store(1, Ordering::Relaxed);
    let outcome = within(rig.node.submit(&block)).await.unwrap();
    assert_eq!(outcome, Submitted::Known, "the verdict was lost, the block was not");
    for _ in 0..3 {
        assert_eq!(within(rig.node.submit(&block)).await.unwrap(), Submitted::Known);
    }
    rig.found.push(block);
    let fates = rig.settle().await;
    assert_eq!(Rig::worth(&fates), rig.paid());
    assert_eq!(Rig::worth(&fates), REWARD, "once");
}

#[tokio::test]
async fn a_template_makes_one_block_and_its_other_solutions_are_shares() {
    let rig = Rig::new().await;
    let job = rig.job().await;
    let chain = job.live()[0];
    let (first, second) = (solve(&job, chain, 0), solve(&job, chain, 1));
    assert_eq!(within(rig.node.submit(&first)).await.unwrap(), Submitted::Accepted);
    // On the same job nothing is a block of that chain any more.
    let nonce: [u8; 24] = second.bytes[..24].try_into().unwrap();
    let solution = AlephiumSolution { chain, nonce };
    let proof = Alephium.prove(&job, &solution).unwrap();
    assert!(!proof.meets(Alephium.network_target_of(&job, &solution)));
    // And should it be handed over all the same, the node refuses it for good.
    let error = within(rig.node.submit(&second)).await.unwrap_err();
    assert!(matches!(error, NodeError::Refused { .. }), "{error:?}");
    // The next job has that chain again, on another template.
    until_chain_is_back(&rig, chain, &job).await;
}

async fn until_chain_is_back(rig: &Rig, chain: u8, old: &AlephiumJob) {
    within(async {
        loop {
            let job = rig.job().await;
            if job.live().contains(&chain) && job.work(chain).unwrap().blob != old.work(chain).unwrap().blob {
                return;
            }
            rig.node.changed().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_block_with_a_wrong_nonce_or_of_an_unwilling_node_is_refused_for_good() {
    let mut rig = Rig::new().await;
    let mut wrong = rig.solve().await;
    wrong.bytes[..24].fill(0xee);
    let (nonce, blob, _) = pool_coins::alephium::header::split_block(&wrong.bytes).unwrap();
    wrong.id = BlockId::new(blob.hash(&nonce));
    let error = within(rig.node.submit(&wrong)).await.unwrap_err();
    assert!(matches!(error, NodeError::Refused { .. }) && !error.is_transient(), "{error}");

    rig.dev.faults().refuse_blocks.store(true, Ordering::Relaxed);
    let good = rig.solve().await;
    assert!(matches!(within(rig.node.submit(&good)).await, Err(NodeError::Refused { .. })));
    rig.dev.faults().refuse_blocks.store(false, Ordering::Relaxed);
    assert_eq!(within(rig.node.submit(&good)).await.unwrap(), Submitted::Accepted);
}

#[tokio::test]
async fn a_refused_block_that_nobody_has_is_lost_in_time() {
    let mut rig = Rig::new().await;
    rig.dev.faults().refuse_blocks.store(true, Ordering::Relaxed);
    let block = rig.solve().await;
    assert!(matches!(within(rig.node.submit(&block)).await, Err(NodeError::Refused { .. })));
    assert_eq!(within(rig.node.fate(&block.id)).await.unwrap(), BlockFate::Unknown);
    rig.found.push(block);
    let fates = rig.settle().await;
    assert!(fates.values().all(|fate| matches!(fate, BlockFate::Lost { placement: Placement::Orphan, .. })));
    assert_eq!(rig.paid(), 0);
}

#[tokio::test]
async fn a_node_that_has_not_caught_up_or_pays_others_gives_no_work() {
    let rig = Rig::new().await;
    rig.dev.faults().unsynced.store(true, Ordering::Relaxed);
    until(|| rig.node.status()[0].state.is_err()).await;
    assert!(matches!(within(rig.node.template()).await, Err(NodeError::NotSynced)));
    rig.dev.faults().unsynced.store(false, Ordering::Relaxed);
    until(|| rig.node.status()[0].state.is_ok()).await;

    rig.dev.faults().wrong_payee.store(true, Ordering::Relaxed);
    until(|| rig.node.status()[0].state.is_err()).await;
    let error = within(rig.node.template()).await.unwrap_err();
    assert!(matches!(&error, NodeError::Garbage(why) if why.contains("pays")), "{error:?}");
    rig.dev.faults().wrong_payee.store(false, Ordering::Relaxed);
    until(|| rig.node.status()[0].state.is_ok()).await;
    assert!(within(rig.node.template()).await.is_ok(), "a node that comes to its senses is asked again");
}

#[tokio::test]
async fn garbage_is_an_error_and_never_a_job() {
    let rig = Rig::new().await;
    rig.dev.faults().garbage.store(true, Ordering::Relaxed);
    rig.dev.others_find(1);
    until(|| rig.node.status()[0].state.is_err()).await;
    assert!(matches!(
        within(rig.node.template()).await,
        Err(NodeError::Garbage(_) | NodeError::Unreachable(_))
    ));
    rig.dev.faults().garbage.store(false, Ordering::Relaxed);
    until(|| rig.node.status()[0].state.is_ok()).await;
    assert!(within(rig.node.template()).await.is_ok());
}

#[tokio::test]
async fn rest_that_talks_nonsense_decides_no_fate() {
    let mut rig = Rig::new().await;
    let id = rig.mine().await;
    for fault in [Fault::Garbage, Fault::Status(503), Fault::Answer(serde_json::json!({"hash": "00"}))] {
        rig.dev.faults().rest.always("/blockflow/blocks/", fault);
        let error = within(rig.node.fate(&id)).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        rig.dev.faults().rest.clear();
    }
    assert!(matches!(within(rig.node.fate(&id)).await.unwrap(), BlockFate::Pending { .. }));
}

#[tokio::test]
async fn the_older_layout_is_spoken_too() {
    let mut rig = Rig::with(DevNodeConfig { layout: Layout::Bare, ..dev_config() }).await;
    assert_eq!(rig.node.status()[0].state.as_ref().unwrap().layout, Layout::Bare);
    rig.dev.others_find(32);
    rig.mine().await;
    rig.mine().await;
    assert!(rig.found.iter().all(|block| block.height >= 1), "heights are looked up");
    let fates = rig.settle().await;
    assert_eq!(Rig::worth(&fates), rig.paid());
}

#[tokio::test]
async fn the_pool_changes_over_from_a_node_that_lies_stalls_or_leaves_and_back() {
    let mut rig = Rig::new().await;
    let (second, driver) = rig.dev.another(&dev_config()).await.unwrap();
    let serving = rig.tasks.spawn(driver);
    let (node, driver) = AlephiumNode::open(node_config(&[&second, &rig.dev])).unwrap();
    rig.tasks.spawn(driver);
    rig.node = node;
    let up = |rig: &Rig, index: usize| rig.node.status()[index].state.is_ok();
    until(|| up(&rig, 0) && up(&rig, 1)).await;
    rig.mine().await;

    second.faults().wrong_payee.store(true, Ordering::Relaxed);
    until(|| !up(&rig, 0)).await;
    rig.mine().await;
    second.faults().wrong_payee.store(false, Ordering::Relaxed);

    second.faults().stalled.store(true, Ordering::Relaxed);
    rig.mine().await;
    until(|| !up(&rig, 0)).await;
    rig.mine().await;
    second.faults().stalled.store(false, Ordering::Relaxed);
    until(|| up(&rig, 0)).await;

    // Both cut, one gone for good: the other is found again.
    rig.dev.disconnect_all();
    second.disconnect_all();
    serving.abort();
    until(|| up(&rig, 1) && !up(&rig, 0)).await;
    rig.mine().await;
    let fates = rig.settle().await;
    assert_eq!(fates.len(), 5);
    assert_eq!(Rig::worth(&fates), rig.paid());
}

#[tokio::test]
async fn a_node_of_another_network_or_none_at_all_is_never_used() {
    let (testnet, driver) =
        DevNode::open(DevNodeConfig { network: Network::Testnet, ..dev_config() }).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(driver);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nonsense = listener.local_addr().unwrap();
    tasks.spawn(async move {
        use tokio::io::AsyncWriteExt;
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.write_all(b"\x00\x00\x00\x08SSH-2.0-not a node\r\n").await;
        }
    });
    let mut config = node_config(&[&testnet]);
    config.endpoints.push(format!("{nonsense}+{}", nonsense.port()));
    let (node, driver) = AlephiumNode::open(config).unwrap();
    tasks.spawn(driver);
    let told =
        || -> Vec<String> { node.status().into_iter().filter_map(|status| status.state.err()).collect() };
    until(|| told().len() == 2 && told().iter().all(|why| !why.contains("not connected yet"))).await;
    assert!(told()[0].contains("testnet") && told()[0].contains("devnet"), "{:?}", told());
    let error = within(node.template()).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn bad_settings_are_refused_at_once() {
    let pay_to = keys(1).addresses();
    for endpoints in [vec![], vec!["not a host name".to_owned()], vec!["127.0.0.1:0".to_owned()]] {
        let config = AlephiumNodeConfig::new(endpoints, Network::Devnet, pay_to.clone());
        assert!(matches!(AlephiumNode::open(config), Err(NodeError::Refused { .. })));
    }
    let rig = Rig::new().await;
    assert!(matches!(
        AlephiumWallet::new(keys(2), &rig.node, WalletRules::default()),
        Err(WalletError::Impossible(_))
    ));
    let no_target = DevNodeConfig { bits: 0x2101_0000, ..dev_config() };
    assert!(matches!(DevNode::open(no_target).await, Err(DevNodeError::Target(_))));
}

#[tokio::test]
async fn miners_of_all_groups_are_paid_once_and_to_the_atto() {
    let mut rig = Rig::new().await;
    rig.earn(24).await;
    let wallet = rig.wallet();
    let before = within(wallet.spendable()).await.unwrap().get();
    assert_eq!(before, rig.paid());
    let owed: Vec<(Address, u128)> =
        (0..4).map(|group| (miner(9, group), ALPH / 5 + u128::from(group))).collect();
    let signed = within(wallet.sign(&batch(1, &owed), &[])).await.unwrap();
    assert_eq!(within(wallet.fate(&signed)).await.unwrap(), TxFate::Unknown);
    assert_eq!(within(wallet.sign(&batch(1, &owed), &[])).await.unwrap(), signed, "signing changes nothing");

    // An answer is lost, and the same bytes go out again and again.
    rig.dev.faults().lost_transaction_answers.store(1, Ordering::Relaxed);
    within(wallet.broadcast(&signed)).await.unwrap();
    for _ in 0..3 {
        within(wallet.broadcast(&signed)).await.unwrap();
    }
    assert!(matches!(within(wallet.fate(&signed)).await.unwrap(), TxFate::Pending { .. }));
    assert_eq!(rig.outcome(&wallet, &signed).await, TxFate::Settled { fee: signed.fee });
    within(wallet.broadcast(&signed)).await.unwrap();
    for (address, amount) in &owed {
        assert_eq!(rig.dev.balance(address), *amount, "{address}");
    }
    let sum: u128 = owed.iter().map(|(_, amount)| amount).sum();
    assert_eq!(rig.paid(), before - sum - signed.fee.get());
}

#[tokio::test]
async fn what_is_in_flight_is_not_spent_twice() {
    let mut rig = Rig::new().await;
    rig.earn(12).await;
    let wallet = rig.wallet();
    let first = within(wallet.sign(&batch(1, &[(miner(9, 0), ALPH / 10)]), &[])).await.unwrap();
    let second = within(wallet.sign(&batch(2, &[(miner(9, 1), ALPH / 10)]), std::slice::from_ref(&first)))
        .await
        .unwrap();
    assert!(first.spends.iter().all(|coin| !second.spends.contains(coin)));
    for signed in [&first, &second] {
        within(wallet.broadcast(signed)).await.unwrap();
        assert!(matches!(rig.outcome(&wallet, signed).await, TxFate::Settled { .. }));
    }
    // A sum that no group holds alone is paid out of several.
    let rest = within(wallet.spendable()).await.unwrap().get();
    let most = batch(3, &[(miner(8, 2), rest - ALPH / 20)]);
    let third = within(wallet.sign(&most, &[])).await.unwrap();
    within(wallet.broadcast(&third)).await.unwrap();
    assert!(matches!(rig.outcome(&wallet, &third).await, TxFate::Settled { .. }));
    assert_eq!(rig.dev.balance(&miner(8, 2)), rest - ALPH / 20);
    let short = within(wallet.sign(&batch(4, &[(miner(8, 3), 100 * ALPH)]), &[])).await;
    assert!(matches!(short, Err(WalletError::Short { .. })), "{short:?}");
}

#[tokio::test]
async fn refused_transactions_and_strange_recipients_are_told_apart() {
    let mut rig = Rig::new().await;
    rig.earn(4).await;
    let wallet = rig.wallet();
    let contract = "22sTaM5xer7h81LzaGA2JiajRwHwECpAv9bBuFUH5rrnr";
    let mut strange = batch(1, &[(miner(9, 0), ALPH / 20)]);
    strange.items[0].miner = MinerId::new(contract).unwrap();
    assert!(matches!(within(wallet.sign(&strange, &[])).await, Err(WalletError::Impossible(_))));
    let signed = within(wallet.sign(&batch(2, &[(miner(9, 0), ALPH / 20)]), &[])).await.unwrap();
    rig.dev.faults().refuse_transactions.store(true, Ordering::Relaxed);
    assert!(matches!(within(wallet.broadcast(&signed)).await, Err(WalletError::Refused(_))));
    assert_eq!(within(wallet.fate(&signed)).await.unwrap(), TxFate::Unknown);
    rig.dev.faults().refuse_transactions.store(false, Ordering::Relaxed);
    within(wallet.broadcast(&signed)).await.unwrap();
    assert!(matches!(rig.outcome(&wallet, &signed).await, TxFate::Settled { .. }));
}

#[tokio::test]
async fn groupless_recipients_are_paid_in_their_group() {
    let mut rig = Rig::new().await;
    rig.earn(8).await;
    let wallet = rig.wallet();
    let groupless = Address::parse("3cUqVaPjSrkBqFfbtpLdydStuzqi5XUjEhhV89U7KCFxt8t1MrZuv:3").unwrap();
    let signed = within(wallet.sign(&batch(1, &[(groupless.clone(), ALPH / 20)]), &[])).await.unwrap();
    within(wallet.broadcast(&signed)).await.unwrap();
    assert!(matches!(rig.outcome(&wallet, &signed).await, TxFate::Settled { .. }));
    assert_eq!(rig.dev.balance(&groupless), ALPH / 20);
}

#[tokio::test]
async fn many_small_coins_become_few() {
    let mut rig = Rig::new().await;
    rig.earn(32).await;
    let wallet = rig.wallet();
    let mut joined = 0;
    while let Some(signed) = within(wallet.upkeep(&[])).await.unwrap() {
        assert!(signed.spends.len() > 6);
        within(wallet.broadcast(&signed)).await.unwrap();
        assert!(matches!(rig.outcome(&wallet, &signed).await, TxFate::Settled { .. }));
        joined += 1;
        assert!(joined < 8, "joining ends");
    }
    assert!(joined > 0);
    assert_eq!(within(wallet.spendable()).await.unwrap().get(), rig.paid());
}

#[tokio::test]
async fn a_restarted_node_goes_on_with_its_chains() {
    let folder = Folder::new("restart");
    let config = || DevNodeConfig {
        data: Some(folder.0.clone()),
        weather: Weather { uncle: 400, orphan: 0 },
        ..dev_config()
    };
    let (found, paid) = {
        let mut rig = Rig::with(config()).await;
        for _ in 0..8 {
            rig.mine().await;
        }
        rig.dev.others_find(20);
        rig.dev.reorganise(1);
        (std::mem::take(&mut rig.found), rig.paid())
    };
    let mut rig = within(async {
        // The first rig's tasks are being ended, and the folder is theirs until then.
        loop {
            match DevNode::open(config()).await {
                Ok((_, _)) => break,
                Err(DevNodeError::Journal(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("{error}"),
            }
        }
        Rig::with(config()).await
    })
    .await;
    assert_eq!(rig.paid(), paid);
    rig.found = found;
    rig.mine().await;
    let fates = rig.settle().await;
    assert_eq!(Rig::worth(&fates), rig.paid());
}
