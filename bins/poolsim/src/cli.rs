//! The commands: they read files, show how far they have come, and write what the library made.
//!
//! Results go to standard output and folders; progress and errors to standard error. A bar is drawn on a terminal only.

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use poolsim::replay::{self, Candidate, Comparison, Log};
use poolsim::report;
use poolsim::run::{self, Progress};
use poolsim::scenario::{BadScenario, Scenario};
use poolsim::theory::validate::{Check, EFFORT_MIN, Z_MAX, validate};
use std::fmt;
use std::io::{self, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Why a command ends without success.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A check failed or something broke: exit status 1.
    Failed(String),
    /// Wrong usage, scenario or log: exit status 2.
    Wrong(String),
}

impl Stop {
    fn failed(error: impl std::error::Error) -> Self {
        Self::Failed(with_causes(&error))
    }
}

/// An error and everything behind it.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(behind) = cause {
        let said = behind.to_string();
        // Some errors repeat what is behind them.
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = behind.source();
    }
    text
}

/// The exit status of a command; says on standard error why it is not zero.
pub(crate) fn end(outcome: Result<(), Stop>) -> ExitCode {
    let (text, code) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Stop::Failed(text)) => (text, 1),
        Err(Stop::Wrong(text)) => (text, 2),
    };
    // Nobody to tell it to if standard error is closed.
    let _ = writeln!(io::stderr(), "error: {text}");
    ExitCode::from(code)
}

/// Writes a line to standard output; a closed pipe is a quiet end, not a failure.
fn say(line: impl fmt::Display) -> Result<(), Stop> {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Stop::failed(error)),
        _ => Ok(()),
    }
}

fn read(path: &Path) -> Result<String, Stop> {
    std::fs::read_to_string(path)
        .map_err(|error| Stop::Wrong(format!("cannot read {}: {error}", path.display())))
}

/// A bar with an estimate on a terminal; nothing elsewhere.
fn bar(length: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = "{elapsed_precise} [{wide_bar}] {pos}/{len} {msg} about {eta} left";
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// `run SCENARIO`.
#[derive(Args)]
pub(crate) struct Run {
    /// The scenario, as TOML; `poolsim example` prints some
    scenario: PathBuf,
    /// The folder for the result, made if need be
    #[arg(long, short)]
    out: PathBuf,
    /// Threads; 0 is one per core. The result does not depend on it
    #[arg(long, short, default_value_t = 0)]
    threads: usize,
    /// Another seed than the scenario's
    #[arg(long, short)]
    seed: Option<u64>,
    /// Another number of replications than the scenario's
    #[arg(long, short)]
    replications: Option<u64>,
}

/// Shows replications on a bar.
struct Shown(ProgressBar);

impl Progress for Shown {
    fn replications(&self, done: u64, total: u64, half_width: Option<f64>) {
        self.0.set_length(total);
        self.0.set_position(done);
        if let Some(width) = half_width {
            self.0.set_message(format!("runs, known to ±{:.2} %,", width * 100.0));
        }
    }
}

impl Run {
    pub(crate) fn carry_out(self) -> Result<(), Stop> {
        let scenario = self.scenario()?;
        let bar = bar(scenario.replications);
        bar.set_message("runs,");
        let summary = run::run(&scenario, self.threads, &Shown(bar.clone())).map_err(Stop::failed)?;
        bar.finish_and_clear();
        let files = report::files(&summary);
        report::write(&self.out, &files).map_err(Stop::failed)?;
        let said = report::verdict(&summary);
        say(&said.first)?;
        for sentence in &said.more {
            say(sentence)?;
        }
        say(format_args!("{} files in {}; look at report.html first", files.len(), self.out.display()))
    }

    /// The scenario with the numbers of the command line in its text, so that the text in the result says all.
    fn scenario(&self) -> Result<Scenario, Stop> {
        let text = read(&self.scenario)?;
        let folder = self.scenario.parent().unwrap_or(Path::new(""));
        let scenario = parsed(&self.scenario, &text, folder)?;
        let mut changed = text.clone();
        for (key, value) in [("seed", self.seed), ("replications", self.replications)] {
            if let Some(value) = value {
                changed = with_key(&changed, key, value);
            }
        }
        if changed == text { Ok(scenario) } else { parsed(&self.scenario, &changed, folder) }
    }
}

fn parsed(path: &Path, text: &str, folder: &Path) -> Result<Scenario, Stop> {
    Scenario::parse(text, folder).map_err(|BadScenario { mistakes }| {
        let lines: Vec<String> =
            mistakes.iter().map(|mistake| format!("{}, {mistake}", path.display())).collect();
        Stop::Wrong(lines.join("\nerror: "))
    })
}

/// The text with a number at the top: in place of the one that is there, or on a first line of its own.
fn with_key(text: &str, key: &str, value: u64) -> String {
    let span = toml::de::DeTable::parse(text).ok().and_then(|table| {
        let found = table.get_ref().iter().find(|(name, _)| name.get_ref() == key);
        found.map(|(_, value)| value.span())
    });
    match span {
        Some(span) => format!("{}{value}{}", &text[..span.start], &text[span.end..]),
        None => format!("{key} = {value}\n{text}"),
    }
}

/// `validate`.
#[derive(Args)]
pub(crate) struct Validate {
    /// The seed
    #[arg(long, short, default_value_t = 1)]
    seed: u64,
    /// How many samples: 1 takes some seconds of an optimised build, 100 ten times smaller errors
    #[arg(long, short, default_value_t = 1.0, value_parser = effort)]
    effort: f64,
}

fn effort(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(effort) if (EFFORT_MIN..=1e6).contains(&effort) => Ok(effort),
        _ => Err(format!("must be a number between {EFFORT_MIN} and 1000000")),
    }
}

