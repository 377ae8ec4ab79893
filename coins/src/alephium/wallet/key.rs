//! The keys to the pool's money, one per group. They say nothing about themselves and leave nothing behind.

use super::super::address::{Address, PayTo};
use super::super::chain::{GROUPS, Group};
use super::super::codec::blake2b;
use secp256k1::{PublicKey, SecretKey, ecdsa};
use std::fmt;
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// Four private keys, by the group of their addresses. Debug prints no part of them; the bytes are overwritten when
/// they are dropped.
pub struct WalletKeys([Zeroizing<[u8; 32]>; GROUPS]);

/// A text or file that holds no keys of all groups. Says nothing of what it does hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadKeys {
    /// Neither one key nor four.
    #[error("write one private key, or four, one per group; found {0}")]
    Count(usize),
    /// Not 64 hexadecimal digits.
    #[error("a private key is 64 hexadecimal digits")]
    Shape,
    /// Zero, or not below the order of the curve.
    #[error("the number is no private key of secp256k1")]
    Range,
    /// No key of a group.
    #[error("none of the keys belongs to group {0}; every group needs one")]
    NoneOf(Group),
    /// The file cannot be read.
    #[error("key file {path}: {source}")]
    File {
        /// Which file.
        path: String,
        /// The system's words.
        source: std::io::Error,
    },
}

/// In front of what the other groups' keys are made of.
const DERIVED: &[u8] = b"poolwright/alephium/group-key/1";

impl WalletKeys {
    /// From text: four keys of 64 hexadecimal digits, one per group and in any order; or one, from which those of the
    /// other groups are derived. Blanks and line ends stand between keys.
    ///
    /// # Errors
    /// [`BadKeys`].
    pub fn from_text(text: &str) -> Result<Self, BadKeys> {
        let mut keys: Vec<Zeroizing<[u8; 32]>> = Vec::new();
        for digits in text.split_ascii_whitespace() {
            let mut bytes = Zeroizing::new([0; 32]);
            hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| BadKeys::Shape)?;
            public_of(&bytes).ok_or(BadKeys::Range)?;
            keys.push(bytes);
        }
        match keys.as_slice() {
            [key] => Ok(Self::derive(key)),
            [_, _, _, _] => {
                let of = |group: Group| {
                    let found = keys.iter().find(|key| group_of(key) == Some(group));
                    found.cloned().ok_or(BadKeys::NoneOf(group))
                };
                let [a, b, c, d] = Group::ALL;
                Ok(Self([of(a)?, of(b)?, of(c)?, of(d)?]))
            }
            other => Err(BadKeys::Count(other.len())),
        }
    }

    /// From a file that holds what [`WalletKeys::from_text`] reads.
    ///
    /// # Errors
    /// [`BadKeys`].
    pub fn from_file(path: &Path) -> Result<Self, BadKeys> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| BadKeys::File { path: path.display().to_string(), source })?;
        Self::from_text(&Zeroizing::new(text))
    }

    /// The key itself for its own group; for each other group the first number of a hash chain whose address falls into
    /// it. The same key gives the same four for ever.
    fn derive(key: &Zeroizing<[u8; 32]>) -> Self {
        let own = group_of(key);
        Self(Group::ALL.map(|group| {
            if own == Some(group) {
                return key.clone();
            }
            (0u32..)
                .map(|count| {
                    Zeroizing::new(blake2b(&[DERIVED, key.as_slice(), &[group.get()], &count.to_be_bytes()]))
                })
                .find(|candidate| group_of(candidate) == Some(group))
                .expect("one hash in four falls into a group")
        }))
    }

    /// The compressed public key of a group.
    #[must_use]
    pub fn public(&self, group: Group) -> [u8; 33] {
        public_of(&self.0[group.place()]).expect("the bytes were a key when they came in")
    }

    /// The addresses of all groups.
    #[must_use]
    pub fn addresses(&self) -> PayTo {
        let addresses = Group::ALL.map(|group| Address::of_key(&self.public(group)));
        PayTo::new(&addresses).expect("each key was chosen for its address's group")
    }

    /// ECDSA over 32 bytes with a group's key: the nonce by RFC 6979, the lower of both values, 64 bytes. The same
    /// message gives the same signature, so a transaction signed twice is the same transaction.
    #[must_use]
    pub fn sign(&self, group: Group, message: &[u8; 32]) -> [u8; 64] {
        let mut bytes = *self.0[group.place()];
        let mut key = SecretKey::from_secret_bytes(bytes).expect("the bytes were a key when they came in");
        let signature = ecdsa::sign(secp256k1::Message::from_digest(*message), &key).serialize_compact();
        key.non_secure_erase();
        bytes.zeroize();
        signature
    }
}

fn public_of(bytes: &[u8; 32]) -> Option<[u8; 33]> {
    let mut key = SecretKey::from_secret_bytes(*bytes).ok()?;
    let public = PublicKey::from_secret_key(&key).serialize();
    key.non_secure_erase();
    Some(public)
}

fn group_of(bytes: &[u8; 32]) -> Option<Group> {
    public_of(bytes).map(|public| Address::of_key(&public).group())
}

impl fmt::Debug for WalletKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WalletKeys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> String {
        format!("{}1", "0".repeat(63))
    }

    #[test]
    fn the_published_signature_is_made() {
        let keys = WalletKeys::from_text(&one()).unwrap();
        let group = Group::new(3).unwrap();
        assert_eq!(
            keys.addresses().of(group).to_string(),
            "13nr2XuF1VYfEgBLsXBQFrZcfzNvACP8cDz5CdAwk6BUz",
            "private key 1"
        );
        let mut message = [0; 32];
        hex::decode_to_slice(
            "92250502190e1c5fd7becc5e2cf17045b300b92ea83639b17d8bea3e3066e0cd",
            &mut message,
        )
        .unwrap();
        assert_eq!(
            hex::encode(keys.sign(group, &message)),
            "6cdf72a7ad70ba206d1cc3674826b85127c45672ddcde037801bc5b6afb1bf38701ce5f65154d665c67b68626ee2dc752c5c3b28c151042b842205d16a8b4278"
        );
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../testdata/alephium.json")).unwrap();
        let payout = &vectors["coinbases"][2];
        hex::decode_to_slice(payout["txId"].as_str().unwrap(), &mut message).unwrap();
        assert_eq!(hex::encode(keys.sign(group, &message)), payout["signature"].as_str().unwrap());
    }

    #[test]
    fn one_key_makes_four_and_four_are_sorted() {
        let keys = WalletKeys::from_text(&format!(" {}\n", one())).unwrap();
        let mut texts: Vec<String> = keys.0.iter().map(|key| hex::encode(key.as_slice())).collect();
        texts.rotate_left(1);
        let again = WalletKeys::from_text(&texts.join("\n")).unwrap();
        assert_eq!(again.addresses(), keys.addresses());
        assert_eq!(format!("{keys:?}"), "WalletKeys");
        texts[0] = texts[1].clone();
        assert!(matches!(WalletKeys::from_text(&texts.join(" ")), Err(BadKeys::NoneOf(_))));
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        for bad in ["00", &"g".repeat(64), &"0".repeat(64), &"f".repeat(64)] {
            let error = WalletKeys::from_text(bad).unwrap_err();
            assert!(!error.to_string().contains(bad), "{error}");
        }
        assert!(matches!(WalletKeys::from_text(""), Err(BadKeys::Count(0))));
        assert!(matches!(WalletKeys::from_file(Path::new("/nowhere/key")), Err(BadKeys::File { .. })));
    }
}
