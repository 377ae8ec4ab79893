//! Shares in continuous time on a network: latency, stale shares, forks, uncles, red blocks.
//!
//! Blocks of the whole network are a Poisson process; each is found by a pool's miner or by the rest, in proportion to
//! hashrate. Shares between two blocks are Poisson as well. What this models, and how:
//!
//! - A share is stale when it was found within two latencies after its pool heard of a new block: one until the job
//!   arrives, one until the share does. On a DAG no work is lost that way.
//! - Two blocks of different finders less than the propagation time apart (plus the second finder's two latencies) are
//!   siblings. One of them stays: each finder's own hashrate works on its own, the rest is split evenly at no distance
//!   and all for the first at full propagation time. The loser is worth nothing, or an uncle's part of the subsidy.
//! - On a DAG every block stays; one with more than `k` foreign blocks nearer than the propagation time is red, and its
//!   reward goes to the first block found after that time. The real rule selects the largest well-connected cluster;
//!   this is its effect at one block's scale.
//!
//! The rest of the network counts as many small miners. Difficulty follows expected blocks, not these.

use crate::fidelity::books::{Log, scaled};
use crate::fidelity::journal::{Journal, Tape};
use crate::fidelity::share::{Draw, Shelves, block_id, checkpoint, hear, shelves, units, worth};
use crate::fidelity::world::{World, stream};
use crate::process::Values;
use crate::random::Purpose;
use crate::run::RunError;
use crate::scenario::{Conflicts, Group, Strategy};
use crate::strategy::Plan;
use pool_core::units::Amount;
use pool_rewards::account::AccountIx;
use std::collections::VecDeque;

/// A block whose fate is open.
#[derive(Clone, Debug)]
struct Open {
    /// Number, account, book and worth of a pool's block; `None` for the rest of the network.
    ours: Option<(u64, AccountIx, usize, Amount)>,
    at: f64,
    /// Rewards of red blocks it merges.
    merged: Amount,
    /// Foreign blocks beside it.
    beside: u32,
    subsidy: f64,
}

impl Open {
    /// Blocks of one pool know of each other; those of the rest do not.
    fn stranger(&self, other: &Self, plan: &Plan<'_>) -> bool {
        match (&self.ours, &other.ours) {
            (Some((.., mine, _)), Some((.., theirs, _))) => plan.pool_of[*mine] != plan.pool_of[*theirs],
            _ => true,
        }
    }
}

/// What became of a pool's block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    Uncle,
    Lost,
    Red,
}

/// The settlement side of a replication.
struct Settlement<'j, 'p, 'a> {
    plan: &'p Plan<'p>,
    journal: &'j mut Journal<'p>,
    shelves: &'j mut Shelves<'a>,
}

impl Settlement<'_, '_, '_> {
    fn conclude(&mut self, block: &Open, fate: Fate, values: &Values<'_>, now: f64) -> Result<(), RunError> {
        let Some((number, account, book, value)) = block.ours else { return Ok(()) };
        let pool = self.journal.pool(self.plan.pool_of[book]);
        let value = match fate {
            Fate::Stays => value,
            Fate::Uncle => {
                pool.uncles += 1;
                let Conflicts::Uncle { value } = self.plan.scenario.net.conflicts else { return Ok(()) };
                scaled(self.plan.scenario.network.subsidy, value * block.subsidy)
            }
            Fate::Lost => {
                pool.lost += 1;
                Amount::ZERO
            }
            Fate::Red => {
                pool.red += 1;
                Amount::ZERO
            }
        };
        let value = value.checked_add(block.merged).unwrap_or(value);
        let subsidy = values.subsidy(now);
        for (line_up, shelf) in self.shelves.iter_mut().enumerate() {
            self.journal.before(line_up);
            shelf[book].close(self.journal, subsidy, now)?;
            shelf[book].concluded(self.journal, block_id(number), account, value, now)?;
            self.journal.after(line_up);
        }
        Ok(())
    }
}

