//! Nexa: a chain of two-minute blocks whose proof of work is a Schnorr signature.
