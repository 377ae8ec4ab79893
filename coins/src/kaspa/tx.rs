//! Transactions: ids, hashes, and what a Schnorr signature signs.
//!
//! Source: crate `kaspa-consensus-core` 2.1.0 (`src/hashing/tx.rs`, `src/hashing/sighash.rs`). Version 0 is what a
//! payout is; version 1 (compute budgets, covenants) is what a coinbase is since the Toccata fork.

use super::hashers::{Domain, blake3_named};

/// The native subnetwork.
pub const NATIVE: [u8; 20] = [0; 20];

/// An output of an earlier transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Outpoint {
    /// The transaction's id.
    pub id: [u8; 32],
    /// Which of its outputs.
    pub index: u32,
}

/// What spends an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The output.
    pub outpoint: Outpoint,
    /// The proof that it may be spent.
    pub signature_script: Vec<u8>,
    /// Lock-time sequence.
    pub sequence: u64,
    /// Signature operations, of version 0.
    pub sig_op_count: u8,
    /// Of version 1.
    pub compute_budget: u16,
}

/// Ties an output to a covenant, in version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covenant {
    /// The input that allows it.
    pub authorizing_input: u16,
    /// The covenant.
    pub id: [u8; 32],
}

/// An amount and who may spend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Sompi.
    pub value: u64,
    /// Version of the script.
    pub script_version: u16,
    /// The script.
    pub script: Vec<u8>,
    /// Of version 1.
    pub covenant: Option<Covenant>,
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// 0 or 1.
    pub version: u16,
    /// What it spends.
    pub inputs: Vec<Input>,
    /// What it makes.
    pub outputs: Vec<Output>,
    /// A DAA score or a time before which it is not valid.
    pub lock_time: u64,
    /// The subnetwork.
    pub subnetwork: [u8; 20],
    /// Of subnetworks that have it.
    pub gas: u64,
    /// Free bytes; a coinbase's record.
    pub payload: Vec<u8>,
    /// The storage mass it commits to.
    pub storage_mass: u64,
}

/// What a signature needs to know of the output an input spends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Sompi.
    pub value: u64,
    /// Version of the script.
    pub script_version: u16,
    /// The script.
    pub script: Vec<u8>,
}

/// Which parts of a transaction a hash covers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cover {
    /// Everything.
    Whole,
    /// Without signatures, their costs, and the mass.
    Id,
}

