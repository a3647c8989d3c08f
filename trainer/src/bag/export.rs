//! Networks as the plain weights that a router runs.

use router_core::features::N_SURFACE;
use router_core::predictor::BagParts;

use super::{BagFit, Columns};
use crate::design::Vectorizer;
use crate::heads::Layout;

/// How much of each kind of output a router adds to its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gains {
    /// Of the shared quality, added to every arm.
    pub shared: f64,
    /// Of each arm's deviation.
    pub deviations: f64,
    /// Of complexity.
    pub complexity: f64,
    /// Of each arm's log cost; 0 leaves costs alone.
    pub costs: f64,
    /// Of task logits, on the scale of the router's task scores: divided by its sharpness.
    pub tasks: f64,
}

/// The bag of a router whose outputs are arms, complexity and tasks, over the n-grams of
/// `vectorizer`, which has one network or more: all networks side by side, each with its share of the weights.
pub fn export(fit: &BagFit, vectorizer: &Vectorizer, gains: &Gains) -> BagParts {
    let hidden = fit.networks.iter().map(|network| network.hidden).sum();
    let row = |column: usize| {
        fit.networks.iter().flat_map(move |network| {
            network.embeddings[column * network.hidden..][..network.hidden].iter().copied()
        })
    };
    let n_grams = vectorizer.n_grams();
    let embeddings: Vec<f32> = (0..n_grams).flat_map(row).collect();
    let (embeddings, scales) = BagParts::quantize(&embeddings, hidden);
    let share = 1.0 / fit.networks.len() as f64;
    let mut bias = vec![0.0; 1 + fit.columns.n_models + fit.columns.n_tasks];
    for network in &fit.networks {
        let outputs = outputs(&network.bias, fit.columns, gains, share);
        bias.iter_mut().zip(outputs).for_each(|(bias, of)| *bias += of);
    }
    let of_costs = |row: &[f32]| costs(row, fit.columns, gains, share);
    let mut cost_bias = of_costs(&fit.networks[0].bias);
    for network in &fit.networks[1..] {
        cost_bias.iter_mut().zip(of_costs(&network.bias)).for_each(|(bias, of)| *bias += of);
    }
    let units = fit.networks.iter().flat_map(|n| n.weights.chunks_exact(n.width));
    BagParts {
        hidden,
        embeddings,
        scales,
        // Surface features are scaled by the vectorizer for the fit; the router has them unscaled.
        surface_weights: (0..N_SURFACE)
            .flat_map(|i| row(n_grams + i).map(move |weight| weight * vectorizer.params.scale(i)))
            .collect(),
        hidden_bias: row(n_grams + N_SURFACE).collect(),
        cost_weights: units.clone().flat_map(of_costs).collect(),
        cost_bias,
        weights: units.flat_map(|unit| outputs(unit, fit.columns, gains, share)).collect(),
        bias,
    }
}

/// What a row of a network's outputs adds to the log cost of each arm; empty for a gain of 0.
#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn costs(row: &[f32], columns: Columns, gains: &Gains, share: f64) -> Vec<f32> {
    let of = |model: usize| (share * gains.costs * f64::from(row[columns.cost(model)])) as f32;
    let n = if gains.costs > 0.0 { columns.n_models } else { 0 };
    (0..n).map(of).collect()
}

/// What a row of a network's outputs adds to arms, complexity and tasks.
#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn outputs(row: &[f32], columns: Columns, gains: &Gains, share: f64) -> Vec<f32> {
    let of = |gain: f64, column: usize| share * gain * f64::from(row[column]);
    let shared = of(gains.shared, Layout::SHARED);
    let arms = (0..columns.n_models).map(|j| shared + of(gains.deviations, Columns::model(j)));
    let complexity = of(gains.complexity, columns.complexity());
    let tasks = (0..columns.n_tasks).map(|task| of(gains.tasks, columns.task(task)));
    arms.chain([complexity]).chain(tasks).map(|weight| weight as f32).collect()
}
