//! The pool's view of Dynex nodes: templates in, blocks out, fates read.
//!
//! A [`DynexNode`] asks one or several nodes over JSON-RPC. [`DynexNode::open`] does no I/O and starts nothing: it
//! returns the node and a future that watches the chain's tip for as long as somebody polls it, because this node
//! pushes nothing. A template is believed only after its coinbase was seen to pay the pool ([`super::template`]); a
//! node that lies, answers garbage, falls behind or belongs to another network is asked last from then on. A block goes
//! to every node. A fate is read from one node's view of the chain at a time, and held against what the pool knows of
//! its own block.
//!
//! A block that fits the tip and is refused all the same was not authorised by the project's servers ([`super::fate`]).
//! That is no final word while nobody else's block stands in its place: such a block stays open, is listed in
//! [`DynexNode::unauthorised`], and every further [`Node::submit`] tries again.

use super::coin::Dynex;
use super::fate::{Facts, FateRules, Handed, KnownBlock, Refusal, decide};
use super::messages::{self, BLOCK_NOT_ACCEPTED, BadAnswer, CORE_BUSY, HEIGHT_TOO_BIG, INTERNAL};
use super::params::{MATURITY, Network};
use super::template::{DynexTemplate, Expected, RESERVE_BYTES};
use super::{address::Address, blob::Block};
use crate::failover::{CoolDown, Failover, PeerFault, PeerStatus, Seat};
use crate::http::{HttpPeer, HttpRules, JsonRpc, RpcError};
use pool_core::block::BlockFate;
use pool_core::coin::{Node, NodeError, RawBlock, Submitted};
use pool_core::id::BlockId;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often a block whose answer was lost is sent again within one call.
const SUBMIT_ATTEMPTS: usize = 3;
/// The pause between two such attempts.
const SUBMIT_PAUSE: Duration = Duration::from_millis(200);
/// How long the others are waited for once one node has answered.
const GRACE: Duration = Duration::from_secs(1);
/// A node so many blocks below the highest is behind.
const LAG_MAX: u64 = 2;
/// Blocks handed over that are remembered.
const HANDED_MAX: usize = 4_096;
/// Where nodes serve JSON-RPC.
const RPC_PATH: &str = "/json_rpc";

/// What a [`DynexNode`] needs to know.
#[derive(Clone, Debug)]
pub struct DynexNodeConfig {
    /// `host:port` or URL of each node, the preferred one first.
    pub endpoints: Vec<String>,
    /// The network all of them must be on.
    pub network: Network,
    /// Where the chain pays the pool.
    pub pay_to: Address,
    /// What stands behind the extranonce in every coinbase. Two pools on one wallet take different ones.
    pub tag: [u8; 4],
    /// Mine on templates that do not show whom they pay. See [`Expected::trust_hidden_payee`].
    pub trust_hidden_payee: bool,
    /// Blocks for which a coinbase is locked; another than the chain's own on private networks only.
    pub maturity: u64,
    /// How long any answer may take.
    pub timeout: Duration,
    /// How often the tip is looked at.
    pub poll: Duration,
    /// How often a template is fetched although the tip stays: for new transactions, and for the time in it.
    pub refresh: Duration,
    /// How long a node that misbehaved is asked last.
    pub cool_down: CoolDown,
    /// When a block's fate is final.
    pub fate: FateRules,
}

impl DynexNodeConfig {
    /// The defaults of everything but the three that have none: an answer within 5 s, the tip looked at every second,
    /// a template every 15 s.
    #[must_use]
    pub fn new(endpoints: Vec<String>, network: Network, pay_to: Address) -> Self {
        Self {
            endpoints,
            network,
            pay_to,
            tag: [0; 4],
            trust_hidden_payee: false,
            maturity: MATURITY,
            timeout: Duration::from_secs(5),
            poll: Duration::from_secs(1),
            refresh: Duration::from_secs(15),
            cool_down: CoolDown::default(),
            fate: FateRules::default(),
        }
    }
}

