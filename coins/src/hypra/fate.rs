//! What became of a block of the pool, by the chain's own rules.
//!
//! The node completes a block from nonce and mix, so the pool knows its block by height, nonce and mix
//! ([`FoundName`]). On the chain it is
//!
//! - the block of that height, when nonce and mix are the same;
//! - an uncle of one of the seven blocks above, which is paid less;
//! - nowhere, when the tip is so far above that no block can include it any more.
//!
//! What it is worth is read from the chain: the reward by height, the fees of its transactions by their receipts, and what
//! the chain mints beyond that ([`super::rewards`]). The last is believed only when the balance of the pool's address, from
//! the block before to this block, grew by exactly the sum; where balances of that height are forgotten already, or tell
//! another story, the block is credited with what it surely paid, and the rest stays the operator's.
//!
//! [`decide`] is the pure rule over facts; the `node` half of this crate collects the facts.

use super::address::Address;
use super::coin::FoundName;
use super::params::UNCLE_DEPTH;
use super::rewards::{Fees, RewardRules, UNCLE};
use super::tx::Price;
use pool_core::block::{BlockFate, Placement};
use pool_core::units::Amount;

/// When a block's fate is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FateRules {
    /// Blocks on top of the one that pays. Public pools wait for 16 to 120.
    pub confirmations: u64,
    /// What blocks pay.
    pub rewards: RewardRules,
}

/// A sealed block or uncle, as far as it can be recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its hash.
    pub hash: [u8; 32],
    /// Its height.
    pub number: u64,
    /// Whom it pays.
    pub miner: Address,
    /// Its nonce.
    pub nonce: u64,
    /// Its mix.
    pub mix: [u8; 32],
}

/// A transaction of a block with its receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Who sent it.
    pub from: Address,
    /// Who was sent to; `None` for a contract's creation.
    pub to: Option<Address>,
    /// Unit: wei.
    pub value: u128,
    /// What gas could cost.
    pub price: Price,
    /// The most gas it could use.
    pub gas_limit: u64,
    /// The gas it used.
    pub gas_used: u64,
    /// Whether it did what it should: its value moved.
    pub succeeded: bool,
}

/// A block of the chain with what it says of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockFacts {
    /// The block.
    pub block: Sealed,
    /// Its base fee, from London on. Unit: wei.
    pub base_fee: Option<u128>,
    /// The uncles it includes: two at most.
    pub uncles: Vec<Sealed>,
    /// Its transactions.
    pub transactions: Vec<Carried>,
    /// The pool's balance in the state before it and in its own; `None` where a node has forgotten either. Unit: wei.
    pub balances: Option<(u128, u128)>,
}

/// Where the chain has a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is this block.
    Main(BlockFacts),
    /// It is an uncle of this block.
    UncleOf(BlockFacts),
    /// Neither at its height nor among the uncles above it, as far as there are blocks.
    Nowhere,
}

/// Facts that contradict each other: a node that lies, or a chain whose rules are not those known here. Nothing is
/// decided on them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("facts about block {block} contradict each other: {why}")]
pub struct Contradiction {
    /// The block asked about.
    pub block: FoundName,
    /// What does not fit.
    pub why: &'static str,
}

