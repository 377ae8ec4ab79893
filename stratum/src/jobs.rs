//! The jobs that may still be answered.
//!
//! One [`JobRing`] serves all connections of a coin: a job is published once, its line is rendered once per form and
//! shared ([`Posted::line`]), and a submit finds its job by the exact id. A job is *live* while it is in the ring;
//! it becomes *stale* when newer jobs push it out or when it has had its [`JobRing::life`]; an id that was never
//! given out is *unknown*. The job source publishes at least twice in a life, whether the chain moved or not.
//!
//! What a connection needs to know about jobs is [`Issued`]: from which id on it was given any, and at which
//! difficulty. A difficulty is bound to a job when the job is sent; a change applies from the next one.

use crate::dialect::Dialect;
use crate::duplicates::Duplicates;
use bytes::Bytes;
use pool_core::id::JobId;
use pool_core::share::Reject;
use pool_core::time::{Micros, Moment};
use pool_core::units::Work;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};

/// Solutions that all connections together are remembered to have claimed, where they share one nonce space. A full set
/// gives up its oldest work.
const CLAIMS_MAX: usize = 1 << 20;

/// A job as all connections share it.
#[derive(Debug)]
pub struct Posted<D: Dialect> {
    job: Arc<D::Job>,
    id: JobId,
    work: u64,
    at: Moment,
    lines: Box<[OnceLock<Bytes>]>,
}

impl<D: Dialect> Posted<D> {
    /// The job.
    #[must_use]
    pub const fn job(&self) -> &Arc<D::Job> {
        &self.job
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> JobId {
        self.id
    }

    /// The number of its work: the id of the first of the jobs in a row that are the same work. Never above its id.
    #[must_use]
    pub const fn work(&self) -> u64 {
        self.work
    }

    /// When it was published.
    #[must_use]
    pub const fn at(&self) -> Moment {
        self.at
    }

    /// The line that announces it in one of the dialect's forms, rendered at the first call.
    ///
    /// A `form` of [`Dialect::FORMS`] or above is rendered every time.
    pub fn line(&self, form: usize, render: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        let text = || {
            let mut out = Vec::with_capacity(256);
            render(&mut out);
            Bytes::from(out.into_boxed_slice())
        };
        match self.lines.get(form) {
            Some(line) => line.get_or_init(text).clone(),
            None => text(),
        }
    }
}

/// A job whose id is not above the last one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("job {id} does not come after job {last}")]
pub struct JobOrder {
    /// The refused id.
    pub id: JobId,
    /// The last published id.
    pub last: JobId,
}

/// What a job id names.
#[derive(Debug)]
pub enum Lookup<D: Dialect> {
    /// A job that may be answered.
    Live(Arc<Posted<D>>),
    /// A job that was, and is too old.
    Stale,
    /// Never a job.
    Unknown,
}

#[derive(Debug)]
struct Ring<D: Dialect> {
    jobs: VecDeque<Arc<Posted<D>>>,
    /// The first id ever published.
    first: Option<JobId>,
    /// The last id ever published.
    last: JobId,
    /// The smallest work number of a live job.
    oldest_work: u64,
    suspended: bool,
}

/// The live jobs of a coin, shared by all connections.
#[derive(Debug)]
pub struct JobRing<D: Dialect> {
    ring: RwLock<Ring<D>>,
    /// Where connections share the nonce space: what was submitted by any of them.
    claims: Mutex<Duplicates<D::Solution>>,
    kept_max: usize,
    life: Micros,
}

impl<D: Dialect> JobRing<D> {
    /// A ring of at most `kept_max` jobs (at least one), none of them live for longer than `life`.
    #[must_use]
    pub fn new(kept_max: usize, life: Micros) -> Self {
        let ring = Ring {
            jobs: VecDeque::new(),
            first: None,
            last: JobId::new(0),
            oldest_work: 0,
            suspended: false,
        };
        Self { ring: RwLock::new(ring), claims: Mutex::default(), kept_max: kept_max.max(1), life }
    }

