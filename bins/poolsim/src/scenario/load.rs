//! From a document to a [`Scenario`].
//!
//! Every key is asked for exactly once; what nobody asked for is a mistake. Numbers are checked where they are read,
//! and what only shows when several are looked at together is checked at the end, at the key that has to change.

use super::reader::{Reader, Section};
use super::{
    BadScenario, Conflicts, DifficultyRule, Duty, Fallback, FeeProcess, Fidelity, Game, Group,
    HashrateProcess, NamedScheme, NetRules, Network, Pool, Precision, RewardChange, Scenario, Strategy,
    Variance,
};
use crate::population::Spread;
use pool_core::units::{Amount, BasisPoints, Units};
use pool_rewards::scheme::{BlockValue, Fees, Rule, SchemeParams, Underfilled, WindowEdge, parse_units};
use pool_rewards::split::Rounding;
use std::collections::BTreeMap;
use std::path::Path;

const DAY: f64 = 86_400.0;
/// More accounts than this in all groups together are refused: each has a row in the summary.
const ACCOUNTS_MAX: usize = 100_000;
const POSITIVE: &str = "a number above zero";
const NOT_NEGATIVE: &str = "a number, zero or above";

fn positive(x: f64) -> bool {
    x > 0.0
}

fn not_negative(x: f64) -> bool {
    x >= 0.0
}

fn part(x: f64) -> bool {
    (0.0..=1.0).contains(&x)
}

pub(super) fn scenario(text: &str, folder: &Path) -> Result<Scenario, BadScenario> {
    let reader = Reader::new(text);
    let document = reader.document();
    let root = Section::root(&reader, &document);
    let scenario = read(&root, text, folder);
    root.finish();
    let mistakes = reader.into_mistakes();
    match scenario {
        Some(scenario) if mistakes.is_empty() => Ok(scenario),
        _ => Err(BadScenario { mistakes }),
    }
}

/// `None` only where a mistake was reported.
fn read(root: &Section<'_, '_>, text: &str, folder: &Path) -> Option<Scenario> {
    let name = root.required("name", "what to call this scenario", plain);
    let seed = root.number("seed", 0..=i64::MAX as u64, 1);
    let fidelity = root.required("fidelity", "fluid, round, share or net", |text| {
        choice(text, &[Fidelity::Fluid, Fidelity::Round, Fidelity::Share, Fidelity::Net], |f| f.name())
    });
    let replications = root.number("replications", 1..=1_000_000_000, 100);
    let checkpoints = u32::try_from(root.number("checkpoints", 1..=1_000, 50)).unwrap_or(1);
    let network = network(&root.section("network"));
    let difficulty = difficulty(&root.section("difficulty"));
    let hashrate = hashrate(&root.section("hashrate"));
    let fees = fees(&root.section("fees"), folder);
    let net = net(&root.section("net"));
    let schemes = schemes(root, network.as_ref().map_or(Amount::new(1), |network| network.subsidy));
    let pools = pools(root, &schemes);
    let miners = miners(root, &pools, &net, seed, folder);
    let precision = precision(&root.section("precision"));
    let variance = variance(&root.section("variance"), replications);
    let game = root.section("game");
    let game = game.is_present().then(|| {
        let rounds = u32::try_from(game.number("rounds", 1..=100_000, 1_000)).unwrap_or(1);
        let played = Game { rounds, blocks: game.number("blocks", 0..=1_000_000_000, 10_000) };
        game.known();
        played
    });
    if game.is_some() && pools.len() < 2 {
        root.mistake("game", "needs at least two pools");
    }
    let total: f64 = miners.iter().map(Group::part).sum();
    let horizon_seconds = match (root.has("days"), root.has("blocks")) {
        (true, true) => {
            let _ =
                (root.real("days", 1.0, POSITIVE, positive), root.real("blocks", 1.0, POSITIVE, positive));
            root.mistake("blocks", "says the horizon a second time: give days or blocks");
            f64::NAN
        }
        (true, false) => DAY * root.real("days", f64::NAN, POSITIVE, positive),
        (false, _) => {
            let blocks = root.needed("blocks", "the horizon, as blocks of all pools (or days)", positive);
            blocks / total * network.as_ref().map_or(f64::NAN, |network| network.interval_seconds)
        }
    };
    let network = network?;
    together(root, &network, &difficulty, &pools, &miners, horizon_seconds);
    Some(Scenario {
        text: text.to_owned(),
        name: name?,
        seed,
        fidelity: fidelity?,
        replications,
        horizon_seconds,
        checkpoints,
        network,
        difficulty,
        hashrate,
        fees: fees?,
        net,
        pools,
        miners,
        schemes,
        precision,
        variance,
        game,
    })
}

