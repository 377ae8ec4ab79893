//! The fast engines equal the slow oracle on random logs, whatever the order of fates, and survive a snapshot anywhere.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod oracle;

use num_traits::{Signed, Zero};
use oracle::*;
use pool_core::id::{BlockId, ShareSeq};
use pool_core::units::{Amount, BasisPoints, Units, Work};
use pool_rewards::account::AccountIx;
use pool_rewards::codec::{Reader, Writer};
use pool_rewards::engine::Stream;
use pool_rewards::scheme::{
    Anchor, BadEvent, Event, RewardParts, Rule, Scheme, SchemeParams, ShareEvent, Underfilled, WindowEdge,
};
use proptest::prelude::*;

fn start(rule: &Rule) -> Box<dyn Scheme> {
    SchemeParams::new(rule.clone()).start().unwrap()
}

fn points(points: u16) -> BasisPoints {
    BasisPoints::new(points).unwrap()
}

fn pplns(window: u128, underfilled: Underfilled, edge: WindowEdge) -> Rule {
    Rule::Pplns { window: Units::from_bits(window), underfilled, edge }
}

/// Every rule there is, with windows that blocks of a random log reach back over.
fn rules() -> impl Strategy<Value = Rule> {
    let policy = prop_oneof![Just(Underfilled::Renormalise), Just(Underfilled::OperatorKeeps)];
    let edge = prop_oneof![Just(WindowEdge::Interval), Just(WindowEdge::HopExact)];
    let window = prop_oneof![1u128..1 << 90, Just(1u128 << 87), Just(1u128 << 88)];
    (policy, edge, window, 1u16..10_000, 0u16..10_000, 0usize..9).prop_map(
        |(underfilled, edge, window, fee, kept, kind)| {
            let units = Units::from_bits(window);
            let (average_fee, carry_over) = (points(fee), points(kept));
            match kind {
                0 => Rule::Solo {},
                1 => Rule::Prop {},
                2 => pplns(window, underfilled, edge),
                3 => Rule::Exponential { window: units, underfilled },
                4 => Rule::Geometric { average_fee },
                5 => Rule::DoubleGeometric { average_fee, carry_over },
                6 => Rule::PpsPlus {
                    subsidy: Amount::new(1 << 20),
                    window: units,
                    underfilled,
                    period_ms: 60_000,
                    overdraft: Amount::ZERO,
                },
                7 => Rule::Mixed {
                    part: points(fee),
                    first: Box::new(Rule::Solo {}),
                    rest: Box::new(Rule::Prop {}),
                },
                _ => Rule::Mixed {
                    part: points(kept),
                    first: Box::new(pplns(window, underfilled, edge)),
                    rest: Box::new(Rule::DoubleGeometric { average_fee, carry_over }),
                },
            }
        },
    )
}

