//! Tidy tables: one observation a row, one variable a column, UTF-8, RFC 4180 with `\n` at line ends.
//!
//! Numbers are the shortest text that reads back to the same double; an unknown one is empty. `columns.csv` says what
//! every column of every table means, so that the folder explains itself.

use crate::outcome::{AccountOutcome, Distribution, Estimate, FAN, FanPoint, QUANTILES, Summary};

/// A table under construction.
struct Table {
    name: &'static str,
    /// Name and meaning, unit included.
    columns: &'static [(&'static str, &'static str)],
    text: String,
}

impl Table {
    fn new(name: &'static str, columns: &'static [(&'static str, &'static str)]) -> Self {
        let mut table = Self { name, columns, text: String::new() };
        table.row(columns.iter().map(|(column, _)| Cell::from(*column)).collect());
        table
    }

    fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "{}", self.name);
        for (index, Cell(text)) in cells.iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            if text.contains([',', '"', '\n', '\r']) {
                self.text.push('"');
                self.text.push_str(&text.replace('"', "\"\""));
                self.text.push('"');
            } else {
                self.text.push_str(text);
            }
        }
        self.text.push('\n');
    }
}

/// One field.
struct Cell(String);

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Self {
        Self(text.clone())
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self(if value.is_finite() { value.to_string() } else { String::new() })
    }
}

impl From<Option<f64>> for Cell {
    fn from(value: Option<f64>) -> Self {
        value.map_or_else(|| Self(String::new()), Self::from)
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Self(value.to_string())
    }
}

/// What a distribution is made of, as names and values.
fn statistics(distribution: &Distribution) -> Vec<(String, f64)> {
    let mut all = vec![
        ("count".to_owned(), distribution.count as f64),
        ("mean".to_owned(), distribution.mean.value),
        ("mean_low".to_owned(), distribution.mean.low),
        ("mean_high".to_owned(), distribution.mean.high),
        ("variance".to_owned(), distribution.variance),
        ("skew".to_owned(), distribution.skew),
        ("min".to_owned(), distribution.min),
        ("max".to_owned(), distribution.max),
    ];
    let quantiles = QUANTILES.iter().zip(distribution.quantiles);
    all.extend(quantiles.map(|(part, value)| (quantile_name(*part), value)));
    all
}

fn quantile_name(part: f64) -> String {
    format!("q{:02}", (part * 100.0).round())
}

fn estimate(name: &str, estimate: Estimate) -> Vec<(String, f64)> {
    vec![
        (name.to_owned(), estimate.value),
        (format!("{name}_low"), estimate.low),
        (format!("{name}_high"), estimate.high),
    ]
}

/// All tables of a result, by file name.
#[must_use]
pub(super) fn tables(summary: &Summary) -> Vec<(String, String)> {
    let mut all = vec![incomes(summary), pools(summary), operators(summary)];
    all.extend([courses(summary), balances(summary), ruin(summary), by_age(summary)]);
    all.extend([luck(summary), rounds(summary), differences(summary), game(summary)]);
    let mut columns = Table::new(
        "columns",
        &[
            ("table", "file name without its ending"),
            ("column", "column name"),
            ("meaning", "what it holds, with its unit"),
        ],
    );
    for table in &all {
        for (column, meaning) in table.columns {
            columns.row(vec![table.name.into(), (*column).into(), (*meaning).into()]);
        }
    }
    all.push(columns);
    all.into_iter().map(|table| (format!("{}.csv", table.name), table.text)).collect()
}

/// Groups and accounts of a scheme, with what they are.
fn holders(scheme: &crate::outcome::SchemeOutcome) -> impl Iterator<Item = (&'static str, &AccountOutcome)> {
    let groups = scheme.groups.iter().map(|group| ("group", group));
    groups.chain(scheme.accounts.iter().map(|account| ("account", account)))
}

