//! Conversations of both of Nexa's grammars, replayed byte for byte.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod replay;

use pool_core::id::JobId;
use pool_core::time::Micros;
use pool_core::units::Work;
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_stratum::dialect::nexa::{Nexa, NexaWork};
use pool_stratum::session::Submission;
use replay::{Script, transcripts};

impl Script for Nexa {
    const FOLDER: &'static str = "nexa";
    // Echelon's published vector has the extranonce 1000000000000000.
    const EXTRANONCE: (u8, usize) = (2, 0x1000);

    fn dialect() -> Self {
        Self::default()
    }

    fn vardiff() -> VardiffRules {
        let hashes = |hashes: u128| Work::new(hashes).unwrap();
        let range = WorkRange::new(hashes(1 << 20), hashes(1 << 60)).unwrap();
        // About a hundredth of a difficulty: 0.009765625.
        VardiffRules::new(Micros::from_secs(3), range, hashes(41_943_040)).unwrap()
    }

    fn job(words: &[&str]) -> NexaWork {
        let mut commitment = [0; 32];
        hex::decode_to_slice(words[1], &mut commitment).unwrap();
        NexaWork {
            id: JobId::new(words[0].parse().unwrap()),
            commitment,
            height: words[2].parse().unwrap(),
            bits: u32::from_str_radix(words[3], 16).unwrap(),
            clean: words[4] == "clean",
        }
    }

    fn shown(submission: &Submission<Self>) -> String {
        format!("{} {}", submission.job.id, hex::encode(submission.solution.nonce.bytes()))
    }
}

transcripts! {
    Nexa:
    bzminer => "bzminer.txt",
    hailed => "hailed.txt",
    nicehash => "nicehash.txt",
    wildrig => "wildrig.txt",
}
