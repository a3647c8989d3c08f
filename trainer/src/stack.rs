//! Everything that is chosen on held-out predictions: penalties, how far each part is trusted,
//! and how sharply tasks are told apart.
//!
//! The score of model `j` is `μ_j + a·s + Σ_g P_g(b_g·d + c_g·Σ_t p_t δ_t)_j`: its mean, the shared
//! part, and per group `g` of directions between models its deviation and the mean deviation of
//! the inferred task. Penalties and the weights `a`, `b`, `c` minimise the squared error on rows
//! that the fit did not see; a weight of 0 falls back to the mean, so a part without evidence is
//! left out. This is the shrinkage towards task and model means that `b` and `c` express, and the
//! guard against noise.

use serde::Serialize;

use crate::components::{Basis, deviations};
use crate::heads::{Heads, Layout, Means, mean, shared};
use crate::nonnegative::Moments;
use crate::problem::Problem;

/// Rows that count as much as the prior of a task's mean deviation.
const TASK_PRIOR_ROWS: f64 = 5.0;

/// How sharp a softmax over task scores may be.
const SHARPNESS: [f64; 6] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0];

/// Predictions for rows that a fit did not see.
#[derive(Clone, Debug)]
pub struct HeldOut {
    /// The rows.
    pub rows: Vec<usize>,
    /// Per penalty: `[rows.len() * width]`.
    pub predictions: Vec<Vec<f32>>,
    /// Of the fit.
    pub means: Means,
    /// Directions between models, of the rows of the fit.
    pub basis: Basis,
    /// `[n_tasks * n_models]`, of the rows of the fit.
    pub task_deviations: Vec<f64>,
}

