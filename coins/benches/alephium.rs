//! The cost of one share's proof with the job prepared, beside two plain calls of the `blake3` crate, in one run.

use criterion::{Criterion, criterion_group, criterion_main};
use pool_coins::hash::double_blake3::{BLOB_LEN, HEADER_LEN, NONCE_LEN, Prepared};
use std::hint::black_box;

fn benches(criterion: &mut Criterion) {
    let blob = [7; BLOB_LEN];
    let prepared = Prepared::new(&blob);
    let mut counter = 0u64;
    let mut nonce = [0; NONCE_LEN];
    criterion.bench_function("alephium/proof, job prepared", |bencher| {
        bencher.iter(|| {
            counter += 1;
            nonce[16..].copy_from_slice(&counter.to_be_bytes());
            black_box(&prepared).pow(black_box(&nonce))
        });
    });
    let mut header = [7; HEADER_LEN];
    criterion.bench_function("alephium/proof, blake3 crate twice", |bencher| {
        bencher.iter(|| {
            counter += 1;
            header[16..24].copy_from_slice(&counter.to_be_bytes());
            blake3::hash(blake3::hash(black_box(&header)).as_bytes())
        });
    });
    criterion.bench_function("alephium/job", |bencher| bencher.iter(|| Prepared::new(black_box(&blob))));
}

criterion_group!(all, benches);
criterion_main!(all);
