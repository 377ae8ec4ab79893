//! What the pool tells whoever listens: pages, notifications, bots. May be lost; never the record.

use crate::id::{BlockId, CoinId, MinerId, PayoutId};
use crate::time::Timestamp;
use crate::units::Amount;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// Something a person may want to know at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
#[non_exhaustive]
pub enum PoolEvent {
    /// A block was found.
    BlockFound {
        /// The coin.
        coin: CoinId,
        /// The block.
        block: BlockId,
        /// The finder.
        miner: MinerId,
        /// When.
        at: Timestamp,
    },
    /// A block matured or was lost.
    BlockConcluded {
        /// The coin.
        coin: CoinId,
        /// The block.
        block: BlockId,
        /// What the chain paid; zero for a lost block.
        value: Amount,
        /// When.
        at: Timestamp,
    },
    /// A payout is on the chain for good.
    PayoutSettled {
        /// The coin.
        coin: CoinId,
        /// The batch.
        payout: PayoutId,
        /// Its sum.
        total: Amount,
        /// When.
        at: Timestamp,
    },
    /// Something needs the operator.
    Alarm {
        /// What, in words.
        message: String,
        /// When.
        at: Timestamp,
    },
}
