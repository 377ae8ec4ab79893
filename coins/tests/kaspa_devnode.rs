//! The real node client and wallet against the development node, over its real protocol on loopback.

#![cfg(all(feature = "kaspa-grpc", feature = "devnode", feature = "wallet"))]
#![allow(clippy::unwrap_used)]

use pool_coins::kaspa::Kaspa;
use pool_coins::kaspa::address::Address;
use pool_coins::kaspa::coin::KaspaJob;
use pool_coins::kaspa::coinbase::CoinbasePayload;
use pool_coins::kaspa::devnode::{DevNode, DevNodeConfig, Weather, bits_of_work};
use pool_coins::kaspa::fate::FateRules;
use pool_coins::kaspa::node::{KaspaNode, KaspaNodeConfig};
use pool_coins::kaspa::params::Network;
use pool_coins::kaspa::wallet::{KaspaWallet, WalletKey, WalletRules};
use pool_core::block::{BlockFate, Placement};
use pool_core::coin::{Coin, Node, NodeError, RawBlock, Submitted, Wallet, WalletError};
use pool_core::id::{BlockId, CoinId, JobId, MinerId, PayoutId};
use pool_core::payout::{PayoutBatch, PayoutItem, SignedTx, TxFate};
use pool_core::time::Timestamp;
use pool_core::units::Amount;
use pool_stratum::dialect::kaspa::KaspaSolution;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;

const KAS: u128 = 100_000_000;
/// Longer than anything here takes; a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn key(n: u8) -> WalletKey {
    let mut bytes = [0; 32];
    bytes[31] = n;
    WalletKey::from_bytes(&bytes).unwrap()
}

fn pool_address() -> Address {
    KaspaWallet::address_of(&key(1), Network::Devnet)
}

fn dev_config() -> DevNodeConfig {
    DevNodeConfig {
        bits: bits_of_work(6),
        pace: None,
        k: 3,
        maturity: 10,
        weather: Weather::default(),
        ..DevNodeConfig::default()
    }
}

const FATE: FateRules = FateRules { confirmations: 8, maturity: 10, lost_depth: 60 };

fn node_config(endpoints: &[SocketAddr]) -> KaspaNodeConfig {
    KaspaNodeConfig {
        timeout: Duration::from_millis(800),
        poll: Duration::from_millis(300),
        fate: FATE,
        ..KaspaNodeConfig::new(
            endpoints.iter().map(ToString::to_string).collect(),
            Network::Devnet,
            pool_address(),
        )
    }
}

