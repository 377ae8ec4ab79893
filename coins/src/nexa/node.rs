//! The pool's view of Nexa nodes: candidates in, solutions out, fates read.
//!
//! A [`NexaNode`] talks to one or several nodes over JSON-RPC. [`NexaNode::open`] does no I/O and starts nothing: it
//! returns the node and a future that looks at every node's tip for as long as somebody polls it.
//!
//! **Candidates belong to the node that gave them.** A solution goes to that node and to no other, and exactly once,
//! as the id is gone with the first try: the pool has proved the work itself before. When the answer is lost the
//! chain is asked whether the block is there; only when that says no, and only while the candidate can still live, is
//! the solution handed in again. After a restart of the node its ids begin anew, so before an old claim is made again
//! the node is asked for its newest candidate: an id below the claim's, or the same id with another commitment, means
//! that it was restarted, and the block is lost. A block that was taken is read back from the node and handed to all
//! other nodes whole, and its coinbase is looked at: a node whose coinbase pays somebody else is asked last from then
//! on, and the log says so.
//!
//! **A node is believed as far as it can be checked.** It must be on the right network, caught up, and not behind the
//! others; its candidates are checked; a header must hash to its name and carry real work, a block must commit to its
//! transactions. Final fates are read from every node that answers: when two disagree, nothing is final.

use super::address::Address;
use super::coin::Nexa;
use super::fate::{FateRules, Place, decide, depth, is_due};
use super::header::{Header, target_of_bits};
use super::params::Network;
use super::rpc::{Rpc, SolutionAnswer, node_error};
use super::submission::{Submission, block_id_of, height_of};
use super::template::NexaTemplate;
use crate::failover::{CoolDown, Failover, Seat};
use crate::hash::nexapow::NexaPow;
use crate::http::{HttpRules, Login, RpcError};
use futures_util::future::join_all;
use pool_core::block::BlockFate;
use pool_core::coin::{Node, NodeError, RawBlock, Submitted};
use pool_core::id::BlockId;
use pool_core::units::U256;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How many candidates are remembered with what became of them. A node keeps ten.
const CANDIDATES_KEPT: usize = 64;
/// How many of the pool's own blocks are remembered by the chain's name. More is only slower.
const NAMES_KEPT: usize = 20_000;
/// How often a tip that moves while a candidate is fetched is tried again.
const TIP_TRIES: usize = 4;
/// How often a solution whose answer was lost is looked for within one call, and the pause before each look.
const LOST_TRIES: usize = 3;
/// See [`LOST_TRIES`].
const LOST_PAUSE: Duration = Duration::from_millis(200);
/// What a node said of its chain is believed for so long.
const IDENTITY_LIFE: Duration = Duration::from_secs(30);

/// What a [`NexaNode`] needs to know.
#[derive(Clone, Debug)]
pub struct NexaNodeConfig {
    /// `host:port` or URL of each node's JSON-RPC, the preferred one first. A name and password before an `@` go
    /// before [`NexaNodeConfig::login`].
    pub endpoints: Vec<String>,
    /// The network all of them must be on.
    pub network: Network,
    /// Where the chain pays the pool.
    pub pay_to: Address,
    /// Name and password of all nodes that have none in their endpoint.
    pub login: Option<Login>,
    /// How long any answer may take.
    pub timeout: Duration,
    /// How often a candidate is fetched without news. A node makes a new one after 30 s at the earliest.
    pub poll: Duration,
    /// How often each node's tip is looked at.
    pub probe: Duration,
    /// A node may be so many blocks behind the best one.
    pub lag_max: u64,
    /// When a block's fate is final.
    pub fate: FateRules,
    /// How long a node that misbehaved is asked last.
    pub cool_down: CoolDown,
}

impl NexaNodeConfig {
    /// The defaults of everything but the three that have none.
    #[must_use]
    pub fn new(endpoints: Vec<String>, network: Network, pay_to: Address) -> Self {
        Self {
            endpoints,
            network,
            pay_to,
            login: None,
            timeout: Duration::from_secs(5),
            poll: Duration::from_secs(1),
            probe: Duration::from_millis(250),
            lag_max: 1,
            fate: FateRules::of(network),
            cool_down: CoolDown::default(),
        }
    }
}

/// What a node was last seen to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// The tip's height.
    pub height: u64,
    /// The tip's hash, in hashing order.
    pub best: [u8; 32],
}

