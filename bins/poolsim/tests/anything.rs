//! Any scenario that is accepted ends, in every fidelity, with finite numbers and no money made or lost.

use poolsim::outcome::{Distribution, Summary};
use poolsim::run::{Silent, run};
use poolsim::scenario::Scenario;
use proptest::prelude::*;
use std::path::Path;

fn pick(options: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(options)
}

fn world() -> impl Strategy<Value = String> {
    let difficulty = pick(&[
        "",
        "[difficulty]\nrule = 'epoch'\nblocks = 30\nclamp = 1.5\n",
        "[difficulty]\nrule = 'window'\nblocks = 20\n",
        "[difficulty]\nrule = 'asert'\nhalf_life_seconds = 5000\n",
    ]);
    let hashrate = pick(&[
        "",
        "[hashrate]\ngrowth_per_day = 1.0\n",
        "[hashrate]\ngrowth_per_day = -2.0\nvolatility_per_sqrt_day = 1.0\n",
    ]);
    let fees = pick(&[
        "",
        "[fees]\nprocess = 'independent'\nmean = 0.3\nvariation = 2\n",
        "[fees]\nprocess = 'ar1'\nmean = 0.3\nvariation = 1\ncorrelation = -0.5\n",
        "[fees]\nprocess = 'spikes'\nmean = 0\nchance = 0.2\nsize = 3\n",
    ]);
    let change = pick(&[
        "",
        "[network.reward_change]\nat_days = 0.2\nfactor = 0.5\n",
        "[network.reward_change]\nat_days = 0\nfactor = 0\n",
    ]);
    let net = pick(&[
        "",
        "[net]\npropagation_seconds = 300\nlatency_seconds = 20\n",
        "[net]\npropagation_seconds = 50\nconflicts = 'uncle'\nvalue = 0.875\n",
        "[net]\npropagation_seconds = 2000\nconflicts = 'dag'\nk = 2\n",
    ]);
    (change, difficulty, hashrate, fees, net).prop_map(|(a, b, c, d, e)| [a, b, c, d, e].concat())
}

fn miners() -> impl Strategy<Value = String> {
    let strategy = pick(&[
        "",
        "[miners.strategy]\nkind = 'hopper'\n",
        "[miners.strategy]\nkind = 'hopper'\npools = ['a', 'b', 'c']\nthreshold = 0.2\nfallback = 'off'\n",
        "[miners.strategy]\nkind = 'hopper'\npools = ['b']\nthreshold = 1.5\nfallback = 'c'\n",
        "[miners.strategy]\nkind = 'youngest'\n",
        "[miners.strategy]\nkind = 'youngest'\npools = ['a', 'c']\n",
        "[miners.strategy]\nkind = 'withholder'\npart = 0.5\n",
        "[miners.strategy]\nkind = 'burst'\nlength_seconds = 700\nperiod_seconds = 2100\n",
        "[miners.strategy]\nkind = 'sybil'\nidentities = 3\n",
    ]);
    let duty = pick(&[
        "",
        "[miners.duty]\nkind = 'cycle'\non_seconds = 3000\noff_seconds = 1000\n",
        "[miners.duty]\nkind = 'random'\non_seconds = 500\noff_seconds = 2500\n",
    ]);
    let group = (pick(&["a", "b", "c"]), 1u32..4, 50u32..250, strategy, duty);
    prop::collection::vec(group, 1..5).prop_map(|groups| {
        let text = |(number, (pool, count, part, strategy, duty)): (usize, (&str, u32, u32, &str, &str))| {
            let part = f64::from(part) / 2000.0;
            format!("[[miners]]\nname = 'g{number}'\npool = '{pool}'\ncount = {count}\npart = {part}\nspread = 'pareto'\nalpha = 1.5\n{strategy}{duty}")
        };
        groups.into_iter().enumerate().map(text).collect()
    })
}

const SCHEMES: &str = "[[scheme]]\nkind = 'prop'\nfee_bps = 100\n[[scheme]]\nkind = 'pplns'\nwindow = '3/2'\n\
    [[scheme]]\nkind = 'double-geometric'\n[[scheme]]\nkind = 'fpps'\nblocks = 5\n[[scheme]]\nkind = 'solo'\n";

fn sound(distribution: &Distribution) -> bool {
    let Distribution { mean, variance, skew, min, max, quantiles, .. } = distribution;
    [mean.value, mean.low, mean.high, *variance, *skew, *min, *max].iter().all(|x| x.is_finite())
        && quantiles.windows(2).all(|pair| pair[0] <= pair[1])
        && *variance >= 0.0
}

fn check(summary: &Summary, reserve: f64) {
    for scheme in &summary.schemes {
        let mut had = 0.0;
        for account in scheme.accounts.iter().chain(&scheme.groups) {
            assert!(
                sound(&account.work) && sound(&account.income) && sound(&account.drawdown),
                "{account:?}"
            );
            assert!(
                sound(&account.first_pay_seconds) && (0.0..=1.0).contains(&account.never_paid),
                "{account:?}"
            );
            assert!(account.income.min >= 0.0 && account.work.min >= 0.0 && account.drawdown.min >= 0.0);
        }
        for (group, accounts) in scheme.groups.iter().map(|group| {
            (group, scheme.accounts.iter().filter(|account| account.group == group.group).collect::<Vec<_>>())
        }) {
            let of_accounts: f64 = accounts.iter().map(|account| account.income.mean.value).sum();
            assert!((of_accounts - group.income.mean.value).abs() < 1e-6 * (1.0 + of_accounts), "{group:?}");
            had += of_accounts;
        }
        for operator in &scheme.operators {
            assert!(
                sound(&operator.balance) && operator.least.mean.value <= operator.balance.mean.value + 1e-9
            );
            had += operator.balance.mean.value - reserve;
        }
        // Every scheme divides the same blocks.
        let first: f64 = summary.schemes[0].accounts.iter().map(|a| a.income.mean.value).sum::<f64>()
            + summary.schemes[0].operators.iter().map(|o| o.balance.mean.value - reserve).sum::<f64>();
        assert!((had - first).abs() < 1e-6 * (1.0 + first.abs()), "{}: {had} {first}", scheme.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn any_scenario_ends_soundly(
        world in world(),
        miners in miners(),
        fidelity in pick(&["fluid", "round", "share", "net"]),
        rounds in pick(&["pool", "chain"]),
        antithetic in any::<bool>(),
        seed in any::<u32>(),
    ) {
        let text = format!(
            "name = 'any'\nfidelity = '{fidelity}'\nreplications = 4\nblocks = 12\nseed = {seed}\ncheckpoints = 5\n\
             [network]\ninterval_seconds = 600\nsubsidy = '1000000007'\nshares_per_block = 40\n{world}\
             [variance]\nantithetic = {antithetic}\n\
             [[pool]]\nname = 'a'\nreserve_blocks = 2\n[[pool]]\nname = 'b'\nchains = 3\nrounds = '{rounds}'\nreserve_blocks = 2\n\
             [[pool]]\nname = 'c'\nreserve_blocks = 2\n{miners}{SCHEMES}"
        );
        let scenario = Scenario::parse(&text, Path::new("")).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        let summary = run(&scenario, 2, &Silent).unwrap();
        prop_assert_eq!(summary.replications.done, 4);
        check(&summary, 2.0);
        prop_assert!(!serde_json::to_string(&summary).unwrap().contains("null,\"low\""));
    }
}
