//! The server: accepts, admits, broadcasts, drains.
//!
//! [`Server::serve`] is one loop around everything that concerns more than one connection. It spawns a task per
//! connection and none besides; when it returns, or is dropped, all of them have ended. New work is published to the
//! job ring and then rung in rounds ([`ServerRules::round`]); sockets are seen to between the rounds.
//!
//! Before a task does anything that costs (a TLS handshake), its connection has a place at the door. Who is refused is
//! told why in one line, where that can be done without a handshake. When the process runs out of descriptors the
//! oldest connection in the backlog is closed with one kept in reserve, and accepting pauses, instead of spinning.

use super::application::{Application, Caller};
use super::bell::{Signals, Tower};
use super::connection::{Clock, Connection, Ending, Shared};
use super::door::{Door, DoorRules, Offence, Place, Refusal};
use super::host::Cidr;
use super::listener::{self, Listener, ProxyRule};
use super::meter::Meter;
use super::proxy::{self, Parsed, Source};
use super::transport::Transport;
use crate::dialect::{Dialect, Message, Peer, RequestId};
use crate::extranonce::{Extranonce, ExtranonceSpace};
use crate::session::SessionRules;
use futures_util::StreamExt;
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::time::{Micros, Moment};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, Sleep, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, error, info, warn};

/// How long a connection that ends may take to read our last words.
const FAREWELL: Duration = Duration::from_secs(1);
/// Refused connections that are given that time at once; beyond it they are just closed.
const FAREWELLS_MAX: usize = 256;
/// How long accepting pauses when descriptors or memory are out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The least time between two warnings about the same trouble.
const WARN_EVERY: Micros = Micros::from_secs(10);
/// Between two waves of a drain.
const WAVE: Duration = Duration::from_millis(50);
/// Between two looks at a PROXY header that came in pieces.
const HEADER_LOOK: Duration = Duration::from_millis(10);
/// A TLS connection holds no more than this of what its peer does not read.
const TLS_BUFFER_BYTES: usize = 16 * 1024;

/// What a server is configured by, beside the sessions' rules (whose [`Limits`] it keeps, too).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerRules {
    /// The pool's name, as a label of metrics and in logs.
    pub pool: String,
    /// Limits per host.
    pub door: DoorRules,
    /// Sources whose PROXY headers are believed. They are exempt from limits themselves; what they carry is not.
    pub trusted_proxies: Vec<Cidr>,
    /// Milliseconds a TLS handshake may take.
    pub handshake_ms_max: u64,
    /// Milliseconds a PROXY header may take.
    pub proxy_ms_max: u64,
    /// Milliseconds over which a drain spreads its requests to connect elsewhere.
    pub drain_ms: u64,
    /// Connections told of a job at once, before sockets are seen to again.
    pub round: usize,
}

impl Default for ServerRules {
    fn default() -> Self {
        Self {
            pool: "pool".to_owned(),
            door: DoorRules::default(),
            trusted_proxies: Vec::new(),
            handshake_ms_max: 10_000,
            proxy_ms_max: 5_000,
            drain_ms: 10_000,
            round: 128,
        }
    }
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Connections that ended in their own time: nothing of theirs was under way.
    pub closed: usize,
    /// Connections that had to be cut off.
    pub cut: usize,
}

/// A stratum server of one coin. A value; nothing happens before [`Server::serve`].
#[derive(Debug)]
pub struct Server<D: Dialect, A> {
    hall: Arc<Hall<D, A>>,
    work: watch::Receiver<Option<Arc<D::Job>>>,
    round: usize,
    drain: Duration,
}

/// What the connection tasks and the serving loop share.
#[derive(Debug)]
struct Hall<D: Dialect, A> {
    shared: Arc<Shared<D, A>>,
    space: ExtranonceSpace,
    door: Arc<Mutex<Door>>,
    tower: Arc<Tower>,
    trusted: Vec<Cidr>,
    handshake_max: Duration,
    proxy_max: Duration,
    farewells: Arc<Semaphore>,
}

