//! Scores that fade with work: the exponential window, the geometric method and the double geometric method.
//!
//! One recurrence serves all three. A share of `p` units adds `p s` to its account's score `S` and multiplies the
//! common scale `s` by `1 + p K`. A block of net value `R` pays `R K S / s` and leaves `o S`. With
//! `K = (1 - c)(1 - o)/c` that is the double geometric method, with `o = 0` the geometric one, and with `o = 1` and
//! `K = 1/L` the exponential window of `L` units. Whatever the difficulties, the expected pay of a share is exactly
//! `p (1 - c)` of a block, and no block pays more than it is worth. (Block values are left out of the scores: they are
//! known only when a block settles.)
//!
//! Scores never decay: the scale grows, and when it has grown by `2^60` everything is shifted down together. The scale
//! is a 128-bit mantissa rounded down once per share, so after `n` shares it is off by less than `n / 2^125` relative;
//! a score loses less than `2^-64` of one share each time something is rounded. What is lost is never paid to anyone
//! else: it stays in the operator's part, or vanishes from both sides where the scores are only compared.
//!
//! A block's weights are fixed when it is found, because a later block's carry-over changes the scores.

use super::{Open, Order};
use crate::account::AccountIx;
use crate::codec::{BadSnapshot, Reader, Writer};
use crate::scheme::{BadEvent, Event, Scheme, Sink, Underfilled, Weights};
use crate::wide::{U384, U512};
use alloc::vec::Vec;
use pool_core::id::BlockId;
use pool_core::units::{BasisPoints, U256, Units};

/// The scale's mantissa has its highest bit here.
const MANTISSA: u32 = 127;
/// The scale may grow by this many bits before everything is shifted down.
const GROWTH: u32 = 60;
/// Bits dropped from `units × mantissa` in a score.
const DROPPED: usize = 64;

/// What a block leaves of each score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// All: the exponential window.
    All,
    /// This part: the geometric methods.
    Part(BasisPoints),
}

/// An open block's weights.
#[derive(Clone, Debug)]
struct Claim {
    accounts: Vec<(AccountIx, Units)>,
    operator: Units,
    to: u128,
}

/// The running scores.
#[derive(Clone, Debug)]
pub struct Scored {
    /// `K` as a fraction.
    growth: (u128, u128),
    /// `K` as 128 bits and how far they are shifted left: one product per share instead of a division.
    factor: (u128, u32),
    kept: Kept,
    underfilled: Underfilled,
    order: Order,
    end: u128,
    mantissa: u128,
    exponent: u32,
    scores: Vec<U256>,
    total: U256,
    open: Open<Claim>,
}

impl Scored {
    fn new(growth: (u128, u128), kept: Kept, underfilled: Underfilled) -> Self {
        let (top, bottom) = growth;
        // The most bits that fit: K is between 2^-35 and 2^27, so its 128 bits begin between these shifts.
        let mut shift: usize = 127 + 128;
        let mut wide: U512 = (U512::from(top) << shift) / U512::from(bottom);
        while wide.bit_len() > 128 {
            wide >>= 1;
            shift -= 1;
        }
        let factor = u128::try_from(wide).expect("shifted down to 128 bits");
        Self {
            growth,
            factor: (factor, u32::try_from(shift).expect("a shift below 256")),
            kept,
            underfilled,
            order: Order::default(),
            end: 0,
            mantissa: 1 << MANTISSA,
            exponent: 0,
            scores: Vec::new(),
            total: U256::ZERO,
            open: Open::default(),
        }
    }

    /// The exponential window of `window` units.
    #[must_use]
    pub fn exponential(window: Units, underfilled: Underfilled) -> Self {
        Self::new((Units::BLOCK.to_bits(), window.to_bits().max(1)), Kept::All, underfilled)
    }

    /// The double geometric method of average fee `c` and carry-over `o`.
    #[must_use]
    pub fn geometric(average_fee: BasisPoints, carry_over: BasisPoints) -> Self {
        let (fee, kept) = (u128::from(average_fee.get()), u128::from(carry_over.get()));
        let growth = ((10_000 - fee) * (10_000 - kept), 10_000 * fee.max(1));
        Self::new(growth, Kept::Part(carry_over), Underfilled::OperatorKeeps)
    }

    fn share(&mut self, account: AccountIx, units: u128) {
        let gained = (U256::from(units) * U256::from(self.mantissa)) >> DROPPED << self.exponent as usize;
        if self.scores.len() <= account.index() {
            self.scores.resize(account.index() + 1, U256::ZERO);
        }
        self.scores[account.index()] += gained;
        self.total += gained;
        // s += s p K, with p = units / 2^88.
        let product = U384::from(units) * U384::from(self.mantissa) * U384::from(self.factor.0);
        let mut scale =
            (product >> (Units::FRACTION_BITS + self.factor.1) as usize) + U384::from(self.mantissa);
        while scale.bit_len() > MANTISSA as usize + 1 {
            scale >>= 1;
            self.exponent += 1;
        }
        self.mantissa = u128::try_from(scale).expect("a mantissa was shifted down to 128 bits");
        if self.exponent > GROWTH {
            self.shift(self.exponent);
        }
    }

