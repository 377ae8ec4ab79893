//! A session on a bench: a ring, a clock that is a number, and a driver that notes what it was asked.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part of it")]

pub mod login_style;

use pool_core::id::{JobId, MinerId, Worker};
use pool_core::limits::Limits;
use pool_core::time::{Micros, Moment};
use pool_core::units::Work;
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_stratum::dialect::Dialect;
use pool_stratum::dialect::kaspa::{Kaspa, KaspaWork};
use pool_stratum::extranonce::{ExtranonceSpace, SpaceRules};
use pool_stratum::jobs::JobRing;
use pool_stratum::session::{
    Action, Close, Input, Login, Outcome, Session, SessionRules, Submission, Ticket, split_user,
};
use std::sync::Arc;

/// The account every login of the rig has.
pub const ACCOUNT: &str = "kaspa:qrxuk57hwz8s8la93jvf44q7e5derclnpg6thkgltya2ek67pvhasz43zf6ys";

pub fn difficulty(whole: u128) -> Work {
    Work::new(whole << 32).unwrap()
}

pub fn vardiff() -> VardiffRules {
    let range = WorkRange::new(difficulty(1), difficulty(1 << 30)).unwrap();
    VardiffRules::new(Micros::from_secs(3), range, difficulty(8192)).unwrap()
}

pub fn space() -> ExtranonceSpace {
    let rest = Micros::from_secs(300);
    ExtranonceSpace::new(SpaceRules { width: 2, instance_bits: 0, instance: 0, rest }).unwrap()
}

pub fn kaspa_job(id: u64) -> Arc<KaspaWork> {
    let mut pre_pow = [0; 32];
    pre_pow[..8].copy_from_slice(&id.to_le_bytes());
    Arc::new(KaspaWork { id: JobId::new(id), pre_pow, timestamp: 1_724_081_279_941 + id, clean: false })
}

pub struct Rig<D: Dialect> {
    pub now: Moment,
    pub ring: Arc<JobRing<D>>,
    pub rules: Arc<SessionRules<D>>,
    pub session: Session<D>,
    /// Lines sent since the last look.
    pub said: Vec<String>,
    pub proofs: Vec<Submission<D>>,
    pub logins: Vec<(Ticket, String, String)>,
    pub asks: Vec<(Ticket, String)>,
    pub remembered: Vec<(Worker, Work)>,
    pub closed: Option<Close>,
}

impl Rig<Kaspa> {
    pub fn kaspa() -> Self {
        Self::kaspa_with(Limits::default(), |_| {})
    }

    pub fn kaspa_with(limits: Limits, change: impl FnOnce(&mut SessionRules<Kaspa>)) -> Self {
        Self::new(Kaspa::default(), limits, Micros::from_secs(300), change)
    }

    pub fn job(&mut self, id: u64) {
        self.publish(kaspa_job(id));
    }

    /// A miner of the common family with job 17 at difficulty 8192.
    pub fn mining() -> Self {
        Self::kaspa().into_mining()
    }

    pub fn into_mining(mut self) -> Self {
        self.job(17);
        self.line(r#"{"id":1,"method":"mining.subscribe","params":["lolMiner"]}"#);
        self.authorize("rig0", "x");
        self.wait(100);
        assert!(self.said.last().unwrap().contains("mining.notify"));
        self.said.clear();
        self
    }

    pub fn authorize(&mut self, name: &str, password: &str) {
        self.line(&format!(
            r#"{{"id":2,"method":"mining.authorize","params":["{ACCOUNT}.{name}","{password}"]}}"#
        ));
        self.log_in(None);
    }

    /// Submits and returns the reply, if there is one at once.
    pub fn submit(&mut self, job: &str, nonce: &str) -> Option<String> {
        self.said.clear();
        self.line(&format!(
            r#"{{"id":9,"method":"mining.submit","params":["{ACCOUNT}.rig0","{job}","{nonce}"]}}"#
        ));
        self.said.first().cloned()
    }
}

impl<D: Dialect> Rig<D> {
    pub fn new(dialect: D, limits: Limits, life: Micros, change: impl FnOnce(&mut SessionRules<D>)) -> Self {
        let ring = Arc::new(JobRing::new(limits.jobs_kept_max, life));
        let mut rules = SessionRules::new(dialect, limits, vardiff(), Arc::clone(&ring));
        change(&mut rules);
        let rules = Arc::new(rules);
        let session = Session::new(Arc::clone(&rules), space().take(Moment::ZERO).unwrap(), Moment::ZERO);
        Self {
            now: Moment::ZERO,
            ring,
            rules,
            session,
            said: Vec::new(),
            proofs: Vec::new(),
            logins: Vec::new(),
            asks: Vec::new(),
            remembered: Vec::new(),
            closed: None,
        }
    }

    /// Another connection to the same server.
    pub fn beside(&self) -> Self {
        let lease = space().take(Moment::ZERO).unwrap();
        let session = Session::new(Arc::clone(&self.rules), lease, self.now);
        Self {
            now: self.now,
            ring: Arc::clone(&self.ring),
            rules: Arc::clone(&self.rules),
            session,
            said: Vec::new(),
            proofs: Vec::new(),
            logins: Vec::new(),
            asks: Vec::new(),
            remembered: Vec::new(),
            closed: None,
        }
    }

    pub fn handle(&mut self, input: Input<'_, D>) {
        self.session.handle(self.now, input);
        while let Some(action) = self.session.poll() {
            assert!(self.closed.is_none(), "nothing follows a close");
            match action {
                Action::Send(bytes) | Action::Notify(bytes) => {
                    let text = std::str::from_utf8(&bytes).unwrap();
                    self.said.push(text.strip_suffix('\n').unwrap().to_owned());
                }
                Action::Login { ticket, user, password } => self.logins.push((ticket, user, password)),
                Action::Prove(submission) => self.proofs.push(submission),
                Action::Ask { ticket, payload, .. } => self.asks.push((ticket, payload)),
                Action::Remember { worker, work } => self.remembered.push((worker, work)),
                Action::Close(why) => self.closed = Some(why),
            }
        }
    }

    pub fn line(&mut self, line: &str) {
        self.handle(Input::Frame(line.as_bytes()));
    }

    pub fn publish(&mut self, job: Arc<D::Job>) {
        let posted = self.ring.publish(self.now, job).unwrap();
        self.handle(Input::Job(posted));
    }

    /// Lets time pass, with every tick that is due.
    pub fn wait(&mut self, millis: u64) {
        let end = self.now.after(Micros::from_millis(millis));
        while let Some(next) = self.session.deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.handle(Input::Tick);
        }
        self.now = end;
    }

    /// Answers the oldest login under way.
    pub fn log_in(&mut self, start: Option<Work>) {
        let (ticket, user, _) = self.logins.remove(0);
        let (account, name) = split_user(&user);
        let worker = Worker { miner: MinerId::new(account).unwrap(), name };
        self.handle(Input::LoggedIn { ticket, result: Ok(Login { worker, start }) });
    }

    /// Settles the oldest proof under way.
    pub fn settle(&mut self, outcome: Outcome) {
        let ticket = self.proofs.remove(0).ticket;
        self.handle(Input::Settled { ticket, outcome });
    }
}
