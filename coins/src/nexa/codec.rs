//! The chain's bytes: fixed-width numbers, its two forms of variable ones, and the hashes over them.
//!
//! A [`Reader`] never takes more than there is and never makes room for what is only announced, so any bytes may be
//! given to it. Numbers have one spelling each: a length written longer than need be is refused, as the node does.

use sha2::{Digest, Sha256};

/// Bytes that are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// They end too early.
    #[error("ends too early")]
    Short,
    /// They go on where they should end.
    #[error("has bytes behind its end")]
    Long,
    /// A number wider than its type, or spelled with more bytes than it needs.
    #[error("has a number that is none")]
    Number,
    /// A part breaks a rule of its own.
    #[error("has a {0} that cannot be")]
    Part(&'static str),
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 of SHA-256.
#[must_use]
pub fn sha256d(bytes: &[u8]) -> [u8; 32] {
    sha256(&sha256(bytes))
}

/// A hash between the order it is hashed in and the order it is printed in.
#[must_use]
pub fn reversed(mut hash: [u8; 32]) -> [u8; 32] {
    hash.reverse();
    hash
}

/// A hash as the chain's programs print it, from hashing order.
#[must_use]
pub fn display(hash: [u8; 32]) -> String {
    hex::encode(reversed(hash))
}

/// A hash in hashing order, from the text that programs print; `None` for what is no such text.
#[must_use]
pub fn from_display(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok()?;
    Some(reversed(hash))
}

/// Bytes being read from their beginning.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Over all of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What was not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// [`Malformed::Long`].
    pub const fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Long) }
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`Malformed::Short`], as of every other method here.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    /// 32 bytes as they stand.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn hash(&mut self) -> Result<[u8; 32], Malformed> {
        self.array()
    }

    /// 32 bits, little-endian.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// 64 bits, little-endian.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A `CompactSize`: one byte below 253, else a mark and 2, 4 or 8 bytes little-endian.
    ///
    /// # Errors
    /// [`Malformed::Number`] for one that is longer than need be.
    pub fn compact_size(&mut self) -> Result<u64, Malformed> {
        let (number, least) = match self.byte()? {
            mark @ ..=252 => return Ok(u64::from(mark)),
            253 => (u64::from(u16::from_le_bytes(self.array()?)), 253),
            254 => (u64::from(self.u32()?), 1 << 16),
            255 => (self.u64()?, 1 << 32),
        };
        if number < least { Err(Malformed::Number) } else { Ok(number) }
    }

    /// A count of things that take at least `each` bytes apiece.
    ///
    /// # Errors
    /// [`Malformed::Short`] when so many cannot be there.
    pub fn count(&mut self, each: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.compact_size()?).map_err(|_| Malformed::Short)?;
        if count > self.0.len() / each.max(1) { Err(Malformed::Short) } else { Ok(count) }
    }

    /// A length and so many bytes.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.count(1)?;
        self.take(count)
    }

    /// A `VARINT`: groups of seven bits, the high ones first; all but the last have the top bit set, and stand for
    /// one more than they say.
    ///
    /// # Errors
    /// [`Malformed::Number`] past 64 bits.
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0u64;
        loop {
            let byte = self.byte()?;
            if number > u64::MAX >> 7 {
                return Err(Malformed::Number);
            }
            number = number << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
            number = number.checked_add(1).ok_or(Malformed::Number)?;
        }
    }
}

/// Appends a `CompactSize`.
pub fn push_compact_size(out: &mut Vec<u8>, number: u64) {
    let bytes = number.to_le_bytes();
    match number {
        ..253 => out.push(bytes[0]),
        253..0x1_0000 => out.extend([253, bytes[0], bytes[1]]),
        0x1_0000..0x1_0000_0000 => {
            out.push(254);
            out.extend_from_slice(&bytes[..4]);
        }
        0x1_0000_0000.. => {
            out.push(255);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Appends a length and the bytes.
pub fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_compact_size(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a `VARINT`.
pub fn push_varint(out: &mut Vec<u8>, number: u64) {
    let mut groups = [0u8; 10];
    let (mut place, mut rest) = (groups.len() - 1, number);
    groups[place] = (rest & 0x7f) as u8;
    while rest > 0x7f {
        rest = (rest >> 7) - 1;
        place -= 1;
        groups[place] = (rest & 0x7f) as u8 | 0x80;
    }
    out.extend_from_slice(&groups[place..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn the_published_varints() {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/nexa.json")).unwrap();
        for vector in vectors["varint"].as_array().unwrap() {
            let (number, text) = (vector["n"].as_u64().unwrap(), vector["hex"].as_str().unwrap());
            let mut out = Vec::new();
            push_varint(&mut out, number);
            assert_eq!(hex::encode(&out), text);
            assert_eq!(Reader::new(&out).varint(), Ok(number));
        }
    }

    #[test]
    fn a_number_has_one_spelling() {
        for bad in [&[253, 252, 0][..], &[254, 255, 255, 0, 0], &[255, 255, 255, 255, 255, 0, 0, 0, 0]] {
            assert_eq!(Reader::new(bad).compact_size(), Err(Malformed::Number), "{bad:?}");
        }
        assert_eq!(Reader::new(&[0xff; 12]).varint(), Err(Malformed::Number));
        assert_eq!(Reader::new(&[0x80; 3]).varint(), Err(Malformed::Short));
        assert_eq!(Reader::new(&[254, 255, 255, 255, 127]).bytes(), Err(Malformed::Short));
        assert_eq!(Reader::new(&[200; 30]).count(1), Err(Malformed::Short));
    }

    proptest! {
        #[test]
        fn numbers_read_back(number: u64, shift in 0u32..64, after: u8) {
            let number = number >> shift;
            let mut out = Vec::new();
            push_compact_size(&mut out, number);
            push_varint(&mut out, number);
            out.push(after);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.compact_size(), Ok(number));
            prop_assert_eq!(reader.varint(), Ok(number));
            prop_assert_eq!(reader.rest(), &[after]);
            prop_assert_eq!(reader.end(), Err(Malformed::Long));
        }

        #[test]
        fn a_hash_is_printed_backwards(hash: [u8; 32]) {
            prop_assert_eq!(from_display(&display(hash)), Some(hash));
        }
    }
}
