//! Fits a cascade beside a cross-fitted router: what an answer says of its quality, and when it is
//! worth asking again.
//!
//! Every request is predicted by the fold router that did not see it. For each fold the heads, the
//! ratio and λ are chosen on the other folds; the cascade to serve is chosen on all. The predictions
//! that a fold's cascade learns from are of routers that saw that fold: what is learned of answers is
//! new to the judged rows, what is predicted of the others is not, by one part in as many folds.

mod logistic;
pub mod run;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rayon::prelude::*;
use router_core::cascade::{Answered, Cascade, Head, Heads, N_SIGNALS, Offer, signals};
use router_core::{Catalog, ModelId, Outcome, Prediction, Quality, Usd};

use crate::heads::mean;
use crate::operating::{Target, sweep};

/// Ratios that the first call may count cost more by.
const RATIOS: [f64; 5] = [1.0, 2.0, 4.0, 8.0, 16.0];

/// Margins of the guard.
const MARGINS: [f64; 4] = [0.0, 0.03, 0.1, 0.25];

/// Mean retention over costs that second calls must add to be made at all.
const MIN_GAIN: f64 = 0.005;

/// A margin that no gain reaches: every answer is kept, as without a cascade.
const NEVER: f64 = 1.0;

/// Of the sweep, every so many λ are tried for ratio and margin.
const COARSE: usize = 3;

/// Pulls the weights of pooled heads towards 0, and those of a model towards the pooled ones.
const PENALTIES: (f64, f64) = (3.0, 20.0);

/// Answers of a model below which it has no heads of its own.
const MIN_ANSWERS: usize = 100;

/// λ at which answers are looked at to fit the heads.
const LAMBDAS: [f64; 6] = [0.001, 0.01, 0.03, 0.1, 0.3, 1.0];

/// A request whose every answer is known, with what was expected of it.
#[derive(Clone, Debug)]
pub struct Played {
    /// By the router that did not see it.
    pub prediction: Prediction,
    /// `[n_arms]`.
    pub outcomes: Vec<Outcome>,
    /// Its fold.
    pub fold: i32,
    /// Its group.
    pub group: String,
}

impl Played {
    fn quality(&self, arm: usize) -> f64 {
        self.outcomes[arm].quality.map_or(0.0, Quality::get)
    }

    fn cost(&self, arm: usize) -> f64 {
        self.outcomes[arm].cost.map_or(0.0, Usd::dollars)
    }

    /// What is known once an arm has answered.
    fn answered(&self, arm: usize) -> Answered<'static> {
        let outcome = &self.outcomes[arm];
        Answered {
            status: outcome.status,
            completion_tokens: outcome.completion_tokens,
            cost: outcome.cost.map(Usd::dollars),
            latency_ms: outcome.latency_ms,
            ..Answered::default()
        }
    }

    /// Quality of what is kept and dollars of all that was asked.
    fn play(&self, cascade: &Cascade, (catalog, recipe): With<'_>, lambda: f64) -> (f64, f64) {
        let eligible = vec![true; self.outcomes.len()];
        let answer = |arm| self.answered(arm);
        let prediction = &self.prediction;
        let offer = Offer {
            catalog,
            prediction,
            eligible: &eligible,
            lambda,
            uncertainty_weight: recipe.uncertainty_weight,
        };
        let asked = cascade.run(&offer, answer);
        let cost = asked.iter().map(|arm| self.cost(*arm)).sum();
        (asked.last().map_or(0.0, |arm| self.quality(*arm)), cost)
    }
}

/// What a cascade is fitted for.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// The point to choose.
    pub target: Target,
    /// Mean dollars per request of the reference model.
    pub reference_cost: f64,
    /// The reference model.
    pub reference: usize,
    /// Dollars that all calls of a request are expected to cost together, at most.
    pub max_cost: Option<f64>,
    /// κ of the router's objective.
    pub uncertainty_weight: f64,
}

/// What a cascade is played with.
type With<'a> = (&'a Catalog, Recipe);

/// A point of the curve: λ, retention and cost ratio.
pub type Point = (f64, f64, f64);

