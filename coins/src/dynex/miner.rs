//! Dynex's tongue of the CPU miner: the chain's real hash, and both generations of the login protocol.
//!
//! It does no useful work: the claims it sends are made up, so a pool whose service is the project's refuses all of its
//! shares. It is for pools that have the service switched off, or a service on loopback. Which generation it speaks is
//! decided by its agent: one with `2.3.5` in it speaks that, any other the one before. It decodes targets and judges
//! hashes exactly as the reference miner does, with its two roundings, so that a pool is held to what miners believe.
//!
//! What is the same for all coins (threads, reconnecting, journals) is in [`crate::miner`], and what a caller needs of
//! it is named here again.

pub use crate::miner::{Found, MinerConfig, MinerCounters, MinerEvent};

use crate::hash::cryptonight::{Scratchpad, dynex_hash, keccak256};
use crate::miner::{Heard, Search, Tongue};
use pool_stratum::dialect::dynex::Generation;
use serde_json::{Map, Value, json};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Where the nonce stands in every blob.
const NONCE: Range<usize> = 39..43;
/// The shortest blob with a nonce, a root and a count.
const BLOB_MIN: usize = 76;
/// The longest.
const BLOB_MAX: usize = 85;

/// Mines Dynex until `stop` resolves. Reports to `events`; a full or closed channel loses reports, never shares.
///
/// A journal's fields: `blob` (hex, the nonce in it), `nonce` (8 hex digits, as submitted), `result` (64 hex digits).
pub async fn mine(
    config: MinerConfig,
    counters: Arc<MinerCounters>,
    events: mpsc::Sender<MinerEvent>,
    stop: impl Future<Output = ()>,
) {
    crate::miner::mine(config, DynexTongue::new, counters, events, stop).await;
}

/// One job of a Dynex pool. Candidates are nonces.
#[derive(Debug)]
pub struct DynexTask {
    job: String,
    blob: Vec<u8>,
    /// As the reference miner decodes the target.
    difficulty: u32,
}

/// A nonce and the hash it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynexFind {
    nonce: [u8; 4],
    result: [u8; 32],
}

impl DynexTask {
    fn with_nonce(&self, nonce: [u8; 4]) -> Vec<u8> {
        let mut blob = self.blob.clone();
        blob[NONCE].copy_from_slice(&nonce);
        blob
    }

    /// The reference miner's test: both quotients rounded down.
    fn solves(&self, result: &[u8; 32]) -> bool {
        let top = u32::from_le_bytes([result[28], result[29], result[30], result[31]]);
        u32::MAX.checked_div(top).is_none_or(|found| found >= self.difficulty)
    }
}

impl Search for DynexTask {
    type Solution = DynexFind;

    fn size(&self) -> u64 {
        1 << 32
    }

    fn burst(&self) -> u64 {
        8
    }

    fn search(&self, start: u64, count: u64) -> Vec<DynexFind> {
        let mut scratchpad = Scratchpad::new();
        let mut blob = self.blob.clone();
        (start..start + count)
            .filter_map(|counter| {
                let nonce = (counter as u32).to_le_bytes();
                blob[NONCE].copy_from_slice(&nonce);
                let result = dynex_hash(&blob, &mut scratchpad);
                self.solves(&result).then_some(DynexFind { nonce, result })
            })
            .collect()
    }
}

/// What a connection has been told so far.
#[derive(Debug)]
pub struct DynexTongue {
    generation: Generation,
    user: String,
    mallob: String,
    session: String,
    task: Option<Arc<DynexTask>>,
}

const LOGIN: u64 = 1;
const MALLOB: u64 = 2;
const GETJOB: u64 = 3;
const KEEPALIVED: u64 = 4;

impl DynexTongue {
    /// The grammar of a fresh connection.
    #[must_use]
    pub fn new(config: &MinerConfig) -> Self {
        let new = config.agent.contains("2.3.5");
        Self {
            generation: if new { Generation::V235 } else { Generation::V230 },
            user: config.user.clone(),
            // As long as a real one, and the same each time.
            mallob: hex::encode(keccak256(config.user.as_bytes())),
            session: String::new(),
            task: None,
        }
    }

