//! What a connection costs: resident memory per idle authorised miner, and how long a job takes to reach them all.
//!
//! ```text
//! cargo run --release -p pool-stratum --example idle -- [connections] [jobs]
//! ```
//!
//! The server runs in this process and is measured in it; the miners run in a child process (the same program), so
//! that their memory and descriptors are their own. Both share the machine's cores: times include the miners' reading.
#![allow(clippy::print_stdout, reason = "a program that prints figures")]

use pool_core::id::{JobId, MinerId, Worker};
use pool_core::limits::Limits;
use pool_core::time::Micros;
use pool_core::units::Work;
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_stratum::dialect::kaspa::{Kaspa, KaspaWork};
use pool_stratum::extranonce::{ExtranonceSpace, SpaceRules};
use pool_stratum::jobs::JobRing;
use pool_stratum::net::{Application, Caller, ListenerRules, Server, ServerRules, bind};
use pool_stratum::session::{Login, Outcome, SessionRules, Submission, split_user};
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

struct Anyone;

#[async_trait::async_trait]
impl Application<Kaspa> for Anyone {
    async fn login(&self, user: &str, _password: &str, _caller: Caller) -> Result<Login, String> {
        let (account, name) = split_user(user);
        let miner = MinerId::new(account).map_err(|bad| bad.to_string())?;
        Ok(Login { worker: Worker { miner, name }, start: None })
    }

    async fn submit(&self, _submission: Submission<Kaspa>) -> Outcome {
        Outcome::Accepted
    }

    async fn remember(&self, _worker: Worker, _work: Work) {}
}

fn main() -> Fallible<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, otherwise: usize| arguments.get(at).map_or(Ok(otherwise), |text| text.parse::<usize>());
    let runtime = tokio::runtime::Runtime::new()?;
    match arguments.first().map(String::as_str) {
        Some("miners") => {
            let address: SocketAddr = arguments[1].parse()?;
            runtime.block_on(miners(address, number(2, 0)?, number(3, 0)?))
        }
        _ => runtime.block_on(pool(number(0, 10_000)?, number(1, 400)?)),
    }
}

/// Resident memory of this process in bytes.
fn resident() -> Fallible<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: usize = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}

/// Processor time of this process.
fn cpu() -> Fallible<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10))
}

fn job(id: u64) -> Option<Arc<KaspaWork>> {
    let mut pre_pow = [9; 32];
    pre_pow[..8].copy_from_slice(&id.to_le_bytes());
    Some(Arc::new(KaspaWork { id: JobId::new(id), pre_pow, timestamp: 1_700_000_000_000, clean: true }))
}

