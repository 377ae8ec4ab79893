//! Fluid PROP in closed form: one exponential number per round and a handful of operations.
//!
//! Where nothing moves but rounds and hoppers who watch them, a round of `N` expected blocks is known as a whole: who
//! mines until which age, how long that takes, what everyone did and got. This is the same result as
//! [`fluid`](crate::fidelity::fluid) gives step by step, from the same draws, and a test holds them together. Everything
//! else is left to the general way.

use crate::fidelity::journal::{Journal, ROUND_BINS, Tape};
use crate::fidelity::world::{World, stream};
use crate::random::Purpose;
use crate::scenario::{Duty, Fallback, FeeProcess, Fidelity, HashrateProcess, Strategy};
use crate::strategy::Plan;
use pool_rewards::scheme::Rule;

/// More groups than this take the general way.
const GROUPS_MAX: usize = 6;

/// A stretch of a round's age in which the same groups mine.
#[derive(Clone, Copy, Debug)]
struct Phase<const A: usize> {
    from: f64,
    to: f64,
    /// Seconds per expected block.
    pace: f64,
    /// Everyone's part of the work.
    parts: [f64; A],
}

/// Phases of a round for `A` groups; `None` where the closed form does not hold.
fn phases<const A: usize>(plan: &Plan<'_>) -> Option<Vec<Phase<A>>> {
    let scenario = plan.scenario;
    let simple = scenario.fidelity == Fidelity::Fluid
        && scenario.hashrate == HashrateProcess::default()
        && scenario.fees == FeeProcess::None
        && scenario.network.reward_change.is_none()
        && plan.pool_of.len() == 1
        && plan.line_ups.len() == 1
        && plan.actors.len() == A
        && scenario.miners.len() == A
        && scenario.miners.iter().all(|group| group.duty == Duty::Always)
        && {
            let params = &scenario.schemes[plan.line_ups[0][0]].params;
            params.rule == Rule::Prop {} && params.fees.finder_bonus.get() == 0
        };
    if !simple {
        return None;
    }
    let mut leaves = [f64::INFINITY; A];
    for (group, leave) in scenario.miners.iter().zip(&mut leaves) {
        match &group.strategy {
            Strategy::Honest | Strategy::Sybil { .. } => {}
            Strategy::Hopper { threshold, fallback: Fallback::Fair | Fallback::Off, .. } => {
                *leave = *threshold
            }
            _ => return None,
        }
    }
    if leaves.iter().all(|leave| leave.is_finite()) {
        // Nobody would be left to find the block.
        return None;
    }
    let mut edges: Vec<f64> = leaves.to_vec();
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let (mut phases, mut from) = (Vec::new(), 0.0);
    for to in edges {
        let mut parts = [0.0; A];
        let mut total = 0.0;
        for (part, (actor, leave)) in parts.iter_mut().zip(plan.actors.iter().zip(leaves)) {
            if leave > from {
                *part = actor.part;
                total += actor.part;
            }
        }
        let parts = parts.map(|part| part / total);
        phases.push(Phase { from, to, pace: scenario.network.interval_seconds / total, parts });
        from = to;
    }
    Some(phases)
}

/// One replication, if the closed form holds.
#[must_use]
pub fn replication(plan: &Plan<'_>, number: u64) -> Option<Tape> {
    match plan.actors.len() {
        1 => play::<1>(plan, number),
        2 => play::<2>(plan, number),
        3 => play::<3>(plan, number),
        4 => play::<4>(plan, number),
        5 => play::<5>(plan, number),
        GROUPS_MAX => play::<GROUPS_MAX>(plan, number),
        _ => None,
    }
}

/// What everyone did in the first `seconds` of a round.
fn so_far<const A: usize>(phases: &[Phase<A>], seconds: f64) -> [f64; A] {
    let (mut works, mut left) = ([0.0; A], seconds);
    for phase in phases {
        let length = (left / phase.pace).min(phase.to - phase.from);
        for (work, part) in works.iter_mut().zip(phase.parts) {
            *work += part * length;
        }
        left -= length * phase.pace;
        if left <= 0.0 {
            break;
        }
    }
    works
}

