//! Bytes to lines, in pieces of any length.
//!
//! The first byte says how long a line may be, the second how long the pieces are; the rest is what is sent.

use pool_core::time::{Micros, Moment};
use pool_stratum::frame::LineBuffer;

/// Whatever the pieces are, the lines are those of a plain reading, and memory is bounded and given back.
pub fn target(data: &[u8]) {
    let Some(([line_max, piece], sent)) = data.split_first_chunk::<2>() else { return };
    let line_max = usize::from(*line_max);
    let (lines, is_cut) = plain(sent, line_max);
    for piece in [usize::from(*piece).max(1), 1, sent.len().max(1)] {
        let (mut buffer, mut found, mut cut) = (LineBuffer::new(line_max), Vec::new(), false);
        'pieces: for (number, chunk) in sent.chunks(piece).enumerate() {
            let now = Moment::new(number as u64);
            buffer.push(now, chunk);
            loop {
                match buffer.line() {
                    Ok(Some(line)) => found.push(line.to_vec()),
                    Ok(None) => break,
                    Err(long) => {
                        assert_eq!(long.max, line_max);
                        assert_eq!(buffer.line(), Err(long), "a line that is too long stays so");
                        cut = true;
                        break 'pieces;
                    }
                }
            }
            let held_max = (2 * (line_max + piece)).max(16);
            assert!(buffer.capacity() <= held_max, "{} bytes are held", buffer.capacity());
            let half = chunk.last() != Some(&b'\n');
            assert_eq!(buffer.deadline(Micros::from_secs(1)).is_some(), half, "half a line has a deadline");
            assert!(half || buffer.capacity() == 0, "nothing is held between lines");
        }
        assert_eq!((&found, cut), (&lines, is_cut), "in pieces of {piece}");
    }
}

/// The lines before the first that is too long, and whether there is such a one.
fn plain(sent: &[u8], line_max: usize) -> (Vec<Vec<u8>>, bool) {
    let mut lines = Vec::new();
    let mut pieces = sent.split(|byte| *byte == b'\n').peekable();
    while let Some(piece) = pieces.next() {
        if piece.len() > line_max {
            return (lines, true);
        }
        if pieces.peek().is_none() {
            break;
        }
        let line: Vec<u8> =
            piece.iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte }).collect();
        if line.iter().any(|byte| *byte != b' ') {
            lines.push(line);
        }
    }
    (lines, false)
}
