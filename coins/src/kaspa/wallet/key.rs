//! The key to the pool's money. It says nothing about itself and leaves nothing behind.

use secp256k1::{Keypair, schnorr};
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
    /// From 64 hexadecimal digits; blanks around them do not matter.
    ///
    /// # Errors
    /// [`BadKey::Shape`] or [`BadKey::Range`].
    pub fn from_hex(text: &str) -> Result<Self, BadKey> {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), bytes.as_mut_slice()).map_err(|_| BadKey::Shape)?;
        Self::from_bytes(&bytes)
    }

    /// From 32 bytes.
    ///
    /// # Errors
    /// [`BadKey::Range`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadKey> {
        let mut pair = Keypair::from_secret_bytes(*bytes).map_err(|_| BadKey::Range)?;
        pair.non_secure_erase();
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

    /// The public key as addresses name it: 32 bytes, without its parity.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.with_pair(|pair| pair.x_only_public_key().0.to_byte_array())
    }

    /// BIP-340 over a 32-byte hash, without added randomness: the same message gives the same signature, so a
    /// transaction signed twice is the same transaction.
    #[must_use]
    pub fn sign(&self, hash: &[u8; 32]) -> [u8; 64] {
        self.with_pair(|pair| schnorr::sign_no_aux_rand(hash, pair).to_byte_array())
    }

    fn with_pair<T>(&self, use_it: impl FnOnce(&Keypair) -> T) -> T {
        let mut bytes = *self.0;
        let mut pair = Keypair::from_secret_bytes(bytes).expect("the bytes were a key when they came in");
        let outcome = use_it(&pair);
        pair.non_secure_erase();
        bytes.zeroize();
        outcome
    }
}

impl fmt::Debug for WalletKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WalletKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_one_is_the_generator_and_prints_nothing() {
        let key = WalletKey::from_hex(&format!(" {}1\n", "0".repeat(63))).unwrap();
        assert_eq!(
            hex::encode(key.public()),
            "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
        );
        assert_eq!(format!("{key:?}"), "WalletKey");
        assert_eq!(key.sign(&[7; 32]), key.sign(&[7; 32]));
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
