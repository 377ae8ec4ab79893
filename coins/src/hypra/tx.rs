//! Transactions: plain transfers of either kind, signed and read back.
//!
//! Before London the chain takes only legacy transactions, bound to the chain by EIP-155; from London on also those with a
//! cap and a tip (EIP-1559, type 2). A pool pays by transfers without data, and reads back no other of its own.
//! Source: the two proposals (the rules).

use super::address::Address;
use super::rlp::{BadRlp, Item, push_bytes, push_integer, push_list, push_number};
use crate::hash::ethashb3::keccak256;

/// The first byte of a transaction of EIP-1559.
const TYPE_2: u8 = 2;

/// What a unit of gas may cost. Unit: wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// One price for all: the only kind before London.
    Legacy(u128),
    /// A cap on all of it, and a tip for the miner within.
    Dynamic {
        /// The most that goes to the miner.
        tip_max: u128,
        /// The most in all.
        fee_max: u128,
    },
}

impl Price {
    /// The most that a unit of gas may cost.
    #[must_use]
    pub const fn cap(self) -> u128 {
        match self {
            Self::Legacy(price) => price,
            Self::Dynamic { fee_max, .. } => fee_max,
        }
    }

    /// What a unit of gas costs in a block with this base fee; `None` when the cap is below it.
    #[must_use]
    pub fn effective(self, base_fee: u128) -> Option<u128> {
        match self {
            Self::Legacy(price) => (price >= base_fee).then_some(price),
            Self::Dynamic { tip_max, fee_max } => {
                (fee_max >= base_fee).then(|| fee_max.min(base_fee.saturating_add(tip_max)))
            }
        }
    }
}

/// A transfer, not signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The chain it is for.
    pub chain_id: u64,
    /// How many transactions the sender sent before.
    pub nonce: u64,
    /// What gas may cost.
    pub price: Price,
    /// The most gas it may use.
    pub gas: u64,
    /// Who is paid.
    pub to: Address,
    /// Unit: wei.
    pub value: u128,
    /// Empty for a plain transfer.
    pub data: Vec<u8>,
}

/// A signature over secp256k1, with the bit that says which of two keys made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The parity of the point's second coordinate.
    pub odd: bool,
    /// Big-endian.
    pub r: [u8; 32],
    /// Big-endian, in the lower half of the order.
    pub s: [u8; 32],
}

/// Bytes that are no transaction of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadTx {
    /// Not RLP, or of another shape.
    #[error("transaction: {0}")]
    Rlp(#[from] BadRlp),
    /// A type that is not known here, or a legacy one without chain.
    #[error("transaction of a kind that is not known here")]
    Kind,
}

impl Transfer {
    fn fields(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + self.data.len());
        if let Price::Dynamic { tip_max, fee_max } = self.price {
            push_number(&mut out, self.chain_id.into());
            push_number(&mut out, self.nonce.into());
            push_number(&mut out, tip_max);
            push_number(&mut out, fee_max);
        } else {
            push_number(&mut out, self.nonce.into());
            push_number(&mut out, self.price.cap());
        }
        push_number(&mut out, self.gas.into());
        push_bytes(&mut out, self.to.bytes());
        push_number(&mut out, self.value);
        push_bytes(&mut out, &self.data);
        out
    }

    fn finish(&self, mut fields: Vec<u8>, signature: Option<&Signature>) -> Vec<u8> {
        let mut out = Vec::with_capacity(fields.len() + 80);
        let dynamic = matches!(self.price, Price::Dynamic { .. });
        if dynamic {
            out.push(TYPE_2);
            push_list(&mut fields, &[]);
        }
        match signature {
            Some(signature) => {
                let odd = u64::from(signature.odd);
                let v = if dynamic { odd } else { 2 * self.chain_id + 35 + odd };
                push_number(&mut fields, v.into());
                push_integer(&mut fields, &signature.r);
                push_integer(&mut fields, &signature.s);
            }
            None if dynamic => {}
            None => {
                push_number(&mut fields, self.chain_id.into());
                push_number(&mut fields, 0);
                push_number(&mut fields, 0);
            }
        }
        push_list(&mut out, &fields);
        out
    }

    /// What is hashed to be signed.
    #[must_use]
    pub fn signing_bytes(&self) -> Vec<u8> {
        self.finish(self.fields(), None)
    }

    /// What is signed.
    #[must_use]
    pub fn signing_hash(&self) -> [u8; 32] {
        keccak256(&self.signing_bytes())
    }

    /// The bytes a node takes.
    #[must_use]
    pub fn signed(&self, signature: &Signature) -> Vec<u8> {
        self.finish(self.fields(), Some(signature))
    }

    /// The most it may cost beside its value. Unit: wei; `None` past 2^128.
    #[must_use]
    pub fn fee_max(&self) -> Option<u128> {
        self.price.cap().checked_mul(self.gas.into())
    }
}

/// A transaction's id: the hash of its bytes.
#[must_use]
pub fn id(raw: &[u8]) -> [u8; 32] {
    keccak256(raw)
}

/// A transfer with its signature, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransfer {
    /// The transfer.
    pub transfer: Transfer,
    /// Its signature. That it is one says the wallet's `sender`.
    pub signature: Signature,
}

impl SignedTransfer {
    /// Reads a transfer in the one encoding it has. Contracts' creations and access lists are of another kind.
    ///
    /// # Errors
    /// [`BadTx`].
    pub fn parse(raw: &[u8]) -> Result<Self, BadTx> {
        match raw.first() {
            Some(&TYPE_2) => Self::parse_dynamic(&raw[1..]),
            Some(0xc0..) => Self::parse_legacy(raw),
            _ => Err(BadTx::Kind),
        }
    }

