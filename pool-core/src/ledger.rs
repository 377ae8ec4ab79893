//! Money moves for a cause, in pairs.
//!
//! A [`Posting`] has one debit, one credit and a positive amount: conservation is a shape, not a check. An
//! [`Entry`] is a list of postings for one [`Cause`], and the cause is the idempotency key: posting it again with
//! the same content changes nothing, with other content it is a conflict that stops the pool.

use crate::id::{BlockId, CoinId, MinerId, PayoutId, Seq, ShareSeq};
use crate::time::Timestamp;
use crate::units::Amount;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// Where money can be. Every unit is always in exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// The chain: rewards come out of it, payouts and network fees go into it. Its balance is what the pool took in
    /// less what it sent, below zero when written as credit less debit.
    Chain,
    /// What the pool owes a miner.
    Miner(MinerId),
    /// The operator's income: fees, and whatever a scheme leaves him.
    Operator,
    /// The operator's reserve that carries the luck of PPS and FPPS. May go below zero by the configured limit.
    Reserve,
    /// Fractions of units that are owed to accounts and not credited yet.
    Residue,
    /// Part of a reward that waits for the next block of the scheme.
    Carry,
    /// Payouts on their way.
    InFlight,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain => f.write_str("chain"),
            Self::Miner(miner) => write!(f, "miner/{miner}"),
            Self::Operator => f.write_str("operator"),
            Self::Reserve => f.write_str("reserve"),
            Self::Residue => f.write_str("residue"),
            Self::Carry => f.write_str("carry"),
            Self::InFlight => f.write_str("in-flight"),
        }
    }
}

/// A text that names no account or no cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of {0}")]
pub struct BadLedgerName(&'static str);

impl FromStr for Account {
    type Err = BadLedgerName;

    fn from_str(text: &str) -> Result<Self, BadLedgerName> {
        let bad = BadLedgerName("an account");
        Ok(match text {
            "chain" => Self::Chain,
            "operator" => Self::Operator,
            "reserve" => Self::Reserve,
            "residue" => Self::Residue,
            "carry" => Self::Carry,
            "in-flight" => Self::InFlight,
            _ => Self::Miner(MinerId::new(text.strip_prefix("miner/").ok_or(bad)?).map_err(|_| bad)?),
        })
    }
}

impl Serialize for Account {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Why money moves. The idempotency key of an [`Entry`]: a cause pays once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A block matured and is split.
    BlockReward(BlockId),
    /// Shares up to and with this one are paid by a scheme that pays shares (PPS, FPPS).
    ShareCredit(ShareSeq),
    /// A payout was prepared: balances move to [`Account::InFlight`].
    Payout(PayoutId),
    /// The payout is on the chain for good.
    PayoutSettled(PayoutId),
    /// The payout can never be on the chain any more: balances move back.
    PayoutVoided(PayoutId),
    /// The pool's own transaction (a sweep) paid a network fee.
    Upkeep(PayoutId),
    /// A person's correction, by a reference of his.
    Adjustment(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlockReward(id) => write!(f, "block-reward/{id}"),
            Self::ShareCredit(upto) => write!(f, "share-credit/{upto}"),
            Self::Payout(id) => write!(f, "payout/{id}"),
            Self::PayoutSettled(id) => write!(f, "payout-settled/{id}"),
            Self::PayoutVoided(id) => write!(f, "payout-voided/{id}"),
            Self::Upkeep(id) => write!(f, "upkeep/{id}"),
            Self::Adjustment(reference) => write!(f, "adjustment/{reference}"),
        }
    }
}

impl FromStr for Cause {
    type Err = BadLedgerName;

    fn from_str(text: &str) -> Result<Self, BadLedgerName> {
        let bad = BadLedgerName("a cause");
        let (kind, key) = text.split_once('/').ok_or(bad)?;
        let payout = || key.parse::<PayoutId>().map_err(|_| bad);
        Ok(match kind {
            "block-reward" => Self::BlockReward(key.parse().map_err(|_| bad)?),
            "share-credit" => Self::ShareCredit(ShareSeq::new(key.parse().map_err(|_| bad)?)),
            "payout" => Self::Payout(payout()?),
            "payout-settled" => Self::PayoutSettled(payout()?),
            "payout-voided" => Self::PayoutVoided(payout()?),
            "upkeep" => Self::Upkeep(payout()?),
            "adjustment" => Self::Adjustment(key.into()),
            _ => return Err(bad),
        })
    }
}

