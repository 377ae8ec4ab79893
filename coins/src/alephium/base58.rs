//! Base58 with the Bitcoin alphabet, without a checksum: that is what Alephium's addresses are written in.

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Longer texts are not looked at: the work grows with the square of the length.
pub(crate) const TEXT_MAX: usize = 256;

/// A character that is no digit, and its place counted in characters from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadDigit {
    pub(crate) character: char,
    pub(crate) position: usize,
}

/// The bytes of a text of at most [`TEXT_MAX`] characters.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, BadDigit> {
    let mut bytes: Vec<u8> = Vec::with_capacity(text.len());
    let mut zeros = 0;
    for (place, character) in text.chars().enumerate() {
        let digit = ALPHABET.iter().position(|known| char::from(*known) == character);
        let Some(digit) = digit else { return Err(BadDigit { character, position: place + 1 }) };
        if digit == 0 && bytes.is_empty() {
            zeros += 1;
            continue;
        }
        // The number so far, least significant byte first, times 58 plus the digit.
        let mut carry = digit;
        for byte in &mut bytes {
            carry += usize::from(*byte) * 58;
            *byte = (carry % 256) as u8;
            carry /= 256;
        }
        if carry > 0 {
            bytes.push(carry as u8);
        }
    }
    bytes.resize(bytes.len() + zeros, 0);
    bytes.reverse();
    Ok(bytes)
}

/// The text of some bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut digits: Vec<u8> = Vec::with_capacity(bytes.len() * 138 / 100 + 1);
    for byte in &bytes[zeros..] {
        let mut carry = usize::from(*byte);
        for digit in &mut digits {
            carry += usize::from(*digit) * 256;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let ones = std::iter::repeat_n('1', zeros);
    ones.chain(digits.iter().rev().map(|digit| char::from(ALPHABET[usize::from(*digit)]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_texts() {
        assert_eq!(encode(b"Hello World!"), "2NEpo7TZRRrLZSi2U");
        assert_eq!(decode("2NEpo7TZRRrLZSi2U"), Ok(b"Hello World!".to_vec()));
        assert_eq!((encode(&[0, 0, 1]), decode("112")), ("112".into(), Ok(vec![0, 0, 1])));
        assert_eq!(decode("1l"), Err(BadDigit { character: 'l', position: 2 }));
        assert_eq!(decode(""), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decode(&encode(&bytes)), Ok(bytes));
        }
    }
}
