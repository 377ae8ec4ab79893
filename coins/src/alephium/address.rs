//! Alephium addresses: the text a miner is paid to, and the script that locks what he is paid.
//!
//! An address is the Base58 of a type byte and data. The classic types carry no checksum, so a mistyped letter mostly
//! is another address: this decoder refuses what no typing error excuses (wrong letters, lengths, types), and the rest
//! is for the miner's own eyes. The groupless types of the Danube fork have a checksum, and one address is usable in
//! all four groups: the group may be named behind a colon (`…:2`), else it follows from the key. A contract is no
//! payee: a plain transfer cannot pay it.
//!
//! A pool credits by address, so one destination has one text here: groupless addresses are always printed with their
//! group. Source: alephium/alephium, `protocol/…/vm/LockupScript.scala`, `model/{Address,ScriptHint}.scala`;
//! @alephium/web3 3.0.5, `src/address` (behaviour and vectors).

use super::base58;
use super::chain::Group;
use super::codec::{Malformed, Reader, djb2, push_count};
use std::fmt;
use std::str::FromStr;

const P2PKH: u8 = 0;
const P2MPKH: u8 = 1;
const P2SH: u8 = 2;
const P2C: u8 = 3;
const P2PK: u8 = 4;
const P2HMPK: u8 = 5;

/// Where money goes: what locks an output. `Display` is the canonical text; equal destinations have equal texts.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(Lock);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Lock {
    /// BLAKE2b of a compressed public key.
    KeyHash([u8; 32]),
    /// So many keys of these, by their hashes.
    KeyHashes { hashes: Vec<[u8; 32]>, needed: u32 },
    /// BLAKE2b of a script.
    ScriptHash([u8; 32]),
    /// A public key behind its type byte, in one of the groups.
    Key { key: Vec<u8>, group: Group },
    /// The hash of several keys, in one of the groups.
    KeysHash { hash: [u8; 32], group: Group },
}

/// What kind of destination an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// One key, by its hash (P2PKH).
    KeyHash,
    /// Several keys, by their hashes (P2MPKH).
    KeyHashes,
    /// A script, by its hash (P2SH).
    ScriptHash,
    /// One key, usable in every group (P2PK).
    Key,
    /// Several keys, usable in every group (P2HMPK).
    KeysHash,
}

/// Why a text is no address that can be paid. The message is shown to miners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Nothing.
    #[error("address is empty")]
    Empty,
    /// More than any address has.
    #[error("address is too long: {0} characters")]
    TooLong(usize),
    /// A character that no address has.
    #[error("character {character:?} at position {position} cannot be part of an address")]
    BadCharacter {
        /// The character.
        character: char,
        /// Its place in the given text, counted in characters from 1.
        position: usize,
    },
    /// A type nobody has defined.
    #[error("address type {0} is unknown: a character is mistyped or missing")]
    UnknownType(u8),
    /// Too few or too many bytes.
    #[error(
        "address carries {found} bytes, an address of its type has {expected}: part of it is missing or doubled"
    )]
    Length {
        /// Bytes it carries, its type byte among them.
        found: usize,
        /// Bytes it should carry.
        expected: usize,
    },
    /// A contract.
    #[error("address belongs to a contract, which cannot be paid; use your wallet's own address")]
    Contract,
    /// The checksum of a groupless address does not match.
    #[error("address has a wrong checksum: a character is mistyped or missing")]
    Checksum,
    /// What stands behind the colon.
    #[error("the group behind the colon must be 0, 1, 2 or 3")]
    Group,
    /// A group behind an address that has one of its own.
    #[error("only groupless addresses name a group; leave out the colon and what follows it")]
    GroupNotAllowed,
    /// A multi-signature that cannot be.
    #[error("address of several keys is malformed: {0}")]
    Keys(&'static str),
}

