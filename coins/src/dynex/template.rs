//! A node's offer, checked before anybody mines on it.
//!
//! The pool's free bytes are found by parsing the coinbase, not by the offset that the node names: that offset points
//! at the *second* of them, so a pool that trusts it and writes as many bytes as it asked for overwrites the next
//! field's tag and makes every block invalid. One byte is given away and eight are used: the connection's extranonce
//! (four bytes, big-endian), then the pool's tag.

use super::address::Address;
use super::blob::{BadBytes, Block, block_id, hashing_blob, push_varint, root_over, tree_branch};
use super::tx::{Field, NotPaid, fields, pays};
use crate::hash::cryptonight::keccak256;
use pool_core::units::{Target, U256};
use std::ops::Range;

/// Free bytes to ask a node for: one that its offset skips, the extranonce and the tag.
pub const RESERVE_BYTES: usize = 9;
/// Free bytes that are used: the extranonce and the tag.
const USED_BYTES: usize = 8;

/// What a template must say to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Whom its coinbase must pay.
    pub pay_to: Address,
    /// Take a coinbase that does not publish its secret key, so that nobody can see whom it pays. No node that mines on
    /// today's network makes one.
    pub trust_hidden_payee: bool,
    /// What stands behind the extranonce in every coinbase: two pools on one node never work on the same block.
    pub tag: [u8; 4],
    /// Blocks for which its coins are locked: [`super::params::MATURITY`] but on private networks.
    pub maturity: u64,
}

/// What a node said beside the block itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated {
    /// The height of the block to be mined.
    pub height: u64,
    /// The network's difficulty for it.
    pub difficulty: u64,
    /// Where the node says its free bytes begin, counted from the block's first byte.
    pub reserved_offset: usize,
}

/// Why a template is not mined on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadTemplate {
    /// It is no block.
    #[error("a template that is no block: {0}")]
    Block(#[from] BadBytes),
    /// The block is of another height than stated.
    #[error("a template for height {stated} whose coinbase is of height {found:?}")]
    Height {
        /// By the node.
        stated: u64,
        /// In the block.
        found: Option<u64>,
    },
    /// Difficulty zero.
    #[error("a template of difficulty 0")]
    Difficulty,
    /// It pays somebody else, or nobody can see whom.
    #[error("a template whose coinbase is not seen to pay the pool: {0}")]
    Payee(#[from] NotPaid),
    /// Its coins are locked for longer, or for less, than the chain's rule.
    #[error("a template whose coinbase is locked until {found}, the rule is {expected}")]
    Unlock {
        /// In the block.
        found: u64,
        /// By the rule.
        expected: u64,
    },
    /// No room for the extranonce.
    #[error("a template with {found} free bytes in its coinbase, {RESERVE_BYTES} were asked for")]
    Reserve {
        /// Free bytes there are.
        found: usize,
    },
    /// The stated place of the free bytes is not where they are.
    #[error("a template that says its free bytes are at {stated}, and they are at {found}")]
    Offset {
        /// By the node.
        stated: usize,
        /// In the block.
        found: usize,
    },
    /// The nonce would not be where every miner writes it.
    #[error("a template whose nonce is at byte {0}, miners write it at 39")]
    Nonce(
        /// Where it would be.
        usize,
    ),
}

/// A node's offer: a block whose coinbase has a place for the pool's extranonce, and whose header has one for a nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynexTemplate {
    /// Up to the nonce.
    header: Vec<u8>,
    coinbase: Vec<u8>,
    /// The extranonce's four bytes in the coinbase.
    extranonce: Range<usize>,
    /// The count of further transactions and their hashes.
    tail: Vec<u8>,
    branch: Vec<[u8; 32]>,
    /// Transactions, the coinbase included.
    count: u64,
    previous: [u8; 32],
    height: u64,
    difficulty: u64,
    reward: u64,
    clean: bool,
}

/// Where miners write the nonce: it is behind two versions, five bytes of time and the previous block.
const NONCE_OFFSET: usize = 39;

