//! A router from fitted heads and what was chosen on held-out predictions.

mod network;

use std::collections::BTreeMap;

use router_core::features::{FEATURE_SCHEMA_VERSION, N_SURFACE};
use router_core::manifest::{FORMAT_VERSION, PredictorSpec};
use router_core::predictor::{Constant, LinearParts};
use router_core::{
    Calibration, Catalog, CrossFit, DataSource, Manifest, ModelSpec, Objective, Provenance, Tier,
};

use crate::auto::{self, Candidate, Choice};
use crate::bag::Epoch;
use crate::calibrate::isotonic;
use crate::costs::mix::CostMix;
use crate::costs::{self, mix};
use crate::heads::{Heads, LENGTH, Layout, mean};
use crate::metrics;
use crate::operating::{self, Curve, Held, Reference, Target};
use crate::policy::PolicyChoice;
use crate::problem::{Ends, Problem};
use crate::stack::{HeldOut, Said, Stack, gaps};
use crate::uncertainty;

/// What of a router does not depend on the fold.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The files.
    pub data: Vec<DataSource>,
    /// The resolved configuration.
    pub config: serde_json::Value,
    /// The seed.
    pub seed: u64,
    /// The point of the balanced tier.
    pub target: Target,
    /// Share of requests that the router explores, in `[0, 1]`.
    pub exploration: f64,
    /// Which parts of a score to use.
    pub predictor: Choice,
    /// How a model is drawn.
    pub policy: PolicyChoice,
    /// Standard deviations of an expected quality that count against a model.
    pub uncertainty_weight: f64,
}

/// A router before it is bytes.
#[derive(Debug)]
pub struct Built {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Its weights.
    pub parts: LinearParts,
    /// What was chosen.
    pub stack: Stack,
    /// What it was chosen from; empty in a fold router, unless by `auto`.
    pub candidates: Vec<Candidate>,
    /// `[n_models]`: where and how the bag is trusted with costs.
    pub costs: Vec<Option<CostMix>>,
    /// Learning curve of each network of the bag.
    pub curves: Vec<Vec<Epoch>>,
    /// Share of the nearest neighbors that the search finds; `None` without neighbors.
    pub recall: Option<f64>,
}

/// Retention targets that every router carries.
const RETENTIONS: [f64; 6] = [0.90, 0.95, 0.98, 0.99, 1.0, 1.05];

#[expect(
    clippy::too_many_arguments,
    reason = "each is a different thing that a fold has of its own"
)]
/// Chooses on `held`, and puts `heads`, fitted on `seen`, together.
pub fn build(
    problem: &Problem,
    heads: &Heads,
    seen: &[usize],
    held: &[HeldOut],
    recipe: &Recipe,
    cross_fit: Option<CrossFit>,
) -> Built {
    let reference = reference(problem, seen);
    let mixes = mix::choose(problem, held);
    let with = (&mixes[..], reference);
    // Only the table of the router for all rows is shown.
    let choice = (recipe.predictor, cross_fit.is_none());
    let (stack, candidates) = auto::choose(problem, heads, held, with, choice);
    let latency_ms = costs::latencies(problem, seen);
    let mut held_rows = auto::held_rows(heads, held, &stack, &mixes);
    let uncertainty = uncertainty::fit(problem, heads, seen, &held_rows, reference.model);
    let guard = operating::guard(problem, &held_rows, reference);
    for held in &mut held_rows {
        held.score[reference.model] += guard;
    }
    let calibrations = calibrations(problem, &held_rows);
    let mut metrics = metrics::held_out(problem, &held_rows, &calibrations, reference);
    for held in &mut held_rows {
        for (score, sd) in held.score.iter_mut().zip(&uncertainty.quality_sd) {
            *score -= recipe.uncertainty_weight * sd;
        }
    }
    let curve = Curve::new(problem, &held_rows, reference);
    let curve = match recipe.target {
        Target::CostRatio(goal) => curve.refined(problem, &held_rows, reference, goal),
        Target::Retention(_) | Target::Lambda(_) => curve,
    };
    let complexity = stack.complexities(problem, held, heads.layout);
    if let Some(accuracy) = stack.task_accuracy(problem, held, heads.layout) {
        metrics.insert("task_accuracy".to_owned(), accuracy);
    }
    let complexity_calibration = isotonic(complexity.clone());
    metrics.extend(metrics::complexity(&complexity, &complexity_calibration));
    metrics.insert("guard".to_owned(), guard);
    let mut parts = LinearParts {
        calibrations,
        complexity_calibration,
        costs: network::cost_heads(heads, &mixes),
        latency_ms: latency_ms.clone(),
        ..network::add(heads, &stack, &mixes, linear_parts(problem, heads, &stack))
    };
    parts.bias[reference.model] += narrow(guard);
    let provenance = Provenance {
        data: recipe.data.clone(),
        n_requests: seen.len(),
        seed: recipe.seed,
        cross_fit,
        config: recipe.config.clone(),
        reference: problem.models[reference.model].clone(),
        cheapest: cheapest(problem, seen).map(|model| problem.models[model].clone()),
        crate_version: env!("CARGO_PKG_VERSION").to_owned(),
        metrics,
    };
    let ends = Ends { reference: reference.model, ..heads.means.ends };
    let of_reference = (ends, latency_ms[reference.model]);
    let mut manifest = manifest(problem, recipe, reference, &curve, of_reference, provenance);
    manifest.objective.uncertainty_weight = recipe.uncertainty_weight;
    manifest.uncertainty = Some(uncertainty);
    let curves = heads.bag.as_ref().map_or_else(Vec::new, |bag| bag.curves.clone());
    let recall = heads.neighbors.as_ref().map(|near| near.recall);
    Built { manifest, parts: parts.rounded(), stack, candidates, costs: mixes, curves, recall }
}

