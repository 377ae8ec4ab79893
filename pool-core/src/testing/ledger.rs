//! What a [`Ledger`] promises.

use super::{
    ALL, assert_refused, at, at_once, block_id, coin, entry, entry_of, hostile_miners, hostile_texts, income,
    miner,
};
use crate::id::{BlockId, CoinId, PayoutId, Seq, ShareSeq};
use crate::ledger::{Account, Balance, Cause, Entry, LedgerEntry, Posted, Posting};
use crate::ports::{Ledger, StoreError};
use crate::time::Timestamp;
use crate::units::Amount;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

const NONE: Seq = Seq::new(0);

fn balance(debits: u128, credits: u128) -> Balance {
    Balance { debits: Amount::new(debits), credits: Amount::new(credits) }
}

fn adjustment(reference: &str, postings: Vec<Posting>) -> Entry {
    entry_of(Cause::Adjustment(reference.into()), postings)
}

fn now(seq: u64) -> Posted {
    Posted::Now(Seq::new(seq))
}

fn before(seq: u64) -> Posted {
    Posted::Before(Seq::new(seq))
}

/// All that a ledger says, to see that nothing moved.
async fn everything(ledger: &Arc<dyn Ledger>) -> (Vec<LedgerEntry>, Vec<(Account, Balance)>) {
    (ledger.entries(None, NONE, ALL).await.unwrap(), ledger.balances(None, ALL).await.unwrap())
}

/// Panics unless the balances are those of the entries, and debits equal credits over all accounts.
pub(super) async fn assert_conserved(ledger: &Arc<dyn Ledger>) {
    let (entries, balances) = everything(ledger).await;
    assert!(
        entries.iter().map(|entry| entry.seq.get()).eq(1..=entries.len() as u64),
        "the numbers have a gap"
    );
    for (account, balance) in &balances {
        let postings = entries.iter().flat_map(|entry| &entry.entry.postings);
        let sum = postings.fold(Balance::default(), |sum, posting| sum.after(account, posting).unwrap());
        assert_eq!(*balance, sum, "{account}");
        assert_eq!(ledger.balance(account).await.unwrap(), sum, "{account}");
    }
    let debits = Amount::checked_sum(balances.iter().map(|(_, balance)| balance.debits));
    let credits = Amount::checked_sum(balances.iter().map(|(_, balance)| balance.credits));
    assert_eq!(debits, credits);
}

/// No entry, no account, no money.
pub async fn an_empty_ledger_holds_nothing(ledger: Arc<dyn Ledger>) {
    assert_eq!(everything(&ledger).await, (vec![], vec![]));
    assert_eq!(ledger.balance(&Account::Chain).await.unwrap(), Balance::default());
    assert_eq!(ledger.entries(Some(&Account::Chain), NONE, ALL).await.unwrap(), vec![]);
    assert_eq!(ledger.entry(&entry(1).cause).await.unwrap(), None);
}

/// Every posting of an entry moves its amount from debit to credit.
pub async fn posting_moves_money(ledger: Arc<dyn Ledger>) {
    assert_eq!(ledger.post(&entry(1)).await.unwrap(), now(1));
    assert_eq!(ledger.balance(&Account::Chain).await.unwrap(), balance(1_001, 0));
    assert_eq!(ledger.balance(&Account::Miner(miner(1))).await.unwrap(), balance(0, 991));
    assert_eq!(ledger.balance(&Account::Operator).await.unwrap(), balance(0, 7));
    assert_eq!(ledger.balance(&Account::Residue).await.unwrap(), balance(0, 3));
    assert_eq!(ledger.balance(&Account::Miner(miner(2))).await.unwrap(), Balance::default());
    let back = Posting::new(Account::Miner(miner(1)), Account::InFlight, Amount::new(900)).unwrap();
    let paid = entry_of(Cause::Payout(PayoutId::new(&coin(), 1)), vec![back]);
    assert_eq!(ledger.post(&paid).await.unwrap(), now(2));
    assert_eq!(ledger.balance(&Account::Miner(miner(1))).await.unwrap(), balance(900, 991));
    assert_eq!(ledger.balance(&Account::InFlight).await.unwrap(), balance(0, 900));
    assert_conserved(&ledger).await;
}

