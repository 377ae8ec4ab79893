//! An honest little chain: blocks with real proof of work, coins that mature, transactions, reorganisations.
//!
//! The longest chain counts, the first seen of two as long. Blocks of the pool must meet the node's own target.
//! Everybody else's are mined at the easiest target the network has, so that playing a whole network costs nothing;
//! both are real work and both are checked. Scripts are not run: the only coins that move are those of the wallet
//! inside this node, and their input scripts carry a tag that only this wallet can make.

use super::super::address::Address;
use super::super::codec::{display, push_bytes, sha256};
use super::super::header::{Header, target_of_bits};
use super::super::params::{DUST, Network, TX_PARTS_MAX};
use super::super::template::CandidateAnswer;
use super::super::tx::{Block, Input, Output, OutputKind, Transaction};
use super::journal::{Journal, JournalError, Line};
use crate::hash::nexapow::NexaPow;
use pool_core::units::U256;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// A hash in hashing order.
pub(super) type Hash = [u8; 32];

/// The time of the block that all others follow. Unit: seconds since 1970.
const GENESIS_TIME: u32 = 1_655_812_800;
/// Seconds between two blocks, by their headers.
const SPACING: u32 = 120;
/// Candidates a node keeps.
const CANDIDATES_MAX: usize = 10;
/// The least fee that is passed on. Unit: satoshis for 1000 bytes.
pub(super) const RELAY_FEE: u64 = 1_000;

/// What a chain is made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) network: Network,
    /// The target of the pool's blocks.
    pub(super) bits: u32,
    /// Blocks that must lie on a coinbase before it is spent.
    pub(super) maturity: u64,
    pub(super) subsidy: u64,
}

#[derive(Clone, Debug)]
struct Coin {
    output: Output,
    height: u64,
    is_coinbase: bool,
}

#[derive(Debug)]
struct Candidate {
    block: Block,
    /// Since the node began.
    at: Duration,
}

/// A transaction and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) transaction: Transaction,
    /// The height of its block on the chain.
    pub(super) height: Option<u64>,
}

/// A coin as the wallet lists it.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) outpoint: Hash,
    pub(super) output: Output,
    pub(super) confirmations: u64,
}

/// Why a transaction is not taken: the node's code and words.
pub(super) type Refused = (i64, String);

/// The chain, the waiting transactions, the candidates and the wallet.
#[derive(Debug)]
pub(super) struct Chain {
    rules: Rules,
    function: Arc<NexaPow>,
    blocks: HashMap<Hash, Block>,
    /// The chain's blocks by height.
    main: Vec<Hash>,
    coins: HashMap<Hash, Coin>,
    /// What each block on the chain spent.
    undo: HashMap<Hash, Vec<(Hash, Coin)>>,
    waiting: Vec<Transaction>,
    known: HashMap<Hash, Known>,
    /// Transactions that touch the wallet, in the order in which they came.
    history: Vec<Hash>,
    candidates: BTreeMap<u64, Candidate>,
    last_candidate: u64,
    /// Makes every coinbase another one.
    serial: u64,
    journal: Option<Journal>,
}

impl Chain {
    pub(super) fn open(
        rules: Rules,
        function: Arc<NexaPow>,
        journal: Option<(Journal, Vec<Line>)>,
    ) -> Result<Self, JournalError> {
        let mut chain = Self {
            rules,
            function,
            blocks: HashMap::new(),
            main: Vec::new(),
            coins: HashMap::new(),
            undo: HashMap::new(),
            waiting: Vec::new(),
            known: HashMap::new(),
            history: Vec::new(),
            candidates: BTreeMap::new(),
            last_candidate: 0,
            serial: 0,
            journal: None,
        };
        let genesis = chain.block_on(None, &chain.stranger(), Vec::new(), rules.network.easiest_bits());
        chain.blocks.insert(genesis.header.hash(), genesis.clone());
        chain.connect(&genesis);
        if let Some((journal, lines)) = journal {
            for line in lines {
                match line {
                    Line::Block(bytes) => {
                        if let Ok(block) = Block::parse(&bytes) {
                            // What was taken once is taken again; the serial only has to move on.
                            let _ = chain.accept(block);
                            chain.serial += 1;
                        }
                    }
                    Line::Transaction(bytes) => {
                        if let Ok(transaction) = Transaction::parse(&bytes) {
                            let _ = chain.take(transaction);
                        }
                    }
                }
            }
            chain.journal = Some(journal);
        }
        Ok(chain)
    }

