//! What all replications came to: absorbed tape by tape, merged chunk by chunk, written down as a [`Summary`].

use super::{Cross, Joint, Moments, Quantity, deviations, gamma_quantile, wilson};
use crate::fidelity::journal::{
    AGE_BINS, AGE_WIDTH, ROUND_BINS, SchemeTape, Tape, keeps_courses, luck_points,
};
use crate::fidelity::world::World;
use crate::game;
use crate::outcome::{
    AccountOutcome, AgePoint, Difference, Estimate, FAN, FanPoint, LuckPoint, OperatorOutcome, PoolOutcome,
    Replications, RuinPoint, SCHEMA, SchemeOutcome, Summary,
};
use crate::scenario::Duty;
use crate::strategy::Plan;
use crate::variance::{Payer, per_work, ultimate_ruin};

#[derive(Clone, Debug)]
struct RowTotals {
    income: Quantity,
    /// Income with what was earned outside, work with what was done there, blocks less work.
    joint: Joint<3>,
    first: Quantity,
    fall: Quantity,
    credits: u64,
    course: Vec<Quantity>,
}

#[derive(Clone, Debug)]
struct OperatorTotals {
    balance: Quantity,
    least: Quantity,
    course: Vec<Quantity>,
    ruined: Vec<u64>,
}

#[derive(Clone, Debug)]
struct SchemeTotals {
    rows: Vec<RowTotals>,
    operators: Vec<OperatorTotals>,
    ages: Vec<Cross<2>>,
    gini: Moments,
    /// Per group: income here, income under the first scheme.
    pairs: Vec<Joint<2>>,
}

#[derive(Clone, Debug)]
struct PoolTotals {
    work: Quantity,
    found: Quantity,
    withheld: u64,
    lost: u64,
    uncles: u64,
    red: u64,
    stale: u64,
    shares: u64,
    luck: Vec<Quantity>,
    rounds: Vec<u64>,
}

/// What replications so far came to.
#[derive(Clone, Debug)]
pub struct Totals {
    done: u64,
    work: Vec<Quantity>,
    outside: Vec<Moments>,
    schemes: Vec<SchemeTotals>,
    pools: Vec<PoolTotals>,
}

fn merge_all(mine: &mut [Quantity], theirs: &[Quantity]) {
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        mine.merge(theirs);
    }
}

impl Totals {
    /// Of no replication.
    #[must_use]
    pub fn new(plan: &Plan<'_>) -> Self {
        let scenario = plan.scenario;
        let antithetic = scenario.variance.antithetic;
        let quantity = || Quantity::new(antithetic);
        let checkpoints = scenario.checkpoints as usize;
        let courses = keeps_courses(plan);
        let rows = (0..plan.rows.len())
            .map(|row| RowTotals {
                income: quantity(),
                joint: Joint::new(antithetic),
                first: Quantity::new(false),
                fall: quantity(),
                credits: 0,
                course: if courses.contains(&row) {
                    vec![Quantity::new(false); checkpoints]
                } else {
                    Vec::new()
                },
            })
            .collect::<Vec<_>>();
        let operator = OperatorTotals {
            balance: quantity(),
            least: quantity(),
            course: vec![Quantity::new(false); checkpoints],
            ruined: vec![0; checkpoints],
        };
        let scheme = SchemeTotals {
            rows,
            operators: vec![operator; scenario.pools.len()],
            ages: vec![Cross::default(); AGE_BINS],
            gini: Moments::default(),
            pairs: vec![Joint::new(antithetic); scenario.miners.len()],
        };
        let pool = PoolTotals {
            work: quantity(),
            found: quantity(),
            withheld: 0,
            lost: 0,
            uncles: 0,
            red: 0,
            stale: 0,
            shares: 0,
            luck: vec![Quantity::new(false); luck_points(scenario.horizon_blocks()).len()],
            rounds: vec![0; ROUND_BINS],
        };
        Self {
            done: 0,
            work: vec![quantity(); plan.rows.len()],
            outside: vec![Moments::default(); plan.rows.len()],
            schemes: vec![scheme; plan.line_ups.len()],
            pools: vec![pool; scenario.pools.len()],
        }
    }

    /// Replications absorbed.
    #[must_use]
    pub const fn done(&self) -> u64 {
        self.done
    }

