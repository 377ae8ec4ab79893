//! `poolctl bench`: a load generator. Open loop: shares are due at fixed times, and a late reply counts from when its
//! share was due, so a pool that stalls cannot hide it.
//!
//! Shares must be cheap to find: run the pool with a least difficulty of one hash
//! (`min_difficulty = "0.00000000023283064365386962890625"`) and ask for it (`--password d=…`, the default here).
//! Addresses 127.0.x.1 are used in turn as sources, because one source has 28 000 ports.

use anyhow::{Context, bail};
use hdrhistogram::Histogram;
use serde_json::Value;
use std::collections::HashMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;

#[derive(clap::Args, Clone)]
pub(crate) struct Arguments {
    /// The pool's plain stratum port, on this machine.
    #[arg(long, default_value = "127.0.0.1:5555")]
    pool: SocketAddr,
    /// Connections to hold.
    #[arg(long, default_value_t = 2_000)]
    connections: usize,
    /// Shares a second, over all connections; 0 holds idle connections only.
    #[arg(long, default_value_t = 5_000.0)]
    rate: f64,
    /// Seconds to measure.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The user of every connection.
    #[arg(long, default_value = "kaspadev:qpumuen7l8wthtz45p3ftn58pvrs9xlumvkuu2xet8egzkcklqtese6y7tc99")]
    user: String,
    /// The password; the default asks for shares of one hash each.
    #[arg(long, default_value = "d=0.00000000023283064365386962890625")]
    password: String,
    /// The pool's process, to measure its memory and processor time.
    #[arg(long)]
    pid: Option<u32>,
    /// Write the figures as JSON to this file too.
    #[arg(long)]
    json: Option<std::path::PathBuf>,
}

