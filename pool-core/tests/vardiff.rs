//! Vardiff against simulated miners: Poisson streams from 1 MH/s to 21 TH/s on seeded generators.
//!
//! Floats are used here, for the miner's luck and for judging the result, and nowhere in the crate. Every run draws
//! the same cases, so the bounds on luck hold or fail for good.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use pool_core::time::{Micros, Moment};
use pool_core::units::Work;
use pool_core::vardiff::{BadVardiffRules, Vardiff, VardiffRules, WorkRange};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A share every five seconds, in microseconds.
const GOAL: u64 = 5_000_000;

fn work(hashes: u128) -> Work {
    Work::new(hashes).unwrap()
}

fn rules(start: Work) -> VardiffRules {
    let range = WorkRange::new(work(1 << 16), work(1 << 60)).unwrap();
    VardiffRules::new(Micros::new(GOAL), range, start).unwrap()
}

/// The work that a hash rate does in a goal.
fn ideal(rate: f64) -> f64 {
    rate * GOAL as f64 / 1e6
}

fn is_within(work: f64, ideal: f64, factor: f64) -> bool {
    (1.0 / factor..=factor).contains(&(work / ideal))
}

/// A miner whose shares are found at `rate / work`, whose difficulty changes half a second after the pool decided, and
/// the pool, which polls after shares and at deadlines.
struct Miner {
    rng: ChaCha8Rng,
    now: u64,
    vardiff: Vardiff,
    /// What the miner works at, and what it will work at from when on.
    at: Work,
    next: Option<(u64, Work)>,
    shares: u64,
    changes: u64,
}

impl Miner {
    const DELAY: u64 = 500_000;

    fn new(rules: &VardiffRules, remembered: Option<Work>, seed: u64) -> Self {
        let vardiff = Vardiff::new(rules, remembered, Moment::ZERO);
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { rng, now: 0, vardiff, at: vardiff.work(), next: None, shares: 0, changes: 0 }
    }

    fn poll(&mut self, rules: &VardiffRules) {
        if let Some(work) = self.vardiff.poll(rules, Moment::new(self.now)) {
            self.changes += 1;
            let from = self.next.map_or(self.now + Self::DELAY, |(from, _)| from);
            self.next = Some((from, work));
        }
    }

    /// Mines for `goals` at `rate` hashes a second; tells `watch` of every span: its begin, its length, its work.
    fn mine(&mut self, rules: &VardiffRules, rate: f64, goals: u64, mut watch: impl FnMut(u64, u64, f64)) {
        let until = self.now + goals * GOAL;
        while self.now < until {
            let luck: f64 = self.rng.random();
            let wait = -(1.0 - luck).ln() * self.at.get() as f64 / rate * 1e6;
            let share = self.now.saturating_add(wait as u64);
            let switch = self.next.map_or(u64::MAX, |(from, _)| from);
            let event = self.vardiff.deadline(rules).get().min(switch).min(until);
            let before = self.now;
            if share < event {
                self.now = share;
                self.shares += 1;
                self.vardiff.on_share(rules, Moment::new(share), self.at);
            } else {
                // Luck has no memory: the miner draws again.
                self.now = event;
                if let Some((_, work)) = self.next.take_if(|(from, _)| *from <= event) {
                    self.at = work;
                }
            }
            watch(before, self.now - before, self.vardiff.work().get() as f64);
            self.poll(rules);
        }
    }

    /// The goals until the difficulty came within `factor` of the ideal, `goals` at most.
    fn settle(&mut self, rules: &VardiffRules, rate: f64, goals: u64, factor: f64) -> f64 {
        let (begin, mut settled) = (self.now, None);
        self.mine(rules, rate, goals, |at, _, work| {
            if settled.is_none() && is_within(work, ideal(rate), factor) {
                settled = Some((at - begin) as f64 / GOAL as f64);
            }
        });
        settled.unwrap_or(goals as f64)
    }
}

