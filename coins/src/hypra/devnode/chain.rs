//! The development chain: blocks and uncles, accounts, transactions that wait.
//!
//! No sockets, no clock, no tasks: each call is a step, and time comes in as Unix seconds. Money moves as on Hypra: fees
//! go to the miner and what they could have been is minted again, uncles are paid and paid for, from London on a base fee
//! is burnt. A block has real proof of work, its own difficulty's; its header hashes as the chain's do and commits to its
//! uncles. What is simplified: the longest chain is the best one whatever its difficulty, the pool's difficulty and
//! everybody else's never change, the base fee neither, the roots of states, transactions and receipts are plain hashes,
//! and there are no contracts but ones that refuse to be paid.

use super::journal::{Journal, JournalError, Record};
use crate::hash::ethashb3::{Hashed, keccak256};
use crate::hypra::address::Address;
use crate::hypra::epochs::EpochCaches;
use crate::hypra::header::Header;
use crate::hypra::params::{TRANSFER_GAS, UNCLE_DEPTH};
use crate::hypra::rewards::{Fees, RewardRules};
use crate::hypra::rlp::{BadRlp, Item, push_bytes, push_list};
use crate::hypra::tx::{self, Price, SignedTransfer};
use crate::hypra::wallet::sender;
use pool_core::units::U256;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// Blocks whose states are remembered, as a real node does.
const STATES_MAX: u64 = 128;
/// The least price of gas that is taken in. Unit: wei.
pub(super) const PRICE_MIN: u128 = 1_000_000_000;
/// What is burnt of each unit of gas from London on. Unit: wei.
const BASE_FEE: u128 = 1_000_000_000;
/// Unit: gas.
const GAS_LIMIT: u64 = 30_000_000;
/// Transactions put into one block.
const BLOCK_TRANSACTIONS_MAX: usize = 200;
/// Everybody else's address.
pub(super) const OTHERS: Address = Address::new([0xee; 20]);

type Hash = [u8; 32];

/// The chain's rules.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) chain_id: u64,
    /// Expected hashes of a submitted block.
    pub(super) difficulty: u64,
    pub(super) rewards: RewardRules,
    /// Accounts that begin with money.
    pub(super) funds: Vec<(Address, u128)>,
    /// Contracts: they refuse every payment.
    pub(super) contracts: Vec<Address>,
    pub(super) seed: u64,
}

/// What becomes of submitted blocks, per thousand; the rest is the chain's next block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Somebody else was faster: an uncle.
    pub late: u16,
    /// Somebody else was faster, and nobody includes it.
    pub lost: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) balance: u128,
    pub(super) count: u64,
}

type State = BTreeMap<Address, Account>;

/// A transaction with what is computed from it once.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) id: Hash,
    pub(super) from: Address,
    pub(super) signed: SignedTransfer,
}

impl Sent {
    pub(super) fn parse(raw: &[u8]) -> Result<Self, Refusal> {
        let signed = SignedTransfer::parse(raw).map_err(|error| Refusal(error.to_string()))?;
        let from = sender(&signed).ok_or_else(|| Refusal("invalid sender".into()))?;
        Ok(Self { id: tx::id(raw), from, signed })
    }
}

/// What became of a transaction in its block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) succeeded: bool,
    pub(super) gas_used: u64,
    pub(super) price: u128,
}

#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) header: Header,
    pub(super) transactions: Vec<Sent>,
    pub(super) uncles: Vec<Header>,
    pub(super) outcomes: Vec<Outcome>,
}

/// A block without its seal.
#[derive(Clone, Debug)]
struct Draft {
    header: Header,
    transactions: Vec<Sent>,
    uncles: Vec<Header>,
}

