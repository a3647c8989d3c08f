use super::part::{TaskPart, TaskProvenance};
use super::*;
use crate::artifact::ArtifactError;
use crate::testing::{random_linear_bytes, task_part};
use crate::{Ask, Router, Scratch, Tier};

fn classifier(weights: &[(&str, usize, i8)]) -> TaskParts {
    let mut parts = TaskParts {
        labels: ["fix", "tool_use", "write"].map(str::to_owned).to_vec(),
        heads: vec![0, 1, 2],
        bias: vec![0.0, 0.1, 0.2],
        scales: vec![0.5; N_TASK_BLOCKS * 3],
        buckets: (0..).take(N_TASK_BUCKETS).collect(),
        weights: vec![0; N_TASK_BUCKETS * 3],
        sharpness: 2.0,
        confidence: Calibration::identity(),
        min_confidence: 0.5,
        tool_label: Some("tool_use".to_owned()),
    };
    for (word, label, weight) in weights {
        // The first gram of a word is the word.
        let mut first = None;
        for_each_gram(&RequestView::from_text(word), &mut FeatureScratch::default(), |bucket| {
            first.get_or_insert(bucket);
        });
        parts.weights[first.unwrap() as usize * 3 + label] = *weight;
    }
    parts
}

fn predict(parts: TaskParts, view: &RequestView<'_>) -> TaskPrediction {
    Tasks::new(parts).unwrap().predict(view, &mut TaskScratch::default())
}

#[test]
fn scores_are_those_of_the_formula() {
    let parts = classifier(&[("bug", 0, 100), ("poem", 2, 40)]);
    // Words of "bug bug poem": bug twice, poem, "bug bug", "bug poem".
    let scores = Tasks::new(parts).unwrap().scores("bug bug poem", &mut TaskScratch::default());
    let twice = 1.0 + 2f32.ln();
    let length = (twice * twice + 3.0).sqrt();
    let expected = [0.5 * twice * 100.0 / length, 0.1, 0.2 + 0.5 * 40.0 / length];
    for (score, expected) in scores.iter().zip(expected) {
        assert!((score - expected).abs() < 1e-4, "{scores:?} {expected}");
    }
}

#[test]
fn an_uncertain_request_has_a_confidence_and_no_label() {
    let parts = classifier(&[("bug", 0, 20)]);
    let sure = predict(parts.clone(), &RequestView::from_text("bug"));
    assert_eq!(sure.label.as_deref(), Some("fix"));
    // exp(2·10) against exp(0.2) and exp(0.4).
    assert!(sure.probability > 0.999);
    let unsure = predict(parts, &RequestView::from_text("moon"));
    assert_eq!(unsure.label, None);
    let total = 1.0 + 0.2f64.exp() + 0.4f64.exp();
    assert!((unsure.probability - 0.4f64.exp() / total).abs() < 1e-6);
}

#[test]
fn tools_decide_for_tool_use_and_words_do_not() {
    let parts = classifier(&[("call", 1, 100)]);
    let text = RequestView::from_text("call");
    // All says tool_use, but there is no tool: the share of the other labels is small.
    let without = predict(parts.clone(), &text);
    assert!(without.label.is_none() && without.probability < 0.01, "{without:?}");
    let with = predict(parts, &RequestView { n_tools: 1, text: "bug", ..text });
    assert_eq!((with.label.as_deref(), with.probability), (Some("tool_use"), 1.0));
}

#[test]
fn parts_that_do_not_fit_are_refused_with_bound_and_value() {
    let good = classifier(&[]);
    let message = |change: fn(&mut TaskParts)| {
        let mut parts = good.clone();
        change(&mut parts);
        Tasks::new(parts).unwrap_err().to_string()
    };
    for (change, expected) in [
        (
            (|parts| parts.labels[1] = "fix".to_owned()) as fn(&mut TaskParts),
            "task labels must be 2 to 256 different names, got 3, 2 of them different",
        ),
        (|parts| parts.bias.truncate(2), "task bias must have 3 numbers, got 2"),
        (|parts| parts.scales[3] = f32::NAN, "task scales must be finite, got NaN"),
        (|parts| parts.sharpness = 0.0, "task sharpness must be above 0 and finite, got 0"),
        (|parts| parts.min_confidence = 1.5, "task min_confidence must be in [0, 1], got 1.5"),
        (
            |parts| parts.tool_label = Some("act".to_owned()),
            "task labels must be 2 to 256 different names, got no act for requests with tools",
        ),
    ] {
        assert_eq!(message(change), expected);
    }
}

