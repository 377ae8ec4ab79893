//! Block headers: what is serialised, what miners commit to, and what a block is called.
//!
//! A header is hashed in two halves. The small one is the parent and the target; the large one everything else. Their
//! hashes together, hashed, are the *commitment* that miners work on while the nonce is left out of the large half,
//! and the *block's hash* when it is in. So a commitment and a nonce do not yield the block's hash: that takes the
//! whole header, which the node keeps to itself until the block is on the chain. What the pool can always compute is
//! the other direction: from a block on the chain its commitment and its nonce, and so whose solution it was.
//! Source: the node's `src/primitives/block.h` and `block.cpp` (layout).

use super::codec::{Malformed, Reader, push_bytes, push_varint, sha256};
use crate::hash::nexapow::NONCE_MAX;
use pool_core::units::{Target, U256};

/// A header's fields, hashes in hashing order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The block before it.
    pub parent: [u8; 32],
    /// The target in compact form.
    pub bits: u32,
    /// An earlier block, further and further back as heights go.
    pub ancestor: [u8; 32],
    /// Root of the tree of transaction ids.
    pub merkle_root: [u8; 32],
    /// Zero today.
    pub tx_filter: [u8; 32],
    /// Unit: seconds since 1970.
    pub time: u32,
    /// Blocks before it.
    pub height: u64,
    /// Expected hashes of the whole chain, 256 bits little-endian.
    pub chain_work: [u8; 32],
    /// Bytes of the whole block without its nonce and the nonce's length.
    pub size: u64,
    /// Transactions, the coinbase included.
    pub tx_count: u64,
    /// Zero today.
    pub fee_pool: u64,
    /// Empty today.
    pub utxo_commitment: Vec<u8>,
    /// Empty before Tailstorm.
    pub miner_data: Vec<u8>,
    /// At most 16 bytes.
    pub nonce: Vec<u8>,
}

/// The longest of a header's two free texts that is read. Unit: bytes; both are empty today.
const FREE_MAX: usize = 65_536;

impl Header {
    /// Reads a serialised header and leaves `reader` behind it.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let free = |bytes: &[u8], what| match bytes.len() {
            ..=FREE_MAX => Ok(bytes.to_vec()),
            _ => Err(Malformed::Part(what)),
        };
        Ok(Self {
            parent: reader.hash()?,
            bits: reader.u32()?,
            ancestor: reader.hash()?,
            merkle_root: reader.hash()?,
            tx_filter: reader.hash()?,
            time: reader.u32()?,
            height: reader.varint()?,
            chain_work: reader.hash()?,
            size: reader.u64()?,
            tx_count: reader.varint()?,
            fee_pool: reader.varint()?,
            utxo_commitment: free(reader.bytes()?, "utxo commitment")?,
            miner_data: free(reader.bytes()?, "miner data")?,
            nonce: match reader.bytes()? {
                nonce if nonce.len() <= NONCE_MAX => nonce.to_vec(),
                _ => return Err(Malformed::Part("nonce")),
            },
        })
    }

    /// All of `bytes`.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let header = Self::read(&mut reader)?;
        reader.end()?;
        Ok(header)
    }

    /// Appends the serialised header.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_without_nonce(out);
        push_bytes(out, &self.nonce);
    }

    fn write_without_nonce(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.parent);
        out.extend_from_slice(&self.bits.to_le_bytes());
        out.extend_from_slice(&self.ancestor);
        out.extend_from_slice(&self.merkle_root);
        out.extend_from_slice(&self.tx_filter);
        out.extend_from_slice(&self.time.to_le_bytes());
        push_varint(out, self.height);
        out.extend_from_slice(&self.chain_work);
        out.extend_from_slice(&self.size.to_le_bytes());
        push_varint(out, self.tx_count);
        push_varint(out, self.fee_pool);
        push_bytes(out, &self.utxo_commitment);
        push_bytes(out, &self.miner_data);
    }

    /// What [`Header::size`] must say when these transactions follow: all bytes but the nonce's.
    #[must_use]
    pub fn size_with(&self, transactions: usize) -> u64 {
        let mut out = Vec::new();
        self.write_without_nonce(&mut out);
        (out.len() + transactions) as u64
    }

    /// The half with everything but parent and target, without the nonce. Here numbers have fixed widths and the
    /// filter comes before the root.
    fn large_half(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(192);
        out.extend_from_slice(&self.ancestor);
        out.extend_from_slice(&self.tx_filter);
        out.extend_from_slice(&self.merkle_root);
        out.extend_from_slice(&self.time.to_le_bytes());
        out.extend_from_slice(&self.height.to_le_bytes());
        out.extend_from_slice(&self.chain_work);
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.tx_count.to_le_bytes());
        out.extend_from_slice(&self.fee_pool.to_le_bytes());
        push_bytes(&mut out, &self.utxo_commitment);
        push_bytes(&mut out, &self.miner_data);
        out
    }

    fn both_halves(&self, large: &[u8]) -> [u8; 32] {
        let mut small = self.parent.to_vec();
        small.extend_from_slice(&self.bits.to_le_bytes());
        sha256(&[sha256(&small), sha256(large)].concat())
    }

    /// What miners work on, in hashing order.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        self.both_halves(&self.large_half())
    }

    /// The block's name, in hashing order.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut large = self.large_half();
        push_bytes(&mut large, &self.nonce);
        self.both_halves(&large)
    }
}

