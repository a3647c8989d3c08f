//! Try a cheap model, look at its answer, and ask a better one if that is worth its price.
//!
//! Once a model has answered, its cost is paid, and more is known than before: how long and dear the
//! answer was beside what was expected, how the call ended, what the text looks like. Two logistic
//! heads on these [`signals()`] say how good the answer is and how good that of another model would
//! be. The gain is their difference; it is worth `λ · cost / c_ref` of the other model, and a margin,
//! or not.
//! The first call is priced at `ρ · λ`, since it can be repaired.

mod file;
mod signals;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, ModelId};
use crate::predictor::Prediction;

pub use file::{CascadeFile, FoldCascade};
pub use signals::{Answered, N_SIGNALS, signals};

/// The format of a cascade that this crate writes and reads.
pub const CASCADE_FORMAT_VERSION: u32 = 1;

/// A logistic regression on [`signals()`]: `1 / (1 + exp(−(bias + w·x)))`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The bias.
    pub bias: f64,
    /// `[N_SIGNALS]`.
    pub weights: Vec<f64>,
}

impl Head {
    /// The expected quality.
    pub fn apply(&self, signals: &[f64; N_SIGNALS]) -> f64 {
        let sum: f64 = self.weights.iter().zip(signals).map(|(w, x)| w * x).sum();
        1.0 / (1.0 + (-(self.bias + sum)).exp())
    }
}

/// What the signals of an answer say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heads {
    /// Expected quality of the answer that was given.
    pub answer: Head,
    /// Expected quality of the next model's answer.
    pub other: Head,
}

/// When to escalate, as a file beside a router. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cascade {
    /// For answers of models without heads of their own.
    pub heads: Heads,
    /// Heads for answers of a model.
    pub by_model: BTreeMap<ModelId, Heads>,
    /// Quality that asking again must add beyond its price: the guard.
    pub margin: f64,
    /// Mean of `ln(1 + completion tokens)` of each model whose answers were counted.
    pub typical_length: BTreeMap<ModelId, f64>,
    /// `ρ ≥ 1`: how much more cost counts in the first call than in the second.
    pub first_ratio: f64,
    /// λ of the second call that was chosen in training.
    pub lambda: f64,
    /// `c_ref` of the router, dollars.
    pub reference_cost: f64,
    /// Dollars that all calls of a request are expected to cost together, at most; a call that is
    /// dearer than expected may exceed it, and the cheapest model is always asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<f64>,
}

/// Why a cascade is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CascadeError {
    /// Not the JSON of a cascade.
    #[error("cascade: {0}")]
    Syntax(String),
    /// Written by a newer or older program.
    #[error("cascade format_version must be {CASCADE_FORMAT_VERSION}, got {0}")]
    Version(u64),
    /// A number out of range.
    #[error("cascade {0} must be {1}, got {2}")]
    Range(&'static str, &'static str, f64),
    /// A head of another number of signals.
    #[error("cascade head must have {N_SIGNALS} weights, got {0}")]
    Shape(usize),
}

/// Which models may be asked for a request, and at which price.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The models.
    pub catalog: &'a Catalog,
    /// What is expected of them.
    pub prediction: &'a Prediction,
    /// `[n_arms]`: which may be asked.
    pub eligible: &'a [bool],
    /// λ of the second call.
    pub lambda: f64,
    /// κ of the objective: standard deviations that count against a model.
    pub uncertainty_weight: f64,
}

/// What to do with an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The arm to ask next; `None` to accept the answer.
    pub escalate_to: Option<usize>,
    /// Expected quality of the answer, in `[0, 1]`.
    pub acceptance: f64,
    /// Quality that asking again is expected to add.
    pub gain: f64,
    /// What it would have to add to be worth its price, margin included.
    pub price: f64,
    /// In words for people.
    pub reason: String,
}

impl Cascade {
    /// Refuses what is out of range.
    ///
    /// # Errors
    ///
    /// If a head has another number of weights, or a number is not finite or out of range.
    pub fn check(&self) -> Result<(), CascadeError> {
        let all = self.by_model.values().chain([&self.heads]);
        for head in all.flat_map(|heads| [&heads.answer, &heads.other]) {
            if head.weights.len() != N_SIGNALS {
                return Err(CascadeError::Shape(head.weights.len()));
            }
            let bad = head.weights.iter().chain([&head.bias]).find(|x| !x.is_finite());
            if let Some(bad) = bad {
                return Err(CascadeError::Range("weights", "finite", *bad));
            }
        }
        if let Some(bad) = self.typical_length.values().find(|x| !x.is_finite()) {
            return Err(CascadeError::Range("typical_length", "finite", *bad));
        }
        let above = |x: f64, low: f64| x.is_finite() && x >= low;
        if !above(self.first_ratio, 1.0) {
            return Err(CascadeError::Range("first_ratio", "at least 1", self.first_ratio));
        }
        if !above(self.margin, 0.0) {
            return Err(CascadeError::Range("margin", "at least 0", self.margin));
        }
        if !above(self.lambda, 0.0) {
            return Err(CascadeError::Range("lambda", "at least 0", self.lambda));
        }
        if !(above(self.reference_cost, 0.0) && self.reference_cost > 0.0) {
            return Err(CascadeError::Range("reference_cost", "above 0", self.reference_cost));
        }
        match self.max_cost {
            Some(cost) if !(above(cost, 0.0) && cost > 0.0) => {
                Err(CascadeError::Range("max_cost", "above 0", cost))
            }
            _ => Ok(()),
        }
    }

