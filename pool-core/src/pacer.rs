//! Job pacing: a chain may make ten blocks a second, a miner wants four jobs.
//!
//! Pure, with the clock as an argument. The first news after a quiet time goes out at once; after that at most one
//! job per interval, at the interval's end (the trailing edge), made from whatever template is newest *then*. Nothing
//! is queued: news while a job is due changes nothing, because the job will be made from the newest template anyway.
//! A job is announced clean (drop what you had) only when the caller says that older work has become worthless.

use crate::time::{Micros, Moment};

/// When the next job goes out.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    interval: Micros,
    /// When the last job went out.
    last: Option<Moment>,
    /// News that no job has been made from yet.
    due: Option<Due>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    at: Moment,
    clean: bool,
}

/// A job is to be made now, from the newest template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fire {
    /// Older jobs are worthless.
    pub clean: bool,
}

impl Pacer {
    /// The least time between two jobs that miners and their firmware stand. Source: the practice of Kaspa bridges.
    pub const INTERVAL_DEFAULT: Micros = Micros::from_millis(250);

    /// A pacer that lets one job through per `interval`.
    #[must_use]
    pub const fn new(interval: Micros) -> Self {
        Self { interval, last: None, due: None }
    }

    /// A newer template may be had. `clean`: older work is worthless, so do not wait.
    pub fn news(&mut self, now: Moment, clean: bool) {
        let paced = self.last.map_or(now, |last| last.after(self.interval).max(now));
        let at = if clean { now } else { paced };
        let due = self.due.get_or_insert(Due { at, clean });
        due.at = due.at.min(at);
        due.clean |= clean;
    }

    /// Until when there is nothing to do; `None` without news.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        self.due.map(|due| due.at)
    }

    /// Takes the job that is due at `now`, if one is.
    pub fn poll(&mut self, now: Moment) -> Option<Fire> {
        let due = self.due.filter(|due| due.at <= now)?;
        self.due = None;
        self.last = Some(now);
        Some(Fire { clean: due.clean })
    }
}

impl Default for Pacer {
    fn default() -> Self {
        Self::new(Self::INTERVAL_DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(millis: u64) -> Moment {
        Moment::new(millis * 1_000)
    }

    #[test]
    fn the_first_news_goes_out_at_once_and_the_next_waits_for_the_interval() {
        let mut pacer = Pacer::default();
        assert_eq!(pacer.deadline(), None);
        pacer.news(ms(1_000), false);
        assert_eq!(pacer.poll(ms(1_000)), Some(Fire { clean: false }));
        pacer.news(ms(1_100), false);
        assert_eq!(pacer.deadline(), Some(ms(1_250)));
        assert_eq!(pacer.poll(ms(1_249)), None);
        assert_eq!(pacer.poll(ms(1_250)), Some(Fire { clean: false }));
        assert_eq!(pacer.deadline(), None, "nothing newer, nothing to send");
    }

    #[test]
    fn many_news_are_one_job() {
        let mut pacer = Pacer::default();
        pacer.news(ms(0), false);
        assert!(pacer.poll(ms(0)).is_some());
        for millis in (10..250).step_by(10) {
            pacer.news(ms(millis), false);
            assert_eq!(pacer.poll(ms(millis)), None);
        }
        assert!(pacer.poll(ms(250)).is_some());
        assert_eq!(pacer.poll(ms(500)), None);
    }

    #[test]
    fn clean_work_does_not_wait_and_stays_clean() {
        let mut pacer = Pacer::default();
        pacer.news(ms(0), false);
        assert!(pacer.poll(ms(0)).is_some());
        pacer.news(ms(10), false);
        pacer.news(ms(20), true);
        pacer.news(ms(20), false);
        assert_eq!(pacer.poll(ms(20)), Some(Fire { clean: true }));
        pacer.news(ms(30), false);
        assert_eq!(pacer.deadline(), Some(ms(270)));
    }

    proptest! {
        #[test]
        fn unclean_jobs_keep_their_distance_and_no_news_waits_longer_than_it(
            steps in proptest::collection::vec((1u64..400, any::<bool>()), 1..200),
        ) {
            let mut pacer = Pacer::default();
            let (mut now, mut last, mut waiting_since) = (0, None::<u64>, None::<u64>);
            for (step, news) in steps {
                now += step;
                if news {
                    pacer.news(ms(now), false);
                    waiting_since.get_or_insert(now);
                }
                if pacer.poll(ms(now)).is_some() {
                    prop_assert!(waiting_since.take().is_some(), "a job without news");
                    if let Some(last) = last {
                        prop_assert!(now - last >= 250);
                    }
                    last = Some(now);
                } else if let Some(since) = waiting_since {
                    prop_assert!(now - since < 250 + 400);
                    prop_assert!(pacer.deadline().is_some_and(|deadline| deadline <= ms(since + 250)));
                }
            }
        }
    }
}
