//! The suites of every port, behind a plan without faults; and what a plan with faults does.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use pool_core::faulty::{Fault, FaultPlan};
use pool_core::id::ShareSeq;
use pool_core::ledger::Posted;
use pool_core::ports::{StoreError, Stores};
use pool_core::testing::{ALL, entry, number, share};

pool_core::stores_suite!(((), Stores::memory().faulty(FaultPlan::none())));

fn is_unavailable<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(error) if error.is_transient())
}

#[tokio::test]
async fn an_unavailable_write_was_done_or_was_not() {
    let stores = Stores::memory();
    let faulty = stores.clone().faulty(FaultPlan::script([Fault::NotDone, Fault::Done, Fault::None]));
    assert!(is_unavailable(&faulty.shares.append(&[share(1)]).await));
    assert_eq!(stores.shares.head().await.unwrap(), ShareSeq::new(0));
    assert!(is_unavailable(&faulty.shares.append(&[share(1)]).await));
    assert_eq!(stores.shares.head().await.unwrap(), ShareSeq::new(1));
    assert_eq!(faulty.shares.append(&[share(2)]).await.unwrap(), ShareSeq::new(2));
}

#[tokio::test]
async fn a_poisoned_store_writes_nothing_more_and_is_read_until_a_restart() {
    let plan = FaultPlan::none();
    let stores = Stores::memory().faulty(plan.clone());
    plan.poison_after(2);
    stores.shares.append(&[share(1)]).await.unwrap();
    stores.ledger.post(&entry(1)).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(stores.shares.append(&[share(2)]).await, Err(StoreError::Poisoned(_))));
        assert!(matches!(stores.ledger.post(&entry(2)).await, Err(StoreError::Poisoned(_))));
        assert_eq!(stores.shares.head().await.unwrap(), ShareSeq::new(1));
        plan.heal();
    }
    plan.restart();
    assert_eq!(stores.shares.append(&[share(2)]).await.unwrap(), ShareSeq::new(2));
    assert_eq!(plan.faults(), 4);
}

#[tokio::test]
async fn one_seed_is_one_story() {
    let mut stories = Vec::new();
    for seed in [1, 1, 2] {
        let plan = FaultPlan::seeded(seed, 300);
        let (inner, mut failed) = (Stores::memory(), Vec::new());
        let stores = inner.clone().faulty(plan.clone());
        for n in 0..500 {
            failed.push(is_unavailable(&stores.shares.append(&[share(n)]).await));
        }
        let logged = inner.shares.read(ShareSeq::new(0), ALL).await.unwrap();
        let logged: Vec<u64> = logged.iter().map(|logged| number(&logged.record)).collect();
        let failures = failed.iter().filter(|failed| **failed).count();
        assert!((100..=200).contains(&failures), "{failures} of 500 at 300 in 1000");
        assert_eq!(plan.faults(), failures as u64);
        // Whoever was told "yes" is there; of the others some are.
        assert!((0..500).all(|n| failed[n as usize] || logged.contains(&n)));
        let in_doubt = logged.iter().filter(|n| failed[**n as usize]).count();
        assert!(in_doubt > failures / 4 && in_doubt < failures * 3 / 4, "{in_doubt} of {failures}");
        stories.push((failed, logged));
    }
    assert_eq!(stories[0], stories[1]);
    assert_ne!(stories[0], stories[2]);
}

/// What every writer must do: send the same write again until it is answered.
#[tokio::test]
async fn a_write_sent_until_it_is_answered_happens_once() {
    let inner = Stores::memory();
    let stores = inner.clone().faulty(FaultPlan::seeded(9, 500));
    for n in 0..200 {
        loop {
            match stores.ledger.post(&entry(n)).await {
                Ok(Posted::Now(seq) | Posted::Before(seq)) => {
                    assert_eq!(seq.get(), n + 1);
                    break;
                }
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
        }
    }
    assert_eq!(inner.ledger.entries(None, pool_core::id::Seq::new(0), ALL).await.unwrap().len(), 200);
}
