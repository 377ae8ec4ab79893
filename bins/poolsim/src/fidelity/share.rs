//! Every share, and the engines that pay in production.
//!
//! How many shares there are until the next block is one geometric draw; whose each of them is, one draw per share. They
//! go to the engines in runs of equal shares between events. Time is that of the expected work: what a share takes is
//! not drawn.
//!
//! What a share costs here, and what a figure in shares per second counts: one draw from an alias table, its place in a
//! run, its count by account, and its part in the engine's work. Under PROP and PPS a run is added up by account, so the
//! engine's own cost is that of the run's accounts; under PPLNS each share is stored and later leaves the window by
//! itself. A block costs its accounts a few microseconds per hundred of them, which shows where blocks have few shares.

use crate::fidelity::books::{Books, Log, scaled};
use crate::fidelity::journal::{Journal, Tape};
use crate::fidelity::world::{World, stream};
use crate::process::Values;
use crate::random::{Alias, Purpose, Stream};
use crate::run::RunError;
use crate::scenario::Strategy;
use crate::strategy::Plan;
use pool_core::id::BlockId;
use pool_core::units::{Amount, Units};
use pool_rewards::account::AccountIx;

/// Shares that are drawn before the engines hear of them: few enough to stay in the nearest cache.
const BATCH: u64 = 4_096;

/// A block's name: its number.
#[must_use]
pub(super) fn block_id(number: u64) -> BlockId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    BlockId::new(bytes)
}

/// A share's units: never zero, never above a block.
#[must_use]
pub(super) fn units(world: &World<'_>) -> Units {
    let bits = (world.unit() * 2f64.powi(Units::FRACTION_BITS as i32)) as u128;
    Units::from_bits(bits.max(1)).min(Units::BLOCK)
}

/// Who gets the next share: an alias table over the world's entries.
#[derive(Debug, Default)]
pub(super) struct Draw {
    alias: Alias,
    accounts: Vec<AccountIx>,
    books: Vec<u32>,
    /// All entries are on this book.
    only: Option<u32>,
}

impl Draw {
    pub(super) fn new(world: &World<'_>) -> Self {
        if world.total <= 0.0 {
            return Self::default();
        }
        let parts: Vec<f64> = world.entries.iter().map(|entry| entry.part).collect();
        let books: Vec<u32> = world.entries.iter().map(|entry| entry.book).collect();
        let only = books.first().copied().filter(|first| books.iter().all(|book| book == first));
        Self {
            alias: Alias::new(&parts),
            accounts: world.entries.iter().map(|entry| AccountIx::new(entry.actor)).collect(),
            books,
            only,
        }
    }

    /// The next share's account and book.
    pub(super) fn one(&self, stream: &mut Stream) -> (AccountIx, usize) {
        let entry = self.alias.draw(stream) as usize;
        (self.accounts[entry], self.books[entry] as usize)
    }

    /// So many shares into the logs' batches; the last one's account and book.
    fn many(&self, stream: &mut Stream, count: u64, logs: &mut [Log]) -> (AccountIx, usize) {
        if let Some(only) = self.only {
            let batch = &mut logs[only as usize].batch;
            batch.extend((0..count).map(|_| self.accounts[self.alias.draw(stream) as usize]));
            return (batch.last().copied().unwrap_or(AccountIx::new(0)), only as usize);
        }
        let mut last = (AccountIx::new(0), 0);
        for _ in 0..count {
            last = self.one(stream);
            logs[last.1].batch.push(last.0);
        }
        last
    }
}

/// The books of every line-up, by book.
pub(super) type Shelves<'a> = Vec<Vec<Books<'a>>>;

pub(super) fn shelves<'a>(plan: &Plan<'a>) -> Result<Shelves<'a>, RunError> {
    let scenario = plan.scenario;
    let mut shelves = Vec::with_capacity(plan.line_ups.len());
    for (line_up, schemes) in plan.line_ups.iter().enumerate() {
        let of = |pool: &usize| {
            Books::new(&scenario.schemes[schemes[*pool]], scenario.network.subsidy, line_up, *pool)
        };
        shelves.push(plan.pool_of.iter().map(of).collect::<Result<_, _>>()?);
    }
    Ok(shelves)
}

/// Hands the logs' batches to everyone.
pub(super) fn hear(
    plan: &Plan<'_>,
    world: &mut World<'_>,
    journal: &mut Journal<'_>,
    logs: &mut [Log],
    shelves: &mut Shelves<'_>,
    units: Units,
) -> Result<(), RunError> {
    let unit = units.to_bits() as f64 / Units::BLOCK.to_bits() as f64;
    for (book, log) in logs.iter_mut().enumerate() {
        if log.batch.is_empty() {
            continue;
        }
        let count = log.batch.len() as u64;
        let run = log.run(units);
        for shelf in shelves.iter_mut() {
            shelf[book].shares(&run)?;
        }
        for (account, count) in run.counts() {
            journal.work(account.index(), book, count as f64 * unit);
        }
        journal.pool(plan.pool_of[book]).shares += count;
        world.ages[book] += count as f64 * unit;
        log.done();
    }
    Ok(())
}

