//! The development chain: honest where a pool looks, simple where it does not.
//!
//! No sockets, no clock, no tasks: each call is a step, and time comes in as Unix seconds. Blocks have the real bytes,
//! the real proof of work at one target for ever, coinbases that pay exactly reward and fees to real one-time keys,
//! coins that mature, payments with the published keys, addresses and amounts that the chain asks for, reorganisations
//! that undo and redo. What is simplified: difficulty never changes; everybody else's blocks are not hashed; an input
//! names its output by a hash in the place of the key image, and signatures are not checked, because the only wallet
//! is the one in this process.

use super::journal::{Journal, JournalError, Record};
use crate::dynex::address::Address;
use crate::dynex::blob::{Block, Header};
use crate::dynex::params::{Network, reward};
use crate::dynex::tx::{
    Field, Input, Output, Prefix, Transaction, fields, output_key, payment_nonce, public_key,
};
use crate::hash::cryptonight::{Scratchpad, dynex_hash, keccak256};
use curve25519_dalek::scalar::Scalar;
use pool_core::units::U256;
use std::collections::{BTreeMap, HashMap, HashSet};

/// How far a block's time may lie ahead of the node's clock. Unit: seconds.
const AHEAD_MAX: u64 = 7_200;
/// Transactions put into one block.
const BLOCK_TRANSACTIONS_MAX: usize = 50;
/// The least fee of a payment.
const FEE_MIN: u64 = 100_000;
/// The earliest time of a block: from here on it takes five bytes, as today's times do.
const TIME_MIN: u64 = 1 << 28;

/// The chain's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) network: Network,
    pub(super) difficulty: u64,
    /// Blocks for which a coinbase is locked.
    pub(super) maturity: u64,
    /// Blocks for which any other output is.
    pub(super) spendable_age: u64,
    /// What is taken to be emitted before the first block.
    pub(super) generated: u64,
}

/// Why something is refused, in the node's own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refusal(pub(super) String);

fn refuse<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(why.into()))
}

#[derive(Clone, Debug)]
struct Stored {
    block: Block,
    id: [u8; 32],
    height: u64,
    /// Emitted up to and with this block.
    generated: u64,
}

/// An output on the main chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Coin {
    pub(super) image: [u8; 32],
    pub(super) amount: u64,
    pub(super) owner: Option<Address>,
    /// The first height at which it may be spent.
    pub(super) free_at: u64,
    spent: bool,
}

/// What the main chain says, rebuilt whenever it is another.
#[derive(Clone, Debug, Default)]
struct State {
    coins: HashMap<[u8; 32], Coin>,
    /// Heights of transactions, coinbases included.
    mined: HashMap<[u8; 32], u64>,
}

/// A template as the node says it.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) block: Block,
    pub(super) height: u64,
    pub(super) reserved_offset: usize,
}

#[derive(Debug)]
pub(super) struct Chain {
    rules: Rules,
    blocks: Vec<Stored>,
    by_id: HashMap<[u8; 32], usize>,
    /// The main chain, by height.
    main: Vec<usize>,
    state: State,
    /// Every transaction ever seen.
    bodies: HashMap<[u8; 32], Transaction>,
    pool: BTreeMap<[u8; 32], Transaction>,
    /// Made by the wallet and not sent.
    delayed: BTreeMap<[u8; 32], Transaction>,
    /// Dropped by the wallet.
    deleted: HashSet<[u8; 32]>,
    scratchpad: Scratchpad,
    journal: Option<Journal>,
    /// Makes every key a new one.
    keys_made: u64,
}

/// What stands for the key image of an output with this key.
fn image_of(key: &[u8; 32]) -> [u8; 32] {
    keccak256(&[&b"image"[..], key].concat())
}

