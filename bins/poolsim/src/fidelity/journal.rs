//! What is noted during one replication, and what is left of it at the end.

use crate::strategy::Plan;
use pool_rewards::scheme::{Rule, SchemeParams};

/// Blocks after which luck is looked at: 1, 2, 5, 10 and so on.
#[must_use]
pub fn luck_points(blocks: f64) -> Vec<u64> {
    let mut points = Vec::new();
    let mut decade = 1u64;
    while (decade as f64) <= blocks && decade < 1_000_000_000 {
        points.extend(
            [1, 2, 5].map(|digit| digit * decade).into_iter().filter(|point| *point as f64 <= blocks),
        );
        decade *= 10;
    }
    points
}

/// Bins of [`PoolTape::rounds`], a tenth of a block each; the last is open.
pub const ROUND_BINS: usize = 81;
/// Bins of age, each so wide; work in older rounds is not looked at.
pub const AGE_BINS: usize = 60;
/// The width of a bin of age, in expected blocks.
pub const AGE_WIDTH: f64 = 0.05;
/// How many replications look at pay by age: more would not be seen in the chart.
pub const AGE_REPLICATIONS: u64 = 256;
/// Blocks per replication and book that are kept for that.
const AGE_BLOCKS_MAX: usize = 1 << 16;

/// Rows whose course is kept: all of the groups', and accounts' where there are few.
#[must_use]
pub fn keeps_courses(plan: &Plan<'_>) -> std::ops::Range<usize> {
    if plan.account_rows <= 64 { 0..plan.rows.len() } else { plan.account_rows..plan.rows.len() }
}

/// One operator's money in one replication, in blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorTape {
    /// At the end, reserve included.
    pub balance: f64,
    /// The least ever.
    pub least: f64,
    /// When it first was below zero; infinite if never.
    pub ruined: f64,
    /// At the checkpoints.
    pub course: Vec<f64>,
}

/// One scheme in one replication.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemeTape {
    /// By row, in blocks.
    pub income: Vec<f64>,
    /// By row: seconds to the first credit; infinite if none.
    pub first: Vec<f64>,
    /// By row: the largest fall of income less fair value.
    pub fall: Vec<f64>,
    /// By row: credits above zero.
    pub credits: Vec<u64>,
    /// Of the rows of [`keeps_courses`], checkpoint by checkpoint: income less fair value.
    pub course: Vec<f64>,
    /// By pool.
    pub operators: Vec<OperatorTape>,
    /// By bin of age: samples and the sum of their pay per unit of work. Empty where it is not looked at.
    pub ages: Vec<(f64, f64)>,
    peak: Vec<f64>,
}

/// One pool in one replication.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolTape {
    /// Work accepted.
    pub work: f64,
    /// Blocks handed in.
    pub found: u64,
    /// Blocks withheld.
    pub withheld: u64,
    /// Blocks that were worth nothing.
    pub lost: u64,
    /// Blocks paid as uncles.
    pub uncles: u64,
    /// Red blocks.
    pub red: u64,
    /// Stale shares.
    pub stale: u64,
    /// All shares, stale ones included; zero where shares are not counted.
    pub shares: u64,
    /// Work per block at the luck points that were reached.
    pub luck: Vec<f64>,
    /// Finished rounds by their work.
    pub rounds: Vec<u64>,
    last_found: f64,
}

/// Everything one replication left behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Tape {
    /// By row: work in pools.
    pub work: Vec<f64>,
    /// By row: work outside.
    pub outside: Vec<f64>,
    /// By line-up.
    pub schemes: Vec<SchemeTape>,
    /// By pool.
    pub pools: Vec<PoolTape>,
    /// Work in pools expected of everyone's time there: what the number of blocks is compared with.
    pub blocks_over_work: f64,
}

/// The running notes.
#[derive(Debug)]
pub struct Journal<'p> {
    plan: &'p Plan<'p>,
    tape: Tape,
    luck_points: Vec<u64>,
    courses: std::ops::Range<usize>,
    /// Per book: where blocks were found and what they brought in, if pay by age is looked at.
    blocks: Option<Vec<Vec<(f64, f64)>>>,
    /// Work of each book.
    positions: Vec<f64>,
}

