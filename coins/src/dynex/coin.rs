//! Dynex as a [`Coin`]: the first stage of a share's verification, which is all that can be verified by computing.
//!
//! A submit claims a hash. The claim is compared with the least difficulty the pool gives anybody, which costs nothing
//! and ends floods of junk; then the blob is rebuilt from the job's own template, the connection's extranonce and the
//! nonce, and hashed once; the claim must be what comes out, and only what came out is judged. What the claim says of
//! useful work is the second stage's ([`super::pouw`]); nothing here looks at it.

use super::address::Payee;
use super::params::Network;
use super::template::DynexTemplate;
use crate::hash::cryptonight::{Scratchpad, dynex_hash};
use pool_core::coin::{BadAddress, Coin, Cost, RawBlock};
use pool_core::id::{BlockId, JobId, MinerId};
use pool_core::share::{Evidence, Proof, Reject};
use pool_core::units::{Target, U256, Work};
use pool_stratum::dialect::dynex::{DynexPuzzle, DynexSolution, DynexWork, share_target};
use std::sync::{Arc, Mutex, PoisonError};

/// Scratchpads kept for use again. More proofs than this at once allocate their own.
const SCRATCHPADS_MAX: usize = 64;

/// Dynex on one of its networks.
#[derive(Clone, Debug)]
pub struct Dynex {
    network: Network,
    payment_ids: bool,
    floor: Target,
    scratchpads: Arc<Mutex<Vec<Scratchpad>>>,
}

impl Dynex {
    /// Dynex on `network`, without payment ids.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self { network, payment_ids: false, floor: Target::MAX, scratchpads: Arc::default() }
    }

    /// Takes accounts with a payment id. Each of them needs a transaction of its own, so batches then hold one item:
    /// see `wallet::payout_limits`.
    #[must_use]
    pub fn with_payment_ids(self, payment_ids: bool) -> Self {
        Self { payment_ids, ..self }
    }

    /// Refuses solutions that do not even claim a share of `work`, the least the pool gives anybody, without hashing.
    #[must_use]
    pub fn with_floor(self, work: Work) -> Self {
        Self { floor: share_target(work), ..self }
    }

    /// The network.
    #[must_use]
    pub const fn network(&self) -> Network {
        self.network
    }

    /// The proof-of-work hash of any blob, in a scratchpad that is used again.
    #[must_use]
    pub fn hash(&self, blob: &[u8]) -> [u8; 32] {
        let pads = || self.scratchpads.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pad = pads().pop().unwrap_or_default();
        let hash = dynex_hash(blob, &mut pad);
        let mut pads = pads();
        if pads.len() < SCRATCHPADS_MAX {
            pads.push(pad);
        }
        hash
    }
}

/// A hash as the number the chain compares.
fn proof(hash: [u8; 32]) -> Proof {
    Proof::new(U256::from_le_bytes(hash))
}

/// The miners' puzzle.
#[derive(Debug)]
pub struct DynexJob {
    id: JobId,
    template: Arc<DynexTemplate>,
}

impl DynexJob {
    /// What it was made from.
    #[must_use]
    pub const fn template(&self) -> &Arc<DynexTemplate> {
        &self.template
    }
}

impl DynexPuzzle for DynexJob {
    fn work(&self) -> DynexWork {
        DynexWork { id: self.id, height: self.template.height(), clean: self.template.is_clean() }
    }

    fn blob(&self, extranonce: u32) -> Vec<u8> {
        self.template.hashing_blob(extranonce, [0; 4])
    }
}

impl Coin for Dynex {
    type Template = DynexTemplate;
    type Job = DynexJob;
    type Solution = DynexSolution;
    const COST: Cost = Cost::Heavy;

    fn job(&self, id: JobId, template: Arc<DynexTemplate>) -> Arc<DynexJob> {
        Arc::new(DynexJob { id, template })
    }

    fn network_target(&self, job: &DynexJob) -> Target {
        job.template.target()
    }

    fn prove(&self, job: &DynexJob, solution: &DynexSolution) -> Result<Proof, Reject> {
        let easiest = self.floor.max(job.template.target());
        if !proof(solution.result).meets(easiest) {
            return Err(Reject::LowDifficulty);
        }
        let hash = self.hash(&job.template.hashing_blob(solution.extranonce, solution.nonce));
        if hash == solution.result { Ok(proof(hash)) } else { Err(Reject::WrongResult) }
    }

    fn evidence(&self, job: &DynexJob, solution: &DynexSolution) -> Evidence {
        let blob = job.template.hashing_blob(solution.extranonce, solution.nonce);
        Evidence::new(&blob).expect("43 bytes of header, a root and a count are within the limit")
    }

    fn reprove(&self, evidence: &Evidence) -> Result<Proof, Reject> {
        // Header, root, and a count of one to ten bytes.
        if !(76..=85).contains(&evidence.bytes().len()) {
            return Err(Reject::Malformed);
        }
        Ok(proof(self.hash(evidence.bytes())))
    }

    fn block_id(&self, job: &DynexJob, solution: &DynexSolution) -> BlockId {
        BlockId::new(job.template.block_id(solution.extranonce, solution.nonce))
    }