/// The bytes of a field of an extra.
fn push_field(extra: &mut Vec<u8>, tag: u8, data: &[u8]) {
    extra.push(tag);
    if tag == Field::NONCE {
        extra.push(u8::try_from(data.len()).expect("free bytes are at most 255"));
    }
    extra.extend_from_slice(data);
}

fn keys(address: &Address) -> [u8; 64] {
    let mut keys = [0; 64];
    keys[..32].copy_from_slice(address.spend());
    keys[32..].copy_from_slice(address.view());
    keys
}

/// The addresses that an extra names, senders and receivers.
fn named(extra: &[u8]) -> Vec<Address> {
    let Ok(fields) = fields(extra) else { return Vec::new() };
    let address = |field: &Field| {
        let keys = extra[field.data.clone()].as_chunks::<32>().0;
        Address::of_keys(*keys.first()?, *keys.get(1)?).ok()
    };
    fields
        .iter()
        .filter(|field| matches!(field.tag, Field::SENDER | Field::RECEIVER))
        .filter_map(address)
        .collect()
}

/// Whose each output is, as anybody can see.
fn owners(transaction: &Transaction) -> Vec<Option<Address>> {
    let extra = &transaction.prefix.extra;
    let secret: Option<[u8; 32]> = fields(extra).ok().and_then(|fields| {
        let field = fields.into_iter().find(|field| field.tag == Field::SECRET_KEY)?;
        extra[field.data].try_into().ok()
    });
    let addresses = named(extra);
    let owner = |(place, output): (usize, &Output)| {
        let secret = secret.as_ref()?;
        addresses.iter().find(|address| output_key(secret, address, place) == Some(output.key)).copied()
    };
    transaction.prefix.outputs.iter().enumerate().map(owner).collect()
}

impl Chain {
    pub(super) fn open(rules: Rules, journal: Option<(Journal, Vec<Record>)>) -> Result<Self, JournalError> {
        let genesis = Block::parse(&rules.network.genesis_block()).expect("the first block is one");
        let id = genesis.id();
        let first = Stored { block: genesis, id, height: 0, generated: rules.generated };
        let mut chain = Self {
            rules,
            blocks: vec![first],
            by_id: HashMap::from([(id, 0)]),
            main: vec![0],
            state: State::default(),
            bodies: HashMap::new(),
            pool: BTreeMap::new(),
            delayed: BTreeMap::new(),
            deleted: HashSet::new(),
            scratchpad: Scratchpad::new(),
            journal: None,
            keys_made: 0,
        };
        chain.rebuild();
        if let Some((journal, records)) = journal {
            let damaged = |why: Refusal| JournalError::Damaged(why.0);
            let unread = |_| JournalError::Damaged("a record cannot be read".into());
            for record in records {
                match record {
                    Record::Block(bytes) => {
                        chain.keys_made += 1;
                        let block = Block::parse(&bytes).map_err(unread)?;
                        chain.join(block).map_err(damaged)?;
                    }
                    Record::Transaction(bytes) => {
                        chain
                            .take_transaction(Transaction::parse(&bytes).map_err(unread)?)
                            .map_err(damaged)?;
                    }
                    Record::Delayed(bytes) => {
                        chain.keys_made += 1;
                        chain.keep(Transaction::parse(&bytes).map_err(unread)?).map_err(damaged)?;
                    }
                    Record::Deleted(hash) => chain.delete(&hash).map_err(damaged)?,
                }
            }
            chain.journal = Some(journal);
        }
        Ok(chain)
    }

    fn write(&mut self, record: Record) -> Result<(), Refusal> {
        match &mut self.journal {
            Some(journal) => journal.append(&record).map_err(|error| Refusal(error.to_string())),
            None => Ok(()),
        }
    }

    // ---- questions -------------------------------------------------------------------------------------------

    pub(super) fn top(&self) -> u64 {
        self.main.len() as u64 - 1
    }

    fn at(&self, height: u64) -> Option<&Stored> {
        self.main.get(usize::try_from(height).ok()?).map(|place| &self.blocks[*place])
    }

