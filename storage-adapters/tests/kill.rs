//! kill -9 at random moments, from the creation of the file on: what was acknowledged is there once, and everything
//! else is there whole or not at all.
//!
//! The test's process starts itself again as the one to be killed; that child writes acknowledgements to its standard
//! output, which the operating system keeps for the parent. Where `strace` may be used, the child is also killed at its
//! n-th write or sync, for every n up to a limit, and its n-th sync or write is made to fail. `POOL_STORAGE_POINTS` sets
//! that limit (default 40); a run of thousands is for a night.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and print")]

mod support;

use pool_core::id::{Seq, ShareSeq};
use pool_core::ledger::Cause;
use pool_core::ports::{BlockBook, BlockList, Ledger, PayoutBook, ShareLog};
use pool_storage::{Options, SqliteStore};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{ALL, block_share, found, number_of, payout, reward, share};

const ROLE: &str = "POOL_STORAGE_KILLED_CHILD";
const ROUNDS: u64 = 20;
/// Numbers of one round: what it writes is told apart by them.
const STRIDE: u64 = 1_000_000;

/// Writes through several ports at once, for longer than it will live, and says what was acknowledged.
async fn write_until_killed(path: &Path, first: u64) {
    // Small logs, so that checkpoints are hit too.
    let store = SqliteStore::open(path, &Options { checkpoint_pages: 64, ..Options::default() }).unwrap();
    let appender = |lane: u64| {
        let store = store.clone();
        async move {
            for n in (first + lane * 100_000..).step_by(3).take(5_000) {
                let place = store.append(&[share(n), share(n + 1), share(n + 2)]).await.unwrap();
                println!("ack shares {n} {place}");
            }
        }
    };
    let money = async {
        for n in (first..).take(5_000) {
            store.record(&found(n)).await.unwrap();
            println!("ack block {n} 0");
            store.append(&[block_share(n)]).await.unwrap();
            println!("ack block-share {n} 0");
            store.post(&reward(n, 1_000)).await.unwrap();
            println!("ack entry {n} 0");
            store.prepare(&payout(n)).await.unwrap();
            println!("ack payout {n} 0");
        }
    };
    tokio::join!(appender(1), appender(2), appender(3), appender(4), money);
}

type Acknowledged = Vec<(String, u64, u64)>;

/// This test program as the child, perhaps started by another program.
fn child(starter: &[String], path: &Path, first: u64) -> Command {
    let mut words = starter.to_vec();
    words.push(std::env::current_exe().unwrap().to_str().unwrap().to_owned());
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .args(["killed_at_any_moment_nothing_acknowledged_is_lost_or_doubled", "--exact", "--nocapture"])
        .env(ROLE, format!("{first} {}", path.display()))
        .stdout(Stdio::piped());
    command
}

/// What a child said was acknowledged. A last line without its end has less than four words.
fn acknowledgements(output: impl BufRead) -> Acknowledged {
    let lines = output.split(b'\n').map(|line| String::from_utf8(line.unwrap()).unwrap());
    lines
        .filter_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
            ["ack", kind, n, place] => Some((kind.to_owned(), n.parse().unwrap(), place.parse().unwrap())),
            _ => None,
        })
        .collect()
}

/// Starts the child, kills it, and returns what it said.
fn killed_after(path: &Path, first: u64, delay: Duration) -> Acknowledged {
    let mut child = child(&[], path, first).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    // The clock starts when it lives; before the first acknowledgement the file itself is being made.
    let mut line = String::new();
    while !line.starts_with("child") {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the child did not start");
    }
    std::thread::sleep(delay);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(!status.success(), "it was killed, and did not end by itself");
    acknowledgements(output)
}

