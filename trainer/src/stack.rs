//! Everything that is chosen on held-out predictions: penalties, how far each part is trusted,
//! and how sharply tasks are told apart.
//!
//! The score of model `j` is `μ_j + a·s + Σ_g P_g(b_g·d + c_g·Σ_t p_t δ_t + l_g·z·γ)_j`: its mean, the
//! shared part, and per group `g` of directions between models its deviation, the mean deviation of
//! the inferred task, and the length `z` of the request times how far each model's mean lies above
//! that of all (`γ`): longer requests widen the gap between models. Penalties and the weights minimise the squared error on rows
//! that the fit did not see; a weight of 0 falls back to the mean, so a part without evidence is
//! left out. This is the shrinkage towards task and model means that the weights express, and the
//! guard against noise.

mod logged;
mod slope;
mod tasks;

use serde::Serialize;

use crate::components::{Basis, deviations};
use crate::heads::{Heads, Layout, Means, mean, shared};
use crate::nonnegative::{Moments, Prior};
use crate::problem::Problem;

use slope::best_slope;
pub use tasks::{task_deviations, task_probabilities};

/// Which parts of a score may have a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources(usize);

impl Sources {
    /// Nothing but means.
    pub const MEANS: Self = Self(0);
    /// The deviations that the ridge predicts.
    pub const RIDGE: Self = Self(0b001);
    /// The inferred task.
    pub const TASK: Self = Self(0b010);
    /// The length of the request.
    pub const LENGTH: Self = Self(0b100);
    /// All of them.
    pub const ALL: Self = Self(0b111);

    /// These and those.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These but not those.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// What is believed of the weights of ridge, task and length in a group. Longer requests widened
/// the gap between models on 10 of 11 public outcome tables, with slopes of 0.15 ± 0.12 per standard
/// deviation of the logarithm of the length.
const PRIORS: [Prior; 3] = [Prior::NONE, Prior::NONE, Prior { mean: 0.15, deviation: 0.12 }];

/// Predictions for rows that a fit did not see.
#[derive(Clone, Debug)]
pub struct HeldOut {
    /// The rows.
    pub rows: Vec<usize>,
    /// Per penalty: `[rows.len() * width]`.
    pub predictions: Vec<Vec<f32>>,
    /// Of the fit.
    pub means: Means,
    /// `[rows.len()]`: standardised logarithm of the length.
    pub lengths: Vec<f64>,
    /// Directions between models, of the rows of the fit.
    pub basis: Basis,
    /// `[n_tasks * n_models]`, of the rows of the fit.
    pub task_deviations: Vec<f64>,
}

impl HeldOut {
    /// Predicts rows that `heads` did not see.
    pub fn new(problem: &Problem, heads: &Heads, rows: Vec<usize>) -> Self {
        Self {
            predictions: heads.predict(problem, &rows),
            task_deviations: heads.task_deviations.clone(),
            means: heads.means.clone(),
            basis: heads.basis.clone(),
            lengths: rows.iter().map(|row| heads.length(problem, *row)).collect(),
            rows,
        }
    }
}

/// What was chosen for one group of directions between models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Component {
    /// Index of the penalty of the deviations.
    pub penalty: usize,
    /// `b`.
    pub deviation_weight: f64,
    /// `c`.
    pub task_weight: f64,
    /// `l`.
    pub length_weight: f64,
}

impl Component {
    /// `weights` are those of [`PRIORS`].
    fn new(penalty: usize, weights: &[f64]) -> Self {
        Self {
            penalty,
            deviation_weight: weights[0],
            task_weight: weights[1],
            length_weight: weights[2],
        }
    }
}

/// What a row, or a column of weights, says of the deviations of models.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// `[n_models]`: by the inferred task.
    pub task: &'a [f64],
    /// `[n_models]`: by its length.
    pub length: &'a [f64],
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stack {
    /// Index of the penalty of the shared part.
    pub shared_penalty: usize,
    /// `a`.
    pub shared_weight: f64,
    /// Per group of directions, the strongest first.
    pub components: Vec<Component>,
    /// Index of the penalty of task scores.
    pub task_penalty: usize,
    /// Multiplies task scores before the softmax.
    pub task_sharpness: f64,
    /// Index of the penalty of complexity.
    pub complexity_penalty: usize,
}

/// How far the mean of each model lies above that of all: `[n_models]`.
pub fn gaps(model_means: &[f64]) -> Vec<f64> {
    let all = mean(model_means.iter().copied());
    model_means.iter().map(|mean| mean - all).collect()
}

