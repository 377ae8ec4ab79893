//! Records that cannot be: each is refused by a typed error that names the place, and no number comes of it.
//!
//! The same list is tried on the calculator of single cases in `case`, on the engines in `engines`, and through the
//! command line in the tests of `poolctl`.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use pool_core::id::{BlockId, CoinId, InstanceId, MinerId, Seq, ShareSeq, Worker, WorkerName};
use pool_core::share::{Evidence, LoggedShare, ShareRecord};
use pool_core::time::Timestamp;
use pool_core::units::{Amount, BasisPoints, Units, Work};
use pool_rewards::fold::{FoldError, Scheduled};
use pool_rewards::proof::export::{BadExport, ExportFault, Line, Replayed, replay};
use pool_rewards::scheme::{
    BadEvent, BadParams, BlockValue, Rule, SchemeParams, Underfilled, WindowEdge, parse_units,
};
use serde_json::Value;

fn id(number: u8) -> BlockId {
    BlockId::new([number; 32])
}

fn rules() -> Vec<Rule> {
    let window = parse_units("2").unwrap();
    let points = |points| BasisPoints::new(points).unwrap();
    let interval = |underfilled| Rule::Pplns { window, underfilled, edge: WindowEdge::Interval };
    vec![
        Rule::Solo {},
        Rule::Prop {},
        interval(Underfilled::Renormalise),
        interval(Underfilled::OperatorKeeps),
        Rule::Pplns { window, underfilled: Underfilled::OperatorKeeps, edge: WindowEdge::HopExact },
        Rule::Exponential { window, underfilled: Underfilled::Renormalise },
        Rule::Geometric { average_fee: points(500) },
        Rule::DoubleGeometric { average_fee: points(500), carry_over: points(8_000) },
        Rule::Tides { blocks: 8 },
        Rule::Mixed { part: points(500), first: Box::new(Rule::Solo {}), rest: Box::new(Rule::Prop {}) },
        Rule::PpsPlus {
            subsidy: Amount::new(1_000),
            window,
            underfilled: Underfilled::Renormalise,
            period_ms: 60_000,
            overdraft: Amount::ZERO,
        },
        Rule::Pps { value: Amount::new(1_000), period_ms: 60_000, overdraft: Amount::ZERO },
        Rule::Fpps {
            value: BlockValue::Realised { blocks: 5, trim: 1, start: Amount::new(9) },
            period_ms: 60_000,
            overdraft: Amount::ZERO,
        },
        Rule::Fpps { value: BlockValue::Reference { trim: 3 }, period_ms: 60_000, overdraft: Amount::ZERO },
    ]
}

fn share(seq: u64, units: Units, block: Option<BlockId>) -> Line {
    let record = ShareRecord {
        instance: InstanceId::new(0),
        at: Timestamp::from_millis(1_000 * seq),
        worker: Worker {
            miner: MinerId::new(&format!("m{}", seq % 3)).unwrap(),
            name: WorkerName::clean("w"),
        },
        work: Work::new(1_000).unwrap(),
        units,
        chain: 0,
        evidence: Evidence::new(&seq.to_be_bytes()).unwrap(),
        block,
    };
    Line::Share(LoggedShare { seq: ShareSeq::new(seq), record })
}

fn eighth() -> Units {
    Units::from_ratio(1, 8).unwrap()
}

/// Six shares of an eighth of a block each, the third and the sixth of which solve one; both conclusions.
fn log(rule: &Rule) -> Vec<Line> {
    let schedule = [Scheduled::new(ShareSeq::new(1), SchemeParams::new(rule.clone()))].into();
    let mut lines = vec![Line::Pool { coin: CoinId::new("kaspa").unwrap(), schedule }];
    for seq in 1..=6u8 {
        lines.push(share(seq.into(), eighth(), seq.is_multiple_of(3).then(|| id(seq))));
    }
    for (number, block) in [(1, id(3)), (2, id(6))] {
        lines.push(Line::Conclusion { number: Seq::new(number), block, value: Amount::new(10_007) });
    }
    lines
}

fn text(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect()
}

fn tried(lines: &[String]) -> Result<Vec<Replayed>, BadExport> {
    replay(lines.iter().map(String::as_str))
}

/// What a changed log is refused for.
fn refused(rule: &Rule, change: impl FnOnce(&mut Vec<Line>)) -> (usize, ExportFault) {
    let mut lines = log(rule);
    change(&mut lines);
    let bad = tried(&text(&lines)).unwrap_err();
    (bad.line, bad.fault)
}

/// The same with an event that cannot follow.
fn refused_event(rule: &Rule, change: impl FnOnce(&mut Vec<Line>)) -> (usize, BadEvent) {
    match refused(rule, change) {
        (line, ExportFault::Fold(FoldError::Event(event))) => (line, event),
        other => panic!("{other:?}"),
    }
}

fn conclusion(number: u64, block: BlockId, value: u128) -> Line {
    Line::Conclusion { number: Seq::new(number), block, value: Amount::new(value) }
}

