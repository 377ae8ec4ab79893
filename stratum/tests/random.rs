//! A session under anything: it never panics, its queues stay bounded, and it keeps its word on every share.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod rig;

use pool_core::id::JobId;
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::units::Work;
use pool_stratum::dialect::kaspa::{KaspaWork, difficulty};
use pool_stratum::session::{Input, Outcome};
use proptest::prelude::*;
use rig::{ACCOUNT, Rig, kaspa_job};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Step {
    Bytes(Vec<u8>),
    Line(String),
    Submit { back: u64, nonce: u8, hex: bool },
    Job { twin: bool },
    Settle { which: usize, outcome: u8 },
    LogIn { ok: bool, start: Option<u128> },
    NoWork,
    Drain,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lines = prop_oneof![
        Just(r#"{"id":1,"method":"mining.subscribe","params":["lolMiner"]}"#.to_owned()),
        Just(r#"{"id":1,"method":"mining.subscribe","params":["IceRiver"]}"#.to_owned()),
        Just(r#"{"id":1,"method":"mining.extranonce.subscribe"}"#.to_owned()),
        "[a-z]{1,3}".prop_map(|name| format!(
            r#"{{"id":2,"method":"mining.authorize","params":["{ACCOUNT}.{name}","x"]}}"#
        )),
        (0..100_000u32)
            .prop_map(|d| format!(r#"{{"id":3,"method":"mining.suggest_difficulty","params":[{d}]}}"#)),
        "[ -~]{0,60}",
    ];
    let step = prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Step::Bytes),
        4 => lines.prop_map(Step::Line),
        12 => (0..6u64, 0..8u8, any::<bool>()).prop_map(|(back, nonce, hex)| Step::Submit { back, nonce, hex }),
        6 => any::<bool>().prop_map(|twin| Step::Job { twin }),
        10 => (any::<usize>(), 0..8u8).prop_map(|(which, outcome)| Step::Settle { which, outcome }),
        3 => (any::<bool>(), proptest::option::of(1..=u128::MAX)).prop_map(|(ok, start)| Step::LogIn { ok: ok || start.is_some(), start }),
        1 => Just(Step::NoWork),
        1 => prop_oneof![9 => Just(Step::NoWork), 1 => Just(Step::Drain)],
        4 => (0..20_000u64).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..200)
}

fn limits() -> Limits {
    Limits {
        jobs_kept_max: 4,
        pending_submits_max: 3,
        duplicates_kept_max: 5,
        workers_per_connection_max: 2,
        garbage_lines_max: 50,
        ..Limits::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_session_survives_everything_and_keeps_its_word(steps in steps()) {
        let mut rig = Rig::kaspa_with(limits(), |_| {});
        rig.line(r#"{"id":1,"method":"mining.subscribe","params":["lolMiner"]}"#);
        let (mut last, mut work) = (0u64, 0u64);
        // What the miner was told: the difficulty of each job, by the order of the lines.
        let mut told: Option<Work> = None;
        let mut sent: BTreeMap<u64, Work> = BTreeMap::new();
        let mut works: BTreeMap<u64, u64> = BTreeMap::new();
        let mut paid: BTreeSet<(u64, u64)> = BTreeSet::new();
        let mut under_way: BTreeSet<(u64, u64)> = BTreeSet::new();
        for step in steps {
            if rig.closed.is_some() {
                prop_assert_eq!(rig.session.deadline(), None);
                break;
            }
            let proofs = rig.proofs.len();
            match step {
                Step::Bytes(bytes) => rig.handle(Input::Frame(&bytes)),
                Step::Line(line) => rig.line(&line),
                Step::Submit { back, nonce, hex } => {
                    let job = (last + 1).saturating_sub(back);
                    let nonce = if hex { format!("0x{nonce:04X}") } else { format!("{nonce:x}") };
                    rig.line(&format!(r#"{{"id":9,"method":"mining.submit","params":["w","{job}","{nonce}"]}}"#));
                }
                Step::Job { twin } => {
                    last += 1;
                    if !twin || last == 1 {
                        work = last;
                    }
                    works.insert(last, work);
                    rig.publish(Arc::new(KaspaWork { id: JobId::new(last), ..*kaspa_job(work) }));
                }
                Step::Settle { which, outcome } if !rig.proofs.is_empty() => {
                    let proof = rig.proofs.remove(which % rig.proofs.len());
                    let key = (works[&proof.job.id.get()], proof.solution.nonce);
                    under_way.remove(&key);
                    let outcome = match outcome {
                        0 => Outcome::Rejected(Reject::LowDifficulty),
                        1 => Outcome::Rejected(Reject::Busy),
                        _ => Outcome::Accepted,
                    };
                    if outcome == Outcome::Accepted {
                        prop_assert!(paid.insert(key), "paid twice");
                    }
                    rig.handle(Input::Settled { ticket: proof.ticket, outcome });
                }
                Step::Settle { .. } => {}
                Step::LogIn { .. } if rig.logins.is_empty() => {}
                Step::LogIn { ok: true, start } => rig.log_in(start.and_then(|start| Work::new(start).ok())),
                Step::LogIn { ok: false, .. } => {
                    let (ticket, ..) = rig.logins.remove(0);
                    rig.handle(Input::LoggedIn { ticket, result: Err("no".into()) });
                }
                Step::NoWork => {
                    rig.ring.suspend();
                    rig.handle(Input::NoWork);
                }
                Step::Drain => rig.handle(Input::Drain),
                Step::Wait(millis) => rig.wait(millis),
            }
            for line in std::mem::take(&mut rig.said) {
                prop_assert!(line.len() < 512 && !line.contains('\n'));
                let json: BTreeMap<String, &serde_json::value::RawValue> = serde_json::from_str(&line).unwrap();
                let Some(params) = json.get("params").map(|raw| raw.get()) else { continue };
                if line.contains("mining.set_difficulty") {
                    told = difficulty::parse(params.trim_matches(['[', ']']));
                    prop_assert!(told.is_some());
                } else if line.contains("mining.notify") {
                    let id: u64 = params.split('"').nth(1).unwrap().parse().unwrap();
                    let told = told.expect("a difficulty comes before any job");
                    // The ladder sends a job again, at the same difficulty.
                    prop_assert!(sent.insert(id, told).is_none_or(|before| before == told));
                }
            }
            prop_assert!(rig.proofs.len() <= proofs + 1, "one proof per input at most");
            for proof in &rig.proofs[proofs.min(rig.proofs.len())..] {
                let job = proof.job.id.get();
                if let Some(told) = sent.get(&job) {
                    prop_assert_eq!(proof.work, *told, "judged at what the job was sent with");
                }
                prop_assert!(sent.keys().next().is_some_and(|first| *first <= job) && job <= last);
                let key = (works[&job], proof.solution.nonce);
                prop_assert!(!paid.contains(&key), "a paid solution is asked about again");
                prop_assert!(under_way.insert(key), "a solution is under way twice");
            }
            let limits = limits();
            prop_assert!(rig.session.pending() == rig.proofs.len() && rig.proofs.len() <= limits.pending_submits_max);
            prop_assert!(rig.session.remembered() <= limits.duplicates_kept_max);
            prop_assert!(rig.session.workers().count() + rig.logins.len() <= limits.workers_per_connection_max);
            prop_assert!(rig.closed.is_some() || rig.session.deadline().is_some());
        }
    }
}
