//! A development node's JSON-RPC: the methods a pool and its wallet ask, in the real node's words and codes.

use super::super::address::Address;
use super::super::codec::{display, from_display};
use super::super::params::{nexa_text, satoshis};
use super::super::tx::{Block, Transaction};
use super::chain::{Chain, RELAY_FEE};
use super::{Others, Shared};
use crate::devnode_http::{RpcFault, RpcHandler};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// One socket's view of the shared chain.
pub(super) struct Service(pub(super) Arc<Shared>);

fn fault(code: i64, words: impl Into<String>) -> RpcFault {
    RpcFault::new(code, words)
}

/// An amount in NEXA as the real node writes it: a number with a fraction.
fn amount(satoshis: u64) -> Value {
    // Up to 2^53 hundredths the shortest text of this float is the exact amount.
    json!(satoshis as f64 / 100.0)
}

fn text<'a>(params: &'a Value, place: usize, what: &str) -> Result<&'a str, RpcFault> {
    params[place].as_str().ok_or_else(|| fault(-3, format!("{what} must be a string")))
}

fn hash(params: &Value, place: usize) -> Result<[u8; 32], RpcFault> {
    from_display(text(params, place, "hash")?).ok_or_else(|| fault(-8, "hash must be of length 64"))
}

fn bytes(text: &str) -> Result<Vec<u8>, RpcFault> {
    hex::decode(text).map_err(|_| fault(-22, "TX decode failed"))
}

fn transaction(params: &Value) -> Result<Transaction, RpcFault> {
    Transaction::parse(&bytes(text(params, 0, "hexstring")?)?).map_err(|_| fault(-22, "TX decode failed"))
}

impl Service {
    fn candidate(&self, chain: &mut Chain, params: &Value) -> Result<Value, RpcFault> {
        let network = chain.rules().network;
        let pay_to = match &params[1] {
            Value::Null => chain.wallet_address(),
            Value::String(text) => Address::parse(text, network)
                .map_err(|_| fault(-5, format!("Error: Invalid address \"{text}\"")))?,
            _ => return Err(fault(-1, "JSON value is not a string as expected")),
        };
        let pay_to = if self.0.wrong_payee.load(Ordering::Relaxed) { chain.stranger() } else { pay_to };
        let answer = chain.candidate(&pay_to, self.0.host.begun.elapsed(), self.0.host.candidate_life);
        let mut value = json!({
            "id": answer.id,
            "headerCommitment": answer.header_commitment,
            "nBits": answer.n_bits,
        });
        if let Some(previous) = answer.previous_block_hash {
            value["previousBlockHash"] = previous.into();
        }
        Ok(value)
    }

    fn solution(&self, chain: &mut Chain, params: &Value) -> Result<Value, RpcFault> {
        let id =
            params[0]["id"].as_u64().ok_or_else(|| fault(-1, "JSON value is not an integer as expected"))?;
        // As the real node: whoever names an id has used it up.
        let nonce = params[0]["nonce"].as_str().map(|text| hex::decode(text).unwrap_or_default());
        let Some(block) = chain.solve(id, nonce.clone().unwrap_or_default()) else {
            return Ok(json!("id not found (stale candidate)"));
        };
        match nonce {
            None => Err(fault(-22, "nonce not found")),
            Some(nonce) if nonce.len() > 16 => Err(fault(-22, "nonce too large")),
            Some(_) => {
                let answer = Self::judged(chain, block);
                if answer["result"].is_null() && answer.is_object() {
                    let found = self.0.host.found.fetch_add(1, Ordering::Relaxed) + 1;
                    if let Others { orphan_every: Some(every), .. } = self.0.host.others
                        && found.is_multiple_of(every.max(1))
                    {
                        chain.reorganise(1);
                    }
                }
                Ok(answer)
            }
        }
    }

    fn judged(chain: &mut Chain, block: Block) -> Value {
        let (height, hash) = (block.header.height, display(block.header.hash()));
        match chain.accept(block) {
            Ok(()) => json!({ "height": height, "hash": hash, "result": null }),
            Err(words) if words.starts_with("duplicate") => words.into(),
            Err(reason) => json!({ "height": height, "hash": hash, "result": reason }),
        }
    }

    fn header(chain: &Chain, params: &Value) -> Result<Value, RpcFault> {
        let hash = hash(params, 0)?;
        let block = chain.block(&hash).ok_or_else(|| fault(-5, "Block not found by block hash"))?;
        if params[1] == false {
            let mut out = Vec::new();
            block.header.write(&mut out);
            return Ok(hex::encode(out).into());
        }
        Ok(Self::header_json(chain, block))
    }