    /// The next replication.
    pub fn absorb(&mut self, plan: &Plan<'_>, tape: &Tape) {
        self.done += 1;
        for (total, work) in self.work.iter_mut().zip(&tape.work) {
            total.push(*work);
        }
        for (total, work) in self.outside.iter_mut().zip(&tape.outside) {
            total.push(*work);
        }
        let courses = keeps_courses(plan);
        for (totals, scheme) in self.schemes.iter_mut().zip(&tape.schemes) {
            totals.absorb(plan, tape, scheme, &tape.schemes[0], &courses);
        }
        for (totals, pool) in self.pools.iter_mut().zip(&tape.pools) {
            totals.work.push(pool.work);
            totals.found.push(pool.found as f64);
            totals.withheld += pool.withheld;
            totals.lost += pool.lost;
            totals.uncles += pool.uncles;
            totals.red += pool.red;
            totals.stale += pool.stale;
            totals.shares += pool.shares;
            // A pool that hops or grows may find more blocks than the horizon said; the chart ends where it was planned.
            for (total, luck) in totals.luck.iter_mut().zip(&pool.luck) {
                total.push(*luck);
            }
            for (total, count) in totals.rounds.iter_mut().zip(&pool.rounds) {
                *total += count;
            }
        }
    }

    /// Appends what another has absorbed after this one.
    pub fn merge(&mut self, later: &Self) {
        self.done += later.done;
        merge_all(&mut self.work, &later.work);
        for (mine, theirs) in self.outside.iter_mut().zip(&later.outside) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.schemes.iter_mut().zip(&later.schemes) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.pools.iter_mut().zip(&later.pools) {
            mine.work.merge(&theirs.work);
            mine.found.merge(&theirs.found);
            mine.withheld += theirs.withheld;
            mine.lost += theirs.lost;
            mine.uncles += theirs.uncles;
            mine.red += theirs.red;
            mine.stale += theirs.stale;
            mine.shares += theirs.shares;
            merge_all(&mut mine.luck, &theirs.luck);
            for (mine, theirs) in mine.rounds.iter_mut().zip(&theirs.rounds) {
                *mine += theirs;
            }
        }
    }

    /// The widest interval of a group's income per work, as a part of it; `None` before there are any two samples.
    #[must_use]
    pub fn half_width(&self, plan: &Plan<'_>) -> Option<f64> {
        let confidence = plan.scenario.precision.confidence;
        let mut widest: Option<f64> = None;
        for scheme in &self.schemes {
            for row in &scheme.rows[plan.account_rows..] {
                let samples = row.joint.samples();
                if samples.count() < 2 {
                    return None;
                }
                let (value, error) = samples.ratio(0, 1)?;
                if value > 0.0 {
                    let width = deviations(confidence) * error / value;
                    widest = Some(widest.map_or(width, |widest| widest.max(width)));
                }
            }
        }
        widest
    }
}

impl SchemeTotals {
    fn absorb(
        &mut self,
        plan: &Plan<'_>,
        tape: &Tape,
        scheme: &SchemeTape,
        first: &SchemeTape,
        courses: &std::ops::Range<usize>,
    ) {
        for (row, totals) in self.rows.iter_mut().enumerate() {
            let (income, work, outside) = (scheme.income[row], tape.work[row], tape.outside[row]);
            totals.income.push(income);
            totals.joint.push([income + outside, work + outside, tape.blocks_over_work]);
            if scheme.first[row].is_finite() {
                totals.first.push(scheme.first[row]);
            }
            totals.fall.push(scheme.fall[row]);
            totals.credits += scheme.credits[row];
            if courses.contains(&row) {
                let place = row - courses.start;
                for (number, total) in totals.course.iter_mut().enumerate() {
                    if let Some(value) = scheme.course.get(number * courses.len() + place) {
                        total.push(*value);
                    }
                }
            }
        }
        let horizon = plan.scenario.checkpoints;
        for (totals, operator) in self.operators.iter_mut().zip(&scheme.operators) {
            totals.balance.push(operator.balance);
            totals.least.push(operator.least);
            for (total, value) in totals.course.iter_mut().zip(&operator.course) {
                total.push(*value);
            }
            for (number, ruined) in (0..horizon).zip(&mut totals.ruined) {
                *ruined += u64::from(operator.ruined <= World::checkpoint_at(plan.scenario, number));
            }
        }
        for (total, (count, sum)) in self.ages.iter_mut().zip(&scheme.ages) {
            total.push([*sum, *count]);
        }
        for (group, pair) in self.pairs.iter_mut().enumerate() {
            let row = plan.group_row(group);
            pair.push([scheme.income[row], first.income[row]]);
        }
        self.gini.push(gini(plan, &scheme.income, &tape.work));
    }

