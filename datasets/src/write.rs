//! Rows → parquet (zstd). The same rows give the same bytes.

use std::fs::File;
use std::path::{Path, PathBuf};

use polars::io::parquet::write::BatchedWriter;
use polars::prelude::*;
use router_core::{LoggedDecision, ModelId, Outcome, OutcomeTable, RequestRow, Status, Usd};

use crate::error::DatasetError;
use crate::schema;

/// Rows per row group.
const GROUP_ROWS: usize = 1 << 16;

/// A column of numbers or strings, for curves and reports.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Numbers, all known.
    F64(Vec<f64>),
    /// Numbers that may be unknown.
    Optional(Vec<Option<f64>>),
    /// Whole numbers.
    I64(Vec<i64>),
    /// Strings.
    Text(Vec<String>),
}

/// Writes an outcome table; one row for each known cell, request by request.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write_table(table: &OutcomeTable, path: &Path) -> Result<(), DatasetError> {
    let n_models = table.models.len();
    let mut sink = Sink::new(path)?;
    let mut lines = Vec::new();
    for (i, outcome) in table.outcomes.iter().enumerate() {
        let Some(outcome) = outcome else { continue };
        let request = &table.requests[i / n_models];
        lines.push(Line { request, model: &table.models[i % n_models], outcome, decision: None });
        if lines.len() == GROUP_ROWS {
            sink.write(&frame(&lines, false))?;
            lines.clear();
        }
    }
    if !lines.is_empty() {
        sink.write(&frame(&lines, false))?;
    }
    sink.finish()
}

/// Writes a log, one row for each decision.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write_log(log: &[LoggedDecision], path: &Path) -> Result<(), DatasetError> {
    let mut sink = Sink::new(path)?;
    for decisions in log.chunks(GROUP_ROWS) {
        let lines: Vec<_> = decisions.iter().map(Line::of).collect();
        sink.write(&frame(&lines, true))?;
    }
    sink.finish()
}

/// Writes named columns of one length.
///
/// # Errors
///
/// If their lengths differ, a name occurs twice, or the file cannot be written.
pub fn write_columns(path: &Path, columns: &[(&str, Column)]) -> Result<(), DatasetError> {
    let series = columns.iter().map(|(name, column)| {
        let name = PlSmallStr::from_str(name);
        match column {
            Column::F64(values) => Series::new(name, values),
            Column::Optional(values) => Series::new(name, values),
            Column::I64(values) => Series::new(name, values),
            Column::Text(values) => Series::new(name, values),
        }
    });
    let frame = DataFrame::new_infer_height(series.map(Series::into_column).collect())
        .map_err(|error| write_error(path, &error))?;
    let mut sink = Sink::new(path)?;
    sink.write(&Ok(frame))?;
    sink.finish()
}

/// A file that appears under its name only when it is whole.
struct Sink {
    path: PathBuf,
    partial: PathBuf,
    writer: Option<BatchedWriter<File>>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        // Gone after a rename; left by an error otherwise.
        drop(std::fs::remove_file(&self.partial));
    }
}

impl Sink {
    fn new(path: &Path) -> Result<Self, DatasetError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        File::create(&partial).map_err(|source| DatasetError::file(path, source))?;
        Ok(Self { path: path.to_owned(), partial, writer: None })
    }

    fn write(&mut self, frame: &PolarsResult<DataFrame>) -> Result<(), DatasetError> {
        let broken = |error: &PolarsError| write_error(&self.path, error);
        let frame = frame.as_ref().map_err(broken)?;
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let file = File::create(&self.partial)
                    .map_err(|source| DatasetError::file(&self.path, source))?;
                ParquetWriter::new(file)
                    .with_compression(ParquetCompression::Zstd(None))
                    .set_parallel(false)
                    .batched(frame.schema())
                    .map_err(|error| broken(&error))?
            }
        };
        writer.write_batch(frame).map_err(|error| broken(&error))?;
        self.writer = Some(writer);
        Ok(())
    }

    fn finish(mut self) -> Result<(), DatasetError> {
        let Some(writer) = self.writer.take() else {
            return Err(DatasetError::Empty(format!("what {} is to hold", self.path.display())));
        };
        writer.finish().map_err(|error| write_error(&self.path, &error))?;
        std::fs::rename(&self.partial, &self.path)
            .map_err(|source| DatasetError::file(&self.path, source))
    }
}

fn write_error(path: &Path, error: &PolarsError) -> DatasetError {
    DatasetError::Write { path: path.to_owned(), reason: error.to_string() }
}

/// One row to write.
struct Line<'a> {
    request: &'a RequestRow,
    model: &'a ModelId,
    outcome: &'a Outcome,
    decision: Option<&'a LoggedDecision>,
}

impl<'a> Line<'a> {
    fn of(decision: &'a LoggedDecision) -> Self {
        let LoggedDecision { request, model, outcome, .. } = decision;
        Self { request, model, outcome, decision: Some(decision) }
    }
}

