//! Storage by URL: what a configuration names.

use crate::{HealthWatch, Migrated, OpenError};
#[cfg(feature = "sqlite")]
use crate::{Options, SqliteStore};
use pool_core::ports::Stores;
#[cfg(feature = "sqlite")]
use std::path::PathBuf;

/// An open storage.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Opened {
    /// All ports. The storage closes when the last of them is dropped, and `database` with them.
    pub stores: Stores,
    /// Whether writes are still taken; `None` where a write cannot fail.
    pub health: Option<HealthWatch>,
    /// What the adapter offers beyond the ports (counters, backup, checks), when it is a database file.
    #[cfg(feature = "sqlite")]
    pub database: Option<SqliteStore>,
}

/// Opens the storage a URL names, creating and migrating it as needed. Blocks on the disk: call it at the start.
///
/// # Errors
/// [`OpenError::InUse`] when another process has it; [`OpenError::NewerSchema`] for a newer program's data; else what
/// the disk or the engine said.
pub fn open(url: &str) -> Result<Opened, OpenError> {
    match Location::of(url)? {
        Location::Memory => Ok(Opened {
            stores: Stores::memory(),
            health: None,
            #[cfg(feature = "sqlite")]
            database: None,
        }),
        #[cfg(feature = "sqlite")]
        Location::Sqlite(path) => {
            let database = SqliteStore::open(&path, &Options::default())?;
            Ok(Opened {
                stores: database.stores(),
                health: Some(database.health()),
                database: Some(database),
            })
        }
    }
}

/// Opens existing data for reading, also while a pool has them open: what an audit needs. Every write is refused.
///
/// # Errors
/// [`OpenError::NothingStored`] for `memory:`; [`OpenError::OlderSchema`] and [`OpenError::NewerSchema`] for another
/// program's version.
pub fn open_read_only(url: &str) -> Result<Stores, OpenError> {
    match Location::of(url)? {
        Location::Memory => Err(OpenError::NothingStored),
        #[cfg(feature = "sqlite")]
        Location::Sqlite(path) => Ok(SqliteStore::open_read_only(&path)?.stores()),
    }
}

/// Brings the data's schema to the newest version and says what was done; `None` where there is no schema.
///
/// # Errors
/// As [`open`].
pub fn migrate(url: &str) -> Result<Option<Migrated>, OpenError> {
    match Location::of(url)? {
        Location::Memory => Ok(None),
        #[cfg(feature = "sqlite")]
        Location::Sqlite(path) => SqliteStore::migrate(&path).map(Some),
    }
}

/// Where a URL points.
enum Location {
    Memory,
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
}

impl Location {
    fn of(url: &str) -> Result<Self, OpenError> {
        let unknown = |scheme: &str| OpenError::UnknownScheme { scheme: scheme.to_owned() };
        let (scheme, rest) = url.split_once(':').ok_or_else(|| unknown(url))?;
        match scheme {
            "memory" if rest.is_empty() => Ok(Self::Memory),
            "memory" => Err(unknown(url)),
            #[cfg(feature = "sqlite")]
            "sqlite" => {
                // `sqlite:PATH` and `sqlite://PATH` alike, as people write both.
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() { Err(OpenError::NoPath) } else { Ok(Self::Sqlite(path.into())) }
            }
            other => Err(unknown(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_name_no_storage_are_explained() {
        for (url, words) in [
            ("", "no storage is called"),
            ("pool.db", "write sqlite:PATH or memory:"),
            ("postgres://x", "\"postgres\""),
            ("memory:somewhere", "no storage is called"),
            #[cfg(feature = "sqlite")]
            ("sqlite:", "names no file"),
            #[cfg(feature = "sqlite")]
            ("sqlite://", "names no file"),
        ] {
            for text in [
                open(url).unwrap_err().to_string(),
                open_read_only(url).unwrap_err().to_string(),
                migrate(url).unwrap_err().to_string(),
            ] {
                assert!(text.contains(words), "{url}: {text}");
            }
        }
    }

    #[test]
    fn memory_opens_and_has_nothing_to_read_or_migrate() {
        assert!(open("memory:").unwrap().health.is_none());
        assert_eq!(migrate("memory:").unwrap(), None);
        assert!(matches!(open_read_only("memory:"), Err(OpenError::NothingStored)));
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn both_spellings_name_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pool.db");
        let opened = open(&format!("sqlite:{}", path.display())).unwrap();
        assert!(opened.health.unwrap().now().is_sound());
        let second = open(&format!("sqlite://{}", path.display())).unwrap_err();
        assert!(second.is_transient(), "{second}");
        drop((opened.stores, opened.database));
        assert!(open_read_only(&format!("sqlite:{}", path.display())).is_ok());
    }
}
