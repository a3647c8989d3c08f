//! Equal to the reference, to rounding.

use router_encoder::{EmbedOptions, Window};
use serde::Deserialize;

use crate::{copy_of_tiny, cosine, largest_gap, tiny};

/// One reference embedding.
#[derive(Deserialize)]
struct Case {
    text: String,
    max_tokens: usize,
    n_tokens: usize,
    embedding: Vec<f32>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../tiny.json")).unwrap()
}

#[test]
fn embeddings_are_those_of_transformers() {
    let encoder = tiny();
    let cases = cases();
    assert!(cases.len() >= 20 && cases.iter().any(|case| case.n_tokens == case.max_tokens));
    for Case { text, max_tokens, embedding, .. } in &cases {
        let options = EmbedOptions { max_tokens: *max_tokens, window: Window::Head };
        let found = encoder.embed(&[text], &options).unwrap();
        let gap = largest_gap(&found, embedding);
        assert!(gap < 1e-5, "{text:?} at {max_tokens} tokens differs by {gap}");
    }
}

#[test]
fn a_batch_says_what_each_text_says_alone_in_any_order_and_on_any_number_of_threads() {
    let encoder = tiny();
    let texts: Vec<String> = cases().into_iter().map(|case| case.text).collect();
    let options = EmbedOptions { max_tokens: 64, window: Window::Head };
    let n = encoder.n_dimensions();
    let alone: Vec<f32> =
        texts.iter().flat_map(|text| encoder.embed(&[text], &options).unwrap()).collect();
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    // Many texts, so that there are several chunks.
    let many: Vec<&String> = texts.iter().rev().cycle().take(50 * texts.len()).collect();
    let one = pool(1).install(|| encoder.embed(&many, &options).unwrap());
    let three = pool(3).install(|| encoder.embed(&many, &options).unwrap());
    assert!(one == three, "threads change nothing, to the bit");
    for (at, row) in one.chunks_exact(n).enumerate() {
        let text = texts.len() - 1 - at % texts.len();
        let gap = largest_gap(row, &alone[text * n..][..n]);
        assert!(gap < 1e-6, "row {at} differs by {gap}");
    }
}

#[test]
fn half_precision_weights_say_nearly_the_same() {
    let folder = copy_of_tiny();
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let halves: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, view)| {
            // The upper half of an f32 is a bf16, rounded towards 0.
            let half = view.data().chunks_exact(4).flat_map(|b| [b[2], b[3]]).collect();
            (name.to_owned(), view.shape().to_vec(), half)
        })
        .collect();
    let views = halves.iter().map(|(name, shape, bytes)| {
        let dtype = safetensors::Dtype::BF16;
        (name, safetensors::tensor::TensorView::new(dtype, shape.clone(), bytes).unwrap())
    });
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    let halved = router_encoder::Encoder::open(folder.path().to_str().unwrap()).unwrap();
    let text = ["What is the area of a?"];
    let options = EmbedOptions::default();
    let (exact, half) =
        (tiny().embed(&text, &options).unwrap(), halved.embed(&text, &options).unwrap());
    let gap = 1.0 - cosine(&exact, &half);
    assert!((1e-9..3e-3).contains(&gap), "{gap}");
}
