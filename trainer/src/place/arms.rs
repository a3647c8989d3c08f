//! The weights of a router with new arms, each a weighted sum of the known ones.

use router_core::Calibration;
use router_core::features::N_SURFACE;
use router_core::predictor::neighbors::NeighborParts;
use router_core::predictor::{BagParts, Constant, CostHead, LinearParts};

/// An arm of the enlarged router.
#[derive(Clone, Debug, PartialEq)]
pub enum Arm {
    /// Arm number so and so of the router before.
    Known(usize),
    /// A new one.
    New(Box<NewArm>),
}

/// A new arm.
#[derive(Clone, Debug, PartialEq)]
pub struct NewArm {
    /// `[n_known]`: what the score of each known arm counts.
    pub score: Vec<f64>,
    /// What is added to that.
    pub score_intercept: f64,
    /// Standard deviation of the score, on average over the labelled prompts.
    pub sd: f64,
    /// `[n_known]`: what the logarithm of each known cost counts, and what is added; `None` where
    /// its cost is unknown.
    pub cost: Option<(Vec<f64>, f64)>,
    /// Mean milliseconds until the last byte.
    pub latency_ms: Option<f64>,
}

/// Linear heads with new arms.
pub fn linear(parts: &LinearParts, arms: &[Arm]) -> LinearParts {
    let map = |values: &[f32], width: usize| rows(values, width, parts.n_arms, arms);
    let width = parts.width();
    let enlarged = LinearParts {
        n_arms: arms.len(),
        task_effects: map(&parts.task_effects, parts.n_arms),
        weights: map(&parts.weights, width),
        rounding: None,
        surface_weights: map(&parts.surface_weights, width),
        bias: with_intercepts(map(&parts.bias, width), arms, |new| new.score_intercept),
        calibrations: calibrations(&parts.calibrations, arms),
        costs: costs(&parts.costs, arms),
        latency_ms: each(&parts.latency_ms, arms, |new| new.latency_ms),
        bag: parts.bag.as_ref().map(|bag| BagParts {
            weights: map(&bag.weights, width),
            bias: map(&bag.bias, width),
            cost_weights: log_costs(&bag.cost_weights, parts.n_arms, arms),
            cost_bias: log_costs(&bag.cost_bias, parts.n_arms, arms),
            ..bag.clone()
        }),
        neighbors: parts.neighbors.as_ref().map(|near| neighbors(near, parts.n_arms, arms)),
        ..parts.clone()
    };
    let Some(rounding) = &parts.rounding else { return enlarged };
    let of_arms = arms.iter().map(|arm| match arm {
        Arm::Known(at) => Some(rounding.columns[*at]),
        Arm::New(_) => None,
    });
    let others = rounding.columns[parts.n_arms..].iter().copied().map(Some);
    enlarged.rounded_with(&rounding.rows, &of_arms.chain(others).collect::<Vec<_>>())
}

/// What known requests say of new arms, in bytes of a scale of their own.
fn neighbors(near: &NeighborParts, n_known: usize, arms: &[Arm]) -> NeighborParts {
    let points = near.adds.chunks_exact(n_known.max(1));
    let known = |row: &[i8]| -> Vec<f32> {
        row.iter().zip(&near.scales).map(|(add, scale)| f32::from(*add) * scale).collect()
    };
    let of = |arm: &Arm| -> (Vec<i8>, f32) {
        match arm {
            Arm::Known(at) => (points.clone().map(|row| row[*at]).collect(), near.scales[*at]),
            Arm::New(new) => {
                let adds: Vec<f32> =
                    points.clone().map(|row| combine(&new.score, &known(row))).collect();
                let largest = adds.iter().fold(0.0f32, |largest, add| largest.max(add.abs()));
                let scale = largest / 127.0;
                (adds.iter().map(|add| byte(add / scale)).collect(), scale)
            }
        }
    };
    let (columns, scales): (Vec<Vec<i8>>, Vec<f32>) = arms.iter().map(of).unzip();
    let adds = (0..points.len()).flat_map(|row| columns.iter().map(move |column| column[row]));
    NeighborParts { adds: adds.collect(), scales, ..near.clone() }
}

