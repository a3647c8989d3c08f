use super::super::tests::{catalog, prediction};
use super::super::{PolicySpec, Signals};
use super::*;
use crate::objective::Objective;
use crate::predictor::Prediction;
use crate::request::RequestView;

fn objective() -> Objective {
    Objective {
        lambda: 0.0,
        latency_weight: 0.0,
        reference_cost: 4.0,
        reference_latency_ms: 1000.0,
        uncertainty_weight: 0.0,
    }
}

fn with<T>(
    prediction: &Prediction,
    signals: &[Signals],
    latency_target_ms: Option<f64>,
    of: impl FnOnce(&Context<'_>) -> T,
) -> T {
    let (objective, request) = (objective(), RequestView::from_text("hello"));
    of(&Context {
        prediction,
        eligible: &[true; 3],
        objective: &objective,
        request: &request,
        signals,
        latency_target_ms,
    })
}

/// Qualities .5, .6, .9 and costs 1, 2, 4 at a complexity.
fn at(complexity: f64) -> Prediction {
    Prediction { complexity: Some(complexity), ..prediction([0.5, 0.6, 0.9]) }
}

#[test]
fn scores_are_as_by_hand() {
    let prediction = Prediction { latency_ms: vec![Some(500.0), None, Some(2000.0)], ..at(0.6) };
    let signals = [
        Signals { success: Some(0.7), availability: Some(0.5) },
        Signals::default(),
        Signals::default(),
    ];
    let scores = with(&prediction, &signals, None, |context| Weighted::default().scores(context));
    // History .7, .6, .9; strength 1/3, 0, 1; shortfall .6 − 1/3, .6, 0. Cost 3/4, 1/2, 0 of the
    // reference saved; latency 1/2, 0 (unknown as the slowest), 0.
    let right = [
        0.35 * (1.0 - 0.6 + 1.0 / 3.0) + 0.25 * 0.7 + 0.2 * 0.75 + 0.15 * 0.5 + 0.05 * 0.5,
        0.35 * 0.4 + 0.25 * 0.6 + 0.2 * 0.5 + 0.05,
        0.35 + 0.25 * 0.9 + 0.05,
    ];
    for (score, right) in scores.iter().zip(right) {
        assert!((score - right).abs() < 1e-12, "{scores:?}");
    }
    let hurried =
        with(&prediction, &signals, Some(4000.0), |context| Weighted::default().scores(context));
    // 1 − 2000/4000 of the target is left.
    assert!((hurried[2] - scores[2] - 0.15 * 0.5).abs() < 1e-12);
}

#[test]
fn complex_requests_go_to_the_strong_model_and_simple_ones_to_the_cheap() {
    let of = |complexity| {
        let chosen = |context: &Context<'_>| Weighted::default().distribution(context).at(0.0).0;
        with(&at(complexity), &[], None, chosen)
    };
    assert_eq!((of(0.0), of(1.0)), (0, 2));
}

#[test]
fn an_arm_that_is_down_loses_and_history_may_come_from_the_predictor() {
    let tied = Prediction { cost: vec![Some(1.0); 3], ..prediction([0.5; 3]) };
    let mut signals = [Signals { success: Some(0.0), availability: Some(0.0) }; 3];
    signals[1].availability = Some(1.0);
    with(&tied, &signals, None, |context| {
        assert_eq!(Weighted::default().distribution(context).at(0.0).0, 1);
        let sources = PerFactor { history: Source::Predictor, ..PerFactor::default() };
        let predicted = Weighted::new(PerFactor::default(), sources).unwrap().scores(context);
        let stored = Weighted::default().scores(context);
        assert!((predicted[1] - stored[1] - 0.25 * 0.5).abs() < 1e-12);
    });
}

#[test]
fn numbers_that_are_not_there_never_win() {
    let broken = Prediction {
        quality: vec![f64::NAN, 0.5, 0.5],
        cost: vec![None, Some(f64::NAN), Some(0.0)],
        complexity: Some(f64::NAN),
        ..prediction([0.5; 3])
    };
    with(&broken, &[], None, |context| {
        let scores = Weighted::default().scores(context);
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{scores:?}");
        assert_eq!(Weighted::default().distribution(context).at(0.0).0, 2);
    });
}

#[test]
fn a_specification_states_weights_sources_and_refresh() {
    let spec: PolicySpec = serde_json::from_str(r#"{"kind": "weighted"}"#).unwrap();
    let json = serde_json::to_value(&spec).unwrap();
    assert_eq!(json["weights"]["complexity"], 0.35);
    assert_eq!(json["sources"]["history"], "performance_store");
    assert_eq!(json["refresh"]["availability"], serde_json::json!({"seconds": 30}));
    assert_eq!(serde_json::from_value::<PolicySpec>(json).unwrap(), spec);
    let error = |rest: &str| {
        let json = format!(r#"{{"kind": "weighted", {rest}}}"#);
        let spec = serde_json::from_str::<PolicySpec>(&json).map_err(|error| error.to_string())?;
        spec.build(&catalog()).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(error(r#""weights": {"cost": 0.3, "latency": 0.05}"#), Ok(()));
    let refused = |rest, why: &str| {
        let error = error(rest).unwrap_err();
        assert!(error.contains(why), "{error}");
    };
    refused(r#""weights": {"cost": -0.2}"#, "weight of cost must be at least 0, got -0.2");
    refused(r#""weights": {"cost": 0.5}"#, "weights must sum to 1, got 1.3");
    refused(r#""sources": {"cost": "classifier"}"#, "cost cannot come from classifier");
    refused(r#""weights": {"color": 1.0}"#, "unknown field `color`");
    refused(r#""sources": {"cost": "moon"}"#, "unknown variant `moon`");
}