    fn merge(&mut self, later: &Self) {
        for (mine, theirs) in self.rows.iter_mut().zip(&later.rows) {
            mine.income.merge(&theirs.income);
            mine.joint.merge(&theirs.joint);
            mine.first.merge(&theirs.first);
            mine.fall.merge(&theirs.fall);
            mine.credits += theirs.credits;
            merge_all(&mut mine.course, &theirs.course);
        }
        for (mine, theirs) in self.operators.iter_mut().zip(&later.operators) {
            mine.balance.merge(&theirs.balance);
            mine.least.merge(&theirs.least);
            merge_all(&mut mine.course, &theirs.course);
            for (mine, theirs) in mine.ruined.iter_mut().zip(&theirs.ruined) {
                *mine += theirs;
            }
        }
        for (mine, theirs) in self.ages.iter_mut().zip(&later.ages) {
            mine.merge(theirs);
        }
        self.gini.merge(&later.gini);
        for (mine, theirs) in self.pairs.iter_mut().zip(&later.pairs) {
            mine.merge(theirs);
        }
    }
}

/// The Gini coefficient of income per unit of work among accounts that worked; zero where nobody earned.
fn gini(plan: &Plan<'_>, income: &[f64], work: &[f64]) -> f64 {
    let mut ratios: Vec<(f64, f64)> = plan.rows[..plan.account_rows]
        .iter()
        .zip(income.iter().zip(work))
        .filter(|(_, (_, work))| **work > 0.0)
        .map(|(row, (income, work))| (income / work, row.accounts.len() as f64))
        .collect();
    ratios.sort_by(|left, right| left.0.total_cmp(&right.0));
    let accounts: f64 = ratios.iter().map(|(_, count)| count).sum();
    let total: f64 = ratios.iter().map(|(ratio, count)| ratio * count).sum();
    if total <= 0.0 {
        return 0.0;
    }
    // Twice the area between the diagonal and the Lorenz curve.
    let (mut area, mut below) = (0.0, 0.0);
    for (ratio, count) in ratios {
        let part = ratio * count / total;
        area += count / accounts * (2.0 * below + part);
        below += part;
    }
    (1.0 - area).max(0.0)
}

fn fan(scenario_time: impl Fn(u32) -> f64, course: &[Quantity], scale: f64) -> Vec<FanPoint> {
    (0..)
        .zip(course)
        .map(|(number, values)| FanPoint {
            seconds: scenario_time(number),
            mean: values.mean() * scale,
            quantiles: values.quantiles(FAN).map(|value| value * scale),
        })
        .collect()
}

/// Everything as it is written down. `reached` says that the run ended early.
#[must_use]
pub fn summary(plan: &Plan<'_>, totals: &Totals, reached: bool) -> Summary {
    let scenario = plan.scenario;
    let shares = totals.pools.iter().map(|pool| pool.shares).sum();
    let blocks = totals.pools.iter().map(|pool| pool.rounds.iter().sum::<u64>()).sum();
    Summary {
        schema: SCHEMA,
        crate_version: env!("CARGO_PKG_VERSION").to_owned(),
        name: scenario.name.clone(),
        scenario: scenario.text.clone(),
        scenario_hash: blake3::hash(scenario.text.as_bytes()).to_hex().to_string(),
        seed: scenario.seed,
        fidelity: scenario.fidelity.name().to_owned(),
        horizon_seconds: scenario.horizon_seconds,
        horizon_blocks: scenario.horizon_blocks(),
        confidence: scenario.precision.confidence,
        replications: Replications {
            done: totals.done,
            allowed: scenario.replications,
            antithetic: scenario.variance.antithetic,
            half_width: totals.half_width(plan).unwrap_or(0.0),
            reached,
            shares,
            blocks,
        },
        pools: (0..scenario.pools.len()).map(|pool| pool_outcome(plan, totals, pool)).collect(),
        schemes: (0..plan.line_ups.len()).map(|line_up| scheme_outcome(plan, totals, line_up)).collect(),
        differences: differences(plan, totals),
        game: scenario.game.as_ref().map(|rules| game::play(scenario, rules)),
    }
}

fn pool_part(plan: &Plan<'_>, pool: usize) -> f64 {
    plan.scenario.miners.iter().filter(|group| group.pool == pool).map(|group| group.part()).sum()
}

