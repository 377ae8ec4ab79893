//! The three parts that touch the scratchpad: filling it, the passes, and collecting it again.
//!
//! Written twice. [`x86`] is for processors with AES instructions, which it learns at run time: there the round is one
//! instruction inside of the loop. [`plain`] is for all others and goes by the `aes` crate, which knows the
//! instructions of other architectures and has constant-time code for the rest; every round is a call. Which one runs
//! changes the time and nothing else; a test holds them against each other.

use super::Block;

/// The two blocks that the passes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lanes {
    a: Block,
    b: Block,
}

impl Lanes {
    /// Bytes 0 to 31 of the state xor bytes 32 to 63.
    pub(super) const fn of(state: &[u64; 25]) -> Self {
        Self { a: [state[0] ^ state[4], state[1] ^ state[5]], b: [state[2] ^ state[6], state[3] ^ state[7]] }
    }
}

/// The block of a scratchpad that an address names: its low four bits are the byte within the block.
#[inline(always)]
const fn place<const BLOCKS: usize>(address: u64) -> usize {
    const { assert!(BLOCKS.is_power_of_two() && BLOCKS >= 8) }
    (address as usize >> 4) & (BLOCKS - 1)
}

/// Everything between the two Keccaks: the text in, the text out.
pub(super) fn work<const BLOCKS: usize, const PASSES: usize>(
    lanes: &Lanes,
    fill_keys: &[Block; 10],
    collect_keys: &[Block; 10],
    text: [Block; 8],
    pad: &mut [Block; BLOCKS],
) -> [Block; 8] {
    #[cfg(target_arch = "x86_64")]
    if let Some(token) = x86::token() {
        x86::fill(token, fill_keys, &text, pad);
        x86::mix::<BLOCKS, PASSES>(token, lanes, pad);
        return x86::collect(token, collect_keys, &text, pad);
    }
    plain::fill(fill_keys, &text, pad);
    plain::mix::<BLOCKS, PASSES>(lanes, pad);
    plain::collect(collect_keys, &text, pad)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::Block;
    use super::{Lanes, place};
    use archmage::{SimdToken, X64CryptoToken, arcane, rite};
    use std::arch::x86_64::{__m128i, _mm_aesenc_si128, _mm_cvtsi128_si64, _mm_xor_si128};

    /// The proof that this processor has the instructions. Found once per process.
    pub(super) fn token() -> Option<X64CryptoToken> {
        X64CryptoToken::summon()
    }

    #[inline(always)]
    const fn register(block: Block) -> __m128i {
        bytemuck::must_cast(block)
    }

    #[inline(always)]
    const fn block(register: __m128i) -> Block {
        bytemuck::must_cast(register)
    }

    /// Ten rounds on eight blocks at once, which keeps the processor's AES units busy.
    #[rite]
    fn rounds(_token: X64CryptoToken, text: &mut [__m128i; 8], keys: &[__m128i; 10]) {
        for key in keys {
            for block in &mut *text {
                *block = _mm_aesenc_si128(*block, *key);
            }
        }
    }

    #[arcane]
    pub(super) fn fill<const BLOCKS: usize>(
        token: X64CryptoToken,
        keys: &[Block; 10],
        text: &[Block; 8],
        pad: &mut [Block; BLOCKS],
    ) {
        let keys = keys.map(register);
        let mut text = text.map(register);
        for chunk in pad.as_chunks_mut::<8>().0 {
            rounds(token, &mut text, &keys);
            *chunk = text.map(block);
        }
    }

    #[arcane]
    pub(super) fn mix<const BLOCKS: usize, const PASSES: usize>(
        _token: X64CryptoToken,
        lanes: &Lanes,
        pad: &mut [Block; BLOCKS],
    ) -> Lanes {
        let mut a = lanes.a;
        let mut b = register(lanes.b);
        for _ in 0..PASSES {
            let first = &mut pad[place::<BLOCKS>(a[0])];
            let c = _mm_aesenc_si128(register(*first), register(a));
            *first = block(_mm_xor_si128(b, c));
            b = c;
            let factor = _mm_cvtsi128_si64(c).cast_unsigned();
            let second = &mut pad[place::<BLOCKS>(factor)];
            let d = *second;
            let product = u128::from(factor) * u128::from(d[0]);
            a[0] = a[0].wrapping_add((product >> 64) as u64);
            a[1] = a[1].wrapping_add(product as u64);
            *second = a;
            a[0] ^= d[0];
            a[1] ^= d[1];
        }
        Lanes { a, b: block(b) }
    }

    #[arcane]
    pub(super) fn collect<const BLOCKS: usize>(
        token: X64CryptoToken,
        keys: &[Block; 10],
        text: &[Block; 8],
        pad: &[Block; BLOCKS],
    ) -> [Block; 8] {
        let keys = keys.map(register);
        let mut text = text.map(register);
        for chunk in pad.as_chunks::<8>().0 {
            for (block, filled) in text.iter_mut().zip(chunk) {
                *block = _mm_xor_si128(*block, register(*filled));
            }
            rounds(token, &mut text, &keys);
        }
        text.map(block)
    }
}

