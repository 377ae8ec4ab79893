//! The published vectors in production arithmetic: Q40.88 weights through the engines, fees and the rounding rules.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use pool_core::id::{BlockId, CoinId, InstanceId, MinerId, Seq, ShareSeq, Worker, WorkerName};
use pool_core::share::{Evidence, LoggedShare, ShareRecord};
use pool_core::time::Timestamp;
use pool_core::units::{Amount, BasisPoints, Units, Work};
use pool_rewards::case::split_case;
use pool_rewards::fold::Scheduled;
use pool_rewards::proof::export::{Line, Replayed, replay};
use pool_rewards::proof::statement::Statement;
use pool_rewards::reference::{Reference, ReferenceBlock};
use pool_rewards::scheme::{BlockValue, Rule, SchemeParams, Underfilled, WindowEdge, parse_units};
use pool_rewards::split::{ResidueMap, Rounding, accrue, split, weight_sum};
use pool_rewards::tally::{Award, Period, Rate, Tally};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn vector(id: &str) -> Value {
    let file: Value = serde_json::from_str(include_str!("../testdata/rewards.json")).unwrap();
    file["cases"].as_array().unwrap().iter().find(|case| case["id"] == id).unwrap().clone()
}

fn number(value: &Value) -> u128 {
    value.as_str().map_or_else(|| value.as_u64().unwrap().into(), |text| text.parse().unwrap())
}

fn record(miner: &str, units: Units, work: u128, block: Option<BlockId>) -> ShareRecord {
    ShareRecord {
        instance: InstanceId::new(0),
        at: Timestamp::from_millis(1_000),
        worker: Worker { miner: MinerId::new(miner).unwrap(), name: WorkerName::clean("w") },
        work: Work::new(work).unwrap(),
        units,
        chain: 0,
        evidence: Evidence::new(b"e").unwrap(),
        block,
    }
}

/// A case's log; its block share is the last one where none is marked.
fn log(inputs: &Value) -> Vec<LoggedShare> {
    let shares = inputs["shares"].as_array().unwrap();
    let marked = shares.iter().any(|share| share["block"] == json!(true));
    let logged = shares.iter().enumerate().map(|(index, share)| {
        let (d, network) = (number(&share["d"]), number(&share["D"]));
        let units = Units::from_ratio(d.min(network), network).unwrap();
        let solved = share["block"] == json!(true) || (!marked && index + 1 == shares.len());
        let mut id = [0; 32];
        id[0] = index as u8 + 1;
        let record = record(share["miner"].as_str().unwrap(), units, d, solved.then(|| BlockId::new(id)));
        LoggedShare { seq: ShareSeq::new(index as u64 + 1), record }
    });
    logged.collect()
}

/// Folds a log and settles all its blocks at one value.
fn awards(params: SchemeParams, log: &[LoggedShare], value: u128) -> (Tally, Vec<Award>) {
    let mut tally = Tally::new(params).unwrap();
    for share in log {
        tally.share(share).unwrap();
    }
    let mut awards = Vec::new();
    for id in log.iter().filter_map(|share| share.record.block) {
        awards.extend(tally.conclude(id, Amount::new(value)).unwrap());
    }
    (tally, awards)
}

/// Everything an award gives, in the shape of the vectors' `alloc`.
fn alloc(tally: &Tally, award: &Award) -> BTreeMap<String, u128> {
    let mut sums = BTreeMap::new();
    let mut add = |name: &str, amount: Amount| *sums.entry(name.to_owned()).or_default() += amount.get();
    add("~operator", award.fee);
    add(award.finder.as_str(), award.bonus);
    for split in &award.splits {
        for part in tally.named(split) {
            add(part.miner.as_str(), Amount::new(part.gross.get() - part.fee_amount().get()));
        }
        for (referrer, amount) in &split.referrals {
            add(referrer.as_str(), *amount);
        }
        add("~operator", split.fees);
        add("~operator", split.operator);
    }
    sums.retain(|_, amount| *amount > 0);
    sums
}

