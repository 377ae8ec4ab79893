//! The pool's view of Alephium nodes: templates in, blocks out, fates read.
//!
//! An [`AlephiumNode`] talks to one or several nodes, each by two doors: the socket for miners, which pushes templates
//! and takes blocks, and REST for everything else. [`AlephiumNode::open`] does no I/O and starts nothing: it returns the
//! node and a future that drives the connections for as long as somebody polls it.
//!
//! A node is mined on while it says that it has caught up and pays exactly the pool's four addresses; a template does
//! not show whom it pays, so that is asked again and again. A node that lies, answers garbage or falls behind is asked
//! last. A block goes to every connected node, but only the one whose template it is can complete it, so only that
//! one's refusal counts. A template that made a block is left out of the next job.

use super::address::PayTo;
use super::chain::{CHAINS, ChainIndex};
use super::coin::Alephium;
use super::fate::{BlockFacts, FateRules, View, decide};
use super::header::split_block;
use super::link::{Jobs, Link, LinkRules, unreachable};
use super::params::{MINER_PORT, Network, REST_PORT};
use super::rest::Rest;
use super::template::{AlephiumTemplate, ChainTemplate, Freshener, Used};
use super::wire::Layout;
use crate::failover::{CoolDown, Failover, Seat};
use crate::hash::double_blake3::BLOB_LEN;
use crate::http::HttpRules;
use futures_util::stream::{FuturesUnordered, StreamExt};
use pool_core::block::{BlockFate, Placement};
use pool_core::coin::{Node, NodeError, RawBlock, Submitted};
use pool_core::id::BlockId;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often a block whose verdict was lost is sent again within one call.
const SUBMIT_ATTEMPTS: usize = 3;
/// The pause between two such attempts.
const SUBMIT_PAUSE: Duration = Duration::from_millis(200);
/// How many blocks a node may lie behind the best one, over all chains, before it counts as stalled: half a minute.
const LAG_MAX: u64 = 60;
/// Templates remembered, so that a block finds its node and its mark: a minute of sixteen chains, four times a second.
const ISSUED_MAX: usize = 16 * 4 * 60;
/// Blocks whose unchanging facts are remembered. Above it all are forgotten and read again.
const FACTS_MAX: usize = 8_192;
/// How old a tip may be.
const TIP_AGE_MAX: Duration = Duration::from_millis(500);

/// What an [`AlephiumNode`] needs to know.
#[derive(Clone, Debug)]
pub struct AlephiumNodeConfig {
    /// The nodes, the preferred one first: `host`, `host:MINER_PORT`, or either with `+REST` behind it, where `REST` is
    /// a port of the same host or an `http://` address. Ports default to 10973 and 12973.
    pub endpoints: Vec<String>,
    /// The network all of them must be on.
    pub network: Network,
    /// The pool's addresses, one per group, as they stand in the nodes' own configuration.
    pub pay_to: PayTo,
    /// The key for the nodes' REST interface, if they want one.
    pub api_key: Option<String>,
    /// The layout of the miners' protocol; `None`: told from what the node says first.
    pub layout: Option<Layout>,
    /// How long any answer may take.
    pub timeout: Duration,
    /// How often a template is fetched without news.
    pub poll: Duration,
    /// How long a node may push no templates before it counts as gone; nodes repeat them every four seconds.
    pub silence_max: Duration,
    /// How often a node is asked whether it is ready and whom it pays.
    pub probe: Duration,
    /// When a block's fate is final.
    pub fate: FateRules,
}

impl AlephiumNodeConfig {
    /// The defaults of everything but the three that have none.
    #[must_use]
    pub fn new(endpoints: Vec<String>, network: Network, pay_to: PayTo) -> Self {
        Self {
            endpoints,
            network,
            pay_to,
            api_key: None,
            layout: None,
            timeout: Duration::from_secs(5),
            poll: Duration::from_secs(4),
            silence_max: Duration::from_secs(15),
            probe: Duration::from_secs(10),
            fate: FateRules::default(),
        }
    }
}

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `host:port` of the socket for miners.
    pub miner: String,
    /// `host:port` or address of the REST interface.
    pub rest: String,
}

