//! Transactions as bytes, as far as a pool looks into them: coinbases, and what a payment pays.
//!
//! Dynex has given up the privacy of its ancestors. Beside the transaction's public key its extra field carries the
//! *secret* one, the receiver's address and the amount, in the clear; so anybody can check whom a transaction pays, and
//! a pool checks with [`pays`] that a template's coinbase pays its own address before anybody mines on it. A one-time
//! key is `Hs(8·r·A ‖ n)·G + B` for the n-th output, with the secret `r` and the address's view key `A` and spend key
//! `B`. Source: `DynexCNSerialization.cpp`, `TransactionExtra.h` and `crypto.cpp` of the Dynex node 2.2.2 (behaviour, by
//! vectors); the derivation is CryptoNote's.

use super::address::{Address, point};
use super::blob::{BadBytes, Reader, push_varint};
use crate::hash::cryptonight::keccak256;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use std::ops::Range;

/// Bytes of one ring signature.
const SIGNATURE_LEN: usize = 64;

/// What a transaction takes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// New coins, at a height: this is a coinbase.
    Generate {
        /// The height.
        height: u64,
    },
    /// An output of an earlier transaction, among decoys should there be any.
    Key {
        /// Its amount.
        amount: u64,
        /// Which ones it may be, each as the difference to the one before.
        offsets: Vec<u64>,
        /// What makes spending it twice visible.
        key_image: [u8; 32],
    },
}

/// What a transaction gives to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Unit: smallest units.
    pub amount: u64,
    /// The one-time key.
    pub key: [u8; 32],
}

/// A transaction without its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// 1 on every network today.
    pub version: u64,
    /// The height, or the Unix time, before which its outputs cannot be spent.
    pub unlock_time: u64,
    /// What it takes from.
    pub inputs: Vec<Input>,
    /// What it gives to.
    pub outputs: Vec<Output>,
    /// Keys, addresses, free bytes: see [`fields`].
    pub extra: Vec<u8>,
}

/// A whole transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// All but the signatures.
    pub prefix: Prefix,
    /// 64 bytes for each offset of each input; none in a coinbase.
    pub signatures: Vec<u8>,
}

impl Transaction {
    /// Reads a transaction; every byte must belong to it.
    ///
    /// # Errors
    /// [`BadBytes`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BadBytes> {
        let mut reader = Reader::new(bytes);
        let transaction = Self::read(&mut reader)?;
        if reader.left() > 0 { Err(BadBytes("bytes behind the transaction")) } else { Ok(transaction) }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BadBytes> {
        let version = reader.varint()?;
        if version != 1 {
            return Err(BadBytes("a transaction of an unknown version: known is 1"));
        }
        let unlock_time = reader.varint()?;
        let mut inputs = Vec::new();
        let mut rings = 0usize;
        for _ in 0..reader.count(2)? {
            let input = match reader.byte()? {
                0xff => Input::Generate { height: reader.varint()? },
                0x02 => {
                    let amount = reader.varint()?;
                    let count = reader.count(1)?;
                    rings += count;
                    let offsets = (0..count).map(|_| reader.varint()).collect::<Result<_, _>>()?;
                    Input::Key { amount, offsets, key_image: reader.array()? }
                }
                _ => return Err(BadBytes("an input of an unknown kind")),
            };
            inputs.push(input);
        }
        let mut outputs = Vec::new();
        for _ in 0..reader.count(34)? {
            let amount = reader.varint()?;
            if reader.byte()? != 0x02 {
                return Err(BadBytes("an output of an unknown kind"));
            }
            outputs.push(Output { amount, key: reader.array()? });
        }
        let len = reader.count(1)?;
        let extra = reader.bytes(len)?.to_vec();
        let signatures = reader.bytes(rings.checked_mul(SIGNATURE_LEN).ok_or(BadBytes("too large"))?)?;
        let prefix = Prefix { version, unlock_time, inputs, outputs, extra };
        Ok(Self { prefix, signatures: signatures.to_vec() })
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Prefix { version, unlock_time, inputs, outputs, extra } = &self.prefix;
        let mut out = Vec::with_capacity(64 + 80 * inputs.len() + 44 * outputs.len() + extra.len());
        push_varint(&mut out, *version);
        push_varint(&mut out, *unlock_time);
        push_varint(&mut out, inputs.len() as u64);
        for input in inputs {
            match input {
                Input::Generate { height } => {
                    out.push(0xff);
                    push_varint(&mut out, *height);
                }
                Input::Key { amount, offsets, key_image } => {
                    out.push(0x02);
                    push_varint(&mut out, *amount);
                    push_varint(&mut out, offsets.len() as u64);
                    for offset in offsets {
                        push_varint(&mut out, *offset);
                    }
                    out.extend_from_slice(key_image);
                }
            }
        }
        push_varint(&mut out, outputs.len() as u64);
        for output in outputs {
            push_varint(&mut out, output.amount);
            out.push(0x02);
            out.extend_from_slice(&output.key);
        }
        push_varint(&mut out, extra.len() as u64);
        out.extend_from_slice(extra);
        out.extend_from_slice(&self.signatures);
        out
    }

