//! Conversations of Alephium's miners in all three grammars, replayed byte for byte.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod replay;

use pool_core::id::JobId;
use pool_core::time::Micros;
use pool_core::units::Work;
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_stratum::dialect::alephium::{Alephium, AlephiumPuzzle, AlephiumSolution, AlephiumWork};
use pool_stratum::session::Submission;
use replay::{Script, transcripts};

/// A job with one chain.
#[derive(Debug)]
struct OneChain {
    id: JobId,
    live: [u8; 1],
    blob: [u8; 302],
    height: u32,
}

impl AlephiumPuzzle for OneChain {
    fn id(&self) -> JobId {
        self.id
    }

    fn live(&self) -> &[u8] {
        &self.live
    }

    fn work(&self, chain: u8) -> Option<AlephiumWork<'_>> {
        (chain == self.live[0]).then_some(AlephiumWork { blob: &self.blob, height: self.height })
    }
}

impl Script for Alephium<OneChain> {
    const FOLDER: &'static str = "alephium";
    const EXTRANONCE: (u8, usize) = (2, 0x17a5);

    fn dialect() -> Self {
        Self::default()
    }

    fn vardiff() -> VardiffRules {
        let difficulty = |whole: u128| Work::new(whole << 30).unwrap();
        let range = WorkRange::new(difficulty(1), difficulty(1 << 30)).unwrap();
        VardiffRules::new(Micros::from_secs(3), range, difficulty(4096)).unwrap()
    }

    /// `ID CHAIN HEIGHT BLOB`
    fn job(words: &[&str]) -> OneChain {
        let mut blob = [0; 302];
        hex::decode_to_slice(words[3], &mut blob).unwrap();
        let number = |word: usize| words[word].parse::<u64>().unwrap();
        OneChain {
            id: JobId::new(number(0)),
            live: [u8::try_from(number(1)).unwrap()],
            blob,
            height: u32::try_from(number(2)).unwrap(),
        }
    }

    fn shown(submission: &Submission<Self>) -> String {
        let AlephiumSolution { chain, nonce } = submission.solution;
        format!("{} {chain} {}", submission.job.id, hex::encode(nonce))
    }
}

transcripts! {
    Alephium<OneChain>:
    bzminer => "bzminer.txt",
    document => "document.txt",
    every_error => "every-error.txt",
    iceriver => "iceriver.txt",
    kryptex => "kryptex.txt",
    miningcore => "miningcore.txt",
    official => "official.txt",
}