impl Address {
    /// Reads an address. The same text means the same on every network.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        let length = text.chars().count();
        if length > base58::TEXT_MAX {
            return Err(AddressError::TooLong(length));
        }
        let (digits, group) = match text.split_once(':') {
            Some((digits, group)) => (digits, Some(group)),
            None => (text, None),
        };
        if digits.is_empty() {
            return Err(AddressError::Empty);
        }
        let bytes = base58::decode(digits).map_err(|base58::BadDigit { character, position }| {
            AddressError::BadCharacter { character, position }
        })?;
        let group = match group {
            None => None,
            Some("0") => Group::new(0),
            Some("1") => Group::new(1),
            Some("2") => Group::new(2),
            Some("3") => Group::new(3),
            Some(_) => return Err(AddressError::Group),
        };
        Self::of_bytes(&bytes, group)
    }

    fn of_bytes(bytes: &[u8], group: Option<Group>) -> Result<Self, AddressError> {
        let (&kind, data) = bytes.split_first().ok_or(AddressError::Empty)?;
        let grouped = matches!(kind, P2PKH | P2MPKH | P2SH | P2C);
        if grouped && group.is_some() {
            return Err(AddressError::GroupNotAllowed);
        }
        let hash = || data.try_into().map_err(|_| AddressError::Length { found: bytes.len(), expected: 33 });
        Ok(Self(match kind {
            P2PKH => Lock::KeyHash(hash()?),
            P2SH => Lock::ScriptHash(hash()?),
            P2C => return Err(hash().map_or_else(|length| length, |_: [u8; 32]| AddressError::Contract)),
            P2MPKH => {
                let mut reader = Reader::new(data);
                let lock = read_key_hashes(&mut reader).map_err(|Malformed(why)| AddressError::Keys(why))?;
                reader.end().map_err(|Malformed(why)| AddressError::Keys(why))?;
                lock
            }
            P2PK => {
                let key_len = data.first().map_or(33, |kind| key_len(*kind).unwrap_or(33));
                let expected = 1 + 1 + key_len + 4;
                if bytes.len() != expected {
                    return Err(AddressError::Length { found: bytes.len(), expected });
                }
                let key = checked(data)?;
                if key_len_of(key).is_none() {
                    return Err(AddressError::UnknownType(P2PK));
                }
                let group = group.unwrap_or_else(|| default_group(key));
                Lock::Key { key: key.to_vec(), group }
            }
            P2HMPK => {
                if bytes.len() != 37 {
                    return Err(AddressError::Length { found: bytes.len(), expected: 37 });
                }
                let hash = checked(data)?;
                let group = group.unwrap_or_else(|| default_group(hash));
                Lock::KeysHash { hash: hash.try_into().map_err(|_| AddressError::Checksum)?, group }
            }
            unknown => return Err(AddressError::UnknownType(unknown)),
        }))
    }

    /// The address of a compressed secp256k1 public key, by its hash.
    #[must_use]
    pub fn of_key(public: &[u8; 33]) -> Self {
        Self::of_key_hash(super::codec::blake2b(&[public]))
    }

    /// The address of a key's hash.
    #[must_use]
    pub const fn of_key_hash(hash: [u8; 32]) -> Self {
        Self(Lock::KeyHash(hash))
    }

    /// What kind of destination it is.
    #[must_use]
    pub const fn kind(&self) -> AddressKind {
        match &self.0 {
            Lock::KeyHash(_) => AddressKind::KeyHash,
            Lock::KeyHashes { .. } => AddressKind::KeyHashes,
            Lock::ScriptHash(_) => AddressKind::ScriptHash,
            Lock::Key { .. } => AddressKind::Key,
            Lock::KeysHash { .. } => AddressKind::KeysHash,
        }
    }

    /// The group it is paid in.
    #[must_use]
    pub fn group(&self) -> Group {
        match &self.0 {
            Lock::KeyHash(hash) | Lock::ScriptHash(hash) => group_of_hint(script_hint(hash)),
            Lock::KeyHashes { hashes, .. } => group_of_hint(script_hint(&hashes[0])),
            Lock::Key { group, .. } | Lock::KeysHash { group, .. } => *group,
        }
    }

    /// The number under which the chain files this address's coins. `None` for the groupless kinds, whose own rule this
    /// pool has no use for: it owns no such coins.
    #[must_use]
    pub fn hint(&self) -> Option<u32> {
        match &self.0 {
            Lock::KeyHash(hash) | Lock::ScriptHash(hash) => Some(script_hint(hash)),
            Lock::KeyHashes { hashes, .. } => Some(script_hint(&hashes[0])),
            Lock::Key { .. } | Lock::KeysHash { .. } => None,
        }
    }

    /// The hash of the one key that owns it, for [`AddressKind::KeyHash`].
    #[must_use]
    pub const fn key_hash(&self) -> Option<&[u8; 32]> {
        match &self.0 {
            Lock::KeyHash(hash) => Some(hash),
            Lock::KeyHashes { .. } | Lock::ScriptHash(_) | Lock::Key { .. } | Lock::KeysHash { .. } => None,
        }
    }

    /// Appends the lockup script, as an output carries it.
    pub(crate) fn write_script(&self, out: &mut Vec<u8>) {
        self.write(out);
        if let Lock::Key { group, .. } | Lock::KeysHash { group, .. } = &self.0 {
            out.push(group.get());
        }
    }

    /// Type byte and data, without a group.
    fn write(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Lock::KeyHash(hash) => {
                out.push(P2PKH);
                out.extend_from_slice(hash);
            }
            Lock::ScriptHash(hash) => {
                out.push(P2SH);
                out.extend_from_slice(hash);
            }
            Lock::KeyHashes { hashes, needed } => {
                out.push(P2MPKH);
                push_count(out, hashes.len() as u32);
                hashes.iter().for_each(|hash| out.extend_from_slice(hash));
                push_count(out, *needed);
            }
            Lock::Key { key, .. } => {
                out.push(P2PK);
                out.extend_from_slice(key);
                out.extend_from_slice(&djb2(key).to_be_bytes());
            }
            Lock::KeysHash { hash, .. } => {
                out.push(P2HMPK);
                out.extend_from_slice(hash);
                out.extend_from_slice(&djb2(hash).to_be_bytes());
            }
        }
    }

    /// Reads a lockup script from the front of an output's bytes.
    pub(crate) fn read_script(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let group = |reader: &mut Reader<'_>| {
            Group::new(reader.u8()?).ok_or(Malformed("a lockup script of an unknown group"))
        };
        Ok(Self(match reader.u8()? {
            P2PKH => Lock::KeyHash(reader.array()?),
            P2MPKH => read_key_hashes(reader)?,
            P2SH => Lock::ScriptHash(reader.array()?),
            P2C => return Err(Malformed("an output that pays a contract")),
            P2PK => {
                let kind = reader.u8()?;
                let len = key_len(kind).ok_or(Malformed("a key of an unknown type"))?;
                let mut key = vec![kind];
                key.extend_from_slice(reader.take(len)?);
                if reader.array()? != djb2(&key).to_be_bytes() {
                    return Err(Malformed("a lockup script with a wrong checksum"));
                }
                Lock::Key { key, group: group(reader)? }
            }
            P2HMPK => {
                let hash = reader.array()?;
                if reader.array()? != djb2(&hash).to_be_bytes() {
                    return Err(Malformed("a lockup script with a wrong checksum"));
                }
                Lock::KeysHash { hash, group: group(reader)? }
            }
            _ => return Err(Malformed("a lockup script of an unknown type")),
        }))
    }
}

