//! Transactions and whole blocks: their bytes, their names, and what they pay.
//!
//! A transaction has two names. Its *idem* leaves the input scripts out, so nobody can change it without changing what
//! is moved: wallets, outpoints and this pool call a transaction by it. Its *id* covers every byte and stands in the
//! tree of the block. An outpoint is a single hash over an idem and an index. Source: the node's
//! `src/primitives/transaction.h` (layout).

use super::address::Address;
use super::codec::{Malformed, Reader, push_bytes, push_compact_size, sha256, sha256d};
use super::header::Header;
use super::params::{MONEY_MAX, Network};

/// What is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// 0 spends; 1 only reads.
    pub kind: u8,
    /// The spent output's outpoint, in hashing order.
    pub outpoint: [u8; 32],
    /// What satisfies the spent output's script.
    pub script: Vec<u8>,
    /// Final at 2^32 - 1.
    pub sequence: u32,
    /// The spent output's amount. Unit: satoshis.
    pub amount: u64,
}

/// What is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// How the script is to be read.
    pub kind: OutputKind,
    /// Unit: satoshis.
    pub amount: u64,
    /// The script.
    pub script: Vec<u8>,
}

/// How an output's script is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// The scripts of Bitcoin.
    Satoshi,
    /// Group, template hash, arguments.
    Template,
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// 0 today.
    pub version: u8,
    /// None in a coinbase.
    pub inputs: Vec<Input>,
    /// At least one in a valid one.
    pub outputs: Vec<Output>,
    /// When it may be mined; 0 for any time.
    pub lock_time: u32,
}

/// An amount that there can be.
fn amount(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    let amount = reader.u64()?;
    if amount > MONEY_MAX { Err(Malformed::Part("amount")) } else { Ok(amount) }
}

impl Transaction {
    /// Reads a transaction and leaves `reader` behind it.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let version = reader.byte()?;
        let inputs = (0..reader.count(46)?).map(|_| {
            Ok(Input {
                kind: match reader.byte()? {
                    kind @ 0..=1 => kind,
                    _ => return Err(Malformed::Part("kind of input")),
                },
                outpoint: reader.hash()?,
                script: reader.bytes()?.to_vec(),
                sequence: reader.u32()?,
                amount: amount(reader)?,
            })
        });
        let inputs = inputs.collect::<Result<_, _>>()?;
        let outputs = (0..reader.count(10)?).map(|_| {
            Ok(Output {
                kind: match reader.byte()? {
                    0 => OutputKind::Satoshi,
                    1 => OutputKind::Template,
                    _ => return Err(Malformed::Part("kind of output")),
                },
                amount: amount(reader)?,
                script: reader.bytes()?.to_vec(),
            })
        });
        let outputs = outputs.collect::<Result<_, _>>()?;
        Ok(Self { version, inputs, outputs, lock_time: reader.u32()? })
    }

    /// All of `bytes`.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let transaction = Self::read(&mut reader)?;
        reader.end()?;
        Ok(transaction)
    }

    /// Appends its bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_parts(out, true);
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write_parts(&self, out: &mut Vec<u8>, with_scripts: bool) {
        out.push(self.version);
        push_compact_size(out, self.inputs.len() as u64);
        for input in &self.inputs {
            out.push(input.kind);
            out.extend_from_slice(&input.outpoint);
            if with_scripts {
                push_bytes(out, &input.script);
            }
            out.extend_from_slice(&input.sequence.to_le_bytes());
            out.extend_from_slice(&input.amount.to_le_bytes());
        }
        push_compact_size(out, self.outputs.len() as u64);
        for output in &self.outputs {
            out.push(match output.kind {
                OutputKind::Satoshi => 0,
                OutputKind::Template => 1,
            });
            out.extend_from_slice(&output.amount.to_le_bytes());
            push_bytes(out, &output.script);
        }
        out.extend_from_slice(&self.lock_time.to_le_bytes());
    }

    /// The name that no change of input scripts changes, in hashing order.
    #[must_use]
    pub fn idem(&self) -> [u8; 32] {
        let mut out = Vec::new();
        self.write_parts(&mut out, false);
        sha256d(&out)
    }

    /// The name of these very bytes, in hashing order.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        let mut scripts = (self.inputs.len() as u32).to_le_bytes().to_vec();
        for input in &self.inputs {
            scripts.extend_from_slice(&input.script);
            scripts.push(0xff);
        }
        sha256d(&[self.idem(), sha256d(&scripts)].concat())
    }

    /// The outpoint of one of its outputs, in hashing order.
    #[must_use]
    pub fn outpoint(&self, index: u32) -> [u8; 32] {
        outpoint(&self.idem(), index)
    }

    /// True for one that makes new coins.
    #[must_use]
    pub fn is_coinbase(&self) -> bool {
        self.inputs.is_empty()
    }

    /// What it pays to `address`. Unit: satoshis.
    #[must_use]
    pub fn paid_to(&self, address: &Address) -> u64 {
        let (kind, script) = address.output();
        let own = self.outputs.iter().filter(|output| output.kind == kind && output.script == script);
        own.map(|output| output.amount).fold(0, u64::saturating_add)
    }

    /// The fee: what is spent less what is paid. `None` for a coinbase, and for one that pays more than it spends.
    #[must_use]
    pub fn fee(&self) -> Option<u64> {
        if self.is_coinbase() {
            return None;
        }
        let spent = self.inputs.iter().filter(|input| input.kind == 0).map(|input| input.amount);
        let paid = self.outputs.iter().map(|output| output.amount);
        spent.fold(0, u64::saturating_add).checked_sub(paid.fold(0, u64::saturating_add))
    }
}

