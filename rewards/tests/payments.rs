//! Nobody is paid twice and nothing is lost, whatever fails and wherever the process ends.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod faulty;

use async_trait::async_trait;
use faulty::{Ports, Strike, Weather, wait};
use pool_core::coin::{NodeError, Wallet, WalletError};
use pool_core::id::{CoinId, MinerId, Seq, TxId};
use pool_core::ledger::{Account, Cause, Entry, Posting};
use pool_core::payout::{PayoutBatch, SignedTx, TxFate};
use pool_core::ports::{Directory, Ledger, Miner, PayoutBook};
use pool_core::time::{Micros, Timestamp};
use pool_core::units::Amount;
use pool_rewards::audit::{AuditStores, audit};
use pool_rewards::pay::{PayRules, PayStores, Payer};
use pool_rewards::plan::PlanRules;
use pool_rewards::settle::Stores;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

const FEE: u128 = 3;
/// Blocks until a transaction is final.
const DEPTH: u64 = 3;

/// A transaction as the chain sees it.
#[derive(Clone, Debug)]
struct Tx {
    spends: Vec<String>,
    pays: Vec<(String, u128)>,
    /// The height it was mined at; `None` while it only waits.
    mined: Option<u64>,
}

/// The chain, the network and whatever else happens out there.
#[derive(Debug, Default)]
struct World {
    height: u64,
    coins: BTreeMap<String, u128>,
    txs: BTreeMap<TxId, Tx>,
    signed: u64,
    upkeep_due: bool,
}

impl World {
    fn is_final(&self, tx: &Tx) -> bool {
        tx.mined.is_some_and(|height| height + DEPTH <= self.height)
    }

    /// What is mined counts first, then what waits.
    fn spender(&self, coin: &str, mined_only: bool) -> Option<TxId> {
        let spends = |tx: &&Tx| tx.spends.iter().any(|spent| spent == coin);
        self.txs
            .iter()
            .filter(|(_, tx)| spends(tx) && (!mined_only || tx.mined.is_some()))
            .map(|(id, _)| *id)
            .next()
    }

    /// One block: what waits and conflicts with nothing mined may go in.
    fn mine(&mut self, random: &mut ChaCha8Rng) {
        self.height += 1;
        let waiting: Vec<TxId> =
            self.txs.iter().filter(|(_, tx)| tx.mined.is_none()).map(|(id, _)| *id).collect();
        for id in waiting {
            let spends = self.txs[&id].spends.clone();
            if spends.iter().all(|coin| self.spender(coin, true).is_none()) && random.random_bool(0.6) {
                self.txs.get_mut(&id).unwrap().mined = Some(self.height);
            }
        }
    }

    /// What is not final may fall out of the chain, back into the wait or out of everyone's memory.
    fn reorganise(&mut self, random: &mut ChaCha8Rng) {
        let loose: Vec<TxId> =
            self.txs.iter().filter(|(_, tx)| !self.is_final(tx)).map(|(id, _)| *id).collect();
        for id in loose {
            match random.random_range(0..4) {
                0 => {
                    self.txs.remove(&id);
                }
                1 => self.txs.get_mut(&id).unwrap().mined = None,
                _ => {}
            }
        }
    }

    /// Somebody with the same keys spends a coin that a waiting transaction needs.
    fn double_spend(&mut self, random: &mut ChaCha8Rng) {
        let targets: Vec<TxId> =
            self.txs.iter().filter(|(_, tx)| !self.is_final(tx)).map(|(id, _)| *id).collect();
        if targets.is_empty() {
            return;
        }
        let target = targets[random.random_range(0..targets.len())];
        let coin = self.txs[&target].spends[0].clone();
        let rivals: Vec<TxId> =
            self.txs.iter().filter(|(_, tx)| tx.spends.contains(&coin)).map(|(id, _)| *id).collect();
        for rival in rivals {
            self.txs.remove(&rival);
        }
        self.signed += 1;
        let id = tx_id(self.signed);
        self.txs.insert(id, Tx { spends: vec![coin], pays: Vec::new(), mined: Some(self.height) });
    }

