//! `poolctl`: the operator's and integrator's tool. A table of contents; each command is a module.

mod address;
mod audit;
mod bench;
mod check_config;
mod export;
mod lines;
mod migrate;
mod mine;
mod pow;
mod prove;
mod records;
mod reference;
mod replay;
mod split;
mod statement;
mod verify;

use clap::{Parser, Subcommand};
use poold::chains::CoinName;
use std::process::ExitCode;

/// Check, compute, audit, mine and load a mining pool.
#[derive(Parser)]
#[command(
    name = "poolctl",
    version,
    about,
    after_help = "Exit status: 0 done, 1 a check failed or something broke, 2 wrong usage or configuration."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Explain every mistake of a configuration with its key and line, and what the settings mean
    CheckConfig(check_config::Arguments),
    /// Bring a database to this version's schema
    Migrate(migrate::Arguments),
    /// Mine on the CPU through stratum, to try a pool out
    Mine(mine::Arguments),
    /// Load a pool with connections and shares and measure it
    Bench(bench::Arguments),
    /// Compute every split and every balance again from the log; exit 0 only if all are equal
    Audit(audit::Arguments),
    /// Write a pool's log as lines that anyone can replay, and the statements of its blocks
    Export(export::Arguments),
    /// Make the operator's key for statements, and show its public half
    SignKey(statement::KeyArguments),
    /// Sign the statement of a block, or of all
    Statement(statement::Arguments),
    /// Compute a block's statement again from an exported log; exit 0 only if the bytes are equal
    Replay(replay::Arguments),
    /// Make one miner's proof of what a block paid him
    Prove(prove::Arguments),
    /// Check one miner's pay from the signed statement and the proof alone
    Verify(verify::Arguments),
    /// Say what a day's list of blocks makes an expected block worth under FPPS
    Reference(reference::Arguments),
    /// Hash solutions: JSON objects on standard input, one a line, to JSON objects
    ///
    /// kaspa: {"pre_pow":HEX32,"timestamp":MS,"nonce":HEX8} gives {"pow":HEX32}, the raw bytes of the hash.
    /// alephium: {"nonce":HEX24,"header_blob":HEX} gives {"pow":HEX32,"from":N,"to":N}.
    /// nexa: {"commitment":HEX32 in hashing order,"nonce":HEX} gives {"pow":HEX32 or null}.
    /// hypra: {"block":N,"header":HEX32,"nonce":HEX8} gives {"mix":HEX32,"result":HEX32}.
    /// dynex: {"blob":HEX} gives {"pow":HEX32}. HEX32 is 32 bytes in 64 digits.
    Pow {
        /// The coin.
        coin: CoinName,
    },
    /// Judge addresses: one a line on standard input, to {"address":…,"valid":…,"reason":…}
    Address {
        /// The coin.
        coin: CoinName,
    },
    /// Split rewards: a case {"scheme":…,"inputs":…} a line, to its allocations, in exact rationals
    Split,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::CheckConfig(arguments) => check_config::run(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Mine(arguments) => mine::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::SignKey(arguments) => statement::make_key(&arguments),
        Command::Statement(arguments) => statement::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Prove(arguments) => prove::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Reference(arguments) => reference::run(&arguments),
        Command::Pow { coin } => lines::answer(pow::answers(coin)),
        Command::Address { coin } => lines::answer(move |line| Ok(address::answer(coin, line))),
        Command::Split => lines::answer(split::case),
    };
    result.unwrap_or_else(|error| {
        eprintln!("poolctl: {error:#}");
        ExitCode::FAILURE
    })
}
