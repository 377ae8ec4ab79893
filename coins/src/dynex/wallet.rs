//! The pool's money on Dynex, through the chain's own wallet program (`walletd`).
//!
//! Keys stay with that program. What a payout needs of it are its *delayed* transactions: one call makes and signs a
//! transaction and keeps it, another sends it, by its hash and as often as one likes. So signing has no effect in the
//! world, and broadcasting can be repeated:
//!
//! - **sign**: `createDelayedTransaction`, then `save`, so that a crash of the program forgets nothing. Before it, every
//!   delayed transaction that no open payout knows is deleted: it is left from a crash between making and writing down,
//!   and its coins would be locked for ever. The program must therefore be the pool's alone.
//! - **broadcast**: `sendDelayedTransaction`; one that was sent before is found to be, and that is no error.
//! - **fate**: `getTransaction`, and the nodes. A payout is void only if the program dropped its transaction *and* no node
//!   has it: the program frees the coins of a dropped transaction, so it asks the pool's nodes first.
//!
//! `sendTransaction`, which makes and sends at once and returns a new transaction each time, is never called: after a
//! lost answer nobody could tell whether to call it again. `sendFusionTransaction` is the same, so [`Wallet::upkeep`]
//! does nothing here; joining small outputs is the operator's, in the program itself, while no payout is open.
//!
//! A transaction of this chain names each receiver and amount once, so an address may stand in a batch only once, and
//! the wallet's own not at all; a payment id stands for the whole transaction, so an account with one is paid alone.
//! Source: `src/PaymentGate` and `src/Wallet/WalletGreen.cpp` of the Dynex node 2.2.2 (behaviour).

use super::address::{Address, Payee};
use super::node::DynexNode;
use super::params::{FEE, REORGANISATION_MAX, TRANSACTION_BYTES_MAX};
use crate::http::{HttpPeer, HttpRules, JsonRpc, Login, RpcError};
use pool_core::coin::{NodeError, PayoutLimits, Wallet, WalletError};
use pool_core::id::TxId;
use pool_core::payout::{PayoutBatch, SignedTx, TxFate};
use pool_core::units::Amount;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

/// Where the program serves JSON-RPC.
const RPC_PATH: &str = "/json_rpc";
/// The form of [`SignedTx::raw`].
const RAW_VERSION: u8 = 1;
/// Blocks that the program may be behind its daemon.
const LAG_MAX: u64 = 2;
/// Bytes of one destination: an output, its receiver and its amount.
const BYTES_PER_ITEM: usize = 113;
/// Bytes left for inputs: some 150 of them.
const BYTES_FOR_INPUTS: usize = 16_000;

/// The program's words for errors that mean something to a payer. It gives them all one code.
mod words {
    pub(super) const NOT_ENOUGH: &str = "Wrong amount";
    pub(super) const TOO_BIG: &str = "Transaction size is too big";
    pub(super) const BAD_ADDRESS: &str = "Bad address";
    pub(super) const SENT_OR_DROPPED: &str = "Transaction transfer impossible";
    pub(super) const UNKNOWN: [&str; 2] = ["Requested object not found", "Object not found"];
    pub(super) const LATER: [&str; 3] = [
        "The wallet is in wrong state (maybe loading or saving), try again later",
        "Object was not initialized",
        "The operation you've requested has been cancelled",
    ];
}

/// Where the wallet program is.
#[derive(Clone, Debug)]
pub struct WalletRpc {
    /// `host:port` or URL.
    pub endpoint: String,
    /// Its user and password, where it asks for them.
    pub login: Option<Login>,
}

/// How the wallet pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletRules {
    /// The fee of a transaction. Unit: smallest units.
    pub fee: u64,
    /// Blocks on top of a payout's, its own included, from which on it is settled.
    pub settle_depth: u64,
    /// How long any answer may take. Making a transaction of many inputs takes the program a while.
    pub timeout: Duration,
}

impl Default for WalletRules {
    /// The chain's usual fee, its deepest reorganisation, 30 s.
    fn default() -> Self {
        Self { fee: FEE, settle_depth: REORGANISATION_MAX, timeout: Duration::from_secs(30) }
    }
}

/// What one transaction can carry, without payment ids.
#[must_use]
pub const fn payout_limits(amount_min: Amount) -> PayoutLimits {
    let items_max = (TRANSACTION_BYTES_MAX - BYTES_FOR_INPUTS) / BYTES_PER_ITEM;
    PayoutLimits { items_max, amount_min: if amount_min.is_zero() { Amount::new(1) } else { amount_min } }
}

/// What one transaction can carry where accounts may have payment ids: one payment.
#[must_use]
pub const fn payout_limits_with_payment_ids(amount_min: Amount) -> PayoutLimits {
    PayoutLimits { items_max: 1, ..payout_limits(amount_min) }
}

