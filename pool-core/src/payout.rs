//! A payout's life: prepared, signed, settled or voided. Each step is on disk before the next one begins.

use crate::id::{CoinId, MinerId, PayoutId, TxId};
use crate::time::Timestamp;
use crate::units::Amount;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One output of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutItem {
    /// Who is paid; the text is his address.
    pub miner: MinerId,
    /// What he gets. The network fee is the operator's.
    pub amount: Amount,
}

/// What one transaction shall pay. Not empty, each miner once, each amount above zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutBatch {
    /// Made before anything happens; unique for ever.
    pub id: PayoutId,
    /// The coin.
    pub coin: CoinId,
    /// When it was planned.
    pub at: Timestamp,
    /// The outputs, in ascending order of the address text.
    pub items: Vec<PayoutItem>,
}

impl PayoutBatch {
    /// The sum of all items, or `None` past `u128::MAX`.
    #[must_use]
    pub fn total(&self) -> Option<Amount> {
        Amount::checked_sum(self.items.iter().map(|item| item.amount))
    }
}

/// A transaction ready to be sent, and sent again, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedTx {
    /// Its id, known before it is sent.
    pub id: TxId,
    /// Its bytes in the coin's own encoding, hexadecimal in JSON.
    #[serde(with = "hex_bytes")]
    pub raw: Vec<u8>,
    /// The network fee it pays.
    pub fee: Amount,
    /// The coins it spends, each in the coin's own text (`txid:index`); another transaction of ours must not.
    pub spends: Vec<String>,
}

mod hex_bytes {
    use alloc::string::String;
    use alloc::vec::Vec;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What the chain says of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "fate")]
pub enum TxFate {
    /// The node does not know it: send the same bytes again.
    Unknown,
    /// Seen and not final.
    Pending {
        /// How deep it lies, in the chain's own count.
        confirmations: u64,
    },
    /// Final on the chain.
    Settled {
        /// The network fee it paid.
        fee: Amount,
    },
    /// It can never be on the chain any more: a final transaction spends one of its coins.
    Void {
        /// The proof, for people.
        detail: String,
    },
}

/// A payout as a payout book keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookedPayout {
    /// What shall be paid.
    pub batch: PayoutBatch,
    /// Its transaction, once signed. Never replaced.
    pub signed: Option<SignedTx>,
    /// Its end, once it has one: [`TxFate::Settled`] or [`TxFate::Void`].
    pub conclusion: Option<TxFate>,
}
