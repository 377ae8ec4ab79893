//! What a [`BlockBook`] promises.

use super::{
    ALL, assert_refused, at, at_once, block_id, found, hostile_texts, hostile_workers, lost, matured,
};
use crate::block::{BlockFate, BookedBlock, FoundBlock, Placement};
use crate::id::{BlockId, CoinId, Seq};
use crate::ports::{BlockBook, BlockList};
use crate::time::Timestamp;
use crate::units::Amount;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

const NONE: Seq = Seq::new(0);
const TOP: BlockList = BlockList::Newest(None);

async fn record(book: &Arc<dyn BlockBook>, numbers: impl IntoIterator<Item = u64>) {
    for n in numbers {
        assert!(book.record(&found(n)).await.unwrap(), "block {n} is new");
    }
}

async fn one(book: &Arc<dyn BlockBook>, n: u64) -> BookedBlock {
    book.list(BlockList::One(block_id(n)), 1).await.unwrap().pop().unwrap()
}

fn heights(blocks: &[BookedBlock]) -> Vec<u64> {
    blocks.iter().map(|block| block.found.height - 1_000).collect()
}

/// The same content again is no news and disturbs nothing, at any stage of the block's life.
pub async fn recording_again_changes_nothing(book: Arc<dyn BlockBook>) {
    assert!(book.record(&found(1)).await.unwrap());
    assert!(!book.record(&found(1)).await.unwrap());
    book.submitted(&block_id(1), at(5)).await.unwrap();
    assert!(!book.record(&found(1)).await.unwrap());
    assert_eq!(one(&book, 1).await.submitted, Some(at(5)));
    book.conclude(&block_id(1), &matured(9)).await.unwrap();
    assert!(!book.record(&found(1)).await.unwrap());
    let booked = one(&book, 1).await;
    assert_eq!(booked.conclusion, Some((Seq::new(1), matured(9))));
    assert_eq!(book.list(TOP, ALL).await.unwrap(), [booked]);
}

/// Whatever differs, the second content is refused and the first stays.
pub async fn other_content_under_an_id_is_a_conflict(book: Arc<dyn BlockBook>) {
    record(&book, [1]).await;
    let changes: [fn(&mut FoundBlock); 4] = [
        |found| found.coin = CoinId::new("other").unwrap(),
        |found| found.share = super::block_share(2).record().clone(),
        |found| found.raw.push(0),
        |found| found.height += 1,
    ];
    for change in changes {
        let mut other = found(1);
        change(&mut other);
        assert_refused!(book.record(&other).await, Conflict);
    }
    assert_eq!(book.list(TOP, ALL).await.unwrap().len(), 1);
    assert_eq!(one(&book, 1).await.found, found(1));
}

/// A block is submitted when the node first took it.
pub async fn the_first_submission_stays(book: Arc<dyn BlockBook>) {
    record(&book, [1, 2]).await;
    assert_eq!(one(&book, 1).await.submitted, None);
    book.submitted(&block_id(1), at(9)).await.unwrap();
    book.submitted(&block_id(1), at(4)).await.unwrap();
    book.submitted(&block_id(1), at(12)).await.unwrap();
    assert_eq!(one(&book, 1).await.submitted, Some(at(9)));
    assert_eq!(one(&book, 2).await.submitted, None);
    assert_eq!(heights(&book.open().await.unwrap()), [1, 2]);
}

/// Nothing can be said of a block that was never recorded.
pub async fn an_unknown_block_is_not_found(book: Arc<dyn BlockBook>) {
    record(&book, [1]).await;
    assert_refused!(book.submitted(&block_id(2), at(1)).await, NotFound);
    assert_refused!(book.conclude(&block_id(2), &lost()).await, NotFound);
    assert_eq!(book.list(BlockList::One(block_id(2)), ALL).await.unwrap(), vec![]);
}

/// What may still change is no conclusion.
pub async fn only_a_final_fate_concludes(book: Arc<dyn BlockBook>) {
    record(&book, [1]).await;
    assert_refused!(book.conclude(&block_id(1), &BlockFate::Unknown).await, Conflict);
    assert_refused!(book.conclude(&block_id(1), &BlockFate::Pending { confirmations: 9 }).await, Conflict);
    assert_eq!(one(&book, 1).await.conclusion, None);
    assert_eq!(heights(&book.open().await.unwrap()), [1]);
    assert_eq!(book.conclude(&block_id(1), &matured(1)).await.unwrap(), Seq::new(1));
}

