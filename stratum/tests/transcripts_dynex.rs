//! Conversations of both generations of Dynex's miners, replayed byte for byte.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod replay;

use pool_core::id::JobId;
use pool_core::time::Micros;
use pool_core::units::Work;
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_stratum::dialect::dynex::{Dynex, DynexPuzzle, DynexWork};
use pool_stratum::session::Submission;
use replay::{Script, transcripts};

/// A job whose blob was written down for the connection's extranonce, which is 1.
#[derive(Debug)]
struct Recorded {
    work: DynexWork,
    blob: Vec<u8>,
}

impl DynexPuzzle for Recorded {
    fn work(&self) -> DynexWork {
        self.work
    }

    fn blob(&self, extranonce: u32) -> Vec<u8> {
        let mut blob = self.blob.clone();
        // Any other extranonce has another root.
        blob[43] ^= extranonce as u8 ^ 1;
        blob
    }
}

impl Script for Dynex<Recorded> {
    const FOLDER: &'static str = "dynex";
    const EXTRANONCE: (u8, usize) = (4, 1);

    fn dialect() -> Self {
        Self::default()
    }

    fn vardiff() -> VardiffRules {
        let difficulty = |whole: u128| Work::new(whole).unwrap();
        let range = WorkRange::new(difficulty(1_000), difficulty(1_000_000)).unwrap();
        VardiffRules::new(Micros::from_secs(20), range, difficulty(20_000)).unwrap()
    }

    /// `ID HEIGHT clean|same BLOB`.
    fn job(words: &[&str]) -> Recorded {
        let id = JobId::new(words[0].parse().unwrap());
        let work = DynexWork { id, height: words[1].parse().unwrap(), clean: words[2] == "clean" };
        Recorded { work, blob: hex::decode(words[3]).unwrap() }
    }

    /// Job, nonce, result, network id and useful-work data.
    fn shown(submission: &Submission<Self>) -> String {
        let solution = &submission.solution;
        let claim = solution.pouw.take().unwrap();
        format!(
            "{} {} {} {} {}",
            submission.job.work.id,
            hex::encode(solution.nonce),
            hex::encode(solution.result),
            claim.mallob.as_str(),
            claim.data,
        )
    }
}

transcripts! {
    Dynex<Recorded>:
    v230 => "v230.txt",
    v235 => "v235.txt",
    v230_logins => "v230-logins.txt",
    outages => "outages.txt",
}
