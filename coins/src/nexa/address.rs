//! Addresses: a prefix, a colon, and base 32 with a checksum of 40 bits over both.
//!
//! The payload's first byte says the type in its upper five bits. Payable are key hashes (0), script hashes (1) and
//! script templates (19), whose payload is a length and the very output script. Almost every wallet writes the same
//! template: no group, the well-known "pay to public key" template, and a hash of 20 bytes. A template that begins
//! with a group would send tokens' outputs; such an address is refused unless the operator asks for it. A group's own
//! id (11) is no place to send money to.
//!
//! Text may leave the prefix out, which then is the pool's network's, and may be all upper case. The canonical text,
//! which names an account, has the prefix and is lower case. Bits that fill up the last symbol must be zero, so each
//! payload has one text. Source: the node's `src/cashaddr.cpp`, `src/cashaddrenc.cpp`, `src/dstencode.cpp`
//! (behaviour), and the addresses of npm `libnexa-ts`.

use super::codec::{Reader, push_bytes};
use super::params::Network;
use super::tx::OutputKind;
use std::fmt;

/// The type of a key hash.
const KEY_HASH: u8 = 0;
/// The type of a script hash.
const SCRIPT_HASH: u8 = 1;
/// The type of a group's id.
const GROUP: u8 = 11;
/// The type of a script template.
const TEMPLATE: u8 = 19;

/// Where money can be sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    KeyHash([u8; 20]),
    ScriptHash([u8; 20]),
    /// The whole output script.
    Template(Vec<u8>),
}

/// A place to send money to, on one network.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    network: Network,
    kind: Kind,
}

/// Text that is no address, or none to be paid at. The texts are for a miner's screen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Nothing was given.
    #[error("no address given; it begins with {prefix}:")]
    Empty {
        /// What it should begin with.
        prefix: &'static str,
    },
    /// Small and capital letters.
    #[error("an address is written in small or in capital letters, not both")]
    MixedCase,
    /// A character that stands for nothing.
    #[error("character {character:?} at position {position} cannot be part of an address")]
    BadCharacter {
        /// The character.
        character: char,
        /// Its place in the text, from 1.
        position: usize,
    },
    /// A prefix of another coin, or of none.
    #[error("{prefix}: is no prefix of nexa; addresses here begin with {expected}:")]
    ForeignPrefix {
        /// What was written.
        prefix: String,
        /// What it should be.
        expected: &'static str,
    },
    /// An address of another Nexa network.
    #[error("address belongs to {found}, this pool is on {expected} (addresses begin with {}:)", .expected.address_prefix())]
    OtherNetwork {
        /// Whose it is.
        found: Network,
        /// The pool's.
        expected: Network,
    },
    /// Not even a checksum.
    #[error("address is too short")]
    TooShort,
    /// A slip of the pen.
    #[error("checksum does not match: a character is wrong, missing or too many")]
    Checksum,
    /// The last symbol has bits that mean nothing.
    #[error("address has stray bits at its end")]
    StrayBits,
    /// A group's id.
    #[error("this is the id of a token group, not an address to be paid at")]
    GroupId,
    /// Another type.
    #[error("address is of unknown type {0}")]
    UnknownType(u8),
    /// A payload that its type cannot have.
    #[error("address holds {found} bytes where its type has {expected}")]
    Length {
        /// What is there.
        found: usize,
        /// What should be.
        expected: usize,
    },
    /// A template address whose inner length and bytes differ.
    #[error("address holds a script of another length than it says")]
    Script,
    /// A template with a group.
    #[error("this is an address for tokens; the pool pays plain nexa, use an ordinary address")]
    Grouped,
}

impl Address {
    /// The address of the template "pay to public key" for a hash of its arguments: what wallets show.
    #[must_use]
    pub fn pay_to_key_template(network: Network, hash: [u8; 20]) -> Self {
        let script = [&[0x00, 0x51, 0x14][..], &hash].concat();
        Self { network, kind: Kind::Template(script) }
    }

