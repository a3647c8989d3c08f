//! What held-out prompts say of a task classifier.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde::Serialize;

use super::data::Corpus;
use super::fit::{Confidence, Held, TaskParams, best, fit, score, share};
use super::vectors::SparseRow;
use crate::metrics::ece;

/// Bootstrap draws of an interval.
const N_DRAWS: usize = 200;

/// A prompt that was held out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// The prompt.
    pub row: usize,
    /// The label it was given.
    pub predicted: usize,
    /// Its share of the softmax, by which prompts are ordered.
    pub share: f64,
    /// How often such a label is right, by a map that was fitted on other folds.
    pub confidence: f64,
}

/// A share or score with half the width of its 95 % percentile bootstrap interval over groups.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Its value.
    pub value: f64,
    /// Half the width of the interval.
    pub half_width: f64,
}

/// Figures of some held-out prompts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Number of prompts.
    pub n: usize,
    /// Share of right labels.
    pub accuracy: Figure,
    /// Mean over the labels that occur of `2 · precision · recall / (precision + recall)`.
    pub macro_f1: Figure,
    /// Share of the most frequent label.
    pub majority: f64,
    /// Expected calibration error of the confidence; `None` where it has no map of its own.
    pub ece: Option<f64>,
    /// Largest share of prompts, most confident first, whose labels are right as often as wanted.
    pub coverage: f64,
    /// F1 of each label that occurs.
    pub f1: BTreeMap<String, f64>,
}

/// Fits one classifier per fold and lets it judge the prompts it did not see.
///
/// # Errors
///
/// If there are fewer than two folds, or a fit fails.
pub fn cross_fit(
    corpus: &Corpus,
    vectors: &[SparseRow],
    params: &TaskParams,
    tick: &dyn Fn(),
) -> Result<Vec<Held>> {
    let folds = corpus.folds();
    ensure!(folds.len() >= 2, "at least 2 folds are needed, got {}", folds.len());
    let mut held = Vec::new();
    for fold in folds {
        let rows: Vec<usize> =
            corpus.rows(|row| corpus.is_train[row] && corpus.fold[row] != fold).collect();
        let out: Vec<usize> =
            corpus.rows(|row| corpus.is_train[row] && corpus.fold[row] == fold).collect();
        held.extend(score(&fit(corpus, vectors, &rows, params)?, corpus, &out));
        tick();
    }
    Ok(held)
}

/// Judges held-out prompts; the confidence of a fold is fitted on the others.
pub fn judge(corpus: &Corpus, held: &[Held]) -> Vec<Judged> {
    let all = Confidence::fit(held, corpus);
    let mut judged = Vec::new();
    for fold in corpus.folds() {
        let is_out = |held: &&Held| corpus.fold[held.row] == fold;
        let others: Vec<Held> = held.iter().filter(|held| !is_out(held)).cloned().collect();
        let confidence = Confidence::fit(&others, corpus);
        judged.extend(held.iter().filter(is_out).map(|held| Judged {
            confidence: confidence.of(&held.scores),
            ..judged_by(held, &all)
        }));
    }
    judged
}

/// Judges one prompt by a given confidence.
pub fn judged_by(held: &Held, confidence: &Confidence) -> Judged {
    let predicted = best(&held.scores);
    Judged {
        row: held.row,
        predicted,
        share: share(&held.scores, predicted, confidence.sharpness),
        confidence: confidence.of(&held.scores),
    }
}

