//! Who acts, and whose account it goes to.
//!
//! An [`Actor`] is what work is drawn for; a [`Row`] is what statistics are kept of. In fluid fidelity the accounts of
//! a group that is always on duty move as one, so one actor stands for all of them and each account is a scaled copy.
//! Otherwise an account is an actor, and where shares are drawn each of a sybil's identities is one.

use crate::scenario::{Duty, Scenario, Strategy};
use pool_rewards::scheme::{Rule, SchemeParams};
use std::ops::Range;

/// What an actor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// A group as a whole where its accounts differ in size only, else an account.
    Groups,
    /// An account.
    Accounts,
    /// An account, or an identity of a sybil.
    Identities,
}

/// What work is drawn for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Actor {
    /// Index of its group.
    pub group: usize,
    /// Index of the row its work and income count in.
    pub row: usize,
    /// Hashrate on duty, as a part of the network; in a burst it is higher by the plan's factor.
    pub part: f64,
}

/// What statistics are kept of.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Index of the group.
    pub group: usize,
    /// The accounts behind it: their number in the group and their part of the row. None for a group's own row.
    pub accounts: Vec<(usize, f64)>,
}

/// A scenario made ready to be played.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// Of what.
    pub scenario: &'a Scenario,
    /// Everyone, group by group.
    pub actors: Vec<Actor>,
    /// Rows of accounts, then one row per group.
    pub rows: Vec<Row>,
    /// How many of the rows are accounts'.
    pub account_rows: usize,
    /// The books of each pool.
    pub books: Vec<Range<usize>>,
    /// The pool of each book.
    pub pool_of: Vec<usize>,
    /// The schemes of each run side by side: per scheme under comparison, the parameters' index for each pool.
    pub line_ups: Vec<Vec<usize>>,
}

fn by_finder(params: &SchemeParams) -> bool {
    let solo = |rule: &Rule| matches!(rule, Rule::Solo {});
    params.fees.finder_bonus.get() > 0
        || match &params.rule {
            Rule::Mixed { first, rest, .. } => solo(first) || solo(rest),
            rule => solo(rule),
        }
}

impl<'a> Plan<'a> {
    /// The plan of a scenario.
    #[must_use]
    pub fn new(scenario: &'a Scenario, grain: Grain) -> Self {
        let finders = scenario.schemes.iter().any(|scheme| by_finder(&scheme.params));
        let (mut actors, mut rows) = (Vec::new(), Vec::new());
        for (number, group) in scenario.miners.iter().enumerate() {
            let whole = grain == Grain::Groups && group.duty == Duty::Always && !finders;
            if whole {
                let total = group.part();
                let accounts = group.parts.iter().map(|part| part / total).enumerate().collect();
                actors.push(Actor { group: number, row: rows.len(), part: total });
                rows.push(Row { group: number, accounts });
                continue;
            }
            let identities = match group.strategy {
                Strategy::Sybil { identities } if grain == Grain::Identities => identities,
                _ => 1,
            };
            for (account, part) in group.parts.iter().enumerate() {
                for _ in 0..identities {
                    actors.push(Actor { group: number, row: rows.len(), part: part / f64::from(identities) });
                }
                rows.push(Row { group: number, accounts: vec![(account, 1.0)] });
            }
        }
        let account_rows = rows.len();
        rows.extend((0..scenario.miners.len()).map(|group| Row { group, accounts: Vec::new() }));
        let (mut books, mut pool_of) = (Vec::new(), Vec::new());
        for (index, pool) in scenario.pools.iter().enumerate() {
            let count = if pool.per_chain { pool.chains as usize } else { 1 };
            books.push(pool_of.len()..pool_of.len() + count);
            pool_of.extend(std::iter::repeat_n(index, count));
        }
        let compared = if scenario.pools.iter().all(|pool| pool.scheme.is_some()) {
            vec![scenario.pools[0].scheme.unwrap_or(0)]
        } else {
            // A scheme that some pool always has is not compared, unless no other is left.
            let own = |index: &usize| !scenario.pools.iter().any(|pool| pool.scheme == Some(*index));
            let others: Vec<usize> = (0..scenario.schemes.len()).filter(own).collect();
            if others.is_empty() { (0..scenario.schemes.len()).collect() } else { others }
        };
        let line_ups = compared
            .into_iter()
            .map(|scheme| scenario.pools.iter().map(|pool| pool.scheme.unwrap_or(scheme)).collect())
            .collect();
        Self { scenario, actors, rows, account_rows, books, pool_of, line_ups }
    }

    /// The scheme that line-up number `index` is about.
    #[must_use]
    pub fn compared(&self, index: usize) -> usize {
        let line_up = &self.line_ups[index];
        let free = self.scenario.pools.iter().position(|pool| pool.scheme.is_none());
        free.map_or(line_up[0], |pool| line_up[pool])
    }

    /// The row of a group as a whole.
    #[must_use]
    pub const fn group_row(&self, group: usize) -> usize {
        self.account_rows + group
    }

    /// By how much a group's hashrate is higher while it mines at all.
    #[must_use]
    pub fn boost(&self, group: usize) -> f64 {
        match self.scenario.miners[group].strategy {
            Strategy::Burst { length_seconds, period_seconds } => period_seconds / length_seconds,
            _ => 1.0,
        }
    }
}
