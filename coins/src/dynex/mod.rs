//! Dynex: a CryptoNote chain whose shares a pool can verify only in part.
//!
//! The chain's proof of work is an ordinary memory-hard hash, and everything about it is checked here: the blob a job
//! is, the hash, its difficulty, repeats, and the block it completes. That is the first stage, pure and deterministic:
//! [`coin::Dynex`] as a [`pool_core::coin::Coin`]. Beside it, "DynexSolve" asks for *useful work*, whose evidence is
//! encrypted and judged by a service of the project that is not public. That is the second stage: [`pouw`], a plug-in
//! chosen by configuration, which forwards the evidence and heeds the answer.
//!
//! What cannot be verified by this pool, nor by anybody but the project: that a miner did the useful work it claims;
//! that its network id is registered; and whether the project authorises a block. The last matters most. The public
//! node (2.2.2) asks a server of the project about each new block and refuses what is not authorised, so a block with a
//! perfect proof may be refused; the pool keeps it as found and submitted, and says in its fate that the node knows no
//! such block ([`fate`]). Protocols after 2.3.5 are not public and not known here.
//!
//! Pure rules first: [`params`], [`address`], [`blob`], [`tx`], [`template`], [`coin`], [`fate`]. With the feature
//! `node` a client of the chain's nodes ([`node`]) and of the service ([`pouw`]); with `wallet` the pool's money through
//! the chain's own wallet program; with `devnode` a small network on loopback; with `miner` a CPU miner.

pub mod address;
pub mod blob;
pub mod coin;
#[cfg(feature = "devnode")]
pub mod devnode;
pub mod fate;
#[cfg(feature = "node")]
pub mod messages;
#[cfg(feature = "miner")]
pub mod miner;
#[cfg(feature = "node")]
pub mod node;
pub mod params;
#[cfg(feature = "node")]
pub mod pouw;
pub mod template;
pub mod tx;
#[cfg(all(feature = "node", feature = "wallet"))]
pub mod wallet;

pub use coin::Dynex;
