//! The daemon's JSON-RPC and its plain resources over the development chain.

use super::chain::{Chain, Refusal};
use super::{Faults, unix_secs};
use crate::devnode_http::{RestAnswer, RestRequest, RpcFault, RpcHandler};
use crate::dynex::address::Address;
use crate::dynex::blob::Block;
use crate::dynex::messages::{
    BLOCK_NOT_ACCEPTED, CORE_BUSY, HEIGHT_TOO_BIG, INTERNAL, RESERVE_TOO_BIG, WRONG_ADDRESS, WRONG_BLOCK,
    WRONG_PARAMETER,
};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The chain and who looks at it.
#[derive(Debug)]
pub(super) struct Shared {
    chain: Mutex<Chain>,
}

impl Shared {
    pub(super) const fn new(chain: Chain) -> Self {
        Self { chain: Mutex::new(chain) }
    }

    pub(super) fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change<T>(
        &self,
        step: impl FnOnce(&mut Chain) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        step(&mut self.chain())
    }
}

/// One daemon of the network, with faults of its own.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) shared: Arc<Shared>,
    pub(super) faults: Arc<Faults>,
    /// Whom it pays when it lies.
    pub(super) others: Address,
}

fn fault(code: i64, words: impl Into<String>) -> RpcFault {
    RpcFault::new(code, words)
}

impl Daemon {
    /// The newest height that this daemon admits to.
    fn top(&self, chain: &Chain) -> u64 {
        chain.top().saturating_sub(u64::from(self.faults.behind.load(Ordering::Relaxed)))
    }

    fn header(&self, chain: &Chain, id: &[u8; 32]) -> Option<Value> {
        let (block, height, orphan) = chain.block(id)?;
        let top = self.top(chain);
        if height > top {
            return None;
        }
        Some(json!({
            "block_header": {
                "major_version": block.header.major, "minor_version": block.header.minor,
                "timestamp": block.header.timestamp, "prev_hash": hex::encode(block.header.previous),
                "nonce": u32::from_le_bytes(block.header.nonce), "orphan_status": orphan, "height": height,
                "depth": top - height, "hash": hex::encode(id), "difficulty": chain.difficulty(),
                "reward": block.coinbase.total().unwrap_or_default(),
            },
            "status": "OK",
        }))
    }

    fn template(&self, params: &Value) -> Result<Value, RpcFault> {
        let reserve = params["reserve_size"].as_u64().unwrap_or_default();
        let reserve =
            u8::try_from(reserve).map_err(|_| fault(RESERVE_TOO_BIG, "To big reserved size, maximum 255"))?;
        let address = params["wallet_address"].as_str().and_then(|text| Address::parse(text).ok());
        let mut address = address.ok_or_else(|| fault(WRONG_ADDRESS, "Failed to parse wallet address"))?;
        if self.faults.wrong_payee.load(Ordering::Relaxed) {
            address = self.others;
        }
        let mut chain = self.shared.chain();
        let height = self.top(&chain) + 1;
        let offer = chain.offer(height, &address, usize::from(reserve), unix_secs());
        Ok(json!({
            "difficulty": chain.difficulty(), "height": offer.height,
            "reserved_offset": offer.reserved_offset,
            "blocktemplate_blob": hex::encode(offer.block.to_bytes()),
            "blockhashing_blob": hex::encode(offer.block.hashing_blob()), "status": "OK",
        }))
    }

    fn submit(&self, params: &Value) -> Result<Value, RpcFault> {
        let [Value::String(text)] = params.as_array().map_or(&[][..], Vec::as_slice) else {
            return Err(fault(WRONG_PARAMETER, "Wrong param"));
        };
        let bytes = hex::decode(text).map_err(|_| fault(WRONG_BLOCK, "Wrong block blob"))?;
        let not_accepted = || fault(BLOCK_NOT_ACCEPTED, "Block not accepted");
        let block = Block::parse(&bytes).map_err(|_| not_accepted())?;
        if self.faults.refuse_blocks.load(Ordering::Relaxed) {
            return Err(not_accepted());
        }
        let mut chain = self.shared.chain();
        // The node's own rules come first, the authority last: what it refuses is known to nobody.
        if self.faults.unauthorised.load(Ordering::Relaxed) {
            return Err(not_accepted());
        }
        match chain.submit(block, unix_secs()) {
            Ok(true) => Ok(json!({"status": "OK"})),
            Ok(false) => Err(not_accepted()),
            Err(refusal) => {
                tracing::debug!(%refusal, "development node refuses a block");
                Err(not_accepted())
            }
        }
    }
}

