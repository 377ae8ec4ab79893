//! Schemes with a memory longer than a round: windows by work, by time, by score, and the geometric family.

use super::amounts::{
    Exact, Net, OPERATOR, Whole, block_answer, bps, exact_map, largest_remainder, proportional, sum,
    whole_map,
};
use super::number::{self, Q, at, exact, exp_minus, q, whole};
use super::shares::{Share, blocks, joined, log, name, object, reward, weigh};
use super::{Case, CaseError, Result};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use num_bigint::BigInt;
use num_traits::{One, Signed, ToPrimitive, Zero};
use serde_json::{Map, Value};

fn positive(number: Q, place: &str) -> Result<Q> {
    if number.is_positive() {
        Ok(number)
    } else {
        Err(CaseError::Wrong { place: place.into(), expected: "above zero" })
    }
}

/// The overlap of each share up to `index` with a window that ends behind it, newest last, none empty.
pub(super) fn overlaps(
    shares: &[Share],
    index: usize,
    window: &Q,
    weight: &dyn Fn(&Share) -> Q,
) -> Vec<(usize, Q)> {
    let mut room = window.clone();
    let mut list = Vec::new();
    for place in (0..=index).rev() {
        if !room.is_positive() {
            break;
        }
        let overlap = weight(&shares[place]).min(room.clone());
        room -= &overlap;
        list.push((place, overlap));
    }
    list.reverse();
    list
}

fn window_value(shares: &[Share], window: &[(usize, Q)]) -> Value {
    let row = |(place, overlap): &(usize, Q)| {
        Value::Array([Value::from(shares[*place].seq), exact(overlap)].into())
    };
    Value::Array(window.iter().map(row).collect())
}

fn by_miner(shares: &[Share], window: &[(usize, Q)]) -> Exact {
    let mut weights = Exact::new();
    for (place, overlap) in window {
        *weights.entry(shares[*place].miner.clone()).or_default() += overlap;
    }
    weights
}

/// PPLNS by overlap of intervals; hop-exact where the case says so.
pub(super) fn pplns(case: &Case<'_>) -> Result<Map<String, Value>> {
    let shares = log(case, "shares")?;
    let window = positive(case.rational("X")?, "inputs.X")?;
    let words = ["hop-exact", "hopexact", "hop_exact"];
    let hop_exact = case.says("edge", &words) || case.has("mode") && case.says("mode", &words);
    let mut answers = Vec::new();
    for (number_of_block, block) in blocks(case, &shares)?.iter().enumerate() {
        let finder = &shares[block.index];
        let reward = reward(case, block, number_of_block)?;
        let answer = if hop_exact {
            hop_exact_answer(case, &shares, block.index, &window, &reward)?
        } else {
            let touched = overlaps(&shares, block.index, &window, &|share| share.weight.clone());
            let weights = by_miner(&shares, &touched);
            let missing = &window - sum(&weights);
            let place = format!("the window of share {}", finder.seq);
            let of = |operator: &Q| block_answer(case, &reward, &finder.miner, &weights, operator, &place);
            let renormalised = of(&Q::zero())?;
            let mut answer = renormalised.clone();
            if missing.is_positive() {
                let kept = of(&missing)?;
                if case.says("underfilled", &["operator"]) && case.has("underfilled") {
                    answer = kept.clone();
                }
                answer.insert("renormalise".into(), renormalised.into());
                answer.insert("operator_keeps".into(), kept.into());
            }
            answer.insert("window".into(), window_value(&shares, &touched));
            answer
        };
        answers.push((finder.seq, answer));
    }
    Ok(joined(answers))
}

