//! A CPU miner that speaks stratum: the smallest honest peer of a pool.
//!
//! It exists for demonstrations, for end-to-end tests and to try a new pool with; nobody earns with it. It hashes
//! real kHeavyHash on its own threads, takes every form in which a Kaspa pool hands out jobs, extranonces and
//! difficulties, reconnects for ever, and reports each answer so that a test can hold the pool to its word.
//!
//! [`mine`] spawns `threads` search threads and ends them before it returns. Nothing else runs in the background.

use crate::hash::kheavyhash::{Matrix, pow};
use pool_core::units::{Target, Work};
use pool_stratum::dialect::kaspa::difficulty;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

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

/// A solution as it was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The pool's name for the job.
    pub job: String,
    /// Pre-PoW hash of the job.
    pub pre_pow: [u8; 32],
    /// Timestamp of the job, Unix milliseconds.
    pub timestamp: u64,
    /// The whole nonce.
    pub nonce: u64,
}

#[derive(Debug)]
struct Task {
    job: String,
    pre_pow: [u8; 32],
    timestamp: u64,
    matrix: Arc<Matrix>,
    target: Target,
    prefix: Prefix,
}

/// The high-order part of the nonce that the pool chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Prefix {
    value: u64,
    bits: u32,
}

impl Prefix {
    fn parse(text: &str) -> Option<Self> {
        let digits = u32::try_from(text.len()).ok().filter(|digits| *digits <= 14)?;
        let value = if digits == 0 { 0 } else { u64::from_str_radix(text, 16).ok()? };
        Some(Self { value, bits: digits * 4 })
    }

    const fn nonce(self, counter: u64) -> u64 {
        if self.bits == 0 {
            counter
        } else {
            self.value << (64 - self.bits) | counter & (u64::MAX >> self.bits)
        }
    }
}

/// What all search threads look at.
#[derive(Debug, Default)]
struct Board {
    generation: AtomicU64,
    task: Mutex<Option<Arc<Task>>>,
    stop: AtomicBool,
}