fn pool_outcome(plan: &Plan<'_>, totals: &Totals, index: usize) -> PoolOutcome {
    let (pool, seen) = (&plan.scenario.pools[index], &totals.pools[index]);
    let confidence = plan.scenario.precision.confidence;
    let found = seen.found.mean() * seen.found.count() as f64;
    let work = seen.work.mean() * seen.work.count() as f64;
    let over = |count: u64, all: f64| if all > 0.0 { count as f64 / all } else { 0.0 };
    let points = luck_points(plan.scenario.horizon_blocks());
    PoolOutcome {
        name: pool.name.clone(),
        part: pool_part(plan, index),
        chains: pool.chains,
        work: seen.work.distribution(confidence, 1.0),
        found: seen.found.distribution(confidence, 1.0),
        withheld: over(seen.withheld, work),
        lost: over(seen.lost, found),
        uncles: over(seen.uncles, found),
        red: over(seen.red, found),
        stale: over(seen.stale, seen.shares as f64),
        luck: points
            .into_iter()
            .zip(&seen.luck)
            .filter(|(_, luck)| luck.count() > 0)
            .map(|(blocks, luck)| LuckPoint {
                blocks,
                count: luck.count(),
                mean: luck.mean(),
                quantiles: luck.quantiles(FAN),
                band: FAN.map(|p| gamma_quantile(blocks, p)),
            })
            .collect(),
        rounds: seen.rounds.clone(),
    }
}

fn scheme_outcome(plan: &Plan<'_>, totals: &Totals, line_up: usize) -> SchemeOutcome {
    let scheme = &plan.scenario.schemes[plan.compared(line_up)];
    let seen = &totals.schemes[line_up];
    let confidence = plan.scenario.precision.confidence;
    let mut accounts = Vec::new();
    for (row, of) in plan.rows[..plan.account_rows].iter().enumerate() {
        for (account, scale) in &of.accounts {
            accounts.push(account_outcome(plan, totals, line_up, row, Some((*account, *scale))));
        }
    }
    let groups = (0..plan.scenario.miners.len())
        .map(|group| account_outcome(plan, totals, line_up, plan.group_row(group), None))
        .collect();
    SchemeOutcome {
        name: scheme.name.clone(),
        kind: scheme.params.rule.name().to_owned(),
        params: scheme.params.canonical(),
        fee: f64::from(scheme.params.fees.pool.get()) / 10_000.0,
        accounts,
        groups,
        operators: (0..plan.scenario.pools.len())
            .map(|pool| operator_outcome(plan, totals, line_up, pool))
            .collect(),
        by_age: by_age(&seen.ages, confidence),
        gini: seen.gini.mean(),
    }
}

fn by_age(ages: &[Cross<2>], confidence: f64) -> Vec<AgePoint> {
    (0..)
        .zip(ages)
        .filter_map(|(bin, age)| {
            let (value, error) = age.ratio(0, 1)?;
            let half = deviations(confidence) * error;
            Some(AgePoint {
                age: (f64::from(bin) + 0.5) * AGE_WIDTH,
                work: age.mean(1) * age.count() as f64 * AGE_WIDTH,
                value: Estimate { value, low: value - half, high: value + half },
            })
        })
        .collect()
}

fn account_outcome(
    plan: &Plan<'_>,
    totals: &Totals,
    line_up: usize,
    row: usize,
    account: Option<(usize, f64)>,
) -> AccountOutcome {
    let scenario = plan.scenario;
    let of = &plan.rows[row];
    let group = &scenario.miners[of.group];
    let seen = &totals.schemes[line_up].rows[row];
    let confidence = scenario.precision.confidence;
    let scale = account.map_or(1.0, |(_, scale)| scale);
    let (per_work, controlled) = per_work(seen.joint.samples(), confidence, scenario.variance.control);
    let replications = totals.done.max(1) as f64;
    AccountOutcome {
        name: account.map_or_else(|| group.name.clone(), |(number, _)| format!("{}/{number}", group.name)),
        group: group.name.clone(),
        strategy: group.strategy.name().to_owned(),
        part: account.map_or_else(|| group.part(), |(number, _)| group.parts[number]),
        work: totals.work[row].distribution(confidence, scale),
        income: seen.income.distribution(confidence, scale),
        outside: totals.outside[row].mean() * scale,
        per_work,
        controlled,
        course: fan(|number| World::checkpoint_at(scenario, number), &seen.course, scale),
        first_pay_seconds: seen.first.distribution(confidence, 1.0),
        never_paid: 1.0 - seen.first.count() as f64 / replications,
        drawdown: seen.fall.distribution(confidence, scale),
        credits: seen.credits as f64 / replications,
    }
}

