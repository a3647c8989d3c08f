//! What a fit runs with: defaults, then an experiment file, then the command line.

mod parts;

use datasets::{Folds, ModelSelection};
use serde::{Deserialize, Serialize};

use crate::auto::Choice;
use crate::bag::BagParams;
use crate::design::VectorizerParams;
use crate::learn::Learn;
use crate::neighbors::NeighborParams;
use crate::operating::Target;
use crate::parts::{Extra, FitParams};
use crate::policy::PolicyChoice;
use crate::ridge::RidgeParams;

/// An experiment, checked. It is written into the run folder and the artifact.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `target` | `retention=0.95` | operating point of the balanced tier | see [`Target`] |
/// | `models` | all | selection as in `--models` | |
/// | `reference` | best single model | what retention and cost ratios refer to | a model |
/// | `seed` | `0` | seed of everything random | |
/// | `cross_fit` | none | `fold` (the column), `5`, `5@SEED`, or `task`, `domain`, `task/5`, `domain/5`: see [`Folds`] | `[3, 20]` folds |
/// | `predictor` | `"stack"` | parts of a score: `auto`, or one of [`crate::auto::CANDIDATES`] | |
/// | `parts` | none | parts that are fitted beside the linear heads: see [`Extra`] | |
/// | `exploration` | `0` | share of requests drawn uniformly | `[0, 1]` |
/// | `policy` | `"cost_aware"` | how a model is drawn: a name, or a policy in full | see [`PolicyChoice`] |
/// | `penalties` | `[1, 3, 10, 30, 100, 300]` | L2 penalties to choose from | increasing, `(0, ∞)` |
/// | `iterations` | `12` | conjugate-gradient steps | `[1, 200]` |
/// | `min_df` | `2` | requests that an n-gram must occur in | `[1, ∞)` |
/// | `block_scales` | `[1, 1, 1]` | length of word, character and tool block | `[0, 100]` |
/// | `surface_scale` | `0.1` | scale of surface features | `(0, 100]` |
/// | `tool_scale` | `0.3` | the same for those of tool definitions | `(0, 100]` |
/// | `uncertainty_weight` | `0` | standard deviations of an expected quality that count against a model | `[0, 10]` |
/// | `learn` | `dr` | how a log is learned from | see [`Learn`] |
/// | `assume_propensities` | none | `fitted` takes a log without propensities | |
/// | `shuffle_labels` | `false` | negative control: see [`Problem::shuffle`](crate::problem::Problem::shuffle) | |
/// | `bag` | see [`BagParams`] | how the embedding bag is fitted; `seed` is added to its own | |
/// | `neighbors` | see [`NeighborParams`] | how nearest neighbors are fitted | |
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// Operating point of the balanced tier.
    pub target: String,
    /// Selection of models; `None` for all.
    pub models: Option<String>,
    /// The reference model; `None` for the best single one.
    pub reference: Option<String>,
    /// Seed.
    pub seed: u64,
    /// `fold` or a number; `None` for no fold routers.
    pub cross_fit: Option<String>,
    /// Share of requests drawn uniformly.
    pub exploration: f64,
    /// Parts of a score, or `auto`.
    pub predictor: String,
    /// How a model is drawn.
    pub policy: PolicyChoice,
    /// Parts that are fitted beside the linear heads.
    pub parts: Vec<Extra>,
    /// L2 penalties.
    pub penalties: Vec<f64>,
    /// Conjugate-gradient steps.
    pub iterations: usize,
    /// Requests that an n-gram must occur in.
    pub min_df: u32,
    /// Length of the blocks.
    pub block_scales: [f32; 3],
    /// Scale of surface features.
    pub surface_scale: f32,
    /// Scale of surface features of tool definitions.
    pub tool_scale: f32,
    /// κ of the objective.
    pub uncertainty_weight: f64,
    /// How a log is learned from.
    pub learn: Learn,
    /// What to assume where a log records no propensity; `None` to refuse it.
    pub assume_propensities: Option<Assume>,
    /// Whether this is the negative control.
    pub shuffle_labels: bool,
    /// How the embedding bag is fitted.
    pub bag: BagParams,
    /// How nearest neighbors are fitted.
    pub neighbors: NeighborParams,
}

