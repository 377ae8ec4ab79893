//! From balances to transactions that happen once: prepare, sign, store, broadcast, settle.
//!
//! Each step is on disk before the next begins, and each can be done again:
//!
//! ```text
//! plan ─▶ prepare ─▶ post payout ─▶ sign ─▶ attach ─▶ broadcast ─▶ fate ─▶ conclude ─▶ post settled | voided
//!         book       ledger         no      book      same bytes   chain   book        ledger
//!                                   effect            every time
//! ```
//!
//! A payout's money leaves the miners' balances before anything is signed, so nothing can be planned twice. What was
//! signed is stored before it is sent and never replaced, so whatever the world does with it, it is one transaction;
//! an unknown outcome is the same bytes again. Only the chain's final word ends a payout: it settled, or a final
//! transaction has spent one of its coins and it is void, and then the money returns to the miners.
//!
//! A [`Payer`] keeps nothing that is not in the stores. A new one finishes every open payout before it plans.

use crate::plan::{Due, PlanRules, plan};
use pool_core::coin::{Wallet, WalletError};
use pool_core::id::{CoinId, PayoutId, TxId};
use pool_core::ledger::{Account, Cause, Entry, LedgerEntry, Posting};
use pool_core::payout::{BookedPayout, PayoutBatch, SignedTx, TxFate};
use pool_core::ports::{Directory, Ledger, PayoutBook, StoreError};
use pool_core::time::{Micros, Timestamp};
use pool_core::units::Amount;

/// Accounts and payouts read at once.
const ROWS_PER_READ: usize = 512;

/// How a pool pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayRules {
    /// The coin.
    pub coin: CoinId,
    /// Thresholds and what a transaction can carry.
    pub plan: PlanRules,
    /// Time between two plans.
    pub every: Micros,
    /// The most payouts on their way at once.
    pub open_max: usize,
}

/// What paying reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct PayStores<'a> {
    /// Money.
    pub ledger: &'a dyn Ledger,
    /// Payouts.
    pub payouts: &'a dyn PayoutBook,
    /// Who chose which threshold.
    pub directory: &'a dyn Directory,
}

/// What went wrong in paying. Trouble with single payouts is in [`PayProgress`], not here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayError {
    /// The stores behind it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A batch sums past `2^128 - 1`.
    #[error("payout {0} sums past 2^128")]
    Overflow(PayoutId),
    /// A recorded upkeep transaction cannot be read.
    #[error("ledger entry {cause} has a memo that is none: {detail}")]
    BadMemo {
        /// The entry.
        cause: Cause,
        /// Why.
        detail: String,
    },
}

impl PayError {
    /// True when the same step may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

/// Something a step could not do, for the operator's eyes. The next step tries again.
#[derive(Debug)]
pub struct Trouble {
    /// With what.
    pub payout: PayoutId,
    /// Why.
    pub error: WalletError,
}

/// What a step did.
#[derive(Debug, Default)]
pub struct PayProgress {
    /// Planned and prepared.
    pub prepared: Vec<PayoutId>,
    /// Signed, stored, and handed to the network for the first time in this step.
    pub sent: Vec<(PayoutId, TxId)>,
    /// Final on the chain.
    pub settled: Vec<(PayoutId, Amount)>,
    /// Can never be on the chain any more; the money is the miners' again.
    pub voided: Vec<(PayoutId, String)>,
    /// Still open.
    pub open: usize,
    /// What did not work.
    pub troubles: Vec<Trouble>,
}

/// What moves when a payout is prepared: balances into flight, by ascending address.
#[must_use]
pub fn taken_postings(batch: &PayoutBatch) -> Vec<Posting> {
    let item = |miner: &pool_core::id::MinerId, amount| {
        Posting::new(Account::Miner(miner.clone()), Account::InFlight, amount)
    };
    batch.items.iter().filter_map(|paid| item(&paid.miner, paid.amount).ok()).collect()
}

/// What moves when a payout settles: the total out of flight into the chain, and the network fee from the operator.
#[must_use]
pub fn settled_postings(batch: &PayoutBatch, fee: Amount) -> Vec<Posting> {
    let total = batch.total().unwrap_or(Amount::ZERO);
    [(Account::InFlight, total), (Account::Operator, fee)]
        .into_iter()
        .filter_map(|(debit, amount)| Posting::new(debit, Account::Chain, amount).ok())
        .collect()
}

/// What moves when a payout is void: everything back, by ascending address.
#[must_use]
pub fn voided_postings(batch: &PayoutBatch) -> Vec<Posting> {
    let item = |miner: &pool_core::id::MinerId, amount| {
        Posting::new(Account::InFlight, Account::Miner(miner.clone()), amount)
    };
    batch.items.iter().filter_map(|paid| item(&paid.miner, paid.amount).ok()).collect()
}

/// An upkeep transaction on its way.
#[derive(Clone, Debug)]
struct Upkeep {
    id: PayoutId,
    tx: SignedTx,
}

/// Takes payouts through their lives, step by step.
#[derive(Debug)]
pub struct Payer {
    rules: PayRules,
    planned: Option<Timestamp>,
    /// Payouts below this number have all their entries.
    finished_below: u64,
    /// False until the stores were searched for what an earlier process left half done.
    resumed: bool,
    upkeep: Option<Upkeep>,
    upkeeps: u64,
}

impl Payer {
    /// A payer that has looked at nothing yet.
    #[must_use]
    pub const fn new(rules: PayRules) -> Self {
        Self { rules, planned: None, finished_below: 0, resumed: false, upkeep: None, upkeeps: 0 }
    }

