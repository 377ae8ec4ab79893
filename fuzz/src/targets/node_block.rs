//! A block as a node's bytes, cut around its nonce: [`RawTemplate::cut`].
//!
//! What a node offers is submitted again with another nonce and must be the same block in every other byte, also in
//! those that nobody here understands.

use pool_coins::kaspa::grpc::raw::RawTemplate;

/// Cutting is at rest after one step, and whatever nonce is put in changes nothing but the nonce.
pub fn target(data: &[u8]) {
    let Ok(cut) = RawTemplate::cut(data) else { return };
    for nonce in [0, 1, 0x7f, 0x80, u64::MAX] {
        let block = cut.with_nonce(nonce);
        let again = RawTemplate::cut(&block).expect("a block made of a block is one");
        assert_eq!(again, cut);
        assert_eq!(again.with_nonce(nonce), block);
        // A header's length and its nonce may be spelled longer than needed, nothing else can grow.
        assert!(block.len() <= data.len() + 10 + 11, "{} bytes became {}", data.len(), block.len());
    }
    assert_ne!(cut.with_nonce(1), cut.with_nonce(2));
}
