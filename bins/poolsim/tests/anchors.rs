//! Every fidelity, strategy and scheme against a number that is known in closed form, with fixed seeds. A deviation of
//! 4.5 standard errors fails.

use poolsim::outcome::{AccountOutcome, Estimate, SchemeOutcome, Summary};
use poolsim::run::{Silent, run};
use poolsim::scenario::Scenario;
use std::path::Path;

/// Standard errors of the intervals: their confidence is that of one.
const ONE_ERROR: f64 = 0.682_689_492;

fn play(text: &str) -> Summary {
    let text = text.replace("@", &format!("[precision]\nconfidence = {ONE_ERROR}\n[network]\ninterval_seconds = 600\nsubsidy = \"5000000000\"\n"));
    let scenario = Scenario::parse(&text, Path::new("")).unwrap_or_else(|error| panic!("{error}"));
    run(&scenario, 2, &Silent).expect("accepted scenarios run")
}

fn near(what: &str, estimate: &Estimate, wanted: f64) {
    let error = 0.5 * (estimate.high - estimate.low);
    let z = (estimate.value - wanted) / error;
    assert!(error > 0.0 && z.abs() < 4.5, "{what}: {} for {wanted}, z {z}", estimate.value);
    // A bound that any number would meet is none.
    assert!(
        error < 0.02 * wanted.abs().max(0.5),
        "{what}: standard error {error} says too little of {wanted}"
    );
}

fn group<'a>(scheme: &'a SchemeOutcome, name: &str) -> &'a AccountOutcome {
    scheme.groups.iter().find(|group| group.name == name).expect("the scenario has this group")
}

const LOYAL: &str = "[[miners]]\nname = 'loyal'\npool = 'p'\npart = 0.1\ncount = 10\n";

fn hopping(fidelity: &str, fallback: &str, ratio: f64, replications: u32, blocks: u32) -> Summary {
    play(&format!(
        "name = 'hop'\nfidelity = '{fidelity}'\nreplications = {replications}\nblocks = {blocks}\nseed = 7\n@shares_per_block = 1000\n\
         [[pool]]\nname = 'p'\n{LOYAL}[[miners]]\nname = 'hop'\npool = 'p'\npart = {}\n\
         [miners.strategy]\nkind = 'hopper'\npools = ['p']\nfallback = '{fallback}'\n[[scheme]]\nkind = 'prop'\n",
        0.1 * ratio
    ))
}

/// `x0 = 0.43482`: a small hopper earns `1 + x0 e^-x0` of the fair pay in all, `1.798297` per share in the pool.
#[test]
fn a_small_hopper_earns_what_is_known_in_fluid() {
    let summary = hopping("fluid", "fair", 1e-6, 400, 500);
    near("in all", &group(&summary.schemes[0], "hop").per_work, 1.281_494);
    let summary = hopping("fluid", "off", 1e-6, 400, 500);
    near("inside", &group(&summary.schemes[0], "hop").per_work, 1.798_297);
}

/// Loyal miners when hoppers bring as much again.
#[test]
fn loyal_miners_lose_what_hoppers_gain() {
    for fidelity in ["fluid", "round", "share"] {
        let summary = hopping(fidelity, "fair", 1.0, 100, 100);
        near(fidelity, &group(&summary.schemes[0], "loyal").per_work, 0.829_13);
    }
}

/// What a hopper gets for a share inside does not depend on how many hop with him; the grain of a thousand shares per
/// block hardly shows.
#[test]
fn a_hopper_earns_the_same_when_shares_are_counted_and_drawn() {
    for fidelity in ["round", "share"] {
        let summary = hopping(fidelity, "off", 0.05, 200, 100);
        near(fidelity, &group(&summary.schemes[0], "hop").per_work, 1.798_297);
    }
}

