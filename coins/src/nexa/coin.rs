//! Nexa as a [`Coin`]: from a candidate to a job, from a nonce to a proof, from a proof to a claim on the block.

use super::address::{Address, AddressError};
use super::params::Network;
use super::submission::{Submission, block_id};
use super::template::NexaTemplate;
use crate::hash::nexapow::{NexaPow, NoProof};
use pool_core::coin::{BadAddress, Coin, Cost, RawBlock};
use pool_core::id::{BlockId, JobId, MinerId};
use pool_core::share::{Evidence, Proof, Reject};
use pool_core::units::{Target, U256};
use pool_stratum::dialect::nexa::{NexaPuzzle, NexaSolution, NexaWork};
use std::sync::Arc;

/// Nexa on one of its networks. Clones share the proof's table.
#[derive(Clone, Debug)]
pub struct Nexa {
    network: Network,
    function: Arc<NexaPow>,
    token_addresses: bool,
}

impl Nexa {
    /// Nexa on `network`: addresses of other networks are refused, and those for tokens. Takes a few milliseconds.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self { network, function: Arc::new(NexaPow::new()), token_addresses: false }
    }

    /// Also takes addresses whose template begins with a group, which are meant for tokens.
    #[must_use]
    pub fn with_token_addresses(self, allowed: bool) -> Self {
        Self { token_addresses: allowed, ..self }
    }

    /// The network.
    #[must_use]
    pub const fn network(&self) -> Network {
        self.network
    }

    fn proof(&self, commitment: &[u8; 32], nonce: &[u8]) -> Result<Proof, Reject> {
        match self.function.proof(commitment, nonce) {
            Ok(hash) => Ok(Proof::new(U256::from_le_bytes(hash))),
            Err(NoProof::LongNonce | NoProof::NoKey) => Err(Reject::BadNonce),
        }
    }

    fn address(&self, text: &str) -> Result<Address, AddressError> {
        let address = Address::parse(text, self.network)?;
        if address.is_grouped() && !self.token_addresses {
            return Err(AddressError::Grouped);
        }
        Ok(address)
    }
}

/// The miners' puzzle.
#[derive(Debug)]
pub struct NexaJob {
    id: JobId,
    template: Arc<NexaTemplate>,
}

impl NexaJob {
    /// What miners are told.
    #[must_use]
    pub fn work(&self) -> NexaWork {
        NexaWork {
            id: self.id,
            commitment: self.template.commitment(),
            height: u64::from(self.template.height()),
            bits: self.template.bits(),
            clean: self.template.is_clean(),
        }
    }

    /// What it was made from.
    #[must_use]
    pub const fn template(&self) -> &Arc<NexaTemplate> {
        &self.template
    }
}

impl NexaPuzzle for NexaJob {
    fn work(&self) -> NexaWork {
        Self::work(self)
    }
}

impl Coin for Nexa {
    type Template = NexaTemplate;
    type Job = NexaJob;
    type Solution = NexaSolution;
    const COST: Cost = Cost::Heavy;

    fn job(&self, id: JobId, template: Arc<NexaTemplate>) -> Arc<NexaJob> {
        Arc::new(NexaJob { id, template })
    }

    fn network_target(&self, job: &NexaJob) -> Target {
        job.template.target()
    }

    fn prove(&self, job: &NexaJob, solution: &NexaSolution) -> Result<Proof, Reject> {
        self.proof(&job.template.commitment(), solution.nonce.bytes())
    }

    /// Commitment and nonce, both in hashing order.
    fn evidence(&self, job: &NexaJob, solution: &NexaSolution) -> Evidence {
        let bytes = [&job.template.commitment(), solution.nonce.bytes()].concat();
        Evidence::new(&bytes).expect("48 bytes are within the limit")
    }

    fn reprove(&self, evidence: &Evidence) -> Result<Proof, Reject> {
        let (commitment, nonce) = evidence.bytes().split_first_chunk::<32>().ok_or(Reject::Malformed)?;
        self.proof(commitment, nonce).map_err(|_| Reject::Malformed)
    }

    fn block_id(&self, job: &NexaJob, solution: &NexaSolution) -> BlockId {
        block_id(&job.template.commitment(), &solution.nonce, job.template.height())
    }

