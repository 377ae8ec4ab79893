//! The development chain: a block graph, the coins on its selected chain, a mempool.
//!
//! No sockets, no clock, no tasks: each call is a step, and time comes in as Unix milliseconds. Coins move as on
//! Kaspa. A chain block accepts the transactions of the blocks it merges, its selected parent's first; a coinbase
//! takes effect only when the block's child on the chain accepts it; a reorganisation undoes and redoes. A block
//! whose coinbase is not exactly what its merge set earns never becomes a chain block. What is simplified: the target
//! never changes, parents have one real level, only pay-to-key outputs can be spent, and nothing is pruned.

use super::dag::{Colouring, Dag, Index};
use super::journal::{Journal, JournalError, Record};
use crate::hash::kheavyhash::{Matrix, pow};
use crate::kaspa::address::Address;
use crate::kaspa::coinbase::{CoinbasePayload, PayScript};
use crate::kaspa::convert;
use crate::kaspa::grpc::wire;
use crate::kaspa::header;
use crate::kaspa::mass;
use crate::kaspa::params::Network;
use pool_core::units::Target;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Blocks a header may name as direct parents.
const PARENTS_MAX: usize = 16;
/// How far a block's time may lie ahead of the node's clock. Unit: milliseconds.
const AHEAD_MAX: u64 = 132_000;
/// Transactions put into one block.
const BLOCK_TRANSACTIONS_MAX: usize = 100;
/// Hashes returned at most by one question for the chain: ten merge sets of 248.
const CHAIN_BATCH: usize = 2_480;
/// The script of everybody else: 32 bytes that are nobody's key.
const OTHERS: [u8; 34] = {
    let mut script = [0xee; 34];
    script[0] = 0x20;
    script[33] = 0xac;
    script
};
/// The accumulator of an empty set of coins; the development chain commits to no other.
const UTXO_COMMITMENT: &str = "544eb3142c000f0ad2c76ac41f4222abbababed830eeafee4b6dc56b52d5cac0";
const NATIVE: &str = "0000000000000000000000000000000000000000";
const COINBASE: &str = "0100000000000000000000000000000000000000";

/// The chain's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) network: Network,
    pub(super) bits: u32,
    pub(super) k: usize,
    pub(super) maturity: u64,
    pub(super) subsidy: u64,
    pub(super) seed: u64,
    /// Time of the first block. Unit: Unix milliseconds.
    pub(super) genesis_ms: u64,
}

/// What becomes of submitted blocks, per thousand; the rest is merged at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Overtaken by two blocks of others: blue, and not on the chain.
    pub late: u16,
    /// Overtaken by more blocks than the colouring forgives: red.
    pub red: u16,
    /// Never merged.
    pub lost: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct OutPoint {
    pub(super) txid: [u8; 32],
    pub(super) index: u32,
}

impl std::fmt::Display for OutPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({}, {})", hex::encode(self.txid), self.index)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Coin {
    pub(super) amount: u64,
    pub(super) script: PayScript,
    pub(super) daa_score: u64,
    pub(super) is_coinbase: bool,
}

#[derive(Clone, Debug)]
struct Stored {
    header: wire::Header,
    transactions: Vec<Tx>,
    payload: CoinbasePayload,
}

/// A transaction with its id.
#[derive(Clone, Debug)]
struct Tx {
    id: [u8; 32],
    body: wire::Transaction,
}

/// One change to the set of coins.
#[derive(Clone, Debug)]
enum Change {
    Added(OutPoint),
    Spent(OutPoint, Coin),
}

/// What accepting a merge set did.
#[derive(Clone, Debug, Default)]
struct Acceptance {
    changes: Vec<Change>,
    /// Fees of each merged block's accepted transactions.
    fees: HashMap<Index, u64>,
    /// Ids in the order of acceptance, with the place of the transaction.
    accepted: Vec<([u8; 32], (Index, usize))>,
}

#[derive(Clone, Debug)]
struct Step {
    block: Index,
    acceptance: Acceptance,
}

/// The block that would come next.
#[derive(Clone, Debug, Default)]
struct Virtual {
    parents: Vec<Index>,
    colouring: Colouring,
    acceptance: Acceptance,
}

#[derive(Clone, Debug)]
struct Waiting {
    tx: Tx,
    fee: u64,
    spends: Vec<OutPoint>,
}

#[derive(Debug)]
pub(super) struct Chain {
    rules: Rules,
    target: Target,
    weather: Weather,
    dag: Dag,
    blocks: Vec<Stored>,
    /// From the first block to the sink.
    steps: Vec<Step>,
    place_on_chain: HashMap<Index, usize>,
    next: Virtual,
    coins: HashMap<OutPoint, Coin>,
    by_script: HashMap<PayScript, BTreeSet<OutPoint>>,
    accepted_ids: HashSet<[u8; 32]>,
    mempool: BTreeMap<[u8; 32], Waiting>,
    /// Blocks nobody builds on: lost ones, and those whose coinbase is wrong.
    shunned: HashSet<Index>,
    tips: BTreeSet<Index>,
    journal: Option<Journal>,
}

/// Why a block or a transaction is refused, in the node's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refusal(pub(super) String);

fn refuse<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(why.into()))
}

