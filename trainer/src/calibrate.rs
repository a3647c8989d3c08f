//! Calibration: scores on held-out rows → what they were worth.

use router_core::Calibration;

use crate::heads::mean;

/// Bins of equal size that the isotonic fit sees; fewer where a bin would be smaller than this.
const MAX_BINS: usize = 40;
/// Rows of a bin, at least.
const MIN_BIN_ROWS: usize = 25;

/// A monotone map from score to expected outcome, by isotonic regression of binned means.
///
/// Binning keeps the map from following single rows, and ties from deciding anything. Too few
/// pairs for two bins give the mean, none the identity.
pub fn isotonic(mut pairs: Vec<(f64, f64)>) -> Calibration {
    pairs.retain(|(score, outcome)| score.is_finite() && outcome.is_finite());
    if pairs.is_empty() {
        return Calibration::identity();
    }
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let n_bins = (pairs.len() / MIN_BIN_ROWS).clamp(1, MAX_BINS);
    let edge = |bin: usize| bin * pairs.len() / n_bins;
    let bins: Vec<(f64, f64)> = (0..n_bins)
        .map(|bin| &pairs[edge(bin)..edge(bin + 1)])
        .map(|bin| (mean(bin.iter().map(|p| p.0)), mean(bin.iter().map(|p| p.1))))
        .collect();
    let mut knots: Vec<(f64, f64)> = Vec::new();
    for (score, value) in bins.iter().map(|bin| bin.0).zip(monotone(&bins)) {
        match knots.last() {
            Some(last) if score <= last.0 => {}
            _ => knots.push((score, value.clamp(0.0, 1.0))),
        }
    }
    Calibration::try_from(knots).unwrap_or_else(|_| Calibration::identity())
}

/// The non-decreasing sequence nearest to the values of the bins: pool adjacent violators.
///
/// linfa 0.8.1 has this too, but its result falls where the values fall from beginning to end; the
/// test `a_falling_relation_becomes_flat` shows it.
fn monotone(bins: &[(f64, f64)]) -> Vec<f64> {
    // Mean and number of bins of each pool.
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (_, value) in bins {
        let mut pool = (*value, 1);
        while let Some((mean, n)) = pools.pop_if(|last| last.0 > pool.0) {
            let total = pool.1 + n;
            pool = ((mean * n as f64 + pool.0 * pool.1 as f64) / total as f64, total);
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(mean, n)| std::iter::repeat_n(mean, n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_that_is_too_sure_is_pulled_to_what_happened() {
        // Scores 0..1; the outcome is right with probability 0.25 + score / 2.
        let pairs: Vec<(f64, f64)> = (0..4000)
            .map(|i| {
                let score = f64::from(i % 100) / 100.0;
                let right = f64::from(i / 100) / 40.0 < 0.25 + score / 2.0;
                (score, f64::from(u8::from(right)))
            })
            .collect();
        let map = isotonic(pairs);
        for score in [0.05, 0.3, 0.6, 0.95] {
            assert!((map.apply(score) - (0.25 + score / 2.0)).abs() < 0.03, "{score}");
        }
    }

    #[test]
    fn a_falling_relation_becomes_flat() {
        let pairs = (0..200).map(|i| (f64::from(i), f64::from(200 - i) / 200.0)).collect();
        let map = isotonic(pairs);
        assert!((map.apply(0.0) - map.apply(199.0)).abs() < 1e-9);
    }

    #[test]
    fn nothing_known_changes_nothing() {
        assert_eq!(isotonic(Vec::new()), Calibration::identity());
        assert!((isotonic(vec![(0.3, 1.0), (0.4, 0.0)]).apply(0.9) - 0.5).abs() < 1e-12);
    }
}
