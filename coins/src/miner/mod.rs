//! A CPU miner that speaks stratum, for every coin: the smallest honest peer of a pool.
//!
//! It exists for demonstrations, for end-to-end tests and to try a new pool with; nobody earns with it. It hashes on
//! its own threads, reconnects for ever, and reports each answer so that a test can hold the pool to its word.
//!
//! The part that is the same for all coins is here, and a coin brings two things:
//!
//! * a [`Search`]: one job as the pool gave it, with all that is needed to try candidates. A candidate is a number
//!   from 0 to [`Search::size`]; what it means (a nonce, a nonce behind the pool's prefix) is the task's affair.
//!   [`mine`] deals out ranges of candidates to its threads, each candidate at most once per task, and goes on where
//!   it was when the next task comes. A search is pure: no clock, no socket, no memory between calls. What is dear to
//!   prepare (a matrix, a cache of megabytes) belongs behind a `OnceLock` in the task, so that a search thread builds it
//!   and not the one that reads the socket;
//! * a [`Tongue`]: the grammar of one connection. It is made anew for every connection and remembers what it was told
//!   on it (extranonce, difficulty, session id). It never sees the socket: JSON in, lines and [`Heard`] out, so a
//!   transcript tests it. A coin whose pools speak several grammars writes one tongue for each over the same task type
//!   and hands out `Box<dyn Tongue<Task = …>>`; which one it is decides the closure that makes them, from
//!   [`MinerConfig::agent`] or from an argument of the coin's own `mine`.
//!
//! The course of a connection: connect; send what [`Tongue::hello`] says; give every line to [`Tongue::hear`] and do
//! what it heard; for each solution take the next id, note what it stands for, send [`Tongue::submit`]; match answers
//! to their ids. An error of the tongue, a line that is no JSON, a line without end or a long silence end the
//! connection; another try follows after a pause that doubles while no login succeeds. A solution that was found for
//! a connection that is gone is dropped.
//!
//! [`mine`] spawns `threads` search threads and ends them before it returns, or soon after it is dropped. Nothing else
//! runs in the background.

mod board;
mod lines;

use board::{Board, Finding};
use lines::Lines;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Where to mine, for whom and how hard.
#[derive(Clone, Debug)]
pub struct MinerConfig {
    /// `host:port` of a pool's plain stratum port.
    pub pool: String,
    /// What is sent as the user: `address.worker`.
    pub user: String,
    /// What is sent as the password; `d=8` asks for a fixed difficulty.
    pub password: String,
    /// What the miner calls itself; decides the dialect a pool speaks.
    pub agent: String,
    /// Search threads.
    pub threads: usize,
    /// Hashes per second and thread to stay below; `None`: as fast as it goes.
    pub hashes_per_second_max: Option<u64>,
}

/// Counters that may be read at any time.
#[derive(Debug, Default)]
pub struct MinerCounters {
    /// Hashes computed.
    pub hashes: AtomicU64,
    /// Jobs received.
    pub jobs: AtomicU64,
    /// Shares the pool accepted.
    pub accepted: AtomicU64,
    /// Shares the pool refused.
    pub refused: AtomicU64,
}

/// What happened, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MinerEvent {
    /// Connected, subscribed and authorized.
    Connected,
    /// The connection ended, or could not be made; another try follows.
    Disconnected {
        /// Why.
        reason: String,
    },
    /// The pool answered a submit.
    Answered {
        /// What was submitted.
        solution: Found,
        /// `None` for accepted, else the pool's words.
        refusal: Option<String>,
    },
}

/// A solution as it was submitted, for a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The pool's name for the job.
    pub job: String,
    /// From what the coin can hash the share again, by the coin's own names: header, nonce and the like.
    pub fields: Map<String, Value>,
}

/// One job, ready to be searched.
pub trait Search: Send + Sync + 'static {
    /// What a search finds.
    type Solution: Send + 'static;

    /// How many candidates there are, at least 1. Default: 2^64−1.
    fn size(&self) -> u64 {
        u64::MAX
    }

    /// How many candidates a thread tries between two looks at the pool's news: some ten milliseconds' worth.
    /// Default: 512.
    fn burst(&self) -> u64 {
        512
    }

    /// Tries the candidates `start..start + count`, never beyond [`Search::size`], and returns what solves the job.
    /// Called from several threads at once.
    fn search(&self, start: u64, count: u64) -> Vec<Self::Solution>;
}

