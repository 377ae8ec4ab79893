//! Double BLAKE3, Alephium's proof of work: BLAKE3-256 of the BLAKE3-256 of a header of 326 bytes.
//!
//! The header is one chunk of six blocks: five whole ones and one of six bytes. The nonce is its first 24 bytes, so
//! only six words of the first block change from share to share; a job turns all the others into words once
//! ([`Prepared`]). What is left are seven compressions in a row, each waiting for the one before: no lanes to fill, so
//! the state stays in plain registers and the rounds are written out, which on a wide core beats vector code that
//! spends its time on turning rows. Source of the rules: the BLAKE3 specification; of the use of it, alephium/alephium,
//! `protocol/…/mining/PoW.scala`. The header's 326 bytes are the vectors' in `testdata/`.

/// Bytes of the nonce, which come first.
pub const NONCE_LEN: usize = 24;
/// Bytes of the header behind the nonce.
pub const BLOB_LEN: usize = 302;
/// Bytes of a whole header.
pub const HEADER_LEN: usize = NONCE_LEN + BLOB_LEN;

const BLOCK_LEN: usize = 64;
const BLOCKS: usize = HEADER_LEN.div_ceil(BLOCK_LEN);
const LAST_BLOCK_LEN: u32 = (HEADER_LEN % BLOCK_LEN) as u32;

const IV: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 2;
const ROOT: u32 = 8;

/// Which message word each of the seven rounds takes where.
const SCHEDULE: [[usize; 16]; 7] = {
    const PERMUTATION: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
    let mut schedule = [[0; 16]; 7];
    let mut word = 0;
    while word < 16 {
        schedule[0][word] = word;
        word += 1;
    }
    let mut round = 1;
    while round < 7 {
        word = 0;
        while word < 16 {
            schedule[round][word] = schedule[round - 1][PERMUTATION[word]];
            word += 1;
        }
        round += 1;
    }
    schedule
};

macro_rules! mix {
    ($v:ident, $a:literal, $b:literal, $c:literal, $d:literal, $x:expr, $y:expr) => {
        $v[$a] = $v[$a].wrapping_add($x).wrapping_add($v[$b]);
        $v[$d] = ($v[$d] ^ $v[$a]).rotate_right(16);
        $v[$c] = $v[$c].wrapping_add($v[$d]);
        $v[$b] = ($v[$b] ^ $v[$c]).rotate_right(12);
        $v[$a] = $v[$a].wrapping_add($y).wrapping_add($v[$b]);
        $v[$d] = ($v[$d] ^ $v[$a]).rotate_right(8);
        $v[$c] = $v[$c].wrapping_add($v[$d]);
        $v[$b] = ($v[$b] ^ $v[$c]).rotate_right(7);
    };
}

macro_rules! round {
    ($v:ident, $m:ident, $r:literal) => {
        mix!($v, 0, 4, 8, 12, $m[SCHEDULE[$r][0]], $m[SCHEDULE[$r][1]]);
        mix!($v, 1, 5, 9, 13, $m[SCHEDULE[$r][2]], $m[SCHEDULE[$r][3]]);
        mix!($v, 2, 6, 10, 14, $m[SCHEDULE[$r][4]], $m[SCHEDULE[$r][5]]);
        mix!($v, 3, 7, 11, 15, $m[SCHEDULE[$r][6]], $m[SCHEDULE[$r][7]]);
        mix!($v, 0, 5, 10, 15, $m[SCHEDULE[$r][8]], $m[SCHEDULE[$r][9]]);
        mix!($v, 1, 6, 11, 12, $m[SCHEDULE[$r][10]], $m[SCHEDULE[$r][11]]);
        mix!($v, 2, 7, 8, 13, $m[SCHEDULE[$r][12]], $m[SCHEDULE[$r][13]]);
        mix!($v, 3, 4, 9, 14, $m[SCHEDULE[$r][14]], $m[SCHEDULE[$r][15]]);
    };
}

/// One compression, of which only the first 32 bytes matter. Block counter 0: there is one chunk.
#[inline(always)]
fn compress(cv: &[u32; 8], m: &[u32; 16], len: u32, flags: u32) -> [u32; 8] {
    let mut v = [
        cv[0], cv[1], cv[2], cv[3], cv[4], cv[5], cv[6], cv[7], IV[0], IV[1], IV[2], IV[3], 0, 0, len, flags,
    ];
    round!(v, m, 0);
    round!(v, m, 1);
    round!(v, m, 2);
    round!(v, m, 3);
    round!(v, m, 4);
    round!(v, m, 5);
    round!(v, m, 6);
    [
        v[0] ^ v[8],
        v[1] ^ v[9],
        v[2] ^ v[10],
        v[3] ^ v[11],
        v[4] ^ v[12],
        v[5] ^ v[13],
        v[6] ^ v[14],
        v[7] ^ v[15],
    ]
}