    /// Its hash, by which blocks name it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        keccak256(&self.to_bytes())
    }

    /// The height it is the coinbase of; `None` when it is none.
    #[must_use]
    pub fn height(&self) -> Option<u64> {
        match *self.prefix.inputs {
            [Input::Generate { height }] => Some(height),
            _ => None,
        }
    }

    /// What all outputs give together, or `None` past 2^64.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.prefix.outputs.iter().try_fold(0u64, |sum, output| sum.checked_add(output.amount))
    }
}

/// One field of an extra, with the place of its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it is.
    pub tag: u8,
    /// Where its data stand in the extra: behind the tag, and behind the length where there is one.
    pub data: Range<usize>,
}

impl Field {
    /// Zero bytes up to the end.
    pub const PADDING: u8 = 0x00;
    /// The transaction's public key.
    pub const PUBLIC_KEY: u8 = 0x01;
    /// Free bytes, at most 255: a pool's extranonce, a payment id.
    pub const NONCE: u8 = 0x02;
    /// Merge mining; not in use.
    pub const MERGE_MINING: u8 = 0x03;
    /// The sender's address: spend key and view key.
    pub const SENDER: u8 = 0x04;
    /// A receiver's address: spend key and view key.
    pub const RECEIVER: u8 = 0x05;
    /// The amount of the receiver before it, 8 bytes little-endian.
    pub const AMOUNT: u8 = 0x06;
    /// The transaction's secret key.
    pub const SECRET_KEY: u8 = 0x07;
}

/// The fields of an extra, in order.
///
/// # Errors
/// [`BadBytes`] for a tag nobody has defined, or a field that does not end.
pub fn fields(extra: &[u8]) -> Result<Vec<Field>, BadBytes> {
    let mut reader = Reader::new(extra);
    let mut fields = Vec::new();
    while reader.left() > 0 {
        let tag = reader.byte()?;
        let len = match tag {
            Field::PADDING => {
                let rest = reader.left();
                if reader.bytes(rest)?.iter().any(|byte| *byte != 0) {
                    return Err(BadBytes("padding of an extra that is not zero"));
                }
                fields.push(Field { tag, data: extra.len() - rest..extra.len() });
                break;
            }
            Field::PUBLIC_KEY | Field::SECRET_KEY => 32,
            Field::NONCE => usize::from(reader.byte()?),
            Field::MERGE_MINING => reader.count(1)?,
            Field::SENDER | Field::RECEIVER => 64,
            Field::AMOUNT => 8,
            _ => return Err(BadBytes("a field of an extra that nobody has defined")),
        };
        let start = extra.len() - reader.left();
        reader.bytes(len)?;
        fields.push(Field { tag, data: start..start + len });
    }
    Ok(fields)
}

/// The free bytes that say which of an address's payees is meant.
#[must_use]
pub fn payment_nonce(payment_id: &[u8; 32]) -> Vec<u8> {
    let mut data = vec![0];
    data.extend_from_slice(payment_id);
    data
}

/// The secret that a sender's key and a receiver's view key share.
fn derivation(secret: &[u8; 32], address: &Address) -> Option<EdwardsPoint> {
    let secret = Option::<Scalar>::from(Scalar::from_canonical_bytes(*secret))?;
    Some((point(address.view())? * secret).mul_by_cofactor())
}

