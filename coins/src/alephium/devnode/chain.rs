//! Sixteen honest little chains: templates with real coinbases, blocks by real proof of work, coins that unlock, signed
//! transfers, uncles, reorganisations. No clock and no chance of its own: time comes in, and chance from a seed.

use super::journal::{BlockRecord, Event, Journal, JournalError};
use crate::alephium::address::{Address, PayTo};
use crate::alephium::chain::{CHAINS, ChainIndex, GROUPS, Group};
use crate::alephium::codec::blake2b;
use crate::alephium::header::{CompactTarget, DEPS, HeaderBlob, HeaderParts, split_block};
use crate::alephium::params::{
    DUST, GAS_MIN, GAS_PRICE_MIN, Network, UNCLE_DEPTH_MAX, UNCLES_MAX, naming_reward, uncle_reward,
};
use crate::alephium::rest::{
    BlockEntry, OutputEntry, RefEntry, TransactionEntry, TxStatus, UncleEntry, UnsignedEntry, UtxoEntry,
};
use crate::alephium::tx::{CoinbaseParts, SignedTransfer, Unlock, UnsignedTx, merkle_root, output_key};
use crate::alephium::wire::Offer;
use crate::hash::double_blake3::{BLOB_LEN, NONCE_LEN};
use pool_core::units::{Amount, U256};
use secp256k1::{Message, PublicKey, ecdsa};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// Templates that can still be completed, per node, as real nodes keep them.
const TEMPLATES_MAX: usize = 100 * CHAINS;
/// How far a block's time may be from its template's. Unit: milliseconds.
const TIME_SHIFT_MAX: u64 = 4_000;

type Hash = [u8; 32];

/// What the chains are.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) network: Network,
    pub(super) target: CompactTarget,
    pub(super) lock_ms: u64,
    /// A block's own reward without uncles. Unit: atto-ALPH.
    pub(super) reward: u128,
    pub(super) seed: u64,
}

/// What becomes of submitted blocks, in thousandths; the rest extend their chains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Somebody else's block was first, and this one is named as an uncle later.
    pub uncle: u16,
    /// Somebody else's block was first, and nobody names this one.
    pub orphan: u16,
}

/// What a node remembers of the templates it gave out.
#[derive(Debug, Default)]
pub(super) struct Templates {
    known: HashMap<[u8; BLOB_LEN], Template>,
    order: VecDeque<[u8; BLOB_LEN]>,
}

#[derive(Clone, Debug)]
struct Template {
    chain: ChainIndex,
    height: u32,
    timestamp: u64,
    txs: Vec<SignedTransfer>,
    uncles: Vec<Hash>,
}

#[derive(Clone, Debug)]
struct Block {
    hash: Hash,
    chain: ChainIndex,
    height: u32,
    nonce: [u8; NONCE_LEN],
    blob: HeaderBlob,
    txs: Vec<SignedTransfer>,
    uncles: Vec<Hash>,
    shunned: bool,
    /// In which order blocks came in.
    order: u64,
}

impl Block {
    fn parent(&self) -> Hash {
        self.blob.parent(self.chain.to())
    }
}

#[derive(Clone, Debug)]
struct Coin {
    owner: Address,
    amount: u128,
    lock_time: u64,
}

#[derive(Debug)]
pub(super) struct Chain {
    rules: Rules,
    weather: Weather,
    chance: u64,
    blocks: HashMap<Hash, Block>,
    /// The blocks of each chain by height.
    heights: Vec<Vec<Hash>>,
    coins: BTreeMap<Hash, Coin>,
    mempool: BTreeMap<Hash, SignedTransfer>,
    /// In which block on its chain a transaction is.
    placed: HashMap<Hash, Hash>,
    /// Which block on its chain names an uncle.
    named: HashMap<Hash, Hash>,
    /// Blocks beside their chains.
    beside: BTreeSet<Hash>,
    next_order: u64,
    /// Whose turn it is when everybody else finds a block.
    turn: u8,
    journal: Option<Journal>,
}