/// The fate of a block named `own` when the chain's tip is at `tip`.
///
/// # Errors
/// [`Contradiction`] when balances shrank, sums pass 128 bits, or the facts are of another block.
pub fn decide(
    own: FoundName,
    place: &Place,
    tip: u64,
    pool: &Address,
    rules: &FateRules,
) -> Result<BlockFate, Contradiction> {
    let contradiction = |why| Contradiction { block: own, why };
    let (facts, as_uncle) = match place {
        Place::Main(facts) => (facts, false),
        Place::UncleOf(facts) => (facts, true),
        Place::Nowhere => {
            // The last block that can include it, as deep as any other.
            let last = own.height().saturating_add(UNCLE_DEPTH);
            let final_at = last.saturating_add(rules.confirmations);
            return Ok(if tip >= final_at {
                BlockFate::Lost {
                    placement: Placement::Orphan,
                    detail: format!("neither block {} nor an uncle up to block {last}", own.height()),
                }
            } else {
                BlockFate::Unknown
            });
        }
    };
    let sealed = if as_uncle {
        let found = facts.uncles.iter().find(|uncle| own.names(uncle));
        *found.ok_or_else(|| contradiction("the block has no such uncle"))?
    } else if own.names(&facts.block) {
        facts.block
    } else {
        return Err(contradiction("another block was found"));
    };
    let confirmations = tip.saturating_sub(facts.block.number);
    if tip < facts.block.number {
        return Err(contradiction("it is above the tip"));
    }
    if confirmations < rules.confirmations {
        return Ok(BlockFate::Pending { confirmations });
    }
    if sealed.miner != *pool {
        return Ok(BlockFate::Lost {
            placement: Placement::Orphan,
            detail: format!("it pays {}, which is not the pool: the node mined for another", sealed.miner),
        });
    }
    let worth = Worth::read(facts, pool, rules).map_err(contradiction)?;
    let (placement, value) = if as_uncle {
        (Placement::Uncle, if worth.confirmed { worth.uncle } else { UNCLE })
    } else {
        (Placement::Main, if worth.confirmed { worth.block } else { worth.block_at_least })
    };
    let mut detail = format!("0x{}", hex::encode(sealed.hash));
    if as_uncle {
        detail.push_str(&format!(", uncle of 0x{}", hex::encode(facts.block.hash)));
    }
    if !worth.confirmed {
        detail.push_str(", without what the chain may have minted for fees: the balances do not show it");
    }
    Ok(BlockFate::Matured { value: Amount::new(value), placement, detail })
}

/// What a block paid.
struct Worth {
    block: u128,
    block_at_least: u128,
    uncle: u128,
    /// The pool's balance grew by exactly these.
    confirmed: bool,
}