/// What several keys must agree on.
fn together(
    root: &Section<'_, '_>,
    network: &Network,
    difficulty: &DifficultyRule,
    pools: &[Pool],
    miners: &[Group],
    horizon_seconds: f64,
) {
    let total: f64 = miners.iter().map(Group::part).sum();
    if total > 1.0 + 1e-9 {
        root.mistake("miners", format!("have {total} of the network together, must be at most 1"));
    }
    let work = horizon_seconds / network.interval_seconds * total;
    if work > 1e9 {
        root.mistake(
            if root.has("days") { "days" } else { "blocks" },
            format!("asks for {work:.3e} blocks per replication, must be at most 1e9"),
        );
    }
    for group in miners {
        let burst = match group.strategy {
            Strategy::Burst { length_seconds, period_seconds } => period_seconds / length_seconds,
            _ => 1.0,
        };
        if group.part() * burst > 1.0 + 1e-9 {
            root.mistake(
                "miners",
                format!("group {} has more than the whole network in its bursts", group.name),
            );
        }
        if matches!(group.strategy, Strategy::ChainHop)
            && !pools.get(group.pool).is_some_and(|pool| pool.per_chain)
        {
            root.mistake(
                "miners",
                format!(
                    "group {} hops between chains, but its pool does not pay them apart (rounds = \"chain\")",
                    group.name
                ),
            );
        }
        if matches!(group.strategy, Strategy::RetargetHop { .. })
            && !matches!(difficulty, DifficultyRule::Epoch { .. })
        {
            root.mistake(
                "miners",
                format!("group {} hops at retargets, but difficulty.rule is not epoch", group.name),
            );
        }
        if matches!(group.strategy, Strategy::RewardExit { .. }) && network.reward_change.is_none() {
            root.mistake(
                "miners",
                format!(
                    "group {} waits for a reward change, but network.reward_change is missing",
                    group.name
                ),
            );
        }
    }
}

fn plain(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn choice<T: Copy>(text: &str, all: &[T], name: impl Fn(&T) -> &'static str) -> Result<T, String> {
    all.iter().find(|one| name(one) == text).copied().ok_or_else(|| {
        let names: Vec<_> = all.iter().map(name).collect();
        format!("is {text:?}, must be one of {}", names.join(", "))
    })
}

/// A name of several, the first by default.
fn one_of(section: &Section<'_, '_>, key: &'static str, names: &[&'static str]) -> &'static str {
    let first = names[0];
    section.parsed(key, |text| choice(text, names, |name| name)).unwrap_or(first)
}

fn network(section: &Section<'_, '_>) -> Option<Network> {
    let interval_seconds =
        section.needed("interval_seconds", "seconds between blocks of the network", positive);
    let subsidy = section.required("subsidy", "smallest units of a block", |text| {
        text.parse::<Amount>().map_err(|error| error.to_string()).and_then(|amount| {
            if (1..=1 << 100).contains(&amount.get()) {
                Ok(amount)
            } else {
                Err("must be within 1 and 2^100".to_owned())
            }
        })
    });
    let shares_per_block = section.number("shares_per_block", 1..=1 << 50, 10_000);
    let change = section.section("reward_change");
    let reward_change = change.is_present().then(|| RewardChange {
        at_seconds: DAY * change.needed("at_days", "when the reward changes", not_negative),
        factor: change
            .needed("factor", "what the reward is multiplied by, up to 100", |x| (0.0..=100.0).contains(&x)),
    });
    change.known();
    section.known();
    Some(Network { interval_seconds, subsidy: subsidy?, shares_per_block, reward_change })
}

