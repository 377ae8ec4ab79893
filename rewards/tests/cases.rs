//! The calculator on exact rationals beyond the published cases: random cases of every scheme, against sums written
//! down here a second time, and against what every split must keep.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, ToPrimitive, Zero};
use pool_rewards::case::{split_case, split_text};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Q = BigRational;
type Amounts = BTreeMap<String, Q>;

fn q(number: u64) -> Q {
    Q::from_integer(number.into())
}

fn answer(scheme: &str, inputs: Value) -> Value {
    let case = json!({ "scheme": scheme, "inputs": inputs });
    let answer = split_case(&case).unwrap();
    // The same text makes the same text, however its keys stand.
    assert_eq!(split_text(&case.to_string()).unwrap(), answer.to_string());
    answer
}

/// A number as answers write it: a number, a text, a fraction.
fn number(value: &Value) -> Q {
    match value {
        Value::String(text) => text.parse().unwrap(),
        other => q(other.as_u64().unwrap()),
    }
}

fn amounts(map: &Value) -> Amounts {
    map.as_object().unwrap().iter().map(|(miner, amount)| (miner.clone(), number(amount))).collect()
}

fn total(map: &Value) -> Q {
    amounts(map).into_values().sum()
}

fn name(miner: u8) -> String {
    format!("m{miner}")
}

/// A share: miner, difficulty, network difficulty.
type Mark = (u8, u64, u64);

fn marks() -> impl Strategy<Value = Vec<Mark>> {
    proptest::collection::vec((0u8..5, 1u64..1 << 20, (1u64 << 19)..1 << 40), 1..30)
}

fn shares(marks: &[Mark]) -> Vec<Value> {
    let share = |(seq, (miner, d, network)): (u64, &Mark)| json!({ "seq": seq, "miner": name(*miner), "d": d.to_string(), "D": network.to_string() });
    (1..).zip(marks).map(share).collect()
}

/// What a share weighs, one being an expected block.
fn weight((_, d, network): &Mark) -> Q {
    Q::new((*d.min(network)).into(), (*network).into())
}

fn by_weight(list: impl IntoIterator<Item = (u8, Q)>) -> Amounts {
    let mut sums = Amounts::new();
    for (miner, weight) in list {
        *sums.entry(name(miner)).or_default() += weight;
    }
    sums
}

/// `alloc` is whole, sums to `reward`, and stands within one unit of its exact part for everyone.
fn near(alloc: &Value, exact: &Amounts, reward: u64) -> Result<(), TestCaseError> {
    let alloc = amounts(alloc);
    prop_assert_eq!(alloc.values().cloned().sum::<Q>(), q(reward));
    for (miner, amount) in &alloc {
        prop_assert!(amount.is_integer() && !amount.is_negative());
        let exact = exact.get(miner).cloned().unwrap_or_default();
        prop_assert!((amount - &exact).abs() < q(1), "{}: {} for {}", miner, amount, exact);
    }
    Ok(())
}

fn scaled(weights: &Amounts, reward: &Q) -> Amounts {
    let sum: Q = weights.values().cloned().sum();
    weights.iter().map(|(miner, weight)| (miner.clone(), weight * reward / &sum)).collect()
}

/// The stretch that each share covers of the window of `x` behind the last share.
fn overlaps(marks: &[Mark], x: &Q) -> Vec<(u8, Q)> {
    let mut left = x.clone();
    let mut list: Vec<(u8, Q)> = marks
        .iter()
        .rev()
        .map(|mark| {
            let part = weight(mark).min(left.clone());
            left -= &part;
            (mark.0, part)
        })
        .collect();
    list.reverse();
    list
}

