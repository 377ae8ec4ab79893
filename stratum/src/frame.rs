//! Bytes to lines, bounded.
//!
//! A [`LineBuffer`] holds what was received and not yet said to the end. Between lines it holds nothing, not even an
//! empty allocation: ten thousand idle connections cost no buffers. A line longer than the bound is an error at the
//! moment the bound is passed, whether or not its end ever comes; a line that was begun and not finished has a
//! deadline, so that a byte now and then keeps nobody busy.
//!
//! Lines end with LF; a CR before it, and every other control character, becomes a space: some firmware puts TABs
//! inside of JSON strings, which JSON forbids. Lines of nothing but spaces are skipped.

use pool_core::time::{Micros, Moment};

/// A line passed the bound; the connection is to be closed, for what follows cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line longer than {max} bytes")]
pub struct LongLine {
    /// The bound, in bytes without the line's end.
    pub max: usize,
}

/// What one peer has sent and nobody has read. Holds at most one chunk and one line.
///
/// ```
/// use pool_core::time::Moment;
/// use pool_stratum::frame::LineBuffer;
///
/// let mut lines = LineBuffer::new(8192);
/// lines.push(Moment::ZERO, b"{\"id\":1}\r\n{\"id\"");
/// assert_eq!(lines.line().unwrap(), Some(&b"{\"id\":1} "[..]));
/// assert_eq!(lines.line().unwrap(), None); // half a line
/// ```
#[derive(Debug)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// No LF lies before this place.
    scanned: usize,
    /// When the half line at the end was begun.
    since: Option<Moment>,
    line_bytes_max: usize,
}

