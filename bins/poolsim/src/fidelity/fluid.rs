//! Work that flows: only blocks are events.
//!
//! The work until a pool's next block is exponential with a mean of one, whatever the difficulty, and everyone's part of
//! it follows from who mines where. No noise is left but that of blocks. This is the limit of many small shares, and
//! the only fidelity in which a round costs the same whatever its length.
//!
//! The same steps serve [`round`](crate::fidelity::round), which counts shares instead: the two differ in how work
//! comes about between two moments and in nothing else.

use crate::fidelity::journal::{Journal, Tape};
use crate::fidelity::rounds;
use crate::fidelity::twin::Twin;
use crate::fidelity::world::{World, stream};
use crate::process::Values;
use crate::random::{Alias, Purpose, Stream};
use crate::scenario::Strategy;
use crate::strategy::Plan;

/// How work comes about.
pub(super) trait Nature {
    /// A stretch that ends with a block, or is `limit` expected blocks long. Says how long it is and whether a block
    /// ends it. `unit` is a share's work.
    fn stretch(&mut self, limit: f64, unit: f64) -> (f64, bool);
    /// How many shares a stretch of this length is; zero where work has no grain.
    fn shares(&self, length: f64, unit: f64) -> u64;
    /// Writes everyone's work into `works`, index by index of `entries`, summing up to `length`.
    fn divide(&mut self, world: &World<'_>, length: f64, unit: f64, works: &mut Vec<f64>);
}

/// Work without grain.
#[derive(Debug)]
pub(super) struct Flow {
    blocks: Stream,
    /// Work until the next block.
    left: f64,
}

impl Flow {
    fn new(mut blocks: Stream) -> Self {
        let left = blocks.exponential();
        Self { blocks, left }
    }
}

impl Nature for Flow {
    fn stretch(&mut self, limit: f64, _unit: f64) -> (f64, bool) {
        if self.left <= limit {
            let length = self.left;
            self.left = self.blocks.exponential();
            (length, true)
        } else {
            self.left -= limit;
            (limit, false)
        }
    }

    fn shares(&self, _length: f64, _unit: f64) -> u64 {
        0
    }

    fn divide(&mut self, world: &World<'_>, length: f64, _unit: f64, works: &mut Vec<f64>) {
        works.clear();
        let each = length / world.total;
        works.extend(world.entries.iter().map(|entry| entry.part * each));
    }
}

/// One replication in fluid fidelity.
#[must_use]
pub fn replication(plan: &Plan<'_>, replication: u64) -> Tape {
    rounds::replication(plan, replication).unwrap_or_else(|| stepwise(plan, replication))
}

/// One replication without the short cut for simple scenarios.
#[must_use]
pub fn stepwise(plan: &Plan<'_>, replication: u64) -> Tape {
    let flow = Flow::new(stream(plan.scenario, replication, Purpose::Blocks));
    play(plan, replication, flow)
}

/// One replication by twins.
pub(super) fn play(plan: &Plan<'_>, replication: u64, mut nature: impl Nature) -> Tape {
    let scenario = plan.scenario;
    let mut world = World::new(plan, replication);
    let mut journal = Journal::new(plan, replication);
    let mut values = Values::new(scenario, stream(scenario, replication, Values::PURPOSE));
    let mut finders = stream(scenario, replication, Purpose::Finders);
    let mut withheld = stream(scenario, replication, Purpose::Withheld);
    // By line-up and book.
    let mut twins: Vec<Vec<Twin>> = plan
        .line_ups
        .iter()
        .enumerate()
        .map(|(line_up, schemes)| {
            let of = |pool: &usize| {
                let params = &scenario.schemes[schemes[*pool]].params;
                Twin::new(params, scenario.network.subsidy, plan.actors.len(), line_up, *pool)
            };
            plan.pool_of.iter().map(of).collect()
        })
        .collect();
    let books = plan.pool_of.len();
    let mut works = Vec::new();
    let mut by_book: Vec<(Vec<(u32, f64)>, f64)> = vec![(Vec::new(), 0.0); books];
    let mut finder_of = Alias::default();
    let mut stale_alias = true;
    while !world.over() {
        if world.arrange() {
            stale_alias = true;
        }
        let until = world.until();
        let speed = world.total * world.scale();
        let unit = world.unit();
        let limit = speed * (until - world.now);
        let (length, found) = if limit > 0.0 { nature.stretch(limit, unit) } else { (0.0, false) };
        let now = if found { (world.now + length / speed).min(until) } else { until };
        for (row, part) in &world.outside {
            journal.outside(*row, part * world.scale() * (now - world.now));
        }
        if length > 0.0 {
            nature.divide(&world, length, unit, &mut works);
            for (works, total) in &mut by_book {
                works.clear();
                *total = 0.0;
            }
            for (entry, work) in world.entries.iter().zip(&works) {
                if *work > 0.0 {
                    let (works, total) = &mut by_book[entry.book as usize];
                    works.push((entry.actor, *work));
                    *total += work;
                    journal.work(entry.actor as usize, entry.book as usize, *work);
                }
            }
            let level = world.difficulty.level();
            for (book, (works, total)) in by_book.iter().enumerate() {
                if *total > 0.0 {
                    world.ages[book] += total;
                    journal.pool(plan.pool_of[book]).shares += nature.shares(*total, unit);
                    for twins in &mut twins {
                        twins[book].work(works, *total, level);
                    }
                }
            }
        }
        let reached = world.pass(now);
        if found {
            if stale_alias {
                let parts: Vec<f64> = world.entries.iter().map(|entry| entry.part).collect();
                finder_of = Alias::new(&parts);
                stale_alias = false;
            }
            let entry =
                world.entries[if works.len() == 1 { 0 } else { finder_of.draw(&mut finders) as usize }];
            block(
                plan,
                &mut world,
                &mut journal,
                &mut twins,
                (entry.actor, entry.book),
                &mut values,
                &mut withheld,
            );
        } else {
            world.ask_again();
        }
        if reached.is_some() {
            let subsidy = values.subsidy(now);
            for (line_up, twins) in twins.iter_mut().enumerate() {
                journal.before(line_up);
                for twin in twins {
                    twin.close(&mut journal, subsidy, now);
                }
                journal.after(line_up);
            }
            journal.checkpoint();
        }
    }
    journal.finish()
}

/// A block was found by an actor on a book.
fn block(
    plan: &Plan<'_>,
    world: &mut World<'_>,
    journal: &mut Journal<'_>,
    twins: &mut [Vec<Twin>],
    (actor, book): (u32, u32),
    values: &mut Values<'_>,
    withheld: &mut Stream,
) {
    let (actor, book, now) = (actor as usize, book as usize, world.now);
    let pool = plan.pool_of[book];
    if let Strategy::Withholder { part } = plan.scenario.miners[plan.actors[actor].group].strategy
        && withheld.uniform() < part
    {
        journal.pool(pool).withheld += 1;
        return;
    }
    let subsidy = values.subsidy(now);
    let (of_block, fees) = values.next(now);
    let value = of_block + fees;
    journal.found(book, value);
    for (line_up, twins) in twins.iter_mut().enumerate() {
        journal.before(line_up);
        twins[book].close(journal, subsidy, now);
        twins[book].block(journal, actor as u32, value, now);
        journal.after(line_up);
    }
    world.round_over(book);
}