/// What to assume where a log records no propensity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assume {
    /// Shares of similar requests: see [`crate::propensity`].
    Fitted,
}

impl std::str::FromStr for Assume {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fitted" => Ok(Self::Fitted),
            _ => Err(format!("assume_propensities must be fitted, got {text:?}")),
        }
    }
}

/// An experiment file, or the command line: whatever is absent keeps its value.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// See [`Config`].
    pub target: Option<String>,
    /// See [`Config`].
    pub models: Option<String>,
    /// See [`Config`].
    pub reference: Option<String>,
    /// See [`Config`].
    pub seed: Option<u64>,
    /// See [`Config`].
    pub cross_fit: Option<String>,
    /// See [`Config`].
    pub exploration: Option<f64>,
    /// See [`Config::predictor`].
    pub predictor: Option<String>,
    /// See [`Config::policy`].
    pub policy: Option<PolicyChoice>,
    /// See [`Config`].
    pub parts: Option<Vec<Extra>>,
    /// See [`Config`].
    pub penalties: Option<Vec<f64>>,
    /// See [`Config`].
    pub iterations: Option<usize>,
    /// See [`Config`].
    pub min_df: Option<u32>,
    /// See [`Config`].
    pub block_scales: Option<[f32; 3]>,
    /// See [`Config`].
    pub surface_scale: Option<f32>,
    /// See [`Config::tool_scale`].
    pub tool_scale: Option<f32>,
    /// See [`Config`].
    pub uncertainty_weight: Option<f64>,
    /// See [`Config`].
    pub learn: Option<Learn>,
    /// See [`Config`].
    pub assume_propensities: Option<Assume>,
    /// See [`Config`].
    pub shuffle_labels: Option<bool>,
    /// See [`Config`].
    pub bag: Option<BagParams>,
    /// See [`Config`].
    pub neighbors: Option<NeighborParams>,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, or an unknown key.
    #[error("{0}")]
    Syntax(String),
    /// A number out of range.
    #[error("{key} must be {bound}, got {value}")]
    Range {
        /// Which key.
        key: &'static str,
        /// Its range.
        bound: &'static str,
        /// What it is.
        value: String,
    },
    /// A text that cannot be read.
    #[error("{key}: {reason}")]
    Text {
        /// Which key.
        key: &'static str,
        /// Why.
        reason: String,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            target: "retention=0.95".to_owned(),
            models: None,
            reference: None,
            seed: 0,
            cross_fit: None,
            exploration: 0.0,
            predictor: "stack".to_owned(),
            policy: PolicyChoice::default(),
            parts: Vec::new(),
            penalties: vec![1.0, 3.0, 10.0, 30.0, 100.0, 300.0],
            iterations: 12,
            min_df: 2,
            block_scales: [1.0, 1.0, 1.0],
            surface_scale: 0.1,
            tool_scale: 0.3,
            uncertainty_weight: 0.0,
            learn: Learn::default(),
            assume_propensities: None,
            shuffle_labels: false,
            bag: BagParams::default(),
            neighbors: NeighborParams::default(),
        }
    }
}

impl Overrides {
    /// Reads an experiment file.
    ///
    /// # Errors
    ///
    /// If it is not TOML or has an unknown key.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            ConfigError::Syntax(format!("line {line}: {}", error.message()))
        })
    }
}

