//! The development node's answers: which question is about what.

use super::chain::{Chain, OTHERS, Outcome, PRICE_MIN, Refusal, Sent, Stored};
use super::{Host, unix_seconds};
use crate::devnode_http::{RpcFault, RpcHandler};
use crate::hash::ethashb3::Epoch;
use crate::hypra::address::Address;
use crate::hypra::params::TRANSFER_GAS;
use crate::hypra::rpc::{self, BadAnswer, from_header, to_hex, to_quantity};
use crate::hypra::tx::Price;
use serde_json::{Value, json};
use std::sync::Arc;

/// Answers for one chain.
pub(super) struct Handler(pub(super) Arc<Host>);

impl From<BadAnswer> for RpcFault {
    fn from(bad: BadAnswer) -> Self {
        Self::bad_params(bad.to_string())
    }
}

impl From<Refusal> for RpcFault {
    fn from(refusal: Refusal) -> Self {
        Self::new(-32_000, refusal.0)
    }
}

#[async_trait::async_trait]
impl RpcHandler for Handler {
    async fn call(&self, method: &str, params: Value) -> Result<Value, RpcFault> {
        let (host, method) = (self.0.clone(), method.to_owned());
        // A proof of work is checked in it.
        let answer = tokio::task::spawn_blocking(move || answer(&host, &method, &params));
        answer.await.map_err(|error| RpcFault::new(-32_603, error.to_string()))?
    }
}

fn answer(host: &Host, method: &str, params: &Value) -> Result<Value, RpcFault> {
    let mut chain = host.chain();
    Ok(match method {
        "eth_chainId" | "net_version" => to_quantity(host.network.chain_id().into()),
        "eth_coinbase" => host.coinbase.to_string().into(),
        "eth_syncing" => false.into(),
        "eth_mining" => true.into(),
        "net_peerCount" => "0x8".into(),
        "web3_clientVersion" => "Poolwright/development".into(),
        "eth_blockNumber" => to_quantity(chain.height().into()),
        "eth_gasPrice" | "eth_maxPriorityFeePerGas" => to_quantity(PRICE_MIN),
        "eth_getWork" => {
            let header = chain.offer(host.coinbase, unix_seconds());
            let epoch = Epoch::of_block(header.number).map_err(|error| Refusal(error.to_string()))?;
            json!([
                to_hex(&header.seal_hash()),
                to_hex(&epoch.seed_hash()),
                to_hex(&header.target().to_be_bytes::<32>()),
                to_quantity(header.number.into())
            ])
        }
        "eth_submitWork" => {
            let nonce = u64::from_be_bytes(rpc::array(&params[0], "nonce")?);
            let seal = rpc::array(&params[1], "header")?;
            let mix = rpc::array(&params[2], "mix")?;
            chain.submit(nonce, &seal, &mix, unix_seconds()).into()
        }
        "eth_submitHashrate" => true.into(),
        "eth_getBlockByNumber" => {
            let found = chain.at(tag(&chain, &params[0])?);
            found.map_or(Value::Null, |(hash, stored)| block(hash, stored, params[1] == true))
        }
        "eth_getBlockByHash" => {
            let hash = rpc::array(&params[0], "hash")?;
            chain.block(&hash).map_or(Value::Null, |stored| block(&hash, stored, params[1] == true))
        }
        "eth_getUncleCountByBlockNumber" => {
            let found = chain.at(tag(&chain, &params[0])?);
            found.map_or(Value::Null, |(_, stored)| to_quantity(stored.uncles.len() as u128))
        }
        "eth_getUncleByBlockNumberAndIndex" => {
            let found = chain.at(tag(&chain, &params[0])?);
            uncle(found.map(|(_, stored)| stored), &params[1])?
        }
        "eth_getUncleByBlockHashAndIndex" => {
            let hash = rpc::array(&params[0], "hash")?;
            uncle(chain.block(&hash), &params[1])?
        }
        "eth_getBalance" => {
            let account = Address::new(rpc::array(&params[0], "address")?);
            let state = chain.state(tag(&chain, &params[1])?)?;
            to_quantity(state.get(&account).copied().unwrap_or_default().balance)
        }
        "eth_getTransactionCount" => {
            let account = Address::new(rpc::array(&params[0], "address")?);
            if params[1] == "pending" {
                to_quantity(chain.pending_count(&account).into())
            } else {
                let state = chain.state(tag(&chain, &params[1])?)?;
                to_quantity(state.get(&account).copied().unwrap_or_default().count.into())
            }
        }
        "eth_getCode" => {
            let account = Address::new(rpc::array(&params[0], "address")?);
            if chain.is_contract(&account) { "0xfe".into() } else { "0x".into() }
        }
        "eth_estimateGas" => {
            let to = Address::new(rpc::array(&params[0]["to"], "address")?);
            if chain.is_contract(&to) {
                return Err(RpcFault::new(3, "execution reverted"));
            }
            to_quantity(TRANSFER_GAS.into())
        }
        "eth_sendRawTransaction" => {
            let raw = rpc::bytes(&params[0], "transaction")?;
            to_hex(&chain.send(&raw)?)
        }
        "eth_getTransactionByHash" => {
            let id = rpc::array(&params[0], "id")?;
            match (chain.place_of(&id), chain.waiting(&id)) {
                (Some((hash, stored, place)), _) => {
                    transaction(&stored.transactions[place], Some((hash, stored, place)))
                }
                (None, Some(sent)) => transaction(sent, None),
                (None, None) => Value::Null,
            }
        }
        "eth_getTransactionReceipt" => {
            let id = rpc::array(&params[0], "id")?;
            chain.place_of(&id).map_or(Value::Null, |(hash, stored, place)| receipt(hash, stored, place))
        }
        "eth_accounts" => json!([host.coinbase.to_string(), OTHERS.to_string()]),
        _ => return Err(RpcFault::no_method(method)),
    })
}

