//! A [`BlockBook`] in memory.

use super::locked;
use crate::block::{BlockFate, BookedBlock, FoundBlock};
use crate::id::{BlockId, Seq};
use crate::ports::{BlockBook, BlockList, StoreError};
use crate::time::Timestamp;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::Mutex;

/// Found blocks in memory.
#[derive(Debug, Default)]
pub struct MemoryBlockBook(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    /// In the order of recording; the block at `i` has the place `i + 1`.
    blocks: Vec<BookedBlock>,
    by_id: HashMap<BlockId, usize>,
    /// Indices of `blocks` in the order of their conclusions.
    concluded: Vec<usize>,
}

impl Book {
    fn index(&self, id: &BlockId) -> Result<usize, StoreError> {
        self.by_id.get(id).copied().ok_or_else(|| StoreError::NotFound(format!("block {id}")))
    }

    /// How many of `count` numbers from 1 are not above `number`.
    fn up_to(number: Seq, count: usize) -> usize {
        usize::try_from(number.get()).map_or(count, |number| number.min(count))
    }
}

#[async_trait]
impl BlockBook for MemoryBlockBook {
    async fn record(&self, found: &FoundBlock) -> Result<bool, StoreError> {
        let mut book = locked(&self.0);
        if let Some(&index) = book.by_id.get(&found.id) {
            return if book.blocks[index].found == *found {
                Ok(false)
            } else {
                Err(StoreError::Conflict(format!("block {} is recorded with other content", found.id)))
            };
        }
        let index = book.blocks.len();
        book.by_id.insert(found.id, index);
        book.blocks.push(BookedBlock {
            seq: Seq::new(index as u64 + 1),
            found: found.clone(),
            submitted: None,
            conclusion: None,
        });
        Ok(true)
    }

    async fn submitted(&self, id: &BlockId, at: Timestamp) -> Result<(), StoreError> {
        let mut book = locked(&self.0);
        let index = book.index(id)?;
        book.blocks[index].submitted.get_or_insert(at);
        Ok(())
    }

    async fn conclude(&self, id: &BlockId, fate: &BlockFate) -> Result<Seq, StoreError> {
        let mut book = locked(&self.0);
        let index = book.index(id)?;
        if !fate.is_final() {
            return Err(StoreError::Conflict(format!("block {id}: a conclusion must be final")));
        }
        if let Some((seq, before)) = &book.blocks[index].conclusion {
            return if before == fate {
                Ok(*seq)
            } else {
                Err(StoreError::Conflict(format!("block {id} has another fate already")))
            };
        }
        book.concluded.push(index);
        let seq = Seq::new(book.concluded.len() as u64);
        book.blocks[index].conclusion = Some((seq, fate.clone()));
        Ok(seq)
    }

    async fn open(&self) -> Result<Vec<BookedBlock>, StoreError> {
        Ok(locked(&self.0).blocks.iter().filter(|block| block.conclusion.is_none()).cloned().collect())
    }

    async fn list(&self, list: BlockList, limit: usize) -> Result<Vec<BookedBlock>, StoreError> {
        let book = locked(&self.0);
        Ok(match list {
            BlockList::Newest(before) => {
                let below = before.map_or(Seq::new(u64::MAX), |seq| Seq::new(seq.get().saturating_sub(1)));
                let end = Book::up_to(below, book.blocks.len());
                book.blocks[..end].iter().rev().take(limit).cloned().collect()
            }
            BlockList::Concluded(after) => {
                let start = Book::up_to(after, book.concluded.len());
                let indices = book.concluded[start..].iter().take(limit);
                indices.map(|&index| book.blocks[index].clone()).collect()
            }
            BlockList::One(id) => {
                let index = book.by_id.get(&id).into_iter().take(limit);
                index.map(|&index| book.blocks[index].clone()).collect()
            }
        })
    }
}
