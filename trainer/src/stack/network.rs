//! What an embedding bag and neighbors say of held-out rows.

use super::Seen;
use crate::bag::{BagFit, Columns};
use crate::design::Vectorizer;
use crate::heads::Layout;
use crate::nonnegative::Moments;
use crate::problem::Problem;

/// Outputs of a bag for rows that it did not see.
#[derive(Clone, Debug)]
pub struct Network {
    /// What the outputs are.
    pub columns: Columns,
    /// `[n_rows * columns.width()]`.
    outputs: Vec<f32>,
}

impl Network {
    /// Predicts rows.
    pub fn new(problem: &Problem, bag: &BagFit, vectorizer: &Vectorizer, rows: &[usize]) -> Self {
        Self { columns: bag.columns, outputs: bag.predict(problem, vectorizer, rows) }
    }

    /// The outputs of the row at a place.
    pub fn row(&self, at: usize) -> &[f32] {
        let width = self.columns.width();
        &self.outputs[at * width..][..width]
    }

    /// The log cost of a model for the row at a place, less the mean.
    pub fn log_cost(&self, at: usize, model: usize) -> f64 {
        f64::from(self.row(at)[self.columns.cost(model)])
    }
}

impl Seen<'_> {
    /// The deviations that the bag predicts, `[n_models]`; zeros without one.
    pub(super) fn bag(&self) -> Vec<f64> {
        let n_models = self.held.means.model.len();
        let Some(bag) = &self.held.bag else { return vec![0.0; n_models] };
        (0..n_models).map(|j| f64::from(bag.row(self.at)[Columns::model(j)])).collect()
    }

    /// The deviations of the nearest neighbors, `[n_models]`; zeros without them.
    pub(super) fn neighbors(&self) -> Vec<f64> {
        let n_models = self.held.means.model.len();
        let Some(said) = &self.held.neighbors else { return vec![0.0; n_models] };
        said[self.at * n_models..][..n_models].iter().map(|x| f64::from(*x)).collect()
    }

    /// What all models share, as the bag predicts it.
    pub(super) fn bag_shared(&self) -> f64 {
        self.held.bag.as_ref().map_or(0.0, |bag| f64::from(bag.row(self.at)[Layout::SHARED]))
    }

    /// The bag's task logits; empty without one.
    pub(super) fn bag_tasks(&self) -> &[f32] {
        self.held.bag.as_ref().map_or(&[], |bag| &bag.row(self.at)[bag.columns.task(0)..])
    }
}

/// The penalty whose ridge prediction, mixed with the bag's, has the smallest error, and the weights
/// of both.
pub(super) fn best_mix<I: Iterator<Item = ([f64; 2], f64)>>(
    n: usize,
    rows: impl Fn(usize) -> I,
) -> (usize, [f64; 2]) {
    let mut best = (0, [0.0; 2], f64::INFINITY);
    for penalty in 0..n {
        let mut moments = Moments::new(2);
        rows(penalty).for_each(|(said, y)| moments.add(&said, y));
        let (weights, error) = moments.solve();
        if error < best.2 {
            best = (penalty, [weights[0], weights[1]], error);
        }
    }
    (best.0, best.1)
}