/// A development node, the pool's node client, and the tasks that drive both until the rig is dropped.
struct Rig {
    dev: DevNode,
    node: KaspaNode,
    coin: Kaspa,
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
        let (node, driver) = KaspaNode::open(node_config(&[dev.address()])).unwrap();
        tasks.spawn(driver);
        within(node.ready()).await;
        Self { dev, node, coin: Kaspa::new(Network::Devnet), tasks, found: vec![] }
    }

    async fn job(&self) -> Arc<KaspaJob> {
        let template = within(self.node.template()).await.unwrap();
        self.coin.job(JobId::new(1), Arc::new(template))
    }

    /// A block on the newest template, solved and not submitted.
    async fn solve(&self) -> RawBlock {
        let job = self.job().await;
        let target = self.coin.network_target(&job);
        let solved = |nonce: &u64| {
            self.coin.prove(&job, &KaspaSolution { nonce: *nonce }).is_ok_and(|proof| proof.meets(target))
        };
        let nonce = (0..).find(solved).unwrap();
        self.coin.assemble(&job, &KaspaSolution { nonce })
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
                tokio::time::sleep(Duration::from_millis(100)).await;
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

    fn paid(&self) -> u128 {
        u128::from(self.dev.balance(&pool_address()))
    }

    fn wallet(&self) -> KaspaWallet {
        let rules = WalletRules {
            maturity: 10,
            change_age: 2,
            settle_depth: 8,
            coins_max: 20,
            ..WalletRules::default()
        };
        KaspaWallet::new(key(1), &self.node, rules).unwrap()
    }

    /// Mines `count` blocks for the pool and lets them mature.
    async fn earn(&mut self, count: usize) {
        for _ in 0..count {
            self.mine().await;
        }
        self.dev.others_find(15);
    }

    /// Lets everybody else mine until a transaction's fate is not pending and not unknown.
    async fn outcome(&self, wallet: &KaspaWallet, tx: &SignedTx) -> TxFate {
        within(async {
            loop {
                match wallet.fate(tx).await.unwrap() {
                    TxFate::Unknown | TxFate::Pending { .. } => self.dev.others_find(2),
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

fn batch(number: u64, items: &[(u8, u128)]) -> PayoutBatch {
    let coin = CoinId::new("kaspa").unwrap();
    let mut items: Vec<PayoutItem> = items
        .iter()
        .map(|(n, amount)| PayoutItem {
            miner: MinerId::new(&KaspaWallet::address_of(&key(*n), Network::Devnet).to_string()).unwrap(),
            amount: Amount::new(*amount),
        })
        .collect();
    items.sort_by(|a, b| a.miner.cmp(&b.miner));
    PayoutBatch { id: PayoutId::new(&coin, number), coin, at: Timestamp::from_millis(1), items }
}

fn paid_to(rig: &Rig, n: u8) -> u128 {
    u128::from(rig.dev.balance(&KaspaWallet::address_of(&key(n), Network::Devnet)))
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("poolwright-devnode-{name}-{}", std::process::id()));
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
async fn what_blocks_are_worth_is_what_the_chain_paid_to_the_sompi() {
    let weather = Weather { late: 300, red: 250, lost: 50 };
    let mut rig = Rig::with(DevNodeConfig { weather, seed: 7, ..dev_config() }).await;
    for round in 0..40 {
        rig.mine().await;
        if round % 3 == 0 {
            rig.dev.others_find(1);
        }
    }
    let fates = rig.settle().await;
    let count = |wanted: Placement| {
        fates
            .values()
            .filter(|fate| match fate {
                BlockFate::Matured { placement, .. } | BlockFate::Lost { placement, .. } => {
                    *placement == wanted
                }
                BlockFate::Unknown | BlockFate::Pending { .. } => false,
            })
            .count()
    };
    assert_eq!(count(Placement::Main) + count(Placement::Red) + count(Placement::Orphan), 40);
    assert!(
        count(Placement::Main) > 0 && count(Placement::Red) > 0 && count(Placement::Orphan) > 0,
        "{fates:?}"
    );
    assert!(Rig::worth(&fates) > 0);
    assert_eq!(Rig::worth(&fates), rig.paid());
    let with_reds =
        fates.values().any(|fate| matches!(fate, BlockFate::Matured { value, .. } if value.get() > 44 * KAS));
    assert!(with_reds, "some block of the pool merged a red one and earned its reward");
}

#[tokio::test]
async fn a_reorganisation_moves_blocks_and_the_sums_still_agree() {
    let mut rig = Rig::new().await;
    for _ in 0..4 {
        rig.mine().await;
        rig.dev.others_find(1);
    }
    for block in &rig.found {
        assert!(matches!(rig.node.fate(&block.id).await.unwrap(), BlockFate::Pending { .. }));
    }
    rig.dev.reorganise(7);
    rig.mine().await;
    let fates = rig.settle().await;
    assert!(
        fates.values().any(|fate| matches!(fate, BlockFate::Lost { placement: Placement::Red, .. })),
        "blocks that were on the chain are red now: {fates:?}"
    );
    assert_eq!(Rig::worth(&fates), rig.paid());
}

#[tokio::test]
async fn a_block_nobody_has_heard_of_is_unknown() {
    let rig = Rig::new().await;
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
    assert!(matches!(outcome, Submitted::Accepted | Submitted::Known));
    for _ in 0..3 {
        assert!(within(rig.node.submit(&block)).await.is_ok());
    }
    rig.found.push(block);
    let fates = rig.settle().await;
    assert_eq!(Rig::worth(&fates), rig.paid());
    assert_eq!(Rig::worth(&fates), 44 * KAS, "once");
}

#[tokio::test]
async fn a_block_with_a_wrong_nonce_or_changed_bytes_is_refused_for_good() {
    let rig = Rig::new().await;
    let job = rig.job().await;
    let target = rig.coin.network_target(&job);
    let wrong = (0..)
        .map(|nonce| KaspaSolution { nonce })
        .find(|solution| !rig.coin.prove(&job, solution).unwrap().meets(target))
        .unwrap();
    let error = within(rig.node.submit(&rig.coin.assemble(&job, &wrong))).await.unwrap_err();
    assert!(matches!(error, NodeError::Refused { .. }) && !error.is_transient(), "{error}");

    rig.dev.faults().refuse_blocks.store(true, Ordering::Relaxed);
    let good = rig.solve().await;
    assert!(matches!(within(rig.node.submit(&good)).await, Err(NodeError::Refused { .. })));
    rig.dev.faults().refuse_blocks.store(false, Ordering::Relaxed);
    assert_eq!(within(rig.node.submit(&good)).await.unwrap(), Submitted::Accepted);
}

#[tokio::test]
async fn a_block_whose_parents_the_node_lacks_is_not_refused_for_good() {
    let rig = Rig::new().await;
    // The block of a chain with another first block.
    let mut other = Rig::with(DevNodeConfig { seed: 99, ..dev_config() }).await;
    other.mine().await;
    let foreign = other.solve().await;
    let error = within(rig.node.submit(&foreign)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_node_that_has_not_caught_up_gives_no_work() {
    let rig = Rig::new().await;
    rig.dev.faults().unsynced.store(true, Ordering::Relaxed);
    let error = within(rig.node.template()).await.unwrap_err();
    assert!(matches!(error, NodeError::NotSynced), "{error:?}");
    let block = {
        rig.dev.faults().unsynced.store(false, Ordering::Relaxed);
        within(async {
            while rig.node.template().await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        rig.solve().await
    };
    rig.dev.faults().unsynced.store(true, Ordering::Relaxed);
    let error = within(rig.node.submit(&block)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn garbage_and_lies_are_errors_and_never_jobs() {
    let rig = Rig::new().await;
    rig.dev.faults().garbage.store(true, Ordering::Relaxed);
    assert!(matches!(within(rig.node.template()).await, Err(NodeError::Garbage(_))));
    rig.dev.faults().garbage.store(false, Ordering::Relaxed);
    rig.dev.faults().wrong_payee.store(true, Ordering::Relaxed);
    assert!(matches!(within(rig.node.template()).await, Err(NodeError::Garbage(_))));
    rig.dev.faults().wrong_payee.store(false, Ordering::Relaxed);
    assert!(within(rig.node.template()).await.is_ok(), "a node that comes to its senses is asked again");
}

#[tokio::test]
async fn the_pool_changes_over_from_a_node_that_lies_stalls_or_leaves_and_back() {
    let mut rig = Rig::new().await;
    let (second, driver) = rig.dev.another(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let serving = rig.tasks.spawn(driver);
    let (node, driver) = KaspaNode::open(node_config(&[second.address(), rig.dev.address()])).unwrap();
    rig.tasks.spawn(driver);
    within(async {
        while node.status().iter().any(|status| status.state.is_err()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    rig.node = node;
    rig.mine().await;

    second.faults().wrong_payee.store(true, Ordering::Relaxed);
    rig.mine().await;
    second.faults().wrong_payee.store(false, Ordering::Relaxed);

    second.faults().stalled.store(true, Ordering::Relaxed);
    rig.mine().await;
    within(async {
        while rig.node.status()[0].state.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    rig.mine().await;
    second.faults().stalled.store(false, Ordering::Relaxed);
    within(async {
        while rig.node.status()[0].state.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;

    // Both cut, one gone for good: the other is found again.
    rig.dev.disconnect_all();
    second.disconnect_all();
    serving.abort();
    within(async {
        while rig.node.template().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    rig.mine().await;
    let fates = rig.settle().await;
    assert_eq!(fates.len(), 5);
    assert_eq!(Rig::worth(&fates), rig.paid());
}

#[tokio::test]
async fn a_node_of_another_network_or_none_at_all_is_never_used() {
    let (simnet, driver) =
        DevNode::open(DevNodeConfig { network: Network::Simnet, ..dev_config() }).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(driver);
    // Something that is no HTTP/2 server at all.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nonsense = listener.local_addr().unwrap();
    tasks.spawn(async move {
        use tokio::io::AsyncWriteExt;
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.write_all(b"\x00\xffSSH-2.0-not a node\r\n").await;
        }
    });
    let (node, driver) = KaspaNode::open(node_config(&[simnet.address(), nonsense])).unwrap();
    tasks.spawn(driver);
    let told = within(async {
        loop {
            let states: Vec<String> =
                node.status().into_iter().filter_map(|status| status.state.err()).collect();
            if states.len() == 2 && states.iter().all(|why| why != "not connected yet") {
                return states;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(told[0].contains("simnet") && told[0].contains("devnet"), "{told:?}");
    let error = within(node.template()).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn bad_settings_are_refused_at_once() {
    let simnet = KaspaWallet::address_of(&key(1), Network::Simnet);
    let bad = [
        KaspaNodeConfig::new(vec![], Network::Devnet, pool_address()),
        KaspaNodeConfig::new(vec!["127.0.0.1:1".into()], Network::Devnet, simnet),
        KaspaNodeConfig::new(vec!["not a host name".into()], Network::Devnet, pool_address()),
        KaspaNodeConfig {
            extra_data: "x".repeat(101),
            ..KaspaNodeConfig::new(vec!["127.0.0.1:1".into()], Network::Devnet, pool_address())
        },
    ];
    for config in bad {
        assert!(matches!(KaspaNode::open(config), Err(NodeError::Refused { .. })));
    }
}

#[tokio::test]
async fn a_block_carries_the_commitment_that_was_made_before_it_was_found() {
    let mut rig = Rig::new().await;
    let plain = rig.mine().await;
    assert_eq!(rig.dev.coinbase(&plain).unwrap().commitment(), None);
    for root in [[0x11; 32], [0xfe; 32]] {
        rig.node.set_commitment(Some(root)).unwrap();
        let template = within(rig.node.template()).await.unwrap();
        assert_eq!(template.commitment(), Some(root));
        let block = rig.mine().await;
        let coinbase = rig.dev.coinbase(&block).unwrap();
        assert_eq!(coinbase.commitment(), Some(root));
        assert!(coinbase.to_bytes().len() <= CoinbasePayload::MAX_LEN);
    }
    rig.node.set_commitment(None).unwrap();
    let plain = rig.mine().await;
    assert_eq!(rig.dev.coinbase(&plain).unwrap().commitment(), None);
    // A text that fills the coinbase leaves no room, and the commitment before it stays.
    for (length, fits) in [(31, true), (32, false), (100, false)] {
        let config = KaspaNodeConfig { extra_data: "x".repeat(length), ..node_config(&[rig.dev.address()]) };
        let (node, _driver) = KaspaNode::open(config).unwrap();
        assert_eq!(node.set_commitment(Some([1; 32])).is_ok(), fits, "{length}");
        assert_eq!(node.commitment().is_some(), fits);
    }
}

#[tokio::test]
async fn news_wakes_a_waiting_pool() {
    let mut rig = Rig::new().await;
    rig.mine().await;
    let before = rig.job().await;
    rig.dev.others_find(1);
    within(rig.node.changed()).await;
    let after = within(async {
        loop {
            let job = rig.job().await;
            if job.work().pre_pow != before.work().pre_pow {
                return job;
            }
            rig.node.changed().await;
        }
    })
    .await;
    assert!(after.template().header().daa_score > before.template().header().daa_score);
}

#[tokio::test]
async fn a_chain_on_disk_goes_on_where_it_stopped() {
    let folder = Folder::new("restart");
    let config = DevNodeConfig {
        data: Some(folder.0.clone()),
        weather: Weather { late: 300, red: 300, lost: 0 },
        ..dev_config()
    };
    let mut rig = Rig::with(config.clone()).await;
    for _ in 0..10 {
        rig.mine().await;
    }
    let (daa_score, paid, found) = (rig.dev.daa_score(), rig.paid(), rig.found.clone());
    // The folder belongs to one at a time.
    assert!(DevNode::open(config.clone()).await.is_err());
    rig.tasks.shutdown().await;
    drop(rig);
    let mut rig = within(async {
        loop {
            // The old server's connections hold the chain until they end.
            if DevNode::open(config.clone()).await.is_ok() {
                return Rig::with(config.clone()).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!((rig.dev.daa_score(), rig.paid()), (daa_score, paid));
    rig.found = found;
    rig.mine().await;
    let fates = rig.settle().await;
    assert_eq!(fates.len(), 11);
    assert_eq!(Rig::worth(&fates), rig.paid());
}

#[tokio::test]
async fn a_payout_is_signed_sent_and_settled_once() {
    let mut rig = Rig::new().await;
    let wallet = rig.wallet();
    assert_eq!(wallet.spendable().await.unwrap(), Amount::ZERO);
    let batch = batch(1, &[(2, 30 * KAS), (3, 50 * KAS)]);
    assert!(matches!(wallet.sign(&batch, &[]).await, Err(WalletError::Short { .. })));
    rig.earn(4).await;
    assert_eq!(wallet.spendable().await.unwrap().get(), 4 * 44 * KAS);

    let tx = wallet.sign(&batch, &[]).await.unwrap();
    assert_eq!(wallet.sign(&batch, &[]).await.unwrap().id, tx.id, "the same coins give the same transaction");
    assert_eq!(wallet.fate(&tx).await.unwrap(), TxFate::Unknown, "signing has no effect");
    for _ in 0..3 {
        wallet.broadcast(&tx).await.unwrap();
    }
    assert_eq!(wallet.fate(&tx).await.unwrap(), TxFate::Pending { confirmations: 0 });
    assert_eq!(rig.outcome(&wallet, &tx).await, TxFate::Settled { fee: tx.fee });
    wallet.broadcast(&tx).await.unwrap();
    // Another process, later: the bytes alone say where to look.
    assert_eq!(rig.wallet().fate(&tx).await.unwrap(), TxFate::Settled { fee: tx.fee });
    assert_eq!((paid_to(&rig, 2), paid_to(&rig, 3)), (30 * KAS, 50 * KAS));
    // The fee went to whoever mined the transaction: everybody else, here.
    assert_eq!(rig.paid() + 80 * KAS + tx.fee.get(), 4 * 44 * KAS);
}

#[tokio::test]
async fn a_lost_answer_is_no_second_payment() {
    let mut rig = Rig::new().await;
    let wallet = rig.wallet();
    rig.earn(4).await;
    let tx = wallet.sign(&batch(1, &[(2, 30 * KAS)]), &[]).await.unwrap();
    rig.dev.faults().lost_transaction_answers.store(1, Ordering::Relaxed);
    within(async { while wallet.broadcast(&tx).await.is_err() {} }).await;
    assert_eq!(rig.outcome(&wallet, &tx).await, TxFate::Settled { fee: tx.fee });
    assert_eq!(paid_to(&rig, 2), 30 * KAS);
}

#[tokio::test]
async fn coins_in_flight_are_not_spent_again_and_a_double_spend_is_void() {
    let mut rig = Rig::new().await;
    let wallet = rig.wallet();
    rig.earn(3).await;
    let first = wallet.sign(&batch(1, &[(2, 30 * KAS)]), &[]).await.unwrap();
    let second = wallet.sign(&batch(2, &[(3, 30 * KAS)]), std::slice::from_ref(&first)).await.unwrap();
    assert!(first.spends.iter().all(|coin| !second.spends.contains(coin)));

    // Two transactions for one coin: one is mined, the other can never be.
    let rival = wallet.sign(&batch(3, &[(4, 20 * KAS)]), &[]).await.unwrap();
    assert_eq!(rival.spends, first.spends);
    wallet.broadcast(&rival).await.unwrap();
    assert!(matches!(wallet.broadcast(&first).await, Err(WalletError::Refused(_))));
    assert_eq!(rig.outcome(&wallet, &rival).await, TxFate::Settled { fee: rival.fee });
    assert!(matches!(wallet.broadcast(&first).await, Err(WalletError::Refused(_))));
    let fate = rig.outcome(&wallet, &first).await;
    let TxFate::Void { detail } = fate else { panic!("{fate:?}") };
    assert!(detail.contains(&rival.id.to_string()), "{detail}");
    wallet.broadcast(&second).await.unwrap();
    assert_eq!(rig.outcome(&wallet, &second).await, TxFate::Settled { fee: second.fee });
    assert_eq!((paid_to(&rig, 2), paid_to(&rig, 3), paid_to(&rig, 4)), (0, 30 * KAS, 20 * KAS));
}

#[tokio::test]
async fn a_reorganised_payout_is_pending_again_and_then_settles() {
    let mut rig = Rig::new().await;
    let wallet = rig.wallet();
    rig.earn(3).await;
    let tx = wallet.sign(&batch(1, &[(2, 30 * KAS)]), &[]).await.unwrap();
    wallet.broadcast(&tx).await.unwrap();
    rig.dev.others_find(3);
    let fate = wallet.fate(&tx).await.unwrap();
    assert!(matches!(fate, TxFate::Pending { confirmations } if confirmations > 0), "{fate:?}");
    rig.dev.reorganise(5);
    let fate = wallet.fate(&tx).await.unwrap();
    assert!(!matches!(fate, TxFate::Settled { .. } | TxFate::Void { .. }), "{fate:?}");
    assert_eq!(rig.outcome(&wallet, &tx).await, TxFate::Settled { fee: tx.fee });
    assert_eq!(paid_to(&rig, 2), 30 * KAS);
}

#[tokio::test]
async fn many_coins_are_joined_and_then_pay_what_they_could_not() {
    let mut rig = Rig::new().await;
    let wallet = rig.wallet();
    rig.earn(20).await;
    assert_eq!(wallet.upkeep(&[]).await.unwrap(), None, "twenty are not too many");
    rig.earn(65).await;
    let large = batch(1, &[(2, 83 * 44 * KAS)]);
    assert!(matches!(wallet.sign(&large, &[]).await, Err(WalletError::Short { .. })), "more coins than fit");
    let sweep = wallet.upkeep(&[]).await.unwrap().expect("eighty-five are");
    assert_eq!(sweep.spends.len(), 80);
    wallet.broadcast(&sweep).await.unwrap();
    assert_eq!(rig.outcome(&wallet, &sweep).await, TxFate::Settled { fee: sweep.fee });
    let tx = wallet.sign(&large, &[]).await.unwrap();
    wallet.broadcast(&tx).await.unwrap();
    assert_eq!(rig.outcome(&wallet, &tx).await, TxFate::Settled { fee: tx.fee });
    assert_eq!(paid_to(&rig, 2), 83 * 44 * KAS);
}

#[tokio::test]
async fn what_can_never_be_paid_says_why() {
    let mut rig = Rig::new().await;
    let wallet = rig.wallet();
    rig.earn(3).await;
    let tiny: Vec<(u8, u128)> = (2..60).map(|n| (n, KAS / 10)).collect();
    let error = wallet.sign(&batch(1, &tiny), &[]).await.unwrap_err();
    assert!(matches!(&error, WalletError::Impossible(why) if why.contains("weighs")), "{error}");
    let mut foreign = batch(2, &[(2, KAS)]);
    foreign.items[0].miner =
        MinerId::new(&KaspaWallet::address_of(&key(2), Network::Mainnet).to_string()).unwrap();
    assert!(matches!(wallet.sign(&foreign, &[]).await, Err(WalletError::Impossible(_))));
    rig.dev.faults().refuse_transactions.store(true, Ordering::Relaxed);
    let tx = wallet.sign(&batch(3, &[(2, 5 * KAS)]), &[]).await.unwrap();
    let error = wallet.broadcast(&tx).await.unwrap_err();
    assert!(error.is_transient(), "a full mempool is not for ever: {error}");
    assert_eq!(wallet.fate(&tx).await.unwrap(), TxFate::Unknown);
}

#[tokio::test]
async fn a_wallet_of_another_key_is_refused() {
    let rig = Rig::new().await;
    assert!(matches!(
        KaspaWallet::new(key(2), &rig.node, WalletRules::default()),
        Err(WalletError::Impossible(_))
    ));
}

#[test]
fn evidence_proves_again_what_the_job_proved() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let rig = Rig::new().await;
        let job = rig.job().await;
        for nonce in [0, 1, u64::MAX] {
            let solution = KaspaSolution { nonce };
            let evidence = rig.coin.evidence(&job, &solution);
            assert_eq!(rig.coin.reprove(&evidence), rig.coin.prove(&job, &solution));
            let mut longer = evidence.bytes().to_vec();
            longer.push(0);
            let longer = pool_core::share::Evidence::new(&longer).unwrap();
            assert!(rig.coin.reprove(&longer).is_err());
        }
    });
}
