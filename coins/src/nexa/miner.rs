//! Nexa's tongue of the CPU miner: real NexaPow, in both grammars.
//!
//! Which grammar a pool speaks shows in its notifications: four items are the short one's, five are Echelon's. So one
//! tongue does for both, and an agent that contains `echelon` asks for the second. What is the same for all coins
//! (threads, reconnecting, journals) is in [`crate::miner`], and what a caller needs of it is named here again.

pub use crate::miner::{Found, MinerConfig, MinerCounters, MinerEvent};

use crate::hash::nexapow::NexaPow;
use crate::miner::{Heard, Search, Tongue};
use pool_core::units::{Target, U256, Work};
use pool_stratum::dialect::kaspa::difficulty;
use pool_stratum::dialect::nexa::{Form, NexaNonce, share_target};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Mines Nexa until `stop` resolves. Reports to `events`; a full or closed channel loses reports, never shares.
///
/// A journal's fields: `commitment` (64 hex digits in hashing order), `nonce` (the whole nonce's digits in hashing order).
pub async fn mine(
    config: MinerConfig,
    counters: Arc<MinerCounters>,
    events: mpsc::Sender<MinerEvent>,
    stop: impl Future<Output = ()>,
) {
    let function = Arc::new(NexaPow::new());
    let tongue = move |config: &MinerConfig| NexaTongue::new(config, function.clone());
    crate::miner::mine(config, tongue, counters, events, stop).await;
}

/// One job of a Nexa pool. Candidates are the last eight bytes of the nonce, or what of them the pool leaves.
#[derive(Debug)]
pub struct NexaTask {
    job: String,
    form: Form,
    commitment: [u8; 32],
    prefix: Vec<u8>,
    target: Target,
    function: Arc<NexaPow>,
}

impl NexaTask {
    fn nonce(&self, counter: u64) -> NexaNonce {
        let mut bytes = [0; 16];
        let nonce = &mut bytes[..self.form.nonce_len()];
        let tail = nonce.len() - 8;
        nonce[tail..].copy_from_slice(&counter.to_be_bytes());
        nonce[..self.prefix.len()].copy_from_slice(&self.prefix);
        NexaNonce::new(nonce).expect("no grammar's nonce is longer than 16 bytes")
    }
}

impl Search for NexaTask {
    /// The whole nonce.
    type Solution = NexaNonce;

    fn size(&self) -> u64 {
        let owned = (self.prefix.len() + 8).saturating_sub(self.form.nonce_len());
        u64::MAX.checked_shr(8 * owned as u32).unwrap_or(0).max(1)
    }

    fn burst(&self) -> u64 {
        128
    }

    fn search(&self, start: u64, count: u64) -> Vec<NexaNonce> {
        let solves = |nonce: &NexaNonce| {
            let proof = self.function.proof(&self.commitment, nonce.bytes());
            proof.is_ok_and(|hash| U256::from_le_bytes(hash) <= self.target.get())
        };
        (start..start.saturating_add(count)).map(|counter| self.nonce(counter)).filter(solves).collect()
    }
}

/// What a connection has been told so far.
#[derive(Debug)]
pub struct NexaTongue {
    user: String,
    prefix: Vec<u8>,
    target: Target,
    work: Option<(String, Form, [u8; 32])>,
    function: Arc<NexaPow>,
}

const SUBSCRIBE: u64 = 1;
const AUTHORIZE: u64 = 2;

impl NexaTongue {
    /// The grammar of a fresh connection.
    #[must_use]
    pub fn new(config: &MinerConfig, function: Arc<NexaPow>) -> Self {
        Self {
            user: config.user.clone(),
            prefix: Vec::new(),
            target: share_target(Work::new(1 << 32).expect("two to the 32nd is work")),
            work: None,
            function,
        }
    }

    fn task(&self) -> Option<Arc<NexaTask>> {
        let (job, form, commitment) = self.work.clone()?;
        let (prefix, target, function) = (self.prefix.clone(), self.target, self.function.clone());
        Some(Arc::new(NexaTask { job, form, commitment, prefix, target, function }))
    }

    /// Takes a notification in; an error ends the connection.
    fn heed(&mut self, method: &str, params: &Value) -> Result<Option<Heard<NexaTask>>, String> {
        let bad = || format!("the pool sent a bad {method}: {params}");
        match method {
            "mining.set_difficulty" => {
                let text = params.get(0).filter(|value| value.is_number()).ok_or_else(bad)?.to_string();
                self.target = share_target(difficulty::parse(&text).ok_or_else(bad)?);
            }
            "mining.notify" => {
                let job = params.get(0).and_then(Value::as_str).ok_or_else(bad)?;
                let form = match params.as_array().map(Vec::len) {
                    Some(4) => Form::Short,
                    Some(5) => Form::Echelon,
                    _ => return Err(bad()),
                };
                let mut commitment = [0; 32];
                let text = params[1].as_str().ok_or_else(bad)?;
                hex::decode_to_slice(text, &mut commitment).map_err(|_| bad())?;
                // Echelon shows it as the node prints it.
                if form == Form::Echelon {
                    commitment.reverse();
                }
                let own = form.nonce_len().saturating_sub(self.prefix.len());
                if own == 0 {
                    return Err(format!("the pool leaves no room in its nonces: {params}"));
                }
                // The short grammar repeats four bytes of extranonce in every submit, however many it was told.
                if form == Form::Short && self.prefix.len() < 4 {
                    self.prefix.resize(4, 0);
                }
                self.work = Some((job.to_owned(), form, commitment));
                return Ok(self.task().map(Heard::Task));
            }
            "client.reconnect" => return Err("the pool asks to reconnect".to_owned()),
            _ => {}
        }
        Ok(None)
    }
}

