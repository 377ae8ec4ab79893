//! Which Kaspa network a pool is on, and the numbers that follow from it.
//!
//! These are the rules after the Crescendo and Toccata forks, which every network has passed: ten blocks a second,
//! header version 2. Nothing here decides what a block paid: fees are part of a reward, so the pool reads rewards from
//! the chain. Source: `config/params.rs`, `config/genesis.rs` and `config/bps.rs` of kaspa-consensus-core 2.1.0
//! (values).

use std::fmt;
use std::str::FromStr;

/// A Kaspa network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// The network with money.
    Mainnet,
    /// The public test network.
    Testnet10,
    /// A private network whose nodes skip the proof of work.
    Simnet,
    /// A private network with real proof of work at an easy target.
    Devnet,
}

/// Text that names no Kaspa network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a kaspa network: write mainnet, testnet-10, simnet or devnet")]
pub struct UnknownNetwork;

impl Network {
    /// Every network.
    pub const ALL: [Self; 4] = [Self::Mainnet, Self::Testnet10, Self::Simnet, Self::Devnet];

    /// The name in configuration: `mainnet`, `testnet-10`, `simnet`, `devnet`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Testnet10 => "testnet-10",
            Self::Simnet => "simnet",
            Self::Devnet => "devnet",
        }
    }

    /// The name as a node's `getServerInfo` writes it in `networkId`: the same as [`Network::name`].
    #[must_use]
    pub const fn id(self) -> &'static str {
        self.name()
    }

    /// The name as a node's `getBlockDagInfo` writes it in `networkName`.
    #[must_use]
    pub const fn node_name(self) -> &'static str {
        match self {
            Self::Mainnet => "kaspa-mainnet",
            Self::Testnet10 => "kaspa-testnet-10",
            Self::Simnet => "kaspa-simnet",
            Self::Devnet => "kaspa-devnet",
        }
    }

    /// What stands before the colon of an address.
    #[must_use]
    pub const fn address_prefix(self) -> &'static str {
        match self {
            Self::Mainnet => "kaspa",
            Self::Testnet10 => "kaspatest",
            Self::Simnet => "kaspasim",
            Self::Devnet => "kaspadev",
        }
    }

    /// The network whose addresses begin with `prefix`.
    #[must_use]
    pub fn of_address_prefix(prefix: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|network| network.address_prefix() == prefix)
    }

    /// The port on which a node of this network answers gRPC unless told otherwise.
    #[must_use]
    pub const fn grpc_port(self) -> u16 {
        match self {
            Self::Mainnet => 16110,
            Self::Testnet10 => 16210,
            Self::Simnet => 16510,
            Self::Devnet => 16610,
        }
    }

    /// Blocks a second that the difficulty aims at.
    #[must_use]
    pub const fn blocks_per_second(self) -> u64 {
        10
    }

    /// How long a coinbase output waits before it may be spent. Unit: DAA score, which grows by
    /// [`Network::blocks_per_second`] a second.
    #[must_use]
    pub const fn coinbase_maturity(self) -> u64 {
        1000
    }

    /// The first block's hash, in the chain's byte order.
    #[must_use]
    pub const fn genesis_hash(self) -> [u8; 32] {
        match self {
            Self::Mainnet => bytes(b"58c2d4199e21f910d1571d114969cecef48f09f934d42ccb6a281a15868f2999"),
            Self::Testnet10 => bytes(b"f896a3034873be1739fc4359236899fd3d65d2bc94f9780df0d0da3eb1cc4370"),
            Self::Simnet => bytes(b"411f8cd26f3d41aea39e78573927da24d23995705b579f30959b9127e96b79e3"),
            Self::Devnet => bytes(b"4cb48d0b2073b802360145a15ad1abdc01d89b5c2fe4722630ab9b5fe9dfc4f2"),
        }
    }

    /// A block's subsidy at a DAA score, without fees, to show to people: what a block paid is read from the chain.
    /// Unit: sompi. `None` off mainnet, whose schedule is the only one that means money.
    ///
    /// 500 KAS a second until DAA score 15 519 600; then 440 KAS a second, halved every year in twelve equal monthly
    /// steps, rounded down to the sompi for a second and up for a block.
    #[must_use]
    pub const fn subsidy(self, daa_score: u64) -> Option<u64> {
        if !matches!(self, Self::Mainnet) {
            return None;
        }
        if daa_score < DEFLATION_STARTS {
            return Some(50_000_000_000);
        }
        let before = if daa_score < CRESCENDO { daa_score } else { CRESCENDO };
        let seconds = before - DEFLATION_STARTS + (daa_score - before) / 10;
        let month = seconds / SECONDS_A_MONTH;
        let halvings = month / 12;
        // Halving with a rounded-down year's worth is halving the real number and rounding down once.
        let a_second = if halvings < 64 { FIRST_YEAR[(month % 12) as usize] >> halvings } else { 0 };
        Some(if daa_score < CRESCENDO { a_second } else { a_second.div_ceil(10) })
    }
}

