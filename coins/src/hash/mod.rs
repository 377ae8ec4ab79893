//! Proof-of-work functions: pure, exact, each with its published vectors as tests. No chain, no node, no job here.

#[cfg(feature = "hypra")]
pub mod ethashb3;
#[cfg(any(feature = "kaspa", feature = "hypra"))]
mod keccak;
#[cfg(feature = "kaspa")]
pub mod kheavyhash;
