//! Dynex's blocks, and templates cut around extranonce and nonce.
//!
//! The input is a block. Whatever block it is, its own coinbase's receiver is taken for the pool where it names one, so
//! that templates are reached that pass.

use pool_coins::dynex::address::Address;
use pool_coins::dynex::blob::{Block, block_id, tree_root};
use pool_coins::dynex::template::{DynexTemplate, Expected, Stated};
use pool_coins::dynex::tx::{Field, fields, pays};

/// A block is written as it was read, and hashes to one id by both ways; in a template's block nothing but the nonce,
/// the extranonce and the tag is another than in the node's.
pub fn target(data: &[u8]) {
    let Ok(block) = Block::parse(data) else { return };
    assert_eq!(block.to_bytes(), data);
    assert_eq!(block.id(), block_id(&block.hashing_blob()));
    let leaves: Vec<[u8; 32]> =
        std::iter::once(block.coinbase.hash()).chain(block.transactions.iter().copied()).collect();
    let root = tree_root(&leaves);
    let header = block.header.to_bytes();
    assert_eq!(block.hashing_blob()[header.len()..][..32], root);

    let Some(pay_to) = receiver(&block) else { return };
    let Some(height) = block.coinbase.height() else { return };
    let extra = &block.coinbase.prefix.extra;
    let nonce =
        fields(extra).ok().and_then(|fields| fields.into_iter().find(|field| field.tag == Field::NONCE));
    let extra_at = header.len() + block.coinbase.to_bytes().len() - extra.len();
    let free = nonce.map_or(0, |field| extra_at + field.data.start);
    let stated = Stated { height, difficulty: 1_000, reserved_offset: free + 1 };
    let maturity = block.coinbase.prefix.unlock_time.saturating_sub(height);
    for trust_hidden_payee in [false, true] {
        let tag = [1, 2, 3, 4];
        let expected = Expected { pay_to, trust_hidden_payee, tag, maturity };
        let Ok(template) = DynexTemplate::check(data, stated, &expected) else { continue };
        let solved = template.block(0xa1a2_a3a4, [9; 4]);
        assert_eq!(solved.len(), data.len());
        let written = free + 1..free + 9;
        for (place, (now, before)) in solved.iter().zip(data).enumerate() {
            assert!(now == before || (39..43).contains(&place) || written.contains(&place), "byte {place}");
        }
        let solved = Block::parse(&solved).expect("a template's block is one");
        assert_eq!(solved.id(), template.block_id(0xa1a2_a3a4, [9; 4]));
        assert_eq!(solved.hashing_blob(), template.hashing_blob(0xa1a2_a3a4, [9; 4]));
        assert_ne!(solved.id(), template.block_id(0xa1a2_a3a5, [9; 4]), "another connection, another block");
        assert!(trust_hidden_payee || pays(&solved.coinbase, &pay_to).is_ok());
    }
}

fn receiver(block: &Block) -> Option<Address> {
    let extra = &block.coinbase.prefix.extra;
    let field = fields(extra).ok()?.into_iter().find(|field| field.tag == Field::RECEIVER)?;
    let keys = extra[field.data].as_chunks::<32>().0;
    Address::of_keys(*keys.first()?, *keys.get(1)?).ok()
}
