//! One file of prompts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use polars::prelude::*;

use super::{Prompt, folded};
use crate::columns::{Numeric, Text, normalize};
use crate::error::{DatasetError, RowError};
use crate::schema::{self, Field, Kind};
use crate::split::hash_text;

const TEXT: &str = "text";
const LABEL: &str = "label";
const SOURCE: &str = "source";

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_required: false }
}

const FIELDS: [Field; 8] = [
    field(TEXT, Kind::Text),
    field(schema::PROMPT, Kind::Text),
    field(LABEL, Kind::Text),
    field(schema::TASK, Kind::Text),
    field(SOURCE, Kind::Text),
    field(schema::GROUP, Kind::Text),
    field(schema::FOLD, Kind::Integer),
    field(schema::REQUEST_ID, Kind::Text),
];

/// The columns of a file, by name; those that it lacks are absent.
struct Table {
    n_rows: usize,
    texts: BTreeMap<&'static str, Text>,
    fold: Numeric,
}

/// The prompts of a file, and the number of all its rows.
pub(super) fn read(path: &Path) -> Result<(Vec<Prompt>, usize), DatasetError> {
    let is_csv = path.extension().is_some_and(|extension| extension == "csv");
    let table = if is_csv { csv(path)? } else { parquet(path)? };
    let (text, label) =
        if table.texts.contains_key(TEXT) { (TEXT, LABEL) } else { (schema::PROMPT, schema::TASK) };
    for column in [text, label] {
        if !table.texts.contains_key(column) {
            let hint = "a file of prompts needs `text` and `label`, or `prompt` and `task`";
            let column = if column == schema::PROMPT { TEXT } else { column };
            return Err(DatasetError::MissingColumn {
                path: path.to_owned(),
                column,
                hint: hint.to_owned(),
            });
        }
    }
    let default_source = default_source(path);
    let get = |name: &str, row: usize| table.texts.get(name).and_then(|column| column.get(row));
    let mut seen = BTreeSet::new();
    let mut prompts = Vec::new();
    for row in 0..table.n_rows {
        if get(schema::REQUEST_ID, row).is_some_and(|id| !seen.insert(id)) {
            continue;
        }
        let (Some(text), Some(name)) = (get(text, row), get(label, row)) else { continue };
        if text.trim().is_empty() || name.trim().is_empty() {
            continue;
        }
        let fold = table.fold.integer(row).map_err(|value| {
            let error = RowError::new(row, schema::FOLD, "be a whole number", value.to_string());
            DatasetError::row(path, error)
        })?;
        let group = get(schema::GROUP, row).filter(|group| !group.is_empty());
        prompts.push(Prompt {
            source: get(SOURCE, row).unwrap_or(&default_source).to_owned(),
            field: label.to_owned(),
            text: text.to_owned(),
            label: name.to_owned(),
            group: group.map_or_else(|| hash_text(&folded(text)), str::to_owned),
            fold: fold.and_then(|fold| i32::try_from(fold).ok()),
        });
    }
    Ok((prompts, table.n_rows))
}

/// `bfcl` for `bfcl/logs.parquet`, `mine` for `mine.csv`.
fn default_source(path: &Path) -> String {
    let name =
        |part: Option<&std::ffi::OsStr>| part.map(|name| name.to_string_lossy().into_owned());
    let stem = name(path.file_stem()).unwrap_or_default();
    match name(path.parent().and_then(Path::file_name)) {
        Some(folder) if stem == "logs" => folder,
        Some(_) | None => stem,
    }
}

fn parquet(path: &Path) -> Result<Table, DatasetError> {
    let broken = |error: PolarsError| DatasetError::Parquet {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let open = || File::open(path).map_err(|error| DatasetError::file(path, error));
    let found = ParquetReader::new(open()?).schema().map_err(broken)?;
    let known = FIELDS.iter().filter(|field| found.contains(field.name));
    let known: Vec<String> = known.map(|field| field.name.to_owned()).collect();
    let frame = ParquetReader::new(open()?).with_columns(Some(known)).finish().map_err(broken)?;
    let mut texts = BTreeMap::new();
    let mut fold = Numeric::default();
    for field in &FIELDS {
        let Ok(column) = frame.column(field.name) else { continue };
        let series = normalize(column.as_materialized_series(), field).map_err(|found| {
            DatasetError::ColumnType {
                path: path.to_owned(),
                column: field.name,
                expected: field.kind.describe(),
                found,
            }
        })?;
        if field.kind == Kind::Text {
            texts.insert(field.name, Text::from(Some(&series)));
        } else {
            fold = Numeric::from(Some(&series));
        }
    }
    Ok(Table { n_rows: frame.height(), texts, fold })
}

fn csv(path: &Path) -> Result<Table, DatasetError> {
    let broken = |error: csv::Error| DatasetError::file(path, std::io::Error::other(error));
    let mut reader = csv::Reader::from_path(path).map_err(broken)?;
    let header = reader.headers().map_err(broken)?.clone();
    let records = reader.records().collect::<Result<Vec<_>, _>>().map_err(broken)?;
    let mut texts = BTreeMap::new();
    let mut fold = Numeric::default();
    for field in &FIELDS {
        let Some(at) = header.iter().position(|name| name == field.name) else { continue };
        let values = records.iter().map(|record| record.get(at).filter(|value| !value.is_empty()));
        if field.kind == Kind::Text {
            let series = Series::new(field.name.into(), values.collect::<Vec<Option<&str>>>());
            texts.insert(field.name, Text::from(Some(&series)));
            continue;
        }
        let mut numbers = Vec::new();
        for (row, value) in values.enumerate() {
            let number = value.map(str::parse::<i64>).transpose().map_err(|_| {
                let value = value.unwrap_or_default();
                let error = RowError::new(row, field.name, "be a whole number", value);
                DatasetError::row(path, error)
            })?;
            numbers.push(number);
        }
        fold = Numeric::from(Some(&Series::new(field.name.into(), numbers)));
    }
    Ok(Table { n_rows: records.len(), texts, fold })
}
