//! The other shape of protocol, to show that the trait carries it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod rig;

use pool_core::id::JobId;
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::time::Micros;
use pool_core::units::Target;
use pool_stratum::session::{Input, Outcome};
use rig::login_style::{Blob, LoginStyle};
use rig::{Rig, difficulty};
use std::sync::Arc;

#[test]
fn one_login_brings_the_first_job() {
    let mut rig = Rig::new(LoginStyle, Limits::default(), Micros::from_secs(60), |_| {});
    rig.publish(Arc::new(Blob { id: JobId::new(1), blob: 7 }));
    rig.line(r#"{"id":1,"method":"login","params":{"login":"account.rig","pass":"x","agent":"xmr"}}"#);
    rig.log_in(None);
    let target = Target::from_work(difficulty(8192));
    let job = |id, blob| format!(r#"{{"job_id":"{id}","blob":"{blob}","target":"{target}"}}"#);
    let welcome =
        format!(r#"{{"id":1,"result":{{"id":"m","job":{},"status":"OK"}},"error":null}}"#, job(1, "07"));
    assert_eq!(rig.said, [welcome]);
    rig.said.clear();
    rig.line(r#"{"id":2,"method":"submit","params":{"job_id":"1","nonce":"ff"}}"#);
    assert_eq!((rig.proofs[0].solution, rig.proofs[0].share_target), (255, target));
    rig.settle(Outcome::Accepted);
    rig.publish(Arc::new(Blob { id: JobId::new(2), blob: 8 }));
    rig.line(r#"{"id":3,"method":"submit","params":{"job_id":"1","nonce":"fe"}}"#);
    rig.line(r#"{"id":4,"method":"keepalived","params":{}}"#);
    assert_eq!(
        rig.said,
        [
            r#"{"id":2,"result":{"status":"OK"},"error":null}"#.to_owned(),
            format!(r#"{{"method":"job","params":{}}}"#, job(2, "08")),
            r#"{"id":3,"result":null,"error":{"code":-1,"message":"stale job"}}"#.to_owned(),
            r#"{"id":4,"result":{"status":"OK"},"error":null}"#.to_owned(),
        ]
    );
}

/// Logged in on an own connection, and with the replies so far forgotten.
fn miner(ring: Option<&Rig<LoginStyle>>) -> Rig<LoginStyle> {
    let mut rig = match ring {
        Some(other) => other.beside(),
        None => Rig::new(LoginStyle, Limits::default(), Micros::from_secs(60), |_| {}),
    };
    rig.line(r#"{"id":1,"method":"login","params":{"login":"account.rig","pass":"x","agent":"xmr"}}"#);
    rig.log_in(None);
    rig.said.clear();
    rig
}

#[test]
fn who_asks_for_work_is_told_the_newest_job_and_may_answer_it() {
    let mut rig = miner(None);
    rig.line(r#"{"id":2,"method":"getjob","params":{}}"#);
    assert_eq!(rig.said, [r#"{"id":2,"result":null,"error":null}"#], "there is none yet");
    rig.said.clear();
    // Published while nobody rang: a poll finds it all the same.
    rig.ring.publish(rig.now, Arc::new(Blob { id: JobId::new(1), blob: 7 })).unwrap();
    rig.line(r#"{"id":3,"method":"getjob","params":{}}"#);
    rig.line(r#"{"id":4,"method":"getjob","params":{}}"#);
    assert!(rig.said[0].contains(r#""job_id":"1""#) && rig.said[1].contains(r#""job_id":"1""#));
    rig.line(r#"{"id":5,"method":"submit","params":{"job_id":"1","nonce":"ff"}}"#);
    assert_eq!(rig.proofs.len(), 1);
}

#[test]
fn a_solution_is_taken_once_over_all_connections_that_share_the_nonce_space() {
    let mut one = miner(None);
    let mut two = miner(Some(&one));
    let posted = one.ring.publish(one.now, Arc::new(Blob { id: JobId::new(1), blob: 7 })).unwrap();
    one.handle(Input::Job(posted.clone()));
    two.handle(Input::Job(posted));
    let submit = r#"{"id":5,"method":"submit","params":{"job_id":"1","nonce":"ff"}}"#;
    one.line(submit);
    two.said.clear();
    two.line(submit);
    assert_eq!(two.proofs.len(), 0);
    assert!(two.said[0].contains("duplicate"), "{:?}", two.said);
    // What earned nothing is free again; what was paid is not.
    one.settle(Outcome::Rejected(Reject::Busy));
    two.line(submit);
    two.settle(Outcome::Accepted);
    one.said.clear();
    one.line(submit);
    assert_eq!(one.proofs.len(), 0);
    assert!(one.said[0].contains("duplicate"), "{:?}", one.said);
}

#[test]
fn a_question_for_the_service_is_passed_on_and_bounded() {
    let mut rig = Rig::new(LoginStyle, Limits::default(), Micros::from_secs(60), |_| {});
    let ask = r#"{"id":7,"method":"service","params":{"payload":"abc"}}"#;
    rig.line(ask);
    assert!(rig.asks.is_empty() && rig.said[0].contains("error"), "not before the login");
    let mut rig = miner(None);
    for _ in 0..5 {
        rig.line(ask);
    }
    assert_eq!((rig.asks.len(), rig.asks[0].1.as_str()), (4, "abc"));
    assert!(rig.said[0].contains("-1"), "the fifth is refused");
    rig.said.clear();
    let (first, second) = (rig.asks[0].0, rig.asks[1].0);
    rig.handle(Input::Told { ticket: first, result: Ok("xyz".into()) });
    rig.handle(Input::Told { ticket: first, result: Ok("twice".into()) });
    rig.handle(Input::Told { ticket: second, result: Err("away".into()) });
    assert_eq!(rig.said[0], r#"{"id":7,"result":"xyz","error":null}"#);
    assert!(rig.said[1].contains("away") && rig.said.len() == 2);
}

#[test]
fn a_grammar_may_name_workers_its_own_way() {
    let mut rig = miner(None);
    rig.line(r#"{"id":1,"method":"login","params":{"login":"account.second","pass":"x","agent":"xmr"}}"#);
    rig.log_in(None);
    rig.publish(Arc::new(Blob { id: JobId::new(1), blob: 7 }));
    for (nonce, by) in [("01", "w-1"), ("02", "w-0"), ("03", "account.second"), ("04", "nobody")] {
        rig.line(&format!(
            r#"{{"id":5,"method":"submit","params":{{"job_id":"1","nonce":"{nonce}","by":"{by}"}}}}"#
        ));
    }
    let names: Vec<_> = rig.proofs.iter().map(|proof| proof.worker.name.as_str()).collect();
    assert_eq!(names, ["second", "rig", "second", "rig"]);
}
