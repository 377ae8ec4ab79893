//! PROP: a round is the work since the pool's block before, on any chain. Hoppable; kept because people ask for it.
//!
//! Rounds are paid in the order in which their blocks were found: a block waits until every block before it is
//! concluded. The work of a lost block, or of one worth nothing, joins the next round. So the result does not depend
//! on the order in which fates become known.

use super::Order;
use crate::account::AccountIx;
use crate::codec::{BadSnapshot, Reader, Writer};
use crate::scheme::{BadEvent, Event, RewardParts, Scheme, ShareRun, Sink, Weights};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use pool_core::id::BlockId;
use pool_core::units::Units;

type Work = BTreeMap<AccountIx, u128>;

/// A finished round that waits for its block, or for a block before it.
#[derive(Clone, Debug)]
struct Round {
    id: BlockId,
    work: Work,
    from: u128,
    to: u128,
    /// What became of its block, once that is known; lost is worth nothing.
    value: Option<RewardParts>,
}

/// The running rounds.
#[derive(Clone, Debug, Default)]
pub struct Prop {
    order: Order,
    waiting: VecDeque<Round>,
    current: Vec<u128>,
    /// Accounts with work in `current`.
    present: Vec<AccountIx>,
    /// Work of lost rounds that joined the current one.
    joined: Work,
    start: u128,
    end: u128,
}

fn union(mut left: Work, mut right: Work) -> Work {
    if left.len() < right.len() {
        core::mem::swap(&mut left, &mut right);
    }
    for (account, units) in right {
        // Both are parts of one line, whose end was checked.
        *left.entry(account).or_default() += units;
    }
    left
}

fn weights(work: &Work, from: u128, to: u128) -> Weights {
    Weights {
        accounts: work.iter().map(|(account, units)| (*account, Units::from_bits(*units))).collect(),
        from: Units::from_bits(from),
        to: Units::from_bits(to),
        ..Weights::default()
    }
}

impl Prop {
    fn round(&self) -> Work {
        let fresh = self
            .present
            .iter()
            .map(|account| (*account, self.current[account.index()]))
            .filter(|(_, units)| *units > 0)
            .collect();
        union(self.joined.clone(), fresh)
    }

    fn add(&mut self, account: AccountIx, units: u128) {
        let index = account.index();
        if self.current.len() <= index {
            self.current.resize(index + 1, 0);
        }
        let slot = &mut self.current[index];
        if *slot == 0 && units > 0 {
            self.present.push(account);
        }
        *slot += units;
    }

    fn conclude(
        &mut self,
        id: BlockId,
        value: Option<RewardParts>,
        out: &mut dyn Sink,
    ) -> Result<(), BadEvent> {
        let round = self
            .waiting
            .iter_mut()
            .find(|round| round.id == id && round.value.is_none())
            .ok_or(BadEvent::UnknownBlock(id))?;
        let value = value.unwrap_or_default();
        value.total().ok_or(BadEvent::AmountOverflow(id))?;
        round.value = Some(value);
        while let Some(value) = self.waiting.front().and_then(|round| round.value) {
            let Some(round) = self.waiting.pop_front() else { break };
            match value.total() {
                Some(amount) if !amount.is_zero() => {
                    out.split(round.id, amount, weights(&round.work, round.from, round.to));
                }
                _ => match self.waiting.front_mut() {
                    Some(next) => {
                        next.work = union(core::mem::take(&mut next.work), round.work);
                        next.from = round.from;
                    }
                    None => {
                        self.joined = union(core::mem::take(&mut self.joined), round.work);
                        self.start = round.from;
                    }
                },
            }
        }
        Ok(())
    }
}

impl Scheme for Prop {
    fn apply(&mut self, event: &Event, out: &mut dyn Sink) -> Result<(), BadEvent> {
        match *event {
            Event::Share(share) => {
                self.order.share(&share)?;
                self.end = self.end.checked_add(share.units.to_bits()).ok_or(BadEvent::LongLog)?;
                self.order.last = Some(share.seq);
                self.add(share.account, share.units.to_bits());
            }
            Event::Found { id, .. } => {
                if self.waiting.iter().any(|round| round.id == id) {
                    return Err(BadEvent::Repeated(id));
                }
                self.order.found(id)?;
                let work = self.round();
                self.waiting.push_back(Round { id, work, from: self.start, to: self.end, value: None });
                self.order.last_found = self.order.last;
                for account in self.present.drain(..) {
                    self.current[account.index()] = 0;
                }
                self.joined.clear();
                self.start = self.end;
            }
            Event::Settled { id, value } => self.conclude(id, Some(value), out)?,
            Event::Lost { id } => self.conclude(id, None, out)?,
        }
        Ok(())
    }

    /// Within a round only sums count.
    fn shares(&mut self, run: &ShareRun<'_>, out: &mut dyn Sink) -> Result<(), BadEvent> {
        let Some((last, end)) = self.order.run(run, self.end) else {
            return run.events().try_for_each(|share| self.apply(&Event::Share(share), out));
        };
        for (account, count) in run.counts() {
            self.add(account, run.units().to_bits() * u128::from(count));
        }
        self.end = end;
        self.order.last = Some(last);
        Ok(())
    }

    fn open(&self) -> Vec<BlockId> {
        self.waiting.iter().filter(|round| round.value.is_none()).map(|round| round.id).collect()
    }

    fn preview(&self) -> Option<Weights> {
        self.order.last?;
        Some(weights(&self.round(), self.start, self.end))
    }

    fn save(&self, out: &mut Writer) {
        self.order.save(out);
        out.u128(self.start);
        out.u128(self.end);
        save_work(out, &self.round());
        out.length(self.waiting.len());
        for round in &self.waiting {
            out.block(&round.id);
            save_work(out, &round.work);
            out.u128(round.from);
            out.u128(round.to);
            let RewardParts { subsidy, fees, extra } = round.value.unwrap_or_default();
            out.u8(u8::from(round.value.is_some()));
            for part in [subsidy, fees, extra] {
                out.amount(part);
            }
        }
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<(), BadSnapshot> {
        *self = Self { order: Order::load(from)?, start: from.u128()?, end: from.u128()?, ..Self::default() };
        // The running round goes where a lost round's work is kept: the two are added up wherever it matters.
        self.joined = load_work(from)?;
        self.waiting = from
            .list(|from| {
                let (id, work) = (from.block()?, load_work(from)?);
                let (from_position, to) = (from.u128()?, from.u128()?);
                let known = from.u8()? != 0;
                let value =
                    RewardParts { subsidy: from.amount()?, fees: from.amount()?, extra: from.amount()? };
                Ok(Round { id, work, from: from_position, to, value: known.then_some(value) })
            })?
            .into();
        Ok(())
    }
}

fn save_work(out: &mut Writer, work: &Work) {
    out.length(work.len());
    for (account, units) in work {
        out.account(*account);
        out.u128(*units);
    }
}

fn load_work(from: &mut Reader<'_>) -> Result<Work, BadSnapshot> {
    Ok(from.list(|from| Ok((from.account()?, from.u128()?)))?.into_iter().collect())
}