fn saved(scheme: &dyn Scheme) -> Vec<u8> {
    let mut out = Writer::default();
    scheme.save(&mut out);
    out.into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn pplns_equals_the_oracle(log in logs(60), window in 1u128..1 << 90, keeps: bool) {
        let underfilled = if keeps { Underfilled::OperatorKeeps } else { Underfilled::Renormalise };
        let mut scheme = start(&pplns(window, underfilled, WindowEdge::Interval));
        let told = run(&mut *scheme, &log.events());
        for (index, value) in log.blocks.iter().filter(|(_, value)| *value > 0) {
            let (amount, weights) = &told.splits[&block_id(*index)][0];
            prop_assert_eq!(amount.get(), u128::from(*value));
            prop_assert_eq!(exact(weights), oracle::pplns(&log, *index, window));
            let missing = window.saturating_sub(log.positions()[*index]);
            prop_assert_eq!(weights.operator.to_bits(), if keeps { missing } else { 0 });
            prop_assert_eq!(weights.to.to_bits(), log.positions()[*index]);
        }
        let paid = log.blocks.iter().filter(|(_, value)| *value > 0).count();
        prop_assert_eq!(told.splits.len(), paid);
        prop_assert!(scheme.open().is_empty());
    }

    #[test]
    fn hop_exact_equals_the_oracle(log in logs(60), window in 1u128 << 80..1 << 90) {
        let mut scheme = start(&pplns(window, Underfilled::OperatorKeeps, WindowEdge::HopExact));
        let told = run(&mut *scheme, &log.events());
        for (index, _) in log.blocks.iter().filter(|(_, value)| *value > 0) {
            let (_, weights) = &told.splits[&block_id(*index)][0];
            let should = oracle::hop_exact(&log, *index, window);
            let is = exact(weights);
            // Each share is rounded down by less than one step of the fixed point.
            for (account, weight) in &should {
                let gap = weight - is.get(account).cloned().unwrap_or_default();
                prop_assert!(!gap.is_negative() && gap < q(log.shares.len()));
            }
            let sum: Q = is.values().sum::<Q>() + q(weights.operator.to_bits()) - q(weights.over.to_bits());
            prop_assert_eq!(sum, q(window));
        }
    }

    #[test]
    fn prop_equals_the_oracle(log in logs(60)) {
        let mut scheme = start(&Rule::Prop {});
        let told = run(&mut *scheme, &log.events());
        let rounds = oracle::prop(&log);
        prop_assert_eq!(told.splits.len(), rounds.len());
        for (index, round) in rounds {
            prop_assert_eq!(exact(&told.splits[&block_id(index)][0].1), round);
        }
    }

    #[test]
    fn geometric_methods_equal_the_oracle(log in logs(60), fee in 1u16..10_000, kept in 0u16..10_000) {
        let rule = Rule::DoubleGeometric { average_fee: points(fee), carry_over: points(kept) };
        let mut scheme = start(&rule);
        let told = run(&mut *scheme, &log.events());
        let (c, o) = (Q::new(fee.into(), 10_000.into()), Q::new(kept.into(), 10_000.into()));
        let growth = (q(1) - &c) * (q(1) - &o) / &c;
        let blocks = double_geometric(&log, &growth, &o);
        for (index, _) in log.blocks.iter().filter(|(_, value)| *value > 0) {
            let (_, weights) = &told.splits[&block_id(*index)][0];
            let is = exact(weights);
            let budget: Q = is.values().sum::<Q>() + q(weights.operator.to_bits());
            let bound = Q::new(1.into(), num_bigint::BigInt::from(1) << 48u32);
            let mut paid = Q::zero();
            for (account, part) in &blocks[index] {
                let mine = is.get(account).cloned().unwrap_or_default() / &budget;
                prop_assert!((part - &mine).abs() < bound);
                paid += mine;
            }
            // Solvent by shape: what miners get and the operator's part are the whole.
            prop_assert!(paid <= q(1));
        }
    }

    #[test]
    fn the_order_of_fates_changes_nothing(log in logs(50), rule in rules()) {
        let of = |log: &Log| run(&mut *start(&rule), &log.events());
        let told = of(&log);
        prop_assert_eq!(&told, &of(&log.in_order()));
        prop_assert_eq!(&told, &of(&log.backwards()));
    }

    #[test]
    fn a_snapshot_continued_is_the_straight_run(log in logs(50), rule in rules(), cut in 0usize..200) {
        let events = log.events();
        let cut = cut % (events.len() + 1);
        let mut straight = start(&rule);
        let mut told = run(&mut *straight, &events[..cut]);
        let bytes = saved(&*straight);
        let mut restored = start(&rule);
        let mut reader = Reader::new(&bytes);
        restored.load(&mut reader).unwrap();
        prop_assert_eq!(reader.end(), Ok(()));
        prop_assert_eq!(&saved(&*restored), &bytes);
        prop_assert_eq!(restored.preview(), straight.preview());
        let mut continued = told.clone();
        for event in &events[cut..] {
            straight.apply(event, &mut told).unwrap();
            restored.apply(event, &mut continued).unwrap();
        }
        prop_assert_eq!(told, continued);
        prop_assert_eq!(saved(&*restored), saved(&*straight));
        for short in [0, bytes.len() / 2, bytes.len().saturating_sub(1)] {
            if short < bytes.len() {
                prop_assert!(start(&rule).load(&mut Reader::new(&bytes[..short])).is_err());
            }
        }
    }

    #[test]
    fn a_preview_is_what_a_block_now_would_pay(log in logs(40), rule in rules()) {
        let mut scheme = start(&rule);
        // Open blocks before it would decide a round or a score: a log without any.
        let log = Log { blocks: Vec::new(), concluded: Vec::new(), ..log };
        run(&mut *scheme, &log.events());
        let preview = scheme.preview();
        let id = block_id(999);
        let mut told = Told::default();
        let finder = AccountIx::new(log.shares[log.shares.len() - 1].0);
        scheme.apply(&Event::Found { id, finder, anchor: Anchor::AtFind }, &mut told).unwrap();
        let value = RewardParts { subsidy: Amount::ZERO, fees: Amount::new(100), extra: Amount::ZERO };
        scheme.apply(&Event::Settled { id, value }, &mut told).unwrap();
        if !matches!(rule, Rule::Mixed { .. }) {
            prop_assert_eq!(preview.unwrap(), told.splits[&id][0].1.clone());
        }
    }

    #[test]
    fn the_stream_accrues_what_the_oracle_says(log in logs(60), window in 1u128 << 70..1 << 90, keeps: bool, cut in 0usize..200) {
        let underfilled = if keeps { Underfilled::OperatorKeeps } else { Underfilled::Renormalise };
        let mut stream = Stream::new(Units::from_bits(window), underfilled);
        let events = log.events();
        let cut = cut % (events.len() + 1);
        for (index, event) in events.iter().enumerate() {
            if index == cut {
                let mut out = Writer::default();
                stream.save(&mut out);
                let bytes = out.into_bytes();
                let mut restored = Stream::new(Units::from_bits(window), underfilled);
                let mut reader = Reader::new(&bytes);
                restored.load(&mut reader).unwrap();
                prop_assert_eq!(reader.end(), Ok(()));
                let mut again = Writer::default();
                restored.save(&mut again);
                prop_assert_eq!(again.into_bytes(), bytes);
                stream = restored;
            }
            match event {
                Event::Share(share) => stream.share(share).unwrap(),
                Event::Found { id, .. } => stream.found(*id).unwrap(),
                Event::Settled { id, value } => stream.conclude(*id, value.total().unwrap()).unwrap(),
                Event::Lost { id } => stream.conclude(*id, Amount::ZERO).unwrap(),
            }
        }
        prop_assert_eq!(stream.open().count(), 0);
        let mut should = Exact::new();
        let mut received = Q::zero();
        let mut operator = Q::zero();
        for (index, value) in &log.blocks {
            let weights = oracle::pplns(&log, *index, window);
            let sum: Q = weights.values().sum();
            let divisor = if keeps { q(window) } else { sum.clone() };
            received += q(*value);
            if divisor.is_zero() {
                operator += q(*value);
                continue;
            }
            operator += q(*value) * (&divisor - &sum) / &divisor;
            for (account, weight) in weights {
                *should.entry(account).or_default() += q(*value) * weight / &divisor;
            }
        }
        let number = |accrued: pool_rewards::engine::Accrued| {
            q(accrued.whole.get()) + Q::new(accrued.fraction.into(), num_bigint::BigInt::from(1) << 64u32)
        };
        let mut paid = number(stream.operator());
        let bound = Q::new((2 * log.shares.len() + 2).into(), num_bigint::BigInt::from(1) << 63u32);
        prop_assert!((&operator - &paid) < bound && paid <= operator);
        for account in 0..5 {
            let is = number(stream.accrued(AccountIx::new(account)));
            let exact = should.get(&account).cloned().unwrap_or_default();
            prop_assert!(is <= exact, "never over");
            prop_assert!(exact - &is < bound);
            paid += is;
        }
        prop_assert!(paid <= received);
    }

    #[test]
    fn shares_behind_a_block_and_shares_before_its_window_do_not_matter(
        log in logs(40), more in logs(20), window in 1u128..1 << 89
    ) {
        let rule = pplns(window, Underfilled::OperatorKeeps, WindowEdge::Interval);
        let end = log.shares.len() - 1;
        let one = |log: &Log, block: usize| {
            let log = Log { blocks: vec![(block, 1)], concluded: vec![usize::MAX], ..log.clone() };
            exact(&run(&mut *start(&rule), &log.events()).splits[&block_id(block)][0].1)
        };
        let mut longer = log.clone();
        longer.shares.extend(more.shares.iter().copied());
        prop_assert_eq!(one(&log, end), one(&longer, end), "prefix determinism");
        let whole = log.positions()[end];
        if whole >= window {
            let mut older = more.clone();
            older.shares.extend(log.shares.iter().copied());
            prop_assert_eq!(one(&log, end), one(&older, older.shares.len() - 1), "window locality");
        }
    }

    #[test]
    fn the_dual_integral_is_the_window_scan(log in logs(50), window in 1u128 << 80..1 << 90) {
        // From a share's side: the reward density of the blocks in the window ahead of it.
        let positions = log.positions();
        let mut scan = Exact::new();
        for (index, value) in &log.blocks {
            for (account, weight) in oracle::pplns(&log, *index, window) {
                *scan.entry(account).or_default() += weight * q(*value);
            }
        }
        let mut dual = Exact::new();
        for (index, (account, units, _)) in log.shares.iter().enumerate() {
            let (from, to) = (positions[index] - units, positions[index]);
            for (block, value) in &log.blocks {
                // The stretch of this share that has the block within the next X units.
                let anchor = positions[*block];
                let low = from.max(anchor.saturating_sub(window));
                let high = to.min(anchor);
                if *block >= index && high > low {
                    *dual.entry(*account).or_default() += q(high - low) * q(*value);
                }
            }
        }
        scan.retain(|_, sum| sum.is_positive());
        dual.retain(|_, sum| sum.is_positive());
        prop_assert_eq!(scan, dual);
    }

    #[test]
    fn one_share_of_eight_is_eight_shares_of_one(log in logs(30), window in 1u128 << 80..1 << 89, place in 0usize..30) {
        let place = place % log.shares.len();
        let mut log = Log { blocks: Vec::new(), concluded: Vec::new(), ..log };
        log.shares[place].1 &= !7;
        let mut split = log.clone();
        let (account, units, work) = split.shares.remove(place);
        for _ in 0..8 {
            split.shares.insert(place, (account, units / 8, work));
        }
        for rule in [pplns(window, Underfilled::Renormalise, WindowEdge::Interval), Rule::Prop {}] {
            let of = |log: &Log| {
                let last = log.shares.len() - 1;
                let log = Log { blocks: vec![(last, 1)], concluded: vec![usize::MAX], ..log.clone() };
                exact(&run(&mut *start(&rule), &log.events()).splits[&block_id(last)][0].1)
            };
            prop_assert_eq!(of(&log), of(&split));
        }
    }

    #[test]
    fn scaling_all_scores_changes_no_pay(log in logs(40), fee in 100u16..9_000, kept in 0u16..10_000) {
        // Work before the log, by nobody here, multiplies the scale and every later score by one factor. Its own
        // score is somebody else's and changes no other account's part.
        let rule = Rule::DoubleGeometric { average_fee: points(fee), carry_over: points(kept) };
        let last = log.shares.len() - 1;
        let mut before = log.clone();
        for _ in 0..7 {
            before.shares.insert(0, (9, 1 << 88, 1));
        }
        let of = |log: &Log, block: usize| {
            let log = Log { blocks: vec![(block, 1)], concluded: vec![usize::MAX], ..log.clone() };
            let weights = run(&mut *start(&rule), &log.events()).splits[&block_id(block)][0].1.clone();
            let exact = exact(&weights);
            let budget: Q = exact.values().sum::<Q>() + q(weights.operator.to_bits());
            exact.into_iter().map(|(account, weight)| (account, weight / &budget)).collect::<Exact>()
        };
        let (alone, scaled) = (of(&log, last), of(&before, last + 7));
        for account in 0..5 {
            let part = |parts: &Exact| parts.get(&account).cloned().unwrap_or_default();
            let bound = Q::new(1.into(), num_bigint::BigInt::from(1) << 48u32);
            prop_assert!((part(&alone) - part(&scaled)).abs() < bound);
        }
    }
}

