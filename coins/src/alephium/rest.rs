//! The REST interface of a node, as far as a pool asks it: is it ready, whom does it pay, what became of a block, which
//! coins are there, send this.
//!
//! Answers are read into small records and checked where they can be: a block must hash to its name. Amounts are
//! decimal texts. Source: the node's openapi.json, version 4.6.0 (names).

use super::address::{Address, PayTo};
use super::chain::ChainIndex;
use super::fate::{BlockFacts, CoinbaseOutput};
use super::header::{CompactTarget, DEPS, HeaderBlob, HeaderParts};
use super::params::Network;
use crate::hash::double_blake3::NONCE_LEN;
use crate::http::{BadEndpoint, HttpPeer, HttpRules, RpcError};
use pool_core::coin::NodeError;
use pool_core::id::BlockId;
use pool_core::units::Amount;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One node's REST side.
#[derive(Debug)]
pub(crate) struct Rest {
    peer: HttpPeer,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) version: String,
    pub(crate) synced: bool,
    pub(crate) network: u8,
    pub(crate) pays: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CliqueAnswer {
    self_ready: bool,
    synced: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ParamsAnswer {
    network_id: u8,
}

#[derive(Deserialize)]
struct VersionAnswer {
    version: String,
}

#[derive(Deserialize)]
struct AddressesAnswer {
    addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChainAnswer {
    current_height: u64,
}

#[derive(Deserialize)]
struct HashesAnswer {
    headers: Vec<String>,
}

/// A block as a node describes it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BlockEntry {
    /// Its hash.
    pub hash: String,
    /// Unix milliseconds.
    pub timestamp: u64,
    /// The paying group of its chain.
    pub chain_from: u32,
    /// The paid group of its chain.
    pub chain_to: u32,
    /// Its height.
    pub height: u64,
    /// The blocks it depends on.
    pub deps: Vec<String>,
    /// Its transactions, the coinbase last.
    pub transactions: Vec<TransactionEntry>,
    /// 24 bytes in hexadecimal.
    pub nonce: String,
    /// The header's version.
    pub version: u8,
    /// A field of the header.
    pub dep_state_hash: String,
    /// A field of the header.
    pub txs_hash: String,
    /// The compact target, in hexadecimal.
    pub target: String,
    /// The uncles it names.
    #[serde(default)]
    pub ghost_uncles: Vec<UncleEntry>,
}

/// A transaction as a node describes it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct TransactionEntry {
    /// Its unsigned part.
    pub unsigned: UnsignedEntry,
}

/// The unsigned part of a transaction.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct UnsignedEntry {
    /// Its id.
    pub tx_id: String,
    /// What it makes.
    pub fixed_outputs: Vec<OutputEntry>,
}

/// An output as a node describes it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OutputEntry {
    /// Atto-ALPH.
    pub atto_alph_amount: Amount,
    /// Whose.
    pub address: String,
    /// Unix milliseconds.
    #[serde(default)]
    pub lock_time: u64,
}

/// An uncle as a node describes it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct UncleEntry {
    /// Its hash.
    pub block_hash: String,
    /// Its finder.
    pub miner: String,
}

/// A coin as a node describes it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct UtxoEntry {
    /// Its name.
    #[serde(rename = "ref")]
    pub name: RefEntry,
    /// Atto-ALPH.
    pub amount: Amount,
    /// Tokens on it; a coin with any is left alone.
    #[serde(default)]
    pub tokens: Vec<Value>,
    /// Unix milliseconds.
    #[serde(default)]
    pub lock_time: u64,
}

/// A coin's name as a node writes it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct RefEntry {
    /// As a signed number of 32 bits.
    pub hint: i64,
    /// 32 bytes in hexadecimal.
    pub key: String,
}

#[cfg(feature = "wallet")]
#[derive(Deserialize)]
struct UtxosAnswer {
    utxos: Vec<UtxoEntry>,
}

