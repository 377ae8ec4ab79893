//! The questions this pool asks a Nexa node, and what it takes for answers.
//!
//! JSON-RPC 1.0 over HTTP with basic authentication. Hashes are turned into hashing order here, amounts into
//! satoshis, bytes out of their hexadecimal digits; what does not turn is garbage, and nothing of it gets further.
//! The node's errors that only mean "not now" (it starts, it has no peers, it has not caught up) are told apart from
//! those about the question.

use super::address::Address;
use super::codec::{display, from_display};
use super::header::Header;
use super::params::satoshis;
use super::template::CandidateAnswer;
use super::tx::Block;
use crate::http::{BadEndpoint, HttpPeer, HttpRules, JsonRpc, RpcError};
use pool_core::coin::NodeError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// The node's own error codes. Source: its `src/rpc/protocol.h`.
pub mod code {
    /// A bad address, or a block or transaction it does not know.
    pub const NOT_FOUND: i64 = -5;
    /// A parameter out of its range, such as a height above the tip.
    pub const OUT_OF_RANGE: i64 = -8;
    /// It has no peers.
    pub const NO_PEERS: i64 = -9;
    /// It has not caught up.
    pub const DOWNLOADING: i64 = -10;
    /// Its wallet is locked.
    pub const WALLET_LOCKED: i64 = -13;
    /// Bytes that are no transaction.
    pub const NO_TRANSACTION: i64 = -22;
    /// A transaction whose inputs are missing, or that conflicts with another.
    pub const TRANSACTION_ERROR: i64 = -25;
    /// A transaction that breaks a rule.
    pub const TRANSACTION_REFUSED: i64 = -26;
    /// A transaction that is on the chain.
    pub const ON_CHAIN: i64 = -27;
    /// It is starting up.
    pub const WARMING_UP: i64 = -28;
}

/// The pool's view of an error: those that mean "later" are not final.
#[must_use]
pub fn node_error(error: RpcError) -> NodeError {
    match error.code() {
        Some(code::NO_PEERS | code::DOWNLOADING | code::WARMING_UP) => NodeError::NotSynced,
        Some(_) | None => error.into(),
    }
}

/// What a node says of its chain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ChainAnswer {
    /// The network's name, see [`super::params::Network::chain`].
    pub chain: String,
    /// The tip's height.
    pub blocks: u64,
    /// The height of the best header; above [`ChainAnswer::blocks`] while it catches up.
    #[serde(default)]
    pub headers: u64,
    /// True while it catches up. Older nodes do not say.
    #[serde(default)]
    pub initialblockdownload: bool,
}

/// What became of a submitted solution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SolutionAnswer {
    /// The block was looked at.
    Judged {
        /// Its height.
        height: u64,
        /// Its hash, in hashing order.
        hash: [u8; 32],
        /// Why it was refused; `None` when it was taken.
        refusal: Option<String>,
    },
    /// No block was built: the node's words.
    Words(String),
}

/// A coin of the node's wallet that may be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unspent {
    /// In hashing order.
    pub outpoint: [u8; 32],
    /// Unit: satoshis.
    pub amount: u64,
    /// Blocks from its own to the tip, both counted.
    pub confirmations: u64,
    /// Whether the wallet has its key.
    pub spendable: bool,
    /// Its output's script, as hexadecimal digits.
    pub script: String,
}

/// A transaction of the node's wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletTransaction {
    /// Blocks from its own to the tip, both counted; 0 while it waits, negative when another took its coins.
    pub confirmations: i64,
    /// Its bytes.
    pub raw: Vec<u8>,
    /// The idems of transactions that spend the same coins, in hashing order.
    pub conflicts: Vec<[u8; 32]>,
}

/// A transaction with its input scripts filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAnswer {
    /// Its bytes.
    pub raw: Vec<u8>,
    /// Whether every input is satisfied.
    pub complete: bool,
    /// The node's words on those that are not.
    pub errors: String,
}

impl SolutionAnswer {
    /// `{"height":…,"hash":…,"result":null or words}`, or words alone.
    #[must_use]
    pub fn read(answer: &Value) -> Option<Self> {
        if let Some(words) = answer.as_str() {
            return Some(Self::Words(words.chars().take(200).collect()));
        }
        let refusal = match &answer["result"] {
            Value::Null => None,
            Value::String(words) => Some(words.chars().take(200).collect()),
            _ => return None,
        };
        Some(Self::Judged {
            height: answer["height"].as_u64()?,
            hash: from_display(answer["hash"].as_str()?)?,
            refusal,
        })
    }
}