/// A header without its nonce, cut into message words.
#[derive(Clone, PartialEq, Eq)]
pub struct Prepared([[u32; 16]; BLOCKS]);

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prepared")
    }
}

impl Prepared {
    /// Prepares the 302 bytes behind the nonce.
    #[must_use]
    pub fn new(blob: &[u8; BLOB_LEN]) -> Self {
        let mut bytes = [0; BLOCKS * BLOCK_LEN];
        bytes[NONCE_LEN..HEADER_LEN].copy_from_slice(blob);
        let mut blocks = [[0; 16]; BLOCKS];
        for (word, bytes) in blocks.as_flattened_mut().iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Self(blocks)
    }

    /// The hash of the header with this nonce: BLAKE3 of [`Prepared::inner`]. It is the block's name, and its proof of
    /// work as a big-endian number.
    #[must_use]
    pub fn pow(&self, nonce: &[u8; NONCE_LEN]) -> [u8; 32] {
        bytes(&outer_words(&self.inner_words(nonce)))
    }

    /// The first of the two hashes, of the header itself.
    #[must_use]
    pub fn inner(&self, nonce: &[u8; NONCE_LEN]) -> [u8; 32] {
        bytes(&self.inner_words(nonce))
    }

    #[inline(always)]
    fn inner_words(&self, nonce: &[u8; NONCE_LEN]) -> [u32; 8] {
        let [first, middle @ .., last] = &self.0;
        let mut block = *first;
        for (word, bytes) in block.iter_mut().zip(nonce.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let mut cv = compress(&IV, &block, BLOCK_LEN as u32, CHUNK_START);
        for block in middle {
            cv = compress(&cv, block, BLOCK_LEN as u32, 0);
        }
        compress(&cv, last, LAST_BLOCK_LEN, CHUNK_END | ROOT)
    }
}

#[inline(always)]
fn outer_words(inner: &[u32; 8]) -> [u32; 8] {
    let mut block = [0; 16];
    block[..8].copy_from_slice(inner);
    compress(&IV, &block, 32, CHUNK_START | CHUNK_END | ROOT)
}

fn bytes(words: &[u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (four, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *four = word.to_le_bytes();
    }
    bytes
}

/// The second of the two hashes, from the first: BLAKE3-256 of 32 bytes.
#[must_use]
pub fn outer(inner: &[u8; 32]) -> [u8; 32] {
    let mut words = [0; 8];
    for (word, four) in words.iter_mut().zip(inner.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*four);
    }
    bytes(&outer_words(&words))
}

/// Both hashes of a header in one call, without a job: for a single look.
#[must_use]
pub fn pow(nonce: &[u8; NONCE_LEN], blob: &[u8; BLOB_LEN]) -> [u8; 32] {
    Prepared::new(blob).pow(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vectors() -> serde_json::Value {
        serde_json::from_str(include_str!("../../testdata/alephium.json")).unwrap()
    }

    fn read<const N: usize>(value: &serde_json::Value) -> [u8; N] {
        let mut bytes = [0; N];
        hex::decode_to_slice(value.as_str().unwrap(), &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn every_published_header_has_its_hash() {
        let vectors = vectors();
        let headers = vectors["pow"].as_array().unwrap();
        assert_eq!(headers.len(), 6);
        for header in headers {
            let (nonce, blob) = (read(&header["nonce"]), read(&header["headerBlob"]));
            assert_eq!(
                hex::encode(pow(&nonce, &blob)),
                header["hash"].as_str().unwrap(),
                "{}",
                header["name"]
            );
        }
    }

    fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
        bytes.try_into().unwrap()
    }

    proptest! {
        #[test]
        fn any_header_hashes_as_the_reference_hashes_it(
            header in proptest::collection::vec(any::<u8>(), HEADER_LEN),
        ) {
            let (nonce, blob) = header.split_at(NONCE_LEN);
            let (nonce, blob) = (array(nonce), array(blob));
            let inner = *blake3::hash(&header).as_bytes();
            let prepared = Prepared::new(&blob);
            prop_assert_eq!(prepared.inner(&nonce), inner);
            prop_assert_eq!(outer(&inner), *blake3::hash(&inner).as_bytes());
            prop_assert_eq!(prepared.pow(&nonce), outer(&inner));
            prop_assert_eq!(pow(&nonce, &blob), outer(&inner));
        }
    }
}