/// The outpoint of output `index` of the transaction with this idem, all in hashing order.
#[must_use]
pub fn outpoint(idem: &[u8; 32], index: u32) -> [u8; 32] {
    let mut bytes = idem.to_vec();
    bytes.extend_from_slice(&index.to_le_bytes());
    sha256(&bytes)
}

/// Root of the tree over these hashes: pairs hashed twice, an odd one with itself. Zero over nothing.
#[must_use]
pub fn merkle_root(leaves: &[[u8; 32]]) -> [u8; 32] {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| sha256d(&[pair[0], *pair.last().unwrap_or(&pair[0])].concat()))
            .collect();
    }
    level.first().copied().unwrap_or_default()
}

/// A block: its header and its transactions, which belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// At least one; the first is the coinbase.
    pub transactions: Vec<Transaction>,
}

impl Block {
    /// Reads a block, and checks that the header commits to just these transactions.
    ///
    /// # Errors
    /// [`Malformed`]; `Part` when the count, the root, the size or the coinbase is not what the header says.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let header = Header::read(&mut reader)?;
        let size_of_nonce = 1 + header.nonce.len();
        let count = reader.count(7)?;
        let transactions =
            (0..count).map(|_| Transaction::read(&mut reader)).collect::<Result<Vec<_>, _>>()?;
        reader.end()?;
        if header.tx_count != transactions.len() as u64 {
            return Err(Malformed::Part("count of transactions"));
        }
        if header.size != (bytes.len() - size_of_nonce) as u64 {
            return Err(Malformed::Part("size"));
        }
        if !transactions.first().is_some_and(Transaction::is_coinbase) {
            return Err(Malformed::Part("coinbase"));
        }
        let ids: Vec<[u8; 32]> = transactions.iter().map(Transaction::id).collect();
        // An odd leaf is hashed with itself, so a list that ends twice alike has the root of a shorter one.
        let twice = ids.len() > 1 && ids[ids.len() - 1] == ids[ids.len() - 2];
        if twice || merkle_root(&ids) != header.merkle_root {
            return Err(Malformed::Part("root of transactions"));
        }
        Ok(Self { header, transactions })
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.header.write(&mut out);
        push_compact_size(&mut out, self.transactions.len() as u64);
        for transaction in &self.transactions {
            transaction.write(&mut out);
        }
        out
    }

    /// Fills in what the header says of the transactions: root, count and size.
    #[must_use]
    pub fn committed(mut self) -> Self {
        let ids: Vec<[u8; 32]> = self.transactions.iter().map(Transaction::id).collect();
        self.header.merkle_root = merkle_root(&ids);
        self.header.tx_count = ids.len() as u64;
        let mut body = Vec::new();
        push_compact_size(&mut body, ids.len() as u64);
        for transaction in &self.transactions {
            transaction.write(&mut body);
        }
        self.header.size = self.header.size_with(body.len());
        self
    }

    /// The coinbase.
    #[must_use]
    pub fn coinbase(&self) -> &Transaction {
        &self.transactions[0]
    }
}

