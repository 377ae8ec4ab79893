//! Kaspa addresses: the text a miner is paid to, and the script that pays it.
//!
//! An address is `prefix:symbols`, where the symbols carry a version byte, a key or a script's hash, and a 40-bit
//! checksum over all of it (the CashAddr code). A pool credits by address, so two texts of one destination must not be
//! two accounts: [`Address`] prints one text only, whatever padding bits the text it was read from had. A bad checksum
//! is never let through: money sent to a mistyped address is gone.
//! Source: kaspa-addresses 2.1.0 and kaspad's `util/bech32` (behaviour and vectors).

use super::coinbase::PayScript;
use super::params::Network;
use std::fmt;

/// Where money goes on one network.
///
/// `Display` is the canonical text with the network's prefix; equal destinations have equal texts.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    prefix: &'static str,
    kind: Kind,
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    /// An x-only key that signs with Schnorr.
    Schnorr([u8; 32]),
    /// A compressed key that signs with ECDSA.
    Ecdsa([u8; 33]),
    /// The BLAKE2b hash of a script.
    ScriptHash([u8; 32]),
}

/// Why a text is no address. The message is shown to miners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// No colon.
    #[error("address lacks its prefix (kaspa:, kaspatest:, kaspasim: or kaspadev:)")]
    NoPrefix,
    /// A prefix that belongs to no network.
    #[error("unknown address prefix: known are kaspa:, kaspatest:, kaspasim: and kaspadev:")]
    UnknownPrefix,
    /// An address of another network.
    #[error("address belongs to {found}, this pool is on {expected} (addresses begin with {}:)", .expected.address_prefix())]
    OtherNetwork {
        /// The network of the address.
        found: Network,
        /// The network it was read for.
        expected: Network,
    },
    /// A character that no address has.
    #[error("character {character:?} at position {position} cannot be part of an address")]
    BadCharacter {
        /// The character.
        character: char,
        /// Its place in the given text, counted in characters from 1.
        position: usize,
    },
    /// Too few symbols to be a checksum and a version.
    #[error("address is too short: part of it is missing")]
    TooShort,
    /// The checksum does not match.
    #[error("address has a wrong checksum: a character is mistyped or missing")]
    Checksum,
    /// A version nobody has defined.
    #[error("address version {0} is unknown: known are 0, 1 and 8")]
    UnknownVersion(u8),
    /// A key or hash of the wrong length.
    #[error("address carries {found} bytes, its version {version} needs {expected}")]
    Length {
        /// The address's version.
        version: u8,
        /// Bytes it carries.
        found: usize,
        /// Bytes its version needs.
        expected: usize,
    },
}

impl Address {
    /// Reads an address of `network`; a missing prefix is taken to be the network's, as miners leave it out.
    ///
    /// # Errors
    /// [`AddressError`], with the other network's name for an address of another network.
    pub fn parse(text: &str, network: Network) -> Result<Self, AddressError> {
        let (prefix, symbols, skipped) = match split(text) {
            Some((prefix, symbols)) => (prefix, symbols, prefix.chars().count() + 1),
            None => (network.address_prefix(), text, 0),
        };
        let found = Network::of_address_prefix(prefix).ok_or(AddressError::UnknownPrefix)?;
        if found != network {
            return Err(AddressError::OtherNetwork { found, expected: network });
        }
        Self::read(network, symbols, skipped)
    }

