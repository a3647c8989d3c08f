//! Logs and public benchmarks as typed rows; the only crate that knows the data-frame library.
//!
//! [`open()`] reads files of `logs.parquet`, version 1, and decides whether they are an outcome
//! table (every model answered each request) or a log (only the drawn model did).
//!
//! ```
//! use datasets::{Dataset, write};
//! use router_core::{ModelId, Outcome, OutcomeTable, Quality, RequestRow};
//!
//! let right = Outcome { quality: Some(Quality::try_from(1.0)?), ..Outcome::default() };
//! let request = RequestRow {
//!     request_id: "r1".into(),
//!     prompt: "What is 2 + 2?".into(),
//!     group: "r1".into(),
//!     ..RequestRow::default()
//! };
//! let table = OutcomeTable {
//!     models: vec![ModelId::new("large")?, ModelId::new("small")?],
//!     requests: vec![request],
//!     outcomes: vec![Some(right), Some(right)],
//! };
//! let folder = tempfile::tempdir()?;
//! write::write_table(&table, &folder.path().join("logs.parquet"))?;
//! let opened = datasets::open(&[folder.path().to_path_buf()])?;
//! assert_eq!(opened.data, Dataset::Table(table));
//! assert_eq!(opened.sources[0].n_rows, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod assemble;
pub mod check;
mod columns;
pub mod error;
pub mod import;
pub mod logging;
pub mod open;
pub mod prompts;
pub mod read;
pub mod schema;
pub mod select;
pub mod split;
pub mod synthetic;
#[cfg(test)]
mod testing;
pub mod validate;
pub mod write;

pub use assemble::Dataset;
pub use error::{DatasetError, RowError};
pub use open::{Opened, Source, open, open_choices};
pub use read::{Batch, Batches, rows};
pub use select::{ModelSelection, SelectError, require_two_models};
pub use split::{Folds, Label, divided_group, fold_of};
pub use validate::Row;
