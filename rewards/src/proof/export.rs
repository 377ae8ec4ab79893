//! A log as lines of text, and all its statements computed again from them.
//!
//! The first line names the coin and the parameters on record; every other line is a share or the conclusion of a
//! block, shares in the order of the log, conclusions in theirs, each anywhere behind the share that solved its block.
//! [`replay`] folds the lines as settlement did. Equal lines make equal statements, byte for byte, so a published
//! statement is checked by comparing bytes.

use super::accounts::{Part, PartProof};
use super::statement::{PayProof, SignedStatement};
use crate::fold::{Fold, FoldError, Folded, Scheduled};
use crate::tally::Award;
use pool_core::id::{BlockId, CoinId, MinerId, Seq};
use pool_core::ledger::Cause;
use pool_core::share::LoggedShare;
use pool_core::units::Amount;
use serde::{Deserialize, Serialize};

/// One line of an exported log, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Line {
    /// The first line.
    Pool {
        /// The coin.
        coin: CoinId,
        /// All parameters on record, in order.
        schedule: Vec<Scheduled>,
    },
    /// A share.
    Share(LoggedShare),
    /// A block's end.
    Conclusion {
        /// Its number among all conclusions.
        number: Seq,
        /// The block.
        block: BlockId,
        /// What the chain paid; zero for a lost block.
        value: Amount,
    },
}

/// Why lines cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct BadExport {
    /// The line, 1 the first.
    pub line: usize,
    /// What is wrong with it.
    pub fault: ExportFault,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportFault {
    /// It is no line of an export.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The first line must name the pool, and no other line may.
    #[error("the pool and its parameters must stand in the first line, and there alone")]
    Header,
    /// No parameters are on record.
    #[error("no parameters are on record")]
    NoParams,
    /// It cannot follow the lines before it.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// A block was concluded whose share has not come.
    #[error("block {0} is concluded before its share")]
    NoShare(BlockId),
}

/// A block's statement computed again.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The block.
    pub block: BlockId,
    /// The statement's canonical text.
    pub statement: String,
    /// What was decided.
    pub award: Award,
    /// Every account's part in each of its splits.
    pub parts: Vec<Vec<Part>>,
}

impl Replayed {
    /// One account's proof under a signed statement of this block; `None` if it has no part.
    #[must_use]
    pub fn prove(&self, signed: SignedStatement, miner: &MinerId) -> Option<PayProof> {
        let mut parts = Vec::new();
        for (split, all) in self.parts.iter().enumerate() {
            let own = all.iter().enumerate().filter(|(_, part)| part.miner == *miner);
            parts.extend(own.filter_map(|(index, _)| PartProof::of(split, all, index)));
        }
        (!parts.is_empty()).then_some(PayProof { signed, parts })
    }
}

/// Computes every statement of an exported log, in the order of the chain of statements.
///
/// # Errors
/// [`BadExport`] naming the first line that cannot be.
pub fn replay<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Vec<Replayed>, BadExport> {
    let mut fold: Option<Fold> = None;
    let mut replayed = Vec::new();
    for (index, text) in lines.into_iter().enumerate() {
        let bad = |fault: ExportFault| BadExport { line: index + 1, fault };
        let line: Line = serde_json::from_str(text).map_err(|error| bad(error.into()))?;
        match (line, &mut fold) {
            (Line::Pool { coin, mut schedule }, None) => {
                if schedule.is_empty() {
                    return Err(bad(ExportFault::NoParams));
                }
                let first = schedule.remove(0);
                let started =
                    Fold::new(coin, first, schedule).map_err(|error| FoldError::Params(error).into());
                fold = Some(started.map_err(bad)?);
            }
            (Line::Share(share), Some(fold)) => fold.share(&share).map_err(|error| bad(error.into()))?,
            (Line::Conclusion { number, block, value }, Some(fold)) => {
                match fold.conclude(number, block, value).map_err(|error| bad(error.into()))? {
                    Folded::Waiting => return Err(bad(ExportFault::NoShare(block))),
                    Folded::Drafts(drafts) => {
                        for draft in drafts {
                            if let (Cause::BlockReward(block), Some(award)) = (draft.cause, draft.award) {
                                let (award, parts) = *award;
                                replayed.push(Replayed { block, statement: draft.memo, award, parts });
                            }
                        }
                    }
                }
            }
            (Line::Pool { .. }, Some(_)) | (Line::Share(_) | Line::Conclusion { .. }, None) => {
                return Err(bad(ExportFault::Header));
            }
        }
    }
    Ok(replayed)
}
