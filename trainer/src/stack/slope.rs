//! One slope between what was predicted and what happened.

/// The penalty whose prediction, times its best slope in [0, 1.5], has the smallest error.
pub(super) fn best_slope<I: Iterator<Item = (f64, f64)>>(
    n: usize,
    pairs: impl Fn(usize) -> I,
) -> (usize, f64) {
    let mut best = (0, 0.0, f64::INFINITY);
    for penalty in 0..n {
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (x, y) in pairs(penalty) {
            xx += x * x;
            xy += x * y;
            yy += y * y;
        }
        let slope = if xx > 0.0 { (xy / xx).clamp(0.0, 1.5) } else { 0.0 };
        let error = yy - 2.0 * slope * xy + slope * slope * xx;
        if error < best.2 {
            best = (penalty, slope, error);
        }
    }
    (best.0, best.1)
}
