//! A log as lines of text, and all its statements computed again from them.
//!
//! The first line names the coin and the parameters on record; every other line is a share or the conclusion of a
//! block, shares in the order of the log, conclusions in theirs, each anywhere behind the share that solved its block.
//! [`replay`] folds the lines as settlement did. Equal lines make equal statements, byte for byte, so a published
//! statement is checked by comparing bytes, and [`difference`] names the field where they part. [`Export`] makes the
//! lines from a pool's stores.

use super::accounts::{Part, PartProof};
use super::statement::{PayProof, SignedStatement};
use crate::fold::{Draft, Fold, FoldError, Folded, Scheduled};
use crate::settle::{ROWS_PER_READ, SHARES_PER_READ, SettleError, Stores, schedule};
use crate::tally::Award;
use pool_core::id::{BlockId, CoinId, MinerId, Seq, ShareSeq};
use pool_core::ledger::Cause;
use pool_core::ports::BlockList;
use pool_core::share::LoggedShare;
use pool_core::units::Amount;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeSet, VecDeque};

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
    /// Parameters stand under a name that is another's.
    #[error("parameters {version}: the hash is not theirs")]
    ParamsHash {
        /// Their number, 1 the first.
        version: usize,
    },
    /// Parameters that would work backwards.
    #[error("parameters {version}: they apply from an earlier share than those before them")]
    ParamsOrder {
        /// Their number, 1 the first.
        version: usize,
    },
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
    fn of(draft: Draft) -> Option<Self> {
        let (Cause::BlockReward(block), Some(award)) = (draft.cause, draft.award) else { return None };
        let (award, parts) = *award;
        Some(Self { block, statement: draft.memo, award, parts })
    }

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

/// A log on its way through a fold, line by line: what [`replay`] and a tool with a long file are made of.
#[derive(Debug, Default)]
pub struct Replay {
    fold: Option<Fold>,
    lines: usize,
}

impl Replay {
    /// Takes the next line as text. Returns the statements that are now complete, in the order of their chain.
    ///
    /// # Errors
    /// [`BadExport`] naming the line; what follows it cannot be replayed.
    pub fn line(&mut self, text: &str) -> Result<Vec<Replayed>, BadExport> {
        match serde_json::from_str(text) {
            Ok(line) => self.apply(line),
            Err(error) => {
                self.lines += 1;
                Err(BadExport { line: self.lines, fault: error.into() })
            }
        }
    }

    /// Takes the next line.
    ///
    /// # Errors
    /// As [`Replay::line`].
    pub fn apply(&mut self, line: Line) -> Result<Vec<Replayed>, BadExport> {
        self.lines += 1;
        self.folded(line).map_err(|fault| BadExport { line: self.lines, fault })
    }

    /// The fold so far; `None` before the first line.
    #[must_use]
    pub const fn fold(&self) -> Option<&Fold> {
        self.fold.as_ref()
    }

    fn folded(&mut self, line: Line) -> Result<Vec<Replayed>, ExportFault> {
        match (line, &mut self.fold) {
            (Line::Pool { coin, mut schedule }, None) => {
                if schedule.is_empty() {
                    return Err(ExportFault::NoParams);
                }
                if let Some(place) = schedule.iter().position(|next| next.hash != next.params.hash()) {
                    return Err(ExportFault::ParamsHash { version: place + 1 });
                }
                if let Some(place) = schedule.windows(2).position(|pair| pair[0].from > pair[1].from) {
                    return Err(ExportFault::ParamsOrder { version: place + 2 });
                }
                let first = schedule.remove(0);
                self.fold = Some(Fold::new(coin, first, schedule).map_err(FoldError::Params)?);
                Ok(Vec::new())
            }
            (Line::Share(share), Some(fold)) => {
                fold.share(&share)?;
                // Pay of shares by themselves is in no block's statement: what is not asked for is not kept.
                while fold.period().is_some() {
                    fold.skip_period();
                }
                Ok(Vec::new())
            }
            (Line::Conclusion { number, block, value }, Some(fold)) => {
                match fold.conclude(number, block, value)? {
                    Folded::Waiting => Err(ExportFault::NoShare(block)),
                    Folded::Drafts(drafts) => Ok(drafts.into_iter().filter_map(Replayed::of).collect()),
                }
            }
            (Line::Pool { .. }, Some(_)) | (Line::Share(_) | Line::Conclusion { .. }, None) => {
                Err(ExportFault::Header)
            }
        }
    }
}

