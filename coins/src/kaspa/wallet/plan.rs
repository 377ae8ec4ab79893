//! Which coins a payment spends and what it leaves: pure, and the same for the same coins.
//!
//! Kaspa weighs a transaction three ways: by computation, by size, and (KIP-9) by how much smaller its outputs are
//! than its inputs, which makes many small outputs from few large coins dear. Largest coins first keeps a payment
//! within the 100 000 grams that a mempool takes for as long as it can; a change too small to be worth its mass is
//! avoided by taking one more coin. The fee is the rate times the greatest of the masses, and never above a cap.

use super::super::coinbase::PayScript;
use super::super::convert;
use super::super::grpc::wire;
use super::super::mass::{self, Masses};
use pool_core::coin::WalletError;
use pool_core::units::Amount;

/// The most coins one transaction spends: 80 signed inputs weigh some 90 000 grams.
pub(super) const INPUTS_MAX: usize = 80;
/// A change below this is not made: it alone would weigh 10^12 / 10^8 = 10 000 grams. Unit: sompi.
const CHANGE_MIN: u64 = 100_000_000;
/// A rest below this is given to the miners instead of looking for another coin. Unit: sompi.
const DUST: u64 = 100_000;
/// Bytes of a signature script: a push of 64 bytes of signature and one of hash type.
const SIGNATURE_SCRIPT_LEN: usize = 66;

/// A coin that can be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Coin {
    /// Natural byte order.
    pub(super) txid: [u8; 32],
    pub(super) index: u32,
    pub(super) amount: u64,
    pub(super) daa_score: u64,
    pub(super) is_coinbase: bool,
}

impl Coin {
    /// `txid:index`, as a [`pool_core::payout::SignedTx`] lists what it spends.
    pub(super) fn text(&self) -> String {
        format!("{}:{}", hex::encode(self.txid), self.index)
    }
}

/// What a payment costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FeeRules {
    /// Unit: sompi a gram; at least the relay's 100.
    pub(super) rate: u64,
    /// The most a transaction may cost. Unit: sompi.
    pub(super) fee_max: u64,
}

/// A payment without signatures.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) coins: Vec<Coin>,
    pub(super) transaction: wire::Transaction,
    pub(super) fee: u64,
}

fn impossible<T>(why: impl Into<String>) -> Result<T, WalletError> {
    Err(WalletError::Impossible(why.into()))
}

/// Pays `outputs` from `coins` of `own`, the change back to it.
///
/// # Errors
/// `Impossible` when no coins at all could carry these outputs in one transaction, `Short` when these cannot.
pub(super) fn pay(
    mut coins: Vec<Coin>,
    outputs: &[(PayScript, u64)],
    own: &PayScript,
    rules: FeeRules,
) -> Result<Plan, WalletError> {
    if outputs.is_empty() {
        return impossible("it has no outputs");
    }
    let Some(total) = outputs.iter().try_fold(0u64, |sum, (_, amount)| sum.checked_add(*amount)) else {
        return impossible("its sum passes 2^64 sompi");
    };
    if outputs.iter().any(|(_, amount)| *amount == 0) {
        return impossible("an output of nothing");
    }
    check_outputs(outputs, total)?;
    // Largest first; equal ones by name, so that the order is total.
    coins.sort_unstable_by(|a, b| {
        b.amount.cmp(&a.amount).then_with(|| (a.txid, a.index).cmp(&(b.txid, b.index)))
    });
    let mut taken: Vec<Coin> = Vec::new();
    let mut sum = 0u64;
    let mut too_heavy = None;
    for coin in coins.into_iter().take(INPUTS_MAX) {
        sum = sum
            .checked_add(coin.amount)
            .ok_or_else(|| WalletError::Impossible("coins pass 2^64 sompi".into()))?;
        taken.push(coin);
        if sum < total {
            continue;
        }
        match finish(&taken, sum, outputs, total, own, rules)? {
            Finished::Plan(plan) => return Ok(*plan),
            // One more coin makes the change larger, which makes it lighter.
            Finished::NeedsMore => {}
            Finished::TooHeavy(why) => too_heavy = Some(why),
        }
    }
    if let Some(why) = too_heavy {
        return impossible(why);
    }
    Err(WalletError::Short {
        spendable: Amount::new(u128::from(sum)),
        needed: Amount::new(u128::from(total) + u128::from(CHANGE_MIN)),
    })
}

/// What the outputs weigh whatever pays them.
fn check_outputs(outputs: &[(PayScript, u64)], total: u64) -> Result<(), WalletError> {
    let bare = transaction(&[], outputs, None);
    // One input of all the money: the most that can be subtracted is more inputs, at most as many as fit.
    let masses =
        convert::masses(&bare, &[total]).map_err(|error| WalletError::Impossible(error.to_string()))?;
    if masses.compute > mass::STANDARD_MAX || masses.transient > mass::STANDARD_MAX {
        return impossible(format!("its {} outputs alone are too heavy for one transaction", outputs.len()));
    }
    Ok(())
}

enum Finished {
    Plan(Box<Plan>),
    NeedsMore,
    TooHeavy(String),
}

