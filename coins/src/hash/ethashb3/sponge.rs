//! Keccak-256 and Keccak-512 as Ethereum has them: the padding from before SHA-3.

use super::{Row, WORDS};
use crate::hash::keccak::permute;

/// Keccak-256 of any bytes.
#[must_use]
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    squeeze(absorb::<136>(bytes))
}

/// Keccak-512 of any bytes.
#[must_use]
pub fn keccak512(bytes: &[u8]) -> [u8; 64] {
    squeeze(absorb::<72>(bytes))
}

fn absorb<const RATE: usize>(bytes: &[u8]) -> [u64; 25] {
    let mut state = [0; 25];
    let (blocks, rest) = bytes.as_chunks::<RATE>();
    for block in blocks {
        state = permute(fold(state, block));
    }
    let mut last = [0; RATE];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x01;
    last[RATE - 1] |= 0x80;
    permute(fold(state, &last))
}

fn fold(mut state: [u64; 25], block: &[u8]) -> [u64; 25] {
    for (lane, eight) in state.iter_mut().zip(block.as_chunks::<8>().0) {
        *lane ^= u64::from_le_bytes(*eight);
    }
    state
}

fn squeeze<const N: usize>(state: [u64; 25]) -> [u8; N] {
    let mut out = [0; N];
    for (eight, lane) in out.as_chunks_mut::<8>().0.iter_mut().zip(state) {
        *eight = lane.to_le_bytes();
    }
    out
}

/// Keccak-512 of a row, in one permutation.
///
/// Not inlined: the permutation is long, and its callers hold it several times.
#[inline(never)]
pub(super) fn keccak512_row(row: &Row) -> Row {
    let mut state = [0u64; 25];
    for (lane, pair) in state.iter_mut().zip(row.as_chunks::<2>().0) {
        *lane = u64::from(pair[0]) | u64::from(pair[1]) << 32;
    }
    // 64 bytes of a rate of 72: the first and the last bit of the padding share the ninth lane.
    state[8] = 0x8000_0000_0000_0001;
    let state = permute(state);
    let mut out = [0; WORDS];
    for (pair, lane) in out.as_chunks_mut::<2>().0.iter_mut().zip(state) {
        *pair = [lane as u32, (lane >> 32) as u32];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::ethashb3::{bytes, words};
    use proptest::prelude::*;

    #[test]
    fn published_digests() {
        assert_eq!(
            hex::encode(keccak256(b"")),
            "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
        );
        assert_eq!(
            hex::encode(keccak512(b"")),
            "0eab42de4c3ceb9235fc91acffe746b29c29a8c366b7c60e4e67c466f36a4304\
             c00fa9caf9d87976ba469bcbe06713b435f091ef2769fb160cdab33d3670680e"
        );
    }

    proptest! {
        #[test]
        fn a_row_hashes_like_its_bytes(row: [u32; 16]) {
            prop_assert_eq!(keccak512_row(&row), words(&keccak512(&bytes(&row))));
        }

        #[test]
        fn every_length_is_padded_like_the_sponge_says(message in proptest::collection::vec(any::<u8>(), 0..400)) {
            // Byte by byte, with another implementation of the permutation.
            let mut state = [0u64; 25];
            let mut padded = message.clone();
            padded.push(1);
            padded.resize(padded.len().div_ceil(136) * 136, 0);
            *padded.last_mut().unwrap() |= 0x80;
            for block in padded.chunks(136) {
                for (place, byte) in block.iter().enumerate() {
                    state[place / 8] ^= u64::from(*byte) << (8 * (place % 8));
                }
                keccak::Keccak::new().with_f1600(|permute| permute(&mut state));
            }
            let expected: Vec<u8> = state[..4].iter().flat_map(|lane| lane.to_le_bytes()).collect();
            prop_assert_eq!(keccak256(&message).to_vec(), expected);
        }
    }
}