/// The best of several pools, with and without somewhere else to go.
#[test]
fn more_pools_make_hopping_better() {
    for (pools, fallback, wanted) in
        [(2, true, 1.5159), (3, true, 1.7140), (3, false, 1.6479), (5, false, 2.0118)]
    {
        let pool = |i| format!("[[pool]]\nname = 'p{i}'\n");
        let loyal = |i| format!("[[miners]]\nname = 'loyal{i}'\npool = 'p{i}'\npart = 0.1\n");
        let strategy = if fallback { "hopper" } else { "youngest" };
        let summary = play(&format!(
            "name = 'hop'\nfidelity = 'fluid'\nreplications = 200\nblocks = 500\nseed = 11\n@{}{}\
             [[miners]]\nname = 'hop'\npool = 'p0'\npart = 1e-7\n[miners.strategy]\nkind = '{strategy}'\n\
             [[scheme]]\nkind = 'prop'\n",
            (0..pools).map(pool).collect::<String>(),
            (0..pools).map(loyal).collect::<String>(),
        ));
        let hop = &group(&summary.schemes[0], "hop").per_work;
        // Changing only for a round that is younger by a hundredth of a block costs a little.
        assert!(
            hop.value < wanted * 1.01 && hop.value > wanted * 0.985,
            "{pools} {fallback}: {hop:?} for {wanted}"
        );
    }
}

/// Sixteen chains with rounds of their own: always on the youngest is worth `16 ln 16 / 15`.
#[test]
fn chains_that_pay_apart_can_be_hopped() {
    let summary = play(&format!(
        "name = 'chains'\nfidelity = 'fluid'\nreplications = 60\nblocks = 1000\nseed = 3\n@\
         [[pool]]\nname = 'p'\nchains = 16\nrounds = 'chain'\n{LOYAL}\
         [[miners]]\nname = 'hop'\npool = 'p'\npart = 1e-7\n[miners.strategy]\nkind = 'chain-hop'\n\
         [[scheme]]\nkind = 'prop'\n[[scheme]]\nkind = 'pps'\n"
    ));
    let (hop, wanted) = (&group(&summary.schemes[0], "hop").per_work, 2.957);
    assert!(hop.value > wanted * 0.97 && hop.value < wanted * 1.01, "{hop:?}");
    assert!((group(&summary.schemes[1], "hop").per_work.value - 1.0).abs() < 1e-9);
}

/// PPLNS, exponential windows and the double geometric method pay a hopper what is fair.
#[test]
fn fair_schemes_give_hoppers_nothing() {
    for fidelity in ["fluid", "share"] {
        let summary = play(&format!(
            "name = 'fair'\nfidelity = '{fidelity}'\nreplications = 60\nblocks = 300\nseed = 5\n@shares_per_block = 200\n\
             [[pool]]\nname = 'p'\n{LOYAL}[[miners]]\nname = 'hop'\npool = 'p'\npart = 0.1\n\
             [miners.strategy]\nkind = 'hopper'\nfallback = 'off'\n\
             [[scheme]]\nkind = 'pplns'\nwindow = '2'\nunderfilled = 'operator-keeps'\n\
             [[scheme]]\nkind = 'exponential'\nwindow = '1'\nunderfilled = 'operator-keeps'\n\
             [[scheme]]\nkind = 'double-geometric'\naverage_fee_bps = 1000\ncarry_over_bps = 8000\n\
             [[scheme]]\nkind = 'geometric'\naverage_fee_bps = 1000\n[[scheme]]\nkind = 'tides'\nblocks = 2\n"
        ));
        // The first and last windows are not whole: two blocks of three hundred.
        for (scheme, wanted, slack) in
            [(0, 1.0, 0.01), (1, 1.0, 0.01), (2, 0.9, 0.01), (3, 0.9, 0.01), (4, 1.0, 0.01)]
        {
            let scheme = &summary.schemes[scheme];
            for name in ["hop", "loyal"] {
                let pay = &group(scheme, name).per_work;
                let error = 0.5 * (pay.high - pay.low);
                assert!(
                    (pay.value - wanted).abs() < slack + 4.5 * error,
                    "{fidelity} {} {name}: {pay:?}",
                    scheme.name
                );
                assert!(error < 0.02);
            }
        }
    }
}

