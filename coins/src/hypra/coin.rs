//! Hypra as a [`Coin`]: from a node's work to a job, from a nonce to a proof, from a proof to what the node completes.

use super::address::Address;
use super::epochs::{CacheRules, EpochCaches};
use super::fate::Sealed;
use super::params::Network;
use super::prover::Prover;
use crate::hash::ethashb3::{self, Epoch, Hashed, LightCache, TooLate};
use pool_core::coin::{BadAddress, Coin, Cost, RawBlock};
use pool_core::id::{BlockId, JobId, MinerId};
use pool_core::share::{Evidence, Proof, Reject};
use pool_core::units::{Target, U256};
use pool_stratum::dialect::hypra::{HypraPuzzle, HypraSolution, HypraWork};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// Hypra on one of its networks. Clones share the caches.
#[derive(Clone, Debug)]
pub struct Hypra {
    network: Network,
    caches: Arc<EpochCaches>,
    prover: Arc<Prover>,
}

impl Hypra {
    /// Hypra on `network`, with caches that somebody builds (see [`EpochCaches`]): until then every proof is refused as
    /// [`Reject::Busy`].
    ///
    /// Proofs use at most `cores` cores at a time. Called from four times as many threads, each core proves four shares
    /// at once, in hardly longer than one takes.
    #[must_use]
    pub fn new(network: Network, caches: Arc<EpochCaches>, cores: NonZeroUsize) -> Self {
        Self { network, caches, prover: Arc::new(Prover::new(cores)) }
    }

    /// As [`Hypra::new`], with caches of its own and all of the machine's cores.
    #[must_use]
    pub fn with_rules(network: Network, rules: CacheRules) -> Self {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self::new(network, Arc::new(EpochCaches::new(rules)), cores)
    }

    /// The network.
    #[must_use]
    pub const fn network(&self) -> Network {
        self.network
    }

    /// The caches, to be told of heights and to be built.
    #[must_use]
    pub const fn caches(&self) -> &Arc<EpochCaches> {
        &self.caches
    }
}

/// The proof-of-work function by itself: mix and result of a sealed header's hash and a nonce at a height. Builds the
/// cache for it, and drops it again.
///
/// # Errors
/// [`TooLate`] for a height past the last epoch.
pub fn pow(height: u64, header: &[u8; 32], nonce: u64) -> Result<Hashed, TooLate> {
    Ok(LightCache::build(Epoch::of_block(height)?).hash(header, nonce))
}

/// What stands in for a block's hash: height, nonce and the first half of the mix, 32 bytes in all, big-endian.
///
/// The node alone knows the header, so the pool cannot hash it. These three the pool does know, the chain shows them of
/// every block and uncle, and there are no two blocks with the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FoundName {
    height: u64,
    nonce: u64,
    mix_half: [u8; 16],
}

impl FoundName {
    /// The name of a block.
    #[must_use]
    pub fn new(height: u64, nonce: u64, mix: &[u8; 32]) -> Self {
        let mut mix_half = [0; 16];
        mix_half.copy_from_slice(&mix[..16]);
        Self { height, nonce, mix_half }
    }

    /// The height it was mined for.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.height
    }

    /// True for the block or uncle of this name.
    #[must_use]
    pub fn names(&self, sealed: &Sealed) -> bool {
        *self == Self::new(sealed.number, sealed.nonce, &sealed.mix)
    }
}

impl From<FoundName> for BlockId {
    fn from(name: FoundName) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&name.height.to_be_bytes());
        bytes[8..16].copy_from_slice(&name.nonce.to_be_bytes());
        bytes[16..].copy_from_slice(&name.mix_half);
        Self::new(bytes)
    }
}

impl From<&BlockId> for FoundName {
    fn from(id: &BlockId) -> Self {
        let bytes = id.bytes();
        let number = |from: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[from..from + 8]);
            u64::from_be_bytes(eight)
        };
        let mut mix_half = [0; 16];
        mix_half.copy_from_slice(&bytes[16..]);
        Self { height: number(0), nonce: number(8), mix_half }
    }
}

impl fmt::Display for FoundName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BlockId::from(*self).fmt(f)
    }
}

/// What a node is given to complete a block: nonce, seal hash and mix. These 72 bytes are a [`RawBlock`]'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The nonce.
    pub nonce: u64,
    /// Which header it is for.
    pub seal_hash: [u8; 32],
    /// The mix.
    pub mix: [u8; 32],
}

