//! The key to the pool's money on an account chain. It says nothing about itself and leaves nothing behind.

use crate::hypra::address::Address;
use crate::hypra::tx::{Signature, SignedTransfer};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, SecretKey};
use std::fmt;
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// A private key of 32 bytes. Debug prints no part of it; the bytes are overwritten when it is dropped.
pub struct WalletKey(Zeroizing<[u8; 32]>);

/// A text or file that holds no private key. Says nothing of what it does hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadKey {
    /// Not 64 hexadecimal digits.
    #[error("a private key is 64 hexadecimal digits")]
    Shape,
    /// Zero, or not below the order of the curve.
    #[error("the number is no private key of secp256k1")]
    Range,
    /// The file cannot be read.
    #[error("key file {path}: {source}")]
    File {
        /// Which file.
        path: String,
        /// The system's words.
        source: std::io::Error,
    },
}

impl WalletKey {
    /// From 64 hexadecimal digits, with or without `0x`; blanks around them do not matter.
    ///
    /// # Errors
    /// [`BadKey::Shape`] or [`BadKey::Range`].
    pub fn from_hex(text: &str) -> Result<Self, BadKey> {
        let text = text.trim();
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| BadKey::Shape)?;
        Self::from_bytes(&bytes)
    }

    /// From 32 bytes.
    ///
    /// # Errors
    /// [`BadKey::Range`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadKey> {
        let mut key = SecretKey::from_secret_bytes(*bytes).map_err(|_| BadKey::Range)?;
        key.non_secure_erase();
        Ok(Self(Zeroizing::new(*bytes)))
    }

    /// From a file that holds 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn from_file(path: &Path) -> Result<Self, BadKey> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| BadKey::File { path: path.display().to_string(), source })?;
        let text = Zeroizing::new(text);
        Self::from_hex(&text)
    }

    /// The key's address.
    #[must_use]
    pub fn address(&self) -> Address {
        self.with_key(|key| address_of(&PublicKey::from_secret_key(key)))
    }

    /// Signs a 32-byte hash. The same hash gives the same signature (RFC 6979), so a transaction signed twice is the
    /// same transaction.
    #[must_use]
    pub fn sign(&self, hash: &[u8; 32]) -> Signature {
        let signed = self.with_key(|key| {
            RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(*hash), key).serialize_compact()
        });
        let (id, bytes) = signed;
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(&bytes[..32]);
        s.copy_from_slice(&bytes[32..]);
        // An id of two or three would mean an r above the curve's order: nobody has seen one.
        Signature { odd: id.to_u8() & 1 == 1, r, s }
    }

    fn with_key<T>(&self, use_it: impl FnOnce(&SecretKey) -> T) -> T {
        let mut bytes = *self.0;
        let mut key = SecretKey::from_secret_bytes(bytes).expect("the bytes were a key when they came in");
        let outcome = use_it(&key);
        key.non_secure_erase();
        bytes.zeroize();
        outcome
    }
}

impl fmt::Debug for WalletKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WalletKey")
    }
}

fn address_of(key: &PublicKey) -> Address {
    let mut coordinates = [0; 64];
    coordinates.copy_from_slice(&key.serialize_uncompressed()[1..]);
    Address::of_public_key(&coordinates)
}

/// Half of the curve's order: a signature's second half is not above it. Source: EIP-2.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d,
    0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// Who signed a transfer; `None` for a signature that is none.
#[must_use]
pub fn sender(signed: &SignedTransfer) -> Option<Address> {
    let Signature { odd, r, s } = &signed.signature;
    if *s > HALF_ORDER {
        return None;
    }
    let compact = [&r[..], s].concat();
    let signature =
        RecoverableSignature::from_compact(&compact, RecoveryId::from_u8_masked(u8::from(*odd))).ok()?;
    let key = signature.recover_ecdsa(Message::from_digest(signed.transfer.signing_hash())).ok()?;
    Some(address_of(&key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors() -> Value {
        let vectors: Value = serde_json::from_str(include_str!("../../../testdata/hypra.json")).unwrap();
        vectors["transactions"].clone()
    }

    #[test]
    fn published_transactions_are_signed_the_same_and_tell_their_sender() {
        let vectors = vectors();
        let key = WalletKey::from_hex(vectors["private_key"].as_str().unwrap()).unwrap();
        assert_eq!(key.address().checksummed(), vectors["from"].as_str().unwrap());
        assert_eq!(format!("{key:?}"), "WalletKey");
        for vector in vectors["txs"].as_array().unwrap() {
            let raw = hex::decode(vector["raw"].as_str().unwrap()).unwrap();
            let signed = SignedTransfer::parse(&raw).unwrap();
            assert_eq!(key.sign(&signed.transfer.signing_hash()), signed.signature);
            assert_eq!(sender(&signed), Some(key.address()));
            let mut other = signed.clone();
            other.transfer.value += 1;
            assert_ne!(sender(&other), Some(key.address()));
            let high = Signature { s: [0xf0; 32], ..signed.signature };
            assert_eq!(sender(&SignedTransfer { signature: high, ..signed }), None);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        for bad in ["", "00", &"g".repeat(64), &"0".repeat(64), &"f".repeat(64)] {
            let error = WalletKey::from_hex(bad).unwrap_err();
            assert!(bad.is_empty() || !error.to_string().contains(bad), "{error}");
        }
        assert!(matches!(WalletKey::from_file(Path::new("/nowhere/key")), Err(BadKey::File { .. })));
    }
}
