//! What a durable write costs: shares alone, in bulk and from many callers at once, ledger entries, payouts.
//!
//! `cargo bench -p pool-storage --bench sqlite`. Each figure contains the disk's sync, so it says as much about the
//! disk as about the store.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench may panic, and its macros document nothing")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pool_core::id::{BlockId, CoinId, InstanceId, MinerId, PayoutId, Worker, WorkerName};
use pool_core::ledger::{Account, Cause, Entry, Posting};
use pool_core::payout::{PayoutBatch, PayoutItem};
use pool_core::ports::{Ledger, PayoutBook, ShareLog};
use pool_core::share::{Candidate, Evidence, Proof, Share, Verdict, judge};
use pool_core::time::Timestamp;
use pool_core::units::{Amount, Target, U256};
use pool_storage::{Options, SqliteStore};
use std::hint::black_box;
use std::time::Instant;

fn miner(n: u64) -> MinerId {
    MinerId::new(&format!("kaspa:qqkqkzjvr7zwxxmjxjkmxxdwju9kjs6e9u82uh59z07vgaks6gg62v8707g{n:05}")).unwrap()
}

/// A share of Kaspa's shape: 48 bytes of evidence, one of 2 000 workers.
fn share(n: u64) -> Share {
    let candidate = Candidate {
        instance: InstanceId::new(1),
        at: Timestamp::from_millis(1_700_000_000_000 + n),
        worker: Worker { miner: miner(n % 2_000), name: WorkerName::clean("rig1") },
        share_target: Target::new(U256::MAX >> 34),
        network_target: Target::new(U256::MAX >> 60),
        chain: 0,
        evidence: Evidence::new(&[&n.to_be_bytes()[..], &[0xee; 40]].concat()).unwrap(),
        block: BlockId::new([0; 32]),
    };
    match judge(candidate, Proof::new(U256::MAX >> 40)) {
        Verdict::Accepted(share) => share,
        Verdict::Rejected(reject) => panic!("{reject}"),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn open(dir: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(&dir.path().join("pool.db"), &Options::default()).unwrap()
}

fn append(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("append");
    for size in [1u64, 16, 512, 8_192] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir);
        let batch: Vec<Share> = (0..size).map(share).collect();
        group.throughput(Throughput::Elements(size));
        group.bench_with_input(BenchmarkId::new("one caller", size), &batch, |bencher, batch| {
            bencher.iter(|| runtime.block_on(store.append(black_box(batch))).unwrap());
        });
    }
    for callers in [16u64, 256] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir);
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("single shares, callers", callers), |bencher| {
            bencher.iter_custom(|shares| {
                let start = Instant::now();
                runtime.block_on(async {
                    let tasks: Vec<_> = (0..callers)
                        .map(|caller| {
                            let store = store.clone();
                            let one = [share(caller)];
                            let times = shares.div_ceil(callers);
                            tokio::spawn(async move {
                                for _ in 0..times {
                                    store.append(&one).await.unwrap();
                                }
                            })
                        })
                        .collect();
                    for task in tasks {
                        task.await.unwrap();
                    }
                });
                start.elapsed()
            });
        });
    }
    group.finish();
}

fn post(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("ledger post");
    for postings in [3u64, 1_000] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir);
        let mut number = 0;
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("postings", postings), |bencher| {
            bencher.iter(|| {
                number += 1;
                let entry = entry(number, postings);
                runtime.block_on(store.post(black_box(&entry))).unwrap()
            });
        });
    }
    group.finish();
}

fn entry(number: u64, postings: u64) -> Entry {
    let posting = |n| {
        Posting::new(Account::Residue, Account::Miner(miner(n)), Amount::new(u128::from(number + n) + 1))
            .unwrap()
    };
    Entry {
        coin: CoinId::new("kaspa").unwrap(),
        cause: Cause::Adjustment(number.to_string()),
        at: Timestamp::from_millis(number),
        postings: (0..postings).map(posting).collect(),
        memo: "{}".into(),
    }
}

fn prepare(criterion: &mut Criterion) {
    let runtime = runtime();
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let coin = CoinId::new("kaspa").unwrap();
    let items: Vec<PayoutItem> =
        (0..100).map(|n| PayoutItem { miner: miner(n), amount: Amount::new(100_000_000) }).collect();
    let mut number = 0;
    criterion.bench_function("payout prepare, 100 outputs", |bencher| {
        bencher.iter(|| {
            number += 1;
            let batch = PayoutBatch {
                id: PayoutId::new(&coin, number),
                coin: coin.clone(),
                at: Timestamp::from_millis(number),
                items: items.clone(),
            };
            runtime.block_on(store.prepare(black_box(&batch))).unwrap();
        });
    });
}

criterion_group!(benches, append, post, prepare);
criterion_main!(benches);