    fn keep(&mut self, line: &Line) {
        if let Some(journal) = &mut self.journal
            && let Err(error) = journal.write(line)
        {
            tracing::error!(%error, "the development chain is no longer kept");
            self.journal = None;
        }
    }

    /// The address that all the others are paid at.
    pub(super) fn stranger(&self) -> Address {
        let hash = sha256(b"poolwright development network: everybody else");
        Address::pay_to_key_template(self.rules.network, first_20(&hash))
    }

    /// The wallet's address.
    pub(super) fn wallet_address(&self) -> Address {
        wallet_address(self.rules.network)
    }

    pub(super) const fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn tip(&self) -> u64 {
        self.main.len() as u64 - 1
    }

    pub(super) fn best(&self) -> Hash {
        *self.main.last().expect("there is always a first block")
    }

    pub(super) fn hash_at(&self, height: u64) -> Option<Hash> {
        self.main.get(usize::try_from(height).ok()?).copied()
    }

    pub(super) fn block(&self, hash: &Hash) -> Option<&Block> {
        self.blocks.get(hash)
    }

    /// Blocks from this one to the tip; `None` off the chain.
    pub(super) fn confirmations(&self, hash: &Hash) -> Option<u64> {
        let height = self.blocks.get(hash)?.header.height;
        (self.hash_at(height) == Some(*hash)).then(|| self.tip() - height + 1)
    }

    /// A block that follows `parent`, without a nonce.
    fn block_on(
        &mut self,
        parent: Option<Hash>,
        pay_to: &Address,
        transactions: Vec<Transaction>,
        bits: u32,
    ) -> Block {
        self.serial += 1;
        let height = parent.map_or(0, |hash| self.blocks[&hash].header.height + 1);
        let fees: u64 = transactions.iter().filter_map(Transaction::fee).sum();
        let mut comment = vec![0x6a];
        push_bytes(&mut comment, format!("height {height} number {}", self.serial).as_bytes());
        let coinbase = Transaction {
            version: 0,
            inputs: Vec::new(),
            outputs: vec![
                Output::to(pay_to, self.rules.subsidy + fees),
                Output { kind: OutputKind::Satoshi, amount: 0, script: comment },
            ],
            lock_time: 0,
        };
        let mut chain_work = [0; 32];
        chain_work[..8].copy_from_slice(&(height + 1).to_le_bytes());
        let header = Header {
            parent: parent.unwrap_or_default(),
            bits,
            ancestor: parent.unwrap_or_default(),
            merkle_root: [0; 32],
            tx_filter: [0; 32],
            time: GENESIS_TIME.wrapping_add(SPACING.wrapping_mul(height as u32)),
            height,
            chain_work,
            size: 0,
            tx_count: 0,
            fee_pool: 0,
            utxo_commitment: Vec::new(),
            miner_data: Vec::new(),
            nonce: Vec::new(),
        };
        let transactions = [vec![coinbase], transactions].concat();
        Block { header, transactions }.committed()
    }

    fn is_solved(&self, header: &Header) -> bool {
        let proof = self.function.proof(&header.commitment(), &header.nonce);
        let target = target_of_bits(header.bits);
        matches!((proof, target), (Ok(hash), Some(target)) if U256::from_le_bytes(hash) <= target.get())
    }

    /// Takes a block in.
    ///
    /// # Errors
    /// The node's words.
    pub(super) fn accept(&mut self, block: Block) -> Result<(), String> {
        let hash = block.header.hash();
        if self.blocks.contains_key(&hash) {
            return Err("duplicate".into());
        }
        let header = &block.header;
        let Some(parent) = self.blocks.get(&header.parent) else { return Err("prev-blk-not-found".into()) };
        if header.height != parent.header.height + 1 {
            return Err("bad-blk-height".into());
        }
        if header.bits != self.rules.bits && header.bits != self.rules.network.easiest_bits() {
            return Err("bad-diffbits".into());
        }
        if !self.is_solved(header) {
            return Err("high-hash".into());
        }
        self.blocks.insert(hash, block);
        if let Err(reason) = self.follow(hash) {
            self.blocks.remove(&hash);
            return Err(reason);
        }
        let bytes = self.blocks[&hash].to_bytes();
        self.keep(&Line::Block(bytes));
        Ok(())
    }