/// `s × R / (X t) × min(t, max(0, X - S))`: the winner is not paid, the operator takes the difference.
fn hop_exact_answer(
    case: &Case<'_>,
    shares: &[Share],
    index: usize,
    window: &Q,
    reward: &BigInt,
) -> Result<Map<String, Value>> {
    let net = Net::of(case, reward)?;
    let total = q(net.net.clone());
    let winner = &shares[index];
    let mut between = Q::zero();
    let mut parts = Exact::new();
    for share in shares[..index].iter().rev() {
        let room = window - &between;
        if !room.is_positive() {
            break;
        }
        let counted = room.min(winner.weight.clone());
        *parts.entry(share.miner.clone()).or_default() +=
            &share.weight * &total / (window * &winner.weight) * counted;
        between += &share.weight;
    }
    let paid = sum(&parts);
    let difference = &total - &paid;
    let mut answer = Map::from_iter([
        ("exact".to_string(), exact_map(&parts)),
        ("sum".to_string(), exact(&paid)),
        ("operator_difference".to_string(), exact(&difference)),
    ]);
    // What the operator pays on top comes from his own pocket, not out of this block.
    if difference.is_positive() {
        parts.insert(OPERATOR.into(), difference);
    }
    let mut alloc = largest_remainder(&parts);
    *alloc.entry(winner.miner.clone()).or_default() += net.bonus;
    if net.fee.is_positive() {
        *alloc.entry(OPERATOR.into()).or_default() += net.fee;
    }
    alloc.retain(|_, amount| !amount.is_zero());
    answer.insert("alloc".into(), whole_map(&alloc));
    Ok(answer)
}

/// Pay per last N time: shares with `t_block - T < t <= t_block`, by difficulty. Fair only at constant hash rate.
pub(super) fn pplnt(case: &Case<'_>) -> Result<Map<String, Value>> {
    let shares = log(case, "shares")?;
    let (key, value) = case.one_of(&["T_ms", "T_s", "T"])?;
    let length = positive(number::rational(value, &format!("inputs.{key}"))?, &format!("inputs.{key}"))?;
    for (index, share) in shares.iter().enumerate() {
        if share.time.is_none() {
            return Err(CaseError::Missing(format!("inputs.shares[{index}].t_ms")));
        }
    }
    let time = |share: &Share| share.time.clone().unwrap_or_default();
    let mut answers = Vec::new();
    for (number_of_block, block) in blocks(case, &shares)?.iter().enumerate() {
        let finder = &shares[block.index];
        let end = match case.inputs.get("t_block_ms") {
            Some(value) => number::rational(value, "inputs.t_block_ms")?,
            None => time(finder),
        };
        let inside = |share: &&Share| time(share) <= end && time(share) > &end - &length;
        let weights = weigh(shares.iter().filter(inside), |share| share.d.clone());
        let reward = reward(case, block, number_of_block)?;
        let place = format!("the window of share {}", finder.seq);
        answers.push((finder.seq, block_answer(case, &reward, &finder.miner, &weights, &Q::zero(), &place)?));
    }
    Ok(joined(answers))
}

/// Exponential window: every share decays all scores by `rho` and adds its own, or by `e^(-w/L)` for a window `L`.
///
/// Scores are in units of the first share's weight, so that equal shares add 1.
pub(super) fn exponential(case: &Case<'_>) -> Result<Map<String, Value>> {
    let shares = log(case, "shares")?;
    let rho = if case.has("rho") || !case.has("L") {
        let rho = case.rational("rho")?;
        if !rho.is_positive() || rho > Q::one() {
            return Err(CaseError::Wrong { place: "inputs.rho".into(), expected: "above 0 and at most 1" });
        }
        Some(rho)
    } else {
        None
    };
    let window = match rho {
        Some(_) => Q::one(),
        None => positive(case.rational("L")?, "inputs.L")?,
    };
    let standard = shares[0].weight.clone();
    let found = blocks(case, &shares)?;
    let mut scores = Exact::new();
    let mut answers = Vec::new();
    let mut number_of_block = 0;
    for (index, share) in shares.iter().enumerate() {
        let decay = rho.clone().unwrap_or_else(|| exp_minus(&(&share.weight / &window)));
        for score in scores.values_mut() {
            *score *= &decay;
        }
        *scores.entry(share.miner.clone()).or_default() += &share.weight / &standard;
        let Some(block) = found.iter().find(|block| block.index == index) else { continue };
        let reward = reward(case, block, number_of_block)?;
        number_of_block += 1;
        let mut answer = block_answer(case, &reward, &share.miner, &scores, &Q::zero(), "inputs.shares")?;
        if rho.is_some() {
            answer.insert("scores".into(), exact_map(&scores));
        } else {
            // Endless fractions say nothing.
            answer.remove("exact");
        }
        answer.remove("weights");
        answers.push((share.seq, answer));
    }
    Ok(joined(answers))
}

