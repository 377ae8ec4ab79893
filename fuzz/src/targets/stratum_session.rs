//! A whole connection, driven by a script.
//!
//! The script is a transcript as the crate `pool-stratum` keeps them, so recorded conversations are its corpus: `>`
//! before a line that the miner sends, `!` before what happens to it (`job`, `wait`, `login`, `refuse`, `accept`,
//! `reject`, `no-work`, `drain`). What the pool is expected to do (`<`, `=`) and remarks are skipped: here only the
//! promises count. Everything that cannot be understood is skipped too, so that every mutation is a conversation.

use super::text;
use pool_core::id::{JobId, MinerId, Worker, WorkerName};
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::time::{Micros, Moment};
use pool_core::units::Work;
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_stratum::dialect::Dialect;
use pool_stratum::dialect::kaspa::{Kaspa, KaspaWork};
use pool_stratum::extranonce::{Extranonce, ExtranonceSpace, SpaceRules};
use pool_stratum::frame::LineBuffer;
use pool_stratum::jobs::JobRing;
use pool_stratum::session::{Action, Input, Login, Outcome, Session, SessionRules, Submission, Ticket};
use serde::de::IgnoredAny;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Longest time a script can let pass at once, and steps it may have: a test shall end.
const WAIT_MS_MAX: u64 = 700_000;
const STEPS_MAX: usize = 400;
/// Bytes of a line that a session sends: its own words, an echoed id, and a refusal's text.
const SENT_BYTES_MAX: usize = 2_048;

/// The session keeps its word: one line per message, one proof per input, no solution paid twice, bounded memory,
/// nothing after a close, and a deadline as long as it lives.
pub fn target(data: &[u8]) {
    let script = text(data);
    let mut bench = Bench::new();
    for line in script.lines().take(STEPS_MAX) {
        match line.split_at_checked(2) {
            Some(("> ", said)) => bench.say(said),
            Some(("! ", event)) => bench.happen(event),
            _ => continue,
        }
        if bench.closed {
            break;
        }
    }
}

struct Bench {
    now: Moment,
    limits: Limits,
    lines: LineBuffer,
    session: Session<Kaspa>,
    ring: Arc<JobRing<Kaspa>>,
    extranonce: Extranonce,
    logins: Vec<Ticket>,
    proofs: Vec<Submission<Kaspa>>,
    paid: BTreeSet<(JobId, u64)>,
    closed: bool,
}

impl Bench {
    fn new() -> Self {
        // Small bounds, so that a short script reaches them.
        let limits = Limits {
            jobs_kept_max: 4,
            pending_submits_max: 3,
            duplicates_kept_max: 8,
            workers_per_connection_max: 2,
            ..Limits::default()
        };
        let difficulty = |whole: u128| Work::new(whole << 32).expect("above zero");
        let range = WorkRange::new(difficulty(1), difficulty(1 << 30)).expect("1 is below 2^30");
        let vardiff =
            VardiffRules::new(Micros::from_secs(3), range, difficulty(8192)).expect("within the range");
        let ring = Arc::new(JobRing::new(limits.jobs_kept_max, Micros::from_secs(300)));
        let rules = SessionRules::new(Kaspa::default(), limits.clone(), vardiff, Arc::clone(&ring));
        let rest = Micros::from_secs(300);
        let space = ExtranonceSpace::new(SpaceRules { width: 2, instance_bits: 0, instance: 0, rest })
            .expect("two bytes for one instance");
        // The transcripts' nonces begin with 0021; a prefix that came back rests, so each is the next one.
        for _ in 1..0x21 {
            drop(space.take(Moment::ZERO));
        }
        let lease = space.take(Moment::ZERO).expect("65 535 are there");
        Self {
            now: Moment::ZERO,
            lines: LineBuffer::new(limits.line_bytes_max),
            limits,
            extranonce: lease.extranonce(),
            session: Session::new(Arc::new(rules), lease, Moment::ZERO),
            ring,
            logins: Vec::new(),
            proofs: Vec::new(),
            paid: BTreeSet::new(),
            closed: false,
        }
    }

