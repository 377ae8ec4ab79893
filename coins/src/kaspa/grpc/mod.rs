//! Kaspa's gRPC protocol, as far as a pool speaks it.
//!
//! - `wire`: the messages, by hand;
//! - [`raw`]: a block between template and submit, as bytes;
//! - `link`: one node's stream: matching answers, deadlines, reconnecting, noticing a node that stopped answering;
//! - `set`: several nodes behind one face: who is healthy, who is asked.

pub(crate) mod link;
pub mod raw;
pub(crate) mod set;
pub(crate) mod wire;
