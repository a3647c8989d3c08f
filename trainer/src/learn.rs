//! What a fit is taught: labels, importance weights or pseudo-outcomes.
//!
//! With quality `r` and cost `c = 1 − r`, propensity `p` and a cross-fitted `ĉ`
//! (`spec/statistics.md`, section 7):
//!
//! | Mode | Pseudo-cost of model `a` | Rows |
//! | --- | --- | --- |
//! | `dr` | `ĉ(x,a) + 1{a = a_i} (c − ĉ(x,a_i)) / p` | judged |
//! | `ips` | `1{a = a_i} c / p` | judged |
//! | `dm` | `ĉ(x,a)` | all |
//! | `mtr` | `c` of the drawn model, importance `1/p` over its mean | judged |
//!
//! Propensities are those of [`crate::problem::Drawn`], clipped there.

use serde::{Deserialize, Serialize};

use crate::design::VectorizerParams;
use crate::heads::{fit_taught, mean, model_means};
use crate::problem::Problem;
use crate::ridge::RidgeParams;
use crate::stack::{HeldOut, Sources, Stack};

/// How a log is learned from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Learn {
    /// Doubly robust.
    #[default]
    Dr,
    /// Inverse propensities.
    Ips,
    /// Direct method.
    Dm,
    /// Regression on the drawn model, weighted by importance.
    Mtr,
}

impl std::str::FromStr for Learn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "dr" => Ok(Self::Dr),
            "ips" => Ok(Self::Ips),
            "dm" => Ok(Self::Dm),
            "mtr" => Ok(Self::Mtr),
            _ => Err(format!("learn must be dr, ips, dm or mtr, got {text:?}")),
        }
    }
}

/// Qualities to learn from, as one label per cell.
///
/// # Shapes
///
/// `n` rows and `m` models, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taught {
    /// `[n * m]`: quality or pseudo-quality; `None` where nothing is to be learned.
    pub labels: Vec<Option<f64>>,
    /// `[n]`: weight of each row.
    pub weights: Vec<f64>,
    /// `[m]`: what each model's labels are centred by.
    pub means: Vec<f64>,
    /// Variance of a label over that of a plain quality, at least 1.
    pub noise: f64,
    /// Whether a row has one label because one model was drawn: its distance from that model's
    /// mean is the best guess of what all models share, and half of it the model's own.
    pub is_partial: bool,
}

impl Taught {
    /// The labels of a row.
    pub fn row(&self, row: usize) -> &[Option<f64>] {
        let m = self.means.len();
        &self.labels[row * m..][..m]
    }

    /// What all models share in a row: its mean distance from their means; `None` without a label.
    pub fn shared(&self, row: usize) -> Option<f64> {
        let (sum, n) = self.gaps(row)?;
        Some(if self.is_partial { sum / n } else { self.own(sum, n) })
    }

    /// A model's distance from its mean and from what the row shares.
    pub fn deviation(&self, row: usize, model: usize) -> Option<f64> {
        let (sum, n) = self.gaps(row)?;
        Some(self.row(row)[model]? - self.means[model] - self.own(sum, n))
    }

    /// Where one model of many answered, its gap says more of the model than of the row.
    fn own(&self, sum: f64, n: f64) -> f64 {
        sum / (n + (self.means.len() as f64 - n).min(1.0))
    }

    /// Sum and number of the distances from the means.
    fn gaps(&self, row: usize) -> Option<(f64, f64)> {
        let known = self.row(row).iter().zip(&self.means);
        let (sum, n) = known
            .filter_map(|(label, mean)| Some((*label)? - mean))
            .fold((0.0, 0.0), |(sum, n), gap| (sum + gap, n + 1.0));
        (n > 0.0).then_some((sum, n))
    }
}

/// What the rows of a log teach.
pub fn teach(
    problem: &Problem,
    rows: &[usize],
    vectorizer: VectorizerParams,
    ridge: &RidgeParams,
) -> Taught {
    match problem.learn {
        Learn::Mtr => drawn_only(problem, rows, true),
        Learn::Ips => ips(problem, rows),
        Learn::Dm => {
            let labels = estimates(problem, rows, vectorizer, ridge);
            let labels: Vec<_> = labels.into_iter().map(Some).collect();
            complete(problem, labels, vec![1.0; rows.len()], 1.0)
        }
        Learn::Dr => {
            let labels = estimates(problem, rows, vectorizer, ridge);
            doubly_robust(problem, rows, &labels)
        }
    }
}

