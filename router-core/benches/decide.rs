//! The time of a decision, features included, and of loading an artifact.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rand::SeedableRng;
use rand_pcg::Pcg64;
use router_core::testing::{
    random_bag_bytes, random_linear_bytes, random_neighbor_bytes, task_part, text,
};
use router_core::{Ask, RequestView, Router, Scratch, Tier};

fn decide(c: &mut Criterion) {
    let plain = random_linear_bytes(16, 8, 1);
    let carrying = task_part(1).carried_by(&plain).expect("valid bytes");
    decide_by(c, "16 models", &plain);
    decide_by(c, "16 models and tasks", &carrying);
    decide_by(c, "16 models and bag of 32", &random_bag_bytes(16, 8, 32, 1));
    decide_by(c, "16 models and bag of 64", &random_bag_bytes(16, 8, 64, 1));
    for n in [1_000, 5_000, 20_000] {
        let name = format!("16 models and {n} neighbors");
        decide_by(c, &name, &random_neighbor_bytes(16, 8, 32, n));
    }
}

fn decide_by(c: &mut Criterion, name: &str, bytes: &[u8]) {
    let router = Router::from_bytes(bytes).expect("valid bytes");
    let mut scratch = Scratch::default();
    let mut rng = Pcg64::seed_from_u64(1);
    for n_chars in [200, 500, 2_000, 8_000] {
        // A new text each time, so that caches see what a server sees.
        let texts: Vec<String> =
            (0..64).map(|i| format!("{i} {}", &text(n_chars + 64)[i..n_chars + i - 3])).collect();
        let mut next = 0;
        c.bench_function(&format!("decide/{name}/{n_chars} chars"), |b| {
            b.iter(|| {
                next = (next + 1) % texts.len();
                let view = RequestView::from_text(black_box(&texts[next]));
                router.decide(&view, &Ask::tier(Tier::Balanced), &mut scratch, &mut rng)
            });
        });
    }
}

fn load(c: &mut Criterion) {
    let bytes = random_linear_bytes(16, 8, 1);
    c.bench_function("load/16 models", |b| b.iter(|| Router::from_bytes(black_box(&bytes))));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50);
    targets = decide, load
}
criterion_main!(benches);
