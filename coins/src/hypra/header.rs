//! Block headers, as they are hashed.
//!
//! A header is hashed twice: without mix and nonce (the seal hash, which is what miners work on) and with them (the
//! block's hash). London adds the base fee at the end of both. Source: `consensus/ethash/consensus.go` of the chain's node
//! (the rule), checked with the hashes of both first blocks.

use super::address::Address;
use super::rlp::{BadRlp, Item, push_bytes, push_integer, push_list, push_number};
use crate::hash::ethashb3::keccak256;
use pool_core::units::U256;

/// A block's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The hash of the block before.
    pub parent: [u8; 32],
    /// Keccak-256 of the list of uncles.
    pub uncles_hash: [u8; 32],
    /// Whom it pays.
    pub miner: Address,
    /// The state after it.
    pub state_root: [u8; 32],
    /// Its transactions' root.
    pub transactions_root: [u8; 32],
    /// Their receipts' root.
    pub receipts_root: [u8; 32],
    /// The filter over their logs.
    pub logs_bloom: Box<[u8; 256]>,
    /// Expected hashes.
    pub difficulty: U256,
    /// Its height.
    pub number: u64,
    /// Unit: gas.
    pub gas_limit: u64,
    /// Unit: gas.
    pub gas_used: u64,
    /// Unit: seconds since 1970.
    pub timestamp: u64,
    /// The miner's own bytes: at most 32 after the first block.
    pub extra: Vec<u8>,
    /// What of a gas's price is burnt; none before London. Unit: wei.
    pub base_fee: Option<u128>,
    /// Zero while it is not sealed.
    pub mix: [u8; 32],
    /// Zero while it is not sealed.
    pub nonce: u64,
}

impl Header {
    /// What miners work on.
    #[must_use]
    pub fn seal_hash(&self) -> [u8; 32] {
        keccak256(&self.encode(false))
    }

    /// The block's hash.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        keccak256(&self.encode(true))
    }

    /// The header's RLP, as nodes exchange it.
    #[must_use]
    pub fn to_rlp(&self) -> Vec<u8> {
        self.encode(true)
    }

    /// True when a proof-of-work hash meets the difficulty: `hash <= floor(2^256 / difficulty)`.
    #[must_use]
    pub fn is_met_by(&self, hash: U256) -> bool {
        hash <= self.target()
    }

    /// The largest hash that meets the difficulty. A difficulty of zero or one is met by every hash.
    #[must_use]
    pub fn target(&self) -> U256 {
        let one = U256::from(1u64);
        if self.difficulty <= one {
            return U256::MAX;
        }
        // floor(2^256 / d) is one more than floor((2^256 - d) / d).
        (U256::MAX - (self.difficulty - one)) / self.difficulty + one
    }

    fn encode(&self, sealed: bool) -> Vec<u8> {
        let mut content = Vec::with_capacity(600);
        let out = &mut content;
        push_bytes(out, &self.parent);
        push_bytes(out, &self.uncles_hash);
        push_bytes(out, self.miner.bytes());
        push_bytes(out, &self.state_root);
        push_bytes(out, &self.transactions_root);
        push_bytes(out, &self.receipts_root);
        push_bytes(out, &self.logs_bloom[..]);
        push_integer(out, &self.difficulty.to_be_bytes::<32>());
        for number in [self.number, self.gas_limit, self.gas_used, self.timestamp] {
            push_number(out, number.into());
        }
        push_bytes(out, &self.extra);
        if sealed {
            push_bytes(out, &self.mix);
            push_bytes(out, &self.nonce.to_be_bytes());
        }
        if let Some(base_fee) = self.base_fee {
            push_number(out, base_fee);
        }
        let mut list = Vec::with_capacity(content.len() + 3);
        push_list(&mut list, &content);
        list
    }

    /// Reads a sealed header.
    ///
    /// # Errors
    /// [`BadRlp`].
    pub fn from_rlp(bytes: &[u8]) -> Result<Self, BadRlp> {
        let item = Item::parse(bytes)?;
        let items = item.list()?;
        let (fields, base_fee) = match items {
            [fields @ .., base_fee] if items.len() == 16 => (fields, Some(base_fee.number()?)),
            fields if fields.len() == 15 => (fields, None),
            _ => return Err(BadRlp::Shape("a header of 15 or 16 items")),
        };
        let difficulty = fields[7].bytes()?;
        if difficulty.len() > 32 || difficulty.first() == Some(&0) {
            return Err(BadRlp::Shape("a difficulty of at most 256 bits"));
        }
        Ok(Self {
            parent: fields[0].array()?,
            uncles_hash: fields[1].array()?,
            miner: Address::new(fields[2].array()?),
            state_root: fields[3].array()?,
            transactions_root: fields[4].array()?,
            receipts_root: fields[5].array()?,
            logs_bloom: Box::new(fields[6].array()?),
            difficulty: U256::from_be_slice(difficulty),
            number: fields[8].small()?,
            gas_limit: fields[9].small()?,
            gas_used: fields[10].small()?,
            timestamp: fields[11].small()?,
            extra: fields[12].bytes()?.to_vec(),
            base_fee,
            mix: fields[13].array()?,
            nonce: u64::from_be_bytes(fields[14].array()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ruint::Uint;
    use serde_json::Value;

    proptest! {
        #[test]
        fn a_target_is_the_chains_own_division(difficulty: [u64; 4], shift in 0usize..256) {
            let difficulty = (U256::from_limbs(difficulty) >> shift).max(U256::from(2u64));
            let two256: Uint<320, 5> = Uint::from(1u64) << 256;
            let target = two256 / Uint::<320, 5>::from(difficulty);
            let header = Header { difficulty, ..genesis() };
            prop_assert_eq!(Uint::<320, 5>::from(header.target()), target);
            prop_assert!(header.is_met_by(header.target()));
            prop_assert!(!header.is_met_by(header.target() + U256::from(1u64)));
        }
    }

    fn genesis() -> Header {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/hypra.json")).unwrap();
        let rlp = vectors["genesis_headers"][0]["header_rlp"].as_str().unwrap();
        Header::from_rlp(&hex::decode(rlp).unwrap()).unwrap()
    }

    #[test]
    fn first_blocks_hash_to_what_the_network_says() {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/hypra.json")).unwrap();
        let list = vectors["genesis_headers"].as_array().unwrap();
        assert_eq!(list.len(), 3);
        for vector in list {
            let text = |key: &str| vector[key].as_str().unwrap().to_owned();
            let bytes = hex::decode(text("header_rlp")).unwrap();
            let header = Header::from_rlp(&bytes).unwrap();
            assert_eq!(header.to_rlp(), bytes);
            assert_eq!(hex::encode(header.hash()), text("hash"), "{vector}");
            assert_eq!(hex::encode(header.seal_hash()), text("seal_hash"), "{vector}");
            assert_eq!(hex::encode(header.state_root), text("state_root"));
            assert_eq!(header.base_fee.is_some(), vector["fields"] == 16);
            for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
                assert!(Header::from_rlp(&bytes[..cut]).is_err());
            }
        }
    }
}
