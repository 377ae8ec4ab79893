//! What the ports in memory cost: the floor under every adapter, and what the simulator pays.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may panic")]

use core::future::Future;
use core::hint::black_box;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pool_core::id::{BlockId, CoinId, InstanceId, MinerId, ShareSeq, Worker, WorkerName};
use pool_core::ledger::{Account, Cause, Entry, Posting};
use pool_core::memory::{MemoryLedger, MemoryShareLog};
use pool_core::ports::{Ledger, ShareLog};
use pool_core::share::{Candidate, Evidence, Proof, Share, Verdict, judge};
use pool_core::time::Timestamp;
use pool_core::units::{Amount, Target, U256};

/// Nothing in memory waits, so one poll is the whole of a call.
fn done<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a port in memory waits for nothing"),
    }
}

fn share(n: u64) -> Share {
    let candidate = Candidate {
        instance: InstanceId::new(1),
        at: Timestamp::from_millis(n),
        worker: Worker { miner: MinerId::new("kaspa:qq").unwrap(), name: WorkerName::clean("rig") },
        share_target: Target::new(U256::MAX >> 32),
        network_target: Target::new(U256::MAX >> 60),
        chain: 0,
        evidence: Evidence::new(&[&n.to_be_bytes()[..], &[7; 40]].concat()).unwrap(),
        block: BlockId::new([7; 32]),
    };
    match judge(candidate, Proof::new(U256::MAX >> 40)) {
        Verdict::Accepted(share) => share,
        Verdict::Rejected(reject) => panic!("{reject}"),
    }
}

/// A block's entry over that many miners.
fn entry(n: u64, miners: u64) -> Entry {
    let mut block = [0; 32];
    block[..8].copy_from_slice(&n.to_be_bytes());
    let paid = |miner: u64| {
        let miner = MinerId::new(&format!("kaspa:q{miner}")).unwrap();
        Posting::new(Account::Chain, Account::Miner(miner), Amount::new(1_000)).unwrap()
    };
    Entry {
        coin: CoinId::new("kaspa").unwrap(),
        cause: Cause::BlockReward(BlockId::new(block)),
        at: Timestamp::from_millis(n),
        postings: (0..miners).map(paid).collect(),
        memo: String::new(),
    }
}

fn share_log(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("memory share log");
    for size in [1u64, 64] {
        let batch: Vec<Share> = (0..size).map(share).collect();
        group.throughput(Throughput::Elements(size));
        group.bench_function(format!("append {size}"), |bencher| {
            let log = MemoryShareLog::default();
            bencher.iter(|| {
                let last = done(log.append(black_box(&batch))).unwrap();
                // Forgetting what is old keeps the log, and this machine's memory, at one size.
                if last.get().is_multiple_of(1 << 16) {
                    done(log.prune(last)).unwrap();
                }
            });
        });
    }
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("read 1000", |bencher| {
        let log = MemoryShareLog::default();
        done(log.append(&(0..10_000).map(share).collect::<Vec<_>>())).unwrap();
        bencher.iter(|| done(log.read(black_box(ShareSeq::new(5_000)), 1_000)).unwrap());
    });
    group.finish();
}

fn ledger(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("memory ledger");
    for miners in [1, 1_000] {
        group.throughput(Throughput::Elements(miners));
        group.bench_function(format!("post over {miners}"), |bencher| {
            // A ledger of its own for every post, with the accounts there already: a growing one would fill the memory.
            bencher.iter_batched(
                || {
                    let ledger = MemoryLedger::default();
                    done(ledger.post(&entry(0, miners))).unwrap();
                    (ledger, entry(1, miners))
                },
                |(ledger, entry)| (done(ledger.post(black_box(&entry))).unwrap(), ledger),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, share_log, ledger);
criterion_main!(benches);
