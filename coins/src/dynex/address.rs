//! Dynex addresses: the text a miner is paid to.
//!
//! An address is a prefix, two public keys of the curve of Ed25519 (one to spend, one to view) and four bytes of
//! checksum, in CryptoNote's base 58: blocks of eight bytes as eleven characters, so that every text of 97 characters
//! has one meaning at most. A key must be the canonical encoding of a point, as the node asks: money sent to a key that
//! is none is gone. The identity and points of small order are points, and the node takes them; so does this.
//!
//! The prefix is the same on every network, so an address does not tell its network. Integrated addresses, which carry
//! a payment id inside, exist in code and are off in every node; they are refused here as they are there. A payment id
//! stands beside the address ([`Payee`]). Source: `DynexCNBasicImpl.cpp` and `Base58.cpp` of the Dynex node 2.2.2
//! (behaviour, by vectors).

use super::params::ADDRESS_PREFIX;
use crate::hash::cryptonight::keccak256;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use std::fmt;

/// Bytes of the two keys.
const KEYS_LEN: usize = 64;
const CHECKSUM_LEN: usize = 4;
/// Characters of an address.
const TEXT_LEN: usize = 97;
/// Bytes in front of the keys.
const PREFIX_LEN: usize = 2;

/// Where money goes. `Display` is the one text it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    spend: [u8; 32],
    view: [u8; 32],
}

/// Why a text is no address. The message is shown to miners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Nothing at all.
    #[error("address is empty")]
    Empty,
    /// Too few or too many characters.
    #[error("address has {found} characters, a dynex address has 97")]
    Length {
        /// Characters it has.
        found: usize,
    },
    /// A character that no address has.
    #[error("character {character:?} at position {position} cannot be part of an address")]
    BadCharacter {
        /// The character.
        character: char,
        /// Its place, counted in characters from 1.
        position: usize,
    },
    /// Eleven characters that stand for no eight bytes.
    #[error("characters {from} to {to} of the address stand for no bytes: one of them is mistyped")]
    Overflow {
        /// The first character of the block, counted from 1.
        from: usize,
        /// Its last.
        to: usize,
    },
    /// The checksum does not match.
    #[error("address has a wrong checksum: a character is mistyped or missing")]
    Checksum,
    /// An address of another chain, or an integrated one.
    #[error("address has the prefix {found}, addresses of dynex have 185 and begin with Xw")]
    Prefix {
        /// Its prefix.
        found: u64,
    },
    /// A key that is no point of the curve.
    #[error("the {which} key in the address is no point of the curve: nobody could spend what it is paid")]
    Key {
        /// `spend` or `view`.
        which: &'static str,
    },
    /// A payment id that is none.
    #[error("a payment id has 64 hexadecimal digits")]
    PaymentId,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if let Some((place, character)) = text.chars().enumerate().find(|(_, c)| digit(*c).is_none()) {
            return Err(AddressError::BadCharacter { character, position: place + 1 });
        }
        // From here on every character is one byte.
        let length = AddressError::Length { found: text.len() };
        // Longer ones are not even decoded: the work is bounded by what an address may have.
        if text.len() > 2 * TEXT_LEN {
            return Err(length);
        }
        let decoded = decode(text);
        if text.len() != TEXT_LEN {
            // A whole address of another chain is not half of one of this.
            let other = decoded.ok().flatten().and_then(|bytes| sound_prefix(&bytes));
            return Err(other
                .filter(|found| *found != ADDRESS_PREFIX)
                .map_or(length, |found| AddressError::Prefix { found }));
        }
        let bytes = decoded?.ok_or(length)?;
        match sound_prefix(&bytes) {
            None => return Err(AddressError::Checksum),
            Some(ADDRESS_PREFIX) => {}
            Some(found) => return Err(AddressError::Prefix { found }),
        }
        let keys = bytes[PREFIX_LEN..].as_chunks::<32>().0;
        Self::of_keys(keys[0], keys[1])
    }

    /// The address of two public keys.
    ///
    /// # Errors
    /// [`AddressError::Key`] for bytes that are no canonical point.
    pub fn of_keys(spend: [u8; 32], view: [u8; 32]) -> Result<Self, AddressError> {
        for (which, key) in [("spend", &spend), ("view", &view)] {
            point(key).ok_or(AddressError::Key { which })?;
        }
        Ok(Self { spend, view })
    }

    /// The public key that outputs are made for.
    #[must_use]
    pub const fn spend(&self) -> &[u8; 32] {
        &self.spend
    }

    /// The public key that outputs are found by.
    #[must_use]
    pub const fn view(&self) -> &[u8; 32] {
        &self.view
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(PREFIX_LEN + KEYS_LEN + CHECKSUM_LEN);
        super::blob::push_varint(&mut bytes, ADDRESS_PREFIX);
        bytes.extend_from_slice(&self.spend);
        bytes.extend_from_slice(&self.view);
        let checksum = keccak256(&bytes);
        bytes.extend_from_slice(&checksum[..CHECKSUM_LEN]);
        f.write_str(&encode(&bytes))
    }
}

