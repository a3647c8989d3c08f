//! Tasks in a stack: how sharply they are told apart, and what each is worth.

use super::{HeldOut, Seen, Stack, each};
use crate::heads::{Layout, mean};
use crate::learn::Taught;
use crate::problem::Problem;

/// Rows that count as much as the prior of a task's mean deviation.
const TASK_PRIOR_ROWS: f64 = 5.0;

/// How sharp a softmax over task scores may be.
const SHARPNESS: [f64; 6] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0];

/// Mean deviation of each model in each task, shrunk towards 0: `[n_tasks * n_models]`.
pub fn task_deviations(problem: &Problem, rows: &[usize], taught: &Taught) -> Vec<f64> {
    let m = problem.n_models();
    let mut sums = vec![0.0; problem.tasks.len() * m];
    let mut counts = vec![TASK_PRIOR_ROWS * taught.noise; sums.len()];
    for (i, &row) in rows.iter().enumerate() {
        let Some(task) = problem.task[row] else { continue };
        let weight = taught.weights[i];
        for j in 0..m {
            if let Some(deviation) = taught.deviation(i, j) {
                sums[task * m + j] += weight * deviation;
                counts[task * m + j] += weight;
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

/// How much the logits of a bag may count.
const GAINS: [f64; 4] = [0.25, 0.5, 0.75, 1.0];

/// Probabilities of the tasks of a held-out row.
fn probabilities(
    seen: &Seen<'_>,
    layout: Layout,
    (penalty, sharpness, gain): (usize, f64, f64),
) -> Vec<f64> {
    let outputs = seen.outputs(penalty, layout.width());
    let scores = &outputs[layout.task(0).min(outputs.len())..][..layout.n_tasks];
    let mut probabilities = task_probabilities(scores, &seen.held.means.task, sharpness);
    if gain > 0.0 {
        for (p, logit) in probabilities.iter_mut().zip(seen.bag_tasks()) {
            *p *= (gain * f64::from(*logit)).exp();
        }
        let total: f64 = probabilities.iter().sum();
        probabilities.iter_mut().for_each(|p| *p /= total);
    }
    probabilities
}

/// The penalty, the sharpness and the gain of the bag's logits of least log loss. The gain is
/// chosen at the penalty that is best without it.
pub(super) fn choose(
    problem: &Problem,
    held: &[HeldOut],
    layout: Layout,
    (n, has_bag): (usize, bool),
) -> (usize, f64, f64) {
    let mut best = ((0, 1.0, 0.0), f64::INFINITY);
    if layout.n_tasks == 0 {
        return best.0;
    }
    let mut attempt = |how: (usize, f64, f64)| {
        let losses = each(held).filter_map(|seen| {
            let label = problem.task[seen.row]?;
            Some(-probabilities(&seen, layout, how)[label].max(1e-12).ln())
        });
        let loss = mean(losses);
        if loss < best.1 {
            best = (how, loss);
        }
        best.0
    };
    let mut chosen = (0, 1.0, 0.0);
    for penalty in 0..n {
        for sharpness in SHARPNESS {
            chosen = attempt((penalty, sharpness, 0.0));
        }
    }
    let gains: &[f64] = if has_bag { &GAINS } else { &[] };
    let penalty = chosen.0;
    for gain in gains {
        for sharpness in SHARPNESS {
            chosen = attempt((penalty, sharpness, *gain));
        }
    }
    chosen
}

impl Stack {
    /// Probabilities of the tasks of a held-out row.
    pub(super) fn tasks_of(&self, seen: &Seen<'_>, layout: Layout) -> Vec<f64> {
        let how = (self.task_penalty, self.task_sharpness, self.task_bag_gain);
        probabilities(seen, layout, how)
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
            let p = self.tasks_of(&seen, layout);
            let best = (0..p.len()).max_by(|&a, &b| p[a].total_cmp(&p[b]))?;
            Some(f64::from(u8::from(best == label)))
        });
        let hits: Vec<f64> = hits.collect();
        (!hits.is_empty()).then(|| mean(hits.into_iter()))
    }
}
