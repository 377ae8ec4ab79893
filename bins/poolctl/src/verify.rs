//! `poolctl verify`: one miner's pay, checked from the signed statement and the proof alone.

use crate::records;
use anyhow::Context;
use pool_core::id::MinerId;
use pool_rewards::proof::export::difference;
use pool_rewards::proof::statement::PayProof;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The proof: a file, or - for standard input.
    proof: PathBuf,
    /// The signed statement as the pool published it: the proof must be of this one. Without it the one inside counts.
    #[arg(long)]
    statement: Option<PathBuf>,
    /// The operator's public key, 64 hexadecimal digits or a file of them.
    #[arg(long)]
    key: Option<String>,
    /// Whose proof it must be.
    #[arg(long)]
    miner: Option<MinerId>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let place = arguments.proof.display();
    let proof: PayProof = serde_json::from_str(&records::read(&arguments.proof)?)
        .with_context(|| format!("{place}: not a proof of pay"))?;
    let key = arguments.key.as_deref().map(records::public_key).transpose()?;
    if let Some(path) = &arguments.statement {
        let published = records::published(path)?;
        let same = |text: &str| difference(text, &proof.signed.statement);
        let differences: Vec<_> =
            published.iter().map(|published| (published, same(&published.text))).collect();
        if differences.iter().all(|(_, difference)| difference.is_some()) {
            for (published, found) in differences {
                let Some(found) = found else { continue };
                writeln!(
                    out,
                    "NOT PROVED: the proof is of another statement: at {} {} says {}, {place} says {}",
                    found.place, published.place, found.one, found.other
                )?;
            }
            return Ok(ExitCode::FAILURE);
        }
        for (published, _) in differences.iter().filter(|(_, difference)| difference.is_none()) {
            let Some(signed) = &published.signed else { continue };
            if let Err(fault) = signed.verify(key.as_ref()) {
                writeln!(out, "NOT PROVED: {}: {fault}", published.place)?;
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    let pay = match proof.verify(key.as_ref()) {
        Ok(pay) => pay,
        Err(fault) => {
            writeln!(out, "NOT PROVED: {place}: {fault}")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    if let Some(miner) = arguments.miner.as_ref().filter(|miner| **miner != pay.miner) {
        writeln!(out, "NOT PROVED: {place}: it is of {} and not of {miner}", pay.miner)?;
        return Ok(ExitCode::FAILURE);
    }
    let statement = &pay.statement;
    writeln!(
        out,
        "proved: {} gets {} units of {} block {}, {} units of fees taken off",
        pay.miner, pay.net, statement.coin, statement.block, pay.fees
    )?;
    for part in &proof.parts {
        let Some(split) = statement.splits.get(part.split) else { continue };
        writeln!(
            out,
            "  split {}: {} of {} units of weight in a window of {} to {}: {} of {} units of money",
            part.split,
            part.part.weight.to_bits(),
            split.budget.to_bits(),
            split.from.to_bits(),
            split.to.to_bits(),
            part.part.gross,
            split.amount
        )?;
    }
    if statement.finder == pay.miner && !statement.bonus.is_zero() {
        writeln!(out, "  the finder's bonus: {}", statement.bonus)?;
    }
    let signer = &proof.signed.key;
    match key {
        Some(_) => writeln!(out, "signed by the key given")?,
        None => writeln!(out, "signed by {signer}: compare it with the key that the pool publishes")?,
    }
    Ok(ExitCode::SUCCESS)
}
