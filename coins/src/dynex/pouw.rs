//! The second stage of a Dynex share: what the useful-work service says of it.
//!
//! A share claims useful work beside its hash, and the claim is encrypted for a service of the project, whose program is
//! not public. So this pool verifies nothing here. It forwards the claim of every share whose hash was proved
//! ([`super::coin`]) to the service its operator names, in one of the two protocols that were published, and heeds the
//! answer. What that means must be said plainly to operators and miners:
//!
//! - a share that the service refuses is refused by the pool, and the pool cannot know whether rightly;
//! - with [`Backend::Disabled`] every claim counts: for private networks, where nobody judges;
//! - the network accepts a block only if the project's servers know its height and nonce, and it is believed, not
//!   documented, that the service is how they learn of it. So the service hears of a candidate before any node does.
//!
//! A service that is away is nobody's fault. [`Outage`] says what happens then: refuse with "busy" (the default), accept
//! provisionally, or hold for a while. Nobody is ever banned for it, a candidate for a block goes to the node all the
//! same unless told otherwise, and after several failures in a row the service is left alone for a while, so that miners
//! do not wait for one that is gone. When the service computes another hash than this pool did (499), one of the two is
//! wrong: that is logged as an error and counted ([`PouwCounters::disagreed`]).
//!
//! Paths and formats are read from the two public pools; which a live service wants is not known, so they are
//! configuration. Source: cryptonote-nodejs-pool, `lib/pool.js`; Dynex-Miningcore, `DynexJobManager.cs`, and the pull
//! request for "v235" (behaviour).

use super::address::Payee;
use super::coin::{Dynex, DynexJob};
use crate::failover::CoolDown;
use crate::http::{HttpPeer, HttpRules};
use pool_core::coin::NodeError;
use pool_core::id::Worker;
use pool_core::intake::Attest;
use pool_core::share::{Reject, Share};
use pool_core::time::Timestamp;
use pool_core::units::U256;
use pool_stratum::dialect::dynex::{DynexSolution, Question};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The service's code for a claim that counts.
const VALID: i64 = 200;
/// The service's code for another hash than was claimed.
const CHECKHASH_FAILED: u16 = 499;
/// Workers whose rates are kept.
const WORKERS_MAX: usize = 10_000;
/// How long a rate is summed before it starts over. Unit: milliseconds.
const RATE_WINDOW_MS: u64 = 600_000;
/// The least time a rate is taken over. Unit: milliseconds.
const RATE_MIN_MS: u64 = 10_000;
/// The longest answer of a service. Unit: bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What is asked of the service about one share. Texts are as the protocols print them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PouwContext {
    /// The miner's useful-work network id.
    pub mallob: String,
    /// The address it mines to.
    pub miner: String,
    /// Its machine.
    pub worker: String,
    /// What was hashed, nonce and all.
    pub blob: Vec<u8>,
    /// What came out, in its bytes' order.
    pub result: [u8; 32],
    /// The network's difficulty for that block.
    pub network_difficulty: u64,
    /// The block's height.
    pub height: u64,
    /// What the miner is estimated to do. Unit: hashes a second.
    pub hashrate: u64,
    /// The difficulty of its job.
    pub stratum_difficulty: u128,
    /// The claim, as sent.
    pub data: String,
}

impl PouwContext {
    /// The difficulty that the hash itself has: the quotient of 2^256 - 1 and the hash.
    #[must_use]
    pub fn share_difficulty(&self) -> U256 {
        let hash = U256::from_le_bytes(self.result);
        if hash.is_zero() { U256::MAX } else { U256::MAX / hash }
    }
}

/// What a miner asks the service through the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayContext {
    /// Whose useful-work network id.
    pub mallob: String,
    /// The opaque question.
    pub payload: String,
    /// The miner's address on the internet.
    pub ip: IpAddr,
    /// The address it mines to.
    pub miner: String,
    /// Its machine.
    pub worker: String,
    /// The difficulty of its jobs, as far as known.
    pub stratum_difficulty: u128,
}

/// What a verifier says of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PouwVerdict {
    /// It counts.
    Accepted,
    /// It does not.
    Refused {
        /// The service's code; 0 where it has none.
        code: u16,
        /// Its words.
        text: String,
    },
    /// Nobody knows: there was no answer, or none that can be understood.
    Unavailable {
        /// Why.
        why: String,
    },
}

