//! What a node answers, read with suspicion.
//!
//! Quantities are hexadecimal text without leading zeros, everything else has a fixed length; an answer of another shape
//! is garbage. A block's header is hashed again and must come to the hash it is said to have, and so must the list of its
//! uncles: a node can invent a block, but not half of one. Pure: text in, facts out.
//! Source: `internal/ethapi` of the chain's node (behaviour).

use super::address::Address;
use super::coin::HypraTemplate;
use super::fate::Sealed;
use super::header::Header;
use super::rlp::push_list;
use super::tx::Price;
use crate::hash::ethashb3::keccak256;
use pool_core::units::{Target, U256};
use serde_json::{Value, json};

/// An answer of another shape than the question has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct BadAnswer {
    /// What was read.
    pub what: &'static str,
    /// What is wrong with it.
    pub why: String,
}

fn bad<T>(what: &'static str, why: impl Into<String>) -> Result<T, BadAnswer> {
    Err(BadAnswer { what, why: why.into() })
}

fn text<'a>(value: &'a Value, what: &'static str) -> Result<&'a str, BadAnswer> {
    match value.as_str().and_then(|text| text.strip_prefix("0x")) {
        Some(digits) => Ok(digits),
        None => bad(what, "text that begins with 0x expected"),
    }
}

/// A quantity of at most 256 bits.
///
/// # Errors
/// [`BadAnswer`].
pub fn wide(value: &Value, what: &'static str) -> Result<U256, BadAnswer> {
    let digits = text(value, what)?;
    // Leading zeros are tolerated: some nodes write them, and the number is the same.
    let plain = (1..=64).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    match U256::from_str_radix(digits, 16) {
        Ok(number) if plain => Ok(number),
        _ => bad(what, "not a quantity"),
    }
}

/// A quantity of at most 128 bits.
///
/// # Errors
/// [`BadAnswer`].
pub fn amount(value: &Value, what: &'static str) -> Result<u128, BadAnswer> {
    u128::try_from(wide(value, what)?).or_else(|_| bad(what, "more than 128 bits"))
}

/// A quantity of at most 64 bits.
///
/// # Errors
/// [`BadAnswer`].
pub fn quantity(value: &Value, what: &'static str) -> Result<u64, BadAnswer> {
    u64::try_from(wide(value, what)?).or_else(|_| bad(what, "more than 64 bits"))
}

/// Bytes of a fixed length.
///
/// # Errors
/// [`BadAnswer`].
pub fn array<const N: usize>(value: &Value, what: &'static str) -> Result<[u8; N], BadAnswer> {
    let mut bytes = [0; N];
    match hex::decode_to_slice(text(value, what)?, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => bad(what, format!("{N} bytes expected")),
    }
}

/// Bytes of any length.
///
/// # Errors
/// [`BadAnswer`].
pub fn bytes(value: &Value, what: &'static str) -> Result<Vec<u8>, BadAnswer> {
    hex::decode(text(value, what)?).or_else(|_| bad(what, "not hexadecimal"))
}

fn address(value: &Value, what: &'static str) -> Result<Address, BadAnswer> {
    Ok(Address::new(array(value, what)?))
}

/// A quantity as nodes write and read it.
#[must_use]
pub fn to_quantity(number: u128) -> Value {
    format!("0x{number:x}").into()
}

/// Bytes as nodes write and read them.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> Value {
    format!("0x{}", hex::encode(bytes)).into()
}

/// `eth_getWork`.
///
/// # Errors
/// [`BadAnswer`], also for work that cannot be mined on.
pub fn work(value: &Value) -> Result<HypraTemplate, BadAnswer> {
    let what = "work";
    let Some([seal_hash, seed_hash, target, height, ..]) = value.as_array().map(Vec::as_slice) else {
        return bad(what, "four texts expected");
    };
    let target = Target::from_be_bytes(array(target, "work's target")?);
    HypraTemplate::new(
        array(seal_hash, "work's header")?,
        array(seed_hash, "work's seed")?,
        quantity(height, "work's height")?,
        target,
    )
    .or_else(|error| bad(what, error.to_string()))
}

