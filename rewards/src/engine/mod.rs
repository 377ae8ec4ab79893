//! The running schemes. None of them scans a window: a share costs a constant, a block costs the accounts it pays.

mod line;
mod mixed;
mod pay_per_share;
mod pplns;
mod prop;
mod scored;
mod solo;
mod stream;
mod tides;

pub use mixed::{Mixed, PpsPlus};
pub use pay_per_share::PayPerShare;
pub use pplns::Pplns;
pub use prop::Prop;
pub use scored::Scored;
pub use solo::Solo;
pub use stream::{Accrued, Stream};
pub use tides::Tides;

use crate::codec::{BadSnapshot, Reader, Writer};
use crate::scheme::{BadEvent, ShareEvent, ShareRun};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use pool_core::id::{BlockId, ShareSeq};
use pool_core::units::Units;

/// What every scheme checks of the order of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Order {
    last: Option<ShareSeq>,
    last_found: Option<ShareSeq>,
}

impl Order {
    /// The share follows the last one and weighs at most a block.
    fn share(&self, share: &ShareEvent) -> Result<(), BadEvent> {
        if let Some(last) = self.last
            && last.get().checked_add(1) != Some(share.seq.get())
        {
            return Err(BadEvent::Gap { last, found: share.seq });
        }
        if share.units > Units::BLOCK {
            return Err(BadEvent::HeavyShare(share.seq));
        }
        Ok(())
    }

    /// All shares of the run may follow behind `end`: its last share and where that ends. `None` of an empty run, and
    /// where one of them would be refused, which is then found one by one.
    fn run(&self, run: &ShareRun<'_>, end: u128) -> Option<(ShareSeq, u128)> {
        self.share(&run.head()?).ok()?;
        let (last, units) = run.sum()?;
        Some((last, end.checked_add(units)?))
    }

    /// The last share may have solved this block: there is one, and it solved no other.
    fn found(&self, id: BlockId) -> Result<ShareSeq, BadEvent> {
        let last = self.last.ok_or(BadEvent::NoShare(id))?;
        if self.last_found == Some(last) { Err(BadEvent::Repeated(id)) } else { Ok(last) }
    }

    fn save(&self, out: &mut Writer) {
        out.seq(self.last);
        out.seq(self.last_found);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, BadSnapshot> {
        Ok(Self { last: from.seq()?, last_found: from.seq()? })
    }
}

/// Open blocks with what a scheme remembers of each, in the order they were found.
#[derive(Clone, Debug)]
struct Open<T> {
    blocks: BTreeMap<BlockId, (u64, T)>,
    found: u64,
}

impl<T> Default for Open<T> {
    fn default() -> Self {
        Self { blocks: BTreeMap::new(), found: 0 }
    }
}

impl<T> Open<T> {
    fn has(&self, id: &BlockId) -> bool {
        self.blocks.contains_key(id)
    }

    fn insert(&mut self, id: BlockId, claim: T) {
        self.blocks.insert(id, (self.found, claim));
        self.found += 1;
    }

    fn get(&self, id: &BlockId) -> Result<&T, BadEvent> {
        self.blocks.get(id).map(|(_, claim)| claim).ok_or(BadEvent::UnknownBlock(*id))
    }

    fn take(&mut self, id: &BlockId) -> Result<T, BadEvent> {
        self.blocks.remove(id).map(|(_, claim)| claim).ok_or(BadEvent::UnknownBlock(*id))
    }

    fn claims(&self) -> impl Iterator<Item = &T> {
        self.blocks.values().map(|(_, claim)| claim)
    }

    fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    fn ids(&self) -> Vec<BlockId> {
        let mut open: Vec<_> = self.blocks.iter().map(|(id, (order, _))| (*order, *id)).collect();
        open.sort_unstable();
        open.into_iter().map(|(_, id)| id).collect()
    }

    fn save(&self, out: &mut Writer, mut claim: impl FnMut(&mut Writer, &T)) {
        out.u64(self.found);
        out.length(self.blocks.len());
        for (id, (order, value)) in &self.blocks {
            out.block(id);
            out.u64(*order);
            claim(out, value);
        }
    }

    fn load(
        from: &mut Reader<'_>,
        mut claim: impl FnMut(&mut Reader<'_>) -> Result<T, BadSnapshot>,
    ) -> Result<Self, BadSnapshot> {
        let found = from.u64()?;
        let blocks = from.list(|from| Ok((from.block()?, (from.u64()?, claim(from)?))))?;
        Ok(Self { blocks: blocks.into_iter().collect(), found })
    }
}