mod plain {
    use super::super::Block;
    use super::{Lanes, place};
    use aes::hazmat::{Block8, cipher_round, cipher_round_par};

    fn bytes(block: Block) -> aes::Block {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&block[0].to_le_bytes());
        bytes[8..].copy_from_slice(&block[1].to_le_bytes());
        bytes.into()
    }

    fn halves(bytes: &aes::Block) -> Block {
        let halves: [[u8; 8]; 2] = bytemuck::must_cast(bytes.0);
        halves.map(u64::from_le_bytes)
    }

    fn rounds(text: &mut Block8, keys: &[Block; 10]) {
        for key in keys {
            cipher_round_par(text, &Block8::from([bytes(*key); 8]));
        }
    }

    pub(super) fn fill<const BLOCKS: usize>(
        keys: &[Block; 10],
        text: &[Block; 8],
        pad: &mut [Block; BLOCKS],
    ) {
        let mut text = Block8::from(text.map(bytes));
        for chunk in pad.as_chunks_mut::<8>().0 {
            rounds(&mut text, keys);
            for (block, filled) in chunk.iter_mut().zip(&text) {
                *block = halves(filled);
            }
        }
    }

    pub(super) fn mix<const BLOCKS: usize, const PASSES: usize>(
        lanes: &Lanes,
        pad: &mut [Block; BLOCKS],
    ) -> Lanes {
        let Lanes { mut a, mut b } = *lanes;
        for _ in 0..PASSES {
            let first = &mut pad[place::<BLOCKS>(a[0])];
            let mut round = bytes(*first);
            cipher_round(&mut round, &bytes(a));
            let c = halves(&round);
            *first = [b[0] ^ c[0], b[1] ^ c[1]];
            b = c;
            let second = &mut pad[place::<BLOCKS>(c[0])];
            let d = *second;
            let product = u128::from(c[0]) * u128::from(d[0]);
            a[0] = a[0].wrapping_add((product >> 64) as u64);
            a[1] = a[1].wrapping_add(product as u64);
            *second = a;
            a[0] ^= d[0];
            a[1] ^= d[1];
        }
        Lanes { a, b }
    }

    pub(super) fn collect<const BLOCKS: usize>(
        keys: &[Block; 10],
        text: &[Block; 8],
        pad: &[Block; BLOCKS],
    ) -> [Block; 8] {
        let mut text = *text;
        for chunk in pad.as_chunks::<8>().0 {
            for (block, filled) in text.iter_mut().zip(chunk) {
                block[0] ^= filled[0];
                block[1] ^= filled[1];
            }
            let mut round = Block8::from(text.map(bytes));
            rounds(&mut round, keys);
            for (block, done) in text.iter_mut().zip(&round) {
                *block = halves(done);
            }
        }
        text
    }
}

#[cfg(test)]
pub(super) use tests::traces;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the scratchpad and the registers hold between the parts.
    #[derive(Debug, PartialEq, Eq)]
    pub(in super::super) struct Trace {
        pub(in super::super) first_filled: [Block; 8],
        pub(in super::super) last_filled: [Block; 8],
        pub(in super::super) a: Block,
        pub(in super::super) b: Block,
        pub(in super::super) first_mixed: [Block; 8],
        pub(in super::super) text: [Block; 8],
    }

    /// One for each way to compute it that this processor has.
    pub(in super::super) fn traces<const BLOCKS: usize, const PASSES: usize>(
        lanes: &Lanes,
        fill_keys: &[Block; 10],
        collect_keys: &[Block; 10],
        text: [Block; 8],
    ) -> Vec<Trace> {
        let mut pad = super::super::boxed::<BLOCKS>();
        let mut traces = Vec::new();
        let ends = |pad: &[Block; BLOCKS]| {
            let chunks = pad.as_chunks::<8>().0;
            (chunks[0], chunks[chunks.len() - 1])
        };
        #[cfg(target_arch = "x86_64")]
        if let Some(token) = x86::token() {
            x86::fill(token, fill_keys, &text, &mut pad);
            let (first_filled, last_filled) = ends(&pad);
            let Lanes { a, b } = x86::mix::<BLOCKS, PASSES>(token, lanes, &mut pad);
            let (first_mixed, _) = ends(&pad);
            let text = x86::collect(token, collect_keys, &text, &pad);
            traces.push(Trace { first_filled, last_filled, a, b, first_mixed, text });
        }
        plain::fill(fill_keys, &text, &mut pad);
        let (first_filled, last_filled) = ends(&pad);
        let Lanes { a, b } = plain::mix::<BLOCKS, PASSES>(lanes, &mut pad);
        let (first_mixed, _) = ends(&pad);
        let text = plain::collect(collect_keys, &text, &pad);
        traces.push(Trace { first_filled, last_filled, a, b, first_mixed, text });
        traces
    }

    proptest! {
        #[test]
        fn with_and_without_the_instruction_the_same(
            a: [u64; 2],
            b: [u64; 2],
            fill: [[u64; 2]; 10],
            collect: [[u64; 2]; 10],
            text: [[u64; 2]; 8],
        ) {
            let traces = traces::<64, 500>(&Lanes { a, b }, &fill, &collect, text);
            prop_assert!(traces.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }
}