/// A block, or an uncle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its hash, which is that of its header.
    pub hash: [u8; 32],
    /// Its header.
    pub header: Header,
    /// The hashes of its uncles.
    pub uncles: Vec<[u8; 32]>,
    /// Its transactions; only their ids where no more was asked for.
    pub transactions: Vec<Transaction>,
}

/// A transaction of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// Its id alone.
    Id([u8; 32]),
    /// All that matters of it.
    Whole(WholeTransaction),
}

/// A transaction as it stands in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WholeTransaction {
    /// Its id.
    pub id: [u8; 32],
    /// Who sent it.
    pub from: Address,
    /// Who was sent to.
    pub to: Option<Address>,
    /// Unit: wei.
    pub value: u128,
    /// The sender's count.
    pub nonce: u64,
    /// What gas could cost.
    pub price: Price,
    /// The most gas it could use.
    pub gas: u64,
}

impl Block {
    /// Reads a block; `None` for `null`, which means that there is none.
    ///
    /// # Errors
    /// [`BadAnswer`], also for a header that does not hash to what it says.
    pub fn read(value: &Value) -> Result<Option<Self>, BadAnswer> {
        if value.is_null() {
            return Ok(None);
        }
        let header = header(value)?;
        let hash = array(&value["hash"], "block's hash")?;
        if header.hash() != hash {
            return bad("block", "its header does not hash to what it says");
        }
        let list = |key: &'static str| value[key].as_array().map(Vec::as_slice).unwrap_or_default();
        let uncles =
            list("uncles").iter().map(|uncle| array(uncle, "uncle's hash")).collect::<Result<_, _>>()?;
        let transactions = list("transactions").iter().map(transaction).collect::<Result<_, _>>()?;
        Ok(Some(Self { hash, header, uncles, transactions }))
    }

    /// As far as it can be recognised.
    #[must_use]
    pub const fn sealed(&self) -> Sealed {
        let Header { number, miner, nonce, mix, .. } = self.header;
        Sealed { hash: self.hash, number, miner, nonce, mix }
    }

    /// True when `uncles` are the uncles that the header commits to.
    #[must_use]
    pub fn commits_to(&self, uncles: &[Self]) -> bool {
        let content: Vec<u8> = uncles.iter().flat_map(|uncle| uncle.header.to_rlp()).collect();
        let mut list = Vec::with_capacity(content.len() + 5);
        push_list(&mut list, &content);
        keccak256(&list) == self.header.uncles_hash
    }
}

fn header(value: &Value) -> Result<Header, BadAnswer> {
    let base_fee = match &value["baseFeePerGas"] {
        Value::Null => None,
        fee => Some(amount(fee, "base fee")?),
    };
    Ok(Header {
        parent: array(&value["parentHash"], "parent's hash")?,
        uncles_hash: array(&value["sha3Uncles"], "uncles' hash")?,
        miner: address(&value["miner"], "miner")?,
        state_root: array(&value["stateRoot"], "state root")?,
        transactions_root: array(&value["transactionsRoot"], "transactions' root")?,
        receipts_root: array(&value["receiptsRoot"], "receipts' root")?,
        logs_bloom: Box::new(array(&value["logsBloom"], "logs' filter")?),
        difficulty: wide(&value["difficulty"], "difficulty")?,
        number: quantity(&value["number"], "number")?,
        gas_limit: quantity(&value["gasLimit"], "gas limit")?,
        gas_used: quantity(&value["gasUsed"], "gas used")?,
        timestamp: quantity(&value["timestamp"], "timestamp")?,
        extra: bytes(&value["extraData"], "extra data")?,
        base_fee,
        mix: array(&value["mixHash"], "mix")?,
        nonce: u64::from_be_bytes(array(&value["nonce"], "nonce")?),
    })
}

