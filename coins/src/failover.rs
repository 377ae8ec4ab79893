//! Several servers that answer the same questions, asked in order of trust.
//!
//! A [`Failover`] holds peers of any kind (an [`HttpPeer`](crate::http::HttpPeer), a socket, a wallet) in the order
//! in which the operator wrote them: that order is his preference. A question goes to the first peer that is in good
//! standing. When the fault is the peer's own (it cannot be reached, it talks garbage, it was caught lying) the next
//! one is asked, and the culprit is asked last until its cool-down is over; with every further fault in a row the
//! cool-down doubles. Then the preferred one is tried again, so that a pool returns to its own node by itself. When
//! the fault lies in the question, the answer is handed back as it is: asking around would only repeat it.
//!
//! Nobody is ever struck off: when all are in disgrace all are still asked, the one whose cool-down ends first before
//! the others. What a peer answered may look right and still be a lie (a template that pays somebody else, a tip far
//! behind the others'): whoever notices calls [`Failover::demote`].
//!
//! [`Failover`] itself does no I/O and starts nothing; the rules are in [`Standing`], which is told the time.

use futures_util::stream::{FuturesUnordered, StreamExt};
use pool_core::coin::NodeError;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

/// Whose fault an error is.
pub trait PeerFault: fmt::Display {
    /// True when another peer may well answer the same question better.
    fn is_peers(&self) -> bool;
}

impl PeerFault for NodeError {
    fn is_peers(&self) -> bool {
        self.is_transient()
    }
}

/// How long a peer is asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoolDown {
    /// After the first fault.
    pub first: Duration,
    /// At most, however many faults there were in a row.
    pub max: Duration,
}

impl Default for CoolDown {
    /// Five seconds, then doubling up to two minutes.
    fn default() -> Self {
        Self { first: Duration::from_secs(5), max: Duration::from_secs(120) }
    }
}

impl CoolDown {
    /// The cool-down after the `faults`-th fault in a row, from 1.
    #[must_use]
    pub fn after(&self, faults: u32) -> Duration {
        let doublings = faults.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.max)
    }
}

/// How well each peer behaved. Pure: time is an argument.
#[derive(Debug)]
pub struct Standing {
    cool_down: CoolDown,
    records: Vec<Record>,
}

#[derive(Clone, Debug, Default)]
struct Record {
    faults_in_a_row: u32,
    benched_until: Option<Instant>,
    last_fault: Option<String>,
    answers: u64,
    faults: u64,
}

impl Record {
    fn bench(&self, now: Instant) -> Option<Instant> {
        self.benched_until.filter(|until| *until > now)
    }
}

impl Standing {
    /// `count` peers of good standing.
    #[must_use]
    pub fn new(count: usize, cool_down: CoolDown) -> Self {
        Self { cool_down, records: vec![Record::default(); count] }
    }

    /// In which order to ask at `now`: those in good standing as they were given, then the others, the one whose
    /// cool-down ends first before the rest.
    #[must_use]
    pub fn order(&self, now: Instant) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.records.len()).collect();
        // `None` sorts before every `Some`, and the sort is stable.
        order.sort_by_key(|index| self.records[*index].bench(now));
        order
    }

    /// Peer `index` answered. Its earlier faults are forgiven, but a running cool-down runs on: one good answer from
    /// a peer that is asked last for a lie is no proof.
    pub fn praise(&mut self, index: usize, now: Instant) {
        if let Some(record) = self.records.get_mut(index) {
            record.answers += 1;
            if record.bench(now).is_none() {
                record.faults_in_a_row = 0;
                record.benched_until = None;
            }
        }
    }

    /// Peer `index` failed or lied: it is asked last for a while. True when it was in good standing before.
    pub fn demote(&mut self, index: usize, now: Instant, why: String) -> bool {
        let Some(record) = self.records.get_mut(index) else { return false };
        let before = record.bench(now);
        record.faults += 1;
        record.last_fault = Some(why);
        // Ten questions that were under way when the peer died are one fault.
        if before.is_none() {
            record.faults_in_a_row = record.faults_in_a_row.saturating_add(1);
        }
        let until = now + self.cool_down.after(record.faults_in_a_row);
        record.benched_until = before.max(Some(until));
        before.is_none()
    }

    fn record(&self, index: usize) -> Record {
        self.records.get(index).cloned().unwrap_or_default()
    }
}

