//! The network's difficulty and hashrate over time, both relative to the beginning.
//!
//! Blocks of the whole network are not drawn here: the chain advances by its expected number of blocks, so what moves
//! difficulty is hashrate and the rule, not luck. The hashrate of all who are not in the scenario is a geometric
//! Brownian motion with drift, updated in steps; rules that act on every block act once per step. A step is a
//! sixty-fourth of what the rule looks at, and no shorter than a block.

use crate::random::Stream;
use crate::scenario::{DifficultyRule, HashrateProcess};
use std::collections::VecDeque;

const DAY: f64 = 86_400.0;
/// Steps per epoch, window or half life.
const STEPS: f64 = 64.0;
/// However long a replication is, it has at most so many steps.
const STEPS_MAX: f64 = 200_000.0;

/// Difficulty and hashrate at one moment.
#[derive(Clone, Debug)]
pub struct Difficulty {
    rule: DifficultyRule,
    process: HashrateProcess,
    stream: Stream,
    interval: f64,
    step: f64,
    step_start: f64,
    now: f64,
    /// Hashrate that does not move: the scenario's own miners'.
    members: f64,
    /// The rest's, over what it was.
    rest: f64,
    difficulty: f64,
    /// Network blocks in the running epoch, and when it began.
    epoch_blocks: f64,
    epoch_start: f64,
    /// Seconds and network blocks of past steps and of the running one, for the window rule.
    past: VecDeque<(f64, f64)>,
    /// Network blocks since the beginning, for ASERT.
    height: f64,
}

impl Difficulty {
    /// The beginning: difficulty and hashrate 1, of which `members` never move.
    #[must_use]
    pub fn new(
        rule: DifficultyRule,
        process: HashrateProcess,
        interval_seconds: f64,
        horizon_seconds: f64,
        members: f64,
        stream: Stream,
    ) -> Self {
        let moves = process != HashrateProcess::default();
        let of = |length: f64| (length / STEPS).max(interval_seconds).max(horizon_seconds / STEPS_MAX);
        let step = match rule {
            _ if !moves => f64::INFINITY,
            DifficultyRule::Constant => f64::INFINITY,
            DifficultyRule::Epoch { blocks, .. } | DifficultyRule::Window { blocks } => {
                of(f64::from(blocks) * interval_seconds)
            }
            DifficultyRule::Asert { half_life_seconds } => of(half_life_seconds),
        };
        Self {
            rule,
            process,
            stream,
            interval: interval_seconds,
            step,
            step_start: 0.0,
            now: 0.0,
            members: members.clamp(0.0, 1.0),
            rest: 1.0,
            difficulty: 1.0,
            epoch_blocks: 0.0,
            epoch_start: 0.0,
            past: VecDeque::new(),
            height: 0.0,
        }
    }

    /// The difficulty now, 1 at the beginning.
    #[must_use]
    pub const fn level(&self) -> f64 {
        self.difficulty
    }

    /// The network's hashrate now, 1 at the beginning.
    #[must_use]
    pub fn hashrate(&self) -> f64 {
        self.members + (1.0 - self.members) * self.rest
    }

    /// Network blocks per second.
    fn rate(&self) -> f64 {
        self.hashrate() / (self.difficulty * self.interval)
    }

    /// Network blocks until the running epoch ends; infinite without epochs.
    #[must_use]
    pub fn epoch_left(&self) -> f64 {
        match self.rule {
            DifficultyRule::Epoch { blocks, .. } => f64::from(blocks) - self.epoch_blocks,
            _ => f64::INFINITY,
        }
    }

    /// Seconds until the running epoch has only `blocks` network blocks left, at the rate of now.
    #[must_use]
    pub fn seconds_until_left(&self, blocks: f64) -> f64 {
        (self.epoch_left() - blocks) / self.rate()
    }

    /// When this has to be advanced to at the latest: nothing changes before.
    #[must_use]
    pub fn next(&self) -> f64 {
        let epoch = match self.rule {
            DifficultyRule::Epoch { .. } => self.now + self.seconds_until_left(0.0).max(0.0),
            _ => f64::INFINITY,
        };
        (self.step_start + self.step).min(epoch)
    }

