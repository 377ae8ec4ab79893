//! The kernel: one amount, many weights, whole units out, nothing made and nothing lost.
//!
//! Every scheme ends here. [`split`] rounds one amount by itself under one of three rules; [`accrue`] is the fourth,
//! the residual ledger, which remembers each account's fraction of a unit from one amount to the next. Weights are
//! exact integers ([`Units`] or any other scale, only their ratios matter); products go through 256 bits. The
//! operator may be one of the claimants and always comes last, as if his name were `~operator`.
//!
//! | rule | sum | error per account | after many amounts |
//! |---|---|---|---|
//! | [`Rounding::LargestRemainder`] (LR1) | exact | below 1 | dust-size accounts may get nothing for ever |
//! | [`Rounding::CumulativeFloor`] (CF1) | exact | below 1 | neighbours in order of ids share the noise |
//! | [`Rounding::FloorCarry`] (FC1) | rest below `n` carried | below 1 | small accounts lose |
//! | [`Rounding::ResidualLedger`] (RL1) | received = credited + held | below 1 for ever | nobody loses |
//!
//! Rounding half up and "the last one gets the rest" are not offered: the first can pay more than there is, the
//! second gives all dust to one account.

use crate::wide::{Ratio, fraction_bits, mul_div_rem};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use pool_core::units::{Amount, Units};
use serde::{Deserialize, Serialize};

/// How whole units come out of exact quotas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// RL1: each account's entitlement is cumulated; it is credited the floor of the sum less what it got before.
    #[default]
    ResidualLedger,
    /// LR1: floors, then one unit each to the largest remainders; ties by ascending id, the operator last.
    LargestRemainder,
    /// CF1: differences of the floors of the running sum, ids ascending, the operator last.
    CumulativeFloor,
    /// FC1: floors; the rest waits for the next amount.
    FloorCarry,
}

/// Why an amount cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// No weight at all: the whole amount has to wait.
    #[error("all weights are zero")]
    NoWeight,
    /// The weights add up past `2^128 - 1`.
    #[error("weights sum past 2^128")]
    WeightOverflow,
    /// Credits add up past `2^128 - 1`.
    #[error("amounts sum past 2^128")]
    AmountOverflow,
}

/// What became of one amount. `entries` are in ascending order of their keys, each key once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation<K> {
    /// Whole units per account, zeros included.
    pub entries: Vec<(K, Amount)>,
    /// Whole units of the operator's own weight.
    pub operator: Amount,
    /// What waits for the next amount (only [`Rounding::FloorCarry`]).
    pub carry: Amount,
}

impl<K> Allocation<K> {
    /// Everything that was handed out or waits.
    ///
    /// # Errors
    /// [`SplitError::AmountOverflow`] past `2^128 - 1`.
    pub fn total(&self) -> Result<Amount, SplitError> {
        let entries = self.entries.iter().map(|(_, amount)| *amount);
        Amount::checked_sum(entries.chain([self.operator, self.carry])).ok_or(SplitError::AmountOverflow)
    }
}

/// An exact part of an amount: whole units and `2^-64` units, rounded down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quota {
    /// Whole units.
    pub whole: u128,
    /// Parts of a unit in `2^-64`.
    pub fraction: u64,
}

impl Quota {
    /// `amount × weight / total`, rounded down to `2^-64` units; `None` for a zero total or past 128 bits.
    #[must_use]
    pub fn new(amount: Amount, weight: u128, total: u128) -> Option<Self> {
        let (whole, rest) = mul_div_rem(amount.get(), weight, total)?;
        Some(Self { whole, fraction: fraction_bits(rest, total) })
    }

    /// As [`Quota::new`] for one of many weights.
    fn of(ratio: &Ratio, weight: u128) -> Self {
        let (whole, fraction) = ratio.of(weight);
        Self { whole, fraction }
    }

