//! The pool's money on Hypra: one key, one account, a count that each transaction uses up.
//!
//! A batch pays one miner ([`payout_limits`]): the chain has no transaction that pays several, and of several
//! transactions each has a fate of its own. Many batches may be on their way at once; each takes the next number of the
//! account's count, which is what it "spends", so no two of ours can be confused and none can happen twice.
//!
//! Signing asks the chain for the count, the balance and the price of gas, and touches nothing. A transaction is of the
//! kind the chain takes now: with a cap and a tip where blocks have a base fee, else the old kind. To a contract nothing
//! is sent that a node does not expect to succeed; what a contract refuses all the same is void and costs the gas.
//!
//! A transaction is void only when another one with its number is as deep as any final one, and that other one was seen
//! in its block: a node that merely says so is not believed.

mod key;

use super::address::Address;
use super::node::{HypraNode, ask, receipt};
use super::params::TRANSFER_GAS;
use super::rpc::{self, Block, Receipt, Transaction, WholeTransaction};
use super::tx::{self, Price, SignedTransfer, Transfer};
use crate::failover::Seat;
use crate::http::HttpPeer;
pub use key::{BadKey, WalletKey, sender};
use pool_core::coin::{NodeError, PayoutLimits, Wallet, WalletError};
use pool_core::id::TxId;
use pool_core::payout::{PayoutBatch, SignedTx, TxFate};
use pool_core::units::Amount;
use serde_json::{Value, json};
use std::time::Duration;

/// Wei of one unit in which prices are written.
const GWEI: u128 = 1_000_000_000;
/// Blocks whose states a node surely remembers.
const STATES: u64 = 120;
/// How long the other nodes have left once one took a transaction.
const SEND_GRACE: Duration = Duration::from_millis(300);

/// How a wallet behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletRules {
    /// Blocks on top of a transaction's before it counts as final.
    pub settle_depth: u64,
    /// The least that is paid for gas: what nodes relay. Unit: wei.
    pub price_min: u128,
    /// The most that is ever paid for gas. Unit: wei.
    pub price_max: u128,
    /// The most gas a transfer to a contract may need.
    pub gas_max: u64,
}

impl Default for WalletRules {
    /// Final after 32 blocks; 1 to 100 gwei for gas; contracts may take 100 000 of it.
    fn default() -> Self {
        Self { settle_depth: 32, price_min: GWEI, price_max: 100 * GWEI, gas_max: 100_000 }
    }
}

/// One miner a batch; anything from a hundred times a transfer's usual fee.
#[must_use]
pub fn payout_limits(amount_min: Amount) -> PayoutLimits {
    let least = Amount::new(100 * GWEI * u128::from(TRANSFER_GAS));
    PayoutLimits { items_max: 1, amount_min: amount_min.max(least) }
}

/// The pool's wallet. Reads and sends through the node it was made with.
#[derive(Debug)]
pub struct HypraWallet {
    key: WalletKey,
    address: Address,
    node: HypraNode,
    rules: WalletRules,
}

/// What the chain says before something is signed.
struct Outlook {
    nonce: u64,
    balance: u128,
    price: Price,
}

fn impossible(why: impl Into<String>) -> WalletError {
    WalletError::Impossible(why.into())
}

fn garbage(why: impl Into<String>) -> NodeError {
    NodeError::Garbage(why.into())
}

/// The transfer in a transaction of ours.
fn transfer_of(tx: &SignedTx) -> Result<Transfer, WalletError> {
    let signed = SignedTransfer::parse(&tx.raw).map_err(|error| impossible(error.to_string()))?;
    Ok(signed.transfer)
}

impl HypraWallet {
    /// A wallet over one key, through the connections of `node`.
    ///
    /// # Errors
    /// [`WalletError::Impossible`] when the node's pay address is not this key's: the pool would pay out of an
    /// address the chain does not pay to.
    pub fn new(key: WalletKey, node: &HypraNode, rules: WalletRules) -> Result<Self, WalletError> {
        let address = key.address();
        if address != *node.pay_to() {
            return Err(impossible(format!(
                "the key's address is {address}, and the node is told to pay {}",
                node.pay_to()
            )));
        }
        Ok(Self { key, address, node: node.clone(), rules })
    }