impl Transaction {
    /// The transaction's id: what does not change when it is signed.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        if self.version == 0 {
            return digest(Domain::TransactionId, &self.serialize(Cover::Id));
        }
        let body = Self { payload: Vec::new(), ..self.clone() };
        let payload = blake3_named("PayloadDigest", &self.payload);
        let rest = blake3_named("TransactionRest", &body.serialize(Cover::Id));
        blake3_named("TransactionV1Id", &[payload, rest].concat())
    }

    /// The hash of all of it, a leaf of the merkle tree.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        digest(Domain::Transaction, &self.serialize(Cover::Whole))
    }

    fn serialize(&self, cover: Cover) -> Vec<u8> {
        let (whole, newer) = (cover == Cover::Whole, self.version >= 1);
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(&self.version.to_le_bytes());
        put_len(&mut out, self.inputs.len());
        for input in &self.inputs {
            out.extend_from_slice(&input.outpoint.id);
            out.extend_from_slice(&input.outpoint.index.to_le_bytes());
            put_bytes(&mut out, if whole { &input.signature_script } else { &[] });
            if whole && !newer {
                out.push(input.sig_op_count);
            }
            out.extend_from_slice(&input.sequence.to_le_bytes());
            if whole && newer {
                out.extend_from_slice(&input.compute_budget.to_le_bytes());
            }
        }
        put_len(&mut out, self.outputs.len());
        for output in &self.outputs {
            out.extend_from_slice(&output.value.to_le_bytes());
            out.extend_from_slice(&output.script_version.to_le_bytes());
            put_bytes(&mut out, &output.script);
            if newer {
                out.push(u8::from(output.covenant.is_some()));
                if let Some(covenant) = &output.covenant {
                    out.extend_from_slice(&covenant.authorizing_input.to_le_bytes());
                    out.extend_from_slice(&covenant.id);
                }
            }
        }
        out.extend_from_slice(&self.lock_time.to_le_bytes());
        out.extend_from_slice(&self.subnetwork);
        out.extend_from_slice(&self.gas.to_le_bytes());
        put_bytes(&mut out, &self.payload);
        if whole && (newer || self.storage_mass > 0) {
            out.extend_from_slice(&self.storage_mass.to_le_bytes());
        }
        out
    }

    /// What a Schnorr signature of one input of a version 0 transaction signs, all parts covered (`SIGHASH_ALL`).
    ///
    /// `None` when the transaction is not of version 0 or has no such input.
    #[must_use]
    pub fn schnorr_sighash(&self, input: usize, spent: &Spent) -> Option<[u8; 32]> {
        const SIGHASH_ALL: u8 = 1;
        let signed = self.inputs.get(input).filter(|_| self.version == 0)?;
        let part = |bytes: Vec<u8>| digest(Domain::Signing, &bytes);
        let outpoint = |outpoint: &Outpoint| [outpoint.id.as_slice(), &outpoint.index.to_le_bytes()].concat();
        let mut outputs = Vec::new();
        for output in &self.outputs {
            outputs.extend_from_slice(&output.value.to_le_bytes());
            outputs.extend_from_slice(&output.script_version.to_le_bytes());
            put_bytes(&mut outputs, &output.script);
        }
        let mut all = Vec::with_capacity(320);
        all.extend_from_slice(&self.version.to_le_bytes());
        all.extend_from_slice(&part(
            self.inputs.iter().flat_map(|input| outpoint(&input.outpoint)).collect(),
        ));
        all.extend_from_slice(&part(
            self.inputs.iter().flat_map(|input| input.sequence.to_le_bytes()).collect(),
        ));
        all.extend_from_slice(&part(self.inputs.iter().map(|input| input.sig_op_count).collect()));
        all.extend_from_slice(&outpoint(&signed.outpoint));
        all.extend_from_slice(&spent.script_version.to_le_bytes());
        put_bytes(&mut all, &spent.script);
        all.extend_from_slice(&spent.value.to_le_bytes());
        all.extend_from_slice(&signed.sequence.to_le_bytes());
        all.push(signed.sig_op_count);
        all.extend_from_slice(&part(outputs));
        all.extend_from_slice(&self.lock_time.to_le_bytes());
        all.extend_from_slice(&self.subnetwork);
        all.extend_from_slice(&self.gas.to_le_bytes());
        let bare = self.subnetwork == NATIVE && self.payload.is_empty();
        let mut payload = Vec::new();
        put_bytes(&mut payload, &self.payload);
        all.extend_from_slice(&if bare { [0; 32] } else { part(payload) });
        all.push(SIGHASH_ALL);
        Some(digest(Domain::Signing, &all))
    }
}

/// The merkle root over transaction hashes; zero for none.
///
/// A missing right sibling is the zero hash; pairs that are missing whole stay missing.
#[must_use]
pub fn merkle_root(leaves: &[[u8; 32]]) -> [u8; 32] {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        let parent = |pair: &[[u8; 32]]| {
            let right = pair.get(1).copied().unwrap_or([0; 32]);
            digest(Domain::Merkle, &[pair[0], right].concat())
        };
        level = level.chunks(2).map(parent).collect();
    }
    level.first().copied().unwrap_or([0; 32])
}

