//! Mass: what a transaction costs the network, and the least fee for it.
//!
//! Three masses count: compute, transient (bytes while a block is processed) and storage (KIP-9: many small outputs
//! from few large inputs bloat the set of unspent outputs). Source: crates `kaspa-consensus-core` 2.1.0
//! (`src/mass/`) and `kaspa-mining` 2.1.0 (`check_transaction_standard.rs`).

use super::tx::Transaction;

/// The most a mempool takes of each mass.
pub const STANDARD_MAX: u64 = 100_000;
/// The most a block takes of each mass.
pub const BLOCK_MAX: Masses = Masses { compute: 500_000, transient: 1_000_000, storage: 500_000 };
/// KIP-9's constant: sompi × grams.
pub const STORAGE_MASS_PARAMETER: u64 = 1_000_000_000_000;
/// The least relay fee, in sompi per gram, since the Toccata fork.
pub const RELAY_FEE_RATE_MIN: u64 = 100;

/// The masses of one transaction, in grams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Masses {
    /// Bytes, scripts and signature checks.
    pub compute: u64,
    /// Four per byte.
    pub transient: u64,
    /// By the harmonic rule of KIP-9.
    pub storage: u64,
}

impl Masses {
    /// The least fee a mempool relays, in sompi: on compute mass and on transient mass at half its weight.
    #[must_use]
    pub const fn relay_fee_min(&self) -> u64 {
        let halved = self.transient.div_ceil(2);
        let mass = if self.compute > halved { self.compute } else { halved };
        mass.saturating_mul(RELAY_FEE_RATE_MIN)
    }

    /// The mass a fee rate is to be multiplied with, so that no limit of a block lets the transaction wait.
    #[must_use]
    pub fn fee_mass(&self) -> u64 {
        self.compute.max(self.transient.div_ceil(2)).max(self.storage)
    }
}

/// Estimated bytes of a signed transaction.
#[must_use]
pub fn size(tx: &Transaction) -> u64 {
    let inputs: u64 = tx.inputs.iter().map(|input| 36 + 8 + input.signature_script.len() as u64 + 8).sum();
    let outputs: u64 = tx.outputs.iter().map(|output| 8 + 2 + 8 + output.script.len() as u64).sum();
    2 + 8 + inputs + 8 + outputs + 8 + 20 + 8 + 32 + 8 + tx.payload.len() as u64
}

/// Compute mass of a version 0 transaction: a gram a byte, ten a byte of output script, a thousand a signature check.
#[must_use]
pub fn compute_mass(tx: &Transaction) -> u64 {
    let scripts: u64 = tx.outputs.iter().map(|output| 2 + output.script.len() as u64).sum();
    let signatures: u64 = tx.inputs.iter().map(|input| u64::from(input.sig_op_count)).sum();
    size(tx) + 10 * scripts + 1_000 * signatures
}

/// Storage mass (KIP-9) from the amounts that go in and come out; `None` for an amount of zero or past 64 bits.
#[must_use]
pub fn storage_mass(inputs: &[u64], outputs: &[u64]) -> Option<u64> {
    let harmonic = |amounts: &[u64]| {
        amounts
            .iter()
            .try_fold(0u64, |sum, amount| sum.checked_add(STORAGE_MASS_PARAMETER.checked_div(*amount)?))
    };
    let out = harmonic(outputs)?;
    let relaxed = outputs.len() == 1 || inputs.len() == 1 || (inputs.len() == 2 && outputs.len() == 2);
    let back = if relaxed {
        harmonic(inputs)?
    } else {
        let count = inputs.len() as u64;
        let sum = inputs.iter().try_fold(0u64, |sum, amount| sum.checked_add(*amount))?;
        let mean = sum.checked_div(count)?;
        count.checked_mul(STORAGE_MASS_PARAMETER.checked_div(mean)?)?
    };
    Some(out.saturating_sub(back))
}

/// All masses of a version 0 transaction that spends `inputs` (sompi, in the order of its inputs).
#[must_use]
pub fn masses(tx: &Transaction, inputs: &[u64]) -> Option<Masses> {
    let outputs: Vec<u64> = tx.outputs.iter().map(|output| output.value).collect();
    let storage = storage_mass(inputs, &outputs)?;
    Some(Masses { compute: compute_mass(tx), transient: 4 * size(tx), storage })
}

#[cfg(test)]
mod tests {
    use super::super::tx::{Input, NATIVE, Outpoint, Output};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_worked_payout() {
        let outpoint = Outpoint { id: [1; 32], index: 0 };
        let input = Input {
            outpoint,
            signature_script: vec![0; 66],
            sequence: 0,
            sig_op_count: 1,
            compute_budget: 0,
        };
        let output = |value| Output { value, script_version: 0, script: vec![0; 34], covenant: None };
        let tx = Transaction {
            version: 0,
            inputs: vec![input],
            outputs: vec![output(400_000_000), output(599_000_000)],
            lock_time: 0,
            subnetwork: NATIVE,
            gas: 0,
            payload: Vec::new(),
            storage_mass: 0,
        };
        assert_eq!(size(&tx), 316);
        let masses = masses(&tx, &[1_000_000_000]).unwrap();
        assert_eq!(masses, Masses { compute: 2_036, transient: 1_264, storage: 3_169 });
        assert_eq!(masses.relay_fee_min(), 203_600);
        assert_eq!(masses.fee_mass() * RELAY_FEE_RATE_MIN, 316_900);
    }

    #[test]
    fn a_small_output_is_dear() {
        assert_eq!(storage_mass(&[1_000_000_000_000], &[20_000_000]), Some(49_999));
        assert_eq!(storage_mass(&[5], &[0]), None);
        assert_eq!(storage_mass(&[], &[5, 5]), None);
    }

    #[test]
    fn transient_mass_weighs_as_much_as_it_takes_of_a_block() {
        let masses = Masses { compute: 1, transient: 4_000, storage: 0 };
        assert_eq!(masses.fee_mass(), masses.transient * BLOCK_MAX.compute / BLOCK_MAX.transient);
        assert_eq!(masses.relay_fee_min(), 200_000);
    }

    #[test]
    fn storage_mass_counts_inputs_one_by_one_only_in_the_relaxed_cases() {
        let kas = 100_000_000;
        // 10 000 grams for 1 KAS, half for twice as much. Two to two: 13 333 out, 10 000 in.
        assert_eq!(storage_mass(&[2 * kas, 2 * kas], &[kas, 3 * kas]), Some(3_333));
        // Three to two: 40 000 out, and three times the mean of 2 KAS in.
        assert_eq!(storage_mass(&[kas, 2 * kas, 3 * kas], &[kas / 2, kas / 2]), Some(25_000));
        // One to many.
        assert_eq!(storage_mass(&[10 * kas], &[kas, kas, kas]), Some(29_000));
        // Many to one: what a sweep of coinbases is costs nothing.
        assert_eq!(storage_mass(&[2 * kas; 80], &[160 * kas]), Some(0));
        assert_eq!(storage_mass(&[], &[20 * kas / 100]), Some(50_000), "0.2 KAS");
    }

    proptest! {
        #[test]
        fn no_amounts_break_it(inputs: Vec<u64>, outputs: Vec<u64>) {
            let _ = storage_mass(&inputs, &outputs);
        }
    }
}
