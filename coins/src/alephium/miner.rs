//! Alephium's tongues of the CPU miner: real double BLAKE3, and the three grammars a pool speaks.
//!
//! What is the same for all coins (threads, reconnecting, journals) is in [`crate::miner`], and what a caller needs of
//! it is named here again. Which grammar is spoken is the agent's last word: `… stratum1` speaks the document's,
//! `… miningcore` greets first, any other agent speaks the official pool's.

pub use crate::miner::{Found, MinerConfig, MinerCounters, MinerEvent};

use super::chain::ChainIndex;
use super::header::{HeaderBlob, target_of_blob};
use crate::hash::double_blake3::{NONCE_LEN, Prepared};
use crate::miner::{Heard, Search, Tongue};
use pool_core::units::{Target, U256, Work};
use pool_stratum::dialect::alephium::{Grammar, difficulty};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Mines Alephium until `stop` resolves. Reports to `events`; a full or closed channel loses reports, never shares.
///
/// A journal's fields: `header_blob` (604 hex digits) and `nonce` (48 hex digits, the whole nonce).
pub async fn mine(
    config: MinerConfig,
    counters: Arc<MinerCounters>,
    events: mpsc::Sender<MinerEvent>,
    stop: impl Future<Output = ()>,
) {
    crate::miner::mine(config, AlephiumTongue::new, counters, events, stop).await;
}

/// One job of an Alephium pool. Candidates are the last eight bytes of the nonce; its first are the pool's.
#[derive(Debug)]
pub struct AlephiumTask {
    job: String,
    chain: ChainIndex,
    blob: HeaderBlob,
    prepared: Prepared,
    target: Target,
    prefix: Vec<u8>,
}

impl AlephiumTask {
    fn nonce(&self, counter: u64) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce[..self.prefix.len()].copy_from_slice(&self.prefix);
        nonce[NONCE_LEN - 8..].copy_from_slice(&counter.to_be_bytes());
        nonce
    }
}

impl Search for AlephiumTask {
    /// The whole nonce.
    type Solution = [u8; NONCE_LEN];

    fn burst(&self) -> u64 {
        4_096
    }

    fn search(&self, start: u64, count: u64) -> Vec<[u8; NONCE_LEN]> {
        (start..start + count)
            .map(|counter| self.nonce(counter))
            .filter(|nonce| {
                let hash = self.prepared.pow(nonce);
                ChainIndex::of_hash(&hash) == self.chain && U256::from_be_bytes(hash) <= self.target.get()
            })
            .collect()
    }
}

/// What a connection has been told so far.
#[derive(Debug)]
pub struct AlephiumTongue {
    grammar: Grammar,
    user: String,
    /// The name that the pool gave this worker, in the document's grammar.
    worker: Option<String>,
    prefix: Vec<u8>,
    target: Target,
    work: Option<(String, ChainIndex, HeaderBlob)>,
}

/// Ids that are the tongue's own. The document's are strings.
const HELLO: u64 = 1;
const SUBSCRIBE: u64 = 2;
const AUTHORIZE: u64 = 3;
/// The longest prefix: the counter keeps eight bytes.
const PREFIX_MAX: usize = NONCE_LEN - 8;

impl AlephiumTongue {
    /// The grammar of a fresh connection.
    #[must_use]
    pub fn new(config: &MinerConfig) -> Self {
        let grammar = match config.agent.rsplit(' ').next() {
            Some("stratum1") => Grammar::Stratum1,
            Some("miningcore") => Grammar::Miningcore,
            Some(_) | None => Grammar::Official,
        };
        Self {
            grammar,
            user: config.user.clone(),
            worker: None,
            prefix: Vec::new(),
            target: difficulty::share_target(Work::new(1 << 30).expect("two to the 30th is work")),
            work: None,
        }
    }

    fn id(&self, id: u64) -> Value {
        if self.grammar == Grammar::Stratum1 { Value::from(id.to_string()) } else { Value::from(id) }
    }

    fn task(&self) -> Option<Arc<AlephiumTask>> {
        let (job, chain, blob) = self.work.clone()?;
        let prepared = Prepared::new(blob.bytes());
        let (target, prefix) = (self.target, self.prefix.clone());
        Some(Arc::new(AlephiumTask { job, chain, blob, prepared, target, prefix }))
    }

