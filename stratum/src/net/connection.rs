//! One connection: a session and its socket in one future.
//!
//! Whatever wakes it, the order is the same: the bell, what the application finished, what the peer sent, then one
//! write for all that came of it, then the timer. Submits are not waited for: their futures run beside the reading, up
//! to [`Limits::pending_submits_max`] of them, and beyond that the peer's bytes wait in the kernel.
//!
//! [`Limits::pending_submits_max`]: pool_core::limits::Limits::pending_submits_max

use super::application::{Application, Caller};
use super::bell::{Seat, Signals};
use super::meter::Meter;
use super::proxy;
use super::queue::{PIECES_MAX, SendQueue};
use super::transport::Transport;
use crate::dialect::{Dialect, Message, RequestId};
use crate::extranonce::Lease;
use crate::frame::LineBuffer;
use crate::session::{Action, Close, Input, Login, Outcome, Session, SessionRules, Ticket};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use pool_core::share::Reject;
use pool_core::time::{Micros, Moment};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::ReadBuf;
use tokio::time::{Instant, Sleep};

/// Bytes taken from the kernel at once. Lives on the stack of a poll, so it costs no connection anything.
const READ_BYTES: usize = 4 * 1024;
/// Reads in one turn, before others get theirs.
const READS_PER_TURN: usize = 16;

/// The process's monotonic clock as [`Moment`]s.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: Instant,
}

impl Clock {
    /// Starts a second after zero, so that "long ago" has room.
    pub(super) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub(super) fn now(self) -> Moment {
        let passed = self.origin.elapsed();
        Moment::new(1_000_000 + u64::try_from(passed.as_micros()).unwrap_or(u64::MAX))
    }
}

/// What all connections of a server share.
#[derive(Debug)]
pub(super) struct Shared<D: Dialect, A> {
    pub(super) sessions: Arc<SessionRules<D>>,
    pub(super) application: Arc<A>,
    pub(super) clock: Clock,
    pub(super) meter: Meter,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The session's decision.
    Session(Close),
    /// The peer closed, and got all its replies.
    HungUp,
    /// The socket failed.
    Broken,
    /// The peer does not read.
    SlowReader,
    /// The peer began a line and does not finish it.
    SlowWriter,
    /// More replies wait than may.
    Overfull,
    /// A line without end.
    LongLine,
    /// A PROXY header that it has no right to send.
    ForeignProxy,
}

impl Ending {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Session(close) => match close {
                Close::SubscribeTimeout => "subscribe_timeout",
                Close::AuthorizeTimeout => "authorize_timeout",
                Close::Idle => "idle",
                Close::Garbage => "garbage",
                Close::Refused => "refused_logins",
                Close::Rejects => "rejects",
                Close::NoWork => "no_work",
                Close::Drained => "drained",
            },
            Self::HungUp => "hung_up",
            Self::Broken => "broken",
            Self::SlowReader => "slow_reader",
            Self::SlowWriter => "slow_writer",
            Self::Overfull => "overfull",
            Self::LongLine => "long_line",
            Self::ForeignProxy => "foreign_proxy",
        }
    }

    /// True when the peer may still be listening, so that the last words are worth a moment.
    pub(super) const fn is_polite(self) -> bool {
        match self {
            Self::Session(_) | Self::HungUp | Self::SlowWriter | Self::LongLine | Self::ForeignProxy => true,
            Self::Broken | Self::SlowReader | Self::Overfull => false,
        }
    }
}

/// What the application finished.
#[derive(Debug)]
pub(super) enum Done {
    LoggedIn { ticket: Ticket, result: Result<Login, String> },
    Settled { ticket: Ticket, outcome: Outcome, since: Moment },
    Told { ticket: Ticket, result: Result<String, String> },
    Remembered,
}

/// The application's futures of one connection.
pub(super) type UnderWay = FuturesUnordered<BoxFuture<'static, Done>>;