/// Bytes of a key by its type: secp256k1, secp256r1, ed25519, and secp256r1 behind a browser's authenticator.
const fn key_len(kind: u8) -> Option<usize> {
    match kind {
        0 | 1 | 3 => Some(33),
        2 => Some(32),
        _ => None,
    }
}

fn key_len_of(key: &[u8]) -> Option<usize> {
    key.first().and_then(|kind| key_len(*kind))
}

fn read_key_hashes(reader: &mut Reader<'_>) -> Result<Lock, Malformed> {
    let count = reader.count()?;
    // Each takes 32 bytes that are there, so a large count fails before it costs anything.
    let mut hashes = Vec::new();
    for _ in 0..count {
        hashes.push(reader.array()?);
    }
    let needed = reader.count()?;
    if needed == 0 || needed > count {
        return Err(Malformed("it needs no keys, or more than it has"));
    }
    Ok(Lock::KeyHashes { hashes, needed })
}

/// The bytes before a checksum that matches.
fn checked(data: &[u8]) -> Result<&[u8], AddressError> {
    let (body, checksum) = data.split_last_chunk::<4>().ok_or(AddressError::Checksum)?;
    if djb2(body).to_be_bytes() == *checksum { Ok(body) } else { Err(AddressError::Checksum) }
}

