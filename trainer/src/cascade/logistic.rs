//! Logistic regression with a ridge towards another one, for labels in `[0, 1]`, by Newton's
//! method.

use linfa_linalg::cholesky::SolveCInplace;
use ndarray::{Array1, Array2, Axis};
use router_core::cascade::{Head, N_SIGNALS};

/// Newton steps; the loss is convex and close to quadratic.
const STEPS: usize = 12;

/// Longest step of the bias or a weight.
const MAX_STEP: f64 = 4.0;

/// Fits a head, pulled by `penalty` towards `prior`.
///
/// # Shapes
///
/// One label per row.
pub(super) fn fit(
    rows: &[[f64; N_SIGNALS]],
    labels: &[f64],
    (prior, penalty): (&Head, f64),
) -> Head {
    let mut head = prior.clone();
    for _ in 0..STEPS {
        let d = N_SIGNALS + 1;
        let mut hessian = Array2::<f64>::zeros((d, d));
        let mut gradient = Array1::<f64>::zeros(d);
        for (row, label) in rows.iter().zip(labels) {
            let p = head.apply(row);
            let (weight, residual) = (p * (1.0 - p), label - p);
            for i in 0..d {
                let x = row.get(i).copied().unwrap_or(1.0);
                gradient[i] += residual * x;
                for j in 0..=i {
                    hessian[[i, j]] += weight * x * row.get(j).copied().unwrap_or(1.0);
                }
            }
        }
        for i in 0..d {
            for j in 0..i {
                hessian[[j, i]] = hessian[[i, j]];
            }
            hessian[[i, i]] += penalty;
        }
        for (i, (weight, prior)) in head.weights.iter().zip(&prior.weights).enumerate() {
            gradient[i] -= penalty * (weight - prior);
        }
        gradient[N_SIGNALS] -= penalty * (head.bias - prior.bias);
        let Ok(step) = hessian.solvec_into(gradient.insert_axis(Axis(1))) else { return head };
        for (weight, step) in head.weights.iter_mut().zip(step.iter()) {
            *weight += step.clamp(-MAX_STEP, MAX_STEP);
        }
        head.bias += step[[N_SIGNALS, 0]].clamp(-MAX_STEP, MAX_STEP);
    }
    head
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64;

    use super::*;

    fn half() -> Head {
        Head { bias: 0.0, weights: vec![0.0; N_SIGNALS] }
    }

    #[test]
    fn it_finds_the_weights_that_made_the_labels() {
        let mut rng = Pcg64::seed_from_u64(3);
        let truth = Head { bias: -0.5, weights: (0..16).map(|i| f64::from(i % 3) - 1.0).collect() };
        let rows: Vec<[f64; N_SIGNALS]> =
            (0..20_000).map(|_| std::array::from_fn(|_| rng.random_range(-1.0..1.0))).collect();
        let labels: Vec<f64> =
            rows.iter().map(|row| f64::from(u8::from(rng.random_bool(truth.apply(row))))).collect();
        let found = fit(&rows, &labels, (&half(), 1.0));
        assert!((found.bias - truth.bias).abs() < 0.06, "{}", found.bias);
        for (found, truth) in found.weights.iter().zip(&truth.weights) {
            assert!((found - truth).abs() < 0.12, "{found} {truth}");
        }
    }

    #[test]
    fn soft_labels_without_signals_give_their_mean() {
        let head = fit(&[[0.0; N_SIGNALS]; 4], &[0.1, 0.2, 0.3, 0.6], (&half(), 1e-9));
        assert!((head.apply(&[0.0; N_SIGNALS]) - 0.3).abs() < 1e-6);
        let prior = Head { bias: 1.0, ..half() };
        assert_eq!(fit(&[], &[], (&prior, 1.0)), prior);
        let pulled = fit(&[[0.0; N_SIGNALS]; 4], &[0.0; 4], (&prior, 1e6));
        assert!((pulled.bias - prior.bias).abs() < 1e-4);
    }
}