fn frame(lines: &[Line<'_>], is_log: bool) -> PolarsResult<DataFrame> {
    let mut columns = identity_columns(lines);
    columns.extend(outcome_columns(lines));
    columns.extend(request_columns(lines));
    if is_log {
        columns.extend(decision_columns(lines)?);
    }
    let place =
        |series: &Series| schema::FIELDS.iter().position(|f| f.name == series.name().as_str());
    columns.sort_by_key(place);
    DataFrame::new(lines.len(), columns.into_iter().map(Series::into_column).collect())
}

fn texts<'a>(name: &str, values: impl Iterator<Item = Option<&'a str>>) -> Series {
    Series::new(name.into(), values.collect::<Vec<_>>())
}

fn numbers(name: &str, values: impl Iterator<Item = Option<f64>>) -> Series {
    Series::new(name.into(), values.collect::<Vec<_>>())
}

/// A column of whole numbers, where a number beyond `i64` cannot occur.
fn integers(name: &str, values: impl Iterator<Item = Option<u64>>) -> Series {
    let signed = values.map(|value| value.map(|value| i64::try_from(value).unwrap_or(i64::MAX)));
    Series::new(name.into(), signed.collect::<Vec<_>>())
}

fn small(name: &str, values: impl Iterator<Item = Option<i32>>) -> Series {
    Series::new(name.into(), values.collect::<Vec<_>>())
}

/// A count that is null when it is 0.
fn known(count: u32) -> Option<i32> {
    i32::try_from(count).ok().filter(|count| *count > 0)
}

fn identity_columns(lines: &[Line<'_>]) -> Vec<Series> {
    let requests = || lines.iter().map(|line| line.request);
    vec![
        texts(schema::REQUEST_ID, requests().map(|request| Some(request.request_id.as_str()))),
        texts(schema::PROMPT, requests().map(|request| Some(request.prompt.as_str()))),
        texts(schema::MODEL, lines.iter().map(|line| Some(line.model.as_str()))),
    ]
}

fn outcome_columns(lines: &[Line<'_>]) -> Vec<Series> {
    let outcomes = || lines.iter().map(|line| line.outcome);
    vec![
        numbers(schema::QUALITY, outcomes().map(|o| o.quality.map(f64::from))),
        numbers(schema::COST_USD, outcomes().map(|o| o.cost.map(Usd::dollars))),
        integers(schema::PROMPT_TOKENS, outcomes().map(|o| o.prompt_tokens.map(|t| t.0))),
        integers(schema::COMPLETION_TOKENS, outcomes().map(|o| o.completion_tokens.map(|t| t.0))),
        numbers(schema::LATENCY_MS, outcomes().map(|o| o.latency_ms)),
        texts(schema::STATUS, outcomes().map(|o| Some(status_name(o.status)))),
    ]
}

fn request_columns(lines: &[Line<'_>]) -> Vec<Series> {
    let requests = || lines.iter().map(|line| line.request);
    vec![
        texts(schema::TASK, requests().map(|r| r.task.as_deref())),
        texts(schema::DOMAIN, requests().map(|r| r.domain.as_deref())),
        texts(schema::DIFFICULTY, requests().map(|r| r.difficulty.as_deref())),
        texts(schema::GROUP, requests().map(|r| Some(r.group.as_str()))),
        small(schema::FOLD, requests().map(|r| r.fold)),
        texts(schema::TENANT, requests().map(|r| r.tenant.as_deref())),
        texts(schema::TIER, requests().map(|r| r.tier.as_deref())),
        small(schema::MESSAGES, requests().map(|r| known(r.n_messages))),
        small(schema::TOOLS, requests().map(|r| known(r.n_tools))),
        texts(
            schema::TOOL_SCHEMAS,
            requests().map(|r| Some(r.tool_schemas.as_str()).filter(|text| !text.is_empty())),
        ),
    ]
}

fn decision_columns(lines: &[Line<'_>]) -> PolarsResult<Vec<Series>> {
    let decisions = || lines.iter().filter_map(|line| line.decision);
    let times: Vec<_> = decisions().map(|d| d.timestamp_us).collect();
    let utc = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    let mut models = ListStringChunkedBuilder::new(schema::ELIGIBLE.into(), lines.len(), 0);
    let mut probabilities = ListPrimitiveChunkedBuilder::<Float64Type>::new(
        schema::PMF.into(),
        lines.len(),
        0,
        DataType::Float64,
    );
    for pmf in decisions().map(|d| &d.pmf) {
        if pmf.is_empty() {
            models.append_null();
            probabilities.append_null();
        } else {
            models.append_values_iter(pmf.iter().map(|(model, _)| model.as_str()));
            probabilities.append_slice(&pmf.iter().map(|(_, p)| *p).collect::<Vec<_>>());
        }
    }
    Ok(vec![
        Series::new(schema::TIMESTAMP.into(), times).cast(&utc)?,
        numbers(schema::PROPENSITY, decisions().map(|d| Some(d.propensity.get()))),
        texts(
            schema::POLICY,
            decisions().map(|d| Some(d.policy.as_str()).filter(|policy| !policy.is_empty())),
        ),
        models.finish().into_series(),
        probabilities.finish().into_series(),
        texts(schema::QUALITY_SOURCE, decisions().map(|d| d.quality_source.as_deref())),
    ])
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Error => "error",
        Status::Timeout => "timeout",
    }
}
