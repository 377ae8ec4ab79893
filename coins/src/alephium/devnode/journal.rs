//! The development chains on disk: one line that says whose they are, then one line of JSON per event.
//!
//! The chains are a pure function of their events, so that is all there is to keep. A line cut off by a crash is
//! dropped; anything else that does not read is an error, because chains with a hole would quietly be other chains.

use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// What went wrong with the chains' file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file system's words.
    #[error("development chains' file: {0}")]
    Io(#[from] std::io::Error),
    /// The file is of chains with other rules.
    #[error(
        "the folder holds development chains with other rules ({found}); start with {wanted}, or remove it"
    )]
    OtherChain {
        /// What the file says.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// Not a journal, or one with a hole.
    #[error("development chains' file is damaged: {0}")]
    Damaged(&'static str),
    /// Another process uses the folder.
    #[error("development chains' file is in use by another process")]
    InUse,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Event {
    /// A block came in.
    Block(BlockRecord),
    /// A chain lost its newest blocks.
    Cut {
        /// The chain's place.
        chain: u8,
        /// How many.
        depth: usize,
    },
}

/// A block, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BlockRecord {
    /// Nonce and blob, hexadecimal.
    pub(super) header: String,
    pub(super) height: u32,
    /// Unsigned bytes and signatures, hexadecimal, the coinbase last.
    pub(super) txs: Vec<(String, Vec<String>)>,
    /// The uncles it names.
    pub(super) uncles: Vec<String>,
    /// Nobody will ever name it.
    pub(super) shunned: bool,
}

#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    first_event: u64,
}

impl Journal {
    /// Opens or begins the file of chains that `rules` describe in one line.
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
        let line = format!("poolwright alephium chains 1: {rules}\n");
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        if text.is_empty() {
            file.write_all(line.as_bytes())?;
        } else if !text.starts_with(line.as_bytes()) {
            let end = text.iter().position(|byte| *byte == b'\n');
            let end = end.ok_or(JournalError::Damaged("it does not begin with its rules"))?;
            return Err(JournalError::OtherChain {
                found: String::from_utf8_lossy(&text[..end]).into_owned(),
                wanted: line.trim_end().to_owned(),
            });
        }
        Ok(Self { file, first_event: line.len() as u64 })
    }

    /// All events; a torn line at the end is cut off.
    pub(super) fn events(&mut self) -> Result<Vec<Event>, JournalError> {
        self.file.seek(SeekFrom::Start(self.first_event))?;
        let mut text = Vec::new();
        self.file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let events = text[..whole]
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| {
                serde_json::from_slice(line).map_err(|_| JournalError::Damaged("a line that is no event"))
            })
            .collect::<Result<_, _>>()?;
        let end = self.first_event + whole as u64;
        self.file.set_len(end)?;
        self.file.seek(SeekFrom::Start(end))?;
        Ok(events)
    }

    /// Adds an event. One write: a crash leaves all of it, none, or a torn tail.
    pub(super) fn append(&mut self, event: &Event) -> Result<(), JournalError> {
        let mut line =
            serde_json::to_vec(event).map_err(|_| JournalError::Damaged("an event that is no JSON"))?;
        line.push(b'\n');
        Ok(self.file.write_all(&line)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_back_and_a_torn_tail_does_not() {
        let folder = std::env::temp_dir().join(format!("poolwright-alephium-journal-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let path = folder.join("chains");
        let events = [Event::Cut { chain: 3, depth: 2 }, Event::Cut { chain: 4, depth: 1 }];
        let mut journal = Journal::open(&path, "rules").unwrap();
        assert_eq!(journal.events().unwrap(), []);
        events.iter().for_each(|event| journal.append(event).unwrap());
        assert!(matches!(Journal::open(&path, "rules"), Err(JournalError::InUse)));
        drop(journal);
        let whole = std::fs::metadata(&path).unwrap().len();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(whole - 1).unwrap();
        let mut journal = Journal::open(&path, "rules").unwrap();
        assert_eq!(journal.events().unwrap(), events[..1]);
        journal.append(&events[1]).unwrap();
        drop(journal);
        assert_eq!(Journal::open(&path, "rules").unwrap().events().unwrap(), events);
        assert!(matches!(Journal::open(&path, "other"), Err(JournalError::OtherChain { .. })));
        std::fs::write(&path, b"something else").unwrap();
        assert!(matches!(Journal::open(&path, "rules"), Err(JournalError::Damaged(_))));
        let _ = std::fs::remove_dir_all(&folder);
    }
}
