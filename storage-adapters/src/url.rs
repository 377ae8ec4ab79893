//! Storage by URL: what a configuration names.

use crate::{HealthWatch, Migrated, OpenError, Options, SqliteStore};
use pool_core::memory::MemoryEventBus;
use pool_core::ports::Stores;
use std::path::Path;
use std::sync::Arc;

/// Ports that were opened, and how to see whether they still take writes.
#[derive(Debug)]
pub struct Opened {
    /// The ports.
    pub stores: Stores,
    /// For a store that a failed write can poison; `None` where nothing can fail.
    pub health: Option<HealthWatch>,
}

/// Opens a store for this process alone, brought to this version's schema.
///
/// # Errors
/// [`OpenError`].
pub fn open(url: &str) -> Result<Opened, OpenError> {
    match split(url)? {
        Place::Sqlite(path) => {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                std::fs::create_dir_all(folder).map_err(|source| OpenError::Io {
                    what: "make the folder",
                    path: folder.to_owned(),
                    source,
                })?;
            }
            let store = SqliteStore::open(path, &Options::default())?;
            let health = Some(store.health());
            Ok(Opened { stores: store.stores(Arc::new(MemoryEventBus::default())), health })
        }
        Place::Memory => Err(OpenError::NoPath),
    }
}

/// Opens a store to look at, also while a pool writes to it. Every write fails.
///
/// # Errors
/// [`OpenError`].
pub fn open_read_only(url: &str) -> Result<Stores, OpenError> {
    match split(url)? {
        Place::Sqlite(path) => {
            Ok(SqliteStore::open_read_only(path)?.stores(Arc::new(MemoryEventBus::default())))
        }
        Place::Memory => Err(OpenError::NoPath),
    }
}

/// Brings a store to this version's schema; `None` where there is none.
///
/// # Errors
/// [`OpenError`].
pub fn migrate(url: &str) -> Result<Option<Migrated>, OpenError> {
    match split(url)? {
        Place::Sqlite(path) => SqliteStore::migrate(path).map(Some),
        Place::Memory => Ok(None),
    }
}

enum Place<'a> {
    Sqlite(&'a Path),
    Memory,
}

fn split(url: &str) -> Result<Place<'_>, OpenError> {
    match url.split_once(':') {
        Some(("sqlite", "")) => Err(OpenError::NoPath),
        Some(("sqlite", path)) => Ok(Place::Sqlite(Path::new(path))),
        Some(("memory", "")) => Ok(Place::Memory),
        Some((scheme, _)) => Err(OpenError::UnknownScheme { scheme: scheme.to_owned() }),
        None => Err(OpenError::UnknownScheme { scheme: url.to_owned() }),
    }
}
