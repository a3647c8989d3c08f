//! Policies: context → a distribution over arms. A policy never samples.

mod cost_aware;
mod epsilon_greedy;
mod explore;
mod fixed;
mod keywords;
mod spec;
mod threshold;
mod token_heuristic;
mod uniform;
mod weighted;

use crate::objective::Objective;
use crate::predictor::Prediction;
use crate::request::RequestView;

pub use cost_aware::CostAware;
pub use epsilon_greedy::EpsilonGreedy;
pub use explore::{SquareCb, Thompson};
pub use fixed::Fixed;
pub use keywords::Keywords;
pub use spec::{PolicyError, PolicySpec};
pub use threshold::Threshold;
pub use token_heuristic::TokenHeuristic;
pub use uniform::Uniform;
pub use weighted::{PerFactor, Refresh, Source, Weighted};

/// What a caller knows of a model at the moment, beside what the artifact predicts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signals {
    /// Share of good answers among its recent ones, in `[0, 1]`; `None` if unknown.
    pub success: Option<f64>,
    /// Share of calls that its endpoints can take, in `[0, 1]`; `None` if unknown.
    pub availability: Option<f64>,
}

/// All that a policy may see before it decides.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What to expect of each arm.
    pub prediction: &'a Prediction,
    /// `[n_arms]`: which arms may be drawn; at least one.
    pub eligible: &'a [bool],
    /// What counts.
    pub objective: &'a Objective,
    /// The request.
    pub request: &'a RequestView<'a>,
    /// `[n_arms]`: what the caller knows of each arm; empty for nothing.
    pub signals: &'a [Signals],
    /// Milliseconds that the answer may take, if the request says so.
    pub latency_target_ms: Option<f64>,
}

impl Context<'_> {
    /// The eligible arms, in order.
    pub fn eligible_arms(&self) -> impl Iterator<Item = usize> {
        self.eligible.iter().enumerate().filter(|(_, eligible)| **eligible).map(|(arm, _)| arm)
    }

    /// What the caller knows of an arm.
    fn signals_of(&self, arm: usize) -> Signals {
        self.signals.get(arm).copied().unwrap_or_default()
    }

    /// All mass on the first of these arms that is eligible; without any, what [`CostAware`] would
    /// do.
    fn first_eligible(&self, wanted: impl IntoIterator<Item = usize>) -> ActionDistribution {
        match wanted.into_iter().find(|&arm| self.eligible[arm]) {
            Some(arm) => ActionDistribution::point(self.eligible.len(), arm),
            None => CostAware.distribution(self),
        }
    }
}

/// Why a policy decides as it does, beyond utility; most policies have nothing to add.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasons {
    /// The rule that applied, in words for people.
    pub rule: Option<String>,
    /// `[n_arms]`: what each arm's score is the sum of; empty if the policy ranks by utility.
    pub factors: Vec<Vec<Contribution>>,
}

/// One factor of a score: it adds `weight · value`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contribution {
    /// Its name.
    pub factor: &'static str,
    /// Its value.
    pub value: f64,
    /// Its weight.
    pub weight: f64,
}

impl Contribution {
    /// `weight · value`.
    pub fn adds(&self) -> f64 {
        self.weight * self.value
    }
}

/// Context → distribution.
pub trait Policy: Send + Sync + std::fmt::Debug {
    /// The probability of each arm; zero for those that are not eligible.
    fn distribution(&self, context: &Context<'_>) -> ActionDistribution;

    /// Its reasons, if they are not the utilities of the objective.
    fn reasons(&self, _context: &Context<'_>) -> Reasons {
        Reasons::default()
    }
}

/// A distribution over arms. Its probabilities are not negative and sum to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionDistribution(Vec<f64>);

impl ActionDistribution {
    /// All mass on one arm.
    ///
    /// # Panics
    ///
    /// If `arm` is not below `n_arms`.
    pub fn point(n_arms: usize, arm: usize) -> Self {
        let mut probabilities = vec![0.0; n_arms];
        probabilities[arm] = 1.0;
        Self(probabilities)
    }

    /// Equal mass on every eligible arm; all mass on arm 0 if none is.
    pub fn uniform(eligible: &[bool]) -> Self {
        let n_eligible = eligible.iter().filter(|eligible| **eligible).count();
        if n_eligible == 0 {
            return Self::point(eligible.len(), 0);
        }
        let mass = 1.0 / n_eligible as f64;
        Self(eligible.iter().map(|eligible| if *eligible { mass } else { 0.0 }).collect())
    }

    /// `(1 − share) · self + share · other`.
    pub fn mix(&self, share: f64, other: &Self) -> Self {
        let mix = |(a, b): (&f64, &f64)| (1.0 - share) * a + share * b;
        Self(self.0.iter().zip(&other.0).map(mix).collect())
    }

    /// `[n_arms]`.
    pub fn probabilities(&self) -> &[f64] {
        &self.0
    }

    /// The arm at `u` in `[0, 1)` of the cumulative distribution, and its probability.
    pub fn at(&self, u: f64) -> (usize, f64) {
        let total: f64 = self.0.iter().sum();
        let mut cumulative = 0.0;
        let mut last = 0;
        for (arm, &probability) in self.0.iter().enumerate() {
            if probability > 0.0 {
                cumulative += probability;
                last = arm;
                if cumulative > u * total {
                    break;
                }
            }
        }
        (last, self.0[last])
    }
}

#[cfg(test)]
mod tests;
