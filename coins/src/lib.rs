//! (under construction)
pub mod hash;
#[cfg(feature = "kaspa")]
pub mod kaspa;
