//! The corpus of every target, and a fixed stream of mutations of it: what a fuzzer would do, without one.
//!
//! Each target is a test of its own. The stream depends on the target's name and its corpus alone, so a failure fails
//! again, and it prints the input that made it; put that into the corpus once it is mended.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use poolwright_fuzz::mutator::Mutator;
use poolwright_fuzz::targets::{ALL, Target};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// A corpus is read by people, and copied with every clone.
const FILE_BYTES_MAX: u64 = 8 * 1024;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder().join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())
        })
        .collect();
    // The order of a folder is the file system's; the stream of mutations must not be.
    inputs.sort();
    inputs
}

fn run(target: &Target, origin: &str, input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        eprintln!("{} broke on {origin}, {} bytes:\n{}", target.name, input.len(), input.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

fn replay(name: &str, mutations: usize) {
    let target = ALL.iter().find(|target| target.name == name).unwrap();
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "a target begins with something");
    run(target, "nothing", &[]);
    for (file, input) in &corpus {
        run(target, file, input);
    }
    let inputs: Vec<Vec<u8>> = corpus.into_iter().map(|(_, input)| input).collect();
    let mut mutator = Mutator::new(name, &inputs);
    for number in 0..mutations {
        run(target, &format!("mutation {number}"), &mutator.input());
    }
}

macro_rules! replay {
    ($($name:ident: $mutations:literal),+ $(,)?) => {
        $(#[test] fn $name() { replay(stringify!($name), $mutations); })+

        #[test]
        fn every_target_is_replayed() {
            let mut replayed = [$(stringify!($name)),+];
            replayed.sort_unstable();
            assert_eq!(ALL.iter().map(|target| target.name).collect::<Vec<_>>(), replayed);
        }
    };
}

// How many: as many as take a target about a second without optimisation.
replay! {
    alephium_address: 3_000,
    alephium_line: 1_000,
    alephium_message: 2_000,
    alephium_template: 2_000,
    alephium_tx: 5_000,
    coinbase_payload: 20_000,
    compact_bits: 5_000,
    difficulty_text: 5_000,
    dynex_address: 2_000,
    dynex_block: 3_000,
    dynex_line: 3_000,
    dynex_node: 5_000,
    dynex_tx: 20_000,
    export_log: 1_000,
    hypra_address: 3_000,
    hypra_answer: 2_000,
    hypra_line: 300,
    hypra_transaction: 3_000,
    kaspa_address: 3_000,
    kaspa_line: 2_000,
    ledger_names: 10_000,
    names_and_units: 10_000,
    nexa_address: 1_000,
    nexa_block: 3_000,
    nexa_line: 1_000,
    nexa_node: 3_000,
    node_block: 5_000,
    proxy_header: 5_000,
    records: 2_000,
    reward_case: 1_000,
    scheme_params: 2_000,
    statement: 1_000,
    stratum_frame: 5_000,
    stratum_session: 1_000,
    tally_snapshot: 5_000,
}

#[test]
fn the_corpus_is_small_and_every_folder_has_a_target() {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        found.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
        for file in std::fs::read_dir(&path).unwrap() {
            let file = file.unwrap();
            assert!(
                file.metadata().unwrap().len() <= FILE_BYTES_MAX,
                "{} is too large",
                file.path().display()
            );
        }
    }
    assert_eq!(found, ALL.iter().map(|target| target.name.to_owned()).collect());
}
