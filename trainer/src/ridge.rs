//! Ridge regression of many targets at once, for several penalties in one pass.
//!
//! Each target `k` solves `(Xᵀ D_k X + λ I) w = Xᵀ D_k y`, where the diagonal `D_k` weights the
//! rows (0 where the target is unknown). Conjugate gradients on the normal equations touch `X`
//! twice per iteration for all targets; the shifted systems share the Krylov space of the
//! smallest penalty and cost no further product.
//!
//! # References
//!
//! Jegerlehner (1996), *Krylov space solvers for shifted linear systems*, the CG-M algorithm.

use rayon::prelude::*;

use crate::design::Design;

/// Targets of one fit.
///
/// # Shapes
///
/// `n` rows, `k` targets, row-major.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Number of targets.
    pub k: usize,
    /// `[n * k]`: values; 0 where the weight is 0.
    pub values: Vec<f32>,
    /// `[n * k]`: row weights, not negative.
    pub weights: Vec<f32>,
}

/// How to solve.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `penalties` | `[4, 16, 64, 256]` | L2 penalties, increasing | `(0, ∞)` |
/// | `n_iterations` | `12` | conjugate-gradient steps | `[1, ∞)` |
#[derive(Clone, Debug, PartialEq)]
pub struct RidgeParams {
    /// L2 penalties, increasing.
    pub penalties: Vec<f64>,
    /// Conjugate-gradient steps.
    pub n_iterations: usize,
}

/// The scalars of one target's recurrence, in the notation of the reference.
#[derive(Clone, Copy, Debug)]
struct Recurrence {
    alpha: f64,
    beta: f64,
}

/// The state of one shifted system.
struct Shifted {
    delta: f64,
    /// `[d * k]`: solution.
    x: Vec<f32>,
    /// `[d * k]`: direction.
    p: Vec<f32>,
    /// `[k]`: ζ of this and of the previous step.
    zeta: Vec<f64>,
    zeta_before: Vec<f64>,
}

/// Solves for every penalty.
///
/// # Shapes
///
/// The result has one `[n_columns * k]` matrix per penalty.
pub fn solve(design: &Design, targets: &Targets, params: &RidgeParams) -> Vec<Vec<f32>> {
    let k = targets.k;
    let base = params.penalties.first().copied().unwrap_or(1.0);
    let weighted: Vec<f32> =
        targets.values.par_iter().zip(&targets.weights).map(|(y, w)| y * w).collect();
    let mut r = design.by_column.times(&weighted, k);
    let mut p = r.clone();
    let mut systems: Vec<Shifted> =
        params.penalties.iter().map(|l| Shifted::new(l - base, &r, k)).collect();
    let mut norms = dots(&r, &r, k);
    let mut before = vec![Recurrence { alpha: 1.0, beta: 0.0 }; k];
    for _ in 0..params.n_iterations {
        let q = apply(design, &targets.weights, &p, k, base);
        let curvature = dots(&p, &q, k);
        let alpha: Vec<f64> =
            norms.iter().zip(&curvature).map(|(n, c)| safe_ratio(*n, *c)).collect();
        let minus: Vec<f64> = alpha.iter().map(|a| -a).collect();
        axpy(&mut r, &minus, &q);
        let next = dots(&r, &r, k);
        let beta: Vec<f64> = next.iter().zip(&norms).map(|(a, b)| safe_ratio(*a, *b)).collect();
        let now: Vec<Recurrence> =
            alpha.iter().zip(&beta).map(|(&alpha, &beta)| Recurrence { alpha, beta }).collect();
        systems.par_iter_mut().for_each(|system| system.step(&now, &before, &r));
        scale_add(&mut p, &beta, &vec![1.0; k], &r);
        norms = next;
        before = now;
    }
    systems.into_iter().map(|system| system.x).collect()
}

impl Shifted {
    fn new(delta: f64, r: &[f32], k: usize) -> Self {
        Self {
            delta,
            x: vec![0.0; r.len()],
            p: r.to_vec(),
            zeta: vec![1.0; k],
            zeta_before: vec![1.0; k],
        }
    }

    /// One step of every target; `r` is the residual of the base system after the step.
    fn step(&mut self, now: &[Recurrence], before: &[Recurrence], r: &[f32]) {
        let k = now.len();
        let (mut alphas, mut betas, mut next) = (vec![0.0; k], vec![0.0; k], vec![0.0; k]);
        for target in 0..k {
            let (zeta, zeta_before) = (self.zeta[target], self.zeta_before[target]);
            let (alpha, alpha_before) = (now[target].alpha, before[target].alpha);
            let denominator = alpha * before[target].beta * (zeta_before - zeta)
                + zeta_before * alpha_before * (1.0 + self.delta * alpha);
            next[target] = safe_ratio(zeta * zeta_before * alpha_before, denominator);
            let ratio = safe_ratio(next[target], zeta);
            alphas[target] = alpha * ratio;
            betas[target] = now[target].beta * ratio * ratio;
        }
        axpy(&mut self.x, &alphas, &self.p);
        scale_add(&mut self.p, &betas, &next, r);
        self.zeta_before = std::mem::replace(&mut self.zeta, next);
    }
}

/// 0 where a target has nothing left to solve.
fn safe_ratio(numerator: f64, denominator: f64) -> f64 {
    let ratio = numerator / denominator;
    if ratio.is_finite() { ratio } else { 0.0 }
}