/// What one node is like, for status pages and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Scheme, host and port.
    pub endpoint: String,
    /// Its tip while it answers, else why it does not.
    pub state: Result<NodeFacts, String>,
}

/// One node.
#[derive(Debug)]
struct Peer {
    rpc: Rpc,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    facts: Option<(NodeFacts, Instant)>,
    /// Until when its network need not be asked again.
    identified: Option<Instant>,
    trouble: Option<String>,
}

impl Peer {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("nobody panics while holding what was seen")
    }
}

/// What became of a candidate that this process fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// Nothing yet.
    Open,
    /// A solution was sent; the node may have heard it or not.
    Sent,
    /// The node forgot it.
    Gone,
}

#[derive(Debug)]
struct Held {
    node: Arc<str>,
    candidate: u64,
    commitment: [u8; 32],
    claim: Claim,
}

/// What the last template that was handed out said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Served {
    commitment: [u8; 32],
    best: [u8; 32],
}

/// One or several Nexa nodes behind one face. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct NexaNode(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: NexaNodeConfig,
    function: NexaPow,
    set: Failover<Peer>,
    names: Vec<Arc<str>>,
    /// Counts tips seen for the first time, and candidates used up.
    news: watch::Sender<u64>,
    served: Mutex<Option<(Served, u64)>>,
    held: Mutex<VecDeque<Held>>,
    own: Mutex<HashMap<BlockId, [u8; 32]>>,
}

impl NexaNode {
    /// A node and the future that watches the nodes' tips.
    ///
    /// # Errors
    /// [`NodeError::Refused`] for an endpoint that is no address, or a pay address of another network.
    pub fn open(config: NexaNodeConfig) -> Result<(Self, impl Future<Output = ()> + Send), NodeError> {
        if config.pay_to.network() != config.network {
            return Err(NodeError::Refused {
                reason: "the pool's address belongs to another network".into(),
            });
        }
        let rules =
            HttpRules { timeout: config.timeout, login: config.login.clone(), ..HttpRules::default() };
        let mut peers = Vec::with_capacity(config.endpoints.len());
        for endpoint in &config.endpoints {
            let rpc = Rpc::new(endpoint, &rules)?;
            peers.push((rpc.name().to_owned(), Peer { rpc, seen: Mutex::default() }));
        }
        let names = peers.iter().map(|(name, _)| Arc::from(name.as_str())).collect();
        let set = Failover::new(peers, config.cool_down)?;
        let inner = Inner {
            config,
            function: NexaPow::new(),
            set,
            names,
            news: watch::Sender::new(0),
            served: Mutex::default(),
            held: Mutex::default(),
            own: Mutex::default(),
        };
        let node = Self(Arc::new(inner));
        let driver = node.clone().watch();
        Ok((node, driver))
    }

    /// Looks at every node's tip, each at its own pace: a slow one delays nobody.
    async fn watch(self) {
        let each = self.0.set.seats().iter().map(|seat| async {
            loop {
                self.probe(seat).await;
                tokio::time::sleep(self.0.config.probe).await;
            }
        });
        join_all(each).await;
    }

    async fn probe(&self, seat: &Seat<Peer>) {
        let outcome = async {
            self.identify(seat).await?;
            let best = seat.rpc.best().await.map_err(node_error)?;
            let known = seat.seen().facts.as_ref().map(|(facts, _)| facts.clone());
            let facts = match known {
                Some(facts) if facts.best == best => facts,
                _ => NodeFacts { height: seat.rpc.height().await.map_err(node_error)?, best },
            };
            Ok(facts)
        };
        match outcome.await {
            Ok(facts) => {
                let mut seen = seat.seen();
                seen.trouble = None;
                let before = seen.facts.replace((facts.clone(), Instant::now()));
                drop(seen);
                if before.is_none_or(|(before, _)| before.best != facts.best) {
                    self.0.news.send_modify(|count| *count += 1);
                }
            }
            Err(error) => self.fault(seat, &error),
        }
    }

    /// A node that cannot be used now.
    fn fault(&self, seat: &Seat<Peer>, error: &NodeError) {
        let mut seen = seat.seen();
        seen.trouble = Some(words(error));
        seen.facts = None;
        seen.identified = None;
        drop(seen);
        self.0.set.demote(seat.index(), &words(error));
    }