/// TIDES: a window of `8 × D` raw work from the log's top, fees by miner, every amount floored, the rest to the pool.
pub(super) fn tides(case: &Case<'_>) -> Result<Map<String, Value>> {
    let shares = log(case, "shares")?;
    let window = if case.has("window_work") {
        positive(case.rational("window_work")?, "inputs.window_work")?
    } else {
        number::difficulty(case.value("D_block")?, "inputs.D_block")? * q(8)
    };
    let head = match case.inputs.get("work_issue_seq").or_else(|| case.inputs.get("head_seq")) {
        Some(seq) => {
            let seq = number::count(seq, "inputs.work_issue_seq")?;
            let place = "inputs.work_issue_seq".to_string();
            shares.iter().position(|share| share.seq == seq).ok_or(CaseError::UnknownBlock { place, seq })?
        }
        None => shares.len() - 1,
    };
    let touched = overlaps(&shares, head, &window, &|share| share.d.clone());
    let weights = by_miner(&shares, &touched);
    let reward = case.amount("reward")?;
    let gross = proportional(&q(reward.clone()), &weights, "inputs.shares")?;
    let rates = Tiers::read(case)?;
    let (mut net, mut fees, mut left) = (Whole::new(), Whole::new(), reward);
    for (miner, part) in &gross {
        let part = part.floor().to_integer();
        let fee = bps(&part, &rates.of(miner));
        left -= &part;
        net.insert(miner.clone(), &part - &fee);
        fees.insert(miner.clone(), fee);
    }
    let mut alloc = net.clone();
    let operator = fees.values().sum::<BigInt>() + &left;
    if operator.is_positive() {
        alloc.insert(OPERATOR.into(), operator);
    }
    Ok(Map::from_iter([
        ("window".to_string(), window_value(&shares, &touched)),
        ("weights".to_string(), exact_map(&weights)),
        ("gross_exact".to_string(), exact_map(&gross)),
        ("net".to_string(), whole_map(&net)),
        ("fee".to_string(), whole_map(&fees)),
        ("pool_remainder".to_string(), whole(&left)),
        ("alloc".to_string(), whole_map(&alloc)),
    ]))
}

/// Fee rates by miner, or one for all.
pub(super) struct Tiers {
    common: BigInt,
    own: Whole,
}

impl Tiers {
    pub(super) fn read(case: &Case<'_>) -> Result<Self> {
        let mut tiers = Self { common: BigInt::zero(), own: Whole::new() };
        match case.inputs.get("fee_bps") {
            None => {}
            Some(Value::Object(map)) => {
                for (miner, rate) in map {
                    let rate = number::basis_points(rate, &format!("inputs.fee_bps.{miner}"))?;
                    tiers.own.insert(miner.clone(), rate);
                }
            }
            Some(rate) => tiers.common = number::basis_points(rate, "inputs.fee_bps")?,
        }
        Ok(tiers)
    }

    pub(super) fn of(&self, miner: &str) -> BigInt {
        self.own.get(miner).unwrap_or(&self.common).clone()
    }
}

/// A share of a slice: who, how much, and the fees of the job it was mined on.
struct SliceShare {
    miner: String,
    d: Q,
    fees: Q,
}