impl Seal {
    /// Nonce big-endian, seal hash, mix.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.nonce.to_be_bytes()[..], &self.seal_hash, &self.mix].concat()
    }

    /// The reverse; `None` for another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (nonce, rest) = bytes.split_first_chunk::<8>()?;
        let (seal_hash, rest) = rest.split_first_chunk::<32>()?;
        let mix = rest.try_into().ok()?;
        Some(Self { nonce: u64::from_be_bytes(*nonce), seal_hash: *seal_hash, mix })
    }
}

/// A node's offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HypraTemplate {
    seal_hash: [u8; 32],
    seed_hash: [u8; 32],
    height: u64,
    target: Target,
    clean: bool,
}

/// An offer that cannot be mined on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadWork {
    /// A height past the last epoch.
    #[error(transparent)]
    TooLate(#[from] TooLate),
    /// The seed is not that of the height's epoch: the node counts epochs in another way.
    #[error("work of another epoch: its seed hash is not that of its height")]
    Seed,
    /// No hash, or every hash, would do.
    #[error("work with a target that is none")]
    Target,
}

impl HypraTemplate {
    /// An offer, checked as far as it can be.
    ///
    /// # Errors
    /// [`BadWork`].
    pub fn new(
        seal_hash: [u8; 32],
        seed_hash: [u8; 32],
        height: u64,
        target: Target,
    ) -> Result<Self, BadWork> {
        let epoch = Epoch::of_block(height)?;
        if target.get() == U256::ZERO || target == Target::MAX {
            return Err(BadWork::Target);
        }
        if epoch.seed_hash() != seed_hash {
            return Err(BadWork::Seed);
        }
        Ok(Self { seal_hash, seed_hash, height, target, clean: false })
    }

    /// Marks the job made of it as one that retires older work.
    #[must_use]
    pub const fn with_clean(self, clean: bool) -> Self {
        Self { clean, ..self }
    }

    /// Whether it is the first at its height. Older work may still become an uncle.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.clean
    }

    /// The hash of the header that is to be sealed.
    #[must_use]
    pub const fn seal_hash(&self) -> [u8; 32] {
        self.seal_hash
    }

    /// Its height.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.height
    }

    /// The network's target.
    #[must_use]
    pub const fn target(&self) -> Target {
        self.target
    }
}

/// The miners' puzzle.
#[derive(Debug)]
pub struct HypraJob {
    id: JobId,
    template: Arc<HypraTemplate>,
    /// Mixes of the nonces that solved the network's target: a block is not hashed again to be sent.
    solved: Mutex<Vec<(u64, [u8; 32])>>,
}

/// Nonces remembered per job. Two blocks on one job are a rarity at any sane difficulty.
const SOLVED_MAX: usize = 64;

impl HypraJob {
    /// What miners are told.
    #[must_use]
    pub fn work(&self) -> HypraWork {
        let HypraTemplate { seal_hash, seed_hash, height, target, clean } = *self.template;
        HypraWork { id: self.id, seal_hash, seed_hash, height, network: target, clean }
    }

    /// What it was made from.
    #[must_use]
    pub const fn template(&self) -> &Arc<HypraTemplate> {
        &self.template
    }

    fn remember(&self, nonce: u64, mix: [u8; 32]) {
        let mut solved = self.solved.lock().unwrap_or_else(PoisonError::into_inner);
        if solved.len() == SOLVED_MAX {
            solved.remove(0);
        }
        solved.push((nonce, mix));
    }

    fn remembered(&self, nonce: u64) -> Option<[u8; 32]> {
        let solved = self.solved.lock().unwrap_or_else(PoisonError::into_inner);
        solved.iter().find(|(known, _)| *known == nonce).map(|(_, mix)| *mix)
    }
}

impl HypraPuzzle for HypraJob {
    fn work(&self) -> HypraWork {
        Self::work(self)
    }
}

/// Seal hash, height and nonce: all that goes into the proof. Numbers little-endian.
const EVIDENCE_LEN: usize = 32 + 8 + 8;

impl Hypra {
    fn mix(&self, job: &HypraJob, nonce: u64) -> [u8; 32] {
        job.remembered(nonce).unwrap_or_else(|| {
            let template = &job.template;
            let cache = self.caches.at_or_build(template.height).expect("a template's height has an epoch");
            cache.light().hash(&template.seal_hash, nonce).mix
        })
    }
}