impl Draft {
    fn encode(&self, mix: Hash, nonce: u64) -> Vec<u8> {
        let header = Header { mix, nonce, ..self.header.clone() }.to_rlp();
        let list = |items: &mut dyn Iterator<Item = Vec<u8>>| {
            let content: Vec<u8> = items
                .flat_map(|bytes| {
                    let mut out = Vec::new();
                    push_bytes(&mut out, &bytes);
                    out
                })
                .collect();
            let mut out = Vec::new();
            push_list(&mut out, &content);
            out
        };
        let transactions = list(&mut self.transactions.iter().map(|sent| sent.signed.raw()));
        let uncles = list(&mut self.uncles.iter().map(Header::to_rlp));
        let mut content = Vec::new();
        push_bytes(&mut content, &header);
        content.extend(transactions);
        content.extend(uncles);
        let mut out = Vec::new();
        push_list(&mut out, &content);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let item = Item::parse(bytes)?;
        let [header, transactions, uncles] = item.list()? else {
            return refuse("a block is header, transactions, uncles");
        };
        let transactions =
            transactions.list()?.iter().map(|raw| Sent::parse(raw.bytes()?)).collect::<Result<_, _>>()?;
        let uncles = uncles
            .list()?
            .iter()
            .map(|uncle| Ok(Header::from_rlp(uncle.bytes()?)?))
            .collect::<Result<_, Refusal>>()?;
        Ok(Self { header: Header::from_rlp(header.bytes()?)?, transactions, uncles })
    }
}

#[derive(Debug)]
pub(super) struct Chain {
    rules: Rules,
    weather: Weather,
    caches: Arc<EpochCaches>,
    blocks: HashMap<Hash, Stored>,
    /// From the first block to the newest.
    main: Vec<Hash>,
    /// Of the newest blocks, main or not.
    states: HashMap<Hash, Arc<State>>,
    /// Where a transaction of the main chain is.
    places: HashMap<Hash, (Hash, usize)>,
    waiting: BTreeMap<Address, BTreeMap<u64, Sent>>,
    /// What was offered, by seal hash, oldest first.
    offers: VecDeque<(Hash, Draft)>,
    offered: Option<(Hash, u64)>,
    /// Blocks that nobody includes.
    shunned: HashSet<Hash>,
    /// Changes with everything that an offer depends on.
    version: u64,
    dice: u64,
    journal: Option<Journal>,
}

/// Why something is refused, in the node's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refusal(pub(super) String);

impl From<BadRlp> for Refusal {
    fn from(error: BadRlp) -> Self {
        Self(error.to_string())
    }
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(why.into()))
}

impl Chain {
    pub(super) fn new(rules: Rules, weather: Weather, caches: Arc<EpochCaches>, genesis_time: u64) -> Self {
        let mut state = State::new();
        for (address, balance) in &rules.funds {
            state.entry(*address).or_default().balance = *balance;
        }
        let header = Header {
            parent: [0; 32],
            uncles_hash: uncles_hash(&[]),
            miner: Address::new([0; 20]),
            state_root: root_of(&state),
            transactions_root: keccak256(&[]),
            receipts_root: keccak256(&[]),
            logs_bloom: Box::new([0; 256]),
            difficulty: U256::from(1u64),
            number: 0,
            gas_limit: GAS_LIMIT,
            gas_used: 0,
            timestamp: genesis_time,
            extra: rules.seed.to_be_bytes().to_vec(),
            base_fee: (rules.rewards.london == 0).then_some(BASE_FEE),
            mix: [0; 32],
            nonce: 0,
        };
        let hash = header.hash();
        let genesis = Stored { header, transactions: vec![], uncles: vec![], outcomes: vec![] };
        Self {
            // Never zero, and far from it for small seeds.
            dice: rules.seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            rules,
            weather,
            caches,
            blocks: HashMap::from([(hash, genesis)]),
            main: vec![hash],
            states: HashMap::from([(hash, Arc::new(state))]),
            places: HashMap::new(),
            waiting: BTreeMap::new(),
            offers: VecDeque::new(),
            offered: None,
            shunned: HashSet::new(),
            version: 0,
            journal: None,
        }
    }

    /// Goes on where the journal ends.
    pub(super) fn replay(&mut self, journal: Journal, records: Vec<Record>) -> Result<(), JournalError> {
        for record in records {
            let (bytes, shunned) = match &record {
                Record::Block(bytes) => (bytes, false),
                Record::Shunned(bytes) => (bytes, true),
            };
            self.add(bytes, shunned).map_err(|_| JournalError::Damaged("a block that does not fit"))?;
        }
        self.journal = Some(journal);
        Ok(())
    }

    pub(super) fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    // ---- questions -------------------------------------------------------------------------------------------

    pub(super) fn height(&self) -> u64 {
        self.main.len() as u64 - 1
    }

