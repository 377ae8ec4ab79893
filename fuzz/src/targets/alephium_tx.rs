//! An Alephium transaction's bytes: what is signed must have one spelling.

use pool_coins::alephium::tx::{SignedTransfer, UnsignedTx, merkle_root};

/// What is read is written byte for byte; sums never wrap.
pub fn target(data: &[u8]) {
    let Ok(tx) = UnsignedTx::read(data) else { return };
    assert_eq!(tx.to_bytes(), data, "one spelling, or one transaction has two ids");
    let id = tx.id();
    if let Some(paid) = tx.paid() {
        assert!(tx.outputs.iter().all(|output| output.amount <= paid));
    }
    if let Some(fee) = tx.fee() {
        assert!(tx.gas == 0 || fee >= tx.gas_price);
    }
    let mut other = tx.clone();
    other.gas ^= 1;
    assert_ne!(other.id(), id);
    let (plain, sealed) = (
        SignedTransfer { unsigned: tx.clone(), signatures: vec![] },
        SignedTransfer { unsigned: tx, signatures: vec![[7; 64]] },
    );
    assert!(plain.to_bytes().starts_with(data) && sealed.to_bytes().starts_with(data));
    assert_ne!(plain.leaf(), sealed.leaf(), "signatures are part of the block");
    assert_ne!(merkle_root(&[plain.leaf()]), merkle_root(&[sealed.leaf()]));
}
