//! The forward pass: one row per n-gram, bag, heads.

use super::{Linear, SURFACE_CLIP};
use crate::features::{Block, N_BLOCKS, N_SURFACE, surface};
use crate::predictor::{Part, Prediction, Predictor, Scratch, TaskPrediction};
use crate::request::RequestView;

impl Predictor for Linear {
    fn predict(&self, view: &RequestView<'_>, scratch: &mut Scratch) -> Prediction {
        self.table.sum(view, scratch);
        let surface = self.standardize(view);
        self.outputs(scratch, &surface);
        self.add_bag(scratch, &surface);
        self.add_neighbors(scratch);
        self.task_probabilities(scratch);
        self.heads(scratch, &surface)
    }

    fn parts(&self, view: &RequestView<'_>, scratch: &mut Scratch) -> Vec<Part> {
        self.table.sum(view, scratch);
        let surface = self.standardize(view);
        let mut parts = vec![self.part("average_request", |arm| f64::from(self.parts.bias[arm]))];
        for (block, name) in Block::ALL.into_iter().zip(["words", "characters", "tools"]) {
            let sums = &scratch.sums[block.index() * self.table.stride()..];
            parts.push(self.part(name, |arm| f64::from(sums[arm])));
        }
        let width = self.parts.width();
        parts.push(self.part("surface", |arm| {
            let weights = self.parts.surface_weights.iter().skip(arm).step_by(width);
            surface.iter().zip(weights).map(|(x, w)| f64::from(x * w)).sum()
        }));
        if self.parts.bag.is_some() {
            scratch.outputs.clear();
            scratch.outputs.resize(width, 0.0);
            self.add_bag(scratch, &surface);
            parts.push(self.part("network", |arm| f64::from(scratch.outputs[arm])));
        }
        if self.parts.neighbors.is_some() {
            scratch.outputs.clear();
            scratch.outputs.resize(width, 0.0);
            self.add_neighbors(scratch);
            parts.push(self.part("neighbors", |arm| f64::from(scratch.outputs[arm])));
        }
        if !self.parts.task_effects.is_empty() {
            self.outputs(scratch, &surface);
            self.add_bag(scratch, &surface);
            self.task_probabilities(scratch);
            parts.push(self.part("task", |arm| self.task_effect(&scratch.probabilities, arm)));
        }
        parts
    }
}

impl Linear {
    fn part(&self, name: &'static str, adds: impl Fn(usize) -> f64) -> Part {
        Part { name, adds: (0..self.parts.n_arms).map(adds).collect() }
    }

    fn standardize(&self, view: &RequestView<'_>) -> [f32; N_SURFACE] {
        let mut features = surface::features(view);
        for (i, feature) in features.iter_mut().enumerate() {
            let scaled = (*feature - self.parts.surface_mean[i]) * self.parts.surface_scale[i];
            *feature = scaled.clamp(-SURFACE_CLIP, SURFACE_CLIP);
        }
        features
    }

    /// Leaves the linear outputs in `scratch.outputs`: `[width]`.
    fn outputs(&self, scratch: &mut Scratch, surface: &[f32; N_SURFACE]) {
        let width = self.parts.width();
        let Scratch { sums, outputs, .. } = scratch;
        outputs.clear();
        outputs.extend_from_slice(&self.parts.bias);
        for block in 0..N_BLOCKS {
            for (output, sum) in outputs.iter_mut().zip(&sums[block * self.table.stride()..]) {
                *output += sum;
            }
        }
        for (feature, weights) in surface.iter().zip(self.parts.surface_weights.chunks_exact(width))
        {
            for (output, weight) in outputs.iter_mut().zip(weights) {
                *output += feature * weight;
            }
        }
    }

    /// Adds what the bag says to `scratch.outputs`.
    fn add_bag(&self, scratch: &mut Scratch, surface: &[f32; N_SURFACE]) {
        let Some(bag) = &self.parts.bag else { return };
        let Scratch { sums, hidden, outputs, .. } = scratch;
        let blocks = sums.chunks_exact(self.table.stride());
        let bags = blocks.map(|block| &block[self.parts.width()..][..bag.hidden]);
        bag.add_outputs(bags, surface, hidden, outputs);
    }

    /// Adds what neighbors say to `scratch.outputs`, given `scratch.hidden`.
    fn add_neighbors(&self, scratch: &mut Scratch) {
        let Some(parts) = &self.parts.neighbors else { return };
        let Scratch { hidden, neighbors, outputs, .. } = scratch;
        parts.add_outputs(hidden, neighbors, outputs);
    }

    fn heads(&self, scratch: &Scratch, surface: &[f32; N_SURFACE]) -> Prediction {
        let parts = &self.parts;
        let Scratch { outputs, probabilities, .. } = scratch;
        let score: Vec<f64> = (0..parts.n_arms)
            .map(|arm| f64::from(outputs[arm]) + self.task_effect(probabilities, arm))
            .collect();
        let quality =
            score.iter().zip(&parts.calibrations).map(|(score, map)| map.apply(*score)).collect();
        let factor = |arm: usize| {
            parts.bag.as_ref().map_or(1.0, |bag| bag.cost_factor(&scratch.hidden, arm))
        };
        let cost = parts.costs.iter().enumerate();
        let cost =
            cost.map(|(arm, head)| head.as_ref().map(|head| head.cost(surface) * factor(arm)));
        let complexity = parts
            .has_complexity
            .then(|| parts.complexity_calibration.apply(f64::from(outputs[parts.n_arms])));
        Prediction {
            quality,
            score,
            cost: cost.collect(),
            latency_ms: parts.latency_ms.clone(),
            sd: Vec::new(),
            complexity,
            task: self.most_likely_task(probabilities),
        }
    }

    /// Leaves the softmax of the task outputs in `scratch.probabilities`; empty without tasks.
    fn task_probabilities(&self, scratch: &mut Scratch) {
        let Scratch { outputs, probabilities, .. } = scratch;
        let first = self.parts.n_arms + usize::from(self.parts.has_complexity);
        let scores = outputs[first..].iter();
        probabilities.clear();
        probabilities.extend(scores.map(|score| f64::from(*score) * self.parts.task_sharpness));
        let highest = probabilities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        probabilities.iter_mut().for_each(|score| *score = (*score - highest).exp());
        let total: f64 = probabilities.iter().sum();
        probabilities.iter_mut().for_each(|weight| *weight /= total);
    }

    fn task_effect(&self, probabilities: &[f64], arm: usize) -> f64 {
        let effects = self.parts.task_effects.iter().skip(arm).step_by(self.parts.n_arms.max(1));
        probabilities.iter().zip(effects).map(|(p, effect)| p * f64::from(*effect)).sum()
    }

    fn most_likely_task(&self, probabilities: &[f64]) -> Option<TaskPrediction> {
        let best = (0..probabilities.len()).max_by(|&a, &b| {
            // Ties to the first label.
            probabilities[a].total_cmp(&probabilities[b]).then(b.cmp(&a))
        })?;
        let label = self.parts.tasks[best].clone();
        Some(TaskPrediction { label: Some(label), probability: probabilities[best] })
    }
}

impl super::CostHead {
    /// Expected dollars, given standardised surface features.
    fn cost(&self, surface: &[f32; N_SURFACE]) -> f64 {
        let log: f64 = surface.iter().zip(&self.weights).map(|(x, w)| f64::from(*x) * w).sum();
        (self.bias + log).clamp(-60.0, 20.0).exp()
    }
}
