use super::*;
use crate::calibration::Calibration;
use crate::predictor::Scratch;
use crate::request::RequestView;
use crate::testing::{manifest, random_linear_bytes, random_linear_parts};

fn error(bytes: &[u8]) -> String {
    Router::from_bytes(bytes).unwrap_err().to_string()
}

#[test]
fn a_router_survives_the_round_trip() {
    let parts = random_linear_parts(3, 2, 1);
    let view = RequestView::from_text("What is 2 + 2?\nA. 3\nB. 4");
    let before = Linear::new(parts.clone()).unwrap().predict(&view, &mut Scratch::default());
    let bytes = to_bytes(manifest(&["a", "b", "c"]), Weights::Linear(Box::new(parts))).unwrap();
    let router = Router::from_bytes(&bytes).unwrap();
    assert_eq!(router.predict(&view, &mut Scratch::default()), before);
    assert_eq!(router.version().len(), 16);
    assert_eq!(bytes, random_linear_bytes_named());
}

fn random_linear_bytes_named() -> Vec<u8> {
    let parts = random_linear_parts(3, 2, 1);
    to_bytes(manifest(&["a", "b", "c"]), Weights::Linear(Box::new(parts))).unwrap()
}

#[test]
fn calibrations_whose_scores_hardly_differ_survive_to_the_bit() {
    // A router that has learned nothing gives all requests nearly the same score.
    let mut score = 0.95_f64;
    let mut knots = vec![(score, 0.5)];
    for _ in 0..2_000 {
        score = score.next_up();
        knots.push((score, 0.5));
    }
    let mut parts = random_linear_parts(1, 0, 1);
    parts.calibrations[0] = Calibration::try_from(knots).unwrap();
    let manifest = manifest(&["a"]);
    let bytes = to_bytes(manifest, Weights::Linear(Box::new(parts.clone()))).unwrap();
    let router = Router::from_bytes(&bytes).unwrap();
    let PredictorSpec::Linear(spec) = &router.manifest().predictor else { unreachable!() };
    assert!(spec.calibrations == parts.calibrations);
}

#[test]
fn a_truncated_artifact_is_refused_at_every_length() {
    let bytes = random_linear_bytes(2, 0, 1);
    for len in [0, 7, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        let message = error(&bytes[..len]);
        assert!(message.starts_with("not a router artifact"), "{len}: {message}");
    }
}

/// Rewrites the manifest of an artifact without tensors.
fn with_manifest(edit: impl Fn(String) -> String) -> Vec<u8> {
    let constant = Constant { quality: vec![0.5], cost: vec![None], latency_ms: vec![None] };
    let mut manifest = manifest(&["a"]);
    manifest.predictor = PredictorSpec::Constant(constant);
    let json = edit(serde_json::to_string(&manifest).unwrap());
    let metadata = HashMap::from([(MANIFEST_KEY.to_owned(), json)]);
    let views: Vec<(&str, TensorView<'_>)> = Vec::new();
    safetensors::serialize(views, Some(metadata)).unwrap()
}

#[test]
fn what_it_does_not_know_is_refused() {
    assert!(Router::from_bytes(&with_manifest(|json| json)).is_ok());
    let newer = with_manifest(|json| json.replace("\"format_version\":1", "\"format_version\":2"));
    assert_eq!(error(&newer), "format_version must be 1, got 2: this program does not know it");
    let key = with_manifest(|json| json.replacen('{', "{\"new_key\":1,", 1));
    assert!(error(&key).contains("unknown field `new_key`"), "{}", error(&key));
    let kind = with_manifest(|json| json.replace("\"cost_aware\"", "\"oracle\""));
    assert!(error(&kind).contains("unknown variant `oracle`"), "{}", error(&kind));
    let lambda = with_manifest(|json| json.replace("\"lambda\":0.1", "\"lambda\":-1.0"));
    assert!(error(&lambda).contains("must be at least 0 and finite, got -1"), "{}", error(&lambda));
}

#[test]
fn weights_that_are_not_finite_or_misshapen_are_refused() {
    let mut parts = random_linear_parts(2, 0, 1);
    parts.weights[5] = f32::NAN;
    let refused = |parts: LinearParts| {
        to_bytes(manifest(&["a", "b"]), Weights::Linear(Box::new(parts))).unwrap_err().to_string()
    };
    assert!(refused(parts.clone()).contains("weights must be finite, got NaN or infinity at 5"));
    parts.weights[5] = 0.0;
    parts.bias.pop();
    assert!(refused(parts).contains("bias must have 3 numbers, got 2"));
}

#[test]
fn an_artifact_without_a_manifest_or_with_a_foreign_tensor_is_refused() {
    let data = [0u8; 4];
    let view = || vec![("stray", TensorView::new(Dtype::F32, vec![1], &data).unwrap())];
    let bytes = safetensors::serialize(view(), None).unwrap();
    assert_eq!(error(&bytes), "router manifest: there is none");
    let json = String::from_utf8(with_manifest(|json| json)[8..].to_vec()).unwrap();
    let value: serde_json::Value = serde_json::from_str(json.trim_end()).unwrap();
    let json = value["__metadata__"][MANIFEST_KEY].as_str().unwrap().to_owned();
    let metadata = HashMap::from([(MANIFEST_KEY.to_owned(), json)]);
    let bytes = safetensors::serialize(view(), Some(metadata)).unwrap();
    assert_eq!(error(&bytes), "tensor stray: is unknown to this program");
}