impl Tongue for NexaTongue {
    type Task = NexaTask;

    fn hello(&mut self, config: &MinerConfig) -> Vec<String> {
        let authorize = json!([config.user, config.password]);
        vec![
            json!({ "id": SUBSCRIBE, "method": "mining.subscribe", "params": [config.agent] }).to_string(),
            json!({ "id": AUTHORIZE, "method": "mining.authorize", "params": authorize }).to_string(),
        ]
    }

    fn hear(&mut self, line: &Value) -> Result<Vec<Heard<NexaTask>>, String> {
        if let Some(method) = line["method"].as_str() {
            return Ok(self.heed(method, &line["params"])?.into_iter().collect());
        }
        let result = &line["result"];
        Ok(match line["id"].as_u64() {
            Some(SUBSCRIBE) => {
                let prefix = result.get(1).and_then(Value::as_str).and_then(|text| hex::decode(text).ok());
                self.prefix = prefix
                    .filter(|prefix| prefix.len() <= 15)
                    .ok_or_else(|| format!("not subscribed: {line}"))?;
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

    fn submit(&mut self, id: u64, task: &NexaTask, solution: &NexaNonce) -> String {
        let nonce = hex::encode(solution.bytes());
        let params = match task.form {
            Form::Short => json!([self.user, task.job, nonce[..8], "00000000", nonce[8..]]),
            Form::Echelon => json!([self.user, task.job, nonce, "0000000000000000"]),
        };
        json!({ "id": id, "method": "mining.submit", "params": params }).to_string()
    }

    fn journal(&self, task: &NexaTask, solution: &NexaNonce) -> Found {
        let fields = [
            ("commitment", Value::from(hex::encode(task.commitment))),
            ("nonce", Value::from(hex::encode(solution.bytes()))),
        ];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Found { job: task.job.clone(), fields }
    }
}

/// The words of an error answer.
fn words(error: &Value) -> String {
    error.get(1).and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pool_core::limits::Limits;
    use pool_stratum::dialect::nexa::{Nexa, NexaWork};
    use pool_stratum::dialect::{Call, Dialect, Peer, Request};
    use pool_stratum::extranonce::Extranonce;

    fn config(agent: &str) -> MinerConfig {
        MinerConfig {
            pool: String::new(),
            user: "nexa:nq.rig".into(),
            password: "d=1".into(),
            agent: agent.into(),
            threads: 1,
            hashes_per_second_max: None,
        }
    }

    fn hear(tongue: &mut NexaTongue, text: &str) -> Result<Vec<Heard<NexaTask>>, String> {
        tongue.hear(&serde_json::from_str(text).unwrap())
    }

    fn task(mut heard: Vec<Heard<NexaTask>>) -> Arc<NexaTask> {
        match heard.remove(0) {
            Heard::Task(task) => task,
            other => panic!("{other:?}"),
        }
    }

    /// What a pool reads of the line that submits a solution.
    fn read(agent: &str, hello: &str, line: &str, prefix: u32) -> Vec<u8> {
        let dialect = Nexa::<NexaWork>::default();
        let profile = dialect.profile(dialect.hail(hello.as_bytes()), agent);
        let peer = Peer { profile, extranonce: Extranonce::new(prefix, 2).unwrap() };
        match dialect.parse(&Limits::default(), &peer, line.as_bytes()) {
            Ok(Call { request: Request::Submit { answer: Ok((job, solution)), .. }, .. }) => {
                assert_eq!(job.get(), 7);
                solution.nonce.bytes().to_vec()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_grammars_are_spoken_as_pools_speak_them() {
        let function = Arc::new(NexaPow::new());
        let commitment = "aa02d01f73451bc848d87443644cef4d16fd210de28651a945db967ac17a4df9";
        for (agent, extranonce, notify, length) in [
            ("m/1", "10000000", format!(r#"["7","{commitment}",236856,"1a304900"]"#), 12),
            (
                "m/1 echelon",
                "1000000000000000",
                r#"["7","f94d7ac17a96db45a95186e20d21fd164def4c644374d848c81b45731fd002aa","1a304900","0000000000000000",true]"#
                    .to_owned(),
                16,
            ),
        ] {
            let config = config(agent);
            let mut tongue = NexaTongue::new(&config, function.clone());
            let hello = tongue.hello(&config);
            assert_eq!(hello[0], format!(r#"{{"id":1,"method":"mining.subscribe","params":["{agent}"]}}"#));
            assert_eq!(hello[1], r#"{"id":2,"method":"mining.authorize","params":["nexa:nq.rig","d=1"]}"#);
            let subscribed =
                format!(r#"{{"id":1,"result":[[["mining.notify","x"]],"{extranonce}",4],"error":null}}"#);
            assert!(hear(&mut tongue, &subscribed).unwrap().is_empty());
            assert!(matches!(hear(&mut tongue, r#"{"id":2,"result":true}"#).unwrap()[..], [Heard::LoggedIn]));
            // One hash in about 43 meets this difficulty.
            let set = r#"{"id":null,"method":"mining.set_difficulty","params":[0.00000001]}"#;
            assert!(hear(&mut tongue, set).unwrap().is_empty());
            let notify = format!(r#"{{"id":null,"method":"mining.notify","params":{notify}}}"#);
            let task = task(hear(&mut tongue, &notify).unwrap());
            assert_eq!(hex::encode(task.commitment), commitment);
            assert_eq!(task.size(), u64::MAX);
            let solution = task.search(0, 2_000)[0];
            assert_eq!(solution.bytes().len(), length);
            assert!(hex::encode(solution.bytes()).starts_with(extranonce));
            let line = tongue.submit(14, &task, &solution);
            assert_eq!(read(agent, &hello[0], &line, 0x1000), solution.bytes());
            let found = tongue.journal(&task, &solution);
            assert_eq!(found.fields["commitment"], commitment);
            assert_eq!(found.fields["nonce"], hex::encode(solution.bytes()));
        }
    }

    #[test]
    fn the_real_block_is_found_again() {
        let function = Arc::new(NexaPow::new());
        let mut tongue = NexaTongue::new(&config("m"), function);
        hear(&mut tongue, r#"{"id":1,"result":[[],"fa0921f5",4]}"#).unwrap();
        hear(&mut tongue, r#"{"method":"mining.set_difficulty","params":[872861.68]}"#).unwrap();
        let notify = r#"{"method":"mining.notify","params":["1","aa02d01f73451bc848d87443644cef4d16fd210de28651a945db967ac17a4df9",236856,"1a304900"]}"#;
        let task = task(hear(&mut tongue, notify).unwrap());
        let nonce = 0x5803_6296_97ea_7100;
        let found = task.search(nonce - 3, 7);
        assert_eq!(found.len(), 1);
        assert_eq!(hex::encode(found[0].bytes()), "fa0921f55803629697ea7100");
        let line = tongue.submit(10, &task, &found[0]);
        assert!(line.contains(r#"["nexa:nq.rig","1","fa0921f5","00000000","5803629697ea7100"]"#), "{line}");
    }

    #[test]
    fn what_a_pool_may_not_say_ends_the_connection() {
        let function = Arc::new(NexaPow::new());
        let mut tongue = NexaTongue::new(&config("m"), function);
        for bad in [
            r#"{"id":1,"result":null,"error":[20,"no",null]}"#,
            r#"{"id":1,"result":[[],"zz",4]}"#,
            r#"{"id":1,"result":[[],"00112233445566778899aabbccddeeff",4]}"#,
            r#"{"id":2,"result":null,"error":[24,"unauthorized",null]}"#,
            r#"{"method":"mining.notify","params":["7","00"]}"#,
            r#"{"method":"mining.notify","params":["7","00",1,"1a304900"]}"#,
            r#"{"method":"mining.notify","params":[7,null,1,2]}"#,
            r#"{"method":"mining.set_difficulty","params":["x"]}"#,
            r#"{"method":"client.reconnect","params":[]}"#,
        ] {
            assert!(hear(&mut tongue, bad).is_err(), "{bad}");
        }
        let refused =
            hear(&mut tongue, r#"{"id":12,"result":null,"error":[21,"job not found",null]}"#).unwrap();
        assert!(
            matches!(&refused[..], [Heard::Answer { id: 12, refusal: Some(text) }] if text == "job not found")
        );
        // A pool that leaves three bytes of the short nonce, and one that leaves none.
        hear(&mut tongue, r#"{"id":1,"result":[[],"001122334455667788",4]}"#).unwrap();
        let notify =
            format!(r#"{{"method":"mining.notify","params":["1","{}",1,"1a304900"]}}"#, "0".repeat(64));
        let narrow = task(hear(&mut tongue, &notify).unwrap());
        assert_eq!(narrow.size(), 0xff_ffff);
        assert_eq!(hex::encode(narrow.nonce(0x01_0203).bytes()), "001122334455667788010203");
        hear(&mut tongue, r#"{"id":1,"result":[[],"00112233445566778899aabb",4]}"#).unwrap();
        assert!(hear(&mut tongue, &notify).is_err());
    }
}