/// The models that complexity is about, chosen on some rows: the reference model and the cheapest
/// one, or without costs the weakest.
pub fn ends(problem: &Problem, rows: &[usize], model_means: &[f64]) -> Ends {
    let by_mean = |a: &usize, b: &usize| model_means[*a].total_cmp(&model_means[*b]);
    let weakest = (0..model_means.len()).min_by(by_mean).unwrap_or(0);
    let cheap = cheapest(problem, rows).unwrap_or(weakest);
    Ends { reference: reference(problem, rows).model, cheap }
}

/// The model to compare with: the one that was asked for, or the one of highest mean quality on
/// some rows, ties to the lower cost.
pub fn reference(problem: &Problem, rows: &[usize]) -> Reference {
    let complete: Vec<usize> =
        rows.iter().copied().filter(|row| problem.is_complete(*row)).collect();
    let qualities: Vec<f64> = if complete.is_empty() {
        crate::heads::model_means(problem, rows)
    } else {
        let quality =
            |model| complete.iter().filter_map(move |row| problem.cell(*row, model).quality);
        (0..problem.n_models()).map(|model| mean(quality(model).map(f64::from))).collect()
    };
    let cost = |model: usize| mean_cost(problem, rows, model).unwrap_or(f64::INFINITY);
    let best = (0..problem.n_models())
        .min_by(|&a, &b| qualities[b].total_cmp(&qualities[a]).then(cost(a).total_cmp(&cost(b))));
    let model = problem.reference.or(best).unwrap_or(0);
    let known = mean_cost(problem, rows, model).filter(|cost| *cost > 0.0);
    Reference { model, cost: known.unwrap_or(1.0) }
}

/// The model of lowest known mean cost.
pub fn cheapest(problem: &Problem, rows: &[usize]) -> Option<usize> {
    let costs = (0..problem.n_models()).filter_map(|m| Some((m, mean_cost(problem, rows, m)?)));
    costs.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(model, _)| model)
}

fn mean_cost(problem: &Problem, rows: &[usize], model: usize) -> Option<f64> {
    let known: Vec<f64> = rows.iter().filter_map(|row| problem.cell(*row, model).cost).collect();
    (!known.is_empty()).then(|| mean(known.into_iter()))
}

fn calibrations(problem: &Problem, held: &[Held]) -> Vec<Calibration> {
    let pairs = |model: usize| {
        let known = held.iter().filter_map(|held| {
            Some((held.score[model], f64::from(problem.cell(held.row, model).quality?)))
        });
        known.collect()
    };
    (0..problem.n_models()).map(|model| isotonic(pairs(model))).collect()
}

