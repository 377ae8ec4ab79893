//! The pool's view of Hypra nodes: work in, seals out, fates read.
//!
//! A [`HypraNode`] talks JSON-RPC over HTTP to one or several nodes ([`HypraNode::open`] does no I/O and starts nothing).
//! Work is believed only from a node of the right chain that has caught up, mines for the pool's own address and is not
//! behind the others; the seed it names must be that of its height. Which node is furthest is not what a node says: the
//! newest header of each is hashed again and its proof of work checked, where the cache for it is there. A node that
//! lies, answers garbage or falls behind is asked last from then on. A seal goes to every node.
//!
//! The future that [`HypraNode::open`] returns watches the nodes' tips and, when it was given caches, has them built.

use super::address::Address;
use super::coin::{FoundName, Hypra, HypraTemplate, Seal};
use super::epochs::EpochCaches;
use super::fate::{self, BlockFacts, Carried, FateRules, Place};
use super::params::{Network, UNCLE_DEPTH};
use super::rpc::{self, BadAnswer, Block, Receipt, Transaction};
use crate::failover::{CoolDown, Failover, PeerStatus, Seat};
use crate::http::{HttpPeer, HttpRules, JsonRpc, RpcError};
use futures_util::future::{join_all, try_join};
use pool_core::block::BlockFate;
use pool_core::coin::{Node, NodeError, RawBlock, Submitted};
use pool_core::id::BlockId;
use pool_core::units::{U256, Work};
use serde_json::{Value, json};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a seal whose answer was lost is sent again within one call.
const SUBMIT_ATTEMPTS: usize = 3;
/// The pause between two such attempts.
const SUBMIT_PAUSE: Duration = Duration::from_millis(200);
/// How long the other nodes have left once one took a seal.
const SUBMIT_GRACE: Duration = Duration::from_millis(300);
/// Receipts asked for at the same time.
const RECEIPTS_ABREAST: usize = 16;

/// What a [`HypraNode`] needs to know.
#[derive(Clone, Debug)]
pub struct HypraNodeConfig {
    /// `http://host:port` of each node's JSON-RPC, the preferred one first.
    pub endpoints: Vec<String>,
    /// The network all of them must be on.
    pub network: Network,
    /// Where the chain pays the pool: what each node must be told to mine for (`--miner.etherbase`).
    pub pay_to: Address,
    /// How nodes are talked to; its timeout is how long any answer may take.
    pub http: HttpRules,
    /// Mine although the node says that it has not caught up: private networks only.
    pub mine_unsynced: bool,
    /// How often a node is asked for work without news.
    pub poll: Duration,
    /// How long miners keep their work when only transactions changed.
    pub refresh: Duration,
    /// How often the nodes' tips are looked at.
    pub probe: Duration,
    /// A node so many blocks behind another is asked last.
    pub behind_max: u64,
    /// How long a node that misbehaved is asked last.
    pub cool_down: CoolDown,
    /// When a block's fate is final.
    pub fate: FateRules,
    /// The caches that proofs need: told of every height, built by the node's driver. `None`: somebody else does both.
    pub caches: Option<Arc<EpochCaches>>,
}

impl HypraNodeConfig {
    /// The defaults of everything but the three that have none: answers within 5 s, polled each half second, work
    /// renewed after 3 s, final after 32 blocks, no caches.
    #[must_use]
    pub fn new(endpoints: Vec<String>, network: Network, pay_to: Address) -> Self {
        Self {
            endpoints,
            network,
            pay_to,
            http: HttpRules::default(),
            mine_unsynced: false,
            poll: Duration::from_millis(500),
            refresh: Duration::from_secs(3),
            probe: Duration::from_secs(5),
            behind_max: 3,
            cool_down: CoolDown::default(),
            fate: FateRules { confirmations: 32, rewards: network.rewards() },
            caches: None,
        }
    }
}

/// One or several Hypra nodes behind one face. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct HypraNode(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: HypraNodeConfig,
    peers: Failover<HttpPeer>,
    served: Mutex<Option<Served>>,
    tips: Mutex<Vec<Option<Tip>>>,
}

