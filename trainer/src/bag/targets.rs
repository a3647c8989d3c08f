//! What a bag learns from: regression targets with weights, and task labels.

use serde::{Deserialize, Serialize};

use super::Lesson;
use crate::heads::{Layout, Means, mean};
use crate::problem::Problem;

/// How much each kind of output counts; each kind's loss is 1 for a network that predicts means.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `shared` | `0.1` | the quality that models share | `[0, ∞)` |
/// | `deviations` | `0.1` | what decides between models | `[0, ∞)` |
/// | `complexity` | `0.1` | whether the cheap model is not enough | `[0, ∞)` |
/// | `tasks` | `1` | cross-entropy of the task | `[0, ∞)` |
/// | `costs` | `0.2` | log cost of each model | `[0, ∞)` |
/// | `balance` | `0.5` | tasks count by `n_task^(−balance)` | `[0, 1]` |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossWeights {
    /// The shared quality.
    pub shared: f64,
    /// Deviations.
    pub deviations: f64,
    /// Complexity.
    pub complexity: f64,
    /// Tasks.
    pub tasks: f64,
    /// Log costs.
    pub costs: f64,
    /// Class balance of tasks.
    pub balance: f64,
}

impl Default for LossWeights {
    fn default() -> Self {
        Self { shared: 0.1, deviations: 0.1, complexity: 0.1, tasks: 1.0, costs: 0.2, balance: 0.5 }
    }
}

/// Which output is what: shared, one per model, complexity, log cost of each model, then tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Number of models.
    pub n_models: usize,
    /// Number of tasks.
    pub n_tasks: usize,
}

impl Columns {
    /// A model's deviation.
    pub fn model(model: usize) -> usize {
        Layout::model(model)
    }

    /// Whether the cheap model is not enough.
    pub fn complexity(self) -> usize {
        1 + self.n_models
    }

    /// A model's log cost.
    pub fn cost(self, model: usize) -> usize {
        2 + self.n_models + model
    }

    /// Outputs that are regressions; tasks follow.
    pub fn n_regressions(self) -> usize {
        2 + 2 * self.n_models
    }

    /// A task's logit.
    pub fn task(self, task: usize) -> usize {
        self.n_regressions() + task
    }

    /// All outputs.
    pub fn width(self) -> usize {
        self.n_regressions() + self.n_tasks
    }

    /// The kind of a regression: its place in [`KINDS`].
    pub(super) fn kind(self, column: usize) -> usize {
        match column {
            Layout::SHARED => 0,
            column if column <= self.n_models => 1,
            column if column == self.complexity() => 2,
            _ => 3,
        }
    }
}

/// Kinds of loss, as learning curves name them.
pub const KINDS: [&str; 5] = ["shared", "deviations", "complexity", "costs", "tasks"];

/// Targets of some rows.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// `[n_rows * n_regressions]`.
    pub values: Vec<f32>,
    /// `[n_rows * n_regressions]`: 0 where unknown, else what a squared error counts.
    pub weights: Vec<f32>,
    /// `[n_rows * n_tasks]`: what the log-probability of the row's task counts, else 0.
    pub labels: Vec<f32>,
    /// Number of rows.
    pub n_rows: usize,
}

/// Targets of the fitted rows and of those that tell when to stop.
#[derive(Clone, Debug)]
pub struct Targets {
    /// What the outputs are.
    pub columns: Columns,
    /// Of the fitted rows.
    pub fitted: Part,
    /// Of the held-out rows, on the same scale.
    pub held: Part,
    /// `[n_tasks]`: logits of a network that knows nothing.
    pub task_bias: Vec<f32>,
    /// What deviations and the rest were centered by.
    pub means: Means,
    /// `[n_models]`: mean log cost; 0 where unknown.
    pub log_cost: Vec<f64>,
}

impl Targets {
    /// Scales on the fitted rows; both are places in `lesson.rows`.
    pub fn new(
        problem: &Problem,
        lesson: &Lesson<'_>,
        (fitted, held): (&[usize], &[usize]),
        weights: &LossWeights,
    ) -> Self {
        let columns = Columns { n_models: problem.n_models(), n_tasks: problem.tasks.len() };
        let means = lesson.means;
        let costs =
            |j: usize| fitted.iter().filter_map(move |at| log_cost(problem, lesson.rows[*at], j));
        let mut targets = Self {
            columns,
            fitted: Part::default(),
            held: Part::default(),
            task_bias: means.task.iter().map(|share| narrow(share.max(1e-4).ln())).collect(),
            means: means.clone(),
            log_cost: (0..columns.n_models).map(|j| mean(costs(j))).collect(),
        };
        let scale = targets.scales(problem, lesson, fitted, weights);
        let class = class_weights(&targets.means.task, weights);
        targets.fitted = targets.part(problem, lesson, fitted, (scale, &class));
        targets.held = targets.part(problem, lesson, held, (scale, &class));
        targets
    }

