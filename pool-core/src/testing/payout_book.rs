//! What a [`PayoutBook`] promises.

use super::{ALL, assert_refused, at, at_once, coin, hostile_miners, hostile_texts, miner, payout, signed};
use crate::id::{CoinId, PayoutId, TxId};
use crate::payout::{BookedPayout, PayoutBatch, PayoutItem, SignedTx, TxFate};
use crate::ports::PayoutBook;
use crate::units::Amount;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

const SETTLED: TxFate = TxFate::Settled { fee: Amount::new(17) };

fn void() -> TxFate {
    TxFate::Void { detail: "another transaction spent its coins".into() }
}

fn id(n: u64) -> PayoutId {
    PayoutId::new(&coin(), n)
}

async fn one(book: &Arc<dyn PayoutBook>, n: u64) -> BookedPayout {
    let all = book.list(None, ALL).await.unwrap();
    all.into_iter().find(|payout| payout.batch.id == id(n)).unwrap()
}

fn numbers(payouts: &[BookedPayout]) -> Vec<u64> {
    payouts.iter().map(|payout| payout.batch.id.number()).collect()
}

/// Prepared, signed, settled; each step is seen.
pub async fn a_payout_goes_from_plan_to_end(book: Arc<dyn PayoutBook>) {
    assert_eq!(book.open().await.unwrap(), vec![]);
    book.prepare(&payout(1)).await.unwrap();
    let mut expected = BookedPayout { batch: payout(1), signed: None, conclusion: None };
    assert_eq!(book.open().await.unwrap(), [expected.clone()]);
    book.attach(&id(1), &signed(1)).await.unwrap();
    expected.signed = Some(signed(1));
    assert_eq!(book.open().await.unwrap(), [expected.clone()]);
    book.conclude(&id(1), &SETTLED).await.unwrap();
    expected.conclusion = Some(SETTLED);
    assert_eq!(book.open().await.unwrap(), vec![]);
    assert_eq!(book.list(None, ALL).await.unwrap(), [expected]);
}

/// The same batch again changes nothing, at any stage.
pub async fn preparing_again_changes_nothing(book: Arc<dyn PayoutBook>) {
    book.prepare(&payout(1)).await.unwrap();
    book.prepare(&payout(1)).await.unwrap();
    book.attach(&id(1), &signed(1)).await.unwrap();
    book.prepare(&payout(1)).await.unwrap();
    assert_eq!(one(&book, 1).await.signed, Some(signed(1)));
    book.conclude(&id(1), &SETTLED).await.unwrap();
    book.prepare(&payout(1)).await.unwrap();
    assert_eq!(one(&book, 1).await.conclusion, Some(SETTLED));
    assert_eq!(book.list(None, ALL).await.unwrap().len(), 1);
}

/// Whatever differs, the second batch under an id is refused and the first stays.
pub async fn another_batch_under_an_id_is_a_conflict(book: Arc<dyn PayoutBook>) {
    book.prepare(&payout(1)).await.unwrap();
    let changes: [fn(&mut PayoutBatch); 6] = [
        |batch| batch.coin = CoinId::new("other").unwrap(),
        |batch| batch.at = at(99),
        |batch| batch.items[0].amount = Amount::new(1),
        |batch| batch.items[0].miner = miner(9),
        |batch| batch.items.truncate(2),
        |batch| batch.items.swap(0, 1),
    ];
    for change in changes {
        let mut other = payout(1);
        change(&mut other);
        assert_refused!(book.prepare(&other).await, Conflict);
    }
    assert_eq!(one(&book, 1).await.batch, payout(1));
}

/// Nothing can be done with a payout that was never prepared.
pub async fn an_unknown_payout_is_not_found(book: Arc<dyn PayoutBook>) {
    book.prepare(&payout(1)).await.unwrap();
    assert_refused!(book.attach(&id(2), &signed(2)).await, NotFound);
    assert_refused!(book.conclude(&id(2), &void()).await, NotFound);
    assert_eq!(numbers(&book.list(None, ALL).await.unwrap()), [1]);
}

/// Two signed transactions of one payout could both be paid: the first stays, whatever differs in the second.
pub async fn signed_bytes_are_never_replaced(book: Arc<dyn PayoutBook>) {
    book.prepare(&payout(1)).await.unwrap();
    book.attach(&id(1), &signed(1)).await.unwrap();
    book.attach(&id(1), &signed(1)).await.unwrap();
    let changes: [fn(&mut SignedTx); 5] = [
        |tx| tx.id = TxId::new([9; 32]),
        |tx| tx.raw.push(0),
        |tx| tx.fee = Amount::new(18),
        |tx| tx.spends.truncate(1),
        |tx| tx.spends.swap(0, 1),
    ];
    for change in changes {
        let mut other = signed(1);
        change(&mut other);
        assert_refused!(book.attach(&id(1), &other).await, Conflict);
    }
    assert_eq!(one(&book, 1).await.signed, Some(signed(1)));
    book.conclude(&id(1), &void()).await.unwrap();
    assert_refused!(book.attach(&id(1), &signed(2)).await, Conflict);
    assert_eq!(one(&book, 1).await.signed, Some(signed(1)));
}