proptest! {
    #[test]
    fn prop_is_in_proportion_to_units(marks in marks(), reward: u32, fee in 0u64..=10_000, bonus in 0u64..=10_000) {
        let reward = u64::from(reward);
        let answer = answer("PROP", json!({
            "shares": shares(&marks), "reward": reward, "fee_bps": fee, "finder_bonus_bps": bonus
        }));
        let alloc = &answer["alloc"];
        prop_assert_eq!(total(alloc), q(reward));
        let fee = reward * fee / 10_000;
        let bonus = (reward - fee) * bonus / 10_000;
        let exact = scaled(&by_weight(marks.iter().map(|mark| (mark.0, weight(mark)))), &q(reward - fee - bonus));
        let finder = name(marks[marks.len() - 1].0);
        for (miner, amount) in amounts(alloc) {
            let mut due = exact.get(&miner).cloned().unwrap_or_default();
            if miner == finder {
                due += q(bonus);
            }
            if miner == "~operator" {
                due += q(fee);
            }
            prop_assert!((amount - due).abs() < q(1));
        }
    }

    #[test]
    fn solo_is_the_finders(marks in marks(), reward: u32, fee in 0u64..=10_000) {
        let reward = u64::from(reward);
        let answer = answer("SOLO", json!({ "shares": shares(&marks), "reward": reward, "fee_bps": fee }));
        let fee = reward * fee / 10_000;
        let alloc = amounts(&answer["alloc"]);
        let of = |miner: &str| alloc.get(miner).cloned().unwrap_or_default();
        prop_assert_eq!(of(&name(marks[marks.len() - 1].0)), q(reward - fee));
        prop_assert_eq!(of("~operator"), q(fee));
        prop_assert_eq!(alloc.into_values().sum::<Q>(), q(reward));
    }

    #[test]
    fn a_window_pays_what_it_covers(marks in marks(), reward: u32, x in (1u64..1_000, 1u64..100_000)) {
        let (reward, x) = (u64::from(reward), Q::new(x.0.into(), x.1.into()));
        let answer = answer("PPLNS", json!({ "shares": shares(&marks), "reward": reward, "X": x.to_string() }));
        let weights = by_weight(overlaps(&marks, &x));
        let sum: Q = weights.values().cloned().sum();
        near(&answer["alloc"], &scaled(&weights, &q(reward)), reward)?;
        if sum < x {
            let mut keeps: Amounts =
                weights.iter().map(|(miner, weight)| (miner.clone(), weight * q(reward) / &x)).collect();
            keeps.insert("~operator".into(), (&x - sum) * q(reward) / &x);
            near(&answer["operator_keeps"]["alloc"], &keeps, reward)?;
        }
    }

    #[test]
    fn hop_exact_windows_pay_everyone_his_exact_part(marks in marks(), reward: u32, x in (1u64..1_000, 1u64..100_000)) {
        let (reward, x) = (u64::from(reward), Q::new(x.0.into(), x.1.into()));
        let answer = answer("PPLNS", json!({
            "shares": shares(&marks), "reward": reward, "X": x.to_string(), "mode": "hop-exact"
        }));
        // s R / (X t) × min(t, max(0, X - S)), S the weight strictly between the share and the winner of weight t.
        let t = weight(&marks[marks.len() - 1]);
        let (mut between, mut exact) = (Q::zero(), Amounts::new());
        for mark in marks[..marks.len() - 1].iter().rev() {
            let s = weight(mark);
            let room = (&x - &between).max(Q::zero()).min(t.clone());
            let pay = &s * q(reward) * room / (&x * &t);
            if !pay.is_zero() {
                *exact.entry(name(mark.0)).or_default() += pay;
            }
            between += s;
        }
        let should: Q = exact.values().cloned().sum();
        let is: Amounts = amounts(&answer["exact"]).into_iter().filter(|(_, pay)| !pay.is_zero()).collect();
        prop_assert_eq!(is, exact);
        prop_assert_eq!(number(&answer["sum"]), should);
    }

    #[test]
    fn exponential_windows_fade_by_rho(miners in proptest::collection::vec(0u8..5, 1..25), rho in 1u64..100, reward: u32) {
        let (reward, rho) = (u64::from(reward), Q::new(rho.into(), 100.into()));
        let marks: Vec<Mark> = miners.iter().map(|miner| (*miner, 1, 8)).collect();
        let answer = answer("EXP-PPLNS", json!({ "shares": shares(&marks), "reward": reward, "rho": rho.to_string() }));
        let mut score = Amounts::new();
        for miner in miners {
            score.values_mut().for_each(|score| *score *= &rho);
            *score.entry(name(miner)).or_default() += q(1);
        }
        near(&answer["alloc"], &scaled(&score, &q(reward)), reward)?;
    }

    #[test]
    fn time_windows_hold_the_shares_of_their_time(
        list in proptest::collection::vec((0u8..5, 1u64..1_000, 0u64..3_000), 1..20), t in 1u64..20_000, reward: u32
    ) {
        let (reward, mut now, mut marks) = (u64::from(reward), 0, Vec::new());
        for (miner, d, after) in list {
            now += after;
            marks.push((miner, d, now));
        }
        let shares: Vec<Value> =
            marks.iter().map(|(miner, d, at)| json!({ "miner": name(*miner), "d": d, "t_ms": at })).collect();
        let answer = answer("PPLNT", json!({ "shares": shares, "T_ms": t, "reward": reward }));
        let inside = marks.iter().filter(|(_, _, at)| *at + t > now).map(|(miner, d, _)| (*miner, q(*d)));
        near(&answer["alloc"], &scaled(&by_weight(inside), &q(reward)), reward)?;
    }

    #[test]
    fn tides_floors_every_amount_and_keeps_count_of_the_rest(
        marks in marks(), blocks in 1u64..9, difficulty in 1u64..1 << 20, reward: u32, fees in proptest::collection::vec(0u64..=10_000, 5)
    ) {
        let (reward, window) = (u64::from(reward), blocks * difficulty);
        let fee_of: BTreeMap<String, u64> = (0u8..).map(name).zip(fees).collect();
        let answer = answer("TIDES", json!({
            "shares": shares(&marks), "D_block": difficulty, "window_work": window, "reward": reward, "fee_bps": fee_of
        }));
        let mut left = window;
        let mut work = BTreeMap::<String, u64>::new();
        for (miner, d, _) in marks.iter().rev() {
            let part = (*d).min(left);
            left -= part;
            if part > 0 {
                *work.entry(name(*miner)).or_default() += part;
            }
        }
        let sum: u64 = work.values().sum();
        let mut paid = Q::zero();
        for (miner, work) in &work {
            let gross = u128::from(reward) * u128::from(*work) / u128::from(sum);
            let fee = gross * u128::from(fee_of[miner]) / 10_000;
            prop_assert_eq!(number(&answer["net"][miner]), Q::from_integer((gross - fee).into()));
            prop_assert_eq!(number(&answer["fee"][miner]), Q::from_integer(fee.into()));
            paid += Q::from_integer(gross.into());
        }
        prop_assert_eq!(number(&answer["pool_remainder"]), q(reward) - paid);
        prop_assert_eq!(total(&answer["alloc"]), q(reward), "{}", answer);
    }

    #[test]
    fn slices_pay_subsidy_by_work_and_fees_by_slice(
        list in proptest::collection::vec(proptest::collection::vec((0u8..4, 1u64..100, 0u64..5_000), 1..6), 1..5),
        subsidy: u32, fees: u32, by_work: bool
    ) {
        let slices: Vec<Value> = list.iter().map(|slice| {
            let most = slice.iter().map(|(_, _, fees)| *fees).max().unwrap() + 1;
            let shares: Vec<Value> = slice
                .iter()
                .map(|(miner, d, fees)| json!({ "miner": name(*miner), "d": d, "job_fees": fees + 1 }))
                .collect();
            json!({ "ref_fees": most, "shares": shares })
        }).collect();
        let rule = if by_work { "work" } else { "ref" };
        let answer = answer("SLICE", json!({ "slices": slices, "subsidy": subsidy, "fees": fees, "rule": rule }));
        let work: Vec<u64> = list.iter().map(|slice| slice.iter().map(|(_, d, _)| d).sum()).collect();
        let all: u64 = work.iter().sum();
        let most = |slice: &[(u8, u64, u64)]| slice.iter().map(|(_, _, fees)| *fees).max().unwrap() + 1;
        let pots: Vec<Q> = list.iter().zip(&work).map(|(slice, work)| {
            q(if by_work { *work } else { work * most(slice) })
        }).collect();
        let pot_sum: Q = pots.iter().cloned().sum();
        let mut exact = Amounts::new();
        for (slice, pot) in list.iter().zip(pots) {
            let scores: u64 = slice.iter().map(|(_, d, fees)| d * (fees + 1)).sum();
            for (miner, d, job) in slice {
                let by_fees = Q::new((d * (job + 1)).into(), scores.into()) * &pot / &pot_sum * q(fees.into());
                *exact.entry(name(*miner)).or_default() +=
                    Q::new((*d).into(), all.into()) * q(subsidy.into()) + by_fees;
            }
        }
        near(&answer["alloc"], &exact, u64::from(subsidy) + u64::from(fees))?;
    }

    #[test]
    fn geometric_methods_hand_out_every_block_whole(
        marks in marks(), solved in proptest::collection::vec(any::<bool>(), 30), c in 1u64..100, o in 0u64..100, reward: u32
    ) {
        let (c, o, reward) = (Q::new(c.into(), 100.into()), Q::new(o.into(), 100.into()), u64::from(reward));
        let mut shares = shares(&marks);
        let last = shares.len() - 1;
        for (index, share) in shares.iter_mut().enumerate() {
            share["block"] = json!(solved[index] || index == last);
        }
        let inputs = json!({ "shares": shares, "B": reward, "f": "0", "c": c.to_string(), "o": o.to_string() });
        let answer = answer("DGM", inputs);
        let one = q(1);
        let growth = (&one - &c) * (&one - &o) / &c;
        let (mut scale, mut score) = (one.clone(), Amounts::new());
        let mut found = 0;
        for (index, mark) in marks.iter().enumerate() {
            let p = weight(mark);
            *score.entry(name(mark.0)).or_default() += &p * &scale;
            scale *= &one + &p * &growth;
            if !(solved[index] || index == last) {
                continue;
            }
            let block = answer["blocks"].as_array().map_or(&answer, |blocks| &blocks[found]);
            found += 1;
            let mut exact: Amounts = score
                .iter()
                .map(|(miner, score)| (miner.clone(), score * &growth / &scale * q(reward)))
                .collect();
            let operator = q(reward) - exact.values().cloned().sum::<Q>();
            exact.insert("~operator".into(), operator);
            near(&block["alloc"], &exact, reward)?;
            score.values_mut().for_each(|score| *score *= &o);
        }
    }

    #[test]
    fn shares_paid_by_themselves_get_the_floor_of_their_value(
        marks in marks(), value: u32, fee in 0u64..=10_000, day in proptest::collection::vec((1u32.., 0u32..1 << 20), 1..12), trim in 0usize..5
    ) {
        let shares = shares(&marks);
        let sums = by_weight(marks.iter().map(|mark| (mark.0, weight(mark))));
        let kept = Q::new((10_000 - fee).into(), 10_000.into());
        let credits = |rate: &Q| -> Amounts {
            let value = q(value.into()) * &kept * rate;
            sums.iter().map(|(miner, weight)| (miner.clone(), (weight * &value).floor())).collect()
        };
        let pps = answer("PPS", json!({ "shares": shares, "B": value, "fee_bps": fee }));
        prop_assert_eq!(amounts(&pps["credit"]), credits(&q(1)));
        let blocks: Vec<Value> = day.iter().map(|(subsidy, fees)| json!({ "subsidy": subsidy, "fees": fees })).collect();
        let case = json!({ "shares": shares, "B": value, "fee_bps": fee, "day_blocks": blocks, "trim": trim });
        if 2 * trim >= day.len() {
            let refused = split_case(&json!({ "scheme": "FPPS", "inputs": case }));
            prop_assert!(refused.is_err());
            return Ok(());
        }
        let fpps = answer("FPPS", case);
        let mut sorted = day.clone();
        sorted.sort_by_key(|(_, fees)| *fees);
        let inner = &sorted[trim..day.len() - trim];
        let sum = |part: fn(&(u32, u32)) -> u32| inner.iter().map(|block| u64::from(part(block))).sum::<u64>();
        let rate = q(1) + Q::new(sum(|block| block.1).into(), sum(|block| block.0).into());
        prop_assert_eq!(amounts(&fpps["credit"]), credits(&rate));
        let plus = answer("PPS+", json!({ "shares": shares, "B": value, "fee_bps": fee, "X": "1/5", "block_fees": 9_999 }));
        prop_assert_eq!(amounts(&plus["credit"]), credits(&q(1)));
        let window = scaled(&by_weight(overlaps(&marks, &Q::new(1.into(), 5.into()))), &q(9_999));
        near(&plus["fees_alloc"], &window, 9_999)?;
    }

    #[test]
    fn debts_are_never_paid_beyond_the_funds(
        rounds in proptest::collection::vec((proptest::collection::vec((0u8..4, 1u64..1_000), 1..5), 0u64..100_000), 1..8), rate in 1u64..500
    ) {
        for scheme in ["SMPPS", "CPPSRB"] {
            let list: Vec<Value> = rounds.iter().map(|(shares, reward)| {
                let shares: Vec<Value> =
                    shares.iter().map(|(miner, d)| json!({ "miner": name(*miner), "d": d })).collect();
                json!({ "shares": shares, "reward": reward })
            }).collect();
            let answer = answer(scheme, json!({ "rate": rate.to_string(), "rounds": list }));
            let (mut received, mut paid, mut earned) = (Q::zero(), Q::zero(), Q::zero());
            for ((shares, reward), round) in rounds.iter().zip(answer["rounds"].as_array().unwrap()) {
                received += q(*reward);
                earned += shares.iter().map(|(_, d)| q(d * rate)).sum::<Q>();
                paid += total(&round["credit"]);
                prop_assert_eq!(number(&round["buffer"]), &received - &paid, "{}", scheme);
                prop_assert!(!number(&round["buffer"]).is_negative());
                prop_assert_eq!(total(&round["owed"]), &earned - &paid, "{}", scheme);
                // Either all debts are paid but for fractions, or all funds are.
                let miners = q(shares.len() as u64 + 5);
                prop_assert!(number(&round["buffer"]) < miners || total(&round["owed"]) < miners);
            }
        }
    }

    #[test]
    fn a_queue_gives_the_block_to_its_top(events in proptest::collection::vec((0u8..4, 1u64..50, any::<bool>()), 1..30)) {
        let list: Vec<Value> = events
            .iter()
            .map(|(miner, d, block)| json!({ "miner": name(*miner), "d": d, "block": block }))
            .collect();
        prop_assume!(events.iter().any(|(_, _, block)| *block));
        let answer = answer("QUEUE", json!({ "events": list, "reward": 1_000 }));
        let mut credits = BTreeMap::<String, u64>::new();
        let mut blocks = answer["blocks"].as_array().unwrap().iter();
        for (miner, d, block) in events {
            *credits.entry(name(miner)).or_default() += d;
            if !block {
                continue;
            }
            let answered = blocks.next().unwrap();
            let top = credits.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0))).unwrap();
            let (top, most) = (top.0.clone(), *top.1);
            let second = credits.iter().filter(|(miner, _)| **miner != top).map(|(_, credit)| *credit).max();
            prop_assert_eq!(answered["receiver"].as_str().unwrap(), &top);
            credits.insert(top, most - second.unwrap_or(0));
            for (miner, credit) in &credits {
                prop_assert_eq!(number(&answered["credits_after"][miner]), q(*credit));
            }
        }
    }

    #[test]
    fn the_incentive_compatible_rule_pays_at_least_a_full_round(
        counts in proptest::collection::vec(1u64..200, 1..5), difficulty in 1u64..500, reward: u32
    ) {
        let (reward, sum) = (u64::from(reward), counts.iter().sum::<u64>());
        let shares: BTreeMap<String, u64> = (0u8..).map(name).zip(counts).collect();
        let answer = answer("IC-2016", json!({ "shares": shares, "finder": "m0", "D": difficulty, "reward": reward }));
        let most = sum.max(difficulty);
        let mut exact: Amounts = shares
            .iter()
            .map(|(miner, count)| (miner.clone(), Q::new((count * reward).into(), most.into())))
            .collect();
        *exact.get_mut("m0").unwrap() += Q::new(((most - sum) * reward).into(), most.into());
        near(&answer["alloc"], &exact, reward)?;
    }

    #[test]
    fn scores_by_time_sum_to_the_reward(list in proptest::collection::vec((0u8..4, 1u64..100, 0u64..600), 1..15), c in 30u64..1_000, reward: u32) {
        let mut now = 0;
        let shares: Vec<Value> = list
            .iter()
            .map(|(miner, d, after)| {
                now += after;
                json!({ "miner": name(*miner), "d": d, "t_s": now })
            })
            .collect();
        let answer = answer("SLUSH", json!({ "shares": shares, "C_s": c, "reward": reward }));
        prop_assert_eq!(total(&answer["alloc"]), q(reward.into()));
        // Against floats, which are good to a part in 10^9 here.
        let (mut score, mut at) = (BTreeMap::<u8, f64>::new(), 0.0);
        let mut sum = 0.0;
        for (miner, d, after) in &list {
            at += *after as f64;
            let value = *d as f64 * ((at - now as f64) / c as f64).exp();
            *score.entry(*miner).or_default() += value;
            sum += value;
        }
        for (miner, score) in score {
            let due = score / sum * f64::from(reward);
            let is = number(&answer["alloc"][name(miner)]).to_f64().unwrap();
            prop_assert!((is - due).abs() < 1.0 + due * 1e-9, "{is} for {due}");
        }
    }

    #[test]
    fn fees_and_referrals_end_on_named_accounts(
        weights in proptest::collection::vec(1u64..1_000, 2..6), fees in proptest::collection::vec(0u64..=10_000, 6), referral in 0u64..=10_000, reward: u32
    ) {
        let weights: BTreeMap<String, u64> = (0u8..).map(name).zip(weights).collect();
        let fees: BTreeMap<String, u64> = weights.keys().cloned().zip(fees).collect();
        let answer = answer("FEES", json!({
            "weights": weights, "reward": reward, "fee_bps": fees, "referrer": { "m0": "m1" }, "referral_bps": referral
        }));
        prop_assert_eq!(total(&answer["alloc"]), q(reward.into()));
        prop_assert_eq!(total(&answer["gross"]), q(reward.into()));
        let gross = |miner: &str| number(&answer["gross"][miner]).to_integer();
        let fee_of = |miner: &str| gross(miner) * BigInt::from(fees[miner]) / BigInt::from(10_000);
        for miner in weights.keys() {
            prop_assert_eq!(number(&answer["net"][miner]).to_integer(), gross(miner) - fee_of(miner));
        }
        let referred: BigInt = fee_of("m0") * BigInt::from(referral) / BigInt::from(10_000);
        let all: BigInt = weights.keys().map(|miner| fee_of(miner)).sum();
        prop_assert_eq!(number(&answer["operator"]).to_integer(), all - referred);
    }

    #[test]
    fn the_rules_of_rounding_keep_their_promises(
        weights in proptest::collection::vec(0u64..1_000, 1..8), reward: u32
    ) {
        prop_assume!(weights.iter().any(|weight| *weight > 0));
        let weights: BTreeMap<String, u64> = (0u8..).map(name).zip(weights).collect();
        let answer = answer("ROUNDING", json!({ "weights": weights, "reward": reward }));
        let exact = scaled(&weights.iter().map(|(miner, weight)| (miner.clone(), q(*weight))).collect(), &q(reward.into()));
        for rule in ["largest_remainder", "cumulative_floor", "floor_carry"] {
            let mut exact = exact.clone();
            if let Some(carry) = answer[rule].get("~~carry") {
                exact.insert("~~carry".into(), number(carry));
            }
            near(&answer[rule], &exact, reward.into())?;
        }
    }
}

