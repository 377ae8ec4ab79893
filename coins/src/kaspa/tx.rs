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
        all.extend_from_slice(&part(self.inputs.iter().flat_map(|input| outpoint(&input.outpoint)).collect()));
        all.extend_from_slice(&part(self.inputs.iter().flat_map(|input| input.sequence.to_le_bytes()).collect()));
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
        assert_eq!(hex::encode(nothing.id()), "2c18d5e59ca8fc4c23d9560da3bf738a8f40935c11c162017fbf2c907b7e665c");
        assert_eq!(hex::encode(nothing.hash()), "c9e29784564c269ce2faaffd3487cb4684383018ace11133de082dce4bb88b0b");
        let mut newer = empty(1);
        let null = "0000000000000000000000000000000000000000000000000000000000000000";
        newer.inputs = vec![Input { compute_budget: 111, ..input(null, 0, 0, 0) }];
        assert_eq!(hex::encode(newer.id()), "5978e7aa1a9ba8fdf12dae6aa39aa198a91985e91192b291e207d4d6246349e6");
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
        assert_eq!(hex::encode(payout.id()), "3407676ad6330106e53a7622bca23d41b760220cc6ae153257630af674064c54");
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
        let vectors: serde_json::Value = serde_json::from_str(include_str!("../../testdata/kaspa.json")).unwrap();
        let rows = vectors["headers"].as_array().unwrap();
        let Some(coinbase) = rows.iter().map(|row| &row["coinbase"]).find(|coinbase| coinbase["txid"].is_string()) else {
            panic!("the vectors have a coinbase");
        };
        let outputs = coinbase["outputs"].as_array().unwrap().iter().map(|o| {
            output(o["value"].as_u64().unwrap(), &o["scriptPublicKey"].as_str().unwrap()[4..])
        });
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
}