    fn assemble(&self, job: &DynexJob, solution: &DynexSolution) -> RawBlock {
        RawBlock {
            id: self.block_id(job, solution),
            bytes: job.template.block(solution.extranonce, solution.nonce),
            height: job.template.height(),
        }
    }

    fn address(&self, text: &str) -> Result<MinerId, BadAddress> {
        let payee = Payee::parse(text).map_err(|error| BadAddress(error.to_string()))?;
        if payee.payment_id.is_some() && !self.payment_ids {
            return Err(BadAddress(
                "this pool pays no payment ids: mine to an address of your own, not an exchange's".into(),
            ));
        }
        MinerId::new(&payee.to_string()).map_err(|error| BadAddress(error.to_string()))
    }
}

/// What `poolctl` prints of a blob: its proof-of-work hash.
///
/// # Errors
/// The text for a screen, for what is no hexadecimal.
pub fn pow_of_hex(blob: &str) -> Result<[u8; 32], String> {
    let blob = hex::decode(blob.trim()).map_err(|error| format!("the blob is no hexadecimal: {error}"))?;
    Ok(dynex_hash(&blob, &mut Scratchpad::new()))
}

#[cfg(test)]
mod tests {
    use super::super::template::tests::{POOL, bytes, expected, stated, text, vectors};
    use super::*;

    fn solution(share: &serde_json::Value) -> DynexSolution {
        DynexSolution {
            extranonce: 1,
            nonce: bytes(share, "nonce").try_into().unwrap(),
            result: bytes(share, "result").try_into().unwrap(),
            pouw: Default::default(),
        }
    }

    #[test]
    fn every_published_share_is_proved_and_makes_the_published_block() {
        let coin = Dynex::new(Network::Mainnet);
        for vector in vectors() {
            let share = &vector["share"];
            let template =
                DynexTemplate::check(&bytes(&vector, "blocktemplate_blob"), stated(&vector), &expected())
                    .unwrap();
            let job = coin.job(JobId::new(1), Arc::new(template));
            assert_eq!(hex::encode(job.blob(1)), text(&vector, "job_blob"));
            let solution = solution(share);
            let proof = coin.prove(&job, &solution).unwrap();
            assert_eq!(
                (U256::MAX / proof.hash()).to_string(),
                text(share, "share_difficulty"),
                "difficulty is the quotient"
            );
            let difficulty = share["min_difficulty"].as_u64().unwrap();
            assert!(proof.meets(share_target(Work::new(u128::from(difficulty)).unwrap())));
            let evidence = coin.evidence(&job, &solution);
            assert_eq!(coin.reprove(&evidence), Ok(proof));
            let raw = coin.assemble(&job, &solution);
            assert_eq!(hex::encode(&raw.bytes), text(share, "submit_block_blob"));
            assert_eq!((raw.id.to_string(), raw.height), (text(share, "block_id").into(), 385_301));
        }
    }

    #[test]
    fn a_claim_is_held_against_what_comes_out_and_junk_is_not_hashed() {
        let vector = &vectors()[0];
        let template =
            DynexTemplate::check(&bytes(vector, "blocktemplate_blob"), stated(vector), &expected()).unwrap();
        let coin = Dynex::new(Network::Mainnet).with_floor(Work::new(1_000).unwrap());
        let job = coin.job(JobId::new(1), Arc::new(template));
        let good = solution(&vector["share"]);
        assert!(coin.prove(&job, &good).is_ok());
        let better = DynexSolution { result: [0; 32], ..good.clone() };
        assert_eq!(coin.prove(&job, &better), Err(Reject::WrongResult), "too good to be true");
        let elsewhere = DynexSolution { extranonce: 2, ..good.clone() };
        assert_eq!(coin.prove(&job, &elsewhere), Err(Reject::WrongResult));
        let junk = DynexSolution { result: [0xff; 32], ..good };
        assert_eq!(coin.prove(&job, &junk), Err(Reject::LowDifficulty));
        for len in [0, 75, 86, 128] {
            assert_eq!(coin.reprove(&Evidence::new(&vec![0; len]).unwrap()), Err(Reject::Malformed), "{len}");
        }
    }

    #[test]
    fn payment_ids_are_taken_where_the_pool_pays_them() {
        let plain = Dynex::new(Network::Mainnet);
        let with = plain.clone().with_payment_ids(true);
        let account = format!("{POOL}#{}", "ab".repeat(32));
        assert_eq!(plain.address(POOL).unwrap().as_str(), POOL);
        assert!(plain.address(&account).unwrap_err().to_string().contains("payment id"));
        assert_eq!(with.address(&account).unwrap().as_str(), account);
        assert!(with.address("Xw").unwrap_err().to_string().contains("2 characters"));
    }

    #[test]
    fn a_blob_in_hexadecimal_has_its_hash() {
        let share = &vectors()[0]["share"];
        let hash = pow_of_hex(text(share, "hashing_blob_with_nonce")).unwrap();
        assert_eq!(hex::encode(hash), text(share, "result"));
        assert!(pow_of_hex("0g").is_err());
    }
}
