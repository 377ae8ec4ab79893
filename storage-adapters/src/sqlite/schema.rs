//! The tables' history: which migrations there are, which ones a file has, and whether this program may touch it.

use super::engine_error;
use crate::{Migrated, OpenError};
use refinery::{Migration, Runner};
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

/// `'pool'` in the file's header: tells our files from any other SQLite file.
const APPLICATION_ID: i64 = 0x706f_6f6c;

/// Every migration ever released, in order. A released one never changes.
const MIGRATIONS: [(&str, &str); 2] = [
    ("V1__first_tables", include_str!("../../migrations/sqlite/V1__first_tables.sql")),
    ("V2__events", include_str!("../../migrations/sqlite/V2__events.sql")),
];

/// The newest version this program knows.
pub(super) fn known() -> u32 {
    u32::try_from(MIGRATIONS.len()).expect("a handful of migrations")
}

/// The version of an open file; 0 for an empty one.
///
/// # Errors
/// [`OpenError::NotAPoolDatabase`] for a file of something else; [`OpenError::Engine`].
pub(super) fn version(db: &Connection, path: &Path) -> Result<u32, OpenError> {
    let engine = |source| engine_error(path, source);
    let has_history: Option<i64> = db
        .query_row(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'refinery_schema_history'",
            [],
            |row| row.get(0),
        )
        .optional()
        .map_err(engine)?;
    let application: i64 = db.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(engine)?;
    let tables: i64 =
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(engine)?;
    let version = if has_history.is_some() {
        db.query_row("SELECT coalesce(max(version), 0) FROM refinery_schema_history", [], |row| row.get(0))
            .map_err(engine)?
    } else {
        0
    };
    // The runner writes its own empty table first; a crash there leaves version 0 and no application id.
    let fresh = version == 0 && application == 0 && (tables == 0 || has_history.is_some());
    if !fresh && application != APPLICATION_ID {
        return Err(OpenError::NotAPoolDatabase { path: path.to_owned() });
    }
    Ok(version)
}

/// Brings a file to the newest version.
///
/// # Errors
/// [`OpenError::NewerSchema`] for a file of a newer program, which is left as it is; [`OpenError::Migration`].
pub(super) fn migrate(db: &mut Connection, path: &Path) -> Result<Migrated, OpenError> {
    let from = version(db, path)?;
    if from > known() {
        return Err(OpenError::NewerSchema { path: path.to_owned(), found: from, known: known() });
    }
    let failed = |source| OpenError::Migration { path: path.to_owned(), source: Box::new(source) };
    let migrations = MIGRATIONS
        .iter()
        .map(|(name, sql)| Migration::unapplied(name, sql))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    // Grouped: ungrouped, the tables and the note that they were made are two commits, and a crash between them leaves
    // a file that no start can migrate.
    let report = Runner::new(&migrations).set_grouped(true).run(db).map_err(failed)?;
    let applied: Vec<String> = report.applied_migrations().iter().map(ToString::to_string).collect();
    if !applied.is_empty() {
        tracing::info!(path = %path.display(), from, to = known(), "database migrated");
    }
    Ok(Migrated { from, to: known(), applied })
}

/// Refuses a file whose version is not exactly the newest: a reader must not migrate.
///
/// # Errors
/// [`OpenError::OlderSchema`], [`OpenError::NewerSchema`].
pub(super) fn require_current(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let (found, known, path) = (version(db, path)?, known(), path.to_owned());
    match found.cmp(&known) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(OpenError::OlderSchema { path, found, known }),
        std::cmp::Ordering::Greater => Err(OpenError::NewerSchema { path, found, known }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_dense_from_one() {
        for (index, (name, _)) in MIGRATIONS.iter().enumerate() {
            assert!(name.starts_with(&format!("V{}__", index + 1)), "{name}");
        }
    }
}