    pub(super) fn id_at(&self, height: u64) -> Option<[u8; 32]> {
        self.at(height).map(|stored| stored.id)
    }

    pub(super) fn difficulty(&self) -> u64 {
        self.rules.difficulty
    }

    /// A block by its id, its height, and whether it lies beside the main chain.
    pub(super) fn block(&self, id: &[u8; 32]) -> Option<(&Block, u64, bool)> {
        let stored = &self.blocks[*self.by_id.get(id)?];
        Some((&stored.block, stored.height, self.id_at(stored.height) != Some(*id)))
    }

    /// A transaction of the pool or the main chain, and its height if it is there.
    pub(super) fn transaction(&self, hash: &[u8; 32]) -> Option<(&Transaction, Option<u64>)> {
        let body = self.bodies.get(hash)?;
        match self.state.mined.get(hash) {
            Some(height) => Some((body, Some(*height))),
            None => self.pool.contains_key(hash).then_some((body, None)),
        }
    }

    /// What inputs bring, by the main chain.
    pub(super) fn fee(&self, transaction: &Transaction) -> Option<u64> {
        let paid = transaction.prefix.inputs.iter().try_fold(0u64, |sum, input| match input {
            Input::Key { key_image, .. } => sum.checked_add(self.state.coins.get(key_image)?.amount),
            Input::Generate { .. } => None,
        })?;
        paid.checked_sub(transaction.total()?)
    }

    /// Unspent outputs of an address.
    pub(super) fn coins_of<'a>(&'a self, address: &'a Address) -> impl Iterator<Item = &'a Coin> {
        self.state.coins.values().filter(move |coin| !coin.spent && coin.owner.as_ref() == Some(address))
    }

    pub(super) fn balance(&self, address: &Address) -> u64 {
        self.coins_of(address).map(|coin| coin.amount).sum()
    }

    pub(super) fn delayed(&self) -> &BTreeMap<[u8; 32], Transaction> {
        &self.delayed
    }

    pub(super) fn is_deleted(&self, hash: &[u8; 32]) -> bool {
        self.deleted.contains(hash)
    }

    /// Coins that a transaction of the pool or of the wallet's own spends already.
    fn reserved(&self) -> HashSet<[u8; 32]> {
        let inputs = self.pool.values().chain(self.delayed.values()).flat_map(|tx| &tx.prefix.inputs);
        inputs
            .filter_map(|input| match input {
                Input::Key { key_image, .. } => Some(*key_image),
                Input::Generate { .. } => None,
            })
            .collect()
    }

    /// Outputs of an address that a new transaction may spend, and what is locked in others.
    pub(super) fn spendable(&self, address: &Address) -> (Vec<Coin>, u64) {
        let (reserved, next) = (self.reserved(), self.top() + 1);
        let (free, locked): (Vec<&Coin>, Vec<&Coin>) =
            self.coins_of(address).partition(|coin| coin.free_at <= next && !reserved.contains(&coin.image));
        let mut free: Vec<Coin> = free.into_iter().cloned().collect();
        free.sort_by(|one, other| other.amount.cmp(&one.amount).then(one.image.cmp(&other.image)));
        (free, locked.iter().map(|coin| coin.amount).sum())
    }

    // ---- templates -------------------------------------------------------------------------------------------

    /// A secret key that was never used before: the chain is its own randomness.
    pub(super) fn new_secret(&mut self) -> [u8; 32] {
        self.keys_made += 1;
        let tip = self.blocks[*self.main.last().expect("the first block is never undone")].id;
        let seed = keccak256(&[&tip[..], &self.keys_made.to_le_bytes()].concat());
        Scalar::from_bytes_mod_order(seed).to_bytes()
    }