fn expected(alloc: &Value) -> BTreeMap<String, u128> {
    alloc.as_object().unwrap().iter().map(|(name, amount)| (name.clone(), number(amount))).collect()
}

fn params(rule: Rule, fee: u64, bonus: u64) -> SchemeParams {
    let points = |points: u64| BasisPoints::new(u16::try_from(points).unwrap()).unwrap();
    let mut params = SchemeParams::new(rule);
    params.rounding = Rounding::LargestRemainder;
    params.fees.pool = points(fee);
    params.fees.finder_bonus = points(bonus);
    params
}

fn pplns(window: &str, underfilled: Underfilled, edge: WindowEdge) -> Rule {
    Rule::Pplns { window: parse_units(window).unwrap(), underfilled, edge }
}

#[test]
fn rounds_and_windows_in_fixed_point() {
    let interval = WindowEdge::Interval;
    let renormalise = Underfilled::Renormalise;
    let fixed = vector("fix-01-q40-88")["expected"].clone();
    let cases: [(&str, Rule, Value); 9] = [
        ("prop-01", Rule::Prop {}, fixed["prop-01"]["alloc_q88"].clone()),
        ("prop-04-diffchange", Rule::Prop {}, fixed["prop-04-diffchange"]["alloc_q88"].clone()),
        ("pplns-01", pplns("2", renormalise, interval), fixed["pplns-01"]["alloc_q88"].clone()),
        (
            "pplns-02-fraction",
            pplns("3/2", renormalise, interval),
            fixed["pplns-02-fraction"]["alloc_q88"].clone(),
        ),
        ("prop-02", Rule::Prop {}, vector("prop-02")["expected"]["alloc"].clone()),
        ("prop-03-tie", Rule::Prop {}, vector("prop-03-tie")["expected"]["alloc"].clone()),
        ("solo-01", Rule::Solo {}, vector("solo-01")["expected"]["alloc"].clone()),
        (
            "pplns-05-underfilled",
            pplns("2", renormalise, interval),
            vector("pplns-05-underfilled")["expected"]["renormalise"]["alloc"].clone(),
        ),
        (
            "pplns-05-underfilled",
            pplns("2", Underfilled::OperatorKeeps, interval),
            vector("pplns-05-underfilled")["expected"]["operator_keeps"]["alloc"].clone(),
        ),
    ];
    for (id, rule, should) in cases {
        let inputs = &vector(id)["inputs"];
        let points = |key: &str| inputs.get(key).and_then(Value::as_u64).unwrap_or(0);
        let params = params(rule, points("fee_bps"), points("finder_bonus_bps"));
        let (tally, awards) = awards(params, &log(inputs), number(&inputs["reward"]));
        assert_eq!(alloc(&tally, &awards[0]), expected(&should), "{id}");
    }
}

#[test]
fn exponential_windows_and_tides_in_fixed_point() {
    let case = vector("pplns-09-exponential");
    // Each share fades the others by 1 / (1 + p / L): 7/8 for p = 1/8 and L = 7/8.
    let rule =
        Rule::Exponential { window: parse_units("7/8").unwrap(), underfilled: Underfilled::Renormalise };
    let (tally, list) = awards(params(rule, 0, 0), &log(&case["inputs"]), number(&case["inputs"]["reward"]));
    assert_eq!(alloc(&tally, &list[0]), expected(&case["expected"]["alloc"]));

    let case = vector("tides-01");
    let mut params = params(Rule::Tides { blocks: 8 }, 0, 0);
    params.rounding = Rounding::FloorCarry;
    for (miner, rate) in case["inputs"]["fee_bps"].as_object().unwrap() {
        let rate = BasisPoints::new(u16::try_from(rate.as_u64().unwrap()).unwrap()).unwrap();
        params.fees.tiers.insert(MinerId::new(miner).unwrap(), rate);
    }
    let (tally, list) = awards(params, &log(&case["inputs"]), number(&case["inputs"]["reward"]));
    let mut should = expected(&case["expected"]["net"]);
    should.insert("~operator".into(), expected(&case["expected"]["fee"]).into_values().sum());
    assert_eq!(alloc(&tally, &list[0]), should);
    assert_eq!(list[0].splits[0].carried_out.get(), number(&case["expected"]["pool_remainder"]));
}