    /// How long a job may be answered. A nonce prefix rests as long ([`crate::extranonce::SpaceRules::rest`]).
    #[must_use]
    pub const fn life(&self) -> Micros {
        self.life
    }

    /// Makes a job live, and the newest; work is there again after [`JobRing::suspend`].
    ///
    /// # Errors
    /// [`JobOrder`] for an id not above all before it.
    pub fn publish(&self, now: Moment, job: Arc<D::Job>) -> Result<Arc<Posted<D>>, JobOrder> {
        let id = D::job_id(&job);
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        if ring.first.is_some() && id <= ring.last {
            return Err(JobOrder { id, last: ring.last });
        }
        // Looked for before anything is pushed out: work that comes again must find its number.
        let twin = ring.jobs.iter().rev().find(|other| D::same_work(&other.job, &job));
        let work = twin.map_or(id.get(), |twin| twin.work);
        if D::retires_older(&job) {
            ring.jobs.clear();
        }
        while ring.jobs.front().is_some_and(|oldest| now.since(oldest.at) > self.life) {
            ring.jobs.pop_front();
        }
        while ring.jobs.len() >= self.kept_max {
            ring.jobs.pop_front();
        }
        let lines = (0..D::FORMS).map(|_| OnceLock::new()).collect();
        let posted = Arc::new(Posted { job, id, work, at: now, lines });
        ring.jobs.push_back(Arc::clone(&posted));
        ring.first.get_or_insert(id);
        ring.last = id;
        ring.oldest_work = ring.jobs.iter().map(|job| job.work).min().unwrap_or(work);
        ring.suspended = false;
        let oldest_work = ring.oldest_work;
        drop(ring);
        self.claims().retire_below(oldest_work);
        Ok(posted)
    }

    /// Takes a solution for one connection, among all of them.
    ///
    /// # Errors
    /// [`Reject::Duplicate`] for one that was taken before and not given back; [`Reject::Stale`] for one of work that
    /// was given up because too much was claimed since.
    pub fn claim(&self, posted: &Posted<D>, solution: &D::Solution) -> Result<(), Reject> {
        let mut claims = self.claims();
        if posted.work < claims.floor() {
            return Err(Reject::Stale);
        }
        if claims.insert(posted.work, solution.clone(), CLAIMS_MAX) { Ok(()) } else { Err(Reject::Duplicate) }
    }

    /// Gives back what [`JobRing::claim`] took: the solution earned nothing.
    pub fn unclaim(&self, work: u64, solution: &D::Solution) {
        self.claims().remove(work, solution);
    }

    fn claims(&self) -> MutexGuard<'_, Duplicates<D::Solution>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No node, no work: there is no newest job until the next is published. Live jobs stay live.
    pub fn suspend(&self) {
        self.ring.write().unwrap_or_else(PoisonError::into_inner).suspended = true;
    }

    /// The job to work on now. `None` before the first and while suspended.
    #[must_use]
    pub fn newest(&self) -> Option<Arc<Posted<D>>> {
        let ring = self.read();
        if ring.suspended { None } else { ring.jobs.back().cloned() }
    }

    /// What an id names at `now`.
    #[must_use]
    pub fn find(&self, now: Moment, id: JobId) -> Lookup<D> {
        let ring = self.read();
        if ring.first.is_none_or(|first| id < first) || id > ring.last {
            return Lookup::Unknown;
        }
        let Ok(place) = ring.jobs.binary_search_by_key(&id, |posted| posted.id) else {
            // Between the first and the last and not here: pushed out, or an id that was skipped.
            return if ring.jobs.front().is_some_and(|oldest| oldest.id < id) {
                Lookup::Unknown
            } else {
                Lookup::Stale
            };
        };
        let posted = &ring.jobs[place];
        if now.since(posted.at) > self.life { Lookup::Stale } else { Lookup::Live(Arc::clone(posted)) }
    }