/// The target of a compact form: an exponent byte and 23 bits of mantissa. `None` with the sign bit set, for zero, and
/// past 2^256.
#[must_use]
pub fn target_of_bits(bits: u32) -> Option<Target> {
    let (exponent, mantissa) = (bits >> 24, bits & 0x7f_ffff);
    if bits & 0x80_0000 != 0 || mantissa == 0 {
        return None;
    }
    let mantissa = U256::from(mantissa);
    let target = if exponent <= 3 {
        mantissa >> (8 * (3 - exponent) as usize)
    } else {
        let shift = 8 * (exponent - 3) as usize;
        if shift + mantissa.bit_len() > 256 {
            return None;
        }
        mantissa << shift
    };
    (target != U256::ZERO).then(|| Target::new(target))
}

/// The difficulty that explorers show, in parts of a million, rounded down: `0xffff × 2^208` over the target.
#[must_use]
pub fn difficulty_millionths(target: Target) -> u128 {
    let one = U256::from(0xffff_u32) << 208;
    let target = target.get().max(U256::ONE);
    // The product has up to 244 bits.
    let millionths = one * U256::from(1_000_000_u32) / target;
    u128::try_from(millionths).unwrap_or(u128::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::codec::{display, from_display};
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../testdata/nexa.json")).unwrap()
    }

    fn text<'a>(value: &'a Value, key: &str) -> &'a str {
        value[key].as_str().unwrap_or_else(|| panic!("{key} of {value}"))
    }

    #[test]
    fn every_published_header_has_its_hash_and_its_commitment() {
        let vectors = vectors();
        let geneses = vectors["genesis"].as_object().unwrap().values();
        let others = vectors["regtest_blocks"].as_array().unwrap().iter();
        let mut seen = 0;
        for vector in geneses.chain(others).chain([&vectors["mainnet_block"]]) {
            let bytes = hex::decode(text(vector, "header_hex")).unwrap();
            let header = Header::parse(&bytes).unwrap();
            assert_eq!(display(header.hash()), text(vector, "hash"));
            assert_eq!(display(header.commitment()), text(vector, "commitment_rpc"));
            assert_eq!(hex::encode(&header.nonce), text(vector, "nonce"));
            assert_eq!(format!("{:08x}", header.bits), text(vector, "nbits"));
            if let Some(size) = vector["size"].as_u64() {
                assert_eq!(header.size, size);
            }
            let mut again = Vec::new();
            header.write(&mut again);
            assert_eq!(again, bytes);
            seen += 1;
        }
        assert_eq!(seen, 8);
    }

    #[test]
    fn the_mainnet_blocks_fields() {
        let vectors = vectors();
        let block = &vectors["mainnet_block"];
        let fields = &block["fields"];
        let header = Header::parse(&hex::decode(text(block, "header_hex")).unwrap()).unwrap();
        let hash = |key| from_display(text(fields, key)).unwrap();
        assert_eq!(header.parent, hash("prev"));
        assert_eq!(header.ancestor, hash("ancestor"));
        assert_eq!(header.merkle_root, hash("merkle"));
        assert_eq!(header.tx_filter, hash("txfilter"));
        assert_eq!(header.chain_work, hash("chainwork"));
        let numbers =
            ["time", "height", "size", "txcount", "feepool"].map(|key| fields[key].as_u64().unwrap());
        let own = [u64::from(header.time), header.height, header.size, header.tx_count, header.fee_pool];
        assert_eq!(own, numbers);
    }

    #[test]
    fn compact_targets() {
        for vector in vectors()["compact_bits"].as_array().unwrap() {
            let bits = u32::from_str_radix(text(vector, "nbits"), 16).unwrap();
            let target = target_of_bits(bits).unwrap();
            assert_eq!(target.to_string(), text(vector, "target"));
            let published = vector["difficulty"].as_f64().unwrap() * 1e6;
            let own = difficulty_millionths(target) as f64;
            assert!((published - own).abs() <= 1.0 + published * 1e-12, "{vector}: {own}");
        }
        for bad in [0, 0x1e80_0001, 0x2200_ffff, 0x2100_ffff << 1, 0x0100_0000, 0x0200_00ff, 0xff00_0001] {
            assert_eq!(target_of_bits(bad), None, "{bad:08x}");
        }
        assert_eq!(target_of_bits(0x0300_0001).map(Target::get), Some(U256::ONE));
        assert_eq!(target_of_bits(0x0201_0000).map(Target::get), Some(U256::from(0x100)));
    }

    fn headers() -> impl Strategy<Value = Header> {
        let hashes = any::<[[u8; 32]; 5]>();
        let numbers = (any::<[u32; 2]>(), any::<[u64; 4]>());
        let free = proptest::collection::vec(any::<u8>(), 0..300);
        let nonce = proptest::collection::vec(any::<u8>(), 0..=16);
        (hashes, numbers, free.clone(), free, nonce).prop_map(
            |([parent, ancestor, merkle_root, tx_filter, chain_work], ([bits, time], four), a, b, nonce)| {
                let [height, size, tx_count, fee_pool] = four;
                Header {
                    parent,
                    bits,
                    ancestor,
                    merkle_root,
                    tx_filter,
                    time,
                    height,
                    chain_work,
                    size,
                    tx_count,
                    fee_pool,
                    utxo_commitment: a,
                    miner_data: b,
                    nonce,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_header_reads_back_and_every_field_counts(header in headers()) {
            let mut bytes = Vec::new();
            header.write(&mut bytes);
            prop_assert_eq!(Header::parse(&bytes), Ok(header.clone()));
            let other = Header { time: header.time.wrapping_add(1), ..header.clone() };
            prop_assert_ne!(other.commitment(), header.commitment());
            let mut nonce = header.nonce.clone();
            nonce.push(1);
            let mined = Header { nonce, ..header.clone() };
            prop_assert_eq!(mined.commitment(), header.commitment(), "the nonce is not committed to");
            prop_assert_ne!(mined.hash(), header.hash());
            bytes.push(0);
            prop_assert_eq!(Header::parse(&bytes), Err(Malformed::Long));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Header::parse(&bytes);
        }
    }
}
