//! Complete cases: requests for which every compared model's outcome is known.

use std::collections::{BTreeMap, BTreeSet};

use router_core::{ModelId, OutcomeTable, RequestRow, Usd};

/// A full matrix of outcomes.
///
/// # Shapes
///
/// `n` requests and `m` models; `quality` and `cost` are `[n * m]`, request-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    /// `[m]`, ordered by id.
    pub models: Vec<ModelId>,
    /// `[n]`.
    pub requests: Vec<RequestRow>,
    /// Qualities.
    pub quality: Vec<f64>,
    /// Dollars; empty if some model's costs are unknown.
    pub cost: Vec<f64>,
    /// `[n]`: number of each request's group.
    pub group: Vec<usize>,
    /// Number of groups.
    pub n_groups: usize,
    /// Requests left out because an outcome was unknown.
    pub n_dropped: usize,
    /// Models without a single known cost, which therefore hide all cost figures.
    pub unpriced: Vec<ModelId>,
}

/// Why a table cannot be benchmarked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PanelError {
    /// No request has all outcomes.
    #[error(
        "none of the {n_requests} requests has a known outcome of each of the {n_models} models; \
         select models with --models, e.g. --models complete,priced"
    )]
    NoCompleteCase {
        /// Requests in the table.
        n_requests: usize,
        /// Models in the table.
        n_models: usize,
    },
    /// A model of a pair is not there.
    #[error("model {0} is not in the table")]
    NoSuchModel(ModelId),
}

impl Panel {
    /// The complete cases of a table: known qualities, and known costs if every model has some.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn new(table: &OutcomeTable) -> Result<Self, PanelError> {
        let m = table.models.len();
        let has_cost = |model: usize| {
            (0..table.requests.len()).any(|request| table.cost(request, model).is_some())
        };
        let unpriced: Vec<ModelId> =
            (0..m).filter(|j| !has_cost(*j)).map(|j| table.models[j].clone()).collect();
        let mut panel = Self { models: table.models.clone(), ..Self::default() };
        let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
        for (i, request) in table.requests.iter().enumerate() {
            let quality: Option<Vec<f64>> = (0..m).map(|j| table.quality(i, j)).collect();
            let cost: Option<Vec<f64>> = match unpriced.is_empty() {
                true => (0..m).map(|j| table.cost(i, j).map(Usd::dollars)).collect(),
                false => Some(Vec::new()),
            };
            let (Some(quality), Some(cost)) = (quality, cost) else {
                panel.n_dropped += 1;
                continue;
            };
            panel.quality.extend(quality);
            panel.cost.extend(cost);
            let next = groups.len();
            panel.group.push(*groups.entry(&request.group).or_insert(next));
            panel.requests.push(request.clone());
        }
        if panel.requests.is_empty() {
            return Err(PanelError::NoCompleteCase {
                n_requests: table.requests.len(),
                n_models: m,
            });
        }
        panel.n_groups = groups.len();
        panel.unpriced = unpriced;
        Ok(panel)
    }

    /// Number of requests.
    pub fn n(&self) -> usize {
        self.requests.len()
    }

    /// Number of models.
    pub fn m(&self) -> usize {
        self.models.len()
    }

    /// Whether costs are known.
    pub fn has_costs(&self) -> bool {
        !self.cost.is_empty()
    }

    /// Quality of a model's answer.
    pub fn q(&self, request: usize, model: usize) -> f64 {
        self.quality[request * self.models.len() + model]
    }

    /// Dollars of a model's answer; 0 where costs are unknown, and then not to be read.
    pub fn c(&self, request: usize, model: usize) -> f64 {
        self.cost.get(request * self.models.len() + model).copied().unwrap_or(0.0)
    }

    /// Whether every quality is 0 or 1.
    pub fn is_binary(&self) -> bool {
        self.quality.iter().all(|q| *q <= 0.0 || *q >= 1.0)
    }

    /// Mean quality and cost of each model over some requests.
    pub fn means(&self, rows: &[usize]) -> Vec<(f64, f64)> {
        let n = rows.len().max(1) as f64;
        let mean = |model: usize| {
            let quality: f64 = rows.iter().map(|row| self.q(*row, model)).sum();
            let cost: f64 = rows.iter().map(|row| self.c(*row, model)).sum();
            (quality / n, cost / n)
        };
        (0..self.m()).map(mean).collect()
    }

    /// The label of each request for per-task tables: `task` if it tells requests apart, else
    /// `domain`, else none.
    pub fn task_labels(&self) -> Option<Vec<&str>> {
        self.labels(task).or_else(|| self.labels(domain))
    }

    /// The finest label there is: task and domain together where both tell requests apart.
    pub fn finest_labels(&self) -> Option<Vec<String>> {
        match (self.labels(task), self.labels(domain)) {
            (Some(tasks), Some(domains)) => {
                Some(tasks.iter().zip(domains).map(|(t, d)| format!("{t}/{d}")).collect())
            }
            (Some(one), None) | (None, Some(one)) => {
                Some(one.into_iter().map(ToOwned::to_owned).collect())
            }
            (None, None) => None,
        }
    }

    fn labels(&self, of: fn(&RequestRow) -> Option<&str>) -> Option<Vec<&str>> {
        let distinct: BTreeSet<&str> = self.requests.iter().filter_map(of).collect();
        (distinct.len() >= 2)
            .then(|| self.requests.iter().map(|row| of(row).unwrap_or("(none)")).collect())
    }
}

fn task(request: &RequestRow) -> Option<&str> {
    request.task.as_deref()
}

fn domain(request: &RequestRow) -> Option<&str> {
    request.domain.as_deref()
}

/// The part of a table with two models, in the order of their ids.
///
/// # Errors
///
/// If one is not there.
pub fn pair_of(
    table: &OutcomeTable,
    weak: &ModelId,
    strong: &ModelId,
) -> Result<OutcomeTable, PanelError> {
    let at = |id: &ModelId| {
        table.models.binary_search(id).map_err(|_| PanelError::NoSuchModel(id.clone()))
    };
    let mut kept = [at(weak)?, at(strong)?];
    kept.sort_unstable();
    let rows = 0..table.requests.len();
    Ok(OutcomeTable {
        models: kept.iter().map(|j| table.models[*j].clone()).collect(),
        requests: table.requests.clone(),
        outcomes: rows
            .flat_map(|i| kept.iter().map(move |j| (i, *j)))
            .map(|(i, j)| table.outcome(i, j).copied())
            .collect(),
    })
}
