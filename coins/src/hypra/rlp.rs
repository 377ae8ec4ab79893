//! RLP, the chain's encoding of trees of bytes: what headers and transactions are hashed and sent as.
//!
//! Reading is strict: one tree has one encoding, so that what hashes alike is alike. Nothing is copied, nesting is
//! bounded, and memory grows with the input alone. Source: appendix B of Ethereum's yellow paper (the rule).

/// The deepest nesting that is read: an access list in a transaction has four levels.
const DEPTH_MAX: usize = 8;

/// A tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list of trees.
    List(Vec<Item<'a>>),
}

/// Bytes that are no RLP, or no canonical one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadRlp {
    /// It ends before it should.
    #[error("rlp ends too early")]
    Short,
    /// Something follows the tree.
    #[error("rlp is followed by something else")]
    Trailing,
    /// Another spelling than the one there is.
    #[error("rlp is not canonical")]
    NotCanonical,
    /// Nested deeper than anything on the chain.
    #[error("rlp is nested too deep")]
    Deep,
    /// Bytes in the place of a list, or the other way round.
    #[error("rlp of another shape: {0} expected")]
    Shape(&'static str),
}

impl<'a> Item<'a> {
    /// Reads one tree that is all of `bytes`.
    ///
    /// # Errors
    /// [`BadRlp`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BadRlp> {
        match Self::take(bytes, DEPTH_MAX)? {
            (item, []) => Ok(item),
            _ => Err(BadRlp::Trailing),
        }
    }

    fn take(bytes: &'a [u8], depth: usize) -> Result<(Self, &'a [u8]), BadRlp> {
        let (&first, rest) = bytes.split_first().ok_or(BadRlp::Short)?;
        if first < 0x80 {
            return Ok((Self::Bytes(&bytes[..1]), rest));
        }
        let (is_list, code) = if first < 0xc0 { (false, first - 0x80) } else { (true, first - 0xc0) };
        let (length, rest) = match code {
            0..=55 => (usize::from(code), rest),
            _ => {
                let (digits, rest) = rest.split_at_checked(usize::from(code - 55)).ok_or(BadRlp::Short)?;
                if digits[0] == 0 {
                    return Err(BadRlp::NotCanonical);
                }
                let length = digits
                    .iter()
                    .try_fold(0usize, |length, digit| Some(length.checked_mul(256)? | usize::from(*digit)))
                    .ok_or(BadRlp::Short)?;
                if length < 56 {
                    return Err(BadRlp::NotCanonical);
                }
                (length, rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length).ok_or(BadRlp::Short)?;
        if !is_list {
            // A single small byte is its own encoding.
            return if matches!(content, [0..0x80]) {
                Err(BadRlp::NotCanonical)
            } else {
                Ok((Self::Bytes(content), rest))
            };
        }
        let depth = depth.checked_sub(1).ok_or(BadRlp::Deep)?;
        let (mut items, mut left) = (Vec::new(), content);
        while !left.is_empty() {
            let (item, after) = Self::take(left, depth)?;
            items.push(item);
            left = after;
        }
        Ok((Self::List(items), rest))
    }

    /// The bytes.
    ///
    /// # Errors
    /// [`BadRlp::Shape`] for a list.
    pub const fn bytes(&self) -> Result<&'a [u8], BadRlp> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::List(_) => Err(BadRlp::Shape("bytes")),
        }
    }

    /// The items of a list.
    ///
    /// # Errors
    /// [`BadRlp::Shape`] for bytes.
    pub fn list(&self) -> Result<&[Self], BadRlp> {
        match self {
            Self::List(items) => Ok(items),
            Self::Bytes(_) => Err(BadRlp::Shape("a list")),
        }
    }

    /// A number of at most 128 bits, big-endian without leading zeros; nothing is 0.
    ///
    /// # Errors
    /// [`BadRlp::Shape`] for a list or more bits, [`BadRlp::NotCanonical`] for leading zeros.
    pub fn number(&self) -> Result<u128, BadRlp> {
        let bytes = self.bytes()?;
        if bytes.first() == Some(&0) {
            return Err(BadRlp::NotCanonical);
        }
        if bytes.len() > 16 {
            return Err(BadRlp::Shape("a number of at most 128 bits"));
        }
        Ok(bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte)))
    }

    /// As [`Item::number`], of at most 64 bits.
    ///
    /// # Errors
    /// As [`Item::number`].
    pub fn small(&self) -> Result<u64, BadRlp> {
        u64::try_from(self.number()?).map_err(|_| BadRlp::Shape("a number of at most 64 bits"))
    }

    /// Bytes of a fixed length.
    ///
    /// # Errors
    /// [`BadRlp::Shape`] for another length.
    pub fn array<const N: usize>(&self) -> Result<[u8; N], BadRlp> {
        self.bytes()?.try_into().map_err(|_| BadRlp::Shape("another length"))
    }

    /// Appends the encoding.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bytes(bytes) => push_bytes(out, bytes),
            Self::List(items) => {
                let mut content = Vec::new();
                items.iter().for_each(|item| item.write(&mut content));
                push_list(out, &content);
            }
        }
    }
}