    /// The node must be on our network, have caught up, and know our address.
    async fn identify(&self, seat: &Seat<Peer>) -> Result<(), NodeError> {
        if seat.seen().identified.is_some_and(|until| until > Instant::now()) {
            return Ok(());
        }
        let Inner { config, .. } = &*self.0;
        let chain = seat.rpc.chain().await.map_err(node_error)?;
        if chain.chain != config.network.chain() {
            let found: String = chain.chain.chars().take(20).collect();
            return Err(NodeError::Garbage(format!("it is on {found}, not on {}", config.network.chain())));
        }
        if chain.initialblockdownload {
            return Err(NodeError::NotSynced);
        }
        if !seat.rpc.is_address(&config.pay_to.to_string()).await.map_err(node_error)? {
            return Err(NodeError::Garbage(format!("it does not take {} for an address", config.pay_to)));
        }
        seat.seen().identified = Instant::now().checked_add(IDENTITY_LIFE);
        Ok(())
    }

    /// Every configured node and how it is.
    #[must_use]
    pub fn status(&self) -> Vec<NodeStatus> {
        let status = |seat: &Seat<Peer>| {
            let seen = seat.seen();
            let state = match (&seen.facts, &seen.trouble) {
                (Some((facts, _)), _) => Ok(facts.clone()),
                (None, Some(trouble)) => Err(trouble.clone()),
                (None, None) => Err("not asked yet".into()),
            };
            NodeStatus { endpoint: seat.name().to_owned(), state }
        };
        self.0.set.seats().iter().map(status).collect()
    }

    /// Waits until at least one node answers and may be used.
    pub async fn ready(&self) {
        let mut news = self.0.news.subscribe();
        while !self.status().iter().any(|status| status.state.is_ok()) {
            let _ = tokio::time::timeout(Duration::from_millis(200), news.changed()).await;
        }
    }

    /// The network's hash rate as a node estimates it. Unit: hashes a second.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn network_hashrate(&self) -> Result<u64, NodeError> {
        let rate = self.0.set.ask(async |seat: Seat<Peer>| seat.rpc.network_hashrate().await);
        rate.await.map_err(node_error)
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

    /// How it talks to a node: what a wallet behind the same nodes uses.
    #[cfg(feature = "wallet")]
    pub(crate) fn http_rules(&self) -> HttpRules {
        let config = &self.0.config;
        HttpRules { timeout: config.timeout, login: config.login.clone(), ..HttpRules::default() }
    }

    /// The highest tip that any node was seen to have lately.
    fn best_height(&self) -> Option<u64> {
        let recent = Instant::now().checked_sub(self.0.config.probe * 4 + self.0.config.timeout);
        let facts = self.0.set.seats().iter().filter_map(|seat| seat.seen().facts.clone());
        facts.filter(|(_, at)| recent.is_none_or(|recent| *at >= recent)).map(|(facts, _)| facts.height).max()
    }

    /// The only refusal here is that the network's rules have changed; what a node refuses in words another may grant,
    /// or the same one later.
    async fn template_of(&self, seat: &Seat<Peer>) -> Result<(NexaTemplate, Served), NodeError> {
        let later = |error: NodeError| match error {
            NodeError::Refused { reason } => NodeError::Garbage(reason),
            error => error,
        };
        let failed = |error: RpcError| later(node_error(error));
        self.identify(seat).await.map_err(later)?;
        let Inner { config, names, .. } = &*self.0;
        for _ in 0..TIP_TRIES {
            let best = seat.rpc.best().await.map_err(failed)?;
            let height = seat.rpc.height().await.map_err(failed)?;
            if let Some(ahead) = self.best_height().and_then(|best| best.checked_sub(height))
                && ahead > config.lag_max
            {
                return Err(NodeError::Garbage(format!("it is {ahead} blocks behind another node")));
            }
            let answer = seat.rpc.candidate(&config.pay_to).await.map_err(failed)?;
            // The answer does not say its height: the tip must have stood still around it.
            if seat.rpc.best().await.map_err(failed)? != best {
                continue;
            }
            let name = names[seat.index()].clone();
            let template = NexaTemplate::check(&answer, name, config.network, height.saturating_add(1))?;
            let served = Served { commitment: template.commitment(), best };
            return Ok((template, served));
        }
        Err(NodeError::Garbage("its tip does not stand still".into()))
    }

    /// The first node's candidate that passes, by the order of trust.
    async fn newest(&self) -> Result<(NexaTemplate, Served), NodeError> {
        let mut first = None;
        for seat in self.0.set.order() {
            match self.template_of(&seat).await {
                Ok(found) => return Ok(found),
                // No other node will know better.
                Err(error @ NodeError::Refused { .. }) => return Err(error),
                Err(error) => {
                    self.fault(&seat, &error);
                    first.get_or_insert(error);
                }
            }
        }
        Err(first.unwrap_or(NodeError::NotSynced))
    }