impl Unspent {
    /// Reads what `listunspent` answers. From the text itself, so that no amount goes through a float.
    ///
    /// # Errors
    /// [`RpcError::Garbage`].
    pub fn list(json: &str) -> Result<Vec<Self>, RpcError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Entry {
            outpoint: String,
            script_pub_key: String,
            #[serde(default)]
            satoshi: Option<u64>,
            amount: Box<RawValue>,
            confirmations: u64,
            #[serde(default = "yes")]
            spendable: bool,
        }
        const fn yes() -> bool {
            true
        }
        const METHOD: &str = "listunspent";
        let entries: Vec<Entry> =
            serde_json::from_str(json).map_err(|error| garbage(METHOD, &error.to_string()))?;
        let read = |entry: Entry| {
            let stated = satoshis(entry.amount.get()).ok_or_else(|| garbage(METHOD, "no amount"))?;
            if entry.satoshi.is_some_and(|satoshi| satoshi != stated) {
                return Err(garbage(METHOD, "two amounts that differ"));
            }
            Ok(Self {
                outpoint: hash_of(METHOD, &entry.outpoint)?,
                amount: stated,
                confirmations: entry.confirmations,
                spendable: entry.spendable,
                script: entry.script_pub_key,
            })
        };
        entries.into_iter().map(read).collect()
    }
}

impl WalletTransaction {
    /// Reads what `gettransaction` answers.
    ///
    /// # Errors
    /// [`RpcError::Garbage`].
    pub fn read(answer: &Value) -> Result<Self, RpcError> {
        const METHOD: &str = "gettransaction";
        let missing = |what: &str| garbage(METHOD, what);
        let conflicts = answer["walletconflicts"].as_array().map_or(&[][..], Vec::as_slice);
        let conflicts = conflicts.iter().map(|text| hash_of(METHOD, text.as_str().unwrap_or_default()));
        Ok(Self {
            confirmations: answer["confirmations"].as_i64().ok_or_else(|| missing("no confirmations"))?,
            raw: bytes_of(METHOD, answer["hex"].as_str().ok_or_else(|| missing("no bytes"))?)?,
            conflicts: conflicts.collect::<Result<_, _>>()?,
        })
    }
}

/// A node's JSON-RPC.
#[derive(Debug)]
pub struct Rpc(HttpPeer);

fn garbage(method: &str, what: &str) -> RpcError {
    RpcError::Garbage(format!("{method}: {what}"))
}

fn hash_of(method: &str, text: &str) -> Result<[u8; 32], RpcError> {
    from_display(text).ok_or_else(|| garbage(method, "no hash"))
}

fn bytes_of(method: &str, text: &str) -> Result<Vec<u8>, RpcError> {
    hex::decode(text).map_err(|_| garbage(method, "no hexadecimal digits"))
}

impl Rpc {
    /// A node at `host:port` or a URL; see [`HttpPeer::new`].
    ///
    /// # Errors
    /// [`BadEndpoint`].
    pub fn new(endpoint: &str, rules: &HttpRules) -> Result<Self, BadEndpoint> {
        HttpPeer::new(endpoint, rules).map(Self)
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    async fn ask<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, RpcError> {
        self.0.call_as(JsonRpc::V1, method, params).await
    }

    /// The network and how far the node is.
    ///
    /// # Errors
    /// [`RpcError`], as of every method here.
    pub async fn chain(&self) -> Result<ChainAnswer, RpcError> {
        self.ask("getblockchaininfo", json!([])).await
    }

    /// The tip's height.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn height(&self) -> Result<u64, RpcError> {
        self.ask("getblockcount", json!([])).await
    }