impl<D: Dialect, A: Application<D>> Server<D, A> {
    /// A server.
    ///
    /// `work` shows the job to work on, `None` while the node is away; the server publishes it to the ring of
    /// `sessions`, and nobody else may. The connection limit is lowered to nine tenths of the process's descriptor
    /// limit, if that is known and less.
    #[must_use]
    pub fn new(
        rules: ServerRules,
        sessions: Arc<SessionRules<D>>,
        space: ExtranonceSpace,
        application: Arc<A>,
        work: watch::Receiver<Option<Arc<D::Job>>>,
    ) -> Self {
        let mut limits = sessions.limits().clone();
        limits.connections_max = connections_max(&limits, descriptors_max());
        let mut door = rules.door;
        door.exempt.extend(&rules.trusted_proxies);
        let shared = Shared { meter: Meter::new(&rules.pool), clock: Clock::start(), application, sessions };
        let hall = Hall {
            shared: Arc::new(shared),
            space,
            door: Arc::new(Mutex::new(Door::new(door, &limits))),
            tower: Arc::default(),
            trusted: rules.trusted_proxies,
            handshake_max: Duration::from_millis(rules.handshake_ms_max),
            proxy_max: Duration::from_millis(rules.proxy_ms_max),
            farewells: Arc::new(Semaphore::new(FAREWELLS_MAX)),
        };
        let drain = Duration::from_millis(rules.drain_ms);
        Self { hall: Arc::new(hall), work, round: rules.round.max(1), drain }
    }

    /// Connections that are open now, refused ones that still read why not counted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.hall.door().open()
    }

    /// Serves until `shutdown` resolves, then drains: accepts no more, asks the miners in waves to connect elsewhere,
    /// and waits until what they submitted is recorded and answered.
    ///
    /// Spawns one task per connection on the current runtime. Dropping the future ends them all at once.
    pub async fn serve(&self, listeners: Vec<Listener>, shutdown: impl Future<Output = ()>) -> Drained {
        let hall = &self.hall;
        let mut work = self.work.clone();
        let mut work_flows = true;
        let mut tasks = JoinSet::new();
        let mut acceptor = Acceptor::new(listeners);
        let mut rounds = Rounds::default();
        let mut report = interval(Duration::from_secs(1));
        report.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut drain: Option<Drain> = None;
        let mut wave = interval(WAVE);
        wave.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut shutdown = std::pin::pin!(shutdown);
        let first = work.borrow_and_update().clone();
        hall.publish(first);

        loop {
            rounds.ring(&hall.tower, self.round);
            if let Some(drain) = &drain
                && (tasks.is_empty() || drain.cut_at <= Instant::now())
            {
                break;
            }
            tokio::select! {
                biased;
                () = &mut shutdown, if drain.is_none() => {
                    acceptor.close();
                    info!(pool = hall.shared.meter.pool(), connections = tasks.len(), "draining");
                    drain = Some(self.start_drain(&tasks));
                }
                changed = work.changed(), if work_flows => {
                    work_flows = changed.is_ok();
                    let job = if work_flows { work.borrow_and_update().clone() } else { None };
                    hall.publish(job);
                    rounds.start(&hall.tower);
                }
                _ = report.tick() => hall.report(),
                _ = wave.tick(), if drain.is_some() => {
                    if let Some(drain) = &mut drain {
                        drain.wave(&hall.tower);
                    }
                }
                Some(ended) = tasks.join_next() => {
                    if let Err(failure) = ended {
                        error!(pool = hall.shared.meter.pool(), %failure, "a connection's task failed");
                    } else if let Some(drain) = &mut drain {
                        drain.result.closed += 1;
                    }
                }
                (stream, address, at) = acceptor.accept(hall), if drain.is_none() => {
                    self.admit(&mut tasks, &acceptor.listeners[at], stream, address);
                }
                () = tokio::task::yield_now(), if rounds.left > 0 => {}
            }
        }
        let mut result = drain.map(|drain| drain.result).unwrap_or_default();
        result.cut = tasks.len();
        tasks.shutdown().await;
        hall.report();
        info!(pool = hall.shared.meter.pool(), closed = result.closed, cut = result.cut, "drained");
        result
    }

    fn start_drain(&self, tasks: &JoinSet<()>) -> Drain {
        let sessions = &self.hall.shared.sessions;
        let write_max = Duration::from_millis(sessions.limits().write_ms_max);
        // The last wave, the time a session gives its miner, then a write that may take its time.
        let own_time = sessions.drain_max.to_duration() + write_max + 2 * FAREWELL;
        let waves = self.drain.as_millis() / WAVE.as_millis() + 1;
        let seats = self.hall.tower.len().max(tasks.len());
        Drain {
            next: 0,
            per_wave: seats.div_ceil(usize::try_from(waves).unwrap_or(usize::MAX)).max(1),
            cut_at: Instant::now() + self.drain + own_time,
            result: Drained::default(),
        }
    }

    /// Lets a connection in, or tells it why not.
    fn admit(&self, tasks: &mut JoinSet<()>, listener: &Listener, stream: TcpStream, peer: SocketAddr) {
        let hall = &self.hall;
        let from_proxy = listener.proxy != ProxyRule::Refused
            && hall.trusted.iter().any(|range| range.contains(peer.ip()));
        let entered = {
            let mut door = hall.door();
            if from_proxy { door.reserve() } else { door.enter(hall.shared.clock.now(), peer.ip()) }
        };
        let guest = match entered {
            Ok(place) => Guest { door: Arc::clone(&hall.door), place: Some(place) },
            Err(refusal) => {
                debug!(%peer, %refusal, "refused");
                hall.shared.meter.refused(refusal);
                // Before a PROXY header or a TLS handshake nothing can be said.
                if listener.tls.is_none() && !from_proxy {
                    hall.tell(tasks, stream, &refusal);
                }
                return;
            }
        };
        let hall = Arc::clone(hall);
        if listener.tls.is_none() && !from_proxy {
            let caller = Caller { address: peer, tls: false };
            tasks.spawn(attend(hall, Arrival { transport: Transport::Plain(stream), guest, caller }));
        } else {
            let tls = listener.tls.clone().map(TlsAcceptor::from);
            let header = from_proxy.then_some(listener.proxy);
            // Boxed, and gone when the connection is up: a handshake is ten times the size of a connection.
            let prologue = Box::pin(prologue(Arc::clone(&hall), stream, peer, guest, header, tls));
            tasks.spawn(async move {
                if let Some(arrival) = prologue.await {
                    attend(hall, arrival).await;
                }
            });
        }
    }
}

