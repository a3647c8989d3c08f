//! The RouterArena score: accuracy and logarithmic cost in one number. `spec/routing.md` 3.4.

/// `100 · 1.1·A·Cn/(0.1·A + Cn)` of accuracy and dollars per 1,000 requests.
///
/// Not clamped: below 0.0044 dollars `Cn` exceeds 1. `None` unless the cost is positive and the
/// denominator is.
pub fn arena_score(accuracy: f64, usd_per_thousand: f64) -> Option<f64> {
    if usd_per_thousand <= 0.0 {
        return None;
    }
    let dearest = 200f64.log2();
    let normal = (dearest - usd_per_thousand.log2()) / (dearest - 0.0044f64.log2());
    let denominator = 0.1 * accuracy + normal;
    (denominator > 0.0).then(|| 100.0 * 1.1 * accuracy * normal / denominator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_scores() {
        for (accuracy, cost, score) in [
            (0.7123, 0.06, 71.6093),
            (0.7396, 10.02, 64.3157),
            (0.751_895_767_1, 8.543_472_195_2, 65.8647),
            (0.8, 0.10, 79.0744),
            (0.5, 1.0, 49.9452),
        ] {
            let found = arena_score(accuracy, cost).unwrap();
            assert!((found - score).abs() < 1e-4, "{found} {score}");
        }
        assert_eq!(arena_score(0.5, 0.0), None);
    }
}
