//! Which Dynex network a pool is on, and the numbers that follow from it.
//!
//! Nothing here decides what a block paid: a pool reads rewards from the chain. Source: `DynexCNConfig.h` of the Dynex
//! node 2.2.2 (values).

use std::fmt;
use std::str::FromStr;

/// Decimals of an amount: 10^9 smallest units make one DNX.
pub const DECIMALS: u8 = 9;
/// Smallest units of one DNX.
pub const COIN: u64 = 1_000_000_000;
/// Blocks until a coinbase may be spent.
pub const MATURITY: u64 = 60;
/// Blocks until any other output may be spent.
pub const SPENDABLE_AGE: u64 = 6;
/// The deepest reorganisation a node follows. Unit: blocks.
pub const REORGANISATION_MAX: u64 = 60;
/// Seconds between blocks that the difficulty aims at.
pub const BLOCK_SECONDS: u64 = 120;
/// The number in front of an address's keys, on every network: addresses do not tell the network.
pub const ADDRESS_PREFIX: u64 = 185;
/// The fee of a payment. Unit: smallest units. The node's moving minimum is capped here.
pub const FEE: u64 = 1_000_000;
/// Bytes of the largest transaction a wallet makes.
pub const TRANSACTION_BYTES_MAX: usize = 24_400;
/// What the whole emission approaches. Unit: smallest units.
pub const SUPPLY: u64 = 110_000_000 * COIN;

/// A block's reward without fees after so much was emitted. Unit of both: smallest units. For pages and for the
/// development node: what a block paid is read from the chain.
#[must_use]
pub const fn reward(already_generated: u64) -> u64 {
    SUPPLY.saturating_sub(already_generated) >> 18
}

/// A Dynex network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// The network with money.
    Mainnet,
    /// The public test network.
    Testnet,
    /// A private network, such as the development node's. Its first block is mainnet's with another nonce, so that
    /// neither can be taken for the other.
    Devnet,
}

/// Text that names no Dynex network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a dynex network: write mainnet, testnet or devnet")]
pub struct UnknownNetwork;

/// The first block of every network around its nonce.
const GENESIS: [&str; 2] = [
    "0100000000000000000000000000000000000000000000000000000000000000000000",
    "000000013c01ff0001e2aef88a8d0b029b2e4c0281c0b02e7c53291a94d1d0cbff8883f8024f5142ee494ffbbd08807121017aaaaafc6f441e95b7311cf9b0e6a78a64d8ed87a7d7ddec07afeb098ecf4c7800",
];

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

    /// The port on which a node answers JSON-RPC unless told otherwise.
    #[must_use]
    pub const fn rpc_port(self) -> u16 {
        18333
    }

    /// The nonce of the first block.
    const fn genesis_nonce(self) -> u8 {
        match self {
            Self::Mainnet => 70,
            Self::Testnet => 71,
            Self::Devnet => 72,
        }
    }

    /// The first block's bytes.
    #[must_use]
    pub fn genesis_block(self) -> Vec<u8> {
        let [before, behind] = GENESIS;
        hex::decode(format!("{before}{:02x}{behind}", self.genesis_nonce())).expect("the constants are hex")
    }

    /// The first block's id, which a node calls the currency's.
    #[must_use]
    pub fn genesis_id(self) -> [u8; 32] {
        super::blob::Block::parse(&self.genesis_block()).expect("the first block is one").id()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for network in Network::ALL {
            assert_eq!(network.to_string().parse(), Ok(network));
        }
        for bad in ["", "Mainnet", "main", "dynex"] {
            assert_eq!(bad.parse::<Network>(), Err(UnknownNetwork));
        }
    }

    #[test]
    fn first_blocks_are_the_published_ones() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../testdata/dynex.json")).unwrap();
        for vector in vectors["genesis"].as_array().unwrap() {
            let network: Network = vector["net"].as_str().unwrap().parse().unwrap();
            assert_eq!(hex::encode(network.genesis_block()), vector["block_blob"].as_str().unwrap());
            assert_eq!(hex::encode(network.genesis_id()), vector["block_id"].as_str().unwrap());
            let block = super::super::blob::Block::parse(&network.genesis_block()).unwrap();
            assert_eq!(hex::encode(block.coinbase.hash()), vector["coinbase_hash"].as_str().unwrap());
            assert_eq!(hex::encode(block.hashing_blob()), vector["hashing_blob"].as_str().unwrap());
            assert_eq!(block.coinbase.total(), Some(381_469_726_562));
        }
        let ids: std::collections::HashSet<_> = Network::ALL.map(Network::genesis_id).into();
        assert_eq!(ids.len(), 3);
    }

    #[test]
    fn the_reward_is_the_published_one() {
        assert_eq!(reward(85_000_000 * COIN), 95_367_431_640);
        assert_eq!(reward(u64::MAX), 0);
    }
}
