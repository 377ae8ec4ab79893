//! A store of your own, and how to know that it keeps its promises.
//!
//! The pool talks to storage through ports: small traits in `pool_core::ports`, each with its contract as a list. A
//! store depends on `pool-core` alone and is three things:
//!
//! 1. an `impl` of the port, here [`DifficultyCache`]: the last difficulty of each worker, so that a miner who comes
//!    back starts where he was;
//! 2. the same suite of cases that every store of the pool must pass, as one line (at the end of this file);
//! 3. one place in your binary that puts it into `Stores` instead of the one that is there.
//!
//! This one keeps a map in memory and a line per change in a file. The port says "may be lost", so nothing is synced to
//! the disk; a `ShareLog` written like this would fail its suite, because that port says "survives a crash".
//!
//! `main` runs the suite's cases by hand and then shows that a reopened file remembers; `cargo test --examples` runs
//! the same cases as tests.
//!
//! Run it: `cargo run -p poolwright-examples --example custom_store`
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use async_trait::async_trait;
use pool_core::id::{MinerId, Worker, WorkerName};
use pool_core::ports::{DifficultyCache, StoreError};
use pool_core::testing::{self, difficulty_cache as cases};
use pool_core::units::Work;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Lines of `miner worker hashes`, the last one of a worker counts.
#[derive(Debug)]
struct FileCache {
    inner: Mutex<(BTreeMap<Worker, Work>, File)>,
}

impl FileCache {
    /// Reads what is there and writes it anew, one line per worker: this is when the file shrinks.
    fn open(path: &Path) -> Result<Self, StoreError> {
        let mut known = BTreeMap::new();
        if path.exists() {
            let text = std::fs::read_to_string(path).map_err(unavailable)?;
            known.extend(text.lines().filter_map(parse));
        }
        let mut file = File::create(path).map_err(unavailable)?;
        for (worker, work) in &known {
            write(&mut file, worker, *work)?;
        }
        Ok(Self { inner: Mutex::new((known, file)) })
    }
}

/// The world's fault, and the same call may succeed later: the caller decides what that means for him.
fn unavailable(error: std::io::Error) -> StoreError {
    StoreError::Unavailable(error.into())
}

/// Neither name can contain a space: `MinerId` and `WorkerName` were checked where they came in, so a format this
/// simple needs no escaping. A line that a crash cut off is no line, and what it said is lost, which is allowed.
fn write(file: &mut File, worker: &Worker, work: Work) -> Result<(), StoreError> {
    writeln!(file, "{} {} {}", worker.miner, worker.name, work.get()).map_err(unavailable)
}

fn parse(line: &str) -> Option<(Worker, Work)> {
    let mut words = line.split(' ');
    let miner = MinerId::new(words.next()?).ok()?;
    let name = WorkerName::new(words.next()?).ok()?;
    Some((Worker { miner, name }, Work::new(words.next()?.parse().ok()?).ok()?))
}

#[async_trait]
impl DifficultyCache for FileCache {
    async fn get(&self, worker: &Worker) -> Result<Option<Work>, StoreError> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(inner.0.get(worker).copied())
    }

    // The lock is held for one short write and never across an `.await`: a store that waits for a network would use
    // the runtime's own file or socket instead.
    async fn put(&self, worker: &Worker, work: Work) -> Result<(), StoreError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        write(&mut inner.1, worker, work)?;
        inner.0.insert(worker.clone(), work);
        Ok(())
    }
}

/// A folder of this run's own that goes away with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self, StoreError> {
        let path =
            std::env::temp_dir().join(format!("poolwright-custom-store-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(unavailable)?;
        Ok(Self(path))
    }

    fn open(&self) -> Result<Arc<FileCache>, StoreError> {
        Ok(Arc::new(FileCache::open(&self.0.join("difficulty.txt"))?))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // A case takes an empty port and panics where a promise is broken. The macro below lists them all.
    macro_rules! run {
        ($($case:ident),+) => {
            $(
                let folder = Folder::new(stringify!($case))?;
                testing::finish(cases::$case(folder.open()?)).await;
                println!("kept: {}", stringify!($case).replace('_', " "));
            )+
        };
    }
    run!(an_unknown_worker_is_none, the_last_work_is_remembered, works_use_the_whole_range);
    run!(hostile_workers_stay_apart, many_writers_leave_what_one_of_them_wrote);

    // More than the port asks for: it remembers.
    let folder = Folder::new("reopened")?;
    let worker = Worker { miner: MinerId::new("kaspa:someone")?, name: WorkerName::clean("rig <0>") };
    folder.open()?.put(&worker, Work::new(1 << 43)?).await?;
    let remembered = folder.open()?.get(&worker).await?;
    anyhow::ensure!(remembered == Some(Work::new(1 << 43)?), "a reopened cache forgot");
    println!("done: every case passed, and {worker} starts at 2^43 hashes after a restart");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn fresh() -> (Folder, Arc<FileCache>) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let folder = Folder::new(&format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed))).unwrap();
        let cache = folder.open().unwrap();
        (folder, cache)
    }

    pool_core::difficulty_cache_suite!(fresh());
}
