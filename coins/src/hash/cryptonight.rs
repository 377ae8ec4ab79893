//! CryptoNight, variant 0, as Dynex uses it: a scratchpad of 256 KiB and 65 536 passes.
//!
//! The input is absorbed by Keccak; the scratchpad is filled by AES rounds over 128 bytes of the state; then each pass
//! reads two places that depend on what it read before, one through an AES round and one through a multiplication;
//! the scratchpad is folded back into the state, and the state is hashed by one of four functions that it chooses
//! itself. No key, no height, no epoch: the hash depends on the input alone.
//!
//! The passes wait for memory and for each other, so the only way to be fast is to add nothing between them: the AES
//! round must be an instruction and not a call. The module `kernel` holds the passes twice, once for processors that
//! have that instruction and a plain one for all others; they agree on every input. Sizes are compile-time constants,
//! so no access is checked for its bounds and none can be out of them.
//!
//! [`Scratchpad`] is the caller's, to be used again: nothing of an earlier hash is read. Source of the rules: CryptoNote
//! Standard 008; the parameters are those of `slow-hash.c` of the Dynex node 2.2.2 (values, by vectors).

mod blake256;
mod kernel;

use super::keccak::permute;
use digest::Digest;
use kernel::Lanes;
use std::fmt;

/// 16-byte blocks of a Dynex scratchpad.
const BLOCKS: usize = 256 * 1024 / 16;
/// Passes of Dynex's main loop.
const PASSES: usize = 65_536;
/// Bytes of the state that Keccak-256 absorbs at once.
const RATE: usize = 136;

/// A block of 128 bits: its low and its high half, each little-endian.
type Block = [u64; 2];

/// Memory for one hash at a time: 256 KiB, to be used again. What it held does not matter.
pub struct Scratchpad(Box<[Block; BLOCKS]>);

impl Scratchpad {
    /// Memory for one hash at a time.
    #[must_use]
    pub fn new() -> Self {
        Self(boxed())
    }
}

impl Default for Scratchpad {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Scratchpad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scratchpad")
    }
}

fn boxed<const N: usize>() -> Box<[Block; N]> {
    // By way of a vector: an array would be built on the stack first.
    vec![[0; 2]; N].into_boxed_slice().try_into().expect("the vector has that length")
}

/// Keccak-256 with the padding of the original submission (0x01), which CryptoNote calls its fast hash. Not SHA-3.
#[must_use]
pub fn keccak256(input: &[u8]) -> [u8; 32] {
    let state = absorb(input);
    let mut hash = [0; 32];
    for (bytes, lane) in hash.as_chunks_mut::<8>().0.iter_mut().zip(state) {
        *bytes = lane.to_le_bytes();
    }
    hash
}

/// The proof-of-work hash of a hashing blob: 32 bytes, to be read as a little-endian number.
///
/// Inputs of any length have one. About a millisecond on one core with AES instructions.
#[must_use]
pub fn dynex_hash(input: &[u8], scratchpad: &mut Scratchpad) -> [u8; 32] {
    hash::<BLOCKS, PASSES>(input, &mut scratchpad.0)
}

fn hash<const BLOCKS: usize, const PASSES: usize>(input: &[u8], pad: &mut [Block; BLOCKS]) -> [u8; 32] {
    let mut state = absorb(input);
    let text = text_of(&state);
    let [fill_keys, collect_keys] = [round_keys(&state, 0), round_keys(&state, 4)];
    let text = kernel::work::<BLOCKS, PASSES>(&Lanes::of(&state), &fill_keys, &collect_keys, text, pad);
    for (place, block) in text.iter().enumerate() {
        state[8 + 2 * place] = block[0];
        state[9 + 2 * place] = block[1];
    }
    finish(permute(state))
}

/// The whole state of 1600 bits after absorbing the padded input.
fn absorb(input: &[u8]) -> [u64; 25] {
    let mut state = [0; 25];
    let mut chunks = input.chunks_exact(RATE);
    for chunk in &mut chunks {
        state = permute(mixed(state, chunk));
    }
    let rest = chunks.remainder();
    let mut last = [0; RATE];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x01;
    last[RATE - 1] |= 0x80;
    permute(mixed(state, &last))
}

