//! One page with everything in it: the verdict first, then charts, then tables to scan, then the scenario.
//!
//! It loads nothing: styles and a small script are in the page, which works without the script too. It follows the
//! reader's light or dark setting, and a button overrides that.

use super::charts::{Part, quantiles, replay as replay_chart};
use super::number::{duration, fixed, percent, short, signed_percent};
use super::plot::{Figure, escaped, style};
use super::verdict::{verdict, worth};
use crate::outcome::{AccountOutcome, Estimate, Summary};
use crate::replay::Comparison;
use std::fmt::Write as _;

/// No more accounts than this are listed one by one.
const ACCOUNTS_MAX: usize = 400;

/// The page of a run.
pub(super) fn page(summary: &Summary, charts: &[(Part, Figure)]) -> String {
    let said = verdict(summary);
    let mut body = String::new();
    top(&mut body, &summary.name, &format!("{} fidelity", summary.fidelity));
    let _ = write!(body, "<h1>{}</h1>", escaped(&said.first));
    for sentence in &said.more {
        let _ = write!(body, "<p class=\"more\">{}</p>", escaped(sentence));
    }
    facts(&mut body, summary);
    for (part, title) in [
        (Part::Income, "Who earns what"),
        (Part::Age, "Why: what a share is worth"),
        (Part::Course, "Over time"),
        (Part::Operator, "The operator"),
        (Part::Game, "Pool against pool"),
        (Part::Luck, "Luck"),
    ] {
        let mut section = String::new();
        let mine = charts.iter().filter(|(of, _)| *of == part);
        for (index, (_, chart)) in mine.enumerate() {
            figure(&mut section, chart);
            if index == 0 && part == Part::Income {
                matrix(&mut section, summary);
            }
        }
        match part {
            Part::Income => incomes(&mut section, summary),
            Part::Operator => operators(&mut section, summary),
            Part::Game => game(&mut section, summary),
            Part::Luck => pools(&mut section, summary),
            Part::Age | Part::Course => (),
        }
        if !section.is_empty() {
            let _ = write!(body, "<h2>{title}</h2>{section}");
        }
    }
    again(&mut body, summary);
    whole(&summary.name, &body)
}

fn whole(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"generator\" content=\"poolsim {}\"><title>{}</title>\n<style>\n{}{}</style></head>\n\
         <body><main>{body}</main><div id=\"tip\" role=\"tooltip\"></div>\n<script>\n{}</script></body></html>\n",
        env!("CARGO_PKG_VERSION"),
        escaped(title),
        include_str!("page.css"),
        style(),
        include_str!("page.js"),
    )
}

fn top(body: &mut String, name: &str, what: &str) {
    let _ = write!(
        body,
        "<div class=\"top\"><b>{}</b><span>{}</span><button id=\"theme\" type=\"button\">light / dark</button></div>",
        escaped(name),
        escaped(what)
    );
}

fn list_of_facts(body: &mut String, facts: &[(&str, String)]) {
    body.push_str("<ul class=\"facts\">");
    for (name, value) in facts {
        let _ = write!(body, "<li><b>{}</b>{}</li>", escaped(value), escaped(name));
    }
    body.push_str("</ul>");
}

fn facts(body: &mut String, summary: &Summary) {
    let runs = summary.replications;
    let mut facts = vec![
        ("runs", short(runs.done as f64, 9)),
        ("each", duration(summary.horizon_seconds)),
        ("expected blocks a run", short(summary.horizon_blocks, 4)),
        ("blocks found in all", short(runs.blocks as f64, 12)),
    ];
    if runs.shares > 0 {
        facts.push(("shares in all", short(runs.shares as f64, 4)));
    }
    facts.push(("seed", summary.seed.to_string()));
    facts.push(("poolsim", summary.crate_version.clone()));
    list_of_facts(body, &facts);
}

