//! Everything that is chosen on held-out predictions: penalties, how far each part is trusted,
//! and how sharply tasks are told apart.
//!
//! The score of model `j` is `μ_j + a·s + Σ_g P_g(b_g·d + c_g·Σ_t p_t δ_t + l_g·z·γ)_j`: its mean, the
//! shared part, and per group `g` of directions between models its deviation, the mean deviation of
//! the inferred task, and the length `z` of the request times how far each model's mean lies above
//! that of all (`γ`): longer requests widen the gap between models. Where the embedding bag is
//! fitted, its deviations, shared part and task logits join them ([`network`]), and where nearest
//! neighbors are, their mean deviations. Penalties and the weights minimise the squared error on rows
//! that the fit did not see; a weight of 0 falls back to the mean, so a part without evidence is
//! left out. This is the shrinkage towards task and model means that the weights express, and the
//! guard against noise.

mod logged;
pub mod network;
mod slope;
mod sources;
mod tasks;

use router_core::predictor::CostHead;
use serde::Serialize;

use crate::components::{Basis, deviations};
use crate::costs;
use crate::heads::{Heads, Layout, Means, mean, shared};
use crate::nonnegative::Moments;
use crate::problem::Problem;

use network::Network;
use slope::{choose_complexity, choose_shared};
pub use sources::{N_SOURCES, PRIORS, Sources};
pub use tasks::{task_deviations, task_probabilities};

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
    /// `[n_models]`: of the fit.
    pub costs: Vec<Option<CostHead>>,
    /// Per row `[N_SURFACE]`: what cost heads see of it.
    pub surface: Vec<Vec<f64>>,
    /// What the bag of the fit says; `None` without one.
    pub bag: Option<Network>,
    /// `[rows.len() * n_models]`: the deviations of the nearest neighbors; `None` without them.
    pub neighbors: Option<Vec<f32>>,
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
            costs: heads.costs.clone(),
            surface: rows.iter().map(|r| costs::surface(&heads.vectorizer, problem, *r)).collect(),
            bag: heads.bag.as_ref().map(|bag| Network::new(problem, bag, &heads.vectorizer, &rows)),
            neighbors: heads
                .neighbors
                .as_ref()
                .map(|n| n.predict(problem, &heads.vectorizer, &rows)),
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
    /// Of the bag's deviations.
    pub bag_weight: f64,
    /// Of the deviations of the nearest neighbors.
    pub neighbors_weight: f64,
}

