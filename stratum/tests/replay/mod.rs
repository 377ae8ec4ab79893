//! Replays written conversations byte for byte. The format is described in `testdata/README.md`.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part of it")]

use pool_core::id::{MinerId, Worker, WorkerName};
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::time::{Micros, Moment};
use pool_core::vardiff::VardiffRules;
use pool_stratum::dialect::Dialect;
use pool_stratum::extranonce::{ExtranonceSpace, Lease, SpaceRules};
use pool_stratum::frame::LineBuffer;
use pool_stratum::jobs::JobRing;
use pool_stratum::session::{Action, Input, Login, Outcome, Session, SessionRules, Submission, Ticket};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

/// What a coin's transcripts need beside its dialect.
pub trait Script: Dialect {
    /// The folder under `testdata/transcripts`.
    const FOLDER: &'static str;
    /// Bytes of a connection's extranonce, and which one the conversation has (the first is 1).
    const EXTRANONCE: (u8, usize);

    /// The dialect as the conversations expect it.
    fn dialect() -> Self;

    /// How hard shares are.
    fn vardiff() -> VardiffRules;

    /// The job of a `! job` line.
    fn job(words: &[&str]) -> Self::Job;

    /// What `= prove` shows of a submission, before its work.
    fn shown(submission: &Submission<Self>) -> String;
}

pub struct Replay<D: Dialect> {
    now: Moment,
    lines: LineBuffer,
    session: Session<D>,
    ring: Arc<JobRing<D>>,
    logins: VecDeque<Ticket>,
    proofs: VecDeque<Ticket>,
    asks: VecDeque<Ticket>,
    did: VecDeque<String>,
}

fn lease((width, number): (u8, usize)) -> Lease {
    let rules = SpaceRules { width, instance_bits: 0, instance: 0, rest: Micros::from_secs(300) };
    let space = ExtranonceSpace::new(rules).unwrap();
    for _ in 1..number {
        // A prefix that came back rests, so each is the next one.
        space.take(Moment::ZERO).unwrap();
    }
    space.take(Moment::ZERO).unwrap()
}

impl<D: Script> Replay<D> {
    fn new() -> Self {
        let ring = Arc::new(JobRing::new(300, Micros::from_secs(300)));
        let rules = SessionRules::new(D::dialect(), Limits::default(), D::vardiff(), Arc::clone(&ring));
        let session = Session::new(Arc::new(rules), lease(D::EXTRANONCE), Moment::ZERO);
        Self {
            now: Moment::ZERO,
            lines: LineBuffer::new(64 * 1024),
            session,
            ring,
            logins: VecDeque::new(),
            proofs: VecDeque::new(),
            asks: VecDeque::new(),
            did: VecDeque::new(),
        }
    }

    fn handle(&mut self, input: Input<'_, D>) {
        self.session.handle(self.now, input);
        while let Some(action) = self.session.poll() {
            let did = match action {
                Action::Send(bytes) | Action::Notify(bytes) => {
                    let text = String::from_utf8(bytes.to_vec()).unwrap();
                    let lines = text.strip_suffix('\n').expect("a line ends with LF");
                    // One line for most; a grammar may have a job's terms on a line before it.
                    self.did.extend(lines.split('\n').map(|line| format!("< {line}")));
                    continue;
                }
                Action::Login { ticket, user, password } => {
                    self.logins.push_back(ticket);
                    format!("= login {user} {password}")
                }
                Action::Prove(submission) => {
                    self.proofs.push_back(submission.ticket);
                    format!("= prove {} {}", D::shown(&submission), submission.work.get())
                }
                Action::Ask { ticket, payload, .. } => {
                    self.asks.push_back(ticket);
                    format!("= ask {payload}")
                }
                Action::Remember { worker, work } => format!("= remember {worker} {}", work.get()),
                Action::Close(why) => format!("= close {why}"),
            };
            self.did.push_back(did);
        }
    }

    fn say(&mut self, text: &str) {
        let bytes = text.replace("\\r", "\r").replace("\\t", "\t") + "\n";
        self.lines.push(self.now, bytes.as_bytes());
        while let Some(line) = self.lines.line().unwrap().map(<[u8]>::to_vec) {
            self.handle(Input::Frame(&line));
        }
    }

