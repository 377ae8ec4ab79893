//! Two rules at once: a part of every block by one and the rest by the other, or subsidy per share and fees by window.
//!
//! Both rules hear everything; only the amounts are divided. They are two budgets with two allocations, never one
//! vector of weights.

use super::{PayPerShare, Pplns};
use crate::account::AccountIx;
use crate::codec::{BadSnapshot, Reader, Writer};
use crate::scheme::{BadEvent, Event, RewardParts, Scheme, ShareRun, Sink, Underfilled, Weights, WindowEdge};
use alloc::boxed::Box;
use alloc::vec::Vec;
use pool_core::id::BlockId;
use pool_core::units::{Amount, BasisPoints, Units};

/// The event a rule hears when `amount` is its part of a settled block.
fn settled(id: BlockId, amount: Amount) -> Event {
    if amount.is_zero() {
        Event::Lost { id }
    } else {
        Event::Settled { id, value: RewardParts::whole(amount) }
    }
}

/// A part by one rule, the rest by another.
#[derive(Debug)]
pub struct Mixed {
    part: BasisPoints,
    first: Box<dyn Scheme>,
    rest: Box<dyn Scheme>,
}

impl Mixed {
    /// `part` of each block, rounded down, goes by `first`.
    #[must_use]
    pub fn new(part: BasisPoints, first: Box<dyn Scheme>, rest: Box<dyn Scheme>) -> Self {
        Self { part, first, rest }
    }
}

impl Scheme for Mixed {
    fn apply(&mut self, event: &Event, out: &mut dyn Sink) -> Result<(), BadEvent> {
        let (first, rest) = match *event {
            Event::Settled { id, value } => {
                let amount = value.total().ok_or(BadEvent::AmountOverflow(id))?;
                let part = self.part.of(amount);
                (settled(id, part), settled(id, amount.saturating_sub(part)))
            }
            Event::Share(_) | Event::Found { .. } | Event::Lost { .. } => (*event, *event),
        };
        // Both heard the same events, so what one refuses the other refuses too, and the first does so unchanged.
        self.first.apply(&first, out)?;
        self.rest.apply(&rest, out)
    }

    /// Both rules refuse the same shares, and the first does so before the rest heard of any.
    fn shares(&mut self, run: &ShareRun<'_>, out: &mut dyn Sink) -> Result<(), BadEvent> {
        let heard = self.first.shares(run, out);
        let rest = self.rest.shares(run, out);
        heard.and(rest)
    }

    fn open(&self) -> Vec<BlockId> {
        let (first, mut open) = (self.first.open(), self.rest.open());
        open.extend(first.into_iter().filter(|id| !open.contains(id)).collect::<Vec<_>>());
        open
    }

    /// The rest's weights scaled to its part of the block, with the first's in theirs.
    fn preview(&self) -> Option<Weights> {
        let (first, rest) = (self.first.preview()?, self.rest.preview()?);
        let scaled = |weights: &Weights, part: u16| {
            let sum =
                weights.accounts.iter().try_fold(weights.operator, |sum, (_, w)| sum.checked_add(*w))?;
            // Out of 2^100: fine enough for a preview, and sums of two cannot overflow.
            let scale = (1u128 << 100) / 10_000 * u128::from(part);
            let of = |weight: Units| {
                pool_core::units::mul_div(weight.to_bits(), scale, sum.to_bits()).map(Units::from_bits)
            };
            let accounts: Option<Vec<_>> =
                weights.accounts.iter().map(|(account, weight)| Some((*account, of(*weight)?))).collect();
            Some((accounts?, of(weights.operator)?))
        };
        let (mut accounts, operator) = scaled(&rest, 10_000 - self.part.get())?;
        let (more, more_operator) = scaled(&first, self.part.get())?;
        accounts.extend(more);
        accounts.sort_unstable_by_key(|(account, _)| *account);
        accounts.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same {
                first.1 = first.1.checked_add(later.1).unwrap_or(first.1);
            }
            same
        });
        accounts.retain(|(_, weight)| *weight > Units::ZERO);
        let operator = operator.checked_add(more_operator)?;
        Some(Weights { accounts, operator, over: Units::ZERO, from: rest.from, to: rest.to })
    }

    fn save(&self, out: &mut Writer) {
        self.first.save(out);
        self.rest.save(out);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<(), BadSnapshot> {
        self.first.load(from)?;
        self.rest.load(from)
    }
}

/// PPS+: shares earn their part of subsidies at once, and of a block's own fees by a window.
#[derive(Clone, Debug)]
pub struct PpsPlus {
    subsidies: PayPerShare,
    fees: Pplns,
}

impl PpsPlus {
    /// Fees by a window of `window` units.
    #[must_use]
    pub fn new(window: Units, underfilled: Underfilled) -> Self {
        Self {
            subsidies: PayPerShare::default(),
            fees: Pplns::new(window, underfilled, WindowEdge::Interval),
        }
    }
}

impl Scheme for PpsPlus {
    fn apply(&mut self, event: &Event, out: &mut dyn Sink) -> Result<(), BadEvent> {
        match *event {
            Event::Settled { id, value } => {
                value.total().ok_or(BadEvent::AmountOverflow(id))?;
                let reserve = value.subsidy.checked_add(value.extra).ok_or(BadEvent::AmountOverflow(id))?;
                self.subsidies.apply(&settled(id, reserve), out)?;
                self.fees.apply(&settled(id, value.fees), out)
            }
            Event::Share(_) | Event::Found { .. } | Event::Lost { .. } => {
                self.subsidies.apply(event, out)?;
                self.fees.apply(event, out)
            }
        }
    }

    /// Both rules refuse the same shares.
    fn shares(&mut self, run: &ShareRun<'_>, out: &mut dyn Sink) -> Result<(), BadEvent> {
        let heard = self.subsidies.shares(run, out);
        let rest = self.fees.shares(run, out);
        heard.and(rest)
    }

    fn open(&self) -> Vec<BlockId> {
        self.fees.open()
    }

    fn preview(&self) -> Option<Weights> {
        self.fees.preview()
    }

    fn close_period(&mut self) -> Vec<(AccountIx, Units)> {
        self.subsidies.close_period()
    }

    fn save(&self, out: &mut Writer) {
        self.subsidies.save(out);
        self.fees.save(out);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<(), BadSnapshot> {
        self.subsidies.load(from)?;
        self.fees.load(from)
    }
}
