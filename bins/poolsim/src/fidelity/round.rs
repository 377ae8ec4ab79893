//! Shares counted, not ordered.
//!
//! The number of shares until the next block is geometric, and how many of them are whose is multinomial, drawn as a
//! chain of binomials: the cost of a stretch is that of its accounts and not of its shares. Within a stretch everyone's
//! shares count as evenly spread, which matters only at the edge of a window.

use crate::fidelity::fluid::{Nature, play};
use crate::fidelity::journal::Tape;
use crate::fidelity::world::{World, stream};
use crate::random::{Purpose, Stream};
use crate::strategy::Plan;

/// Work in shares.
#[derive(Debug)]
struct Counts {
    blocks: Stream,
    shares: Stream,
    /// Shares until the next block and its own, at the share's work then.
    left: u64,
    unit: f64,
    /// Time that was not enough for a share, in shares.
    rest: f64,
}

impl Nature for Counts {
    fn stretch(&mut self, limit: f64, unit: f64) -> (f64, bool) {
        if unit != self.unit {
            // No share knows how many there were before it, so the draw may begin anew.
            self.unit = unit;
            self.left = self.blocks.geometric(unit);
        }
        let shares = limit / unit + self.rest;
        if (self.left as f64) <= shares {
            let length = self.left as f64 * unit;
            self.rest = 0.0;
            self.left = self.blocks.geometric(unit);
            return (length, true);
        }
        let whole = shares.floor();
        self.rest = shares - whole;
        self.left -= whole as u64;
        (whole * unit, false)
    }

    fn shares(&self, length: f64, unit: f64) -> u64 {
        (length / unit).round() as u64
    }

    fn divide(&mut self, world: &World<'_>, length: f64, unit: f64, works: &mut Vec<f64>) {
        works.clear();
        let (mut shares, mut parts) = ((length / unit).round() as u64, world.total);
        for entry in &world.entries {
            let mine = self.shares.binomial(shares, entry.part / parts);
            works.push(mine as f64 * unit);
            shares -= mine;
            parts -= entry.part;
        }
        // Rounding of the parts may leave the last one short of certainty.
        if shares > 0
            && let Some(last) = works.last_mut()
        {
            *last += shares as f64 * unit;
        }
    }
}

/// One replication in round fidelity.
#[must_use]
pub fn replication(plan: &Plan<'_>, replication: u64) -> Tape {
    let scenario = plan.scenario;
    let counts = Counts {
        blocks: stream(scenario, replication, Purpose::Blocks),
        shares: stream(scenario, replication, Purpose::Shares),
        left: 0,
        unit: 0.0,
        rest: 0.0,
    };
    play(plan, replication, counts)
}
