use super::*;
use pool_core::id::Seq;
use pool_core::units::Work;
use pool_rewards::fold::Scheduled;
use pool_rewards::proof::export::{self, Line};

fn miner(name: &str) -> MinerId {
    MinerId::new(name).unwrap()
}

fn block(n: u64) -> BlockId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    BlockId::new(id)
}

fn share(seq: u64, who: &str, eighths: u128, solved: Option<u64>) -> Line {
    Line::Share(LoggedShare {
        seq: ShareSeq::new(seq),
        record: ShareRecord {
            instance: InstanceId::new(1),
            at: Timestamp::from_millis(1_700_000_000_000 + seq * 1_000),
            worker: Worker { miner: miner(who), name: WorkerName::clean("rig") },
            work: Work::new(eighths << 40).unwrap(),
            units: Units::from_ratio(eighths, 8).unwrap(),
            chain: 0,
            evidence: Evidence::new(&seq.to_be_bytes()).unwrap(),
            block: solved.map(block),
        },
    })
}

fn conclusion(number: u64, of: u64, value: u128) -> Line {
    Line::Conclusion { number: Seq::new(number), block: block(of), value: Amount::new(value) }
}

fn pool(rule: Rule, fee: u16) -> Line {
    let mut params = SchemeParams::new(rule);
    params.fees.pool = BasisPoints::new(fee).unwrap();
    Line::Pool {
        coin: CoinId::new("kaspa").unwrap(),
        schedule: vec![Scheduled::new(ShareSeq::new(1), params)],
    }
}

fn text(lines: &[Line]) -> String {
    lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect()
}

/// Two rounds: `a` does all of the first but its last share, `b` most of the second.
fn lines() -> Vec<Line> {
    vec![
        pool(Rule::Prop {}, 0),
        share(1, "a", 2, None),
        share(2, "a", 2, None),
        share(3, "b", 1, Some(1)),
        share(4, "b", 3, None),
        conclusion(1, 1, 1_000),
        share(5, "a", 1, None),
        share(6, "b", 2, Some(2)),
        conclusion(2, 2, 600),
    ]
}

fn read(lines: &[Line]) -> Result<Log, BadLog> {
    Log::read(text(lines).as_bytes())
}

fn fault(lines: &[Line]) -> (usize, String) {
    let bad = read(lines).expect_err("a fault");
    (bad.line, bad.fault.to_string())
}

#[test]
fn schemes_stand_side_by_side() {
    let log = read(&lines()).unwrap();
    let compared = compare(&log, &usual(&log)).unwrap();
    assert_eq!((compared.shares, compared.found, compared.concluded), (6, 2, 2));
    assert_eq!(compared.value, Amount::new(1_600));
    assert_eq!(compared.millis, 5_000);
    assert!((compared.work - 11.0 / 8.0).abs() < 1e-12);
    let credits = |name: &str| {
        let column = compared.columns.iter().find(|column| column.name == name).unwrap();
        assert_eq!(i128::try_from(column.paid.get()).unwrap() + column.operator, 1_600, "{name}");
        column.credits.iter().map(|amount| amount.get()).collect::<Vec<_>>()
    };
    assert_eq!(compared.accounts[0].0, miner("a"));
    // PROP: 1000 by 4:1, 600 by 1:5. As it was: the same.
    assert_eq!(credits("PROP"), [900, 700]);
    assert_eq!(credits("as it was (PROP)"), [900, 700]);
    assert_eq!(credits("SOLO"), [0, 1_600]);
    // PPLNS over everything: 4:1 of 1000, then 5:6 of 600; fractions stay owed.
    assert_eq!(credits("PPLNS 8"), [800 + 272, 200 + 327]);
    // PPS at a mean of 800: 5/8 and 6/8 blocks.
    assert_eq!(credits("PPS"), [500, 600]);
    assert_eq!(compared.columns.iter().find(|column| column.name == "PPS").unwrap().operator, 500);
    // 9/16 of the money went to who did 5/11 of the work.
    assert!((compared.astray(0) - (9.0 / 16.0 - 5.0 / 11.0)).abs() < 1e-12);
    let own = compared.against_work(0, 0).unwrap();
    assert!((own - 900.0 / (5.0 / 11.0 * 1_600.0)).abs() < 1e-12);
}

