//! What became of a block, by the chain's own rules.
//!
//! A CryptoNote block is on the main chain or it is worthless: there are no uncles. A coinbase may be spent sixty blocks
//! later, and no node follows a reorganisation deeper than that, so both ends are final at that depth.
//!
//! One end is this chain's own. Nodes ask a server of the project whether a block is authorised and refuse what is not,
//! with the same words as for any other fault. A block of the pool that was refused although it fitted the tip was
//! refused by that authority ([`Refusal::Authority`]): its hash is right and its money is lost all the same, unless a
//! later try is let through before somebody else's block stands in its place. It is told apart so that the operator
//! sees a refusal and not bad luck. [`decide`] is the pure rule over facts; the `node` half of this crate collects them.

use super::params::{MATURITY, REORGANISATION_MAX};
use pool_core::block::{BlockFate, Placement};
use pool_core::id::BlockId;
use pool_core::units::Amount;

/// When a block's fate is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FateRules {
    /// Blocks on top of one that has matured; at least the chain's coinbase maturity.
    pub confirmations: u64,
    /// Blocks on top of another one in its place, after which it is lost.
    pub lost_depth: u64,
}

impl Default for FateRules {
    /// The chain's maturity and its deepest reorganisation, both sixty blocks: two hours.
    fn default() -> Self {
        Self { confirmations: MATURITY, lost_depth: REORGANISATION_MAX }
    }
}

/// What a node says of a block it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownBlock {
    /// Its id.
    pub id: BlockId,
    /// The id of the block before it.
    pub previous: BlockId,
    /// Its height.
    pub height: u64,
    /// It lies beside the main chain.
    pub orphan: bool,
    /// What its coinbase pays. Unit: smallest units.
    pub reward: u64,
}

/// Why nodes would not take a block.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It fitted the tip, and the node's own rules have no word against it: the project's servers did not authorise it.
    Authority {
        /// The node's words.
        words: String,
    },
    /// Another block was there first.
    Late,
}

/// What the pool knows of a block that it handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// Its height.
    pub height: u64,
    /// What its coinbase pays; `None` when the pool has only heard of the block. Unit: smallest units.
    pub reward: Option<u64>,
    /// Why it was not taken, so far.
    pub refusal: Option<Refusal>,
}

/// All that a fate is decided from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The block as a node knows it.
    pub known: Option<KnownBlock>,
    /// The block in its place on the main chain, where there is one.
    pub standing: Option<BlockId>,
    /// The height of the newest block.
    pub tip: u64,
    /// What the pool knows itself.
    pub handed: Option<&'a Handed>,
}

/// Facts that contradict each other: a node that lies. Nothing is decided on them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("facts about block {block} contradict each other: {why}")]
pub struct Contradiction {
    /// The block asked about.
    pub block: BlockId,
    /// What does not fit.
    pub why: &'static str,
}

/// The fate of `block`.
///
/// # Errors
/// [`Contradiction`] when the facts are not of one block on one chain.
pub fn decide(block: BlockId, facts: &Facts<'_>, rules: &FateRules) -> Result<BlockFate, Contradiction> {
    let contradiction = |why| Err(Contradiction { block, why });
    let Some(known) = facts.known else {
        // Nobody has it. Where it would stand is known only if it was handed over by this process.
        let Some(handed) = facts.handed else { return Ok(BlockFate::Unknown) };
        let Some(standing) = facts.standing.filter(|_| passed(facts.tip, handed.height, rules)) else {
            return Ok(BlockFate::Unknown);
        };
        if standing == block {
            return contradiction("it stands on the chain, and the node does not know it");
        }
        let detail = match &handed.refusal {
            Some(Refusal::Authority { words }) => {
                format!("not authorised by the network's authority ({words}); {standing} stands in its place")
            }
            Some(Refusal::Late) | None => format!("never on the chain; {standing} stands in its place"),
        };
        return Ok(BlockFate::Lost { placement: Placement::Orphan, detail });
    };
    if known.id != block {
        return contradiction("the node answers of another block");
    }
    if facts.handed.is_some_and(|handed| handed.height != known.height) {
        return contradiction("it has another height than it was made for");
    }
    if known.height > facts.tip {
        return contradiction("it lies above the newest block");
    }
    if (facts.standing == Some(block)) == known.orphan {
        return contradiction("it is on the main chain and beside it");
    }
    let depth = facts.tip - known.height;
    if known.orphan {
        return Ok(match facts.standing {
            Some(standing) if passed(facts.tip, known.height, rules) => BlockFate::Lost {
                placement: Placement::Orphan,
                detail: format!("orphaned; {standing} stands in its place"),
            },
            Some(_) | None => BlockFate::Pending { confirmations: 0 },
        });
    }
    let stated = facts.handed.and_then(|handed| handed.reward);
    if stated.is_some_and(|reward| reward != known.reward) {
        return contradiction("the node says another reward than its coinbase pays");
    }
    if depth < rules.confirmations {
        return Ok(BlockFate::Pending { confirmations: depth });
    }
    Ok(BlockFate::Matured {
        value: Amount::new(u128::from(known.reward)),
        placement: Placement::Main,
        detail: format!("coinbase of height {}", known.height),
    })
}

