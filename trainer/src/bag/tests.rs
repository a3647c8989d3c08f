use datasets::synthetic::{World, WorldParams};
use datasets::{Dataset, Folds};
use router_core::features::N_SURFACE;
use router_core::predictor::{BagParts, CostHead, Linear, LinearParts, Predictor, Scratch};
use router_core::{Calibration, RequestRow};

use super::*;
use crate::config::Config;
use crate::design::VectorizerParams;
use crate::heads;

const N_MODELS: usize = 4;

fn world(n: u64) -> (Vec<RequestRow>, Problem) {
    let world = World::new(WorldParams { seed: 3, n_models: N_MODELS }).unwrap();
    let table = world.table(0..n);
    let requests = table.requests.clone();
    (requests, Problem::new(&Dataset::Table(table), Folds::Hash(5)).unwrap())
}

fn vectorizer(problem: &Problem, rows: &[usize]) -> Vectorizer {
    let params =
        VectorizerParams { min_df: 2, block_scales: [1.0; 3], surface_scale: 0.1, tool_scale: 0.3 };
    let raw: Vec<_> = rows.iter().map(|row| &problem.raw[*row]).collect();
    Vectorizer::fit(params, &raw)
}

fn quick() -> BagParams {
    BagParams { hidden: 6, max_epochs: 3, held: 0.2, ..BagParams::default() }
}

/// What the rows of a table teach.
fn taught(problem: &Problem, rows: &[usize]) -> (Taught, Means) {
    let params = Config::default().fit_params();
    let taught = heads::teach(problem, rows, params.vectorizer, &params.ridge);
    let means = heads::centers(problem, rows, taught.means.clone());
    (taught, means)
}

fn taught_fit(
    problem: &Problem,
    rows: &[usize],
    vectorizer: &Vectorizer,
    params: &BagParams,
) -> BagFit {
    let (taught, means) = taught(problem, rows);
    fit(problem, &Lesson { rows, taught: &taught, means: &means }, vectorizer, params)
}

/// Linear heads that say nothing, with a bag over the same n-grams.
fn router(vectorizer: &Vectorizer, bag: BagParts, tasks: &[String]) -> Linear {
    let width = bag.bias.len();
    let n = vectorizer.n_grams();
    let scaled = vectorizer.surface_scale.iter().enumerate();
    Linear::new(LinearParts {
        n_arms: N_MODELS,
        has_complexity: true,
        tasks: tasks.to_vec(),
        task_sharpness: 1.0,
        buckets: vectorizer.buckets.clone(),
        idf: vectorizer.idf.clone(),
        weights: vec![0.0; n * width],
        block_scales: vectorizer.params.block_scales.to_vec(),
        surface_mean: vectorizer.surface_mean.clone(),
        surface_scale: scaled.map(|(i, s)| s / vectorizer.params.scale(i)).collect(),
        surface_weights: vec![0.0; N_SURFACE * width],
        bias: vec![0.0; width],
        calibrations: vec![Calibration::identity(); N_MODELS],
        // One dollar, times what the bag says.
        costs: vec![Some(CostHead { bias: 0.0, weights: vec![0.0; N_SURFACE] }); N_MODELS],
        latency_ms: vec![None; N_MODELS],
        bag: Some(bag),
        ..LinearParts::default()
    })
    .unwrap()
}

/// The score and the log cost of every arm, `[n * N_MODELS]`, by burn.
fn by_burn(
    fit: &BagFit,
    problem: &Problem,
    vectorizer: &Vectorizer,
    gains: &Gains,
) -> Vec<[f64; 2]> {
    let rows: Vec<usize> = (0..problem.n_requests()).collect();
    let outputs = fit.predict(problem, vectorizer, &rows);
    let arm = |row: &[f32], arm: usize| {
        let of = |model: usize| f64::from(row[Columns::model(model)]);
        let gain = |model: usize| gains.deviations[model * N_MODELS + arm];
        let deviation: f64 = (0..N_MODELS).map(|model| gain(model) * of(model)).sum();
        let cost = gains.costs[arm] * f64::from(row[fit.columns.cost(arm)]);
        [gains.shared * f64::from(row[0]) + deviation, cost]
    };
    let rows = outputs.chunks_exact(fit.columns.width());
    rows.flat_map(|row| (0..N_MODELS).map(|j| arm(row, j)).collect::<Vec<_>>()).collect()
}

