//! Hypra's tongue of the CPU miner: real EthashB3 from a cache, in the three grammars that Hypra's miners speak.
//!
//! A miner with a gigabyte to spare computes the whole dataset first and is a hundred times as fast; this one is for
//! demonstrations and tests, and starts within a second. Which grammar it speaks decides its agent's name: one that
//! contains `stratum2` speaks EthereumStratum/2.0.0, one that contains `ethproxy` ETHPROXY, any other NiceHash's.
//!
//! What is the same for all coins (threads, reconnecting, journals) is in [`crate::miner`], and what a caller needs of
//! it is named here again.

pub use crate::miner::{Found, MinerConfig, MinerCounters, MinerEvent};

use crate::hash::ethashb3::{Epoch, Hashed, LightCache};
use crate::miner::{Heard, Search, Tongue};
use pool_core::units::{Target, Work};
use pool_stratum::dialect::Dialect;
use pool_stratum::dialect::hypra::{Grammar, Hypra, HypraWork};
use pool_stratum::dialect::kaspa::difficulty;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Mines Hypra until `stop` resolves. Reports to `events`; a full or closed channel loses reports, never shares.
///
/// A journal's fields: `header` (the seal hash, 64 hex digits), `epoch` (a number), `nonce` (16 hex digits, the whole nonce,
/// big-endian), `mix` (64 hex digits).
pub async fn mine(
    config: MinerConfig,
    counters: Arc<MinerCounters>,
    events: mpsc::Sender<MinerEvent>,
    stop: impl Future<Output = ()>,
) {
    // Connections come and go; the cache stays.
    let caches = Arc::new(Caches::default());
    let tongue = move |config: &MinerConfig| HypraTongue::new(config, caches.clone());
    crate::miner::mine(config, tongue, counters, events, stop).await;
}

/// The caches of the last two epochs that were mined on, each built by the first thread that needs it.
#[derive(Debug, Default)]
pub struct Caches(Mutex<Vec<(Epoch, Arc<OnceLock<LightCache>>)>>);

impl Caches {
    fn of(&self, epoch: Epoch) -> Arc<OnceLock<LightCache>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cache)) = held.iter().find(|(known, _)| *known == epoch) {
            return cache.clone();
        }
        if held.len() == 2 {
            held.remove(0);
        }
        let cache = Arc::new(OnceLock::new());
        held.push((epoch, cache.clone()));
        cache
    }
}

/// One job of a Hypra pool. Candidates are the part of the nonce behind the pool's prefix.
#[derive(Debug)]
pub struct HypraTask {
    job: String,
    seal_hash: [u8; 32],
    epoch: Epoch,
    cache: Arc<OnceLock<LightCache>>,
    target: Target,
    prefix: Prefix,
}

/// A nonce that solves a task, with its mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solved {
    nonce: u64,
    mix: [u8; 32],
}

impl Search for HypraTask {
    type Solution = Solved;

    fn size(&self) -> u64 {
        u64::MAX >> self.prefix.bits
    }

    fn burst(&self) -> u64 {
        // Some ten milliseconds of one thread.
        16
    }

