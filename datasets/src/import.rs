//! Public layouts of routing data → an outcome table or a log.
//!
//! | Format | Layout | Mapping |
//! | --- | --- | --- |
//! | `routellm` | CSV: `prompt`, one column per model with `True`/`False`, perhaps `M_response` | domain from `mmlu_<domain>.csv` |
//! | `routerbench` | wide CSV or parquet: `sample_id`, `prompt`, `eval_name`, and per model `M`, `M\|model_response`, `M\|total_cost` | task = `eval_name` |
//! | `paretobandit` | JSON lines: `prompt`, `source`, `arms: {model: {reward, cost}}` | task = `source`, quality = `reward` |
//! | `long` | CSV, JSON, JSON lines or parquet, one row per (request, model) | `--map column=name` |
//!
//! LLMRouterBench is `long`: one JSON file per (dataset, split, model) with `records`. It needs no
//! `--map`; see [`long`].

pub mod long;
mod paretobandit;
mod routellm;
mod routerbench;
mod source;

use std::path::{Path, PathBuf};

use router_core::{Outcome, Quality, UnitError, Usd};

use crate::assemble::{Assembler, Dataset};
use crate::error::{DatasetError, RowError};
use crate::split::default_group;
use crate::validate::Row;
use source::Record;

/// A public layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Response CSVs of RouteLLM.
    RouteLlm,
    /// The wide table of RouterBench.
    RouterBench,
    /// Reward lines of ParetoBandit.
    ParetoBandit,
    /// One row per (request, model).
    Long,
}

/// Why a file cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A row does not fit the layout.
    #[error("{}: row {row}: {reason} (rows count from 0)", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Number of the data row, from 0.
        row: usize,
        /// What is wrong, with column, bound and value.
        reason: String,
    },
    /// A mapping does not fit.
    #[error("--map must be column=name with a column of the schema, got {0}")]
    Map(String),
    /// What was imported is neither table nor log.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
}

/// Reads files of a public layout; `maps` are the `--map column=name` of `long`.
///
/// # Errors
///
/// If a file cannot be read, a row does not fit the layout or holds a value out of range.
pub fn import(format: Format, paths: &[PathBuf], maps: &[String]) -> Result<Dataset, ImportError> {
    let mapping = long::Mapping::parse(maps)?;
    let mut assembler = Assembler::default();
    for path in paths {
        let records = source::read(path)?;
        for (row, record) in records.iter().enumerate() {
            let pushed = match format {
                Format::RouteLlm => routellm::push(record, (path, row), &mut assembler),
                Format::RouterBench => routerbench::push(record, row, &mut assembler),
                Format::ParetoBandit => paretobandit::push(record, row, &mut assembler),
                Format::Long => mapping.push(record, row, &mut assembler),
            };
            pushed.map_err(|reason| ImportError::Row { path: path.clone(), row, reason })?;
        }
        assembler.end_file();
    }
    Ok(assembler.finish()?)
}

/// Why a row does not fit: column, bound and value.
type Reason = String;

/// The message of a refused row without its number, which the caller adds.
fn reason(error: &RowError) -> Reason {
    format!("{} must {}, got {}", error.column, error.bound, error.value)
}

/// One outcome of a wide row.
fn outcome(quality: Option<f64>, cost: Option<f64>) -> Result<Outcome, Reason> {
    let quality = quality.map(Quality::try_from).transpose();
    let cost = cost.map(Usd::from_dollars).transpose();
    let text = |error: UnitError| error.to_string();
    Ok(Outcome { quality: quality.map_err(text)?, cost: cost.map_err(text)?, ..Outcome::default() })
}

/// Adds one outcome; a prompt without an id is named by its text.
fn push(row: Row<'_>, assembler: &mut Assembler) -> Result<(), Reason> {
    if row.request_id.is_empty() {
        let named = default_group(row.prompt);
        return push(Row { request_id: &named, ..row }, assembler);
    }
    assembler.push(&row).map_err(|error| reason(&error))
}

/// The stem of a file name.
fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
