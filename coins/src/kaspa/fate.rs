//! What became of a block, by the chain's own rules.
//!
//! Kaspa does not pay a block in the block. A chain block `M` merges the blocks that are in its past and not in its
//! selected parent's; its coinbase has one output per *blue* one of them (the selected parent first), each to the
//! script that block named, and one last output with the rewards of all *red* ones, to `M`'s own miner. `M`'s
//! coinbase in turn takes effect when `M`'s child on the selected chain accepts it. So a block of the pool is worth
//!
//! - its output in the coinbase of the chain block that merged it blue, and
//! - if it is itself a chain block, the red output of its own coinbase;
//! - nothing when it was merged red, or never.
//!
//! Summed over the pool's blocks that is, to the sompi, what the chain paid to the pool's address. A colour is
//! relative to the merging chain block and flips while that one is shallow: nothing is final before the merging
//! block has the configured depth, and the coins have the chain's maturity. [`decide`] is the pure rule over facts;
//! the `node` half of this crate collects the facts.
//! Source: `coinbase.rs` and `get_block_reward_info` of the 2.1.0 node (behaviour).

use super::coinbase::PayScript;
use pool_core::block::{BlockFate, Placement};
use pool_core::id::BlockId;
use pool_core::units::Amount;

/// When a block's fate is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FateRules {
    /// Depth of the merging block below the sink. Unit: blue score.
    pub confirmations: u64,
    /// Age of the coins. Unit: DAA score; at least the chain's coinbase maturity.
    pub maturity: u64,
    /// A block that nothing on the chain has merged when the sink is this far above it never will be. Unit: blue
    /// score; above the chain's merge depth.
    pub lost_depth: u64,
}

impl Default for FateRules {
    /// The public networks at ten blocks a second: 1000 confirmations and the chain's maturity of 1000, both about
    /// 100 s, and the merge depth of 36 000 with some room for blocks merged through others.
    fn default() -> Self {
        Self { confirmations: 1_000, maturity: 1_000, lost_depth: 40_000 }
    }
}

/// One output of a coinbase transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoinbaseOutput {
    /// Unit: sompi.
    pub amount: u64,
    /// To whom.
    pub pay_to: PayScript,
}

/// A block with what its coinbase and its place in the graph say. Never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockFacts {
    /// Its hash.
    pub id: BlockId,
    /// Its blue score.
    pub blue_score: u64,
    /// Its DAA score.
    pub daa_score: u64,
    /// Its selected parent.
    pub selected_parent: BlockId,
    /// The blue blocks it merges, the selected parent first.
    pub blues: Vec<BlockId>,
    /// The red ones.
    pub reds: Vec<BlockId>,
    /// Its own subsidy, by its coinbase payload. Unit: sompi.
    pub subsidy: u64,
    /// Its miner, by its coinbase payload.
    pub pay_to: PayScript,
    /// Its coinbase's outputs.
    pub outputs: Vec<CoinbaseOutput>,
}

/// Where the chain merged a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// The merging chain block.
    pub by: BlockFacts,
    /// DAA score of the chain block that accepted the merging block's coinbase; `None` while it has no child on the
    /// chain.
    pub accepted_at: Option<u64>,
    /// What the node says the reward is, if it says so.
    pub reported: Option<u64>,
}

/// How far the chain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The sink's blue score.
    pub blue_score: u64,
    /// The virtual block's DAA score.
    pub daa_score: u64,
}

/// Facts that contradict each other: a node that lies, or a chain whose rules are not those known here. Nothing is
/// decided on them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("facts about block {block} contradict each other: {why}")]
pub struct Contradiction {
    /// The block asked about.
    pub block: BlockId,
    /// What does not fit.
    pub why: String,
}

