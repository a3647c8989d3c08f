//! What simulated models answer: from the synthetic world, or as an outcome table recorded it.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, bail};
use datasets::Dataset;
use datasets::synthetic::{World, WorldParams};
use router_core::{Outcome, OutcomeTable, RequestRow};

/// Where answers come from.
#[derive(Debug)]
pub enum Answers {
    /// Any prompt, and any index of a request, has an answer.
    World {
        /// The models and their requests.
        world: World,
        /// Of the draws.
        seed: u64,
    },
    /// Only what was recorded has an answer.
    Table(Recorded),
}

/// One model's answer to one prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What is said; [`Answers::grade`] reads the quality from it.
    pub text: String,
    /// What it was worth.
    pub outcome: Outcome,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// No request was ever answered by that model.
    #[error("no model {0}")]
    Model(String),
    /// The prompt, which is not repeated here, is none of the table's.
    #[error("the outcome table has no such prompt among its {0} requests")]
    Prompt(usize),
    /// The cell of the table is empty.
    #[error("the outcome table has no outcome of {model} for request {request}")]
    Cell {
        /// The model.
        model: String,
        /// The request's id.
        request: String,
    },
}

/// An outcome table, found by prompt.
#[derive(Debug)]
pub struct Recorded {
    table: OutcomeTable,
    /// Request number of each prompt; of several requests with one prompt the first.
    by_prompt: HashMap<String, usize>,
}

/// What precedes the recorded quality in the text of an answer.
const QUALITY: &str = "Quality:";

/// Most words of filler in an answer, one for each recorded completion token.
const MAX_FILLER: usize = 2_000;

impl Answers {
    /// The answers of a world.
    ///
    /// # Errors
    ///
    /// If the world cannot be made.
    pub fn of_world(params: WorldParams) -> Result<Self> {
        Ok(Self::World { world: World::new(params)?, seed: params.seed })
    }

    /// The answers that a file or folder of outcomes recorded.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is a log, which knows one model's answer only.
    pub fn of_file(path: &Path) -> Result<Self> {
        match datasets::open(&[path.to_owned()])?.data {
            Dataset::Table(table) => Ok(Self::of_table(table)),
            Dataset::Log(_) => {
                bail!("outcomes must be an outcome table, got a log: {}", path.display())
            }
        }
    }

    /// The answers of a table.
    pub fn of_table(table: OutcomeTable) -> Self {
        let mut by_prompt = HashMap::new();
        for (number, request) in table.requests.iter().enumerate() {
            by_prompt.entry(request.prompt.clone()).or_insert(number);
        }
        Self::Table(Recorded { table, by_prompt })
    }

    /// What a model answers.
    ///
    /// # Errors
    ///
    /// If there is no such model, prompt or outcome.
    pub fn answer(&self, prompt: &str, model: &str) -> Result<Answer, NoAnswer> {
        match self {
            Self::World { world, seed } => {
                let answer = world.answer(prompt, model, *seed);
                let answer = answer.ok_or_else(|| NoAnswer::Model(model.to_owned()))?;
                Ok(Answer { text: answer.text, outcome: answer.outcome })
            }
            Self::Table(recorded) => recorded.answer(prompt, model),
        }
    }

    /// Request number `index`; `None` beyond the end of a table.
    pub fn request(&self, index: u64) -> Option<RequestRow> {
        match self {
            Self::World { world, .. } => Some(world.request(index)),
            Self::Table(recorded) => {
                recorded.table.requests.get(usize::try_from(index).ok()?).cloned()
            }
        }
    }

    /// How good the text of an answer is, in [0, 1]; `None` if that was not recorded.
    pub fn grade(&self, prompt: &str, text: &str) -> Option<f64> {
        match self {
            Self::World { world, .. } => Some(world.grade(prompt, text).get()),
            Self::Table(_) => text.rsplit_once(QUALITY)?.1.trim().parse().ok(),
        }
    }
}

impl Recorded {
    fn answer(&self, prompt: &str, model: &str) -> Result<Answer, NoAnswer> {
        let table = &self.table;
        let column = table.models.iter().position(|id| id.as_str() == model);
        let column = column.ok_or_else(|| NoAnswer::Model(model.to_owned()))?;
        let number = self.by_prompt.get(prompt).ok_or(NoAnswer::Prompt(table.requests.len()))?;
        let outcome = table.outcome(*number, column).copied().ok_or_else(|| {
            let request = table.requests[*number].request_id.clone();
            NoAnswer::Cell { model: model.to_owned(), request }
        })?;
        let n_tokens = outcome.completion_tokens.map_or(0, |tokens| tokens.0);
        let n_filler = usize::try_from(n_tokens).unwrap_or(MAX_FILLER).min(MAX_FILLER);
        let filler: String = [" and", " so", " on"].into_iter().cycle().take(n_filler).collect();
        let quality = outcome.quality.map_or("unknown".to_owned(), |q| q.get().to_string());
        let text = format!("{model} says:{filler} {QUALITY} {quality}");
        Ok(Answer { text, outcome })
    }
}

#[cfg(test)]
mod tests {
    use router_core::{ModelId, Quality, Tokens, Usd};

    use super::*;

    fn table() -> OutcomeTable {
        let request = |id: &str, prompt: &str| RequestRow {
            request_id: id.to_owned(),
            prompt: prompt.to_owned(),
            ..RequestRow::default()
        };
        let outcome = |quality: f64| Outcome {
            quality: Quality::try_from(quality).ok(),
            cost: Some(Usd::from_nanos(5)),
            completion_tokens: Some(Tokens(20)),
            ..Outcome::default()
        };
        OutcomeTable {
            models: vec![ModelId::new("a").unwrap(), ModelId::new("b").unwrap()],
            requests: vec![request("r0", "Why?"), request("r1", "How?"), request("r2", "Why?")],
            outcomes: vec![
                Some(outcome(0.25)),
                Some(outcome(1.0)),
                Some(Outcome::default()),
                None,
                Some(outcome(0.0)),
                Some(outcome(0.0)),
            ],
        }
    }

    #[test]
    fn a_table_answers_what_it_recorded_and_nothing_else() {
        let answers = Answers::of_table(table());
        // Two requests have this prompt: the first one counts.
        let first = answers.answer("Why?", "a").unwrap();
        assert_eq!(answers.grade("Why?", &first.text), Some(0.25));
        assert_eq!(first.outcome, table().outcomes[0].unwrap());
        let unjudged = answers.answer("How?", "a").unwrap();
        assert_eq!(answers.grade("How?", &unjudged.text), None);
        let no = |prompt, model| answers.answer(prompt, model).unwrap_err();
        assert_eq!(no("Why?", "c"), NoAnswer::Model("c".to_owned()));
        assert_eq!(no("Who?", "a"), NoAnswer::Prompt(3));
        assert!(no("How?", "b").to_string().contains("outcome of b for request r1"));
        assert_eq!(answers.request(1).unwrap().prompt, "How?");
        assert!(answers.request(3).is_none());
    }

    #[test]
    fn a_log_is_no_outcome_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.parquet");
        let request = table().requests.remove(0);
        let row = router_core::LoggedDecision {
            request,
            model: ModelId::new("a").unwrap(),
            propensity: router_core::Propensity::try_from(0.5).unwrap(),
            policy: "p".to_owned(),
            pmf: Vec::new(),
            outcome: Outcome::default(),
            timestamp_us: None,
            quality_source: None,
        };
        datasets::write::write_log(&[row], &path).unwrap();
        let error = Answers::of_file(&path).unwrap_err().to_string();
        assert!(error.contains("must be an outcome table, got a log"), "{error}");
    }
}
