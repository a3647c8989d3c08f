//! What is to be learned: requests as raw features, and what each model made of them.

use std::collections::{BTreeMap, BTreeSet};

use datasets::{Dataset, Folds, fold_of};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use rayon::prelude::*;
use router_core::features::{FeatureScratch, RawFeatures, raw_features};
use router_core::{LoggedDecision, ModelId, OutcomeTable, RequestRow};

use crate::learn::Learn;

/// Labels beyond this many are not learned as tasks: each costs an output in every decision.
const MAX_TASKS: usize = 64;

/// One model's answer, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cell {
    /// In `[0, 1]`.
    pub quality: Option<f32>,
    /// Dollars.
    pub cost: Option<f64>,
    /// Milliseconds.
    pub latency_ms: Option<f64>,
}

/// Which model a log drew for a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// The model.
    pub model: usize,
    /// With which probability, as learning takes it: see [`crate::partial`].
    pub propensity: f64,
}

/// The data of a fit.
///
/// # Shapes
///
/// `n` requests and `m` models; `cells` is `[n * m]`, request-major.
#[derive(Clone, Debug, Default)]
pub struct Problem {
    /// `[m]`, ordered by id.
    pub models: Vec<ModelId>,
    /// `[n]`.
    pub raw: Vec<RawFeatures>,
    /// `[n * m]`.
    pub cells: Vec<Cell>,
    /// Names of the tasks; empty without labels.
    pub tasks: Vec<String>,
    /// `[n]`: index into `tasks`.
    pub task: Vec<Option<usize>>,
    /// `[n]`: fold of each request.
    pub fold: Vec<i32>,
    /// `[n]`: number of the group of each request.
    pub group: Vec<u32>,
    /// The other folds that requests of the same group are in, where folds are labels.
    pub kin: BTreeMap<usize, Vec<i32>>,
    /// `[n]` if the data are a log, else empty.
    pub drawn: Vec<Drawn>,
    /// How a log is learned from.
    pub learn: Learn,
    /// The reference model that was asked for; `None` for the best single one of the seen rows.
    pub reference: Option<usize>,
}

/// The pair of models that complexity is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The reference model.
    pub reference: usize,
    /// The cheapest, or without costs the weakest, model.
    pub cheap: usize,
}

/// Why data do not make a problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProblemError {
    /// No request.
    #[error("at least {need} requests with a known quality are needed to fit, got {have}")]
    TooFewRequests {
        /// Requests needed.
        need: usize,
        /// Requests there are.
        have: usize,
    },
    /// Nothing to choose between.
    #[error("at least 2 models are needed to learn a choice, got {0}")]
    TooFewModels(usize),
    /// A model of which nothing is known.
    #[error("model {0} has no row with a known quality")]
    NoQuality(ModelId),
    /// No fold.
    #[error("request {0} has no value in the column that --cross-fit names; each needs one")]
    NoFold(String),
    /// Validation is impossible.
    #[error("at least 2 folds are needed to choose anything by validation, got {0}")]
    TooFewFolds(usize),
}

/// Requests below which nothing can be validated.
const MIN_REQUESTS: usize = 20;

impl Problem {
    /// Takes what is needed from a table or a log.
    ///
    /// # Errors
    ///
    /// If there are fewer than two models, folds, or 20 requests, or a model without any quality.
    pub fn new(data: &Dataset, folds: Folds) -> Result<Self, ProblemError> {
        let problem = match data {
            Dataset::Table(table) => Self::from_table(table, folds)?,
            Dataset::Log(log) => Self::from_log(log, folds)?,
        };
        problem.check()?;
        Ok(problem)
    }

    /// Number of models.
    pub fn n_models(&self) -> usize {
        self.models.len()
    }

    /// Number of requests.
    pub fn n_requests(&self) -> usize {
        self.raw.len()
    }

