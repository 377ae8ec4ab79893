//! A server on loopback with a desk for an application, and miners that speak to it over real sockets.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "tests unwrap")]

use pool_core::id::{JobId, MinerId, Worker};
use pool_core::limits::Limits;
use pool_core::time::Micros;
use pool_core::units::Work;
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_stratum::dialect::kaspa::{DialectRow, DialectTable, Kaspa, KaspaWork};
use pool_stratum::extranonce::{ExtranonceSpace, SpaceRules};
use pool_stratum::jobs::JobRing;
use pool_stratum::net::door::DoorRules;
use pool_stratum::net::{
    Application, Caller, Drained, Listener, ListenerRules, ProxyRule, Server, ServerRules, bind,
};
use pool_stratum::session::{Login, Outcome, SessionRules, Submission, split_user};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything here takes, also on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An application that keeps a log in memory, behind a gate that a test may close.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) log: Mutex<Vec<u64>>,
    pub(crate) callers: Mutex<Vec<Caller>>,
    pub(crate) gate: Semaphore,
}

#[async_trait::async_trait]
impl Application<Kaspa> for Desk {
    async fn login(&self, user: &str, _password: &str, caller: Caller) -> Result<Login, String> {
        self.callers.lock().unwrap().push(caller);
        let (account, name) = split_user(user);
        if !account.starts_with("kaspa:") {
            return Err(format!("{account} is no Kaspa address"));
        }
        Ok(Login { worker: Worker { miner: MinerId::new(account).unwrap(), name }, start: None })
    }

    async fn submit(&self, submission: Submission<Kaspa>) -> Outcome {
        self.gate.acquire().await.expect("a test never closes the gate for good").forget();
        self.gate.add_permits(1);
        self.log.lock().unwrap().push(submission.solution.nonce);
        Outcome::Accepted
    }

    async fn remember(&self, _worker: Worker, _work: Work) {}
}

impl Desk {
    /// The recorded nonces without their prefix, sorted.
    pub(crate) fn recorded(&self) -> Vec<u64> {
        let mut nonces: Vec<_> = self.log.lock().unwrap().iter().map(|n| n & 0xffff_ffff_ffff).collect();
        nonces.sort_unstable();
        nonces
    }
}

/// What a test wants to be different.
pub(crate) struct Wish {
    pub(crate) limits: Limits,
    pub(crate) rules: ServerRules,
    pub(crate) gate_open: bool,
    pub(crate) extranonce_bytes: u8,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            rules: ServerRules { pool: "test".into(), drain_ms: 100, ..ServerRules::default() },
            gate_open: true,
            extranonce_bytes: 2,
        }
    }
}

impl Wish {
    /// Loopback counts as any other address.
    pub(crate) fn strict(limits: Limits) -> Self {
        let mut wish = Self { limits, ..Self::default() };
        wish.rules.door = DoorRules { exempt: Vec::new(), ..DoorRules::default() };
        wish
    }
}

pub(crate) struct Pool {
    pub(crate) address: SocketAddr,
    pub(crate) desk: Arc<Desk>,
    pub(crate) work: watch::Sender<Option<Arc<KaspaWork>>>,
    pub(crate) server: Arc<Server<Kaspa, Desk>>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Drained>,
}

pub(crate) fn job(id: u64) -> Option<Arc<KaspaWork>> {
    let mut pre_pow = [7; 32];
    pre_pow[..8].copy_from_slice(&id.to_le_bytes());
    Some(Arc::new(KaspaWork { id: JobId::new(id), pre_pow, timestamp: 1_700_000_000_000 + id, clean: true }))
}

pub(crate) fn loopback() -> ListenerRules {
    ListenerRules::plain("127.0.0.1:0".parse().unwrap())
}

pub(crate) fn trusting(mut wish: Wish) -> Wish {
    wish.rules.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    wish
}

pub(crate) fn proxied(rule: ProxyRule) -> Listener {
    bind(&ListenerRules { proxy: rule, ..loopback() }).unwrap()
}

impl Pool {
    pub(crate) fn start(wish: Wish) -> Self {
        Self::start_on(wish, bind(&loopback()).unwrap())
    }

