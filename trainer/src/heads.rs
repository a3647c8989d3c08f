//! The targets of the linear heads, and what a fit predicts for rows it did not see.
//!
//! Qualities are split: each row has one *shared* target, how far the row lies above what its
//! models usually reach, and per model a *deviation* from that. The shared part decides no choice
//! between models, the deviations decide all of it, and they deserve different penalties.

use rayon::prelude::*;
use router_core::features::RawFeatures;
use router_core::predictor::CostHead;

use crate::bag::BagFit;
use crate::components::Basis;
use crate::design::{Design, Sparse, Vectorizer, VectorizerParams};
use crate::learn::{self, Taught};
use crate::neighbors::NeighborFit;
use crate::problem::{Ends, Problem};
use crate::ridge::{RidgeParams, Targets, solve};
use crate::stack::{Sources, task_deviations};

/// The surface feature that is the logarithm of the number of characters.
pub const LENGTH: usize = 0;

/// Which column of the solution is what: shared, one per model, complexity, one per task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Number of models.
    pub n_models: usize,
    /// Number of tasks.
    pub n_tasks: usize,
}

impl Layout {
    /// The shared quality.
    pub const SHARED: usize = 0;

    /// A model's deviation.
    pub fn model(model: usize) -> usize {
        1 + model
    }

    /// Whether the cheap model is not enough.
    pub fn complexity(self) -> usize {
        1 + self.n_models
    }

    /// A task's indicator.
    pub fn task(self, task: usize) -> usize {
        2 + self.n_models + task
    }

    /// Number of columns, padded to whole SIMD registers.
    pub fn width(self) -> usize {
        (2 + self.n_models + self.n_tasks).next_multiple_of(4)
    }
}

/// Means that targets are centred by.
#[derive(Clone, Debug, PartialEq)]
pub struct Means {
    /// `[n_models]`: mean quality of each model, row effects removed.
    pub model: Vec<f64>,
    /// The models that complexity is about.
    pub ends: Ends,
    /// Share of rows where the cheap model is not enough.
    pub complexity: f64,
    /// `[n_tasks]`: share of each task.
    pub task: Vec<f64>,
}

/// The solved heads of one fit, for every penalty.
#[derive(Clone, Debug)]
pub struct Heads {
    /// How requests became columns.
    pub vectorizer: Vectorizer,
    /// What was subtracted from the targets.
    pub means: Means,
    /// Directions between models.
    pub basis: Basis,
    /// Columns.
    pub layout: Layout,
    /// Per penalty: `[n_columns * width]`.
    pub solutions: Vec<Vec<f32>>,
    /// `[n_tasks * n_models]`: see [`task_deviations`].
    pub task_deviations: Vec<f64>,
    /// `[n_models]`: costs by how a request looks; empty where nobody asked for them.
    pub costs: Vec<Option<CostHead>>,
    /// The embedding bag, if it is fitted.
    pub bag: Option<BagFit>,
    /// Nearest neighbors, if they are fitted.
    pub neighbors: Option<NeighborFit>,
}

/// Fits all heads on some rows of a problem.
pub fn fit(
    problem: &Problem,
    rows: &[usize],
    vectorizer: VectorizerParams,
    ridge: &RidgeParams,
) -> Heads {
    let taught = teach(problem, rows, vectorizer, ridge);
    fit_taught(problem, rows, &taught, vectorizer, ridge)
}

/// What some rows teach.
pub fn teach(
    problem: &Problem,
    rows: &[usize],
    vectorizer: VectorizerParams,
    ridge: &RidgeParams,
) -> Taught {
    if problem.drawn.is_empty() {
        labels(problem, rows)
    } else {
        learn::teach(problem, rows, vectorizer, ridge)
    }
}

