//! Where a network starts: at the linear heads, reduced to as many dimensions as it has.
//!
//! From random weights a network memorizes its requests before it knows what the linear heads know.
//! So it starts from them: ridge regressions `x·W` of all outputs, each kind at the penalty and
//! slope that the held-out rows like best, projected onto the leading eigenvectors `U` of the
//! covariance of their weighted predictions: `E = W·S·U`, `V = Uᵀ·S⁻¹`.
//!
//! # References
//!
//! Izenman (1975), *Reduced-rank regression for the multivariate linear model*.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::targets::{Columns, Part, Targets};
use crate::design::{Design, Sparse};
use crate::ridge::{self, RidgeParams, solve};

const PENALTIES: [f64; 5] = [3.0, 10.0, 30.0, 100.0, 300.0];

/// Multiples of a task's score that may be its logit.
const SHARPNESS: [f32; 5] = [2.0, 4.0, 8.0, 16.0, 32.0];

/// Standard deviation of a hidden unit before `tanh`: nearly linear, and able to bend.
const DEVIATION: f64 = 0.5;

/// Iterations of the power method on a block of vectors.
const ITERATIONS: usize = 60;

/// Initial weights.
#[derive(Clone, Debug)]
pub(super) struct Start {
    /// `[n_columns * hidden]`.
    pub(super) embeddings: Vec<f32>,
    /// `[hidden * width]`.
    pub(super) weights: Vec<f32>,
    /// `[width]`.
    pub(super) bias: Vec<f32>,
}

impl Start {
    /// From ridge regressions of `targets.fitted` on `design`, chosen on `targets.held`.
    pub(super) fn new(design: &Design, judging: &Sparse, targets: &Targets, hidden: usize) -> Self {
        let columns = targets.columns;
        let linear = linear(design, judging, targets);
        let scales = scales(&targets.fitted, columns);
        let width = columns.width();
        let predictions = design.by_row.times(&linear, width);
        let (basis, variances) = leading(&predictions, &scales, hidden);
        let mut rng = Pcg64::seed_from_u64(0);
        let mut weights = vec![0.0f32; hidden * width];
        let mut project = vec![0.0f64; width * hidden];
        for d in 0..hidden {
            // Dimensions that the linear heads do not need start at nothing, with weights to learn.
            let is_used = variances[d] > 1e-9 * variances[0] && variances[d] > 0.0;
            let factor = DEVIATION / variances[d].sqrt();
            for k in 0..width {
                if is_used && scales[k] > 0.0 {
                    weights[d * width + k] = narrow(basis[k * hidden + d] / scales[k] / factor);
                    project[k * hidden + d] = scales[k] * basis[k * hidden + d] * factor;
                } else if !is_used {
                    weights[d * width + k] = rng.random_range(-0.01..0.01);
                }
            }
        }
        let embeddings = linear.chunks_exact(width).flat_map(|row| {
            let of = |d: usize| {
                let terms = row.iter().zip(project.iter().skip(d).step_by(hidden));
                narrow(terms.map(|(w, p)| f64::from(*w) * p).sum())
            };
            (0..hidden).map(of).collect::<Vec<f32>>()
        });
        let mut bias = vec![0.0; columns.n_regressions()];
        bias.extend(&targets.task_bias);
        Self { embeddings: embeddings.collect(), weights, bias }
    }
}