    pub(super) fn at(&self, number: u64) -> Option<(&Hash, &Stored)> {
        let hash = self.main.get(usize::try_from(number).ok()?)?;
        Some((hash, &self.blocks[hash]))
    }

    pub(super) fn block(&self, hash: &Hash) -> Option<&Stored> {
        self.blocks.get(hash)
    }

    pub(super) fn is_on_chain(&self, hash: &Hash, number: u64) -> bool {
        self.at(number).is_some_and(|(main, _)| main == hash)
    }

    /// The state of a block of the main chain, while it is remembered.
    pub(super) fn state(&self, number: u64) -> Result<&State, Refusal> {
        let Some((hash, _)) = self.at(number) else { return refuse("header not found") };
        match self.states.get(hash).filter(|_| self.height() - number < STATES_MAX) {
            Some(state) => Ok(state),
            None => refuse(format!("missing trie node {} (path )", hex::encode(hash))),
        }
    }

    pub(super) fn account(&self, of: &Address) -> Account {
        self.state(self.height()).ok().and_then(|state| state.get(of).copied()).unwrap_or_default()
    }

    /// The count with what waits.
    pub(super) fn pending_count(&self, of: &Address) -> u64 {
        let mut count = self.account(of).count;
        if let Some(waiting) = self.waiting.get(of) {
            while waiting.contains_key(&count) {
                count += 1;
            }
        }
        count
    }

    pub(super) fn is_contract(&self, address: &Address) -> bool {
        self.rules.contracts.contains(address)
    }

    pub(super) fn place_of(&self, id: &Hash) -> Option<(&Hash, &Stored, usize)> {
        let (hash, place) = self.places.get(id)?;
        Some((hash, &self.blocks[hash], *place))
    }

    pub(super) fn waiting(&self, id: &Hash) -> Option<&Sent> {
        self.waiting.values().flat_map(BTreeMap::values).find(|sent| sent.id == *id)
    }

    // ---- work ------------------------------------------------------------------------------------------------

    fn base_fee(&self, number: u64) -> Option<u128> {
        (number >= self.rules.rewards.london).then_some(BASE_FEE)
    }

    /// Uncles that a block on `parent` may include: at most two, the oldest first.
    fn uncles_for(&self, parent: &Hash) -> Vec<Header> {
        let (mut ancestors, mut included) = (HashSet::new(), HashSet::new());
        let mut at = *parent;
        let number = self.blocks[parent].header.number + 1;
        for _ in 0..=UNCLE_DEPTH {
            let stored = &self.blocks[&at];
            ancestors.insert(at);
            included.extend(stored.uncles.iter().map(Header::hash));
            if stored.header.number == 0 {
                break;
            }
            at = stored.header.parent;
        }
        let mut uncles: Vec<(&Hash, &Header)> = self
            .blocks
            .iter()
            .map(|(hash, stored)| (hash, &stored.header))
            .filter(|(hash, header)| {
                header.number > 0
                    && header.number < number
                    && header.number + UNCLE_DEPTH >= number
                    && ancestors.contains(&header.parent)
                    && !ancestors.contains(*hash)
                    && !included.contains(*hash)
                    && !self.shunned.contains(*hash)
            })
            .collect();
        uncles.sort_by_key(|(hash, header)| (header.number, **hash));
        uncles.into_iter().take(2).map(|(_, header)| header.clone()).collect()
    }

    /// Transactions that a block on the tip may carry.
    fn ready(&self, number: u64) -> Vec<Sent> {
        let base_fee = self.base_fee(number).unwrap_or(0);
        let mut ready = Vec::new();
        for (address, waiting) in &self.waiting {
            let mut account = self.account(address);
            while let Some(sent) = waiting.get(&account.count) {
                let transfer = &sent.signed.transfer;
                let cost = transfer.fee_max().and_then(|fee| fee.checked_add(transfer.value));
                let Some(rest) = cost.and_then(|cost| account.balance.checked_sub(cost)) else { break };
                if transfer.price.effective(base_fee).is_none() || ready.len() == BLOCK_TRANSACTIONS_MAX {
                    break;
                }
                account = Account { balance: rest, count: account.count + 1 };
                ready.push(sent.clone());
            }
        }
        ready
    }

