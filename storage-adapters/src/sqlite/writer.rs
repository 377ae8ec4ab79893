//! The one thread that writes: waiting work of all ports becomes one transaction, and nobody hears "done" before
//! its COMMIT has returned, which is after the log's fsync.
//!
//! - One writer, so there are no lock waits inside the process, and sequence order is commit order.
//! - Each piece of work runs in a savepoint: a refusal (a conflict, say) undoes its own rows and no other's. Refusals
//!   too are answered after the commit only, because they may rest on rows of the same group.
//! - A group is committed at once when nothing else comes; while shares arrive faster than a disk syncs, it waits up
//!   to [`Tuning::gather`] for [`Tuning::goal`] of them, because a commit costs more than writing a dozen shares.
//! - The first failed write, sync or commit *poisons* the store: after a failed fsync the kernel may have dropped the
//!   pages it could not write, and a later fsync that succeeds says nothing about them. From then on every write is
//!   answered with `Poisoned`; only a restart, which reads what the disk really has, ends that.
//! - Checkpoints run here too, after the answers, and their failures poison as well: SQLite's own automatic
//!   checkpoint would swallow them.

use super::fault::{Fault, is_busy, is_damage};
use super::lock::LockFile;
use super::queue::{Gathering, Pace, Queue};
use super::scribe::Scribe;
use crate::Health;
use pool_core::ports::StoreError;
use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;
use std::fmt::{Debug, Formatter};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

/// Weight that may wait for the writer (one per share or row). Beyond it callers wait before they are queued.
const WAITING_MAX: u32 = 16_384;

/// Where the writer is with respect to the disk. For crash drills: see [`SyncWatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncPoint {
    /// A group's rows are in memory, nothing of it is promised.
    BeforeCommit,
    /// COMMIT returned: the log is synced. Nobody was told yet.
    AfterCommit,
    /// The log is about to be copied into the main file.
    BeforeCheckpoint,
    /// The main file is synced.
    AfterCheckpoint,
}

/// Called by the writer at each [`SyncPoint`], for drills that copy the files as a crash would leave them.
///
/// An error it returns is treated as a failed fsync at that point.
#[derive(Clone)]
pub struct SyncWatch(Arc<dyn Fn(SyncPoint) -> io::Result<()> + Send + Sync>);

impl SyncWatch {
    /// A watch that calls `observe` on the writer's thread.
    pub fn new(observe: impl Fn(SyncPoint) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(observe))
    }
}

impl Debug for SyncWatch {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("SyncWatch")
    }
}

/// How groups are formed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    /// The longest wait for company.
    pub(super) gather: Duration,
    /// Shares that are worth a commit.
    pub(super) goal: usize,
    /// Shares after which a group takes no more work.
    pub(super) most: usize,
    /// Pages in the log after which it is copied into the main file.
    pub(super) checkpoint_pages: u64,
}

/// What the writer did since it started. All counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterStats {
    /// Transactions committed.
    pub commits: u64,
    /// Pieces of work answered.
    pub writes: u64,
    /// Log copies into the main file.
    pub checkpoints: u64,
    /// Pieces of work waiting now.
    pub waiting: u64,
}

#[derive(Debug, Default)]
struct Counters {
    commits: AtomicU64,
    writes: AtomicU64,
    checkpoints: AtomicU64,
}

/// A piece of work in the queue.
trait Write: Send {
    /// Runs it inside a savepoint.
    fn run(&mut self, scribe: &mut Scribe) -> Ran;
    /// Answers the caller: with its own result, or with what happened to the whole group.
    fn settle(self: Box<Self>, failure: Option<&Failure>);
}

enum Ran {
    Done,
    Refused,
    Broken(rusqlite::Error),
}

/// What became of a whole group.
#[derive(Clone, Debug)]
enum Failure {
    Poisoned(Arc<str>),
    /// Somebody else holds the database; nothing was written.
    Busy(Arc<str>),
}

impl Failure {
    fn to_error(&self) -> StoreError {
        match self {
            Self::Poisoned(reason) => StoreError::Poisoned(reason.to_string()),
            Self::Busy(reason) => StoreError::Unavailable(reason.to_string().into()),
        }
    }
}

struct Work<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    _room: OwnedSemaphorePermit,
}

impl<T, F> Write for Work<T, F>
where
    T: Send,
    F: FnOnce(&mut Scribe) -> Result<T, Fault> + Send,
{
    fn run(&mut self, scribe: &mut Scribe) -> Ran {
        let work = self.work.take().expect("a piece of work runs once");
        match work(scribe) {
            Ok(done) => {
                self.result = Some(Ok(done));
                Ran::Done
            }
            Err(Fault::Refused(refusal)) => {
                self.result = Some(Err(refusal));
                Ran::Refused
            }
            Err(Fault::Broken(error)) => Ran::Broken(error),
        }
    }

    fn settle(self: Box<Self>, failure: Option<&Failure>) {
        let answer = match (failure, self.result) {
            (None, Some(result)) => result,
            (Some(failure), _) => Err(failure.to_error()),
            (None, None) => unreachable!("a group is committed after all of its work ran"),
        };
        // A caller that went away does not want to know.
        let _ = self.reply.send(answer);
    }
}

