use datasets::synthetic::{World, WorldParams};
use datasets::{Dataset, Folds};
use router_core::features::N_SURFACE;
use router_core::predictor::{Linear, LinearParts, Predictor, Scratch};
use router_core::{Calibration, RequestRow};

use super::*;
use crate::bag::{Columns, Gains, export_with};
use crate::config::Config;
use crate::heads::{self, Means};
use crate::learn::Taught;

const N_MODELS: usize = 4;

fn world(n: u64) -> (Vec<RequestRow>, Problem) {
    let table = World::new(WorldParams { seed: 4, n_models: N_MODELS }).unwrap().table(0..n);
    let requests = table.requests.clone();
    (requests, Problem::new(&Dataset::Table(table), Folds::Hash(5)).unwrap())
}

struct Taken {
    vectorizer: Vectorizer,
    taught: Taught,
    means: Means,
}

fn taken(problem: &Problem, rows: &[usize]) -> Taken {
    let params = Config::default().fit_params();
    let raw: Vec<_> = rows.iter().map(|row| &problem.raw[*row]).collect();
    let taught = heads::teach(problem, rows, params.vectorizer, &params.ridge);
    let means = heads::centers(problem, rows, taught.means.clone());
    Taken { vectorizer: Vectorizer::fit(params.vectorizer, &raw), taught, means }
}

fn fitted(
    problem: &Problem,
    rows: &[usize],
    taken: &Taken,
    params: &NeighborParams,
) -> NeighborFit {
    let lesson = Lesson { rows, taught: &taken.taught, means: &taken.means };
    fit(problem, &lesson, &taken.vectorizer, params)
}

fn quick() -> NeighborParams {
    NeighborParams { dimensions: 12, k: 30, ..NeighborParams::default() }
}

/// Share of the variance of the deviations of `rows` that predictions explain.
fn explained(problem: &Problem, rows: &[usize], means: &[f64], said: &[f32]) -> f64 {
    let (mut error, mut total) = (0.0, 0.0);
    for (row, said) in rows.iter().zip(said.chunks_exact(N_MODELS)) {
        let shared = heads::shared(problem, *row, means).unwrap();
        for (j, said) in said.iter().enumerate() {
            let y = f64::from(problem.cell(*row, j).quality.unwrap()) - means[j] - shared;
            error += (y - f64::from(*said)).powi(2);
            total += y * y;
        }
    }
    1.0 - error / total
}

#[test]
fn neighbors_explain_what_models_make_of_requests_that_were_not_seen() {
    let (_, problem) = world(900);
    let (seen, held): (Vec<usize>, Vec<usize>) = (0..900).partition(|row| problem.fold[*row] != 0);
    let taken = taken(&problem, &seen);
    let near = fitted(&problem, &seen, &taken, &quick());
    let said = near.predict(&problem, &taken.vectorizer, &held);
    let right = explained(&problem, &held, &taken.means.model, &said);
    assert!(right > 0.02, "{right}");
    // What others were asked says nothing.
    let others: Vec<f32> = said[N_MODELS..].iter().chain(&said[..N_MODELS]).copied().collect();
    let wrong = explained(&problem, &held, &taken.means.model, &others);
    assert!(wrong < 0.5 * right, "{wrong} {right}");
    assert!((near.recall - 1.0).abs() < 1e-12, "few points are all searched: {}", near.recall);
}

#[test]
fn an_index_finds_the_share_that_is_asked_for_by_searching_less() {
    let (_, problem) = world(600);
    let rows: Vec<usize> = (0..600).collect();
    let taken = taken(&problem, &rows);
    let params = NeighborParams { index_from: 100, recall: 0.9, ..quick() };
    let near = fitted(&problem, &rows, &taken, &params);
    assert_eq!(near.parts.starts.len(), 24 + 1);
    assert!(near.recall >= 0.9 && near.parts.probes < 24, "{} {}", near.recall, near.parts.probes);
    let fewer = NeighborParams { max_points: 150, ..params };
    assert_eq!(fitted(&problem, &rows, &taken, &fewer).parts.n_points(), 150);
}

#[test]
fn the_fit_is_the_same_on_any_number_of_threads() {
    let (_, problem) = world(300);
    let rows: Vec<usize> = (0..300).collect();
    let taken = taken(&problem, &rows);
    let params = NeighborParams { index_from: 100, ..quick() };
    let on = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| fitted(&problem, &rows, &taken, &params))
    };
    let (one, three) = (on(1), on(3));
    assert_eq!(one.projection, three.projection);
    assert_eq!(one.parts, three.parts);
}

#[test]
fn a_router_says_what_the_fit_said() {
    let (requests, problem) = world(300);
    let rows: Vec<usize> = (0..300).collect();
    let taken = taken(&problem, &rows);
    let near = fitted(&problem, &rows, &taken, &quick());
    let said = near.predict(&problem, &taken.vectorizer, &rows);
    // Half of what neighbors say, and of the first model's a quarter less for the last.
    let mut mix = Gains::alike(N_MODELS, 0.5);
    mix[N_MODELS - 1] = -0.25;
    let columns = Columns { n_models: N_MODELS, n_tasks: problem.tasks.len() };
    let none = Gains {
        shared: 0.0,
        deviations: Gains::alike(N_MODELS, 0.0),
        complexity: 0.0,
        costs: Vec::new(),
        tasks: 0.0,
    };
    let vectorizer = &taken.vectorizer;
    let (width, n) = (1 + N_MODELS + problem.tasks.len(), vectorizer.n_grams());
    let scaled = vectorizer.surface_scale.iter().enumerate();
    let linear = Linear::new(LinearParts {
        n_arms: N_MODELS,
        has_complexity: true,
        tasks: problem.tasks.clone(),
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
        costs: vec![None; N_MODELS],
        latency_ms: vec![None; N_MODELS],
        bag: Some(export_with(None, Some(&near.projection), vectorizer, (columns, &none))),
        neighbors: Some(near.mixed(&mix, 0)),
        ..LinearParts::default()
    })
    .unwrap();
    let mut scratch = Scratch::default();
    let (mut gap, mut size) = (0.0, 0.0);
    for (request, said) in requests.iter().zip(said.chunks_exact(N_MODELS)) {
        let prediction = linear.predict(&request.view(), &mut scratch);
        let said: Vec<f64> = said.iter().map(|x| f64::from(*x)).collect();
        for (arm, score) in prediction.score.iter().enumerate() {
            let less = if arm == N_MODELS - 1 { 0.25 * said[0] } else { 0.0 };
            gap += (score - (0.5 * said[arm] - less)).abs();
            size += (0.5 * said[arm] - less).abs();
        }
    }
    // Bytes of embeddings move a point a little, so a few of its farthest neighbors are others.
    assert!(gap < 0.05 * size, "{gap} of {size}");
}