/// The pool's money.
#[derive(Debug)]
pub struct DynexWallet {
    rpc: HttpPeer,
    node: DynexNode,
    own: Address,
    rules: WalletRules,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    block_count: u64,
    known_block_count: u64,
    peer_count: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Balance {
    available_balance: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    transaction_hash: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delayed {
    transaction_hashes: Vec<String>,
}

#[derive(Deserialize)]
struct Found {
    transaction: Seen,
}

/// A transaction as the program knows it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    /// 0 succeeded, 1 failed, 2 cancelled, 3 created, 4 deleted.
    state: u8,
    confirmations: u64,
    fee: u64,
}

impl Seen {
    const SENT: u8 = 0;
    const KEPT: u8 = 3;
}

#[derive(Deserialize)]
struct Addresses {
    addresses: Vec<String>,
}

fn garbage(why: impl Into<String>) -> WalletError {
    NodeError::Garbage(why.into()).into()
}

/// An answer of the program that is nobody's refusal of anything.
fn trouble(error: RpcError) -> WalletError {
    match &error {
        RpcError::Answered { message, .. } if words::LATER.contains(&message.as_str()) => {
            NodeError::Unreachable(error.into()).into()
        }
        _ => NodeError::from(error).into(),
    }
}

fn is_unknown(error: &RpcError) -> bool {
    matches!(error, RpcError::Answered { message, .. } if words::UNKNOWN.contains(&message.as_str()))
}

impl DynexWallet {
    /// The wallet at `rpc`, which must hold the address that the nodes are told to pay. No I/O.
    ///
    /// # Errors
    /// [`WalletError::Node`] for an address that is no address.
    pub fn new(rpc: &WalletRpc, node: &DynexNode, rules: WalletRules) -> Result<Self, WalletError> {
        let http = HttpRules {
            timeout: rules.timeout,
            rpc_path: RPC_PATH.to_owned(),
            login: rpc.login.clone(),
            ..HttpRules::default()
        };
        let rpc = HttpPeer::new(&rpc.endpoint, &http).map_err(NodeError::from)?;
        Ok(Self { rpc, own: *node.pay_to(), node: node.clone(), rules })
    }

    /// The address that is paid from.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.own
    }

    async fn call<T: serde::de::DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, RpcError> {
        self.rpc.call_as(JsonRpc::V2, method, params).await
    }

    /// Refuses to pay from a wallet that is not the pool's, or does not know what it has.
    async fn check(&self) -> Result<(), WalletError> {
        let status: Status = self.call("getStatus", json!({})).await.map_err(trouble)?;
        if status.peer_count == 0 || status.block_count.saturating_add(LAG_MAX) < status.known_block_count {
            return Err(NodeError::NotSynced.into());
        }
        let Addresses { addresses } = self.call("getAddresses", json!({})).await.map_err(trouble)?;
        if addresses.iter().any(|address| Address::parse(address).is_ok_and(|address| address == self.own)) {
            return Ok(());
        }
        let reason = format!("the wallet does not hold {}, which the chain pays", self.own);
        Err(NodeError::Refused { reason }.into())
    }

    /// Deletes what was made and never written down.
    async fn drop_strays(&self, in_flight: &[SignedTx]) -> Result<(), WalletError> {
        let known: HashSet<String> = in_flight.iter().map(|tx| tx.id.to_string()).collect();
        let Delayed { transaction_hashes } =
            self.call("getDelayedTransactionHashes", json!({})).await.map_err(trouble)?;
        for hash in transaction_hashes {
            if known.contains(&hash) {
                continue;
            }
            tracing::warn!(%hash, "the wallet holds a transaction that no payout knows: deleting it");
            let question = json!({"transactionHash": hash});
            let _: Value = self.call("deleteDelayedTransaction", question).await.map_err(trouble)?;
        }
        Ok(())
    }

    /// The request that makes a batch's transaction.
    fn request(&self, batch: &PayoutBatch) -> Result<Value, WalletError> {
        let impossible = |why: String| Err(WalletError::Impossible(why));
        let mut transfers = Vec::with_capacity(batch.items.len());
        let mut seen = HashSet::new();
        let mut payment_id = None;
        for item in &batch.items {
            let payee = match Payee::parse(item.miner.as_str()) {
                Ok(payee) => payee,
                Err(error) => return impossible(format!("{}: {error}", item.miner)),
            };
            if payee.address == self.own {
                return impossible(
                    "it pays the wallet's own address, which this chain does not allow".into(),
                );
            }
            if !seen.insert(payee.address) {
                return impossible(format!(
                    "it pays {} twice, which this chain does not allow",
                    payee.address
                ));
            }
            let Ok(amount) = u64::try_from(item.amount.get()) else {
                return impossible(format!("{} is more than there can be", item.amount));
            };
            payment_id = payment_id.or(payee.payment_id);
            transfers.push(json!({"address": payee.address.to_string(), "amount": amount}));
        }
        if payment_id.is_some() && transfers.len() > 1 {
            return impossible(
                "a payment id stands for the whole transaction: pay that account alone".into(),
            );
        }
        let own = self.own.to_string();
        let mut request = json!({
            "addresses": [own], "transfers": transfers, "changeAddress": own, "fee": self.rules.fee,
            "anonymity": 0, "unlockTime": 0,
        });
        // Both or an empty one are no request to the program.
        if let Some(id) = payment_id {
            request["paymentId"] = hex::encode(id).into();
        }
        Ok(request)
    }