fn incomes(summary: &Summary) -> Table {
    let mut table = Table::new(
        "incomes",
        &[
            ("scheme", "name of the scheme in the scenario"),
            ("kind", "the rule, as in PPLNS"),
            ("level", "group: all accounts of a group as one; account: one of them"),
            ("name", "the group or account"),
            ("group", "the group"),
            ("strategy", "the group's strategy"),
            ("part", "hashrate on duty as a part of the network"),
            (
                "measure",
                "work: expected blocks a run in pools; income: blocks a run from pools; first_pay: seconds to the first \
                 credit, in runs that had one; drawdown: blocks, largest fall of income less fair value from a high; \
                 whole: one number for all runs",
            ),
            (
                "statistic",
                "of the measure over runs: count, mean with its confidence interval mean_low and mean_high, variance, \
                 skew, min, max, quantiles q01 to q99; under whole: outside (expected blocks a run done outside of \
                 pools), per_work (all income over all work, 1 is fair before fees, with interval), controlled (the same \
                 by control variates, with interval), gain (variance of the plain estimate over that one's), never_paid \
                 (part of runs without a credit), credits (a run), fee (of the scheme)",
            ),
            ("value", "the number"),
        ],
    );
    for scheme in &summary.schemes {
        for (level, holder) in holders(scheme) {
            let mut row = |measure: &str, statistic: &str, value: f64| {
                table.row(vec![
                    (&scheme.name).into(),
                    (&scheme.kind).into(),
                    level.into(),
                    (&holder.name).into(),
                    (&holder.group).into(),
                    (&holder.strategy).into(),
                    holder.part.into(),
                    measure.into(),
                    statistic.into(),
                    value.into(),
                ]);
            };
            for (measure, distribution) in [
                ("work", &holder.work),
                ("income", &holder.income),
                ("first_pay", &holder.first_pay_seconds),
                ("drawdown", &holder.drawdown),
            ] {
                for (statistic, value) in statistics(distribution) {
                    row(measure, &statistic, value);
                }
            }
            let mut whole = estimate("per_work", holder.per_work);
            if let Some(controlled) = holder.controlled {
                whole.extend(estimate("controlled", controlled.estimate));
                whole.push(("gain".to_owned(), controlled.gain));
            }
            whole.extend([
                ("outside".to_owned(), holder.outside),
                ("never_paid".to_owned(), holder.never_paid),
                ("credits".to_owned(), holder.credits),
                ("fee".to_owned(), scheme.fee),
            ]);
            for (statistic, value) in whole {
                row("whole", &statistic, value);
            }
        }
    }
    table
}

fn pools(summary: &Summary) -> Table {
    let mut table = Table::new(
        "pools",
        &[
            ("pool", "name of the pool"),
            (
                "measure",
                "work: expected blocks accepted a run; found: blocks a run; whole: one number for all runs",
            ),
            (
                "statistic",
                "as in incomes; under whole: part (of the network), chains, withheld (blocks per expected block), lost, \
                 uncles, red (of found blocks), stale (of shares)",
            ),
            ("value", "the number"),
        ],
    );
    for pool in &summary.pools {
        let mut row = |measure: &str, statistic: &str, value: f64| {
            table.row(vec![(&pool.name).into(), measure.into(), statistic.into(), value.into()]);
        };
        for (measure, distribution) in [("work", &pool.work), ("found", &pool.found)] {
            for (statistic, value) in statistics(distribution) {
                row(measure, &statistic, value);
            }
        }
        for (statistic, value) in [
            ("part", pool.part),
            ("chains", f64::from(pool.chains)),
            ("withheld", pool.withheld),
            ("lost", pool.lost),
            ("uncles", pool.uncles),
            ("red", pool.red),
            ("stale", pool.stale),
        ] {
            row("whole", statistic, value);
        }
    }
    table
}

fn operators(summary: &Summary) -> Table {
    let mut table = Table::new(
        "operators",
        &[
            ("scheme", "name of the scheme"),
            ("pool", "name of the pool"),
            (
                "measure",
                "balance: blocks at the end of a run; least: blocks, lowest of a run; whole: one number",
            ),
            (
                "statistic",
                "as in incomes; under whole: reserve (blocks at the beginning), and of ruin at any time sampled (with \
                 interval; sampled_by_horizon: within a run), exact, diffusion, exponent (per block), effective_fee",
            ),
            ("value", "the number"),
        ],
    );
    for scheme in &summary.schemes {
        for operator in &scheme.operators {
            let mut row = |measure: &str, statistic: &str, value: f64| {
                table.row(vec![
                    (&scheme.name).into(),
                    (&operator.pool).into(),
                    measure.into(),
                    statistic.into(),
                    value.into(),
                ]);
            };
            for (measure, distribution) in [("balance", &operator.balance), ("least", &operator.least)] {
                for (statistic, value) in statistics(distribution) {
                    row(measure, &statistic, value);
                }
            }
            row("whole", "reserve", operator.reserve);
            if let Some(ultimate) = operator.ultimate {
                for (statistic, value) in estimate("sampled", ultimate.sampled) {
                    row("whole", &statistic, value);
                }
                for (statistic, value) in estimate("sampled_by_horizon", ultimate.by_horizon) {
                    row("whole", &statistic, value);
                }
                row("whole", "exact", ultimate.exact);
                row("whole", "diffusion", ultimate.diffusion);
                row("whole", "exponent", ultimate.exponent);
                row("whole", "effective_fee", ultimate.effective_fee);
            }
        }
    }
    table
}