/// Who judges claims of useful work.
///
/// - Answers within its own bounded time; an outage is [`PouwVerdict::Unavailable`], never a refusal.
/// - The same question may come twice.
#[async_trait::async_trait]
pub trait PouwVerifier: fmt::Debug + Send + Sync {
    /// Whether a share's claim counts.
    async fn validate(&self, context: &PouwContext) -> PouwVerdict;

    /// Passes a miner's question on.
    ///
    /// # Errors
    /// A text for the miner's screen.
    async fn relay(&self, context: &RelayContext) -> Result<String, String>;
}

/// The published protocols of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceGeneration {
    /// One method, `validate224`, with the pool's UUID; a number as the answer.
    V230,
    /// `validate` and `mallob`; a number or an error as the answer.
    V235,
}

/// Where a service is, and how long it is waited for.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// `http://host:port`, `https://host:port` or `host:port`.
    pub endpoint: String,
    /// Where it answers. `/json_rpc` in both public pools, `/validate224` in one's default, `/rpc` in the service's own
    /// sample: not known which one a live service wants.
    pub path: String,
    /// What it speaks.
    pub generation: ServiceGeneration,
    /// The pool's UUID, given by the project; v230 only.
    pub pool_uuid: String,
    /// How long one answer may take, from connecting to its end.
    pub timeout: Duration,
    /// Questions asked at once; more wait, within the same time.
    pub in_flight_max: usize,
    /// Failures in a row after which it is left alone.
    pub failures_max: u32,
    /// For how long, at first and at most.
    pub cool_down: CoolDown,
}

impl ServiceConfig {
    /// A service with the usual times: 5 s an answer, 64 at once, left alone for 5 s after 5 failures in a row.
    #[must_use]
    pub fn new(endpoint: &str, generation: ServiceGeneration) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            path: "/json_rpc".to_owned(),
            generation,
            pool_uuid: String::new(),
            timeout: Duration::from_secs(5),
            in_flight_max: 64,
            failures_max: 5,
            cool_down: CoolDown { first: Duration::from_secs(5), max: Duration::from_secs(60) },
        }
    }
}

/// How long a service that failed is left alone.
#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    /// How often it was left alone in a row.
    opened: u32,
    until: Option<Instant>,
}

impl Breaker {
    fn is_open(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    fn success(&mut self) {
        *self = Self::default();
    }

    /// True when the service is left alone from now on.
    fn failure(&mut self, now: Instant, failures_max: u32, cool_down: &CoolDown) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures < failures_max.max(1) || self.is_open(now) {
            return false;
        }
        self.opened = self.opened.saturating_add(1);
        self.until = now.checked_add(cool_down.after(self.opened));
        true
    }
}

/// A service of the project, or whoever answers in its place.
#[derive(Debug)]
pub struct PoolService {
    config: ServiceConfig,
    peer: HttpPeer,
    slots: Semaphore,
    breaker: Mutex<Breaker>,
}

impl PoolService {
    /// The service of a configuration. No I/O.
    ///
    /// # Errors
    /// [`NodeError::Refused`] for an address that is no address.
    pub fn new(config: ServiceConfig) -> Result<Self, NodeError> {
        let rules =
            HttpRules { timeout: config.timeout, body_bytes_max: ANSWER_BYTES_MAX, ..HttpRules::default() };
        let peer = HttpPeer::new(&config.endpoint, &rules)?;
        let slots = Semaphore::new(config.in_flight_max.max(1));
        Ok(Self { config, peer, slots, breaker: Mutex::default() })
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, within one time for waiting and answer together. The error says why there is no answer.
    async fn ask(&self, method: &str, params: Vec<String>) -> Result<Value, String> {
        if self.breaker().is_open(Instant::now()) {
            return Err("it failed several times in a row and is left alone for a while".to_owned());
        }
        // The id as the public pools send it; what comes back in its place is not looked at.
        let question = json!({"id": "1", "jsonrpc": "2.0", "method": method, "params": params});
        let answer = async {
            let _slot = self.slots.acquire().await;
            self.peer.post_json(&self.config.path, &question).await
        };
        let answer = match tokio::time::timeout(self.config.timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(causes(&error)),
            Err(_) => Err(format!("no answer within {:?}", self.config.timeout)),
        };
        match &answer {
            Ok(_) => self.breaker().success(),
            Err(why) => {
                let (max, cool_down) = (self.config.failures_max, self.config.cool_down);
                if self.breaker().failure(Instant::now(), max, &cool_down) {
                    tracing::error!(service = self.peer.name(), %why, "useful-work service left alone for a while");
                }
            }
        }
        answer
    }
}

/// An error and what is behind it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(cause) = behind {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        behind = cause.source();
    }
    text
}

