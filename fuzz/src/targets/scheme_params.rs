//! A scheme's parameters as data, and the scheme they start.
//!
//! The bytes are JSON; behind a line break each further byte is an event, so that parameters which are taken are also
//! used: a scheme that starts must survive its first blocks.

use super::{same_again, text};
use pool_core::id::{BlockId, ShareSeq};
use pool_core::units::{Amount, Units, Work};
use pool_rewards::account::AccountIx;
use pool_rewards::codec::{Reader, Writer};
use pool_rewards::scheme::{Anchor, Event, RewardParts, Scheme, SchemeParams, ShareEvent, Sink, Weights};
use std::collections::{BTreeMap, BTreeSet};

/// Events of one input; the blocks among them are named by a byte.
const EVENTS_MAX: usize = 256;

/// Parameters have one canonical text and one hash; a started scheme pays each settled block once and whole, and is
/// the same after it was saved and loaded.
pub fn target(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let Ok(params) = serde_json::from_str::<SchemeParams>(&text(&data[..end])) else { return };
    same_again(&params);
    let again: SchemeParams =
        serde_json::from_str(&params.canonical()).expect("the canonical text can be read");
    assert_eq!((again.canonical(), again.hash()), (params.canonical(), params.hash()));
    match (params.validate(), params.start()) {
        (Ok(()), Ok(scheme)) => play(&params, scheme, data.get(end + 1..).unwrap_or_default()),
        (Err(one), Err(other)) => assert_eq!(one, other),
        (valid, started) => panic!("validation says {valid:?}, starting says {started:?}"),
    }
}

const VALUE: u128 = 1_000_003;

/// What came out, by block.
#[derive(Default)]
struct Paid {
    totals: BTreeMap<BlockId, u128>,
    splits: Vec<Weights>,
}

impl Sink for Paid {
    fn split(&mut self, id: BlockId, amount: Amount, weights: Weights) {
        *self.totals.entry(id).or_default() += amount.get();
        self.splits.push(weights);
    }

    fn reserve(&mut self, id: BlockId, amount: Amount) {
        *self.totals.entry(id).or_default() += amount.get();
    }
}

fn state(scheme: &dyn Scheme) -> Vec<u8> {
    let mut out = Writer::default();
    scheme.save(&mut out);
    out.into_bytes()
}

fn play(params: &SchemeParams, mut scheme: Box<dyn Scheme>, events: &[u8]) {
    let (mut seq, mut open, mut settled, mut paid) = (0u64, Vec::new(), BTreeSet::new(), Paid::default());
    for (place, byte) in events.iter().take(EVENTS_MAX).enumerate() {
        let id = BlockId::new([place as u8; 32]);
        let account = AccountIx::new(u32::from(byte >> 2) % 8);
        let event = match byte & 3 {
            0 | 1 => {
                let units = Units::from_bits(Units::BLOCK.to_bits() >> (byte >> 4));
                let work = Work::new(1 << (byte >> 2)).expect("a power of two is above zero");
                Event::Share(ShareEvent { seq: ShareSeq::new(seq + 1), account, units, work })
            }
            2 => Event::Found { id, finder: account, anchor: Anchor::AtFind },
            _ => match open.pop() {
                Some(id) if byte & 4 == 0 => Event::Lost { id },
                Some(id) => Event::Settled { id, value: RewardParts::whole(Amount::new(VALUE)) },
                None => continue,
            },
        };
        let before = state(&*scheme);
        match (scheme.apply(&event, &mut paid), event) {
            (Err(_), _) => assert_eq!(state(&*scheme), before, "what was refused changed something"),
            (Ok(()), Event::Share(_)) => seq += 1,
            (Ok(()), Event::Found { id, .. }) => open.push(id),
            (Ok(()), Event::Settled { id, .. }) => assert!(settled.insert(id), "a block settled twice"),
            (Ok(()), Event::Lost { .. }) => {}
        }
    }
    // Right after a block a round is empty, and so are the weights of a preview.
    if let Some(weights) = scheme.preview().filter(|weights| *weights != empty(weights)) {
        check(&weights);
    }
    let saved = state(&*scheme);
    let mut loaded = params.start().expect("it was started before");
    loaded.load(&mut Reader::new(&saved)).expect("what was saved can be loaded");
    assert_eq!(state(&*loaded), saved);
    assert_eq!(loaded.open(), scheme.open());
    assert_eq!(loaded.preview(), scheme.preview());

    // A scheme may hold a block's value back until the blocks before it are concluded, and no longer.
    for id in open {
        scheme.apply(&Event::Lost { id }, &mut paid).expect("a block that was found can be lost");
    }
    assert_eq!(scheme.open(), []);
    assert!(paid.totals.iter().all(|(id, total)| settled.contains(id) || *total == 0), "a lost block paid");
    for id in settled {
        assert_eq!(paid.totals.get(&id), Some(&VALUE), "a block's whole value goes somewhere");
    }
    paid.splits.iter().for_each(check);
}

fn empty(weights: &Weights) -> Weights {
    Weights { from: weights.from, to: weights.to, ..Weights::default() }
}

fn check(weights: &Weights) {
    assert!(weights.accounts.windows(2).all(|pair| pair[0].0 < pair[1].0), "each account once, ascending");
    assert!(weights.accounts.iter().all(|(_, units)| *units > Units::ZERO));
    let sum = weights.accounts.iter().try_fold(weights.operator, |sum, (_, units)| sum.checked_add(*units));
    assert!(sum.is_some_and(|sum| sum > Units::ZERO), "weights add up to something");
    assert!(weights.from <= weights.to);
}