    fn header_json(chain: &Chain, block: &Block) -> Value {
        let header = &block.header;
        let confirmations = chain.confirmations(&header.hash());
        json!({
            "hash": display(header.hash()),
            "confirmations": confirmations.map_or(-1, |depth| depth as i64),
            "height": header.height,
            "size": header.size,
            "txcount": header.tx_count,
            "feePoolAmt": header.fee_pool,
            "merkleroot": display(header.merkle_root),
            "time": header.time,
            "nonce": hex::encode(&header.nonce),
            "bits": format!("{:08x}", header.bits),
            "chainwork": display(header.chain_work),
            "utxoCommitment": hex::encode(&header.utxo_commitment),
            "minerData": hex::encode(&header.miner_data),
            "onMainChain": confirmations.is_some(),
            "previousblockhash": display(header.parent),
            "ancestorhash": display(header.ancestor),
        })
    }

    fn block(chain: &Chain, params: &Value) -> Result<Value, RpcFault> {
        let hash = match params[0].as_u64() {
            Some(height) => chain.hash_at(height).ok_or_else(|| {
                fault(-8, format!("Target block height {height} after current tip {}", chain.tip()))
            })?,
            None => hash(params, 0)?,
        };
        let block = chain.block(&hash).ok_or_else(|| fault(-5, "Block not found by block hash"))?;
        if params[1] == 0 {
            return Ok(hex::encode(block.to_bytes()).into());
        }
        let mut value = Self::header_json(chain, block);
        let names = |name: fn(&Transaction) -> [u8; 32]| -> Vec<String> {
            block.transactions.iter().map(|transaction| display(name(transaction))).collect()
        };
        value["txid"] = names(Transaction::id).into();
        value["txidem"] = names(Transaction::idem).into();
        Ok(value)
    }

    fn wallet_transaction(chain: &Chain, params: &Value) -> Result<Value, RpcFault> {
        let (known, confirmations, rivals) = chain
            .wallet_transaction(&hash(params, 0)?)
            .ok_or_else(|| fault(-5, "Invalid or non-wallet transaction id"))?;
        let transaction = &known.transaction;
        let mut value = json!({
            "confirmations": confirmations,
            "txid": display(transaction.id()),
            "txidem": display(transaction.idem()),
            "walletconflicts": rivals.into_iter().map(display).collect::<Vec<_>>(),
            "hex": hex::encode(transaction.to_bytes()),
        });
        if transaction.is_coinbase() {
            value["generated"] = true.into();
        }
        if let Some(hash) = known.height.and_then(|height| chain.hash_at(height)) {
            value["blockhash"] = display(hash).into();
        }
        if let Some(fee) = transaction.fee() {
            value["fee"] = json!(-(fee as f64) / 100.0);
        }
        Ok(value)
    }

    fn unspent(chain: &Chain, params: &Value) -> Value {
        let least = params[0].as_u64().unwrap_or(1);
        let rows = chain.unspent(least).into_iter().map(|coin| {
            json!({
                "outpoint": display(coin.outpoint),
                "address": coin.output.address(chain.rules().network).map(|address| address.to_string()),
                "scriptPubKey": hex::encode(&coin.output.script),
                "scriptType": "template",
                "satoshi": coin.output.amount,
                "amount": amount(coin.output.amount),
                "confirmations": coin.confirmations,
                "spendable": true,
            })
        });
        rows.collect()
    }

    fn create(chain: &Chain, params: &Value) -> Result<Value, RpcFault> {
        use super::super::tx::{Input, Output};
        let network = chain.rules().network;
        let money = |value: &Value| {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            satoshis(&text).ok_or_else(|| fault(-3, "Invalid amount"))
        };
        let bad = || fault(-8, "Invalid parameter, arguments 1 and 2 must be non-null");
        let mut made = Transaction { version: 0, inputs: Vec::new(), outputs: Vec::new(), lock_time: 0 };
        for row in params[0].as_array().ok_or_else(bad)? {
            let outpoint = row["outpoint"].as_str().and_then(from_display);
            made.inputs.push(Input {
                kind: 0,
                outpoint: outpoint.ok_or_else(|| fault(-8, "outpoint must be of length 64"))?,
                script: Vec::new(),
                sequence: u32::MAX,
                amount: money(&row["amount"])?,
            });
        }
        for (text, value) in params[1].as_object().ok_or_else(bad)? {
            let address = Address::parse(text, network)
                .map_err(|_| fault(-5, format!("Invalid Nexa address: {text}")))?;
            made.outputs.push(Output::to(&address, money(value)?));
        }
        Ok(hex::encode(made.to_bytes()).into())
    }

