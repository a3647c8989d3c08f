//! From labelled prompts to a task classifier.

use std::collections::BTreeMap;

use rayon::prelude::*;
use router_core::Calibration;
use router_core::predictor::tasks::{
    N_TASK_BUCKETS, TaskParts, TaskScratch, Tasks, TasksError, task_blocks,
};
use serde::Serialize;

use super::data::Corpus;
use super::svm::{Machines, SvmParams, solve};
use super::vectors::{SparseRow, frequent};
use crate::calibrate::isotonic;

/// How to fit.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `balance` | `1` | prompts of a label weigh `(n / (n_labels · n_label))^balance` | `[0, 1]` |
/// | `source_weights` | none | multiplies the weight of a source's prompts | `(0, ∞)` |
/// | `svm` | | see [`SvmParams`] | |
#[derive(Clone, Debug, PartialEq)]
pub struct TaskParams {
    /// 0: every prompt weighs the same; 1: every label does.
    pub balance: f64,
    /// Multiplies the weight of a source's prompts.
    pub source_weights: BTreeMap<String, f64>,
    /// How to solve.
    pub svm: SvmParams,
}

impl Default for TaskParams {
    fn default() -> Self {
        Self { balance: 1.0, source_weights: BTreeMap::new(), svm: SvmParams::default() }
    }
}

/// Fits a classifier on some rows; its confidence is not calibrated, and it always has a label.
///
/// # Errors
///
/// If the labels are too many or not different.
pub fn fit(
    corpus: &Corpus,
    vectors: &[SparseRow],
    rows: &[usize],
    params: &TaskParams,
) -> Result<Tasks, TasksError> {
    let labels: Vec<usize> = rows.iter().map(|row| corpus.label[*row]).collect();
    let weights = row_weights(corpus, rows, params);
    let shape = (N_TASK_BUCKETS, corpus.labels.len());
    let machines = solve(&frequent(vectors, rows), &labels, &weights, shape, &params.svm);
    Tasks::new(quantize(&machines, &corpus.labels))
}

/// `[rows.len()]`, of mean 1.
fn row_weights(corpus: &Corpus, rows: &[usize], params: &TaskParams) -> Vec<f64> {
    let mut n_label = vec![0.0f64; corpus.labels.len()];
    for &row in rows {
        n_label[corpus.label[row]] += 1.0;
    }
    let by_source: Vec<f64> = corpus
        .sources
        .iter()
        .map(|source| params.source_weights.get(source).copied().unwrap_or(1.0))
        .collect();
    let weight = |row: &usize| {
        let balanced = rows.len() as f64 / (n_label.len() as f64 * n_label[corpus.label[*row]]);
        balanced.powf(params.balance) * by_source[corpus.source[*row]]
    };
    let weights: Vec<f64> = rows.iter().map(weight).collect();
    let mean = weights.iter().sum::<f64>() / weights.len().max(1) as f64;
    weights.into_iter().map(|weight| weight / mean).collect()
}

/// Weights as bytes: of each block and label the largest is 127.
fn quantize(machines: &Machines, labels: &[String]) -> TaskParts {
    let n = labels.len();
    let mut scales = Vec::new();
    let mut weights = vec![0i8; machines.weights.len()];
    let mut first = 0;
    for ((_, n_buckets), length) in task_blocks().iter().zip(super::vectors::BLOCK_LENGTHS) {
        let block = first * n..(first + n_buckets) * n;
        first += n_buckets;
        let mut largest = vec![0.0f32; n];
        for row in machines.weights[block.clone()].chunks_exact(n) {
            for (largest, weight) in largest.iter_mut().zip(row) {
                *largest = largest.max(weight.abs());
            }
        }
        let steps: Vec<f32> = largest.iter().map(|w| (w / 127.0).max(f32::MIN_POSITIVE)).collect();
        for at in block {
            #[expect(clippy::cast_possible_truncation, reason = "at most 127 in size")]
            let step = (machines.weights[at] / steps[at % n]).round() as i8;
            weights[at] = step;
        }
        scales.extend(steps.iter().map(|step| step * length));
    }
    TaskParts {
        labels: labels.to_vec(),
        bias: machines.bias.clone(),
        scales,
        weights,
        sharpness: 1.0,
        confidence: Calibration::identity(),
        min_confidence: 0.0,
        tool_label: None,
    }
}

/// What a classifier that did not see a prompt says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The prompt.
    pub row: usize,
    /// `[n_labels]`.
    pub scores: Vec<f32>,
}

/// Scores of prompts by a classifier.
pub fn score(tasks: &Tasks, corpus: &Corpus, rows: &[usize]) -> Vec<Held> {
    rows.par_iter()
        .map_init(TaskScratch::default, |scratch, &row| Held {
            row,
            scores: tasks.scores(&corpus.texts[row], scratch),
        })
        .collect()
}

