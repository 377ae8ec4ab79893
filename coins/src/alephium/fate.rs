//! What became of a block: on its chain, named as an uncle, or nowhere. Pure: facts in, fate out.
//!
//! A block that loses its height is not lost money: one of the next seven blocks of its chain may name it as an uncle,
//! and that block's coinbase then pays its finder a smaller reward. Which output pays whom follows from the order: the
//! first pays the block's own finder, the others its uncles in the order in which they are named. What a block is worth
//! is what the chain's coinbase pays for it, and nothing is computed here.
//!
//! A reward is locked for 500 minutes on the main network. Until the lock has passed, and a little longer, nothing is
//! final, as the official pool has it: reorganisations of more than a few blocks are rare, but this chain allows them.
//! Source: alephium/alephium, `protocol/…/model/Coinbase.scala`; alephium/mining-pool, `lib/shareProcessor.js`
//! (behaviour).

use super::address::{Address, PayTo};
use super::chain::ChainIndex;
use super::params::UNCLE_DEPTH_MAX;
use pool_core::block::{BlockFate, Placement};
use pool_core::id::BlockId;
use pool_core::units::Amount;

/// When a fate is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FateRules {
    /// Blocks of the same chain above the paying one.
    pub confirmations: u64,
    /// How long after the reward's lock. Unit: milliseconds of the chain's own time.
    pub lock_margin_ms: u64,
    /// Blocks of the same chain above the height of a block that nobody names, before it counts as lost.
    pub lost_depth: u64,
}

impl Default for FateRules {
    /// 60 blocks (8 minutes), ten minutes after the lock, lost after 3600 blocks (8 hours).
    fn default() -> Self {
        Self { confirmations: 60, lock_margin_ms: 600_000, lost_depth: 3_600 }
    }
}

/// An output of a coinbase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoinbaseOutput {
    /// Unit: atto-ALPH.
    pub amount: Amount,
    /// Whose, in the chain's own text.
    pub to: String,
    /// From when on it may be spent. Unix milliseconds.
    pub lock_time: u64,
}

/// What a block says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockFacts {
    /// Its hash.
    pub id: BlockId,
    /// Its chain.
    pub chain: ChainIndex,
    /// Its height.
    pub height: u64,
    /// The outputs of its coinbase.
    pub outputs: Vec<CoinbaseOutput>,
    /// The uncles it names, in its order.
    pub uncles: Vec<BlockId>,
}

/// How a node sees a block now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// It is on its chain.
    pub on_chain: bool,
    /// The block on the chain that names it as an uncle.
    pub named_by: Option<BlockFacts>,
    /// The height of its chain's tip.
    pub tip_height: u64,
    /// The tip's time. Unix milliseconds.
    pub tip_time: u64,
}

/// Facts that contradict each other: the node lies or is in the middle of something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the node contradicts itself: {0}")]
pub struct Contradiction(pub String);

fn contradiction<T>(why: impl Into<String>) -> Result<T, Contradiction> {
    Err(Contradiction(why.into()))
}