/// One peer of a set, cheap to clone. Whatever the peer can do it can do.
pub struct Seat<P>(Arc<SeatOf<P>>);

struct SeatOf<P> {
    index: usize,
    name: String,
    peer: P,
}

impl<P> Seat<P> {
    /// Its place in the configured order, from 0: what [`Failover::demote`] takes.
    #[must_use]
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// Its name for logs and pages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The peer itself.
    #[must_use]
    pub fn peer(&self) -> &P {
        &self.0.peer
    }
}

impl<P> Deref for Seat<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.0.peer
    }
}

impl<P> Clone for Seat<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P> fmt::Debug for Seat<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seat({}: {})", self.0.index, self.0.name)
    }
}

/// How one peer is, for pages and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its name.
    pub name: String,
    /// `Ok` in good standing, else why it is asked last and for how much longer.
    pub standing: Result<(), Disgrace>,
    /// Questions it answered.
    pub answers: u64,
    /// Faults of its own.
    pub faults: u64,
}

/// Why a peer is asked last.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why} (asked last for another {seconds} s)", seconds = .remaining.as_secs())]
pub struct Disgrace {
    /// Its last fault.
    pub why: String,
    /// What is left of its cool-down.
    pub remaining: Duration,
}

/// Peers that answer the same questions.
pub struct Failover<P> {
    seats: Vec<Seat<P>>,
    standing: Mutex<Standing>,
}

impl<P> fmt::Debug for Failover<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failover").field("seats", &self.seats).finish_non_exhaustive()
    }
}

/// The one place where this module looks at a clock.
fn now() -> Instant {
    Instant::now()
}

impl<P> Failover<P> {
    /// A set of named peers, the preferred one first.
    ///
    /// # Errors
    /// [`NodeError::Refused`] when there is none.
    pub fn new(peers: impl IntoIterator<Item = (String, P)>, cool_down: CoolDown) -> Result<Self, NodeError> {
        let seat = |(index, (name, peer))| Seat(Arc::new(SeatOf { index, name, peer }));
        let seats: Vec<_> = peers.into_iter().enumerate().map(seat).collect();
        if seats.is_empty() {
            return Err(NodeError::Refused { reason: "no node address given".into() });
        }
        let standing = Mutex::new(Standing::new(seats.len(), cool_down));
        Ok(Self { seats, standing })
    }

    /// Asks peers in turn until one answers or the fault is the question's.
    ///
    /// # Errors
    /// The question's own fault at once; else, when every peer failed, the fault of the one that was asked first.
    pub async fn ask<T, E, F>(&self, question: impl Fn(Seat<P>) -> F) -> Result<T, E>
    where
        E: PeerFault,
        F: Future<Output = Result<T, E>>,
    {
        let mut first = None;
        for seat in self.order() {
            match question(seat.clone()).await {
                Ok(answer) => {
                    self.praise(&seat);
                    return Ok(answer);
                }
                Err(error) if error.is_peers() => {
                    self.demote(seat.index(), &error);
                    first.get_or_insert(error);
                }
                Err(error) => {
                    // A refusal in words is an answer too.
                    self.praise(&seat);
                    return Err(error);
                }
            }
        }
        Err(first.expect("a set has at least one peer, and each was asked"))
    }

    /// Asks every peer at once: a new block goes to all. Once a peer said `Ok`, the others have `grace` left to
    /// answer; a peer that needs longer is missing in the result and keeps its standing. In the order of the answers.
    pub async fn each<T, E, F>(
        &self,
        grace: Duration,
        question: impl Fn(Seat<P>) -> F,
    ) -> Vec<(Seat<P>, Result<T, E>)>
    where
        E: PeerFault,
        F: Future<Output = Result<T, E>>,
    {
        let mut asked: FuturesUnordered<_> = self
            .seats
            .iter()
            .map(|seat| {
                let answer = question(seat.clone());
                async move { (seat.clone(), answer.await) }
            })
            .collect();
        let mut answers = Vec::with_capacity(self.seats.len());
        let mut deadline = None;
        loop {
            let next = match deadline {
                None => asked.next().await,
                Some(deadline) => tokio::time::timeout_at(deadline, asked.next()).await.unwrap_or(None),
            };
            let Some((seat, answer)) = next else { return answers };
            match &answer {
                Ok(_) => {
                    self.praise(&seat);
                    deadline = deadline.or_else(|| now().checked_add(grace));
                }
                Err(error) if error.is_peers() => self.demote(seat.index(), error),
                Err(_) => self.praise(&seat),
            }
            answers.push((seat, answer));
        }
    }