/// A connection that may speak stratum now.
struct Arrival {
    transport: Transport,
    guest: Guest,
    caller: Caller,
}

/// A place at the door that gives itself back.
#[derive(Debug)]
struct Guest {
    door: Arc<Mutex<Door>>,
    place: Option<Place>,
}

impl Guest {
    /// Keeps new connections of this guest's host out for a while.
    fn ban(&self, now: Moment, offence: Offence) -> bool {
        self.place.as_ref().is_some_and(|place| lock(&self.door).ban(now, place, offence))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            lock(&self.door).leave(place);
        }
    }
}

fn lock(door: &Mutex<Door>) -> MutexGuard<'_, Door> {
    // The door's methods do not panic between two changes that belong together.
    door.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<D: Dialect, A> Hall<D, A> {
    fn door(&self) -> MutexGuard<'_, Door> {
        lock(&self.door)
    }

    /// Makes `job` the one to work on; `None` stops the work.
    fn publish(&self, job: Option<Arc<D::Job>>) {
        let jobs = self.shared.sessions.jobs();
        match job {
            None => jobs.suspend(),
            Some(job) => {
                if let Err(disorder) = jobs.publish(self.shared.clock.now(), job) {
                    error!(pool = self.shared.meter.pool(), %disorder, "a job was not published");
                }
            }
        }
    }

    fn report(&self) {
        let (open, banned) = {
            let door = self.door();
            (door.open(), door.banned(self.shared.clock.now()))
        };
        self.shared.meter.report(open, banned, self.shared.sessions.tally());
    }

    /// A refusal in the dialect's words, for a peer of which nothing is known.
    fn refusal_line(&self, refusal: &Refusal) -> Vec<u8> {
        let dialect = self.shared.sessions.dialect();
        let extranonce = Extranonce::new(0, 1).expect("one byte holds zero");
        let peer = Peer { profile: dialect.hail(b""), extranonce };
        let reject = match refusal {
            Refusal::Banned { .. } => Reject::Unauthorized,
            Refusal::Full | Refusal::HostFull | Refusal::TooOften { .. } => Reject::Busy,
        };
        let mut line = Vec::new();
        let why = refusal.to_string();
        dialect.render(&peer, Message::Refused { id: &RequestId::Null, reject, why: Some(&why) }, &mut line);
        line
    }

    /// Tells a connection that is not let in why, and closes it.
    fn tell(&self, tasks: &mut JoinSet<()>, stream: TcpStream, refusal: &Refusal) {
        if let Ok(permit) = Arc::clone(&self.farewells).try_acquire_owned() {
            let line = self.refusal_line(refusal);
            tasks.spawn(async move {
                turn_away(Transport::Plain(stream), line).await;
                drop(permit);
            });
        }
    }
}

