//! What [`Rollups`] promise.

use super::{at_once, hostile_workers, worker};
use crate::id::{ShareSeq, Worker};
use crate::ports::{Bucket, RollupQuery, Rollups};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

const EVERYTHING: RollupQuery = RollupQuery { miner: None, from: 0, to: u64::MAX };

const fn upto(place: u64) -> ShareSeq {
    ShareSeq::new(place)
}

fn bucket(worker: Worker, minute: u64, shares: u64) -> Bucket {
    Bucket { worker, minute, shares, work: u128::from(shares) << 40 }
}

async fn series(rollups: &Arc<dyn Rollups>) -> Vec<Bucket> {
    rollups.series(&EVERYTHING).await.unwrap()
}

/// Fresh sums stand before the first share.
pub async fn nothing_is_summed_at_first(rollups: Arc<dyn Rollups>) {
    assert_eq!(rollups.upto().await.unwrap(), upto(0));
    assert_eq!(series(&rollups).await, vec![]);
}

/// Buckets of one worker and minute add up over batches; others stand beside.
pub async fn batches_add_up(rollups: Arc<dyn Rollups>) {
    rollups.add(upto(10), &[bucket(worker(0), 5, 4), bucket(worker(1), 5, 6)]).await.unwrap();
    assert_eq!(rollups.upto().await.unwrap(), upto(10));
    rollups.add(upto(30), &[bucket(worker(0), 5, 10), bucket(worker(0), 6, 10)]).await.unwrap();
    assert_eq!(rollups.upto().await.unwrap(), upto(30));
    assert_eq!(
        series(&rollups).await,
        [bucket(worker(0), 5, 14), bucket(worker(1), 5, 6), bucket(worker(0), 6, 10)]
    );
}

/// A batch need not be summed before.
pub async fn one_bucket_may_come_twice_in_a_batch(rollups: Arc<dyn Rollups>) {
    rollups.add(upto(5), &[bucket(worker(0), 5, 1), bucket(worker(0), 5, 3)]).await.unwrap();
    assert_eq!(series(&rollups).await, [bucket(worker(0), 5, 4)]);
}

/// A batch that is not ahead of the position changes nothing, whatever it holds.
pub async fn a_batch_counts_once(rollups: Arc<dyn Rollups>) {
    let batch = [bucket(worker(0), 5, 4)];
    rollups.add(upto(10), &batch).await.unwrap();
    for place in [10, 9, 1, 0] {
        rollups.add(upto(place), &batch).await.unwrap();
        rollups.add(upto(place), &[bucket(worker(3), 7, 1)]).await.unwrap();
        assert_eq!(rollups.upto().await.unwrap(), upto(10));
        assert_eq!(series(&rollups).await, batch);
    }
}

/// Places without shares (a block's share appended twice, say) are summed by an empty batch.
pub async fn an_empty_batch_moves_the_position(rollups: Arc<dyn Rollups>) {
    rollups.add(upto(7), &[]).await.unwrap();
    assert_eq!(rollups.upto().await.unwrap(), upto(7));
    assert_eq!(series(&rollups).await, vec![]);
}

/// By minute, in it by account and name; `from` is wanted, `to` is not.
pub async fn series_are_ordered_and_bounded(rollups: Arc<dyn Rollups>) {
    let mut buckets = Vec::new();
    for minute in [12, 10, 11] {
        for n in [7, 0, 4, 1] {
            buckets.push(bucket(worker(n), minute, n + 1));
        }
    }
    rollups.add(upto(100), &buckets).await.unwrap();
    buckets.sort_by(|a, b| (a.minute, &a.worker).cmp(&(b.minute, &b.worker)));
    assert_eq!(series(&rollups).await, buckets);
    for (from, to, expected) in
        [(10, 11, 0..4), (11, 13, 4..12), (0, 10, 0..0), (13, u64::MAX, 0..0), (10, 13, 0..12)]
    {
        let query = RollupQuery { miner: None, from, to };
        assert_eq!(rollups.series(&query).await.unwrap(), buckets[expected], "{from}..{to}");
    }
}

/// Such a query is answered, not refused.
pub async fn a_range_that_ends_before_it_begins_is_empty(rollups: Arc<dyn Rollups>) {
    rollups.add(upto(1), &[bucket(worker(0), 5, 1)]).await.unwrap();
    for (from, to) in [(5, 5), (6, 5), (u64::MAX, 0)] {
        assert_eq!(rollups.series(&RollupQuery { miner: None, from, to }).await.unwrap(), vec![]);
    }
}

