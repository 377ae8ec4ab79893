//! What a share, a round and a replication cost, whole: draws, strategies, schemes, payouts and notes.
//!
//! The element of a throughput is a share where shares are drawn, each by one draw from an alias table over a hundred
//! accounts, heard by the production engine in runs, and counted; and a round elsewhere. One thread.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use poolsim::fidelity::{fluid, round, share};
use poolsim::scenario::Scenario;
use poolsim::strategy::{Grain, Plan};
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

fn scenario(fidelity: &str, blocks: u64, shares_per_block: u64, rest: &str) -> Scenario {
    let text = format!(
        "name = 'bench'\nfidelity = '{fidelity}'\nreplications = 1\nblocks = {blocks}\ncheckpoints = 1\n\
         [network]\ninterval_seconds = 600\nsubsidy = '5000000000'\nshares_per_block = {shares_per_block}\n\
         [[pool]]\nname = 'p'\n[[miners]]\nname = 'm'\npart = 0.1\ncount = 100\nspread = 'lognormal'\nsigma = 1.0\n{rest}"
    );
    Scenario::parse(&text, Path::new("")).expect("the scenario is valid")
}

fn shares(c: &mut Criterion) {
    let mut group = c.benchmark_group("share");
    group.measurement_time(Duration::from_secs(5)).sample_size(10);
    for (name, scheme) in [
        ("PROP", "kind = 'prop'"),
        ("PPLNS 2", "kind = 'pplns'\nwindow = '2'"),
        ("EXP 2", "kind = 'exponential'\nwindow = '2'"),
        ("PPS", "kind = 'pps'"),
    ] {
        for per_block in [1_000, 100_000] {
            let blocks = 20_000_000 / per_block;
            let scenario = scenario("share", blocks, per_block, &format!("[[scheme]]\n{scheme}\n"));
            let plan = Plan::new(&scenario, Grain::Identities);
            group.throughput(Throughput::Elements(blocks * per_block));
            group.bench_function(format!("{name}, {per_block} per block"), |b| {
                b.iter(|| share::replication(&plan, black_box(300)).expect("engines take what is drawn"));
            });
        }
    }
}

fn rounds(c: &mut Criterion) {
    let mut group = c.benchmark_group("round");
    group.measurement_time(Duration::from_secs(5)).sample_size(10);
    let hopper = "[[miners]]\nname = 'h'\npart = 0.05\n[miners.strategy]\nkind = 'hopper'\n[[scheme]]\nkind = 'prop'\n";
    let scenario_fluid = scenario("fluid", 2_000_000, 1_000, hopper);
    let plan = Plan::new(&scenario_fluid, Grain::Groups);
    group.throughput(Throughput::Elements(2_000_000));
    group
        .bench_function("fluid PROP with a hopper", |b| b.iter(|| fluid::replication(&plan, black_box(300))));
    group.throughput(Throughput::Elements(2_000_000));
    group.bench_function("the same, step by step", |b| b.iter(|| fluid::stepwise(&plan, black_box(300))));
    let counted = scenario("round", 20_000, 1_000, "[[scheme]]\nkind = 'prop'\n");
    let plan = Plan::new(&counted, Grain::Accounts);
    group.throughput(Throughput::Elements(20_000));
    group.bench_function("counted PROP of 100 accounts", |b| {
        b.iter(|| round::replication(&plan, black_box(300)))
    });
}

criterion_group!(benches, shares, rounds);
criterion_main!(benches);
