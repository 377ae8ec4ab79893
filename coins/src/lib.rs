//! How chains think: proof of work, headers, addresses, nodes and wallets, one feature per coin.
//!
//! A coin is a folder of the same files: `params` (networks), `header`, `address`, `tx` and `mass`, `template`, the
//! pure rules as a [`pool_core::coin::Coin`]; behind the features `node` and `wallet` the I/O halves, behind `devnode` a
//! development node that speaks the chain's own protocol and checks real proof of work, behind `miner` a CPU miner.
//! [`hash`] holds the proof-of-work functions themselves, which know nothing of chains.
//!
//! What coins share of the I/O halves: nodes and wallets behind HTTP (`http`), several of them in order of trust
//! (`failover`), the HTTP half of a development node (`devnode_http`), and the CPU miner without a coin (`miner`).
//!
//! Add a coin in seven steps:
//!
//! 1. the hash under [`hash`], with its published vectors under `testdata/`;
//! 2. `params`, `header`, `address`: pure, tested against the chain's own vectors;
//! 3. its stratum dialect in `pool-stratum`, with recorded transcripts;
//! 4. `template` and the `Coin`: template to job, solution to proof, job and solution to block;
//! 5. `node`: the chain's real protocol, several endpoints, every answer checked, and `fate` by the chain's own rules;
//! 6. `wallet`: signing without effect, sending that can be repeated;
//! 7. the development node, and one run from a miner's socket to a paid miner against it.
//!
//! The five coins are the proof: a block graph whose coinbases pay other blocks (Kaspa), sixteen chains with uncles and
//! a binary protocol (Alephium), a node that only knows its own candidates (Nexa), an account chain with epochs and four
//! grammars (Hypra), a chain whose shares need a second stage (Dynex).

#[cfg(feature = "alephium")]
pub mod alephium;
#[cfg(feature = "devnode")]
pub mod devnode_http;
#[cfg(feature = "dynex")]
pub mod dynex;
#[cfg(feature = "node")]
pub mod failover;
pub mod hash;
#[cfg(feature = "node")]
pub mod http;
#[cfg(feature = "hypra")]
pub mod hypra;
#[cfg(feature = "kaspa")]
pub mod kaspa;
#[cfg(feature = "miner")]
pub mod miner;
#[cfg(feature = "nexa")]
pub mod nexa;