    /// What final transactions paid, by address.
    fn paid(&self) -> BTreeMap<String, u128> {
        let mut paid = BTreeMap::new();
        for tx in self.txs.values().filter(|tx| self.is_final(tx)) {
            for (address, amount) in &tx.pays {
                *paid.entry(address.clone()).or_default() += amount;
            }
        }
        paid
    }
}

fn tx_id(number: u64) -> TxId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    TxId::new(bytes)
}

/// A wallet whose signatures never repeat: signing the same batch again would be another transaction.
#[derive(Debug)]
struct TestWallet {
    world: Mutex<World>,
    weather: Weather,
    /// Batches of this many items can never be signed.
    impossible_items: usize,
}

impl TestWallet {
    fn strike(&self) -> Option<Strike> {
        self.weather.next()
    }

    fn gone() -> WalletError {
        WalletError::Node(NodeError::Unreachable("the test's weather".into()))
    }

    fn make(&self, pays: Vec<(String, u128)>, in_flight: &[SignedTx]) -> Result<SignedTx, WalletError> {
        let mut world = self.world.lock().unwrap();
        let needed = pays.iter().map(|(_, amount)| amount).sum::<u128>() + FEE;
        let reserved: BTreeSet<&String> = in_flight.iter().flat_map(|tx| &tx.spends).collect();
        let mut spends = Vec::new();
        let mut sum = 0;
        for (coin, value) in &world.coins {
            if sum >= needed {
                break;
            }
            if !reserved.contains(coin) && world.spender(coin, false).is_none() {
                spends.push(coin.clone());
                sum += value;
            }
        }
        if sum < needed {
            return Err(WalletError::Short { spendable: Amount::new(sum), needed: Amount::new(needed) });
        }
        world.signed += 1;
        let id = tx_id(world.signed);
        let raw = serde_json::to_vec(&pays).unwrap();
        Ok(SignedTx { id, raw, fee: Amount::new(FEE), spends })
    }
}

#[async_trait]
impl Wallet for TestWallet {
    async fn sign(&self, batch: &PayoutBatch, in_flight: &[SignedTx]) -> Result<SignedTx, WalletError> {
        if batch.items.len() == self.impossible_items {
            return Err(WalletError::Impossible("the test says so".into()));
        }
        let pays = batch.items.iter().map(|item| (item.miner.to_string(), item.amount.get())).collect();
        let signed = self.make(pays, in_flight)?;
        match self.strike() {
            Some(_) => Err(Self::gone()),
            None => Ok(signed),
        }
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<(), WalletError> {
        let strike = self.strike();
        if strike == Some(Strike::Before) {
            return Err(Self::gone());
        }
        {
            let mut world = self.world.lock().unwrap();
            if !world.txs.contains_key(&tx.id) {
                if tx.spends.iter().any(|coin| world.spender(coin, false).is_some()) {
                    return Err(WalletError::Refused("a coin is spent".into()));
                }
                let pays = serde_json::from_slice(&tx.raw).unwrap();
                world.txs.insert(tx.id, Tx { spends: tx.spends.clone(), pays, mined: None });
            }
        }
        if strike == Some(Strike::After) { Err(Self::gone()) } else { Ok(()) }
    }

    async fn fate(&self, tx: &SignedTx) -> Result<TxFate, WalletError> {
        if self.strike().is_some() {
            return Err(Self::gone());
        }
        let world = self.world.lock().unwrap();
        if let Some(own) = world.txs.get(&tx.id) {
            return Ok(match own.mined {
                Some(_) if world.is_final(own) => TxFate::Settled { fee: tx.fee },
                mined => TxFate::Pending { confirmations: mined.map_or(0, |height| world.height - height) },
            });
        }
        let rival = tx.spends.iter().find_map(|coin| {
            world.txs.values().find(|other| world.is_final(other) && other.spends.contains(coin))
        });
        Ok(match rival {
            Some(_) => TxFate::Void { detail: "a final transaction spends its coin".into() },
            None => TxFate::Unknown,
        })
    }

    async fn spendable(&self) -> Result<Amount, WalletError> {
        Ok(Amount::ZERO)
    }

    async fn upkeep(&self, in_flight: &[SignedTx]) -> Result<Option<SignedTx>, WalletError> {
        if !std::mem::take(&mut self.world.lock().unwrap().upkeep_due) {
            return Ok(None);
        }
        self.make(Vec::new(), in_flight).map(Some)
    }
}

fn coin() -> CoinId {
    CoinId::new("kaspa").unwrap()
}

fn rules(open_max: usize) -> PayRules {
    PayRules {
        coin: coin(),
        plan: PlanRules {
            items_max: 3,
            amount_min: Amount::new(5),
            threshold: Amount::new(50),
            threshold_min: Amount::new(10),
        },
        every: Micros::from_millis(10),
        open_max,
    }
}

/// One pool, one chain, one seed.
struct Scene {
    random: ChaCha8Rng,
    ports: Ports,
    wallet: TestWallet,
    credited: BTreeMap<String, u128>,
    entries: u64,
    now: u64,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let ports = Ports::new(seed);
        let coins = (0..40).map(|number| (format!("coin:{number:02}"), 400)).collect();
        let world = World { coins, ..World::default() };
        let wallet = TestWallet {
            world: Mutex::new(world),
            weather: ports.weather.clone(),
            impossible_items: if seed.is_multiple_of(7) { 2 } else { usize::MAX },
        };
        let random = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
        Self { random, ports, wallet, credited: BTreeMap::new(), entries: 0, now: 1 }
    }

