//! A miner's conversation with a pool, without a socket, a clock or a runtime.
//!
//! A `Session` is a value: it is told what happened and when, and says what to do. That is why the same machine runs
//! behind ten thousand sockets, in a simulator that plays a week in a second, and here. Whoever drives it does four
//! things, and this program does each of them by hand:
//!
//! 1. bytes become lines (`LineBuffer`), and lines become inputs;
//! 2. a login is looked up: the session asks, the driver answers;
//! 3. a solution is proved: the session hands over the job *and the target that job was sent with*, so a share is
//!    judged by what the miner was told, whatever the difficulty is by now;
//! 4. time passes: `deadline()` says how long nothing needs to be done.
//!
//! Run it: `cargo run -p poolwright-examples --example session_without_a_socket`
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use anyhow::Context;
use pool_coins::hash::kheavyhash::{Matrix, pow};
use pool_core::id::{JobId, MinerId, Worker};
use pool_core::limits::Limits;
use pool_core::share::{Proof, Reject};
use pool_core::time::{Micros, Moment};
use pool_core::units::{Target, Work};
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_stratum::dialect::kaspa::{Kaspa, KaspaWork};
use pool_stratum::extranonce::{ExtranonceSpace, SpaceRules};
use pool_stratum::frame::LineBuffer;
use pool_stratum::jobs::JobRing;
use pool_stratum::session::{Action, Input, Login, Outcome, Session, SessionRules, split_user};
use std::sync::Arc;

/// The driver: everything around a session that is not the session.
struct Driver {
    now: Moment,
    lines: LineBuffer,
    session: Session<Kaspa>,
    accepted: usize,
}

impl Driver {
    /// What a socket would do with bytes that came in.
    fn receive(&mut self, text: &str) -> anyhow::Result<()> {
        println!("miner  > {text}");
        self.lines.push(self.now, format!("{text}\n").as_bytes());
        while let Some(line) = self.lines.line()?.map(<[u8]>::to_vec) {
            self.handle(Input::Frame(&line))?;
        }
        Ok(())
    }

    /// Gives one input and carries out what the session then wants, until it wants nothing more.
    fn handle(&mut self, input: Input<'_, Kaspa>) -> anyhow::Result<()> {
        self.session.handle(self.now, input);
        while let Some(action) = self.session.poll() {
            match action {
                // A socket would queue these; a `Notify` that waits may be replaced by a newer one, a `Send` not.
                Action::Send(line) | Action::Notify(line) => {
                    println!("pool   < {}", String::from_utf8_lossy(&line).trim_end());
                }
                Action::Login { ticket, user, .. } => {
                    // A pool checks the address and asks its cache for the last difficulty.
                    let (account, name) = split_user(&user);
                    let worker = Worker { miner: MinerId::new(account)?, name };
                    println!("driver . {worker} may mine");
                    self.handle(Input::LoggedIn { ticket, result: Ok(Login { worker, start: None }) })?;
                }
                Action::Prove(submission) => {
                    let job = &submission.job;
                    let nonce = submission.solution.nonce;
                    let proof =
                        Proof::new(pow(&Matrix::new(&job.pre_pow), &job.pre_pow, job.timestamp, nonce));
                    // A pool would now append the share to its log, and say "accepted" only after that.
                    let outcome = if proof.meets(submission.share_target) {
                        Outcome::Accepted
                    } else {
                        Outcome::Rejected(Reject::LowDifficulty)
                    };
                    self.accepted += usize::from(outcome == Outcome::Accepted);
                    println!("driver . nonce {nonce:016x} of job {}: {outcome:?}", job.id);
                    self.handle(Input::Settled { ticket: submission.ticket, outcome })?;
                }
                Action::Ask { .. } => unreachable!("Kaspa's miners ask no service"),
                Action::Remember { worker, work } => {
                    println!("driver . {worker} mines at {} hashes", work.get())
                }
                Action::Close(why) => println!("driver . hang up: {why}"),
            }
        }
        Ok(())
    }

    /// Lets time pass: jumps from deadline to deadline instead of sleeping.
    fn wait(&mut self, length: Micros) -> anyhow::Result<()> {
        let end = self.now.after(length);
        while let Some(next) = self.session.deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.handle(Input::Tick)?;
        }
        self.now = end;
        Ok(())
    }
}

/// What a miner does all day: the first nonce with `prefix` on top whose hash meets the target.
fn search(job: &KaspaWork, prefix: u64, target: Target) -> Option<u64> {
    let matrix = Matrix::new(&job.pre_pow);
    let mut nonces = prefix..=prefix | 0xffff_ffff;
    nonces.find(|nonce| Proof::new(pow(&matrix, &job.pre_pow, job.timestamp, *nonce)).meets(target))
}

fn main() -> anyhow::Result<()> {
    // What all connections of a coin share: the jobs that may be answered, and the rules.
    let limits = Limits::default();
    let ring = Arc::new(JobRing::new(limits.jobs_kept_max, Micros::from_secs(90)));
    let work = Work::new(256)?;
    let vardiff = VardiffRules::new(Micros::from_secs(1), WorkRange::new(work, Work::new(1 << 60)?)?, work)?;
    let rules = Arc::new(SessionRules::new(Kaspa::default(), limits.clone(), vardiff, ring.clone()));
    let rest = Micros::from_secs(90);
    let space = ExtranonceSpace::new(SpaceRules { width: 2, instance_bits: 0, instance: 0, rest })?;

    // One connection. Its lease is its part of the nonces; nobody else can find the same solution.
    let lease = space.take(Moment::ZERO)?;
    let prefix = lease.extranonce().in_nonce();
    let session = Session::new(rules, lease, Moment::ZERO);
    let lines = LineBuffer::new(limits.line_bytes_max);
    let mut driver = Driver { now: Moment::ZERO, lines, session, accepted: 0 };

    let job = KaspaWork { id: JobId::new(1), pre_pow: [0x5a; 32], timestamp: 1_795_000_000_000, clean: true };
    let posted = ring.publish(driver.now, Arc::new(job))?;
    driver.handle(Input::Job(posted))?;
    driver.receive(r#"{"id":1,"method":"mining.subscribe","params":["example/1.0"]}"#)?;
    driver.receive(r#"{"id":2,"method":"mining.authorize","params":["kaspa:someone.rig0","x"]}"#)?;
    driver.wait(Micros::from_millis(200))?; // the first job comes a moment after the difficulty

    let target = pool_stratum::dialect::kaspa::difficulty::share_target(work);
    let nonce = search(&job, prefix, target).context("four billion nonces hold a share of 256 hashes")?;
    let submit = |nonce: &str| {
        format!(r#"{{"id":3,"method":"mining.submit","params":["kaspa:someone.rig0","1","{nonce}"]}}"#)
    };
    driver.receive(&submit(&format!("{nonce:016x}")))?; // good
    driver.receive(&submit(&format!("0x{nonce:X}")))?; // the same number in another spelling: paid once
    driver.receive(&submit("ffff000000000000"))?; // somebody else's part of the nonces
    driver.receive("not even JSON")?;
    driver.wait(Micros::from_secs(600))?; // silence ends a connection, and the session says so
    anyhow::ensure!(driver.accepted == 1, "one share was good");
    println!("done: one share accepted, every other line answered with its reason");
    Ok(())
}
