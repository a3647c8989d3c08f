use datasets::logging::simulate_log;
use datasets::synthetic::{World, WorldParams};
use datasets::{Dataset, Folds};
use router_core::{ModelId, OutcomeTable};

use super::*;
use crate::config::Config;
use crate::problem::{Cell, Drawn};

/// Two rows of two models: `a` drawn with 0.25 and right, `b` drawn with 0.5 and half right.
fn two_rows() -> Problem {
    let cell = |quality| Cell { quality, ..Cell::default() };
    Problem {
        models: ["a", "b"].map(|id| ModelId::new(id).unwrap()).to_vec(),
        cells: vec![cell(Some(1.0)), cell(None), cell(None), cell(Some(0.5))],
        drawn: vec![Drawn { model: 0, propensity: 0.25 }, Drawn { model: 1, propensity: 0.5 }],
        ..Problem::default()
    }
}

fn assert_near(got: &[Option<f64>], expected: &[f64]) {
    for (got, expected) in got.iter().zip(expected) {
        assert!((got.unwrap() - expected).abs() < 1e-12, "{got:?} {expected}");
    }
}

#[test]
fn pseudo_outcomes_are_those_of_the_formulas() {
    let problem = two_rows();
    // Costs 0 and 0.5: pseudo-costs 0/0.25 and 0.5/0.5, none elsewhere.
    let taught = ips(&problem, &[0, 1]);
    assert_near(&taught.labels, &[1.0, 1.0, 1.0, 0.0]);
    // 0.6 + (1 − 0.6)/0.25 and 0.3 + (0.5 − 0.3)/0.5.
    let taught = doubly_robust(&problem, &[0, 1], &[0.6, 0.3, 0.6, 0.3]);
    assert_near(&taught.labels, &[2.2, 0.3, 0.6, 0.7]);
    assert_near(&taught.means.iter().copied().map(Some).collect::<Vec<_>>(), &[1.4, 0.5]);
    assert!((taught.noise - 3.0).abs() < 1e-12);
    // Shared: ((2.2 − 1.4) + (0.3 − 0.5)) / 2.
    assert!((taught.shared(0).unwrap() - 0.3).abs() < 1e-12);
    assert!((taught.deviation(0, 0).unwrap() - 0.5).abs() < 1e-12);
}

#[test]
fn importance_weights_have_mean_1() {
    let taught = drawn_only(&two_rows(), &[0, 1], true);
    assert_eq!(taught.labels, [Some(1.0), None, None, Some(0.5)]);
    assert!((taught.weights[0] - 4.0 / 3.0).abs() < 1e-12);
    assert!((taught.weights[1] - 2.0 / 3.0).abs() < 1e-12);
}

#[test]
fn a_row_without_a_quality_teaches_nothing() {
    let mut problem = two_rows();
    problem.cells[3].quality = None;
    let taught = doubly_robust(&problem, &[0, 1], &[0.5; 4]);
    assert_eq!(taught.row(1), [None, None]);
    assert_eq!(taught.shared(1), None);
    assert_eq!(drawn_only(&problem, &[0, 1], true).weights, [1.0, 0.0]);
}

/// Means that each mode learns from a log of a logger that prefers one model for short requests.
fn learned_means(table: &OutcomeTable, learn: Learn) -> Vec<f64> {
    let mut lengths: Vec<usize> =
        table.requests.iter().map(|request| request.prompt.chars().count()).collect();
    lengths.sort_unstable();
    let (a, b) = (&table.models[0], &table.models[2]);
    let policy = format!("by-length:0.3:{}:{a}:{b}", lengths[lengths.len() / 2]);
    let log = simulate_log(table, &policy.parse().unwrap(), 11).unwrap();
    let data = Dataset::Log(log);
    let mut problem = Problem::new(&data, Folds::Hash(4)).unwrap();
    problem.learn = learn;
    let params = Config::default().fit_params();
    let rows: Vec<usize> = (0..problem.n_requests()).collect();
    teach(&problem, &rows, params.vectorizer, &params.ridge).means
}

#[test]
fn a_biased_logger_does_not_bias_the_means() {
    let table = World::new(WorldParams { seed: 5, n_models: 3 }).unwrap().table(0..4_000);
    let truth: Vec<f64> = (0..3)
        .map(|model| {
            let quality = |row| Some(table.outcome(row, model)?.quality?.get());
            mean((0..table.requests.len()).filter_map(quality))
        })
        .collect();
    // A model is drawn for 10 % of half of the rows: a standard error of 0.45/√200 at most.
    for (learn, bound) in [(Learn::Dr, 0.05), (Learn::Mtr, 0.05), (Learn::Ips, 0.1)] {
        for (got, truth) in learned_means(&table, learn).iter().zip(&truth) {
            assert!((got - truth).abs() < bound, "{learn:?}: {got} {truth}");
        }
    }
}
