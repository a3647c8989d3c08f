//! The kind of task that a request is, by linear scores on hashed n-grams.
//!
//! With term weights `t = 1 + ln(count)`, the score of a head is
//!
//! `y = bias + Σ_blocks scale[b][head] · Σ_g t_g w[g][head] / ‖t‖_b`
//!
//! over the n-grams of [`features`](crate::features) and of [`layout`](crate::features::layout),
//! whose weights are bytes. A label is as likely as its best head: one label may have several, because what is called
//! `functional_writing` is mails, titles and speeches, which have few words in common.
//! The confidence is a calibrated map of the softmax of the sharpened scores; below a stated
//! confidence there is no label.

pub mod part;

mod sums;

use self::sums::Sums;
use crate::calibration::Calibration;
use crate::features::layout::{
    LAYOUT_BUCKETS, LAYOUT_NAMES, LayoutScratch, N_LAYOUT_BLOCKS, N_LAYOUT_BUCKETS, for_each_layout,
};
use crate::features::{CHAR_BUCKETS, FeatureScratch, WORD_BUCKETS, for_each_gram};
use crate::predictor::TaskPrediction;
use crate::request::RequestView;

/// The version of the n-grams that task classifiers read.
pub const TASK_FEATURE_VERSION: u32 = 1;
/// Buckets of word and character n-grams, which come first.
const N_TEXT_BUCKETS: usize = WORD_BUCKETS + CHAR_BUCKETS;
/// All buckets: words, characters, then those of [`layout`](crate::features::layout).
pub const N_TASK_BUCKETS: usize = N_TEXT_BUCKETS + N_LAYOUT_BUCKETS;
/// Blocks, each scaled to unit length on its own.
pub const N_TASK_BLOCKS: usize = 2 + N_LAYOUT_BLOCKS;
/// Labels that a classifier may have.
pub const MAX_LABELS: usize = 256;

/// Names and numbers of buckets of the blocks, in order.
pub fn task_blocks() -> [(&'static str, usize); N_TASK_BLOCKS] {
    std::array::from_fn(|block| match block {
        0 => ("words", WORD_BUCKETS),
        1 => ("characters", CHAR_BUCKETS),
        _ => (LAYOUT_NAMES[block - 2], LAYOUT_BUCKETS[block - 2]),
    })
}

/// Buffers of a task prediction; reuse one per thread to avoid allocation.
#[derive(Debug, Default)]
pub struct TaskScratch {
    features: FeatureScratch,
    layout: LayoutScratch,
    counts: Vec<u16>,
    touched: [Vec<u32>; N_TASK_BLOCKS],
}

/// Calls `visit` with the block, the bucket, and the number of its occurrences, of every n-gram of
/// a text that a task classifier reads; blocks in order, buckets as they first occur.
pub fn for_each_term(
    text: &str,
    scratch: &mut TaskScratch,
    mut visit: impl FnMut(usize, u32, u32),
) {
    let TaskScratch { features, layout, counts, touched } = scratch;
    counts.resize(N_TASK_BUCKETS, 0);
    let mut count = |block: usize, bucket: u32| {
        let count = &mut counts[bucket as usize];
        if *count == 0 {
            touched[block].push(bucket);
        }
        *count = count.saturating_add(1);
    };
    let view = RequestView::from_text(text);
    for_each_gram(&view, features, |bucket| {
        count(usize::from(bucket as usize >= WORD_BUCKETS), bucket);
    });
    let offset = u32::try_from(N_TEXT_BUCKETS).unwrap_or(0);
    for_each_layout(text, layout, |block, bucket| count(2 + block, offset + bucket));
    for (block, touched) in touched.iter_mut().enumerate() {
        for bucket in touched.drain(..) {
            let count = std::mem::take(&mut counts[bucket as usize]);
            visit(block, bucket, u32::from(count));
        }
    }
}

/// Everything that [`Tasks`] is made of, as plain numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskParts {
    /// `[n_labels]`, each once.
    pub labels: Vec<String>,
    /// `[n_heads]`: the label of each head; every label has at least one.
    pub heads: Vec<u32>,
    /// `[n_heads]`.
    pub bias: Vec<f32>,
    /// `[N_TASK_BLOCKS * n_heads]`: what a unit of a weight is worth.
    pub scales: Vec<f32>,
    /// `[n_rows]`: buckets that have weights, increasing.
    pub buckets: Vec<u32>,
    /// `[n_rows * n_heads]`.
    pub weights: Vec<i8>,
    /// Multiplies scores before the softmax.
    pub sharpness: f64,
    /// Probability of the softmax → how often the label is right.
    pub confidence: Calibration,
    /// Below this confidence there is no label.
    pub min_confidence: f64,
    /// The label of requests that bring tools, and of no other: whether a request is about calling
    /// a function is seen from its tool list, not from its words.
    pub tool_label: Option<String>,
}