impl Worth {
    fn read(facts: &BlockFacts, pool: &Address, rules: &FateRules) -> Result<Self, &'static str> {
        const LARGE: &str = "amounts pass 128 bits";
        let height = facts.block.number;
        let uncles = u8::try_from(facts.uncles.len())
            .ok()
            .filter(|uncles| *uncles <= 2)
            .ok_or("more than two uncles")?;
        let mut fees = Fees::default();
        // What transactions alone did to the pool's balance.
        let (mut received, mut spent) = (0u128, 0u128);
        let base_fee = facts.base_fee.unwrap_or(0);
        for carried in &facts.transactions {
            let price = carried.price.effective(base_fee).ok_or("a transaction below the base fee")?;
            let gas_used = u128::from(carried.gas_used);
            let tip = gas_used.checked_mul(price - base_fee).ok_or(LARGE)?;
            let reserved = u128::from(carried.gas_limit).checked_mul(carried.price.cap()).ok_or(LARGE)?;
            fees.paid = fees.paid.checked_add(tip).ok_or(LARGE)?;
            fees.reserved = fees.reserved.checked_add(reserved).ok_or(LARGE)?;
            if carried.succeeded && carried.to == Some(*pool) {
                received = received.checked_add(carried.value).ok_or(LARGE)?;
            }
            if carried.from == *pool {
                let gas = gas_used.checked_mul(price).ok_or(LARGE)?;
                let value = if carried.succeeded { carried.value } else { 0 };
                spent = spent.checked_add(gas).and_then(|sum| sum.checked_add(value)).ok_or(LARGE)?;
            }
        }
        let rewards = &rules.rewards;
        let block = rewards.of_block(height, fees, uncles).ok_or(LARGE)?;
        let block_at_least = rewards.of_block_at_least(height, fees).ok_or(LARGE)?;
        let uncle = rewards.of_uncle(height, fees, uncles).ok_or(LARGE)?;
        let own_uncles = facts.uncles.iter().filter(|uncle| uncle.miner == *pool).count() as u128;
        let own_block = u128::from(facts.block.miner == *pool);
        let sum = |block: u128, uncle: u128| {
            let parts = (block * own_block).checked_add(uncle.checked_mul(own_uncles)?)?;
            parts.checked_add(received)
        };
        let expected = sum(block, uncle).ok_or(LARGE)?;
        let confirmed = match facts.balances {
            None => false,
            Some((before, after)) => {
                let grown = after.checked_add(spent).ok_or(LARGE)?;
                if grown < before.checked_add(sum(block_at_least, UNCLE).ok_or(LARGE)?).ok_or(LARGE)? {
                    return Err("the pool's balance grew by less than the block surely pays");
                }
                Some(grown) == before.checked_add(expected)
            }
        };
        Ok(Self { block, block_at_least, uncle, confirmed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypra::params::{HYP, Network};

    const POOL: Address = Address::new([0x11; 20]);
    const OTHER: Address = Address::new([0x22; 20]);
    const RULES: FateRules = FateRules { confirmations: 16, rewards: Network::Mainnet.rewards() };
    const HEIGHT: u64 = 1_000_000;

    fn sealed(number: u64, nonce: u64, miner: Address) -> Sealed {
        Sealed { hash: [nonce as u8; 32], number, miner, nonce, mix: [nonce as u8; 32] }
    }

    fn own() -> FoundName {
        FoundName::new(HEIGHT, 7, &[7; 32])
    }

    /// One transaction of 21 000 gas at 10 wei, with room for 50 000: paid 210 000, reserved 500 000.
    fn carried() -> Carried {
        Carried {
            from: OTHER,
            to: Some(OTHER),
            value: 5,
            price: Price::Legacy(10),
            gas_limit: 50_000,
            gas_used: 21_000,
            succeeded: true,
        }
    }

    fn facts() -> BlockFacts {
        BlockFacts {
            block: sealed(HEIGHT, 7, POOL),
            base_fee: None,
            uncles: vec![],
            transactions: vec![carried()],
            balances: Some((1_000, 1_000 + 4 * HYP + 710_000)),
        }
    }

    fn fate(place: &Place, tip: u64) -> Result<BlockFate, Contradiction> {
        decide(own(), place, tip, &POOL, &RULES)
    }

    fn worth(facts: BlockFacts) -> (u128, Placement) {
        let place = if facts.block.number == HEIGHT { Place::Main(facts) } else { Place::UncleOf(facts) };
        match fate(&place, HEIGHT + 100).unwrap() {
            BlockFate::Matured { value, placement, .. } => (value.get(), placement),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_block_is_pending_until_it_is_deep_and_then_worth_what_the_chain_paid() {
        let place = Place::Main(facts());
        assert_eq!(fate(&place, HEIGHT), Ok(BlockFate::Pending { confirmations: 0 }));
        assert_eq!(fate(&place, HEIGHT + 15), Ok(BlockFate::Pending { confirmations: 15 }));
        assert!(fate(&place, HEIGHT - 1).is_err());
        assert_eq!(worth(facts()), (4 * HYP + 710_000, Placement::Main));
    }

    #[test]
    fn without_the_balance_only_what_is_sure_is_credited() {
        assert_eq!(worth(BlockFacts { balances: None, ..facts() }).0, 4 * HYP + 210_000);
        // Somebody's contract paid the pool in the same block: the sum cannot be taken apart.
        let more = Some((1_000, 1_001 + 4 * HYP + 710_000));
        assert_eq!(worth(BlockFacts { balances: more, ..facts() }).0, 4 * HYP + 210_000);
        let once = Some((1_000, 1_000 + 4 * HYP + 210_000));
        assert_eq!(worth(BlockFacts { balances: once, ..facts() }).0, 4 * HYP + 210_000);
        let less = Some((1_000, 999 + 4 * HYP + 210_000));
        assert!(fate(&Place::Main(BlockFacts { balances: less, ..facts() }), HEIGHT + 100).is_err());
    }

    #[test]
    fn the_pools_own_payouts_in_the_block_are_taken_into_account() {
        let payout = Carried { from: POOL, value: HYP, ..carried() };
        let income = Carried { to: Some(POOL), value: 77, ..carried() };
        let failed = Carried { from: POOL, value: 99, succeeded: false, ..carried() };
        let transactions = vec![carried(), payout, income, failed];
        let paid = 4 * HYP + 4 * 710_000;
        let before = 10 * HYP;
        let after = before + paid + 77 - HYP - 2 * 210_000;
        let facts = BlockFacts { transactions, balances: Some((before, after)), ..facts() };
        assert_eq!(worth(facts).0, paid);
    }

    #[test]
    fn uncles_are_worth_a_tenth_and_their_part_of_the_fees() {
        let by = sealed(HEIGHT + 2, 9, OTHER);
        let uncles = vec![sealed(HEIGHT, 7, POOL), sealed(HEIGHT + 1, 8, POOL)];
        let balances = Some((0, 2 * (UNCLE + 500_000)));
        let facts = BlockFacts { block: by, uncles, balances, ..facts() };
        assert_eq!(worth(facts.clone()), (UNCLE + 500_000, Placement::Uncle));
        assert_eq!(worth(BlockFacts { balances: None, ..facts.clone() }), (UNCLE, Placement::Uncle));
        assert_eq!(
            fate(&Place::UncleOf(facts.clone()), HEIGHT + 17),
            Ok(BlockFate::Pending { confirmations: 15 }),
            "the depth is that of the block that includes it"
        );
        // The pool includes its own uncles.
        let block = sealed(HEIGHT + 2, 9, POOL);
        let own_block = 4 * HYP + 710_000 + 2 * (UNCLE + 500_000);
        let balances = Some((0, own_block + 2 * (UNCLE + 500_000)));
        assert_eq!(worth(BlockFacts { block, balances, ..facts }), (UNCLE + 500_000, Placement::Uncle));
    }

    #[test]
    fn from_london_on_the_base_fee_is_burnt_and_the_rest_divided() {
        let rules = FateRules { rewards: RewardRules { london: HEIGHT, ..RULES.rewards }, ..RULES };
        let price = Price::Dynamic { tip_max: 3, fee_max: 20 };
        let facts = BlockFacts {
            base_fee: Some(6),
            transactions: vec![Carried { price, ..carried() }],
            uncles: vec![sealed(HEIGHT - 1, 1, OTHER)],
            ..facts()
        };
        let (paid, half) = (3 * 21_000, 50_000 * 20 / 2);
        let value = 3 * HYP + paid + half + UNCLE + half;
        let facts = BlockFacts { balances: Some((0, value)), ..facts };
        match decide(own(), &Place::Main(facts), HEIGHT + 16, &POOL, &rules) {
            Ok(BlockFate::Matured { value: read, .. }) => assert_eq!(read.get(), value),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nowhere_is_unknown_until_no_block_can_include_it_any_more() {
        assert_eq!(fate(&Place::Nowhere, HEIGHT + 22), Ok(BlockFate::Unknown));
        let lost = fate(&Place::Nowhere, HEIGHT + 23).unwrap();
        assert!(matches!(lost, BlockFate::Lost { placement: Placement::Orphan, .. }), "{lost:?}");
    }

    #[test]
    fn lies_are_noticed() {
        let other = BlockFacts { block: sealed(HEIGHT, 8, POOL), ..facts() };
        assert!(fate(&Place::Main(other.clone()), HEIGHT + 100).is_err());
        assert!(fate(&Place::UncleOf(facts()), HEIGHT + 100).is_err());
        let below = Carried { price: Price::Legacy(1), ..carried() };
        let dear = BlockFacts { base_fee: Some(2), transactions: vec![below], ..facts() };
        assert!(fate(&Place::Main(dear), HEIGHT + 100).is_err());
        let huge = Carried { price: Price::Legacy(u128::MAX), ..carried() };
        assert!(
            fate(&Place::Main(BlockFacts { transactions: vec![huge], ..facts() }), HEIGHT + 100).is_err()
        );
        let stranger = BlockFacts { block: sealed(HEIGHT, 7, OTHER), balances: None, ..facts() };
        let lost = fate(&Place::Main(stranger), HEIGHT + 100).unwrap();
        assert!(
            matches!(&lost, BlockFate::Lost { detail, .. } if detail.contains("not the pool")),
            "{lost:?}"
        );
    }
}
