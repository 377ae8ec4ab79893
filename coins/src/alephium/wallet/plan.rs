//! Which coins a payment spends and what it leaves: pure, and the same for the same coins.
//!
//! A transaction spends coins of one group and pays, beside its own change, addresses of one group. So a payment is up
//! to four transactions per paying group, and money that lies in several groups is spent from the fullest first; a
//! sum that no single group holds is paid in two parts. Gas is reckoned as the official pool does, and all of it is paid.
//! A change below the least amount cannot exist: then one more coin is taken. Source: alephium/mining-pool (the
//! estimate), alephium/alephium, `protocol/…/model/package.scala` (the limits).

use super::super::address::{Address, PayTo};
use super::super::chain::{GROUPS, Group};
use super::super::params::{DUST, GAS_MIN};
use super::super::tx::{Input, Output, OutputRef, Unlock, UnsignedTx};
use pool_core::coin::WalletError;
use pool_core::units::Amount;

/// The most coins one transaction spends: nodes take 256.
const INPUTS_MAX: usize = 250;
/// The most outputs of one transaction, its change among them.
pub(super) const OUTPUTS_MAX: usize = 100;

/// A coin that can be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coin {
    pub(super) name: OutputRef,
    pub(super) amount: u128,
}

/// What a payment costs and whose money it is.
#[derive(Clone, Debug)]
pub(super) struct Terms<'a> {
    pub(super) network: u8,
    pub(super) gas_price: u128,
    /// The most gas of one transaction.
    pub(super) gas_max: u32,
    /// The most that all transactions of a batch may cost together.
    pub(super) fee_max: u128,
    pub(super) own: &'a PayTo,
    /// Public keys by group.
    pub(super) keys: [[u8; 33]; GROUPS],
}

/// A transaction with the group whose key signs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) from: Group,
    pub(super) unsigned: UnsignedTx,
}

fn impossible<T>(why: impl Into<String>) -> Result<T, WalletError> {
    Err(WalletError::Impossible(why.into()))
}

impl Terms<'_> {
    /// Gas of so many inputs and outputs.
    fn gas(inputs: usize, outputs: usize) -> u32 {
        let gas = 1_000 + 2_060 + 2_000 * inputs + 4_500 * outputs;
        u32::try_from(gas).unwrap_or(u32::MAX).max(GAS_MIN)
    }

    fn fee(&self, inputs: usize, outputs: usize) -> u128 {
        u128::from(Self::gas(inputs, outputs)).saturating_mul(self.gas_price)
    }

    /// How many coins fit beside so many outputs.
    fn inputs_max(&self, outputs: usize) -> usize {
        let left = (self.gas_max as usize).saturating_sub(3_060 + 4_500 * outputs);
        (left / 2_000).min(INPUTS_MAX)
    }

    fn transaction(&self, from: Group, coins: &[Coin], outputs: Vec<(Address, u128)>) -> Planned {
        let key = self.keys[from.place()];
        let input = |(place, coin): (usize, &Coin)| Input {
            coin: coin.name,
            unlock: if place == 0 { Unlock::Key(key) } else { Unlock::AsBefore },
        };
        let output = |(to, amount)| Output { amount, to, lock_time: 0, data: Vec::new() };
        let gas = Self::gas(coins.len(), outputs.len());
        let unsigned = UnsignedTx {
            network: self.network,
            gas,
            gas_price: self.gas_price,
            inputs: coins.iter().enumerate().map(input).collect(),
            outputs: outputs.into_iter().map(output).collect(),
        };
        Planned { from, unsigned }
    }
}

