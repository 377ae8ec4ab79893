//! An operator who signs what is not so: whatever he bends in a statement or in a tree of accounts, a proof or the
//! statement itself says it, though every signature is good.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use pool_core::id::{BlockId, CoinId, InstanceId, MinerId, Seq, ShareSeq, Worker, WorkerName};
use pool_core::share::{Evidence, LoggedShare, ShareRecord};
use pool_core::time::Timestamp;
use pool_core::units::{Amount, BasisPoints, Units, Work};
use pool_rewards::fold::Scheduled;
use pool_rewards::proof::accounts::{self, Part, PartProof};
use pool_rewards::proof::export::{Line, Replayed, replay};
use pool_rewards::proof::key::OperatorKey;
use pool_rewards::proof::statement::{PayProof, SplitStatement, Statement};
use pool_rewards::proof::{BadProof, Digest};
use pool_rewards::scheme::{Rule, SchemeParams, Underfilled, WindowEdge, parse_units};
use pool_rewards::split::Rounding;
use proptest::prelude::*;

const ROUNDINGS: [Rounding; 4] =
    [Rounding::ResidualLedger, Rounding::LargestRemainder, Rounding::CumulativeFloor, Rounding::FloorCarry];

fn key() -> OperatorKey {
    OperatorKey::from_seed(&[3; 32])
}

fn miner(number: u64) -> MinerId {
    MinerId::new(&format!("miner-{number}")).unwrap()
}

/// The second of two blocks over five miners' shares, under tiers of fees, a bonus and an operator's own weight.
fn block(rounding: Rounding, edge: WindowEdge) -> Replayed {
    let rule =
        Rule::Pplns { window: parse_units("3").unwrap(), underfilled: Underfilled::OperatorKeeps, edge };
    let points = |points| BasisPoints::new(points).unwrap();
    let mut params = SchemeParams { rounding, ..SchemeParams::new(rule) };
    params.fees.pool = points(200);
    params.fees.finder_bonus = points(50);
    params.fees.tiers.insert(miner(1), points(1_000));
    params.fees.referral = points(2_500);
    params.fees.referrers.insert(miner(1), miner(2));
    let schedule = [Scheduled::new(ShareSeq::new(1), params)].into();
    let mut lines = vec![Line::Pool { coin: CoinId::new("kaspa").unwrap(), schedule }];
    for seq in 1..=17u64 {
        let block = [9, 17].contains(&seq).then(|| BlockId::new([seq as u8; 32]));
        let record = ShareRecord {
            instance: InstanceId::new(0),
            at: Timestamp::from_millis(seq),
            worker: Worker { miner: miner(seq % 5), name: WorkerName::clean("w") },
            work: Work::new(7).unwrap(),
            // The last one is lighter than those before it: a hop-exact window passes its budget.
            units: Units::from_ratio(1, if seq == 17 { 30 } else { 3 + u128::from(seq % 4) }).unwrap(),
            chain: 0,
            evidence: Evidence::new(&seq.to_be_bytes()).unwrap(),
            block,
        };
        lines.push(Line::Share(LoggedShare { seq: ShareSeq::new(seq), record }));
    }
    for (number, seq) in [(1, 9u8), (2, 17)] {
        let value = Amount::new(1_000_003 * u128::from(seq));
        lines.push(Line::Conclusion { number: Seq::new(number), block: BlockId::new([seq; 32]), value });
    }
    let lines: Vec<String> = lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    replay(lines.iter().map(String::as_str)).unwrap().remove(1)
}

/// What the operator's own signature under this statement is worth.
fn checked(statement: &Statement) -> Result<Statement, BadProof> {
    key().sign(statement.text()).verify(Some(&key().public()))
}

/// Every account's proof under a statement of these parts, signed.
fn proofs(statement: &Statement, parts: &[Part]) -> Vec<Result<Amount, BadProof>> {
    let signed = key().sign(statement.text());
    let proof =
        |index| PayProof { signed: signed.clone(), parts: vec![PartProof::of(0, parts, index).unwrap()] };
    (0..parts.len()).map(|index| proof(index).verify(None).map(|pay| pay.net)).collect()
}

#[test]
fn an_honest_statement_is_good_under_every_rule() {
    for rounding in ROUNDINGS {
        for edge in [WindowEdge::Interval, WindowEdge::HopExact] {
            let block = block(rounding, edge);
            let statement = Statement::parse(&block.statement).unwrap();
            assert_eq!(checked(&statement), Ok(statement.clone()));
            let nets: u128 =
                proofs(&statement, &block.parts[0]).into_iter().map(|net| net.unwrap().get()).sum();
            let split = &statement.splits[0];
            let gross: u128 = block.parts[0].iter().map(|part| part.gross.get()).sum();
            assert_eq!(nets, gross - split.fees.get() - split.referrals.get() + statement.bonus.get());
            assert!(!split.fees.is_zero() && !split.referrals.is_zero());
        }
    }
}