impl Coin for Hypra {
    type Template = HypraTemplate;
    type Job = HypraJob;
    type Solution = HypraSolution;
    const COST: Cost = Cost::Heavy;

    fn job(&self, id: JobId, template: Arc<HypraTemplate>) -> Arc<HypraJob> {
        Arc::new(HypraJob { id, template, solved: Mutex::default() })
    }

    fn network_target(&self, job: &HypraJob) -> Target {
        job.template.target
    }

    /// Blocks for milliseconds. A cache that is not there is [`Reject::Busy`]; a claimed mix that is not the right one
    /// is [`Reject::Malformed`], for such a miner computes something else than EthashB3.
    fn prove(&self, job: &HypraJob, solution: &HypraSolution) -> Result<Proof, Reject> {
        let template = &job.template;
        let cache = self.caches.at(template.height).ok_or(Reject::Busy)?;
        let hashed = self.prover.hash(&cache, &template.seal_hash, solution.nonce);
        if solution.mix.is_some_and(|claimed| claimed != hashed.mix) {
            return Err(Reject::Malformed);
        }
        let proof = Proof::new(hashed.number());
        if proof.meets(template.target) {
            job.remember(solution.nonce, hashed.mix);
        }
        Ok(proof)
    }

    fn evidence(&self, job: &HypraJob, solution: &HypraSolution) -> Evidence {
        let mut bytes = [0; EVIDENCE_LEN];
        bytes[..32].copy_from_slice(&job.template.seal_hash);
        bytes[32..40].copy_from_slice(&job.template.height.to_le_bytes());
        bytes[40..].copy_from_slice(&solution.nonce.to_le_bytes());
        Evidence::new(&bytes).expect("48 bytes are within the limit")
    }

    /// Builds the epoch's cache where it stands if it is not there: blocks for seconds then, never on an I/O thread.
    fn reprove(&self, evidence: &Evidence) -> Result<Proof, Reject> {
        let (seal_hash, rest) = evidence.bytes().split_first_chunk::<32>().ok_or(Reject::Malformed)?;
        let (height, rest) = rest.split_first_chunk::<8>().ok_or(Reject::Malformed)?;
        let nonce: [u8; 8] = rest.try_into().map_err(|_| Reject::Malformed)?;
        let cache =
            self.caches.at_or_build(u64::from_le_bytes(*height)).map_err(|TooLate| Reject::Malformed)?;
        Ok(Proof::new(self.prover.hash(&cache, seal_hash, u64::from_le_bytes(nonce)).number()))
    }

    fn block_id(&self, job: &HypraJob, solution: &HypraSolution) -> BlockId {
        let mix = self.mix(job, solution.nonce);
        FoundName::new(job.template.height, solution.nonce, &mix).into()
    }

    fn assemble(&self, job: &HypraJob, solution: &HypraSolution) -> RawBlock {
        let (template, nonce) = (&job.template, solution.nonce);
        let mix = self.mix(job, nonce);
        RawBlock {
            id: FoundName::new(template.height, nonce, &mix).into(),
            bytes: Seal { nonce, seal_hash: template.seal_hash, mix }.to_bytes(),
            height: template.height,
        }
    }

    fn address(&self, text: &str) -> Result<MinerId, BadAddress> {
        let address = Address::parse(text).map_err(|error| BadAddress(error.to_string()))?;
        MinerId::new(&address.to_string()).map_err(|error| BadAddress(error.to_string()))
    }
}