#[test]
fn every_rule_reads_the_good_log() {
    for rule in rules() {
        let replayed = tried(&text(&log(&rule))).unwrap();
        assert_eq!(replayed.len(), 2, "{rule:?}");
    }
}

#[test]
fn gaps_and_repeats() {
    for rule in rules() {
        let (line, fault) = refused(&rule, |lines| drop(lines.remove(2)));
        let (from, upto) = (ShareSeq::new(2), ShareSeq::new(2));
        assert_eq!(line, 3);
        assert!(
            matches!(fault, ExportFault::Fold(FoldError::Pruned { from: f, upto: u }) if (f, u) == (from, upto))
        );
        let (last, found) = (ShareSeq::new(2), ShareSeq::new(2));
        let again = refused_event(&rule, |lines| lines.insert(3, lines[2].clone()));
        assert_eq!(again, (4, BadEvent::Gap { last, found }));
        // Two shares that claim one block, and a block twice after it was paid.
        let twice = refused_event(&rule, |lines| lines[4] = share(4, eighth(), Some(id(3))));
        assert_eq!(twice, (5, BadEvent::Repeated(id(3))));
        let (line, fault) = refused(&rule, |lines| lines.push(conclusion(3, id(3), 5)));
        assert_eq!(line, 10);
        assert!(matches!(fault, ExportFault::NoShare(block) if block == id(3)), "a block is paid once");
        let (line, fault) = refused(&rule, |lines| lines.push(lines[8].clone()));
        let (last, found) = (Seq::new(2), Seq::new(2));
        assert_eq!(line, 10);
        assert!(
            matches!(fault, ExportFault::Fold(FoldError::ConclusionGap { last: l, found: f }) if (l, f) == (last, found))
        );
        let (line, fault) = refused(&rule, |lines| drop(lines.remove(7)));
        assert_eq!(line, 8);
        assert!(matches!(fault, ExportFault::Fold(FoldError::ConclusionGap { .. })));
    }
}

#[test]
fn unknown_blocks() {
    for rule in rules() {
        let (line, fault) = refused(&rule, |lines| lines[7] = conclusion(1, id(9), 10));
        assert_eq!(line, 8);
        assert_eq!(fault.to_string(), format!("block {} is concluded before its share", id(9)));
    }
}

#[test]
fn zero_and_absurd_difficulty() {
    // Zero work and work of a difficulty no chain has: a share cannot even be written down so.
    for (from, to, says) in [
        ("\"work\":\"1000\"", "\"work\":\"0\"", "work"),
        ("\"work\":\"1000\"", "\"work\":\"340282366920938463463374607431768211456\"", ""),
        ("\"units\":\"", "\"units\":\"-", ""),
    ] {
        let mut lines = text(&log(&Rule::Prop {}));
        assert!(lines[4].contains(from), "{}", lines[4]);
        lines[4] = lines[4].replacen(from, to, 1);
        let bad = tried(&lines).unwrap_err();
        assert_eq!(bad.line, 5);
        assert!(matches!(bad.fault, ExportFault::Json(_)));
        assert!(bad.to_string().contains(says), "{bad}");
    }
    assert_eq!(Units::from_ratio(1, 0), None);
    assert_eq!(Units::from_ratio(u128::MAX, 1), None);
    // A share easier than the network's own target cannot stand for more than the block it might be.
    for rule in rules() {
        let heavy = Units::from_bits(Units::BLOCK.to_bits() + 1);
        let event = refused_event(&rule, |lines| lines[4] = share(4, heavy, None));
        assert_eq!(event, (5, BadEvent::HeavyShare(ShareSeq::new(4))));
    }
}

#[test]
fn amounts_at_the_limits_of_their_width() {
    for rule in rules() {
        // The widest value that is taken is split to the unit; the next one is refused by name.
        let widest = (1u128 << 120) - 1;
        let mut lines = log(&rule);
        lines[8] = conclusion(2, id(6), widest);
        let replayed = tried(&text(&lines)).unwrap();
        let award = &replayed[1].award;
        let splits: u128 = award.splits.iter().map(|split| split.amount.get()).sum();
        assert_eq!(award.fee.get() + award.bonus.get() + award.reserve.get() + splits, widest, "{rule:?}");
        for value in [1 << 120, u128::MAX] {
            let event = refused_event(&rule, |lines| lines[8] = conclusion(2, id(6), value));
            assert_eq!(event, (9, BadEvent::AmountOverflow(id(6))));
        }
        let mut lines = text(&log(&rule));
        lines[8] = lines[8].replacen("10007", "340282366920938463463374607431768211456", 1);
        let bad = tried(&lines).unwrap_err();
        assert_eq!(bad.line, 9);
        assert!(matches!(bad.fault, ExportFault::Json(_)), "{bad}");
    }
}

