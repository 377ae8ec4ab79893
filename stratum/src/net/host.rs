//! Whose connection it is, for limits and bans: one IPv4 address, or one IPv6 /64.
//!
//! A household or a server is given a whole /64, so a single IPv6 address names nobody; an IPv4 address is often
//! shared by a farm, so bans on it are short. IPv4 written inside IPv6 is IPv4. A [`Host`] is a key for counting and
//! never appears in a metric, nor in a log line above debug.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// What limits and bans count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// One IPv4 address.
    V4([u8; 4]),
    /// The first 64 bits of an IPv6 address.
    V6([u8; 8]),
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4(octets) => Ipv4Addr::from(octets).fmt(f),
            Self::V6([a, b, c, d, e, f6, g, h]) => {
                let network = Ipv6Addr::from([a, b, c, d, e, f6, g, h, 0, 0, 0, 0, 0, 0, 0, 0]);
                write!(f, "{network}/64")
            }
        }
    }
}

/// A range of addresses, as in `10.0.0.0/8`, `2001:db8::/32` or a single `192.0.2.7`.
///
/// Bits behind the prefix must be zero: `10.1.2.3/8` is a typing mistake more often than a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no address range: {rule}")]
pub struct BadCidr {
    /// What was written.
    pub text: String,
    /// The rule it breaks.
    pub rule: &'static str,
}

impl Cidr {
    /// All of IPv4's loopback.
    pub const LOOPBACK_V4: Self = Self { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 };
    /// IPv6's loopback.
    pub const LOOPBACK_V6: Self = Self { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 };

    /// True when `address` lies in the range; IPv4 written inside IPv6 is IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let different = u32::from(network) ^ u32::from(address);
                different.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let different = u128::from(network) ^ u128::from(address);
                different.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let bad = |rule| BadCidr { text: text.to_owned(), rule };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad("not an IPv4 or IPv6 address"))?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|p| *p <= bits).ok_or_else(|| bad("the prefix is out of range"))?
            }
            Some(_) => return Err(bad("the prefix is not a number")),
        };
        let behind = match address {
            IpAddr::V4(v4) => u128::from(u32::from(v4).checked_shl(u32::from(prefix)).unwrap_or(0)),
            IpAddr::V6(v6) => u128::from(v6).checked_shl(u32::from(prefix)).unwrap_or(0),
        };
        if behind != 0 {
            return Err(bad("bits behind the prefix are set"));
        }
        Ok(Self { address, prefix })
    }
}

impl TryFrom<String> for Cidr {
    type Error = BadCidr;

    fn try_from(text: String) -> Result<Self, BadCidr> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(range: Cidr) -> Self {
        range.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_range_holds_its_addresses_and_no_others() {
        for (range, inside, outside) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::/0", "fe80::1", "127.0.0.1"),
            ("127.0.0.0/8", "::ffff:127.0.0.1", "::ffff:128.0.0.1"),
        ] {
            let cidr: Cidr = range.parse().unwrap();
            assert!(cidr.contains(inside.parse().unwrap()), "{range} {inside}");
            assert!(!cidr.contains(outside.parse().unwrap()), "{range} {outside}");
        }
    }

    #[test]
    fn a_range_that_is_none_is_refused() {
        for bad in
            ["", "10.0.0.0/33", "10.0.0.1/8", "::1/129", "10.0.0.0/", "10.0.0.0/+8", "localhost", "1/8"]
        {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ipv4_in_ipv6_is_the_same_host_and_a_64_is_one_host() {
        let host = |text: &str| Host::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(host("::ffff:192.0.2.1"), host("192.0.2.1"));
        assert_eq!(host("2001:db8:1:2::1"), host("2001:db8:1:2:ffff::9"));
        assert_ne!(host("2001:db8:1:2::1"), host("2001:db8:1:3::1"));
        assert_eq!(host("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
    }

    proptest! {
        #[test]
        fn a_range_round_trips_and_holds_its_own_first_address(v4: u32, v6: u128, prefix in 0u8..=128) {
            let v4_prefix = prefix.min(32);
            let v4 = v4.checked_shr(32 - u32::from(v4_prefix)).unwrap_or(0);
            let v4 = v4.checked_shl(32 - u32::from(v4_prefix)).unwrap_or(0);
            let v6 = v6.checked_shr(128 - u32::from(prefix)).unwrap_or(0);
            let v6 = v6.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            let first = [(IpAddr::V4(v4.into()), v4_prefix), (IpAddr::V6(v6.into()), prefix)];
            for (address, prefix) in first {
                let range: Cidr = format!("{address}/{prefix}").parse().unwrap();
                prop_assert_eq!(range.to_string().parse::<Cidr>(), Ok(range));
                // An IPv4-mapped IPv6 network is never asked about: its addresses are IPv4.
                prop_assert!(range.contains(address) || address.to_canonical() != address);
            }
        }
    }
}