/// What a node says of a transaction.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "type")]
pub enum TxStatus {
    /// In a block.
    #[serde(rename_all = "camelCase")]
    Confirmed {
        /// The block.
        block_hash: String,
        /// Blocks above it on its own chain.
        chain_confirmations: u64,
        /// Blocks of its paying group that saw it.
        from_group_confirmations: u64,
        /// Blocks of its paid group that saw it.
        to_group_confirmations: u64,
    },
    /// In a block, and yet void: a conflicting one went before it.
    #[serde(rename_all = "camelCase")]
    Conflicted {
        /// The block.
        block_hash: String,
        /// Blocks above it on its own chain.
        chain_confirmations: u64,
        /// Blocks of its paying group that saw it.
        from_group_confirmations: u64,
        /// Blocks of its paid group that saw it.
        to_group_confirmations: u64,
    },
    /// Waiting.
    MemPooled,
    /// Nowhere.
    TxNotFound,
}

/// A node's words are an answer; anything else is a failure.
fn missing(error: &RpcError) -> bool {
    match error {
        RpcError::Status { status: 404, .. } => true,
        RpcError::Status { status: 400 | 500, body } => body.to_ascii_lowercase().contains("not found"),
        RpcError::Status { .. }
        | RpcError::Unreachable(_)
        | RpcError::Garbage(_)
        | RpcError::Answered { .. } => false,
    }
}

fn garbage(why: impl Into<String>) -> NodeError {
    NodeError::Garbage(why.into())
}

impl Rest {
    pub(crate) fn new(endpoint: &str, rules: &HttpRules) -> Result<Self, BadEndpoint> {
        Ok(Self { peer: HttpPeer::new(endpoint, rules)? })
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, RpcError> {
        self.peer.send(reqwest::Method::GET, path, None).await
    }

    async fn look<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<Option<T>, NodeError> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if missing(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the node can be mined on, and for whom.
    pub(crate) async fn readiness(&self) -> Result<Readiness, NodeError> {
        let VersionAnswer { version } = self.get("/infos/version").await?;
        let CliqueAnswer { self_ready, synced } = self.get("/infos/self-clique").await?;
        let ParamsAnswer { network_id } = self.get("/infos/chain-params").await?;
        let AddressesAnswer { addresses } = self.get("/miners/addresses").await?;
        Ok(Readiness { version, synced: self_ready && synced, network: network_id, pays: addresses })
    }

    /// The network's hash rate from its difficulty: one chain's work, sixteen hashes a try, sixteen chains.
    pub(crate) async fn difficulty(&self) -> Result<u128, NodeError> {
        #[derive(Deserialize)]
        struct DifficultyAnswer {
            difficulty: String,
        }
        let DifficultyAnswer { difficulty } = self.get("/infos/current-difficulty").await?;
        difficulty.parse().map_err(|_| garbage(format!("{difficulty:?} is no difficulty")))
    }

    pub(crate) async fn height(&self, chain: ChainIndex) -> Result<u64, NodeError> {
        let path = format!("/blockflow/chain-info?fromGroup={}&toGroup={}", chain.from(), chain.to());
        let ChainAnswer { current_height } = self.get(&path).await?;
        Ok(current_height)
    }

    /// The hash at a height of a chain: the first is the chain's own.
    pub(crate) async fn hash_at(&self, chain: ChainIndex, height: u64) -> Result<String, NodeError> {
        let (from, to) = (chain.from(), chain.to());
        let path = format!("/blockflow/hashes?fromGroup={from}&toGroup={to}&height={height}");
        let HashesAnswer { headers } = self.get(&path).await?;
        headers
            .into_iter()
            .next()
            .ok_or_else(|| garbage(format!("no block at height {height} of chain {chain}")))
    }

    pub(crate) async fn block(&self, hash: &str) -> Result<Option<BlockEntry>, NodeError> {
        self.look(&format!("/blockflow/blocks/{hash}")).await
    }

    pub(crate) async fn is_on_chain(&self, hash: &str) -> Result<bool, NodeError> {
        Ok(self.get(&format!("/blockflow/is-block-in-main-chain?blockHash={hash}")).await?)
    }

    /// The block on the chain that names this one as an uncle.
    pub(crate) async fn named_by(&self, hash: &str) -> Result<Option<BlockEntry>, NodeError> {
        self.look(&format!("/blockflow/main-chain-block-by-ghost-uncle/{hash}")).await
    }

    #[cfg(feature = "wallet")]
    pub(crate) async fn utxos(&self, address: &str) -> Result<Vec<UtxoEntry>, NodeError> {
        let UtxosAnswer { utxos } = self.get(&format!("/addresses/{address}/utxos")).await?;
        Ok(utxos)
    }

    #[cfg(feature = "wallet")]
    pub(crate) async fn submit(&self, unsigned: &str, signature: &str) -> Result<(), RpcError> {
        let body = serde_json::json!({ "unsignedTx": unsigned, "signature": signature });
        self.peer.post_json("/transactions/submit", &body).await.map(drop)
    }

    #[cfg(feature = "wallet")]
    pub(crate) async fn status(&self, id: &str) -> Result<TxStatus, NodeError> {
        Ok(self.look(&format!("/transactions/status?txId={id}")).await?.unwrap_or(TxStatus::TxNotFound))
    }
}

impl Readiness {
    /// Why this node cannot be mined on; nothing if it can.
    pub(crate) fn objection(&self, network: Network, pay_to: &PayTo) -> Option<NodeError> {
        if self.network != network.id() {
            let known = Network::ALL.into_iter().find(|known| known.id() == self.network);
            let found = known.map_or_else(|| self.network.to_string(), |known| known.to_string());
            return Some(garbage(format!("the node is on network {found}, the pool on {network}")));
        }
        if self.pays.len() != pay_to.all().len()
            || !pay_to
                .all()
                .iter()
                .zip(&self.pays)
                .all(|(ours, theirs)| Address::parse(theirs).as_ref() == Ok(ours))
        {
            return Some(garbage(format!("the node pays {}, not the pool ({pay_to})", self.pays.join(","))));
        }
        if !self.synced {
            return Some(NodeError::NotSynced);
        }
        None
    }
}

/// `N` bytes from hexadecimal digits.
fn bytes<const N: usize>(text: &str) -> Result<[u8; N], NodeError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| garbage(format!("{text:?} is not {N} bytes")))?;
    Ok(bytes)
}

