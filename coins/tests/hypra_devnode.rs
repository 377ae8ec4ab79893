//! The real node client and wallet against the development node, over its real protocol on loopback.

#![cfg(all(feature = "hypra", feature = "devnode", feature = "wallet"))]
#![allow(clippy::unwrap_used)]

use pool_coins::devnode_http::Fault;
use pool_coins::failover::CoolDown;
use pool_coins::http::HttpRules;
use pool_coins::hypra::Hypra;
use pool_coins::hypra::address::Address;
use pool_coins::hypra::coin::HypraJob;
use pool_coins::hypra::devnode::{DevNode, DevNodeConfig, DevNodeError, JournalError, Weather};
use pool_coins::hypra::epochs::{CacheRules, EpochCaches};
use pool_coins::hypra::fate::FateRules;
use pool_coins::hypra::node::{HypraNode, HypraNodeConfig};
use pool_coins::hypra::params::{HYP, Network, TRANSFER_GAS};
use pool_coins::hypra::rewards::UNCLE;
use pool_coins::hypra::tx::{self, Price, SignedTransfer, Transfer};
use pool_coins::hypra::wallet::{HypraWallet, WalletKey, WalletRules, payout_limits};
use pool_core::block::{BlockFate, Placement};
use pool_core::coin::{Coin, Node, NodeError, RawBlock, Submitted, Wallet, WalletError};
use pool_core::id::{BlockId, CoinId, JobId, MinerId, PayoutId, TxId};
use pool_core::payout::{PayoutBatch, PayoutItem, SignedTx, TxFate};
use pool_core::time::Timestamp;
use pool_core::units::Amount;
use pool_stratum::dialect::hypra::HypraSolution;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::task::JoinSet;

/// Longer than anything here takes; a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(300);
const CONFIRMATIONS: u64 = 6;
const GWEI: u128 = 1_000_000_000;
const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// The first epoch's cache, once for all tests.
fn caches() -> Arc<EpochCaches> {
    static CACHES: OnceLock<Arc<EpochCaches>> = OnceLock::new();
    let build = || {
        let caches = Arc::new(EpochCaches::new(CacheRules::default()));
        caches.note(0).unwrap();
        while caches.build_next() {}
        caches
    };
    CACHES.get_or_init(build).clone()
}

fn key(n: u8) -> WalletKey {
    WalletKey::from_bytes(&[n; 32]).unwrap()
}

fn pool_address() -> Address {
    key(1).address()
}

/// Somebody with money who pays fees.
fn rich() -> WalletKey {
    key(9)
}

fn dev_config() -> DevNodeConfig {
    DevNodeConfig {
        coinbase: pool_address(),
        difficulty: 3,
        pace: None,
        weather: Weather::default(),
        funds: vec![(rich().address(), 1_000 * HYP)],
        contracts: vec![Address::new([0xcc; 20])],
        caches: Some(caches()),
        ..DevNodeConfig::default()
    }
}

fn node_config(endpoints: Vec<String>, dev: &DevNodeConfig) -> HypraNodeConfig {
    HypraNodeConfig {
        http: HttpRules { timeout: Duration::from_secs(2), ..HttpRules::default() },
        poll: Duration::from_millis(50),
        refresh: Duration::from_millis(50),
        probe: Duration::from_millis(200),
        cool_down: CoolDown { first: Duration::from_millis(300), max: Duration::from_millis(600) },
        fate: FateRules { confirmations: CONFIRMATIONS, rewards: dev.rewards() },
        caches: Some(caches()),
        ..HypraNodeConfig::new(endpoints, Network::Devnet, pool_address())
    }
}

/// A development node, the pool's node client, and the tasks that drive both until the rig is dropped.
struct Rig {
    dev: DevNode,
    config: DevNodeConfig,
    node: HypraNode,
    coin: Hypra,
    tasks: JoinSet<()>,
    found: Vec<RawBlock>,
    sent: u64,
}

impl Rig {
    async fn new() -> Self {
        Self::with(dev_config()).await
    }