fn finish(
    coins: &[Coin],
    sum: u64,
    outputs: &[(PayScript, u64)],
    total: u64,
    own: &PayScript,
    rules: FeeRules,
) -> Result<Finished, WalletError> {
    let amounts: Vec<u64> = coins.iter().map(|coin| coin.amount).collect();
    let rest = sum - total;
    // Without change, when the rest just covers the fee.
    let (bare, masses) = weigh(coins, &amounts, outputs, None)?;
    let bare_fee = fee_of(&masses, rules.rate);
    if (bare_fee..=bare_fee.saturating_add(DUST)).contains(&rest) && rest <= rules.fee_max && fits(&masses) {
        return Ok(Finished::Plan(Box::new(Plan { coins: coins.to_vec(), transaction: bare, fee: rest })));
    }
    // With change: a larger fee makes the change smaller and so heavier; a few rounds settle it.
    let mut fee = bare_fee;
    for _ in 0..16 {
        let Some(change) = rest.checked_sub(fee).filter(|change| *change >= CHANGE_MIN) else {
            return Ok(Finished::NeedsMore);
        };
        let (transaction, masses) = weigh(coins, &amounts, outputs, Some((own, change)))?;
        if !fits(&masses) {
            return Ok(Finished::TooHeavy(format!(
                "it weighs {} grams by computation, {} by size and {} by storage, and {} is the most; pay fewer or \
                 larger amounts at once",
                masses.compute,
                masses.transient,
                masses.storage,
                mass::STANDARD_MAX
            )));
        }
        let needed = fee_of(&masses, rules.rate);
        if needed <= fee {
            if fee > rules.fee_max {
                return impossible(format!("its fee of {fee} sompi is above the limit of {}", rules.fee_max));
            }
            return Ok(Finished::Plan(Box::new(Plan { coins: coins.to_vec(), transaction, fee })));
        }
        fee = needed;
    }
    Ok(Finished::NeedsMore)
}

/// Joins coins into one to ourselves. `None` when that would not pay for itself.
pub(super) fn join(coins: Vec<Coin>, own: &PayScript, rules: FeeRules) -> Result<Option<Plan>, WalletError> {
    let amounts: Vec<u64> = coins.iter().map(|coin| coin.amount).collect();
    let Some(sum) = amounts.iter().try_fold(0u64, |sum, amount| sum.checked_add(*amount)) else {
        return impossible("coins pass 2^64 sompi");
    };
    // The fee hardly depends on the amount of the one output: weigh it at half of everything.
    let draft = [(own.clone(), (sum / 2).max(1))];
    let (_, masses) = weigh(&coins, &amounts, &draft, None)?;
    let fee = fee_of(&masses, rules.rate);
    let Some(joined) = sum.checked_sub(fee).filter(|joined| *joined >= CHANGE_MIN && fee <= rules.fee_max)
    else {
        return Ok(None);
    };
    let (transaction, masses) = weigh(&coins, &amounts, &[(own.clone(), joined)], None)?;
    if !fits(&masses) || fee_of(&masses, rules.rate) > fee {
        return Ok(None);
    }
    Ok(Some(Plan { coins, transaction, fee }))
}

fn fits(masses: &Masses) -> bool {
    [masses.compute, masses.transient, masses.storage].iter().all(|mass| *mass <= mass::STANDARD_MAX)
}

fn fee_of(masses: &Masses, rate: u64) -> u64 {
    masses.fee_mass().saturating_mul(rate).max(masses.relay_fee_min())
}

fn weigh(
    coins: &[Coin],
    amounts: &[u64],
    outputs: &[(PayScript, u64)],
    change: Option<(&PayScript, u64)>,
) -> Result<(wire::Transaction, Masses), WalletError> {
    let mut transaction = transaction(coins, outputs, change);
    let masses =
        convert::masses(&transaction, amounts).map_err(|error| WalletError::Impossible(error.to_string()))?;
    transaction.storage_mass = masses.storage;
    Ok((transaction, masses))
}