/// True when a claimed mix may belong to a share of `target`: without a cache, in microseconds. False is certain: such a
/// solution is too weak, or its mix is a lie.
#[must_use]
pub fn may_meet(seal_hash: &[u8; 32], nonce: u64, mix: &[u8; 32], target: Target) -> bool {
    let result = ethashb3::result(&ethashb3::seed(seal_hash, nonce), mix);
    U256::from_be_bytes(result) <= target.get()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn array<const N: usize>(value: &Value) -> [u8; N] {
        let mut bytes = [0; N];
        hex::decode_to_slice(value.as_str().unwrap(), &mut bytes).unwrap();
        bytes
    }

    fn shares() -> Vec<Value> {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/hypra.json")).unwrap();
        vectors["mined_shares"].as_array().unwrap().clone()
    }

    fn job_of(coin: &Hypra, share: &Value) -> Arc<HypraJob> {
        let target = Target::from_be_bytes(array(&share["target_2e256_div"]));
        let height = share["block"].as_u64().unwrap();
        let template = HypraTemplate::new(array(&share["header"]), [0; 32], height, target).unwrap();
        coin.job(JobId::new(1), Arc::new(template))
    }

    fn solution(share: &Value, mix: Option<[u8; 32]>) -> HypraSolution {
        HypraSolution { nonce: u64::from_be_bytes(array(&share["nonce"])), mix }
    }

    #[test]
    fn mined_shares_from_job_to_what_the_node_is_given() {
        let coin = Hypra::with_rules(Network::Mainnet, CacheRules::default());
        let shares = shares();
        let job = job_of(&coin, &shares[0]);
        assert_eq!(coin.prove(&job, &solution(&shares[0], None)), Err(Reject::Busy), "no cache yet");
        coin.caches().note(12_345).unwrap();
        assert!(coin.caches().build_next());
        for share in &shares {
            let job = job_of(&coin, share);
            let mix: [u8; 32] = array(&share["mix"]);
            for claimed in [None, Some(mix)] {
                let solution = solution(share, claimed);
                let proof = coin.prove(&job, &solution).unwrap();
                assert_eq!(proof.hash(), U256::from_be_bytes(array::<32>(&share["result"])));
                assert!(proof.meets(coin.network_target(&job)));
                assert_eq!(coin.reprove(&coin.evidence(&job, &solution)), Ok(proof));
                let raw = coin.assemble(&job, &solution);
                assert_eq!(raw.id, coin.block_id(&job, &solution));
                assert_eq!(raw.height, 12_345);
                let seal = Seal { nonce: solution.nonce, seal_hash: array(&share["header"]), mix };
                assert_eq!(Seal::from_bytes(&raw.bytes), Some(seal));
                assert_eq!(FoundName::from(&raw.id), FoundName::new(12_345, solution.nonce, &mix));
                // Another job that never saw the proof finds the same mix.
                assert_eq!(coin.assemble(&job_of(&coin, share), &solution), raw);
            }
            let lie = HypraSolution { mix: Some([1; 32]), ..solution(share, None) };
            assert_eq!(coin.prove(&job, &lie), Err(Reject::Malformed));
            let target = coin.network_target(&job);
            let nonce = lie.nonce;
            assert!(may_meet(&array(&share["header"]), nonce, &mix, target));
            assert!(!may_meet(&array(&share["header"]), nonce, &[1; 32], target));
        }
    }

    #[test]
    fn offers_that_cannot_be_mined_on_are_refused() {
        let target = Target::new(U256::from(1u64) << 200);
        let new = |seed, height, target| HypraTemplate::new([1; 32], seed, height, target);
        assert!(new([0; 32], 31_999, target).is_ok());
        assert_eq!(new([0; 32], 32_000, target), Err(BadWork::Seed));
        assert_eq!(
            new(Epoch::new(1).unwrap().seed_hash(), 32_000, target).map(|work| work.height()),
            Ok(32_000)
        );
        assert_eq!(new([0; 32], 1, Target::new(U256::ZERO)), Err(BadWork::Target));
        assert_eq!(new([0; 32], 1, Target::MAX), Err(BadWork::Target));
        assert_eq!(new([0; 32], u64::MAX, target), Err(BadWork::TooLate(TooLate)));
    }

    #[test]
    fn evidence_of_another_shape_is_malformed() {
        let coin = Hypra::with_rules(Network::Mainnet, CacheRules::default());
        for length in [0, 31, 40, 47, 49] {
            let evidence = Evidence::new(&vec![0xff; length]).unwrap();
            assert_eq!(coin.reprove(&evidence), Err(Reject::Malformed), "{length}");
        }
        assert_eq!(
            coin.reprove(&Evidence::new(&[0xff; 48]).unwrap()),
            Err(Reject::Malformed),
            "no such epoch"
        );
    }

    #[test]
    fn a_name_keeps_its_parts() {
        let name = FoundName::new(7, u64::MAX - 1, &[9; 32]);
        assert_eq!(FoundName::from(&BlockId::from(name)), name);
        assert_eq!(name.to_string(), format!("0000000000000007fffffffffffffffe{}", "09".repeat(16)));
    }

    #[test]
    fn addresses_become_accounts() {
        let coin = Hypra::with_rules(Network::Mainnet, CacheRules::default());
        let account = coin.address("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed").unwrap();
        assert_eq!(account.as_str(), "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed");
        assert!(
            coin.address("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD").unwrap_err().0.contains("checksum")
        );
    }
}
