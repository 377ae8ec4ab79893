//! The result in a sentence or two, from the numbers alone.

use super::number::{duration, percent, short};
use crate::outcome::{AccountOutcome, Estimate, OperatorOutcome, SchemeOutcome, Summary};
use std::collections::BTreeMap;

/// What to say first, and what else is worth saying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// One sentence.
    pub first: String,
    /// More of them, by weight.
    pub more: Vec<String>,
}

/// The best estimate of what a unit of a group's work earns.
#[must_use]
pub(super) fn worth(group: &AccountOutcome) -> Estimate {
    group.controlled.map_or(group.per_work, |controlled| controlled.estimate)
}

/// The result in sentences.
#[must_use]
pub fn verdict(summary: &Summary) -> Verdict {
    let mut all: Vec<String> = Vec::new();
    all.extend(strategists(summary));
    all.extend(reserves(summary));
    all.extend(game(summary));
    if all.is_empty() {
        all.extend(everyone(summary));
    }
    all.extend(certainty(summary));
    if all.is_empty() {
        all.push("Nobody worked: there is nothing to say.".to_owned());
    }
    let first = all.remove(0);
    Verdict { first, more: all }
}

/// Which pool each group says it mines in. (The outcome does not repeat it; the scenario does.)
fn pools_of_groups(summary: &Summary) -> BTreeMap<String, String> {
    let Ok(scenario) = summary.scenario.parse::<toml::Table>() else { return BTreeMap::new() };
    let text = |table: &toml::Value, key: &str| Some(table.get(key)?.as_str()?.to_owned());
    let miners = scenario.get("miners").and_then(toml::Value::as_array);
    let groups = miners.into_iter().flatten();
    groups.filter_map(|group| Some((text(group, "name")?, text(group, "pool")?))).collect()
}

/// Income over work of the honest groups beside a group: those of its pool, or all where it has no pool of its own.
fn beside(scheme: &SchemeOutcome, pools: &BTreeMap<String, String>, group: &str) -> Option<f64> {
    let mean = |chosen: &dyn Fn(&AccountOutcome) -> bool| {
        let groups = || scheme.groups.iter().filter(|other| other.strategy == "honest" && chosen(other));
        let all = |other: &AccountOutcome| other.work.mean.value + other.outside;
        let work: f64 = groups().map(all).sum();
        let income: f64 = groups().map(|other| worth(other).value * all(other)).sum();
        (work > 0.0).then(|| income / work)
    };
    mean(&|other| pools.get(&other.name) == pools.get(group)).or_else(|| mean(&|_| true))
}

/// What a strategy does, as the subject of a sentence.
fn doing(strategy: &str) -> &str {
    match strategy {
        "hopper" => "hopping",
        "youngest" => "always mining the youngest round",
        "chain-hop" => "picking the youngest chain",
        "retarget-hop" => "leaving before retargets",
        "reward-exit" => "leaving before the reward changes",
        "withholder" => "withholding blocks",
        "burst" => "mining in bursts",
        "sybil" => "appearing under many names",
        other => other,
    }
}

/// An advantage below this part is not worth a headline, however certain.
const WORTH_SAYING: f64 = 0.005;

/// One group under one scheme.
struct Found<'a> {
    scheme: &'a SchemeOutcome,
    worth: Estimate,
    others: Option<f64>,
    /// Some of the work is done outside, where it earns exactly its worth.
    outside: bool,
}

impl Found<'_> {
    /// What the same work earns without tricks: beside, or all of it outside where that is a choice.
    fn fair(&self) -> f64 {
        let beside = self.others.unwrap_or(1.0 - self.scheme.fee);
        if self.outside { beside.max(1.0) } else { beside }
    }

    fn advantage(&self) -> f64 {
        self.worth.value - self.fair()
    }

    fn pays(&self) -> bool {
        self.worth.low > self.fair() * (1.0 + WORTH_SAYING)
    }

    fn against(&self) -> String {
        let beside = self.others.map(|others| format!("{others:.3} for honest miners beside"));
        // Where the pool takes a fee, or is raided, outside is the better choice to compare with.
        let outside = (self.outside && self.fair() > self.others.unwrap_or(0.0) * (1.0 + WORTH_SAYING))
            .then(|| "1 outside".to_owned());
        let all: Vec<String> = beside.into_iter().chain(outside).collect();
        if all.is_empty() { String::new() } else { format!(" against {}", all.join(" and ")) }
    }
}

