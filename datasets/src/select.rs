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
        let n_kept = log.len();
        log.retain(|row| self.wants(&row.request));
        if log.is_empty() {
            return Err(SelectError::NothingLeft { n_models: 0, n_requests: 0 });
        }
        if n_kept < n_before {
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
mod tests {
    use router_core::{Outcome, RequestRow, Usd};

    use super::*;
    use crate::testing::decision;

    /// Three models; `b-1` has no cost in request 1, `c` did not answer request 0.
    fn table() -> OutcomeTable {
        let priced = Some(Outcome { cost: Some(Usd::from_nanos(1)), ..Outcome::default() });
        let free = Some(Outcome::default());
        OutcomeTable {
            models: ["a-1", "b-1", "c"].map(|id| ModelId::new(id).unwrap()).to_vec(),
            requests: vec![RequestRow::default(), RequestRow::default()],
            outcomes: vec![priced, priced, None, priced, free, priced],
        }
    }

    fn select(text: &str) -> Result<(Vec<String>, usize), SelectError> {
        let table = text.parse::<ModelSelection>()?.select(&table())?;
        assert_eq!(table.outcomes.len(), table.models.len() * table.requests.len());
        Ok((table.models.into_iter().map(String::from).collect(), table.requests.len()))
    }

    fn kept(names: &[&str], n_requests: usize) -> (Vec<String>, usize) {
        (names.iter().map(|name| (*name).to_owned()).collect(), n_requests)
    }

    #[test]
    fn names_globs_exclusions_and_keywords_select() {
        assert_eq!(select("*-1").unwrap(), kept(&["a-1", "b-1"], 2));
        assert_eq!(select("c,a-1").unwrap(), kept(&["a-1", "c"], 2));
        assert_eq!(select("!b*").unwrap(), kept(&["a-1", "c"], 2));
        assert_eq!(select("priced").unwrap(), kept(&["a-1", "c"], 2));
        assert_eq!(select("complete").unwrap(), kept(&["a-1", "b-1"], 2));
        assert_eq!(select("common").unwrap(), kept(&["a-1", "b-1", "c"], 1));
        assert_eq!(select("priced, complete").unwrap(), kept(&["a-1"], 2));
        assert_eq!(select("c").unwrap(), kept(&["c"], 1));
    }

    #[test]
    fn requests_are_selected_by_their_labels() {
        let mut table = table();
        for (request, (task, domain)) in
            table.requests.iter_mut().zip([("code-1", Some("law")), ("mail", None)])
        {
            request.task = Some(task.to_owned());
            request.domain = domain.map(str::to_owned);
        }
        let kept = |text: &str| -> (Vec<String>, Vec<String>) {
            let kept = text.parse::<ModelSelection>().unwrap().select(&table).unwrap();
            let tasks = kept.requests.into_iter().filter_map(|request| request.task);
            (kept.models.into_iter().map(String::from).collect(), tasks.collect())
        };
        assert_eq!(kept("task=code*").1, ["code-1"]);
        assert_eq!(kept("!task=code*").1, ["mail"]);
        assert_eq!(kept("domain=law").1, ["code-1"]);
        assert_eq!(kept("!domain=law").1, ["mail"]);
        assert_eq!(kept("task=mail,task=code-1,!domain=law").1, ["mail"]);
        // `c` did not answer the first request, `b-1` has no cost in the second.
        assert_eq!(kept("task=code-1,complete").0, ["a-1", "b-1"]);
        assert_eq!(kept("task=code-1,priced").0, ["a-1", "b-1", "c"]);
        let none = "task=gone".parse::<ModelSelection>().unwrap().select(&table).unwrap_err();
        assert!(none.to_string().contains("0 requests"), "{none}");
    }

    #[test]
    fn a_name_that_fits_nothing_is_refused() {
        let error = select("gpt-*").unwrap_err().to_string();
        assert_eq!(error, "--models: gpt-* is none of the 3 models (a-1, b-1, c)");
        let error = select("a-1,,c").unwrap_err().to_string();
        assert_eq!(error, "a part of --models must not be empty, got \"a-1,,c\"");
        let error = select("c,complete").unwrap_err().to_string();
        assert!(error.starts_with("--models keeps 0 models and 0 requests"), "{error}");
    }

    #[test]
    fn a_log_is_selected_by_the_models_that_were_drawn() {
        let unpriced = |mut row: LoggedDecision| {
            row.outcome.cost = None;
            row
        };
        let log = || {
            let failed = unpriced(decision("r3", "small", 0.5));
            let outcome = Outcome { status: Status::Timeout, ..failed.outcome };
            let failed = LoggedDecision { outcome, ..failed };
            vec![decision("r1", "small", 0.5), unpriced(decision("r2", "large", 0.5)), failed]
        };
        let select = |text: &str| -> Result<Vec<String>, SelectError> {
            let log = text.parse::<ModelSelection>().unwrap().select_log(log())?;
            Ok(log.into_iter().map(|row| row.request.request_id).collect())
        };
        assert_eq!(select("*").unwrap(), ["r1", "r2", "r3"]);
        assert_eq!(select("!small").unwrap(), ["r2"]);
        assert_eq!(select("priced").unwrap(), ["r1", "r3"]);
        let refused = |text: &str| select(text).unwrap_err().to_string();
        assert_eq!(refused("gpt-*"), "--models: gpt-* is none of the 2 models (large, small)");
        assert!(refused("complete").contains("need an outcome table, got a log"));
        assert!(refused("priced,!small").starts_with("--models keeps 0 models"));
    }

    #[test]
    fn a_propensity_is_that_among_the_kept_models() {
        let three = ["large", "small", "tiny"].map(|name| ModelId::new(name).unwrap());
        let drawn = |id: &str, model: &str, pmf: [f64; 3]| {
            let at = three.iter().position(|name| name.as_str() == model).unwrap();
            LoggedDecision {
                pmf: three.iter().cloned().zip(pmf).collect(),
                ..decision(id, model, pmf[at])
            }
        };
        let log = || {
            vec![
                drawn("r1", "small", [0.5, 0.3, 0.2]),
                drawn("r2", "large", [0.5, 0.3, 0.2]),
                drawn("r3", "tiny", [0.5, 0.3, 0.2]),
            ]
        };
        let kept = "!tiny".parse::<ModelSelection>().unwrap().select_log(log()).unwrap();
        for (row, propensity) in kept.iter().zip([0.375, 0.625]) {
            assert!((row.propensity.get() - propensity).abs() < 1e-12, "{row:?}");
            assert_eq!(row.pmf.len(), 2);
            assert!((row.pmf.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-12);
        }
        let all = ModelSelection::default().select_log(log()).unwrap();
        assert_eq!(all, log());
        let mut unknown = log();
        unknown[1].pmf.clear();
        let error = "!tiny".parse::<ModelSelection>().unwrap().select_log(unknown).unwrap_err();
        assert!(error.to_string().ends_with("request r2 has none"), "{error}");
    }

    #[test]
    fn one_model_only_is_refused_for_learning() {
        let one = "c".parse::<ModelSelection>().unwrap().select(&table()).unwrap();
        let error = require_two_models(&one).unwrap_err().to_string();
        assert_eq!(error, "at least 2 models are needed to learn a choice, got 1 (c)");
        assert!(require_two_models(&table()).is_ok());
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        assert!(matches("*", "abc") && matches("a*c", "abc") && matches("a*", "a"));
        assert!(matches("a*b*a", "abxba") && !matches("a*a", "a") && !matches("b", "ab"));
    }
}
