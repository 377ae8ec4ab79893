//! The suites that every adapter must pass: each line of a port's contract in [`crate::ports`] is a case here.
//!
//! A new adapter's tests are one line per port it implements (or one line in all, by [`crate::stores_suite`]). The
//! argument is an expression, evaluated anew for every case, that gives an *empty* port and whatever must live as long
//! as it (a temporary directory; `()` when there is nothing):
//!
//! ```text
//! async fn fresh() -> (tempfile::TempDir, Arc<MyStore>) { … }
//!
//! pool_core::share_log_suite!(fresh().await);
//! pool_core::ledger_suite!(fresh().await);
//! pool_core::durable_suite!(MyReopen::new()); // an impl of `Reopen`
//! ```
//!
//! Each case becomes a `#[tokio::test]` in a module named after the port, so the calling crate needs `tokio` (with
//! `macros` and `rt-multi-thread`) among its dev-dependencies. Cases panic when a promise is broken; that is their
//! only output. What they store is made by the functions of this module, equal for equal numbers; shares come from
//! [`crate::share::judge`], with proofs made up for the purpose.

#![allow(clippy::unwrap_used, reason = "a case that meets the unexpected has failed, and says where")]

pub mod block_book;
pub mod broker;
pub mod difficulty_cache;
pub mod directory;
pub mod durable;
pub mod event_bus;
pub mod ledger;
pub mod payout_book;
pub mod rollups;
pub mod share_log;
mod suites;

pub use durable::Reopen;

use crate::block::{BlockFate, FoundBlock, Placement};
use crate::id::{BlockId, CoinId, InstanceId, MinerId, PayoutId, TxId, Worker, WorkerName};
use crate::ledger::{Account, Cause, Entry, Posting};
use crate::payout::{PayoutBatch, PayoutItem, SignedTx};
use crate::share::{Candidate, Evidence, Proof, Share, ShareRecord, Verdict, judge};
use crate::time::Timestamp;
use crate::units::{Amount, Target, U256};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::future::Future;
use core::time::Duration;

/// Everything from the beginning, as a limit.
pub const ALL: usize = usize::MAX;

/// The coin of everything here.
#[must_use]
pub fn coin() -> CoinId {
    CoinId::new("test-coin").unwrap()
}

/// The `n`-th account.
#[must_use]
pub fn miner(n: u64) -> MinerId {
    MinerId::new(&format!("test:q{n:04}")).unwrap()
}

/// A machine of account `n / 3`.
#[must_use]
pub fn worker(n: u64) -> Worker {
    Worker { miner: miner(n / 3), name: WorkerName::new(&format!("rig{}", n % 3)).unwrap() }
}

/// The hash of block `n`.
#[must_use]
pub fn block_id(n: u64) -> BlockId {
    let mut bytes = [0xb1; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    BlockId::new(bytes)
}

/// 2026-01-01 and `n` milliseconds.
#[must_use]
pub const fn at(n: u64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000 + n)
}

/// What was submitted for share `n`, before judgement: a share target of 2^32 hashes, a network target of 2^50.
#[must_use]
pub fn candidate(n: u64) -> Candidate {
    Candidate {
        instance: InstanceId::new(7),
        at: at(n),
        worker: worker(n % 17),
        share_target: Target::new(U256::MAX >> 32),
        network_target: Target::new(U256::MAX >> 50),
        chain: (n % 4) as u16,
        evidence: Evidence::new(&[&n.to_be_bytes()[..], &[0xee; 64]].concat()).unwrap(),
        block: block_id(n),
    }
}

/// A candidate judged with a made-up hash.
///
/// # Panics
/// When the hash solves neither target.
#[must_use]
pub fn judged(candidate: Candidate, hash: U256) -> Share {
    match judge(candidate, Proof::new(hash)) {
        Verdict::Accepted(share) => share,
        Verdict::Rejected(reject) => panic!("the made-up hash earns nothing: {reject}"),
    }
}

/// Share `n`: it solves no block, and [`number`] finds `n` in it again.
#[must_use]
pub fn share(n: u64) -> Share {
    judged(candidate(n), U256::MAX >> 40)
}

/// Share `n`, which solves block `n`.
#[must_use]
pub fn block_share(n: u64) -> Share {
    judged(candidate(n), U256::MAX >> 60)
}

/// The shares of some numbers.
pub fn shares(numbers: impl IntoIterator<Item = u64>) -> Vec<Share> {
    numbers.into_iter().map(share).collect()
}

/// The number a share of this module was made of.
#[must_use]
pub fn number(record: &ShareRecord) -> u64 {
    u64::from_be_bytes(record.evidence.bytes()[..8].try_into().unwrap())
}

/// Block `n`, found by share `n`.
#[must_use]
pub fn found(n: u64) -> FoundBlock {
    FoundBlock {
        id: block_id(n),
        coin: coin(),
        share: block_share(n).record().clone(),
        raw: (0..=255).cycle().skip(n as usize % 256).take(300).collect(),
        height: 1_000 + n,
    }
}

/// A block's good end, worth `n`.
#[must_use]
pub fn matured(n: u64) -> BlockFate {
    BlockFate::Matured {
        value: Amount::new(u128::from(n)),
        placement: Placement::Main,
        detail: format!("merged by block {n}"),
    }
}

