//! The pool's money on Alephium: a key and an address per group, and the node's index of coins.
//!
//! Transactions are built here, coin by coin, and not by the node: what is signed is what was planned. Because a
//! transaction pays one group out of one group, a batch may need several; they are one [`SignedTx`] whose bytes hold
//! them all. It is settled when all of them are, void when all are, and sent again whole: sending what the network has
//! changes nothing. Should some be settled and another be void, which takes a stranger with the pool's keys, nothing
//! further is said of it but an error, and the operator decides.
//!
//! Void is said only when the chain itself says that a conflicting transaction went before ours, as deep as a
//! settlement; a transaction that nobody knows is merely unknown, however long.

mod key;
mod plan;

use super::address::{Address, PayTo};
use super::chain::{ChainIndex, GROUPS, Group};
use super::codec::{Malformed, Reader, blake2b};
use super::node::AlephiumNode;
use super::params::{ALPH, DUST, GAS_PRICE_MIN};
use super::rest::TxStatus;
use super::tx::{OutputRef, UnsignedTx};
use crate::http::RpcError;
pub use key::{BadKeys, WalletKeys};
use plan::{Coin, Planned, Terms};
use pool_core::coin::{NodeError, PayoutLimits, Wallet, WalletError};
use pool_core::id::TxId;
use pool_core::payout::{PayoutBatch, SignedTx, TxFate};
use pool_core::units::Amount;
use std::collections::HashSet;

/// The first byte of [`SignedTx::raw`].
const RAW_VERSION: u8 = 1;

/// How a wallet behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletRules {
    /// Unit: atto-ALPH a gas; at least the network's 10^11.
    pub gas_price: u128,
    /// The most gas of one transaction. Nodes take 5 000 000.
    pub gas_max: u32,
    /// The most that one batch may cost. Unit: atto-ALPH.
    pub fee_max: u128,
    /// Blocks above a transaction on its own chain before it is settled.
    pub chain_confirmations: u64,
    /// Blocks of its paying and its paid group that must have seen it.
    pub group_confirmations: u64,
    /// Join a group's coins when there are more than this.
    pub coins_max: usize,
}

impl Default for WalletRules {
    /// The official pool's: the least price, 625 000 gas, ten blocks and five per group; one ALPH a batch at most, join
    /// beyond 100 coins.
    fn default() -> Self {
        Self {
            gas_price: GAS_PRICE_MIN,
            gas_max: 625_000,
            fee_max: ALPH,
            chain_confirmations: 10,
            group_confirmations: 5,
            coins_max: 100,
        }
    }
}

/// What one batch can surely carry when no amount in it is below `amount_min`.
///
/// All recipients may be of one group, and all coins small: 40 outputs leave room for some 200 coins of 0.14 ALPH.
#[must_use]
pub fn payout_limits(amount_min: Amount) -> PayoutLimits {
    PayoutLimits { items_max: 40, amount_min: amount_min.max(Amount::new(DUST)) }
}

/// The pool's wallet. Reads and sends through the node it was made with.
#[derive(Debug)]
pub struct AlephiumWallet {
    keys: WalletKeys,
    own: PayTo,
    node: AlephiumNode,
    rules: WalletRules,
}

impl AlephiumWallet {
    /// A wallet over four keys, through the connections of `node`.
    ///
    /// # Errors
    /// [`WalletError::Impossible`] when the node's pay addresses are not these keys': the pool would pay out of
    /// addresses the chain does not pay to.
    pub fn new(keys: WalletKeys, node: &AlephiumNode, rules: WalletRules) -> Result<Self, WalletError> {
        let own = keys.addresses();
        if own != *node.pay_to() {
            return Err(WalletError::Impossible(format!(
                "the keys' addresses are {own}, and the node is told to pay {}",
                node.pay_to()
            )));
        }
        Ok(Self { keys, own, node: node.clone(), rules })
    }

    /// The addresses of some keys, the same on every network.
    #[must_use]
    pub fn addresses_of(keys: &WalletKeys) -> PayTo {
        keys.addresses()
    }