fn play<const A: usize>(plan: &Plan<'_>, number: u64) -> Option<Tape> {
    let phases = phases::<A>(plan)?;
    let scenario = plan.scenario;
    let kept = 1.0 - f64::from(scenario.schemes[plan.line_ups[0][0]].params.fees.pool.get()) / 10_000.0;
    let mut stream = stream(scenario, number, Purpose::Blocks);
    let mut journal = Journal::new(plan, number);
    let (mut now, mut position, mut found, mut first) = (0.0f64, 0.0f64, 0u64, f64::INFINITY);
    let (mut work, mut lead, mut peak, mut fall) = ([0.0f64; A], [0.0f64; A], [0.0f64; A], [0.0f64; A]);
    let mut rounds = [0u64; ROUND_BINS];
    let (mut checkpoint, mut next) = (0, World::checkpoint_at(scenario, 0));
    let mut luck = journal.luck_points().to_vec().into_iter();
    let mut next_luck = luck.next();
    'rounds: loop {
        let length = stream.exponential();
        let mut done = [0.0f64; A];
        let mut seconds = 0.0;
        for phase in &phases {
            let inside = (length.min(phase.to) - phase.from).max(0.0);
            for (done, part) in done.iter_mut().zip(phase.parts) {
                *done += part * inside;
            }
            seconds += inside * phase.pace;
        }
        while now + seconds > next {
            let partly = so_far(&phases, next - now);
            let leads: [f64; A] = std::array::from_fn(|i| lead[i] - partly[i]);
            journal.note_checkpoint(&leads, scenario.pools[0].reserve_blocks + (1.0 - kept) * found as f64);
            checkpoint += 1;
            if checkpoint >= scenario.checkpoints {
                for i in 0..A {
                    work[i] += partly[i];
                    lead[i] = leads[i];
                    fall[i] = fall[i].max(peak[i] - lead[i]);
                    position += partly[i];
                }
                break 'rounds;
            }
            next = World::checkpoint_at(scenario, checkpoint);
        }
        now += seconds;
        position += length;
        found += 1;
        let each = kept / length;
        for i in 0..A {
            fall[i] = fall[i].max(peak[i] - (lead[i] - done[i]));
            work[i] += done[i];
            lead[i] += done[i] * each - done[i];
            peak[i] = peak[i].max(lead[i]);
        }
        rounds[((length * 10.0) as usize).min(ROUND_BINS - 1)] += 1;
        if found == 1 {
            first = now;
        }
        if next_luck == Some(found) {
            journal.pool(0).luck.push(position / found as f64);
            next_luck = luck.next();
        }
        journal.note_block(position, 1.0);
    }
    let horizon = scenario.horizon_seconds / scenario.network.interval_seconds;
    for (i, group) in scenario.miners.iter().enumerate() {
        // Whoever is not in the pool is outside: the rest of the time, if that is paid.
        let outside = match group.strategy {
            Strategy::Hopper { fallback: Fallback::Fair, .. } => {
                (plan.actors[i].part * horizon - work[i]).max(0.0)
            }
            _ => 0.0,
        };
        for row in [i, plan.group_row(i)] {
            journal.note_row(row, (work[i], outside), (lead[i] + work[i], peak[i], fall[i]), (first, found));
        }
    }
    journal.note_pool(position, found, &rounds, (1.0 - kept) * found as f64);
    Some(journal.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fidelity::fluid;
    use crate::scenario::Scenario;
    use crate::strategy::Grain;
    use std::path::Path;

    fn near(left: &[f64], right: &[f64], what: &str) {
        assert_eq!(left.len(), right.len(), "{what}");
        for (left, right) in left.iter().zip(right) {
            let same = left == right || (left - right).abs() <= 1e-7 * left.abs().max(right.abs()).max(1.0);
            assert!(same, "{what}: {left} {right}");
        }
    }

    #[test]
    fn the_closed_form_is_the_general_way_in_one_step() {
        for (fallback, threshold) in [("fair", 0.43), ("off", 0.1), ("fair", 3.0)] {
            let text = format!(
                "name='r'\nfidelity='fluid'\nblocks=300\nseed=4\ncheckpoints=7\n[network]\ninterval_seconds=600\n\
                 subsidy='100'\n[[pool]]\nname='p'\nreserve_blocks=2\n[[miners]]\nname='m'\npart=0.1\ncount=4\n\
                 [[miners]]\nname='h'\npart=0.05\n[miners.strategy]\nkind='hopper'\nthreshold={threshold}\n\
                 fallback='{fallback}'\n[[miners]]\nname='i'\npart=0.02\n[miners.strategy]\nkind='hopper'\n\
                 threshold=0.7\n[[scheme]]\nkind='prop'\nfee_bps=100\n"
            );
            let scenario = Scenario::parse(&text, Path::new("")).unwrap();
            let plan = Plan::new(&scenario, Grain::Groups);
            for number in 0..4 {
                let (fast, slow) = (replication(&plan, number).unwrap(), fluid::stepwise(&plan, number));
                near(&fast.work, &slow.work, "work");
                near(&fast.outside, &slow.outside, "outside");
                let (a, b) = (&fast.schemes[0], &slow.schemes[0]);
                near(&a.income, &b.income, "income");
                near(&a.fall, &b.fall, "fall");
                near(&a.first, &b.first, "first");
                near(&a.course, &b.course, "course");
                assert_eq!(a.credits, b.credits);
                near(&a.operators[0].course, &b.operators[0].course, "operator");
                near(&[a.operators[0].balance], &[b.operators[0].balance], "balance");
                let (a, b) = (&fast.pools[0], &slow.pools[0]);
                assert_eq!((a.found, &a.rounds), (b.found, &b.rounds));
                near(&a.luck, &b.luck, "luck");
                near(&[a.work, fast.blocks_over_work], &[b.work, slow.blocks_over_work], "pool");
                let flat =
                    |ages: &[(f64, f64)]| ages.iter().flat_map(|age| [age.0, age.1]).collect::<Vec<_>>();
                near(&flat(&fast.schemes[0].ages), &flat(&slow.schemes[0].ages), "ages");
            }
        }
    }
}