fn default_group(key: &[u8]) -> Group {
    Group::of_low_bits(key.last().copied().unwrap_or(0))
}

fn script_hint(hash: &[u8; 32]) -> u32 {
    djb2(hash) | 1
}

fn group_of_hint(hint: u32) -> Group {
    Group::of_low_bits(hint.to_be_bytes().into_iter().fold(0, |all, byte| all ^ byte))
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(40);
        self.write(&mut bytes);
        f.write_str(&base58::encode(&bytes))?;
        match &self.0 {
            Lock::Key { group, .. } | Lock::KeysHash { group, .. } => write!(f, ":{group}"),
            Lock::KeyHash(_) | Lock::KeyHashes { .. } | Lock::ScriptHash(_) => Ok(()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// The pool's own addresses, one per group: the chain's second group decides which one a block pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayTo([Address; super::chain::GROUPS]);

/// Four texts that are not one address of each group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPayTo {
    /// Not four.
    #[error("the pool needs four addresses, one per group, not {0}")]
    Count(usize),
    /// One of them is no address.
    #[error("{text}: {error}")]
    Address {
        /// The text.
        text: String,
        /// What is wrong with it.
        error: AddressError,
    },
    /// No address of a group.
    #[error("none of the pool's addresses is of group {0}; every group needs one")]
    NoneOf(Group),
}

impl PayTo {
    /// Four addresses in any order.
    ///
    /// # Errors
    /// [`BadPayTo`] unless there is one of each group.
    pub fn new(addresses: &[Address]) -> Result<Self, BadPayTo> {
        if addresses.len() != super::chain::GROUPS {
            return Err(BadPayTo::Count(addresses.len()));
        }
        let of = |group: Group| {
            let found = addresses.iter().find(|address| address.group() == group);
            found.cloned().ok_or(BadPayTo::NoneOf(group))
        };
        let [a, b, c, d] = Group::ALL;
        Ok(Self([of(a)?, of(b)?, of(c)?, of(d)?]))
    }

    /// The address of a group.
    #[must_use]
    pub const fn of(&self, group: Group) -> &Address {
        &self.0[group.place()]
    }

    /// All four, by group.
    #[must_use]
    pub const fn all(&self) -> &[Address; super::chain::GROUPS] {
        &self.0
    }
}

impl FromStr for PayTo {
    type Err = BadPayTo;

    /// Four addresses with commas or blanks between them.
    fn from_str(text: &str) -> Result<Self, BadPayTo> {
        let texts = text.split([',', ' ', '\n']).filter(|text| !text.is_empty());
        let addresses = texts
            .map(|text| Address::parse(text).map_err(|error| BadPayTo::Address { text: text.into(), error }))
            .collect::<Result<Vec<_>, _>>()?;
        Self::new(&addresses)
    }
}

impl fmt::Display for PayTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = &self.0;
        write!(f, "{a},{b},{c},{d}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vectors() -> serde_json::Value {
        serde_json::from_str(include_str!("../../testdata/alephium.json")).unwrap()
    }

    const GROUPLESS: &str = "3ccJ8aEBYKBPJKuk6b9yZ1W1oFDYPesa3qQeM8v9jhaJtbSaueJ3L";

    #[test]
    fn published_addresses_have_their_groups_and_print_as_they_were() {
        let vectors = vectors();
        for row in vectors["p2pkh"].as_array().unwrap() {
            let (text, group) = (row[0].as_str().unwrap(), row[1].as_u64().unwrap());
            let address = Address::parse(text).unwrap();
            assert_eq!((address.to_string().as_str(), u64::from(address.group().get())), (text, group));
            assert_eq!(address.kind(), AddressKind::KeyHash);
        }
        for row in vectors["pubkeys"].as_array().unwrap() {
            let mut key = [0; 33];
            hex::decode_to_slice(row[0].as_str().unwrap(), &mut key).unwrap();
            assert_eq!(Address::of_key(&key).to_string(), row[1].as_str().unwrap());
        }
        for row in vectors["addresses"].as_array().unwrap() {
            let text = row["text"].as_str().unwrap();
            let address = Address::parse(text).unwrap();
            let kind = match address.kind() {
                AddressKind::KeyHash => "p2pkh",
                AddressKind::KeyHashes => "p2mpkh",
                AddressKind::ScriptHash => "p2sh",
                AddressKind::Key => "p2pk",
                AddressKind::KeysHash => "p2hmpk",
            };
            assert_eq!(kind, row["kind"].as_str().unwrap(), "{text}");
            if let Some(group) = row["group"].as_u64() {
                assert_eq!(u64::from(address.group().get()), group, "{text}");
            }
            if let Some(hint) = row["hint"].as_u64() {
                assert_eq!(address.hint().map(u64::from), Some(hint));
            }
            if let Some(payload) = row["payload"].as_str() {
                let mut bytes = Vec::new();
                address.write(&mut bytes);
                assert!(hex::encode(bytes)[2..].starts_with(payload), "{text}");
            }
            assert!(address.to_string().starts_with(text));
        }
    }

    #[test]
    fn one_destination_has_one_text() {
        let plain = Address::parse(GROUPLESS).unwrap();
        assert_eq!(plain.to_string(), format!("{GROUPLESS}:1"));
        assert_eq!(Address::parse(&format!("{GROUPLESS}:1")).unwrap(), plain);
        for group in 0..4 {
            let named = Address::parse(&format!("{GROUPLESS}:{group}")).unwrap();
            assert_eq!(named.group().get(), group);
            assert_eq!(named == plain, group == 1);
        }
    }

    #[test]
    fn several_keys_without_a_group_have_a_checksum_and_take_a_group() {
        let hash = [0x47; 32];
        let bytes = [&[P2HMPK], &hash[..], &djb2(&hash).to_be_bytes()].concat();
        let text = base58::encode(&bytes);
        let address = Address::parse(&text).unwrap();
        assert_eq!((address.kind(), address.group().get()), (AddressKind::KeysHash, 3));
        assert_eq!(address.to_string(), format!("{text}:3"));
        assert_eq!(Address::parse(&format!("{text}:0")).unwrap().group().get(), 0);
        let mut script = Vec::new();
        address.write_script(&mut script);
        assert_eq!(Address::read_script(&mut Reader::new(&script)), Ok(address));
        script[5] ^= 1;
        assert!(Address::read_script(&mut Reader::new(&script)).is_err());
        let mut wrong = bytes.clone();
        wrong[10] ^= 1;
        assert_eq!(Address::parse(&base58::encode(&wrong)), Err(AddressError::Checksum));
        assert!(matches!(Address::parse(&base58::encode(&bytes[..36])), Err(AddressError::Length { .. })));
    }

    #[test]
    fn what_cannot_be_paid_is_refused_with_the_reason() {
        let refused = |text: &str| Address::parse(text).unwrap_err().to_string();
        for text in vectors()["refused"].as_array().unwrap() {
            assert!(Address::parse(text.as_str().unwrap()).is_err(), "{text}");
        }
        assert!(refused("114E4tiwXSyfvCqLnARL21Ac2pVS6GvPomw5y6HsLMwuyR").contains("34 bytes"));
        assert!(refused("22sTaM5xer7h81LzaGA2JiajRwHwECpAv9bBuFUH5rrnr").contains("contract"));
        assert!(refused("").contains("empty") && refused(":1").contains("empty"));
        assert!(refused("0").contains("'0' at position 1"));
        assert!(refused("1AqVGKeHWoLJiVU7heL8EvwQN2hk5bMtvP3PsH57qWayr ").contains("' ' at position 46"));
        assert!(refused("1AqVGKeHWoLJiVU7heL8EvwQN2hk5bMtvP3PsH57qW").contains("bytes"));
        assert!(refused("1AqVGKeHWoLJiVU7heL8EvwQN2hk5bMtvP3PsH57qWayr:1").contains("groupless"));
        assert!(refused(&format!("{GROUPLESS}:4")).contains("0, 1, 2 or 3"));
        assert!(refused(&format!("{GROUPLESS}:")).contains("0, 1, 2 or 3"));
        let typo = GROUPLESS.replace("ccJ8", "ccJ9");
        assert!(refused(&typo).contains("checksum"), "{}", refused(&typo));
        assert!(refused(&"1".repeat(300)).contains("too long"));
        assert!(
            refused("qrxuk57hwz8s8la93jvf44q7e5derclnpg6thkgltya2ek67pvhasz43zf6ys")
                .contains("cannot be part")
        );
    }

    #[test]
    fn four_addresses_of_four_groups_in_any_order() {
        let texts = [
            "147nW43BH137TYjqEnvA9YfH1oFXKQxcvLZFwZauo7Ahy",
            "1AuWeE5Cwt2ES3473qnpKFV96z57CYL6mbTY7hva9Xz3h",
            "1E3vV7rFCgq5jo4NszxH5PqzyxvNXH5pvk2aQfMwmSxPB",
            "12sxfxraVoU8FcSVd7P2SVr2cd2vi8d17KtrprrL7cBbV",
        ];
        let pay_to: PayTo = texts.join(", ").parse().unwrap();
        assert_eq!(pay_to.of(Group::ALL[3]).to_string(), texts[0]);
        assert_eq!(pay_to.to_string().parse(), Ok(pay_to));
        assert_eq!(texts[..3].join(",").parse::<PayTo>(), Err(BadPayTo::Count(3)));
        let twice = [texts[0], texts[0], texts[1], texts[2]].join(",");
        assert_eq!(twice.parse::<PayTo>(), Err(BadPayTo::NoneOf(Group::ALL[1])));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_is_read_reads_again(text in "[1-9A-HJ-NP-Za-km-z]{0,100}(:[0-9]{0,2})?") {
            if let Ok(address) = Address::parse(&text) {
                prop_assert_eq!(Address::parse(&address.to_string()), Ok(address.clone()));
                let mut script = Vec::new();
                address.write_script(&mut script);
                let mut reader = Reader::new(&script);
                prop_assert_eq!(Address::read_script(&mut reader), Ok(address));
                prop_assert!(reader.end().is_ok());
            }
        }

        #[test]
        fn every_payload_of_the_right_length_is_an_address(hash: [u8; 32], kind in 0..3u8) {
            let mut bytes = vec![kind];
            match kind {
                P2MPKH => { bytes.push(1); bytes.extend(hash); bytes.push(1); }
                _ => bytes.extend(hash),
            }
            let text = base58::encode(&bytes);
            prop_assert_eq!(Address::parse(&text).unwrap().to_string(), text);
        }
    }
}