/// The last work that was handed out.
#[derive(Clone, Copy, Debug)]
struct Served {
    seal_hash: [u8; 32],
    height: u64,
    at: Instant,
}

/// The newest block of a node.
#[derive(Clone, Copy, Debug)]
struct Tip {
    height: u64,
    /// Its proof of work was checked.
    proved: bool,
}

/// Watches the nodes, and builds caches, for as long as it is polled. Spawn it, or select on it.
pub type HypraNodeDriver = Pin<Box<dyn Future<Output = ()> + Send>>;

impl From<BadAnswer> for NodeError {
    fn from(bad: BadAnswer) -> Self {
        Self::Garbage(bad.to_string())
    }
}

fn unreachable(why: impl Into<String>) -> NodeError {
    NodeError::Unreachable(why.into().into())
}

impl HypraNode {
    /// A node and the future that watches it.
    ///
    /// # Errors
    /// [`NodeError::Refused`] for an address that is no address, or none at all.
    pub fn open(config: HypraNodeConfig) -> Result<(Self, HypraNodeDriver), NodeError> {
        let mut peers = Vec::with_capacity(config.endpoints.len());
        for endpoint in &config.endpoints {
            let peer = HttpPeer::new(endpoint, &config.http)?;
            peers.push((peer.name().to_owned(), peer));
        }
        let tips = Mutex::new(vec![None; peers.len()]);
        let peers = Failover::new(peers, config.cool_down)?;
        let node = Self(Arc::new(Inner { config, peers, served: Mutex::default(), tips }));
        let driver = Box::pin(node.clone().drive());
        Ok((node, driver))
    }

    async fn drive(self) {
        let watch = async {
            loop {
                self.look_around().await;
                tokio::time::sleep(self.0.config.probe).await;
            }
        };
        match self.0.config.caches.clone() {
            Some(caches) => tokio::join!(watch, caches.drive()),
            None => (watch.await, ()),
        };
    }

    /// Every configured node and how it is.
    #[must_use]
    pub fn status(&self) -> Vec<PeerStatus> {
        self.0.peers.status()
    }

