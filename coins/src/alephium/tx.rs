//! Transactions of one kind: coins of single keys in, fixed outputs out. No scripts, no contracts, no tokens.
//!
//! A pool reads and writes no others. A transaction's id is the BLAKE2b-256 of its unsigned bytes, and what is signed
//! is the id. Source: alephium/alephium, `protocol/…/model/{Transaction,TxInput,TxOutput,Coinbase}.scala`;
//! @alephium/web3 3.0.5, `src/codec` (behaviour and vectors).

use super::address::Address;
use super::chain::{ChainIndex, Group};
use super::codec::{Malformed, Reader, blake2b, push_amount, push_count};
use super::params::{COINBASE_GAS_PRICE, GAS_MIN};

/// More inputs or outputs than this are not read.
const ITEMS_MAX: u32 = 256;

/// A coin: an output by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutputRef {
    /// Where the chain files it: the hint of its owner's script.
    pub hint: u32,
    /// Its name.
    pub key: [u8; 32],
}

/// How an input shows that it may spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlock {
    /// The key whose hash locks the coin.
    Key([u8; 33]),
    /// As the input before.
    AsBefore,
}

/// A coin spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Which.
    pub coin: OutputRef,
    /// By whom.
    pub unlock: Unlock,
}

/// A coin made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Unit: atto-ALPH.
    pub amount: u128,
    /// Whose.
    pub to: Address,
    /// From when on it may be spent. Unix milliseconds; 0 for at once.
    pub lock_time: u64,
    /// Free data; only coinbases have any.
    pub data: Vec<u8>,
}

/// A transaction without signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedTx {
    /// The network's number.
    pub network: u8,
    /// The most gas it may use, all of which is paid.
    pub gas: u32,
    /// Unit: atto-ALPH a gas.
    pub gas_price: u128,
    /// What it spends.
    pub inputs: Vec<Input>,
    /// What it makes.
    pub outputs: Vec<Output>,
}

impl UnsignedTx {
    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![0, self.network, 0];
        push_count(&mut out, self.gas);
        push_amount(&mut out, self.gas_price);
        push_count(&mut out, self.inputs.len() as u32);
        for input in &self.inputs {
            out.extend_from_slice(&input.coin.hint.to_be_bytes());
            out.extend_from_slice(&input.coin.key);
            match &input.unlock {
                Unlock::Key(key) => {
                    out.push(0);
                    out.extend_from_slice(key);
                }
                Unlock::AsBefore => out.push(3),
            }
        }
        push_count(&mut out, self.outputs.len() as u32);
        for output in &self.outputs {
            push_amount(&mut out, output.amount);
            output.to.write_script(&mut out);
            out.extend_from_slice(&output.lock_time.to_be_bytes());
            push_count(&mut out, 0);
            push_count(&mut out, output.data.len() as u32);
            out.extend_from_slice(&output.data);
        }
        out
    }

    /// Reads bytes that hold a transaction and nothing else.
    ///
    /// # Errors
    /// [`Malformed`] for anything that is not a plain transaction in its one spelling.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != 0 {
            return Err(Malformed("a transaction of an unknown version"));
        }
        let network = reader.u8()?;
        if reader.u8()? != 0 {
            return Err(Malformed("a transaction with a script"));
        }
        let (gas, gas_price) = (reader.count()?, reader.amount()?);
        let few = |count: u32| {
            if count > ITEMS_MAX { Err(Malformed("too many inputs or outputs")) } else { Ok(count) }
        };
        let mut inputs = Vec::new();
        for place in 0..few(reader.count()?)? {
            let coin = OutputRef { hint: reader.u32()?, key: reader.array()? };
            let unlock = match reader.u8()? {
                0 => Unlock::Key(reader.array()?),
                3 if place > 0 => Unlock::AsBefore,
                _ => return Err(Malformed("an input that is no single key's")),
            };
            inputs.push(Input { coin, unlock });
        }
        let mut outputs = Vec::new();
        for _ in 0..few(reader.count()?)? {
            let amount = reader.amount()?;
            let to = Address::read_script(&mut reader)?;
            let lock_time = reader.u64()?;
            if reader.count()? != 0 {
                return Err(Malformed("an output with tokens"));
            }
            let len = reader.count()? as usize;
            outputs.push(Output { amount, to, lock_time, data: reader.take(len)?.to_vec() });
        }
        reader.end()?;
        Ok(Self { network, gas, gas_price, inputs, outputs })
    }

    /// Its id: what is signed.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        blake2b(&[&self.to_bytes()])
    }

    /// What it pays for its gas. Unit: atto-ALPH. `None` past 2^128.
    #[must_use]
    pub fn fee(&self) -> Option<u128> {
        self.gas_price.checked_mul(u128::from(self.gas))
    }

    /// The sum of its outputs. `None` past 2^128.
    #[must_use]
    pub fn paid(&self) -> Option<u128> {
        self.outputs.iter().try_fold(0u128, |sum, output| sum.checked_add(output.amount))
    }
}