/// For each group that does not simply mine: where that pays most, and where least. The greatest gains first.
fn strategists(summary: &Summary) -> Vec<String> {
    /// More of them are in the tables.
    const SAID_MAX: usize = 3;
    let Some(first) = summary.schemes.first() else { return Vec::new() };
    let pools = pools_of_groups(summary);
    let mut all: Vec<(&AccountOutcome, Vec<Found<'_>>)> = Vec::new();
    for (index, group) in first.groups.iter().enumerate() {
        if group.strategy == "honest" || group.work.mean.value + group.outside <= 0.0 {
            continue;
        }
        let under = summary.schemes.iter().filter_map(|scheme| {
            let worth = worth(scheme.groups.get(index)?);
            let others = beside(scheme, &pools, &group.name);
            Some(Found { scheme, worth, others, outside: group.outside > 0.0 })
        });
        let mut found: Vec<Found<'_>> = under.collect();
        found.sort_by(|a, b| b.advantage().total_cmp(&a.advantage()));
        all.push((group, found));
    }
    all.sort_by(|a, b| b.1[0].advantage().total_cmp(&a.1[0].advantage()));
    let mut said = Vec::new();
    for (group, found) in all.iter().take(SAID_MAX) {
        let best = &found[0];
        said.push(format!(
            "Under {} {} {}: {:.3} blocks for each block of work ({}){}.",
            best.scheme.name,
            doing(&group.strategy),
            if best.pays() { "pays" } else { "does not pay" },
            best.worth.value,
            group.name,
            best.against(),
        ));
        if let [_, .., least] = found.as_slice() {
            let verb = match (best.pays(), least.pays()) {
                (true, false) => "it does not",
                (false, _) => "neither",
                (true, true) => "it does too",
            };
            said.push(format!(
                "Under {} {verb}: {:.3}{}.",
                least.scheme.name,
                least.worth.value,
                least.against()
            ));
        }
    }
    said
}

/// What becomes of reserves: the safest and the most dangerous.
fn reserves(summary: &Summary) -> Vec<String> {
    let mut found: Vec<(&SchemeOutcome, &OperatorOutcome, f64)> = summary
        .schemes
        .iter()
        .flat_map(|scheme| scheme.operators.iter().map(move |operator| (scheme, operator)))
        .filter_map(|(scheme, operator)| Some((scheme, operator, operator.ruin.last()?.probability.value)))
        .collect();
    found.sort_by(|a, b| b.2.total_cmp(&a.2));
    let say = |(scheme, operator, ruined): &(&SchemeOutcome, &OperatorOutcome, f64)| {
        let who = if summary.pools.len() > 1 {
            format!("{} at {}", scheme.name, operator.pool)
        } else {
            scheme.name.clone()
        };
        let mut sentence = format!(
            "with {} blocks in reserve and a fee of {}, {who} runs out of money within {} in {} of runs",
            short(operator.reserve, 4),
            percent(scheme.fee, 2),
            duration(summary.horizon_seconds),
            percent(*ruined, 2)
        );
        if let Some(ultimate) = operator.ultimate {
            sentence += &format!(" (ever: {} by theory)", percent(ultimate.exact, 2));
        }
        capital(&sentence)
    };
    let mut said: Vec<String> = found.first().map(say).into_iter().collect();
    if found.len() > 1 {
        said.extend(found.last().map(say));
    }
    said.into_iter().map(|sentence| sentence + ".").collect()
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

fn game(summary: &Summary) -> Option<String> {
    let game = summary.game.as_ref()?;
    let revenues: Vec<String> =
        game.pools.iter().map(|pool| format!("{} earns {:.4}", pool.name, pool.revenue)).collect();
    let losers = game.pools.iter().filter(|pool| pool.revenue < 1.0).count();
    let end = if losers == game.pools.len() { "everyone loses by it" } else { "not everyone loses by it" };
    Some(format!(
        "When pools send miners into each other until no reply is better, {} per hashrate, where peace brought 1: {end}.",
        revenues.join(", ")
    ))
}

/// Without strategies and reserves: what honest work earns, and where most differs.
fn everyone(summary: &Summary) -> Vec<String> {
    let worths = |scheme: &SchemeOutcome| -> Vec<f64> {
        let worked = scheme.groups.iter().filter(|group| group.work.mean.value > 0.0);
        worked.map(|group| worth(group).value).collect()
    };
    let all: Vec<f64> = summary.schemes.iter().flat_map(worths).collect();
    let (Some(low), Some(high)) =
        (all.iter().copied().min_by(f64::total_cmp), all.iter().copied().max_by(f64::total_cmp))
    else {
        return Vec::new();
    };
    let schemes = summary.schemes.len();
    let under =
        if schemes == 1 { "Under its scheme".to_owned() } else { format!("Under each of {schemes} schemes") };
    vec![if high - low < 0.01 {
        format!("{under} a block of work earns the same: between {low:.4} and {high:.4} blocks.")
    } else {
        format!("{under} a block of work earns between {low:.4} and {high:.4} blocks.")
    }]
}

fn certainty(summary: &Summary) -> Option<String> {
    let runs = summary.replications;
    // Where nothing varies there is nothing to say of certainty.
    (runs.half_width > 1e-5).then(|| {
        format!(
            "{} runs; every income is known to ±{} or better at {} confidence{}.",
            runs.done,
            percent(runs.half_width, 2),
            percent(summary.confidence, 0),
            if runs.reached { ", the precision asked for" } else { "" }
        )
    })
}
