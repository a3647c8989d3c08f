//! Features, predictor, policy and catalog together, ready to decide.

use rand::Rng;

use crate::catalog::{Catalog, ModelSpec};
use crate::decision::{self, Ask, DecideError, Decision, Draw, Exclusion};
use crate::explain::Explanation;
use crate::manifest::Manifest;
use crate::objective::{Objective, Tier};
use crate::policy::{Policy, PolicyError};
use crate::predictor::tasks::part::TaskPart;
use crate::predictor::{Prediction, Predictor, Scratch};
use crate::request::RequestView;

/// Output tokens that are reserved in a context window when the client sets no limit.
const RESERVED_OUTPUT_TOKENS: u64 = 256;

/// A router. It is immutable; a new one replaces it.
#[derive(Debug)]
pub struct Router {
    pub(crate) manifest: Manifest,
    pub(crate) predictor: Box<dyn Predictor>,
    pub(crate) tasks: Option<TaskPart>,
    policy: Box<dyn Policy>,
    version: String,
}

impl Router {
    /// Puts a router together. `version` names it in logs.
    ///
    /// # Errors
    ///
    /// If the policy does not fit the catalog.
    pub fn new(
        manifest: Manifest,
        predictor: Box<dyn Predictor>,
        version: String,
    ) -> Result<Self, PolicyError> {
        let policy = manifest.policy.build(&manifest.catalog)?;
        Ok(Self { manifest, predictor, tasks: None, policy, version })
    }

    /// The candidates; an arm is an index into them.
    pub fn catalog(&self) -> &Catalog {
        &self.manifest.catalog
    }

    /// What the artifact says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its name in logs: the beginning of the artifact's SHA-256.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The task classifier that it carries, if any.
    pub fn tasks(&self) -> Option<&TaskPart> {
        self.tasks.as_ref()
    }

    /// What to expect of each arm, and of the request; the task is that of the classifier that the
    /// router carries, else that of its predictor.
    pub fn predict(&self, view: &RequestView<'_>, scratch: &mut Scratch) -> Prediction {
        (scratch.n_unknown, scratch.n_grams) = (0, 0);
        let mut prediction = self.predictor.predict(view, scratch);
        if let Some(uncertainty) = &self.manifest.uncertainty {
            prediction.sd = uncertainty.sd(scratch.unknown_share());
        }
        if let Some(part) = &self.tasks {
            prediction.task = Some(part.tasks().predict(view, &mut scratch.tasks));
        }
        prediction
    }

    /// Whether its policy decides without chance, so that its log cannot value another policy.
    pub fn is_deterministic(&self) -> bool {
        self.manifest.policy.is_deterministic()
    }

    /// Decides: predicts, leaves out what is not eligible, and draws once from the policy.
    ///
    /// # Errors
    ///
    /// If no model is eligible, or λ is negative or not a number.
    pub fn decide(
        &self,
        view: &RequestView<'_>,
        ask: &Ask<'_>,
        scratch: &mut Scratch,
        rng: &mut impl Rng,
    ) -> Result<Decision, DecideError> {
        let objective = self.objective(ask)?;
        let tokens = view.estimated_prompt_tokens().0;
        let reserved = view.max_output_tokens.map_or(RESERVED_OUTPUT_TOKENS, |limit| limit.0);
        let exclude = |model: &ModelSpec| {
            capability(model, view, tokens.saturating_add(reserved))
                .or_else(|| (ask.eligible)(model).err())
        };
        let draw = Draw {
            catalog: self.catalog(),
            policy: &*self.policy,
            version: &self.version,
            tier: ask.tier,
            objective,
            request: view,
            signals: ask
                .signals
                .map_or_else(Vec::new, |known| self.catalog().models().iter().map(known).collect()),
            latency_target_ms: ask.latency_target_ms,
            prediction: self.predict(view, scratch),
            exclusions: self.catalog().models().iter().map(exclude).collect(),
        };
        decision::decide(draw, rng)
    }

    /// The reasons of a decision, with predicted quality divided into the predictor's parts.
    pub fn explain(
        &self,
        view: &RequestView<'_>,
        decision: &Decision,
        scratch: &mut Scratch,
    ) -> Explanation {
        decision.explanation_with(&self.predictor.parts(view, scratch))
    }

    fn objective(&self, ask: &Ask<'_>) -> Result<Objective, DecideError> {
        let tier = self.manifest.tiers.get(&ask.tier).copied();
        let lambda = ask.lambda.or(tier).unwrap_or(self.manifest.objective.lambda);
        if lambda.is_nan() || lambda < 0.0 {
            return Err(DecideError::Lambda(lambda));
        }
        let latency_weight = match ask.tier {
            Tier::Speed => self.manifest.speed_latency_weight,
            Tier::Cost | Tier::Balanced | Tier::Quality => self.manifest.objective.latency_weight,
        };
        Ok(Objective { lambda, latency_weight, ..self.manifest.objective })
    }
}

