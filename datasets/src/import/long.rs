//! Long tables: one row per (request, model), columns under any name.
//!
//! `--map quality=score` says that the schema's `quality` is the file's `score`;
//! `--map request_id=dataset+split+index` joins columns with `/`. A column that is not mapped is
//! looked up under its own name, and without a `request_id` a request is named by its prompt.
//!
//! A result file of LLMRouterBench (an object with `model_name`, `dataset_name`, `split` and
//! `records` of `index`, `prompt`, `score`, `cost`, `prompt_tokens`, `completion_tokens`) needs no
//! mapping; these names stand in where a column is neither mapped nor present:
//!
//! | Column | Name |
//! | --- | --- |
//! | `request_id` | `dataset_name+split+index` |
//! | `model` | `model_name` |
//! | `quality` | `score` |
//! | `cost_usd` | `cost` |
//! | `task` | `dataset_name` |

use std::collections::BTreeMap;

use router_core::{Outcome, Propensity, Tokens};

use super::source::{number, text};
use super::{ImportError, Reason, Record, outcome, push as push_row};
use crate::assemble::Assembler;
use crate::schema;
use crate::validate::Row;

const STAND_INS: &[(&str, &str)] = &[
    (schema::REQUEST_ID, "dataset_name+split+index"),
    (schema::MODEL, "model_name"),
    (schema::QUALITY, "score"),
    (schema::COST_USD, "cost"),
    (schema::TASK, "dataset_name"),
];

/// The columns that a long table may give.
const MAPPED: &[&str] = &[
    schema::REQUEST_ID,
    schema::PROMPT,
    schema::MODEL,
    schema::QUALITY,
    schema::COST_USD,
    schema::PROMPT_TOKENS,
    schema::COMPLETION_TOKENS,
    schema::LATENCY_MS,
    schema::TASK,
    schema::DOMAIN,
    schema::DIFFICULTY,
    schema::GROUP,
    schema::FOLD,
    schema::PROPENSITY,
    schema::POLICY,
];

/// Column of the schema → name in the file.
#[derive(Debug, Default)]
pub(super) struct Mapping(BTreeMap<&'static str, String>);

impl Mapping {
    /// Reads `column=name` texts.
    pub(super) fn parse(maps: &[String]) -> Result<Self, ImportError> {
        let mut names = BTreeMap::new();
        for map in maps {
            let wrong = || ImportError::Map(format!("{map}; columns are {}", MAPPED.join(", ")));
            let (column, name) = map.split_once('=').ok_or_else(wrong)?;
            let column = MAPPED.iter().find(|known| **known == column).ok_or_else(wrong)?;
            names.insert(*column, name.to_owned());
        }
        Ok(Self(names))
    }

    /// The name of a column in this record.
    fn name<'a>(&'a self, record: &Record, column: &'a str) -> &'a str {
        if let Some(name) = self.0.get(column) {
            return name;
        }
        let stand_in = STAND_INS.iter().find(|(known, _)| *known == column);
        match stand_in {
            Some((_, name)) if !record.contains_key(column) => name,
            Some(_) | None => column,
        }
    }

    fn text(&self, record: &Record, column: &str) -> Option<String> {
        let name = self.name(record, column);
        if record.contains_key(name) || !name.contains('+') {
            return text(record, name);
        }
        let parts: Option<Vec<_>> = name.split('+').map(|part| text(record, part)).collect();
        parts.map(|parts| parts.join("/"))
    }

    fn number(&self, record: &Record, column: &str) -> Result<Option<f64>, Reason> {
        let name = self.name(record, column);
        number(record.get(name), name)
    }

    fn needed(&self, record: &Record, column: &str) -> Result<String, Reason> {
        self.text(record, column).ok_or_else(|| {
            format!(
                "{column} (`{}` in the file) must be known, got null",
                self.name(record, column)
            )
        })
    }

    fn whole(&self, record: &Record, column: &str) -> Result<Option<u64>, Reason> {
        match self.number(record, column)? {
            None => Ok(None),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole, at least 0 and below 2^53"
            )]
            Some(count) if count >= 0.0 && count.fract() == 0.0 && count < 9e15 => {
                Ok(Some(count as u64))
            }
            Some(count) => {
                Err(format!("{column} must be a whole number of at least 0, got {count}"))
            }
        }
    }

    /// Adds a row.
    pub(super) fn push(
        &self,
        record: &Record,
        row: usize,
        assembler: &mut Assembler,
    ) -> Result<(), Reason> {
        let text = |column| self.text(record, column);
        let request_id = text(schema::REQUEST_ID).unwrap_or_default();
        let prompt = self.needed(record, schema::PROMPT)?;
        let model = self.needed(record, schema::MODEL)?;
        let (task, domain) = (text(schema::TASK), text(schema::DOMAIN));
        let (difficulty, group) = (text(schema::DIFFICULTY), text(schema::GROUP));
        let policy = text(schema::POLICY);
        let propensity = self.number(record, schema::PROPENSITY)?.map(Propensity::try_from);
        let fold = self.whole(record, schema::FOLD)?.map(i32::try_from);
        let row = Row {
            row,
            request_id: &request_id,
            prompt: &prompt,
            model: &model,
            outcome: self.outcome(record)?,
            task: task.as_deref(),
            domain: domain.as_deref(),
            difficulty: difficulty.as_deref(),
            group: group.as_deref(),
            fold: fold.transpose().map_err(|_| "fold must be below 2^31".to_owned())?,
            propensity: propensity.transpose().map_err(|error| error.to_string())?,
            policy: policy.as_deref(),
            ..Row::default()
        };
        push_row(row, assembler)
    }

    fn outcome(&self, record: &Record) -> Result<Outcome, Reason> {
        let latency_ms = self.number(record, schema::LATENCY_MS)?;
        if let Some(value) = latency_ms.filter(|value| !(*value >= 0.0 && value.is_finite())) {
            return Err(format!("latency_ms must be at least 0 and finite, got {value}"));
        }
        let quality = self.number(record, schema::QUALITY)?;
        Ok(Outcome {
            prompt_tokens: self.whole(record, schema::PROMPT_TOKENS)?.map(Tokens),
            completion_tokens: self.whole(record, schema::COMPLETION_TOKENS)?.map(Tokens),
            latency_ms,
            ..outcome(quality, self.number(record, schema::COST_USD)?)?
        })
    }
}