impl<'p> Journal<'p> {
    /// An empty journal.
    #[must_use]
    pub fn new(plan: &'p Plan<'p>, replication: u64) -> Self {
        let rows = plan.rows.len();
        let scenario = plan.scenario;
        let luck_points = luck_points(scenario.horizon_blocks());
        let operators: Vec<OperatorTape> = scenario
            .pools
            .iter()
            .map(|pool| OperatorTape {
                balance: pool.reserve_blocks,
                least: pool.reserve_blocks,
                ruined: f64::INFINITY,
                course: Vec::with_capacity(scenario.checkpoints as usize),
            })
            .collect();
        let scheme = SchemeTape {
            income: vec![0.0; rows],
            first: vec![f64::INFINITY; rows],
            fall: vec![0.0; rows],
            credits: vec![0; rows],
            course: Vec::new(),
            operators,
            ages: Vec::new(),
            peak: vec![0.0; rows],
        };
        let pool = PoolTape {
            work: 0.0,
            found: 0,
            withheld: 0,
            lost: 0,
            uncles: 0,
            red: 0,
            stale: 0,
            shares: 0,
            luck: Vec::new(),
            rounds: vec![0; ROUND_BINS],
            last_found: 0.0,
        };
        Self {
            plan,
            tape: Tape {
                work: vec![0.0; rows],
                outside: vec![0.0; rows],
                schemes: vec![scheme; plan.line_ups.len()],
                pools: vec![pool; scenario.pools.len()],
                blocks_over_work: 0.0,
            },
            luck_points,
            courses: keeps_courses(plan),
            blocks: (replication < AGE_REPLICATIONS).then(|| vec![Vec::new(); plan.pool_of.len()]),
            positions: vec![0.0; plan.pool_of.len()],
        }
    }

    /// Accepted work of an actor on a book.
    #[inline]
    pub fn work(&mut self, actor: usize, book: usize, work: f64) {
        let actor = &self.plan.actors[actor];
        self.tape.work[actor.row] += work;
        self.tape.work[self.plan.account_rows + actor.group] += work;
        self.tape.pools[self.plan.pool_of[book]].work += work;
        self.positions[book] += work;
    }

    /// Work of an actor that was refused: its own loss, and none of the pool's work.
    pub fn refused(&mut self, actor: usize, book: usize, work: f64) {
        let actor = &self.plan.actors[actor];
        self.tape.work[actor.row] += work;
        self.tape.work[self.plan.account_rows + actor.group] += work;
        self.tape.pools[self.plan.pool_of[book]].stale += 1;
    }

    /// Work of a row done outside.
    pub fn outside(&mut self, row: usize, work: f64) {
        self.tape.outside[row] += work;
        self.tape.outside[self.plan.group_row(self.plan.rows[row].group)] += work;
    }

    /// Notes on a pool that are mere counts.
    pub fn pool(&mut self, pool: usize) -> &mut PoolTape {
        &mut self.tape.pools[pool]
    }

    /// A block handed in on a book. What it brings in may be known later; `value` is for pay by age.
    pub fn found(&mut self, book: usize, value: f64) {
        let pool = &mut self.tape.pools[self.plan.pool_of[book]];
        pool.found += 1;
        let reached = self.luck_points.get(pool.luck.len());
        if reached == Some(&pool.found) {
            pool.luck.push(pool.work / pool.found as f64);
        }
        let bin = ((pool.work - pool.last_found) * 10.0) as usize;
        pool.rounds[bin.min(ROUND_BINS - 1)] += 1;
        pool.last_found = pool.work;
        if let Some(blocks) = &mut self.blocks
            && blocks[book].len() < AGE_BLOCKS_MAX
        {
            blocks[book].push((self.positions[book], value));
        }
    }

    /// Before credits of a scheme: the low points of what they will lift.
    pub fn before(&mut self, line_up: usize) {
        let (scheme, work) = (&mut self.tape.schemes[line_up], &self.tape.work);
        for (fall, ((income, peak), work)) in
            scheme.fall.iter_mut().zip(scheme.income.iter().zip(&scheme.peak).zip(work))
        {
            *fall = fall.max(peak - (income - work));
        }
    }

    /// After credits of a scheme: the high points.
    pub fn after(&mut self, line_up: usize) {
        let (scheme, work) = (&mut self.tape.schemes[line_up], &self.tape.work);
        for (peak, (income, work)) in scheme.peak.iter_mut().zip(scheme.income.iter().zip(work)) {
            *peak = peak.max(income - work);
        }
    }

