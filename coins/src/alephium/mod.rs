//! Alephium: sixteen chains in one network, two BLAKE3 calls, a block every half second and its uncles.
//!
//! Pure rules first: [`params`], [`chain`], [`header`], [`address`], [`tx`], what a node offers ([`template`]), the
//! chain as a [`pool_core::coin::Coin`] ([`coin`]), what became of a block ([`fate`]), the frames of the miners'
//! protocol ([`wire`]).

pub mod address;
mod base58;
pub mod chain;
pub mod codec;
pub mod header;
pub mod params;
pub mod tx;