impl HeldOut {
    /// Predicts rows that `heads`, fitted on `seen`, did not see.
    pub fn new(problem: &Problem, heads: &Heads, seen: &[usize], rows: Vec<usize>) -> Self {
        Self {
            predictions: heads.predict(problem, &rows),
            task_deviations: task_deviations(problem, seen, &heads.means),
            means: heads.means.clone(),
            basis: heads.basis.clone(),
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

/// Mean deviation of each model in each task, shrunk towards 0: `[n_tasks * n_models]`.
pub fn task_deviations(problem: &Problem, rows: &[usize], means: &Means) -> Vec<f64> {
    let m = problem.n_models();
    let mut sums = vec![0.0; problem.tasks.len() * m];
    let mut counts = vec![TASK_PRIOR_ROWS; sums.len()];
    for &row in rows {
        let (Some(task), Some(shared)) = (problem.task[row], shared(problem, row, &means.model))
        else {
            continue;
        };
        for (j, mean) in means.model.iter().enumerate() {
            if let Some(quality) = problem.cell(row, j).quality {
                sums[task * m + j] += f64::from(quality) - mean - shared;
                counts[task * m + j] += 1.0;
            }
        }
    }
    sums.iter().zip(counts).map(|(sum, n)| sum / n).collect()
}

/// Softmax of task scores with shares added back.
pub fn task_probabilities(scores: &[f32], shares: &[f64], sharpness: f64) -> Vec<f64> {
    let logits: Vec<f64> =
        scores.iter().zip(shares).map(|(s, share)| sharpness * (f64::from(*s) + share)).collect();
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

/// One held-out row, with what was predicted for it.
struct Seen<'a> {
    row: usize,
    held: &'a HeldOut,
    /// Its place in `held`.
    at: usize,
}

impl Seen<'_> {
    fn outputs(&self, penalty: usize, width: usize) -> &[f32] {
        &self.held.predictions[penalty][self.at * width..][..width]
    }
}

fn each(held: &[HeldOut]) -> impl Iterator<Item = Seen<'_>> {
    held.iter()
        .flat_map(|held| held.rows.iter().enumerate().map(move |(at, &row)| Seen { row, held, at }))
}

impl Stack {
    /// Chooses on held-out predictions.
    pub fn choose(problem: &Problem, held: &[HeldOut], layout: Layout) -> Self {
        let n_penalties = held.first().map_or(0, |held| held.predictions.len());
        let (shared_penalty, shared_weight) = choose_shared(problem, held, layout, n_penalties);
        let (task_penalty, task_sharpness) = choose_tasks(problem, held, layout, n_penalties);
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
        let choose = |group: usize| {
            (0..n_penalties)
                .map(|penalty| fit_component(problem, held, layout, (group, penalty), &task_parts))
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
    /// - `task`: `[n_models]`
    pub fn deviations<'a>(
        &self,
        basis: &Basis,
        layout: Layout,
        of: impl Fn(usize) -> &'a [f32],
        task: &[f64],
    ) -> Vec<f64> {
        let mut sum = vec![0.0; layout.n_models];
        for (group, component) in self.components.iter().enumerate() {
            if component.deviation_weight > 0.0 {
                let ridge = models(of(component.penalty), layout);
                basis.add_part(group, &ridge, component.deviation_weight, &mut sum);
            }
            basis.add_part(group, task, component.task_weight, &mut sum);
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
                let deviations = self.deviations(&seen.held.basis, layout, outputs, &task);
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

    /// Share of held-out rows whose most likely task is the labelled one; `None` without labels.
    pub fn task_accuracy(
        &self,
        problem: &Problem,
        held: &[HeldOut],
        layout: Layout,
    ) -> Option<f64> {
        let hits = each(held).filter_map(|seen| {
            let label = problem.task[seen.row]?;
            let outputs = seen.outputs(self.task_penalty, layout.width());
            let scores = &outputs[layout.task(0)..][..layout.n_tasks];
            let p = task_probabilities(scores, &seen.held.means.task, 1.0);
            let best = (0..p.len()).max_by(|&a, &b| p[a].total_cmp(&p[b]))?;
            Some(f64::from(u8::from(best == label)))
        });
        let hits: Vec<f64> = hits.collect();
        (!hits.is_empty()).then(|| mean(hits.into_iter()))
    }
}

fn choose_shared(problem: &Problem, held: &[HeldOut], layout: Layout, n: usize) -> (usize, f64) {
    let pairs = |penalty: usize| {
        each(held).filter_map(move |seen| {
            let target = shared(problem, seen.row, &seen.held.means.model)?;
            Some((f64::from(seen.outputs(penalty, layout.width())[Layout::SHARED]), target))
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

/// The penalty whose prediction, times its best slope in [0, 1.5], has the smallest error.
fn best_slope<I: Iterator<Item = (f64, f64)>>(
    n: usize,
    pairs: impl Fn(usize) -> I,
) -> (usize, f64) {
    let mut best = (0, 0.0, f64::INFINITY);
    for penalty in 0..n {
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (x, y) in pairs(penalty) {
            xx += x * x;
            xy += x * y;
            yy += y * y;
        }
        let slope = if xx > 0.0 { (xy / xx).clamp(0.0, 1.5) } else { 0.0 };
        let error = yy - 2.0 * slope * xy + slope * slope * xx;
        if error < best.2 {
            best = (penalty, slope, error);
        }
    }
    (best.0, best.1)
}

fn choose_tasks(problem: &Problem, held: &[HeldOut], layout: Layout, n: usize) -> (usize, f64) {
    let mut best = (0, 1.0, f64::INFINITY);
    if layout.n_tasks == 0 {
        return (best.0, best.1);
    }
    for penalty in 0..n {
        for sharpness in SHARPNESS {
            let losses = each(held).filter_map(|seen| {
                let label = problem.task[seen.row]?;
                let outputs = seen.outputs(penalty, layout.width());
                let scores = &outputs[layout.task(0)..][..layout.n_tasks];
                let p = task_probabilities(scores, &seen.held.means.task, sharpness);
                Some(-p[label].max(1e-12).ln())
            });
            let loss = mean(losses);
            if loss < best.2 {
                best = (penalty, sharpness, loss);
            }
        }
    }
    (best.0, best.1)
}

/// The deviations among the outputs of a row.
fn models(outputs: &[f32], layout: Layout) -> Vec<f64> {
    (0..layout.n_models).map(|j| f64::from(outputs[Layout::model(j)])).collect()
}

/// Least squares of the deviations along a group on the ridge prediction and the task part, with
/// its squared error.
fn fit_component(
    problem: &Problem,
    held: &[HeldOut],
    layout: Layout,
    (group, penalty): (usize, usize),
    task_parts: &[f64],
) -> (Component, f64) {
    let m = layout.n_models;
    let mut moments = Moments::new(2);
    for (i, seen) in each(held).enumerate() {
        let means = &seen.held.means.model;
        let ridge = models(seen.outputs(penalty, layout.width()), layout);
        let task = &task_parts[i * m..][..m];
        let basis = &seen.held.basis;
        if basis.is_whole() {
            let Some(shared) = shared(problem, seen.row, means) else { continue };
            for (j, mean) in means.iter().enumerate() {
                if let Some(quality) = problem.cell(seen.row, j).quality {
                    moments.add(&[ridge[j], task[j]], f64::from(quality) - mean - shared);
                }
            }
        } else if let Some(deviations) = deviations(problem, seen.row, means) {
            let [x, t, y] =
                [&ridge[..], task, &deviations].map(|vector| basis.coordinates(group, vector));
            for ((x, t), y) in x.into_iter().zip(t).zip(y) {
                moments.add(&[x, t], y);
            }
        }
    }
    let (weights, error) = moments.solve();
    (Component { penalty, deviation_weight: weights[0], task_weight: weights[1] }, error)
}
