//! Targets in compact form and the header around them.
//!
//! The first 4 bytes are compact bits (big-endian, as people write them), the next 32 a target; the rest, as far as
//! it reaches, are the fields of a header.

use pool_coins::kaspa::header::{Header, bits_to_target, target_of_bits, target_to_bits};
use pool_core::units::{Target, U256};

/// Compact form is a rounding down that changes nothing the second time, and a header's three ways to its hash agree.
pub fn target(data: &[u8]) {
    let Some((bits, rest)) = data.split_first_chunk::<4>() else { return };
    let bits = u32::from_be_bytes(*bits);
    let of_bits = bits_to_target(bits);
    assert_eq!(target_of_bits(bits).is_none(), of_bits.get().is_zero());
    let plain = target_to_bits(of_bits);
    assert_eq!(bits_to_target(plain), of_bits, "{bits:08x} and {plain:08x} are one target");

    let Some((wide, rest)) = rest.split_first_chunk::<32>() else { return };
    let wide = Target::from_be_bytes(*wide);
    let rounded = bits_to_target(target_to_bits(wide));
    assert!(rounded <= wide, "compact form never makes a block easier");
    if !wide.get().is_zero() {
        assert!(!rounded.get().is_zero());
        // Of 23 bits or more at most the last 8 below them are lost: less than one part in 2^15.
        assert!(wide.get() - rounded.get() <= wide.get() >> 15);
    }
    header(bits, rest);
}

fn header(bits: u32, rest: &[u8]) {
    let mut bytes = rest.iter().copied().chain(std::iter::repeat(0));
    let mut number = || u64::from_le_bytes(std::array::from_fn(|_| bytes.next().unwrap_or(0)));
    let (timestamp, nonce, daa_score, blue_score) = (number(), number(), number(), number());
    let hashes: Vec<[u8; 32]> = rest.as_chunks::<32>().0.iter().copied().take(40).collect();
    let hash = |place: usize| hashes.get(place).copied().unwrap_or([place as u8; 32]);
    let header = Header {
        version: bits as u16,
        parents: hashes.chunks(3).map(<[_]>::to_vec).collect(),
        hash_merkle_root: hash(0),
        accepted_id_merkle_root: hash(1),
        utxo_commitment: hash(2),
        timestamp,
        bits,
        nonce,
        daa_score,
        blue_score,
        blue_work: U256::from(daa_score) << (blue_score % 256) as usize,
        pruning_point: hash(3),
    };
    let hasher = header.hasher();
    assert_eq!(hasher.hash(timestamp, nonce), header.hash());
    assert_eq!(hasher.pre_pow_hash(), header.pre_pow_hash());
    let bare = Header { timestamp: 0, nonce: 0, ..header.clone() };
    assert_eq!(bare.hash(), header.pre_pow_hash());
    assert_eq!(hasher.hash(timestamp, nonce) == header.pre_pow_hash(), timestamp == 0 && nonce == 0);
}