/// The mean pay of a share by the age of its round is `e^x E1(x)` under PROP and level under fair schemes.
#[test]
fn pay_by_age_has_its_known_shape() {
    for fidelity in ["fluid", "share"] {
        let summary = play(&format!(
            "name = 'age'\nfidelity = '{fidelity}'\nreplications = 60\nblocks = 300\nseed = 2\n@shares_per_block = 100\n\
             [[pool]]\nname = 'p'\n{LOYAL}[[scheme]]\nkind = 'prop'\n[[scheme]]\nkind = 'pplns'\nwindow = '3'\n\
             [[scheme]]\nkind = 'exponential'\nwindow = '2'\n\
             [[scheme]]\nkind = 'double-geometric'\naverage_fee_bps = 1000\ncarry_over_bps = 8000\n"
        ));
        // f(0.525), f(1.025), f(2.025) by series.
        for (bin, wanted) in [(10, 0.898_12), (20, 0.587_46), (40, 0.358_30)] {
            let point = summary.schemes[0].by_age[bin];
            assert!((point.age - (bin as f64 + 0.5) * 0.05).abs() < 1e-9);
            near(&format!("{fidelity} prop at {}", point.age), &point.value, wanted);
        }
        for (scheme, wanted) in [(1, 1.0), (2, 1.0), (3, 0.9)] {
            for bin in [0, 10, 30] {
                let point = summary.schemes[scheme].by_age[bin];
                near(
                    &format!("{fidelity} {} at {}", summary.schemes[scheme].name, point.age),
                    &point.value,
                    wanted,
                );
            }
        }
    }
}

/// A solo miner with a part `q` of the pool over `t` blocks: variance `q t` and so on.
#[test]
fn variances_of_income_are_the_known_ones() {
    for fidelity in ["fluid", "round", "share"] {
        let summary = play(&format!(
            "name = 'variance'\nfidelity = '{fidelity}'\nreplications = 2000\nblocks = 50\nseed = 4\ncheckpoints = 2\n@shares_per_block = 200\n\
             [[pool]]\nname = 'p'\n[[miners]]\nname = 'm'\npool = 'p'\npart = 0.1\ncount = 10\n\
             [[scheme]]\nkind = 'solo'\n[[scheme]]\nkind = 'prop'\n[[scheme]]\nkind = 'pps'\nfee_bps = 200\n"
        ));
        let (q, t): (f64, f64) = (0.1, 50.0);
        // Where shares are drawn, a round of N adds q (1 - q) / N: the mean of 1 / N is ln(1/p) p / (1 - p).
        let noise = if fidelity == "fluid" { 0.0 } else { q * (1.0 - q) * 200f64.ln() / 199.0 };
        for (scheme, mean, variance) in [(0, q * t, q * t), (1, q * t, (q * q + noise) * t)] {
            let income = &summary.schemes[scheme].accounts[3].income;
            let error = (income.variance / income.count as f64).sqrt();
            assert!(
                (income.mean.value - mean).abs() < 4.5 * error + 0.02 * mean,
                "{fidelity} {scheme}: {income:?}"
            );
            // A variance of 2000 values is known to 3.2 %, and 4.5 times that is 14 %.
            assert!(
                (income.variance / variance - 1.0).abs() < 0.15,
                "{fidelity} {scheme}: {} for {variance}",
                income.variance
            );
        }
        let pps = &summary.schemes[2].accounts[3];
        assert!((pps.per_work.value - 0.98).abs() < 1e-6, "{:?}", pps.per_work);
        // Poisson blocks less steady pay.
        let balance = &summary.schemes[2].operators[0].balance;
        assert!((balance.variance / t - 1.0).abs() < 0.15, "{fidelity}: {balance:?}");
        let error = (balance.variance / balance.count as f64).sqrt();
        assert!((balance.mean.value - 0.02 * t).abs() < 4.5 * error, "{fidelity}: {balance:?}");
    }
}