/// Figures of some judged prompts.
pub fn figures(corpus: &Corpus, judged: &[Judged], wanted: f64) -> Figures {
    let pairs: Vec<(usize, usize)> =
        judged.iter().map(|j| (corpus.label[j.row], j.predicted)).collect();
    let ones = vec![1.0; pairs.len()];
    let n_labels = corpus.labels.len();
    let f1 = f1(&pairs, &ones, n_labels);
    let intervals = half_widths(corpus, judged, &pairs);
    let right = |j: &Judged| f64::from(u8::from(j.predicted == corpus.label[j.row]));
    let n_of = |label: usize| pairs.iter().filter(|pair| pair.0 == label).count();
    let most = (0..n_labels).map(n_of).max().unwrap_or(0);
    let named =
        f1.iter().enumerate().filter_map(|(l, f1)| Some((corpus.labels[l].clone(), (*f1)?)));
    Figures {
        n: pairs.len(),
        accuracy: Figure { value: accuracy(&pairs, &ones), half_width: intervals.0 },
        macro_f1: Figure { value: macro_mean(&f1), half_width: intervals.1 },
        majority: most as f64 / pairs.len().max(1) as f64,
        ece: ece(judged.iter().map(|j| (j.confidence, right(j))).collect()),
        coverage: coverage(&curve(corpus, judged), wanted),
        f1: named.collect(),
    }
}

/// For every coverage `i / n` the accuracy of the `i` most confident prompts, ties by row.
pub fn curve(corpus: &Corpus, judged: &[Judged]) -> Vec<(f64, f64)> {
    let mut order: Vec<&Judged> = judged.iter().collect();
    order.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.row.cmp(&b.row)));
    let n = order.len() as f64;
    let mut n_right = 0.0;
    let point = |(i, judged): (usize, &Judged)| {
        n_right += f64::from(u8::from(judged.predicted == corpus.label[judged.row]));
        let taken = (i + 1) as f64;
        (taken / n, n_right / taken)
    };
    order.into_iter().enumerate().map(point).collect()
}

/// The largest coverage at which the accuracy is as wanted; 0 if none.
pub fn coverage(curve: &[(f64, f64)], wanted: f64) -> f64 {
    curve.iter().rev().find(|(_, accuracy)| *accuracy >= wanted).map_or(0.0, |point| point.0)
}

/// The least confidence at which labels are right as often as wanted, over all that are at least
/// as confident; 1 if none.
pub fn min_confidence(corpus: &Corpus, judged: &[Judged], wanted: f64) -> f64 {
    let covered = coverage(&curve(corpus, judged), wanted);
    let mut order: Vec<f64> = judged.iter().map(|judged| judged.confidence).collect();
    order.sort_by(|a, b| b.total_cmp(a));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of rows")]
    let n = (covered * order.len() as f64).round() as usize;
    n.checked_sub(1).and_then(|last| order.get(last)).copied().unwrap_or(1.0)
}

/// `[n_labels * n_labels]`: how many prompts of the label of the row got the label of the column.
pub fn confusion(corpus: &Corpus, judged: &[Judged]) -> Vec<u64> {
    let n = corpus.labels.len();
    let mut counts = vec![0; n * n];
    for judged in judged {
        counts[corpus.label[judged.row] * n + judged.predicted] += 1;
    }
    counts
}

fn accuracy(pairs: &[(usize, usize)], weights: &[f64]) -> f64 {
    let right: f64 = pairs.iter().zip(weights).filter(|(p, _)| p.0 == p.1).map(|(_, w)| w).sum();
    right / weights.iter().sum::<f64>().max(f64::MIN_POSITIVE)
}

/// F1 of each label, `None` where it does not occur.
fn f1(pairs: &[(usize, usize)], weights: &[f64], n_labels: usize) -> Vec<Option<f64>> {
    let (mut truth, mut given, mut both) =
        (vec![0.0; n_labels], vec![0.0; n_labels], vec![0.0; n_labels]);
    for ((label, predicted), weight) in pairs.iter().zip(weights) {
        truth[*label] += weight;
        given[*predicted] += weight;
        if label == predicted {
            both[*label] += weight;
        }
    }
    let of = |l: usize| (truth[l] > 0.0).then(|| 2.0 * both[l] / (truth[l] + given[l]));
    (0..n_labels).map(of).collect()
}

fn macro_mean(f1: &[Option<f64>]) -> f64 {
    crate::heads::mean(f1.iter().flatten().copied())
}

