//! The development chain on disk: one line that says whose chain it is, then every block in the order of arrival.
//!
//! A chain is a pure function of its blocks, so that is all there is to keep. A record cut off by a crash is dropped;
//! anything else that does not read is an error, because a chain with a hole would quietly be another chain.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The largest block that is believed.
const RECORD_MAX: usize = 16 << 20;
const BLOCK: u8 = 1;
const SHUNNED: u8 = 2;

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
    /// The configuration makes no chain.
    #[error("development chain's rules: {0}")]
    Rules(&'static str),
    /// Another process uses the folder.
    #[error("development chain's file is in use by another process")]
    InUse,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// A block, encoded.
    Block(Vec<u8>),
    /// A block that nobody builds on.
    Shunned(Vec<u8>),
}

#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    first_record: u64,
}

impl Journal {
    /// Opens or begins the file of a chain that `rules` describe in one line.
    pub(super) fn open(path: &Path, rules: &str) -> Result<Self, JournalError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(JournalError::InUse),
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        let line = format!("poolwright development chain 1: {rules}\n");
        if file.metadata()?.len() == 0 {
            file.write_all(line.as_bytes())?;
        } else {
            let mut start = vec![0; 512];
            let read = read_up_to(&mut file, &mut start)?;
            let end = start[..read].iter().position(|byte| *byte == b'\n');
            let end = end.ok_or(JournalError::Damaged("it does not begin with its rules"))?;
            if start[..=end] != *line.as_bytes() {
                return Err(JournalError::OtherChain {
                    found: String::from_utf8_lossy(&start[..end]).into_owned(),
                    wanted: line.trim_end().to_owned(),
                });
            }
        }
        Ok(Self { file, first_record: line.len() as u64 })
    }

    /// All records; a torn one at the end is cut off.
    pub(super) fn records(&mut self) -> Result<Vec<Record>, JournalError> {
        self.file.seek(SeekFrom::Start(self.first_record))?;
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        let mut records = Vec::new();
        let mut rest = &bytes[..];
        while let Some((&[kind, a, b, c, d], tail)) = rest.split_first_chunk::<5>() {
            let length = u32::from_le_bytes([a, b, c, d]) as usize;
            if length > RECORD_MAX {
                return Err(JournalError::Damaged("a record is longer than any block"));
            }
            let Some((body, tail)) = tail.split_at_checked(length) else { break };
            records.push(match kind {
                BLOCK => Record::Block(body.to_vec()),
                SHUNNED => Record::Shunned(body.to_vec()),
                _ => return Err(JournalError::Damaged("a record of an unknown kind")),
            });
            rest = tail;
        }
        let whole = self.first_record + (bytes.len() - rest.len()) as u64;
        self.file.set_len(whole)?;
        self.file.seek(SeekFrom::Start(whole))?;
        Ok(records)
    }

    /// Adds a record. One write: a crash leaves all of it, none, or a torn tail.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let (kind, body) = match record {
            Record::Block(body) => (BLOCK, body),
            Record::Shunned(body) => (SHUNNED, body),
        };
        let length = u32::try_from(body.len()).map_err(|_| JournalError::Damaged("a block is too long"))?;
        let mut bytes = Vec::with_capacity(5 + body.len());
        bytes.push(kind);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(body);
        Ok(self.file.write_all(&bytes)?)
    }
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("poolwright-journal-{name}-{}", std::process::id()));
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
        let records = [Record::Block(vec![1, 2, 3]), Record::Shunned(vec![]), Record::Block(vec![9; 70_000])];
        let mut journal = Journal::open(&path, "rules").unwrap();
        assert_eq!(journal.records().unwrap(), []);
        for record in &records {
            journal.append(record).unwrap();
        }
        drop(journal);
        let whole = std::fs::metadata(&path).unwrap().len();
        for cut in [1, 4, 5, 69_999] {
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.set_len(whole - cut).unwrap();
            drop(file);
            let mut journal = Journal::open(&path, "rules").unwrap();
            assert_eq!(journal.records().unwrap(), records[..2], "{cut}");
            journal.append(&records[2]).unwrap();
            drop(journal);
            assert_eq!(Journal::open(&path, "rules").unwrap().records().unwrap(), records);
        }
    }

    #[test]
    fn another_chains_file_and_a_second_process_are_refused() {
        let folder = Folder::new("other");
        let path = folder.0.join("chain");
        let journal = Journal::open(&path, "k=3").unwrap();
        assert!(matches!(Journal::open(&path, "k=3"), Err(JournalError::InUse)));
        drop(journal);
        assert!(matches!(Journal::open(&path, "k=4"), Err(JournalError::OtherChain { .. })));
        std::fs::write(&path, b"something else").unwrap();
        assert!(matches!(Journal::open(&path, "k=3"), Err(JournalError::Damaged(_))));
    }
}