/// Hash rates from 1 MH/s to 21 TH/s, each order of magnitude as likely as any other.
fn rates() -> impl Strategy<Value = f64> {
    (1e6f64.ln()..21e12f64.ln()).prop_map(f64::exp)
}

/// A miner and a start: from 2^25 times too hard to a thousand shares a second.
fn miners_and_starts() -> impl Strategy<Value = (f64, Work)> {
    (rates(), 0.0..1.0f64).prop_map(|(rate, place)| (rate, start(rate, place)))
}

fn start(rate: f64, place: f64) -> Work {
    let (easiest, hardest) = ((rate / 1_000.0).max(65_537.0).ln(), 45.0 * core::f64::consts::LN_2);
    work((easiest + (hardest - easiest) * place).exp() as u128)
}

/// The same cases in every run.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(0x5eed),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn every_miner_settles_from_any_start_and_stays((rate, start) in miners_and_starts(), seed: u64) {
        let rules = rules(start);
        let mut miner = Miner::new(&rules, None, seed);
        // From 2^25 times too hard it takes seven silences of four goals; then within a factor of two it is a matter
        // of luck: 96 goals (8 minutes) are the worst of all cases, the quantiles are below.
        let settled = miner.settle(&rules, rate, 128, 2.0);
        prop_assert!(settled <= 96.0, "settled after {settled} goals");
        let (shares, changes, mut outside, mut far) = (miner.shares, miner.changes, 0, 0);
        let goals = 1_500u64;
        miner.mine(&rules, rate, goals, |_, length, work| {
            outside += if is_within(work, ideal(rate), 2.0) { 0 } else { length };
            far += if is_within(work, ideal(rate), 4.0) { 0 } else { length };
        });
        let mean = (miner.shares - shares) as f64 / goals as f64;
        prop_assert!((0.8..=1.25).contains(&mean), "{mean} shares per goal");
        prop_assert!(outside <= goals * GOAL / 20, "outside a factor of two for {} goals", outside / GOAL);
        prop_assert!(far <= goals * GOAL / 100, "outside a factor of four for {} goals", far / GOAL);
        prop_assert!(miner.changes - changes <= goals / 50, "{} changes", miner.changes - changes);
    }

    #[test]
    fn a_miner_of_powers_of_two_settles_on_one((rate, start) in miners_and_starts(), seed: u64) {
        let rules = rules(start).power_of_two(true);
        let mut miner = Miner::new(&rules, None, seed);
        prop_assert!(miner.settle(&rules, rate, 128, 2.0) <= 96.0);
        let (shares, mut odd, mut outside) = (miner.shares, false, 0);
        let goals = 1_000u64;
        miner.mine(&rules, rate, goals, |_, length, work| {
            odd |= !(work as u128).is_power_of_two();
            outside += if is_within(work, ideal(rate), 2.0 * 2f64.sqrt()) { 0 } else { length };
        });
        prop_assert!(!odd);
        let mean = (miner.shares - shares) as f64 / goals as f64;
        prop_assert!((0.55..=1.8).contains(&mean), "{mean} shares per goal");
        prop_assert!(outside <= goals * GOAL / 20, "outside the neighbouring powers of two for {} goals", outside / GOAL);
    }

    #[test]
    fn ten_times_the_rate_or_a_tenth_is_followed(rate in 1e8..1e12f64, up: bool, seed: u64) {
        let rules = rules(work(ideal(rate) as u128));
        let mut miner = Miner::new(&rules, None, seed);
        miner.settle(&rules, rate, 200, 2.0);
        let rate = if up { rate * 10.0 } else { rate / 10.0 };
        let settled = miner.settle(&rules, rate, 150, 2.5);
        // Up: four goals, most often. Down: a tenth is seen after a dozen goals, and then there are few shares.
        let worst = if up { 60.0 } else { 110.0 };
        prop_assert!(settled <= worst, "settled after {settled} goals");
    }

    #[test]
    fn a_remembered_difficulty_is_where_it_goes_on(rate in rates(), seed: u64) {
        let rules = rules(work(1 << 45));
        let mut miner = Miner::new(&rules, None, seed);
        miner.settle(&rules, rate, 300, 2.0);
        let mut again = Miner::new(&rules, Some(miner.vardiff.proven()), !seed);
        let settled = again.settle(&rules, rate, 30, 2.2);
        prop_assert!(settled <= 20.0, "settled after {settled} goals");
    }
}

