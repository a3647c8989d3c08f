//! A row of a file → a typed row, or the error that names column, row, bound and value.

use std::collections::BTreeMap;

use polars::prelude::Series;
use router_core::{
    ModelId, Outcome, Propensity, Quality, RequestRow, Status, Tokens, UnitError, Usd,
};

use crate::columns::{Lists, Numeric, Text};
use crate::error::RowError;
use crate::schema::{self, QUALITY_SOURCES};
use crate::split::default_group;

/// How far the probabilities of a decision may be from 1 in sum.
const PMF_TOLERANCE: f64 = 1e-6;

/// One outcome, every value in its range. `None` always means unknown.
#[derive(Clone, Debug, Default)]
pub struct Row<'a> {
    /// Number of the data row within its file, counted from 0.
    pub row: usize,
    /// Rows with the same id answer the same request.
    pub request_id: &'a str,
    /// The text the router may see.
    pub prompt: &'a str,
    /// The model that answered.
    pub model: &'a str,
    /// Quality, cost, tokens, latency, status.
    pub outcome: Outcome,
    /// Label: kind of task.
    pub task: Option<&'a str>,
    /// Label: subject or category.
    pub domain: Option<&'a str>,
    /// Label: difficulty.
    pub difficulty: Option<&'a str>,
    /// Rows that must not be split apart.
    pub group: Option<&'a str>,
    /// Fixed fold of a benchmark.
    pub fold: Option<i32>,
    /// When it was decided, microseconds since 1970 UTC.
    pub timestamp_us: Option<i64>,
    /// The probability with which the logging policy drew this model.
    pub propensity: Option<Propensity>,
    /// Version of the policy that drew it.
    pub policy: Option<&'a str>,
    /// The models it could draw with their probabilities; empty if not recorded.
    pub pmf: Vec<(ModelId, f64)>,
    /// Who judged it.
    pub quality_source: Option<&'a str>,
    /// The tenant who asked.
    pub tenant: Option<&'a str>,
    /// The tier that was asked for.
    pub tier: Option<&'a str>,
    /// Number of messages; 0 if unknown.
    pub n_messages: u32,
    /// Number of tool definitions.
    pub n_tools: u32,
    /// Tool definitions as JSON.
    pub tool_schemas: Option<&'a str>,
}

impl Row<'_> {
    /// What it says of its request.
    pub fn request(&self) -> RequestRow {
        let group = self.group.map_or_else(|| default_group(self.prompt), str::to_owned);
        RequestRow {
            request_id: self.request_id.to_owned(),
            prompt: self.prompt.to_owned(),
            n_tools: self.n_tools,
            tool_schemas: self.tool_schemas.unwrap_or_default().to_owned(),
            n_messages: self.n_messages,
            task: self.task.map(str::to_owned),
            domain: self.domain.map(str::to_owned),
            difficulty: self.difficulty.map(str::to_owned),
            group,
            fold: self.fold,
            tier: self.tier.map(str::to_owned),
            tenant: self.tenant.map(str::to_owned),
        }
    }
}

/// The columns of a batch.
#[derive(Debug)]
pub(crate) struct Columns {
    request_id: Text,
    prompt: Text,
    model: Text,
    quality: Numeric,
    cost_usd: Numeric,
    prompt_tokens: Numeric,
    completion_tokens: Numeric,
    latency_ms: Numeric,
    task: Text,
    domain: Text,
    difficulty: Text,
    group: Text,
    fold: Numeric,
    timestamp: Numeric,
    propensity: Numeric,
    policy: Text,
    eligible: Lists,
    pmf: Lists,
    status: Text,
    quality_source: Text,
    tenant: Text,
    tier: Text,
    messages: Numeric,
    tools: Numeric,
    tool_schemas: Text,
}

