//! Small routers for the tests and examples of all crates.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::artifact::{Weights, to_bytes};
use crate::calibration::Calibration;
use crate::catalog::{Catalog, ModelId, ModelSpec};
use crate::features::{FEATURE_SCHEMA_VERSION, N_BLOCKS, N_BUCKETS, N_SURFACE};
use crate::manifest::{FORMAT_VERSION, Manifest, PredictorSpec, Provenance};
use crate::objective::{Objective, Tier};
use crate::policy::PolicySpec;
use crate::predictor::tasks::part::{TaskPart, TaskProvenance};
use crate::predictor::tasks::{N_TASK_BLOCKS, N_TASK_BUCKETS, TaskParts, Tasks};
use crate::predictor::{BagParts, Constant, CostHead, LinearParts, NeighborParts};
use crate::router::Router;

/// A manifest for models of these names, with the cost-aware policy and λ = 0.1 for every tier.
///
/// # Panics
///
/// If there is no name, an empty one, or one twice.
pub fn manifest(names: &[&str]) -> Manifest {
    let id = |name: &&str| ModelId::new(*name).expect("test models have names");
    let specs = names.iter().map(|name| ModelSpec::named(id(name))).collect();
    let catalog = Catalog::new("test".to_owned(), specs).expect("test catalogs are valid");
    let objective = Objective {
        lambda: 0.1,
        latency_weight: 0.0,
        reference_cost: 0.01,
        reference_latency_ms: 1000.0,
        uncertainty_weight: 0.0,
    };
    Manifest {
        format_version: FORMAT_VERSION,
        feature_schema_version: FEATURE_SCHEMA_VERSION,
        catalog,
        predictor: PredictorSpec::Constant(Constant::default()),
        policy: PolicySpec::CostAware,
        objective,
        tiers: Tier::ALL.into_iter().map(|tier| (tier, 0.1)).collect(),
        speed_latency_weight: 0.1,
        uncertainty: None,
        operating_points: Vec::new(),
        provenance: Provenance {
            data: Vec::new(),
            n_requests: 0,
            seed: 0,
            cross_fit: None,
            config: serde_json::Value::Null,
            reference: id(&names[0]),
            cheapest: None,
            crate_version: String::new(),
            metrics: BTreeMap::new(),
        },
    }
}

/// A router of `large` (quality 0.9, one cent) and `small` (0.6, a tenth of it), whatever the text.
///
/// # Panics
///
/// Never: its parts are valid.
pub fn two_model_router() -> Router {
    let constant = Constant {
        quality: vec![0.9, 0.6],
        cost: vec![Some(0.01), Some(0.001)],
        latency_ms: vec![Some(1000.0), Some(300.0)],
    };
    let bytes = to_bytes(manifest(&["large", "small"]), Weights::Constant(constant));
    Router::from_bytes(&bytes.expect("valid parts")).expect("valid bytes")
}

/// The bytes of a router of `n_arms` models with random linear heads, for benchmarks.
///
/// # Panics
///
/// If `n_arms` is 0 or above 100.
pub fn random_linear_bytes(n_arms: usize, n_tasks: usize, seed: u64) -> Vec<u8> {
    bytes_of(random_linear_parts(n_arms, n_tasks, seed))
}

/// The same with a bag of random weights.
///
/// # Panics
///
/// If `n_arms` is 0 or above 100, or `hidden` 0 or above 64.
pub fn random_bag_bytes(n_arms: usize, n_tasks: usize, hidden: usize, seed: u64) -> Vec<u8> {
    let mut parts = random_linear_parts(n_arms, n_tasks, seed);
    parts.bag = Some(random_bag_parts(&parts, hidden, seed));
    bytes_of(parts)
}

