//! What choices are worth on held-out rows of a log: the doubly robust estimate, with the held-out
//! scores as its reward model.

use super::Held;
use crate::heads::mean;
use crate::problem::Problem;

/// The terms of each judged row: quality and, where it is known, cost.
fn terms(
    problem: &Problem,
    held: &[Held],
    arm: &dyn Fn(&Held) -> usize,
) -> Vec<(f64, Option<f64>)> {
    held.iter()
        .filter_map(|held| {
            let drawn = problem.drawn[held.row];
            let cell = problem.cell(held.row, drawn.model);
            let chosen = arm(held);
            let weight = if chosen == drawn.model { 1.0 / drawn.propensity } else { 0.0 };
            let quality =
                held.score[chosen] + weight * (f64::from(cell.quality?) - held.score[drawn.model]);
            let cost = held.cost[chosen].map(|predicted| {
                let residual = cell.cost.zip(held.cost[drawn.model]).map_or(0.0, |(c, p)| c - p);
                predicted + weight * residual
            });
            Some((quality, cost))
        })
        .collect()
}

/// Mean quality and cost of choosing `arm`.
pub(super) fn value(
    problem: &Problem,
    held: &[Held],
    arm: &dyn Fn(&Held) -> usize,
) -> (f64, Option<f64>) {
    let terms = terms(problem, held, arm);
    let costs: Option<Vec<f64>> = terms.iter().map(|(_, cost)| *cost).collect();
    (mean(terms.iter().map(|(quality, _)| *quality)), costs.map(|c| mean(c.into_iter())))
}

/// The terms whose mean is the quality of choosing `arm`.
pub(super) fn qualities(
    problem: &Problem,
    held: &[Held],
    arm: &dyn Fn(&Held) -> usize,
) -> Vec<f64> {
    terms(problem, held, arm).into_iter().map(|(quality, _)| quality).collect()
}

/// The first candidate whose mean lies below the best one by at most one standard error of their
/// paired difference, or by `slack`: among estimates this noisy the best one is mostly lucky.
///
/// # Shapes
///
/// - `terms`: per candidate, `[n]`
pub(super) fn first_within_one_error(terms: &[Vec<f64>], slack: f64) -> usize {
    let means: Vec<f64> = terms.iter().map(|terms| mean(terms.iter().copied())).collect();
    let Some(best) = (0..terms.len()).max_by(|&a, &b| means[a].total_cmp(&means[b])) else {
        return 0;
    };
    let highest = &terms[best];
    let is_near = |terms: &Vec<f64>| -> bool {
        let gaps: Vec<f64> = terms.iter().zip(highest).map(|(t, b)| b - t).collect();
        let gap = mean(gaps.iter().copied());
        let variance = mean(gaps.iter().map(|g| (g - gap).powi(2)));
        gap <= slack.max((variance / gaps.len().max(1) as f64).sqrt())
    };
    terms.iter().position(is_near).unwrap_or(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lucky_candidate_does_not_win_over_an_earlier_one() {
        // The second is better by 0.15 ± 0.27, the third worse by 1.
        let terms = [vec![0.0; 4], vec![1.0, -0.5, 0.0, 0.1], vec![-1.0; 4]];
        assert_eq!(first_within_one_error(&terms, 0.0), 0);
        // Better in every row: no luck.
        assert_eq!(first_within_one_error(&[vec![0.0; 4], vec![0.1; 4]], 0.0), 1);
        assert_eq!(first_within_one_error(&[vec![0.0; 4], vec![0.1; 4]], 0.2), 0);
    }
}