    /// What a model made of a request.
    pub fn cell(&self, request: usize, model: usize) -> Cell {
        self.cells[request * self.models.len() + model]
    }

    /// The distinct folds.
    pub fn folds(&self) -> Vec<i32> {
        self.fold.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whether a request, or another of its group, is in a fold.
    pub fn touches(&self, request: usize, fold: i32) -> bool {
        self.fold[request] == fold || self.kin.get(&request).is_some_and(|k| k.contains(&fold))
    }

    /// Whether every model is known to have answered a request, with a judged answer.
    pub fn is_complete(&self, request: usize) -> bool {
        (0..self.n_models()).all(|model| self.cell(request, model).quality.is_some())
    }

    /// 1 where the cheap model was not enough, 0 where it was; `None` if that is not known.
    pub fn hard(&self, row: usize, ends: Ends) -> Option<f64> {
        let reference = self.cell(row, ends.reference).quality?;
        let cheap = self.cell(row, ends.cheap).quality?;
        Some(f64::from(u8::from(reference > cheap)))
    }

    /// Shuffles what is known of requests (features, task) among all of them, so that they tell
    /// nothing of the outcomes: whatever a router then seems to know is a leak.
    ///
    /// Folds do not confine it: each fold would keep its mean, and a router fitted on the others
    /// would then rank the folds the wrong way round, below chance.
    pub fn shuffle(&mut self, seed: u64) {
        let mut rng = Pcg64::seed_from_u64(seed);
        for last in (1..self.n_requests()).rev() {
            let other = rng.random_range(0..=last);
            self.raw.swap(last, other);
            self.task.swap(last, other);
        }
    }

    fn check(&self) -> Result<(), ProblemError> {
        if self.n_models() < 2 {
            return Err(ProblemError::TooFewModels(self.n_models()));
        }
        let judged = |cells: &&[Cell]| cells.iter().any(|cell| cell.quality.is_some());
        let have = self.cells.chunks_exact(self.n_models()).filter(judged).count();
        if have < MIN_REQUESTS {
            return Err(ProblemError::TooFewRequests { need: MIN_REQUESTS, have });
        }
        for (model, id) in self.models.iter().enumerate() {
            let mut cells = (0..self.n_requests()).map(|request| self.cell(request, model));
            if !cells.any(|cell| cell.quality.is_some()) {
                return Err(ProblemError::NoQuality(id.clone()));
            }
        }
        match self.folds().len() {
            n if n < 2 => Err(ProblemError::TooFewFolds(n)),
            _ => Ok(()),
        }
    }

    fn from_table(table: &OutcomeTable, folds: Folds) -> Result<Self, ProblemError> {
        let cell = |outcome: &Option<router_core::Outcome>| {
            outcome.as_ref().map(Cell::from).unwrap_or_default()
        };
        let requests: Vec<&RequestRow> = table.requests.iter().collect();
        let mut problem = Self::from_requests(&requests, folds)?;
        problem.models.clone_from(&table.models);
        problem.cells = table.outcomes.iter().map(cell).collect();
        Ok(problem)
    }

    fn from_log(log: &[LoggedDecision], folds: Folds) -> Result<Self, ProblemError> {
        let requests: Vec<&RequestRow> = log.iter().map(|row| &row.request).collect();
        let mut problem = Self::from_requests(&requests, folds)?;
        let drawn: BTreeSet<&ModelId> = log.iter().map(|row| &row.model).collect();
        let arms: BTreeMap<&ModelId, usize> =
            drawn.iter().enumerate().map(|(arm, model)| (*model, arm)).collect();
        problem.models = drawn.iter().map(|model| (*model).clone()).collect();
        problem.cells = vec![Cell::default(); log.len() * arms.len()];
        for (request, row) in log.iter().enumerate() {
            let model = arms[&row.model];
            problem.cells[request * arms.len() + model] = Cell::from(&row.outcome);
            problem.drawn.push(Drawn { model, propensity: row.propensity.get() });
        }
        Ok(problem)
    }

    fn from_requests(requests: &[&RequestRow], folds: Folds) -> Result<Self, ProblemError> {
        let fold = |request: &&RequestRow| {
            fold_of(request, folds).ok_or_else(|| ProblemError::NoFold(request.request_id.clone()))
        };
        let (tasks, task) = labels(requests);
        let fold: Vec<i32> = requests.iter().map(fold).collect::<Result<_, _>>()?;
        Ok(Self {
            raw: requests
                .par_iter()
                .map_init(FeatureScratch::default, |scratch, request| {
                    raw_features(&request.view(), scratch)
                })
                .collect(),
            kin: kin(requests, &fold),
            group: groups(requests),
            fold,
            tasks,
            task,
            ..Self::default()
        })
    }
}

impl From<&router_core::Outcome> for Cell {
    fn from(outcome: &router_core::Outcome) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "targets of f32 heads")]
        Self {
            quality: outcome.quality.map(|quality| quality.get() as f32),
            cost: outcome.cost.map(router_core::Usd::dollars),
            latency_ms: outcome.latency_ms,
        }
    }
}