pub(super) struct Connection<D: Dialect, A> {
    shared: Arc<Shared<D, A>>,
    transport: Transport,
    seat: Seat,
    session: Session<D>,
    lines: LineBuffer,
    queue: SendQueue,
    /// Made when there is something to wait for, dropped when there is not.
    under_way: Option<UnderWay>,
    timer: Timer,
    caller: Caller,
    /// Since when the queue has not been empty.
    blocked_since: Option<Moment>,
    /// When the job was published that is being sent.
    job_at: Option<Moment>,
    ending: Option<Ending>,
    /// The peer has said its first bytes.
    greeted: bool,
    /// The peer will say nothing more.
    hung_up: bool,
}

impl<D: Dialect, A: Application<D>> Connection<D, A> {
    pub(super) fn new(
        shared: Arc<Shared<D, A>>,
        transport: Transport,
        seat: Seat,
        lease: Lease,
        caller: Caller,
    ) -> Self {
        let session = Session::new(Arc::clone(&shared.sessions), lease, shared.clock.now());
        let lines = LineBuffer::new(shared.sessions.limits().line_bytes_max);
        Self {
            shared,
            transport,
            seat,
            session,
            lines,
            queue: SendQueue::default(),
            under_way: None,
            timer: Timer::default(),
            caller,
            blocked_since: None,
            job_at: None,
            ending: None,
            greeted: false,
            hung_up: false,
        }
    }

    /// The socket, to say goodbye with, and what the application has not finished.
    pub(super) fn into_parts(self) -> (Transport, Option<UnderWay>) {
        (self.transport, self.under_way)
    }

