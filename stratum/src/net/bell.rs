//! Waking connections in turn: one bell each, one tower that rings them.
//!
//! A new job concerns every connection at once, and ten thousand tasks woken in one instant would keep submits waiting
//! until the last notify is written. So the server rings the bells in rounds of a few, lets the runtime see to sockets
//! in between, and begins each broadcast at another place so that nobody is always last. A bell carries signals, not
//! data: a connection that is rung looks at the board for the newest job, and ten rings before it looks are one.

use futures_util::task::AtomicWaker;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

/// Something that concerns a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signals(u8);

impl Signals {
    /// The board shows another job, or none.
    pub(super) const WORK: Self = Self(1);
    /// The server is going away.
    pub(super) const DRAIN: Self = Self(2);

    pub(super) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One connection's bell.
#[derive(Debug, Default)]
struct Bell {
    signals: AtomicU8,
    waker: AtomicWaker,
}

/// A connection's seat in the tower; left when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    tower: Arc<Tower>,
    bell: Arc<Bell>,
    index: usize,
}

impl Seat {
    /// Takes the signals since the last call, and asks to be woken at the next.
    pub(super) fn take(&self, cx: &Context<'_>) -> Signals {
        // Registered before looking: a ring in between wakes the task once too often, never once too little.
        self.bell.waker.register(cx.waker());
        Signals(self.bell.signals.swap(0, Ordering::AcqRel))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.tower.lock();
        seats.bells[self.index] = None;
        seats.free.push(self.index);
    }
}

#[derive(Debug, Default)]
struct Seats {
    bells: Vec<Option<Arc<Bell>>>,
    free: Vec<usize>,
}

/// All bells.
#[derive(Debug, Default)]
pub(super) struct Tower {
    seats: Mutex<Seats>,
}

impl Tower {
    /// A seat for one connection. It starts with every signal, so that it looks around once.
    pub(super) fn seat(self: &Arc<Self>) -> Seat {
        let bell = Arc::new(Bell { signals: AtomicU8::new(Signals::WORK.0), waker: AtomicWaker::new() });
        let mut seats = self.lock();
        let index = seats.free.pop().unwrap_or(seats.bells.len());
        if index == seats.bells.len() {
            seats.bells.push(None);
        }
        seats.bells[index] = Some(Arc::clone(&bell));
        drop(seats);
        Seat { tower: Arc::clone(self), bell, index }
    }

    /// How many seats there are, taken or free: the range of indices to ring.
    pub(super) fn len(&self) -> usize {
        self.lock().bells.len()
    }

    /// Rings the seats from `start`, at most `count` of them. Returns how many were taken.
    pub(super) fn ring(&self, signals: Signals, start: usize, count: usize) -> usize {
        let seats = self.lock();
        let range = start.min(seats.bells.len())..start.saturating_add(count).min(seats.bells.len());
        let mut rung = 0;
        for bell in seats.bells[range].iter().flatten() {
            bell.signals.fetch_or(signals.0, Ordering::AcqRel);
            bell.waker.wake();
            rung += 1;
        }
        rung
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        // Nothing in here can panic half-way through a change, so a poisoned lock still guards a whole value.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::task::noop_waker;

    #[test]
    fn a_ring_is_heard_once_by_those_in_range() {
        let waker = noop_waker();
        let cx = Context::from_waker(&waker);
        let tower = Arc::new(Tower::default());
        let seats: Vec<_> = (0..5).map(|_| tower.seat()).collect();
        for seat in &seats {
            assert_eq!(seat.take(&cx), Signals::WORK);
        }
        assert_eq!(tower.ring(Signals::DRAIN, 1, 2), 2);
        let heard: Vec<_> = seats.iter().map(|seat| seat.take(&cx).contains(Signals::DRAIN)).collect();
        assert_eq!(heard, [false, true, true, false, false]);
        assert_eq!(seats[1].take(&cx), Signals(0));
        assert_eq!(tower.ring(Signals::WORK, 3, usize::MAX), 2);
        assert_eq!(tower.ring(Signals::WORK, 9, 1), 0);
    }

    #[test]
    fn a_seat_that_was_left_is_taken_again() {
        let tower = Arc::new(Tower::default());
        let seats: Vec<_> = (0..3).map(|_| tower.seat()).collect();
        drop(seats);
        assert_eq!(tower.ring(Signals::WORK, 0, 9), 0);
        let _again: Vec<_> = (0..3).map(|_| tower.seat()).collect();
        assert_eq!(tower.len(), 3);
        assert_eq!(tower.ring(Signals::WORK, 0, 9), 3);
    }
}
