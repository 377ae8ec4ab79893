//! The miner against a pool of a few lines: a toy coin whose solutions are the multiples of a number.

use super::*;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Weak;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

#[derive(Debug)]
struct Toy {
    job: String,
    every: u64,
    size: u64,
}

impl Search for Toy {
    type Solution = u64;

    fn size(&self) -> u64 {
        self.size
    }

    fn burst(&self) -> u64 {
        64
    }

    fn search(&self, start: u64, count: u64) -> Vec<u64> {
        (start..start + count).filter(|candidate| candidate % self.every == 0).collect()
    }
}

/// Speaks in objects: `{"job", "every", "size"}`, `{"change"}`, `{"ask"}`, `{"welcome"}`, `{"id", "refusal"}`.
struct Plain {
    pulse: Option<Duration>,
}

impl Tongue for Plain {
    type Task = Toy;

    fn hello(&mut self, config: &MinerConfig) -> Vec<String> {
        vec![json!({ "hello": config.agent }).to_string(), json!({ "user": config.user }).to_string()]
    }

    fn hear(&mut self, line: &Value) -> Result<Vec<Heard<Toy>>, String> {
        let task = || {
            let job = line["job"].as_str().unwrap_or_default().to_owned();
            let number = |name: &str| line[name].as_u64().unwrap_or(u64::MAX);
            Arc::new(Toy { job, every: number("every"), size: number("size") })
        };
        Ok(match line {
            line if line.get("stop").is_some() => vec![Heard::Stop],
            line if line.get("change").is_some() => vec![Heard::Change(task())],
            line if line.get("job").is_some() => vec![Heard::Task(task())],
            line if line.get("welcome").is_some() => vec![Heard::LoggedIn],
            line if line.get("ask").is_some() => vec![Heard::Say(json!({ "told": line["ask"] }).to_string())],
            line if line.get("id").is_some() => vec![Heard::Answer {
                id: line["id"].as_u64().unwrap_or(0),
                refusal: line["refusal"].as_str().map(str::to_owned),
            }],
            other => return Err(format!("cannot make sense of {other}")),
        })
    }

    fn submit(&mut self, id: u64, task: &Toy, solution: &u64) -> String {
        json!({ "id": id, "job": task.job, "solution": solution }).to_string()
    }

    fn journal(&self, task: &Toy, solution: &u64) -> Found {
        let fields = [("solution".to_owned(), Value::from(*solution))].into_iter().collect();
        Found { job: task.job.clone(), fields }
    }

    fn pulse(&self) -> Option<Duration> {
        self.pulse
    }

    fn beat(&mut self) -> Vec<String> {
        vec![json!({ "alive": true }).to_string()]
    }
}

struct Rig {
    listener: TcpListener,
    counters: Arc<MinerCounters>,
    events: mpsc::Receiver<MinerEvent>,
    stop: oneshot::Sender<()>,
    mining: JoinHandle<()>,
}

async fn rig(threads: usize, pulse: Option<Duration>) -> Rig {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = MinerConfig {
        pool: listener.local_addr().unwrap().to_string(),
        user: "alice.rig".into(),
        password: "x".into(),
        agent: "toy".into(),
        threads,
        hashes_per_second_max: None,
    };
    let (sender, events) = mpsc::channel(4_096);
    let (stop, stopped) = oneshot::channel();
    let counters = Arc::new(MinerCounters::default());
    let tongue = move |_: &MinerConfig| -> Box<dyn Tongue<Task = Toy>> { Box::new(Plain { pulse }) };
    let stopped = async move {
        let _ = stopped.await;
    };
    let mining = tokio::spawn(mine(config, tongue, counters.clone(), sender, stopped));
    Rig { listener, counters, events, stop, mining }
}

/// The pool's end of a connection.
struct Pool {
    lines: tokio::io::Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
}

impl Rig {
    async fn pool(&self) -> Pool {
        let (stream, _): (TcpStream, _) = self.listener.accept().await.unwrap();
        let (read, write) = stream.into_split();
        let mut pool = Pool { lines: BufReader::new(read).lines(), write };
        assert_eq!(pool.next().await, json!({ "hello": "toy" }));
        assert_eq!(pool.next().await, json!({ "user": "alice.rig" }));
        pool
    }

    async fn event(&mut self) -> MinerEvent {
        self.events.recv().await.unwrap()
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.mining.await.unwrap();
    }
}

