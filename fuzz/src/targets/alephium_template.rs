//! A template as an Alephium node offers it, and blocks made of it.

use pool_coins::alephium::chain::ChainIndex;
use pool_coins::alephium::header::{CompactTarget, HeaderBlob, split_block, target_of_blob};
use pool_coins::alephium::template::{AlephiumTemplate, ChainTemplate};
use pool_coins::alephium::wire::{FromNode, Layout};
use std::sync::Arc;

/// A header is read and written the same; a template that is believed makes blocks that are cut where they were joined,
/// and hash to what it says.
pub fn target(data: &[u8]) {
    if let Ok(blob) = HeaderBlob::new(data) {
        assert_eq!(HeaderBlob::of_parts(&blob.parts()), blob);
        assert_eq!(blob.clone().with_timestamp(7).key(), blob.key());
    }
    if let Ok(target) = target_of_blob(data) {
        let compact = CompactTarget::of_target(target);
        let shortened = compact.expand().expect("what was written can be read");
        assert!(shortened <= target);
        assert_eq!(CompactTarget::of_target(shortened), compact);
    }
    for layout in [Layout::Versioned, Layout::Bare] {
        let Ok(FromNode::Jobs(offers)) = FromNode::read(data, layout) else { continue };
        let mut believed = Vec::new();
        for offer in offers {
            let Ok(template) = ChainTemplate::check(offer.clone()) else { continue };
            assert_eq!(template.blob(), &offer.blob);
            assert_eq!(template.target(), offer.target);
            let nonce = [0x5a; 24];
            let block = template.block(&nonce);
            let (cut, blob, txs) = split_block(&block).expect("a block made of a template is one");
            assert_eq!((cut, &blob, txs), (nonce, &offer.blob, &offer.txs[..]));
            assert_eq!(blob.hash(&nonce), template.hash(&nonce));
            believed.push(Arc::new(template));
        }
        if let Ok(bundle) = AlephiumTemplate::new(believed) {
            assert!(!bundle.live().is_empty() && bundle.live().is_sorted());
            for place in bundle.live() {
                let chain = ChainIndex::of_place(*place).expect("places are of chains");
                assert_eq!(bundle.of(chain).map(|template| template.chain()), Some(chain));
            }
        }
    }
}