impl Component {
    /// `weights` are those of [`PRIORS`].
    fn new(penalty: usize, weights: &[f64]) -> Self {
        Self {
            penalty,
            deviation_weight: weights[0],
            task_weight: weights[1],
            length_weight: weights[2],
            bag_weight: weights[3],
            neighbors_weight: weights[4],
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
    /// `[n_models]`: by the bag.
    pub bag: &'a [f64],
    /// `[n_models]`: by the nearest neighbors.
    pub neighbors: &'a [f64],
}

impl<'a> Said<'a> {
    /// Zeros, `[n_models]`, for all.
    pub fn nothing(zeros: &'a [f64]) -> Self {
        Self { task: zeros, length: zeros, bag: zeros, neighbors: zeros }
    }
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stack {
    /// Index of the penalty of the shared part.
    pub shared_penalty: usize,
    /// `a`.
    pub shared_weight: f64,
    /// Of the shared part as the bag sees it.
    pub shared_bag_weight: f64,
    /// Per group of directions, the strongest first.
    pub components: Vec<Component>,
    /// Index of the penalty of task scores.
    pub task_penalty: usize,
    /// Multiplies task scores before the softmax.
    pub task_sharpness: f64,
    /// Multiplies the task logits of the bag, which are added.
    pub task_bag_gain: f64,
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
        let has_bag = sources.has(Sources::BAG) && held.iter().any(|held| held.bag.is_some());
        let shared = choose_shared(problem, held, layout, (n_penalties, has_bag));
        let (task_penalty, task_sharpness, task_bag_gain) =
            tasks::choose(problem, held, layout, (n_penalties, has_bag));
        let mut stack = Self {
            shared_penalty: shared.0,
            shared_weight: shared.1[0],
            shared_bag_weight: shared.1[1],
            components: Vec::new(),
            task_penalty,
            task_sharpness,
            task_bag_gain,
            complexity_penalty: choose_complexity(problem, held, layout, n_penalties),
        };
        let task_parts = stack.task_parts(problem, held, layout);
        let n_groups = held.iter().map(|held| held.basis.n_groups()).min().unwrap_or(1);
        // With many rows of many models the ridge finds by itself what their length says.
        let is_whole = held.iter().any(|held| held.basis.is_whole());
        let finds_length = !is_whole && sources.has(Sources::LINEAR);
        let sources = if finds_length { sources.without(Sources::LENGTH) } else { sources };
        let choose = |group: usize| {
            let fit = |penalty| {
                let mut moments = if problem.drawn.is_empty() {
                    moments(problem, held, layout, (group, penalty), &task_parts)
                } else {
                    logged::moments(problem, held, layout, &stack, (penalty, &task_parts))
                };
                moments.believe(&PRIORS);
                let (weights, error) = moments.solve_among(sources.bits());
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

    /// What is added to every arm for a held-out row.
    fn shared_part(&self, seen: &Seen<'_>, layout: Layout) -> f64 {
        let ridge = seen.outputs(self.shared_penalty, layout.width())[Layout::SHARED];
        self.shared_weight * f64::from(ridge) + self.shared_bag_weight * seen.bag_shared()
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
            basis.add_part(group, said.bag, component.bag_weight, &mut sum);
            basis.add_part(group, said.neighbors, component.neighbors_weight, &mut sum);
        }
        sum
    }

    /// Whether tasks have a say.
    pub fn uses_tasks(&self) -> bool {
        self.components.iter().any(|component| component.task_weight > 0.0)
    }

    /// Whether the bag has a say in scores.
    pub fn uses_bag(&self) -> bool {
        self.shared_bag_weight > 0.0
            || self.task_bag_gain > 0.0
            || self.components.iter().any(|component| component.bag_weight > 0.0)
    }

    /// Whether neighbors have a say.
    pub fn uses_neighbors(&self) -> bool {
        self.components.iter().any(|component| component.neighbors_weight > 0.0)
    }

    /// `Σ_t p_t δ_tj` of every held-out row: `[n_rows * n_models]`, zeros without tasks.
    fn task_parts(&self, problem: &Problem, held: &[HeldOut], layout: Layout) -> Vec<f64> {
        let m = problem.n_models();
        let mut parts = Vec::new();
        for seen in each(held) {
            parts.extend(self.task_part(&seen, layout));
        }
        debug_assert_eq!(parts.len() % m, 0);
        parts
    }

    /// `Σ_t p_t δ_tj` of a held-out row: `[n_models]`.
    fn task_part(&self, seen: &Seen<'_>, layout: Layout) -> Vec<f64> {
        let m = layout.n_models;
        let mut part = vec![0.0; m];
        let probabilities = self.tasks_of(seen, layout);
        for (p, effects) in probabilities.iter().zip(seen.held.task_deviations.chunks_exact(m)) {
            for (part, effect) in part.iter_mut().zip(effects) {
                *part += p * effect;
            }
        }
        part
    }

    /// The scores of every held-out row, in order, with the row: `[n_models]` each.
    pub fn scores(&self, held: &[HeldOut], layout: Layout) -> Vec<(usize, Vec<f64>)> {
        let width = layout.width();
        each(held)
            .map(|seen| {
                let shared = self.shared_part(&seen, layout);
                let task = self.task_part(&seen, layout);
                let outputs = |penalty| seen.outputs(penalty, width);
                let (length, bag, near) = (seen.length(), seen.bag(), seen.neighbors());
                let said = Said { task: &task, length: &length, bag: &bag, neighbors: &near };
                let deviations = self.deviations(&seen.held.basis, layout, outputs, said);
                let score = |j: usize| seen.held.means.model[j] + shared + deviations[j];
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
    let mut moments = Moments::new(N_SOURCES);
    for (i, seen) in each(held).enumerate() {
        let means = &seen.held.means.model;
        let ridge = models(seen.outputs(penalty, layout.width()), layout);
        let task = &task_parts[i * m..][..m];
        let (length, bag, near) = (seen.length(), seen.bag(), seen.neighbors());
        let basis = &seen.held.basis;
        if basis.is_whole() {
            let Some(shared) = shared(problem, seen.row, means) else { continue };
            for (j, mean) in means.iter().enumerate() {
                if let Some(quality) = problem.cell(seen.row, j).quality {
                    let y = f64::from(quality) - mean - shared;
                    moments.add(&[ridge[j], task[j], length[j], bag[j], near[j]], y);
                }
            }
        } else if let Some(deviations) = deviations(problem, seen.row, means) {
            let [x, t, l, b, n, y] = [&ridge[..], task, &length, &bag, &near, &deviations]
                .map(|vector| basis.coordinates(group, vector));
            for (i, y) in y.into_iter().enumerate() {
                moments.add(&[x[i], t[i], l[i], b[i], n[i]], y);
            }
        }
    }
    moments
}