    /// How it pays.
    #[must_use]
    pub const fn rules(&self) -> &PayRules {
        &self.rules
    }

    /// Finishes what is open, then plans if it is time. May be dropped at any point and called again.
    ///
    /// # Errors
    /// [`PayError`]; after a transient one call again, after any other stop paying.
    pub async fn step(
        &mut self,
        now: Timestamp,
        stores: PayStores<'_>,
        wallet: &dyn Wallet,
    ) -> Result<PayProgress, PayError> {
        let mut progress = PayProgress::default();
        if !self.resumed {
            self.resume(now, stores).await?;
            self.resumed = true;
        }
        // Whatever fails from here on is looked for again by the next step.
        self.resumed = false;
        let open = stores.payouts.open().await?;
        let mut in_flight: Vec<SignedTx> = open.iter().filter_map(|payout| payout.signed.clone()).collect();
        in_flight.extend(self.upkeep.iter().map(|upkeep| upkeep.tx.clone()));
        let mut still_open = 0;
        for payout in open {
            if !self.advance(now, stores, wallet, payout, &mut in_flight, &mut progress).await? {
                still_open += 1;
            }
        }
        self.keep_up(now, stores, wallet, &mut in_flight, &mut progress).await?;
        let due = self.planned.is_none_or(|last| now.since(last) >= self.rules.every);
        if due && still_open < self.rules.open_max {
            let batches = plan(&self.due(stores).await?, &self.rules.plan);
            let mut number =
                stores.payouts.list(None, 1).await?.first().map_or(0, |last| last.batch.id.number());
            for items in batches.into_iter().take(self.rules.open_max - still_open) {
                number += 1;
                let batch = PayoutBatch {
                    id: PayoutId::new(&self.rules.coin, number),
                    coin: self.rules.coin.clone(),
                    at: now,
                    items,
                };
                batch.total().ok_or_else(|| PayError::Overflow(batch.id.clone()))?;
                stores.payouts.prepare(&batch).await?;
                progress.prepared.push(batch.id.clone());
                let payout = BookedPayout { batch, signed: None, conclusion: None };
                if !self.advance(now, stores, wallet, payout, &mut in_flight, &mut progress).await? {
                    still_open += 1;
                }
            }
            self.planned = Some(now);
        }
        progress.open = still_open;
        self.resumed = true;
        Ok(progress)
    }

    /// Posts what an earlier process, or an earlier step that failed, concluded and did not post.
    async fn resume(&mut self, now: Timestamp, stores: PayStores<'_>) -> Result<(), PayError> {
        let (mut before, mut lowest_open, mut next) = (None, None, 0);
        'pages: loop {
            let page = stores.payouts.list(before, ROWS_PER_READ).await?;
            for payout in &page {
                let number = payout.batch.id.number();
                next = next.max(number + 1);
                before = Some(number);
                if number < self.finished_below {
                    break 'pages;
                }
                match &payout.conclusion {
                    None => lowest_open = Some(number),
                    Some(fate) => self.post_end(now, stores, &payout.batch, fate).await?,
                }
            }
            if page.len() < ROWS_PER_READ {
                break;
            }
        }
        self.finished_below = lowest_open.unwrap_or(next).max(self.finished_below);
        self.find_upkeep(stores).await
    }

