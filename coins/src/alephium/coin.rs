//! Alephium as a [`Coin`]: from sixteen templates to a job, from a nonce to a proof, from a proof to a block.
//!
//! A job holds the newest template of every chain, and a solution says which chain it is for. The hash itself decides
//! where a block belongs, so a solution whose hash lands on another chain is none ([`Reject::WrongChain`]), however
//! small it is; that is why sixteen hashes stand behind one unit of work ([`Coin::HASHES_PER_WORK`]).
//!
//! The evidence of a share is the whole header, 326 bytes, because the nonce comes first: nothing shorter proves the
//! same work to somebody who has not kept the templates.

use super::address::Address;
use super::chain::{CHAINS, ChainIndex};
use super::header::HeaderBlob;
use super::template::{AlephiumTemplate, ChainTemplate};
use crate::hash::double_blake3::{self, BLOB_LEN, HEADER_LEN, NONCE_LEN};
use pool_core::coin::{BadAddress, Coin, Cost, RawBlock};
use pool_core::id::{BlockId, JobId, MinerId};
use pool_core::share::{Evidence, Proof, Reject};
use pool_core::units::{Target, U256};
use pool_stratum::dialect::alephium::{AlephiumPuzzle, AlephiumSolution, AlephiumWork};
use std::sync::Arc;

/// Alephium. Its rules are the same on every network, and so are its addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alephium;

/// The miners' puzzle: a number and the templates.
#[derive(Debug)]
pub struct AlephiumJob {
    id: JobId,
    template: Arc<AlephiumTemplate>,
}

impl AlephiumJob {
    /// What it was made from.
    #[must_use]
    pub const fn template(&self) -> &Arc<AlephiumTemplate> {
        &self.template
    }

    fn of(&self, chain: u8) -> Option<&Arc<ChainTemplate>> {
        self.template.of(ChainIndex::of_place(chain)?)
    }
}

impl AlephiumPuzzle for AlephiumJob {
    fn id(&self) -> JobId {
        self.id
    }

    fn live(&self) -> &[u8] {
        self.template.live()
    }

    fn work(&self, chain: u8) -> Option<AlephiumWork<'_>> {
        let template = self.of(chain)?;
        Some(AlephiumWork { blob: template.blob().bytes(), height: template.height() })
    }
}

/// A whole header: nonce, then blob.
fn header(nonce: &[u8; NONCE_LEN], blob: &[u8; BLOB_LEN]) -> [u8; HEADER_LEN] {
    let mut bytes = [0; HEADER_LEN];
    bytes[..NONCE_LEN].copy_from_slice(nonce);
    bytes[NONCE_LEN..].copy_from_slice(blob);
    bytes
}

/// Of a solution whose chain the job does not have, which [`Coin::prove`] refuses before anything else is asked.
const NO_CHAIN: [u8; 32] = [0xff; 32];

impl Coin for Alephium {
    type Template = AlephiumTemplate;
    type Job = AlephiumJob;
    type Solution = AlephiumSolution;
    const COST: Cost = Cost::Light;
    const HASHES_PER_WORK: u64 = CHAINS as u64;

    fn job(&self, id: JobId, template: Arc<AlephiumTemplate>) -> Arc<AlephiumJob> {
        Arc::new(AlephiumJob { id, template })
    }

    fn network_target(&self, job: &AlephiumJob) -> Target {
        job.template.easiest()
    }

    fn network_target_of(&self, job: &AlephiumJob, solution: &AlephiumSolution) -> Target {
        job.of(solution.chain).map_or(Target::new(U256::ZERO), |template| template.target())
    }

    fn chain(&self, _job: &AlephiumJob, solution: &AlephiumSolution) -> u16 {
        u16::from(solution.chain)
    }

    /// The hash as a big-endian number. A second block of a template that already made one is not a block: its number
    /// is then raised to just above the network's target, which earns the share and nothing more.
    fn prove(&self, job: &AlephiumJob, solution: &AlephiumSolution) -> Result<Proof, Reject> {
        let template = job.of(solution.chain).ok_or(Reject::UnknownJob)?;
        let hash = template.hash(&solution.nonce);
        if ChainIndex::of_hash(&hash) != template.chain() {
            return Err(Reject::WrongChain);
        }
        let number = U256::from_be_bytes(hash);
        let network = template.target().get();
        if number <= network && template.used().is_marked() {
            return Ok(Proof::new(network.saturating_add(U256::ONE)));
        }
        Ok(Proof::new(number))
    }