/// To the nearest byte; 0 for what is no number, as where all is 0.
#[expect(clippy::cast_possible_truncation, reason = "in the range of a byte")]
fn byte(value: f32) -> i8 {
    if value.is_nan() { 0 } else { value.round().clamp(-127.0, 127.0) as i8 }
}

/// Means with new arms.
pub fn constant(means: &Constant, arms: &[Arm]) -> Constant {
    let sum = |weights: &[f64], of: &dyn Fn(usize) -> f64| -> f64 {
        weights.iter().enumerate().map(|(arm, weight)| weight * of(arm)).sum()
    };
    let quality = |new: &NewArm| {
        (new.score_intercept + sum(&new.score, &|arm| means.quality[arm])).clamp(0.0, 1.0)
    };
    let log = |arm: usize| means.cost[arm].map_or(0.0, |cost| cost.max(f64::MIN_POSITIVE).ln());
    let cost = |new: &NewArm| {
        new.cost.as_ref().map(|(weights, intercept)| (intercept + sum(weights, &log)).exp())
    };
    Constant {
        quality: each(&means.quality, arms, quality),
        cost: each(&means.cost, arms, cost),
        latency_ms: each(&means.latency_ms, arms, |new| new.latency_ms),
    }
}

fn each<T: Clone>(known: &[T], arms: &[Arm], new: impl Fn(&NewArm) -> T) -> Vec<T> {
    let of = |arm: &Arm| match arm {
        Arm::Known(at) => known[*at].clone(),
        Arm::New(arm) => new(arm),
    };
    arms.iter().map(of).collect()
}

/// Rows whose first `n_known` columns are arms.
fn rows(values: &[f32], width: usize, n_known: usize, arms: &[Arm]) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len() / width.max(1) * (width + arms.len()));
    for row in values.chunks_exact(width.max(1)) {
        out.extend(arms.iter().map(|arm| match arm {
            Arm::Known(at) => row[*at],
            Arm::New(new) => combine(&new.score, &row[..n_known]),
        }));
        out.extend(&row[n_known..]);
    }
    out
}

/// Rows of what is added to the logarithm of each arm's cost.
fn log_costs(values: &[f32], n_known: usize, arms: &[Arm]) -> Vec<f32> {
    let of = |row: &[f32], arm: &Arm| match arm {
        Arm::Known(at) => row[*at],
        Arm::New(new) => new.cost.as_ref().map_or(0.0, |(weights, _)| combine(weights, row)),
    };
    let rows = values.chunks_exact(n_known.max(1));
    rows.flat_map(|row| arms.iter().map(|arm| of(row, arm)).collect::<Vec<f32>>()).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn combine(weights: &[f64], row: &[f32]) -> f32 {
    weights.iter().zip(row).map(|(weight, x)| weight * f64::from(*x)).sum::<f64>() as f32
}

#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn with_intercepts(mut bias: Vec<f32>, arms: &[Arm], of: impl Fn(&NewArm) -> f64) -> Vec<f32> {
    for (bias, arm) in bias.iter_mut().zip(arms) {
        if let Arm::New(new) = arm {
            *bias = (f64::from(*bias) + of(new)) as f32;
        }
    }
    bias
}

fn costs(known: &[Option<CostHead>], arms: &[Arm]) -> Vec<Option<CostHead>> {
    each(known, arms, |new| {
        let (weights, intercept) = new.cost.as_ref()?;
        let mut head = CostHead { bias: *intercept, weights: vec![0.0; N_SURFACE] };
        for (weight, known) in weights.iter().zip(known) {
            let Some(known) = known else { continue };
            head.bias += weight * known.bias;
            head.weights.iter_mut().zip(&known.weights).for_each(|(sum, w)| *sum += weight * w);
        }
        Some(head)
    })
}

/// Knots of the map of a new arm.
const N_KNOTS: u32 = 21;

/// The map of a new arm corrects a score by what the maps of the known ones do at that score, on
/// average over those that reach it.
fn calibrations(known: &[Calibration], arms: &[Arm]) -> Vec<Calibration> {
    let pooled = pooled(known);
    each(known, arms, |_| pooled.clone())
}

