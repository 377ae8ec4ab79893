//! The line of work: every retained share as an interval, and cursors that keep the totals of a window on it.
//!
//! A share takes 16 bytes. A [`Cursor`] holds, per account, the work of all shares that touch its window; moving it
//! costs one step per share passed, in either direction. So a window that slides along with the log costs two steps
//! per share for ever, however long it is, and one that follows the anchors of settling blocks does too.

use crate::account::AccountIx;
use crate::codec::{BadSnapshot, Reader, Writer};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use pool_core::units::Units;

/// The widest measure of one share: 96 bits. Units are at most `2^88`; no share proves `2^96` hashes.
pub(super) const MEASURE_MAX: u128 = (1 << 96) - 1;

/// A share in 16 bytes: its measure (units or work) and the account's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    low: u64,
    high: u32,
    account: AccountIx,
}

impl Piece {
    fn new(account: AccountIx, measure: u128) -> Self {
        debug_assert!(measure <= MEASURE_MAX, "callers check a share's measure");
        Self { low: measure as u64, high: (measure >> 64) as u32, account }
    }

    const fn measure(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }
}

/// The retained end of the line. Places count shares from 0 since the beginning and are never used again.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    first: u64,
    start: u128,
    end: u128,
    pieces: VecDeque<Piece>,
}

impl Line {
    /// Appends a share; `None` when the line would pass its range.
    pub(super) fn push(&mut self, account: AccountIx, measure: u128) -> Option<()> {
        self.end = self.end.checked_add(measure)?;
        self.pieces.push_back(Piece::new(account, measure));
        Some(())
    }

    /// Appends a run of shares of equal measure, which the caller knows to fit: the line ends at `end` then.
    pub(super) fn extend(&mut self, accounts: &[AccountIx], measure: u128, end: u128) {
        self.end = end;
        self.pieces.extend(accounts.iter().map(|account| Piece::new(*account, measure)));
    }

    /// Forgets every share that ends at or before `position`, but none from `place` on.
    pub(super) fn forget_behind(&mut self, position: u128, place: u64) {
        while self.first < place
            && let Some(oldest) = self.pieces.front()
            && self.start + oldest.measure() <= position
        {
            self.start += oldest.measure();
            self.first += 1;
            self.pieces.pop_front();
        }
    }

    /// The position behind the last share.
    pub(super) const fn end(&self) -> u128 {
        self.end
    }

    /// The oldest share that is still there.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// The place the next share will have.
    pub(super) fn next(&self) -> u64 {
        self.first + self.pieces.len() as u64
    }

    /// Forgets every share before `place`.
    pub(super) fn forget(&mut self, place: u64) {
        while self.first < place
            && let Some(piece) = self.pieces.pop_front()
        {
            self.first += 1;
            self.start += piece.measure();
        }
    }

    /// The place of the oldest share, if it ends at or before `position`.
    pub(super) fn passed(&self, position: u128) -> Option<u64> {
        let oldest = self.pieces.front()?;
        (self.start + oldest.measure() <= position).then_some(self.first)
    }

    fn at(&self, place: u64) -> Option<Piece> {
        let offset = usize::try_from(place.checked_sub(self.first)?).ok()?;
        self.pieces.get(offset).copied()
    }

    /// Account and measure of the share at `place`.
    pub(super) fn share(&self, place: u64) -> Option<(AccountIx, u128)> {
        self.at(place).map(|piece| (piece.account, piece.measure()))
    }

    pub(super) fn save(&self, out: &mut Writer) {
        out.u64(self.first);
        out.u128(self.start);
        out.u128(self.end);
        out.length(self.pieces.len());
        for piece in &self.pieces {
            out.u64(piece.low);
            out.u32(piece.high);
            out.account(piece.account);
        }
    }

    pub(super) fn load(from: &mut Reader<'_>) -> Result<Self, BadSnapshot> {
        let (first, start, end) = (from.u64()?, from.u128()?, from.u128()?);
        let pieces =
            from.list(|from| Ok(Piece { low: from.u64()?, high: from.u32()?, account: from.account()? }))?;
        Ok(Self { first, start, end, pieces: pieces.into() })
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
        *self.total(piece.account) += piece.measure();
    }

    fn leave(&mut self, piece: Piece) {
        *self.total(piece.account) -= piece.measure();
    }

