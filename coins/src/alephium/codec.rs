//! How Alephium writes numbers and lists: big-endian, and small numbers short.
//!
//! A compact integer says its length in the top two bits of its first byte: one, two or four bytes, or the number of
//! bytes that follow. Amounts are *unsigned*; lengths, counts and gas are *signed*, so their halves are smaller.
//! What is read must be in the one spelling that would be written: a transaction's id is the hash of its bytes, and
//! two spellings would be two ids of one transaction. Source: @alephium/web3 3.0.5, `src/codec/compact-int-codec.ts`
//! (behaviour).

/// Bytes that are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed: {0}")]
pub struct Malformed(pub &'static str);

const SHORT: Malformed = Malformed("the bytes end too early");

/// Reads from the front of a slice.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    #[cfg(test)]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// Bytes behind a length of four bytes, as in the miners' protocol.
    pub(crate) fn sized(&mut self) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.u32()?).map_err(|_| SHORT)?;
        self.take(len)
    }

    /// The bytes of a compact integer behind its tag, at most 16.
    fn compact(&mut self) -> Result<(u128, u8), Malformed> {
        let first = self.u8()?;
        let mut value = u128::from(first & 0x3f);
        let more = match first >> 6 {
            0 => 0,
            1 => 1,
            2 => 3,
            _ => {
                value = 0;
                usize::from(first & 0x3f) + 4
            }
        };
        if more > 16 {
            return Err(Malformed("a number above 2^128"));
        }
        for byte in self.take(more)? {
            value = value << 8 | u128::from(*byte);
        }
        Ok((value, first))
    }

    /// An amount.
    pub(crate) fn amount(&mut self) -> Result<u128, Malformed> {
        let before = self.0;
        let (value, _) = self.compact()?;
        let mut again = Vec::with_capacity(17);
        push_amount(&mut again, value);
        self.spelled_as(before, &again)?;
        Ok(value)
    }

    /// A length, a count or gas: not negative.
    pub(crate) fn count(&mut self) -> Result<u32, Malformed> {
        let before = self.0;
        let (value, _) = self.compact()?;
        let value = u32::try_from(value).ok().filter(|value| *value <= i32::MAX as u32);
        let value = value.ok_or(Malformed("a count that is negative or too large"))?;
        let mut again = Vec::with_capacity(5);
        push_count(&mut again, value);
        self.spelled_as(before, &again)?;
        Ok(value)
    }

    fn spelled_as(&self, before: &[u8], canonical: &[u8]) -> Result<(), Malformed> {
        if &before[..before.len() - self.0.len()] == canonical {
            Ok(())
        } else {
            Err(Malformed("a number in a longer spelling than it needs"))
        }
    }

    /// Nothing may be left.
    pub(crate) const fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("bytes behind the end")) }
    }
}

/// Appends an amount.
pub(crate) fn push_amount(out: &mut Vec<u8>, value: u128) {
    if value < 0x4000_0000 {
        return push_short(out, value as u32, [0x40, 0x4000]);
    }
    let bytes = value.to_be_bytes();
    let skipped = value.leading_zeros() as usize / 8;
    out.push(0xc0 | (bytes.len() - skipped - 4) as u8);
    out.extend_from_slice(&bytes[skipped..]);
}

/// Appends a length, a count or gas, below 2^31.
pub(crate) fn push_count(out: &mut Vec<u8>, value: u32) {
    if value < 0x2000_0000 {
        return push_short(out, value, [0x20, 0x2000]);
    }
    out.push(0xc0);
    out.extend_from_slice(&value.to_be_bytes());
}

fn push_short(out: &mut Vec<u8>, value: u32, [one, two]: [u32; 2]) {
    let bytes = value.to_be_bytes();
    if value < one {
        out.push(bytes[3]);
    } else if value < two {
        out.extend([0x40 | bytes[2], bytes[3]]);
    } else {
        out.extend([0x80 | bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
}

/// BLAKE2b with 32 bytes of output: the chain's hash for everything but proofs of work.
pub(crate) fn blake2b(parts: &[&[u8]]) -> [u8; 32] {
    let mut state = blake2b_simd::Params::new().hash_length(32).to_state();
    for part in parts {
        state.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(state.finalize().as_bytes());
    hash
}

/// Bernstein's hash of bytes, which stands for a script in groups, hints and checksums.
pub(crate) fn djb2(bytes: &[u8]) -> u32 {
    bytes.iter().fold(5381u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn published_numbers_have_their_bytes() {
        let amount = |value| {
            let mut out = Vec::new();
            push_amount(&mut out, value);
            hex::encode(out)
        };
        let count = |value| {
            let mut out = Vec::new();
            push_count(&mut out, value);
            hex::encode(out)
        };
        assert_eq!(count(20_000), "80004e20");
        assert_eq!(amount(1_000_000_000), "bb9aca00");
        assert_eq!(amount(100_000_000_000), "c1174876e800");
        assert_eq!(
            (amount(0x3f), amount(0x40), amount(0x3fff), amount(0x4000)),
            ("3f".into(), "4040".into(), "7fff".into(), "80004000".into())
        );
        assert_eq!(
            (count(0x1f), count(0x20), count(0x2000), count(0x2000_0000)),
            ("1f".into(), "4020".into(), "80002000".into(), "c020000000".into())
        );
        assert_eq!(amount(0x4000_0000), "c040000000");
    }

    #[test]
    fn a_longer_spelling_a_negative_count_and_a_torn_number_are_refused() {
        for bad in ["4001", "80000001", "c000000001", "c10000000001", "40", "", "cd01", "ff"] {
            let bytes = hex::decode(bad).unwrap();
            assert!(Reader::new(&bytes).amount().is_err(), "{bad}");
        }
        for bad in ["20", "4010", "6000", "a0000000", "c080000000"] {
            let bytes = hex::decode(bad).unwrap();
            assert!(Reader::new(&bytes).count().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(value: u128, shift in 0..128u32, count in 0..=i32::MAX as u32, small in 0..31u32) {
            let (value, count) = (value >> shift, count >> small);
            let mut out = Vec::new();
            push_amount(&mut out, value);
            push_count(&mut out, count);
            let mut reader = Reader::new(&out);
            prop_assert_eq!((reader.amount(), reader.count(), reader.end()), (Ok(value), Ok(count), Ok(())));
        }

        #[test]
        fn whatever_is_read_is_spelled_in_one_way(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.amount() {
                let mut again = Vec::new();
                push_amount(&mut again, value);
                prop_assert_eq!(&again[..], &bytes[..bytes.len() - reader.rest().len()]);
            }
        }
    }
}
