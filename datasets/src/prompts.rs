//! Prompts with a label: what a task classifier is fitted on.
//!
//! A file is parquet, or CSV with a header, of these columns; others are not read:
//!
//! | column | meaning |
//! | --- | --- |
//! | `text`, or `prompt` | what the classifier sees |
//! | `label`, or in a file with `prompt` `task` | its label; rows without one are left out |
//! | `source` | where the row comes from; by default the name of the file, or of its folder if the file is called `logs` |
//! | `group` | prompts that must stay together; by default a hash of the folded text |
//! | `fold` | in which fold a prompt is held out; by default a hash of the group |
//!
//! So a log is a file of prompts too; of its rows for one `request_id` the first counts.

mod recipe;
mod table;
mod taxonomy;

use std::path::PathBuf;

use crate::error::DatasetError;
use crate::open::{Source, source};

pub use recipe::{Caps, CapsError, select};
pub use taxonomy::{Taxonomy, Use};

/// A prompt and what it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Where it comes from.
    pub source: String,
    /// The column that its label was in: `label` or `task`.
    pub field: String,
    /// What the classifier sees.
    pub text: String,
    /// Its label within the source.
    pub label: String,
    /// Prompts of one group stay together.
    pub group: String,
    /// The fold it is held out in, if the file says so.
    pub fold: Option<i32>,
}

/// Prompts, and the files they came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompts {
    /// The prompts, in the order of the files.
    pub rows: Vec<Prompt>,
    /// The files.
    pub sources: Vec<Source>,
}

/// Reads files of prompts.
///
/// # Errors
///
/// If a file cannot be read, lacks a column, holds another type than text or whole numbers, or
/// there is no prompt with a label.
pub fn read(paths: &[PathBuf]) -> Result<Prompts, DatasetError> {
    let mut rows = Vec::new();
    let mut sources = Vec::new();
    for path in paths {
        let (mut of_file, n_rows) = table::read(path)?;
        sources.push(source(path, n_rows)?);
        rows.append(&mut of_file);
    }
    if rows.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(DatasetError::Empty(names.join(", ")));
    }
    Ok(Prompts { rows, sources })
}

/// Lower case, white space folded to single spaces: prompts that differ in no more are one.
pub fn folded(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