/// The drawn model's quality only, with importance weights of mean 1 over judged rows, or alike.
fn drawn_only(problem: &Problem, rows: &[usize], has_importance: bool) -> Taught {
    let m = problem.n_models();
    let mut labels = vec![None; rows.len() * m];
    let mut weights = vec![0.0; rows.len()];
    for (i, &row) in rows.iter().enumerate() {
        let drawn = problem.drawn[row];
        if let Some(quality) = problem.cell(row, drawn.model).quality {
            labels[i * m + drawn.model] = Some(f64::from(quality));
            weights[i] = if has_importance { 1.0 / drawn.propensity } else { 1.0 };
        }
    }
    let average = mean(weights.iter().copied().filter(|weight| *weight > 0.0));
    weights.iter_mut().for_each(|weight| *weight /= average.max(f64::MIN_POSITIVE));
    Taught { labels, weights, means: model_means(problem, rows), noise: 1.0, is_partial: true }
}

fn ips(problem: &Problem, rows: &[usize]) -> Taught {
    let certain = vec![1.0; rows.len() * problem.n_models()];
    doubly_robust(problem, rows, &certain)
}

/// `q̂ + 1{a = a_i} (r − q̂) / p` of judged rows. With `q̂ = 1`, a cost of 0, that is IPS.
fn doubly_robust(problem: &Problem, rows: &[usize], estimates: &[f64]) -> Taught {
    let m = problem.n_models();
    let mut labels = vec![None; rows.len() * m];
    let mut weights = vec![0.0; rows.len()];
    let mut importance = Vec::new();
    for (i, &row) in rows.iter().enumerate() {
        let drawn = problem.drawn[row];
        let Some(quality) = problem.cell(row, drawn.model).quality else { continue };
        let estimates = &estimates[i * m..][..m];
        for (label, estimate) in labels[i * m..].iter_mut().zip(estimates) {
            *label = Some(*estimate);
        }
        let estimate = estimates[drawn.model];
        labels[i * m + drawn.model] =
            Some(estimate + (f64::from(quality) - estimate) / drawn.propensity);
        weights[i] = 1.0;
        importance.push(1.0 / drawn.propensity);
    }
    // A residual occurs with probability p and is divided by p: its variance is multiplied by 1/p.
    let noise = mean(importance.into_iter()).max(1.0);
    complete(problem, labels, weights, noise)
}

fn complete(problem: &Problem, labels: Vec<Option<f64>>, weights: Vec<f64>, noise: f64) -> Taught {
    let m = problem.n_models();
    let column = |model: usize| labels.iter().skip(model).step_by(m).filter_map(|label| *label);
    let means = (0..m).map(|model| mean(column(model))).collect();
    Taught { labels, weights, means, noise, is_partial: false }
}

/// Cross-fitted `q̂`, from two halves of the folds; the model's mean where there is one fold only.
///
/// It is regressed on the drawn model without importance, and its penalties and weights are chosen
/// on the same halves.
///
/// # Shapes
///
/// The result is `[rows.len() * m]`.
fn estimates(
    problem: &Problem,
    rows: &[usize],
    vectorizer: VectorizerParams,
    ridge: &RidgeParams,
) -> Vec<f64> {
    let m = problem.n_models();
    let mut folds: Vec<i32> = rows.iter().map(|row| problem.fold[*row]).collect();
    folds.sort_unstable();
    folds.dedup();
    let half = |row: usize| folds.binary_search(&problem.fold[row]).unwrap_or(0) % 2;
    let halves: [Vec<usize>; 2] =
        [0, 1].map(|want| rows.iter().copied().filter(|row| half(*row) == want).collect());
    if halves.iter().any(Vec::is_empty) {
        let means = model_means(problem, rows);
        return rows.iter().flat_map(|_| means.iter().copied()).collect();
    }
    let held = [0, 1].map(|of| {
        let mut seen = halves[1 - of].clone();
        // q̂ has not seen the group of a row either.
        let others: Vec<i32> = folds.iter().copied().skip(of).step_by(2).collect();
        seen.retain(|row| others.iter().all(|fold| !problem.touches(*row, *fold)));
        let seen = &seen;
        let heads = fit_taught(problem, seen, &drawn_only(problem, seen, false), vectorizer, ridge);
        (HeldOut::new(problem, &heads, halves[of].clone()), heads.layout)
    });
    let layout = held[0].1;
    let held = held.map(|(held, _)| held);
    let stack = Stack::choose(problem, &held, layout, Sources::ALL);
    let place: std::collections::HashMap<usize, usize> =
        rows.iter().enumerate().map(|(i, row)| (*row, i)).collect();
    let mut estimates = vec![0.0; rows.len() * m];
    for (row, scores) in stack.scores(&held, layout) {
        if let Some(i) = place.get(&row) {
            estimates[i * m..][..m].copy_from_slice(&scores);
        }
    }
    estimates.iter_mut().for_each(|estimate| *estimate = estimate.clamp(0.0, 1.0));
    estimates
}

#[cfg(test)]
mod tests;
