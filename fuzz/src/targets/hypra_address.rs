//! Addresses with their checksum in the case of the digits.

use super::text;
use pool_coins::hypra::address::{Address, AddressError};

/// An address has one canonical text and reads back in each of its spellings; a wrong case is refused.
pub fn target(data: &[u8]) {
    let text = text(data);
    match Address::parse(&text) {
        Ok(address) => check(&address),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let Some(bytes) = data.first_chunk::<20>() else { return };
    let address = Address::new(*bytes);
    if *bytes == [0; 20] {
        assert_eq!(Address::parse(&address.to_string()), Err(AddressError::Zero));
    } else {
        check(&address);
    }
}

fn check(address: &Address) {
    let (canonical, checksummed) = (address.to_string(), address.checksummed());
    for spelling in [&canonical, &checksummed, &canonical[2..].to_owned(), &canonical.to_uppercase()] {
        assert_eq!(Address::parse(spelling).as_ref(), Ok(address), "{spelling}");
    }
    let swapped: String = checksummed[2..]
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    let mixed = |text: &str| {
        text.bytes().any(|b| b.is_ascii_lowercase()) && text.bytes().any(|b| b.is_ascii_uppercase())
    };
    if mixed(&swapped) {
        assert_eq!(Address::parse(&swapped), Err(AddressError::Checksum), "{swapped}");
    }
}