/// Fits all heads on what some rows teach.
pub fn fit_taught(
    problem: &Problem,
    rows: &[usize],
    taught: &Taught,
    vectorizer: VectorizerParams,
    ridge: &RidgeParams,
) -> Heads {
    let raw: Vec<&RawFeatures> = rows.iter().map(|row| &problem.raw[*row]).collect();
    let vectorizer = Vectorizer::fit(vectorizer, &raw);
    let design = Design::new(&vectorizer, &raw);
    let layout = Layout { n_models: problem.n_models(), n_tasks: problem.tasks.len() };
    let (targets, means) = targets(problem, rows, taught, layout);
    let solutions = solve(&design, &targets, ridge);
    let basis = Basis::fit(problem, rows, &means.model);
    let task_deviations = task_deviations(problem, rows, taught);
    Heads {
        vectorizer,
        means,
        basis,
        layout,
        solutions,
        task_deviations,
        costs: Vec::new(),
        bag: None,
        neighbors: None,
    }
}

/// Every known quality, as it is.
fn labels(problem: &Problem, rows: &[usize]) -> Taught {
    let cells = rows
        .iter()
        .flat_map(|row| (0..problem.n_models()).map(|model| problem.cell(*row, model).quality));
    Taught {
        labels: cells.map(|quality| quality.map(f64::from)).collect(),
        weights: vec![1.0; rows.len()],
        means: model_means(problem, rows),
        noise: 1.0,
        is_partial: false,
    }
}

impl Heads {
    /// The parts that are fitted.
    pub fn fitted(&self) -> Sources {
        let bag = if self.bag.is_some() { Sources::BAG } else { Sources::MEANS };
        let near = if self.neighbors.is_some() { Sources::NEIGHBORS } else { Sources::MEANS };
        Sources::LINEAR.and(bag).and(near)
    }

    /// The standardised logarithm of a row's length, cut as the router will.
    pub fn length(&self, problem: &Problem, row: usize) -> f64 {
        f64::from(self.vectorizer.standard(LENGTH, problem.raw[row].surface[LENGTH]))
    }

    /// Predicts rows: per penalty `[rows.len() * width]`, centred as the targets were.
    pub fn predict(&self, problem: &Problem, rows: &[usize]) -> Vec<Vec<f32>> {
        let vectors: Vec<_> =
            rows.par_iter().map(|row| self.vectorizer.row(&problem.raw[*row])).collect();
        let matrix = Sparse::from_rows(&vectors);
        self.solutions.iter().map(|solution| matrix.times(solution, self.layout.width())).collect()
    }
}

/// What the targets of some rows are centered by, given the mean of each model.
pub fn centers(problem: &Problem, rows: &[usize], model: Vec<f64>) -> Means {
    let ends = crate::build::ends(problem, rows, &model);
    let complexity = mean(rows.iter().filter_map(|row| problem.hard(*row, ends)));
    let task_share = |task: usize| {
        mean(
            rows.iter()
                .filter_map(|row| problem.task[*row])
                .map(|t| f64::from(u8::from(t == task))),
        )
    };
    let task = (0..problem.tasks.len()).map(task_share).collect();
    Means { model, ends, complexity, task }
}

/// Fills in the targets of each row, centred; unknown ones have weight 0.
///
/// A noisy label counts for less in a model's deviation; what all models share has the noise of
/// one label at most.
fn targets(problem: &Problem, rows: &[usize], taught: &Taught, layout: Layout) -> (Targets, Means) {
    let width = layout.width();
    let means = centers(problem, rows, taught.means.clone());
    let mut values = vec![0.0f32; rows.len() * width];
    let mut weights = vec![0.0f32; rows.len() * width];
    #[expect(clippy::cast_possible_truncation, reason = "targets and their weights are f32")]
    let mut set = |at: usize, value: f64, weight: f64| {
        values[at] = value as f32;
        weights[at] = weight as f32;
    };
    for (i, &row) in rows.iter().enumerate() {
        let at = i * width;
        if let Some(shared) = taught.shared(i) {
            set(at + Layout::SHARED, shared, taught.weights[i]);
            for j in 0..layout.n_models {
                if let Some(deviation) = taught.deviation(i, j) {
                    set(at + Layout::model(j), deviation, taught.weights[i] / taught.noise);
                }
            }
        }
        if let Some(hard) = problem.hard(row, means.ends) {
            set(at + layout.complexity(), hard - means.complexity, 1.0);
        }
        if let Some(label) = problem.task[row] {
            for (t, share) in means.task.iter().enumerate() {
                set(at + layout.task(t), f64::from(u8::from(t == label)) - share, 1.0);
            }
        }
    }
    (Targets { k: width, values, weights }, means)
}