/// Computes every statement of an exported log, in the order of the chain of statements.
///
/// # Errors
/// [`BadExport`] naming the first line that cannot be.
pub fn replay<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Vec<Replayed>, BadExport> {
    let mut replay = Replay::default();
    let mut replayed = Vec::new();
    for text in lines {
        replayed.append(&mut replay.line(text)?);
    }
    Ok(replayed)
}

/// A pool's stores as the lines of an export, page by page: the header, shares in their order, and each conclusion as
/// soon as the share of its block and all conclusions before it have gone out. What a running pool adds meanwhile is
/// taken in until the end of the log was seen once.
#[derive(Debug)]
pub struct Export<'a> {
    stores: Stores<'a>,
    header: Option<Line>,
    shares: ShareSeq,
    conclusions: Seq,
    /// Blocks whose share has gone out and whose conclusion has not.
    solved: BTreeSet<BlockId>,
    concluded: VecDeque<(Seq, BlockId, Amount)>,
    ended: bool,
}

impl<'a> Export<'a> {
    /// An export from the first share on.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn start(coin: CoinId, stores: Stores<'a>) -> Result<Self, SettleError> {
        let schedule = schedule(stores.ledger).await?;
        Ok(Self {
            stores,
            header: Some(Line::Pool { coin, schedule }),
            shares: ShareSeq::new(0),
            conclusions: Seq::new(0),
            solved: BTreeSet::new(),
            concluded: VecDeque::new(),
            ended: false,
        })
    }

    /// The next lines; none at the end.
    ///
    /// # Errors
    /// [`SettleError`]; [`FoldError::Pruned`] within it for a log whose beginning is gone: nobody could replay it.
    pub async fn next(&mut self) -> Result<Vec<Line>, SettleError> {
        if self.ended {
            return Ok(Vec::new());
        }
        let mut lines: Vec<Line> = self.header.take().into_iter().collect();
        let head = self.stores.shares.head().await?;
        let page = self.stores.shares.read(self.shares, SHARES_PER_READ).await?;
        if page.is_empty() && self.shares < head {
            return Err(FoldError::Pruned { from: ShareSeq::new(self.shares.get() + 1), upto: head }.into());
        }
        self.ended = page.len() < SHARES_PER_READ;
        self.look_ahead().await?;
        for share in page {
            let next = ShareSeq::new(self.shares.get() + 1);
            if share.seq != next {
                let upto = ShareSeq::new(share.seq.get().saturating_sub(1));
                return Err(FoldError::Pruned { from: next, upto }.into());
            }
            self.shares = share.seq;
            let solved = share.record.block;
            lines.push(Line::Share(share));
            if let Some(block) = solved {
                self.solved.insert(block);
                self.conclude(&mut lines).await?;
            }
        }
        Ok(lines)
    }

    async fn look_ahead(&mut self) -> Result<(), SettleError> {
        if self.concluded.is_empty() {
            let page = self.stores.blocks.list(BlockList::Concluded(self.conclusions), ROWS_PER_READ).await?;
            let concluded = page.into_iter().filter_map(|block| {
                block.conclusion.map(|(number, fate)| (number, block.found.id, fate.value()))
            });
            self.concluded = concluded.collect();
        }
        Ok(())
    }

    /// Conclusions whose blocks have all been seen.
    async fn conclude(&mut self, lines: &mut Vec<Line>) -> Result<(), SettleError> {
        loop {
            self.look_ahead().await?;
            let due = self.concluded.front().is_some_and(|(_, block, _)| self.solved.remove(block));
            let Some((number, block, value)) = due.then(|| self.concluded.pop_front()).flatten() else {
                return Ok(());
            };
            self.conclusions = number;
            lines.push(Line::Conclusion { number, block, value });
        }
    }
}

