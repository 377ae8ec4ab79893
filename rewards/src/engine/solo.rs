//! SOLO: the finder gets it all.

use super::{Open, Order};
use crate::account::AccountIx;
use crate::codec::{BadSnapshot, Reader, Writer};
use crate::scheme::{BadEvent, Event, Scheme, ShareRun, Sink, Weights};
use alloc::vec::Vec;
use pool_core::id::BlockId;
use pool_core::units::Units;

/// Open blocks and their finders.
#[derive(Clone, Debug, Default)]
pub struct Solo {
    order: Order,
    last: Option<AccountIx>,
    end: u128,
    open: Open<(AccountIx, u128)>,
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
                if self.open.has(&id) {
                    return Err(BadEvent::Repeated(id));
                }
                self.order.found(id)?;
                self.open.insert(id, (finder, self.end));
                self.order.last_found = self.order.last;
            }
            Event::Settled { id, value } => {
                let (finder, end) = *self.open.get(&id)?;
                let amount = value.total().ok_or(BadEvent::AmountOverflow(id))?;
                self.open.take(&id)?;
                out.split(id, amount, all_to(finder, end));
            }
            Event::Lost { id } => {
                self.open.take(&id)?;
            }
        }
        Ok(())
    }

    /// Only the last one may find a block.
    fn shares(&mut self, run: &ShareRun<'_>, out: &mut dyn Sink) -> Result<(), BadEvent> {
        let (Some((last, end)), Some(account)) = (self.order.run(run, self.end), run.accounts().last())
        else {
            return run.events().try_for_each(|share| self.apply(&Event::Share(share), out));
        };
        self.end = end;
        self.order.last = Some(last);
        self.last = Some(*account);
        Ok(())
    }

    fn open(&self) -> Vec<BlockId> {
        self.open.ids()
    }

    fn preview(&self) -> Option<Weights> {
        self.last.map(|account| all_to(account, self.end))
    }

    fn save(&self, out: &mut Writer) {
        self.order.save(out);
        out.u8(u8::from(self.last.is_some()));
        out.account(self.last.unwrap_or(AccountIx::new(0)));
        out.u128(self.end);
        self.open.save(out, |out, (finder, end)| {
            out.account(*finder);
            out.u128(*end);
        });
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<(), BadSnapshot> {
        self.order = Order::load(from)?;
        let (known, last) = (from.u8()? != 0, from.account()?);
        self.last = known.then_some(last);
        self.end = from.u128()?;
        self.open = Open::load(from, |from| Ok((from.account()?, from.u128()?)))?;
        Ok(())
    }
}
