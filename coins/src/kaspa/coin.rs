//! Kaspa as a [`Coin`]: from a template to a job, from a nonce to a proof, from a proof to a block.

use super::address::Address;
use super::params::Network;
use super::template::KaspaTemplate;
use crate::hash::kheavyhash::{Matrix, pow};
use pool_core::coin::{BadAddress, Coin, Cost, RawBlock};
use pool_core::id::{BlockId, JobId, MinerId};
use pool_core::share::{Evidence, Proof, Reject};
use pool_core::units::Target;
use pool_stratum::dialect::kaspa::{KaspaPuzzle, KaspaSolution, KaspaWork};
use std::sync::Arc;

/// Kaspa on one of its networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kaspa {
    network: Network,
}

impl Kaspa {
    /// Kaspa on `network`: addresses of other networks are refused.
    #[must_use]
    pub const fn new(network: Network) -> Self {
        Self { network }
    }

    /// The network.
    #[must_use]
    pub const fn network(&self) -> Network {
        self.network
    }
}

/// The miners' puzzle, made once per template: the matrix is the dear part.
#[derive(Debug)]
pub struct KaspaJob {
    id: JobId,
    template: Arc<KaspaTemplate>,
    matrix: Matrix,
}

impl KaspaJob {
    /// What miners are told.
    #[must_use]
    pub fn work(&self) -> KaspaWork {
        KaspaWork {
            id: self.id,
            pre_pow: self.template.pre_pow(),
            timestamp: self.template.header().timestamp,
            clean: self.template.is_clean(),
        }
    }

    /// What it was made from.
    #[must_use]
    pub const fn template(&self) -> &Arc<KaspaTemplate> {
        &self.template
    }
}

impl KaspaPuzzle for KaspaJob {
    fn work(&self) -> KaspaWork {
        Self::work(self)
    }
}

/// Pre-PoW hash, timestamp and nonce: all that goes into the proof. Numbers little-endian.
const EVIDENCE_LEN: usize = 32 + 8 + 8;

fn evidence_bytes(pre_pow: &[u8; 32], timestamp: u64, nonce: u64) -> [u8; EVIDENCE_LEN] {
    let mut bytes = [0; EVIDENCE_LEN];
    bytes[..32].copy_from_slice(pre_pow);
    bytes[32..40].copy_from_slice(&timestamp.to_le_bytes());
    bytes[40..].copy_from_slice(&nonce.to_le_bytes());
    bytes
}

impl Coin for Kaspa {
    type Template = KaspaTemplate;
    type Job = KaspaJob;
    type Solution = KaspaSolution;
    const COST: Cost = Cost::Light;

    fn job(&self, id: JobId, template: Arc<KaspaTemplate>) -> Arc<KaspaJob> {
        let matrix = Matrix::new(&template.pre_pow());
        Arc::new(KaspaJob { id, template, matrix })
    }

    fn network_target(&self, job: &KaspaJob) -> Target {
        job.template.target()
    }

    fn prove(&self, job: &KaspaJob, solution: &KaspaSolution) -> Result<Proof, Reject> {
        let template = &job.template;
        let timestamp = template.header().timestamp;
        Ok(Proof::new(pow(&job.matrix, &template.pre_pow(), timestamp, solution.nonce)))
    }

    fn evidence(&self, job: &KaspaJob, solution: &KaspaSolution) -> Evidence {
        let work = job.work();
        Evidence::new(&evidence_bytes(&work.pre_pow, work.timestamp, solution.nonce))
            .expect("48 bytes are within the limit")
    }

    fn reprove(&self, evidence: &Evidence) -> Result<Proof, Reject> {
        let bytes: &[u8; EVIDENCE_LEN] = evidence.bytes().try_into().map_err(|_| Reject::Malformed)?;
        let (pre_pow, rest) = bytes.split_first_chunk::<32>().ok_or(Reject::Malformed)?;
        let (timestamp, nonce) = rest.split_first_chunk::<8>().ok_or(Reject::Malformed)?;
        let nonce: [u8; 8] = nonce.try_into().map_err(|_| Reject::Malformed)?;
        let (timestamp, nonce) = (u64::from_le_bytes(*timestamp), u64::from_le_bytes(nonce));
        Ok(Proof::new(pow(&Matrix::new(pre_pow), pre_pow, timestamp, nonce)))
    }

    fn block_id(&self, job: &KaspaJob, solution: &KaspaSolution) -> BlockId {
        BlockId::new(job.template.block_hash(solution.nonce))
    }

    fn assemble(&self, job: &KaspaJob, solution: &KaspaSolution) -> RawBlock {
        RawBlock {
            id: self.block_id(job, solution),
            bytes: job.template.raw().with_nonce(solution.nonce),
            height: job.template.header().blue_score,
        }
    }

    fn address(&self, text: &str) -> Result<MinerId, BadAddress> {
        let address = Address::parse(text, self.network).map_err(|error| BadAddress(error.to_string()))?;
        MinerId::new(&address.to_string()).map_err(|error| BadAddress(error.to_string()))
    }
}
