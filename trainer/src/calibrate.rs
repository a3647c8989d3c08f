//! Calibration: scores on held-out rows → what they were worth.

use router_core::Calibration;

use crate::heads::mean;

/// Bins that the isotonic fit sees; fewer where a bin would be smaller than this.
const MAX_BINS: usize = 40;
/// Rows of a bin, at least.
const MIN_BIN_ROWS: usize = 25;

/// A monotone map from score to expected outcome, by isotonic regression of binned means.
///
/// Binning keeps the map from following single rows. Equal scores stay in one bin, so that their
/// order decides nothing. Too few pairs for two bins give the mean, none the identity.
pub fn isotonic(mut pairs: Vec<(f64, f64)>) -> Calibration {
    pairs.retain(|(score, outcome)| score.is_finite() && outcome.is_finite());
    if pairs.is_empty() {
        return Calibration::identity();
    }
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let bins = bins(&pairs);
    let mut knots: Vec<(f64, f64)> = Vec::new();
    for (bin, value) in bins.iter().zip(monotone(&bins)) {
        match knots.last() {
            Some(last) if bin.score <= last.0 => {}
            _ => knots.push((bin.score, value.clamp(0.0, 1.0))),
        }
    }
    Calibration::try_from(knots).unwrap_or_else(|_| Calibration::identity())
}

/// Means over neighboring rows.
struct Bin {
    n: f64,
    score: f64,
    outcome: f64,
}

/// Bins of about equal size over sorted pairs. None divides a run of equal scores, and a rest that
/// is too small for a bin joins the last one.
fn bins(pairs: &[(f64, f64)]) -> Vec<Bin> {
    let n_bins = (pairs.len() / MIN_BIN_ROWS).clamp(1, MAX_BINS);
    let n_rows = pairs.len().div_ceil(n_bins);
    let mut starts = vec![0];
    let (mut start, mut end) = (0, 0);
    for run in pairs.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        end += run.len();
        if end - start >= n_rows && pairs.len() - end >= MIN_BIN_ROWS {
            start = end;
            starts.push(end);
        }
    }
    let ends = starts.iter().skip(1).copied().chain([pairs.len()]);
    let bin = |rows: &[(f64, f64)]| Bin {
        n: rows.len() as f64,
        score: mean(rows.iter().map(|row| row.0)),
        outcome: mean(rows.iter().map(|row| row.1)),
    };
    starts.iter().zip(ends).map(|(start, end)| bin(&pairs[*start..end])).collect()
}

/// The non-decreasing sequence nearest to the outcomes of the bins, weighted by their rows: pool
/// adjacent violators.
///
/// linfa 0.8.1 has this too, but its result falls where the values fall from beginning to end; the
/// test `a_falling_relation_becomes_flat` shows it.
fn monotone(bins: &[Bin]) -> Vec<f64> {
    // Mean, rows and number of bins of each pool.
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for bin in bins {
        let mut pool = (bin.outcome, bin.n, 1);
        while let Some((mean, n, n_bins)) = pools.pop_if(|last| last.0 > pool.0) {
            let total = pool.1 + n;
            pool = ((mean * n + pool.0 * pool.1) / total, total, pool.2 + n_bins);
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(mean, _, n_bins)| std::iter::repeat_n(mean, n_bins)).collect()
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

    #[test]
    fn equal_scores_are_worth_their_mean_whatever_their_order() {
        let outcome = |i: u32| f64::from(u8::from(!i.is_multiple_of(4)));
        let map = isotonic((0..200).map(|i| (0.5, outcome(i))).collect());
        assert!((map.apply(0.5) - 0.75).abs() < 1e-12, "{map:?}");
        // Two scores, as where two folds predict their means: 100 rows of 1/2, 300 of 3/4.
        let low = (0..100).map(|i| (0.6, f64::from(i % 2)));
        let map = isotonic(low.chain((0..300).map(|i| (0.61, outcome(i)))).collect());
        assert!((map.apply(0.6) - 0.5).abs() < 1e-12, "{map:?}");
        assert!((map.apply(0.61) - 0.75).abs() < 1e-12, "{map:?}");
    }
}
