//! Dynex's transactions and the fields of their extras.

use pool_coins::dynex::address::Address;
use pool_coins::dynex::tx::{Field, Transaction, fields, pays};

const SOMEBODY: &str =
    "XwoViygnRn7QaFtbc8XkwigF5oXhRZ41uinUK8XviwvAe4XjHJqfUVHGcieAJQSyWcQ1d6tzfGvyz5KZKSNeU3Bh1d9FDxNoJ";

/// What is read is written the same; fields lie in their extra, in order and apart; who is paid everything is named.
pub fn target(data: &[u8]) {
    check_fields(data);
    let Ok(transaction) = Transaction::parse(data) else { return };
    assert_eq!(transaction.to_bytes(), data);
    check_fields(&transaction.prefix.extra);
    let somebody = Address::parse(SOMEBODY).expect("the published example");
    if let Ok(total) = pays(&transaction, &somebody) {
        assert_eq!(Some(total), transaction.total());
        assert!(total > 0);
    }
}

fn check_fields(extra: &[u8]) {
    let Ok(fields) = fields(extra) else { return };
    let mut end = 0;
    for field in fields {
        assert!(field.data.start > end || field.tag == Field::PADDING && field.data.start >= end);
        assert!(field.data.start <= field.data.end);
        end = field.data.end;
        assert!(end <= extra.len());
    }
    assert_eq!(end, extra.len(), "every byte belongs to a field");
}