/// Pays `outputs` out of the coins of each group.
///
/// # Errors
/// `Impossible` when no coins could ever pay this, `Short` when these cannot.
pub(super) fn pay(
    mut purses: [Vec<Coin>; GROUPS],
    outputs: &[(Address, u128)],
    terms: &Terms<'_>,
) -> Result<Vec<Planned>, WalletError> {
    if outputs.is_empty() {
        return impossible("it has no outputs");
    }
    if let Some((to, amount)) = outputs.iter().find(|(_, amount)| *amount < DUST) {
        return impossible(format!("{amount} to {to} is below the least amount of an output ({DUST})"));
    }
    let needed = outputs.iter().try_fold(0u128, |sum, (_, amount)| sum.checked_add(*amount));
    let Some(needed) = needed else { return impossible("its sum passes 2^128") };
    let held = |purses: &[Vec<Coin>; GROUPS]| -> u128 {
        purses.iter().flatten().fold(0, |sum, coin| sum.saturating_add(coin.amount))
    };
    let spendable = held(&purses);
    for purse in &mut purses {
        // Largest first; equal ones by name, so that the order is total.
        purse.sort_unstable_by(|a, b| b.amount.cmp(&a.amount).then_with(|| a.name.cmp(&b.name)));
    }
    let mut planned = Vec::new();
    for to in Group::ALL {
        let mut queue: Vec<(Address, u128)> =
            outputs.iter().filter(|(address, _)| address.group() == to).cloned().collect();
        queue.reverse();
        // Groups that have nothing more to give towards this one.
        let mut empty = [false; GROUPS];
        while !queue.is_empty() {
            let total = |group: &Group| -> u128 {
                purses[group.place()]
                    .iter()
                    .take(INPUTS_MAX)
                    .fold(0, |sum, coin| sum.saturating_add(coin.amount))
            };
            let fullest = Group::ALL
                .into_iter()
                .filter(|group| !empty[group.place()])
                .max_by_key(|group| (total(group), std::cmp::Reverse(group.get())));
            let Some(from) = fullest else {
                let fee = terms.fee(1, outputs.len() + 1).saturating_mul(planned.len().max(1) as u128);
                return Err(WalletError::Short {
                    spendable: Amount::new(spendable),
                    needed: Amount::new(needed.saturating_add(fee)),
                });
            };
            match fill(from, &mut purses[from.place()], &mut queue, terms) {
                Some(transaction) => planned.push(transaction),
                None => empty[from.place()] = true,
            }
        }
    }
    let fees = planned.iter().filter_map(|plan| plan.unsigned.fee()).fold(0u128, u128::saturating_add);
    if fees > terms.fee_max {
        return impossible(format!("its fees of {fees} are above the limit of {}", terms.fee_max));
    }
    Ok(planned)
}

/// One transaction from one group that pays as much of the queue's end as it can; what it paid leaves the queue, and
/// what it spent the purse. `None` when it can pay nothing.
fn fill(
    from: Group,
    purse: &mut Vec<Coin>,
    queue: &mut Vec<(Address, u128)>,
    terms: &Terms<'_>,
) -> Option<Planned> {
    let own = terms.own.of(from);
    let count = queue.len().min(OUTPUTS_MAX - 1);
    let wanted: Vec<(Address, u128)> = queue.iter().rev().take(count).cloned().collect();
    let total = wanted.iter().fold(0u128, |sum, (_, amount)| sum.saturating_add(*amount));
    let inputs_max = terms.inputs_max(count + 1).min(purse.len());
    let mut sum = 0u128;
    for taken in 1..=inputs_max {
        sum = sum.saturating_add(purse[taken - 1].amount);
        let exact = total.saturating_add(terms.fee(taken, count));
        let with_change = total.saturating_add(terms.fee(taken, count + 1));
        let change = sum.checked_sub(with_change).filter(|change| *change >= DUST);
        if sum != exact && change.is_none() {
            continue;
        }
        let coins: Vec<Coin> = purse.drain(..taken).collect();
        queue.truncate(queue.len() - count);
        let mut outputs = wanted;
        if sum != exact {
            outputs.extend(change.map(|change| (own.clone(), change)));
        }
        return Some(terms.transaction(from, &coins, outputs));
    }
    // Not enough for all of it: everything there is goes into as many payments as it covers, the last one in part.
    let mut outputs: Vec<(Address, u128)> = Vec::new();
    let mut spent = 0u128;
    for (address, amount) in &wanted {
        let left = sum.checked_sub(spent.saturating_add(terms.fee(inputs_max, outputs.len() + 1)))?;
        if left < DUST {
            break;
        }
        if left >= amount.saturating_add(terms.fee(1, 1)).saturating_add(DUST) {
            outputs.push((address.clone(), *amount));
            spent += amount;
            continue;
        }
        let rest = amount.saturating_sub(left);
        if rest >= DUST {
            outputs.push((address.clone(), left));
            spent += left;
        }
        break;
    }
    let change = sum.checked_sub(spent)?.checked_sub(terms.fee(inputs_max, outputs.len()))?;
    if outputs.is_empty() {
        return None;
    }
    let coins: Vec<Coin> = purse.drain(..inputs_max).collect();
    for (address, amount) in &outputs {
        let (queued, left) = queue.last_mut()?;
        debug_assert_eq!(queued, address, "outputs are paid in the queue's order");
        *left -= amount;
        if *left == 0 {
            queue.pop();
        }
    }
    if change > 0 {
        // With one more output the fee is larger; what was left over covers it.
        let fee = terms.fee(inputs_max, outputs.len() + 1) - terms.fee(inputs_max, outputs.len());
        outputs.push((own.clone(), change.checked_sub(fee)?));
    }
    Some(terms.transaction(from, &coins, outputs))
}