/// One replication in net fidelity.
///
/// # Errors
/// [`RunError`] where an engine refuses something, which would be a mistake of the simulator.
pub fn replication(plan: &Plan<'_>, replication: u64) -> Result<Tape, RunError> {
    let scenario = plan.scenario;
    let rules = scenario.net;
    let dag = matches!(rules.conflicts, Conflicts::Dag { .. });
    let mut world = World::new(plan, replication);
    let mut journal = Journal::new(plan, replication);
    let mut values = Values::new(scenario, stream(scenario, replication, Values::PURPOSE));
    let mut net = stream(scenario, replication, Purpose::Net);
    let mut shares = stream(scenario, replication, Purpose::Shares);
    let mut stales = stream(scenario, replication, Purpose::Stales);
    let mut withheld = stream(scenario, replication, Purpose::Withheld);
    let mut shelves = shelves(plan)?;
    let mut logs: Vec<Log> = plan.pool_of.iter().map(|_| Log::default()).collect();
    let mut draw = Draw::default();
    let latency: Vec<f64> =
        plan.actors.iter().map(|actor| scenario.miners[actor.group].latency_seconds).collect();
    // Work of the whole network until its next block; the last block that everyone may hear of; open blocks.
    let mut left = net.exponential();
    let mut tip_at = f64::NEG_INFINITY;
    let mut open: VecDeque<Open> = VecDeque::new();
    let mut number = 0u64;
    // The rest of the network is what the scenario's miners are not, on duty or off; those outside work there.
    let members: f64 = scenario.miners.iter().map(Group::part).sum();
    while !world.over() {
        if world.arrange() {
            draw = Draw::new(&world);
        }
        let until = world.until();
        let units = units(&world);
        let unit = units.to_bits() as f64 / pool_core::units::Units::BLOCK.to_bits() as f64;
        let others = (world.difficulty.hashrate() - members).max(0.0)
            + world.outside.iter().map(|(_, part)| part).sum::<f64>();
        let speed = (world.total + others) * world.scale();
        let found = left <= speed * (until - world.now);
        let now = if found { (world.now + left / speed).min(until) } else { until };
        left = if found { net.exponential() } else { left - speed * (until - world.now) };
        let span = now - world.now;
        for (row, part) in &world.outside {
            journal.outside(*row, part * world.scale() * span);
        }
        let ours = found && net.uniform() * (world.total + others) < world.total;
        // Shares that are no blocks.
        let count = shares.poisson(world.total * world.scale() * span * (1.0 / unit - 1.0));
        for _ in 0..count {
            let (account, book) = draw.one(&mut shares);
            let fresh_from = tip_at + 2.0 * latency[account.index()];
            if !dag && fresh_from > world.now && world.now + span * stales.uniform() < fresh_from {
                journal.refused(account.index(), book, unit);
                journal.pool(plan.pool_of[book]).shares += 1;
            } else {
                logs[book].batch.push(account);
            }
        }
        let finder = ours.then(|| draw.one(&mut shares));
        if let Some((account, book)) = finder {
            logs[book].batch.push(account);
        }
        hear(plan, &mut world, &mut journal, &mut logs, &mut shelves, units)?;
        let reached = world.pass(now);
        if found {
            let mut kept_back = false;
            let mut block =
                Open { ours: None, at: now, merged: Amount::ZERO, beside: 0, subsidy: values.subsidy(now) };
            if let Some((account, book)) = finder {
                let group = plan.actors[account.index()].group;
                if let Strategy::Withholder { part } = scenario.miners[group].strategy
                    && withheld.uniform() < part
                {
                    kept_back = true;
                    journal.pool(plan.pool_of[book]).withheld += 1;
                } else {
                    let brings = values.next(now);
                    journal.found(book, brings.0 + brings.1);
                    number += 1;
                    for shelf in &mut shelves {
                        shelf[book].found(block_id(number), account)?;
                    }
                    block.ours = Some((number, account, book, worth(plan, brings)));
                    world.round_over(book);
                }
            }
            if !kept_back {
                let mut settlement = Settlement { plan, journal: &mut journal, shelves: &mut shelves };
                tip_at = now;
                if let Conflicts::Dag { k } = rules.conflicts {
                    while let Some(first) = open.front()
                        && first.at + rules.propagation_seconds <= now
                    {
                        let red = first.beside > k;
                        let Some(mut first) = open.pop_front() else { break };
                        if red {
                            // Its own reward, and what it would have had from those it merged.
                            let reward = match first.ours {
                                Some((.., value)) => value,
                                None => scaled(scenario.network.subsidy, first.subsidy),
                            };
                            for reward in [reward, first.merged] {
                                block.merged = block.merged.checked_add(reward).unwrap_or(block.merged);
                            }
                            first.merged = Amount::ZERO;
                        }
                        settlement.conclude(
                            &first,
                            if red { Fate::Red } else { Fate::Stays },
                            &values,
                            now,
                        )?;
                    }
                    for other in &mut open {
                        if other.stranger(&block, plan) {
                            other.beside += 1;
                            block.beside += 1;
                        }
                    }
                    open.push_back(block);
                } else {
                    let reach = rules.propagation_seconds
                        + finder.map_or(0.0, |(account, _)| 2.0 * latency[account.index()]);
                    match open.pop_back() {
                        Some(tip) if now - tip.at < reach && tip.stranger(&block, plan) => {
                            let own = |block: &Open| match block.ours {
                                Some((_, _, book, _)) => pool_part(&world, plan.pool_of[book]),
                                None => 0.0,
                            };
                            let all = world.total + others;
                            let (first, second) = (own(&tip) / all, own(&block) / all);
                            let favour = 0.5 + 0.5 * ((now - tip.at) / reach);
                            let loses = match rules.conflicts {
                                Conflicts::Uncle { .. } => Fate::Uncle,
                                Conflicts::Orphan | Conflicts::Dag { .. } => Fate::Lost,
                            };
                            let (stays, gone) = if net.uniform() < first + (1.0 - first - second) * favour {
                                (tip, block)
                            } else {
                                (block, tip)
                            };
                            settlement.conclude(&gone, loses, &values, now)?;
                            open.push_back(stays);
                        }
                        tip => {
                            if let Some(tip) = tip {
                                settlement.conclude(&tip, Fate::Stays, &values, now)?;
                            }
                            open.push_back(block);
                        }
                    }
                }
            }
        } else {
            world.ask_again();
        }
        if reached.is_some() {
            let subsidy = values.subsidy(now);
            if world.over() {
                // What nobody contradicted by the end stays.
                let mut settlement = Settlement { plan, journal: &mut journal, shelves: &mut shelves };
                for block in std::mem::take(&mut open) {
                    settlement.conclude(&block, Fate::Stays, &values, now)?;
                }
            }
            checkpoint(&mut journal, &mut shelves, subsidy, now)?;
        }
    }
    Ok(journal.finish())
}

fn pool_part(world: &World<'_>, pool: usize) -> f64 {
    let mine = world.entries.iter().filter(|entry| world.plan.pool_of[entry.book as usize] == pool);
    mine.map(|entry| entry.part).sum()
}
