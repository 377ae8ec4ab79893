//! Hypra: an Ethereum-like chain with EthashB3.