/// `[n_columns * width]`: the chosen ridge solution of each output.
fn linear(design: &Design, judging: &Sparse, targets: &Targets) -> Vec<f32> {
    let columns = targets.columns;
    let (width, k) = (columns.width(), columns.width().next_multiple_of(4));
    let problem = ridge_targets(&targets.fitted, columns, &targets.means.task, k);
    let params = RidgeParams { penalties: PENALTIES.to_vec(), n_iterations: 12 };
    let solutions = solve(design, &problem, &params);
    let held: Vec<Vec<f32>> = solutions.iter().map(|solution| judging.times(solution, k)).collect();
    let mut chosen = vec![(0, 0.0f32); width];
    for kind in 0..4 {
        let best = (0..PENALTIES.len())
            .map(|p| (p, slope(&targets.held, &held[p], columns, k, kind)))
            .max_by(|a, b| a.1.1.total_cmp(&b.1.1));
        let (penalty, (slope, _)) = best.unwrap_or((0, (0.0, 0.0)));
        for column in (0..columns.n_regressions()).filter(|c| columns.kind(*c) == kind) {
            chosen[column] = (penalty, narrow(slope));
        }
    }
    let mut best = (f64::INFINITY, 0, 0.0);
    for (p, held) in held.iter().enumerate() {
        for sharpness in SHARPNESS {
            let loss = task_loss(targets, held, k, sharpness);
            if loss < best.0 {
                best = (loss, p, sharpness);
            }
        }
    }
    chosen[columns.n_regressions()..].fill((best.1, best.2));
    let n_columns = solutions[0].len() / k;
    let row = |column: usize| {
        let solutions = &solutions;
        chosen
            .iter()
            .enumerate()
            .map(move |(at, (p, factor))| factor * solutions[*p][column * k + at])
    };
    (0..n_columns).flat_map(row).collect()
}

/// Targets for ridge regression: regressions as they are, tasks as centered indicators.
fn ridge_targets(part: &Part, columns: Columns, shares: &[f64], k: usize) -> ridge::Targets {
    let mut targets = ridge::Targets {
        k,
        values: vec![0.0; part.n_rows * k],
        weights: vec![0.0; part.n_rows * k],
    };
    let (n_regressions, n_tasks) = (columns.n_regressions(), columns.n_tasks);
    for i in 0..part.n_rows {
        for column in 0..n_regressions {
            let is_known = part.weights[i * n_regressions + column] > 0.0;
            targets.values[i * k + column] = part.values[i * n_regressions + column];
            targets.weights[i * k + column] = f32::from(u8::from(is_known));
        }
        let labels = &part.labels[i * n_tasks..][..n_tasks];
        if labels.iter().any(|label| *label > 0.0) {
            for (task, label) in labels.iter().enumerate() {
                let indicator = f64::from(u8::from(*label > 0.0));
                targets.values[i * k + columns.task(task)] = narrow(indicator - shares[task]);
                targets.weights[i * k + columns.task(task)] = 1.0;
            }
        }
    }
    targets
}

/// The best slope in [0, 1.5] of one kind's held-out predictions, and by how much it lowers the
/// squared error.
fn slope(part: &Part, outputs: &[f32], columns: Columns, k: usize, kind: usize) -> (f64, f64) {
    let n_regressions = columns.n_regressions();
    let (mut xx, mut xy) = (0.0, 0.0);
    for i in 0..part.n_rows {
        for column in (0..n_regressions).filter(|column| columns.kind(*column) == kind) {
            let at = i * n_regressions + column;
            let (x, y) = (f64::from(outputs[i * k + column]), f64::from(part.values[at]));
            let weight = f64::from(part.weights[at]);
            (xx, xy) = (xx + weight * x * x, xy + weight * x * y);
        }
    }
    let slope = if xx > 0.0 { (xy / xx).clamp(0.0, 1.5) } else { 0.0 };
    (slope, 2.0 * slope * xy - slope * slope * xx)
}

fn task_loss(targets: &Targets, outputs: &[f32], k: usize, sharpness: f32) -> f64 {
    let columns = targets.columns;
    let row = |outputs: &[f32]| {
        let tasks = &outputs[columns.n_regressions()..columns.width()];
        let logits = tasks.iter().zip(&targets.task_bias).map(|(x, bias)| sharpness * x + bias);
        let zeros = std::iter::repeat_n(0.0, columns.n_regressions());
        zeros.chain(logits).collect::<Vec<f32>>()
    };
    let all: Vec<f32> = outputs.chunks_exact(k).flat_map(row).collect();
    targets.held.losses(&all, columns)[4]
}

