//! A reward rule of your own, built around one that is there.
//!
//! The pool's own rules are data (`Rule`), and most wishes are a parameter of one of them. For what is left there is
//! the trait [`Scheme`]: a value that hears four events (a share; a block found, settled, lost) and tells a [`Sink`]
//! by which weights an amount is to be split. It knows neither fees nor rounding, so it cannot make or lose money:
//! turning weights and an amount into whole units is the kernel's work (`split`), the same for every scheme.
//!
//! The rule here: PPLNS, but no account gets more than two fifths of a block while others mine; what a large one is
//! cut goes to the others by their work. It listens in on another scheme and changes the weights on their way out. It
//! has no state of its own, so saving and loading are the inner scheme's.
//!
//! Before you use it: a cap by account is a cap on honesty. Who splits his machines over two accounts is not capped,
//! and names are free. Every rule that does not pay by work alone has such a hole, which is why the built-in ones do.
//!
//! Run it: `cargo run -p poolwright-examples --example custom_scheme`
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use pool_core::id::{BlockId, ShareSeq};
use pool_core::units::{Amount, Units, Work, mul_div};
use pool_rewards::account::AccountIx;
use pool_rewards::codec::{BadSnapshot, Reader, Writer};
use pool_rewards::scheme::{
    Anchor, BadEvent, Event, RewardParts, Rule, Scheme, SchemeParams, ShareEvent, Sink, Weights,
};
use pool_rewards::split::{Allocation, Rounding, split};

/// No account above two fifths.
const CAP: (u128, u128) = (2, 5);

/// Any scheme, with a cap.
#[derive(Debug)]
struct Capped(Box<dyn Scheme>);

/// Hears what the inner scheme decides and passes it on, capped.
struct Cap<'a>(&'a mut dyn Sink);

impl Sink for Cap<'_> {
    fn split(&mut self, id: BlockId, amount: Amount, weights: Weights) {
        self.0.split(id, amount, capped(weights));
    }

    fn reserve(&mut self, id: BlockId, amount: Amount) {
        self.0.reserve(id, amount);
    }
}

/// Pulls accounts down to the cap and the others up by their work, until nobody stands above it. Integers, rounded
/// down: only ratios matter, and a lost bit of 2^-88 blocks is lost for all alike.
fn capped(mut weights: Weights) -> Weights {
    let total = weights.accounts.iter().fold(0, |sum, (_, units)| sum + units.to_bits());
    let cap = Units::from_bits(total / CAP.1 * CAP.0);
    let mut full: Vec<AccountIx> = Vec::new();
    // Each round fills at least one account more, so there are no more rounds than accounts.
    while let Some((large, _)) =
        weights.accounts.iter().find(|(account, units)| *units > cap && !full.contains(account))
    {
        full.push(*large);
        let free = total.saturating_sub(cap.to_bits() * full.len() as u128);
        let is_full = |account: &AccountIx| full.contains(account);
        let others = weights.accounts.iter().filter(|(account, _)| !is_full(account));
        let work = others.fold(0, |sum, (_, units)| sum + units.to_bits());
        for (account, units) in &mut weights.accounts {
            let scaled = mul_div(units.to_bits(), free, work).map_or(*units, Units::from_bits);
            *units = if is_full(account) { cap } else { scaled };
        }
    }
    weights
}

impl Scheme for Capped {
    fn apply(&mut self, event: &Event, out: &mut dyn Sink) -> Result<(), BadEvent> {
        self.0.apply(event, &mut Cap(out))
    }

    fn open(&self) -> Vec<BlockId> {
        self.0.open()
    }

    fn preview(&self) -> Option<Weights> {
        self.0.preview().map(capped)
    }

    fn save(&self, out: &mut Writer) {
        self.0.save(out);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<(), BadSnapshot> {
        self.0.load(from)
    }
}

/// What came out of a block.
#[derive(Default)]
struct Paid(Vec<Allocation<AccountIx>>);

impl Sink for Paid {
    fn split(&mut self, _: BlockId, amount: Amount, weights: Weights) {
        let paid = split(&weights.accounts, weights.operator, amount, Rounding::LargestRemainder);
        self.0.push(paid.expect("a window with shares has weights"));
    }

    fn reserve(&mut self, _: BlockId, _: Amount) {}
}

/// Two hundred shares of a tenth of a block, a block, and what it pays: seven shares in ten are account 0's.
fn play(name: &str, scheme: &mut dyn Scheme) -> anyhow::Result<Vec<u128>> {
    let (id, mut paid) = (BlockId::new([1; 32]), Paid::default());
    for seq in 1..=200 {
        let account = AccountIx::new([0, 0, 1, 0, 0, 2, 0, 0, 1, 0][seq as usize % 10]);
        let units = Units::from_bits(Units::BLOCK.to_bits() / 10);
        let share = ShareEvent { seq: ShareSeq::new(seq), account, units, work: Work::new(1 << 32)? };
        scheme.apply(&Event::Share(share), &mut paid)?;
    }
    scheme.apply(&Event::Found { id, finder: AccountIx::new(0), anchor: Anchor::AtFind }, &mut paid)?;
    let value = Amount::new(1_000_000_007);
    scheme.apply(&Event::Settled { id, value: RewardParts::whole(value) }, &mut paid)?;
    let [allocation] = paid.0.as_slice() else { anyhow::bail!("one block is split once") };
    anyhow::ensure!(allocation.total()? == value, "to the last unit");
    let amounts: Vec<u128> = allocation.entries.iter().map(|(_, amount)| amount.get()).collect();
    println!("{name:>13}: {amounts:?}, together {value}");
    Ok(amounts)
}

fn main() -> anyhow::Result<()> {
    let window = Units::from_bits(5 * Units::BLOCK.to_bits());
    let rule = Rule::Pplns { window, underfilled: Default::default(), edge: Default::default() };
    let params = SchemeParams::new(rule);
    let plain = play("PPLNS", &mut *params.start()?)?;
    let mut scheme = Capped(params.start()?);
    let fair = play("PPLNS, capped", &mut scheme)?;
    anyhow::ensure!(
        fair[0] < plain[0] && fair[1] > plain[1] && fair[2] > plain[2],
        "the cap moved something"
    );
    anyhow::ensure!(fair[0].abs_diff(1_000_000_007 * CAP.0 / CAP.1) <= 1, "account 0 stands at the cap");

    let mut saved = Writer::default();
    scheme.save(&mut saved);
    let mut restored = Capped(params.start()?);
    restored.load(&mut Reader::new(&saved.into_bytes()))?;
    anyhow::ensure!(restored.preview() == scheme.preview(), "a restored scheme goes on as the saved one");
    println!("done: the same shares under two rules, every unit accounted for");
    Ok(())
}
