//! What goes on around the pools: the network's difficulty and hashrate, and what a block brings in.

mod difficulty;
mod value;

pub use difficulty::Difficulty;
pub use value::Values;
