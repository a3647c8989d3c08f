use super::*;
use crate::testing::manifest;

/// Quality of the answer: by how much dearer it was than expected; of the other one: 0.9.
fn cascade() -> Cascade {
    let mut weights = vec![0.0; N_SIGNALS];
    weights[4] = -2.0;
    Cascade {
        heads: Heads {
            answer: Head { bias: 0.0, weights },
            other: Head { bias: 9f64.ln(), weights: vec![0.0; N_SIGNALS] },
        },
        by_model: BTreeMap::new(),
        margin: 0.0,
        typical_length: BTreeMap::new(),
        first_ratio: 4.0,
        lambda: 0.2,
        reference_cost: 0.01,
        max_cost: None,
    }
}

/// `large` and `small`.
fn prediction() -> Prediction {
    Prediction {
        quality: vec![0.9, 0.6],
        score: vec![0.9, 0.6],
        cost: vec![Some(0.01), Some(0.001)],
        latency_ms: vec![None, None],
        ..Prediction::default()
    }
}

/// Calls with an offer of some models.
fn offered<T>(eligible: &[bool], lambda: f64, f: impl FnOnce(&Offer<'_>) -> T) -> T {
    let catalog = manifest(&["large", "small"]).catalog;
    f(&Offer {
        catalog: &catalog,
        prediction: &prediction(),
        eligible,
        lambda,
        uncertainty_weight: 0.0,
    })
}

fn judge(cascade: &Cascade, answered: &Answered<'_>, lambda: f64) -> Verdict {
    offered(&[true; 2], lambda, |offer| cascade.judge(offer, 1, answered, 0.001))
}

#[test]
fn the_first_call_pays_more_for_cost_than_the_second() {
    // 0.9 − 4λ against 0.6 − 0.4λ: the same at λ = 1/12.
    let first = |eligible: [bool; 2], lambda| offered(&eligible, lambda, |o| cascade().first(o));
    let both = [true; 2];
    assert_eq!((first(both, 0.08), first(both, 0.09)), (Some(0), Some(1)));
    assert_eq!(first([true, false], 9.0), Some(0));
    assert_eq!(first([false, false], 0.0), None);
}

#[test]
fn an_answer_is_kept_where_the_gain_is_below_the_price() {
    // As dear as expected: acceptance 1/2, gain 0.4.
    let usual = Answered { cost: Some(0.001), ..Answered::default() };
    let verdict = judge(&cascade(), &usual, 0.3);
    assert!((verdict.gain - 0.4).abs() < 1e-12 && (verdict.price - 0.3).abs() < 1e-12);
    assert_eq!(verdict.escalate_to, Some(0));
    assert_eq!(verdict.reason, "escalated: expected gain 0.400, price 0.300");
    assert_eq!(judge(&cascade(), &usual, 0.5).escalate_to, None);
    // Half as dear: acceptance 1 / (1 + exp(−2 ln 2)) = 0.8.
    let short = Answered { cost: Some(0.0005), ..Answered::default() };
    let verdict = judge(&cascade(), &short, 0.3);
    assert!((verdict.acceptance - 0.8).abs() < 1e-12);
    assert_eq!(verdict.escalate_to, None);
}

#[test]
fn heads_of_a_model_and_the_margin_count() {
    let usual = Answered { cost: Some(0.001), ..Answered::default() };
    let answer = Head { bias: 9f64.ln(), weights: vec![0.0; N_SIGNALS] };
    let heads = Heads { answer, ..cascade().heads };
    let by_model = BTreeMap::from([(ModelId::new("small").unwrap(), heads)]);
    let verdict = judge(&Cascade { by_model, ..cascade() }, &usual, 0.0);
    assert!(verdict.gain.abs() < 1e-12 && verdict.escalate_to.is_none());
    let verdict = judge(&Cascade { margin: 0.2, ..cascade() }, &usual, 0.1);
    assert!((verdict.price - 0.3).abs() < 1e-12 && verdict.escalate_to == Some(0));
    assert_eq!(judge(&Cascade { margin: 0.35, ..cascade() }, &usual, 0.1).escalate_to, None);
}

#[test]
fn what_is_no_answer_is_never_kept_unless_nothing_else_may_be_asked() {
    let empty = Answered { text: Some(""), ..Answered::default() };
    let verdict = judge(&cascade(), &empty, 100.0);
    assert_eq!(verdict.escalate_to, Some(0));
    assert_eq!(verdict.reason, "escalated: the answer is empty");
    let capped = Cascade { max_cost: Some(0.0105), ..cascade() };
    let verdict = judge(&capped, &empty, 0.0);
    assert_eq!(verdict.escalate_to, None);
    assert_eq!(verdict.reason, "accepted: no other model within what the request may cost");
    let enough = Cascade { max_cost: Some(0.011), ..cascade() };
    assert_eq!(judge(&enough, &empty, 0.0).escalate_to, Some(0));
}

#[test]
fn numbers_out_of_range_are_refused() {
    assert_eq!(cascade().check(), Ok(()));
    let error = |cascade: Cascade| cascade.check().unwrap_err().to_string();
    assert_eq!(
        error(Cascade { first_ratio: 0.5, ..cascade() }),
        "cascade first_ratio must be at least 1, got 0.5"
    );
    assert_eq!(
        error(Cascade { max_cost: Some(0.0), ..cascade() }),
        "cascade max_cost must be above 0, got 0"
    );
    let with = |answer| {
        let heads = Heads { answer, ..cascade().heads };
        Cascade { by_model: BTreeMap::from([(ModelId::new("small").unwrap(), heads)]), ..cascade() }
    };
    let head = Head { bias: 0.0, weights: vec![0.0; 3] };
    assert_eq!(error(with(head)), "cascade head must have 16 weights, got 3");
    let head = Head { bias: f64::NAN, weights: vec![0.0; N_SIGNALS] };
    assert_eq!(error(with(head)), "cascade weights must be finite, got NaN");
}

#[test]
fn a_run_asks_at_most_two_models() {
    let answer = |_| Answered { cost: Some(0.001), ..Answered::default() };
    let run = |of: [bool; 2], lambda| offered(&of, lambda, |offer| cascade().run(offer, answer));
    let both = [true; 2];
    assert_eq!((run(both, 0.3), run(both, 0.5), run(both, 0.01)), (vec![1, 0], vec![1], vec![0]));
    assert!(run([false; 2], 0.1).is_empty());
}

#[test]
fn a_file_is_read_back_and_another_version_is_refused() {
    let cut = crate::CrossFit { kind: crate::FoldKind::Fold, k: 5, seed: 0, held_out: 2 };
    let file = CascadeFile {
        format_version: CASCADE_FORMAT_VERSION,
        router: "abc".to_owned(),
        all: cascade(),
        folds: vec![FoldCascade { cross_fit: cut, cascade: cascade() }],
    };
    let text = serde_json::to_string(&file).unwrap();
    assert_eq!(CascadeFile::from_json(&text), Ok(file.clone()));
    assert!(file.held_out(2).is_some() && file.held_out(3).is_none());
    let error = |from: &str, to: &str| {
        CascadeFile::from_json(&text.replacen(from, to, 1)).unwrap_err().to_string()
    };
    assert_eq!(
        error("\"format_version\":1", "\"format_version\":9"),
        "cascade format_version must be 1, got 9"
    );
    assert_eq!(
        error("\"first_ratio\":4.0", "\"first_ratio\":0.0"),
        "cascade first_ratio must be at least 1, got 0"
    );
    assert!(error("\"lambda\"", "\"lambdas\"").contains("unknown field `lambdas`"));
}