    /// Takes a notification in; an error ends the connection.
    fn heed(&mut self, method: &str, params: &Value) -> Result<Option<Heard<AlephiumTask>>, String> {
        let bad = || format!("the pool sent a bad {method}: {params}");
        // A bare value, or the first of a list.
        let first = params.get(0).unwrap_or(params);
        match method {
            "mining.set_extranonce" => {
                let prefix = first.as_str().and_then(|text| hex::decode(text).ok());
                self.prefix = prefix.filter(|prefix| prefix.len() <= PREFIX_MAX).ok_or_else(bad)?;
                Ok(self.task().map(Heard::Change))
            }
            "mining.set_difficulty" => {
                let text = params.get(0).filter(|value| value.is_number()).ok_or_else(bad)?.to_string();
                self.target = difficulty::share_target(difficulty::parse(&text).ok_or_else(bad)?);
                Ok(None)
            }
            "mining.set_target" => {
                self.target = first.as_str().and_then(target_of_text).ok_or_else(bad)?;
                Ok(None)
            }
            "mining.notify" => {
                self.work = Some(if first.is_object() {
                    if let Some(target) = first.get("targetBlob").and_then(Value::as_str) {
                        self.target = target_of_text(target).ok_or_else(bad)?;
                    }
                    read_object(first).ok_or_else(bad)?
                } else {
                    read_list(params).ok_or_else(bad)?
                });
                Ok(self.task().map(Heard::Task))
            }
            "client.reconnect" => Err("the pool asks to reconnect".to_owned()),
            _ => Ok(None),
        }
    }
}

fn read_blob(value: &Value) -> Option<HeaderBlob> {
    HeaderBlob::new(&hex::decode(value.as_str()?).ok()?).ok()
}

/// The official form of a job.
fn read_object(job: &Value) -> Option<(String, ChainIndex, HeaderBlob)> {
    let group = |name: &str| job.get(name)?.as_u64().and_then(|group| u32::try_from(group).ok());
    let chain = ChainIndex::of_numbers(group("fromGroup")?, group("toGroup")?)?;
    Some((job.get("jobId")?.as_str()?.to_owned(), chain, read_blob(job.get("headerBlob")?)?))
}

/// The document's form of a job: its name, its chain and its header.
fn read_list(params: &Value) -> Option<(String, ChainIndex, HeaderBlob)> {
    let chain = u8::from_str_radix(params.get(1)?.as_str()?, 16).ok().and_then(ChainIndex::of_place)?;
    Some((params.get(0)?.as_str()?.to_owned(), chain, read_blob(params.get(2)?)?))
}

fn target_of_text(text: &str) -> Option<Target> {
    let padded = if text.len().is_multiple_of(2) { text.to_owned() } else { format!("0{text}") };
    target_of_blob(&hex::decode(padded).ok()?).ok()
}

impl Tongue for AlephiumTongue {
    type Task = AlephiumTask;

    fn hello(&mut self, config: &MinerConfig) -> Vec<String> {
        let line = |id: u64, method: &str, params: Value| {
            json!({ "id": self.id(id), "method": method, "params": params }).to_string()
        };
        let authorize = line(AUTHORIZE, "mining.authorize", json!([config.user, config.password]));
        match self.grammar {
            Grammar::Official => vec![line(SUBSCRIBE, "mining.subscribe", json!([config.agent])), authorize],
            Grammar::Miningcore | Grammar::Stratum1 => vec![
                line(HELLO, "mining.hello", json!([config.agent, "AlephiumStratum/1.0.0"])),
                line(SUBSCRIBE, "mining.subscribe", json!([])),
                authorize,
            ],
        }
    }

    fn hear(&mut self, line: &Value) -> Result<Vec<Heard<AlephiumTask>>, String> {
        if let Some(method) = line["method"].as_str() {
            return Ok(self.heed(method, &line["params"])?.into_iter().collect());
        }
        let (result, error) = (&line["result"], &line["error"]);
        let id = line["id"].as_u64().or_else(|| line["id"].as_str()?.parse().ok());
        Ok(match id {
            Some(HELLO | SUBSCRIBE) | None => vec![],
            Some(AUTHORIZE) => {
                // A worker's name is as good as "true".
                if *result != Value::Bool(true) && !result.is_string() {
                    return Err(format!("not authorized: {}", words(error)));
                }
                self.worker = result.as_str().filter(|name| !name.is_empty()).map(str::to_owned);
                vec![Heard::LoggedIn]
            }
            Some(id) => {
                let refusal = (*result != Value::Bool(true)).then(|| words(error));
                vec![Heard::Answer { id, refusal }]
            }
        })
    }

    fn submit(&mut self, id: u64, task: &AlephiumTask, solution: &[u8; NONCE_LEN]) -> String {
        let worker = self.worker.as_deref().unwrap_or(&self.user);
        let params = match self.grammar {
            Grammar::Official | Grammar::Miningcore => json!({
                "jobId": task.job,
                "fromGroup": task.chain.from().get(),
                "toGroup": task.chain.to().get(),
                "nonce": hex::encode(solution),
                "worker": worker,
            }),
            Grammar::Stratum1 => json!([task.job, hex::encode(&solution[task.prefix.len()..]), worker]),
        };
        json!({ "id": self.id(id), "method": "mining.submit", "params": params }).to_string()
    }

    fn journal(&self, task: &AlephiumTask, solution: &[u8; NONCE_LEN]) -> Found {
        let fields = [
            ("header_blob", Value::from(hex::encode(task.blob.bytes()))),
            ("nonce", Value::from(hex::encode(solution))),
        ];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Found { job: task.job.clone(), fields }
    }
}

