//! One miner, as a value.
//!
//! A [`Session`] is told what happened ([`Input`]) and when, and says what to do ([`Action`]). It owns no socket and
//! no clock, so a test, a simulator or another runtime drives it as the server does:
//!
//! ```text
//! loop: wait for a line, a job, a finished login or proof, or until deadline()
//!       handle(now, input);  while let Some(action) = poll() { do it }
//! ```
//!
//! The way of a connection is subscribe, authorize, extranonce, difficulty, job; then submits. For each submit the
//! session decides everything that costs nothing (is the job live and this connection's, is the nonce in its own
//! part, was the solution paid before), and asks for one proof at most: [`Action::Prove`]. The reply goes out when
//! the driver reports the outcome, and the driver reports `Accepted` only for a share that is on record.
//!
//! Promises:
//! - a share is judged at the difficulty its job was sent with, whatever changed since;
//! - a solution is paid once per connection, also while the first proof is still under way;
//! - whatever the peer sends, memory stays within [`Limits`], and so do proofs under way;
//! - every refusal says why, and a connection that is closed was told by an error before, or was silent.

use crate::dialect::{Call, Dialect, ExtranonceMoment, Garbage, Message, Peer, Request, RequestId};
use crate::duplicates::Duplicates;
use crate::extranonce::Lease;
use crate::jobs::{Issued, JobRing, Lookup, Posted};
use bytes::Bytes;
use pool_core::id::{JobId, Worker, WorkerName};
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::time::{Micros, Moment};
use pool_core::units::{Target, Work};
use pool_core::vardiff::{Vardiff, VardiffRules};
use std::collections::VecDeque;
use std::fmt;
use std::mem::discriminant;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a user name or password that are looked at; longer ones are refused.
const CREDENTIAL_BYTES_MAX: usize = 512;
/// Logins of one connection under way.
const LOGINS_MAX: usize = 4;
/// Jobs that are looked at for a solution with the name of none.
const STAND_INS_MAX: usize = 8;
/// Questions of one connection to the service behind the pool, under way.
const ASKS_MAX: usize = 4;

/// What a login or a submit is called between a session and its driver. Unique within the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

impl Ticket {
    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// What a driver found out about a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Who is paid, and for which machine.
    pub worker: Worker,
    /// The difficulty remembered for this worker, if any.
    pub start: Option<Work>,
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is good, and on record for good.
    Accepted,
    /// It earns nothing.
    Rejected(Reject),
}

/// A solution to be proved, judged and recorded.
#[derive(Debug)]
pub struct Submission<D: Dialect> {
    /// To be given back with the outcome.
    pub ticket: Ticket,
    /// The job it names; exactly that one.
    pub job: Arc<D::Job>,
    /// The solution.
    pub solution: D::Solution,
    /// The target the job was sent with to this connection.
    pub share_target: Target,
    /// The work the job was sent with.
    pub work: Work,
    /// Whose it is.
    pub worker: Worker,
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a, D: Dialect> {
    /// The peer sent a line (without its end, cleaned by [`crate::frame::LineBuffer`]).
    Frame(&'a [u8]),
    /// This is the job to work on now, published to the ring of the rules.
    Job(Arc<Posted<D>>),
    /// There is no work: the node is away. The ring was suspended.
    NoWork,
    /// A login ended; the error is for the miner's screen.
    LoggedIn {
        /// Whose.
        ticket: Ticket,
        /// How.
        result: Result<Login, String>,
    },
    /// A submission ended.
    Settled {
        /// Which.
        ticket: Ticket,
        /// How.
        outcome: Outcome,
    },
    /// The service behind the pool answered; the error is for the miner's screen.
    Told {
        /// Which question.
        ticket: Ticket,
        /// What it said.
        result: Result<String, String>,
    },
    /// Time passed.
    Tick,
    /// This server is going down: send the miner elsewhere.
    Drain,
}

/// What to do.
#[derive(Debug)]
pub enum Action<D: Dialect> {
    /// Send this; it must not be lost.
    Send(Bytes),
    /// Send this job. One that is still queued from before may be dropped for it, but a `Send` between them keeps
    /// its place before the newer job.
    Notify(Bytes),
    /// Find out who this is, then [`Input::LoggedIn`].
    Login {
        /// To be given back.
        ticket: Ticket,
        /// Account and worker as the miner spells them; see [`split_user`].
        user: String,
        /// The password.
        password: String,
    },
    /// Prove, judge and record this, then [`Input::Settled`].
    Prove(Submission<D>),
    /// Pass this on to the service behind the pool, then [`Input::Told`].
    Ask {
        /// To be given back.
        ticket: Ticket,
        /// Who asks.
        worker: Worker,
        /// What.
        payload: String,
    },
    /// Remember this worker's difficulty for its next connection.
    Remember {
        /// Whose.
        worker: Worker,
        /// The work of its last accepted share.
        work: Work,
    },
    /// Send what is queued, then hang up. Nothing follows.
    Close(Close),
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Close {
    /// Never subscribed.
    SubscribeTimeout,
    /// Never authorized.
    AuthorizeTimeout,
    /// Said nothing for long.
    Idle,
    /// Too many lines that are no requests.
    Garbage,
    /// Too many logins refused.
    Refused,
    /// Too many rejects without one accepted share.
    Rejects,
    /// There has been no work for long; the miner's other pools may have some.
    NoWork,
    /// The server is going down.
    Drained,
}

impl Close {
    /// True when the peer behaved like no miner does, so that its address may be kept out for a while.
    #[must_use]
    pub const fn is_hostile(self) -> bool {
        matches!(self, Self::Garbage)
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SubscribeTimeout => "no subscribe in time",
            Self::AuthorizeTimeout => "no authorize in time",
            Self::Idle => "idle",
            Self::Garbage => "too many malformed lines",
            Self::Refused => "too many refused logins",
            Self::Rejects => "too many rejected shares in a row",
            Self::NoWork => "no work",
            Self::Drained => "server going down",
        })
    }
}

/// What is done about a miner whose shares are rejected, by rejects in a row. An accepted share starts over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectLadder {
    /// Extranonce, difficulty and job are sent again: it may have missed one.
    pub resend: u32,
    /// It is asked to connect again.
    pub reconnect: u32,
    /// It is closed.
    pub close: u32,
}

