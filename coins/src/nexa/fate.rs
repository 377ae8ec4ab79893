//! What became of a block, by the chain's own rules.
//!
//! Nexa has one block at a height. The pool's block is the one at its height or it is none; what it is worth stands in
//! its coinbase. A coinbase may be spent when as many blocks lie on it as the network's maturity says (5000 on
//! mainnet, a week), and nothing is called final before that. A block that is not on the chain is called lost only
//! when the block in its place lies deep. [`decide`] is the pure rule over facts; the `node` half of this crate collects
//! them.

use super::codec::display;
use super::params::Network;
use pool_core::block::{BlockFate, Placement};
use pool_core::units::Amount;

/// When a block's fate is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FateRules {
    /// Blocks from the pool's to the tip, both counted. At least the coinbase's maturity and one.
    pub confirmations: u64,
    /// Blocks from the one in its place to the tip, both counted, after which a block that is not on the chain is
    /// lost.
    pub lost_depth: u64,
}

impl FateRules {
    /// The network's maturity; lost at a depth of 120 blocks (four hours on mainnet), or at the maturity where that
    /// is less.
    #[must_use]
    pub const fn of(network: Network) -> Self {
        let confirmations = network.coinbase_maturity() + 1;
        Self { confirmations, lost_depth: if confirmations < 120 { confirmations } else { 120 } }
    }
}

/// What stands at a block's height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing yet: the chain is not that high.
    Empty,
    /// Another block, by its hash in hashing order.
    Other([u8; 32]),
    /// The block itself, by its hash in hashing order.
    Own([u8; 32]),
}

/// Blocks from `height` to `tip`, both counted; 0 above the tip.
#[must_use]
pub const fn depth(height: u64, tip: u64) -> u64 {
    if height > tip { 0 } else { tip - height + 1 }
}

/// True when the coinbase must be read: the block is on the chain and final.
#[must_use]
pub const fn is_due(place: Place, height: u64, tip: u64, rules: &FateRules) -> bool {
    matches!(place, Place::Own(_)) && depth(height, tip) >= rules.confirmations
}

/// The fate of a block at `height` when the chain's tip is at `tip`. `value`: what its coinbase pays to the pool, in
/// satoshis, once somebody read it.
#[must_use]
pub fn decide(height: u64, place: Place, tip: u64, value: Option<u64>, rules: &FateRules) -> BlockFate {
    let confirmations = depth(height, tip);
    match place {
        Place::Empty => BlockFate::Unknown,
        Place::Other(hash) if confirmations >= rules.lost_depth => BlockFate::Lost {
            placement: Placement::Orphan,
            detail: format!("block {} stands at height {height}", display(hash)),
        },
        Place::Other(_) => BlockFate::Unknown,
        Place::Own(hash) => match value {
            Some(value) if is_due(place, height, tip, rules) => BlockFate::Matured {
                value: Amount::new(u128::from(value)),
                placement: Placement::Main,
                detail: format!("block {} at height {height}", display(hash)),
            },
            Some(_) | None => BlockFate::Pending { confirmations },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: FateRules = FateRules { confirmations: 101, lost_depth: 20 };

    #[test]
    fn nothing_is_final_before_its_depth() {
        let own = Place::Own([1; 32]);
        let fate = |tip, value| decide(1_000, own, tip, value, &RULES);
        assert_eq!(fate(1_000, None), BlockFate::Pending { confirmations: 1 });
        assert_eq!(fate(1_099, Some(5)), BlockFate::Pending { confirmations: 100 });
        assert_eq!(fate(1_100, None), BlockFate::Pending { confirmations: 101 }, "nobody read the coinbase");
        let BlockFate::Matured { value, placement, detail } = fate(1_100, Some(5)) else { panic!() };
        assert_eq!((value.get(), placement), (5, Placement::Main));
        assert_eq!(detail, format!("block {} at height 1000", "01".repeat(32)));
    }

    #[test]
    fn a_block_in_its_place_makes_it_lost_but_only_deep_down() {
        let fate = |tip| decide(1_000, Place::Other([2; 32]), tip, None, &RULES);
        assert_eq!(fate(1_000), BlockFate::Unknown);
        assert_eq!(fate(1_018), BlockFate::Unknown);
        assert!(matches!(fate(1_019), BlockFate::Lost { placement: Placement::Orphan, .. }));
        assert_eq!(decide(1_000, Place::Empty, 999, None, &RULES), BlockFate::Unknown);
    }

    #[test]
    fn the_networks_rules() {
        let mainnet = FateRules::of(Network::Mainnet);
        assert_eq!((mainnet.confirmations, mainnet.lost_depth), (5_001, 120));
        let regtest = FateRules::of(Network::Regtest);
        assert_eq!((regtest.confirmations, regtest.lost_depth), (101, 101));
    }

    proptest! {
        #[test]
        fn money_comes_from_own_blocks_at_full_depth_alone(
            height in 0..5_000u64, tip in 0..10_000u64, kind in 0..3usize, value in proptest::option::of(any::<u64>()),
        ) {
            let place = [Place::Empty, Place::Other([1; 32]), Place::Own([1; 32])][kind];
            let fate = decide(height, place, tip, value, &RULES);
            let worth = fate.value().get();
            prop_assert!(worth == 0 || worth == u128::from(value.unwrap()));
            if matches!(fate, BlockFate::Matured { .. }) {
                prop_assert!(kind == 2 && tip >= height + 100);
            }
            if matches!(fate, BlockFate::Lost { .. }) {
                prop_assert!(kind == 1 && tip >= height + 19);
            }
        }
    }
}
