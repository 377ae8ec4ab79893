//! The pool's view of Kaspa nodes: templates in, blocks out, fates read.
//!
//! A [`KaspaNode`] talks to one or several nodes over gRPC. [`KaspaNode::open`] does no I/O and starts nothing: it
//! returns the node and a future that drives the connections for as long as somebody polls it. A template is
//! believed only after its header was hashed again and its coinbase was seen to pay the pool; a node that lies,
//! answers garbage or falls behind is asked last from then on. A block goes to every connected node. A fate is read
//! from one node's view of the chain at a time, and checked against the coinbase itself.

use super::address::Address;
use super::coin::Kaspa;
use super::coinbase::free_text;
use super::fate::FateRules;
use super::fate_reader::FateReader;
use super::grpc::link::{CallError, Link, LinkRules, Reply, unreachable};
use super::grpc::set::{NodeSet, SetDriver};
use super::grpc::wire::{self, Answer, Ask};
use super::params::Network;
use super::template::{Expected, KaspaTemplate};
use futures_util::stream::{FuturesUnordered, StreamExt};
use pool_core::block::BlockFate;
use pool_core::coin::{Node, NodeError, RawBlock, Submitted};
use pool_core::id::BlockId;
use prost::Message;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The longest text behind the node's own in the coinbase. Unit: bytes. The chain takes 204 in all, a pay script and its
/// numbers are 53 of them, and what is left is for the node's version.
pub const EXTRA_DATA_MAX: usize = 100;

/// How often a block whose answer was lost is sent again within one call.
const SUBMIT_ATTEMPTS: usize = 3;
/// The pause between two such attempts.
const SUBMIT_PAUSE: Duration = Duration::from_millis(200);

/// What a [`KaspaNode`] needs to know.
#[derive(Clone, Debug)]
pub struct KaspaNodeConfig {
    /// `host:port` of each node's gRPC port, the preferred one first.
    pub endpoints: Vec<String>,
    /// The network all of them must be on.
    pub network: Network,
    /// Where the chain pays the pool.
    pub pay_to: Address,
    /// Text behind the node's own in the coinbase. At most [`EXTRA_DATA_MAX`] bytes, 31 where commitments are made.
    pub extra_data: String,
    /// Mine although the node says that it has not caught up: private networks only.
    pub mine_unsynced: bool,
    /// How long any answer may take.
    pub timeout: Duration,
    /// How often a template is fetched without news.
    pub poll: Duration,
    /// When a block's fate is final.
    pub fate: FateRules,
}

impl KaspaNodeConfig {
    /// The defaults of everything but the three that have none.
    #[must_use]
    pub fn new(endpoints: Vec<String>, network: Network, pay_to: Address) -> Self {
        Self {
            endpoints,
            network,
            pay_to,
            extra_data: String::new(),
            mine_unsynced: false,
            timeout: Duration::from_secs(5),
            poll: Duration::from_secs(1),
            fate: FateRules::default(),
        }
    }
}

/// One or several Kaspa nodes behind one face. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct KaspaNode(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: KaspaNodeConfig,
    expected: Expected,
    commitment: Mutex<Option<[u8; 32]>>,
    set: Arc<NodeSet>,
    /// The news count that the last template was fetched after.
    served: AtomicU64,
    fates: FateReader,
}

/// What one connected node is like, for status pages and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its address, as configured.
    pub endpoint: String,
    /// Its version and DAA score while it answers, else why it does not.
    pub state: Result<NodeFacts, String>,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its software's version.
    pub version: String,
    /// Whether it has caught up.
    pub synced: bool,
    /// Whether it can answer for addresses: a wallet needs that.
    pub utxo_index: bool,
    /// The DAA score of its virtual block.
    pub daa_score: u64,
}

/// Drives a node's connections for as long as it is polled. Spawn it, or select on it.
pub type KaspaNodeDriver = SetDriver;