    /// A job, which must have all four members, as the reference miner wants it.
    fn take_job(&mut self, job: &Value) -> Result<Heard<DynexTask>, String> {
        let text = |name: &str| job[name].as_str().ok_or_else(|| format!("the pool sent a bad job: {job}"));
        let bad = |what: &str| format!("the pool sent a job with a bad {what}: {job}");
        let (id, session) = (text("job_id")?, text("id")?);
        let blob = hex::decode(text("blob")?).map_err(|_| bad("blob"))?;
        if !(BLOB_MIN..=BLOB_MAX).contains(&blob.len()) {
            return Err(bad("blob"));
        }
        let target: [u8; 4] = hex::decode(text("target")?)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| bad("target"))?;
        let difficulty = u32::MAX.checked_div(u32::from_le_bytes(target)).ok_or_else(|| bad("target"))?;
        self.session = session.to_owned();
        let task = Arc::new(DynexTask { job: id.to_owned(), blob, difficulty });
        let same = self.task.as_ref().is_some_and(|now| now.job == task.job && now.blob == task.blob);
        self.task = Some(task.clone());
        Ok(if same { Heard::Change(task) } else { Heard::Task(task) })
    }

    fn hear_answer(&mut self, id: u64, line: &Value) -> Result<Vec<Heard<DynexTask>>, String> {
        let refusal = match &line["error"] {
            Value::Null => None,
            error => Some(error["message"].as_str().map_or_else(|| error.to_string(), str::to_owned)),
        };
        match (id, refusal) {
            (LOGIN, None) => {
                let mut heard = vec![Heard::LoggedIn, self.take_job(&line["result"]["job"])?];
                if self.generation == Generation::V235 {
                    let question = json!({
                        "jsonrpc": "2.0", "id": MALLOB, "method": "mallob",
                        "params": {"id": self.session, "payload": "register"},
                    });
                    heard.push(Heard::Say(question.to_string()));
                }
                Ok(heard)
            }
            (LOGIN, Some(words)) => Err(format!("not logged in: {words}")),
            (GETJOB, None) => Ok(vec![self.take_job(&line["result"])?]),
            (GETJOB, Some(_)) => Ok(vec![Heard::Stop]),
            (MALLOB | KEEPALIVED, _) => Ok(vec![]),
            (id, refusal) => {
                let mut heard = vec![];
                // The reference miner asks for its job after a refused share.
                if refusal.is_some() {
                    let ask = json!({
                        "jsonrpc": "2.0", "id": GETJOB, "method": "getjob", "params": {"id": self.session},
                    });
                    heard.push(Heard::Say(ask.to_string()));
                }
                heard.insert(0, Heard::Answer { id, refusal });
                Ok(heard)
            }
        }
    }
}

impl Tongue for DynexTongue {
    type Task = DynexTask;

    fn hello(&mut self, config: &MinerConfig) -> Vec<String> {
        let mut login = json!({
            "jsonrpc": "2.0", "id": LOGIN, "method": "login",
            "params": {"login": self.user, "pass": config.password, "agent": config.agent},
        });
        if self.generation == Generation::V235 {
            login["params"]["mallob_id"] = self.mallob.clone().into();
            login["params"]["algo"] = "dynexsolve235".into();
        }
        vec![login.to_string()]
    }

    fn hear(&mut self, line: &Value) -> Result<Vec<Heard<DynexTask>>, String> {
        match (line["method"].as_str(), line["id"].as_u64()) {
            (Some("job"), _) => Ok(vec![self.take_job(&line["params"])?]),
            (None, Some(id)) => self.hear_answer(id, line),
            (Some(_), _) | (None, None) => Ok(vec![]),
        }
    }

    fn submit(&mut self, id: u64, task: &DynexTask, solution: &DynexFind) -> String {
        let mut submit = json!({
            "jsonrpc": "2.0", "id": id, "method": "submit",
            "params": {
                "id": self.session, "job_id": task.job, "nonce": hex::encode(solution.nonce),
                "result": hex::encode(solution.result), "POUW_DATA": "no useful work",
            },
        });
        if self.generation == Generation::V230 {
            submit["params"]["algo"] = "dynexsolve230".into();
            submit["params"]["mallob"] = self.mallob.clone().into();
        }
        submit.to_string()
    }

    fn journal(&self, task: &DynexTask, solution: &DynexFind) -> Found {
        let fields = [
            ("blob", hex::encode(task.with_nonce(solution.nonce))),
            ("nonce", hex::encode(solution.nonce)),
            ("result", hex::encode(solution.result)),
        ];
        let fields: Map<String, Value> =
            fields.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
        Found { job: task.job.clone(), fields }
    }

    fn pulse(&self) -> Option<Duration> {
        Some(Duration::from_secs(60))
    }

