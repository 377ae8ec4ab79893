//! What miners of Nexa write and read.