/// A block's bad end.
#[must_use]
pub fn lost() -> BlockFate {
    BlockFate::Lost { placement: Placement::Orphan, detail: "another block has its place".into() }
}

/// A posting from the chain to an account.
///
/// # Panics
/// When `amount` is zero or `credit` is the chain.
#[must_use]
pub fn income(credit: Account, amount: u128) -> Posting {
    Posting::new(Account::Chain, credit, Amount::new(amount)).unwrap()
}

/// The entry of block `n`: 1000 + `n` units from the chain, most to miner `n % 5`, some to the operator.
#[must_use]
pub fn entry(n: u64) -> Entry {
    entry_of(
        Cause::BlockReward(block_id(n)),
        vec![
            income(Account::Miner(miner(n % 5)), 990 + u128::from(n)),
            income(Account::Operator, 7),
            income(Account::Residue, 3),
        ],
    )
}

/// An entry of a cause with these postings.
#[must_use]
pub fn entry_of(cause: Cause, postings: Vec<Posting>) -> Entry {
    Entry { coin: coin(), cause, at: at(0), postings, memo: String::from("{\"scheme\":\"none\"}") }
}

/// Payout `n` to three miners.
#[must_use]
pub fn payout(n: u64) -> PayoutBatch {
    let item = |i: u64| PayoutItem { miner: miner(i), amount: Amount::new(u128::from(100 * n + i + 1)) };
    PayoutBatch { id: PayoutId::new(&coin(), n), coin: coin(), at: at(n), items: (0..3).map(item).collect() }
}

/// A signed transaction for payout `n`.
#[must_use]
pub fn signed(n: u64) -> SignedTx {
    let mut id = [0x51; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    SignedTx {
        id: TxId::new(id),
        raw: n.to_be_bytes().repeat(40),
        fee: Amount::new(17),
        spends: vec![format!("{}:0", block_id(n)), format!("{}:1", block_id(n))],
    }
}

/// Accounts that are valid and look like something else: to SQL, to patterns, to paths, to pages, to a careless sort.
#[must_use]
pub fn hostile_miners() -> Vec<MinerId> {
    let longest = "~".repeat(128);
    [
        "';DROP/**/TABLE/**/shares;--",
        "\"",
        "\\",
        "\\x00",
        "%",
        "_",
        "*",
        "0",
        "00",
        "0x10",
        "1e5",
        "NULL",
        "null",
        "chain",
        "miner/chain",
        "miner/",
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "{\"miner\":1}",
        "a",
        "A",
        "a.b",
        "a:b",
        "$1",
        "?1",
        longest.as_str(),
    ]
    .into_iter()
    .map(|text| MinerId::new(text).unwrap())
    .collect()
}

/// Workers that are valid and easily taken for each other: some print alike.
#[must_use]
pub fn hostile_workers() -> Vec<Worker> {
    let longest = "z".repeat(64);
    let mut workers = Vec::new();
    for (miner, name) in [
        ("a", "b.c"),
        ("a.b", "c"),
        ("a", "b"),
        ("a", "B"),
        ("A", "b"),
        ("a", "."),
        ("a", ".."),
        ("a", "#"),
        ("a", "@"),
        ("a", "+1"),
        ("a", "1"),
        ("a", "01"),
        ("a", "_"),
        ("a", "-"),
        ("a", longest.as_str()),
    ] {
        workers.push(Worker { miner: MinerId::new(miner).unwrap(), name: WorkerName::new(name).unwrap() });
    }
    for miner in hostile_miners() {
        workers.push(Worker { miner, name: WorkerName::clean("") });
    }
    workers
}

/// Texts as a person or a peer may type them: for references, details, topics.
#[must_use]
pub fn hostile_texts() -> Vec<String> {
    let mut texts: Vec<String> =
        ["", " ", "  ", "a", "A", "a/b", "/", "a\nb", "a\r\n", "\t", "'", "''", "\"", "\\", "%"]
            .into_iter()
            .chain([
                "_",
                "ß",
                "ẞ",
                "e\u{301}",
                "é",
                "\u{202e}abc",
                "日本語",
                "🦀",
                "\u{feff}",
                "'); DELETE FROM entries; --",
            ])
            .map(String::from)
            .collect();
    texts.push("long ".repeat(2_000));
    texts
}

/// Runs a case. A port that never answers fails its case after two minutes instead of holding up all others.
///
/// # Panics
/// When the case does, or after two minutes.
pub async fn finish(case: impl Future<Output = ()>) {
    assert!(tokio::time::timeout(Duration::from_secs(120), case).await.is_ok(), "the port never answered");
}

/// Runs all at once, each as a task of its own, and returns their results in order.
pub(crate) async fn at_once<F>(tasks: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let handles: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::with_capacity(handles.len());
    for handle in handles {
        results.push(handle.await.expect("a task of the case panicked"));
    }
    results
}

/// Asserts that a result is an error of one kind.
macro_rules! assert_refused {
    ($result:expr, $kind:ident) => {
        match $result {
            Err($crate::ports::StoreError::$kind(_)) => {}
            other => panic!("expected {}, got {other:?}", stringify!($kind)),
        }
    };
}
pub(crate) use assert_refused;
