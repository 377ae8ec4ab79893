//! What miners of Dynex write and read.