    /// Waits until a node offers work and, when the node has caches, until proofs can be had.
    pub async fn ready(&self) {
        while let Err(error) = self.template().await {
            tracing::debug!(%error, "not ready yet");
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

    /// The network's hash rate, by the newest block's difficulty and the time of the last hundred. Unit: hashes a second.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn network_hashrate(&self) -> Result<u64, NodeError> {
        self.0
            .peers
            .ask(|seat| async move {
                let newest = newest_block(&seat).await?.header;
                let span = newest.number.min(100);
                let before = block(&seat, newest.number - span, false).await?;
                let before = before.ok_or_else(|| NodeError::Garbage("a hole in the chain".into()))?.header;
                let seconds = newest.timestamp.saturating_sub(before.timestamp).max(1);
                let rate = newest.difficulty.saturating_mul(U256::from(span)) / U256::from(seconds);
                Ok(u64::try_from(rate).unwrap_or(u64::MAX))
            })
            .await
    }

    /// The nodes behind it, for the wallet.
    #[cfg(feature = "wallet")]
    pub(crate) fn peers(&self) -> &Failover<HttpPeer> {
        &self.0.peers
    }

    /// The nodes but one that have not misbehaved lately.
    pub(crate) fn others_in_good_standing(&self, but: usize) -> Vec<Seat<HttpPeer>> {
        let status = self.0.peers.status();
        let good = |seat: &&Seat<HttpPeer>| seat.index() != but && status[seat.index()].standing.is_ok();
        self.0.peers.seats().iter().filter(good).cloned().collect()
    }

    fn served(&self) -> MutexGuard<'_, Option<Served>> {
        self.0.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tips(&self) -> MutexGuard<'_, Vec<Option<Tip>>> {
        self.0.tips.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at every node's tip; those that are behind the furthest one are asked last.
    async fn look_around(&self) {
        let looks = self.0.peers.seats().iter().map(|seat| async move { (seat, self.tip_of(seat).await) });
        for (seat, outcome) in join_all(looks).await {
            match outcome {
                Ok(tip) => self.tips()[seat.index()] = Some(tip),
                Err(error) => {
                    self.tips()[seat.index()] = None;
                    self.0.peers.demote(seat.index(), &error);
                }
            }
        }
        let tips = self.tips().clone();
        let highest = |proved: bool| {
            tips.iter().flatten().filter(|tip| tip.proved || !proved).map(|tip| tip.height).max()
        };
        // While nobody's proof could be checked everybody is believed.
        let Some(best) = highest(true).or_else(|| highest(false)) else { return };
        for (place, tip) in tips.iter().enumerate() {
            if let Some(tip) = tip.filter(|tip| tip.height.saturating_add(self.0.config.behind_max) < best) {
                let why = format!("it is at block {}, another is at {best}", tip.height);
                self.0.peers.demote(place, &why);
            }
        }
    }

    async fn tip_of(&self, seat: &Seat<HttpPeer>) -> Result<Tip, NodeError> {
        let header = newest_block(seat).await?.header;
        let height = header.number;
        let cache = self.0.config.caches.as_ref().and_then(|caches| caches.at(height));
        let Some(cache) = cache.filter(|_| height > 0) else { return Ok(Tip { height, proved: false }) };
        let proof = tokio::task::spawn_blocking(move || {
            let hashed = cache.light().hash(&header.seal_hash(), header.nonce);
            hashed.mix == header.mix && header.is_met_by(hashed.number())
        });
        match proof.await {
            Ok(true) => Ok(Tip { height, proved: true }),
            Ok(false) => Err(NodeError::Garbage(format!("its newest block {height} has no proof of work"))),
            Err(error) => Err(unreachable(error.to_string())),
        }
    }

    async fn template_of(&self, seat: &Seat<HttpPeer>) -> Result<HypraTemplate, NodeError> {
        let config = &self.0.config;
        let facts = try_join(
            try_join(ask(seat, "eth_chainId", json!([])), ask(seat, "eth_coinbase", json!([]))),
            try_join(ask(seat, "eth_syncing", json!([])), get_work(seat)),
        );
        let ((chain_id, coinbase), (syncing, template)) = facts.await?;
        let chain_id = rpc::quantity(&chain_id, "chain id")?;
        if chain_id != config.network.chain_id() {
            return Err(NodeError::Garbage(format!("a node of chain {chain_id}, not of {}", config.network)));
        }
        let coinbase = Address::new(rpc::array(&coinbase, "coinbase")?);
        if coinbase != config.pay_to {
            return Err(NodeError::Garbage(format!("it mines for {coinbase}, not for the pool")));
        }
        if syncing != Value::Bool(false) && !config.mine_unsynced {
            return Err(NodeError::NotSynced);
        }
        let template = template?;
        if let Some(tip) = self.tips()[seat.index()]
            && !(tip.height..=tip.height.saturating_add(64)).contains(&template.height())
        {
            let (height, tip) = (template.height(), tip.height);
            return Err(NodeError::Garbage(format!("work for block {height} from a node at block {tip}")));
        }
        Ok(template)
    }

    /// Waits for the caches' sake: work that nobody can prove is none.
    fn check_cache(&self, template: &HypraTemplate) -> Result<(), NodeError> {
        let Some(caches) = &self.0.config.caches else { return Ok(()) };
        caches.note(template.height()).map_err(|error| NodeError::Garbage(error.to_string()))?;
        match caches.at(template.height()) {
            Some(_) => Ok(()),
            None => Err(unreachable(format!("the cache for block {} is being built", template.height()))),
        }
    }

    async fn submit_once(&self, block: &RawBlock, seal: &Seal) -> Result<Submitted, NodeError> {
        let params = json!([
            rpc::to_hex(&seal.nonce.to_be_bytes()),
            rpc::to_hex(&seal.seal_hash),
            rpc::to_hex(&seal.mix)
        ]);
        let answers = self
            .0
            .peers
            .each(SUBMIT_GRACE, |seat| {
                let params = params.clone();
                async move {
                    match ask(&seat, "eth_submitWork", params).await? {
                        Value::Bool(true) => Ok(()),
                        Value::Bool(false) => Err(NodeError::Refused {
                            reason: "the node knows no such work, or finds the proof wrong or too old".into(),
                        }),
                        other => Err(NodeError::Garbage(format!("neither true nor false: {other}"))),
                    }
                }
            })
            .await;
        if answers.iter().any(|(_, answer)| answer.is_ok()) {
            return Ok(Submitted::Accepted);
        }
        // "False" is said of a block that is there already, too.
        if self.is_known(block).await? {
            return Ok(Submitted::Known);
        }
        let mut refused = unreachable("no node answered");
        for (_, answer) in answers {
            match answer {
                // A node that could not answer may still take it: only a unanimous refusal is final.
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => refused = error,
                Ok(()) => {}
            }
        }
        Err(refused)
    }

    async fn is_known(&self, raw: &RawBlock) -> Result<bool, NodeError> {
        let name = FoundName::from(&raw.id);
        self.0
            .peers
            .ask(|seat| async move {
                let found = block(&seat, name.height(), false).await?;
                Ok(found.is_some_and(|found| name.names(&found.sealed())))
            })
            .await
    }

    async fn fate_of(&self, seat: &Seat<HttpPeer>, own: FoundName) -> Result<BlockFate, NodeError> {
        let tip = ask(seat, "eth_blockNumber", json!([])).await?;
        let tip = rpc::quantity(&tip, "block number")?;
        let place = self.place_of(seat, own, tip).await?;
        let config = &self.0.config;
        fate::decide(own, &place, tip, &config.pay_to, &config.fate)
            .map_err(|contradiction| NodeError::Garbage(contradiction.to_string()))
    }

    async fn place_of(&self, seat: &Seat<HttpPeer>, own: FoundName, tip: u64) -> Result<Place, NodeError> {
        if own.height() > tip {
            return Ok(Place::Nowhere);
        }
        if let Some(found) = block(seat, own.height(), true).await?
            && own.names(&found.sealed())
        {
            return Ok(Place::Main(self.facts_of(seat, found, tip).await?));
        }
        let last = own.height().saturating_add(UNCLE_DEPTH).min(tip);
        for height in own.height() + 1..=last {
            let Some(found) = block(seat, height, true).await? else { break };
            if found.uncles.is_empty() {
                continue;
            }
            let uncles = uncles_of(seat, &found).await?;
            if uncles.iter().any(|uncle| own.names(&uncle.sealed())) {
                return Ok(Place::UncleOf(self.facts_of(seat, found, tip).await?));
            }
        }
        Ok(Place::Nowhere)
    }

    /// All that a block says of money; of a block that is not deep enough only what it is.
    async fn facts_of(&self, seat: &Seat<HttpPeer>, found: Block, tip: u64) -> Result<BlockFacts, NodeError> {
        let uncles = uncles_of(seat, &found).await?;
        let number = found.header.number;
        let mut facts = BlockFacts {
            block: found.sealed(),
            base_fee: found.header.base_fee,
            uncles: uncles.iter().map(Block::sealed).collect(),
            transactions: Vec::with_capacity(found.transactions.len()),
            balances: None,
        };
        if tip.saturating_sub(number) < self.0.config.fate.confirmations {
            return Ok(facts);
        }
        for group in found.transactions.chunks(RECEIPTS_ABREAST) {
            let receipts = join_all(group.iter().map(|transaction| carried(seat, &found, transaction))).await;
            for carried in receipts {
                facts.transactions.push(carried?);
            }
        }
        if number > 0 {
            let pool = &self.0.config.pay_to;
            let balances = try_join(balance(seat, pool, number - 1), balance(seat, pool, number)).await;
            facts.balances = match balances {
                Ok(balances) => Some(balances),
                // The node has forgotten the state of so long ago.
                Err(NodeError::Refused { .. }) => None,
                Err(error) => return Err(error),
            };
        }
        Ok(facts)
    }
}

/// Asks one node. What it says in words is final but for what a starting or busy node says.
pub(crate) async fn ask(seat: &HttpPeer, method: &str, params: Value) -> Result<Value, NodeError> {
    seat.call(JsonRpc::V2, method, params).await.map_err(|error| match &error {
        // "no mining work available yet", "etherbase must be explicitly specified", "resource unavailable"
        RpcError::Answered { code: -32000, message }
            if message.contains("no mining work") || message.contains("etherbase") =>
        {
            unreachable(format!("{method}: {message}"))
        }
        // The method is not there, or switched off: another node may have it.
        RpcError::Answered { code: -32601 | -32004 | -32005, message } => {
            unreachable(format!("{method}: {message}"))
        }
        _ => error.into(),
    })
}

/// The outer error is the way's, the inner one the work's.
async fn get_work(seat: &HttpPeer) -> Result<Result<HypraTemplate, NodeError>, NodeError> {
    let answer = ask(seat, "eth_getWork", json!([])).await?;
    Ok(rpc::work(&answer).map_err(NodeError::from))
}

async fn newest_block(seat: &HttpPeer) -> Result<Block, NodeError> {
    let answer = ask(seat, "eth_getBlockByNumber", json!(["latest", false])).await?;
    Block::read(&answer)?.ok_or_else(|| NodeError::Garbage("a node without blocks".into()))
}

async fn block(seat: &HttpPeer, number: u64, whole: bool) -> Result<Option<Block>, NodeError> {
    let params = json!([rpc::to_quantity(number.into()), whole]);
    let answer = ask(seat, "eth_getBlockByNumber", params).await?;
    match Block::read(&answer)? {
        Some(block) if block.header.number != number => {
            Err(NodeError::Garbage(format!("block {} in the place of {number}", block.header.number)))
        }
        block => Ok(block),
    }
}

async fn uncles_of(seat: &HttpPeer, found: &Block) -> Result<Vec<Block>, NodeError> {
    if found.uncles.len() > 2 {
        return Err(NodeError::Garbage("a block with more than two uncles".into()));
    }
    let mut uncles = Vec::with_capacity(found.uncles.len());
    for place in 0..found.uncles.len() {
        let params = json!([rpc::to_hex(&found.hash), rpc::to_quantity(place as u128)]);
        let answer = ask(seat, "eth_getUncleByBlockHashAndIndex", params).await?;
        uncles.extend(Block::read(&answer)?);
    }
    if uncles.len() != found.uncles.len() || !found.commits_to(&uncles) {
        return Err(NodeError::Garbage("uncles that are not the block's".into()));
    }
    Ok(uncles)
}

/// The receipt of a transaction, if a block of the chain carries it.
pub(crate) async fn receipt(seat: &HttpPeer, id: &[u8; 32]) -> Result<Option<Receipt>, NodeError> {
    let answer = ask(seat, "eth_getTransactionReceipt", json!([rpc::to_hex(id)])).await?;
    match Receipt::read(&answer)? {
        Some(receipt) if receipt.id != *id => {
            Err(NodeError::Garbage("the receipt of another transaction".into()))
        }
        receipt => Ok(receipt),
    }
}

async fn carried(seat: &HttpPeer, found: &Block, transaction: &Transaction) -> Result<Carried, NodeError> {
    let Transaction::Whole(transaction) = transaction else {
        return Err(NodeError::Garbage("a transaction's id where all of it was asked for".into()));
    };
    let receipt = receipt(seat, &transaction.id).await?;
    let receipt = receipt.filter(|receipt| receipt.block_hash == found.hash);
    let receipt =
        receipt.ok_or_else(|| NodeError::Garbage("a transaction without a receipt of its block".into()))?;
    if receipt.gas_used > transaction.gas {
        return Err(NodeError::Garbage("a transaction that used more gas than it had".into()));
    }
    Ok(Carried {
        from: transaction.from,
        to: transaction.to,
        value: transaction.value,
        price: transaction.price,
        gas_limit: transaction.gas,
        gas_used: receipt.gas_used,
        succeeded: receipt.succeeded,
    })
}

/// A balance in the state of a block. A state that a node has forgotten is [`NodeError::Refused`].
async fn balance(seat: &HttpPeer, of: &Address, number: u64) -> Result<u128, NodeError> {
    let params = json!([of.to_string(), rpc::to_quantity(number.into())]);
    Ok(rpc::amount(&ask(seat, "eth_getBalance", params).await?, "balance")?)
}

#[async_trait::async_trait]
impl Node<Hypra> for HypraNode {
    async fn template(&self) -> Result<HypraTemplate, NodeError> {
        let template = self.0.peers.ask(|seat| async move { self.template_of(&seat).await }).await?;
        self.check_cache(&template)?;
        let mut served = self.served();
        let newest = served.is_none_or(|served| served.height < template.height());
        let (seal_hash, height) = (template.seal_hash(), template.height());
        // The same work again is of the same age.
        if served.is_none_or(|served| served.seal_hash != seal_hash) {
            *served = Some(Served { seal_hash, height, at: Instant::now() });
        }
        Ok(template.with_clean(newest))
    }

