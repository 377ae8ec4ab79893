//! The bytes of a snapshot: little-endian numbers of fixed width, lists behind their length.
//!
//! A snapshot is a cache of what the log says, so it needs no migration: one that does not read is thrown away and
//! the log is folded again. Equal states make equal bytes.

use crate::account::AccountIx;
use alloc::string::String;
use alloc::vec::Vec;
use pool_core::id::{BlockId, ShareSeq};
use pool_core::units::{Amount, U256, Units};

/// Bytes that are no snapshot of this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a snapshot: {0}")]
pub struct BadSnapshot(pub &'static str);

/// Bytes being written.
#[derive(Clone, Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn length(&mut self, length: usize) {
        self.u64(length as u64);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u128(&mut self, value: u128) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u256(&mut self, value: U256) {
        self.0.extend_from_slice(&value.to_le_bytes::<32>());
    }

    pub(crate) fn block(&mut self, id: &BlockId) {
        self.0.extend_from_slice(id.bytes());
    }

    pub(crate) fn account(&mut self, account: AccountIx) {
        self.u32(account.get());
    }

    pub(crate) fn amount(&mut self, amount: Amount) {
        self.u128(amount.get());
    }

    pub(crate) fn seq(&mut self, seq: Option<ShareSeq>) {
        self.u8(u8::from(seq.is_some()));
        self.u64(seq.map_or(0, ShareSeq::get));
    }

    pub(crate) fn weights(&mut self, list: &[(AccountIx, Units)]) {
        self.length(list.len());
        for (account, units) in list {
            self.account(*account);
            self.u128(units.to_bits());
        }
    }
}

/// Bytes being read.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads these bytes from their beginning.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// All bytes were read.
    ///
    /// # Errors
    /// [`BadSnapshot`] when some are left.
    pub const fn end(&self) -> Result<(), BadSnapshot> {
        if self.0.is_empty() { Ok(()) } else { Err(BadSnapshot("bytes are left over")) }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], BadSnapshot> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(BadSnapshot("it ends early"))?;
        self.0 = rest;
        Ok(*bytes)
    }

    /// A length of a list whose elements take at least one byte each, so that no length asks for more than is there.
    pub(crate) fn length(&mut self) -> Result<usize, BadSnapshot> {
        let length = usize::try_from(self.u64()?).map_err(|_| BadSnapshot("a list is too long"))?;
        if length > self.0.len() { Err(BadSnapshot("a list is longer than its bytes")) } else { Ok(length) }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], BadSnapshot> {
        let length = self.length()?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(BadSnapshot("it ends early"))?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn text(&mut self) -> Result<String, BadSnapshot> {
        let text = core::str::from_utf8(self.bytes()?).map_err(|_| BadSnapshot("a text is none"))?;
        Ok(text.into())
    }

    pub(crate) fn u8(&mut self) -> Result<u8, BadSnapshot> {
        Ok(self.take::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, BadSnapshot> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, BadSnapshot> {
        self.take().map(u64::from_le_bytes)
    }

    pub(crate) fn u128(&mut self) -> Result<u128, BadSnapshot> {
        self.take().map(u128::from_le_bytes)
    }

    pub(crate) fn u256(&mut self) -> Result<U256, BadSnapshot> {
        Ok(U256::from_le_bytes::<32>(self.take()?))
    }

    pub(crate) fn block(&mut self) -> Result<BlockId, BadSnapshot> {
        self.take().map(BlockId::new)
    }

    pub(crate) fn account(&mut self) -> Result<AccountIx, BadSnapshot> {
        self.u32().map(AccountIx::new)
    }

    pub(crate) fn amount(&mut self) -> Result<Amount, BadSnapshot> {
        self.u128().map(Amount::new)
    }

    pub(crate) fn seq(&mut self) -> Result<Option<ShareSeq>, BadSnapshot> {
        let (known, seq) = (self.u8()?, self.u64()?);
        Ok((known != 0).then_some(ShareSeq::new(seq)))
    }

    pub(crate) fn weights(&mut self) -> Result<Vec<(AccountIx, Units)>, BadSnapshot> {
        let length = self.length()?;
        (0..length).map(|_| Ok((self.account()?, Units::from_bits(self.u128()?)))).collect()
    }

    /// A list of elements, each read by `element`.
    pub(crate) fn list<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, BadSnapshot>,
    ) -> Result<Vec<T>, BadSnapshot> {
        let length = self.length()?;
        (0..length).map(|_| element(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let mut out = Writer::default();
        out.u8(7);
        out.u256(U256::MAX);
        out.seq(Some(ShareSeq::new(9)));
        out.weights(&[(AccountIx::new(3), Units::BLOCK)]);
        out.bytes(b"text");
        let bytes = out.into_bytes();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(7));
        assert_eq!(reader.u256(), Ok(U256::MAX));
        assert_eq!(reader.seq(), Ok(Some(ShareSeq::new(9))));
        assert_eq!(reader.weights(), Ok([(AccountIx::new(3), Units::BLOCK)].into()));
        assert_eq!(reader.text().as_deref(), Ok("text"));
        assert_eq!(reader.end(), Ok(()));
        assert!(reader.u8().is_err());
        let mut endless = Reader::new(&[0xff; 16]);
        assert!(endless.list(Reader::u8).is_err());
    }
}
