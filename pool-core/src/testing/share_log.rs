//! What a [`ShareLog`] promises.

use super::{ALL, at, at_once, block_share, candidate, hostile_workers, judged, number, share, shares};
use crate::id::{InstanceId, ShareSeq};
use crate::ports::ShareLog;
use crate::share::{Evidence, LoggedShare, Share};
use crate::time::Timestamp;
use crate::units::{Target, U256, Units, Work};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

const NONE: ShareSeq = ShareSeq::new(0);

fn places(logged: &[LoggedShare]) -> Vec<u64> {
    logged.iter().map(|share| share.seq.get()).collect()
}

fn numbers(logged: &[LoggedShare]) -> Vec<u64> {
    logged.iter().map(|share| number(&share.record)).collect()
}

/// An empty log's head is 0, and there is nothing to read.
pub async fn an_empty_log_has_head_zero(log: Arc<dyn ShareLog>) {
    assert_eq!(log.head().await.unwrap(), NONE);
    assert_eq!(log.read(NONE, ALL).await.unwrap(), vec![]);
}

/// An empty batch is no share.
pub async fn an_empty_batch_returns_the_head(log: Arc<dyn ShareLog>) {
    assert_eq!(log.append(&[]).await.unwrap(), NONE);
    log.append(&shares(0..3)).await.unwrap();
    assert_eq!(log.append(&[]).await.unwrap(), ShareSeq::new(3));
    assert_eq!(log.head().await.unwrap(), ShareSeq::new(3));
}

/// Places grow from 1 without a gap; append returns the last one, and the head is that.
pub async fn places_are_dense_and_returned(log: Arc<dyn ShareLog>) {
    let mut last = 0;
    for batch in [1, 2, 5, 1, 40] {
        let place = log.append(&shares(last..last + batch)).await.unwrap();
        last += batch;
        assert_eq!(place, ShareSeq::new(last));
        assert_eq!(log.head().await.unwrap(), place);
    }
    let logged = log.read(NONE, ALL).await.unwrap();
    assert_eq!(places(&logged), (1..=last).collect::<Vec<_>>());
    assert_eq!(numbers(&logged), (0..last).collect::<Vec<_>>());
}

/// What is read is what was appended, at both ends of every range.
pub async fn every_field_comes_back(log: Arc<dyn ShareLog>) {
    let mut least = candidate(0);
    least.instance = InstanceId::new(0);
    least.at = Timestamp::from_millis(0);
    least.share_target = Target::MAX;
    least.network_target = Target::new(U256::ZERO);
    least.chain = 0;
    least.evidence = Evidence::new(&[]).unwrap();
    let least = judged(least, U256::MAX);
    assert_eq!((least.record().work, least.record().units), (Work::ONE, Units::ZERO));

    let mut most = candidate(1);
    most.instance = InstanceId::new(u16::MAX);
    most.at = Timestamp::from_millis(u64::MAX);
    most.share_target = Target::new(U256::ZERO);
    most.network_target = Target::new(U256::ZERO);
    most.chain = u16::MAX;
    most.evidence = Evidence::new(&[0xff; Evidence::MAX_LEN]).unwrap();
    let most = judged(most, U256::ZERO);
    assert_eq!((most.record().work.get(), most.record().units), (u128::MAX, Units::BLOCK));

    let batch = [least, share(2), block_share(3), most];
    log.append(&batch).await.unwrap();
    let records: Vec<_> =
        log.read(NONE, ALL).await.unwrap().into_iter().map(|logged| logged.record).collect();
    assert_eq!(records, batch.iter().map(|share| share.record().clone()).collect::<Vec<_>>());
}

/// Reading page by page yields what reading at once does, for any size of page.
pub async fn pages_join_to_the_whole(log: Arc<dyn ShareLog>) {
    log.append(&shares(0..50)).await.unwrap();
    let whole = log.read(NONE, ALL).await.unwrap();
    for limit in [1, 7, 49, 50, 51] {
        let mut joined: Vec<LoggedShare> = Vec::new();
        loop {
            let after = joined.last().map_or(NONE, |share| share.seq);
            let page = log.read(after, limit).await.unwrap();
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            joined.extend(page);
        }
        assert_eq!(joined, whole, "pages of {limit}");
    }
}

