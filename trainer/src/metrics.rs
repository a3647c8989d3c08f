//! What held-out rows say of a router, for its provenance and `metrics.json`.

use std::collections::BTreeMap;

use router_core::Calibration;

use crate::heads::mean;
use crate::operating::{Held, Reference};
use crate::problem::Problem;

/// Bins of the expected calibration error.
const ECE_BINS: usize = 15;

/// Calibration and separation of predicted qualities on held-out rows.
///
/// `ece` and `brier` are means over models; `uplift_correlation` is the correlation of predicted
/// and real differences to the reference model. The fits did not see these rows, but the maps were
/// fitted on them, so both flatter a little; a benchmark of fold routers does not.
pub fn held_out(
    problem: &Problem,
    held: &[Held],
    calibrations: &[Calibration],
    reference: Reference,
) -> BTreeMap<String, f64> {
    let mut eces = Vec::new();
    let mut briers = Vec::new();
    for (model, calibration) in calibrations.iter().enumerate() {
        let pairs: Vec<(f64, f64)> = held
            .iter()
            .filter_map(|held| {
                let quality = f64::from(problem.cell(held.row, model).quality?);
                Some((calibration.apply(held.score[model]), quality))
            })
            .collect();
        eces.extend(ece(pairs.clone()));
        briers.push(mean(pairs.iter().map(|(p, q)| (p - q) * (p - q))));
    }
    let mut metrics = BTreeMap::from([
        ("ece".to_owned(), mean(eces.into_iter())),
        ("brier".to_owned(), mean(briers.into_iter())),
    ]);
    if let Some(correlation) = uplift_correlation(problem, held, reference) {
        metrics.insert("uplift_correlation".to_owned(), correlation);
    }
    metrics
}

/// Base rate, Brier score and calibration error of the complexity classifier.
pub fn complexity(pairs: &[(f64, f64)], map: &Calibration) -> BTreeMap<String, f64> {
    let calibrated: Vec<(f64, f64)> = pairs.iter().map(|(x, y)| (map.apply(*x), *y)).collect();
    let Some(ece) = ece(calibrated.clone()) else { return BTreeMap::new() };
    BTreeMap::from([
        ("complexity_base_rate".to_owned(), mean(pairs.iter().map(|(_, y)| *y))),
        ("complexity_brier".to_owned(), mean(calibrated.iter().map(|(p, y)| (p - y) * (p - y)))),
        ("complexity_ece".to_owned(), ece),
    ])
}

/// Expected calibration error over 15 bins whose sizes differ by at most one, larger first; `None`
/// of nothing.
///
/// Equal predictions stay in the order they came in: ordered by what happened, they would fall into
/// a bin of failures and one of successes, and look miscalibrated.
pub fn ece(mut pairs: Vec<(f64, f64)>) -> Option<f64> {
    if pairs.is_empty() {
        return None;
    }
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n = pairs.len();
    let edge = |bin: usize| bin * (n / ECE_BINS) + bin.min(n % ECE_BINS);
    let bins = (0..ECE_BINS).map(|bin| &pairs[edge(bin)..edge(bin + 1)]);
    let gap = |bin: &[(f64, f64)]| {
        let gap = mean(bin.iter().map(|p| p.0)) - mean(bin.iter().map(|p| p.1));
        bin.len() as f64 / n as f64 * gap.abs()
    };
    Some(bins.map(gap).sum())
}

fn uplift_correlation(problem: &Problem, held: &[Held], reference: Reference) -> Option<f64> {
    let mut pairs = Vec::new();
    for held in held {
        let Some(base) = problem.cell(held.row, reference.model).quality else { continue };
        for (model, score) in held.score.iter().enumerate().filter(|(m, _)| *m != reference.model) {
            if let Some(quality) = problem.cell(held.row, model).quality {
                pairs.push((score - held.score[reference.model], f64::from(quality - base)));
            }
        }
    }
    let (mx, my) = (mean(pairs.iter().map(|p| p.0)), mean(pairs.iter().map(|p| p.1)));
    let sum =
        |f: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|(x, y)| f(x - mx, y - my)).sum::<f64>();
    let correlation = sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    correlation.is_finite().then_some(correlation)
}

/// The standard error of the mean of some values, whose sums over a group are independent; that of
/// independent values where each has a group of its own.
///
/// # Shapes
///
/// `values` and `groups`: `[n]`
pub fn clustered_error(values: &[f64], groups: &[u32]) -> f64 {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let mut sums: BTreeMap<u32, f64> = BTreeMap::new();
    for (value, group) in values.iter().zip(groups) {
        *sums.entry(*group).or_default() += value - mean;
    }
    let g = sums.len() as f64;
    let squares: f64 = sums.values().map(|sum| sum * sum).sum();
    (squares * g / (g - 1.0).max(1.0)).sqrt() / n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_predictions_that_are_right_on_average_are_calibrated() {
        // 15 bins of 20 rows, each with 10 successes.
        let pairs = (0..300).map(|i| (0.5, f64::from(i % 2))).collect();
        assert!(ece(pairs).unwrap() < 1e-12);
        assert_eq!(ece(Vec::new()), None);
    }

    #[test]
    fn the_larger_bins_come_first() {
        // 16 rows: a bin of two, which is off by 1/2, and 14 that are exact.
        let mut pairs = vec![(0.0, 0.0), (0.0, 1.0)];
        pairs.extend((2..16).map(|i| (f64::from(i) / 16.0, f64::from(i) / 16.0)));
        assert!((ece(pairs).unwrap() - 2.0 / 16.0 * 0.5).abs() < 1e-12);
    }
}
