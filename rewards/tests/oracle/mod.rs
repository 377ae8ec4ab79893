//! The slow oracle: it scans every share for every block, on exact rationals, and shares no code with the engines.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of the oracle")]
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};
use pool_core::id::{BlockId, ShareSeq};
use pool_core::units::{Amount, Units, Work};
use pool_rewards::account::AccountIx;
use pool_rewards::scheme::{Anchor, Event, RewardParts, Scheme, ShareEvent, Sink, Weights};
use proptest::prelude::*;
use std::collections::BTreeMap;

pub type Q = BigRational;

pub fn q(number: impl Into<BigInt>) -> Q {
    Q::from_integer(number.into())
}

/// A random log: shares, blocks among them with their values (0: lost), and when each block is concluded.
#[derive(Clone, Debug)]
pub struct Log {
    /// Account, units, work.
    pub shares: Vec<(u32, u128, u128)>,
    /// Index of the share that solved it, and what it is worth.
    pub blocks: Vec<(usize, u64)>,
    /// For each block, a number that sorts conclusions: before share `n` for numbers below `n`, ties by the block.
    pub concluded: Vec<usize>,
}

pub fn block_id(index: usize) -> BlockId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(index as u64).to_be_bytes());
    BlockId::new(bytes)
}

prop_compose! {
    /// Shares of `unit` to a whole block, a block at every third share or so.
    pub fn logs(longest: usize)(
        shares in proptest::collection::vec(
            (0u32..5, prop_oneof![
                4 => Just(1u128 << 86), 2 => Just(1u128 << 85), 2 => 1u128..=1 << 88, 1 => Just(1u128 << 88), 1 => 0u128..3,
            ], 1u128..1 << 40),
            1..longest),
        solved in proptest::collection::vec(any::<bool>(), longest),
        also in proptest::collection::vec(any::<bool>(), longest),
        values in proptest::collection::vec(prop_oneof![1 => Just(0u64), 4 => 1u64..1 << 40], longest),
        delays in proptest::collection::vec(0usize..25, longest),
    ) -> Log {
        let blocks: Vec<(usize, u64)> = (0..shares.len())
            .filter(|index| solved[*index] && also[*index])
            .map(|index| (index, values[index]))
            .collect();
        let concluded = blocks.iter().zip(delays).map(|((index, _), delay)| index + 1 + delay).collect();
        Log { shares, blocks, concluded }
    }
}

/// What a scheme told its sink, by block.
#[derive(Default, Debug, PartialEq, Eq, Clone)]
pub struct Told {
    pub splits: BTreeMap<BlockId, Vec<(Amount, Weights)>>,
    pub reserve: BTreeMap<BlockId, Amount>,
}

impl Sink for Told {
    fn split(&mut self, id: BlockId, amount: Amount, weights: Weights) {
        self.splits.entry(id).or_default().push((amount, weights));
    }

    fn reserve(&mut self, id: BlockId, amount: Amount) {
        assert!(self.reserve.insert(id, amount).is_none(), "once per block");
    }
}

impl Log {
    /// All events in their order.
    pub fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut open: Vec<(usize, usize)> = Vec::new();
        let conclude = |events: &mut Vec<Event>, block: usize| {
            let (index, value) = self.blocks[block];
            let id = block_id(index);
            events.push(match value {
                0 => Event::Lost { id },
                _ => Event::Settled { id, value: RewardParts::whole(Amount::new(value.into())) },
            });
        };
        for (index, (account, units, work)) in self.shares.iter().enumerate() {
            let account = AccountIx::new(*account);
            events.push(Event::Share(ShareEvent {
                seq: ShareSeq::new(index as u64 + 1),
                account,
                units: Units::from_bits(*units),
                work: Work::new(*work).unwrap(),
            }));
            if let Some(block) = self.blocks.iter().position(|(solved, _)| *solved == index) {
                events.push(Event::Found { id: block_id(index), finder: account, anchor: Anchor::AtFind });
                open.push((self.concluded[block], block));
            }
            open.sort_unstable();
            while open.first().is_some_and(|(when, _)| *when <= index + 1) {
                let (_, block) = open.remove(0);
                conclude(&mut events, block);
            }
        }
        for (_, block) in open {
            conclude(&mut events, block);
        }
        events
    }

    /// The same log with every block concluded at once, in the order of the log.
    pub fn in_order(&self) -> Self {
        Self { concluded: self.blocks.iter().map(|(index, _)| index + 1).collect(), ..self.clone() }
    }

    /// The same log with every block concluded at the end, the last first.
    pub fn backwards(&self) -> Self {
        let end = self.shares.len() + 1;
        let last = self.blocks.len();
        Self { concluded: (0..last).map(|block| end + last - block).collect(), ..self.clone() }
    }

    /// Where each share ends on the line of units.
    pub fn positions(&self) -> Vec<u128> {
        let mut end = 0;
        self.shares
            .iter()
            .map(|(_, units, _)| {
                end += units;
                end
            })
            .collect()
    }
}