impl KaspaNode {
    /// A node and the future that drives its connections.
    ///
    /// # Errors
    /// [`NodeError::Refused`] for an address that is no address, an extra text that is too long, or a pay address of
    /// another network.
    pub fn open(config: KaspaNodeConfig) -> Result<(Self, KaspaNodeDriver), NodeError> {
        let refuse = |reason: &str| NodeError::Refused { reason: reason.into() };
        if config.extra_data.len() > EXTRA_DATA_MAX {
            return Err(refuse("the coinbase text is longer than 100 bytes"));
        }
        if config.pay_to.network() != config.network {
            return Err(refuse("the pool's address belongs to another network"));
        }
        let rules = LinkRules {
            network_id: config.network.id().to_owned(),
            timeout: config.timeout,
            probe: Duration::from_secs(1).min(config.timeout),
        };
        let (set, driver) = NodeSet::new(&config.endpoints, &rules, config.mine_unsynced)?;
        let expected = Expected {
            pay_to: config.pay_to.pay_script(),
            mine_unsynced: config.mine_unsynced,
            commitment: None,
        };
        let fates = FateReader::new(config.fate);
        let commitment = Mutex::new(None);
        let inner = Inner { config, expected, commitment, set, served: AtomicU64::new(0), fates };
        Ok((Self(Arc::new(inner)), driver))
    }

    /// What the coinbase of every template fetched from now on commits to, in the form of [`super::coinbase`]: for one,
    /// the root of the log of shares, published before the block it will pay is found. A node that leaves it out is
    /// not mined for. `None` ends it.
    ///
    /// # Errors
    /// [`NodeError::Refused`] when the configured text leaves no room: it may take 31 bytes then.
    pub fn set_commitment(&self, commitment: Option<[u8; 32]>) -> Result<(), NodeError> {
        if free_text(&self.0.config.extra_data, commitment.as_ref()).len() > EXTRA_DATA_MAX {
            let reason = "the coinbase text leaves no room for a commitment: it may take 31 bytes".into();
            return Err(NodeError::Refused { reason });
        }
        *self.0.commitment.lock().unwrap_or_else(PoisonError::into_inner) = commitment;
        Ok(())
    }

    /// What templates commit to now.
    #[must_use]
    pub fn commitment(&self) -> Option<[u8; 32]> {
        *self.0.commitment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every configured node and how it is.
    #[must_use]
    pub fn status(&self) -> Vec<NodeStatus> {
        self.0.set.status()
    }

    /// Waits until at least one node is healthy.
    pub async fn ready(&self) {
        let mut news = self.0.set.news();
        while self.0.set.healthy().is_err() {
            // A probe's answer may change a node's health without news; look again after a while.
            let _ = tokio::time::timeout(Duration::from_millis(200), news.changed()).await;
        }
    }

    /// The network's hash rate as the node estimates it. Unit: hashes a second.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn network_hashrate(&self) -> Result<u64, NodeError> {
        let ask = wire::EstimateHashrate { window_size: 1_000, start_hash: String::new() };
        Ok(self.0.set.hashrate(ask).await?.hashes_per_second)
    }

    /// The network it is on.
    #[must_use]
    pub fn network(&self) -> Network {
        self.0.config.network
    }

    /// Where the chain pays the pool.
    #[must_use]
    pub fn pay_to(&self) -> &Address {
        &self.0.config.pay_to
    }

    #[cfg(feature = "wallet")]
    pub(crate) fn set(&self) -> Arc<NodeSet> {
        self.0.set.clone()
    }

    async fn template_of(&self, link: &Link) -> Result<KaspaTemplate, NodeError> {
        // Read once: the template is held to what was asked for, whatever is set meanwhile.
        let commitment = self.commitment();
        let ask = wire::GetBlockTemplate {
            pay_address: self.0.config.pay_to.to_string(),
            extra_data: free_text(&self.0.config.extra_data, commitment.as_ref()),
        };
        let offer = link.block_template(ask).await?;
        let expected = Expected { commitment, ..self.0.expected.clone() };
        KaspaTemplate::check(&offer.block, offer.is_synced, &expected)
    }

