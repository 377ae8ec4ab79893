//! What must be there after a restart: everything that was acknowledged, in the ports that may lose nothing.
//!
//! These cases close and reopen in good order. That nothing is lost when a process is killed or a disk lies is for an
//! adapter's own tests: how to break a store is the adapter's to know.

use super::ledger::assert_conserved;
use super::{
    ALL, at, at_once, block_id, block_share, coin, entry, found, lost, matured, miner, number, payout, share,
    shares, signed, worker,
};
use crate::block::BookedBlock;
use crate::id::{PayoutId, Seq, ShareSeq};
use crate::ledger::{Account, Balance, LedgerEntry, Posted};
use crate::payout::{BookedPayout, TxFate};
use crate::ports::{BlockList, Bucket, Message, Miner, RollupQuery, Stores};
use crate::share::LoggedShare;
use crate::units::Amount;
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use async_trait::async_trait;

/// Data that can be opened, closed and opened again. Empty when first opened.
#[async_trait]
pub trait Reopen: Send + Sync {
    /// Opens the data; never twice at a time.
    async fn open(&self) -> Stores;

    /// Closes what [`Reopen::open`] gave. For adapters whose closing is more than dropping.
    async fn close(&self, stores: Stores) {
        drop(stores);
    }
}

const SETTLED: TxFate = TxFate::Settled { fee: Amount::new(17) };

fn payout_id(n: u64) -> PayoutId {
    PayoutId::new(&coin(), n)
}

/// All that the ports which may lose nothing hold.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    shares: Vec<LoggedShare>,
    head: ShareSeq,
    blocks: Vec<BookedBlock>,
    concluded: Vec<BookedBlock>,
    entries: Vec<LedgerEntry>,
    balances: Vec<(Account, Balance)>,
    payouts: Vec<BookedPayout>,
    messages: Vec<Message>,
    rest: Vec<Message>,
    miners: Vec<Miner>,
    summed: ShareSeq,
    buckets: Vec<Bucket>,
}

const EVERYTHING: RollupQuery = RollupQuery { miner: None, from: 0, to: u64::MAX };

async fn held(stores: &Stores) -> Held {
    Held {
        shares: stores.shares.read(ShareSeq::new(0), ALL).await.unwrap(),
        head: stores.shares.head().await.unwrap(),
        blocks: stores.blocks.list(BlockList::Newest(None), ALL).await.unwrap(),
        concluded: stores.blocks.list(BlockList::Concluded(Seq::new(0)), ALL).await.unwrap(),
        entries: stores.ledger.entries(None, Seq::new(0), ALL).await.unwrap(),
        balances: stores.ledger.balances(None, ALL).await.unwrap(),
        payouts: stores.payouts.list(None, ALL).await.unwrap(),
        messages: stores.broker.fetch("topic", "nobody's", ALL).await.unwrap(),
        rest: stores.broker.fetch("topic", "group", ALL).await.unwrap(),
        miners: stores.directory.list(None, ALL).await.unwrap(),
        summed: stores.rollups.upto().await.unwrap(),
        buckets: stores.rollups.series(&EVERYTHING).await.unwrap(),
    }
}

/// Closes, opens again, and sees that the same is held.
async fn reopened(reopen: &dyn Reopen, stores: Stores) -> Stores {
    let before = held(&stores).await;
    reopen.close(stores).await;
    let stores = reopen.open().await;
    assert_eq!(held(&stores).await, before);
    stores
}

/// Shares and their places survive, and the next place is the next.
pub async fn shares_survive(reopen: &dyn Reopen) {
    let mut stores = reopen.open().await;
    for round in 0..4 {
        let last = stores.shares.append(&shares(round * 10..round * 10 + 10)).await.unwrap();
        assert_eq!(last, ShareSeq::new(round * 10 + 10));
        stores = reopened(reopen, stores).await;
        let logged = stores.shares.read(ShareSeq::new(0), ALL).await.unwrap();
        assert!(logged.iter().map(|share| number(&share.record)).eq(0..round * 10 + 10));
    }
}

/// What was pruned stays away, what was not stays.
pub async fn a_pruned_log_goes_on_where_it_was(reopen: &dyn Reopen) {
    let stores = reopen.open().await;
    stores.shares.append(&shares(0..10)).await.unwrap();
    stores.shares.prune(ShareSeq::new(6)).await.unwrap();
    let stores = reopened(reopen, stores).await;
    assert_eq!(stores.shares.append(&shares([10])).await.unwrap(), ShareSeq::new(11));
    let logged = stores.shares.read(ShareSeq::new(0), ALL).await.unwrap();
    assert!(logged.iter().map(|share| share.seq.get()).eq(7..=11));
}

/// Places are never used again, not even when nothing was left to remember them by.
pub async fn a_log_emptied_by_pruning_goes_on_where_it_was(reopen: &dyn Reopen) {
    let stores = reopen.open().await;
    stores.shares.append(&shares(0..10)).await.unwrap();
    stores.shares.prune(ShareSeq::new(10)).await.unwrap();
    let stores = reopened(reopen, stores).await;
    assert_eq!(stores.shares.head().await.unwrap(), ShareSeq::new(10));
    let stores = reopened(reopen, stores).await;
    assert_eq!(stores.shares.append(&shares([10])).await.unwrap(), ShareSeq::new(11));
}