/// The figures of the first promise as quantiles, so that "settles fast" is a number.
#[test]
fn half_settle_within_8_goals_and_nineteen_of_twenty_within_40() {
    let mut settled = Vec::new();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for seed in 0..600 {
        let rate = rng.random_range(1e6f64.ln()..21e12f64.ln()).exp();
        let rules = rules(start(rate, rng.random()));
        settled.push(Miner::new(&rules, None, seed).settle(&rules, rate, 128, 2.0));
    }
    settled.sort_by(f64::total_cmp);
    assert!(settled[300] <= 8.0, "median {}", settled[300]);
    assert!(settled[570] <= 40.0, "95 % {}", settled[570]);
}

#[test]
fn the_weakest_miner_at_the_strongest_start_hashes_within_30_goals() {
    let rules = rules(work(1 << 45));
    let mut miner = Miner::new(&rules, None, 1);
    miner.mine(&rules, 1e6, 30, |_, _, _| ());
    assert!(is_within(miner.vardiff.work().get() as f64, ideal(1e6), 4.0), "{:?}", miner.vardiff.work());
    assert!(miner.changes <= 8);
}

#[test]
fn silence_eases_before_the_first_share_in_bounded_steps() {
    let rules = rules(work(1 << 45));
    let mut vardiff = Vardiff::new(&rules, None, Moment::ZERO);
    let mut before = vardiff.work();
    let mut now = Moment::ZERO;
    for _ in 0..6 {
        let deadline = vardiff.deadline(&rules);
        assert!(deadline > now, "a deadline lies ahead");
        assert_eq!(
            vardiff.poll(&rules, Moment::new(deadline.get() - 100_000)),
            None,
            "not before the deadline"
        );
        now = deadline;
        let work = vardiff.poll(&rules, now).unwrap();
        assert!(work < before && work.get() >= before.get() / 16);
        before = work;
    }
    assert!(now.get() < 28 * GOAL);
    assert_eq!(vardiff.proven(), work(1 << 45), "silence proves nothing");
    // At the range's end there is nothing left to ease, and nothing to wait for.
    for _ in 0..20 {
        now = now.after(Micros::new(10 * GOAL));
        let _: Option<Work> = vardiff.poll(&rules, now);
    }
    assert_eq!(vardiff.work(), rules.range().min());
    assert_eq!(vardiff.deadline(&rules), Moment::new(u64::MAX));
}

#[test]
fn a_return_from_silence_is_followed_within_a_goal_or_three() {
    for seed in 0..50 {
        let rate = 1e12;
        // Its easiest work is 500 shares a second of this miner.
        let range = WorkRange::new(work(1 << 31), work(1 << 60)).unwrap();
        let rules = VardiffRules::new(Micros::new(GOAL), range, work(1 << 42)).unwrap();
        let mut miner = Miner::new(&rules, None, seed);
        miner.mine(&rules, rate, 400, |_, _, _| ());
        let proven = miner.vardiff.proven();
        miner.mine(&rules, 1.0, 60, |_, _, _| ());
        assert!(miner.vardiff.work().get() < (ideal(rate) / 1_000.0) as u128, "it eased");
        assert_eq!(miner.vardiff.proven(), proven, "what is remembered is what was proved");
        let settled = miner.settle(&rules, rate, 100, 4.0);
        assert!(settled <= 3.0, "after {settled} goals");
    }
}