/// Roots of what a squared change of each output costs: `[width]`.
fn scales(part: &Part, columns: Columns) -> Vec<f64> {
    let n = part.n_rows.max(1) as f64;
    let sum = |values: &[f32], width: usize, at: usize| {
        values.iter().skip(at).step_by(width.max(1)).map(|v| f64::from(*v)).sum::<f64>() / n
    };
    let regressions = (0..columns.n_regressions())
        .map(|column| sum(&part.weights, columns.n_regressions(), column));
    // The curvature of the cross-entropy at a small share is that share.
    let tasks = (0..columns.n_tasks).map(|task| sum(&part.labels, columns.n_tasks, task));
    regressions.chain(tasks).map(f64::sqrt).collect()
}

/// The leading eigenvectors of the second moment of scaled predictions, `[width * hidden]`, and the
/// variance along each, largest first.
fn leading(predictions: &[f32], scales: &[f64], hidden: usize) -> (Vec<f64>, Vec<f64>) {
    let width = scales.len();
    let n = (predictions.len() / width).max(1) as f64;
    let mut moment = vec![0.0f64; width * width];
    for row in predictions.chunks_exact(width) {
        for (a, (x, s)) in row.iter().zip(scales).enumerate() {
            let x = f64::from(*x) * s / n;
            for ((to, y), s) in moment[a * width..][..width].iter_mut().zip(row).zip(scales) {
                *to += x * f64::from(*y) * s;
            }
        }
    }
    let mut rng = Pcg64::seed_from_u64(1);
    let used = hidden.min(width);
    let mut vectors: Vec<Vec<f64>> =
        (0..used).map(|_| (0..width).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
    let apply = |vector: &[f64]| -> Vec<f64> {
        moment.chunks_exact(width).map(|row| dot(row, vector)).collect()
    };
    for _ in 0..ITERATIONS {
        vectors = vectors.iter().map(|vector| apply(vector)).collect();
        orthonormalize(&mut vectors);
    }
    let mut basis = vec![0.0; width * hidden];
    let mut variances = vec![0.0; hidden];
    for (d, vector) in vectors.iter().enumerate() {
        variances[d] = dot(vector, &apply(vector)).max(0.0);
        for (k, value) in vector.iter().enumerate() {
            basis[k * hidden + d] = *value;
        }
    }
    (basis, variances)
}

/// Modified Gram–Schmidt; what depends on those before becomes 0.
fn orthonormalize(vectors: &mut [Vec<f64>]) {
    for j in 0..vectors.len() {
        let (done, rest) = vectors.split_at_mut(j);
        let vector = &mut rest[0];
        let before = dot(vector, vector).sqrt();
        for other in done.iter() {
            let along = dot(vector, other);
            vector.iter_mut().zip(other).for_each(|(v, o)| *v -= along * o);
        }
        let length = dot(vector, vector).sqrt();
        let factor = if length > 1e-10 * before { 1.0 / length } else { 0.0 };
        vector.iter_mut().for_each(|v| *v *= factor);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_directions_are_those_of_the_definition() {
        // Scaled by (1, 2), rows are (3, 0), (−3, 0), (0, 2) and (0, −2).
        let rows = [3.0, 0.0, -3.0, 0.0, 0.0, 1.0, 0.0, -1.0];
        let (basis, variances) = leading(&rows, &[1.0, 2.0], 3);
        assert!((variances[0] - 4.5).abs() < 1e-9 && (variances[1] - 2.0).abs() < 1e-9);
        assert!(variances[2].abs() < 1e-12);
        assert!((basis[0].abs() - 1.0).abs() < 1e-6 && basis[3].abs() < 1e-6, "{basis:?}");
    }
}
