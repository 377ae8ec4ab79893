//! The cost of one share's proof from a cache, of four at once, of one among many callers, of a cache, and, on demand,
//! with the full dataset.
//!
//! `ETHASHB3_EPOCHS=0,330` names the epochs (0 unless told otherwise); `ETHASHB3_DATASET=1` adds the full dataset of the
//! first one, which takes its gigabytes and a minute to build.

use criterion::{Criterion, criterion_group, criterion_main};
use pool_coins::hash::ethashb3::{Epoch, FullDataset, LightCache};
use pool_coins::hypra::epochs::EpochCache;
use pool_coins::hypra::prover::Prover;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

fn benches(criterion: &mut Criterion) {
    let epochs = std::env::var("ETHASHB3_EPOCHS").unwrap_or_else(|_| "0".into());
    let epochs: Vec<Epoch> =
        epochs.split(',').filter_map(|text| text.parse().ok()).filter_map(|n| Epoch::new(n).ok()).collect();
    let mut nonce = 0u64;
    let header = [7; 32];
    for (place, epoch) in epochs.iter().enumerate() {
        let cache = LightCache::build(*epoch);
        criterion.bench_function(&format!("ethashb3/light, epoch {epoch}"), |bencher| {
            bencher.iter(|| {
                nonce += 1;
                cache.hash(black_box(&header), nonce)
            });
        });
        criterion.bench_function(&format!("ethashb3/four light at once, epoch {epoch}"), |bencher| {
            bencher.iter(|| {
                nonce += 4;
                cache.hash_many([0, 1, 2, 3].map(|more| (black_box(&header), nonce + more)))
            });
        });
        // As a pool proves: eight threads with a share each, on one core's worth of hashing.
        let cache = Arc::new(EpochCache::of(cache));
        let prover = Prover::new(NonZeroUsize::MIN);
        criterion.bench_function(&format!("ethashb3/a share of many, one core, epoch {epoch}"), |bencher| {
            bencher.iter_custom(|shares| {
                let started = Instant::now();
                std::thread::scope(|scope| {
                    for thread in 0..8 {
                        let (prover, cache) = (&prover, &cache);
                        scope.spawn(move || {
                            for share in (thread..shares).step_by(8) {
                                black_box(prover.hash(cache, black_box(&[7; 32]), share));
                            }
                        });
                    }
                });
                started.elapsed()
            });
        });
        if place == 0 && std::env::var_os("ETHASHB3_DATASET").is_some() {
            let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
            let dataset = FullDataset::build(cache.light(), threads);
            criterion.bench_function(&format!("ethashb3/full dataset, epoch {epoch}"), |bencher| {
                bencher.iter(|| {
                    nonce += 1;
                    dataset.hash(black_box(&header), nonce)
                });
            });
        }
    }
    let mut group = criterion.benchmark_group("ethashb3");
    group.sample_size(10);
    for epoch in epochs {
        group.bench_function(format!("cache, epoch {epoch}"), |bencher| {
            bencher.iter(|| LightCache::build(black_box(epoch)));
        });
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