/// A block that fits the chain and that the network's authority has not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnauthorisedBlock {
    /// Its id.
    pub id: BlockId,
    /// Its height.
    pub height: u64,
    /// The node's words.
    pub words: String,
}

/// One node and whether it was seen to be on the right network.
#[derive(Debug)]
struct Peer {
    http: HttpPeer,
    right_network: AtomicBool,
}

/// One or several Dynex nodes behind one face. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct DynexNode(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: DynexNodeConfig,
    genesis: BlockId,
    expected: Expected,
    peers: Failover<Peer>,
    /// Counts tips.
    news: watch::Sender<u64>,
    /// The count that the last template was fetched after.
    served: AtomicU64,
    /// The last question for a template had no answer.
    failed: AtomicBool,
    /// The block that the last template was on.
    previous: Mutex<Option<[u8; 32]>>,
    handed: Mutex<HashMap<BlockId, Handed>>,
}

/// Watches the tip for as long as it is polled. Spawn it, or select on it.
pub type DynexNodeDriver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a question to one node came to.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error(transparent)]
    Node(#[from] NodeError),
}

impl From<BadAnswer> for CallError {
    fn from(bad: BadAnswer) -> Self {
        Self::Node(NodeError::Garbage(bad.to_string()))
    }
}

impl CallError {
    const fn code(&self) -> Option<i64> {
        match self {
            Self::Rpc(error) => error.code(),
            Self::Node(_) => None,
        }
    }
}

impl PeerFault for CallError {
    fn is_peers(&self) -> bool {
        match self {
            Self::Rpc(error) => error.is_peers() || error.code() == Some(CORE_BUSY),
            Self::Node(error) => error.is_transient(),
        }
    }
}

impl From<CallError> for NodeError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Rpc(error) if error.code() == Some(CORE_BUSY) => Self::NotSynced,
            CallError::Rpc(error) => error.into(),
            CallError::Node(error) => error,
        }
    }
}

fn unreachable(words: impl Into<String>) -> NodeError {
    NodeError::Unreachable(words.into().into())
}

impl Peer {
    async fn call(&self, method: &str, params: Value) -> Result<Value, CallError> {
        Ok(self.http.call(JsonRpc::V2, method, params).await?)
    }

