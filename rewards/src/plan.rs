//! Which balances become payouts: pure, and the same for the same balances.

use alloc::vec::Vec;
use pool_core::id::MinerId;
use pool_core::payout::PayoutItem;
use pool_core::units::Amount;

/// What one transaction can carry and what the pool pays at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanRules {
    /// The most outputs of one batch; at least one is planned.
    pub items_max: usize,
    /// The least amount of one output: below it the network calls it dust.
    pub amount_min: Amount,
    /// Who chose nothing is paid from this balance on.
    pub threshold: Amount,
    /// The lowest threshold a miner may choose for himself; smaller choices count as this.
    pub threshold_min: Amount,
}

/// A miner who may be due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Who.
    pub miner: MinerId,
    /// What the pool owes him.
    pub owed: Amount,
    /// The least sum he wants to be paid, if he chose one.
    pub threshold: Option<Amount>,
}

/// The batches that are due now. Each holds at most `items_max` items by ascending address; each miner is in one.
///
/// A miner is paid his whole balance once it reaches his threshold and the dust limit; nothing is paid in parts.
#[must_use]
pub fn plan(due: &[Due], rules: &PlanRules) -> Vec<Vec<PayoutItem>> {
    let mut items: Vec<PayoutItem> = due
        .iter()
        .filter(|miner| {
            let chosen = miner.threshold.map_or(rules.threshold, |own| own.max(rules.threshold_min));
            !miner.owed.is_zero() && miner.owed >= chosen.max(rules.amount_min)
        })
        .map(|miner| PayoutItem { miner: miner.miner.clone(), amount: miner.owed })
        .collect();
    items.sort_unstable_by(|a, b| a.miner.cmp(&b.miner));
    items.dedup_by(|later, first| later.miner == first.miner);
    items.chunks(rules.items_max.max(1)).map(<[PayoutItem]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn due(name: &str, owed: u128, threshold: Option<u128>) -> Due {
        Due {
            miner: MinerId::new(name).unwrap(),
            owed: Amount::new(owed),
            threshold: threshold.map(Amount::new),
        }
    }

    fn rules(items_max: usize, amount_min: u128, threshold: u128, threshold_min: u128) -> PlanRules {
        PlanRules {
            items_max,
            amount_min: Amount::new(amount_min),
            threshold: Amount::new(threshold),
            threshold_min: Amount::new(threshold_min),
        }
    }

    #[test]
    fn thresholds_dust_and_batches() {
        let list = [
            due("d", 100, None),
            due("a", 99, None),
            due("c", 50, Some(50)),
            due("b", 20, Some(1)),
            due("e", 19, Some(1)),
            due("f", 9, Some(0)),
            due("g", 0, Some(0)),
        ];
        let batches = plan(&list, &rules(2, 10, 100, 20));
        let texts: Vec<Vec<(&str, u128)>> = batches
            .iter()
            .map(|batch| batch.iter().map(|item| (item.miner.as_str(), item.amount.get())).collect())
            .collect();
        assert_eq!(texts, [vec![("b", 20), ("c", 50)], vec![("d", 100)]]);
        assert!(plan(&list[6..], &rules(0, 0, 0, 0)).is_empty(), "nothing is not paid");
    }

    proptest! {
        #[test]
        fn every_due_miner_is_paid_whole_and_once(
            owed in proptest::collection::btree_map("[a-z]{1,3}", 0u128..1_000, 0..40),
            items_max in 0usize..7, minimum in 0u128..500, threshold in 0u128..500
        ) {
            let list: Vec<Due> = owed.iter().rev().map(|(name, owed)| due(name, *owed, None)).collect();
            let rules = rules(items_max, minimum, threshold, 0);
            let batches = plan(&list, &rules);
            prop_assert!(batches.iter().all(|batch| !batch.is_empty() && batch.len() <= items_max.max(1)));
            let paid: Vec<(String, u128)> = batches
                .into_iter().flatten().map(|item| (item.miner.to_string(), item.amount.get())).collect();
            let expected: Vec<(String, u128)> = owed
                .into_iter().filter(|(_, owed)| *owed > 0 && *owed >= threshold.max(minimum)).collect();
            prop_assert_eq!(paid, expected);
        }
    }
}
