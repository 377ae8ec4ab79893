//! Between the wire's text and the chain's values.
//!
//! Everything that comes from a node is checked on its way in: hashes are 32 bytes, numbers fit their fields. The
//! pure modules work on values; the node, the wallet and the development node work on messages; this is the only
//! place where one becomes the other.

use super::coinbase::PayScript;
use super::grpc::wire;
use super::header::Header;
#[cfg(feature = "wallet")]
use super::mass::{self, Masses};
use super::tx::{self, Transaction};
use pool_core::units::U256;

/// Text or numbers of a message that are not what their field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

pub(crate) fn hash(text: &str) -> Result<[u8; 32], Malformed> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| Malformed("hash"))?;
    Ok(bytes)
}

#[cfg(feature = "wallet")]
pub(crate) fn wire_script(script: &PayScript) -> wire::Script {
    wire::Script { version: u32::from(script.version), script: hex::encode(&script.script) }
}

pub(crate) fn pay_script(script: &wire::Script) -> Result<PayScript, Malformed> {
    Ok(PayScript {
        version: u16::try_from(script.version).map_err(|_| Malformed("script version"))?,
        script: hex::decode(&script.script).map_err(|_| Malformed("script"))?,
    })
}

pub(crate) fn header(header: &wire::Header) -> Result<Header, Malformed> {
    let level = |level: &wire::LevelParents| level.hashes.iter().map(|text| hash(text)).collect();
    Ok(Header {
        version: u16::try_from(header.version).map_err(|_| Malformed("header version"))?,
        parents: header.parents.iter().map(level).collect::<Result<_, _>>()?,
        hash_merkle_root: hash(&header.hash_merkle_root)?,
        accepted_id_merkle_root: hash(&header.accepted_id_merkle_root)?,
        utxo_commitment: hash(&header.utxo_commitment)?,
        timestamp: u64::try_from(header.timestamp).map_err(|_| Malformed("timestamp"))?,
        bits: header.bits,
        nonce: header.nonce,
        daa_score: header.daa_score,
        blue_score: header.blue_score,
        blue_work: blue_work(&header.blue_work)?,
        pruning_point: hash(&header.pruning_point)?,
    })
}

/// Hexadecimal without leading zeros, so the count of digits may be odd; nothing is zero.
fn blue_work(text: &str) -> Result<U256, Malformed> {
    if text.len() > 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Malformed("blue work"));
    }
    if text.is_empty() {
        return Ok(U256::ZERO);
    }
    U256::from_str_radix(text, 16).map_err(|_| Malformed("blue work"))
}

pub(crate) fn transaction(transaction: &wire::Transaction) -> Result<Transaction, Malformed> {
    let input = |input: &wire::TransactionInput| {
        let outpoint = input.outpoint.as_ref().ok_or(Malformed("input"))?;
        Ok(tx::Input {
            outpoint: tx::Outpoint { id: hash(&outpoint.transaction_id)?, index: outpoint.index },
            signature_script: hex::decode(&input.signature_script)
                .map_err(|_| Malformed("signature script"))?,
            sequence: input.sequence,
            sig_op_count: u8::try_from(input.sig_op_count).map_err(|_| Malformed("signature count"))?,
            compute_budget: u16::try_from(input.compute_budget).map_err(|_| Malformed("compute budget"))?,
        })
    };
    let covenant = |covenant: &wire::Covenant| {
        Ok(tx::Covenant {
            authorizing_input: u16::try_from(covenant.authorizing_input)
                .map_err(|_| Malformed("covenant"))?,
            id: hash(&covenant.covenant_id)?,
        })
    };
    let output = |output: &wire::TransactionOutput| {
        let script = pay_script(output.script.as_ref().ok_or(Malformed("output"))?)?;
        Ok(tx::Output {
            value: output.amount,
            script_version: script.version,
            script: script.script,
            covenant: output.covenant.as_ref().map(covenant).transpose()?,
        })
    };
    let mut subnetwork = [0; 20];
    hex::decode_to_slice(&transaction.subnetwork_id, &mut subnetwork).map_err(|_| Malformed("subnetwork"))?;
    Ok(Transaction {
        version: u16::try_from(transaction.version).map_err(|_| Malformed("transaction version"))?,
        inputs: transaction.inputs.iter().map(input).collect::<Result<_, _>>()?,
        outputs: transaction.outputs.iter().map(output).collect::<Result<_, _>>()?,
        lock_time: transaction.lock_time,
        subnetwork,
        gas: transaction.gas,
        payload: hex::decode(&transaction.payload).map_err(|_| Malformed("payload"))?,
        storage_mass: transaction.storage_mass,
    })
}

