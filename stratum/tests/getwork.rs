//! Work by HTTP: the session's rules behind a path, over connections that come and go.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod rig;

use async_trait::async_trait;
use pool_core::id::{JobId, MinerId, Worker};
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::time::{Micros, Moment};
use pool_core::units::Work;
use pool_stratum::jobs::JobRing;
use pool_stratum::net::getwork::{Getwork, GetworkRules, NoAnswer};
use pool_stratum::net::{Application, Caller};
use pool_stratum::session::{Login, Outcome, SessionRules, Submission, split_user};
use rig::login_style::{Blob, LoginStyle};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Accepts even solutions, and knows everybody but `nobody`.
#[derive(Debug, Default)]
struct Judge(Mutex<Vec<(u32, String)>>);

#[async_trait]
impl Application<LoginStyle> for Judge {
    async fn login(&self, user: &str, _: &str, _: Caller) -> Result<Login, String> {
        let (account, name) = split_user(user);
        if account == "slow" {
            tokio::task::yield_now().await;
        }
        if account == "nobody" {
            return Err("no such account".into());
        }
        Ok(Login { worker: Worker { miner: MinerId::new(account).unwrap(), name }, start: None })
    }

    async fn submit(&self, submission: Submission<LoginStyle>) -> Outcome {
        self.0.lock().unwrap().push((submission.solution, submission.worker.to_string()));
        if submission.solution.is_multiple_of(2) {
            Outcome::Accepted
        } else {
            Outcome::Rejected(Reject::LowDifficulty)
        }
    }

    async fn remember(&self, _: Worker, _: Work) {}
}

type Desks = Getwork<LoginStyle, Judge>;

fn desks(rules: GetworkRules) -> (Arc<Desks>, Arc<JobRing<LoginStyle>>, Arc<Judge>) {
    let limits = Limits::default();
    let ring = Arc::new(JobRing::new(limits.jobs_kept_max, Micros::from_secs(60)));
    let sessions = Arc::new(SessionRules::new(LoginStyle, limits, rig::vardiff(), Arc::clone(&ring)));
    let judge = Arc::new(Judge::default());
    (Arc::new(Getwork::new(rules, sessions, rig::space(), Arc::clone(&judge))), ring, judge)
}

fn publish(ring: &JobRing<LoginStyle>, id: u64) {
    ring.publish(Moment::new(1_000_000), Arc::new(Blob { id: JobId::new(id), blob: id as u8 })).unwrap();
}

async fn ask(desks: &Desks, path: &str, body: &str) -> Result<String, NoAnswer> {
    let caller = Caller { address: SocketAddr::from(([127, 0, 0, 1], 9)), tls: false };
    let answer = desks.answer(path, body.as_bytes(), caller).await?;
    Ok(String::from_utf8(answer).unwrap())
}

const GETJOB: &str = r#"{"id":3,"method":"getjob","params":{}}"#;

fn submit(nonce: &str) -> String {
    format!(r#"{{"id":4,"method":"submit","params":{{"job_id":"1","nonce":"{nonce}"}}}}"#)
}

#[tokio::test]
async fn a_miner_is_its_path_whatever_connection_it_comes_over() {
    let (desks, ring, judge) = desks(GetworkRules::default());
    publish(&ring, 1);
    assert!(
        ask(&desks, "/account.rig", &format!("\n {GETJOB}\r\n")).await.unwrap().contains(r#""job_id":"1""#)
    );
    assert!(ask(&desks, "/account.rig", &submit("02")).await.unwrap().contains("OK"));
    assert!(ask(&desks, "/account.rig", &submit("02")).await.unwrap().contains("duplicate"));
    assert!(ask(&desks, "/account.rig", &submit("03")).await.unwrap().contains("low difficulty"));
    // Another path is another miner in the same nonce space.
    assert!(ask(&desks, "/account.other", &submit("02")).await.unwrap().contains("duplicate"));
    assert!(ask(&desks, "/account.other", &submit("04")).await.unwrap().contains("OK"));
    let judged = judge.0.lock().unwrap().clone();
    let expected = [(2, "account.rig"), (3, "account.rig"), (4, "account.other")];
    assert_eq!(judged, expected.map(|(nonce, worker)| (nonce, worker.to_owned())));
}

#[tokio::test]
async fn what_has_no_account_no_room_or_no_question_is_told_so() {
    let (desks, ring, _) = desks(GetworkRules { desks_max: 1, ..GetworkRules::default() });
    publish(&ring, 1);
    assert_eq!(ask(&desks, "/", GETJOB).await, Err(NoAnswer::NoAccount));
    assert!(ask(&desks, "/nobody.rig", GETJOB).await.unwrap().contains("no such account"));
    assert!(ask(&desks, "/account.rig", GETJOB).await.is_ok(), "the refused one holds no desk");
    assert_eq!(ask(&desks, "/account.second", GETJOB).await, Err(NoAnswer::Full));
    assert_eq!(ask(&desks, "/account.rig", &"x".repeat(5_000)).await, Err(NoAnswer::TooLarge));
    assert!(ask(&desks, "/account.rig", "nonsense").await.unwrap().contains("error"));
}

#[tokio::test]
async fn more_requests_at_once_than_may_be_are_turned_away() {
    let (desks, ring, _) = desks(GetworkRules { requests_max: 1, ..GetworkRules::default() });
    publish(&ring, 1);
    let (slow, fast) = (ask(&desks, "/slow.rig", GETJOB), ask(&desks, "/account.rig", GETJOB));
    let (slow, fast) = tokio::join!(slow, fast);
    assert!(slow.is_ok());
    assert_eq!(fast, Err(NoAnswer::Full));
    assert!(ask(&desks, "/account.rig", GETJOB).await.is_ok(), "a place that was given back is free");
}

#[tokio::test]
async fn it_is_spoken_over_http() {
    let (desks, ring, _) = desks(GetworkRules::default());
    publish(&ring, 1);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = desks.router().into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, service).await });
    let post = async |path: &str, body: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: pool\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let work = post("/account.rig", GETJOB).await;
    assert!(work.starts_with("HTTP/1.1 200") && work.contains(r#""job_id":"1""#), "{work}");
    assert!(post("/account.rig", &submit("02")).await.contains("OK"));
    assert!(post("/", GETJOB).await.starts_with("HTTP/1.1 404"));
    assert!(post("/account.rig", &"x".repeat(5_000)).await.starts_with("HTTP/1.1 413"));
    server.abort();
}