/// The key of the output at `place` of a transaction with this secret key that pays `address`. `None` for a secret
/// that is no number below the group's order.
#[must_use]
pub fn output_key(secret: &[u8; 32], address: &Address, place: usize) -> Option<[u8; 32]> {
    let mut bytes = derivation(secret, address)?.compress().to_bytes().to_vec();
    push_varint(&mut bytes, place as u64);
    let scalar = Scalar::from_bytes_mod_order(keccak256(&bytes));
    Some((EdwardsPoint::mul_base(&scalar) + point(address.spend())?).compress().to_bytes())
}

/// The public key of a secret one. `None` for a secret that is no number below the group's order.
#[must_use]
pub fn public_key(secret: &[u8; 32]) -> Option<[u8; 32]> {
    let secret = Option::<Scalar>::from(Scalar::from_canonical_bytes(*secret))?;
    Some(EdwardsPoint::mul_base(&secret).compress().to_bytes())
}

/// Why a transaction was not seen to pay somebody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPaid {
    /// Its extra cannot be read.
    #[error("its extra: {0}")]
    Extra(#[from] BadBytes),
    /// It does not publish its secret key, so nobody but the receiver can tell.
    #[error("it does not publish its secret key, so it cannot be seen whom it pays")]
    NoSecret,
    /// The secret key is not that of its public key.
    #[error("its secret key is not that of its public key")]
    OtherSecret,
    /// It names another receiver.
    #[error("it names another receiver")]
    OtherReceiver,
    /// An output is for somebody else.
    #[error("its output {0} is for somebody else")]
    OtherKey(
        /// The output's place, from 0.
        usize,
    ),
    /// It pays nothing, or more than there can be.
    #[error("its amounts make no sum")]
    Amount,
}

