//! Hypra addresses: twenty bytes, and a checksum that hides in the case of their digits.
//!
//! Text in one case carries no checksum and is taken as it is; text in mixed case must carry the right one (EIP-55), for
//! money sent to a mistyped address is gone. Most pools do not look. An account is the lower-case text, so that the ways
//! to spell one address are one account.

use crate::hash::ethashb3::keccak256;
use std::fmt;

/// An account of the chain. `Display` is the canonical text: `0x` and 40 lower-case digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 20]);

/// Text that is no address, for the miner's screen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Not 40 digits.
    #[error("an address is 0x and 40 hexadecimal digits, this has {0} characters behind 0x")]
    Length(usize),
    /// Something else than a hexadecimal digit.
    #[error("character {character:?} at position {position} cannot be part of an address")]
    BadCharacter {
        /// The character.
        character: char,
        /// Its place in the text, counted from 1.
        position: usize,
    },
    /// Mixed case that is not the checksum: at least one digit is wrong.
    #[error("the address's checksum does not match: a digit is mistyped (or write it all in lower case)")]
    Checksum,
    /// The address nobody has.
    #[error("the zero address cannot be paid")]
    Zero,
}

impl Address {
    /// From its bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The address of a public key, given as its two coordinates.
    #[must_use]
    pub fn of_public_key(coordinates: &[u8; 64]) -> Self {
        let hash = keccak256(coordinates);
        let mut bytes = [0; 20];
        bytes.copy_from_slice(&hash[12..]);
        Self(bytes)
    }

    /// Reads an address; `0x` may be missing.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (digits, skipped) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => (digits, 2),
            None => (text, 0),
        };
        for (place, character) in digits.chars().enumerate() {
            if !character.is_ascii_hexdigit() {
                return Err(AddressError::BadCharacter { character, position: skipped + place + 1 });
            }
        }
        let mut bytes = [0; 20];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| AddressError::Length(digits.len()))?;
        if bytes == [0; 20] {
            return Err(AddressError::Zero);
        }
        let address = Self(bytes);
        let mixed =
            digits.bytes().any(|b| b.is_ascii_lowercase()) && digits.bytes().any(|b| b.is_ascii_uppercase());
        if mixed && address.checksummed()[2..] != *digits {
            return Err(AddressError::Checksum);
        }
        Ok(address)
    }

    /// The text with its checksum, as wallets print it. Source: EIP-55.
    #[must_use]
    pub fn checksummed(&self) -> String {
        let digits = hex::encode(self.0);
        let hash = keccak256(digits.as_bytes());
        let case = |(place, digit): (usize, char)| {
            let nibble = hash[place / 2] >> (4 * (1 - place % 2)) & 15;
            if nibble >= 8 { digit.to_ascii_uppercase() } else { digit }
        };
        "0x".chars().chain(digits.chars().enumerate().map(case)).collect()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn texts(list: &str) -> Vec<String> {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/hypra.json")).unwrap();
        let list = vectors["transactions"][list].as_array().unwrap();
        list.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn published_addresses_and_their_checksums() {
        for text in texts("eip55_valid").into_iter().chain(texts("extra_valid")) {
            let address = Address::parse(&text).unwrap();
            assert_eq!(address.to_string(), text.to_lowercase());
            let one_case = text[2..].bytes().all(|b| !b.is_ascii_lowercase());
            if !one_case && text[2..].bytes().any(|b| b.is_ascii_uppercase()) {
                assert_eq!(address.checksummed(), text);
            }
            assert_eq!(Address::parse(&text.to_lowercase()), Ok(address));
            assert_eq!(Address::parse(&format!("0x{}", text[2..].to_uppercase())), Ok(address));
        }
        for text in texts("eip55_invalid") {
            assert_eq!(Address::parse(&text), Err(AddressError::Checksum), "{text}");
        }
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        let say = |text: &str| Address::parse(text).unwrap_err().to_string();
        assert_eq!(
            say("0x1234"),
            "an address is 0x and 40 hexadecimal digits, this has 4 characters behind 0x"
        );
        assert_eq!(say("0xg"), "character 'g' at position 3 cannot be part of an address");
        assert_eq!(say(""), "an address is 0x and 40 hexadecimal digits, this has 0 characters behind 0x");
        assert_eq!(say(&format!("0x{}", "0".repeat(40))), "the zero address cannot be paid");
        assert!(say(&"é".repeat(20)).starts_with("character 'é' at position 1"));
    }

    proptest! {
        #[test]
        fn an_address_reads_back_in_every_spelling(bytes: [u8; 20]) {
            prop_assume!(bytes != [0; 20]);
            let address = Address::new(bytes);
            for text in [address.to_string(), address.checksummed(), hex::encode(bytes)] {
                prop_assert_eq!(Address::parse(&text), Ok(address));
            }
        }

        #[test]
        fn a_changed_case_is_noticed(bytes: [u8; 20], place in 2usize..42) {
            let address = Address::new(bytes);
            let mut text = address.checksummed().into_bytes();
            prop_assume!(text[place].is_ascii_alphabetic());
            text[place] ^= 0x20;
            let text = String::from_utf8(text).unwrap();
            let digits = &text[2..];
            let mixed = digits.bytes().any(|b| b.is_ascii_lowercase())
                && digits.bytes().any(|b| b.is_ascii_uppercase());
            prop_assert_eq!(Address::parse(&text).is_err(), mixed);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,60}") {
            let _ = Address::parse(&text);
        }
    }
}
