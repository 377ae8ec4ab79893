//! What a share, a block and a settlement cost, in processor time where the system tells it: what else runs on the
//! machine should not show.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
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
use std::time::{Duration, Instant};

/// Time this thread was on a processor, to the tick of the system's clock; the clock on the wall where that is unknown.
struct ProcessorTime(WallTime);

/// A moment of either clock.
enum Moment {
    OnProcessor(Duration),
    OnTheWall(Instant),
}

impl Moment {
    fn now() -> Self {
        // Its first number is the thread's time on processors, in nanoseconds.
        let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
        let nanos = told.and_then(|text| text.split(' ').next()?.parse().ok());
        nanos.map_or_else(
            || Self::OnTheWall(Instant::now()),
            |nanos| Self::OnProcessor(Duration::from_nanos(nanos)),
        )
    }
}

impl Measurement for ProcessorTime {
    type Intermediate = Moment;
    type Value = Duration;

    fn start(&self) -> Moment {
        Moment::now()
    }

    fn end(&self, start: Moment) -> Duration {
        match (start, Moment::now()) {
            (Moment::OnProcessor(start), Moment::OnProcessor(end)) => end.saturating_sub(start),
            (Moment::OnTheWall(start), _) => start.elapsed(),
            (Moment::OnProcessor(_), Moment::OnTheWall(_)) => Duration::ZERO,
        }
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        self.0.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self.0.formatter()
    }
}

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

fn shares(c: &mut Criterion<ProcessorTime>) {
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

/// What one block costs a stream, for a thousand times as many accounts: the figures should not grow with them.
fn blocks(c: &mut Criterion<ProcessorTime>) {
    let mut group = c.benchmark_group("a block of a stream");
    group.measurement_time(Duration::from_secs(2)).sample_size(20);
    for accounts in [100u32, 1_000, 10_000, 100_000] {
        let mut stream = Stream::new(Units::from_bits(1_000 << 88), Underfilled::Renormalise);
        let mut seq = 0;
        let mut next = || {
            seq += 1;
            let account = AccountIx::new(account(seq).get() % accounts);
            ShareEvent { account, ..share(seq) }
        };
        for _ in 0..1_200_000 {
            stream.share(&next()).expect("the log is dense");
        }
        // A block needs a share of its own; the share's part is in the figure for all alike.
        group.bench_function(format!("{accounts} accounts"), |b| {
            b.iter(|| {
                let share = next();
                stream.share(&share).expect("the log is dense");
                stream.found(id(share.seq.get())).expect("each share once");
                stream.conclude(id(share.seq.get()), Amount::new(44_000_000_000)).expect("it is open");
            });
        });
    }
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

fn settle(c: &mut Criterion<ProcessorTime>) {
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
            b.iter(|| {
                let share = logged(seq, Some(id(seq)));
                seq += 1;
                tally.share(&share).expect("the log is dense");
                // The awards go where a pool's go once they are posted.
                black_box(
                    tally.conclude(id(share.seq.get()), Amount::new(44_000_000_000_000)).expect("it is open"),
                );
            });
        });
    }
    group.finish();
}

fn kernel(c: &mut Criterion<ProcessorTime>) {
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

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ProcessorTime(WallTime));
    targets = shares, blocks, settle, kernel
}
criterion_main!(benches);
