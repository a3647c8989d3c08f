use proptest::prelude::*;

use super::*;
use crate::catalog::{Catalog, ModelId, ModelSpec};
use crate::units::Tokens;

pub(super) fn catalog() -> Catalog {
    let named = |name: &str| ModelSpec::named(ModelId::new(name).unwrap());
    Catalog::new(String::new(), vec![named("a"), named("b"), named("c")]).unwrap()
}

fn specs() -> Vec<PolicySpec> {
    let id = |name: &str| ModelId::new(name).unwrap();
    let greedy = PolicySpec::EpsilonGreedy { epsilon: 0.3, base: Box::new(PolicySpec::CostAware) };
    vec![
        PolicySpec::Fixed { model: id("b") },
        PolicySpec::Uniform,
        PolicySpec::Threshold { weak: id("a"), strong: id("c"), uplift: 0.1 },
        PolicySpec::CostAware,
        greedy,
        PolicySpec::TokenHeuristic { cheap: id("a"), strong: id("c"), tokens: Tokens(500) },
        keywords(r#""middle": "b""#),
        serde_json::from_str(r#"{"kind": "weighted"}"#).unwrap(),
        PolicySpec::SquareCb { gamma: 10.0, floor: 0.06 },
        PolicySpec::Thompson { scale: 1.0, floor: 0.06 },
    ]
}

fn keywords(rest: &str) -> PolicySpec {
    let json = format!(r#"{{"kind": "keywords", "cheap": "a", "strong": "c", {rest}}}"#);
    serde_json::from_str(&json).unwrap()
}

pub(super) fn prediction(score: [f64; 3]) -> Prediction {
    Prediction {
        quality: score.to_vec(),
        score: score.to_vec(),
        cost: vec![Some(1.0), Some(2.0), Some(4.0)],
        latency_ms: vec![None; 3],
        ..Prediction::default()
    }
}

fn objective(lambda: f64) -> Objective {
    Objective {
        lambda,
        latency_weight: 0.0,
        reference_cost: 4.0,
        reference_latency_ms: 1.0,
        uncertainty_weight: 0.0,
    }
}

fn probabilities(spec: &PolicySpec, score: [f64; 3], lambda: f64, eligible: [bool; 3]) -> Vec<f64> {
    decide(spec, "hello", score, lambda, eligible).0
}

fn decide(
    spec: &PolicySpec,
    text: &str,
    score: [f64; 3],
    lambda: f64,
    eligible: [bool; 3],
) -> (Vec<f64>, Reasons) {
    let (prediction, objective) = (prediction(score), objective(lambda));
    let request = RequestView::from_text(text);
    let context = Context {
        prediction: &prediction,
        eligible: &eligible,
        objective: &objective,
        request: &request,
        signals: &[],
        latency_target_ms: None,
    };
    let policy = spec.build(&catalog()).unwrap();
    (policy.distribution(&context).probabilities().to_vec(), policy.reasons(&context))
}

#[test]
fn inverse_gap_weighting_draws_by_utility_gaps_above_the_floor() {
    let spec = PolicySpec::SquareCb { gamma: 20.0, floor: 0.06 };
    // Utilities 0.9 − 0.2·1/4, 0.6 − 0.2·2/4, 0.7 − 0.2·4/4: gaps 0, 0.35 and 0.35.
    let of = |eligible| probabilities(&spec, [0.9, 0.6, 0.7], 0.2, eligible);
    let loser = 1.0 / (3.0 + 20.0 * 0.35);
    for (p, expected) in of([true; 3]).iter().zip([1.0 - 2.0 * loser, loser, loser]) {
        assert!((p - expected).abs() < 1e-12);
    }
    assert!((of([false, true, true])[1] - 0.5).abs() < 1e-12);
    let greedy = PolicySpec::SquareCb { gamma: 1e9, floor: 0.06 };
    let p = probabilities(&greedy, [0.9, 0.6, 0.7], 0.2, [true; 3]);
    assert!((p[1] - 0.02).abs() < 1e-9 && (p[0] - 0.96).abs() < 1e-6, "{p:?}");
}

#[test]
fn thompson_draws_by_how_likely_each_model_is_the_best() {
    let (mut prediction, objective) = (prediction([0.9, 0.8, 0.1]), objective(0.0));
    prediction.sd = vec![0.03, 0.04, 0.01];
    let request = RequestView::from_text("hello");
    let of = |scale: f64, eligible: [bool; 3]| {
        let context = Context {
            prediction: &prediction,
            eligible: &eligible,
            objective: &objective,
            request: &request,
            signals: &[],
            latency_target_ms: None,
        };
        let spec = PolicySpec::Thompson { scale, floor: 0.0 };
        spec.build(&catalog()).unwrap().distribution(&context).probabilities().to_vec()
    };
    // Φ(0.1 / 0.05) = 0.97725.
    let p = of(1.0, [true, true, false]);
    assert!((p[0] - 0.977_249_868).abs() < 1e-8 && (p[1] - 0.022_750_132).abs() < 1e-8, "{p:?}");
    assert_eq!(of(0.0, [true; 3]), [1.0, 0.0, 0.0]);
    for (field, value) in [("gamma", -1.0), ("floor", 1.5)] {
        let (gamma, floor) = if field == "gamma" { (value, 0.0) } else { (1.0, value) };
        let error =
            PolicySpec::SquareCb { gamma, floor }.build(&catalog()).unwrap_err().to_string();
        assert!(error.starts_with(field) && error.ends_with(&format!("got {value}")), "{error}");
    }
}

#[test]
fn each_policy_does_what_its_name_says() {
    let all = [true; 3];
    let of = |i: usize, score, lambda| probabilities(&specs()[i], score, lambda, all);
    assert_eq!(of(0, [0.9, 0.1, 0.2], 0.0), [0.0, 1.0, 0.0]);
    assert_eq!(of(2, [0.5, 0.0, 0.55], 0.0), [1.0, 0.0, 0.0]);
    assert_eq!(of(2, [0.5, 0.0, 0.65], 0.0), [0.0, 0.0, 1.0]);
    // 0.5 − 0.25λ, 0.6 − 0.5λ, 0.8 − λ: the dear arm wins at λ = 0, the middle one never, the
    // cheap one from λ = 0.4 on.
    assert_eq!(of(3, [0.5, 0.6, 0.8], 0.0), [0.0, 0.0, 1.0]);
    assert_eq!(of(3, [0.5, 0.6, 0.8], 0.41), [1.0, 0.0, 0.0]);
    assert_eq!(of(3, [0.5, 0.6, 0.8], f64::INFINITY), [1.0, 0.0, 0.0]);
    let explored = of(4, [0.5, 0.6, 0.8], 0.0);
    assert!((explored[0] - 0.1).abs() < 1e-12 && (explored[2] - 0.8).abs() < 1e-12, "{explored:?}");
}

#[test]
fn a_tie_goes_to_the_cheaper_arm() {
    assert_eq!(
        probabilities(&PolicySpec::CostAware, [0.5; 3], 0.0, [false, true, true]),
        [0.0, 1.0, 0.0]
    );
}

#[test]
fn a_score_that_is_not_a_number_is_worst() {
    assert_eq!(
        probabilities(&PolicySpec::CostAware, [f64::NAN, 0.1, 0.0], 0.0, [true; 3]),
        [0.0, 1.0, 0.0]
    );
}

#[test]
fn a_specification_that_cannot_work_is_refused() {
    let unknown = PolicySpec::Fixed { model: ModelId::new("z").unwrap() };
    assert!(unknown.build(&catalog()).is_err());
    let epsilon = PolicySpec::EpsilonGreedy { epsilon: 1.5, base: Box::new(PolicySpec::Uniform) };
    let error = epsilon.build(&catalog()).unwrap_err().to_string();
    assert_eq!(error, "epsilon must be in [0, 1], got 1.5");
}

#[test]
fn keywords_choose_one_of_three_models_by_level() {
    let spec = keywords(r#""middle": "b""#);
    let of = |text: &str, eligible| decide(&spec, text, [0.0; 3], 0.0, eligible);
    let all = [true; 3];
    assert_eq!(of("hello", all).0, [1.0, 0.0, 0.0]);
    assert_eq!(of("Prove it", all).0, [0.0, 1.0, 0.0]);
    let (strong, reasons) = of("Prove the theorem, thanks, step by step", all);
    assert_eq!(strong, [0.0, 0.0, 1.0]);
    let rule = "complex: prove, step by step, theorem; simple: thanks; level 2: the strong model";
    assert_eq!(reasons.rule.as_deref(), Some(rule));
    // The next stronger, then the next weaker.
    assert_eq!(of("Prove it", [true, false, true]).0, [0.0, 0.0, 1.0]);
    assert_eq!(of("Prove the theorem", [true, true, false]).0, [0.0, 1.0, 0.0]);
    let own = keywords(r#""complex": ["Fußball  WM"], "simple": [], "strong_from": 1"#);
    let own = |text| decide(&own, text, [0.0; 3], 0.0, all).0;
    assert_eq!(own("fußball wm?"), [0.0, 0.0, 1.0]);
    assert_eq!(own("prove the theorem"), [1.0, 0.0, 0.0]);
}

#[test]
fn keywords_that_cannot_work_are_refused() {
    let error = |rest| keywords(rest).build(&catalog()).unwrap_err().to_string();
    assert_eq!(
        error(r#""middle": "b", "middle_from": 3"#),
        "middle_from must be below strong_from (2), got 3"
    );
    assert!(error(r#""simple": [" "]"#).starts_with("a keyword must have a character"));
    let unknown = r#"{"kind": "keywords", "cheap": "a", "strong": "c", "words": []}"#;
    assert!(serde_json::from_str::<PolicySpec>(unknown).is_err());
}

proptest! {
    #[test]
    fn distributions_sum_to_one_and_leave_out_what_is_not_eligible(
        score in prop::array::uniform3(-1.0f64..2.0),
        lambda in 0.0f64..10.0,
        eligible in prop::array::uniform3(any::<bool>()).prop_filter("one", |e| e.contains(&true)),
        u in 0.0f64..1.0,
    ) {
        for spec in specs() {
            let p = probabilities(&spec, score, lambda, eligible);
            prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(p.iter().zip(eligible).all(|(p, e)| *p >= 0.0 && (e || *p == 0.0)));
            let (arm, propensity) = ActionDistribution(p.clone()).at(u);
            prop_assert!(eligible[arm] && propensity > 0.0 && p[arm].to_bits() == propensity.to_bits());
        }
    }
}

#[test]
fn a_mixture_is_deterministic_only_if_nothing_of_it_is_random() {
    let mixed = |epsilon: f64, base: PolicySpec| {
        PolicySpec::EpsilonGreedy { epsilon, base: Box::new(base) }.is_deterministic()
    };
    assert!(mixed(0.0, PolicySpec::CostAware));
    assert!(!mixed(0.1, PolicySpec::CostAware));
    assert!(!mixed(0.0, PolicySpec::Uniform));
}