fn share(seq: u64, account: u32, units: Units) -> Event {
    Event::Share(ShareEvent {
        seq: ShareSeq::new(seq),
        account: AccountIx::new(account),
        units,
        work: Work::ONE,
    })
}

fn all_rules() -> Vec<Rule> {
    let units = Units::from_bits(1 << 87);
    let (c, o) = (points(100), points(5_000));
    vec![
        Rule::Solo {},
        Rule::Prop {},
        pplns(1 << 87, Underfilled::Renormalise, WindowEdge::Interval),
        pplns(1 << 87, Underfilled::OperatorKeeps, WindowEdge::HopExact),
        Rule::Exponential { window: units, underfilled: Underfilled::Renormalise },
        Rule::Geometric { average_fee: c },
        Rule::DoubleGeometric { average_fee: c, carry_over: o },
        Rule::Tides { blocks: 8 },
        Rule::PpsPlus {
            subsidy: Amount::new(1),
            window: units,
            underfilled: Underfilled::Renormalise,
            period_ms: 1_000,
            overdraft: Amount::ZERO,
        },
        Rule::Pps { value: Amount::new(1), period_ms: 1_000, overdraft: Amount::ZERO },
        Rule::Mixed { part: c, first: Box::new(Rule::Solo {}), rest: Box::new(Rule::Prop {}) },
    ]
}