impl Columns {
    pub(crate) fn new(typed: &BTreeMap<&'static str, Series>) -> Self {
        let text = |name| Text::from(typed.get(name));
        let numeric = |name| Numeric::from(typed.get(name));
        let lists = |name| Lists::from(typed.get(name));
        Self {
            request_id: text(schema::REQUEST_ID),
            prompt: text(schema::PROMPT),
            model: text(schema::MODEL),
            quality: numeric(schema::QUALITY),
            cost_usd: numeric(schema::COST_USD),
            prompt_tokens: numeric(schema::PROMPT_TOKENS),
            completion_tokens: numeric(schema::COMPLETION_TOKENS),
            latency_ms: numeric(schema::LATENCY_MS),
            task: text(schema::TASK),
            domain: text(schema::DOMAIN),
            difficulty: text(schema::DIFFICULTY),
            group: text(schema::GROUP),
            fold: numeric(schema::FOLD),
            timestamp: numeric(schema::TIMESTAMP),
            propensity: numeric(schema::PROPENSITY),
            policy: text(schema::POLICY),
            eligible: lists(schema::ELIGIBLE),
            pmf: lists(schema::PMF),
            status: text(schema::STATUS),
            quality_source: text(schema::QUALITY_SOURCE),
            tenant: text(schema::TENANT),
            tier: text(schema::TIER),
            messages: numeric(schema::MESSAGES),
            tools: numeric(schema::TOOLS),
            tool_schemas: text(schema::TOOL_SCHEMAS),
        }
    }

    /// Row number `row` of this batch.
    ///
    /// # Errors
    ///
    /// The first value that is missing or out of range.
    pub(crate) fn row(&self, row: usize) -> Result<Row<'_>, RowError> {
        let propensity = unit(&self.propensity, row, schema::PROPENSITY, Propensity::try_from)?;
        let model = filled(&self.model, row, schema::MODEL)?;
        let pmf = self.pmf(row)?;
        if let Some(propensity) = propensity {
            check_drawn(&pmf, model, propensity, row)?;
        }
        Ok(Row {
            row,
            request_id: filled(&self.request_id, row, schema::REQUEST_ID)?,
            prompt: self.prompt.get(row).ok_or_else(|| missing(row, schema::PROMPT))?,
            model,
            outcome: self.outcome(row)?,
            task: self.task.get(row),
            domain: self.domain.get(row),
            difficulty: self.difficulty.get(row),
            group: self.group.get(row),
            fold: fold(&self.fold, row)?,
            timestamp_us: integer(&self.timestamp, row, schema::TIMESTAMP)?,
            propensity,
            policy: self.policy.get(row),
            pmf,
            quality_source: one_of(&self.quality_source, row)?,
            tenant: self.tenant.get(row),
            tier: self.tier.get(row),
            n_messages: count(&self.messages, row, schema::MESSAGES)?,
            n_tools: count(&self.tools, row, schema::TOOLS)?,
            tool_schemas: self.tool_schemas.get(row),
        })
    }

    fn outcome(&self, row: usize) -> Result<Outcome, RowError> {
        Ok(Outcome {
            quality: unit(&self.quality, row, schema::QUALITY, Quality::try_from)?,
            cost: unit(&self.cost_usd, row, schema::COST_USD, Usd::from_dollars)?,
            prompt_tokens: tokens(&self.prompt_tokens, row, schema::PROMPT_TOKENS)?,
            completion_tokens: tokens(&self.completion_tokens, row, schema::COMPLETION_TOKENS)?,
            latency_ms: latency(number(&self.latency_ms, row, schema::LATENCY_MS)?, row)?,
            status: status(&self.status, row)?,
        })
    }

    fn pmf(&self, row: usize) -> Result<Vec<(ModelId, f64)>, RowError> {
        let Some(numbers) = self.pmf.numbers(row) else { return Ok(Vec::new()) };
        let names = self.eligible.texts(row).unwrap_or_default();
        if names.len() != numbers.len() {
            let bound = format!("have one entry per eligible model ({})", names.len());
            return Err(RowError::new(row, schema::PMF, bound, format!("{}", numbers.len())));
        }
        let mut pmf: Vec<(ModelId, f64)> = Vec::with_capacity(names.len());
        for (name, number) in names.into_iter().zip(numbers) {
            let name = name.unwrap_or_default();
            let id = ModelId::new(name.as_str()).map_err(|_| {
                RowError::new(row, schema::ELIGIBLE, "hold model names", format!("{name:?}"))
            })?;
            let probability = number.filter(|p| (0.0..=1.0).contains(p)).ok_or_else(|| {
                let value = number.map_or_else(|| "null".to_owned(), |p| p.to_string());
                RowError::new(row, schema::PMF, "hold numbers in [0, 1]", value)
            })?;
            if pmf.iter().any(|(seen, _)| *seen == id) {
                return Err(RowError::new(row, schema::ELIGIBLE, "name each model once", name));
            }
            pmf.push((id, probability));
        }
        let sum: f64 = pmf.iter().map(|(_, probability)| probability).sum();
        if (sum - 1.0).abs() > PMF_TOLERANCE {
            return Err(RowError::new(row, schema::PMF, "sum to 1", sum.to_string()));
        }
        Ok(pmf)
    }
}

