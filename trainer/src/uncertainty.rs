//! How sure the fitted heads are of each model's expected quality.
//!
//! A fit does better on its own rows than on others, by twice the mean variance of its predictions
//! (the covariance penalty of linear smoothers: the expected difference is `2 σ² df / n`, and
//! `σ² df / n` is that variance). So half of the difference in squared error is the variance.
//!
//! # References
//!
//! Efron (2004), *The estimation of prediction error: covariance penalties and cross-validation*.

use router_core::Uncertainty;

use crate::heads::{Heads, mean};
use crate::operating::Held;
use crate::problem::Problem;
use crate::stack::{HeldOut, Stack};

/// The standard deviation of each model's expected quality.
///
/// `held` are rows that the fit did not see, without margins; `seen` are those of the fit.
pub fn fit(
    problem: &Problem,
    (heads, stack): (&Heads, &Stack),
    seen: &[usize],
    held: &[Held],
) -> Uncertainty {
    let own = HeldOut::new(problem, heads, seen.to_vec());
    let own = stack.scores(&[own], heads.layout);
    let seen = own.iter().map(|(row, score)| (*row, &score[..]));
    let seen = squared_errors(problem, seen);
    let held = squared_errors(problem, held.iter().map(|held| (held.row, &held.score[..])));
    let sd = |(held, seen): (&f64, &f64)| ((held - seen) / 2.0).max(0.0).sqrt();
    Uncertainty { quality_sd: held.iter().zip(&seen).map(sd).collect(), ..Uncertainty::default() }
}

/// `[n_models]`: mean squared error of the scores of some rows; 0 where no quality is known.
fn squared_errors<'a>(
    problem: &Problem,
    rows: impl Iterator<Item = (usize, &'a [f64])> + Clone,
) -> Vec<f64> {
    let of = |model: usize| {
        let errors = rows.clone().filter_map(|(row, score)| {
            let quality = f64::from(problem.cell(row, model).quality?);
            Some((quality - score[model]).powi(2))
        });
        mean(errors)
    };
    (0..problem.n_models()).map(of).collect()
}