/// Half the widths of the intervals of accuracy and macro-F1: groups are drawn, with replacement.
fn half_widths(corpus: &Corpus, judged: &[Judged], pairs: &[(usize, usize)]) -> (f64, f64) {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, judged) in judged.iter().enumerate() {
        groups.entry(&corpus.group[judged.row]).or_default().push(i);
    }
    let groups: Vec<Vec<usize>> = groups.into_values().collect();
    if groups.is_empty() {
        return (0.0, 0.0);
    }
    let mut rng = Pcg64::seed_from_u64(1);
    let (mut accuracies, mut scores) = (Vec::new(), Vec::new());
    for _ in 0..N_DRAWS {
        let mut weights = vec![0.0; pairs.len()];
        for _ in 0..groups.len() {
            for &i in &groups[rng.random_range(0..groups.len())] {
                weights[i] += 1.0;
            }
        }
        accuracies.push(accuracy(pairs, &weights));
        scores.push(macro_mean(&f1(pairs, &weights, corpus.labels.len())));
    }
    (half_width(accuracies), half_width(scores))
}

/// Half the distance of the 2.5 % and the 97.5 % quantile.
fn half_width(mut draws: Vec<f64>) -> f64 {
    draws.sort_by(f64::total_cmp);
    let tail = draws.len() / 40;
    (draws[draws.len() - 1 - tail] - draws[tail]) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus(labels: &[usize]) -> Corpus {
        Corpus {
            labels: ["a", "b", "c"].map(str::to_owned).to_vec(),
            label: labels.to_vec(),
            group: (0..labels.len()).map(|i| i.to_string()).collect(),
            ..Corpus::default()
        }
    }

    fn judged(predicted: &[usize]) -> Vec<Judged> {
        let of = |(row, predicted): (usize, &usize)| {
            let share = 1.0 - row as f64 / 10.0;
            Judged { row, predicted: *predicted, share, confidence: share }
        };
        predicted.iter().enumerate().map(of).collect()
    }

    #[test]
    fn figures_are_those_of_the_definitions() {
        // a: 2 of 3 found and 2 of 2 right; b: 1 of 1 found, 1 of 3 right; c does not occur.
        let (corpus, judged) = (corpus(&[0, 0, 1, 0]), judged(&[0, 0, 1, 1]));
        let figures = figures(&corpus, &judged, 0.9);
        assert!((figures.accuracy.value - 0.75).abs() < 1e-12);
        assert!((figures.f1["a"] - 0.8).abs() < 1e-12);
        assert!((figures.f1["b"] - 2.0 / 3.0).abs() < 1e-12);
        assert!((figures.macro_f1.value - (0.8 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        assert!((figures.majority - 0.75).abs() < 1e-12);
        assert!((figures.coverage - 0.75).abs() < 1e-12);
        assert!((min_confidence(&corpus, &judged, 0.9) - 0.8).abs() < 1e-12);
        assert_eq!(confusion(&corpus, &judged), [2, 1, 0, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn coverage_is_the_last_point_that_is_good_enough() {
        // Right, wrong, right, right: accuracies 1, 1/2, 2/3, 3/4.
        let (corpus, judged) = (corpus(&[0, 0, 0, 0]), judged(&[0, 1, 0, 0]));
        let curve = curve(&corpus, &judged);
        assert!((coverage(&curve, 0.75) - 1.0).abs() < 1e-12);
        assert!((coverage(&curve, 0.8) - 0.25).abs() < 1e-12);
        assert!(coverage(&curve, 1.1).abs() < 1e-12);
    }

    #[test]
    fn intervals_have_the_width_of_the_binomial() {
        let labels = vec![0; 400];
        let predicted: Vec<usize> = (0..400).map(|i| usize::from(i % 4 == 0)).collect();
        let figures = figures(&corpus(&labels), &judged(&predicted), 0.9);
        // 1.96 · sqrt(0.75 · 0.25 / 400) = 0.0424.
        assert!((figures.accuracy.half_width - 0.0424).abs() < 0.008, "{figures:?}");
    }
}
