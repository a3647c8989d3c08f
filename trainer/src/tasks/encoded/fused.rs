//! Two classifiers as one: scores are added with weights of least cross-entropy.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::tasks::data::Corpus;
use crate::tasks::fit::{Held, share};

/// What the scores of the first and of the second classifier are multiplied by.
pub type Weights = (f32, f32);

/// Scores of the second classifier beside those of the first, of prompts that both have.
pub fn pairs<'a>(first: &'a [Held], second: &'a [Held]) -> Vec<(&'a Held, &'a Held)> {
    let by_row: BTreeMap<usize, &Held> = second.iter().map(|held| (held.row, held)).collect();
    first.iter().filter_map(|held| Some((held, *by_row.get(&held.row)?))).collect()
}

/// The weighted sum of two rows of scores.
pub fn fuse((first, second): (&Held, &Held), weights: Weights) -> Held {
    let sum = |(a, b): (&f32, &f32)| weights.0 * a + weights.1 * b;
    Held { row: first.row, scores: first.scores.iter().zip(&second.scores).map(sum).collect() }
}

/// Weights of least cross-entropy on some prompts: the first in steps of half an octave from 0.5 to
/// 8, the second in quarters from 0 to 2.
pub fn weights(pairs: &[(&Held, &Held)], corpus: &Corpus) -> Weights {
    let firsts = (0..=8u8).map(|step| 0.5 * (f32::from(step) / 2.0).exp2());
    let grid: Vec<Weights> =
        firsts.flat_map(|a| (0..=8u8).map(move |step| (a, f32::from(step) / 4.0))).collect();
    let loss = |weights: &Weights| -> f64 {
        let of = |pair: &(&Held, &Held)| {
            -share(&fuse(*pair, *weights).scores, corpus.label[pair.0.row], 1.0).ln()
        };
        pairs.iter().map(of).sum()
    };
    let losses: Vec<f64> = grid.par_iter().map(loss).collect();
    let best = losses.iter().zip(&grid).min_by(|a, b| a.0.total_cmp(b.0));
    best.map_or((1.0, 0.0), |(_, weights)| *weights)
}

/// Fused scores of every prompt that both have, with weights from the prompts of other folds.
pub fn cross_fused(first: &[Held], second: &[Held], corpus: &Corpus) -> Vec<Held> {
    let pairs = pairs(first, second);
    let mut fused = Vec::with_capacity(pairs.len());
    for fold in corpus.folds() {
        let (out, others): (Vec<_>, Vec<_>) =
            pairs.iter().partition(|pair| corpus.fold[pair.0.row] == fold);
        let weights = weights(&others, corpus);
        fused.extend(out.into_iter().map(|pair| fuse(pair, weights)));
    }
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 60 prompts of two labels in three folds.
    fn corpus() -> Corpus {
        Corpus {
            labels: vec!["a".to_owned(), "b".to_owned()],
            texts: vec![String::new(); 60],
            label: (0..60).map(|row| row % 2).collect(),
            fold: (0..60).map(|row| row / 2 % 3).collect(),
            is_train: vec![true; 60],
            ..Corpus::default()
        }
    }

    /// Scores that name the label with a margin, but are wrong for every `wrong`-th prompt, if not 0.
    fn scores(margin: f32, wrong: usize) -> Vec<Held> {
        let of = |row: usize| {
            let is_b = (row % 2 == 1) != (wrong > 0 && row.is_multiple_of(wrong));
            Held { row, scores: if is_b { vec![0.0, margin] } else { vec![margin, 0.0] } }
        };
        (0..60).map(of).collect()
    }

    #[test]
    fn what_says_nothing_gets_no_weight_and_what_is_right_gets_much() {
        let corpus = corpus();
        let (right, wrong) = (scores(1.0, 0), scores(1.0, 2));
        assert_eq!(weights(&pairs(&right, &wrong), &corpus), (8.0, 0.0));
        let (_, second) = weights(&pairs(&wrong, &right), &corpus);
        assert!((second - 2.0).abs() < 1e-6, "{second}");
        let fused = cross_fused(&wrong, &right, &corpus);
        assert_eq!(fused.len(), 60);
        for held in &fused {
            let best = usize::from(held.scores[1] > held.scores[0]);
            assert_eq!(best, corpus.label[held.row], "{held:?}");
        }
    }

    #[test]
    fn only_prompts_that_both_scored_are_fused() {
        let (all, few) = (scores(1.0, 7), scores(2.0, 7)[5..9].to_vec());
        let pairs = pairs(&all, &few);
        assert!(pairs.iter().map(|pair| pair.0.row).eq(5..9));
        assert!((fuse(pairs[0], (3.0, 0.5)).scores[1] - 4.0).abs() < 1e-6);
    }
}