#[test]
fn rejects_are_a_sign_of_life_and_prove_no_work() {
    let rules = rules(work(1 << 40));
    let mut vardiff = Vardiff::new(&rules, None, Moment::ZERO);
    for goal in 1..200 {
        let now = Moment::new(goal * GOAL);
        vardiff.on_reject(&rules, now);
        assert_eq!(vardiff.poll(&rules, now), None);
    }
    // A flood of them raises nothing.
    for _ in 0..10_000 {
        vardiff.on_reject(&rules, Moment::new(200 * GOAL));
        assert_eq!(vardiff.poll(&rules, Moment::new(200 * GOAL)), None);
    }
    let deadline = vardiff.deadline(&rules);
    assert!(vardiff.poll(&rules, deadline).is_some(), "and when they end, silence is silence");
}

/// A settled worker at one share per goal, on the dot.
fn settled(rules: &VardiffRules) -> (Vardiff, u64) {
    let mut vardiff = Vardiff::new(rules, None, Moment::ZERO);
    for goal in 1..=100 {
        vardiff.on_share(rules, Moment::new(goal * GOAL), rules.start());
        assert_eq!(vardiff.poll(rules, Moment::new(goal * GOAL)), None);
    }
    (vardiff, 100 * GOAL)
}

#[test]
fn shares_that_a_stalled_network_delivers_at_once_raise_nothing() {
    let rules = rules(work(1 << 40));
    let (mut vardiff, now) = settled(&rules);
    let now = Moment::new(now + 10 * GOAL);
    assert_eq!(vardiff.poll(&rules, now), None, "ten goals of silence are bad luck for a settled worker");
    for _ in 0..10 {
        vardiff.on_share(&rules, now, rules.start());
        assert_eq!(vardiff.poll(&rules, now), None);
    }
}

#[test]
fn old_shares_after_a_raise_do_not_raise_again() {
    let rules = rules(work(1 << 30));
    let mut vardiff = Vardiff::new(&rules, None, Moment::ZERO);
    let mut shown = 0;
    for _ in 0..5_000 {
        vardiff.on_share(&rules, Moment::new(1_000), rules.start());
        shown += rules.start().get();
        if let Some(work) = vardiff.poll(&rules, Moment::new(1_000)) {
            assert!(work.get() <= 8 * shown, "{work:?} for {shown} hashes shown");
        }
    }
    assert!(vardiff.work() > rules.start());
}

/// Who holds shares back and sends them in bursts wants an easier difficulty in between. It gains no more shares.
#[test]
fn bursts_gain_nothing() {
    for hold in [3u64, 6, 12, 24] {
        let rate = 1e10;
        let rules = rules(work(ideal(rate) as u128));
        let mut rng = ChaCha8Rng::seed_from_u64(hold);
        let mut vardiff = Vardiff::new(&rules, None, Moment::ZERO);
        let (goals, mut shares, mut hashes) = (6_000u64, 0u64, 0.0);
        for burst in 1..=goals / hold {
            let now = Moment::new(burst * hold * GOAL);
            // Silence first: every deadline passes, and the miner hashes at whatever it is given.
            let mut held: Vec<Work> = Vec::new();
            let mut at = (burst - 1) * hold * GOAL;
            while at < now.get() {
                let until = vardiff.deadline(&rules).get().clamp(at + 1, now.get());
                let expected = rate * (until - at) as f64 / 1e6 / vardiff.work().get() as f64;
                let mut level = (-expected).exp().max(f64::MIN_POSITIVE);
                let (luck, mut term, mut count) = (rng.random::<f64>(), level, 0.0);
                while luck > level && count < 10_000.0 {
                    count += 1.0;
                    term *= expected / count;
                    level += term;
                }
                held.extend(core::iter::repeat_n(vardiff.work(), count as usize));
                at = until;
                let _: Option<Work> = vardiff.poll(&rules, Moment::new(at));
            }
            for work in held {
                shares += 1;
                hashes += work.get() as f64;
                vardiff.on_share(&rules, now, work);
                let _: Option<Work> = vardiff.poll(&rules, now);
            }
        }
        let seconds = goals as f64 * GOAL as f64 / 1e6;
        assert!(
            hashes <= rate * seconds * 1.1,
            "credit is work, whatever the rhythm: {}",
            hashes / rate / seconds
        );
        assert!(shares <= goals * 2, "{shares} shares in {goals} goals in bursts every {hold}");
    }
}