/// Luck over `n` blocks is gamma, as are the bands beside it.
#[test]
fn luck_follows_its_bands() {
    let summary = play(&format!(
        "name = 'luck'\nfidelity = 'fluid'\nreplications = 4000\nblocks = 300\nseed = 9\ncheckpoints = 1\n@\
         [[pool]]\nname = 'p'\n{LOYAL}[[scheme]]\nkind = 'prop'\n"
    ));
    let luck = &summary.pools[0].luck;
    for point in luck.iter().filter(|point| point.blocks <= 100) {
        assert_eq!(point.count, 4000);
        for (seen, band) in point.quantiles.iter().zip(point.band) {
            assert!((seen / band - 1.0).abs() < 0.12, "{point:?}");
        }
    }
    let rounds = &summary.pools[0].rounds;
    let total: u64 = rounds.iter().sum();
    let first = rounds[0] as f64 / total as f64;
    assert!(
        (first - (1.0 - (-0.1f64).exp())).abs() < 4.5 * (0.095 * 0.905 / total as f64).sqrt() + 1e-3,
        "{first}"
    );
}

/// A fee of five percent and a reserve of ten blocks: ruined at some time with probability 0.3553.
#[test]
fn ruin_is_as_likely_as_the_theory_says() {
    let summary = play(
        "name = 'ruin'\nfidelity = 'fluid'\nreplications = 2500\nblocks = 800\nseed = 12\ncheckpoints = 10\n@\
         [[pool]]\nname = 'p'\nreserve_blocks = 10\n[[miners]]\nname = 'm'\npool = 'p'\npart = 0.1\n\
         [[scheme]]\nkind = 'pps'\nfee_bps = 500\n",
    );
    let operator = &summary.schemes[0].operators[0];
    let last = operator.ruin.last().unwrap();
    // Looked at when blocks come in only, which is when the balance is lowest.
    near("played", &last.probability, 0.3553);
    let ultimate = operator.ultimate.unwrap();
    assert!(
        (ultimate.exact - 0.3553).abs() < 1e-4 && (ultimate.diffusion - 0.3679).abs() < 1e-4,
        "{ultimate:?}"
    );
    assert!((ultimate.sampled.value - 0.3553).abs() < 2e-4, "{ultimate:?}");
    assert!(operator.ruin.windows(2).all(|pair| pair[0].probability.value <= pair[1].probability.value));
}

/// One who withholds a fiftieth of the pool's work earns by PROP what his shares do, and the pool earns less.
#[test]
fn a_withholder_costs_the_pool_his_blocks() {
    for fidelity in ["fluid", "share"] {
        let summary = play(&format!(
            "name = 'withhold'\nfidelity = '{fidelity}'\nreplications = 200\nblocks = 100\nseed = 6\n@shares_per_block = 200\n\
             [[pool]]\nname = 'p'\n[[miners]]\nname = 'loyal'\npool = 'p'\npart = 0.09\n\
             [[miners]]\nname = 'bad'\npool = 'p'\npart = 0.01\n[miners.strategy]\nkind = 'withholder'\n\
             [[scheme]]\nkind = 'pplns'\nwindow = '2'\n"
        ));
        for name in ["loyal", "bad"] {
            let pay = &group(&summary.schemes[0], name).per_work;
            near(&format!("{fidelity} {name}"), pay, 0.9);
        }
        assert!((summary.pools[0].withheld - 0.1).abs() < 0.015, "{}", summary.pools[0].withheld);
    }
}