impl Board {
    fn put(&self, task: Option<Arc<Task>>) {
        *self.task.lock().expect("a search thread does not panic with the board") = task;
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn take(&self) -> Option<Arc<Task>> {
        self.task.lock().expect("a search thread does not panic with the board").clone()
    }
}

/// Mines until `stop` resolves. Reports to `events`; a full or closed channel loses reports, never shares.
pub async fn mine(
    config: MinerConfig,
    counters: Arc<MinerCounters>,
    events: mpsc::Sender<MinerEvent>,
    stop: impl Future<Output = ()>,
) {
    let board = Arc::new(Board::default());
    let (found, mut solutions) = mpsc::channel(64);
    let threads: Vec<_> = (0..config.threads.max(1))
        .map(|index| {
            let (board, counters, found) = (board.clone(), counters.clone(), found.clone());
            let step = config.threads.max(1) as u64;
            let limit = config.hashes_per_second_max;
            std::thread::spawn(move || search(&board, &counters, &found, index as u64, step, limit))
        })
        .collect();
    drop(found);
    tokio::pin!(stop);
    let mut patience = Duration::from_millis(200);
    loop {
        let connected = AtomicBool::new(false);
        let session = connect(&config, &board, &counters, &events, &mut solutions, &connected);
        let reason = tokio::select! {
            () = &mut stop => break,
            reason = session => reason,
        };
        board.put(None);
        let _ = events.try_send(MinerEvent::Disconnected { reason });
        if connected.load(Ordering::Relaxed) {
            patience = Duration::from_millis(200);
        }
        tokio::select! {
            () = &mut stop => break,
            () = tokio::time::sleep(patience) => patience = (patience * 2).min(Duration::from_secs(10)),
        }
    }
    board.stop.store(true, Ordering::Release);
    solutions.close();
    for thread in threads {
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

/// Counters each thread walks through: `index, index + step, …` within the part of the nonce that is its own.
fn search(
    board: &Board,
    counters: &MinerCounters,
    found: &mpsc::Sender<Found>,
    index: u64,
    step: u64,
    hashes_per_second_max: Option<u64>,
) {
    const BURST: u64 = 512;
    let (mut counter, mut seen, mut task) = (index, u64::MAX, None::<Arc<Task>>);
    while !board.stop.load(Ordering::Acquire) {
        let generation = board.generation.load(Ordering::Acquire);
        if generation != seen {
            (seen, task) = (generation, board.take());
        }
        let Some(task) = &task else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        for _ in 0..BURST {
            let nonce = task.prefix.nonce(counter);
            counter = counter.wrapping_add(step);
            if pow(&task.matrix, &task.pre_pow, task.timestamp, nonce) <= task.target.get() {
                let solution =
                    Found { job: task.job.clone(), pre_pow: task.pre_pow, timestamp: task.timestamp, nonce };
                if found.blocking_send(solution).is_err() {
                    return;
                }
            }
        }
        counters.hashes.fetch_add(BURST, Ordering::Relaxed);
        if let Some(limit) = hashes_per_second_max {
            std::thread::sleep(Duration::from_nanos(BURST * 1_000_000_000 / limit.max(1)));
        }
    }
}

/// A line from the pool: an answer when it has an id we know, else a notification.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    params: Value,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    error: Value,
}

/// What a connection has been told so far.
struct Told {
    prefix: Prefix,
    target: Target,
    work: Option<(String, [u8; 32], u64)>,
    matrix: Option<([u8; 32], Arc<Matrix>)>,
}

impl Told {
    fn task(&mut self) -> Option<Arc<Task>> {
        let (job, pre_pow, timestamp) = self.work.clone()?;
        let matrix = match &self.matrix {
            Some((of, matrix)) if *of == pre_pow => matrix.clone(),
            _ => {
                let matrix = Arc::new(Matrix::new(&pre_pow));
                self.matrix = Some((pre_pow, matrix.clone()));
                matrix
            }
        };
        Some(Arc::new(Task { job, pre_pow, timestamp, matrix, target: self.target, prefix: self.prefix }))
    }
}

const SUBSCRIBE: u64 = 1;
const AUTHORIZE: u64 = 2;
const FIRST_SUBMIT: u64 = 10;

/// One connection from connect to its end; the text says why it ended.
async fn connect(
    config: &MinerConfig,
    board: &Board,
    counters: &MinerCounters,
    events: &mpsc::Sender<MinerEvent>,
    solutions: &mut mpsc::Receiver<Found>,
    connected: &AtomicBool,
) -> String {
    let stream = match TcpStream::connect(&config.pool).await {
        Ok(stream) => stream,
        Err(error) => return format!("cannot connect: {error}"),
    };
    let _ = stream.set_nodelay(true);
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let hello = format!(
        "{}\n{}\n",
        serde_json::json!({"id": SUBSCRIBE, "method": "mining.subscribe", "params": [config.agent, "EthereumStratum/1.0.0"]}),
        serde_json::json!({"id": AUTHORIZE, "method": "mining.authorize", "params": [config.user, config.password]}),
    );
    if let Err(error) = write.write_all(hello.as_bytes()).await {
        return format!("cannot write: {error}");
    }
    let mut told = Told {
        prefix: Prefix::default(),
        target: difficulty::share_target(Work::new(1 << 32).expect("two to the 32nd is work")),
        work: None,
        matrix: None,
    };
    let mut waiting: HashMap<u64, Found> = HashMap::new();
    let mut next_id = FIRST_SUBMIT;
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let text = match line {
                    Ok(Some(text)) => text,
                    Ok(None) => return "the pool closed the connection".to_owned(),
                    Err(error) => return format!("cannot read: {error}"),
                };
                let Ok(line) = serde_json::from_str::<Line>(&text) else {
                    return format!("the pool sent no JSON: {}", text.chars().take(120).collect::<String>());
                };
                match (&line.method, line.id.as_u64()) {
                    (Some(method), _) => {
                        if let Err(reason) = heed(method, &line.params, &mut told, counters) {
                            return reason;
                        }
                        if method.ends_with("notify") || method.ends_with("set_extranonce") {
                            board.put(told.task());
                        }
                    }
                    (None, Some(SUBSCRIBE)) => {
                        // The Bitmain form carries the extranonce in this reply: [null, prefix, remaining bytes].
                        if let Some(prefix) = line.result.get(1).and_then(Value::as_str).and_then(Prefix::parse) {
                            told.prefix = prefix;
                        }
                    }
                    (None, Some(AUTHORIZE)) => {
                        if line.result != Value::Bool(true) {
                            return format!("not authorized: {}", words(&line.error));
                        }
                        connected.store(true, Ordering::Relaxed);
                        let _ = events.try_send(MinerEvent::Connected);
                    }
                    (None, Some(id)) => {
                        let Some(solution) = waiting.remove(&id) else { continue };
                        let refusal = (line.result != Value::Bool(true)).then(|| words(&line.error));
                        let counter = if refusal.is_none() { &counters.accepted } else { &counters.refused };
                        counter.fetch_add(1, Ordering::Relaxed);
                        let _ = events.try_send(MinerEvent::Answered { solution, refusal });
                    }
                    (None, None) => {}
                }
            }
            solution = solutions.recv() => {
                let Some(solution) = solution else { return "the search has ended".to_owned() };
                let nonce = format!("{:016x}", solution.nonce);
                let digits = (told.prefix.bits / 4) as usize;
                let submit = serde_json::json!({
                    "id": next_id, "method": "mining.submit",
                    "params": [config.user, solution.job, nonce[digits..]],
                });
                waiting.insert(next_id, solution);
                next_id += 1;
                if let Err(error) = write.write_all(format!("{submit}\n").as_bytes()).await {
                    return format!("cannot write: {error}");
                }
            }
        }
    }
}