    fn assemble(&self, job: &NexaJob, solution: &NexaSolution) -> RawBlock {
        let template = &job.template;
        let submission = Submission {
            node: template.node().to_owned(),
            candidate: template.candidate(),
            commitment: template.commitment(),
            nonce: solution.nonce,
            height: template.height(),
        };
        RawBlock { id: submission.id(), bytes: submission.to_bytes(), height: u64::from(template.height()) }
    }

    fn address(&self, text: &str) -> Result<MinerId, BadAddress> {
        let bad = |error: &dyn ToString| BadAddress(error.to_string());
        let address = self.address(text).map_err(|error| bad(&error))?;
        MinerId::new(&address.to_string()).map_err(|error| bad(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::super::template::CandidateAnswer;
    use super::*;
    use pool_stratum::dialect::nexa::NexaNonce;

    /// Mainnet block 236856.
    fn mainnet() -> (Nexa, Arc<NexaJob>, NexaSolution) {
        let coin = Nexa::new(Network::Mainnet);
        let answer = CandidateAnswer {
            id: 17,
            header_commitment: "f94d7ac17a96db45a95186e20d21fd164def4c644374d848c81b45731fd002aa".into(),
            n_bits: "1a304900".into(),
            previous_block_hash: None,
        };
        let template = NexaTemplate::check(&answer, "http://n:1".into(), Network::Mainnet, 236_856).unwrap();
        let job = coin.job(JobId::new(3), Arc::new(template.with_clean(true)));
        let nonce = NexaNonce::new(&hex::decode("fa0921f55803629697ea7100").unwrap()).unwrap();
        (coin, job, NexaSolution { nonce })
    }

    #[test]
    fn a_real_block_is_proved_named_and_claimed() {
        let (coin, job, solution) = mainnet();
        let proof = coin.prove(&job, &solution).unwrap();
        assert!(proof.meets(coin.network_target(&job)));
        let evidence = coin.evidence(&job, &solution);
        assert_eq!(coin.reprove(&evidence), Ok(proof));
        let raw = coin.assemble(&job, &solution);
        assert_eq!(raw.id, coin.block_id(&job, &solution));
        assert_eq!(raw.height, 236_856);
        let claim = Submission::parse(&raw.bytes).unwrap();
        assert_eq!((claim.candidate, claim.node.as_str(), claim.id()), (17, "http://n:1", raw.id));
        let work = job.work();
        assert_eq!(
            (work.id, work.height, work.bits, work.clean),
            (JobId::new(3), 236_856, 0x1a30_4900, true)
        );
        let other = NexaSolution { nonce: NexaNonce::new(&[1; 12]).unwrap() };
        assert!(!coin.prove(&job, &other).unwrap().meets(coin.network_target(&job)));
    }

    #[test]
    fn evidence_that_is_none_is_malformed() {
        let coin = Nexa::new(Network::Mainnet);
        for bytes in [&[][..], &[1; 31], &[1; 49], &[1; 128]] {
            assert_eq!(coin.reprove(&Evidence::new(bytes).unwrap()), Err(Reject::Malformed));
        }
        assert!(
            coin.reprove(&Evidence::new(&[1; 32]).unwrap()).is_ok(),
            "a nonce may be empty on this chain"
        );
    }

    #[test]
    fn a_miner_reads_what_is_wrong_with_his_address() {
        let coin = Nexa::new(Network::Mainnet);
        let address = |text: &str| Coin::address(&coin, text);
        let good = "nqtsq5g59905h37stp0emhdjh3q2ll7d002cyjq0chegptj3";
        assert_eq!(address(good).unwrap().as_str(), format!("nexa:{good}"));
        assert_eq!(
            address(&format!("NEXA:{}", good.to_uppercase())).unwrap().as_str(),
            format!("nexa:{good}")
        );
        let grouped = "nexa:nqazqy3uqsp4j0zyyufqzy65qc2u9vvm2jthyqgzqvzq2ps8pqys5zcvqgqqq5g5w6syq5aa5z5ghkj3w7ux59wrk204txrn92xzqzsu";
        assert!(address(grouped).unwrap_err().0.contains("tokens"));
        let open = coin.clone().with_token_addresses(true);
        assert_eq!(Coin::address(&open, grouped).unwrap().as_str(), grouped);
        let script = [&[0x98, 200, 0][..], &[7; 199]].concat();
        let long = super::super::address::encode_text("nexa", &script);
        let error = address(&long).unwrap_err().0;
        assert!(error.contains("account must be"), "a book keeps no accounts of any length: {error}");
        assert!(address("kaspa:qr").unwrap_err().0.contains("begin with nexa:"));
    }
}
