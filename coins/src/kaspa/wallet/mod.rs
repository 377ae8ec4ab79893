//! The pool's money on Kaspa: one key, one address, the node's index of coins.
//!
//! Signing chooses coins, builds a plain version 0 transaction and signs it; it touches nothing outside. The bytes of
//! a [`SignedTx`] also say from which chain block on its acceptance is to be looked for, so that after a restart,
//! on another node, or weeks later, the question "was it accepted?" has an answer from the chain itself: the ids
//! that each chain block accepted. A recipient may spend his output at once, so the set of coins alone proves
//! nothing. Void is said only when a chain block, as deep as any other final one, was seen to accept another
//! transaction that spends one of the same coins.

mod key;
mod plan;
mod tracker;

use super::address::Address;
use super::coinbase::PayScript;
use super::convert;
use super::grpc::link::{CallError, Link};
use super::grpc::set::NodeSet;
use super::grpc::wire;
use super::mass;
use super::node::KaspaNode;
use super::params::Network;
pub use key::{BadKey, WalletKey};
use plan::{Coin, FeeRules, INPUTS_MAX, Plan};
use pool_core::coin::{NodeError, PayoutLimits, Wallet, WalletError};
use pool_core::id::TxId;
use pool_core::payout::{PayoutBatch, SignedTx, TxFate};
use pool_core::units::Amount;
use prost::Message;
use std::collections::HashSet;
use std::sync::Arc;
use tracker::Tracker;

/// The relay's least fee. Unit: sompi a gram.
const RATE_MIN: u64 = 100;
/// The first byte of [`SignedTx::raw`].
const RAW_VERSION: u8 = 1;

/// How a wallet behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletRules {
    /// Age of a coinbase coin before it is spent. Unit: DAA score; at least the chain's maturity.
    pub maturity: u64,
    /// Age of other coins (our own change) before they are spent. Unit: DAA score.
    pub change_age: u64,
    /// Age of an accepted transaction before it counts as final. Unit: DAA score.
    pub settle_depth: u64,
    /// The most that is ever paid by weight. Unit: sompi a gram.
    pub rate_max: u64,
    /// The most that one transaction may cost. Unit: sompi.
    pub fee_max: u64,
    /// Join coins when there are more than this.
    pub coins_max: usize,
}

impl Default for WalletRules {
    /// The public networks: maturity 1000, change after 100, final after 1000 (about 100 s), at most ten times the
    /// relay's least rate and one KAS a transaction, join beyond 200 coins.
    fn default() -> Self {
        Self {
            maturity: 1_000,
            change_age: 100,
            settle_depth: 1_000,
            rate_max: 10 * RATE_MIN,
            fee_max: 100_000_000,
            coins_max: 200,
        }
    }
}

/// What one transaction can surely carry when no amount in it is below `amount_min`.
///
/// An output of `v` sompi weighs 10^12 / v grams of storage and 412 of computation, and a mempool takes 100 000 of
/// each; the change and the inputs need room too.
#[must_use]
pub fn payout_limits(amount_min: Amount) -> PayoutLimits {
    // Below a fifth of a KAS two outputs would not fit at all.
    let least = u64::try_from(amount_min.get()).unwrap_or(u64::MAX).max(20_000_000);
    let storage = mass::STORAGE_MASS_PARAMETER / least + 1;
    let by_storage = usize::try_from((mass::STANDARD_MAX - 10_500) / storage).unwrap_or(1);
    PayoutLimits { items_max: by_storage.clamp(1, 60), amount_min: Amount::new(u128::from(least)) }
}

/// The pool's wallet. Reads and sends through the node it was made with.
#[derive(Debug)]
pub struct KaspaWallet {
    key: WalletKey,
    network: Network,
    address: Address,
    script: PayScript,
    set: Arc<NodeSet>,
    rules: WalletRules,
    tracker: Tracker,
}