/// Identities change nothing but rounding, bursts of the same work nothing at all, under PPLNS by units.
#[test]
fn sybils_and_bursts_gain_nothing_under_pplns() {
    let summary = play(
        "name = 'tricks'\nfidelity = 'share'\nreplications = 150\nblocks = 200\nseed = 8\n@shares_per_block = 200\n\
         [[pool]]\nname = 'p'\n[[miners]]\nname = 'loyal'\npool = 'p'\npart = 0.08\ncount = 4\n\
         [[miners]]\nname = 'many'\npool = 'p'\npart = 0.01\n[miners.strategy]\nkind = 'sybil'\nidentities = 10\n\
         [[miners]]\nname = 'burst'\npool = 'p'\npart = 0.01\n[miners.strategy]\nkind = 'burst'\n\
         length_seconds = 10000\nperiod_seconds = 50000\n\
         [[scheme]]\nkind = 'pplns'\nwindow = '2'\nunderfilled = 'operator-keeps'\n",
    );
    assert_eq!(summary.schemes[0].accounts.len(), 6);
    for name in ["many", "burst"] {
        let pay = &group(&summary.schemes[0], name).per_work;
        let error = 0.5 * (pay.high - pay.low);
        assert!((pay.value - 1.0).abs() < 0.01 + 4.5 * error && error < 0.03, "{name}: {pay:?}");
    }
}

/// A halving inside the window: shares `x` before it are worth `x/X + (1 - x/X) h`, so leaving `X` before gains.
#[test]
fn leaving_before_a_halving_pays_under_pplns() {
    // Window 10 blocks of a pool with a tenth of the network: 60 000 seconds.
    let summary = play(
        "name = 'halving'\nfidelity = 'fluid'\nreplications = 800\nblocks = 60\nseed = 8\n@\
         [network.reward_change]\nat_days = 2.083333333333333\nfactor = 0.5\n\
         [[pool]]\nname = 'p'\n[[miners]]\nname = 'stays'\npool = 'p'\npart = 0.1\n\
         [[miners]]\nname = 'leaves'\npool = 'p'\npart = 1e-6\n[miners.strategy]\nkind = 'reward-exit'\nbefore_seconds = 60000\n\
         [[scheme]]\nkind = 'pplns'\nwindow = '10'\nunderfilled = 'operator-keeps'\n",
    );
    // 30 blocks until the change. The leaver works 20 blocks in the pool and 40 outside, all at full worth.
    let leaver = group(&summary.schemes[0], "leaves");
    assert!((leaver.work.mean.value - 20e-5).abs() < 1e-9, "{:?}", leaver.work);
    near("leaver", &leaver.per_work, 1.0);
    // The stayer: shares of the last 10 blocks before it lose a quarter on average, those behind it half; the last 10
    // shares before the end are paid half by the end: (30 - 2.5 + 15 - 2.5) / 60.
    near("stayer", &group(&summary.schemes[0], "stays").per_work, 40.0 / 60.0);
}

/// TIDES pays expired shares again when difficulty rises: whoever stays away before a retarget gains.
#[test]
fn staying_away_before_a_retarget_gains_under_tides() {
    let summary = play(
        "name = 'retarget'\nfidelity = 'fluid'\nreplications = 800\nblocks = 160\nseed = 8\n@\
         [difficulty]\nrule = 'epoch'\nblocks = 400\n[hashrate]\ngrowth_per_day = 0.05\n\
         [[pool]]\nname = 'p'\n[[miners]]\nname = 'stays'\npool = 'p'\npart = 0.1\n\
         [[miners]]\nname = 'hops'\npool = 'p'\npart = 1e-6\n[miners.strategy]\nkind = 'retarget-hop'\navoid_blocks = 40\n\
         [[scheme]]\nkind = 'tides'\nblocks = 8\n[[scheme]]\nkind = 'pplns'\nwindow = '8'\n",
    );
    let gain = |scheme: usize| {
        let pay = |name| group(&summary.schemes[scheme], name).per_work;
        (pay("hops").value - pay("stays").value, pay("stays").high - pay("stays").low)
    };
    let (tides, error) = gain(0);
    let (pplns, _) = gain(1);
    assert!(tides > pplns + 0.002 && pplns.abs() < 0.01, "tides {tides}, pplns {pplns}, error {error}");
}

