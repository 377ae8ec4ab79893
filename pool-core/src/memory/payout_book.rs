//! A [`PayoutBook`] in memory.

use super::locked;
use crate::id::PayoutId;
use crate::payout::{BookedPayout, PayoutBatch, SignedTx, TxFate};
use crate::ports::{PayoutBook, StoreError};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use async_trait::async_trait;
use std::sync::Mutex;

/// Payouts in memory.
#[derive(Debug, Default)]
pub struct MemoryPayoutBook(Mutex<Book>);

/// By number, then by the whole id: two coins may have a payout of one number.
type Book = BTreeMap<(u64, PayoutId), BookedPayout>;

fn find<'book>(book: &'book mut Book, id: &PayoutId) -> Result<&'book mut BookedPayout, StoreError> {
    book.get_mut(&(id.number(), id.clone())).ok_or_else(|| StoreError::NotFound(format!("payout {id}")))
}

#[async_trait]
impl PayoutBook for MemoryPayoutBook {
    async fn prepare(&self, batch: &PayoutBatch) -> Result<(), StoreError> {
        let mut book = locked(&self.0);
        let id = &batch.id;
        let booked = book.entry((id.number(), id.clone())).or_insert_with(|| BookedPayout {
            batch: batch.clone(),
            signed: None,
            conclusion: None,
        });
        if booked.batch == *batch {
            Ok(())
        } else {
            Err(StoreError::Conflict(format!("payout {id} is prepared with other content")))
        }
    }

    async fn attach(&self, id: &PayoutId, signed: &SignedTx) -> Result<(), StoreError> {
        let mut book = locked(&self.0);
        let booked = find(&mut book, id)?;
        match (&booked.signed, &booked.conclusion) {
            (Some(before), _) if before == signed => Ok(()),
            (Some(_), _) => Err(StoreError::Conflict(format!("payout {id} is signed with other bytes"))),
            (None, Some(_)) => Err(StoreError::Conflict(format!("payout {id} has ended unsigned"))),
            (None, None) => {
                booked.signed = Some(signed.clone());
                Ok(())
            }
        }
    }

    async fn conclude(&self, id: &PayoutId, fate: &TxFate) -> Result<(), StoreError> {
        let mut book = locked(&self.0);
        let booked = find(&mut book, id)?;
        let conflict = |words: &str| Err(StoreError::Conflict(format!("payout {id} {words}")));
        match (fate, &booked.conclusion) {
            (TxFate::Unknown | TxFate::Pending { .. }, _) => conflict("needs a final end"),
            (TxFate::Settled { .. }, _) if booked.signed.is_none() => {
                conflict("was never signed and cannot be settled")
            }
            (fate, Some(before)) if fate == before => Ok(()),
            (_, Some(_)) => conflict("has another end already"),
            (TxFate::Settled { .. } | TxFate::Void { .. }, None) => {
                booked.conclusion = Some(fate.clone());
                Ok(())
            }
        }
    }

    async fn open(&self) -> Result<Vec<BookedPayout>, StoreError> {
        Ok(locked(&self.0).values().filter(|payout| payout.conclusion.is_none()).cloned().collect())
    }

    async fn list(&self, before: Option<u64>, limit: usize) -> Result<Vec<BookedPayout>, StoreError> {
        let book = locked(&self.0);
        let below = |number: u64| before.is_none_or(|before| number < before);
        let payouts = book.iter().rev().filter(|((number, _), _)| below(*number));
        Ok(payouts.take(limit).map(|(_, payout)| payout.clone()).collect())
    }
}