    /// Goes on to `now`, at most up to [`Difficulty::next`]. True when something may have changed.
    pub fn advance(&mut self, now: f64) -> bool {
        let blocks = self.rate() * (now - self.now);
        self.epoch_blocks += blocks;
        self.height += blocks;
        match self.past.back_mut() {
            Some(step) => {
                step.0 += now - self.now;
                step.1 += blocks;
            }
            None => self.past.push_back((now - self.now, blocks)),
        }
        self.now = now;
        let slack = 1e-9 * self.interval;
        let step_over = now >= self.step_start + self.step - slack;
        let epoch_over = matches!(self.rule, DifficultyRule::Epoch { .. }) && self.epoch_left() <= 1e-9;
        if epoch_over || (step_over && !matches!(self.rule, DifficultyRule::Epoch { .. })) {
            self.retarget();
        }
        if step_over {
            let HashrateProcess { growth_per_day, volatility_per_sqrt_day: volatility } = self.process;
            let days = (now - self.step_start) / DAY;
            let drift = (growth_per_day - 0.5 * volatility * volatility) * days;
            let shock = if volatility > 0.0 { volatility * days.sqrt() * self.stream.normal() } else { 0.0 };
            self.rest = (self.rest.ln() + drift + shock).clamp(-20.0, 20.0).exp();
            self.past.push_back((0.0, 0.0));
            self.step_start = now;
        }
        step_over || epoch_over
    }

    fn retarget(&mut self) {
        match self.rule {
            DifficultyRule::Constant => {}
            DifficultyRule::Epoch { blocks, clamp } => {
                let goal = f64::from(blocks) * self.interval;
                let factor = goal / (self.now - self.epoch_start).max(1e-9 * goal);
                self.difficulty *= factor.clamp(1.0 / clamp, clamp);
                self.epoch_blocks = 0.0;
                self.epoch_start = self.now;
            }
            DifficultyRule::Window { blocks } => {
                let wanted = f64::from(blocks);
                let (mut seconds, mut found) = (0.0, 0.0);
                for (s, b) in self.past.iter().rev() {
                    seconds += s;
                    found += b;
                    if found >= wanted {
                        break;
                    }
                }
                while self.past.len() > 4 * STEPS as usize {
                    self.past.pop_front();
                }
                if found >= 0.5 * wanted && seconds > 0.0 {
                    // The window's hashrate, in blocks of the difficulties then; a sixty-fourth of the way per step.
                    let pace = found * self.interval / seconds;
                    self.difficulty *= pace.powf(2.0 / STEPS);
                }
            }
            DifficultyRule::Asert { half_life_seconds } => {
                let ahead = self.height * self.interval - self.now;
                self.difficulty = (ahead / half_life_seconds).clamp(-60.0, 60.0).exp2();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn follow(rule: DifficultyRule, process: HashrateProcess, days: f64) -> Difficulty {
        let mut difficulty =
            Difficulty::new(rule, process, 600.0, days * DAY, 0.0, Stream::new(1, 0, Purpose::Hashrate));
        while difficulty.next() < days * DAY {
            difficulty.advance(difficulty.next());
        }
        difficulty
    }

    #[test]
    fn without_a_process_nothing_ever_moves() {
        for rule in [
            DifficultyRule::Constant,
            DifficultyRule::Epoch { blocks: 2016, clamp: 4.0 },
            DifficultyRule::Window { blocks: 144 },
            DifficultyRule::Asert { half_life_seconds: DAY },
        ] {
            let end = follow(rule, HashrateProcess::default(), 100.0);
            assert!((end.level() - 1.0).abs() < 1e-6, "{rule:?}: {}", end.level());
        }
    }

    #[test]
    fn every_rule_follows_growing_hashrate() {
        let growth = HashrateProcess { growth_per_day: 0.005, volatility_per_sqrt_day: 0.0 };
        for rule in [
            DifficultyRule::Epoch { blocks: 2016, clamp: 4.0 },
            DifficultyRule::Window { blocks: 144 },
            DifficultyRule::Asert { half_life_seconds: 2.0 * DAY },
        ] {
            let end = follow(rule, growth, 140.0);
            let wanted = (0.005f64 * 140.0).exp();
            assert!((end.hashrate() / wanted - 1.0).abs() < 0.01, "{rule:?}: hashrate {}", end.hashrate());
            let behind = end.level() / wanted;
            assert!((0.85..=1.01).contains(&behind), "{rule:?}: difficulty {}", end.level());
        }
    }

    #[test]
    fn an_epoch_ends_after_its_blocks() {
        let mut difficulty = Difficulty::new(
            DifficultyRule::Epoch { blocks: 10, clamp: 4.0 },
            HashrateProcess::default(),
            100.0,
            1e5,
            0.3,
            Stream::new(1, 0, Purpose::Hashrate),
        );
        assert_eq!(difficulty.epoch_left(), 10.0);
        assert!(!difficulty.advance(250.0));
        assert_eq!(difficulty.epoch_left(), 7.5);
        assert_eq!(difficulty.seconds_until_left(2.5), 500.0);
        assert_eq!(difficulty.next(), 1_000.0);
        assert!(difficulty.advance(1_000.0));
        assert_eq!((difficulty.epoch_left(), difficulty.level()), (10.0, 1.0));
    }
}
