//! Where miners go.
//!
//! A strategy looks at a [`View`] of the world and names a [`Place`] for its whole group. It is asked again whenever
//! something it may depend on has happened: a block, a change of difficulty, someone's change of duty or place, or the
//! moment it named itself by [`until`].

mod plan;

pub use plan::{Actor, Grain, Plan, Row};

use crate::process::Difficulty;
use crate::scenario::{Fallback, Group, Strategy};
use std::ops::Range;

/// How much younger another round must be, in expected blocks, before someone who wants the youngest moves there.
/// Without it two rounds of equal age would be left for each other for ever.
pub const HESITATION: f64 = 0.01;

/// Where a group mines. A book is a log that pays by itself: a pool, or one chain of a pool that pays chains apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On all books of a pool, evenly.
    Pool(usize),
    /// On one book.
    Book(usize),
    /// Outside of all pools, for exactly what work is worth.
    Outside,
    /// Nowhere.
    Off,
}

/// What a strategy sees.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Seconds since the beginning.
    pub now: f64,
    /// Work in each book's running round, in expected blocks.
    pub ages: &'a [f64],
    /// How fast that grows, per second.
    pub paces: &'a [f64],
    /// The books of each pool.
    pub books: &'a [Range<usize>],
    /// The network.
    pub difficulty: &'a Difficulty,
    /// When the reward changes.
    pub reward_change: Option<f64>,
    /// Less than this of a block is no work: half a share, or what sums of many small numbers are off by.
    pub grain: f64,
}

fn fallback(fallback: Fallback) -> Place {
    match fallback {
        Fallback::Fair => Place::Outside,
        Fallback::Off => Place::Off,
        Fallback::Pool(pool) => Place::Pool(pool),
    }
}

impl View<'_> {
    fn of<'a>(&'a self, pools: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
        pools.iter().flat_map(|pool| self.books[*pool].clone())
    }

    /// The youngest of these, or the one the group is on while that is nearly as young.
    fn youngest(&self, candidates: impl Iterator<Item = usize>, current: Place) -> Option<usize> {
        let mut youngest: Option<usize> = None;
        let mut stays = None;
        for book in candidates {
            if current == Place::Book(book) {
                stays = Some(book);
            }
            if youngest.is_none_or(|best| self.ages[book] < self.ages[best]) {
                youngest = Some(book);
            }
        }
        match (stays, youngest) {
            (Some(stays), Some(best)) if self.ages[stays] < self.ages[best] + HESITATION - self.grain => {
                Some(stays)
            }
            _ => youngest,
        }
    }

    /// Seconds until one of these is younger than `current` by the hesitation.
    fn overtaken(&self, candidates: impl Iterator<Item = usize>, current: Place) -> f64 {
        let Place::Book(here) = current else { return f64::INFINITY };
        let mut soonest = f64::INFINITY;
        for book in candidates {
            let closing = self.paces[here] - self.paces[book];
            if book != here && closing > 0.0 {
                let gap = self.ages[book] + HESITATION - self.ages[here];
                soonest = f64::min(soonest, (gap / closing).max(0.0));
            }
        }
        soonest
    }
}

/// Where the group goes now, being at `current`.
#[must_use]
pub fn place(group: &Group, view: &View<'_>, current: Place) -> Place {
    let home = Place::Pool(group.pool);
    match &group.strategy {
        Strategy::Honest | Strategy::Withholder { .. } | Strategy::Sybil { .. } => home,
        Strategy::Hopper { pools, threshold, fallback: elsewhere } => {
            match view.youngest(view.of(pools), current) {
                Some(book) if view.ages[book] < threshold - view.grain => Place::Book(book),
                _ => fallback(*elsewhere),
            }
        }
        Strategy::Youngest { pools } => view.youngest(view.of(pools), current).map_or(home, Place::Book),
        Strategy::ChainHop => {
            view.youngest(view.books[group.pool].clone(), current).map_or(home, Place::Book)
        }
        Strategy::RetargetHop { avoid_blocks, fallback: elsewhere } => {
            if view.difficulty.epoch_left() > avoid_blocks + 1e-6 { home } else { fallback(*elsewhere) }
        }
        Strategy::RewardExit { before_seconds, fallback: elsewhere } => match view.reward_change {
            Some(change) if view.now >= change - before_seconds - 1e-6 => fallback(*elsewhere),
            _ => home,
        },
        Strategy::Burst { length_seconds, period_seconds } => {
            if in_burst(view.now, *length_seconds, *period_seconds).0 { home } else { Place::Off }
        }
    }
}

/// Whether a burst is on, and when that ends.
fn in_burst(now: f64, length: f64, period: f64) -> (bool, f64) {
    // A moment this near to an edge is behind it.
    let slack = 1e-9 * period;
    let start = ((now + slack) / period).floor() * period;
    let end = start + length;
    if now + slack < end { (true, end) } else { (false, start + period) }
}

/// When the group may want to go elsewhere by the mere passing of time, in seconds since the beginning.
#[must_use]
pub fn until(group: &Group, view: &View<'_>, current: Place) -> f64 {
    let wait = match &group.strategy {
        Strategy::Honest | Strategy::Withholder { .. } | Strategy::Sybil { .. } => f64::INFINITY,
        Strategy::Hopper { pools, threshold, .. } => {
            let leaves = match current {
                Place::Book(book) if view.paces[book] > 0.0 => {
                    ((threshold - view.ages[book]) / view.paces[book]).max(0.0)
                }
                _ => f64::INFINITY,
            };
            leaves.min(view.overtaken(view.of(pools), current))
        }
        Strategy::Youngest { pools } => view.overtaken(view.of(pools), current),
        Strategy::ChainHop => view.overtaken(view.books[group.pool].clone(), current),
        Strategy::RetargetHop { avoid_blocks, .. } => {
            if view.difficulty.epoch_left() > avoid_blocks + 1e-6 {
                view.difficulty.seconds_until_left(*avoid_blocks)
            } else {
                f64::INFINITY
            }
        }
        Strategy::RewardExit { before_seconds, .. } => match view.reward_change {
            Some(change) if view.now < change - before_seconds - 1e-6 => change - before_seconds - view.now,
            _ => f64::INFINITY,
        },
        Strategy::Burst { length_seconds, period_seconds } => {
            return in_burst(view.now, *length_seconds, *period_seconds).1;
        }
    };
    view.now + wait
}

/// True for strategies that look at the ages of rounds.
#[must_use]
pub const fn watches_rounds(strategy: &Strategy) -> bool {
    matches!(strategy, Strategy::Hopper { .. } | Strategy::Youngest { .. } | Strategy::ChainHop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_have_their_edges() {
        assert_eq!(in_burst(0.0, 10.0, 60.0), (true, 10.0));
        assert_eq!(in_burst(10.0, 10.0, 60.0), (false, 60.0));
        assert_eq!(in_burst(60.0 - 1e-10, 10.0, 60.0), (true, 70.0));
        assert_eq!(in_burst(125.0, 10.0, 60.0), (true, 130.0));
    }
}