    /// The same state in a smaller frame: every score and the scale divided by `2^bits`.
    fn shift(&mut self, bits: u32) {
        self.exponent -= bits;
        self.total = U256::ZERO;
        for score in &mut self.scores {
            *score >>= bits as usize;
            self.total += *score;
        }
    }

    /// Weights of a block now. They sum to the budget: all scores, or the scale divided by `K`.
    fn weigh(&self) -> Claim {
        let (top, bottom) = self.growth;
        let full = {
            // s / K in the units of a score: mantissa × 2^88 / K, dropped and raised as a score is.
            let full = U512::from(self.mantissa) << Units::FRACTION_BITS as usize;
            (full * U512::from(bottom) / U512::from(top)) >> DROPPED << self.exponent as usize
        };
        let held = U512::from(self.total);
        let budget = match self.underfilled {
            Underfilled::Renormalise => held,
            Underfilled::OperatorKeeps => full.max(held),
        };
        let shift = budget.bit_len().saturating_sub(127);
        let narrow = |wide: U512| u128::try_from(wide >> shift).expect("at most 127 bits are left");
        let mut operator = narrow(budget);
        let accounts = self
            .scores
            .iter()
            .enumerate()
            .filter_map(|(index, score)| {
                let weight = narrow(U512::from(*score));
                operator -= weight;
                let account = AccountIx::new(u32::try_from(index).expect("accounts are numbered in 32 bits"));
                (weight > 0).then_some((account, Units::from_bits(weight)))
            })
            .collect();
        if self.underfilled == Underfilled::Renormalise {
            // What rounding left over belongs to nobody.
            operator = 0;
        }
        Claim { accounts, operator: Units::from_bits(operator), to: self.end }
    }

    fn weights(claim: Claim) -> Weights {
        Weights {
            accounts: claim.accounts,
            operator: claim.operator,
            to: Units::from_bits(claim.to),
            ..Weights::default()
        }
    }

    fn carry_over(&mut self) {
        let Kept::Part(part) = self.kept else { return };
        let (part, whole) = (U256::from(part.get()), U256::from(10_000u64));
        self.total = U256::ZERO;
        for score in &mut self.scores {
            let (quotient, rest) = score.div_rem(whole);
            *score = quotient * part + rest * part / whole;
            self.total += *score;
        }
    }
}

impl Scheme for Scored {
    fn apply(&mut self, event: &Event, out: &mut dyn Sink) -> Result<(), BadEvent> {
        match *event {
            Event::Share(share) => {
                self.order.share(&share)?;
                self.end = self.end.checked_add(share.units.to_bits()).ok_or(BadEvent::LongLog)?;
                self.order.last = Some(share.seq);
                self.share(share.account, share.units.to_bits());
            }
            Event::Found { id, .. } => {
                if self.open.has(&id) {
                    return Err(BadEvent::Repeated(id));
                }
                self.order.found(id)?;
                let claim = self.weigh();
                self.open.insert(id, claim);
                self.carry_over();
                self.order.last_found = self.order.last;
            }
            Event::Settled { id, value } => {
                let amount = value.total().ok_or(BadEvent::AmountOverflow(id))?;
                let claim = self.open.take(&id)?;
                out.split(id, amount, Self::weights(claim));
            }
            Event::Lost { id } => {
                // A block of value nothing: the carry-over stands, which is what keeps the order of fates out of it.
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
        Some(Self::weights(self.weigh()))
    }

    fn save(&self, out: &mut Writer) {
        self.order.save(out);
        out.u128(self.end);
        out.u128(self.mantissa);
        out.u32(self.exponent);
        out.length(self.scores.len());
        for score in &self.scores {
            out.u256(*score);
        }
        self.open.save(out, |out, claim| {
            out.weights(&claim.accounts);
            out.u128(claim.operator.to_bits());
            out.u128(claim.to);
        });
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<(), BadSnapshot> {
        self.order = Order::load(from)?;
        self.end = from.u128()?;
        self.mantissa = from.u128()?;
        self.exponent = from.u32()?;
        if self.mantissa >> MANTISSA == 0 || self.exponent > GROWTH {
            return Err(BadSnapshot("a scale is none"));
        }
        self.scores = from.list(Reader::u256)?;
        let total = self.scores.iter().try_fold(U256::ZERO, |sum, score| sum.checked_add(*score));
        self.total = total.ok_or(BadSnapshot("scores pass their range"))?;
        self.open = Open::load(from, |from| {
            let (accounts, operator) = (from.weights()?, Units::from_bits(from.u128()?));
            Ok(Claim { accounts, operator, to: from.u128()? })
        })?;
        Ok(())
    }
}