fn figure(body: &mut String, chart: &Figure) {
    let _ = writeln!(
        body,
        "<figure><figcaption><b>{}</b>{}</figcaption>{}</figure>",
        escaped(&chart.title),
        escaped(&chart.note),
        chart.fragment()
    );
}

/// A table of cells that know their sorting value.
struct Sheet {
    text: String,
}

impl Sheet {
    /// Columns whose name begins with `<` hold text and stand left.
    fn new(columns: &[&str]) -> Self {
        let mut text = "<div class=\"scroll\"><table><thead><tr>".to_owned();
        for column in columns {
            match column.strip_prefix('<') {
                Some(name) => {
                    let _ = write!(text, "<th class=\"l\">{}</th>", escaped(name));
                }
                None => {
                    let _ = write!(text, "<th>{}</th>", escaped(column));
                }
            }
        }
        text += "</tr></thead><tbody>";
        Self { text }
    }

    fn row(&mut self) -> &mut Self {
        if !self.text.ends_with("<tbody>") {
            self.text += "</tr>";
        }
        self.text += "<tr>";
        self
    }

    fn name(&mut self, text: &str) -> &mut Self {
        let _ = write!(self.text, "<td class=\"l\">{}</td>", escaped(text));
        self
    }

    fn cell(&mut self, value: f64, text: &str) -> &mut Self {
        let _ = write!(self.text, "<td data-v=\"{value}\">{}</td>", escaped(text));
        self
    }

    /// With a second, muted text, and a shade for what is above or below.
    fn shaded(&mut self, value: f64, text: &str, small: &str, off: f64) -> &mut Self {
        let class = if off > 0.0 {
            " class=\"up\""
        } else if off < 0.0 {
            " class=\"down\""
        } else {
            ""
        };
        let _ = write!(
            self.text,
            "<td data-v=\"{value}\"{class}>{} <small>{}</small></td>",
            escaped(text),
            escaped(small)
        );
        self
    }

    fn end(mut self) -> String {
        if !self.text.ends_with("<tbody>") {
            self.text += "</tr>";
        }
        self.text + "</tbody></table></div>\n"
    }
}

/// By how much an interval is above or below a value, if it is by more than sums of doubles are off.
fn off(estimate: Estimate, from: f64) -> f64 {
    let nothing = 1e-9 * from.abs().max(1.0);
    if estimate.low > from + nothing {
        estimate.low - from
    } else if estimate.high < from - nothing {
        estimate.high - from
    } else {
        0.0
    }
}

/// A spread, or zero where it is what sums of doubles leave of nothing.
fn spread(value: f64, beside: f64) -> f64 {
    if value.abs() <= 1e-9 * beside.abs() { 0.0 } else { value }
}

/// Groups by schemes: what a unit of work earns.
fn matrix(body: &mut String, summary: &Summary) {
    let mut columns = vec!["<group", "<strategy"];
    columns.extend(summary.schemes.iter().map(|scheme| scheme.name.as_str()));
    let mut sheet = Sheet::new(&columns);
    let Some(first) = summary.schemes.first() else { return };
    for (index, group) in first.groups.iter().enumerate() {
        sheet.row().name(&group.name).name(&group.strategy);
        for scheme in &summary.schemes {
            let Some(group) = scheme.groups.get(index) else { continue };
            let found = worth(group);
            let half = spread((found.high - found.low) / 2.0, found.value);
            let fair = 1.0 - scheme.fee;
            sheet.shaded(
                found.value,
                &fixed(found.value, 4),
                &format!("±{}", short(half, 2)),
                off(found, fair),
            );
        }
    }
    body.push_str(
        "<p class=\"more\">Income per unit of work. Green: surely above what the work is worth less the fee; orange: \
         surely below. Click a heading to sort.</p>",
    );
    body.push_str(&sheet.end());
}

