//! The queue in front of the writer: many callers push, one thread takes groups.
//!
//! It differs from a channel in one thing: while the writer gathers a group, a push does not wake it unless the
//! group is worth committing or the job is in a hurry. A wake-up per share would cost more than writing the share.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// May a job wait some milliseconds for company?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// No: somebody waits for this one alone (money, blocks).
    Now,
    /// Yes: there will be thousands a second of its kind.
    Gather,
}

/// When a group is complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gathering {
    /// Weight that is worth a commit: waiting ends.
    pub(super) goal: usize,
    /// Weight after which a group takes no further job.
    pub(super) most: usize,
    /// How long to wait for company; zero commits at once.
    pub(super) window: Duration,
}

/// What the taking thread sleeps for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sleep {
    Awake,
    ForAny,
    ForGroup { goal: usize },
}

#[derive(Debug)]
struct State<J> {
    jobs: VecDeque<(usize, J)>,
    weight: usize,
    hurry: bool,
    open: bool,
    sleep: Sleep,
}

/// Many producers, one consumer, groups.
#[derive(Debug)]
pub(super) struct Queue<J> {
    state: Mutex<State<J>>,
    wake: Condvar,
}

impl<J> Queue<J> {
    pub(super) fn new() -> Self {
        let state = State { jobs: VecDeque::new(), weight: 0, hurry: false, open: true, sleep: Sleep::Awake };
        Self { state: Mutex::new(state), wake: Condvar::new() }
    }

    /// Adds a job; gives it back when the queue is closed.
    pub(super) fn push(&self, weight: usize, pace: Pace, job: J) -> Result<(), J> {
        let mut state = self.lock();
        if !state.open {
            return Err(job);
        }
        state.jobs.push_back((weight, job));
        state.weight = state.weight.saturating_add(weight);
        state.hurry |= pace == Pace::Now;
        let wake = match state.sleep {
            Sleep::Awake => false,
            Sleep::ForAny => true,
            Sleep::ForGroup { goal } => state.hurry || state.weight >= goal,
        };
        if wake {
            state.sleep = Sleep::Awake;
            drop(state);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// The next group: never empty; `None` once the queue is closed and drained.
    pub(super) fn take(&self, gathering: Gathering) -> Option<Vec<J>> {
        let mut state = self.lock();
        while state.jobs.is_empty() {
            if !state.open {
                return None;
            }
            state.sleep = Sleep::ForAny;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let until = Instant::now() + gathering.window;
        while state.open && !state.hurry && state.weight < gathering.goal {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state.sleep = Sleep::ForGroup { goal: gathering.goal };
            (state, _) = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        state.sleep = Sleep::Awake;
        let mut group = Vec::with_capacity(state.jobs.len().min(gathering.most));
        let mut taken = 0usize;
        while taken < gathering.most
            && let Some((weight, job)) = state.jobs.pop_front()
        {
            taken = taken.saturating_add(weight);
            group.push(job);
        }
        state.weight = state.weight.saturating_sub(taken);
        // What stays behind may hold the one in a hurry: it is next.
        state.hurry &= !state.jobs.is_empty();
        Some(group)
    }

    /// Takes no further job; what is in it will still be taken.
    pub(super) fn close(&self) {
        self.lock().open = false;
        self.wake.notify_all();
    }

    /// Closes and empties it.
    pub(super) fn abandon(&self) -> Vec<J> {
        let mut state = self.lock();
        state.open = false;
        state.weight = 0;
        state.jobs.drain(..).map(|(_, job)| job).collect()
    }

    /// Jobs waiting.
    pub(super) fn len(&self) -> usize {
        self.lock().jobs.len()
    }

    /// No code panics while it holds this lock, and a half-done push does not exist.
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Gathering = Gathering { goal: 1, most: 4, window: Duration::ZERO };

    #[test]
    fn a_group_stops_at_its_weight_and_the_rest_follows_in_order() {
        let queue = Queue::new();
        for job in 0..6 {
            queue.push(1, Pace::Gather, job).unwrap();
        }
        assert_eq!(queue.take(AT_ONCE), Some(vec![0, 1, 2, 3]));
        assert_eq!(queue.take(AT_ONCE), Some(vec![4, 5]));
    }

    #[test]
    fn a_heavy_job_is_a_group_of_its_own() {
        let queue = Queue::new();
        queue.push(1_000, Pace::Gather, 'a').unwrap();
        queue.push(1, Pace::Gather, 'b').unwrap();
        assert_eq!(queue.take(AT_ONCE), Some(vec!['a']));
        assert_eq!(queue.take(AT_ONCE), Some(vec!['b']));
    }

    #[test]
    fn a_job_in_a_hurry_ends_the_gathering() {
        let queue = Queue::new();
        let never = Gathering { goal: 1_000, most: 1_000, window: Duration::from_secs(3_600) };
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| queue.take(never));
            queue.push(1, Pace::Gather, 1).unwrap();
            queue.push(1, Pace::Gather, 2).unwrap();
            queue.push(1, Pace::Now, 3).unwrap();
            assert_eq!(taker.join().unwrap(), Some(vec![1, 2, 3]));
        });
    }

    #[test]
    fn a_group_worth_committing_ends_the_gathering() {
        let queue = Queue::new();
        let never = Gathering { goal: 3, most: 3, window: Duration::from_secs(3_600) };
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| queue.take(never));
            for job in 1..=3 {
                queue.push(1, Pace::Gather, job).unwrap();
            }
            assert_eq!(taker.join().unwrap(), Some(vec![1, 2, 3]));
        });
    }

    #[test]
    fn a_closed_queue_gives_out_what_it_holds_and_then_ends() {
        let queue = Queue::new();
        queue.push(1, Pace::Gather, 1).unwrap();
        queue.close();
        assert_eq!(queue.push(1, Pace::Now, 2), Err(2));
        assert_eq!(queue.take(AT_ONCE), Some(vec![1]));
        assert_eq!(queue.take(AT_ONCE), None);
    }
}