    /// Peer `index` was caught: what it answered turned out to be wrong. It is asked last for a while.
    pub fn demote(&self, index: usize, why: &dyn fmt::Display) {
        let Some(seat) = self.seats.get(index) else { return };
        if self.standing().demote(index, now(), why.to_string()) {
            tracing::warn!(node = seat.name(), error = %why, "node misbehaves, asking others first");
        }
    }

    /// The peers in the order in which they would be asked now.
    #[must_use]
    pub fn order(&self) -> Vec<Seat<P>> {
        let order = self.standing().order(now());
        order.into_iter().map(|index| self.seats[index].clone()).collect()
    }

    /// All peers as they were given.
    #[must_use]
    pub fn seats(&self) -> &[Seat<P>] {
        &self.seats
    }

    /// Every peer and how it is.
    #[must_use]
    pub fn status(&self) -> Vec<PeerStatus> {
        let (standing, now) = (self.standing(), now());
        let status = |seat: &Seat<P>| {
            let record = standing.record(seat.index());
            let disgrace = record.bench(now).map(|until| Disgrace {
                why: record.last_fault.clone().unwrap_or_default(),
                remaining: until.duration_since(now),
            });
            PeerStatus {
                name: seat.name().to_owned(),
                standing: disgrace.map_or(Ok(()), Err),
                answers: record.answers,
                faults: record.faults,
            }
        };
        self.seats.iter().map(status).collect()
    }

