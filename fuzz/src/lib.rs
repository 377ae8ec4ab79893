//! Whatever a stranger can send, sent: fuzz targets as plain functions, replayed by an ordinary test.
//!
//! A target is `fn(&[u8])`. It hands the bytes to one parser or one machine of the pool and asserts what must hold for
//! every input: that it returns at all, that what it took it can write and read again, that two ways to the same
//! answer agree, that bounds are kept. A panic is a finding. Nothing here is random or waits, so the same bytes do the
//! same thing for ever.
//!
//! - [`targets`]: the functions, and [`targets::ALL`] with their names;
//! - [`mutator`]: a small seeded mutator, for runs without a fuzzer;
//! - `corpus/<target>/`: inputs by hand and from recorded conversations, and every input that ever found something;
//! - `tests/replay.rs`: the whole corpus and a fixed stream of its mutations, on stable Rust, in every test run.
//!
//! The same functions run under libFuzzer without a change; `README.md` says how.

pub mod mutator;
pub mod targets;