    fn stores(&self) -> PayStores<'_> {
        PayStores { ledger: &self.ports, payouts: &self.ports, directory: &self.ports }
    }

    async fn credit(&mut self) {
        let miner = format!("miner-{}", self.random.random_range(0..6));
        let amount = self.random.random_range(1..60);
        self.entries += 1;
        let account = Account::Miner(MinerId::new(&miner).unwrap());
        let entry = Entry {
            coin: coin(),
            cause: Cause::Adjustment(format!("credit/{}", self.entries)),
            at: Timestamp::from_millis(self.now),
            postings: vec![Posting::new(Account::Chain, account, Amount::new(amount)).unwrap()],
            memo: String::new(),
        };
        self.ports.ledger.post(&entry).await.unwrap();
        *self.credited.entry(miner).or_default() += amount;
    }

    /// A step that may fail; what it says must be transient.
    async fn step(&mut self, payer: &mut Payer) {
        self.now += 7;
        let now = Timestamp::from_millis(self.now);
        if let Err(error) = payer.step(now, self.stores(), &self.wallet).await {
            assert!(error.is_transient(), "{error}");
        }
        // No two transactions on their way spend one coin: one of them could never settle.
        let open = self.ports.payouts.open().await.unwrap();
        let mut spent = BTreeSet::new();
        for coin in open.iter().filter_map(|payout| payout.signed.as_ref()).flat_map(|tx| &tx.spends) {
            assert!(spent.insert(coin.clone()), "{coin} is spent by two payouts");
        }
    }

    async fn owed(&self, miner: &str) -> u128 {
        let account = Account::Miner(MinerId::new(miner).unwrap());
        let balance = self.ports.ledger.balance(&account).await.unwrap();
        assert!(balance.debits <= balance.credits, "{miner} was taken more than he had");
        balance.owed().get()
    }
}

