//! Structured logs on standard error. Nothing below `debug` holds an address of a miner's machine or purse.

use crate::config::LogConfig;
use anyhow::Context;
use tracing_subscriber::EnvFilter;

/// Starts logging for this process; once.
///
/// # Errors
/// A filter that cannot be read.
pub fn start(config: &LogConfig) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(&config.filter).with_context(|| format!("log.filter {:?}", config.filter))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if config.json { builder.json().try_init() } else { builder.with_target(false).try_init() };
    started.map_err(|error| anyhow::anyhow!("logging: {error}"))
}
