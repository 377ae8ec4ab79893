//! What all search threads look at: the task, and how far it is searched.

use super::Search;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long a thread without work waits before it looks again.
const IDLE: Duration = Duration::from_millis(5);
/// The longest a thread sleeps to stay below its limit, so that it hears of news.
const NAP_MAX: Duration = Duration::from_millis(100);

/// A solution and what it solves.
pub(super) struct Finding<S: Search> {
    pub(super) task: Arc<S>,
    pub(super) connection: u64,
    pub(super) solution: S::Solution,
}

/// The task that is searched now.
#[derive(Debug)]
struct Assignment<S> {
    task: Arc<S>,
    connection: u64,
    /// Where the cursor stood when the task's first form came.
    first: u64,
}

impl<S> Clone for Assignment<S> {
    fn clone(&self) -> Self {
        Self { task: self.task.clone(), connection: self.connection, first: self.first }
    }
}

/// One counter deals out candidates to all threads and over all tasks: each task is searched from where the counter
/// stands, round its own size once, so that no candidate comes twice.
#[derive(Debug)]
pub(super) struct Board<S> {
    generation: AtomicU64,
    assignment: Mutex<Option<Assignment<S>>>,
    cursor: AtomicU64,
    end: AtomicBool,
}

impl<S> Default for Board<S> {
    fn default() -> Self {
        Self {
            generation: AtomicU64::new(0),
            assignment: Mutex::new(None),
            cursor: AtomicU64::new(0),
            end: AtomicBool::new(false),
        }
    }
}

impl<S: Search> Board<S> {
    /// A new task.
    pub(super) fn turn_to(&self, task: Arc<S>, connection: u64) {
        let first = self.cursor.load(Ordering::Acquire);
        self.put(|_| Some(Assignment { task, connection, first }));
    }

    /// The same task on other terms.
    pub(super) fn go_on_with(&self, task: Arc<S>, connection: u64) {
        let now = self.cursor.load(Ordering::Acquire);
        self.put(|before| {
            let same = before.filter(|before| before.connection == connection);
            Some(Assignment { task, connection, first: same.map_or(now, |before| before.first) })
        });
    }

    /// No task.
    pub(super) fn stop(&self) {
        self.put(|_| None);
    }

    fn put(&self, change: impl FnOnce(Option<Assignment<S>>) -> Option<Assignment<S>>) {
        let mut assignment = self.assignment.lock().expect("nobody panics while holding the board");
        *assignment = change(assignment.take());
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Ends all threads when it is dropped.
    pub(super) fn end_on_drop(self: &Arc<Self>) -> End<S> {
        End(self.clone())
    }

    /// One search thread, until the end.
    pub(super) fn work(
        &self,
        hashes: &AtomicU64,
        found: &mpsc::Sender<Finding<S>>,
        hashes_per_second_max: Option<u64>,
    ) {
        let (mut seen, mut assignment) = (u64::MAX, None::<Assignment<S>>);
        while !self.end.load(Ordering::Acquire) {
            let generation = self.generation.load(Ordering::Acquire);
            if generation != seen {
                let shown = self.assignment.lock().expect("nobody panics while holding the board").clone();
                (seen, assignment) = (generation, shown);
            }
            let ranges = assignment.as_ref().map_or([(0, 0); 2], |assignment| {
                self.ranges(assignment, burst(assignment.task.burst(), hashes_per_second_max))
            });
            let Some(Assignment { task, connection, .. }) = assignment.as_ref().filter(|_| ranges[0].1 > 0)
            else {
                std::thread::sleep(IDLE);
                continue;
            };
            let started = Instant::now();
            let mut tried = 0;
            for (start, count) in ranges.into_iter().filter(|(_, count)| *count > 0) {
                for solution in task.search(start, count) {
                    let finding = Finding { task: task.clone(), connection: *connection, solution };
                    if found.blocking_send(finding).is_err() {
                        return;
                    }
                }
                tried += count;
            }
            hashes.fetch_add(tried, Ordering::Relaxed);
            if let Some(limit) = hashes_per_second_max {
                self.nap(pause(tried, limit, started.elapsed()));
            }
        }
    }

    /// The next candidates of a task: one range, and a second one where the first reaches the end of the space and
    /// the rest lies at its beginning. Empty when the task is exhausted.
    fn ranges(&self, assignment: &Assignment<S>, burst: u64) -> [(u64, u64); 2] {
        let size = assignment.task.size().max(1);
        let left = |at: u64| size.saturating_sub(at.wrapping_sub(assignment.first));
        if left(self.cursor.load(Ordering::Acquire)) == 0 {
            return [(0, 0); 2];
        }
        let at = self.cursor.fetch_add(burst, Ordering::AcqRel);
        let count = burst.min(left(at));
        let start = at % size;
        let straight = count.min(size - start);
        [(start, straight), (0, count - straight)]
    }

    /// Sleeps in pieces, so that the end does not wait for it.
    fn nap(&self, mut time: Duration) {
        while !time.is_zero() && !self.end.load(Ordering::Acquire) {
            let piece = time.min(NAP_MAX);
            std::thread::sleep(piece);
            time -= piece;
        }
    }
}

pub(super) struct End<S>(Arc<Board<S>>);

impl<S> Drop for End<S> {
    fn drop(&mut self) {
        self.0.end.store(true, Ordering::Release);
    }
}

/// A limited thread takes small bites: a tenth of a second's worth at most.
fn burst(burst: u64, hashes_per_second_max: Option<u64>) -> u64 {
    let bite = hashes_per_second_max.map_or(u64::MAX, |limit| limit / 10);
    burst.min(bite).max(1)
}

/// How long a thread rests that tried so many candidates in so much time, to stay at `limit` a second.
fn pause(tried: u64, limit: u64, spent: Duration) -> Duration {
    let nanos = u128::from(tried) * 1_000_000_000 / u128::from(limit.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).saturating_sub(spent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug)]
    struct Space(u64);

