//! The result in a sentence or two, from the numbers alone.

use super::number::{duration, percent, short};
use crate::outcome::{AccountOutcome, Estimate, OperatorOutcome, SchemeOutcome, Summary};

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

/// Income over work of all honest groups together.
fn honest(scheme: &SchemeOutcome) -> Option<f64> {
    let groups = || scheme.groups.iter().filter(|group| group.strategy == "honest");
    let work: f64 = groups().map(|group| group.work.mean.value + group.outside).sum();
    let income: f64 =
        groups().map(|group| worth(group).value * (group.work.mean.value + group.outside)).sum();
    (work > 0.0).then(|| income / work)
}

/// For each group that does not simply mine: where that pays most, and where least.
fn strategists(summary: &Summary) -> Vec<String> {
    let Some(first) = summary.schemes.first() else { return Vec::new() };
    let clever = first
        .groups
        .iter()
        .enumerate()
        .filter(|(_, group)| group.strategy != "honest" && group.work.mean.value + group.outside > 0.0);
    let mut said = Vec::new();
    for (index, group) in clever {
        // The advantage over honest miners under the same scheme, or over what is left after the fee.
        let mut found: Vec<(&SchemeOutcome, Estimate, Option<f64>, f64)> = summary
            .schemes
            .iter()
            .filter_map(|scheme| {
                let worth = worth(scheme.groups.get(index)?);
                let others = honest(scheme);
                Some((scheme, worth, others, worth.value - others.unwrap_or(1.0 - scheme.fee)))
            })
            .collect();
        found.sort_by(|a, b| b.3.total_cmp(&a.3));
        let (Some(best), Some(least)) = (found.first(), found.last()) else { continue };
        let gains = |(scheme, worth, others, _): &(&SchemeOutcome, Estimate, Option<f64>, f64)| {
            worth.low > others.unwrap_or(1.0 - scheme.fee)
        };
        let (scheme, value, others, _) = best;
        let against = others.map_or_else(String::new, |others| format!(", honest miners {others:.3}"));
        said.push(format!(
            "Under {} it {} to be {}: for each block of work {} earn {:.3} blocks{against}.",
            scheme.name,
            if gains(best) { "pays" } else { "does not pay" },
            with_article(&group.strategy),
            group.name,
            value.value,
        ));
        if found.len() > 1 {
            let (scheme, value, others, _) = least;
            let verb = match (gains(best), gains(least)) {
                (true, false) => "it does not",
                (false, _) => "neither",
                (true, true) => "it does too",
            };
            let against = others.map_or_else(String::new, |others| format!(" against {others:.3}"));
            said.push(format!("Under {} {verb}: {:.3}{against}.", scheme.name, value.value));
        }
    }
    said
}

fn with_article(noun: &str) -> String {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {noun}", if vowel { "an" } else { "a" })
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
    (runs.half_width > 0.0).then(|| {
        format!(
            "{} runs; every income is known to ±{} or better at {} confidence{}.",
            runs.done,
            percent(runs.half_width, 2),
            percent(summary.confidence, 0),
            if runs.reached { ", the precision asked for" } else { "" }
        )
    })
}