    /// A block on top of the main chain's block at `height - 1`, paid to `pay_to`, with so many free bytes.
    pub(super) fn offer(&mut self, height: u64, pay_to: &Address, reserve: usize, now: u64) -> Offer {
        let secret = self.new_secret();
        let parent = self.at(height - 1).expect("a template is on the main chain");
        let (previous, generated, earlier) = (parent.id, parent.generated, parent.block.header.timestamp);
        let at_tip = height == self.top() + 1;
        let mut transactions = Vec::new();
        let mut fees = 0u64;
        if at_tip {
            for (hash, transaction) in self.pool.iter().take(BLOCK_TRANSACTIONS_MAX) {
                if let Some(fee) = self.fee(transaction) {
                    transactions.push(*hash);
                    fees += fee;
                }
            }
        }
        let amount = reward(generated) + fees;
        let public = public_key(&secret).expect("the secret is below the order");
        let key = output_key(&secret, pay_to, 0).expect("the secret is below the order");
        let mut extra = Vec::new();
        push_field(&mut extra, Field::PUBLIC_KEY, &public);
        if reserve > 0 {
            push_field(&mut extra, Field::NONCE, &vec![0; reserve]);
        }
        push_field(&mut extra, Field::SECRET_KEY, &secret);
        push_field(&mut extra, Field::RECEIVER, &keys(pay_to));
        push_field(&mut extra, Field::AMOUNT, &amount.to_le_bytes());
        let coinbase = Transaction {
            prefix: Prefix {
                version: 1,
                unlock_time: height + self.rules.maturity,
                inputs: vec![Input::Generate { height }],
                outputs: vec![Output { amount, key }],
                extra,
            },
            signatures: vec![],
        };
        let header = Header {
            major: 1,
            minor: 0,
            timestamp: now.max(earlier + 1).max(TIME_MIN),
            previous,
            nonce: [0; 4],
        };
        // As the node reckons it: behind the public key, its tag, the next field's tag and one byte more.
        let coinbase_len = coinbase.to_bytes().len();
        let extra_at = coinbase_len - coinbase.prefix.extra.len();
        let reserved_offset = if reserve > 0 { header.to_bytes().len() + extra_at + 1 + 32 + 3 } else { 0 };
        Offer { block: Block { header, coinbase, transactions }, height, reserved_offset }
    }

    // ---- blocks ----------------------------------------------------------------------------------------------

    /// Checks a miner's block and takes it. True when it is the new tip.
    pub(super) fn submit(&mut self, block: Block, now: u64) -> Result<bool, Refusal> {
        if self.by_id.contains_key(&block.id()) {
            return refuse("the block is known");
        }
        if block.header.timestamp > now + AHEAD_MAX {
            return refuse("the block's time is too far ahead");
        }
        let hash = U256::from_le_bytes(dynex_hash(&block.hashing_blob(), &mut self.scratchpad));
        if hash > U256::MAX / U256::from(self.rules.difficulty) {
            return refuse("the proof of work is too weak");
        }
        let record = Record::Block(block.to_bytes());
        let tip = self.join(block)?;
        self.write(record)?;
        Ok(tip)
    }