#[test]
fn any_text_is_answered_or_refused_with_a_place() {
    let file: Value = serde_json::from_str(include_str!("../testdata/rewards.json")).unwrap();
    let odd = [
        json!(null),
        json!(-1),
        json!(0),
        json!("0"),
        json!("1/0"),
        json!("-3"),
        json!([]),
        json!({}),
        json!(true),
        json!(1e308),
        json!("340282366920938463463374607431768211456"),
        json!(""),
        json!("x"),
    ];
    let mut tried = 0;
    for case in file["cases"].as_array().unwrap() {
        let inputs = case["inputs"].as_object().unwrap();
        for key in inputs.keys() {
            for value in &odd {
                let mut bent = case.clone();
                bent["inputs"][key] = value.clone();
                tried += 1;
                if let Err(error) = split_case(&bent) {
                    assert!(!error.to_string().is_empty());
                }
                // One level down, in the first element of a list.
                if let Some(first) =
                    inputs[key].as_array().and_then(|list| list.first()).and_then(Value::as_object)
                {
                    for inner in first.keys() {
                        let mut bent = case.clone();
                        bent["inputs"][key][0][inner] = value.clone();
                        tried += 1;
                        let _ = split_case(&bent);
                    }
                }
            }
            let mut without = case.clone();
            without["inputs"].as_object_mut().unwrap().remove(key);
            let _ = split_case(&without);
        }
    }
    assert!(tried > 1_000);
}
