//! PPS and FPPS: shares are paid period by period, blocks go to the operator's reserve.
//!
//! What a share is worth is not decided here: the engine only adds up each account's work of a period.

use super::{Open, Order};
use crate::account::AccountIx;
use crate::codec::{BadSnapshot, Reader, Writer};
use crate::scheme::{BadEvent, Event, Rule, Scheme, ShareRun, Sink, Weights};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use pool_core::id::BlockId;
use pool_core::units::Units;

/// The work of the running period, and open blocks.
#[derive(Clone, Debug, Default)]
pub struct PayPerShare {
    order: Order,
    end: u128,
    period: BTreeMap<AccountIx, u128>,
    open: Open<()>,
}

impl Scheme for PayPerShare {
    fn apply(&mut self, event: &Event, out: &mut dyn Sink) -> Result<(), BadEvent> {
        match *event {
            Event::Share(share) => {
                self.order.share(&share)?;
                self.end = self.end.checked_add(share.units.to_bits()).ok_or(BadEvent::LongLog)?;
                self.order.last = Some(share.seq);
                *self.period.entry(share.account).or_default() += share.units.to_bits();
            }
            Event::Found { id, .. } => {
                if self.open.has(&id) {
                    return Err(BadEvent::Repeated(id));
                }
                self.order.found(id)?;
                self.open.insert(id, ());
                self.order.last_found = self.order.last;
            }
            Event::Settled { id, value } => {
                let amount = value.total().ok_or(BadEvent::AmountOverflow(id))?;
                self.open.take(&id)?;
                out.reserve(id, amount);
            }
            Event::Lost { id } => {
                self.open.take(&id)?;
            }
        }
        Ok(())
    }

    /// Within a period only sums count.
    fn shares(&mut self, run: &ShareRun<'_>, out: &mut dyn Sink) -> Result<(), BadEvent> {
        let Some((last, end)) = self.order.run(run, self.end) else {
            return run.events().try_for_each(|share| self.apply(&Event::Share(share), out));
        };
        for (account, count) in run.counts() {
            *self.period.entry(account).or_default() += run.units().to_bits() * u128::from(count);
        }
        self.end = end;
        self.order.last = Some(last);
        Ok(())
    }

    fn open(&self) -> Vec<BlockId> {
        self.open.ids()
    }

    fn preview(&self) -> Option<Weights> {
        None
    }

    fn close_period(&mut self) -> Vec<(AccountIx, Units)> {
        core::mem::take(&mut self.period)
            .into_iter()
            .filter(|(_, units)| *units > 0)
            .map(|(account, units)| (account, Units::from_bits(units)))
            .collect()
    }

    /// What a share is worth is not decided here, so every rule that pays nothing but shares goes on.
    fn retune(&mut self, rule: &Rule) -> bool {
        matches!(rule, Rule::Pps { .. } | Rule::Fpps { .. })
    }

    fn save(&self, out: &mut Writer) {
        self.order.save(out);
        out.u128(self.end);
        out.length(self.period.len());
        for (account, units) in &self.period {
            out.account(*account);
            out.u128(*units);
        }
        self.open.save(out, |_, ()| {});
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<(), BadSnapshot> {
        self.order = Order::load(from)?;
        self.end = from.u128()?;
        self.period = from.list(|from| Ok((from.account()?, from.u128()?)))?.into_iter().collect();
        self.open = Open::load(from, |_| Ok(()))?;
        Ok(())
    }
}
