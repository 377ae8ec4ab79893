//! The pool's money on Nexa: a node's wallet signs, the pool decides what.
//!
//! The keys are the node's, and there is one such node. The pool chooses coins from the wallet's list, builds the
//! transaction itself and asks the node to fill in the input scripts; a transaction's *idem* leaves those scripts out,
//! so one comparison proves that what came back moves exactly what was asked for and nothing else. Neither step has an
//! effect: the wallet's own `sendmany`, which builds and sends in one, is not used, because after a lost answer nobody
//! could say whether it had paid. The signed bytes are on the pool's disk before they are sent, are sent again as often
//! as need be, and are called by their idem.
//!
//! A transaction is settled when it lies deep enough. It is void only when another transaction of the same wallet
//! spends one of its coins and lies as deep; a coin that is gone for no visible reason decides nothing.

use super::address::Address;
use super::codec::{display, from_display, reversed};
use super::node::NexaNode;
use super::params::{DUST, Network, TX_PARTS_MAX};
use super::rpc::{Rpc, Unspent, code, node_error};
use super::tx::{Input, Output, Transaction};
use crate::http::RpcError;
use pool_core::coin::{NodeError, PayoutLimits, Wallet, WalletError};
use pool_core::id::TxId;
use pool_core::payout::{PayoutBatch, SignedTx, TxFate};
use pool_core::units::Amount;
use std::collections::HashSet;

/// What an input with one key's signature takes at the first guess. Unit: bytes.
const INPUT_BYTES: u64 = 160;
/// What a transaction takes beside its inputs and outputs. Unit: bytes.
const FRAME_BYTES: u64 = 12;
/// Inputs of one transaction at most: below the chain's limit, as other wallets stay.
const INPUTS_MAX: usize = 250;
/// Outputs of one payout at most, the change left aside.
const ITEMS_MAX: usize = 250;
/// How often a transaction is built anew because its bytes turned out to be more than guessed.
const SIZE_TRIES: usize = 4;
/// How many of the wallet's newest transactions are searched for one that spends our coins.
const SENT_MAX: u64 = 1_000;

/// How a wallet behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletRules {
    /// Confirmations of a coin before it is spent. Coinbases wait for the chain's maturity besides.
    pub coin_age: u64,
    /// Confirmations of a transaction before it counts as final.
    pub settle_depth: u64,
    /// The fee is at least this, and what the node passes on. Unit: satoshis for 1000 bytes.
    pub fee_rate_min: u64,
    /// The fee is at most this. Unit: satoshis for 1000 bytes.
    pub fee_rate_max: u64,
    /// The most that one transaction may cost. Unit: satoshis.
    pub fee_max: u64,
    /// Join coins when there are more than this.
    pub coins_max: usize,
}

impl Default for WalletRules {
    /// Coins after 2 confirmations, final after 30 (an hour), twice the relay's usual fee and at most twenty times
    /// it, 10 000 NEXA a transaction at most, join beyond 300 coins.
    fn default() -> Self {
        Self {
            coin_age: 2,
            settle_depth: 30,
            fee_rate_min: 2_000,
            fee_rate_max: 20_000,
            fee_max: 1_000_000,
            coins_max: 300,
        }
    }
}

/// What one transaction can carry: 250 outputs, none below the dust limit of 546 satoshis.
#[must_use]
pub fn payout_limits(amount_min: Amount) -> PayoutLimits {
    PayoutLimits { items_max: ITEMS_MAX, amount_min: amount_min.max(Amount::new(u128::from(DUST))) }
}

/// The pool's wallet: that of one node.
#[derive(Debug)]
pub struct NexaWallet {
    rpc: Rpc,
    network: Network,
    address: Address,
    rules: WalletRules,
}

/// A transaction to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plan {
    transaction: Transaction,
    fee: u64,
}