/// How far a row lies above the means of the models that answered it; `None` if none did.
pub fn shared(problem: &Problem, row: usize, model_means: &[f64]) -> Option<f64> {
    let known = model_means
        .iter()
        .enumerate()
        .filter_map(|(j, mean)| Some(f64::from(problem.cell(row, j).quality?) - mean));
    let (sum, n) = known.fold((0.0, 0.0), |(sum, n), gap| (sum + gap, n + 1.0));
    // Where one model of many answered, its gap says more of the model than of the row.
    let missing = model_means.len() as f64 - n;
    (n > 0.0).then(|| sum / (n + missing.min(1.0)))
}

/// Mean quality of each model with row effects removed, so that a model that was asked easy
/// questions only does not look good: `q_ij ≈ μ_j + r_i`, by alternating means.
///
/// A log shows each model on the requests it was drawn for; weights of one over the propensity
/// undo that choice (the self-normalised estimate).
pub fn model_means(problem: &Problem, rows: &[usize]) -> Vec<f64> {
    if !problem.drawn.is_empty() {
        return (0..problem.n_models()).map(|j| logged_mean(problem, rows, j)).collect();
    }
    let known = |row: usize, model: usize| problem.cell(row, model).quality.map(f64::from);
    let column = |model: usize, effect: &[f64]| {
        let gaps = rows.iter().zip(effect).filter_map(|(row, r)| Some(known(*row, model)? - r));
        mean(gaps)
    };
    let mut effects = vec![0.0; rows.len()];
    let mut means: Vec<f64> = (0..problem.n_models()).map(|j| column(j, &effects)).collect();
    for _ in 0..8 {
        for (row, effect) in rows.iter().zip(&mut effects) {
            *effect = shared(problem, *row, &means).unwrap_or(0.0);
        }
        means = (0..problem.n_models()).map(|j| column(j, &effects)).collect();
    }
    means
}

fn logged_mean(problem: &Problem, rows: &[usize], model: usize) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for &row in rows.iter().filter(|row| problem.drawn[**row].model == model) {
        if let Some(quality) = problem.cell(row, model).quality {
            let weight = 1.0 / problem.drawn[row].propensity;
            sum += weight * f64::from(quality);
            total += weight;
        }
    }
    if total > 0.0 { sum / total } else { 0.0 }
}

/// The mean; 0 of nothing.
pub fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
    if n > 0.0 { sum / n } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Cell, Drawn};

    /// Four requests, two easy and two hard; a model that is always right on easy ones and never
    /// on hard ones has mean 1/2, whichever it is drawn for more often.
    #[test]
    fn the_mean_of_a_logged_model_does_not_depend_on_what_it_was_drawn_for() {
        let mut problem = Problem {
            models: ["a", "b"].map(|id| router_core::ModelId::new(id).unwrap()).to_vec(),
            ..Problem::default()
        };
        // Drawn with 0.8 on ten easy requests and with 0.2 on ten hard ones: as often as that says.
        for row in 0..20 {
            let is_easy = row < 10;
            let propensity: f64 = if is_easy { 0.8 } else { 0.2 };
            let is_first = if is_easy { row < 8 } else { row < 12 };
            let quality = Some(f32::from(u8::from(is_easy)));
            let cell = Cell { quality, ..Cell::default() };
            let cells = if is_first { [cell, Cell::default()] } else { [Cell::default(), cell] };
            problem.cells.extend(cells);
            let (model, propensity) =
                if is_first { (0, propensity) } else { (1, 1.0 - propensity) };
            problem.drawn.push(Drawn { model, propensity });
        }
        let rows: Vec<usize> = (0..20).collect();
        // The plain means are 0.8 and 0.2.
        for mean in model_means(&problem, &rows) {
            assert!((mean - 0.5).abs() < 1e-12, "{mean}");
        }
    }
}
