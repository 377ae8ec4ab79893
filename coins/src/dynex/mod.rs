//! Dynex: a CryptoNote chain whose shares a pool can verify only in part.