fn incomes(body: &mut String, summary: &Summary) {
    let several = summary.schemes.iter().any(|scheme| scheme.accounts.len() > scheme.groups.len());
    let accounts: usize = summary.schemes.iter().map(|scheme| scheme.accounts.len()).sum();
    let listed = |accounts_too: bool| {
        let mut sheet = Sheet::new(&[
            "<scheme",
            if accounts_too { "<account" } else { "<group" },
            "part of network",
            "work a run",
            "outside",
            "income a run",
            "deviation",
            "5 %",
            "median",
            "95 %",
            "first pay (median)",
            "never paid",
            "drawdown (median)",
            "credits a run",
        ]);
        for scheme in &summary.schemes {
            let holders = if accounts_too { &scheme.accounts } else { &scheme.groups };
            for holder in holders {
                holder_row(&mut sheet, &scheme.name, holder);
            }
        }
        sheet.end()
    };
    let _ = write!(
        body,
        "<details open><summary>Groups in numbers (blocks; one run lasts {})</summary>{}</details>",
        escaped(&duration(summary.horizon_seconds)),
        listed(false)
    );
    if several && accounts <= ACCOUNTS_MAX {
        let _ = write!(body, "<details><summary>Every account</summary>{}</details>", listed(true));
    } else if several {
        body.push_str("<p class=\"more\">Single accounts are in <code>csv/incomes.csv</code>.</p>");
    }
    if summary.differences.is_empty() {
        return;
    }
    let mut sheet =
        Sheet::new(&["<scheme", "<against", "<group", "difference a run", "interval", "gain by common luck"]);
    for difference in &summary.differences {
        let Estimate { value, low, high } = difference.income;
        sheet
            .row()
            .name(&difference.scheme)
            .name(&difference.against)
            .name(&difference.group)
            .shaded(value, &short(value, 4), "", off(difference.income, 0.0))
            .cell(low, &format!("{} to {}", short(low, 4), short(high, 4)))
            .cell(
                difference.gain.unwrap_or(0.0),
                &difference.gain.map_or_else(String::new, |gain| format!("{}×", short(gain, 3))),
            );
    }
    let _ = write!(
        body,
        "<details><summary>Differences between schemes, run by run</summary>{}</details>",
        sheet.end()
    );
}

fn holder_row(sheet: &mut Sheet, scheme: &str, holder: &AccountOutcome) {
    let income = &holder.income;
    let deviation = spread(income.variance.max(0.0).sqrt(), income.mean.value);
    let first = &holder.first_pay_seconds;
    let quantiles = quantiles(income);
    sheet
        .row()
        .name(scheme)
        .name(&holder.name)
        .cell(holder.part, &percent(holder.part, 3))
        .cell(holder.work.mean.value, &short(holder.work.mean.value, 5))
        .cell(holder.outside, &short(holder.outside, 4))
        .cell(income.mean.value, &short(income.mean.value, 5))
        .cell(deviation, &short(deviation, 3))
        .cell(quantiles[1], &short(quantiles[1], 5))
        .cell(quantiles[3], &short(quantiles[3], 5))
        .cell(quantiles[5], &short(quantiles[5], 5))
        .cell(
            first.quantiles[3],
            &if first.count > 0 { duration(first.quantiles[3]) } else { "–".to_owned() },
        )
        .cell(holder.never_paid, &percent(holder.never_paid, 2))
        .cell(holder.drawdown.quantiles[3], &short(holder.drawdown.quantiles[3], 3))
        .cell(holder.credits, &short(holder.credits, 4));
}