fn bytes_of(parts: LinearParts) -> Vec<u8> {
    let names: Vec<String> = (0..parts.n_arms).map(|arm| format!("model-{arm:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    to_bytes(manifest(&names), Weights::Linear(Box::new(parts))).expect("valid parts")
}

/// Linear heads with a weight in every bucket, uniform in ±0.01.
pub fn random_linear_parts(n_arms: usize, n_tasks: usize, seed: u64) -> LinearParts {
    let width = n_arms + 1 + n_tasks;
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut random =
        |n: usize| (0..n).map(|_| rng.random_range(-0.01..0.01f32)).collect::<Vec<f32>>();
    LinearParts {
        n_arms,
        has_complexity: true,
        tasks: (0..n_tasks).map(|task| format!("task_{task}")).collect(),
        task_sharpness: 1.0,
        task_effects: random(n_tasks * n_arms),
        buckets: (0..).take(N_BUCKETS).collect(),
        idf: vec![1.5; N_BUCKETS],
        weights: random(N_BUCKETS * width),
        rounding: None,
        block_scales: vec![1.0; N_BLOCKS],
        surface_mean: vec![1.0; N_SURFACE],
        surface_scale: vec![0.5; N_SURFACE],
        surface_weights: random(N_SURFACE * width),
        bias: vec![0.5; width],
        calibrations: vec![Calibration::identity(); n_arms],
        complexity_calibration: Calibration::identity(),
        costs: (0..n_arms)
            .map(|arm| {
                Some(CostHead { bias: -7.0 + 0.1 * arm as f64, weights: vec![0.0; N_SURFACE] })
            })
            .collect(),
        latency_ms: vec![None; n_arms],
        bag: None,
        neighbors: None,
    }
}

/// A bag of random weights for linear heads.
pub fn random_bag_parts(linear: &LinearParts, hidden: usize, seed: u64) -> BagParts {
    let mut rng = Pcg64::seed_from_u64(seed);
    let n = linear.buckets.len();
    let embeddings = (0..n * hidden).map(|_| rng.random_range(-127..=127i8)).collect();
    let mut random =
        |n: usize| (0..n).map(|_| rng.random_range(-0.01..0.01f32)).collect::<Vec<f32>>();
    BagParts {
        hidden,
        embeddings,
        scales: random(n),
        surface_weights: random(N_SURFACE * hidden),
        hidden_bias: random(hidden),
        weights: random(hidden * linear.width()),
        bias: random(linear.width()),
        cost_weights: random(hidden * linear.n_arms),
        cost_bias: random(linear.n_arms),
    }
}

/// `n` random points of `dimensions`, the first hidden units of a bag, in about `√n` clusters, of
/// which an eighth is searched.
pub fn random_neighbors(n_arms: usize, dimensions: usize, n: u32, seed: u64) -> NeighborParts {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut bytes = |n: usize| (0..n).map(|_| rng.random_range(-40..=40i8)).collect::<Vec<i8>>();
    let n_clusters = n.isqrt().max(1);
    NeighborParts {
        first: 0,
        dimensions,
        k: 100,
        power: 4,
        shrinkage: 1.0,
        probes: n_clusters.div_ceil(8) as usize,
        centers: bytes(n_clusters as usize * dimensions),
        starts: (0..=n_clusters).map(|cluster| cluster * n / n_clusters).collect(),
        points: bytes(n as usize * dimensions),
        adds: bytes(n as usize * n_arms),
        scales: vec![0.01; n_arms],
    }
}

/// The bytes of a router with a bag of `hidden` units and `n` neighbors in the space of 32 of them.
///
/// # Panics
///
/// If `n_arms` is 0 or above 100, or `hidden` below 32 or above 64.
pub fn random_neighbor_bytes(n_arms: usize, n_tasks: usize, hidden: usize, n: u32) -> Vec<u8> {
    let mut parts = random_linear_parts(n_arms, n_tasks, 1);
    parts.bag = Some(random_bag_parts(&parts, hidden, 1));
    parts.neighbors = Some(random_neighbors(n_arms, 32, n, 1));
    bytes_of(parts)
}

/// A task classifier of 16 labels with random weights, for benchmarks; labels of at least a tenth
/// of confidence.
///
/// # Panics
///
/// Never: its parts are valid.
pub fn task_part(seed: u64) -> TaskPart {
    let mut rng = Pcg64::seed_from_u64(seed);
    let parts = TaskParts {
        labels: (0..16).map(|label| format!("label_{label}")).collect(),
        heads: (0..44).map(|head| head % 16).collect(),
        bias: vec![-0.5; 44],

        scales: vec![0.01; N_TASK_BLOCKS * 44],
        buckets: (0..).step_by(3).take(N_TASK_BUCKETS / 3).collect(),
        weights: (0..N_TASK_BUCKETS / 3 * 44).map(|_| rng.random_range(-100..=100)).collect(),
        sharpness: 2.0,
        confidence: Calibration::identity(),
        min_confidence: 0.1,
        tool_label: None,
    };
    TaskPart::new(Tasks::new(parts).expect("valid parts"), TaskProvenance::default())
}

/// English-like text: words of a Zipf-like vocabulary, with some numbers and punctuation.
pub fn text(n_chars: usize) -> String {
    const SYLLABLES: [&str; 16] = [
        "the", "of", "con", "ti", "ra", "mo", "ne", "pre", "sta", "ver", "in", "al", "que", "so",
        "li", "ex",
    ];
    let mut text = String::new();
    let mut state = 1u64;
    while text.len() < n_chars {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = state >> 33;
        for part in 0..1 + word % 3 {
            text.push_str(SYLLABLES[(word >> (4 * part + 2)) as usize % 16]);
        }
        text.push_str(if word.is_multiple_of(11) { ", 42 " } else { " " });
    }
    text.truncate(n_chars);
    text
}
