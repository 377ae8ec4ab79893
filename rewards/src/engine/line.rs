//! The line of work: every retained share as an interval, and cursors that keep the totals of a window on it.
//!
//! A share takes 16 bytes. A [`Cursor`] holds, per account, the work of all shares that touch its window; moving it
//! costs one step per share passed, in either direction. So a window that slides along with the log costs two steps
//! per share for ever, however long it is, and one that follows the anchors of settling blocks does too.

use crate::account::AccountIx;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use pool_core::units::Units;

/// A share in 16 bytes: units are at most `2^88`, which leaves 39 of 128 bits for the account's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    low: u64,
    high: u32,
    account: AccountIx,
}

impl Piece {
    fn new(account: AccountIx, units: Units) -> Self {
        let bits = units.to_bits();
        debug_assert!(bits >> 96 == 0, "a share weighs at most one block");
        Self { low: bits as u64, high: (bits >> 64) as u32, account }
    }

    const fn units(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }
}

/// The retained end of the line. Places count shares from 0 since the beginning and are never used again.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    first: u64,
    end: u128,
    pieces: VecDeque<Piece>,
}

impl Line {
    /// Appends a share; `None` when the line would pass its range.
    pub(super) fn push(&mut self, account: AccountIx, units: Units) -> Option<()> {
        self.end = self.end.checked_add(units.to_bits())?;
        self.pieces.push_back(Piece::new(account, units));
        Some(())
    }

    /// The place the next share will have.
    pub(super) fn next(&self) -> u64 {
        self.first + self.pieces.len() as u64
    }

    /// Forgets every share before `place`.
    pub(super) fn forget(&mut self, place: u64) {
        while self.first < place && self.pieces.pop_front().is_some() {
            self.first += 1;
        }
    }

    fn at(&self, place: u64) -> Option<Piece> {
        let offset = usize::try_from(place.checked_sub(self.first)?).ok()?;
        self.pieces.get(offset).copied()
    }
}

/// A window `(from, to]` on the line with the work of every account in it. Shares that touch it count whole; the
/// oldest is cut when the weights are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursor {
    /// The first share inside.
    tail: u64,
    /// Where that share begins.
    tail_start: u128,
    /// The first share behind the window.
    head: u64,
    /// Where the window ends: the end of share `head - 1`.
    head_end: u128,
    totals: Vec<u128>,
}

impl Cursor {
    /// The first share that touches the window.
    pub(super) const fn tail(&self) -> u64 {
        self.tail
    }

    fn total(&mut self, account: AccountIx) -> &mut u128 {
        if self.totals.len() <= account.index() {
            self.totals.resize(account.index() + 1, 0);
        }
        &mut self.totals[account.index()]
    }

    fn enter(&mut self, piece: Piece) {
        *self.total(piece.account) += piece.units();
    }

    fn leave(&mut self, piece: Piece) {
        *self.total(piece.account) -= piece.units();
    }

    /// Moves the window so that it ends before share `head` and keeps exactly the shares that end behind `from`.
    ///
    /// The caller retains every share between the two windows.
    pub(super) fn seek(&mut self, line: &Line, head: u64, from: impl Fn(u128) -> u128) {
        while self.head < head {
            let Some(piece) = line.at(self.head) else { break };
            self.enter(piece);
            self.head += 1;
            self.head_end += piece.units();
        }
        while self.head > head && self.head > self.tail {
            let Some(piece) = line.at(self.head - 1) else { break };
            self.leave(piece);
            self.head -= 1;
            self.head_end -= piece.units();
        }
        let from = from(self.head_end);
        while self.tail > 0 && self.tail_start > from {
            let Some(piece) = line.at(self.tail - 1) else { break };
            self.enter(piece);
            self.tail -= 1;
            self.tail_start -= piece.units();
        }
        while self.tail < self.head {
            let Some(piece) = line.at(self.tail) else { break };
            if self.tail_start + piece.units() > from {
                break;
            }
            self.leave(piece);
            self.tail += 1;
            self.tail_start += piece.units();
        }
    }

    /// Drops shares before `place` from the window, ahead of [`Line::forget`].
    pub(super) fn forget(&mut self, line: &Line, place: u64) {
        while self.head < place {
            let Some(piece) = line.at(self.head) else { break };
            self.enter(piece);
            self.head += 1;
            self.head_end += piece.units();
        }
        while self.tail < place {
            let Some(piece) = line.at(self.tail) else { break };
            self.leave(piece);
            self.tail += 1;
            self.tail_start += piece.units();
        }
    }

    /// The window's end.
    pub(super) const fn end(&self) -> u128 {
        self.head_end
    }

    /// Work of each account behind `from`, the oldest share for its overlap only.
    pub(super) fn weights(&self, line: &Line, from: u128) -> Vec<(AccountIx, Units)> {
        let cut = match line.at(self.tail) {
            Some(piece) if self.tail < self.head && self.tail_start < from => {
                Some((piece.account, from - self.tail_start))
            }
            _ => None,
        };
        self.totals
            .iter()
            .enumerate()
            .filter_map(|(index, total)| {
                let account = AccountIx::new(u32::try_from(index).expect("accounts are numbered in 32 bits"));
                let outside = cut.filter(|(cut, _)| *cut == account).map_or(0, |(_, outside)| outside);
                let inside = total - outside;
                (inside > 0).then_some((account, Units::from_bits(inside)))
            })
            .collect()
    }

    /// The window's shares from the newest to the oldest, each with its account, its units and where it begins.
    pub(super) fn newest_first<'a>(
        &self,
        line: &'a Line,
    ) -> impl Iterator<Item = (AccountIx, u128, u128)> + use<'a> {
        let (tail, mut head, mut end) = (self.tail, self.head, self.head_end);
        core::iter::from_fn(move || {
            if head <= tail {
                return None;
            }
            head -= 1;
            let piece = line.at(head)?;
            end -= piece.units();
            Some((piece.account, piece.units(), end))
        })
    }
}
