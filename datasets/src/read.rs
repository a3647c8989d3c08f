//! Parquet in batches of bounded size: the streaming seam.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use polars::io::parquet::metadata::FileMetadataRef;
use polars::prelude::*;

use crate::columns::normalize;
use crate::error::{DatasetError, RowError};
use crate::schema::{self, FIELDS};
use crate::validate::{Columns, Row};

/// Rows that are held in memory at once.
pub const BATCH_ROWS: usize = 1 << 16;

/// Magic number at both ends and the length of the footer.
const MIN_BYTES: u64 = 12;

/// The known columns of consecutive rows of a file.
#[derive(Debug)]
pub struct Batch {
    first_row: usize,
    n_rows: usize,
    columns: Columns,
}

impl Batch {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// The rows, checked one by one. A refused row does not end the iteration.
    ///
    /// # Errors
    ///
    /// Each refused row names its column, number within the file, bound and value.
    pub fn rows(&self) -> impl Iterator<Item = Result<Row<'_>, RowError>> {
        (0..self.n_rows).map(|row| {
            self.columns
                .row(row)
                .map(|checked| Row { row: self.first_row + row, ..checked })
                .map_err(|error| RowError { row: self.first_row + error.row, ..error })
        })
    }
}

/// The batches of one file, in order.
#[derive(Debug)]
pub struct Batches {
    path: PathBuf,
    metadata: FileMetadataRef,
    known: Vec<String>,
    n_rows: usize,
    next_row: usize,
}

/// Opens a parquet file of outcomes, to be read in batches of at most [`BATCH_ROWS`] rows.
///
/// Columns that the schema does not know are not read.
///
/// # Errors
///
/// If the file cannot be opened, is not complete parquet, or lacks a required column.
pub fn rows(path: &Path) -> Result<Batches, DatasetError> {
    let mut reader = reader(path)?;
    let broken = |error: PolarsError| parquet_error(path, &error);
    let found = reader.schema().map_err(broken)?;
    let metadata = reader.get_metadata().map_err(broken)?.clone();
    for field in FIELDS.iter().filter(|field| field.is_required) {
        if !found.contains(field.name) {
            return Err(DatasetError::MissingColumn {
                path: path.to_owned(),
                column: field.name,
                hint: missing_hint(&found.iter_names().map(|n| n.as_str()).collect::<Vec<_>>()),
            });
        }
    }
    let known = FIELDS.iter().filter(|field| found.contains(field.name));
    let known = known.map(|field| field.name.to_owned()).collect();
    Ok(Batches { path: path.to_owned(), n_rows: metadata.num_rows, metadata, known, next_row: 0 })
}

fn missing_hint(found: &[&str]) -> String {
    format!("its columns are {}", found.join(", "))
}

fn reader(path: &Path) -> Result<ParquetReader<File>, DatasetError> {
    let broken = |error| DatasetError::file(path, error);
    let file = File::open(path).map_err(broken)?;
    let n_bytes = file.metadata().map_err(broken)?.len();
    if n_bytes < MIN_BYTES {
        let reason = format!("at least {MIN_BYTES} bytes are needed, got {n_bytes}");
        return Err(DatasetError::Parquet { path: path.to_owned(), reason });
    }
    Ok(ParquetReader::new(file))
}

fn parquet_error(path: &Path, error: &PolarsError) -> DatasetError {
    let text = error.to_string();
    let reason = text.strip_prefix("parquet: File out of specification: ").unwrap_or(&text);
    DatasetError::Parquet { path: path.to_owned(), reason: reason.to_owned() }
}

impl Batches {
    /// Rows of the whole file.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Names of the known columns that the file has.
    pub fn columns(&self) -> &[String] {
        &self.known
    }

    fn read(&self) -> Result<Batch, DatasetError> {
        let n_rows = BATCH_ROWS.min(self.n_rows - self.next_row);
        let mut reader = reader(&self.path)?;
        reader.set_metadata(self.metadata.clone());
        let frame = reader
            .with_columns(Some(self.known.clone()))
            .with_slice(Some((self.next_row, n_rows)))
            .read_parallel(ParallelStrategy::Columns)
            .finish()
            .map_err(|error| parquet_error(&self.path, &error))?;
        let mut typed = BTreeMap::new();
        for column in frame.columns() {
            let Some(field) = schema::field(column.name()) else { continue };
            let series = normalize(column.as_materialized_series(), field).map_err(|found| {
                DatasetError::ColumnType {
                    path: self.path.clone(),
                    column: field.name,
                    expected: field.kind.describe(),
                    found,
                }
            })?;
            typed.insert(field.name, series);
        }
        Ok(Batch { first_row: self.next_row, n_rows, columns: Columns::new(&typed) })
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next_row >= self.n_rows {
            return None;
        }
        let batch = self.read();
        // After an error there is nothing more to read.
        self.next_row = if batch.is_ok() { self.next_row + BATCH_ROWS } else { self.n_rows };
        Some(batch)
    }
}
