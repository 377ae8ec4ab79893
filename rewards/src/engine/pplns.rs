//! PPLNS by overlap on the line of work: a block at position `u` pays the shares in `(u - X, u]`.
//!
//! Two cursors slide along the line. One always ends at the newest share and answers "if a block came now"; the other
//! follows the anchors of blocks as they settle, forward or back. Shares are kept as long as one of them or an open
//! block may need them.

use super::line::{Cursor, Line};
use super::{Open, Order};
use crate::codec::{BadSnapshot, Reader, Writer};
use crate::scheme::{
    Anchor, BadEvent, Event, Rule, Scheme, ShareRun, Sink, Underfilled, Weights, WindowEdge,
};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use pool_core::id::BlockId;
use pool_core::units::{Units, mul_div};

/// How blocks are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tuning {
    window: u128,
    underfilled: Underfilled,
    edge: WindowEdge,
    /// Where knowledge begins: a window that was made longer does not reach what may have been forgotten before. A
    /// position and not a share, because how much is really kept depends on when blocks conclude.
    floor: u128,
}

impl Tuning {
    /// How far back a window that ends at `end` reaches. Hop-exact pays a share whose end lies up to `X` before the
    /// winner's beginning, so it looks one block further.
    const fn reach(self, end: u128) -> u128 {
        let reach = match self.edge {
            WindowEdge::Interval => self.window,
            WindowEdge::HopExact => self.window.saturating_add(Units::BLOCK.to_bits()),
        };
        self.behind(end, reach)
    }

    /// `length` before `end`, but not behind what is known.
    const fn behind(self, end: u128, length: u128) -> u128 {
        let from = end.saturating_sub(length);
        if from > self.floor { from } else { self.floor }
    }

    /// How far behind the newest share a block may stand whose job was sent out a while ago.
    const fn slack(self) -> u128 {
        self.window / 8
    }

    /// What ends here or before is not needed for any block behind `end`.
    const fn horizon(self, end: u128) -> u128 {
        self.reach(self.behind(end, self.slack()))
    }

    fn save(self, out: &mut Writer) {
        out.u128(self.window);
        out.u8(u8::from(self.underfilled == Underfilled::OperatorKeeps));
        out.u8(u8::from(self.edge == WindowEdge::HopExact));
        out.u128(self.floor);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, BadSnapshot> {
        let window = from.u128()?;
        let underfilled = if from.u8()? == 0 { Underfilled::Renormalise } else { Underfilled::OperatorKeeps };
        let edge = if from.u8()? == 0 { WindowEdge::Interval } else { WindowEdge::HopExact };
        Ok(Self { window, underfilled, edge, floor: from.u128()? })
    }
}

/// An open block: where its window ends, the first share it needs, and how it is weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    head: u64,
    tail: u64,
    tuning: Tuning,
}

/// The running window.
#[derive(Clone, Debug)]
pub struct Pplns {
    tuning: Tuning,
    order: Order,
    /// The log's sequence number of the share at place 0 on the line.
    first_seq: u64,
    line: Line,
    live: Cursor,
    settling: Cursor,
    open: Open<Claim>,
}

impl Pplns {
    /// An empty window of `window` units.
    #[must_use]
    pub fn new(window: Units, underfilled: Underfilled, edge: WindowEdge) -> Self {
        Self {
            tuning: Tuning { window: window.to_bits(), underfilled, edge, floor: 0 },
            order: Order::default(),
            first_seq: 0,
            line: Line::default(),
            live: Cursor::default(),
            settling: Cursor::default(),
            open: Open::default(),
        }
    }

    /// Keeps what every open block still needs, and what blocks to come may need.
    fn forget(&mut self) {
        let open = self.open.claims().map(|claim| claim.tail).min();
        let position = self.tuning.horizon(self.live.end());
        if self.settling.is_empty() {
            self.line.forget_behind(position, open.unwrap_or(u64::MAX));
            self.settling.skip(&self.line);
            return;
        }
        while let Some(place) = self.line.passed(position)
            && open.is_none_or(|tail| place < tail)
        {
            self.settling.forget(&self.line, place + 1);
            self.line.forget(place + 1);
        }
    }

    fn weigh(&self, cursor: &Cursor, tuning: Tuning) -> Weights {
        let Tuning { window, underfilled, edge, floor } = tuning;
        let to = cursor.end();
        let from = to.saturating_sub(window).max(floor).min(to);
        let missing = window - (to - from);
        let (accounts, sum) = match edge {
            WindowEdge::Interval => (cursor.weights(&self.line, from), to - from),
            WindowEdge::HopExact => self.hop_exact(cursor, window),
        };
        let keeps = match (edge, underfilled) {
            (WindowEdge::Interval, Underfilled::Renormalise) => false,
            (WindowEdge::Interval, Underfilled::OperatorKeeps) => missing > 0,
            // The budget is the window itself, whatever the shares in it add up to.
            (WindowEdge::HopExact, Underfilled::Renormalise) => missing == 0,
            (WindowEdge::HopExact, Underfilled::OperatorKeeps) => true,
        };
        let (operator, over) =
            if keeps { (window.saturating_sub(sum), sum.saturating_sub(window)) } else { (0, 0) };
        Weights {
            accounts,
            operator: Units::from_bits(operator),
            over: Units::from_bits(over),
            from: Units::from_bits(from),
            to: Units::from_bits(to),
        }
    }