/// SLICE: the subsidy by work over the window, each slice's part of the fees by work times the job's own fees.
pub(super) fn slice(case: &Case<'_>) -> Result<Map<String, Value>> {
    let mut slices = Vec::new();
    for (index, value) in case.list("slices")?.iter().enumerate() {
        let place = at("inputs.slices", index);
        let slice = object(value, &place)?;
        let reference = match slice.get("ref_fees") {
            Some(fees) => Some(q(number::amount(fees, &format!("{place}.ref_fees"))?)),
            None => None,
        };
        let list = slice.get("shares").and_then(Value::as_array);
        let list = list.ok_or_else(|| CaseError::Missing(format!("{place}.shares")))?;
        let mut shares = Vec::new();
        for (index, value) in list.iter().enumerate() {
            let place = at(&format!("{place}.shares"), index);
            let share = object(value, &place)?;
            let member =
                |key: &str| share.get(key).ok_or_else(|| CaseError::Missing(format!("{place}.{key}")));
            let d = number::difficulty(member("d")?, &format!("{place}.d"))?;
            let fees = q(number::amount(member("job_fees")?, &format!("{place}.job_fees"))?);
            shares.push(SliceShare { miner: name(share, &place)?, d, fees });
        }
        slices.push((reference, shares));
    }
    let (subsidy, fees) = (case.amount("subsidy")?, case.amount("fees")?);
    if let Some(delta) = case.inputs.get("delta") {
        let delta = q(number::amount(delta, "inputs.delta")?);
        for (reference, shares) in &mut slices {
            let Some(reference) = reference else { continue };
            for share in shares {
                share.fees = share.fees.clone().min(&*reference + &delta);
            }
        }
    }
    let mut answer = Map::new();
    // The published score leaves the rule for a slice's pot open; the vectors name theirs in words.
    let stated =
        ["rule", "fee_rule", "F_S", "F_S_rule"].iter().find_map(|key| case.inputs.get(*key)?.as_str());
    let by_reference = match stated {
        Some(rule) => rule.contains("ref"),
        None => case.label.contains("-ref") || case.label.contains("rule: ref"),
    };
    let reference_known = slices.iter().all(|(reference, _)| reference.is_some());
    let by_work = slice_answer(&slices, &subsidy, &fees, false)?;
    if reference_known && let Ok(other) = slice_answer(&slices, &subsidy, &fees, true) {
        answer.insert("ref".into(), other.into());
    }
    answer.insert("work".into(), by_work.clone().into());
    let chosen = if by_reference { slice_answer(&slices, &subsidy, &fees, true)? } else { by_work };
    answer.extend(chosen);
    Ok(answer)
}

fn slice_answer(
    slices: &[(Option<Q>, Vec<SliceShare>)],
    subsidy: &BigInt,
    fees: &BigInt,
    by_reference: bool,
) -> Result<Map<String, Value>> {
    let mut work = Exact::new();
    let mut pots = Vec::new();
    for (index, (reference, shares)) in slices.iter().enumerate() {
        let in_slice: Q = shares.iter().map(|share| &share.d).sum();
        for share in shares {
            *work.entry(share.miner.clone()).or_default() += &share.d;
        }
        pots.push(match reference {
            Some(reference) if by_reference => reference * in_slice,
            None if by_reference => {
                return Err(CaseError::Missing(format!("{}.ref_fees", at("inputs.slices", index))));
            }
            _ => in_slice,
        });
    }
    let all: Q = pots.iter().sum();
    if all.is_zero() {
        return Err(CaseError::EmptyRound("inputs.slices".into()));
    }
    let pots: Vec<Q> = pots.into_iter().map(|pot| q(fees.clone()) * pot / &all).collect();
    let mut parts = proportional(&q(subsidy.clone()), &work, "inputs.slices")?;
    for ((_, shares), pot) in slices.iter().zip(&pots) {
        let offered: Q = shares.iter().map(|share| &share.d * &share.fees).sum();
        if offered.is_zero() {
            // Nobody in this slice offered any fees: there is no one to pay them to.
            *parts.entry(OPERATOR.into()).or_default() += pot;
            continue;
        }
        for share in shares {
            *parts.entry(share.miner.clone()).or_default() += pot * &share.d * &share.fees / &offered;
        }
    }
    parts.retain(|account, part| account != OPERATOR || part.is_positive());
    Ok(Map::from_iter([
        ("slice_pots".to_string(), Value::Array(pots.iter().map(exact).collect())),
        ("exact".to_string(), exact_map(&parts)),
        ("alloc".to_string(), whole_map(&largest_remainder(&parts))),
    ]))
}