    /// The tip's hash.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn best(&self) -> Result<[u8; 32], RpcError> {
        let text: String = self.ask("getbestblockhash", json!([])).await?;
        hash_of("getbestblockhash", &text)
    }

    /// The hash of the chain's block at a height; `None` above the tip.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn block_at(&self, height: u64) -> Result<Option<[u8; 32]>, RpcError> {
        match self.ask::<String>("getblockhash", json!([height])).await {
            Ok(text) => hash_of("getblockhash", &text).map(Some),
            Err(error) if error.code() == Some(code::OUT_OF_RANGE) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A block's header, which hashes to what was asked for.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn header(&self, hash: [u8; 32]) -> Result<Header, RpcError> {
        let text: String = self.ask("getblockheader", json!([display(hash), false])).await?;
        let bytes = bytes_of("getblockheader", &text)?;
        let header = Header::parse(&bytes)
            .map_err(|error| garbage("getblockheader", &format!("a header that {error}")))?;
        if header.hash() != hash {
            return Err(garbage("getblockheader", "the header of another block"));
        }
        Ok(header)
    }

    /// A block's bytes.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn block_bytes(&self, hash: [u8; 32]) -> Result<Vec<u8>, RpcError> {
        let text: String = self.ask("getblock", json!([display(hash), 0])).await?;
        bytes_of("getblock", &text)
    }

    /// A whole block, which hashes to what was asked for and commits to its transactions.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn block(&self, hash: [u8; 32]) -> Result<Block, RpcError> {
        let block = Block::parse(&self.block_bytes(hash).await?)
            .map_err(|error| garbage("getblock", &format!("a block that {error}")))?;
        if block.header.hash() != hash {
            return Err(garbage("getblock", "another block"));
        }
        Ok(block)
    }

    /// A candidate that pays `pay_to`.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn candidate(&self, pay_to: &Address) -> Result<CandidateAnswer, RpcError> {
        self.ask("getminingcandidate", json!([null, pay_to.to_string()])).await
    }

    /// Hands in a nonce for a candidate, which the node forgets by that.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn submit_solution(&self, candidate: u64, nonce: &[u8]) -> Result<SolutionAnswer, RpcError> {
        const METHOD: &str = "submitminingsolution";
        let answer: Value =
            self.ask(METHOD, json!([{ "id": candidate, "nonce": hex::encode(nonce) }])).await?;
        SolutionAnswer::read(&answer).ok_or_else(|| garbage(METHOD, "neither words nor a judgement"))
    }

    /// Hands over a whole block. `None` when it was taken, else the node's words.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn submit_block(&self, block: &[u8]) -> Result<Option<String>, RpcError> {
        let answer: Value = self.ask("submitblock", json!([hex::encode(block)])).await?;
        match SolutionAnswer::read(&answer) {
            Some(SolutionAnswer::Judged { refusal, .. }) => Ok(refusal),
            Some(SolutionAnswer::Words(words)) => Ok(Some(words)),
            None if answer.is_null() => Ok(None),
            None => Err(garbage("submitblock", "neither words nor a judgement")),
        }
    }

    /// Whether the node takes a text for an address.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn is_address(&self, text: &str) -> Result<bool, RpcError> {
        let answer: Value = self.ask("validateaddress", json!([text])).await?;
        answer["isvalid"].as_bool().ok_or_else(|| garbage("validateaddress", "no verdict"))
    }

    /// Whether the node's wallet has an address's key.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn is_own(&self, address: &Address) -> Result<bool, RpcError> {
        let answer: Value = self.ask("validateaddress", json!([address.to_string()])).await?;
        Ok(answer["ismine"].as_bool().unwrap_or_default())
    }

    /// The network's hash rate as the node estimates it. Unit: hashes a second.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn network_hashrate(&self) -> Result<u64, RpcError> {
        let answer: Value = self.ask("getmininginfo", json!([])).await?;
        let rate = &answer["networkhashps"];
        // A float in the node's own words; the cast stops at the range's ends.
        let rate = rate.as_u64().or_else(|| rate.as_f64().map(|rate| rate as u64));
        rate.ok_or_else(|| garbage("getmininginfo", "no hash rate"))
    }

    /// The least fee that the node passes on. Unit: satoshis for 1000 bytes.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn relay_fee(&self) -> Result<u64, RpcError> {
        let answer: Value = self.ask("getnetworkinfo", json!([])).await?;
        let fee = &answer["relayfee"];
        // Newer nodes write satoshis; a fraction is NEXA, as the older ones write it.
        let old = || satoshis(&fee.to_string());
        fee.as_u64().or_else(old).ok_or_else(|| garbage("getnetworkinfo", "no relay fee"))
    }

    /// The wallet's coins of at least `confirmations`, without coinbases that are not ripe.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn unspent(&self, confirmations: u64) -> Result<Vec<Unspent>, RpcError> {
        let text: Box<RawValue> = self.ask("listunspent", json!([confirmations])).await?;
        Unspent::list(text.get())
    }

    /// Fills in the input scripts that the wallet has keys for. Nothing is kept of it.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn sign_transaction(&self, raw: &[u8]) -> Result<SignedAnswer, RpcError> {
        #[derive(Deserialize)]
        struct Answer {
            hex: String,
            complete: bool,
            #[serde(default)]
            errors: Value,
        }
        let answer: Answer = self.ask("signrawtransaction", json!([hex::encode(raw)])).await?;
        let errors = if answer.errors.is_null() { String::new() } else { answer.errors.to_string() };
        let errors = errors.chars().take(400).collect();
        Ok(SignedAnswer {
            raw: bytes_of("signrawtransaction", &answer.hex)?,
            complete: answer.complete,
            errors,
        })
    }

    /// Sends a transaction, and returns its idem as the node says it.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn send_transaction(&self, raw: &[u8]) -> Result<[u8; 32], RpcError> {
        let text: String = self.ask("sendrawtransaction", json!([hex::encode(raw)])).await?;
        hash_of("sendrawtransaction", &text)
    }

    /// A transaction of the wallet by its idem; `None` when the wallet has none such.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn wallet_transaction(&self, idem: [u8; 32]) -> Result<Option<WalletTransaction>, RpcError> {
        match self.ask::<Value>("gettransaction", json!([display(idem)])).await {
            Ok(answer) => WalletTransaction::read(&answer).map(Some),
            Err(error) if error.code() == Some(code::NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The idems of the wallet's newest transactions that sent something, the newest last, each once.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn sent(&self, count: u64) -> Result<Vec<[u8; 32]>, RpcError> {
        #[derive(Deserialize)]
        struct Entry {
            category: String,
            #[serde(default)]
            txidem: Option<String>,
        }
        const METHOD: &str = "listtransactions";
        let entries: Vec<Entry> = self.ask(METHOD, json!(["*", count])).await?;
        let mut idems = Vec::new();
        for entry in entries.iter().filter(|entry| entry.category == "send") {
            let idem = hash_of(METHOD, entry.txidem.as_deref().unwrap_or_default())?;
            if !idems.contains(&idem) {
                idems.push(idem);
            }
        }
        Ok(idems)
    }

    /// Whether an outpoint can still be spent by the chain's rules, waiting transactions left aside.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn is_unspent(&self, outpoint: [u8; 32]) -> Result<bool, RpcError> {
        let answer: Value = self.ask("gettxout", json!([display(outpoint), -1, false])).await?;
        Ok(!answer.is_null())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_to_a_solution_is_read() {
        let hash = "0f".repeat(32);
        let judged = |refusal: Option<&str>| {
            Some(SolutionAnswer::Judged { height: 7, hash: [15; 32], refusal: refusal.map(Into::into) })
        };
        assert_eq!(SolutionAnswer::read(&json!({"height": 7, "hash": hash, "result": null})), judged(None));
        assert_eq!(SolutionAnswer::read(&json!({"height": 7, "hash": hash})), judged(None));
        assert_eq!(
            SolutionAnswer::read(&json!({"height": 7, "hash": hash, "result": "high-hash"})),
            judged(Some("high-hash"))
        );
        let words = "id not found (stale candidate)";
        assert_eq!(SolutionAnswer::read(&json!(words)), Some(SolutionAnswer::Words(words.into())));
        for bad in
            [json!(null), json!(1), json!([]), json!({}), json!({"height": 7, "hash": "", "result": null})]
        {
            assert_eq!(SolutionAnswer::read(&bad), None, "{bad}");
        }
        assert_eq!(SolutionAnswer::read(&json!({"height": -7, "hash": hash, "result": null})), None);
        assert_eq!(SolutionAnswer::read(&json!({"height": 7, "hash": hash, "result": 3})), None);
    }

    #[test]
    fn coins_are_read_to_the_satoshi() {
        let row = |amount: &str, satoshi: &str| {
            let (outpoint, script) = ("0f".repeat(32), "005114");
            format!(
                r#"[{{"outpoint":"{outpoint}","scriptPubKey":"{script}","amount":{amount},{satoshi}"confirmations":7}}]"#
            )
        };
        let coins = Unspent::list(&row("21000000000000.00", "\"satoshi\":2100000000000000,")).unwrap();
        assert_eq!(
            (coins[0].amount, coins[0].outpoint, coins[0].spendable),
            (2_100_000_000_000_000, [15; 32], true)
        );
        assert_eq!(Unspent::list(&row("0.01", "")).unwrap()[0].amount, 1);
        for bad in
            [row("0.01", "\"satoshi\":2,"), row("1e3", ""), row("-1", ""), row("\"1\"", ""), "{}".into()]
        {
            assert!(Unspent::list(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wallets_transaction_is_read() {
        let other = "0f".repeat(32);
        let answer = json!({"confirmations": -3, "hex": "00ff", "walletconflicts": [other]});
        let read = WalletTransaction::read(&answer).unwrap();
        assert_eq!((read.confirmations, read.raw, read.conflicts), (-3, vec![0, 255], vec![[15; 32]]));
        assert!(
            WalletTransaction::read(&json!({"confirmations": 1, "hex": "00"})).unwrap().conflicts.is_empty()
        );
        for bad in
            [json!({"confirmations": 1}), json!({"hex": "00"}), json!({"confirmations": 1, "hex": "0"})]
        {
            assert!(WalletTransaction::read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_only_means_later_is_not_final() {
        for (code, transient) in [(-28, true), (-9, true), (-10, true), (-5, false), (-22, false)] {
            let error = RpcError::Answered { code, message: "x".into() };
            assert_eq!(node_error(error).is_transient(), transient, "{code}");
        }
    }
}