/// One held-out row, with what was predicted for it.
struct Seen<'a> {
    row: usize,
    held: &'a HeldOut,
    /// Its place in `held`.
    at: usize,
}

impl Seen<'_> {
    /// `z·γ`: `[n_models]`.
    fn length(&self) -> Vec<f64> {
        let z = self.held.lengths[self.at];
        gaps(&self.held.means.model).into_iter().map(|gap| z * gap).collect()
    }

    fn outputs(&self, penalty: usize, width: usize) -> &[f32] {
        &self.held.predictions[penalty][self.at * width..][..width]
    }
}

fn each(held: &[HeldOut]) -> impl Iterator<Item = Seen<'_>> {
    held.iter()
        .flat_map(|held| held.rows.iter().enumerate().map(move |(at, &row)| Seen { row, held, at }))
}

impl Stack {
    /// Chooses on held-out predictions, among some sources.
    pub fn choose(problem: &Problem, held: &[HeldOut], layout: Layout, sources: Sources) -> Self {
        let n_penalties = held.first().map_or(0, |held| held.predictions.len());
        let (shared_penalty, shared_weight) = choose_shared(problem, held, layout, n_penalties);
        let (task_penalty, task_sharpness) = tasks::choose(problem, held, layout, n_penalties);
        let mut stack = Self {
            shared_penalty,
            shared_weight,
            components: Vec::new(),
            task_penalty,
            task_sharpness,
            complexity_penalty: choose_complexity(problem, held, layout, n_penalties),
        };
        let task_parts = stack.task_parts(problem, held, layout);
        let n_groups = held.iter().map(|held| held.basis.n_groups()).min().unwrap_or(1);
        // With many rows of many models the ridge finds by itself what their length says.
        let is_whole = held.iter().any(|held| held.basis.is_whole());
        let sources = match sources {
            Sources::ALL if !is_whole => sources.without(Sources::LENGTH),
            chosen => chosen,
        };
        let choose = |group: usize| {
            let fit = |penalty| {
                let mut moments = if problem.drawn.is_empty() {
                    moments(problem, held, layout, (group, penalty), &task_parts)
                } else {
                    logged::moments(problem, held, layout, &stack, (penalty, &task_parts))
                };
                moments.believe(&PRIORS);
                let (weights, error) = moments.solve_among(sources.0);
                (Component::new(penalty, &weights), error)
            };
            (0..n_penalties)
                .map(fit)
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .map_or_else(Component::default, |best| best.0)
        };
        stack.components = (0..n_groups).map(choose).collect();
        stack
    }

    /// The deviations of a row, or of a column of weights: `[n_models]`.
    ///
    /// # Shapes
    ///
    /// - `of`: penalty → `[width]`
    pub fn deviations<'a>(
        &self,
        basis: &Basis,
        layout: Layout,
        of: impl Fn(usize) -> &'a [f32],
        said: Said<'_>,
    ) -> Vec<f64> {
        let mut sum = vec![0.0; layout.n_models];
        for (group, component) in self.components.iter().enumerate() {
            if component.deviation_weight > 0.0 {
                let ridge = models(of(component.penalty), layout);
                basis.add_part(group, &ridge, component.deviation_weight, &mut sum);
            }
            basis.add_part(group, said.task, component.task_weight, &mut sum);
            basis.add_part(group, said.length, component.length_weight, &mut sum);
        }
        sum
    }

    /// Whether tasks have a say.
    pub fn uses_tasks(&self) -> bool {
        self.components.iter().any(|component| component.task_weight > 0.0)
    }

    /// `Σ_t p_t δ_tj` of every held-out row: `[n_rows * n_models]`, zeros without tasks.
    fn task_parts(&self, problem: &Problem, held: &[HeldOut], layout: Layout) -> Vec<f64> {
        let m = problem.n_models();
        let mut parts = Vec::new();
        for seen in each(held) {
            let outputs = seen.outputs(self.task_penalty, layout.width());
            parts.extend(self.task_part(
                outputs,
                &seen.held.means,
                &seen.held.task_deviations,
                layout,
            ));
        }
        debug_assert_eq!(parts.len() % m, 0);
        parts
    }

    fn task_part(
        &self,
        outputs: &[f32],
        means: &Means,
        effects: &[f64],
        layout: Layout,
    ) -> Vec<f64> {
        let m = layout.n_models;
        let mut part = vec![0.0; m];
        let scores = &outputs[layout.task(0).min(outputs.len())..][..layout.n_tasks];
        let probabilities = task_probabilities(scores, &means.task, self.task_sharpness);
        for (p, effects) in probabilities.iter().zip(effects.chunks_exact(m)) {
            for (part, effect) in part.iter_mut().zip(effects) {
                *part += p * effect;
            }
        }
        part
    }

    /// The scores of every held-out row, with the row: `[n_models]` each.
    pub fn scores(&self, held: &[HeldOut], layout: Layout) -> Vec<(usize, Vec<f64>)> {
        let width = layout.width();
        each(held)
            .map(|seen| {
                let shared = f64::from(seen.outputs(self.shared_penalty, width)[Layout::SHARED]);
                let task = self.task_part(
                    seen.outputs(self.task_penalty, width),
                    &seen.held.means,
                    &seen.held.task_deviations,
                    layout,
                );
                let outputs = |penalty| seen.outputs(penalty, width);
                let length = seen.length();
                let said = Said { task: &task, length: &length };
                let deviations = self.deviations(&seen.held.basis, layout, outputs, said);
                let score = |j: usize| {
                    seen.held.means.model[j] + self.shared_weight * shared + deviations[j]
                };
                (seen.row, (0..layout.n_models).map(score).collect())
            })
            .collect()
    }

    /// The complexity output of every held-out row for which it is known whether the cheap model
    /// was not enough, with that.
    pub fn complexities(
        &self,
        problem: &Problem,
        held: &[HeldOut],
        layout: Layout,
    ) -> Vec<(f64, f64)> {
        let at = layout.complexity();
        each(held)
            .filter_map(|seen| {
                let output = seen.outputs(self.complexity_penalty, layout.width())[at];
                let means = &seen.held.means;
                let hard = problem.hard(seen.row, means.ends)?;
                Some((means.complexity + f64::from(output), hard))
            })
            .collect()
    }
}

