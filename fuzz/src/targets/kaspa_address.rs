//! Addresses: the one text of a stranger that money is later sent to.
//!
//! The input is read twice: as the text of an address, and as the payload of one that is to be written.

use super::text;
use pool_coins::kaspa::address::{Address, decode_text, encode_text};
use pool_coins::kaspa::params::Network;

const NETWORKS: [Network; 4] = [Network::Mainnet, Network::Testnet10, Network::Devnet, Network::Simnet];

/// An address is of one network, its canonical text is read as the same address, and so is its script.
pub fn target(data: &[u8]) {
    let text = text(data);
    let decoded = Address::decode(&text);
    if let Ok(address) = &decoded {
        check(address);
    } else if let Err(error) = &decoded {
        assert!(!error.to_string().is_empty());
    }
    for network in NETWORKS {
        let Ok(address) = Address::parse(&text, network) else { continue };
        check(&address);
        assert_eq!(address.network(), network, "an address of another network was taken");
        // A prefix may be left out; where it is not, both readers saw the same.
        assert_eq!(decoded.is_ok(), text.contains(':'));
    }

    let (version, payload) = data.split_first().map_or((0, data), |(version, payload)| (*version, payload));
    for network in NETWORKS {
        let prefix = network.address_prefix();
        let written = encode_text(prefix, version, payload);
        assert_eq!(decode_text(&written), Ok((prefix, version, payload.to_vec())));
        match Address::of_version(network, version, payload) {
            Ok(address) => {
                assert_eq!(address.to_string(), written);
                check(&address);
            }
            Err(error) => assert_eq!(Address::decode(&written), Err(error)),
        }
    }
}

fn check(address: &Address) {
    let canonical = address.to_string();
    assert_eq!(Address::decode(&canonical).as_ref(), Ok(address));
    assert_eq!(Address::from_script(address.network(), 0, &address.script()).as_ref(), Some(address));
    assert_eq!(Address::from_script(address.network(), 1, &address.script()), None);
}
