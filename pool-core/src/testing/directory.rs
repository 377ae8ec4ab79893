//! What a [`Directory`] promises.

use super::{ALL, at, at_once, hostile_miners, miner};
use crate::id::MinerId;
use crate::ports::{Directory, Miner};
use crate::time::Timestamp;
use crate::units::Amount;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

fn entry(id: MinerId, n: u64) -> Miner {
    Miner { id, since: at(n), threshold: Some(Amount::new(u128::from(n))) }
}

/// Who never was written down is not there.
pub async fn an_unknown_miner_is_none(directory: Arc<dyn Directory>) {
    assert_eq!(directory.miner(&miner(1)).await.unwrap(), None);
    assert_eq!(directory.list(None, ALL).await.unwrap(), vec![]);
    directory.save(&entry(miner(1), 1)).await.unwrap();
    assert_eq!(directory.miner(&miner(2)).await.unwrap(), None);
}

/// Writing replaces all of what was there, and nothing else.
pub async fn the_last_write_wins(directory: Arc<dyn Directory>) {
    directory.save(&entry(miner(2), 5)).await.unwrap();
    for n in [1, 3, 2] {
        directory.save(&entry(miner(1), n)).await.unwrap();
        assert_eq!(directory.miner(&miner(1)).await.unwrap(), Some(entry(miner(1), n)));
    }
    assert_eq!(directory.list(None, ALL).await.unwrap(), [entry(miner(1), 2), entry(miner(2), 5)]);
}

/// None is a value like any other: the pool's default again.
pub async fn a_threshold_can_be_taken_back(directory: Arc<dyn Directory>) {
    let default = Miner { threshold: None, ..entry(miner(1), 1) };
    for miner in [&default, &entry(miner(1), 1), &default] {
        directory.save(miner).await.unwrap();
        assert_eq!(directory.miner(&miner.id).await.unwrap().as_ref(), Some(miner));
    }
}

/// Ordered by the bytes of the id, page behind page, also from one that is not there.
pub async fn miners_come_in_pages_in_the_order_of_their_ids(directory: Arc<dyn Directory>) {
    let mut miners: Vec<Miner> = hostile_miners().into_iter().zip(0..).map(|(id, n)| entry(id, n)).collect();
    for miner in miners.iter().rev() {
        directory.save(miner).await.unwrap();
    }
    miners.sort_by(|a, b| a.id.as_str().as_bytes().cmp(b.id.as_str().as_bytes()));
    assert_eq!(directory.list(None, ALL).await.unwrap(), miners);
    for limit in [1, 5, miners.len(), miners.len() + 1] {
        let mut joined: Vec<Miner> = Vec::new();
        loop {
            let page = directory.list(joined.last().map(|miner| &miner.id), limit).await.unwrap();
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            joined.extend(page);
        }
        assert_eq!(joined, miners, "pages of {limit}");
    }
    let absent = MinerId::new("M").unwrap();
    let behind: Vec<_> = miners.into_iter().filter(|miner| miner.id > absent).collect();
    assert_eq!(directory.list(Some(&absent), ALL).await.unwrap(), behind);
}

/// A page of nothing is empty.
pub async fn limits_have_no_edge(directory: Arc<dyn Directory>) {
    directory.save(&entry(miner(1), 1)).await.unwrap();
    assert_eq!(directory.list(None, 0).await.unwrap(), vec![]);
    assert_eq!(directory.list(Some(&miner(1)), ALL).await.unwrap(), vec![]);
}

/// All of `u128` is a threshold, all of `u64` a time.
pub async fn thresholds_use_the_whole_range(directory: Arc<dyn Directory>) {
    for (n, since, threshold) in [(1, 0, 0), (2, u64::MAX, u128::MAX), (3, 1 << 63, 1 << 64)] {
        let since = Timestamp::from_millis(since);
        let miner = Miner { id: miner(n), since, threshold: Some(Amount::new(threshold)) };
        directory.save(&miner).await.unwrap();
        assert_eq!(directory.miner(&miner.id).await.unwrap(), Some(miner));
    }
}

/// Ids that look alike to a careless store are different miners.
pub async fn hostile_names_stay_apart(directory: Arc<dyn Directory>) {
    let ids = hostile_miners();
    for (n, id) in (0..).zip(&ids) {
        assert_eq!(directory.miner(id).await.unwrap(), None, "{id}");
        directory.save(&entry(id.clone(), n)).await.unwrap();
    }
    for (n, id) in (0..).zip(&ids) {
        assert_eq!(directory.miner(id).await.unwrap(), Some(entry(id.clone(), n)), "{id}");
    }
}

/// Many write miners of their own and one that all share: all are there, the shared one as one of them wrote it.
pub async fn many_writers_keep_every_miner(directory: Arc<dyn Directory>) {
    let writers = (1..=12).map(|n: u64| {
        let directory = Arc::clone(&directory);
        async move {
            directory.save(&entry(miner(n), n)).await.unwrap();
            directory.save(&entry(miner(0), n)).await.unwrap();
        }
    });
    at_once(writers).await;
    let miners = directory.list(None, ALL).await.unwrap();
    assert_eq!(miners[1..], (1..=12).map(|n| entry(miner(n), n)).collect::<Vec<_>>());
    let shared = &miners[0];
    assert!((1..=12).any(|n| *shared == entry(miner(0), n)), "half of two writes: {shared:?}");
}