impl LineBuffer {
    /// An empty buffer for lines of at most `line_bytes_max` bytes.
    #[must_use]
    pub const fn new(line_bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, scanned: 0, since: None, line_bytes_max }
    }

    /// Takes what a read returned, at `now`. To be followed by [`LineBuffer::line`] until it has none.
    pub fn push(&mut self, now: Moment, chunk: &[u8]) {
        if chunk.is_empty() {
            return;
        }
        self.compact();
        if self.since.is_none() {
            self.since = Some(now);
        }
        if chunk.contains(&b'\n') {
            // A line that ends here is in the past; the rest, if any, was begun now.
            self.since = Some(now);
        }
        self.bytes.extend_from_slice(chunk);
    }

    /// The next whole line, cleaned, without its LF. `None` when there is none; then memory is given back.
    ///
    /// # Errors
    /// [`LongLine`] when the next line is, or is going to be, too long. It stays an error.
    pub fn line(&mut self) -> Result<Option<&[u8]>, LongLine> {
        loop {
            let Some(length) = self.bytes[self.scanned..].iter().position(|byte| *byte == b'\n') else {
                self.scanned = self.bytes.len();
                if self.scanned - self.start > self.line_bytes_max {
                    self.scanned = self.start;
                    return Err(LongLine { max: self.line_bytes_max });
                }
                self.compact();
                return Ok(None);
            };
            let (start, end) = (self.start, self.scanned + length);
            if end - start > self.line_bytes_max {
                return Err(LongLine { max: self.line_bytes_max });
            }
            self.start = end + 1;
            self.scanned = self.start;
            let line = &mut self.bytes[start..end];
            let mut blank = true;
            for byte in line.iter_mut() {
                if byte.is_ascii_control() {
                    *byte = b' ';
                }
                blank &= *byte == b' ';
            }
            if !blank {
                return Ok(Some(&self.bytes[start..end]));
            }
        }
    }

    /// When the half line that waits here must be finished. `None` while there is none.
    #[must_use]
    pub fn deadline(&self, line_max: Micros) -> Option<Moment> {
        self.since.map(|since| since.after(line_max))
    }

    /// Bytes of memory held.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Forgets the lines that were read; without a half line, the memory too.
    fn compact(&mut self) {
        if self.start == self.bytes.len() {
            self.bytes = Vec::new();
            self.since = None;
        } else if self.start > 0 {
            self.bytes = self.bytes[self.start..].to_vec();
        }
        self.scanned -= self.start;
        self.start = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drain(lines: &mut LineBuffer) -> Result<Vec<Vec<u8>>, LongLine> {
        let mut all = Vec::new();
        while let Some(line) = lines.line()? {
            all.push(line.to_vec());
        }
        Ok(all)
    }

    #[test]
    fn half_lines_wait_and_nothing_is_held_between_lines() {
        let mut lines = LineBuffer::new(64);
        assert_eq!(lines.capacity(), 0);
        lines.push(Moment::new(5), b"{\"id\":");
        assert_eq!(drain(&mut lines), Ok(vec![]));
        assert_eq!(lines.deadline(Micros::new(10)), Some(Moment::new(15)));
        lines.push(Moment::new(9), b"1}");
        assert_eq!(
            lines.deadline(Micros::new(10)),
            Some(Moment::new(15)),
            "more of the same line is no excuse"
        );
        lines.push(Moment::new(12), b"\n");
        assert_eq!(drain(&mut lines), Ok(vec![b"{\"id\":1}".to_vec()]));
        assert_eq!((lines.capacity(), lines.deadline(Micros::new(10))), (0, None));
    }

    #[test]
    fn a_line_at_the_bound_passes_and_one_above_does_not() {
        let mut lines = LineBuffer::new(8);
        lines.push(Moment::ZERO, b"12345678\n");
        assert_eq!(drain(&mut lines), Ok(vec![b"12345678".to_vec()]));
        lines.push(Moment::ZERO, b"123456789\n");
        assert_eq!(lines.line(), Err(LongLine { max: 8 }));
        assert_eq!(lines.line(), Err(LongLine { max: 8 }), "it stays an error");

        let mut lines = LineBuffer::new(8);
        lines.push(Moment::ZERO, b"12345678");
        assert_eq!(lines.line(), Ok(None));
        lines.push(Moment::ZERO, b"9");
        assert_eq!(lines.line(), Err(LongLine { max: 8 }), "without waiting for the end");
        assert_eq!(lines.line(), Err(LongLine { max: 8 }));
    }

    #[test]
    fn control_characters_become_spaces_and_blank_lines_vanish() {
        let mut lines = LineBuffer::new(64);
        lines.push(Moment::ZERO, b"\r\n \t\n{\"a\":\"b\tc\0\"}\r\n");
        assert_eq!(drain(&mut lines), Ok(vec![b"{\"a\":\"b c \"} ".to_vec()]));
    }

    proptest! {
        #[test]
        fn any_cut_of_a_stream_yields_the_same_lines(
            text in proptest::collection::vec(proptest::collection::vec(b' '..=b'~', 1..20), 0..20),
            cuts in proptest::collection::vec(1usize..50, 1..60),
        ) {
            let stream: Vec<u8> = text.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect();
            let mut whole = LineBuffer::new(20);
            whole.push(Moment::ZERO, &stream);
            let expected = drain(&mut whole).unwrap();

            let (mut lines, mut got, mut rest) = (LineBuffer::new(20), Vec::new(), &stream[..]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, tail) = rest.split_at((*cut).min(rest.len()));
                lines.push(Moment::ZERO, chunk);
                got.extend(drain(&mut lines).unwrap());
                rest = tail;
            }
            prop_assert_eq!(got, expected);
            prop_assert_eq!(lines.capacity(), 0);
        }

        #[test]
        fn memory_is_bounded_by_a_line_and_a_chunk(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..100)) {
            let mut lines = LineBuffer::new(100);
            for chunk in chunks {
                lines.push(Moment::ZERO, &chunk);
                prop_assert!(lines.capacity() <= 2 * (100 + 64));
                if drain(&mut lines).is_err() {
                    break;
                }
            }
        }
    }
}
