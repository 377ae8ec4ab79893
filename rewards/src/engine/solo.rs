//! SOLO: the finder gets it all.

use super::Order;
use crate::account::AccountIx;
use crate::scheme::{BadEvent, Event, Scheme, Sink, Weights};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use pool_core::id::BlockId;
use pool_core::units::Units;

/// Open blocks and their finders.
#[derive(Clone, Debug, Default)]
pub struct Solo {
    order: Order,
    last: Option<AccountIx>,
    end: u128,
    found: u64,
    claims: BTreeMap<BlockId, (u64, AccountIx, u128)>,
}

fn all_to(account: AccountIx, end: u128) -> Weights {
    let end = Units::from_bits(end);
    Weights { accounts: [(account, Units::BLOCK)].into(), from: end, to: end, ..Weights::default() }
}

impl Scheme for Solo {
    fn apply(&mut self, event: &Event, out: &mut dyn Sink) -> Result<(), BadEvent> {
        match *event {
            Event::Share(share) => {
                self.order.share(&share)?;
                self.end = self.end.checked_add(share.units.to_bits()).ok_or(BadEvent::LongLog)?;
                self.order.last = Some(share.seq);
                self.last = Some(share.account);
            }
            Event::Found { id, finder, .. } => {
                if self.claims.contains_key(&id) {
                    return Err(BadEvent::Repeated(id));
                }
                self.order.found(id)?;
                self.claims.insert(id, (self.found, finder, self.end));
                self.found += 1;
                self.order.last_found = self.order.last;
            }
            Event::Settled { id, value } => {
                let (_, finder, end) = *self.claims.get(&id).ok_or(BadEvent::UnknownBlock(id))?;
                let amount = value.total().ok_or(BadEvent::AmountOverflow(id))?;
                self.claims.remove(&id);
                out.split(id, amount, all_to(finder, end));
            }
            Event::Lost { id } => {
                self.claims.remove(&id).ok_or(BadEvent::UnknownBlock(id))?;
            }
        }
        Ok(())
    }

    fn open(&self) -> Vec<BlockId> {
        let mut open: Vec<_> = self.claims.iter().map(|(id, claim)| (claim.0, *id)).collect();
        open.sort_unstable();
        open.into_iter().map(|(_, id)| id).collect()
    }

    fn preview(&self) -> Option<Weights> {
        self.last.map(|account| all_to(account, self.end))
    }
}