impl BlockEntry {
    /// The hash of its header, computed.
    ///
    /// # Errors
    /// [`NodeError::Garbage`] for fields that make no header.
    pub fn computed_hash(&self) -> Result<[u8; 32], NodeError> {
        if self.version != 0 || self.deps.len() != DEPS {
            return Err(garbage("a block with a header of another kind"));
        }
        let mut deps = [[0; 32]; DEPS];
        for (dep, text) in deps.iter_mut().zip(&self.deps) {
            *dep = bytes(text)?;
        }
        let target = u32::from_be_bytes(bytes(&self.target)?);
        let parts = HeaderParts {
            deps,
            dep_state_hash: bytes(&self.dep_state_hash)?,
            txs_hash: bytes(&self.txs_hash)?,
            timestamp: self.timestamp,
            target: CompactTarget::new(target),
        };
        Ok(HeaderBlob::of_parts(&parts).hash(&bytes::<NONCE_LEN>(&self.nonce)?))
    }

    /// What it says of itself, once it was seen to be the block of that name.
    ///
    /// # Errors
    /// [`NodeError::Garbage`] when it is another one, or no block.
    pub fn facts(&self, wanted: &BlockId) -> Result<BlockFacts, NodeError> {
        let hash = self.computed_hash()?;
        if BlockId::new(hash) != *wanted {
            return Err(garbage(format!("asked for block {wanted}, the node answers with another one")));
        }
        let chain = ChainIndex::of_hash(&hash);
        if ChainIndex::of_numbers(self.chain_from, self.chain_to) != Some(chain) {
            return Err(garbage(format!("block {wanted} is not on the chain the node says")));
        }
        let coinbase = self.transactions.last().ok_or_else(|| garbage("a block without a coinbase"))?;
        let output = |output: &OutputEntry| CoinbaseOutput {
            amount: output.atto_alph_amount,
            to: output.address.clone(),
            lock_time: output.lock_time,
        };
        let uncle = |uncle: &UncleEntry| Ok(BlockId::new(bytes(&uncle.block_hash)?));
        Ok(BlockFacts {
            id: *wanted,
            chain,
            height: self.height,
            outputs: coinbase.unsigned.fixed_outputs.iter().map(output).collect(),
            uncles: self.ghost_uncles.iter().map(uncle).collect::<Result<_, NodeError>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first published mainnet block, as its node describes it.
    fn mainnet() -> BlockEntry {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../testdata/alephium.json")).unwrap();
        let row = &vectors["pow"][0];
        let blob = HeaderBlob::new(&hex::decode(row["headerBlob"].as_str().unwrap()).unwrap()).unwrap();
        let parts = blob.parts();
        let entry = serde_json::json!({
            "hash": row["hash"], "timestamp": parts.timestamp, "chainFrom": 1, "chainTo": 1, "height": 1_826_597,
            "deps": parts.deps.iter().map(hex::encode).collect::<Vec<_>>(),
            "transactions": [{"unsigned": {"txId": vectors["coinbases"][0]["txId"], "version": 0, "fixedOutputs": [{
                "hint": 11_663_143, "attoAlphAmount": "485591478228368529", "lockTime": 1_728_574_859_844u64,
                "address": "1ANu47GYWwprmQJUgPpBsYb1mDoqxTDyVkCSg2C4NbtDp"
            }]}}],
            "nonce": row["nonce"], "version": 0, "depStateHash": hex::encode(parts.dep_state_hash),
            "txsHash": hex::encode(parts.txs_hash), "target": "1a3bca56", "ghostUncles": []
        });
        serde_json::from_value(entry).unwrap()
    }

    #[test]
    fn a_real_block_hashes_to_its_name_and_says_what_it_pays() {
        let entry = mainnet();
        let id: BlockId = entry.hash.parse().unwrap();
        let facts = entry.facts(&id).unwrap();
        assert_eq!((facts.height, facts.chain.to_string()), (1_826_597, "(1,1)".into()));
        assert_eq!(facts.outputs[0].amount.get(), 485_591_478_228_368_529);
        assert_eq!(facts.outputs[0].lock_time, 1_728_574_859_844);
    }

    #[test]
    fn a_block_that_is_another_one_is_garbage() {
        let id: BlockId = mainnet().hash.parse().unwrap();
        type Lie = fn(&mut BlockEntry);
        let lies: [Lie; 6] = [
            |entry| entry.timestamp += 1,
            |entry| entry.deps.truncate(6),
            |entry| entry.nonce.truncate(10),
            |entry| entry.chain_to = 2,
            |entry| entry.transactions.clear(),
            |entry| entry.version = 1,
        ];
        for lie in lies {
            let mut entry = mainnet();
            lie(&mut entry);
            assert!(entry.facts(&id).is_err());
        }
    }

    #[test]
    fn statuses_are_read_by_their_type() {
        let read = |text: &str| serde_json::from_str::<TxStatus>(text).unwrap();
        assert_eq!(read(r#"{"type":"MemPooled"}"#), TxStatus::MemPooled);
        let confirmed = r#"{"type":"Confirmed","blockHash":"ab","txIndex":0,"chainConfirmations":3,"fromGroupConfirmations":2,"toGroupConfirmations":1}"#;
        assert!(matches!(
            read(confirmed),
            TxStatus::Confirmed { chain_confirmations: 3, to_group_confirmations: 1, .. }
        ));
    }
}