fn mixed(mut state: [u64; 25], chunk: &[u8]) -> [u64; 25] {
    for (lane, bytes) in state.iter_mut().zip(chunk.as_chunks::<8>().0) {
        *lane ^= u64::from_le_bytes(*bytes);
    }
    state
}

/// Bytes 64 to 191 of the state: what fills the scratchpad, and what collects it again.
fn text_of(state: &[u64; 25]) -> [Block; 8] {
    std::array::from_fn(|place| [state[8 + 2 * place], state[9 + 2 * place]])
}

/// The first ten round keys of the AES-256 schedule of 32 bytes of the state, from the lane `from` on.
fn round_keys(state: &[u64; 25], from: usize) -> [Block; 10] {
    let mut words = [0u32; 40];
    for place in 0..4 {
        let lane = state[from + place];
        words[2 * place] = lane as u32;
        words[2 * place + 1] = (lane >> 32) as u32;
    }
    let mut constant = 1u32;
    for place in 8..40 {
        let last = words[place - 1];
        let change = match place % 8 {
            0 => {
                let change = substitute(last.rotate_right(8)) ^ constant;
                constant <<= 1;
                change
            }
            4 => substitute(last),
            _ => last,
        };
        words[place] = words[place - 8] ^ change;
    }
    std::array::from_fn(|key| {
        let word = |place: usize| u64::from(words[4 * key + place]);
        [word(0) | word(1) << 32, word(2) | word(3) << 32]
    })
}

/// SubBytes on the four bytes of a word.
fn substitute(word: u32) -> u32 {
    u32::from_le_bytes(word.to_le_bytes().map(|byte| SBOX[usize::from(byte)]))
}

/// SubBytes of AES, by its definition: the inverse in GF(2^8) modulo x^8+x^4+x^3+x+1, then the affine map.
static SBOX: [u8; 256] = sbox();

const fn sbox() -> [u8; 256] {
    let mut table = [0; 256];
    // p runs through all non-zero elements as powers of 3, q through their inverses.
    let (mut p, mut q) = (1u8, 1u8);
    loop {
        p = p ^ (p << 1) ^ (if p & 0x80 != 0 { 0x1b } else { 0 });
        q ^= q << 1;
        q ^= q << 2;
        q ^= q << 4;
        if q & 0x80 != 0 {
            q ^= 0x09;
        }
        table[p as usize] =
            q ^ q.rotate_left(1) ^ q.rotate_left(2) ^ q.rotate_left(3) ^ q.rotate_left(4) ^ 0x63;
        if p == 1 {
            break;
        }
    }
    table[0] = 0x63;
    table
}

