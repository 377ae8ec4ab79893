//! A block on its way through the pool, as bytes that nobody re-encodes.
//!
//! What a node offers may have fields this pool has never heard of; a block that lacks one of them is another block.
//! So a template is cut once into what stands before, in and behind its header's nonce, and a solved block is those
//! bytes with another nonce. Nothing else is touched.

/// Bytes that are no block in protocol-buffer form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed block bytes: {0}")]
pub struct BadBlockBytes(pub &'static str);

/// `RpcBlock`, cut around its header's nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawTemplate {
    /// Fields before the header.
    before: Vec<u8>,
    /// The header's fields without the nonce.
    header: Vec<u8>,
    /// Fields behind the header.
    after: Vec<u8>,
}

/// The header is field 1 of a block, the nonce field 8 of a header.
const HEADER_FIELD: u64 = 1;
const NONCE_FIELD: u64 = 8;
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

impl RawTemplate {
    /// Cuts an encoded `RpcBlock`.
    ///
    /// # Errors
    /// [`BadBlockBytes`] for bytes that are no message, or have no header, or more than one.
    pub fn cut(block: &[u8]) -> Result<Self, BadBlockBytes> {
        let mut header = None;
        let mut at = 0;
        while at < block.len() {
            let field = Field::read(block, at)?;
            if field.number == HEADER_FIELD {
                if field.wire != LENGTH {
                    return Err(BadBlockBytes("the header is no message"));
                }
                if header.is_some() {
                    return Err(BadBlockBytes("two headers"));
                }
                header = Some((at, field.payload, field.end));
            }
            at = field.end;
        }
        let (start, payload, end) = header.ok_or(BadBlockBytes("no header"))?;
        Ok(Self {
            before: block[..start].to_vec(),
            header: without_nonce(&block[payload..end])?,
            after: block[end..].to_vec(),
        })
    }

    /// The whole `RpcBlock` with this nonce.
    #[must_use]
    pub fn with_nonce(&self, nonce: u64) -> Vec<u8> {
        let mut field = Vec::with_capacity(11);
        push_varint(&mut field, NONCE_FIELD << 3 | VARINT);
        push_varint(&mut field, nonce);
        let length = self.header.len() + field.len();
        let mut block = Vec::with_capacity(self.before.len() + length + self.after.len() + 12);
        block.extend_from_slice(&self.before);
        push_varint(&mut block, HEADER_FIELD << 3 | LENGTH);
        push_varint(&mut block, length as u64);
        block.extend_from_slice(&self.header);
        block.extend_from_slice(&field);
        block.extend_from_slice(&self.after);
        block
    }
}

fn without_nonce(header: &[u8]) -> Result<Vec<u8>, BadBlockBytes> {
    let mut kept = Vec::with_capacity(header.len());
    let mut at = 0;
    while at < header.len() {
        let field = Field::read(header, at)?;
        if field.number == NONCE_FIELD {
            if field.wire != VARINT {
                return Err(BadBlockBytes("the nonce is no integer"));
            }
        } else {
            kept.extend_from_slice(&header[at..field.end]);
        }
        at = field.end;
    }
    Ok(kept)
}

/// One field of a message, by the places of its parts.
struct Field {
    number: u64,
    wire: u64,
    payload: usize,
    end: usize,
}

impl Field {
    fn read(bytes: &[u8], at: usize) -> Result<Self, BadBlockBytes> {
        let (key, after_key) = read_varint(bytes, at)?;
        let (number, wire) = (key >> 3, key & 7);
        let (payload, end) = match wire {
            VARINT => (after_key, read_varint(bytes, after_key)?.1),
            FIXED64 => (after_key, after_key + 8),
            FIXED32 => (after_key, after_key + 4),
            LENGTH => {
                let (length, payload) = read_varint(bytes, after_key)?;
                let length = usize::try_from(length).map_err(|_| BadBlockBytes("a field is too long"))?;
                (payload, payload.checked_add(length).ok_or(BadBlockBytes("a field is too long"))?)
            }
            _ => return Err(BadBlockBytes("unknown wire type")),
        };
        if end > bytes.len() {
            return Err(BadBlockBytes("a field ends behind the message"));
        }
        Ok(Self { number, wire, payload, end })
    }
}