/// `(Xᵀ D X + λ) p`.
fn apply(design: &Design, weights: &[f32], p: &[f32], k: usize, penalty: f64) -> Vec<f32> {
    let mut rows = design.by_row.times(p, k);
    rows.par_iter_mut().zip(weights).with_min_len(4096).for_each(|(row, weight)| *row *= weight);
    let mut q = design.by_column.times(&rows, k);
    axpy(&mut q, &vec![penalty; k], p);
    q
}

/// Rows that are summed in one go; fixed, so that sums do not depend on the number of threads.
const CHUNK_ROWS: usize = 2048;

/// The dot products of the columns of two `[d * k]` matrices.
fn dots(a: &[f32], b: &[f32], k: usize) -> Vec<f64> {
    let chunk = CHUNK_ROWS * k;
    let partial: Vec<Vec<f64>> = a
        .par_chunks(chunk)
        .zip(b.par_chunks(chunk))
        .map(|(a, b)| {
            let mut sums = vec![0.0f64; k];
            for (a, b) in a.chunks_exact(k).zip(b.chunks_exact(k)) {
                for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                    *sum += f64::from(a * b);
                }
            }
            sums
        })
        .collect();
    let mut sums = vec![0.0; k];
    for part in partial {
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum += part;
        }
    }
    sums
}

/// `y += a ∘ x`, with one factor per column.
fn axpy(y: &mut [f32], a: &[f64], x: &[f32]) {
    let k = a.len();
    let a = narrow(a);
    y.par_chunks_mut(CHUNK_ROWS * k).zip(x.par_chunks(CHUNK_ROWS * k)).for_each(|(y, x)| {
        for (y, x) in y.chunks_exact_mut(k).zip(x.chunks_exact(k)) {
            for ((y, x), a) in y.iter_mut().zip(x).zip(&a) {
                *y += a * x;
            }
        }
    });
}

/// `y = a ∘ y + b ∘ x`, with factors per column.
fn scale_add(y: &mut [f32], a: &[f64], b: &[f64], x: &[f32]) {
    let k = a.len();
    let (a, b) = (narrow(a), narrow(b));
    y.par_chunks_mut(CHUNK_ROWS * k).zip(x.par_chunks(CHUNK_ROWS * k)).for_each(|(y, x)| {
        for (y, x) in y.chunks_exact_mut(k).zip(x.chunks_exact(k)) {
            for (((y, x), a), b) in y.iter_mut().zip(x).zip(&a).zip(&b) {
                *y = a * *y + b * x;
            }
        }
    });
}

#[expect(clippy::cast_possible_truncation, reason = "the vectors they multiply are f32")]
fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|value| *value as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::Sparse;

    fn design() -> Design {
        let rows = vec![vec![(0, 1.0)], vec![(0, 1.0), (1, 2.0)], vec![(1, 1.0)], vec![(0, 2.0)]];
        let by_row = Sparse::from_rows(&rows);
        Design { by_column: by_row.transpose(2), by_row }
    }

    #[test]
    fn it_solves_the_normal_equations_for_every_penalty_and_mask() {
        // Target 0 knows all rows: XᵀX = [[6, 2], [2, 5]], Xᵀy = [9, 7].
        // Target 1 lacks the last row: XᵀX = [[2, 2], [2, 5]], Xᵀy = [3, 7].
        let targets = Targets {
            k: 2,
            values: vec![1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 0.0],
            weights: vec![1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
        };
        let params = RidgeParams { penalties: vec![0.5, 1.0, 10.0], n_iterations: 4 };
        let solutions = solve(&design(), &targets, &params);
        for (penalty, solution) in params.penalties.iter().zip(&solutions) {
            for (target, (a, b)) in [((6.0, 2.0, 5.0), (9.0, 7.0)), ((2.0, 2.0, 5.0), (3.0, 7.0))]
                .into_iter()
                .enumerate()
            {
                let (a00, a01, a11) = (a.0 + penalty, a.1, a.2 + penalty);
                let det = a00 * a11 - a01 * a01;
                let expected = [(b.0 * a11 - b.1 * a01) / det, (b.1 * a00 - b.0 * a01) / det];
                for (column, expected) in expected.into_iter().enumerate() {
                    let got = f64::from(solution[column * 2 + target]);
                    assert!((got - expected).abs() < 1e-5, "{penalty} {target}: {got} {expected}");
                }
            }
        }
    }

    #[test]
    fn a_row_of_weight_w_counts_as_w_rows() {
        // Weights 1/2, 2, 1, 0: XᵀDX = [[2.5, 4], [4, 9]], XᵀDy = [4.5, 11].
        let values = vec![1.0, 2.0, 3.0, 5.0];
        let targets = Targets { k: 1, values, weights: vec![0.5, 2.0, 1.0, 0.0] };
        let params = RidgeParams { penalties: vec![0.5, 2.0], n_iterations: 4 };
        for (penalty, solution) in params.penalties.iter().zip(solve(&design(), &targets, &params))
        {
            let (a00, a01, a11) = (2.5 + penalty, 4.0, 9.0 + penalty);
            let det = a00 * a11 - a01 * a01;
            let expected = [(4.5 * a11 - a01 * 11.0) / det, (a00 * 11.0 - a01 * 4.5) / det];
            for (got, expected) in solution.iter().zip(expected) {
                assert!((f64::from(*got) - expected).abs() < 1e-5, "{penalty}: {got} {expected}");
            }
        }
    }

    #[test]
    fn a_target_without_rows_has_no_weights() {
        let targets = Targets { k: 1, values: vec![0.0; 4], weights: vec![0.0; 4] };
        let params = RidgeParams { penalties: vec![1.0, 2.0], n_iterations: 3 };
        assert!(solve(&design(), &targets, &params).iter().flatten().all(|w| w.to_bits() == 0));
    }
}