/// Chooses coins for these outputs, the largest first, and adds the change. `input_bytes`: what an input takes.
fn pay(
    mut coins: Vec<Unspent>,
    outputs: &[Output],
    change_to: &Address,
    rate: u64,
    fee_max: u64,
    input_bytes: u64,
) -> Result<Plan, WalletError> {
    let total = outputs.iter().map(|output| output.amount).fold(0, u64::saturating_add);
    let short = |spendable: u64, fee: u64| WalletError::Short {
        spendable: Amount::new(u128::from(spendable)),
        needed: Amount::new(u128::from(total) + u128::from(fee)),
    };
    // By name where amounts are equal: the same wallet always builds the same transaction.
    coins.sort_unstable_by(|a, b| b.amount.cmp(&a.amount).then_with(|| a.outpoint.cmp(&b.outpoint)));
    let change = Output::to(change_to, 0);
    let bytes_of =
        |outputs: &[Output]| -> u64 { outputs.iter().map(|output| 12 + output.script.len() as u64).sum() };
    let frame = FRAME_BYTES + bytes_of(outputs) + bytes_of(std::slice::from_ref(&change));
    let fee_for = |inputs: usize| ((frame + inputs as u64 * input_bytes) * rate).div_ceil(1_000);
    let (mut sum, mut chosen) = (0u64, Vec::new());
    for coin in coins.into_iter().take(INPUTS_MAX) {
        let enough = total.checked_add(fee_for(chosen.len())).is_some_and(|needed| sum >= needed);
        if enough && !chosen.is_empty() {
            break;
        }
        sum = sum.saturating_add(coin.amount);
        chosen.push(coin);
    }
    let mut fee = fee_for(chosen.len());
    if fee > fee_max {
        return Err(WalletError::Impossible(format!("it would cost {fee}, the limit is {fee_max}")));
    }
    let rest =
        sum.checked_sub(total).and_then(|rest| rest.checked_sub(fee)).ok_or_else(|| short(sum, fee))?;
    let mut outputs = outputs.to_vec();
    if rest >= DUST {
        outputs.push(Output { amount: rest, ..change });
    } else {
        fee += rest;
    }
    let inputs = chosen.iter().map(|coin| Input {
        kind: 0,
        outpoint: coin.outpoint,
        script: Vec::new(),
        sequence: u32::MAX,
        amount: coin.amount,
    });
    let transaction = Transaction { version: 0, inputs: inputs.collect(), outputs, lock_time: 0 };
    Ok(Plan { transaction, fee })
}

/// Joins the smallest coins into one; `None` when that would leave nothing worth having.
fn join(mut coins: Vec<Unspent>, own: &Address, rate: u64, fee_max: u64, input_bytes: u64) -> Option<Plan> {
    coins.sort_unstable_by(|a, b| a.amount.cmp(&b.amount).then_with(|| a.outpoint.cmp(&b.outpoint)));
    coins.truncate(INPUTS_MAX);
    let sum = coins.iter().map(|coin| coin.amount).fold(0, u64::saturating_add);
    let size = FRAME_BYTES + 12 + Output::to(own, 0).script.len() as u64 + coins.len() as u64 * input_bytes;
    let fee = (size * rate).div_ceil(1_000);
    let amount = sum.checked_sub(fee).filter(|amount| *amount >= DUST && fee <= fee_max)?;
    let inputs = coins.iter().map(|coin| Input {
        kind: 0,
        outpoint: coin.outpoint,
        script: Vec::new(),
        sequence: u32::MAX,
        amount: coin.amount,
    });
    let outputs = vec![Output::to(own, amount)];
    Some(Plan {
        transaction: Transaction { version: 0, inputs: inputs.collect(), outputs, lock_time: 0 },
        fee,
    })
}

impl NexaWallet {
    /// The wallet of the node at `endpoint` (host and port or URL, with a name and password unless the node client's
    /// own fit), on the network and for the pay address of `node`.
    ///
    /// # Errors
    /// [`WalletError::Impossible`] for an endpoint that is no address.
    pub fn new(endpoint: &str, node: &NexaNode, rules: WalletRules) -> Result<Self, WalletError> {
        let rpc = Rpc::new(endpoint, &node.http_rules())
            .map_err(|error| WalletError::Impossible(error.to_string()))?;
        Ok(Self { rpc, network: node.network(), address: node.pay_to().clone(), rules })
    }

    /// Where change goes: the pool's address.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Coins that may be spent now and that no transaction in flight spends.
    async fn free_coins(&self, in_flight: &[SignedTx]) -> Result<Vec<Unspent>, WalletError> {
        let taken: HashSet<[u8; 32]> =
            in_flight.iter().flat_map(|tx| &tx.spends).filter_map(|text| from_display(text)).collect();
        let mut coins = self.rpc.unspent(self.rules.coin_age).await.map_err(node_error)?;
        let mut names = HashSet::new();
        if !coins.iter().all(|coin| names.insert(coin.outpoint)) {
            return Err(NodeError::Garbage("a coin that is listed twice".into()).into());
        }
        coins.retain(|coin| coin.spendable && coin.amount > 0 && !taken.contains(&coin.outpoint));
        Ok(coins)
    }

