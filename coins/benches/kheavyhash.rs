//! The cost of one share's proof with the job's matrix at hand, and of that matrix.

use criterion::{Criterion, criterion_group, criterion_main};
use pool_coins::hash::kheavyhash::{Matrix, pow};
use std::hint::black_box;

fn benches(criterion: &mut Criterion) {
    let pre_pow = [7; 32];
    let matrix = Matrix::new(&pre_pow);
    let mut nonce = 0u64;
    criterion.bench_function("kheavyhash/proof, matrix cached", |bencher| {
        bencher.iter(|| {
            nonce += 1;
            pow(black_box(&matrix), black_box(&pre_pow), 1_724_081_279_941, nonce)
        });
    });
    let mut seed = pre_pow;
    criterion.bench_function("kheavyhash/matrix", |bencher| {
        bencher.iter(|| {
            nonce += 1;
            seed[..8].copy_from_slice(&nonce.to_le_bytes());
            Matrix::new(black_box(&seed))
        });
    });
}

criterion_group!(all, benches);
criterion_main!(all);