    /// The model to try first.
    pub fn first(&self, offer: &Offer<'_>) -> Option<usize> {
        let utility = |arm: usize| offer.score(arm) - self.first_ratio * self.price(offer, arm);
        let allowed = self.affordable(offer, offer.eligible.to_vec(), 0.0);
        // Whatever is asked first may turn out dearer than expected, so the cheapest is never refused.
        best(offer.prediction, &allowed, utility)
            .or_else(|| best(offer.prediction, offer.eligible, |arm| -offer.cost(arm)))
    }

    /// What to do once `arm` has answered, having `paid` dollars so far.
    pub fn judge(
        &self,
        offer: &Offer<'_>,
        arm: usize,
        answered: &Answered<'_>,
        paid: f64,
    ) -> Verdict {
        let prediction = offer.prediction;
        let mut others = offer.eligible.to_vec();
        others[arm] = false;
        let is_alone = !others.contains(&true);
        let others = self.affordable(offer, others, paid);
        let utility = |other: usize| offer.score(other) - self.price(offer, other);
        let next = best(prediction, &others, utility);
        let spec = offer.catalog.models().get(arm);
        let typical = spec.and_then(|spec| self.typical_length.get(&spec.id)).copied();
        let heads = spec.and_then(|spec| self.by_model.get(&spec.id)).unwrap_or(&self.heads);
        let signals = signals(prediction, (arm, next.unwrap_or(arm)), answered, typical);
        let defect = answered.defect();
        let acceptance = if defect.is_some() { 0.0 } else { heads.answer.apply(&signals) };
        let Some(next) = next else {
            let why = if is_alone {
                "there is no other model"
            } else {
                "no other model within what the request may cost"
            };
            let reason = format!("accepted: {why}");
            return Verdict { escalate_to: None, acceptance, gain: 0.0, price: 0.0, reason };
        };
        let gain = heads.other.apply(&signals) - acceptance;
        let price = self.price(offer, next) + self.margin;
        let is_worth_it = defect.is_some() || gain > price;
        let reason = match defect {
            Some(defect) => format!("escalated: {defect}"),
            None => {
                let what = if is_worth_it { "escalated" } else { "accepted" };
                format!("{what}: expected gain {gain:.3}, price {price:.3}")
            }
        };
        Verdict { escalate_to: is_worth_it.then_some(next), acceptance, gain, price, reason }
    }

    /// The arms that are asked, in order; the answer of the last one is kept.
    pub fn run<'a>(&self, offer: &Offer<'_>, answer: impl Fn(usize) -> Answered<'a>) -> Vec<usize> {
        let Some(first) = self.first(offer) else { return Vec::new() };
        let answered = answer(first);
        let paid = answered.cost.unwrap_or_else(|| offer.cost(first));
        let verdict = self.judge(offer, first, &answered, paid);
        std::iter::once(first).chain(verdict.escalate_to).collect()
    }

    /// Those of some arms that are expected to keep within the most that may be paid.
    fn affordable(&self, offer: &Offer<'_>, mut arms: Vec<bool>, paid: f64) -> Vec<bool> {
        for (arm, may) in arms.iter_mut().enumerate() {
            *may = *may && self.max_cost.is_none_or(|most| paid + offer.cost(arm) <= most);
        }
        arms
    }

    /// `λ · cost / c_ref`.
    fn price(&self, offer: &Offer<'_>, arm: usize) -> f64 {
        let lambda = offer.lambda.min(1e12);
        if lambda > 0.0 { lambda * offer.cost(arm) / self.reference_cost } else { 0.0 }
    }
}

impl Offer<'_> {
    /// Expected dollars; an unknown cost counts as the highest known one.
    fn cost(&self, arm: usize) -> f64 {
        let costs = &self.prediction.cost;
        costs[arm].unwrap_or_else(|| costs.iter().flatten().copied().fold(0.0, f64::max))
    }

    /// Expected quality, as the objective of the router ranks by it.
    fn score(&self, arm: usize) -> f64 {
        self.prediction.score[arm] - self.uncertainty_weight * self.prediction.sd_of(arm)
    }
}

/// The eligible arm of highest utility; ties to the lower cost, then to the first.
fn best(
    prediction: &Prediction,
    eligible: &[bool],
    utility: impl Fn(usize) -> f64,
) -> Option<usize> {
    let cost = |arm: usize| prediction.cost[arm].unwrap_or(f64::INFINITY);
    (0..eligible.len()).filter(|arm| eligible[*arm]).min_by(|&a, &b| {
        utility(b).total_cmp(&utility(a)).then(cost(a).total_cmp(&cost(b))).then(a.cmp(&b))
    })
}

#[cfg(test)]
mod tests;
