//! The records of a pool as JSON: what an export holds, what a page shows, what one role tells another.

use super::text;
use pool_core::block::BlockFate;
use pool_core::event::PoolEvent;
use pool_core::ledger::LedgerEntry;
use pool_core::limits::Limits;
use pool_core::payout::{PayoutBatch, SignedTx, TxFate};
use pool_core::ports::{Bucket, Miner};
use pool_core::share::{LoggedShare, ShareRecord};

/// Every record that is read is written and read the same again.
pub fn target(data: &[u8]) {
    let text = text(data);
    record::<ShareRecord>(&text);
    record::<LoggedShare>(&text);
    record::<BlockFate>(&text);
    record::<LedgerEntry>(&text);
    record::<PayoutBatch>(&text);
    record::<SignedTx>(&text);
    record::<TxFate>(&text);
    record::<PoolEvent>(&text);
    record::<Miner>(&text);
    record::<Bucket>(&text);
    record::<Limits>(&text);
    if let Ok(batch) = serde_json::from_str::<PayoutBatch>(&text) {
        // A total that does not fit is none; one that does is at least its largest item.
        let largest = batch.items.iter().map(|item| item.amount).max();
        assert!(batch.total().is_none_or(|total| Some(total) >= largest));
    }
}

fn record<T>(text: &str)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    if let Ok(value) = serde_json::from_str::<T>(text) {
        super::same_again(&value);
    }
}