/// What a transaction pays, all of it to `address`. Unit: smallest units.
///
/// # Errors
/// [`NotPaid`] unless every output can be seen to be for that address.
pub fn pays(transaction: &Transaction, address: &Address) -> Result<u64, NotPaid> {
    let extra = &transaction.prefix.extra;
    let fields = fields(extra)?;
    let of =
        |tag: u8| fields.iter().filter(move |field| field.tag == tag).map(|field| &extra[field.data.clone()]);
    let [Some(secret), public] = [of(Field::SECRET_KEY).next(), of(Field::PUBLIC_KEY).next()] else {
        return Err(NotPaid::NoSecret);
    };
    let secret: &[u8; 32] = secret.try_into().map_err(|_| NotPaid::NoSecret)?;
    if public != public_key(secret).as_ref().map(<[u8; 32]>::as_slice) {
        return Err(NotPaid::OtherSecret);
    }
    let receiver = [*address.spend(), *address.view()].concat();
    if of(Field::RECEIVER).any(|named| named != receiver) {
        return Err(NotPaid::OtherReceiver);
    }
    for (place, output) in transaction.prefix.outputs.iter().enumerate() {
        if output_key(secret, address, place) != Some(output.key) {
            return Err(NotPaid::OtherKey(place));
        }
    }
    match transaction.total() {
        Some(total) if total > 0 => Ok(total),
        Some(_) | None => Err(NotPaid::Amount),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const POOL: &str =
        "XwoViygnRn7QaFtbc8XkwigF5oXhRZ41uinUK8XviwvAe4XjHJqfUVHGcieAJQSyWcQ1d6tzfGvyz5KZKSNeU3Bh1d9FDxNoJ";

    fn coinbases() -> Vec<Transaction> {
        let vectors: Value = serde_json::from_str(include_str!("../../testdata/dynex.json")).unwrap();
        let blobs = vectors["templates"].as_array().unwrap().clone();
        blobs
            .iter()
            .map(|vector| hex::decode(vector["blocktemplate_blob"].as_str().unwrap()).unwrap())
            .map(|blob| super::super::blob::Block::parse(&blob).unwrap().coinbase)
            .collect()
    }

    /// A coinbase of the node itself: the keys in it are those of the node's own arithmetic.
    #[test]
    fn every_published_coinbase_is_seen_to_pay_its_miner_and_nobody_else() {
        let pool = Address::parse(POOL).unwrap();
        let other = "XwnV1b9sULyFvmW8NGQyndJGWkF9eE13XKobuGvHUS4QFRrKH7Ze8tRFM6kPeLjLHyfLWPoo7r8RJKyqpcGxZHk32f2avgT4t";
        let other = Address::parse(other).unwrap();
        for coinbase in coinbases() {
            assert_eq!(pays(&coinbase, &pool), Ok(95_367_431_640));
            assert_eq!(pays(&coinbase, &other), Err(NotPaid::OtherReceiver));
            let mut lie = coinbase.clone();
            lie.prefix.outputs[0].key[0] ^= 1;
            assert_eq!(pays(&lie, &pool), Err(NotPaid::OtherKey(0)));
            let mut lie = coinbase.clone();
            lie.prefix.outputs.push(Output { amount: 1, key: coinbase.prefix.outputs[0].key });
            assert_eq!(pays(&lie, &pool), Err(NotPaid::OtherKey(1)));
            let mut lie = coinbase.clone();
            lie.prefix.outputs.clear();
            assert_eq!(pays(&lie, &pool), Err(NotPaid::Amount));
        }
    }

    #[test]
    fn the_fields_of_a_coinbase_have_their_order() {
        for coinbase in coinbases() {
            let fields = fields(&coinbase.prefix.extra).unwrap();
            let tags: Vec<u8> = fields.iter().map(|field| field.tag).collect();
            assert_eq!(tags, [1, 2, 7, 5, 6]);
            let amount = &coinbase.prefix.extra[fields[4].data.clone()];
            assert_eq!(u64::from_le_bytes(amount.try_into().unwrap()), coinbase.total().unwrap());
        }
        assert_eq!(fields(&[0, 0, 0]).unwrap(), [Field { tag: 0, data: 1..3 }]);
        assert!(fields(&[0, 0, 1]).is_err());
        assert!(fields(&[9]).is_err());
        assert!(fields(&[2, 5, 0]).is_err());
        assert_eq!(fields(&[]).unwrap(), []);
    }

    #[test]
    fn a_secret_without_its_public_key_proves_nothing() {
        let pool = Address::parse(POOL).unwrap();
        let coinbase = &coinbases()[0];
        let fields = fields(&coinbase.prefix.extra).unwrap();
        let without = |tag: u8| {
            let mut lie = coinbase.clone();
            let field = fields.iter().find(|field| field.tag == tag).unwrap();
            lie.prefix.extra.drain(field.data.start - 1..field.data.end);
            lie
        };
        assert_eq!(pays(&without(Field::SECRET_KEY), &pool), Err(NotPaid::NoSecret));
        assert_eq!(pays(&without(Field::PUBLIC_KEY), &pool), Err(NotPaid::OtherSecret));
        // The order of the group itself is no secret key.
        let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
        let order: [u8; 32] = hex::decode(order).unwrap().try_into().unwrap();
        assert_eq!((public_key(&order), output_key(&order, &pool, 0)), (None, None));
    }

    #[test]
    fn a_payment_with_rings_is_read_and_written() {
        let payment = Transaction {
            prefix: Prefix {
                version: 1,
                unlock_time: 0,
                inputs: vec![
                    Input::Key { amount: 5, offsets: vec![300, 1], key_image: [7; 32] },
                    Input::Key { amount: 6, offsets: vec![1], key_image: [8; 32] },
                ],
                outputs: vec![Output { amount: 11, key: [9; 32] }],
                extra: vec![1; 33],
            },
            signatures: vec![3; 3 * 64],
        };
        let bytes = payment.to_bytes();
        assert_eq!(Transaction::parse(&bytes), Ok(payment.clone()));
        assert_eq!(payment.height(), None);
        for len in 0..bytes.len() {
            assert!(Transaction::parse(&bytes[..len]).is_err(), "{len}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            if let Ok(transaction) = Transaction::parse(&bytes) {
                prop_assert_eq!(transaction.to_bytes(), bytes);
            }
        }

        #[test]
        fn what_pays_one_address_pays_no_other(secret: [u8; 32], place in 0usize..300) {
            let secret = Scalar::from_bytes_mod_order(secret).to_bytes();
            let key = |n: u8| public_key(&Scalar::from(u64::from(n)).to_bytes()).unwrap();
            let one = Address::of_keys(key(3), key(4)).unwrap();
            let other = Address::of_keys(key(3), key(5)).unwrap();
            let of = |address| output_key(&secret, address, place);
            prop_assert!(secret == [0; 32] || of(&one) != of(&other));
            prop_assert!(of(&one) != output_key(&secret, &one, place + 1));
        }
    }
}