    /// The wallet's addresses.
    #[must_use]
    pub const fn addresses(&self) -> &PayTo {
        &self.own
    }

    fn terms(&self) -> Terms<'_> {
        Terms {
            network: self.node.network().id(),
            gas_price: self.rules.gas_price.max(GAS_PRICE_MIN),
            gas_max: self.rules.gas_max,
            fee_max: self.rules.fee_max,
            own: &self.own,
            keys: Group::ALL.map(|group| self.keys.public(group)),
        }
    }

    /// Coins by group that may be spent now and that no transaction in flight spends.
    async fn free_coins(&self, in_flight: &[SignedTx]) -> Result<[Vec<Coin>; GROUPS], NodeError> {
        let taken: HashSet<&str> = in_flight.iter().flat_map(|tx| &tx.spends).map(String::as_str).collect();
        let mut purses: [Vec<Coin>; GROUPS] = Default::default();
        for group in Group::ALL {
            let purse = self.node.nodes().ask(async |seat| self.coins_of(&seat, group).await).await?;
            let free = purse.into_iter().filter(|coin| !taken.contains(text(&coin.name).as_str()));
            purses[group.place()] = free.collect();
        }
        Ok(purses)
    }

    /// A group's coins that are not locked at the time of its own chain's tip.
    async fn coins_of(
        &self,
        seat: &crate::failover::Seat<std::sync::Arc<super::link::Link>>,
        group: Group,
    ) -> Result<Vec<Coin>, NodeError> {
        let garbage = |why: &str| NodeError::Garbage(why.into());
        let (_, now) = self.node.tip(seat, ChainIndex::new(group, group)).await?;
        let address = self.own.of(group);
        let hint = address.hint();
        let mut coins = Vec::new();
        for entry in seat.peer().rest.utxos(&address.to_string()).await? {
            // The chain's numbers are unsigned, the interface's are not.
            let named =
                u32::try_from(entry.name.hint & 0xffff_ffff).map_err(|_| garbage("a coin without a hint"))?;
            if Some(named) != hint {
                return Err(garbage("a coin that is not this address's"));
            }
            let mut key = [0; 32];
            hex::decode_to_slice(&entry.name.key, &mut key)
                .map_err(|_| garbage("a coin whose name is none"))?;
            if entry.lock_time <= now && entry.tokens.is_empty() {
                coins.push(Coin { name: OutputRef { hint: named, key }, amount: entry.amount.get() });
            }
        }
        Ok(coins)
    }

    fn sign_all(&self, planned: &[Planned]) -> SignedTx {
        let mut raw = vec![RAW_VERSION, planned.len() as u8];
        let mut ids = Vec::with_capacity(planned.len());
        for plan in planned {
            let (bytes, id) = (plan.unsigned.to_bytes(), plan.unsigned.id());
            raw.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            raw.extend_from_slice(&bytes);
            raw.extend_from_slice(&self.keys.sign(plan.from, &id));
            ids.push(id);
        }
        let id = match ids.as_slice() {
            [id] => *id,
            many => blake2b(&[many.as_flattened()]),
        };
        let fee = planned.iter().filter_map(|plan| plan.unsigned.fee()).fold(0u128, u128::saturating_add);
        let inputs = planned.iter().flat_map(|plan| &plan.unsigned.inputs);
        SignedTx {
            id: TxId::new(id),
            raw,
            fee: Amount::new(fee),
            spends: inputs.map(|input| text(&input.coin)).collect(),
        }
    }

    async fn status(&self, id: &[u8; 32]) -> Result<TxStatus, NodeError> {
        let id = hex::encode(id);
        self.node.nodes().ask(async |seat| seat.peer().rest.status(&id).await).await
    }

    async fn send(&self, part: &Part) -> Result<(), WalletError> {
        let (unsigned, signature) = (hex::encode(&part.unsigned), hex::encode(part.signature));
        let sent =
            self.node.nodes().ask(async |seat| seat.peer().rest.submit(&unsigned, &signature).await).await;
        let Err(error) = sent else { return Ok(()) };
        // The answer may be all that was lost, and what the network has it refuses to take again.
        match self.status(&part.id).await {
            Ok(TxStatus::Confirmed { .. } | TxStatus::MemPooled) => return Ok(()),
            Ok(TxStatus::Conflicted { .. } | TxStatus::TxNotFound) | Err(_) => {}
        }
        match error {
            RpcError::Status { status: 400..=499, body } if !error_is_passing(&body) => {
                Err(WalletError::Refused(body))
            }
            RpcError::Status { body, .. } => Err(NodeError::Unreachable(body.into()).into()),
            error => Err(NodeError::from(error).into()),
        }
    }
}