    /// Adds a block whose proof is good. True when it is the new tip.
    fn join(&mut self, block: Block) -> Result<bool, Refusal> {
        let id = block.id();
        let Some(parent) = self.by_id.get(&block.header.previous).map(|place| &self.blocks[*place]) else {
            return refuse("the block's parent is unknown");
        };
        let height = parent.height + 1;
        if block.coinbase.height() != Some(height)
            || block.coinbase.prefix.unlock_time != height + self.rules.maturity
        {
            return refuse("the coinbase is of another height");
        }
        let subsidy = reward(parent.generated);
        let generated = parent.generated + subsidy;
        let mut fees = 0u64;
        for hash in &block.transactions {
            let fee = self.bodies.get(hash).and_then(|transaction| self.fee(transaction));
            fees += fee.ok_or_else(|| Refusal("the block has a transaction that nobody knows".into()))?;
        }
        if block.coinbase.total() != Some(subsidy + fees) {
            return refuse("the coinbase pays another sum than the reward");
        }
        let extends = self.main.last().is_some_and(|tip| self.blocks[*tip].id == block.header.previous);
        let place = self.blocks.len();
        self.bodies.insert(block.coinbase.hash(), block.coinbase.clone());
        self.blocks.push(Stored { block, id, height, generated });
        self.by_id.insert(id, place);
        if extends {
            self.main.push(place);
            self.apply(place);
            return Ok(true);
        }
        if height <= self.top() {
            return Ok(false);
        }
        // More work than the main chain: undo and redo.
        let mut branch = vec![place];
        let mut previous = self.blocks[place].block.header.previous;
        while self.id_at(self.blocks[self.by_id[&previous]].height) != Some(previous) {
            let below = self.by_id[&previous];
            branch.push(below);
            previous = self.blocks[below].block.header.previous;
        }
        let fork = usize::try_from(self.blocks[self.by_id[&previous]].height).expect("heights are places");
        let undone = self.main.split_off(fork + 1);
        self.main.extend(branch.into_iter().rev());
        for place in undone {
            for hash in &self.blocks[place].block.transactions {
                self.pool.insert(*hash, self.bodies[hash].clone());
            }
        }
        self.rebuild();
        Ok(true)
    }

    fn rebuild(&mut self) {
        self.state = State::default();
        for place in self.main.clone() {
            self.apply(place);
        }
        // What the new chain made impossible is dropped, as nodes do.
        let gone: Vec<[u8; 32]> = self
            .pool
            .iter()
            .filter(|(_, transaction)| self.fee(transaction).is_none() || self.is_spent(transaction))
            .map(|(hash, _)| *hash)
            .collect();
        for hash in gone {
            self.pool.remove(&hash);
        }
    }

    fn is_spent(&self, transaction: &Transaction) -> bool {
        transaction.prefix.inputs.iter().any(|input| match input {
            Input::Key { key_image, .. } => self.state.coins.get(key_image).is_none_or(|coin| coin.spent),
            Input::Generate { .. } => true,
        })
    }

    /// Puts a block's transactions into the state.
    fn apply(&mut self, place: usize) {
        let stored = self.blocks[place].clone();
        let bodies = stored.block.transactions.iter().map(|hash| self.bodies[hash].clone());
        let all: Vec<Transaction> = std::iter::once(stored.block.coinbase).chain(bodies).collect();
        for transaction in all {
            let hash = transaction.hash();
            self.pool.remove(&hash);
            self.state.mined.insert(hash, stored.height);
            for input in &transaction.prefix.inputs {
                if let Input::Key { key_image, .. } = input
                    && let Some(coin) = self.state.coins.get_mut(key_image)
                {
                    coin.spent = true;
                }
            }
            let age =
                if transaction.height().is_some() { self.rules.maturity } else { self.rules.spendable_age };
            let owners = owners(&transaction);
            for (output, owner) in transaction.prefix.outputs.iter().zip(owners) {
                let image = image_of(&output.key);
                let free_at = stored.height + age;
                let coin = Coin { image, amount: output.amount, owner, free_at, spent: false };
                self.state.coins.insert(image, coin);
            }
        }
    }

    /// Everybody else finds a block on top of the main chain's block at `height - 1`. Not hashed.
    fn others_at(&mut self, height: u64, others: &Address, now: u64) -> Result<(), Refusal> {
        let mut block = self.offer(height, others, 0, now).block;
        if height != self.top() + 1 {
            block.transactions.clear();
        }
        self.others_join(block)
    }

    fn others_join(&mut self, block: Block) -> Result<(), Refusal> {
        let record = Record::Block(block.to_bytes());
        self.join(block)?;
        self.write(record)
    }