impl Output {
    /// An output that pays `amount` to `address`.
    #[must_use]
    pub fn to(address: &Address, amount: u64) -> Self {
        let (kind, script) = address.output();
        Self { kind, amount, script }
    }

    /// Who is paid, if an address can say so.
    #[must_use]
    pub fn address(&self, network: Network) -> Option<Address> {
        Address::of_output(network, self.kind, &self.script)
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::{display, from_display};
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn every_published_genesis_block_is_whole() {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/nexa.json")).unwrap();
        for (name, vector) in vectors["genesis"].as_object().unwrap() {
            let bytes = hex::decode(vector["block_hex"].as_str().unwrap()).unwrap();
            let block = Block::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(display(block.header.hash()), vector["hash"].as_str().unwrap());
            assert_eq!(display(block.coinbase().id()), vector["txid"].as_str().unwrap());
            assert_eq!(display(block.coinbase().idem()), vector["idem"].as_str().unwrap());
            assert_eq!(block.to_bytes(), bytes);
            assert_eq!(block.clone().committed(), block);
            assert_eq!(block.coinbase().fee(), None);
        }
    }

    /// Built and signed with npm `libnexa-ts` 3.0.0 from the private key 0x11…11.
    #[test]
    fn another_librarys_transaction_is_built_byte_for_byte() {
        let script = "2221034f355bdcb7cc0af728ef3cceb9615d90684bb5b2ca5f859ab0f0b704075871aa408370013a2dad65a3a25a9f7e\
                      3b21eb59163b02ced97c7df25ea7a0e5b161b5503bbb56a97d8e8c8534ccb4a9920526d6f893d5189f7d7919543f106e\
                      c02c9d28";
        let to = |text: &str, amount| Output::to(&Address::decode(text).unwrap(), amount);
        let transaction = Transaction {
            version: 0,
            inputs: vec![Input {
                kind: 0,
                outpoint: from_display("fcf7d303d67f19568cf4ab72d36d583baac461e0f62f289b3dff68da96c2117c")
                    .unwrap(),
                script: hex::decode(script).unwrap(),
                sequence: u32::MAX,
                amount: 181_998_351,
            }],
            outputs: vec![
                to("nexa:nqtsq5g59905h37stp0emhdjh3q2ll7d002cyjq0chegptj3", 100_000),
                to("nexa:qqqqzqsrqszsvpcgpy9qkrqdpc83qygjzv5cxgkyhm", 54_321),
                to("nexa:nqtsq5g5mmt8xlj9jcu7gl4t4203tangku8l0gu8c2eh88qk", 181_842_530),
            ],
            lock_time: 0,
        };
        let published = "0001007c11c296da68ff3d9b282ff6e061c4aa3b586dd372abf48c56197fd603d3f7fc642221034f355bdcb7cc0af7\
                         28ef3cceb9615d90684bb5b2ca5f859ab0f0b704075871aa408370013a2dad65a3a25a9f7e3b21eb59163b02ced97c\
                         7df25ea7a0e5b161b5503bbb56a97d8e8c8534ccb4a9920526d6f893d5189f7d7919543f106ec02c9d28ffffffff0f\
                         13d90a000000000301a08601000000000017005114295f4bc7d0585f9dddb2bc40afffcd7bd582480f0031d4000000\
                         0000001976a914000102030405060708090a0b0c0d0e0f1011121388ac0162b2d60a0000000017005114ded6737e45\
                         9639e47eabaa9f15f668b70ff7a38700000000";
        assert_eq!(hex::encode(transaction.to_bytes()), published);
        assert_eq!(Transaction::parse(&hex::decode(published).unwrap()), Ok(transaction.clone()));
        assert_eq!(
            display(transaction.id()),
            "9010fcb123cfcd4d38b4e1ca487f77e0c7a2b6c2dcbbeb324827444d58dfe35e"
        );
        assert_eq!(
            display(transaction.idem()),
            "adf50eaed2c6fbbf9bfc4d885dedb14dc91e3214f48c6ab3c5192d64a7a8b65a"
        );
        assert_eq!(transaction.fee(), Some(1_500));
    }

    #[test]
    fn every_part_of_a_block_is_committed_to() {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/nexa.json")).unwrap();
        let bytes = hex::decode(vectors["genesis"]["nexa"]["block_hex"].as_str().unwrap()).unwrap();
        let block = Block::parse(&bytes).unwrap();
        let changed = |change: fn(&mut Block)| {
            let mut block = block.clone();
            change(&mut block);
            Block::parse(&block.to_bytes())
        };
        assert_eq!(
            changed(|block| block.transactions[0].outputs[0].amount += 1),
            Err(Malformed::Part("root of transactions"))
        );
        assert_eq!(
            changed(|block| block.transactions.push(block.transactions[0].clone())),
            Err(Malformed::Part("count of transactions"))
        );
        assert_eq!(
            changed(|block| {
                block.transactions.push(block.transactions[0].clone());
                block.header.tx_count = 2;
                block.header.size = block.clone().committed().header.size;
            }),
            Err(Malformed::Part("root of transactions")),
            "a repeated last transaction has the root of the shorter list"
        );
        assert_eq!(changed(|block| block.header.size += 1), Err(Malformed::Part("size")));
        assert_eq!(
            changed(|block| block.transactions.clear()),
            Err(Malformed::Part("count of transactions"))
        );
    }

    fn transactions() -> impl Strategy<Value = Transaction> {
        let script = || proptest::collection::vec(any::<u8>(), 0..300);
        let input = (0u8..2, any::<[u8; 32]>(), script(), any::<u32>(), 0..=MONEY_MAX).prop_map(
            |(kind, outpoint, script, sequence, amount)| Input { kind, outpoint, script, sequence, amount },
        );
        let output = (any::<bool>(), 0..=MONEY_MAX, script()).prop_map(|(template, amount, script)| {
            let kind = if template { OutputKind::Template } else { OutputKind::Satoshi };
            Output { kind, amount, script }
        });
        let inputs = proptest::collection::vec(input, 0..4);
        let outputs = proptest::collection::vec(output, 0..4);
        (any::<u8>(), inputs, outputs, any::<u32>()).prop_map(|(version, inputs, outputs, lock_time)| {
            Transaction { version, inputs, outputs, lock_time }
        })
    }

    proptest! {
        #[test]
        fn a_transaction_reads_back_and_its_idem_leaves_scripts_out(transaction in transactions()) {
            let bytes = transaction.to_bytes();
            prop_assert_eq!(Transaction::parse(&bytes), Ok(transaction.clone()));
            let mut signed = transaction.clone();
            for input in &mut signed.inputs {
                input.script.push(0x51);
            }
            prop_assert_eq!(signed.idem(), transaction.idem());
            prop_assert_eq!(signed.id() == transaction.id(), transaction.inputs.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Transaction::parse(&bytes);
            let _ = Block::parse(&bytes);
        }

        #[test]
        fn no_damage_makes_it_panic(transaction in transactions(), at: prop::sample::Index, byte: u8) {
            let mut bytes = transaction.to_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(read) = Transaction::parse(&bytes) {
                prop_assert_eq!(read.to_bytes(), bytes);
            }
        }
    }
}