    /// The wallet's address.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    async fn count(&self, seat: &HttpPeer, tag: Value) -> Result<u64, NodeError> {
        let answer = ask(seat, "eth_getTransactionCount", json!([self.address.to_string(), tag])).await?;
        Ok(rpc::quantity(&answer, "transaction count")?)
    }

    async fn balance(&self, seat: &HttpPeer) -> Result<u128, NodeError> {
        let answer = ask(seat, "eth_getBalance", json!([self.address.to_string(), "latest"])).await?;
        Ok(rpc::amount(&answer, "balance")?)
    }

    async fn price(&self, seat: &HttpPeer) -> Result<Price, NodeError> {
        let newest = ask(seat, "eth_getBlockByNumber", json!(["latest", false])).await?;
        let newest = Block::read(&newest)?.ok_or_else(|| garbage("a node without blocks"))?;
        let (least, most) = (self.rules.price_min, self.rules.price_max.max(self.rules.price_min));
        Ok(match newest.header.base_fee {
            None => {
                let price = rpc::amount(&ask(seat, "eth_gasPrice", json!([])).await?, "gas price")?;
                // A quarter more: a transaction that was signed is never replaced by a dearer one.
                Price::Legacy(price.saturating_add(price / 4).clamp(least, most))
            }
            Some(base_fee) => {
                let tip = ask(seat, "eth_maxPriorityFeePerGas", json!([])).await?;
                let tip_max = rpc::amount(&tip, "tip")?.clamp(least, most);
                let fee_max = base_fee.saturating_mul(2).saturating_add(tip_max).clamp(tip_max, most);
                Price::Dynamic { tip_max, fee_max }
            }
        })
    }

    async fn outlook(&self, seat: &HttpPeer, in_flight: &[Transfer]) -> Result<Outlook, NodeError> {
        let (mined, waiting) =
            (self.count(seat, "latest".into()).await?, self.count(seat, "pending".into()).await?);
        let own = in_flight.iter().map(|transfer| transfer.nonce.saturating_add(1)).max().unwrap_or(0);
        // What is on its way and not on the chain yet still has its money in the balance.
        let mut balance = self.balance(seat).await?;
        for transfer in in_flight.iter().filter(|transfer| transfer.nonce >= mined) {
            let cost =
                transfer.fee_max().and_then(|fee| fee.checked_add(transfer.value)).unwrap_or(u128::MAX);
            balance = balance.saturating_sub(cost);
        }
        Ok(Outlook { nonce: mined.max(waiting).max(own), balance, price: self.price(seat).await? })
    }

    /// The gas of a transfer: the usual for an account, what a node expects for a contract.
    async fn gas(&self, to: &Address, value: u128) -> Result<u64, WalletError> {
        let peers = self.node.peers();
        let code = peers
            .ask(|seat| async move {
                let code = ask(&seat, "eth_getCode", json!([to.to_string(), "latest"])).await?;
                rpc::bytes(&code, "code").map_err(NodeError::from)
            })
            .await?;
        if code.is_empty() {
            return Ok(TRANSFER_GAS);
        }
        let call = json!([{ "from": self.address.to_string(), "to": to.to_string(), "value": rpc::to_quantity(value) }]);
        let call = &call;
        let expected = peers
            .ask(|seat| async move {
                let gas = ask(&seat, "eth_estimateGas", call.clone()).await?;
                rpc::quantity(&gas, "gas").map_err(NodeError::from)
            })
            .await;
        match expected {
            Ok(gas) if gas <= self.rules.gas_max => Ok(gas.saturating_add(gas / 5).min(self.rules.gas_max)),
            Ok(gas) => Err(impossible(format!("{to} is a contract that needs {gas} gas to be paid"))),
            Err(NodeError::Refused { reason }) => {
                Err(impossible(format!("{to} is a contract that does not take the payment: {reason}")))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn send_to(&self, seat: &Seat<HttpPeer>, tx: &SignedTx) -> Result<(), NodeError> {
        match ask(seat, "eth_sendRawTransaction", json!([rpc::to_hex(&tx.raw)])).await {
            Ok(answer) => {
                let id: [u8; 32] = rpc::array(&answer, "transaction's id")?;
                if id == *tx.id.bytes() { Ok(()) } else { Err(garbage("the id of another transaction")) }
            }
            Err(NodeError::Refused { reason }) if reason.contains("already known") => Ok(()),
            // No verdict on the transaction itself: later it may be welcome.
            Err(NodeError::Refused { reason }) if reason.contains("txpool is full") => {
                Err(NodeError::Unreachable(reason.into()))
            }
            Err(NodeError::Refused { reason }) => match self.is_known(seat, &tx.id).await? {
                // A mined transaction's number is "too low", too.
                true => Ok(()),
                false => Err(NodeError::Refused { reason }),
            },
            Err(error) => Err(error),
        }
    }

    /// Whether a node has a transaction, waiting or in a block.
    async fn is_known(&self, seat: &HttpPeer, id: &TxId) -> Result<bool, NodeError> {
        let answer = ask(seat, "eth_getTransactionByHash", json!([rpc::to_hex(id.bytes())])).await?;
        Ok(!answer.is_null())
    }

    async fn fate_by(
        &self,
        seat: &HttpPeer,
        tx: &SignedTx,
        transfer: &Transfer,
    ) -> Result<TxFate, NodeError> {
        let tip = rpc::quantity(&ask(seat, "eth_blockNumber", json!([])).await?, "block number")?;
        if let Some(receipt) = receipt(seat, tx.id.bytes()).await? {
            return self.settled(seat, tx, &receipt, transfer, tip).await;
        }
        if self.is_known(seat, &tx.id).await? {
            return Ok(TxFate::Pending { confirmations: 0 });
        }
        match self.usurper(seat, tx, transfer, tip).await? {
            Some((id, number)) if tip.saturating_sub(number) >= self.rules.settle_depth => Ok(TxFate::Void {
                detail: format!(
                    "number {} of the account was used by transaction 0x{} in block {number}",
                    transfer.nonce,
                    hex::encode(id)
                ),
            }),
            Some((_, number)) => Ok(TxFate::Pending { confirmations: tip.saturating_sub(number) }),
            None => Ok(TxFate::Unknown),
        }
    }

    async fn settled(
        &self,
        seat: &HttpPeer,
        tx: &SignedTx,
        receipt: &Receipt,
        transfer: &Transfer,
        tip: u64,
    ) -> Result<TxFate, NodeError> {
        let found = whole_block(seat, receipt.block_number).await?;
        let Some(found) = found.filter(|found| found.hash == receipt.block_hash) else {
            return Err(garbage("a receipt of a block that is not on the chain"));
        };
        let carries = |transaction: &Transaction| matches!(transaction, Transaction::Whole(whole) if whole.id == *tx.id.bytes());
        if !found.transactions.iter().any(carries) {
            return Err(garbage("a receipt of a block without the transaction"));
        }
        let confirmations = tip.saturating_sub(receipt.block_number);
        if confirmations < self.rules.settle_depth {
            return Ok(TxFate::Pending { confirmations });
        }
        let price = transfer.price.effective(found.header.base_fee.unwrap_or(0));
        let price = price.ok_or_else(|| garbage("a transaction below its block's base fee"))?;
        let fee = price.checked_mul(receipt.gas_used.into()).ok_or_else(|| garbage("a fee past 2^128"))?;
        if receipt.succeeded {
            return Ok(TxFate::Settled { fee: Amount::new(fee) });
        }
        Ok(TxFate::Void { detail: format!("{} did not take it, and {fee} wei of gas are gone", transfer.to) })
    }

    /// The other transaction that used a transaction's number, and its block; `None` while nobody can show one.
    async fn usurper(
        &self,
        seat: &HttpPeer,
        tx: &SignedTx,
        transfer: &Transfer,
        tip: u64,
    ) -> Result<Option<([u8; 32], u64)>, NodeError> {
        let used_at = |number: u64| async move {
            Ok::<bool, NodeError>(self.count(seat, rpc::to_quantity(number.into())).await? > transfer.nonce)
        };
        if !used_at(tip).await? {
            return Ok(None);
        }
        // Between a state without it and one with it lies the block that did it.
        let (mut before, mut after) = (tip.saturating_sub(STATES), tip);
        if used_at(before).await? {
            return Ok(None);
        }
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if used_at(middle).await? {
                after = middle;
            } else {
                before = middle;
            }
        }
        let Some(found) = whole_block(seat, after).await? else { return Ok(None) };
        let spender = found.transactions.iter().find_map(|transaction| match transaction {
            Transaction::Whole(WholeTransaction { id, from, nonce, .. })
                if *from == self.address && *nonce == transfer.nonce =>
            {
                Some(*id)
            }
            Transaction::Whole(_) | Transaction::Id(_) => None,
        });
        match spender {
            Some(id) if id == *tx.id.bytes() => Err(garbage("a transaction without its receipt")),
            Some(id) => Ok(Some((id, after))),
            None => Err(garbage("a block that lacks the transaction that its state shows")),
        }
    }
}

async fn whole_block(seat: &HttpPeer, number: u64) -> Result<Option<Block>, NodeError> {
    let answer = ask(seat, "eth_getBlockByNumber", json!([rpc::to_quantity(number.into()), true])).await?;
    Ok(Block::read(&answer)?.filter(|found| found.header.number == number))
}

#[async_trait::async_trait]
impl Wallet for HypraWallet {
    async fn sign(&self, batch: &PayoutBatch, in_flight: &[SignedTx]) -> Result<SignedTx, WalletError> {
        let [item] = &*batch.items else {
            return Err(impossible(format!(
                "{} payments in one batch: a transaction pays one",
                batch.items.len()
            )));
        };
        let to = Address::parse(item.miner.as_str())
            .map_err(|error| impossible(format!("{}: {error}", item.miner)))?;
        if to == self.address {
            return Err(impossible("the pool does not pay itself"));
        }
        let value = item.amount.get();
        let in_flight = in_flight.iter().map(transfer_of).collect::<Result<Vec<_>, _>>()?;
        let gas = self.gas(&to, value).await?;
        let outlook = self
            .node
            .peers()
            .ask(|seat| {
                let in_flight = &in_flight;
                async move { self.outlook(&seat, in_flight).await }
            })
            .await?;
        let Outlook { nonce, balance, price } = outlook;
        let chain_id = self.node.network().chain_id();
        let transfer = Transfer { chain_id, nonce, price, gas, to, value, data: Vec::new() };
        let fee = transfer.fee_max().ok_or_else(|| impossible("a fee past 2^128"))?;
        let needed = fee.checked_add(value).ok_or_else(|| impossible("an amount past 2^128"))?;
        if needed > balance {
            return Err(WalletError::Short { spendable: Amount::new(balance), needed: Amount::new(needed) });
        }
        let signature = self.key.sign(&transfer.signing_hash());
        let raw = transfer.signed(&signature);
        Ok(SignedTx {
            id: TxId::new(tx::id(&raw)),
            raw,
            fee: Amount::new(fee),
            spends: vec![format!("{}:{nonce}", self.address)],
        })
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<(), WalletError> {
        transfer_of(tx)?;
        let answers =
            self.node.peers().each(SEND_GRACE, |seat| async move { self.send_to(&seat, tx).await }).await;
        let mut refused = NodeError::Unreachable("no node answered".into());
        if answers.iter().any(|(_, answer)| answer.is_ok()) {
            return Ok(());
        }
        for (_, answer) in answers {
            match answer {
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => refused = error,
                Ok(()) => {}
            }
        }
        match refused {
            NodeError::Refused { reason } => Err(WalletError::Refused(reason)),
            error => Err(error.into()),
        }
    }

    async fn fate(&self, tx: &SignedTx) -> Result<TxFate, WalletError> {
        let transfer = transfer_of(tx)?;
        let ask = |seat: Seat<HttpPeer>| {
            let transfer = &transfer;
            async move { Ok::<_, NodeError>((seat.index(), self.fate_by(&seat, tx, transfer).await?)) }
        };
        let (told_by, fate) = self.node.peers().ask(ask).await?;
        if matches!(fate, TxFate::Unknown | TxFate::Pending { .. }) {
            return Ok(fate);
        }
        // A final word moves money: nobody in good standing may say otherwise.
        for seat in self.node.others_in_good_standing(told_by) {
            if let Ok(other) = self.fate_by(&seat, tx, &transfer).await
                && std::mem::discriminant(&other) != std::mem::discriminant(&fate)
            {
                tracing::warn!(transaction = %tx.id, node = seat.name(), "nodes disagree about a transaction");
                return Ok(TxFate::Pending { confirmations: 0 });
            }
        }
        Ok(fate)
    }

    async fn spendable(&self) -> Result<Amount, WalletError> {
        let balance = self.node.peers().ask(|seat| async move { self.balance(&seat).await }).await?;
        Ok(Amount::new(balance))
    }

    async fn upkeep(&self, _in_flight: &[SignedTx]) -> Result<Option<SignedTx>, WalletError> {
        // An account has no small coins to join.
        Ok(None)
    }
}
