//! What every share costs the core: judgement, and vardiff's part.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may panic")]

use core::hint::black_box;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use pool_core::id::{BlockId, InstanceId, MinerId, Worker, WorkerName};
use pool_core::share::{Candidate, Evidence, Proof, judge};
use pool_core::time::{Micros, Moment, Timestamp};
use pool_core::units::{Target, U256, Work};
use pool_core::vardiff::{Vardiff, VardiffRules, WorkRange};

fn candidate() -> Candidate {
    Candidate {
        instance: InstanceId::new(1),
        at: Timestamp::from_millis(1_767_225_600_000),
        worker: Worker { miner: MinerId::new("kaspa:qq").unwrap(), name: WorkerName::clean("rig") },
        share_target: Target::from_work(Work::new(1 << 44).unwrap()),
        network_target: Target::from_work(Work::new((1 << 58) + 12_345).unwrap()),
        chain: 0,
        evidence: Evidence::new(&[7; 48]).unwrap(),
        block: BlockId::new([7; 32]),
    }
}

fn judgement(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("judge");
    for (name, hash) in [("accepted", U256::ONE << 200), ("rejected", U256::MAX)] {
        let proof = Proof::new(hash);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                candidate,
                |candidate| judge(black_box(candidate), proof),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn difficulty(criterion: &mut Criterion) {
    let work = |hashes| Work::new(hashes).unwrap();
    let range = WorkRange::new(work(1 << 20), work(1 << 60)).unwrap();
    let rules = VardiffRules::new(Micros::from_secs(5), range, work(1 << 40)).unwrap();
    let mut group = criterion.benchmark_group("vardiff");
    group.bench_function("share and poll", |bencher| {
        let mut vardiff = Vardiff::new(&rules, None, Moment::ZERO);
        let mut now = Moment::ZERO;
        bencher.iter(|| {
            now = now.after(Micros::from_secs(5));
            vardiff.on_share(&rules, now, vardiff.work());
            vardiff.poll(&rules, black_box(now))
        });
    });
    group.bench_function("deadline", |bencher| {
        let vardiff = Vardiff::new(&rules, None, Moment::ZERO);
        bencher.iter(|| black_box(&vardiff).deadline(&rules));
    });
    group.finish();
}

criterion_group!(benches, judgement, difficulty);
criterion_main!(benches);
