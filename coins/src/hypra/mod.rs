//! Hypra: an account chain of Ethereum's kind with EthashB3, uncles, and miners of four grammars.
//!
//! Pure rules first: [`params`], [`address`], [`rlp`], [`header`] and [`tx`], what a block pays ([`rewards`]), what became
//! of a block ([`fate`]), the caches that proofs need ([`epochs`], [`prover`]), and the chain as a
//! [`pool_core::coin::Coin`] ([`coin`]). With the feature `node` a client of its nodes, with `wallet` the pool's money,
//! with `devnode` a whole small network on loopback.
//!
//! A pool on this chain never sees the header it mines on: a node hands out its seal hash, and completes the block itself
//! when it is given nonce and mix. So a block of the pool has no hash that the pool could know beforehand; see
//! [`coin::FoundName`] for what stands in for it.

pub mod address;
pub mod coin;
#[cfg(feature = "devnode")]
pub mod devnode;
pub mod epochs;
pub mod fate;
pub mod header;
#[cfg(feature = "miner")]
pub mod miner;
#[cfg(feature = "node")]
pub mod node;
pub mod params;
pub mod prover;
pub mod rewards;
pub mod rlp;
#[cfg(feature = "node")]
pub mod rpc;
pub mod tx;
#[cfg(all(feature = "node", feature = "wallet"))]
pub mod wallet;

pub use coin::Hypra;
