//! Teaching programs: each one file of at most 150 lines in `examples/`, each does what it says and ends by itself.
//!
//! In the order of reading:
//!
//! - `session_without_a_socket`: a miner and a pool talk, and nobody opens a connection;
//! - `custom_store`: a store of your own, and how to know that it keeps its promises;
//! - `custom_scheme`: a reward rule of your own, built around one that is there;
//! - `solo_pool`: a whole pool, from the node's template to the credited block.
//!
//! Run one with `cargo run -p poolwright-examples --example solo_pool`.