impl Endpoint {
    /// Reads an endpoint as [`AlephiumNodeConfig::endpoints`] has it.
    ///
    /// # Errors
    /// [`NodeError::Refused`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self, NodeError> {
        let refuse = |why: &str| NodeError::Refused { reason: format!("node address {text:?}: {why}") };
        let (miner, rest) = match text.split_once('+') {
            Some((miner, rest)) => (miner, Some(rest)),
            None => (text, None),
        };
        // A host may be an IPv6 address in brackets.
        let after_host = miner.rfind(']').map_or(0, |place| place + 1);
        let (host, port) = match miner[after_host..].rfind(':') {
            Some(colon) => (&miner[..after_host + colon], &miner[after_host + colon + 1..]),
            None => (miner, ""),
        };
        let port_of = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
        let host_ok = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
        if !host_ok {
            return Err(refuse("it begins with no host"));
        }
        let port = if port.is_empty() { Some(MINER_PORT) } else { port_of(port) };
        let port = port.ok_or_else(|| refuse("the port for miners is none"))?;
        let rest = match rest {
            None => format!("{host}:{REST_PORT}"),
            Some(url) if url.contains("://") => url.to_owned(),
            Some(port) => format!("{host}:{}", port_of(port).ok_or_else(|| refuse("the REST port is none"))?),
        };
        Ok(Self { miner: format!("{host}:{port}"), rest })
    }
}

/// What one node is like, for status pages and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its address for miners.
    pub endpoint: String,
    /// Its facts while it can be mined on, else why it cannot.
    pub state: Result<NodeFacts, String>,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its software's version.
    pub version: String,
    /// The layout of its miners' protocol.
    pub layout: Layout,
    /// The heights of all its chains, summed.
    pub progress: u64,
}

/// One or several Alephium nodes behind one face. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct AlephiumNode(Arc<Inner>);

/// Drives a node's connections for as long as it is polled. Spawn it, or select on it.
pub type AlephiumNodeDriver = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Debug)]
struct Inner {
    config: AlephiumNodeConfig,
    nodes: Failover<Arc<Link>>,
    news: watch::Sender<u64>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// The news count that the last template was made after.
    served: u64,
    freshener: Freshener,
    /// What was given out, oldest first.
    issued: VecDeque<Issued>,
    /// Heights for nodes that do not say them, by chain: the parent's hash and the height above it.
    heights: HashMap<u8, ([u8; 32], u32)>,
    /// What blocks of ours say of themselves; it never changes.
    facts: HashMap<BlockId, BlockFacts>,
    /// Blocks that were refused, and the height of their chain when that was first noticed.
    refused: HashMap<BlockId, Option<u64>>,
    /// The tip of each chain as a node last said it: which node, height, time, when.
    tips: HashMap<u8, (usize, u64, u64, Instant)>,
}

#[derive(Debug)]
struct Issued {
    key: [u8; BLOB_LEN],
    node: usize,
    used: Used,
}

impl AlephiumNode {
    /// A node and the future that drives its connections.
    ///
    /// # Errors
    /// [`NodeError::Refused`] for an address that is no address, or none at all.
    pub fn open(config: AlephiumNodeConfig) -> Result<(Self, AlephiumNodeDriver), NodeError> {
        let rules = LinkRules {
            network: config.network,
            pay_to: config.pay_to.clone(),
            layout: config.layout,
            timeout: config.timeout,
            silence_max: config.silence_max,
            probe: config.probe,
        };
        let headers = config.api_key.iter().map(|key| ("X-API-KEY".to_owned(), key.clone())).collect();
        let http = HttpRules { timeout: config.timeout, headers, ..HttpRules::default() };
        let (news, _) = watch::channel(0);
        let (mut links, mut drivers) = (Vec::new(), Vec::new());
        for text in &config.endpoints {
            let endpoint = Endpoint::parse(text)?;
            let rest = Rest::new(&endpoint.rest, &http)?;
            let name = endpoint.miner.clone();
            let (link, driver) = Link::new(name.clone(), endpoint.miner, rest, rules.clone(), news.clone());
            links.push((name, link));
            drivers.push(driver);
        }
        // Work waits for nobody: a node that misbehaved is tried again soon.
        let cool_down = CoolDown { first: Duration::from_secs(5), max: Duration::from_secs(60) };
        let nodes = Failover::new(links, cool_down)?;
        let inner = Inner { config, nodes, news, memory: Mutex::default() };
        let driver = Box::pin(async move {
            futures_util::future::join_all(drivers).await;
        });
        Ok((Self(Arc::new(inner)), driver))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // What is remembered is good whatever panicked while holding it: every entry is whole.
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every configured node and how it is.
    #[must_use]
    pub fn status(&self) -> Vec<NodeStatus> {
        let status = |seat: &Seat<Arc<Link>>| {
            let link = seat.peer();
            let facts = link.jobs().and_then(|jobs| {
                let version = link.readiness()?.version;
                Ok(NodeFacts { version, layout: jobs.layout, progress: progress(&jobs) })
            });
            NodeStatus { endpoint: link.name.clone(), state: facts.map_err(|error| causes(&error)) }
        };
        self.0.nodes.seats().iter().map(status).collect()
    }

    /// Waits until at least one node can be mined on.
    pub async fn ready(&self) {
        let mut news = self.0.news.subscribe();
        while !self.0.nodes.seats().iter().any(|seat| seat.peer().jobs().is_ok()) {
            let _ = tokio::time::timeout(Duration::from_millis(200), news.changed()).await;
        }
    }

    /// The network's hash rate, from its difficulty. Unit: hashes a second.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn network_hashrate(&self) -> Result<u128, NodeError> {
        let difficulty = self.0.nodes.ask(async |seat| seat.peer().rest.difficulty().await).await?;
        // Sixteen hashes for a try at one chain's target, and sixteen chains at once.
        let a_block_time = difficulty.saturating_mul(CHAINS as u128 * CHAINS as u128);
        Ok(a_block_time / u128::from(self.0.config.network.block_seconds()))
    }

