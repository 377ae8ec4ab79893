//! What opening, sharing, copying and pruning a database promise.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and print")]

mod support;

use pool_core::id::{Seq, ShareSeq};
use pool_core::ports::{BlockBook, Broker, DifficultyCache, Ledger, ShareLog, StoreError};
use pool_storage::{OpenError, Options, SqliteStore, SyncPoint, SyncWatch};
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc;
use support::{ALL, block_share, contents, found, reward, share, work, worker, write};

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, &Options::default()).unwrap()
}

#[tokio::test]
async fn everything_is_there_again_after_closing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a directory that is not there yet").join("pool.db");
    let mut before = String::new();
    for start in [0, 40, 80] {
        let store = open(&path);
        if start > 0 {
            assert_eq!(contents(&store).await, before);
        }
        for n in start..start + 39 {
            if n % 13 == 3 || n % 13 == 5 || n % 13 == 8 {
                continue; // steps of rows that another round made
            }
            write(&store, n).await;
        }
        before = contents(&store).await;
        store.check().await.unwrap();
    }
}

#[tokio::test]
async fn a_second_opening_is_refused_and_says_what_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    let store = open(&path);
    let refusal = SqliteStore::open(&path, &Options::default()).unwrap_err();
    assert!(matches!(&refusal, OpenError::InUse { path: named, .. } if *named == path));
    let text = refusal.to_string();
    assert!(text.contains("pool.db") && text.contains("pool.db.lock") && text.contains("in use"), "{text}");
    assert!(matches!(SqliteStore::migrate(&path), Err(OpenError::InUse { .. })));
    drop(store);
    open(&path);
}

const ROLE: &str = "POOL_STORAGE_SECOND_CHILD";

#[tokio::test]
async fn a_second_process_is_refused() {
    if let Ok(path) = std::env::var(ROLE) {
        let refusal = SqliteStore::open(Path::new(&path), &Options::default()).unwrap_err();
        println!("\nrefused: {refusal}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    let store = open(&path);
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["a_second_process_is_refused", "--exact", "--nocapture"])
        .env(ROLE, &path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("refused: ") && text.contains("is in use by another process"), "{text}");
    // The first one goes on.
    store.append(&[share(1)]).await.unwrap();
}

#[tokio::test]
async fn a_reader_sees_what_the_pool_commits_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    assert!(SqliteStore::open_read_only(&path).is_err(), "nothing to read yet");
    assert!(!path.exists(), "a reader creates nothing");
    let store = open(&path);
    store.append(&[share(1), share(2)]).await.unwrap();
    let reader = SqliteStore::open_read_only(&path).unwrap();
    assert_eq!(reader.head().await.unwrap(), ShareSeq::new(2));
    store.append(&[share(3)]).await.unwrap();
    store.post(&reward(1, 500)).await.unwrap();
    assert_eq!(contents(&reader).await, contents(&store).await);
    reader.check().await.unwrap();
    for refused in [
        reader.append(&[share(4)]).await.map(|_| ()),
        reader.post(&reward(2, 500)).await.map(|_| ()),
        reader.record(&found(1)).await.map(|_| ()),
    ] {
        assert!(matches!(&refused, Err(StoreError::Poisoned(why)) if why.contains("reading only")));
    }
    // The pool goes away; the reader still reads, and a new one opens what a clean stop left.
    let before = contents(&reader).await;
    drop(store);
    assert_eq!(contents(&reader).await, before);
    drop(reader);
    assert_eq!(contents(&SqliteStore::open_read_only(&path).unwrap()).await, before);
}

