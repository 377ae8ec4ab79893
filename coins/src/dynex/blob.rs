//! Blocks as bytes: what a template is, what is hashed, what a block is called.
//!
//! A block is a header of versions, time, previous block and nonce; its coinbase; and the hashes of its other
//! transactions. The proof of work is computed over the *hashing blob*: the header, the root of the tree over all
//! transaction hashes, and their count. A block's id is the Keccak hash of that blob with its length in front. Numbers
//! are varints, seven bits a byte, the lowest first, in their shortest form only; the nonce alone has a fixed width.
//! Source: `DynexCNSerialization.cpp`, `DynexCNFormatUtils.cpp` and `tree-hash.c` of the Dynex node 2.2.2 (behaviour,
//! by vectors).

use super::tx::Transaction;
use crate::hash::cryptonight::keccak256;

/// Bytes of the nonce.
pub const NONCE_LEN: usize = 4;
/// Transactions of one block beyond which bytes are no block: a hundred times what 120 seconds can hold.
const TRANSACTIONS_MAX: u64 = 100_000;

/// Bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadBytes(pub(super) &'static str);

/// Reads bytes from the front; whatever is missing is an error.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// From the first byte on.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Bytes not read yet.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.bytes.len()
    }

    /// The next so many bytes.
    ///
    /// # Errors
    /// [`BadBytes`] when there are fewer.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], BadBytes> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(BadBytes("ends too early"))?;
        self.bytes = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`BadBytes`] when there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], BadBytes> {
        let (taken, rest) = self.bytes.split_first_chunk::<N>().ok_or(BadBytes("ends too early"))?;
        self.bytes = rest;
        Ok(*taken)
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`BadBytes`] at the end.
    pub fn byte(&mut self) -> Result<u8, BadBytes> {
        Ok(self.array::<1>()?[0])
    }

    /// The next varint, in its shortest form.
    ///
    /// # Errors
    /// [`BadBytes`] for one that is longer than it needs to be, passes 2^64 or does not end.
    pub fn varint(&mut self) -> Result<u64, BadBytes> {
        let mut number = 0u64;
        for place in 0..10 {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if place == 9 && bits > 1 {
                return Err(BadBytes("a number passes 64 bits"));
            }
            number |= bits << (7 * place);
            if byte & 0x80 == 0 {
                return if byte == 0 && place > 0 {
                    Err(BadBytes("a number is longer than it needs to be"))
                } else {
                    Ok(number)
                };
            }
        }
        Err(BadBytes("a number passes 64 bits"))
    }

    /// A count of things that take at least `bytes_each` bytes each: more than can be there is no count.
    ///
    /// # Errors
    /// [`BadBytes`].
    pub fn count(&mut self, bytes_each: usize) -> Result<usize, BadBytes> {
        let count = usize::try_from(self.varint()?).map_err(|_| BadBytes("a count passes what is there"))?;
        match count.checked_mul(bytes_each) {
            Some(bytes) if bytes <= self.left() => Ok(count),
            Some(_) | None => Err(BadBytes("a count passes what is there")),
        }
    }
}

/// Appends a varint.
pub fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// What is in front of a block's transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Major version: 1, or 4 on the test network, which is laid out like 1.
    pub major: u64,
    /// Minor version.
    pub minor: u64,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// The previous block's id.
    pub previous: [u8; 32],
    /// The nonce as it stands in the bytes.
    pub nonce: [u8; NONCE_LEN],
}

impl Header {
    fn read(reader: &mut Reader<'_>) -> Result<Self, BadBytes> {
        let major = reader.varint()?;
        if major != 1 && major != 4 {
            return Err(BadBytes("a block of an unknown version: known are 1 and 4"));
        }
        Ok(Self {
            major,
            minor: reader.varint()?,
            timestamp: reader.varint()?,
            previous: reader.array()?,
            nonce: reader.array()?,
        })
    }

    /// Its bytes; the nonce is the last four.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(43);
        push_varint(&mut out, self.major);
        push_varint(&mut out, self.minor);
        push_varint(&mut out, self.timestamp);
        out.extend_from_slice(&self.previous);
        out.extend_from_slice(&self.nonce);
        out
    }
}