impl Pool {
    async fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next_line().await.unwrap().unwrap()).unwrap()
    }

    async fn say(&mut self, line: Value) {
        self.write.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn every_solution_is_submitted_once_and_every_answer_told() {
    let mut rig = rig(3, None).await;
    let mut pool = rig.pool().await;
    pool.say(json!({ "welcome": 1 })).await;
    pool.say(json!({ "job": "a", "every": 10, "size": 1_000 })).await;
    assert_eq!(rig.event().await, MinerEvent::Connected);
    let mut solutions = BTreeSet::new();
    for expected_id in 10..110 {
        let submit = pool.next().await;
        let (id, solution) = (submit["id"].as_u64().unwrap(), submit["solution"].as_u64().unwrap());
        assert_eq!((id, submit["job"].as_str()), (expected_id, Some("a")));
        assert!(solutions.insert(solution), "{solution} twice");
        let refusal = (solution % 20 == 0).then_some("too even");
        pool.say(json!({ "id": id, "refusal": refusal })).await;
        pool.say(json!({ "id": 7, "refusal": "to no submit of ours" })).await;
        let fields = [("solution".to_owned(), Value::from(solution))].into_iter().collect();
        let told = MinerEvent::Answered {
            solution: Found { job: "a".into(), fields },
            refusal: refusal.map(str::to_owned),
        };
        assert_eq!(rig.event().await, told);
    }
    assert_eq!(solutions, (0..1_000).step_by(10).collect());
    // The space is exhausted; nothing but a new job makes it go on.
    pool.say(json!({ "ask": "still there?" })).await;
    assert_eq!(pool.next().await, json!({ "told": "still there?" }));
    pool.say(json!({ "job": "b", "every": 500, "size": 1_000 })).await;
    let pair = [pool.next().await, pool.next().await];
    assert!(pair.iter().all(|submit| submit["job"] == "b"), "{pair:?}");
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let counters = rig.counters.clone();
    assert_eq!((count(&counters.jobs), count(&counters.accepted), count(&counters.refused)), (2, 50, 50));
    rig.end().await;
    assert_eq!(count(&counters.hashes), 2_000);
}

#[tokio::test]
async fn other_terms_and_a_stop_are_obeyed() {
    let rig = rig(1, None).await;
    let mut pool = rig.pool().await;
    pool.say(json!({ "job": "a", "every": u64::MAX, "size": 1_000 })).await;
    assert_eq!(pool.next().await["solution"], 0);
    // Whatever of the space is left, it is at most all but the first.
    pool.say(json!({ "change": 1, "job": "a2", "every": u64::MAX, "size": 1_000 })).await;
    pool.say(json!({ "stop": 1 })).await;
    pool.say(json!({ "ask": 1 })).await;
    assert_eq!(pool.next().await, json!({ "told": 1 }));
    pool.say(json!({ "job": "b", "every": u64::MAX, "size": 10 })).await;
    assert_eq!(pool.next().await["job"], "b");
    assert_eq!(rig.counters.jobs.load(Ordering::Relaxed), 2);
    rig.end().await;
}

#[tokio::test]
async fn it_comes_back_whatever_the_pool_does() {
    let mut rig = rig(2, None).await;
    let long = vec![b'x'; (1 << 20) + 100_000];
    for (last_words, reason) in [
        (&b""[..], "the pool closed the connection"),
        (b"no json\n", "the pool sent no JSON: no json"),
        (b"{\"what\":1}\n", "cannot make sense of {\"what\":1}"),
        (&long, "the pool sent a line of more than 1048576 bytes"),
    ] {
        let mut pool = rig.pool().await;
        pool.say(json!({ "welcome": 1 })).await;
        assert_eq!(rig.event().await, MinerEvent::Connected);
        // The miner may hang up before it heard everything.
        let _ = pool.write.write_all(last_words).await;
        drop(pool);
        let MinerEvent::Disconnected { reason: told } = rig.event().await else { panic!("no end") };
        // What was not read when the pool hung up may be lost with it.
        assert!(told == reason || told.starts_with("cannot read"), "{told}");
    }
    rig.end().await;
}

#[tokio::test]
async fn what_was_found_for_one_connection_is_not_told_to_the_next() {
    let mut rig = rig(2, None).await;
    let mut pool = rig.pool().await;
    // More solutions than anybody takes: the threads wait with full hands.
    pool.say(json!({ "job": "old", "every": 1 })).await;
    pool.next().await;
    drop(pool);
    assert!(matches!(rig.event().await, MinerEvent::Disconnected { .. }));
    let mut pool = rig.pool().await;
    pool.say(json!({ "job": "new", "every": 1 })).await;
    for id in 10..500 {
        let submit = pool.next().await;
        assert_eq!((submit["id"].as_u64(), submit["job"].as_str()), (Some(id), Some("new")));
    }
    rig.end().await;
}

#[tokio::test]
async fn signs_of_life_are_sent_where_they_are_wanted() {
    let rig = rig(1, Some(Duration::from_millis(5))).await;
    let mut pool = rig.pool().await;
    for _ in 0..3 {
        assert_eq!(pool.next().await, json!({ "alive": true }));
    }
    rig.end().await;
}

#[tokio::test]
async fn threads_end_when_mining_is_dropped() {
    #[derive(Debug)]
    struct Endless(#[expect(dead_code, reason = "held so that its end is seen")] Arc<()>);
    impl Search for Endless {
        type Solution = ();
        fn search(&self, _: u64, _: u64) -> Vec<()> {
            Vec::new()
        }
    }
    let (alive, board) = (Arc::new(()), Arc::new(Board::default()));
    let watch: Weak<()> = Arc::downgrade(&alive);
    board.turn_to(Arc::new(Endless(alive)), 1);
    let ending = board.end_on_drop();
    let (found, _findings) = mpsc::channel(1);
    let hashes = Arc::new(AtomicU64::new(0));
    let thread = {
        let hashes = hashes.clone();
        std::thread::spawn(move || board.work(&hashes, &found, Some(1_000_000)))
    };
    while hashes.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    drop(ending);
    thread.join().unwrap();
    assert!(watch.upgrade().is_none());
}