    fn hold(&self, template: &NexaTemplate) {
        let mut held = self.0.held.lock().expect("nobody panics while holding the candidates");
        let same = |other: &Held| {
            other.commitment == template.commitment()
                && other.candidate == template.candidate()
                && *other.node == *template.node()
        };
        if held.iter().any(same) {
            return;
        }
        if held.len() >= CANDIDATES_KEPT {
            held.pop_front();
        }
        held.push_back(Held {
            node: template.node().into(),
            candidate: template.candidate(),
            commitment: template.commitment(),
            claim: Claim::Open,
        });
    }

    /// What is known of a claim's candidate, and what it becomes.
    fn claim(&self, submission: &Submission, becomes: Option<Claim>) -> Option<Claim> {
        let mut held = self.0.held.lock().expect("nobody panics while holding the candidates");
        let own = held.iter_mut().find(|held| {
            held.commitment == submission.commitment
                && held.candidate == submission.candidate
                && *held.node == submission.node
        })?;
        let was = own.claim;
        if let Some(becomes) = becomes {
            own.claim = becomes;
        }
        Some(was)
    }

    fn remember(&self, id: &BlockId, hash: [u8; 32]) {
        let mut own = self.0.own.lock().expect("nobody panics while holding the names");
        if own.len() >= NAMES_KEPT {
            own.clear();
        }
        own.insert(*id, hash);
    }

    /// What one node's chain has at a block's height, and the tip's height.
    async fn place(&self, seat: &Seat<Peer>, id: &BlockId) -> Result<(Place, u64), NodeError> {
        let height = u64::from(height_of(id));
        let tip = seat.rpc.height().await.map_err(node_error)?;
        let hash = match seat.rpc.block_at(height).await.map_err(node_error)? {
            Some(hash) => hash,
            None => return Ok((Place::Empty, tip)),
        };
        let known = self.0.own.lock().expect("nobody panics while holding the names").get(id).copied();
        if known == Some(hash) {
            return Ok((Place::Own(hash), tip));
        }
        let header = seat.rpc.header(hash).await.map_err(node_error)?;
        if header.height != height {
            return Err(NodeError::Garbage(format!("a block of height {} at {height}", header.height)));
        }
        if block_id_of(&header) == Some(*id) {
            self.remember(id, hash);
            return Ok((Place::Own(hash), tip));
        }
        self.check_work(&header)?;
        Ok((Place::Other(hash), tip))
    }

    /// Nobody shall call our block lost for a header that cost nothing.
    fn check_work(&self, header: &Header) -> Result<(), NodeError> {
        let garbage = |why: &str| NodeError::Garbage(format!("a block on its chain {why}"));
        let easiest = target_of_bits(self.0.config.network.easiest_bits());
        let target = target_of_bits(header.bits).filter(|target| Some(*target) <= easiest);
        let target = target.ok_or_else(|| garbage("is too easy"))?;
        let proof = self.0.function.proof(&header.commitment(), &header.nonce);
        match proof {
            Ok(hash) if U256::from_le_bytes(hash) <= target.get() => Ok(()),
            Ok(_) | Err(_) => Err(garbage("has no work behind it")),
        }
    }

    /// Whether any node that answers has the block on its chain.
    async fn on_chain(&self, id: &BlockId) -> Result<bool, NodeError> {
        let mut last = None;
        let mut answered = false;
        for seat in self.0.set.order() {
            match self.place(&seat, id).await {
                Ok((Place::Own(_), _)) => return Ok(true),
                Ok((Place::Empty | Place::Other(_), _)) => answered = true,
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) if !answered => Err(error),
            Some(_) | None => Ok(false),
        }
    }

    /// Makes an old claim, of which this process knows nothing, again, if that can still be right.
    async fn reclaimable(&self, seat: &Seat<Peer>, submission: &Submission) -> Result<(), NodeError> {
        let gone = |why: String| NodeError::Refused { reason: why };
        let tip = seat.rpc.height().await.map_err(node_error)?;
        if tip >= u64::from(submission.height) {
            return Err(gone(format!(
                "the chain has another block at height {}; the node keeps no candidate for it",
                submission.height
            )));
        }
        let newest = seat.rpc.candidate(&self.0.config.pay_to).await.map_err(node_error)?;
        let newest_commitment = super::codec::from_display(&newest.header_commitment);
        let same = newest.id == submission.candidate;
        if newest.id < submission.candidate || (same && newest_commitment != Some(submission.commitment)) {
            return Err(gone(format!(
                "{} was restarted and has forgotten candidate {}; the block cannot be built again",
                submission.node, submission.candidate
            )));
        }
        Ok(())
    }

