//! A run of equal shares is the same as its shares one by one, for every scheme and at every moment.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use pool_core::id::{BlockId, ShareSeq};
use pool_core::units::{Amount, BasisPoints, Units, Work};
use pool_rewards::account::AccountIx;
use pool_rewards::codec::Writer;
use pool_rewards::scheme::{
    Anchor, BadEvent, Event, RewardParts, Rule, RunCounts, Scheme, SchemeParams, ShareEvent, Sink,
    Underfilled, Weights, WindowEdge,
};
use proptest::prelude::*;

/// Everything a scheme said.
#[derive(Debug, Default, PartialEq)]
struct Heard(Vec<(BlockId, Amount, Option<Weights>)>);

impl Sink for Heard {
    fn split(&mut self, id: BlockId, amount: Amount, weights: Weights) {
        self.0.push((id, amount, Some(weights)));
    }

    fn reserve(&mut self, id: BlockId, amount: Amount) {
        self.0.push((id, amount, None));
    }
}

fn rules() -> Vec<Rule> {
    let pplns = |blocks: u128, edge, underfilled| Rule::Pplns {
        window: Units::from_bits(blocks * Units::BLOCK.to_bits() / 16),
        underfilled,
        edge,
    };
    let points = |points| BasisPoints::new(points).unwrap();
    let (overdraft, period_ms) = (Amount::new(1 << 40), 1_000);
    vec![
        Rule::Solo {},
        Rule::Prop {},
        pplns(1, WindowEdge::Interval, Underfilled::Renormalise),
        pplns(24, WindowEdge::Interval, Underfilled::OperatorKeeps),
        pplns(24, WindowEdge::HopExact, Underfilled::Renormalise),
        Rule::Exponential { window: Units::BLOCK, underfilled: Underfilled::Renormalise },
        Rule::DoubleGeometric { average_fee: points(1_000), carry_over: points(8_000) },
        Rule::Tides { blocks: 2 },
        Rule::Pps { value: Amount::new(1_000), period_ms, overdraft },
        Rule::PpsPlus {
            subsidy: Amount::new(500),
            window: Units::BLOCK,
            underfilled: Underfilled::Renormalise,
            period_ms,
            overdraft,
        },
        Rule::Mixed {
            part: points(500),
            first: Box::new(Rule::Solo {}),
            rest: Box::new(pplns(3, WindowEdge::Interval, Underfilled::Renormalise)),
        },
    ]
}

fn saved(scheme: &dyn Scheme) -> Vec<u8> {
    let mut out = Writer::default();
    scheme.save(&mut out);
    out.into_bytes()
}

/// A run, and what happens behind it: a block that settles or is lost at once, or one that waits.
#[derive(Clone, Debug)]
struct Step {
    accounts: Vec<u32>,
    sixteenths: u32,
    behind: Behind,
}