/// A limit of nothing, a place behind the end, the greatest numbers: all are answered.
pub async fn limits_and_places_have_no_edge(log: Arc<dyn ShareLog>) {
    log.append(&shares(0..3)).await.unwrap();
    assert_eq!(log.read(NONE, 0).await.unwrap(), vec![]);
    assert_eq!(places(&log.read(ShareSeq::new(2), ALL).await.unwrap()), [3]);
    for after in [3, 4, i64::MAX.cast_unsigned(), u64::MAX] {
        assert_eq!(log.read(ShareSeq::new(after), ALL).await.unwrap(), vec![], "behind {after}");
    }
}

/// Many append at once: each batch stands in its order, without a gap, where its answer says.
pub async fn a_batch_stays_together_among_many_writers(log: Arc<dyn ShareLog>) {
    let writers = (0..12).map(|writer: u64| {
        let log = Arc::clone(&log);
        async move {
            let mut told = Vec::new();
            for round in 0..6 {
                let first = writer * 1_000 + round * 100;
                let batch = shares(first..first + 1 + (writer + round) % 5);
                let last = log.append(&batch).await.unwrap();
                told.push((last.get(), batch));
            }
            told
        }
    });
    let told: Vec<(u64, Vec<Share>)> = at_once(writers).await.into_iter().flatten().collect();
    let logged = log.read(NONE, ALL).await.unwrap();
    let total: usize = told.iter().map(|(_, batch)| batch.len()).sum();
    assert_eq!(places(&logged), (1..=total as u64).collect::<Vec<_>>());
    for (last, batch) in &told {
        let end = usize::try_from(*last).unwrap();
        let there = &logged[end - batch.len()..end];
        assert!(there.iter().map(|share| &share.record).eq(batch.iter().map(Share::record)), "up to {last}");
    }
    // One writer's batches stand in the order in which he was told of them.
    for writer in told.chunks(6) {
        assert!(writer.is_sorted_by_key(|(last, _)| *last));
    }
}

