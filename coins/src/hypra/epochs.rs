//! The caches that proofs need, built before they are needed.
//!
//! A cache takes a second to build and a proof cannot be had without it, so [`EpochCaches`] is told of every height the
//! pool sees ([`EpochCaches::note`]) and knows what is missing: the cache of that epoch, then that of the next. It holds
//! three at most (the one before, for jobs that are not stale yet), and builds nothing by itself: the caller runs
//! [`EpochCaches::serve`] on a thread of its own, or `EpochCaches::drive` on a runtime with threads for blocking work.
//!
//! With [`CacheRules::dataset_threads`] the whole dataset of the current epoch is computed as well, once the caches are
//! there: gigabytes of memory for proofs in microseconds. Until it is ready proofs come from the cache.

use crate::hash::ethashb3::{Epoch, FullDataset, LightCache, TooLate};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheRules {
    /// Compute the current epoch's full dataset with so many threads: 4 GB and more. `None`: never.
    pub dataset_threads: Option<NonZeroUsize>,
}

/// What one epoch's proofs are computed from.
#[derive(Debug)]
pub struct EpochCache {
    light: LightCache,
    dataset: Option<FullDataset>,
}

impl EpochCache {
    /// With a cache alone.
    #[must_use]
    pub const fn of(light: LightCache) -> Self {
        Self { light, dataset: None }
    }

    /// The cache.
    #[must_use]
    pub const fn light(&self) -> &LightCache {
        &self.light
    }

    /// The dataset, where it was asked for and is ready.
    #[must_use]
    pub const fn dataset(&self) -> Option<&FullDataset> {
        self.dataset.as_ref()
    }
}

/// The caches around the current height.
pub struct EpochCaches {
    rules: CacheRules,
    state: Mutex<State>,
    news: Condvar,
    #[cfg(feature = "node")]
    wake: tokio::sync::Notify,
}

#[derive(Default)]
struct State {
    now: Option<Epoch>,
    held: Vec<(Epoch, Arc<EpochCache>)>,
    /// The one of an old share that was proved again.
    past: Option<(Epoch, Arc<EpochCache>)>,
    building: Option<Step>,
    stopped: bool,
}

/// One thing to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Cache(Epoch),
    Dataset(Epoch),
}

impl fmt::Debug for EpochCaches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let held: Vec<Epoch> = state.held.iter().map(|(epoch, _)| *epoch).collect();
        f.debug_struct("EpochCaches").field("now", &state.now).field("held", &held).finish_non_exhaustive()
    }
}

impl EpochCaches {
    /// Nothing held, nothing built.
    #[must_use]
    pub fn new(rules: CacheRules) -> Self {
        Self {
            rules,
            state: Mutex::default(),
            news: Condvar::new(),
            #[cfg(feature = "node")]
            wake: tokio::sync::Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every state between two statements of the guarded code is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pool works at this height: what it needs and is missing is now due, and what it does not need is dropped.
    /// Never blocks.
    ///
    /// # Errors
    /// [`TooLate`] for a height past the last epoch.
    pub fn note(&self, height: u64) -> Result<(), TooLate> {
        let epoch = Epoch::of_block(height)?;
        let mut state = self.state();
        if state.now == Some(epoch) {
            return Ok(());
        }
        state.now = Some(epoch);
        let wanted = [epoch.previous(), Some(epoch), epoch.next()];
        state.held.retain(|(held, _)| wanted.contains(&Some(*held)));
        drop(state);
        self.announce();
        Ok(())
    }

    fn announce(&self) {
        self.news.notify_all();
        #[cfg(feature = "node")]
        self.wake.notify_one();
    }

    /// What proofs at this height are computed from; `None` while it is not there. Never blocks.
    #[must_use]
    pub fn at(&self, height: u64) -> Option<Arc<EpochCache>> {
        let epoch = Epoch::of_block(height).ok()?;
        let state = self.state();
        let held = state.held.iter().chain(&state.past).find(|(held, _)| *held == epoch)?;
        Some(held.1.clone())
    }

    /// As [`EpochCaches::at`], and builds the cache where it stands if it is not there: for shares of long ago that are
    /// proved again. One such cache is kept. Blocks for seconds; never on an I/O thread.
    ///
    /// # Errors
    /// [`TooLate`] for a height past the last epoch.
    pub fn at_or_build(&self, height: u64) -> Result<Arc<EpochCache>, TooLate> {
        let epoch = Epoch::of_block(height)?;
        if let Some(cache) = self.at(height) {
            return Ok(cache);
        }
        let cache = Arc::new(EpochCache::of(LightCache::build(epoch)));
        self.state().past = Some((epoch, cache.clone()));
        Ok(cache)
    }

    /// True when nothing is missing for the last noted height.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let state = self.state();
        state.now.is_some() && state.due(&self.rules).is_none() && state.building.is_none()
    }

    /// Builds the most urgent of what is missing. Blocks for a second or more (minutes for a dataset): never on an I/O
    /// thread. False when nothing is missing, or another thread is at it.
    pub fn build_next(&self) -> bool {
        let mut state = self.state();
        if state.building.is_some() {
            return false;
        }
        let Some(step) = state.due(&self.rules) else { return false };
        state.building = Some(step);
        drop(state);
        // Whatever becomes of the build, the next one may begin.
        let _finished = Building(self);
        match step {
            Step::Cache(epoch) => {
                let cache = Arc::new(EpochCache::of(LightCache::build(epoch)));
                self.state().hold(epoch, cache);
            }
            Step::Dataset(epoch) => {
                let Some(threads) = self.rules.dataset_threads else { return false };
                // A cache of its own: the one that is held serves proofs meanwhile.
                let light = LightCache::build(epoch);
                let dataset = Some(FullDataset::build(&light, threads));
                self.state().hold(epoch, Arc::new(EpochCache { light, dataset }));
            }
        }
        true
    }

    /// Builds whatever is missing, whenever something is, until [`EpochCaches::stop`]. For a thread of the caller's.
    pub fn serve(&self) {
        loop {
            if self.build_next() {
                continue;
            }
            let mut state = self.state();
            while !state.stopped && (state.building.is_some() || state.due(&self.rules).is_none()) {
                state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.stopped {
                return;
            }
        }
    }

    /// As [`EpochCaches::serve`], for as long as it is polled, on the runtime's threads for blocking work.
    #[cfg(feature = "node")]
    pub async fn drive(self: Arc<Self>) {
        loop {
            let caches = self.clone();
            match tokio::task::spawn_blocking(move || caches.build_next()).await {
                Ok(true) => {}
                Ok(false) => self.wake.notified().await,
                // The runtime ends, or the build panicked: the next height is another chance.
                Err(error) => {
                    tracing::error!(%error, "an epoch's cache was not built");
                    self.wake.notified().await;
                }
            }
        }
    }

    /// Ends every [`EpochCaches::serve`], after what it is building.
    pub fn stop(&self) {
        self.state().stopped = true;
        self.news.notify_all();
    }
}

/// Held while something is built.
struct Building<'a>(&'a EpochCaches);

impl Drop for Building<'_> {
    fn drop(&mut self) {
        self.0.state().building = None;
        self.0.announce();
    }
}