    /// The network it is on.
    #[must_use]
    pub fn network(&self) -> Network {
        self.0.config.network
    }

    /// Where the chain pays the pool.
    #[must_use]
    pub fn pay_to(&self) -> &PayTo {
        &self.0.config.pay_to
    }

    #[cfg(feature = "wallet")]
    pub(crate) fn nodes(&self) -> &Failover<Arc<Link>> {
        &self.0.nodes
    }

    /// The best node's progress; with three nodes or more the second best's, so that one liar does not put everybody
    /// else behind.
    fn best_progress(&self) -> u64 {
        let jobs = self.0.nodes.seats().iter().filter_map(|seat| seat.peer().jobs().ok());
        let mut all: Vec<u64> = jobs.map(|jobs| progress(&jobs)).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.get(usize::from(all.len() > 2)).copied().unwrap_or(0)
    }

    async fn template_of(
        &self,
        seat: &Seat<Arc<Link>>,
        last_chance: bool,
    ) -> Result<AlephiumTemplate, NodeError> {
        let link = seat.peer();
        let jobs = link.jobs()?;
        let behind = progress(&jobs).saturating_add(LAG_MAX) < self.best_progress();
        if behind && !last_chance {
            return Err(unreachable(format!("{}: it lies far behind the others", link.name)));
        }
        let mut offers = jobs.templates.as_ref().clone();
        if jobs.layout == Layout::Bare {
            self.find_heights(link, &mut offers).await?;
        }
        let garbage = |error: super::codec::Malformed| NodeError::Garbage(format!("{}: {error}", link.name));
        let mut memory = self.memory();
        let fresh = memory.freshener.freshen(offers);
        let template = AlephiumTemplate::new(fresh).map_err(garbage)?;
        for template in template.all() {
            let key = template.blob().key();
            if memory.issued.iter().rev().take(CHAINS * 8).any(|known| known.key == key) {
                continue;
            }
            memory.issued.push_back(Issued { key, node: seat.index(), used: template.used().clone() });
            if memory.issued.len() > ISSUED_MAX {
                memory.issued.pop_front();
            }
        }
        Ok(template)
    }

    /// The heights of templates from a node that does not say them: one above its chain's, looked up once per parent.
    async fn find_heights(&self, link: &Link, offers: &mut [ChainTemplate]) -> Result<(), NodeError> {
        for offer in offers {
            let (chain, parent) = (offer.chain(), offer.blob().parent(offer.chain().to()));
            let known = self.memory().heights.get(&chain.place()).copied();
            let height = match known {
                Some((of, height)) if of == parent => height,
                Some(_) | None => {
                    let height = u32::try_from(link.rest.height(chain).await?).unwrap_or(u32::MAX);
                    let height = height.saturating_add(1);
                    self.memory().heights.insert(chain.place(), (parent, height));
                    height
                }
            };
            *offer = offer.with_height(height);
        }
        Ok(())
    }

    /// Which node's template a block is made of, and the template's mark.
    fn origin(&self, block: &RawBlock) -> Option<(usize, Used)> {
        let (_, blob, _) = split_block(&block.bytes).ok()?;
        let key = blob.key();
        let memory = self.memory();
        let found = memory.issued.iter().rev().find(|known| known.key == key)?;
        Some((found.node, found.used.clone()))
    }