/// Takes a notification in; an error ends the connection.
fn heed(method: &str, params: &Value, told: &mut Told, counters: &MinerCounters) -> Result<(), String> {
    let bad = || format!("the pool sent a bad {method}: {params}");
    match method {
        "mining.set_extranonce" | "set_extranonce" => {
            told.prefix = params.get(0).and_then(Value::as_str).and_then(Prefix::parse).ok_or_else(bad)?;
        }
        "mining.set_difficulty" => {
            let text = params.get(0).filter(|value| value.is_number()).ok_or_else(bad)?.to_string();
            told.target = difficulty::share_target(difficulty::parse(&text).ok_or_else(bad)?);
        }
        "mining.notify" => {
            let job = params.get(0).map(|job| job.as_str().map_or_else(|| job.to_string(), str::to_owned));
            let (pre_pow, timestamp) = match (params.get(1), params.get(2)) {
                (Some(Value::Array(words)), Some(timestamp)) => {
                    (from_words(words).ok_or_else(bad)?, timestamp.as_u64().ok_or_else(bad)?)
                }
                (Some(Value::String(text)), None) => from_big_job(text).ok_or_else(bad)?,
                _ => return Err(bad()),
            };
            told.work = Some((job.ok_or_else(bad)?, pre_pow, timestamp));
            counters.jobs.fetch_add(1, Ordering::Relaxed);
        }
        "client.reconnect" => return Err("the pool asks to reconnect".to_owned()),
        _ => {}
    }
    Ok(())
}

/// The array form: four words of the pre-PoW hash, each little-endian in the hash.
fn from_words(words: &[Value]) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if words.len() != 4 {
        return None;
    }
    for (bytes, word) in hash.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.as_u64()?.to_le_bytes());
    }
    Some(hash)
}

/// The big-job form: 64 digits of pre-PoW hash, 16 digits of the timestamp's little-endian bytes.
fn from_big_job(text: &str) -> Option<([u8; 32], u64)> {
    let bytes: [u8; 40] = hex::decode(text).ok()?.try_into().ok()?;
    let (hash, timestamp) = bytes.split_at(32);
    Some((hash.try_into().ok()?, u64::from_le_bytes(timestamp.try_into().ok()?)))
}

/// The words of an error answer.
fn words(error: &Value) -> String {
    error.get(1).and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_begins_with_the_prefix() {
        let prefix = Prefix::parse("0021").unwrap();
        assert_eq!(prefix.nonce(0xd1b5_1bc4_b490), 0x0021_d1b5_1bc4_b490);
        assert_eq!(prefix.nonce(u64::MAX), 0x0021_ffff_ffff_ffff);
        assert_eq!(Prefix::parse("").unwrap().nonce(7), 7);
        assert_eq!(Prefix::parse("zz"), None);
        assert_eq!(Prefix::parse("0011223344556677"), None);
    }

    #[test]
    fn both_job_forms_say_the_same() {
        let words: Vec<Value> = [
            15_394_875_493_717_953_681u64,
            15_291_762_840_029_249_571,
            18_238_340_858_324_143_807,
            11_959_631_033_795_784_308,
        ]
        .map(Value::from)
        .into();
        let big = "91cc6c2cb295a5d5234076a5484137d4bf4ee738619a1bfd74ae22760f25f9a5c593406b91010000";
        assert_eq!(from_big_job(big), Some((from_words(&words).unwrap(), 1_724_081_279_941)));
        assert_eq!(from_big_job(&big[2..]), None);
    }
}
