//! The files as a crash would leave them, around every sync the store makes.
//!
//! The writer stops at each sync point while the files are copied. From these copies the images are made that a power
//! cut could leave: what was synced before is there; of what was written since, each 512-byte sector is there or is
//! not, the last one perhaps by half. Every image is opened as any start would open it, and must hold exactly what had
//! been committed, or that and the whole transaction that was under way: compared as the full text of all ports.

#![allow(clippy::unwrap_used, reason = "a test may panic and print")]

mod support;

use pool_core::ports::ShareLog;
use pool_storage::{Options, SqliteStore, SyncPoint, SyncWatch};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use support::{contents, share, write};

const SECTOR: usize = 512;
const LOG_HEADER: usize = 32;

/// A small, seeded generator (splitmix64): the images of a failing run can be made again.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

#[derive(Clone)]
struct Files {
    main: Vec<u8>,
    log: Vec<u8>,
    index: Vec<u8>,
}

impl Files {
    fn of(path: &Path) -> Self {
        let read = |suffix: &str| fs::read(with_suffix(path, suffix)).unwrap_or_default();
        Self { main: read(""), log: read("-wal"), index: read("-shm") }
    }

    /// Lays the files out at `path`; the index of the log is memory, and only a killed process leaves it.
    fn put(&self, path: &Path, with_index: bool) {
        fs::write(path, &self.main).unwrap();
        fs::write(with_suffix(path, "-wal"), &self.log).unwrap();
        let index = with_suffix(path, "-shm");
        if with_index {
            fs::write(index, &self.index).unwrap();
        } else {
            let _ = fs::remove_file(index);
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What happened, in order, with the number of commits before it.
type Trace = Vec<(SyncPoint, usize, Files)>;

/// Runs `writes` writes and returns what the disk held at every sync point, and the contents after every commit.
async fn record(path: &Path, writes: u64) -> (Trace, Vec<String>) {
    let trace: Arc<Mutex<Trace>> = Arc::default();
    let watch = {
        let (trace, path) = (Arc::clone(&trace), path.to_owned());
        SyncWatch::new(move |point| {
            let mut trace = trace.lock().unwrap();
            let commits = trace.iter().filter(|(point, ..)| *point == SyncPoint::AfterCommit).count();
            trace.push((point, commits, Files::of(&path)));
            Ok(())
        })
    };
    let options = Options { sync_watch: Some(watch), checkpoint_pages: 24, ..Options::default() };
    let store = SqliteStore::open(path, &options).unwrap();
    let mut after_commits = vec![contents(&store).await];
    for n in 0..writes {
        write(&store, n).await;
        after_commits.push(contents(&store).await);
        assert_eq!(store.stats().commits, n + 1, "one write, one commit");
    }
    drop(store);
    let trace = std::mem::take(&mut *trace.lock().unwrap());
    (trace, after_commits)
}

async fn opened(path: &Path) -> SqliteStore {
    let store = SqliteStore::open(path, &Options::default()).unwrap();
    store.check().await.unwrap();
    store
}

/// What an image holds, after the checks that hold for any. It must also take writes again.
async fn held(path: &Path) -> String {
    let store = opened(path).await;
    store.check_file().await.unwrap();
    let text = contents(&store).await;
    let before = store.head().await.unwrap();
    let place = store.append(&[share(999_999)]).await.unwrap();
    assert_eq!(place.get(), before.get() + 1, "the sequence goes on without a gap");
    text
}

/// `new` over `old`, where only some of the sectors that differ reached the disk.
fn torn(old: &[u8], new: &[u8], seeded: &mut Seeded) -> Vec<u8> {
    let sectors = new.len().max(old.len()).div_ceil(SECTOR);
    let changed: Vec<usize> = (0..sectors).filter(|n| sector(old, *n) != sector(new, *n)).collect();
    let mut image = old.to_vec();
    image.resize(new.len().max(old.len()), 0);
    let in_order = seeded.below(2) == 0;
    // Half of the time nearly all of it got there: that is where whole and half differ.
    let missing = if seeded.below(2) == 0 { seeded.below(3) } else { seeded.below(changed.len() + 1) };
    let kept_in_order = changed.len().saturating_sub(missing);
    let mut end = old.len();
    for (place, n) in changed.iter().enumerate() {
        let kept = if in_order { place < kept_in_order } else { seeded.below(2) == 0 };
        if !kept {
            continue;
        }
        let from = n * SECTOR;
        let whole = new.len().min(from + SECTOR).saturating_sub(from);
        // The last sector of an ordered write may be half there.
        let last = in_order && place + 1 == kept_in_order && seeded.below(2) == 0;
        let length = if last { seeded.below(whole + 1) } else { whole };
        image[from..from + length].copy_from_slice(&new[from..from + length]);
        end = end.max(from + length);
    }
    // Behind the last byte that reached the disk the file may end, or hold zeros.
    if seeded.below(2) == 0 {
        image.truncate(end);
    }
    image
}

/// `old` with the first 32 bytes, the log's header, of `new`.
fn with_header_of(new: &[u8], old: &[u8]) -> Vec<u8> {
    let mut log = old.to_vec();
    log.resize(log.len().max(LOG_HEADER), 0);
    log[..LOG_HEADER].copy_from_slice(&new[..LOG_HEADER]);
    log
}

fn sector(bytes: &[u8], n: usize) -> &[u8] {
    let from = (n * SECTOR).min(bytes.len());
    &bytes[from..bytes.len().min(from + SECTOR)]
}

/// The sync before `place`, whose files are all on the disk.
fn before(trace: &Trace, place: usize) -> &Files {
    &trace[place - 1].2
}

#[tokio::test]
async fn every_image_at_every_sync_point_holds_what_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    let (trace, contents) = record(&dir.path().join("pool.db"), 66).await;
    assert!(trace.iter().filter(|(point, ..)| *point == SyncPoint::AfterCheckpoint).count() >= 3);
    for (n, (point, commits, files)) in trace.iter().enumerate() {
        let committed = match point {
            SyncPoint::AfterCommit => commits + 1,
            SyncPoint::BeforeCommit | SyncPoint::BeforeCheckpoint | SyncPoint::AfterCheckpoint => *commits,
        };
        for with_index in [false, true] {
            let image = dir.path().join(format!("image-{n}-{with_index}.db"));
            files.put(&image, with_index);
            assert_eq!(held(&image).await, contents[committed], "{point:?} {n}, index kept: {with_index}");
            fs::remove_file(image).unwrap();
        }
    }
}

#[tokio::test]
async fn a_torn_commit_is_whole_or_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let (trace, contents) = record(&dir.path().join("pool.db"), 66).await;
    let mut seeded = Seeded(0x0001_5eed);
    let (mut whole, mut absent, mut restarted) = (0, 0, 0);
    for (n, (_, commits, files)) in
        trace.iter().enumerate().filter(|(_, (point, ..))| *point == SyncPoint::AfterCommit)
    {
        let old = before(&trace, n);
        assert_eq!(old.main, files.main, "a commit writes to the log only");
        // When the log starts again, its new header is synced before the first page behind it.
        let header_synced = with_header_of(&files.log, &old.log);
        if header_synced != old.log && !old.log.is_empty() {
            restarted += 1;
            for variant in 0..4 {
                let image = dir.path().join(format!("header-{n}-{variant}.db"));
                let log = torn(&old.log, &header_synced, &mut seeded);
                Files { log, ..files.clone() }.put(&image, false);
                assert_eq!(held(&image).await, contents[*commits], "header before commit {commits}");
                fs::remove_file(image).unwrap();
            }
        }
        for variant in 0..6 {
            let image = dir.path().join(format!("torn-{n}-{variant}.db"));
            let log = torn(&header_synced, &files.log, &mut seeded);
            Files { log, ..files.clone() }.put(&image, false);
            let held = held(&image).await;
            if held == contents[commits + 1] {
                whole += 1;
            } else {
                assert_eq!(held, contents[*commits], "commit {commits}, variant {variant}");
                absent += 1;
            }
            fs::remove_file(image).unwrap();
        }
    }
    assert!(
        whole > 10 && absent > 10 && restarted > 2,
        "{whole} whole, {absent} absent, {restarted} restarted"
    );
}

#[tokio::test]
async fn a_torn_checkpoint_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (trace, contents) = record(&dir.path().join("pool.db"), 66).await;
    let mut seeded = Seeded(0x0002_5eed);
    let mut images = 0;
    for (n, (_, commits, files)) in
        trace.iter().enumerate().filter(|(_, (point, ..))| *point == SyncPoint::AfterCheckpoint)
    {
        let old = before(&trace, n);
        for variant in 0..12 {
            let image = dir.path().join(format!("checkpoint-{n}-{variant}.db"));
            let main = torn(&old.main, &files.main, &mut seeded);
            Files { main, ..old.clone() }.put(&image, false);
            assert_eq!(held(&image).await, contents[*commits], "checkpoint {n}, variant {variant}");
            images += 1;
            fs::remove_file(image).unwrap();
        }
    }
    assert!(images >= 36);
}