fn choose_shared(problem: &Problem, held: &[HeldOut], layout: Layout, n: usize) -> (usize, f64) {
    let pairs = |penalty: usize| {
        each(held).filter_map(move |seen| {
            let predicted = f64::from(seen.outputs(penalty, layout.width())[Layout::SHARED]);
            if !problem.drawn.is_empty() {
                let (_, gap, weight) = logged::gap(problem, &seen)?;
                return Some((weight * predicted, weight * gap));
            }
            Some((predicted, shared(problem, seen.row, &seen.held.means.model)?))
        })
    };
    best_slope(n, pairs)
}

fn choose_complexity(problem: &Problem, held: &[HeldOut], layout: Layout, n: usize) -> usize {
    let pairs = |penalty: usize| {
        each(held).filter_map(move |seen| {
            let output = seen.outputs(penalty, layout.width())[layout.complexity()];
            let hard = problem.hard(seen.row, seen.held.means.ends)?;
            Some((f64::from(output), hard - seen.held.means.complexity))
        })
    };
    best_slope(n, pairs).0
}

/// The deviations among the outputs of a row.
fn models(outputs: &[f32], layout: Layout) -> Vec<f64> {
    (0..layout.n_models).map(|j| f64::from(outputs[Layout::model(j)])).collect()
}

/// What least squares of the deviations along a group on the ridge prediction, the task part and
/// the length needs to know.
fn moments(
    problem: &Problem,
    held: &[HeldOut],
    layout: Layout,
    (group, penalty): (usize, usize),
    task_parts: &[f64],
) -> Moments {
    let m = layout.n_models;
    let mut moments = Moments::new(PRIORS.len());
    for (i, seen) in each(held).enumerate() {
        let means = &seen.held.means.model;
        let ridge = models(seen.outputs(penalty, layout.width()), layout);
        let task = &task_parts[i * m..][..m];
        let length = seen.length();
        let basis = &seen.held.basis;
        if basis.is_whole() {
            let Some(shared) = shared(problem, seen.row, means) else { continue };
            for (j, mean) in means.iter().enumerate() {
                if let Some(quality) = problem.cell(seen.row, j).quality {
                    let y = f64::from(quality) - mean - shared;
                    moments.add(&[ridge[j], task[j], length[j]], y);
                }
            }
        } else if let Some(deviations) = deviations(problem, seen.row, means) {
            let [x, t, l, y] = [&ridge[..], task, &length, &deviations]
                .map(|vector| basis.coordinates(group, vector));
            for (i, y) in y.into_iter().enumerate() {
                moments.add(&[x[i], t[i], l[i]], y);
            }
        }
    }
    moments
}