#[test]
fn subsidies_by_the_share_and_fees_by_the_window_in_fixed_point() {
    let case = vector("ppsplus-01");
    let inputs = &case["inputs"];
    let subsidy = Amount::new(number(&inputs["B"]));
    let rule = Rule::PpsPlus {
        subsidy,
        window: parse_units("1/5").unwrap(),
        underfilled: Underfilled::Renormalise,
        period_ms: 60_000,
        overdraft: Amount::ZERO,
    };
    let params = params(rule, 200, 0);
    let value = subsidy.get() + number(&inputs["block_fees"]);
    let (tally, list) = awards(params.clone(), &log(inputs), value);
    assert_eq!(list[0].reserve, subsidy, "what shares are paid from");
    assert_eq!(alloc(&tally, &list[0]), expected(&case["expected"]["fees_alloc"]));
    let mut tally = Tally::new(params).unwrap();
    let period = period(&mut tally, &log(inputs));
    let pay = tally.price(&period, Rate { value: subsidy, blocks: 1 }).unwrap();
    let credits: BTreeMap<String, u128> =
        pay.credits.iter().map(|(miner, amount)| (miner.to_string(), amount.get())).collect();
    assert_eq!(credits, expected(&vector("pps-01")["expected"]["credit"]));
}

#[test]
fn a_days_blocks_in_fixed_point() {
    let case = vector("fpps-01-trim0");
    let inputs = &case["inputs"];
    let blocks =
        (0u8..).zip(inputs["day_blocks"].as_array().unwrap()).map(|(height, block)| ReferenceBlock {
            id: BlockId::new([height; 32]),
            height: height.into(),
            subsidy: Amount::new(number(&block["subsidy"])),
            fees: Amount::new(number(&block["fees"])),
        });
    let day = Reference::new(86_400_000, 20_000, blocks.collect()).unwrap();
    let value = number(&inputs["B"]);
    for (trim, (top, bottom)) in [(0, (12_907, 12_500)), (3, (9_509, 9_375))] {
        let rate = day.rate(trim).unwrap();
        // The mean of subsidy and fees is the subsidy times one and the part that fees are of it.
        assert_eq!(rate.value.get() * bottom, value * u128::from(rate.blocks) * top, "{trim}");
        let rule = Rule::Fpps {
            value: BlockValue::Reference { trim },
            period_ms: 86_400_000,
            overdraft: Amount::ZERO,
        };
        let mut tally = Tally::new(params(rule, 250, 0)).unwrap();
        let period = period(&mut tally, &log(inputs));
        let pay = tally.price(&period, rate).unwrap();
        let credits: BTreeMap<String, u128> =
            pay.credits.iter().map(|(miner, amount)| (miner.to_string(), amount.get())).collect();
        if trim == 0 {
            assert_eq!(credits, expected(&case["expected"]["credit"]));
        }
        let mut trimmed = case.clone();
        trimmed["inputs"]["trim"] = json!(trim);
        assert_eq!(credits, expected(&split_case(&trimmed).unwrap()["credit"]));
    }
}