/// Where two texts of statements part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementDifference {
    /// The field, as in `splits[0].accounts.root`; `the text` where the difference is in none.
    pub place: String,
    /// What the one says there.
    pub one: String,
    /// What the other says there.
    pub other: String,
}

/// The first field in which two statements differ; `None` for equal bytes.
#[must_use]
pub fn difference(one: &str, other: &str) -> Option<StatementDifference> {
    if one == other {
        return None;
    }
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    let in_field = match (parsed(one), parsed(other)) {
        (Some(one), Some(other)) => differing_field(String::new(), &one, &other),
        _ => None,
    };
    // Equal fields in other bytes: blanks, the order of keys, or text that is no JSON.
    Some(in_field.unwrap_or_else(|| {
        let at = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
        let rest = |text: &str| match text.get(at..) {
            Some("") => "the end".into(),
            Some(rest) => rest.chars().take(40).collect(),
            None => "other bytes".into(),
        };
        StatementDifference { place: format!("byte {at} of the text"), one: rest(one), other: rest(other) }
    }))
}

fn differing_field(place: String, one: &Value, other: &Value) -> Option<StatementDifference> {
    match (one, other) {
        (Value::Object(ones), Value::Object(others)) => {
            let keys: BTreeSet<&String> = ones.keys().chain(others.keys()).collect();
            keys.into_iter().find_map(|key| {
                let dot = if place.is_empty() { "" } else { "." };
                let field = |values: &'_ serde_json::Map<String, Value>| values.get(key).cloned();
                differing_option(format!("{place}{dot}{key}"), field(ones), field(others))
            })
        }
        (Value::Array(ones), Value::Array(others)) => (0..ones.len().max(others.len())).find_map(|index| {
            let (one, other) = (ones.get(index).cloned(), others.get(index).cloned());
            differing_option(format!("{place}[{index}]"), one, other)
        }),
        _ if one == other => None,
        _ => Some(StatementDifference { place, one: one.to_string(), other: other.to_string() }),
    }
}

fn differing_option(place: String, one: Option<Value>, other: Option<Value>) -> Option<StatementDifference> {
    match (one, other) {
        (Some(one), Some(other)) => differing_field(place, &one, &other),
        (one, other) => {
            let text =
                |value: Option<Value>| value.map_or_else(|| "nothing".into(), |value| value.to_string());
            Some(StatementDifference { place, one: text(one), other: text(other) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named_by_its_field() {
        let place = |one: &str, other: &str| difference(one, other).map(|found| found.place);
        assert_eq!(place(r#"{"a":1}"#, r#"{"a":1}"#), None);
        assert_eq!(place(r#"{"a":1,"b":[{"c":2}]}"#, r#"{"a":1,"b":[{"c":3}]}"#).as_deref(), Some("b[0].c"));
        assert_eq!(place(r#"{"a":1}"#, r#"{"a":1,"b":2}"#).as_deref(), Some("b"));
        assert_eq!(place(r#"{"b":[1]}"#, r#"{"b":[]}"#).as_deref(), Some("b[0]"));
        assert_eq!(place(r#"{"a":1}"#, r#"{"a": 1}"#).as_deref(), Some("byte 5 of the text"));
        let cut = difference(r#"{"a":1}"#, r#"{"a":1"#).unwrap();
        assert_eq!(
            (cut.place.as_str(), cut.one.as_str(), cut.other.as_str()),
            ("byte 6 of the text", "}", "the end")
        );
    }
}