fn read_varint(bytes: &[u8], mut at: usize) -> Result<(u64, usize), BadBlockBytes> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = *bytes.get(at).ok_or(BadBlockBytes("an integer ends behind the message"))?;
        at += 1;
        if shift == 63 && byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((value, at));
        }
    }
    Err(BadBlockBytes("an integer is wider than 64 bits"))
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::super::wire;
    use super::*;
    use proptest::prelude::*;
    use prost::Message;

    /// A block as a newer node might send it: version 1 transactions with a covenant, an input's compute budget,
    /// and fields of numbers that nobody here knows, on every level.
    fn block_from_the_future() -> Vec<u8> {
        let mut header = wire::Header {
            version: 2,
            parents: vec![wire::LevelParents { hashes: vec!["11".repeat(32), "22".repeat(32)] }; 3],
            hash_merkle_root: "33".repeat(32),
            timestamp: 1_795_000_000_123,
            bits: 0x1e21_bc1c,
            nonce: 77,
            daa_score: 5,
            blue_work: "1e240".into(),
            ..wire::Header::default()
        }
        .encode_to_vec();
        push_varint(&mut header, 500 << 3 | LENGTH);
        header.extend_from_slice(&[3, 1, 2, 3]);

        let mut output = wire::TransactionOutput { amount: 9, ..Default::default() }.encode_to_vec();
        // covenant(4) { authorizing_input(1) = 3 }
        output.extend_from_slice(&[4 << 3 | 2, 2, 8, 3]);
        let mut transaction = wire::Transaction {
            version: 1,
            inputs: vec![wire::TransactionInput { compute_budget: 111, ..Default::default() }],
            payload: "00".repeat(30),
            storage_mass: 1_234,
            ..wire::Transaction::default()
        }
        .encode_to_vec();
        push_varint(&mut transaction, 3 << 3 | LENGTH);
        push_varint(&mut transaction, output.len() as u64);
        transaction.extend_from_slice(&output);
        push_varint(&mut transaction, 900 << 3 | FIXED64);
        transaction.extend_from_slice(&[7; 8]);

        let mut block = Vec::new();
        push_varint(&mut block, 800 << 3 | FIXED32);
        block.extend_from_slice(&[1, 2, 3, 4]);
        push_varint(&mut block, 1 << 3 | LENGTH);
        push_varint(&mut block, header.len() as u64);
        block.extend_from_slice(&header);
        push_varint(&mut block, 2 << 3 | LENGTH);
        push_varint(&mut block, transaction.len() as u64);
        block.extend_from_slice(&transaction);
        push_varint(&mut block, 801 << 3 | VARINT);
        push_varint(&mut block, u64::MAX);
        block
    }

    #[test]
    fn everything_but_the_nonce_survives_byte_for_byte() {
        let block = block_from_the_future();
        let raw = RawTemplate::cut(&block).unwrap();
        let solved = raw.with_nonce(u64::MAX);

        let decoded = wire::Block::decode(&*solved).unwrap();
        assert_eq!(decoded.header.unwrap().nonce, u64::MAX);
        // Cut again: the same parts, to the byte.
        assert_eq!(RawTemplate::cut(&solved).unwrap(), raw);
        // The original's parts, less the nonce's two bytes, stand in the solved block in their order.
        let nonce_at = block.windows(2).position(|pair| pair == [8 << 3, 77]).unwrap();
        let mut rest = block.clone();
        rest.drain(nonce_at..nonce_at + 2);
        let mut solved_rest = solved.clone();
        let solved_nonce: Vec<u8> = [8 << 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1].to_vec();
        let at = solved.windows(11).position(|window| window == solved_nonce).unwrap();
        solved_rest.drain(at..at + 11);
        // Only the header's length prefix may differ, and it has the same width here.
        let differing = rest.iter().zip(&solved_rest).filter(|(a, b)| a != b).count();
        assert_eq!(rest.len(), solved_rest.len());
        assert!(differing <= 2, "{differing} bytes differ");
    }

    #[test]
    fn blocks_without_a_header_or_with_two_are_refused() {
        assert_eq!(RawTemplate::cut(&[]), Err(BadBlockBytes("no header")));
        assert_eq!(RawTemplate::cut(&[10, 0, 10, 0]), Err(BadBlockBytes("two headers")));
        assert_eq!(RawTemplate::cut(&[10, 200]), Err(BadBlockBytes("an integer ends behind the message")));
        assert_eq!(RawTemplate::cut(&[10, 5, 1]), Err(BadBlockBytes("a field ends behind the message")));
        assert_eq!(RawTemplate::cut(&[8, 1]), Err(BadBlockBytes("the header is no message")));
        assert_eq!(RawTemplate::cut(&[15]), Err(BadBlockBytes("unknown wire type")));
    }

    proptest! {
        #[test]
        fn any_nonce_comes_back(nonce: u64) {
            let raw = RawTemplate::cut(&block_from_the_future()).unwrap();
            let block = wire::Block::decode(&*raw.with_nonce(nonce)).unwrap();
            prop_assert_eq!(block.header.unwrap().nonce, nonce);
        }

        #[test]
        fn cutting_arbitrary_bytes_never_panics(bytes: Vec<u8>) {
            if let Ok(raw) = RawTemplate::cut(&bytes) {
                let again = RawTemplate::cut(&raw.with_nonce(1)).unwrap();
                prop_assert_eq!(again, raw);
            }
        }

        #[test]
        fn decoding_arbitrary_bytes_as_an_answer_never_panics(bytes: Vec<u8>) {
            let _ = wire::Response::decode(&*bytes);
            let _ = wire::Request::decode(&*bytes);
            let _ = wire::Block::decode(&*bytes);
        }
    }
}