fn digest(domain: Domain, bytes: &[u8]) -> [u8; 32] {
    domain.start().update(bytes).finish()
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&(len as u64).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash(text: &str) -> [u8; 32] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    fn empty(version: u16) -> Transaction {
        Transaction {
            version,
            inputs: Vec::new(),
            outputs: Vec::new(),
            lock_time: 0,
            subnetwork: NATIVE,
            gas: 0,
            payload: Vec::new(),
            storage_mass: 0,
        }
    }

    fn output(value: u64, script: &str) -> Output {
        Output { value, script_version: 0, script: hex::decode(script).unwrap(), covenant: None }
    }

    fn input(id: &str, index: u32, sequence: u64, sig_op_count: u8) -> Input {
        let outpoint = Outpoint { id: hash(id), index };
        Input { outpoint, signature_script: Vec::new(), sequence, sig_op_count, compute_budget: 0 }
    }

    const OWN: &str = "2079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798ac";
    const FROM: &str = "880eb9819a31821d9d2399e2f35e2433b72637e393d71ecc9b8d0250f49153c3";

    #[test]
    fn ids_of_empty_transactions() {
        let nothing = empty(0);
        assert_eq!(
            hex::encode(nothing.id()),
            "2c18d5e59ca8fc4c23d9560da3bf738a8f40935c11c162017fbf2c907b7e665c"
        );
        assert_eq!(
            hex::encode(nothing.hash()),
            "c9e29784564c269ce2faaffd3487cb4684383018ace11133de082dce4bb88b0b"
        );
        let mut newer = empty(1);
        let null = "0000000000000000000000000000000000000000000000000000000000000000";
        newer.inputs = vec![Input { compute_budget: 111, ..input(null, 0, 0, 0) }];
        assert_eq!(
            hex::encode(newer.id()),
            "5978e7aa1a9ba8fdf12dae6aa39aa198a91985e91192b291e207d4d6246349e6"
        );
    }

    #[test]
    fn the_worked_payout() {
        let mut payout = empty(0);
        payout.inputs = vec![input(FROM, 0, 0, 1)];
        payout.outputs = vec![
            output(400_000_000, "202c3fbf23a5bb484db4a20651e13a1fc263cff33a131919278baadc3ed74837deac"),
            output(599_000_000, OWN),
        ];
        let spent = Spent { value: 1_000_000_000, script_version: 0, script: hex::decode(OWN).unwrap() };
        assert_eq!(
            hex::encode(payout.id()),
            "3407676ad6330106e53a7622bca23d41b760220cc6ae153257630af674064c54"
        );
        let sighash = payout.schnorr_sighash(0, &spent).unwrap();
        assert_eq!(hex::encode(sighash), "4d0e6d5ac0e96be5fcb322425f3efb4959bb8c0fff2d05a3a644ade2cda8bdfe");
        assert_eq!(payout.schnorr_sighash(1, &spent), None);
    }

    #[test]
    fn three_inputs_one_signature() {
        let mut payout = empty(0);
        payout.inputs = (0..3).map(|i| input(FROM, i, u64::from(i), 0)).collect();
        let first = "208325613d2eeaf7176ac6c670b13c0043156c427438ed72d74b7800862ad884e8ac";
        let second = "20fcef4c106cf11135bbd70f02a726a92162d2fb8b22f0469126f800862ad884e8ac";
        payout.outputs = vec![output(300, second), output(300, first)];
        payout.lock_time = 1_615_462_089_000;
        let spent = Spent { value: 100, script_version: 0, script: hex::decode(first).unwrap() };
        let sighash = payout.schnorr_sighash(0, &spent).unwrap();
        assert_eq!(hex::encode(sighash), "03b7ac6927b2b67100734c3cc313ff8c2e8b3ce3e746d46dd660b706a916b1f5");
    }

    #[test]
    fn a_coinbase_of_version_1() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../testdata/kaspa.json")).unwrap();
        let rows = vectors["headers"].as_array().unwrap();
        let Some(coinbase) =
            rows.iter().map(|row| &row["coinbase"]).find(|coinbase| coinbase["txid"].is_string())
        else {
            panic!("the vectors have a coinbase");
        };
        let outputs = coinbase["outputs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|o| output(o["value"].as_u64().unwrap(), &o["scriptPublicKey"].as_str().unwrap()[4..]));
        let transaction = Transaction {
            version: coinbase["version"].as_u64().unwrap() as u16,
            outputs: outputs.collect(),
            subnetwork: hex::decode(coinbase["subnetworkId"].as_str().unwrap()).unwrap().try_into().unwrap(),
            payload: hex::decode(coinbase["payload"].as_str().unwrap()).unwrap(),
            ..empty(1)
        };
        assert_eq!(hex::encode(transaction.id()), coinbase["txid"].as_str().unwrap());
        assert_eq!(hex::encode(transaction.hash()), coinbase["txHash"].as_str().unwrap());
        assert_eq!(merkle_root(&[transaction.hash()]), transaction.hash());
    }

    #[test]
    fn a_tree_of_three() {
        let [a, b, c] = [[1; 32], [2; 32], [3; 32]];
        let branch = |left: [u8; 32], right: [u8; 32]| digest(Domain::Merkle, &[left, right].concat());
        assert_eq!(merkle_root(&[a, b, c]), branch(branch(a, b), branch(c, [0; 32])));
        assert_eq!(merkle_root(&[]), [0; 32]);
    }

    #[test]
    fn the_first_coinbase_of_the_development_network_is_its_merkle_root() {
        let coinbase = Transaction {
            subnetwork: hash("0100000000000000000000000000000000000000000000000000000000000000")[..20]
                .try_into()
                .unwrap(),
            payload: hex::decode("000000000000000000e1f50500000000000001006b617370612d6465766e6574").unwrap(),
            ..empty(0)
        };
        assert_eq!(
            hex::encode(merkle_root(&[coinbase.hash()])),
            "58abf20321d70716162b6bf8d9f589ca33ae6e32b3b19abb7fa65d1141a3f94d"
        );
    }

    /// A transaction in which every field of its version says something.
    fn full(version: u16) -> Transaction {
        let covenant = (version > 0).then_some(Covenant { authorizing_input: 1, id: [6; 32] });
        Transaction {
            inputs: vec![Input { signature_script: vec![1, 2], compute_budget: 3, ..input(FROM, 4, 5, 6) }],
            outputs: vec![Output { covenant, ..output(7, OWN) }],
            lock_time: 8,
            subnetwork: [9; 20],
            gas: 10,
            payload: vec![11],
            storage_mass: 12,
            ..empty(version)
        }
    }

    type Change = fn(&mut Transaction);

    /// What a signer adds or pays with, and so may differ between two transactions of one id.
    const NOT_IN_THE_ID: [Change; 3] = [
        |tx| tx.inputs[0].signature_script.clear(),
        |tx| tx.storage_mass += 1,
        |tx| {
            if tx.version == 0 { tx.inputs[0].sig_op_count += 1 } else { tx.inputs[0].compute_budget += 1 }
        },
    ];

    const IN_THE_ID: [Change; 13] = [
        |tx| tx.inputs[0].outpoint.id[0] ^= 1,
        |tx| tx.inputs[0].outpoint.index += 1,
        |tx| tx.inputs[0].sequence += 1,
        |tx| tx.inputs.clear(),
        |tx| tx.outputs[0].value += 1,
        |tx| tx.outputs[0].script_version += 1,
        |tx| tx.outputs[0].script.push(0),
        |tx| tx.outputs.clear(),
        |tx| tx.lock_time += 1,
        |tx| tx.subnetwork[0] ^= 1,
        |tx| tx.gas += 1,
        |tx| tx.payload.push(0),
        |tx| tx.version += 2,
    ];

    #[test]
    fn every_field_is_in_the_hash_and_what_signers_add_is_not_in_the_id() {
        for version in [0, 1] {
            let before = full(version);
            for (i, change) in NOT_IN_THE_ID.iter().chain(&IN_THE_ID).enumerate() {
                let mut after = before.clone();
                change(&mut after);
                assert_ne!(after.hash(), before.hash(), "version {version}, change {i}");
                assert_eq!(
                    after.id() == before.id(),
                    i < NOT_IN_THE_ID.len(),
                    "version {version}, change {i}"
                );
            }
        }
        let before = full(1);
        let covenants: [fn(&mut Output); 3] = [
            |output| output.covenant = None,
            |output| output.covenant = Some(Covenant { authorizing_input: 2, id: [6; 32] }),
            |output| output.covenant = Some(Covenant { authorizing_input: 1, id: [7; 32] }),
        ];
        for change in covenants {
            let mut after = before.clone();
            change(&mut after.outputs[0]);
            assert_ne!((after.id(), after.hash()), (before.id(), before.hash()));
        }
    }

    #[test]
    fn a_signature_covers_all_that_is_spent_and_paid_but_no_signature() {
        let before = full(0);
        let spent = Spent { value: 100, script_version: 0, script: vec![1] };
        let signed = |tx: &Transaction| tx.schnorr_sighash(0, &spent);
        for change in &IN_THE_ID {
            let mut after = before.clone();
            change(&mut after);
            assert_ne!(signed(&after), signed(&before));
        }
        let mut after = before.clone();
        after.inputs[0].signature_script.clear();
        after.storage_mass += 1;
        assert_eq!(signed(&after), signed(&before));
        let coins: [fn(&mut Spent); 3] =
            [|spent| spent.value += 1, |spent| spent.script_version += 1, |spent| spent.script.push(0)];
        for change in coins {
            let mut other = spent.clone();
            change(&mut other);
            assert_ne!(before.schnorr_sighash(0, &other), signed(&before));
        }
        assert_eq!(signed(&full(1)), None, "version 1 signs another form");
    }

    proptest! {
        #[test]
        fn the_tree_is_the_one_padded_to_a_power_of_two(leaves: Vec<[u8; 32]>) {
            let mut level: Vec<Option<[u8; 32]>> = leaves.iter().copied().map(Some).collect();
            level.resize(leaves.len().next_power_of_two(), None);
            while level.len() > 1 {
                level = level
                    .chunks(2)
                    .map(|pair| {
                        let left = pair[0]?;
                        Some(digest(Domain::Merkle, &[left, pair[1].unwrap_or_default()].concat()))
                    })
                    .collect();
            }
            prop_assert_eq!(merkle_root(&leaves), level[0].unwrap_or_default());
        }
    }
}