#[derive(Clone, Copy, Debug)]
enum Behind {
    Nothing,
    Settled,
    Lost,
    Waits,
    SettlesOldest,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let behind = prop_oneof![
        Just(Behind::Nothing),
        Just(Behind::Settled),
        Just(Behind::Lost),
        Just(Behind::Waits),
        Just(Behind::SettlesOldest)
    ];
    let step = (prop::collection::vec(0u32..7, 0..40), 0u32..=16, behind)
        .prop_map(|(accounts, sixteenths, behind)| Step { accounts, sixteenths, behind });
    prop::collection::vec(step, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_run_is_its_shares_one_by_one(steps in steps(), wide in any::<bool>()) {
        for rule in rules() {
            let params = SchemeParams::new(rule.clone());
            let (mut fast, mut slow) = (params.start().unwrap(), params.start().unwrap());
            let (mut said_fast, mut said_slow) = (Heard::default(), Heard::default());
            let mut counts = RunCounts::default();
            let (mut seq, mut blocks) = (1u64, 0u8);
            for step in &steps {
                // Account numbers far apart take another way through the counting.
                let spread = if wide { 1_000 } else { 1 };
                let accounts: Vec<_> = step.accounts.iter().map(|a| AccountIx::new(a * spread)).collect();
                let units = Units::from_bits(Units::BLOCK.to_bits() / 16 * u128::from(step.sixteenths) / 16);
                let work = Work::new(1 << 20).unwrap();
                let run = counts.run(ShareSeq::new(seq), units, work, &accounts);
                prop_assert_eq!(run.counts().map(|(_, count)| count).sum::<u64>(), accounts.len() as u64);
                fast.shares(&run, &mut said_fast).unwrap();
                for account in &accounts {
                    let share = ShareEvent { seq: ShareSeq::new(seq), account: *account, units, work };
                    slow.apply(&Event::Share(share), &mut said_slow).unwrap();
                    seq += 1;
                }
                let mut both = |event: Event| {
                    let (one, other) = (fast.apply(&event, &mut said_fast), slow.apply(&event, &mut said_slow));
                    assert_eq!(one, other);
                    one
                };
                let value = RewardParts::whole(Amount::new(1_000_003));
                let mut found = |blocks: &mut u8| {
                    *blocks += 1;
                    let id = BlockId::new([*blocks; 32]);
                    let finder = accounts.last().copied().unwrap_or(AccountIx::new(0));
                    both(Event::Found { id, finder, anchor: Anchor::AtFind }).map(|()| id)
                };
                match step.behind {
                    Behind::Nothing => {}
                    Behind::Waits => { let _ = found(&mut blocks); }
                    Behind::Settled => if let Ok(id) = found(&mut blocks) {
                        let _ = both(Event::Settled { id, value });
                    },
                    Behind::Lost => if let Ok(id) = found(&mut blocks) {
                        let _ = both(Event::Lost { id });
                    },
                    Behind::SettlesOldest => if let Some(id) = slow.open().first().copied() {
                        let event = Event::Settled { id, value };
                        let (one, other) =
                            (fast.apply(&event, &mut said_fast), slow.apply(&event, &mut said_slow));
                        prop_assert_eq!(one, other);
                    },
                }
                prop_assert_eq!(&said_fast, &said_slow, "{:?}", rule);
                prop_assert_eq!(fast.preview(), slow.preview(), "{:?}", rule);
                prop_assert_eq!(fast.close_period(), slow.close_period());
            }
            prop_assert_eq!(saved(&*fast), saved(&*slow), "{:?}", rule);
        }
    }
}

#[test]
fn a_run_that_does_not_follow_is_refused_where_it_does_not() {
    for rule in rules() {
        let mut scheme = SchemeParams::new(rule).start().unwrap();
        let (mut counts, mut heard) = (RunCounts::default(), Heard::default());
        let accounts = [AccountIx::new(0), AccountIx::new(1)];
        let work = Work::new(1 << 20).unwrap();
        let units = Units::from_bits(1 << 80);
        scheme.shares(&counts.run(ShareSeq::new(1), units, work, &accounts), &mut heard).unwrap();
        let gap = scheme.shares(&counts.run(ShareSeq::new(4), units, work, &accounts), &mut heard);
        assert_eq!(gap, Err(BadEvent::Gap { last: ShareSeq::new(2), found: ShareSeq::new(4) }));
        let heavy = Units::from_bits(Units::BLOCK.to_bits() + 1);
        let heavy = scheme.shares(&counts.run(ShareSeq::new(3), heavy, work, &accounts), &mut heard);
        assert_eq!(heavy, Err(BadEvent::HeavyShare(ShareSeq::new(3))));
        scheme.shares(&counts.run(ShareSeq::new(3), units, work, &[]), &mut heard).unwrap();
        scheme.shares(&counts.run(ShareSeq::new(3), units, work, &accounts), &mut heard).unwrap();
    }
}
