//! Values to write down, and a text of everything a store holds.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part, and may panic")]

use pool_core::block::{BlockFate, FoundBlock, Placement};
use pool_core::id::{
    BlockId, CoinId, InstanceId, MinerId, PayoutId, Seq, ShareSeq, TxId, Worker, WorkerName,
};
use pool_core::ledger::{Account, Cause, Entry, Posting};
use pool_core::payout::{PayoutBatch, PayoutItem, SignedTx, TxFate};
use pool_core::ports::{
    BlockBook, BlockList, Broker, Bucket, DifficultyCache, Directory, Ledger, Miner, PayoutBook, RollupQuery,
    Rollups, ShareLog,
};
use pool_core::share::{Candidate, Evidence, Proof, Share, Verdict, judge};
use pool_core::time::Timestamp;
use pool_core::units::{Amount, Target, U256, Work};
use pool_storage::SqliteStore;
use std::fmt::Write as _;

/// Everything from the beginning.
pub(crate) const ALL: usize = usize::MAX;

pub(crate) fn coin() -> CoinId {
    CoinId::new("kaspa").unwrap()
}

pub(crate) fn miner(n: u64) -> MinerId {
    MinerId::new(&format!("kaspa:q{n:04}")).unwrap()
}

pub(crate) fn worker(n: u64) -> Worker {
    Worker { miner: miner(n), name: WorkerName::clean(&format!("rig{}", n % 3)) }
}

