//! Schemes that pay shares: PPS, FPPS, and PPS+ with a block's fees by PPLNS.

use super::amounts::{Exact, exact_map, floors, largest_remainder, proportional, sum, whole_map};
use super::number::{self, Q, at, digits30, exact, q, whole};
use super::shares::{blocks, credits, log, object, weigh};
use super::windows::{overlaps, trim_count};
use super::{Case, CaseError, Result};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use num_bigint::BigInt;
use num_traits::{One, Signed, Zero};
use serde_json::{Map, Value};

/// `1 - f` from `fee_bps` or `f`.
fn kept(case: &Case<'_>) -> Result<Q> {
    if case.has("f") {
        let fee = case.rational("f")?;
        if fee.is_negative() || fee > Q::one() {
            return Err(CaseError::Wrong { place: "inputs.f".into(), expected: "from 0 to 1" });
        }
        return Ok(Q::one() - fee);
    }
    let points = match case.inputs.get("fee_bps") {
        Some(value) => number::basis_points(value, "inputs.fee_bps")?,
        None => BigInt::zero(),
    };
    Ok(Q::one() - Q::new(points, 10_000.into()))
}

/// `(1 - f) × B × rate × sum of d/D` by account.
fn share_values(case: &Case<'_>, rate: &Q) -> Result<Exact> {
    let shares = log(case, "shares")?;
    let value = q(case.amount("B")?) * kept(case)? * rate;
    Ok(weigh(&shares, |share| &share.weight * &value))
}

/// PPS by a log of shares, or by hash rate and time.
pub(super) fn pps(case: &Case<'_>) -> Result<Map<String, Value>> {
    if !case.has("shares") {
        return pps_base(case);
    }
    Ok(credits(&share_values(case, &Q::one())?))
}

/// What a hash rate earns in a time: `rate × seconds / (D × 2^32) × subsidy`.
fn pps_base(case: &Case<'_>) -> Result<Map<String, Value>> {
    let rate = number::weight(case.value("hashrate")?, "inputs.hashrate")?;
    let seconds = number::weight(case.value("seconds")?, "inputs.seconds")?;
    let difficulty = number::difficulty(case.value("D")?, "inputs.D")?;
    let (_, subsidy) = case.one_of(&["subsidy", "B"])?;
    let subsidy = q(number::amount(subsidy, "inputs.subsidy")?);
    let pay = rate * seconds * subsidy * kept(case)? / (difficulty * q(BigInt::one() << 32u32));
    let floor = whole(&pay.floor().to_integer());
    Ok(Map::from_iter([
        ("exact_sat".to_string(), exact(&pay)),
        ("floor_sat".to_string(), floor.clone()),
        ("credit".to_string(), floor),
        ("dec_sat".to_string(), digits30(&pay)),
    ]))
}

/// `1 + sum(fees) / sum(subsidy)`, the `trim` blocks with the highest and with the lowest fees left out of both sums.
fn fee_rate(case: &Case<'_>) -> Result<Q> {
    let (fees, subsidy) = if case.has("day_blocks") {
        let mut day: Vec<(BigInt, BigInt, BigInt)> = Vec::new();
        for (index, value) in case.list("day_blocks")?.iter().enumerate() {
            let place = at("inputs.day_blocks", index);
            let block = object(value, &place)?;
            let amount = |key: &str| {
                let value = block.get(key).ok_or_else(|| CaseError::Missing(format!("{place}.{key}")))?;
                number::amount(value, &format!("{place}.{key}"))
            };
            // Equal fees go by height where it is known, else by their place in the list.
            let height = match block.get("height") {
                Some(value) => number::amount(value, &format!("{place}.height"))?,
                None => BigInt::from(index),
            };
            day.push((amount("fees")?, amount("subsidy")?, height));
        }
        let trim = match case.inputs.get("trim") {
            Some(value) => trim_count(value, "inputs.trim")?,
            None => 0,
        };
        if trim.checked_mul(2).is_none_or(|dropped| dropped >= day.len()) {
            return Err(CaseError::EmptyRound("inputs.day_blocks after trimming".into()));
        }
        day.sort_by(|a, b| a.0.cmp(&b.0).then(a.2.cmp(&b.2)));
        let kept = &day[trim..day.len() - trim];
        let sum = |pick: fn(&(BigInt, BigInt, BigInt)) -> &BigInt| kept.iter().map(pick).sum::<BigInt>();
        (sum(|block| &block.0), sum(|block| &block.1))
    } else {
        (case.amount("sum_fees")?, case.amount("sum_subsidy")?)
    };
    if subsidy.is_zero() {
        return Err(CaseError::Wrong { place: "the sum of subsidies".into(), expected: "above zero" });
    }
    Ok(Q::one() + Q::new(fees, subsidy))
}

/// FPPS: PPS times the fee rate of a day's blocks; the rate alone where a case has no shares.
pub(super) fn fpps(case: &Case<'_>) -> Result<Map<String, Value>> {
    let rate = fee_rate(case)?;
    if !case.has("shares") {
        return Ok(Map::from_iter([
            ("rate".to_string(), exact(&rate)),
            ("rate_dec".to_string(), digits30(&rate)),
        ]));
    }
    let mut answer = credits(&share_values(case, &rate)?);
    answer.insert("fpps_rate".into(), exact(&rate));
    answer.insert("fpps_rate_dec".into(), digits30(&rate));
    Ok(answer)
}

/// PPS+: the subsidy per share, the found block's own fees by PPLNS over the same log. Two budgets, two allocations.
pub(super) fn pps_plus(case: &Case<'_>) -> Result<Map<String, Value>> {
    let subsidy = share_values(case, &Q::one())?;
    let shares = log(case, "shares")?;
    let window = case.rational("X")?;
    if !window.is_positive() {
        return Err(CaseError::Wrong { place: "inputs.X".into(), expected: "above zero" });
    }
    let (_, fees) = case.one_of(&["block_fees", "fees"])?;
    let fees = q(number::amount(fees, "inputs.block_fees")?);
    let found = blocks(case, &shares)?;
    let index = found.last().map_or(shares.len() - 1, |block| block.index);
    let touched = overlaps(&shares, index, &window, &|share| share.weight.clone());
    let mut weights = Exact::new();
    for (place, overlap) in &touched {
        *weights.entry(shares[*place].miner.clone()).or_default() += overlap;
    }
    let parts = proportional(&fees, &weights, "inputs.shares")?;
    debug_assert_eq!(sum(&parts), fees);
    let alloc = whole_map(&largest_remainder(&parts));
    let rows = touched
        .iter()
        .map(|(place, overlap)| Value::Array([Value::from(shares[*place].seq), exact(overlap)].into()));
    Ok(Map::<String, Value>::from_iter([
        ("pps_exact".to_string(), exact_map(&subsidy)),
        ("credit".to_string(), whole_map(&floors(&subsidy))),
        ("fees_window".to_string(), Value::Array(rows.collect())),
        ("fees_exact".to_string(), exact_map(&parts)),
        ("fees_alloc".to_string(), alloc.clone()),
        ("alloc".to_string(), alloc),
    ]))
}
