//! Why a file or a row is refused. No message ever holds a prompt.

use std::path::{Path, PathBuf};

/// One value that may not be in a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {row}: {column} must {bound}, got {value}")]
pub struct RowError {
    /// Number of the data row within its file, counted from 0.
    pub row: usize,
    /// The column.
    pub column: &'static str,
    /// What must hold of the value.
    pub bound: String,
    /// The value.
    pub value: String,
}

impl RowError {
    pub(crate) fn new(
        row: usize,
        column: &'static str,
        bound: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        Self { row, column, bound: bound.into(), value: value.into() }
    }
}

/// Why data cannot be read or written. A message holds its cause, so that there is no source to
/// say it again.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The file or folder cannot be opened, read, or written.
    #[error("cannot use {}: {error}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Not parquet, or cut off.
    #[error("{} is not a complete parquet file: {reason}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// There is nothing to read.
    #[error("{0} has 0 rows, at least 1 is needed")]
    Empty(String),
    /// A column that is needed is absent.
    #[error("{} has no column `{column}`; {hint}", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// What else to know.
        hint: String,
    },
    /// A column holds another type than the schema says.
    #[error("{}: column `{column}` must hold {expected}, got {found}", path.display())]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// What it must hold.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
    /// A row holds a value that may not be there.
    #[error("{}: {error} (rows count from 0)", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The row, column, bound and value.
        error: RowError,
    },
    /// The rows are neither an outcome table nor a log.
    #[error("neither an outcome table nor a log: {0}")]
    Neither(String),
    /// The rows cannot be written.
    #[error("cannot write {}: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the writer said.
        reason: String,
    },
}

impl DatasetError {
    pub(crate) fn file(path: &Path, error: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), error }
    }

    pub(crate) fn row(path: &Path, error: RowError) -> Self {
        Self::Row { path: path.to_owned(), error }
    }
}
