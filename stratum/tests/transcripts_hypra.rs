//! Conversations in every grammar of Hypra's miners, replayed byte for byte.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod replay;

use pool_core::id::JobId;
use pool_core::time::Micros;
use pool_core::units::{Target, Work};
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_stratum::dialect::hypra::{Hypra, HypraSolution, HypraWork};
use pool_stratum::session::Submission;
use replay::{Script, transcripts};

fn bytes(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).unwrap();
    bytes
}

impl Script for Hypra {
    const FOLDER: &'static str = "hypra";
    const EXTRANONCE: (u8, usize) = (2, 1);

    fn dialect() -> Self {
        Self::new("Geth/v1.13.1")
    }

    fn vardiff() -> VardiffRules {
        let work = |hashes: u128| Work::new(hashes).unwrap();
        let range = WorkRange::new(work(100), work(1 << 60)).unwrap();
        VardiffRules::new(Micros::from_secs(3), range, work(400)).unwrap()
    }

    /// `ID SEAL_HASH SEED_HASH HEIGHT`, and `clean` for the first of its height.
    fn job(words: &[&str]) -> HypraWork {
        HypraWork {
            id: JobId::new(words[0].parse().unwrap()),
            seal_hash: bytes(words[1]),
            seed_hash: bytes(words[2]),
            height: words[3].parse().unwrap(),
            network: Target::from_work(Work::new(1_002_317).unwrap()),
            clean: words.get(4) == Some(&"clean"),
        }
    }

    fn shown(submission: &Submission<Self>) -> String {
        let HypraSolution { nonce, mix } = submission.solution;
        let mix = mix.map_or_else(|| "no mix".to_owned(), hex::encode);
        format!("{} {nonce:016x} {mix}", submission.job.id)
    }
}

transcripts! {
    Hypra:
    ethproxy => "ethproxy.txt",
    first_stratum => "first-stratum.txt",
    getwork => "getwork.txt",
    nicehash => "nicehash.txt",
    second_stratum => "second-stratum.txt",
    strangers => "strangers.txt",
}
