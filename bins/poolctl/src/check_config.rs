//! `poolctl check-config`: every mistake with its key and line, then what the settings mean.

use anyhow::Context;
use poold::config::Config;
use poold::explain::explain;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The configuration file.
    #[arg(default_value = "pool.toml")]
    file: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let path = arguments.file.display();
    let source = std::fs::read_to_string(&arguments.file).with_context(|| format!("cannot read {path}"))?;
    match Config::read(&source) {
        Ok(config) => {
            let mut out = std::io::stdout().lock();
            writeln!(out, "{path}: no mistake found\n")?;
            out.write_all(explain(&config).as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(bad) => {
            for mistake in &bad.mistakes {
                eprintln!("{path}: {mistake}");
            }
            Ok(ExitCode::from(2))
        }
    }
}