/// What an answer of either generation says of a claim.
fn verdict_of(answer: &Value) -> PouwVerdict {
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    let refused =
        |code: i64, text: String| PouwVerdict::Refused { code: u16::try_from(code).unwrap_or(0), text };
    match (answer.get("error").filter(|error| !error.is_null()), answer.get("result").and_then(number)) {
        (Some(error), _) => {
            let code = error.get("code").and_then(number).unwrap_or_default();
            let words = error.get("message").and_then(Value::as_str);
            refused(code, words.map_or_else(|| error.to_string(), str::to_owned))
        }
        (None, Some(VALID)) => PouwVerdict::Accepted,
        (None, Some(code)) => refused(code, format!("code {code}")),
        (None, None) => {
            let words: String = answer.to_string().chars().take(200).collect();
            PouwVerdict::Unavailable { why: format!("an answer that is none: {words}") }
        }
    }
}

#[async_trait::async_trait]
impl PouwVerifier for PoolService {
    async fn validate(&self, context: &PouwContext) -> PouwVerdict {
        let PouwContext { mallob, miner, worker, data, .. } = context.clone();
        let blob = hex::encode(&context.blob);
        let result = hex::encode(context.result);
        let share = context.share_difficulty().to_string();
        let network = context.network_difficulty.to_string();
        let height = context.height.to_string();
        let answer = match self.config.generation {
            ServiceGeneration::V230 => {
                let (rate, uuid) = (context.hashrate.to_string(), self.config.pool_uuid.clone());
                let params = vec![mallob, miner, blob, result, share, network, height, rate, uuid, data];
                self.ask("validate224", params).await
            }
            ServiceGeneration::V235 => {
                let job = context.stratum_difficulty.to_string();
                let params = vec![mallob, miner, worker, blob, result, share, network, height, job, data];
                self.ask("validate", params).await
            }
        };
        match answer {
            Ok(answer) => verdict_of(&answer),
            Err(why) => PouwVerdict::Unavailable { why },
        }
    }

    async fn relay(&self, context: &RelayContext) -> Result<String, String> {
        if self.config.generation == ServiceGeneration::V230 {
            return Err("this pool's useful-work service takes no questions".to_owned());
        }
        let RelayContext { mallob, payload, ip, miner, worker, stratum_difficulty } = context.clone();
        // The sixth is always "false" in the only public caller; perhaps "not the developer's share".
        let params = vec![
            mallob,
            payload,
            ip.to_string(),
            miner,
            worker,
            "false".to_owned(),
            stratum_difficulty.to_string(),
        ];
        let answer = self.ask("mallob", params).await.map_err(|why| {
            tracing::warn!(service = self.peer.name(), %why, "useful-work question not answered");
            "the useful-work service is away, try again".to_owned()
        })?;
        match answer.get("result").and_then(Value::as_str) {
            Some(payload) => Ok(payload.to_owned()),
            None => Err("the useful-work service refused".to_owned()),
        }
    }
}

/// Nobody judges: every claim counts, and questions have no answer. For private networks and development.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disabled;

#[async_trait::async_trait]
impl PouwVerifier for Disabled {
    async fn validate(&self, _context: &PouwContext) -> PouwVerdict {
        PouwVerdict::Accepted
    }

    async fn relay(&self, _context: &RelayContext) -> Result<String, String> {
        Err("useful work is not verified by this pool".to_owned())
    }
}

/// Which verifier a pool has.
#[derive(Clone, Debug)]
pub enum Backend {
    /// A service.
    Service(Box<ServiceConfig>),
    /// None: see [`Disabled`].
    Disabled,
}

