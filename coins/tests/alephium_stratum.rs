//! The CPU miner's tongue against a real session, line by line and without a socket, in all three grammars: what the
//! miner finds the coin proves, and the pool accepts it.

#![cfg(all(feature = "alephium", feature = "miner"))]
#![allow(clippy::unwrap_used)]

use pool_coins::alephium::Alephium;
use pool_coins::alephium::chain::ChainIndex;
use pool_coins::alephium::coin::AlephiumJob;
use pool_coins::alephium::header::{CompactTarget, HeaderBlob, HeaderParts};
use pool_coins::alephium::miner::{AlephiumTask, AlephiumTongue, MinerConfig};
use pool_coins::alephium::template::{AlephiumTemplate, ChainTemplate};
use pool_coins::alephium::wire::Offer;
use pool_coins::miner::{Heard, Search, Tongue};
use pool_core::coin::Coin;
use pool_core::id::{JobId, MinerId, Worker};
use pool_core::limits::Limits;
use pool_core::share::{Proof, Reject};
use pool_core::time::{Micros, Moment};
use pool_core::units::Work;
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_stratum::dialect::alephium as dialect;
use pool_stratum::extranonce::{ExtranonceSpace, SpaceRules};
use pool_stratum::jobs::JobRing;
use pool_stratum::session::{Action, Input, Login, Outcome, Session, SessionRules, split_user};
use std::collections::BTreeSet;
use std::sync::Arc;

type Line = dialect::Alephium<AlephiumJob>;

const ADDRESS: &str = "1ANu47GYWwprmQJUgPpBsYb1mDoqxTDyVkCSg2C4NbtDp";

/// A job of all chains, whose headers are those of the `round`.
fn job(id: u64, round: u8) -> AlephiumJob {
    let template = |chain: ChainIndex| {
        let target = CompactTarget::new(0x1e00_ffff);
        let parts = HeaderParts {
            deps: [[round; 32]; 7],
            dep_state_hash: [chain.place(); 32],
            txs_hash: [3; 32],
            timestamp: 1_795_000_000_000,
            target,
        };
        let blob = HeaderBlob::of_parts(&parts);
        let offer = Offer { chain, blob, txs: vec![0], target: target.expand().unwrap(), height: 7 };
        Arc::new(ChainTemplate::check(offer).unwrap())
    };
    let bundle = AlephiumTemplate::new(ChainIndex::all().map(template)).unwrap();
    Arc::into_inner(Alephium.job(JobId::new(id), Arc::new(bundle))).unwrap()
}

struct Pool {
    now: Moment,
    ring: Arc<JobRing<Line>>,
    session: Session<Line>,
    tongue: AlephiumTongue,
    task: Option<Arc<AlephiumTask>>,
    answers: Vec<(u64, Option<String>)>,
    logged_in: bool,
}

impl Pool {
    /// A connection that has logged in and has a job.
    fn new(agent: &str, prefix: usize) -> Self {
        // 64 tries a share: some thousand hashes.
        let work = |tries: u128| Work::new(tries).unwrap();
        let range = WorkRange::new(work(1), work(1 << 40)).unwrap();
        let vardiff = VardiffRules::new(Micros::from_secs(3), range, work(64)).unwrap();
        let ring = Arc::new(JobRing::new(8, Micros::from_secs(10)));
        let rules = SessionRules::new(Line::default(), Limits::default(), vardiff, Arc::clone(&ring));
        let rest = Micros::from_secs(10);
        let space =
            ExtranonceSpace::new(SpaceRules { width: 2, instance_bits: 0, instance: 0, rest }).unwrap();
        for _ in 1..prefix {
            space.take(Moment::ZERO).unwrap();
        }
        let lease = space.take(Moment::ZERO).unwrap();
        let config = MinerConfig {
            pool: String::new(),
            user: format!("{ADDRESS}.rig"),
            password: "x".into(),
            agent: agent.into(),
            threads: 1,
            hashes_per_second_max: None,
        };
        let mut pool = Self {
            now: Moment::ZERO,
            ring,
            session: Session::new(Arc::new(rules), lease, Moment::ZERO),
            tongue: AlephiumTongue::new(&config),
            task: None,
            answers: vec![],
            logged_in: false,
        };
        pool.publish(1, 1);
        for line in pool.tongue.hello(&config) {
            pool.say(&line);
        }
        pool.wait(200);
        assert!(pool.logged_in && pool.task.is_some());
        pool
    }

    fn publish(&mut self, id: u64, round: u8) {
        let posted = self.ring.publish(self.now, Arc::new(job(id, round))).unwrap();
        self.handle(Input::Job(posted));
    }