/// The same fate again is the same conclusion; another one is refused, whatever differs.
pub async fn a_fate_is_final(book: Arc<dyn BlockBook>) {
    record(&book, [1, 2]).await;
    assert_eq!(book.conclude(&block_id(1), &matured(7)).await.unwrap(), Seq::new(1));
    assert_eq!(book.conclude(&block_id(2), &lost()).await.unwrap(), Seq::new(2));
    assert_eq!(book.conclude(&block_id(1), &matured(7)).await.unwrap(), Seq::new(1));
    let BlockFate::Matured { value, placement, detail } = matured(7) else { unreachable!("it matured") };
    for other in [
        lost(),
        matured(8),
        BlockFate::Matured { value, placement: Placement::Uncle, detail },
        BlockFate::Matured { value, placement, detail: "other words".into() },
        BlockFate::Unknown,
        BlockFate::Pending { confirmations: 1 },
    ] {
        assert_refused!(book.conclude(&block_id(1), &other).await, Conflict);
    }
    assert_refused!(book.conclude(&block_id(2), &matured(7)).await, Conflict);
    assert_eq!(one(&book, 1).await.conclusion, Some((Seq::new(1), matured(7))));
    assert_eq!(one(&book, 2).await.conclusion, Some((Seq::new(2), lost())));
}

/// Conclusions count from 1 as they are made, whatever the order of recording was.
pub async fn conclusions_are_numbered_in_their_order(book: Arc<dyn BlockBook>) {
    record(&book, 1..=5).await;
    for (n, seq) in [(4, 1), (1, 2), (5, 3)] {
        assert_eq!(book.conclude(&block_id(n), &matured(n)).await.unwrap(), Seq::new(seq));
    }
    assert_eq!(heights(&book.list(BlockList::Concluded(NONE), ALL).await.unwrap()), [4, 1, 5]);
    assert_eq!(heights(&book.open().await.unwrap()), [2, 3]);
}