    /// Sends a block to one node and reads its verdict.
    async fn hand_over(
        &self,
        seat: &Seat<Arc<Link>>,
        pending: super::link::Pending,
        block: &RawBlock,
        judge: bool,
    ) -> Result<Submitted, NodeError> {
        let link = seat.peer();
        if link.verdict(pending).await? {
            return Ok(Submitted::Accepted);
        }
        // The node says "no" to a block it has, to one whose template it lacks, and to one that breaks a rule.
        if link.rest.block(&block.id.to_string()).await?.is_some() {
            return Ok(Submitted::Known);
        }
        if judge {
            return Err(NodeError::Refused {
                reason: "the template is used up or too old, or the block breaks a rule".into(),
            });
        }
        Err(unreachable(format!("{}: it has not made the block's template", link.name)))
    }

    async fn submit_once(&self, block: &RawBlock, origin: Option<usize>) -> Result<Submitted, NodeError> {
        let hash: [u8; 32] = *block.id.bytes();
        let mut last = None;
        let mut verdicts = FuturesUnordered::new();
        for seat in self.0.nodes.seats() {
            let judge = origin.is_none_or(|origin| origin == seat.index());
            match seat.peer().hand_over(&block.bytes, hash) {
                Ok(pending) => {
                    verdicts.push(async move { (judge, self.hand_over(seat, pending, block, judge).await) })
                }
                Err(error) => last = Some(error),
            }
        }
        let (mut known, mut refused) = (false, None);
        while let Some((judge, verdict)) = verdicts.next().await {
            match verdict {
                Ok(Submitted::Accepted) => return Ok(Submitted::Accepted),
                Ok(Submitted::Known) => known = true,
                Err(error @ NodeError::Refused { .. }) => refused = Some(error),
                // What a node cannot complete it cannot judge either.
                Err(error) if judge || last.is_none() => last = Some(error),
                Err(_) => {}
            }
        }
        if known {
            return Ok(Submitted::Known);
        }
        match (refused, origin) {
            // The one node that could complete it will not.
            (Some(refused), Some(_)) => Err(refused),
            // After a restart nobody knows whose it was: only when nobody was away is the refusal final.
            (refused, _) => Err(last.or(refused).unwrap_or_else(|| unreachable("no node took the block"))),
        }
    }

    async fn read_fate(&self, seat: &Seat<Arc<Link>>, id: &BlockId) -> Result<BlockFate, NodeError> {
        let rest = &seat.peer().rest;
        let hash = id.to_string();
        let remembered = self.memory().facts.get(id).cloned();
        let own = match remembered {
            Some(own) => own,
            None => {
                let Some(entry) = rest.block(&hash).await? else { return self.refused_fate(seat, id).await };
                let own = entry.facts(id)?;
                let mut memory = self.memory();
                if memory.facts.len() >= FACTS_MAX {
                    memory.facts.clear();
                }
                memory.facts.insert(*id, own.clone());
                own
            }
        };
        let (tip_height, tip_time) = self.tip(seat, own.chain).await?;
        let rules = &self.0.config.fate;
        let lock = own.outputs.first().map_or(0, |output| output.lock_time);
        let confirmations = tip_height.saturating_sub(own.height);
        // Nothing can be final before its own lock; then the cheap answer will do, a thousand blocks at a time.
        if tip_time < lock.saturating_add(rules.lock_margin_ms) && confirmations < rules.lost_depth {
            return Ok(BlockFate::Pending { confirmations });
        }
        let on_chain = rest.is_on_chain(&hash).await?;
        let named_by = if on_chain { None } else { rest.named_by(&hash).await? };
        let named_by = match named_by {
            None => None,
            Some(entry) => {
                let by: BlockId = entry
                    .hash
                    .parse()
                    .map_err(|_| NodeError::Garbage(format!("{:?} is no hash", entry.hash)))?;
                Some(entry.facts(&by)?)
            }
        };
        let view = View { on_chain, named_by, tip_height, tip_time };
        let fate = decide(&own, &view, &self.0.config.pay_to, rules)
            .map_err(|error| NodeError::Garbage(error.to_string()))?;
        if fate.is_final() {
            self.memory().facts.remove(id);
        }
        Ok(fate)
    }

    /// The fate of a block that no node has. Should it have been refused, it is lost in time: a template makes one
    /// block, and nobody keeps the others.
    async fn refused_fate(&self, seat: &Seat<Arc<Link>>, id: &BlockId) -> Result<BlockFate, NodeError> {
        if !self.memory().refused.contains_key(id) {
            return Ok(BlockFate::Unknown);
        }
        let (height, _) = self.tip(seat, ChainIndex::of_hash(id.bytes())).await?;
        let mut memory = self.memory();
        let since = *memory.refused.entry(*id).or_default().get_or_insert(height);
        if height.saturating_sub(since) < self.0.config.fate.lost_depth {
            return Ok(BlockFate::Unknown);
        }
        memory.refused.remove(id);
        let detail = "the node refused it, and nobody has it".to_owned();
        Ok(BlockFate::Lost { placement: Placement::Orphan, detail })
    }

