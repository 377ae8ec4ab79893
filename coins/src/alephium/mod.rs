//! Alephium: sixteen chains in one network, two BLAKE3 calls, a block every half second and its uncles.
//!
//! Pure rules first: [`params`], [`chain`], [`header`], [`address`], [`tx`], what a node offers ([`template`]), the
//! chain as a [`pool_core::coin::Coin`] ([`coin`]), what became of a block ([`fate`]), the frames of the miners'
//! protocol ([`wire`]). With the feature `node` a client of its nodes ([`node`]).

pub mod address;
mod base58;
pub mod chain;
pub mod codec;
pub mod coin;
pub mod fate;
pub mod header;
#[cfg(feature = "node")]
mod link;
#[cfg(feature = "node")]
pub mod node;
pub mod params;
#[cfg(feature = "node")]
pub mod rest;
pub mod template;
pub mod tx;
pub mod wire;

pub use coin::Alephium;
