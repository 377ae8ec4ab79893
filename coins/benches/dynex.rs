//! The cost of one Dynex hash on one core, which is nearly the whole cost of a share.

use criterion::{Criterion, criterion_group, criterion_main};
use pool_coins::hash::cryptonight::{Scratchpad, dynex_hash, keccak256};
use std::hint::black_box;

fn benches(criterion: &mut Criterion) {
    let mut blob = [7; 76];
    let mut scratchpad = Scratchpad::new();
    let mut nonce = 0u32;
    criterion.bench_function("dynex/hash of a 76-byte blob", |bencher| {
        bencher.iter(|| {
            nonce += 1;
            blob[39..43].copy_from_slice(&nonce.to_le_bytes());
            dynex_hash(black_box(&blob), &mut scratchpad)
        });
    });
    criterion.bench_function("dynex/keccak of a 76-byte blob", |bencher| {
        bencher.iter(|| keccak256(black_box(&blob)));
    });
}

criterion_group!(all, benches);
criterion_main!(all);