/// Words that say nothing about the transaction itself: later it may be welcome.
fn error_is_passing(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["not synced", "clique", "mempool is full", "busy", "timeout"].iter().any(|reason| words.contains(reason))
}

/// A coin's name as [`SignedTx::spends`] has it.
fn text(coin: &OutputRef) -> String {
    format!("{:08x}:{}", coin.hint, hex::encode(coin.key))
}

/// One transaction of a [`SignedTx`].
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    id: [u8; 32],
    unsigned: Vec<u8>,
    signature: [u8; 64],
}

/// [`SignedTx::raw`], read.
fn parts(tx: &SignedTx) -> Result<Vec<Part>, WalletError> {
    let read = || -> Result<Vec<Part>, Malformed> {
        let mut reader = Reader::new(&tx.raw);
        if reader.u8()? != RAW_VERSION {
            return Err(Malformed("the signed bytes are of an unknown form"));
        }
        let mut parts = Vec::new();
        for _ in 0..reader.u8()? {
            let unsigned = reader.sized()?;
            let id = UnsignedTx::read(unsigned)?.id();
            parts.push(Part { id, unsigned: unsigned.to_vec(), signature: reader.array()? });
        }
        reader.end()?;
        if parts.is_empty() { Err(Malformed("no transaction at all")) } else { Ok(parts) }
    };
    read().map_err(|error| WalletError::Impossible(error.to_string()))
}

/// What became of a whole batch, from what became of its transactions.
fn join_fates(fates: &[TxFate], fee: Amount) -> Result<TxFate, WalletError> {
    let void = fates.iter().find_map(|fate| match fate {
        TxFate::Void { detail } => Some(detail.clone()),
        TxFate::Unknown | TxFate::Pending { .. } | TxFate::Settled { .. } => None,
    });
    if let Some(detail) = void {
        if fates.iter().all(|fate| matches!(fate, TxFate::Void { .. })) {
            return Ok(TxFate::Void { detail });
        }
        return Err(WalletError::Refused(format!(
            "a part of the batch is void and another is not: {detail}"
        )));
    }
    if fates.contains(&TxFate::Unknown) {
        return Ok(TxFate::Unknown);
    }
    let pending = fates.iter().filter_map(|fate| match fate {
        TxFate::Pending { confirmations } => Some(*confirmations),
        TxFate::Unknown | TxFate::Settled { .. } | TxFate::Void { .. } => None,
    });
    Ok(match pending.min() {
        Some(confirmations) => TxFate::Pending { confirmations },
        None => TxFate::Settled { fee },
    })
}