/// The fate of `own` at `tip`.
///
/// # Errors
/// [`Contradiction`] when coinbase, merge set and the node's own answer do not agree.
pub fn decide(
    own: &BlockFacts,
    merge: Option<&Merge>,
    tip: Tip,
    rules: &FateRules,
) -> Result<BlockFate, Contradiction> {
    let Some(merge) = merge else {
        return Ok(if tip.blue_score.saturating_sub(own.blue_score) > rules.lost_depth {
            BlockFate::Lost {
                placement: Placement::Orphan,
                detail: format!("not merged within {} blue score", rules.lost_depth),
            }
        } else {
            BlockFate::Pending { confirmations: 0 }
        });
    };
    let contradiction = |why: String| Contradiction { block: own.id, why };
    let by = &merge.by;
    let confirmations = tip.blue_score.saturating_sub(by.blue_score);
    let mature = merge.accepted_at.is_some_and(|at| at.saturating_add(rules.maturity) <= tip.daa_score);
    let is_final = confirmations >= rules.confirmations && mature;
    if let Some(position) = by.blues.iter().position(|blue| *blue == own.id) {
        if !is_final {
            return Ok(BlockFate::Pending { confirmations });
        }
        let reward = blue_reward(own, by, position).map_err(contradiction)?;
        let reds = if by.selected_parent == own.id { red_reward(own).map_err(contradiction)? } else { 0 };
        let value = reward.checked_add(reds).ok_or_else(|| contradiction("the value passes 2^64".into()))?;
        if merge.reported.is_some_and(|reported| reported != value) {
            let reported = merge.reported.unwrap_or_default();
            return Err(contradiction(format!("the coinbase pays {value}, the node says {reported}")));
        }
        let mut detail = format!("blue, merged by {}", by.id);
        if reds > 0 {
            detail.push_str(&format!(", {reds} of it for red blocks"));
        }
        return Ok(BlockFate::Matured {
            value: Amount::new(u128::from(value)),
            placement: Placement::Main,
            detail,
        });
    }
    if by.reds.contains(&own.id) {
        if merge.reported.is_some_and(|reported| reported > 0) {
            return Err(contradiction("red, and the node reports a reward".into()));
        }
        return Ok(if is_final {
            BlockFate::Lost { placement: Placement::Red, detail: format!("red, merged by {}", by.id) }
        } else {
            BlockFate::Pending { confirmations }
        });
    }
    Err(contradiction(format!("not in the merge set of {}", by.id)))
}

/// What `by`'s coinbase pays for its blue block at `position`.
///
/// Usually there is one output per blue block, in order. Blocks outside of the difficulty window and blocks without
/// a reward have none; then the block's output is the only one to its script at a place it can have moved to.
fn blue_reward(own: &BlockFacts, by: &BlockFacts, position: usize) -> Result<u64, String> {
    let fits = |output: &&CoinbaseOutput| output.pay_to == own.pay_to && output.amount >= own.subsidy;
    if by.outputs.len() >= by.blues.len() {
        if by.outputs.len() > by.blues.len() + 1 {
            return Err(format!("{} outputs for {} blue blocks", by.outputs.len(), by.blues.len()));
        }
        return by.outputs.get(position).filter(fits).map(|output| output.amount).ok_or_else(|| {
            format!("output {position} of {}'s coinbase does not pay this block's miner", by.id)
        });
    }
    // With a red output the count of skipped blues is one more than it looks.
    let skipped = by.blues.len() - by.outputs.len() + usize::from(!by.reds.is_empty());
    let first = position.saturating_sub(skipped);
    let mut candidates = by.outputs.iter().take(position + 1).skip(first).filter(fits);
    match (candidates.next(), candidates.next()) {
        (None, _) => Ok(0),
        (Some(output), None) => Ok(output.amount),
        (Some(_), Some(_)) => {
            Err(format!("{}'s coinbase skips blocks and has several outputs for one", by.id))
        }
    }
}