/// An intake that a crash interrupted is finished once, after any number of restarts, pruned or not.
pub async fn the_share_of_a_block_is_logged_once_across_openings(reopen: &dyn Reopen) {
    let stores = reopen.open().await;
    stores.shares.append(&[share(1), block_share(2), share(3)]).await.unwrap();
    let stores = reopened(reopen, stores).await;
    assert_eq!(stores.shares.append(&[block_share(2)]).await.unwrap(), ShareSeq::new(2));
    stores.shares.prune(ShareSeq::new(2)).await.unwrap();
    let stores = reopened(reopen, stores).await;
    assert_eq!(stores.shares.append(&[block_share(2)]).await.unwrap(), ShareSeq::new(2));
    assert_eq!(stores.shares.head().await.unwrap(), ShareSeq::new(3));
}

/// Recorded, submitted, concluded: each survives, and each is still final.
pub async fn blocks_survive(reopen: &dyn Reopen) {
    let mut stores = reopen.open().await;
    for n in 0..4 {
        assert!(stores.blocks.record(&found(n)).await.unwrap());
    }
    stores = reopened(reopen, stores).await;
    stores.blocks.submitted(&block_id(1), at(5)).await.unwrap();
    stores.blocks.submitted(&block_id(2), at(6)).await.unwrap();
    stores = reopened(reopen, stores).await;
    stores.blocks.conclude(&block_id(2), &matured(7)).await.unwrap();
    stores.blocks.conclude(&block_id(0), &lost()).await.unwrap();
    stores = reopened(reopen, stores).await;
    assert!(!stores.blocks.record(&found(2)).await.unwrap());
    stores.blocks.submitted(&block_id(1), at(99)).await.unwrap();
    assert!(stores.blocks.conclude(&block_id(2), &lost()).await.is_err());
    let open = stores.blocks.open().await.unwrap();
    assert_eq!(open.iter().map(|block| block.found.clone()).collect::<Vec<_>>(), [found(1), found(3)]);
    assert_eq!(open[0].submitted, Some(at(5)));
}

/// Both numberings of a block book go on without a gap.
pub async fn conclusions_go_on_where_they_were(reopen: &dyn Reopen) {
    let mut stores = reopen.open().await;
    for n in 0..4 {
        stores.blocks.record(&found(n)).await.unwrap();
        let seq = stores.blocks.conclude(&block_id(n), &matured(n)).await.unwrap();
        assert_eq!(seq, Seq::new(n + 1));
        stores = reopened(reopen, stores).await;
    }
    let newest = stores.blocks.list(BlockList::Newest(None), ALL).await.unwrap();
    assert!(newest.iter().map(|block| block.seq.get()).eq([4, 3, 2, 1]));
}

/// Entries and balances survive, and the next number is the next.
pub async fn the_ledger_survives(reopen: &dyn Reopen) {
    let mut stores = reopen.open().await;
    for n in 1..=4 {
        assert_eq!(stores.ledger.post(&entry(n)).await.unwrap(), Posted::Now(Seq::new(n)));
        stores = reopened(reopen, stores).await;
        assert_conserved(&stores.ledger).await;
    }
}

/// A restart makes no cause new.
pub async fn a_cause_pays_once_across_openings(reopen: &dyn Reopen) {
    let mut stores = reopen.open().await;
    stores.ledger.post(&entry(1)).await.unwrap();
    for n in 0..3 {
        stores = reopened(reopen, stores).await;
        let mut again = entry(1);
        again.at = at(n);
        assert_eq!(stores.ledger.post(&again).await.unwrap(), Posted::Before(Seq::new(1)));
        let mut other = entry(1);
        other.memo.clear();
        assert!(stores.ledger.post(&other).await.is_err());
    }
    assert_eq!(stores.ledger.balance(&Account::Operator).await.unwrap().credits, Amount::new(7));
}

/// Prepared, signed, ended: each survives, and signed bytes are not replaced after a restart either.
pub async fn payouts_survive(reopen: &dyn Reopen) {
    let mut stores = reopen.open().await;
    for n in 1..=3 {
        stores.payouts.prepare(&payout(n)).await.unwrap();
    }
    stores = reopened(reopen, stores).await;
    stores.payouts.attach(&payout_id(1), &signed(1)).await.unwrap();
    stores.payouts.attach(&payout_id(2), &signed(2)).await.unwrap();
    stores = reopened(reopen, stores).await;
    assert!(stores.payouts.attach(&payout_id(1), &signed(9)).await.is_err());
    stores.payouts.attach(&payout_id(1), &signed(1)).await.unwrap();
    stores.payouts.conclude(&payout_id(1), &SETTLED).await.unwrap();
    stores = reopened(reopen, stores).await;
    assert!(stores.payouts.conclude(&payout_id(1), &TxFate::Void { detail: "no".into() }).await.is_err());
    stores.payouts.prepare(&payout(1)).await.unwrap();
    let open = stores.payouts.open().await.unwrap();
    let expected = [(2, Some(signed(2))), (3, None)].map(|(n, signed)| BookedPayout {
        batch: payout(n),
        signed,
        conclusion: None,
    });
    assert_eq!(open, expected);
}