    async fn changed(&self) {
        let Some(served) = *self.served() else { return };
        let Some(preferred) = self.0.peers.order().into_iter().next() else { return };
        loop {
            tokio::time::sleep(self.0.config.poll).await;
            let Ok(Ok(work)) = get_work(&preferred).await else { return };
            let is_new = work.seal_hash() != served.seal_hash;
            let due = work.height() != served.height || served.at.elapsed() >= self.0.config.refresh;
            if is_new && due {
                return;
            }
            // A better node may be back.
            if self.0.peers.order().first().is_none_or(|seat| seat.index() != preferred.index()) {
                return;
            }
        }
    }

    async fn submit(&self, block: &RawBlock) -> Result<Submitted, NodeError> {
        let seal = Seal::from_bytes(&block.bytes)
            .ok_or_else(|| NodeError::Refused { reason: "these bytes are no seal".into() })?;
        let mut attempt = 1;
        loop {
            match self.submit_once(block, &seal).await {
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
        let own = FoundName::from(block);
        let asked = self
            .0
            .peers
            .ask(|seat| async move { Ok::<_, NodeError>((seat.index(), self.fate_of(&seat, own).await?)) });
        let (told_by, fate) = asked.await?;
        if !fate.is_final() {
            return Ok(fate);
        }
        // A final word moves money: nobody in good standing may say otherwise.
        for seat in self.others_in_good_standing(told_by) {
            if let Ok(other) = self.fate_of(&seat, own).await
                && std::mem::discriminant(&other) != std::mem::discriminant(&fate)
            {
                tracing::warn!(%block, node = seat.name(), "nodes disagree about a block");
                return Ok(BlockFate::Pending { confirmations: 0 });
            }
        }
        Ok(fate)
    }
}

/// The work that a node's own target stands for, for pages.
#[must_use]
pub fn difficulty(template: &HypraTemplate) -> Work {
    template.target().work()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn opening_does_no_io_and_refuses_what_is_no_address() {
        let config = |endpoints: &[&str]| {
            let endpoints = endpoints.iter().map(|text| (*text).to_owned()).collect();
            HypraNodeConfig::new(endpoints, Network::Devnet, Address::new([1; 20]))
        };
        assert!(HypraNode::open(config(&["127.0.0.1:8545", "https://node.example"])).is_ok());
        for bad in [&[][..], &["ftp://x"], &["127.0.0.1:99999"]] {
            assert!(matches!(HypraNode::open(config(bad)), Err(NodeError::Refused { .. })), "{bad:?}");
        }
    }
}