/// The name of a transaction's output.
#[must_use]
pub fn output_key(id: &[u8; 32], index: u32) -> [u8; 32] {
    blake2b(&[id, &index.to_be_bytes()])
}

/// A transaction with its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransfer {
    /// What was signed.
    pub unsigned: UnsignedTx,
    /// One per key: a run of inputs of one key needs one.
    pub signatures: Vec<[u8; 64]>,
}

/// Behind the unsigned bytes: executed without fault, no contract inputs, no generated outputs.
const EXECUTED: [u8; 3] = [1, 0, 0];

impl SignedTransfer {
    fn seals(&self) -> Vec<u8> {
        let mut out = EXECUTED.to_vec();
        push_count(&mut out, self.signatures.len() as u32);
        self.signatures.iter().for_each(|signature| out.extend_from_slice(signature));
        // No script signatures.
        push_count(&mut out, 0);
        out
    }

    /// Its bytes in a block.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.unsigned.to_bytes();
        out.extend(self.seals());
        out
    }

    /// Its leaf in the block's merkle tree: id and everything behind the unsigned bytes.
    #[must_use]
    pub fn leaf(&self) -> [u8; 32] {
        blake2b(&[&self.unsigned.id(), &self.seals()])
    }
}

/// The merkle root of a block's transactions; a single leaf, and the odd one of a level, is paired with itself.
#[must_use]
pub fn merkle_root(leaves: &[[u8; 32]]) -> [u8; 32] {
    let mut level = leaves.to_vec();
    loop {
        level = level.chunks(2).map(|pair| blake2b(&[&pair[0], pair.last().unwrap_or(&pair[0])])).collect();
        match level.as_slice() {
            [] => return [0; 32],
            [root] => return *root,
            _ => {}
        }
    }
}

/// A coinbase since the Danube fork.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoinbaseParts {
    /// The block's chain.
    pub chain: ChainIndex,
    /// The network's number.
    pub network: u8,
    /// Who found the block, and what he gets.
    pub miner: (Address, u128),
    /// The uncles it names, by hash in ascending order: hash, its finder, what he gets.
    pub uncles: Vec<([u8; 32], Address, u128)>,
    /// From when on any of it may be spent. Unix milliseconds.
    pub lock_time: u64,
    /// Free text of the miner.
    pub extra: Vec<u8>,
}