    /// Satoshis for 1000 bytes: what to pay, and the least that is passed on.
    async fn fee_rates(&self) -> Result<(u64, u64), WalletError> {
        let relay = self.rpc.relay_fee().await.map_err(node_error)?;
        let WalletRules { fee_rate_min, fee_rate_max, .. } = self.rules;
        if relay > fee_rate_max {
            let words = format!("the node passes on nothing below {relay}, the limit is {fee_rate_max}");
            return Err(NodeError::Garbage(words).into());
        }
        Ok((relay.max(fee_rate_min).min(fee_rate_max), relay))
    }

    /// Has the plan's inputs signed, and builds it anew while its bytes are more than its fee covers.
    async fn sign_plan(
        &self,
        relay: u64,
        plan: impl Fn(u64) -> Result<Plan, WalletError>,
    ) -> Result<SignedTx, WalletError> {
        let mut input_bytes = INPUT_BYTES;
        for _ in 0..SIZE_TRIES {
            let Plan { transaction, fee } = plan(input_bytes)?;
            let idem = transaction.idem();
            let answer = match self.rpc.sign_transaction(&transaction.to_bytes()).await {
                Ok(answer) => answer,
                // An operator unlocks it; until then the batch waits.
                Err(error) if error.code() == Some(code::WALLET_LOCKED) => {
                    return Err(NodeError::Unreachable("the node's wallet is locked".into()).into());
                }
                Err(error) => return Err(node_error(error).into()),
            };
            if !answer.complete {
                // Most likely a coin was spent since it was listed.
                return Err(
                    NodeError::Garbage(format!("not every input was signed: {}", answer.errors)).into()
                );
            }
            let signed = Transaction::parse(&answer.raw)
                .map_err(|error| NodeError::Garbage(format!("a signed transaction that {error}")))?;
            if signed.idem() != idem {
                let words = "the node signed another transaction than it was given";
                return Err(NodeError::Garbage(words.into()).into());
            }
            let size = answer.raw.len() as u64;
            if fee >= (size * relay).div_ceil(1_000) {
                return Ok(SignedTx {
                    id: TxId::new(reversed(idem)),
                    raw: answer.raw,
                    fee: Amount::new(u128::from(fee)),
                    spends: transaction.inputs.iter().map(|input| display(input.outpoint)).collect(),
                });
            }
            input_bytes = (size / transaction.inputs.len().max(1) as u64).max(input_bytes + 1) + 8;
        }
        Err(WalletError::Impossible("the transaction grows faster than its fee".into()))
    }

    fn idem(tx: &SignedTx) -> [u8; 32] {
        reversed(*tx.id.bytes())
    }

    /// Whether the wallet's node knows the transaction and no other took its place.
    async fn is_known(&self, tx: &SignedTx) -> Result<bool, WalletError> {
        let known = self.rpc.wallet_transaction(Self::idem(tx)).await.map_err(node_error)?;
        Ok(known.is_some_and(|known| known.confirmations >= 0))
    }

    /// The deepest transaction of the wallet, not `tx` itself, that spends one of its coins.
    async fn spender(
        &self,
        tx: &SignedTx,
        conflicts: &[[u8; 32]],
    ) -> Result<Option<([u8; 32], i64)>, WalletError> {
        let coins: HashSet<[u8; 32]> = tx.spends.iter().filter_map(|text| from_display(text)).collect();
        let mut suspects = conflicts.to_vec();
        suspects.extend(self.rpc.sent(SENT_MAX).await.map_err(node_error)?);
        let mut deepest: Option<([u8; 32], i64)> = None;
        for idem in suspects {
            if idem == Self::idem(tx) {
                continue;
            }
            let Some(other) = self.rpc.wallet_transaction(idem).await.map_err(node_error)? else { continue };
            let parsed = Transaction::parse(&other.raw)
                .map_err(|error| NodeError::Garbage(format!("a transaction that {error}")))?;
            let spends = parsed.idem() == idem
                && parsed.inputs.iter().any(|input| input.kind == 0 && coins.contains(&input.outpoint));
            if spends && deepest.is_none_or(|(_, confirmations)| confirmations < other.confirmations) {
                deepest = Some((idem, other.confirmations));
            }
        }
        Ok(deepest)
    }
}