    pub(crate) fn start_on(wish: Wish, listener: Listener) -> Self {
        let ring = Arc::new(JobRing::new(wish.limits.jobs_kept_max, Micros::from_secs(300)));
        let work = |whole: u128| Work::new(whole << 32).unwrap();
        let range = WorkRange::new(work(1), work(1 << 30)).unwrap();
        let vardiff = VardiffRules::new(Micros::from_secs(3), range, work(64)).unwrap();
        let shown =
            DialectRow { agent_contains: "test/".into(), show_message: true, ..DialectRow::default() };
        let dialect = Kaspa::new(DialectTable::new(&[shown]).unwrap());
        let mut sessions = SessionRules::new(dialect, wish.limits, vardiff, ring);
        sessions.first_job_delay = Micros::ZERO;
        sessions.drain_max = Micros::from_millis(300);
        let rest = Micros::from_secs(300);
        let space = SpaceRules { width: wish.extranonce_bytes, instance_bits: 0, instance: 0, rest };
        let space = ExtranonceSpace::new(space).unwrap();
        let gate = Semaphore::new(usize::from(wish.gate_open));
        let desk = Arc::new(Desk { log: Mutex::default(), callers: Mutex::default(), gate });
        let (sender, receiver) = watch::channel(job(1));
        let server = Server::new(wish.rules, Arc::new(sessions), space, Arc::clone(&desk), receiver);
        let server = Arc::new(server);
        let address = listener.address().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn({
            let server = Arc::clone(&server);
            async move {
                let shutdown = async { drop(stopped.await) };
                server.serve(vec![listener], shutdown).await
            }
        });
        Self { address, desk, work: sender, server, stop: Some(stop), serving }
    }

    pub(crate) async fn connect(&self) -> Miner<TcpStream> {
        Miner::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// A miner that is logged in and has its first job.
    pub(crate) async fn miner(&self) -> Miner<TcpStream> {
        let mut miner = self.connect().await;
        miner.log_in().await;
        miner
    }

    pub(crate) fn begin_shutdown(&mut self) {
        drop(self.stop.take());
    }

    pub(crate) async fn shut_down(mut self) -> Drained {
        self.begin_shutdown();
        timeout(PATIENCE, self.serving).await.expect("the drain ends").unwrap()
    }

    /// Waits until as many connections hold a place.
    pub(crate) async fn until_connections(&self, count: usize) {
        let reached = async {
            while self.server.connections() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, reached).await.expect("connections come and go in time");
    }
}

/// A miner's end of a connection.
pub(crate) struct Miner<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Miner<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn say(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// The next line; `None` when the pool has closed, or reset, the connection.
    pub(crate) async fn hear(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(String::from_utf8(line).unwrap().trim_end().to_owned());
            }
            let mut chunk = [0; 4096];
            match timeout(PATIENCE, self.stream.read(&mut chunk)).await.expect("the pool says something") {
                Ok(0) | Err(_) => return None,
                Ok(len) => self.buffer.extend_from_slice(&chunk[..len]),
            }
        }
    }

    /// The next line with `text` in it; others are passed over.
    pub(crate) async fn hear_about(&mut self, text: &str) -> String {
        loop {
            let line = self.hear().await.unwrap_or_else(|| panic!("closed before {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn hear_out(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.hear().await {
            lines.push(line);
        }
        lines
    }

    pub(crate) async fn log_in(&mut self) {
        self.say(r#"{"id":1,"method":"mining.subscribe","params":["test/1.0"]}"#).await;
        self.hear_about(r#""id":1,"#).await;
        self.say(r#"{"id":2,"method":"mining.authorize","params":["kaspa:test.rig","x"]}"#).await;
        let reply = self.hear_about(r#""id":2,"#).await;
        assert!(reply.contains(r#""result":true"#), "{reply}");
        self.hear_about("mining.notify").await;
    }

    pub(crate) async fn submit(&mut self, id: u64, job: u64, nonce: u64) {
        self.say(&submit(id, job, nonce)).await;
    }
}

pub(crate) fn submit(id: u64, job: u64, nonce: u64) -> String {
    format!(r#"{{"id":{id},"method":"mining.submit","params":["kaspa:test.rig","{job}","{nonce:012x}"]}}"#)
}
