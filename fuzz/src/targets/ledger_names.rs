//! Accounts and causes by their names, as ledgers keep them and people type them.
//!
//! A cause is the key that makes money move once. Two texts may mean one cause; one cause must have one text.

use super::{same_again, text};
use pool_core::ledger::{Account, Cause, Entry, Posting};

/// A name that is read has one canonical form, which is read as the same.
pub fn target(data: &[u8]) {
    let text = text(data);
    if let Ok(account) = text.parse::<Account>() {
        assert_eq!(account.to_string(), text, "an account has one name");
        same_again(&account);
    }
    if let Ok(cause) = text.parse::<Cause>() {
        let canonical = cause.to_string();
        assert_eq!(canonical.parse().as_ref(), Ok(&cause));
        assert!(canonical.len() <= text.len(), "a canonical name is no longer than what it was read from");
        same_again(&cause);
    }
    if let Ok(posting) = serde_json::from_str::<Posting>(&text) {
        assert!(!posting.amount().is_zero() && posting.debit() != posting.credit());
        same_again(&posting);
    }
    if let Ok(entry) = serde_json::from_str::<Entry>(&text) {
        same_again(&entry);
    }
}