/// Joins a group's smallest coins into one to ourselves. `None` when that would not pay for itself.
pub(super) fn join(from: Group, mut coins: Vec<Coin>, terms: &Terms<'_>) -> Option<Planned> {
    coins.sort_unstable_by(|a, b| a.amount.cmp(&b.amount).then_with(|| a.name.cmp(&b.name)));
    coins.truncate(terms.inputs_max(1));
    let sum = coins.iter().fold(0u128, |sum, coin| sum.saturating_add(coin.amount));
    let fee = terms.fee(coins.len(), 1);
    let joined = sum.checked_sub(fee).filter(|joined| *joined >= DUST)?;
    if coins.len() < 2 || fee > sum / 4 || fee > terms.fee_max {
        return None;
    }
    Some(terms.transaction(from, &coins, vec![(terms.own.of(from).clone(), joined)]))
}

#[cfg(test)]
mod tests {
    use super::super::key::WalletKeys;
    use super::*;
    use crate::alephium::params::{ALPH, GAS_PRICE_MIN};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn keys() -> WalletKeys {
        WalletKeys::from_text(&format!("{}1", "0".repeat(63))).unwrap()
    }

    fn terms(own: &PayTo) -> Terms<'_> {
        Terms {
            network: 4,
            gas_price: GAS_PRICE_MIN,
            gas_max: 625_000,
            fee_max: 10 * ALPH,
            own,
            keys: Group::ALL.map(|group| keys().public(group)),
        }
    }

    fn coin(n: u16, amount: u128) -> Coin {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&n.to_be_bytes());
        Coin { name: OutputRef { hint: 1, key }, amount }
    }

    /// An address of each group, by a number.
    fn address(group: u8, n: u8) -> Address {
        (0..)
            .map(|salt: u8| {
                let mut hash = [n; 32];
                hash[0] = salt;
                Address::of_key_hash(hash)
            })
            .find(|address| address.group().get() == group)
            .unwrap()
    }

    fn check(planned: &[Planned], purses: &[Vec<Coin>; GROUPS], outputs: &[(Address, u128)], own: &PayTo) {
        let mut paid: BTreeMap<String, u128> = BTreeMap::new();
        let mut spent = std::collections::BTreeSet::new();
        for plan in planned {
            let mut sum = 0;
            for input in &plan.unsigned.inputs {
                let coin = purses[plan.from.place()].iter().find(|coin| coin.name == input.coin).unwrap();
                assert!(spent.insert(coin.name), "a coin is spent once");
                sum += coin.amount;
            }
            assert_eq!(sum, plan.unsigned.paid().unwrap() + plan.unsigned.fee().unwrap());
            assert!(plan.unsigned.gas <= 625_000);
            let change = own.of(plan.from);
            let to: std::collections::BTreeSet<u8> = plan
                .unsigned
                .outputs
                .iter()
                .filter(|output| output.to != *change)
                .map(|output| output.to.group().get())
                .collect();
            assert!(to.len() <= 1, "one group is paid");
            for output in &plan.unsigned.outputs {
                assert!(output.amount >= DUST, "{output:?}");
                if output.to != *change {
                    *paid.entry(output.to.to_string()).or_default() += output.amount;
                }
            }
        }
        let mut wanted: BTreeMap<String, u128> = BTreeMap::new();
        for (address, amount) in outputs {
            *wanted.entry(address.to_string()).or_default() += amount;
        }
        assert_eq!(paid, wanted);
    }

    #[test]
    fn recipients_of_several_groups_are_paid_by_a_transaction_each() {
        let own = keys().addresses();
        let purses = [vec![coin(1, 5 * ALPH), coin(2, 5 * ALPH)], vec![], vec![coin(3, ALPH)], vec![]];
        let outputs = [(address(0, 1), ALPH), (address(2, 2), 2 * ALPH), (address(0, 3), ALPH)];
        let planned = pay(purses.clone(), &outputs, &terms(&own)).unwrap();
        assert_eq!(planned.len(), 2);
        check(&planned, &purses, &outputs, &own);
        let mut turned = purses.clone();
        turned[0].reverse();
        assert_eq!(
            pay(turned, &outputs, &terms(&own)).unwrap(),
            planned,
            "the order of coins does not matter"
        );
    }

    #[test]
    fn a_sum_that_no_group_holds_is_paid_in_parts() {
        let own = keys().addresses();
        let purses = [vec![coin(1, 3 * ALPH)], vec![coin(2, 3 * ALPH)], vec![coin(3, 3 * ALPH)], vec![]];
        let outputs = [(address(1, 1), 7 * ALPH)];
        let planned = pay(purses.clone(), &outputs, &terms(&own)).unwrap();
        assert_eq!(planned.len(), 3);
        check(&planned, &purses, &outputs, &own);
    }

    #[test]
    fn not_enough_is_short_and_never_possible_is_impossible() {
        let own = keys().addresses();
        let purses = || [vec![coin(1, ALPH)], vec![], vec![], vec![]];
        let outcome = |outputs: &[(Address, u128)]| pay(purses(), outputs, &terms(&own));
        assert!(matches!(outcome(&[(address(0, 1), ALPH)]), Err(WalletError::Short { .. })));
        assert!(matches!(outcome(&[(address(0, 1), DUST - 1)]), Err(WalletError::Impossible(_))));
        assert!(matches!(outcome(&[]), Err(WalletError::Impossible(_))));
        let mean = Terms { fee_max: 1, ..terms(&own) };
        assert!(matches!(
            pay(purses(), &[(address(0, 1), ALPH / 2)], &mean),
            Err(WalletError::Impossible(_))
        ));
    }

    #[test]
    fn many_coins_join_into_one() {
        let own = keys().addresses();
        let coins: Vec<Coin> = (0..300).map(|n| coin(n, ALPH / 7)).collect();
        let joined = join(Group::ALL[1], coins, &terms(&own)).unwrap();
        assert_eq!((joined.unsigned.inputs.len(), joined.unsigned.outputs.len()), (250, 1));
        assert!(joined.unsigned.fee().unwrap() < ALPH / 10);
        assert!(join(Group::ALL[1], vec![coin(1, DUST), coin(2, DUST)], &terms(&own)).is_none());
        assert!(join(Group::ALL[1], vec![coin(1, ALPH)], &terms(&own)).is_none());
    }

    proptest! {
        #[test]
        fn whatever_is_planned_balances_and_fits(
            amounts in proptest::collection::vec((0..4usize, ALPH / 100..3 * ALPH), 1..80),
            items in proptest::collection::vec((0..4u8, ALPH / 50..4 * ALPH), 1..40),
        ) {
            let own = keys().addresses();
            let mut purses: [Vec<Coin>; GROUPS] = Default::default();
            for (n, (group, amount)) in (0..).zip(amounts) {
                purses[group].push(coin(n, amount));
            }
            let outputs: Vec<_> = (0..).zip(items).map(|(n, (group, amount))| (address(group, n), amount)).collect();
            match pay(purses.clone(), &outputs, &terms(&own)) {
                Ok(planned) => check(&planned, &purses, &outputs, &own),
                Err(WalletError::Short { .. }) => {}
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}
