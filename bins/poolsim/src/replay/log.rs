//! Reading an export, line by line, and refusing what cannot be.

use pool_core::id::{BlockId, CoinId, MinerId, Seq, ShareSeq};
use pool_core::share::LoggedShare;
use pool_core::units::{Amount, Units, Work};
use pool_rewards::fold::Scheduled;
use pool_rewards::proof::export::Line;
use pool_rewards::scheme::{BadParams, Rule};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::BufRead;

/// Neighbouring shares of one chain whose network difficulties differ by more than this factor are a mistake in the
/// log: no chain's rule moves it so far at once.
pub const JUMP_MAX: u128 = 1 << 16;

/// Blocks worth this or more would not sum.
const VALUE_MAX: u128 = 1 << 120;

/// A share, of what decides pay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// Index into [`Log::miners`].
    pub(super) miner: u32,
    /// Index into [`Log::blocks`].
    pub(super) block: Option<u32>,
    pub(super) millis: u64,
    pub(super) work: Work,
    pub(super) units: Units,
}

/// A line behind the first.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Share(Share),
    Conclusion { block: u32, value: Amount },
}

/// A whole log, checked.
#[derive(Debug)]
pub struct Log {
    pub(super) coin: CoinId,
    pub(super) schedule: Vec<Scheduled>,
    pub(super) miners: Vec<MinerId>,
    pub(super) blocks: Vec<BlockId>,
    pub(super) events: Vec<Event>,
    pub(super) shares: u64,
    pub(super) concluded: u64,
    pub(super) paid_blocks: u64,
    pub(super) value: Amount,
    span: Option<(u64, u64)>,
}

