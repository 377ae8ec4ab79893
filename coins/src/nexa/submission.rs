//! A solved candidate on its way to the node, and what a block is called before anybody has seen it.
//!
//! Nexa's nodes keep the block. A pool is told an id and a commitment, and gives back the id and a nonce; the node
//! forgets the id as soon as it is named, once the chain has grown, after some newer candidates, and when it stops. So
//! what a pool writes down before it submits is not a block but a claim on one: which node, which id, and with which
//! commitment and nonce ([`Submission`]). From that the claim can be made again later, and the block can be found
//! again for ever. What cannot be done is to rebuild the block: when the pool dies between writing down and
//! submitting, and the node is gone or has moved on by the next start, then that block is lost, and its fate says so.
//!
//! Nor is the block's hash known before the node tells it, as it takes the whole header. The pool needs a name at
//! once, one that can be computed again from the chain: the first 28 bytes of the mining hash (a hash over commitment
//! and nonce, both of which a header on the chain yields), and then the height in four bytes, big-endian. With the
//! height in the name, a block's fate needs no memory: the chain has one block at a height, and either it is this one
//! or it is not. The hash that explorers know is part of a fate's words.

use super::codec::{Malformed, Reader, push_bytes, push_compact_size};
use super::header::Header;
use crate::hash::nexapow::mining_hash;
use pool_core::id::BlockId;
use pool_stratum::dialect::nexa::NexaNonce;

/// The first byte of [`Submission::to_bytes`].
const VERSION: u8 = 1;

/// The pool's name of the block with this commitment (in hashing order), nonce and height.
#[must_use]
pub fn block_id(commitment: &[u8; 32], nonce: &NexaNonce, height: u32) -> BlockId {
    let mut id = mining_hash(commitment, nonce.bytes()).expect("such a nonce has at most 16 bytes");
    id[28..].copy_from_slice(&height.to_be_bytes());
    BlockId::new(id)
}

/// The height in a name.
#[must_use]
pub const fn height_of(id: &BlockId) -> u32 {
    let [.., a, b, c, d] = *id.bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The pool's name of a block on the chain; `None` past a height of 2^32.
#[must_use]
pub fn block_id_of(header: &Header) -> Option<BlockId> {
    let nonce = NexaNonce::new(&header.nonce)?;
    Some(block_id(&header.commitment(), &nonce, u32::try_from(header.height).ok()?))
}

/// A claim on a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The node that holds the candidate: scheme, host and port.
    pub node: String,
    /// The candidate's number there.
    pub candidate: u64,
    /// Its commitment, in hashing order.
    pub commitment: [u8; 32],
    /// The nonce that solves it.
    pub nonce: NexaNonce,
    /// The height of its block.
    pub height: u32,
}

impl Submission {
    /// The name of the block.
    #[must_use]
    pub fn id(&self) -> BlockId {
        block_id(&self.commitment, &self.nonce, self.height)
    }

    /// What a block book keeps.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.commitment);
        push_bytes(&mut out, self.nonce.bytes());
        out.extend_from_slice(&self.height.to_le_bytes());
        push_compact_size(&mut out, self.candidate);
        push_bytes(&mut out, self.node.as_bytes());
        out
    }

    /// All of `bytes`.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != VERSION {
            return Err(Malformed::Part("form"));
        }
        let commitment = reader.hash()?;
        let nonce = NexaNonce::new(reader.bytes()?).ok_or(Malformed::Part("nonce"))?;
        let height = reader.u32()?;
        let candidate = reader.compact_size()?;
        let node = std::str::from_utf8(reader.bytes()?).map_err(|_| Malformed::Part("node"))?.to_owned();
        reader.end()?;
        Ok(Self { node, candidate, commitment, nonce, height })
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::from_display;
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn a_block_on_the_chain_leads_back_to_its_name() {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/nexa.json")).unwrap();
        let block = &vectors["mainnet_block"];
        let text = |key: &str| block[key].as_str().unwrap();
        let header = Header::parse(&hex::decode(text("header_hex")).unwrap()).unwrap();
        let commitment = from_display(text("commitment_rpc")).unwrap();
        let nonce = NexaNonce::new(&hex::decode(text("nonce")).unwrap()).unwrap();
        let id = block_id(&commitment, &nonce, 236_856);
        assert_eq!(block_id_of(&header), Some(id));
        assert_eq!(height_of(&id), 236_856);
        assert_eq!(id.to_string(), format!("{}00039d38", &text("mining_hash_raw")[..56]));
        let other = Header { time: header.time + 1, ..header.clone() };
        assert_ne!(block_id_of(&other), Some(id));
        assert_eq!(block_id_of(&Header { height: 1 << 32, ..header }), None);
    }

    fn submissions() -> impl Strategy<Value = Submission> {
        let nonce = proptest::collection::vec(any::<u8>(), 0..=16);
        ("[ -~]{0,40}", any::<u64>(), any::<[u8; 32]>(), nonce, any::<u32>()).prop_map(
            |(node, candidate, commitment, nonce, height)| {
                let nonce = NexaNonce::new(&nonce).unwrap();
                Submission { node, candidate, commitment, nonce, height }
            },
        )
    }

    proptest! {
        #[test]
        fn a_submission_reads_back(submission in submissions()) {
            let bytes = submission.to_bytes();
            prop_assert_eq!(Submission::parse(&bytes), Ok(submission.clone()));
            prop_assert!(Submission::parse(&bytes[..bytes.len() - 1]).is_err());
            prop_assert_eq!(height_of(&submission.id()), submission.height);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Submission::parse(&bytes);
        }
    }
}