    fn praise(&self, seat: &Seat<P>) {
        self.standing().praise(seat.index(), now());
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().expect("nobody panics while holding the standing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const SECOND: Duration = Duration::from_secs(1);

    fn broken() -> NodeError {
        NodeError::Garbage("no".into())
    }

    fn refused() -> NodeError {
        NodeError::Refused { reason: "no".into() }
    }

    fn three() -> Failover<&'static str> {
        let cool_down = CoolDown { first: 10 * SECOND, max: 60 * SECOND };
        Failover::new(["a", "b", "c"].map(|name| (name.to_owned(), name)), cool_down).unwrap()
    }

    fn names(set: &Failover<&'static str>) -> Vec<&'static str> {
        set.order().iter().map(|seat| *seat.peer()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_preferred_peer_is_asked_until_it_fails_and_again_after_its_cool_down() {
        let set = three();
        let a_is = |works: bool| {
            let set = &set;
            async move {
                set.ask(|seat| async move { if works || *seat != "a" { Ok(*seat) } else { Err(broken()) } })
                    .await
            }
        };
        assert_eq!(a_is(true).await.unwrap(), "a");
        assert_eq!(a_is(false).await.unwrap(), "b");
        assert_eq!(names(&set), ["b", "c", "a"]);
        tokio::time::advance(9 * SECOND).await;
        assert_eq!(a_is(true).await.unwrap(), "b");
        tokio::time::advance(SECOND).await;
        // Once more, and it waits twice as long.
        assert_eq!(a_is(false).await.unwrap(), "b");
        tokio::time::advance(19 * SECOND).await;
        assert_eq!(a_is(true).await.unwrap(), "b");
        tokio::time::advance(SECOND).await;
        assert_eq!(a_is(true).await.unwrap(), "a");
        // It answered: the next fault is a first one again.
        assert_eq!(a_is(false).await.unwrap(), "b");
        tokio::time::advance(10 * SECOND).await;
        assert_eq!(names(&set), ["a", "b", "c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_in_words_is_final_and_nobodys_fault() {
        let set = three();
        let asked = AtomicUsize::new(0);
        let outcome: Result<(), NodeError> = set
            .ask(|_| async {
                asked.fetch_add(1, Ordering::Relaxed);
                Err(refused())
            })
            .await;
        assert!(matches!(outcome, Err(NodeError::Refused { .. })));
        assert_eq!(asked.into_inner(), 1);
        assert_eq!(names(&set), ["a", "b", "c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_all_are_still_asked() {
        let set = three();
        for _ in 0..2 {
            let asked = AtomicUsize::new(0);
            let outcome: Result<(), NodeError> = set
                .ask(|seat| {
                    asked.fetch_add(1, Ordering::Relaxed);
                    async move { Err(NodeError::Garbage(seat.name().to_owned())) }
                })
                .await;
            assert_eq!(asked.into_inner(), 3);
            assert_eq!(outcome.unwrap_err().to_string(), "node answered garbage: a");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_liar_is_asked_last_and_pages_say_why() {
        let set = three();
        set.demote(0, &"its template pays somebody else");
        set.demote(99, &"nobody");
        assert_eq!(names(&set), ["b", "c", "a"]);
        let status = set.status();
        let disgrace = status[0].standing.clone().unwrap_err();
        assert_eq!(disgrace.to_string(), "its template pays somebody else (asked last for another 10 s)");
        assert_eq!((status[0].faults, status[1].faults, status[1].standing.clone()), (1, 0, Ok(())));
        // A true answer meanwhile does not end the cool-down.
        set.demote(1, &"x");
        set.demote(2, &"x");
        assert_eq!(set.ask(|seat| async move { Ok::<_, NodeError>(*seat) }).await.unwrap(), "a");
        assert!(set.status()[0].standing.is_err());
        assert_eq!(set.status()[0].answers, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_goes_to_everybody_and_a_slow_peer_delays_nobody() {
        let set = three();
        let started = Instant::now();
        let answers = set
            .each(SECOND, |seat| async move {
                match *seat {
                    "a" => std::future::pending().await,
                    "b" => {
                        tokio::time::sleep(SECOND / 2).await;
                        Err(broken())
                    }
                    _ => Ok(()),
                }
            })
            .await;
        assert_eq!(started.elapsed(), SECOND);
        let told: Vec<_> = answers.iter().map(|(seat, answer)| (seat.name(), answer.is_ok())).collect();
        assert_eq!(told, [("c", true), ("b", false)]);
        assert_eq!(names(&set), ["a", "c", "b"]);
        // While nobody said yes, everybody is waited for.
        let answers = set
            .each(Duration::ZERO, |seat| async move {
                tokio::time::sleep(10 * SECOND * (1 + seat.index() as u32)).await;
                Err::<(), _>(refused())
            })
            .await;
        assert_eq!(answers.len(), 3);
    }

    #[test]
    fn a_set_of_nobody_is_refused() {
        assert!(Failover::<()>::new([], CoolDown::default()).is_err());
    }

    #[tokio::test]
    async fn what_is_asked_may_run_on_any_thread() {
        let set = Arc::new(three());
        let borrowed = String::from("x");
        let task = async move {
            let text = &borrowed;
            set.ask(|seat| async move {
                tokio::task::yield_now().await;
                Ok::<_, NodeError>(format!("{text}{}", *seat))
            })
            .await
        };
        assert_eq!(tokio::spawn(task).await.unwrap().unwrap(), "xa");
    }

    proptest! {
        #[test]
        fn whatever_happened_everybody_is_in_the_order_once(
            events in prop::collection::vec((0usize..5, any::<bool>(), 0u64..30), 0..60)
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut standing = Standing::new(4, CoolDown { first: SECOND, max: 8 * SECOND });
            for (index, good, seconds) in events {
                now += Duration::from_secs(seconds);
                if good { standing.praise(index, now) } else { standing.demote(index, now, String::new()); }
                let order = standing.order(now);
                let mut sorted = order.clone();
                sorted.sort_unstable();
                prop_assert_eq!(sorted, vec![0, 1, 2, 3]);
                // Good standing first, and among those the configured order.
                let good: Vec<usize> = order.iter().copied().take_while(|i| standing.records[*i].bench(now).is_none()).collect();
                prop_assert!(good.is_sorted());
                prop_assert!(order[good.len()..].iter().all(|i| standing.records[*i].bench(now).is_some()));
                // Nobody is in disgrace for longer than the longest cool-down.
                let later = now + 8 * SECOND;
                prop_assert_eq!(standing.order(later), vec![0, 1, 2, 3]);
            }
        }
    }
}
