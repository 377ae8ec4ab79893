//! Exact parts per account, rounded by the rules and written as the vectors write them.

use super::number::{Q, exact, q, whole};
use super::{Case, CaseError, Result, number};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};
use serde_json::{Map, Value};

/// How the operator is written. He comes last in every order.
pub(super) const OPERATOR: &str = "~operator";

/// Exact numbers by account.
pub(super) type Exact = BTreeMap<String, Q>;
/// Whole numbers by account.
pub(super) type Whole = BTreeMap<String, BigInt>;

pub(super) fn sum(parts: &Exact) -> Q {
    parts.values().sum()
}

pub(super) fn exact_map(parts: &Exact) -> Value {
    Value::Object(parts.iter().map(|(account, part)| (account.clone(), exact(part))).collect())
}

pub(super) fn whole_map(parts: &Whole) -> Value {
    Value::Object(parts.iter().map(|(account, part)| (account.clone(), whole(part))).collect())
}

/// Each account's part of `total` by weight.
///
/// # Errors
/// [`CaseError::EmptyRound`] when nobody has any weight.
pub(super) fn proportional(total: &Q, weights: &Exact, place: &str) -> Result<Exact> {
    let all = sum(weights);
    if all.is_zero() {
        return Err(CaseError::EmptyRound(place.into()));
    }
    Ok(weights.iter().map(|(account, weight)| (account.clone(), total * weight / &all)).collect())
}

/// The order of ties: ids by their bytes, the operator last.
fn in_order(parts: &Exact) -> Vec<(&String, &Q)> {
    let mut list: Vec<_> = parts.iter().collect();
    list.sort_by(|a, b| (a.0 == OPERATOR, a.0).cmp(&(b.0 == OPERATOR, b.0)));
    list
}

pub(super) fn floors(parts: &Exact) -> Whole {
    parts.iter().map(|(account, part)| (account.clone(), part.floor().to_integer())).collect()
}

/// LR1: floors, and what is missing to the sum one by one to the largest remainders.
pub(super) fn largest_remainder(parts: &Exact) -> Whole {
    let mut due = floors(parts);
    let missing = (sum(parts) - q(due.values().sum::<BigInt>())).floor().to_integer();
    let mut order = in_order(parts);
    order.sort_by_key(|(_, part)| core::cmp::Reverse(*part - part.floor()));
    for (account, _) in order.into_iter().take(missing.to_usize().unwrap_or(0)) {
        *due.entry(account.clone()).or_default() += 1;
    }
    due
}

/// CF1: differences of the floors of the running sum.
pub(super) fn cumulative_floor(parts: &Exact) -> Whole {
    let (mut running, mut paid) = (Q::zero(), BigInt::zero());
    in_order(parts)
        .into_iter()
        .map(|(account, part)| {
            running += part;
            let upto = running.floor().to_integer();
            let due = &upto - &paid;
            paid = upto;
            (account.clone(), due)
        })
        .collect()
}

/// `floor(amount × points / 10000)`.
pub(super) fn bps(amount: &BigInt, points: &BigInt) -> BigInt {
    amount * points / 10_000
}

/// A block's value after fee and bonus, as the inputs `fee_bps` and `finder_bonus_bps` say.
pub(super) struct Net {
    pub(super) fee: BigInt,
    pub(super) bonus: BigInt,
    pub(super) net: BigInt,
}

impl Net {
    pub(super) fn of(case: &Case<'_>, reward: &BigInt) -> Result<Self> {
        let points = |key: &str| match case.inputs.get(key) {
            Some(value) if !value.is_object() => number::basis_points(value, &alloc::format!("inputs.{key}")),
            _ => Ok(BigInt::zero()),
        };
        let fee = bps(reward, &points("fee_bps")?);
        let left = reward - &fee;
        let bonus = bps(&left, &points("finder_bonus_bps")?);
        Ok(Self { net: left - &bonus, fee, bonus })
    }
}

/// The answer for one block whose net value is split by weights: `weights`, `exact`, `alloc`, and `steps` and `split`
/// where a fee or a bonus came off first.
///
/// `operator` is the operator's own weight, out of the same total.
pub(super) fn block_answer(
    case: &Case<'_>,
    reward: &BigInt,
    finder: &str,
    weights: &Exact,
    operator: &Q,
    place: &str,
) -> Result<Map<String, Value>> {
    let net = Net::of(case, reward)?;
    let mut all = weights.clone();
    if operator.is_positive() {
        all.insert(OPERATOR.into(), operator.clone());
    }
    let parts = proportional(&q(net.net.clone()), &all, place)?;
    let split = largest_remainder(&parts);
    let mut alloc = split.clone();
    let mut answer = Map::new();
    answer.insert("weights".into(), exact_map(weights));
    answer.insert("exact".into(), exact_map(&parts));
    if net.fee.is_positive() || net.bonus.is_positive() {
        *alloc.entry(finder.into()).or_default() += &net.bonus;
        if net.fee.is_positive() {
            *alloc.entry(OPERATOR.into()).or_default() += &net.fee;
        }
        let steps = [("fee", &net.fee), ("finder_bonus", &net.bonus), ("net", &net.net)];
        answer.insert(
            "steps".into(),
            Value::Object(steps.map(|(key, amount)| (key.into(), whole(amount))).into_iter().collect()),
        );
        answer.insert("split".into(), whole_map(&split));
    }
    answer.insert("alloc".into(), whole_map(&alloc));
    Ok(answer)
}
