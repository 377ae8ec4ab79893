//! What miners of Alephium write and read.