    /// One try. The claim is `Sent` while nobody knows what became of it.
    async fn hand_in(
        &self,
        seat: &Seat<Peer>,
        submission: &Submission,
        id: &BlockId,
    ) -> Result<Submitted, NodeError> {
        self.claim(submission, Some(Claim::Sent));
        let answer = seat.rpc.submit_solution(submission.candidate, submission.nonce.bytes()).await;
        // Whatever came of it, the candidate is used up: miners need another one.
        self.0.news.send_modify(|count| *count += 1);
        let refused = |reason: String| NodeError::Refused { reason };
        match answer {
            Ok(SolutionAnswer::Judged { height, hash, refusal: None }) => {
                self.claim(submission, Some(Claim::Gone));
                if height != u64::from(submission.height) {
                    let expected = submission.height;
                    tracing::error!(
                        node = seat.name(),
                        height,
                        expected,
                        "a block is not where it should be"
                    );
                }
                self.remember(id, hash);
                self.after(seat, id, hash).await;
                Ok(Submitted::Accepted)
            }
            Ok(SolutionAnswer::Judged { refusal: Some(reason), .. }) => {
                self.claim(submission, Some(Claim::Gone));
                if self.on_chain(id).await? { Ok(Submitted::Known) } else { Err(refused(reason)) }
            }
            Ok(SolutionAnswer::Words(words)) => {
                self.claim(submission, Some(Claim::Gone));
                match words.as_str() {
                    "duplicate" => return Ok(Submitted::Known),
                    // Taken and not at the tip: it may become part of the chain or not, and its fate will say.
                    "inconclusive" | "duplicate-inconclusive" => return Ok(Submitted::Accepted),
                    _ => {}
                }
                if self.on_chain(id).await? { Ok(Submitted::Known) } else { Err(refused(words)) }
            }
            Err(error @ RpcError::Answered { .. }) => {
                let error = node_error(error);
                if !error.is_transient() {
                    self.claim(submission, Some(Claim::Gone));
                }
                Err(error)
            }
            Err(error) => {
                let error = node_error(error);
                self.fault(seat, &error);
                Err(error)
            }
        }
    }

    /// Looks at what was just accepted, and gives it to everybody else.
    async fn after(&self, seat: &Seat<Peer>, id: &BlockId, hash: [u8; 32]) {
        let block = match seat.rpc.block(hash).await {
            Ok(block) => block,
            Err(error) => {
                tracing::warn!(node = seat.name(), %error, "a block that was taken cannot be read back yet");
                return;
            }
        };
        if block_id_of(&block.header) != Some(*id) {
            tracing::error!(node = seat.name(), block = %id, "the node took our solution for another block");
        }
        let pay_to = &self.0.config.pay_to;
        if block.coinbase().paid_to(pay_to) == 0 {
            tracing::error!(node = seat.name(), block = %id, %pay_to, "the node's candidates do not pay the pool");
            self.0.set.demote(seat.index(), &"its candidates do not pay the pool");
        }
        let bytes = block.to_bytes();
        let others = self.0.set.seats().iter().filter(|other| other.index() != seat.index());
        join_all(others.map(|other| async {
            if let Err(error) = other.rpc.submit_block(&bytes).await {
                tracing::debug!(node = other.name(), %error, "a block could not be passed on");
            }
        }))
        .await;
    }

    /// What one node's chain says of a block.
    async fn fate_of(&self, seat: &Seat<Peer>, id: &BlockId) -> Result<(BlockFate, Place), NodeError> {
        let Inner { config, .. } = &*self.0;
        let height = u64::from(height_of(id));
        let (place, tip) = self.place(seat, id).await?;
        let mut value = None;
        if let Place::Own(hash) = place
            && is_due(place, height, tip, &config.fate)
        {
            let block = seat.rpc.block(hash).await.map_err(node_error)?;
            if block_id_of(&block.header) != Some(*id) {
                return Err(NodeError::Garbage("another block than its header says".into()));
            }
            value = Some(block.coinbase().paid_to(&config.pay_to));
        }
        Ok((decide(height, place, tip, value, &config.fate), place))
    }

