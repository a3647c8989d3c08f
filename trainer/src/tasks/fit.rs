//! From labelled prompts to a task classifier.

use std::collections::BTreeMap;

use rayon::prelude::*;
use router_core::Calibration;
use router_core::predictor::tasks::{
    N_TASK_BUCKETS, TaskParts, TaskScratch, Tasks, TasksError, task_blocks,
};
use serde::Serialize;

use super::data::Corpus;
use super::prune::{heaviest, keep};
use super::svm::{Machines, SvmParams, solve};
use super::vectors::{SparseRow, frequent};
use crate::calibrate::isotonic;

/// How to fit.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `balance` | `0.5` | prompts of a head weigh `(n / (n_heads · n_head))^balance` | `[0, 1]` |
/// | `max_bytes` | `3000000` | bytes of weights, at most | `[1, ∞)` |
/// | `source_weights` | none | multiplies the weight of a source's prompts | `(0, ∞)` |
/// | `svm` | | see [`SvmParams`] | |
#[derive(Clone, Debug, PartialEq)]
pub struct TaskParams {
    /// 0: every prompt weighs the same; 1: every head does.
    pub balance: f64,
    /// Bytes of weights, at most.
    pub max_bytes: usize,
    /// Multiplies the weight of a source's prompts.
    pub source_weights: BTreeMap<String, f64>,
    /// How to solve.
    pub svm: SvmParams,
}

impl Default for TaskParams {
    fn default() -> Self {
        Self {
            balance: 0.5,
            max_bytes: 3_000_000,
            source_weights: BTreeMap::new(),
            svm: SvmParams::default(),
        }
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
    let heads: Vec<usize> = rows.iter().map(|row| corpus.head[*row]).collect();
    let weights = row_weights(corpus, rows, params);
    let shape = (N_TASK_BUCKETS, corpus.heads.len());
    let rows = frequent(vectors, rows);
    let machines = solve(&rows, &heads, &weights, shape, &params.svm);
    // A row is a byte per head and the number of its bucket.
    let n_rows = params.max_bytes / (corpus.heads.len() + 4);
    let buckets = heaviest(&machines, &rows, &weights, n_rows);
    let rows = keep(rows, &buckets);
    let machines = solve(&rows, &heads, &weights, shape, &params.svm);
    Tasks::new(quantize(&machines, buckets, corpus))
}

/// `[rows.len()]`, of mean 1.
pub(super) fn row_weights(corpus: &Corpus, rows: &[usize], params: &TaskParams) -> Vec<f64> {
    let mut n_head = vec![0.0f64; corpus.heads.len()];
    for &row in rows {
        n_head[corpus.head[row]] += 1.0;
    }
    let by_source: Vec<f64> = corpus
        .sources
        .iter()
        .map(|source| params.source_weights.get(source).copied().unwrap_or(1.0))
        .collect();
    let weight = |row: &usize| {
        let balanced = rows.len() as f64 / (n_head.len() as f64 * n_head[corpus.head[*row]]);
        balanced.powf(params.balance) * by_source[corpus.source[*row]]
    };
    let weights: Vec<f64> = rows.iter().map(weight).collect();
    let mean = weights.iter().sum::<f64>() / weights.len().max(1) as f64;
    weights.into_iter().map(|weight| weight / mean).collect()
}

/// Weights as bytes: of each block and head the largest is 127.
fn quantize(machines: &Machines, buckets: Vec<u32>, corpus: &Corpus) -> TaskParts {
    let n = corpus.heads.len();
    let mut ends = Vec::new();
    for (_, n_buckets) in task_blocks() {
        ends.push(ends.last().copied().unwrap_or(0) + n_buckets);
    }
    let block_of = |bucket: u32| ends.partition_point(|end| *end <= bucket as usize);
    let row = |bucket: u32| &machines.weights[bucket as usize * n..][..n];
    let mut steps = vec![f32::MIN_POSITIVE; ends.len() * n];
    for &bucket in &buckets {
        for (step, weight) in steps[block_of(bucket) * n..][..n].iter_mut().zip(row(bucket)) {
            *step = step.max(weight.abs() / 127.0);
        }
    }
    let mut weights = Vec::with_capacity(buckets.len() * n);
    for &bucket in &buckets {
        let steps = &steps[block_of(bucket) * n..][..n];
        #[expect(clippy::cast_possible_truncation, reason = "at most 127 in size")]
        weights.extend(row(bucket).iter().zip(steps).map(|(w, step)| (w / step).round() as i8));
    }
    let lengths = super::vectors::BLOCK_LENGTHS.iter().flat_map(|l| std::iter::repeat_n(l, n));
    TaskParts {
        labels: corpus.labels.clone(),
        heads: corpus.label_of_head.iter().filter_map(|label| u32::try_from(*label).ok()).collect(),
        bias: machines.bias.clone(),
        scales: steps.iter().zip(lengths).map(|(step, length)| step * length).collect(),
        buckets,
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
            heads: vec!["a".to_owned(), "b".to_owned()],
            label_of_head: vec![0, 1],
            sources: vec!["x".to_owned(), "y".to_owned()],
            label: (0..n).map(|i| usize::from(i >= n / 4)).collect(),
            head: (0..n).map(|i| usize::from(i >= n / 4)).collect(),
            source: (0..n).map(|i| i % 2).collect(),
            ..Corpus::default()
        }
    }

    #[test]
    fn weights_balance_heads_and_multiply_sources() {
        let corpus = corpus(80);
        let rows: Vec<usize> = (0..80).collect();
        let source_weights = BTreeMap::from([("y".to_owned(), 3.0)]);
        let params = TaskParams { balance: 1.0, source_weights, ..TaskParams::default() };
        let weights = row_weights(&corpus, &rows, &params);
        let sum = |keep: &dyn Fn(usize) -> bool| {
            rows.iter().filter(|row| keep(**row)).map(|row| weights[*row]).sum::<f64>()
        };
        assert!((sum(&|_| true) - 80.0).abs() < 1e-9);
        assert!((sum(&|row| corpus.head[row] == 0) - 40.0).abs() < 1e-9);
        assert!((sum(&|row| corpus.source[row] == 1) - 60.0).abs() < 1e-9);
    }

    #[test]
    fn bytes_hold_a_weight_to_half_a_step() {
        let mut weights = vec![0.0; N_TASK_BUCKETS * 2];
        weights[..6].copy_from_slice(&[0.5, 0.0, -0.25, 2.0, 0.003, -1.0]);
        let machines = Machines { weights, bias: vec![0.1, 0.2] };
        let parts = quantize(&machines, vec![0, 1, 2], &corpus(1));
        for (at, weight) in machines.weights[..6].iter().enumerate() {
            let step = parts.scales[at % 2] / super::super::vectors::BLOCK_LENGTHS[0];
            let read = step * f32::from(parts.weights[at]);
            assert!((read - weight).abs() <= step / 2.0 + 1e-7, "{weight} {read}");
        }
        assert_eq!(parts.weights[..4], [127, 0, -64, 127]);
        assert_eq!(parts.weights.len(), 6);
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
