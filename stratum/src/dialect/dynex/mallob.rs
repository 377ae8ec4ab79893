//! The useful-work network's name for a miner, and what miners ask it through the pool.

use std::fmt;

/// The longest network id: the real ones are 64 hexadecimal digits.
const BYTES_MAX: usize = 64;

/// A miner's id in the useful-work network: 1 to 64 printable characters, kept as they were sent. The default is the
/// empty id of a pool that asks for none.
///
/// A value without a heap, because a connection's profile is one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MallobId {
    bytes: [u8; BYTES_MAX],
    len: u8,
}

impl MallobId {
    /// From a miner's text; `None` for one that is empty, longer than 64 characters, or not printable ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut bytes = [0; BYTES_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self { bytes, len: text.len() as u8 })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).expect("it is made of ASCII")
    }
}

impl Default for MallobId {
    fn default() -> Self {
        Self { bytes: [0; BYTES_MAX], len: 0 }
    }
}

impl fmt::Debug for MallobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MallobId({:?})", self.as_str())
    }
}

/// What a miner asks the useful-work service through the pool: whose question, and the opaque payload.
///
/// A session passes questions on as one text; this is that text's form: the id, a space, the payload as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who asks.
    pub mallob: MallobId,
    /// What, unchanged.
    pub payload: String,
}

impl Question {
    /// The text.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{} {}", self.mallob.as_str(), self.payload)
    }

    /// Reads the text; `None` when it is none of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (mallob, payload) = text.split_once(' ')?;
        Some(Self { mallob: MallobId::new(mallob)?, payload: payload.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_are_short_and_printable() {
        let longest = "f".repeat(64);
        assert_eq!(MallobId::new(&longest).unwrap().as_str(), longest);
        for bad in ["", &"f".repeat(65), "a b", "a\n", "é"] {
            assert_eq!(MallobId::new(bad), None, "{bad:?}");
        }
        assert_eq!(MallobId::default().as_str(), "");
    }

    proptest! {
        #[test]
        fn a_question_is_written_and_read(id in "[!-~]{1,64}", payload: String) {
            let question = Question { mallob: MallobId::new(&id).unwrap(), payload };
            prop_assert_eq!(Question::parse(&question.to_text()), Some(question));
        }
    }
}
