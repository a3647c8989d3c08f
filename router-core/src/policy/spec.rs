//! Policies as artifacts hold them, and how they are built.

use serde::{Deserialize, Serialize};

use super::{
    CostAware, EpsilonGreedy, Fixed, Keywords, PerFactor, Policy, Refresh, Source, SquareCb,
    Thompson, Threshold, TokenHeuristic, Uniform, Weighted,
};
use crate::catalog::{Catalog, ModelId};
use crate::units::Tokens;

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
        #[serde(default = "super::keywords::complex")]
        complex: Vec<String>,
        /// Words or phrases that lower the level by 1, each once.
        #[serde(default = "super::keywords::simple")]
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
    /// Inverse-gap weighting of utilities: see [`SquareCb`].
    #[serde(rename = "squarecb")]
    SquareCb {
        /// γ.
        gamma: f64,
        /// Share of probability that all eligible models divide at least, in `[0, 1]`.
        floor: f64,
    },
    /// Thompson sampling of utilities: see [`Thompson`].
    Thompson {
        /// Multiplies standard deviations.
        scale: f64,
        /// Share of probability that all eligible models divide at least, in `[0, 1]`.
        floor: f64,
    },
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
    super::keywords::LEVELS.0
}

fn strong_from() -> i32 {
    super::keywords::LEVELS.1
}

/// Why a specification cannot be built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// It names a model that the catalog lacks.
    #[error("policy names model {0}, which is not in the catalog")]
    UnknownModel(ModelId),
    /// Exploration outside its range.
    #[error("{0} must be in [0, 1], got {1}")]
    Share(&'static str, f64),
    /// A factor of exploration out of its range.
    #[error("{0} must be at least 0 and finite, got {1}")]
    Factor(&'static str, f64),
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
    /// The token heuristic between two models, with its default limit.
    pub fn token_heuristic(cheap: ModelId, strong: ModelId) -> Self {
        Self::TokenHeuristic { cheap, strong, tokens: heuristic_tokens() }
    }

    /// Keyword rules between two models, with their default phrases and levels.
    pub fn keywords(cheap: ModelId, strong: ModelId) -> Self {
        Self::Keywords {
            cheap,
            middle: None,
            strong,
            complex: super::keywords::complex(),
            simple: super::keywords::simple(),
            middle_from: middle_from(),
            strong_from: strong_from(),
        }
    }

    /// The weighted sum with its default weights, sources and refresh rates.
    pub fn weighted() -> Self {
        Self::Weighted {
            weights: PerFactor::default(),
            sources: PerFactor::default(),
            refresh: PerFactor::default(),
        }
    }

    /// The policy below exploration.
    pub fn base(&self) -> &Self {
        let mut policy = self;
        while let Self::EpsilonGreedy { base, .. } = policy {
            policy = base;
        }
        policy
    }

    /// Whether the policy decides without chance.
    pub fn is_deterministic(&self) -> bool {
        match self {
            Self::Fixed { .. }
            | Self::Threshold { .. }
            | Self::TokenHeuristic { .. }
            | Self::Keywords { .. }
            | Self::Weighted { .. }
            | Self::CostAware => true,
            Self::Uniform | Self::SquareCb { .. } => false,
            Self::Thompson { scale, floor } => *scale <= 0.0 && *floor <= 0.0,
            Self::EpsilonGreedy { epsilon, base } => *epsilon <= 0.0 && base.is_deterministic(),
        }
    }

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
            Self::SquareCb { gamma, floor } => Box::new(SquareCb {
                gamma: factor("gamma", *gamma)?,
                floor: share("floor", *floor)?,
            }),
            Self::Thompson { scale, floor } => Box::new(Thompson {
                scale: factor("scale", *scale)?,
                floor: share("floor", *floor)?,
            }),
            Self::EpsilonGreedy { epsilon, base } => {
                share("epsilon", *epsilon)?;
                Box::new(EpsilonGreedy { epsilon: *epsilon, base: base.build(catalog)? })
            }
        })
    }
}

fn share(name: &'static str, value: f64) -> Result<f64, PolicyError> {
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(PolicyError::Share(name, value)) }
}

fn factor(name: &'static str, value: f64) -> Result<f64, PolicyError> {
    let is_good = value >= 0.0 && value.is_finite();
    if is_good { Ok(value) } else { Err(PolicyError::Factor(name, value)) }
}