/// What a chain block's own coinbase pays its miner for the red blocks it merged: an output behind the blues'.
fn red_reward(own: &BlockFacts) -> Result<u64, String> {
    if own.outputs.len() <= own.blues.len() {
        return Ok(0);
    }
    match own.outputs.last() {
        Some(output) if output.pay_to == own.pay_to && !own.reds.is_empty() => Ok(output.amount),
        Some(_) | None => Err("its own coinbase has an output that is neither a blue's nor its reds'".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: u8) -> BlockId {
        BlockId::new([n; 32])
    }

    fn script(n: u8) -> PayScript {
        PayScript { version: 0, script: vec![n; 34] }
    }

    fn output(amount: u64, to: u8) -> CoinbaseOutput {
        CoinbaseOutput { amount, pay_to: script(to) }
    }

    /// Block `n`, mined for script `n`, on top of block 0.
    fn block(n: u8, blue_score: u64) -> BlockFacts {
        BlockFacts {
            id: id(n),
            blue_score,
            daa_score: blue_score + 5,
            selected_parent: id(0),
            blues: vec![id(0)],
            reds: vec![],
            subsidy: 100,
            pay_to: script(n),
            outputs: vec![output(100, 0)],
        }
    }

    /// Block 9 merges 1, 2 (blue) and 3 (red).
    fn merger() -> BlockFacts {
        BlockFacts {
            selected_parent: id(1),
            blues: vec![id(1), id(2)],
            reds: vec![id(3)],
            outputs: vec![output(100, 1), output(107, 2), output(100, 9)],
            ..block(9, 50)
        }
    }

    const RULES: FateRules = FateRules { confirmations: 10, maturity: 20, lost_depth: 100 };

    fn merge(by: BlockFacts) -> Merge {
        Merge { by, accepted_at: Some(60), reported: None }
    }

    const DEEP: Tip = Tip { blue_score: 1_000, daa_score: 1_000 };

    fn value(own: &BlockFacts, merge: &Merge) -> u128 {
        match decide(own, Some(merge), DEEP, &RULES) {
            Ok(BlockFate::Matured { value, placement: Placement::Main, .. }) => value.get(),
            other => panic!("not matured: {other:?}"),
        }
    }

    #[test]
    fn a_blue_block_is_worth_its_output_in_the_merging_block() {
        assert_eq!(value(&block(1, 49), &merge(merger())), 100);
        assert_eq!(value(&block(2, 49), &merge(merger())), 107);
    }

    #[test]
    fn a_chain_block_also_earns_its_own_red_output() {
        // 9 is merged by 10, its child on the chain.
        let by = BlockFacts {
            selected_parent: id(9),
            blues: vec![id(9)],
            outputs: vec![output(100, 9)],
            ..block(10, 60)
        };
        assert_eq!(value(&merger(), &merge(by.clone())), 200);
        // The same block merged off the chain has no accepted coinbase and earns its own output only.
        let off_chain = BlockFacts { selected_parent: id(8), blues: vec![id(8), id(9)], ..by }
            .with_outputs(vec![output(100, 8), output(100, 9)]);
        assert_eq!(value(&merger(), &merge(off_chain)), 100);
    }

    impl BlockFacts {
        fn with_outputs(self, outputs: Vec<CoinbaseOutput>) -> Self {
            Self { outputs, ..self }
        }
    }

    #[test]
    fn a_red_block_is_lost_and_an_unmerged_one_too_but_only_after_depth() {
        let fate = |tip| decide(&block(3, 49), Some(&merge(merger())), tip, &RULES).unwrap();
        assert_eq!(fate(Tip { blue_score: 59, daa_score: 1_000 }), BlockFate::Pending { confirmations: 9 });
        assert!(matches!(fate(DEEP), BlockFate::Lost { placement: Placement::Red, .. }));
        let never =
            |blue_score| decide(&block(3, 49), None, Tip { blue_score, daa_score: 0 }, &RULES).unwrap();
        assert_eq!(never(149), BlockFate::Pending { confirmations: 0 });
        assert!(matches!(never(150), BlockFate::Lost { placement: Placement::Orphan, .. }));
    }

    #[test]
    fn nothing_is_final_before_depth_and_maturity() {
        let own = block(1, 49);
        let fate = |blue_score, daa_score, accepted_at| {
            let merge = Merge { accepted_at, ..merge(merger()) };
            decide(&own, Some(&merge), Tip { blue_score, daa_score }, &RULES).unwrap().is_final()
        };
        assert!(!fate(59, 80, Some(60)), "too shallow");
        assert!(!fate(60, 79, Some(60)), "immature");
        assert!(!fate(60, 1_000, None), "the coinbase is not accepted yet");
        assert!(fate(60, 80, Some(60)));
    }

    #[test]
    fn a_block_outside_of_the_difficulty_window_has_no_output_and_does_not_shift_the_others() {
        // 2 is skipped; 4 moves up to place 1.
        let by = BlockFacts {
            blues: vec![id(1), id(2), id(4)],
            reds: vec![],
            outputs: vec![output(100, 1), output(103, 4)],
            ..merger()
        };
        assert_eq!(value(&block(1, 49), &merge(by.clone())), 100);
        assert_eq!(value(&block(2, 49), &merge(by.clone())), 0);
        assert_eq!(value(&block(4, 49), &merge(by)), 103);
    }

    #[test]
    fn a_lying_node_decides_nothing() {
        let own = block(1, 49);
        let judged = |merge: &Merge| decide(&own, Some(merge), DEEP, &RULES);
        assert!(judged(&Merge { reported: Some(101), ..merge(merger()) }).is_err(), "another reward");
        assert!(judged(&Merge { reported: Some(100), ..merge(merger()) }).is_ok());
        let to_another = merger().with_outputs(vec![output(100, 7), output(107, 2), output(100, 9)]);
        assert!(judged(&merge(to_another)).is_err(), "the output pays somebody else");
        let too_little = merger().with_outputs(vec![output(99, 1), output(107, 2), output(100, 9)]);
        assert!(judged(&merge(too_little)).is_err(), "less than the subsidy");
        let elsewhere =
            BlockFacts { blues: vec![id(2)], outputs: vec![output(100, 2)], reds: vec![], ..merger() };
        assert!(judged(&merge(elsewhere)).is_err(), "not in the merge set");
        let red = Merge { reported: Some(1), ..merge(merger()) };
        assert!(decide(&block(3, 49), Some(&red), DEEP, &RULES).is_err(), "red with a reward");
    }

    proptest! {
        /// Over any chain: what the pool's blocks are worth is what the chain's coinbases pay to the pool.
        #[test]
        fn values_sum_to_what_the_chain_paid(
            steps in proptest::collection::vec(
                (proptest::collection::vec((any::<bool>(), 0u64..50, any::<bool>()), 0..4), any::<bool>()),
                1..20,
            ),
        ) {
            let (pool, others) = (script(1), script(2));
            let mut next = 1u64;
            let mut fresh = |ours: bool| {
                next += 1;
                let mut bytes = [0; 32];
                bytes[..8].copy_from_slice(&next.to_le_bytes());
                BlockFacts {
                    id: BlockId::new(bytes),
                    pay_to: if ours { pool.clone() } else { others.clone() },
                    ..block(0, next)
                }
            };
            let mut parent = BlockFacts { blues: vec![], outputs: vec![], ..fresh(false) };
            let mut parent_accepted = false;
            let mut paid = 0u128;
            let mut worth = 0u128;
            for (side, ours) in steps {
                let side: Vec<_> = side.into_iter().map(|(own, fees, red)| (fresh(own), fees, red)).collect();
                let mut chain = fresh(ours);
                chain.selected_parent = parent.id;
                chain.blues = vec![parent.id];
                chain.outputs = vec![CoinbaseOutput { amount: 100, pay_to: parent.pay_to.clone() }];
                let mut red_sum = 0;
                for (block, fees, red) in &side {
                    if *red {
                        chain.reds.push(block.id);
                        red_sum += 100 + fees;
                    } else {
                        chain.blues.push(block.id);
                        chain.outputs.push(CoinbaseOutput { amount: 100 + fees, pay_to: block.pay_to.clone() });
                    }
                }
                if red_sum > 0 {
                    chain.outputs.push(CoinbaseOutput { amount: red_sum, pay_to: chain.pay_to.clone() });
                }
                // `chain` accepts its selected parent's coinbase.
                if parent_accepted {
                    paid += parent.outputs.iter().filter(|o| o.pay_to == pool).map(|o| u128::from(o.amount)).sum::<u128>();
                }
                let merge = Merge { by: chain.clone(), accepted_at: Some(0), reported: None };
                for own in side.iter().map(|(block, ..)| block).chain([&parent]).filter(|b| b.pay_to == pool) {
                    worth += decide(own, Some(&merge), DEEP, &FateRules { confirmations: 0, ..RULES })
                        .unwrap().value().get();
                }
                parent = chain;
                parent_accepted = true;
            }
            // The last coinbase is not accepted yet: what it pays is worth, and its own red output is not.
            paid += parent.outputs.iter().take(parent.blues.len()).filter(|o| o.pay_to == pool)
                .map(|o| u128::from(o.amount)).sum::<u128>();
            prop_assert_eq!(worth, paid);
        }
    }
}