    pub(super) fn others_find(&mut self, others: &Address, now: u64) -> Result<(), Refusal> {
        self.others_at(self.top() + 1, others, now)
    }

    /// The newest `depth` blocks are overtaken by others that have not seen them.
    pub(super) fn reorganise(&mut self, depth: u64, others: &Address, now: u64) -> Result<(), Refusal> {
        let depth = depth.min(self.top());
        if depth == 0 {
            return Ok(());
        }
        let fork = self.top() - depth;
        let mut block = self.offer(fork + 1, others, 0, now).block;
        block.transactions.clear();
        for height in fork + 2..=fork + depth + 2 {
            let (id, generated) = {
                let id = block.id();
                self.others_join(block)?;
                (id, self.blocks[self.by_id[&id]].generated)
            };
            if height > fork + depth + 1 {
                break;
            }
            // A coinbase for the height above, on the block just made.
            let mut above = self.offer(fork + 1, others, 0, now + height).block;
            above.transactions.clear();
            above.header.previous = id;
            above.coinbase.prefix.inputs = vec![Input::Generate { height }];
            above.coinbase.prefix.unlock_time = height + self.rules.maturity;
            above.coinbase.prefix.outputs[0].amount = reward(generated);
            block = above;
        }
        Ok(())
    }

    // ---- transactions ----------------------------------------------------------------------------------------

    /// Checks a transaction and puts it into the pool.
    fn take_transaction(&mut self, transaction: Transaction) -> Result<[u8; 32], Refusal> {
        let hash = transaction.hash();
        if self.transaction(&hash).is_some() {
            return Ok(hash);
        }
        let Some(fee) = self.fee(&transaction) else { return refuse("it spends what is not there") };
        if fee < FEE_MIN {
            return refuse("its fee is too small");
        }
        let in_pool: HashSet<[u8; 32]> = self
            .pool
            .values()
            .flat_map(|other| &other.prefix.inputs)
            .filter_map(|input| match input {
                Input::Key { key_image, .. } => Some(*key_image),
                Input::Generate { .. } => None,
            })
            .collect();
        let next = self.top() + 1;
        for input in &transaction.prefix.inputs {
            let Input::Key { key_image, .. } = input else { return refuse("it is a coinbase") };
            let coin = &self.state.coins[key_image];
            if coin.spent || in_pool.contains(key_image) {
                return refuse("it spends what is spent");
            }
            if coin.free_at > next {
                return refuse("it spends what is locked");
            }
        }
        check_published(&transaction)?;
        self.bodies.insert(hash, transaction.clone());
        self.pool.insert(hash, transaction);
        Ok(hash)
    }

    /// The wallet keeps a transaction that is not to be sent yet.
    pub(super) fn keep(&mut self, transaction: Transaction) -> Result<[u8; 32], Refusal> {
        let hash = transaction.hash();
        self.write(Record::Delayed(transaction.to_bytes()))?;
        self.bodies.insert(hash, transaction.clone());
        self.delayed.insert(hash, transaction);
        Ok(hash)
    }

    /// The wallet drops a transaction that it kept.
    pub(super) fn delete(&mut self, hash: &[u8; 32]) -> Result<(), Refusal> {
        if self.delayed.remove(hash).is_none() {
            return refuse("Transaction transfer impossible");
        }
        self.deleted.insert(*hash);
        self.write(Record::Deleted(*hash))
    }

    /// A transaction goes to the pool.
    pub(super) fn relay(&mut self, transaction: Transaction) -> Result<[u8; 32], Refusal> {
        let record = Record::Transaction(transaction.to_bytes());
        let hash = self.take_transaction(transaction)?;
        self.write(record)?;
        self.delayed.remove(&hash);
        Ok(hash)
    }