/// A cause pays once: the same entry again is answered with its number and moves nothing.
pub async fn posting_again_changes_nothing(ledger: Arc<dyn Ledger>) {
    assert_eq!(ledger.post(&entry(1)).await.unwrap(), now(1));
    assert_eq!(ledger.post(&entry(2)).await.unwrap(), now(2));
    let untouched = everything(&ledger).await;
    assert_eq!(ledger.post(&entry(1)).await.unwrap(), before(1));
    assert_eq!(ledger.post(&entry(2)).await.unwrap(), before(2));
    assert_eq!(everything(&ledger).await, untouched);
    assert_eq!(ledger.post(&entry(3)).await.unwrap(), now(3));
}

/// The time is no content: a retry at another time is the same entry, and the first time stays.
pub async fn another_time_is_the_same_entry(ledger: Arc<dyn Ledger>) {
    ledger.post(&entry(1)).await.unwrap();
    let mut later = entry(1);
    later.at = at(9_999);
    assert_eq!(ledger.post(&later).await.unwrap(), before(1));
    assert_eq!(ledger.entry(&later.cause).await.unwrap().unwrap().entry, entry(1));
}

/// Whatever differs under one cause, the second entry is refused and moves nothing.
pub async fn other_content_is_a_conflict_and_moves_nothing(ledger: Arc<dyn Ledger>) {
    ledger.post(&entry(1)).await.unwrap();
    let untouched = everything(&ledger).await;
    let changes: [fn(&mut Entry); 7] = [
        |entry| entry.coin = CoinId::new("other").unwrap(),
        |entry| entry.postings.swap(0, 1),
        |entry| entry.postings.truncate(2),
        |entry| entry.postings.clear(),
        |entry| entry.postings.push(income(Account::Operator, 1)),
        |entry| entry.postings[0] = income(Account::Miner(miner(1)), 990),
        |entry| entry.memo.push(' '),
    ];
    for change in changes {
        let mut other = entry(1);
        change(&mut other);
        assert_refused!(ledger.post(&other).await, Conflict);
        assert_eq!(everything(&ledger).await, untouched);
    }
    assert_eq!(ledger.post(&entry(1)).await.unwrap(), before(1));
}

/// Numbers grow from 1 without a gap, refused and repeated entries take none.
pub async fn entries_are_numbered_densely(ledger: Arc<dyn Ledger>) {
    for n in 1..=5 {
        assert_eq!(ledger.post(&entry(n)).await.unwrap(), now(n));
        let mut other = entry(n);
        other.memo.clear();
        assert_refused!(ledger.post(&other).await, Conflict);
        assert_eq!(ledger.post(&entry(n)).await.unwrap(), before(n));
    }
    assert_conserved(&ledger).await;
}

/// What is read is what was posted, for every kind of cause and account.
pub async fn every_cause_and_account_comes_back(ledger: Arc<dyn Ledger>) {
    let payout = || PayoutId::new(&CoinId::new("a-1").unwrap(), u64::MAX);
    let causes = [
        Cause::BlockReward(BlockId::new([0; 32])),
        Cause::BlockReward(BlockId::new([0xff; 32])),
        Cause::ShareCredit(ShareSeq::new(0)),
        Cause::ShareCredit(ShareSeq::new(u64::MAX)),
        Cause::Payout(payout()),
        Cause::PayoutSettled(payout()),
        Cause::PayoutVoided(payout()),
        Cause::Upkeep(payout()),
        Cause::Adjustment(payout().to_string()),
        Cause::Adjustment(format!("payout/{}", payout())),
    ];
    let accounts = [
        Account::Chain,
        Account::Miner(miner(1)),
        Account::Operator,
        Account::Reserve,
        Account::Residue,
        Account::Carry,
        Account::InFlight,
    ];
    for (n, cause) in (1..).zip(causes) {
        let turned = (0..7).map(|i| (i, (i + n) % 7)).filter(|(i, j)| i != j);
        let posting = |(i, j): (usize, usize)| {
            Posting::new(accounts[i].clone(), accounts[j].clone(), Amount::new((n * 10 + i) as u128)).unwrap()
        };
        let mut entry = entry_of(cause.clone(), turned.map(posting).collect());
        entry.at = Timestamp::from_millis(if n % 2 == 0 { 0 } else { u64::MAX });
        entry.memo = String::from(if n % 2 == 0 { "" } else { "{\"a\":[1,2]}" });
        assert_eq!(ledger.post(&entry).await.unwrap(), now(n as u64));
        let logged = LedgerEntry { seq: Seq::new(n as u64), entry };
        assert_eq!(ledger.entry(&cause).await.unwrap().as_ref(), Some(&logged));
        assert_eq!(ledger.entries(None, Seq::new(n as u64 - 1), ALL).await.unwrap(), [logged]);
    }
    assert_conserved(&ledger).await;
}