/// A header as nodes show it, without what stands around it.
#[must_use]
pub fn from_header(header: &Header) -> Value {
    let mut value = json!({
        "hash": to_hex(&header.hash()),
        "parentHash": to_hex(&header.parent),
        "sha3Uncles": to_hex(&header.uncles_hash),
        "miner": header.miner.to_string(),
        "stateRoot": to_hex(&header.state_root),
        "transactionsRoot": to_hex(&header.transactions_root),
        "receiptsRoot": to_hex(&header.receipts_root),
        "logsBloom": to_hex(&header.logs_bloom[..]),
        "difficulty": format!("{:#x}", header.difficulty),
        "number": to_quantity(header.number.into()),
        "gasLimit": to_quantity(header.gas_limit.into()),
        "gasUsed": to_quantity(header.gas_used.into()),
        "timestamp": to_quantity(header.timestamp.into()),
        "extraData": to_hex(&header.extra),
        "mixHash": to_hex(&header.mix),
        "nonce": to_hex(&header.nonce.to_be_bytes()),
    });
    if let Some(base_fee) = header.base_fee {
        value["baseFeePerGas"] = to_quantity(base_fee);
    }
    value
}

fn transaction(value: &Value) -> Result<Transaction, BadAnswer> {
    if value.is_string() {
        return Ok(Transaction::Id(array(value, "transaction's id")?));
    }
    let price = match (&value["maxFeePerGas"], &value["maxPriorityFeePerGas"]) {
        (Value::Null, _) => Price::Legacy(amount(&value["gasPrice"], "gas price")?),
        (cap, tip) => Price::Dynamic { tip_max: amount(tip, "tip")?, fee_max: amount(cap, "fee's cap")? },
    };
    let to = match &value["to"] {
        Value::Null => None,
        to => Some(address(to, "recipient")?),
    };
    Ok(Transaction::Whole(WholeTransaction {
        id: array(&value["hash"], "transaction's id")?,
        from: address(&value["from"], "sender")?,
        to,
        value: amount(&value["value"], "value")?,
        nonce: quantity(&value["nonce"], "sender's count")?,
        price,
        gas: quantity(&value["gas"], "gas")?,
    }))
}

/// What became of a transaction in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its id.
    pub id: [u8; 32],
    /// The block that carries it.
    pub block_hash: [u8; 32],
    /// That block's height.
    pub block_number: u64,
    /// Whether it did what it should.
    pub succeeded: bool,
    /// The gas it used.
    pub gas_used: u64,
    /// What a unit of gas cost, where the node says so. Unit: wei.
    pub price: Option<u128>,
}

