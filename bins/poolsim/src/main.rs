//! `poolsim`: reward schemes played out with the engines that pay in production. A table of contents; the commands are
//! in [`cli`].

mod cli;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Play out mining-pool reward schemes with the engines that pay in production.
#[derive(Parser)]
#[command(
    name = "poolsim",
    version,
    about,
    after_help = "Exit status: 0 done, 1 a form did not hold or something broke, 2 wrong usage, scenario or log.\n\
                  Same scenario, seed and version: the same bytes, on any number of threads."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play a scenario into a folder: summary.json, tidy CSV, SVG plots and one HTML report
    Run(cli::Run),
    /// Play every closed form out and compare: name, theory, estimate, standard error, z
    Validate(cli::Validate),
    /// Pay a real log (an export as JSON lines) under all schemes side by side
    Replay(cli::Replay),
    /// Print a commented scenario to begin with; without a name, list them
    Example(cli::Example),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(wanted) => cli::end(wanted.carry_out()),
        Command::Validate(wanted) => cli::end(wanted.carry_out()),
        Command::Replay(wanted) => cli::end(wanted.carry_out()),
        Command::Example(wanted) => cli::end(wanted.carry_out()),
    }
}