#[tokio::test]
async fn a_newer_programs_file_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    drop(open(&path));
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch(
            "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
             VALUES (999, 'tomorrow', '2026-11-21T04:00:00Z', '1')",
        )
        .unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for refusal in [
        SqliteStore::open(&path, &Options::default()).unwrap_err(),
        SqliteStore::migrate(&path).unwrap_err(),
        SqliteStore::open_read_only(&path).unwrap_err(),
    ] {
        assert!(matches!(refusal, OpenError::NewerSchema { found: 999, .. }), "{refusal}");
        assert!(refusal.to_string().contains("999"), "{refusal}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn a_reader_does_not_migrate() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    drop(open(&path));
    rusqlite::Connection::open(&path).unwrap().execute_batch("DELETE FROM refinery_schema_history").unwrap();
    let refusal = SqliteStore::open_read_only(&path).unwrap_err();
    assert!(matches!(refusal, OpenError::OlderSchema { found: 0, .. }), "{refusal}");
}

#[tokio::test]
async fn strangers_files_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
    let text = dir.path().join("text.db");
    std::fs::write(&text, "not a database at all, but long enough to have a header of its own ".repeat(20))
        .unwrap();
    for path in [other, text] {
        let bytes = std::fs::read(&path).unwrap();
        for refusal in [
            SqliteStore::open(&path, &Options::default()).unwrap_err(),
            SqliteStore::open_read_only(&path).unwrap_err(),
        ] {
            assert!(matches!(refusal, OpenError::NotAPoolDatabase { .. }), "{refusal}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn migrating_says_what_it_did_and_does_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    let first = SqliteStore::migrate(&path).unwrap();
    assert_eq!((first.from, first.to), (0, 2));
    assert_eq!(first.applied, ["V1__first_tables", "V2__events"]);
    let second = SqliteStore::migrate(&path).unwrap();
    assert_eq!((second.from, second.to, second.applied.len()), (2, 2, 0));
}

#[tokio::test]
async fn a_backup_is_a_whole_copy_while_the_pool_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("pool.db"), dir.path().join("copy.db"));
    let store = open(&path);
    for n in 0..39 {
        write(&store, n).await;
    }
    let before = contents(&store).await;
    store.backup(&copy).await.unwrap();
    store.append(&[share(1)]).await.unwrap();
    let copied = open(&copy);
    assert_eq!(contents(&copied).await, before);
    copied.check().await.unwrap();
    copied.check_file().await.unwrap();
    assert!(matches!(store.backup(&copy).await, Err(StoreError::Conflict(_))), "nothing is overwritten");
    SqliteStore::open_read_only(&path).unwrap().backup(&dir.path().join("third.db")).await.unwrap();
}

#[tokio::test]
async fn pruning_goes_in_ranges_and_keeps_the_head_and_the_blocks_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    let store = open(&path);
    store.append(&[block_share(1)]).await.unwrap();
    let many: Vec<_> = (0..9_999).map(share).collect();
    assert_eq!(store.append(&many).await.unwrap(), ShareSeq::new(10_000));
    let commits = store.stats().commits;
    store.prune(ShareSeq::new(9_000)).await.unwrap();
    assert_eq!(store.stats().commits - commits, 3, "4096 at once");
    store.check().await.unwrap();
    let left = ShareLog::read(&store, ShareSeq::new(0), ALL).await.unwrap();
    assert_eq!((left[0].seq, left.len()), (ShareSeq::new(9_001), 1_000));
    store.prune(ShareSeq::new(u64::MAX)).await.unwrap();
    assert_eq!(store.head().await.unwrap(), ShareSeq::new(10_000));
    drop(store);
    let store = open(&path);
    store.check().await.unwrap();
    assert_eq!(store.head().await.unwrap(), ShareSeq::new(10_000));
    // A block's share was logged once; that it was pruned does not make it new.
    assert_eq!(store.append(&[block_share(1)]).await.unwrap(), ShareSeq::new(1));
    assert_eq!(store.append(&[share(1), block_share(1), share(2)]).await.unwrap(), ShareSeq::new(10_002));
    store.check().await.unwrap();
}

#[tokio::test]
async fn a_topic_forgets_and_never_counts_again_from_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("pool.db"));
    let batch = vec![vec![1]; 5_000];
    assert_eq!(store.publish("t", &batch).await.unwrap(), Seq::new(5_000));
    store.forget_messages("t", Seq::new(4_999)).await.unwrap();
    assert_eq!(store.fetch("t", "g", ALL).await.unwrap().len(), 1);
    store.forget_messages("t", Seq::new(u64::MAX)).await.unwrap();
    assert_eq!(store.publish("t", &[vec![2]]).await.unwrap(), Seq::new(5_001));
}

#[tokio::test]
async fn remembered_difficulties_survive_and_the_last_wins() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    let store = open(&path);
    for n in 0..30 {
        store.put(&worker(n % 11), work(u128::from(n) + 1)).await.unwrap();
    }
    drop(store);
    let store = open(&path);
    assert_eq!(DifficultyCache::get(&store, &worker(7)).await.unwrap(), Some(work(30)));
    assert_eq!(DifficultyCache::get(&store, &worker(8)).await.unwrap(), Some(work(20)));
}

