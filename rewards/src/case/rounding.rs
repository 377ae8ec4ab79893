//! The rounding rules and the order of fees, on weights that are given.

use super::amounts::{
    Exact, OPERATOR, Whole, bps, cumulative_floor, exact_map, floors, largest_remainder, proportional, sum,
    whole_map,
};
use super::number::{self, Q, at, q, whole};
use super::shares::{counts, named_weights, object};
use super::windows::Tiers;
use super::{Case, CaseError, Result};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use num_bigint::BigInt;
use num_traits::{Signed, Zero};
use serde_json::{Map, Value};

/// Fee tiers after the split, floored; referral out of the fee that was taken, floored.
pub(super) fn fees(case: &Case<'_>) -> Result<Map<String, Value>> {
    let weights = counts(case, "weights")?;
    let reward = case.amount("reward")?;
    let tiers = Tiers::read(case)?;
    let part = match case.inputs.get("referral_bps") {
        Some(value) => number::basis_points(value, "inputs.referral_bps")?,
        None => BigInt::zero(),
    };
    let mut referrers = alloc::collections::BTreeMap::new();
    if let Some(value) = case.inputs.get("referrer") {
        for (miner, referrer) in object(value, "inputs.referrer")? {
            let place = format!("inputs.referrer.{miner}");
            let text = referrer.as_str().ok_or(CaseError::Wrong { place, expected: "a text" })?;
            referrers.insert(miner.as_str(), text);
        }
    }
    let exact = proportional(&q(reward), &weights, "inputs.weights")?;
    let gross = largest_remainder(&exact);
    let (mut net, mut referral, mut operator) = (Whole::new(), Whole::new(), BigInt::zero());
    for (miner, amount) in &gross {
        let fee = bps(amount, &tiers.of(miner));
        net.insert(miner.clone(), amount - &fee);
        operator += &fee;
        if let Some(referrer) = referrers.get(miner.as_str()) {
            let share = bps(&fee, &part);
            operator -= &share;
            *referral.entry((*referrer).into()).or_default() += share;
        }
    }
    let mut alloc = net.clone();
    for (referrer, amount) in &referral {
        *alloc.entry(referrer.clone()).or_default() += amount;
    }
    if operator.is_positive() {
        alloc.insert(OPERATOR.into(), operator.clone());
    }
    Ok(Map::from_iter([
        ("exact".to_string(), exact_map(&exact)),
        ("gross".to_string(), whole_map(&gross)),
        ("net".to_string(), whole_map(&net)),
        ("referral".to_string(), whole_map(&referral)),
        ("operator".to_string(), whole(&operator)),
        ("alloc".to_string(), whole_map(&alloc)),
    ]))
}

/// One split under each rule; a list of rewards, or of steps under the residual ledger.
pub(super) fn rules(case: &Case<'_>) -> Result<Map<String, Value>> {
    if case.has("steps") {
        return ledger(case);
    }
    let weights = counts(case, "weights")?;
    if case.has("rewards") {
        let mut list = Vec::new();
        for (index, value) in case.list("rewards")?.iter().enumerate() {
            let reward = number::amount(value, &at("inputs.rewards", index))?;
            let exact = proportional(&q(reward), &weights, "inputs.weights")?;
            list.push(whole_map(&largest_remainder(&exact)));
        }
        return Ok(Map::from_iter([("alloc".to_string(), Value::Array(list))]));
    }
    let reward = case.amount("reward")?;
    let exact = proportional(&q(reward.clone()), &weights, "inputs.weights")?;
    let by_remainder = whole_map(&largest_remainder(&exact));
    let mut floor_carry = floors(&exact);
    let floored = floor_carry.clone();
    let carry = &reward - floored.values().sum::<BigInt>();
    floor_carry.insert("~~carry".into(), carry.clone());
    let mut last_gets_rest = floored;
    if let Some(mut last) = last_gets_rest.last_entry() {
        *last.get_mut() += carry;
    }
    let half = Q::new(1.into(), 2.into());
    let half_up: Vec<BigInt> = exact.values().map(|part| (part + &half).floor().to_integer()).collect();
    let half_up_sum = whole(&half_up.iter().sum());
    Ok(Map::from_iter([
        ("exact".to_string(), exact_map(&exact)),
        ("alloc".to_string(), by_remainder.clone()),
        ("largest_remainder".to_string(), by_remainder),
        ("cumulative_floor".to_string(), whole_map(&cumulative_floor(&exact))),
        ("floor_carry".to_string(), whole_map(&floor_carry)),
        ("last_gets_rest".to_string(), whole_map(&last_gets_rest)),
        ("round_half_up_sum".to_string(), half_up_sum.clone()),
        ("payouts".to_string(), Value::Array(half_up.iter().map(whole).collect())),
        ("sum".to_string(), half_up_sum),
    ]))
}

/// RL1 over several amounts, exact: credits are the floors of what was cumulated less what was credited.
fn ledger(case: &Case<'_>) -> Result<Map<String, Value>> {
    let (mut residues, mut credited, mut held) = (Exact::new(), Whole::new(), Q::zero());
    let mut list = Vec::new();
    for (index, value) in case.list("steps")?.iter().enumerate() {
        let place = at("inputs.steps", index);
        let step = object(value, &place)?;
        let member = |key: &str| step.get(key).ok_or_else(|| CaseError::Missing(format!("{place}.{key}")));
        let weights = named_weights(member("weights")?, &format!("{place}.weights"))?;
        let reward = number::amount(member("reward")?, &format!("{place}.reward"))?;
        let parts = proportional(&q(reward.clone()), &weights, &place)?;
        for (miner, part) in &parts {
            *residues.entry(miner.clone()).or_default() += part;
        }
        held += q(reward);
        let mut credit = Whole::new();
        for (miner, residue) in &mut residues {
            let due = residue.floor();
            *residue -= &due;
            held -= &due;
            credit.insert(miner.clone(), due.to_integer());
            *credited.entry(miner.clone()).or_default() += due.to_integer();
        }
        debug_assert_eq!(sum(&residues), held);
        list.push(Value::Object(Map::<String, Value>::from_iter([
            ("weights".to_string(), member("weights")?.clone()),
            ("reward".to_string(), member("reward")?.clone()),
            ("credit".to_string(), whole_map(&credit)),
            ("residue".to_string(), exact_map(&residues)),
            ("held".to_string(), number::exact(&held)),
        ])));
    }
    Ok(Map::from_iter([
        ("steps".to_string(), Value::Array(list)),
        ("total_credit".to_string(), whole_map(&credited)),
    ]))
}