impl KaspaWallet {
    /// A wallet over one key, through the connections of `node`.
    ///
    /// # Errors
    /// [`WalletError::Impossible`] when the node's pay address is not this key's: the pool would pay out of an
    /// address the chain does not pay to.
    pub fn new(key: WalletKey, node: &KaspaNode, rules: WalletRules) -> Result<Self, WalletError> {
        let network = node.network();
        let address = Address::p2pk(network, key.public());
        if address != *node.pay_to() {
            return Err(WalletError::Impossible(format!(
                "the key's address is {address}, and the node is told to pay {}",
                node.pay_to()
            )));
        }
        let script = address.pay_script();
        Ok(Self { key, network, address, script, set: node.set(), rules, tracker: Tracker::default() })
    }

    /// The address of a key on a network.
    #[must_use]
    pub fn address_of(key: &WalletKey, network: Network) -> Address {
        Address::p2pk(network, key.public())
    }

    /// The wallet's address.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// All coins of the address, and the chain's DAA score and sink.
    async fn coins(&self) -> Result<(Vec<Coin>, u64, [u8; 32]), NodeError> {
        let mut last = None;
        for link in self.set.healthy()? {
            match self.coins_of(&link).await {
                Ok(coins) => return Ok(coins),
                Err(error) => {
                    self.set.distrust(&link, &error);
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or(NodeError::NotSynced))
    }

    async fn coins_of(&self, link: &Link) -> Result<(Vec<Coin>, u64, [u8; 32]), NodeError> {
        // Sink and coins from the same node, the sink first: nothing can spend these coins below it.
        let dag = link.dag(wire::Empty {}).await?;
        let utxos = link.utxos(wire::Addresses { addresses: vec![self.address.to_string()] }).await?;
        let sink = convert::hash(&dag.sink).map_err(|error| NodeError::Garbage(error.to_string()))?;
        let own = convert::wire_script(&self.script);
        let mut coins = Vec::with_capacity(utxos.entries.len());
        for utxo in utxos.entries {
            let (Some(outpoint), Some(entry)) = (utxo.outpoint, utxo.entry) else {
                return Err(NodeError::Garbage("a coin without name or amount".into()));
            };
            if entry.script.as_ref() != Some(&own) {
                return Err(NodeError::Garbage("a coin that is not this address's".into()));
            }
            coins.push(Coin {
                txid: convert::hash(&outpoint.transaction_id)
                    .map_err(|error| NodeError::Garbage(error.to_string()))?,
                index: outpoint.index,
                amount: entry.amount,
                daa_score: entry.block_daa_score,
                is_coinbase: entry.is_coinbase,
            });
        }
        Ok((coins, dag.virtual_daa_score, sink))
    }

    /// Coins that may be spent now and that no transaction in flight spends.
    async fn free_coins(&self, in_flight: &[SignedTx]) -> Result<(Vec<Coin>, [u8; 32]), NodeError> {
        let taken: HashSet<&str> = in_flight.iter().flat_map(|tx| &tx.spends).map(String::as_str).collect();
        let (mut coins, daa_score, sink) = self.coins().await?;
        coins.retain(|coin| {
            let age = if coin.is_coinbase { self.rules.maturity } else { self.rules.change_age };
            coin.daa_score.saturating_add(age) <= daa_score && !taken.contains(coin.text().as_str())
        });
        Ok((coins, sink))
    }

    /// How old the newest known output of a transaction is, in DAA score; `None` when none is unspent.
    ///
    /// For a transaction so old that nodes have forgotten the chain blocks it was signed among: an output that is
    /// there proves that it was accepted.
    async fn output_age(&self, transaction: &[u8], id: &TxId) -> Result<Option<u64>, NodeError> {
        let transaction = wire::Transaction::decode(transaction)
            .map_err(|error| NodeError::Refused { reason: error.to_string() })?;
        let id = id.to_string();
        // Our own change first: other people's addresses may have very many coins.
        for output in transaction.outputs.iter().rev() {
            let script = output.script.as_ref().and_then(|script| convert::pay_script(script).ok());
            let address =
                script.and_then(|script| Address::from_script(self.network, script.version, &script.script));
            let Some(address) = address else { continue };
            let utxos = self.set.utxos(wire::Addresses { addresses: vec![address.to_string()] }).await?;
            let found = utxos
                .entries
                .into_iter()
                .find(|utxo| utxo.outpoint.as_ref().is_some_and(|outpoint| outpoint.transaction_id == id));
            if let Some(entry) = found.and_then(|utxo| utxo.entry) {
                let now = self.set.dag(wire::Empty {}).await?.virtual_daa_score;
                return Ok(Some(now.saturating_sub(entry.block_daa_score)));
            }
        }
        Ok(None)
    }

    async fn fee_rules(&self) -> FeeRules {
        let estimate = self.set.fee_estimate(wire::Empty {}).await.ok().and_then(|answer| answer.estimate);
        let rate = estimate
            .and_then(|estimate| estimate.normal.first().copied().or(estimate.priority))
            .map_or(RATE_MIN, |bucket| whole_rate(bucket.feerate));
        FeeRules {
            rate: rate.clamp(RATE_MIN, self.rules.rate_max.max(RATE_MIN)),
            fee_max: self.rules.fee_max,
        }
    }

    fn sign_plan(&self, plan: Plan, start: [u8; 32]) -> Result<SignedTx, WalletError> {
        let Plan { coins, mut transaction, fee } = plan;
        let internal = |error: convert::Malformed| WalletError::Impossible(error.to_string());
        // Signatures do not cover signature scripts: all are made over the transaction as planned.
        let unsigned = convert::transaction(&transaction).map_err(internal)?;
        let mut scripts = Vec::with_capacity(coins.len());
        for (index, coin) in coins.iter().enumerate() {
            let spent = (coin.amount, self.script.clone());
            let hash = convert::sighash(&unsigned, index, &spent).map_err(internal)?;
            scripts.push(convert::signature_script(&self.key.sign(&hash)));
        }
        for (input, script) in transaction.inputs.iter_mut().zip(scripts) {
            input.signature_script = hex::encode(script);
        }
        let id = convert::transaction_id(&transaction).map_err(internal)?;
        let mut raw = Vec::with_capacity(33 + transaction.encoded_len());
        raw.push(RAW_VERSION);
        raw.extend_from_slice(&start);
        transaction.encode(&mut raw).expect("a vector takes what is written to it");
        Ok(SignedTx {
            id: TxId::new(id),
            raw,
            fee: Amount::new(u128::from(fee)),
            spends: coins.iter().map(Coin::text).collect(),
        })
    }
}

/// Sompi a gram, rounded up; nonsense is the least.
fn whole_rate(rate: f64) -> u64 {
    // The comparison is false for what is no number, and the cast stops at the range's end.
    if rate > 0.0 { rate.ceil() as u64 } else { RATE_MIN }
}

/// [`SignedTx::raw`], read: from which chain block on to look for it, and the transaction's own bytes.
fn split_raw(tx: &SignedTx) -> Result<([u8; 32], &[u8]), WalletError> {
    match tx.raw.split_first() {
        Some((&RAW_VERSION, rest)) => match rest.split_first_chunk::<32>() {
            Some((start, transaction)) => Ok((*start, transaction)),
            None => Err(WalletError::Impossible("the signed bytes end too early".into())),
        },
        Some(_) | None => Err(WalletError::Impossible("the signed bytes are of an unknown form".into())),
    }
}

#[async_trait::async_trait]
impl Wallet for KaspaWallet {
    async fn sign(&self, batch: &PayoutBatch, in_flight: &[SignedTx]) -> Result<SignedTx, WalletError> {
        let mut outputs = Vec::with_capacity(batch.items.len());
        for item in &batch.items {
            let address = Address::parse(item.miner.as_str(), self.network)
                .map_err(|error| WalletError::Impossible(format!("{}: {error}", item.miner)))?;
            let amount = u64::try_from(item.amount.get())
                .map_err(|_| WalletError::Impossible(format!("{} is more than there can be", item.amount)))?;
            outputs.push((address.pay_script(), amount));
        }
        let rules = self.fee_rules().await;
        let (coins, start) = self.free_coins(in_flight).await?;
        self.sign_plan(plan::pay(coins, &outputs, &self.script, rules)?, start)
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<(), WalletError> {
        let (start, transaction) = split_raw(tx)?;
        let ask = wire::SubmitTransaction { transaction: transaction.to_vec(), allow_orphan: false };
        let words = match self.set.submit_transaction(ask).await {
            Ok(_) => return Ok(()),
            Err(CallError::Rpc(words)) => words,
            Err(CallError::Node(error)) => {
                // The answer may be all that was lost.
                return if self.tracker.is_waiting(&self.set, &tx.id).await? {
                    Ok(())
                } else {
                    Err(error.into())
                };
            }
        };
        // Source of the texts: the mempool's errors of the 2.1.0 node.
        if words.contains("already in the mempool") || words.contains("already accepted") {
            return Ok(());
        }
        // No verdict on the transaction itself: later it may be welcome.
        let not_now = ["mempool because it's full", "transitional", "immature"];
        if not_now.iter().any(|reason| words.contains(reason)) {
            return Err(NodeError::Unreachable(words.into()).into());
        }
        // An accepted transaction looks like one whose coins are missing.
        match self.tracker.acceptance(&self.set, &tx.id, start).await? {
            Some(_) => Ok(()),
            None => Err(WalletError::Refused(words)),
        }
    }

    async fn fate(&self, tx: &SignedTx) -> Result<TxFate, WalletError> {
        let (start, transaction) = split_raw(tx)?;
        let accepted = match self.tracker.acceptance(&self.set, &tx.id, start).await {
            Err(forgotten @ NodeError::Refused { .. }) => match self.output_age(transaction, &tx.id).await? {
                Some(age) => Some(age),
                None => return Err(forgotten.into()),
            },
            outcome => outcome?,
        };
        if let Some(confirmations) = accepted {
            return Ok(if confirmations >= self.rules.settle_depth {
                self.tracker.forget(&tx.id);
                TxFate::Settled { fee: tx.fee }
            } else {
                TxFate::Pending { confirmations }
            });
        }
        if self.tracker.is_waiting(&self.set, &tx.id).await? {
            return Ok(TxFate::Pending { confirmations: 0 });
        }
        let (coins, _, _) = self.coins().await?;
        let have: HashSet<String> = coins.iter().map(Coin::text).collect();
        let missing: Vec<&String> = tx.spends.iter().filter(|coin| !have.contains(*coin)).collect();
        if missing.is_empty() {
            return Ok(TxFate::Unknown);
        }
        // A coin is gone and it was not us, or not yet as far as the chain's ids say.
        match self.tracker.spender(&self.set, tx, start).await? {
            Some(spender) if spender.confirmations >= self.rules.settle_depth => {
                self.tracker.forget(&tx.id);
                Ok(TxFate::Void {
                    detail: format!(
                        "{} was spent by {} in chain block {}",
                        spender.coin, spender.transaction, spender.accepted_by
                    ),
                })
            }
            Some(_) => Ok(TxFate::Pending { confirmations: 0 }),
            None => Ok(TxFate::Unknown),
        }
    }

    async fn spendable(&self) -> Result<Amount, WalletError> {
        let (coins, _) = self.free_coins(&[]).await?;
        Ok(Amount::new(coins.iter().map(|coin| u128::from(coin.amount)).sum()))
    }

    async fn upkeep(&self, in_flight: &[SignedTx]) -> Result<Option<SignedTx>, WalletError> {
        let (mut coins, start) = self.free_coins(in_flight).await?;
        if coins.len() <= self.rules.coins_max {
            return Ok(None);
        }
        // The smallest first: they are the many, and joined ones are left alone.
        coins.sort_unstable_by(|a, b| {
            a.amount.cmp(&b.amount).then_with(|| (a.txid, a.index).cmp(&(b.txid, b.index)))
        });
        coins.truncate(INPUTS_MAX);
        let rules = self.fee_rules().await;
        plan::join(coins, &self.script, rules)?.map(|plan| self.sign_plan(plan, start)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_keep_the_storage_mass_of_the_smallest_allowed_outputs_in_bounds() {
        for kas in [1u64, 2, 5, 10, 100] {
            let limits = payout_limits(Amount::new(u128::from(kas) * 100_000_000));
            let outputs = limits.items_max as u64 * (mass::STORAGE_MASS_PARAMETER / (kas * 100_000_000));
            assert!(outputs + 10_000 <= mass::STANDARD_MAX, "{kas} KAS: {limits:?}");
            assert!(limits.items_max >= 8);
        }
        assert!(payout_limits(Amount::ZERO).items_max >= 1);
    }

    #[test]
    fn a_rate_that_is_no_rate_is_the_least() {
        for (rate, whole) in
            [(f64::NAN, 100), (-5.0, 100), (0.0, 100), (100.2, 101), (f64::INFINITY, u64::MAX)]
        {
            assert_eq!(whole_rate(rate), whole);
        }
    }

    /// The published example: key 1, one input of 10 KAS, two outputs. Source: computed with the `kaspa` 2.1.0
    /// Python package.
    #[test]
    fn the_published_payout_has_its_id_its_masses_and_the_hash_that_is_signed() {
        let key = WalletKey::from_hex(&format!("{}1", "0".repeat(63))).unwrap();
        let own = Address::p2pk(Network::Mainnet, key.public()).pay_script();
        let other = "202c3fbf23a5bb484db4a20651e13a1fc263cff33a131919278baadc3ed74837deac";
        let other = PayScript { version: 0, script: hex::decode(other).unwrap() };
        let output = |amount, script: &PayScript| wire::TransactionOutput {
            amount,
            script: Some(convert::wire_script(script)),
            covenant: None,
        };
        let mut transaction = wire::Transaction {
            inputs: vec![wire::TransactionInput {
                outpoint: Some(wire::Outpoint {
                    transaction_id: "880eb9819a31821d9d2399e2f35e2433b72637e393d71ecc9b8d0250f49153c3".into(),
                    index: 0,
                }),
                signature_script: "00".repeat(66),
                sig_op_count: 1,
                ..wire::TransactionInput::default()
            }],
            outputs: vec![output(400_000_000, &other), output(599_000_000, &own)],
            subnetwork_id: "00".repeat(20),
            ..wire::Transaction::default()
        };
        let masses = convert::masses(&transaction, &[1_000_000_000]).unwrap();
        assert_eq!((masses.compute, masses.storage, masses.transient), (2_036, 3_169, 4 * 316));
        assert_eq!((masses.relay_fee_min(), 100 * masses.fee_mass()), (203_600, 316_900));
        transaction.storage_mass = masses.storage;
        assert_eq!(
            hex::encode(convert::transaction_id(&transaction).unwrap()),
            "3407676ad6330106e53a7622bca23d41b760220cc6ae153257630af674064c54"
        );
        let unsigned = convert::transaction(&transaction).unwrap();
        let spent = (1_000_000_000, own);
        let hash = convert::sighash(&unsigned, 0, &spent).unwrap();
        assert_eq!(hex::encode(hash), "4d0e6d5ac0e96be5fcb322425f3efb4959bb8c0fff2d05a3a644ade2cda8bdfe");
        transaction.inputs[0].signature_script = hex::encode(convert::signature_script(&key.sign(&hash)));
        #[cfg(feature = "devnode")]
        {
            assert!(convert::check_signatures(&transaction, std::slice::from_ref(&spent)).is_ok());
            transaction.outputs[0].amount += 1;
            assert!(convert::check_signatures(&transaction, &[spent]).is_err());
        }
    }

    #[test]
    fn raw_bytes_of_an_unknown_form_are_refused() {
        let tx = |raw: Vec<u8>| SignedTx { id: TxId::new([0; 32]), raw, fee: Amount::ZERO, spends: vec![] };
        for raw in [vec![], vec![2; 40], vec![RAW_VERSION; 32]] {
            assert!(split_raw(&tx(raw)).is_err());
        }
        let whole = tx(vec![RAW_VERSION; 40]);
        assert_eq!(split_raw(&whole).unwrap(), ([1; 32], &[1u8; 7][..]));
    }
}