    /// The newest jobs, at most `count`, the newest first. Some may be too old to be answered.
    #[must_use]
    pub fn recent(&self, count: usize) -> Vec<Arc<Posted<D>>> {
        self.read().jobs.iter().rev().take(count).cloned().collect()
    }

    /// The oldest id in the ring and the smallest work number among the live; what is below cannot be answered.
    #[must_use]
    pub fn oldest(&self) -> (JobId, u64) {
        let ring = self.read();
        (ring.jobs.front().map_or(ring.last, |posted| posted.id), ring.oldest_work)
    }

    /// How many jobs are in the ring.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().jobs.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read().jobs.is_empty()
    }

    fn read(&self) -> RwLockReadGuard<'_, Ring<D>> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Difficulties of older jobs that one connection remembers. A change comes at most once per job and, from vardiff,
/// after several shares; who forces more than this within the ring's length loses the oldest jobs early.
const CHANGES_MAX: usize = 32;

/// Which jobs a connection was given, and at what work: the changes, not the jobs.
#[derive(Debug, Default)]
pub struct Issued {
    /// The first job, ever; before any, `None`.
    first: Option<JobId>,
    last: JobId,
    /// The work now, and the first job it holds for.
    current: Option<(JobId, Work)>,
    /// Earlier works with the first job each held for, oldest first.
    older: Vec<(JobId, Work)>,
}

impl Issued {
    /// A job goes out, to be answered at `work`.
    pub fn issue(&mut self, id: JobId, work: Work) {
        self.first.get_or_insert(id);
        self.last = self.last.max(id);
        match self.current {
            Some((_, now)) if now == work => {}
            Some(before) => {
                if self.older.len() == CHANGES_MAX {
                    self.older.remove(0);
                }
                self.older.push(before);
                self.current = Some((id, work));
            }
            None => self.current = Some((id, work)),
        }
    }

    /// True for an id between the first and the last given out here.
    #[must_use]
    pub fn covers(&self, id: JobId) -> bool {
        self.first.is_some_and(|first| first <= id && id <= self.last)
    }

    /// The last job given out; `None` before the first.
    #[must_use]
    pub fn last(&self) -> Option<JobId> {
        self.first.map(|_| self.last)
    }

    /// The work at which a job was given out. `None` when that is not known any more: the job is stale.
    #[must_use]
    pub fn work(&self, id: JobId) -> Option<Work> {
        let changes = self.older.iter().chain(&self.current);
        changes.rev().find(|(since, _)| *since <= id).map(|(_, work)| *work)
    }

    /// Forgets what only concerned jobs before `oldest`.
    pub fn retire_below(&mut self, oldest: JobId) {
        if self.older.is_empty() {
            return;
        }
        let ends = self.older.iter().skip(1).chain(&self.current).map(|(since, _)| *since);
        let gone = ends.take_while(|next| *next <= oldest).count();
        self.older.drain(..gone);
        if self.older.is_empty() {
            self.older = Vec::new();
        }
    }

    /// Changes of difficulty that are remembered.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.older.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::kaspa::{Kaspa, KaspaWork};
    use proptest::prelude::*;

    type Jobs = JobRing<Kaspa>;

    fn job(id: u64, work: u8) -> Arc<KaspaWork> {
        Arc::new(KaspaWork { id: JobId::new(id), pre_pow: [work; 32], timestamp: 1, clean: false })
    }

    fn at(secs: u64) -> Moment {
        Moment::ZERO.after(Micros::from_secs(secs))
    }