impl CoinbaseParts {
    /// The transaction, which is its block's last.
    #[must_use]
    pub fn transaction(&self) -> SignedTransfer {
        let group = |group: Group| group.get();
        let mut data = vec![group(self.chain.from()), group(self.chain.to())];
        push_count(&mut data, self.uncles.len() as u32);
        for (hash, finder, _) in &self.uncles {
            data.extend_from_slice(hash);
            finder.write_script(&mut data);
        }
        data.extend_from_slice(&self.extra);
        let output = |to: &Address, amount: u128, data: Vec<u8>| Output {
            amount,
            to: to.clone(),
            lock_time: self.lock_time,
            data,
        };
        let mut outputs = vec![output(&self.miner.0, self.miner.1, data)];
        outputs.extend(self.uncles.iter().map(|(_, finder, amount)| output(finder, *amount, Vec::new())));
        SignedTransfer {
            unsigned: UnsignedTx {
                network: self.network,
                gas: GAS_MIN,
                gas_price: COINBASE_GAS_PRICE,
                inputs: Vec::new(),
                outputs,
            },
            signatures: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vectors() -> serde_json::Value {
        serde_json::from_str(include_str!("../../testdata/alephium.json")).unwrap()
    }

    #[test]
    fn published_transactions_have_their_ids_and_roots() {
        for row in vectors()["coinbases"].as_array().unwrap() {
            let bytes = hex::decode(row["unsigned"].as_str().unwrap()).unwrap();
            let unsigned = UnsignedTx::read(&bytes).unwrap();
            assert_eq!(unsigned.to_bytes(), bytes);
            assert_eq!(hex::encode(unsigned.id()), row["txId"].as_str().unwrap());
            if let Some(root) = row["txsHash"].as_str() {
                let whole = SignedTransfer { unsigned, signatures: vec![] };
                assert_eq!(hex::encode(merkle_root(&[whole.leaf()])), root);
                assert_eq!(hex::encode(&whole.to_bytes()[bytes.len()..]), "0100000000");
            }
        }
    }

    #[test]
    fn a_real_coinbase_reads_as_what_it_is() {
        let bytes = hex::decode(vectors()["coinbases"][0]["unsigned"].as_str().unwrap()).unwrap();
        let coinbase = UnsignedTx::read(&bytes).unwrap();
        let [output] = coinbase.outputs.as_slice() else { panic!("{coinbase:?}") };
        assert_eq!(output.amount, 485_591_478_228_368_529);
        assert_eq!(output.to.to_string(), "1ANu47GYWwprmQJUgPpBsYb1mDoqxTDyVkCSg2C4NbtDp");
        assert_eq!(output.lock_time, 1_728_574_859_844);
        assert_eq!(
            hex::encode(output_key(&coinbase.id(), 0)),
            "34f1fa6533b03f2ca8c4bb59d4dc0694277d2c8093cffb42d63d969d363c1072"
        );
    }

    #[test]
    fn the_published_payout_reads_as_what_it_is() {
        let bytes = hex::decode(vectors()["coinbases"][2]["unsigned"].as_str().unwrap()).unwrap();
        let payout = UnsignedTx::read(&bytes).unwrap();
        assert_eq!((payout.gas, payout.gas_price, payout.network), (20_000, 100_000_000_000, 0));
        assert_eq!(payout.inputs[1].unlock, Unlock::AsBefore);
        let outputs: Vec<(u128, String)> =
            payout.outputs.iter().map(|output| (output.amount, output.to.to_string())).collect();
        assert_eq!(
            outputs[0],
            (500_000_000_000_000_000, "1AqVGKeHWoLJiVU7heL8EvwQN2hk5bMtvP3PsH57qWayr".into())
        );
        assert_eq!(outputs[1].1, "3ccJ8aEBYKBPJKuk6b9yZ1W1oFDYPesa3qQeM8v9jhaJtbSaueJ3L:2");
        assert_eq!(payout.fee(), Some(2_000_000_000_000_000));
        assert_eq!(payout.paid(), Some(969_182_956_456_737_058));
    }

    #[test]
    fn a_coinbase_with_an_uncle_says_whose_it_is() {
        let address = |n| Address::of_key_hash([n; 32]);
        let parts = CoinbaseParts {
            chain: ChainIndex::of_numbers(1, 2).unwrap(),
            network: 4,
            miner: (address(1), 100),
            uncles: vec![([7; 32], address(2), 50)],
            lock_time: 9,
            extra: b"x".to_vec(),
        };
        let coinbase = parts.transaction().unsigned;
        assert_eq!(coinbase.outputs[1].to, address(2));
        assert_eq!(hex::encode(&coinbase.outputs[0].data[..3]), "010201");
        assert_eq!(UnsignedTx::read(&coinbase.to_bytes()), Ok(coinbase));
        assert_eq!(merkle_root(&[]), [0; 32]);
        assert_eq!(merkle_root(&[[1; 32], [2; 32], [3; 32]]), {
            let (a, b) = (blake2b(&[&[1; 32], &[2; 32]]), blake2b(&[&[3; 32], &[3; 32]]));
            blake2b(&[&a, &b])
        });
    }

    proptest! {
        #[test]
        fn damaged_transactions_never_panic_and_read_in_one_spelling(place: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut bytes = hex::decode(vectors()["coinbases"][2]["unsigned"].as_str().unwrap()).unwrap();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            if let Ok(read) = UnsignedTx::read(&bytes) {
                prop_assert_eq!(read.to_bytes(), bytes.clone());
            }
            bytes.truncate(cut.index(bytes.len()));
            prop_assert!(UnsignedTx::read(&bytes).is_err());
        }
    }
}
