//! Nexa: a chain of two-minute blocks whose proof of work is a Schnorr signature.
//!
//! Pure rules first: [`params`], [`codec`], [`address`], [`header`], [`tx`].

pub mod address;
pub mod codec;
pub mod header;
pub mod params;
pub mod tx;
