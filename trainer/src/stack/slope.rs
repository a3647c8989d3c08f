//! One slope between what was predicted and what happened: for what models share, and complexity.

use super::{HeldOut, each, logged, network};
use crate::heads::{Layout, shared};
use crate::problem::Problem;

/// The penalty whose prediction, times its best slope in [0, 1.5], has the smallest error.
fn best_slope<I: Iterator<Item = (f64, f64)>>(
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

/// The penalty of what models share, and the weights of the ridge and the bag.
pub(super) fn choose_shared(
    problem: &Problem,
    held: &[HeldOut],
    layout: Layout,
    (n, has_bag): (usize, bool),
) -> (usize, [f64; 2]) {
    let rows = |penalty: usize| {
        each(held).filter_map(move |seen| {
            let ridge = f64::from(seen.outputs(penalty, layout.width())[Layout::SHARED]);
            let said = [ridge, if has_bag { seen.bag_shared() } else { 0.0 }];
            if !problem.drawn.is_empty() {
                let (_, gap, weight) = logged::gap(problem, &seen)?;
                return Some((said.map(|x| weight * x), weight * gap));
            }
            Some((said, shared(problem, seen.row, &seen.held.means.model)?))
        })
    };
    if has_bag {
        return network::best_mix(n, rows);
    }
    let (penalty, slope) = best_slope(n, |penalty| rows(penalty).map(|(x, y)| (x[0], y)));
    (penalty, [slope, 0.0])
}

/// The penalty of complexity.
pub(super) fn choose_complexity(
    problem: &Problem,
    held: &[HeldOut],
    layout: Layout,
    n: usize,
) -> usize {
    let pairs = |penalty: usize| {
        each(held).filter_map(move |seen| {
            let output = seen.outputs(penalty, layout.width())[layout.complexity()];
            let hard = problem.hard(seen.row, seen.held.means.ends)?;
            Some((f64::from(output), hard - seen.held.means.complexity))
        })
    };
    best_slope(n, pairs).0
}