fn pooled(known: &[Calibration]) -> Calibration {
    let maps: Vec<Vec<(f64, f64)>> = known.iter().cloned().map(Vec::from).collect();
    let mut highest = 0.0f64;
    let mut knots = Vec::new();
    for i in 0..N_KNOTS {
        let score = f64::from(i) / f64::from(N_KNOTS - 1);
        let reaches = |map: &[(f64, f64)]| {
            map.first().is_some_and(|first| first.0 <= score)
                && map.last().is_some_and(|last| score <= last.0)
        };
        let there = known.iter().zip(&maps).filter(|(_, knots)| reaches(knots));
        let (sum, n) =
            there.fold((0.0, 0.0), |(sum, n), (map, _)| (sum + map.apply(score) - score, n + 1.0));
        let correction = sum / f64::max(n, 1.0);
        highest = highest.max((score + correction).clamp(0.0, 1.0));
        knots.push((score, highest));
    }
    Calibration::try_from(knots).unwrap_or_else(|_| Calibration::identity())
}

#[cfg(test)]
mod tests {
    use router_core::predictor::Linear;
    use router_core::testing::{random_bag_parts, random_linear_parts};
    use router_core::{Predictor, RequestView, Scratch};

    use super::*;

    fn new_arm() -> NewArm {
        NewArm {
            score: vec![0.5, 0.8, -0.3],
            score_intercept: 0.05,
            sd: 0.1,
            cost: Some((vec![0.2, 0.2, 0.6], 0.7)),
            latency_ms: Some(80.0),
        }
    }

    #[test]
    fn a_new_arm_is_the_weighted_sum_of_the_known_ones_in_every_part() {
        let mut parts = random_linear_parts(3, 2, 5);
        parts.bag = Some(random_bag_parts(&parts, 4, 5));
        parts.latency_ms = vec![Some(10.0), None, Some(30.0)];
        let arms = [Arm::Known(0), Arm::New(Box::new(new_arm())), Arm::Known(1), Arm::Known(2)];
        let enlarged = Linear::new(linear(&parts, &arms)).unwrap();
        let view = RequestView::from_text("Prove that the square root of 2 is irrational.");
        let before = Linear::new(parts).unwrap().predict(&view, &mut Scratch::default());
        let after = enlarged.predict(&view, &mut Scratch::default());
        let expected = 0.05 + 0.5 * before.score[0] + 0.8 * before.score[1] - 0.3 * before.score[2];
        assert!((after.score[1] - expected).abs() < 1e-5, "{} {expected}", after.score[1]);
        let log = |arm: usize| before.cost[arm].unwrap().ln();
        let expected = (0.7 + 0.2 * log(0) + 0.2 * log(1) + 0.6 * log(2)).exp();
        assert!((after.cost[1].unwrap() / expected - 1.0).abs() < 1e-5);
        assert_eq!(after.latency_ms, [Some(10.0), Some(80.0), None, Some(30.0)]);
        for (old, new) in [(0, 0), (1, 2), (2, 3)] {
            assert!((after.score[new] - before.score[old]).abs() < 1e-6);
            assert_eq!(after.cost[new], before.cost[old]);
        }
        assert_eq!((after.task, after.complexity), (before.task, before.complexity));
    }

    #[test]
    fn means_are_combined_alike() {
        let means = Constant {
            quality: vec![0.9, 0.5, 0.5],
            cost: vec![Some(0.01), None, Some(0.01)],
            latency_ms: vec![None; 3],
        };
        let new = NewArm { cost: Some((vec![0.5, 0.0, 0.5], 0.0)), ..new_arm() };
        let all = constant(&means, &[Arm::Known(0), Arm::New(Box::new(new))]);
        assert!((all.quality[1] - (0.05 + 0.45 + 0.4 - 0.15)).abs() < 1e-12);
        assert!((all.cost[1].unwrap() - 0.01).abs() < 1e-12);
    }

    #[test]
    fn the_map_of_a_new_arm_corrects_as_the_known_ones_do() {
        let map = |by: f64| Calibration::try_from(vec![(0.2, 0.2 + by), (0.8, 0.8 + by)]).unwrap();
        let pooled = pooled(&[map(0.1), map(0.0)]);
        assert!((pooled.apply(0.5) - 0.55).abs() < 1e-12);
        // Beyond what any known model reaches nothing is corrected, but it never falls.
        assert!((pooled.apply(0.82) - 0.85).abs() < 1e-12, "{}", pooled.apply(0.82));
        assert!((pooled.apply(1.0) - 1.0).abs() < 1e-12);
    }
}
