//! `poolctl migrate`: brings a database to this version's schema, or says that it is there already.

use std::io::Write;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The database, as the configuration names it: sqlite:PATH.
    #[arg(default_value = "sqlite:data/pool.db")]
    store: String,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match pool_storage::migrate(&arguments.store)? {
        Some(done) => writeln!(out, "{}: {done}", arguments.store)?,
        None => writeln!(out, "{}: nothing to migrate", arguments.store)?,
    }
    Ok(ExitCode::SUCCESS)
}