/// The words of an error answer; the official pool sends none.
fn words(error: &Value) -> String {
    match error {
        Value::Null => "refused without a word".to_owned(),
        error => error.get(1).and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tongue(agent: &str) -> (AlephiumTongue, Vec<String>) {
        let config = MinerConfig {
            pool: String::new(),
            user: "1addr.rig".into(),
            password: "x".into(),
            agent: agent.into(),
            threads: 1,
            hashes_per_second_max: None,
        };
        let mut tongue = AlephiumTongue::new(&config);
        let hello = tongue.hello(&config);
        (tongue, hello)
    }

    fn hear(tongue: &mut AlephiumTongue, text: &str) -> Vec<Heard<AlephiumTask>> {
        tongue.hear(&serde_json::from_str(text).unwrap()).unwrap()
    }

    fn blob() -> String {
        format!("0007{}", "11".repeat(300))
    }

    #[test]
    fn the_official_grammar_is_spoken() {
        let (mut tongue, hello) = tongue("m/1");
        assert_eq!(hello[0], r#"{"id":2,"method":"mining.subscribe","params":["m/1"]}"#);
        assert_eq!(hello[1], r#"{"id":3,"method":"mining.authorize","params":["1addr.rig","x"]}"#);
        assert!(matches!(hear(&mut tongue, r#"{"id":3,"result":true}"#)[..], [Heard::LoggedIn]));
        hear(&mut tongue, r#"{"method":"mining.set_extranonce","params":["ab12"],"id":null}"#);
        hear(&mut tongue, r#"{"id":null,"method":"mining.set_difficulty","params":[1]}"#);
        let easy = "f".repeat(64);
        let notify = format!(
            r#"{{"id":null,"method":"mining.notify","params":[{{"jobId":"16","fromGroup":1,"toGroup":2,"headerBlob":"{}","txsBlob":"","height":5,"targetBlob":"{easy}"}}]}}"#,
            blob()
        );
        let Heard::Task(task) = hear(&mut tongue, &notify).remove(0) else { panic!("no task") };
        let found = task.search(0, 400);
        assert!(found.len() > 5 && found.len() < 80, "one in sixteen lands on the chain: {}", found.len());
        for nonce in &found {
            assert_eq!(&nonce[..2], [0xab, 0x12]);
            assert_eq!(ChainIndex::of_hash(&task.blob.hash(nonce)), task.chain);
        }
        let submit: Value = serde_json::from_str(&tongue.submit(10, &task, &found[0])).unwrap();
        assert_eq!(submit["params"]["nonce"].as_str(), Some(hex::encode(found[0]).as_str()));
        assert_eq!((submit["params"]["toGroup"].as_u64(), submit["id"].as_u64()), (Some(2), Some(10)));
        assert_eq!(tongue.journal(&task, &found[0]).fields["header_blob"], blob());
        let answers =
            hear(&mut tongue, r#"{"id":10,"result":null,"error":[25,"low difficulty share",null]}"#);
        assert!(
            matches!(&answers[..], [Heard::Answer { id: 10, refusal: Some(why) }] if why.contains("low"))
        );
    }

    #[test]
    fn the_documents_grammar_is_spoken() {
        let (mut tongue, hello) = tongue("m/1 stratum1");
        assert!(hello[0].contains(r#""id":"1""#) && hello[0].contains("mining.hello"));
        hear(&mut tongue, r#"{"id":"3","result":"w-1"}"#);
        hear(&mut tongue, r#"{"id":null,"method":"mining.set_extranonce","params":"ab12"}"#);
        let target = format!(r#"{{"id":null,"method":"mining.set_target","params":"{}"}}"#, "f".repeat(64));
        hear(&mut tongue, &target);
        let notify = format!(r#"{{"id":null,"method":"mining.notify","params":["16","06","{}"]}}"#, blob());
        let Heard::Task(task) = hear(&mut tongue, &notify).remove(0) else { panic!("no task") };
        assert_eq!((task.chain.to_string(), task.target), ("(1,2)".into(), Target::MAX));
        let nonce = task.search(0, 400)[0];
        let submit = tongue.submit(10, &task, &nonce);
        assert_eq!(
            submit,
            format!(
                r#"{{"id":"10","method":"mining.submit","params":["16","{}","w-1"]}}"#,
                hex::encode(&nonce[2..])
            )
        );
    }

    #[test]
    fn bad_words_of_a_pool_end_the_connection() {
        for line in [
            r#"{"method":"mining.set_extranonce","params":["zz"]}"#,
            r#"{"method":"mining.set_difficulty","params":["x"]}"#,
            r#"{"method":"mining.notify","params":[{"jobId":"1"}]}"#,
            r#"{"method":"mining.notify","params":["1","ff",""]}"#,
            r#"{"id":3,"result":null,"error":[22,"invalid worker",null]}"#,
            r#"{"method":"client.reconnect","params":[]}"#,
        ] {
            let (mut tongue, _) = tongue("m");
            assert!(tongue.hear(&serde_json::from_str(line).unwrap()).is_err(), "{line}");
        }
    }
}