/// What comes before stratum: a PROXY header, a TLS handshake. `None` when it does not come to stratum.
async fn prologue<D: Dialect, A: Application<D>>(
    hall: Arc<Hall<D, A>>,
    mut stream: TcpStream,
    peer: SocketAddr,
    mut guest: Guest,
    header: Option<ProxyRule>,
    tls: Option<TlsAcceptor>,
) -> Option<Arrival> {
    let meter = &hall.shared.meter;
    let mut address = peer;
    if let Some(rule) = header {
        let source = match timeout(hall.proxy_max, read_header(&mut stream)).await {
            Ok(Ok(Some(source))) => source,
            Ok(Ok(None)) if rule == ProxyRule::Accepted => Source::Itself,
            Ok(_) | Err(_) => {
                debug!(%peer, "no PROXY header from a trusted source");
                meter.refused_for("proxy_header");
                return None;
            }
        };
        if let Source::Client(client) = source {
            address = client;
        }
        let place = guest.place.take()?;
        let settled = hall.door().settle(hall.shared.clock.now(), place, address.ip());
        match settled {
            Ok(place) => guest.place = Some(place),
            Err(refusal) => {
                debug!(%peer, %address, %refusal, "refused");
                meter.refused(refusal);
                if tls.is_none()
                    && let Ok(_permit) = hall.farewells.try_acquire()
                {
                    turn_away(Transport::Plain(stream), hall.refusal_line(&refusal)).await;
                }
                return None;
            }
        }
    }
    let transport = match tls {
        None => Transport::Plain(stream),
        Some(acceptor) => match timeout(hall.handshake_max, acceptor.accept(stream)).await {
            Ok(Ok(mut stream)) => {
                stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_BYTES));
                Transport::Tls(Box::new(stream))
            }
            Ok(Err(failure)) => {
                debug!(%peer, %failure, "TLS handshake failed");
                meter.refused_for("handshake");
                return None;
            }
            Err(_elapsed) => {
                debug!(%peer, "TLS handshake took too long");
                meter.refused_for("handshake_timeout");
                return None;
            }
        },
    };
    let caller = Caller { address, tls: transport.is_tls() };
    Some(Arrival { transport, guest, caller })
}

/// Reads a PROXY header and nothing behind it. `None` when the first bytes are none.
async fn read_header(stream: &mut TcpStream) -> io::Result<Option<Source>> {
    let mut bytes = [0; proxy::HEADER_BYTES_MAX];
    let mut seen = 0;
    loop {
        // Looked at, not taken: what follows the header, or what is none, is for somebody else to read.
        let len = stream.peek(&mut bytes).await?;
        match proxy::parse(&bytes[..len]) {
            Ok(Parsed::Header { len, source }) => {
                stream.read_exact(&mut bytes[..len]).await?;
                return Ok(Some(source));
            }
            Err(proxy::BadHeader::Absent) => return Ok(None),
            Err(bad) => return Err(io::Error::new(io::ErrorKind::InvalidData, bad)),
            Ok(Parsed::NeedMore) if len == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(Parsed::NeedMore) => {
                // Peeking does not wait for more than there is; only a trusted source gets us here.
                if len == seen {
                    sleep(HEADER_LOOK).await;
                }
                seen = len;
            }
        }
    }
}

/// One connection from its first stratum byte to its end.
async fn attend<D: Dialect, A: Application<D>>(hall: Arc<Hall<D, A>>, arrival: Arrival) {
    let Arrival { transport, guest, caller } = arrival;
    let meter = &hall.shared.meter;
    meter.entered(caller.tls);
    let lease = match hall.space.take(hall.shared.clock.now()) {
        Ok(lease) => lease,
        Err(exhausted) => {
            // Counted rather than warned of: it would be one line per miner that tries again.
            debug!(peer = %caller.address, %exhausted, "refused");
            meter.refused_for("extranonce");
            Box::pin(turn_away(transport, hall.refusal_line(&Refusal::Full))).await;
            return;
        }
    };
    debug!(peer = %caller.address, tls = caller.tls, "connected");
    let seat = hall.tower.seat();
    let mut connection = Connection::new(Arc::clone(&hall.shared), transport, seat, lease, caller);
    let ending = poll_fn(|cx| connection.poll(cx)).await;
    debug!(peer = %caller.address, ending = ending.label(), "closed");
    meter.closed(ending.label());
    if let Some(offence) = offence(ending)
        && guest.ban(hall.shared.clock.now(), offence)
    {
        meter.banned(offence.label());
    }
    let (transport, under_way) = connection.into_parts();
    if ending.is_polite() {
        // Boxed, because it is short and the connection is long.
        Box::pin(farewell(transport)).await;
    } else {
        drop(transport);
    }
    drop(guest);
    // Nobody hears the outcome any more; it is recorded all the same.
    if let Some(mut under_way) = under_way {
        while under_way.next().await.is_some() {}
    }
}

