//! What lets a miner, or anyone, check a pool's sums without believing it.
//!
//! - [`log`]: a Merkle mountain range over accepted shares, with their units summed in every node. Its root says how
//!   many shares there were and what work they stand for, so phantom work cannot be hidden and a share's place on the
//!   line of work is proved together with its presence. A root may be published before the block it will pay is found.
//! - [`accounts`]: a Merkle tree with sums over what one split paid to whom.
//! - [`statement`]: everything that decides a block's split, in one text that names the root of the log, the parameters,
//!   the window, the tree of accounts and the statement before it; signed with Ed25519.
//! - [`key`]: the operator's key for statements.
//! - `export` (feature `std`): a log as lines of text, from which all statements can be computed again, byte for byte.
//!
//! Everything here verifies without the standard library, a clock or randomness.

pub mod accounts;
#[cfg(feature = "std")]
pub mod export;
pub mod key;
pub mod log;
pub mod statement;

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// A BLAKE3 hash, 64 hexadecimal digits as text.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// From its bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Text that is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash must be 64 hexadecimal digits")]
pub struct BadDigest;

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| BadDigest)?;
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A hash under construction, with its purpose first so that no two kinds of input can meet.
struct Hasher(blake3::Hasher);

impl Hasher {
    fn new(purpose: u8) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[purpose]);
        Self(hasher)
    }

    fn u16(self, value: u16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    fn u64(self, value: u64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    fn u128(self, value: u128) -> Self {
        self.raw(&value.to_be_bytes())
    }

    fn digest(self, digest: &Digest) -> Self {
        self.raw(&digest.0)
    }

    /// Bytes of any length, behind their length.
    fn bytes(self, bytes: &[u8]) -> Self {
        self.u64(bytes.len() as u64).raw(bytes)
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.update(bytes);
        self
    }

    fn end(self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

/// Why something does not prove what it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadProof {
    /// The text is not of the expected shape.
    #[error("not readable: {0}")]
    Unreadable(String),
    /// The path does not have the length its tree asks for.
    #[error("the path does not fit the tree")]
    Shape,
    /// The hashes do not lead to the root.
    #[error("the hashes do not lead to the root")]
    Root,
    /// Sums pass their range.
    #[error("sums pass their range")]
    Overflow,
    /// The share does not stand where it says.
    #[error("the share does not stand at that position")]
    Position,
    /// The signature is not that key's for this text.
    #[error("the signature is not valid")]
    Signature,
    /// The statement is signed by another key than the one expected.
    #[error("the statement is signed by another key")]
    Key,
    /// The statement contradicts itself.
    #[error("the statement's {0} do not add up")]
    Sums(&'static str),
    /// The amount is not what weight and total make it.
    #[error("the amount is not what its weight is due")]
    Amount,
    /// The proof names a split the statement does not have.
    #[error("the statement has no such split")]
    NoSplit,
    /// The proof has no part, so it says nothing of anybody.
    #[error("it has no part")]
    NoPart,
    /// A part that belongs to another account than the first, or that is there twice.
    #[error("it is another account's, or there twice")]
    ForeignPart,
    /// What is wrong with one part of a proof.
    #[error("part {part}: {fault}")]
    Part {
        /// Which, 0 the first.
        part: usize,
        /// What is wrong with it.
        fault: Box<BadProof>,
    },
}