/// The DAA score from which mainnet's subsidy falls.
const DEFLATION_STARTS: u64 = 15_519_600;
/// The DAA score from which mainnet makes ten blocks a second instead of one.
const CRESCENDO: u64 = 110_165_000;
/// A twelfth of a year of 365.25 days.
const SECONDS_A_MONTH: u64 = 2_629_800;
/// `floor(44 × 10^9 × 2^(-month/12))` sompi a second.
const FIRST_YEAR: [u64; 12] = [
    44_000_000_000,
    41_530_469_757,
    39_199_543_598,
    36_999_442_271,
    34_922_823_143,
    32_962_755_691,
    31_112_698_372,
    29_366_476_791,
    27_718_263_097,
    26_162_556_530,
    24_694_165_062,
    23_308_188_075,
];

/// 64 lower-case hexadecimal digits, read by the compiler.
const fn bytes(digits: &[u8; 64]) -> [u8; 32] {
    const fn nibble(digit: u8) -> u8 {
        if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 }
    }
    let mut bytes = [0; 32];
    let mut i = 0;
    while i < 32 {
        bytes[i] = nibble(digits[2 * i]) << 4 | nibble(digits[2 * i + 1]);
        i += 1;
    }
    bytes
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
    fn names_round_trip_and_differ() {
        for network in Network::ALL {
            assert_eq!(network.to_string().parse(), Ok(network));
            assert_eq!(network.node_name(), format!("kaspa-{network}"));
            assert_eq!(Network::of_address_prefix(network.address_prefix()), Some(network));
        }
        for bad in ["", "Mainnet", "testnet", "testnet-11", "kaspa-mainnet"] {
            assert_eq!(bad.parse::<Network>(), Err(UnknownNetwork), "{bad}");
        }
        assert!(UnknownNetwork.to_string().contains("testnet-10"));
    }

    #[test]
    fn ports_and_first_blocks_are_the_published_ones() {
        assert_eq!(Network::ALL.map(Network::grpc_port), [16110, 16210, 16510, 16610]);
        assert_eq!(
            Network::ALL.map(|network| hex::encode(network.genesis_hash())[..8].to_owned()),
            ["58c2d419", "f896a303", "411f8cd2", "4cb48d0b"]
        );
    }

    #[test]
    fn the_subsidy_follows_the_published_schedule() {
        let at = |daa_score| Network::Mainnet.subsidy(daa_score).unwrap();
        for (daa_score, sompi) in [
            (15_519_599, 50_000_000_000),
            (15_519_600, 44_000_000_000),
            (87_768_050, 9_249_860_567),
            (110_165_000, 582_704_702),
            (474_165_565, 259_565_436),
            (500_000_000, 244_997_148),
            (550_000_000, 218_267_645),
            (598_000_000, 194_454_365),
        ] {
            assert_eq!(at(daa_score), sompi, "{daa_score}");
        }
        assert_eq!(at(u64::MAX), 0, "the last sompi is paid some day");
        assert_eq!(Network::Devnet.subsidy(1), None);
    }

    #[test]
    fn the_monthly_steps_are_twelfth_roots_of_one_half_rounded_down() {
        type Wide = ruint::Uint<512, 8>;
        let twelfth = |sompi: u64| (0..12).fold(Wide::ONE, |power, _| power * Wide::from(sompi));
        for (month, &sompi) in FIRST_YEAR.iter().enumerate() {
            let exact = twelfth(44_000_000_000);
            assert!(twelfth(sompi) << month <= exact, "{month}");
            assert!(twelfth(sompi + 1) << month > exact, "{month}");
        }
    }
}