    async fn post(
        &self,
        now: Timestamp,
        stores: PayStores<'_>,
        cause: Cause,
        postings: Vec<Posting>,
        memo: String,
    ) -> Result<(), PayError> {
        let entry = Entry { coin: self.rules.coin.clone(), cause, at: now, postings, memo };
        stores.ledger.post(&entry).await?;
        Ok(())
    }

    async fn post_taken(
        &self,
        now: Timestamp,
        stores: PayStores<'_>,
        batch: &PayoutBatch,
    ) -> Result<(), PayError> {
        self.post(now, stores, Cause::Payout(batch.id.clone()), taken_postings(batch), String::new()).await
    }

    async fn post_end(
        &self,
        now: Timestamp,
        stores: PayStores<'_>,
        batch: &PayoutBatch,
        fate: &TxFate,
    ) -> Result<(), PayError> {
        let (cause, postings) = match fate {
            TxFate::Settled { fee } => {
                (Cause::PayoutSettled(batch.id.clone()), settled_postings(batch, *fee))
            }
            TxFate::Void { .. } => (Cause::PayoutVoided(batch.id.clone()), voided_postings(batch)),
            TxFate::Unknown | TxFate::Pending { .. } => return Ok(()),
        };
        self.post_taken(now, stores, batch).await?;
        self.post(now, stores, cause, postings, String::new()).await
    }

    /// Takes one payout as far as it goes. True when it came to its end.
    async fn advance(
        &self,
        now: Timestamp,
        stores: PayStores<'_>,
        wallet: &dyn Wallet,
        payout: BookedPayout,
        in_flight: &mut Vec<SignedTx>,
        progress: &mut PayProgress,
    ) -> Result<bool, PayError> {
        let BookedPayout { batch, signed, .. } = payout;
        self.post_taken(now, stores, &batch).await?;
        let trouble = |error, progress: &mut PayProgress| {
            progress.troubles.push(Trouble { payout: batch.id.clone(), error });
        };
        let (tx, fresh) = match signed {
            Some(tx) => (tx, false),
            None => match wallet.sign(&batch, in_flight).await {
                Ok(tx) => {
                    stores.payouts.attach(&batch.id, &tx).await?;
                    in_flight.push(tx.clone());
                    (tx, true)
                }
                Err(WalletError::Impossible(detail)) => {
                    // Nothing was signed, so nothing can ever be on the chain.
                    let fate = TxFate::Void { detail };
                    return self.end(now, stores, &batch, fate, progress).await;
                }
                Err(error) => {
                    trouble(error, progress);
                    return Ok(false);
                }
            },
        };
        if fresh {
            match wallet.broadcast(&tx).await {
                Ok(()) => progress.sent.push((batch.id.clone(), tx.id)),
                Err(error) => trouble(error, progress),
            }
            return Ok(false);
        }
        match wallet.fate(&tx).await {
            Ok(fate @ (TxFate::Settled { .. } | TxFate::Void { .. })) => {
                return self.end(now, stores, &batch, fate, progress).await;
            }
            Ok(TxFate::Pending { .. }) => {}
            Ok(TxFate::Unknown) => match wallet.broadcast(&tx).await {
                Ok(()) => progress.sent.push((batch.id.clone(), tx.id)),
                Err(error) => trouble(error, progress),
            },
            Err(error) => trouble(error, progress),
        }
        Ok(false)
    }

    /// The chain's final word first goes into the book, which keeps it, and then to the ledger.
    async fn end(
        &self,
        now: Timestamp,
        stores: PayStores<'_>,
        batch: &PayoutBatch,
        fate: TxFate,
        progress: &mut PayProgress,
    ) -> Result<bool, PayError> {
        stores.payouts.conclude(&batch.id, &fate).await?;
        self.post_end(now, stores, batch, &fate).await?;
        match fate {
            TxFate::Void { detail } => progress.voided.push((batch.id.clone(), detail)),
            _ => progress.settled.push((batch.id.clone(), batch.total().unwrap_or(Amount::ZERO))),
        }
        Ok(true)
    }