    /// A payment of `own` to others, signed by nobody.
    pub(super) fn pay(
        &mut self,
        own: &Address,
        transfers: &[(Address, u64)],
        fee: u64,
        payment_id: Option<[u8; 32]>,
    ) -> Result<Transaction, Refusal> {
        let wanted = transfers.iter().try_fold(fee, |sum, (_, amount)| sum.checked_add(*amount));
        let wanted = wanted.ok_or_else(|| Refusal("Sum overflow".into()))?;
        let (coins, _) = self.spendable(own);
        let mut inputs = Vec::new();
        let mut sum = 0u64;
        for coin in coins {
            if sum >= wanted {
                break;
            }
            sum += coin.amount;
            inputs.push(Input::Key { amount: coin.amount, offsets: vec![0], key_image: coin.image });
        }
        let Some(change) = sum.checked_sub(wanted) else { return refuse("Wrong amount") };
        let secret = self.new_secret();
        let mut extra = Vec::new();
        push_field(
            &mut extra,
            Field::PUBLIC_KEY,
            &public_key(&secret).expect("the secret is below the order"),
        );
        if let Some(id) = payment_id {
            push_field(&mut extra, Field::NONCE, &payment_nonce(&id));
        }
        push_field(&mut extra, Field::SECRET_KEY, &secret);
        push_field(&mut extra, Field::SENDER, &keys(own));
        let mut outputs = Vec::new();
        for (address, amount) in transfers {
            let key = output_key(&secret, address, outputs.len()).expect("the secret is below the order");
            outputs.push(Output { amount: *amount, key });
            push_field(&mut extra, Field::RECEIVER, &keys(address));
            push_field(&mut extra, Field::AMOUNT, &amount.to_le_bytes());
        }
        if change > 0 {
            let key = output_key(&secret, own, outputs.len()).expect("the secret is below the order");
            outputs.push(Output { amount: change, key });
        }
        let signatures = vec![0; 64 * inputs.len()];
        let prefix = Prefix { version: 1, unlock_time: 0, inputs, outputs, extra };
        Ok(Transaction { prefix, signatures })
    }
}

