use super::*;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../testdata/hypra.json")).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    let mut bytes = [0; N];
    hex::decode_to_slice(value.as_str().unwrap(), &mut bytes).unwrap();
    bytes
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn nonce(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap(), 16).unwrap()
}

/// As the node's test mode: 16 rows, 256 pages.
const TINY: Sizes = Sizes { cache_rows: 16, dataset_pages: 256 };

fn tiny(epoch: u64) -> LightCache {
    LightCache::with_sizes(&Epoch::new(epoch).unwrap().seed_hash(), TINY)
}

/// Ethash proper: the same walk between two Keccaks. The vectors of the older algorithm check cache and walk, too.
fn ethash(cache: &LightCache, header: &[u8; 32], nonce: u64) -> Hashed {
    let mut input = header.to_vec();
    input.extend(nonce.to_le_bytes());
    let seed = keccak512(&input);
    let mix = cache.mix(&seed);
    Hashed { mix, result: keccak256(&[&seed[..], &mix].concat()) }
}

fn expect(hashed: Hashed, vector: &Value) {
    assert_eq!(hashed, Hashed { mix: array(&vector["mix"]), result: array(&vector["result"]) }, "{vector}");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(bytes))
}

fn rows(cache: &LightCache) -> Vec<u8> {
    (0..).map_while(|place| cache.row(place)).flatten().collect()
}

#[test]
fn sizes_and_seeds_of_epochs() {
    for vector in vectors()["sizes"].as_array().unwrap() {
        let epoch = Epoch::new(number(&vector["epoch"])).unwrap();
        assert_eq!(Epoch::of_block(number(&vector["first_block"])), Ok(epoch));
        assert_eq!(Epoch::of_block(number(&vector["last_block"])), Ok(epoch));
        let sizes = epoch.sizes();
        assert_eq!(sizes.cache_bytes(), number(&vector["cache_bytes"]), "{epoch}");
        assert_eq!(sizes.dataset_bytes(), number(&vector["dataset_bytes"]), "{epoch}");
        assert_eq!(epoch.seed_hash(), array::<32>(&vector["seed_hash"]), "{epoch}");
    }
    assert_eq!(Epoch::of_block(2048 * EPOCH_BLOCKS - 1), Ok(Epoch::LAST));
    assert_eq!(Epoch::of_block(2048 * EPOCH_BLOCKS), Err(TooLate));
    assert_eq!(Epoch::of_block(u64::MAX), Err(TooLate));
    assert_eq!((Epoch::LAST.next(), Epoch::new(0).unwrap().previous()), (None, None));
}

#[test]
fn tiny_caches_and_datasets() {
    for vector in vectors()["tiny_cache"].as_array().unwrap() {
        let cache = tiny(number(&vector["epoch_seed"]));
        assert_eq!(hex::encode(rows(&cache)), vector["cache_hex"].as_str().unwrap());
        assert_eq!(cache.item(0), array::<64>(&vector["dataset_item_0"]));
        assert_eq!(cache.item(511), array::<64>(&vector["dataset_item_511"]));
        for threads in [1, 3, 64] {
            let dataset = FullDataset::build(&cache, NonZeroUsize::new(threads).unwrap());
            assert_eq!(dataset.bytes(), 32_768);
            let items: Vec<u8> = (0..).map_while(|item| dataset.item(item)).flatten().collect();
            assert_eq!(sha256(&items), vector["dataset_sha256"].as_str().unwrap(), "{threads}");
        }
    }
}

#[test]
fn tiny_hashes_light_and_full() {
    let mut made = BTreeMap::new();
    for vector in vectors()["tiny"].as_array().unwrap() {
        let (cache, dataset) = made.entry(number(&vector["epoch_seed"])).or_insert_with_key(|epoch| {
            let cache = tiny(*epoch);
            let dataset = FullDataset::build(&cache, NonZeroUsize::MIN);
            (cache, dataset)
        });
        let (header, nonce) = (array(&vector["header"]), nonce(&vector["nonce"]));
        assert_eq!(seed(&header, nonce), array::<64>(&vector["b3_seed64"]));
        expect(cache.hash(&header, nonce), &vector["ethashb3"]);
        expect(dataset.hash(&header, nonce), &vector["ethashb3"]);
        expect(ethash(cache, &header, nonce), &vector["ethash"]);
    }
}