    fn draft(&self, parent: &Hash, miner: Address, difficulty: u64, now: u64) -> Draft {
        let before = &self.blocks[parent].header;
        let number = before.number + 1;
        let uncles = self.uncles_for(parent);
        let on_tip = self.main.last() == Some(parent);
        let transactions = if on_tip { self.ready(number) } else { vec![] };
        let mut header = Header {
            parent: *parent,
            uncles_hash: uncles_hash(&uncles),
            miner,
            state_root: [0; 32],
            transactions_root: [0; 32],
            receipts_root: [0; 32],
            logs_bloom: Box::new([0; 256]),
            difficulty: U256::from(difficulty.max(1)),
            number,
            gas_limit: GAS_LIMIT,
            gas_used: 0,
            timestamp: now.max(before.timestamp + 1),
            extra: b"poolwright".to_vec(),
            base_fee: self.base_fee(number),
            mix: [0; 32],
            nonce: 0,
        };
        let (state, outcomes) = self
            .execute(parent, &header, &transactions, &uncles)
            .expect("what is ready can be carried out, and states of parents are remembered");
        header.state_root = root_of(&state);
        header.gas_used = outcomes.iter().map(|outcome| outcome.gas_used).sum();
        header.transactions_root =
            keccak256(&transactions.iter().flat_map(|sent| sent.id).collect::<Vec<_>>());
        header.receipts_root =
            keccak256(&outcomes.iter().flat_map(|outcome| [u8::from(outcome.succeeded)]).collect::<Vec<_>>());
        Draft { header, transactions, uncles }
    }

    /// What a block does to the accounts.
    fn execute(
        &self,
        parent: &Hash,
        header: &Header,
        transactions: &[Sent],
        uncles: &[Header],
    ) -> Result<(State, Vec<Outcome>), Refusal> {
        let Some(before) = self.states.get(parent) else { return refuse("unknown ancestor") };
        let mut state = State::clone(before);
        let base_fee = header.base_fee.unwrap_or(0);
        let (mut fees, mut outcomes) = (Fees::default(), Vec::with_capacity(transactions.len()));
        for sent in transactions {
            let transfer = &sent.signed.transfer;
            let Some(price) = transfer.price.effective(base_fee) else {
                return refuse("max fee per gas less than block base fee");
            };
            let from = state.entry(sent.from).or_default();
            if from.count != transfer.nonce {
                return refuse("nonce too low");
            }
            let succeeded = !self.is_contract(&transfer.to);
            let gas_used = if succeeded { TRANSFER_GAS } else { transfer.gas };
            let value = if succeeded { transfer.value } else { 0 };
            let cost = (price * u128::from(gas_used)).checked_add(value);
            let Some(rest) = cost.and_then(|cost| from.balance.checked_sub(cost)) else {
                return refuse("insufficient funds for gas * price + value");
            };
            *from = Account { balance: rest, count: from.count + 1 };
            state.entry(transfer.to).or_default().balance += value;
            fees.paid += u128::from(gas_used) * (price - base_fee);
            fees.reserved += u128::from(transfer.gas) * transfer.price.cap();
            outcomes.push(Outcome { succeeded, gas_used, price });
        }
        let Ok(count) = u8::try_from(uncles.len()) else { return refuse("too many uncles") };
        let too_much = || Refusal("a reward past 2^128".into());
        let rewards = &self.rules.rewards;
        let block = rewards.of_block(header.number, fees, count).ok_or_else(too_much)?;
        let uncle = rewards.of_uncle(header.number, fees, count).ok_or_else(too_much)?;
        state.entry(header.miner).or_default().balance += block;
        for included in uncles {
            state.entry(included.miner).or_default().balance += uncle;
        }
        Ok((state, outcomes))
    }

    /// Work for `miner`: the offered header. The same one again while nothing changed and a second has not passed.
    pub(super) fn offer(&mut self, miner: Address, now: u64) -> Header {
        if let Some((seal, version)) = self.offered
            && version == self.version
            && let Some((_, draft)) = self.offers.iter().find(|(known, _)| *known == seal)
            && draft.header.miner == miner
            && draft.header.timestamp + 1 >= now
        {
            return draft.header.clone();
        }
        let tip = *self.main.last().expect("the first block is never undone");
        let draft = self.draft(&tip, miner, self.rules.difficulty, now);
        let seal = draft.header.seal_hash();
        let header = draft.header.clone();
        self.offers.push_back((seal, draft));
        let oldest = self.height().saturating_sub(UNCLE_DEPTH);
        while self.offers.front().is_some_and(|(_, draft)| draft.header.number <= oldest) {
            self.offers.pop_front();
        }
        self.offered = Some((seal, self.version));
        header
    }