impl Receipt {
    /// Reads a receipt; `None` for `null`: no block of the chain carries it.
    ///
    /// # Errors
    /// [`BadAnswer`].
    pub fn read(value: &Value) -> Result<Option<Self>, BadAnswer> {
        // A node that has not indexed a block yet may show the block's fields as null.
        if value.is_null() || value["blockHash"].is_null() {
            return Ok(None);
        }
        let succeeded = match quantity(&value["status"], "status")? {
            0 => false,
            1 => true,
            _ => return bad("status", "neither 0 nor 1"),
        };
        let price = match &value["effectiveGasPrice"] {
            Value::Null => None,
            price => Some(amount(price, "effective gas price")?),
        };
        Ok(Some(Self {
            id: array(&value["transactionHash"], "transaction's id")?,
            block_hash: array(&value["blockHash"], "block's hash")?,
            block_number: quantity(&value["blockNumber"], "block's number")?,
            succeeded,
            gas_used: quantity(&value["gasUsed"], "gas used")?,
            price,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn genesis() -> Header {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/hypra.json")).unwrap();
        let rlp = vectors["genesis_headers"][0]["header_rlp"].as_str().unwrap();
        Header::from_rlp(&hex::decode(rlp).unwrap()).unwrap()
    }

    #[test]
    fn a_header_is_read_as_it_is_shown_and_a_changed_one_is_not() {
        let header = genesis();
        let shown = from_header(&header);
        let block = Block::read(&shown).unwrap().unwrap();
        assert_eq!(block.header, header);
        assert_eq!(
            hex::encode(block.hash),
            "0fb784d1481f0aa911d21d639641763ca09641413842b35f1d10eb5d208abdf8"
        );
        assert!(block.commits_to(&[]) && !block.commits_to(std::slice::from_ref(&block)));
        assert_eq!(Block::read(&Value::Null), Ok(None));
        for key in shown.as_object().unwrap().keys() {
            let mut changed = shown.clone();
            let text = changed[key].as_str().unwrap();
            let last = if text.ends_with('1') { "2" } else { "1" };
            changed[key] = format!("{}{last}", &text[..text.len() - 1]).into();
            assert!(Block::read(&changed).is_err(), "{key}");
            changed[key] = Value::Null;
            assert!(Block::read(&changed).is_err(), "{key}");
        }
    }

    #[test]
    fn work_is_four_texts() {
        let good = json!([
            format!("0x{}", "11".repeat(32)),
            format!("0x{}", "00".repeat(32)),
            format!("0x{}ff", "00".repeat(31)),
            "0x3039"
        ]);
        let read = work(&good).unwrap();
        assert_eq!((read.height(), read.seal_hash()), (12_345, [0x11; 32]));
        for place in 0..4 {
            for lie in [
                Value::Null,
                json!("0x"),
                json!(7),
                json!("11"),
                json!("0xzz"),
                json!("0xffffffffffffffffff"),
            ] {
                let mut changed = good.clone();
                changed[place] = lie;
                assert!(work(&changed).is_err(), "{changed}");
            }
        }
        for other in [json!([]), json!({}), json!("0x"), Value::Null, json!(["0x1", "0x1", "0x1"])] {
            assert!(work(&other).is_err());
        }
    }

    #[test]
    fn quantities_stay_in_their_range() {
        assert_eq!(quantity(&json!("0x0"), "x"), Ok(0));
        assert_eq!(quantity(&json!("0xffffffffffffffff"), "x"), Ok(u64::MAX));
        assert!(quantity(&json!("0x10000000000000000"), "x").is_err());
        assert_eq!(amount(&json!(format!("0x{}", "f".repeat(32))), "x"), Ok(u128::MAX));
        assert!(amount(&json!(format!("0x1{}", "0".repeat(32))), "x").is_err());
        for lie in ["", "0x", "1", "0x-1", "0x+1", "0x_1", "0x1_0", "0xg"] {
            assert!(wide(&json!(lie), "x").is_err(), "{lie}");
        }
    }

    #[test]
    fn receipts() {
        let hash = format!("0x{}", "22".repeat(32));
        let shown = json!({"transactionHash": hash, "blockHash": hash, "blockNumber": "0x7", "status": "0x1",
            "gasUsed": "0x5208", "effectiveGasPrice": "0x3b9aca00"});
        let receipt = Receipt::read(&shown).unwrap().unwrap();
        assert_eq!((receipt.gas_used, receipt.price, receipt.succeeded), (21_000, Some(1_000_000_000), true));
        assert_eq!(Receipt::read(&Value::Null), Ok(None));
        for (key, lie) in [("status", json!("0x2")), ("gasUsed", json!(7)), ("blockNumber", Value::Null)] {
            let mut changed = shown.clone();
            changed[key] = lie;
            assert!(Receipt::read(&changed).is_err(), "{key}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            "(0x)?[0-9a-f]{0,70}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 30, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec(("[a-zA-Z]{1,10}", inner), 0..6)
                    .prop_map(|members| members.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_answer_makes_a_reader_panic(value in values()) {
            let _ = work(&value);
            let _ = Block::read(&value);
            let _ = Receipt::read(&value);
            let _ = transaction(&value);
        }
    }
}