    /// Sends a block to one node and reads its verdict.
    async fn verdict(&self, link: &Link, reply: Reply, block: &RawBlock) -> Result<Submitted, NodeError> {
        let Answer::SubmitBlock(answer) = reply.wait().await? else {
            return Err(NodeError::Garbage("the answer is to another question".into()));
        };
        let reason = answer.error.map(|error| error.message);
        let reason = match (answer.reject_reason, reason) {
            (wire::REJECT_NONE, None) => return Ok(Submitted::Accepted),
            // No verdict on the block: the node was too busy to look at it.
            (wire::REJECT_NONE, Some(reason)) => return Err(unreachable(format!("{}: {reason}", link.name))),
            (wire::REJECT_IN_IBD, _) => return Err(NodeError::NotSynced),
            (_, reason) => reason.unwrap_or_else(|| "block is invalid".into()),
        };
        // The node says "invalid" for a block it has, for one whose parents it lacks, and for one that breaks a
        // rule. Only the last is final.
        if self.knows(link, &block.id).await? {
            return Ok(Submitted::Known);
        }
        if let Ok(parsed) = wire::Block::decode(&*block.bytes)
            && let Some(parents) = parsed.header.and_then(|header| header.parents.into_iter().next())
        {
            for parent in parents.hashes {
                let parent: BlockId = parent
                    .parse()
                    .map_err(|_| NodeError::Refused { reason: "a parent's hash is none".into() })?;
                if !self.knows(link, &parent).await? {
                    return Err(unreachable(format!("{}: it lacks the block's parent {parent}", link.name)));
                }
            }
        }
        Err(NodeError::Refused { reason })
    }

    async fn knows(&self, link: &Link, id: &BlockId) -> Result<bool, NodeError> {
        let ask = wire::GetBlock { hash: id.to_string(), include_transactions: false };
        match link.block(ask).await {
            Ok(answer) => Ok(answer.block.is_some()),
            Err(CallError::Rpc(_)) => Ok(false),
            Err(CallError::Node(error)) => Err(error),
        }
    }

    async fn submit_once(&self, block: &RawBlock) -> Result<Submitted, NodeError> {
        let links = self.0.set.connected();
        if links.is_empty() {
            self.0.set.healthy()?;
        }
        // First on its way to everybody, then the answers: a slow node delays nobody.
        let mut last = None;
        let mut verdicts = FuturesUnordered::new();
        for link in &links {
            let ask = Ask::SubmitBlock(wire::SubmitBlock {
                block: block.bytes.clone(),
                allow_non_daa_blocks: false,
            });
            match link.begin(ask) {
                Ok(reply) => verdicts.push(self.verdict(link, reply, block)),
                Err(error) => last = Some(error),
            }
        }
        let mut known = false;
        let mut refused = None;
        while let Some(verdict) = verdicts.next().await {
            match verdict {
                Ok(Submitted::Accepted) => return Ok(Submitted::Accepted),
                Ok(Submitted::Known) => known = true,
                Err(error @ NodeError::Refused { .. }) => refused = Some(error),
                Err(error) => last = Some(error),
            }
        }
        if known {
            return Ok(Submitted::Known);
        }
        // A node that could not answer may still take it: only a unanimous refusal is final.
        Err(last.or(refused).unwrap_or_else(|| unreachable("no node took the question")))
    }
}

#[async_trait::async_trait]
impl Node<Kaspa> for KaspaNode {
    async fn template(&self) -> Result<KaspaTemplate, NodeError> {
        let version = *self.0.set.news().borrow();
        self.0.served.store(version, Ordering::Relaxed);
        let mut last = None;
        for link in self.0.set.healthy()? {
            match self.template_of(&link).await {
                Ok(template) => {
                    self.0.set.prefer(&link);
                    return Ok(template);
                }
                Err(error) => {
                    self.0.set.distrust(&link, &error);
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or(NodeError::NotSynced))
    }

    async fn changed(&self) {
        let mut news = self.0.set.news();
        let served = self.0.served.load(Ordering::Relaxed);
        // The poll is the safety net for a notification that never comes.
        let _ = tokio::time::timeout(self.0.config.poll, news.wait_for(|version| *version != served)).await;
    }

    async fn submit(&self, block: &RawBlock) -> Result<Submitted, NodeError> {
        let mut attempt = 1;
        loop {
            match self.submit_once(block).await {
                Err(error) if error.is_transient() && attempt < SUBMIT_ATTEMPTS => {
                    tracing::warn!(block = %block.id, %error, attempt, "block not handed over yet");
                    attempt += 1;
                    tokio::time::sleep(SUBMIT_PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn fate(&self, block: &BlockId) -> Result<BlockFate, NodeError> {
        let mut last = None;
        for link in self.0.set.healthy()? {
            match self.0.fates.read(&link, block).await {
                Ok(fate) => return Ok(fate),
                Err(error) => {
                    // What a node refuses in words it refuses for reasons; the others may still know more.
                    if error.is_transient() {
                        self.0.set.distrust(&link, &error);
                    }
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or(NodeError::NotSynced))
    }
}
