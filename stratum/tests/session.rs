//! The session's promises, one by one, and every kind of bad input.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod rig;

use pool_core::id::JobId;
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::time::{Micros, Moment};
use pool_core::units::{Target, U256};
use pool_stratum::dialect::kaspa::difficulty::share_target;
use pool_stratum::dialect::kaspa::{Kaspa, KaspaSolution, KaspaWork};
use pool_stratum::frame::{LineBuffer, LongLine};
use pool_stratum::session::{Close, Input, Outcome, RejectLadder, Session, split_user};
use rig::{ACCOUNT, Rig, difficulty};
use std::sync::Arc;

fn error(code: u32, text: &str) -> String {
    format!(r#"{{"id":9,"result":null,"error":[{code},"{text}",null]}}"#)
}

const TRUE: &str = r#"{"id":9,"result":true,"error":null}"#;

// The way of a connection.

#[test]
fn extranonce_then_difficulty_then_after_a_pause_the_job() {
    let mut rig = Rig::kaspa();
    rig.job(17);
    rig.line(r#"{"id":1,"method":"mining.subscribe","params":["lolMiner"]}"#);
    assert_eq!(rig.said.len(), 1, "{:?}", rig.said);
    rig.authorize("rig0", "x");
    let methods = |rig: &Rig<Kaspa>| -> Vec<bool> {
        ["\"result\":true", "set_extranonce", "set_difficulty", "notify"]
            .iter()
            .zip(&rig.said[1..])
            .map(|(word, line)| line.contains(word))
            .collect()
    };
    assert_eq!(methods(&rig), [true; 3]);
    rig.wait(99);
    assert_eq!(rig.said.len(), 4);
    // A newer job meanwhile: the first that goes out is the newest.
    rig.job(18);
    assert_eq!(rig.said.len(), 4);
    rig.wait(1);
    assert_eq!(methods(&rig), [true; 4]);
    assert!(rig.said[4].contains(r#"["18","#));
    rig.job(19);
    assert!(rig.said[5].contains(r#"["19","#), "from then on at once");
}

#[test]
fn a_miner_that_comes_before_the_first_job_gets_it_when_it_is_there() {
    let mut rig = Rig::kaspa();
    rig.line(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    rig.authorize("rig0", "x");
    rig.wait(5_000);
    assert_eq!(rig.submit("17", "ff"), Some(error(20, "no work: the pool's node is unavailable")));
    rig.said.clear();
    rig.job(17);
    assert!(rig.said[0].contains("mining.notify"));
}

#[test]
fn the_family_is_decided_by_the_first_subscribe() {
    let mut rig = Rig::mining();
    rig.line(r#"{"id":1,"method":"mining.subscribe","params":["IceRiverMiner-v1.1"]}"#);
    rig.job(18);
    assert!(rig.said[1].starts_with(r#"{"id":18,"jsonrpc":"2.0","method":"mining.notify","params":["18",["#));
}

#[test]
fn several_workers_on_one_connection_are_told_apart_by_name() {
    let mut rig = Rig::mining();
    rig.authorize("rig1", "x");
    assert_eq!(rig.said, [r#"{"id":2,"result":true,"error":null}"#], "no second greeting");
    for (user, name) in [("rig1", "rig1"), ("rig0", "rig0"), ("unheard-of", "rig0")] {
        rig.line(&format!(
            r#"{{"id":9,"method":"mining.submit","params":["{ACCOUNT}.{user}","17","{:x}"]}}"#,
            name.len() + rig.proofs.len()
        ));
        assert_eq!(rig.proofs.last().unwrap().worker.name.as_str(), name);
    }
    rig.said.clear();
    rig.authorize("rig2", "x");
    assert_eq!(rig.session.workers().count(), 3);
    // The same again costs no login.
    rig.line(&format!(r#"{{"id":2,"method":"mining.authorize","params":["{ACCOUNT}.rig1","x"]}}"#));
    assert!(rig.logins.is_empty());
}

#[test]
fn workers_on_one_connection_are_bounded() {
    let limits = Limits { workers_per_connection_max: 2, ..Limits::default() };
    let mut rig = Rig::kaspa_with(limits, |_| {}).into_mining();
    rig.authorize("rig1", "x");
    rig.said.clear();
    rig.line(&format!(r#"{{"id":9,"method":"mining.authorize","params":["{ACCOUNT}.rig2","x"]}}"#));
    assert_eq!(rig.said, [error(24, "too many workers on one connection")]);
}

#[test]
fn silence_is_closed_by_state() {
    let mut rig = Rig::kaspa();
    rig.wait(9_999);
    assert_eq!(rig.closed, None);
    rig.wait(1);
    assert_eq!(rig.closed, Some(Close::SubscribeTimeout));
    assert_eq!(rig.session.deadline(), None);

    let mut rig = Rig::kaspa();
    rig.wait(9_000);
    rig.line(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    rig.wait(20_999);
    assert_eq!(rig.closed, None);
    rig.wait(1);
    assert_eq!(rig.closed, Some(Close::AuthorizeTimeout));

    let mut rig = Rig::mining();
    rig.wait(500_000);
    rig.line(r#"{"id":1,"method":"mining.ping"}"#);
    rig.wait(599_999);
    assert_eq!(rig.closed, None);
    rig.wait(1);
    assert_eq!(rig.closed, Some(Close::Idle));
    rig.line(r#"{"id":1,"method":"mining.ping"}"#);
    assert_eq!(rig.said.len(), 1, "nothing follows a close");
}

#[test]
fn draining_waits_for_what_is_under_way() {
    let mut rig = Rig::mining();
    assert_eq!(rig.submit("17", "ff"), None);
    rig.handle(Input::Drain);
    assert_eq!(rig.said, [r#"{"id":null,"jsonrpc":"2.0","method":"client.reconnect","params":[]}"#]);
    rig.wait(60_000);
    rig.handle(Input::Tick);
    assert_eq!(rig.closed, None);
    rig.settle(Outcome::Accepted);
    assert_eq!(rig.said[1], TRUE);
    assert_eq!(rig.closed, Some(Close::Drained));
}

#[test]
fn without_work_live_jobs_are_judged_and_the_rest_is_told_so() {
    let mut rig = Rig::kaspa_with(Limits { jobs_kept_max: 2, ..Limits::default() }, |_| {}).into_mining();
    rig.job(18);
    rig.job(19);
    rig.ring.suspend();
    rig.handle(Input::NoWork);
    assert_eq!(rig.submit("19", "1"), None, "a block may be in it");
    rig.settle(Outcome::Accepted);
    assert_eq!(rig.submit("17", "1"), Some(error(20, "no work: the pool's node is unavailable")));
    rig.wait(119_999);
    assert_eq!(rig.closed, None);
    let before = rig.session.work();
    rig.job(20);
    assert_eq!(rig.submit("17", "1"), Some(error(21, "Stale job")));
    assert_eq!(rig.session.work(), before, "silence without work is not the miner's");
    rig.wait(200_000);
    assert_eq!(rig.closed, None, "work is back");
}

// Difficulty.

#[test]
fn a_share_is_judged_at_the_difficulty_its_job_was_sent_with() {
    let mut rig = Rig::mining();
    rig.line(r#"{"id":5,"method":"mining.suggest_difficulty","params":[2.5]}"#);
    assert_eq!(rig.submit("17", "1"), None);
    assert_eq!(rig.proofs[0].work, difficulty(8192), "nothing changed for job 17");
    rig.said.clear();
    rig.job(18);
    assert!(rig.said[0].ends_with(r#""method":"mining.set_difficulty","params":[2.5]}"#), "{:?}", rig.said);
    assert!(rig.said[1].contains("mining.notify"));
    rig.submit("18", "1");
    rig.submit("17", "2");
    let works: Vec<_> = rig.proofs.iter().map(|proof| proof.work.get()).collect();
    assert_eq!(works, [8192 << 32, 5 << 31, 8192 << 32]);
    for proof in &rig.proofs {
        assert_eq!(proof.share_target, share_target(proof.work));
    }
    rig.job(19);
    assert_eq!(rig.said.iter().filter(|line| line.contains("set_difficulty")).count(), 0, "told once");
}

#[test]
fn a_password_fixes_the_difficulty_within_the_operators_bounds() {
    for (password, shown) in [
        ("d=4", "[4]"),
        ("x;diff=0.001", "[1]"),
        ("d=1e20", "[1073741824]"),
        ("d=-4", "[8192]"),
        ("d=0", "[8192]"),
    ] {
        let mut rig = Rig::kaspa();
        rig.job(17);
        rig.line(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
        rig.authorize("rig0", password);
        assert!(
            rig.said.last().unwrap().ends_with(&format!("\"params\":{shown}}}")),
            "{password}: {:?}",
            rig.said
        );
    }
}

#[test]
fn a_remembered_difficulty_is_the_start_and_a_proved_one_is_remembered() {
    let mut rig = Rig::kaspa();
    rig.job(17);
    rig.line(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    rig.line(&format!(r#"{{"id":2,"method":"mining.authorize","params":["{ACCOUNT}.rig0","x"]}}"#));
    rig.log_in(Some(difficulty(64)));
    assert!(rig.said.last().unwrap().ends_with("[64]}"));
    rig.wait(100);
    // Fifty shares in a second at a goal of one in three seconds: it rises, with a job, not without.
    for nonce in 0..50 {
        rig.now = rig.now.after(Micros::from_millis(20));
        assert_eq!(rig.submit("17", &format!("{nonce:x}")), None);
        assert_eq!(rig.proofs[0].work, difficulty(64));
        rig.settle(Outcome::Accepted);
    }
    assert!(rig.remembered.is_empty(), "64 is what was remembered before");
    rig.said.clear();
    rig.job(18);
    let raised = rig.session.work();
    assert!(raised > difficulty(64));
    assert!(rig.said[0].contains("set_difficulty"));
    rig.submit("18", "ff");
    rig.settle(Outcome::Accepted);
    assert_eq!(rig.remembered.len(), 1);
    assert_eq!(rig.remembered[0].1, raised);
    assert_eq!(rig.session.workers().next(), Some(&rig.remembered[0].0));
}

#[test]
fn a_family_of_powers_of_two_is_given_nothing_else() {
    let mut rig = Rig::kaspa();
    rig.job(17);
    rig.line(r#"{"id":1,"method":"mining.subscribe","params":["IceRiverMiner-v1.1"]}"#);
    rig.line(&format!(r#"{{"id":2,"method":"mining.authorize","params":["{ACCOUNT}","d=100"]}}"#));
    rig.log_in(Some(difficulty(3000)));
    assert!(rig.said.last().unwrap().ends_with("[128]}"), "{:?}", rig.said);
}

// Bad input.

#[test]
fn garbage_is_answered_counted_and_closed() {
    let mut rig = Rig::mining();
    let deep = format!(r#"{{"id":7,"params":{}{}}}"#, "[".repeat(64), "]".repeat(64));
    let long_id = format!(r#"{{"id":"{}","method":"mining.ping"}}"#, "9".repeat(1000));
    for (line, text) in [
        ("GET / HTTP/1.1", "not a JSON object"),
        ("\u{fffd}\u{fffd}", "not a JSON object"),
        (deep.as_str(), "nested too deep"),
        (long_id.as_str(), "id too long"),
    ] {
        rig.said.clear();
        rig.line(line);
        assert_eq!(
            rig.said,
            [format!(r#"{{"id":null,"result":null,"error":[20,"malformed request: {text}",null]}}"#)]
        );
        assert_eq!(rig.closed, None);
    }
    rig.handle(Input::Frame(&[0xff, 0xfe, b'{', 0x80]));
    assert_eq!(rig.closed, Some(Close::Garbage));
    assert!(rig.closed.unwrap().is_hostile());
    assert_eq!(rig.rules.tally().garbage(), 5);
}

#[test]
fn an_accepted_share_makes_up_for_garbage() {
    let mut rig = Rig::mining();
    for round in 0..4 {
        for _ in 0..4 {
            rig.line("x");
        }
        rig.submit("17", &format!("{round:x}"));
        rig.settle(Outcome::Accepted);
    }
    assert_eq!(rig.closed, None);
}

#[test]
fn huge_and_half_lines_never_reach_a_session() {
    let mut lines = LineBuffer::new(Limits::default().line_bytes_max);
    lines.push(Moment::ZERO, &vec![b'['; 9_000]);
    assert_eq!(lines.line(), Err(LongLine { max: 8192 }));

    let mut lines = LineBuffer::new(Limits::default().line_bytes_max);
    lines.push(Moment::ZERO, br#"{"id":9,"method":"mining.submit""#);
    assert_eq!(lines.line(), Ok(None));
    let line_max = Micros::from_millis(Limits::default().line_ms_max);
    assert_eq!(lines.deadline(line_max), Some(Moment::ZERO.after(line_max)));
}

#[test]
fn wrong_types_are_malformed_and_name_the_place() {
    for (line, text) in [
        (r#"{"id":9,"method":7}"#, "method is not a string"),
        (r#"{"id":9,"method":"mining.submit","params":"x"}"#, "params is not an array"),
        (r#"{"id":9,"method":"mining.submit","params":["a"]}"#, "submit needs worker, job and nonce"),
        (r#"{"id":9,"method":"mining.submit","params":[1,"17","ff"]}"#, "submit's worker is not a string"),
        (
            r#"{"id":9,"method":"mining.submit","params":["a",[],"ff"]}"#,
            "submit's job is no string or number",
        ),
        (r#"{"id":9,"method":"mining.submit","params":["a","17",{}]}"#, "submit's nonce is not a string"),
        (
            r#"{"id":9,"method":"mining.submit","params":["a","17","ghi"]}"#,
            "submit's nonce is no number of 64 bits",
        ),
        (r#"{"id":9,"method":"mining.authorize","params":[{}]}"#, "authorize's user is not a string"),
    ] {
        let mut rig = Rig::mining();
        rig.line(line);
        assert_eq!(rig.said, [error(20, &format!("malformed request: {text}"))], "{line}");
        assert!(rig.proofs.is_empty() && rig.logins.is_empty());
    }
}

#[test]
fn unknown_methods_are_refused_and_close_nothing() {
    let mut rig = Rig::mining();
    for method in ["mining.get_transactions", "", "eth_getWork", "login", "\\u0000", "MINING.SUBMIT"] {
        rig.said.clear();
        rig.line(&format!(r#"{{"id":9,"method":"{method}","params":[]}}"#));
        assert_eq!(rig.said, [error(20, "unknown method")], "{method}");
    }
    assert_eq!(rig.closed, None);
}

#[test]
fn a_submit_before_its_time_costs_no_proof() {
    let mut rig = Rig::kaspa();
    rig.job(17);
    assert_eq!(rig.submit("17", "ff"), Some(error(25, "Not subscribed")));
    rig.line(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    assert_eq!(rig.submit("17", "ff"), Some(error(24, "Unauthorized worker")));
    rig.line(&format!(r#"{{"id":2,"method":"mining.authorize","params":["{ACCOUNT}.rig0","x"]}}"#));
    assert_eq!(rig.submit("17", "ff"), Some(error(24, "Unauthorized worker")), "the login is under way");
    rig.log_in(None);
    assert_eq!(rig.submit("17", "ff"), Some(error(21, "Job not found")), "no job was sent yet");
    rig.wait(100);
    assert_eq!(rig.submit("17", "ff"), None);
    assert_eq!(rig.proofs.len(), 1);
}

#[test]
fn a_foreign_extranonce_is_refused() {
    let mut rig = Rig::mining();
    assert_eq!(rig.session.peer().extranonce.to_string(), "0001");
    assert_eq!(rig.submit("17", "0002000000000001"), Some(error(20, "nonce outside of your extranonce")));
    assert_eq!(rig.submit("17", "0000000000000001"), Some(error(20, "nonce outside of your extranonce")));
    assert_eq!(rig.submit("17", "0001000000000001"), None);
    assert_eq!(rig.proofs[0].solution, KaspaSolution { nonce: 0x0001_0000_0000_0001 });
}

#[test]
fn old_unknown_and_stale_jobs_are_told_apart() {
    let mut rig = Rig::kaspa_with(Limits { jobs_kept_max: 3, ..Limits::default() }, |_| {});
    rig.job(15);
    rig.job(16);
    let mut rig = rig.into_mining();
    for job in ["15", "16"] {
        assert_eq!(
            rig.submit(job, "1"),
            Some(error(21, "Job not found")),
            "live, and never this connection's"
        );
    }
    assert_eq!(rig.submit("18", "1"), Some(error(21, "Job not found")), "not yet");
    assert_eq!(rig.submit("317", "1"), Some(error(21, "Job not found")), "317 is not 17");
    for id in 18..=20 {
        rig.job(id);
    }
    assert_eq!(rig.submit("17", "1"), Some(error(21, "Stale job")), "pushed out");
    assert_eq!(rig.submit("18", "1"), None);
    rig.wait(300_001);
    rig.job(21);
    assert_eq!(rig.submit("20", "1"), Some(error(21, "Stale job")), "aged");
    assert_eq!(rig.submit("21", "1"), None);
    assert_eq!(rig.proofs.len(), 2);
}

#[test]
fn a_solution_has_many_spellings_and_is_paid_once() {
    let mut rig = Rig::mining();
    assert_eq!(rig.submit("17", "0xab"), None);
    for spelling in ["ab", "AB", "0xAB", "0X00ab", "0000000000ab", "00010000000000ab", "0x10000000000ab"] {
        assert_eq!(
            rig.submit("17", spelling),
            Some(error(22, "Duplicate share submitted")),
            "{spelling}, in flight"
        );
    }
    rig.settle(Outcome::Accepted);
    for spelling in ["ab", "AB", "0xAB", "00010000000000ab"] {
        assert_eq!(
            rig.submit("17", spelling),
            Some(error(22, "Duplicate share submitted")),
            "{spelling}, accepted"
        );
    }
    assert_eq!(
        rig.submit("017", "ab"),
        Some(error(22, "Duplicate share submitted")),
        "the job's spelling, too"
    );
    assert_eq!(rig.session.remembered(), 1);
}

#[test]
fn the_same_work_under_another_id_is_paid_once() {
    let mut rig = Rig::mining();
    rig.submit("17", "ab");
    let twin = KaspaWork { id: JobId::new(18), ..*rig::kaspa_job(17) };
    rig.publish(Arc::new(twin));
    assert_eq!(rig.submit("18", "ab"), Some(error(22, "Duplicate share submitted")), "in flight");
    rig.settle(Outcome::Accepted);
    assert_eq!(rig.submit("18", "ab"), Some(error(22, "Duplicate share submitted")));
    rig.job(19);
    assert_eq!(rig.submit("19", "ab"), None, "other work");
}

#[test]
fn solutions_are_forgotten_with_their_work() {
    let mut rig = Rig::kaspa_with(Limits { jobs_kept_max: 3, ..Limits::default() }, |_| {}).into_mining();
    rig.submit("17", "ab");
    rig.settle(Outcome::Accepted);
    for (id, remembered) in [(18, 1), (19, 1), (20, 0)] {
        rig.job(id);
        assert_eq!(rig.session.remembered(), remembered, "{id}");
    }
}

#[test]
fn a_rejected_solution_is_not_remembered() {
    let mut rig = Rig::mining();
    assert_eq!(rig.submit("17", "ab"), None);
    rig.settle(Outcome::Rejected(Reject::LowDifficulty));
    assert_eq!(rig.said, [error(23, "Invalid difficulty")]);
    assert_eq!((rig.session.remembered(), rig.session.pending()), (0, 0));
    assert_eq!(rig.submit("17", "ab"), None, "it may be tried again, and fails again: no junk in the set");
    // The log was full or down: the miner may send it again, and is not blamed.
    rig.settle(Outcome::Rejected(Reject::Busy));
    assert_eq!(rig.submit("17", "ab"), None);
    rig.settle(Outcome::Accepted);
    assert_eq!(rig.session.remembered(), 1);
}

#[test]
fn a_hash_equal_to_the_target_is_a_share_and_one_above_is_not() {
    use pool_core::id::{BlockId, InstanceId};
    use pool_core::share::{Candidate, Evidence, Proof, Verdict, judge};
    let mut rig = Rig::mining();
    rig.submit("17", "ab");
    let submission = &rig.proofs[0];
    let target = submission.share_target.get();
    let judged = |hash: U256| {
        let candidate = Candidate {
            instance: InstanceId::new(0),
            at: pool_core::time::Timestamp::from_millis(0),
            worker: submission.worker.clone(),
            share_target: submission.share_target,
            network_target: Target::new(U256::ZERO),
            chain: 0,
            evidence: Evidence::new(b"").unwrap(),
            block: BlockId::new([0; 32]),
        };
        match judge(candidate, Proof::new(hash)) {
            Verdict::Accepted(_) => Outcome::Accepted,
            Verdict::Rejected(reject) => Outcome::Rejected(reject),
        }
    };
    let (equal, above) = (judged(target), judged(target + U256::ONE));
    rig.settle(equal);
    assert_eq!(rig.said, [TRUE]);
    rig.submit("17", "ac");
    rig.settle(above);
    assert_eq!(rig.said, [error(23, "Invalid difficulty")]);
}

#[test]
fn an_address_that_is_none_is_explained_and_the_attempts_are_bounded() {
    let mut rig = Rig::kaspa();
    rig.line(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    for attempt in 1..=5 {
        rig.said.clear();
        rig.line(r#"{"id":9,"method":"mining.authorize","params":["kaspa:typo","x"]}"#);
        let (ticket, ..) = rig.logins.pop().unwrap();
        let why = "checksum of \"kaspa:typo\" does not match".to_owned();
        rig.handle(Input::LoggedIn { ticket, result: Err(why) });
        assert_eq!(rig.said, [error(24, "checksum of \\\"kaspa:typo\\\" does not match")]);
        assert_eq!(rig.closed.is_some(), attempt == 5);
    }
    assert_eq!(rig.closed, Some(Close::Refused));
}

#[test]
fn hostile_worker_names_come_out_harmless() {
    for (name, clean) in [
        ("'; DROP TABLE shares;--", "___DROP_TABLE_shares_--"),
        ("<script>alert(1)</script>", "_script_alert_1___script_"),
        ("a\\nb\\u0000c\\u202e", "a_b_c_"),
        ("..", "default"),
        ("{}\\\"=,", "_____"),
    ] {
        let mut rig = Rig::kaspa();
        rig.line(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
        rig.authorize(name, "x");
        assert_eq!(rig.session.workers().next().unwrap().name.as_str(), clean, "{name}");
    }
    let long = format!("{ACCOUNT}.{}", "x".repeat(5_000));
    let (account, name) = split_user(&long);
    assert_eq!((account, name.as_str().len()), (ACCOUNT, 64));
    let mut rig = Rig::kaspa();
    rig.line(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    rig.line(&format!(r#"{{"id":9,"method":"mining.authorize","params":["{}","x"]}}"#, "x".repeat(600)));
    assert!(rig.logins.is_empty());
    assert_eq!(rig.said[1], error(24, "user name or password too long"));
}

#[test]
fn proofs_under_way_are_bounded() {
    let limits = Limits { pending_submits_max: 3, ..Limits::default() };
    let mut rig = Rig::kaspa_with(limits, |_| {}).into_mining();
    for nonce in ["1", "2", "3"] {
        assert_eq!(rig.submit("17", nonce), None);
    }
    assert_eq!(rig.submit("17", "4"), Some(error(20, "pool busy, try again")));
    rig.settle(Outcome::Accepted);
    assert_eq!(rig.submit("17", "4"), None);
}

#[test]
fn a_full_duplicate_set_makes_old_work_stale_and_never_forgets_live_work() {
    let limits = Limits { duplicates_kept_max: 4, ..Limits::default() };
    let mut rig = Rig::kaspa_with(limits, |_| {}).into_mining();
    for nonce in ["1", "2", "3"] {
        rig.submit("17", nonce);
        rig.settle(Outcome::Accepted);
    }
    rig.job(18);
    for nonce in ["1", "2"] {
        rig.submit("18", nonce);
        rig.settle(Outcome::Accepted);
    }
    assert_eq!(rig.submit("17", "1"), Some(error(21, "Stale job")));
    assert_eq!(rig.submit("18", "1"), Some(error(22, "Duplicate share submitted")));
    assert!(rig.session.remembered() <= 4);
}

#[test]
fn rejects_in_a_row_climb_the_ladder() {
    let ladder = RejectLadder { resend: 3, reconnect: 5, close: 7 };
    let mut rig = Rig::kaspa_with(Limits::default(), |rules| rules.ladder = ladder).into_mining();
    let mut lines = Vec::new();
    for _ in 0..7 {
        rig.submit("9", "1");
        lines.push(rig.said.len());
    }
    // Extranonce, difficulty and job again; please reconnect; closed.
    assert_eq!(lines, [1, 1, 4, 1, 2, 1, 1]);
    assert_eq!(rig.closed, Some(Close::Rejects));
    assert!(!rig.closed.unwrap().is_hostile(), "broken, not hostile");

    let mut rig = Rig::kaspa_with(Limits::default(), |rules| rules.ladder = ladder).into_mining();
    for round in 0..20 {
        rig.submit("9", "1");
        rig.submit("9", "1");
        rig.submit("17", &format!("{round:x}"));
        rig.settle(Outcome::Accepted);
    }
    assert_eq!(rig.closed, None, "an accepted share starts over");
    let counts: Vec<_> = rig.rules.tally().rejected().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counts, [(Reject::UnknownJob, 40)]);
    assert_eq!(rig.rules.tally().accepted(), 20);
}

#[test]
fn reports_for_unknown_tickets_are_ignored() {
    let mut rig = Rig::mining();
    rig.submit("17", "1");
    let ticket = rig.proofs[0].ticket;
    rig.settle(Outcome::Accepted);
    rig.said.clear();
    rig.handle(Input::Settled { ticket, outcome: Outcome::Accepted });
    rig.handle(Input::LoggedIn { ticket, result: Err("late".into()) });
    assert!(rig.said.is_empty());
}

#[test]
fn an_idle_session_is_small() {
    // Ten thousand of them are to fit in memory with their sockets: this is the part that is ours.
    assert!(size_of::<Session<Kaspa>>() <= 512, "{}", size_of::<Session<Kaspa>>());
    assert!(size_of::<LineBuffer>() <= 80, "{}", size_of::<LineBuffer>());
}

#[test]
fn a_notification_is_one_text_for_all_connections() {
    let mut rig = Rig::mining();
    let posted = rig.ring.publish(rig.now, rig::kaspa_job(18)).unwrap();
    let mut lines = Vec::new();
    for _ in 0..2 {
        let mut other = Session::new(Arc::clone(&rig.rules), rig::space().take(rig.now).unwrap(), rig.now);
        std::mem::swap(&mut other, &mut rig.session);
        rig.line(r#"{"id":1,"method":"mining.subscribe","params":["lolMiner"]}"#);
        rig.authorize("rig0", "x");
        rig.wait(100);
        rig.session.handle(rig.now, Input::Job(rig.ring.newest().unwrap()));
        lines
            .push(rig.ring.newest().unwrap().line(0, |_| panic!("it was rendered for the first connection")));
    }
    assert_eq!(lines[0].as_ptr(), lines[1].as_ptr());
    assert_eq!(posted.id(), JobId::new(18));
}
