//! `poolctl reference`: reads the list of blocks by which FPPS pays a period, and says what it makes of it.

use crate::records;
use anyhow::Context;
use pool_rewards::reference::Reference;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The list, {"period_ms":…,"number":…,"blocks":[{"id":HEX32,"height":…,"subsidy":…,"fees":…}…]}: a file, or - for
    /// standard input.
    list: PathBuf,
    /// How many blocks of the lowest and of the highest fees are dropped.
    #[arg(long, default_value_t = 0)]
    trim: u32,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let place = arguments.list.display();
    let text = records::read(&arguments.list)?;
    let list: Reference =
        serde_json::from_str(&text).with_context(|| format!("{place}: not a list of blocks"))?;
    let rate = list.rate(arguments.trim).with_context(|| place.to_string())?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} blocks, to go on record as {}", list.blocks().len(), list.cause())?;
    writeln!(out, "hash {}", list.hash())?;
    writeln!(out, "{} blocks without {} at each end paid {} units", rate.blocks, arguments.trim, rate.value)?;
    let mean = rate.value.get() / u128::from(rate.blocks.max(1));
    writeln!(out, "an expected block is worth {mean} units, rounded down")?;
    Ok(ExitCode::SUCCESS)
}
