//! The only door to credit.
//!
//! A miner's solution is hashed by its coin, which yields a [`Proof`]; [`judge`] compares that with the target the
//! job was *issued* with. A [`Share`] has no other constructor, and a [`crate::ports::ShareLog`] takes nothing else:
//! credit without proof does not compile. Reading a log back gives [`ShareRecord`]s, which are plain data and earn
//! nothing.

use crate::id::{BlockId, InstanceId, ShareSeq, Worker};
use crate::time::Timestamp;
use crate::units::{Target, U256, Units, Work};
use alloc::boxed::Box;
use serde::{Deserialize, Serialize};

/// A proof-of-work hash read as the integer the chain compares with a target.
///
/// Made by a coin's `prove` from the job and the solution, nowhere else in production code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof(U256);

impl Proof {
    /// A proof from the hash as an integer, in the byte order its chain defines.
    #[must_use]
    pub const fn new(hash: U256) -> Self {
        Self(hash)
    }

    /// The hash as an integer.
    #[must_use]
    pub const fn hash(self) -> U256 {
        self.0
    }

    /// True when the hash solves `target`; equality solves.
    #[must_use]
    pub fn meets(self, target: Target) -> bool {
        self.0 <= target.get()
    }
}

/// What lets anyone compute the proof again: the coin's own bytes (for Kaspa pre-PoW hash, timestamp, nonce).
///
/// At most [`Evidence::MAX_LEN`] bytes; unique per solution of a coin, so it is also the share's identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Evidence(Box<[u8]>);

/// Evidence longer than [`Evidence::MAX_LEN`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("evidence is longer than {} bytes", Evidence::MAX_LEN)]
pub struct LongEvidence;

impl Evidence {
    /// The longest evidence a log keeps.
    pub const MAX_LEN: usize = 512;

    /// # Errors
    /// [`LongEvidence`] past [`Evidence::MAX_LEN`].
    pub fn new(bytes: &[u8]) -> Result<Self, LongEvidence> {
        if bytes.len() > Self::MAX_LEN { Err(LongEvidence) } else { Ok(Self(bytes.into())) }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Evidence {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Evidence {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = alloc::string::String::deserialize(deserializer)?;
        let bytes = hex::decode(text).map_err(serde::de::Error::custom)?;
        Self::new(&bytes).map_err(serde::de::Error::custom)
    }
}

/// A submitted solution before judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The share checker that received it.
    pub instance: InstanceId,
    /// When it was received.
    pub at: Timestamp,
    /// Whose it is.
    pub worker: Worker,
    /// The target its job was issued with to this connection. Not the connection's target of now.
    pub share_target: Target,
    /// The network's target in that job's template.
    pub network_target: Target,
    /// The chain among several of one coin (0 where a coin has one).
    pub chain: u16,
    /// What lets anyone compute the proof again.
    pub evidence: Evidence,
    /// The hash of the block this solution completes, should it solve one.
    pub block: BlockId,
}

/// An accepted share as it stands in a log: plain data that anyone may read and nobody can turn into credit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareRecord {
    /// The share checker that accepted it.
    pub instance: InstanceId,
    /// When it was received. For people: pay never depends on it.
    pub at: Timestamp,
    /// Whose it is.
    pub worker: Worker,
    /// Expected hashes it proves, at the target its job was issued with.
    pub work: Work,
    /// Expected blocks it stands for, at its own job's network target.
    pub units: Units,
    /// The chain among several of one coin.
    pub chain: u16,
    /// What lets anyone compute the proof again.
    pub evidence: Evidence,
    /// The block it solved, if it did.
    pub block: Option<BlockId>,
}

/// A share with its place in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedShare {
    /// Its place; order of the log is order of everything.
    pub seq: ShareSeq,
    /// The share.
    pub record: ShareRecord,
}

/// A solution that was judged and found good. Comes from [`judge`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share(ShareRecord);

impl Share {
    /// What a log writes down.
    #[must_use]
    pub const fn record(&self) -> &ShareRecord {
        &self.0
    }

    /// The block this share solved, if it did.
    #[must_use]
    pub const fn block(&self) -> Option<BlockId> {
        self.0.block
    }

    /// The share of a block as it was first judged, from its own record: the proof was judged again (that is `self`),
    /// and the record, written when the block was found, says what it weighed at its job's network target.
    ///
    /// `None` when the record is of another solution or claims more work than was proved now.
    #[cfg(feature = "std")]
    pub(crate) fn restore(self, record: &ShareRecord) -> Option<Self> {
        let same = self.0.evidence == record.evidence
            && self.0.block == record.block
            && self.0.worker == record.worker;
        (same && record.work <= self.0.work && record.units <= Units::BLOCK).then(|| Self(record.clone()))
    }
}