/// Messages survive until they are committed, and committed ones do not come again.
pub async fn messages_and_positions_survive(reopen: &dyn Reopen) {
    let mut stores = reopen.open().await;
    let messages: Vec<Vec<u8>> = (0..6u8).map(|n| vec![n; 3]).collect();
    stores.broker.publish("topic", &messages[..4]).await.unwrap();
    stores = reopened(reopen, stores).await;
    let first = stores.broker.fetch("topic", "group", 2).await.unwrap();
    stores.broker.commit("topic", "group", first[1].seq).await.unwrap();
    stores = reopened(reopen, stores).await;
    stores.broker.publish("topic", &messages[4..]).await.unwrap();
    stores = reopened(reopen, stores).await;
    let rest = stores.broker.fetch("topic", "group", ALL).await.unwrap();
    assert!(rest.iter().map(|message| &message.payload).eq(&messages[2..]));
    assert!(rest.is_sorted_by(|a, b| a.seq < b.seq));
}

/// Miners survive, in their last version.
pub async fn miners_survive(reopen: &dyn Reopen) {
    let mut stores = reopen.open().await;
    for threshold in [None, Some(Amount::new(5)), Some(Amount::new(u128::MAX))] {
        let miner = Miner { id: miner(1), since: at(1), threshold };
        stores.directory.save(&miner).await.unwrap();
        stores = reopened(reopen, stores).await;
        assert_eq!(stores.directory.miner(&miner.id).await.unwrap(), Some(miner));
    }
}

/// Sums and their position survive together: the same shares are not summed twice.
pub async fn sums_survive_and_count_once(reopen: &dyn Reopen) {
    let mut stores = reopen.open().await;
    let bucket = Bucket { worker: worker(1), minute: 9, shares: 5, work: 1 << 100 };
    for _ in 0..3 {
        stores.rollups.add(ShareSeq::new(5), core::slice::from_ref(&bucket)).await.unwrap();
        stores = reopened(reopen, stores).await;
    }
    assert_eq!(stores.rollups.series(&EVERYTHING).await.unwrap(), [bucket]);
}

/// Whatever any of many writers was told is there, and there is nothing that nobody wrote.
pub async fn what_many_writers_were_told_survives(reopen: &dyn Reopen) {
    let stores = reopen.open().await;
    let writers = (0..8).map(|writer: u64| {
        let stores = stores.clone();
        async move {
            let mut told = Vec::new();
            for round in 0..4 {
                let n = writer * 100 + round;
                let batch = [share(n), share(n + 50)];
                let last = stores.shares.append(&batch).await.unwrap();
                assert!(stores.blocks.record(&found(n)).await.unwrap());
                let Posted::Now(entry) = stores.ledger.post(&entry(n)).await.unwrap() else {
                    panic!("entry {n} was never posted before");
                };
                stores.payouts.prepare(&payout(n)).await.unwrap();
                let message = stores.broker.publish("topic", &[format!("{n}").into_bytes()]).await.unwrap();
                told.push((n, last, entry, message));
            }
            told
        }
    });
    let told: Vec<_> = at_once(writers).await.into_iter().flatten().collect();
    let stores = reopened(reopen, stores).await;
    let held = held(&stores).await;
    assert_conserved(&stores.ledger).await;
    assert_eq!(held.shares.len(), 64);
    assert_eq!((held.blocks.len(), held.entries.len()), (32, 32));
    assert_eq!((held.payouts.len(), held.messages.len()), (32, 32));
    for (n, last, posted, message) in told {
        let end = usize::try_from(last.get()).unwrap();
        let batch = &held.shares[end - 2..end];
        assert!(batch.iter().map(|share| number(&share.record)).eq([n, n + 50]), "the batch of {n}");
        assert!(held.blocks.iter().any(|block| block.found == found(n)), "block {n}");
        assert_eq!(held.entries[usize::try_from(posted.get()).unwrap() - 1].entry, entry(n));
        assert!(held.payouts.iter().any(|booked| booked.batch == payout(n)), "payout {n}");
        let message = held.messages.iter().find(|held| held.seq == message).unwrap();
        assert_eq!(message.payload, format!("{n}").into_bytes());
    }
}

/// Opening and closing writes nothing.
pub async fn many_openings_change_nothing(reopen: &dyn Reopen) {
    let mut stores = reopen.open().await;
    stores = reopened(reopen, stores).await;
    stores.shares.append(&[share(1), block_share(2)]).await.unwrap();
    stores.blocks.record(&found(2)).await.unwrap();
    stores.ledger.post(&entry(2)).await.unwrap();
    stores.payouts.prepare(&payout(1)).await.unwrap();
    for _ in 0..5 {
        stores = reopened(reopen, stores).await;
    }
    let stores: Arc<Stores> = Arc::new(stores);
    assert_conserved(&stores.ledger).await;
}