impl DynexTemplate {
    /// Reads and checks a node's block.
    ///
    /// # Errors
    /// [`BadTemplate`].
    pub fn check(blob: &[u8], stated: Stated, expected: &Expected) -> Result<Self, BadTemplate> {
        let block = Block::parse(blob)?;
        if block.coinbase.height() != Some(stated.height) {
            return Err(BadTemplate::Height { stated: stated.height, found: block.coinbase.height() });
        }
        if stated.difficulty == 0 {
            return Err(BadTemplate::Difficulty);
        }
        let unlock = stated.height.saturating_add(expected.maturity);
        if block.coinbase.prefix.unlock_time != unlock {
            return Err(BadTemplate::Unlock { found: block.coinbase.prefix.unlock_time, expected: unlock });
        }
        let header_bytes = block.header.to_bytes();
        let (header, _nonce) = header_bytes.split_at(header_bytes.len() - super::blob::NONCE_LEN);
        if header.len() != NONCE_OFFSET {
            return Err(BadTemplate::Nonce(header.len()));
        }
        let reward = match pays(&block.coinbase, &expected.pay_to) {
            Err(NotPaid::NoSecret) if expected.trust_hidden_payee => {
                block.coinbase.total().ok_or(NotPaid::Amount)?
            }
            outcome => outcome?,
        };
        let coinbase = block.coinbase.to_bytes();
        let extra = &block.coinbase.prefix.extra;
        let nonce = fields(extra)?.into_iter().find(|field| field.tag == Field::NONCE);
        let free = nonce.map_or(0..0, |field| field.data);
        if free.len() < RESERVE_BYTES {
            return Err(BadTemplate::Reserve { found: free.len() });
        }
        // A coinbase ends with its extra.
        let start = coinbase.len() - extra.len() + free.start;
        // The node's offset is of its second free byte; one that names the first is taken too.
        let found = header_bytes.len() + start + 1;
        if stated.reserved_offset != found && stated.reserved_offset + 1 != found {
            return Err(BadTemplate::Offset { stated: stated.reserved_offset, found });
        }
        let extranonce = start + 1..start + 5;
        let mut coinbase = coinbase;
        coinbase[start + 1..=start + USED_BYTES].fill(0);
        coinbase[start + 5..start + 9].copy_from_slice(&expected.tag);
        let mut tail = Vec::with_capacity(5 + 32 * block.transactions.len());
        push_varint(&mut tail, block.transactions.len() as u64);
        tail.extend(block.transactions.iter().flatten());
        Ok(Self {
            header: header.to_vec(),
            coinbase,
            extranonce,
            tail,
            branch: tree_branch(&block.transactions),
            count: 1 + block.transactions.len() as u64,
            previous: block.header.previous,
            height: stated.height,
            difficulty: stated.difficulty,
            reward,
            clean: false,
        })
    }

    /// Marks the job made of it as one that retires older work.
    #[must_use]
    pub fn with_clean(self, clean: bool) -> Self {
        Self { clean, ..self }
    }

