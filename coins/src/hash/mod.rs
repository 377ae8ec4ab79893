//! Proof-of-work functions: pure, exact, each with its published vectors as tests. No chain, no node, no job here.

#[cfg(feature = "kaspa")]
mod keccak;
#[cfg(feature = "kaspa")]
pub mod kheavyhash;
