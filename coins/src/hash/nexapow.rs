//! NexaPow: a hash of the header's commitment and a nonce becomes a private key, and what is compared with the target
//! is the hash of that key's signature.
//!
//! 1. `mining hash = SHA-256(SHA-256(commitment ‖ length of the nonce in one byte ‖ nonce))`;
//! 2. `message = SHA-256(mining hash)`;
//! 3. the mining hash, read big-endian, is the key `d`; zero and anything at or above the group's order is no key,
//!    and then there is no proof;
//! 4. `k` by RFC 6979 over key, message and the 16 bytes `Schnorr+SHA256  `; `R = k·G`, and `k` becomes `n - k` when
//!    R's y is no square modulo the field's prime;
//! 5. `e = SHA-256(R.x ‖ d·G compressed ‖ message)`, `s = k + e·d` modulo `n`; the signature is `R.x ‖ s`;
//! 6. the proof is `SHA-256(R.x ‖ s)`, read little-endian by the chain.
//!
//! This is the Schnorr signature of Bitcoin Cash in its form of May 2019. It is not BIP 340: the sign of R goes by the
//! quadratic character and not by parity, the challenge is not tagged and covers a compressed key, and the nonce is
//! RFC 6979 with an algorithm name. Source of the rules: the chain's node (`src/pow.cpp`, its libsecp256k1's module
//! `schnorr`), by behaviour; the vectors in `testdata/nexa.json` come from there and from other people's code.
//!
//! Nothing is secret here, so [`NexaPow`] takes multiples of the base point from a plain table and needs about a
//! third of the time of a library that guards a key.

mod field;
mod point;

use point::{Multiples, affine_pair};
use ruint::aliases::U256;
use sha2::{Digest, Sha256};
use std::fmt;

/// The longest nonce of a block. Unit: bytes.
pub const NONCE_MAX: usize = 16;

/// The order of the group, less than 2^256 by about 2^128.
const ORDER: U256 =
    U256::from_limbs([0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, 0xffff_ffff_ffff_fffe, u64::MAX]);

/// What RFC 6979 is told besides key and message.
const ALGORITHM: &[u8; 16] = b"Schnorr+SHA256  ";

/// A commitment and a nonce that prove nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoProof {
    /// A block has no room for such a nonce.
    #[error("a nonce has at most {NONCE_MAX} bytes")]
    LongNonce,
    /// The mining hash is no private key. One in about 2^128 is not.
    #[error("the mining hash is no private key")]
    NoKey,
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// SHA-256 twice over the commitment in hashing order, the nonce's length in one byte, and the nonce: the private key.
///
/// `commitment`: 32 bytes as they are hashed, the reverse of what a node prints.
///
/// # Errors
/// [`NoProof::LongNonce`] above [`NONCE_MAX`] bytes.
pub fn mining_hash(commitment: &[u8; 32], nonce: &[u8]) -> Result<[u8; 32], NoProof> {
    let length = u8::try_from(nonce.len()).ok().filter(|&length| usize::from(length) <= NONCE_MAX);
    let length = length.ok_or(NoProof::LongNonce)?;
    Ok(sha256(&[&sha256(&[commitment, &[length], nonce])]))
}

/// HMAC-SHA-256 with its two keyed states kept, as RFC 6979 uses a key more than once.
struct Hmac {
    inner: Sha256,
    outer: Sha256,
}

impl Hmac {
    fn new(key: &[u8; 32]) -> Self {
        let keyed = |pad: u8| {
            let mut block = [pad; 64];
            for (place, byte) in block.iter_mut().zip(key) {
                *place ^= byte;
            }
            Sha256::new_with_prefix(block)
        };
        Self { inner: keyed(0x36), outer: keyed(0x5c) }
    }

    fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut inner = self.inner.clone();
        for part in parts {
            inner.update(part);
        }
        let mut outer = self.outer.clone();
        outer.update(inner.finalize());
        outer.finalize().into()
    }
}

/// The numbers that RFC 6979 draws for a key and a message, in their order.
struct Draws {
    hmac: Hmac,
    v: [u8; 32],
}

impl Draws {
    fn new(key: &[u8; 32], message: &[u8; 32]) -> Self {
        let v = [1; 32];
        let hmac = Hmac::new(&[0; 32]);
        let hmac = Hmac::new(&hmac.of(&[&v, &[0], key, message, ALGORITHM]));
        let v = hmac.of(&[&v]);
        let hmac = Hmac::new(&hmac.of(&[&v, &[1], key, message, ALGORITHM]));
        let v = hmac.of(&[&v]);
        Self { v: hmac.of(&[&v]), hmac }
    }

