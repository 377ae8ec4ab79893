//! Threads for proofs that take longer than a connection may wait for its turn.
//!
//! A proof that costs a millisecond, computed where the line was read, would hold up every other connection of that
//! thread. A [`ProofPool`] computes it on threads of its own, behind a queue with an end: when more solutions come than
//! can be proved, the newest is refused at once ([`Full`], to be answered "busy") and none waits for long. Each coin
//! gets its own pool, so that a flood of solutions for one neither fills the queue nor takes the threads of another.
//!
//! Threads start in [`ProofPool::start`] and end when the pool is dropped; what is queued then is dropped unproved.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The size of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofRules {
    /// Threads; at least one is started.
    pub threads: usize,
    /// Proofs that may wait for a thread.
    pub queue_max: usize,
}

/// As many proofs wait already as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{queued} proofs are waiting already")]
pub struct Full {
    /// How many.
    pub queued: usize,
}

/// Counts since the start, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProofCounts {
    /// Proofs that wait now.
    pub queued: usize,
    /// Proofs that were taken from the queue.
    pub started: u64,
    /// Proofs that were refused because the queue was full.
    pub refused: u64,
    /// The waiting of all that were taken, together, in microseconds.
    pub waited_micros: u64,
}

type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Instant, Work)>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    more: Condvar,
    started: AtomicU64,
    refused: AtomicU64,
    waited_micros: AtomicU64,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing that could panic runs while the queue is held.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<(Instant, Work)> {
        let mut queue = self.queue();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(work) = queue.waiting.pop_front() {
                return Some(work);
            }
            queue = self.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn serve(&self) {
        while let Some((since, work)) = self.next() {
            self.started.fetch_add(1, Ordering::Relaxed);
            let waited = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.waited_micros.fetch_add(waited, Ordering::Relaxed);
            // A proof must not panic on anything a peer sends. Should one do it, the thread lives on and its submit,
            // whose answer never comes, is refused.
            let _lost = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        }
    }
}

/// Threads that prove. See the module's description.
pub struct ProofPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    queue_max: usize,
}

impl fmt::Debug for ProofPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { threads, queue_max, .. } = self;
        f.debug_struct("ProofPool")
            .field("threads", &threads.len())
            .field("queue_max", queue_max)
            .finish_non_exhaustive()
    }
}

impl ProofPool {
    /// Starts the threads; `name` is what a debugger and `top` call them.
    ///
    /// # Errors
    /// What the system says when it gives no more threads.
    pub fn start(name: &str, rules: ProofRules) -> io::Result<Self> {
        let mut pool =
            Self { shared: Arc::default(), threads: Vec::new(), queue_max: rules.queue_max.max(1) };
        for _ in 0..rules.threads.max(1) {
            let shared = Arc::clone(&pool.shared);
            let thread = std::thread::Builder::new().name(name.to_owned());
            pool.threads.push(thread.spawn(move || shared.serve())?);
        }
        Ok(pool)
    }

    /// Computes `work` on one of the threads. Dropping the future does not take the work back.
    ///
    /// # Errors
    /// [`Full`], at once.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Full> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut queue = self.shared.queue();
            let queued = queue.waiting.len();
            if queued >= self.queue_max {
                self.shared.refused.fetch_add(1, Ordering::Relaxed);
                return Err(Full { queued });
            }
            let work: Work = Box::new(move || {
                // Whoever asked may be gone.
                let _unheard = sender.send(work());
            });
            queue.waiting.push_back((Instant::now(), work));
        }
        self.shared.more.notify_one();
        // Without an answer the pool is ending, or the work panicked: nothing was proved.
        receiver.await.map_err(|_gone| Full { queued: self.queue_max })
    }

    /// How it does.
    #[must_use]
    pub fn counts(&self) -> ProofCounts {
        let Shared { started, refused, waited_micros, .. } = &*self.shared;
        ProofCounts {
            queued: self.shared.queue().waiting.len(),
            started: started.load(Ordering::Relaxed),
            refused: refused.load(Ordering::Relaxed),
            waited_micros: waited_micros.load(Ordering::Relaxed),
        }
    }
}

impl ProofCounts {
    /// The mean wait of the proofs taken since `earlier`; zero if there was none.
    #[must_use]
    pub fn mean_wait_since(&self, earlier: &Self) -> Duration {
        let proofs = self.started.saturating_sub(earlier.started);
        let waited = self.waited_micros.saturating_sub(earlier.waited_micros);
        Duration::from_micros(waited.checked_div(proofs).unwrap_or(0))
    }
}

impl Drop for ProofPool {
    fn drop(&mut self) {
        let dropped = {
            let mut queue = self.shared.queue();
            queue.closed = true;
            std::mem::take(&mut queue.waiting)
        };
        drop(dropped);
        self.shared.more.notify_all();
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn work_comes_back_from_the_threads() {
        let pool = ProofPool::start("proof", ProofRules { threads: 2, queue_max: 100 }).unwrap();
        let answers = futures_util::future::join_all((0..50u64).map(|n| pool.run(move || n * n))).await;
        let squares: Vec<_> = (0..50u64).map(|n| Ok(n * n)).collect();
        assert_eq!(answers, squares);
        let counts = pool.counts();
        assert_eq!((counts.queued, counts.started, counts.refused), (0, 50, 0));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_loses_nothing_it_took() {
        let pool = Arc::new(ProofPool::start("proof", ProofRules { threads: 1, queue_max: 2 }).unwrap());
        let (release, held) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move {
                pool.run(move || {
                    began.send(()).unwrap();
                    held.recv().unwrap();
                    1
                })
                .await
            }
        });
        tokio::task::spawn_blocking(move || begun.recv().unwrap()).await.unwrap();
        let waiting: Vec<_> = (2..4)
            .map(|n| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move { pool.run(move || n).await })
            })
            .collect();
        while pool.counts().queued < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(|| 4).await, Err(Full { queued: 2 }));
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(1));
        for (n, task) in (2..4).zip(waiting) {
            assert_eq!(task.await.unwrap(), Ok(n));
        }
        assert_eq!(pool.counts().refused, 1);
    }

    #[tokio::test]
    async fn a_panic_costs_one_answer_and_no_thread() {
        let pool = ProofPool::start("proof", ProofRules { threads: 1, queue_max: 2 }).unwrap();
        assert!(pool.run(|| assert!(std::hint::black_box(false), "on purpose")).await.is_err());
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }
}
