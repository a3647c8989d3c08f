//! An embedding bag: hashed n-grams → dense → heads, trained on all tasks at once.
//!
//! A request is the weighted sum of the embeddings of its n-grams (the columns of the linear heads,
//! weighted alike, so that one pass at a decision serves both) and of its surface features:
//! `h = tanh(x·E)`. One dense layer turns `h` into every output: the quality that models share,
//! each model's deviation from it, complexity, each model's log cost, which follows the length of
//! its answer, and a logit per task.
//!
//! It [starts](start) at the linear heads, reduced to its dimensions, and early stopping decides
//! whether anything is gained from there. Most is gained by the tasks, which the cross-entropy tells
//! apart better than regressions of indicators do; so they weigh most.
//!
//! burn holds the dense part and its gradients; the rows of `E` that a batch touches are gathered
//! and updated here ([`table`]), since burn's gradient of the whole table would be dense. Several
//! networks of other seeds can be averaged, and are exported as one wider network.

pub mod curve;
pub mod export;
pub mod network;
mod split;
mod start;
pub mod table;
pub mod targets;
mod train;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::design::{Design, Sparse, Vectorizer};
use crate::heads::Means;
use crate::learn::Taught;
use crate::problem::Problem;
use split::split;
use start::Start;
use train::Data;

pub use export::{Gains, export, export_with};
pub use network::Network;
pub use targets::{Columns, LossWeights};
pub use train::Epoch;

/// How an embedding bag is fitted.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `hidden` | `32` | dimensions of one network | `[1, 64]` |
/// | `n_networks` | `1` | networks that are averaged; `hidden · n_networks ≤ 64` | `[1, 64]` |
/// | `held` | `0.1` | share of the rows that tell when to stop | `[0.01, 0.5]` |
/// | `max_epochs` | `30` | passes over the rows; 15 where there are 33,000 or more | `[1, ∞)` |
/// | `patience` | `5` | epochs without improvement before it stops | `[1, ∞)` |
/// | `batch` | `128` | requests per step; more where there are many | `[1, ∞)` |
/// | `learning_rate` | `0.002` | of the dense layer | `(0, 1]` |
/// | `table_rate` | `0.002` | of the embeddings | `(0, 10]` |
/// | `damping` | `20` | sum of squares of a column at which its steps are halved | `(0, ∞)` |
/// | `decay` | `0.01` | decoupled weight decay of both | `[0, 1)` |
/// | `dropout` | `0.2` | share of hidden units left out of a step | `[0, 1)` |
/// | `thinning` | `0.5` | share of a request's entries left out of a step | `[0, 1)` |
/// | `weights` | see [`LossWeights`] | of the kinds of output | |
/// | `seed` | `0` | of initial weights, order of rows and dropout | any |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BagParams {
    /// Dimensions of one network.
    pub hidden: usize,
    /// Networks that are averaged.
    pub n_networks: usize,
    /// Share of the rows that tell when to stop.
    pub held: f64,
    /// Passes over the rows.
    pub max_epochs: usize,
    /// Epochs without improvement before it stops.
    pub patience: usize,
    /// Requests per step.
    pub batch: usize,
    /// Learning rate of the dense layer.
    pub learning_rate: f64,
    /// Learning rate of the embeddings.
    pub table_rate: f64,
    /// Sum of squares of a column at which its steps are halved.
    pub damping: f32,
    /// Weight decay.
    pub decay: f64,
    /// Share of hidden units left out of a step.
    pub dropout: f64,
    /// Share of a request's entries left out of a step.
    pub thinning: f32,
    /// Weights of the kinds of output.
    pub weights: LossWeights,
    /// Seed.
    pub seed: u64,
}

impl Default for BagParams {
    fn default() -> Self {
        Self {
            hidden: 32,
            n_networks: 1,
            held: 0.1,
            max_epochs: 30,
            patience: 5,
            batch: 128,
            learning_rate: 0.002,
            table_rate: 0.002,
            damping: 20.0,
            decay: 0.01,
            dropout: 0.2,
            thinning: 0.5,
            weights: LossWeights::default(),
            seed: 0,
        }
    }
}

