//! One draw, with its probability and its reasons.

use rand::{Rng, RngExt};

use crate::catalog::{Catalog, ModelId, ModelSpec};
use crate::objective::{Objective, Tier};
use crate::policy::{ActionDistribution, Context, Policy, Reasons, Signals};
use crate::predictor::Prediction;
use crate::request::RequestView;
use crate::units::Propensity;

/// Why a model may not be drawn for a request, in words for people.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Exclusion(pub String);

/// Says of each model whether the caller lets it be drawn.
pub type Eligibility<'a> = dyn Fn(&ModelSpec) -> Result<(), Exclusion> + 'a;

/// Says of each model what the caller knows of it at the moment.
pub type Known<'a> = dyn Fn(&ModelSpec) -> Signals + 'a;

/// What the caller asks for.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The operating point.
    pub tier: Tier,
    /// λ instead of the tier's.
    pub lambda: Option<f64>,
    /// Governance, health and budget: which models the caller lets be drawn.
    pub eligible: &'a Eligibility<'a>,
    /// Recent success and availability of each model, for policies that weigh them.
    pub signals: Option<&'a Known<'a>>,
    /// Milliseconds that the answer may take, for policies that weigh them.
    pub latency_target_ms: Option<f64>,
}

impl std::fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ask {{ tier: {}, lambda: {:?} }}", self.tier, self.lambda)
    }
}

impl Ask<'_> {
    /// A tier, with every model allowed.
    pub fn tier(tier: Tier) -> Self {
        Self { tier, lambda: None, eligible: &|_| Ok(()), signals: None, latency_target_ms: None }
    }
}

/// Why nothing was decided.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecideError {
    /// Every model is excluded.
    #[error("no model is eligible: {}", list(.0))]
    NoneEligible(Vec<(ModelId, Exclusion)>),
    /// λ out of range.
    #[error("lambda must be at least 0, got {0}")]
    Lambda(f64),
}

fn list(excluded: &[(ModelId, Exclusion)]) -> String {
    let reasons: Vec<String> =
        excluded.iter().map(|(model, reason)| format!("{model} ({})", reason.0)).collect();
    reasons.join(", ")
}

/// One draw. Only the crate's `decide` makes one, so its propensity is right by construction.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub(crate) model: ModelId,
    pub(crate) propensity: Propensity,
    pub(crate) pmf: Vec<(ModelId, f64)>,
    pub(crate) policy: String,
    pub(crate) tier: Tier,
    pub(crate) objective: Objective,
    pub(crate) models: Vec<ModelId>,
    pub(crate) prediction: Prediction,
    pub(crate) reasons: Reasons,
    pub(crate) excluded: Vec<(ModelId, Exclusion)>,
}

impl Decision {
    /// The model that was drawn.
    pub fn model(&self) -> &ModelId {
        &self.model
    }

    /// How likely that was.
    pub fn propensity(&self) -> Propensity {
        self.propensity
    }

    /// The eligible models and their probabilities, which sum to 1.
    pub fn pmf(&self) -> &[(ModelId, f64)] {
        &self.pmf
    }

    /// Version of the router that decided.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// The operating point that was asked for.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// λ, as used.
    pub fn lambda(&self) -> f64 {
        self.objective.lambda
    }

    /// What was expected of each arm of the catalog.
    pub fn prediction(&self) -> &Prediction {
        &self.prediction
    }

    /// What was expected of one model.
    pub fn arm(&self, model: &ModelId) -> Option<usize> {
        self.models.binary_search(model).ok()
    }

    /// Models that could not be drawn, with the reason.
    pub fn excluded(&self) -> &[(ModelId, Exclusion)] {
        &self.excluded
    }
}

/// What a draw is made from.
pub(crate) struct Draw<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) policy: &'a dyn Policy,
    pub(crate) version: &'a str,
    pub(crate) tier: Tier,
    pub(crate) objective: Objective,
    pub(crate) request: &'a RequestView<'a>,
    pub(crate) signals: Vec<Signals>,
    pub(crate) latency_target_ms: Option<f64>,
    pub(crate) prediction: Prediction,
    pub(crate) exclusions: Vec<Option<Exclusion>>,
}

/// Draws a model, and records how likely it was.
pub(crate) fn decide(draw: Draw<'_>, rng: &mut impl Rng) -> Result<Decision, DecideError> {
    let models = draw.catalog.models();
    let eligible: Vec<bool> = draw.exclusions.iter().map(Option::is_none).collect();
    let with_id =
        |(model, reason): (&ModelSpec, Option<Exclusion>)| Some((model.id.clone(), reason?));
    let excluded: Vec<_> = models.iter().zip(draw.exclusions).filter_map(with_id).collect();
    if !eligible.contains(&true) {
        return Err(DecideError::NoneEligible(excluded));
    }
    let context = Context {
        prediction: &draw.prediction,
        eligible: &eligible,
        objective: &draw.objective,
        request: draw.request,
        signals: &draw.signals,
        latency_target_ms: draw.latency_target_ms,
    };
    let distribution: ActionDistribution = draw.policy.distribution(&context);
    let (arm, probability) = distribution.at(rng.random());
    let pmf = context
        .eligible_arms()
        .map(|arm| (models[arm].id.clone(), distribution.probabilities()[arm]))
        .collect();
    let reasons = draw.policy.reasons(&context);
    let propensity = Propensity::try_from(probability.min(1.0))
        .expect("a drawn arm has a probability above 0, since `at` skips the others");
    Ok(Decision {
        model: models[arm].id.clone(),
        propensity,
        pmf,
        policy: draw.version.to_owned(),
        tier: draw.tier,
        objective: draw.objective,
        models: models.iter().map(|model| model.id.clone()).collect(),
        prediction: draw.prediction,
        reasons,
        excluded,
    })
}
