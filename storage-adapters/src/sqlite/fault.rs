//! What can go wrong inside one piece of work, sorted by who has to act, and the columns' own encodings.
//!
//! A piece of work either *refuses* (a conflict, a missing row, a row that cannot be: its savepoint is rolled back
//! and the others of its group go on) or the *engine broke* (a full disk, a failed write: the whole group is rolled
//! back and the writer takes nothing more).

use pool_core::ports::StoreError;
use rusqlite::{ErrorCode, Row};
use std::fmt::Display;
use std::str::FromStr;

/// Why a piece of work did not finish.
#[derive(Debug)]
pub(super) enum Fault {
    /// It says no; nothing else is affected.
    Refused(StoreError),
    /// The engine failed under it.
    Broken(rusqlite::Error),
}

impl From<StoreError> for Fault {
    fn from(refusal: StoreError) -> Self {
        Self::Refused(refusal)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        match error {
            E::FromSqlConversionFailure(..) | E::IntegralValueOutOfRange(..) | E::InvalidColumnType(..) => {
                Self::Refused(StoreError::Corrupt(error.to_string()))
            }
            E::SqliteFailure(cause, _)
                if matches!(cause.code, ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) =>
            {
                Self::Refused(StoreError::Corrupt(error.to_string()))
            }
            other => Self::Broken(other),
        }
    }
}

impl Fault {
    /// As a reader sees it: what the engine could not read now may be readable later, unless the file is damaged.
    pub(super) fn of_read(self) -> StoreError {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Broken(error) if is_damage(&error) => StoreError::Corrupt(error.to_string()),
            Self::Broken(error) => StoreError::Unavailable(Box::new(error)),
        }
    }
}

/// True when the file itself is not what it should be.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// True when somebody else holds the file's lock: nothing was written, and trying again may help.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// A stored value that cannot be.
pub(super) fn corrupt(what: impl Display) -> Fault {
    Fault::Refused(StoreError::Corrupt(what.to_string()))
}

/// Same key, other content.
pub(super) fn conflict(what: impl Display) -> Fault {
    Fault::Refused(StoreError::Conflict(what.to_string()))
}

/// No such row.
pub(super) fn missing(what: impl Display) -> Fault {
    Fault::Refused(StoreError::NotFound(what.to_string()))
}

/// A position as a key: positions of this store stay below 2^63, so anything above stands behind them all.
pub(super) fn key(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// A row count as the engine takes it.
pub(super) fn rows_max(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// An unsigned column that keeps its bits.
pub(super) fn u64_at(row: &Row<'_>, column: usize) -> Result<u64, Fault> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}

/// Sixteen big-endian bytes.
pub(super) fn u128_at(row: &Row<'_>, column: usize) -> Result<u128, Fault> {
    Ok(u128::from_be_bytes(row.get(column)?))
}

/// A text that names a `T`.
pub(super) fn parsed_at<T: FromStr<Err: Display>>(row: &Row<'_>, column: usize) -> Result<T, Fault> {
    text_at(row, column)?.parse().map_err(|error: T::Err| corrupt(error))
}

/// A text column, borrowed.
pub(super) fn text_at<'row>(row: &'row Row<'_>, column: usize) -> Result<&'row str, Fault> {
    row.get_ref(column)?.as_str().map_err(|error| corrupt(format!("column {column}: {error}")))
}

/// A blob column, borrowed.
pub(super) fn blob_at<'row>(row: &'row Row<'_>, column: usize) -> Result<&'row [u8], Fault> {
    row.get_ref(column)?.as_blob().map_err(|error| corrupt(format!("column {column}: {error}")))
}

/// A JSON column.
pub(super) fn json_at<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, Fault> {
    serde_json::from_str(text_at(row, column)?).map_err(corrupt)
}

/// A JSON column that may be empty.
pub(super) fn optional_json_at<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> Result<Option<T>, Fault> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => json_at(row, column).map(Some),
    }
}

/// JSON of one of our own values.
pub(super) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("values of this crate's vocabulary are maps of strings and numbers")
}