/// Why a miner's message earned nothing: the miner's fault, counted and answered, never an error of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Reject {
    /// The line is no request of this dialect.
    #[error("malformed request")]
    Malformed,
    /// A method this dialect does not have.
    #[error("unknown method")]
    UnknownMethod,
    /// A submit before subscribing.
    #[error("not subscribed")]
    NotSubscribed,
    /// A submit before authorising.
    #[error("unauthorized worker")]
    Unauthorized,
    /// The address is not one of this coin and network; the text a miner prints says why.
    #[error("invalid address")]
    BadAddress,
    /// The job was never issued, or not to this connection.
    #[error("job not found")]
    UnknownJob,
    /// The job was good and is too old.
    #[error("stale job")]
    Stale,
    /// The same solution was accepted before.
    #[error("duplicate share")]
    Duplicate,
    /// The hash does not solve the target the job was issued with.
    #[error("low difficulty share")]
    LowDifficulty,
    /// The nonce does not begin with this connection's extranonce.
    #[error("nonce outside of your extranonce")]
    ForeignExtranonce,
    /// The nonce is no nonce of this coin: its length or its digits are wrong.
    #[error("invalid nonce")]
    BadNonce,
    /// The submit names another chain than its job is for.
    #[error("invalid job chain index")]
    ForeignChain,
    /// The hash lands on another chain than its job is for.
    #[error("invalid block chain index")]
    WrongChain,
    /// What the miner claims to have computed (a hash, a mix) is not what comes out.
    #[error("invalid result")]
    WrongResult,
    /// A service that vouches for the part of the work that nobody else can check does not vouch for it.
    #[error("useful work not verified (code {code})")]
    Unattested {
        /// The service's own code; 0 where it has none.
        code: u16,
    },
    /// The pool has no work now: its node is away.
    #[error("no work: the pool's node is unavailable")]
    NoWork,
    /// The pool cannot take this now (queue full, log down). The miner did nothing wrong.
    #[error("pool busy, try again")]
    Busy,
}

/// The judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The share is good; it may also solve a block ([`Share::block`]).
    Accepted(Share),
    /// It earns nothing.
    Rejected(Reject),
}

/// Judges a solution: the hash against the target its job was issued with, then against the network's.
///
/// Work is that of the share target, but never more than the network's: a hash that solves a block without
/// meeting a harder share target is still accepted, at the network's work (vardiff above the network's difficulty
/// would otherwise drop blocks). Pure. Errors: none, a [`Reject`] is data.
#[must_use]
pub fn judge(candidate: Candidate, proof: Proof) -> Verdict {
    let effective = candidate.share_target.max(candidate.network_target);
    if !proof.meets(effective) {
        return Verdict::Rejected(Reject::LowDifficulty);
    }
    let Candidate { instance, at, worker, network_target, chain, evidence, block, .. } = candidate;
    Verdict::Accepted(Share(ShareRecord {
        instance,
        at,
        worker,
        work: effective.work(),
        units: Units::of_share(effective, network_target),
        chain,
        evidence,
        block: proof.meets(network_target).then_some(block),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{MinerId, WorkerName};
    use proptest::prelude::*;

    fn candidate(share: U256, network: U256) -> Candidate {
        Candidate {
            instance: InstanceId::new(1),
            at: Timestamp::from_millis(1),
            worker: Worker { miner: MinerId::new("a").unwrap(), name: WorkerName::clean("w") },
            share_target: Target::new(share),
            network_target: Target::new(network),
            chain: 0,
            evidence: Evidence::new(b"e").unwrap(),
            block: BlockId::new([7; 32]),
        }
    }

    #[test]
    fn equality_solves_and_one_above_does_not() {
        let (share, network) = (U256::from(1_000u64), U256::from(10u64));
        let judged = |hash: u64| judge(candidate(share, network), Proof::new(U256::from(hash)));
        assert_eq!(judged(1_001), Verdict::Rejected(Reject::LowDifficulty));
        assert!(matches!(judged(1_000), Verdict::Accepted(share) if share.block().is_none()));
        assert!(matches!(judged(11), Verdict::Accepted(share) if share.block().is_none()));
        assert!(
            matches!(judged(10), Verdict::Accepted(share) if share.block() == Some(BlockId::new([7; 32])))
        );
    }

    #[test]
    fn a_block_below_a_harder_share_target_is_kept_at_the_networks_work() {
        let (share, network) = (U256::from(10u64), U256::from(1_000u64));
        let Verdict::Accepted(share) = judge(candidate(share, network), Proof::new(U256::from(500u64)))
        else {
            panic!("a block was dropped");
        };
        assert_eq!(share.record().units, Units::BLOCK);
        assert_eq!(share.record().work, Target::new(network).work());
        assert!(share.block().is_some());
    }

    proptest! {
        #[test]
        fn credit_never_exceeds_proof(share: [u8; 32], network: [u8; 32], hash: [u8; 32]) {
            let candidate = candidate(U256::from_be_bytes(share), U256::from_be_bytes(network));
            let hash = U256::from_be_bytes(hash);
            let easiest = candidate.share_target.max(candidate.network_target);
            match judge(candidate, Proof::new(hash)) {
                Verdict::Accepted(accepted) => {
                    prop_assert!(hash <= easiest.get());
                    prop_assert!(accepted.record().work <= Target::new(hash).work());
                    prop_assert!(accepted.record().units <= Units::BLOCK);
                }
                Verdict::Rejected(reject) => {
                    prop_assert_eq!(reject, Reject::LowDifficulty);
                    prop_assert!(hash > easiest.get());
                }
            }
        }
    }
}
