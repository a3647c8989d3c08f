//! Linear support vector machines, one per label against the rest, all in one pass over the rows.
//!
//! Machine `k` minimizes `½‖w‖² + Σ_i C_i max(0, 1 − y_ik (w·x_i + b))²`, the bias being the
//! weight of a constant feature, by coordinate descent in the dual. The machines share rows and
//! order but nothing else, so that a row is read once for 16 of them.
//!
//! # References
//!
//! Hsieh, Chang, Lin, Keerthi, Sundararajan (2008), *A dual coordinate descent method for
//! large-scale linear SVM*.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;
use rayon::prelude::*;

use super::vectors::SparseRow;

/// Machines that are solved together.
const LANES: usize = 16;

type Lane = [f32; LANES];

/// How to solve.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `cost` | `0.5` | cost of a violated margin, for a row of weight 1 | `(0, ∞)` |
/// | `tolerance` | `0.1` | largest violation of optimality that ends the descent | `(0, ∞)` |
/// | `max_passes` | `30` | passes over the rows | `[1, ∞)` |
/// | `seed` | `0` | of the order of rows | |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SvmParams {
    /// Cost of a violated margin.
    pub cost: f64,
    /// Largest violation of optimality that ends the descent.
    pub tolerance: f32,
    /// Passes over the rows.
    pub max_passes: usize,
    /// Of the order of rows.
    pub seed: u64,
}

impl Default for SvmParams {
    fn default() -> Self {
        Self { cost: 0.5, tolerance: 0.1, max_passes: 30, seed: 0 }
    }
}

/// Solved machines.
#[derive(Clone, Debug, PartialEq)]
pub struct Machines {
    /// `[n_columns * n_labels]`.
    pub weights: Vec<f32>,
    /// `[n_labels]`.
    pub bias: Vec<f32>,
}

/// Solves one machine per label.
///
/// # Shapes
///
/// `rows`, `labels` and `weights` are `[n]`; columns are below `n_columns`.
pub fn solve(
    rows: &[SparseRow],
    labels: &[usize],
    weights: &[f64],
    shape: (usize, usize),
    params: &SvmParams,
) -> Machines {
    let (n_columns, n_labels) = shape;
    let groups: Vec<usize> = (0..n_labels).step_by(LANES).collect();
    let solved: Vec<(Vec<Lane>, Lane)> = groups
        .into_par_iter()
        .map(|first| descend(rows, labels, weights, (n_columns, first), params))
        .collect();
    let mut machines = Machines { weights: vec![0.0; n_columns * n_labels], bias: Vec::new() };
    for (group, (w, bias)) in solved.iter().enumerate() {
        let n = (n_labels - group * LANES).min(LANES);
        machines.bias.extend(&bias[..n]);
        for (column, w) in w.iter().enumerate() {
            machines.weights[column * n_labels + group * LANES..][..n].copy_from_slice(&w[..n]);
        }
    }
    machines
}

/// The machines of labels `first..first + LANES`.
fn descend(
    rows: &[SparseRow],
    labels: &[usize],
    weights: &[f64],
    (n_columns, first): (usize, usize),
    params: &SvmParams,
) -> (Vec<Lane>, Lane) {
    let mut w = vec![[0.0f32; LANES]; n_columns];
    let mut bias = [0.0f32; LANES];
    let mut alpha = vec![[0.0f32; LANES]; rows.len()];
    let diagonal: Vec<(f32, f32)> = rows
        .iter()
        .zip(weights)
        .map(|(row, weight)| {
            let square: f32 = row.iter().map(|(_, value)| value * value).sum();
            // 1 / 2C of the squared hinge, and the curvature in α.
            let slack = narrow(0.5 / (params.cost * weight).max(1e-12));
            (slack, square + 1.0 + slack)
        })
        .collect();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let mut rng = Pcg64::seed_from_u64(params.seed);
    // Rows that did not move are passed over, longer each time.
    let mut rests = vec![(0u8, 0u8); rows.len()];
    for _ in 0..params.max_passes {
        order.shuffle(&mut rng);
        let mut violation = 0.0f32;
        let mut all_seen = true;
        for &i in &order {
            if rests[i].0 > 0 {
                rests[i].0 -= 1;
                all_seen = false;
                continue;
            }
            let margins = margins(&rows[i], &w, &bias);
            let row = Row { is: labels[i].checked_sub(first), diagonal: diagonal[i] };
            let (delta, violated) = row.step(&margins, &mut alpha[i], params.tolerance);
            violation = violation.max(violated);
            let moves = delta.iter().any(|delta| *delta != 0.0);
            rests[i] = if moves { (0, 0) } else { (rests[i].1, (2 * rests[i].1 + 1).min(7)) };
            if moves {
                for (column, value) in &rows[i] {
                    for (w, delta) in w[*column as usize].iter_mut().zip(&delta) {
                        *w += value * delta;
                    }
                }
                for (bias, delta) in bias.iter_mut().zip(&delta) {
                    *bias += delta;
                }
            }
        }
        if violation < params.tolerance {
            if all_seen {
                break;
            }
            rests.fill((0, 0));
        }
    }
    (w, bias)
}

