use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use router_core::testing::manifest;

use super::*;

/// `large` is right 9 times of 10 for ten times the price; `small` is right half the time, and its
/// wrong answers are three times as long.
fn rows(n: i32) -> Vec<Played> {
    let mut rng = Pcg64::seed_from_u64(4);
    let outcome = |right: bool, cost: f64| Outcome {
        quality: Quality::try_from(f64::from(u8::from(right))).ok(),
        cost: Usd::from_dollars(cost).ok(),
        ..Outcome::default()
    };
    let mut row = |i: i32| {
        let is_right = rng.random_bool(0.5);
        let prediction = Prediction {
            quality: vec![0.9, 0.5],
            score: vec![0.9, 0.5],
            cost: vec![Some(0.01), Some(0.001)],
            latency_ms: vec![None, None],
            ..Prediction::default()
        };
        let own = if is_right { 0.0005 } else { 0.0015 };
        let outcomes = vec![outcome(rng.random_bool(0.9), 0.01), outcome(is_right, own)];
        Played { prediction, outcomes, fold: i % 5, group: i.to_string() }
    };
    (0..n).map(&mut row).collect()
}

const RECIPE: Recipe = Recipe {
    target: Target::Retention(0.95),
    reference_cost: 0.01,
    reference: 0,
    max_cost: None,
    uncertainty_weight: 0.0,
};

#[test]
fn answers_that_tell_on_themselves_are_found_and_asked_again() {
    let rows = rows(2000);
    let rows: Vec<&Played> = rows.iter().collect();
    let catalog = manifest(&["large", "small"]).catalog;
    let (cascade, point, reached) = fit(&rows, &catalog, RECIPE);
    assert!(reached && cascade.check().is_ok());
    // Half are right at once, the others are asked again: 0.5 + 0.5 · 0.9 of 0.9, for 0.1 + 0.5.
    let (_, retention, cost) = point;
    assert!(retention > 1.0 && (cost - 0.6).abs() < 0.05, "{point:?}");
    let capped = Recipe { max_cost: Some(0.011), ..RECIPE };
    let (_, (_, retention, _), _) = fit(&rows, &catalog, capped);
    // A long answer leaves too little for another one, so that nothing can be repaired.
    assert!(retention < 1.02, "{retention}");
}

#[test]
fn a_target_is_met_at_the_least_cost() {
    let curve = [(0.0, 1.0, 1.0), (0.1, 0.97, 0.5), (0.2, 0.96, 0.4), (0.3, 0.8, 0.1)];
    assert_eq!(choose(&curve, Target::Retention(0.95)), ((0.2, 0.96, 0.4), true));
    assert_eq!(choose(&curve, Target::Retention(1.1)), ((0.0, 1.0, 1.0), false));
    assert_eq!(choose(&curve, Target::CostRatio(0.45)), ((0.2, 0.96, 0.4), true));
    assert_eq!(choose(&curve, Target::Lambda(0.09)), ((0.1, 0.97, 0.5), true));
}

#[test]
fn the_area_is_that_of_the_staircase() {
    assert!((area(&[(0.0, 1.0, 0.5), (0.1, 0.6, 0.1)]) - (0.4 * 0.6 + 0.5)).abs() < 1e-12);
    // What costs more than the reference does not count.
    assert!((area(&[(0.0, 2.0, 1.5), (0.1, 0.6, 0.1)]) - 0.9 * 0.6).abs() < 1e-12);
}
