//! What a coinbase transaction's payload says: who mined the block and what its own subsidy is.
//!
//! The payload of block `B` names `B`'s miner; the *outputs* of `B`'s coinbase pay the miners of the blocks that `B`
//! merges. Both halves are needed to know what the chain paid for a block.
//! Source: `coinbase.rs` of kaspa-consensus 2.1.0 (behaviour).
//!
//! The payload ends in free bytes, where a node writes its version and then what the pool asks for. A pool may end
//! them in a commitment: [`COMMITMENT_MARK`] and 64 lower-case hexadecimal digits, a hash that was known before the
//! block was found, such as the root of the log of shares that the block will pay.

/// A script public key: its version and bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PayScript {
    /// 0 today.
    pub version: u16,
    /// The script.
    pub script: Vec<u8>,
}

/// What a commitment begins with.
pub const COMMITMENT_MARK: &str = "log:";

/// The free text that a pool asks for: its own, then the commitment if there is one, parted by a slash.
#[must_use]
pub fn free_text(own: &str, commitment: Option<&[u8; 32]>) -> String {
    match commitment {
        None => own.to_owned(),
        Some(hash) => {
            let slash = if own.is_empty() { "" } else { "/" };
            format!("{own}{slash}{COMMITMENT_MARK}{}", hex::encode(hash))
        }
    }
}

/// A coinbase payload, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoinbasePayload {
    /// The block's blue score.
    pub blue_score: u64,
    /// The block's own subsidy. Unit: sompi. Fees are not in it.
    pub subsidy: u64,
    /// Who is paid for the block.
    pub pay_to: PayScript,
    /// Free bytes.
    pub extra_data: Vec<u8>,
}

/// Bytes that are no coinbase payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a coinbase payload: it ends too early")]
pub struct ShortPayload;

impl CoinbasePayload {
    /// The longest payload the chain takes.
    pub const MAX_LEN: usize = 204;
    /// The longest script a payload may name.
    pub const SCRIPT_MAX_LEN: usize = 150;

    /// Reads `blue score u64 | subsidy u64 | script version u16 | script length u8 | script | extra data`, all
    /// little-endian.
    ///
    /// # Errors
    /// [`ShortPayload`] when a field is missing.
    pub fn parse(bytes: &[u8]) -> Result<Self, ShortPayload> {
        let (blue_score, rest) = bytes.split_first_chunk::<8>().ok_or(ShortPayload)?;
        let (subsidy, rest) = rest.split_first_chunk::<8>().ok_or(ShortPayload)?;
        let (version, rest) = rest.split_first_chunk::<2>().ok_or(ShortPayload)?;
        let (&length, rest) = rest.split_first().ok_or(ShortPayload)?;
        let (script, extra_data) = rest.split_at_checked(usize::from(length)).ok_or(ShortPayload)?;
        Ok(Self {
            blue_score: u64::from_le_bytes(*blue_score),
            subsidy: u64::from_le_bytes(*subsidy),
            pay_to: PayScript { version: u16::from_le_bytes(*version), script: script.to_vec() },
            extra_data: extra_data.to_vec(),
        })
    }

    /// What the free bytes commit to, if they end in a commitment behind a slash or nothing.
    #[must_use]
    pub fn commitment(&self) -> Option<[u8; 32]> {
        let (before, digits) = self.extra_data.split_last_chunk::<64>()?;
        let before = before.strip_suffix(COMMITMENT_MARK.as_bytes())?;
        let plain = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let mut hash = [0; 32];
        let parted = before.last().is_none_or(|byte| *byte == b'/');
        (parted && plain && hex::decode_to_slice(digits, &mut hash).is_ok()).then_some(hash)
    }

    /// The bytes of which [`CoinbasePayload::parse`] makes this value. The script must be at most
    /// [`CoinbasePayload::SCRIPT_MAX_LEN`] bytes; what is behind that is cut off.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let script = &self.pay_to.script[..self.pay_to.script.len().min(Self::SCRIPT_MAX_LEN)];
        let mut bytes = Vec::with_capacity(19 + script.len() + self.extra_data.len());
        bytes.extend_from_slice(&self.blue_score.to_le_bytes());
        bytes.extend_from_slice(&self.subsidy.to_le_bytes());
        bytes.extend_from_slice(&self.pay_to.version.to_le_bytes());
        bytes.push(script.len() as u8);
        bytes.extend_from_slice(script);
        bytes.extend_from_slice(&self.extra_data);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_mainnet_payload_reads_as_the_explorer_shows_it() {
        let payload = hex::decode(
            "b9b5220500000000d7ab55270200000000002220cdcb53d7708f03ffa58c989ad41ecd1b91e3f30a34bbd91f593aacdb5e0b2f\
             d8ac302e31342e312f322f302f637878782f",
        )
        .unwrap();
        let read = CoinbasePayload::parse(&payload).unwrap();
        assert_eq!((read.blue_score, read.subsidy), (86_160_825, 9_249_860_567));
        assert_eq!(
            hex::encode(&read.pay_to.script),
            "20cdcb53d7708f03ffa58c989ad41ecd1b91e3f30a34bbd91f593aacdb5e0b2fd8ac"
        );
        assert_eq!(read.extra_data, b"0.14.1/2/0/cxxx/");
        assert_eq!(read.to_bytes(), payload);
        for end in 0..53 {
            assert_eq!(CoinbasePayload::parse(&payload[..end]), Err(ShortPayload), "{end}");
        }
    }

    #[test]
    fn a_commitment_is_read_where_one_ends_the_free_text_and_nowhere_else() {
        let hash: [u8; 32] = core::array::from_fn(|place| place as u8);
        let read = |text: &str| {
            let pay_to = PayScript { version: 0, script: vec![0x51] };
            CoinbasePayload { blue_score: 1, subsidy: 2, pay_to, extra_data: text.into() }.commitment()
        };
        for own in ["", "pool", "2.1.0/pool"] {
            let text = free_text(own, Some(&hash));
            assert_eq!(read(&text), Some(hash), "{text}");
            assert_eq!(read(&format!("2.1.0/{text}")), Some(hash), "behind the node's own text");
            assert_eq!(read(&format!("{text}/")), None, "a commitment ends the text");
            assert_eq!(read(&text.to_uppercase()), None);
            assert_eq!(read(&text[..text.len() - 1]), None);
            assert_eq!(read(&free_text(own, None)), None);
        }
        assert_eq!(read(&format!("blog:{}", hex::encode(hash))), None, "the mark stands behind a slash");
        assert_eq!(free_text("pool", None), "pool");
    }

    proptest! {
        #[test]
        fn any_bytes_that_parse_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(read) = CoinbasePayload::parse(&bytes)
                && read.pay_to.script.len() <= CoinbasePayload::SCRIPT_MAX_LEN
            {
                prop_assert_eq!(read.to_bytes(), bytes);
            }
        }
    }
}
