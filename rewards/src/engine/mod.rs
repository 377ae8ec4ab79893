//! The running schemes. None of them scans a window: a share costs a constant, a block costs the accounts it pays.

mod line;
mod pay_per_share;
mod pplns;
mod prop;
mod solo;

pub use pay_per_share::PayPerShare;
pub use pplns::Pplns;
pub use prop::Prop;
pub use solo::Solo;

use crate::scheme::{BadEvent, ShareEvent};
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

    /// The last share may have solved this block: there is one, and it solved no other.
    fn found(&self, id: BlockId) -> Result<ShareSeq, BadEvent> {
        let last = self.last.ok_or(BadEvent::NoShare(id))?;
        if self.last_found == Some(last) { Err(BadEvent::Repeated(id)) } else { Ok(last) }
    }
}