/// The statistics of a point of a fan.
fn fan(point: &FanPoint) -> Vec<(String, f64)> {
    let mut all = vec![("mean".to_owned(), point.mean)];
    all.extend(FAN.iter().zip(point.quantiles).map(|(part, value)| (quantile_name(*part), value)));
    all
}

fn courses(summary: &Summary) -> Table {
    let mut table = Table::new(
        "courses",
        &[
            ("scheme", "name of the scheme"),
            ("level", "group or account"),
            ("name", "the group or account"),
            ("seconds", "since the beginning"),
            ("statistic", "over runs: mean, quantiles q05 to q95"),
            ("value", "income so far less the fair value of the work so far, in blocks"),
        ],
    );
    for scheme in &summary.schemes {
        for (level, holder) in holders(scheme) {
            for point in &holder.course {
                for (statistic, value) in fan(point) {
                    table.row(vec![
                        (&scheme.name).into(),
                        level.into(),
                        (&holder.name).into(),
                        point.seconds.into(),
                        (&statistic).into(),
                        value.into(),
                    ]);
                }
            }
        }
    }
    table
}

fn balances(summary: &Summary) -> Table {
    let mut table = Table::new(
        "balances",
        &[
            ("scheme", "name of the scheme"),
            ("pool", "name of the pool"),
            ("seconds", "since the beginning"),
            ("statistic", "over runs: mean, quantiles q05 to q95"),
            ("value", "the operator's balance in blocks, reserve included"),
        ],
    );
    for scheme in &summary.schemes {
        for operator in &scheme.operators {
            for point in &operator.course {
                for (statistic, value) in fan(point) {
                    table.row(vec![
                        (&scheme.name).into(),
                        (&operator.pool).into(),
                        point.seconds.into(),
                        (&statistic).into(),
                        value.into(),
                    ]);
                }
            }
        }
    }
    table
}

fn ruin(summary: &Summary) -> Table {
    let mut table = Table::new(
        "ruin",
        &[
            ("scheme", "name of the scheme"),
            ("pool", "name of the pool"),
            ("seconds", "since the beginning"),
            ("blocks", "the pool's expected blocks until then"),
            ("probability", "part of runs whose balance was below zero by then"),
            ("low", "lower end of its confidence interval (Wilson)"),
            ("high", "upper end of it"),
        ],
    );
    for scheme in &summary.schemes {
        for operator in &scheme.operators {
            for point in &operator.ruin {
                table.row(vec![
                    (&scheme.name).into(),
                    (&operator.pool).into(),
                    point.seconds.into(),
                    point.blocks.into(),
                    point.probability.value.into(),
                    point.probability.low.into(),
                    point.probability.high.into(),
                ]);
            }
        }
    }
    table
}

fn by_age(summary: &Summary) -> Table {
    let mut table = Table::new(
        "by_age",
        &[
            ("scheme", "name of the scheme"),
            ("age", "work in the round before the share, in expected blocks: the middle of the bin"),
            ("work", "expected blocks of work in the bin, over all runs"),
            ("value", "mean pay per unit of work in blocks, after fees"),
            ("low", "lower end of its confidence interval"),
            ("high", "upper end of it"),
        ],
    );
    for scheme in &summary.schemes {
        for point in &scheme.by_age {
            table.row(vec![
                (&scheme.name).into(),
                point.age.into(),
                point.work.into(),
                point.value.value.into(),
                point.value.low.into(),
                point.value.high.into(),
            ]);
        }
    }
    table
}

fn luck(summary: &Summary) -> Table {
    let mut table = Table::new(
        "luck",
        &[
            ("pool", "name of the pool"),
            ("blocks", "blocks so far"),
            ("count", "runs that got this far"),
            ("statistic", "over runs: mean, quantiles q05 to q95"),
            ("observed", "work per block so far"),
            ("expected", "what luck alone does: quantiles of Gamma(n)/n, mean 1"),
        ],
    );
    for pool in &summary.pools {
        for point in &pool.luck {
            let quantiles = FAN.iter().zip(point.quantiles).zip(point.band);
            let quantiles = quantiles.map(|((part, seen), band)| (quantile_name(*part), seen, band));
            for (statistic, observed, expected) in
                [("mean".to_owned(), point.mean, 1.0)].into_iter().chain(quantiles)
            {
                table.row(vec![
                    (&pool.name).into(),
                    point.blocks.into(),
                    point.count.into(),
                    (&statistic).into(),
                    observed.into(),
                    expected.into(),
                ]);
            }
        }
    }
    table
}