fn tag(chain: &Chain, value: &Value) -> Result<u64, RpcFault> {
    match value.as_str() {
        Some("latest" | "pending" | "safe" | "finalized") => Ok(chain.height()),
        Some("earliest") => Ok(0),
        _ => Ok(rpc::quantity(value, "block number")?),
    }
}

fn block(hash: &[u8; 32], stored: &Stored, whole: bool) -> Value {
    let mut value = from_header(&stored.header);
    value["uncles"] = stored.uncles.iter().map(|uncle| to_hex(&uncle.hash())).collect();
    value["transactions"] = stored
        .transactions
        .iter()
        .enumerate()
        .map(
            |(place, sent)| {
                if whole { transaction(sent, Some((hash, stored, place))) } else { to_hex(&sent.id) }
            },
        )
        .collect();
    value["size"] = to_quantity(stored.header.to_rlp().len() as u128);
    value
}

fn uncle(of: Option<&Stored>, place: &Value) -> Result<Value, RpcFault> {
    let place = usize::try_from(rpc::quantity(place, "index")?).unwrap_or(usize::MAX);
    Ok(of.and_then(|stored| stored.uncles.get(place)).map_or(Value::Null, |header| {
        let mut value = from_header(header);
        value["uncles"] = json!([]);
        value
    }))
}

fn transaction(sent: &Sent, place: Option<(&[u8; 32], &Stored, usize)>) -> Value {
    let transfer = &sent.signed.transfer;
    let mut value = json!({
        "hash": to_hex(&sent.id),
        "from": sent.from.to_string(),
        "to": transfer.to.to_string(),
        "value": to_quantity(transfer.value),
        "nonce": to_quantity(transfer.nonce.into()),
        "gas": to_quantity(transfer.gas.into()),
        "gasPrice": to_quantity(transfer.price.cap()),
        "input": to_hex(&transfer.data),
        "chainId": to_quantity(transfer.chain_id.into()),
        "type": "0x0",
    });
    if let Price::Dynamic { tip_max, fee_max } = transfer.price {
        value["type"] = "0x2".into();
        value["maxPriorityFeePerGas"] = to_quantity(tip_max);
        value["maxFeePerGas"] = to_quantity(fee_max);
    }
    if let Some((hash, stored, index)) = place {
        value["blockHash"] = to_hex(hash);
        value["blockNumber"] = to_quantity(stored.header.number.into());
        value["transactionIndex"] = to_quantity(index as u128);
    }
    value
}

fn receipt(hash: &[u8; 32], stored: &Stored, place: usize) -> Value {
    let sent = &stored.transactions[place];
    let Outcome { succeeded, gas_used, price } = stored.outcomes[place];
    json!({
        "transactionHash": to_hex(&sent.id),
        "transactionIndex": to_quantity(place as u128),
        "blockHash": to_hex(hash),
        "blockNumber": to_quantity(stored.header.number.into()),
        "from": sent.from.to_string(),
        "to": sent.signed.transfer.to.to_string(),
        "status": if succeeded { "0x1" } else { "0x0" },
        "gasUsed": to_quantity(gas_used.into()),
        "effectiveGasPrice": to_quantity(price),
        "logs": [],
    })
}