fn check_drawn(
    pmf: &[(ModelId, f64)],
    model: &str,
    propensity: Propensity,
    row: usize,
) -> Result<(), RowError> {
    if pmf.is_empty() {
        return Ok(());
    }
    let Some((_, probability)) = pmf.iter().find(|(id, _)| id.as_str() == model) else {
        return Err(RowError::new(row, schema::MODEL, "be one of `eligible`", model));
    };
    if (probability - propensity.get()).abs() > PMF_TOLERANCE {
        let bound = format!("equal its entry of pmf ({probability})");
        return Err(RowError::new(row, schema::PROPENSITY, bound, propensity.get().to_string()));
    }
    Ok(())
}

fn missing(row: usize, column: &'static str) -> RowError {
    RowError::new(row, column, "be known", "null")
}

fn filled<'a>(column: &'a Text, row: usize, name: &'static str) -> Result<&'a str, RowError> {
    let text = column.get(row).ok_or_else(|| missing(row, name))?;
    if text.is_empty() || text.trim() != text {
        let bound = "not be empty or have spaces around it";
        return Err(RowError::new(row, name, bound, format!("{text:?}")));
    }
    Ok(text)
}

fn number(column: &Numeric, row: usize, name: &'static str) -> Result<Option<f64>, RowError> {
    column.check_exact(row, name)?;
    Ok(column.number(row))
}

fn integer(column: &Numeric, row: usize, name: &'static str) -> Result<Option<i64>, RowError> {
    column
        .integer(row)
        .map_err(|value| RowError::new(row, name, "be a whole number", value.to_string()))
}

fn tokens(column: &Numeric, row: usize, name: &'static str) -> Result<Option<Tokens>, RowError> {
    let Some(value) = integer(column, row, name)? else { return Ok(None) };
    let count = u64::try_from(value)
        .map_err(|_| RowError::new(row, name, "be at least 0", value.to_string()))?;
    Ok(Some(Tokens(count)))
}

fn count(column: &Numeric, row: usize, name: &'static str) -> Result<u32, RowError> {
    let value = integer(column, row, name)?.unwrap_or(0);
    u32::try_from(value)
        .map_err(|_| RowError::new(row, name, "be at least 0 and below 2^32", value.to_string()))
}

fn fold(column: &Numeric, row: usize) -> Result<Option<i32>, RowError> {
    let Some(value) = integer(column, row, schema::FOLD)? else { return Ok(None) };
    match i32::try_from(value) {
        Ok(fold) if fold >= 0 => Ok(Some(fold)),
        Ok(_) | Err(_) => {
            let bound = "be at least 0 and below 2^31";
            Err(RowError::new(row, schema::FOLD, bound, value.to_string()))
        }
    }
}

/// Checks a number by the unit it becomes.
fn unit<T>(
    column: &Numeric,
    row: usize,
    name: &'static str,
    check: impl Fn(f64) -> Result<T, UnitError>,
) -> Result<Option<T>, RowError> {
    let Some(value) = number(column, row, name)? else { return Ok(None) };
    check(value)
        .map(Some)
        .map_err(|error| RowError::new(row, name, format!("be {}", error.bound), value.to_string()))
}

fn latency(value: Option<f64>, row: usize) -> Result<Option<f64>, RowError> {
    match value {
        Some(value) if !(value >= 0.0 && value.is_finite()) => {
            let bound = "be at least 0 and finite";
            Err(RowError::new(row, schema::LATENCY_MS, bound, value.to_string()))
        }
        Some(_) | None => Ok(value),
    }
}

fn status(column: &Text, row: usize) -> Result<Status, RowError> {
    match column.get(row) {
        None | Some("ok") => Ok(Status::Ok),
        Some("error") => Ok(Status::Error),
        Some("timeout") => Ok(Status::Timeout),
        Some(other) => {
            Err(RowError::new(row, schema::STATUS, "be ok, error or timeout", format!("{other:?}")))
        }
    }
}

fn one_of(column: &Text, row: usize) -> Result<Option<&str>, RowError> {
    match column.get(row) {
        Some(source) if !QUALITY_SOURCES.contains(&source) => {
            let bound = format!("be one of {}", QUALITY_SOURCES.join(", "));
            Err(RowError::new(row, schema::QUALITY_SOURCE, bound, format!("{source:?}")))
        }
        source => Ok(source),
    }
}
