//! Which models of a table are taken, and of which requests: `--models`.

use std::collections::BTreeSet;

use router_core::{LoggedDecision, ModelId, OutcomeTable, Propensity, RequestRow, Status};

use crate::split::Label;

/// A selection of models, as written in `--models`.
///
/// A comma list of names and globs with `*`, of exclusions `!glob`, and of keywords:
///
/// | Part | Keeps |
/// | --- | --- |
/// | `gpt-4`, `llama-*` | the models of that name; without such a part, all |
/// | `!o1-*` | the others |
/// | `priced` | models whose cost is known wherever they answered |
/// | `complete` | models that answered every request |
/// | `common` | requests that every kept model answered |
/// | `task=code*`, `domain=law` | requests of that label; of several, those that fit one of each column |
/// | `!task=code*`, `!domain=law` | the others |
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelSelection {
    included: Vec<String>,
    excluded: Vec<String>,
    is_priced: bool,
    is_complete: bool,
    is_common: bool,
    of_requests: Vec<LabelPart>,
}

/// `task=glob` and the like.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LabelPart {
    column: Label,
    glob: String,
    is_excluded: bool,
}

impl LabelPart {
    fn parse(text: &str) -> Option<Self> {
        let (is_excluded, rest) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let (column, glob) = match rest.split_once('=')? {
            ("task", glob) => (Label::Task, glob),
            ("domain", glob) => (Label::Domain, glob),
            _ => return None,
        };
        Some(Self { column, glob: glob.to_owned(), is_excluded })
    }

    fn text(&self) -> String {
        let column = match self.column {
            Label::Task => "task",
            Label::Domain => "domain",
        };
        format!("{column}={}", self.glob)
    }

    /// Whether a request has a label that the glob fits.
    fn fits(&self, request: &RequestRow) -> bool {
        let label = match self.column {
            Label::Task => &request.task,
            Label::Domain => &request.domain,
        };
        label.as_ref().is_some_and(|label| matches(&self.glob, label))
    }
}

/// Why a selection cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// A part of the list is empty.
    #[error("a part of --models must not be empty, got {0:?}")]
    EmptyPart(String),
    /// A name or glob that fits nothing.
    #[error("--models: {pattern} is none of the {n_models} models ({models})")]
    NoSuchModel {
        /// The name or glob.
        pattern: String,
        /// How many models there are.
        n_models: usize,
        /// Their names.
        models: String,
    },
    /// A label that no request has.
    #[error("--models: {0} fits the label of no request")]
    NoSuchLabel(String),
    /// A log has one model's answer to each request.
    #[error("--models: complete and common need an outcome table, got a log")]
    NoTable,
    /// The propensity among the kept models is unknown.
    #[error(
        "--models leaves decisions out, so each of the others needs eligible and pmf, but request \
         {0} has none"
    )]
    NoPmf(String),
    /// Nothing is left.
    #[error(
        "--models keeps {n_models} models and {n_requests} requests, at least 1 of each is needed"
    )]
    NothingLeft {
        /// Models kept.
        n_models: usize,
        /// Requests kept.
        n_requests: usize,
    },
    /// A choice needs two candidates.
    #[error("at least 2 models are needed to learn a choice, got {n_models} ({models})")]
    TooFewModels {
        /// How many models there are.
        n_models: usize,
        /// Their names.
        models: String,
    },
}

impl std::str::FromStr for ModelSelection {
    type Err = SelectError;

    fn from_str(text: &str) -> Result<Self, SelectError> {
        let mut selection = Self::default();
        for part in text.split(',').map(str::trim) {
            match part {
                "" | "!" => return Err(SelectError::EmptyPart(text.to_owned())),
                "priced" => selection.is_priced = true,
                "complete" => selection.is_complete = true,
                "common" => selection.is_common = true,
                _ => match (LabelPart::parse(part), part.strip_prefix('!')) {
                    (Some(part), _) => selection.of_requests.push(part),
                    (None, Some(glob)) => selection.excluded.push(glob.to_owned()),
                    (None, None) => selection.included.push(part.to_owned()),
                },
            }
        }
        Ok(selection)
    }
}

impl ModelSelection {
    /// The selected part of a table. Requests that no kept model answered are dropped.
    ///
    /// # Errors
    ///
    /// If a name or glob fits no model, or nothing is left.
    pub fn select(&self, table: &OutcomeTable) -> Result<OutcomeTable, SelectError> {
        self.check_patterns(&table.models)?;
        self.check_labels(|| table.requests.iter())?;
        let wanted: Vec<usize> = (0..table.requests.len())
            .filter(|request| self.wants(&table.requests[*request]))
            .collect();
        let kept: Vec<usize> =
            (0..table.models.len()).filter(|model| self.keeps(table, &wanted, *model)).collect();
        let answered =
            |request: usize| kept.iter().filter(move |m| table.outcome(request, **m).is_some());
        let at_least = if self.is_common { kept.len() } else { 1 };
        let requests: Vec<usize> =
            wanted.into_iter().filter(|request| answered(*request).count() >= at_least).collect();
        if kept.is_empty() || requests.is_empty() {
            let (n_models, n_requests) = (kept.len(), requests.len());
            return Err(SelectError::NothingLeft { n_models, n_requests });
        }
        let cells =
            requests.iter().flat_map(|r| kept.iter().map(|m| table.outcome(*r, *m).copied()));
        Ok(OutcomeTable {
            outcomes: cells.collect(),
            models: kept.iter().map(|model| table.models[*model].clone()).collect(),
            requests: requests.iter().map(|request| table.requests[*request].clone()).collect(),
        })
    }