impl Validate {
    pub(crate) fn carry_out(self) -> Result<(), Stop> {
        let bar = bar(0);
        bar.set_message("batches,");
        let checks = validate(self.seed, self.effort, &|done, total| {
            bar.set_length(total as u64);
            // Batches end on many threads; the bar only moves on.
            bar.set_position(bar.position().max(done as u64));
        });
        bar.finish_and_clear();
        let mut group = "";
        for check in &checks {
            if check.group != group {
                group = check.group;
                say(format_args!("\n{group}"))?;
                say(format_args!(
                    "  {:<62} {:>12} {:>12} {:>11} {:>7}",
                    "form", "theory", "estimate", "std. error", "z"
                ))?;
            }
            let mark = if check.holds() { "" } else { "  does not hold" };
            say(format_args!(
                "  {:<62} {:>12.6} {:>12.6} {:>11.6} {:>7.2}{mark}",
                check.name,
                check.theory,
                check.estimate,
                check.standard_error,
                check.z()
            ))?;
        }
        let failed = checks.iter().filter(|check| !check.holds()).count();
        let worst = checks.iter().map(|check| check.z().abs()).fold(0.0, f64::max);
        say(format_args!(
            "\n{} forms, seed {}, {} samples; the greatest |z| is {worst:.2}",
            checks.len(),
            self.seed,
            checks.iter().map(|check: &Check| check.samples).sum::<u64>()
        ))?;
        if failed == 0 {
            Ok(())
        } else {
            Err(Stop::Failed(format!(
                "{failed} of {} forms are off by more than {Z_MAX} standard errors",
                checks.len()
            )))
        }
    }
}

/// `replay LOG`.
#[derive(Args)]
pub(crate) struct Replay {
    /// The log: JSON lines as an export writes them; `-` for standard input
    log: PathBuf,
    /// Take the schemes of this scenario instead of the usual ones
    #[arg(long)]
    scenario: Option<PathBuf>,
    /// Also write replay.csv and replay.html into this folder
    #[arg(long, short)]
    out: Option<PathBuf>,
}

