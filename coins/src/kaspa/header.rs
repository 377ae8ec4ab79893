//! A block header, its two hashes, and the compact form of its target.
//!
//! The block hash covers every field; the pre-PoW hash is the same with timestamp and nonce zero, and is what miners
//! hash further. Most of the 2.4 kB of a mainnet header stands before the timestamp and never changes while it is
//! mined: [`HeaderHasher`] keeps the hash's state there.
//! Source: `hashing/header.rs` of kaspa-consensus-core 2.1.0 and kaspa-math 2.1.0 (behaviour).

use super::hashers::{Blake2b, Domain};
use pool_core::units::{Target, U256};

/// A header. Hashes are in the chain's byte order, which is also the order of its hexadecimal texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// 2 since Toccata.
    pub version: u16,
    /// Parents of each level, every level written out even if it repeats the one before.
    pub parents: Vec<Vec<[u8; 32]>>,
    /// The root over the block's transactions.
    pub hash_merkle_root: [u8; 32],
    /// The root over the transactions the block accepts; since Toccata a sequencing commitment.
    pub accepted_id_merkle_root: [u8; 32],
    /// The commitment to the unspent outputs.
    pub utxo_commitment: [u8; 32],
    /// Unit: milliseconds since 1970.
    pub timestamp: u64,
    /// The target, compact: see [`target_of_bits`].
    pub bits: u32,
    /// What the miner found.
    pub nonce: u64,
    /// Difficulty-adjustment score.
    pub daa_score: u64,
    /// Blue blocks in the past.
    pub blue_score: u64,
    /// Work of the blue blocks in the past. At most 192 bits on the chain.
    pub blue_work: U256,
    /// The pruning point.
    pub pruning_point: [u8; 32],
}

impl Header {
    /// The block hash.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.hash_with(self.timestamp, self.nonce)
    }

    /// What proof of work starts from: the hash with timestamp and nonce zero.
    #[must_use]
    pub fn pre_pow_hash(&self) -> [u8; 32] {
        self.hash_with(0, 0)
    }

    /// The block hash that this header has with another timestamp and nonce.
    #[must_use]
    pub fn hash_with(&self, timestamp: u64, nonce: u64) -> [u8; 32] {
        self.hasher().hash(timestamp, nonce)
    }

    /// A hasher that has taken in all that stands before the timestamp: worth keeping for more than one hash.
    #[must_use]
    pub fn hasher(&self) -> HeaderHasher {
        let mut before = Domain::Block.start();
        before.update(&self.version.to_le_bytes());
        before.update(&(self.parents.len() as u64).to_le_bytes());
        for level in &self.parents {
            before.update(&(level.len() as u64).to_le_bytes());
            for parent in level {
                before.update(parent);
            }
        }
        before
            .update(&self.hash_merkle_root)
            .update(&self.accepted_id_merkle_root)
            .update(&self.utxo_commitment);

        let work = self.blue_work.to_be_bytes::<32>();
        let work = &work[work.iter().position(|&byte| byte != 0).unwrap_or(work.len())..];
        let mut after = Vec::with_capacity(24 + work.len() + 32);
        after.extend_from_slice(&self.daa_score.to_le_bytes());
        after.extend_from_slice(&self.blue_score.to_le_bytes());
        after.extend_from_slice(&(work.len() as u64).to_le_bytes());
        after.extend_from_slice(work);
        after.extend_from_slice(&self.pruning_point);
        HeaderHasher { before, bits: self.bits, after }
    }
}

/// Block hashes of one header for any timestamp and nonce, at the price of the header's last hundred bytes.
#[derive(Clone, Debug)]
pub struct HeaderHasher {
    /// Has taken in everything before the timestamp.
    before: Blake2b,
    bits: u32,
    /// Everything behind the nonce.
    after: Vec<u8>,
}

impl HeaderHasher {
    /// The block hash for this timestamp (milliseconds) and nonce.
    #[must_use]
    pub fn hash(&self, timestamp: u64, nonce: u64) -> [u8; 32] {
        self.before
            .clone()
            .update(&timestamp.to_le_bytes())
            .update(&self.bits.to_le_bytes())
            .update(&nonce.to_le_bytes())
            .update(&self.after)
            .finish()
    }

