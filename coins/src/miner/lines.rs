//! Lines from a pool, of bounded length.

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest line. Unit: bytes. A job that holds sixteen templates has some ten thousand.
const LINE_MAX: usize = 1 << 20;

/// Reads a stream line by line. [`Lines::next`] loses nothing when it is dropped in the middle.
pub(super) struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Up to here no line feed was found.
    searched: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), searched: 0 }
    }

    /// The next line without its line feed.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>, String> {
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(self.searched + at + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                self.searched = 0;
                return Ok(line);
            }
            self.searched = self.buffer.len();
            if self.searched > LINE_MAX {
                return Err(format!("the pool sent a line of more than {LINE_MAX} bytes"));
            }
            self.buffer.reserve(4_096);
            match self.reader.read_buf(&mut self.buffer).await {
                Ok(0) => return Err("the pool closed the connection".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(format!("cannot read: {error}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_cut_at_line_feeds_and_nowhere_else() {
        let mut lines = Lines::new(&b"one\n\n{\"two\":\xc3\xa4}\r\nhalf"[..]);
        assert_eq!(lines.next().await.unwrap(), b"one");
        assert_eq!(lines.next().await.unwrap(), b"");
        assert_eq!(lines.next().await.unwrap(), b"{\"two\":\xc3\xa4}\r");
        assert_eq!(lines.next().await.unwrap_err(), "the pool closed the connection");
    }

    #[tokio::test]
    async fn a_line_without_end_ends_the_connection() {
        let mut lines = Lines::new(tokio::io::repeat(b'x'));
        assert_eq!(lines.next().await.unwrap_err(), "the pool sent a line of more than 1048576 bytes");
        assert!(lines.buffer.capacity() < 4 << 20);
    }
}