/// The fate of a block that its node knows.
///
/// # Errors
/// [`Contradiction`], among them a reward that goes to somebody else than the pool.
pub fn decide(
    own: &BlockFacts,
    view: &View,
    pay_to: &PayTo,
    rules: &FateRules,
) -> Result<BlockFate, Contradiction> {
    let (by, place, placement) = if view.on_chain {
        (own, 0, Placement::Main)
    } else if let Some(by) = &view.named_by {
        let distance = by.height.saturating_sub(own.height);
        if by.chain != own.chain || distance == 0 || distance > u64::from(UNCLE_DEPTH_MAX) {
            return contradiction(format!("block {} cannot name {} as its uncle", by.id, own.id));
        }
        let Some(place) = by.uncles.iter().position(|uncle| *uncle == own.id) else {
            return contradiction(format!("block {} does not name {}", by.id, own.id));
        };
        (by, place + 1, Placement::Uncle)
    } else {
        let depth = view.tip_height.saturating_sub(own.height);
        if depth < rules.lost_depth {
            return Ok(BlockFate::Pending { confirmations: 0 });
        }
        return Ok(BlockFate::Lost {
            placement: Placement::Orphan,
            detail: format!("not on its chain and nobody's uncle, {depth} blocks later"),
        });
    };
    if by.outputs.len() != by.uncles.len() + 1 {
        return contradiction(format!(
            "block {} names {} uncles and its coinbase has {} outputs",
            by.id,
            by.uncles.len(),
            by.outputs.len()
        ));
    }
    let output = &by.outputs[place];
    let ours = pay_to.of(own.chain.to());
    // Compared as destinations: a groupless address has two texts.
    if Address::parse(&output.to).as_ref() != Ok(ours) {
        return contradiction(format!("block {} pays {} and not the pool's {ours}", own.id, output.to));
    }
    let confirmations = view.tip_height.saturating_sub(by.height);
    let unlocked = output.lock_time.saturating_add(rules.lock_margin_ms) <= view.tip_time;
    if confirmations < rules.confirmations || !unlocked {
        return Ok(BlockFate::Pending { confirmations });
    }
    let detail = match placement {
        Placement::Uncle => format!("uncle of block {} at height {}", by.id, by.height),
        Placement::Main | Placement::Red | Placement::Orphan => {
            format!("at height {} of chain {}", by.height, by.chain)
        }
    };
    Ok(BlockFate::Matured { value: output.amount, placement, detail })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alephium::address::Address;
    use crate::alephium::chain::Group;

    fn pay_to() -> PayTo {
        let mut found: Vec<Address> = Vec::new();
        for n in 0..=255u8 {
            let address = Address::of_key_hash([n; 32]);
            if found.iter().all(|other| other.group() != address.group()) {
                found.push(address);
            }
        }
        PayTo::new(&found).unwrap()
    }

    fn chain() -> ChainIndex {
        ChainIndex::of_numbers(1, 2).unwrap()
    }

    fn output(amount: u128, ours: bool) -> CoinbaseOutput {
        let to = if ours { pay_to().of(Group::ALL[2]).to_string() } else { "somebody".into() };
        CoinbaseOutput { amount: Amount::new(amount), to, lock_time: 1_000 }
    }

    fn block(n: u8, height: u64, outputs: Vec<CoinbaseOutput>, uncles: &[u8]) -> BlockFacts {
        let uncles = uncles.iter().map(|n| BlockId::new([*n; 32])).collect();
        BlockFacts { id: BlockId::new([n; 32]), chain: chain(), height, outputs, uncles }
    }

    const RULES: FateRules = FateRules { confirmations: 5, lock_margin_ms: 10, lost_depth: 100 };

    fn view(on_chain: bool, named_by: Option<BlockFacts>) -> View {
        View { on_chain, named_by, tip_height: 50, tip_time: 1_010 }
    }

    fn judged(own: &BlockFacts, view: &View) -> Result<BlockFate, Contradiction> {
        decide(own, view, &pay_to(), &RULES)
    }

    #[test]
    fn a_block_on_its_chain_is_worth_its_first_output() {
        let own = block(1, 45, vec![output(7, true), output(3, false)], &[9]);
        let fate = judged(&own, &view(true, None)).unwrap();
        assert!(
            matches!(fate, BlockFate::Matured { value, placement: Placement::Main, .. } if value.get() == 7)
        );
        let pending = Ok(BlockFate::Pending { confirmations: 5 });
        assert_eq!(judged(&own, &View { tip_time: 1_009, ..view(true, None) }), pending, "locked");
        let shallow = View { tip_height: 49, ..view(true, None) };
        assert_eq!(judged(&own, &shallow), Ok(BlockFate::Pending { confirmations: 4 }));
    }

    #[test]
    fn an_uncle_is_worth_the_output_in_its_place() {
        let own = block(1, 40, vec![output(7, true)], &[]);
        let by = block(2, 42, vec![output(7, false), output(4, false), output(5, true)], &[8, 1]);
        let fate = judged(&own, &view(false, Some(by.clone()))).unwrap();
        assert!(
            matches!(fate, BlockFate::Matured { value, placement: Placement::Uncle, .. } if value.get() == 5)
        );
        for height in [40, 48] {
            let by = BlockFacts { height, ..by.clone() };
            assert!(judged(&own, &view(false, Some(by))).is_err(), "{height}");
        }
        let elsewhere = BlockFacts { chain: ChainIndex::of_numbers(0, 2).unwrap(), ..by.clone() };
        assert!(judged(&own, &view(false, Some(elsewhere))).is_err());
        assert!(
            judged(&own, &view(false, Some(BlockFacts { uncles: vec![BlockId::new([8; 32]); 2], ..by })))
                .is_err()
        );
    }

    #[test]
    fn a_block_that_is_nowhere_is_lost_in_time() {
        let own = block(1, 40, vec![output(7, true)], &[]);
        assert_eq!(judged(&own, &view(false, None)), Ok(BlockFate::Pending { confirmations: 0 }));
        let later = View { tip_height: 140, ..view(false, None) };
        assert!(matches!(judged(&own, &later), Ok(BlockFate::Lost { placement: Placement::Orphan, .. })));
    }

    #[test]
    fn a_lying_node_decides_nothing() {
        let to_another = block(1, 40, vec![output(7, false)], &[]);
        assert!(judged(&to_another, &view(true, None)).unwrap_err().to_string().contains("pays somebody"));
        let too_few = block(1, 40, vec![output(7, true)], &[9]);
        assert!(judged(&too_few, &view(true, None)).is_err());
    }
}
