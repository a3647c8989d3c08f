//! A sum of factors weighted by hand: visible, and the baseline that a learned policy must beat.

use serde::{Deserialize, Serialize};

use super::{ActionDistribution, Context, Contribution, Policy, PolicyError, Reasons};
use crate::features::complexity::surface_complexity;

/// Something for each factor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    bound(deserialize = "T: Deserialize<'de>, PerFactor<T>: Default")
)]
pub struct PerFactor<T> {
    /// Whether the arm is strong enough: `1 − max(0, complexity − strength)`. The strength of an
    /// arm is its history, on a scale from the weakest (0) to the strongest eligible arm (1).
    pub complexity: T,
    /// Its success in the past: the share of good answers.
    pub history: T,
    /// What it leaves of the reference cost: `1 − min(1, cost / c_ref)`.
    pub cost: T,
    /// What it leaves of the latency asked for: `1 − min(1, latency / target)`.
    pub latency: T,
    /// Whether it can be reached: the share of calls that its endpoints can take.
    pub availability: T,
}

impl<T: Copy> PerFactor<T> {
    /// Each with the name of its factor.
    fn named(&self) -> [(&'static str, T); 5] {
        [
            ("complexity", self.complexity),
            ("history", self.history),
            ("cost", self.cost),
            ("latency", self.latency),
            ("availability", self.availability),
        ]
    }
}

/// The weights where none are configured.
impl Default for PerFactor<f64> {
    fn default() -> Self {
        Self { complexity: 0.35, history: 0.25, cost: 0.2, latency: 0.15, availability: 0.05 }
    }
}

/// Where the value of a factor comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Complexity as the predictor has it; as [`Source::Surface`] where the predictor has none.
    Classifier,
    /// Complexity by [`surface_complexity`].
    Surface,
    /// History as the caller's [`Signals`](super::Signals) have it; as [`Source::Predictor`] where
    /// they have none.
    PerformanceStore,
    /// History as the predictor's calibrated quality.
    Predictor,
    /// Cost against the reference cost of the objective, which the operator sets.
    UserPolicy,
    /// Latency against the target of the request; against the reference latency of the objective
    /// where the request has none.
    RequestMetadata,
    /// Availability as the caller's [`Signals`](super::Signals) have it; 1 where they have none.
    HealthChecks,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Classifier => "classifier",
            Self::Surface => "surface",
            Self::PerformanceStore => "performance_store",
            Self::Predictor => "predictor",
            Self::UserPolicy => "user_policy",
            Self::RequestMetadata => "request_metadata",
            Self::HealthChecks => "health_checks",
        }
    }
}

impl Default for PerFactor<Source> {
    fn default() -> Self {
        Self {
            complexity: Source::Classifier,
            history: Source::PerformanceStore,
            cost: Source::UserPolicy,
            latency: Source::RequestMetadata,
            availability: Source::HealthChecks,
        }
    }
}

/// How often the value of a factor is renewed. Whoever fills the caller's signals keeps to it;
/// the policy itself has no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refresh {
    /// With every request.
    EveryRequest,
    /// With a new artifact.
    OnPolicyChange,
    /// After so many seconds.
    Seconds(u32),
}

impl Default for PerFactor<Refresh> {
    fn default() -> Self {
        Self {
            complexity: Refresh::EveryRequest,
            history: Refresh::Seconds(3600),
            cost: Refresh::OnPolicyChange,
            latency: Refresh::EveryRequest,
            availability: Refresh::Seconds(30),
        }
    }
}

/// The highest `Σ weight · value` over the eligible arms, each value in `[0, 1]`, higher better.
///
/// Ties go to the lower predicted cost, then to the model whose id is first in byte order. An
/// unknown cost or latency counts as the highest known one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weighted {
    weights: PerFactor<f64>,
    sources: PerFactor<Source>,
}