#[test]
fn the_rules_of_rounding_in_fixed_point() {
    let case = vector("round-03-rules");
    let of = |weights: &Value| -> Vec<(String, Units)> {
        let weights = weights.as_object().unwrap().iter();
        weights.map(|(miner, weight)| (miner.clone(), Units::from_bits(number(weight) << 80))).collect()
    };
    let weights = of(&case["inputs"]["weights"]);
    for (rule, key) in [
        (Rounding::LargestRemainder, "largest_remainder"),
        (Rounding::CumulativeFloor, "cumulative_floor"),
        (Rounding::FloorCarry, "floor_carry"),
    ] {
        let due = split(&weights, Units::ZERO, Amount::new(number(&case["inputs"]["reward"])), rule).unwrap();
        let mut is: BTreeMap<String, u128> =
            due.entries.into_iter().map(|(miner, amount)| (miner, amount.get())).collect();
        if !due.carry.is_zero() {
            is.insert("~~carry".into(), due.carry.get());
        }
        assert_eq!(is, expected(&case["expected"][key]), "{key}");
    }
    let case = vector("round-06-residual-ledger");
    let mut residues = ResidueMap::default();
    let mut sums = BTreeMap::<String, u128>::new();
    for step in case["expected"]["steps"].as_array().unwrap() {
        let weights = of(&step["weights"]);
        let whole = weight_sum(&weights, Units::ZERO).unwrap();
        let reward = Amount::new(number(&step["reward"]));
        for (miner, amount) in accrue(&weights, Units::ZERO, whole, reward, &mut residues).unwrap().entries {
            assert_eq!(amount.get(), number(&step["credit"][&miner]), "{miner}");
            *sums.entry(miner).or_default() += amount.get();
        }
    }
    assert_eq!(sums, expected(&case["expected"]["total_credit"]));
}

/// The lines of a log on several chains and instances, and a conclusion behind each block.
fn lines(rule: &Rule, marks: &[(u8, u16, u16, u32, bool)], apart: bool) -> Vec<String> {
    let schedule = [Scheduled::new(ShareSeq::new(1), params(rule.clone(), 100, 0))].into();
    let mut lines = vec![Line::Pool { coin: CoinId::new("alephium").unwrap(), schedule }];
    let mut concluded = 0;
    for (seq, (miner, chain, instance, easier, solves)) in (1u64..).zip(marks) {
        let id = BlockId::new([seq as u8; 32]);
        let units = Units::from_bits(Units::BLOCK.to_bits() >> easier);
        let mut record = record(&format!("m{miner}"), units, 1 << (40 - easier), solves.then_some(id));
        if apart {
            record.chain = *chain;
            record.instance = InstanceId::new(*instance);
        }
        lines.push(Line::Share(LoggedShare { seq: ShareSeq::new(seq), record }));
        if *solves {
            concluded += 1;
            let value = Amount::new(1_000_003 * u128::from(seq));
            lines.push(Line::Conclusion { number: Seq::new(concluded), block: id, value });
        }
    }
    lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect()
}