/// Slushing duty: under PPLNS those who come and go earn the same per work as those who stay.
#[test]
fn duty_cycles_earn_the_same_per_work_under_pplns() {
    for duty in ["cycle", "random"] {
        let summary = play(&format!(
            "name = 'duty'\nfidelity = 'share'\nreplications = 100\nblocks = 200\nseed = 1\n@shares_per_block = 100\n\
             [[pool]]\nname = 'p'\n[[miners]]\nname = 'stays'\npool = 'p'\npart = 0.05\n\
             [[miners]]\nname = 'comes'\npool = 'p'\npart = 0.1\ncount = 5\n[miners.duty]\nkind = '{duty}'\n\
             on_seconds = 40000\noff_seconds = 40000\n\
             [[scheme]]\nkind = 'pplns'\nwindow = '2'\nunderfilled = 'operator-keeps'\n"
        ));
        let comes = group(&summary.schemes[0], "comes");
        let error = 0.5 * (comes.per_work.high - comes.per_work.low);
        assert!((comes.per_work.value - 1.0).abs() < 0.012 + 4.5 * error && error < 0.02, "{comes:?}");
        // Half of the time.
        let expected = 0.5 * 0.1 * summary.horizon_seconds / 600.0;
        assert!(
            (comes.work.mean.value / expected - 1.0).abs() < 0.05,
            "{duty}: {:?} for {expected}",
            comes.work.mean
        );
    }
}

/// The engines and their twins, paid for the same rounds: blocks of both come from the same draws.
#[test]
fn engines_and_twins_agree() {
    let text = |fidelity| {
        format!(
            "name = 'twins'\nfidelity = '{fidelity}'\nreplications = 20\nblocks = 80\nseed = 21\n@shares_per_block = 1000\n\
             [fees]\nprocess = 'independent'\nmean = 0.2\nvariation = 0.5\n\
             [[pool]]\nname = 'p'\n{LOYAL}\
             [[scheme]]\nkind = 'prop'\nfee_bps = 100\n[[scheme]]\nkind = 'pplns'\nwindow = '4'\n\
             [[scheme]]\nkind = 'exponential'\nwindow = '3'\n[[scheme]]\nkind = 'double-geometric'\n\
             [[scheme]]\nkind = 'geometric'\n[[scheme]]\nkind = 'fpps'\nblocks = 20\ntrim = 2\nfee_bps = 300\n\
             [[scheme]]\nkind = 'pps-plus'\nwindow = '4'\n[[scheme]]\nkind = 'tides'\n\
             [[scheme]]\nname = 'mix'\nkind = 'mixed'\npart_bps = 500\n[scheme.first]\nkind = 'solo'\n[scheme.rest]\nkind = 'pplns'\nwindow = '2'\n"
        )
    };
    let (round, share) = (play(&text("round")), play(&text("share")));
    for (round, share) in round.schemes.iter().zip(&share.schemes) {
        let (twin, engine) = (&round.groups[0].income.mean, &share.groups[0].income.mean);
        assert!((twin.value / engine.value - 1.0).abs() < 3e-3, "{}: {twin:?} {engine:?}", round.name);
        let (twin, engine) = (&round.operators[0].balance.mean, &share.operators[0].balance.mean);
        assert!((twin.value - engine.value).abs() < 0.1, "{}: {twin:?} {engine:?}", round.name);
    }
}