/// Solutions of the chosen penalties, weighted and summed into one row of weights per column.
fn linear_parts(problem: &Problem, heads: &Heads, stack: &Stack) -> LinearParts {
    let layout = heads.layout;
    let (m, t) = (layout.n_models, layout.n_tasks);
    let n_grams = heads.vectorizer.n_grams();
    let nothing = vec![0.0; m];
    let gaps = gaps(&heads.means.model);
    // One standard deviation of length adds `γ`; the row is of the scaled feature.
    let scale = |i| heads.vectorizer.params.scale(i);
    let per_length: Vec<f64> = gaps.iter().map(|gap| gap / f64::from(scale(LENGTH))).collect();
    let row = |column: usize| {
        let of =
            |penalty: usize| &heads.solutions[penalty][column * layout.width()..][..layout.width()];
        let shared = stack.shared_weight * f64::from(of(stack.shared_penalty)[Layout::SHARED]);
        let length = if column == n_grams + LENGTH { &per_length } else { &nothing };
        let said = Said { length, ..Said::nothing(&nothing) };
        let deviations = stack.deviations(&heads.basis, layout, of, said);
        let models = deviations.into_iter().map(|deviation| shared + deviation);
        let complexity = f64::from(of(stack.complexity_penalty)[layout.complexity()]);
        let tasks = (0..t).map(|task| f64::from(of(stack.task_penalty)[layout.task(task)]));
        models.chain([complexity]).chain(tasks).map(narrow).collect::<Vec<f32>>()
    };
    let bias = row(n_grams + N_SURFACE);
    let means = heads.means.model.iter().chain([&heads.means.complexity]).chain(&heads.means.task);
    let effects = heads.task_deviations.chunks_exact(m).flat_map(|effects| {
        let no_ridge = vec![0.0f32; layout.width()];
        let said = Said { task: effects, ..Said::nothing(&nothing) };
        stack.deviations(&heads.basis, layout, |_| &no_ridge, said)
    });
    // Surface features are scaled by the vectorizer for the fit; the router has them unscaled.
    let unscaled = heads.vectorizer.surface_scale.iter().enumerate().map(|(i, s)| s / scale(i));
    let surface_row = |i| row(n_grams + i).into_iter().map(move |weight| weight * scale(i));
    LinearParts {
        n_arms: m,
        has_complexity: true,
        tasks: problem.tasks.clone(),
        task_sharpness: stack.task_sharpness,
        task_effects: if stack.uses_tasks() { effects.map(narrow).collect() } else { Vec::new() },
        buckets: heads.vectorizer.buckets.clone(),
        idf: heads.vectorizer.idf.clone(),
        weights: (0..n_grams).flat_map(row).collect(),
        block_scales: heads.vectorizer.params.block_scales.to_vec(),
        surface_mean: heads.vectorizer.surface_mean.clone(),
        surface_scale: unscaled.collect(),
        surface_weights: (0..N_SURFACE).flat_map(surface_row).collect(),
        bias: bias.iter().zip(means).map(|(bias, mean)| bias + narrow(*mean)).collect(),
        ..LinearParts::default()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[expect(clippy::too_many_arguments, reason = "the parts of one manifest, named at the only call")]
fn manifest(
    problem: &Problem,
    recipe: &Recipe,
    reference: Reference,
    curve: &Curve,
    (ends, reference_latency): (Ends, Option<f64>),
    provenance: Provenance,
) -> Manifest {
    let point = |target| curve.point(target);
    let mut operating_points: Vec<_> =
        RETENTIONS.into_iter().map(|retention| point(Target::Retention(retention))).collect();
    let balanced = point(recipe.target);
    if !operating_points.iter().any(|point| point.name == balanced.name) {
        operating_points.push(balanced.clone());
    }
    let tiers = BTreeMap::from([
        (Tier::Cost, point(Target::Retention(0.90)).lambda.max(balanced.lambda)),
        (Tier::Balanced, balanced.lambda),
        (Tier::Quality, point(Target::Retention(1.0)).lambda.min(balanced.lambda)),
        (Tier::Speed, balanced.lambda),
    ]);
    let specs = problem.models.iter().cloned().map(ModelSpec::named).collect();
    Manifest {
        format_version: FORMAT_VERSION,
        feature_schema_version: FEATURE_SCHEMA_VERSION,
        catalog: Catalog::new("from training data".to_owned(), specs)
            .expect("a problem has at least two models, each once"),
        predictor: PredictorSpec::Constant(Constant::default()),
        policy: recipe.policy.spec(problem, ends, recipe.exploration),
        objective: Objective {
            lambda: balanced.lambda,
            latency_weight: 0.0,
            reference_cost: reference.cost,
            reference_latency_ms: reference_latency.filter(|l| *l > 0.0).unwrap_or(1.0),
            uncertainty_weight: 0.0,
        },
        tiers,
        speed_latency_weight: 0.1,
        uncertainty: None,
        operating_points,
        provenance,
    }
}
