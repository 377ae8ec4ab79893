//! Schemes that read the log of a round: PROP, SOLO, and four that are kept to be warned of.

use super::amounts::{
    Exact, Net, OPERATOR, Whole, block_answer, exact_map, floors, largest_remainder, proportional, whole_map,
};
use super::number::{self, Q, at, digits30, exp_minus, q, whole};
use super::{Case, CaseError, Result};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use num_bigint::BigInt;
use num_traits::{Signed, Zero};
use serde_json::{Map, Value};

/// A share of a case.
#[derive(Clone, Debug)]
pub(super) struct Share {
    pub(super) seq: u64,
    pub(super) miner: String,
    pub(super) d: Q,
    /// `min(d, D) / D`; `d` where the case has no network difficulty.
    pub(super) weight: Q,
    pub(super) chain: Option<String>,
    pub(super) time: Option<Q>,
    block: Option<BlockMark>,
}

/// What a share says of the block it solved.
#[derive(Clone, Debug)]
struct BlockMark {
    lost: bool,
    reward: Option<BigInt>,
}

/// A block of a case.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// The place of its share in the list.
    pub(super) index: usize,
    pub(super) lost: bool,
    reward: Option<BigInt>,
}

fn member<'a>(object: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().find_map(|key| object.get(*key)).filter(|value| !value.is_null())
}

pub(super) fn object<'a>(value: &'a Value, place: &str) -> Result<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| CaseError::Wrong { place: place.into(), expected: "an object" })
}

pub(super) fn name(object: &Map<String, Value>, place: &str) -> Result<String> {
    let value = member(object, &["miner", "account", "id"])
        .ok_or_else(|| CaseError::Missing(format!("{place}.miner")))?;
    match value.as_str() {
        Some(text) if !text.is_empty() => Ok(text.into()),
        _ => Err(CaseError::Wrong { place: format!("{place}.miner"), expected: "a text" }),
    }
}

const LOST: [&str; 4] = ["orphan", "orphaned", "lost", "red"];

