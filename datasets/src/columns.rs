//! Columns of a batch as typed values, whatever width the file stored them in.

use polars::prelude::*;

use crate::error::RowError;
use crate::schema::{Field, Kind};

/// Whole numbers up to here have an exact `f64`.
const EXACT: i64 = 1 << 53;

/// Strings; absent if the file has no such column.
#[derive(Debug, Default)]
pub(crate) struct Text(Option<StringChunked>);

/// Numbers, stored with or without a fraction.
#[derive(Debug, Default)]
pub(crate) enum Numeric {
    /// The file has no such column.
    #[default]
    Absent,
    /// Stored as floating point.
    Floats(Float64Chunked),
    /// Stored as integers.
    Integers(Int64Chunked),
}

/// Lists of strings or numbers.
#[derive(Debug, Default)]
pub(crate) struct Lists(Option<ListChunked>);

impl Text {
    pub(crate) fn get(&self, row: usize) -> Option<&str> {
        self.0.as_ref()?.get(row)
    }
}

impl Numeric {
    /// The number in that row.
    pub(crate) fn number(&self, row: usize) -> Option<f64> {
        match self {
            Self::Absent => None,
            Self::Floats(values) => values.get(row),
            Self::Integers(values) => values.get(row).map(|value| value as f64),
        }
    }

    /// The whole number in that row, or the number that has a fraction.
    pub(crate) fn integer(&self, row: usize) -> Result<Option<i64>, f64> {
        match self {
            Self::Absent => Ok(None),
            Self::Integers(values) => Ok(values.get(row)),
            Self::Floats(values) => match values.get(row) {
                None => Ok(None),
                #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
                Some(value) if value.fract() == 0.0 && value.abs() <= EXACT as f64 => {
                    Ok(Some(value as i64))
                }
                Some(value) => Err(value),
            },
        }
    }

    /// Refuses an integer whose `f64` would differ from it.
    pub(crate) fn check_exact(&self, row: usize, name: &'static str) -> Result<(), RowError> {
        let Self::Integers(values) = self else { return Ok(()) };
        match values.get(row) {
            Some(value) if value.abs() > EXACT => {
                Err(RowError::new(row, name, "be at most 2^53", value.to_string()))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Lists {
    pub(crate) fn texts(&self, row: usize) -> Option<Vec<Option<String>>> {
        let list = self.0.as_ref()?.get_as_series(row)?;
        let texts = list.str().ok()?;
        Some((0..texts.len()).map(|i| texts.get(i).map(str::to_owned)).collect())
    }

    pub(crate) fn numbers(&self, row: usize) -> Option<Vec<Option<f64>>> {
        let list = self.0.as_ref()?.get_as_series(row)?;
        let numbers = list.f64().ok()?;
        Some((0..numbers.len()).map(|i| numbers.get(i)).collect())
    }
}

/// Brings a column of the file to the type its field has.
///
/// # Errors
///
/// The type found, if it cannot be read without loss.
pub(crate) fn normalize(series: &Series, field: &Field) -> Result<Series, String> {
    let found = series.dtype();
    let target = match field.kind {
        Kind::Text if is_text(found) => DataType::String,
        Kind::Number | Kind::Integer if found.is_float() => DataType::Float64,
        Kind::Number | Kind::Integer if found.is_integer() => DataType::Int64,
        Kind::Timestamp if matches!(found, DataType::Datetime(_, _)) => {
            return to_microseconds(series).map_err(|error| error.to_string());
        }
        Kind::TextList if is_list(found, is_text) => DataType::List(Box::new(DataType::String)),
        Kind::NumberList if is_list(found, DataType::is_numeric) => {
            DataType::List(Box::new(DataType::Float64))
        }
        kind if *found == DataType::Null => null_type(kind),
        Kind::Text
        | Kind::Number
        | Kind::Integer
        | Kind::Timestamp
        | Kind::TextList
        | Kind::NumberList => return Err(found.to_string()),
    };
    series.rechunk().strict_cast(&target).map_err(|_| format!("{found} out of range"))
}

fn is_text(found: &DataType) -> bool {
    matches!(found, DataType::String | DataType::Categorical(_, _) | DataType::Enum(_, _))
}

fn is_list(found: &DataType, is_inner: fn(&DataType) -> bool) -> bool {
    let DataType::List(inner) = found else { return false };
    is_inner(inner) || **inner == DataType::Null
}

fn null_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text => DataType::String,
        Kind::Number => DataType::Float64,
        Kind::Integer | Kind::Timestamp => DataType::Int64,
        Kind::TextList => DataType::List(Box::new(DataType::String)),
        Kind::NumberList => DataType::List(Box::new(DataType::Float64)),
    }
}

fn to_microseconds(series: &Series) -> PolarsResult<Series> {
    let microseconds = DataType::Datetime(TimeUnit::Microseconds, None);
    let zone_less = if let DataType::Datetime(unit, Some(_)) = series.dtype() {
        series.to_physical_repr().cast(&DataType::Datetime(*unit, None))?
    } else {
        series.clone()
    };
    Ok(zone_less.rechunk().cast(&microseconds)?.to_physical_repr().into_owned())
}

impl From<Option<&Series>> for Text {
    fn from(series: Option<&Series>) -> Self {
        Self(series.and_then(|series| series.str().ok()).cloned())
    }
}

impl From<Option<&Series>> for Numeric {
    fn from(series: Option<&Series>) -> Self {
        let Some(series) = series else { return Self::Absent };
        if let Ok(values) = series.i64() {
            Self::Integers(values.clone())
        } else if let Ok(values) = series.f64() {
            Self::Floats(values.clone())
        } else {
            Self::Absent
        }
    }
}

impl From<Option<&Series>> for Lists {
    fn from(series: Option<&Series>) -> Self {
        Self(series.and_then(|series| series.list().ok()).cloned())
    }
}
