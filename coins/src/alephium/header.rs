//! The header of a block, as nodes and miners pass it around: 24 bytes of nonce, then the blob of 302.
//!
//! The blob is kept as it came, because its bytes are what is hashed; this module reads fields out of it. All numbers
//! are big-endian. Source: alephium/alephium, `protocol/…/model/{BlockHeader,BlockDeps,Target}.scala`.

use super::chain::{GROUPS, Group};
use super::codec::Malformed;
use crate::hash::double_blake3::{self, BLOB_LEN, HEADER_LEN, NONCE_LEN};
use pool_core::units::{Target, U256};

/// Blocks that a block depends on: the tips of the other groups, and one of each chain of its own.
pub const DEPS: usize = 2 * GROUPS - 1;

const DEPS_AT: usize = 2;
const DEP_STATE_AT: usize = DEPS_AT + 32 * DEPS;
const TXS_AT: usize = DEP_STATE_AT + 32;
const TIME_AT: usize = TXS_AT + 32;
const TARGET_AT: usize = TIME_AT + 8;
const _: () = assert!(TARGET_AT + 4 == BLOB_LEN);

/// A header without its nonce. Version 0 with seven dependencies, as all are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HeaderBlob([u8; BLOB_LEN]);

/// The parts of a header blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderParts {
    /// Hashes of the blocks it depends on: three of the other groups, then one per chain of its own group.
    pub deps: [[u8; 32]; DEPS],
    /// Hash of the state below it.
    pub dep_state_hash: [u8; 32],
    /// Merkle root of its transactions.
    pub txs_hash: [u8; 32],
    /// Unix milliseconds.
    pub timestamp: u64,
    /// The target its hash must meet.
    pub target: CompactTarget,
}

impl HeaderBlob {
    /// Reads 302 bytes.
    ///
    /// # Errors
    /// [`Malformed`] for another length, version or number of dependencies.
    pub fn new(bytes: &[u8]) -> Result<Self, Malformed> {
        let bytes: [u8; BLOB_LEN] =
            bytes.try_into().map_err(|_| Malformed("a header blob is not 302 bytes long"))?;
        if bytes[0] != 0 {
            return Err(Malformed("a header of an unknown version"));
        }
        if usize::from(bytes[1]) != DEPS {
            return Err(Malformed("a header without its seven dependencies"));
        }
        Ok(Self(bytes))
    }

    /// Puts a blob together.
    #[must_use]
    pub fn of_parts(parts: &HeaderParts) -> Self {
        let mut bytes = [0; BLOB_LEN];
        bytes[1] = DEPS as u8;
        bytes[DEPS_AT..DEP_STATE_AT].copy_from_slice(parts.deps.as_flattened());
        bytes[DEP_STATE_AT..TXS_AT].copy_from_slice(&parts.dep_state_hash);
        bytes[TXS_AT..TIME_AT].copy_from_slice(&parts.txs_hash);
        bytes[TIME_AT..TARGET_AT].copy_from_slice(&parts.timestamp.to_be_bytes());
        bytes[TARGET_AT..].copy_from_slice(&parts.target.get().to_be_bytes());
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; BLOB_LEN] {
        &self.0
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.0[at..at + N]);
        field
    }

    /// The hash of the block before it on its own chain.
    #[must_use]
    pub fn parent(&self, to: Group) -> [u8; 32] {
        self.field(DEPS_AT + 32 * (GROUPS - 1 + to.place()))
    }

    /// All its parts.
    #[must_use]
    pub fn parts(&self) -> HeaderParts {
        let mut deps = [[0; 32]; DEPS];
        for (place, dep) in deps.iter_mut().enumerate() {
            *dep = self.field(DEPS_AT + 32 * place);
        }
        HeaderParts {
            deps,
            dep_state_hash: self.field(DEP_STATE_AT),
            txs_hash: self.field(TXS_AT),
            timestamp: self.timestamp(),
            target: self.target(),
        }
    }

    /// Merkle root of its transactions.
    #[must_use]
    pub fn txs_hash(&self) -> [u8; 32] {
        self.field(TXS_AT)
    }

    /// Unix milliseconds.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        u64::from_be_bytes(self.field(TIME_AT))
    }

    /// The same header at another time.
    #[must_use]
    pub fn with_timestamp(mut self, millis: u64) -> Self {
        self.0[TIME_AT..TARGET_AT].copy_from_slice(&millis.to_be_bytes());
        self
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> CompactTarget {
        CompactTarget(u32::from_be_bytes(self.field(TARGET_AT)))
    }

    /// What a node knows the template by: everything but the time.
    #[must_use]
    pub fn key(&self) -> [u8; BLOB_LEN] {
        self.clone().with_timestamp(0).0
    }

    /// The hash of the block with this nonce.
    #[must_use]
    pub fn hash(&self, nonce: &[u8; NONCE_LEN]) -> [u8; 32] {
        double_blake3::pow(nonce, &self.0)
    }
}