#[test]
fn sums_that_do_not_add_up_are_named() {
    type Bend = fn(&mut Statement);
    fn more(amount: &mut Amount) {
        *amount = Amount::new(amount.get() + 10);
    }
    fn split(statement: &mut Statement) -> &mut SplitStatement {
        &mut statement.splits[0]
    }
    let value = "parts of the value";
    let bends: [(&str, Bend, &str); 12] = [
        ("value", |s| more(&mut s.value), value),
        ("fee", |s| more(&mut s.fee), value),
        ("bonus", |s| more(&mut s.bonus), value),
        ("reserve", |s| more(&mut s.reserve), value),
        ("amount", |s| more(&mut split(s).amount), value),
        ("a split less", |s| s.splits.truncate(0), value),
        ("carried in", |s| more(&mut split(s).carried_in), "amounts"),
        ("carried out", |s| more(&mut split(s).carried_out), "amounts"),
        ("operator", |s| more(&mut split(s).operator), "amounts"),
        ("gross", |s| more(&mut split(s).accounts.gross), "amounts"),
        ("topped up", |s| more(&mut split(s).topped_up), "weights"),
        (
            "budget",
            |s| {
                let split = split(s);
                split.budget = Units::from_bits(split.budget.to_bits() + 1);
            },
            "weights",
        ),
    ];
    for rounding in ROUNDINGS {
        let good = Statement::parse(&block(rounding, WindowEdge::Interval).statement).unwrap();
        for (name, bend, says) in bends {
            let mut bent = good.clone();
            bend(&mut bent);
            let found = checked(&bent);
            // What a ledger of fractions received is not what it gave in the same block, so it may be a few units off.
            let lenient = rounding == Rounding::ResidualLedger && name == "carried in";
            assert!(found == Err(BadProof::Sums(says)) || lenient, "{rounding:?} {name}: {found:?}");
        }
        let mut greedy = good.clone();
        greedy.splits[0].fees = Amount::new(greedy.splits[0].accounts.gross.get() + 1);
        assert_eq!(checked(&greedy), Err(BadProof::Sums("amounts")));
        let mut wide = good.clone();
        wide.splits[0].carried_in = Amount::new(u128::MAX);
        assert_eq!(checked(&wide), Err(BadProof::Overflow));
        let mut later = good.clone();
        later.format += 1;
        assert!(matches!(checked(&later), Err(BadProof::Unreadable(_))));
        // A hop-exact window that passes its budget has to say what the operator adds.
        let mut over = Statement::parse(&block(rounding, WindowEdge::HopExact).statement).unwrap();
        assert!(!over.splits[0].topped_up.is_zero(), "the case is one of those");
        over.splits[0].topped_up = Amount::ZERO;
        assert_eq!(checked(&over), Err(BadProof::Sums("weights")));
    }
}

#[test]
fn a_ledger_of_fractions_gives_no_more_than_it_can_have_held() {
    let good = Statement::parse(&block(Rounding::ResidualLedger, WindowEdge::Interval).statement).unwrap();
    let split = &good.splits[0];
    let received = split.amount.get() + split.carried_in.get() + split.topped_up.get();
    let given = split.accounts.gross.get() + split.operator.get();
    let most = received + u128::from(split.accounts.accounts) - given;
    for (out, verdict) in [(most, Ok(())), (most + 1, Err(BadProof::Sums("amounts")))] {
        let mut bent = good.clone();
        bent.splits[0].carried_out = Amount::new(out);
        assert_eq!(checked(&bent).map(drop), verdict);
    }
    let mut endless = good.clone();
    endless.splits[0].budget = Units::ZERO;
    assert_eq!(checked(&endless), Err(BadProof::Sums("weights")), "weights without a whole to be parts of");
}

#[test]
fn statements_make_a_chain() {
    let second = block(Rounding::LargestRemainder, WindowEdge::Interval);
    let statement = Statement::parse(&second.statement).unwrap();
    assert_ne!(statement.previous, Digest::default());
    let mut other = statement.clone();
    other.previous = Digest::default();
    assert_ne!(other.hash(), statement.hash());
    assert_eq!(statement.hash(), Digest::of(second.statement.as_bytes()));
}

proptest! {
    #[test]
    fn a_unit_taken_from_one_and_given_to_another_is_seen_by_one_of_them(
        rounding in prop::sample::select(&ROUNDINGS[..]), from in 0usize..5, to in 0usize..5, by in 2u128..1_000, residue: u64
    ) {
        prop_assume!(from != to);
        let block = block(rounding, WindowEdge::Interval);
        let mut parts = block.parts[0].clone();
        let mut statement = Statement::parse(&block.statement).unwrap();
        parts[from].gross = Amount::new(parts[from].gross.get() - by);
        parts[to].gross = Amount::new(parts[to].gross.get() + by);
        if rounding == Rounding::ResidualLedger {
            // Whatever he says is left over.
            parts[from].residue = residue;
        }
        statement.splits[0].accounts = accounts::root(&parts).unwrap();
        prop_assert!(checked(&statement).is_ok(), "the sums are as they were");
        let verdicts = proofs(&statement, &parts);
        let refused = Err(BadProof::Part { part: 0, fault: Box::new(BadProof::Amount) });
        prop_assert_eq!(&verdicts[from], &refused);
        prop_assert_eq!(&verdicts[to], &refused);
        for (index, verdict) in verdicts.iter().enumerate() {
            prop_assert_eq!(verdict.is_ok(), index != from && index != to);
        }
    }

    #[test]
    fn weight_that_nobody_did_shows_in_the_sums_or_in_the_pay(rounding in prop::sample::select(&ROUNDINGS[..]), to in 0usize..5) {
        let block = block(rounding, WindowEdge::Interval);
        let mut parts = block.parts[0].clone();
        let mut statement = Statement::parse(&block.statement).unwrap();
        parts[to].weight = Units::from_bits(parts[to].weight.to_bits() + (1 << 80));
        statement.splits[0].accounts = accounts::root(&parts).unwrap();
        prop_assert_eq!(checked(&statement), Err(BadProof::Sums("weights")));
        // With a budget that fits again everybody else is due less than he got.
        statement.splits[0].budget = Units::from_bits(statement.splits[0].budget.to_bits() + (1 << 80));
        prop_assert!(checked(&statement).is_ok());
        prop_assert!(proofs(&statement, &parts).iter().any(Result::is_err));
    }
}