    /// The one after it, for a number that is no scalar.
    fn draw_again(&mut self) {
        self.hmac = Hmac::new(&self.hmac.of(&[&self.v, &[0]]));
        self.v = self.hmac.of(&[&self.v]);
        self.v = self.hmac.of(&[&self.v]);
    }
}

/// A number from 1 to the order less one.
fn scalar(bytes: &[u8; 32]) -> Option<U256> {
    Some(U256::from_be_bytes(*bytes)).filter(|number| !number.is_zero() && *number < ORDER)
}

/// The function, with its table of multiples. Half a megabyte; make one and share it.
pub struct NexaPow {
    multiples: Multiples,
}

impl fmt::Debug for NexaPow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NexaPow").finish_non_exhaustive()
    }
}

impl Default for NexaPow {
    fn default() -> Self {
        Self::new()
    }
}

impl NexaPow {
    /// Computes the table: a few milliseconds.
    #[must_use]
    pub fn new() -> Self {
        Self { multiples: Multiples::new() }
    }

    /// The proof of a commitment (32 bytes in hashing order) and a nonce, as the bytes that a target is compared with
    /// little-endian.
    ///
    /// ```
    /// use pool_coins::hash::nexapow::NexaPow;
    ///
    /// // Mainnet block 236856.
    /// let hash = |text| <[u8; 32]>::try_from(hex::decode(text).unwrap()).unwrap();
    /// let commitment = hash("aa02d01f73451bc848d87443644cef4d16fd210de28651a945db967ac17a4df9");
    /// let nonce = hex::decode("fa0921f55803629697ea7100").unwrap();
    /// let proof = hash("b329397a9034760deeb605b628ea3c0a6821d1d6e1ded97b3813000000000000");
    /// assert_eq!(NexaPow::new().proof(&commitment, &nonce), Ok(proof));
    /// ```
    ///
    /// # Errors
    /// [`NoProof`].
    pub fn proof(&self, commitment: &[u8; 32], nonce: &[u8]) -> Result<[u8; 32], NoProof> {
        let key = mining_hash(commitment, nonce)?;
        let signature = self.sign(&key, &sha256(&[&key])).ok_or(NoProof::NoKey)?;
        Ok(sha256(&[&signature]))
    }

    /// The signature of a message under a key; `None` for what is no key.
    fn sign(&self, key: &[u8; 32], message: &[u8; 32]) -> Option<[u8; 64]> {
        let d = scalar(key)?;
        let mut draws = Draws::new(key, message);
        let mut k = loop {
            match scalar(&draws.v) {
                Some(k) => break k,
                None => draws.draw_again(),
            }
        };
        let (public, r) = (self.multiples.of(key)?, self.multiples.of(&draws.v)?);
        if !r.has_square_y() {
            k = ORDER - k;
        }
        let (public, r) = affine_pair(&public, &r);
        let x = r.x.to_be_bytes();
        let e = scalar(&sha256(&[&x, &public.compressed(), message]))?;
        let s = e.mul_mod(d, ORDER).add_mod(k, ORDER);
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&x);
        signature[32..].copy_from_slice(&s.to_be_bytes::<32>());
        Some(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../testdata/nexa.json")).unwrap()
    }

    fn bytes(value: &Value, key: &str) -> Vec<u8> {
        hex::decode(value[key].as_str().unwrap_or_else(|| panic!("{key} of {value}"))).unwrap()
    }

    fn hash(value: &Value, key: &str) -> [u8; 32] {
        bytes(value, key).try_into().unwrap()
    }

    fn reversed(mut bytes: [u8; 32]) -> [u8; 32] {
        bytes.reverse();
        bytes
    }

    #[test]
    fn every_vector_step_by_step() {
        let (vectors, function) = (vectors(), NexaPow::new());
        let mut branches = [0, 0];
        for vector in vectors["pow"].as_array().unwrap() {
            let (commitment, nonce) = (hash(vector, "header_commitment_raw"), bytes(vector, "nonce"));
            assert_eq!(reversed(commitment), hash(vector, "header_commitment_rpc"));
            let key = mining_hash(&commitment, &nonce).unwrap();
            assert_eq!(key, hash(vector, "mining_hash_raw"), "{vector}");
            let message = sha256(&[&key]);
            assert_eq!(message, hash(vector, "h1"));
            assert_eq!(Draws::new(&key, &message).v, hash(vector, "rfc6979_k"));
            let negated = !function.multiples.of(&hash(vector, "rfc6979_k")).unwrap().has_square_y();
            assert_eq!(negated, vector["k_negated"].as_bool().unwrap());
            branches[usize::from(negated)] += 1;
            assert_eq!(function.sign(&key, &message).unwrap().to_vec(), bytes(vector, "sig"));
            let proof = function.proof(&commitment, &nonce).unwrap();
            assert_eq!(proof, hash(vector, "pow_raw"));
            assert_eq!(reversed(proof), hash(vector, "pow_value_be"));
        }
        assert!(branches.iter().all(|count| *count > 5), "both signs of R: {branches:?}");
    }

