//! The operator's key for statements: an Ed25519 seed as 64 hexadecimal digits.
//!
//! It moves no money. Whoever has it can sign statements in the pool's name, so it is kept like any secret; who checks
//! a statement knows only its public half. Where the bytes come from, a file or a vault, is the caller's business.

use super::statement::SignedStatement;
use alloc::string::String;
use core::fmt;
use ed25519_dalek::SigningKey;

/// A signing key. Debug prints its public half alone.
pub struct OperatorKey(SigningKey);

/// Text that is no key. Says nothing of what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key for statements is 64 hexadecimal digits")]
pub struct BadKey;

impl OperatorKey {
    /// From its 32 secret bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// From 64 hexadecimal digits; blanks around them do not matter.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn from_hex(text: &str) -> Result<Self, BadKey> {
        let mut seed = [0; 32];
        hex::decode_to_slice(text.trim(), &mut seed).map_err(|_| BadKey)?;
        Ok(Self::from_seed(&seed))
    }

    /// Its public half: what a pool publishes and who checks a statement compares with.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The public half as 64 hexadecimal digits.
    #[must_use]
    pub fn public_text(&self) -> String {
        hex::encode(self.public())
    }

    /// Signs a statement's text: the memo of a block's ledger entry. The same text gives the same signature.
    #[must_use]
    pub fn sign(&self, statement: String) -> SignedStatement {
        SignedStatement::sign(statement, &self.0)
    }
}

impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperatorKey({})", self.public_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_and_tells_nothing() {
        // RFC 8032, section 7.1, the first test.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let key = OperatorKey::from_hex(&alloc::format!(" {seed}\n")).unwrap();
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(key.public_text(), public);
        assert_eq!(alloc::format!("{key:?}"), alloc::format!("OperatorKey({public})"));
        for bad in ["", "9d61", &seed.replace('9', "g"), &alloc::format!("{seed}00")] {
            assert_eq!(OperatorKey::from_hex(bad).err(), Some(BadKey));
        }
    }
}
