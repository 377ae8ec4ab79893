//! Proof-of-work functions: pure, exact, each with its published vectors as tests. No chain, no node, no job here.

#[cfg(feature = "dynex")]
pub mod cryptonight;
#[cfg(feature = "alephium")]
pub mod double_blake3;
#[cfg(feature = "hypra")]
pub mod ethashb3;
#[cfg(any(feature = "kaspa", feature = "hypra", feature = "dynex"))]
mod keccak;
#[cfg(feature = "kaspa")]
pub mod kheavyhash;
#[cfg(feature = "nexa")]
pub mod nexapow;