    fn handle(&mut self, input: Input<'_, Kaspa>) {
        let before = self.proofs.len();
        self.session.handle(self.now, input);
        while let Some(action) = self.session.poll() {
            assert!(!self.closed, "nothing follows a close");
            match action {
                Action::Send(bytes) | Action::Notify(bytes) => {
                    assert!(bytes.len() <= SENT_BYTES_MAX, "a line of {} bytes", bytes.len());
                    assert_eq!(bytes.iter().position(|byte| *byte == b'\n'), Some(bytes.len() - 1));
                    serde_json::from_slice::<IgnoredAny>(&bytes).expect("a message is JSON");
                }
                Action::Login { ticket, .. } => self.logins.push(ticket),
                Action::Prove(submission) => {
                    assert!(self.extranonce.owns(submission.solution.nonce), "another connection's nonce");
                    let key = (submission.job.id, submission.solution.nonce);
                    assert!(!self.paid.contains(&key), "a paid solution is asked about again");
                    let under_way = |other: &Submission<Kaspa>| (other.job.id, other.solution.nonce) == key;
                    assert!(!self.proofs.iter().any(under_way), "a solution is under way twice");
                    assert_eq!(
                        submission.share_target,
                        Kaspa::<KaspaWork>::default().share_target(submission.work)
                    );
                    self.proofs.push(submission);
                }
                Action::Ask { .. } => panic!("Kaspa's grammar has no question for a service"),
                Action::Remember { worker, .. } => assert!(WorkerName::new(worker.name.as_str()).is_ok()),
                Action::Close(_) => self.closed = true,
            }
        }
        assert!(self.proofs.len() <= before + 1, "one proof per input at most");
        assert_eq!(self.session.pending(), self.proofs.len());
        assert!(self.proofs.len() <= self.limits.pending_submits_max);
        assert!(self.session.remembered() <= self.limits.duplicates_kept_max);
        let workers = self.session.workers().count();
        assert!(workers + self.logins.len() <= self.limits.workers_per_connection_max);
        assert_eq!(self.session.deadline().is_none(), self.closed);
    }

    fn say(&mut self, text: &str) {
        let bytes = text.replace("\\r", "\r").replace("\\t", "\t") + "\n";
        self.lines.push(self.now, bytes.as_bytes());
        let mut said = Vec::new();
        while let Ok(Some(line)) = self.lines.line() {
            said.push(line.to_vec());
        }
        for line in said {
            if !self.closed {
                self.handle(Input::Frame(&line));
            }
        }
    }

    fn happen(&mut self, event: &str) {
        let mut words = event.split(' ');
        let (kind, rest) = (words.next().unwrap_or_default(), words.collect::<Vec<_>>());
        match (kind, rest.as_slice()) {
            ("wait", [millis]) => self.wait(millis.parse().unwrap_or(WAIT_MS_MAX)),
            ("job", [id, pre_pow, timestamp]) => self.job(id, pre_pow, timestamp),
            ("no-work", _) => {
                self.ring.suspend();
                self.handle(Input::NoWork);
            }
            ("drain", _) => self.handle(Input::Drain),
            ("login", [account, name]) => {
                let Ok(miner) = MinerId::new(account) else { return };
                let login = Login { worker: Worker { miner, name: WorkerName::clean(name) }, start: None };
                self.logged_in(Ok(login));
            }
            ("refuse", why) => {
                let why: String = why.join(" ").chars().take(200).collect();
                self.logged_in(Err(why));
            }
            ("accept", _) => self.settle(Outcome::Accepted),
            ("reject", ["busy"]) => self.settle(Outcome::Rejected(Reject::Busy)),
            ("reject", _) => self.settle(Outcome::Rejected(Reject::LowDifficulty)),
            _ => {}
        }
    }

    fn wait(&mut self, millis: u64) {
        let end = self.now.after(Micros::from_millis(millis.min(WAIT_MS_MAX)));
        let mut ticks = 0;
        while let Some(next) = self.session.deadline().filter(|next| *next <= end && !self.closed) {
            ticks += 1;
            assert!(ticks < 10_000, "a deadline that never moves");
            self.now = self.now.max(next);
            self.handle(Input::Tick);
        }
        self.now = end;
    }

    fn job(&mut self, id: &str, pre_pow: &str, timestamp: &str) {
        let mut bytes = [0; 32];
        // A damaged hash is a job all the same.
        let _ = hex::decode_to_slice(pre_pow, &mut bytes);
        let (Ok(id), Ok(timestamp)) = (id.parse(), timestamp.parse()) else { return };
        let job = KaspaWork { id: JobId::new(id), pre_pow: bytes, timestamp, clean: true };
        if let Ok(posted) = self.ring.publish(self.now, Arc::new(job)) {
            self.handle(Input::Job(posted));
        }
    }

    fn logged_in(&mut self, result: Result<Login, String>) {
        if !self.logins.is_empty() {
            let ticket = self.logins.remove(0);
            self.handle(Input::LoggedIn { ticket, result });
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        if self.proofs.is_empty() {
            return;
        }
        let Submission { ticket, job, solution, .. } = self.proofs.remove(0);
        if outcome == Outcome::Accepted {
            assert!(self.paid.insert((job.id, solution.nonce)), "paid twice");
        }
        self.handle(Input::Settled { ticket, outcome });
    }
}
