//! The permutation Keccak-f\[1600\] (FIPS 202), unrolled over the lanes of a round.
//!
//! Own code because it is the hot half of every share: inlined into a hash that reads four lanes, the compiler drops
//! what the last round would compute of the other twenty-one. Checked against an independent implementation.

/// The 24 round constants of the iota step.
const ROUND: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// The lanes that are kept complemented from round to round, by index.
///
/// Chi wants the complement of every second operand; x86-64 without BMI has no and-not, so that is 25 more
/// instructions a round. With these six lanes complemented, De Morgan's laws turn all but five of them into plain `&`
/// and `|`. Source: the Keccak implementation overview (bebigokimisa, "lane complementing").
const COMPLEMENTED: [usize; 6] = [1, 2, 8, 12, 17, 20];

/// `a` with the lanes of [`COMPLEMENTED`] turned over, which leads in and out of that form.
#[inline(always)]
const fn turn_over(mut a: [u64; 25]) -> [u64; 25] {
    let mut i = 0;
    while i < COMPLEMENTED.len() {
        a[COMPLEMENTED[i]] = !a[COMPLEMENTED[i]];
        i += 1;
    }
    a
}

/// One round over all lanes, `a[x + 5y]`, with the lanes of [`COMPLEMENTED`] turned over before and after. The
/// rotations are rho's offsets, the order of lanes is pi's.
#[inline(always)]
const fn round(a: [u64; 25], constant: u64) -> [u64; 25] {
    let c = [
        a[0] ^ a[5] ^ a[10] ^ a[15] ^ a[20],
        a[1] ^ a[6] ^ a[11] ^ a[16] ^ a[21],
        a[2] ^ a[7] ^ a[12] ^ a[17] ^ a[22],
        a[3] ^ a[8] ^ a[13] ^ a[18] ^ a[23],
        a[4] ^ a[9] ^ a[14] ^ a[19] ^ a[24],
    ];
    let d = [
        c[4] ^ c[1].rotate_left(1),
        c[0] ^ c[2].rotate_left(1),
        c[1] ^ c[3].rotate_left(1),
        c[2] ^ c[4].rotate_left(1),
        c[3] ^ c[0].rotate_left(1),
    ];
    let mut next = [0; 25];
    let b = [
        a[0] ^ d[0],
        (a[6] ^ d[1]).rotate_left(44),
        (a[12] ^ d[2]).rotate_left(43),
        (a[18] ^ d[3]).rotate_left(21),
        (a[24] ^ d[4]).rotate_left(14),
    ];
    next[0] = b[0] ^ (b[1] | b[2]) ^ constant;
    next[1] = b[1] ^ (!b[2] | b[3]);
    next[2] = b[2] ^ (b[3] & b[4]);
    next[3] = b[3] ^ (b[4] | b[0]);
    next[4] = b[4] ^ (b[0] & b[1]);
    let b = [
        (a[3] ^ d[3]).rotate_left(28),
        (a[9] ^ d[4]).rotate_left(20),
        (a[10] ^ d[0]).rotate_left(3),
        (a[16] ^ d[1]).rotate_left(45),
        (a[22] ^ d[2]).rotate_left(61),
    ];
    next[5] = b[0] ^ (b[1] | b[2]);
    next[6] = b[1] ^ (b[2] & b[3]);
    next[7] = b[2] ^ (b[3] | !b[4]);
    next[8] = b[3] ^ (b[4] | b[0]);
    next[9] = b[4] ^ (b[0] & b[1]);
    let b = [
        (a[1] ^ d[1]).rotate_left(1),
        (a[7] ^ d[2]).rotate_left(6),
        (a[13] ^ d[3]).rotate_left(25),
        (a[19] ^ d[4]).rotate_left(8),
        (a[20] ^ d[0]).rotate_left(18),
    ];
    next[10] = b[0] ^ (b[1] | b[2]);
    next[11] = b[1] ^ (b[2] & b[3]);
    next[12] = b[2] ^ (!b[3] & b[4]);
    next[13] = !b[3] ^ (b[4] | b[0]);
    next[14] = b[4] ^ (b[0] & b[1]);
    let b = [
        (a[4] ^ d[4]).rotate_left(27),
        (a[5] ^ d[0]).rotate_left(36),
        (a[11] ^ d[1]).rotate_left(10),
        (a[17] ^ d[2]).rotate_left(15),
        (a[23] ^ d[3]).rotate_left(56),
    ];
    next[15] = b[0] ^ (b[1] & b[2]);
    next[16] = b[1] ^ (b[2] | b[3]);
    next[17] = b[2] ^ (!b[3] | b[4]);
    next[18] = !b[3] ^ (b[4] & b[0]);
    next[19] = b[4] ^ (b[0] | b[1]);
    let b = [
        (a[2] ^ d[2]).rotate_left(62),
        (a[8] ^ d[3]).rotate_left(55),
        (a[14] ^ d[4]).rotate_left(39),
        (a[15] ^ d[0]).rotate_left(41),
        (a[21] ^ d[1]).rotate_left(2),
    ];
    next[20] = b[0] ^ (!b[1] & b[2]);
    next[21] = !b[1] ^ (b[2] | b[3]);
    next[22] = b[2] ^ (b[3] & b[4]);
    next[23] = b[3] ^ (b[4] | b[0]);
    next[24] = b[4] ^ (b[0] & b[1]);
    next
}

/// The permutation.
#[inline(always)]
pub(super) fn permute(state: [u64; 25]) -> [u64; 25] {
    let mut state = turn_over(state);
    let (pairs, last) = ROUND.split_at(22);
    for pair in pairs.chunks_exact(2) {
        state = round(round(state, pair[0]), pair[1]);
    }
    // Outside of the loop, so that lanes nobody reads are not computed.
    turn_over(round(round(state, last[0]), last[1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn permutes_like_an_independent_implementation(state: [u64; 25]) {
            let mut expected = state;
            keccak::Keccak::new().with_f1600(|permute| permute(&mut expected));
            prop_assert_eq!(permute(state), expected);
        }
    }
}
