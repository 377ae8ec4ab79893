//! PPLNS for streams of blocks: a constant per share and a constant per block, however many accounts there are.
//!
//! From a share's side its pay is its work times the reward density of the blocks that come while it is in the window.
//! So the engine keeps one number, `A`, the sum of `R / X` over blocks so far, and per account its work in the window
//! and the value of `A` at its last change. Whenever one of its shares enters or leaves, the account is credited
//! `work × (A - A at the last change)`. A block only adds to `A`.
//!
//! Blocks count in the order in which they were found: shares behind an open block wait on the line, and are applied
//! when it is concluded. So the order in which fates become known changes nothing, and what is waiting is bounded by
//! the work since the oldest open block. `A` is fixed point with 192 bits behind the point, entitlements have 64, and
//! both are rounded down: an account never accrues more than its exact part, and lacks less than `2^-63` of a unit per
//! block.

use super::Order;
use super::line::Line;
use crate::account::AccountIx;
use crate::codec::{BadSnapshot, Reader, Writer};
use crate::scheme::{BadEvent, ShareEvent, Underfilled};
use crate::wide::{U512, mul_limbs, narrow};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use pool_core::id::BlockId;
use pool_core::units::{Amount, U256, Units};

/// Bits behind the point of the reward density.
const DENSITY_BITS: usize = 192;
/// Bits behind the point of an entitlement.
const ENTITLED_BITS: usize = 64;

/// What an account is entitled to: everything since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Accrued {
    /// Whole units.
    pub whole: Amount,
    /// Parts of a unit in `2^-64`.
    pub fraction: u64,
}

/// One account's place in the window.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    work: u128,
    since: U256,
    entitled: U256,
}

/// A found block, with its value once it is concluded.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    id: BlockId,
    head: u64,
    value: Option<Amount>,
}

/// The running window.
#[derive(Clone, Debug)]
pub struct Stream {
    window: u128,
    underfilled: Underfilled,
    order: Order,
    line: Line,
    /// Shares before this place are in.
    head: u64,
    /// The position behind them.
    end: u128,
    /// The oldest share that touches the window.
    tail: u64,
    /// How much of it is outside.
    cut: u128,
    density: U256,
    accounts: Vec<Place>,
    waiting: VecDeque<Waiting>,
    operator: U256,
}

impl Stream {
    /// An empty window of `window` units, at least one bit of them.
    #[must_use]
    pub fn new(window: Units, underfilled: Underfilled) -> Self {
        Self {
            window: window.to_bits().max(1),
            underfilled,
            order: Order::default(),
            line: Line::default(),
            head: 0,
            end: 0,
            tail: 0,
            cut: 0,
            density: U256::ZERO,
            accounts: Vec::new(),
            waiting: VecDeque::new(),
            operator: U256::ZERO,
        }
    }

    /// The next share of the log.
    ///
    /// # Errors
    /// [`BadEvent`]; nothing has changed then.
    pub fn share(&mut self, share: &ShareEvent) -> Result<(), BadEvent> {
        self.order.share(share)?;
        self.line.push(share.account, share.units.to_bits()).ok_or(BadEvent::LongLog)?;
        self.order.last = Some(share.seq);
        if self.waiting.is_empty() {
            self.advance(self.line.next());
        }
        Ok(())
    }

    /// The last share solved a block.
    ///
    /// # Errors
    /// [`BadEvent::NoShare`] or [`BadEvent::Repeated`]; nothing has changed then.
    pub fn found(&mut self, id: BlockId) -> Result<(), BadEvent> {
        if self.waiting.iter().any(|block| block.id == id) {
            return Err(BadEvent::Repeated(id));
        }
        self.order.found(id)?;
        self.waiting.push_back(Waiting { id, head: self.line.next(), value: None });
        self.order.last_found = self.order.last;
        Ok(())
    }

    /// The block is final and `value` of it goes to miners; zero for a lost one.
    ///
    /// # Errors
    /// [`BadEvent::UnknownBlock`] for a block that is not open; nothing has changed then. [`BadEvent::AmountOverflow`]
    /// where the reward density passes 256 bits (a coin's whole supply over a window of `2^-30` blocks); the value is
    /// unusable then.
    pub fn conclude(&mut self, id: BlockId, value: Amount) -> Result<(), BadEvent> {
        let open = self.waiting.iter_mut().find(|block| block.id == id && block.value.is_none());
        open.ok_or(BadEvent::UnknownBlock(id))?.value = Some(value);
        while let Some(Waiting { head, value: Some(value), .. }) = self.waiting.front().copied() {
            self.advance(head);
            self.reward(value).ok_or(BadEvent::AmountOverflow(id))?;
            self.waiting.pop_front();
        }
        if self.waiting.is_empty() {
            self.advance(self.line.next());
        }
        Ok(())
    }