#[async_trait::async_trait]
impl Wallet for NexaWallet {
    async fn sign(&self, batch: &PayoutBatch, in_flight: &[SignedTx]) -> Result<SignedTx, WalletError> {
        let impossible = |why: String| WalletError::Impossible(why);
        let mut outputs = Vec::with_capacity(batch.items.len());
        for item in &batch.items {
            let address = Address::parse(item.miner.as_str(), self.network)
                .map_err(|error| impossible(format!("{}: {error}", item.miner)))?;
            let amount = u64::try_from(item.amount.get())
                .map_err(|_| impossible(format!("{} is more than there can be", item.amount)))?;
            if amount < DUST {
                return Err(impossible(format!("{} is paid {amount}, less than {DUST}", item.miner)));
            }
            outputs.push(Output::to(&address, amount));
        }
        if outputs.is_empty() || outputs.len() >= TX_PARTS_MAX {
            return Err(impossible(format!("a transaction has no room for {} outputs", outputs.len())));
        }
        if !self.rpc.is_own(&self.address).await.map_err(node_error)? {
            return Err(impossible(format!("{} does not hold the key of {}", self.rpc.name(), self.address)));
        }
        let (rate, relay) = self.fee_rates().await?;
        let coins = self.free_coins(in_flight).await?;
        self.sign_plan(relay, |input_bytes| {
            pay(coins.clone(), &outputs, &self.address, rate, self.rules.fee_max, input_bytes)
        })
        .await
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<(), WalletError> {
        let error = match self.rpc.send_transaction(&tx.raw).await {
            Ok(idem) if idem == Self::idem(tx) => return Ok(()),
            Ok(_) => return Err(NodeError::Garbage("the node sent another transaction".into()).into()),
            Err(error) => error,
        };
        match &error {
            RpcError::Answered { code: code::ON_CHAIN, .. } => Ok(()),
            RpcError::Answered { code: code::TRANSACTION_ERROR | code::TRANSACTION_REFUSED, message } => {
                // One that was taken before looks like one whose coins are missing.
                if self.is_known(tx).await? {
                    return Ok(());
                }
                let words = message.to_ascii_lowercase();
                // No verdict on the transaction itself: later it may be welcome.
                if ["full", "fee", "premature"].iter().any(|reason| words.contains(reason)) {
                    return Err(NodeError::Unreachable(words.into()).into());
                }
                Err(WalletError::Refused(error.to_string()))
            }
            RpcError::Answered { code: code::NO_TRANSACTION, .. } => {
                Err(WalletError::Refused(error.to_string()))
            }
            // The answer may be all that was lost.
            _ if error.is_transient() && matches!(self.is_known(tx).await, Ok(true)) => Ok(()),
            _ => Err(node_error(error).into()),
        }
    }

    async fn fate(&self, tx: &SignedTx) -> Result<TxFate, WalletError> {
        let known = self.rpc.wallet_transaction(Self::idem(tx)).await.map_err(node_error)?;
        if let Some(known) = &known
            && let Ok(confirmations) = u64::try_from(known.confirmations)
        {
            return Ok(if confirmations >= self.rules.settle_depth {
                TxFate::Settled { fee: tx.fee }
            } else {
                TxFate::Pending { confirmations }
            });
        }
        let mut missing = None;
        for coin in &tx.spends {
            let outpoint = from_display(coin)
                .ok_or_else(|| WalletError::Impossible(format!("{coin} is no name of a coin")))?;
            if !self.rpc.is_unspent(outpoint).await.map_err(node_error)? {
                missing = Some(coin);
                break;
            }
        }
        let Some(coin) = missing else { return Ok(TxFate::Unknown) };
        let conflicts = known.map(|known| known.conflicts).unwrap_or_default();
        let depth = i64::try_from(self.rules.settle_depth).unwrap_or(i64::MAX);
        Ok(match self.spender(tx, &conflicts).await? {
            Some((idem, confirmations)) if confirmations >= depth => TxFate::Void {
                detail: format!("{coin} was spent by {} with {confirmations} confirmations", display(idem)),
            },
            Some(_) => TxFate::Pending { confirmations: 0 },
            None => TxFate::Unknown,
        })
    }

    async fn spendable(&self) -> Result<Amount, WalletError> {
        let coins = self.free_coins(&[]).await?;
        Ok(Amount::new(coins.iter().map(|coin| u128::from(coin.amount)).sum()))
    }

    async fn upkeep(&self, in_flight: &[SignedTx]) -> Result<Option<SignedTx>, WalletError> {
        let coins = self.free_coins(in_flight).await?;
        if coins.len() <= self.rules.coins_max {
            return Ok(None);
        }
        let (rate, relay) = self.fee_rates().await?;
        let plan = |input_bytes| join(coins.clone(), &self.address, rate, self.rules.fee_max, input_bytes);
        if plan(INPUT_BYTES).is_none() {
            return Ok(None);
        }
        let worthless = || WalletError::Impossible("joining coins costs more than they are worth".into());
        self.sign_plan(relay, |input_bytes| plan(input_bytes).ok_or_else(worthless)).await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn own() -> Address {
        Address::pay_to_key_template(Network::Regtest, [1; 20])
    }

    fn coins(amounts: &[u64]) -> Vec<Unspent> {
        let coin = |(n, amount): (usize, &u64)| {
            let mut outpoint = [0; 32];
            outpoint[..8].copy_from_slice(&(n as u64).to_le_bytes());
            Unspent { outpoint, amount: *amount, confirmations: 10, spendable: true, script: String::new() }
        };
        amounts.iter().enumerate().map(coin).collect()
    }

    fn outputs(amounts: &[u64]) -> Vec<Output> {
        let to = |n: usize| Address::pay_to_key_template(Network::Regtest, [2 + n as u8; 20]);
        amounts.iter().enumerate().map(|(n, amount)| Output::to(&to(n), *amount)).collect()
    }

    #[test]
    fn few_large_coins_and_the_change_comes_home() {
        let plan =
            pay(coins(&[5_000, 1_000_000, 7_000]), &outputs(&[400_000]), &own(), 1_000, 10_000, 160).unwrap();
        let transaction = plan.transaction;
        assert_eq!(transaction.inputs.len(), 1);
        assert_eq!(transaction.outputs.len(), 2);
        assert_eq!(transaction.outputs[1], Output::to(&own(), 600_000 - plan.fee));
        assert_eq!(transaction.fee(), Some(plan.fee));
        assert!((200..400).contains(&plan.fee), "{}", plan.fee);
    }

    #[test]
    fn too_little_and_too_dear_are_told_apart() {
        let pay =
            |amounts: &[u64], fee_max| pay(coins(amounts), &outputs(&[10_000]), &own(), 1_000, fee_max, 160);
        assert!(matches!(pay(&[10_100], 10_000), Err(WalletError::Short { .. })));
        assert!(matches!(pay(&[], 10_000), Err(WalletError::Short { .. })));
        assert!(matches!(pay(&[20_000], 10), Err(WalletError::Impossible(_))));
        let change = pay(&[10_700], 10_000).unwrap();
        assert_eq!(change.transaction.outputs.len(), 1, "change below dust is part of the fee");
        assert_eq!(change.fee, 700);
    }

    #[test]
    fn the_smallest_coins_are_joined() {
        let plan = join(coins(&[9_000_000, 700, 800, 900]), &own(), 1_000, 100_000, 160).unwrap();
        assert_eq!(plan.transaction.inputs[0].amount, 700);
        assert_eq!(plan.transaction.outputs[0].amount, 9_002_400 - plan.fee);
        assert!(join(coins(&[700, 1]), &own(), 1_000, 100_000, 160).is_none());
    }

    #[test]
    fn limits_are_the_chains() {
        let limits = payout_limits(Amount::ZERO);
        assert_eq!((limits.items_max, limits.amount_min.get()), (250, 546));
        assert_eq!(payout_limits(Amount::new(10_000)).amount_min.get(), 10_000);
        const { assert!(ITEMS_MAX < TX_PARTS_MAX && INPUTS_MAX <= TX_PARTS_MAX) };
    }

    proptest! {
        #[test]
        fn a_plan_conserves_money_and_pays_every_output(
            have in proptest::collection::vec(1u64..1_000_000_000, 0..300),
            want in proptest::collection::vec(546u64..1_000_000, 1..20),
            rate in 1_000u64..20_000,
        ) {
            let outputs = outputs(&want);
            match pay(coins(&have), &outputs, &own(), rate, 1_000_000, 160) {
                Ok(plan) => {
                    prop_assert_eq!(plan.transaction.fee(), Some(plan.fee));
                    prop_assert_eq!(&plan.transaction.outputs[..outputs.len()], &outputs[..]);
                    prop_assert!(plan.transaction.outputs.len() <= outputs.len() + 1);
                    prop_assert!(plan.transaction.outputs.iter().all(|output| output.amount >= DUST));
                    let mut names: Vec<_> = plan.transaction.inputs.iter().map(|input| input.outpoint).collect();
                    names.sort_unstable();
                    names.dedup();
                    prop_assert_eq!(names.len(), plan.transaction.inputs.len());
                    let size = plan.transaction.to_bytes().len() as u64;
                    prop_assert!(plan.fee * 1_000 >= size * rate, "scripts come on top and are guessed at 100 bytes");
                }
                Err(WalletError::Short { spendable, needed }) => prop_assert!(spendable < needed),
                Err(error) => prop_assert!(matches!(error, WalletError::Impossible(_)), "{error}"),
            }
        }
    }
}