impl Default for RejectLadder {
    fn default() -> Self {
        Self { resend: 32, reconnect: 128, close: 512 }
    }
}

/// Counts over all sessions of the same rules, for metrics.
#[derive(Debug, Default)]
pub struct Tally {
    accepted: AtomicU64,
    garbage: AtomicU64,
    rejected: [AtomicU64; Tally::REJECTS.len()],
}

impl Tally {
    /// Every kind of reject, in the order of [`Tally::rejected`].
    pub const REJECTS: [Reject; 17] = [
        Reject::Malformed,
        Reject::UnknownMethod,
        Reject::NotSubscribed,
        Reject::Unauthorized,
        Reject::BadAddress,
        Reject::UnknownJob,
        Reject::Stale,
        Reject::Duplicate,
        Reject::LowDifficulty,
        Reject::ForeignExtranonce,
        Reject::BadNonce,
        Reject::ForeignChain,
        Reject::WrongChain,
        Reject::WrongResult,
        Reject::Unattested { code: 0 },
        Reject::NoWork,
        Reject::Busy,
    ];

    /// Accepted shares.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Lines that were no requests.
    #[must_use]
    pub fn garbage(&self) -> u64 {
        self.garbage.load(Ordering::Relaxed)
    }

    /// Refused requests by kind.
    pub fn rejected(&self) -> impl Iterator<Item = (Reject, u64)> {
        Self::REJECTS.into_iter().zip(self.rejected.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    fn count(&self, reject: Reject) {
        if let Some(place) = Self::REJECTS.iter().position(|kind| discriminant(kind) == discriminant(&reject))
        {
            self.rejected[place].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What all sessions of one port have in common.
#[derive(Debug)]
pub struct SessionRules<D: Dialect> {
    dialect: D,
    limits: Limits,
    vardiff: VardiffRules,
    vardiff_power_of_two: VardiffRules,
    jobs: Arc<JobRing<D>>,
    tally: Tally,
    /// Between the first difficulty and the first job. Some firmware loses a job that comes at once.
    pub first_job_delay: Micros,
    /// What is done about rejects.
    pub ladder: RejectLadder,
    /// How long a miner is kept without work before it is sent away.
    pub no_work_max: Micros,
    /// How long a miner may go on after it was asked to connect elsewhere.
    pub drain_max: Micros,
}

impl<D: Dialect> SessionRules<D> {
    /// Rules with the usual times: 100 ms before the first job, two minutes without work, two seconds to drain.
    #[must_use]
    pub fn new(dialect: D, limits: Limits, vardiff: VardiffRules, jobs: Arc<JobRing<D>>) -> Self {
        Self {
            dialect,
            limits,
            vardiff_power_of_two: vardiff.clone().power_of_two(true),
            vardiff,
            jobs,
            tally: Tally::default(),
            first_job_delay: Micros::from_millis(100),
            ladder: RejectLadder::default(),
            no_work_max: Micros::from_secs(120),
            drain_max: Micros::from_secs(2),
        }
    }

    /// The jobs that may be answered.
    #[must_use]
    pub const fn jobs(&self) -> &Arc<JobRing<D>> {
        &self.jobs
    }

    /// The dialect.
    #[must_use]
    pub const fn dialect(&self) -> &D {
        &self.dialect
    }

    /// The bounds.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Counts over all sessions.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    fn vardiff(&self, profile: D::Profile) -> &VardiffRules {
        if self.dialect.power_of_two(profile) { &self.vardiff_power_of_two } else { &self.vardiff }
    }
}

/// Account and worker of a user name: `account.worker`, with further parts ignored. The worker's name is cleaned, so
/// that whatever was sent is safe to show; the account is for the coin's decoder.
///
/// ```
/// use pool_stratum::session::split_user;
///
/// let (account, worker) = split_user("kaspa:qq0.rig<1>.x");
/// assert_eq!((account, worker.as_str()), ("kaspa:qq0", "rig_1_"));
/// assert_eq!(split_user("kaspa:qq0").1.as_str(), "default");
/// ```
#[must_use]
pub fn split_user(user: &str) -> (&str, WorkerName) {
    let mut parts = user.trim().splitn(3, '.');
    let account = parts.next().unwrap_or_default().trim();
    (account, WorkerName::clean(parts.next().unwrap_or_default()))
}

/// A login under way.
#[derive(Debug)]
struct PendingLogin {
    ticket: Ticket,
    id: RequestId,
    user: Box<str>,
    wish: Option<Work>,
    /// By [`Request::Login`]: the reply carries the job.
    whole: bool,
}

/// A submission under way.
#[derive(Debug)]
struct PendingSubmit<S> {
    ticket: Ticket,
    id: RequestId,
    /// The number of its job's work.
    job_work: u64,
    solution: S,
    share_work: Work,
    worker: usize,
}

/// A worker that may submit.
#[derive(Debug)]
struct Authorized {
    user: Box<str>,
    worker: Worker,
    /// The difficulty that was last remembered for it.
    remembered: Option<Work>,
}

/// One connection's state. About half a kilobyte, and a little more for its worker's name; see the crate's tests.
#[derive(Debug)]
pub struct Session<D: Dialect> {
    rules: Arc<SessionRules<D>>,
    lease: Lease,
    profile: D::Profile,
    vardiff: Vardiff,
    actions: VecDeque<Action<D>>,
    workers: Vec<Authorized>,
    logins: Vec<PendingLogin>,
    asks: Vec<(Ticket, RequestId)>,
    pending: VecDeque<PendingSubmit<D::Solution>>,
    paid: Duplicates<D::Solution>,
    issued: Issued,
    /// The difficulty on the miner's side.
    told: Option<Work>,
    opened: Moment,
    /// The last line.
    heard: Moment,
    first_job_at: Option<Moment>,
    no_work_since: Option<Moment>,
    drained_since: Option<Moment>,
    next_ticket: u64,
    garbage: u32,
    refused: u32,
    /// Rejects since the last accepted share.
    rejects: u32,
    /// A line has come, and with it the grammar.
    hailed: bool,
    /// A user agent has come, and with it the family.
    named: bool,
    subscribed: bool,
    closed: bool,
}

impl<D: Dialect> Session<D> {
    /// A connection that was opened `now`, with its part of the nonce space.
    #[must_use]
    pub fn new(rules: Arc<SessionRules<D>>, lease: Lease, now: Moment) -> Self {
        let profile = rules.dialect.hail(b"");
        let vardiff = Vardiff::new(rules.vardiff(profile), None, now);
        Self {
            lease,
            profile,
            vardiff,
            actions: VecDeque::new(),
            workers: Vec::new(),
            logins: Vec::new(),
            asks: Vec::new(),
            pending: VecDeque::new(),
            paid: Duplicates::default(),
            issued: Issued::default(),
            told: None,
            opened: now,
            heard: now,
            first_job_at: None,
            no_work_since: None,
            drained_since: None,
            next_ticket: 1,
            garbage: 0,
            refused: 0,
            rejects: 0,
            hailed: false,
            named: false,
            subscribed: false,
            closed: false,
            rules,
        }
    }

    /// Takes in what happened at `now`. To be followed by [`Session::poll`] until it has nothing more.
    pub fn handle(&mut self, now: Moment, input: Input<'_, D>) {
        if self.closed {
            return;
        }
        match input {
            Input::Frame(line) => self.on_frame(now, line),
            Input::Job(posted) => self.on_job(now, &posted),
            Input::NoWork => self.on_no_work(now),
            Input::LoggedIn { ticket, result } => self.on_logged_in(now, ticket, result),
            Input::Settled { ticket, outcome } => self.on_settled(now, ticket, outcome),
            Input::Told { ticket, result } => self.on_told(ticket, result),
            Input::Tick => self.on_tick(now),
            Input::Drain => self.on_drain(now),
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Action<D>> {
        let action = self.actions.pop_front();
        if action.is_none() && self.actions.capacity() > 0 {
            // Most connections are silent most of the time: they keep no queue.
            self.actions = VecDeque::new();
        }
        action
    }

    /// When [`Input::Tick`] is due if nothing else comes. `None` after [`Action::Close`].
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        if self.closed {
            return None;
        }
        let drained = self.drained_since.filter(|_| self.pending.is_empty());
        let times = [
            Some(self.silence_deadline()),
            self.first_job_at,
            self.no_work_since.map(|since| since.after(self.rules.no_work_max)),
            drained.map(|since| since.after(self.rules.drain_max)),
        ];
        times.into_iter().flatten().min()
    }

    /// The connection's extranonce and family.
    #[must_use]
    pub const fn peer(&self) -> Peer<D::Profile> {
        Peer { profile: self.profile, extranonce: self.lease.extranonce() }
    }

    /// The workers that may submit, in the order of their logins.
    pub fn workers(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter().map(|authorized| &authorized.worker)
    }

    /// The work of shares from the next job on.
    #[must_use]
    pub const fn work(&self) -> Work {
        self.vardiff.work()
    }

    /// Submissions under way.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Accepted solutions that are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.paid.len()
    }

    // What the peer says.

    fn on_frame(&mut self, now: Moment, line: &[u8]) {
        self.heard = now;
        let rules = Arc::clone(&self.rules);
        if !self.hailed {
            self.hailed = true;
            self.take_profile(now, rules.dialect.hail(line));
            self.subscribed = !rules.dialect.subscribes(self.profile);
        }
        let Call { id, request } = match rules.dialect.parse(&rules.limits, &self.peer(), line) {
            Ok(call) => call,
            Err((id, garbage)) => return self.on_garbage(&id, garbage),
        };
        match request {
            Request::Hello { agent } => {
                self.choose_profile(now, &agent);
                self.send(Message::Welcome { id: &id });
            }
            Request::Subscribe { agent } => self.on_subscribe(now, &id, &agent),
            Request::ExtranonceSubscribe => self.on_extranonce_subscribe(&id),
            Request::Authorize { user, password } => self.on_authorize(now, id, &user, &password, false),
            Request::Login { agent, user, password } => {
                self.choose_profile(now, &agent);
                self.subscribed = true;
                self.on_authorize(now, id, &user, &password, true);
            }
            Request::Submit { user, answer } => self.on_submit(now, id, &user, answer),
            Request::Suggest { work } => self.on_suggest(&id, work),
            Request::Poll => self.on_poll(now, &id),
            Request::Courtesy => self.send(Message::Done { id: &id }),
            Request::Reply(line) => self.actions.push_back(Action::Send(line.into())),
            Request::Ask { payload } => self.on_ask(id, payload.into_owned()),
            Request::Response => {}
            Request::Unknown => self.refuse(&id, Reject::UnknownMethod, None),
        }
    }

    fn on_garbage(&mut self, id: &RequestId, garbage: Garbage) {
        self.rules.tally.garbage.fetch_add(1, Ordering::Relaxed);
        self.garbage += 1;
        self.refuse(id, Reject::Malformed, Some(&garbage.to_string()));
        if self.garbage >= self.rules.limits.garbage_lines_max {
            self.close(Close::Garbage);
        }
    }

    fn on_subscribe(&mut self, now: Moment, id: &RequestId, agent: &str) {
        self.choose_profile(now, agent);
        self.subscribed = true;
        self.send(Message::Subscribed { id });
        if self.rules.dialect.extranonce_moment(self.profile) == ExtranonceMoment::Subscribed {
            self.send(Message::SetExtranonce);
        }
    }

    /// The family is decided once: jobs may be under way in its form.
    fn choose_profile(&mut self, now: Moment, agent: &str) {
        if !self.named && self.workers.is_empty() {
            let profile = self.rules.dialect.profile(self.profile, agent);
            self.take_profile(now, profile);
        }
        self.named = true;
    }

    fn take_profile(&mut self, now: Moment, profile: D::Profile) {
        if profile == self.profile {
            return;
        }
        self.profile = profile;
        if !self.vardiff.is_fixed() {
            self.vardiff = Vardiff::new(self.rules.vardiff(self.profile), None, now);
        } else {
            // A wish from before the family was known: the same wish, by the family's rules.
            let wish = self.vardiff.work();
            self.vardiff.fix(self.rules.vardiff(self.profile), wish);
        }
    }

    fn on_extranonce_subscribe(&mut self, id: &RequestId) {
        self.send(Message::Done { id });
        // Before the authorize it follows in its place; after it, it was sent, and is repeated to who asks.
        if !self.workers.is_empty() {
            self.send(Message::SetExtranonce);
        }
    }

    fn on_authorize(&mut self, now: Moment, id: RequestId, user: &str, password: &str, whole: bool) {
        if !self.subscribed {
            return self.refuse(&id, Reject::NotSubscribed, None);
        }
        if user.len() > CREDENTIAL_BYTES_MAX || password.len() > CREDENTIAL_BYTES_MAX {
            return self.on_refused_login(&id, "user name or password too long");
        }
        let wish = self.rules.dialect.password_work(password);
        if let Some(place) = self.workers.iter().position(|known| *known.user == *user) {
            self.fix(wish);
            return if whole {
                self.welcome_with_job(now, &id)
            } else {
                self.send(Message::Authorized { id: &id, worker: place })
            };
        }
        if self.workers.len() + self.logins.len() >= self.rules.limits.workers_per_connection_max {
            return self.on_refused_login(&id, "too many workers on one connection");
        }
        if self.logins.len() >= LOGINS_MAX {
            return self.refuse(&id, Reject::Busy, None);
        }
        let ticket = self.ticket();
        self.logins.push(PendingLogin { ticket, id, user: user.into(), wish, whole });
        let (user, password) = (user.to_owned(), password.to_owned());
        self.actions.push_back(Action::Login { ticket, user, password });
    }

    fn on_refused_login(&mut self, id: &RequestId, why: &str) {
        self.refuse(id, Reject::BadAddress, Some(why));
        self.refused += 1;
        if self.refused >= self.rules.limits.garbage_lines_max {
            self.close(Close::Refused);
        }
    }

    fn on_suggest(&mut self, id: &RequestId, work: Option<Work>) {
        if work.is_none() {
            return self.refuse(id, Reject::Malformed, Some("suggested difficulty is no positive number"));
        }
        self.fix(work);
        self.send(Message::Done { id });
    }

    /// The job now, as a reply. It counts as sent, so that it may be answered.
    fn on_poll(&mut self, now: Moment, id: &RequestId) {
        if self.workers.is_empty() {
            return self.refuse(id, Reject::Unauthorized, None);
        }
        let rules = Arc::clone(&self.rules);
        let newest = rules.jobs.newest();
        let job = newest.as_deref().map(|posted| {
            self.first_job_at = None;
            if self.issued.last() != Some(posted.id()) {
                self.bind(now, posted);
            }
            let work = self.issued.work(posted.id()).unwrap_or_else(|| self.vardiff.work());
            (posted, work)
        });
        self.send(Message::Work { id, job });
    }

    /// A question for the service behind the pool.
    fn on_ask(&mut self, id: RequestId, payload: String) {
        let Some(worker) = self.workers.first().map(|known| known.worker.clone()) else {
            return self.refuse(&id, Reject::Unauthorized, None);
        };
        if self.asks.len() >= ASKS_MAX {
            return self.refuse(&id, Reject::Busy, None);
        }
        let ticket = self.ticket();
        self.asks.push((ticket, id));
        self.actions.push_back(Action::Ask { ticket, worker, payload });
    }

    fn on_submit(
        &mut self,
        now: Moment,
        id: RequestId,
        user: &str,
        answer: Result<(JobId, D::Solution), Reject>,
    ) {
        if !self.subscribed {
            return self.reject(now, &id, Reject::NotSubscribed);
        }
        if self.workers.is_empty() {
            return self.reject(now, &id, Reject::Unauthorized);
        }
        if self.pending.len() >= self.rules.limits.pending_submits_max {
            return self.refuse(&id, Reject::Busy, None);
        }
        let located = answer.and_then(|(job, solution)| {
            let located = self.locate(now, job);
            let (posted, work) = located.or_else(|reject| self.stand_in(now, reject, &solution))?;
            if self.is_paid(&posted, &solution) {
                return Err(Reject::Duplicate);
            }
            if D::SHARED_SPACE {
                self.rules.jobs.claim(&posted, &solution)?;
            }
            Ok((posted, work, solution))
        });
        let (posted, share_work, solution) = match located {
            Ok(found) => found,
            Err(Reject::NoWork) => return self.refuse(&id, Reject::NoWork, None),
            Err(reject) => return self.reject(now, &id, reject),
        };
        // The name in a submit proves nothing, but tells several workers of one connection apart.
        let worker = match self.workers.len() {
            1 => 0,
            _ => {
                let dialect = &self.rules.dialect;
                let mut known = self.workers.iter().enumerate();
                let named = known.position(|(place, known)| {
                    *known.user == *user || dialect.names(self.profile, place, user)
                });
                named.unwrap_or(0)
            }
        };
        let ticket = self.ticket();
        self.pending.push_back(PendingSubmit {
            ticket,
            id,
            job_work: posted.work(),
            solution: solution.clone(),
            share_work,
            worker,
        });
        self.actions.push_back(Action::Prove(Submission {
            ticket,
            job: Arc::clone(posted.job()),
            solution,
            share_target: self.rules.dialect.share_target(share_work),
            work: share_work,
            worker: self.workers[worker].worker.clone(),
        }));
    }

    /// The job of this id and the work it was sent with to this connection.
    fn locate(&self, now: Moment, id: JobId) -> Result<(Arc<Posted<D>>, Work), Reject> {
        let too_old = if self.no_work_since.is_some() { Reject::NoWork } else { Reject::Stale };
        if self.issued.last().is_none() && self.rules.jobs.newest().is_none() {
            return Err(Reject::NoWork);
        }
        if !self.issued.covers(id) {
            return Err(Reject::UnknownJob);
        }
        match self.rules.jobs.find(now, id) {
            Lookup::Live(posted) if posted.work() >= self.paid.floor() => {
                let work = self.issued.work(id).ok_or(too_old)?;
                Ok((posted, work))
            }
            Lookup::Live(_) | Lookup::Stale => Err(too_old),
            Lookup::Unknown => Err(Reject::UnknownJob),
        }
    }

    /// The job that a solution with the name of none may be meant for, in dialects whose miners mix names up.
    fn stand_in(
        &self,
        now: Moment,
        reject: Reject,
        solution: &D::Solution,
    ) -> Result<(Arc<Posted<D>>, Work), Reject> {
        if reject != Reject::UnknownJob {
            return Err(reject);
        }
        let (dialect, peer) = (&self.rules.dialect, self.peer());
        let recent = self.rules.jobs.recent(STAND_INS_MAX).into_iter();
        let fit = recent
            .filter(|posted| self.issued.covers(posted.id()))
            .find(|posted| dialect.stands_in(&peer, posted.job(), solution));
        self.locate(now, fit.ok_or(reject)?.id())
    }

    /// True when the solution was accepted, or is being judged.
    fn is_paid(&self, posted: &Posted<D>, solution: &D::Solution) -> bool {
        let work = posted.work();
        let pending =
            |other: &PendingSubmit<D::Solution>| other.job_work == work && other.solution == *solution;
        self.paid.contains(work, solution) || self.pending.iter().any(pending)
    }

    // What the driver says.

    fn on_logged_in(&mut self, now: Moment, ticket: Ticket, result: Result<Login, String>) {
        let Some(place) = self.logins.iter().position(|login| login.ticket == ticket) else { return };
        let login = self.logins.swap_remove(place);
        if self.logins.is_empty() {
            self.logins = Vec::new();
        }
        let Login { worker, start } = match result {
            Ok(found) => found,
            Err(why) => return self.on_refused_login(&login.id, &why),
        };
        let first = self.workers.is_empty();
        if first && !self.vardiff.is_fixed() && start.is_some() {
            self.vardiff = Vardiff::new(self.rules.vardiff(self.profile), start, now);
        }
        self.fix(login.wish);
        // One worker is the rule, and a vector would make room for four.
        self.workers.reserve_exact(1);
        self.workers.push(Authorized { user: login.user, worker, remembered: start });
        if login.whole {
            return self.welcome_with_job(now, &login.id);
        }
        self.send(Message::Authorized { id: &login.id, worker: self.workers.len() - 1 });
        if first {
            if self.rules.dialect.extranonce_moment(self.profile) == ExtranonceMoment::Authorized {
                self.send(Message::SetExtranonce);
            }
            self.tell_difficulty(now);
            self.first_job_at = Some(now.after(self.rules.first_job_delay));
        }
    }

    /// The reply to a login that carries the first job.
    fn welcome_with_job(&mut self, now: Moment, id: &RequestId) {
        let rules = Arc::clone(&self.rules);
        let newest = rules.jobs.newest();
        let work = self.decide(now);
        if let Some(posted) = &newest {
            self.told = Some(work);
            self.issued.issue(posted.id(), work);
        }
        self.send(Message::LoggedIn { id, first: newest.as_deref().map(|posted| (posted, work)) });
    }

    fn on_settled(&mut self, now: Moment, ticket: Ticket, outcome: Outcome) {
        let Some(place) = self.pending.iter().position(|pending| pending.ticket == ticket) else { return };
        let submit = self.pending.remove(place).expect("the position was found in the same queue");
        if self.pending.is_empty() {
            self.pending = VecDeque::new();
        }
        if D::SHARED_SPACE && outcome != Outcome::Accepted {
            self.rules.jobs.unclaim(submit.job_work, &submit.solution);
        }
        match outcome {
            Outcome::Accepted => {
                self.rejects = 0;
                self.garbage = 0;
                self.rules.tally.accepted.fetch_add(1, Ordering::Relaxed);
                self.paid.retire_below(self.rules.jobs.oldest().1);
                self.paid.insert(submit.job_work, submit.solution, self.rules.limits.duplicates_kept_max);
                self.send(Message::Done { id: &submit.id });
                self.vardiff.on_share(self.rules.vardiff(self.profile), now, submit.share_work);
                self.remember(submit.worker);
            }
            Outcome::Rejected(Reject::Busy) => self.refuse(&submit.id, Reject::Busy, None),
            Outcome::Rejected(reject) => self.reject(now, &submit.id, reject),
        }
        if self.drained_since.is_some() {
            self.on_tick(now);
        }
    }

    fn on_told(&mut self, ticket: Ticket, result: Result<String, String>) {
        let Some(place) = self.asks.iter().position(|(known, _)| *known == ticket) else { return };
        let (_, id) = self.asks.swap_remove(place);
        match result {
            Ok(payload) => self.send(Message::Told { id: &id, payload: &payload }),
            Err(why) => self.refuse(&id, Reject::Busy, Some(&why)),
        }
    }

    /// A difficulty that a share has proved is worth keeping for the next connection.
    fn remember(&mut self, worker: usize) {
        let work = self.vardiff.proven();
        let authorized = &mut self.workers[worker];
        if !self.vardiff.is_fixed() && authorized.remembered != Some(work) {
            authorized.remembered = Some(work);
            self.actions.push_back(Action::Remember { worker: authorized.worker.clone(), work });
        }
    }

    fn on_job(&mut self, now: Moment, posted: &Arc<Posted<D>>) {
        if self.no_work_since.take().is_some() && !self.vardiff.is_fixed() {
            // The silence without work was ours, and says nothing about the miner.
            self.vardiff = Vardiff::new(self.rules.vardiff(self.profile), Some(self.vardiff.work()), now);
        }
        if self.workers.is_empty() || self.first_job_at.is_some_and(|at| now < at) {
            // Nobody to tell yet; or the first job is about to go out, and will be the newest then.
            return;
        }
        self.first_job_at = None;
        self.issue(now, posted);
    }

    /// Sends a job, at the difficulty that is right now, and binds the two.
    fn issue(&mut self, now: Moment, posted: &Posted<D>) {
        if self.issued.last().is_some_and(|last| posted.id() <= last) {
            return;
        }
        let work = self.bind(now, posted);
        let line = self.rules.dialect.notify(&self.peer(), posted, work);
        self.actions.push_back(Action::Notify(line));
    }

    /// Binds a job that is about to go out to the difficulty that is right now.
    fn bind(&mut self, now: Moment, posted: &Posted<D>) -> Work {
        let work = self.tell_difficulty(now);
        self.issued.issue(posted.id(), work);
        let (oldest, oldest_work) = self.rules.jobs.oldest();
        self.issued.retire_below(oldest);
        self.paid.retire_below(oldest_work);
        work
    }

    /// Makes the miner's side agree with the difficulty that is right now.
    fn tell_difficulty(&mut self, now: Moment) -> Work {
        let work = self.decide(now);
        if self.told != Some(work) {
            self.told = Some(work);
            self.send(Message::SetDifficulty(work));
        }
        work
    }

    fn decide(&mut self, now: Moment) -> Work {
        let rules = Arc::clone(&self.rules);
        let _ = self.vardiff.poll(rules.vardiff(self.profile), now);
        self.vardiff.work()
    }

    fn on_no_work(&mut self, now: Moment) {
        if self.no_work_since.is_none() {
            self.no_work_since = Some(now);
            self.send(Message::Show("the pool's node is unavailable, no work for now"));
        }
    }

    fn on_drain(&mut self, now: Moment) {
        if self.drained_since.is_none() {
            self.drained_since = Some(now);
            self.send(Message::Show("server going down, please connect again"));
            self.send(Message::Reconnect);
        }
    }

    fn on_tick(&mut self, now: Moment) {
        if self.first_job_at.is_some_and(|at| at <= now) {
            self.first_job_at = None;
            match self.rules.jobs.newest() {
                Some(posted) => self.issue(now, &posted),
                None => self.on_no_work(now),
            }
        }
        let since = |start: Option<Moment>, max| start.is_some_and(|start| start.after(max) <= now);
        if since(self.drained_since, self.rules.drain_max) && self.pending.is_empty() {
            self.close(Close::Drained);
        } else if since(self.no_work_since, self.rules.no_work_max) {
            self.close(Close::NoWork);
        } else if self.silence_deadline() <= now {
            self.close(if !self.subscribed {
                Close::SubscribeTimeout
            } else if self.workers.is_empty() {
                Close::AuthorizeTimeout
            } else {
                Close::Idle
            });
        }
    }

    fn silence_deadline(&self) -> Moment {
        let limits = &self.rules.limits;
        if !self.subscribed {
            self.opened.after(Micros::from_millis(limits.subscribe_ms_max))
        } else if self.workers.is_empty() {
            self.opened.after(Micros::from_millis(limits.authorize_ms_max))
        } else {
            self.heard.after(limits.idle())
        }
    }

    // What is said.

    /// A submit that earns nothing: answered, counted, and answered to.
    fn reject(&mut self, now: Moment, id: &RequestId, reject: Reject) {
        self.refuse(id, reject, None);
        self.vardiff.on_reject(self.rules.vardiff(self.profile), now);
        self.rejects = self.rejects.saturating_add(1);
        let ladder = self.rules.ladder;
        if self.rejects >= ladder.close {
            self.close(Close::Rejects);
        } else if self.rejects == ladder.reconnect {
            self.send(Message::Show("too many rejected shares, please connect again"));
            self.send(Message::Reconnect);
        } else if self.rejects == ladder.resend && !self.workers.is_empty() {
            self.send(Message::SetExtranonce);
            let Some(work) = self.told else { return };
            self.send(Message::SetDifficulty(work));
            // The job of before, which is bound to that difficulty; not a newer one.
            let Some(last) = self.issued.last() else { return };
            let rules = Arc::clone(&self.rules);
            if let Lookup::Live(posted) = rules.jobs.find(now, last) {
                let line = rules.dialect.notify(&self.peer(), &posted, work);
                self.actions.push_back(Action::Notify(line));
            }
        }
    }

    fn refuse(&mut self, id: &RequestId, reject: Reject, why: Option<&str>) {
        self.rules.tally.count(reject);
        self.send(Message::Refused { id, reject, why });
    }

    fn send(&mut self, message: Message<'_, D>) {
        let mut out = Vec::with_capacity(96);
        self.rules.dialect.render(&self.peer(), message, &mut out);
        if !out.is_empty() {
            self.actions.push_back(Action::Send(out.into()));
        }
    }

    fn close(&mut self, why: Close) {
        if !self.closed {
            self.closed = true;
            self.actions.push_back(Action::Close(why));
        }
    }

    /// The miner's wish for a difficulty, by the operator's bounds. It takes effect with the next job.
    fn fix(&mut self, wish: Option<Work>) {
        if let Some(work) = wish {
            self.vardiff.fix(self.rules.vardiff(self.profile), work);
        }
    }

    fn ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        ticket
    }
}