/// Appends bytes.
pub fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    if let [byte @ 0..0x80] = bytes {
        out.push(*byte);
    } else {
        push_length(out, 0x80, bytes.len());
        out.extend_from_slice(bytes);
    }
}

/// Appends a number.
pub fn push_number(out: &mut Vec<u8>, number: u128) {
    let bytes = number.to_be_bytes();
    push_bytes(out, trimmed(&bytes));
}

/// Appends a number of any length, given big-endian.
pub fn push_integer(out: &mut Vec<u8>, big_endian: &[u8]) {
    push_bytes(out, trimmed(big_endian));
}

/// Appends a list whose items are encoded already.
pub fn push_list(out: &mut Vec<u8>, content: &[u8]) {
    push_length(out, 0xc0, content.len());
    out.extend_from_slice(content);
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

fn push_length(out: &mut Vec<u8>, offset: u8, length: usize) {
    match u8::try_from(length) {
        Ok(short @ 0..=55) => out.push(offset + short),
        _ => {
            let digits = (length as u64).to_be_bytes();
            let digits = trimmed(&digits);
            // At most eight digits: 55 + 8 stays below the next range.
            out.push(offset + 55 + digits.len() as u8);
            out.extend_from_slice(digits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(item: &Item<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        item.write(&mut out);
        out
    }

    #[test]
    fn the_examples_of_the_yellow_paper() {
        let dog: &[u8] = b"\x83dog";
        assert_eq!(Item::parse(dog), Ok(Item::Bytes(b"dog")));
        assert_eq!(encoded(&Item::Bytes(b"dog")), dog);
        let pets = Item::List(vec![Item::Bytes(b"cat"), Item::Bytes(b"dog")]);
        assert_eq!(encoded(&pets), b"\xc8\x83cat\x83dog");
        assert_eq!(encoded(&Item::Bytes(b"")), b"\x80");
        assert_eq!(encoded(&Item::List(vec![])), b"\xc0");
        let mut number = Vec::new();
        push_number(&mut number, 0x0400);
        assert_eq!(number, b"\x82\x04\x00");
        let long = Item::Bytes(b"Lorem ipsum dolor sit amet, consectetur adipisicing elit");
        assert_eq!(encoded(&long)[..2], [0xb8, 0x38]);
    }

    #[test]
    fn another_spelling_is_refused() {
        for bad in [
            "8100",
            "817f",
            "b800",
            "b80161",
            "b90001",
            "f800",
            "f7",
            "",
            "83646f",
            "c183",
            "bfffffffffffffffff",
        ] {
            assert!(Item::parse(&hex::decode(bad).unwrap()).is_err(), "{bad}");
        }
        assert_eq!(Item::parse(b"\x01\x02"), Err(BadRlp::Trailing));
        assert_eq!(Item::Bytes(&[0, 1]).number(), Err(BadRlp::NotCanonical));
        assert_eq!(Item::Bytes(&[1; 17]).number(), Err(BadRlp::Shape("a number of at most 128 bits")));
        let nested = |depth: usize| {
            (0..depth).fold(Vec::new(), |content, _| {
                let mut out = Vec::new();
                push_list(&mut out, &content);
                out
            })
        };
        assert!(Item::parse(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(Item::parse(&nested(DEPTH_MAX + 1)), Err(BadRlp::Deep));
    }

    #[derive(Clone, Debug)]
    enum Tree {
        Bytes(Vec<u8>),
        List(Vec<Tree>),
    }

    impl Tree {
        fn item(&self) -> Item<'_> {
            match self {
                Self::Bytes(bytes) => Item::Bytes(bytes),
                Self::List(items) => Item::List(items.iter().map(Self::item).collect()),
            }
        }
    }

    fn trees() -> impl Strategy<Value = Tree> {
        let leaf = proptest::collection::vec(any::<u8>(), 0..80).prop_map(Tree::Bytes);
        leaf.prop_recursive(4, 40, 8, |inner| proptest::collection::vec(inner, 0..8).prop_map(Tree::List))
    }

    proptest! {
        #[test]
        fn every_tree_reads_back(tree in trees()) {
            let bytes = encoded(&tree.item());
            prop_assert_eq!(Item::parse(&bytes), Ok(tree.item()));
        }

        #[test]
        fn what_is_read_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(item) = Item::parse(&bytes) {
                prop_assert_eq!(encoded(&item), bytes);
            }
        }

        #[test]
        fn numbers_read_back(number: u128) {
            let mut out = Vec::new();
            push_number(&mut out, number);
            prop_assert_eq!(Item::parse(&out).unwrap().number(), Ok(number));
        }
    }
}