/// Ethash's epochs are shorter, and the numbers of theirs are all that counts.
fn published_epoch(vector: &Value) -> u64 {
    vector["epoch"].as_u64().unwrap_or_else(|| number(&vector["block"]) / number(&vector["epoch_length"]))
}

/// The whole cache of an epoch and every hash of it, in both algorithms.
fn real_epoch(number_wanted: u64) {
    let vectors = vectors();
    let epoch = Epoch::new(number_wanted).unwrap();
    let cache = LightCache::build(epoch);
    let of_epoch = |list: &str| -> Vec<Value> {
        let all = vectors[list].as_array().unwrap();
        all.iter().filter(|vector| number(&vector["epoch"]) == number_wanted).cloned().collect()
    };
    for vector in of_epoch("caches") {
        assert_eq!(sha256(&rows(&cache)), vector["cache_sha256"].as_str().unwrap());
        assert_eq!(cache.row(0).unwrap(), array::<64>(&vector["cache_first64"]));
        assert_eq!(cache.row(cache.sizes().cache_rows - 1).unwrap(), array::<64>(&vector["cache_last64"]));
        assert_eq!(cache.item(0), array::<64>(&vector["dataset_item_0"]));
        let last = 2 * epoch.sizes().dataset_pages - 1;
        assert_eq!(cache.item(last), array::<64>(&vector["dataset_item_last"]));
    }
    let mut hashes = of_epoch("full");
    hashes.extend(of_epoch("mined_shares"));
    for vector in &hashes {
        let (header, nonce) = (array(&vector["header"]), nonce(&vector["nonce"]));
        expect(cache.hash(&header, nonce), vector);
        let [first, _, third, _] =
            cache.hash_many([(&header, nonce), (&[0; 32], 1), (&header, nonce), (&[0; 32], 2)]);
        expect(first, vector);
        expect(third, vector);
    }
    for vector in vectors["ethash_published"].as_array().unwrap() {
        if published_epoch(vector) == number_wanted {
            expect(ethash(&cache, &array(&vector["header"]), nonce(&vector["nonce"])), vector);
        }
    }
}

#[test]
fn hashes_of_epoch_0() {
    real_epoch(0);
}

#[test]
fn hashes_of_epoch_1_the_first_after_a_change() {
    real_epoch(1);
}

#[test]
fn hashes_of_epoch_50() {
    real_epoch(50);
}

#[test]
fn hashes_of_epoch_58() {
    real_epoch(58);
}

#[test]
fn hashes_of_epoch_330() {
    real_epoch(330);
}

#[test]
fn no_vector_is_left_out() {
    let vectors = vectors();
    for list in ["caches", "full", "mined_shares"] {
        for vector in vectors[list].as_array().unwrap() {
            assert!([0, 1, 50, 58, 330].contains(&number(&vector["epoch"])), "{vector}");
        }
    }
    for vector in vectors["ethash_published"].as_array().unwrap() {
        assert!([0, 1, 50, 58, 330].contains(&published_epoch(vector)), "{vector}");
    }
}

#[test]
fn a_share_that_was_mined_meets_its_target() {
    for vector in vectors()["mined_shares"].as_array().unwrap() {
        let header = array(&vector["header"]);
        let seed = seed(&header, nonce(&vector["nonce"]));
        let result = result(&seed, &array(&vector["mix"]));
        assert_eq!(result, array::<32>(&vector["result"]), "the cheap half alone");
        assert!(result <= array::<32>(&vector["target_2e256_div"]));
    }
}

proptest! {
    #[test]
    fn remainders_are_those_of_division(number in 1u32.., of: u32) {
        prop_assert_eq!(Divisor::new(number).remainder(of), of % number);
        prop_assert_eq!(Divisor::new(1).remainder(of), 0);
    }

    #[test]
    fn several_at_once_are_the_same_as_one_by_one(headers: [[u8; 32]; 4], nonces: [u64; 4]) {
        let cache = tiny(0);
        let work = [0, 1, 2, 3].map(|place| (&headers[place], nonces[place]));
        prop_assert_eq!(cache.hash_many(work), work.map(|(header, nonce)| cache.hash(header, nonce)));
    }
}
