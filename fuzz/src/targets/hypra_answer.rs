//! What a Hypra node answers: work, blocks, receipts, quantities.

use pool_coins::hypra::rpc::{self, Block, Receipt, Transaction};
use serde_json::Value;

/// What is believed hashes to what it says, and is shown again as it was read; nothing makes a reader panic.
pub fn target(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    if let Ok(work) = rpc::work(&value) {
        assert!(work.target().get() != pool_core::units::U256::ZERO);
    }
    if let Ok(Some(block)) = Block::read(&value) {
        assert_eq!(block.header.hash(), block.hash);
        let again = Block::read(&rpc::from_header(&block.header));
        let again = again.expect("a header that was read is shown as one").expect("and it is there");
        assert_eq!((again.hash, again.header), (block.hash, block.header.clone()));
        for transaction in &block.transactions {
            if let Transaction::Whole(whole) = transaction {
                assert!(whole.price.effective(whole.price.cap()) == Some(whole.price.cap()));
            }
        }
        assert!(!block.commits_to(std::slice::from_ref(&block)), "a block is not its own uncle");
    }
    let _ = Receipt::read(&value);
    let members =
        value.as_array().into_iter().flatten().chain(value.as_object().into_iter().flat_map(|m| m.values()));
    for member in members {
        if let Ok(number) = rpc::amount(member, "number") {
            assert_eq!(rpc::amount(&rpc::to_quantity(number), "number"), Ok(number));
        }
        if let Ok(bytes) = rpc::bytes(member, "bytes") {
            assert_eq!(rpc::bytes(&rpc::to_hex(&bytes), "bytes"), Ok(bytes));
        }
        let _ = rpc::array::<32>(member, "hash");
    }
}