#[test]
fn a_wish_is_granted_exactly_within_the_bounds() {
    let rules = rules(work(1 << 40));
    let mut vardiff = Vardiff::new(&rules, None, Moment::ZERO);
    vardiff.fix(&rules, work(1_234_567_891));
    assert!(vardiff.is_fixed());
    assert_eq!(vardiff.deadline(&rules), Moment::ZERO, "due at once");
    assert_eq!(vardiff.poll(&rules, Moment::ZERO), Some(work(1_234_567_891)));
    assert_eq!(vardiff.poll(&rules, Moment::new(1_000 * GOAL)), None, "silence does not ease a wish");
    assert_eq!(vardiff.deadline(&rules), Moment::new(u64::MAX));
    vardiff.fix(&rules, work(1));
    assert_eq!(vardiff.poll(&rules, Moment::new(1_000 * GOAL)), Some(work(1 << 16)));
    vardiff.fix(&rules, work(u128::MAX));
    assert_eq!(vardiff.poll(&rules, Moment::new(1_000 * GOAL)), Some(work(1 << 60)));
    let rules = rules.power_of_two(true);
    vardiff.fix(&rules, work(2_900_000));
    assert_eq!(vardiff.poll(&rules, Moment::new(1_000 * GOAL)), Some(work(1 << 21)));
}

/// Shares at `per_goal` times the goal's rate at a fixed difficulty, for `goals`.
fn fixed_at(vardiff: &mut Vardiff, rules: &VardiffRules, per_goal: u64, goals: u64) {
    for share in 1..=goals * per_goal {
        let now = Moment::new(share * GOAL / per_goal);
        vardiff.on_share(rules, now, vardiff.work());
        let _: Option<Work> = vardiff.poll(rules, now);
        if !vardiff.is_fixed() {
            break;
        }
    }
}

#[test]
fn a_wish_is_taken_away_far_above_the_rate_and_not_below() {
    let rules = rules(work(1 << 40));
    let mut vardiff = Vardiff::new(&rules, None, Moment::ZERO);
    vardiff.fix(&rules, work(1 << 20));
    fixed_at(&mut vardiff, &rules, 9, 300);
    assert!(vardiff.is_fixed(), "nine times the rate is a nuisance, not a flood");
    let mut vardiff = Vardiff::new(&rules, None, Moment::ZERO);
    vardiff.fix(&rules, work(1 << 20));
    fixed_at(&mut vardiff, &rules, 16, 30);
    assert!(!vardiff.is_fixed());
    let now = vardiff.work();
    assert!(now > work(1 << 20));
    vardiff.fix(&rules, work(1 << 20));
    assert!(!vardiff.is_fixed() && vardiff.work() == now, "what was abused is not granted again");
    vardiff.fix(&rules, work(1 << 50));
    assert!(vardiff.is_fixed() && vardiff.work() == work(1 << 50), "a harder wish is");
}

#[test]
fn rules_that_cannot_be_followed_are_refused() {
    let range = WorkRange::new(work(4), work(1 << 40)).unwrap();
    let goal = Micros::new(GOAL);
    assert_eq!(WorkRange::new(work(2), work(1)), Err(BadVardiffRules::EmptyRange));
    assert_eq!(VardiffRules::new(Micros::ZERO, range, work(4)), Err(BadVardiffRules::Goal));
    assert_eq!(VardiffRules::new(Micros::from_secs(3_601), range, work(4)), Err(BadVardiffRules::Goal));
    assert_eq!(VardiffRules::new(goal, range, work(3)), Err(BadVardiffRules::Start));
    let rules = VardiffRules::new(goal, range, work(4)).unwrap();
    for (up, down) in [(1, 16), (16, 1), (257, 2), (2, 257)] {
        assert_eq!(rules.clone().steps(up, down), Err(BadVardiffRules::Step));
    }
}