    /// Adds this quota to a residue and returns the whole units that are now due.
    ///
    /// The residue stays below one unit, so whatever was accrued is either credited or in the residue.
    ///
    /// # Errors
    /// [`SplitError::AmountOverflow`] past `2^128 - 1`.
    pub fn accrue(self, residue: &mut u64) -> Result<Amount, SplitError> {
        let (sum, carried) = residue.overflowing_add(self.fraction);
        let due = self.whole.checked_add(u128::from(carried)).ok_or(SplitError::AmountOverflow)?;
        *residue = sum;
        Ok(Amount::new(due))
    }
}

/// Where the residual ledger keeps each account's fraction of a unit, in `2^-64` units.
pub trait Residues<K> {
    /// The account's residue, zero at first.
    fn of(&mut self, key: &K) -> &mut u64;
    /// The operator's residue.
    fn of_operator(&mut self) -> &mut u64;
}

/// Residues in a sorted map, for callers without dense account numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResidueMap<K> {
    accounts: BTreeMap<K, u64>,
    operator: u64,
}

impl<K> Default for ResidueMap<K> {
    fn default() -> Self {
        Self { accounts: BTreeMap::new(), operator: 0 }
    }
}

impl<K: Ord> ResidueMap<K> {
    /// All residues, in `2^-64` units, by ascending key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, u64)> {
        self.accounts.iter().map(|(key, residue)| (key, *residue))
    }
}

impl<K: Ord + Clone> Residues<K> for ResidueMap<K> {
    fn of(&mut self, key: &K) -> &mut u64 {
        self.accounts.entry(key.clone()).or_default()
    }

    fn of_operator(&mut self) -> &mut u64 {
        &mut self.operator
    }
}

/// Sum of all weights and the operator's.
///
/// # Errors
/// [`SplitError::WeightOverflow`] past `2^128 - 1`.
pub fn weight_sum<K>(weights: &[(K, Units)], operator: Units) -> Result<Units, SplitError> {
    weights
        .iter()
        .try_fold(operator, |sum, (_, weight)| sum.checked_add(*weight))
        .ok_or(SplitError::WeightOverflow)
}

/// Weights by ascending key, each key once: an account is rounded as a whole, however its work arrived.
fn merged<K: Ord + Clone>(weights: &[(K, Units)]) -> Result<Vec<(K, Units)>, SplitError> {
    let mut sorted = weights.to_vec();
    if !weights.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        sorted.sort_by(|left, right| left.0.cmp(&right.0));
        let mut unique: Vec<(K, Units)> = Vec::with_capacity(sorted.len());
        for (key, weight) in sorted {
            match unique.last_mut() {
                Some((last, sum)) if *last == key => {
                    *sum = sum.checked_add(weight).ok_or(SplitError::WeightOverflow)?;
                }
                _ => unique.push((key, weight)),
            }
        }
        sorted = unique;
    }
    Ok(sorted)
}

/// Splits one amount by itself. Pure; the order of `weights` does not matter, equal keys are added first.
///
/// Under [`Rounding::ResidualLedger`] this is [`accrue`] on empty residues: floors, and what is held in fractions
/// is the carry.
///
/// # Errors
/// [`SplitError::NoWeight`] when every weight is zero, [`SplitError::WeightOverflow`] past the range.
pub fn split<K: Ord + Clone>(
    weights: &[(K, Units)],
    operator: Units,
    amount: Amount,
    rule: Rounding,
) -> Result<Allocation<K>, SplitError> {
    let weights = merged(weights)?;
    let total = weight_sum(&weights, operator)?.to_bits();
    if total == 0 {
        return Err(SplitError::NoWeight);
    }
    let ratio = Ratio::new(amount.get(), total).ok_or(SplitError::NoWeight)?;
    Ok(match rule {
        Rounding::LargestRemainder => largest_remainder(weights, operator, amount, &ratio),
        Rounding::CumulativeFloor => cumulative_floor(weights, operator, &ratio),
        Rounding::FloorCarry | Rounding::ResidualLedger => floor_carry(weights, operator, amount, &ratio),
    })
}

