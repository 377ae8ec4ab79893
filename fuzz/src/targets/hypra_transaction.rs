//! RLP, and what is written in it: headers and transactions.

use pool_coins::hypra::header::Header;
use pool_coins::hypra::rlp::Item;
use pool_coins::hypra::tx::{self, SignedTransfer};
use pool_coins::hypra::wallet::sender;

/// One tree has one spelling, and so have a header and a transaction; a changed transaction has another sender.
pub fn target(data: &[u8]) {
    if let Ok(item) = Item::parse(data) {
        let mut written = Vec::new();
        item.write(&mut written);
        assert_eq!(written, data);
    }
    if let Ok(header) = Header::from_rlp(data) {
        assert_eq!(header.to_rlp(), data);
        assert_ne!(header.hash(), header.seal_hash());
        assert!(header.is_met_by(header.target()));
    }
    let Ok(signed) = SignedTransfer::parse(data) else { return };
    assert_eq!(signed.raw(), data);
    assert_eq!(tx::id(&signed.raw()), tx::id(data));
    let Some(from) = sender(&signed) else { return };
    let mut other = signed;
    other.transfer.nonce ^= 1;
    assert_ne!(sender(&other), Some(from), "a signature covers the whole transaction");
}