/// The transaction with room for its signatures, so that it weighs what it will weigh.
fn transaction(
    coins: &[Coin],
    outputs: &[(PayScript, u64)],
    change: Option<(&PayScript, u64)>,
) -> wire::Transaction {
    let output = |(script, amount): (&PayScript, u64)| wire::TransactionOutput {
        amount,
        script: Some(convert::wire_script(script)),
        covenant: None,
    };
    let input = |coin: &Coin| wire::TransactionInput {
        outpoint: Some(wire::Outpoint { transaction_id: hex::encode(coin.txid), index: coin.index }),
        signature_script: "00".repeat(SIGNATURE_SCRIPT_LEN),
        sequence: 0,
        sig_op_count: 1,
        compute_budget: 0,
    };
    let paid = outputs.iter().map(|(script, amount)| (script, *amount));
    wire::Transaction {
        version: 0,
        inputs: coins.iter().map(input).collect(),
        outputs: paid.chain(change).map(output).collect(),
        subnetwork_id: "00".repeat(20),
        ..wire::Transaction::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KAS: u64 = 100_000_000;

    fn script(n: u8) -> PayScript {
        let mut script = vec![0x20];
        script.extend_from_slice(&[n; 32]);
        script.push(0xac);
        PayScript { version: 0, script }
    }

    fn coin(n: u16, amount: u64) -> Coin {
        let mut txid = [0; 32];
        txid[..2].copy_from_slice(&n.to_be_bytes());
        Coin { txid, index: u32::from(n) % 3, amount, daa_score: 0, is_coinbase: true }
    }

    const RULES: FeeRules = FeeRules { rate: 100, fee_max: 100_000_000 };

    fn check(plan: &Plan, outputs: &[(PayScript, u64)]) {
        let paid: u64 = plan.transaction.outputs.iter().map(|output| output.amount).sum();
        let got: u64 = plan.coins.iter().map(|coin| coin.amount).sum();
        assert_eq!(got, paid + plan.fee);
        for ((script, amount), output) in outputs.iter().zip(&plan.transaction.outputs) {
            assert_eq!(
                (output.amount, output.script.as_ref().unwrap()),
                (*amount, &convert::wire_script(script))
            );
        }
        let amounts: Vec<u64> = plan.coins.iter().map(|coin| coin.amount).collect();
        let masses = convert::masses(&plan.transaction, &amounts).unwrap();
        assert!(fits(&masses));
        assert!(plan.fee >= masses.relay_fee_min() && plan.fee >= fee_of(&masses, RULES.rate).min(plan.fee));
        assert_eq!(plan.transaction.storage_mass, masses.storage);
    }

    #[test]
    fn a_payment_takes_the_largest_coins_and_gives_the_change_back() {
        let coins = vec![coin(1, 2 * KAS), coin(2, 10 * KAS), coin(3, 3 * KAS)];
        let outputs = [(script(9), 4 * KAS)];
        let plan = pay(coins.clone(), &outputs, &script(1), RULES).unwrap();
        check(&plan, &outputs);
        assert_eq!(plan.coins, [coin(2, 10 * KAS)]);
        assert_eq!(plan.transaction.outputs.len(), 2);
        assert_eq!(plan.fee, 316_700, "100 sompi a gram of 2500 + 1667 - 1000 grams of storage");
        let mut turned = coins;
        turned.rotate_left(1);
        assert_eq!(pay(turned, &outputs, &script(1), RULES).unwrap().transaction, plan.transaction);
    }

    #[test]
    fn a_small_change_is_made_larger_by_one_more_coin() {
        let coins = vec![coin(1, 10 * KAS), coin(2, 5 * KAS)];
        let outputs = [(script(9), 10 * KAS - KAS / 2)];
        let plan = pay(coins, &outputs, &script(1), RULES).unwrap();
        check(&plan, &outputs);
        assert_eq!(plan.coins.len(), 2);
    }

    #[test]
    fn not_enough_is_short_and_never_possible_is_impossible() {
        let outputs = [(script(9), 10 * KAS)];
        let short = pay(vec![coin(1, KAS)], &outputs, &script(1), RULES);
        assert!(matches!(short, Err(WalletError::Short { .. })), "{short:?}");
        let tiny: Vec<_> = (0..60).map(|n| (script(n), KAS / 10)).collect();
        let heavy = pay(vec![coin(1, 1_000 * KAS)], &tiny, &script(1), RULES);
        assert!(matches!(heavy, Err(WalletError::Impossible(_))), "{heavy:?}");
        let many: Vec<_> = (0..250).map(|n| (script(n), 1_000 * KAS)).collect();
        let heavy = pay(vec![coin(1, 1_000_000 * KAS)], &many, &script(1), RULES);
        assert!(matches!(heavy, Err(WalletError::Impossible(_))), "{heavy:?}");
        let dear = pay(vec![coin(1, 100 * KAS)], &outputs, &script(1), FeeRules { fee_max: 10, ..RULES });
        assert!(matches!(dear, Err(WalletError::Impossible(_))), "{dear:?}");
    }

    #[test]
    fn eighty_coins_join_into_one() {
        let coins: Vec<Coin> = (0..80).map(|n| coin(n, 2 * KAS)).collect();
        let plan = join(coins, &script(1), RULES).unwrap().unwrap();
        check(&plan, &[]);
        assert_eq!(plan.transaction.outputs.len(), 1);
        assert!(plan.fee < KAS / 10);
        assert!(join(vec![coin(1, 1_000), coin(2, 1_000)], &script(1), RULES).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn whatever_is_planned_balances_and_fits(
            amounts in proptest::collection::vec(KAS / 10..500 * KAS, 1..120),
            items in proptest::collection::vec(KAS / 2..100 * KAS, 1..60),
            rate in 100u64..500,
        ) {
            let coins: Vec<Coin> = (0..).zip(&amounts).map(|(n, amount)| coin(n, *amount)).collect();
            let outputs: Vec<_> = (0..).zip(&items).map(|(n, amount)| (script(n), *amount)).collect();
            match pay(coins, &outputs, &script(200), FeeRules { rate, fee_max: u64::MAX }) {
                Ok(plan) => check(&plan, &outputs),
                Err(WalletError::Short { .. } | WalletError::Impossible(_)) => {}
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}