#[test]
fn a_range_without_a_power_of_two_keeps_the_range() {
    let range = WorkRange::new(work(1_025), work(2_047)).unwrap();
    let rules = VardiffRules::new(Micros::new(GOAL), range, work(1_500)).unwrap().power_of_two(true);
    for wish in [1, 1_024, 1_500, 2_048, u128::MAX] {
        let got = rules.admit(work(wish));
        assert_eq!(range.clamp(got), got);
    }
    let range = WorkRange::new(work(1_025), work(5_000)).unwrap();
    let rules = VardiffRules::new(Micros::new(GOAL), range, work(1_500)).unwrap().power_of_two(true);
    for (wish, got) in [(1, 2_048), (2_900, 4_096), (2_890, 2_048), (u128::MAX, 4_096)] {
        assert_eq!(rules.admit(work(wish)), work(got), "{wish}");
    }
}

#[test]
fn a_connections_state_is_one_cache_line() {
    assert!(size_of::<Vardiff>() <= 64);
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Share(u128),
    Reject,
    Fix(u128),
    Poll,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let works = (0..128u32, any::<u128>()).prop_map(|(shift, bits)| (bits >> shift).max(1));
    let step = prop_oneof![
        4 => (0..64u32, any::<u64>()).prop_map(|(shift, bits)| Step::Wait(bits >> shift)),
        6 => works.clone().prop_map(Step::Share),
        2 => Just(Step::Reject),
        1 => works.prop_map(Step::Fix),
        6 => Just(Step::Poll),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn nothing_leads_out_of_the_bounds(
        steps in steps(),
        ends in (1..=u128::MAX, 1..=u128::MAX, 1..=u128::MAX),
        goal in 1_000..=3_600_000_000u64,
        (up, down) in (2..=256u32, 2..=256u32),
        power_of_two: bool,
    ) {
        let mut ends = [ends.0, ends.1, ends.2];
        ends.sort_unstable();
        let range = WorkRange::new(work(ends[0]), work(ends[2])).unwrap();
        let rules = VardiffRules::new(Micros::new(goal), range, work(ends[1])).unwrap();
        let rules = rules.steps(up, down).unwrap().power_of_two(power_of_two);
        let mut vardiff = Vardiff::new(&rules, None, Moment::ZERO);
        let mut now = Moment::ZERO;
        let mut told = vardiff.work();
        for step in steps {
            let before = vardiff.work();
            match step {
                Step::Wait(micros) => now = now.after(Micros::new(micros)),
                Step::Share(hashes) => vardiff.on_share(&rules, now, work(hashes)),
                Step::Reject => vardiff.on_reject(&rules, now),
                Step::Fix(hashes) => {
                    vardiff.fix(&rules, work(hashes));
                    prop_assert!(vardiff.is_fixed() || vardiff.work() == before);
                    continue;
                }
                Step::Poll => {
                    let polled = vardiff.poll(&rules, now);
                    prop_assert_eq!(polled.is_some(), vardiff.work() != told || polled == Some(told));
                    told = polled.unwrap_or(told);
                    prop_assert_eq!(told, vardiff.work(), "the miner knows what it is measured by");
                    // A step is bounded; rounding adds at most a bit of five, a power of two at most a doubling.
                    let slack = if power_of_two { 2 } else { 1 };
                    prop_assert!(told.get() / slack / u128::from(up) <= before.get().saturating_add(before.get() / 16));
                    prop_assert!(before.get() / slack / u128::from(down) <= told.get().saturating_add(told.get() / 16));
                }
            }
            let work = vardiff.work();
            prop_assert_eq!(range.clamp(work), work);
            prop_assert!(vardiff.deadline(&rules) >= Moment::ZERO);
            let _: Work = vardiff.proven();
        }
    }
}
