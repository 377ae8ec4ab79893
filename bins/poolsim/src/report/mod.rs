//! A result for people and for other programs: one folder with `summary.json`, tidy tables, plots, and one page that
//! needs nothing else.
//!
//! [`files`] is pure: a [`Summary`] in, names and bytes out, equal bytes for equal summaries. Only [`write()`] touches a
//! disk.

mod charts;
mod csv;
mod html;
pub mod number;
pub mod plot;
mod verdict;

pub use charts::{Part, charts};
pub use csv::replay as replay_table;
pub use html::replay as replay_page;
pub use verdict::{Verdict, verdict};

use crate::outcome::Summary;
use std::path::{Path, PathBuf};

/// A file of the result: its path inside the folder, with forward slashes, and its bytes.
pub type Piece = (String, Vec<u8>);

/// Why a result could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}")]
pub struct WriteError {
    /// What.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

/// All files of a result.
#[must_use]
pub fn files(summary: &Summary) -> Vec<Piece> {
    let charts = charts(summary);
    let mut json =
        serde_json::to_vec_pretty(summary).expect("a summary has text keys and finite numbers only");
    json.push(b'\n');
    let mut all = vec![("summary.json".to_owned(), json)];
    all.extend(
        csv::tables(summary).into_iter().map(|(name, text)| (format!("csv/{name}"), text.into_bytes())),
    );
    all.extend(
        charts.iter().map(|(_, figure)| (format!("plots/{}.svg", figure.name), figure.svg().into_bytes())),
    );
    all.push(("report.html".to_owned(), html::page(summary, &charts).into_bytes()));
    all
}

/// Writes files into a folder, made if need be. A file that was there under the same name is replaced as a whole.
///
/// # Errors
/// [`WriteError`] naming the file.
pub fn write(folder: &Path, files: &[Piece]) -> Result<(), WriteError> {
    for (name, bytes) in files {
        let path = folder.join(name);
        let failed = |source| WriteError { path: path.clone(), source };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        // Next to it first, so that a reader never sees half a file.
        let mut half = path.clone().into_os_string();
        half.push(".part");
        std::fs::write(&half, bytes).map_err(failed)?;
        std::fs::rename(&half, &path).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
