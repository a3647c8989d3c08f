//! Files of rows with named values, whatever their format: CSV, JSON, JSON lines, parquet.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use polars::prelude::{AnyValue, ParquetReader, SerReader};
use serde_json::{Map, Value};

use super::{ImportError, Reason};

/// One row, its columns in the order of the file.
pub(super) type Record = Map<String, Value>;

/// All rows of a file. The format follows the extension: `csv`, `json`, `jsonl` or `parquet`.
///
/// A JSON file is an array of objects, or an object with an array `records`; each record then
/// inherits what the object says beside it, where it does not say so itself.
pub(super) fn read(path: &Path) -> Result<Vec<Record>, ImportError> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let records = match extension {
        "csv" => csv(path),
        "json" => json(path),
        "jsonl" => lines(path),
        "parquet" => parquet(path),
        other => Err(format!("its extension must be csv, json, jsonl or parquet, got {other:?}")),
    };
    records.map_err(|reason| ImportError::Read { path: path.to_owned(), reason })
}

fn open(path: &Path) -> Result<File, Reason> {
    File::open(path).map_err(|error| error.to_string())
}

fn csv(path: &Path) -> Result<Vec<Record>, Reason> {
    let text = |error: csv::Error| error.to_string();
    let mut reader = csv::Reader::from_reader(open(path)?);
    let header = reader.headers().map_err(text)?.clone();
    let mut records = Vec::new();
    for row in reader.records() {
        let row = row.map_err(text)?;
        let values = row.iter().map(|value| match value {
            "" => Value::Null,
            value => Value::from(value),
        });
        records.push(header.iter().map(str::to_owned).zip(values).collect());
    }
    Ok(records)
}

fn lines(path: &Path) -> Result<Vec<Record>, Reason> {
    let mut records = Vec::new();
    for (number, line) in BufReader::new(open(path)?).lines().enumerate() {
        let line = line.map_err(|error| error.to_string())?;
        if !line.trim().is_empty() {
            let record = serde_json::from_str(&line);
            records.push(record.map_err(|error| format!("line {}: {error}", number + 1))?);
        }
    }
    Ok(records)
}

fn json(path: &Path) -> Result<Vec<Record>, Reason> {
    let value: Value =
        serde_json::from_reader(BufReader::new(open(path)?)).map_err(|error| error.to_string())?;
    let (shared, rows) = match value {
        Value::Array(rows) => (Map::new(), rows),
        Value::Object(mut shared) => match shared.remove("records") {
            Some(Value::Array(rows)) => (shared, rows),
            _ => return Err("it has no array `records`".to_owned()),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Err("it must be an array or an object".to_owned());
        }
    };
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let Value::Object(mut record) = row else {
            return Err("its records must be objects".to_owned());
        };
        for (name, value) in &shared {
            if !record.contains_key(name) {
                record.insert(name.clone(), value.clone());
            }
        }
        records.push(record);
    }
    Ok(records)
}

fn parquet(path: &Path) -> Result<Vec<Record>, Reason> {
    let frame = ParquetReader::new(open(path)?).finish().map_err(|error| error.to_string())?;
    let mut records = vec![Record::new(); frame.height()];
    for column in frame.columns() {
        for (row, record) in records.iter_mut().enumerate() {
            let value = column.get(row).map_err(|error| error.to_string())?;
            record.insert(column.name().to_string(), plain(&value));
        }
    }
    Ok(records)
}

fn plain(value: &AnyValue<'_>) -> Value {
    if let Some(text) = value.get_str() {
        return Value::from(text);
    }
    if let AnyValue::Boolean(claim) = value {
        return Value::from(*claim);
    }
    let dtype = value.dtype();
    if value.is_null() {
        Value::Null
    } else if dtype.is_integer() {
        value.extract::<i64>().into()
    } else if dtype.is_float() {
        value.extract::<f64>().into()
    } else {
        Value::from(value.to_string())
    }
}

/// The text of a column; a number counts as its digits.
pub(super) fn text(record: &Record, name: &str) -> Option<String> {
    match record.get(name)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Some(other.to_string())
        }
    }
}

/// The text of a column that must be there.
pub(super) fn required(record: &Record, name: &str) -> Result<String, Reason> {
    text(record, name).ok_or_else(|| format!("{name} must be known, got null"))
}

/// The number of a value: also `True`, `False` and digits in quotes.
pub(super) fn number(value: Option<&Value>, name: &str) -> Result<Option<f64>, Reason> {
    let parsed = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Bool(claim)) => Some(f64::from(u8::from(*claim))),
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => match text.trim() {
            "True" | "true" => Some(1.0),
            "False" | "false" => Some(0.0),
            digits => digits.parse().ok(),
        },
        Some(Value::Array(_) | Value::Object(_)) => None,
    };
    match parsed {
        Some(number) => Ok(Some(number)),
        None => Err(format!("{name} must be a number, got {}", value.unwrap_or(&Value::Null))),
    }
}