impl Weighted {
    /// Checks weights and sources.
    ///
    /// # Errors
    ///
    /// If a weight is negative or not a number, the weights do not sum to 1, or a factor cannot
    /// come from its source.
    pub fn new(weights: PerFactor<f64>, sources: PerFactor<Source>) -> Result<Self, PolicyError> {
        for (factor, weight) in weights.named() {
            if !(weight >= 0.0 && weight.is_finite()) {
                return Err(PolicyError::Weight(factor, weight));
            }
        }
        let sum: f64 = weights.named().iter().map(|(_, weight)| weight).sum();
        if (sum - 1.0).abs() > 1e-6 {
            return Err(PolicyError::WeightSum(sum));
        }
        for (factor, source) in sources.named() {
            let known: &[Source] = match factor {
                "complexity" => &[Source::Classifier, Source::Surface],
                "history" => &[Source::PerformanceStore, Source::Predictor],
                "cost" => &[Source::UserPolicy],
                "latency" => &[Source::RequestMetadata],
                _ => &[Source::HealthChecks],
            };
            if !known.contains(&source) {
                return Err(PolicyError::Source(factor, source.name()));
            }
        }
        Ok(Self { weights, sources })
    }

    /// `[n_arms]`: the weighted sum of each arm.
    pub fn scores(&self, context: &Context<'_>) -> Vec<f64> {
        let values = self.values(context);
        values
            .iter()
            .map(|values| self.contributions(values).iter().map(Contribution::adds).sum())
            .collect()
    }

    fn contributions(&self, values: &PerFactor<f64>) -> [Contribution; 5] {
        let mut weights = self.weights.named().into_iter();
        values.named().map(|(factor, value)| Contribution {
            factor,
            value,
            weight: weights.next().map_or(0.0, |(_, weight)| weight),
        })
    }

    /// `[n_arms]`: the value of each factor.
    fn values(&self, context: &Context<'_>) -> Vec<PerFactor<f64>> {
        let (prediction, objective) = (context.prediction, context.objective);
        let complexity = match (self.sources.complexity, prediction.complexity) {
            (Source::Classifier, Some(complexity)) => unit(complexity),
            _ => surface_complexity(context.request),
        };
        let history: Vec<f64> = (0..prediction.quality.len())
            .map(|arm| {
                let is_stored = self.sources.history == Source::PerformanceStore;
                let stored = context.signals_of(arm).success.filter(|_| is_stored);
                unit(stored.unwrap_or(prediction.quality[arm]))
            })
            .collect();
        let range = || context.eligible_arms().map(|arm| history[arm]);
        let (low, high) = (range().fold(1.0, f64::min), range().fold(0.0, f64::max));
        let strength = |arm: usize| match high - low {
            width if width > 0.0 => unit((history[arm] - low) / width),
            _ => 1.0,
        };
        let target = context.latency_target_ms.unwrap_or(objective.reference_latency_ms);
        let cost = saved(&prediction.cost, objective.reference_cost);
        let latency = saved(&prediction.latency_ms, target);
        (0..history.len())
            .map(|arm| PerFactor {
                complexity: 1.0 - (complexity - strength(arm)).max(0.0),
                history: history[arm],
                cost: cost[arm],
                latency: latency[arm],
                availability: unit(context.signals_of(arm).availability.unwrap_or(1.0)),
            })
            .collect()
    }
}

/// Into `[0, 1]`; what is not a number is worst.
fn unit(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}

/// `1 − min(1, value / reference)`; an unknown value counts as the highest known one.
fn saved(values: &[Option<f64>], reference: f64) -> Vec<f64> {
    let highest = values.iter().flatten().copied().fold(0.0, f64::max);
    let share = |value: &Option<f64>| match value.unwrap_or(highest) {
        value if value.is_nan() => 0.0,
        value if value > 0.0 => 1.0 - unit(value / reference),
        _ => 1.0,
    };
    values.iter().map(share).collect()
}

impl Policy for Weighted {
    fn distribution(&self, context: &Context<'_>) -> ActionDistribution {
        let scores = self.scores(context);
        let cost = |arm: usize| context.prediction.cost[arm].unwrap_or(f64::INFINITY);
        let best = context.eligible_arms().min_by(|&a, &b| {
            let by_score = scores[b].total_cmp(&scores[a]);
            by_score.then(cost(a).total_cmp(&cost(b))).then(a.cmp(&b))
        });
        ActionDistribution::point(context.eligible.len(), best.unwrap_or(0))
    }

    fn reasons(&self, context: &Context<'_>) -> Reasons {
        let values = self.values(context);
        let factors = values.iter().map(|values| self.contributions(values).into()).collect();
        Reasons { factors, ..Reasons::default() }
    }
}

#[cfg(test)]
mod tests;