/// Everything acknowledged in all rounds so far, against what is there.
async fn verify(path: &Path, acknowledged: &Acknowledged) {
    let store = SqliteStore::open(path, &Options::default()).unwrap();
    store.check().await.unwrap();
    store.check_file().await.unwrap();
    let shares = ShareLog::read(&store, ShareSeq::new(0), ALL).await.unwrap();
    let mut places: BTreeMap<(u64, bool), Vec<u64>> = BTreeMap::new();
    for (place, logged) in (1..).zip(&shares) {
        assert_eq!(logged.seq.get(), place, "the log has no gap");
        let key = (number_of(&logged.record.evidence), logged.record.block.is_some());
        places.entry(key).or_default().push(place);
    }
    assert!(places.values().all(|places| places.len() == 1), "a share is there twice");
    // A batch is three shares in a row, or none of them.
    for ((n, of_block), place) in &places {
        if !of_block && ((n % STRIDE) % 100_000).is_multiple_of(3) {
            for i in 1..3 {
                assert_eq!(places.get(&(n + i, false)), Some(&vec![place[0] + i]), "half a batch at {n}");
            }
        }
    }
    let entries = store.entries(None, Seq::new(0), ALL).await.unwrap();
    let causes: Vec<&Cause> = entries.iter().map(|entry| &entry.entry.cause).collect();
    let blocks = BlockBook::list(&store, BlockList::Newest(None), ALL).await.unwrap();
    let payouts = PayoutBook::list(&store, None, ALL).await.unwrap();
    for (kind, n, place) in acknowledged {
        let there = match kind.as_str() {
            "shares" => places.get(&(n + 2, false)) == Some(&vec![*place]),
            "block-share" => places.contains_key(&(*n, true)),
            "entry" => causes.contains(&&reward(*n, 1).cause),
            "block" => blocks.iter().any(|block| block.found == found(*n)),
            "payout" => payouts.iter().any(|booked| booked.batch == payout(*n)),
            other => panic!("{other}?"),
        };
        assert!(there, "{kind} {n} was acknowledged at {place} and is not there");
    }
}

#[tokio::test]
async fn killed_at_any_moment_nothing_acknowledged_is_lost_or_doubled() {
    if let Ok(role) = std::env::var(ROLE) {
        let (first, path) = role.split_once(' ').unwrap();
        println!("\nchild");
        return write_until_killed(Path::new(path), first.parse().unwrap()).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep").join("pool.db");
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        // The first rounds die while the file is being made; later ones in the middle of their writing.
        let micros = if round < 6 { round * 1_500 } else { 15_000 + round * 7_919 % 50_000 };
        acknowledged.extend(killed_after(&path, round * STRIDE, Duration::from_micros(micros)));
        verify(&path, &acknowledged).await;
    }
    println!("{} acknowledgements in {ROUNDS} rounds", acknowledged.len());
    assert!(acknowledged.len() > 100, "{} acknowledgements: the child hardly ran", acknowledged.len());
}

/// Words that start a program whose `nth` call of `calls` gets `fault`, in each of its threads.
fn strace(calls: &str, fault: &str, nth: u64) -> Vec<String> {
    let trace = format!("trace={calls}");
    let inject = format!("inject={calls}:{fault}:when={nth}");
    ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject].map(str::to_owned).to_vec()
}

#[tokio::test]
async fn killed_or_refused_at_any_write_or_sync_nothing_acknowledged_is_lost_or_doubled() {
    let words = strace("fsync", "error=EIO", 1);
    let usable = Command::new(&words[0]).args(&words[1..]).arg("true").status();
    if !usable.is_ok_and(|status| status.success()) {
        println!("SKIPPED: strace is not installed or may not trace here");
        return;
    }
    let points: u64 =
        std::env::var("POOL_STORAGE_POINTS").map_or(40, |points| points.parse().expect("a number"));
    let mut acknowledged = 0;
    for (calls, fault) in [
        ("pwrite64,write,fsync,fdatasync,ftruncate,rename", "signal=SIGKILL"),
        ("fsync,fdatasync", "error=EIO"),
        ("pwrite64", "error=ENOSPC"),
    ] {
        for nth in 1..=points {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("pool.db");
            let output = child(&strace(calls, fault, nth), &path, 0).stderr(Stdio::null()).output().unwrap();
            assert!(!output.status.success(), "{calls} {fault} {nth}: it should have ended badly");
            let said = acknowledgements(output.stdout.as_slice());
            acknowledged += said.len();
            verify(&path, &said).await;
        }
    }
    println!("{acknowledged} acknowledgements at {} points", points * 3);
    assert!(acknowledged > 100, "{acknowledged} acknowledgements: the child hardly ran");
}