    fn evidence(&self, job: &AlephiumJob, solution: &AlephiumSolution) -> Evidence {
        let blob = job.of(solution.chain).map_or([0; BLOB_LEN], |template| *template.blob().bytes());
        Evidence::new(&header(&solution.nonce, &blob)).expect("326 bytes are within the limit")
    }

    fn reprove(&self, evidence: &Evidence) -> Result<Proof, Reject> {
        let bytes: &[u8; HEADER_LEN] = evidence.bytes().try_into().map_err(|_| Reject::Malformed)?;
        let (nonce, blob) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(Reject::Malformed)?;
        let blob = HeaderBlob::new(blob).map_err(|_| Reject::Malformed)?;
        Ok(Proof::new(U256::from_be_bytes(blob.hash(nonce))))
    }

    fn block_id(&self, job: &AlephiumJob, solution: &AlephiumSolution) -> BlockId {
        BlockId::new(job.of(solution.chain).map_or(NO_CHAIN, |template| template.hash(&solution.nonce)))
    }

    fn assemble(&self, job: &AlephiumJob, solution: &AlephiumSolution) -> RawBlock {
        let template = job.of(solution.chain);
        RawBlock {
            id: self.block_id(job, solution),
            bytes: template.map_or_else(Vec::new, |template| template.block(&solution.nonce)),
            height: template.map_or(0, |template| u64::from(template.height())),
        }
    }

    fn address(&self, text: &str) -> Result<MinerId, BadAddress> {
        let address = Address::parse(text).map_err(|error| BadAddress(error.to_string()))?;
        MinerId::new(&address.to_string()).map_err(|error| BadAddress(error.to_string()))
    }
}

/// What `poolctl pow alephium` prints: the proof of a header, and where it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowAnswer {
    /// The hash, big-endian; also the block's name.
    pub pow: [u8; 32],
    /// The chain it lands on.
    pub chain: ChainIndex,
}

/// Why a text asks for no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPowQuestion {
    /// Not 48 digits.
    #[error("nonce must be 48 hexadecimal digits")]
    Nonce,
    /// Not 604 digits.
    #[error("header_blob must be 604 hexadecimal digits")]
    Blob,
}