/// Who has seen a place has seen everything below it, even while others write.
pub async fn a_reader_beside_writers_sees_no_gap(log: Arc<dyn ShareLog>) {
    const WRITERS: u64 = 6;
    const ROUNDS: u64 = 20;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    log.append(&shares([writer * 1_000 + round, writer * 1_000 + 500 + round]))
                        .await
                        .unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let mut seen = 0;
    while seen < WRITERS * ROUNDS * 2 {
        let page = log.read(ShareSeq::new(seen), 16).await.unwrap();
        for share in &page {
            assert_eq!(share.seq.get(), seen + 1, "a gap");
            seen += 1;
        }
        assert!(log.head().await.unwrap().get() >= seen, "the head is behind what was read");
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(log.head().await.unwrap().get(), seen);
}

/// A block's share again changes nothing, wherever it stands in a batch; its first place stays and is the answer.
pub async fn the_share_of_a_block_is_logged_once(log: Arc<dyn ShareLog>) {
    assert_eq!(log.append(&[share(1), block_share(50), share(2)]).await.unwrap(), ShareSeq::new(3));
    assert_eq!(log.append(&[block_share(50)]).await.unwrap(), ShareSeq::new(2));
    assert_eq!(log.head().await.unwrap(), ShareSeq::new(3));
    assert_eq!(log.append(&[share(3), block_share(50)]).await.unwrap(), ShareSeq::new(2));
    assert_eq!(log.append(&[block_share(50), share(4)]).await.unwrap(), ShareSeq::new(5));
    assert_eq!(log.append(&[block_share(60), share(5), block_share(60)]).await.unwrap(), ShareSeq::new(6));
    let logged = log.read(NONE, ALL).await.unwrap();
    assert_eq!(numbers(&logged), [1, 50, 2, 3, 4, 60, 5]);
    assert_eq!(places(&logged), [1, 2, 3, 4, 5, 6, 7]);
}

/// The same when many finish the same interrupted intake.
pub async fn the_share_of_a_block_is_logged_once_by_many_at_once(log: Arc<dyn ShareLog>) {
    let writers = (0..16).map(|writer: u64| {
        let log = Arc::clone(&log);
        async move {
            log.append(&[share(writer)]).await.unwrap();
            log.append(&[block_share(77)]).await.unwrap()
        }
    });
    let told = at_once(writers).await;
    let logged = log.read(NONE, ALL).await.unwrap();
    assert_eq!(places(&logged), (1..=17).collect::<Vec<_>>());
    let blocks: Vec<_> = logged.iter().filter(|share| share.record.block.is_some()).collect();
    assert_eq!(blocks.len(), 1);
    assert!(told.iter().all(|place| *place == blocks[0].seq), "{told:?}");
}

/// Only blocks have that: any other share is logged as often as it is appended (a front end drops duplicates).
pub async fn an_ordinary_share_may_repeat(log: Arc<dyn ShareLog>) {
    log.append(&shares([1, 1])).await.unwrap();
    assert_eq!(log.append(&shares([1])).await.unwrap(), ShareSeq::new(3));
    assert_eq!(numbers(&log.read(NONE, ALL).await.unwrap()), [1, 1, 1]);
}

/// Pruning removes what is up to and with its argument and nothing else, however often.
pub async fn pruning_removes_what_is_before(log: Arc<dyn ShareLog>) {
    log.append(&shares(0..20)).await.unwrap();
    log.prune(NONE).await.unwrap();
    assert_eq!(log.read(NONE, ALL).await.unwrap().len(), 20);
    for before in [7, 7, 3] {
        log.prune(ShareSeq::new(before)).await.unwrap();
        let logged = log.read(NONE, ALL).await.unwrap();
        assert_eq!(places(&logged), (8..=20).collect::<Vec<_>>());
        assert_eq!(numbers(&logged), (7..20).collect::<Vec<_>>());
    }
    assert_eq!(places(&log.read(ShareSeq::new(3), 2).await.unwrap()), [8, 9]);
    assert_eq!(places(&log.read(ShareSeq::new(10), 2).await.unwrap()), [11, 12]);
    assert_eq!(log.head().await.unwrap(), ShareSeq::new(20));
}

/// Places are never used again, not even when nothing is left, and pruning ahead takes nothing from the future.
pub async fn the_head_outlives_pruning(log: Arc<dyn ShareLog>) {
    log.prune(ShareSeq::new(9)).await.unwrap();
    assert_eq!(log.head().await.unwrap(), NONE);
    log.append(&shares(0..4)).await.unwrap();
    log.prune(ShareSeq::new(4)).await.unwrap();
    assert_eq!(log.read(NONE, ALL).await.unwrap(), vec![]);
    assert_eq!(log.head().await.unwrap(), ShareSeq::new(4));
    assert_eq!(log.append(&[]).await.unwrap(), ShareSeq::new(4));
    assert_eq!(log.append(&shares([4])).await.unwrap(), ShareSeq::new(5));
    log.prune(ShareSeq::new(u64::MAX)).await.unwrap();
    assert_eq!(log.head().await.unwrap(), ShareSeq::new(5));
    assert_eq!(log.append(&shares([5, 6])).await.unwrap(), ShareSeq::new(7));
    assert_eq!(places(&log.read(NONE, ALL).await.unwrap()), [6, 7]);
}

/// A block's share that was pruned is not logged again: its block was settled long ago.
pub async fn pruning_forgets_no_block(log: Arc<dyn ShareLog>) {
    assert_eq!(log.append(&[share(1), block_share(2), share(3)]).await.unwrap(), ShareSeq::new(3));
    log.prune(ShareSeq::new(2)).await.unwrap();
    assert_eq!(log.append(&[block_share(2)]).await.unwrap(), ShareSeq::new(2));
    assert_eq!(log.head().await.unwrap(), ShareSeq::new(3));
    assert_eq!(places(&log.read(NONE, ALL).await.unwrap()), [3]);
}

/// Pruning while others write takes nothing that is behind its argument.
pub async fn pruning_beside_writers_loses_nothing_newer(log: Arc<dyn ShareLog>) {
    log.append(&shares(0..50)).await.unwrap();
    let tasks = (0..8).map(|task: u64| {
        let log = Arc::clone(&log);
        async move {
            for round in 0..8 {
                if task == 0 {
                    log.prune(ShareSeq::new(round * 6)).await.unwrap();
                } else {
                    log.append(&shares([task * 100 + round])).await.unwrap();
                }
            }
        }
    });
    at_once(tasks).await;
    assert_eq!(places(&log.read(NONE, ALL).await.unwrap()), (43..=50 + 7 * 8).collect::<Vec<_>>());
}

/// Names that look alike to a careless store are different workers.
pub async fn hostile_workers_stay_apart(log: Arc<dyn ShareLog>) {
    let workers = hostile_workers();
    let batch: Vec<Share> = workers
        .iter()
        .zip(0..)
        .map(|(worker, n)| {
            let mut candidate = candidate(n);
            candidate.worker = worker.clone();
            candidate.at = at(n);
            judged(candidate, U256::MAX >> 40)
        })
        .collect();
    log.append(&batch).await.unwrap();
    let read: Vec<_> =
        log.read(NONE, ALL).await.unwrap().into_iter().map(|logged| logged.record.worker).collect();
    assert_eq!(read, workers);
}