impl Chain {
    pub(super) fn open(
        rules: Rules,
        weather: Weather,
        journal: Option<Journal>,
    ) -> Result<Self, JournalError> {
        let target = header::target_of_bits(rules.bits).ok_or(JournalError::Rules("bits name no target"))?;
        let payload = CoinbasePayload {
            blue_score: 0,
            subsidy: 0,
            pay_to: PayScript { version: 0, script: vec![] },
            extra_data: b"poolwright development chain".to_vec(),
        };
        let coinbase = coinbase_transaction(&payload, vec![]);
        let mut first = wire::Header {
            version: 2,
            hash_merkle_root: hex::encode(
                convert::merkle_root(std::slice::from_ref(&coinbase))
                    .expect("our own coinbase is well formed"),
            ),
            accepted_id_merkle_root: "00".repeat(32),
            utxo_commitment: UTXO_COMMITMENT.into(),
            timestamp: i64::try_from(rules.genesis_ms).unwrap_or(0),
            bits: rules.bits,
            // The seed makes chains of different seeds different from the first block on.
            nonce: rules.seed,
            pruning_point: "00".repeat(32),
            ..wire::Header::default()
        };
        let hash = convert::block_hash(&first).expect("our own header is well formed");
        first.hash = hex::encode(hash);
        let id = convert::transaction_id(&coinbase).expect("our own coinbase is well formed");
        let genesis = Stored { header: first, transactions: vec![Tx { id, body: coinbase }], payload };
        let mut chain = Self {
            target,
            weather,
            dag: Dag::new(hash, rules.k, target.work().get()),
            blocks: vec![genesis],
            steps: vec![Step { block: 0, acceptance: Acceptance::default() }],
            place_on_chain: HashMap::from([(0, 0)]),
            next: Virtual::default(),
            coins: HashMap::new(),
            by_script: HashMap::new(),
            accepted_ids: HashSet::new(),
            mempool: BTreeMap::new(),
            shunned: HashSet::new(),
            tips: BTreeSet::from([0]),
            journal: None,
            rules,
        };
        chain.settle();
        if let Some(mut journal) = journal {
            for record in journal.records()? {
                let (block, shunned) = match &record {
                    Record::Block(block) => (block, false),
                    Record::Shunned(block) => (block, true),
                };
                let block = wire::Block::decode(&**block)
                    .map_err(|_| JournalError::Damaged("a block cannot be read"))?;
                chain.replay(block, shunned).map_err(|_| JournalError::Damaged("a block does not fit"))?;
            }
            chain.settle();
            chain.journal = Some(journal);
        }
        Ok(chain)
    }

    // ---- questions -------------------------------------------------------------------------------------------

    pub(super) fn sink(&self) -> Index {
        self.steps.last().expect("the first block is never undone").block
    }

    pub(super) fn sink_hash(&self) -> String {
        hex::encode(self.dag.at(self.sink()).hash)
    }

    pub(super) fn sink_blue_score(&self) -> u64 {
        self.dag.at(self.sink()).colouring.blue_score
    }

    pub(super) fn virtual_daa_score(&self) -> u64 {
        self.next.colouring.daa_score
    }

    pub(super) fn block_count(&self) -> u64 {
        self.dag.len() as u64
    }

    pub(super) fn mempool_len(&self) -> u64 {
        self.mempool.len() as u64
    }

    pub(super) fn difficulty(&self) -> f64 {
        // For people only: half of the expected hashes, as Kaspa's nodes print it.
        self.target.work().get() as f64 / 2.0
    }

    pub(super) fn tip_hashes(&self) -> Vec<String> {
        self.next.parents.iter().map(|index| hex::encode(self.dag.at(*index).hash)).collect()
    }

    pub(super) fn genesis_hash(&self) -> String {
        hex::encode(self.dag.at(0).hash)
    }

    fn find(&self, hash: &str) -> Result<Index, Refusal> {
        convert::hash(hash)
            .ok()
            .and_then(|hash| self.dag.find(&hash))
            .ok_or_else(|| Refusal(format!("cannot find header {hash}")))
    }

    fn is_on_chain(&self, index: Index) -> bool {
        self.place_on_chain.contains_key(&index)
    }

    pub(super) fn block(&self, hash: &str, with_transactions: bool) -> Result<wire::Block, Refusal> {
        let index = self.find(hash)?;
        let (vertex, stored) = (self.dag.at(index), &self.blocks[index]);
        let texts = |indices: &[Index]| indices.iter().map(|i| hex::encode(self.dag.at(*i).hash)).collect();
        let transactions = if with_transactions {
            stored.transactions.iter().map(|tx| tx.body.clone()).collect()
        } else {
            vec![]
        };
        Ok(wire::Block {
            header: Some(stored.header.clone()),
            transactions,
            verbose: Some(wire::BlockVerbose {
                hash: hex::encode(vertex.hash),
                difficulty: self.difficulty(),
                selected_parent: vertex
                    .colouring
                    .selected_parent
                    .map(|parent| hex::encode(self.dag.at(parent).hash))
                    .unwrap_or_default(),
                transaction_ids: stored.transactions.iter().map(|tx| hex::encode(tx.id)).collect(),
                is_header_only: false,
                blue_score: vertex.colouring.blue_score,
                children: texts(&vertex.children),
                merge_set_blues: texts(&vertex.colouring.blues),
                merge_set_reds: texts(&vertex.colouring.reds),
                is_chain_block: self.is_on_chain(index),
            }),
        })
    }

    /// The chain block that merged a block, and whether it did so blue.
    fn merger(&self, index: Index) -> Option<(Index, bool)> {
        let mut open: BTreeSet<Index> = self.dag.at(index).children.iter().copied().collect();
        // The lowest chain block above is the one that merged it.
        while let Some(child) = open.pop_first() {
            if self.is_on_chain(child) {
                let colouring = &self.dag.at(child).colouring;
                return Some((child, colouring.blues.contains(&index)));
            }
            open.extend(self.dag.at(child).children.iter().copied());
        }
        None
    }

    pub(super) fn colour(&self, hash: &str) -> Result<bool, Refusal> {
        let index = self.find(hash)?;
        self.merger(index)
            .map(|(_, blue)| blue)
            .ok_or_else(|| Refusal(format!("Block {hash} doesn't have any merger block.")))
    }

    pub(super) fn reward(&self, hash: &str) -> Result<wire::BlockReward, Refusal> {
        let index = self.find(hash)?;
        let mut reward = wire::BlockReward {
            header: Some(self.blocks[index].header.clone()),
            colour: wire::COLOUR_UNKNOWN,
            ..wire::BlockReward::default()
        };
        let Some((merger, blue)) = self.merger(index) else { return Ok(reward) };
        let colouring = &self.dag.at(merger).colouring;
        reward.confirmation_count = Some(self.sink_blue_score().saturating_sub(colouring.blue_score));
        reward.merging_chain_block = Some(hex::encode(self.dag.at(merger).hash));
        reward.colour = if blue { wire::COLOUR_BLUE } else { wire::COLOUR_RED };
        if blue {
            let place = colouring.blues.iter().position(|blue| *blue == index).unwrap_or_default();
            let output = |block: Index, place: usize| {
                self.blocks[block].transactions[0].body.outputs.get(place).map_or(0, |output| output.amount)
            };
            let mut amount = output(merger, place);
            if colouring.selected_parent == Some(index) {
                amount += output(index, self.dag.at(index).colouring.blues.len());
            }
            reward.reward_amount = Some(amount);
        }
        Ok(reward)
    }