/// The proof of a nonce in 48 and a header blob in 604 hexadecimal digits.
///
/// # Errors
/// [`BadPowQuestion`].
pub fn pow_of_text(nonce: &str, blob: &str) -> Result<PowAnswer, BadPowQuestion> {
    let (mut nonce_bytes, mut blob_bytes) = ([0; NONCE_LEN], [0; BLOB_LEN]);
    hex::decode_to_slice(nonce, &mut nonce_bytes).map_err(|_| BadPowQuestion::Nonce)?;
    hex::decode_to_slice(blob, &mut blob_bytes).map_err(|_| BadPowQuestion::Blob)?;
    let pow = double_blake3::pow(&nonce_bytes, &blob_bytes);
    Ok(PowAnswer { pow, chain: ChainIndex::of_hash(&pow) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alephium::wire::Offer;
    use pool_core::id::{InstanceId, Worker, WorkerName};
    use pool_core::share::{Candidate, Verdict, judge};
    use pool_core::time::Timestamp;

    fn vectors() -> serde_json::Value {
        serde_json::from_str(include_str!("../../testdata/alephium.json")).unwrap()
    }

    /// The job of a published header on the chain it belongs to, and its solution.
    fn published(place: usize, on: Option<(u32, u32)>) -> (Arc<AlephiumJob>, AlephiumSolution, String) {
        let row = vectors()["pow"][place].clone();
        let mut nonce = [0; NONCE_LEN];
        hex::decode_to_slice(row["nonce"].as_str().unwrap(), &mut nonce).unwrap();
        let blob = HeaderBlob::new(&hex::decode(row["headerBlob"].as_str().unwrap()).unwrap()).unwrap();
        let number = |index: usize| u32::try_from(row["chain"][index].as_u64().unwrap()).unwrap();
        let (from, to) = on.unwrap_or((number(0), number(1)));
        let chain = ChainIndex::of_numbers(from, to).unwrap();
        let target = blob.target().expand().unwrap();
        let offer = Offer { chain, blob, txs: vec![0], target, height: 77 };
        let template = Arc::new(ChainTemplate::check(offer).unwrap());
        let bundle = Arc::new(AlephiumTemplate::new([template]).unwrap());
        let job = Alephium.job(JobId::new(3), bundle);
        (job, AlephiumSolution { chain: chain.place(), nonce }, row["hash"].as_str().unwrap().to_owned())
    }

    fn verdict(job: &AlephiumJob, solution: &AlephiumSolution, share_target: Target) -> Verdict {
        let proof = Alephium.prove(job, solution).unwrap();
        let candidate = Candidate {
            instance: InstanceId::new(1),
            at: Timestamp::from_millis(1),
            worker: Worker { miner: MinerId::new("a").unwrap(), name: WorkerName::clean("w") },
            share_target,
            network_target: Alephium.network_target_of(job, solution),
            chain: Alephium.chain(job, solution),
            evidence: Alephium.evidence(job, solution),
            block: Alephium.block_id(job, solution),
        };
        judge(candidate, proof)
    }

    #[test]
    fn real_blocks_are_blocks_by_their_own_names() {
        for place in [0, 1, 4] {
            let (job, solution, hash) = published(place, None);
            let proof = Alephium.prove(&job, &solution).unwrap();
            assert!(proof.meets(Alephium.network_target_of(&job, &solution)));
            assert_eq!(Alephium.block_id(&job, &solution).to_string(), hash);
            let raw = Alephium.assemble(&job, &solution);
            assert_eq!((raw.bytes.len(), raw.height, raw.id.to_string()), (327, 77, hash));
            let evidence = Alephium.evidence(&job, &solution);
            assert_eq!(Alephium.reprove(&evidence), Ok(proof));
            let Verdict::Accepted(share) = verdict(&job, &solution, Target::MAX) else { panic!() };
            assert!(share.block().is_some());
            assert_eq!(share.record().chain, u16::from(solution.chain));
        }
    }

    #[test]
    fn a_hash_on_another_chain_earns_nothing() {
        let (job, solution, _) = published(0, Some((1, 2)));
        assert_eq!(Alephium.prove(&job, &solution), Err(Reject::WrongChain));
        let elsewhere = AlephiumSolution { chain: 9, ..solution };
        assert_eq!(Alephium.prove(&job, &elsewhere), Err(Reject::UnknownJob));
        assert_eq!(Alephium.network_target_of(&job, &elsewhere), Target::new(U256::ZERO));
    }

    #[test]
    fn a_used_template_gives_shares_and_no_second_block() {
        let (job, solution, _) = published(0, None);
        let Verdict::Accepted(first) = verdict(&job, &solution, Target::MAX) else { panic!() };
        assert!(first.block().is_some());
        job.of(solution.chain).unwrap().used().mark();
        let Verdict::Accepted(second) = verdict(&job, &solution, Target::MAX) else { panic!() };
        assert!(second.block().is_none());
        assert_eq!(first.record().units, second.record().units);
    }

    #[test]
    fn evidence_of_another_shape_is_refused() {
        for bytes in [&[0u8; 48][..], &[0; HEADER_LEN - 1], &[1; HEADER_LEN]] {
            assert_eq!(Alephium.reprove(&Evidence::new(bytes).unwrap()), Err(Reject::Malformed));
        }
    }

    #[test]
    fn addresses_are_canonical_accounts() {
        let account = |text: &str| Alephium.address(text).map(|miner| miner.to_string());
        let plain = "3ccJ8aEBYKBPJKuk6b9yZ1W1oFDYPesa3qQeM8v9jhaJtbSaueJ3L";
        assert_eq!(account(plain), account(&format!("{plain}:1")));
        assert!(account("22sTaM5xer7h81LzaGA2JiajRwHwECpAv9bBuFUH5rrnr").unwrap_err().0.contains("contract"));
    }

    #[test]
    fn a_question_in_text_is_answered() {
        let row = vectors()["pow"][2].clone();
        let (nonce, blob) = (row["nonce"].as_str().unwrap(), row["headerBlob"].as_str().unwrap());
        let answer = pow_of_text(nonce, blob).unwrap();
        assert_eq!(hex::encode(answer.pow), row["hash"].as_str().unwrap());
        assert_eq!(answer.chain.to_string(), "(1,2)");
        assert_eq!(pow_of_text("00", blob), Err(BadPowQuestion::Nonce));
        assert_eq!(pow_of_text(nonce, "00"), Err(BadPowQuestion::Blob));
    }
}