impl TaskParts {
    fn check(&self) -> Result<(), TasksError> {
        self.check_labels()?;
        let n = self.heads.len();
        for (name, expected, len) in [
            ("bias", n, self.bias.len()),
            ("scales", N_TASK_BLOCKS * n, self.scales.len()),
            ("weights", self.buckets.len() * n, self.weights.len()),
        ] {
            if len != expected {
                return Err(TasksError::Shape(name, expected, len));
            }
        }
        for (name, values) in [("bias", &self.bias), ("scales", &self.scales)] {
            if let Some(bad) = values.iter().find(|value| !value.is_finite()) {
                return Err(TasksError::Range(name, "finite", f64::from(*bad)));
            }
        }
        if !(self.sharpness > 0.0 && self.sharpness.is_finite()) {
            return Err(TasksError::Range("sharpness", "above 0 and finite", self.sharpness));
        }
        if !(0.0..=1.0).contains(&self.min_confidence) {
            return Err(TasksError::Range("min_confidence", "in [0, 1]", self.min_confidence));
        }
        Ok(())
    }

    fn check_labels(&self) -> Result<(), TasksError> {
        let n = self.labels.len();
        let mut names: Vec<&String> = self.labels.iter().filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        names.dedup();
        if !(2..=MAX_LABELS).contains(&n) || names.len() != n {
            return Err(TasksError::Labels(format!("{n}, {} of them different", names.len())));
        }
        if let Some(tool) = self.tool_label.as_ref().filter(|tool| !self.labels.contains(tool)) {
            return Err(TasksError::Labels(format!("no {tool} for requests with tools")));
        }
        if let Some(head) = self.heads.iter().find(|head| **head as usize >= n) {
            return Err(TasksError::Range("head", "below the number of labels", f64::from(*head)));
        }
        let has_head = |label: &usize| self.heads.iter().any(|head| *head as usize == *label);
        match (0..n).find(|label| !has_head(label)) {
            Some(label) => Err(TasksError::Labels(format!("no head for {}", self.labels[label]))),
            None => Ok(()),
        }
    }
}

/// Why parts do not make a task classifier.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TasksError {
    /// A vector of the wrong length.
    #[error("task {0} must have {1} numbers, got {2}")]
    Shape(&'static str, usize, usize),
    /// A number that is out of range or not finite.
    #[error("task {0} must be {1}, got {2}")]
    Range(&'static str, &'static str, f64),
    /// Labels that no answer could name.
    #[error("task labels must be 2 to {MAX_LABELS} different names, got {0}")]
    Labels(String),
}

/// What a text says of its task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextTask {
    /// Index of the most likely label.
    pub label: usize,
    /// Its share of the softmax.
    pub share: f64,
    /// How often such a label is right.
    pub confidence: f64,
}

/// A task classifier, ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Tasks {
    parts: TaskParts,
    tool_label: Option<usize>,
    /// Distance between rows: number of heads, rounded up to whole SIMD registers.
    stride: usize,
    /// `[N_TASK_BUCKETS]`: row of a bucket, or `NO_ROW`.
    row_of: Vec<u32>,
    /// `[n_rows * stride]`.
    rows: Vec<i8>,
}

const NO_ROW: u32 = u32::MAX;

