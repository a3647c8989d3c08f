//! Cost heads: what a request will cost with each model, from how it looks; and from its words,
//! where the embedding bag is better at it ([`mix`]).

pub mod mix;

use linfa::prelude::{DatasetBase, Fit};
use linfa_linear::LinearRegression;
use ndarray::{Array1, Array2};
use router_core::features::N_SURFACE;
use router_core::predictor::CostHead;

use crate::design::Vectorizer;
use crate::heads::mean;
use crate::problem::Problem;

/// Rows below which a cost does not depend on the request.
const MIN_ROWS: usize = 100;

/// Pulls weights towards 0: rows of this weight that say so.
const RIDGE: f64 = 1.0;

/// Fits the cost head of every model on some rows; `None` where no cost is known.
pub fn fit(problem: &Problem, rows: &[usize], vectorizer: &Vectorizer) -> Vec<Option<CostHead>> {
    (0..problem.n_models()).map(|model| fit_one(problem, rows, vectorizer, model)).collect()
}

/// Mean latency of every model; `None` where unknown.
pub fn latencies(problem: &Problem, rows: &[usize]) -> Vec<Option<f64>> {
    let of = |model: usize| {
        let known: Vec<f64> =
            rows.iter().filter_map(|row| problem.cell(*row, model).latency_ms).collect();
        (!known.is_empty()).then(|| mean(known.into_iter()))
    };
    (0..problem.n_models()).map(of).collect()
}

/// Expected dollars, given standardised surface features.
pub fn predict(head: &CostHead, features: &[f64]) -> f64 {
    let log: f64 = head.weights.iter().zip(features).map(|(w, x)| w * x).sum();
    (head.bias + log).clamp(-60.0, 20.0).exp()
}

/// The surface features of a request, standardised and cut as the router will.
pub fn surface(vectorizer: &Vectorizer, problem: &Problem, row: usize) -> Vec<f64> {
    let features = problem.raw[row].surface.iter().enumerate();
    features.map(|(i, feature)| f64::from(vectorizer.standard(i, *feature))).collect()
}

fn fit_one(
    problem: &Problem,
    rows: &[usize],
    vectorizer: &Vectorizer,
    model: usize,
) -> Option<CostHead> {
    let known: Vec<(usize, f64)> =
        rows.iter().filter_map(|row| Some((*row, problem.cell(*row, model).cost?))).collect();
    if known.is_empty() {
        return None;
    }
    let average = mean(known.iter().map(|(_, cost)| *cost));
    let constant = CostHead { bias: average.max(1e-12).ln(), weights: vec![0.0; N_SURFACE] };
    if known.len() < MIN_ROWS || known.iter().any(|(_, cost)| *cost <= 0.0) {
        return Some(constant);
    }
    // Even rows fit, odd rows judge; where the head is no better, the mean stays.
    let features: Vec<Vec<f64>> =
        known.iter().map(|(row, _)| surface(vectorizer, problem, *row)).collect();
    let half = |parity: usize| (0..known.len()).filter(move |i| i % 2 == parity);
    let costs: Vec<f64> = known.iter().map(|(_, cost)| *cost).collect();
    let trial = log_linear(&features, &costs, half(0))?;
    let error =
        |head: &CostHead| mean(half(1).map(|i| (predict(head, &features[i]) - costs[i]).powi(2)));
    if error(&trial) < 0.98 * error(&constant) {
        log_linear(&features, &costs, 0..costs.len()).or(Some(constant))
    } else {
        Some(constant)
    }
}

/// Least squares of `ln cost`, and a bias that keeps the mean of the costs (smearing).
fn log_linear(
    features: &[Vec<f64>],
    costs: &[f64],
    rows: impl Iterator<Item = usize> + Clone,
) -> Option<CostHead> {
    let n = rows.clone().count() + N_SURFACE;
    let log_mean = mean(rows.clone().map(|i| costs[i].ln()));
    let mut x = Array2::zeros((n, N_SURFACE));
    let mut y = Array1::zeros(n);
    for (at, i) in rows.clone().enumerate() {
        for (feature, value) in features[i].iter().enumerate() {
            x[[at, feature]] = *value;
        }
        y[at] = costs[i].ln() - log_mean;
    }
    for feature in 0..N_SURFACE {
        x[[n - N_SURFACE + feature, feature]] = RIDGE.sqrt();
    }
    let fitted = LinearRegression::new().with_intercept(false).fit(&DatasetBase::new(x, y)).ok()?;
    let weights: Vec<f64> = fitted.params().to_vec();
    let unbiased = CostHead { bias: 0.0, weights };
    let predicted = mean(rows.clone().map(|i| predict(&unbiased, &features[i])));
    let bias = (mean(rows.map(|i| costs[i])) / predicted).ln();
    bias.is_finite().then_some(CostHead { bias, ..unbiased })
}