#[async_trait::async_trait]
impl Wallet for AlephiumWallet {
    async fn sign(&self, batch: &PayoutBatch, in_flight: &[SignedTx]) -> Result<SignedTx, WalletError> {
        let mut outputs = Vec::with_capacity(batch.items.len());
        for item in &batch.items {
            let address = Address::parse(item.miner.as_str())
                .map_err(|error| WalletError::Impossible(format!("{}: {error}", item.miner)))?;
            outputs.push((address, item.amount.get()));
        }
        let purses = self.free_coins(in_flight).await?;
        Ok(self.sign_all(&plan::pay(purses, &outputs, &self.terms())?))
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<(), WalletError> {
        let mut first = None;
        for part in parts(tx)? {
            // Each for itself: one that is refused must not keep the others back.
            if let Err(error) = self.send(&part).await {
                first.get_or_insert(error);
            }
        }
        first.map_or(Ok(()), Err)
    }

    async fn fate(&self, tx: &SignedTx) -> Result<TxFate, WalletError> {
        let deep = |chain, from: u64, to: u64| {
            chain >= self.rules.chain_confirmations && from.min(to) >= self.rules.group_confirmations
        };
        let mut fates = Vec::new();
        for part in parts(tx)? {
            fates.push(match self.status(&part.id).await? {
                TxStatus::Confirmed {
                    chain_confirmations: chain,
                    from_group_confirmations,
                    to_group_confirmations,
                    ..
                } => {
                    if deep(chain, from_group_confirmations, to_group_confirmations) {
                        TxFate::Settled { fee: tx.fee }
                    } else {
                        TxFate::Pending { confirmations: chain }
                    }
                }
                TxStatus::Conflicted {
                    block_hash,
                    chain_confirmations: chain,
                    from_group_confirmations,
                    to_group_confirmations,
                } => {
                    if deep(chain, from_group_confirmations, to_group_confirmations) {
                        let id = hex::encode(part.id);
                        TxFate::Void {
                            detail: format!("{id} in block {block_hash} conflicts with one before it"),
                        }
                    } else {
                        TxFate::Pending { confirmations: 0 }
                    }
                }
                TxStatus::MemPooled => TxFate::Pending { confirmations: 0 },
                TxStatus::TxNotFound => TxFate::Unknown,
            });
        }
        join_fates(&fates, tx.fee)
    }

    async fn spendable(&self) -> Result<Amount, WalletError> {
        let purses = self.free_coins(&[]).await?;
        let sum = purses.iter().flatten().fold(0u128, |sum, coin| sum.saturating_add(coin.amount));
        Ok(Amount::new(sum))
    }

    async fn upkeep(&self, in_flight: &[SignedTx]) -> Result<Option<SignedTx>, WalletError> {
        let purses = self.free_coins(in_flight).await?;
        let fullest = Group::ALL.into_iter().max_by_key(|group| purses[group.place()].len());
        let Some(group) = fullest.filter(|group| purses[group.place()].len() > self.rules.coins_max) else {
            return Ok(None);
        };
        let joined = plan::join(group, purses[group.place()].clone(), &self.terms());
        Ok(joined.map(|plan| self.sign_all(&[plan])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_ends_as_its_transactions_do() {
        let fee = Amount::new(5);
        let settled = || TxFate::Settled { fee };
        let pending = |confirmations| TxFate::Pending { confirmations };
        let void = || TxFate::Void { detail: "x".into() };
        let joined = |fates: &[TxFate]| join_fates(fates, fee).map_err(|error| error.to_string());
        assert_eq!(joined(&[settled(), settled()]), Ok(settled()));
        assert_eq!(joined(&[settled(), pending(3), pending(2)]), Ok(pending(2)));
        assert_eq!(joined(&[settled(), TxFate::Unknown, pending(2)]), Ok(TxFate::Unknown));
        assert_eq!(joined(&[void(), void()]), Ok(void()));
        assert!(joined(&[void(), settled()]).unwrap_err().contains("void"));
        assert!(joined(&[void(), TxFate::Unknown]).is_err());
    }

    #[test]
    fn raw_bytes_of_an_unknown_form_are_refused() {
        let tx = |raw: Vec<u8>| SignedTx { id: TxId::new([0; 32]), raw, fee: Amount::ZERO, spends: vec![] };
        for raw in [vec![], vec![2, 1], vec![1, 0], vec![1, 1, 0, 0, 0, 9, 1]] {
            assert!(parts(&tx(raw)).is_err());
        }
    }

    #[test]
    fn limits_are_never_below_dust() {
        assert_eq!(payout_limits(Amount::ZERO).amount_min, Amount::new(DUST));
        assert_eq!(
            payout_limits(Amount::new(ALPH)),
            PayoutLimits { items_max: 40, amount_min: Amount::new(ALPH) }
        );
    }
}