    /// Chain blocks left behind by `start` and those above the fork, each with its step.
    fn path_from(&self, start: &str) -> Result<(Vec<Index>, &[Step]), Refusal> {
        let mut at = self.find(start)?;
        let mut removed = Vec::new();
        loop {
            if let Some(place) = self.place_on_chain.get(&at) {
                let above = &self.steps[place + 1..];
                return Ok((removed, &above[..above.len().min(CHAIN_BATCH)]));
            }
            removed.push(at);
            at = self.dag.at(at).colouring.selected_parent.expect("every chain ends in the first block");
        }
    }

    pub(super) fn virtual_chain(&self, start: &str, with_ids: bool) -> Result<wire::VirtualChain, Refusal> {
        let (removed, added) = self.path_from(start)?;
        let text = |index: &Index| hex::encode(self.dag.at(*index).hash);
        let accepted = |step: &Step| wire::AcceptedIds {
            accepting_block: text(&step.block),
            transaction_ids: step.acceptance.accepted.iter().map(|(id, _)| hex::encode(id)).collect(),
        };
        Ok(wire::VirtualChain {
            removed: removed.iter().map(text).collect(),
            added: added.iter().map(|step| text(&step.block)).collect(),
            accepted: if with_ids { added.iter().map(accepted).collect() } else { vec![] },
            error: None,
        })
    }

    pub(super) fn virtual_chain_v2(&self, start: &str) -> Result<wire::VirtualChainV2, Refusal> {
        let (removed, added) = self.path_from(start)?;
        let text = |index: &Index| hex::encode(self.dag.at(*index).hash);
        let transaction = |(id, place): &([u8; 32], (Index, usize))| wire::SparseTransaction {
            inputs: self.blocks[place.0].transactions[place.1]
                .body
                .inputs
                .iter()
                .map(|input| wire::SparseInput {
                    outpoint: input.outpoint.as_ref().map(|outpoint| wire::SparseOutpoint {
                        transaction_id: Some(outpoint.transaction_id.clone()),
                        index: Some(outpoint.index),
                    }),
                })
                .collect(),
            verbose: Some(wire::SparseTransactionVerbose { transaction_id: Some(hex::encode(id)) }),
        };
        let accepted = |step: &Step| wire::AcceptedTransactions {
            header: Some(wire::SparseHeader {
                hash: Some(text(&step.block)),
                daa_score: Some(self.dag.at(step.block).colouring.daa_score),
                blue_score: Some(self.dag.at(step.block).colouring.blue_score),
            }),
            transactions: step.acceptance.accepted.iter().map(transaction).collect(),
        };
        Ok(wire::VirtualChainV2 {
            removed: removed.iter().map(text).collect(),
            added: added.iter().map(|step| text(&step.block)).collect(),
            accepted: added.iter().map(accepted).collect(),
            error: None,
        })
    }

    fn script_of(&self, address: &str) -> Result<PayScript, Refusal> {
        Address::parse(address, self.rules.network)
            .map(|address| address.pay_script())
            .map_err(|error| Refusal(format!("{address}: {error}")))
    }

    pub(super) fn utxos(&self, addresses: &[String]) -> Result<Vec<wire::UtxoOfAddress>, Refusal> {
        let mut entries = Vec::new();
        for address in addresses {
            let script = self.script_of(address)?;
            for outpoint in self.by_script.get(&script).into_iter().flatten() {
                let coin = &self.coins[outpoint];
                entries.push(wire::UtxoOfAddress {
                    address: address.clone(),
                    outpoint: Some(wire::Outpoint {
                        transaction_id: hex::encode(outpoint.txid),
                        index: outpoint.index,
                    }),
                    entry: Some(wire::UtxoEntry {
                        amount: coin.amount,
                        script: Some(convert::wire_script(&coin.script)),
                        block_daa_score: coin.daa_score,
                        is_coinbase: coin.is_coinbase,
                    }),
                });
            }
        }
        Ok(entries)
    }

    pub(super) fn balance(&self, address: &str) -> Result<u64, Refusal> {
        let script = self.script_of(address)?;
        Ok(self
            .by_script
            .get(&script)
            .into_iter()
            .flatten()
            .map(|outpoint| self.coins[outpoint].amount)
            .sum())
    }

    /// An address that is nobody's.
    pub(super) fn others_address(&self) -> String {
        let mut key = [0; 32];
        key.copy_from_slice(&OTHERS[1..33]);
        Address::p2pk(self.rules.network, key).to_string()
    }

    pub(super) fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    pub(super) fn mempool_entry(&self, id: &str) -> Result<wire::MempoolEntry, Refusal> {
        let waiting = convert::hash(id).ok().and_then(|id| self.mempool.get(&id));
        let waiting = waiting.ok_or_else(|| Refusal(format!("Transaction {id} not found")))?;
        Ok(wire::MempoolEntry {
            fee: waiting.fee,
            transaction: Some(waiting.tx.body.clone()),
            is_orphan: false,
        })
    }

    // ---- building --------------------------------------------------------------------------------------------

    /// The block to be mined now for `pay_to`, without a nonce.
    pub(super) fn template(
        &self,
        pay_to: &str,
        extra_data: &[u8],
        now_ms: u64,
    ) -> Result<wire::Block, Refusal> {
        let script = self.script_of(pay_to)?;
        let mut extra = b"poolwright-devnode/".to_vec();
        extra.extend_from_slice(extra_data);
        let block = self.build(script, extra, now_ms);
        if block.transactions[0].payload.len() > CoinbasePayload::MAX_LEN * 2 {
            return refuse("Coinbase payload is above max length (204). Try to shorten the extra data.");
        }
        Ok(block)
    }

