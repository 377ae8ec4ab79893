//! Solutions that one connection was paid for, so that none is paid twice.
//!
//! The key is what was proved, in numbers: which work (jobs that are the same work share a number) and which
//! solution; never the text, which has many spellings. Solutions enter after their proof passed and not before, so
//! junk cannot fill the set. They leave with their work: when the work is stale its solutions cannot come again. If the
//! set is full the oldest work is given up as stale before its time, rather than forgotten while it can be answered.
//!
//! One connection is enough where another one has another nonce prefix and cannot submit these solutions. Where they
//! share the nonce space, the job ring keeps one such set for all of them ([`crate::jobs::JobRing::claim`]).

use std::collections::BTreeSet;

/// The accepted solutions of one connection. No allocation until the first.
#[derive(Debug)]
pub struct Duplicates<S> {
    seen: BTreeSet<(u64, S)>,
    /// Work below this was given up.
    floor: u64,
}

impl<S> Default for Duplicates<S> {
    fn default() -> Self {
        Self { seen: BTreeSet::new(), floor: 0 }
    }
}

impl<S: Ord + Clone> Duplicates<S> {
    /// True when this solution of this work was accepted before.
    #[must_use]
    pub fn contains(&self, work: u64, solution: &S) -> bool {
        !self.seen.is_empty() && self.seen.contains(&(work, solution.clone()))
    }

    /// The oldest work that may still be answered on this connection.
    #[must_use]
    pub const fn floor(&self) -> u64 {
        self.floor
    }

    /// Remembers an accepted solution; at most `kept_max` are. False if it was known.
    pub fn insert(&mut self, work: u64, solution: S, kept_max: usize) -> bool {
        let new = self.seen.insert((work, solution));
        while self.seen.len() > kept_max.max(1) {
            let Some((oldest, _)) = self.seen.first() else { break };
            self.retire_below(oldest.saturating_add(1));
        }
        new
    }

    /// Forgets one solution.
    pub fn remove(&mut self, work: u64, solution: &S) {
        self.seen.remove(&(work, solution.clone()));
    }

    /// Work below `work` cannot be answered any more: forgets its solutions.
    pub fn retire_below(&mut self, work: u64) {
        self.floor = self.floor.max(work);
        while self.seen.first().is_some_and(|(oldest, _)| *oldest < self.floor) {
            self.seen.pop_first();
        }
    }

    /// How many solutions are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// True when none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_full_set_gives_up_the_oldest_work_as_stale() {
        let mut seen = Duplicates::default();
        for nonce in 0..3u64 {
            assert!(seen.insert(7, nonce, 4));
        }
        assert!(seen.insert(9, 0, 4));
        assert!(!seen.insert(9, 0, 4), "known");
        assert!(seen.insert(9, 1, 4));
        assert_eq!((seen.len(), seen.floor()), (2, 8));
        assert!(seen.contains(9, &1) && !seen.contains(7, &0));
    }

    proptest! {
        #[test]
        fn what_may_be_answered_is_never_forgotten(shares in proptest::collection::vec((0..20u64, 0..50u64), 0..400)) {
            let (mut seen, mut all) = (Duplicates::default(), BTreeSet::new());
            for (work, nonce) in shares {
                if work < seen.floor() {
                    continue; // stale here: refused before it is looked up
                }
                prop_assert_eq!(seen.contains(work, &nonce), all.contains(&(work, nonce)));
                seen.insert(work, nonce, 64);
                all.insert((work, nonce));
                prop_assert!(seen.len() <= 64);
            }
        }
    }
}