/// What a [`Tongue`] finds of a line's content worth telling.
#[derive(Debug)]
pub enum Heard<T> {
    /// A new job: all threads turn to it.
    Task(Arc<T>),
    /// The same job on other terms (difficulty): the search goes on where it was.
    Change(Arc<T>),
    /// There is nothing to do until the next task.
    Stop,
    /// The pool took the user in.
    LoggedIn,
    /// The answer to the submit with this id. Ids of no submit are ignored.
    Answer {
        /// The id that [`Tongue::submit`] was given.
        id: u64,
        /// `None` for accepted, else the pool's words.
        refusal: Option<String>,
    },
    /// A line to be sent now, without its line feed.
    Say(String),
}

/// The grammar of one connection.
pub trait Tongue: Send {
    /// The jobs it makes of what it hears.
    type Task: Search;

    /// The lines that open a connection, without line feeds. Ids below [`FIRST_SUBMIT`] are the tongue's own.
    fn hello(&mut self, config: &MinerConfig) -> Vec<String>;

    /// Takes in one line.
    ///
    /// # Errors
    /// What the pool did wrong, or why it does not want us: the connection ends with these words.
    fn hear(&mut self, line: &Value) -> Result<Vec<Heard<Self::Task>>, String>;

    /// The line that submits a solution, without its line feed. `id` is between [`FIRST_SUBMIT`] and [`LAST_SUBMIT`].
    fn submit(&mut self, id: u64, task: &Self::Task, solution: &SolutionOf<Self>) -> String;

    /// The solution for a journal.
    fn journal(&self, task: &Self::Task, solution: &SolutionOf<Self>) -> Found;

    /// How often [`Tongue::beat`] is called, where a pool wants signs of life or must be asked for work.
    fn pulse(&self) -> Option<Duration> {
        None
    }