#[test]
fn a_block_pays_the_work_on_all_chains() {
    let case = vector("prop-07-multichain");
    let log: Vec<LoggedShare> = (1u64..)
        .zip(case["inputs"]["shares"].as_array().unwrap())
        .map(|(seq, share)| {
            let units = Units::from_ratio(number(&share["d"]), 64).unwrap();
            let block = (json!(seq) == case["inputs"]["block_seq"]).then_some(BlockId::new([1; 32]));
            let mut record = record(share["miner"].as_str().unwrap(), units, 1, block);
            let chain = share["chain"].as_str().unwrap();
            record.chain = u16::from(chain.as_bytes()[0] - b'0') * 4 + u16::from(chain.as_bytes()[2] - b'0');
            LoggedShare { seq: ShareSeq::new(seq), record }
        })
        .collect();
    let (tally, awards) = awards(params(Rule::Prop {}, 0, 0), &log, number(&case["inputs"]["reward"]));
    assert_eq!(alloc(&tally, &awards[0]), expected(&case["expected"]["global"]["alloc"]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sixteen_chains_and_several_instances_are_one_log(
        marks in proptest::collection::vec((0u8..5, 0u16..16, 0u16..4, 0u32..9, any::<bool>()), 1..60)
    ) {
        for rule in [
            Rule::Prop {},
            pplns("3/2", Underfilled::Renormalise, WindowEdge::Interval),
            Rule::Exponential { window: Units::BLOCK, underfilled: Underfilled::OperatorKeeps },
        ] {
            let of = |apart| {
                let lines = lines(&rule, &marks, apart);
                replay(lines.iter().map(String::as_str)).unwrap()
            };
            let (apart, together) = (of(true), of(false));
            prop_assert_eq!(apart.len(), marks.iter().filter(|mark| mark.4).count());
            for (apart, together) in apart.iter().zip(&together) {
                prop_assert_eq!(&apart.award, &together.award, "pay knows units and order, and no chain");
                prop_assert_eq!(&apart.parts, &together.parts);
            }
            // The log itself is another where a chain is.
            let last = |list: &[Replayed]| list.last().map(|last| Statement::parse(&last.statement).unwrap().log.root);
            let moved = marks.iter().position(|mark| mark.1 != 0);
            if moved.is_some_and(|place| marks[place..].iter().any(|mark| mark.4)) {
                prop_assert_ne!(last(&apart), last(&together));
            }
        }
    }
}

#[test]
fn a_preview_right_after_a_block_starts_where_the_rule_does() {
    let units = Units::from_ratio(1, 4).unwrap();
    let rules = [
        (Rule::Prop {}, None),
        (pplns("1", Underfilled::Renormalise, WindowEdge::Interval), Some([("a", 500), ("b", 500)])),
        (pplns("1/4", Underfilled::Renormalise, WindowEdge::Interval), Some([("b", 1_000), ("", 0)])),
    ];
    for (rule, should) in rules {
        let mut tally = Tally::new(params(rule, 0, 0)).unwrap();
        assert_eq!(tally.preview(Amount::new(1_000)), None, "before the first share");
        for (seq, miner) in [(1, "a"), (2, "b")] {
            let record = record(miner, units, 1, (seq == 2).then_some(BlockId::new([1; 32])));
            tally.share(&LoggedShare { seq: ShareSeq::new(seq), record }).unwrap();
        }
        let named = |tally: &Tally| {
            let (list, operator) = tally.preview(Amount::new(1_000))?;
            assert_eq!(operator, Amount::ZERO);
            Some(
                list.into_iter().map(|(miner, amount)| (miner.to_string(), amount.get())).collect::<Vec<_>>(),
            )
        };
        let should = should.map(|list| {
            list.into_iter()
                .filter(|(_, amount)| *amount > 0)
                .map(|(miner, amount)| (miner.to_owned(), amount))
                .collect()
        });
        assert_eq!(named(&tally), should, "found");
        tally.conclude(BlockId::new([1; 32]), Amount::new(77)).unwrap();
        assert_eq!(named(&tally), should, "and paid");
    }
}

#[test]
fn hop_exact_windows_in_fixed_point() {
    // Every quota of the first is whole. In the second they are thirds, which LR1 rounds; the operator has the rest.
    let edge = WindowEdge::HopExact;
    for (id, window, should) in [
        ("pplns-07-hopexact-flat", "2", json!({ "a": 375_000, "b": 375_000, "c": 250_000 })),
        (
            "pplns-08-hopexact-drop",
            "3/5",
            json!({ "a": 208_333, "b": 341_667, "c": 416_667, "~operator": 33_333 }),
        ),
    ] {
        let inputs = &vector(id)["inputs"];
        let params = params(pplns(window, Underfilled::OperatorKeeps, edge), 0, 0);
        let (tally, awards) = awards(params, &log(inputs), number(&inputs["reward"]));
        assert_eq!(alloc(&tally, &awards[0]), expected(&should), "{id}");
    }
}

#[test]
fn three_blocks_of_the_double_geometric_method() {
    let case = vector("dgm-01");
    let points = |points| BasisPoints::new(points).unwrap();
    let rule = Rule::DoubleGeometric { average_fee: points(1_000), carry_over: points(8_000) };
    let (tally, awards) = awards(params(rule, 0, 0), &log(&case["inputs"]), number(&case["inputs"]["B"]));
    let blocks = case["expected"]["blocks"].as_array().unwrap();
    assert_eq!(awards.len(), blocks.len());
    for (award, block) in awards.iter().zip(blocks) {
        assert_eq!(alloc(&tally, award), expected(&block["alloc"]));
    }
}

#[test]
fn tiers_and_referral_to_the_unit() {
    let case = vector("fee-01-referral");
    let mut params = params(Rule::Prop {}, 0, 0);
    for (miner, rate) in case["inputs"]["fee_bps"].as_object().unwrap() {
        let rate = BasisPoints::new(u16::try_from(rate.as_u64().unwrap()).unwrap()).unwrap();
        params.fees.tiers.insert(MinerId::new(miner).unwrap(), rate);
    }
    params.fees.referral = BasisPoints::new(2_500).unwrap();
    params.fees.referrers.insert(MinerId::new("a").unwrap(), MinerId::new("b").unwrap());
    let weights = case["inputs"]["weights"].as_object().unwrap();
    let last = weights.len();
    let log: Vec<LoggedShare> = (1..)
        .zip(weights)
        .map(|(seq, (miner, weight))| {
            let units = Units::from_ratio(number(weight), 128).unwrap();
            let block = (seq == last).then_some(BlockId::new([1; 32]));
            LoggedShare { seq: ShareSeq::new(seq as u64), record: record(miner, units, 1, block) }
        })
        .collect();
    let (tally, awards) = awards(params, &log, number(&case["inputs"]["reward"]));
    assert_eq!(alloc(&tally, &awards[0]), expected(&case["expected"]["alloc"]));
}

/// The work of a case's shares as one period.
fn period(tally: &mut Tally, log: &[LoggedShare]) -> Period {
    for share in log {
        assert_eq!(tally.share(share), Ok(None));
    }
    let later = SchemeParams::new(Rule::Solo {});
    tally.change(later).unwrap().unwrap()
}

#[test]
fn shares_paid_by_themselves() {
    for (id, fee) in [("pps-01", 200), ("fpps-01-trim0", 250)] {
        let case = vector(id);
        let inputs = &case["inputs"];
        let value = Amount::new(number(&inputs["B"]));
        let rule = Rule::Pps { value, period_ms: 60_000, overdraft: Amount::ZERO };
        let mut tally = Tally::new(params(rule, fee, 0)).unwrap();
        let period = period(&mut tally, &log(inputs));
        // The day's mean of subsidy and fees is the value of an expected block.
        let rate = match inputs.get("day_blocks").and_then(Value::as_array) {
            Some(day) => {
                let sum: u128 =
                    day.iter().map(|block| number(&block["subsidy"]) + number(&block["fees"])).sum();
                Rate { value: Amount::new(sum), blocks: u32::try_from(day.len()).unwrap() }
            }
            None => Rate { value, blocks: 1 },
        };
        let pay = tally.price(&period, rate).unwrap();
        let credits: BTreeMap<String, u128> =
            pay.credits.iter().map(|(miner, amount)| (miner.to_string(), amount.get())).collect();
        assert_eq!(credits, expected(&case["expected"]["credit"]), "{id}");
    }
}

#[test]
fn grace_is_recorded_with_the_share() {
    let mut params = params(Rule::Prop {}, 1_000, 0);
    params.fees.grace_ms = 5_000;
    let mut tally = Tally::new(params).unwrap();
    let units = Units::from_ratio(1, 10).unwrap();
    for (seq, at) in [(1, 100_000), (2, 104_999), (3, 105_000), (4, 200_000)] {
        let mut record = record("a", units, 1, (seq == 4).then_some(BlockId::new([1; 32])));
        record.at = Timestamp::from_millis(at);
        tally.share(&LoggedShare { seq: ShareSeq::new(seq), record }).unwrap();
    }
    let awards = tally.conclude(BlockId::new([1; 32]), Amount::new(4_000)).unwrap();
    // Half of the work is free of fees, whenever the block settles.
    assert_eq!(alloc(&tally, &awards[0]), expected(&json!({ "a": 3_800, "~operator": 200 })));
}

#[test]
fn nothing_to_weigh_is_carried_to_the_next_block() {
    let mut tally = Tally::new(SchemeParams::new(Rule::Prop {})).unwrap();
    let (first, second) = (BlockId::new([1; 32]), BlockId::new([2; 32]));
    let units = Units::from_ratio(1, 10).unwrap();
    for (seq, units, block) in [(1, Units::ZERO, first), (2, units, second)] {
        let record = record("a", units, 1, Some(block));
        tally.share(&LoggedShare { seq: ShareSeq::new(seq), record }).unwrap();
    }
    let empty = &tally.conclude(first, Amount::new(70)).unwrap()[0];
    assert_eq!((empty.splits[0].carried_out, empty.splits[0].parts.len()), (Amount::new(70), 0));
    let next = &tally.conclude(second, Amount::new(30)).unwrap()[0];
    assert_eq!(
        (next.splits[0].carried_in, next.splits[0].parts[0].gross),
        (Amount::new(70), Amount::new(100))
    );
}

#[test]
fn a_new_fee_or_a_new_window_keeps_the_work_so_far() {
    let units = Units::from_ratio(1, 4).unwrap();
    let id = |seq: u64| BlockId::new([seq as u8; 32]);
    let rule = |window| pplns(window, Underfilled::OperatorKeeps, WindowEdge::Interval);
    // Four shares of a quarter each in a window of one block, then a change, then a share of another miner.
    let after = |change: SchemeParams| {
        let mut tally = Tally::new(params(rule("1"), 0, 0)).unwrap();
        for seq in 1..=4 {
            let record = record("old", units, 1, (seq == 4).then_some(id(seq)));
            tally.share(&LoggedShare { seq: ShareSeq::new(seq), record }).unwrap();
        }
        tally.change(change).unwrap();
        let record = record("new", units, 1, Some(id(5)));
        tally.share(&LoggedShare { seq: ShareSeq::new(5), record }).unwrap();
        // The snapshot of a changed tally is the tally.
        let mut out = pool_rewards::codec::Writer::default();
        tally.save(&mut out);
        let bytes = out.into_bytes();
        let mut tally = Tally::load(&mut pool_rewards::codec::Reader::new(&bytes)).unwrap();
        let later = tally.conclude(id(5), Amount::new(10_000)).unwrap();
        let before = tally.conclude(id(4), Amount::new(10_000)).unwrap();
        (alloc(&tally, &before[0]), alloc(&tally, &later[0]))
    };
    let all_old = expected(&json!({ "old": 10_000 }));
    let (before, later) = after(params(rule("1"), 1_000, 0));
    assert_eq!(before, all_old, "a block before the change keeps the old fee");
    assert_eq!(later, expected(&json!({ "old": 6_750, "new": 2_250, "~operator": 1_000 })));
    let (before, later) = after(params(rule("1/2"), 0, 0));
    assert_eq!((before, later), (all_old.clone(), expected(&json!({ "old": 5_000, "new": 5_000 }))));
    // A longer window finds the eighth of a window that was kept behind the old one, and no more.
    let (before, later) = after(params(rule("2"), 0, 0));
    assert_eq!(before, all_old);
    assert_eq!(later, expected(&json!({ "old": 5_000, "new": 1_250, "~operator": 3_750 })));
    // A rule of another kind begins anew.
    let (before, later) = after(params(Rule::Prop {}, 0, 0));
    assert_eq!((before, later), (all_old, expected(&json!({ "new": 10_000 }))));
}

#[test]
fn ties_go_by_name_and_not_by_who_came_first() {
    let units = Units::from_ratio(1, 3).unwrap();
    let mut tally = Tally::new(params(Rule::Prop {}, 0, 0)).unwrap();
    for (seq, miner) in [(1, "c"), (2, "b"), (3, "a")] {
        let record = record(miner, units, 1, (seq == 3).then_some(BlockId::new([1; 32])));
        tally.share(&LoggedShare { seq: ShareSeq::new(seq), record }).unwrap();
    }
    let awards = tally.conclude(BlockId::new([1; 32]), Amount::new(100)).unwrap();
    assert_eq!(alloc(&tally, &awards[0]), expected(&json!({ "a": 34, "b": 33, "c": 33 })));
}