#[cfg(feature = "wallet")]
pub(crate) fn transaction_id(message: &wire::Transaction) -> Result<[u8; 32], Malformed> {
    Ok(transaction(message)?.id())
}

#[cfg(feature = "devnode")]
pub(crate) fn block_hash(message: &wire::Header) -> Result<[u8; 32], Malformed> {
    Ok(header(message)?.hash())
}

#[cfg(feature = "devnode")]
pub(crate) fn pre_pow_hash(message: &wire::Header) -> Result<[u8; 32], Malformed> {
    Ok(header(message)?.pre_pow_hash())
}

pub(crate) fn merkle_root(transactions: &[wire::Transaction]) -> Result<[u8; 32], Malformed> {
    let hashes = transactions.iter().map(|message| Ok(transaction(message)?.hash()));
    Ok(tx::merkle_root(&hashes.collect::<Result<Vec<_>, Malformed>>()?))
}

/// What a transaction weighs; `spent` are the amounts of the inputs' coins, in order.
#[cfg(feature = "wallet")]
pub(crate) fn masses(message: &wire::Transaction, spent: &[u64]) -> Result<Masses, Malformed> {
    mass::masses(&transaction(message)?, spent).ok_or(Malformed("amounts"))
}

/// The hash that input `index`'s signature signs; `spent` is its coin.
#[cfg(feature = "wallet")]
pub(crate) fn sighash(
    transaction: &Transaction,
    index: usize,
    spent: &(u64, PayScript),
) -> Result<[u8; 32], Malformed> {
    let (value, script) = spent;
    let spent = tx::Spent { value: *value, script_version: script.version, script: script.script.clone() };
    transaction.schnorr_sighash(index, &spent).ok_or(Malformed("input"))
}

/// A push of the signature and the hash type "all".
#[cfg(feature = "wallet")]
pub(crate) fn signature_script(signature: &[u8; 64]) -> Vec<u8> {
    let mut script = Vec::with_capacity(66);
    script.push(65);
    script.extend_from_slice(signature);
    script.push(1);
    script
}

/// Every input must carry a Schnorr signature of the key its coin pays to.
#[cfg(feature = "devnode")]
pub(crate) fn check_signatures(
    message: &wire::Transaction,
    spent: &[(u64, PayScript)],
) -> Result<(), Malformed> {
    let transaction = transaction(message)?;
    for (index, (input, coin)) in transaction.inputs.iter().zip(spent).enumerate() {
        let (_, script) = coin;
        let &[0x20, ref key @ .., 0xac] = script.script.as_slice() else {
            return Err(Malformed("coin: only payments to Schnorr keys can be spent here"));
        };
        let key: [u8; 32] = key.try_into().map_err(|_| Malformed("public key"))?;
        let key = secp256k1::XOnlyPublicKey::from_byte_array(key).map_err(|_| Malformed("public key"))?;
        let [65, signature @ .., 1] = input.signature_script.as_slice() else {
            return Err(Malformed("signature script"));
        };
        let signature: [u8; 64] = signature.try_into().map_err(|_| Malformed("signature script"))?;
        let signature = secp256k1::schnorr::Signature::from_byte_array(signature);
        let hash = sighash(&transaction, index, coin)?;
        secp256k1::schnorr::verify(&signature, &hash, &key).map_err(|_| Malformed("signature"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blue_work_may_have_an_odd_number_of_digits() {
        assert_eq!(blue_work("1e240"), Ok(U256::from(123_456u64)));
        assert_eq!(blue_work("01e240"), Ok(U256::from(123_456u64)));
        assert_eq!(blue_work(""), Ok(U256::ZERO));
        for bad in ["x", "0x1", "+1", "1_0", &"f".repeat(65)] {
            assert_eq!(blue_work(bad), Err(Malformed("blue work")), "{bad}");
        }
    }
}
