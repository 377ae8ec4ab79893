//! Names of things, each parsed once at the edge: what has such a type was checked.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// A text that cannot name what it should name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {rule}")]
pub struct BadName {
    /// What was to be named.
    pub what: &'static str,
    /// The rule the text breaks.
    pub rule: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// # Errors
            /// [`BadName`] with the rule that the text breaks.
            pub fn new(text: &str) -> Result<Self, BadName> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err(BadName { what: $what, rule: $rule }) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

text_id!(
    /// One of the pool's coins, as configuration and URLs name it: `kaspa`. `[a-z0-9-]{1,16}`.
    CoinId,
    "a coin's name",
    "1 to 16 of a-z, 0-9 and '-'",
    |text| (1..=16).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);

text_id!(
    /// The account a miner is paid to: the coin's canonical address text. 1 to 192 printable ASCII, no space.
    ///
    /// Only a coin's decoder makes one for a live miner; this type checks no more than the shape.
    MinerId,
    "an account",
    "1 to 192 printable ASCII characters without space",
    |text| (1..=192).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
);

text_id!(
    /// One machine of a miner. `[A-Za-z0-9_.:+@#-]{1,64}`; what a miner sends is cleaned by [`WorkerName::clean`].
    WorkerName,
    "a worker's name",
    "1 to 64 of A-Z, a-z, 0-9 and _.:+@#-",
    |text| (1..=64).contains(&text.len()) && text.bytes().all(is_worker_byte)
);

const fn is_worker_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'+' | b'@' | b'#' | b'-')
}

impl WorkerName {
    /// A valid name from whatever a miner sent: other characters become `_`, 64 are kept, nothing becomes `default`.
    ///
    /// A hostile name is no reason to turn work away, and no such byte reaches a page, a log or a query.
    #[must_use]
    pub fn clean(text: &str) -> Self {
        let mut name = String::new();
        for c in text.trim().chars().take(64) {
            let plain = u8::try_from(c).is_ok_and(is_worker_byte);
            name.push(if plain { c } else { '_' });
        }
        if name.is_empty() {
            name.push_str("default");
        }
        Self(name.into())
    }
}

/// A miner's machine: account and worker name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Worker {
    /// Who is paid.
    pub miner: MinerId,
    /// Which machine.
    pub name: WorkerName,
}

impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.miner, self.name)
    }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name($int);

        impl $name {
            /// From its number.
            #[must_use]
            pub const fn new(number: $int) -> Self {
                Self(number)
            }

            /// Its number.
            #[must_use]
            pub const fn get(self) -> $int {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// A share checker among several. Every share is `(instance, seq)`.
    InstanceId,
    u16
);
number_id!(
    /// A share's place in its log. The first is 1; 0 stands before all. Order of the log is order of everything.
    ShareSeq,
    u64
);
number_id!(
    /// A place in a ledger, a block book's list of conclusions, a broker's topic. The first is 1.
    Seq,
    u64
);
number_id!(
    /// A job as miners name it in a submit. Unique in one process run, growing.
    JobId,
    u64
);

/// A 32-byte identity in natural byte order, printed as 64 hexadecimal digits.
macro_rules! hash_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From its 32 bytes.
            #[must_use]
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Its 32 bytes.
            #[must_use]
            pub const fn bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes)
                    .map_err(|_| BadName { what: $what, rule: "64 hexadecimal digits" })?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hash_id!(
    /// A block, by its hash as the chain prints it.
    BlockId,
    "a block's hash"
);
hash_id!(
    /// A transaction, by its id as the chain prints it.
    TxId,
    "a transaction's id"
);

/// One payout batch, made by the pool before anything happens; its text is unique for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayoutId(Arc<str>);

impl PayoutId {
    /// The `number`-th payout of a coin.
    #[must_use]
    pub fn new(coin: &CoinId, number: u64) -> Self {
        Self(alloc::format!("{coin}-{number}").into())
    }

    /// The text, as in `kaspa-17`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number behind the coin's name.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.rsplit('-').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }
}

impl fmt::Display for PayoutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PayoutId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = BadName { what: "a payout's id", rule: "a coin's name, '-' and a number" };
        let (coin, number) = text.rsplit_once('-').ok_or(bad)?;
        let coin = CoinId::new(coin).map_err(|_| bad)?;
        let id = Self::new(&coin, number.parse().map_err(|_| bad)?);
        if id.as_str() == text { Ok(id) } else { Err(bad) }
    }
}

impl Serialize for PayoutId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PayoutId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_payout_id_round_trips() {
        let id = PayoutId::new(&CoinId::new("kaspa").unwrap(), 17);
        assert_eq!(id.as_str(), "kaspa-17");
        assert_eq!(id.number(), 17);
        assert_eq!("kaspa-17".parse(), Ok(id));
        for bad in ["kaspa", "kaspa-", "kaspa-017", "-1", "KASPA-1"] {
            assert!(bad.parse::<PayoutId>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_text_cleans_to_a_valid_worker(text: String) {
            let name = WorkerName::clean(&text);
            prop_assert_eq!(WorkerName::new(name.as_str()), Ok(name));
        }
    }
}