    /// Makes the chain end at a block, if that makes it longer.
    fn follow(&mut self, hash: Hash) -> Result<(), String> {
        if self.blocks[&hash].header.height <= self.tip() {
            return Ok(());
        }
        let mut branch = Vec::new();
        let mut at = hash;
        while self.hash_at(self.blocks[&at].header.height) != Some(at) {
            branch.push(at);
            at = self.blocks[&at].header.parent;
        }
        let fork = self.blocks[&at].header.height;
        let mut left = Vec::new();
        while self.tip() > fork {
            left.push(self.disconnect());
        }
        for next in branch.iter().rev() {
            let block = self.blocks[next].clone();
            if let Err(reason) = self.check(&block) {
                while self.tip() > fork {
                    self.disconnect();
                }
                for old in left.iter().rev() {
                    let block = self.blocks[old].clone();
                    self.connect(&block);
                }
                return Err(reason);
            }
            self.connect(&block);
        }
        Ok(())
    }

    /// Whether a block's transactions may follow the tip.
    fn check(&self, block: &Block) -> Result<(), String> {
        let mut spent = HashSet::new();
        let mut fees = 0u64;
        for transaction in &block.transactions[1..] {
            for input in &transaction.inputs {
                let coin = self.coins.get(&input.outpoint).filter(|_| spent.insert(input.outpoint));
                let coin = coin.ok_or("bad-txns-inputs-missingorspent")?;
                if coin.output.amount != input.amount || !self.is_ripe(coin, block.header.height) {
                    return Err("bad-txns-inputs".into());
                }
            }
            fees += transaction.fee().ok_or("bad-txns-in-belowout")?;
        }
        let paid: u64 = block.coinbase().outputs.iter().map(|output| output.amount).sum();
        if paid > self.rules.subsidy + fees { Err("bad-cb-amount".into()) } else { Ok(()) }
    }

    fn is_ripe(&self, coin: &Coin, height: u64) -> bool {
        !coin.is_coinbase || height.saturating_sub(coin.height) >= self.rules.maturity
    }

    fn connect(&mut self, block: &Block) {
        let height = block.header.height;
        let mut undo = Vec::new();
        for transaction in &block.transactions {
            for input in &transaction.inputs {
                if let Some(coin) = self.coins.remove(&input.outpoint) {
                    undo.push((input.outpoint, coin));
                }
            }
            let is_coinbase = transaction.is_coinbase();
            for (index, output) in transaction.outputs.iter().enumerate().filter(|(_, o)| o.amount > 0) {
                let coin = Coin { output: output.clone(), height, is_coinbase };
                self.coins.insert(transaction.outpoint(index as u32), coin);
            }
            self.note(transaction, Some(height));
        }
        self.undo.insert(block.header.hash(), undo);
        self.main.push(block.header.hash());
        // What the block has or made impossible waits no more.
        let coins = &self.coins;
        let has = |transaction: &Transaction| {
            transaction.inputs.iter().all(|input| coins.contains_key(&input.outpoint))
        };
        self.waiting.retain(has);
    }

    fn disconnect(&mut self) -> Hash {
        let hash = self.main.pop().expect("the first block is never taken off");
        let block = self.blocks[&hash].clone();
        for transaction in block.transactions.iter().rev() {
            for index in 0..transaction.outputs.len() {
                self.coins.remove(&transaction.outpoint(index as u32));
            }
            self.note(transaction, None);
        }
        for (outpoint, coin) in self.undo.remove(&hash).unwrap_or_default() {
            self.coins.insert(outpoint, coin);
        }
        self.waiting.extend(block.transactions.into_iter().skip(1));
        hash
    }