    /// The lines of one beat, without line feeds.
    fn beat(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// What the searches of a tongue find.
pub type SolutionOf<T> = <<T as Tongue>::Task as Search>::Solution;

impl<T: Tongue + ?Sized> Tongue for Box<T> {
    type Task = T::Task;

    fn hello(&mut self, config: &MinerConfig) -> Vec<String> {
        (**self).hello(config)
    }

    fn hear(&mut self, line: &Value) -> Result<Vec<Heard<Self::Task>>, String> {
        (**self).hear(line)
    }

    fn submit(&mut self, id: u64, task: &Self::Task, solution: &SolutionOf<Self>) -> String {
        (**self).submit(id, task, solution)
    }

    fn journal(&self, task: &Self::Task, solution: &SolutionOf<Self>) -> Found {
        (**self).journal(task, solution)
    }

    fn pulse(&self) -> Option<Duration> {
        (**self).pulse()
    }

    fn beat(&mut self) -> Vec<String> {
        (**self).beat()
    }
}

/// The id of the first submit on a connection.
pub const FIRST_SUBMIT: u64 = 10;
/// After the submit with this id comes [`FIRST_SUBMIT`] again: some grammars know no larger ids.
pub const LAST_SUBMIT: u64 = 65_535;

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A pool that says nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(600);
/// The pause before the second try, and the longest one.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Mines until `stop` resolves. `tongue` makes the grammar of each new connection. Reports to `events`; a full or
/// closed channel loses reports, never shares.
pub async fn mine<T: Tongue>(
    config: MinerConfig,
    mut tongue: impl FnMut(&MinerConfig) -> T,
    counters: Arc<MinerCounters>,
    events: mpsc::Sender<MinerEvent>,
    stop: impl Future<Output = ()>,
) {
    let board = Arc::new(Board::default());
    // Threads also end when this future is dropped in the middle.
    let ending = board.end_on_drop();
    let (found, mut findings) = mpsc::channel(64);
    let threads: Vec<_> = (0..config.threads.max(1))
        .map(|_| {
            let (board, counters, found) = (board.clone(), counters.clone(), found.clone());
            let limit = config.hashes_per_second_max;
            std::thread::spawn(move || board.work(&counters.hashes, &found, limit))
        })
        .collect();
    drop(found);
    tokio::pin!(stop);
    let (mut patience, mut number) = (PATIENCE.0, 0);
    loop {
        number += 1;
        let logged_in = AtomicBool::new(false);
        let session = Session {
            number,
            config: &config,
            board: &board,
            counters: &counters,
            events: &events,
            logged_in: &logged_in,
            tongue: tongue(&config),
            waiting: HashMap::new(),
            next_id: FIRST_SUBMIT,
        };
        let reason = tokio::select! {
            () = &mut stop => break,
            reason = session.run(&mut findings) => reason,
        };
        board.stop();
        let _ = events.try_send(MinerEvent::Disconnected { reason });
        if logged_in.load(Ordering::Relaxed) {
            patience = PATIENCE.0;
        }
        tokio::select! {
            () = &mut stop => break,
            () = tokio::time::sleep(patience) => patience = (patience * 2).min(PATIENCE.1),
        }
    }
    drop(ending);
    findings.close();
    for thread in threads {
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

/// One connection.
struct Session<'a, T: Tongue> {
    number: u64,
    config: &'a MinerConfig,
    board: &'a Board<T::Task>,
    counters: &'a MinerCounters,
    events: &'a mpsc::Sender<MinerEvent>,
    logged_in: &'a AtomicBool,
    tongue: T,
    waiting: HashMap<u64, Found>,
    next_id: u64,
}

impl<T: Tongue> Session<'_, T> {
    /// From connect to its end; the text says why it ended.
    async fn run(mut self, findings: &mut mpsc::Receiver<Finding<T::Task>>) -> String {
        match self.converse(findings).await {
            Ok(never) => match never {},
            Err(reason) => reason,
        }
    }

    async fn converse(
        &mut self,
        findings: &mut mpsc::Receiver<Finding<T::Task>>,
    ) -> Result<std::convert::Infallible, String> {
        let stream = match tokio::time::timeout(CONNECT_MAX, TcpStream::connect(&self.config.pool)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(format!("cannot connect: {error}")),
            Err(_) => return Err("cannot connect: no answer".to_owned()),
        };
        let _ = stream.set_nodelay(true);
        let (read, mut write) = stream.into_split();
        let mut lines = Lines::new(read);
        let mut say: Vec<String> = self.tongue.hello(self.config);
        let mut silent_until = Instant::now() + SILENCE_MAX;
        let mut next_beat = self.tongue.pulse().map(|pulse| Instant::now() + pulse);
        loop {
            for line in say.drain(..) {
                let line = format!("{line}\n");
                write.write_all(line.as_bytes()).await.map_err(|error| format!("cannot write: {error}"))?;
            }
            tokio::select! {
                line = lines.next() => {
                    self.take_in(&line?, &mut say)?;
                    silent_until = Instant::now() + SILENCE_MAX;
                }
                finding = findings.recv() => {
                    say.extend(self.submit(finding.ok_or("the search has ended")?));
                }
                () = at(next_beat) => {
                    say.extend(self.tongue.beat());
                    next_beat = self.tongue.pulse().map(|pulse| Instant::now() + pulse);
                }
                () = tokio::time::sleep_until(silent_until) => {
                    return Err("the pool has fallen silent".to_owned());
                }
            }
        }
    }

    fn take_in(&mut self, line: &[u8], say: &mut Vec<String>) -> Result<(), String> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let value = serde_json::from_slice(line).map_err(|_| {
            let beginning: String = String::from_utf8_lossy(line).chars().take(120).collect();
            format!("the pool sent no JSON: {beginning}")
        })?;
        for heard in self.tongue.hear(&value)? {
            match heard {
                Heard::Task(task) => {
                    self.counters.jobs.fetch_add(1, Ordering::Relaxed);
                    self.board.turn_to(task, self.number);
                }
                Heard::Change(task) => self.board.go_on_with(task, self.number),
                Heard::Stop => self.board.stop(),
                Heard::LoggedIn => {
                    self.logged_in.store(true, Ordering::Relaxed);
                    let _ = self.events.try_send(MinerEvent::Connected);
                }
                Heard::Answer { id, refusal } => {
                    let Some(solution) = self.waiting.remove(&id) else { continue };
                    let counter =
                        if refusal.is_none() { &self.counters.accepted } else { &self.counters.refused };
                    counter.fetch_add(1, Ordering::Relaxed);
                    let _ = self.events.try_send(MinerEvent::Answered { solution, refusal });
                }
                Heard::Say(line) => say.push(line),
            }
        }
        Ok(())
    }

    /// The line of a submit; none for what was found for an earlier connection.
    fn submit(&mut self, finding: Finding<T::Task>) -> Option<String> {
        if finding.connection != self.number {
            return None;
        }
        let id = self.next_id;
        self.next_id = if id == LAST_SUBMIT { FIRST_SUBMIT } else { id + 1 };
        self.waiting.insert(id, self.tongue.journal(&finding.task, &finding.solution));
        Some(self.tongue.submit(id, &finding.task, &finding.solution))
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