#[test]
fn wrong_events_are_refused_and_change_nothing() {
    let (id, other) = (BlockId::new([1; 32]), BlockId::new([2; 32]));
    let found = |id| Event::Found { id, finder: AccountIx::new(0), anchor: Anchor::AtFind };
    let settled = |id| Event::Settled { id, value: RewardParts::whole(Amount::new(10)) };
    for rule in all_rules() {
        let mut scheme = start(&rule);
        let mut told = Told::default();
        let refuse = |scheme: &mut Box<dyn Scheme>, event: Event, error: BadEvent| {
            let before = saved(&**scheme);
            let mut none = Told::default();
            assert_eq!(scheme.apply(&event, &mut none), Err(error), "{rule:?}");
            assert_eq!(saved(&**scheme), before, "{rule:?}");
            assert_eq!(none, Told::default(), "{rule:?}");
        };
        refuse(&mut scheme, found(id), BadEvent::NoShare(id));
        scheme.apply(&share(5, 0, Units::from_bits(1 << 80)), &mut told).unwrap();
        for seq in [5, 7, 4, 0] {
            let (last, found) = (ShareSeq::new(5), ShareSeq::new(seq));
            refuse(&mut scheme, share(seq, 0, Units::ZERO), BadEvent::Gap { last, found });
        }
        let heavy = Units::from_bits(Units::BLOCK.to_bits() + 1);
        refuse(&mut scheme, share(6, 0, heavy), BadEvent::HeavyShare(ShareSeq::new(6)));
        scheme.apply(&found(id), &mut told).unwrap();
        refuse(&mut scheme, found(id), BadEvent::Repeated(id));
        refuse(&mut scheme, found(other), BadEvent::Repeated(other));
        refuse(&mut scheme, settled(other), BadEvent::UnknownBlock(other));
        refuse(&mut scheme, Event::Lost { id: other }, BadEvent::UnknownBlock(other));
        let most = Amount::new(u128::MAX);
        let wide = RewardParts { subsidy: most, fees: most, extra: most };
        refuse(&mut scheme, Event::Settled { id, value: wide }, BadEvent::AmountOverflow(id));
        scheme.apply(&settled(id), &mut told).unwrap();
        refuse(&mut scheme, settled(id), BadEvent::UnknownBlock(id));
        refuse(&mut scheme, Event::Lost { id }, BadEvent::UnknownBlock(id));
    }
}