    fn hash(&self, header: &Header, nonce: u64) -> Result<Hashed, Refusal> {
        let cache = self.caches.at_or_build(header.number).map_err(|error| Refusal(error.to_string()))?;
        Ok(cache.light().hash(&header.seal_hash(), nonce))
    }

    fn is_sealed(&self, header: &Header, mix: &Hash, nonce: u64) -> bool {
        let Ok(hashed) = self.hash(header, nonce) else { return false };
        hashed.mix == *mix && header.is_met_by(hashed.number())
    }

    /// A seal for offered work: true when it was good, whatever became of the block then.
    pub(super) fn submit(&mut self, nonce: u64, seal: &Hash, mix: &Hash, now: u64) -> bool {
        let Some(draft) = self.offers.iter().find(|(known, _)| known == seal).map(|(_, draft)| draft.clone())
        else {
            return false;
        };
        if draft.header.number + UNCLE_DEPTH <= self.height() || !self.is_sealed(&draft.header, mix, nonce) {
            return false;
        }
        let luck = self.throw();
        let parent = draft.header.parent;
        let overtaken = luck < u64::from(self.weather.late + self.weather.lost);
        if overtaken && self.main.last() == Some(&parent) {
            let rival = self.others_on(&parent, now);
            if rival.is_err() {
                return false;
            }
        }
        let lost = overtaken && luck < u64::from(self.weather.lost);
        self.keep(&draft.encode(*mix, nonce), lost).is_ok()
    }

    /// Everybody else finds a block on the newest one.
    pub(super) fn others_find(&mut self, now: u64) -> Result<(), Refusal> {
        let tip = *self.main.last().expect("the first block is never undone");
        self.others_on(&tip, now).map(|_| ())
    }

    fn others_on(&mut self, parent: &Hash, now: u64) -> Result<Hash, Refusal> {
        // At difficulty one any nonce will do; the mix must be right all the same.
        let draft = self.draft(parent, OTHERS, 1, now);
        let nonce = self.throw();
        let hashed = self.hash(&draft.header, nonce)?;
        self.keep(&draft.encode(hashed.mix, nonce), false)
    }

    /// The newest `depth` blocks are overtaken by a chain that has not seen them.
    pub(super) fn reorganise(&mut self, depth: u64, now: u64) -> Result<(), Refusal> {
        let depth = depth.min(self.height()).min(STATES_MAX / 2);
        let fork = self.height() - depth;
        let mut parent = self.main[fork as usize];
        for _ in 0..=depth {
            parent = self.others_on(&parent, now)?;
        }
        Ok(())
    }

    /// A number below a thousand, and then some: the chain's own chance, the same on every run.
    fn throw(&mut self) -> u64 {
        // xorshift64: no secrets depend on it.
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % 1_000
    }

    // ---- blocks and transactions -----------------------------------------------------------------------------

    fn keep(&mut self, bytes: &[u8], shunned: bool) -> Result<Hash, Refusal> {
        let hash = self.add(bytes, shunned)?;
        if let Some(journal) = &mut self.journal {
            let record =
                if shunned { Record::Shunned(bytes.to_vec()) } else { Record::Block(bytes.to_vec()) };
            journal.append(&record).map_err(|error| Refusal(error.to_string()))?;
        }
        Ok(hash)
    }

    /// Checks a block and puts it where it belongs.
    fn add(&mut self, bytes: &[u8], shunned: bool) -> Result<Hash, Refusal> {
        let Draft { header, transactions, uncles } = Draft::decode(bytes)?;
        let hash = header.hash();
        if self.blocks.contains_key(&hash) {
            return Ok(hash);
        }
        let Some(parent) = self.blocks.get(&header.parent) else { return refuse("unknown ancestor") };
        if header.number != parent.header.number + 1 || !self.is_sealed(&header, &header.mix, header.nonce) {
            return refuse("invalid block");
        }
        let (state, outcomes) = self.execute(&header.parent, &header, &transactions, &uncles)?;
        if root_of(&state) != header.state_root || uncles_hash(&uncles) != header.uncles_hash {
            return refuse("invalid merkle root");
        }
        let longer = header.number > self.height();
        self.states.insert(hash, Arc::new(state));
        self.blocks.insert(hash, Stored { header, transactions, uncles, outcomes });
        if shunned {
            self.shunned.insert(hash);
        }
        if longer && !shunned {
            self.turn_to(hash);
        }
        self.version += 1;
        Ok(hash)
    }