    fn note(&mut self, transaction: &Transaction, height: Option<u64>) {
        let idem = transaction.idem();
        if let Some(known) = self.known.get_mut(&idem) {
            known.height = height;
            return;
        }
        let own = self.wallet_address();
        let wallets = transaction.paid_to(&own) > 0
            || transaction.inputs.iter().any(|input| self.tag_of(&idem, input) == input.script);
        if wallets {
            self.history.push(idem);
        }
        self.known.insert(idem, Known { transaction: transaction.clone(), height });
    }

    // Candidates.

    /// A candidate for `pay_to`: the last one while nothing has changed and it is young.
    pub(super) fn candidate(&mut self, pay_to: &Address, now: Duration, life: Duration) -> CandidateAnswer {
        let tip = self.tip();
        self.candidates.retain(|_, candidate| candidate.block.header.height > tip);
        let best = self.best();
        let young = self.candidates.get(&self.last_candidate).is_some_and(|last| {
            last.block.header.parent == best
                && last.at + life > now
                && last.block.coinbase().outputs[0]
                    == Output::to(pay_to, last.block.coinbase().outputs[0].amount)
        });
        if !young {
            let waiting = self.minable();
            let block = self.block_on(Some(best), pay_to, waiting, self.rules.bits);
            self.last_candidate += 1;
            self.candidates.insert(self.last_candidate, Candidate { block, at: now });
            while self.candidates.len() > CANDIDATES_MAX {
                self.candidates.pop_first();
            }
        }
        let header = &self.candidates[&self.last_candidate].block.header;
        CandidateAnswer {
            id: self.last_candidate,
            header_commitment: display(header.commitment()),
            n_bits: format!("{:08x}", header.bits),
            previous_block_hash: Some(display([0; 32])),
        }
    }

    /// Forgets all candidates and numbers them from one again, as a node that was restarted does.
    pub(super) fn forget_candidates(&mut self) {
        self.candidates.clear();
        self.last_candidate = 0;
    }

    /// Gives up a candidate for a nonce. `None` when there is none of that number.
    pub(super) fn solve(&mut self, candidate: u64, nonce: Vec<u8>) -> Option<Block> {
        let mut block = self.candidates.remove(&candidate)?.block;
        block.header.nonce = nonce;
        Some(block)
    }

    /// Waiting transactions that may follow the tip.
    fn minable(&self) -> Vec<Transaction> {
        let height = self.tip() + 1;
        let ripe = |transaction: &&Transaction| {
            transaction
                .inputs
                .iter()
                .all(|input| self.coins.get(&input.outpoint).is_some_and(|coin| self.is_ripe(coin, height)))
        };
        self.waiting.iter().filter(ripe).cloned().collect()
    }

    /// Everybody else finds a block on `parent`.
    fn others_block(&mut self, parent: Hash, transactions: Vec<Transaction>) -> Hash {
        let (pay_to, bits) = (self.stranger(), self.rules.network.easiest_bits());
        self.mine(parent, &pay_to, transactions, bits)
    }

    /// Finds a block by trying nonces.
    fn mine(&mut self, parent: Hash, pay_to: &Address, transactions: Vec<Transaction>, bits: u32) -> Hash {
        let mut block = self.block_on(Some(parent), pay_to, transactions, bits);
        for nonce in 0u64.. {
            block.header.nonce = nonce.to_le_bytes().to_vec();
            if self.is_solved(&block.header) {
                break;
            }
        }
        let hash = block.header.hash();
        if let Err(reason) = self.accept(block) {
            tracing::error!(reason, "the development chain refuses its own block");
        }
        hash
    }

    /// Everybody else finds a block with all that waits.
    pub(super) fn others_find(&mut self) {
        let (best, waiting) = (self.best(), self.minable());
        self.others_block(best, waiting);
    }

    /// Blocks for an address, mined at the easiest target.
    pub(super) fn generate(&mut self, count: u64, pay_to: &Address) -> Vec<Hash> {
        let bits = self.rules.network.easiest_bits();
        let find = |chain: &mut Self| {
            let (best, waiting) = (chain.best(), chain.minable());
            chain.mine(best, pay_to, waiting, bits)
        };
        (0..count).map(|_| find(self)).collect()
    }

