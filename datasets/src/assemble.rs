//! Rows → an outcome table or a log; decides which of the two they are.

use std::collections::HashMap;

use router_core::{LoggedDecision, ModelId, Outcome, OutcomeTable, RequestRow};

use crate::error::{DatasetError, RowError};
use crate::schema;
use crate::validate::Row;

/// Full or partial information.
#[derive(Clone, Debug, PartialEq)]
pub enum Dataset {
    /// Every model answered each request, up to missing cells.
    Table(OutcomeTable),
    /// One model was drawn for each request, with a known propensity.
    Log(Vec<LoggedDecision>),
}

impl Dataset {
    /// What it is, in two words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "outcome table",
            Self::Log(_) => "log",
        }
    }
}

/// A prompt that differs from the first one of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Number of the file, from 0.
    pub file: usize,
    /// Number of the row within it, from 0.
    pub row: usize,
    /// Index of the request, in the order of first rows.
    pub request: u32,
}

/// Where a row was read.
#[derive(Clone, Copy, Debug)]
struct Place {
    file: u32,
    row: usize,
}

#[derive(Debug)]
struct Cell {
    request: u32,
    model: u32,
    outcome: Outcome,
}

/// Collects rows, each request's text once.
#[derive(Debug, Default)]
pub struct Assembler {
    /// Whether one answer per request is taken for a table that lacks the others.
    takes_choices: bool,
    file: u32,
    is_log: Option<bool>,
    request_index: HashMap<String, u32>,
    model_index: HashMap<String, u32>,
    models: Vec<ModelId>,
    requests: Vec<RequestRow>,
    cells: Vec<Cell>,
    seen: HashMap<(u32, u32), Place>,
    decisions: Vec<LoggedDecision>,
    conflicts: Vec<Conflict>,
    n_duplicates: usize,
}

impl Assembler {
    /// One that takes rows with one answer per request and no propensity for a table that lacks
    /// the other answers.
    pub fn of_choices() -> Self {
        Self { takes_choices: true, ..Self::default() }
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// If its (request, model) occurred before, or it has a propensity and the rows before it
    /// have none, or the other way round, or a log has a second row for one request.
    pub fn push(&mut self, row: &Row<'_>) -> Result<(), RowError> {
        let is_log = row.propensity.is_some();
        if self.is_log.is_some_and(|expected| expected != is_log) {
            return Err(mixed(row));
        }
        let request = self.request_index.get(row.request_id).copied();
        let model = self.model_index.get(row.model).copied();
        if let (Some(request), Some(model)) = (request, model)
            && let Some(first) = self.seen.get(&(request, model))
        {
            let error = self.duplicate(row, *first);
            self.n_duplicates += 1;
            return Err(error);
        }
        if is_log && request.is_some() {
            let bound = "occur once in a log (one model is drawn for each request)";
            return Err(RowError::new(row.row, schema::REQUEST_ID, bound, row.request_id));
        }
        self.is_log = Some(is_log);
        let model = match model {
            Some(model) => model,
            None => self.add_model(row)?,
        };
        let request = request.unwrap_or_else(|| self.add_request(row));
        if self.prompt(request) != row.prompt {
            self.conflicts.push(Conflict { file: self.file as usize, row: row.row, request });
        }
        self.seen.insert((request, model), Place { file: self.file, row: row.row });
        if !is_log {
            self.cells.push(Cell { request, model, outcome: row.outcome });
        }
        Ok(())
    }

    /// Says that later rows are of another file.
    pub fn end_file(&mut self) {
        self.file += 1;
    }

    /// Rows whose prompt differs from the first one of their request; the first one is kept.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    /// Rows refused because their (request, model) occurred before.
    pub fn n_duplicates(&self) -> usize {
        self.n_duplicates
    }

    /// What the rows are.
    ///
    /// # Errors
    ///
    /// If no row was accepted, or each request was answered by one of several models and no
    /// propensity is recorded.
    pub fn finish(mut self) -> Result<Dataset, DatasetError> {
        if self.requests.is_empty() && self.decisions.is_empty() {
            return Err(DatasetError::Empty("the data".to_owned()));
        }
        if self.is_log == Some(true) {
            return Ok(Dataset::Log(self.decisions));
        }
        let (n_requests, n_models) = (self.requests.len(), self.models.len());
        if !self.takes_choices && n_models > 1 && self.cells.len() == n_requests {
            return Err(DatasetError::Neither(format!(
                "each of {n_requests} requests was answered by one of {n_models} models, and no \
                 propensity is recorded"
            )));
        }
        let columns = self.order_models();
        let mut outcomes = vec![None; n_requests * n_models];
        for cell in &self.cells {
            outcomes[cell.request as usize * n_models + columns[cell.model as usize]] =
                Some(cell.outcome);
        }
        Ok(Dataset::Table(OutcomeTable { models: self.models, requests: self.requests, outcomes }))
    }

    /// Sorts the models by id; the column of each in the order of first rows.
    fn order_models(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.models.len()).collect();
        order.sort_by(|a, b| self.models[*a].cmp(&self.models[*b]));
        let mut columns = vec![0; order.len()];
        for (column, model) in order.iter().enumerate() {
            columns[*model] = column;
        }
        self.models.sort();
        columns
    }

    fn prompt(&self, request: u32) -> &str {
        let request = request as usize;
        if self.is_log == Some(true) {
            &self.decisions[request].request.prompt
        } else {
            &self.requests[request].prompt
        }
    }

    fn add_model(&mut self, row: &Row<'_>) -> Result<u32, RowError> {
        let id = ModelId::new(row.model)
            .map_err(|_| RowError::new(row.row, schema::MODEL, "be a model name", row.model))?;
        let index = index(self.models.len());
        self.model_index.insert(row.model.to_owned(), index);
        self.models.push(id);
        Ok(index)
    }

    fn add_request(&mut self, row: &Row<'_>) -> u32 {
        let index = index(self.request_index.len());
        self.request_index.insert(row.request_id.to_owned(), index);
        match (row.propensity, self.model_index.get(row.model)) {
            (Some(propensity), Some(model)) => self.decisions.push(LoggedDecision {
                request: row.request(),
                model: self.models[*model as usize].clone(),
                propensity,
                policy: row.policy.unwrap_or_default().to_owned(),
                pmf: row.pmf.clone(),
                outcome: row.outcome,
                timestamp_us: row.timestamp_us,
                quality_source: row.quality_source.map(str::to_owned),
            }),
            (Some(_), None) | (None, _) => self.requests.push(row.request()),
        }
        index
    }

    fn duplicate(&self, row: &Row<'_>, first: Place) -> RowError {
        let file = if first.file == self.file { "" } else { " of an earlier file" };
        let bound = format!("occur once per request (first in row {}{file})", first.row);
        let value = format!("{} again for request {}", row.model, row.request_id);
        RowError::new(row.row, schema::MODEL, bound, value)
    }
}

fn index(n: usize) -> u32 {
    u32::try_from(n).expect("fewer than 2^32 requests fit in memory")
}

fn mixed(row: &Row<'_>) -> RowError {
    let (bound, value) = match row.propensity {
        Some(propensity) => (
            "be null, as in the rows before it (an outcome table has no propensity)",
            propensity.get().to_string(),
        ),
        None => {
            ("be known, as in the rows before it (each row of a log has one)", "null".to_owned())
        }
    };
    RowError::new(row.row, schema::PROPENSITY, bound, value)
}
