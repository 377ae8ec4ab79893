//! Which Nexa network a pool is on, and the numbers that follow from it.
//!
//! Nothing here decides what a block paid: fees are part of a reward, so the pool reads rewards from the chain.
//! Source: the node's `src/chainparams.cpp`, `src/amount.h`, `src/consensus/consensus.h` (values).

use pool_core::units::Amount;
use std::fmt;
use std::str::FromStr;

/// Satoshis, the smallest unit, in one NEXA.
pub const SATOSHIS: u64 = 100;
/// Decimals of an amount in NEXA.
pub const DECIMALS: u8 = 2;
/// Outputs below this are not relayed. Unit: satoshis.
pub const DUST: u64 = 546;
/// A transaction's inputs, and its outputs, are no more than this.
pub const TX_PARTS_MAX: usize = 256;
/// There are never more satoshis than this.
pub const MONEY_MAX: u64 = 21_000_000_000_000 * SATOSHIS;

/// A Nexa network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// The network with money.
    Mainnet,
    /// The public test network.
    Testnet,
    /// The test network of the dormant Tailstorm rules.
    Stormtest,
    /// A private network with real proof of work at an easy target.
    Regtest,
}

/// Text that names no Nexa network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a nexa network: write mainnet, testnet, stormtest or regtest")]
pub struct UnknownNetwork;

impl Network {
    /// Every network.
    pub const ALL: [Self; 4] = [Self::Mainnet, Self::Testnet, Self::Stormtest, Self::Regtest];

    /// The name in configuration: `mainnet`, `testnet`, `stormtest`, `regtest`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Testnet => "testnet",
            Self::Stormtest => "stormtest",
            Self::Regtest => "regtest",
        }
    }

    /// The name as a node's `getblockchaininfo` writes it in `chain`.
    #[must_use]
    pub const fn chain(self) -> &'static str {
        match self {
            Self::Mainnet => "nexa",
            Self::Testnet | Self::Stormtest | Self::Regtest => self.name(),
        }
    }

    /// What stands before the colon of an address.
    #[must_use]
    pub const fn address_prefix(self) -> &'static str {
        match self {
            Self::Mainnet => "nexa",
            Self::Testnet => "nexatest",
            Self::Stormtest => "stormtest",
            Self::Regtest => "nexareg",
        }
    }

    /// The network whose addresses begin with `prefix`.
    #[must_use]
    pub fn of_address_prefix(prefix: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|network| network.address_prefix() == prefix)
    }

    /// The port of a node's JSON-RPC.
    #[must_use]
    pub const fn rpc_port(self) -> u16 {
        match self {
            Self::Mainnet => 7227,
            Self::Testnet => 7229,
            Self::Stormtest => 7231,
            Self::Regtest => 18332,
        }
    }

    /// The easiest target a block may have, in compact form.
    #[must_use]
    pub const fn easiest_bits(self) -> u32 {
        match self {
            Self::Mainnet => 0x1e01_0000,
            Self::Testnet => 0x1e0f_ffff,
            Self::Stormtest => 0x1f0e_ffff,
            Self::Regtest => 0x207f_ffff,
        }
    }

    /// Blocks that must lie on top of a coinbase before it is spent.
    #[must_use]
    pub const fn coinbase_maturity(self) -> u64 {
        match self {
            Self::Mainnet => 5_000,
            Self::Testnet | Self::Stormtest | Self::Regtest => 100,
        }
    }

    /// Blocks between two halvings.
    #[must_use]
    pub const fn halving_interval(self) -> u64 {
        match self {
            Self::Mainnet | Self::Testnet | Self::Stormtest => 1_050_000,
            Self::Regtest => 150,
        }
    }

    /// A block's subsidy, without fees. Unit: satoshis. For pages only: what a block earns is read from the chain.
    #[must_use]
    pub const fn subsidy(self, height: u64) -> u64 {
        let halvings = height / self.halving_interval();
        if halvings >= 64 { 0 } else { (10_000_000 * SATOSHIS) >> halvings }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(text: &str) -> Result<Self, UnknownNetwork> {
        Self::ALL.into_iter().find(|network| network.name() == text).ok_or(UnknownNetwork)
    }
}

/// The satoshis of an amount in NEXA as a node writes it: digits, and a point with one or two more. At most
/// [`MONEY_MAX`]. Never by way of a float.
///
/// ```
/// use pool_coins::nexa::params::satoshis;
///
/// assert_eq!(satoshis("10000000.00"), Some(1_000_000_000));
/// assert_eq!(satoshis("0.5"), Some(50));
/// assert_eq!(satoshis("0.005"), None);
/// assert_eq!(satoshis("-1.00"), None);
/// ```
#[must_use]
pub fn satoshis(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').map_or((text, "00"), |(whole, rest)| (whole, rest));
    let digits = |text: &str| (1..=14).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 2 {
        return None;
    }
    let hundredths = fraction.parse::<u64>().ok()? * if fraction.len() == 1 { 10 } else { 1 };
    let sum = whole.parse::<u64>().ok()?.checked_mul(SATOSHIS)?.checked_add(hundredths)?;
    (sum <= MONEY_MAX).then_some(sum)
}

/// An amount in NEXA with both decimals, as a node reads it.
#[must_use]
pub fn nexa_text(satoshis: u64) -> String {
    Amount::new(u128::from(satoshis)).display(DECIMALS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_lead_back_and_belong_to_one_network_each() {
        for network in Network::ALL {
            assert_eq!(network.to_string().parse(), Ok(network));
            assert_eq!(Network::of_address_prefix(network.address_prefix()), Some(network));
        }
        assert_eq!("nexa".parse::<Network>(), Err(UnknownNetwork));
        assert_eq!(Network::of_address_prefix("bitcoincash"), None);
        assert_eq!(Network::Mainnet.chain(), "nexa");
    }

    #[test]
    fn the_subsidy_halves_and_ends() {
        let mainnet = |height| Network::Mainnet.subsidy(height);
        assert_eq!((mainnet(0), mainnet(1_049_999)), (1_000_000_000, 1_000_000_000));
        assert_eq!(mainnet(1_050_000), 500_000_000);
        assert_eq!(mainnet(u64::MAX), 0);
        assert_eq!(Network::Regtest.subsidy(150), 500_000_000);
    }

    #[test]
    fn amounts_that_are_none() {
        for bad in ["", ".", "1.", ".5", "+1", "1e7", "1.000", " 1", "1,0", "99999999999999.99", "1.-5"] {
            assert_eq!(satoshis(bad), None, "{bad}");
        }
        assert_eq!(satoshis("21000000000000.00"), Some(MONEY_MAX));
        assert_eq!(satoshis("21000000000000.01"), None);
        assert_eq!(satoshis("7"), Some(700));
    }

    proptest! {
        #[test]
        fn an_amount_survives_its_text(amount in 0..=MONEY_MAX) {
            prop_assert_eq!(satoshis(&nexa_text(amount)), Some(amount));
        }
    }
}