/// A whole block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What is in front.
    pub header: Header,
    /// The transaction that pays the miner.
    pub coinbase: Transaction,
    /// Hashes of the other transactions.
    pub transactions: Vec<[u8; 32]>,
}

impl Block {
    /// Reads a block; every byte must belong to it.
    ///
    /// # Errors
    /// [`BadBytes`].
    pub fn parse(blob: &[u8]) -> Result<Self, BadBytes> {
        let mut reader = Reader::new(blob);
        let header = Header::read(&mut reader)?;
        let coinbase = Transaction::read(&mut reader)?;
        if coinbase.height().is_none() {
            return Err(BadBytes("the first transaction is no coinbase"));
        }
        let count = reader.count(32)?;
        if count as u64 > TRANSACTIONS_MAX {
            return Err(BadBytes("a block of too many transactions"));
        }
        let transactions = (0..count).map(|_| reader.array()).collect::<Result<_, _>>()?;
        if reader.left() > 0 {
            return Err(BadBytes("bytes behind the block"));
        }
        Ok(Self { header, coinbase, transactions })
    }

    /// The block's bytes, as a node takes them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.header.to_bytes();
        out.extend_from_slice(&self.coinbase.to_bytes());
        push_varint(&mut out, self.transactions.len() as u64);
        for hash in &self.transactions {
            out.extend_from_slice(hash);
        }
        out
    }

    /// What the proof of work is computed over.
    #[must_use]
    pub fn hashing_blob(&self) -> Vec<u8> {
        let mut leaves = Vec::with_capacity(1 + self.transactions.len());
        leaves.push(self.coinbase.hash());
        leaves.extend_from_slice(&self.transactions);
        hashing_blob(&self.header.to_bytes(), &tree_root(&leaves), leaves.len() as u64)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        block_id(&self.hashing_blob())
    }
}

/// Header bytes, the root over all transactions, their count with the coinbase.
#[must_use]
pub fn hashing_blob(header: &[u8], root: &[u8; 32], count: u64) -> Vec<u8> {
    let mut blob = Vec::with_capacity(header.len() + 34);
    blob.extend_from_slice(header);
    blob.extend_from_slice(root);
    push_varint(&mut blob, count);
    blob
}

/// The id of the block with this hashing blob.
#[must_use]
pub fn block_id(hashing_blob: &[u8]) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(hashing_blob.len() + 1);
    push_varint(&mut bytes, hashing_blob.len() as u64);
    bytes.extend_from_slice(hashing_blob);
    keccak256(&bytes)
}

fn pair(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut both = [0; 64];
    both[..32].copy_from_slice(left);
    both[32..].copy_from_slice(right);
    keccak256(&both)
}

/// The root over leaves: the first of them stay as they are, the rest is hashed in pairs, so that a power of two is
/// left; from there it is a plain binary tree. Zeros for no leaves, which no block has.
#[must_use]
pub fn tree_root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => [0; 32],
        [first, rest @ ..] => root_over(first, &tree_branch(rest)),
    }
}

/// What the first leaf is hashed with on its way to the root, the nearest first, from all other leaves.
#[must_use]
pub fn tree_branch(others: &[[u8; 32]]) -> Vec<[u8; 32]> {
    let count = others.len() + 1;
    if count == 1 {
        return Vec::new();
    }
    // The first leaf is unknown, and whatever it is hashed into; those places are never read.
    let unknown = [0; 32];
    let mut level: Vec<[u8; 32]> = std::iter::once(unknown).chain(others.iter().copied()).collect();
    let width = count.next_power_of_two() / 2;
    let kept = 2 * width - count;
    let mut branch = Vec::new();
    if kept == 0 {
        branch.push(level[1]);
    }
    let mut folded: Vec<[u8; 32]> = level[..kept].to_vec();
    folded.extend(level[kept..].as_chunks::<2>().0.iter().map(|[left, right]| pair(left, right)));
    level = folded;
    while level.len() > 1 {
        branch.push(level[1]);
        level = level.as_chunks::<2>().0.iter().map(|[left, right]| pair(left, right)).collect();
    }
    branch
}

