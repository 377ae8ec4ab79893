//! A disk that is full, and syncs that fail: nothing is acknowledged any more, everybody can see it, and the next start
//! finds what was acknowledged.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and print")]

mod support;

use pool_core::id::ShareSeq;
use pool_core::ports::{BlockBook, Ledger, PayoutBook, ShareLog, StoreError};
use pool_storage::{Health, Options, SqliteStore, SyncPoint, SyncWatch};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::{ALL, found, number_of, payout, reward, share};

fn poisoned<T: std::fmt::Debug>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Poisoned(_)))
}

async fn numbers(store: &SqliteStore) -> Vec<u64> {
    let shares = ShareLog::read(store, ShareSeq::new(0), ALL).await.unwrap();
    shares.iter().map(|logged| number_of(&logged.record.evidence)).collect()
}

/// A watch that fails the `nth` time the writer comes to `at`, once: as a device that recovers.
fn failing(at: SyncPoint, nth: u64) -> SyncWatch {
    let seen = AtomicU64::new(0);
    SyncWatch::new(move |point| {
        if point == at && seen.fetch_add(1, Ordering::Relaxed) + 1 == nth {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    })
}

/// Appends one share after the other until one is refused; the numbers of the acknowledged ones.
async fn append_until_refused(store: &SqliteStore) -> (Vec<u64>, StoreError) {
    let mut acknowledged = Vec::new();
    for n in 0..1_000_000 {
        match store.append(&[share(n)]).await {
            Ok(_) => acknowledged.push(n),
            Err(refusal) => return (acknowledged, refusal),
        }
    }
    panic!("never refused");
}

#[tokio::test]
async fn a_full_disk_poisons_the_store_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    let options = Options { file_bytes_max: Some(400 * 1024), ..Options::default() };
    let store = SqliteStore::open(&path, &options).unwrap();
    let mut health = store.health();
    assert!(health.now().is_sound());
    let (acknowledged, refusal) = append_until_refused(&store).await;
    assert!(matches!(&refusal, StoreError::Poisoned(reason) if reason.contains("full")), "{refusal}");
    assert!(!refusal.is_transient());
    // Whoever waits for the change is told, and every port refuses.
    assert!(health.poisoned().await.contains("full"));
    assert!(matches!(health.now(), Health::Poisoned(reason) if reason.contains("full")));
    assert!(poisoned(store.append(&[share(0)]).await));
    assert!(poisoned(store.post(&reward(1, 100)).await));
    assert!(poisoned(store.record(&found(1)).await));
    assert!(poisoned(store.prepare(&payout(1)).await));
    assert!(poisoned(store.prune(ShareSeq::new(1)).await));
    // What was acknowledged can still be read, and is all there is.
    assert!(acknowledged.len() > 100);
    assert_eq!(numbers(&store).await, acknowledged);
    drop(store);
    let store = SqliteStore::open(&path, &Options::default()).unwrap();
    assert_eq!(numbers(&store).await, acknowledged);
    store.check().await.unwrap();
    store.append(&[share(7)]).await.unwrap();
}

#[tokio::test]
async fn a_failed_sync_acknowledges_nobody_and_nothing_after() {
    for (point, nth) in [
        (SyncPoint::BeforeCommit, 1),
        (SyncPoint::BeforeCommit, 9),
        (SyncPoint::AfterCommit, 1),
        (SyncPoint::AfterCommit, 9),
        (SyncPoint::BeforeCheckpoint, 2),
        (SyncPoint::AfterCheckpoint, 2),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pool.db");
        let options =
            Options { sync_watch: Some(failing(point, nth)), checkpoint_pages: 16, ..Options::default() };
        let store = SqliteStore::open(&path, &options).unwrap();
        let (acknowledged, refusal) = append_until_refused(&store).await;
        assert!(matches!(refusal, StoreError::Poisoned(_)), "{point:?}: {refusal}");
        // The device works again; the store does not believe it.
        for n in 0..20 {
            assert!(poisoned(store.append(&[share(n)]).await), "{point:?}");
            assert!(poisoned(store.post(&reward(n, 100)).await), "{point:?}");
        }
        drop(store);
        let store = SqliteStore::open(&path, &Options::default()).unwrap();
        let mut there = numbers(&store).await;
        // The write whose sync failed has an unknown outcome; nothing else has.
        if point == SyncPoint::AfterCommit && there.len() == acknowledged.len() + 1 {
            there.pop();
        }
        assert_eq!(there, acknowledged, "{point:?}");
        store.check().await.unwrap();
    }
}