fn difficulty(section: &Section<'_, '_>) -> DifficultyRule {
    let rule = match one_of(section, "rule", &["constant", "epoch", "window", "asert"]) {
        "epoch" => DifficultyRule::Epoch {
            blocks: u32::try_from(section.number("blocks", 1..=1_000_000, 2_016)).unwrap_or(1),
            clamp: section.real("clamp", 4.0, "a number above 1", |x| x > 1.0),
        },
        "window" => DifficultyRule::Window {
            blocks: u32::try_from(section.number("blocks", 2..=1_000_000, 144)).unwrap_or(2),
        },
        "asert" => DifficultyRule::Asert {
            half_life_seconds: section.needed(
                "half_life_seconds",
                "seconds of delay that halve it",
                positive,
            ),
        },
        _ => DifficultyRule::Constant,
    };
    section.known();
    rule
}

fn hashrate(section: &Section<'_, '_>) -> HashrateProcess {
    let wanted = "a rate between -10 and 10 per day";
    let process = HashrateProcess {
        growth_per_day: section.real("growth_per_day", 0.0, wanted, |x| x.abs() <= 10.0),
        volatility_per_sqrt_day: section
            .real("volatility_per_sqrt_day", 0.0, "between 0 and 10", |x| (0.0..=10.0).contains(&x)),
    };
    section.known();
    process
}

fn fees(section: &Section<'_, '_>, folder: &Path) -> Option<FeeProcess> {
    let mean = || section.needed("mean", "the mean, as a part of the subsidy", not_negative);
    let variation = || section.needed("variation", "standard deviation over mean", not_negative);
    let process = match one_of(section, "process", &["none", "independent", "ar1", "spikes", "csv"]) {
        "independent" => FeeProcess::Independent { mean: mean(), variation: variation() },
        "ar1" => FeeProcess::Autoregressive {
            mean: mean(),
            variation: variation(),
            correlation: section.needed("correlation", "between -1 and 1", |x| x.abs() < 1.0),
        },
        "spikes" => FeeProcess::Spikes {
            mean: mean(),
            chance: section.needed("chance", "a probability", part),
            size: section.needed("size", "a spike, as a part of the subsidy", not_negative),
        },
        "csv" => {
            let parts =
                section.required("file", "a file with one number per line", |name| column(folder, name));
            section.known();
            return Some(FeeProcess::Replay { parts: parts? });
        }
        _ => FeeProcess::None,
    };
    section.known();
    Some(process)
}

/// The first column of a CSV file: numbers, zero or above. A first line that is no number is a heading.
fn column(folder: &Path, name: &str) -> Result<Vec<f64>, String> {
    let text =
        std::fs::read_to_string(folder.join(name)).map_err(|error| format!("cannot read {name}: {error}"))?;
    let mut numbers = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let field = line.split(',').next().unwrap_or("").trim();
        if field.is_empty() {
            continue;
        }
        match field.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => numbers.push(number),
            Err(_) if index == 0 => {}
            _ => return Err(format!("{name}, line {}: {field:?} is not a number, zero or above", index + 1)),
        }
    }
    if numbers.is_empty() { Err(format!("{name} has no number")) } else { Ok(numbers) }
}

