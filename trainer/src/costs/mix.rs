//! How far the embedding bag is trusted with the cost of each model, on held-out rows.
//!
//! The logarithm of a cost is `B + α·s + β·b`, where `s` is what surface features say and `b` what
//! the bag says. `α` and `β` are least squares, none negative; `B` keeps the mean of the costs. A
//! model gets this only where its Poisson deviance, a proper score of the expected dollars, is below
//! that of surface features alone by more than a standard error.

use router_core::predictor::CostHead;
use serde::Serialize;

use crate::heads::mean;
use crate::metrics::clustered_error;
use crate::nonnegative::Moments;
use crate::problem::Problem;
use crate::stack::HeldOut;

/// Held-out rows of known cost below which a model keeps its surface features.
const MIN_ROWS: usize = 100;

/// How the cost of one model is put together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CostMix {
    /// `B`, in `ln` of dollars.
    pub bias: f64,
    /// `α`.
    pub surface: f64,
    /// `β`.
    pub bag: f64,
    /// Share of the held-out deviance of surface features alone that it does without.
    pub explained: f64,
}

/// What is known of one held-out row.
#[derive(Clone, Copy, Debug)]
struct Known {
    cost: f64,
    /// Dollars, by the head of surface features.
    head: f64,
    /// `s`.
    surface: f64,
    /// `b`.
    bag: f64,
    /// Of the request.
    group: u32,
}

impl CostMix {
    /// Expected dollars.
    fn dollars(&self, surface: f64, bag: f64) -> f64 {
        (self.bias + self.surface * surface + self.bag * bag).clamp(-60.0, 20.0).exp()
    }

    /// The head of surface features that a router has with this mix.
    pub fn head(&self, head: &CostHead) -> CostHead {
        let weights = head.weights.iter().map(|weight| self.surface * weight).collect();
        CostHead { bias: self.bias, weights }
    }
}

/// `[n_models]`: how costs are put together; `None` where surface features alone are as good.
pub fn choose(problem: &Problem, held: &[HeldOut]) -> Vec<Option<CostMix>> {
    (0..problem.n_models()).map(|model| choose_one(&known(problem, held, model))).collect()
}

/// Expected dollars of every model for the row at a place: `[n_models]`.
pub fn predict(held: &HeldOut, at: usize, mixes: &[Option<CostMix>]) -> Vec<Option<f64>> {
    let of = |(model, head): (usize, &Option<CostHead>)| {
        let head = head.as_ref()?;
        let surface = linear(head, &held.surface[at]);
        let mixed = mixes.get(model).copied().flatten().zip(held.bag.as_ref());
        Some(match mixed {
            Some((mix, bag)) => mix.dollars(surface, bag.log_cost(at, model)),
            None => (head.bias + surface).clamp(-60.0, 20.0).exp(),
        })
    };
    held.costs.iter().enumerate().map(of).collect()
}

fn linear(head: &CostHead, features: &[f64]) -> f64 {
    head.weights.iter().zip(features).map(|(w, x)| w * x).sum()
}

fn known(problem: &Problem, held: &[HeldOut], model: usize) -> Vec<Known> {
    let of = |held: &HeldOut| -> Vec<Known> {
        let (Some(bag), Some(Some(head))) = (&held.bag, held.costs.get(model)) else {
            return Vec::new();
        };
        let rows = held.rows.iter().enumerate();
        let known = rows.filter_map(|(at, row)| {
            let cost = problem.cell(*row, model).cost?;
            let surface = linear(head, &held.surface[at]);
            let dollars = (head.bias + surface).clamp(-60.0, 20.0).exp();
            let group = problem.group[*row];
            Some(Known { cost, head: dollars, surface, bag: bag.log_cost(at, model), group })
        });
        known.collect()
    };
    held.iter().flat_map(of).collect()
}

fn choose_one(rows: &[Known]) -> Option<CostMix> {
    if rows.len() < MIN_ROWS || rows.iter().any(|row| row.cost <= 0.0) {
        return None;
    }
    let average = |of: &dyn Fn(&Known) -> f64| mean(rows.iter().map(of));
    let middle = [average(&|row| row.surface), average(&|row| row.bag)];
    let log_mean = average(&|row| row.cost.ln());
    let mut moments = Moments::new(2);
    for row in rows {
        let said = [row.surface - middle[0], row.bag - middle[1]];
        moments.add(&said, row.cost.ln() - log_mean);
    }
    let (weights, _) = moments.solve();
    let unbiased = CostMix { bias: 0.0, surface: weights[0], bag: weights[1], explained: 0.0 };
    let predicted = average(&|row| unbiased.dollars(row.surface, row.bag));
    let bias = (average(&|row| row.cost) / predicted).ln();
    let mix = CostMix { bias, ..unbiased };
    let gain = |row: &Known| {
        deviance(row.cost, row.head) - deviance(row.cost, mix.dollars(row.surface, row.bag))
    };
    let gained = average(&gain);
    let gains: Vec<f64> = rows.iter().map(gain).collect();
    let groups: Vec<u32> = rows.iter().map(|row| row.group).collect();
    let error = clustered_error(&gains, &groups);
    let explained = gained / average(&|row| deviance(row.cost, row.head)).max(f64::MIN_POSITIVE);
    let is_better = mix.bag > 0.0 && bias.is_finite() && gained > error;
    is_better.then_some(CostMix { explained, ..mix })
}

/// Half the Poisson deviance: least in expectation where `expected` is the mean of `cost`.
fn deviance(cost: f64, expected: f64) -> f64 {
    cost * (cost / expected).ln() - (cost - expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Costs of `exp(bag)` with a factor of 1/2 or 2 that nobody can know; the head says 1.
    fn rows(n: usize, says: impl Fn(usize) -> f64) -> Vec<Known> {
        let of = |i: usize| {
            let hidden = ((i * 7) % 11) as f64 / 5.0 - 1.0;
            let noise = if i.is_multiple_of(2) { 0.5 } else { 2.0 };
            let group = u32::try_from(i).unwrap();
            Known { cost: hidden.exp() * noise, head: 1.7, surface: 0.0, bag: says(i), group }
        };
        (0..n).map(of).collect()
    }

    #[test]
    fn a_bag_that_knows_costs_is_used_and_keeps_their_mean() {
        let rows = rows(220, |i| 2.0 * (((i * 7) % 11) as f64 / 5.0 - 1.0));
        let mix = choose_one(&rows).unwrap();
        assert!((mix.bag - 0.5).abs() < 0.02 && mix.surface.abs() < 1e-12, "{mix:?}");
        assert!(mix.explained > 0.3 && mix.explained < 1.0, "{mix:?}");
        let predicted = mean(rows.iter().map(|row| mix.dollars(row.surface, row.bag)));
        let paid = mean(rows.iter().map(|row| row.cost));
        assert!((predicted / paid - 1.0).abs() < 1e-9, "{predicted} {paid}");
    }

    #[test]
    fn one_that_knows_nothing_is_not() {
        assert_eq!(choose_one(&rows(220, |i| ((i * 3) % 7) as f64 - 3.0)), None);
        assert_eq!(choose_one(&rows(90, |i| ((i * 7) % 11) as f64 / 5.0 - 1.0)), None, "few rows");
    }

    #[test]
    fn the_deviance_is_least_at_the_mean() {
        let at = |expected: f64| deviance(1.0, expected) + deviance(3.0, expected);
        assert!(at(2.0) < at(1.9) && at(2.0) < at(2.1));
    }
}
