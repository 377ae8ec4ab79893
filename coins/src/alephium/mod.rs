//! Alephium: sixteen chains in one network, two BLAKE3 calls, a block every four seconds and its uncles.