    /// Asks for the first block's id, once.
    async fn check_network(&self, genesis: &BlockId) -> Result<(), CallError> {
        if self.right_network.load(Ordering::Relaxed) {
            return Ok(());
        }
        let found = messages::currency(self.call("getcurrencyid", json!({})).await?)?;
        if found != *genesis {
            let words = format!("it is on another network: its first block is {found}, not {genesis}");
            return Err(NodeError::Garbage(words).into());
        }
        self.right_network.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn tip(&self, genesis: &BlockId) -> Result<KnownBlock, CallError> {
        self.check_network(genesis).await?;
        Ok(messages::header(self.call("getlastblockheader", json!({})).await?)?)
    }

    async fn by_hash(&self, id: &BlockId) -> Result<Option<KnownBlock>, CallError> {
        match self.call("getblockheaderbyhash", json!({"hash": id.to_string()})).await {
            Ok(answer) => Ok(Some(messages::header(answer)?)),
            Err(error) if error.code() == Some(INTERNAL) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The block of the main chain at a height.
    async fn at_height(&self, height: u64) -> Result<Option<KnownBlock>, CallError> {
        match self.call("getblockheaderbyheight", json!({"height": height})).await {
            Ok(answer) => Ok(Some(messages::header(answer)?).filter(|known| known.height == height)),
            Err(error) if error.code() == Some(HEIGHT_TOO_BIG) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// One node's word on a block that was handed to it.
enum Verdict {
    Taken(Submitted),
    Refused(Refusal),
    Broken(String),
}

impl DynexNode {
    /// A node and the future that watches its tip.
    ///
    /// # Errors
    /// [`NodeError::Refused`] for an address that is no address, or for none at all.
    pub fn open(config: DynexNodeConfig) -> Result<(Self, DynexNodeDriver), NodeError> {
        let rules =
            HttpRules { timeout: config.timeout, rpc_path: RPC_PATH.to_owned(), ..HttpRules::default() };
        let peers = config
            .endpoints
            .iter()
            .map(|endpoint| {
                let http = HttpPeer::new(endpoint, &rules)?;
                Ok((http.name().to_owned(), Peer { http, right_network: AtomicBool::new(false) }))
            })
            .collect::<Result<Vec<_>, NodeError>>()?;
        let expected = Expected {
            pay_to: config.pay_to,
            trust_hidden_payee: config.trust_hidden_payee,
            tag: config.tag,
            maturity: config.maturity,
        };
        let inner = Inner {
            genesis: BlockId::new(config.network.genesis_id()),
            peers: Failover::new(peers, config.cool_down)?,
            expected,
            config,
            news: watch::Sender::new(0),
            served: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            previous: Mutex::new(None),
            handed: Mutex::default(),
        };
        let node = Self(Arc::new(inner));
        let driver = Box::pin(node.clone().watch());
        Ok((node, driver))
    }

    /// Every configured node and how it stands.
    #[must_use]
    pub fn status(&self) -> Vec<PeerStatus> {
        self.0.peers.status()
    }

    /// Waits until a node answers that is on the network and has caught up.
    pub async fn ready(&self) {
        while self.tip().await.is_err() {
            tokio::time::sleep(self.0.config.poll.min(Duration::from_millis(200))).await;
        }
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

    /// The newest block.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn tip(&self) -> Result<KnownBlock, NodeError> {
        let genesis = self.0.genesis;
        Ok(self.0.peers.ask(|seat| async move { seat.tip(&genesis).await }).await?)
    }

    /// The network's hash rate by its difficulty. Unit: hashes a second.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn network_hashrate(&self) -> Result<u64, NodeError> {
        Ok(self.fetch().await?.difficulty() / super::params::BLOCK_SECONDS)
    }

    /// The blocks that the network's authority has not let through, so far and since the start.
    #[must_use]
    pub fn unauthorised(&self) -> Vec<UnauthorisedBlock> {
        let mut blocks: Vec<_> = self
            .handed()
            .iter()
            .filter_map(|(id, handed)| match &handed.refusal {
                Some(Refusal::Authority { words }) => {
                    Some(UnauthorisedBlock { id: *id, height: handed.height, words: words.clone() })
                }
                Some(Refusal::Late) | None => None,
            })
            .collect();
        blocks.sort_by_key(|block| (block.height, block.id));
        blocks
    }

    /// Tells the node the height of a block of the pool from before its start. Without it, a block that no node knows
    /// (any more) stays [`BlockFate::Unknown`] for ever; a block that is handed over by [`Node::submit`] needs no telling.
    pub fn expect(&self, id: BlockId, height: u64) {
        self.remember(id, Handed { height, reward: None, refusal: None });
    }

    /// True when a node has this transaction in its pool or on its chain.
    #[cfg(feature = "wallet")]
    pub(crate) async fn knows_transaction(&self, id: &pool_core::id::TxId) -> Result<bool, NodeError> {
        let question = json!({"hash": id.to_string()});
        // One that knows it is enough; all must have been asked before nobody does.
        let answers = self
            .0
            .peers
            .each(self.0.config.timeout, |seat| {
                let question = question.clone();
                async move {
                    match seat.call("gettransaction", question).await {
                        Ok(_) => Ok(true),
                        Err(error) if matches!(error.code(), Some(INTERNAL | messages::WRONG_PARAMETER)) => {
                            Ok(false)
                        }
                        Err(error) => Err(error),
                    }
                }
            })
            .await;
        let mut failed = None;
        for (_, answer) in answers {
            match answer {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(false), |error| Err(error.into()))
    }

    fn handed(&self) -> MutexGuard<'_, HashMap<BlockId, Handed>> {
        self.0.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, id: BlockId, new: Handed) {
        let mut handed = self.handed();
        if handed.len() >= HANDED_MAX
            && !handed.contains_key(&id)
            && let Some(oldest) = handed.iter().min_by_key(|(_, handed)| handed.height).map(|(id, _)| *id)
        {
            handed.remove(&oldest);
        }
        let entry = handed.entry(id).or_insert(new.clone());
        entry.reward = entry.reward.or(new.reward);
    }

    fn mark(&self, id: &BlockId, refusal: Option<Refusal>) {
        if let Some(handed) = self.handed().get_mut(id) {
            handed.refusal = refusal;
        }
    }

    /// Looks at every node's tip, tells who waits when it moved, and who is behind is asked last.
    async fn watch(self) {
        let mut last = None;
        loop {
            let genesis = self.0.genesis;
            let answers = self.0.peers.each(GRACE, |seat| async move { seat.tip(&genesis).await }).await;
            let tips: Vec<(Seat<Peer>, KnownBlock)> =
                answers.into_iter().filter_map(|(seat, tip)| Some((seat, tip.ok()?))).collect();
            let highest = tips.iter().map(|(_, tip)| tip.height).max().unwrap_or_default();
            for (seat, tip) in &tips {
                if tip.height + LAG_MAX < highest {
                    let words = format!("it is at height {}, another node at {highest}", tip.height);
                    self.0.peers.demote(seat.index(), &words);
                }
            }
            // What the preferred node says is what the next template is on.
            let order = self.0.peers.order();
            let preferred =
                order.iter().find_map(|seat| tips.iter().find(|(other, _)| other.index() == seat.index()));
            if let Some((_, tip)) = preferred
                && last != Some(tip.id)
            {
                last = Some(tip.id);
                self.0.news.send_modify(|count| *count += 1);
            }
            tokio::time::sleep(self.0.config.poll).await;
        }
    }

    async fn fetch(&self) -> Result<DynexTemplate, NodeError> {
        let inner = &self.0;
        let template = inner.peers.ask(|seat| async move {
            seat.check_network(&inner.genesis).await?;
            let question = json!({
                "reserve_size": RESERVE_BYTES,
                "wallet_address": inner.config.pay_to.to_string(),
            });
            let answer = seat.call("getblocktemplate", question).await?;
            Ok::<_, CallError>(messages::template(answer, &inner.expected)?)
        });
        Ok(template.await?)
    }

    /// Hands a block to one node and finds out what its answer means.
    async fn verdict(&self, seat: &Seat<Peer>, block: &RawBlock) -> Result<Verdict, CallError> {
        seat.check_network(&self.0.genesis).await?;
        let error = match seat.call("submitblock", json!([hex::encode(&block.bytes)])).await {
            Ok(answer) => {
                messages::submitted(answer)?;
                return Ok(Verdict::Taken(Submitted::Accepted));
            }
            Err(error) => error,
        };
        let CallError::Rpc(RpcError::Answered { code, message }) = &error else { return Err(error) };
        let words = format!("{message} ({code})");
        if *code == CORE_BUSY {
            return Err(error);
        }
        // The node says the same for a block it has, for one that came too late, for one that breaks a rule and for
        // one that is not authorised.
        if seat.by_hash(&block.id).await?.is_some() {
            return Ok(Verdict::Taken(Submitted::Known));
        }
        if *code != BLOCK_NOT_ACCEPTED {
            return Ok(Verdict::Broken(words));
        }
        let Ok(parsed) = Block::parse(&block.bytes) else { return Ok(Verdict::Broken(words)) };
        let previous = BlockId::new(parsed.header.previous);
        let tip = seat.tip(&self.0.genesis).await?;
        if tip.id == previous {
            return Ok(Verdict::Refused(Refusal::Authority { words }));
        }
        if seat.by_hash(&previous).await?.is_none() {
            return Err(unreachable(format!("it lacks the block's parent {previous}")).into());
        }
        Ok(Verdict::Refused(Refusal::Late))
    }

    async fn submit_once(&self, block: &RawBlock) -> Result<Submitted, NodeError> {
        let verdicts = self.0.peers.each(GRACE, |seat| async move { self.verdict(&seat, block).await }).await;
        let mut taken = None;
        let mut refusal = None;
        let mut broken = None;
        let mut failed: Option<NodeError> = None;
        for (seat, verdict) in verdicts {
            match verdict {
                Ok(Verdict::Taken(Submitted::Accepted)) => taken = Some(Submitted::Accepted),
                Ok(Verdict::Taken(Submitted::Known)) => taken = taken.or(Some(Submitted::Known)),
                // The authority may still think better of it; being late is for ever.
                Ok(Verdict::Refused(found @ Refusal::Authority { .. })) => refusal = Some(found),
                Ok(Verdict::Refused(found)) => refusal = refusal.or(Some(found)),
                Ok(Verdict::Broken(words)) => broken = Some(format!("{}: {words}", seat.name())),
                Err(error) => failed = Some(error.into()),
            }
        }
        if let Some(taken) = taken {
            self.mark(&block.id, None);
            return Ok(taken);
        }
        if let Some(Refusal::Authority { words }) = &refusal {
            let message = format!(
                "block {} fits the chain and is refused: the network's authority has not confirmed it ({words})",
                block.id
            );
            tracing::error!(block = %block.id, height = block.height, %words, "block not authorised");
            self.mark(&block.id, refusal);
            return Err(unreachable(message));
        }
        // A node that could not answer may still take it: only a unanimous refusal is final.
        if let Some(error) = failed {
            return Err(error);
        }
        self.mark(&block.id, refusal);
        let reason = broken.unwrap_or_else(|| "another block is in its place".to_owned());
        Err(NodeError::Refused { reason })
    }

    async fn fate_by(&self, seat: &Seat<Peer>, block: &BlockId) -> Result<BlockFate, CallError> {
        let handed = self.handed().get(block).cloned();
        let known = seat.by_hash(block).await?;
        let height = known.map(|known| known.height).or(handed.as_ref().map(|handed| handed.height));
        // The tip first: what is found at the height was there then, or replaced what was.
        let tip = seat.tip(&self.0.genesis).await?.height;
        let standing = match height {
            Some(height) => seat.at_height(height).await?.map(|known| known.id),
            None => None,
        };
        let facts = Facts { known, standing, tip, handed: handed.as_ref() };
        decide(*block, &facts, &self.0.config.fate)
            .map_err(|error| NodeError::Garbage(error.to_string()).into())
    }
}

#[async_trait::async_trait]
impl Node<Dynex> for DynexNode {
    async fn template(&self) -> Result<DynexTemplate, NodeError> {
        let count = *self.0.news.borrow();
        self.0.served.store(count, Ordering::Relaxed);
        let template = self.fetch().await;
        self.0.failed.store(template.is_err(), Ordering::Relaxed);
        let template = template?;
        let mut previous = self.0.previous.lock().unwrap_or_else(PoisonError::into_inner);
        let moved = previous.replace(*template.previous()) != Some(*template.previous());
        Ok(template.with_clean(moved))
    }

    async fn changed(&self) {
        let mut news = self.0.news.subscribe();
        let served = self.0.served.load(Ordering::Relaxed);
        // Without news there still are new transactions, and the time moves on; without a template, there is none.
        let failed = self.0.failed.load(Ordering::Relaxed);
        let wait = if failed { self.0.config.poll } else { self.0.config.refresh };
        let _ = tokio::time::timeout(wait, news.wait_for(|count| *count != served)).await;
    }

    async fn submit(&self, block: &RawBlock) -> Result<Submitted, NodeError> {
        let reward = Block::parse(&block.bytes).ok().and_then(|block| block.coinbase.total());
        self.remember(block.id, Handed { height: block.height, reward, refusal: None });
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
        Ok(self.0.peers.ask(|seat| async move { self.fate_by(&seat, block).await }).await?)
    }
}