/// Fits a cascade on some requests; with the point that was chosen for the target, and whether the
/// target was reached there.
///
/// Ratio, margin and λ are chosen with heads that did not see the fold that they judge.
pub fn fit(rows: &[&Played], catalog: &Catalog, recipe: Recipe) -> (Cascade, Point, bool) {
    let parts = parts(rows, catalog, recipe);
    let coarse: Vec<f64> = sweep().into_iter().step_by(COARSE).collect();
    let tried = RATIOS.iter().flat_map(|ratio| MARGINS.map(|margin| (*ratio, margin)));
    let tried: Vec<(f64, f64)> = std::iter::once((1.0, NEVER)).chain(tried).collect();
    let with = |(first_ratio, margin): (f64, f64)| -> Vec<Part<'_>> {
        parts.iter().map(|part| part.with(first_ratio, margin)).collect()
    };
    let at = (catalog, recipe);
    let areas: Vec<f64> =
        tried.par_iter().map(|tried| area(&curve(&with(*tried), at, &coarse))).collect();
    // The first never asks again.
    let best = (0..tried.len()).fold(0, |best, at| if areas[at] > areas[best] { at } else { best });
    let best = if areas[best] > areas[0] + MIN_GAIN { best } else { 0 };
    let lambdas = match recipe.target {
        Target::Lambda(lambda) => vec![lambda],
        Target::Retention(_) | Target::CostRatio(_) => sweep(),
    };
    let curve = curve(&with(tried[best]), at, &lambdas);
    let (point, reached) = choose(&curve, recipe.target);
    let (first_ratio, margin) = tried[best];
    let cascade = unguarded(rows, catalog, recipe);
    (Cascade { first_ratio, margin, lambda: point.0, ..cascade }, point, reached)
}

/// A cascade of heads alone.
fn unguarded(rows: &[&Played], catalog: &Catalog, recipe: Recipe) -> Cascade {
    let typical_length = typical_lengths(rows, catalog);
    let (heads, by_model) = heads(rows, catalog, &typical_length, recipe.reference_cost);
    Cascade {
        heads,
        by_model,
        margin: NEVER,
        typical_length,
        first_ratio: 1.0,
        lambda: 0.0,
        reference_cost: recipe.reference_cost,
        max_cost: recipe.max_cost,
    }
}

/// Requests, and a cascade that did not see them.
struct Part<'a> {
    rows: Vec<&'a Played>,
    cascade: Cascade,
}

impl Part<'_> {
    fn with(&self, first_ratio: f64, margin: f64) -> Self {
        let cascade = Cascade { first_ratio, margin, ..self.cascade.clone() };
        Self { rows: self.rows.clone(), cascade }
    }
}

/// One part per fold; of one fold alone, that with the cascade that saw it.
fn parts<'a>(rows: &[&'a Played], catalog: &Catalog, recipe: Recipe) -> Vec<Part<'a>> {
    let folds: BTreeSet<i32> = rows.iter().map(|row| row.fold).collect();
    let of = |fold: i32| {
        let (own, mut others): (Vec<&Played>, Vec<&Played>) =
            rows.iter().copied().partition(|row| row.fold == fold);
        // Folds by label may divide a group.
        let groups: HashSet<&str> = own.iter().map(|row| &*row.group).collect();
        others.retain(|row| !groups.contains(&*row.group));
        let seen = if others.is_empty() { &own } else { &others };
        Part { cascade: unguarded(seen, catalog, recipe), rows: own }
    };
    folds.into_iter().map(of).collect()
}

/// Pooled heads, and those of each model with enough answers.
fn heads(
    rows: &[&Played],
    catalog: &Catalog,
    typical_length: &BTreeMap<ModelId, f64>,
    reference_cost: f64,
) -> (Heads, BTreeMap<ModelId, Heads>) {
    // Signals, quality of the answer and of the other one, by the model that answered.
    let mut seen: Vec<Seen> = vec![Seen::default(); catalog.models().len()];
    for row in rows {
        for (arm, next) in pairs(row, reference_cost) {
            let typical = typical_length.get(&catalog.models()[arm].id).copied();
            seen[arm].signals.push(signals_of(row, (arm, next), typical));
            seen[arm].own.push(row.quality(arm));
            seen[arm].other.push(row.quality(next));
        }
    }
    let mut all = Seen::default();
    for seen in &seen {
        all.signals.extend_from_slice(&seen.signals);
        all.own.extend_from_slice(&seen.own);
        all.other.extend_from_slice(&seen.other);
    }
    let nothing = Head { bias: 0.0, weights: vec![0.0; N_SIGNALS] };
    let nothing = Heads { answer: nothing.clone(), other: nothing };
    let pooled = all.fit(&nothing, PENALTIES.0);
    let many = seen.iter().zip(catalog.models()).filter(|(seen, _)| seen.own.len() >= MIN_ANSWERS);
    let by_model = many.map(|(seen, spec)| (spec.id.clone(), seen.fit(&pooled, PENALTIES.1)));
    let by_model = by_model.collect();
    (pooled, by_model)
}

/// Answers, and what became of them.
#[derive(Clone, Default)]
struct Seen {
    signals: Vec<[f64; N_SIGNALS]>,
    own: Vec<f64>,
    other: Vec<f64>,
}

