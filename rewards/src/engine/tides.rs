//! TIDES: a window of raw work, so many times the block's own difficulty, over a log that is kept long.
//!
//! Because the window is measured in hashes and its length follows the difficulty of the moment, expired shares come
//! back when difficulty rises; that is the rule, and a small hop. The difficulty of a block is read off the share
//! that solved it: its work divided by its units. Shares are kept four windows back; where difficulty has risen more
//! than that, what is kept is the log, and a short log is divided by itself.

use super::line::{Cursor, Line, MEASURE_MAX};
use super::{Open, Order};
use crate::account::AccountIx;
use crate::codec::{BadSnapshot, Reader, Writer};
use crate::scheme::{Anchor, BadEvent, Event, Scheme, Sink, Weights};
use alloc::vec::Vec;
use pool_core::id::BlockId;
use pool_core::units::{Units, mul_div};

/// How many windows back shares are kept: difficulty may rise that much from block to block.
const WINDOWS_KEPT: u128 = 4;

/// An open block's weights, fixed when it was found.
#[derive(Clone, Debug)]
struct Claim {
    accounts: Vec<(AccountIx, Units)>,
    from: u128,
    to: u128,
}

/// The running window.
#[derive(Clone, Debug)]
pub struct Tides {
    blocks: u128,
    order: Order,
    first_seq: u64,
    line: Line,
    live: Cursor,
    /// Raw work of the last window asked for: `blocks` times the difficulty of the last share.
    window: u128,
    open: Open<Claim>,
}

impl Tides {
    /// A window of `blocks` times the difficulty.
    #[must_use]
    pub fn new(blocks: u32) -> Self {
        Self {
            blocks: u128::from(blocks),
            order: Order::default(),
            first_seq: 0,
            line: Line::default(),
            live: Cursor::default(),
            window: 0,
            open: Open::default(),
        }
    }

    fn claim(&self, cursor: &Cursor) -> Claim {
        let to = cursor.end();
        let from = to.saturating_sub(self.window);
        let kept_from = if cursor.tail() == self.line.first() { cursor.start() } else { 0 };
        let from = from.max(kept_from);
        Claim { accounts: cursor.weights(&self.line, from), from, to }
    }

    fn weights(claim: Claim) -> Weights {
        Weights {
            accounts: claim.accounts,
            from: Units::from_bits(claim.from),
            to: Units::from_bits(claim.to),
            ..Weights::default()
        }
    }
}

impl Scheme for Tides {
    fn apply(&mut self, event: &Event, out: &mut dyn Sink) -> Result<(), BadEvent> {
        match *event {
            Event::Share(share) => {
                self.order.share(&share)?;
                let work = share.work.get();
                // The network's difficulty at the share's own job; a share of no units says nothing about it.
                let network = match share.units {
                    Units::ZERO => self.window / self.blocks,
                    units => mul_div(work, Units::BLOCK.to_bits(), units.to_bits()).unwrap_or(u128::MAX),
                };
                let window = network.checked_mul(self.blocks);
                let window = window.filter(|window| window.checked_mul(WINDOWS_KEPT).is_some());
                if work > MEASURE_MAX || window.is_none() {
                    return Err(BadEvent::HeavyShare(share.seq));
                }
                self.line.push(share.account, work).ok_or(BadEvent::LongLog)?;
                if self.order.last.is_none() {
                    self.first_seq = share.seq.get();
                }
                self.order.last = Some(share.seq);
                self.window = window.unwrap_or_default();
                // Before the first share of any units nothing is known of difficulty, and nothing may be forgotten.
                let keep = if self.window == 0 { u128::MAX } else { self.window * WINDOWS_KEPT };
                self.live.seek(&self.line, self.line.next(), |end| end.saturating_sub(keep));
                self.line.forget(self.live.tail());
            }
            Event::Found { id, anchor, .. } => {
                if self.open.has(&id) {
                    return Err(BadEvent::Repeated(id));
                }
                self.order.found(id)?;
                let head = match anchor {
                    Anchor::AtFind => self.line.next(),
                    Anchor::AtWorkIssue(seq) => seq
                        .get()
                        .checked_sub(self.first_seq)
                        .map(|place| place + 1)
                        .filter(|head| (self.line.first() + 1..=self.line.next()).contains(head))
                        .ok_or(BadEvent::UnknownAnchor(seq))?,
                };
                let window = self.window;
                let mut cursor = self.live.clone();
                cursor.seek(&self.line, head, |end| end.saturating_sub(window));
                let claim = self.claim(&cursor);
                self.open.insert(id, claim);
                self.order.last_found = self.order.last;
            }
            Event::Settled { id, value } => {
                let amount = value.total().ok_or(BadEvent::AmountOverflow(id))?;
                let claim = self.open.take(&id)?;
                out.split(id, amount, Self::weights(claim));
            }
            Event::Lost { id } => {
                self.open.take(&id)?;
            }
        }
        Ok(())
    }

    fn open(&self) -> Vec<BlockId> {
        self.open.ids()
    }

    fn preview(&self) -> Option<Weights> {
        self.order.last?;
        let window = self.window;
        let mut cursor = self.live.clone();
        cursor.seek(&self.line, self.line.next(), |end| end.saturating_sub(window));
        Some(Self::weights(self.claim(&cursor)))
    }

    fn save(&self, out: &mut Writer) {
        self.order.save(out);
        out.u64(self.first_seq);
        self.line.save(out);
        self.live.save(out);
        out.u128(self.window);
        self.open.save(out, |out, claim| {
            out.weights(&claim.accounts);
            out.u128(claim.from);
            out.u128(claim.to);
        });
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<(), BadSnapshot> {
        self.order = Order::load(from)?;
        self.first_seq = from.u64()?;
        self.line = Line::load(from)?;
        self.live = Cursor::load(from)?;
        self.window = from.u128()?;
        self.open = Open::load(from, |from| {
            Ok(Claim { accounts: from.weights()?, from: from.u128()?, to: from.u128()? })
        })?;
        Ok(())
    }
}
