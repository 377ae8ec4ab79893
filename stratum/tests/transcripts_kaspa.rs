//! Conversations of every family of Kaspa's miners, replayed byte for byte.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod replay;

use pool_core::id::JobId;
use pool_core::time::Micros;
use pool_core::units::Work;
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_stratum::dialect::kaspa::{Kaspa, KaspaSolution, KaspaWork};
use pool_stratum::session::Submission;
use replay::{Script, transcripts};

impl Script for Kaspa {
    const FOLDER: &'static str = "kaspa";
    const EXTRANONCE: (u8, usize) = (2, 0x21);

    fn dialect() -> Self {
        Self::default()
    }

    fn vardiff() -> VardiffRules {
        let difficulty = |whole: u128| Work::new(whole << 32).unwrap();
        let range = WorkRange::new(difficulty(1), difficulty(1 << 30)).unwrap();
        VardiffRules::new(Micros::from_secs(3), range, difficulty(8192)).unwrap()
    }

    fn job(words: &[&str]) -> KaspaWork {
        let mut pre_pow = [0; 32];
        hex::decode_to_slice(words[1], &mut pre_pow).unwrap();
        let id = JobId::new(words[0].parse().unwrap());
        KaspaWork { id, pre_pow, timestamp: words[2].parse().unwrap(), clean: true }
    }

    fn shown(submission: &Submission<Self>) -> String {
        let KaspaSolution { nonce } = submission.solution;
        format!("{} {nonce:016x}", submission.job.id)
    }
}

transcripts! {
    Kaspa:
    anonymous => "anonymous.txt",
    bitmain => "bitmain.txt",
    bzminer => "bzminer.txt",
    goldshell => "goldshell.txt",
    iceriver => "iceriver.txt",
    kaspa_miner => "kaspa-miner.txt",
    lolminer => "lolminer.txt",
    nicehash => "nicehash.txt",
    srbminer => "srbminer.txt",
}