    fn sign(chain: &Chain, params: &Value) -> Result<Value, RpcFault> {
        let mut transaction = transaction(params)?;
        let others = chain.sign(&mut transaction);
        let mut value = json!({
            "hex": hex::encode(transaction.to_bytes()),
            "txid": display(transaction.id()),
            "txidem": display(transaction.idem()),
            "complete": others.is_empty(),
        });
        if !others.is_empty() {
            let row = |outpoint| json!({ "outpoint": display(outpoint), "error": "Input not found or already spent" });
            value["errors"] = others.into_iter().map(row).collect();
        }
        Ok(value)
    }
}

#[async_trait::async_trait]
impl RpcHandler for Service {
    async fn call(&self, method: &str, params: Value) -> Result<Value, RpcFault> {
        let mut chain = self.0.host.chain();
        let chain = &mut *chain;
        let network = chain.rules().network;
        match method {
            "getminingcandidate" => self.candidate(chain, &params),
            "submitminingsolution" => self.solution(chain, &params),
            "submitblock" => {
                let bytes =
                    bytes(text(&params, 0, "hexdata")?).map_err(|_| fault(-22, "Block decode failed"))?;
                let block = Block::parse(&bytes).map_err(|_| fault(-22, "Block decode failed"))?;
                Ok(Self::judged(chain, block))
            }
            "getblockchaininfo" => Ok(json!({
                "chain": network.chain(),
                "blocks": chain.tip(),
                "headers": chain.tip(),
                "bestblockhash": display(chain.best()),
                "initialblockdownload": self.0.unsynced.load(Ordering::Relaxed),
            })),
            "getmininginfo" => Ok(json!({
                "blocks": chain.tip(),
                "networkhashps": 1_000_000,
                "chain": network.chain(),
            })),
            "getnetworkinfo" => Ok(json!({ "subversion": "/development/", "relayfee": RELAY_FEE })),
            "getconnectioncount" => Ok(json!(1)),
            "getblockcount" => Ok(json!(chain.tip())),
            "getbestblockhash" => Ok(display(chain.best()).into()),
            "getblockhash" => {
                let height = params[0].as_u64().and_then(|height| chain.hash_at(height));
                height.map(|hash| display(hash).into()).ok_or_else(|| fault(-8, "Block height out of range"))
            }
            "getblockheader" => Self::header(chain, &params),
            "getblock" => Self::block(chain, &params),
            "validateaddress" => {
                let text = text(&params, 0, "address")?;
                Ok(match Address::parse(text, network) {
                    Ok(address) => json!({
                        "isvalid": true,
                        "address": address.to_string(),
                        "scriptPubKey": hex::encode(address.output().1),
                        "ismine": address == chain.wallet_address(),
                    }),
                    Err(_) => json!({ "isvalid": false }),
                })
            }
            "generatetoaddress" => {
                let count = params[0].as_u64().unwrap_or_default().min(1_000);
                let address = Address::parse(text(&params, 1, "address")?, network)
                    .map_err(|_| fault(-5, "Error: Invalid address"))?;
                Ok(chain.generate(count, &address).into_iter().map(display).collect())
            }
            "getbalance" => {
                let sum = chain.unspent(1).iter().map(|coin| coin.output.amount).sum();
                nexa_text(sum).parse::<f64>().map(|sum| json!(sum)).map_err(|_| fault(-1, "no balance"))
            }
            "listunspent" => Ok(Self::unspent(chain, &params)),
            "createrawtransaction" => Self::create(chain, &params),
            "signrawtransaction" => Self::sign(chain, &params),
            "sendrawtransaction" => {
                let taken = chain.take(transaction(&params)?);
                taken.map(|idem| display(idem).into()).map_err(|(code, words)| fault(code, words))
            }
            "gettransaction" => Self::wallet_transaction(chain, &params),
            "listtransactions" => {
                let count = usize::try_from(params[1].as_u64().unwrap_or(10)).unwrap_or(usize::MAX);
                let rows = chain.wallet_history(count).into_iter().map(|(idem, sent)| {
                    let category = if sent { "send" } else { "generate" };
                    json!({ "account": "", "category": category, "txidem": display(idem) })
                });
                Ok(rows.collect())
            }
            "gettxout" => Ok(if chain.is_unspent(&hash(&params, 0)?) {
                json!({ "bestblock": display(chain.best()), "confirmations": 1 })
            } else {
                Value::Null
            }),
            _ => Err(RpcFault::no_method(method)),
        }
    }
}