fn rounds(summary: &Summary) -> Table {
    let mut table = Table::new(
        "rounds",
        &[
            ("pool", "name of the pool"),
            ("from", "lower end of the bin: work of a round in expected blocks"),
            ("upto", "upper end of the bin; empty for the last one, which has none"),
            ("count", "rounds of all runs"),
        ],
    );
    for pool in &summary.pools {
        for (bin, count) in pool.rounds.iter().enumerate() {
            let upto = (bin + 1 < pool.rounds.len()).then(|| (bin + 1) as f64 / 10.0);
            table.row(vec![(&pool.name).into(), (bin as f64 / 10.0).into(), upto.into(), (*count).into()]);
        }
    }
    table
}

fn differences(summary: &Summary) -> Table {
    let mut table = Table::new(
        "differences",
        &[
            ("scheme", "name of the scheme"),
            ("against", "the scheme it is compared with, run by run"),
            ("group", "the group"),
            ("income", "mean difference of income, blocks a run"),
            ("low", "lower end of its confidence interval"),
            ("high", "upper end of it"),
            (
                "gain",
                "variance of the difference under independent luck over that under common luck; empty if it does not vary",
            ),
        ],
    );
    for difference in &summary.differences {
        table.row(vec![
            (&difference.scheme).into(),
            (&difference.against).into(),
            (&difference.group).into(),
            difference.income.value.into(),
            difference.income.low.into(),
            difference.income.high.into(),
            difference.gain.into(),
        ]);
    }
    table
}

fn game(summary: &Summary) -> Table {
    let mut table = Table::new(
        "game",
        &[
            ("pool", "name of the pool"),
            ("part", "its hashrate as a part of the network"),
            (
                "measure",
                "revenue: per hashrate of its members; infiltration: part of the network it sends to another pool",
            ),
            ("round", "round of best replies, 0 before anyone attacks; empty for the end"),
            ("other", "the pool infiltrated; empty for revenue"),
            ("value", "the number"),
            ("low", "lower end of the confidence interval of revenue as played; empty for computed numbers"),
            ("high", "upper end of it"),
        ],
    );
    let Some(game) = &summary.game else { return table };
    let empty = || Cell(String::new());
    for (index, pool) in game.pools.iter().enumerate() {
        for (round, revenues) in game.rounds.iter().enumerate() {
            let value = revenues.get(index).copied();
            table.row(vec![
                (&pool.name).into(),
                pool.part.into(),
                "revenue".into(),
                (round as u64).into(),
                empty(),
                value.into(),
                empty(),
                empty(),
            ]);
        }
        table.row(vec![
            (&pool.name).into(),
            pool.part.into(),
            "revenue".into(),
            empty(),
            empty(),
            pool.played.value.into(),
            pool.played.low.into(),
            pool.played.high.into(),
        ]);
        for (other, sent) in game.pools.iter().zip(&pool.infiltration) {
            table.row(vec![
                (&pool.name).into(),
                pool.part.into(),
                "infiltration".into(),
                empty(),
                (&other.name).into(),
                (*sent).into(),
                empty(),
                empty(),
            ]);
        }
    }
    table
}

/// A log under all schemes, tidy: one row per scheme and account.
#[must_use]
pub fn replay(comparison: &crate::replay::Comparison) -> String {
    let mut table = Table::new(
        "replay",
        &[
            ("scheme", "the scheme"),
            ("account", "the account; empty for the operator"),
            ("work", "expected blocks of work in the log"),
            ("credit", "smallest units; the operator's may be negative"),
            ("against_work", "the credit over the account's part of the work in all blocks' value"),
        ],
    );
    for (index, column) in comparison.columns.iter().enumerate() {
        for (account, ((miner, work), credit)) in comparison.accounts.iter().zip(&column.credits).enumerate()
        {
            table.row(vec![
                (&column.name).into(),
                miner.as_str().into(),
                (*work).into(),
                Cell(credit.to_string()),
                comparison.against_work(index, account).into(),
            ]);
        }
        let operator = Cell(column.operator.to_string());
        table.row(vec![(&column.name).into(), "".into(), Cell(String::new()), operator, Cell(String::new())]);
    }
    table.text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_need_it_are_quoted() {
        let mut table = Table::new("t", &[("a", ""), ("b", "")]);
        table.row(vec!["x,\"y\"".into(), f64::NAN.into()]);
        table.row(vec!["plain".into(), 0.1.into()]);
        assert_eq!(table.text, "a,b\n\"x,\"\"y\"\"\",\nplain,0.1\n");
        assert_eq!(quantile_name(0.05), "q05");
        assert_eq!(quantile_name(0.5), "q50");
    }
}
