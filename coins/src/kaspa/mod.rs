//! Kaspa: a block graph with ten blocks a second, kHeavyHash, and coinbases that pay other blocks.
//!
//! Pure rules first: [`params`], [`address`], [`header`], [`tx`] and [`mass`], what a coinbase says
//! ([`coinbase`]), what became of a block ([`fate`]). With the feature `kaspa-grpc` the
//! chain as a [`pool_core::coin::Coin`] ([`coin`], [`template`]) and a client of its nodes ([`node`], over
//! [`grpc`]); with `wallet` the pool's money; with `devnode` a whole small network on loopback.

pub mod address;
#[cfg(feature = "kaspa-grpc")]
pub mod coin;
pub mod coinbase;
#[cfg(feature = "kaspa-grpc")]
mod convert;
#[cfg(all(feature = "kaspa-grpc", feature = "devnode"))]
pub mod devnode;
pub mod fate;
#[cfg(feature = "kaspa-grpc")]
mod fate_reader;
#[cfg(feature = "kaspa-grpc")]
pub mod grpc;
pub mod hashers;
pub mod header;
pub mod mass;
#[cfg(feature = "miner")]
pub mod miner;
#[cfg(feature = "kaspa-grpc")]
pub mod node;
pub mod params;
#[cfg(feature = "kaspa-grpc")]
pub mod template;
pub mod tx;
#[cfg(all(feature = "kaspa-grpc", feature = "wallet"))]
pub mod wallet;

#[cfg(feature = "kaspa-grpc")]
pub use coin::Kaspa;
