//! Nexa: a chain of two-minute blocks whose proof of work is a Schnorr signature.
//!
//! Pure rules first: [`params`], [`codec`], [`address`], [`header`], [`tx`]; what a node offers ([`template`]), what goes
//! back to it ([`submission`]), what became of a block ([`fate`]), and all of it as a [`pool_core::coin::Coin`]
//! ([`coin`]). With the feature `node` a client of its nodes ([`node`], over [`rpc`]); with `wallet` the pool's money;
//! with `devnode` a whole small network on loopback; with `miner` the tongue of a CPU miner.

pub mod address;
pub mod codec;
pub mod coin;
#[cfg(feature = "devnode")]
pub mod devnode;
pub mod fate;
pub mod header;
#[cfg(feature = "miner")]
pub mod miner;
#[cfg(feature = "node")]
pub mod node;
pub mod params;
#[cfg(feature = "node")]
pub mod rpc;
pub mod submission;
pub mod template;
pub mod tx;
#[cfg(all(feature = "node", feature = "wallet"))]
pub mod wallet;

pub use coin::Nexa;