    /// `s × min(t, max(0, X - S)) / t` per share, `t` the winner's units and `S` those strictly between.
    fn hop_exact(&self, cursor: &Cursor, window: u128) -> (Vec<(crate::account::AccountIx, Units)>, u128) {
        let mut sums = BTreeMap::new();
        let mut shares = cursor.newest_first(&self.line);
        let Some((_, winner, winner_start)) = shares.next() else { return (Vec::new(), 0) };
        let mut total = 0u128;
        for (account, units, start) in shares {
            let between = winner_start - (start + units);
            let room = window.saturating_sub(between);
            if room == 0 {
                break;
            }
            let weight = if room >= winner {
                units
            } else {
                mul_div(units, room, winner).expect("a part of a share is no more than the share")
            };
            total += weight;
            if weight > 0 {
                *sums.entry(account).or_insert(0u128) += weight;
            }
        }
        (sums.into_iter().map(|(account, sum)| (account, Units::from_bits(sum))).collect(), total)
    }

    /// Where the window of a block that is found now ends, and its first share.
    fn anchor(&self, id: BlockId, anchor: Anchor) -> Result<(u64, u64), BadEvent> {
        self.order.found(id)?;
        let Anchor::AtWorkIssue(seq) = anchor else { return Ok((self.line.next(), self.live.tail())) };
        let place = seq.get().checked_sub(self.first_seq).filter(|place| *place < self.line.next());
        let head = place.ok_or(BadEvent::UnknownAnchor(seq))? + 1;
        let mut window = self.live.clone();
        window.seek(&self.line, head, |end| self.tuning.reach(end));
        // Only as far back as is kept for certain: what is kept beyond it depends on other blocks.
        let behind = self.live.end() - window.end();
        if !window.ends_before(head) || behind > self.tuning.slack() {
            return Err(BadEvent::ForgottenWindow(id));
        }
        Ok((head, window.tail()))
    }
}

impl Scheme for Pplns {
    fn apply(&mut self, event: &Event, out: &mut dyn Sink) -> Result<(), BadEvent> {
        match *event {
            Event::Share(share) => {
                self.order.share(&share)?;
                self.line.push(share.account, share.units.to_bits()).ok_or(BadEvent::LongLog)?;
                if self.order.last.is_none() {
                    self.first_seq = share.seq.get();
                }
                self.order.last = Some(share.seq);
                self.live.seek(&self.line, self.line.next(), |end| self.tuning.reach(end));
                if self.open.is_empty() {
                    self.forget();
                }
            }
            Event::Found { id, anchor, .. } => {
                if self.open.has(&id) {
                    return Err(BadEvent::Repeated(id));
                }
                let (head, tail) = self.anchor(id, anchor)?;
                self.open.insert(id, Claim { head, tail, tuning: self.tuning });
                self.order.last_found = self.order.last;
            }
            Event::Settled { id, value } => {
                let claim = *self.open.get(&id)?;
                let amount = value.total().ok_or(BadEvent::AmountOverflow(id))?;
                // A block that settles before another share came has the window of now.
                let weights = if self.live.ends_before(claim.head) && claim.tuning == self.tuning {
                    self.weigh(&self.live, claim.tuning)
                } else {
                    self.settling.seek(&self.line, claim.head, |end| claim.tuning.reach(end));
                    self.weigh(&self.settling, claim.tuning)
                };
                out.split(id, amount, weights);
                self.open.take(&id)?;
                self.forget();
            }
            Event::Lost { id } => {
                self.open.take(&id)?;
                self.forget();
            }
        }
        Ok(())
    }

    /// The window moves once, behind the last of them.
    fn shares(&mut self, run: &ShareRun<'_>, out: &mut dyn Sink) -> Result<(), BadEvent> {
        let Some((last, end)) = self.order.run(run, self.line.end()) else {
            return run.events().try_for_each(|share| self.apply(&Event::Share(share), out));
        };
        let measure = run.units().to_bits();
        if self.order.last.is_none() {
            self.first_seq = run.head().map_or(0, |share| share.seq.get());
        }
        self.line.extend(run.accounts(), measure, end);
        self.order.last = Some(last);
        self.live.follow(&self.line, measure, run.counts(), |end| self.tuning.reach(end));
        if self.open.is_empty() {
            self.forget();
        }
        Ok(())
    }

    fn open(&self) -> Vec<BlockId> {
        self.open.ids()
    }

    fn preview(&self) -> Option<Weights> {
        self.order.last?;
        Some(self.weigh(&self.live, self.tuning))
    }

    fn retune(&mut self, rule: &Rule) -> bool {
        let Rule::Pplns { window, underfilled, edge } = *rule else { return false };
        // What the window so far may have let go stays outside of a longer one.
        let floor = self.tuning.horizon(self.line.end());
        self.tuning = Tuning { window: window.to_bits(), underfilled, edge, floor };
        self.live.seek(&self.line, self.line.next(), |end| self.tuning.reach(end));
        true
    }

    fn save(&self, out: &mut Writer) {
        self.order.save(out);
        self.tuning.save(out);
        out.u64(self.first_seq);
        self.line.save(out);
        self.live.save(out);
        self.settling.save(out);
        self.open.save(out, |out, claim| {
            out.u64(claim.head);
            out.u64(claim.tail);
            claim.tuning.save(out);
        });
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<(), BadSnapshot> {
        self.order = Order::load(from)?;
        self.tuning = Tuning::load(from)?;
        self.first_seq = from.u64()?;
        self.line = Line::load(from)?;
        self.live = Cursor::load(from)?;
        self.settling = Cursor::load(from)?;
        self.open = Open::load(from, |from| {
            Ok(Claim { head: from.u64()?, tail: from.u64()?, tuning: Tuning::load(from)? })
        })?;
        Ok(())
    }
}
