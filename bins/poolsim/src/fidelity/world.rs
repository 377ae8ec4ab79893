//! The state that strategies look at and change: time, difficulty, duty, the ages of rounds, and who mines where.

use crate::process::Difficulty;
use crate::random::{Purpose, Stream};
use crate::scenario::{Duty, Fidelity, Group, Scenario};
use crate::strategy::{self, Place, Plan, View};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One actor's hashrate on one book.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Index of the actor.
    pub actor: u32,
    /// Index of the book.
    pub book: u32,
    /// As a part of the network at the difficulty of the beginning.
    pub part: f64,
}

/// A stream of this replication, antithetic where the scenario says so.
#[must_use]
pub fn stream(scenario: &Scenario, replication: u64, purpose: Purpose) -> Stream {
    if scenario.variance.antithetic {
        Stream::antithetic(scenario.seed, replication, purpose)
    } else {
        Stream::new(scenario.seed, replication, purpose)
    }
}

/// The world at one moment of one replication.
#[derive(Debug)]
pub struct World<'a> {
    /// What is played.
    pub plan: &'a Plan<'a>,
    /// Seconds since the beginning.
    pub now: f64,
    /// Work in each book's running round.
    pub ages: Vec<f64>,
    /// Who mines where.
    pub entries: Vec<Entry>,
    /// The sum of all entries.
    pub total: f64,
    /// Rows that mine outside, with their parts.
    pub outside: Vec<(usize, f64)>,
    /// The network.
    pub difficulty: Difficulty,
    places: Vec<Place>,
    paces: Vec<f64>,
    on: Vec<bool>,
    toggles: BinaryHeap<Reverse<(u64, u32)>>,
    duty: Stream,
    /// Number of the next checkpoint, from 0.
    checkpoint: u32,
    rearrange: bool,
    watched: bool,
}

impl<'a> World<'a> {
    /// The beginning of a replication.
    #[must_use]
    pub fn new(plan: &'a Plan<'a>, replication: u64) -> Self {
        let scenario = plan.scenario;
        let mut world = Self {
            plan,
            now: 0.0,
            ages: vec![0.0; plan.pool_of.len()],
            entries: Vec::new(),
            total: 0.0,
            outside: Vec::new(),
            difficulty: Difficulty::new(
                scenario.difficulty,
                scenario.hashrate,
                scenario.network.interval_seconds,
                scenario.horizon_seconds,
                scenario.miners.iter().map(Group::part).sum(),
                stream(scenario, replication, Purpose::Hashrate),
            ),
            places: vec![Place::Off; scenario.miners.len()],
            paces: vec![0.0; plan.pool_of.len()],
            on: vec![true; plan.actors.len()],
            toggles: BinaryHeap::new(),
            duty: stream(scenario, replication, Purpose::Duty),
            checkpoint: 0,
            rearrange: true,
            watched: scenario.miners.iter().any(|group| strategy::watches_rounds(&group.strategy)),
        };
        world.begin_duty();
        world
    }

    /// Everyone somewhere in the middle of a spell on or off, as if it had always gone on.
    fn begin_duty(&mut self) {
        for (index, actor) in self.plan.actors.iter().enumerate() {
            let (on, first) = match self.plan.scenario.miners[actor.group].duty {
                Duty::Always => continue,
                Duty::Cycle { on_seconds, off_seconds } => {
                    let at = self.duty.uniform() * (on_seconds + off_seconds);
                    if at < on_seconds {
                        (true, on_seconds - at)
                    } else {
                        (false, on_seconds + off_seconds - at)
                    }
                }
                Duty::Random { on_seconds, off_seconds } => {
                    let on = self.duty.uniform() * (on_seconds + off_seconds) < on_seconds;
                    (on, self.duty.exponential() * if on { on_seconds } else { off_seconds })
                }
            };
            self.on[index] = on;
            self.toggles.push(Reverse((first.to_bits(), index as u32)));
        }
    }

    /// Expected blocks per second of the whole first network's hashrate at the difficulty of now.
    #[must_use]
    pub fn scale(&self) -> f64 {
        1.0 / (self.difficulty.level() * self.plan.scenario.network.interval_seconds)
    }

    /// True when the end is reached.
    #[must_use]
    pub fn over(&self) -> bool {
        self.now >= self.plan.scenario.horizon_seconds
    }

    /// When the checkpoint of this number is, the first being 0.
    #[must_use]
    pub fn checkpoint_at(scenario: &Scenario, number: u32) -> f64 {
        let part = f64::from(number + 1) / f64::from(scenario.checkpoints);
        if number + 1 >= scenario.checkpoints {
            scenario.horizon_seconds
        } else {
            scenario.horizon_seconds * part
        }
    }