/// The point that 32 bytes encode; `None` for all encodings but the one canonical of each point.
pub(super) fn point(key: &[u8; 32]) -> Option<EdwardsPoint> {
    let compressed = CompressedEdwardsY(*key);
    // Decompression alone is laxer than the node: it takes y above the prime, and a sign for x = 0.
    compressed.decompress().filter(|point| point.compress() == compressed)
}

/// An address and, for payees that share one (exchanges), the number that tells them apart.
///
/// Text: the address, or the address, `#` and the payment id's 64 digits in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Payee {
    /// Where money goes.
    pub address: Address,
    /// Whom it is for there.
    pub payment_id: Option<[u8; 32]>,
}

impl Payee {
    /// Reads an address, or an address with a payment id behind `#`.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let Some((address, id)) = text.split_once('#') else {
            return Ok(Self { address: Address::parse(text)?, payment_id: None });
        };
        let address = Address::parse(address)?;
        let mut payment_id = [0; 32];
        hex::decode_to_slice(id.trim(), &mut payment_id).map_err(|_| AddressError::PaymentId)?;
        Ok(Self { address, payment_id: Some(payment_id) })
    }
}

impl fmt::Display for Payee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.payment_id {
            None => write!(f, "{}", self.address),
            Some(id) => write!(f, "{}#{}", self.address, hex::encode(id)),
        }
    }
}

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Characters that so many bytes, 0 to 8, are written as.
const CHARACTERS: [usize; 9] = [0, 2, 3, 5, 6, 7, 9, 10, 11];

fn digit(c: char) -> Option<u64> {
    let c = u8::try_from(c).ok()?;
    ALPHABET.iter().position(|known| *known == c).map(|digit| digit as u64)
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for block in bytes.chunks(8) {
        let mut number = block.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let mut digits = [ALPHABET[0]; 11];
        let digits = &mut digits[..CHARACTERS[block.len()]];
        for digit in digits.iter_mut().rev() {
            *digit = ALPHABET[(number % 58) as usize];
            number /= 58;
        }
        text.extend(digits.iter().map(|digit| char::from(*digit)));
    }
    text
}

/// `None` for a length that no bytes have. All characters must be digits of base 58.
fn decode(text: &str) -> Result<Option<Vec<u8>>, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    for (place, block) in text.as_bytes().chunks(11).enumerate() {
        let Some(len) = CHARACTERS.iter().position(|characters| *characters == block.len()) else {
            return Ok(None);
        };
        let from = 11 * place + 1;
        let overflow = AddressError::Overflow { from, to: from + block.len() - 1 };
        let number = block.iter().try_fold(0u64, |number, c| {
            let digit = digit(char::from(*c)).unwrap_or_default();
            number.checked_mul(58)?.checked_add(digit)
        });
        let number = number.ok_or(overflow)?;
        if len < 8 && number >> (8 * len) != 0 {
            return Err(overflow);
        }
        bytes.extend_from_slice(&number.to_be_bytes()[8 - len..]);
    }
    Ok(Some(bytes))
}