/// A block worth nothing has its entry, and pays once like any other.
pub async fn an_empty_entry_is_an_entry(ledger: Arc<dyn Ledger>) {
    let empty = entry_of(Cause::BlockReward(block_id(1)), vec![]);
    assert_eq!(ledger.post(&empty).await.unwrap(), now(1));
    assert_eq!(ledger.post(&empty).await.unwrap(), before(1));
    assert_refused!(ledger.post(&entry(1)).await, Conflict);
    assert_eq!(ledger.entry(&empty.cause).await.unwrap().unwrap().entry, empty);
    assert_eq!(everything(&ledger).await.1, vec![]);
}

/// An account that several postings of an entry touch lists that entry once; untouched accounts do not list it.
pub async fn an_entry_is_listed_once_under_an_account(ledger: Arc<dyn Ledger>) {
    let back = Posting::new(Account::Operator, Account::Carry, Amount::new(2)).unwrap();
    let postings = vec![income(Account::Operator, 5), income(Account::Operator, 6), back];
    ledger.post(&adjustment("1", postings)).await.unwrap();
    ledger.post(&adjustment("2", vec![income(Account::Reserve, 1)])).await.unwrap();
    for (account, places) in [
        (Account::Operator, vec![1]),
        (Account::Carry, vec![1]),
        (Account::Reserve, vec![2]),
        (Account::Chain, vec![1, 2]),
        (Account::InFlight, vec![]),
    ] {
        let entries = ledger.entries(Some(&account), NONE, ALL).await.unwrap();
        assert_eq!(entries.iter().map(|entry| entry.seq.get()).collect::<Vec<_>>(), places, "{account}");
    }
    assert_eq!(ledger.balance(&Account::Operator).await.unwrap(), balance(2, 11));
    assert_conserved(&ledger).await;
}

/// Page by page is the whole, for all and for one account.
pub async fn entries_come_in_pages(ledger: Arc<dyn Ledger>) {
    for n in 0..20 {
        ledger.post(&entry(n)).await.unwrap();
    }
    let account = Account::Miner(miner(3));
    for (account, count) in [(None, 20), (Some(&Account::Chain), 20), (Some(&account), 4)] {
        let whole = ledger.entries(account, NONE, ALL).await.unwrap();
        assert_eq!(whole.len(), count);
        assert!(whole.is_sorted_by_key(|entry| entry.seq));
        for limit in [1, 3, 20, 21] {
            let mut joined: Vec<LedgerEntry> = Vec::new();
            loop {
                let after = joined.last().map_or(NONE, |entry| entry.seq);
                let page = ledger.entries(account, after, limit).await.unwrap();
                assert!(page.len() <= limit);
                if page.is_empty() {
                    break;
                }
                joined.extend(page);
            }
            assert_eq!(joined, whole, "{account:?} in pages of {limit}");
        }
    }
}

/// Accounts are ordered by the bytes of their text, page behind page, also from one that is not there.
pub async fn accounts_come_in_the_order_of_their_text(ledger: Arc<dyn Ledger>) {
    let mut accounts: Vec<Account> = hostile_miners().into_iter().map(Account::Miner).collect();
    accounts.extend([
        Account::Operator,
        Account::InFlight,
        Account::Carry,
        Account::Residue,
        Account::Reserve,
    ]);
    let postings = accounts.iter().zip(1..).map(|(account, n)| income(account.clone(), n)).collect();
    ledger.post(&adjustment("all", postings)).await.unwrap();
    accounts.push(Account::Chain);
    accounts.sort_by_key(ToString::to_string);
    let whole = ledger.balances(None, ALL).await.unwrap();
    assert!(whole.iter().map(|(account, _)| account).eq(&accounts));
    for limit in [1, 4, accounts.len(), accounts.len() + 1] {
        let mut joined: Vec<(Account, Balance)> = Vec::new();
        loop {
            let after = joined.last().map(|(account, _)| account);
            let page = ledger.balances(after, limit).await.unwrap();
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            joined.extend(page);
        }
        assert_eq!(joined, whole, "pages of {limit}");
    }
    let absent = Account::Miner(miner(0));
    let behind = ledger.balances(Some(&absent), ALL).await.unwrap();
    let expected = whole.iter().filter(|(account, _)| account.to_string() > absent.to_string());
    assert!(behind.iter().eq(expected));
}