fn truth(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => *truth,
        Value::String(text) => LOST.contains(&text.to_lowercase().as_str()),
        Value::Number(number) => number.as_i64() != Some(0),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

fn lost(object: &Map<String, Value>) -> bool {
    let said = member(object, &["status", "fate"]).and_then(Value::as_str).map(str::to_lowercase);
    LOST.iter().any(|key| object.get(*key).is_some_and(truth))
        || said.is_some_and(|said| LOST.contains(&said.as_str()))
        || object.get("settled").is_some_and(|value| *value == Value::Bool(false))
}

fn reward_of(object: &Map<String, Value>, place: &str) -> Result<Option<BigInt>> {
    member(object, &["reward", "value", "R", "B", "amount"])
        .map(|value| number::amount(value, &format!("{place}.reward")))
        .transpose()
}

fn chain_of(object: &Map<String, Value>) -> Option<String> {
    member(object, &["chain"]).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// The network difficulty of a share: its own, or the case's, which may be one number or one per chain.
fn network(case: &Case<'_>, share: &Map<String, Value>, place: &str) -> Result<Option<Q>> {
    if let Some(own) = share.get("D") {
        return number::difficulty(own, &format!("{place}.D")).map(Some);
    }
    let Some(common) = member(case.inputs, &["D", "D_chain", "chains", "D_by_chain"]) else {
        return Ok(None);
    };
    let Some(by_chain) = common.as_object() else {
        return number::difficulty(common, "inputs.D").map(Some);
    };
    let chain = chain_of(share).ok_or_else(|| CaseError::Missing(format!("{place}.chain")))?;
    let of_chain = by_chain.get(&chain).ok_or_else(|| CaseError::Missing(format!("inputs.D.{chain}")))?;
    let value = of_chain.get("D").unwrap_or(of_chain);
    number::difficulty(value, &format!("inputs.D.{chain}")).map(Some)
}

/// The log of a case, checked: sequence numbers without a gap, difficulties that can be.
pub(super) fn log(case: &Case<'_>, list: &str) -> Result<Vec<Share>> {
    let place = format!("inputs.{list}");
    let values = case.list(list)?;
    let mut shares: Vec<Share> = Vec::with_capacity(values.len());
    let mut weighed = None;
    for (index, value) in values.iter().enumerate() {
        let place = at(&place, index);
        let share = object(value, &place)?;
        let last = shares.last().map(|share| share.seq);
        let seq = match share.get("seq") {
            Some(seq) => number::count(seq, &format!("{place}.seq"))?,
            None => last.map_or(1, |last| last + 1),
        };
        if let Some(last) = last {
            match seq.cmp(&(last + 1)) {
                core::cmp::Ordering::Greater => return Err(CaseError::Gap { place, last, found: seq }),
                core::cmp::Ordering::Less => return Err(CaseError::Repeat { place, last, found: seq }),
                core::cmp::Ordering::Equal => {}
            }
        }
        let d =
            member(share, &["d", "difficulty"]).ok_or_else(|| CaseError::Missing(format!("{place}.d")))?;
        let d = number::difficulty(d, &format!("{place}.d"))?;
        let network = network(case, share, &place)?;
        if *weighed.get_or_insert(network.is_some()) != network.is_some() {
            return Err(CaseError::Missing(format!("{place}.D")));
        }
        let weight = match network {
            Some(network) => d.clone().min(network.clone()) / network,
            None => d.clone(),
        };
        let time = member(share, &["t_ms", "t_s", "t"])
            .map(|time| number::rational(time, &format!("{place}.t")))
            .transpose()?;
        let block = match share.get("block") {
            Some(Value::Bool(false)) | None => None,
            Some(mark) => {
                let inner = mark.as_object().unwrap_or(share);
                Some(BlockMark {
                    lost: lost(inner) || lost(share) || mark.is_string() && truth(mark),
                    reward: reward_of(inner, &place)?,
                })
            }
        };
        shares.push(Share {
            seq,
            miner: name(share, &place)?,
            d,
            weight,
            chain: chain_of(share),
            time,
            block,
        });
    }
    if shares.is_empty() {
        return Err(CaseError::EmptyRound(place));
    }
    Ok(shares)
}

fn index_of(shares: &[Share], seq: u64, place: &str) -> Result<usize> {
    shares
        .iter()
        .position(|share| share.seq == seq)
        .ok_or_else(|| CaseError::UnknownBlock { place: place.into(), seq })
}

/// The case's blocks in the order of the log: from `blocks`, `block_seq`, the shares' own marks, or else the last
/// share.
pub(super) fn blocks(case: &Case<'_>, shares: &[Share]) -> Result<Vec<Block>> {
    let mut found: Vec<Block> = Vec::new();
    if let Some(Value::Array(list)) = case.inputs.get("blocks") {
        for (index, value) in list.iter().enumerate() {
            let place = at("inputs.blocks", index);
            let Some(block) = value.as_object() else {
                let seq = number::count(value, &place)?;
                found.push(Block { index: index_of(shares, seq, &place)?, lost: false, reward: None });
                continue;
            };
            let seq = member(block, &["seq", "block_seq", "share_seq", "at_seq", "share", "anchor", "at"])
                .ok_or_else(|| CaseError::Missing(format!("{place}.seq")))?;
            let seq = number::count(seq, &format!("{place}.seq"))?;
            let (index, reward) = (index_of(shares, seq, &place)?, reward_of(block, &place)?);
            found.push(Block { index, lost: lost(block), reward });
        }
    } else if let Some(seq) = case.inputs.get("block_seq") {
        let seq = number::count(seq, "inputs.block_seq")?;
        found.push(Block { index: index_of(shares, seq, "inputs.block_seq")?, lost: false, reward: None });
    } else {
        for (index, share) in shares.iter().enumerate() {
            if let Some(BlockMark { lost, reward }) = &share.block {
                found.push(Block { index, lost: *lost, reward: reward.clone() });
            }
        }
    }
    if found.is_empty() {
        found.push(Block { index: shares.len() - 1, lost: false, reward: None });
    }
    for key in ["orphan_seq", "orphan_seqs", "orphans", "orphan", "lost", "lost_seqs"] {
        let Some(value) = case.inputs.get(key) else { continue };
        let place = format!("inputs.{key}");
        let single = [value.clone()];
        for seq in value.as_array().map_or(&single[..], Vec::as_slice) {
            let seq = number::count(seq, &place)?;
            let index = index_of(shares, seq, &place)?;
            match found.iter_mut().find(|block| block.index == index) {
                Some(block) => block.lost = true,
                None => found.push(Block { index, lost: true, reward: None }),
            }
        }
    }
    found.sort_by_key(|block| block.index);
    for pair in found.windows(2) {
        if pair[0].index == pair[1].index {
            let seq = shares[pair[1].index].seq;
            return Err(CaseError::Repeat { place: "inputs.blocks".into(), last: seq, found: seq });
        }
    }
    Ok(found)
}

/// What a block is worth: its own reward, or the case's, which may be one for all or a list in the order of blocks.
pub(super) fn reward(case: &Case<'_>, block: &Block, number_of_block: usize) -> Result<BigInt> {
    if block.lost {
        return Ok(BigInt::zero());
    }
    if let Some(own) = &block.reward {
        return Ok(own.clone());
    }
    let (key, value) = case.one_of(&["reward", "rewards", "R", "B"])?;
    let place = format!("inputs.{key}");
    match value.as_array() {
        Some(list) => {
            let place = at(&place, number_of_block);
            number::amount(list.get(number_of_block).ok_or(CaseError::Missing(place.clone()))?, &place)
        }
        None => number::amount(value, &place),
    }
}

/// Weights of a stretch of the log by account.
pub(super) fn weigh<'a>(shares: impl IntoIterator<Item = &'a Share>, weight: impl Fn(&Share) -> Q) -> Exact {
    let mut weights = Exact::new();
    for share in shares {
        *weights.entry(share.miner.clone()).or_default() += weight(share);
    }
    weights
}

/// The answer with one block at the top, or several in `blocks`.
pub(super) fn joined(mut answers: Vec<(u64, Map<String, Value>)>) -> Map<String, Value> {
    if answers.len() == 1 {
        return answers.remove(0).1;
    }
    let list = answers
        .into_iter()
        .map(|(seq, mut answer)| {
            answer.insert("seq".into(), Value::from(seq));
            Value::Object(answer)
        })
        .collect();
    Map::from_iter([("blocks".to_string(), Value::Array(list))])
}

/// Rounds of one chain or of all, by one weight, with lost rounds merged into the next or forfeited.
fn rounds(
    case: &Case<'_>,
    shares: &[Share],
    blocks: &[Block],
    weight: &dyn Fn(&Share) -> Q,
    per_chain: bool,
    merge: bool,
) -> Result<Map<String, Value>> {
    let mut answers = Vec::new();
    let mut counted = alloc::vec![false; shares.len()];
    for (number_of_block, block) in blocks.iter().enumerate() {
        let finder = &shares[block.index];
        let inside =
            |index: usize, share: &Share| index <= block.index && (!per_chain || share.chain == finder.chain);
        let members: Vec<usize> =
            (0..shares.len()).filter(|index| !counted[*index] && inside(*index, &shares[*index])).collect();
        if block.lost && merge {
            continue;
        }
        for index in &members {
            counted[*index] = true;
        }
        if block.lost {
            continue;
        }
        let weights = weigh(members.iter().map(|index| &shares[*index]), weight);
        let reward = reward(case, block, number_of_block)?;
        let place = format!("the round of share {}", finder.seq);
        let answer = block_answer(case, &reward, &finder.miner, &weights, &Q::zero(), &place)?;
        answers.push((finder.seq, answer));
    }
    if answers.is_empty() {
        return Ok(Map::from_iter([("alloc".to_string(), Value::Object(Map::new()))]));
    }
    Ok(joined(answers))
}

/// PROP: by units at the top; by raw work, per chain, and with lost rounds forfeited beside it where they differ.
pub(super) fn prop(case: &Case<'_>) -> Result<Map<String, Value>> {
    let shares = log(case, "shares")?;
    let blocks = blocks(case, &shares)?;
    let units = |share: &Share| share.weight.clone();
    let raw = |share: &Share| share.d.clone();
    let mut answer = rounds(case, &shares, &blocks, &units, false, true)?;
    let global = Value::Object(answer.clone());
    if shares.iter().any(|share| share.weight != share.d) {
        answer.insert("units".into(), global.clone());
        answer.insert("raw_work".into(), rounds(case, &shares, &blocks, &raw, false, true)?.into());
    }
    if shares.iter().any(|share| share.chain.is_some()) {
        answer.insert("global".into(), global.clone());
        answer.insert("per_chain".into(), rounds(case, &shares, &blocks, &units, true, true)?.into());
    }
    if blocks.iter().any(|block| block.lost) {
        answer.insert("merge".into(), global);
        answer.insert("forfeit".into(), rounds(case, &shares, &blocks, &units, false, false)?.into());
    }
    Ok(answer)
}

/// SOLO: the finder gets what the fee leaves.
pub(super) fn solo(case: &Case<'_>) -> Result<Map<String, Value>> {
    let shares = log(case, "shares")?;
    let mut answers = Vec::new();
    for (number_of_block, block) in blocks(case, &shares)?.iter().enumerate() {
        let finder = &shares[block.index];
        let reward = reward(case, block, number_of_block)?;
        let Net { fee, bonus, net } = Net::of(case, &reward)?;
        let mut alloc = Whole::from([(finder.miner.clone(), net + bonus)]);
        if fee.is_positive() {
            alloc.insert(OPERATOR.into(), fee);
        }
        answers.push((finder.seq, Map::from_iter([("alloc".to_string(), whole_map(&alloc))])));
    }
    Ok(joined(answers))
}

/// Queue-based: the account with most credits takes the block and keeps its lead. Favours small miners and splitting.
pub(super) fn queue(case: &Case<'_>) -> Result<Map<String, Value>> {
    let list = if case.has("events") { "events" } else { "shares" };
    let shares = log(case, list)?;
    let mut credits = Exact::new();
    let mut answers = Vec::new();
    let number_map = |credits: &Exact| {
        let number = |credit: &Q| {
            if credit.is_integer() { whole(&credit.to_integer()) } else { number::exact(credit) }
        };
        Value::Object(credits.iter().map(|(miner, credit)| (miner.clone(), number(credit))).collect())
    };
    let found = blocks(case, &shares)?;
    let mut number_of_block = 0;
    for (index, share) in shares.iter().enumerate() {
        *credits.entry(share.miner.clone()).or_default() += &share.d;
        let Some(block) = found.iter().find(|block| block.index == index && !block.lost) else { continue };
        let before = number_map(&credits);
        let mut order: Vec<_> = credits.iter().collect();
        order.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let receiver = order[0].0.clone();
        let second = order.get(1).map_or_else(Q::zero, |(_, credit)| (*credit).clone());
        *credits.entry(receiver.clone()).or_default() -= second;
        let mut answer = Map::from_iter([
            ("credits_before".to_string(), before),
            ("credits_after".to_string(), number_map(&credits)),
        ]);
        if block.reward.is_some() || case.has("reward") {
            let Net { fee, bonus, net } = Net::of(case, &reward(case, block, number_of_block)?)?;
            let mut alloc = Whole::from([(receiver.clone(), net)]);
            *alloc.entry(share.miner.clone()).or_default() += bonus;
            if fee.is_positive() {
                alloc.insert(OPERATOR.into(), fee);
            }
            alloc.retain(|_, amount| amount.is_positive());
            answer.insert("alloc".into(), whole_map(&alloc));
        }
        answer.insert("receiver".into(), Value::String(receiver));
        number_of_block += 1;
        answers.push(Value::Object(answer));
    }
    Ok(Map::from_iter([("blocks".to_string(), Value::Array(answers))]))
}

/// The incentive-compatible function of 2016: a share each out of `max(D, K)`, and what is missing to the finder.
pub(super) fn ic2016(case: &Case<'_>) -> Result<Map<String, Value>> {
    let counts = counts(case, "shares")?;
    let finder = case
        .value("finder")?
        .as_str()
        .ok_or(CaseError::Wrong { place: "inputs.finder".into(), expected: "a text" })?;
    let expected = number::difficulty(case.value("D")?, "inputs.D")?;
    let reward = case.amount("reward")?;
    let net = Net::of(case, &reward)?;
    let total = q(net.net);
    let all: Q = counts.values().sum();
    let whole_round = expected.max(all.clone());
    let mut exact: Exact =
        counts.iter().map(|(miner, count)| (miner.clone(), &total * count / &whole_round)).collect();
    *exact.entry(finder.into()).or_default() += &total * (&whole_round - all) / &whole_round;
    let mut alloc = largest_remainder(&exact);
    *alloc.entry(finder.into()).or_default() += net.bonus;
    if net.fee.is_positive() {
        alloc.insert(OPERATOR.into(), net.fee);
    }
    Ok(Map::from_iter([("exact".to_string(), exact_map(&exact)), ("alloc".to_string(), whole_map(&alloc))]))
}

/// Weights by account: an object, a list of numbers named `a`, `b`, …, or a list of shares.
pub(super) fn counts(case: &Case<'_>, key: &str) -> Result<Exact> {
    let place = format!("inputs.{key}");
    named_weights(case.value(key)?, &place)
}

pub(super) fn named_weights(value: &Value, place: &str) -> Result<Exact> {
    let mut weights = Exact::new();
    match value {
        Value::Object(map) => {
            for (miner, value) in map {
                weights.insert(miner.clone(), number::weight(value, &format!("{place}.{miner}"))?);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                let place = at(place, index);
                let (miner, weight) = match value.as_object() {
                    Some(share) => {
                        let weight = member(share, &["d", "weight", "units", "count"])
                            .ok_or_else(|| CaseError::Missing(format!("{place}.d")))?;
                        (name(share, &place)?, weight)
                    }
                    None => (letters(index), value),
                };
                *weights.entry(miner).or_default() += number::weight(weight, &place)?;
            }
        }
        _ => return Err(CaseError::Wrong { place: place.into(), expected: "an object or a list" }),
    }
    Ok(weights)
}

/// `a` to `z`, then `za`, `zb`, …: names in the order of the list.
fn letters(index: usize) -> String {
    let mut text = "z".repeat(index / 26);
    text.push(char::from(b'a' + (index % 26) as u8));
    text
}

/// Slush's score `d × e^(t/C)`: by time, hoppable, and transcendental; 30 digits, then largest remainders.
pub(super) fn slush(case: &Case<'_>) -> Result<Map<String, Value>> {
    let shares = log(case, "shares")?;
    let constant = number::difficulty(case.one_of(&["C_s", "C"])?.1, "inputs.C_s")?;
    let mut newest: Option<Q> = None;
    for (index, share) in shares.iter().enumerate() {
        let time =
            share.time.clone().ok_or_else(|| CaseError::Missing(format!("inputs.shares[{index}].t_s")))?;
        newest = newest.max(Some(time));
    }
    let newest = newest.unwrap_or_default();
    let mut scores = BTreeMap::new();
    for share in &shares {
        let age = &newest - share.time.clone().unwrap_or_default();
        *scores.entry(share.miner.clone()).or_insert_with(Q::zero) +=
            &share.d * exp_minus(&(age / &constant));
    }
    let fractions = proportional(&q(1), &scores, "inputs.shares")?;
    let reward = case.amount("reward")?;
    let mut answer = block_answer(
        case,
        &reward,
        &shares[shares.len() - 1].miner,
        &fractions,
        &Q::zero(),
        "inputs.shares",
    )?;
    // Endless fractions: the digits that count are in `fraction`.
    answer.remove("weights");
    answer.remove("exact");
    answer.insert(
        "fraction".into(),
        Value::Object(fractions.iter().map(|(miner, part)| (miner.clone(), digits30(part))).collect()),
    );
    Ok(answer)
}

/// Exact credits of a scheme that pays shares: floors, the rest stays with the miner.
pub(super) fn credits(exact: &Exact) -> Map<String, Value> {
    let credit = floors(exact);
    let residue: Exact = exact.iter().map(|(miner, part)| (miner.clone(), part - part.floor())).collect();
    Map::from_iter([
        ("exact".to_string(), exact_map(exact)),
        ("credit".to_string(), whole_map(&credit)),
        ("residue".to_string(), exact_map(&residue)),
    ])
}