    /// The pre-PoW hash.
    #[must_use]
    pub fn pre_pow_hash(&self) -> [u8; 32] {
        self.hash(0, 0)
    }
}

/// The target that `bits` stands for: a mantissa of 23 bits and a count of bytes. Zero, which no honest block meets,
/// for a mantissa with its top bit set or a number past 256 bits.
#[must_use]
pub fn bits_to_target(bits: u32) -> Target {
    let (bytes, mantissa) = (bits >> 24, bits & 0x00ff_ffff);
    let (mantissa, shift) =
        if bytes <= 3 { (mantissa >> (8 * (3 - bytes)), 0) } else { (mantissa, 8 * (bytes as usize - 3)) };
    if mantissa > 0x007f_ffff {
        return Target::new(U256::ZERO);
    }
    Target::new(U256::from(mantissa).checked_shl(shift).unwrap_or(U256::ZERO))
}

/// [`bits_to_target`], or `None` for bits that stand for no target above zero.
#[must_use]
pub fn target_of_bits(bits: u32) -> Option<Target> {
    Some(bits_to_target(bits)).filter(|target| !target.get().is_zero())
}

/// The compact form of a target, rounded down to its 23 or fewer highest bits.
#[must_use]
pub fn target_to_bits(target: Target) -> u32 {
    let value = target.get();
    let mut bytes = value.bit_len().div_ceil(8) as u32;
    let low = |value: U256| value.as_limbs()[0] as u32;
    let mut mantissa =
        if bytes <= 3 { low(value) << (8 * (3 - bytes)) } else { low(value >> (8 * (bytes as usize - 3))) };
    mantissa &= 0x00ff_ffff;
    if mantissa & 0x0080_0000 != 0 {
        // The top bit would read as a sign.
        mantissa >>= 8;
        bytes += 1;
    }
    bytes << 24 | mantissa
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kaspa::params::Network;
    use proptest::prelude::*;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../testdata/kaspa.json")).unwrap()
    }

    fn hash(value: &Value) -> [u8; 32] {
        hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
    }

    /// A header of the vectors, whose equal neighbouring levels are written once with a count.
    fn header(vector: &Value) -> Header {
        let mut parents = Vec::new();
        for run in vector["parentsRle"].as_array().unwrap() {
            let level: Vec<[u8; 32]> = run[1].as_array().unwrap().iter().map(hash).collect();
            parents.extend(std::iter::repeat_n(level, run[0].as_u64().unwrap() as usize));
        }
        Header {
            version: vector["version"].as_u64().unwrap() as u16,
            parents,
            hash_merkle_root: hash(&vector["hashMerkleRoot"]),
            accepted_id_merkle_root: hash(&vector["acceptedIdMerkleRoot"]),
            utxo_commitment: hash(&vector["utxoCommitment"]),
            timestamp: vector["timestamp"].as_u64().unwrap(),
            bits: vector["bits"].as_u64().unwrap() as u32,
            nonce: vector["nonce"].as_u64().unwrap(),
            daa_score: vector["daaScore"].as_u64().unwrap(),
            blue_score: vector["blueScore"].as_u64().unwrap(),
            blue_work: U256::from_str_radix(vector["blueWork"].as_str().unwrap(), 16).unwrap(),
            pruning_point: hash(&vector["pruningPoint"]),
        }
    }

    #[test]
    fn published_headers_have_their_published_hashes() {
        let vectors = vectors();
        let headers = vectors["headers"].as_array().unwrap();
        assert_eq!(headers.len(), 7);
        for vector in headers {
            let header = header(vector);
            assert_eq!(header.hash(), hash(&vector["blockHash"]), "{}", vector["name"]);
            assert_eq!(header.pre_pow_hash(), hash(&vector["prePow"]), "{}", vector["name"]);
            let hasher = header.hasher();
            assert_eq!(hasher.hash(header.timestamp, header.nonce), header.hash());
            assert_eq!(hasher.pre_pow_hash(), header.pre_pow_hash());
            if let Some(target) = vector["target"].as_str() {
                assert_eq!(bits_to_target(header.bits).to_string(), target);
            }
        }
    }

    #[test]
    fn every_network_starts_with_its_first_block() {
        let vectors = vectors();
        for network in Network::ALL {
            let name = format!("genesis {}", network.name().trim_end_matches("-10"));
            let vector = vectors["headers"]
                .as_array()
                .unwrap()
                .iter()
                .find(|vector| vector["name"] == name.as_str())
                .unwrap();
            assert_eq!(header(vector).hash(), network.genesis_hash());
        }
    }

    #[test]
    fn every_field_is_in_the_hash_and_only_two_are_not_in_the_pre_pow_hash() {
        let vectors = vectors();
        let header = header(&vectors["headers"][0]);
        let changes: [fn(&mut Header); 13] = [
            |h| h.version += 1,
            |h| h.parents[0][0][0] ^= 1,
            |h| h.parents.push(Vec::new()),
            |h| h.hash_merkle_root[0] ^= 1,
            |h| h.accepted_id_merkle_root[0] ^= 1,
            |h| h.utxo_commitment[0] ^= 1,
            |h| h.timestamp += 1,
            |h| h.nonce += 1,
            |h| h.bits += 1,
            |h| h.daa_score += 1,
            |h| h.blue_score += 1,
            |h| h.blue_work += U256::ONE,
            |h| h.pruning_point[0] ^= 1,
        ];
        for (i, change) in changes.into_iter().enumerate() {
            let mut other = header.clone();
            change(&mut other);
            assert_ne!(other.hash(), header.hash(), "{i}");
            assert_eq!(other.pre_pow_hash() == header.pre_pow_hash(), i == 6 || i == 7, "{i}");
        }
    }

    #[test]
    fn published_bits_stand_for_their_targets() {
        let vectors = vectors();
        for vector in vectors["bits"].as_array().unwrap() {
            let bits = u32::from_str_radix(vector[0].as_str().unwrap(), 16).unwrap();
            let target = bits_to_target(bits);
            assert_eq!(target.to_string(), vector[1].as_str().unwrap(), "{bits:08x}");
            assert_eq!(target_of_bits(bits).is_none(), target.get().is_zero());
        }
        let reads = |bits, high: &str| assert_eq!(bits_to_target(bits).to_string(), format!("{high:0<64}"));
        reads(0x1b05_31b1, "00000000000531b1");
        reads(0x1e21_bc1c, "000021bc1c");
        for (bits, low, again) in [
            (0x0212_3456, 0x1234, 0x0212_3400),
            (0x0112_3456, 0x12, 0x0112_0000),
            (0x0312_3456, 0x12_3456, 0x0312_3456),
        ] {
            assert_eq!(bits_to_target(bits), Target::new(U256::from(low)));
            assert_eq!(target_to_bits(bits_to_target(bits)), again);
        }
        for nothing in [0x0492_3456, 0x0012_3456, 0x2100_ffff + (1 << 24), 0xff7f_ffff] {
            assert_eq!(target_of_bits(nothing), None, "{nothing:08x}");
        }
        assert_eq!(target_to_bits(Target::new(U256::ZERO)), 0);
        assert_eq!(target_to_bits(Target::new(U256::MAX >> 1)), 0x207f_ffff);
        assert_eq!(target_to_bits(Target::MAX), 0x2100_ffff);
        assert_eq!(target_to_bits(Target::new(U256::from(0x80))), 0x0200_8000);
    }

    proptest! {
        #[test]
        fn bits_come_back_from_what_they_stand_for(bytes: [u8; 32], shift in 0usize..256) {
            let target = Target::new(U256::from_be_bytes(bytes) >> shift);
            let bits = target_to_bits(target);
            let rounded = bits_to_target(bits);
            prop_assert!(rounded <= target);
            prop_assert!(target.get() - rounded.get() <= target.get() >> 15);
            prop_assert_eq!(target_to_bits(rounded), bits);
        }

        #[test]
        fn no_bits_panic(bits: u32) {
            let _ = bits_to_target(bits);
        }
    }
}
