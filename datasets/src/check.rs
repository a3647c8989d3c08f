//! What a file is, and what is wrong or odd about it.

mod tally;
mod text;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::assemble::Assembler;
use crate::error::DatasetError;
use crate::open::expand;
use crate::read::rows;
use tally::Tally;

/// Errors that a report names; further ones are counted.
pub const MAX_ERRORS: usize = 10;

/// The result of a check.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// `outcome table` or `log`; absent if it is neither.
    pub kind: Option<String>,
    /// The files, in order.
    pub files: Vec<String>,
    /// Rows of all files.
    pub n_rows: usize,
    /// Distinct requests among the accepted rows.
    pub n_requests: usize,
    /// Distinct models among the accepted rows.
    pub n_models: usize,
    /// Each model, by name.
    pub models: Vec<ModelReport>,
    /// Columns with unknown values.
    pub missing: Vec<MissingReport>,
    /// Columns of the schema that no file has.
    pub absent: Vec<String>,
    /// Rows that repeat a (request, model).
    pub n_duplicates: usize,
    /// Only for a log.
    pub propensity: Option<PropensityReport>,
    /// What is not wrong, but odd.
    pub suspicious: Vec<Suspicion>,
    /// The first errors, in the order of rows.
    pub errors: Vec<String>,
    /// All errors.
    pub n_errors: usize,
}

/// One model's rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ModelReport {
    /// Its name.
    pub model: String,
    /// Accepted rows.
    pub n_rows: usize,
    /// Mean of the known qualities.
    pub mean_quality: Option<f64>,
    /// Mean of the known costs.
    pub mean_cost_usd: Option<f64>,
    /// Rows without quality.
    pub n_unjudged: usize,
    /// Rows without cost.
    pub n_unpriced: usize,
}

/// Unknown values of a column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MissingReport {
    /// The column.
    pub column: String,
    /// Accepted rows in which it is null.
    pub n_null: usize,
}

/// The propensities of a log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PropensityReport {
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Mean of 1/p; with full support it is near the number of eligible models.
    pub mean_inverse: f64,
    /// Decisions with a recorded pmf.
    pub n_pmf: usize,
    /// Largest |Σ pmf − 1|.
    pub max_sum_error: f64,
    /// Largest |propensity − its entry of the pmf|.
    pub max_entry_error: f64,
}

/// Something odd.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspicion {
    /// What.
    pub what: String,
    /// Rows concerned.
    pub n_rows: usize,
    /// The first of them, `file:row`.
    pub first: String,
}

/// Reads files or folders to the end and reports on them, errors included.
pub fn check(paths: &[PathBuf]) -> Report {
    let mut report = Report::default();
    let files = match expand(paths) {
        Ok(files) => files,
        Err(error) => {
            report.add_error(error.to_string());
            return report;
        }
    };
    let mut assembler = Assembler::default();
    let mut tally = Tally::default();
    for path in &files {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        tally.start_file(&name);
        report.files.push(name);
        if let Err(error) = read(path, &mut assembler, &mut tally, &mut report) {
            report.add_error(error.to_string());
        }
        assembler.end_file();
    }
    if report.n_rows == 0 && report.n_errors == 0 {
        report.add_error(DatasetError::Empty(report.files.join(", ")).to_string());
    }
    tally.add_conflicts(assembler.conflicts(), &report.files);
    report.n_duplicates = assembler.n_duplicates();
    tally.finish(&mut report);
    match assembler.finish() {
        Ok(data) => report.kind = Some(data.kind().to_owned()),
        Err(error) if report.n_errors == 0 => report.add_error(error.to_string()),
        Err(_) => {}
    }
    report
}

fn read(
    path: &Path,
    assembler: &mut Assembler,
    tally: &mut Tally,
    report: &mut Report,
) -> Result<(), DatasetError> {
    let batches = rows(path)?;
    report.n_rows += batches.n_rows();
    tally.add_columns(batches.columns());
    for batch in batches {
        for row in batch?.rows() {
            match row.and_then(|row| assembler.push(&row).map(|()| row)) {
                Ok(row) => tally.add(&row),
                Err(error) => report.add_error(DatasetError::row(path, error).to_string()),
            }
        }
    }
    Ok(())
}

impl Report {
    /// Whether there is nothing to refuse.
    pub fn is_good(&self) -> bool {
        self.n_errors == 0
    }

    fn add_error(&mut self, error: String) {
        self.n_errors += 1;
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }
}

#[cfg(test)]
mod tests;