impl Seen {
    fn fit(&self, prior: &Heads, penalty: f64) -> Heads {
        Heads {
            answer: logistic::fit(&self.signals, &self.own, (&prior.answer, penalty)),
            other: logistic::fit(&self.signals, &self.other, (&prior.other, penalty)),
        }
    }
}

fn signals_of(row: &Played, pair: (usize, usize), typical: Option<f64>) -> [f64; N_SIGNALS] {
    signals(&row.prediction, pair, &row.answered(pair.0), typical)
}

/// Pairs of models that a cascade may meet: the first choice at several λ and ratios, and the best
/// other one.
fn pairs(row: &Played, reference_cost: f64) -> Vec<(usize, usize)> {
    let expected = &row.prediction;
    let n = expected.score.len();
    let dearest = expected.cost.iter().flatten().copied().fold(0.0, f64::max);
    let best = |lambda: f64, without: Option<usize>| {
        let utility = |arm: usize| {
            expected.score[arm] - lambda * expected.cost[arm].unwrap_or(dearest) / reference_cost
        };
        (0..n)
            .filter(|arm| Some(*arm) != without)
            .max_by(|a, b| utility(*a).total_cmp(&utility(*b)))
    };
    let mut found = Vec::new();
    for lambda in LAMBDAS {
        for ratio in [1.0, 8.0, 64.0] {
            let Some(first) = best(ratio * lambda, None) else { continue };
            let Some(next) = best(lambda, Some(first)) else { continue };
            if !found.contains(&(first, next)) {
                found.push((first, next));
            }
        }
    }
    found
}

fn typical_lengths(rows: &[&Played], catalog: &Catalog) -> BTreeMap<ModelId, f64> {
    let of = |(arm, spec): (usize, &router_core::ModelSpec)| {
        let tokens = rows.iter().filter_map(|row| row.outcomes[arm].completion_tokens);
        let logs: Vec<f64> = tokens.map(|tokens| (1.0 + tokens.0 as f64).ln()).collect();
        (!logs.is_empty()).then(|| (spec.id.clone(), mean(logs.into_iter())))
    };
    catalog.models().iter().enumerate().filter_map(of).collect()
}

/// Retention and cost ratio at some λ.
fn curve(parts: &[Part<'_>], (catalog, recipe): With<'_>, lambdas: &[f64]) -> Vec<Point> {
    let reference = recipe.reference;
    let rows = || parts.iter().flat_map(|part| &part.rows);
    let quality = mean(rows().map(|row| row.quality(reference))).max(f64::MIN_POSITIVE);
    let cost = mean(rows().map(|row| row.cost(reference))).max(f64::MIN_POSITIVE);
    let at = |lambda: &f64| {
        let play = |part: &Part<'_>| -> Vec<(f64, f64)> {
            part.rows
                .iter()
                .map(|row| row.play(&part.cascade, (catalog, recipe), *lambda))
                .collect()
        };
        let played: Vec<(f64, f64)> = parts.iter().flat_map(play).collect();
        let (q, c) = (mean(played.iter().map(|p| p.0)), mean(played.iter().map(|p| p.1)));
        (*lambda, q / quality, c / cost)
    };
    lambdas.iter().map(at).collect()
}

/// Mean over cost ratios in `[0, 1]` of the best retention that costs no more (a staircase).
fn area(curve: &[Point]) -> f64 {
    let mut points: Vec<(f64, f64)> = curve.iter().map(|(_, q, c)| (*c, *q)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut area, mut best, mut at) = (0.0, 0.0f64, 0.0f64);
    for (cost, quality) in points {
        let to = cost.clamp(at, 1.0);
        area += best * (to - at);
        if cost <= 1.0 {
            best = best.max(quality);
        }
        at = to;
    }
    area + best * (1.0 - at)
}

/// The point for a target, and whether it is reached there.
fn choose(curve: &[Point], target: Target) -> (Point, bool) {
    let by_cost = |a: &&Point, b: &&Point| a.2.total_cmp(&b.2);
    let by_quality = |a: &&Point, b: &&Point| a.1.total_cmp(&b.1).then(b.2.total_cmp(&a.2));
    let best = curve.iter().max_by(by_quality).copied().unwrap_or((0.0, 1.0, 1.0));
    let found = match target {
        Target::Retention(goal) => curve.iter().filter(|p| p.1 >= goal).min_by(by_cost),
        Target::CostRatio(goal) => curve.iter().filter(|p| p.2 <= goal).max_by(by_quality),
        Target::Lambda(goal) => {
            let gap = |p: &Point| (p.0 - goal).abs();
            curve.iter().min_by(|a, b| gap(a).total_cmp(&gap(b)))
        }
    };
    (found.copied().unwrap_or(best), found.is_some())
}

#[cfg(test)]
mod tests;