    #[test]
    fn other_peoples_vectors() {
        let function = NexaPow::new();
        for vector in vectors()["pow_published_oracle"].as_array().unwrap() {
            let commitment = reversed(hash(vector, "header_commitment_rpc"));
            let nonce = bytes(vector, "nonce");
            let key = mining_hash(&commitment, &nonce).unwrap();
            assert_eq!(reversed(key), hash(vector, "mining_hash_display"));
            assert_eq!(reversed(sha256(&[&key])), hash(vector, "h1_display"));
            let proof = function.proof(&commitment, &nonce).unwrap();
            assert_eq!(reversed(proof), hash(vector, "pow_value_be"));
        }
    }

    #[test]
    fn keys_at_the_edges() {
        let function = NexaPow::new();
        for vector in vectors()["pow_edge_keys"].as_array().unwrap() {
            let key = hash(vector, "mining_hash_raw");
            let message = sha256(&[&key]);
            assert_eq!(message, hash(vector, "h1"));
            let signature = function.sign(&key, &message);
            if vector["sig"].is_null() {
                assert_eq!(signature, None, "{vector}");
                assert!(vector["pow_raw"].is_null());
            } else {
                assert_eq!(signature.unwrap().to_vec(), bytes(vector, "sig"));
                assert_eq!(sha256(&[&signature.unwrap()]), hash(vector, "pow_raw"));
            }
        }
    }

    #[test]
    fn the_blocks_of_every_network() {
        let (vectors, function) = (vectors(), NexaPow::new());
        let geneses = vectors["genesis"].as_object().unwrap();
        assert_eq!(geneses.len(), 4);
        for block in geneses.values().chain([&vectors["mainnet_block"]]) {
            let (commitment, nonce) = (hash(block, "commitment_raw"), bytes(block, "nonce"));
            assert_eq!(mining_hash(&commitment, &nonce).unwrap(), hash(block, "mining_hash_raw"));
            let proof = function.proof(&commitment, &nonce).unwrap();
            assert_eq!(proof, hash(block, "pow_raw"));
            assert!(reversed(proof) <= hash(block, "target"), "byte strings compare like numbers");
        }
        for block in vectors["regtest_blocks"].as_array().unwrap() {
            let commitment = reversed(hash(block, "commitment_rpc"));
            let proof = function.proof(&commitment, &bytes(block, "nonce")).unwrap();
            assert_eq!(reversed(proof), hash(block, "pow_value"));
        }
    }

    #[test]
    fn the_second_draw_is_rfc_6979s() {
        // No input is known whose first draw is no scalar; so the step itself against its definition in the RFC.
        let mut draws = Draws::new(&[3; 32], &[4; 32]);
        let (first, before) =
            (draws.v, Hmac { inner: draws.hmac.inner.clone(), outer: draws.hmac.outer.clone() });
        draws.draw_again();
        let key = Hmac::new(&before.of(&[&first, &[0]]));
        let v = key.of(&[&first]);
        assert_eq!(draws.v, key.of(&[&v]));
        assert_ne!(draws.v, first);
    }

    #[test]
    fn a_nonce_is_hashed_with_its_length() {
        let commitment = [7; 32];
        assert_ne!(mining_hash(&commitment, &[0]), mining_hash(&commitment, &[0, 0]));
        assert!(mining_hash(&commitment, &[]).is_ok());
        assert!(mining_hash(&commitment, &[1; NONCE_MAX]).is_ok());
        assert_eq!(mining_hash(&commitment, &[1; NONCE_MAX + 1]), Err(NoProof::LongNonce));
        assert_eq!(NexaPow::new().proof(&commitment, &[1; 300]), Err(NoProof::LongNonce));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_signature_verifies_with_the_library(key: [u8; 32], message: [u8; 32]) {
            use secp256k1::{PublicKey, Scalar, SecretKey};
            let Ok(secret) = SecretKey::from_secret_bytes(key) else { return Ok(()) };
            let signature = NexaPow::new().sign(&key, &message).unwrap();
            let public = PublicKey::from_secret_key(&secret);
            let e = sha256(&[&signature[..32], &public.serialize(), &message]);
            // s·G - e·P must be R: with the x that was signed for.
            let s = SecretKey::from_secret_bytes(signature[32..].try_into().unwrap()).unwrap();
            let minus = public.mul_tweak(&Scalar::from_be_bytes(e).unwrap()).unwrap().negate();
            let r = PublicKey::from_secret_key(&s).combine(&minus).unwrap();
            prop_assert_eq!(&r.serialize()[1..], &signature[..32]);
        }
    }
}
