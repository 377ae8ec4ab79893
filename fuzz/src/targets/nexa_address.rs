//! Nexa's addresses, read twice: as the text of one, and as the payload of one that is to be written.

use super::text;
use pool_coins::nexa::Nexa;
use pool_coins::nexa::address::{Address, encode_text};
use pool_coins::nexa::params::Network;
use pool_core::coin::Coin;
use std::sync::LazyLock;

/// The proof's table is dear to make and the same for all inputs.
static COIN: LazyLock<Nexa> = LazyLock::new(|| Nexa::new(Network::Mainnet));

/// An address is of one network, its canonical text is read as the same address, and so is its output; what the coin
/// takes is that text and never a group's address.
pub fn target(data: &[u8]) {
    let text = text(data);
    if let Ok(address) = Address::decode(&text) {
        check(&address);
    }
    for network in Network::ALL {
        match Address::parse(&text, network) {
            Ok(address) => {
                check(&address);
                assert_eq!(address.network(), network, "an address of another network was taken");
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        let written = encode_text(network.address_prefix(), data);
        if let Ok(address) = Address::decode(&written) {
            check(&address);
            assert_eq!(address.to_string(), written, "one payload, one text");
        }
    }
    if let Ok(account) = COIN.address(&text) {
        let address = Address::parse(&text, Network::Mainnet).expect("what the coin takes is an address");
        assert_eq!(account.as_str(), address.to_string());
        assert!(!address.is_grouped());
        assert_eq!(COIN.address(account.as_str()).as_ref(), Ok(&account));
    }
}

fn check(address: &Address) {
    let canonical = address.to_string();
    assert_eq!(Address::decode(&canonical).as_ref(), Ok(address));
    assert_eq!(Address::decode(&canonical.to_ascii_uppercase()).as_ref(), Ok(address));
    let (kind, script) = address.output();
    assert_eq!(Address::of_output(address.network(), kind, &script).as_ref(), Some(address));
}