impl Tasks {
    /// Checks shapes and ranges.
    ///
    /// # Errors
    ///
    /// If a length is not as [`TaskParts`] says, a number is not finite or out of range, or a label
    /// is empty, there twice, or missing.
    pub fn new(parts: TaskParts) -> Result<Self, TasksError> {
        parts.check()?;
        let tool_label =
            parts.tool_label.as_ref().and_then(|tool| parts.labels.iter().position(|l| l == tool));
        let n_heads = parts.heads.len();
        let stride = n_heads.next_multiple_of(16);
        let mut row_of = vec![NO_ROW; N_TASK_BUCKETS];
        let mut rows = vec![0; parts.buckets.len() * stride];
        for (row, &bucket) in parts.buckets.iter().enumerate() {
            let in_order = row == 0 || parts.buckets[row - 1] < bucket;
            match row_of.get_mut(bucket as usize) {
                Some(slot) if in_order => *slot = u32::try_from(row).unwrap_or(NO_ROW),
                _ => {
                    let bound = "in order and below the number of buckets";
                    return Err(TasksError::Range("bucket", bound, f64::from(bucket)));
                }
            }
            rows[row * stride..][..n_heads]
                .copy_from_slice(&parts.weights[row * n_heads..][..n_heads]);
        }
        Ok(Self { parts, tool_label, stride, row_of, rows })
    }

    /// What it is made of.
    pub fn parts(&self) -> &TaskParts {
        &self.parts
    }

    /// The task of a request: `tool_label` if it brings tools, else what its text says; without a
    /// label where that is too uncertain.
    pub fn predict(&self, view: &RequestView<'_>, scratch: &mut TaskScratch) -> TaskPrediction {
        if let Some(label) = self.tool_label.filter(|_| view.n_tools > 0) {
            let label = Some(self.parts.labels[label].clone());
            return TaskPrediction { label, probability: 1.0 };
        }
        let scores = self.scores(view.text, scratch);
        let best = self.best(&scores, self.tool_label);
        let is_sure = best.confidence >= self.parts.min_confidence;
        TaskPrediction {
            label: is_sure.then(|| self.parts.labels[best.label].clone()),
            probability: best.confidence,
        }
    }

    /// What a text alone says, tools aside and however uncertain.
    pub fn classify(&self, text: &str, scratch: &mut TaskScratch) -> TextTask {
        let scores = self.scores(text, scratch);
        self.best(&scores, None)
    }

    /// `[n_labels]`: the scores of a text.
    pub fn scores(&self, text: &str, scratch: &mut TaskScratch) -> Vec<f32> {
        let n = self.parts.heads.len();
        let mut heads = self.parts.bias.clone();
        let mut sums = Sums::new(self.stride);
        let mut at = 0;
        let mut finish = |block: usize, sums: &mut Sums| {
            let scales = &self.parts.scales[block * n..][..n];
            for ((head, sum), scale) in heads.iter_mut().zip(sums.finish()).zip(scales) {
                *head += scale * sum;
            }
            sums.clear();
        };
        for_each_term(text, scratch, |block, bucket, count| {
            if block != at {
                finish(at, &mut sums);
                at = block;
            }
            let row = self.row_of[bucket as usize];
            let weights = self.rows.get(row as usize * self.stride..).unwrap_or_default();
            sums.add(count, weights.get(..self.stride).unwrap_or_default());
        });
        finish(at, &mut sums);
        let mut scores = vec![f32::NEG_INFINITY; self.parts.labels.len()];
        for (label, head) in self.parts.heads.iter().zip(heads) {
            let score = &mut scores[*label as usize];
            *score = score.max(head);
        }
        scores
    }

    /// The highest score, ties to the first label; `without` is never it, but keeps its share.
    fn best(&self, scores: &[f32], without: Option<usize>) -> TextTask {
        let sharpened = |score: f32| self.parts.sharpness * f64::from(score);
        let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f64 =
            scores.iter().map(|score| (sharpened(*score) - sharpened(highest)).exp()).sum();
        let mut best = usize::from(without == Some(0));
        for (label, score) in scores.iter().enumerate() {
            if Some(label) != without && *score > scores[best] {
                best = label;
            }
        }
        let share = (sharpened(scores[best]) - sharpened(highest)).exp() / total;
        TextTask { label: best, share, confidence: self.parts.confidence.apply(share) }
    }
}

#[cfg(test)]
mod tests;
