//! From the model that a request names to the model that is asked: routed, static or explicit.

use std::cell::RefCell;
use std::sync::Arc;

use router_core::{
    Ask, Catalog, DecideError, Decision, Exclusion, ModelId, ModelSpec, Propensity, RequestView,
    Router, Scratch, Tier,
};
use serde_json::{Value, json};

use crate::app::App;
use crate::champion::Serving;
use crate::http::error::ApiError;
use crate::request::ChatRequest;

/// Policy of a request that named its model.
pub(crate) const EXPLICIT: &str = "explicit";

/// Policy of `auto` without a router.
pub(crate) const STATIC: &str = "static-fallback";

/// Output tokens that are reserved in a context window when the client sets no limit.
const RESERVED_OUTPUT_TOKENS: u64 = 256;

thread_local! {
    /// Reused buffers of predictions; a decision never crosses an await.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// How the model was chosen.
enum How {
    Explicit,
    Static { others: Vec<ModelSpec> },
    Routed(Box<Decision>),
}

/// The model for one request, and why.
pub(crate) struct Choice {
    /// The model that was drawn or named, as the serving catalog has it.
    pub(crate) model: ModelSpec,
    /// `None` if the model was named.
    pub(crate) tier: Option<Tier>,
    serving: Arc<Serving>,
    how: How,
}

/// The tier that a name asks for; `None` if it names a model.
pub(crate) fn tier_of(name: &str, default: Tier) -> Option<Tier> {
    match name.strip_prefix("auto") {
        Some("") => Some(default),
        Some(rest) => rest.strip_prefix(':').and_then(|tier| tier.parse().ok()),
        None => None,
    }
}

/// Chooses the model for a request. A named model is binding.
///
/// # Errors
///
/// If the model is unknown, or no model can serve the request.
pub(crate) fn choose(app: &App, request: &ChatRequest) -> Result<Choice, ApiError> {
    let serving = app.champion.serving();
    let Some(tier) = tier_of(&request.model, app.config.routing.default_tier) else {
        return explicit(app, &request.model, serving);
    };
    let Some(catalog) = &serving.catalog else {
        let message = "there are no models: add [[models]] to the configuration, or a router";
        return Err(ApiError::NoEligible(message.to_owned()));
    };
    if let Some(router) = &serving.router {
        match route(app, router, catalog, request, tier) {
            Ok(decision) => {
                // Eligible models are in the catalog, so the drawn one is.
                if let Some(model) = catalog.get(decision.model().as_str()) {
                    let model = model.clone();
                    let how = How::Routed(Box::new(decision));
                    return Ok(Choice { model, tier: Some(tier), serving, how });
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the router did not decide: static fallback");
            }
        }
    }
    fallback(app, request, tier, serving)
}

fn route(
    app: &App,
    router: &Router,
    catalog: &Catalog,
    request: &ChatRequest,
    tier: Tier,
) -> Result<Decision, DecideError> {
    let view = request.view();
    let eligible = |arm: &ModelSpec| match catalog.get(arm.id.as_str()) {
        Some(model) => can(app, model, &view).map_or(Ok(()), |why| Err(Exclusion(why))),
        None => Err(Exclusion("not in the server's catalog".to_owned())),
    };
    let ask = Ask { eligible: &eligible, ..Ask::tier(tier) };
    let mut rng = app.rng();
    SCRATCH.with_borrow_mut(|scratch| router.decide(&view, &ask, scratch, &mut rng))
}

fn explicit(app: &App, name: &str, serving: Arc<Serving>) -> Result<Choice, ApiError> {
    let model = serving.catalog.as_ref().and_then(|catalog| catalog.get(name)).cloned();
    let Some(model) = model else { return Err(ApiError::UnknownModel(name.to_owned())) };
    if upstream_of(app, &model).is_none() {
        let message =
            format!("model {name} has no upstream: add [upstreams.…] to the configuration");
        return Err(ApiError::NoEligible(message));
    }
    Ok(Choice { model, tier: None, serving, how: How::Explicit })
}

/// The configured fallback model, else the first of the catalog that can serve the request.
fn fallback(
    app: &App,
    request: &ChatRequest,
    tier: Tier,
    serving: Arc<Serving>,
) -> Result<Choice, ApiError> {
    let models = serving.catalog.as_ref().map(Catalog::models).unwrap_or_default();
    let first = app.config.routing.fallback_model.as_ref();
    let configured = models.iter().filter(|model| Some(&model.id) == first);
    let rest = models.iter().filter(|model| Some(&model.id) != first);
    let (mut able, mut reasons) = (Vec::new(), Vec::new());
    for model in configured.chain(rest) {
        match can(app, model, &request.view()) {
            None => able.push(model.clone()),
            Some(why) => reasons.push(format!("{} ({why})", model.id)),
        }
    }
    if able.is_empty() {
        let reasons = reasons.join(", ");
        return Err(ApiError::NoEligible(format!("no model can serve the request: {reasons}")));
    }
    let model = able.remove(0);
    Ok(Choice { model, tier: Some(tier), serving, how: How::Static { others: able } })
}

/// Why a model cannot serve a request, if it cannot.
fn can(app: &App, model: &ModelSpec, view: &RequestView<'_>) -> Option<String> {
    if upstream_of(app, model).is_none() {
        return Some("its upstream is not configured".to_owned());
    }
    if view.n_tools > 0 && !model.tools {
        return Some(format!("cannot use the {} tools of the request", view.n_tools));
    }
    let window = model.context_window?.0;
    let reserved = view.max_output_tokens.map_or(RESERVED_OUTPUT_TOKENS, |limit| limit.0);
    let needed = view.estimated_prompt_tokens().0.saturating_add(reserved);
    (window < needed)
        .then(|| format!("context window of {window} tokens is smaller than the {needed} needed"))
}

/// The name of the upstream that serves a model: its own, else the first.
pub(crate) fn upstream_of<'a>(app: &'a App, model: &ModelSpec) -> Option<&'a str> {
    let named = |name: &String| app.upstreams.get_key_value(name).map(|(name, _)| name);
    let name = match &model.upstream {
        Some(name) => named(name),
        None => app.upstreams.keys().next(),
    };
    name.map(String::as_str)
}