    /// Text as a miner writes it for a pool on `network`, prefix or not.
    ///
    /// ```
    /// use pool_coins::nexa::address::Address;
    /// use pool_coins::nexa::params::Network;
    ///
    /// let bare = "nqtsq5g5w6syq5aa5z5ghkj3w7ux59wrk204txrn64e2gs92";
    /// let address = Address::parse(bare, Network::Mainnet).unwrap();
    /// assert_eq!(address.to_string(), format!("nexa:{bare}"));
    /// ```
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str, network: Network) -> Result<Self, AddressError> {
        let expected = network.address_prefix();
        if text.is_empty() {
            return Err(AddressError::Empty { prefix: expected });
        }
        let lower = lower(text)?;
        let (prefix, symbols) = match lower.split_once(':') {
            Some((prefix, symbols)) => {
                let found = Network::of_address_prefix(prefix)
                    .ok_or_else(|| AddressError::ForeignPrefix { prefix: prefix.to_owned(), expected })?;
                if found != network {
                    return Err(AddressError::OtherNetwork { found, expected: network });
                }
                (prefix, symbols)
            }
            None => (expected, &*lower),
        };
        let skipped = lower.chars().count() - symbols.chars().count();
        Self::of_payload(network, &decode_symbols(prefix, symbols, skipped)?)
    }

    /// Text with its prefix, of whichever Nexa network it says.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn decode(text: &str) -> Result<Self, AddressError> {
        let lower = lower(text)?;
        let expected = Network::Mainnet.address_prefix();
        let prefix = match lower.split_once(':') {
            Some((prefix, _)) => prefix,
            None if text.is_empty() => return Err(AddressError::Empty { prefix: expected }),
            None => "",
        };
        let network = Network::of_address_prefix(prefix)
            .ok_or_else(|| AddressError::ForeignPrefix { prefix: prefix.to_owned(), expected })?;
        Self::parse(text, network)
    }

    fn of_payload(network: Network, payload: &[u8]) -> Result<Self, AddressError> {
        let (version, bytes) = payload.split_first().ok_or(AddressError::TooShort)?;
        let hash = || {
            let length = AddressError::Length { found: bytes.len(), expected: 20 };
            if version & 7 == 0 { <[u8; 20]>::try_from(bytes).map_err(|_| length) } else { Err(length) }
        };
        let kind = match version >> 3 {
            KEY_HASH => Kind::KeyHash(hash()?),
            SCRIPT_HASH => Kind::ScriptHash(hash()?),
            GROUP => return Err(AddressError::GroupId),
            TEMPLATE if version & 7 == 0 => {
                let mut reader = Reader::new(bytes);
                let script = reader.bytes().map_err(|_| AddressError::Script)?;
                reader.end().map_err(|_| AddressError::Script)?;
                if script.is_empty() {
                    return Err(AddressError::Script);
                }
                Kind::Template(script.to_vec())
            }
            other => return Err(AddressError::UnknownType(other)),
        };
        Ok(Self { network, kind })
    }

    /// The address whose output this is; `None` for scripts that no address stands for.
    #[must_use]
    pub fn of_output(network: Network, kind: OutputKind, script: &[u8]) -> Option<Self> {
        let kind = match (kind, script) {
            (OutputKind::Template, []) => return None,
            (OutputKind::Template, script) => Kind::Template(script.to_vec()),
            (OutputKind::Satoshi, [0x76, 0xa9, 0x14, hash @ .., 0x88, 0xac]) => {
                Kind::KeyHash(hash.try_into().ok()?)
            }
            (OutputKind::Satoshi, [0xa9, 0x14, hash @ .., 0x87]) => Kind::ScriptHash(hash.try_into().ok()?),
            (OutputKind::Satoshi, _) => return None,
        };
        Some(Self { network, kind })
    }

    /// The network it belongs to.
    #[must_use]
    pub const fn network(&self) -> Network {
        self.network
    }

    /// True for a template that begins with a group: its outputs are meant for tokens.
    #[must_use]
    pub fn is_grouped(&self) -> bool {
        matches!(&self.kind, Kind::Template(script) if script[0] != 0)
    }

    /// The type, 0, 1 or 19.
    #[must_use]
    pub const fn type_number(&self) -> u8 {
        match &self.kind {
            Kind::KeyHash(_) => KEY_HASH,
            Kind::ScriptHash(_) => SCRIPT_HASH,
            Kind::Template(_) => TEMPLATE,
        }
    }

    /// What an output to it says.
    #[must_use]
    pub fn output(&self) -> (OutputKind, Vec<u8>) {
        match &self.kind {
            Kind::KeyHash(hash) => {
                (OutputKind::Satoshi, [&[0x76, 0xa9, 0x14][..], hash, &[0x88, 0xac]].concat())
            }
            Kind::ScriptHash(hash) => (OutputKind::Satoshi, [&[0xa9, 0x14][..], hash, &[0x87]].concat()),
            Kind::Template(script) => (OutputKind::Template, script.clone()),
        }
    }

    fn payload(&self) -> Vec<u8> {
        let mut payload = vec![self.type_number() << 3];
        match &self.kind {
            Kind::KeyHash(hash) | Kind::ScriptHash(hash) => payload.extend_from_slice(hash),
            Kind::Template(script) => push_bytes(&mut payload, script),
        }
        payload
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_text(self.network.address_prefix(), &self.payload()))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

