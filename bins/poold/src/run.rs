//! `poold run`: the pool of a configuration file.

use crate::chains::Chain;
use crate::config::Config;
use crate::pool;
use crate::roles::Stop;
use anyhow::Context;
use std::path::PathBuf;
use std::process::ExitCode;

/// A fault that a new start may heal (`EX_TEMPFAIL`): what a supervisor restarts on.
pub const EXIT_FAULT: u8 = 75;

/// What `poold run` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration file; pool.example.toml explains every key.
    #[arg(long, default_value = "pool.toml")]
    config: PathBuf,
}

/// Reads the configuration, runs the pool until a signal, and says how it ended.
#[must_use]
pub fn main(arguments: &Arguments) -> ExitCode {
    let path = arguments.config.display();
    let source = match std::fs::read_to_string(&arguments.config) {
        Ok(source) => source,
        Err(error) => {
            eprintln!("poold: cannot read {path}: {error}");
            return ExitCode::from(2);
        }
    };
    let config = match Config::read(&source) {
        Ok(config) => config,
        Err(bad) => {
            for mistake in &bad.mistakes {
                eprintln!("{path}: {mistake}");
            }
            return ExitCode::from(2);
        }
    };
    finish(block_on(config, |config, stop| pool::run(config, Chain::Public, stop)))
}

/// Logs, a runtime, the signals; then whatever is to run.
///
/// # Errors
/// What it says.
pub fn block_on<F: Future<Output = anyhow::Result<()>>>(
    config: Config,
    work: impl FnOnce(Config, Stop) -> F,
) -> anyhow::Result<()> {
    crate::log::start(&config.log)?;
    let threads = config.threads.unwrap_or_else(threads_default);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = runtime.context("no runtime")?;
    runtime.block_on(async {
        let (sender, stop) = Stop::channel();
        tokio::spawn(async move {
            signal().await;
            tracing::info!("stopping; a second signal stops at once");
            sender.send_replace(true);
            signal().await;
            std::process::exit(130);
        });
        work(config, stop).await
    })
}

/// One core is left to the store's own threads and to the kernel: measured with 5000 shares a second on two cores, one
/// worker thread costs a fifth less per share than two.
fn threads_default() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

/// The exit status of a run.
#[must_use]
pub fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("poold: {error:#}");
            let fault = error.downcast_ref::<crate::roles::Fatal>().is_some();
            if fault { ExitCode::from(EXIT_FAULT) } else { ExitCode::FAILURE }
        }
    }
}

/// Resolves on Ctrl-C or a termination request.
async fn signal() {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::warn!(%error, "termination requests are not heard");
            let _ = tokio::signal::ctrl_c().await;
            return;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