    /// A credit to an actor, in blocks.
    #[inline]
    pub fn credit(&mut self, line_up: usize, actor: usize, amount: f64, now: f64) {
        if amount <= 0.0 {
            return;
        }
        let scheme = &mut self.tape.schemes[line_up];
        let actor = &self.plan.actors[actor];
        for row in [actor.row, self.plan.account_rows + actor.group] {
            scheme.income[row] += amount;
            scheme.credits[row] += 1;
            if scheme.first[row] > now {
                scheme.first[row] = now;
            }
        }
    }

    /// What an operator took in, or paid out when it is below zero.
    pub fn operator(&mut self, line_up: usize, pool: usize, amount: f64, now: f64) {
        let operator = &mut self.tape.schemes[line_up].operators[pool];
        operator.balance += amount;
        if operator.balance < operator.least {
            operator.least = operator.balance;
        }
        // A reserve of nothing is ruined by the first share, and one that is not short by rounding alone.
        if operator.balance < -1e-9 && operator.ruined.is_infinite() {
            operator.ruined = now;
        }
    }

    /// The next checkpoint.
    pub fn checkpoint(&mut self) {
        for scheme in &mut self.tape.schemes {
            for row in self.courses.clone() {
                scheme.course.push(scheme.income[row] - self.tape.work[row]);
            }
            for operator in &mut scheme.operators {
                operator.course.push(operator.balance);
            }
        }
    }

    /// Blocks after which luck is looked at.
    pub(super) fn luck_points(&self) -> &[u64] {
        &self.luck_points
    }

    /// A checkpoint of the first scheme, from outside: everyone's income less fair value, and the operator's balance.
    pub(super) fn note_checkpoint(&mut self, leads: &[f64], balance: f64) {
        let scheme = &mut self.tape.schemes[0];
        // Every account row has its group's row behind it.
        scheme.course.extend(self.courses.clone().map(|row| leads[row % leads.len()]));
        scheme.operators[0].course.push(balance);
    }

    /// A block of the first book, for pay by age only.
    #[inline]
    pub(super) fn note_block(&mut self, position: f64, value: f64) {
        if let Some(blocks) = &mut self.blocks
            && blocks[0].len() < AGE_BLOCKS_MAX
        {
            blocks[0].push((position, value));
        }
    }

    /// A row of the first scheme as a whole: work in and outside of pools; income, its highest lead and largest fall;
    /// when it was first paid and how often.
    pub(super) fn note_row(
        &mut self,
        row: usize,
        (work, outside): (f64, f64),
        (income, peak, fall): (f64, f64, f64),
        (first, credits): (f64, u64),
    ) {
        self.tape.work[row] = work;
        self.tape.outside[row] = outside;
        let scheme = &mut self.tape.schemes[0];
        scheme.income[row] = income;
        scheme.peak[row] = peak;
        scheme.fall[row] = fall;
        scheme.first[row] = first;
        scheme.credits[row] = credits;
    }

    /// The first pool as a whole: its work, blocks and rounds, and what its operator took in.
    pub(super) fn note_pool(&mut self, work: f64, found: u64, rounds: &[u64], income: f64) {
        self.positions[0] = work;
        let pool = &mut self.tape.pools[0];
        pool.work = work;
        pool.found = found;
        pool.rounds.copy_from_slice(rounds);
        self.tape.schemes[0].operators[0].balance += income;
    }

    /// The end.
    #[must_use]
    pub fn finish(mut self) -> Tape {
        for line_up in 0..self.tape.schemes.len() {
            self.before(line_up);
            let scheme = &self.plan.scenario.schemes[self.plan.compared(line_up)].params;
            if let Some(blocks) = &self.blocks
                && self.plan.scenario.pools.iter().all(|pool| pool.scheme.is_none())
            {
                self.tape.schemes[line_up].ages = pay_by_age(scheme, blocks, &self.positions);
            }
        }
        let (mut found, mut work) = (0.0, 0.0);
        for pool in &self.tape.pools {
            found += (pool.found + pool.withheld) as f64;
            work += pool.work;
        }
        self.tape.blocks_over_work = found - work;
        self.tape
    }
}

/// How pay of the past follows from a block.
enum Pay {
    /// By the round: the same for all its work.
    Round,
    /// By the next so many blocks' worth of work.
    Window(f64),
    /// By scores that fade with `K` per block and of which a block leaves a part.
    Scores(f64, f64),
}

