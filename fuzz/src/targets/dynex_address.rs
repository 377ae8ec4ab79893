//! Dynex's addresses: the one text of a stranger that money is later sent to.
//!
//! The input is read twice: as the text of an address or payee, and as the keys of one that is to be written.

use super::text;
use pool_coins::dynex::address::{Address, Payee};

/// An address has one text and two keys that are points; a payee's text is read as the same payee.
pub fn target(data: &[u8]) {
    let text = text(data);
    match Address::parse(&text) {
        Ok(address) => {
            check(&address);
            assert_eq!(address.to_string(), text.trim(), "two texts of one address");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(payee) = Payee::parse(&text) {
        assert_eq!(Payee::parse(&payee.to_string()), Ok(payee));
        check(&payee.address);
    }
    if let Some((keys, _)) = data.split_first_chunk::<64>() {
        let keys = keys.as_chunks::<32>().0;
        if let Ok(address) = Address::of_keys(keys[0], keys[1]) {
            assert_eq!((address.spend(), address.view()), (&keys[0], &keys[1]));
            check(&address);
        }
    }
}

fn check(address: &Address) {
    let canonical = address.to_string();
    assert_eq!(canonical.len(), 97);
    assert!(canonical.starts_with("Xw"), "{canonical}");
    assert_eq!(Address::parse(&canonical).as_ref(), Ok(address));
    assert_eq!(Address::of_keys(*address.spend(), *address.view()).as_ref(), Ok(address));
}