fn lower(text: &str) -> Result<String, AddressError> {
    let has = |case: fn(&char) -> bool| text.chars().any(|c| case(&c));
    if has(char::is_ascii_lowercase) && has(char::is_ascii_uppercase) {
        return Err(AddressError::MixedCase);
    }
    Ok(text.to_ascii_lowercase())
}

/// The text of any prefix and payload; the code beneath [`Address`], which knows what they may be.
#[must_use]
pub fn encode_text(prefix: &str, payload: &[u8]) -> String {
    let mut symbols = to_symbols(payload);
    let sum = checksum(prefix, symbols.iter().copied().chain([0; 8])) ^ 1;
    symbols.extend((0..8).rev().map(|place| (sum >> (5 * place) & 0x1f) as u8));
    let mut text = String::with_capacity(prefix.len() + 1 + symbols.len());
    text.push_str(prefix);
    text.push(':');
    text.extend(symbols.iter().map(|&symbol| char::from(CHARSET[usize::from(symbol)])));
    text
}

/// The payload of what stands behind the colon, in small letters. `skipped`: characters before it, for messages.
fn decode_symbols(prefix: &str, text: &str, skipped: usize) -> Result<Vec<u8>, AddressError> {
    let mut symbols = Vec::with_capacity(text.len());
    for (i, character) in text.chars().enumerate() {
        let symbol = CHARSET.iter().position(|&known| char::from(known) == character);
        let symbol = symbol.ok_or(AddressError::BadCharacter { character, position: skipped + i + 1 })?;
        symbols.push(symbol as u8);
    }
    let data = symbols.len().checked_sub(8).ok_or(AddressError::TooShort)?;
    if checksum(prefix, symbols.iter().copied()) != 1 {
        return Err(AddressError::Checksum);
    }
    to_bytes(&symbols[..data]).ok_or(AddressError::StrayBits)
}

const CHARSET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// One for symbols that end with their own checksum.
fn checksum(prefix: &str, symbols: impl Iterator<Item = u8>) -> u64 {
    const GENERATORS: [u64; 5] =
        [0x98_f2bc_8e61, 0x79_b76d_99e2, 0xf3_3e5f_b3c4, 0xae_2eab_e2a8, 0x1e_4f43_e470];
    let prefix = prefix.bytes().map(|byte| byte & 0x1f);
    prefix.chain([0]).chain(symbols).fold(1, |sum: u64, symbol| {
        let next = (sum & 0x07_ffff_ffff) << 5 ^ u64::from(symbol);
        let taken = GENERATORS.iter().enumerate().filter(|(bit, _)| sum >> (35 + bit) & 1 == 1);
        taken.fold(next, |sum, (_, generator)| sum ^ generator)
    })
}

/// Bytes as 5-bit symbols, high bits first, the last one filled up with zeros.
fn to_symbols(bytes: &[u8]) -> Vec<u8> {
    let mut symbols = Vec::with_capacity(bytes.len() * 8 / 5 + 9);
    let (mut held, mut bits) = (0u16, 0);
    for byte in bytes {
        held = held << 8 | u16::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            symbols.push((held >> bits & 0x1f) as u8);
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        symbols.push((held << (5 - bits) & 0x1f) as u8);
    }
    symbols
}