    /// Makes a block the newest of the main chain.
    fn turn_to(&mut self, newest: Hash) {
        let (mut branch, mut at) = (vec![newest], self.blocks[&newest].header.parent);
        while !self.is_on_chain(&at, self.blocks[&at].header.number) {
            branch.push(at);
            at = self.blocks[&at].header.parent;
        }
        let fork = self.blocks[&at].header.number as usize;
        for hash in self.main.split_off(fork + 1) {
            for sent in self.blocks[&hash].transactions.clone() {
                self.places.remove(&sent.id);
                self.waiting.entry(sent.from).or_default().insert(sent.signed.transfer.nonce, sent);
            }
        }
        for hash in branch.into_iter().rev() {
            self.main.push(hash);
            for (place, sent) in self.blocks[&hash].transactions.iter().enumerate() {
                self.places.insert(sent.id, (hash, place));
            }
        }
        // What was carried, and what can never be any more, waits no longer.
        let state = self.states[&newest].clone();
        self.waiting.retain(|address, waiting| {
            let count = state.get(address).copied().unwrap_or_default().count;
            waiting.retain(|nonce, _| *nonce >= count);
            !waiting.is_empty()
        });
        let oldest = self.height().saturating_sub(STATES_MAX);
        let blocks = &self.blocks;
        self.states.retain(|hash, _| blocks[hash].header.number >= oldest);
    }

    /// Takes in a raw transaction.
    pub(super) fn send(&mut self, raw: &[u8]) -> Result<Hash, Refusal> {
        let sent = Sent::parse(raw)?;
        let transfer = &sent.signed.transfer;
        let next = self.height() + 1;
        if matches!(transfer.price, Price::Dynamic { .. }) && self.base_fee(next).is_none() {
            return refuse("transaction type not supported");
        }
        if transfer.chain_id != self.rules.chain_id {
            return refuse("invalid sender");
        }
        if self.waiting(&sent.id).is_some() {
            return refuse("already known");
        }
        if transfer.gas < TRANSFER_GAS {
            return refuse("intrinsic gas too low");
        }
        if transfer.price.cap() < PRICE_MIN {
            return refuse("transaction underpriced");
        }
        let account = self.account(&sent.from);
        if transfer.nonce < account.count {
            return refuse(format!(
                "nonce too low: next nonce {}, tx nonce {}",
                account.count, transfer.nonce
            ));
        }
        let cost = transfer.fee_max().and_then(|fee| fee.checked_add(transfer.value));
        if cost.is_none_or(|cost| cost > account.balance) {
            return refuse("insufficient funds for gas * price + value");
        }
        let waiting = self.waiting.entry(sent.from).or_default();
        if let Some(other) = waiting.get(&transfer.nonce) {
            let least = other.signed.transfer.price.cap() * 11 / 10;
            if transfer.price.cap() < least {
                return refuse("replacement transaction underpriced");
            }
        }
        let id = sent.id;
        waiting.insert(transfer.nonce, sent);
        self.version += 1;
        Ok(id)
    }

    /// Forgets every transaction that waits, as a node does that starts anew.
    pub(super) fn forget_waiting(&mut self) {
        self.waiting.clear();
        self.version += 1;
    }
}

fn uncles_hash(uncles: &[Header]) -> Hash {
    let content: Vec<u8> = uncles.iter().flat_map(Header::to_rlp).collect();
    let mut list = Vec::new();
    push_list(&mut list, &content);
    keccak256(&list)
}

/// Not the trie's root; a hash over the same content.
fn root_of(state: &State) -> Hash {
    let mut bytes = Vec::with_capacity(state.len() * 44);
    for (address, account) in state {
        bytes.extend_from_slice(address.bytes());
        bytes.extend_from_slice(&account.balance.to_be_bytes());
        bytes.extend_from_slice(&account.count.to_be_bytes());
    }
    keccak256(&bytes)
}
