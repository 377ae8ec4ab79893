//! BLAKE-256, the final round version of the SHA-3 competition: 14 rounds, no salt.
//!
//! Own code because no maintained crate has it: BLAKE2 and BLAKE3 are other functions. Source: the submission document
//! "SHA-3 proposal BLAKE", version 1.3, sections 2.1 and 3.

/// The initial value, which is SHA-256's.
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The first digits of pi.
const PI: [u32; 16] = [
    0x243f_6a88,
    0x85a3_08d3,
    0x1319_8a2e,
    0x0370_7344,
    0xa409_3822,
    0x299f_31d0,
    0x082e_fa98,
    0xec4e_6c89,
    0x4528_21e6,
    0x38d0_1377,
    0xbe54_66cf,
    0x34e9_0c6c,
    0xc0ac_29b7,
    0xc97c_50dd,
    0x3f84_d5b5,
    0xb547_0917,
];

const SIGMA: [[usize; 16]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

const ROUNDS: usize = 14;

/// Which words of the state one half of a round mixes: columns, then diagonals.
const MIXED: [[usize; 4]; 8] = [
    [0, 4, 8, 12],
    [1, 5, 9, 13],
    [2, 6, 10, 14],
    [3, 7, 11, 15],
    [0, 5, 10, 15],
    [1, 6, 11, 12],
    [2, 7, 8, 13],
    [3, 4, 9, 14],
];

/// The hash of a message shorter than 2^61 bytes.
pub(super) fn blake256(message: &[u8]) -> [u8; 32] {
    let bits = message.len() as u64 * 8;
    let mut chain = INITIAL;
    let (blocks, rest) = message.as_chunks::<64>();
    let mut counted = 0;
    for block in blocks {
        counted += 512;
        compress(&mut chain, block, counted);
    }
    // A one, zeros, a one, the length. Blocks without a bit of the message count as zero.
    let mut last = [0; 128];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] |= 0x80;
    let len = if rest.len() < 56 { 64 } else { 128 };
    last[len - 9] |= 1;
    last[len - 8..len].copy_from_slice(&bits.to_be_bytes());
    for (place, block) in last[..len].as_chunks::<64>().0.iter().enumerate() {
        let empty = rest.is_empty() || place > 0;
        compress(&mut chain, block, if empty { 0 } else { bits });
    }
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(chain) {
        *bytes = word.to_be_bytes();
    }
    hash
}

fn compress(chain: &mut [u32; 8], block: &[u8; 64], counter: u64) {
    let mut message = [0; 16];
    for (word, bytes) in message.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    let mut v = [0; 16];
    v[..8].copy_from_slice(chain);
    v[8..].copy_from_slice(&PI[..8]);
    let (low, high) = (counter as u32, (counter >> 32) as u32);
    for (word, half) in v[12..].iter_mut().zip([low, low, high, high]) {
        *word ^= half;
    }
    for round in 0..ROUNDS {
        let sigma = &SIGMA[round % 10];
        for (place, [a, b, c, d]) in MIXED.into_iter().enumerate() {
            let (one, two) = (sigma[2 * place], sigma[2 * place + 1]);
            v[a] = v[a].wrapping_add(v[b]).wrapping_add(message[one] ^ PI[two]);
            v[d] = (v[d] ^ v[a]).rotate_right(16);
            v[c] = v[c].wrapping_add(v[d]);
            v[b] = (v[b] ^ v[c]).rotate_right(12);
            v[a] = v[a].wrapping_add(v[b]).wrapping_add(message[two] ^ PI[one]);
            v[d] = (v[d] ^ v[a]).rotate_right(8);
            v[c] = v[c].wrapping_add(v[d]);
            v[b] = (v[b] ^ v[c]).rotate_right(7);
        }
    }
    for (place, word) in chain.iter_mut().enumerate() {
        *word ^= v[place] ^ v[place + 8];
    }
}

#[cfg(test)]
mod tests {
    use super::blake256;

    /// The submission's own two vectors: one zero byte, and 72 of them.
    #[test]
    fn the_submissions_vectors() {
        assert_eq!(
            hex::encode(blake256(&[0])),
            "0ce8d4ef4dd7cd8d62dfded9d4edb0a774ae6a41929a74da23109e8f11139c87"
        );
        assert_eq!(
            hex::encode(blake256(&[0; 72])),
            "d419bad32d504fb7d44d460c42c5593fe544fa4c135dec31e21bd9abdcc22d41"
        );
    }

    #[test]
    fn every_length_has_a_hash_of_its_own() {
        let hashes: std::collections::HashSet<[u8; 32]> =
            (0..=200).map(|len| blake256(&vec![0; len])).collect();
        assert_eq!(hashes.len(), 201);
        assert_eq!(
            hex::encode(blake256(b"")),
            "716f6e863f744b9ac22c97ec7b76ea5f5908bc5b2f67c61510bfc4751384ea7a"
        );
    }
}
