//! Where a pool writes things down.
//!
//! The ports of `pool-core` say what must be kept and what may be lost; this crate says where. [`open`] chooses by the
//! URL's scheme:
//!
//! | URL | what it is |
//! |---|---|
//! | `sqlite:PATH` | one file, the embedded default: everything that must not be lost survives a crash |
//! | `memory:` | nothing survives: tests, demonstrations, simulations |
//!
//! What an adapter promises is the list above its port, and every line of that list is a case in `pool_core::testing`
//! that the adapter's tests expand. Beyond the ports an adapter owes its operator three things, which are here: data
//! of another process or of a newer program are refused on opening ([`OpenError`]), a failed write is final and
//! visible ([`Health`]), and the books can be computed again ([`SqliteStore::check`]).
//!
//! This crate knows no coin and no reward scheme, starts no task on anybody's runtime (SQLite's threads are its own),
//! and never retries a write by itself: whether an unknown outcome may be tried again is the caller's to know.

mod health;
mod migrated;
#[cfg(feature = "sqlite")]
mod sqlite;
mod url;

pub use health::{Health, HealthWatch};
pub use migrated::Migrated;
pub use url::{Opened, migrate, open, open_read_only};

#[cfg(feature = "sqlite")]
pub use sqlite::{
    Checked, Options, SqliteEventBus, SqliteStore, SqliteSubscription, SyncPoint, SyncWatch, WriterStats,
};

use std::io;
use std::path::PathBuf;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL does not begin with a scheme of this build.
    #[error("no storage is called {scheme:?}: write sqlite:PATH or memory:")]
    UnknownScheme {
        /// What stands before the colon.
        scheme: String,
    },
    /// The URL of a file names none.
    #[error("the storage URL names no file: write sqlite:PATH")]
    NoPath,
    /// `memory:` has nothing that another process left.
    #[error("memory: holds nothing that could be read")]
    NothingStored,
    /// Another process has it open for writing.
    #[error("{} is in use by another process (it holds {})", path.display(), lock.display())]
    InUse {
        /// The database.
        path: PathBuf,
        /// The file that is locked.
        lock: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// The file belongs to something else. It was left as it is.
    #[error("{} is not a pool's database", path.display())]
    NotAPoolDatabase {
        /// The file.
        path: PathBuf,
    },
    /// A newer program wrote it. It was left as it is.
    #[error(
        "{} has schema version {found}, this program knows up to {known}: use the newer program",
        path.display()
    )]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// An older program wrote it, and a reader must not migrate.
    #[error(
        "{} has schema version {found}, this program needs {known}: migrate it first",
        path.display()
    )]
    OlderSchema {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version needed.
        known: u32,
    },
    /// A migration failed; the version before it is intact.
    #[error("cannot migrate {}", path.display())]
    Migration {
        /// The database.
        path: PathBuf,
        /// Which one, and why.
        source: pool_core::coin::BoxError,
    },
    /// The engine refused.
    #[error("cannot open {}", path.display())]
    Engine {
        /// The database.
        path: PathBuf,
        /// Its answer.
        source: pool_core::coin::BoxError,
    },
}

impl OpenError {
    /// True when opening may succeed later without anybody changing anything: the other process may end.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::InUse { .. })
    }
}