/// Mean pay of work by the age of its round, looked back at from the end: what every place on the line of work was paid
/// in the end, at the middles of the bins. Work too near to the end to know is left out.
fn pay_by_age(params: &SchemeParams, books: &[Vec<(f64, f64)>], positions: &[f64]) -> Vec<(f64, f64)> {
    let as_blocks = |units: pool_core::units::Units| units.to_bits() as f64 / 2f64.powi(88);
    let part = |points: pool_core::units::BasisPoints| f64::from(points.get()) / 10_000.0;
    let pay = match &params.rule {
        Rule::Prop {} => Pay::Round,
        Rule::Pplns { window, .. } => Pay::Window(as_blocks(*window)),
        Rule::Tides { blocks } => Pay::Window(f64::from(*blocks)),
        Rule::Exponential { window, .. } => Pay::Scores(1.0 / as_blocks(*window), 1.0),
        Rule::Geometric { average_fee } => Pay::Scores((1.0 - part(*average_fee)) / part(*average_fee), 0.0),
        Rule::DoubleGeometric { average_fee, carry_over } => {
            let (c, o) = (part(*average_fee), part(*carry_over));
            Pay::Scores((1.0 - c) * (1.0 - o) / c, o)
        }
        Rule::Solo {} | Rule::Mixed { .. } | Rule::Pps { .. } | Rule::Fpps { .. } | Rule::PpsPlus { .. } => {
            return Vec::new();
        }
    };
    let kept = (1.0 - part(params.fees.pool)) * (1.0 - part(params.fees.finder_bonus));
    let mut bins = vec![(0.0, 0.0); AGE_BINS];
    for (blocks, position) in books.iter().zip(positions) {
        let known = blocks.last().map_or(0.0, |(last, _)| last.min(*position));
        // Work after which enough blocks are known, and before which the window was full.
        let (from, to) = match pay {
            Pay::Round => (0.0, known),
            Pay::Window(length) => (length, known - length),
            // What fades is known but for a ten-thousandth.
            Pay::Scores(k, o) if o > 0.0 => (10.0 / k, known - 10.0 / k),
            Pay::Scores(..) => (0.0, known),
        };
        // From the last round to the first; `later` is what work just before the block at hand gets from later blocks.
        let mut later = 0.0;
        // Where the window reaches: sums of values of blocks at or before.
        let sums: Vec<f64> = blocks
            .iter()
            .scan(0.0, |sum, (_, value)| {
                *sum += value;
                Some(*sum)
            })
            .collect();
        let upto = |x: f64| match blocks.partition_point(|(at, _)| *at <= x) {
            0 => 0.0,
            count => sums[count - 1],
        };
        for (index, (end, value)) in blocks.iter().enumerate().rev() {
            let start = if index == 0 { 0.0 } else { blocks[index - 1].0 };
            let at_end = match pay {
                Pay::Scores(k, o) => k * value + o * later,
                _ => 0.0,
            };
            for (bin, (count, sum)) in bins.iter_mut().enumerate() {
                let x = start + (bin as f64 + 0.5) * AGE_WIDTH;
                if x >= *end {
                    break;
                }
                if x < from || x > to {
                    continue;
                }
                let paid = match pay {
                    Pay::Round => value / (end - start),
                    Pay::Window(length) => (upto(x + length) - upto(x)) / length,
                    Pay::Scores(k, _) => at_end * (-k * (end - x)).exp(),
                };
                *count += 1.0;
                *sum += kept * paid;
            }
            if let Pay::Scores(k, _) = pay {
                later = at_end * (-k * (end - start)).exp();
            }
        }
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luck_is_looked_at_in_a_steady_rhythm() {
        assert_eq!(luck_points(60.0), [1, 2, 5, 10, 20, 50]);
        assert!(luck_points(0.5).is_empty());
    }

    /// Rounds of 1 and 3 blocks' work: work of the first got a block per block, of the second a third.
    #[test]
    fn pay_by_age_of_two_rounds() {
        let params = SchemeParams::new(Rule::Prop {});
        let bins = pay_by_age(&params, &[vec![(1.0, 1.0), (4.0, 1.0)]], &[4.0]);
        assert_eq!(bins[0].0, 2.0);
        assert!((bins[0].1 - 4.0 / 3.0).abs() < 1e-12);
        assert_eq!(bins[20].0, 1.0);
        assert!((bins[20].1 - 1.0 / 3.0).abs() < 1e-12);
    }
}