/// A miner's series is of his workers alone.
pub async fn one_miner_is_not_another(rollups: Arc<dyn Rollups>) {
    let buckets: Vec<_> = (0..9).map(|n| bucket(worker(n), 5, n + 1)).collect();
    rollups.add(upto(45), &buckets).await.unwrap();
    for n in [0, 3, 6] {
        let query = RollupQuery { miner: Some(worker(n).miner), ..EVERYTHING };
        let first = usize::try_from(n).unwrap();
        assert_eq!(rollups.series(&query).await.unwrap(), buckets[first..first + 3]);
    }
    let nobody = RollupQuery { miner: Some(worker(99).miner), ..EVERYTHING };
    assert_eq!(rollups.series(&nobody).await.unwrap(), vec![]);
}

/// Names that look alike to a careless store are different workers, and are ordered by their bytes.
pub async fn hostile_workers_stay_apart(rollups: Arc<dyn Rollups>) {
    let mut buckets: Vec<_> =
        hostile_workers().into_iter().zip(1..).map(|(worker, n)| bucket(worker, 5, n)).collect();
    rollups.add(upto(1), &buckets).await.unwrap();
    rollups.add(upto(2), &buckets).await.unwrap();
    for bucket in &mut buckets {
        bucket.shares *= 2;
        bucket.work *= 2;
    }
    buckets.sort_by(|a, b| a.worker.cmp(&b.worker));
    assert_eq!(series(&rollups).await, buckets);
    for bucket in &buckets {
        let query = RollupQuery { miner: Some(bucket.worker.miner.clone()), ..EVERYTHING };
        assert!(rollups.series(&query).await.unwrap().contains(bucket), "{}", bucket.worker);
    }
}

/// Work sums to the end of `u128`, places to the end of what a log has.
pub async fn sums_use_the_whole_range(rollups: Arc<dyn Rollups>) {
    let half = Bucket { worker: worker(0), minute: 0, shares: 1 << 40, work: u128::MAX / 2 };
    rollups.add(upto(1 << 62), core::slice::from_ref(&half)).await.unwrap();
    let rest = Bucket { work: u128::MAX / 2 + 1, ..half.clone() };
    rollups.add(upto((1 << 62) + 1), &[rest]).await.unwrap();
    assert_eq!(series(&rollups).await, [Bucket { shares: 1 << 41, work: u128::MAX, ..half }]);
    assert_eq!(rollups.upto().await.unwrap(), upto((1 << 62) + 1));
}

/// When one sum does not fit, no other was added and the position stays.
pub async fn a_sum_past_the_range_changes_nothing(rollups: Arc<dyn Rollups>) {
    let full = Bucket { worker: worker(0), minute: 5, shares: 1, work: u128::MAX };
    rollups.add(upto(1), core::slice::from_ref(&full)).await.unwrap();
    let more = [bucket(worker(1), 5, 1), Bucket { work: 1, ..full.clone() }, bucket(worker(2), 5, 1)];
    assert!(rollups.add(upto(2), &more).await.is_err());
    assert_eq!(rollups.upto().await.unwrap(), upto(1));
    assert_eq!(series(&rollups).await, core::slice::from_ref(&full));
    rollups.add(upto(2), &more[..1]).await.unwrap();
    assert_eq!(series(&rollups).await, [full, bucket(worker(1), 5, 1)]);
}

/// Many who sum the same shares at once sum them once.
pub async fn one_batch_by_many_at_once_counts_once(rollups: Arc<dyn Rollups>) {
    for round in 1..=3 {
        let writers = (0..8).map(|_| {
            let rollups = Arc::clone(&rollups);
            async move { rollups.add(upto(round * 10), &[bucket(worker(0), 5, 4)]).await.unwrap() }
        });
        at_once(writers).await;
        assert_eq!(series(&rollups).await, [bucket(worker(0), 5, 4 * round)]);
    }
}

/// Whoever reads while another writes sees every batch whole.
pub async fn a_reader_beside_a_writer_sees_whole_batches(rollups: Arc<dyn Rollups>) {
    const ROUNDS: u64 = 30;
    let writer = {
        let rollups = Arc::clone(&rollups);
        tokio::spawn(async move {
            for round in 1..=ROUNDS {
                rollups.add(upto(round), &[bucket(worker(0), 5, 1), bucket(worker(1), 5, 1)]).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    };
    loop {
        // The position first: the sums that are read after it hold at least its shares.
        let least = rollups.upto().await.unwrap().get();
        let buckets = series(&rollups).await;
        let [one, other] = &buckets[..] else {
            assert_eq!((buckets.len(), least), (0, 0), "half a batch");
            tokio::task::yield_now().await;
            continue;
        };
        assert_eq!(one.shares, other.shares, "half a batch");
        assert!(one.shares >= least, "a position ahead of its sums");
        if least == ROUNDS {
            break;
        }
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}
