//! PPS and FPPS: shares are paid period by period, blocks go to the operator's reserve.
//!
//! What a share is worth is not decided here: the engine only adds up each account's work of a period.

use super::Order;
use crate::account::AccountIx;
use crate::scheme::{BadEvent, Event, Scheme, Sink, Weights};
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
    found: u64,
    claims: BTreeMap<BlockId, u64>,
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
                if self.claims.contains_key(&id) {
                    return Err(BadEvent::Repeated(id));
                }
                self.order.found(id)?;
                self.claims.insert(id, self.found);
                self.found += 1;
                self.order.last_found = self.order.last;
            }
            Event::Settled { id, value } => {
                let amount = value.total().ok_or(BadEvent::AmountOverflow(id))?;
                self.claims.remove(&id).ok_or(BadEvent::UnknownBlock(id))?;
                out.reserve(id, amount);
            }
            Event::Lost { id } => {
                self.claims.remove(&id).ok_or(BadEvent::UnknownBlock(id))?;
            }
        }
        Ok(())
    }

    fn open(&self) -> Vec<BlockId> {
        let mut open: Vec<_> = self.claims.iter().map(|(id, order)| (*order, *id)).collect();
        open.sort_unstable();
        open.into_iter().map(|(_, id)| id).collect()
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
}