#[test]
fn a_router_runs_what_burn_trained() {
    let (requests, problem) = world(300);
    let rows: Vec<usize> = (0..300).collect();
    let vectorizer = vectorizer(&problem, &rows);
    let params = BagParams { n_networks: 2, ..quick() };
    let mut fitted = taught_fit(&problem, &rows, &vectorizer, &params);
    // The last arm takes nothing of its own, but some of the first model's; the second has no cost.
    let mut deviations = Gains::alike(N_MODELS, 0.8);
    deviations[N_MODELS * N_MODELS - 1] = 0.0;
    deviations[N_MODELS - 1] = -0.3;
    let costs = vec![0.9, 0.0, 0.7, 1.0];
    let gains = Gains { shared: 0.5, deviations, complexity: 1.0, costs, tasks: 1.0 };
    let bag = export(&fitted, &vectorizer, &gains);
    let exact = by_burn(&fitted, &problem, &vectorizer, &gains);
    // Embeddings are rounded to bytes: a router must say what burn makes of the rounded ones.
    for (index, network) in fitted.networks.iter_mut().enumerate() {
        let first = index * network.hidden;
        let n = vectorizer.n_grams();
        for (row, to) in network.embeddings.chunks_exact_mut(network.hidden).take(n).enumerate() {
            let bytes = &bag.embeddings[row * bag.hidden + first..];
            to.iter_mut().zip(bytes).for_each(|(to, b)| *to = f32::from(*b) * bag.scales[row]);
        }
    }
    let rounded = by_burn(&fitted, &problem, &vectorizer, &gains);
    let linear = router(&vectorizer, bag, &problem.tasks);
    let mut scratch = Scratch::default();
    let (mut to_rounded, mut to_exact, mut size) = (0.0f64, 0.0f64, 0.0f64);
    for (row, request) in requests.iter().enumerate() {
        let prediction = linear.predict(&request.view(), &mut scratch);
        for (arm, score) in prediction.score.iter().enumerate() {
            let at = row * N_MODELS + arm;
            to_rounded = to_rounded.max((score - rounded[at][0]).abs());
            to_exact = to_exact.max((score - exact[at][0]).abs());
            size = size.max(score.abs());
            let log_cost = prediction.cost[arm].unwrap().ln();
            assert!((log_cost - rounded[at][1]).abs() < 1e-4, "{log_cost} {:?}", rounded[at]);
        }
    }
    assert!(size > 0.05, "the bag says something: {size}");
    assert!(to_rounded < 1e-5, "{to_rounded}");
    assert!(to_exact < 2e-3, "rounding to bytes changes scores by {to_exact}");
}

#[test]
fn the_fit_is_the_same_on_any_number_of_threads() {
    let (_, problem) = world(200);
    let rows: Vec<usize> = (0..200).collect();
    let vectorizer = vectorizer(&problem, &rows);
    let on = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| taught_fit(&problem, &rows, &vectorizer, &quick()))
    };
    let (one, three) = (on(1), on(3));
    assert_eq!(one.networks, three.networks);
    assert_eq!(one.curves, three.curves);
    let other = BagParams { seed: 1, ..quick() };
    let other = taught_fit(&problem, &rows, &vectorizer, &other);
    assert_ne!(other.networks, one.networks);
}

#[test]
fn it_explains_deviations_costs_and_tasks_of_requests_it_did_not_see() {
    let (_, problem) = world(900);
    let (seen, held): (Vec<usize>, Vec<usize>) = (0..900).partition(|row| problem.fold[*row] != 0);
    let vectorizer = vectorizer(&problem, &seen);
    let params = BagParams { hidden: 12, max_epochs: 12, held: 0.15, ..BagParams::default() };
    let fitted = taught_fit(&problem, &seen, &vectorizer, &params);
    let losses = |rows: &[usize]| {
        // Labels of all rows, centered as those that were seen.
        let all: Vec<usize> = (0..900).collect();
        let (mut taught, means) = (taught(&problem, &all).0, taught(&problem, &seen).1);
        taught.means.clone_from(&means.model);
        let lesson = Lesson { rows: &all, taught: &taught, means: &means };
        let targets = targets::Targets::new(&problem, &lesson, (&seen, rows), &params.weights);
        let outputs = fitted.predict(&problem, &vectorizer, rows);
        targets.held.losses(&outputs, targets.columns)
    };
    let weights = params.weights;
    let [_, deviations, _, costs, tasks] = losses(&held);
    assert!(deviations < 0.97 * weights.deviations, "{deviations}");
    assert!(costs < 0.6 * weights.costs, "{costs}");
    assert!(tasks < 0.3 * weights.tasks, "{tasks}");
}

#[test]
fn a_network_that_knows_nothing_loses_the_weight_of_each_kind() {
    let (_, problem) = world(200);
    let rows: Vec<usize> = (0..200).collect();
    let weights = LossWeights { balance: 0.7, ..LossWeights::default() };
    let (taught, means) = taught(&problem, &rows);
    let lesson = Lesson { rows: &rows, taught: &taught, means: &means };
    let targets = targets::Targets::new(&problem, &lesson, (&rows, &[]), &weights);
    let mut nothing = vec![0.0; targets.columns.n_regressions()];
    nothing.extend(&targets.task_bias);
    let losses = targets.fitted.losses(&nothing.repeat(200), targets.columns);
    let LossWeights { shared, deviations, complexity, tasks, costs, .. } = weights;
    for (loss, weight) in losses.iter().zip([shared, deviations, complexity, costs, tasks]) {
        assert!((loss - weight).abs() < 1e-5 * weight, "{losses:?}");
    }
}

#[test]
fn equal_texts_are_held_out_together() {
    let (_, mut problem) = world(100);
    for row in 50..100 {
        problem.raw[row] = problem.raw[row - 50].clone();
    }
    let rows: Vec<usize> = (0..100).collect();
    let (fitted, held) = split(&problem, &rows, 0.3, 0);
    assert_eq!(fitted.len() + held.len(), 100);
    assert!(held.len() > 10 && fitted.len() > 10, "{}", held.len());
    for row in &held {
        let twin = (row + 50) % 100;
        assert!(held.contains(&twin), "{row} is held out, {twin} is not");
    }
}
