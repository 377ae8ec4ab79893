//! Vardiff against simulated miners: Poisson streams from 1 MH/s to 21 TH/s on a seeded generator.
//!
//! Floats are used here, for the miner's luck and for judging the result, and nowhere in the crate.

use pool_core::time::{Micros, Moment};
use pool_core::units::Work;
use pool_core::vardiff::{Vardiff, VardiffRules, WorkRange};
use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const GOAL_SECS: f64 = 5.0;

fn work(hashes: u128) -> Work {
    Work::new(hashes).unwrap()
}

fn rules(start: u128) -> VardiffRules {
    let range = WorkRange::new(work(1 << 16), work(1 << 60)).unwrap();
    VardiffRules::new(Micros::from_secs(5), range, work(start)).unwrap()
}

/// A miner whose shares are found at `rate / work` and answer the newest job, and the pool that polls when it must.
struct Miner {
    rng: ChaCha8Rng,
    now: f64,
    vardiff: Vardiff,
    shares: u64,
    changes: u64,
}

impl Miner {
    fn new(rules: &VardiffRules, seed: u64) -> Self {
        let vardiff = Vardiff::new(rules, None, Moment::ZERO);
        Self { rng: ChaCha8Rng::seed_from_u64(seed), now: 0.0, vardiff, shares: 0, changes: 0 }
    }

    fn moment(&self) -> Moment {
        Moment::new((self.now * 1e6) as u64)
    }

    /// Mines until `until` at `rate` hashes a second; tells `watch` every span: its length and its work.
    fn mine(&mut self, rules: &VardiffRules, rate: f64, until: f64, mut watch: impl FnMut(f64, f64, f64)) {
        while self.now < until {
            let work = self.vardiff.work();
            let luck: f64 = self.rng.random();
            let share = self.now - (1.0 - luck).ln() * work.get() as f64 / rate;
            let deadline = self.vardiff.deadline(rules).get() as f64 / 1e6;
            let before = self.now;
            if share < deadline.min(until) {
                self.now = share;
                self.shares += 1;
                self.vardiff.on_share(rules, self.moment(), work);
            } else {
                self.now = deadline.min(until);
            }
            watch(before, self.now - before, work.get() as f64);
            if self.vardiff.poll(rules, self.moment()).is_some() {
                self.changes += 1;
            }
        }
    }
}
#[test]
fn explore() {
    for start in [1u128 << 45, 1 << 20, 1<<33] {
        for rate in [1e6, 1e8, 1e10, 1e12, 21e12] {
            let rules = rules(start);
            let mut settle = vec![]; let mut errs = vec![]; let mut out = vec![]; let mut chg = vec![]; let mut early=vec![];
            for seed in 0..100u64 {
                let mut m = Miner::new(&rules, seed);
                let ideal = rate * GOAL_SECS;
                // settle: first time within factor 2
                let mut first = f64::NAN;
                m.mine(&rules, rate, 100.0 * GOAL_SECS, |at, len, w| { let r = w/ideal; if (0.5..=2.0).contains(&r) && first.is_nan() {first = (at)/GOAL_SECS;}});
                settle.push(first);
                early.push(m.shares as f64);
                let (n0, c0)=(m.shares, m.changes);
                let mut bad = 0.0;
                m.mine(&rules, rate, 4100.0*GOAL_SECS, |_, len, w| { let r = w/ideal; if !(0.5..=2.0).contains(&r) {bad += len;}});
                errs.push((m.shares-n0) as f64/4000.0);
                out.push(bad/4000.0/GOAL_SECS);
                chg.push((m.changes-c0) as f64);
            }
            for v in [&mut settle,&mut errs,&mut out,&mut chg,&mut early] { v.sort_by(|a,b| a.total_cmp(b)); }
            let q=|v:&Vec<f64>| format!("{:.2}/{:.2}/{:.2}/{:.3}", v[0],v[50],v[95],v[99]);
            println!("2^{} {rate:e}: settle {} rate {} out {} changes {} early {}", start.ilog2(), q(&settle), q(&errs), q(&out), q(&chg), q(&early));
        }
    }
}
