//! Alephium: sixteen chains in one network, two BLAKE3 calls, a block every half second and its uncles.
//!
//! Pure rules first: [`params`], [`chain`], [`header`], [`address`], [`tx`], what a node offers ([`template`]), the
//! chain as a [`pool_core::coin::Coin`] ([`coin`]), what became of a block ([`fate`]), the frames of the miners'
//! protocol ([`wire`]). With the feature `node` a client of its nodes ([`node`]);
//! with `wallet` the pool's money, with `devnode` a whole small network on loopback, with `miner` a CPU miner's half.

pub mod address;
mod base58;
pub mod chain;
pub mod codec;
pub mod coin;
#[cfg(feature = "devnode")]
pub mod devnode;
pub mod fate;
pub mod header;
#[cfg(feature = "node")]
mod link;
#[cfg(feature = "miner")]
pub mod miner;
#[cfg(feature = "node")]
pub mod node;
pub mod params;
#[cfg(feature = "node")]
pub mod rest;
pub mod template;
pub mod tx;
#[cfg(all(feature = "node", feature = "wallet"))]
pub mod wallet;
pub mod wire;

pub use coin::Alephium;