fn net(section: &Section<'_, '_>) -> NetRules {
    let conflicts = match one_of(section, "conflicts", &["orphan", "uncle", "dag"]) {
        "uncle" => {
            Conflicts::Uncle { value: section.needed("value", "an uncle's part of the subsidy", part) }
        }
        "dag" => Conflicts::Dag { k: u32::try_from(section.number("k", 0..=1_000_000, 18)).unwrap_or(0) },
        _ => Conflicts::Orphan,
    };
    let rules = NetRules {
        propagation_seconds: section.real("propagation_seconds", 0.0, NOT_NEGATIVE, not_negative),
        latency_seconds: section.real("latency_seconds", 0.0, NOT_NEGATIVE, not_negative),
        conflicts,
    };
    section.known();
    rules
}

fn precision(section: &Section<'_, '_>) -> Precision {
    let confidence = section.real("confidence", 0.95, "between 0.5 and 1", |x| (0.5..1.0).contains(&x));
    let half_width = section.has("half_width").then(|| section.real("half_width", 1.0, POSITIVE, positive));
    section.known();
    Precision { confidence, half_width }
}

fn variance(section: &Section<'_, '_>, replications: u64) -> Variance {
    let antithetic = section.flag("antithetic", false);
    if antithetic && replications % 2 == 1 {
        section.mistake("antithetic", "needs an even number of replications");
    }
    let variance = Variance {
        antithetic,
        control: section.flag("control", true),
        ruin_paths: section.number("ruin_paths", 0..=100_000_000, 10_000),
    };
    section.known();
    variance
}

fn pools(root: &Section<'_, '_>, schemes: &[NamedScheme]) -> Vec<Pool> {
    let mut pools: Vec<Pool> = Vec::new();
    for section in root.sections("pool") {
        let name = section.required("name", "what to call this pool", plain).unwrap_or_default();
        if pools.iter().any(|pool| pool.name == name) && !name.is_empty() {
            section.mistake("name", format!("{name:?} is the name of another pool"));
        }
        let chains = u32::try_from(section.number("chains", 1..=1_024, 1)).unwrap_or(1);
        let per_chain = one_of(&section, "rounds", &["pool", "chain"]) == "chain";
        let scheme = section.parsed("scheme", |text| index(text, schemes, |scheme| &scheme.name, "scheme"));
        let reserve_blocks = section.real("reserve_blocks", 0.0, NOT_NEGATIVE, not_negative);
        section.finish();
        pools.push(Pool { name, chains, per_chain, scheme, reserve_blocks });
    }
    if pools.is_empty() {
        root.mistake("pool", "is missing: give at least one [[pool]]");
    }
    if !schemes.is_empty()
        && !pools.is_empty()
        && schemes.len() > 1
        && pools.iter().all(|pool| pool.scheme.is_some())
    {
        root.mistake(
            "pool",
            "every pool has its own scheme, so there is nothing to compare: leave one pool without",
        );
    }
    pools
}

/// The index of a name.
fn index<T>(text: &str, all: &[T], name: impl Fn(&T) -> &str, what: &str) -> Result<usize, String> {
    all.iter().position(|one| name(one) == text).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(&name).collect();
        format!("no {what} is called {text:?}; there are: {}", names.join(", "))
    })
}