#[test]
fn tides_follows_the_blocks_own_difficulty() {
    // Network difficulty 8, window 8 × 8 = 64 hashes; then difficulty 16: 128 hashes, and expired shares come back.
    let mut scheme = start(&Rule::Tides { blocks: 8 });
    let mut told = Told::default();
    let mut seq = 0;
    let mut add = |scheme: &mut Box<dyn Scheme>, account: u32, work: u128, network: u128| {
        seq += 1;
        let event = ShareEvent {
            seq: ShareSeq::new(seq),
            account: AccountIx::new(account),
            units: Units::from_ratio(work, network).unwrap(),
            work: Work::new(work).unwrap(),
        };
        scheme.apply(&Event::Share(event), &mut Told::default()).unwrap();
    };
    for account in 0..3 {
        for _ in 0..10 {
            add(&mut scheme, account, 4, 8);
        }
    }
    let found = |id| Event::Found { id, finder: AccountIx::new(0), anchor: Anchor::AtFind };
    let (first, second) = (BlockId::new([1; 32]), BlockId::new([2; 32]));
    scheme.apply(&found(first), &mut told).unwrap();
    add(&mut scheme, 3, 4, 16);
    scheme.apply(&found(second), &mut told).unwrap();
    for id in [second, first] {
        let value = RewardParts::whole(Amount::new(128));
        scheme.apply(&Event::Settled { id, value }, &mut told).unwrap();
    }
    let of = |id: &BlockId| -> Vec<(u32, u128)> {
        let weights = &told.splits[id][0].1;
        weights.accounts.iter().map(|(account, work)| (account.get(), work.to_bits())).collect()
    };
    assert_eq!(of(&first), [(1, 24), (2, 40)]);
    assert_eq!(of(&second), [(0, 40), (1, 40), (2, 40), (3, 4)], "a short log is divided by the log");
}