/// The hash of the 200 bytes of the state by the function that its lowest two bits choose.
fn finish(state: [u64; 25]) -> [u8; 32] {
    let mut bytes = [0; 200];
    for (bytes, lane) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(state) {
        *bytes = lane.to_le_bytes();
    }
    match bytes[0] & 3 {
        0 => blake256::blake256(&bytes),
        1 => groestl::Groestl256::digest(bytes).into(),
        2 => jh::Jh256::digest(bytes).into(),
        _ => skein::Skein512::<digest::consts::U32>::digest(bytes).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../testdata/dynex.json")).unwrap()
    }

    fn text<'a>(value: &'a Value, name: &str) -> &'a str {
        value[name].as_str().unwrap_or_else(|| panic!("{name}"))
    }

    fn each(name: &str) -> Vec<Value> {
        let list = vectors()[name].as_array().unwrap().clone();
        assert!(!list.is_empty(), "{name}");
        list
    }

    fn hash_hex(input: &str, pad: &mut Scratchpad) -> String {
        hex::encode(dynex_hash(&hex::decode(input).unwrap(), pad))
    }

    #[test]
    fn every_published_proof_of_work_vector() {
        let mut pad = Scratchpad::new();
        for vector in each("pow_hash").iter().chain(&each("pow_hash_by_finalizer")) {
            let input = text(vector, "input_hex");
            assert_eq!(hash_hex(input, &mut pad), text(vector, "hash"), "{input}");
        }
        for genesis in each("genesis") {
            assert_eq!(
                hash_hex(text(&genesis, "hashing_blob"), &mut pad),
                text(&genesis, "pow_256k_variant")
            );
        }
        for template in each("templates") {
            assert_eq!(hash_hex(text(&template, "blockhashing_blob"), &mut pad), text(&template, "pow"));
            let share = &template["share"];
            assert_eq!(hash_hex(text(share, "hashing_blob_with_nonce"), &mut pad), text(share, "result"));
        }
    }

    #[test]
    fn all_four_final_hashes_are_met() {
        let mut seen: Vec<u64> = each("pow_hash_by_finalizer")
            .iter()
            .map(|vector| vector["final_selector"].as_u64().unwrap())
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [0, 1, 2, 3]);
    }

    #[test]
    fn the_inner_states_are_the_published_ones() {
        let vector = &vectors()["pow_hash_intermediate"];
        let state = absorb(&hex::decode(text(vector, "input_hex")).unwrap());
        let bytes: Vec<u8> = state.iter().flat_map(|lane| lane.to_le_bytes()).collect();
        assert_eq!(hex::encode(bytes), text(vector, "keccak_state_200"));
        let block = |block: &Block| hex::encode([block[0].to_le_bytes(), block[1].to_le_bytes()].concat());
        let keys = round_keys(&state, 0);
        for (key, expected) in keys.iter().zip(vector["round_keys_fill"].as_array().unwrap()) {
            assert_eq!(block(key), expected.as_str().unwrap());
        }
        let line = |blocks: &[Block]| blocks.iter().map(block).collect::<String>();
        for trace in kernel::traces::<BLOCKS, PASSES>(
            &Lanes::of(&state),
            &keys,
            &round_keys(&state, 4),
            text_of(&state),
        ) {
            assert_eq!(line(&trace.first_filled), text(vector, "scratchpad_first_128_after_fill"));
            assert_eq!(line(&trace.last_filled), text(vector, "scratchpad_last_128_after_fill"));
            let a: Vec<String> = trace.a.iter().map(|half| format!("{half:016x}")).collect();
            assert_eq!(serde_json::json!(a), vector["a_after_loop_u64"]);
            assert_eq!(block(&trace.b), text(vector, "b_after_loop"));
            assert_eq!(line(&trace.first_mixed), text(vector, "scratchpad_first_128_after_loop"));
            assert_eq!(line(&trace.text), text(vector, "text_128_after_absorb"));
        }
    }

    #[test]
    fn with_the_original_sizes_it_is_the_original_cryptonight() {
        let vector = &vectors()["sanity_cn0_2MB"];
        let mut pad = boxed::<{ 2 * 1024 * 1024 / 16 }>();
        let hash =
            hash::<{ 2 * 1024 * 1024 / 16 }, 524_288>(text(vector, "input_ascii").as_bytes(), &mut pad);
        assert_eq!(hex::encode(hash), text(vector, "hash"));
    }

    #[test]
    fn what_a_scratchpad_held_does_not_matter() {
        let mut used = Scratchpad::new();
        for input in [&b"one"[..], b"two", &[7; 300]] {
            let fresh = dynex_hash(input, &mut Scratchpad::new());
            assert_eq!(dynex_hash(input, &mut used), fresh);
        }
    }

    #[test]
    fn keccak_is_the_original_one_at_every_length_around_its_rate() {
        // Keccak-256 of nothing, as every CryptoNote and Ethereum node knows it.
        assert_eq!(
            hex::encode(keccak256(b"")),
            "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
        );
        for len in [1, 135, 136, 137, 271, 272, 273] {
            let input = vec![0xa5; len];
            let mut padded = input.clone();
            padded.push(1);
            padded.resize(padded.len().next_multiple_of(RATE), 0);
            *padded.last_mut().unwrap() |= 0x80;
            let mut state = [0u64; 25];
            for chunk in padded.chunks_exact(RATE) {
                state = mixed(state, chunk);
                keccak::Keccak::new().with_f1600(|permute| permute(&mut state));
            }
            let expected: Vec<u8> = state[..4].iter().flat_map(|lane| lane.to_le_bytes()).collect();
            assert_eq!(keccak256(&input), *expected, "{len}");
        }
    }
}
