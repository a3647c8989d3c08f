//! Sparse ridge against linfa on a dense projection: error on held-out rows, and time.
//!
//! ```text
//! cargo run --example projection -- logs.parquet [models]
//! ```
//!
//! Both see the same columns and fit the same targets, each model's deviation from the quality
//! that models share, which is what decides between models. The projection is a truncated SVD by
//! subspace iteration; linfa's least squares gets the penalty as rows of its own. For both, the
//! best penalty on the held-out rows is shown, so neither is favored by how it is chosen.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "results, and their time")]

use std::time::Instant;

use anyhow::{Context, Result};
use datasets::{Dataset, Folds, ModelSelection};
use linfa::prelude::{DatasetBase, Fit};
use linfa_linear::LinearRegression;
use ndarray::{Array1, Array2};
use rayon::prelude::*;
use router_core::features::RawFeatures;
use trainer::config::Config;
use trainer::design::{Design, Sparse};
use trainer::heads::{self, Layout};
use trainer::problem::Problem;
use trainer::projection::{orthonormalize, sign};

const PENALTIES: [f64; 6] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0];
const DIMENSIONS: [usize; 2] = [64, 256];
const SUBSPACE_ITERATIONS: usize = 3;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let path = args.next().context("which logs?")?;
    let Dataset::Table(table) = datasets::open(&[path.into()])?.data else {
        anyhow::bail!("an outcome table is needed");
    };
    let selection: ModelSelection = args.next().unwrap_or_else(|| "*".to_owned()).parse()?;
    let table = selection.select(&table)?;
    let has_folds = table.requests.iter().all(|request| request.fold.is_some());
    let folds = if has_folds { Folds::Column } else { Folds::Hash(5) };
    let problem = Problem::new(&Dataset::Table(table), folds)?;
    let test = *problem.folds().first().context("no fold")?;
    let (held, seen): (Vec<usize>, Vec<usize>) =
        (0..problem.n_requests()).partition(|row| problem.fold[*row] == test);
    println!("{} rows fitted, {} judged, {} models", seen.len(), held.len(), problem.n_models());

    let params = Config { penalties: PENALTIES.to_vec(), ..Config::default() }.fit_params();
    let started = Instant::now();
    let sparse = heads::fit(&problem, &seen, params.vectorizer, &params.ridge);
    let predictions = sparse.predict(&problem, &held);
    let width = sparse.layout.width();
    let errors = predictions.iter().map(|outputs| {
        error(&problem, &held, &sparse.means.model, |i, j| {
            f64::from(outputs[i * width + Layout::model(j)])
        })
    });
    report("sparse ridge, all heads", errors, started);

    let vectorizer = &sparse.vectorizer;
    let raw = |rows: &[usize]| -> Vec<&RawFeatures> {
        rows.iter().map(|row| &problem.raw[*row]).collect()
    };
    let fitting = Design::new(vectorizer, &raw(&seen));
    let judging = Design::new(vectorizer, &raw(&held)).by_row;
    for dimensions in DIMENSIONS {
        let started = Instant::now();
        let basis = subspace(&fitting, vectorizer.n_columns(), dimensions);
        let dense = |sparse: &Sparse| {
            let values = sparse.times(&basis, dimensions).into_iter().map(f64::from).collect();
            Array2::from_shape_vec((sparse.n_rows(), dimensions), values)
        };
        let (x, x_held) = (dense(&fitting.by_row)?, dense(&judging)?);
        let errors: Vec<f64> = PENALTIES
            .iter()
            .map(|penalty| {
                let outputs = linfa_heads(&problem, &seen, &sparse.means.model, &x, *penalty)?;
                let outputs = x_held.dot(&outputs);
                Ok(error(&problem, &held, &sparse.means.model, |i, j| outputs[[i, j]]))
            })
            .collect::<Result<_>>()?;
        report(&format!("linfa, {dimensions} dimensions"), errors.into_iter(), started);
    }
    Ok(())
}

fn report(name: &str, errors: impl Iterator<Item = f64>, started: Instant) {
    let errors: Vec<String> =
        errors.map(|error| format!("{:+.2}", 100.0 * (1.0 - error))).collect();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{name:<24} {seconds:>6.1} s   % of variance explained, by penalty: {}",
        errors.join("  ")
    );
}

/// Squared error of the deviations, relative to predicting none.
fn error(
    problem: &Problem,
    rows: &[usize],
    means: &[f64],
    predicted: impl Fn(usize, usize) -> f64,
) -> f64 {
    let (mut error, mut total) = (0.0, 0.0);
    for (i, &row) in rows.iter().enumerate() {
        for (j, target) in deviations(problem, row, means) {
            error += (target - predicted(i, j)).powi(2);
            total += target * target;
        }
    }
    error / total
}

fn deviations(problem: &Problem, row: usize, means: &[f64]) -> Vec<(usize, f64)> {
    let Some(shared) = heads::shared(problem, row, means) else { return Vec::new() };
    let of = |j: usize| Some((j, f64::from(problem.cell(row, j).quality?) - means[j] - shared));
    (0..means.len()).filter_map(of).collect()
}

/// Weights of every model's head, `[dimensions, models]`.
fn linfa_heads(
    problem: &Problem,
    rows: &[usize],
    means: &[f64],
    x: &Array2<f64>,
    penalty: f64,
) -> Result<Array2<f64>> {
    let d = x.ncols();
    let targets: Vec<Vec<(usize, f64)>> =
        rows.iter().map(|row| deviations(problem, *row, means)).collect();
    let one = |model: usize| -> Result<Array1<f64>> {
        let known: Vec<(usize, f64)> = (targets.iter().enumerate())
            .filter_map(|(i, row)| Some((i, row.iter().find(|(j, _)| *j == model)?.1)))
            .collect();
        let n = known.len();
        let mut records = Array2::zeros((n + d, d));
        let mut values = Array1::zeros(n + d);
        for (at, (i, target)) in known.into_iter().enumerate() {
            records.row_mut(at).assign(&x.row(i));
            values[at] = target;
        }
        for i in 0..d {
            records[[n + i, i]] = penalty.sqrt();
        }
        let fitted = LinearRegression::new()
            .with_intercept(false)
            .fit(&DatasetBase::new(records, values))
            .context("least squares")?;
        Ok(fitted.params().clone())
    };
    let heads: Vec<Array1<f64>> =
        (0..means.len()).into_par_iter().map(one).collect::<Result<_>>()?;
    Ok(Array2::from_shape_fn((d, heads.len()), |(i, j)| heads[j][i]))
}

/// An orthonormal basis of the leading right singular vectors, `[n_columns * k]`.
fn subspace(design: &Design, n_columns: usize, k: usize) -> Vec<f32> {
    let mut basis: Vec<f32> = (0..(n_columns * k) as u64).map(sign).collect();
    for _ in 0..SUBSPACE_ITERATIONS {
        let image = design.by_row.times(&basis, k);
        basis = design.by_column.times(&image, k);
        orthonormalize(&mut basis, k);
    }
    basis
}