/// Groups, numbered as they first occur.
fn groups(requests: &[&RequestRow]) -> Vec<u32> {
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let mut of = Vec::with_capacity(requests.len());
    for request in requests {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        of.push(*numbers.entry(&request.group).or_insert(next));
    }
    of
}

/// The other folds that requests of the same group are in.
fn kin(requests: &[&RequestRow], fold: &[i32]) -> BTreeMap<usize, Vec<i32>> {
    let mut folds_of: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
    for (request, fold) in requests.iter().zip(fold) {
        folds_of.entry(&request.group).or_default().insert(*fold);
    }
    let others = |(row, request): (usize, &&RequestRow)| {
        let folds = &folds_of[request.group.as_str()];
        let others = folds.iter().copied().filter(|other| *other != fold[row]);
        (folds.len() > 1).then(|| (row, others.collect()))
    };
    requests.iter().enumerate().filter_map(others).collect()
}

/// The labels to learn as tasks: `task` if it tells requests apart, else `domain`.
fn labels(requests: &[&RequestRow]) -> (Vec<String>, Vec<Option<usize>>) {
    for label in [|row: &RequestRow| row.task.clone(), |row: &RequestRow| row.domain.clone()] {
        let of: Vec<Option<String>> = requests.iter().map(|row| label(row)).collect();
        let names: BTreeSet<&String> = of.iter().flatten().collect();
        if (2..=MAX_TASKS).contains(&names.len()) {
            let names: Vec<String> = names.into_iter().cloned().collect();
            let index = |name: &Option<String>| names.binary_search(name.as_ref()?).ok();
            let task = of.iter().map(index).collect();
            return (names, task);
        }
    }
    (Vec::new(), vec![None; requests.len()])
}

#[cfg(test)]
mod tests {
    use router_core::RequestView;
    use router_core::features::{FeatureScratch, raw_features};

    use super::*;

    #[test]
    fn the_negative_control_moves_features_and_task_together() {
        let mut scratch = FeatureScratch::default();
        let texts: Vec<String> = (0..40).map(|i| format!("request number{i}")).collect();
        let raw: Vec<RawFeatures> = texts
            .iter()
            .map(|text| raw_features(&RequestView::from_text(text), &mut scratch))
            .collect();
        let mut problem =
            Problem { raw: raw.clone(), task: (0..40).map(Some).collect(), ..Problem::default() };
        problem.shuffle(0);
        assert_ne!(problem.raw, raw);
        let from: Vec<usize> = problem.task.iter().flatten().copied().collect();
        for (row, &from) in from.iter().enumerate() {
            assert_eq!(problem.raw[row], raw[from]);
        }
        let moved: BTreeSet<usize> = from.into_iter().collect();
        assert_eq!(moved.len(), 40);
    }
}
