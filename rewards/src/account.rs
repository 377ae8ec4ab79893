//! Small dense numbers for accounts, so that an engine's tables are arrays.
//!
//! A number says nothing: it depends on who came first. Whatever leaves this crate is ordered by the account's id.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use pool_core::id::MinerId;

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

/// Which account has which number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    numbers: BTreeMap<MinerId, AccountIx>,
    names: Vec<MinerId>,
}

impl Accounts {
    /// The account's number, a new one at its first appearance.
    ///
    /// # Errors
    /// [`TooManyAccounts`].
    pub fn intern(&mut self, miner: &MinerId) -> Result<AccountIx, TooManyAccounts> {
        if let Some(known) = self.numbers.get(miner) {
            return Ok(*known);
        }
        let number = AccountIx(u32::try_from(self.names.len()).map_err(|_| TooManyAccounts)?);
        self.names.push(miner.clone());
        self.numbers.insert(miner.clone(), number);
        Ok(number)
    }

    /// The number of a known account.
    #[must_use]
    pub fn find(&self, miner: &MinerId) -> Option<AccountIx> {
        self.numbers.get(miner).copied()
    }

    /// The account behind a number of this table.
    #[must_use]
    pub fn name(&self, account: AccountIx) -> Option<&MinerId> {
        self.names.get(account.index())
    }

    /// How many accounts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True before the first account.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// All accounts in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &MinerId> {
        self.names.iter()
    }
}