/// The chain's rule for published payments: each named receiver gets exactly the amount beside its name, so one that is
/// named twice, or is the sender, never does.
fn check_published(transaction: &Transaction) -> Result<(), Refusal> {
    let extra = &transaction.prefix.extra;
    let Ok(fields) = fields(extra) else { return refuse("its extra cannot be read") };
    let mut received: HashMap<Address, u64> = HashMap::new();
    for (output, owner) in transaction.prefix.outputs.iter().zip(owners(transaction)) {
        let Some(owner) = owner else { return refuse("an output is for nobody it names") };
        *received.entry(owner).or_default() += output.amount;
    }
    let mut receiver = None;
    for field in fields {
        let data = &extra[field.data];
        match field.tag {
            Field::RECEIVER => receiver = Some(data),
            Field::AMOUNT => {
                let amount = u64::from_le_bytes(data.try_into().expect("the field has eight bytes"));
                let address = receiver.take().map(|data| data.as_chunks::<32>().0);
                let address = address.and_then(|keys| Address::of_keys(keys[0], keys[1]).ok());
                if address.and_then(|address| received.get(&address)) != Some(&amount) {
                    return refuse("a receiver gets another amount than it is said to");
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn address(n: u64) -> Address {
        let key = |n: u64| public_key(&Scalar::from(n).to_bytes()).unwrap();
        Address::of_keys(key(2 * n + 1), key(2 * n + 2)).unwrap()
    }

    fn chain() -> Chain {
        let rules = Rules {
            network: Network::Devnet,
            difficulty: 2,
            maturity: 3,
            spendable_age: 1,
            generated: 85_000_000_000_000_000,
        };
        Chain::open(rules, None).unwrap()
    }

    fn mine(chain: &mut Chain, pay_to: &Address) -> [u8; 32] {
        let mut block = chain.offer(chain.top() + 1, pay_to, 9, NOW).block;
        for nonce in 0u32.. {
            block.header.nonce = nonce.to_le_bytes();
            match chain.submit(block.clone(), NOW) {
                Ok(tip) => {
                    assert!(tip);
                    return block.id();
                }
                Err(refusal) => assert!(refusal.0.contains("too weak"), "{refusal}"),
            }
        }
        unreachable!("four thousand million nonces solve a difficulty of 2")
    }

    #[test]
    fn blocks_pay_mature_and_are_spent() {
        let mut chain = chain();
        let (pool, payee, others) = (address(1), address(2), address(9));
        mine(&mut chain, &pool);
        let earned = chain.balance(&pool);
        assert_eq!(earned, reward(85_000_000_000_000_000));
        assert!(chain.spendable(&pool).0.is_empty(), "it is locked");
        for _ in 0..3 {
            chain.others_find(&others, NOW).unwrap();
        }
        let payment = chain.pay(&pool, &[(payee, 7_000_000_000)], 1_000_000, None).unwrap();
        let hash = chain.relay(payment.clone()).unwrap();
        assert_eq!(chain.relay(payment), Ok(hash), "the same again is the same");
        assert!(chain.pay(&pool, &[(payee, 1)], 1_000_000, None).is_err(), "the only coin is taken");
        mine(&mut chain, &others);
        assert_eq!(chain.balance(&payee), 7_000_000_000);
        assert_eq!(chain.balance(&pool), earned - 7_000_000_000 - 1_000_000);
        assert_eq!(chain.transaction(&hash).unwrap().1, Some(chain.top()));
    }

    #[test]
    fn a_receiver_named_twice_and_a_sender_who_receives_are_refused() {
        let mut chain = chain();
        let (pool, payee) = (address(1), address(2));
        for _ in 0..5 {
            mine(&mut chain, &pool);
        }
        for transfers in [vec![(payee, 5), (payee, 6)], vec![(pool, 5)]] {
            let payment = chain.pay(&pool, &transfers, 1_000_000, None).unwrap();
            assert!(chain.relay(payment).unwrap_err().0.contains("another amount"));
        }
    }

    #[test]
    fn a_longer_branch_undoes_what_stood_there() {
        let mut chain = chain();
        let (pool, others) = (address(1), address(9));
        for _ in 0..4 {
            chain.others_find(&others, NOW).unwrap();
        }
        let lost = mine(&mut chain, &pool);
        assert!(!chain.block(&lost).unwrap().2);
        let top = chain.top();
        chain.reorganise(2, &others, NOW).unwrap();
        assert_eq!(chain.top(), top + 1);
        assert!(chain.block(&lost).unwrap().2, "it lies beside the main chain");
        assert_eq!(chain.balance(&pool), 0);
    }

    #[test]
    fn bad_blocks_are_refused() {
        let mut chain = chain();
        let pool = address(1);
        let offer = chain.offer(1, &pool, 9, NOW).block;
        let refused = |chain: &mut Chain, change: fn(&mut Block), words: &str| {
            let mut block = offer.clone();
            change(&mut block);
            // Good enough for the target, so that the rule in question decides.
            for nonce in 0u32..64 {
                block.header.nonce = nonce.to_le_bytes();
                let refusal = chain.submit(block.clone(), NOW).unwrap_err();
                if !refusal.0.contains("too weak") {
                    assert!(refusal.0.contains(words), "{refusal}");
                    return;
                }
            }
            panic!("no nonce in 64 solves a difficulty of 2");
        };
        refused(&mut chain, |block| block.header.previous = [1; 32], "parent");
        refused(&mut chain, |block| block.coinbase.prefix.unlock_time += 1, "another height");
        refused(&mut chain, |block| block.coinbase.prefix.outputs[0].amount += 1, "another sum");
        refused(&mut chain, |block| block.transactions.push([2; 32]), "nobody knows");
        refused(&mut chain, |block| block.header.timestamp += 100_000, "ahead");
    }
}