/// The double geometric method with the block's value left out of the scores; geometric is `o = 0`.
///
/// With `K = (1 - c)(1 - o)/c` a share adds `p s` and multiplies `s` by `1 + p K`; a block pays `R K (1 - f) S / s` and
/// leaves `o S`; the operator takes the rest. A lost block pays nothing and decays all the same.
pub(super) fn double_geometric(case: &Case<'_>, carry_over: Option<Q>) -> Result<Map<String, Value>> {
    let shares = log(case, "shares")?;
    let part = |key: &str, value: Q, below_one: bool| {
        let fits = !value.is_negative() && (value < Q::one() || (!below_one && value == Q::one()));
        let place = format!("inputs.{key}");
        if fits { Ok(value) } else { Err(CaseError::Wrong { place, expected: "at least 0 and below 1" }) }
    };
    let average = positive(part("c", case.rational("c")?, true)?, "inputs.c")?;
    let kept = match carry_over {
        Some(none) if !case.has("o") => none,
        _ => part("o", case.rational("o")?, true)?,
    };
    let fee = match (case.has("f"), case.has("fee_bps")) {
        (true, _) => part("f", case.rational("f")?, false)?,
        (false, true) => {
            Q::new(number::basis_points(case.value("fee_bps")?, "inputs.fee_bps")?, BigInt::from(10_000))
        }
        (false, false) => Q::zero(),
    };
    let growth = (Q::one() - &average) * (Q::one() - &kept) / &average;
    let found = blocks(case, &shares)?;
    let (mut scale, mut scores) = (Q::one(), Exact::new());
    let mut answers = Vec::new();
    for (index, share) in shares.iter().enumerate() {
        *scores.entry(share.miner.clone()).or_default() += &share.weight * &scale;
        scale *= Q::one() + &share.weight * &growth;
        let Some(place) = found.iter().position(|block| block.index == index) else { continue };
        let reward = reward(case, &found[place], place)?;
        let value = q(reward);
        let factor = &value * &growth * (Q::one() - &fee) / &scale;
        let mut parts: Exact = scores.iter().map(|(miner, score)| (miner.clone(), score * &factor)).collect();
        let operator = &value - sum(&parts);
        let share_of_operator = if value.is_zero() { Q::zero() } else { &operator / &value };
        parts.insert(OPERATOR.into(), operator);
        for score in scores.values_mut() {
            *score *= &kept;
        }
        answers.push(Value::Object(Map::from_iter([
            ("seq".to_string(), Value::from(share.seq)),
            ("exact".to_string(), exact_map(&parts)),
            ("alloc".to_string(), whole_map(&largest_remainder(&parts))),
            ("operator_share".to_string(), exact(&share_of_operator)),
        ])));
    }
    let mut answer = Map::new();
    if let [Value::Object(only)] = answers.as_slice() {
        answer.extend(only.clone());
        answer.remove("seq");
    }
    answer.insert("blocks".into(), Value::Array(answers));
    Ok(answer)
}

/// How many whole trims fit: used by schemes that drop extremes.
pub(super) fn trim_count(value: &Value, place: &str) -> Result<usize> {
    number::count(value, place)?
        .to_usize()
        .ok_or_else(|| CaseError::Wrong { place: place.into(), expected: "a whole number" })
}