/// Limits of nothing and the greatest numbers are answered.
pub async fn limits_and_places_have_no_edge(ledger: Arc<dyn Ledger>) {
    ledger.post(&entry(1)).await.unwrap();
    assert_eq!(ledger.entries(None, NONE, 0).await.unwrap(), vec![]);
    assert_eq!(ledger.entries(Some(&Account::Chain), NONE, 0).await.unwrap(), vec![]);
    assert_eq!(ledger.balances(None, 0).await.unwrap(), vec![]);
    for after in [1, 2, i64::MAX.cast_unsigned(), u64::MAX] {
        assert_eq!(ledger.entries(None, Seq::new(after), ALL).await.unwrap(), vec![]);
        assert_eq!(ledger.entries(Some(&Account::Chain), Seq::new(after), ALL).await.unwrap(), vec![]);
    }
}

/// All of `u128` can move through an account; one unit more is refused.
pub async fn sums_reach_the_end_of_the_range_and_no_further(ledger: Arc<dyn Ledger>) {
    let most = adjustment("most", vec![income(Account::Operator, u128::MAX)]);
    assert_eq!(ledger.post(&most).await.unwrap(), now(1));
    let untouched = everything(&ledger).await;
    let reserve_to_operator = Posting::new(Account::Reserve, Account::Operator, Amount::new(1)).unwrap();
    for (reference, posting) in [("debit", income(Account::Carry, 1)), ("credit", reserve_to_operator)] {
        let more = adjustment(reference, vec![posting]);
        assert_refused!(ledger.post(&more).await, Corrupt);
        assert_eq!(everything(&ledger).await, untouched);
        assert_eq!(ledger.entry(&more.cause).await.unwrap(), None);
    }
    // What fits still goes through: the refusal was of that entry.
    let back = Posting::new(Account::Operator, Account::Chain, Amount::new(u128::MAX)).unwrap();
    assert_eq!(ledger.post(&adjustment("back", vec![back])).await.unwrap(), now(2));
    assert_eq!(ledger.balance(&Account::Chain).await.unwrap(), balance(u128::MAX, u128::MAX));
    assert_eq!(ledger.post(&most).await.unwrap(), before(1));
}

/// When the last of many postings does not fit, none of them moved, and the cause is still free.
pub async fn a_sum_past_the_range_moves_nothing_at_all(ledger: Arc<dyn Ledger>) {
    ledger.post(&entry(1)).await.unwrap();
    let untouched = everything(&ledger).await;
    let half = u128::MAX / 2 + 1;
    let carry = |amount| Posting::new(Account::Reserve, Account::Carry, Amount::new(amount)).unwrap();
    let past = adjustment("past", vec![income(Account::Operator, 5), carry(half), carry(half)]);
    assert_refused!(ledger.post(&past).await, Corrupt);
    assert_eq!(everything(&ledger).await, untouched);
    let fits = adjustment("past", vec![income(Account::Operator, 5), carry(half)]);
    assert_eq!(ledger.post(&fits).await.unwrap(), now(2));
}

/// One cause from many at once: one posts it, the others are told it was there, all name one number.
pub async fn one_cause_posted_by_many_is_posted_once(ledger: Arc<dyn Ledger>) {
    for n in 1..=3 {
        let writers = (0..16).map(|writer: u64| {
            let ledger = Arc::clone(&ledger);
            let mut entry = entry(n);
            entry.at = at(writer);
            async move { ledger.post(&entry).await.unwrap() }
        });
        let told = at_once(writers).await;
        assert_eq!(told.iter().filter(|posted| **posted == now(n)).count(), 1, "{told:?}");
        assert_eq!(told.iter().filter(|posted| **posted == before(n)).count(), 15, "{told:?}");
    }
    assert_conserved(&ledger).await;
    assert_eq!(ledger.balance(&Account::Operator).await.unwrap(), balance(0, 21));
}