    fn happen(&mut self, event: &str) {
        let (kind, rest) = event.split_once(' ').unwrap_or((event, ""));
        match kind {
            "wait" => {
                let end = self.now.after(Micros::from_millis(rest.parse().unwrap()));
                while let Some(next) = self.session.deadline().filter(|next| *next <= end) {
                    self.now = next;
                    self.handle(Input::Tick);
                }
                self.now = end;
            }
            "job" => {
                let job = D::job(&rest.split(' ').collect::<Vec<_>>());
                let posted = self.ring.publish(self.now, Arc::new(job)).unwrap();
                self.handle(Input::Job(posted));
            }
            "no-work" => {
                self.ring.suspend();
                self.handle(Input::NoWork);
            }
            "drain" => self.handle(Input::Drain),
            "login" => {
                let (account, name) = rest.split_once(' ').unwrap();
                let miner = MinerId::new(account).unwrap();
                let worker = Worker { miner, name: WorkerName::new(name).unwrap() };
                let ticket = self.logins.pop_front().expect("a login is under way");
                self.handle(Input::LoggedIn { ticket, result: Ok(Login { worker, start: None }) });
            }
            "refuse" => {
                let ticket = self.logins.pop_front().expect("a login is under way");
                self.handle(Input::LoggedIn { ticket, result: Err(rest.to_owned()) });
            }
            "accept" => {
                let ticket = self.proofs.pop_front().expect("a proof is under way");
                self.handle(Input::Settled { ticket, outcome: Outcome::Accepted });
            }
            "reject" => {
                let reject = match rest {
                    "low-difficulty" => Reject::LowDifficulty,
                    "malformed" => Reject::Malformed,
                    "wrong-chain" => Reject::WrongChain,
                    "busy" => Reject::Busy,
                    other => panic!("unknown reject {other}"),
                };
                let ticket = self.proofs.pop_front().expect("a proof is under way");
                self.handle(Input::Settled { ticket, outcome: Outcome::Rejected(reject) });
            }
            "told" => {
                let ticket = self.asks.pop_front().expect("a question is under way");
                self.handle(Input::Told { ticket, result: Ok(rest.to_owned()) });
            }
            "untold" => {
                let ticket = self.asks.pop_front().expect("a question is under way");
                self.handle(Input::Told { ticket, result: Err(rest.to_owned()) });
            }
            other => panic!("unknown event {other}"),
        }
    }

    fn run(&mut self, name: &str, transcript: &str) {
        for (number, line) in transcript.lines().enumerate() {
            let place = format!("{name}:{}", number + 1);
            match line.split_at_checked(2) {
                Some(("< " | "= ", _)) => {
                    let did = self.did.pop_front();
                    assert_eq!(did.as_deref(), Some(line), "{place}");
                    continue;
                }
                Some(("# ", _)) => continue,
                _ => {}
            }
            assert_eq!(self.did.front(), None, "{place}: more was done than is written before this line");
            match line.split_at_checked(2) {
                Some(("> ", said)) => self.say(said),
                Some(("! ", event)) => self.happen(event),
                _ => panic!("{place}: {line}"),
            }
        }
        assert_eq!(self.did.front(), None, "{name}: more was done than is written");
    }
}

/// Replays one file of the coin's folder.
pub fn replay<D: Script>(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/transcripts").join(D::FOLDER).join(name);
    let transcript = std::fs::read_to_string(&path).unwrap();
    Replay::<D>::new().run(name, &transcript);
}

/// A test per file, and one that no file is left out.
macro_rules! transcripts {
    ($dialect:ty: $($name:ident => $file:literal),* $(,)?) => {
        $(#[test] fn $name() { $crate::replay::replay::<$dialect>($file); })*

        #[test]
        fn every_transcript_is_replayed() {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("testdata/transcripts")
                .join(<$dialect as $crate::replay::Script>::FOLDER);
            let mut found: Vec<_> = std::fs::read_dir(folder).unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            found.sort();
            let mut listed = [$($file),*];
            listed.sort_unstable();
            assert_eq!(found, listed);
        }
    };
}
pub(crate) use transcripts;
