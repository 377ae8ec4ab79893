//! The pool. A table of contents: what each command does is in the library beside it.

use clap::{Parser, Subcommand};
use poold::{demo, run};
use std::process::ExitCode;

/// A mining pool: every role in one process, on one SQLite file.
#[derive(Parser)]
#[command(
    name = "poold",
    version,
    about,
    after_help = "Exit status: 0 stopped as asked, 1 cannot start, 2 wrong usage or configuration, 75 stopped by a fault: start it again."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A complete pool with its own development node and CPU miner, all on this machine
    Demo(demo::Arguments),
    /// The pool of a configuration file, against real nodes
    Run(run::Arguments),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Demo(arguments) => demo::main(&arguments),
        Command::Run(arguments) => run::main(&arguments),
    }
}