const fn offence(ending: Ending) -> Option<Offence> {
    match ending {
        Ending::Session(close) if close.is_hostile() => Some(Offence::Garbage),
        Ending::LongLine => Some(Offence::Garbage),
        Ending::ForeignProxy => Some(Offence::ForeignProxy),
        Ending::Session(_)
        | Ending::HungUp
        | Ending::Broken
        | Ending::SlowReader
        | Ending::SlowWriter
        | Ending::Overfull => None,
    }
}

/// Says goodbye to a connection that is not let in, and why.
async fn turn_away(transport: Transport, line: Vec<u8>) {
    last_words(transport, &line).await;
}

/// Says goodbye to a connection to which everything has been said.
async fn farewell(transport: Transport) {
    last_words(transport, &[]).await;
}

/// Sends `line` as far as it goes, closes our half, and waits a moment for the peer's, so that what was said last is
/// read and not reset.
async fn last_words(mut transport: Transport, line: &[u8]) {
    let goodbye = async {
        if !line.is_empty() {
            // A fresh socket has room for one line; to one that has not, it is not said.
            poll_fn(|cx| transport.poll_write(cx, &[io::IoSlice::new(line)])).await?;
        }
        poll_fn(|cx| transport.poll_shutdown(cx)).await?;
        poll_fn(|cx| transport.poll_discard(cx)).await;
        io::Result::Ok(())
    };
    // In time or not, the socket is closed now.
    let _ = timeout(FAREWELL, goodbye).await;
}

/// A broadcast under way.
#[derive(Debug, Default)]
struct Rounds {
    /// The next seat to ring.
    next: usize,
    /// Seats left to ring.
    left: usize,
}

impl Rounds {
    /// Everybody is to be rung, from where the last broadcast was: who was last is not last again.
    fn start(&mut self, tower: &Tower) {
        self.left = tower.len();
    }

    /// Rings one round.
    fn ring(&mut self, tower: &Tower, round: usize) {
        let len = tower.len();
        if self.left == 0 || len == 0 {
            self.left = 0;
            return;
        }
        let start = if self.next >= len { 0 } else { self.next };
        let count = round.min(self.left).min(len - start);
        tower.ring(Signals::WORK, start, count);
        self.next = start + count;
        self.left -= count;
    }
}

/// A drain under way.
#[derive(Debug)]
struct Drain {
    next: usize,
    per_wave: usize,
    /// When patience ends.
    cut_at: Instant,
    result: Drained,
}

impl Drain {
    fn wave(&mut self, tower: &Tower) {
        tower.ring(Signals::DRAIN, self.next, self.per_wave);
        self.next = self.next.saturating_add(self.per_wave);
        if self.next >= tower.len() {
            // A handshake that ended meanwhile took a seat that was rung before.
            self.next = 0;
        }
    }
}

/// Accepts on all listeners in turn.
#[derive(Debug)]
struct Acceptor {
    listeners: Vec<Listener>,
    next: usize,
    /// A descriptor in reserve, to be able to close what cannot be accepted.
    spare: Option<File>,
    pause: Option<Pin<Box<Sleep>>>,
    warned: Option<Moment>,
}

impl Acceptor {
    fn new(listeners: Vec<Listener>) -> Self {
        Self { listeners, next: 0, spare: spare(), pause: None, warned: None }
    }

    fn close(&mut self) {
        self.listeners.clear();
    }

    /// The next connection, and the listener it came to.
    async fn accept<D: Dialect, A>(&mut self, hall: &Hall<D, A>) -> (TcpStream, SocketAddr, usize) {
        poll_fn(|cx| self.poll_accept(cx, hall)).await
    }

