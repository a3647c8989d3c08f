//! The published convention of RouteLLM: ten thresholds at quantiles of the scores.
//!
//! For comparison only; see `spec/routing.md`, section 2.3.

use super::two_model::{Pair, Ranking};

/// APGR and call shares from `n_bins` thresholds.
#[derive(Clone, Debug, PartialEq)]
pub struct TenThreshold {
    /// `(share of strong calls, mean quality)` by rising share.
    pub points: Vec<(f64, f64)>,
    /// `(AUC − Qw)/(Qs − Qw)`.
    pub apgr: f64,
    /// Whether quality falls somewhere along rising share: the reference does not check it.
    pub is_non_monotone: bool,
    /// Whether equal thresholds were dropped: the reference fails on them.
    pub has_dropped_ties: bool,
    weak: f64,
    strong: f64,
}

impl TenThreshold {
    /// Evaluates the thresholds; `None` if the strong model is not stronger. `copies` is how often
    /// each request counts.
    pub fn new(
        ranking: &Ranking,
        pair: &Pair,
        n_bins: usize,
        copies: impl Fn(usize) -> usize,
    ) -> Option<Self> {
        let (mut scores, mut strong_after, mut weak_before) = (Vec::new(), vec![0.0], vec![0.0]);
        let (mut strong, mut weak) = (0.0, 0.0);
        for (score, request) in ranking.rising() {
            for _ in 0..copies(request) {
                scores.push(score);
                weak += pair.weak[request];
                strong += pair.strong[request];
                weak_before.push(weak);
                strong_after.push(strong);
            }
        }
        let n = scores.len();
        if n == 0 || strong - weak <= 0.0 {
            return None;
        }
        let edges: Vec<f64> = (0..=n_bins).map(|i| quantile(&scores, i, n_bins)).collect();
        let mut kept = edges.clone();
        kept.dedup_by(|a, b| a.total_cmp(b).is_eq());
        let top = kept.len() - 1;
        let mut points: Vec<(f64, f64)> = kept
            .iter()
            .enumerate()
            .map(|(i, edge)| {
                let first = if i < top {
                    scores.partition_point(|score| score < edge)
                } else {
                    scores.partition_point(|score| score <= edge)
                };
                let quality = weak_before[first] + strong - strong_after[first];
                ((n - first) as f64 / n as f64, quality / n as f64)
            })
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let area: f64 =
            points.windows(2).map(|w| (w[1].0 - w[0].0) * (w[0].1 + w[1].1) / 2.0).sum();
        let (weak, strong) = (weak / n as f64, strong / n as f64);
        Some(Self {
            apgr: (area - weak) / (strong - weak),
            is_non_monotone: points.windows(2).any(|w| w[1].1 <= w[0].1),
            has_dropped_ties: kept.len() < edges.len(),
            points,
            weak,
            strong,
        })
    }

    /// The share of strong calls at which `target` of the gap is first recovered.
    pub fn call_share(&self, target: f64) -> Option<f64> {
        let goal = self.weak + target * (self.strong - self.weak);
        let at = self.points.iter().position(|point| point.1 >= goal)?;
        let Some(before) = at.checked_sub(1).map(|i| self.points[i]) else {
            return Some(self.points[at].0);
        };
        let after = self.points[at];
        Some(before.0 + (goal - before.1) / (after.1 - before.1) * (after.0 - before.0))
    }
}

/// The value at position `(n − 1)·i/n_bins` of sorted values, interpolated.
fn quantile(sorted: &[f64], i: usize, n_bins: usize) -> f64 {
    let (below, rest) = ((sorted.len() - 1) * i / n_bins, (sorted.len() - 1) * i % n_bins);
    let next = sorted[(below + 1).min(sorted.len() - 1)];
    sorted[below] + (next - sorted[below]) * (rest as f64 / n_bins as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_with_two_bins() {
        let pair = Pair {
            weak: vec![0., 1., 0., 1., 0.],
            strong: vec![1., 1., 1., 0., 0.],
            costs: Vec::new(),
        };
        let ranking = Ranking::new(&[0.9, 0.8, 0.8, 0.4, 0.1]);
        let two = TenThreshold::new(&ranking, &pair, 2, |_| 1).unwrap();
        let expected = [(0.0, 0.4), (0.6, 0.8), (1.0, 0.6)];
        for (point, (share, quality)) in two.points.iter().zip(expected) {
            assert!((point.0 - share).abs() < 1e-12 && (point.1 - quality).abs() < 1e-12);
        }
        assert!((two.apgr - 1.2).abs() < 1e-12);
        assert!((two.call_share(0.5).unwrap() - 0.15).abs() < 1e-12);
        assert!((two.call_share(0.8).unwrap() - 0.24).abs() < 1e-12);
        assert!(two.is_non_monotone && !two.has_dropped_ties);
        let tied = TenThreshold::new(&Ranking::new(&[0.5; 5]), &pair, 10, |_| 1).unwrap();
        assert!(tied.has_dropped_ties);
    }
}