/// The bytes in 5-bit symbols; `None` when what is left over is a whole symbol or not zero.
fn to_bytes(symbols: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(symbols.len() * 5 / 8);
    let (mut held, mut bits) = (0u16, 0);
    for symbol in symbols {
        held = held << 5 | u16::from(*symbol);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
        held &= (1 << bits) - 1;
    }
    (bits < 5 && held == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const PLAIN: &str = "nexa:nqtsq5g59905h37stp0emhdjh3q2ll7d002cyjq0chegptj3";

    fn vectors() -> Value {
        let all: Value = serde_json::from_str(include_str!("../../testdata/nexa.json")).unwrap();
        all["addresses"].clone()
    }

    #[test]
    fn every_published_address_decodes_to_its_script_and_back() {
        let mut others = 0;
        for vector in vectors()["valid"].as_array().unwrap() {
            let text = vector["address"].as_str().unwrap();
            let address = Address::decode(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(address.to_string(), text);
            assert_eq!(address.network().address_prefix(), vector["prefix"].as_str().unwrap());
            assert_eq!(hex::encode(address.payload()), vector["payload"].as_str().unwrap());
            assert_eq!(u64::from(address.type_number()), vector["type"].as_u64().unwrap());
            let (kind, script) = address.output();
            match vector["output_script"].as_str() {
                Some(published) => {
                    assert_eq!(hex::encode(&script), published);
                    assert_eq!(vector["payout_ok"], true);
                    assert!(!address.is_grouped());
                }
                None => others += 1,
            }
            if let Some(hash) = vector["hash160"].as_str() {
                let hash = hex::decode(hash).unwrap().try_into().unwrap();
                assert_eq!(Address::pay_to_key_template(address.network(), hash), address);
            }
            assert_eq!(Address::of_output(address.network(), kind, &script), Some(address));
        }
        assert_eq!(others, 4);
    }

    #[test]
    fn token_addresses_are_told_apart() {
        let grouped = "nexa:nqazqy3uqsp4j0zyyufqzy65qc2u9vvm2jthyqgzqvzq2ps8pqys5zcvqgqqq5g5w6syq5aa5z5ghkj3w7ux59wrk204txrn92xzqzsu";
        assert!(Address::decode(grouped).unwrap().is_grouped());
        let contract = "nexa:nqtsq9rk5pq980dq4z9a55thhp4ptsajna2esucqqj42vk56";
        assert!(!Address::decode(contract).unwrap().is_grouped());
        let group = encode_text("nexa", &[&[GROUP << 3][..], &[7; 32]].concat());
        assert!(group.starts_with("nexa:t"), "{group}");
        assert_eq!(Address::decode(&group), Err(AddressError::GroupId));
    }

    #[test]
    fn every_published_mistake_is_refused_by_name() {
        let vectors = vectors();
        let on_mainnet = |text: &str| Address::parse(text, Network::Mainnet).unwrap_err();
        let mut seen = 0;
        for vector in vectors["invalid"].as_array().unwrap() {
            let text = vector["address"].as_str().unwrap();
            let error = on_mainnet(text);
            let named = match vector["why"].as_str().unwrap() {
                "last character changed" | "checksum cut" | "node help-text example, checksum wrong" => {
                    error == AddressError::Checksum
                }
                "mixed case" => error == AddressError::MixedCase,
                "mainnet checksum under testnet prefix" => {
                    assert_eq!(Address::parse(text, Network::Testnet), Err(AddressError::Checksum));
                    error
                        == AddressError::OtherNetwork { found: Network::Testnet, expected: Network::Mainnet }
                }
                "foreign prefix" => {
                    matches!(&error, AddressError::ForeignPrefix { prefix, .. } if prefix == "bitcoincash")
                }
                "'b' is not in the alphabet" => {
                    error == AddressError::BadCharacter { character: 'b', position: 15 }
                }
                "empty" => error == AddressError::Empty { prefix: "nexa" },
                _ => false,
            };
            assert!(named, "{vector}: {error}");
            assert!(Address::decode(text).is_err());
            seen += 1;
        }
        assert_eq!(seen, 8);
    }

    #[test]
    fn a_miner_may_shout_and_leave_the_prefix_out() {
        let vectors = vectors();
        let address = Address::decode(PLAIN).unwrap();
        for key in ["uppercase_ok", "prefixless_ok"] {
            let text = vectors[key].as_str().unwrap();
            assert_eq!(Address::parse(text, Network::Mainnet).as_ref(), Ok(&address));
        }
        assert_eq!(
            Address::parse("nqtsq5g59905h37stp0emhdjh3q2ll7d002cyjq0chegptj3", Network::Regtest),
            Err(AddressError::Checksum),
            "the checksum covers the prefix"
        );
        assert_eq!(
            Address::decode("x").unwrap_err().to_string(),
            ": is no prefix of nexa; addresses here begin with nexa:"
        );
    }

    #[test]
    fn payloads_that_no_type_has() {
        let decoded = |payload: &[u8]| Address::decode(&encode_text("nexa", payload));
        assert_eq!(decoded(&[0; 20]), Err(AddressError::Length { found: 19, expected: 20 }));
        assert_eq!(decoded(&[8; 22]), Err(AddressError::Length { found: 21, expected: 20 }));
        assert_eq!(decoded(&[1; 21]), Err(AddressError::Length { found: 20, expected: 20 }), "a size code");
        assert_eq!(decoded(&[0x10; 21]), Err(AddressError::UnknownType(2)));
        assert_eq!(decoded(&[0x99, 1, 0]), Err(AddressError::UnknownType(19)));
        for script in [&[][..], &[0], &[1], &[2, 0], &[1, 0, 0], &[0xfd, 1, 0, 0]] {
            assert_eq!(decoded(&[&[0x98], script].concat()), Err(AddressError::Script), "{script:?}");
        }
        assert_eq!(decoded(&[]), Err(AddressError::TooShort));
        assert_eq!(Address::decode("nexa:qqq"), Err(AddressError::TooShort));
    }

    #[test]
    fn stray_bits_make_no_second_account() {
        // 21 bytes are 168 bits, 34 symbols 170: two bits are left.
        let mut symbols = to_symbols(&[0; 21]);
        *symbols.last_mut().unwrap() |= 1;
        let sum = checksum("nexa", symbols.iter().copied().chain([0; 8])) ^ 1;
        symbols.extend((0..8).rev().map(|place| (sum >> (5 * place) & 0x1f) as u8));
        let text: String = symbols.iter().map(|&symbol| char::from(CHARSET[usize::from(symbol)])).collect();
        assert_eq!(Address::decode(&format!("nexa:{text}")), Err(AddressError::StrayBits));
    }

    fn addresses() -> impl Strategy<Value = Address> {
        let network = proptest::sample::select(&Network::ALL[..]);
        let hash = any::<[u8; 20]>();
        let kind = prop_oneof![
            hash.prop_map(Kind::KeyHash),
            hash.prop_map(Kind::ScriptHash),
            proptest::collection::vec(any::<u8>(), 1..300).prop_map(Kind::Template),
        ];
        (network, kind).prop_map(|(network, kind)| Address { network, kind })
    }

    proptest! {
        #[test]
        fn every_address_reads_back_from_its_text_and_its_output(address in addresses()) {
            let text = address.to_string();
            prop_assert_eq!(Address::decode(&text), Ok(address.clone()));
            let bare = text.split_once(':').unwrap().1;
            prop_assert_eq!(Address::parse(bare, address.network()), Ok(address.clone()));
            let (kind, script) = address.output();
            prop_assert_eq!(Address::of_output(address.network(), kind, &script), Some(address));
        }

        #[test]
        fn no_text_is_read_by_accident(text in "(nexa|nexatest)?:?.{0,80}") {
            prop_assert!(Address::decode(&text).is_err());
            prop_assert!(Address::parse(&text, Network::Mainnet).is_err());
        }

        #[test]
        fn up_to_three_wrong_symbols_are_noticed(
            hash: [u8; 20],
            wrong in proptest::collection::btree_map(0usize..48, 1u8..32, 1..=3),
        ) {
            let text = Address::pay_to_key_template(Network::Mainnet, hash).to_string();
            let (prefix, symbols) = text.split_once(':').unwrap();
            let place = |byte: u8| CHARSET.iter().position(|&known| known == byte).unwrap() as u8;
            let mut symbols: Vec<u8> = symbols.bytes().map(place).collect();
            for (at, change) in wrong {
                symbols[at] ^= change;
            }
            let symbols: String = symbols.iter().map(|&symbol| char::from(CHARSET[usize::from(symbol)])).collect();
            prop_assert_eq!(Address::decode(&format!("{prefix}:{symbols}")), Err(AddressError::Checksum));
        }
    }
}
