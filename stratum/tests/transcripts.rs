//! Conversations of every miner family, replayed byte for byte. The format is described in `testdata/README.md`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use pool_core::id::{JobId, MinerId, Worker, WorkerName};
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::time::{Micros, Moment};
use pool_core::units::Work;
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_stratum::dialect::kaspa::{Kaspa, KaspaSolution, KaspaWork};
use pool_stratum::extranonce::{ExtranonceSpace, Lease, SpaceRules};
use pool_stratum::frame::LineBuffer;
use pool_stratum::jobs::JobRing;
use pool_stratum::session::{Action, Input, Login, Outcome, Session, SessionRules, Ticket};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

struct Replay {
    now: Moment,
    lines: LineBuffer,
    session: Session<Kaspa>,
    ring: Arc<JobRing<Kaspa>>,
    logins: VecDeque<Ticket>,
    proofs: VecDeque<Ticket>,
    did: VecDeque<String>,
}

fn lease(number: usize) -> Lease {
    let rules = SpaceRules { width: 2, instance_bits: 0, instance: 0, rest: Micros::from_secs(300) };
    let space = ExtranonceSpace::new(rules).unwrap();
    for _ in 1..number {
        // A prefix that came back rests, so each is the next one.
        space.take(Moment::ZERO).unwrap();
    }
    space.take(Moment::ZERO).unwrap()
}

impl Replay {
    fn new() -> Self {
        let ring = Arc::new(JobRing::new(300, Micros::from_secs(300)));
        let difficulty = |whole: u128| Work::new(whole << 32).unwrap();
        let range = WorkRange::new(difficulty(1), difficulty(1 << 30)).unwrap();
        let vardiff = VardiffRules::new(Micros::from_secs(3), range, difficulty(8192)).unwrap();
        let rules = SessionRules::new(Kaspa::default(), Limits::default(), vardiff, Arc::clone(&ring));
        let session = Session::new(Arc::new(rules), lease(0x21), Moment::ZERO);
        Self {
            now: Moment::ZERO,
            lines: LineBuffer::new(8192),
            session,
            ring,
            logins: VecDeque::new(),
            proofs: VecDeque::new(),
            did: VecDeque::new(),
        }
    }

    fn handle(&mut self, input: Input<'_, Kaspa>) {
        self.session.handle(self.now, input);
        while let Some(action) = self.session.poll() {
            let did = match action {
                Action::Send(bytes) | Action::Notify(bytes) => {
                    let text = String::from_utf8(bytes.to_vec()).unwrap();
                    let line = text.strip_suffix('\n').expect("a line ends with LF");
                    assert!(!line.contains('\n'), "one message, one line");
                    format!("< {line}")
                }
                Action::Login { ticket, user, password } => {
                    self.logins.push_back(ticket);
                    format!("= login {user} {password}")
                }
                Action::Prove(submission) => {
                    self.proofs.push_back(submission.ticket);
                    let KaspaSolution { nonce } = submission.solution;
                    format!("= prove {} {nonce:016x} {}", submission.job.id, submission.work.get())
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
                let words: Vec<_> = rest.split(' ').collect();
                let mut pre_pow = [0; 32];
                hex::decode_to_slice(words[1], &mut pre_pow).unwrap();
                let id = JobId::new(words[0].parse().unwrap());
                let job = KaspaWork { id, pre_pow, timestamp: words[2].parse().unwrap(), clean: true };
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
                assert_eq!(rest, "low-difficulty");
                let ticket = self.proofs.pop_front().expect("a proof is under way");
                self.handle(Input::Settled { ticket, outcome: Outcome::Rejected(Reject::LowDifficulty) });
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

fn replay(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/transcripts").join(name);
    let transcript = std::fs::read_to_string(&path).unwrap();
    Replay::new().run(name, &transcript);
}

macro_rules! transcripts {
    ($($name:ident => $file:literal),* $(,)?) => {
        $(#[test] fn $name() { replay($file); })*

        #[test]
        fn every_transcript_is_replayed() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/transcripts");
            let mut found: Vec<_> = std::fs::read_dir(folder).unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            found.sort();
            let mut listed = [$($file),*];
            listed.sort_unstable();
            assert_eq!(found, listed);
        }
    };
}

transcripts! {
    anonymous => "anonymous.txt",
    bitmain => "bitmain.txt",
    bzminer => "bzminer.txt",
    goldshell => "goldshell.txt",
    iceriver => "iceriver.txt",
    kaspa_miner => "kaspa-miner.txt",
    lolminer => "lolminer.txt",
    nicehash => "nicehash.txt",
    srbminer => "srbminer.txt",
}