/// What the model cannot do for this request, if anything.
fn capability(model: &ModelSpec, view: &RequestView<'_>, tokens: u64) -> Option<Exclusion> {
    if view.n_tools > 0 && !model.tools {
        return Some(Exclusion(format!("cannot use the {} tools of the request", view.n_tools)));
    }
    match model.context_window {
        Some(window) if window.0 < tokens => Some(Exclusion(format!(
            "context window of {} tokens is smaller than the {tokens} needed",
            window.0
        ))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    use super::*;
    use crate::artifact::{Weights, to_bytes};
    use crate::catalog::ModelId;
    use crate::policy::{PolicySpec, Signals};
    use crate::predictor::Constant;
    use crate::testing::{manifest, random_linear_bytes, two_model_router};
    use crate::units::Tokens;

    fn decide(
        router: &Router,
        view: &RequestView<'_>,
        ask: &Ask<'_>,
    ) -> Result<Decision, DecideError> {
        router.decide(view, ask, &mut Scratch::default(), &mut Pcg64::seed_from_u64(1))
    }

    /// `large` has tools and a window of 1,000 tokens, `small` neither tools nor a limit.
    fn limited(policy: PolicySpec) -> Router {
        let mut manifest = manifest(&["large", "small"]);
        let mut models = manifest.catalog.models().to_vec();
        models[0].context_window = Some(Tokens(1000));
        models[1].tools = false;
        manifest.catalog = Catalog::new(String::new(), models).unwrap();
        manifest.policy = policy;
        let constant = Constant {
            quality: vec![0.9, 0.6],
            cost: vec![Some(0.01), Some(0.001)],
            latency_ms: vec![None, None],
        };
        Router::from_bytes(&to_bytes(manifest, Weights::Constant(constant)).unwrap()).unwrap()
    }

    #[test]
    fn what_a_model_cannot_do_excludes_it_with_the_reason() {
        let router = limited(PolicySpec::CostAware);
        let tools = RequestView { n_tools: 2, ..RequestView::from_text("weather?") };
        let decision = decide(&router, &tools, &Ask::tier(Tier::Cost)).unwrap();
        assert_eq!(decision.model().as_str(), "large");
        assert_eq!(decision.excluded()[0].1.0, "cannot use the 2 tools of the request");
        let long = RequestView { prompt_tokens: Some(Tokens(900)), ..RequestView::from_text("x") };
        let decision = decide(&router, &long, &Ask::tier(Tier::Quality)).unwrap();
        assert_eq!(decision.model().as_str(), "small");
        let reason = &decision.excluded()[0].1.0;
        assert_eq!(reason, "context window of 1000 tokens is smaller than the 1156 needed");
        let both = RequestView { n_tools: 1, ..long };
        let error = decide(&router, &both, &Ask::tier(Tier::Quality)).unwrap_err().to_string();
        assert!(error.starts_with("no model is eligible: large (context window"), "{error}");
    }

    #[test]
    fn a_model_that_the_caller_forbids_is_never_drawn() {
        let base = Box::new(PolicySpec::CostAware);
        let router = limited(PolicySpec::EpsilonGreedy { epsilon: 1.0, base });
        let forbid = |model: &ModelSpec| match model.id.as_str() {
            "small" => Err(Exclusion("not for this tenant".to_owned())),
            _ => Ok(()),
        };
        let mut rng = Pcg64::seed_from_u64(3);
        for _ in 0..1000 {
            let ask = Ask { eligible: &forbid, ..Ask::tier(Tier::Cost) };
            let view = RequestView::from_text("hello");
            let decision = router.decide(&view, &ask, &mut Scratch::default(), &mut rng).unwrap();
            assert_eq!(decision.model().as_str(), "large");
            assert!((decision.propensity().get() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn models_are_drawn_as_often_as_their_propensity_says() {
        let router = limited(PolicySpec::EpsilonGreedy {
            epsilon: 0.2,
            base: Box::new(PolicySpec::Fixed { model: ModelId::new("small").unwrap() }),
        });
        let mut rng = Pcg64::seed_from_u64(5);
        let view = RequestView::from_text("hello");
        let mut n_large = 0.0;
        for _ in 0..10_000 {
            let ask = Ask::tier(Tier::Balanced);
            let decision = router.decide(&view, &ask, &mut Scratch::default(), &mut rng).unwrap();
            let expected = if decision.model().as_str() == "large" { 0.1 } else { 0.9 };
            assert!((decision.propensity().get() - expected).abs() < 1e-12);
            n_large += f64::from(decision.model().as_str() == "large");
        }
        // Binomial(10000, 0.1): standard deviation 30.
        assert!((n_large - 1000.0).abs() < 150.0, "{n_large}");
    }

    #[test]
    fn a_short_request_without_tools_goes_to_the_cheap_model() {
        let id = |name: &str| ModelId::new(name).unwrap();
        let json = r#"{"kind": "token_heuristic", "cheap": "small", "strong": "large"}"#;
        let policy: PolicySpec = serde_json::from_str(json).unwrap();
        let (cheap, strong) = (id("small"), id("large"));
        assert_eq!(policy, PolicySpec::TokenHeuristic { cheap, strong, tokens: Tokens(500) });
        let router = limited(policy);
        assert!(router.is_deterministic());
        let ask = Ask::tier(Tier::Balanced);
        let of = |tokens: u64| RequestView {
            prompt_tokens: Some(Tokens(tokens)),
            ..RequestView::from_text("hello")
        };
        let (short, long) = (of(499), of(500));
        assert_eq!(decide(&router, &short, &ask).unwrap().model().as_str(), "small");
        let decision = decide(&router, &long, &ask).unwrap();
        assert_eq!(decision.model().as_str(), "large");
        let rule =
            "500 estimated prompt tokens (short: fewer than 500) and 0 tools: the strong model";
        assert_eq!(decision.explanation().rule.as_deref(), Some(rule));
        let tools = RequestView { n_tools: 1, ..short };
        assert_eq!(decide(&router, &tools, &ask).unwrap().model().as_str(), "large");
        // Too long for `large`, so the other one answers.
        assert_eq!(decide(&router, &of(5000), &ask).unwrap().model().as_str(), "small");
    }

    #[test]
    fn lambda_must_not_be_negative() {
        let ask = Ask { lambda: Some(-1.0), ..Ask::tier(Tier::Cost) };
        let error = decide(&two_model_router(), &RequestView::from_text(""), &ask).unwrap_err();
        assert_eq!(error.to_string(), "lambda must be at least 0, got -1");
    }

    #[test]
    fn a_weighted_decision_is_explained_by_its_factors() {
        let router = limited(serde_json::from_str(r#"{"kind": "weighted"}"#).unwrap());
        let signals = |model: &ModelSpec| Signals {
            success: (model.id.as_str() == "small").then_some(0.95),
            availability: Some(1.0),
        };
        let ask = Ask { signals: Some(&signals), ..Ask::tier(Tier::Balanced) };
        let view = RequestView::from_text("hello");
        let decision = decide(&router, &view, &ask).unwrap();
        assert_eq!(decision.model().as_str(), "small");
        let explanation = router.explain(&view, &decision, &mut Scratch::default());
        let small = &explanation.candidates[0];
        assert_eq!(small.model.as_str(), "small");
        let names: Vec<&str> = small.factors.iter().map(|f| f.factor.as_str()).collect();
        assert_eq!(names, ["complexity", "history", "cost", "latency", "availability"]);
        assert!((small.factors[1].value - 0.95).abs() < 1e-12);
        for candidate in &explanation.candidates {
            let weights: f64 = candidate.factors.iter().map(|factor| factor.weight).sum();
            let sum: f64 = candidate.factors.iter().map(|f| f.value * f.weight).sum();
            assert!((weights - 1.0).abs() < 1e-12 && (sum - candidate.utility).abs() < 1e-12);
        }
    }

    #[test]
    fn an_explanation_adds_up_to_the_utility() {
        let router = Router::from_bytes(&random_linear_bytes(4, 3, 9)).unwrap();
        let view = RequestView::from_text("Explain the proof of Fermat's little theorem.");
        let decision = decide(&router, &view, &Ask::tier(Tier::Balanced)).unwrap();
        let explanation = router.explain(&view, &decision, &mut Scratch::default());
        assert_eq!(explanation.candidates.len(), 4);
        assert_eq!(&explanation.candidates[0].model, decision.model());
        for candidate in &explanation.candidates {
            assert!(candidate.factors.iter().any(|factor| factor.factor == "characters"));
            let sum: f64 = candidate.factors.iter().map(|factor| factor.contribution).sum();
            // Scores are sums of a few hundred f32, exact to about 1e-6.
            assert!((sum - candidate.utility).abs() < 1e-5, "{sum} {}", candidate.utility);
            for factor in &candidate.factors {
                assert!((factor.value * factor.weight - factor.contribution).abs() < 1e-12);
            }
        }
    }
}
