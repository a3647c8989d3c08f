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

pub mod export;
pub mod network;
mod start;
pub mod table;
pub mod targets;
mod train;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::design::{Design, Sparse, Vectorizer};
use crate::problem::Problem;
use start::Start;
use train::Data;

pub use export::{Gains, export};
pub use network::Network;
pub use targets::{Columns, LossWeights};
pub use train::{Epoch, Stopping};

/// How an embedding bag is fitted.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `hidden` | `32` | dimensions of one network | `[1, 64]` |
/// | `n_networks` | `1` | networks that are averaged; `hidden · n_networks ≤ 64` | `[1, 64]` |
/// | `max_epochs` | `30` | passes over the rows | `[1, ∞)` |
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

/// A fitted bag: networks over the columns of one vectorizer.
#[derive(Debug)]
pub struct BagFit {
    /// What the outputs are.
    pub columns: Columns,
    /// The networks, whose outputs are averaged.
    pub networks: Vec<Network>,
    /// Learning curve of each network.
    pub curves: Vec<Vec<Epoch>>,
}

/// Fits a bag on `rows`; `stopping` says which rows tell when to stop.
///
/// Targets are those of the linear heads (see [`crate::heads`]), centered on `rows`.
pub fn fit(
    problem: &Problem,
    rows: &[usize],
    stopping: &Stopping,
    vectorizer: &Vectorizer,
    params: &BagParams,
) -> BagFit {
    let (fitted, held) = stopping.split(problem, rows, params.seed);
    let targets = targets::Targets::new(problem, &fitted, &held, &params.weights);
    let columns = targets.columns;
    let raw: Vec<_> = fitted.iter().map(|row| &problem.raw[*row]).collect();
    let design = Design::new(vectorizer, &raw);
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