impl Choice {
    /// The probability of the draw; `None` if the model was named.
    pub(crate) fn propensity(&self) -> Option<Propensity> {
        match &self.how {
            How::Explicit => None,
            How::Static { .. } => Propensity::try_from(1.0).ok(),
            How::Routed(decision) => Some(decision.propensity()),
        }
    }

    /// The eligible models with their probabilities.
    pub(crate) fn pmf(&self) -> Vec<(ModelId, f64)> {
        match &self.how {
            How::Explicit => Vec::new(),
            How::Static { .. } => vec![(self.model.id.clone(), 1.0)],
            How::Routed(decision) => decision.pmf().to_vec(),
        }
    }

    /// Version of what decided.
    pub(crate) fn policy(&self) -> &str {
        match &self.how {
            How::Explicit => EXPLICIT,
            How::Static { .. } => STATIC,
            How::Routed(decision) => decision.policy(),
        }
    }

    /// In a few words.
    pub(crate) fn reason(&self) -> String {
        match &self.how {
            How::Explicit => "named by the client".to_owned(),
            How::Static { .. } => match &self.serving.trouble {
                Some(_) => "static fallback: no usable router".to_owned(),
                None => "static fallback: the router could not decide".to_owned(),
            },
            How::Routed(decision) => format!(
                "{} tier, lambda {:.4}, {} eligible",
                decision.tier(),
                decision.lambda(),
                decision.pmf().len()
            ),
        }
    }

    /// Expected quality and dollars of the drawn model.
    pub(crate) fn predicted(&self) -> (Option<f64>, Option<f64>) {
        let How::Routed(decision) = &self.how else { return (None, None) };
        let Some(arm) = decision.arm(decision.model()) else { return (None, None) };
        let prediction = decision.prediction();
        let quality = prediction.quality.get(arm).copied().filter(|quality| quality.is_finite());
        let cost = prediction.cost.get(arm).copied().flatten().filter(|cost| cost.is_finite());
        (quality, cost)
    }

    /// The next model after the ones that failed, best first; never one for a named model.
    pub(crate) fn next(&self, tried: &[ModelId]) -> Option<ModelSpec> {
        let untried = |id: &ModelId| !tried.contains(id);
        match &self.how {
            How::Explicit => None,
            How::Static { others } => others.iter().find(|model| untried(&model.id)).cloned(),
            How::Routed(decision) => {
                let candidates = decision.explanation().candidates;
                let next =
                    candidates.iter().map(|candidate| &candidate.model).find(|id| untried(id));
                self.serving.catalog.as_ref()?.get(next?.as_str()).cloned()
            }
        }
    }

    /// The reasons in full, in the shape of a router's explanation whoever decided.
    pub(crate) fn explanation(&self, request: &ChatRequest) -> Value {
        if let (How::Routed(decision), Some(router)) = (&self.how, &self.serving.router) {
            let view = request.view();
            let explanation =
                SCRATCH.with_borrow_mut(|scratch| router.explain(&view, decision, scratch));
            return json!(explanation);
        }
        json!({
            "model": self.model.id,
            "propensity": self.propensity(),
            "policy": self.policy(),
            "tier": self.tier,
            "lambda": null,
            "task": null,
            "complexity": null,
            "candidates": [],
            "excluded": [],
        })
    }
}