    async fn with(config: DevNodeConfig) -> Self {
        let (dev, driver) = DevNode::open(config.clone()).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(driver);
        let (node, driver) = HypraNode::open(node_config(vec![dev.endpoint()], &config)).unwrap();
        tasks.spawn(driver);
        let coin = Hypra::new(Network::Devnet, caches(), NonZeroUsize::MIN);
        Self { dev, config, node, coin, tasks, found: vec![], sent: 0 }
    }

    async fn job(&self) -> Arc<HypraJob> {
        let template = within(async {
            loop {
                match self.node.template().await {
                    Ok(template) => return template,
                    Err(error) if error.is_transient() => tokio::time::sleep(Duration::from_millis(30)).await,
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await;
        self.coin.job(JobId::new(1), Arc::new(template))
    }

    /// A block on the newest template, solved and not submitted.
    async fn solve(&self) -> RawBlock {
        let job = self.job().await;
        let target = self.coin.network_target(&job);
        let solution = |nonce| HypraSolution { nonce, mix: None };
        let solved =
            |nonce: &u64| self.coin.prove(&job, &solution(*nonce)).is_ok_and(|proof| proof.meets(target));
        let nonce = (0..).find(solved).unwrap();
        self.coin.assemble(&job, &solution(nonce))
    }

    async fn mine(&mut self) -> BlockId {
        let block = self.solve().await;
        assert_eq!(within(self.node.submit(&block)).await.unwrap(), Submitted::Accepted);
        self.found.push(block.clone());
        block.id
    }

    /// Somebody else's transaction, with more gas than it needs: the chain mints fees again.
    async fn somebody_pays(&mut self, price: Price) {
        let transfer = Transfer {
            chain_id: Network::Devnet.chain_id(),
            nonce: self.sent,
            price,
            gas: 50_000,
            to: Address::new([7; 20]),
            value: 5,
            data: vec![],
        };
        self.sent += 1;
        let raw = transfer.signed(&rich().sign(&transfer.signing_hash()));
        self.ask("eth_sendRawTransaction", json!([format!("0x{}", hex::encode(raw))])).await;
    }

    async fn ask(&self, method: &str, params: Value) -> Value {
        let peer = pool_coins::http::HttpPeer::new(&self.dev.endpoint(), &HttpRules::default()).unwrap();
        peer.call(pool_coins::http::JsonRpc::V2, method, params).await.unwrap()
    }

    fn others_find(&self, count: usize) {
        self.dev.others_find(count);
    }

    /// Lets everybody else mine until every found block has a final fate.
    async fn settle(&mut self) -> BTreeMap<BlockId, BlockFate> {
        let mut fates = BTreeMap::new();
        within(async {
            while fates.len() < self.found.len() {
                self.others_find(3);
                for block in &self.found {
                    if fates.contains_key(&block.id) {
                        continue;
                    }
                    match self.node.fate(&block.id).await {
                        Ok(fate) if fate.is_final() => drop(fates.insert(block.id, fate)),
                        Ok(_) => {}
                        Err(error) => assert!(error.is_transient(), "{error}"),
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
        self.dev.balance(&pool_address())
    }

    fn wallet(&self) -> HypraWallet {
        let rules = WalletRules { settle_depth: CONFIRMATIONS, ..WalletRules::default() };
        HypraWallet::new(key(1), &self.node, rules).unwrap()
    }

    /// Lets everybody else mine until a transaction's fate is not pending and not unknown.
    async fn outcome(&self, wallet: &HypraWallet, tx: &SignedTx) -> TxFate {
        within(async {
            loop {
                match wallet.fate(tx).await.unwrap() {
                    TxFate::Unknown | TxFate::Pending { .. } => self.others_find(2),
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

fn placements(fates: &BTreeMap<BlockId, BlockFate>) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for fate in fates.values() {
        let placement = match fate {
            BlockFate::Matured { placement: Placement::Main, .. } => "main",
            BlockFate::Matured { placement: Placement::Uncle, .. } => "uncle",
            BlockFate::Lost { placement: Placement::Orphan, .. } => "orphan",
            other => panic!("{other:?}"),
        };
        *counts.entry(placement).or_default() += 1;
    }
    counts
}

fn batch(number: u64, to: &Address, amount: u128) -> PayoutBatch {
    let coin = CoinId::new("hypra").unwrap();
    let item = PayoutItem { miner: MinerId::new(&to.to_string()).unwrap(), amount: Amount::new(amount) };
    PayoutBatch { id: PayoutId::new(&coin, number), coin, at: Timestamp::from_millis(1), items: vec![item] }
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("poolwright-hypra-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_blocks_are_worth_is_what_the_chain_paid_to_the_wei() {
    let weather = Weather { late: 350, lost: 150 };
    let mut rig = Rig::with(DevNodeConfig { weather, seed: 7, ..dev_config() }).await;
    for round in 0..24 {
        if round % 2 == 0 {
            rig.somebody_pays(Price::Legacy(3 * GWEI)).await;
        }
        rig.mine().await;
        if round % 3 == 0 {
            rig.others_find(1);
        }
    }
    let fates = rig.settle().await;
    let counts = placements(&fates);
    assert_eq!(counts.len(), 3, "{counts:?}");
    assert_eq!(Rig::worth(&fates), rig.paid());
    let values: Vec<u128> = rig.found.iter().map(|block| fates[&block.id].value().get()).collect();
    let minted_again = 3 * GWEI * 50_000;
    assert!(values.iter().any(|value| *value >= 4 * HYP + minted_again), "a block with fees: {values:?}");
    assert!(
        values.iter().any(|value| *value > 4 * HYP && value % HYP >= UNCLE),
        "one with an uncle: {values:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_london_on_the_sums_agree_too() {
    let weather = Weather { late: 400, lost: 0 };
    let config = DevNodeConfig { weather, seed: 3, london: Some(4), ..dev_config() };
    let mut rig = Rig::with(config).await;
    rig.others_find(4);
    for round in 0..10 {
        let price = Price::Dynamic { tip_max: GWEI, fee_max: 5 * GWEI };
        rig.somebody_pays(if round % 3 == 0 { Price::Legacy(2 * GWEI) } else { price }).await;
        rig.mine().await;
    }
    let fates = rig.settle().await;
    assert!(placements(&fates).contains_key("uncle"));
    assert_eq!(Rig::worth(&fates), rig.paid());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorganisation_moves_blocks_and_the_sums_still_agree() {
    let mut rig = Rig::new().await;
    for _ in 0..3 {
        rig.mine().await;
        rig.others_find(1);
    }
    for block in &rig.found {
        assert!(matches!(rig.node.fate(&block.id).await.unwrap(), BlockFate::Pending { .. }));
    }
    rig.dev.reorganise(5);
    let first = rig.found[0].id;
    let fate = rig.node.fate(&first).await.unwrap();
    assert!(
        matches!(fate, BlockFate::Matured { placement: Placement::Main, .. }),
        "before the fork: {fate:?}"
    );
    rig.mine().await;
    let fates = rig.settle().await;
    let counts = placements(&fates);
    // Overtaken blocks have a parent on the new chain only where the fork is; the others are nowhere.
    assert!(counts.get("orphan").is_some_and(|count| *count > 0), "{counts:?}");
    assert_eq!(Rig::worth(&fates), rig.paid());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_nobody_has_heard_of_is_unknown_and_a_forgotten_state_makes_no_up_numbers() {
    let mut rig = Rig::new().await;
    let unsent = rig.solve().await;
    assert_eq!(rig.node.fate(&unsent.id).await.unwrap(), BlockFate::Unknown);
    assert_eq!(rig.node.fate(&BlockId::new([0xff; 32])).await.unwrap(), BlockFate::Unknown);
    rig.somebody_pays(Price::Legacy(3 * GWEI)).await;
    let id = rig.mine().await;
    // Deeper than nodes remember: what was minted for fees cannot be seen any more.
    rig.others_find(130);
    let fate = rig.node.fate(&id).await.unwrap();
    let BlockFate::Matured { value, detail, .. } = fate else { panic!("{fate:?}") };
    assert_eq!(value.get(), 4 * HYP + 3 * GWEI * u128::from(TRANSFER_GAS));
    assert!(detail.contains("balances do not show it"), "{detail}");
    assert!(value.get() < rig.paid());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submitting_again_and_losing_answers_changes_nothing() {
    let mut rig = Rig::new().await;
    let block = rig.solve().await;
    rig.dev.faults().next(1, "eth_submitWork", Fault::CutAfter);
    let outcome = within(rig.node.submit(&block)).await.unwrap();
    assert!(matches!(outcome, Submitted::Accepted | Submitted::Known));
    for _ in 0..3 {
        assert!(within(rig.node.submit(&block)).await.is_ok());
    }
    rig.others_find(8);
    // So old that the node has no such work any more; but the chain has the block.
    assert_eq!(within(rig.node.submit(&block)).await.unwrap(), Submitted::Known);
    rig.found.push(block);
    let fates = rig.settle().await;
    assert_eq!(Rig::worth(&fates), rig.paid());
    assert_eq!(Rig::worth(&fates), 4 * HYP, "once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_seal_is_refused_for_good_and_a_silent_node_is_not() {
    let rig = Rig::new().await;
    let good = rig.solve().await;
    for place in [0, 20, 50] {
        let mut bytes = good.bytes.clone();
        bytes[place] ^= 1;
        let wrong = RawBlock { bytes, ..good.clone() };
        let error = within(rig.node.submit(&wrong)).await.unwrap_err();
        assert!(matches!(error, NodeError::Refused { .. }) && !error.is_transient(), "{place}: {error}");
    }
    let short = RawBlock { bytes: vec![1; 71], ..good.clone() };
    assert!(matches!(within(rig.node.submit(&short)).await, Err(NodeError::Refused { .. })));
    rig.dev.faults().always("eth_submitWork", Fault::Silence);
    assert!(within(rig.node.submit(&good)).await.unwrap_err().is_transient());
    rig.dev.faults().clear();
    assert_eq!(within(rig.node.submit(&good)).await.unwrap(), Submitted::Accepted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_and_lies_are_errors_and_never_jobs() {
    let rig = Rig::new().await;
    rig.job().await;
    let honest = rig.ask("eth_getWork", json!([])).await;
    let with = |place: usize, value: &str| {
        let mut lie = honest.clone();
        lie[place] = value.into();
        Fault::Answer(lie)
    };
    let lies = [
        ("eth_coinbase", Fault::Answer(json!("0x2222222222222222222222222222222222222222"))),
        ("eth_coinbase", Fault::Answer(Value::Null)),
        ("eth_chainId", Fault::Answer(json!("0x1"))),
        ("eth_getWork", Fault::Garbage),
        ("eth_getWork", Fault::Answer(json!([]))),
        ("eth_getWork", with(1, &format!("0x{}", "11".repeat(32)))),
        ("eth_getWork", with(2, &format!("0x{}", "00".repeat(32)))),
        ("eth_getWork", with(3, "0xffffff")),
        ("eth_getWork", with(3, "0x7000")),
    ];
    for (method, lie) in lies {
        rig.dev.faults().always(method, lie.clone());
        let error = within(rig.node.template()).await.unwrap_err();
        assert!(matches!(error, NodeError::Garbage(_)), "{method} {lie:?}: {error:?}");
        rig.dev.faults().clear();
    }
    rig.dev.faults().always("eth_syncing", Fault::Answer(json!({ "currentBlock": "0x1" })));
    assert!(matches!(within(rig.node.template()).await, Err(NodeError::NotSynced)));
    rig.dev.faults().clear();
    let no_work = pool_coins::devnode_http::RpcFault::new(-32_000, "no mining work available yet");
    rig.dev.faults().always("eth_getWork", Fault::Error(no_work));
    assert!(matches!(within(rig.node.template()).await, Err(NodeError::Unreachable(_))));
    rig.dev.faults().clear();
    assert!(within(rig.node.template()).await.is_ok(), "a node that comes to its senses is asked again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lies_about_a_block_decide_nothing() {
    let mut rig = Rig::new().await;
    let id = rig.mine().await;
    rig.others_find(10);
    let BlockFate::Matured { value, .. } = rig.node.fate(&id).await.unwrap() else { panic!("not final") };
    let height = format!("{:#x}", rig.found[0].height);
    let mut block = rig.ask("eth_getBlockByNumber", json!([height, true])).await;
    for (key, lie) in
        [("miner", "0x2222222222222222222222222222222222222222"), ("number", "0x2"), ("nonce", "0x00")]
    {
        let mut changed = block.clone();
        changed[key] = lie.into();
        rig.dev.faults().always("eth_getBlockByNumber", Fault::Answer(changed));
        assert!(matches!(rig.node.fate(&id).await, Err(NodeError::Garbage(_))), "{key}");
        rig.dev.faults().clear();
    }
    block["uncles"] = json!([format!("0x{}", "11".repeat(32))]);
    rig.dev.faults().always("eth_getBlockByNumber", Fault::Answer(block));
    assert!(
        matches!(rig.node.fate(&id).await, Err(NodeError::Garbage(_))),
        "an uncle that is not the block's"
    );
    rig.dev.faults().clear();
    rig.dev.faults().always("eth_getBalance", Fault::Answer(json!("0x7")));
    assert!(matches!(rig.node.fate(&id).await, Err(NodeError::Garbage(_))), "a balance that did not grow");
    rig.dev.faults().clear();
    assert_eq!(rig.node.fate(&id).await.unwrap().value(), value);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pool_changes_over_from_a_node_that_lies_stalls_or_leaves_and_back() {
    let mut rig = Rig::new().await;
    let (second, driver) = rig.dev.another(ANYWHERE).await.unwrap();
    let serving = rig.tasks.spawn(driver);
    let config = node_config(vec![second.endpoint(), rig.dev.endpoint()], &rig.config);
    let (node, driver) = HypraNode::open(config).unwrap();
    rig.tasks.spawn(driver);
    rig.node = node;
    rig.mine().await;

    second
        .faults()
        .always("eth_coinbase", Fault::Answer(json!("0x2222222222222222222222222222222222222222")));
    rig.mine().await;
    assert!(rig.node.status()[0].faults > 0);
    second.faults().clear();

    second.faults().always("eth_getWork", Fault::Silence);
    rig.mine().await;
    second.faults().clear();
    within(async {
        while rig.node.status()[0].standing.is_err() {
            rig.job().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;

    // Both cut, one gone for good: the other is found again.
    rig.dev.disconnect_all();
    second.disconnect_all();
    serving.abort();
    rig.mine().await;
    let fates = rig.settle().await;
    assert_eq!(fates.len(), 4);
    assert_eq!(Rig::worth(&fates), rig.paid());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_falls_behind_or_invents_blocks_is_asked_last() {
    let mut rig = Rig::new().await;
    let (second, driver) = rig.dev.another(ANYWHERE).await.unwrap();
    rig.tasks.spawn(driver);
    rig.others_find(2);
    let old = rig.ask("eth_getBlockByNumber", json!(["latest", false])).await;
    rig.others_find(8);
    let mut config = node_config(vec![second.endpoint(), rig.dev.endpoint()], &rig.config);
    config.cool_down = CoolDown { first: Duration::from_secs(600), max: Duration::from_secs(600) };
    second.faults().always("eth_getBlockByNumber", Fault::Answer(old.clone()));
    let watch = |config: HypraNodeConfig, tasks: &mut JoinSet<()>| {
        let (node, driver) = HypraNode::open(config).unwrap();
        tasks.spawn(driver);
        async move {
            within(async {
                loop {
                    if let Err(disgrace) = &node.status()[0].standing {
                        return disgrace.why.clone();
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
            .await
        }
    };
    let why = watch(config.clone(), &mut rig.tasks).await;
    assert!(why.contains("it is at block 2, another is at 10"), "{why}");

    // A header that hashes to what it says, far ahead, and without proof of work.
    let mut header = pool_coins::hypra::rpc::Block::read(&old).unwrap().unwrap().header;
    header.number = 5_000;
    header.difficulty = pool_core::units::U256::from(1_000_000_000u64);
    second.faults().clear();
    let invented = pool_coins::hypra::rpc::from_header(&header);
    second.faults().always("eth_getBlockByNumber", Fault::Answer(invented));
    let why = watch(config, &mut rig.tasks).await;
    assert!(why.contains("no proof of work"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_arrive_and_a_height_makes_a_clean_job() {
    let rig = Rig::new().await;
    let first = rig.job().await;
    assert!(first.work().clean);
    assert!(!rig.job().await.work().clean, "the same height again");
    rig.others_find(1);
    within(rig.node.changed()).await;
    let next = rig.job().await;
    assert!(next.work().clean && next.work().height == first.work().height + 1);
    assert!(rig.node.network_hashrate().await.is_ok());
}

async fn payouts(config: DevNodeConfig) {
    let mut rig = Rig::with(config).await;
    rig.others_find(1);
    rig.mine().await;
    rig.others_find(CONFIRMATIONS as usize);
    let wallet = rig.wallet();
    assert_eq!(wallet.spendable().await.unwrap(), Amount::new(4 * HYP).min(Amount::new(rig.paid())));
    let miners: Vec<Address> = (20..24).map(|n| key(n).address()).collect();
    let mut signed: Vec<SignedTx> = Vec::new();
    for (number, to) in miners.iter().enumerate() {
        let tx = wallet.sign(&batch(number as u64, to, HYP / 2), &signed).await.unwrap();
        assert_eq!(wallet.sign(&batch(number as u64, to, HYP / 2), &signed).await.unwrap(), tx, "no effect");
        assert_eq!(wallet.fate(&tx).await.unwrap(), TxFate::Unknown);
        signed.push(tx);
    }
    let nonces: Vec<&String> = signed.iter().flat_map(|tx| &tx.spends).collect();
    assert_eq!(nonces.len(), 4);
    assert!(nonces.iter().enumerate().all(|(n, text)| text.ends_with(&format!(":{n}"))), "{nonces:?}");
    // Money on its way is not spent twice.
    let short = wallet.sign(&batch(9, &miners[0], 2 * HYP), &signed).await;
    assert!(matches!(short, Err(WalletError::Short { .. })), "{short:?}");
    for (place, tx) in signed.iter().enumerate() {
        if place == 1 {
            // The answer is lost; the transaction is not.
            rig.dev.faults().next(1, "eth_sendRawTransaction", Fault::CutAfter);
            let _ = wallet.broadcast(tx).await;
        }
        wallet.broadcast(tx).await.unwrap();
        wallet.broadcast(tx).await.unwrap();
        assert_eq!(wallet.fate(tx).await.unwrap(), TxFate::Pending { confirmations: 0 });
    }
    let before = rig.paid();
    let mut fees = 0;
    for tx in &signed {
        match rig.outcome(&wallet, tx).await {
            TxFate::Settled { fee } => {
                assert!(fee <= tx.fee);
                fees += fee.get();
            }
            other => panic!("{other:?}"),
        }
        wallet.broadcast(tx).await.unwrap();
    }
    for to in &miners {
        assert_eq!(rig.dev.balance(to), HYP / 2);
    }
    assert_eq!(before - rig.paid(), 2 * HYP + fees, "what was paid, and the fees, to the wei");
    assert_eq!(wallet.upkeep(&[]).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn miners_are_paid_with_transactions_of_the_old_kind() {
    payouts(dev_config()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn miners_are_paid_with_caps_and_tips_where_there_is_a_base_fee() {
    // The reward is less there.
    let funds = vec![(pool_address(), HYP)];
    payouts(DevNodeConfig { london: Some(0), funds, ..dev_config() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_was_forgotten_is_sent_again_and_one_that_was_displaced_is_void() {
    let mut rig = Rig::new().await;
    rig.mine().await;
    rig.others_find(CONFIRMATIONS as usize);
    let wallet = rig.wallet();
    let to = key(30).address();
    let tx = wallet.sign(&batch(1, &to, HYP), &[]).await.unwrap();
    wallet.broadcast(&tx).await.unwrap();
    rig.dev.forget_waiting();
    assert_eq!(wallet.fate(&tx).await.unwrap(), TxFate::Unknown);
    wallet.broadcast(&tx).await.unwrap();
    rig.dev.forget_waiting();

    // Somebody with the same key is faster.
    let transfer = SignedTransfer::parse(&tx.raw).unwrap().transfer;
    let other = Transfer { to: key(31).address(), ..transfer };
    let raw = other.signed(&key(1).sign(&other.signing_hash()));
    let displacing = SignedTx { id: TxId::new(tx::id(&raw)), raw, ..tx.clone() };
    wallet.broadcast(&displacing).await.unwrap();
    rig.others_find(2);
    assert_eq!(wallet.fate(&tx).await.unwrap(), TxFate::Pending { confirmations: 1 }, "not final yet");
    assert!(matches!(wallet.broadcast(&tx).await, Err(WalletError::Refused(_))));
    match rig.outcome(&wallet, &tx).await {
        TxFate::Void { detail } => assert!(detail.contains(&displacing.id.to_string()), "{detail}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(rig.outcome(&wallet, &displacing).await, TxFate::Settled { .. }));
    // A node that says the receipt is gone has to show who took the place.
    rig.dev.faults().always("eth_getTransactionReceipt", Fault::Answer(Value::Null));
    rig.dev.faults().always("eth_getTransactionByHash", Fault::Answer(Value::Null));
    assert!(wallet.fate(&displacing).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_never_be_paid_is_said_before_anything_is_signed() {
    let mut rig = Rig::new().await;
    rig.mine().await;
    rig.others_find(CONFIRMATIONS as usize);
    let wallet = rig.wallet();
    let contract = Address::new([0xcc; 20]);
    for (to, words) in [(contract, "does not take the payment"), (pool_address(), "does not pay itself")] {
        let error = wallet.sign(&batch(1, &to, HYP), &[]).await.unwrap_err();
        assert!(matches!(&error, WalletError::Impossible(why) if why.contains(words)), "{error}");
    }
    let mut two = batch(1, &key(20).address(), HYP);
    two.items.extend(two.items.clone());
    assert!(matches!(wallet.sign(&two, &[]).await, Err(WalletError::Impossible(_))));
    assert_eq!(payout_limits(Amount::new(1)).items_max, 1);
    let (foreign, _driver) = HypraNode::open(HypraNodeConfig::new(
        vec![rig.dev.endpoint()],
        Network::Devnet,
        Address::new([3; 20]),
    ))
    .unwrap();
    assert!(matches!(
        HypraWallet::new(key(1), &foreign, WalletRules::default()),
        Err(WalletError::Impossible(_))
    ));

    // What a contract refuses all the same is void, and the gas is gone.
    let transfer = Transfer {
        chain_id: Network::Devnet.chain_id(),
        nonce: 0,
        price: Price::Legacy(2 * GWEI),
        gas: TRANSFER_GAS,
        to: contract,
        value: HYP,
        data: vec![],
    };
    let raw = transfer.signed(&key(1).sign(&transfer.signing_hash()));
    let tx = SignedTx { id: TxId::new(tx::id(&raw)), raw, fee: Amount::ZERO, spends: vec![] };
    let before = rig.paid();
    wallet.broadcast(&tx).await.unwrap();
    assert!(matches!(rig.outcome(&wallet, &tx).await, TxFate::Void { .. }));
    assert_eq!(before - rig.paid(), 2 * GWEI * u128::from(TRANSFER_GAS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_start_goes_on_with_the_same_chain() {
    let folder = Folder::new("restart");
    let config = DevNodeConfig { data: Some(folder.0.clone()), ..dev_config() };
    let mut rig = Rig::with(config.clone()).await;
    rig.somebody_pays(Price::Legacy(2 * GWEI)).await;
    let id = rig.mine().await;
    rig.dev.reorganise(1);
    rig.mine().await;
    rig.others_find(3);
    let (height, paid) = (rig.dev.height(), rig.paid());
    let fate = rig.node.fate(&id).await.unwrap();
    let Rig { dev, node, tasks, .. } = rig;
    drop((dev, node));
    let mut tasks = tasks;
    tasks.shutdown().await;
    let mut again = within(async {
        loop {
            // What the old server was at when it was dropped may hold the file for a moment.
            match DevNode::open(config.clone()).await {
                Ok((dev, driver)) => {
                    drop((dev, driver));
                    return Rig::with(config.clone()).await;
                }
                Err(DevNodeError::Journal(JournalError::InUse)) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;
    assert_eq!((again.dev.height(), again.paid()), (height, paid));
    assert_eq!(again.node.fate(&id).await.unwrap(), fate);
    again.mine().await;
    assert!(again.dev.height() > height);
    let other = DevNodeConfig { difficulty: 5, ..config };
    let refused = DevNode::open(other).await;
    assert!(matches!(
        refused,
        Err(DevNodeError::Journal(JournalError::OtherChain { .. } | JournalError::InUse))
    ));
}
