//! What a [`DifficultyCache`] promises. It may lose anything with time or a restart, but what was just written to a
//! cache that has room is there, and it never answers with what nobody wrote.

use super::{at_once, hostile_workers, worker};
use crate::ports::DifficultyCache;
use crate::units::Work;
use alloc::sync::Arc;

fn work(hashes: u128) -> Work {
    Work::new(hashes).unwrap()
}

/// Who never was written has no difficulty.
pub async fn an_unknown_worker_is_none(cache: Arc<dyn DifficultyCache>) {
    assert_eq!(cache.get(&worker(1)).await.unwrap(), None);
    cache.put(&worker(2), work(9)).await.unwrap();
    assert_eq!(cache.get(&worker(1)).await.unwrap(), None);
}

/// The last one of each worker.
pub async fn the_last_work_is_remembered(cache: Arc<dyn DifficultyCache>) {
    for round in 1..=3 {
        for n in 0..10 {
            cache.put(&worker(n), work(round * 100 + u128::from(n))).await.unwrap();
        }
        for n in 0..10 {
            let expected = Some(work(round * 100 + u128::from(n)));
            assert_eq!(cache.get(&worker(n)).await.unwrap(), expected, "{}", worker(n));
        }
    }
}

/// From one hash to 2^128-1.
pub async fn works_use_the_whole_range(cache: Arc<dyn DifficultyCache>) {
    for hashes in [1, u128::from(u64::MAX), u128::from(u64::MAX) + 1, 1 << 127, u128::MAX] {
        cache.put(&worker(0), work(hashes)).await.unwrap();
        assert_eq!(cache.get(&worker(0)).await.unwrap(), Some(work(hashes)));
    }
}

/// Names that look alike to a careless store are different workers.
pub async fn hostile_workers_stay_apart(cache: Arc<dyn DifficultyCache>) {
    let workers = hostile_workers();
    for (worker, n) in workers.iter().zip(1..) {
        cache.put(worker, work(n)).await.unwrap();
    }
    for (worker, n) in workers.iter().zip(1..) {
        assert_eq!(cache.get(worker).await.unwrap(), Some(work(n)), "{worker}");
    }
}

/// Of many writes at once, one stays, whole.
pub async fn many_writers_leave_what_one_of_them_wrote(cache: Arc<dyn DifficultyCache>) {
    let writers = (1..=16).map(|n: u128| {
        let cache = Arc::clone(&cache);
        async move { cache.put(&worker(0), work(n << 100 | n)).await.unwrap() }
    });
    at_once(writers).await;
    let left = cache.get(&worker(0)).await.unwrap().unwrap().get();
    assert!((1..=16).any(|n: u128| left == n << 100 | n), "half of two writes: {left}");
}