/// How scores become a confidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Confidence {
    /// Multiplies scores before the softmax.
    pub sharpness: f64,
    /// Share of the softmax → how often the label is right.
    pub map: Calibration,
}

impl Confidence {
    /// The sharpness of least cross-entropy on held-out prompts, and the isotonic map from the
    /// share of the best label to how often it is right.
    pub fn fit(held: &[Held], corpus: &Corpus) -> Self {
        let loss = |sharpness: f64| -> f64 {
            let of = |held: &Held| -share(&held.scores, corpus.label[held.row], sharpness).ln();
            held.iter().map(of).sum()
        };
        // 0.5 to 16 in steps of a tenth of an octave.
        let sharpness = (0..=50).map(|step| 0.5 * (f64::from(step) / 10.0).exp2());
        let sharpness =
            sharpness.map(|s| (loss(s), s)).min_by(|a, b| a.0.total_cmp(&b.0)).map_or(1.0, |b| b.1);
        let pairs = held.iter().map(|held| {
            let best = best(&held.scores);
            let is_right = best == corpus.label[held.row];
            (share(&held.scores, best, sharpness), f64::from(u8::from(is_right)))
        });
        Self { sharpness, map: isotonic(pairs.collect()) }
    }

    /// How often the best label of such scores is right.
    pub fn of(&self, scores: &[f32]) -> f64 {
        self.map.apply(share(scores, best(scores), self.sharpness))
    }
}

/// The label of the highest score, ties to the first.
pub fn best(scores: &[f32]) -> usize {
    (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b]).then(b.cmp(a))).unwrap_or(0)
}

/// A label's share of the softmax of sharpened scores.
pub fn share(scores: &[f32], label: usize, sharpness: f64) -> f64 {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |score: f32| (sharpness * f64::from(score - highest)).exp();
    let total: f64 = scores.iter().map(|score| weight(*score)).sum();
    (weight(scores[label]) / total).max(1e-12)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus(n: usize) -> Corpus {
        Corpus {
            labels: vec!["a".to_owned(), "b".to_owned()],
            sources: vec!["x".to_owned(), "y".to_owned()],
            label: (0..n).map(|i| usize::from(i >= n / 4)).collect(),
            source: (0..n).map(|i| i % 2).collect(),
            ..Corpus::default()
        }
    }

    #[test]
    fn weights_balance_labels_and_multiply_sources() {
        let corpus = corpus(80);
        let rows: Vec<usize> = (0..80).collect();
        let source_weights = BTreeMap::from([("y".to_owned(), 3.0)]);
        let params = TaskParams { source_weights, ..TaskParams::default() };
        let weights = row_weights(&corpus, &rows, &params);
        let sum = |keep: &dyn Fn(usize) -> bool| {
            rows.iter().filter(|row| keep(**row)).map(|row| weights[*row]).sum::<f64>()
        };
        assert!((sum(&|_| true) - 80.0).abs() < 1e-9);
        assert!((sum(&|row| corpus.label[row] == 0) - 40.0).abs() < 1e-9);
        assert!((sum(&|row| corpus.source[row] == 1) - 60.0).abs() < 1e-9);
    }

    #[test]
    fn bytes_hold_a_weight_to_half_a_step() {
        let mut weights = vec![0.0; N_TASK_BUCKETS * 2];
        weights[..6].copy_from_slice(&[0.5, 0.0, -0.25, 2.0, 0.003, -1.0]);
        let machines = Machines { weights, bias: vec![0.1, 0.2] };
        let parts = quantize(&machines, &["a".to_owned(), "b".to_owned()]);
        for (at, weight) in machines.weights[..6].iter().enumerate() {
            let label = at % 2;
            let step = parts.scales[label] / super::super::vectors::BLOCK_LENGTHS[0];
            let read = step * f32::from(parts.weights[at]);
            assert!((read - weight).abs() <= step / 2.0 + 1e-7, "{weight} {read}");
        }
        assert_eq!(parts.weights[..4], [127, 0, -64, 127]);
    }

    #[test]
    fn confidence_is_how_often_such_scores_are_right() {
        // Scores (1, 0) in favor of the first label, which is right for 3 of 4.
        let mut corpus = corpus(0);
        corpus.label = (0..1000).map(|i| usize::from(i % 4 == 0)).collect();
        let held: Vec<Held> = (0..1000).map(|row| Held { row, scores: vec![1.0, 0.0] }).collect();
        let confidence = Confidence::fit(&held, &corpus);
        assert!((confidence.of(&[1.0, 0.0]) - 0.75).abs() < 1e-9);
        // Of least cross-entropy is the sharpness ln 3, to a tenth of an octave.
        assert!((confidence.sharpness / 3f64.ln()).log2().abs() < 0.06, "{confidence:?}");
    }
}
