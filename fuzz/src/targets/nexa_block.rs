//! Nexa's bytes: headers, transactions, whole blocks, and the claims that a block book keeps.

use pool_coins::nexa::codec::Reader;
use pool_coins::nexa::header::{Header, difficulty_millionths, target_of_bits};
use pool_coins::nexa::submission::{Submission, block_id_of, height_of};
use pool_coins::nexa::tx::{Block, Transaction};

/// What is read is written as the same bytes, so nothing has two spellings; a block commits to its transactions; and a
/// block's name leads to its height.
pub fn target(data: &[u8]) {
    let mut reader = Reader::new(data);
    if let Ok(header) = Header::read(&mut reader) {
        let mut out = Vec::new();
        header.write(&mut out);
        assert_eq!(out, data[..data.len() - reader.rest().len()]);
        let id = block_id_of(&header);
        assert_eq!(id.map(|id| u64::from(height_of(&id))), u32::try_from(header.height).ok().map(u64::from));
        let mined = Header { nonce: vec![1; 12], ..header.clone() };
        assert_eq!(mined.commitment(), header.commitment());
        if let Some(target) = target_of_bits(header.bits) {
            let _ = difficulty_millionths(target);
        }
    }
    if let Ok(transaction) = Transaction::parse(data) {
        assert_eq!(transaction.to_bytes(), data);
        let mut unsigned = transaction.clone();
        for input in &mut unsigned.inputs {
            input.script.clear();
        }
        assert_eq!(unsigned.idem(), transaction.idem(), "an idem leaves scripts out");
        let _ = transaction.fee();
    }
    if let Ok(block) = Block::parse(data) {
        assert_eq!(block.to_bytes(), data);
        assert_eq!(block.clone().committed(), block);
    }
    if let Ok(claim) = Submission::parse(data) {
        assert_eq!(claim.to_bytes(), data);
        assert_eq!(height_of(&claim.id()), claim.height);
    }
}