    /// The selected part of a log: the decisions that drew a kept model, with the probability with
    /// which each was drawn among the kept ones. `priced` looks at answers only, since a call that
    /// failed has no cost.
    ///
    /// # Errors
    ///
    /// If a name or glob fits no model, nothing is left, `complete` or `common` is asked for, or a
    /// decision must be left out and another one does not say how likely the kept models were.
    pub fn select_log(
        &self,
        mut log: Vec<LoggedDecision>,
    ) -> Result<Vec<LoggedDecision>, SelectError> {
        if self.is_complete || self.is_common {
            return Err(SelectError::NoTable);
        }
        self.check_labels(|| log.iter().map(|row| &row.request))?;
        log.retain(|row| self.wants(&row.request));
        let models: BTreeSet<ModelId> = log.iter().map(|row| row.model.clone()).collect();
        self.check_patterns(&models.iter().cloned().collect::<Vec<_>>())?;
        let unpriced: BTreeSet<ModelId> = log
            .iter()
            .filter(|row| row.outcome.status == Status::Ok && row.outcome.cost.is_none())
            .map(|row| row.model.clone())
            .collect();
        let keeps =
            |model: &ModelId| self.names(model) && !(self.is_priced && unpriced.contains(model));
        let n_before = log.len();
        log.retain(|row| keeps(&row.model));
        if log.is_empty() {
            return Err(SelectError::NothingLeft { n_models: 0, n_requests: 0 });
        }
        if log.len() < n_before {
            log.iter_mut().try_for_each(|row| condition(row, &keeps))?;
        }
        Ok(log)
    }

    /// Whether the names, globs and exclusions let a model through.
    fn names(&self, model: &ModelId) -> bool {
        let fits = |glob: &String| matches(glob, model.as_str());
        (self.included.is_empty() || self.included.iter().any(fits))
            && !self.excluded.iter().any(fits)
    }

    fn check_labels<'a, R: Iterator<Item = &'a RequestRow>>(
        &self,
        requests: impl Fn() -> R,
    ) -> Result<(), SelectError> {
        let is_idle = |part: &&LabelPart| !requests().any(|request| part.fits(request));
        match self.of_requests.iter().find(is_idle) {
            Some(part) => Err(SelectError::NoSuchLabel(part.text())),
            None => Ok(()),
        }
    }

    /// Whether the labels of a request are wanted.
    fn wants(&self, request: &RequestRow) -> bool {
        let fits_column = |column: Label| {
            let mut of = self.of_requests.iter().filter(|part| part.column == column);
            let mut wanted = of.clone().filter(|part| !part.is_excluded).peekable();
            let is_wanted = wanted.peek().is_none() || wanted.any(|part| part.fits(request));
            is_wanted && !of.any(|part| part.is_excluded && part.fits(request))
        };
        fits_column(Label::Task) && fits_column(Label::Domain)
    }

    fn keeps(&self, table: &OutcomeTable, requests: &[usize], model: usize) -> bool {
        let mut cells = requests.iter().map(|request| table.outcome(*request, model));
        self.names(&table.models[model])
            && cells.all(|cell| match cell {
                None => !self.is_complete,
                Some(outcome) => !self.is_priced || outcome.cost.is_some(),
            })
    }

    fn check_patterns(&self, models: &[ModelId]) -> Result<(), SelectError> {
        for pattern in self.included.iter().chain(&self.excluded) {
            if !models.iter().any(|model| matches(pattern, model.as_str())) {
                return Err(SelectError::NoSuchModel {
                    pattern: pattern.clone(),
                    n_models: models.len(),
                    models: join(models),
                });
            }
        }
        Ok(())
    }
}

/// The decision, given that a kept model was drawn: probabilities over their sum.
fn condition(
    row: &mut LoggedDecision,
    keeps: &impl Fn(&ModelId) -> bool,
) -> Result<(), SelectError> {
    let unknown = |row: &LoggedDecision| SelectError::NoPmf(row.request.request_id.clone());
    row.pmf.retain(|(model, _)| keeps(model));
    if row.pmf.is_empty() {
        return Err(unknown(row));
    }
    let kept: f64 = row.pmf.iter().map(|(_, probability)| probability).sum();
    let drawn = (row.propensity.get() / kept).min(1.0);
    row.propensity = Propensity::try_from(drawn).map_err(|_| unknown(row))?;
    row.pmf.iter_mut().for_each(|(_, probability)| *probability /= kept);
    Ok(())
}

/// Refuses a table with fewer than two models: there is nothing to choose between.
///
/// # Errors
///
/// If there are fewer than two.
pub fn require_two_models(table: &OutcomeTable) -> Result<(), SelectError> {
    if table.models.len() < 2 {
        let n_models = table.models.len();
        return Err(SelectError::TooFewModels { n_models, models: join(&table.models) });
    }
    Ok(())
}

fn join(models: &[ModelId]) -> String {
    models.iter().map(ModelId::as_str).collect::<Vec<_>>().join(", ")
}

/// Whether `text` fits a glob in which `*` stands for any characters, also none.
fn matches(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests;
