//! Time to encode prompts of so many tokens, alone and 32 at once, on one and two threads.
//!
//! The encoder has the shape of MiniLM-L6-H384 (22.7 M weights) and random weights, which take the
//! same time as fitted ones. `cargo bench -p router-encoder`; elements are tokens.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use router_encoder::{EmbedOptions, Encoder, Window};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

const HIDDEN: usize = 384;
const INNER: usize = 1536;
const N_LAYERS: usize = 6;
const N_VOCABULARY: usize = 30522;
const N_POSITIONS: usize = 512;

fn shapes() -> Vec<(String, Vec<usize>)> {
    let mut shapes: Vec<(String, Vec<usize>)> = [
        ("word_embeddings.weight", vec![N_VOCABULARY, HIDDEN]),
        ("position_embeddings.weight", vec![N_POSITIONS, HIDDEN]),
        ("token_type_embeddings.weight", vec![2, HIDDEN]),
        ("LayerNorm.weight", vec![HIDDEN]),
        ("LayerNorm.bias", vec![HIDDEN]),
    ]
    .into_iter()
    .map(|(name, shape)| (format!("embeddings.{name}"), shape))
    .collect();
    for layer in 0..N_LAYERS {
        for (name, shape) in [
            ("attention.self.query", vec![HIDDEN, HIDDEN]),
            ("attention.self.key", vec![HIDDEN, HIDDEN]),
            ("attention.self.value", vec![HIDDEN, HIDDEN]),
            ("attention.output.dense", vec![HIDDEN, HIDDEN]),
            ("attention.output.LayerNorm", vec![HIDDEN]),
            ("intermediate.dense", vec![INNER, HIDDEN]),
            ("output.dense", vec![HIDDEN, INNER]),
            ("output.LayerNorm", vec![HIDDEN]),
        ] {
            let bias = vec![shape[0]];
            shapes.push((format!("encoder.layer.{layer}.{name}.weight"), shape));
            shapes.push((format!("encoder.layer.{layer}.{name}.bias"), bias));
        }
    }
    shapes
}

/// Numbers of about 0.05, around 1 for the scales of norms.
fn numbers(name: &str, n: usize) -> Vec<u8> {
    let center = if name.ends_with("LayerNorm.weight") { 1.0f32 } else { 0.0 };
    let mut state = 1u32;
    let mut number = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        center + 0.1 * ((state >> 8) as f32 / 16_777_216.0 - 0.5)
    };
    (0..n).flat_map(|_| number().to_le_bytes()).collect()
}

fn write(folder: &Path) {
    let config = serde_json::json!({
        "model_type": "bert", "hidden_size": HIDDEN, "num_hidden_layers": N_LAYERS,
        "num_attention_heads": 12, "intermediate_size": INNER, "vocab_size": N_VOCABULARY,
        "max_position_embeddings": N_POSITIONS, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(str::to_owned);
    let words = (special.len()..N_VOCABULARY).map(|at| format!("w{at}"));
    let vocabulary: Vec<String> = special.iter().cloned().chain(words).collect();
    std::fs::write(folder.join("vocab.txt"), vocabulary.join("\n")).unwrap();
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = shapes()
        .into_iter()
        .map(|(name, shape)| {
            let bytes = numbers(&name, shape.iter().product());
            (name, shape, bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    let bytes = safetensors::serialize(views, None).unwrap();
    std::fs::write(folder.join("model.safetensors"), bytes).unwrap();
}

/// A text of so many tokens, `[CLS]` and `[SEP]` included.
fn text(n_tokens: usize, seed: usize) -> String {
    let word = |at: usize| format!("w{}", 4 + (seed * 977 + at * 31) % (N_VOCABULARY - 4));
    (2..n_tokens).map(word).collect::<Vec<_>>().join(" ")
}

fn benches(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let name = folder.path().to_str().unwrap();
    criterion
        .benchmark_group("open")
        .sample_size(10)
        .bench_function("minilm", |b| b.iter(|| Encoder::open(black_box(name)).unwrap()));
    let encoder = Encoder::open(name).unwrap();
    let options = EmbedOptions { max_tokens: 512, window: Window::Head };
    for n_threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let mut group = criterion.benchmark_group(format!("embed/{n_threads}-threads"));
        group.sample_size(10).measurement_time(Duration::from_secs(3));
        for (n_texts, n_tokens) in [(1, 32), (1, 128), (1, 256), (32, 32), (32, 128), (32, 256)] {
            let texts: Vec<String> = (0..n_texts).map(|seed| text(n_tokens, seed)).collect();
            group.throughput(Throughput::Elements((n_texts * n_tokens) as u64));
            group.bench_with_input(
                BenchmarkId::new(format!("{n_texts}-texts"), n_tokens),
                &texts,
                |b, texts| {
                    b.iter(|| pool.install(|| encoder.embed(black_box(texts), &options).unwrap()));
                },
            );
        }
    }
}

criterion_group!(all, benches);
criterion_main!(all);
