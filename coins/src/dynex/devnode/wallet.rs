//! The wallet program's JSON-RPC, as far as a pool uses it, over the development chain.

use super::chain::Refusal;
use super::server::Shared;
use crate::devnode_http::{RpcFault, RpcHandler};
use crate::dynex::address::Address;
use crate::dynex::params::TRANSACTION_BYTES_MAX;
use crate::dynex::tx::Transaction;
use serde_json::{Value, json};
use std::sync::Arc;

/// The code of every error that is the wallet's own.
const WALLET_ERROR: i64 = -32_700;
/// The least fee.
const FEE_MIN: u64 = 100_000;

/// Serves one address of the chain.
#[derive(Debug)]
pub(super) struct Walletd {
    pub(super) shared: Arc<Shared>,
    pub(super) own: Address,
}

fn fault(words: &str) -> RpcFault {
    RpcFault::new(WALLET_ERROR, words)
}

impl From<Refusal> for RpcFault {
    fn from(refusal: Refusal) -> Self {
        fault(&refusal.0)
    }
}

fn hash_of(params: &Value) -> Result<[u8; 32], RpcFault> {
    let mut hash = [0; 32];
    let text = params["transactionHash"].as_str().ok_or_else(|| RpcFault::new(-32_600, "Invalid Request"))?;
    hex::decode_to_slice(text, &mut hash).map_err(|_| fault("Wrong block id format"))?;
    Ok(hash)
}

impl Walletd {
    /// The transaction that a request asks for.
    fn make(&self, params: &Value) -> Result<Transaction, RpcFault> {
        let invalid = || RpcFault::new(-32_600, "Invalid Request");
        let fee = params["fee"].as_u64().ok_or_else(invalid)?;
        let anonymity = params["anonymity"].as_u64().ok_or_else(invalid)?;
        let list = params["transfers"].as_array().ok_or_else(invalid)?;
        if params.get("extra").is_some() && params.get("paymentId").is_some() {
            return Err(invalid());
        }
        if anonymity != 0 {
            return Err(fault("Internal error occurred"));
        }
        if fee < FEE_MIN {
            return Err(fault("Transaction fee is too small"));
        }
        let payment_id = match params.get("paymentId").and_then(Value::as_str) {
            None => None,
            Some(text) => {
                let mut id = [0; 32];
                hex::decode_to_slice(text, &mut id).map_err(|_| fault("Wrong payment id format"))?;
                Some(id)
            }
        };
        let mut transfers = Vec::new();
        for transfer in list {
            let address = transfer["address"].as_str().ok_or_else(invalid)?;
            let address = Address::parse(address).map_err(|_| fault("Bad address"))?;
            let amount = transfer["amount"].as_u64().ok_or_else(invalid)?;
            if amount == 0 {
                return Err(fault("The destination is empty"));
            }
            transfers.push((address, amount));
        }
        if transfers.is_empty() {
            return Err(fault("The destination is empty"));
        }
        let transaction = self.shared.chain().pay(&self.own, &transfers, fee, payment_id)?;
        if transaction.to_bytes().len() > TRANSACTION_BYTES_MAX {
            return Err(fault("Transaction size is too big"));
        }
        Ok(transaction)
    }

    fn describe(&self, hash: &[u8; 32]) -> Option<Value> {
        let chain = self.shared.chain();
        let delayed = chain.delayed().get(hash);
        let (state, transaction, height) = if let Some(transaction) = delayed {
            (3, transaction, None)
        } else if chain.is_deleted(hash) {
            // Kept by name only: the coins it would have spent are free.
            return Some(json!({
                "state": 2, "transactionHash": hex::encode(hash), "blockIndex": u32::MAX, "confirmations": 0,
                "fee": 0, "isBase": false, "unlockTime": 0, "amount": 0, "timestamp": 0, "transfers": [],
                "extra": "", "paymentId": "",
            }));
        } else {
            let (transaction, height) = chain.transaction(hash)?;
            (0, transaction, height)
        };
        let confirmations = height.map_or(0, |height| chain.top() - height + 1);
        Some(json!({
            "state": state, "transactionHash": hex::encode(hash),
            "blockIndex": height.unwrap_or(u64::from(u32::MAX)), "confirmations": confirmations,
            "fee": chain.fee(transaction).unwrap_or_default(), "isBase": transaction.height().is_some(),
            "unlockTime": transaction.prefix.unlock_time, "amount": 0, "timestamp": 0, "transfers": [],
            "extra": hex::encode(&transaction.prefix.extra), "paymentId": "",
        }))
    }
}

#[async_trait::async_trait]
impl RpcHandler for Walletd {
    async fn call(&self, method: &str, params: Value) -> Result<Value, RpcFault> {
        match method {
            "save" => Ok(json!({})),
            "getStatus" => {
                let chain = self.shared.chain();
                Ok(json!({
                    "blockCount": chain.top() + 1, "knownBlockCount": chain.top() + 1,
                    "localDaemonBlockCount": chain.top() + 1,
                    "lastBlockHash": chain.id_at(chain.top()).map(hex::encode),
                    "peerCount": 1, "minimalFee": FEE_MIN, "version": "poolwright development wallet",
                }))
            }
            "getAddresses" => Ok(json!({"addresses": [self.own.to_string()]})),
            "getBalance" => {
                let (free, locked) = self.shared.chain().spendable(&self.own);
                let available: u64 = free.iter().map(|coin| coin.amount).sum();
                Ok(json!({"availableBalance": available, "lockedAmount": locked}))
            }
            "validateAddress" => {
                let text = params["address"].as_str().unwrap_or_default();
                Ok(match Address::parse(text) {
                    Ok(address) => json!({
                        "isvalid": true, "address": text,
                        "spendPublicKey": hex::encode(address.spend()),
                        "viewPublicKey": hex::encode(address.view()),
                    }),
                    Err(_) => json!({"isvalid": false}),
                })
            }
            "createDelayedTransaction" => {
                let transaction = self.make(&params)?;
                let hash = self.shared.change(|chain| chain.keep(transaction))?;
                Ok(json!({"transactionHash": hex::encode(hash)}))
            }
            "getDelayedTransactionHashes" => {
                let chain = self.shared.chain();
                let hashes: Vec<String> = chain.delayed().keys().map(hex::encode).collect();
                Ok(json!({"transactionHashes": hashes}))
            }
            "deleteDelayedTransaction" => {
                let hash = hash_of(&params)?;
                if self.describe(&hash).is_none() {
                    return Err(fault("Requested object not found"));
                }
                self.shared.change(|chain| chain.delete(&hash))?;
                Ok(json!({}))
            }
            "sendDelayedTransaction" => {
                let hash = hash_of(&params)?;
                if self.describe(&hash).is_none() {
                    return Err(fault("Requested object not found"));
                }
                let Some(transaction) = self.shared.chain().delayed().get(&hash).cloned() else {
                    return Err(fault("Transaction transfer impossible"));
                };
                self.shared.change(|chain| chain.relay(transaction))?;
                Ok(json!({}))
            }
            "sendTransaction" => {
                let transaction = self.make(&params)?;
                let hash = self.shared.change(|chain| chain.relay(transaction))?;
                Ok(json!({"transactionHash": hex::encode(hash), "transactionSecretKey": ""}))
            }
            "getTransaction" => {
                let hash = hash_of(&params)?;
                let found = self.describe(&hash).ok_or_else(|| fault("Requested object not found"))?;
                Ok(json!({"transaction": found}))
            }
            _ => Err(RpcFault::no_method(method)),
        }
    }
}