    fn parse_dynamic(list: &[u8]) -> Result<Self, BadTx> {
        let item = Item::parse(list)?;
        let [chain_id, nonce, tip_max, fee_max, gas, to, value, data, access, odd, r, s] = item.list()?
        else {
            return Err(BadRlp::Shape("a list of 12").into());
        };
        if !access.list()?.is_empty() {
            return Err(BadTx::Kind);
        }
        let odd = match odd.number()? {
            0 => false,
            1 => true,
            _ => return Err(BadTx::Kind),
        };
        let price = Price::Dynamic { tip_max: tip_max.number()?, fee_max: fee_max.number()? };
        let transfer = transfer(chain_id.small()?, price, [nonce, gas, to, value, data])?;
        Ok(Self { transfer, signature: Signature { odd, r: scalar(r)?, s: scalar(s)? } })
    }

    fn parse_legacy(list: &[u8]) -> Result<Self, BadTx> {
        let item = Item::parse(list)?;
        let [nonce, price, gas, to, value, data, v, r, s] = item.list()? else {
            return Err(BadRlp::Shape("a list of 9").into());
        };
        let v = v.small()?.checked_sub(35).ok_or(BadTx::Kind)?;
        let transfer = transfer(v / 2, Price::Legacy(price.number()?), [nonce, gas, to, value, data])?;
        Ok(Self { transfer, signature: Signature { odd: v % 2 == 1, r: scalar(r)?, s: scalar(s)? } })
    }

    /// The bytes again.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        self.transfer.signed(&self.signature)
    }
}

fn transfer(chain_id: u64, price: Price, rest: [&Item<'_>; 5]) -> Result<Transfer, BadTx> {
    let [nonce, gas, to, value, data] = rest;
    Ok(Transfer {
        // Above this, EIP-155's v does not fit 64 bits.
        chain_id: if chain_id <= (u64::MAX - 36) / 2 { chain_id } else { return Err(BadTx::Kind) },
        nonce: nonce.small()?,
        price,
        gas: gas.small()?,
        to: Address::new(to.array()?),
        value: value.number()?,
        data: data.bytes()?.to_vec(),
    })
}

fn scalar(item: &Item<'_>) -> Result<[u8; 32], BadRlp> {
    let bytes = item.bytes()?;
    if bytes.first() == Some(&0) {
        return Err(BadRlp::NotCanonical);
    }
    let mut scalar = [0; 32];
    let start = 32usize.checked_sub(bytes.len()).ok_or(BadRlp::Shape("a number of at most 256 bits"))?;
    scalar[start..].copy_from_slice(bytes);
    Ok(scalar)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn array<const N: usize>(text: &Value) -> [u8; N] {
        let text = text.as_str().unwrap();
        let mut bytes = [0; N];
        hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn published_transactions_byte_for_byte() {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/hypra.json")).unwrap();
        let list = vectors["transactions"]["txs"].as_array().unwrap();
        assert_eq!(list.len(), 5);
        for vector in list {
            let number = |key: &str| u128::from(vector[key].as_u64().unwrap());
            let (price, odd) = if vector["type"] == "eip1559" {
                let price =
                    Price::Dynamic { tip_max: number("max_priority_fee"), fee_max: number("max_fee") };
                (price, number("y_parity") == 1)
            } else {
                let v = number("v") - 35 - 2 * number("chain_id");
                (Price::Legacy(number("gas_price")), v == 1)
            };
            let transfer = Transfer {
                chain_id: number("chain_id") as u64,
                nonce: number("nonce") as u64,
                price,
                gas: number("gas") as u64,
                to: Address::new(array(&vector["to"])),
                value: vector["value"].as_str().unwrap().parse().unwrap(),
                data: vec![],
            };
            assert_eq!(hex::encode(transfer.signing_bytes()), vector["signing_payload"].as_str().unwrap());
            assert_eq!(transfer.signing_hash(), array::<32>(&vector["signing_hash"]));
            let signature = Signature { odd, r: array(&vector["r"]), s: array(&vector["s"]) };
            let raw = transfer.signed(&signature);
            assert_eq!(hex::encode(&raw), vector["raw"].as_str().unwrap());
            assert_eq!(id(&raw), array::<32>(&vector["tx_hash"]));
            assert_eq!(SignedTransfer::parse(&raw), Ok(SignedTransfer { transfer, signature }));
        }
    }

    #[test]
    fn what_gas_costs() {
        assert_eq!(Price::Legacy(10).effective(0), Some(10));
        assert_eq!(Price::Legacy(10).effective(11), None);
        let dynamic = Price::Dynamic { tip_max: 3, fee_max: 10 };
        assert_eq!(
            [dynamic.effective(2), dynamic.effective(9), dynamic.effective(11)],
            [Some(5), Some(10), None]
        );
    }

    proptest! {
        #[test]
        fn every_transfer_reads_back(
            chain_id in 0u64..1 << 40, nonce: u64, gas: u64, to: [u8; 20], value: u128, odd: bool,
            r: [u8; 32], s: [u8; 32], tip: Option<u128>, cap: u128,
            data in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let price = tip.map_or(Price::Legacy(cap), |tip_max| Price::Dynamic { tip_max, fee_max: cap });
            let to = Address::new(to);
            let transfer = Transfer { chain_id, nonce, price, gas, to, value, data };
            let signed = SignedTransfer { transfer, signature: Signature { odd, r, s } };
            prop_assert_eq!(SignedTransfer::parse(&signed.raw()), Ok(signed.clone()));
        }

        #[test]
        fn what_is_read_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(signed) = SignedTransfer::parse(&bytes) {
                prop_assert_eq!(signed.raw(), bytes);
            }
        }
    }
}