    /// A share's work in expected blocks at the difficulty of now, at most one.
    #[must_use]
    pub fn unit(&self) -> f64 {
        (1.0 / (self.plan.scenario.network.shares_per_block as f64 * self.difficulty.level())).min(1.0)
    }

    /// Sends everyone where they want to be. True when [`World::entries`] changed.
    pub fn arrange(&mut self) -> bool {
        if !self.rearrange {
            return false;
        }
        self.rearrange = false;
        let scale = self.scale();
        for pace in &mut self.paces {
            *pace = 0.0;
        }
        for entry in &self.entries {
            self.paces[entry.book as usize] += entry.part * scale;
        }
        let mut places = std::mem::take(&mut self.places);
        for (group, place) in self.plan.scenario.miners.iter().zip(&mut places) {
            *place = strategy::place(group, &self.view(), *place);
        }
        self.places = places;
        let before = std::mem::take(&mut self.entries);
        self.outside.clear();
        for (index, actor) in self.plan.actors.iter().enumerate() {
            if !self.on[index] {
                continue;
            }
            let part = actor.part * self.plan.boost(actor.group);
            let mut mine = |book: usize, part: f64| {
                self.entries.push(Entry { actor: index as u32, book: book as u32, part });
            };
            match self.places[actor.group] {
                Place::Pool(pool) => {
                    let books = self.plan.books[pool].clone();
                    let each = part / books.len() as f64;
                    books.for_each(|book| mine(book, each));
                }
                Place::Book(book) => mine(book, part),
                Place::Outside => self.outside.push((actor.row, part)),
                Place::Off => {}
            }
        }
        self.total = self.entries.iter().map(|entry| entry.part).sum();
        for pace in &mut self.paces {
            *pace = 0.0;
        }
        for entry in &self.entries {
            self.paces[entry.book as usize] += entry.part * scale;
        }
        before != self.entries
    }

    fn view(&self) -> View<'_> {
        View {
            now: self.now,
            ages: &self.ages,
            paces: &self.paces,
            books: &self.plan.books,
            difficulty: &self.difficulty,
            reward_change: self.plan.scenario.network.reward_change.map(|change| change.at_seconds),
            grain: match self.plan.scenario.fidelity {
                Fidelity::Fluid => 1e-9,
                Fidelity::Round | Fidelity::Share | Fidelity::Net => 0.5 * self.unit(),
            },
        }
    }

    /// The next moment at which something changes by itself. Never before now.
    #[must_use]
    pub fn until(&self) -> f64 {
        let scenario = self.plan.scenario;
        let mut until = Self::checkpoint_at(scenario, self.checkpoint).min(self.difficulty.next());
        if let Some(Reverse((bits, _))) = self.toggles.peek() {
            until = until.min(f64::from_bits(*bits));
        }
        if let Some(change) = scenario.network.reward_change
            && self.now < change.at_seconds
        {
            until = until.min(change.at_seconds);
        }
        let view = self.view();
        for (group, place) in scenario.miners.iter().zip(&self.places) {
            until = until.min(strategy::until(group, &view, *place));
        }
        until.max(self.now)
    }

    /// Goes on to `now`, at most to [`World::until`]. The number of a checkpoint that was reached.
    pub fn pass(&mut self, now: f64) -> Option<u32> {
        self.now = now;
        if self.difficulty.advance(now) {
            self.rearrange = true;
        }
        while let Some(Reverse((bits, actor))) = self.toggles.peek().copied()
            && f64::from_bits(bits) <= now
        {
            self.toggles.pop();
            self.toggle(f64::from_bits(bits), actor);
        }
        let scenario = self.plan.scenario;
        if self.checkpoint < scenario.checkpoints && now >= Self::checkpoint_at(scenario, self.checkpoint) {
            self.checkpoint += 1;
            return Some(self.checkpoint - 1);
        }
        None
    }

    fn toggle(&mut self, at: f64, actor: u32) {
        let on = !self.on[actor as usize];
        self.on[actor as usize] = on;
        self.rearrange = true;
        let spell = match self.plan.scenario.miners[self.plan.actors[actor as usize].group].duty {
            Duty::Always => f64::INFINITY,
            Duty::Cycle { on_seconds, off_seconds } => {
                if on {
                    on_seconds
                } else {
                    off_seconds
                }
            }
            Duty::Random { on_seconds, off_seconds } => {
                self.duty.exponential() * if on { on_seconds } else { off_seconds }
            }
        };
        self.toggles.push(Reverse(((at + spell).to_bits(), actor)));
    }

    /// Strategies are to be asked again: something came to the moment they had named.
    pub const fn ask_again(&mut self) {
        self.rearrange = true;
    }

    /// A block that the pool heard of ends the book's round.
    pub fn round_over(&mut self, book: usize) {
        self.ages[book] = 0.0;
        if self.watched {
            self.rearrange = true;
        }
    }
}