    fn reward(&mut self, value: Amount) -> Option<()> {
        let filled = self.end.min(self.window);
        let divisor = match self.underfilled {
            Underfilled::Renormalise => filled,
            Underfilled::OperatorKeeps => self.window,
        };
        if divisor == 0 {
            // No work at all in the window: the operator holds what nobody earned.
            self.operator = self.operator.checked_add(U256::from(value.get()) << ENTITLED_BITS)?;
            return Some(());
        }
        let wide = U512::from(value.get());
        let step = (wide << DENSITY_BITS) / U512::from(divisor);
        self.density = self.density.checked_add(narrow(step)?)?;
        let kept = ((wide * U512::from(divisor - filled)) << ENTITLED_BITS) / U512::from(divisor);
        self.operator = self.operator.checked_add(narrow(kept)?)?;
        Some(())
    }

    /// Brings an account up to now, so that its work may change.
    fn settle(&mut self, account: AccountIx) -> &mut Place {
        if self.accounts.len() <= account.index() {
            self.accounts.resize(account.index() + 1, Place::default());
        }
        let place = &mut self.accounts[account.index()];
        if place.since != self.density {
            let gained = gained(place, self.density);
            place.entitled += gained;
            place.since = self.density;
        }
        place
    }

    fn advance(&mut self, head: u64) {
        while self.head < head {
            let Some((account, units)) = self.line.share(self.head) else { break };
            self.settle(account).work += units;
            self.head += 1;
            self.end += units;
            // The window's beginning moves on by as much as it is too long now.
            let mut outside = self.end.saturating_sub(self.window).min(units);
            while outside > 0 {
                let Some((account, units)) = self.line.share(self.tail) else { break };
                let step = outside.min(units - self.cut);
                self.settle(account).work -= step;
                self.cut += step;
                outside -= step;
                if self.cut == units {
                    self.tail += 1;
                    self.cut = 0;
                }
            }
        }
        self.line.forget(self.tail);
    }

    /// What an account is entitled to by all blocks concluded in order so far.
    #[must_use]
    pub fn accrued(&self, account: AccountIx) -> Accrued {
        let Some(place) = self.accounts.get(account.index()) else { return Accrued::default() };
        split(place.entitled + gained(place, self.density))
    }

    /// What the operator keeps of windows that were not full.
    #[must_use]
    pub fn operator(&self) -> Accrued {
        split(self.operator)
    }

    /// Blocks found and not applied yet, oldest first.
    pub fn open(&self) -> impl Iterator<Item = BlockId> {
        self.waiting.iter().map(|block| block.id)
    }

    /// Writes the whole state. Equal states write equal bytes.
    pub fn save(&self, out: &mut Writer) {
        self.order.save(out);
        self.line.save(out);
        out.u64(self.head);
        out.u128(self.end);
        out.u64(self.tail);
        out.u128(self.cut);
        out.u256(self.density);
        out.u256(self.operator);
        out.length(self.accounts.len());
        for place in &self.accounts {
            out.u128(place.work);
            out.u256(place.since);
            out.u256(place.entitled);
        }
        out.length(self.waiting.len());
        for block in &self.waiting {
            out.block(&block.id);
            out.u64(block.head);
            out.u8(u8::from(block.value.is_some()));
            out.amount(block.value.unwrap_or_default());
        }
    }

    /// Takes over a state that a stream of the same window wrote.
    ///
    /// # Errors
    /// [`BadSnapshot`]; the value is unusable then.
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<(), BadSnapshot> {
        self.order = Order::load(from)?;
        self.line = Line::load(from)?;
        self.head = from.u64()?;
        self.end = from.u128()?;
        self.tail = from.u64()?;
        self.cut = from.u128()?;
        self.density = from.u256()?;
        self.operator = from.u256()?;
        self.accounts =
            from.list(|from| Ok(Place { work: from.u128()?, since: from.u256()?, entitled: from.u256()? }))?;
        self.waiting = from
            .list(|from| {
                let (id, head, known) = (from.block()?, from.u64()?, from.u8()? != 0);
                let value = from.amount()?;
                Ok(Waiting { id, head, value: known.then_some(value) })
            })?
            .into();
        Ok(())
    }
}

/// `work × (density - since)`, in entitlement bits. No more than all rewards so far, which fit.
fn gained(place: &Place, density: U256) -> U256 {
    let product = mul_limbs(place.work, *(density - place.since).as_limbs());
    // Without the two lowest of six limbs: 128 bits less behind the point.
    const { assert!(DENSITY_BITS - ENTITLED_BITS == 128) };
    U256::from_limbs([product[2], product[3], product[4], product[5]])
}

fn split(entitled: U256) -> Accrued {
    let whole = entitled >> ENTITLED_BITS;
    let fraction = entitled.as_limbs()[0];
    Accrued { whole: Amount::new(u128::try_from(whole).unwrap_or(u128::MAX)), fraction }
}
