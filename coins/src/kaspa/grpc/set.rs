//! Several nodes behind one face.
//!
//! The set keeps to one node while it is healthy, so that what is read about a block comes from one view of the
//! chain, and goes to the next when it is not: unreachable, not synchronised, far behind the others, or caught lying.

use super::link::{CallError, Driver, Link, LinkRules, LinkState, unreachable};
use super::wire::{self, Answer, Ask};
use crate::kaspa::node::{NodeFacts, NodeStatus};
use pool_core::coin::NodeError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How long a node that lied or answered garbage is asked last.
const BENCH: Duration = Duration::from_secs(10);
/// How far a node's DAA score may lie behind the best one's before it counts as stalled. 300 are 30 s at ten a second.
const LAG_MAX: u64 = 300;

/// The nodes of one network.
#[derive(Debug)]
pub(crate) struct NodeSet {
    links: Vec<Arc<Link>>,
    current: AtomicUsize,
    mine_unsynced: bool,
    news: watch::Sender<u64>,
}

/// Drives all connections of a set for as long as it is polled.
pub(crate) type SetDriver = Pin<Box<dyn Future<Output = ()> + Send>>;

impl NodeSet {
    pub(crate) fn new(
        endpoints: &[String],
        rules: &LinkRules,
        mine_unsynced: bool,
    ) -> Result<(Arc<Self>, SetDriver), NodeError> {
        if endpoints.is_empty() {
            return Err(NodeError::Refused { reason: "no node address given".into() });
        }
        let (news, _) = watch::channel(0);
        let mut links = Vec::new();
        let mut drivers: Vec<Driver> = Vec::new();
        for endpoint in endpoints {
            let (link, driver) = Link::new(endpoint, rules.clone(), news.clone())?;
            links.push(Arc::new(link));
            drivers.push(driver);
        }
        let set = Arc::new(Self { links, current: AtomicUsize::new(0), mine_unsynced, news });
        let driver = Box::pin(async move {
            futures_util::future::join_all(drivers.into_iter().map(Driver::run)).await;
        });
        Ok((set, driver))
    }

    /// Counted up whenever a newer template may be had.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Every connected node that will take blocks, healthy or not otherwise.
    pub(crate) fn connected(&self) -> Vec<Arc<Link>> {
        self.links.iter().filter(|link| matches!(link.state(), LinkState::Up(_))).cloned().collect()
    }

    /// Every configured node and how it is.
    pub(crate) fn status(&self) -> Vec<NodeStatus> {
        let status = |link: &Arc<Link>| NodeStatus {
            endpoint: link.name.to_string(),
            state: match link.state() {
                LinkState::Up(facts) => Ok(NodeFacts {
                    version: facts.server_version,
                    synced: facts.is_synced,
                    utxo_index: facts.has_utxo_index,
                    daa_score: facts.virtual_daa_score,
                }),
                LinkState::Down(why) => Err(why.to_string()),
            },
        };
        self.links.iter().map(status).collect()
    }

    /// The healthy nodes, the one in use first, then in the configured order; those that misbehaved come last.
    ///
    /// # Errors
    /// Why there is none: the gravest reason of the first node.
    pub(crate) fn healthy(&self) -> Result<Vec<Arc<Link>>, NodeError> {
        let states: Vec<LinkState> = self.links.iter().map(|link| link.state()).collect();
        let daa_scores = states.iter().filter_map(|state| match state {
            LinkState::Up(facts) if facts.is_synced || self.mine_unsynced => Some(facts.virtual_daa_score),
            LinkState::Up(_) | LinkState::Down(_) => None,
        });
        // One liar with a huge score must not put everybody else behind: with three nodes or more the second best
        // is the measure.
        let mut daa_scores: Vec<u64> = daa_scores.collect();
        daa_scores.sort_unstable_by(|a, b| b.cmp(a));
        let best = daa_scores.get(usize::from(daa_scores.len() > 2)).copied().unwrap_or(0);
        let current = self.current.load(Ordering::Relaxed);
        let mut healthy: Vec<(bool, bool, usize)> = Vec::new();
        let mut unsynced = false;
        let mut down = None;
        for (index, state) in states.iter().enumerate() {
            match state {
                LinkState::Down(why) => {
                    down.get_or_insert_with(|| unreachable(format!("{}: {why}", self.links[index].name)));
                }
                LinkState::Up(facts) if !facts.is_synced && !self.mine_unsynced => unsynced = true,
                LinkState::Up(facts) => {
                    let behind = facts.virtual_daa_score.saturating_add(LAG_MAX) < best;
                    let last = behind || self.links[index].is_benched();
                    healthy.push((last, index != current, index));
                }
            }
        }
        if healthy.is_empty() {
            return Err(match down {
                _ if unsynced => NodeError::NotSynced,
                Some(error) => error,
                None => unreachable("no node"),
            });
        }
        healthy.sort_unstable();
        Ok(healthy.into_iter().map(|(_, _, index)| self.links[index].clone()).collect())
    }

    /// `link` proved itself: it is the one in use.
    pub(crate) fn prefer(&self, link: &Arc<Link>) {
        if let Some(index) = self.links.iter().position(|other| Arc::ptr_eq(other, link)) {
            let before = self.current.swap(index, Ordering::Relaxed);
            if before != index {
                tracing::info!(from = %self.links[before].name, to = %link.name, "changed over to another node");
            }
        }
    }

    /// `link` misbehaved: it is asked last for a while.
    pub(crate) fn distrust(&self, link: &Link, why: &NodeError) {
        tracing::warn!(node = %link.name, error = %Chain(why), "node misbehaves, asking others first");
        link.bench(BENCH);
    }

    /// Asks healthy nodes in turn until one answers.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<Answer, NodeError> {
        let mut last = None;
        for link in self.healthy()? {
            match link.ask(ask.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    self.distrust(&link, &error);
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or(NodeError::NotSynced))
    }
}

/// An error with its causes, for a log line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// The typed questions of a set: any healthy node's answer will do.
macro_rules! questions {
    ($($name:ident: $variant:ident($in:ty) -> $out:ty;)*) => {
        impl NodeSet {
            $(
                pub(crate) async fn $name(&self, ask: $in) -> Result<$out, CallError> {
                    super::link::read::$name(self.ask(Ask::$variant(ask)).await?)
                }
            )*
        }
    };
}

questions! {
    hashrate: EstimateHashrate(wire::EstimateHashrate) -> wire::Hashrate;
}

#[cfg(feature = "wallet")]
questions! {
    block: GetBlock(wire::GetBlock) -> wire::BlockAnswer;
    dag: GetBlockDagInfo(wire::Empty) -> wire::BlockDagFacts;
    virtual_chain: GetVirtualChain(wire::GetVirtualChain) -> wire::VirtualChain;
    virtual_chain_v2: GetVirtualChainV2(wire::GetVirtualChainV2) -> wire::VirtualChainV2;
    utxos: GetUtxosByAddresses(wire::Addresses) -> wire::Utxos;
    mempool_entry: GetMempoolEntry(wire::GetMempoolEntry) -> wire::MempoolEntryAnswer;
    submit_transaction: SubmitTransaction(wire::SubmitTransaction) -> wire::SubmitTransactionAnswer;
    fee_estimate: GetFeeEstimate(wire::Empty) -> wire::FeeEstimateAnswer;
}