/// What all connections count into.
#[derive(Default)]
struct Totals {
    sent: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
    refusals: Mutex<HashMap<String, u64>>,
    latencies: Mutex<Option<Histogram<u64>>>,
    /// For each job, when the first and the last connection had it, in microseconds, and how many had it.
    jobs: Mutex<HashMap<String, (u64, u64, usize)>>,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if !arguments.pool.ip().is_loopback() {
        bail!("bench loads pools on this machine only (a loopback address)");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(load(arguments))
}

async fn load(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let totals = Arc::new(Totals::default());
    *locked(&totals.latencies) = Some(Histogram::new_with_bounds(1, 600_000_000, 3)?);
    let before = arguments.pid.map(Process::read).transpose()?;
    let began = Instant::now();
    // Connecting is paced, so that it measures the pool and not the kernel's queue.
    let gate = Arc::new(Semaphore::new(200));
    let ready = Arc::new(Semaphore::new(0));
    let start = Arc::new(tokio::sync::watch::Sender::new(None::<Instant>));
    let mut tasks = Vec::new();
    for index in 0..arguments.connections {
        let (arguments, totals, gate, ready) =
            (arguments.clone(), totals.clone(), gate.clone(), ready.clone());
        let start = start.subscribe();
        tasks.push(tokio::spawn(async move {
            let session = async {
                let permit = gate.acquire().await?;
                let miner = Miner::connect(&arguments, index).await;
                drop(permit);
                ready.add_permits(1);
                miner?.work(&arguments, &totals, index, start).await
            };
            session.await
        }));
    }
    let connections = u32::try_from(arguments.connections)?;
    let connected = tokio::time::timeout(Duration::from_secs(120), ready.acquire_many(connections)).await;
    connected.context("not all connections were ready within 120 s")??.forget();
    let connect_seconds = began.elapsed().as_secs_f64();
    eprintln!("{connections} connections ready after {connect_seconds:.1} s");
    // Let the last authorize settle before anything is measured.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = arguments.pid.map(Process::read).transpose()?;
    let measured = Instant::now();
    start.send_replace(Some(measured));
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let seconds = measured.elapsed().as_secs_f64();
    let after = arguments.pid.map(Process::read).transpose()?;
    start.send_replace(None);
    let mut failures = HashMap::<String, u64>::new();
    for task in tasks {
        match tokio::time::timeout(Duration::from_secs(10), task).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => *failures.entry(format!("{error:#}")).or_default() += 1,
            Ok(Err(error)) => *failures.entry(error.to_string()).or_default() += 1,
            Err(_) => *failures.entry("did not end".to_owned()).or_default() += 1,
        }
    }
    let figures = figures(&arguments, &totals, seconds, connect_seconds, before, idle, after, &failures);
    let text = serde_json::to_string_pretty(&figures)?;
    writeln!(std::io::stdout().lock(), "{text}")?;
    if let Some(path) = &arguments.json {
        std::fs::write(path, text)?;
    }
    let clean = failures.is_empty()
        && totals.refused.load(Ordering::Relaxed) == 0
        && totals.lost.load(Ordering::Relaxed) == 0;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[allow(clippy::too_many_arguments, reason = "one table of figures from all that was measured")]
fn figures(
    arguments: &Arguments,
    totals: &Totals,
    seconds: f64,
    connect_seconds: f64,
    before: Option<Process>,
    idle: Option<Process>,
    after: Option<Process>,
    failures: &HashMap<String, u64>,
) -> Value {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let accepted = count(&totals.accepted);
    let latencies = locked(&totals.latencies);
    let latency = latencies.as_ref().filter(|latencies| !latencies.is_empty()).map(|latencies| {
        let at = |quantile| latencies.value_at_quantile(quantile) as f64 / 1_000.0;
        serde_json::json!({ "p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "max": latencies.max() as f64 / 1_000.0 })
    });
    let jobs = locked(&totals.jobs);
    let mut spreads: Vec<f64> = jobs
        .values()
        .filter(|(_, _, had)| *had == arguments.connections)
        .map(|(first, last, _)| (last - first) as f64 / 1_000.0)
        .collect();
    spreads.sort_by(f64::total_cmp);
    let per_connection = before.zip(idle).map(|(before, idle)| {
        idle.rss_bytes.saturating_sub(before.rss_bytes) as f64 / arguments.connections as f64
    });
    let cpu = idle.zip(after).map(|(idle, after)| after.cpu_seconds - idle.cpu_seconds);
    serde_json::json!({
        "connections": arguments.connections,
        "connect_seconds": connect_seconds,
        "seconds": seconds,
        "sent": count(&totals.sent),
        "accepted": accepted,
        "accepted_per_second": accepted as f64 / seconds,
        "refused": count(&totals.refused),
        "refusals": *locked(&totals.refusals),
        "unanswered": count(&totals.lost),
        "failures": failures,
        "latency_ms": latency,
        "jobs_that_reached_all": spreads.len(),
        "job_first_to_last_ms": { "median": spreads.get(spreads.len() / 2), "max": spreads.last() },
        "pool_rss_bytes": after.map(|after| after.rss_bytes),
        "pool_rss_bytes_per_idle_connection": per_connection,
        "pool_cpu_seconds": cpu,
        "pool_cpu_us_per_share": cpu.filter(|_| accepted > 0).map(|cpu| cpu * 1e6 / accepted as f64),
    })
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A process as the kernel describes it.
#[derive(Clone, Copy)]
struct Process {
    rss_bytes: u64,
    cpu_seconds: f64,
}

impl Process {
    fn read(pid: u32) -> anyhow::Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("no such process")?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = rss.and_then(|rss| rss.split_whitespace().next()).context("no VmRSS")?.parse()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in parentheses may hold anything; the fields behind it are numbers. Ticks are 1/100 s on Linux.
        let fields: Vec<&str> = stat.rsplit_once(')').context("no name")?.1.split_whitespace().collect();
        let ticks = |field: usize| fields.get(field).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        Ok(Self { rss_bytes: kib * 1_024, cpu_seconds: (ticks(11) + ticks(12)) as f64 / 100.0 })
    }
}

/// One connection after its authorize.
struct Miner {
    lines: tokio::io::Lines<BufReader<tokio::net::tcp::OwnedReadHalf>>,
    write: tokio::net::tcp::OwnedWriteHalf,
    extranonce: String,
    job: Option<String>,
}

impl Miner {
    async fn connect(arguments: &Arguments, index: usize) -> anyhow::Result<Self> {
        let stream = match arguments.pool {
            SocketAddr::V4(_) => {
                let socket = TcpSocket::new_v4()?;
                let third = u8::try_from(index / 4_000 + 1)?;
                socket.bind(SocketAddrV4::new(Ipv4Addr::new(127, 0, third, 1), 0).into())?;
                socket.connect(arguments.pool).await?
            }
            SocketAddr::V6(_) => TcpStream::connect(arguments.pool).await?,
        };
        stream.set_nodelay(true)?;
        let (read, mut write) = stream.into_split();
        let hello = format!(
            "{{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"poolctl-bench\"]}}\n{}\n",
            serde_json::json!({"id": 2, "method": "mining.authorize", "params": [format!("{}.bench{index}", arguments.user), arguments.password]}),
        );
        write.write_all(hello.as_bytes()).await?;
        let lines = BufReader::with_capacity(512, read).lines();
        let mut miner = Self { lines, write, extranonce: String::new(), job: None };
        let ready = async {
            let mut authorized = false;
            while miner.job.is_none() || !authorized {
                let line = miner.lines.next_line().await?.context("closed while connecting")?;
                let value: Value = serde_json::from_str(&line)?;
                if value["id"] == 2 && value["method"].is_null() {
                    if value["result"] != true {
                        bail!("not authorized: {}", value["error"]);
                    }
                    authorized = true;
                }
                miner.heed(&value);
            }
            Ok(())
        };
        tokio::time::timeout(Duration::from_secs(60), ready).await.context("no job within 60 s")??;
        Ok(miner)
    }

    /// Takes a notification in; the job's name if it was one.
    fn heed(&mut self, value: &Value) -> Option<String> {
        let first = value["params"].get(0);
        match value["method"].as_str()? {
            "mining.set_extranonce" => self.extranonce = first?.as_str()?.to_owned(),
            "mining.notify" => {
                self.job = Some(first?.as_str()?.to_owned());
                return self.job.clone();
            }
            _ => {}
        }
        None
    }

    async fn work(
        mut self,
        arguments: &Arguments,
        totals: &Totals,
        index: usize,
        mut start: tokio::sync::watch::Receiver<Option<Instant>>,
    ) -> anyhow::Result<()> {
        let user = format!("{}.bench{index}", arguments.user);
        let interval = arguments.connections as f64 / arguments.rate.max(1e-9);
        let (mut next, mut due_id) = (None::<Instant>, 10u64);
        let mut waiting = HashMap::<u64, Instant>::new();
        let mut nonce = 0u64;
        let mut ended = None::<Instant>;
        let result = loop {
            let timer = async {
                match (next, ended) {
                    (_, Some(end)) => tokio::time::sleep_until(end.into()).await,
                    (Some(at), None) => tokio::time::sleep_until(at.into()).await,
                    (None, None) => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = start.changed(), if ended.is_none() => {
                    if changed.is_err() {
                        break Ok(());
                    }
                    match *start.borrow_and_update() {
                        Some(begin) if arguments.rate > 0.0 => {
                            let phase = interval * index as f64 / arguments.connections as f64;
                            next = Some(begin + Duration::from_secs_f64(phase));
                        }
                        Some(_) => {}
                        // Replies still under way get two seconds.
                        None => ended = Some(Instant::now() + Duration::from_secs(2)),
                    }
                }
                () = timer => {
                    if ended.is_some() {
                        break Ok(());
                    }
                    let due = next.unwrap_or_else(Instant::now);
                    next = Some(due + Duration::from_secs_f64(interval));
                    nonce += 1;
                    let digits = 16 - self.extranonce.len();
                    let line = format!(
                        "{{\"id\":{due_id},\"method\":\"mining.submit\",\"params\":[\"{user}\",\"{}\",\"{nonce:0digits$x}\"]}}\n",
                        self.job.as_deref().unwrap_or_default(),
                    );
                    waiting.insert(due_id, due);
                    due_id += 1;
                    totals.sent.fetch_add(1, Ordering::Relaxed);
                    if let Err(error) = self.write.write_all(line.as_bytes()).await {
                        break Err(error.into());
                    }
                }
                line = self.lines.next_line() => {
                    let line = match line {
                        Ok(Some(line)) => line,
                        Ok(None) => break Err(anyhow::anyhow!("the pool closed the connection")),
                        Err(error) => break Err(error.into()),
                    };
                    // The generator shares the machine with the pool: a job costs it a look, not a parse.
                    if let Some(job) = job_of(&line) {
                        let now = u64::try_from(Instant::now().duration_since(process_start()).as_micros())?;
                        self.job = Some(job.to_owned());
                        let mut jobs = locked(&totals.jobs);
                        let seen = jobs.entry(job.to_owned()).or_insert((now, now, 0));
                        *seen = (seen.0.min(now), seen.1.max(now), seen.2 + 1);
                        continue;
                    }
                    let value: Value = serde_json::from_str(&line)?;
                    let _ = self.heed(&value);
                    if let Some(due) = value["id"].as_u64().and_then(|id| waiting.remove(&id)) {
                        let micros = u64::try_from(due.elapsed().as_micros())?;
                        if let Some(latencies) = locked(&totals.latencies).as_mut() {
                            latencies.saturating_record(micros.max(1));
                        }
                        if value["result"] == true {
                            totals.accepted.fetch_add(1, Ordering::Relaxed);
                        } else {
                            totals.refused.fetch_add(1, Ordering::Relaxed);
                            *locked(&totals.refusals).entry(value["error"].to_string()).or_default() += 1;
                        }
                    }
                }
            }
        };
        totals.lost.fetch_add(waiting.len() as u64, Ordering::Relaxed);
        result
    }
}

/// The job's name in a notification of a job, without reading the rest.
fn job_of(line: &str) -> Option<&str> {
    let params = line.split_once("\"mining.notify\"")?.1.split_once("\"params\":[\"")?.1;
    params.split_once('"').map(|(job, _)| job)
}

/// A common origin for times of all connections.
fn process_start() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(Instant::now)
}