    fn build(&self, pay_to: PayScript, extra_data: Vec<u8>, now_ms: u64) -> wire::Block {
        let next = &self.next;
        let payload = CoinbasePayload {
            blue_score: next.colouring.blue_score,
            subsidy: self.rules.subsidy,
            pay_to,
            extra_data,
        };
        let outputs = self.expected_outputs(&next.colouring, &next.acceptance.fees, &payload.pay_to);
        let mut transactions = vec![coinbase_transaction(&payload, outputs)];
        let ready = self.mempool.values().filter(|waiting| {
            waiting.spends.iter().all(|outpoint| {
                self.coins.get(outpoint).is_some_and(|coin| self.is_mature(coin, next.colouring.daa_score))
            })
        });
        transactions.extend(ready.take(BLOCK_TRANSACTIONS_MAX).map(|waiting| waiting.tx.body.clone()));
        let after_parents =
            next.parents.iter().map(|parent| self.blocks[*parent].header.timestamp.unsigned_abs()).max();
        let timestamp = (after_parents.unwrap_or(0) + 1).max(now_ms);
        let mut header = wire::Header {
            version: 2,
            parents: self.parent_levels(&next.parents, next.colouring.selected_parent),
            hash_merkle_root: hex::encode(
                convert::merkle_root(&transactions).expect("our own transactions are well formed"),
            ),
            accepted_id_merkle_root: hex::encode(accepted_root(&next.acceptance)),
            utxo_commitment: UTXO_COMMITMENT.into(),
            timestamp: i64::try_from(timestamp).unwrap_or(i64::MAX),
            bits: self.rules.bits,
            nonce: 0,
            daa_score: next.colouring.daa_score,
            blue_work: format!("{:x}", next.colouring.blue_work),
            blue_score: next.colouring.blue_score,
            pruning_point: self.genesis_hash(),
            hash: String::new(),
        };
        header.hash = hex::encode(convert::block_hash(&header).expect("our own header is well formed"));
        wire::Block { header: Some(header), transactions, verbose: None }
    }

    fn parent_levels(&self, parents: &[Index], selected: Option<Index>) -> Vec<wire::LevelParents> {
        // The selected parent stands first.
        let rest = parents.iter().copied().filter(|parent| Some(*parent) != selected);
        let direct = selected.into_iter().chain(rest).map(|i| hex::encode(self.dag.at(i).hash)).collect();
        let upper = wire::LevelParents { hashes: vec![self.genesis_hash()] };
        vec![wire::LevelParents { hashes: direct }, upper.clone(), upper]
    }

    /// What the coinbase of a block with this view of its past must pay.
    fn expected_outputs(
        &self,
        colouring: &Colouring,
        fees: &HashMap<Index, u64>,
        own: &PayScript,
    ) -> Vec<wire::TransactionOutput> {
        let reward = |index: &Index| {
            self.blocks[*index].payload.subsidy + fees.get(index).copied().unwrap_or_default()
        };
        let output = |amount: u64, script: &PayScript| wire::TransactionOutput {
            amount,
            script: Some(convert::wire_script(script)),
            covenant: None,
        };
        let mut outputs: Vec<_> = colouring
            .blues
            .iter()
            .filter(|blue| reward(blue) > 0)
            .map(|blue| output(reward(blue), &self.blocks[*blue].payload.pay_to))
            .collect();
        let reds: u64 = colouring.reds.iter().map(reward).sum();
        if reds > 0 {
            outputs.push(output(reds, own));
        }
        outputs
    }

    // ---- taking blocks ---------------------------------------------------------------------------------------

    /// Takes a miner's block. `Ok(false)` when it was known.
    pub(super) fn submit(&mut self, bytes: &[u8], now_ms: u64) -> Result<bool, Refusal> {
        let block =
            wire::Block::decode(bytes).map_err(|error| Refusal(format!("could not parse block: {error}")))?;
        let header = block.header.as_ref().ok_or_else(|| Refusal("block without header".into()))?;
        let hash = convert::block_hash(header).map_err(|error| Refusal(error.to_string()))?;
        if self.dag.find(&hash).is_some() {
            return Ok(false);
        }
        let parents = self.check_header(header, now_ms)?;
        self.check_proof(header)?;
        self.check_body(header, &block.transactions)?;
        let draw = self.draw();
        let lost = u64::from(self.weather.lost);
        let red = lost + u64::from(self.weather.red);
        let late = red + u64::from(self.weather.late);
        let shunned = draw < lost;
        self.write_down(bytes, shunned)?;
        let fork = self.dag.colour(&parents).selected_parent;
        let index = self.take(hash, parents, block, shunned)?;
        if let (Some(fork), false) = (fork, shunned) {
            if draw < red {
                self.overtake(fork, self.rules.k + 1, now_ms)?;
            } else if draw < late {
                self.overtake(fork, 2, now_ms)?;
            }
        }
        self.settle();
        debug_assert!(index < self.dag.len());
        Ok(true)
    }