/// What becomes of a share while the service is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// It is refused with [`Reject::Busy`]; nobody is banned for that.
    Refuse,
    /// It counts as if the service had accepted it. The pool pays for what may turn out to be no useful work.
    Accept,
    /// It waits, and the service is asked again, up to `wait`; then it is refused as above.
    Hold {
        /// Shares that wait at once; more are refused.
        shares_max: usize,
        /// How long one waits. More than a block's time is useless.
        wait: Duration,
        /// How long between two questions.
        every: Duration,
    },
}

impl Outage {
    /// Holding with usual bounds: 256 shares, 120 s, a question every 2 s.
    #[must_use]
    pub const fn hold() -> Self {
        Self::Hold { shares_max: 256, wait: Duration::from_secs(120), every: Duration::from_secs(2) }
    }
}

/// How the second stage decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PouwRules {
    /// While the service is away.
    pub outage: Outage,
    /// A candidate for a block goes to the node although the service is away. The node will most likely refuse it; trying
    /// costs nothing.
    pub submit_unattested_blocks: bool,
}

impl Default for PouwRules {
    /// Refuse shares, try blocks.
    fn default() -> Self {
        Self { outage: Outage::Refuse, submit_unattested_blocks: true }
    }
}

/// Counters that may be read at any time.
#[derive(Debug, Default)]
pub struct PouwCounters {
    /// Claims that the verifier accepted.
    pub accepted: AtomicU64,
    /// Claims that it refused.
    pub refused: AtomicU64,
    /// Of these, refused because it computed another hash than this pool: one of the two is wrong.
    pub disagreed: AtomicU64,
    /// Questions without an answer.
    pub unavailable: AtomicU64,
    /// Shares accepted provisionally.
    pub provisional: AtomicU64,
}

/// What one worker did lately, for the rate that the older protocol asks for.
#[derive(Clone, Copy, Debug)]
struct Rate {
    since: Timestamp,
    work: u128,
    last: u128,
}

/// The second stage, to be given to [`pool_core::intake::Intake`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PouwStage(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    verifier: Arc<dyn PouwVerifier>,
    rules: PouwRules,
    counters: PouwCounters,
    holds: Semaphore,
    rates: Mutex<HashMap<Worker, Rate>>,
}

impl PouwStage {
    /// The stage of a configured backend.
    ///
    /// # Errors
    /// [`NodeError::Refused`] for an address that is no address.
    pub fn open(backend: Backend, rules: PouwRules) -> Result<Self, NodeError> {
        let verifier: Arc<dyn PouwVerifier> = match backend {
            Backend::Service(config) => Arc::new(PoolService::new(*config)?),
            Backend::Disabled => {
                tracing::warn!(
                    "useful work is not verified: every claim counts; no mainnet pool runs like this"
                );
                Arc::new(Disabled)
            }
        };
        Ok(Self::new(verifier, rules))
    }

