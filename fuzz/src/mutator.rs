//! Inputs made of inputs, the same ones for the same seed.
//!
//! It knows nothing of what it changes. Half of what it does is what every mutator does to bytes (flip, overwrite,
//! cut, repeat, join two inputs); the other half is what breaks parsers of text: numbers pushed to the edges of their
//! types, brackets and quotes where none belong, words taken from other inputs. It guides itself by nothing: for that
//! there is libFuzzer.

/// Sequence of numbers after Marsaglia's xorshift with a multiplied output (`xorshift64*`). Not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a name: every target has its own, which no other target's change disturbs.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        // FNV-1a; a state of zero would stay zero.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(hash | 1)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 for an `end` of 0.
    pub fn below(&mut self, end: usize) -> usize {
        // The bias of a remainder is of no interest here.
        if end == 0 { 0 } else { usize::try_from(self.draw() % end as u64).unwrap_or(0) }
    }

    fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> Option<&'a T> {
        list.get(self.below(list.len())).copied()
    }
}

/// What parsers trip over.
const TOKENS: &[&[u8]] = &[
    b"0",
    b"-1",
    b"1e999",
    b"1e-999",
    b"18446744073709551615",
    b"18446744073709551616",
    b"340282366920938463463374607431768211455",
    b"340282366920938463463374607431768211456",
    b"0.00000000023283064365386962890625",
    b"NaN",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":{\"a\":{",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\xc3\x28",
    b"\xe2\x80\xae",
    b"\0",
    b"\r\n",
    b"\n",
    b"\t",
    b" ",
    b",",
    b":",
    b"/",
    b".",
    b"0x",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
];

/// The longest input that is made. Longer ones test patience.
pub const BYTES_MAX: usize = 16 * 1024;

/// A stream of inputs around a corpus.
#[derive(Debug)]
pub struct Mutator<'a> {
    random: Random,
    corpus: &'a [Vec<u8>],
}

impl<'a> Mutator<'a> {
    /// The stream of a target's name around its corpus.
    #[must_use]
    pub fn new(name: &str, corpus: &'a [Vec<u8>]) -> Self {
        Self { random: Random::of_name(name), corpus }
    }

    /// The next input: one of the corpus with one to six changes, at most [`BYTES_MAX`] bytes.
    pub fn input(&mut self) -> Vec<u8> {
        let mut bytes = self.seed().to_vec();
        for _ in 0..=self.random.below(6) {
            self.change(&mut bytes);
        }
        bytes.truncate(BYTES_MAX);
        bytes
    }

    fn seed(&mut self) -> &'a [u8] {
        let place = self.random.below(self.corpus.len());
        self.corpus.get(place).map_or(&[], Vec::as_slice)
    }

    /// A range of a length, mostly short.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.random.below(length + 1);
        let longest = if self.random.below(4) == 0 { length } else { 16 };
        let end = (start + self.random.below(longest + 1)).min(length);
        start..end
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.random.below(bytes.len());
        match self.random.below(11) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.random.below(8);
                }
            }
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = self.random.draw() as u8;
                }
            }
            2 => {
                let range = self.range(bytes.len());
                bytes.drain(range);
            }
            3 => {
                let range = self.range(bytes.len());
                let (part, to) = (bytes[range].to_vec(), self.random.below(bytes.len() + 1));
                let times = 1 + self.random.below(3);
                bytes.splice(to..to, part.repeat(times));
            }
            4 => {
                let token = self.random.pick(TOKENS).unwrap_or_default();
                let range = self.range(bytes.len());
                let range = if self.random.below(2) == 0 { range.start..range.start } else { range };
                bytes.splice(range, token.iter().copied());
            }
            5 => bytes.truncate(at),
            6 => {
                let other = self.seed();
                let from = self.range(other.len());
                let range = self.range(bytes.len());
                bytes.splice(range, other[from].iter().copied());
            }
            // One line of another input among the lines of this one: what a conversation is made of.
            7 => {
                let other = self.seed();
                let lines: Vec<&[u8]> = other.split_inclusive(|byte| *byte == b'\n').collect();
                let line = self.random.pick(&lines).unwrap_or_default();
                let breaks: Vec<usize> = (0..bytes.len()).filter(|place| bytes[*place] == b'\n').collect();
                let to = breaks.get(self.random.below(breaks.len())).map_or(0, |place| place + 1);
                bytes.splice(to..to, line.iter().copied());
            }
            8 => self.other_number(bytes),
            9 => {
                let range = self.range(bytes.len());
                for byte in &mut bytes[range] {
                    *byte = self.random.draw() as u8;
                }
            }
            _ => {
                let byte = self.random.draw() as u8;
                bytes.insert(at, byte);
            }
        }
    }

    /// Another number in place of one that is there.
    fn other_number(&mut self, bytes: &mut Vec<u8>) {
        let starts: Vec<usize> = (0..bytes.len())
            .filter(|at| bytes[*at].is_ascii_digit() && (*at == 0 || !bytes[at - 1].is_ascii_digit()))
            .collect();
        let Some(&start) = starts.get(self.random.below(starts.len())) else { return };
        let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = match self.random.below(5) {
            0 => self.random.below(4).to_string(),
            1 => self.random.draw().to_string(),
            2 => (u128::from(self.random.draw()) << self.random.below(64)).to_string(),
            3 => (1u128 << self.random.below(128)).to_string(),
            _ => (self.random.draw() >> self.random.below(64)).to_string(),
        };
        bytes.splice(start..start + length, number.into_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_makes_the_same_inputs_and_another_name_others() {
        let corpus = [b"{\"id\":1}\n{\"id\":2}\n".to_vec(), b"mining.submit".to_vec()];
        let stream = |name| {
            let mut mutator = Mutator::new(name, &corpus);
            (0..200).map(|_| mutator.input()).collect::<Vec<_>>()
        };
        assert_eq!(stream("one"), stream("one"));
        assert_ne!(stream("one"), stream("two"));
    }

    #[test]
    fn an_empty_corpus_still_makes_inputs_within_the_bound() {
        let mut mutator = Mutator::new("none", &[]);
        let inputs: Vec<_> = (0..500).map(|_| mutator.input()).collect();
        assert!(inputs.iter().any(|input| !input.is_empty()));
        assert!(inputs.iter().all(|input| input.len() <= BYTES_MAX));
    }
}