#[async_trait::async_trait]
impl RpcHandler for Daemon {
    async fn call(&self, method: &str, params: Value) -> Result<Value, RpcFault> {
        let busy = self.faults.busy.load(Ordering::Relaxed);
        if busy && !matches!(method, "getblockcount" | "getcurrencyid") {
            return Err(fault(CORE_BUSY, "Core is busy"));
        }
        let id_of = |text: Option<&str>| {
            let mut id = [0; 32];
            hex::decode_to_slice(text.unwrap_or_default(), &mut id)
                .map_err(|_| fault(WRONG_PARAMETER, "Failed to parse hex representation of block hash."))?;
            Ok::<[u8; 32], RpcFault>(id)
        };
        match method {
            "getblockcount" => {
                let chain = self.shared.chain();
                Ok(json!({"count": self.top(&chain) + 1, "status": "OK"}))
            }
            "getcurrencyid" => {
                let genesis = self.shared.chain().id_at(0).map(hex::encode);
                Ok(json!({"currency_id_blob": genesis}))
            }
            "getblocktemplate" => self.template(&params),
            "submitblock" => self.submit(&params),
            "getlastblockheader" => {
                let chain = self.shared.chain();
                let tip = chain.id_at(self.top(&chain));
                tip.and_then(|id| self.header(&chain, &id))
                    .ok_or_else(|| fault(INTERNAL, "Internal error: can't get last block hash."))
            }
            "getblockheaderbyheight" => {
                let chain = self.shared.chain();
                let height =
                    params["height"].as_u64().ok_or_else(|| fault(WRONG_PARAMETER, "Wrong param"))?;
                let id = chain.id_at(height).filter(|_| height <= self.top(&chain));
                let too_big = || fault(HEIGHT_TOO_BIG, format!("To big height: {height}"));
                id.and_then(|id| self.header(&chain, &id)).ok_or_else(too_big)
            }
            "getblockheaderbyhash" => {
                let id = id_of(params["hash"].as_str())?;
                let chain = self.shared.chain();
                let unknown = || fault(INTERNAL, "Internal error: can't get block by hash.");
                self.header(&chain, &id).ok_or_else(unknown)
            }
            "getblockhash" | "on_getblockhash" => {
                let chain = self.shared.chain();
                let height = params.get(0).and_then(Value::as_u64);
                let height =
                    height.ok_or_else(|| fault(WRONG_PARAMETER, "Wrong parameters, expected height"))?;
                let id = chain.id_at(height).filter(|_| height <= self.top(&chain));
                id.map(|id| json!(hex::encode(id)))
                    .ok_or_else(|| fault(HEIGHT_TOO_BIG, format!("To big height: {height}")))
            }
            "gettransaction" => {
                let hash = id_of(params["hash"].as_str())?;
                let chain = self.shared.chain();
                match chain.transaction(&hash) {
                    Some((transaction, height)) => Ok(json!({
                        "transaction": {
                            "hash": hex::encode(hash), "size": transaction.to_bytes().len(),
                            "inBlockchain": height.is_some(), "blockHeight": height,
                            "totalOutputsAmount": transaction.total(),
                        },
                        "status": "OK",
                    })),
                    None => Err(fault(INTERNAL, "Internal error: can't get transaction.")),
                }
            }
            "validateaddress" => {
                let text = params["address"].as_str().unwrap_or_default();
                Ok(match Address::parse(text) {
                    Ok(address) => json!({
                        "isvalid": true, "address": text, "status": "OK",
                        "spendPublicKey": hex::encode(address.spend()),
                        "viewPublicKey": hex::encode(address.view()),
                    }),
                    Err(_) => json!({"isvalid": false, "status": "OK"}),
                })
            }
            _ => Err(fault(-32_601, "Method not found")),
        }
    }

    async fn rest(&self, request: RestRequest) -> RestAnswer {
        let chain = self.shared.chain();
        let top = self.top(&chain);
        match &*request.path {
            "/getheight" => RestAnswer::json(200, &json!({"height": top + 1, "status": "OK"})),
            "/getinfo" => RestAnswer::json(
                200,
                &json!({
                    "status": "OK", "version": "poolwright development node", "height": top + 1,
                    "top_block_hash": chain.id_at(top).map(hex::encode), "difficulty": chain.difficulty(),
                    "last_known_block_index": chain.top(), "outgoing_connections_count": 1,
                }),
            ),
            path => RestAnswer::text(404, format!("{path} is not here")),
        }
    }
}