    /// A number below 1000 that the seed and the count of blocks decide, so that a chain has the same weather on
    /// every run, whatever the time of day makes of its hashes.
    fn draw(&self) -> u64 {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.rules.seed.to_le_bytes());
        bytes[8..].copy_from_slice(&self.block_count().to_le_bytes());
        let digest = blake2b_simd::Params::new().hash_length(8).hash(&bytes);
        digest.as_bytes().iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)) % 1_000
    }

    fn check_header(&self, header: &wire::Header, now_ms: u64) -> Result<Vec<Index>, Refusal> {
        if header.version != 2 {
            return refuse("wrong block version");
        }
        if header.bits != self.rules.bits {
            return refuse("wrong difficulty bits");
        }
        let direct = header.parents.first().map(|level| level.hashes.as_slice()).unwrap_or_default();
        if direct.is_empty() || direct.len() > PARENTS_MAX {
            return refuse("wrong number of parents");
        }
        let mut parents = Vec::new();
        for parent in direct {
            parents.push(self.find(parent).map_err(|_| Refusal(format!("missing parent {parent}")))?);
        }
        for (place, parent) in parents.iter().enumerate() {
            let others = parents.iter().enumerate().filter(|(other, _)| *other != place);
            if others.clone().any(|(_, other)| self.dag.is_ancestor(*parent, *other)) {
                return refuse("a parent is another parent's ancestor");
            }
        }
        let colouring = self.dag.colour(&parents);
        if colouring.selected_parent != parents.first().copied() {
            return refuse("the first parent is not the selected parent");
        }
        if header.daa_score != colouring.daa_score
            || header.blue_score != colouring.blue_score
            || header.blue_work != format!("{:x}", colouring.blue_work)
        {
            return refuse("wrong scores");
        }
        let newest = parents.iter().map(|parent| self.blocks[*parent].header.timestamp).max().unwrap_or(0);
        if header.timestamp <= newest {
            return refuse("block time is not after its parents'");
        }
        if header.timestamp.unsigned_abs() > now_ms.saturating_add(AHEAD_MAX) {
            return refuse("block time is too far ahead");
        }
        if header.pruning_point != self.genesis_hash() {
            return refuse("wrong pruning point");
        }
        Ok(parents)
    }

    fn check_proof(&self, header: &wire::Header) -> Result<(), Refusal> {
        let pre_pow = convert::pre_pow_hash(header).map_err(|error| Refusal(error.to_string()))?;
        let hash = pow(&Matrix::new(&pre_pow), &pre_pow, header.timestamp.unsigned_abs(), header.nonce);
        if hash > self.target.get() {
            return refuse("block has invalid proof of work");
        }
        Ok(())
    }

    fn check_body(&self, header: &wire::Header, transactions: &[wire::Transaction]) -> Result<(), Refusal> {
        let Some((coinbase, rest)) = transactions.split_first() else {
            return refuse("block has no transactions");
        };
        let root = convert::merkle_root(transactions).map_err(|error| Refusal(error.to_string()))?;
        if header.hash_merkle_root != hex::encode(root) {
            return refuse("wrong merkle root");
        }
        let payload = read_payload(coinbase)?;
        if coinbase.subnetwork_id != COINBASE || rest.iter().any(|tx| tx.subnetwork_id == COINBASE) {
            return refuse("the first transaction, and only it, must be the coinbase");
        }
        if payload.blue_score != header.blue_score || payload.subsidy != self.rules.subsidy {
            return refuse("wrong coinbase payload");
        }
        for transaction in rest {
            check_shape(transaction)?;
        }
        Ok(())
    }

    fn replay(&mut self, block: wire::Block, shunned: bool) -> Result<(), Refusal> {
        let header = block.header.as_ref().ok_or_else(|| Refusal("block without header".into()))?;
        let hash = convert::block_hash(header).map_err(|error| Refusal(error.to_string()))?;
        let direct = header.parents.first().map(|level| level.hashes.as_slice()).unwrap_or_default();
        let parents = direct.iter().map(|parent| self.find(parent)).collect::<Result<Vec<_>, _>>()?;
        if parents.is_empty() {
            return refuse("block without parents");
        }
        self.take(hash, parents, block, shunned).map(drop)
    }

    /// Puts a block into the graph. The caller settles the chain afterwards.
    fn take(
        &mut self,
        hash: [u8; 32],
        parents: Vec<Index>,
        block: wire::Block,
        shunned: bool,
    ) -> Result<Index, Refusal> {
        let coinbase =
            block.transactions.first().ok_or_else(|| Refusal("block has no transactions".into()))?;
        let payload = read_payload(coinbase)?;
        let mut header = block.header.ok_or_else(|| Refusal("block without header".into()))?;
        header.hash = hex::encode(hash);
        let mut transactions = Vec::with_capacity(block.transactions.len());
        for body in block.transactions {
            let id = convert::transaction_id(&body).map_err(|error| Refusal(error.to_string()))?;
            self.mempool.remove(&id);
            transactions.push(Tx { id, body });
        }
        let index = self.dag.insert(hash, parents.clone());
        self.blocks.push(Stored { header, transactions, payload });
        if shunned {
            self.shunned.insert(index);
        } else {
            for parent in parents {
                self.tips.remove(&parent);
            }
            self.tips.insert(index);
        }
        Ok(index)
    }

    fn write_down(&mut self, bytes: &[u8], shunned: bool) -> Result<(), Refusal> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let record = if shunned { Record::Shunned(bytes.to_vec()) } else { Record::Block(bytes.to_vec()) };
        journal.append(&record).map_err(|error| Refusal(format!("cannot write the block down: {error}")))
    }

    /// Everybody else finds a block on top of all they know.
    pub(super) fn others_find(&mut self, now_ms: u64) -> Result<(), Refusal> {
        let block = self.build(others(), b"others".to_vec(), now_ms);
        self.take_own(block)?;
        self.settle();
        Ok(())
    }

    /// Everybody else finds `count` blocks in a row on top of `fork` without having seen anything newer.
    fn overtake(&mut self, fork: Index, count: usize, now_ms: u64) -> Result<(), Refusal> {
        let mut tip = fork;
        for _ in 0..count {
            // The view may not be one a chain block can have; then there is nothing to find on top of it.
            if self.look_from(vec![tip]).is_err() {
                break;
            }
            let block = self.build(others(), b"others, apart".to_vec(), now_ms);
            tip = self.take_own(block)?;
        }
        Ok(())
    }

    /// The newest `depth` chain blocks are overtaken by a heavier chain that has not seen them.
    pub(super) fn reorganise(&mut self, depth: usize, now_ms: u64) -> Result<(), Refusal> {
        let sink = self.sink();
        let place = (self.steps.len() - 1).saturating_sub(depth);
        let mut tip = self.steps[place].block;
        // Side blocks weigh too; the new chain grows until it outweighs everything the old sink saw.
        for _ in 0..=self.dag.at(sink).colouring.blue_score {
            if tip != sink && self.dag.rank(tip) > self.dag.rank(sink) {
                break;
            }
            if self.look_from(vec![tip]).is_err() {
                break;
            }
            let block = self.build(others(), b"others, reorganising".to_vec(), now_ms);
            tip = self.take_own(block)?;
        }
        self.settle();
        Ok(())
    }

    /// A block of everybody else's: it carries no proof, because nobody checks it.
    fn take_own(&mut self, block: wire::Block) -> Result<Index, Refusal> {
        self.write_down(&block.encode_to_vec(), false)?;
        let header = block.header.as_ref().ok_or_else(|| Refusal("block without header".into()))?;
        let hash = convert::block_hash(header).map_err(|error| Refusal(error.to_string()))?;
        let direct = header.parents.first().map(|level| level.hashes.as_slice()).unwrap_or_default();
        let parents = direct.iter().map(|parent| self.find(parent)).collect::<Result<Vec<_>, _>>()?;
        self.take(hash, parents, block, false)
    }

    // ---- the chain and its coins -----------------------------------------------------------------------------

    /// Goes to the heaviest chain whose coinbases are right, and looks from all tips.
    fn settle(&mut self) {
        loop {
            let mut parents: Vec<Index> =
                self.tips.iter().copied().filter(|tip| !self.shunned.contains(tip)).collect();
            parents.sort_unstable_by_key(|tip| std::cmp::Reverse(self.dag.rank(*tip)));
            parents.truncate(PARENTS_MAX);
            if parents.is_empty() {
                parents.push(0);
            }
            match self.look_from(parents) {
                Ok(()) => return,
                Err(wrong) => self.shun(wrong),
            }
        }
    }

    /// A block that can be on no chain, and everything that was built on it, is left alone from now on.
    fn shun(&mut self, wrong: Index) {
        let mut open = vec![wrong];
        while let Some(index) = open.pop() {
            if self.shunned.insert(index) {
                self.tips.remove(&index);
                open.extend(self.dag.at(index).children.iter().copied());
            }
        }
        // Its parents are tips again unless somebody else built on them.
        for parent in self.dag.at(wrong).parents.clone() {
            let free = self.dag.at(parent).children.iter().all(|child| self.shunned.contains(child));
            if free && !self.shunned.contains(&parent) {
                self.tips.insert(parent);
            }
        }
    }

    /// Makes the next block's view the one with these parents. The error is a block whose coinbase is wrong.
    fn look_from(&mut self, parents: Vec<Index>) -> Result<(), Index> {
        let next = std::mem::take(&mut self.next);
        self.undo(next.acceptance);
        let colouring = self.dag.colour(&parents);
        let sink = colouring.selected_parent.expect("a view has parents");
        self.go_to(sink)?;
        let acceptance = self.accept(&colouring);
        self.next = Virtual { parents, colouring, acceptance };
        Ok(())
    }

    fn go_to(&mut self, sink: Index) -> Result<(), Index> {
        let mut above = Vec::new();
        let mut at = sink;
        let fork = loop {
            if let Some(place) = self.place_on_chain.get(&at) {
                break *place;
            }
            above.push(at);
            at = self.dag.at(at).colouring.selected_parent.expect("every chain ends in the first block");
        };
        while self.steps.len() > fork + 1 {
            let step = self.steps.pop().expect("there are steps above the fork");
            self.place_on_chain.remove(&step.block);
            self.undo(step.acceptance);
        }
        for block in above.into_iter().rev() {
            let colouring = self.dag.at(block).colouring.clone();
            let acceptance = self.accept(&colouring);
            let stored = &self.blocks[block];
            let expected = self.expected_outputs(&colouring, &acceptance.fees, &stored.payload.pay_to);
            let honest = stored.transactions[0].body.outputs == expected
                && stored.header.accepted_id_merkle_root == hex::encode(accepted_root(&acceptance));
            if !honest {
                self.undo(acceptance);
                return Err(block);
            }
            self.place_on_chain.insert(block, self.steps.len());
            self.steps.push(Step { block, acceptance });
        }
        Ok(())
    }

    fn is_mature(&self, coin: &Coin, daa_score: u64) -> bool {
        !coin.is_coinbase || coin.daa_score + self.rules.maturity <= daa_score
    }

    fn accept(&mut self, colouring: &Colouring) -> Acceptance {
        let mut acceptance = Acceptance::default();
        for merged in colouring.merge_order(&self.dag) {
            let is_selected = colouring.selected_parent == Some(merged);
            let transactions = self.blocks[merged].transactions.clone();
            for (place, tx) in transactions.iter().enumerate() {
                let fee = if place > 0 {
                    match self.check_spend(&tx.body, colouring.daa_score) {
                        Ok((fee, _)) => fee,
                        Err(_) => continue,
                    }
                } else if is_selected {
                    0
                } else {
                    // Only the selected parent's coinbase takes effect.
                    continue;
                };
                *acceptance.fees.entry(merged).or_default() += fee;
                self.spend(tx, colouring.daa_score, place == 0, &mut acceptance.changes);
                self.accepted_ids.insert(tx.id);
                acceptance.accepted.push((tx.id, (merged, place)));
            }
        }
        acceptance
    }

    fn spend(&mut self, tx: &Tx, daa_score: u64, is_coinbase: bool, changes: &mut Vec<Change>) {
        for input in &tx.body.inputs {
            if let Ok(outpoint) = read_outpoint(input)
                && let Some(coin) = self.remove_coin(&outpoint)
            {
                changes.push(Change::Spent(outpoint, coin));
            }
        }
        for (index, output) in (0..).zip(&tx.body.outputs) {
            let Some(Ok(script)) = output.script.as_ref().map(convert::pay_script) else { continue };
            // Nobody has everybody else's key: coins that can never move are not kept.
            if script.script == OTHERS {
                continue;
            }
            let outpoint = OutPoint { txid: tx.id, index };
            self.add_coin(outpoint, Coin { amount: output.amount, script, daa_score, is_coinbase });
            changes.push(Change::Added(outpoint));
        }
    }

    fn undo(&mut self, acceptance: Acceptance) {
        for (id, _) in &acceptance.accepted {
            self.accepted_ids.remove(id);
        }
        for change in acceptance.changes.into_iter().rev() {
            match change {
                Change::Added(outpoint) => {
                    self.remove_coin(&outpoint);
                }
                Change::Spent(outpoint, coin) => self.add_coin(outpoint, coin),
            }
        }
    }

    fn add_coin(&mut self, outpoint: OutPoint, coin: Coin) {
        self.by_script.entry(coin.script.clone()).or_default().insert(outpoint);
        self.coins.insert(outpoint, coin);
    }

    fn remove_coin(&mut self, outpoint: &OutPoint) -> Option<Coin> {
        let coin = self.coins.remove(outpoint)?;
        if let Some(outpoints) = self.by_script.get_mut(&coin.script) {
            outpoints.remove(outpoint);
        }
        Some(coin)
    }

    // ---- transactions ----------------------------------------------------------------------------------------

    /// The fee and the coins of a transaction that may take effect in a block of this DAA score.
    fn check_spend(&self, tx: &wire::Transaction, daa_score: u64) -> Result<(u64, Vec<OutPoint>), Refusal> {
        check_shape(tx)?;
        let mut spends = Vec::new();
        let mut coins = Vec::new();
        for input in &tx.inputs {
            let outpoint = read_outpoint(input)?;
            if spends.contains(&outpoint) {
                return refuse("transaction has duplicate inputs");
            }
            let coin = self.coins.get(&outpoint).ok_or_else(|| Refusal(MISSING.into()))?;
            if !self.is_mature(coin, daa_score) {
                return refuse(format!(
                    "one of the transaction inputs spends an immature UTXO: the transaction tried to spend {outpoint} \
                     of DAA score {} at {daa_score} with maturity {}",
                    coin.daa_score, self.rules.maturity
                ));
            }
            spends.push(outpoint);
            coins.push(coin.clone());
        }
        let (Some(got), Some(given)) = (
            coins.iter().try_fold(0u64, |sum, coin| sum.checked_add(coin.amount)),
            tx.outputs.iter().try_fold(0u64, |sum, output| sum.checked_add(output.amount)),
        ) else {
            return refuse("amounts pass the range");
        };
        let fee = got.checked_sub(given).ok_or_else(|| {
            Refusal(format!("transaction tries to spend {given} while its total inputs amount is {got}"))
        })?;
        let amounts: Vec<u64> = coins.iter().map(|coin| coin.amount).collect();
        let masses = convert::masses(tx, &amounts).map_err(|error| Refusal(error.to_string()))?;
        if tx.storage_mass != masses.storage {
            return refuse(format!("wrong storage mass: {} instead of {}", tx.storage_mass, masses.storage));
        }
        let entries: Vec<(u64, PayScript)> =
            coins.into_iter().map(|coin| (coin.amount, coin.script)).collect();
        convert::check_signatures(tx, &entries).map_err(|error| Refusal(error.to_string()))?;
        Ok((fee, spends))
    }

    pub(super) fn submit_transaction(&mut self, bytes: &[u8]) -> Result<[u8; 32], Refusal> {
        let body = wire::Transaction::decode(bytes).map_err(|error| Refusal(error.to_string()))?;
        let id = convert::transaction_id(&body).map_err(|error| Refusal(error.to_string()))?;
        let text = hex::encode(id);
        let rejected = |why: String| Refusal(format!("Rejected transaction {text}: {why}"));
        if self.accepted_ids.contains(&id) {
            return Err(rejected(format!("transaction {text} was already accepted by the consensus")));
        }
        if self.mempool.contains_key(&id) {
            return Err(rejected(format!("transaction {text} is already in the mempool")));
        }
        for input in &body.inputs {
            let outpoint = read_outpoint(input).map_err(|Refusal(why)| rejected(why))?;
            if let Some((other, _)) = self.mempool.iter().find(|(_, other)| other.spends.contains(&outpoint))
            {
                return Err(rejected(format!(
                    "output {outpoint} already spent by transaction {} in the mempool",
                    hex::encode(other)
                )));
            }
        }
        let (fee, spends) = match self.check_spend(&body, self.next.colouring.daa_score) {
            Ok(checked) => checked,
            Err(Refusal(why)) if why == MISSING => {
                return Err(rejected(format!("transaction {text} is an orphan where orphan is disallowed")));
            }
            Err(Refusal(why)) => return Err(rejected(why)),
        };
        let amounts: Vec<u64> = spends.iter().map(|outpoint| self.coins[outpoint].amount).collect();
        let masses = convert::masses(&body, &amounts).map_err(|error| rejected(error.to_string()))?;
        for (what, mass) in
            [("compute", masses.compute), ("transient", masses.transient), ("storage", masses.storage)]
        {
            if mass > mass::STANDARD_MAX {
                return Err(rejected(format!(
                    "transaction {what} mass of {mass} is larger than max allowed size of {}",
                    mass::STANDARD_MAX
                )));
            }
        }
        let least = masses.relay_fee_min();
        if fee < least {
            return Err(rejected(format!(
                "transaction {text} is not standard: transaction has {fee} fees which is under the required amount \
                 of {least}"
            )));
        }
        self.mempool.insert(id, Waiting { tx: Tx { id, body }, fee, spends });
        Ok(id)
    }
}

