//! Capped PPS with debts, kept for research: both collapse when luck stays bad, because old debts are paid first by
//! new miners or never.

use super::amounts::{Exact, Whole, exact_map, floors, proportional, sum, whole_map};
use super::number::{self, Q, at, q, whole};
use super::shares::{named_weights, object};
use super::{Case, CaseError, Result};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use num_bigint::BigInt;
use num_traits::{Signed, Zero};
use serde_json::{Map, Value};

/// A round's PPS values by account and its reward.
fn rounds(case: &Case<'_>) -> Result<Vec<(Exact, BigInt)>> {
    let rate = number::weight(case.value("rate")?, "inputs.rate")?;
    let mut rounds = Vec::new();
    for (index, value) in case.list("rounds")?.iter().enumerate() {
        let place = at("inputs.rounds", index);
        let round = object(value, &place)?;
        let member = |key: &str| round.get(key).ok_or_else(|| CaseError::Missing(format!("{place}.{key}")));
        let mut values = named_weights(member("shares")?, &format!("{place}.shares"))?;
        for value in values.values_mut() {
            *value *= &rate;
        }
        rounds.push((values, number::amount(member("reward")?, &format!("{place}.reward"))?));
    }
    Ok(rounds)
}

fn answer(rounds: Vec<Value>) -> Map<String, Value> {
    Map::from_iter([("rounds".to_string(), Value::Array(rounds))])
}

fn round_value(exact: &Exact, credit: &Whole, buffer: &BigInt, owed: &Exact) -> Value {
    Value::Object(Map::<String, Value>::from_iter([
        ("exact".to_string(), exact_map(exact)),
        ("credit".to_string(), whole_map(credit)),
        ("alloc".to_string(), whole_map(credit)),
        ("buffer".to_string(), whole(buffer)),
        ("owed".to_string(), exact_map(owed)),
    ]))
}

/// SMPPS: a buffer pays all PPS debt where it suffices, else in proportion; the rest stays owed.
pub(super) fn smpps(case: &Case<'_>) -> Result<Map<String, Value>> {
    let mut owed = Exact::new();
    let mut buffer = BigInt::zero();
    let mut list = Vec::new();
    for (values, reward) in rounds(case)? {
        for (miner, value) in values {
            *owed.entry(miner).or_default() += value;
        }
        buffer += reward;
        let funds = q(buffer.clone());
        let exact =
            if sum(&owed) <= funds { owed.clone() } else { proportional(&funds, &owed, "inputs.rounds")? };
        let credit = floors(&exact);
        for (miner, paid) in &credit {
            *owed.entry(miner.clone()).or_default() -= q(paid.clone());
            buffer -= paid;
        }
        list.push(round_value(&exact, &credit, &buffer, &owed));
    }
    Ok(answer(list))
}

/// CPPSRB: a round is paid up to its PPS value; what is left over pays older unpaid work, the newest round first.
pub(super) fn cppsrb(case: &Case<'_>) -> Result<Map<String, Value>> {
    let mut unpaid: Vec<Exact> = Vec::new();
    let mut buffer = BigInt::zero();
    let mut list = Vec::new();
    for (values, reward) in rounds(case)? {
        unpaid.push(values);
        buffer += reward;
        let mut funds = q(buffer.clone());
        let mut paid = Exact::new();
        for round in unpaid.iter_mut().rev() {
            let debt = sum(round);
            if !debt.is_positive() || !funds.is_positive() {
                continue;
            }
            let part = debt.clone().min(funds.clone());
            for (miner, amount) in proportional(&part, round, "inputs.rounds")? {
                *round.entry(miner.clone()).or_default() -= &amount;
                *paid.entry(miner).or_default() += amount;
            }
            funds -= part;
        }
        let credit = floors(&paid);
        // Fractions that could not be paid stay owed, as the newest debt of their miner.
        if let Some(newest) = unpaid.last_mut() {
            for (miner, part) in &paid {
                let rest: Q = part - part.floor();
                *newest.entry(miner.clone()).or_default() += rest;
            }
        }
        buffer -= credit.values().sum::<BigInt>();
        let mut owed = Exact::new();
        for (miner, debt) in unpaid.iter().flatten() {
            *owed.entry(miner.clone()).or_default() += debt;
        }
        list.push(round_value(&paid, &credit, &buffer, &owed));
    }
    Ok(answer(list))
}