fn largest_remainder<K: Ord>(
    weights: Vec<(K, Units)>,
    operator: Units,
    amount: Amount,
    ratio: &Ratio,
) -> Allocation<K> {
    let mut left = amount.get();
    // Every claimant in the order of ties, which is the order of ids with the operator last.
    let mut due = Vec::with_capacity(weights.len() + 1);
    let mut rests: Vec<(u128, usize)> = Vec::with_capacity(weights.len() + 1);
    for (place, weight) in weights.iter().map(|(_, weight)| weight).chain([&operator]).enumerate() {
        let (whole, _) = ratio.of(weight.to_bits());
        left -= whole;
        due.push(whole);
        rests.push((ratio.rest(weight.to_bits(), whole), place));
    }
    // The remainders sum to `left × total`, so fewer claimants get a unit than there are non-zero remainders.
    let extra = usize::try_from(left).expect("fewer units are left than there are claimants");
    if extra > 0 {
        let (first, last, _) =
            rests.select_nth_unstable_by(extra - 1, |a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, place) in first.iter().chain([&*last]) {
            due[*place] += 1;
        }
    }
    let operator = due.pop().unwrap_or(0);
    let entries = weights.into_iter().zip(due).map(|((key, _), due)| (key, Amount::new(due))).collect();
    Allocation { entries, operator: Amount::new(operator), carry: Amount::ZERO }
}

fn cumulative_floor<K>(weights: Vec<(K, Units)>, operator: Units, ratio: &Ratio) -> Allocation<K> {
    let (mut sum, mut paid) = (0u128, 0u128);
    let mut next = |weight: Units| {
        sum += weight.to_bits();
        let upto = ratio.of(sum).0;
        let due = upto - paid;
        paid = upto;
        Amount::new(due)
    };
    let entries = weights.into_iter().map(|(key, weight)| (key, next(weight))).collect();
    let operator = next(operator);
    Allocation { entries, operator, carry: Amount::ZERO }
}

fn floor_carry<K>(weights: Vec<(K, Units)>, operator: Units, amount: Amount, ratio: &Ratio) -> Allocation<K> {
    let mut left = amount.get();
    let mut floor = |weight: Units| {
        let whole = ratio.of(weight.to_bits()).0;
        left -= whole;
        Amount::new(whole)
    };
    let entries = weights.into_iter().map(|(key, weight)| (key, floor(weight))).collect();
    let operator = floor(operator);
    Allocation { entries, operator, carry: Amount::new(left) }
}

/// RL1: adds each claimant's exact part of `amount`, `weight / total` of it, to its residue and hands out the whole
/// units that are due. `total` is the sum of all weights, or less where a scheme's weights may pass its budget.
///
/// Parts are rounded down to `2^-64` of a unit before they are added, a fraction nobody can ever be credited with;
/// so an account's credits never exceed its exact entitlement, and after `k` amounts the gap is below `1 + k/2^64`
/// units. The sum of all credits is at most what was received; the rest is held for the residues. Because parts
/// only add up, the order of amounts changes no total.
///
/// Weights may be given in any order; equal keys are served one after the other.
///
/// # Errors
/// [`SplitError::NoWeight`] for a zero `total`, [`SplitError::AmountOverflow`] where a part passes the range;
/// residues are untouched then.
pub fn accrue<K: Clone, R: Residues<K>>(
    weights: &[(K, Units)],
    operator: Units,
    total: Units,
    amount: Amount,
    residues: &mut R,
) -> Result<Allocation<K>, SplitError> {
    let mut entries = Vec::with_capacity(weights.len());
    let each = |key: &K, _, due, _| entries.push((key.clone(), due));
    let operator = accrue_each(weights, operator, total, amount, residues, each)?;
    Ok(Allocation { entries, operator, carry: Amount::ZERO })
}