impl std::fmt::Debug for HeaderBlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HeaderBlob({})", hex::encode(self.0))
    }
}

/// A block as the miners' protocol carries it: nonce, blob, and whatever the template said of its transactions.
///
/// # Errors
/// [`Malformed`] for bytes too short for a header, or of another version.
pub fn split_block(block: &[u8]) -> Result<([u8; NONCE_LEN], HeaderBlob, &[u8]), Malformed> {
    let (header, txs) =
        block.split_at_checked(HEADER_LEN).ok_or(Malformed("a block is shorter than its header"))?;
    let (nonce, blob) =
        header.split_first_chunk::<NONCE_LEN>().ok_or(Malformed("a block without a nonce"))?;
    Ok((*nonce, HeaderBlob::new(blob)?, txs))
}

/// A target in four bytes: its length, then the three leading bytes of it. The mantissa has no sign bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompactTarget(u32);

impl CompactTarget {
    /// From the four bytes as a big-endian number. Any number is one; see [`CompactTarget::expand`].
    #[must_use]
    pub const fn new(bits: u32) -> Self {
        Self(bits)
    }

    /// The shortest writing of a target; lower bytes than the upper three are cut off.
    #[must_use]
    pub fn of_target(target: Target) -> Self {
        let value = target.get();
        let size = value.bit_len().div_ceil(8);
        let mantissa = if size <= 3 { value << (8 * (3 - size)) } else { value >> (8 * (size - 3)) };
        Self((size as u32) << 24 | u32::try_from(mantissa).expect("three bytes are left of it"))
    }

    /// The four bytes as a big-endian number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The target. `None` above 2^256 - 1.
    #[must_use]
    pub fn expand(self) -> Option<Target> {
        let size = (self.0 >> 24) as usize;
        let mantissa = U256::from(self.0 & 0x00ff_ffff);
        let value = if size <= 3 {
            mantissa >> (8 * (3 - size))
        } else {
            let shift = 8 * (size - 3);
            if mantissa.bit_len() + shift > 256 && mantissa != U256::ZERO {
                return None;
            }
            if shift >= 256 { U256::ZERO } else { mantissa << shift }
        };
        Some(Target::new(value))
    }
}