impl Serialize for Cause {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cause {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One movement: `amount` leaves `debit` and arrives at `credit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Posting {
    debit: Account,
    credit: Account,
    amount: Amount,
}

/// A posting that would move nothing, or to where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPosting {
    /// The amount is zero.
    #[error("a posting moves at least one unit")]
    Zero,
    /// Both sides are one account.
    #[error("a posting has two different accounts")]
    SameAccount,
}

impl Posting {
    /// # Errors
    /// [`BadPosting`] for a zero amount or one account on both sides.
    pub fn new(debit: Account, credit: Account, amount: Amount) -> Result<Self, BadPosting> {
        if amount.is_zero() {
            Err(BadPosting::Zero)
        } else if debit == credit {
            Err(BadPosting::SameAccount)
        } else {
            Ok(Self { debit, credit, amount })
        }
    }

    /// Where the money leaves.
    #[must_use]
    pub const fn debit(&self) -> &Account {
        &self.debit
    }

    /// Where the money arrives.
    #[must_use]
    pub const fn credit(&self) -> &Account {
        &self.credit
    }

    /// How much.
    #[must_use]
    pub const fn amount(&self) -> Amount {
        self.amount
    }
}

impl<'de> Deserialize<'de> for Posting {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Parts {
            debit: Account,
            credit: Account,
            amount: Amount,
        }
        let Parts { debit, credit, amount } = Parts::deserialize(deserializer)?;
        Self::new(debit, credit, amount).map_err(serde::de::Error::custom)
    }
}

/// All the postings of one cause. One coin; written whole or not at all. May be empty (a block worth nothing).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The coin all amounts are of.
    pub coin: CoinId,
    /// Why.
    pub cause: Cause,
    /// When it was first written. Not part of the content: a retry at another time is the same entry.
    pub at: Timestamp,
    /// What moves.
    pub postings: Vec<Posting>,
    /// What an auditor needs to compute the postings again, as the scheme wrote it (JSON). Part of the content.
    pub memo: String,
}

impl Entry {
    /// True when two entries move the same money for the same cause.
    #[must_use]
    pub fn same_content(&self, other: &Self) -> bool {
        self.coin == other.coin
            && self.cause == other.cause
            && self.postings == other.postings
            && self.memo == other.memo
    }
}

/// An entry with its place in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Its place.
    pub seq: Seq,
    /// The entry.
    pub entry: Entry,
}

/// What posting did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// Written now.
    Now(Seq),
    /// The same entry was there already; nothing changed.
    Before(Seq),
}

/// All that ever moved through an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// The sum that left it.
    pub debits: Amount,
    /// The sum that arrived.
    pub credits: Amount,
}

impl Balance {
    /// Credits less debits, zero at least: what a miner is owed.
    #[must_use]
    pub const fn owed(self) -> Amount {
        self.credits.saturating_sub(self.debits)
    }

    /// The balance after `posting`, as seen from `account`; `None` when a sum passes `u128::MAX`.
    #[must_use]
    pub fn after(self, account: &Account, posting: &Posting) -> Option<Self> {
        let mut next = self;
        if posting.debit() == account {
            next.debits = next.debits.checked_add(posting.amount())?;
        }
        if posting.credit() == account {
            next.credits = next.credits.checked_add(posting.amount())?;
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_posting_moves_something_somewhere() {
        assert_eq!(Posting::new(Account::Chain, Account::Operator, Amount::ZERO), Err(BadPosting::Zero));
        assert_eq!(
            Posting::new(Account::Chain, Account::Chain, Amount::new(1)),
            Err(BadPosting::SameAccount)
        );
    }

    #[test]
    fn names_round_trip() {
        let coin = CoinId::new("kaspa").unwrap();
        for account in [
            Account::Chain,
            Account::Miner(MinerId::new("kaspa:qq").unwrap()),
            Account::Operator,
            Account::Reserve,
            Account::Residue,
            Account::Carry,
            Account::InFlight,
        ] {
            assert_eq!(account.to_string().parse(), Ok(account));
        }
        for cause in [
            Cause::BlockReward(BlockId::new([3; 32])),
            Cause::ShareCredit(ShareSeq::new(9)),
            Cause::Payout(PayoutId::new(&coin, 1)),
            Cause::PayoutSettled(PayoutId::new(&coin, 1)),
            Cause::PayoutVoided(PayoutId::new(&coin, 1)),
            Cause::Upkeep(PayoutId::new(&coin, 1)),
            Cause::Adjustment("ticket/12".into()),
        ] {
            assert_eq!(cause.to_string().parse(), Ok(cause));
        }
    }
}
