//! Policies: context → a distribution over arms. A policy never samples.

mod cost_aware;
mod epsilon_greedy;
mod fixed;
mod keywords;
mod threshold;
mod token_heuristic;
mod uniform;
mod weighted;

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, ModelId};
use crate::objective::Objective;
use crate::predictor::Prediction;
use crate::request::RequestView;
use crate::units::Tokens;

pub use cost_aware::CostAware;
pub use epsilon_greedy::EpsilonGreedy;
pub use fixed::Fixed;
pub use keywords::Keywords;
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

/// A policy as an artifact holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PolicySpec {
    /// Always one model.
    Fixed {
        /// That model.
        model: ModelId,
    },
    /// Every eligible model alike.
    Uniform,
    /// The strong model where its predicted uplift reaches a threshold, else the weak one.
    Threshold {
        /// The model for most requests.
        weak: ModelId,
        /// The model for the rest.
        strong: ModelId,
        /// Predicted quality that the strong model must add.
        uplift: f64,
    },
    /// A cheap model for short requests without tools, else a strong one.
    TokenHeuristic {
        /// The model for short requests.
        cheap: ModelId,
        /// The model for the rest.
        strong: ModelId,
        /// Requests of fewer estimated prompt tokens are short.
        #[serde(default = "heuristic_tokens")]
        tokens: Tokens,
    },
    /// Phrases that make a request complex or simple, counted.
    Keywords {
        /// The model for requests of a low level.
        cheap: ModelId,
        /// The model in between, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        middle: Option<ModelId>,
        /// The model for requests of a high level.
        strong: ModelId,
        /// Words or phrases that raise the level by 1, each once.
        #[serde(default = "keywords::complex")]
        complex: Vec<String>,
        /// Words or phrases that lower the level by 1, each once.
        #[serde(default = "keywords::simple")]
        simple: Vec<String>,
        /// The level from which `middle` answers.
        #[serde(default = "middle_from")]
        middle_from: i32,
        /// The level from which `strong` answers.
        #[serde(default = "strong_from")]
        strong_from: i32,
    },
    /// A sum of factors weighted by hand.
    Weighted {
        /// How much each factor counts; they sum to 1.
        #[serde(default)]
        weights: PerFactor<f64>,
        /// Where the value of each factor comes from.
        #[serde(default)]
        sources: PerFactor<Source>,
        /// How often the value of each factor is renewed.
        #[serde(default)]
        refresh: PerFactor<Refresh>,
    },
    /// The highest utility.
    CostAware,
    /// Another policy, but every eligible model keeps at least `epsilon / n`.
    EpsilonGreedy {
        /// Share of requests that are drawn uniformly, in `[0, 1]`.
        epsilon: f64,
        /// The other policy.
        base: Box<PolicySpec>,
    },
}

fn heuristic_tokens() -> Tokens {
    TokenHeuristic::TOKENS
}

fn middle_from() -> i32 {
    keywords::LEVELS.0
}

fn strong_from() -> i32 {
    keywords::LEVELS.1
}

/// Why a specification cannot be built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// It names a model that the catalog lacks.
    #[error("policy names model {0}, which is not in the catalog")]
    UnknownModel(ModelId),
    /// Exploration outside its range.
    #[error("epsilon must be in [0, 1], got {0}")]
    Epsilon(f64),
    /// A threshold that is not a number.
    #[error("uplift must be finite, got {0}")]
    Uplift(f64),
    /// A weight out of range.
    #[error("the weight of {0} must be at least 0, got {1}")]
    Weight(&'static str, f64),
    /// Weights that are not shares.
    #[error("weights must sum to 1, got {0}")]
    WeightSum(f64),
    /// A value that its source does not have.
    #[error("{0} cannot come from {1}")]
    Source(&'static str, &'static str),
    /// A phrase that every text contains.
    #[error("a keyword must have a character that is not white space, got {0:?}")]
    Keyword(String),
    /// A middle model that would never answer.
    #[error("middle_from must be below strong_from ({strong_from}), got {middle_from}")]
    Levels {
        /// The level of the middle model.
        middle_from: i32,
        /// The level of the strong one.
        strong_from: i32,
    },
}

impl PolicySpec {
    /// Builds the policy for a catalog.
    ///
    /// # Errors
    ///
    /// If it names a model that the catalog lacks, or a number is out of range.
    pub fn build(&self, catalog: &Catalog) -> Result<Box<dyn Policy>, PolicyError> {
        let arm = |model: &ModelId| {
            catalog.arm(model.as_str()).ok_or_else(|| PolicyError::UnknownModel(model.clone()))
        };
        Ok(match self {
            Self::Fixed { model } => Box::new(Fixed { arm: arm(model)? }),
            Self::Uniform => Box::new(Uniform),
            Self::Threshold { weak, strong, uplift } => {
                if !uplift.is_finite() {
                    return Err(PolicyError::Uplift(*uplift));
                }
                Box::new(Threshold { weak: arm(weak)?, strong: arm(strong)?, uplift: *uplift })
            }
            Self::TokenHeuristic { cheap, strong, tokens } => Box::new(TokenHeuristic {
                cheap: arm(cheap)?,
                strong: arm(strong)?,
                tokens: *tokens,
            }),
            Self::Keywords { cheap, middle, strong, complex, simple, middle_from, strong_from } => {
                if let Some(blank) = complex.iter().chain(simple).find(|k| k.trim().is_empty()) {
                    return Err(PolicyError::Keyword(blank.clone()));
                }
                let (middle_from, strong_from) = (*middle_from, *strong_from);
                if middle.is_some() && middle_from >= strong_from {
                    return Err(PolicyError::Levels { middle_from, strong_from });
                }
                let middle = middle.as_ref().map(arm).transpose()?.map(|m| (m, middle_from));
                let strong = (arm(strong)?, strong_from);
                Box::new(Keywords::new(arm(cheap)?, middle, strong, complex, simple))
            }
            Self::Weighted { weights, sources, .. } => Box::new(Weighted::new(*weights, *sources)?),
            Self::CostAware => Box::new(CostAware),
            Self::EpsilonGreedy { epsilon, base } => {
                if !(0.0..=1.0).contains(epsilon) {
                    return Err(PolicyError::Epsilon(*epsilon));
                }
                Box::new(EpsilonGreedy { epsilon: *epsilon, base: base.build(catalog)? })
            }
        })
    }
}

#[cfg(test)]
mod tests;