    /// The newest `depth` blocks lose their place to blocks of everybody else, and one more.
    pub(super) fn reorganise(&mut self, depth: usize) {
        let depth = depth.min(self.main.len() - 1);
        let mut parent = self.main[self.main.len() - 1 - depth];
        for _ in 0..=depth {
            parent = self.others_block(parent, Vec::new());
        }
    }

    // Transactions and the wallet.

    /// Takes a transaction in, to wait for a block.
    pub(super) fn take(&mut self, transaction: Transaction) -> Result<Hash, Refused> {
        let idem = transaction.idem();
        if self.known.get(&idem).is_some_and(|known| known.height.is_some()) {
            return Err((-27, "transaction already in block chain".into()));
        }
        if self.waiting.iter().any(|other| other.idem() == idem) {
            return Ok(idem);
        }
        self.check_waiting(&transaction, &idem)?;
        let bytes = transaction.to_bytes();
        self.note(&transaction, None);
        self.waiting.push(transaction);
        self.keep(&Line::Transaction(bytes));
        Ok(idem)
    }

    fn check_waiting(&self, transaction: &Transaction, idem: &Hash) -> Result<(), Refused> {
        let refused = |reason: &str| Err((-26, format!("16: {reason}")));
        if transaction.inputs.is_empty() || transaction.outputs.is_empty() {
            return refused("bad-txns-vin-empty");
        }
        if transaction.inputs.len() > TX_PARTS_MAX || transaction.outputs.len() > TX_PARTS_MAX {
            return refused("bad-txns-too-many");
        }
        if transaction.outputs.iter().any(|output| output.amount < DUST) {
            return refused("dust");
        }
        let mut own = HashSet::new();
        let height = self.tip() + 1;
        for input in &transaction.inputs {
            if !own.insert(input.outpoint) {
                return refused("bad-txns-inputs-duplicate");
            }
            let Some(coin) = self.coins.get(&input.outpoint) else {
                return Err((-25, "Missing inputs".into()));
            };
            if !self.is_ripe(coin, height) {
                return refused("bad-txns-premature-spend-of-coinbase");
            }
            if coin.output.amount != input.amount {
                return refused("bad-txns-input-amount");
            }
            if !self.is_mine(&coin.output) || input.script != self.tag_of(idem, input) {
                return refused("mandatory-script-verify-flag-failed");
            }
        }
        let taken = |other: &Transaction| other.inputs.iter().any(|input| own.contains(&input.outpoint));
        if self.waiting.iter().any(taken) {
            return Err((-26, "18: txn-txpool-conflict".into()));
        }
        let least = (transaction.to_bytes().len() as u64 * RELAY_FEE).div_ceil(1_000);
        match transaction.fee() {
            Some(fee) if fee >= least => Ok(()),
            Some(_) => Err((-26, "66: mempool min fee not met".into())),
            None => refused("bad-txns-in-belowout"),
        }
    }

    fn is_mine(&self, output: &Output) -> bool {
        output.address(self.rules.network) == Some(self.wallet_address())
    }

    /// What stands for a signature of the wallet: as long as a real one's script, and of nobody else's making.
    fn tag_of(&self, idem: &Hash, input: &Input) -> Vec<u8> {
        let secret = b"poolwright development wallet: its key";
        let tag = sha256(&[&secret[..], idem, &input.outpoint].concat());
        let mut script = Vec::with_capacity(100);
        push_bytes(&mut script, &[&[0x21, 0x02][..], &tag].concat());
        push_bytes(&mut script, &[tag, tag].concat());
        script
    }

    /// Fills in the input scripts of the wallet's coins. Returns the outpoints of the others.
    pub(super) fn sign(&self, transaction: &mut Transaction) -> Vec<Hash> {
        let idem = transaction.idem();
        let mut others = Vec::new();
        for input in &mut transaction.inputs {
            match self.coins.get(&input.outpoint) {
                Some(coin) if self.is_mine(&coin.output) && coin.output.amount == input.amount => {
                    input.script = self.tag_of(&idem, input);
                }
                Some(_) | None => others.push(input.outpoint),
            }
        }
        others
    }

