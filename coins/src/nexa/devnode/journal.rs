//! The chain's file: one line a block or a transaction, in the order in which they were taken.
//!
//! Reading it again in that order yields the same chain, so nothing else is kept. A line that a crash cut off is the
//! last one, and is dropped.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The chain's file is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The disk.
    #[error("chain file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// Another chain's, or damaged.
    #[error("chain file {path}: {why}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Block(Vec<u8>),
    Transaction(Vec<u8>),
}

/// An open file, at its end.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens or makes the file, whose first line must be `rules`, and reads it.
    pub(super) fn open(path: &Path, rules: &str) -> Result<(Self, Vec<Line>), JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        let foreign = |why: String| JournalError::Foreign { path: path.to_owned(), why };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(io)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let mut lines = Vec::new();
        let rows = std::str::from_utf8(&text[..whole]).map_err(|_| foreign("it is no text".into()))?;
        for (number, row) in rows.lines().enumerate() {
            if number == 0 {
                if row != rules {
                    return Err(foreign(format!("it is of another chain: {row}")));
                }
                continue;
            }
            let read = |digits: &str| hex::decode(digits).ok();
            let line = match row.split_at_checked(2) {
                Some(("b ", digits)) => read(digits).map(Line::Block),
                Some(("t ", digits)) => read(digits).map(Line::Transaction),
                Some(_) | None => None,
            };
            lines.push(line.ok_or_else(|| foreign(format!("line {} is damaged", number + 1)))?);
        }
        file.set_len(whole as u64).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        let mut journal = Self { file, path: path.to_owned() };
        if whole == 0 {
            journal.append(&format!("{rules}\n"))?;
        }
        Ok((journal, lines))
    }

    pub(super) fn write(&mut self, line: &Line) -> Result<(), JournalError> {
        match line {
            Line::Block(bytes) => self.append(&format!("b {}\n", hex::encode(bytes))),
            Line::Transaction(bytes) => self.append(&format!("t {}\n", hex::encode(bytes))),
        }
    }

    fn append(&mut self, text: &str) -> Result<(), JournalError> {
        self.file
            .write_all(text.as_bytes())
            .map_err(|source| JournalError::Io { path: self.path.clone(), source })
    }
}
