//! Alephium addresses: the one text of a stranger that money is later sent to.

use super::text;
use pool_coins::alephium::address::{Address, PayTo};
use pool_coins::alephium::tx::{Output, UnsignedTx};

/// An address has one canonical text that reads as the same address, and the script that locks an output for it reads
/// as the same address, too.
pub fn target(data: &[u8]) {
    let text = text(data);
    match Address::parse(&text) {
        Ok(address) => {
            let canonical = address.to_string();
            assert_eq!(Address::parse(&canonical).as_ref(), Ok(&address));
            assert_eq!(Address::parse(&canonical).expect("it was read").to_string(), canonical);
            assert!(canonical.split(':').next() == text.split(':').next(), "only a group may be added");
            let output = Output { amount: 1, to: address.clone(), lock_time: 0, data: Vec::new() };
            let tx = UnsignedTx {
                network: 0,
                gas: 20_000,
                gas_price: 1,
                inputs: Vec::new(),
                outputs: vec![output],
            };
            let read = UnsignedTx::read(&tx.to_bytes()).expect("what was written can be read");
            assert_eq!(read.outputs[0].to, address);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(pay_to) = text.parse::<PayTo>() {
        for (group, address) in (0u8..).zip(pay_to.all()) {
            assert_eq!(address.group().get(), group);
        }
        assert_eq!(pay_to.to_string().parse(), Ok(pay_to));
    }
}
