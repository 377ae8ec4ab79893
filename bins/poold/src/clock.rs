//! The one place where this program reads the clocks of the system. Everything below takes time as an argument.

use pool_core::time::{Moment, Timestamp};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Both clocks of the process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Starts the monotonic clock.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// The monotonic clock, for intervals and deadlines.
    #[must_use]
    pub fn moment(self) -> Moment {
        let micros = u64::try_from(self.origin.elapsed().as_micros());
        Moment::new(micros.unwrap_or(u64::MAX))
    }

    /// UTC, for the record.
    #[must_use]
    pub fn now(self) -> Timestamp {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }
}