/// Whatever the scheme, the rounding and the fidelity: what blocks brought in is what miners and operators have.
#[test]
fn no_money_is_made_or_lost() {
    let kinds = [
        "kind = 'prop'\nrounding = 'largest-remainder'\nfinder_bonus_bps = 50",
        "kind = 'solo'\nrounding = 'cumulative-floor'",
        "kind = 'pplns'\nwindow = '2'\nedge = 'hop-exact'",
        "name = 'carry'\nkind = 'pplns'\nwindow = '3'\nunderfilled = 'operator-keeps'\nrounding = 'floor-carry'",
        "kind = 'exponential'\nwindow = '2'",
        "kind = 'geometric'",
        "kind = 'double-geometric'",
        "kind = 'tides'",
        "kind = 'pps'",
        "kind = 'fpps'\nblocks = 10\ntrim = 1",
        "kind = 'pps-plus'\nwindow = '2'",
        "kind = 'mixed'\n[scheme.first]\nkind = 'solo'\n[scheme.rest]\nkind = 'prop'",
    ];
    let schemes: String = kinds.iter().map(|kind| format!("[[scheme]]\nfee_bps = 150\n{kind}\n")).collect();
    for fidelity in ["fluid", "round", "share", "net"] {
        let summary = play(&format!(
            "name = 'money'\nfidelity = '{fidelity}'\nreplications = 8\nblocks = 40\nseed = 3\n@shares_per_block = 50\n\
             [net]\npropagation_seconds = 40\n[[pool]]\nname = 'p'\nreserve_blocks = 7\n{LOYAL}{schemes}"
        ));
        let pool = &summary.pools[0];
        let brought = pool.found.mean.value * (1.0 - pool.lost);
        for scheme in &summary.schemes {
            let miners: f64 = scheme.accounts.iter().map(|account| account.income.mean.value).sum();
            let had = miners + scheme.operators[0].balance.mean.value - 7.0;
            assert!((had - brought).abs() < 1e-6 * brought, "{fidelity} {}: {had} of {brought}", scheme.name);
            assert!(miners > 0.0);
        }
    }
}

/// A chain with propagation `D` and interval `T`: about `D / T` of blocks have a sibling, and half of those lose.
#[test]
fn forks_cost_a_small_pool_its_part_of_them() {
    let net = |conflicts: &str| {
        play(&format!(
            "name = 'net'\nfidelity = 'net'\nreplications = 40\nblocks = 400\nseed = 3\n@shares_per_block = 50\n\
             [net]\npropagation_seconds = 30\n{conflicts}\n[[pool]]\nname = 'p'\n{LOYAL}\
             [[scheme]]\nkind = 'pplns'\nwindow = '2'\n"
        ))
    };
    let orphan = net("conflicts = 'orphan'");
    let lost = orphan.pools[0].lost;
    assert!((0.035..0.055).contains(&lost), "{lost}");
    let pay = &group(&orphan.schemes[0], "loyal").per_work;
    near("orphans", pay, 1.0 - lost);
    let uncle = net("conflicts = 'uncle'\nvalue = 0.5");
    assert_eq!(uncle.pools[0].lost, 0.0);
    near("uncles", &group(&uncle.schemes[0], "loyal").per_work, 1.0 - 0.5 * uncle.pools[0].uncles);
    // Of k = 0 in a DAG everyone with a neighbour is red, and its reward goes to someone else: to the pool on a par.
    let dag = net("conflicts = 'dag'\nk = 0");
    let red = dag.pools[0].red;
    let part = 0.1f64;
    let expected = 1.0 - (-2.0 * 30.0 / 600.0 * (1.0 - part)).exp();
    assert!((red - expected).abs() < 0.01, "{red} for {expected}");
    near("reds", &group(&dag.schemes[0], "loyal").per_work, 1.0);
}

/// Shares found within two latencies after a block are stale: `2 L / T` of them.
#[test]
fn latency_makes_shares_stale() {
    let summary = play(&format!(
        "name = 'late'\nfidelity = 'net'\nreplications = 20\nblocks = 200\nseed = 3\n@shares_per_block = 200\n\
         [net]\nlatency_seconds = 6\n[[pool]]\nname = 'p'\n{LOYAL}\
         [[miners]]\nname = 'far'\npool = 'p'\npart = 0.1\nlatency_seconds = 30\n[[scheme]]\nkind = 'pps'\n"
    ));
    for (name, latency) in [("loyal", 6.0), ("far", 30.0)] {
        let pay = &group(&summary.schemes[0], name).per_work;
        // Exponential intervals: 1 - e^(-2L/T) of shares are found that soon after a block, blocks excepted.
        let expected = (-2.0f64 * latency / 600.0).exp();
        assert!((pay.value - expected).abs() < 0.004, "{name}: {pay:?} for {expected}");
    }
}
