//! kHeavyHash, Kaspa's proof of work: cSHAKE256, a 64×64 matrix of nibbles, cSHAKE256.
//!
//! The matrix depends on the pre-PoW hash alone, so a job computes it once ([`Matrix::new`]) and every share of that
//! job costs two Keccak permutations and one product ([`pow`]). Source of the rules: the Kaspa network's consensus
//! (crates `kaspa-pow`, `kaspa-hashes` 2.1.0), as the vectors in `testdata/` hold them.
//!
//! The matrix must have full rank, and consensus decides that by Gaussian elimination in `f64` with an epsilon of
//! 1e-9. [`Matrix::new`] does the same operations on the same numbers, so it agrees to the bit, but leaves out the
//! third of them that cannot change the answer.

use super::keccak::permute;
use pool_core::units::U256;
use wide::{i16x8, i32x4};

/// Side of the matrix.
const N: usize = 64;
/// Rows that share one vector register.
const ROWS: usize = 4;

/// Below this, consensus takes a number for zero.
const EPSILON: f64 = 1e-9;

type Nibbles = [[u8; N]; N];

/// The state after absorbing the padded function name and customisation `ProofOfWorkHash`, with the padding of the
/// 80-byte message (domain bits at lane 10, last bit of the rate at lane 16) already folded in.
const PROOF_OF_WORK: [u64; 25] = [
    1242148031264380989,
    3008272977830772284,
    2188519011337848018,
    1992179434288343456,
    8876506674959887717,
    5399642050693751366,
    1745875063082670864,
    8605242046444978844,
    17936695144567157056,
    3343109343542796272,
    1123092876221303310 ^ 0x04,
    4963925045340115282,
    17037383077651887893,
    16629644495023626889,
    12833675776649114147,
    3784524041015224902,
    10306167911662716186 ^ (0x80 << 56),
    13952716920571277634,
    13411128033953605860,
    15060696040649351053,
    9928834659948351306,
    5237849264682708699,
    12825353012139217522,
    6706187291358897596,
    196324915476054915,
];

/// The same for `HeavyHash` and a 32-byte message (domain bits at lane 4).
const HEAVY: [u64; 25] = [
    4239941492252378377,
    8746723911537738262,
    8796936657246353646,
    1272090201925444760,
    16654558671554924254 ^ 0x04,
    8270816933120786537,
    13907396207649043898,
    6782861118970774626,
    9239690602118867528,
    11582319943599406348,
    17596056728278508070,
    15212962468105129023,
    7812475424661425213,
    3370482334374859748,
    5690099369266491460,
    8596393687355028144,
    9793466274154320918 ^ (0x80 << 56),
    9119540418498120711,
    16901969272480492857,
    13372017233735502424,
    14372891883993151831,
    5171152063242093102,
    10573107899694386186,
    6096431547456407061,
    1592359455985097269,
];

/// The matrix of one pre-PoW hash. 8 KiB; made once per job.
///
/// Laid out for the product: for every pair of columns, four rows side by side, so that one multiply-add serves four
/// rows and no sum runs across a register.
#[derive(Clone)]
pub struct Matrix(Box<[[i16x8; N / 2]; N / ROWS]>);

impl core::fmt::Debug for Matrix {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Matrix(64×64)")
    }
}

impl Matrix {
    /// The matrix of a pre-PoW hash.
    ///
    /// The all-zero hash has none (its generator yields zeros for ever); it gets the zero matrix, under which nothing
    /// a chain would accept is computed and nothing hangs.
    #[must_use]
    pub fn new(pre_pow: &[u8; 32]) -> Self {
        let mut generator = Generator(words(pre_pow));
        // A draw fails with a chance below one in a thousand; after a hundred the generator is stuck at zero.
        for _ in 0..100 {
            let nibbles = generator.draw();
            if has_full_rank(&nibbles) {
                return Self::lay_out(&nibbles);
            }
        }
        Self::lay_out(&[[0; N]; N])
    }

    fn lay_out(nibbles: &Nibbles) -> Self {
        let mut blocks = Box::new([[i16x8::ZERO; N / 2]; N / ROWS]);
        for (block, rows) in blocks.iter_mut().zip(nibbles.chunks_exact(ROWS)) {
            for (pair, lanes) in block.iter_mut().enumerate() {
                *lanes = i16x8::new(core::array::from_fn(|i| i16::from(rows[i / 2][2 * pair + i % 2])));
            }
        }
        Self(blocks)
    }