pub fn run(scheme: &mut dyn Scheme, events: &[Event]) -> Told {
    let mut told = Told::default();
    for event in events {
        scheme.apply(event, &mut told).unwrap();
    }
    told
}

/// Exact weights by account.
pub type Exact = BTreeMap<u32, Q>;

pub fn add(weights: &mut Exact, account: u32, weight: Q) {
    if weight.is_positive() {
        *weights.entry(account).or_default() += weight;
    }
}

pub fn exact(weights: &Weights) -> Exact {
    weights.accounts.iter().map(|(account, units)| (account.get(), q(units.to_bits()))).collect()
}

/// PPLNS by overlap of intervals.
pub fn pplns(log: &Log, block: usize, window: u128) -> Exact {
    let positions = log.positions();
    let end = positions[block];
    let mut weights = Exact::new();
    for (index, (account, units, _)) in log.shares.iter().enumerate().take(block + 1) {
        let (from, to) = (positions[index] - units, positions[index]);
        let inside = to.saturating_sub(from.max(end.saturating_sub(window)));
        add(&mut weights, *account, q(inside));
    }
    weights
}

/// The rule of 2011: the winner is not paid, `s × min(t, max(0, X - S)) / t`.
pub fn hop_exact(log: &Log, block: usize, window: u128) -> Exact {
    let positions = log.positions();
    let winner = log.shares[block].1;
    let mut weights = Exact::new();
    for (index, (account, units, _)) in log.shares.iter().enumerate().take(block) {
        let between = positions[block] - winner - positions[index];
        let room = window.saturating_sub(between);
        let part = if winner == 0 { Q::one() } else { (q(room) / q(winner)).min(Q::one()) };
        let part = if room == 0 { Q::zero() } else { part };
        add(&mut weights, *account, q(*units) * part);
    }
    weights
}

/// PROP: each paid block with its round, lost rounds merged into the next.
pub fn prop(log: &Log) -> BTreeMap<usize, Exact> {
    let (mut rounds, mut weights) = (BTreeMap::new(), Exact::new());
    for (index, (account, units, _)) in log.shares.iter().enumerate() {
        add(&mut weights, *account, q(*units));
        if let Some((_, value)) = log.blocks.iter().find(|(solved, _)| *solved == index)
            && *value > 0
        {
            rounds.insert(index, std::mem::take(&mut weights));
        }
    }
    rounds
}

/// Double geometric: each block with every account's part of its value.
pub fn double_geometric(log: &Log, growth: &Q, kept: &Q) -> BTreeMap<usize, Exact> {
    let (mut scale, mut scores, mut blocks) = (Q::one(), Exact::new(), BTreeMap::new());
    for (index, (account, units, _)) in log.shares.iter().enumerate() {
        let weight = q(*units) / q(BigInt::one() << 88u32);
        add(&mut scores, *account, &weight * &scale);
        scale *= Q::one() + weight * growth;
        if log.blocks.iter().any(|(solved, _)| *solved == index) {
            let factor = growth / &scale;
            blocks.insert(index, scores.iter().map(|(account, score)| (*account, score * &factor)).collect());
            for score in scores.values_mut() {
                *score *= kept;
            }
        }
    }
    blocks
}
