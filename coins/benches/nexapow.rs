//! The cost of one share's proof, beside what libsecp256k1 needs for signatures of the same shape.

use criterion::{Criterion, criterion_group, criterion_main};
use pool_coins::hash::nexapow::NexaPow;
use secp256k1::{Message, SecretKey};
use std::hint::black_box;

fn benches(criterion: &mut Criterion) {
    let function = NexaPow::new();
    let mut nonce = 0u64;
    criterion.bench_function("nexapow/proof", |bencher| {
        bencher.iter(|| {
            nonce += 1;
            let mut bytes = [0; 16];
            bytes[8..].copy_from_slice(&nonce.to_le_bytes());
            function.proof(black_box(&[7; 32]), &bytes)
        });
    });
    criterion.bench_function("nexapow/table", |bencher| bencher.iter(NexaPow::new));
    // The reference: a fresh key for every signature, as every nonce is a fresh key here.
    let fresh = |nonce: &mut u64| {
        *nonce += 1;
        let mut bytes = [7; 32];
        bytes[8..16].copy_from_slice(&nonce.to_le_bytes());
        SecretKey::from_secret_bytes(bytes).expect("below the group's order")
    };
    criterion.bench_function("libsecp256k1/public key and ECDSA signature", |bencher| {
        bencher.iter(|| {
            let key = fresh(&mut nonce);
            (key.public_key().serialize(), key.sign_ecdsa(Message::from_digest(black_box([9; 32]))))
        });
    });
    criterion.bench_function("libsecp256k1/key pair and BIP 340 signature", |bencher| {
        bencher.iter(|| fresh(&mut nonce).keypair().sign_schnorr_no_aux_rand(black_box(&[9; 32])));
    });
    criterion.bench_function("libsecp256k1/ECDSA signature alone", |bencher| {
        let key = fresh(&mut nonce);
        bencher.iter(|| key.sign_ecdsa(Message::from_digest(black_box([9; 32]))));
    });
}

criterion_group!(all, benches);
criterion_main!(all);
