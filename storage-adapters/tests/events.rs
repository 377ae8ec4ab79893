//! The bus beyond its port: places that outlive the process, a bus that speaks when the disk does not, and an end.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use pool_core::event::PoolEvent;
use pool_core::id::Seq;
use pool_core::ports::{EventBus, StoreError, Subscription};
use pool_core::time::Timestamp;
use pool_storage::{Options, SqliteStore, SyncPoint, SyncWatch};
use std::path::Path;

fn alarm(n: u64) -> PoolEvent {
    PoolEvent::Alarm { message: n.to_string(), at: Timestamp::from_millis(n) }
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, &Options::default()).unwrap()
}

async fn tell(store: &SqliteStore, numbers: impl IntoIterator<Item = u64>) {
    for n in numbers {
        store.event_bus().publish(&alarm(n)).await.unwrap();
    }
}

async fn hear(subscription: &mut dyn Subscription, numbers: impl IntoIterator<Item = u64>) {
    for n in numbers {
        assert_eq!(subscription.next().await, Some(alarm(n)));
    }
}

#[tokio::test]
async fn a_listener_goes_on_where_he_was_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    let store = open(&path);
    tell(&store, 0..3).await;
    let mut listener = store.event_bus().subscribe_after(Seq::new(0)).await.unwrap();
    hear(&mut listener, 0..2).await;
    assert_eq!(listener.heard(), Seq::new(2));
    tell(&store, 3..200).await;
    let place = listener.heard();
    drop((listener, store));
    let store = open(&path);
    let mut listener = store.event_bus().subscribe_after(place).await.unwrap();
    hear(&mut listener, 2..200).await;
    tell(&store, 200..202).await;
    hear(&mut listener, 200..202).await;
    assert_eq!(listener.heard(), Seq::new(202));
    // Who only listens from now on hears nothing of all this.
    let mut late = store.event_bus().subscribe().await.unwrap();
    tell(&store, 202..203).await;
    hear(&mut *late, 202..203).await;
    // Another process reads the same tail, and a place behind the end is no error.
    let reader = SqliteStore::open_read_only(&path).unwrap();
    let tail = reader.events_after(Seq::new(201), 10).await.unwrap();
    assert_eq!(tail, [(Seq::new(202), alarm(201)), (Seq::new(203), alarm(202))]);
    assert!(reader.events_after(Seq::new(u64::MAX), 10).await.unwrap().is_empty());
    assert_eq!(reader.events_after(Seq::new(0), 5).await.unwrap().len(), 5);
    assert!(matches!(reader.event_bus().publish(&alarm(0)).await, Err(StoreError::Poisoned(_))));
}

#[tokio::test]
async fn an_alarm_about_the_disk_does_not_need_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let fails = SyncWatch::new(|point| match point {
        SyncPoint::BeforeCommit => Err(std::io::Error::other("no more")),
        _ => Ok(()),
    });
    let options = Options { sync_watch: Some(fails), ..Options::default() };
    let store = SqliteStore::open(&dir.path().join("pool.db"), &options).unwrap();
    let mut listeners =
        [store.event_bus().subscribe().await.unwrap(), store.event_bus().subscribe().await.unwrap()];
    for n in 0..3 {
        assert!(matches!(store.event_bus().publish(&alarm(n)).await, Err(StoreError::Poisoned(_))));
    }
    for listener in &mut listeners {
        hear(&mut **listener, 0..3).await;
    }
    assert!(store.events_after(Seq::new(0), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn listening_ends_with_the_store_and_does_not_keep_it_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    let store = open(&path);
    let bus = store.event_bus();
    let mut waiting = bus.subscribe().await.unwrap();
    let mut behind = bus.subscribe_after(Seq::new(0)).await.unwrap();
    tell(&store, 0..1).await;
    hear(&mut *waiting, 0..1).await;
    let waiting = tokio::spawn(async move { waiting.next().await });
    tokio::task::yield_now().await;
    drop((store, bus));
    assert_eq!(waiting.await.unwrap(), None);
    assert_eq!(behind.next().await, None);
    // The lock is free again.
    drop(open(&path));
}

#[tokio::test]
async fn events_of_a_newer_program_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    let store = open(&path);
    tell(&store, 0..1).await;
    drop(store);
    let db = rusqlite::Connection::open(&path).unwrap();
    for seq in 2..200 {
        let row = rusqlite::params![seq, r#"{"event":"moon-landing","at":7}"#];
        db.execute("INSERT INTO events (seq, event) VALUES (?1, ?2)", row).unwrap();
    }
    drop(db);
    let store = open(&path);
    tell(&store, 1..2).await;
    let mut listener = store.event_bus().subscribe_after(Seq::new(0)).await.unwrap();
    hear(&mut listener, 0..2).await;
    assert_eq!(listener.heard(), Seq::new(200));
}

#[tokio::test]
async fn a_file_from_before_there_were_events_gets_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.db");
    drop(open(&path));
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("DROP TABLE events; DELETE FROM refinery_schema_history WHERE version = 2").unwrap();
    drop(db);
    let migrated = SqliteStore::migrate(&path).unwrap();
    assert_eq!((migrated.from, migrated.applied), (1, vec!["V2__events".to_owned()]));
    tell(&open(&path), 0..1).await;
}
