//! How sure the fitted heads are of each model's expected quality.
//!
//! On held-out rows a model's scores are off by its mean residual, up to the standard error of that
//! mean: so well is its level known, which decides where models differ in how many answers they were
//! learned from. What unfamiliar requests add is how far models differ between tasks.

use router_core::Uncertainty;
use router_core::uncertainty::Novelty;

use crate::design::Vectorizer;
use crate::heads::{Heads, mean};
use crate::operating::Held;
use crate::problem::Problem;

/// Share of the rows of a fit that are less familiar than the threshold.
const UNFAMILIAR: f64 = 0.05;

/// The standard deviation of each model's expected quality.
///
/// `held` are rows that their fit did not see, without margins; `seen` are those of the fit.
pub fn fit(
    problem: &Problem,
    heads: &Heads,
    seen: &[usize],
    held: &[Held],
    reference: usize,
) -> Uncertainty {
    let between = between_tasks(&heads.task_deviations, problem.n_models(), reference);
    let novelty = between.map(|sd| Novelty {
        unknown_share: threshold(problem, &heads.vectorizer, seen),
        sd,
        reference,
    });
    let levels = (0..problem.n_models()).map(|model| level_sd(problem, held, model));
    Uncertainty { quality_sd: levels.collect(), novelty }
}

/// The standard error of the mean residual of a model; that of a fair coin's one answer without any.
fn level_sd(problem: &Problem, held: &[Held], model: usize) -> f64 {
    let residuals = || {
        held.iter().filter_map(|held| {
            Some(f64::from(problem.cell(held.row, model).quality?) - held.score[model])
        })
    };
    match residuals().count() {
        0 => 0.5,
        n => (mean(residuals().map(|residual| residual * residual)) / n as f64).sqrt(),
    }
}

/// The standard deviation between tasks of how models compare with the reference, `[n_tasks *
/// n_models]` mean deviations given; `None` without tasks.
fn between_tasks(deviations: &[f64], n_models: usize, reference: usize) -> Option<f64> {
    let tasks = || deviations.chunks_exact(n_models.max(1));
    if tasks().len() < 2 {
        return None;
    }
    let others = (0..n_models).filter(|model| *model != reference);
    let variances = others.map(|model| {
        let uplift = |task: &[f64]| task[model] - task[reference];
        let center = mean(tasks().map(uplift));
        mean(tasks().map(|task| (uplift(task) - center).powi(2)))
    });
    Some(mean(variances).sqrt())
}

/// The share of unknown n-grams that few rows of the fit exceed, each seen as if it were not in it.
fn threshold(problem: &Problem, vectorizer: &Vectorizer, seen: &[usize]) -> f64 {
    let n = seen.len() as f64;
    let requests = |idf: &f32| ((1.0 + n) / (f64::from(*idf) - 1.0).exp() - 1.0).round();
    let counts: Vec<f64> = vectorizer.idf.iter().map(requests).collect();
    let least = f64::from(vectorizer.params.min_df) + 1.0;
    let unknown = |row: &usize| {
        let grams = &problem.raw[*row].grams;
        let is_unknown = |bucket: &u32| {
            let found = vectorizer.buckets.binary_search(bucket);
            found.map_or(true, |at| counts[at] < least)
        };
        let unknown = grams.iter().filter(|(bucket, _)| is_unknown(bucket));
        let unknown: f64 = unknown.map(|(_, count)| f64::from(*count)).sum();
        unknown / grams.iter().map(|(_, count)| f64::from(*count)).sum::<f64>().max(1.0)
    };
    let mut shares: Vec<f64> = seen.iter().map(unknown).collect();
    shares.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let at = ((1.0 - UNFAMILIAR) * n) as usize;
    shares.get(at.min(shares.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use router_core::features::{N_SURFACE, RawFeatures};

    use super::*;
    use crate::design::VectorizerParams;
    use crate::problem::Cell;

    #[test]
    fn a_level_is_known_up_to_its_standard_error() {
        let cell = |quality| Cell { quality, ..Cell::default() };
        let problem = Problem {
            models: ["a", "b"].map(|id| router_core::ModelId::new(id).unwrap()).to_vec(),
            cells: (0..100u8)
                .flat_map(|i| [cell(Some(f32::from(i % 2))), cell((i < 4).then_some(1.0))])
                .collect(),
            ..Problem::default()
        };
        let held = |row| Held { row, score: vec![0.5, 0.8], cost: vec![None; 2] };
        let held: Vec<Held> = (0..100).map(held).collect();
        // Residuals of ±1/2 on 100 rows, and of 0.2 on 4.
        assert!((level_sd(&problem, &held, 0) - 0.05).abs() < 1e-9);
        assert!((level_sd(&problem, &held, 1) - 0.1).abs() < 1e-6);
        assert!((level_sd(&problem, &held[50..], 1) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn between_tasks_uplift_varies() {
        // Model 1 beats the reference by 0.3 in one task and loses by 0.1 in the other.
        let sd = between_tasks(&[0.0, 0.3, 0.1, 0.0], 2, 0).unwrap();
        assert!((sd - 0.2).abs() < 1e-12, "{sd}");
        assert_eq!(between_tasks(&[0.0, 0.3], 2, 0), None);
    }

    #[test]
    fn the_threshold_is_where_few_rows_of_the_fit_are() {
        // 99 requests of n-grams 1 and 2, and one that shares nothing with them.
        let row = |grams: Vec<(u32, u32)>| RawFeatures { grams, surface: [0.0; N_SURFACE] };
        let mut raw = vec![row(vec![(1, 1), (2, 3)]); 99];
        raw.push(row(vec![(1, 1), (9, 1)]));
        let problem = Problem { raw, ..Problem::default() };
        let seen: Vec<usize> = (0..100).collect();
        let params = VectorizerParams {
            min_df: 2,
            block_scales: [1.0; 3],
            surface_scale: 0.1,
            tool_scale: 0.3,
        };
        let of = |rows: &[usize]| {
            let raw: Vec<&RawFeatures> = rows.iter().map(|row| &problem.raw[*row]).collect();
            threshold(&problem, &Vectorizer::fit(params, &raw), rows)
        };
        assert!(of(&seen).abs() < 1e-12);
        // Of three requests none is known to two others; alone, everything is unknown.
        assert!((of(&[0, 1]) - 1.0).abs() < 1e-12);
        assert!((of(&[0, 1, 2, 99]) - 0.5).abs() < 1e-12);
    }
}