const MISSING: &str = "at least one outpoint of the transaction is lacking a matching UTXO entry";

fn others() -> PayScript {
    PayScript { version: 0, script: OTHERS.to_vec() }
}

fn coinbase_transaction(
    payload: &CoinbasePayload,
    outputs: Vec<wire::TransactionOutput>,
) -> wire::Transaction {
    wire::Transaction {
        version: 1,
        outputs,
        subnetwork_id: COINBASE.into(),
        payload: hex::encode(payload.to_bytes()),
        ..wire::Transaction::default()
    }
}

fn read_payload(coinbase: &wire::Transaction) -> Result<CoinbasePayload, Refusal> {
    let bytes =
        hex::decode(&coinbase.payload).map_err(|_| Refusal("coinbase payload is not hexadecimal".into()))?;
    if bytes.len() > CoinbasePayload::MAX_LEN {
        return refuse("coinbase payload is too long");
    }
    let payload = CoinbasePayload::parse(&bytes).map_err(|error| Refusal(error.to_string()))?;
    if payload.pay_to.script.len() > CoinbasePayload::SCRIPT_MAX_LEN {
        return refuse("coinbase script is too long");
    }
    Ok(payload)
}

fn read_outpoint(input: &wire::TransactionInput) -> Result<OutPoint, Refusal> {
    let outpoint = input.outpoint.as_ref().ok_or_else(|| Refusal("input without outpoint".into()))?;
    let txid = convert::hash(&outpoint.transaction_id).map_err(|error| Refusal(error.to_string()))?;
    Ok(OutPoint { txid, index: outpoint.index })
}

