//! The median and the 99th percentile of single decisions, features included.
//!
//! `cargo bench -p router-core --bench p50`. Where a machine is shared, these say more than means:
//! most decisions are too short to be interrupted.

#![expect(clippy::print_stdout, reason = "results")]

use std::hint::black_box;
use std::time::Instant;

use rand::SeedableRng;
use rand_pcg::Pcg64;
use router_core::predictor::{NeighborParts, NeighborScratch};
use router_core::testing::{
    random_bag_bytes, random_linear_bytes, random_neighbor_bytes, random_neighbors, text,
};
use router_core::{Ask, RequestView, Router, Scratch, Tier};

const N_DECISIONS: usize = 20_000;

fn main() {
    searches();
    for (name, bytes) in [
        ("16 models", random_linear_bytes(16, 8, 1)),
        ("16 models and bag of 32", random_bag_bytes(16, 8, 32, 1)),
        ("16 models and bag of 64", random_bag_bytes(16, 8, 64, 1)),
        ("16 models and 1,000 neighbors", random_neighbor_bytes(16, 8, 32, 1_000)),
        ("16 models and 3,000 neighbors", random_neighbor_bytes(16, 8, 32, 3_000)),
        ("16 models and 20,000 neighbors", random_neighbor_bytes(16, 8, 32, 20_000)),
    ] {
        let router = Router::from_bytes(&bytes).expect("valid bytes");
        for n_chars in [500, 2_000] {
            let [half, most] = percentiles(&router, n_chars);
            println!("{name:<32} {n_chars:>5} chars  p50 {half:>6.1} µs  p99 {most:>6.1} µs");
        }
    }
}

/// A search of all points and one of an eighth of the clusters: where the index pays.
fn searches() {
    for n in [1_000u32, 2_000, 3_000, 5_000, 10_000, 20_000] {
        let some = random_neighbors(16, 32, n, 1);
        let centers = some.centers[..32].to_vec();
        let all = NeighborParts { starts: vec![0, n], centers, ..some.clone() };
        let [all, some] = [all, some].map(|parts| search(&parts));
        println!("{n:>6} points, p50 of a search of all {all:>6.1} µs, of some {some:>6.1} µs");
    }
}

/// The median, in microseconds.
#[expect(clippy::disallowed_methods, reason = "time is what is measured")]
fn search(parts: &NeighborParts) -> f64 {
    let (mut scratch, mut outputs) = (NeighborScratch::default(), vec![0.0; 16]);
    let mut times: Vec<f64> = (0u16..3_000)
        .map(|i| {
            let units: Vec<f32> =
                (0u16..32).map(|d| f32::from((i * 31 + d * 17) % 23) - 11.0).collect();
            let started = Instant::now();
            parts.add_outputs(black_box(&units), &mut scratch, &mut outputs);
            1e6 * started.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The 50th and the 99th, in microseconds.
#[expect(clippy::disallowed_methods, reason = "time is what is measured")]
fn percentiles(router: &Router, n_chars: usize) -> [f64; 2] {
    let (mut scratch, mut rng) = (Scratch::default(), Pcg64::seed_from_u64(1));
    let long = text(n_chars + 64);
    let texts: Vec<String> =
        (0..64).map(|i| format!("{i} {}", &long[i..n_chars + i - 3])).collect();
    let mut times: Vec<f64> = (0..N_DECISIONS)
        .map(|i| {
            let view = RequestView::from_text(black_box(&texts[i % texts.len()]));
            let started = Instant::now();
            black_box(
                router.decide(&view, &Ask::tier(Tier::Balanced), &mut scratch, &mut rng).ok(),
            );
            1e6 * started.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    [times[N_DECISIONS / 2], times[N_DECISIONS * 99 / 100]]
}