/// A payout that ended unsigned stays unsigned: its money went back.
pub async fn what_has_ended_is_not_signed_any_more(book: Arc<dyn PayoutBook>) {
    book.prepare(&payout(1)).await.unwrap();
    book.conclude(&id(1), &void()).await.unwrap();
    assert_refused!(book.attach(&id(1), &signed(1)).await, Conflict);
    assert_eq!(one(&book, 1).await.signed, None);
}

/// What nobody signed, nobody can have sent.
pub async fn what_was_never_signed_cannot_settle(book: Arc<dyn PayoutBook>) {
    book.prepare(&payout(1)).await.unwrap();
    assert_refused!(book.conclude(&id(1), &SETTLED).await, Conflict);
    assert_eq!(one(&book, 1).await.conclusion, None);
    book.attach(&id(1), &signed(1)).await.unwrap();
    book.conclude(&id(1), &SETTLED).await.unwrap();
}

/// A batch that can never be signed is given up without a signature.
pub async fn what_was_never_signed_can_be_void(book: Arc<dyn PayoutBook>) {
    book.prepare(&payout(1)).await.unwrap();
    book.conclude(&id(1), &void()).await.unwrap();
    book.conclude(&id(1), &void()).await.unwrap();
    assert_eq!(one(&book, 1).await.conclusion, Some(void()));
    assert_eq!(book.open().await.unwrap(), vec![]);
}

/// What may still change is no end.
pub async fn only_a_final_end_concludes(book: Arc<dyn PayoutBook>) {
    book.prepare(&payout(1)).await.unwrap();
    book.attach(&id(1), &signed(1)).await.unwrap();
    assert_refused!(book.conclude(&id(1), &TxFate::Unknown).await, Conflict);
    assert_refused!(book.conclude(&id(1), &TxFate::Pending { confirmations: 1_000 }).await, Conflict);
    assert_eq!(numbers(&book.open().await.unwrap()), [1]);
}

/// The same end again changes nothing; another is refused, whatever differs.
pub async fn an_end_is_final(book: Arc<dyn PayoutBook>) {
    for n in [1, 2] {
        book.prepare(&payout(n)).await.unwrap();
        book.attach(&id(n), &signed(n)).await.unwrap();
    }
    book.conclude(&id(1), &SETTLED).await.unwrap();
    book.conclude(&id(1), &SETTLED).await.unwrap();
    book.conclude(&id(2), &void()).await.unwrap();
    let other_words = TxFate::Void { detail: String::new() };
    let other_fee = TxFate::Settled { fee: Amount::new(18) };
    let pending = TxFate::Pending { confirmations: 1 };
    for (n, other) in
        [(1, void()), (1, other_fee), (1, TxFate::Unknown), (1, pending), (2, SETTLED), (2, other_words)]
    {
        assert_refused!(book.conclude(&id(n), &other).await, Conflict);
    }
    assert_eq!(one(&book, 1).await.conclusion, Some(SETTLED));
    assert_eq!(one(&book, 2).await.conclusion, Some(void()));
}

/// Open payouts are ordered by number, not by text and not by when they were prepared.
pub async fn open_payouts_come_in_the_order_of_their_numbers(book: Arc<dyn PayoutBook>) {
    for n in [10, 2, 100, 1, 9] {
        book.prepare(&payout(n)).await.unwrap();
    }
    assert_eq!(numbers(&book.open().await.unwrap()), [1, 2, 9, 10, 100]);
    book.conclude(&id(9), &void()).await.unwrap();
    book.attach(&id(1), &signed(1)).await.unwrap();
    assert_eq!(numbers(&book.open().await.unwrap()), [1, 2, 10, 100]);
}

/// Newest number first, page behind page, open and ended.
pub async fn payouts_come_in_pages(book: Arc<dyn PayoutBook>) {
    for n in [3, 12, 1, 7, 20, 5] {
        book.prepare(&payout(n)).await.unwrap();
    }
    book.conclude(&id(7), &void()).await.unwrap();
    for limit in [1, 2, 6, 7] {
        let mut joined = Vec::new();
        loop {
            let page = book.list(joined.last().copied(), limit).await.unwrap();
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            joined.extend(numbers(&page));
        }
        assert_eq!(joined, [20, 12, 7, 5, 3, 1], "pages of {limit}");
    }
}

/// Limits of nothing and the greatest numbers are answered.
pub async fn limits_and_numbers_have_no_edge(book: Arc<dyn PayoutBook>) {
    book.prepare(&payout(0)).await.unwrap();
    book.prepare(&payout(1)).await.unwrap();
    assert_eq!(book.list(None, 0).await.unwrap(), vec![]);
    for (before, expected) in [(0, vec![]), (1, vec![0]), (2, vec![1, 0]), (u64::MAX, vec![1, 0])] {
        assert_eq!(numbers(&book.list(Some(before), ALL).await.unwrap()), expected, "below {before}");
    }
}

