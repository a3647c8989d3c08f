//! What a held-out row of a log says of the weights: its drawn model only, as often as that model
//! would be drawn if all were drawn alike.

use super::{HeldOut, N_SOURCES, Seen, Stack, each, models};
use crate::heads::Layout;
use crate::nonnegative::Moments;
use crate::problem::Problem;

/// The drawn model, how far its quality lies above its mean, and the square root of `1/p`; `None`
/// if the row was not judged.
pub(super) fn gap(problem: &Problem, seen: &Seen<'_>) -> Option<(usize, f64, f64)> {
    let drawn = problem.drawn[seen.row];
    let quality = f64::from(problem.cell(seen.row, drawn.model).quality?);
    let gap = quality - seen.held.means.model[drawn.model];
    Some((drawn.model, gap, drawn.propensity.recip().sqrt()))
}

/// Moments of the gaps that the shared part leaves, over all directions.
pub(super) fn moments(
    problem: &Problem,
    held: &[HeldOut],
    layout: Layout,
    stack: &Stack,
    (penalty, task_parts): (usize, &[f64]),
) -> Moments {
    let (m, width) = (layout.n_models, layout.width());
    let mut moments = Moments::new(N_SOURCES);
    for (i, seen) in each(held).enumerate() {
        let Some((j, gap, weight)) = gap(problem, &seen) else { continue };
        let ridge = models(seen.outputs(penalty, width), layout);
        let (length, bag, near) = (seen.length(), seen.bag(), seen.neighbors());
        let said = [ridge[j], task_parts[i * m + j], length[j], bag[j], near[j]];
        let y = gap - stack.shared_part(&seen, layout);
        moments.add(&said.map(|x| weight * x), weight * y);
    }
    moments
}
