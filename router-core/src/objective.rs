//! Quality, cost and latency as one number to maximise.

use serde::{Deserialize, Serialize};

use crate::predictor::Prediction;

/// An operating point that a client can ask for by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Save more, keep less.
    Cost,
    /// The operating point that training was asked for.
    #[default]
    Balanced,
    /// Keep the quality of the reference model or better.
    Quality,
    /// As balanced, but a slow answer counts against a model.
    Speed,
}

impl Tier {
    /// All tiers.
    pub const ALL: [Self; 4] = [Self::Cost, Self::Balanced, Self::Quality, Self::Speed];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Balanced => "balanced",
            Self::Quality => "quality",
            Self::Speed => "speed",
        }
    }
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A tier of an unknown name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tier must be one of cost, balanced, quality, speed, got {0:?}")]
pub struct TierError(pub String);

impl std::str::FromStr for Tier {
    type Err = TierError;

    fn from_str(name: &str) -> Result<Self, TierError> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.as_str() == name)
            .ok_or_else(|| TierError(name.to_owned()))
    }
}

/// The exchange rates: `utility = quality − λ · cost / c_ref − ω · latency / l_ref − κ · sd`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// λ ≥ 0: quality worth giving up to save what the reference model costs; infinity means that
    /// only cost counts.
    pub lambda: f64,
    /// ω ≥ 0: quality worth giving up to save the time that the reference model takes.
    pub latency_weight: f64,
    /// `c_ref` > 0: mean dollars per request of the reference model.
    pub reference_cost: f64,
    /// `l_ref` > 0: mean milliseconds of the reference model.
    pub reference_latency_ms: f64,
    /// κ ≥ 0: how many standard deviations of its expected quality count against a model.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub uncertainty_weight: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_nothing(weight: &f64) -> bool {
    *weight <= 0.0
}

/// What one arm's utility is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Utility {
    /// Predicted quality, as the policy ranks by it.
    pub quality: f64,
    /// `−λ · cost / c_ref`.
    pub cost: f64,
    /// `−ω · latency / l_ref`.
    pub latency: f64,
    /// `−κ · sd`.
    pub uncertainty: f64,
}

impl Utility {
    /// The sum; an arm whose sum is not a number is worst.
    pub fn total(&self) -> f64 {
        let total = self.quality + self.cost + self.latency + self.uncertainty;
        if total.is_nan() { f64::NEG_INFINITY } else { total }
    }
}

impl Objective {
    /// The utility of each arm. An unknown cost or latency counts as the highest known one.
    pub fn utilities(&self, prediction: &Prediction) -> Vec<Utility> {
        let dearest = highest(&prediction.cost);
        let slowest = highest(&prediction.latency_ms);
        let part = |weight: f64, value: f64, reference: f64| {
            if weight > 0.0 { -weight * value / reference } else { 0.0 }
        };
        // With λ = ∞ only cost counts; a large finite λ orders alike and stays a number.
        let lambda = self.lambda.min(1e12);
        (0..prediction.score.len())
            .map(|arm| Utility {
                quality: prediction.score[arm],
                cost: part(lambda, prediction.cost[arm].unwrap_or(dearest), self.reference_cost),
                latency: part(
                    self.latency_weight,
                    prediction.latency_ms[arm].unwrap_or(slowest),
                    self.reference_latency_ms,
                ),
                uncertainty: part(self.uncertainty_weight, prediction.sd_of(arm), 1.0),
            })
            .collect()
    }
}

fn highest(values: &[Option<f64>]) -> f64 {
    values.iter().flatten().copied().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utility_is_quality_less_priced_cost_and_time() {
        let prediction = Prediction {
            quality: vec![0.8, 0.5],
            score: vec![0.8, 0.5],
            cost: vec![Some(0.02), None],
            latency_ms: vec![Some(2000.0), Some(500.0)],
            sd: vec![0.0, 0.1],
            ..Prediction::default()
        };
        let objective = Objective {
            lambda: 0.1,
            latency_weight: 0.2,
            reference_cost: 0.01,
            reference_latency_ms: 1000.0,
            uncertainty_weight: 0.5,
        };
        let totals: Vec<f64> =
            objective.utilities(&prediction).iter().map(Utility::total).collect();
        // 0.8 − 0.1·2 − 0.2·2, and 0.5 − 0.1·2 (unknown counts as the dearest) − 0.2·0.5 − 0.5·0.1.
        assert!((totals[0] - 0.2).abs() < 1e-12 && (totals[1] - 0.15).abs() < 1e-12, "{totals:?}");
    }

    #[test]
    fn tiers_are_parsed_by_name() {
        assert_eq!("speed".parse::<Tier>().unwrap(), Tier::Speed);
        let error = "cheap".parse::<Tier>().unwrap_err().to_string();
        assert_eq!(error, "tier must be one of cost, balanced, quality, speed, got \"cheap\"");
    }
}