/// Two contents of one cause at once: one is posted, everybody of the other is refused.
pub async fn two_contents_at_once_leave_one(ledger: Arc<dyn Ledger>) {
    let content =
        |n: u64| adjustment("one", vec![income(Account::Operator, if n.is_multiple_of(2) { 5 } else { 8 })]);
    let writers = (0..16).map(|n: u64| {
        let ledger = Arc::clone(&ledger);
        async move { (content(n), ledger.post(&content(n)).await) }
    });
    let told = at_once(writers).await;
    let posted = ledger.entry(&content(0).cause).await.unwrap().unwrap();
    let mut firsts = 0;
    for (content, answer) in told {
        match answer {
            Ok(Posted::Now(seq)) => {
                firsts += 1;
                assert_eq!(LedgerEntry { seq, entry: content }, posted);
            }
            Ok(Posted::Before(seq)) => assert_eq!(LedgerEntry { seq, entry: content }, posted),
            Err(StoreError::Conflict(_)) => assert_ne!(content, posted.entry),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(firsts, 1);
    assert_conserved(&ledger).await;
}

/// Many post at once: numbers are dense, answers agree with the books, and the books balance.
pub async fn debits_equal_credits_among_many_writers(ledger: Arc<dyn Ledger>) {
    let writers = (0..10).map(|writer: u64| {
        let ledger = Arc::clone(&ledger);
        async move {
            let mut told = Vec::new();
            for round in 0..5 {
                // Every second entry is one that another writer posts too.
                let n = if round % 2 == 0 { writer * 100 + round } else { round };
                told.push((n, ledger.post(&entry(n)).await.unwrap()));
            }
            told
        }
    });
    let told: Vec<(u64, Posted)> = at_once(writers).await.into_iter().flatten().collect();
    let entries = ledger.entries(None, NONE, ALL).await.unwrap();
    // 10 × 3 of their own and the numbers 1 and 3.
    assert_eq!(entries.len(), 32);
    for (n, posted) in told {
        let (Posted::Now(seq) | Posted::Before(seq)) = posted;
        assert_eq!(entries[usize::try_from(seq.get()).unwrap() - 1].entry, entry(n));
    }
    assert_conserved(&ledger).await;
}

/// Whoever reads while others write sees entries whole, in order and without a gap.
pub async fn a_reader_beside_writers_sees_whole_entries_only(ledger: Arc<dyn Ledger>) {
    const WRITERS: u64 = 4;
    const ROUNDS: u64 = 10;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    ledger.post(&entry(writer * 100 + round)).await.unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let mut seen = 0;
    while seen < WRITERS * ROUNDS {
        for logged in ledger.entries(None, Seq::new(seen), 7).await.unwrap() {
            seen += 1;
            assert_eq!(logged.seq.get(), seen, "a gap");
            assert_eq!(logged.entry.postings.len(), 3);
            assert_eq!(ledger.entry(&logged.entry.cause).await.unwrap(), Some(logged));
        }
        // One entry moves 1000 units and more out of the chain, and exactly 7 to the operator, together.
        let balances = ledger.balances(None, ALL).await.unwrap();
        let debits = Amount::checked_sum(balances.iter().map(|(_, balance)| balance.debits));
        let credits = Amount::checked_sum(balances.iter().map(|(_, balance)| balance.credits));
        assert_eq!(debits, credits, "half an entry");
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_conserved(&ledger).await;
}

/// Accounts that look alike to a careless store are different accounts.
pub async fn hostile_names_stay_apart(ledger: Arc<dyn Ledger>) {
    let miners = hostile_miners();
    for (n, miner) in (1..).zip(&miners) {
        let entry = adjustment(miner.as_str(), vec![income(Account::Miner(miner.clone()), n)]);
        assert_eq!(ledger.post(&entry).await.unwrap(), now(u64::try_from(n).unwrap()));
    }
    for (n, miner) in (1..).zip(&miners) {
        let account = Account::Miner(miner.clone());
        assert_eq!(ledger.balance(&account).await.unwrap(), balance(0, n), "{miner}");
        let entries = ledger.entries(Some(&account), NONE, ALL).await.unwrap();
        assert_eq!(
            entries.iter().map(|entry| u128::from(entry.seq.get())).collect::<Vec<_>>(),
            [n],
            "{miner}"
        );
    }
    assert_conserved(&ledger).await;
}

/// References and memos are texts of people and programs: each comes back, and each reference is a cause of its own.
pub async fn hostile_texts_come_back(ledger: Arc<dyn Ledger>) {
    let texts = hostile_texts();
    for (n, text) in (1..).zip(&texts) {
        let mut entry = adjustment(text, vec![income(Account::Operator, 1)]);
        entry.memo.clone_from(text);
        assert_eq!(ledger.post(&entry).await.unwrap(), now(n), "{text:?}");
        assert_eq!(ledger.post(&entry).await.unwrap(), before(n), "{text:?}");
        assert_eq!(ledger.entry(&entry.cause).await.unwrap(), Some(LedgerEntry { seq: Seq::new(n), entry }));
    }
}