fn operators(body: &mut String, summary: &Summary) {
    let mut sheet = Sheet::new(&[
        "<scheme",
        "<pool",
        "fee",
        "reserve",
        "balance at the end",
        "5 %",
        "95 %",
        "lowest (median)",
        "ruined by the end",
        "ruined ever, sampled",
        "exact",
        "diffusion",
    ]);
    let mut any = false;
    for scheme in &summary.schemes {
        for operator in &scheme.operators {
            any = true;
            let (mean, quantiles) = (operator.balance.mean, quantiles(&operator.balance));
            sheet
                .row()
                .name(&scheme.name)
                .name(&operator.pool)
                .cell(scheme.fee, &percent(scheme.fee, 2))
                .cell(operator.reserve, &short(operator.reserve, 4))
                .cell(mean.value, &short(mean.value, 5))
                .cell(quantiles[1], &short(quantiles[1], 5))
                .cell(quantiles[5], &short(quantiles[5], 5))
                .cell(operator.least.quantiles[3], &short(operator.least.quantiles[3], 4));
            match operator.ruin.last() {
                Some(point) => {
                    let Estimate { value, low, high } = point.probability;
                    let text = format!("{} ({} to {})", percent(value, 2), percent(low, 2), percent(high, 2));
                    sheet.cell(value, &text);
                }
                None => {
                    sheet.cell(0.0, "–");
                }
            }
            match operator.ultimate {
                Some(ultimate) => {
                    let half = (ultimate.sampled.high - ultimate.sampled.low) / 2.0;
                    let sampled = format!("{} ±{}", percent(ultimate.sampled.value, 3), percent(half, 3));
                    sheet
                        .cell(ultimate.sampled.value, &sampled)
                        .cell(ultimate.exact, &percent(ultimate.exact, 3))
                        .cell(ultimate.diffusion, &percent(ultimate.diffusion, 3));
                }
                None => {
                    sheet.cell(0.0, "–").cell(0.0, "–").cell(0.0, "–");
                }
            }
        }
    }
    if any {
        body.push_str(&sheet.end());
    }
}

fn pools(body: &mut String, summary: &Summary) {
    let mut sheet = Sheet::new(&[
        "<pool",
        "part of network",
        "chains",
        "work a run",
        "blocks found a run",
        "blocks per work",
        "lost",
        "uncles",
        "red",
        "stale shares",
        "withheld",
    ]);
    for pool in &summary.pools {
        let (work, found) = (pool.work.mean.value, pool.found.mean.value);
        let ratio = if work > 0.0 { found / work } else { 0.0 };
        sheet
            .row()
            .name(&pool.name)
            .cell(pool.part, &percent(pool.part, 2))
            .cell(f64::from(pool.chains), &pool.chains.to_string())
            .cell(work, &short(work, 5))
            .cell(found, &short(found, 5))
            .cell(ratio, &fixed(ratio, 4))
            .cell(pool.lost, &percent(pool.lost, 3))
            .cell(pool.uncles, &percent(pool.uncles, 3))
            .cell(pool.red, &percent(pool.red, 3))
            .cell(pool.stale, &percent(pool.stale, 3))
            .cell(pool.withheld, &percent(pool.withheld, 3));
    }
    body.push_str(&sheet.end());
}

fn game(body: &mut String, summary: &Summary) {
    let Some(game) = &summary.game else { return };
    let mut columns =
        vec!["<pool".to_owned(), "part".to_owned(), "revenue".to_owned(), "played out".to_owned()];
    columns.extend(game.pools.iter().map(|pool| format!("sends to {}", pool.name)));
    let mut sheet = Sheet::new(&columns.iter().map(String::as_str).collect::<Vec<_>>());
    for pool in &game.pools {
        let half = (pool.played.high - pool.played.low) / 2.0;
        let played = format!("{} ±{}", fixed(pool.played.value, 4), short(half, 2));
        sheet
            .row()
            .name(&pool.name)
            .cell(pool.part, &percent(pool.part, 2))
            .cell(pool.revenue, &fixed(pool.revenue, 6))
            .cell(pool.played.value, &played);
        for sent in &pool.infiltration {
            sheet.cell(*sent, &percent(*sent, 3));
        }
    }
    body.push_str(&sheet.end());
}