    /// Goes on until the connection has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        let mut now = self.shared.clock.now();
        let signals = self.seat.take(cx);
        if signals.contains(Signals::WORK) {
            self.look_for_work(now);
        }
        if signals.contains(Signals::DRAIN) {
            self.session.handle(now, Input::Drain);
        }
        let mut reads = 0;
        loop {
            self.act(now);
            let finished = self.finish(cx, now);
            let heard = self.hear(cx, &mut now, &mut reads);
            if finished || heard {
                continue;
            }
            let held = !self.may_hear();
            if let Err(_reset) = self.send(cx, now) {
                return Poll::Ready(Ending::Broken);
            }
            if held && self.may_hear() {
                // What was sent made room for the peer's lines, and nobody else would wake us for them.
                continue;
            }
            if self.queue.is_empty() {
                if let Some(ending) = self.ending {
                    return Poll::Ready(ending);
                }
                if self.hung_up && self.under_way.is_none() {
                    return Poll::Ready(Ending::HungUp);
                }
            }
            let Some(deadline) = self.deadline() else { return Poll::Pending };
            let Some(late) = self.timer.poll(cx, self.shared.clock, deadline) else { return Poll::Pending };
            now = late;
            if let Some(ending) = self.on_time(now) {
                return Poll::Ready(ending);
            }
        }
    }

    /// Tells the session what there is to work on.
    fn look_for_work(&mut self, now: Moment) {
        match self.shared.sessions.jobs().newest() {
            Some(posted) => {
                let at = posted.at();
                self.session.handle(now, Input::Job(posted));
                if self.act(now) {
                    self.job_at = Some(at);
                }
            }
            // A miner that has not logged in has not asked for work.
            None if self.session.workers().next().is_some() => self.session.handle(now, Input::NoWork),
            None => {}
        }
    }

    /// Does what the session wants. True when a job was queued.
    fn act(&mut self, now: Moment) -> bool {
        let mut job = false;
        while let Some(action) = self.session.poll() {
            match action {
                Action::Send(bytes) => self.reply(&bytes),
                Action::Notify(bytes) => {
                    job = true;
                    self.notify(bytes);
                }
                Action::Login { ticket, user, password } => {
                    let (application, caller) = (Arc::clone(&self.shared.application), self.caller);
                    self.start(async move {
                        let result = application.login(&user, &password, caller).await;
                        Done::LoggedIn { ticket, result }
                    });
                }
                Action::Prove(submission) => {
                    let application = Arc::clone(&self.shared.application);
                    self.start(async move {
                        let ticket = submission.ticket;
                        let outcome = application.submit(submission).await;
                        Done::Settled { ticket, outcome, since: now }
                    });
                }
                Action::Ask { ticket, worker, payload } => {
                    let (application, caller) = (Arc::clone(&self.shared.application), self.caller);
                    self.start(async move {
                        Done::Told { ticket, result: application.ask(worker, payload, caller).await }
                    });
                }
                Action::Remember { worker, work } => {
                    let application = Arc::clone(&self.shared.application);
                    self.start(async move {
                        application.remember(worker, work).await;
                        Done::Remembered
                    });
                }
                Action::Close(close) => self.end(Ending::Session(close)),
            }
        }
        job
    }

    fn reply(&mut self, bytes: &[u8]) {
        if self.queue.reply(bytes, self.shared.sessions.limits().send_bytes_max).is_err() {
            self.end(Ending::Overfull);
        }
    }

    fn notify(&mut self, bytes: Bytes) {
        self.shared.meter.jobs.increment(1);
        if self.queue.job(bytes) {
            self.shared.meter.jobs_replaced.increment(1);
        }
    }

    fn start(&mut self, future: impl Future<Output = Done> + Send + 'static) {
        self.under_way.get_or_insert_default().push(Box::pin(future));
    }

    /// The first reason to end is the reason.
    fn end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }

    /// Tells the session what the application finished. True when there was anything.
    fn finish(&mut self, cx: &mut Context<'_>, now: Moment) -> bool {
        let mut any = false;
        while let Some(under_way) = &mut self.under_way {
            match under_way.poll_next_unpin(cx) {
                Poll::Ready(Some(done)) => {
                    any = true;
                    self.on_done(now, done);
                }
                Poll::Ready(None) => self.under_way = None,
                Poll::Pending => break,
            }
        }
        any
    }

    fn on_done(&mut self, now: Moment, done: Done) {
        match done {
            Done::LoggedIn { ticket, result } => {
                self.session.handle(now, Input::LoggedIn { ticket, result });
            }
            Done::Settled { ticket, outcome, since } => {
                self.session.handle(now, Input::Settled { ticket, outcome });
                self.shared.meter.settled_in(self.shared.clock.now().since(since));
            }
            Done::Told { ticket, result } => self.session.handle(now, Input::Told { ticket, result }),
            Done::Remembered => {}
        }
    }

    /// True while more of the peer's lines can be taken on: replies are being read, submits are being recorded.
    fn may_hear(&self) -> bool {
        let limits = self.shared.sessions.limits();
        let under_way = self.under_way.as_ref().map_or(0, FuturesUnordered::len);
        self.ending.is_none()
            && under_way < limits.pending_submits_max.max(1)
            && self.queue.unsent() <= limits.send_bytes_max / 2
    }

    /// Takes in lines that have arrived, reading once for more. True when that changed anything.
    fn hear(&mut self, cx: &mut Context<'_>, now: &mut Moment, reads: &mut usize) -> bool {
        let mut heard = false;
        while self.may_hear() {
            match self.lines.line() {
                Ok(Some(line)) => {
                    heard = true;
                    self.shared.meter.lines.increment(1);
                    self.session.handle(*now, Input::Frame(line));
                    self.act(*now);
                }
                Ok(None) if self.hung_up => return heard,
                Ok(None) if *reads >= READS_PER_TURN => {
                    cx.waker().wake_by_ref();
                    return heard;
                }
                Ok(None) => {
                    *reads += 1;
                    return self.read(cx, now) || heard;
                }
                Err(long) => {
                    self.refuse(&long.to_string());
                    self.end(Ending::LongLine);
                }
            }
        }
        heard
    }

    /// Reads once. True when something came.
    fn read(&mut self, cx: &mut Context<'_>, now: &mut Moment) -> bool {
        let mut bytes = [MaybeUninit::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        match self.transport.poll_read(cx, &mut buffer) {
            Poll::Pending => false,
            Poll::Ready(Err(_reset)) => {
                self.queue = SendQueue::default();
                self.end(Ending::Broken);
                true
            }
            Poll::Ready(Ok(())) => {
                let chunk = buffer.filled();
                if chunk.is_empty() {
                    self.hung_up = true;
                    return true;
                }
                *now = self.shared.clock.now();
                self.shared.meter.bytes_in.increment(chunk.len() as u64);
                if !self.greeted && proxy::looks_like_header(chunk) {
                    self.end(Ending::ForeignProxy);
                }
                self.greeted = true;
                self.lines.push(*now, chunk);
                true
            }
        }
    }

    fn refuse(&mut self, why: &str) {
        let mut line = Vec::new();
        let message = Message::Refused { id: &RequestId::Null, reject: Reject::Malformed, why: Some(why) };
        self.shared.sessions.dialect().render(&self.session.peer(), message, &mut line);
        self.reply(&line);
    }

    /// Hands to the socket what it takes.
    fn send(&mut self, cx: &mut Context<'_>, now: Moment) -> io::Result<()> {
        let mut blocked = false;
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES_MAX];
            let filled = self.queue.slices(&mut slices);
            match self.transport.poll_write(cx, &slices[..filled])? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(sent) => {
                    self.shared.meter.bytes_out.increment(sent as u64);
                    self.queue.advance(sent);
                }
                Poll::Pending => {
                    blocked = true;
                    break;
                }
            }
        }
        if !blocked {
            blocked = self.transport.poll_flush(cx)?.is_pending();
        }
        if blocked {
            self.blocked_since.get_or_insert(now);
        } else {
            self.blocked_since = None;
            if let Some(at) = self.job_at.take() {
                self.shared.meter.delivered_in(self.shared.clock.now().since(at));
            }
        }
        Ok(())
    }

    fn write_deadline(&self) -> Option<Moment> {
        let max = Micros::from_millis(self.shared.sessions.limits().write_ms_max);
        self.blocked_since.map(|since| since.after(max))
    }

    /// While we ourselves do not read, an unfinished line is not the peer's fault.
    fn line_deadline(&self) -> Option<Moment> {
        let max = Micros::from_millis(self.shared.sessions.limits().line_ms_max);
        if self.may_hear() && !self.hung_up { self.lines.deadline(max) } else { None }
    }

    fn deadline(&self) -> Option<Moment> {
        let deadlines = [self.session.deadline(), self.write_deadline(), self.line_deadline()];
        deadlines.into_iter().flatten().min()
    }

    fn on_time(&mut self, now: Moment) -> Option<Ending> {
        let passed = |deadline: Option<Moment>| deadline.is_some_and(|deadline| deadline <= now);
        if passed(self.write_deadline()) {
            return Some(self.ending.unwrap_or(Ending::SlowReader));
        }
        if passed(self.line_deadline()) {
            self.end(Ending::SlowWriter);
        } else if passed(self.session.deadline()) {
            self.session.handle(now, Input::Tick);
        }
        None
    }
}

/// A timer that is set seldom: a deadline that moved further away is noticed when the old one comes.
#[derive(Debug, Default)]
struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// What `sleep` waits for; meaningless without it.
    armed: Moment,
}

impl Timer {
    /// The time now if `deadline` has passed; else the task will be woken when it has.
    fn poll(&mut self, cx: &mut Context<'_>, clock: Clock, deadline: Moment) -> Option<Moment> {
        loop {
            let fired = match &mut self.sleep {
                Some(sleep) if self.armed <= deadline => sleep.as_mut().poll(cx).is_ready(),
                Some(_) | None => true,
            };
            if !fired {
                return None;
            }
            let now = clock.now();
            if deadline <= now {
                return Some(now);
            }
            // A timer counts in milliseconds; waking a little late is better than waking twice.
            let at = clock.origin
                + deadline.after(Micros::from_millis(1)).since(Moment::new(1_000_000)).to_duration();
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(at),
                None => self.sleep = Some(Box::pin(tokio::time::sleep_until(at))),
            }
            self.armed = deadline;
        }
    }
}
