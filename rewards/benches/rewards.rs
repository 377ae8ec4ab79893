//! What a share, a block and a settlement cost.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pool_core::id::{BlockId, InstanceId, MinerId, ShareSeq, Worker, WorkerName};
use pool_core::share::{Evidence, LoggedShare, ShareRecord};
use pool_core::time::Timestamp;
use pool_core::units::{Amount, Units, Work};
use pool_rewards::account::AccountIx;
use pool_rewards::engine::Stream;
use pool_rewards::scheme::{
    Anchor, Event, RewardParts, Rule, Scheme, SchemeParams, ShareEvent, Sink, Underfilled, Weights,
    WindowEdge,
};
use pool_rewards::split::{Rounding, split};
use pool_rewards::tally::Tally;
use std::hint::black_box;
use std::time::Duration;

/// Accounts that mine.
const ACCOUNTS: u32 = 100_000;
/// A share's units: a thousandth of a block.
const SHARE: u128 = (1 << 88) / 1_000;

fn account(number: u64) -> AccountIx {
    // A fixed walk that visits all accounts out of order, as shares arrive.
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    AccountIx::new(u32::try_from(mixed % u64::from(ACCOUNTS)).unwrap_or(0))
}

fn share(seq: u64) -> ShareEvent {
    ShareEvent {
        seq: ShareSeq::new(seq),
        account: account(seq),
        units: Units::from_bits(SHARE),
        work: Work::ONE,
    }
}

fn id(number: u64) -> BlockId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    BlockId::new(bytes)
}

#[derive(Default)]
struct Sums(u128);

impl Sink for Sums {
    fn split(&mut self, _: BlockId, amount: Amount, weights: Weights) {
        self.0 += amount.get() + weights.accounts.len() as u128;
    }

    fn reserve(&mut self, _: BlockId, amount: Amount) {
        self.0 += amount.get();
    }
}

fn pplns(blocks: u128) -> Rule {
    Rule::Pplns {
        window: Units::from_bits(blocks << 88),
        underfilled: Underfilled::Renormalise,
        edge: WindowEdge::Interval,
    }
}

/// A warm scheme and the next sequence number.
fn warm(rule: Rule, shares: u64) -> (Box<dyn Scheme>, u64) {
    let mut scheme = SchemeParams::new(rule).start().expect("the parameters are valid");
    let mut sums = Sums::default();
    for seq in 1..=shares {
        scheme.apply(&Event::Share(share(seq)), &mut sums).expect("the log is dense");
    }
    (scheme, shares + 1)
}

fn shares(c: &mut Criterion) {
    const BATCH: u64 = 100_000;
    let mut group = c.benchmark_group("shares");
    group.throughput(Throughput::Elements(BATCH)).measurement_time(Duration::from_secs(3)).sample_size(20);
    let rules = [
        ("prop", Rule::Prop {}),
        ("pplns", pplns(1_000)),
        (
            "exponential",
            Rule::Exponential {
                window: Units::from_bits(1_000 << 88),
                underfilled: Underfilled::Renormalise,
            },
        ),
    ];
    for (name, rule) in rules {
        let (mut scheme, mut seq) = warm(rule, 1_200_000);
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut sums = Sums::default();
                for _ in 0..BATCH {
                    scheme.apply(&Event::Share(share(seq)), &mut sums).expect("the log is dense");
                    seq += 1;
                }
                black_box(sums.0)
            });
        });
    }
    let mut stream = Stream::new(Units::from_bits(1_000 << 88), Underfilled::Renormalise);
    let mut seq = 1;
    // A block every 500 shares, concluded at once: ten blocks a second at five thousand shares.
    group.bench_function("stream with a block every 500", |b| {
        b.iter(|| {
            for _ in 0..BATCH {
                stream.share(&share(seq)).expect("the log is dense");
                if seq % 500 == 0 {
                    stream.found(id(seq)).expect("each share once");
                    stream.conclude(id(seq), Amount::new(44_000_000_000)).expect("it is open");
                }
                seq += 1;
            }
        });
    });
    group.finish();
}

fn logged(seq: u64, block: Option<BlockId>) -> LoggedShare {
    let name = format!("kaspa:q{:060}", account(seq).get());
    let record = ShareRecord {
        instance: InstanceId::new(0),
        at: Timestamp::from_millis(seq),
        worker: Worker { miner: MinerId::new(&name).expect("printable"), name: WorkerName::clean("rig") },
        work: Work::ONE,
        units: Units::from_bits(SHARE),
        chain: 0,
        evidence: Evidence::new(&seq.to_be_bytes()).expect("short"),
        block,
    };
    LoggedShare { seq: ShareSeq::new(seq), record }
}

fn settle(c: &mut Criterion) {
    let mut group = c.benchmark_group("settle 100k accounts");
    group.measurement_time(Duration::from_secs(3)).sample_size(20);
    let (mut scheme, mut seq) = warm(pplns(1_000), 1_200_000);
    group.bench_function("engine, weights of a block", |b| {
        b.iter(|| {
            let mut sums = Sums::default();
            scheme.apply(&Event::Share(share(seq)), &mut sums).expect("the log is dense");
            let found = Event::Found { id: id(seq), finder: account(seq), anchor: Anchor::AtFind };
            scheme.apply(&found, &mut sums).expect("found once");
            let value = RewardParts::whole(Amount::new(44_000_000_000));
            scheme.apply(&Event::Settled { id: id(seq), value }, &mut sums).expect("it is open");
            seq += 1;
            black_box(sums.0)
        });
    });
    let mut params = SchemeParams::new(pplns(1_000));
    for rounding in [Rounding::LargestRemainder, Rounding::ResidualLedger] {
        params.rounding = rounding;
        let mut tally = Tally::new(params.clone()).expect("the parameters are valid");
        let mut seq = 1;
        while seq <= 400_000 {
            tally.share(&logged(seq, None)).expect("the log is dense");
            seq += 1;
        }
        // The share that solves a block, its fate, and its award: what one block costs a running pool.
        group.bench_function(format!("tally, {rounding:?}"), |b| {
            b.iter_batched(
                || {
                    let share = logged(seq, Some(id(seq)));
                    seq += 1;
                    share
                },
                |share| {
                    tally.share(&share).expect("the log is dense");
                    let id = share.record.block.expect("it solved one");
                    tally.conclude(id, Amount::new(44_000_000_000_000)).expect("it is open")
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn kernel(c: &mut Criterion) {
    let mut group = c.benchmark_group("split 100k");
    group.throughput(Throughput::Elements(u64::from(ACCOUNTS))).sample_size(20);
    let weights: Vec<(u32, Units)> = (0..ACCOUNTS)
        .map(|account| (account, Units::from_bits(SHARE * u128::from(account % 977 + 1))))
        .collect();
    for rule in [Rounding::LargestRemainder, Rounding::CumulativeFloor, Rounding::FloorCarry] {
        group.bench_function(format!("{rule:?}"), |b| {
            b.iter(|| split(black_box(&weights), Units::ZERO, Amount::new(44_000_000_000_000_000_000), rule));
        });
    }
    group.finish();
}

criterion_group!(benches, shares, settle, kernel);
criterion_main!(benches);