#[test]
fn a_window_longer_than_the_log_and_an_empty_round() {
    for rule in rules() {
        let replayed = tried(&text(&log(&rule))).unwrap();
        for block in &replayed {
            for split in &block.award.splits {
                let weights: u128 = split.parts.iter().map(|part| part.weight.to_bits()).sum();
                let credits: u128 = split.parts.iter().map(|part| part.gross.get()).sum();
                let whole = weights + split.operator_weight.to_bits();
                assert!(whole >= split.budget.to_bits(), "{rule:?}");
                assert!(credits + split.operator.get() <= split.amount.get() + split.topped_up.get() + 4);
                if let Rule::Pplns {
                    underfilled: Underfilled::OperatorKeeps,
                    edge: WindowEdge::Interval,
                    ..
                } = rule
                {
                    // Three or six eighths of a window of two blocks are there; the operator holds the rest.
                    assert_eq!(split.operator_weight.to_bits() + weights, 2 * Units::BLOCK.to_bits());
                }
            }
        }
        // A round without any work: what it brought waits for the next one, under whatever rule splits.
        let mut lines = log(&rule);
        for (place, line) in lines.iter_mut().enumerate().take(7).skip(1) {
            if let Line::Share(logged) = line {
                logged.record.units = if place <= 3 { Units::ZERO } else { eighth() };
            }
        }
        let replayed = tried(&text(&lines)).unwrap();
        let (first, second) = (&replayed[0].award, &replayed[1].award);
        let waits = first.splits.iter().any(|split| split.budget == Units::ZERO);
        if waits {
            let carried: u128 = first.splits.iter().map(|split| split.carried_out.get()).max().unwrap();
            assert!(carried > 0, "{rule:?}");
            assert_eq!(second.splits[0].carried_in.get(), carried, "{rule:?}");
        } else {
            let is_whole = matches!(rule, Rule::Solo {})
                || rule.pays_shares()
                || first
                    .splits
                    .iter()
                    .all(|split| split.operator_weight > Units::ZERO || !split.parts.is_empty());
            assert!(is_whole, "{rule:?}: {first:?}");
        }
    }
}

#[test]
fn parameters_that_are_not_their_own() {
    let (line, fault) = refused(&Rule::Prop {}, |lines| {
        let Line::Pool { schedule, .. } = &mut lines[0] else { panic!() };
        schedule[0].hash = "00".repeat(32);
    });
    assert!(line == 1 && matches!(fault, ExportFault::ParamsHash { version: 1 }), "{fault}");
    let (line, fault) = refused(&Rule::Prop {}, |lines| {
        let Line::Pool { schedule, .. } = &mut lines[0] else { panic!() };
        schedule[0].from = ShareSeq::new(4);
        schedule.push(Scheduled::new(ShareSeq::new(3), SchemeParams::new(Rule::Solo {})));
    });
    assert!(line == 1 && matches!(fault, ExportFault::ParamsOrder { version: 2 }), "{fault}");
    let (line, fault) = refused(&Rule::Prop {}, |lines| {
        let Line::Pool { schedule, .. } = &mut lines[0] else { panic!() };
        schedule.clear();
    });
    assert!(line == 1 && matches!(fault, ExportFault::NoParams));
    let (line, fault) = refused(&Rule::Tides { blocks: 0 }, |_| ());
    assert!(
        line == 1 && matches!(fault, ExportFault::Fold(FoldError::Params(BadParams::EmptyWindow))),
        "{fault}"
    );
    // Later parameters are looked at when they come into force, and the line there is named.
    let (line, fault) = refused(&Rule::Prop {}, |lines| {
        let Line::Pool { schedule, .. } = &mut lines[0] else { panic!() };
        schedule.push(Scheduled::new(ShareSeq::new(5), SchemeParams::new(Rule::Tides { blocks: 0 })));
    });
    assert!(
        line == 6 && matches!(fault, ExportFault::Fold(FoldError::Params(BadParams::EmptyWindow))),
        "{fault}"
    );
    let huge = BlockValue::Reference { trim: u32::MAX };
    let rule = Rule::Fpps { value: huge, period_ms: 60_000, overdraft: Amount::ZERO };
    assert_eq!(SchemeParams::new(rule).validate(), Err(BadParams::BadMean));
}

#[test]
fn lines_that_are_none() {
    let lines = text(&log(&Rule::Prop {}));
    for (place, line) in lines.iter().enumerate() {
        // Any line cut anywhere, and any line with a member nobody knows.
        for end in (0..line.len()).step_by(7) {
            let mut cut = lines.clone();
            cut[place].truncate(end);
            assert_eq!(tried(&cut).unwrap_err().line, place + 1);
        }
        let mut value: Value = serde_json::from_str(line).unwrap();
        value.as_object_mut().unwrap().values_mut().next().unwrap()["surplus"] = 1.into();
        let mut more = lines.clone();
        more[place] = value.to_string();
        let bad = tried(&more);
        // Records of shares are the store's own form, which may grow members; headers and conclusions may not.
        if !line.starts_with("{\"share\"") {
            assert_eq!(bad.unwrap_err().line, place + 1, "{line}");
        }
    }
}
