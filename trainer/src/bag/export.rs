//! Networks as the plain weights that a router runs.

use router_core::features::N_SURFACE;
use router_core::predictor::BagParts;

use super::{BagFit, Columns};
use crate::design::Vectorizer;
use crate::heads::Layout;
use crate::projection::Projection;

/// How much of each kind of output a router adds to its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Gains {
    /// Of the shared quality, added to every arm.
    pub shared: f64,
    /// `[n_models * n_arms]`: what a model's deviation adds to each arm.
    pub deviations: Vec<f64>,
    /// Of complexity.
    pub complexity: f64,
    /// `[n_models]`: of each arm's log cost; empty if it leaves all costs alone.
    pub costs: Vec<f64>,
    /// Of task logits, on the scale of the router's task scores: divided by its sharpness.
    pub tasks: f64,
}

impl Gains {
    /// Deviations that add `gain` times themselves.
    pub fn alike(n_models: usize, gain: f64) -> Vec<f64> {
        let at = |i: usize| if i.is_multiple_of(n_models + 1) { gain } else { 0.0 };
        (0..n_models * n_models).map(at).collect()
    }
}

/// The bag of a router whose outputs are arms, complexity and tasks, over the n-grams of
/// `vectorizer`: all networks side by side, each with its share of the weights.
pub fn export(fit: &BagFit, vectorizer: &Vectorizer, gains: &Gains) -> BagParts {
    export_with(Some(fit), None, vectorizer, (fit.columns, gains))
}

/// The same, followed by hidden units that are points of a projection and add nothing by themselves;
/// there must be one or the other.
pub fn export_with(
    fit: Option<&BagFit>,
    projection: Option<&Projection>,
    vectorizer: &Vectorizer,
    (columns, gains): (Columns, &Gains),
) -> BagParts {
    let networks = || fit.iter().flat_map(|fit| &fit.networks);
    let n_grams = vectorizer.n_grams();
    let of_networks = |column: usize| {
        networks().flat_map(move |network| {
            network.embeddings[column * network.hidden..][..network.hidden].iter().copied()
        })
    };
    let row = |column: usize| {
        let of = |p: &'_ Projection| p.embeddings[column * p.dimensions..][..p.dimensions].to_vec();
        of_networks(column).chain(projection.map(of).unwrap_or_default())
    };
    let trained: usize = networks().map(|network| network.hidden).sum();
    let points = projection.map_or(0, |projection| projection.dimensions);
    let hidden = trained + points;
    let embeddings: Vec<f32> = (0..n_grams).flat_map(row).collect();
    let (embeddings, scales) = BagParts::quantize(&embeddings, hidden);
    let share = 1.0 / networks().count().max(1) as f64;
    let (mut bias, mut cost_bias) = (vec![0.0; 1 + columns.n_models + columns.n_tasks], Vec::new());
    let (mut weights, mut cost_weights) = (Vec::new(), Vec::new());
    for network in networks() {
        let outputs_of = |row: &[f32]| outputs(row, columns, gains, share);
        let costs_of = |row: &[f32]| costs(row, columns, gains, share);
        bias.iter_mut().zip(outputs_of(&network.bias)).for_each(|(bias, of)| *bias += of);
        let of_costs = costs_of(&network.bias);
        cost_bias.resize(of_costs.len(), 0.0);
        cost_bias.iter_mut().zip(of_costs).for_each(|(bias, of)| *bias += of);
        for unit in network.weights.chunks_exact(network.width) {
            weights.extend(outputs_of(unit));
            cost_weights.extend(costs_of(unit));
        }
    }
    weights.resize(hidden * bias.len(), 0.0);
    cost_weights.resize(hidden * cost_bias.len(), 0.0);
    let constant = of_networks(n_grams + N_SURFACE);
    let point_bias = projection.iter().flat_map(|projection| projection.bias.iter().copied());
    BagParts {
        hidden,
        embeddings,
        scales,
        // Surface features are scaled by the vectorizer for the fit; the router has them unscaled.
        surface_weights: (0..N_SURFACE)
            .flat_map(|i| row(n_grams + i).map(move |weight| weight * vectorizer.params.scale(i)))
            .collect(),
        hidden_bias: constant.chain(point_bias).collect(),
        weights,
        bias,
        cost_weights,
        cost_bias,
    }
}

/// What a row of a network's outputs adds to the log cost of each arm; empty without gains.
#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn costs(row: &[f32], columns: Columns, gains: &Gains, share: f64) -> Vec<f32> {
    let of =
        |(model, gain): (usize, &f64)| (share * gain * f64::from(row[columns.cost(model)])) as f32;
    gains.costs.iter().enumerate().map(of).collect()
}

/// What a row of a network's outputs adds to arms, complexity and tasks.
#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn outputs(row: &[f32], columns: Columns, gains: &Gains, share: f64) -> Vec<f32> {
    let of = |gain: f64, column: usize| share * gain * f64::from(row[column]);
    let mut arms = vec![of(gains.shared, Layout::SHARED); columns.n_models];
    for (model, adds) in gains.deviations.chunks_exact(columns.n_models).enumerate() {
        for (arm, gain) in arms.iter_mut().zip(adds) {
            *arm += of(*gain, Columns::model(model));
        }
    }
    let complexity = of(gains.complexity, columns.complexity());
    let tasks = (0..columns.n_tasks).map(|task| of(gains.tasks, columns.task(task)));
    arms.into_iter().chain([complexity]).chain(tasks).map(|weight| weight as f32).collect()
}