#[tokio::test]
async fn among_many_at_once_only_the_synced_are_acknowledged() {
    for nth in [1, 2, 5] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pool.db");
        let options = Options {
            sync_watch: Some(failing(SyncPoint::BeforeCommit, nth)),
            group_max: 8,
            ..Options::default()
        };
        let store = SqliteStore::open(&path, &options).unwrap();
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move { (n, store.append(&[share(n)]).await) })
            })
            .collect();
        let mut acknowledged = Vec::new();
        for task in tasks {
            let (n, outcome) = task.await.unwrap();
            match outcome {
                Ok(_) => acknowledged.push(n),
                Err(StoreError::Poisoned(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
        drop(store);
        let store = SqliteStore::open(&path, &Options::default()).unwrap();
        let mut there = numbers(&store).await;
        there.sort_unstable();
        assert_eq!(there, acknowledged, "failure {nth}");
        assert!(acknowledged.len() < 100);
    }
}

#[tokio::test]
async fn a_panic_in_the_writer_refuses_and_does_not_hang() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    let watch = SyncWatch::new(|point| {
        assert_ne!(point, SyncPoint::BeforeCommit, "a bug");
        Ok(())
    });
    let store = SqliteStore::open(&path, &Options { sync_watch: Some(watch), ..Options::default() }).unwrap();
    let store = Arc::new(store);
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.append(&[share(n)]).await })
        })
        .collect();
    for task in tasks {
        assert!(poisoned(task.await.unwrap()));
    }
    assert!(!store.health().now().is_sound());
    drop(store);
    let store = SqliteStore::open(&path, &Options::default()).unwrap();
    assert_eq!(numbers(&store).await, Vec::<u64>::new());
}

const ROLE: &str = "POOL_STORAGE_CRAMPED_CHILD";

/// A write call that fails at the operating system: the child may not make files larger than the limit its shell set.
/// It says how many shares were acknowledged, and that nothing was afterwards.
#[cfg(unix)]
#[tokio::test]
async fn a_write_that_the_system_refuses_poisons_the_store() {
    if let Ok(path) = std::env::var(ROLE) {
        let store = SqliteStore::open(Path::new(&path), &Options::default()).unwrap();
        let (acknowledged, refusal) = append_until_refused(&store).await;
        assert!(matches!(refusal, StoreError::Poisoned(_)), "{refusal}");
        for n in 0..20 {
            assert!(poisoned(store.append(&[share(n)]).await));
        }
        assert!(!store.health().now().is_sound());
        println!("\nacknowledged {}", acknowledged.len());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    // In blocks of 512 bytes; odd, so that the limit cuts a page.
    for blocks in [1_001, 2_003] {
        let output = std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"", "sh", &blocks.to_string()])
            .arg(std::env::current_exe().unwrap())
            .args(["a_write_that_the_system_refuses_poisons_the_store", "--exact", "--nocapture"])
            .env(ROLE, &path)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        let acknowledged: u64 =
            text.lines().find_map(|line| line.strip_prefix("acknowledged ")).unwrap().parse().unwrap();
        let store = SqliteStore::open(&path, &Options::default()).unwrap();
        let there = numbers(&store).await;
        assert!(acknowledged > 20 && there.len() as u64 >= acknowledged, "{acknowledged}, {}", there.len());
        // One write may have been whole in the log when its sync was not reached.
        assert!(there.len() as u64 <= acknowledged + 1);
        assert!(there.iter().copied().eq(0..there.len() as u64));
        store.check().await.unwrap();
        store.prune(ShareSeq::new(u64::MAX)).await.unwrap();
        drop(store);
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
        }
    }
}

#[tokio::test]
async fn a_forged_sum_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    let store = SqliteStore::open(&path, &Options::default()).unwrap();
    for n in 0..9 {
        store.post(&reward(n, 1_000)).await.unwrap();
        store.append(&[share(n)]).await.unwrap();
    }
    let checked = store.check().await.unwrap();
    assert_eq!((checked.entries, checked.postings, checked.shares), (9, 27, 9));
    for forgery in [
        "UPDATE accounts SET credits = zeroblob(16) WHERE name = 'operator'",
        "UPDATE postings SET amount = x'00000000000000000000000000000fff' WHERE entry = 3 AND line = 1",
        "DELETE FROM postings WHERE entry = 4",
        "DELETE FROM entries WHERE seq = 5",
        "DELETE FROM touches WHERE entry = 2",
        "DELETE FROM shares WHERE seq = 4",
        "DELETE FROM workers",
    ] {
        let copy = dir.path().join("forged.db");
        let _ = std::fs::remove_file(&copy);
        store.backup(&copy).await.unwrap();
        rusqlite::Connection::open(&copy).unwrap().execute_batch(forgery).unwrap();
        let forged = SqliteStore::open(&copy, &Options::default()).unwrap();
        let found = forged.check().await;
        assert!(matches!(found, Err(StoreError::Corrupt(_))), "{forgery}: {found:?}");
    }
    store.check().await.unwrap();
}