/// Open blocks are the ones without a conclusion, the first recorded first.
pub async fn open_blocks_come_in_the_order_of_recording(book: Arc<dyn BlockBook>) {
    assert_eq!(book.open().await.unwrap(), vec![]);
    record(&book, [9, 3, 7, 1]).await;
    book.submitted(&block_id(3), at(1)).await.unwrap();
    let open = book.open().await.unwrap();
    assert_eq!(heights(&open), [9, 3, 7, 1]);
    assert_eq!(open.iter().map(|block| block.seq.get()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    book.conclude(&block_id(7), &lost()).await.unwrap();
    assert_eq!(heights(&book.open().await.unwrap()), [9, 3, 1]);
}

/// Newest first, page behind page.
pub async fn the_newest_come_first_in_pages(book: Arc<dyn BlockBook>) {
    record(&book, [5, 2, 8, 1, 9, 3, 7]).await;
    let whole = book.list(TOP, ALL).await.unwrap();
    assert_eq!(heights(&whole), [7, 3, 9, 1, 8, 2, 5]);
    for limit in [1, 3, 7, 8] {
        let mut joined: Vec<BookedBlock> = Vec::new();
        loop {
            let before = joined.last().map(|block| block.seq);
            let page = book.list(BlockList::Newest(before), limit).await.unwrap();
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            joined.extend(page);
        }
        assert_eq!(joined, whole, "pages of {limit}");
    }
}

/// Concluded ones in the order of their conclusions, page behind page.
pub async fn concluded_ones_come_in_pages(book: Arc<dyn BlockBook>) {
    record(&book, 0..8).await;
    for n in [6, 0, 3, 7, 1] {
        book.conclude(&block_id(n), &matured(n)).await.unwrap();
    }
    for limit in [1, 2, 5, 6] {
        let mut joined: Vec<BookedBlock> = Vec::new();
        loop {
            let last = joined.last().and_then(|block| block.conclusion.as_ref());
            let after = last.map_or(NONE, |(seq, _)| *seq);
            let page = book.list(BlockList::Concluded(after), limit).await.unwrap();
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            joined.extend(page);
        }
        assert_eq!(heights(&joined), [6, 0, 3, 7, 1], "pages of {limit}");
    }
}

/// By its id, open or concluded.
pub async fn one_block_is_found_by_its_id(book: Arc<dyn BlockBook>) {
    record(&book, 1..=3).await;
    book.conclude(&block_id(2), &lost()).await.unwrap();
    for n in 1..=3 {
        assert_eq!(heights(&book.list(BlockList::One(block_id(n)), ALL).await.unwrap()), [n]);
    }
}

/// Limits of nothing and the greatest numbers are answered.
pub async fn limits_and_places_have_no_edge(book: Arc<dyn BlockBook>) {
    record(&book, 1..=3).await;
    book.conclude(&block_id(1), &lost()).await.unwrap();
    for list in [TOP, BlockList::Concluded(NONE), BlockList::One(block_id(1))] {
        assert_eq!(book.list(list, 0).await.unwrap(), vec![], "{list:?}");
    }
    for (before, expected) in [(0, 0), (1, 0), (2, 1), (4, 3), (5, 3), (u64::MAX, 3)] {
        let newest = BlockList::Newest(Some(Seq::new(before)));
        assert_eq!(book.list(newest, ALL).await.unwrap().len(), expected, "before {before}");
    }
    for after in [1, 2, u64::MAX] {
        let concluded = BlockList::Concluded(Seq::new(after));
        assert_eq!(book.list(concluded, ALL).await.unwrap(), vec![], "behind {after}");
    }
}

/// What is read is what was recorded: empty and large blocks, all ids, all names, all words.
pub async fn every_field_comes_back(book: Arc<dyn BlockBook>) {
    let mut blocks = Vec::new();
    for (n, worker) in (0..).zip(hostile_workers()) {
        let mut found = found(n);
        found.share.worker = worker;
        blocks.push(found);
    }
    blocks[0].id = BlockId::new([0; 32]);
    blocks[0].raw.clear();
    blocks[0].height = 0;
    blocks[1].id = BlockId::new([0xff; 32]);
    blocks[1].raw = vec![0xa5; 1 << 20];
    blocks[1].height = u64::MAX;
    blocks[2].coin = CoinId::new("-").unwrap();
    let texts = hostile_texts();
    for (n, found) in blocks.iter().enumerate() {
        assert!(book.record(found).await.unwrap());
        book.submitted(&found.id, Timestamp::from_millis(u64::MAX)).await.unwrap();
        let detail = texts[n % texts.len()].clone();
        let fate = match n % 4 {
            0 => BlockFate::Matured { value: Amount::new(u128::MAX), placement: Placement::Main, detail },
            1 => BlockFate::Matured { value: Amount::ZERO, placement: Placement::Uncle, detail },
            2 => BlockFate::Lost { placement: Placement::Red, detail },
            _ => BlockFate::Lost { placement: Placement::Orphan, detail },
        };
        let number = book.conclude(&found.id, &fate).await.unwrap();
        let booked = BookedBlock {
            seq: Seq::new(n as u64 + 1),
            found: found.clone(),
            submitted: Some(Timestamp::from_millis(u64::MAX)),
            conclusion: Some((number, fate.clone())),
        };
        assert_eq!(book.list(BlockList::One(found.id), ALL).await.unwrap(), [booked]);
        // Content is compared as it was given, so the same again is the same.
        assert_eq!(book.conclude(&found.id, &fate).await.unwrap(), number);
        assert!(!book.record(found).await.unwrap());
    }
}

/// Many record one block: one of them is told that it was new, and it stands there once.
pub async fn many_record_one_block_once(book: Arc<dyn BlockBook>) {
    let writers = (0..16).map(|_| {
        let book = Arc::clone(&book);
        async move { book.record(&found(1)).await.unwrap() }
    });
    let new = at_once(writers).await.into_iter().filter(|new| *new).count();
    assert_eq!(new, 1);
    assert_eq!(book.list(TOP, ALL).await.unwrap().len(), 1);
}

/// Many record and conclude blocks of their own: both numberings are dense, and answers agree with the book.
pub async fn many_conclude_densely(book: Arc<dyn BlockBook>) {
    let writers = (0..12).map(|writer: u64| {
        let book = Arc::clone(&book);
        async move {
            let mut told = Vec::new();
            for n in writer * 10..writer * 10 + 3 {
                assert!(book.record(&found(n)).await.unwrap());
                told.push((book.conclude(&block_id(n), &matured(n)).await.unwrap(), n));
            }
            told
        }
    });
    let mut told: Vec<(Seq, u64)> = at_once(writers).await.into_iter().flatten().collect();
    told.sort_unstable();
    assert!(told.iter().map(|(seq, _)| seq.get()).eq(1..=36), "{told:?}");
    let concluded = book.list(BlockList::Concluded(NONE), ALL).await.unwrap();
    assert_eq!(heights(&concluded), told.iter().map(|(_, n)| *n).collect::<Vec<_>>());
    let newest = book.list(TOP, ALL).await.unwrap();
    assert!(newest.iter().map(|block| block.seq.get()).eq((1..=36).rev()));
    assert_eq!(book.open().await.unwrap(), vec![]);
}

/// Two opinions on one block at once: one is written, everybody of the other is refused.
pub async fn two_fates_at_once_leave_one(book: Arc<dyn BlockBook>) {
    record(&book, [1]).await;
    let fate = |n: u64| if n.is_multiple_of(2) { matured(5) } else { lost() };
    let writers = (0..16).map(|n: u64| {
        let book = Arc::clone(&book);
        async move { (fate(n), book.conclude(&block_id(1), &fate(n)).await) }
    });
    let told = at_once(writers).await;
    let (seq, written) = one(&book, 1).await.conclusion.unwrap();
    assert_eq!(seq, Seq::new(1));
    for (fate, answer) in told {
        if fate == written {
            assert_eq!(answer.unwrap(), seq);
        } else {
            assert_refused!(answer, Conflict);
        }
    }
    assert_eq!(book.list(BlockList::Concluded(NONE), ALL).await.unwrap().len(), 1);
}