/// The root over a first leaf and its branch.
#[must_use]
pub fn root_over(first: &[u8; 32], branch: &[[u8; 32]]) -> [u8; 32] {
    branch.iter().fold(*first, |left, right| pair(&left, right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../testdata/dynex.json")).unwrap()
    }

    #[test]
    fn every_published_tree() {
        for vector in vectors()["tree_hash"].as_array().unwrap() {
            let count = vector["count"].as_u64().unwrap();
            let leaves: Vec<_> =
                (0..count).map(|place| keccak256(format!("leaf{place}").as_bytes())).collect();
            assert_eq!(hex::encode(tree_root(&leaves)), vector["root"].as_str().unwrap(), "{count}");
        }
        assert_eq!(tree_root(&[]), [0; 32]);
    }

    /// The tree as the definition has it, level by level over all leaves.
    fn plain(leaves: &[[u8; 32]]) -> [u8; 32] {
        let mut level = leaves.to_vec();
        if level.len() > 2 {
            let width = level.len().next_power_of_two() / 2;
            let rest = level.split_off(2 * width - level.len());
            level.extend(rest.chunks(2).map(|two| pair(&two[0], &two[1])));
        }
        while level.len() > 1 {
            level = level.chunks(2).map(|two| pair(&two[0], &two[1])).collect();
        }
        level[0]
    }

    #[test]
    fn every_published_template_is_read_written_and_hashed() {
        let hex = |bytes: &[u8]| hex::encode(bytes);
        for vector in vectors()["templates"].as_array().unwrap() {
            let text = |name: &str| vector[name].as_str().unwrap();
            let bytes = hex::decode(text("blocktemplate_blob")).unwrap();
            let block = Block::parse(&bytes).unwrap();
            assert_eq!(block.to_bytes(), bytes);
            assert_eq!(block.header.to_bytes(), bytes[..43]);
            assert_eq!(hex(&block.coinbase.hash()), text("coinbase_hash"));
            assert_eq!(hex(&block.hashing_blob()), text("blockhashing_blob"));
            assert_eq!(hex(&block.id()), text("block_id"));
            assert_eq!(block.coinbase.height(), vector["height"].as_u64());
            assert_eq!(block.coinbase.prefix.unlock_time, vector["unlock_time"].as_u64().unwrap());
            let paid: u64 = block.coinbase.prefix.outputs.iter().map(|output| output.amount).sum();
            assert_eq!(paid, vector["reward"].as_u64().unwrap());
            let solved =
                Block::parse(&hex::decode(vector["share"]["submit_block_blob"].as_str().unwrap()).unwrap())
                    .unwrap();
            assert_eq!(hex(&solved.id()), vector["share"]["block_id"].as_str().unwrap());
            for len in 0..bytes.len() {
                assert!(Block::parse(&bytes[..len]).is_err(), "{len}");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert!(Block::parse(&longer).is_err());
        }
    }

    #[test]
    fn numbers_have_one_form() {
        for (bytes, number) in [
            (&[0][..], Some(0)),
            (&[0x7f], Some(127)),
            (&[0x80, 1], Some(128)),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], Some(u64::MAX)),
            (&[0x80, 0], None),
            (&[0x80], None),
            (&[], None),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], None),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1], None),
        ] {
            assert_eq!(Reader::new(bytes).varint().ok(), number, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_written_and_read(number: u64) {
            let mut bytes = Vec::new();
            push_varint(&mut bytes, number);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint(), Ok(number));
            prop_assert_eq!(reader.left(), 0);
        }

        #[test]
        fn the_branch_leads_to_the_root_of_the_whole_tree(count in 1usize..70) {
            let leaves: Vec<[u8; 32]> = (0..count).map(|place| [place as u8; 32]).collect();
            prop_assert_eq!(tree_root(&leaves), plain(&leaves));
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            if let Ok(block) = Block::parse(&bytes) {
                prop_assert_eq!(block.to_bytes(), bytes);
            }
        }
    }
}