fn operator_outcome(plan: &Plan<'_>, totals: &Totals, line_up: usize, pool: usize) -> OperatorOutcome {
    let scenario = plan.scenario;
    let params = &scenario.schemes[plan.line_ups[line_up][pool]].params;
    let seen = &totals.schemes[line_up].operators[pool];
    let confidence = scenario.precision.confidence;
    let pays_shares = params.rule.pays_shares();
    let part = pool_part(plan, pool);
    let blocks = scenario.horizon_seconds / scenario.network.interval_seconds * part;
    let ruin = (0..scenario.checkpoints)
        .zip(&seen.ruined)
        .filter(|_| pays_shares)
        .map(|(number, ruined)| {
            let seconds = World::checkpoint_at(scenario, number);
            RuinPoint {
                seconds,
                blocks: blocks * seconds / scenario.horizon_seconds,
                probability: wilson(*ruined, totals.done, confidence),
            }
        })
        .collect();
    // The closed form knows blocks of one value and everyone always there.
    let simple = pays_shares
        && params.rule.share_value().is_some_and(|value| {
            value == pool_rewards::scheme::BlockValue::Fixed { value: scenario.network.subsidy }
        })
        && scenario.fees == crate::scenario::FeeProcess::None
        && scenario.network.reward_change.is_none()
        && scenario.miners.iter().all(|group| group.duty == Duty::Always);
    let ultimate = simple.then(|| {
        let luck = &totals.pools[pool];
        let found = luck.found.mean() * luck.found.count() as f64;
        let all = found + luck.withheld as f64;
        let alive = if all > 0.0 { (found - (luck.lost + luck.red) as f64) / all } else { 1.0 };
        let payer = Payer {
            reserve: scenario.pools[pool].reserve_blocks,
            fee: f64::from(params.fees.pool.get()) / 10_000.0,
            alive,
            unit: 1.0 / scenario.network.shares_per_block as f64,
            horizon: blocks,
        };
        ultimate_ruin(&payer, scenario.variance.ruin_paths, scenario.seed, confidence)
    });
    OperatorOutcome {
        pool: scenario.pools[pool].name.clone(),
        reserve: scenario.pools[pool].reserve_blocks,
        balance: seen.balance.distribution(confidence, 1.0),
        least: seen.least.distribution(confidence, 1.0),
        course: fan(|number| World::checkpoint_at(scenario, number), &seen.course, 1.0),
        ruin,
        ultimate: ultimate.flatten(),
    }
}

fn differences(plan: &Plan<'_>, totals: &Totals) -> Vec<Difference> {
    let confidence = plan.scenario.precision.confidence;
    let name = |line_up: usize| plan.scenario.schemes[plan.compared(line_up)].name.clone();
    let mut all = Vec::new();
    for (line_up, scheme) in totals.schemes.iter().enumerate().skip(1) {
        for (group, pair) in plan.scenario.miners.iter().zip(&scheme.pairs) {
            let samples = pair.samples();
            let variance = samples.variance_of([1.0, -1.0]);
            let apart = samples.covariance(0, 0) + samples.covariance(1, 1);
            let half = deviations(confidence) * (variance / samples.count().max(1) as f64).sqrt();
            let value = samples.mean(0) - samples.mean(1);
            all.push(Difference {
                scheme: name(line_up),
                against: name(0),
                group: group.name.clone(),
                income: Estimate { value, low: value - half, high: value + half },
                gain: (variance > 1e-12 * apart).then(|| apart / variance),
            });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use crate::strategy::Grain;
    use std::path::Path;

    #[test]
    fn gini_of_equals_is_zero_and_of_one_winner_nearly_one() {
        let text = "name='g'\nfidelity='fluid'\nblocks=10\n[network]\ninterval_seconds=600\nsubsidy='100'\n\
                    [[pool]]\nname='p'\n[[miners]]\nname='m'\npart=0.1\ncount=4\n[[scheme]]\nkind='solo'\n";
        let scenario = Scenario::parse(text, Path::new("")).unwrap();
        let plan = Plan::new(&scenario, Grain::Groups);
        assert_eq!(plan.account_rows, 4);
        assert!(gini(&plan, &[1.0; 5], &[1.0; 5]).abs() < 1e-12);
        assert!((gini(&plan, &[4.0, 0.0, 0.0, 0.0, 4.0], &[1.0; 5]) - 0.75).abs() < 1e-12);
        assert_eq!(gini(&plan, &[0.0; 5], &[1.0; 5]), 0.0);
    }
}
