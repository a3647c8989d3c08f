//! Why a model was chosen: each factor, its value, its weight and what it contributes.

use serde::Serialize;

use crate::catalog::ModelId;
use crate::decision::{Decision, Exclusion};
use crate::objective::Tier;
use crate::policy::Contribution;
use crate::predictor::{Part, TaskPrediction};

/// One factor of a utility: `contribution = value · weight`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Factor {
    /// Its name: `cost`, `latency`, `uncertainty`, a part of the predicted quality such as `words`, or a factor
    /// of a weighted policy.
    pub factor: String,
    /// Its value: predicted quality, or cost and latency as multiples of the reference model's; in
    /// a weighted policy a number in `[0, 1]`, higher better.
    pub value: f64,
    /// The weight of the objective or the policy.
    pub weight: f64,
    /// What it adds to the utility.
    pub contribution: f64,
}

/// One model that could be drawn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// The model.
    pub model: ModelId,
    /// The probability with which it was drawn.
    pub propensity: f64,
    /// Calibrated expected quality.
    pub predicted_quality: f64,
    /// Standard deviation of that expectation; absent if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted_quality_sd: Option<f64>,
    /// Expected dollars of this request.
    pub predicted_cost_usd: Option<f64>,
    /// Expected milliseconds until the last byte.
    pub predicted_latency_ms: Option<f64>,
    /// What the policy ranks by: the sum of the contributions.
    pub utility: f64,
    /// What the utility is made of.
    pub factors: Vec<Factor>,
}

/// A model that could not be drawn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Excluded {
    /// The model.
    pub model: ModelId,
    /// Why not.
    pub reason: Exclusion,
}

/// A decision with its reasons. Candidates are ordered by utility, best first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The model that was drawn.
    pub model: ModelId,
    /// How likely that was.
    pub propensity: f64,
    /// Version of the router that decided.
    pub policy: String,
    /// The operating point.
    pub tier: Tier,
    /// λ, as used.
    pub lambda: f64,
    /// The rule of the policy that applied, if it has rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The kind of task that the request seems to be.
    pub task: Option<TaskPrediction>,
    /// The probability that the cheap model is not enough.
    pub complexity: Option<f64>,
    /// Models that could be drawn.
    pub candidates: Vec<Candidate>,
    /// Models that could not.
    pub excluded: Vec<Excluded>,
}

impl Decision {
    /// The reasons, with predicted quality as one factor.
    pub fn explanation(&self) -> Explanation {
        self.explanation_with(&[])
    }

    /// The reasons, with predicted quality divided into the parts of the predictor.
    pub(crate) fn explanation_with(&self, parts: &[Part]) -> Explanation {
        let mut candidates: Vec<Candidate> =
            self.pmf.iter().filter_map(|(model, p)| self.candidate(model, *p, parts)).collect();
        candidates.sort_by(|a, b| b.utility.total_cmp(&a.utility));
        let excluded = self.excluded.iter().cloned();
        Explanation {
            model: self.model.clone(),
            propensity: self.propensity.get(),
            policy: self.policy.clone(),
            tier: self.tier,
            lambda: self.objective.lambda,
            rule: self.reasons.rule.clone(),
            task: self.prediction.task.clone(),
            complexity: self.prediction.complexity,
            candidates,
            excluded: excluded.map(|(model, reason)| Excluded { model, reason }).collect(),
        }
    }

    fn candidate(&self, model: &ModelId, propensity: f64, parts: &[Part]) -> Option<Candidate> {
        let arm = self.arm(model)?;
        let (utility, factors) = match self.reasons.factors.get(arm) {
            Some(factors) => weighted(factors),
            None => self.objective_factors(arm, parts),
        };
        Some(Candidate {
            model: model.clone(),
            propensity,
            predicted_quality: self.prediction.quality[arm],
            predicted_quality_sd: self.prediction.sd.get(arm).copied(),
            predicted_cost_usd: self.prediction.cost[arm],
            predicted_latency_ms: self.prediction.latency_ms[arm],
            utility,
            factors,
        })
    }

    /// The utility of an arm, and what it is made of.
    fn objective_factors(&self, arm: usize, parts: &[Part]) -> (f64, Vec<Factor>) {
        let utility = self.objective.utilities(&self.prediction)[arm];
        let factor = |factor: &str, value: f64, weight: f64, contribution: f64| Factor {
            factor: factor.to_owned(),
            value,
            weight,
            contribution,
        };
        let mut factors: Vec<Factor> = if parts.is_empty() {
            vec![factor("quality", utility.quality, 1.0, utility.quality)]
        } else {
            parts
                .iter()
                .map(|part| factor(part.name, part.adds[arm], 1.0, part.adds[arm]))
                .collect()
        };
        let objective = &self.objective;
        for (name, contribution, weight) in [
            ("cost", utility.cost, objective.lambda),
            ("latency", utility.latency, objective.latency_weight),
            ("uncertainty", utility.uncertainty, objective.uncertainty_weight),
        ] {
            if weight > 0.0 {
                factors.push(factor(name, contribution / -weight, -weight, contribution));
            }
        }
        (utility.total(), factors)
    }
}

/// The sum of a policy's own factors, and the factors.
fn weighted(factors: &[Contribution]) -> (f64, Vec<Factor>) {
    let factor = |of: &Contribution| Factor {
        factor: of.factor.to_owned(),
        value: of.value,
        weight: of.weight,
        contribution: of.adds(),
    };
    (factors.iter().map(Contribution::adds).sum(), factors.iter().map(factor).collect())
}
