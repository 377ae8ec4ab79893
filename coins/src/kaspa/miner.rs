//! Kaspa's tongue of the CPU miner: real kHeavyHash, and every form in which a Kaspa pool hands out jobs, extranonces
//! and difficulties.
//!
//! What is the same for all coins (threads, reconnecting, journals) is in [`crate::miner`], and what a caller needs of
//! it is named here again.

pub use crate::miner::{Found, MinerConfig, MinerCounters, MinerEvent};

use crate::hash::kheavyhash::{Matrix, pow};
use crate::miner::{Heard, Search, Tongue};
use pool_core::units::{Target, Work};
use pool_stratum::dialect::kaspa::difficulty;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Mines Kaspa until `stop` resolves. Reports to `events`; a full or closed channel loses reports, never shares.
///
/// A journal's fields: `pre_pow` (64 hex digits), `timestamp` (Unix milliseconds), `nonce` (16 hex digits, the whole
/// nonce, big-endian).
pub async fn mine(
    config: MinerConfig,
    counters: Arc<MinerCounters>,
    events: mpsc::Sender<MinerEvent>,
    stop: impl Future<Output = ()>,
) {
    crate::miner::mine(config, KaspaTongue::new, counters, events, stop).await;
}

/// One job of a Kaspa pool. Candidates are the part of the nonce behind the pool's prefix.
#[derive(Debug)]
pub struct KaspaTask {
    job: String,
    pre_pow: [u8; 32],
    timestamp: u64,
    matrix: Arc<Matrix>,
    target: Target,
    prefix: Prefix,
}

impl Search for KaspaTask {
    /// The whole nonce.
    type Solution = u64;

    fn size(&self) -> u64 {
        u64::MAX >> self.prefix.bits
    }

    fn search(&self, start: u64, count: u64) -> Vec<u64> {
        (start..start + count)
            .map(|counter| self.prefix.nonce(counter))
            .filter(|nonce| pow(&self.matrix, &self.pre_pow, self.timestamp, *nonce) <= self.target.get())
            .collect()
    }
}

/// The high-order part of the nonce that the pool chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Prefix {
    value: u64,
    bits: u32,
}

impl Prefix {
    fn parse(text: &str) -> Option<Self> {
        let digits = u32::try_from(text.len()).ok().filter(|digits| *digits <= 14)?;
        let value = if digits == 0 { 0 } else { u64::from_str_radix(text, 16).ok()? };
        Some(Self { value, bits: digits * 4 })
    }

    const fn nonce(self, counter: u64) -> u64 {
        if self.bits == 0 {
            counter
        } else {
            self.value << (64 - self.bits) | counter & (u64::MAX >> self.bits)
        }
    }
}

/// What a connection has been told so far.
#[derive(Debug)]
pub struct KaspaTongue {
    user: String,
    prefix: Prefix,
    target: Target,
    work: Option<(String, [u8; 32], u64)>,
    matrix: Option<([u8; 32], Arc<Matrix>)>,
}

const SUBSCRIBE: u64 = 1;
const AUTHORIZE: u64 = 2;

impl KaspaTongue {
    /// The grammar of a fresh connection.
    #[must_use]
    pub fn new(config: &MinerConfig) -> Self {
        Self {
            user: config.user.clone(),
            prefix: Prefix::default(),
            target: difficulty::share_target(Work::new(1 << 32).expect("two to the 32nd is work")),
            work: None,
            matrix: None,
        }
    }

    fn task(&mut self) -> Option<Arc<KaspaTask>> {
        let (job, pre_pow, timestamp) = self.work.clone()?;
        let matrix = match &self.matrix {
            Some((of, matrix)) if *of == pre_pow => matrix.clone(),
            _ => {
                let matrix = Arc::new(Matrix::new(&pre_pow));
                self.matrix = Some((pre_pow, matrix.clone()));
                matrix
            }
        };
        Some(Arc::new(KaspaTask {
            job,
            pre_pow,
            timestamp,
            matrix,
            target: self.target,
            prefix: self.prefix,
        }))
    }