    /// Height and time of a chain's tip.
    pub(crate) async fn tip(
        &self,
        seat: &Seat<Arc<Link>>,
        chain: ChainIndex,
    ) -> Result<(u64, u64), NodeError> {
        let known = self.memory().tips.get(&chain.place()).copied();
        if let Some((node, height, time, at)) = known
            && node == seat.index()
            && at.elapsed() < TIP_AGE_MAX
        {
            return Ok((height, time));
        }
        let rest = &seat.peer().rest;
        let height = rest.height(chain).await?;
        let hash = rest.hash_at(chain, height).await?;
        let entry = rest.block(&hash).await?;
        let entry = entry.ok_or_else(|| NodeError::Garbage(format!("the node lacks its own tip {hash}")))?;
        if hex::encode(entry.computed_hash()?) != hash {
            return Err(NodeError::Garbage(format!(
                "asked for the tip {hash}, the node answers with another block"
            )));
        }
        let time = entry.timestamp;
        self.memory().tips.insert(chain.place(), (seat.index(), height, time, Instant::now()));
        Ok((height, time))
    }
}

fn progress(jobs: &Jobs) -> u64 {
    jobs.templates.iter().map(|template| u64::from(template.height())).sum()
}

/// An error with its causes, for a status page.
fn causes(error: &NodeError) -> String {
    match error {
        NodeError::Unreachable(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

#[async_trait::async_trait]
impl Node<Alephium> for AlephiumNode {
    async fn template(&self) -> Result<AlephiumTemplate, NodeError> {
        let version = *self.0.news.borrow();
        self.memory().served = version;
        match self.0.nodes.ask(async |seat| self.template_of(&seat, false).await).await {
            Ok(template) => Ok(template),
            // Better late work than none.
            Err(first) => {
                for seat in self.0.nodes.order() {
                    if let Ok(template) = self.template_of(&seat, true).await {
                        return Ok(template);
                    }
                }
                Err(first)
            }
        }
    }

    async fn changed(&self) {
        let mut news = self.0.news.subscribe();
        let served = self.memory().served;
        // The poll is the safety net for a push that never comes.
        let _ = tokio::time::timeout(self.0.config.poll, news.wait_for(|version| *version != served)).await;
    }

    async fn submit(&self, block: &RawBlock) -> Result<Submitted, NodeError> {
        let origin = self.origin(block);
        let used = origin.as_ref().map(|(_, used)| used.clone());
        if let Some(used) = &used {
            // From now on: two solutions of one moment must not become two blocks.
            used.mark();
            self.0.news.send_modify(|count| *count += 1);
        }
        let mut attempt = 1;
        loop {
            match self.submit_once(block, origin.as_ref().map(|(node, _)| *node)).await {
                Err(error) if error.is_transient() && attempt < SUBMIT_ATTEMPTS => {
                    tracing::warn!(block = %block.id, %error, attempt, "block not handed over yet");
                    attempt += 1;
                    tokio::time::sleep(SUBMIT_PAUSE).await;
                }
                outcome => {
                    if let Err(NodeError::Refused { .. }) = outcome {
                        let mut memory = self.memory();
                        if memory.refused.len() >= FACTS_MAX {
                            memory.refused.clear();
                        }
                        memory.refused.entry(block.id).or_default();
                    }
                    return outcome;
                }
            }
        }
    }

    async fn fate(&self, block: &BlockId) -> Result<BlockFate, NodeError> {
        self.0.nodes.ask(async |seat| self.read_fate(&seat, block).await).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_documented() {
        let read =
            |text: &str| Endpoint::parse(text).map(|endpoint| (endpoint.miner, endpoint.rest)).unwrap();
        let pair = |miner: &str, rest: &str| (miner.to_owned(), rest.to_owned());
        assert_eq!(read("node"), pair("node:10973", "node:12973"));
        assert_eq!(read("node:1"), pair("node:1", "node:12973"));
        assert_eq!(read("127.0.0.1:1+2"), pair("127.0.0.1:1", "127.0.0.1:2"));
        assert_eq!(read("[::1]:1+2"), pair("[::1]:1", "[::1]:2"));
        assert_eq!(read("[::1]+https://api.example"), pair("[::1]:10973", "https://api.example"));
        for bad in ["", ":1", "node:0", "node:x", "node+x", "node+0", "a b:1", "http://node:1", "+12973"] {
            assert!(matches!(Endpoint::parse(bad), Err(NodeError::Refused { .. })), "{bad}");
        }
    }
}
