//! Small dense numbers for accounts, so that an engine's tables are arrays.
//!
//! A number says nothing: it depends on who came first. Whatever leaves this crate is ordered by the account's id.
//! An account has one number per fee it ever mined under, because a fee is recorded with the share at acceptance: a
//! later change of fees, or the end of a grace period, does not touch what was earned before.

use crate::codec::{BadSnapshot, Reader, Writer};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use pool_core::id::MinerId;
use pool_core::units::BasisPoints;

/// An account's number inside one engine. Dense from 0 in the order of first appearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountIx(u32);

impl AccountIx {
    /// From its number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Its place in a table.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// More than `2^32 - 1` accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more accounts than 2^32 - 1")]
pub struct TooManyAccounts;

/// Whose work it is, and the fee it was accepted under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Who is paid.
    pub miner: MinerId,
    /// The fee taken from his part after the split; zero where fees come off the block's value.
    pub fee: BasisPoints,
}

/// Which account has which number.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    numbers: BTreeMap<Holder, AccountIx>,
    holders: Vec<Holder>,
    /// All numbers in the order of their holders, as of when it was last asked for.
    sorted: Vec<AccountIx>,
}

impl Accounts {
    /// The account's number, a new one at its first appearance.
    ///
    /// # Errors
    /// [`TooManyAccounts`].
    pub fn intern(&mut self, holder: Holder) -> Result<AccountIx, TooManyAccounts> {
        if let Some(known) = self.numbers.get(&holder) {
            return Ok(*known);
        }
        let number = AccountIx(u32::try_from(self.holders.len()).map_err(|_| TooManyAccounts)?);
        self.holders.push(holder.clone());
        self.numbers.insert(holder, number);
        Ok(number)
    }

    /// Whose number of this table it is.
    #[must_use]
    pub fn holder(&self, account: AccountIx) -> Option<&Holder> {
        self.holders.get(account.index())
    }

    /// True when this miner has a number, under whatever fee.
    #[must_use]
    pub fn knows(&self, miner: &MinerId) -> bool {
        let least = Holder { miner: miner.clone(), fee: BasisPoints::ZERO };
        self.numbers.range(least..).next().is_some_and(|(holder, _)| holder.miner == *miner)
    }

    /// All holders in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Holder> {
        self.holders.iter()
    }

    /// How many numbers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.holders.len()
    }

    /// True before the first account.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.holders.is_empty()
    }

    /// A list by ascending account number, in the order of holders instead. Compares names only where accounts are
    /// new since the last call, or where the list is short.
    pub fn in_order<T: Copy>(&mut self, list: &[(AccountIx, T)]) -> Vec<(AccountIx, T)> {
        if list.len() * 8 > self.holders.len() {
            if self.sorted.len() < self.holders.len() {
                self.sorted = self.numbers.values().copied().collect();
            }
            if list.len() == self.holders.len() {
                // Everybody: each stands in the list at the place of its number.
                return self.sorted.iter().filter_map(|account| list.get(account.index()).copied()).collect();
            }
            // Where each number stands in the list; places fit, as numbers do.
            let mut places = alloc::vec![u32::MAX; self.holders.len()];
            for (place, (account, _)) in (0u32..).zip(list) {
                if let Some(slot) = places.get_mut(account.index()) {
                    *slot = place;
                }
            }
            let pick = |account: &AccountIx| list.get(places[account.index()] as usize).copied();
            let mut ordered = Vec::with_capacity(list.len());
            ordered.extend(self.sorted.iter().filter_map(pick));
            return ordered;
        }
        let mut ordered: Vec<(AccountIx, T)> =
            list.iter().copied().filter(|(account, _)| self.holder(*account).is_some()).collect();
        ordered.sort_unstable_by(|left, right| self.holder(left.0).cmp(&self.holder(right.0)));
        ordered
    }

    /// Adds values up by miner, ascending ids: the order in which everything is written down.
    pub fn by_miner<T, V: Default>(
        &self,
        list: impl IntoIterator<Item = (AccountIx, T)>,
        mut add: impl FnMut(&mut V, T),
    ) -> BTreeMap<MinerId, V> {
        let mut sums = BTreeMap::new();
        for (account, value) in list {
            if let Some(holder) = self.holder(account) {
                add(sums.entry(holder.miner.clone()).or_default(), value);
            }
        }
        sums
    }

    pub(crate) fn save(&self, out: &mut Writer) {
        out.length(self.holders.len());
        for holder in &self.holders {
            out.bytes(holder.miner.as_str().as_bytes());
            out.u32(u32::from(holder.fee.get()));
        }
    }

    pub(crate) fn load(from: &mut Reader<'_>) -> Result<Self, BadSnapshot> {
        let holders = from.list(|from| {
            let miner = MinerId::new(&from.text()?).map_err(|_| BadSnapshot("an account is none"))?;
            let fee = u16::try_from(from.u32()?).ok().and_then(|points| BasisPoints::new(points).ok());
            Ok(Holder { miner, fee: fee.ok_or(BadSnapshot("a fee is none"))? })
        })?;
        let mut accounts = Self::default();
        for holder in holders {
            accounts.intern(holder).map_err(|_| BadSnapshot("too many accounts"))?;
        }
        Ok(accounts)
    }
}