async fn live(seed: u64) -> u32 {
    let mut scene = Scene::new(seed);
    let open_max = 1 + (seed % 3) as usize;
    let mut payer = Payer::new(rules(open_max));
    for number in 0..3 {
        let own = Miner {
            id: MinerId::new(&format!("miner-{number}")).unwrap(),
            since: Timestamp::from_millis(0),
            threshold: Some(Amount::new(10 * (number + 1))),
        };
        scene.ports.directory.save(&own).await.unwrap();
    }
    scene.ports.weather.odds(60);
    for _ in 0..90 {
        match scene.random.random_range(0..20) {
            0..6 => scene.credit().await,
            6..13 => scene.step(&mut payer).await,
            13..16 => scene.wallet.world.lock().unwrap().mine(&mut scene.random),
            16 => scene.wallet.world.lock().unwrap().reorganise(&mut scene.random),
            17 => {
                if seed.is_multiple_of(3) {
                    scene.wallet.world.lock().unwrap().double_spend(&mut scene.random);
                }
            }
            18 => scene.wallet.world.lock().unwrap().upkeep_due = true,
            // The process dies: whatever it had in mind is gone.
            _ => payer = Payer::new(rules(open_max)),
        }
    }
    let struck = scene.ports.weather.struck();
    // The weather clears, and everything comes to its end.
    scene.ports.weather.odds(0);
    let mut payer = Payer::new(rules(open_max));
    for _ in 0..60 {
        scene.step(&mut payer).await;
        scene.wallet.world.lock().unwrap().mine(&mut scene.random);
    }
    scene.wallet.impossible_items = usize::MAX;
    for _ in 0..60 {
        scene.step(&mut payer).await;
        scene.wallet.world.lock().unwrap().mine(&mut scene.random);
    }
    let open = scene.ports.payouts.open().await.unwrap();
    assert!(open.is_empty(), "seed {seed}: {open:?}");
    let in_flight = scene.ports.ledger.balance(&Account::InFlight).await.unwrap();
    assert_eq!(in_flight.debits, in_flight.credits, "seed {seed}");
    let paid = scene.wallet.world.lock().unwrap().paid();
    for (miner, credited) in &scene.credited {
        let on_chain = paid.get(miner).copied().unwrap_or(0);
        assert_eq!(on_chain + scene.owed(miner).await, *credited, "seed {seed}, {miner}");
    }
    assert!(paid.keys().all(|address| scene.credited.contains_key(address)));
    let settled = Stores { shares: &scene.ports, blocks: &scene.ports, ledger: &scene.ports };
    let report = audit(&coin(), AuditStores { settled, payouts: &scene.ports }).await.unwrap();
    assert!(report.agrees(), "seed {seed}: {:?}", report.differences);
    assert!(report.unfinished.is_empty(), "seed {seed}: {:?}", report.unfinished);
    struck
}

#[test]
fn nobody_is_paid_twice_and_nothing_is_lost() {
    let struck: u32 = (0..2_500).map(|seed| wait(live(seed))).sum();
    assert!(struck > 10_000, "the weather was too fine: {struck}");
}

#[test]
fn a_payout_walks_through_its_states_in_order() {
    wait(async {
        let mut scene = Scene::new(1);
        let mut payer = Payer::new(rules(1));
        for _ in 0..12 {
            scene.credit().await;
        }
        let now = Timestamp::from_millis(100);
        let first = payer.step(now, scene.stores(), &scene.wallet).await.unwrap();
        assert_eq!((first.prepared.len(), first.sent.len(), first.open), (1, 1, 1));
        let book = scene.ports.payouts.open().await.unwrap();
        assert_eq!(book[0].signed.as_ref().map(|tx| tx.id), Some(first.sent[0].1));
        let total = book[0].batch.total().unwrap();
        let in_flight = scene.ports.ledger.balance(&Account::InFlight).await.unwrap();
        assert_eq!(in_flight.owed(), total);
        let entry = scene.ports.ledger.entry(&Cause::Payout(book[0].batch.id.clone())).await.unwrap();
        assert_eq!(entry.unwrap().entry.postings.len(), book[0].batch.items.len());
        // Nothing more may be open than allowed, and nothing is settled before it is final.
        let again = payer.step(now, scene.stores(), &scene.wallet).await.unwrap();
        assert_eq!((again.prepared.len(), again.settled.len(), again.open), (0, 0, 1));
        let mut done = Vec::new();
        for _ in 0..60 {
            scene.wallet.world.lock().unwrap().mine(&mut scene.random);
            let step = payer.step(now, scene.stores(), &scene.wallet).await.unwrap();
            done.extend(step.settled);
        }
        assert_eq!(done[0], (book[0].batch.id.clone(), total));
        let operator = scene.ports.ledger.balance(&Account::Operator).await.unwrap();
        assert_eq!(operator.debits.get(), FEE * done.len() as u128, "the operator pays the network's fee");
        assert_eq!(
            scene.ports.ledger.entries(None, Seq::new(0), 10_000).await.unwrap().len(),
            12 + 2 * done.len()
        );
    });
}