    /// Takes a notification in; an error ends the connection.
    fn heed(&mut self, method: &str, params: &Value) -> Result<Option<Heard<KaspaTask>>, String> {
        let bad = || format!("the pool sent a bad {method}: {params}");
        match method {
            "mining.set_extranonce" | "set_extranonce" => {
                self.prefix =
                    params.get(0).and_then(Value::as_str).and_then(Prefix::parse).ok_or_else(bad)?;
                return Ok(self.task().map(Heard::Change));
            }
            "mining.set_difficulty" => {
                let text = params.get(0).filter(|value| value.is_number()).ok_or_else(bad)?.to_string();
                self.target = difficulty::share_target(difficulty::parse(&text).ok_or_else(bad)?);
            }
            "mining.notify" => {
                let job =
                    params.get(0).map(|job| job.as_str().map_or_else(|| job.to_string(), str::to_owned));
                let (pre_pow, timestamp) = match (params.get(1), params.get(2)) {
                    (Some(Value::Array(words)), Some(timestamp)) => {
                        (from_words(words).ok_or_else(bad)?, timestamp.as_u64().ok_or_else(bad)?)
                    }
                    (Some(Value::String(text)), None) => from_big_job(text).ok_or_else(bad)?,
                    _ => return Err(bad()),
                };
                self.work = Some((job.ok_or_else(bad)?, pre_pow, timestamp));
                return Ok(self.task().map(Heard::Task));
            }
            "client.reconnect" => return Err("the pool asks to reconnect".to_owned()),
            _ => {}
        }
        Ok(None)
    }
}

impl Tongue for KaspaTongue {
    type Task = KaspaTask;

    fn hello(&mut self, config: &MinerConfig) -> Vec<String> {
        let subscribe = json!([config.agent, "EthereumStratum/1.0.0"]);
        let authorize = json!([config.user, config.password]);
        vec![
            json!({ "id": SUBSCRIBE, "method": "mining.subscribe", "params": subscribe }).to_string(),
            json!({ "id": AUTHORIZE, "method": "mining.authorize", "params": authorize }).to_string(),
        ]
    }

    fn hear(&mut self, line: &Value) -> Result<Vec<Heard<KaspaTask>>, String> {
        if let Some(method) = line["method"].as_str() {
            return Ok(self.heed(method, &line["params"])?.into_iter().collect());
        }
        let result = &line["result"];
        Ok(match line["id"].as_u64() {
            Some(SUBSCRIBE) => {
                // The Bitmain form carries the extranonce in this reply: [null, prefix, remaining bytes].
                if let Some(prefix) = result.get(1).and_then(Value::as_str).and_then(Prefix::parse) {
                    self.prefix = prefix;
                }
                vec![]
            }
            Some(AUTHORIZE) if *result != Value::Bool(true) => {
                return Err(format!("not authorized: {}", words(&line["error"])));
            }
            Some(AUTHORIZE) => vec![Heard::LoggedIn],
            Some(id) => {
                let refusal = (*result != Value::Bool(true)).then(|| words(&line["error"]));
                vec![Heard::Answer { id, refusal }]
            }
            None => vec![],
        })
    }

    fn submit(&mut self, id: u64, task: &KaspaTask, solution: &u64) -> String {
        let nonce = format!("{solution:016x}");
        let digits = (task.prefix.bits / 4) as usize;
        let params = json!([self.user, task.job, nonce[digits..]]);
        json!({ "id": id, "method": "mining.submit", "params": params }).to_string()
    }

    fn journal(&self, task: &KaspaTask, solution: &u64) -> Found {
        let fields = [
            ("pre_pow", Value::from(hex::encode(task.pre_pow))),
            ("timestamp", Value::from(task.timestamp)),
            ("nonce", Value::from(format!("{solution:016x}"))),
        ];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Found { job: task.job.clone(), fields }
    }
}

/// The array form: four words of the pre-PoW hash, each little-endian in the hash.
fn from_words(words: &[Value]) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if words.len() != 4 {
        return None;
    }
    for (bytes, word) in hash.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.as_u64()?.to_le_bytes());
    }
    Some(hash)
}

/// The big-job form: 64 digits of pre-PoW hash, 16 digits of the timestamp's little-endian bytes.
fn from_big_job(text: &str) -> Option<([u8; 32], u64)> {
    let bytes: [u8; 40] = hex::decode(text).ok()?.try_into().ok()?;
    let (hash, timestamp) = bytes.split_at(32);
    Some((hash.try_into().ok()?, u64::from_le_bytes(timestamp.try_into().ok()?)))
}

