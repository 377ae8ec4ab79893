//! Single shares at a steady rate, as miners send them: how long each waits to be durable, and what the writer's
//! thread spends on it.
//!
//! `cargo bench -p pool-storage --bench paced -- [SHARES_PER_SECOND] [SECONDS]`; 5 000 for 10 s unless told. Arrivals
//! come in steps of a millisecond; every share is an append of its own. CPU time is read from `/proc` (Linux).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring program for a terminal")]

use pool_core::id::{BlockId, InstanceId, MinerId, Worker, WorkerName};
use pool_core::ports::ShareLog;
use pool_core::share::{Candidate, Evidence, Proof, Share, Verdict, judge};
use pool_core::time::Timestamp;
use pool_core::units::{Target, U256};
use pool_storage::{Options, SqliteStore};
use std::time::{Duration, Instant};

fn share(n: u64) -> Share {
    let candidate = Candidate {
        instance: InstanceId::new(1),
        at: Timestamp::from_millis(1_700_000_000_000 + n),
        worker: Worker {
            miner: MinerId::new(&format!(
                "kaspa:qqkqkzjvr7zwxxmjxjkmxxdwju9kjs6e9u82uh59z07vgaks6gg{:05}",
                n % 2_000
            ))
            .unwrap(),
            name: WorkerName::clean("rig1"),
        },
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

/// Time on a CPU of the thread called `name`, in nanoseconds, from the scheduler's own account.
fn cpu_ns(name: &str) -> Option<u64> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?.flatten();
    tasks.map(|task| task.path()).find_map(|task| {
        let comm = std::fs::read_to_string(task.join("comm")).ok()?;
        let account = std::fs::read_to_string(task.join("schedstat")).ok()?;
        (comm.trim() == name).then(|| account.split(' ').next()?.parse().ok())?
    })
}

fn main() {
    // Cargo adds `--bench`.
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse::<u64>().ok());
    let (rate, seconds) = (numbers.next().unwrap_or(5_000), numbers.next().unwrap_or(10));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("pool.db"), &Options::default()).unwrap();
    let per_step = (rate / 1_000).max(1);
    let steps = rate * seconds / per_step;
    let step = Duration::from_micros(1_000_000 * per_step / rate);
    let shares: Vec<Share> = (0..2_000).map(share).collect();
    // The first answer says that the thread runs and has its name.
    runtime.block_on(store.append(&shares[..1])).unwrap();
    let before = cpu_ns("sqlite-writer");
    let started = Instant::now();
    let mut latencies = runtime.block_on(async {
        let mut tasks = Vec::new();
        let mut tick = tokio::time::interval(step);
        for n in 0..steps {
            tick.tick().await;
            for i in 0..per_step {
                let (store, one) = (store.clone(), [shares[((n * per_step + i) % 2_000) as usize].clone()]);
                tasks.push(tokio::spawn(async move {
                    let sent = Instant::now();
                    store.append(&one).await.unwrap();
                    sent.elapsed()
                }));
            }
        }
        let mut latencies = Vec::with_capacity(tasks.len());
        for task in tasks {
            latencies.push(task.await.unwrap());
        }
        latencies
    });
    let elapsed = started.elapsed();
    latencies.sort_unstable();
    let (count, stats) = (latencies.len(), store.stats());
    let at = |percent: usize| latencies[(count * percent / 100).min(count - 1)];
    println!("{count} single shares in {elapsed:.2?}: {:.0} a second", count as f64 / elapsed.as_secs_f64());
    println!(
        "{} commits ({:.1} shares each), {} checkpoints",
        stats.commits,
        count as f64 / stats.commits as f64,
        stats.checkpoints
    );
    println!("durable after: p50 {:.2?}, p99 {:.2?}, worst {:.2?}", at(50), at(99), latencies[count - 1]);
    if let (Some(before), Some(after)) = (before, cpu_ns("sqlite-writer")) {
        println!("writer's CPU per share: {:.2} µs", (after - before) as f64 / 1_000.0 / count as f64);
    }
}