    /// Every miner with a balance, and what he chose.
    async fn due(&self, stores: PayStores<'_>) -> Result<Vec<Due>, PayError> {
        let mut due = Vec::new();
        let mut last: Option<Account> = None;
        loop {
            let page = stores.ledger.balances(last.as_ref(), ROWS_PER_READ).await?;
            let full = page.len() == ROWS_PER_READ;
            for (account, balance) in page {
                if let Account::Miner(miner) = &account
                    && !balance.owed().is_zero()
                {
                    let chosen = stores.directory.miner(miner).await?.and_then(|known| known.threshold);
                    due.push(Due { miner: miner.clone(), owed: balance.owed(), threshold: chosen });
                }
                last = Some(account);
            }
            if !full {
                return Ok(due);
            }
        }
    }

    /// The last recorded upkeep transaction, should it still be on its way. They are numbered densely from 1.
    async fn find_upkeep(&mut self, stores: PayStores<'_>) -> Result<(), PayError> {
        self.upkeep = None;
        loop {
            let id = PayoutId::new(&self.rules.coin, self.upkeeps + 1);
            let cause = Cause::Upkeep(id);
            if stores.ledger.entry(&cause).await?.is_none() {
                break;
            }
            self.upkeeps += 1;
        }
        if self.upkeeps == 0 {
            return Ok(());
        }
        let id = PayoutId::new(&self.rules.coin, self.upkeeps);
        let ended = |end: &str| Cause::Adjustment(format!("upkeep-{end}/{id}"));
        for end in ["settled", "voided"] {
            if stores.ledger.entry(&ended(end)).await?.is_some() {
                return Ok(());
            }
        }
        let cause = Cause::Upkeep(id.clone());
        if let Some(LedgerEntry { entry, .. }) = stores.ledger.entry(&cause).await? {
            let tx = serde_json::from_str(&entry.memo)
                .map_err(|error| PayError::BadMemo { cause, detail: error.to_string() })?;
            self.upkeep = Some(Upkeep { id, tx });
        }
        Ok(())
    }

    /// Keeps the wallet usable. The transaction is recorded in the ledger, with its fee and its bytes, before it is
    /// sent; one is on its way at a time.
    async fn keep_up(
        &mut self,
        now: Timestamp,
        stores: PayStores<'_>,
        wallet: &dyn Wallet,
        in_flight: &mut Vec<SignedTx>,
        progress: &mut PayProgress,
    ) -> Result<(), PayError> {
        let trouble = |payout: &PayoutId, error, progress: &mut PayProgress| {
            progress.troubles.push(Trouble { payout: payout.clone(), error });
        };
        let Some(Upkeep { id, tx }) = self.upkeep.clone() else {
            let id = PayoutId::new(&self.rules.coin, self.upkeeps + 1);
            match wallet.upkeep(in_flight).await {
                Ok(None) => {}
                Ok(Some(tx)) => {
                    let memo = serde_json::to_string(&tx).expect("a transaction has text keys only");
                    let fee = Posting::new(Account::Operator, Account::Chain, tx.fee).ok();
                    self.post(now, stores, Cause::Upkeep(id.clone()), fee.into_iter().collect(), memo)
                        .await?;
                    self.upkeeps += 1;
                    self.upkeep = Some(Upkeep { id: id.clone(), tx: tx.clone() });
                    in_flight.push(tx.clone());
                    if let Err(error) = wallet.broadcast(&tx).await {
                        trouble(&id, error, progress);
                    }
                }
                Err(error) => trouble(&id, error, progress),
            }
            return Ok(());
        };
        let (end, postings) = match wallet.fate(&tx).await {
            Ok(TxFate::Settled { .. }) => ("settled", Vec::new()),
            Ok(TxFate::Void { .. }) => {
                // The fee was never paid.
                let back = Posting::new(Account::Chain, Account::Operator, tx.fee).ok();
                ("voided", back.into_iter().collect())
            }
            Ok(TxFate::Pending { .. }) => return Ok(()),
            Ok(TxFate::Unknown) => {
                if let Err(error) = wallet.broadcast(&tx).await {
                    trouble(&id, error, progress);
                }
                return Ok(());
            }
            Err(error) => {
                trouble(&id, error, progress);
                return Ok(());
            }
        };
        let cause = Cause::Adjustment(format!("upkeep-{end}/{id}"));
        self.post(now, stores, cause, postings, tx.id.to_string()).await?;
        self.upkeep = None;
        Ok(())
    }
}