    impl Search for Space {
        type Solution = u64;

        fn size(&self) -> u64 {
            self.0
        }

        fn search(&self, start: u64, count: u64) -> Vec<u64> {
            (start..start + count).collect()
        }
    }

    /// Everything that is dealt out until the task is exhausted, or `rounds` are over.
    fn dealt(board: &Board<Space>, burst: u64, rounds: usize) -> Vec<u64> {
        let assignment = board.assignment.lock().unwrap().clone().unwrap();
        let mut all = Vec::new();
        for _ in 0..rounds {
            let ranges = board.ranges(&assignment, burst);
            if ranges[0].1 == 0 {
                break;
            }
            all.extend(ranges.into_iter().flat_map(|(start, count)| assignment.task.search(start, count)));
        }
        all
    }

    proptest! {
        #[test]
        fn a_space_is_searched_whole_and_once(size in 1u64..3_000, burst in 1u64..700, before in any::<u64>()) {
            let board = Board::default();
            // The counter itself may overflow, once in many years; then it must not be in the middle of this space.
            board.cursor.store(before.min(u64::MAX - 10_000), Ordering::Release);
            board.turn_to(Arc::new(Space(size)), 1);
            let mut all = dealt(&board, burst, 10_000);
            all.sort_unstable();
            prop_assert_eq!(all, (0..size).collect::<Vec<_>>());
            // A new task may be searched again.
            board.turn_to(Arc::new(Space(size)), 1);
            prop_assert_eq!(dealt(&board, burst, 10_000).len() as u64, size);
        }

        #[test]
        fn other_terms_go_on_where_the_search_was(size in 100u64..3_000, burst in 1u64..50, rounds in 1usize..10) {
            let board = Board::default();
            board.turn_to(Arc::new(Space(size)), 1);
            let mut all = dealt(&board, burst, rounds);
            board.go_on_with(Arc::new(Space(size)), 1);
            all.extend(dealt(&board, burst, 10_000));
            all.sort_unstable();
            prop_assert_eq!(all, (0..size).collect::<Vec<_>>());
            // Terms of another connection have nothing to go on with.
            board.go_on_with(Arc::new(Space(size)), 2);
            prop_assert_eq!(dealt(&board, burst, 10_000).len() as u64, size);
        }
    }

    #[test]
    fn a_limit_makes_small_bites_and_pauses() {
        assert_eq!(burst(512, None), 512);
        assert_eq!(burst(512, Some(1_000)), 100);
        assert_eq!(burst(512, Some(3)), 1);
        assert_eq!(burst(0, None), 1);
        let millis = Duration::from_millis;
        assert_eq!(pause(100, 1_000, millis(0)), millis(100));
        assert_eq!(pause(100, 1_000, millis(40)), millis(60));
        assert_eq!(pause(100, 1_000, millis(140)), millis(0));
        assert_eq!(pause(1, 0, millis(0)), millis(1_000));
        assert_eq!(pause(u64::MAX, 1, millis(0)), Duration::from_nanos(u64::MAX));
    }
}
