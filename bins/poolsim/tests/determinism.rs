//! The same scenario gives the same bytes on any number of threads, in every fidelity.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use poolsim::run::{Progress, RunError, Silent, run};
use poolsim::scenario::Scenario;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

fn scenario(fidelity: &str, more: &str) -> Scenario {
    let text = format!(
        "name = 'same'\nfidelity = '{fidelity}'\nseed = 99\nreplications = 130\nblocks = 8\n{more}\n\
         [network]\ninterval_seconds = 600\nsubsidy = '312500000'\nshares_per_block = 100\n\
         [difficulty]\nrule = 'epoch'\nblocks = 100\n[hashrate]\ngrowth_per_day = 0.02\nvolatility_per_sqrt_day = 0.05\n\
         [fees]\nprocess = 'ar1'\nmean = 0.1\nvariation = 0.8\ncorrelation = 0.9\n\
         [net]\npropagation_seconds = 20\nlatency_seconds = 3\n\
         [[pool]]\nname = 'p'\nreserve_blocks = 3\n[[pool]]\nname = 'q'\nchains = 2\nrounds = 'chain'\n\
         [[miners]]\nname = 'm'\npool = 'p'\npart = 0.1\ncount = 5\nspread = 'pareto'\nalpha = 1.2\n\
         [miners.duty]\nkind = 'random'\non_seconds = 9000\noff_seconds = 3000\n\
         [[miners]]\nname = 'n'\npool = 'q'\npart = 0.1\ncount = 3\n\
         [[miners]]\nname = 'h'\npool = 'q'\npart = 0.05\n[miners.strategy]\nkind = 'hopper'\nfallback = 'p'\n\
         [[miners]]\nname = 'w'\npool = 'p'\npart = 0.01\n[miners.strategy]\nkind = 'withholder'\n\
         [[miners]]\nname = 's'\npool = 'p'\npart = 0.01\n[miners.strategy]\nkind = 'sybil'\nidentities = 3\n\
         [[scheme]]\nkind = 'prop'\nfee_bps = 100\n[[scheme]]\nkind = 'pplns'\nwindow = '2'\n\
         [[scheme]]\nkind = 'fpps'\nfee_bps = 400\n[[scheme]]\nkind = 'solo'\n"
    );
    Scenario::parse(&text, Path::new("")).unwrap_or_else(|error| panic!("{error}"))
}

fn bytes(scenario: &Scenario, threads: usize) -> String {
    serde_json::to_string(&run(scenario, threads, &Silent).unwrap()).unwrap()
}

#[test]
fn threads_change_no_byte() {
    for fidelity in ["fluid", "round", "share", "net"] {
        for more in ["", "[variance]\nantithetic = true", "[precision]\nhalf_width = 0.2"] {
            let scenario = scenario(fidelity, more);
            let one = bytes(&scenario, 1);
            assert_eq!(one, bytes(&scenario, 2), "{fidelity} {more}");
            assert_eq!(one, bytes(&scenario, 7), "{fidelity} {more}");
            let summary: poolsim::outcome::Summary = serde_json::from_str(&one).unwrap();
            assert_eq!((summary.seed, summary.scenario.as_str()), (99, scenario.text.as_str()));
            for scheme in &summary.schemes {
                for row in scheme.groups.iter().chain(&scheme.accounts) {
                    assert!(row.per_work.value.is_finite() && row.income.mean.value >= 0.0, "{row:?}");
                }
            }
        }
    }
}

#[test]
fn the_seed_decides() {
    let mut scenario = scenario("share", "");
    let before = bytes(&scenario, 1);
    scenario.seed += 1;
    assert_ne!(before, bytes(&scenario, 1));
}

/// What a run reports on its way, and stops for.
#[derive(Debug, Default)]
struct Watch {
    heard: Mutex<Vec<(u64, u64)>>,
    stop_after: AtomicU64,
}

impl Progress for Watch {
    fn replications(&self, done: u64, total: u64, _half_width: Option<f64>) {
        self.heard.lock().unwrap().push((done, total));
    }

    fn cancelled(&self) -> bool {
        let stop = self.stop_after.load(Ordering::Relaxed);
        stop > 0 && self.heard.lock().unwrap().last().is_some_and(|(done, _)| *done >= stop)
    }
}

#[test]
fn progress_goes_up_to_the_end_and_a_run_can_be_stopped() {
    let scenario = scenario("fluid", "");
    let watch = Watch::default();
    run(&scenario, 2, &watch).unwrap();
    let heard = watch.heard.into_inner().unwrap();
    assert!(heard.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!(heard.last(), Some(&(130, 130)));
    let watch = Watch { stop_after: AtomicU64::new(10), ..Watch::default() };
    assert!(matches!(run(&scenario, 1, &watch), Err(RunError::Stopped)));
}

#[test]
fn a_run_stops_when_it_knows_enough() {
    let loose = scenario("fluid", "[precision]\nhalf_width = 0.5");
    let summary = run(&loose, 2, &Silent).unwrap();
    assert!(summary.replications.reached && summary.replications.done < 130, "{:?}", summary.replications);
    assert!(summary.replications.half_width <= 0.5);
    let strict = scenario("fluid", "[precision]\nhalf_width = 1e-9");
    let summary = run(&strict, 2, &Silent).unwrap();
    assert!(!summary.replications.reached && summary.replications.done == 130);
}

/// What the estimators promise: opposite luck and known block counts narrow intervals, and common luck differences.
#[test]
fn variance_is_reduced_where_it_can_be() {
    let text = |more: &str| {
        format!(
            "name = 'v'\nfidelity = 'fluid'\nreplications = 400\nblocks = 50\nseed = 5\n{more}\n\
             [network]\ninterval_seconds = 600\nsubsidy = '100000000'\n[[pool]]\nname = 'p'\n\
             [[miners]]\nname = 'm'\npart = 0.1\n[[scheme]]\nkind = 'prop'\n[[scheme]]\nkind = 'pplns'\nwindow = '2'\nunderfilled = 'operator-keeps'\n"
        )
    };
    let of = |more: &str| {
        let scenario = Scenario::parse(&text(more), Path::new("")).unwrap();
        run(&scenario, 2, &Silent).unwrap()
    };
    let (plain, opposite) = (of(""), of("[variance]\nantithetic = true"));
    let width = |summary: &poolsim::outcome::Summary| {
        let pay = &summary.schemes[0].groups[0].per_work;
        pay.high - pay.low
    };
    assert!(width(&opposite) < 0.7 * width(&plain), "{} {}", width(&opposite), width(&plain));
    let controlled = plain.schemes[0].groups[0].controlled.unwrap();
    assert!(controlled.gain > 100.0, "{controlled:?}");
    assert!((controlled.estimate.value - 1.0).abs() < 0.01);
    let gain = plain.differences[0].gain.unwrap();
    assert!(gain > 10.0, "{gain}");
}