/// What the pool's own column says is what the published statements say.
#[test]
fn the_own_column_is_the_statements() {
    let mut lines = lines();
    lines[0] = pool(
        Rule::Pplns {
            window: Units::BLOCK,
            underfilled: Underfilled::Renormalise,
            edge: WindowEdge::Interval,
        },
        150,
    );
    let text = text(&lines);
    let log = Log::read(text.as_bytes()).unwrap();
    let column = &compare(&log, &usual(&log)).unwrap().columns[0];
    let mut stated = BTreeMap::<MinerId, u128>::new();
    for replayed in export::replay(text.lines()).unwrap() {
        for part in replayed.parts.iter().flatten() {
            *stated.entry(part.miner.clone()).or_default() += part.gross.get() - part.fee_amount().get();
        }
    }
    let stated: Vec<u128> = stated.into_values().collect();
    assert_eq!(column.credits.iter().map(|amount| amount.get()).collect::<Vec<_>>(), stated);
    assert!(column.operator >= 24, "the fee of 1.5 % is the operator's: {}", column.operator);
}

#[test]
fn changes_of_parameters_are_followed() {
    let mut lines = lines();
    let Line::Pool { schedule, .. } = &mut lines[0] else { panic!("the first line") };
    let mut dearer = schedule[0].params.clone();
    dearer.fees.pool = BasisPoints::new(1_000).unwrap();
    schedule.push(Scheduled::new(ShareSeq::new(4), dearer));
    let log = read(&lines).unwrap();
    let compared = compare(&log, &usual(&log)).unwrap();
    // The second block is taken 10 % of under every scheme that splits blocks.
    for name in ["SOLO", "PROP"] {
        let column = compared.columns.iter().find(|column| column.name == name).unwrap();
        assert_eq!(column.operator, 60, "{name}");
    }
}

#[test]
fn lost_blocks_cost_who_pays_shares() {
    let mut lines = lines();
    lines[8] = conclusion(2, 2, 0);
    let log = read(&lines).unwrap();
    let compared = compare(&log, &usual(&log)).unwrap();
    let paid = |name: &str| compared.columns.iter().find(|column| column.name == name).unwrap().paid.get();
    // 11/8 blocks at 1000 a paid block, or at 500 a block.
    assert_eq!(paid("PPS"), 625 + 750);
    assert_eq!(paid("FPPS"), 312 + 375);
    assert_eq!(paid("PROP"), 1_000);
    // No value at all: nothing is due, and no scheme that pays shares can be named.
    lines[5] = conclusion(1, 1, 0);
    let log = read(&lines).unwrap();
    let compared = compare(&log, &usual(&log)).unwrap();
    assert!(compared.columns.iter().all(|column| column.paid.is_zero() && !column.name.contains("PPS")));
    assert_eq!(compared.against_work(0, 0), None);
}

#[test]
fn a_realised_value_is_a_trimmed_mean() {
    let value = BlockValue::Realised { blocks: 4, trim: 1, start: Amount::new(10) };
    let amounts = |list: &[u128]| list.iter().map(|value| Amount::new(*value)).collect::<Vec<_>>();
    assert_eq!(rate(&value, &[]), Some(Rate { value: Amount::new(20), blocks: 2 }));
    assert_eq!(rate(&value, &amounts(&[99, 1, 5, 7, 30])), Some(Rate { value: Amount::new(12), blocks: 2 }));
}

#[test]
fn what_a_log_does_not_know_is_no_number() {
    let mut lines = lines();
    let value = BlockValue::Reference { trim: 0 };
    lines[0] = pool(Rule::Fpps { value, period_ms: 60_000, overdraft: Amount::ZERO }, 100);
    let log = read(&lines).unwrap();
    let usual = usual(&log);
    assert!(usual.iter().all(|candidate| candidate.rule.is_some()), "the pool's own is left out");
    assert!(compare(&log, &usual).is_ok());
    let own = [Candidate { name: "own".into(), rule: None }];
    assert!(matches!(compare(&log, &own), Err(ReplayError::NoReference(name)) if name == "own"));
}

#[test]
fn gaps_and_repeats_are_named() {
    let mut gap = lines();
    gap.remove(2);
    assert_eq!(fault(&gap), (3, "share 3 cannot follow share 1: shares are missing between them".into()));
    let mut repeat = lines();
    repeat.insert(3, share(2, "a", 2, None));
    assert_eq!(fault(&repeat), (4, "share 2 comes again after share 2".into()));
    let mut same = lines();
    let Line::Share(copied) = &mut same[4] else { panic!("a share") };
    copied.record.evidence = Evidence::new(&1u64.to_be_bytes()).unwrap();
    assert_eq!(fault(&same), (5, "share 4 is the same solution as share 1".into()));
    let mut late = lines();
    late.remove(1);
    assert_eq!(fault(&late).0, 2);
}