#[test]
fn an_anchor_at_work_issue_ends_the_window_earlier() {
    let mut scheme = start(&pplns(1 << 88, Underfilled::Renormalise, WindowEdge::Interval));
    let mut told = Told::default();
    for seq in 1..=20 {
        scheme.apply(&share(seq, (seq % 4) as u32, Units::from_bits(1 << 85)), &mut told).unwrap();
    }
    let at = |seq| Anchor::AtWorkIssue(ShareSeq::new(seq));
    let found = |seq| Event::Found { id: BlockId::new([9; 32]), finder: AccountIx::new(0), anchor: at(seq) };
    for unknown in [0, 21] {
        let error = BadEvent::UnknownAnchor(ShareSeq::new(unknown));
        assert_eq!(scheme.apply(&found(unknown), &mut told), Err(error));
    }
    let forgotten = Err(BadEvent::ForgottenWindow(BlockId::new([9; 32])));
    assert_eq!(
        scheme.apply(&found(18), &mut told),
        forgotten,
        "an eighth of a window is kept, not a quarter"
    );
    scheme.apply(&found(19), &mut told).unwrap();
    let value = RewardParts::whole(Amount::new(8));
    scheme.apply(&Event::Settled { id: BlockId::new([9; 32]), value }, &mut told).unwrap();
    let weights = &told.splits[&BlockId::new([9; 32])][0].1;
    assert_eq!((weights.from.to_bits(), weights.to.to_bits()), (11 << 85, 19 << 85));
    assert!(weights.accounts.iter().all(|(_, units)| units.to_bits() == 2 << 85));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_window_that_changes_does_so_the_same_whatever_the_order_of_fates(
        log in logs(60), windows in proptest::collection::vec(1u128 << 80..1 << 90, 4), steps in 5usize..15
    ) {
        let edges = [WindowEdge::Interval, WindowEdge::HopExact];
        let of = |log: &Log| {
            let mut scheme = start(&pplns(windows[0], Underfilled::Renormalise, WindowEdge::Interval));
            let mut told = Told::default();
            for event in log.events() {
                if let Event::Share(share) = &event
                    && (share.seq.get() as usize).is_multiple_of(steps)
                {
                    let turn = share.seq.get() as usize / steps;
                    let rule = pplns(windows[turn % 4], Underfilled::OperatorKeeps, edges[turn / 2 % 2]);
                    assert!(scheme.retune(&rule));
                    assert!(!scheme.retune(&Rule::Prop {}));
                }
                scheme.apply(&event, &mut told).unwrap();
            }
            told
        };
        let told = of(&log);
        prop_assert_eq!(&told, &of(&log.in_order()));
        prop_assert_eq!(&told, &of(&log.backwards()));
        for (amount, weights) in told.splits.values().flatten() {
            // Shares inside, the operator's part and what passes the budget are the window, or all that is known.
            let sum: u128 = weights.accounts.iter().map(|(_, units)| units.to_bits()).sum();
            let whole = sum + weights.operator.to_bits() - weights.over.to_bits();
            let known = weights.to.to_bits() - weights.from.to_bits();
            prop_assert!(windows.contains(&whole) || whole == known, "{amount}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn exponential_windows_equal_the_oracle(log in logs(60), window in 1u128 << 84..1 << 95, keeps: bool) {
        let underfilled = if keeps { Underfilled::OperatorKeeps } else { Underfilled::Renormalise };
        let rule = Rule::Exponential { window: Units::from_bits(window), underfilled };
        let told = run(&mut *start(&rule), &log.events());
        let growth = q(1u128 << 88) / q(window);
        let blocks = double_geometric(&log, &growth, &q(1));
        let bound = Q::new(1.into(), num_bigint::BigInt::from(1) << 48u32);
        for (index, _) in log.blocks.iter().filter(|(_, value)| *value > 0) {
            let (_, weights) = &told.splits[&block_id(*index)][0];
            let is = exact(weights);
            let budget: Q = is.values().sum::<Q>() + q(weights.operator.to_bits());
            // The oracle's parts are of the full scale; renormalised they are of all scores.
            let all: Q = if keeps { q(1) } else { blocks[index].values().sum() };
            prop_assert!(keeps || weights.operator == Units::ZERO);
            for (account, part) in &blocks[index] {
                if budget.is_zero() {
                    continue;
                }
                let mine = is.get(account).cloned().unwrap_or_default() / &budget;
                prop_assert!((part / &all - mine).abs() < bound);
            }
        }
    }

    #[test]
    fn tides_equals_the_oracle(
        shares in proptest::collection::vec((0u32..5, 1u128..=8, 0usize..3, any::<bool>()), 1..80), blocks in 1u32..4
    ) {
        let networks = [8u128, 12, 16];
        let mut scheme = start(&Rule::Tides { blocks });
        let mut told = Told::default();
        for (index, (account, work, network, solved)) in shares.iter().enumerate() {
            let event = ShareEvent {
                seq: ShareSeq::new(index as u64 + 1),
                account: AccountIx::new(*account),
                units: Units::from_ratio(*work, networks[*network]).unwrap(),
                work: Work::new(*work).unwrap(),
            };
            scheme.apply(&Event::Share(event), &mut told).unwrap();
            if !solved {
                continue;
            }
            let id = block_id(index);
            let finder = AccountIx::new(*account);
            scheme.apply(&Event::Found { id, finder, anchor: Anchor::AtFind }, &mut told).unwrap();
            let value = RewardParts::whole(Amount::new(1));
            scheme.apply(&Event::Settled { id, value }, &mut told).unwrap();
            // Newest first, until so many times the block's own difficulty is reached.
            let mut room = networks[*network] * u128::from(blocks);
            let mut should = Exact::new();
            for (account, work, _, _) in shares[..=index].iter().rev() {
                let inside = room.min(*work);
                room -= inside;
                add(&mut should, *account, q(inside));
            }
            prop_assert_eq!(exact(&told.splits[&id][0].1), should);
        }
    }
}

#[test]
fn a_difficulty_that_leaps_ends_a_window_of_raw_work_where_the_log_does() {
    let mut scheme = start(&Rule::Tides { blocks: 2 });
    let mut told = Told::default();
    // Two shares before any difficulty is known, then twelve at 8, then one at 8 000: sixteen thousand hashes back.
    let marks = [(Units::ZERO, 5), (Units::ZERO, 5)].into_iter();
    let marks = marks.chain([(Units::from_ratio(4, 8).unwrap(), 4); 12]);
    for (index, (units, work)) in marks.chain([(Units::from_ratio(4, 8_000).unwrap(), 4)]).enumerate() {
        let seq = ShareSeq::new(index as u64 + 1);
        let (account, work) = (AccountIx::new(index as u32 % 3), Work::new(work).unwrap());
        scheme.apply(&Event::Share(ShareEvent { seq, account, units, work }), &mut told).unwrap();
    }
    let id = block_id(0);
    scheme.apply(&Event::Found { id, finder: AccountIx::new(0), anchor: Anchor::AtFind }, &mut told).unwrap();
    let preview = scheme.preview().unwrap();
    scheme.apply(&Event::Settled { id, value: RewardParts::whole(Amount::new(9)) }, &mut told).unwrap();
    let weights = &told.splits[&id][0].1;
    assert_eq!(*weights, preview);
    let sum: u128 = weights.accounts.iter().map(|(_, work)| work.to_bits()).sum();
    assert_eq!(sum, weights.to.to_bits() - weights.from.to_bits());
    assert!((4 * 8..=2 * 5 + 13 * 4).contains(&sum), "what is kept, and all of it: {sum}");
}

#[test]
fn what_no_block_can_need_any_more_is_forgotten() {
    let longest = 3 * 8 + 2;
    for rule in all_rules() {
        let mut scheme = start(&rule);
        let mut told = Told::default();
        for seq in 1..=4_000u64 {
            let event = ShareEvent {
                seq: ShareSeq::new(seq),
                account: AccountIx::new((seq % 3) as u32),
                units: Units::from_bits(1 << 85),
                work: Work::new(1 << 10).unwrap(),
            };
            scheme.apply(&Event::Share(event), &mut told).unwrap();
            if seq.is_multiple_of(7) {
                let finder = AccountIx::new(0);
                let id = block_id(seq as usize);
                scheme.apply(&Event::Found { id, finder, anchor: Anchor::AtFind }, &mut told).unwrap();
                let value = RewardParts::whole(Amount::new(10));
                scheme.apply(&Event::Settled { id, value }, &mut told).unwrap();
            }
        }
        // Windows of half a block hold four shares of an eighth; TIDES keeps four windows of 64.
        let shares = if matches!(rule, Rule::Tides { .. }) { 8 * 8 * 4 + 1 } else { longest };
        let bound = 600 + 16 * shares;
        assert!(saved(&*scheme).len() < bound, "{}: {} bytes", rule.name(), saved(&*scheme).len());
    }
}
