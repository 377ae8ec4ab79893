//! Found blocks and what becomes of them: found, settled and lost are three events, never one.

use crate::id::{BlockId, CoinId, Seq};
use crate::share::ShareRecord;
use crate::time::Timestamp;
use crate::units::Amount;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A block the pool solved, on disk before it is submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundBlock {
    /// The block's hash.
    pub id: BlockId,
    /// The coin it is a block of.
    pub coin: CoinId,
    /// The share that solved it. Its place in the share log is the block's anchor.
    pub share: ShareRecord,
    /// The whole block in the coin's own encoding, so that it can be submitted again after a crash.
    pub raw: Vec<u8>,
    /// A height, a blue score: what people look it up by.
    pub height: u64,
}

/// How the chain placed a block of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// On the main chain, or blue: paid.
    Main,
    /// An uncle or another side block with a reward of its own.
    Uncle,
    /// Red: its reward went to whoever merged it.
    Red,
    /// Nowhere.
    Orphan,
}

/// What the chain says of a block now. Only [`BlockFate::Matured`] and [`BlockFate::Lost`] are final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "fate")]
pub enum BlockFate {
    /// The node does not know it (yet, or any more).
    Unknown,
    /// Known and not final.
    Pending {
        /// How deep it lies, in the chain's own count.
        confirmations: u64,
    },
    /// Final, and worth `value` to the pool's address, read from the chain. Zero is possible.
    Matured {
        /// What the chain paid for this block.
        value: Amount,
        /// How it was placed.
        placement: Placement,
        /// The chain's words for it, for pages and audits (a merging block's hash, say).
        detail: String,
    },
    /// Final, and worth nothing.
    Lost {
        /// How it was placed.
        placement: Placement,
        /// Why, for pages and audits.
        detail: String,
    },
}

impl BlockFate {
    /// True when it will not change any more.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Matured { .. } | Self::Lost { .. })
    }

    /// What the chain paid: zero while nothing is final and for a lost block.
    #[must_use]
    pub const fn value(&self) -> Amount {
        match self {
            Self::Matured { value, .. } => *value,
            Self::Unknown | Self::Pending { .. } | Self::Lost { .. } => Amount::ZERO,
        }
    }
}

/// A block as a block book keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookedBlock {
    /// Its place in the book, in the order of recording.
    pub seq: Seq,
    /// The block.
    pub found: FoundBlock,
    /// The node took it (or knew it) at this time.
    pub submitted: Option<Timestamp>,
    /// Its final fate and that fate's place among all conclusions. Settlement goes by this order, so it is the same
    /// on every replay.
    pub conclusion: Option<(Seq, BlockFate)>,
}