/// Why a transaction is not taken.
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
        let mut chain = Self {
            chance: rules.seed,
            rules,
            weather,
            blocks: HashMap::new(),
            heights: vec![Vec::new(); CHAINS],
            coins: BTreeMap::new(),
            mempool: BTreeMap::new(),
            placed: HashMap::new(),
            named: HashMap::new(),
            beside: BTreeSet::new(),
            next_order: 0,
            turn: 0,
            journal: None,
        };
        for index in ChainIndex::all() {
            chain.begin(index);
        }
        if let Some(mut journal) = journal {
            for event in journal.events()? {
                chain.replay(&event)?;
            }
            // The dice go on from where they could have been; nothing rests on which.
            chain.chance = chain.chance.wrapping_add(chain.next_order);
            chain.journal = Some(journal);
        }
        Ok(chain)
    }

    /// The first block of a chain: no dependencies, the smallest nonce that lands there.
    fn begin(&mut self, index: ChainIndex) {
        let parts = HeaderParts {
            deps: [[0; 32]; DEPS],
            dep_state_hash: [0; 32],
            txs_hash: blake2b(&[&self.rules.seed.to_be_bytes(), &[index.place()]]),
            timestamp: GENESIS_MS,
            target: self.rules.target,
        };
        let (nonce, blob) = land(index, HeaderBlob::of_parts(&parts), 0);
        let block = Block {
            hash: blob.hash(&nonce),
            chain: index,
            height: 0,
            nonce,
            blob,
            txs: Vec::new(),
            uncles: Vec::new(),
            shunned: false,
            order: 0,
        };
        self.heights[usize::from(index.place())].push(block.hash);
        self.blocks.insert(block.hash, block);
    }

    fn write(&mut self, event: &Event) {
        if let Some(journal) = &mut self.journal
            && let Err(error) = journal.append(event)
        {
            tracing::error!(%error, "development chains cannot be written down");
        }
    }

    fn replay(&mut self, event: &Event) -> Result<(), JournalError> {
        match event {
            Event::Cut { chain, depth } => {
                let chain = ChainIndex::of_place(*chain).ok_or(JournalError::Damaged("no such chain"))?;
                self.cut(chain, *depth);
            }
            Event::Block(record) => {
                let block = self.read(record).ok_or(JournalError::Damaged("a block that does not read"))?;
                self.put(block);
            }
        }
        Ok(())
    }

    fn read(&self, record: &BlockRecord) -> Option<Block> {
        let (nonce, blob, _) =
            split_block(&hex::decode(&record.header).ok()?).ok().map(|(n, b, _)| (n, b, ()))?;
        let hash = blob.hash(&nonce);
        let txs = record.txs.iter().map(|(unsigned, signatures)| {
            let unsigned = UnsignedTx::read(&hex::decode(unsigned).ok()?).ok()?;
            let signatures = signatures.iter().map(|text| hex::decode(text).ok()?.try_into().ok());
            Some(SignedTransfer { unsigned, signatures: signatures.collect::<Option<_>>()? })
        });
        let uncles = record.uncles.iter().map(|text| hex::decode(text).ok()?.try_into().ok());
        Some(Block {
            hash,
            chain: ChainIndex::of_hash(&hash),
            height: record.height,
            nonce,
            blob,
            txs: txs.collect::<Option<_>>()?,
            uncles: uncles.collect::<Option<_>>()?,
            shunned: record.shunned,
            order: self.next_order,
        })
    }

    /// A block comes in, is written down and takes its place.
    fn take(&mut self, block: Block) {
        let record = BlockRecord {
            header: hex::encode([&block.nonce[..], block.blob.bytes()].concat()),
            height: block.height,
            txs: block
                .txs
                .iter()
                .map(|tx| {
                    (hex::encode(tx.unsigned.to_bytes()), tx.signatures.iter().map(hex::encode).collect())
                })
                .collect(),
            uncles: block.uncles.iter().map(hex::encode).collect(),
            shunned: block.shunned,
        };
        self.write(&Event::Block(record));
        self.put(block);
    }

    fn put(&mut self, mut block: Block) {
        self.next_order += 1;
        block.order = self.next_order;
        let place = usize::from(block.chain.place());
        let extends = self.heights[place].last() == Some(&block.parent());
        let hash = block.hash;
        if extends {
            self.heights[place].push(hash);
        } else {
            self.beside.insert(hash);
        }
        self.blocks.insert(hash, block);
        if extends {
            self.apply(hash);
        }
    }

    /// What a block on its chain changes.
    fn apply(&mut self, hash: Hash) {
        let Some(block) = self.blocks.get(&hash).cloned() else { return };
        for tx in &block.txs {
            let id = tx.unsigned.id();
            for input in &tx.unsigned.inputs {
                self.coins.remove(&input.coin.key);
            }
            for (index, output) in (0..).zip(&tx.unsigned.outputs) {
                let coin =
                    Coin { owner: output.to.clone(), amount: output.amount, lock_time: output.lock_time };
                self.coins.insert(output_key(&id, index), coin);
            }
            self.mempool.remove(&id);
            self.placed.insert(id, hash);
        }
        for uncle in &block.uncles {
            self.named.insert(*uncle, hash);
        }
    }

    /// Takes the newest blocks off a chain; what they held waits again.
    fn cut(&mut self, chain: ChainIndex, depth: usize) {
        let blocks = &mut self.heights[usize::from(chain.place())];
        let keep = blocks.len().saturating_sub(depth).max(1);
        let off: Vec<Hash> = blocks.drain(keep..).collect();
        self.beside.extend(&off);
        (self.coins, self.placed, self.named) = Default::default();
        let mut on: Vec<(u64, Hash)> = self
            .heights
            .iter()
            .flatten()
            .filter_map(|hash| self.blocks.get(hash).map(|block| (block.order, *hash)))
            .collect();
        on.sort_unstable();
        for (_, hash) in on {
            self.apply(hash);
        }
        let back =
            off.iter().filter_map(|hash| self.blocks.get(hash)).flat_map(|block| block.txs.iter().cloned());
        let back: Vec<SignedTransfer> = back.filter(|tx| !tx.unsigned.inputs.is_empty()).collect();
        for tx in back {
            self.mempool.insert(tx.unsigned.id(), tx);
        }
        let coins = &self.coins;
        self.mempool
            .retain(|_, tx| tx.unsigned.inputs.iter().all(|input| coins.contains_key(&input.coin.key)));
    }

    fn tip(&self, chain: ChainIndex) -> &Block {
        let hash = self.heights[usize::from(chain.place())].last();
        hash.and_then(|hash| self.blocks.get(hash)).expect("a chain has its first block for ever")
    }

    fn is_on_chain(&self, block: &Block) -> bool {
        self.heights[usize::from(block.chain.place())].get(block.height as usize) == Some(&block.hash)
    }

    /// Blocks that the next one of a chain may name, at most two, in the order of their hashes.
    fn candidates(&self, chain: ChainIndex, height: u32) -> Vec<Hash> {
        let fits = |hash: &&Hash| {
            self.blocks.get(*hash).is_some_and(|block| {
                block.chain == chain
                    && !block.shunned
                    && block.height < height
                    && height - block.height <= UNCLE_DEPTH_MAX
                    && !self.named.contains_key(&block.hash)
                    && self.heights[usize::from(chain.place())].get(block.height as usize - 1)
                        == Some(&block.parent())
            })
        };
        self.beside.iter().filter(fits).take(UNCLES_MAX).copied().collect()
    }

    /// The next block of a chain, without its nonce.
    fn next(&self, chain: ChainIndex, pays: &PayTo, now_ms: u64) -> (HeaderBlob, Template) {
        let tip = self.tip(chain);
        let height = tip.height + 1;
        let timestamp = now_ms.max(tip.blob.timestamp() + 1);
        let mut deps = [[0; 32]; DEPS];
        let others = Group::ALL.into_iter().filter(|group| *group != chain.from());
        for (dep, group) in deps.iter_mut().zip(others) {
            *dep = self.tip(ChainIndex::new(group, group)).hash;
        }
        for (dep, to) in deps[GROUPS - 1..].iter_mut().zip(Group::ALL) {
            *dep = self.tip(ChainIndex::new(chain.from(), to)).hash;
        }
        let uncles = self.candidates(chain, height);
        let named: Vec<(Hash, Address, u128)> = uncles
            .iter()
            .filter_map(|hash| {
                let uncle = self.blocks.get(hash)?;
                let finder = uncle.txs.last()?.unsigned.outputs.first()?.to.clone();
                Some((*hash, finder, uncle_reward(self.rules.reward, height - uncle.height)))
            })
            .collect();
        let naming = naming_reward(named.iter().map(|(_, _, reward)| reward).sum());
        let coinbase = CoinbaseParts {
            chain,
            network: self.rules.network.id(),
            miner: (pays.of(chain.to()).clone(), self.rules.reward + naming),
            uncles: named,
            lock_time: timestamp + self.rules.lock_ms,
            // Two templates of one moment must not have one coinbase: coins are named after it.
            extra: [&tip.hash[..8], &timestamp.to_be_bytes()].concat(),
        };
        let waiting = self.mempool.values().filter(|tx| self.chain_of(&tx.unsigned) == Some(chain));
        let mut txs: Vec<SignedTransfer> = waiting.cloned().collect();
        txs.push(coinbase.transaction());
        let leaves: Vec<Hash> = txs.iter().map(SignedTransfer::leaf).collect();
        let parts = HeaderParts {
            deps,
            dep_state_hash: blake2b(&[deps.as_flattened()]),
            txs_hash: merkle_root(&leaves),
            timestamp,
            target: self.rules.target,
        };
        (HeaderBlob::of_parts(&parts), Template { chain, height, timestamp, txs, uncles })
    }

    /// The newest template of every chain, remembered so that they can be completed.
    pub(super) fn offers(&self, templates: &mut Templates, pays: &PayTo, now_ms: u64) -> Vec<Offer> {
        let target = self.rules.target.expand().expect("the rules were made with a target");
        ChainIndex::all()
            .map(|chain| {
                let (blob, template) = self.next(chain, pays, now_ms);
                let height = template.height;
                let key = blob.key();
                if templates.known.insert(key, template).is_none() {
                    templates.order.push_back(key);
                }
                while templates.order.len() > TEMPLATES_MAX {
                    if let Some(oldest) = templates.order.pop_front() {
                        templates.known.remove(&oldest);
                    }
                }
                Offer { chain, blob, txs: vec![0], target, height }
            })
            .collect()
    }

    /// A miner's block. Its hash and whether it was taken.
    pub(super) fn submit(
        &mut self,
        templates: &mut Templates,
        bytes: &[u8],
        now_ms: u64,
    ) -> Option<(ChainIndex, Hash, bool)> {
        let (nonce, blob, _) = split_block(bytes).ok()?;
        let hash = blob.hash(&nonce);
        let key = blob.key();
        let chain = ChainIndex::of_hash(&hash);
        let (false, Some(template)) = (self.blocks.contains_key(&hash), templates.known.get(&key)) else {
            return Some((chain, hash, false));
        };
        let target = blob.target().expand()?;
        let proved = chain == template.chain && U256::from_be_bytes(hash) <= target.get();
        if !proved || blob.timestamp().abs_diff(template.timestamp) > TIME_SHIFT_MAX {
            return Some((template.chain, hash, false));
        }
        // Used up, and with it every other template that differs in its time alone.
        let template = templates.known.remove(&key)?;
        templates.order.retain(|known| *known != key);
        let parent = blob.parent(chain.to());
        templates.known.retain(|_, other| {
            other.chain != chain || other.height != template.height || other.txs != template.txs
        });
        let (uncle, orphan) = (self.roll(self.weather.uncle), self.roll(self.weather.orphan));
        if (uncle || orphan) && self.tip(chain).hash == parent {
            self.others_on(chain, now_ms);
        }
        let Template { height, txs, uncles, .. } = template;
        let block = Block { hash, chain, height, nonce, blob, txs, uncles, shunned: orphan, order: 0 };
        self.take(block);
        Some((chain, hash, true))
    }

    /// True in `thousandths` of all cases.
    fn roll(&mut self, thousandths: u16) -> bool {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let dice = blake2b(&[&self.chance.to_be_bytes()]);
        u16::from_be_bytes([dice[0], dice[1]]) % 1_000 < thousandths
    }

    /// Everybody else's address of a group.
    fn others() -> PayTo {
        let found = Group::ALL.map(|group| {
            (0u8..=255)
                .map(|n| Address::of_key_hash(blake2b(&[b"everybody else", &[n]])))
                .find(|address| address.group() == group)
                .expect("one hash in four falls into a group")
        });
        PayTo::new(&found).expect("one of each group was found")
    }

    /// Everybody else finds a block of a chain. It lands where it should; how hard that was is their affair.
    fn others_on(&mut self, chain: ChainIndex, now_ms: u64) {
        let (blob, template) = self.next(chain, &Self::others(), now_ms);
        let Template { height, txs, uncles, .. } = template;
        let (nonce, blob) = land(chain, blob, self.next_order);
        let hash = blob.hash(&nonce);
        self.take(Block { hash, chain, height, nonce, blob, txs, uncles, shunned: false, order: 0 });
    }

    /// Everybody else finds a block, of one chain after the other.
    pub(super) fn others_find(&mut self, now_ms: u64) {
        let chain = ChainIndex::of_place(self.turn).expect("turns are taken modulo the chains");
        self.turn = (self.turn + 1) % CHAINS as u8;
        self.others_on(chain, now_ms);
    }

    /// The newest `depth` blocks of every chain are overtaken.
    pub(super) fn reorganise(&mut self, depth: usize, now_ms: u64) {
        for chain in ChainIndex::all() {
            let depth = depth.min(self.heights[usize::from(chain.place())].len() - 1);
            if depth == 0 {
                continue;
            }
            self.write(&Event::Cut { chain: chain.place(), depth });
            self.cut(chain, depth);
            for _ in 0..=depth {
                self.others_on(chain, now_ms);
            }
        }
    }

    pub(super) fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// The chain a transaction belongs to: from its inputs' group to the one group beside that it pays.
    fn chain_of(&self, tx: &UnsignedTx) -> Option<ChainIndex> {
        let from = self.coins.get(&tx.inputs.first()?.coin.key)?.owner.group();
        let paid: BTreeSet<Group> =
            tx.outputs.iter().map(|output| output.to.group()).filter(|group| *group != from).collect();
        match paid.len() {
            0 => Some(ChainIndex::new(from, from)),
            1 => Some(ChainIndex::new(from, *paid.first()?)),
            _ => None,
        }
    }

    /// Takes a signed transaction in, by every rule a pool's payments can break.
    pub(super) fn transfer(
        &mut self,
        unsigned: &[u8],
        signature: [u8; 64],
        now_ms: u64,
    ) -> Result<Hash, Refusal> {
        let tx = UnsignedTx::read(unsigned).map_err(|error| Refusal(error.to_string()))?;
        let id = tx.id();
        if self.mempool.contains_key(&id) || self.placed.contains_key(&id) {
            return refuse(format!("tx {} is already included", hex::encode(id)));
        }
        if tx.network != self.rules.network.id() {
            return refuse("transaction of another network");
        }
        let gas = 1_000 + 2_060 + 2_000 * tx.inputs.len() + 4_500 * tx.outputs.len();
        if (tx.gas as usize) < gas.max(GAS_MIN as usize) || tx.gas > 5_000_000 || tx.gas_price < GAS_PRICE_MIN
        {
            return refuse("not enough gas, too much of it, or too cheap");
        }
        let mut sum = 0u128;
        let mut key: Option<[u8; 33]> = None;
        let mut spent = BTreeSet::new();
        for input in &tx.inputs {
            let Some(coin) = self.coins.get(&input.coin.key) else { return refuse("input not found") };
            if let Unlock::Key(public) = &input.unlock {
                if key.is_some_and(|key| key != *public) {
                    return refuse("coins of several keys");
                }
                key = Some(*public);
            }
            let owner = key.map(|key| Address::of_key(&key));
            if owner.as_ref() != Some(&coin.owner) || coin.owner.hint() != Some(input.coin.hint) {
                return refuse("a coin of somebody else");
            }
            if coin.lock_time > now_ms {
                return refuse("a locked coin");
            }
            if !spent.insert(input.coin.key) {
                return refuse("a coin spent twice");
            }
            sum = sum.saturating_add(coin.amount);
        }
        let waiting = self.mempool.values().flat_map(|other| &other.unsigned.inputs);
        if waiting.into_iter().any(|input| spent.contains(&input.coin.key)) {
            return refuse("a coin that another waiting transaction spends");
        }
        if tx.outputs.is_empty() || tx.outputs.iter().any(|output| output.amount < DUST) {
            return refuse("an output of dust");
        }
        let paid = tx.paid().zip(tx.fee()).and_then(|(paid, fee)| paid.checked_add(fee));
        if paid != Some(sum) {
            return refuse("inputs and outputs do not balance");
        }
        if self.chain_of(&tx).is_none() {
            return refuse("it pays more than one group");
        }
        let valid = key.and_then(|key| {
            let key = PublicKey::from_slice(&key).ok()?;
            let signature = ecdsa::Signature::from_compact(&signature).ok()?;
            ecdsa::verify(&signature, Message::from_digest(id), &key).ok()
        });
        if valid.is_none() {
            return refuse("invalid signature");
        }
        self.mempool.insert(id, SignedTransfer { unsigned: tx, signatures: vec![signature] });
        Ok(id)
    }

    pub(super) fn status(&self, id: &Hash) -> TxStatus {
        if self.mempool.contains_key(id) {
            return TxStatus::MemPooled;
        }
        let Some(block) = self.placed.get(id).and_then(|hash| self.blocks.get(hash)) else {
            return TxStatus::TxNotFound;
        };
        let above = u64::from(self.tip(block.chain).height - block.height) + 1;
        let time = block.blob.timestamp();
        let seen_by = |group: Group| {
            let own = &self.heights[usize::from(ChainIndex::new(group, group).place())];
            let later = own.iter().rev().map_while(|hash| self.blocks.get(hash));
            later.take_while(|block| block.blob.timestamp() > time).count() as u64
        };
        TxStatus::Confirmed {
            block_hash: hex::encode(block.hash),
            chain_confirmations: above,
            from_group_confirmations: seen_by(block.chain.from()),
            to_group_confirmations: seen_by(block.chain.to()),
        }
    }

    pub(super) fn height(&self, chain: ChainIndex) -> u64 {
        u64::from(self.tip(chain).height)
    }

    /// The hashes at a height, the chain's own first.
    pub(super) fn hashes(&self, chain: ChainIndex, height: u64) -> Vec<String> {
        let own =
            usize::try_from(height).ok().and_then(|at| self.heights[usize::from(chain.place())].get(at));
        let rival = |hash: &&Hash| {
            let block = self.blocks.get(*hash);
            block.is_some_and(|block| block.chain == chain && u64::from(block.height) == height)
        };
        own.into_iter().chain(self.beside.iter().filter(rival)).map(hex::encode).collect()
    }

    pub(super) fn on_chain(&self, hash: &Hash) -> Option<bool> {
        self.blocks.get(hash).map(|block| self.is_on_chain(block))
    }

    /// The block on its chain that names an uncle.
    pub(super) fn named_by(&self, hash: &Hash) -> Option<BlockEntry> {
        self.entry(self.named.get(hash)?)
    }

    pub(super) fn entry(&self, hash: &Hash) -> Option<BlockEntry> {
        let block = self.blocks.get(hash)?;
        let parts = block.blob.parts();
        let output = |output: &crate::alephium::tx::Output| OutputEntry {
            atto_alph_amount: Amount::new(output.amount),
            address: output.to.to_string(),
            lock_time: output.lock_time,
        };
        let transaction = |tx: &SignedTransfer| TransactionEntry {
            unsigned: UnsignedEntry {
                tx_id: hex::encode(tx.unsigned.id()),
                fixed_outputs: tx.unsigned.outputs.iter().map(output).collect(),
            },
        };
        let uncle = |hash: &Hash| {
            let finder = self.blocks.get(hash)?.txs.last()?.unsigned.outputs.first()?.to.to_string();
            Some(UncleEntry { block_hash: hex::encode(hash), miner: finder })
        };
        Some(BlockEntry {
            hash: hex::encode(block.hash),
            timestamp: parts.timestamp,
            chain_from: u32::from(block.chain.from().get()),
            chain_to: u32::from(block.chain.to().get()),
            height: u64::from(block.height),
            deps: parts.deps.iter().map(hex::encode).collect(),
            transactions: block.txs.iter().map(transaction).collect(),
            nonce: hex::encode(block.nonce),
            version: 0,
            dep_state_hash: hex::encode(parts.dep_state_hash),
            txs_hash: hex::encode(parts.txs_hash),
            target: format!("{:08x}", parts.target.get()),
            ghost_uncles: block.uncles.iter().filter_map(uncle).collect(),
        })
    }

    pub(super) fn utxos(&self, address: &Address) -> Vec<UtxoEntry> {
        let hint = address.hint().map_or(0, |hint| i64::from(hint.cast_signed()));
        let own = self.coins.iter().filter(|(_, coin)| coin.owner == *address);
        own.map(|(key, coin)| UtxoEntry {
            name: RefEntry { hint, key: hex::encode(key) },
            amount: Amount::new(coin.amount),
            tokens: Vec::new(),
            lock_time: coin.lock_time,
        })
        .collect()
    }

    /// What an address holds, locked or not.
    pub(super) fn balance(&self, address: &Address) -> u128 {
        self.coins.values().filter(|coin| coin.owner == *address).map(|coin| coin.amount).sum()
    }

    /// The network's difficulty on one chain.
    pub(super) fn difficulty(&self) -> u128 {
        self.rules.target.expand().map_or(1, |target| target.work().get())
    }
}

/// 2026-01-01T00:00:00Z.
const GENESIS_MS: u64 = 1_767_225_600_000;

/// A nonce with which a header lands on its chain.
fn land(chain: ChainIndex, blob: HeaderBlob, salt: u64) -> ([u8; NONCE_LEN], HeaderBlob) {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&salt.to_be_bytes());
    for count in 0u64.. {
        nonce[16..].copy_from_slice(&count.to_be_bytes());
        if ChainIndex::of_hash(&blob.hash(&nonce)) == chain {
            break;
        }
    }
    (nonce, blob)
}
