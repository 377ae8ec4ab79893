//! What miners of Hypra write and read.