impl BagParams {
    /// Checks ranges.
    ///
    /// # Errors
    ///
    /// The first number out of range: its key, its range and its value.
    pub fn check(&self) -> Result<(), (&'static str, &'static str, String)> {
        let (share, rate) = (|x: f64| (0.0..1.0).contains(&x), |x: f64| x > 0.0 && x <= 10.0);
        let side_by_side = self.hidden.saturating_mul(self.n_networks);
        let LossWeights { shared, deviations, complexity, tasks, costs, balance } = self.weights;
        let losses = [shared, deviations, complexity, tasks, costs];
        let checks = [
            ((1..=64).contains(&self.hidden), "bag.hidden", "in [1, 64]", self.hidden as f64),
            (
                (1..=64).contains(&side_by_side),
                "bag.hidden times bag.n_networks",
                "in [1, 64]",
                side_by_side as f64,
            ),
            ((0.01..=0.5).contains(&self.held), "bag.held", "in [0.01, 0.5]", self.held),
            (self.max_epochs > 0, "bag.max_epochs", "at least 1", self.max_epochs as f64),
            (self.patience > 0, "bag.patience", "at least 1", self.patience as f64),
            (self.batch > 0, "bag.batch", "at least 1", self.batch as f64),
            (rate(self.learning_rate), "bag.learning_rate", "in (0, 10]", self.learning_rate),
            (rate(self.table_rate), "bag.table_rate", "in (0, 10]", self.table_rate),
            (self.damping > 0.0, "bag.damping", "above 0", self.damping.into()),
            (share(self.decay), "bag.decay", "in [0, 1)", self.decay),
            (share(self.dropout), "bag.dropout", "in [0, 1)", self.dropout),
            (share(self.thinning.into()), "bag.thinning", "in [0, 1)", self.thinning.into()),
            ((0.0..=1.0).contains(&balance), "bag.weights.balance", "in [0, 1]", balance),
            (
                losses.iter().all(|loss| (0.0..=1e6).contains(loss)),
                "each of bag.weights",
                "in [0, 1e6]",
                losses.into_iter().fold(0.0, |worst, loss| {
                    if (0.0..=1e6).contains(&loss) { worst } else { loss }
                }),
            ),
        ];
        match checks.into_iter().find(|(holds, ..)| !holds) {
            Some((_, key, bound, value)) => Err((key, bound, value.to_string())),
            None => Ok(()),
        }
    }
}

/// A fitted bag: networks over the columns of one vectorizer.
#[derive(Clone, Debug)]
pub struct BagFit {
    /// What the outputs are.
    pub columns: Columns,
    /// The networks, whose outputs are averaged.
    pub networks: Vec<Network>,
    /// Learning curve of each network.
    pub curves: Vec<Vec<Epoch>>,
}

/// What some rows teach, as the linear heads are taught it.
#[derive(Clone, Copy, Debug)]
pub struct Lesson<'a> {
    /// The rows.
    pub rows: &'a [usize],
    /// A label per row and model, with weights.
    pub taught: &'a Taught,
    /// What targets are centered by.
    pub means: &'a Means,
}

/// Fits a bag; a share of the rows is held out and tells when to stop.
///
/// Targets are those of the linear heads (see [`crate::heads`]), and log costs.
pub fn fit(
    problem: &Problem,
    lesson: &Lesson<'_>,
    vectorizer: &Vectorizer,
    params: &BagParams,
) -> BagFit {
    let (fitted, held) = split(problem, lesson.rows, params.held, params.seed);
    let targets = targets::Targets::new(problem, lesson, (&fitted, &held), &params.weights);
    let columns = targets.columns;
    let raw: Vec<_> = fitted.iter().map(|at| &problem.raw[lesson.rows[*at]]).collect();
    let design = Design::new(vectorizer, &raw);
    let held: Vec<usize> = held.iter().map(|at| lesson.rows[*at]).collect();
    let judging = sparse(problem, vectorizer, &held);
    let start = Start::new(&design, &judging, &targets, params.hidden);
    let (mut networks, mut curves) = (Vec::new(), Vec::new());
    let data = Data { design: &design.by_row, judging: &judging, targets: &targets, start: &start };
    for index in 0..params.n_networks {
        let seed = params.seed.wrapping_mul(1_000_003).wrapping_add(index as u64);
        let (network, curve) = train::train(&data, params, seed);
        networks.push(network);
        curves.push(curve);
    }
    BagFit { columns, networks, curves }
}

impl BagFit {
    /// Outputs of rows: `[rows.len() * columns.width()]`, centered as the targets were; tasks are
    /// logits.
    pub fn predict(&self, problem: &Problem, vectorizer: &Vectorizer, rows: &[usize]) -> Vec<f32> {
        let matrix = sparse(problem, vectorizer, rows);
        let mut sum = vec![0.0f32; rows.len() * self.columns.width()];
        for network in &self.networks {
            for (sum, output) in sum.iter_mut().zip(network.outputs(&matrix)) {
                *sum += output / self.networks.len() as f32;
            }
        }
        sum
    }
}

fn sparse(problem: &Problem, vectorizer: &Vectorizer, rows: &[usize]) -> Sparse {
    let rows: Vec<_> = rows.par_iter().map(|row| vectorizer.row(&problem.raw[*row])).collect();
    Sparse::from_rows(&rows)
}

#[cfg(test)]
mod tests;
