//! Which Alephium network a pool is on, and the numbers that follow from it.
//!
//! Nothing here decides what a block paid: the pool reads rewards from the chain. The reward formulas are for pages and
//! for the development node. Source: alephium/alephium, `protocol/…/{ALPH,config/NetworkConfig}.scala`,
//! `mining/Emission.scala`, `model/Coinbase.scala` (values).

use std::fmt;
use std::str::FromStr;

/// The port on which a node talks to miners, unless told otherwise.
pub const MINER_PORT: u16 = 10973;
/// The port of a node's REST interface, unless told otherwise.
pub const REST_PORT: u16 = 12973;
/// One ALPH. Unit: atto-ALPH.
pub const ALPH: u128 = 1_000_000_000_000_000_000;
/// Decimals of an amount.
pub const DECIMALS: u8 = 18;
/// The least amount of an output. Unit: atto-ALPH.
pub const DUST: u128 = ALPH / 1_000;
/// The price that nodes take at least. Unit: atto-ALPH a gas.
pub const GAS_PRICE_MIN: u128 = 100_000_000_000;
/// The gas that every transaction has at least.
pub const GAS_MIN: u32 = 20_000;
/// The gas price written into every coinbase.
pub const COINBASE_GAS_PRICE: u128 = 1_000_000_000;
/// How many of the next blocks of its chain may name a block as their uncle.
pub const UNCLE_DEPTH_MAX: u32 = 7;
/// How many uncles a block may name.
pub const UNCLES_MAX: usize = 2;

/// An Alephium network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// The network with money.
    Mainnet,
    /// The public test network; mining on it needs a permission.
    Testnet,
    /// A private network.
    Devnet,
}

/// Text that names no Alephium network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an alephium network: write mainnet, testnet or devnet")]
pub struct UnknownNetwork;

impl Network {
    /// Every network.
    pub const ALL: [Self; 3] = [Self::Mainnet, Self::Testnet, Self::Devnet];

    /// The name in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Testnet => "testnet",
            Self::Devnet => "devnet",
        }
    }

    /// The number in transactions and in a node's `networkId`.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Mainnet => 0,
            Self::Testnet => 1,
            Self::Devnet => 4,
        }
    }

    /// How long a coinbase output is locked from its block's timestamp on. Unit: milliseconds.
    #[must_use]
    pub const fn coinbase_lock_ms(self) -> u64 {
        match self {
            Self::Mainnet => 500 * 60_000,
            Self::Testnet | Self::Devnet => 10 * 60_000,
        }
    }

    /// Seconds between two blocks of one chain, since the Danube fork.
    #[must_use]
    pub const fn block_seconds(self) -> u64 {
        8
    }

    /// What a block of the main chain without uncles earns at a time, to show to people. Unit: atto-ALPH. `None` off
    /// mainnet and before the emission reached its floor (2025-11-07T13:59:33Z): the way down there is no pool's any
    /// more. Fees are burnt and never part of it.
    #[must_use]
    pub const fn reward(self, timestamp_ms: u64) -> Option<u128> {
        if matches!(self, Self::Mainnet) && timestamp_ms >= FLOOR_MS {
            Some(main_reward(FLOOR, DANUBE_UNCLE_WEIGHT))
        } else {
            None
        }
    }
}

/// When mainnet's emission reached its floor.
const FLOOR_MS: u64 = 1_762_523_973_000;
/// The floor of what one block emits, uncles included. Unit: atto-ALPH.
const FLOOR: u128 = 156_250_000_000_000_000;
/// Uncles a block is reckoned to have, before the Danube fork, in the formula of [`main_reward`].
pub const RHONE_UNCLE_WEIGHT: u128 = 5;
/// The same since the Danube fork.
pub const DANUBE_UNCLE_WEIGHT: u128 = 10;

/// A main-chain block's share of what a block emits: `emitted × 25600 / (25600 + weight × 231)`.
#[must_use]
pub const fn main_reward(emitted: u128, uncle_weight: u128) -> u128 {
    emitted * 25_600 / (25_600 + uncle_weight * 231)
}

/// What an uncle earns that was named `distance` blocks later (1 to 7): `main × (8 - distance) / 8`; zero otherwise.
#[must_use]
pub const fn uncle_reward(main: u128, distance: u32) -> u128 {
    if distance == 0 || distance > UNCLE_DEPTH_MAX { 0 } else { main * (8 - distance as u128) / 8 }
}

/// What naming uncles adds to a block's own reward: a 32nd of theirs.
#[must_use]
pub const fn naming_reward(uncle_rewards: u128) -> u128 {
    uncle_rewards / 32
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_ids_are_the_published_ones() {
        for network in Network::ALL {
            assert_eq!(network.to_string().parse(), Ok(network));
        }
        assert_eq!(Network::ALL.map(Network::id), [0, 1, 4]);
        assert_eq!("Mainnet".parse::<Network>(), Err(UnknownNetwork));
        assert_eq!(Network::Mainnet.coinbase_lock_ms(), 30_000_000);
    }

    #[test]
    fn rewards_are_the_published_ones() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../testdata/alephium.json")).unwrap();
        for row in vectors["mainReward"].as_array().unwrap() {
            let weight = if row[1].as_bool().unwrap() { DANUBE_UNCLE_WEIGHT } else { RHONE_UNCLE_WEIGHT };
            assert_eq!(
                main_reward(row[0].as_u64().unwrap().into(), weight),
                u128::from(row[2].as_u64().unwrap())
            );
        }
        let main = Network::Mainnet.reward(1_800_000_000_000).unwrap();
        assert_eq!(main, 143_317_807_237_549_265);
        assert_eq!(
            (uncle_reward(main, 1), uncle_reward(main, 2)),
            (125_403_081_332_855_606, 107_488_355_428_161_948)
        );
        assert_eq!((uncle_reward(main, 0), uncle_reward(main, 8)), (0, 0));
        assert_eq!(naming_reward(3_200), 100);
        assert_eq!(Network::Mainnet.reward(1_700_000_000_000), None);
        assert_eq!(Network::Devnet.reward(1_800_000_000_000), None);
    }
}