fn miners(root: &Section<'_, '_>, pools: &[Pool], net: &NetRules, seed: u64, folder: &Path) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (number, section) in root.sections("miners").into_iter().enumerate() {
        let name = section.required("name", "what to call these miners", plain).unwrap_or_default();
        if groups.iter().any(|group| group.name == name) && !name.is_empty() {
            section.mistake("name", format!("{name:?} is the name of another group"));
        }
        let pool = pool_of(&section, "pool", pools).unwrap_or(0);
        let total = section
            .needed("part", "their part of the network, above 0 and at most 1", |x| x > 0.0 && x <= 1.0);
        let mut count = usize::try_from(section.number("count", 1..=ACCOUNTS_MAX as u64, 1)).unwrap_or(1);
        let spread = match one_of(&section, "spread", &["equal", "lognormal", "pareto", "csv"]) {
            "lognormal" => Spread::Lognormal {
                sigma: section.needed("sigma", "above 0, at most 10", |x| x > 0.0 && x <= 10.0),
            },
            "pareto" => Spread::Pareto { alpha: section.needed("alpha", "above 0.1", |x| x > 0.1) },
            "csv" => {
                let ratios = section.required("file", "a file with one hashrate per line", |name| {
                    let ratios = column(folder, name)?;
                    if ratios.contains(&0.0) {
                        Err(format!("{name}: a hashrate is zero"))
                    } else {
                        Ok(ratios)
                    }
                });
                count = ratios.as_ref().map_or(count, Vec::len);
                Spread::Given(ratios.unwrap_or_else(|| vec![1.0]))
            }
            _ => Spread::Equal,
        };
        let strategy = strategy(&section.section("strategy"), pools);
        let duty = duty(&section.section("duty"));
        let latency_seconds =
            section.real("latency_seconds", net.latency_seconds, NOT_NEGATIVE, not_negative);
        let total = if total.is_finite() { total } else { 1e-9 };
        groups.push(Group {
            name,
            pool,
            parts: spread.parts(total, count, seed, number as u64),
            strategy,
            duty,
            latency_seconds,
        });
        section.finish();
    }
    if groups.is_empty() {
        root.mistake("miners", "is missing: give at least one [[miners]]");
    }
    let identities = |group: &Group| match group.strategy {
        Strategy::Sybil { identities } => group.parts.len() * identities as usize,
        _ => group.parts.len(),
    };
    if groups.iter().map(identities).sum::<usize>() > ACCOUNTS_MAX {
        root.mistake("miners", format!("are more than {ACCOUNTS_MAX} accounts"));
    }
    groups
}

fn pool_of(section: &Section<'_, '_>, key: &'static str, pools: &[Pool]) -> Option<usize> {
    if section.has(key) || pools.len() > 1 {
        section.required(key, "the name of a pool", |text| index(text, pools, |pool| &pool.name, "pool"))
    } else {
        let _ = section.text(key);
        Some(0)
    }
}

fn strategy(section: &Section<'_, '_>, pools: &[Pool]) -> Strategy {
    let all = || {
        section
            .list("pools", |text| index(text, pools, |pool| &pool.name, "pool"))
            .unwrap_or_else(|| (0..pools.len()).collect())
    };
    let fallback = || {
        section
            .parsed("fallback", |text| match text {
                "fair" => Ok(Fallback::Fair),
                "off" => Ok(Fallback::Off),
                name => index(name, pools, |pool| &pool.name, "pool")
                    .map(Fallback::Pool)
                    .map_err(|error| format!("{error} (or \"fair\" or \"off\")")),
            })
            .unwrap_or(Fallback::Fair)
    };
    let names = [
        "honest",
        "hopper",
        "youngest",
        "chain-hop",
        "retarget-hop",
        "reward-exit",
        "withholder",
        "burst",
        "sybil",
    ];
    let strategy = match one_of(section, "kind", &names) {
        "hopper" => {
            let pools = all();
            if pools.is_empty() {
                section.mistake("pools", "must name at least one pool");
            }
            // Where a share of a round becomes worth less than a fair one.
            let threshold = section.real("threshold", 0.434_818_204_384_903_76, POSITIVE, positive);
            Strategy::Hopper { pools, threshold, fallback: fallback() }
        }
        "youngest" => {
            let pools = all();
            if pools.len() < 2 {
                section.mistake("pools", "must name at least two pools");
            }
            Strategy::Youngest { pools }
        }
        "chain-hop" => Strategy::ChainHop,
        "retarget-hop" => Strategy::RetargetHop {
            avoid_blocks: section.needed("avoid_blocks", "network blocks before a retarget", not_negative),
            fallback: fallback(),
        },
        "reward-exit" => Strategy::RewardExit {
            before_seconds: section.needed(
                "before_seconds",
                "seconds before the reward changes",
                not_negative,
            ),
            fallback: fallback(),
        },
        "withholder" => Strategy::Withholder { part: section.real("part", 1.0, "between 0 and 1", part) },
        "burst" => {
            let length_seconds = section.needed("length_seconds", POSITIVE, positive);
            let period_seconds = section.needed("period_seconds", "longer than a burst", |x| {
                x > length_seconds || length_seconds.is_nan()
            });
            Strategy::Burst { length_seconds, period_seconds }
        }
        "sybil" => Strategy::Sybil {
            identities: u32::try_from(section.number("identities", 2..=10_000, 2)).unwrap_or(2),
        },
        _ => Strategy::Honest,
    };
    section.known();
    strategy
}

