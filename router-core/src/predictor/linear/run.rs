//! The forward pass: counts, one row per n-gram, heads.

use super::{Linear, NO_ROW, SURFACE_CLIP};
use crate::features::{Block, N_BLOCKS, N_SURFACE, for_each_gram, surface, term_weight};
use crate::predictor::{Part, Prediction, Predictor, Scratch, TaskPrediction};
use crate::request::RequestView;

impl Predictor for Linear {
    fn predict(&self, view: &RequestView<'_>, scratch: &mut Scratch) -> Prediction {
        self.sum_blocks(view, scratch);
        let surface = self.standardize(view);
        let outputs = self.outputs(&scratch.sums, &surface);
        self.heads(&outputs, &surface)
    }

    fn parts(&self, view: &RequestView<'_>, scratch: &mut Scratch) -> Vec<Part> {
        self.sum_blocks(view, scratch);
        let surface = self.standardize(view);
        let mut parts = vec![self.part("average_request", |arm| f64::from(self.parts.bias[arm]))];
        for (block, name) in Block::ALL.into_iter().zip(["words", "characters", "tools"]) {
            let sums = &scratch.sums[block.index() * self.stride..];
            parts.push(self.part(name, |arm| f64::from(sums[arm])));
        }
        let width = self.parts.width();
        parts.push(self.part("surface", |arm| {
            let weights = self.parts.surface_weights.iter().skip(arm).step_by(width);
            surface.iter().zip(weights).map(|(x, w)| f64::from(x * w)).sum()
        }));
        if !self.parts.task_effects.is_empty() {
            let outputs = self.outputs(&scratch.sums, &surface);
            let probabilities = self.task_probabilities(&outputs);
            parts.push(self.part("task", |arm| self.task_effect(&probabilities, arm)));
        }
        parts
    }
}

impl Linear {
    fn part(&self, name: &'static str, adds: impl Fn(usize) -> f64) -> Part {
        Part { name, adds: (0..self.parts.n_arms).map(adds).collect() }
    }

    /// Leaves in `scratch.sums`, for each block, its scaled contribution to every output:
    /// `[N_BLOCKS * stride]`.
    fn sum_blocks(&self, view: &RequestView<'_>, scratch: &mut Scratch) {
        let Scratch { features, counts, touched, sums, .. } = scratch;
        if counts.len() < self.idf_squared.len() {
            counts.resize(self.idf_squared.len(), 0);
        }
        touched.clear();
        for_each_gram(view, features, |bucket| {
            let row = self.row_of[bucket as usize];
            if row != NO_ROW {
                let count = &mut counts[row as usize];
                if *count == 0 {
                    touched.push(row);
                }
                *count = count.saturating_add(1);
            }
        });
        sums.clear();
        sums.resize(N_BLOCKS * self.stride, 0.0);
        let mut squares = [0.0f32; N_BLOCKS];
        for &row in touched.iter() {
            let row = row as usize;
            let term = term_weight(u32::from(std::mem::take(&mut counts[row])));
            let block = Block::of(self.parts.buckets[row]).index();
            squares[block] += term * term * self.idf_squared[row];
            let sums = &mut sums[block * self.stride..][..self.stride];
            let weights = &self.rows[row * self.stride..][..self.stride];
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += term * weight;
            }
        }
        for (block, square) in squares.iter().enumerate() {
            let scale =
                if *square > 0.0 { self.parts.block_scales[block] / square.sqrt() } else { 0.0 };
            for sum in &mut sums[block * self.stride..][..self.stride] {
                *sum *= scale;
            }
        }
    }

    fn standardize(&self, view: &RequestView<'_>) -> [f32; N_SURFACE] {
        let mut features = surface::features(view);
        for (i, feature) in features.iter_mut().enumerate() {
            let scaled = (*feature - self.parts.surface_mean[i]) * self.parts.surface_scale[i];
            *feature = scaled.clamp(-SURFACE_CLIP, SURFACE_CLIP);
        }
        features
    }

    /// `[width]`.
    fn outputs(&self, sums: &[f32], surface: &[f32; N_SURFACE]) -> Vec<f32> {
        let width = self.parts.width();
        let mut outputs = self.parts.bias.clone();
        for block in 0..N_BLOCKS {
            for (output, sum) in outputs.iter_mut().zip(&sums[block * self.stride..]) {
                *output += sum;
            }
        }
        for (feature, weights) in surface.iter().zip(self.parts.surface_weights.chunks_exact(width))
        {
            for (output, weight) in outputs.iter_mut().zip(weights) {
                *output += feature * weight;
            }
        }
        outputs
    }

    fn heads(&self, outputs: &[f32], surface: &[f32; N_SURFACE]) -> Prediction {
        let parts = &self.parts;
        let probabilities = self.task_probabilities(outputs);
        let score: Vec<f64> = (0..parts.n_arms)
            .map(|arm| f64::from(outputs[arm]) + self.task_effect(&probabilities, arm))
            .collect();
        let quality =
            score.iter().zip(&parts.calibrations).map(|(score, map)| map.apply(*score)).collect();
        let cost = parts.costs.iter().map(|head| head.as_ref().map(|head| head.cost(surface)));
        let complexity = parts
            .has_complexity
            .then(|| parts.complexity_calibration.apply(f64::from(outputs[parts.n_arms])));
        Prediction {
            quality,
            score,
            cost: cost.collect(),
            latency_ms: parts.latency_ms.clone(),
            complexity,
            task: self.most_likely_task(&probabilities),
        }
    }

    /// Softmax of the task outputs; empty without tasks.
    fn task_probabilities(&self, outputs: &[f32]) -> Vec<f64> {
        let first = self.parts.n_arms + usize::from(self.parts.has_complexity);
        let scores: Vec<f64> = outputs[first..]
            .iter()
            .map(|score| f64::from(*score) * self.parts.task_sharpness)
            .collect();
        let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / total).collect()
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