    /// Whether another node, which is far enough, sees something else where a final fate stands.
    async fn contradicted(&self, seat: &Seat<Peer>, id: &BlockId, place: Place) -> Option<String> {
        for other in self.0.set.seats().iter().filter(|other| other.index() != seat.index()) {
            if other.seen().facts.is_none() {
                continue;
            }
            let Ok((seen, tip)) = self.place(other, id).await else { continue };
            let deep = depth(u64::from(height_of(id)), tip) >= self.0.config.fate.lost_depth;
            if deep && seen != Place::Empty && seen != place {
                return Some(format!("{} and {} have different blocks", seat.name(), other.name()));
            }
        }
        None
    }
}

/// An error with what is behind it.
fn words(error: &NodeError) -> String {
    match error {
        NodeError::Unreachable(cause) => format!("{error}: {cause}"),
        _ => error.to_string(),
    }
}

#[async_trait::async_trait]
impl Node<Nexa> for NexaNode {
    async fn template(&self) -> Result<NexaTemplate, NodeError> {
        let version = *self.0.news.borrow();
        let (template, now) = self.newest().await?;
        self.hold(&template);
        let mut served = self.0.served.lock().expect("nobody panics while holding the last template");
        let before = served.replace((now, version));
        let clean = before.is_none_or(|(before, _)| before.best != now.best);
        Ok(template.with_clean(clean))
    }

    async fn changed(&self) {
        let mut news = self.0.news.subscribe();
        loop {
            let served = *self.0.served.lock().expect("nobody panics while holding the last template");
            let Some((last, version)) = served else { return };
            let waited = news.wait_for(|now| *now != version);
            if tokio::time::timeout(self.0.config.poll, waited).await.is_ok() {
                return;
            }
            // The node makes new candidates as transactions come, without a word.
            match self.newest().await {
                Ok((_, now)) if now == last => {}
                Ok(_) | Err(_) => return,
            }
        }
    }

    async fn submit(&self, block: &RawBlock) -> Result<Submitted, NodeError> {
        let refused = |reason: String| NodeError::Refused { reason };
        let submission = Submission::parse(&block.bytes)
            .map_err(|error| refused(format!("the claim on the block {error}")))?;
        let id = submission.id();
        if id != block.id {
            return Err(refused("the claim is on another block".into()));
        }
        let seat = self.0.set.seats().iter().find(|seat| seat.name() == submission.node);
        match self.claim(&submission, None) {
            // The common case goes without a question before it.
            Some(Claim::Open) => {}
            Some(Claim::Gone) if !self.on_chain(&id).await? => {
                return Err(refused("the node did not take it, and the candidate is used up".into()));
            }
            Some(Claim::Gone) => return Ok(Submitted::Known),
            Some(Claim::Sent) | None => {
                if self.on_chain(&id).await? {
                    return Ok(Submitted::Known);
                }
                let seat = seat.ok_or_else(|| {
                    refused(format!("{} is not among the nodes, and it alone has the block", submission.node))
                })?;
                self.reclaimable(seat, &submission).await?;
            }
        }
        let Some(seat) = seat else {
            return Err(refused(format!("{} is not among the nodes", submission.node)));
        };
        let error = match self.hand_in(seat, &submission, &id).await {
            Err(error) if error.is_transient() => error,
            outcome => return outcome,
        };
        tracing::warn!(block = %id, %error, "no answer to a solution, looking for the block on the chain");
        for _ in 0..LOST_TRIES {
            tokio::time::sleep(LOST_PAUSE).await;
            if matches!(self.on_chain(&id).await, Ok(true)) {
                return Ok(Submitted::Known);
            }
        }
        Err(error)
    }

    async fn fate(&self, block: &BlockId) -> Result<BlockFate, NodeError> {
        let mut first = None;
        for seat in self.0.set.order() {
            match self.fate_of(&seat, block).await {
                Ok((fate, place)) => {
                    if fate.is_final()
                        && let Some(why) = self.contradicted(&seat, block, place).await
                    {
                        return Err(NodeError::Garbage(why));
                    }
                    return Ok(fate);
                }
                Err(error) => {
                    if error.is_transient() {
                        self.fault(&seat, &error);
                    }
                    first.get_or_insert(error);
                }
            }
        }
        Err(first.unwrap_or(NodeError::NotSynced))
    }
}