/// The words of an error answer.
fn words(error: &Value) -> String {
    error.get(1).and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_begins_with_the_prefix() {
        let prefix = Prefix::parse("0021").unwrap();
        assert_eq!(prefix.nonce(0xd1b5_1bc4_b490), 0x0021_d1b5_1bc4_b490);
        assert_eq!(prefix.nonce(u64::MAX), 0x0021_ffff_ffff_ffff);
        assert_eq!(Prefix::parse("").unwrap().nonce(7), 7);
        assert_eq!(Prefix::parse("zz"), None);
        assert_eq!(Prefix::parse("0011223344556677"), None);
    }

    #[test]
    fn both_job_forms_say_the_same() {
        let words: Vec<Value> = [
            15_394_875_493_717_953_681u64,
            15_291_762_840_029_249_571,
            18_238_340_858_324_143_807,
            11_959_631_033_795_784_308,
        ]
        .map(Value::from)
        .into();
        let big = "91cc6c2cb295a5d5234076a5484137d4bf4ee738619a1bfd74ae22760f25f9a5c593406b91010000";
        assert_eq!(from_big_job(big), Some((from_words(&words).unwrap(), 1_724_081_279_941)));
        assert_eq!(from_big_job(&big[2..]), None);
    }

    #[test]
    fn a_connection_is_spoken_as_pools_speak_it() {
        let config = MinerConfig {
            pool: String::new(),
            user: "kaspa:qx.rig".into(),
            password: "d=1".into(),
            agent: "m/1".into(),
            threads: 1,
            hashes_per_second_max: None,
        };
        let mut tongue = KaspaTongue::new(&config);
        let hello = tongue.hello(&config);
        assert_eq!(
            hello[0],
            r#"{"id":1,"method":"mining.subscribe","params":["m/1","EthereumStratum/1.0.0"]}"#
        );
        assert_eq!(hello[1], r#"{"id":2,"method":"mining.authorize","params":["kaspa:qx.rig","d=1"]}"#);
        let mut hear = |text: &str| tongue.hear(&serde_json::from_str(text).unwrap());
        assert!(hear(r#"{"id":1,"result":[true,"EthereumStratum/1.0.0"],"error":null}"#).unwrap().is_empty());
        assert!(matches!(hear(r#"{"id":2,"result":true}"#).unwrap()[..], [Heard::LoggedIn]));
        assert!(hear(r#"{"method":"mining.set_extranonce","params":["0021",6]}"#).unwrap().is_empty());
        assert!(hear(r#"{"method":"mining.set_difficulty","params":[0.0000001]}"#).unwrap().is_empty());
        let notify = r#"{"method":"mining.notify","params":["7",[1,2,3,4],1724081279941]}"#;
        let Heard::Task(task) = hear(notify).unwrap().remove(0) else { panic!("no task") };
        assert_eq!((task.job.as_str(), task.prefix.value, task.size()), ("7", 0x21, u64::MAX >> 16));
        // One in about 430 hashes meets this difficulty.
        let solution = task.search(0, 5_000)[0];
        assert_eq!(solution >> 48, 0x21);
        let other = hear(r#"{"method":"set_extranonce","params":["ab"]}"#).unwrap().remove(0);
        assert!(matches!(other, Heard::Change(other) if other.prefix.bits == 8 && other.job == "7"));
        let error = hear(r#"{"id":12,"result":null,"error":[21,"Job not found",null]}"#).unwrap().remove(0);
        assert!(matches!(error, Heard::Answer { id: 12, refusal: Some(text) } if text == "Job not found"));
        let fine = hear(r#"{"id":13,"result":true,"error":null}"#).unwrap().remove(0);
        assert!(matches!(fine, Heard::Answer { id: 13, refusal: None }));
        for bad in [
            r#"{"id":2,"result":null,"error":[24,"Unauthorized",null]}"#,
            r#"{"method":"mining.notify","params":["7",[1,2,3],1]}"#,
            r#"{"method":"mining.set_difficulty","params":["x"]}"#,
            r#"{"method":"mining.set_extranonce","params":["zz"]}"#,
            r#"{"method":"client.reconnect","params":[]}"#,
        ] {
            assert!(hear(bad).is_err(), "{bad}");
        }
        // The solution belongs to the prefix it was found with, whatever the pool has said since.
        let submit = tongue.submit(14, &task, &solution);
        let digits = &format!("{solution:016x}")[4..];
        let expected =
            format!(r#"{{"id":14,"method":"mining.submit","params":["kaspa:qx.rig","7","{digits}"]}}"#);
        assert_eq!(submit, expected);
        let found = tongue.journal(&task, &solution);
        assert_eq!(found.fields["nonce"], format!("{solution:016x}"));
        assert_eq!(found.fields["timestamp"], 1_724_081_279_941_u64);
    }
}