/// The handle: queues work and waits for its answer. Dropping it commits what is queued and ends the thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Arc<Queue<Box<dyn Write>>>,
    room: Arc<Semaphore>,
    health: watch::Receiver<Health>,
    news: watch::Receiver<u64>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

impl Debug for dyn Write {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Write")
    }
}

impl Writer {
    /// Starts the thread. It owns the connection and the lock until it ends.
    pub(super) fn start(
        mut db: Connection,
        lock: LockFile,
        tuning: Tuning,
        sync_watch: Option<SyncWatch>,
    ) -> Result<Self, Fault> {
        let queue = Arc::new(Queue::new());
        let counters = Arc::new(Counters::default());
        let (health_sender, health) = watch::channel(Health::Sound);
        let (news_sender, news) = watch::channel(0);
        let log_pages = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&log_pages);
        db.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
            seen.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let desk = Desk {
            scribe: Scribe::new(db)?,
            queue: Arc::clone(&queue),
            health: health_sender,
            news: news_sender,
            counters: Arc::clone(&counters),
            log_pages,
            log_pages_seen: 0,
            checkpoint_at: tuning.checkpoint_pages,
            tuning,
            sync_watch,
            busy: false,
            lock,
        };
        let thread = thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || desk.run())
            .map_err(|error| Fault::Refused(StoreError::Unavailable(Box::new(error))))?;
        let room = Arc::new(Semaphore::new(WAITING_MAX as usize));
        Ok(Self { queue, room, health, news, counters, thread: Some(thread) })
    }

    /// Runs `work` in the next group and returns its result after the group's commit.
    ///
    /// `weight`: about how many rows it writes. Dropped before it is queued, nothing happened; after that, it will.
    pub(super) async fn write<T, F>(&self, weight: usize, pace: Pace, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Scribe) -> Result<T, Fault> + Send + 'static,
    {
        self.refuse_when_poisoned()?;
        let weight = weight.max(1);
        let permits = u32::try_from(weight).unwrap_or(WAITING_MAX).min(WAITING_MAX);
        let room = Arc::clone(&self.room)
            .acquire_many_owned(permits)
            .await
            .expect("the semaphore lives as long as its handle and is never closed");
        let (reply, answer) = oneshot::channel();
        let work = Work { work: Some(work), result: None, reply, _room: room };
        if self.queue.push(weight, pace, Box::new(work)).is_err() {
            return Err(self.stopped());
        }
        match answer.await {
            Ok(result) => result,
            Err(_) => Err(self.stopped()),
        }
    }

    pub(super) fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Changes after every commit that told something.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.clone()
    }

    pub(super) fn stats(&self) -> WriterStats {
        WriterStats {
            commits: self.counters.commits.load(Ordering::Relaxed),
            writes: self.counters.writes.load(Ordering::Relaxed),
            checkpoints: self.counters.checkpoints.load(Ordering::Relaxed),
            waiting: self.queue.len() as u64,
        }
    }

    fn refuse_when_poisoned(&self) -> Result<(), StoreError> {
        match &*self.health.borrow() {
            Health::Sound => Ok(()),
            Health::Poisoned(reason) => Err(StoreError::Poisoned(reason.to_string())),
        }
    }

    /// Why a stopped writer does not answer.
    fn stopped(&self) -> StoreError {
        match self.refuse_when_poisoned() {
            Err(poisoned) => poisoned,
            Ok(()) => StoreError::Poisoned("the writer has stopped".into()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // Its panic was reported and poisoned the store when it happened.
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
struct Desk {
    scribe: Scribe,
    queue: Arc<Queue<Box<dyn Write>>>,
    health: watch::Sender<Health>,
    news: watch::Sender<u64>,
    counters: Arc<Counters>,
    /// Pages in the log after the last commit, from the engine.
    log_pages: Arc<AtomicU64>,
    /// The same at the last look: less means that the log started again.
    log_pages_seen: u64,
    /// Pages at which the next checkpoint is due.
    checkpoint_at: u64,
    tuning: Tuning,
    sync_watch: Option<SyncWatch>,
    /// The last group had more than one piece of work: company is to be expected.
    busy: bool,
    /// Last field: released after the connection is closed.
    #[expect(dead_code, reason = "held, not read")]
    lock: LockFile,
}

impl Desk {
    fn run(mut self) {
        let _close_on_panic = ClosedOnPanic { queue: Arc::clone(&self.queue), health: self.health.clone() };
        while let Some(mut group) = self.queue.take(self.gathering()) {
            self.busy = group.len() > 1;
            let outcome = match self.poison() {
                Some(reason) => Err(Failure::Poisoned(reason)),
                None => self.commit(&mut group),
            };
            if let Err(Failure::Poisoned(reason)) = &outcome {
                self.poison_with(reason);
            }
            // Counted before the answers, so that who was answered sees himself counted.
            self.counters.writes.fetch_add(group.len() as u64, Ordering::Relaxed);
            for work in group {
                work.settle(outcome.as_ref().err());
            }
            if outcome.is_ok() {
                self.checkpoint_when_due();
            }
        }
        self.close();
    }

    fn gathering(&self) -> Gathering {
        let window = if self.busy { self.tuning.gather } else { Duration::ZERO };
        Gathering { goal: self.tuning.goal, most: self.tuning.most, window }
    }

    fn poison(&self) -> Option<Arc<str>> {
        match &*self.health.borrow() {
            Health::Sound => None,
            Health::Poisoned(reason) => Some(Arc::clone(reason)),
        }
    }

    fn poison_with(&self, reason: &Arc<str>) {
        let first = self.health.send_if_modified(|health| match health {
            Health::Sound => {
                *health = Health::Poisoned(Arc::clone(reason));
                true
            }
            Health::Poisoned(_) => false,
        });
        if first {
            tracing::error!(%reason, "storage poisoned: no further write is acknowledged until a restart");
        }
    }

    /// One transaction for the whole group.
    fn commit(&mut self, group: &mut [Box<dyn Write>]) -> Result<(), Failure> {
        if let Err(error) = self.scribe.begin() {
            return Err(if is_busy(&error) {
                Failure::Busy(error.to_string().into())
            } else {
                Failure::Poisoned(describe("begin", &error))
            });
        }
        let committed = self.write_group(group).and_then(|()| {
            self.at(SyncPoint::BeforeCommit)?;
            self.scribe.commit().map_err(|error| describe("commit", &error))?;
            self.at(SyncPoint::AfterCommit)
        });
        let told = self.scribe.take_told();
        match committed {
            Ok(()) => {
                if told {
                    self.news.send_modify(|count| *count = count.wrapping_add(1));
                }
                self.counters.commits.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(reason) => {
                self.scribe.roll_back();
                Err(Failure::Poisoned(reason))
            }
        }
    }

    fn write_group(&mut self, group: &mut [Box<dyn Write>]) -> Result<(), Arc<str>> {
        for work in group {
            let step = |step: &'static str| move |error: rusqlite::Error| describe(step, &error);
            self.scribe.open_savepoint().map_err(step("savepoint"))?;
            match work.run(&mut self.scribe) {
                Ran::Done => self.scribe.keep_savepoint().map_err(step("release"))?,
                Ran::Refused => self.scribe.undo_savepoint().map_err(step("roll back"))?,
                Ran::Broken(error) => return Err(describe("write", &error)),
            }
        }
        Ok(())
    }

    fn at(&self, point: SyncPoint) -> Result<(), Arc<str>> {
        match &self.sync_watch {
            None => Ok(()),
            Some(SyncWatch(observe)) => observe(point).map_err(|error| format!("sync: {error}").into()),
        }
    }

    /// Copies the log into the main file, so that the log can start again from its beginning.
    ///
    /// Passive: it never waits for readers. What a reader or a backup still needs stays in the log, which grows until
    /// a later round takes it.
    fn checkpoint_when_due(&mut self) {
        let pages = self.log_pages.load(Ordering::Relaxed);
        if pages < self.log_pages_seen {
            self.checkpoint_at = self.tuning.checkpoint_pages;
        }
        self.log_pages_seen = pages;
        if pages < self.checkpoint_at {
            return;
        }
        self.checkpoint_at = pages.saturating_add(self.tuning.checkpoint_pages);
        let done = self.at(SyncPoint::BeforeCheckpoint).and_then(|()| {
            match self.scribe.db().wal_checkpoint_v2(Some(rusqlite::MAIN_DB), CheckpointMode::PASSIVE) {
                Err(error) if is_busy(&error) => Ok(()),
                Err(error) => Err(describe("checkpoint", &error)),
                Ok(_) => self.at(SyncPoint::AfterCheckpoint),
            }
        });
        match done {
            Ok(()) => {
                self.counters.checkpoints.fetch_add(1, Ordering::Relaxed);
            }
            Err(reason) => self.poison_with(&reason),
        }
    }

    /// The end in good order: an empty log. A poisoned store leaves its log to the next start.
    fn close(self) {
        if self.poison().is_none()
            && let Err(error) =
                self.scribe.db().wal_checkpoint_v2(Some(rusqlite::MAIN_DB), CheckpointMode::TRUNCATE)
        {
            tracing::warn!(%error, "the log was left for the next start");
        }
    }
}

/// What failed, for people: the step, the engine's words, and the operating system's.
fn describe(step: &str, error: &rusqlite::Error) -> Arc<str> {
    let damage = if is_damage(error) { "the file is damaged: " } else { "" };
    format!("{step}: {damage}{error}").into()
}

/// A panic in the writer must not leave callers waiting for ever.
struct ClosedOnPanic {
    queue: Arc<Queue<Box<dyn Write>>>,
    health: watch::Sender<Health>,
}

impl Drop for ClosedOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            self.health.send_replace(Health::Poisoned("the writer panicked".into()));
            drop(self.queue.abandon());
        }
    }
}
