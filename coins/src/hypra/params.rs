//! Which Hypra network a pool is on, and the numbers that follow from it.
//!
//! Source: `params/config.go` and `core/genesis.go` of the chain's node (values). Two public sources disagree about the
//! height of London on mainnet; nothing here depends on it but the reward that is expected of a block, which is held
//! against the chain's own balances (see [`super::fate`]).

use super::rewards::RewardRules;
use std::fmt;
use std::str::FromStr;

/// A Hypra network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// The network with money.
    Mainnet,
    /// The public test network.
    Krontos,
    /// A private network at an easy target.
    Devnet,
}

/// Text that names no Hypra network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a hypra network: write mainnet, krontos or devnet")]
pub struct UnknownNetwork;

impl Network {
    /// Every network.
    pub const ALL: [Self; 3] = [Self::Mainnet, Self::Krontos, Self::Devnet];

    /// The name in configuration: `mainnet`, `krontos`, `devnet`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Krontos => "krontos",
            Self::Devnet => "devnet",
        }
    }

    /// What a node answers to `eth_chainId`, and what transactions are signed for.
    #[must_use]
    pub const fn chain_id(self) -> u64 {
        match self {
            Self::Mainnet => 622_277,
            Self::Krontos => 622_301,
            Self::Devnet => 1_337,
        }
    }

    /// The port on which a node answers JSON-RPC unless told otherwise.
    #[must_use]
    pub const fn rpc_port(self) -> u16 {
        8545
    }

    /// What blocks pay, by height.
    #[must_use]
    pub const fn rewards(self) -> RewardRules {
        match self {
            Self::Mainnet => {
                RewardRules { veldin: 500_009, london: 13_524_557, arrow: 27_200_177, gray: 40_725_107 }
            }
            Self::Krontos => RewardRules { veldin: 0, london: 0, arrow: u64::MAX, gray: u64::MAX },
            Self::Devnet => RewardRules { veldin: 0, london: u64::MAX, arrow: u64::MAX, gray: u64::MAX },
        }
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

/// Wei of one HYP: amounts have 18 decimals.
pub const HYP: u128 = 1_000_000_000_000_000_000;

/// How many blocks after its own height a block may still be included as an uncle.
pub const UNCLE_DEPTH: u64 = 7;

/// Gas of a plain transfer.
pub const TRANSFER_GAS: u64 = 21_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_chain_ids_differ() {
        for network in Network::ALL {
            assert_eq!(network.to_string().parse(), Ok(network));
        }
        assert_eq!(Network::ALL.map(Network::chain_id), [0x97ec5, 0x97edd, 1_337]);
        for bad in ["", "Mainnet", "testnet", "hypra"] {
            assert_eq!(bad.parse::<Network>(), Err(UnknownNetwork), "{bad}");
        }
    }
}