/// A line that cannot be believed.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct BadLog {
    /// The line, 1 the first.
    pub line: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It could not be read, or is no text.
    #[error("cannot be read")]
    Unreadable(#[from] std::io::Error),
    /// It is no line of an export.
    #[error("is no line of an export: {0}")]
    Json(#[from] serde_json::Error),
    /// The first line must name the pool, and no other line may.
    #[error("the pool and its parameters must stand in the first line, and there alone")]
    Header,
    /// The file is empty.
    #[error("the log is empty")]
    Empty,
    /// There is no share.
    #[error("the log ends here without a single share")]
    NoShares,
    /// No parameters are on record.
    #[error("no parameters are on record")]
    NoParams,
    /// Parameters on record cannot be.
    #[error("the pool's parameters {index}: {source}")]
    Params {
        /// Which, 1 the first.
        index: usize,
        /// Why.
        source: BadParams,
    },
    /// Parameters do not have the hash they are recorded with, or come into force out of order.
    #[error("the pool's parameters {index} {what}")]
    Schedule {
        /// Which, 1 the first.
        index: usize,
        /// What is wrong with them.
        what: &'static str,
    },
    /// Shares are missing.
    #[error("share {found} cannot follow share {last}: shares are missing between them")]
    Gap {
        /// The last share.
        last: ShareSeq,
        /// The one that came.
        found: ShareSeq,
    },
    /// A share came twice, or out of order.
    #[error("share {found} comes again after share {last}")]
    Repeated {
        /// The last share.
        last: ShareSeq,
        /// The one that came.
        found: ShareSeq,
    },
    /// One solution under two numbers.
    #[error("share {0} is the same solution as share {1}")]
    SameSolution(ShareSeq, ShareSeq),
    /// Two shares that solved one block.
    #[error("block {0} was found before")]
    RepeatedBlock(BlockId),
    /// A block that no share before it solved.
    #[error("block {0} is concluded, and no share before solved it")]
    UnknownBlock(BlockId),
    /// A block was concluded a second time.
    #[error("block {0} was concluded before")]
    ConcludedBefore(BlockId),
    /// A conclusion is missing, or came twice.
    #[error("conclusion {found} cannot follow conclusion {last}")]
    ConclusionGap {
        /// The last conclusion.
        last: Seq,
        /// The one that came.
        found: Seq,
    },
    /// A share of no weight.
    #[error("share {0} stands for no part of a block: its difficulty is zero")]
    Weightless(ShareSeq),
    /// A share above one block.
    #[error("share {0} stands for more than a whole block")]
    HeavyShare(ShareSeq),
    /// A network difficulty out of all proportion.
    #[error("share {seq} makes the network's difficulty {factor} times what it was one share before")]
    Difficulty {
        /// The share.
        seq: ShareSeq,
        /// The factor, or one over it: above [`JUMP_MAX`].
        factor: u128,
    },
    /// A block value past any range.
    #[error("block {0} is worth 2^120 or more of the smallest unit, or all blocks together are")]
    Value(BlockId),
    /// More lines, accounts or blocks than can be numbered.
    #[error("the log is longer than 2^32 lines")]
    Long,
}

/// What was seen so far, for what only a look back can tell.
#[derive(Default)]
struct Seen {
    miners: HashMap<MinerId, u32>,
    /// Index, and whether it is concluded.
    blocks: HashMap<BlockId, (u32, bool)>,
    /// Two independent hashes of each solution: what is equal by both is equal.
    solutions: HashMap<(u64, u64), ShareSeq>,
    keys: (RandomState, RandomState),
    share: ShareSeq,
    conclusion: Seq,
    /// Expected hashes per block at each chain's last share.
    difficulty: HashMap<u16, u128>,
}

impl Log {
    /// Reads and checks a whole export.
    ///
    /// # Errors
    /// [`BadLog`] naming the first line that cannot be.
    pub fn read(source: impl BufRead) -> Result<Self, BadLog> {
        let mut log: Option<Self> = None;
        let mut seen = Seen::default();
        let mut line = 0;
        for text in source.lines() {
            line += 1;
            let bad = |fault: Fault| BadLog { line, fault };
            let text = text.map_err(|error| bad(error.into()))?;
            let parsed: Line = serde_json::from_str(&text).map_err(|error| bad(error.into()))?;
            match (parsed, &mut log) {
                (Line::Pool { coin, schedule }, None) => log = Some(Self::open(coin, schedule).map_err(bad)?),
                (Line::Share(share), Some(log)) => log.share(&mut seen, &share).map_err(bad)?,
                (Line::Conclusion { number, block, value }, Some(log)) => {
                    log.conclusion(&mut seen, number, block, value).map_err(bad)?;
                }
                (Line::Pool { .. }, Some(_)) | (Line::Share(_) | Line::Conclusion { .. }, None) => {
                    return Err(bad(Fault::Header));
                }
            }
        }
        match log {
            None => Err(BadLog { line: 1, fault: Fault::Empty }),
            Some(log) if log.shares == 0 => Err(BadLog { line, fault: Fault::NoShares }),
            Some(log) => Ok(log),
        }
    }

    /// The pool's first rule.
    #[must_use]
    pub fn own_rule(&self) -> &Rule {
        &self.schedule[0].params.rule
    }

    /// The mean value of concluded blocks that were paid anything; `None` without one.
    #[must_use]
    pub fn mean_paid(&self) -> Option<Amount> {
        self.mean(self.paid_blocks)
    }

    /// The mean value of all concluded blocks, lost ones at zero; `None` without one that was paid anything.
    #[must_use]
    pub fn mean_concluded(&self) -> Option<Amount> {
        self.mean(self.concluded)
    }

    fn mean(&self, blocks: u64) -> Option<Amount> {
        let mean = self.value.get().checked_div(u128::from(blocks))?;
        (mean > 0).then_some(Amount::new(mean))
    }

    /// Milliseconds from the earliest to the latest share.
    pub(super) fn millis(&self) -> u64 {
        self.span.map_or(0, |(first, last)| last - first)
    }

    fn open(coin: CoinId, schedule: Vec<Scheduled>) -> Result<Self, Fault> {
        if schedule.is_empty() {
            return Err(Fault::NoParams);
        }
        for (index, scheduled) in (1..).zip(&schedule) {
            scheduled.params.validate().map_err(|source| Fault::Params { index, source })?;
            if scheduled.hash != scheduled.params.hash() {
                return Err(Fault::Schedule { index, what: "are not those their hash is of" });
            }
        }
        if let Some(index) = schedule.windows(2).position(|pair| pair[1].from < pair[0].from) {
            return Err(Fault::Schedule {
                index: index + 2,
                what: "come into force before those before them",
            });
        }
        Ok(Self {
            coin,
            schedule,
            miners: Vec::new(),
            blocks: Vec::new(),
            events: Vec::new(),
            shares: 0,
            concluded: 0,
            paid_blocks: 0,
            value: Amount::ZERO,
            span: None,
        })
    }

    fn share(&mut self, seen: &mut Seen, share: &LoggedShare) -> Result<(), Fault> {
        let LoggedShare { seq, record } = share;
        let (last, found) = (seen.share, *seq);
        if found <= last {
            return Err(Fault::Repeated { last, found });
        }
        if found.get() != last.get() + 1 {
            return Err(Fault::Gap { last, found });
        }
        if record.units == Units::ZERO {
            return Err(Fault::Weightless(found));
        }
        if record.units > Units::BLOCK {
            return Err(Fault::HeavyShare(found));
        }
        seen.difficulty(record.chain, record.work, record.units)
            .map_err(|factor| Fault::Difficulty { seq: found, factor })?;
        let solution = (seen.keys.0.hash_one(&record.evidence), seen.keys.1.hash_one(&record.evidence));
        if let Some(before) = seen.solutions.insert(solution, found) {
            return Err(Fault::SameSolution(found, before));
        }
        let block = match record.block {
            None => None,
            Some(id) => {
                let index = u32::try_from(self.blocks.len()).map_err(|_| Fault::Long)?;
                if seen.blocks.insert(id, (index, false)).is_some() {
                    return Err(Fault::RepeatedBlock(id));
                }
                self.blocks.push(id);
                Some(index)
            }
        };
        let next = u32::try_from(self.miners.len()).map_err(|_| Fault::Long)?;
        let miner = *seen.miners.entry(record.worker.miner.clone()).or_insert_with(|| {
            self.miners.push(record.worker.miner.clone());
            next
        });
        seen.share = found;
        self.shares += 1;
        let millis = record.at.millis();
        self.span =
            Some(self.span.map_or((millis, millis), |(first, last)| (first.min(millis), last.max(millis))));
        self.events.push(Event::Share(Share {
            miner,
            block,
            millis,
            work: record.work,
            units: record.units,
        }));
        Ok(())
    }

    fn conclusion(&mut self, seen: &mut Seen, number: Seq, id: BlockId, value: Amount) -> Result<(), Fault> {
        if number.get() != seen.conclusion.get() + 1 {
            return Err(Fault::ConclusionGap { last: seen.conclusion, found: number });
        }
        let Some((block, concluded)) = seen.blocks.get_mut(&id) else {
            return Err(Fault::UnknownBlock(id));
        };
        if std::mem::replace(concluded, true) {
            return Err(Fault::ConcludedBefore(id));
        }
        let sum = self.value.checked_add(value).filter(|sum| sum.get() < VALUE_MAX);
        self.value = sum.ok_or(Fault::Value(id))?;
        seen.conclusion = number;
        self.concluded += 1;
        self.paid_blocks += u64::from(!value.is_zero());
        self.events.push(Event::Conclusion { block: *block, value });
        Ok(())
    }
}

impl Seen {
    /// Notes the network difficulty a share implies. `Err`: by how much it jumped.
    fn difficulty(&mut self, chain: u16, work: Work, units: Units) -> Result<(), u128> {
        // A share of a whole block says only that the network is no harder than that.
        if units == Units::BLOCK {
            return Ok(());
        }
        let block = pool_core::units::mul_div(work.get(), Units::BLOCK.to_bits(), units.to_bits());
        let now = block.unwrap_or(u128::MAX).max(1);
        let before = self.difficulty.insert(chain, now).unwrap_or(now);
        let factor = now.max(before) / now.min(before);
        if factor > JUMP_MAX { Err(factor) } else { Ok(()) }
    }
}