/// What a step needs to know of a row.
struct Row {
    /// The lane that the row belongs to, if any.
    is: Option<usize>,
    /// `1 / 2C`, and the curvature in α.
    diagonal: (f32, f32),
}

impl Row {
    /// The exact minimum in every α of the row: what it adds to the weights of each lane, and how
    /// far the row was from its optimum.
    fn step(&self, margins: &Lane, alpha: &mut Lane, tolerance: f32) -> (Lane, f32) {
        let (slack, curvature) = self.diagonal;
        let mut delta = [0.0f32; LANES];
        let mut violation = 0.0f32;
        for lane in 0..LANES {
            let y = if self.is == Some(lane) { 1.0 } else { -1.0 };
            let a = alpha[lane];
            let gradient = y * margins[lane] - 1.0 + slack * a;
            let projected = if a > 0.0 { gradient } else { gradient.min(0.0) };
            violation = violation.max(projected.abs());
            // Steps below a tenth of the tolerance change nothing that is looked at.
            if projected.abs() > 0.1 * tolerance {
                alpha[lane] = (a - gradient / curvature).max(0.0);
                delta[lane] = (alpha[lane] - a) * y;
            }
        }
        (delta, violation)
    }
}

fn margins(row: &SparseRow, w: &[Lane], bias: &Lane) -> Lane {
    let mut sums = *bias;
    for (column, value) in row {
        for (sum, w) in sums.iter_mut().zip(&w[*column as usize]) {
            *sum += value * w;
        }
    }
    sums
}

#[expect(clippy::cast_possible_truncation, reason = "dual variables are f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXACT: SvmParams = SvmParams { cost: 0.5, tolerance: 1e-6, max_passes: 2000, seed: 1 };

    #[test]
    fn two_points_have_the_machine_of_the_closed_form() {
        // x = ±1 with labels 0 and 1: b = 0 by symmetry, and w minimizes ½w² + 2C(1 − w)², so
        // w = 4C / (1 + 4C); C = ½ gives 2/3.
        let rows = vec![vec![(0, 1.0)], vec![(0, -1.0)]];
        let machines = solve(&rows, &[0, 1], &[1.0, 1.0], (1, 2), &EXACT);
        for (w, expected) in machines.weights.iter().zip([2.0 / 3.0, -2.0 / 3.0]) {
            assert!((w - expected).abs() < 1e-5, "{machines:?}");
        }
        assert!(machines.bias.iter().all(|b| b.abs() < 1e-5));
    }

    #[test]
    fn a_weight_is_as_many_copies_of_the_row() {
        let x = [vec![(0, 1.0), (1, 0.5)], vec![(0, -0.3), (1, 1.0)], vec![(1, -0.2)]];
        let once = solve(&x, &[0, 1, 0], &[1.0, 3.0, 1.0], (2, 2), &EXACT);
        let copies = [x[0].clone(), x[1].clone(), x[1].clone(), x[1].clone(), x[2].clone()];
        let often = solve(&copies, &[0, 1, 1, 1, 0], &[1.0; 5], (2, 2), &EXACT);
        for (a, b) in once.weights.iter().zip(&often.weights) {
            assert!((a - b).abs() < 1e-4, "{once:?} {often:?}");
        }
    }

    #[test]
    fn more_labels_than_lanes_are_solved_the_same() {
        let rows: Vec<SparseRow> = (0..20).map(|i| vec![(i, 1.0), (20, 0.1)]).collect();
        let labels: Vec<usize> = (0..20).collect();
        let machines = solve(&rows, &labels, &[1.0; 20], (21, 20), &EXACT);
        for (i, row) in machines.weights.chunks_exact(20).take(20).enumerate() {
            let best = (0..20).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
            assert_eq!(best, i);
        }
    }
}
