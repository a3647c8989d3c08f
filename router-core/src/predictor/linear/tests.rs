use super::*;
use crate::features::{Block, FeatureScratch, raw_features, term_weight};
use crate::predictor::{Predictor, Scratch};
use crate::request::RequestView;
use crate::testing::random_linear_parts;

/// The formula of the module, written once more without any layout.
fn by_definition(parts: &LinearParts, view: &RequestView<'_>) -> Vec<f64> {
    let raw = raw_features(view, &mut FeatureScratch::default());
    let width = parts.width();
    let mut outputs: Vec<f64> = parts.bias.iter().map(|b| f64::from(*b)).collect();
    for block in Block::ALL {
        let grams: Vec<(usize, f64)> = raw
            .grams
            .iter()
            .filter(|(bucket, _)| Block::of(*bucket) == block)
            .filter_map(|(bucket, count)| {
                let row = parts.buckets.binary_search(bucket).ok()?;
                Some((row, f64::from(term_weight(*count) * parts.idf[row])))
            })
            .collect();
        let norm = grams.iter().map(|(_, value)| value * value).sum::<f64>().sqrt();
        for (row, value) in grams {
            let scale = f64::from(parts.block_scales[block.index()]) / norm;
            for (output, weight) in outputs.iter_mut().zip(&parts.weights[row * width..][..width]) {
                *output += scale * value * f64::from(*weight);
            }
        }
    }
    for (i, feature) in raw.surface.iter().enumerate() {
        let x = ((feature - parts.surface_mean[i]) * parts.surface_scale[i])
            .clamp(-SURFACE_CLIP, SURFACE_CLIP);
        for (output, weight) in outputs.iter_mut().zip(&parts.surface_weights[i * width..]) {
            *output += f64::from(x * weight);
        }
    }
    outputs
}

#[test]
fn the_fast_pass_equals_the_definition() {
    let mut parts = random_linear_parts(3, 2, 4);
    parts.task_effects.clear();
    // Some buckets without a row: they must count neither in sums nor in norms.
    let keep: Vec<usize> = (0..parts.buckets.len()).filter(|row| row % 3 != 0).collect();
    let width = parts.width();
    parts.weights =
        keep.iter().flat_map(|row| parts.weights[row * width..][..width].to_vec()).collect();
    parts.buckets = keep.iter().map(|row| u32::try_from(*row).unwrap()).collect();
    parts.idf = keep.iter().map(|row| 1.0 + (row % 7) as f32).collect();
    let linear = Linear::new(parts.clone()).unwrap();
    let view = RequestView {
        tool_schemas: r#"{"name": "get_weather", "properties": {"city": {}}}"#,
        n_tools: 1,
        ..RequestView::from_text("to be or not to be, that is the question: 12 + 30 = ?")
    };
    let mut scratch = Scratch::default();
    let expected = by_definition(&parts, &view);
    for _ in 0..2 {
        // Twice, since the scratch must be clean after use.
        let prediction = linear.predict(&view, &mut scratch);
        for (score, expected) in prediction.score.iter().zip(&expected) {
            assert!((score - expected).abs() < 1e-5, "{score} {expected}");
        }
    }
}

#[test]
fn tasks_are_a_softmax_and_shift_the_scores_by_their_effects() {
    let mut parts = random_linear_parts(2, 2, 4);
    parts.weights.fill(0.0);
    parts.surface_weights.fill(0.0);
    parts.bias = vec![0.5, 0.5, 0.25, 0.0, 3f32.ln()];
    parts.task_sharpness = 1.0;
    parts.task_effects = vec![0.4, 0.0, 0.0, 0.2];
    let linear = Linear::new(parts).unwrap();
    let prediction = linear.predict(&RequestView::from_text("any"), &mut Scratch::default());
    // Softmax of (0, ln 3) is (1/4, 3/4).
    let task = prediction.task.unwrap();
    assert_eq!(task.label.as_deref(), Some("task_1"));
    assert!((task.probability - 0.75).abs() < 1e-6);
    assert!((prediction.score[0] - 0.6).abs() < 1e-6);
    assert!((prediction.score[1] - 0.65).abs() < 1e-6);
    assert!((prediction.complexity.unwrap() - 0.25).abs() < 1e-6);
}

#[test]
fn buckets_out_of_order_or_range_are_refused() {
    let mut parts = random_linear_parts(1, 0, 4);
    parts.buckets.swap(3, 4);
    assert_eq!(Linear::new(parts.clone()).unwrap_err(), LinearError::Bucket(3));
    parts.buckets.swap(3, 4);
    let last = parts.buckets.len() - 1;
    parts.buckets[last] = 1 << 30;
    assert_eq!(Linear::new(parts).unwrap_err(), LinearError::Bucket(1 << 30));
}