/// How to run it again.
fn again(body: &mut String, summary: &Summary) {
    let _ = write!(
        body,
        "<h2>Run it again</h2><p class=\"more\">Same scenario, seed and version: the same bytes, on any number of \
         threads.</p><pre><code>poolsim run scenario.toml --seed {} --out result</code></pre>\
         <p class=\"more\">Numbers for other programs are in <code>summary.json</code> (schema {}) and in \
         <code>csv/</code>, whose <code>columns.csv</code> explains every column. Scenario hash {}.</p>\
         <details><summary>The scenario</summary><pre><code>{}</code></pre></details>",
        summary.seed,
        summary.schema,
        escaped(&summary.scenario_hash),
        escaped(&summary.scenario)
    );
}

/// The page of a log under all schemes.
#[must_use]
pub fn replay(comparison: &Comparison) -> String {
    let mut body = String::new();
    top(&mut body, comparison.coin.as_str(), "a real log under all schemes");
    let _ = write!(body, "<h1>{}</h1>", escaped(&replay_verdict(comparison)));
    list_of_facts(
        &mut body,
        &[
            ("shares", short(comparison.shares as f64, 12)),
            ("expected blocks of work", short(comparison.work, 5)),
            ("blocks found", comparison.found.to_string()),
            ("concluded", comparison.concluded.to_string()),
            ("their value, smallest units", comparison.value.to_string()),
            ("from first to last share", duration(comparison.millis as f64 / 1e3)),
        ],
    );
    if let Some(chart) = replay_chart(comparison) {
        figure(&mut body, &chart);
    }
    let mut columns = vec!["<account", "part of the work"];
    columns.extend(comparison.columns.iter().map(|column| column.name.as_str()));
    let mut sheet = Sheet::new(&columns);
    for (index, (miner, work)) in comparison.accounts.iter().enumerate() {
        sheet.row().name(miner.as_str()).cell(work / comparison.work, &percent(work / comparison.work, 3));
        for (place, column) in comparison.columns.iter().enumerate() {
            let credit = column.credits[index];
            let against = comparison.against_work(place, index);
            let small = against.map_or_else(String::new, |against| signed_percent(against - 1.0, 1));
            sheet.shaded(
                credit.get() as f64,
                &credit.to_string(),
                &small,
                against.map_or(0.0, |against| against - 1.0),
            );
        }
    }
    sheet.row().name("the operator").cell(0.0, "");
    for column in &comparison.columns {
        sheet.cell(column.operator as f64, &column.operator.to_string());
    }
    body.push_str(
        "<h2>Credits</h2><p class=\"more\">Smallest units; small: against the account's part of the work in everything \
         that blocks brought, before fees.</p>",
    );
    body.push_str(&sheet.end());
    let mut sheet = Sheet::new(&["<scheme", "<parameters at the beginning"]);
    for column in &comparison.columns {
        sheet.row().name(&column.name).name(&column.params);
    }
    let _ = write!(body, "<h2>Schemes</h2>{}", sheet.end());
    whole(comparison.coin.as_str(), &body)
}

/// How much of the money went to others than did the work: as it was, and under the schemes that split blocks.
fn replay_verdict(comparison: &Comparison) -> String {
    if comparison.value.is_zero() {
        return "No concluded block in this log brought anything.".to_owned();
    }
    let all: Vec<(&str, f64)> = (0..comparison.columns.len())
        .map(|index| (comparison.columns[index].name.as_str(), comparison.astray(index)))
        .collect();
    let Some((first, own)) = all.first() else { return "Nothing was compared.".to_owned() };
    let mut others: Vec<&(&str, f64)> = all[1..].iter().filter(|(name, _)| !name.contains("PPS")).collect();
    others.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(b.0)));
    let mut said =
        format!("Under “{first}” {} of the money went to others than did the work", percent(*own, 1));
    if let (Some(least), Some(most)) = (others.first(), others.last()) {
        let _ = write!(
            said,
            "; it would have been {} under {} and {} under {}",
            percent(least.1, 1),
            least.0,
            percent(most.1, 1),
            most.0
        );
    }
    said + "."
}