async fn pool(connections: usize, jobs: usize) -> Fallible<()> {
    let limits = Limits { connections_max: connections + 100, ..Limits::default() };
    let ring = Arc::new(JobRing::new(limits.jobs_kept_max, Micros::from_secs(300)));
    let work = |whole: u128| Work::new(whole << 32);
    let range = WorkRange::new(work(1)?, work(1 << 30)?)?;
    let vardiff = VardiffRules::new(Micros::from_secs(3), range, work(8_192)?)?;
    let sessions = Arc::new(SessionRules::new(Kaspa::default(), limits, vardiff, ring));
    let rest = Micros::from_secs(300);
    let space = ExtranonceSpace::new(SpaceRules { width: 2, instance_bits: 0, instance: 0, rest })?;
    let (sender, receiver) = watch::channel(job(1));
    let server = Arc::new(Server::new(ServerRules::default(), sessions, space, Arc::new(Anyone), receiver));
    let listener = bind(&ListenerRules::plain(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)))?;
    let address = listener.address()?;
    let serving = tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.serve(vec![listener], std::future::pending()).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = resident()?;

    let mut child = tokio::process::Command::new(std::env::current_exe()?)
        .args(["miners", &address.to_string(), &connections.to_string(), &jobs.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = BufReader::new(child.stdout.take().ok_or("no pipe")?).lines();
    let mut tell = child.stdin.take().ok_or("no pipe")?;
    let mut hear = async || -> Fallible<String> { Ok(said.next_line().await?.ok_or("the miners are gone")?) };

    let connected_in: f64 = hear().await?.parse()?;
    println!("{connections} miners connected and logged in within {connected_in:.2} s");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let per = |bytes: usize| bytes.saturating_sub(before) as f64 / connections as f64;
    println!("resident memory per idle connection, after one job: {:.0} bytes", per(resident()?));

    let mut last: Vec<Duration> = Vec::new();
    let cpu_before = cpu()?;
    let begun = Instant::now();
    for id in 2..jobs as u64 + 2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let published = Instant::now();
        sender.send_replace(job(id));
        // The miners say so when the last of them has it.
        hear().await?;
        last.push(published.elapsed());
        tell.write_all(b".").await?;
    }
    let spent = cpu()?.saturating_sub(cpu_before);
    let wall = begun.elapsed();
    last.sort();
    let at = |part: usize| last[(last.len() - 1) * part / 100].as_secs_f64() * 1e3;
    println!(
        "a job to the last of {connections}: median {:.1} ms, 99 % {:.1} ms, worst {:.1} ms ({jobs} jobs, {:.1} s)",
        at(50),
        at(99),
        at(100),
        wall.as_secs_f64()
    );
    let each = spent.as_secs_f64() * 1e6 / (jobs * connections) as f64;
    println!("processor time per job and connection: {each:.1} µs");
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!("resident memory per idle connection, after {jobs} jobs: {:.0} bytes", per(resident()?));
    drop(tell);
    child.wait().await?;
    serving.abort();
    Ok(())
}

async fn miners(address: SocketAddr, connections: usize, jobs: usize) -> Fallible<()> {
    let begun = Instant::now();
    let (have, mut had) = mpsc::unbounded_channel();
    let mut logins = tokio::task::JoinSet::new();
    for number in 0..connections {
        let socket = TcpSocket::new_v4()?;
        let [a, b] = u16::try_from(number / 100)?.to_be_bytes();
        socket.bind(SocketAddr::new(Ipv4Addr::new(127, 1, a, b.max(1)).into(), 0))?;
        let stream = socket.connect(address).await?;
        logins.spawn(log_in(stream));
        if logins.len() >= 64 {
            let stream = logins.join_next().await.ok_or("no task")???;
            tokio::spawn(listen(stream, have.clone()));
        }
    }
    while let Some(stream) = logins.join_next().await {
        tokio::spawn(listen(stream??, have.clone()));
    }
    println!("{}", begun.elapsed().as_secs_f64());
    let mut go = tokio::io::stdin();
    for _ in 0..jobs {
        for _ in 0..connections {
            had.recv().await.ok_or("a miner is gone")?;
        }
        println!("all");
        let _ = go.read_u8().await?;
    }
    // The pool closes the pipe when it has measured.
    let _ = go.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

async fn log_in(mut stream: TcpStream) -> Fallible<TcpStream> {
    stream.set_nodelay(true)?;
    let account = "kaspa:qrxuk57hwz8s8la93jvf44q7e5derclnpg6thkgltya2ek67pvhasz43zf6ys";
    let hello = [
        r#"{"id":1,"method":"mining.subscribe","params":["idle/1.0"]}"#.to_owned(),
        format!(r#"{{"id":2,"method":"mining.authorize","params":["{account}.rig0","x"]}}"#),
        String::new(),
    ];
    stream.write_all(hello.join("\n").as_bytes()).await?;
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("mining.notify") {
        if stream.read_buf(&mut heard).await? == 0 {
            return Err("refused".into());
        }
    }
    Ok(stream)
}

/// One message per job line.
async fn listen(mut stream: TcpStream, have: mpsc::UnboundedSender<()>) -> Fallible<()> {
    let mut bytes = [0; 512];
    loop {
        let len = stream.read(&mut bytes).await?;
        if len == 0 {
            return Ok(());
        }
        for _ in bytes[..len].windows(13).filter(|text| text == b"mining.notify") {
            have.send(())?;
        }
    }
}
