//! Money against quality: on which scale, and at which price a stream begins.

use router_core::bandit::{Learner, PacerParams, log_normalized};

use super::options::PriceScale;
use super::world::World;

/// How the price moves. While λ goes from where it began to where it must be, the overspend is
/// `(λ − λ_start)/rate` requests' budgets, so the rate is twice the pacer's default.
pub(super) const PACING: PacerParams = PacerParams { rate: 0.1, smoothing: 0.05, max_price: 5.0 };

/// Share of the budget that a pacer does not aim for: what the price lags behind is overspent.
pub(super) const RESERVE: f64 = 0.01;

/// Dollars as a number that λ multiplies; fixed, so that a new model does not move the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    kind: PriceScale,
    low: f64,
    high: f64,
}

impl Scale {
    pub(super) fn new(kind: PriceScale, costs: &[f64]) -> Self {
        let paid = || costs.iter().copied().filter(|cost| *cost > 0.0);
        let (low, high) = (paid().fold(f64::INFINITY, f64::min), paid().fold(0.0, f64::max));
        Self { kind, low, high }
    }

    pub(super) fn of(&self, cost: f64) -> f64 {
        match self.kind {
            PriceScale::Log => log_normalized(cost, self.low, self.high),
            PriceScale::Linear if self.high > 0.0 => cost / self.high,
            PriceScale::Linear => 0.0,
        }
    }

    /// The λ at which what is known before the stream would just have spent the budget on the
    /// training table: where the price of money begins. Models outside of `known` are not asked.
    pub(super) fn start(
        &self,
        train: &World,
        learner: &Learner,
        known: &[usize],
        budget: f64,
    ) -> f64 {
        let costs = train.mean_cost();
        let expects = |context: &Vec<f64>| -> Vec<f64> {
            known.iter().map(|model| learner.arms()[*model].mean(context)).collect()
        };
        let expected: Vec<Vec<f64>> = train.contexts.iter().map(expects).collect();
        let spends = |lambda: f64| {
            let paid = expected.iter().enumerate().map(|(row, expected)| {
                let loss = |at: usize| lambda * self.of(costs[known[at]]) - expected[at];
                let best = (0..known.len()).min_by(|a, b| loss(*a).total_cmp(&loss(*b)));
                best.map_or(0.0, |best| train.cost(row)[known[best]])
            });
            paid.sum::<f64>() / train.n_rows() as f64
        };
        if spends(0.0) <= budget {
            return 0.0;
        }
        let (mut low, mut high) = (0.0, PACING.max_price);
        for _ in 0..30 {
            let middle = 0.5 * (low + high);
            if spends(middle) <= budget { high = middle } else { low = middle }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use router_core::bandit::{LearnerParams, LinearPosterior, Memory};

    use super::*;
    use crate::simulate::world::testing::world;

    #[test]
    fn scales_agree_on_the_ends_and_not_between() {
        let costs = [0.001, 0.01, 0.1];
        let of = |kind| costs.map(|cost| Scale::new(kind, &costs).of(cost));
        let [linear, log] = [of(PriceScale::Linear), of(PriceScale::Log)];
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(close(linear[0], 0.01) && close(linear[1], 0.1) && close(linear[2], 1.0));
        assert!(close(log[0], 0.0) && close(log[1], 0.5) && close(log[2], 1.0));
        assert!(close(Scale::new(PriceScale::Linear, &[0.0]).of(0.0), 0.0));
    }

    #[test]
    fn the_first_price_is_the_least_that_keeps_to_the_budget() {
        let train = world(&[&[(0.5, 0.1), (0.8, 1.0)]]);
        let mut learner = Learner::new(2, 1, LearnerParams::default()).unwrap();
        for (model, mean) in [0.5, 0.8].into_iter().enumerate() {
            let known = LinearPosterior::expecting(&[mean], 1.0, Memory::PERFECT).unwrap();
            learner.set_arm(model, known).unwrap();
        }
        let scale = Scale::new(PriceScale::Linear, &[0.1, 1.0]);
        let start = |budget| scale.start(&train, &learner, &[0, 1], budget);
        // 0.8 − λ falls below 0.5 − 0.1·λ at λ = 1/3.
        assert!((start(0.5) - 1.0 / 3.0).abs() < 1e-6);
        assert!(start(1.0).abs() < f64::EPSILON);
    }
}