    /// The wallet's coins that may be spent and that nothing waiting spends.
    pub(super) fn unspent(&self, confirmations: u64) -> Vec<Listed> {
        let taken: HashSet<Hash> =
            self.waiting.iter().flat_map(|other| &other.inputs).map(|input| input.outpoint).collect();
        let height = self.tip() + 1;
        let mut listed: Vec<Listed> = self
            .coins
            .iter()
            .filter(|(outpoint, coin)| {
                self.is_mine(&coin.output) && !taken.contains(*outpoint) && self.is_ripe(coin, height)
            })
            .map(|(outpoint, coin)| Listed {
                outpoint: *outpoint,
                output: coin.output.clone(),
                confirmations: height - coin.height,
            })
            .filter(|listed| listed.confirmations >= confirmations)
            .collect();
        listed.sort_by_key(|listed| listed.outpoint);
        listed
    }

    pub(super) fn is_unspent(&self, outpoint: &Hash) -> bool {
        self.coins.contains_key(outpoint)
    }

    /// A transaction of the wallet by idem or id, how deep it lies, and the idems of those that spend its coins.
    pub(super) fn wallet_transaction(&self, name: &Hash) -> Option<(&Known, i64, Vec<Hash>)> {
        let idem = self.history.iter().find(|idem| {
            *idem == name || self.known.get(*idem).is_some_and(|known| known.transaction.id() == *name)
        })?;
        let known = self.known.get(idem)?;
        let coins: HashSet<Hash> = known.transaction.inputs.iter().map(|input| input.outpoint).collect();
        let rivals: Vec<&Hash> = self
            .known
            .iter()
            .filter(|(other, rival)| {
                *other != idem && rival.transaction.inputs.iter().any(|input| coins.contains(&input.outpoint))
            })
            .map(|(other, _)| other)
            .collect();
        let beaten = rivals.iter().filter_map(|rival| self.known[*rival].height).min();
        let confirmations = match (known.height, beaten) {
            (Some(height), _) => (self.tip() - height + 1) as i64,
            (None, Some(height)) => -((self.tip() - height + 1) as i64),
            (None, None) => 0,
        };
        Some((known, confirmations, rivals.into_iter().copied().collect()))
    }

    /// The newest transactions of the wallet, the newest last, and whether each sent something.
    pub(super) fn wallet_history(&self, count: usize) -> Vec<(Hash, bool)> {
        let start = self.history.len().saturating_sub(count);
        let sent = |idem: &Hash| !self.known[idem].transaction.inputs.is_empty();
        self.history[start..].iter().map(|idem| (*idem, sent(idem))).collect()
    }

    /// Another program with the wallet's key spends a coin, and a block has it before all others.
    pub(super) fn spend_elsewhere(&mut self, outpoint: &Hash) -> Option<Hash> {
        let coin = self.coins.get(outpoint).filter(|coin| self.is_mine(&coin.output))?;
        let amount = coin.output.amount;
        let input = Input { kind: 0, outpoint: *outpoint, script: Vec::new(), sequence: u32::MAX, amount };
        let mut transaction = Transaction {
            version: 0,
            inputs: vec![input],
            outputs: vec![Output::to(&self.wallet_address(), amount.checked_sub(1_000)?)],
            lock_time: 0,
        };
        self.sign(&mut transaction);
        let idem = transaction.idem();
        let best = self.best();
        self.others_block(best, vec![transaction]);
        Some(idem)
    }

    /// What an address holds on the chain.
    pub(super) fn balance(&self, address: &Address) -> u64 {
        let (kind, script) = address.output();
        let own = self.coins.values().filter(|coin| coin.output.kind == kind && coin.output.script == script);
        own.map(|coin| coin.output.amount).sum()
    }
}

fn first_20(hash: &Hash) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes.copy_from_slice(&hash[..20]);
    bytes
}

/// The address whose key the wallets of development nodes have.
pub(super) fn wallet_address(network: Network) -> Address {
    let hash = sha256(b"poolwright development wallet: its address");
    Address::pay_to_key_template(network, first_20(&hash))
}