    /// Weight of a squared error of each kind, so that the kind's loss per row is its weight.
    fn scales(
        &self,
        problem: &Problem,
        lesson: &Lesson<'_>,
        places: &[usize],
        weights: &LossWeights,
    ) -> [f64; 4] {
        let mut squares = [0.0f64; 4];
        for &at in places {
            self.each(problem, lesson, at, |column, value, weight| {
                squares[self.columns.kind(column)] += weight * value * value;
            });
        }
        let of = [weights.shared, weights.deviations, weights.complexity, weights.costs];
        let n = places.len() as f64;
        std::array::from_fn(
            |kind| if squares[kind] > 0.0 { of[kind] * n / squares[kind] } else { 0.0 },
        )
    }

    /// Calls `visit` with every known regression target of a row, centered, and what it counts.
    fn each(
        &self,
        problem: &Problem,
        lesson: &Lesson<'_>,
        at: usize,
        mut visit: impl FnMut(usize, f64, f64),
    ) {
        let (row, taught) = (lesson.rows[at], lesson.taught);
        if let Some(shared) = taught.shared(at) {
            visit(Layout::SHARED, shared, taught.weights[at]);
            for j in 0..self.columns.n_models {
                if let Some(deviation) = taught.deviation(at, j) {
                    visit(Columns::model(j), deviation, taught.weights[at] / taught.noise);
                }
            }
        }
        if let Some(hard) = problem.hard(row, self.means.ends) {
            visit(self.columns.complexity(), hard - self.means.complexity, 1.0);
        }
        for (j, mean) in self.log_cost.iter().enumerate() {
            if let Some(cost) = log_cost(problem, row, j) {
                visit(self.columns.cost(j), cost - mean, 1.0);
            }
        }
    }

    fn part(
        &self,
        problem: &Problem,
        lesson: &Lesson<'_>,
        places: &[usize],
        (scale, class): ([f64; 4], &[f64]),
    ) -> Part {
        let (width, n_tasks) = (self.columns.n_regressions(), self.columns.n_tasks);
        let mut part = Part {
            values: vec![0.0; places.len() * width],
            weights: vec![0.0; places.len() * width],
            labels: vec![0.0; places.len() * n_tasks],
            n_rows: places.len(),
        };
        for (i, &at) in places.iter().enumerate() {
            self.each(problem, lesson, at, |column, value, weight| {
                part.values[i * width + column] = narrow(value);
                part.weights[i * width + column] =
                    narrow(weight * scale[self.columns.kind(column)]);
            });
            if let Some(task) = problem.task[lesson.rows[at]] {
                part.labels[i * n_tasks + task] = narrow(class[task]);
            }
        }
        part
    }
}

impl Part {
    /// The targets of some of its rows.
    pub fn select(&self, rows: &[usize]) -> Self {
        let pick = |values: &[f32]| {
            let width = values.len() / self.n_rows.max(1);
            rows.iter().flat_map(|row| &values[row * width..][..width]).copied().collect()
        };
        Self {
            values: pick(&self.values),
            weights: pick(&self.weights),
            labels: pick(&self.labels),
            n_rows: rows.len(),
        }
    }

    /// The loss of each kind per row, as [`KINDS`] names them; `outputs` is `[n_rows * width]`.
    pub fn losses(&self, outputs: &[f32], columns: Columns) -> [f64; 5] {
        let mut losses = [0.0f64; 5];
        let (width, n_regressions) = (columns.width(), columns.n_regressions());
        for (i, outputs) in outputs.chunks_exact(width).enumerate() {
            let at = i * n_regressions;
            for (column, output) in outputs[..n_regressions].iter().enumerate() {
                let gap = f64::from(output - self.values[at + column]);
                losses[columns.kind(column)] += f64::from(self.weights[at + column]) * gap * gap;
            }
            let labels = &self.labels[i * columns.n_tasks..][..columns.n_tasks];
            if let Some(task) = labels.iter().position(|weight| *weight > 0.0) {
                losses[4] -= f64::from(labels[task]) * log_softmax(&outputs[n_regressions..], task);
            }
        }
        losses.map(|loss| loss / self.n_rows.max(1) as f64)
    }
}

fn log_softmax(logits: &[f32], at: usize) -> f64 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - highest).exp()).sum();
    f64::from(logits[at] - highest) - sum.ln()
}

/// Weight of each task's log-probability: balanced, and such that shares alone lose `tasks`.
fn class_weights(shares: &[f64], weights: &LossWeights) -> Vec<f64> {
    let raw: Vec<f64> =
        shares.iter().map(|s| if *s > 0.0 { s.powf(-weights.balance) } else { 0.0 }).collect();
    let entropy: f64 =
        shares.iter().zip(&raw).filter(|(s, _)| **s > 0.0).map(|(s, w)| -s * w * s.ln()).sum();
    raw.iter().map(|w| if entropy > 0.0 { weights.tasks * w / entropy } else { 0.0 }).collect()
}

fn log_cost(problem: &Problem, row: usize, model: usize) -> Option<f64> {
    problem.cell(row, model).cost.filter(|cost| *cost > 0.0).map(f64::ln)
}

#[expect(clippy::cast_possible_truncation, reason = "targets are f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}
