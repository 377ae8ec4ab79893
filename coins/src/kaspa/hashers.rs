//! The chain's hash functions: BLAKE2b-256 and BLAKE3, each keyed with the name of what is hashed.
//!
//! The key keeps a block's hash from ever being a transaction's. Source: `hashers.rs` of kaspa-hashes 2.1.1
//! (names and check values).

use blake2b_simd::{Params, State};

/// What is hashed with keyed BLAKE2b-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// A block header.
    Block,
    /// A whole transaction, a leaf of the merkle tree.
    Transaction,
    /// A version 0 transaction without what its signers add.
    TransactionId,
    /// What a signature signs, and the parts of it.
    Signing,
    /// An inner node of the merkle tree.
    Merkle,
}

impl Domain {
    const fn key(self) -> &'static [u8] {
        match self {
            Self::Block => b"BlockHash",
            Self::Transaction => b"TransactionHash",
            Self::TransactionId => b"TransactionID",
            Self::Signing => b"TransactionSigningHash",
            Self::Merkle => b"MerkleBranchHash",
        }
    }

    /// A hash to be fed.
    #[must_use]
    pub fn start(self) -> Blake2b {
        Blake2b(Params::new().hash_length(32).key(self.key()).to_state())
    }
}

/// Keyed BLAKE2b-256 on its way. A clone goes on from the same bytes.
#[derive(Clone, Debug)]
pub struct Blake2b(State);

impl Blake2b {
    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The hash of all bytes so far.
    #[must_use]
    pub fn finish(&self) -> [u8; 32] {
        self.0.finalize().as_bytes().try_into().expect("the state was made for 32 bytes")
    }
}

/// Keyed BLAKE3 of `bytes`; the key is the ASCII `name` filled up with zeros.
pub(super) fn blake3_named(name: &str, bytes: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    *blake3::keyed_hash(&key, bytes).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_check_values() {
        let of = |domain: Domain, bytes: &[u8]| hex::encode(domain.start().update(bytes).finish());
        assert_eq!(
            of(Domain::Block, b""),
            "a80b6aa20f20b15ebabe2b1949527f78a257594a732e774de637d85e6973a768"
        );
        assert_eq!(
            of(Domain::Block, &[1]),
            "5643023add641f9421187b8c9aa3c6c73227d5ec34131c61a08d35b43e7e4b65"
        );
        assert_eq!(
            of(Domain::TransactionId, b""),
            "e5f65efda0894d2b0590c2e9e46e9acc03032f505a1522f5e8c78c5ec70b1d9c"
        );
        assert_eq!(
            of(Domain::Signing, b""),
            "34c75037ad62740d4b3228f88f844f7901c07bfacd55a045be518eabc15e52ce"
        );
        assert_eq!(
            hex::encode(blake3_named("PayloadDigest", b"")),
            "9c0ca2acb45e92ffe6ceb4ae29188b35c82d9676cdd3ce067fd6ccc30a9c4a38"
        );
    }
}
