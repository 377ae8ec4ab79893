//! Simulates reward schemes with the engines that pay in production.
//!
//! A [`scenario::Scenario`] is read from one TOML file, [`run::run`] plays it, and an [`outcome::Summary`] is what is
//! left. Nothing here reads a clock, keeps a global or writes a file, except where a function says so. Equal scenario
//! and version give equal bytes, for any number of threads.

pub mod fidelity;
pub mod game;
pub mod outcome;
pub mod population;
pub mod process;
pub mod random;
pub mod replay;
pub mod report;
pub mod run;
pub mod scenario;
pub mod stats;
pub mod strategy;
pub mod theory;
pub mod variance;
