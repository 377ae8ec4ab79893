//! What a migration did, as a value: the same for every engine.

use std::fmt;

/// What a migration did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The schema's version before; 0 for a new file.
    pub from: u32,
    /// The version now.
    pub to: u32,
    /// What was applied, in order, as in `V1__first_tables`.
    pub applied: Vec<String>,
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.applied.is_empty() {
            write!(f, "schema version {}, nothing to do", self.to)
        } else {
            write!(f, "schema version {} (was {}), applied {}", self.to, self.from, self.applied.join(", "))
        }
    }
}