    /// Reads an address of any network, which its prefix must name.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn decode(text: &str) -> Result<Self, AddressError> {
        let (prefix, symbols) = split(text).ok_or(AddressError::NoPrefix)?;
        let network = Network::of_address_prefix(prefix).ok_or(AddressError::UnknownPrefix)?;
        Self::read(network, symbols, prefix.chars().count() + 1)
    }

    fn read(network: Network, symbols: &str, skipped: usize) -> Result<Self, AddressError> {
        let prefix = network.address_prefix();
        let (version, payload) = decode_symbols(prefix, symbols, skipped)?;
        Self::of_version(network, version, &payload)
    }

    /// The address of `network` with this version byte and payload.
    ///
    /// # Errors
    /// [`AddressError::UnknownVersion`], [`AddressError::Length`].
    pub fn of_version(network: Network, version: u8, payload: &[u8]) -> Result<Self, AddressError> {
        let length = |expected| AddressError::Length { version, found: payload.len(), expected };
        let kind = match version {
            0 => Kind::Schnorr(payload.try_into().map_err(|_| length(32))?),
            1 => Kind::Ecdsa(payload.try_into().map_err(|_| length(33))?),
            8 => Kind::ScriptHash(payload.try_into().map_err(|_| length(32))?),
            _ => return Err(AddressError::UnknownVersion(version)),
        };
        Ok(Self { prefix: network.address_prefix(), kind })
    }

    /// The address of an x-only public key: 32 bytes, big-endian, as BIP-340 writes them.
    #[must_use]
    pub const fn p2pk(network: Network, xonly: [u8; 32]) -> Self {
        Self { prefix: network.address_prefix(), kind: Kind::Schnorr(xonly) }
    }

    /// The address that a script pays, if it is one of the three standard scripts of script version 0.
    #[must_use]
    pub fn from_script(network: Network, version: u16, script: &[u8]) -> Option<Self> {
        let (address_version, payload) = match (version, script) {
            (0, [0x20, key @ .., 0xac]) => (0, key),
            (0, [0x21, key @ .., 0xab]) => (1, key),
            (0, [0xaa, 0x20, hash @ .., 0x87]) => (8, hash),
            _ => return None,
        };
        Self::of_version(network, address_version, payload).ok()
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> Network {
        Network::of_address_prefix(self.prefix).expect("the prefix was taken from a network")
    }

    /// The version byte: 0 for a Schnorr key, 1 for an ECDSA key, 8 for a script's hash.
    #[must_use]
    pub const fn version(&self) -> u8 {
        match self.kind {
            Kind::Schnorr(_) => 0,
            Kind::Ecdsa(_) => 1,
            Kind::ScriptHash(_) => 8,
        }
    }

    /// The key or hash: 32 bytes, 33 for an ECDSA key.
    #[must_use]
    pub const fn payload(&self) -> &[u8] {
        match &self.kind {
            Kind::Schnorr(bytes) | Kind::ScriptHash(bytes) => bytes,
            Kind::Ecdsa(bytes) => bytes,
        }
    }

    /// The script that pays this address, of script version 0.
    #[must_use]
    pub fn script(&self) -> Vec<u8> {
        let (before, after): (&[u8], u8) = match self.kind {
            Kind::Schnorr(_) => (&[0x20], 0xac),
            Kind::Ecdsa(_) => (&[0x21], 0xab),
            Kind::ScriptHash(_) => (&[0xaa, 0x20], 0x87),
        };
        [before, self.payload(), &[after]].concat()
    }

    /// [`Address::script`] with its version.
    #[must_use]
    pub fn pay_script(&self) -> PayScript {
        PayScript { version: 0, script: self.script() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_text(self.prefix, self.version(), self.payload()))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// The text of any prefix, version and payload; the code beneath [`Address`], which knows what they may be.
#[must_use]
pub fn encode_text(prefix: &str, version: u8, payload: &[u8]) -> String {
    let mut symbols = to_symbols(std::iter::once(version).chain(payload.iter().copied()));
    let sum = checksum(prefix, symbols.iter().copied().chain([0; 8]));
    symbols.extend(to_symbols(sum.to_be_bytes()[3..].iter().copied()));
    let mut text = String::with_capacity(prefix.len() + 1 + symbols.len());
    text.push_str(prefix);
    text.push(':');
    text.extend(symbols.iter().map(|&symbol| char::from(CHARSET[usize::from(symbol)])));
    text
}

/// The prefix, version and payload of a text, whatever they are.
///
/// # Errors
/// [`AddressError::NoPrefix`], [`AddressError::BadCharacter`], [`AddressError::TooShort`], [`AddressError::Checksum`].
pub fn decode_text(text: &str) -> Result<(&str, u8, Vec<u8>), AddressError> {
    let (prefix, symbols) = split(text).ok_or(AddressError::NoPrefix)?;
    let (version, payload) = decode_symbols(prefix, symbols, prefix.chars().count() + 1)?;
    Ok((prefix, version, payload))
}

fn split(text: &str) -> Option<(&str, &str)> {
    text.split_once(':')
}

/// Version and payload of what stands behind the colon. `skipped`: characters before it, for messages.
fn decode_symbols(prefix: &str, text: &str, skipped: usize) -> Result<(u8, Vec<u8>), AddressError> {
    let mut symbols = Vec::with_capacity(text.len());
    for (i, character) in text.chars().enumerate() {
        let symbol = u8::try_from(character).ok().and_then(symbol_of);
        symbols.push(symbol.ok_or(AddressError::BadCharacter { character, position: skipped + i + 1 })?);
    }
    let data = symbols.len().checked_sub(8).ok_or(AddressError::TooShort)?;
    if checksum(prefix, symbols.iter().copied()) != 0 {
        return Err(AddressError::Checksum);
    }
    let mut bytes = to_bytes(&symbols[..data]).into_iter();
    let version = bytes.next().ok_or(AddressError::TooShort)?;
    Ok((version, bytes.collect()))
}

const CHARSET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// The symbol that each ASCII byte stands for; 32 where it stands for none.
const SYMBOLS: [u8; 128] = {
    let mut table = [32; 128];
    let mut symbol = 0;
    while symbol < 32 {
        table[CHARSET[symbol] as usize] = symbol as u8;
        symbol += 1;
    }
    table
};

fn symbol_of(byte: u8) -> Option<u8> {
    SYMBOLS.get(usize::from(byte)).copied().filter(|&symbol| symbol < 32)
}

/// Zero for symbols that end with their own checksum; the checksum for symbols that end with eight zeros.
fn checksum(prefix: &str, symbols: impl Iterator<Item = u8>) -> u64 {
    const GENERATORS: [u64; 5] =
        [0x98_f2bc_8e61, 0x79_b76d_99e2, 0xf3_3e5f_b3c4, 0xae_2eab_e2a8, 0x1e_4f43_e470];
    let prefix = prefix.bytes().map(|byte| byte & 0x1f);
    let mut sum: u64 = 1;
    for symbol in prefix.chain([0]).chain(symbols) {
        let top = sum >> 35;
        sum = (sum & 0x07_ffff_ffff) << 5 ^ u64::from(symbol);
        for (bit, generator) in GENERATORS.iter().enumerate() {
            if top >> bit & 1 == 1 {
                sum ^= generator;
            }
        }
    }
    sum ^ 1
}

/// Bytes as 5-bit symbols, high bits first, the last one filled up with zeros.
fn to_symbols(bytes: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut symbols = Vec::new();
    let (mut held, mut bits) = (0u16, 0);
    for byte in bytes {
        held = held << 8 | u16::from(byte);
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

/// The whole bytes in 5-bit symbols; the bits left over are padding, whatever they say.
fn to_bytes(symbols: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(symbols.len() * 5 / 8);
    let (mut held, mut bits) = (0u16, 0);
    for &symbol in symbols {
        held = held << 5 | u16::from(symbol);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
        held &= (1 << bits) - 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const ZERO: &str = "kaspa:qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqkx9awp4e";

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../testdata/kaspa.json")).unwrap()
    }

    #[test]
    fn every_published_text_encodes_and_decodes() {
        let vectors = vectors();
        for vector in vectors["addresses"].as_array().unwrap() {
            let (prefix, version) = (vector[0].as_str().unwrap(), vector[1].as_u64().unwrap() as u8);
            let payload = hex::decode(vector[2].as_str().unwrap()).unwrap();
            let text = vector[3].as_str().unwrap();
            assert_eq!(encode_text(prefix, version, &payload), text);
            assert_eq!(decode_text(text), Ok((prefix, version, payload.clone())));
            if let Some(network) = Network::of_address_prefix(prefix) {
                let address = Address::decode(text).unwrap();
                assert_eq!(
                    (address.network(), address.version(), address.payload()),
                    (network, version, &payload[..])
                );
                assert_eq!(Address::of_version(network, version, &payload), Ok(address.clone()));
                assert_eq!(address.to_string(), text);
            }
        }
        for (prefix, version, payload, text) in [
            ("a", 120, "", "a:0qf6jrhtdq"),
            ("b", 8, "0", "b:pqcq53eqrk0e"),
            ("b", 8, "11", "b:pqcnzt888ytdg"),
            ("b", 8, "abcdefghijklmnopqrstuvwxyz", "b:ppskycmyv4nxw6rfdf4kcmtwdac8zunnw36hvamc09aqtpppz8lk"),
        ] {
            assert_eq!(encode_text(prefix, version, payload.as_bytes()), text);
            assert_eq!(decode_text(text), Ok((prefix, version, payload.as_bytes().to_vec())));
        }
    }

    #[test]
    fn the_rest_of_the_published_addresses_round_trip() {
        for text in [
            "kaspatest:qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqhe837j2d",
            "kaspa:qpumuen7l8wthtz45p3ftn58pvrs9xlumvkuu2xet8egzkcklqtes4ypce9sf",
            "kaspasim:qpumuen7l8wthtz45p3ftn58pvrs9xlumvkuu2xet8egzkcklqtes65ue9mw6",
        ] {
            assert_eq!(Address::decode(text).unwrap().to_string(), text);
        }
        let one: [u8; 32] = hex::decode("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
            .unwrap()
            .try_into()
            .unwrap();
        assert_eq!(
            Address::p2pk(Network::Mainnet, one).to_string(),
            "kaspa:qpumuen7l8wthtz45p3ftn58pvrs9xlumvkuu2xet8egzkcklqtes4ypce9sf"
        );
    }

    #[test]
    fn scripts_are_the_published_ones_and_lead_back() {
        for (text, script) in [
            (
                "kaspa:qrxuk57hwz8s8la93jvf44q7e5derclnpg6thkgltya2ek67pvhasz43zf6ys",
                "20cdcb53d7708f03ffa58c989ad41ecd1b91e3f30a34bbd91f593aacdb5e0b2fd8ac",
            ),
            (
                "kaspa:qypkgsdgzj89sy3anxlkyamuxkjv064kst76jajw0wqy022vphspf4gxj4qr5m5",
                "21036441a8148e58123d99bf62777c35a4c7eab682fda9764e7b8047a94c0de014d5ab",
            ),
            (
                "kaspa:qqkrl0er5ka5snd55gr9rcf6rlpx8nln8gf3jxf83w4dc0khfqmauy6qs83zm",
                "202c3fbf23a5bb484db4a20651e13a1fc263cff33a131919278baadc3ed74837deac",
            ),
        ] {
            let address = Address::decode(text).unwrap();
            assert_eq!(hex::encode(address.script()), script);
            assert_eq!(Address::from_script(Network::Mainnet, 0, &address.script()), Some(address));
        }
        let of_a_script = Address::of_version(Network::Mainnet, 8, &[7; 32]).unwrap();
        assert_eq!(hex::encode(of_a_script.script()), format!("aa20{}87", "07".repeat(32)));
        assert_eq!(
            Address::from_script(Network::Mainnet, 0, &of_a_script.script()),
            Some(of_a_script.clone())
        );
        assert_eq!(Address::from_script(Network::Mainnet, 1, &of_a_script.script()), None);
        for script in [&[][..], &[0x20], &[0x20, 0xac], &[0x51], &[0xaa, 0x20, 0x87], &[0x20; 34]] {
            assert_eq!(Address::from_script(Network::Mainnet, 0, script), None, "{script:x?}");
        }
    }

    #[test]
    fn every_published_mistake_is_refused_by_name() {
        let vectors = vectors();
        for vector in vectors["invalidAddresses"].as_array().unwrap() {
            let error = Address::decode(vector[0].as_str().unwrap()).unwrap_err();
            let named = match vector[1].as_str().unwrap() {
                "character" | "case" => matches!(error, AddressError::BadCharacter { .. }),
                "no prefix" => error == AddressError::NoPrefix,
                "checksum" => error == AddressError::Checksum,
                _ => false,
            };
            assert!(named, "{vector}: {error}");
        }
        let not_ascii = ZERO.replacen("qqkx9", "qékx9", 1);
        assert_eq!(
            Address::decode(&not_ascii),
            Err(AddressError::BadCharacter { character: 'é', position: 59 }),
            "{not_ascii}"
        );
        assert_eq!(Address::decode(&ZERO.replacen("kaspa", "kaspa1", 1)), Err(AddressError::UnknownPrefix));
        assert_eq!(Address::decode(&ZERO.replacen("qq", "q", 1)), Err(AddressError::Checksum));
        assert_eq!(Address::decode("kaspa:"), Err(AddressError::TooShort));
        assert_eq!(Address::decode(&encode_text("kaspa", 2, &[0; 32])), Err(AddressError::UnknownVersion(2)));
        assert_eq!(
            Address::decode(&encode_text("kaspa", 0, &[0; 33])),
            Err(AddressError::Length { version: 0, found: 33, expected: 32 })
        );
        assert_eq!(
            Address::decode(&encode_text("kaspa", 1, &[0; 32])),
            Err(AddressError::Length { version: 1, found: 32, expected: 33 })
        );
    }

    #[test]
    fn a_miner_may_leave_the_prefix_out_but_not_name_another_network() {
        let whole = Address::decode(ZERO).unwrap();
        assert_eq!(Address::parse(ZERO, Network::Mainnet), Ok(whole.clone()));
        assert_eq!(Address::parse(&ZERO["kaspa:".len()..], Network::Mainnet), Ok(whole));
        let error = Address::parse(ZERO, Network::Testnet10).unwrap_err();
        assert_eq!(
            error.to_string(),
            "address belongs to mainnet, this pool is on testnet-10 (addresses begin with kaspatest:)"
        );
        assert_eq!(
            Address::parse(&ZERO["kaspa:".len()..], Network::Testnet10),
            Err(AddressError::Checksum),
            "the checksum covers the prefix"
        );
        assert_eq!(
            Address::parse("qqQ", Network::Mainnet).unwrap_err().to_string(),
            "character 'Q' at position 3 cannot be part of an address"
        );
        assert_eq!(
            Address::parse("kaspa:q:", Network::Mainnet),
            Err(AddressError::BadCharacter { character: ':', position: 8 })
        );
    }

    #[test]
    fn padding_bits_make_no_second_account() {
        // 33 bytes are 264 bits, 53 symbols 265: one bit is padding.
        let mut symbols = to_symbols([0u8; 33].into_iter());
        *symbols.last_mut().unwrap() |= 1;
        let sum = checksum("kaspa", symbols.iter().copied().chain([0; 8]));
        symbols.extend(to_symbols(sum.to_be_bytes()[3..].iter().copied()));
        let text: String = symbols.iter().map(|&symbol| char::from(CHARSET[usize::from(symbol)])).collect();
        let other = format!("kaspa:{text}");
        assert_ne!(other, ZERO);
        assert_eq!(Address::decode(&other).unwrap().to_string(), ZERO);
        assert_eq!(Address::decode(&other), Address::decode(ZERO));
    }

    fn addresses() -> impl Strategy<Value = Address> {
        let network = proptest::sample::select(&Network::ALL[..]);
        let version = proptest::sample::select(&[0u8, 1, 8][..]);
        (network, version, any::<[u8; 32]>(), any::<u8>()).prop_map(|(network, version, key, more)| {
            let mut payload = key.to_vec();
            payload.extend((version == 1).then_some(more));
            Address::of_version(network, version, &payload).unwrap()
        })
    }

    proptest! {
        #[test]
        fn every_address_reads_back_from_its_text_and_its_script(address in addresses()) {
            let text = address.to_string();
            prop_assert_eq!(Address::decode(&text), Ok(address.clone()));
            prop_assert_eq!(Address::parse(&text, address.network()), Ok(address.clone()));
            let bare = text.split_once(':').unwrap().1;
            prop_assert_eq!(Address::parse(bare, address.network()), Ok(address.clone()));
            prop_assert_eq!(Address::from_script(address.network(), 0, &address.script()), Some(address));
        }

        #[test]
        fn no_text_is_read_by_accident(text in "(kaspa|kaspatest)?:?.{0,80}") {
            prop_assert!(Address::decode(&text).is_err());
            prop_assert!(Address::parse(&text, Network::Mainnet).is_err());
        }

        #[test]
        fn up_to_three_wrong_symbols_are_noticed(
            address in addresses(),
            wrong in proptest::collection::btree_map(0usize..61, 1u8..32, 1..=3),
        ) {
            let text = address.to_string();
            let (prefix, symbols) = text.split_once(':').unwrap();
            let mut symbols: Vec<u8> = symbols.bytes().map(|byte| symbol_of(byte).unwrap()).collect();
            for (at, change) in wrong {
                symbols[at] ^= change;
            }
            let symbols: String = symbols.iter().map(|&symbol| char::from(CHARSET[usize::from(symbol)])).collect();
            prop_assert_eq!(Address::decode(&format!("{prefix}:{symbols}")), Err(AddressError::Checksum));
        }
    }
}