/// The number in front, if the checksum at the end is right.
fn sound_prefix(bytes: &[u8]) -> Option<u64> {
    let (signed, checksum) = bytes.split_last_chunk::<CHECKSUM_LEN>()?;
    let sound = keccak256(signed)[..CHECKSUM_LEN] == *checksum;
    if sound { super::blob::Reader::new(signed).varint().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const EXAMPLE: &str =
        "XwoViygnRn7QaFtbc8XkwigF5oXhRZ41uinUK8XviwvAe4XjHJqfUVHGcieAJQSyWcQ1d6tzfGvyz5KZKSNeU3Bh1d9FDxNoJ";

    #[test]
    fn every_published_address_vector() {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/dynex.json")).unwrap();
        let vectors = vectors["addresses"].as_array().unwrap();
        assert!(vectors.len() >= 18);
        for vector in vectors {
            let text = vector["address"].as_str().unwrap();
            match (Address::parse(text), vector["valid"].as_bool().unwrap()) {
                (Ok(address), true) => {
                    assert_eq!(address.to_string(), text);
                    for (key, name) in
                        [(address.spend(), "spend_public_key"), (address.view(), "view_public_key")]
                    {
                        assert!(vector[name].is_null() || vector[name] == hex::encode(key), "{vector}");
                    }
                }
                (Err(_), false) => {}
                (outcome, _) => panic!("{vector}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let says = |text: &str, words: &str| {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        };
        says("", "empty");
        says("  ", "empty");
        says(&EXAMPLE[..96], "96 characters");
        says(&format!("{EXAMPLE}1"), "98 characters");
        says(&EXAMPLE.replace("XwoV", "XwoW"), "checksum");
        says(&EXAMPLE.replace("XwoV", "Xw0V"), "'0' at position 3");
        says(&EXAMPLE.replace("XwoV", "Xwéo"), "'é' at position 3");
        says(&format!("zzzzzzzzzzz{}", &EXAMPLE[11..]), "characters 1 to 11");
        let monero =
            "49pLNupvw39h5ppwEgx3x5TSMimd3H2PzbguP5yQu9hWRWZZaNb8fZnGTNUhVLXi9NRW1iNdGKMQLcRdPvKjb3xTHnY9sJU";
        says(monero, "prefix 18");
        let no_point = "Xwmf3yKEPhq111111111111111111111111111111111112B3qq3Hy5GcieAJQSyWcQ1d6tzfGvyz5KZKSNeU3Bh1d9KwJ2GZ";
        says(no_point, "the spend key");
        says(&"1".repeat(5_000), "5000 characters");
        assert_eq!(Address::parse(&format!(" {EXAMPLE}\n")).unwrap().to_string(), EXAMPLE);
    }

    #[test]
    fn a_payment_id_stands_behind_the_address() {
        let id = "ab".repeat(32);
        let payee = Payee::parse(&format!("{EXAMPLE}#{}", id.to_uppercase())).unwrap();
        assert_eq!(payee.to_string(), format!("{EXAMPLE}#{id}"));
        assert_eq!(Payee::parse(EXAMPLE).unwrap().to_string(), EXAMPLE);
        for bad in ["", "ab", &id[1..], &format!("{id}0"), &id.replace('a', "g")] {
            assert_eq!(Payee::parse(&format!("{EXAMPLE}#{bad}")), Err(AddressError::PaymentId), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn bytes_are_written_and_read(bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
            prop_assert_eq!(decode(&encode(&bytes)), Ok(Some(bytes)));
        }

        #[test]
        fn one_changed_character_is_found(place in 0usize..97, other in 0usize..58) {
            let mut text = EXAMPLE.as_bytes().to_vec();
            let changed = text[place] != ALPHABET[other];
            text[place] = ALPHABET[other];
            let text = String::from_utf8(text).unwrap();
            prop_assert_eq!(Address::parse(&text).is_err(), changed);
        }

        #[test]
        fn any_text_has_an_answer(text: String) {
            if let Ok(payee) = Payee::parse(&text) {
                prop_assert_eq!(Payee::parse(&payee.to_string()), Ok(payee));
            }
        }
    }
}