/// Pays what is due by the share, and takes notes.
pub(super) fn checkpoint(
    journal: &mut Journal<'_>,
    shelves: &mut Shelves<'_>,
    subsidy: f64,
    now: f64,
) -> Result<(), RunError> {
    for (line_up, shelf) in shelves.iter_mut().enumerate() {
        journal.before(line_up);
        for books in shelf {
            books.close(journal, subsidy, now)?;
        }
        journal.after(line_up);
    }
    journal.checkpoint();
    Ok(())
}

/// What a block brings in, in the coin's smallest unit.
pub(super) fn worth(plan: &Plan<'_>, (subsidy, fees): (f64, f64)) -> Amount {
    let one = plan.scenario.network.subsidy;
    scaled(one, subsidy).checked_add(scaled(one, fees)).unwrap_or(Amount::new(u128::MAX))
}

/// One replication in share fidelity.
///
/// # Errors
/// [`RunError`] where an engine refuses something, which would be a mistake of the simulator.
pub fn replication(plan: &Plan<'_>, replication: u64) -> Result<Tape, RunError> {
    let scenario = plan.scenario;
    let mut world = World::new(plan, replication);
    let mut journal = Journal::new(plan, replication);
    let mut values = Values::new(scenario, stream(scenario, replication, Values::PURPOSE));
    let mut blocks = stream(scenario, replication, Purpose::Blocks);
    let mut shares = stream(scenario, replication, Purpose::Shares);
    let mut withheld = stream(scenario, replication, Purpose::Withheld);
    let mut shelves = shelves(plan)?;
    let mut logs: Vec<Log> = plan.pool_of.iter().map(|_| Log::default()).collect();
    let mut draw = Draw::default();
    // Shares until the next block, its own among them, for shares of this weight; and time too short for a share.
    let (mut left, mut of, mut rest) = (0u64, Units::ZERO, 0.0f64);
    let mut number = 0u64;
    while !world.over() {
        if world.arrange() {
            draw = Draw::new(&world);
        }
        let until = world.until();
        let units = units(&world);
        let unit = units.to_bits() as f64 / Units::BLOCK.to_bits() as f64;
        if units != of {
            // No share knows how many there were before it, so the draw may begin anew.
            of = units;
            left = blocks.geometric(unit);
        }
        let speed = world.total * world.scale();
        let room = speed * (until - world.now) / unit + rest;
        let found = speed > 0.0 && left as f64 <= room;
        let count = if found { left } else { room as u64 };
        let now = if found {
            (world.now + (left as f64 - rest) * unit / speed).clamp(world.now, until)
        } else {
            until
        };
        rest = if found { 0.0 } else { room - count as f64 };
        for (row, part) in &world.outside {
            journal.outside(*row, part * world.scale() * (now - world.now));
        }
        let mut finder = (AccountIx::new(0), 0);
        let mut drawn = 0;
        while drawn < count {
            let batch = BATCH.min(count - drawn);
            finder = draw.many(&mut shares, batch, &mut logs);
            hear(plan, &mut world, &mut journal, &mut logs, &mut shelves, units)?;
            drawn += batch;
        }
        let reached = world.pass(now);
        if found {
            left = blocks.geometric(unit);
            let (account, book) = finder;
            let group = plan.actors[account.index()].group;
            if let Strategy::Withholder { part } = scenario.miners[group].strategy
                && withheld.uniform() < part
            {
                journal.pool(plan.pool_of[book]).withheld += 1;
            } else {
                let subsidy = values.subsidy(now);
                let (of_block, fees) = values.next(now);
                journal.found(book, of_block + fees);
                number += 1;
                for (line_up, shelf) in shelves.iter_mut().enumerate() {
                    journal.before(line_up);
                    shelf[book].close(&mut journal, subsidy, now)?;
                    let value = worth(plan, (of_block, fees));
                    shelf[book].block(&mut journal, block_id(number), account, value, now)?;
                    journal.after(line_up);
                }
                world.round_over(book);
            }
        } else {
            left -= count;
            world.ask_again();
        }
        if reached.is_some() {
            let subsidy = values.subsidy(now);
            checkpoint(&mut journal, &mut shelves, subsidy, now)?;
        }
    }
    Ok(journal.finish())
}