    #[test]
    fn an_id_is_live_stale_or_unknown() {
        let ring = Jobs::new(3, Micros::from_secs(10));
        assert!(matches!(ring.find(at(0), JobId::new(0)), Lookup::Unknown));
        for id in 5..9 {
            ring.publish(at(id), job(id, id as u8)).unwrap();
        }
        ring.publish(at(9), job(11, 11)).unwrap();
        let name = |now, id| match ring.find(at(now), JobId::new(id)) {
            Lookup::Live(posted) => {
                assert_eq!(posted.id(), JobId::new(id), "exactly that job");
                "live"
            }
            Lookup::Stale => "stale",
            Lookup::Unknown => "unknown",
        };
        // In the ring: 7, 8, 11.
        for (id, expected) in [
            (4, "unknown"),
            (5, "stale"),
            (6, "stale"),
            (7, "live"),
            (9, "unknown"),
            (10, "unknown"),
            (11, "live"),
            (12, "unknown"),
            (308, "unknown"),
        ] {
            assert_eq!(name(9, id), expected, "{id}");
        }
        assert_eq!(name(17, 7), "live");
        assert_eq!(name(18, 7), "stale", "aged");
    }

    #[test]
    fn ids_only_grow_and_suspension_hides_the_newest() {
        let ring = Jobs::new(3, Micros::from_secs(10));
        assert!(ring.newest().is_none());
        ring.publish(at(0), job(5, 1)).unwrap();
        assert_eq!(
            ring.publish(at(0), job(5, 2)).unwrap_err(),
            JobOrder { id: JobId::new(5), last: JobId::new(5) }
        );
        assert_eq!(ring.newest().unwrap().id(), JobId::new(5));
        ring.suspend();
        assert!(ring.newest().is_none());
        assert!(matches!(ring.find(at(0), JobId::new(5)), Lookup::Live(_)));
        ring.publish(at(0), job(6, 2)).unwrap();
        assert!(ring.newest().is_some());
    }

    #[test]
    fn equal_work_has_one_number_as_long_as_any_of_its_jobs_lives() {
        let ring = Jobs::new(2, Micros::from_secs(10));
        assert_eq!(ring.publish(at(0), job(1, 7)).unwrap().work(), 1);
        assert_eq!(ring.publish(at(0), job(2, 7)).unwrap().work(), 1);
        assert_eq!(ring.publish(at(0), job(3, 8)).unwrap().work(), 3);
        assert_eq!(ring.oldest(), (JobId::new(2), 1));
        assert_eq!(ring.publish(at(0), job(4, 7)).unwrap().work(), 1, "job 2 was live when 4 came");
        assert_eq!(ring.publish(at(0), job(5, 9)).unwrap().work(), 5);
        assert_eq!(ring.oldest(), (JobId::new(4), 1));
    }

    #[test]
    fn a_line_is_rendered_once() {
        let ring = Jobs::new(2, Micros::from_secs(10));
        let posted = ring.publish(at(0), job(1, 7)).unwrap();
        let mut calls = 0;
        for _ in 0..3 {
            let line = posted.line(0, |out| {
                calls += 1;
                out.extend_from_slice(b"x");
            });
            assert_eq!(line, "x");
        }
        assert_eq!(calls, 1);
    }

    proptest! {
        #[test]
        fn a_job_keeps_the_work_it_was_issued_with(works in proptest::collection::vec(1..4u128, 1..200), keep in 1..50u64) {
            let mut issued = Issued::default();
            for (id, work) in works.iter().enumerate() {
                let id = id as u64;
                issued.issue(JobId::new(id), Work::new(*work).unwrap());
                let oldest = id.saturating_sub(keep);
                issued.retire_below(JobId::new(oldest));
                prop_assert!(issued.changes() <= CHANGES_MAX);
                for old in oldest..=id {
                    prop_assert!(issued.covers(JobId::new(old)));
                    match issued.work(JobId::new(old)) {
                        Some(work) => prop_assert_eq!(work.get(), works[old as usize]),
                        None => prop_assert_eq!(issued.changes(), CHANGES_MAX),
                    }
                }
                prop_assert!(!issued.covers(JobId::new(id + 1)));
            }
        }
    }
}