impl State {
    fn due(&self, rules: &CacheRules) -> Option<Step> {
        let now = self.now?;
        let missing = |epoch: &Epoch| !self.held.iter().any(|(held, _)| held == epoch);
        let caches = [Some(now), now.next()].into_iter().flatten().find(missing).map(Step::Cache);
        let dataset = || {
            let (_, current) = self.held.iter().find(|(held, _)| *held == now)?;
            let wanted = rules.dataset_threads.is_some() && current.dataset.is_none();
            wanted.then_some(Step::Dataset(now))
        };
        caches.or_else(dataset)
    }

    fn hold(&mut self, epoch: Epoch, cache: Arc<EpochCache>) {
        self.held.retain(|(held, _)| *held != epoch);
        // The height may have moved on meanwhile.
        let near = self.now.is_some_and(|now| [now.previous(), Some(now), now.next()].contains(&Some(epoch)));
        if near {
            self.held.push((epoch, cache));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::ethashb3::{EPOCH_BLOCKS, Sizes};

    fn tiny() -> Arc<EpochCache> {
        Arc::new(EpochCache::of(LightCache::with_sizes(&[0; 32], Sizes { cache_rows: 7, dataset_pages: 7 })))
    }

    fn hold(caches: &EpochCaches, number: u64) {
        caches.state().hold(Epoch::new(number).unwrap(), tiny());
    }

    fn due(caches: &EpochCaches) -> Option<Step> {
        caches.state().due(&caches.rules)
    }

    fn epoch(number: u64) -> Epoch {
        Epoch::new(number).unwrap()
    }

    #[test]
    fn the_current_epoch_is_due_first_and_then_the_next() {
        let caches = EpochCaches::new(CacheRules::default());
        assert_eq!(due(&caches), None);
        caches.note(5 * EPOCH_BLOCKS + 3).unwrap();
        assert_eq!(due(&caches), Some(Step::Cache(epoch(5))));
        hold(&caches, 5);
        assert_eq!(due(&caches), Some(Step::Cache(epoch(6))));
        hold(&caches, 6);
        assert!(due(&caches).is_none() && caches.is_complete());
        assert!(caches.at(5 * EPOCH_BLOCKS).is_some() && caches.at(7 * EPOCH_BLOCKS).is_none());
    }

    #[test]
    fn what_is_far_away_is_dropped_and_three_are_held_at_most() {
        let caches = EpochCaches::new(CacheRules::default());
        for now in 0..20 {
            caches.note(now * EPOCH_BLOCKS).unwrap();
            hold(&caches, now);
            hold(&caches, now + 1);
            hold(&caches, now + 9);
            assert!(caches.state().held.len() <= 3);
        }
        assert!(caches.at(18 * EPOCH_BLOCKS).is_some(), "jobs of the epoch before can still be answered");
        assert!(caches.at(17 * EPOCH_BLOCKS).is_none());
        caches.note(2047 * EPOCH_BLOCKS).unwrap();
        assert_eq!(due(&caches), Some(Step::Cache(Epoch::LAST)));
        hold(&caches, 2047);
        assert_eq!(due(&caches), None);
        assert_eq!(caches.note(2048 * EPOCH_BLOCKS), Err(TooLate));
    }

    #[test]
    fn a_dataset_comes_after_the_caches_and_only_when_asked_for() {
        let caches = EpochCaches::new(CacheRules { dataset_threads: NonZeroUsize::new(1) });
        caches.note(0).unwrap();
        hold(&caches, 0);
        assert_eq!(due(&caches), Some(Step::Cache(epoch(1))));
        hold(&caches, 1);
        assert_eq!(due(&caches), Some(Step::Dataset(epoch(0))));
    }

    #[test]
    fn a_thread_that_serves_builds_what_is_noted_and_ends_when_told() {
        let caches = EpochCaches::new(CacheRules::default());
        std::thread::scope(|scope| {
            scope.spawn(|| caches.serve());
            caches.note(0).unwrap();
            let mut state = caches.state();
            while state.held.len() < 2 {
                state = caches.news.wait(state).unwrap();
            }
            drop(state);
            caches.stop();
        });
        assert!(caches.is_complete());
        assert!(!caches.build_next());
    }
}
