//! The encoder on a small random model, and against what transformers says of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod errors;
mod parity;
mod texts;
mod tune;

use std::path::{Path, PathBuf};

use router_encoder::Encoder;

/// A random encoder of two blocks, written by `reference.py`.
fn tiny_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tiny")
}

fn tiny() -> Encoder {
    Encoder::open(tiny_folder().to_str().unwrap()).unwrap()
}

/// A copy of the small encoder that a test may spoil.
fn copy_of_tiny() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors", "vocab.txt"] {
        std::fs::copy(tiny_folder().join(name), folder.path().join(name)).unwrap();
    }
    folder
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn largest_gap(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