    /// Moves the window so that it ends before share `head` and keeps exactly the shares that end behind `from`.
    ///
    /// The caller retains every share between the two windows.
    pub(super) fn seek(&mut self, line: &Line, head: u64, from: impl Fn(u128) -> u128) {
        while self.head < head {
            let Some(piece) = line.at(self.head) else { break };
            self.enter(piece);
            self.head += 1;
            self.head_end += piece.measure();
        }
        while self.head > head && self.head > self.tail {
            let Some(piece) = line.at(self.head - 1) else { break };
            self.leave(piece);
            self.head -= 1;
            self.head_end -= piece.measure();
        }
        // Behind both ends: an empty window moves as one.
        while self.head > head {
            let Some(piece) = line.at(self.head - 1) else { break };
            self.head -= 1;
            self.head_end -= piece.measure();
            (self.tail, self.tail_start) = (self.head, self.head_end);
        }
        let from = from(self.head_end);
        while self.tail > 0 && self.tail_start > from {
            let Some(piece) = line.at(self.tail - 1) else { break };
            self.enter(piece);
            self.tail -= 1;
            self.tail_start -= piece.measure();
        }
        while self.tail < self.head {
            let Some(piece) = line.at(self.tail) else { break };
            if self.tail_start + piece.measure() > from {
                break;
            }
            self.leave(piece);
            self.tail += 1;
            self.tail_start += piece.measure();
        }
    }

    /// Goes along with a run of shares that was just appended behind the window's end, `counts` of them whose: the same
    /// as a [`Cursor::seek`] to the line's end.
    pub(super) fn follow(
        &mut self,
        line: &Line,
        measure: u128,
        counts: impl Iterator<Item = (AccountIx, u64)>,
        from: impl Fn(u128) -> u128,
    ) {
        for (account, count) in counts {
            *self.total(account) += measure * u128::from(count);
        }
        (self.head, self.head_end) = (line.next(), line.end());
        let from = from(self.head_end);
        let offset = usize::try_from(self.tail.saturating_sub(line.first)).unwrap_or(usize::MAX);
        for piece in line.pieces.range(offset.min(line.pieces.len())..) {
            let end = self.tail_start + piece.measure();
            if end > from {
                break;
            }
            self.totals[piece.account.index()] -= piece.measure();
            self.tail += 1;
            self.tail_start = end;
        }
    }

    /// True when no share is inside.
    pub(super) const fn is_empty(&self) -> bool {
        self.tail == self.head
    }

    /// An empty window moves on to the oldest share there is.
    pub(super) const fn skip(&mut self, line: &Line) {
        if self.head < line.first {
            (self.tail, self.head) = (line.first, line.first);
            (self.tail_start, self.head_end) = (line.start, line.start);
        }
    }

    /// Drops shares before `place` from the window, ahead of [`Line::forget`].
    pub(super) fn forget(&mut self, line: &Line, place: u64) {
        while self.tail < place.min(self.head) {
            let Some(piece) = line.at(self.tail) else { break };
            self.leave(piece);
            self.tail += 1;
            self.tail_start += piece.measure();
        }
        // An empty window goes along without looking at what it passes.
        while self.head < place {
            let Some(piece) = line.at(self.head) else { break };
            self.head += 1;
            self.head_end += piece.measure();
            (self.tail, self.tail_start) = (self.head, self.head_end);
        }
    }

    /// The window's end.
    pub(super) const fn end(&self) -> u128 {
        self.head_end
    }

    /// True when the window ends before share `head`, as it was asked to.
    pub(super) const fn ends_before(&self, head: u64) -> bool {
        self.head == head
    }

    /// Where the oldest share inside begins.
    pub(super) const fn start(&self) -> u128 {
        self.tail_start
    }

    pub(super) fn save(&self, out: &mut Writer) {
        out.u64(self.tail);
        out.u128(self.tail_start);
        out.u64(self.head);
        out.u128(self.head_end);
        out.length(self.totals.len());
        for total in &self.totals {
            out.u128(*total);
        }
    }

    pub(super) fn load(from: &mut Reader<'_>) -> Result<Self, BadSnapshot> {
        Ok(Self {
            tail: from.u64()?,
            tail_start: from.u128()?,
            head: from.u64()?,
            head_end: from.u128()?,
            totals: from.list(Reader::u128)?,
        })
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

    /// The window's shares from the newest to the oldest, each with its account, its measure and where it begins.
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
            end -= piece.measure();
            Some((piece.account, piece.measure(), end))
        })
    }
}