    /// Whether older work is worthless: the chain has moved on.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.clean
    }

    /// The height of the block.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.height
    }

    /// The id of the block before it.
    #[must_use]
    pub const fn previous(&self) -> &[u8; 32] {
        &self.previous
    }

    /// The network's difficulty.
    #[must_use]
    pub const fn difficulty(&self) -> u64 {
        self.difficulty
    }

    /// The greatest hash that solves the block: hash times difficulty stays below 2^256.
    #[must_use]
    pub fn target(&self) -> Target {
        Target::new(U256::MAX / U256::from(self.difficulty))
    }

    /// What the block pays, with fees. Unit: smallest units. For pages: what a block earns is read from the chain.
    #[must_use]
    pub const fn reward(&self) -> u64 {
        self.reward
    }

    /// How many transactions are in it, the coinbase included.
    #[must_use]
    pub const fn transactions(&self) -> u64 {
        self.count
    }

    fn coinbase(&self, extranonce: u32) -> Vec<u8> {
        let mut coinbase = self.coinbase.clone();
        coinbase[self.extranonce.clone()].copy_from_slice(&extranonce.to_be_bytes());
        coinbase
    }

    /// What a miner with this extranonce hashes, with this nonce.
    #[must_use]
    pub fn hashing_blob(&self, extranonce: u32, nonce: [u8; 4]) -> Vec<u8> {
        let root = root_over(&keccak256(&self.coinbase(extranonce)), &self.branch);
        let mut header = self.header.clone();
        header.extend_from_slice(&nonce);
        hashing_blob(&header, &root, self.count)
    }

    /// The id of the block with this extranonce and nonce.
    #[must_use]
    pub fn block_id(&self, extranonce: u32, nonce: [u8; 4]) -> [u8; 32] {
        block_id(&self.hashing_blob(extranonce, nonce))
    }

    /// The block with this extranonce and nonce, as a node takes it.
    #[must_use]
    pub fn block(&self, extranonce: u32, nonce: [u8; 4]) -> Vec<u8> {
        let mut block = self.header.clone();
        block.extend_from_slice(&nonce);
        block.extend_from_slice(&self.coinbase(extranonce));
        block.extend_from_slice(&self.tail);
        block
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::Value;

    pub(in super::super) const POOL: &str =
        "XwoViygnRn7QaFtbc8XkwigF5oXhRZ41uinUK8XviwvAe4XjHJqfUVHGcieAJQSyWcQ1d6tzfGvyz5KZKSNeU3Bh1d9FDxNoJ";

    pub(in super::super) fn vectors() -> Vec<Value> {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/dynex.json")).unwrap();
        vectors["templates"].as_array().unwrap().clone()
    }

    pub(in super::super) fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
        vector[name].as_str().unwrap()
    }

    pub(in super::super) fn bytes(vector: &Value, name: &str) -> Vec<u8> {
        hex::decode(text(vector, name)).unwrap()
    }

    pub(in super::super) fn expected() -> Expected {
        let tag = [0xc0, 0xff, 0xee, 0x01];
        Expected { pay_to: Address::parse(POOL).unwrap(), trust_hidden_payee: false, tag, maturity: 60 }
    }

    pub(in super::super) fn stated(vector: &Value) -> Stated {
        Stated {
            height: vector["height"].as_u64().unwrap(),
            difficulty: 1_000_000,
            reserved_offset: usize::try_from(vector["reserved_offset"].as_u64().unwrap()).unwrap(),
        }
    }

    #[test]
    fn every_published_template_becomes_the_published_job_and_block() {
        for vector in vectors() {
            let template =
                DynexTemplate::check(&bytes(&vector, "blocktemplate_blob"), stated(&vector), &expected())
                    .unwrap();
            assert_eq!(template.reward(), 95_367_431_640);
            assert_eq!(hex::encode(template.hashing_blob(1, [0; 4])), text(&vector, "job_blob"));
            let share = &vector["share"];
            let nonce: [u8; 4] = bytes(share, "nonce").try_into().unwrap();
            assert_eq!(hex::encode(template.hashing_blob(1, nonce)), text(share, "hashing_blob_with_nonce"));
            assert_eq!(hex::encode(template.block_id(1, nonce)), text(share, "block_id"));
            assert_eq!(hex::encode(template.block(1, nonce)), text(share, "submit_block_blob"));
            let elsewhere = Block::parse(&template.block(u32::MAX, nonce)).unwrap();
            assert_eq!(elsewhere.id(), template.block_id(u32::MAX, nonce));
            assert_ne!(elsewhere.id(), template.block_id(1, nonce));
        }
    }

    /// Parses, changes, and writes again what a node said.
    fn lie(
        change: impl FnOnce(&mut Block, &mut Stated, &mut Expected),
    ) -> Result<DynexTemplate, BadTemplate> {
        let vector = &vectors()[1];
        let (mut stated, mut expected) = (stated(vector), expected());
        let mut block = Block::parse(&bytes(vector, "blocktemplate_blob")).unwrap();
        change(&mut block, &mut stated, &mut expected);
        DynexTemplate::check(&block.to_bytes(), stated, &expected)
    }

    #[test]
    fn every_lie_is_found() {
        assert!(lie(|_, _, _| {}).is_ok());
        let other = "XwnV1b9sULyFvmW8NGQyndJGWkF9eE13XKobuGvHUS4QFRrKH7Ze8tRFM6kPeLjLHyfLWPoo7r8RJKyqpcGxZHk32f2avgT4t";
        let other = Address::parse(other).unwrap();
        let found = lie(|_, _, expected| expected.pay_to = other);
        assert_eq!(found, Err(BadTemplate::Payee(NotPaid::OtherReceiver)));
        let found = lie(|block, _, _| block.coinbase.prefix.outputs[0].key[5] ^= 1);
        assert_eq!(found, Err(BadTemplate::Payee(NotPaid::OtherKey(0))));
        let found = lie(|_, stated, _| stated.height += 1);
        assert_eq!(found, Err(BadTemplate::Height { stated: 385_302, found: Some(385_301) }));
        assert_eq!(lie(|_, stated, _| stated.difficulty = 0), Err(BadTemplate::Difficulty));
        let found = lie(|block, _, _| block.coinbase.prefix.unlock_time += 1);
        assert_eq!(found, Err(BadTemplate::Unlock { found: 385_362, expected: 385_361 }));
        let found = lie(|_, stated, _| stated.reserved_offset = 7);
        assert_eq!(found, Err(BadTemplate::Offset { stated: 7, found: 130 }));
        assert!(lie(|_, stated, _| stated.reserved_offset -= 1).is_ok());
        let found = lie(|block, _, _| block.header.timestamp = 1 << 20);
        assert_eq!(found, Err(BadTemplate::Nonce(37)));
        assert!(matches!(lie(|block, _, _| block.header.major = 2), Err(BadTemplate::Block(_))));
    }

    /// The field has as many bytes as were asked for, and the node's offset leaves one less.
    #[test]
    fn the_reserved_area_is_one_byte_less_than_asked() {
        let shorter = |len: u8| {
            lie(|block, _, _| {
                let extra = &mut block.coinbase.prefix.extra;
                let field =
                    fields(extra).unwrap().into_iter().find(|field| field.tag == Field::NONCE).unwrap();
                let free = vec![0; usize::from(len)];
                extra[field.data.start - 1] = len;
                extra.splice(field.data, free);
            })
        };
        assert_eq!(shorter(8), Err(BadTemplate::Reserve { found: 8 }));
        assert_eq!(shorter(0), Err(BadTemplate::Reserve { found: 0 }));
        for len in [9, 10, 60] {
            let template = shorter(len).unwrap();
            // The whole extra is still read as it was, whatever is written.
            let block = Block::parse(&template.block(u32::MAX, [0xff; 4])).unwrap();
            let tags: Vec<u8> =
                fields(&block.coinbase.prefix.extra).unwrap().iter().map(|field| field.tag).collect();
            assert_eq!(tags, [1, 2, 7, 5, 6]);
            assert!(pays(&block.coinbase, &expected().pay_to).is_ok());
        }
    }

    #[test]
    fn a_coinbase_that_hides_its_payee_is_taken_only_if_told_so() {
        let hide = |block: &mut Block| {
            let extra = &mut block.coinbase.prefix.extra;
            let secret =
                fields(extra).unwrap().into_iter().find(|field| field.tag == Field::SECRET_KEY).unwrap();
            extra.drain(secret.data.start - 1..secret.data.end);
        };
        let found = lie(|block, _, _| hide(block));
        assert_eq!(found, Err(BadTemplate::Payee(NotPaid::NoSecret)));
        let trusted = lie(|block, stated, expected| {
            hide(block);
            // The extra's length takes one byte less.
            stated.reserved_offset -= 1;
            expected.trust_hidden_payee = true;
        });
        assert_eq!(trusted.unwrap().reward(), 95_367_431_640);
    }

    #[test]
    fn the_target_is_the_chains_rule_at_its_borders() {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/dynex.json")).unwrap();
        for vector in vectors["check_hash"].as_array().unwrap() {
            let difficulty = text(vector, "difficulty").parse().unwrap();
            let template = lie(|_, stated, _| stated.difficulty = difficulty).unwrap();
            let hash: [u8; 32] = bytes(vector, "hash").try_into().unwrap();
            let solves = U256::from_le_bytes(hash) <= template.target().get();
            assert_eq!(solves, vector["ok"].as_bool().unwrap(), "{vector}");
        }
    }
}