fn duty(section: &Section<'_, '_>) -> Duty {
    let on = || section.needed("on_seconds", POSITIVE, positive);
    let off = || section.needed("off_seconds", POSITIVE, positive);
    let duty = match one_of(section, "kind", &["always", "cycle", "random"]) {
        "cycle" => Duty::Cycle { on_seconds: on(), off_seconds: off() },
        "random" => Duty::Random { on_seconds: on(), off_seconds: off() },
        _ => Duty::Always,
    };
    section.known();
    duty
}

fn schemes(root: &Section<'_, '_>, subsidy: Amount) -> Vec<NamedScheme> {
    let mut schemes: Vec<NamedScheme> = Vec::new();
    for section in root.sections("scheme") {
        let Some(rule) = rule(&section, subsidy) else {
            // Its other keys are still looked at.
            let _ = (section.text("name"), fees_of(&section), rounding(&section));
            section.finish();
            continue;
        };
        let name = section.parsed("name", plain).unwrap_or_else(|| rule.name().to_owned());
        let params = SchemeParams { rule, fees: fees_of(&section), rounding: rounding(&section) };
        if let Err(error) = params.validate() {
            section.mistake("kind", error.to_string());
        }
        if schemes.iter().any(|scheme| scheme.name == name) {
            section.mistake(
                "name",
                format!("{name:?} is the name of another scheme: give it a name of its own"),
            );
        }
        section.finish();
        schemes.push(NamedScheme { name, params });
    }
    if schemes.is_empty() {
        root.mistake("scheme", "is missing: give at least one [[scheme]]");
    }
    schemes
}

fn points(section: &Section<'_, '_>, key: &'static str, default: u16) -> BasisPoints {
    let points = u16::try_from(section.number(key, 0..=10_000, u64::from(default))).unwrap_or(0);
    BasisPoints::new(points).unwrap_or_default()
}

fn fees_of(section: &Section<'_, '_>) -> Fees {
    Fees {
        pool: points(section, "fee_bps", 0),
        finder_bonus: points(section, "finder_bonus_bps", 0),
        grace_ms: 0,
        referral: BasisPoints::ZERO,
        tiers: BTreeMap::new(),
        referrers: BTreeMap::new(),
    }
}

fn rounding(section: &Section<'_, '_>) -> Rounding {
    match one_of(
        section,
        "rounding",
        &["residual-ledger", "largest-remainder", "cumulative-floor", "floor-carry"],
    ) {
        "largest-remainder" => Rounding::LargestRemainder,
        "cumulative-floor" => Rounding::CumulativeFloor,
        "floor-carry" => Rounding::FloorCarry,
        _ => Rounding::ResidualLedger,
    }
}

const KINDS: [&str; 11] = [
    "prop",
    "solo",
    "pplns",
    "exponential",
    "geometric",
    "double-geometric",
    "tides",
    "pps",
    "fpps",
    "pps-plus",
    "mixed",
];