/// True when the chain has gone so far past a height that what stands there stays.
fn passed(tip: u64, height: u64, rules: &FateRules) -> bool {
    tip.checked_sub(height).is_some_and(|depth| depth >= rules.lost_depth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: FateRules = FateRules { confirmations: 10, lost_depth: 20 };

    fn id(n: u8) -> BlockId {
        BlockId::new([n; 32])
    }

    fn known(orphan: bool) -> KnownBlock {
        KnownBlock { id: id(1), previous: id(0), height: 100, orphan, reward: 95 }
    }

    fn handed(refusal: Option<Refusal>) -> Handed {
        Handed { height: 100, reward: Some(95), refusal }
    }

    fn main_at(tip: u64) -> Facts<'static> {
        Facts { known: Some(known(false)), standing: Some(id(1)), tip, handed: None }
    }

    #[test]
    fn a_block_matures_at_its_depth_and_not_before() {
        let fate = |tip| decide(id(1), &main_at(tip), &RULES).unwrap();
        assert_eq!(fate(100), BlockFate::Pending { confirmations: 0 });
        assert_eq!(fate(109), BlockFate::Pending { confirmations: 9 });
        assert!(
            matches!(fate(110), BlockFate::Matured { value, placement: Placement::Main, .. } if value.get() == 95)
        );
    }

    #[test]
    fn an_orphan_is_lost_when_nobody_can_reorganise_any_more() {
        let fate = |tip| {
            let facts = Facts { known: Some(known(true)), standing: Some(id(2)), tip, handed: None };
            decide(id(1), &facts, &RULES).unwrap()
        };
        assert_eq!(fate(119), BlockFate::Pending { confirmations: 0 });
        assert!(matches!(fate(120), BlockFate::Lost { placement: Placement::Orphan, .. }));
    }

    #[test]
    fn a_block_nobody_took_is_unknown_until_its_place_is_taken_for_good() {
        let fate = |tip, handed: Option<&Handed>| {
            let facts = Facts { known: None, standing: Some(id(2)), tip, handed };
            decide(id(1), &facts, &RULES).unwrap()
        };
        assert_eq!(fate(500, None), BlockFate::Unknown, "its place is not known");
        let refused = handed(Some(Refusal::Authority { words: "Block not accepted".into() }));
        assert_eq!(fate(119, Some(&refused)), BlockFate::Unknown);
        let BlockFate::Lost { detail, .. } = fate(120, Some(&refused)) else { panic!("not lost") };
        assert!(detail.contains("not authorised") && detail.contains("Block not accepted"), "{detail}");
        let BlockFate::Lost { detail, .. } = fate(120, Some(&handed(None))) else { panic!("not lost") };
        assert!(detail.contains("never on the chain"), "{detail}");
    }

    #[test]
    fn a_lying_node_decides_nothing() {
        let lies = |change: fn(&mut Facts<'_>)| {
            let mut facts = main_at(200);
            change(&mut facts);
            decide(id(1), &facts, &RULES).is_err()
        };
        assert!(!lies(|_| {}));
        assert!(lies(|facts| facts.known.as_mut().unwrap().id = id(9)));
        assert!(lies(|facts| facts.known.as_mut().unwrap().height = 201));
        assert!(lies(|facts| facts.known.as_mut().unwrap().orphan = true));
        assert!(lies(|facts| facts.standing = Some(id(2))));
        let own = handed(None);
        let with = |known: KnownBlock| {
            let facts = Facts { known: Some(known), handed: Some(&own), ..main_at(200) };
            decide(id(1), &facts, &RULES)
        };
        assert!(with(known(false)).is_ok());
        assert!(with(KnownBlock { reward: 96, ..known(false) }).is_err());
        assert!(with(KnownBlock { height: 101, ..known(false) }).is_err());
        let absent = Facts { known: None, standing: Some(id(1)), tip: 200, handed: Some(&own) };
        assert!(decide(id(1), &absent, &RULES).is_err());
    }

    proptest! {
        #[test]
        fn what_is_final_stays_as_the_chain_grows(tip in 0u64..300, further in 0u64..300, orphan: bool, unknown: bool) {
            let standing = Some(id(if orphan || unknown { 2 } else { 1 }));
            let own = handed(None);
            let facts = |tip: u64| Facts {
                known: (!unknown).then(|| known(orphan)),
                standing: standing.filter(|_| tip >= 100),
                tip,
                handed: Some(&own),
            };
            if let Ok(fate) = decide(id(1), &facts(tip), &RULES) && fate.is_final() {
                prop_assert_eq!(decide(id(1), &facts(tip + further), &RULES), Ok(fate));
            }
        }
    }
}