    fn poll_accept<D: Dialect, A>(
        &mut self,
        cx: &mut Context<'_>,
        hall: &Hall<D, A>,
    ) -> Poll<(TcpStream, SocketAddr, usize)> {
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
        }
        for turn in 0..self.listeners.len() {
            let at = (self.next + turn) % self.listeners.len();
            match self.listeners[at].socket.poll_accept(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok((stream, address))) => {
                    self.next = at + 1;
                    if let Err(failure) = listener::prepare(&stream) {
                        // A peer that is gone already; its end will be noticed by the reader.
                        debug!(peer = %address, %failure, "socket options");
                    }
                    return Poll::Ready((stream, address, at));
                }
                Poll::Ready(Err(failure)) => {
                    hall.shared.meter.accept_errors.increment(1);
                    if is_peers(&failure) {
                        // The next one may be good; look again at once, after others had their turn.
                        cx.waker().wake_by_ref();
                        continue;
                    }
                    self.give_way(cx, at, &failure, hall);
                    return Poll::Pending;
                }
            }
        }
        Poll::Pending
    }

    /// Descriptors or memory are out: closes one that waits, if that is possible, and pauses.
    fn give_way<D: Dialect, A>(
        &mut self,
        cx: &mut Context<'_>,
        at: usize,
        failure: &io::Error,
        hall: &Hall<D, A>,
    ) {
        let now = hall.shared.clock.now();
        if self.warned.is_none_or(|before| now.since(before) >= WARN_EVERY) {
            self.warned = Some(now);
            warn!(pool = hall.shared.meter.pool(), %failure, "cannot accept connections, pausing");
        }
        drop(self.spare.take());
        drop(self.listeners[at].socket.poll_accept(cx));
        self.spare = spare();
        let mut pause = Box::pin(sleep(ACCEPT_PAUSE));
        if pause.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        self.pause = Some(pause);
    }
}

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

/// True for errors of one connection; others are ours.
fn is_peers(failure: &io::Error) -> bool {
    matches!(
        failure.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
    )
}

/// The limit that leaves descriptors for everything that is no miner.
fn connections_max(limits: &Limits, descriptors: Option<usize>) -> usize {
    let affordable = descriptors.map_or(usize::MAX, |most| most / 10 * 9);
    if affordable < limits.connections_max {
        warn!(
            configured = limits.connections_max,
            affordable, "the process may not open descriptors for so many connections"
        );
    }
    limits.connections_max.min(affordable)
}

/// How many descriptors this process may have open, where the system says so in a file.
fn descriptors_max() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::kaspa::Kaspa;
    use crate::session::{Login, Outcome, Submission};
    use pool_core::id::Worker;
    use pool_core::units::Work;

    #[test]
    fn a_broadcast_reaches_everyone_once_and_starts_where_the_last_one_ended() {
        let tower = Arc::new(Tower::default());
        let _seats: Vec<_> = (0..10).map(|_| tower.seat()).collect();
        let mut rounds = Rounds::default();
        let mut order = Vec::new();
        for _ in 0..2 {
            rounds.start(&tower);
            while rounds.left > 0 {
                let before = rounds.left;
                rounds.ring(&tower, 4);
                order.push((rounds.next, before - rounds.left));
            }
        }
        assert_eq!(order, [(4, 4), (8, 4), (10, 2), (4, 4), (8, 4), (10, 2)]);
        // A job in the middle of a broadcast: again everybody, from here.
        rounds.start(&tower);
        rounds.ring(&tower, 4);
        rounds.start(&tower);
        assert_eq!(rounds.left, 10);
        for _ in 0..3 {
            rounds.ring(&tower, 4);
        }
        assert_eq!((rounds.next, rounds.left), (4, 0));
    }

    #[derive(Debug)]
    struct Nobody;

    #[async_trait::async_trait]
    impl Application<Kaspa> for Nobody {
        async fn login(&self, _user: &str, _password: &str, _caller: Caller) -> Result<Login, String> {
            Err("nobody is here".to_owned())
        }

        async fn submit(&self, _submission: Submission<Kaspa>) -> Outcome {
            Outcome::Rejected(Reject::Busy)
        }

        async fn remember(&self, _worker: Worker, _work: Work) {}
    }

    #[test]
    fn a_connections_task_embeds_no_buffer() {
        const fn future_size<A, B, F: Future>(_: fn(A, B) -> F) -> usize {
            size_of::<F>()
        }
        let task = future_size(attend::<Kaspa, Nobody>);
        let connection = size_of::<Connection<Kaspa, Nobody>>();
        assert!(connection <= 1_536, "{connection}");
        assert!(task <= 2 * connection + 512, "{task}");
    }

    #[test]
    fn the_connection_limit_leaves_a_tenth_of_the_descriptors() {
        let limits = Limits { connections_max: 18_000, ..Limits::default() };
        assert_eq!(connections_max(&limits, Some(20_000)), 18_000);
        assert_eq!(connections_max(&limits, Some(1_024)), 918);
        assert_eq!(connections_max(&limits, None), 18_000);
    }
}