    fn beat(&mut self) -> Vec<String> {
        let alive = json!({
            "jsonrpc": "2.0", "id": KEEPALIVED, "method": "keepalived", "params": {"id": self.session},
        });
        vec![alive.to_string()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(agent: &str) -> MinerConfig {
        MinerConfig {
            pool: String::new(),
            user: "Xw.rig".into(),
            password: "x".into(),
            agent: agent.into(),
            threads: 1,
            hashes_per_second_max: None,
        }
    }

    fn vector() -> Value {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/dynex.json")).unwrap();
        vectors["templates"][0].clone()
    }

    fn job(id: &str) -> Value {
        let vector = vector();
        json!({
            "job_id": id, "id": "00000001", "blob": vector["job_blob"], "target": vector["share"]["target_hex"],
        })
    }

    fn welcome() -> Value {
        json!({"id": 1, "jsonrpc": "2.0", "error": null, "result": {"id": "00000001", "job": job("1"), "status": "OK"}})
    }

    #[test]
    fn the_published_share_is_found_and_submitted_in_both_generations() {
        let share = vector()["share"].clone();
        for agent in ["poolwright-miner", "poolwright-miner (2.3.5)"] {
            let mut tongue = DynexTongue::new(&config(agent));
            let login: Value = serde_json::from_str(&tongue.hello(&config(agent))[0]).unwrap();
            let new = tongue.generation == Generation::V235;
            assert_eq!(login["params"].get("mallob_id").is_some(), new);
            let heard = tongue.hear(&welcome()).unwrap();
            let [Heard::LoggedIn, Heard::Task(task), rest @ ..] = &heard[..] else { panic!("{heard:?}") };
            assert_eq!(rest.len(), usize::from(new));
            assert_eq!(task.difficulty, 20_000);
            let nonce: [u8; 4] = hex::decode(share["nonce"].as_str().unwrap()).unwrap().try_into().unwrap();
            let start = u64::from(u32::from_le_bytes(nonce));
            let found = task.search(start, 1);
            assert_eq!(found.len(), 1);
            assert_eq!(hex::encode(found[0].result), share["result"].as_str().unwrap());
            let submit: Value = serde_json::from_str(&tongue.submit(10, task, &found[0])).unwrap();
            assert_eq!(submit["params"]["nonce"], share["nonce"]);
            assert_eq!(submit["params"]["result"], share["result"]);
            assert_eq!(submit["params"].get("mallob").is_some(), !new);
            let journal = tongue.journal(task, &found[0]);
            assert_eq!(journal.fields["blob"], share["hashing_blob_with_nonce"]);
        }
    }

    #[test]
    fn a_refused_share_makes_it_ask_for_its_job_and_go_on_where_it_was() {
        let mut tongue = DynexTongue::new(&config("x"));
        tongue.hear(&welcome()).unwrap();
        let refused = json!({"id": 10, "jsonrpc": "2.0", "error": {"code": 20, "message": "no"}});
        let heard = tongue.hear(&refused).unwrap();
        let [Heard::Answer { id: 10, refusal: Some(words) }, Heard::Say(line)] = &heard[..] else {
            panic!("{heard:?}")
        };
        assert!(words == "no" && line.contains("getjob"));
        let answer = |job: Value| json!({"id": 3, "jsonrpc": "2.0", "error": null, "result": job});
        assert!(matches!(&tongue.hear(&answer(job("1"))).unwrap()[..], [Heard::Change(_)]));
        assert!(matches!(&tongue.hear(&answer(job("2"))).unwrap()[..], [Heard::Task(_)]));
        let accepted = json!({"id": 11, "jsonrpc": "2.0", "error": null, "result": {"status": "OK"}});
        let heard = tongue.hear(&accepted).unwrap();
        assert!(matches!(&heard[..], [Heard::Answer { id: 11, refusal: None }]));
    }

    #[test]
    fn a_job_without_its_four_members_ends_the_connection() {
        for member in ["job_id", "id", "blob", "target"] {
            for wrong in [json!(null), json!(7), json!(""), json!("00000000")] {
                if member.ends_with("id") && wrong.is_string() {
                    continue;
                }
                let mut bad = job("1");
                bad[member] = wrong;
                let line = json!({"jsonrpc": "2.0", "method": "job", "params": bad});
                assert!(DynexTongue::new(&config("x")).hear(&line).is_err(), "{member}");
            }
        }
        let refused = json!({"id": 1, "error": {"code": -1, "message": "Incorrect algo"}});
        let error = DynexTongue::new(&config("x")).hear(&refused).unwrap_err();
        assert!(error.contains("Incorrect algo"));
    }
}