    async fn seen(&self, id: &TxId) -> Result<Option<Seen>, WalletError> {
        match self.call::<Found>("getTransaction", json!({"transactionHash": id.to_string()})).await {
            Ok(found) => Ok(Some(found.transaction)),
            Err(error) if is_unknown(&error) => Ok(None),
            Err(error) => Err(trouble(error)),
        }
    }
}

#[async_trait::async_trait]
impl Wallet for DynexWallet {
    async fn sign(&self, batch: &PayoutBatch, in_flight: &[SignedTx]) -> Result<SignedTx, WalletError> {
        let request = self.request(batch)?;
        self.check().await?;
        self.drop_strays(in_flight).await?;
        let made: Made = match self.call("createDelayedTransaction", request.clone()).await {
            Ok(made) => made,
            Err(RpcError::Answered { message, .. }) if message == words::NOT_ENOUGH => {
                let needed =
                    batch.total().and_then(|sum| sum.checked_add(Amount::new(u128::from(self.rules.fee))));
                let needed = needed.unwrap_or(Amount::new(u128::MAX));
                return Err(WalletError::Short { spendable: self.spendable().await?, needed });
            }
            Err(RpcError::Answered { message, .. })
                if [words::TOO_BIG, words::BAD_ADDRESS].contains(&message.as_str()) =>
            {
                return Err(WalletError::Impossible(message));
            }
            Err(error) => return Err(trouble(error)),
        };
        let id: TxId =
            made.transaction_hash.parse().map_err(|_| garbage("a transaction hash that is none"))?;
        // Without this a crash of the program would forget a transaction that the pool has written down.
        let _: Value = self.call("save", json!({})).await.map_err(trouble)?;
        let mut raw = vec![RAW_VERSION];
        raw.extend_from_slice(json!({"hash": id.to_string(), "request": request}).to_string().as_bytes());
        let spends = vec![format!("walletd:{id}")];
        Ok(SignedTx { id, raw, fee: Amount::new(u128::from(self.rules.fee)), spends })
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<(), WalletError> {
        let question = json!({"transactionHash": tx.id.to_string()});
        let error = match self.call::<Value>("sendDelayedTransaction", question).await {
            Ok(_) => {
                // What was sent is on the network, remembered by the program or not.
                if let Err(error) = self.call::<Value>("save", json!({})).await {
                    tracing::warn!(%error, "the wallet could not be saved after a payout");
                }
                return Ok(());
            }
            Err(error) => error,
        };
        let sent_or_dropped =
            matches!(&error, RpcError::Answered { message, .. } if message == words::SENT_OR_DROPPED);
        if !sent_or_dropped && !is_unknown(&error) {
            // A word of the daemon's behind the program: the transaction stays with the program, to be sent again.
            return Err(match error {
                RpcError::Answered { .. } => NodeError::Unreachable(error.into()).into(),
                error => trouble(error),
            });
        }
        if self.seen(&tx.id).await?.is_some_and(|seen| seen.state == Seen::SENT)
            || self.node.knows_transaction(&tx.id).await?
        {
            return Ok(());
        }
        Err(WalletError::Refused(error.to_string()))
    }

    async fn fate(&self, tx: &SignedTx) -> Result<TxFate, WalletError> {
        match self.seen(&tx.id).await? {
            Some(seen) if seen.state == Seen::SENT => Ok(if seen.confirmations >= self.rules.settle_depth {
                TxFate::Settled { fee: Amount::new(u128::from(seen.fee)) }
            } else {
                TxFate::Pending { confirmations: seen.confirmations }
            }),
            Some(seen) if seen.state == Seen::KEPT => Ok(TxFate::Unknown),
            // Failed, cancelled or deleted: its coins are free again, and may be spent by the next payout.
            Some(seen) => Ok(if self.node.knows_transaction(&tx.id).await? {
                TxFate::Pending { confirmations: 0 }
            } else {
                TxFate::Void {
                    detail: format!("dropped by the wallet (state {}), and no node has it", seen.state),
                }
            }),
            None => Ok(if self.node.knows_transaction(&tx.id).await? {
                TxFate::Pending { confirmations: 0 }
            } else {
                TxFate::Unknown
            }),
        }
    }

    async fn spendable(&self) -> Result<Amount, WalletError> {
        let question = json!({"address": self.own.to_string()});
        let balance: Balance = self.call("getBalance", question).await.map_err(trouble)?;
        Ok(Amount::new(u128::from(balance.available_balance)))
    }

    async fn upkeep(&self, _in_flight: &[SignedTx]) -> Result<Option<SignedTx>, WalletError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_keep_a_transaction_below_its_size() {
        let limits = payout_limits(Amount::ZERO);
        assert_eq!((limits.items_max, limits.amount_min), (74, Amount::new(1)));
        assert!(limits.items_max * BYTES_PER_ITEM + BYTES_FOR_INPUTS <= TRANSACTION_BYTES_MAX);
        let alone = payout_limits_with_payment_ids(Amount::new(5));
        assert_eq!((alone.items_max, alone.amount_min), (1, Amount::new(5)));
    }
}
