//! A process that has no descriptors left. Alone in its file, for it takes them from everything in the process.
#![cfg(all(feature = "tokio", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "tests unwrap")]

mod net_rig;

use net_rig::{Pool, Wish};
use pool_core::limits::Limits;
use std::fs::File;
use std::process::Command;

/// Takes all descriptors there are but `count`, as long as the result lives.
fn leave_descriptors(count: usize) -> Vec<File> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers = open.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse::<usize>().unwrap());
    let limit = numbers.max().unwrap() + 10;
    let status = Command::new("prlimit")
        .args([format!("--pid={}", std::process::id()), format!("--nofile={limit}:")])
        .status()
        .expect("prlimit of util-linux is there on every Linux");
    assert!(status.success());
    let mut taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    taken.truncate(taken.len() - count);
    taken
}

#[tokio::test]
async fn without_descriptors_newcomers_are_closed_and_accepting_goes_on_later() {
    // Its own patience is longer than the test's: only the server's want of descriptors can close the third miner.
    let limits = Limits { subscribe_ms_max: 600_000, ..Limits::default() };
    let pool = Pool::start(Wish { limits, ..Wish::default() });
    let first = pool.miner().await;
    // Two for one more miner's ends, one for the end of a miner that cannot be accepted.
    let _taken = leave_descriptors(3);
    let second = pool.miner().await;
    let mut third = pool.connect().await;
    assert_eq!(third.hear_out().await, Vec::<String>::new());
    drop((second, third));
    pool.until_connections(1).await;
    let mut again = pool.miner().await;
    again.submit(7, 1, 4).await;
    assert!(again.hear_about(r#""id":7,"#).await.contains("true"));
    drop(first);
}