/// One number of two coins is two payouts.
pub async fn two_coins_have_their_own_numbers(book: Arc<dyn PayoutBook>) {
    let other = CoinId::new("test-coin-1").unwrap();
    let theirs = PayoutBatch { id: PayoutId::new(&other, 1), coin: other, ..payout(1) };
    book.prepare(&payout(1)).await.unwrap();
    book.prepare(&theirs).await.unwrap();
    book.attach(&theirs.id, &signed(2)).await.unwrap();
    book.conclude(&id(1), &void()).await.unwrap();
    let open = book.open().await.unwrap();
    assert_eq!(open, [BookedPayout { batch: theirs, signed: Some(signed(2)), conclusion: None }]);
    assert_eq!(numbers(&book.list(None, ALL).await.unwrap()), [1, 1]);
    assert_eq!(one(&book, 1).await.signed, None);
}

/// What is read is what was written: whole ranges, all names, all words.
pub async fn every_field_comes_back(book: Arc<dyn PayoutBook>) {
    let mut items: Vec<PayoutItem> = hostile_miners()
        .into_iter()
        .zip(1..)
        .map(|(miner, amount)| PayoutItem { miner, amount: Amount::new(amount) })
        .collect();
    items[0].amount = Amount::new(u128::MAX);
    items.sort_by(|a, b| a.miner.cmp(&b.miner));
    let large = PayoutBatch { items, ..payout(1) };
    let texts = hostile_texts();
    let tx = SignedTx {
        id: TxId::new([0; 32]),
        raw: vec![0xff; 100_000],
        fee: Amount::new(u128::MAX),
        spends: texts.clone(),
    };
    book.prepare(&large).await.unwrap();
    book.attach(&id(1), &tx).await.unwrap();
    book.conclude(&id(1), &TxFate::Settled { fee: Amount::new(u128::MAX) }).await.unwrap();
    let settled = TxFate::Settled { fee: Amount::new(u128::MAX) };
    let expected = BookedPayout { batch: large.clone(), signed: Some(tx.clone()), conclusion: Some(settled) };
    assert_eq!(one(&book, 1).await, expected);
    // Content is compared as it was given, so the same again is the same.
    book.prepare(&large).await.unwrap();
    book.attach(&id(1), &tx).await.unwrap();
    for (n, text) in (2..).zip(texts) {
        let end = TxFate::Void { detail: text };
        let bare = SignedTx { raw: vec![], fee: Amount::ZERO, spends: vec![], ..signed(n) };
        book.prepare(&payout(n)).await.unwrap();
        book.attach(&id(n), &bare).await.unwrap();
        book.conclude(&id(n), &end).await.unwrap();
        book.conclude(&id(n), &end).await.unwrap();
        let expected = BookedPayout { batch: payout(n), signed: Some(bare), conclusion: Some(end) };
        assert_eq!(one(&book, n).await, expected);
    }
}

/// Two planners with one number: one batch is written, everybody of the other is refused.
pub async fn two_batches_at_once_leave_one(book: Arc<dyn PayoutBook>) {
    let plan = |n: u64| PayoutBatch { at: at(n % 2), ..payout(1) };
    let writers = (0..16).map(|n: u64| {
        let book = Arc::clone(&book);
        async move { (plan(n), book.prepare(&plan(n)).await) }
    });
    let told = at_once(writers).await;
    let written = one(&book, 1).await.batch;
    for (batch, answer) in told {
        if batch == written {
            answer.unwrap();
        } else {
            assert_refused!(answer, Conflict);
        }
    }
    assert_eq!(book.list(None, ALL).await.unwrap().len(), 1);
}

/// Two signers at once: one transaction is written, everybody of the other is refused and must not send.
pub async fn two_signatures_at_once_leave_one(book: Arc<dyn PayoutBook>) {
    book.prepare(&payout(1)).await.unwrap();
    let writers = (0..16).map(|n: u64| {
        let book = Arc::clone(&book);
        async move { (signed(n % 3), book.attach(&id(1), &signed(n % 3)).await) }
    });
    let told = at_once(writers).await;
    let written = one(&book, 1).await.signed.unwrap();
    for (tx, answer) in told {
        if tx == written {
            answer.unwrap();
        } else {
            assert_refused!(answer, Conflict);
        }
    }
}

/// Two opinions on one payout at once: one is written, everybody of the other is refused.
pub async fn two_ends_at_once_leave_one(book: Arc<dyn PayoutBook>) {
    book.prepare(&payout(1)).await.unwrap();
    book.attach(&id(1), &signed(1)).await.unwrap();
    let end = |n: u64| if n.is_multiple_of(2) { SETTLED } else { void() };
    let writers = (0..16).map(|n: u64| {
        let book = Arc::clone(&book);
        async move { (end(n), book.conclude(&id(1), &end(n)).await) }
    });
    let told = at_once(writers).await;
    let written = one(&book, 1).await.conclusion.unwrap();
    for (end, answer) in told {
        if end == written {
            answer.unwrap();
        } else {
            assert_refused!(answer, Conflict);
        }
    }
}