impl Replay {
    pub(crate) fn carry_out(self) -> Result<(), Stop> {
        let wrong = |error: &dyn std::error::Error| Stop::Wrong(format!("{}, {error}", self.log.display()));
        let log = if self.log.as_os_str() == "-" {
            Log::read(io::stdin().lock())
        } else {
            let file = std::fs::File::open(&self.log)
                .map_err(|error| Stop::Wrong(format!("cannot read {}: {error}", self.log.display())))?;
            Log::read(BufReader::new(file))
        };
        let log = log.map_err(|error| wrong(&error))?;
        let mut candidates = replay::usual(&log);
        if let Some(path) = &self.scenario {
            let scenario = parsed(path, &read(path)?, path.parent().unwrap_or(Path::new("")))?;
            candidates.retain(|candidate| candidate.rule.is_none());
            candidates.extend(
                scenario
                    .schemes
                    .into_iter()
                    .map(|scheme| Candidate { name: scheme.name, rule: Some(scheme.params.rule) }),
            );
        }
        let compared = replay::compare(&log, &candidates).map_err(|error| wrong(&error))?;
        print(&compared)?;
        let Some(folder) = &self.out else { return Ok(()) };
        let files = [
            ("replay.csv".to_owned(), report::replay_table(&compared).into_bytes()),
            ("replay.html".to_owned(), report::replay_page(&compared).into_bytes()),
        ];
        report::write(folder, &files).map_err(Stop::failed)?;
        say(format_args!("replay.csv and replay.html are in {}", folder.display()))
    }
}

/// The comparison as a table: a row per account, a column per scheme.
fn print(compared: &Comparison) -> Result<(), Stop> {
    let columns = &compared.columns;
    let mut rows: Vec<Vec<String>> = vec![vec!["account".to_owned(), "work".to_owned()]];
    rows[0].extend(columns.iter().map(|column| column.name.clone()));
    for (index, (miner, work)) in compared.accounts.iter().enumerate() {
        let mut row = vec![miner.to_string(), format!("{:.3} %", work / compared.work * 100.0)];
        row.extend(columns.iter().map(|column| column.credits[index].to_string()));
        rows.push(row);
    }
    let mut operator = vec!["(operator)".to_owned(), String::new()];
    operator.extend(columns.iter().map(|column| column.operator.to_string()));
    rows.push(operator);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    for row in &rows {
        let mut line = format!("{:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            line += &format!("  {cell:>width$}");
        }
        say(line)?;
    }
    say(format_args!(
        "\n{}: {} shares, {:.3} expected blocks of work; {} blocks found, {} concluded, worth {} smallest units",
        compared.coin, compared.shares, compared.work, compared.found, compared.concluded, compared.value
    ))
}

/// `example NAME`.
#[derive(Args)]
pub(crate) struct Example {
    /// Which one
    name: Option<String>,
}

/// The scenarios that come along: name, what it is about, text.
const EXAMPLES: [(&str, &str, &str); 5] = [
    ("full", "every key there is, explained", include_str!("../scenarios/full.toml")),
    (
        "hopping",
        "what hopping takes from a PROP pool, and from windows of work",
        include_str!("../scenarios/hopping.toml"),
    ),
    (
        "fpps-kaspa",
        "an hour's income as the reserve of an FPPS pool on Kaspa",
        include_str!("../scenarios/fpps-kaspa.toml"),
    ),
    ("fpps-nexa", "a day's income on Nexa, which is 72 blocks", include_str!("../scenarios/fpps-nexa.toml")),
    (
        "alephium-chains",
        "what rounds per chain give a miner who picks the chain",
        include_str!("../scenarios/alephium-chains.toml"),
    ),
];

impl Example {
    pub(crate) fn carry_out(self) -> Result<(), Stop> {
        let Some(wanted) = self.name else {
            for (name, about, _) in EXAMPLES {
                say(format_args!("{name:<16} {about}"))?;
            }
            return Ok(());
        };
        let found = EXAMPLES.iter().find(|(name, ..)| *name == wanted);
        let names = || EXAMPLES.map(|(name, ..)| name).join(", ");
        let (.., text) = found
            .ok_or_else(|| Stop::Wrong(format!("there is no example {wanted:?}; there are: {}", names())))?;
        say(text.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_command_line_stand_in_the_text() {
        assert_eq!(
            with_key("a = 1\nseed = 5 # old\n[t]\nseed = 6\n", "seed", 9),
            "a = 1\nseed = 9 # old\n[t]\nseed = 6\n"
        );
        assert_eq!(with_key("[t]\nseed = 6\n", "seed", 9), "seed = 9\n[t]\nseed = 6\n");
    }

    #[test]
    fn every_example_is_a_scenario() {
        for (name, _, text) in EXAMPLES {
            let scenario = Scenario::parse(text, Path::new("scenarios"));
            assert!(scenario.is_ok(), "{name}: {}", scenario.unwrap_err());
        }
    }
}