fn rule(section: &Section<'_, '_>, subsidy: Amount) -> Option<Rule> {
    let kind = section.required("kind", &KINDS.join(", "), |text| choice(text, &KINDS, |kind| kind))?;
    if kind == "mixed" {
        let part = points(section, "part_bps", 500);
        let (first, rest) = (section.section("first"), section.section("rest"));
        let of = |section: &Section<'_, '_>, key| {
            if !section.is_present() {
                section.mistake(key, "is missing: one of the two rules");
            }
            let kind = section
                .required("kind", &KINDS[..7].join(", "), |text| choice(text, &KINDS[..7], |kind| kind));
            let rule = kind.and_then(|kind| simple(kind, section, subsidy));
            section.known();
            rule
        };
        let (first, rest) = (of(&first, "kind"), of(&rest, "kind"));
        return Some(Rule::Mixed { part, first: Box::new(first?), rest: Box::new(rest?) });
    }
    simple(kind, section, subsidy)
}

fn simple(kind: &str, section: &Section<'_, '_>, subsidy: Amount) -> Option<Rule> {
    let window = || {
        section.required("window", "expected blocks, as in \"2\", \"2.5\" or \"3/2\"", |text| {
            parse_units(text).map_err(|error| error.to_string()).and_then(|units| {
                if units == Units::ZERO { Err("must be above zero".to_owned()) } else { Ok(units) }
            })
        })
    };
    let underfilled = || match one_of(section, "underfilled", &["renormalise", "operator-keeps"]) {
        "operator-keeps" => Underfilled::OperatorKeeps,
        _ => Underfilled::Renormalise,
    };
    // The simulator closes a period at every block and checkpoint; the engines only want a legal length here.
    let period_ms = 1_000;
    let overdraft = Amount::new(u128::MAX >> 1);
    let average_fee = || points(section, "average_fee_bps", 1_000);
    Some(match kind {
        "prop" => Rule::Prop {},
        "solo" => Rule::Solo {},
        "pplns" => {
            let edge = match one_of(section, "edge", &["interval", "hop-exact"]) {
                "hop-exact" => WindowEdge::HopExact,
                _ => WindowEdge::Interval,
            };
            let underfilled = underfilled();
            Rule::Pplns { window: window()?, underfilled, edge }
        }
        "exponential" => {
            let underfilled = underfilled();
            Rule::Exponential { window: window()?, underfilled }
        }
        "geometric" => Rule::Geometric { average_fee: average_fee() },
        "double-geometric" => Rule::DoubleGeometric {
            average_fee: average_fee(),
            carry_over: points(section, "carry_over_bps", 8_000),
        },
        "tides" => {
            Rule::Tides { blocks: u32::try_from(section.number("blocks", 1..=1_000_000, 8)).unwrap_or(8) }
        }
        "pps" => Rule::Pps { value: value(section, subsidy), period_ms, overdraft },
        "fpps" => {
            let value = match one_of(section, "value_by", &["realised", "fixed"]) {
                "fixed" => BlockValue::Fixed { value: value(section, subsidy) },
                _ => BlockValue::Realised {
                    blocks: u32::try_from(section.number("blocks", 1..=100_000, 144)).unwrap_or(1),
                    trim: u32::try_from(section.number("trim", 0..=50_000, 0)).unwrap_or(0),
                    start: value(section, subsidy),
                },
            };
            Rule::Fpps { value, period_ms, overdraft }
        }
        "pps-plus" => {
            let (underfilled, subsidy) = (underfilled(), value(section, subsidy));
            Rule::PpsPlus { subsidy, window: window()?, underfilled, period_ms, overdraft }
        }
        other => unreachable_kind(section, other),
    })
}

/// A kind that is in the list but has no arm: told as a mistake instead of a panic.
fn unreachable_kind(section: &Section<'_, '_>, kind: &str) -> Rule {
    section.mistake("kind", format!("{kind} cannot be used here"));
    Rule::Prop {}
}

/// `value`: the value of an expected block, the subsidy by default.
fn value(section: &Section<'_, '_>, subsidy: Amount) -> Amount {
    section
        .parsed("value", |text| text.parse::<Amount>().map_err(|error| error.to_string()))
        .unwrap_or(subsidy)
}