    fn wait(&mut self, millis: u64) {
        let end = self.now.after(Micros::from_millis(millis));
        while let Some(next) = self.session.deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.handle(Input::Tick);
        }
        self.now = end;
    }

    fn say(&mut self, line: &str) {
        self.handle(Input::Frame(line.as_bytes()));
    }

    fn handle(&mut self, input: Input<'_, Line>) {
        self.session.handle(self.now, input);
        while let Some(action) = self.session.poll() {
            match action {
                Action::Send(bytes) | Action::Notify(bytes) => {
                    for line in std::str::from_utf8(&bytes).unwrap().lines() {
                        self.hear(line);
                    }
                }
                Action::Login { ticket, user, .. } => {
                    let (account, name) = split_user(&user);
                    let miner = Alephium.address(account).unwrap();
                    assert_eq!(miner, MinerId::new(ADDRESS).unwrap());
                    let login = Login { worker: Worker { miner, name }, start: None };
                    self.handle(Input::LoggedIn { ticket, result: Ok(login) });
                }
                Action::Prove(submission) => {
                    let outcome = match Alephium.prove(&submission.job, &submission.solution) {
                        Ok(proof) if Proof::meets(proof, submission.share_target) => Outcome::Accepted,
                        Ok(_) => Outcome::Rejected(Reject::LowDifficulty),
                        Err(reject) => Outcome::Rejected(reject),
                    };
                    self.handle(Input::Settled { ticket: submission.ticket, outcome });
                }
                Action::Remember { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn hear(&mut self, line: &str) {
        for heard in self.tongue.hear(&serde_json::from_str(line).unwrap()).unwrap() {
            match heard {
                Heard::Task(task) | Heard::Change(task) => self.task = Some(task),
                Heard::LoggedIn => self.logged_in = true,
                Heard::Answer { id, refusal } => self.answers.push((id, refusal)),
                Heard::Stop | Heard::Say(_) => panic!("{line}"),
            }
        }
    }

    /// The first solutions of the task now.
    fn find(&self, count: usize) -> Vec<[u8; 24]> {
        let task = self.task.as_ref().unwrap();
        let mut found = vec![];
        let mut start = 0;
        while found.len() < count {
            found.extend(task.search(start, 4_096));
            start += 4_096;
        }
        found.truncate(count);
        found
    }
}

#[test]
fn what_the_miner_finds_the_pool_accepts_once_in_every_grammar() {
    for agent in ["m/1", "m/1 miningcore", "m/1 stratum1"] {
        let mut pool = Pool::new(agent, 5);
        let task = pool.task.clone().unwrap();
        for (id, nonce) in (10..).zip(pool.find(3)) {
            assert_eq!(nonce[..2], [0, 5], "the nonce is in the connection's own part");
            let submit = pool.tongue.submit(id, &task, &nonce);
            pool.say(&submit);
            assert_eq!(pool.answers.pop(), Some((id, None)), "{agent}: {submit}");
            let again = pool.tongue.submit(id + 100, &task, &nonce);
            pool.say(&again);
            let (_, refusal) = pool.answers.pop().unwrap();
            assert_eq!(refusal.as_deref(), Some("duplicated share"), "{agent}");
        }
        // A nonce that solves nothing.
        let submit =
            pool.tongue.submit(50, &task, &[[0, 5].as_slice(), &[0xee; 22]].concat().try_into().unwrap());
        pool.say(&submit);
        let (_, refusal) = pool.answers.pop().unwrap();
        let refusal = refusal.unwrap();
        assert!(refusal == "invalid block chain index" || refusal == "low difficulty share", "{refusal}");
    }
}

#[test]
fn jobs_go_round_all_chains_and_old_ones_are_still_paid() {
    let mut pool = Pool::new("m/1", 9);
    let mut chains = BTreeSet::new();
    for id in 2..18 {
        let (task, nonce) = (pool.task.clone().unwrap(), pool.find(1)[0]);
        pool.publish(id, id as u8);
        pool.wait(250);
        let submit = pool.tongue.submit(10 + id, &task, &nonce);
        pool.say(&submit);
        assert_eq!(pool.answers.pop(), Some((10 + id, None)), "the job before is not stale yet");
        let submit: serde_json::Value = serde_json::from_str(&submit).unwrap();
        let group = |name: &str| submit["params"][name].as_u64().unwrap();
        chains.insert(4 * group("fromGroup") + group("toGroup"));
    }
    assert_eq!(chains.len(), 16, "every chain had its turn");
}

#[test]
fn the_same_templates_under_another_number_pay_nothing_twice() {
    let mut pool = Pool::new("m/1", 7);
    let (task, nonce) = (pool.task.clone().unwrap(), pool.find(1)[0]);
    let submit = pool.tongue.submit(10, &task, &nonce);
    pool.say(&submit);
    assert_eq!(pool.answers.pop(), Some((10, None)));
    pool.publish(2, 1);
    // The same chain of the newer job, named by hand.
    let forged = submit.replace("\"jobId\":\"1", "\"jobId\":\"2").replace("\"id\":10", "\"id\":11");
    assert_ne!(forged, submit);
    pool.say(&forged);
    let (id, refusal) = pool.answers.pop().unwrap();
    assert_eq!((id, refusal.as_deref()), (11, Some("duplicated share")));
}
