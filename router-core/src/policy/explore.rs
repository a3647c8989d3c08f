//! Exploration that asks most where it is least known what is best.

use super::{ActionDistribution, Context, Policy};
use crate::exploration::{self, Floor};

/// Negative utilities of the eligible arms, in order.
fn losses(context: &Context<'_>) -> Vec<f64> {
    let utilities = context.objective.utilities(context.prediction);
    context.eligible_arms().map(|arm| -utilities[arm].total()).collect()
}

/// Probabilities of the eligible arms, none below `floor / n`, as a distribution over all arms.
fn floored(context: &Context<'_>, pmf: &[f64], floor: f64) -> ActionDistribution {
    let mut probabilities = vec![0.0; context.eligible.len()];
    let floored = exploration::floor(pmf, floor, Floor::All);
    for (arm, probability) in context.eligible_arms().zip(floored) {
        probabilities[arm] = probability;
    }
    ActionDistribution(probabilities)
}

/// Inverse-gap weighting: with `n` eligible arms an arm whose utility is `g` below the highest is
/// drawn with probability `1 / (n + γ·g)`, and the highest one with what is left.
///
/// # References
///
/// Foster and Rakhlin (2020), *Beyond UCB*.
#[derive(Clone, Copy, Debug)]
pub struct SquareCb {
    /// γ ≥ 0; the larger, the greedier. The trainer sets `10·√n` after `n` judged requests.
    pub gamma: f64,
    /// Share of probability that all eligible arms divide at least, in `[0, 1]`.
    pub floor: f64,
}

impl Policy for SquareCb {
    fn distribution(&self, context: &Context<'_>) -> ActionDistribution {
        let pmf = exploration::squarecb(&losses(context), self.gamma);
        floored(context, &pmf, self.floor)
    }
}

/// Thompson sampling with computed propensities: an arm is drawn as often as a draw from the normal
/// distribution of its utility would be the highest.
#[derive(Clone, Copy, Debug)]
pub struct Thompson {
    /// Multiplies the standard deviation of each arm's expected quality; ≥ 0.
    pub scale: f64,
    /// Share of probability that all eligible arms divide at least, in `[0, 1]`.
    pub floor: f64,
}

impl Policy for Thompson {
    fn distribution(&self, context: &Context<'_>) -> ActionDistribution {
        let means: Vec<f64> = losses(context).into_iter().map(|loss| -loss).collect();
        let sd = |arm| self.scale * context.prediction.sd_of(arm);
        let deviations: Vec<f64> = context.eligible_arms().map(sd).collect();
        floored(context, &exploration::thompson(&means, &deviations), self.floor)
    }
}