    fn search(&self, start: u64, count: u64) -> Vec<Solved> {
        let cache = self.cache.get_or_init(|| LightCache::build(self.epoch));
        let mut solved = Vec::new();
        let mut keep = |nonce: u64, hashed: Hashed| {
            if hashed.number() <= self.target.get() {
                solved.push(Solved { nonce, mix: hashed.mix });
            }
        };
        let nonces: Vec<u64> = (start..start + count).map(|counter| self.prefix.nonce(counter)).collect();
        let (fours, rest) = nonces.as_chunks::<4>();
        for four in fours {
            let hashes = cache.hash_many(four.map(|nonce| (&self.seal_hash, nonce)));
            four.iter().zip(hashes).for_each(|(nonce, hashed)| keep(*nonce, hashed));
        }
        for nonce in rest {
            keep(*nonce, cache.hash(&self.seal_hash, *nonce));
        }
        solved
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
pub struct HypraTongue {
    grammar: Grammar,
    user: String,
    caches: Arc<Caches>,
    prefix: Prefix,
    target: Target,
    epoch: Option<Epoch>,
    /// What EthereumStratum/2.0.0 calls us.
    token: String,
    /// Without an extranonce of the pool's every miner begins somewhere else.
    start: u64,
}

const GREET: u64 = 1;
const SUBSCRIBE: u64 = 2;
const LOGIN: u64 = 3;
const WORK: u64 = 4;
/// How often a pool that may not push is asked for work.
const POLL: Duration = Duration::from_secs(5);

impl HypraTongue {
    /// The grammar of a fresh connection.
    #[must_use]
    pub fn new(config: &MinerConfig, caches: Arc<Caches>) -> Self {
        let agent = config.agent.to_ascii_lowercase();
        let grammar = if agent.contains("stratum2") {
            Grammar::Second
        } else if agent.contains("ethproxy") {
            Grammar::Proxy
        } else {
            Grammar::NiceHash
        };
        let one = Work::new(1 << 32).expect("two to the 32nd is work");
        let name = crate::hash::ethashb3::keccak256(config.user.as_bytes());
        Self {
            grammar,
            user: config.user.clone(),
            caches,
            prefix: Prefix::default(),
            target: Hypra::<HypraWork>::default().share_target(one),
            epoch: None,
            token: String::new(),
            start: u64::from(u16::from_be_bytes([name[0], name[1]])),
        }
    }

    fn task(&self, job: &str, seal_hash: [u8; 32], epoch: Epoch, target: Target) -> Heard<HypraTask> {
        let prefix = match self.grammar {
            Grammar::Proxy => Prefix { value: self.start, bits: 16 },
            Grammar::NiceHash | Grammar::Second | Grammar::First => self.prefix,
        };
        let cache = self.caches.of(epoch);
        Heard::Task(Arc::new(HypraTask { job: job.to_owned(), seal_hash, epoch, cache, target, prefix }))
    }

    /// Work as a node gives it out.
    fn work(&self, items: &Value) -> Option<Heard<HypraTask>> {
        let name = items.get(0)?.as_str()?;
        let (seal_hash, seed_hash) = (bytes(items.get(0)?)?, bytes(items.get(1)?)?);
        let epoch = epoch_of(&seed_hash)?;
        Some(self.task(name, seal_hash, epoch, Target::from_be_bytes(bytes(items.get(2)?)?)))
    }

    /// Takes a notification in; an error ends the connection.
    fn heed(&mut self, method: &str, params: &Value) -> Result<Option<Heard<HypraTask>>, String> {
        let bad = || format!("the pool sent a bad {method}: {params}");
        let text = |place: usize| params.get(place).and_then(Value::as_str).ok_or_else(bad);
        Ok(match (self.grammar, method) {
            (Grammar::NiceHash, "mining.set_extranonce") => {
                self.prefix = Prefix::parse(text(0)?).ok_or_else(bad)?;
                None
            }
            (Grammar::NiceHash, "mining.set_difficulty") => {
                let number = params.get(0).filter(|value| value.is_number()).ok_or_else(bad)?.to_string();
                let work = difficulty::parse(&number).ok_or_else(bad)?;
                self.target = Hypra::<HypraWork>::default().share_target(work);
                None
            }
            (Grammar::NiceHash, "mining.notify") => {
                let seed_hash = bytes(&params[1]).ok_or_else(bad)?;
                let epoch = epoch_of(&seed_hash).ok_or_else(bad)?;
                Some(self.task(text(0)?, bytes(&params[2]).ok_or_else(bad)?, epoch, self.target))
            }
            (Grammar::Second, "mining.set") => {
                let member = |name: &str| params.get(name).and_then(Value::as_str);
                if let Some(prefix) = member("extranonce") {
                    self.prefix = Prefix::parse(prefix).ok_or_else(bad)?;
                }
                if params.get("target").is_some() {
                    self.target = Target::from_be_bytes(bytes(&params["target"]).ok_or_else(bad)?);
                }
                if let Some(epoch) = member("epoch") {
                    let number = u64::from_str_radix(epoch, 16).map_err(|_| bad())?;
                    self.epoch = Some(Epoch::new(number).map_err(|_| bad())?);
                }
                None
            }
            (Grammar::Second, "mining.notify") => {
                let epoch = self.epoch.ok_or("a job before its epoch")?;
                Some(self.task(text(0)?, bytes(&params[2]).ok_or_else(bad)?, epoch, self.target))
            }
            (_, "client.reconnect" | "mining.reconnect" | "mining.bye") => {
                return Err("the pool asks to reconnect".to_owned());
            }
            _ => None,
        })
    }
}

impl Tongue for HypraTongue {
    type Task = HypraTask;

    fn hello(&mut self, config: &MinerConfig) -> Vec<String> {
        let authorize = json!([config.user, config.password]);
        let lines = match self.grammar {
            Grammar::Proxy => {
                let (address, worker) = config.user.split_once('.').unwrap_or((&config.user, ""));
                vec![json!({
                    "id": LOGIN, "method": "eth_submitLogin", "params": [address, config.password], "worker": worker,
                })]
            }
            Grammar::Second => vec![
                json!({ "id": GREET, "method": "mining.hello", "params": {
                    "agent": config.agent, "host": "", "port": "0", "proto": "EthereumStratum/2.0.0",
                }}),
                json!({ "id": SUBSCRIBE, "method": "mining.subscribe" }),
                json!({ "id": LOGIN, "method": "mining.authorize", "params": authorize }),
            ],
            Grammar::NiceHash | Grammar::First => vec![
                json!({ "id": SUBSCRIBE, "method": "mining.subscribe",
                    "params": [config.agent, "EthereumStratum/1.0.0"] }),
                json!({ "id": LOGIN, "method": "mining.authorize", "params": authorize }),
            ],
        };
        lines.iter().map(Value::to_string).collect()
    }

    fn hear(&mut self, line: &Value) -> Result<Vec<Heard<HypraTask>>, String> {
        if let Some(method) = line["method"].as_str() {
            return Ok(self.heed(method, &line["params"])?.into_iter().collect());
        }
        let (result, error) = (&line["result"], &line["error"]);
        let refused = !error.is_null() || *result == Value::Bool(false);
        Ok(match line["id"].as_u64() {
            // ETHPROXY's jobs come as answers to a question nobody asked.
            Some(0 | WORK) if result.is_array() => {
                let task = self.work(result).ok_or_else(|| format!("the pool sent bad work: {line}"))?;
                vec![task]
            }
            Some(GREET | SUBSCRIBE | LOGIN) if refused => {
                return Err(format!("the pool does not want us: {}", words(error)));
            }
            Some(SUBSCRIBE) => {
                if let Some(prefix) = result.get(1).and_then(Value::as_str) {
                    self.prefix = Prefix::parse(prefix)
                        .ok_or_else(|| format!("an extranonce that is none: {prefix}"))?;
                }
                vec![]
            }
            Some(LOGIN) => {
                self.token = result.as_str().unwrap_or_default().to_owned();
                let ask = (self.grammar == Grammar::Proxy).then(|| Heard::Say(self.beat().concat()));
                [Heard::LoggedIn].into_iter().chain(ask).collect()
            }
            Some(id) => vec![Heard::Answer { id, refusal: refused.then(|| words(error)) }],
            None => vec![],
        })
    }

    fn submit(&mut self, id: u64, task: &HypraTask, solution: &Solved) -> String {
        let nonce = format!("{:016x}", solution.nonce);
        let own = &nonce[(task.prefix.bits / 4) as usize..];
        let line = match self.grammar {
            Grammar::NiceHash | Grammar::First => {
                json!({ "id": id, "method": "mining.submit", "params": [self.user, task.job, own] })
            }
            Grammar::Second => {
                json!({ "id": id, "method": "mining.submit", "params": [task.job, own, self.token] })
            }
            Grammar::Proxy => {
                let (_, worker) = self.user.split_once('.').unwrap_or_default();
                let seal = hex::encode(task.seal_hash);
                let mix = hex::encode(solution.mix);
                json!({ "id": id, "method": "eth_submitWork", "worker": worker,
                    "params": [format!("0x{nonce}"), format!("0x{seal}"), format!("0x{mix}")] })
            }
        };
        line.to_string()
    }

    fn journal(&self, task: &HypraTask, solution: &Solved) -> Found {
        let fields = [
            ("header", Value::from(hex::encode(task.seal_hash))),
            ("epoch", Value::from(task.epoch.get())),
            ("nonce", Value::from(format!("{:016x}", solution.nonce))),
            ("mix", Value::from(hex::encode(solution.mix))),
        ];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Found { job: task.job.clone(), fields }
    }

    fn pulse(&self) -> Option<Duration> {
        (self.grammar == Grammar::Proxy).then_some(POLL)
    }

    fn beat(&mut self) -> Vec<String> {
        vec![json!({ "id": WORK, "method": "eth_getWork", "params": [] }).to_string()]
    }
}

/// 32 bytes, with or without `0x`.
fn bytes(value: &Value) -> Option<[u8; 32]> {
    let text = value.as_str()?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes).ok()?;
    Some(bytes)
}

/// The epoch with this seed.
fn epoch_of(seed_hash: &[u8; 32]) -> Option<Epoch> {
    let (mut epoch, mut seed) = (Epoch::new(0).ok()?, [0; 32]);
    while seed != *seed_hash {
        seed = crate::hash::ethashb3::keccak256(&seed);
        epoch = epoch.next()?;
    }
    Some(epoch)
}

/// The words of an error answer: `[code, text, …]`, or an object with a message.
fn words(error: &Value) -> String {
    let text = error.get(1).or_else(|| error.get("message")).and_then(Value::as_str);
    text.map_or_else(|| error.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(agent: &str) -> MinerConfig {
        MinerConfig {
            pool: String::new(),
            user: "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f.rig1".into(),
            password: "x".into(),
            agent: agent.into(),
            threads: 1,
            hashes_per_second_max: None,
        }
    }

    fn tongue(agent: &str) -> HypraTongue {
        HypraTongue::new(&config(agent), Arc::default())
    }

    fn hear(tongue: &mut HypraTongue, text: &str) -> Result<Vec<Heard<HypraTask>>, String> {
        tongue.hear(&serde_json::from_str(text).unwrap())
    }

    const SEAL: &str = "3dd392cc02d0b240df956e5306318332acfb903db2fa70316a0593d22fb28df0";
    const TARGET: &str = "00a3d70a3d70a3d70a3d70a3d70a3d70a3d70a3d70a3d70a3d70a3d70a3d70a3";

    /// The task, with a cache that takes no time to build.
    fn task(heard: Result<Vec<Heard<HypraTask>>, String>) -> Arc<HypraTask> {
        let Some(Heard::Task(task)) = heard.unwrap().into_iter().next() else { panic!("no task") };
        let sizes = crate::hash::ethashb3::Sizes { cache_rows: 61, dataset_pages: 251 };
        let _ = task.cache.set(LightCache::with_sizes(&[1; 32], sizes));
        task
    }

    #[test]
    fn nicehash() {
        let mut tongue = tongue("m/1");
        let hello = tongue.hello(&config("m/1"));
        assert_eq!(hello.len(), 2);
        assert!(hello[0].contains("EthereumStratum/1.0.0"));
        let subscribed =
            r#"{"id":2,"result":[["mining.notify","1","EthereumStratum/1.0.0"],"0001"],"error":null}"#;
        assert!(hear(&mut tongue, subscribed).unwrap().is_empty());
        let login = hear(&mut tongue, r#"{"id":3,"result":true,"error":null}"#).unwrap();
        assert!(matches!(login[..], [Heard::LoggedIn]));
        hear(&mut tongue, r#"{"id":null,"method":"mining.set_difficulty","params":[0.0000001]}"#).unwrap();
        let seed = "0".repeat(64);
        let notify =
            format!(r#"{{"id":null,"method":"mining.notify","params":["1f","{seed}","{SEAL}",true]}}"#);
        let task = task(hear(&mut tongue, &notify));
        assert_eq!((task.epoch.get(), task.size()), (0, u64::MAX >> 16));
        let solved = task.search(0, 6_001);
        assert!(!solved.is_empty(), "one in 430 hashes is one");
        for found in &solved {
            assert_eq!(found.nonce >> 48, 1);
            let cache = task.cache.get().unwrap();
            assert_eq!(cache.hash(&task.seal_hash, found.nonce).mix, found.mix);
        }
        let line: Value = serde_json::from_str(&tongue.submit(20, &task, &solved[0])).unwrap();
        let digits = &format!("{:016x}", solved[0].nonce)[4..];
        assert_eq!(line["params"], json!([config("").user, "1f", digits]));
        assert_eq!(tongue.journal(&task, &solved[0]).fields["header"], SEAL);
        let refused =
            hear(&mut tongue, r#"{"id":20,"result":false,"error":[23,"Low difficulty share",null]}"#);
        assert!(
            matches!(&refused.unwrap()[..], [Heard::Answer { id: 20, refusal: Some(why) }] if why == "Low difficulty share")
        );
        let fine = hear(&mut tongue, r#"{"id":21,"result":true,"error":null}"#).unwrap();
        assert!(matches!(fine[..], [Heard::Answer { id: 21, refusal: None }]));
    }

    #[test]
    fn ethproxy() {
        let mut tongue = tongue("ethproxy/1");
        let hello: Value = serde_json::from_str(&tongue.hello(&config("ethproxy/1"))[0]).unwrap();
        assert_eq!((&hello["worker"], &hello["params"][1]), (&json!("rig1"), &json!("x")));
        let login = hear(&mut tongue, r#"{"id":3,"jsonrpc":"2.0","result":true}"#).unwrap();
        assert!(matches!(&login[..], [Heard::LoggedIn, Heard::Say(ask)] if ask.contains("eth_getWork")));
        let seed = "0".repeat(64);
        let push =
            format!(r#"{{"id":0,"jsonrpc":"2.0","result":["0x{SEAL}","0x{seed}","0x{TARGET}","0x3039"]}}"#);
        let task = task(hear(&mut tongue, &push));
        let solved = task.search(0, 6_001)[0];
        let line: Value = serde_json::from_str(&tongue.submit(30, &task, &solved)).unwrap();
        assert_eq!(line["params"][1], format!("0x{SEAL}"));
        assert_eq!(line["params"][0].as_str().map(str::len), Some(18));
        let refused = hear(
            &mut tongue,
            r#"{"id":30,"jsonrpc":"2.0","result":null,"error":{"code":22,"message":"Duplicate share"}}"#,
        );
        assert!(
            matches!(&refused.unwrap()[..], [Heard::Answer { refusal: Some(why), .. }] if why == "Duplicate share")
        );
        assert!(hear(&mut tongue, r#"{"id":0,"result":["0x1"]}"#).is_err());
    }

    #[test]
    fn ethereum_stratum_2() {
        let mut tongue = tongue("m/1 stratum2");
        assert_eq!(tongue.hello(&config("m/1 stratum2")).len(), 3);
        hear(&mut tongue, r#"{"id":1,"result":{"proto":"EthereumStratum/2.0.0"}}"#).unwrap();
        hear(&mut tongue, r#"{"id":2,"result":"s-1"}"#).unwrap();
        hear(&mut tongue, r#"{"id":3,"result":"w-1"}"#).unwrap();
        let notify = format!(r#"{{"method":"mining.notify","params":["1","3039","{SEAL}","0"]}}"#);
        assert!(hear(&mut tongue, &notify).is_err(), "no epoch yet");
        let set = format!(
            r#"{{"method":"mining.set","params":{{"epoch":"0","target":"{TARGET}","algo":"ethashb3","extranonce":"beef"}}}}"#
        );
        hear(&mut tongue, &set).unwrap();
        let task = task(hear(&mut tongue, &notify));
        let solved = task.search(5, 6_001)[0];
        assert_eq!(solved.nonce >> 48, 0xbeef);
        let line: Value = serde_json::from_str(&tongue.submit(40, &task, &solved)).unwrap();
        assert_eq!((&line["params"][0], &line["params"][2]), (&json!("1"), &json!("w-1")));
        let fine = hear(&mut tongue, r#"{"id":40}"#).unwrap();
        assert!(matches!(fine[..], [Heard::Answer { id: 40, refusal: None }]));
        let refused =
            hear(&mut tongue, r#"{"id":41,"error":{"code":404,"message":"Job not found"}}"#).unwrap();
        assert!(matches!(&refused[..], [Heard::Answer { refusal: Some(_), .. }]));
    }

    #[test]
    fn epochs_are_known_by_their_seeds() {
        for number in [0, 1, 330, 2047] {
            let epoch = Epoch::new(number).unwrap();
            assert_eq!(epoch_of(&epoch.seed_hash()), Some(epoch));
        }
        assert_eq!(epoch_of(&[1; 32]), None);
    }
}