    /// Multiplies with the 64 nibbles of `hash` (high nibble of each byte first), keeps the top four bits of each
    /// 14-bit sum, packs them to bytes again and XORs with `hash`.
    #[inline]
    fn heavy(&self, hash: [u64; 4]) -> [u64; 4] {
        let mut pairs = [i16x8::ZERO; N / 2];
        for (i, pair) in pairs.iter_mut().enumerate() {
            let byte = (hash[i / 8] >> (8 * (i % 8))) as i32 & 0xff;
            *pair = bytemuck::cast(i32x4::splat(byte >> 4 | (byte & 0xf) << 16));
        }
        let mut mixed = hash;
        // Eight blocks are 32 rows: sixteen bytes, two words. Eight sums stay in registers.
        for (half, blocks) in self.0.chunks_exact(N / ROWS / 2).enumerate() {
            let mut sums = [i32x4::ZERO; N / ROWS / 2];
            for (j, pair) in pairs.iter().enumerate() {
                for (sum, block) in sums.iter_mut().zip(blocks) {
                    *sum += block[j].dot(*pair);
                }
            }
            for (b, sum) in sums.iter().enumerate() {
                let [a0, b0, a1, b1] = sum.to_array().map(|sum| (sum >> 10) as u64);
                let bytes = (a0 << 4 | b0) | (a1 << 4 | b1) << 8;
                mixed[half * 2 + b / 4] ^= bytes << (16 * (b % 4));
            }
        }
        mixed
    }
}

/// The proof-of-work hash as the integer that is compared with a target (the 32 bytes read little-endian).
///
/// `timestamp` is the header's, in Unix milliseconds.
#[must_use]
pub fn pow(matrix: &Matrix, pre_pow: &[u8; 32], timestamp: u64, nonce: u64) -> U256 {
    let mut state = PROOF_OF_WORK;
    for (lane, word) in state.iter_mut().zip(words(pre_pow)) {
        *lane ^= word;
    }
    state[4] ^= timestamp;
    state[9] ^= nonce;
    let [h0, h1, h2, h3, ..] = permute(state);
    let mixed = matrix.heavy([h0, h1, h2, h3]);
    let mut state = HEAVY;
    for (lane, word) in state.iter_mut().zip(mixed) {
        *lane ^= word;
    }
    let [p0, p1, p2, p3, ..] = permute(state);
    U256::from_limbs([p0, p1, p2, p3])
}

fn words(hash: &[u8; 32]) -> [u64; 4] {
    core::array::from_fn(|i| u64::from_le_bytes(core::array::from_fn(|j| hash[8 * i + j])))
}

/// xoshiro256++, seeded with the pre-PoW hash.
struct Generator([u64; 4]);

impl Generator {
    const fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// One matrix, row by row, sixteen nibbles a word, the least significant first.
    fn draw(&mut self) -> Nibbles {
        let mut nibbles = [[0; N]; N];
        for row in &mut nibbles {
            for part in row.chunks_exact_mut(16) {
                let word = self.next();
                for (i, nibble) in part.iter_mut().enumerate() {
                    *nibble = (word >> (4 * i) & 0xf) as u8;
                }
            }
        }
        nibbles
    }
}