    /// The stage of any verifier.
    #[must_use]
    pub fn new(verifier: Arc<dyn PouwVerifier>, rules: PouwRules) -> Self {
        let holds = match rules.outage {
            Outage::Hold { shares_max, .. } => shares_max.min(Semaphore::MAX_PERMITS),
            Outage::Refuse | Outage::Accept => 0,
        };
        let counters = PouwCounters::default();
        Self(Arc::new(Inner {
            verifier,
            rules,
            counters,
            holds: Semaphore::new(holds),
            rates: Mutex::default(),
        }))
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> &PouwCounters {
        &self.0.counters
    }

    /// Answers a miner's question: the text that a session passed on, who asked, and from where.
    ///
    /// # Errors
    /// A text for the miner's screen.
    pub async fn ask(&self, worker: &Worker, text: &str, ip: IpAddr) -> Result<String, String> {
        let Question { mallob, payload } =
            Question::parse(text).ok_or_else(|| "the question cannot be read".to_owned())?;
        let stratum_difficulty = self.rates().get(worker).map_or(0, |rate| rate.last);
        let context = RelayContext {
            mallob: mallob.as_str().to_owned(),
            payload,
            ip,
            miner: address_of(worker),
            worker: worker.name.to_string(),
            stratum_difficulty,
        };
        self.0.verifier.relay(&context).await
    }

    fn rates(&self) -> MutexGuard<'_, HashMap<Worker, Rate>> {
        self.0.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a share to its worker's rate. Unit of the answer: hashes a second.
    fn rate(&self, worker: &Worker, at: Timestamp, work: u128) -> u64 {
        let mut rates = self.rates();
        if rates.len() >= WORKERS_MAX && !rates.contains_key(worker) {
            // All rates are estimates: who was counted longest starts over.
            let oldest = rates.iter().min_by_key(|(_, rate)| rate.since).map(|(worker, _)| worker.clone());
            oldest.and_then(|oldest| rates.remove(&oldest));
        }
        let fresh = Rate { since: at, work: 0, last: work };
        let rate = rates.entry(worker.clone()).or_insert(fresh);
        if at.millis().saturating_sub(rate.since.millis()) > RATE_WINDOW_MS {
            *rate = fresh;
        }
        rate.work = rate.work.saturating_add(work);
        rate.last = work;
        let elapsed = at.millis().saturating_sub(rate.since.millis()).max(RATE_MIN_MS);
        u64::try_from(rate.work.saturating_mul(1_000) / u128::from(elapsed)).unwrap_or(u64::MAX)
    }

    async fn validate(&self, context: &PouwContext) -> PouwVerdict {
        let verdict = self.0.verifier.validate(context).await;
        let counters = self.counters();
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        match &verdict {
            PouwVerdict::Accepted => {
                count(&counters.accepted);
            }
            PouwVerdict::Refused { code, text } => {
                count(&counters.refused);
                if *code == CHECKHASH_FAILED {
                    count(&counters.disagreed);
                    let (blob, result) = (hex::encode(&context.blob), hex::encode(context.result));
                    tracing::error!(%blob, %result, %text, "the useful-work service computes another hash");
                }
            }
            PouwVerdict::Unavailable { why } => {
                count(&counters.unavailable);
                tracing::warn!(%why, "useful-work service did not answer");
            }
        }
        verdict
    }

    /// Asks again and again while a share is held.
    async fn hold(&self, context: &PouwContext, wait: Duration, every: Duration) -> PouwVerdict {
        let Ok(_place) = self.0.holds.try_acquire() else {
            return PouwVerdict::Unavailable { why: "too many shares wait already".to_owned() };
        };
        let again = async {
            loop {
                tokio::time::sleep(every).await;
                match self.validate(context).await {
                    PouwVerdict::Unavailable { .. } => {}
                    verdict => return verdict,
                }
            }
        };
        match tokio::time::timeout(wait, again).await {
            Ok(verdict) => verdict,
            Err(_) => PouwVerdict::Unavailable { why: format!("no answer within {wait:?}") },
        }
    }
}

/// The address that a worker's account is paid at.
fn address_of(worker: &Worker) -> String {
    match Payee::parse(worker.miner.as_str()) {
        Ok(payee) => payee.address.to_string(),
        Err(_) => worker.miner.to_string(),
    }
}

#[async_trait::async_trait]
impl Attest<Dynex> for PouwStage {
    async fn attest(&self, job: &DynexJob, solution: &DynexSolution, share: &Share) -> Result<(), Reject> {
        let record = share.record();
        let hashrate = self.rate(&record.worker, record.at, record.work.get());
        let claim = solution.pouw.take();
        let template = job.template();
        let context = PouwContext {
            mallob: claim.as_ref().map(|claim| claim.mallob.as_str().to_owned()).unwrap_or_default(),
            miner: address_of(&record.worker),
            worker: record.worker.name.to_string(),
            blob: template.hashing_blob(solution.extranonce, solution.nonce),
            result: solution.result,
            network_difficulty: template.difficulty(),
            height: template.height(),
            hashrate,
            stratum_difficulty: record.work.get(),
            data: claim.map(|claim| claim.data).unwrap_or_default(),
        };
        let mut verdict = self.validate(&context).await;
        // A block does not wait: its place may be taken any moment.
        let is_block = share.block().is_some() && self.0.rules.submit_unattested_blocks;
        if let (PouwVerdict::Unavailable { .. }, Outage::Hold { wait, every, .. }, false) =
            (&verdict, self.0.rules.outage, is_block)
        {
            verdict = self.hold(&context, wait, every).await;
        }
        match verdict {
            PouwVerdict::Accepted => Ok(()),
            PouwVerdict::Refused { code, .. } => Err(Reject::Unattested { code }),
            PouwVerdict::Unavailable { .. } if is_block || self.0.rules.outage == Outage::Accept => {
                self.counters().provisional.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            PouwVerdict::Unavailable { .. } => Err(Reject::Busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn answers_of_both_generations_are_understood_and_nonsense_is_an_outage() {
        let refused = |code| PouwVerdict::Refused { code, text: format!("code {code}") };
        for (answer, verdict) in [
            (json!({"id": "1", "result": 200, "error": null}), PouwVerdict::Accepted),
            (json!({"result": "200"}), PouwVerdict::Accepted),
            (json!({"result": 414, "error": null}), refused(414)),
            (json!({"result": 499}), refused(499)),
            (json!({"result": 0}), refused(0)),
            (
                json!({"error": {"code": 500, "message": "no"}}),
                PouwVerdict::Refused { code: 500, text: "no".into() },
            ),
            (
                json!({"result": 200, "error": {"code": -1, "message": "no"}}),
                PouwVerdict::Refused { code: 0, text: "no".into() },
            ),
            (json!({"error": "x"}), PouwVerdict::Refused { code: 0, text: "\"x\"".into() }),
        ] {
            assert_eq!(verdict_of(&answer), verdict, "{answer}");
        }
        for nonsense in [json!({}), json!(null), json!([200]), json!({"result": {}}), json!({"result": "ok"})]
        {
            assert!(matches!(verdict_of(&nonsense), PouwVerdict::Unavailable { .. }), "{nonsense}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_failed_is_left_alone_longer_and_longer() {
        let cool_down = CoolDown { first: Duration::from_secs(5), max: Duration::from_secs(12) };
        let mut breaker = Breaker::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!breaker.failure(start, 3, &cool_down) && !breaker.failure(start, 3, &cool_down));
        assert!(!breaker.is_open(start));
        assert!(breaker.failure(start, 3, &cool_down));
        assert!(breaker.is_open(after(4)) && !breaker.is_open(after(5)));
        // Still failing when it is asked again.
        assert!(breaker.failure(after(5), 3, &cool_down));
        assert!(breaker.is_open(after(14)) && !breaker.is_open(after(15)));
        assert!(breaker.failure(after(15), 3, &cool_down));
        assert!(breaker.is_open(after(26)) && !breaker.is_open(after(27)), "never longer than the most");
        breaker.success();
        assert!(!breaker.failure(after(30), 3, &cool_down));
    }

    #[test]
    fn the_difficulty_of_a_hash_is_the_published_one() {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/dynex.json")).unwrap();
        for vector in vectors["hash_difficulty"].as_array().unwrap() {
            let result = hex::decode(vector["hash"].as_str().unwrap()).unwrap().try_into().unwrap();
            let context = PouwContext {
                mallob: String::new(),
                miner: String::new(),
                worker: String::new(),
                blob: vec![],
                result,
                network_difficulty: 1,
                height: 1,
                hashrate: 0,
                stratum_difficulty: 1,
                data: String::new(),
            };
            assert_eq!(context.share_difficulty().to_string(), vector["difficulty"].as_str().unwrap());
        }
    }

    proptest! {
        #[test]
        fn rates_are_bounded_and_of_the_window(steps in proptest::collection::vec((0u64..100_000, 1u64..1_000), 1..50)) {
            let stage = PouwStage::new(Arc::new(Disabled), PouwRules::default());
            let worker = Worker {
                miner: pool_core::id::MinerId::new("a").unwrap(),
                name: pool_core::id::WorkerName::clean("w"),
            };
            let (mut at, mut sum) = (0u64, 0u128);
            for (wait, work) in steps {
                at += wait;
                sum += u128::from(work);
                let rate = stage.rate(&worker, Timestamp::from_millis(at), u128::from(work));
                prop_assert!(u128::from(rate) <= sum * 1_000 / u128::from(RATE_MIN_MS));
            }
        }
    }
}
