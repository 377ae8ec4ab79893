//! The driver: replications in parallel, one result.
//!
//! Replications are grouped into chunks by the scenario alone. A chunk is absorbed in order by whichever thread has it,
//! chunks are merged in order by one thread, and whether the wanted precision is reached is only asked at the same
//! places: so every floating-point sum is the same for any number of threads.

use crate::fidelity::journal::Tape;
use crate::fidelity::{fluid, net, round, share};
use crate::outcome::Summary;
use crate::scenario::{Fidelity, Scenario};
use crate::stats::{Totals, summary};
use crate::strategy::{Grain, Plan};
use pool_rewards::scheme::BlockValue;
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

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
    /// An engine refused its parameters: a scenario that was not read from a text may have such.
    #[error("the parameters of scheme {scheme} cannot be")]
    Params {
        /// The scheme.
        scheme: String,
        /// What is wrong with them.
        #[source]
        source: pool_rewards::scheme::BadParams,
    },
    /// The scheme needs a list of the network's blocks, which a simulation has none of: use the realised value instead.
    #[error("scheme {scheme} pays by a list of the network's blocks, which cannot be simulated")]
    Unsupported {
        /// The scheme.
        scheme: String,
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

/// Chunks between two looks at the precision.
const CHUNKS: u64 = 32;

/// Replications that are absorbed one after the other before they are merged with others: few enough to keep all
/// threads busy, many enough that merging costs little. Depends on the scenario alone, as every sum's order does.
fn chunk(scenario: &Scenario) -> u64 {
    let even = (scenario.replications / 64).clamp(1, 16);
    if scenario.variance.antithetic { even.next_multiple_of(2) } else { even }
}

fn replication(plan: &Plan<'_>, number: u64) -> Result<Tape, RunError> {
    match plan.scenario.fidelity {
        Fidelity::Fluid => Ok(fluid::replication(plan, number)),
        Fidelity::Round => Ok(round::replication(plan, number)),
        Fidelity::Share => share::replication(plan, number),
        Fidelity::Net => net::replication(plan, number),
    }
}

/// Plays a scenario on `threads` threads (0: one per core). The result does not depend on them.
///
/// # Errors
/// [`RunError`].
pub fn run(scenario: &Scenario, threads: usize, progress: &dyn Progress) -> Result<Summary, RunError> {
    for scheme in &scenario.schemes {
        if let Some(BlockValue::Reference { .. }) = scheme.params.rule.share_value() {
            return Err(RunError::Unsupported { scheme: scheme.name.clone() });
        }
    }
    let grain = match scenario.fidelity {
        Fidelity::Fluid => Grain::Groups,
        Fidelity::Round => Grain::Accounts,
        Fidelity::Share | Fidelity::Net => Grain::Identities,
    };
    let plan = Plan::new(scenario, grain);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(RunError::Threads)?;
    let (chunk, all) = (chunk(scenario), scenario.replications);
    let mut totals = Totals::new(&plan);
    let mut reached = false;
    while totals.done() < all && !reached {
        let from = totals.done();
        let to = all.min(from + chunk * CHUNKS);
        let before = totals.half_width(&plan);
        let heard = Mutex::new(from);
        let starts: Vec<u64> = (0..(to - from).div_ceil(chunk)).map(|index| from + index * chunk).collect();
        let chunks: Vec<Result<Totals, RunError>> = pool.install(|| {
            starts
                .into_par_iter()
                .map(|start| {
                    let mut part = Totals::new(&plan);
                    for number in start..to.min(start + chunk) {
                        if progress.cancelled() {
                            return Err(RunError::Stopped);
                        }
                        part.absorb(&plan, &replication(&plan, number)?);
                    }
                    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    *heard += part.done();
                    progress.replications(*heard, all, before);
                    Ok(part)
                })
                .collect()
        });
        for part in chunks {
            totals.merge(&part?);
        }
        if let (Some(wanted), Some(width)) = (scenario.precision.half_width, totals.half_width(&plan)) {
            reached = width <= wanted;
        }
    }
    Ok(summary(&plan, &totals, reached && totals.done() < all))
}