/// What can be checked without knowing any coin.
fn check_shape(tx: &wire::Transaction) -> Result<(), Refusal> {
    if tx.version != 0 || tx.subnetwork_id != NATIVE || tx.gas != 0 || !tx.payload.is_empty() {
        return refuse("only plain version 0 transactions are taken");
    }
    if tx.inputs.is_empty() || tx.outputs.is_empty() || tx.inputs.len() > 1_000 || tx.outputs.len() > 1_000 {
        return refuse("wrong number of inputs or outputs");
    }
    if tx.outputs.iter().any(|output| output.amount == 0) {
        return refuse("transaction output amount is zero");
    }
    Ok(())
}

/// Stands in for Kaspa's commitment to what was accepted: opaque to everybody but the chain itself.
fn accepted_root(acceptance: &Acceptance) -> [u8; 32] {
    let mut state = blake2b_simd::Params::new().hash_length(32).to_state();
    for (id, _) in &acceptance.accepted {
        state.update(id);
    }
    let mut root = [0; 32];
    root.copy_from_slice(state.finalize().as_bytes());
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_000_000_000;

    fn chain() -> Chain {
        let rules = Rules {
            network: Network::Devnet,
            bits: crate::kaspa::devnode::bits_of_work(3),
            k: 3,
            maturity: 5,
            subsidy: 1_000,
            seed: 1,
            genesis_ms: 1_767_225_600_000,
        };
        Chain::open(rules, Weather::default(), None).unwrap()
    }

    fn pool() -> String {
        Address::p2pk(Network::Devnet, [7; 32]).to_string()
    }

    /// Finds a nonce and writes the block down.
    fn solved(chain: &Chain, mut block: wire::Block) -> Vec<u8> {
        let header = block.header.as_mut().unwrap();
        while chain.check_proof(header).is_err() {
            header.nonce += 1;
        }
        header.hash = String::new();
        block.encode_to_vec()
    }

    fn commit(block: &mut wire::Block) {
        let root = convert::merkle_root(&block.transactions).unwrap();
        block.header.as_mut().unwrap().hash_merkle_root = hex::encode(root);
    }

    #[test]
    fn a_coinbase_that_pays_too_much_is_never_on_the_chain() {
        let mut chain = chain();
        chain.others_find(NOW).unwrap();
        let mut block = chain.template(&pool(), b"", NOW).unwrap();
        block.transactions[0].outputs[0].amount += 1;
        commit(&mut block);
        let bytes = solved(&chain, block);
        let sink = chain.sink_hash();
        assert_eq!(
            chain.submit(&bytes, NOW),
            Ok(true),
            "its own rules are kept, as far as one can see from it"
        );
        assert_eq!(chain.sink_hash(), sink);
        for _ in 0..3 {
            chain.others_find(NOW).unwrap();
        }
        assert_eq!(chain.balance(&pool()), Ok(0));
        let honest = solved(&chain, chain.template(&pool(), b"", NOW).unwrap());
        assert_eq!(chain.submit(&honest, NOW), Ok(true));
        chain.others_find(NOW).unwrap();
        chain.others_find(NOW).unwrap();
        assert_eq!(chain.balance(&pool()), Ok(1_000));
    }

    #[test]
    fn blocks_that_break_a_rule_are_refused_and_change_nothing() {
        type Break = fn(&mut wire::Block);
        let breaks: [(&str, Break); 9] = [
            ("version", |block| block.header.as_mut().unwrap().version = 1),
            ("bits", |block| block.header.as_mut().unwrap().bits = 0x207f_ffff),
            ("parents", |block| block.header.as_mut().unwrap().parents.clear()),
            ("unknown parent", |block| {
                block.header.as_mut().unwrap().parents[0].hashes = vec!["99".repeat(32)];
            }),
            ("blue score", |block| block.header.as_mut().unwrap().blue_score += 1),
            ("old time", |block| block.header.as_mut().unwrap().timestamp = 1),
            ("far time", |block| block.header.as_mut().unwrap().timestamp += 200_000),
            ("merkle root", |block| block.transactions[0].gas = 1),
            ("no coinbase", |block| block.transactions.clear()),
        ];
        let mut chain = chain();
        chain.others_find(NOW).unwrap();
        for (name, damage) in breaks {
            let mut block = chain.template(&pool(), b"", NOW).unwrap();
            damage(&mut block);
            let bytes = solved(&chain, block);
            let count = chain.block_count();
            assert!(chain.submit(&bytes, NOW).is_err(), "{name}");
            assert_eq!(chain.block_count(), count, "{name}");
        }
        let mut lazy = chain.template(&pool(), b"", NOW).unwrap();
        while chain.check_proof(lazy.header.as_ref().unwrap()).is_ok() {
            lazy.header.as_mut().unwrap().nonce += 1;
        }
        assert!(chain.submit(&lazy.encode_to_vec(), NOW).is_err(), "no proof of work");
        assert!(chain.submit(b"\xff\xff", NOW).is_err(), "no block");
    }

    #[test]
    fn a_reorganisation_undoes_coins_and_doing_it_all_again_gives_the_same() {
        let mut chain = chain();
        for _ in 0..6 {
            let bytes = solved(&chain, chain.template(&pool(), b"", NOW).unwrap());
            chain.submit(&bytes, NOW).unwrap();
        }
        assert_eq!(chain.balance(&pool()), Ok(5_000), "the newest is not merged by a chain block yet");
        chain.reorganise(4, NOW).unwrap();
        let after = chain.balance(&pool()).unwrap();
        assert!(after < 5_000, "{after}");
        let coins = chain.coins.clone();
        // Away and back: every chain block undone and done again.
        let tips = chain.next.parents.clone();
        chain.look_from(vec![0]).unwrap();
        assert_eq!(chain.balance(&pool()), Ok(0));
        chain.look_from(tips).unwrap();
        assert_eq!(chain.coins, coins);
        assert_eq!(chain.balance(&pool()), Ok(after));
    }
}