#[test]
fn a_part_survives_its_bytes_alone_and_within_a_router() {
    let tasks = Tasks::new(classifier(&[("bug", 0, 90)])).unwrap();
    let part = TaskPart::new(tasks, TaskProvenance { n_prompts: 7, ..TaskProvenance::default() });
    assert_eq!(TaskPart::from_bytes(&part.to_bytes().unwrap()).unwrap(), part);
    let plain = random_linear_bytes(3, 2, 1);
    let carrying = part.carried_by(&plain).unwrap();
    let (before, after) =
        (Router::from_bytes(&plain).unwrap(), Router::from_bytes(&carrying).unwrap());
    assert_eq!(after.tasks(), Some(&part));
    assert_eq!(before.manifest(), after.manifest());
    assert_ne!(before.version(), after.version());
    // Another part replaces it, with nothing left of the first.
    let other = task_part(4);
    let again = Router::from_bytes(&other.carried_by(&carrying).unwrap()).unwrap();
    assert_eq!(again.tasks(), Some(&other));
    let [twice, once] = [&carrying, &plain].map(|bytes| other.carried_by(bytes).unwrap());
    assert!(twice == once, "other bytes");
}

#[test]
fn a_router_reports_the_task_of_the_part_it_carries_and_decides_as_before() {
    let tasks = Tasks::new(classifier(&[("bug", 0, 90)])).unwrap();
    let part = TaskPart::new(tasks, TaskProvenance::default());
    let plain = random_linear_bytes(3, 2, 1);
    let view = RequestView::from_text("bug");
    let [before, after] = [plain.clone(), part.carried_by(&plain).unwrap()].map(|bytes| {
        let router = Router::from_bytes(&bytes).unwrap();
        let mut scratch = Scratch::default();
        let mut rng = <rand_pcg::Pcg64 as rand::SeedableRng>::seed_from_u64(1);
        let ask = Ask::tier(Tier::Balanced);
        let decision = router.decide(&view, &ask, &mut scratch, &mut rng).unwrap();
        router.explain(&view, &decision, &mut scratch)
    });
    let label = |of: &crate::Explanation| of.task.clone().unwrap().label.unwrap();
    assert!(label(&before).starts_with("task_"));
    assert_eq!(label(&after), "fix");
    assert_eq!((before.model, before.candidates), (after.model, after.candidates));
}

#[test]
fn a_part_that_is_not_known_is_refused() {
    let bytes = task_part(1).to_bytes().unwrap();
    let error = |bytes: &[u8]| TaskPart::from_bytes(bytes).unwrap_err().to_string();
    assert!(error(&bytes[..bytes.len() - 1]).starts_with("not a router artifact"));
    let router = random_linear_bytes(2, 0, 1);
    assert!(error(&router).contains("is no part of a task classifier"));
    // A newer version, of the same length.
    let at = |needle: &str| {
        bytes.windows(needle.len()).position(|window| window == needle.as_bytes()).unwrap()
    };
    let key = "tasks_format_version\\\":1";
    let mut newer = bytes.clone();
    newer[at(key) + key.len() - 1] = b'2';
    let error = TaskPart::from_bytes(&newer).unwrap_err();
    assert!(matches!(error, ArtifactError::Version { found: 2, .. }), "{error}");
    let mut unknown = bytes.clone();
    let place = at("min_confidence");
    unknown[place] = b'M';
    assert!(TaskPart::from_bytes(&unknown).unwrap_err().to_string().contains("Min_confidence"));
}