impl Config {
    /// The defaults with overrides, later ones first in right.
    ///
    /// # Errors
    ///
    /// If a value is out of range.
    pub fn resolve(overrides: impl IntoIterator<Item = Overrides>) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for given in overrides {
            set(&mut config.target, given.target);
            set(&mut config.seed, given.seed);
            set(&mut config.exploration, given.exploration);
            set(&mut config.predictor, given.predictor);
            set(&mut config.policy, given.policy);
            set(&mut config.parts, given.parts);
            set(&mut config.bag, given.bag);
            set(&mut config.neighbors, given.neighbors);
            set(&mut config.penalties, given.penalties);
            set(&mut config.iterations, given.iterations);
            set(&mut config.min_df, given.min_df);
            set(&mut config.block_scales, given.block_scales);
            set(&mut config.surface_scale, given.surface_scale);
            set(&mut config.tool_scale, given.tool_scale);
            set(&mut config.uncertainty_weight, given.uncertainty_weight);
            set(&mut config.learn, given.learn);
            set(&mut config.shuffle_labels, given.shuffle_labels);
            config.assume_propensities = given.assume_propensities.or(config.assume_propensities);
            config.models = given.models.or(config.models);
            config.reference = given.reference.or(config.reference);
            config.cross_fit = given.cross_fit.or(config.cross_fit);
        }
        config.check()?;
        Ok(config)
    }

    /// The operating point of the balanced tier.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn target(&self) -> Result<Target, ConfigError> {
        parse("target", &self.target)
    }

    /// Which parts of a score to use. The negative control goes without length: what is believed of
    /// it before any row would rank better than chance.
    ///
    /// # Errors
    ///
    /// If it is not a candidate.
    pub fn predictor(&self) -> Result<Choice, ConfigError> {
        match self.predictor.as_str() {
            stack if self.shuffle_labels && stack.starts_with("stack") => {
                parse("predictor", "ridge+task")
            }
            predictor => parse("predictor", predictor),
        }
    }

    /// The selection of models.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn selection(&self) -> Result<ModelSelection, ConfigError> {
        self.models.as_deref().map_or_else(|| Ok(ModelSelection::default()), |m| parse("models", m))
    }

    /// How to cut rows for fold routers, if they are wanted.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn folds(&self) -> Result<Option<Folds>, ConfigError> {
        let folds = self.cross_fit.as_deref().map(|text| parse("cross_fit", text)).transpose()?;
        match folds {
            Some(Folds::Hash(k) | Folds::Seeded(k, _)) if k > 20 => {
                Err(range("cross_fit", "at most 20 folds", k))
            }
            folds => Ok(folds),
        }
    }

    /// The numbers of the fit.
    pub fn fit_params(&self) -> FitParams {
        FitParams {
            vectorizer: VectorizerParams {
                min_df: self.min_df,
                block_scales: self.block_scales,
                surface_scale: self.surface_scale,
                tool_scale: self.tool_scale,
            },
            ridge: RidgeParams { penalties: self.penalties.clone(), n_iterations: self.iterations },
            bag: self.bag_params(),
            neighbors: self.fits(Extra::Neighbors).then_some(self.neighbors),
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.target()?;
        self.selection()?;
        self.predictor()?;
        self.folds()?;
        self.check_parts()?;
        if !(0.0..=1.0).contains(&self.exploration) {
            return Err(range("exploration", "in [0, 1]", self.exploration));
        }
        if !(0.0..=10.0).contains(&self.uncertainty_weight) {
            return Err(range("uncertainty_weight", "in [0, 10]", self.uncertainty_weight));
        }
        let increasing = self.penalties.windows(2).all(|pair| pair[0] < pair[1]);
        let positive = self.penalties.iter().all(|p| *p > 0.0 && p.is_finite());
        if self.penalties.is_empty() || !increasing || !positive {
            let value = format!("{:?}", self.penalties);
            return Err(range("penalties", "at least one, above 0 and increasing", value));
        }
        if !(1..=200).contains(&self.iterations) {
            return Err(range("iterations", "in [1, 200]", self.iterations));
        }
        if self.min_df < 1 {
            return Err(range("min_df", "at least 1", self.min_df));
        }
        if let Some(scale) = self.block_scales.iter().find(|s| !(0.0..=100.0).contains(*s)) {
            return Err(range("block_scales", "in [0, 100]", scale));
        }
        if !(self.surface_scale > 0.0 && self.surface_scale <= 100.0) {
            return Err(range("surface_scale", "in (0, 100]", self.surface_scale));
        }
        if !(self.tool_scale > 0.0 && self.tool_scale <= 100.0) {
            return Err(range("tool_scale", "in (0, 100]", self.tool_scale));
        }
        Ok(())
    }
}

fn set<T>(to: &mut T, from: Option<T>) {
    if let Some(from) = from {
        *to = from;
    }
}

fn range(key: &'static str, bound: &'static str, value: impl ToString) -> ConfigError {
    ConfigError::Range { key, bound, value: value.to_string() }
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
    key: &'static str,
    text: &str,
) -> Result<T, ConfigError> {
    text.parse().map_err(|error: T::Err| ConfigError::Text { key, reason: error.to_string() })
}

#[cfg(test)]
mod tests;