/// Whether consensus finds rank 64.
///
/// For each column, consensus takes the first row in the matrix's order that has not been a pivot and has more than
/// epsilon there, divides what is right of the column by it, and subtracts it from *every* other row. Here only from
/// the rows that have not been a pivot: those that have are never looked at again. And the first column without a
/// pivot settles the answer. Each number that is looked at comes from the same operations in the same order.
fn has_full_rank(nibbles: &Nibbles) -> bool {
    let mut rows = nibbles.map(|row| row.map(f64::from));
    for column in 0..N {
        let Some(pivot) = (column..N).find(|&row| rows[row][column].abs() > EPSILON) else { return false };
        // Not a swap: the rows that are left keep the matrix's order.
        rows[column..=pivot].rotate_right(1);
        let (done, open) = rows.split_at_mut(column + 1);
        let pivot = &mut done[column];
        let divisor = pivot[column];
        for value in &mut pivot[column + 1..] {
            *value /= divisor;
        }
        for row in open {
            let factor = row[column];
            if factor.abs() > EPSILON {
                for (value, pivot) in row[column + 1..].iter_mut().zip(&pivot[column + 1..]) {
                    *value -= pivot * factor;
                }
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../testdata/kaspa.json")).unwrap()
    }

    fn bytes(text: &str) -> [u8; 32] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    fn little_endian(text: &Value) -> u64 {
        u64::from_le_bytes(hex::decode(text.as_str().unwrap()).unwrap().try_into().unwrap())
    }

    #[test]
    fn every_published_triple() {
        let vectors = vectors();
        let triples = vectors["powTriples"].as_array().unwrap();
        assert_eq!(triples.len(), 7);
        for triple in triples {
            let pre_pow = bytes(triple[0].as_str().unwrap());
            let matrix = Matrix::new(&pre_pow);
            let hash = pow(&matrix, &pre_pow, little_endian(&triple[1]), little_endian(&triple[2]));
            assert_eq!(hex::encode(hash.to_le_bytes::<32>()), triple[3].as_str().unwrap());
        }
    }

    #[test]
    fn every_published_header() {
        let vectors = vectors();
        let mut checked = 0;
        for header in vectors["headers"].as_array().unwrap() {
            let (Some(pre_pow), Some(expected)) = (header["prePow"].as_str(), header["pow"].as_str()) else {
                continue;
            };
            let inner = if header["timestamp"].is_u64() { header } else { &header["header"] };
            let pre_pow = bytes(pre_pow);
            let (timestamp, nonce) = (inner["timestamp"].as_u64().unwrap(), inner["nonce"].as_u64().unwrap());
            let hash = pow(&Matrix::new(&pre_pow), &pre_pow, timestamp, nonce);
            assert_eq!(hex::encode(hash.to_le_bytes::<32>()), expected);
            checked += 1;
        }
        assert!(checked >= 3, "{checked}");
    }

    #[test]
    fn the_first_row_of_a_mainnet_matrix() {
        let pre_pow = bytes("91cc6c2cb295a5d5234076a5484137d4bf4ee738619a1bfd74ae22760f25f9a5");
        let row: String =
            Generator(words(&pre_pow)).draw()[0].iter().map(|nibble| format!("{nibble:x}")).collect();
        assert_eq!(row, "eeb9a2faf6dd676363e39579482d15cbf35330aac02832582418cd20567d0148");
    }

    #[test]
    fn the_zero_hash_does_not_hang() {
        let matrix = Matrix::new(&[0; 32]);
        let _ = pow(&matrix, &[0; 32], 0, 0);
    }

    /// The rank exactly as consensus states it.
    fn rank_by_consensus(nibbles: &Nibbles) -> usize {
        let mut rows = nibbles.map(|row| row.map(f64::from));
        let mut used = [false; N];
        let mut rank = 0;
        for column in 0..N {
            let Some(pivot) = (0..N).find(|&row| !used[row] && rows[row][column].abs() > EPSILON) else {
                continue;
            };
            rank += 1;
            used[pivot] = true;
            let divisor = rows[pivot][column];
            for value in &mut rows[pivot][column + 1..] {
                *value /= divisor;
            }
            let chosen = rows[pivot];
            for (index, row) in rows.iter_mut().enumerate() {
                let factor = row[column];
                if index != pivot && factor.abs() > EPSILON {
                    for (value, chosen) in row[column + 1..].iter_mut().zip(&chosen[column + 1..]) {
                        *value -= chosen * factor;
                    }
                }
            }
        }
        rank
    }

    #[test]
    fn a_singular_matrix_is_seen() {
        let mut nibbles = Generator([1, 2, 3, 4]).draw();
        assert!(has_full_rank(&nibbles));
        nibbles[63] = nibbles[0];
        assert!(!has_full_rank(&nibbles));
        assert_eq!(rank_by_consensus(&nibbles), N - 1);
        nibbles[7] = [0; N];
        assert!(!has_full_rank(&nibbles));
        assert_eq!(rank_by_consensus(&nibbles), N - 2);
    }

    #[test]
    fn thousands_of_drawn_matrices_have_the_rank_consensus_gives_them() {
        let mut generator = Generator([5, 6, 7, 8]);
        for _ in 0..2_000 {
            let nibbles = generator.draw();
            assert_eq!(has_full_rank(&nibbles), rank_by_consensus(&nibbles) == N);
        }
    }

    /// The product as the rule states it.
    fn slow_heavy(nibbles: &Nibbles, hash: [u64; 4]) -> [u64; 4] {
        let bytes: Vec<u8> = hash.iter().flat_map(|word| word.to_le_bytes()).collect();
        let vector: Vec<u32> =
            bytes.iter().flat_map(|byte| [u32::from(byte >> 4), u32::from(byte & 0xf)]).collect();
        let sum = |row: &[u8; N]| row.iter().zip(&vector).map(|(a, b)| u32::from(*a) * b).sum::<u32>();
        let mixed: Vec<u8> = (0..32)
            .map(|i| ((sum(&nibbles[2 * i]) >> 10) << 4 | sum(&nibbles[2 * i + 1]) >> 10) as u8 ^ bytes[i])
            .collect();
        words(&mixed.try_into().unwrap())
    }

    proptest! {
        #[test]
        fn the_product_is_the_rules_product(seed: [u64; 4], hash: [u64; 4]) {
            let nibbles = Generator(seed).draw();
            prop_assert_eq!(Matrix::lay_out(&nibbles).heavy(hash), slow_heavy(&nibbles, hash));
        }

        /// Bits as entries, repeated and summed rows, rows out of order: where pivots are missing or late.
        #[test]
        fn rank_is_what_consensus_says(seed: [u64; 4], mask in 1..16u8, late in 0..N, repeats in 0..3usize) {
            let mut nibbles = Generator(seed).draw().map(|row| row.map(|nibble| nibble & mask));
            for row in &mut nibbles[..late] {
                row[..8].fill(0);
            }
            for i in 0..repeats {
                nibbles[10 + i] = nibbles[20 + i];
            }
            prop_assert_eq!(has_full_rank(&nibbles), rank_by_consensus(&nibbles) == N);
        }
    }
}