#[test]
fn blocks_must_be_known_and_once() {
    let mut unknown = lines();
    unknown[5] = conclusion(1, 9, 1_000);
    let (line, text) = fault(&unknown);
    assert_eq!(line, 6);
    assert!(text.ends_with("is concluded, and no share before solved it"), "{text}");
    let mut early = lines();
    early.swap(3, 5);
    assert!(fault(&early).1.contains("no share before solved it"));
    let mut twice = lines();
    twice.push(conclusion(3, 1, 5));
    assert!(fault(&twice).1.ends_with("was concluded before"));
    assert_eq!(fault(&twice).0, 10);
    let mut found_twice = lines();
    found_twice[7] = share(6, "b", 2, Some(1));
    assert!(fault(&found_twice).1.ends_with("was found before"));
    let mut missing = lines();
    missing[8] = conclusion(3, 2, 600);
    assert_eq!(fault(&missing), (9, "conclusion 3 cannot follow conclusion 1".into()));
    let mut rich = lines();
    rich[8] = conclusion(2, 2, VALUE_TOO_HIGH);
    assert!(fault(&rich).1.contains("2^120"));
}

const VALUE_TOO_HIGH: u128 = 1 << 120;

#[test]
fn difficulties_must_be_possible() {
    let edit = |index: usize, change: &dyn Fn(&mut ShareRecord)| {
        let mut lines = lines();
        let Line::Share(share) = &mut lines[index] else { panic!("a share") };
        change(&mut share.record);
        fault(&lines)
    };
    let (line, text) = edit(2, &|record| record.units = Units::ZERO);
    assert_eq!((line, text.as_str()), (3, "share 2 stands for no part of a block: its difficulty is zero"));
    let (line, text) = edit(4, &|record| record.units = Units::from_bits(Units::BLOCK.to_bits() + 1));
    assert_eq!((line, text.as_str()), (5, "share 4 stands for more than a whole block"));
    let (line, text) = edit(4, &|record| record.work = Work::new(1 << 62).unwrap());
    assert_eq!(line, 5);
    assert!(text.contains("makes the network's difficulty"), "{text}");
    // Work of zero is no work at all: the line itself is refused.
    let zero = text_of_first_share().replace("\"work\":\"2199023255552\"", "\"work\":\"0\"");
    let whole = self::text(&lines()[..1]) + &zero;
    let bad = Log::read(whole.as_bytes()).unwrap_err();
    assert!(matches!(bad.fault, Fault::Json(_)) && bad.line == 2, "{bad}");
}

fn text_of_first_share() -> String {
    let line = text(&lines()[1..2]);
    assert!(line.contains("\"work\":\"2199023255552\""), "{line}");
    line
}

#[test]
fn headers_and_garbage_are_named() {
    assert!(matches!(Log::read(&b""[..]).unwrap_err().fault, Fault::Empty));
    assert!(matches!(read(&lines()[1..]).unwrap_err(), BadLog { line: 1, fault: Fault::Header }));
    assert!(matches!(read(&lines()[..1]).unwrap_err(), BadLog { line: 1, fault: Fault::NoShares }));
    let mut twice = lines();
    twice.insert(4, pool(Rule::Prop {}, 0));
    assert!(matches!(read(&twice).unwrap_err(), BadLog { line: 5, fault: Fault::Header }));
    let mut none = lines();
    let Line::Pool { schedule, .. } = &mut none[0] else { panic!("the first line") };
    schedule.clear();
    assert!(matches!(read(&none).unwrap_err(), BadLog { line: 1, fault: Fault::NoParams }));
    let mut forged = lines();
    let Line::Pool { schedule, .. } = &mut forged[0] else { panic!("the first line") };
    schedule[0].params.fees.pool = BasisPoints::new(9).unwrap();
    assert!(matches!(read(&forged).unwrap_err().fault, Fault::Schedule { index: 1, .. }));
    let mut empty_window = lines();
    empty_window[0] = pool(
        Rule::Pplns {
            window: Units::ZERO,
            underfilled: Underfilled::Renormalise,
            edge: WindowEdge::Interval,
        },
        0,
    );
    assert!(matches!(read(&empty_window).unwrap_err().fault, Fault::Params { index: 1, .. }));
    let garbage = text(&lines()) + "{\"share\":\n";
    let bad = Log::read(garbage.as_bytes()).unwrap_err();
    assert!(matches!(bad.fault, Fault::Json(_)) && bad.line == 10);
    let bytes = [text(&lines()[..1]).as_bytes(), b"\xff\xfe\n"].concat();
    assert!(matches!(Log::read(&bytes[..]).unwrap_err(), BadLog { line: 2, fault: Fault::Unreadable(_) }));
}
