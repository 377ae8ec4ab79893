//! The development chain on disk: one line that says whose chain it is, then what was added to it, in order.
//!
//! A chain is a pure function of that, so that is all there is to keep. A line cut off by a crash is dropped; anything
//! else that does not read is an error, because a chain with a hole would quietly be another chain.

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
    Damaged(&'static str),
    /// Another process uses the folder.
    #[error("development chain's file is in use by another process")]
    InUse,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// A block, encoded.
    Block(Vec<u8>),
    /// A block that nobody builds on or includes, encoded.
    Shunned(Vec<u8>),
}

#[derive(Debug)]
pub(super) struct Journal(File);

impl Journal {
    /// Opens or begins the file of a chain that `rules` describe in one line, and reads what is in it.
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
        let first = format!("poolwright development chain of hypra 1: {rules}");
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|_| JournalError::Damaged("it is no text"))?;
        // What has no line feed was never finished.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut lines = text[..whole].lines();
        match lines.next() {
            None if whole == text.len() => {
                file.write_all(format!("{first}\n").as_bytes())?;
                return Ok((Self(file), Vec::new()));
            }
            None => return Err(JournalError::Damaged("it does not begin with its rules")),
            Some(found) if found != first => {
                return Err(JournalError::OtherChain { found: found.to_owned(), wanted: first });
            }
            Some(_) => {}
        }
        let record = |line: &str| {
            let (kind, body) = line.split_once(' ')?;
            let body = hex::decode(body).ok()?;
            match kind {
                "block" => Some(Record::Block(body)),
                "shunned" => Some(Record::Shunned(body)),
                _ => None,
            }
        };
        let records: Option<Vec<Record>> = lines.map(record).collect();
        let records = records.ok_or(JournalError::Damaged("a line that is no record"))?;
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::Start(whole as u64))?;
        Ok((Self(file), records))
    }

    /// Adds a record. One write: a crash leaves all of it, none, or a torn tail.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let (kind, body) = match record {
            Record::Block(body) => ("block", body),
            Record::Shunned(body) => ("shunned", body),
        };
        Ok(self.0.write_all(format!("{kind} {}\n", hex::encode(body)).as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("poolwright-hypra-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn records_come_back_and_a_torn_tail_does_not() {
        let folder = Folder::new("torn");
        let path = folder.0.join("chain");
        let records = [Record::Block(vec![1, 2, 3]), Record::Shunned(vec![]), Record::Block(vec![9; 700])];
        let (mut journal, found) = Journal::open(&path, "rules").unwrap();
        assert_eq!(found, []);
        for record in &records {
            journal.append(record).unwrap();
        }
        drop(journal);
        let whole = std::fs::metadata(&path).unwrap().len();
        for cut in [1, 2, 1_400] {
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.set_len(whole - cut).unwrap();
            drop(file);
            let (mut journal, found) = Journal::open(&path, "rules").unwrap();
            assert_eq!(found, records[..2], "{cut}");
            journal.append(&records[2]).unwrap();
            drop(journal);
            assert_eq!(Journal::open(&path, "rules").unwrap().1, records);
        }
    }

    #[test]
    fn another_chains_file_and_a_second_process_are_refused() {
        let folder = Folder::new("other");
        let path = folder.0.join("chain");
        let journal = Journal::open(&path, "a").unwrap();
        assert!(matches!(Journal::open(&path, "a"), Err(JournalError::InUse)));
        drop(journal);
        assert!(matches!(Journal::open(&path, "b"), Err(JournalError::OtherChain { .. })));
        std::fs::write(&path, b"something else").unwrap();
        assert!(matches!(Journal::open(&path, "a"), Err(JournalError::Damaged(_))));
        std::fs::write(&path, b"poolwright development chain of hypra 1: a\nblock xx\n").unwrap();
        assert!(matches!(Journal::open(&path, "a"), Err(JournalError::Damaged(_))));
    }
}
