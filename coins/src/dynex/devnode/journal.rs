//! The development chain on disk: one line that says whose chain it is, then every event in the order of arrival.
//!
//! Chain and wallet are a pure function of their events, so that is all there is to keep. A record is a line, a word and
//! hexadecimal digits. One cut off by a crash is dropped; anything else that does not read is an error, because a chain
//! with a hole would quietly be another chain.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// What went wrong with the chain's file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file system's words.
    #[error("development chain's file: {0}")]
    Io(#[from] std::io::Error),
    /// The file is of a chain with other rules.
    #[error(
        "the folder holds a development chain with other rules ({found}); start with {wanted}, or remove it"
    )]
    OtherChain {
        /// What the file says.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// Not a journal, or one with a hole.
    #[error("development chain's file is damaged: {0}")]
    Damaged(String),
    /// Another process uses the folder.
    #[error("development chain's file is in use by another process")]
    InUse,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// A block joined the tree.
    Block(Vec<u8>),
    /// A transaction came to the pool.
    Transaction(Vec<u8>),
    /// The wallet made a transaction and keeps it.
    Delayed(Vec<u8>),
    /// The wallet dropped one that it kept.
    Deleted([u8; 32]),
}

impl Record {
    fn parse(line: &str) -> Result<Self, JournalError> {
        let damaged = || JournalError::Damaged(format!("{:.60}", line));
        let (kind, digits) = line.split_once(' ').ok_or_else(damaged)?;
        let bytes = hex::decode(digits).map_err(|_| damaged())?;
        match kind {
            "block" => Ok(Self::Block(bytes)),
            "transaction" => Ok(Self::Transaction(bytes)),
            "delayed" => Ok(Self::Delayed(bytes)),
            "deleted" => Ok(Self::Deleted(bytes.try_into().map_err(|_| damaged())?)),
            _ => Err(damaged()),
        }
    }

    fn line(&self) -> String {
        let (kind, bytes) = match self {
            Self::Block(bytes) => ("block", &bytes[..]),
            Self::Transaction(bytes) => ("transaction", &bytes[..]),
            Self::Delayed(bytes) => ("delayed", &bytes[..]),
            Self::Deleted(hash) => ("deleted", &hash[..]),
        };
        format!("{kind} {}\n", hex::encode(bytes))
    }
}

#[derive(Debug)]
pub(super) struct Journal(File);

impl Journal {
    /// Opens or begins the file of a chain that `rules` describe in one line, and reads its records; a torn one at the
    /// end is cut off.
    pub(super) fn open(path: &Path, rules: &str) -> Result<(Self, Vec<Record>), JournalError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(JournalError::InUse),
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        let wanted = format!("poolwright dynex development chain 1: {rules}");
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut lines = text[..whole].lines();
        let records = match lines.next() {
            None => {
                file.set_len(0)?;
                file.seek(SeekFrom::Start(0))?;
                file.write_all(format!("{wanted}\n").as_bytes())?;
                return Ok((Self(file), Vec::new()));
            }
            Some(found) if found == wanted => lines.map(Record::parse).collect::<Result<_, _>>()?,
            Some(found) => return Err(JournalError::OtherChain { found: found.to_owned(), wanted }),
        };
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::Start(whole as u64))?;
        Ok((Self(file), records))
    }

    /// Adds a record. One write: a crash leaves all of it, none, or a torn tail.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        Ok(self.0.write_all(record.line().as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_a_torn_tail_is_dropped() {
        let folder = std::env::temp_dir().join(format!("poolwright-dynex-journal-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let path = folder.join("chain");
        let records = [
            Record::Block(vec![1, 2]),
            Record::Transaction(vec![]),
            Record::Delayed(vec![3]),
            Record::Deleted([4; 32]),
        ];
        {
            let (mut journal, before) = Journal::open(&path, "a=1").unwrap();
            assert_eq!(before, []);
            for record in &records {
                journal.append(record).unwrap();
            }
            assert!(matches!(Journal::open(&path, "a=1"), Err(JournalError::InUse)));
        }
        let torn = std::fs::read_to_string(&path).unwrap() + "block 00";
        std::fs::write(&path, torn).unwrap();
        assert_eq!(Journal::open(&path, "a=1").unwrap().1, records);
        assert!(matches!(Journal::open(&path, "a=2"), Err(JournalError::OtherChain { .. })));
        let hole = std::fs::read_to_string(&path).unwrap() + "block 0\nblock 00\n";
        std::fs::write(&path, hole).unwrap();
        assert!(matches!(Journal::open(&path, "a=1"), Err(JournalError::Damaged(_))));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