/// A target as the node's job carries it: big-endian, as short as it is, perhaps with a leading zero byte.
///
/// # Errors
/// [`Malformed`] above 256 bits and for no bytes at all.
pub fn target_of_blob(bytes: &[u8]) -> Result<Target, Malformed> {
    let start = bytes.iter().take_while(|byte| **byte == 0).count();
    if bytes.is_empty() || bytes.len() > 33 || bytes.len() - start > 32 {
        return Err(Malformed("a target that is none"));
    }
    let mut wide = [0; 32];
    wide[32 - (bytes.len() - start)..].copy_from_slice(&bytes[start..]);
    Ok(Target::from_be_bytes(wide))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alephium::chain::ChainIndex;
    use proptest::prelude::*;

    fn vectors() -> serde_json::Value {
        serde_json::from_str(include_str!("../../testdata/alephium.json")).unwrap()
    }

    fn decimal(text: &str) -> U256 {
        U256::from_str_radix(text, 16).unwrap()
    }

    #[test]
    fn published_targets_have_their_four_bytes() {
        for row in vectors()["compact"].as_array().unwrap() {
            let (value, bits) = (decimal(row[0].as_str().unwrap()), row[1].as_str().unwrap());
            let compact = CompactTarget::of_target(Target::new(value));
            assert_eq!(format!("{:08x}", compact.get()), bits);
            assert_eq!(compact.expand(), Some(Target::new(value)), "{bits}");
        }
        for (odd, again) in [(0x0012_3456, 0), (0x0112_3456, 0x0112_0000), (0x0212_3456, 0x0212_3400)] {
            let target = CompactTarget::new(odd).expand().unwrap();
            assert_eq!(CompactTarget::of_target(target).get(), again);
        }
        assert_eq!(CompactTarget::of_target(Target::MAX).get(), 0x20ff_ffff);
        assert_eq!(CompactTarget::new(0x2101_0000).expand(), None);
        assert_eq!(CompactTarget::new(0xff00_0000).expand(), Some(Target::new(U256::ZERO)));
    }

    #[test]
    fn a_real_header_says_what_is_known_of_it() {
        let vectors = vectors();
        let [first, second] = [0, 1].map(|place| {
            let blob = hex::decode(vectors["pow"][place]["headerBlob"].as_str().unwrap()).unwrap();
            HeaderBlob::new(&blob).unwrap()
        });
        assert_eq!(first.timestamp(), 1_728_544_859_844);
        assert_eq!(first.target().get(), 0x1a3b_ca56);
        assert_eq!(
            hex::encode(first.txs_hash()),
            "2171272f353e30871ffe87808798c2de38aa2d21b82cd938a4695084a7e4c6ca"
        );
        let to = Group::new(1).unwrap();
        assert_eq!(hex::encode(second.parent(to)), vectors["pow"][0]["hash"].as_str().unwrap());
        assert_eq!(HeaderBlob::of_parts(&first.parts()), first);
        assert_eq!(first.clone().with_timestamp(5).key(), first.key());
        assert_ne!(first.key(), second.key());
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let mut blob = [0; BLOB_LEN];
        blob[1] = 7;
        assert!(HeaderBlob::new(&blob).is_ok());
        assert!(HeaderBlob::new(&blob[1..]).is_err());
        blob[0] = 1;
        assert!(HeaderBlob::new(&blob).is_err());
        blob[..2].copy_from_slice(&[0, 6]);
        assert!(HeaderBlob::new(&blob).is_err());
        assert!(split_block(&[0; 325]).is_err());
        assert!(
            target_of_blob(&[]).is_err()
                && target_of_blob(&[1; 33]).is_err()
                && target_of_blob(&[0; 34]).is_err()
        );
        assert_eq!(target_of_blob(&[0, 0xff]), Ok(Target::new(U256::from(255u8))));
    }

    #[test]
    fn every_published_hash_lands_on_its_chain_and_meets_its_target_or_not() {
        for header in vectors()["pow"].as_array().unwrap() {
            let mut hash = [0; 32];
            hex::decode_to_slice(header["hash"].as_str().unwrap(), &mut hash).unwrap();
            let bits = u32::from_str_radix(header["target"].as_str().unwrap(), 16).unwrap();
            let chain = ChainIndex::of_hash(&hash);
            assert_eq!(u64::from(chain.from().get()), header["chain"][0].as_u64().unwrap());
            assert_eq!(u64::from(chain.to().get()), header["chain"][1].as_u64().unwrap());
            let target = CompactTarget::new(bits).expand().unwrap();
            assert_eq!(U256::from_be_bytes(hash) <= target.get(), header["meetsTarget"].as_bool().unwrap());
        }
    }

    proptest! {
        #[test]
        fn compact_targets_never_grow(bytes: [u8; 32], zeros in 0..32usize) {
            let mut bytes = bytes;
            bytes[..zeros].fill(0);
            let target = Target::from_be_bytes(bytes);
            let compact = CompactTarget::of_target(target);
            let back = compact.expand().unwrap();
            prop_assert!(back <= target);
            prop_assert_eq!(CompactTarget::of_target(back), compact);
        }
    }
}