/// Holds the writer at its first commit until told to go on.
fn held_at_first_commit() -> (Options, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (arrived_sender, arrived) = mpsc::channel();
    let (go, go_receiver) = mpsc::channel();
    let go_receiver = Mutex::new(Some(go_receiver));
    let watch = SyncWatch::new(move |point| {
        if point == SyncPoint::BeforeCommit
            && let Some(go) = go_receiver.lock().unwrap().take()
        {
            arrived_sender.send(()).unwrap();
            let _: Result<(), mpsc::RecvError> = go.recv();
        }
        Ok(())
    });
    (Options { sync_watch: Some(watch), ..Options::default() }, arrived, go)
}

#[tokio::test]
async fn waiting_writes_of_all_ports_share_one_commit_and_a_refusal_undoes_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (options, arrived, go) = held_at_first_commit();
    let store = SqliteStore::open(&dir.path().join("pool.db"), &options).unwrap();
    let first = tokio::spawn({
        let store = store.clone();
        async move { store.post(&reward(1, 1_000)).await }
    });
    while arrived.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    let queued = async {
        tokio::join!(
            async { store.append(&[share(1), share(2)]).await },
            async { store.post(&reward(1, 9_999)).await },
            async { store.record(&found(3)).await },
            async { store.append(&[share(3)]).await },
            async { store.submitted(&found(4).id, pool_core::time::Timestamp::from_millis(1)).await },
            async { store.post(&reward(2, 1_000)).await },
            async {
                // The last branch polled: all the others are queued by now.
                while store.stats().waiting < 6 {
                    tokio::task::yield_now().await;
                }
                go.send(()).unwrap();
            },
        )
    };
    let (appended, conflicting, recorded, more, missing, posted, ()) = queued.await;
    first.await.unwrap().unwrap();
    assert_eq!(appended.unwrap(), ShareSeq::new(2));
    assert!(matches!(conflicting, Err(StoreError::Conflict(_))));
    assert!(recorded.unwrap());
    assert_eq!(more.unwrap(), ShareSeq::new(3));
    assert!(matches!(missing, Err(StoreError::NotFound(_))));
    posted.unwrap();
    assert_eq!(store.stats().commits, 2, "one for the first, one for all the others");
    store.check().await.unwrap();
}

#[tokio::test]
async fn five_hundred_single_shares_at_once_are_one_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (options, arrived, go) = held_at_first_commit();
    let store = SqliteStore::open(&dir.path().join("pool.db"), &options).unwrap();
    let append = |n| {
        let store = store.clone();
        tokio::spawn(async move { store.append(&[share(n)]).await.unwrap() })
    };
    let mut tasks = vec![append(0)];
    while arrived.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    tasks.extend((1..=500).map(append));
    while store.stats().waiting < 500 {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    let mut places = Vec::new();
    for task in tasks {
        places.push(task.await.unwrap().get());
    }
    places.sort_unstable();
    assert!(places.into_iter().eq(1..=501), "each has a place of its own");
    assert_eq!(store.stats().commits, 2);
}

#[tokio::test]
async fn a_dropped_append_happened_or_did_not_and_harms_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    let store = open(&path);
    for n in 0..200 {
        let batch = [share(n)];
        let append = store.append(&batch);
        tokio::select! { biased; _ = append => {} () = async {} => {} }
    }
    let last = store.append(&[share(1_000)]).await.unwrap();
    assert_eq!(store.head().await.unwrap(), last);
    drop(store);
    let store = open(&path);
    store.check().await.unwrap();
    let shares = ShareLog::read(&store, ShareSeq::new(0), ALL).await.unwrap();
    assert_eq!(shares.last().unwrap().record, *share(1_000).record());
    assert_eq!(shares.len() as u64, last.get());
}

/// The store needs no runtime: its futures are woken by its own threads.
#[test]
fn any_executor_will_do() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("pool.db"));
    let place = block_on(async {
        store.append(&[share(1)]).await.unwrap();
        store.head().await.unwrap()
    });
    assert_eq!(place, ShareSeq::new(1));
}

/// The smallest executor there is.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(done) => return done,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}
