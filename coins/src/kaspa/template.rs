//! A node's offer, checked before anybody mines on it.

use super::coinbase::{CoinbasePayload, PayScript};
use super::convert;
use super::grpc::raw::RawTemplate;
use super::grpc::wire;
use super::header::{Header, HeaderHasher, target_of_bits};
use pool_core::coin::NodeError;
use pool_core::units::Target;
use prost::Message;

/// What a template must say to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) pay_to: PayScript,
    pub(crate) mine_unsynced: bool,
}

/// A node's offer: a block without its nonce. Its bytes are kept as they came.
#[derive(Clone, Debug)]
pub struct KaspaTemplate {
    raw: RawTemplate,
    header: Header,
    hasher: HeaderHasher,
    pre_pow: [u8; 32],
    target: Target,
    subsidy: u64,
    transactions: usize,
    clean: bool,
}

impl KaspaTemplate {
    /// Reads and checks an encoded block.
    ///
    /// # Errors
    /// [`NodeError::NotSynced`] when the node has not caught up; [`NodeError::Garbage`] for anything that is not a
    /// block paying the pool.
    pub(crate) fn check(block: &[u8], is_synced: bool, expected: &Expected) -> Result<Self, NodeError> {
        if !is_synced && !expected.mine_unsynced {
            return Err(NodeError::NotSynced);
        }
        let garbage = |why: String| NodeError::Garbage(why);
        let raw = RawTemplate::cut(block).map_err(|error| garbage(error.to_string()))?;
        let block = wire::Block::decode(block)
            .map_err(|error| garbage(format!("a template that is no block: {error}")))?;
        let stated = block.header.ok_or_else(|| garbage("a template without a header".into()))?;
        let header = convert::header(&stated).map_err(|error| garbage(format!("template: {error}")))?;
        if header.version != 2 {
            return Err(garbage(format!("a template of header version {}, known is 2", header.version)));
        }
        if header.parents.first().is_none_or(Vec::is_empty) {
            return Err(garbage("a template without parents".into()));
        }
        // The node says the hash too (of the header as it stands); a header that was misread would not hash to it.
        if !stated.hash.is_empty() && convert::hash(&stated.hash) != Ok(header.hash()) {
            return Err(garbage("a template whose header does not hash to what it says".into()));
        }
        let target = target_of_bits(header.bits)
            .filter(|target| target.get() < MAX_TARGET_PLUS_ONE)
            .ok_or_else(|| garbage(format!("a template of bits {:08x}, which are no target", header.bits)))?;
        let coinbase =
            block.transactions.first().ok_or_else(|| garbage("a template without a coinbase".into()))?;
        let payload = hex::decode(&coinbase.payload)
            .map_err(|_| garbage("a coinbase payload that is no hex".into()))?;
        let payload = CoinbasePayload::parse(&payload).map_err(|error| garbage(error.to_string()))?;
        if payload.pay_to != expected.pay_to {
            return Err(garbage("a template that pays somebody else".into()));
        }
        if payload.blue_score != header.blue_score {
            return Err(garbage("a template whose coinbase is of another block".into()));
        }
        // The header commits to the transactions by their merkle root: without this check a node could show one
        // coinbase and have the pool mine for another.
        let root = convert::merkle_root(&block.transactions)
            .map_err(|error| garbage(format!("template: {error}")))?;
        if root != header.hash_merkle_root {
            return Err(garbage("a template whose header commits to other transactions".into()));
        }
        let pre_pow = header.pre_pow_hash();
        let transactions = block.transactions.len();
        let hasher = header.hasher();
        Ok(Self {
            raw,
            header,
            hasher,
            pre_pow,
            target,
            subsidy: payload.subsidy,
            transactions,
            clean: false,
        })
    }

    /// Marks the job made of it as one that retires older work.
    #[must_use]
    pub fn with_clean(self, clean: bool) -> Self {
        Self { clean, ..self }
    }

    /// Whether older work is worthless. On this chain it hardly ever is: blocks on older templates are merged.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.clean
    }

    /// The block's bytes around its nonce.
    #[must_use]
    pub const fn raw(&self) -> &RawTemplate {
        &self.raw
    }

    /// The header, with whatever nonce the node wrote into it.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The hash of the block with this nonce.
    #[must_use]
    pub fn block_hash(&self, nonce: u64) -> [u8; 32] {
        self.hasher.hash(self.header.timestamp, nonce)
    }

    /// Hash of the header with time and nonce zero.
    #[must_use]
    pub const fn pre_pow(&self) -> [u8; 32] {
        self.pre_pow
    }

    /// The network's target.
    #[must_use]
    pub const fn target(&self) -> Target {
        self.target
    }

    /// The block's own subsidy. Unit: sompi. For pages only: what a block earns is read from the chain.
    #[must_use]
    pub const fn subsidy(&self) -> u64 {
        self.subsidy
    }

    /// How many transactions are in it, the coinbase included.
    #[must_use]
    pub const fn transactions(&self) -> usize {
        self.transactions
    }
}

/// 2^255: targets are below it on every network.
const MAX_TARGET_PLUS_ONE: pool_core::units::U256 = pool_core::units::U256::from_limbs([0, 0, 0, 1 << 63]);
