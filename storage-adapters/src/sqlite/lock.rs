//! One process per data: an advisory lock on a file beside the database.
//!
//! SQLite lets several processes write one file in turn, which for a pool is two pools paying from one ledger. The
//! lock is the operating system's, so it ends with the process however that ends; the file itself stays and means
//! nothing.

use crate::OpenError;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// Held while the database is open for writing.
#[derive(Debug)]
pub(super) struct LockFile {
    #[expect(dead_code, reason = "held, not read: closing it releases the lock")]
    file: File,
}

impl LockFile {
    /// # Errors
    /// [`OpenError::InUse`] when another process (or this one) has it; [`OpenError::Io`].
    pub(super) fn take(database: &Path) -> Result<Self, OpenError> {
        let path = beside(database, ".lock");
        let failed = |source| OpenError::Io { what: "lock", path: path.clone(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => {
                Err(OpenError::InUse { path: database.to_owned(), lock: path.clone() })
            }
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// The database's path with something behind its name.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