/// [`accrue`], telling of each claimant as it is served: key, weight, whole units, residue. Returns the operator's units.
///
/// # Errors
/// As [`accrue`]; nobody was told of then.
pub(crate) fn accrue_each<K, R: Residues<K>>(
    weights: &[(K, Units)],
    operator: Units,
    total: Units,
    amount: Amount,
    residues: &mut R,
    mut each: impl FnMut(&K, Units, Amount, u64),
) -> Result<Amount, SplitError> {
    if total == Units::ZERO {
        return Err(SplitError::NoWeight);
    }
    let ratio = Ratio::new(amount.get(), total.to_bits()).ok_or(SplitError::NoWeight)?;
    // Parts grow with their weights: if the largest fits together with a carried unit, all do.
    let largest = weights.iter().map(|(_, weight)| *weight).fold(operator, Units::max);
    if Quota::new(amount, largest.to_bits(), total.to_bits()).is_none_or(|quota| quota.whole == u128::MAX) {
        return Err(SplitError::AmountOverflow);
    }
    let due = |weight: Units, residue: &mut u64| {
        let quota = if weight <= total {
            Quota::of(&ratio, weight.to_bits())
        } else {
            Quota::new(amount, weight.to_bits(), total.to_bits()).expect("no part is larger than the largest")
        };
        quota.accrue(residue).expect("the largest part leaves room for one unit")
    };
    for (key, weight) in weights {
        let residue = residues.of(key);
        let whole = due(*weight, residue);
        each(key, *weight, whole, *residue);
    }
    Ok(due(operator, residues.of_operator()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use num_bigint::BigUint;
    use proptest::prelude::*;

    fn weights(list: &[(&'static str, u128)]) -> Vec<(&'static str, Units)> {
        list.iter().map(|(key, weight)| (*key, Units::from_bits(*weight))).collect()
    }

    fn amounts(allocation: &Allocation<&'static str>) -> Vec<u128> {
        allocation.entries.iter().map(|(_, amount)| amount.get()).collect()
    }

    #[test]
    fn the_four_rules_on_one_hundred_in_three() {
        let three = weights(&[("a", 1), ("b", 1), ("c", 1)]);
        let by = |rule| split(&three, Units::ZERO, Amount::new(100), rule).unwrap();
        assert_eq!(amounts(&by(Rounding::LargestRemainder)), [34, 33, 33]);
        assert_eq!(amounts(&by(Rounding::CumulativeFloor)), [33, 33, 34]);
        assert_eq!(amounts(&by(Rounding::FloorCarry)), [33, 33, 33]);
        assert_eq!(by(Rounding::FloorCarry).carry, Amount::new(1));
        let mut residues = ResidueMap::default();
        let mut sums = [0; 3];
        for _ in 0..3 {
            let credits =
                accrue(&three, Units::ZERO, Units::from_bits(3), Amount::new(100), &mut residues).unwrap();
            for (sum, amount) in sums.iter_mut().zip(amounts(&credits)) {
                *sum += amount;
            }
        }
        // 2^-64 of a unit is missing to the hundredth unit each, for ever: never over.
        assert_eq!(sums, [99, 99, 99]);
        let kept: Vec<_> = residues.iter().map(|(key, residue)| (*key, residue)).collect();
        assert_eq!(kept, [("a", u64::MAX), ("b", u64::MAX), ("c", u64::MAX)]);
    }

    #[test]
    fn the_operators_fractions_are_kept_like_everyone_elses() {
        let half = weights(&[("a", 1)]);
        let mut residues = ResidueMap::default();
        let mut of = |amount| {
            let due =
                accrue(&half, Units::from_bits(1), Units::from_bits(2), Amount::new(amount), &mut residues);
            let due = due.unwrap();
            (amounts(&due)[0], due.operator.get())
        };
        // Halves are exact in 2^-64: whoever waits once is paid the next time, the operator too.
        assert_eq!([of(3), of(3), of(2), of(1), of(1)], [(1, 1), (2, 2), (1, 1), (0, 0), (1, 1)]);
    }

    #[test]
    fn parts_of_a_budget_that_weights_pass_are_not_cut() {
        // Hop-exact weights may sum past their window, and one account may hold more than all of it.
        let list = weights(&[("a", 3), ("b", 1)]);
        let mut residues = ResidueMap::default();
        let due = accrue(&list, Units::ZERO, Units::from_bits(2), Amount::new(10), &mut residues).unwrap();
        assert_eq!(amounts(&due), [15, 5]);
        let most = Amount::new(u128::MAX);
        let over = accrue(&list, Units::ZERO, Units::from_bits(2), most, &mut residues);
        assert_eq!(over, Err(SplitError::AmountOverflow));
        let none = accrue(&list, Units::ZERO, Units::ZERO, most, &mut residues);
        assert_eq!(none, Err(SplitError::NoWeight));
    }

    #[test]
    fn ties_go_to_the_smallest_id_and_the_operator_comes_last() {
        let four = weights(&[("b", 1), ("a", 1), ("c", 1)]);
        let allocation =
            split(&four, Units::from_bits(1), Amount::new(2), Rounding::LargestRemainder).unwrap();
        assert_eq!(
            allocation.entries,
            vec![("a", Amount::new(1)), ("b", Amount::new(1)), ("c", Amount::ZERO)]
        );
        assert_eq!(allocation.operator, Amount::ZERO);
    }

    #[test]
    fn one_more_unit_of_reward_may_take_one_from_a_miner() {
        let list = weights(&[("a", 1), ("b", 3), ("c", 3)]);
        let of = |reward| {
            amounts(&split(&list, Units::ZERO, Amount::new(reward), Rounding::LargestRemainder).unwrap())
        };
        assert_eq!((of(3), of(4)), (vec![1, 1, 1], vec![0, 2, 2]));
    }

    #[test]
    fn a_dust_size_miner_is_paid_in_the_end() {
        let list = weights(&[("big", 999_999_999), ("dust", 1)]);
        let mut residues = ResidueMap::default();
        let (mut credited, reward) = (0, 440_000_000u128);
        for _ in 0..1_000 {
            let credits = accrue(
                &list,
                Units::ZERO,
                Units::from_bits(1_000_000_000),
                Amount::new(reward),
                &mut residues,
            )
            .unwrap();
            credited += credits.entries[1].1.get();
        }
        assert_eq!(credited, 439, "440 less the one 2^-64 short of it");
        for rule in [Rounding::LargestRemainder, Rounding::FloorCarry] {
            assert_eq!(
                split(&list, Units::ZERO, Amount::new(reward), rule).unwrap().entries[1].1,
                Amount::ZERO
            );
        }
    }

    #[test]
    fn nothing_to_weigh_is_an_error_and_one_account_gets_all() {
        for rule in [Rounding::LargestRemainder, Rounding::CumulativeFloor, Rounding::FloorCarry] {
            let none = split::<&str>(&[], Units::ZERO, Amount::new(5), rule);
            assert_eq!(none, Err(SplitError::NoWeight));
            let zeros = split(&weights(&[("a", 0)]), Units::ZERO, Amount::new(5), rule);
            assert_eq!(zeros, Err(SplitError::NoWeight));
            let one =
                split(&weights(&[("a", u128::MAX)]), Units::ZERO, Amount::new(u128::MAX), rule).unwrap();
            assert_eq!(one.entries[0].1, Amount::new(u128::MAX));
            let two = weights(&[("a", u128::MAX), ("b", 1)]);
            assert_eq!(split(&two, Units::ZERO, Amount::new(1), rule), Err(SplitError::WeightOverflow));
        }
    }

    prop_compose! {
        fn lists()(list in proptest::collection::vec((0u8..40, 0..=u128::MAX >> 7), 1..60)) -> Vec<(u8, Units)> {
            list.into_iter().map(|(key, weight)| (key, Units::from_bits(weight))).collect()
        }
    }

    fn rules() -> impl Strategy<Value = Rounding> {
        prop_oneof![
            Just(Rounding::LargestRemainder),
            Just(Rounding::CumulativeFloor),
            Just(Rounding::FloorCarry)
        ]
    }

    proptest! {
        #[test]
        fn split_conserves_and_keeps_the_quota(
            list in lists(), operator: u64, amount: u128, rule in rules(), rotate in 0usize..60
        ) {
            let operator = Units::from_bits(u128::from(operator));
            prop_assume!(list.iter().any(|(_, weight)| *weight != Units::ZERO));
            let allocation = split(&list, operator, Amount::new(amount), rule).unwrap();
            prop_assert_eq!(allocation.total(), Ok(Amount::new(amount)));
            let merged = merged(&list).unwrap();
            prop_assert_eq!(merged.len(), allocation.entries.len());
            let total = BigUint::from(weight_sum(&merged, operator).unwrap().to_bits());
            for ((_, weight), (_, paid)) in merged.iter().zip(&allocation.entries) {
                let exact = BigUint::from(amount) * weight.to_bits();
                let paid = BigUint::from(paid.get()) * &total;
                let gap = if paid > exact { paid - exact } else { exact - paid };
                prop_assert!(gap < total);
            }
            let mut rotated = list.clone();
            rotated.rotate_left(rotate % list.len());
            prop_assert_eq!(split(&rotated, operator, Amount::new(amount), rule).unwrap(), allocation);
        }

        #[test]
        fn the_residual_ledger_never_credits_more_than_it_received_nor_lags_a_unit(
            blocks in proptest::collection::vec((lists(), any::<u64>()), 1..12)
        ) {
            let mut residues = ResidueMap::default();
            let mut exact = BTreeMap::<u8, (BigUint, u128)>::new();
            let scale = 200usize;
            let (mut received, mut credited) = (0u128, 0u128);
            for (list, amount) in &blocks {
                let list = merged(list).unwrap();
                let sum = weight_sum(&list, Units::ZERO).unwrap();
                let pot = Amount::new(u128::from(*amount));
                let Ok(allocation) = accrue(&list, Units::ZERO, sum, pot, &mut residues) else { continue };
                received += u128::from(*amount);
                let total = sum.to_bits();
                for ((key, weight), (_, paid)) in list.iter().zip(&allocation.entries) {
                    let slot = exact.entry(*key).or_default();
                    slot.0 += ((BigUint::from(*amount) * weight.to_bits()) << scale) / total;
                    slot.1 += paid.get();
                    credited += paid.get();
                }
            }
            prop_assert!(credited <= received);
            prop_assert!(received - credited <= exact.len() as u128);
            for (entitled, paid) in exact.values() {
                let paid = BigUint::from(*paid) << scale;
                let slack = BigUint::from(blocks.len()) << (scale - 64);
                prop_assert!(paid <= entitled + BigUint::from(blocks.len()));
                prop_assert!(entitled - (&paid).min(entitled) < (BigUint::from(1u8) << scale) + slack);
            }
        }

        #[test]
        fn one_account_in_k_pieces_changes_little(amount: u128, own in 2..=u64::MAX, other: u64, pieces in 2u128..10) {
            let whole = [("a", Units::from_bits(own.into())), ("z", Units::from_bits(other.into()))];
            let keys = ["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9"];
            let each = u128::from(own) / pieces;
            let mut parts: Vec<(&str, Units)> =
                keys.iter().take(pieces as usize).map(|key| (*key, Units::from_bits(each))).collect();
            parts[0].1 = Units::from_bits(u128::from(own) - each * (pieces - 1));
            parts.push(("z", Units::from_bits(other.into())));
            let of = |list: &[(&'static str, Units)]| {
                let allocation = split(list, Units::ZERO, Amount::new(amount), Rounding::LargestRemainder).unwrap();
                let (mine, theirs): (Vec<_>, Vec<_>) =
                    allocation.entries.into_iter().partition(|(key, _)| key.starts_with('a'));
                let sum = |list: Vec<(&str, Amount)>| list.iter().map(|(_, amount)| amount.get()).sum::<u128>();
                (sum(mine), sum(theirs))
            };
            let (once, split_up) = (of(&whole), of(&parts));
            prop_assert!(once.0.abs_diff(split_up.0) <= pieces);
            // What the pieces won or lost is what the other lost or won.
            prop_assert_eq!(once.0 + once.1, split_up.0 + split_up.1);
        }
    }
}