pub(crate) fn block_id(n: u64) -> BlockId {
    let mut bytes = [0xb1; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    BlockId::new(bytes)
}

fn judged(n: u64, solves: bool) -> Share {
    let candidate = Candidate {
        instance: InstanceId::new(7),
        at: Timestamp::from_millis(1_700_000_000_000 + n),
        worker: worker(n % 11),
        share_target: Target::new(U256::MAX >> 32),
        network_target: Target::new(U256::MAX >> 50),
        chain: u16::try_from(n % 4).unwrap(),
        evidence: Evidence::new(&[&n.to_be_bytes()[..], &[0xee; 64]].concat()).unwrap(),
        block: block_id(n),
    };
    let hash = if solves { U256::from(1u64) } else { U256::MAX >> 40 };
    match judge(candidate, Proof::new(hash)) {
        Verdict::Accepted(share) => share,
        Verdict::Rejected(reject) => panic!("{reject}"),
    }
}

/// A share that solves no block; its evidence begins with `n`.
pub(crate) fn share(n: u64) -> Share {
    judged(n, false)
}

/// A share that solves block `n`.
pub(crate) fn block_share(n: u64) -> Share {
    judged(n, true)
}

/// The number a share was made of.
pub(crate) fn number_of(evidence: &Evidence) -> u64 {
    u64::from_be_bytes(evidence.bytes()[..8].try_into().unwrap())
}

pub(crate) fn found(n: u64) -> FoundBlock {
    FoundBlock {
        id: block_id(n),
        coin: coin(),
        share: block_share(n).record().clone(),
        raw: vec![0x5a; 300],
        height: n,
    }
}

pub(crate) fn matured(value: u128) -> BlockFate {
    BlockFate::Matured { value: Amount::new(value), placement: Placement::Main, detail: "merged".into() }
}

/// Moves a reward of `value` for block `n` to the operator and two miners.
pub(crate) fn reward(n: u64, value: u128) -> Entry {
    let posting = |credit, amount| Posting::new(Account::Chain, credit, Amount::new(amount)).unwrap();
    Entry {
        coin: coin(),
        cause: Cause::BlockReward(block_id(n)),
        at: Timestamp::from_millis(n),
        postings: vec![
            posting(Account::Operator, value / 100 + 1),
            posting(Account::Miner(miner(n % 11)), value / 2 + 1),
            posting(Account::Miner(miner((n + 1) % 11)), value / 3 + 1),
        ],
        memo: format!("{{\"n\":{n}}}"),
    }
}

pub(crate) fn payout(n: u64) -> PayoutBatch {
    PayoutBatch {
        id: PayoutId::new(&coin(), n),
        coin: coin(),
        at: Timestamp::from_millis(n),
        items: vec![PayoutItem { miner: miner(n % 11), amount: Amount::new(u128::from(n) + 1) }],
    }
}

pub(crate) fn signed(n: u64) -> SignedTx {
    SignedTx {
        id: TxId::new([u8::try_from(n % 251).unwrap(); 32]),
        raw: vec![1, 2, 3],
        fee: Amount::new(9),
        spends: vec![format!("tx:{n}")],
    }
}

pub(crate) fn bucket(n: u64) -> Bucket {
    Bucket { worker: worker(n % 11), minute: 1_000 + n / 5, shares: n, work: u128::from(n) << 70 }
}

/// One write of any port, chosen by `n`: whatever else is in the store, it succeeds, and it is one transaction.
pub(crate) async fn write(store: &SqliteStore, n: u64) {
    match n % 13 {
        0 | 4 | 9 => {
            let batch: Vec<Share> = (0..=n % 40).map(|i| share(n * 1_000 + i)).collect();
            store.append(&batch).await.unwrap();
        }
        1 => {
            store.append(&[share(n * 1_000), block_share(n), share(n * 1_000 + 1)]).await.unwrap();
        }
        2 => {
            store.record(&found(n)).await.unwrap();
        }
        3 => {
            store.submitted(&block_id(n - 1), Timestamp::from_millis(n)).await.unwrap();
        }
        5 => {
            BlockBook::conclude(store, &block_id(n - 3), &matured(u128::from(n) << 64)).await.unwrap();
        }
        6 => {
            store.post(&reward(n, u128::from(n) << 70)).await.unwrap();
        }
        7 => {
            store.prepare(&payout(n)).await.unwrap();
        }
        8 => {
            store.attach(&payout(n - 1).id, &signed(n)).await.unwrap();
        }
        10 => {
            let buckets: Vec<Bucket> = (0..30).map(|i| bucket(n + i)).collect();
            store.add(ShareSeq::new(n), &buckets).await.unwrap();
        }
        11 => {
            store.publish("shares", &[vec![1; 40], n.to_be_bytes().to_vec()]).await.unwrap();
        }
        _ => {
            store
                .save(&Miner {
                    id: miner(n % 11),
                    since: Timestamp::from_millis(n),
                    threshold: n.is_multiple_of(2).then(|| Amount::new(u128::MAX - u128::from(n))),
                })
                .await
                .unwrap();
        }
    }
}

/// Everything a store holds, as text.
pub(crate) async fn contents(store: &SqliteStore) -> String {
    let mut text = String::new();
    writeln!(text, "head {}", store.head().await.unwrap()).unwrap();
    for share in ShareLog::read(store, ShareSeq::new(0), ALL).await.unwrap() {
        writeln!(text, "{share:?}").unwrap();
    }
    for block in BlockBook::list(store, BlockList::Newest(None), ALL).await.unwrap() {
        writeln!(text, "{block:?}").unwrap();
    }
    for entry in store.entries(None, Seq::new(0), ALL).await.unwrap() {
        writeln!(text, "{entry:?}").unwrap();
    }
    for balance in store.balances(None, ALL).await.unwrap() {
        writeln!(text, "{balance:?}").unwrap();
    }
    for payout in PayoutBook::list(store, None, ALL).await.unwrap() {
        writeln!(text, "{payout:?}").unwrap();
    }
    for message in store.fetch("shares", "nobody", ALL).await.unwrap() {
        writeln!(text, "{message:?}").unwrap();
    }
    for miner in Directory::list(store, None, ALL).await.unwrap() {
        writeln!(text, "{miner:?}").unwrap();
    }
    writeln!(text, "summed up to {}", store.upto().await.unwrap()).unwrap();
    for bucket in store.series(&RollupQuery { miner: None, from: 0, to: u64::MAX }).await.unwrap() {
        writeln!(text, "{bucket:?}").unwrap();
    }
    for n in 0..11 {
        writeln!(text, "{:?}", DifficultyCache::get(store, &worker(n)).await.unwrap()).unwrap();
    }
    text
}

/// What a payout's end looks like.
pub(crate) fn settled() -> TxFate {
    TxFate::Settled { fee: Amount::new(9) }
}

pub(crate) fn work(hashes: u128) -> Work {
    Work::new(hashes).unwrap()
}
