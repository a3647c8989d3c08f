//! Exploration: estimates of the arms → how likely each is drawn. Explicit, so that every logged
//! propensity is exact.
//!
//! Costs are lower-is-better estimates of the eligible arms, at least one. Ties go to the lowest
//! arm. An estimate that is not finite counts as the worst there is. Formulas: `spec/statistics.md`,
//! section 8.

use crate::quadrature;

/// Above this share of exploration a floor leaves nothing to decide.
const ALL_UNIFORM: f64 = 0.999;

/// Smallest cost that [`fastcb`] divides by.
const MIN_COST: f64 = 1e-12;

/// The arm of the lowest cost, and each arm's gap to it.
fn gaps(costs: &[f64]) -> (usize, Vec<f64>) {
    let finite = || costs.iter().copied().filter(|cost| cost.is_finite());
    let worst = finite().fold(f64::NEG_INFINITY, f64::max);
    let lowest = finite().fold(f64::INFINITY, f64::min);
    if lowest > worst {
        return (0, vec![0.0; costs.len()]);
    }
    let gap = |cost: &f64| if cost.is_finite() { cost - lowest } else { worst - lowest };
    let winner = costs.iter().position(|cost| *cost <= lowest).unwrap_or(0);
    (winner, costs.iter().map(gap).collect())
}

/// All mass on one of `n` arms.
fn point(n: usize, arm: usize) -> Vec<f64> {
    (0..n).map(|at| if at == arm { 1.0 } else { 0.0 }).collect()
}

/// A probability for each loser by its gap; what is left goes to the winner.
fn losers(costs: &[f64], probability: impl Fn(f64) -> f64) -> Vec<f64> {
    let (winner, gaps) = gaps(costs);
    let mut pmf: Vec<f64> = gaps.into_iter().map(probability).collect();
    pmf[winner] = 0.0;
    pmf[winner] = (1.0 - pmf.iter().sum::<f64>()).max(0.0);
    pmf
}

/// `ε/K + (1 − ε)·1{lowest cost}`.
pub fn epsilon_greedy(costs: &[f64], epsilon: f64) -> Vec<f64> {
    mix_uniform(&greedy(costs), epsilon)
}

/// All mass on the lowest cost.
pub fn greedy(costs: &[f64]) -> Vec<f64> {
    point(costs.len(), gaps(costs).0)
}

/// `(1 − ε)·p + ε/K`.
pub fn mix_uniform(pmf: &[f64], epsilon: f64) -> Vec<f64> {
    let share = epsilon / pmf.len() as f64;
    pmf.iter().map(|p| (1.0 - epsilon) * p + share).collect()
}

/// Proportional to `exp(−λ·gap)`.
pub fn softmax(costs: &[f64], lambda: f64) -> Vec<f64> {
    normalized(gaps(costs).1.into_iter().map(|gap| (-lambda * gap).exp()).collect())
}

/// The share of votes of each of `n` arms; all mass on the first arm without votes.
pub fn bag(votes: &[f64]) -> Vec<f64> {
    if votes.iter().sum::<f64>() > 0.0 { normalized(votes.to_vec()) } else { point(votes.len(), 0) }
}

fn normalized(mut weights: Vec<f64>) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= total);
    weights
}

/// Which arms a floor lifts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// Every arm, to `ε/K`.
    All,
    /// Only the `K` arms that have mass already; the others keep none.
    Support,
}

/// `p_a ← max(p_a − τ, ε/K)` with the `τ` at which the sum is 1: water-filling.
///
/// Above an ε of 0.999 all arms share alike.
pub fn floor(pmf: &[f64], epsilon: f64, floor: Floor) -> Vec<f64> {
    if epsilon > ALL_UNIFORM {
        return vec![1.0 / pmf.len() as f64; pmf.len()];
    }
    let lifted = |p: f64| floor == Floor::All || p > 0.0;
    let n_lifted = pmf.iter().filter(|p| lifted(**p)).count();
    let least = epsilon / n_lifted.max(1) as f64;
    // What each has above the floor, and how much of that there may be in all.
    let mut above: Vec<f64> = pmf.iter().filter(|p| lifted(**p)).map(|p| p - least).collect();
    above.sort_by(|a, b| b.total_cmp(a));
    let room = 1.0 - epsilon;
    let (mut sum, mut tau) = (0.0, 0.0);
    for (i, excess) in above.iter().enumerate() {
        sum += excess;
        let candidate = (sum - room) / (i + 1) as f64;
        if excess - candidate <= 0.0 {
            break;
        }
        tau = candidate;
    }
    pmf.iter().map(|&p| if lifted(p) { (p - tau).max(least) } else { 0.0 }).collect()
}

/// Inverse-gap weighting: `1/(K + γ·gap)` for losers, the rest to the winner.
///
/// # References
///
/// Foster and Rakhlin (2020), *Beyond UCB*.
pub fn squarecb(costs: &[f64], gamma: f64) -> Vec<f64> {
    let n = costs.len() as f64;
    losers(costs, |gap| 1.0 / (n + gamma * gap))
}

/// `c_min/(K·c_min + γ·gap)` for losers, the rest to the winner; costs in `(0, 1]`.
///
/// # References
///
/// Foster and Krishnamurthy (2021), *Efficient First-Order Contextual Bandits*.
pub fn fastcb(costs: &[f64], gamma: f64) -> Vec<f64> {
    let n = costs.len() as f64;
    let lowest = costs.iter().copied().filter(|c| c.is_finite()).fold(f64::INFINITY, f64::min);
    let lowest = lowest.max(MIN_COST);
    losers(costs, |gap| lowest / (n * lowest + gamma * gap))
}

/// `1/(λ + 2γ·gap)` with the `λ` in `(0, K]` at which the sum is 1.
///
/// The sum falls and is convex in `λ`, and is at least 1 at `λ = 1`, so Newton's method from there
/// rises to the root and never passes it.
pub fn inverse_gap(costs: &[f64], gamma: f64) -> Vec<f64> {
    let (_, gaps) = gaps(costs);
    let mut lambda = 1.0f64;
    for _ in 0..100 {
        let (mut excess, mut slope) = (-1.0, 0.0);
        for gap in &gaps {
            let p = 1.0 / (lambda + 2.0 * gamma * gap);
            excess += p;
            slope += p * p;
        }
        let step = excess / slope;
        lambda += step;
        if step.abs() <= 1e-15 * lambda {
            break;
        }
    }
    gaps.iter().map(|gap| 1.0 / (lambda + 2.0 * gamma * gap)).collect()
}

/// `max(floor/K, 1/(K + γ·gap))` for losers, what is left to the winner.
///
/// # References
///
/// The published scheme of Eppo's contextual bandits.
pub fn inverse_gap_with_floor(costs: &[f64], gamma: f64, floor: f64) -> Vec<f64> {
    let n = costs.len() as f64;
    losers(costs, |gap| (1.0 / (n + gamma * gap)).max(floor / n))
}

/// Uniform over the arms that may be the best: lower bound of cost not above the smallest upper
/// bound.
///
/// # References
///
/// Foster et al. (2018), *Practical Contextual Bandits with Regression Oracles*.
pub fn regcb_elimination(bounds: &[(f64, f64)]) -> Vec<f64> {
    let smallest = bounds.iter().map(|(_, upper)| *upper).fold(f64::INFINITY, f64::min);
    let mass = |(lower, _): &(f64, f64)| if *lower <= smallest { 1.0 } else { 0.0 };
    bag(&bounds.iter().map(mass).collect::<Vec<f64>>())
}

/// All mass on the smallest lower bound of cost. Its log cannot value another policy.
pub fn regcb_optimistic(bounds: &[(f64, f64)]) -> Vec<f64> {
    greedy(&bounds.iter().map(|(lower, _)| *lower).collect::<Vec<f64>>())
}

/// How likely each arm's draw from `N(mean, deviation²)` is the highest: Thompson sampling with
/// computed propensities.
///
/// The integral of `φ_a(y)·Π_{b≠a} Φ_b(y)` is taken by Gauss–Legendre quadrature, cut at and
/// around the means, and renormalised. Two arms have the closed form. An arm of no
/// deviation has all its mass at its mean.
pub fn thompson(means: &[f64], deviations: &[f64]) -> Vec<f64> {
    match means {
        [_] => vec![1.0],
        [a, b] => {
            let spread = deviations[0].hypot(deviations[1]);
            if spread > 0.0 {
                let first = quadrature::normal_cdf((a - b) / spread);
                vec![first, 1.0 - first]
            } else {
                greedy(&[-a, -b])
            }
        }
        _ => thompson_by_quadrature(means, deviations),
    }
}

/// Where the integrand changes its nature, in deviations from each mean.
const CUTS: [f64; 5] = [-7.0, -2.5, 0.0, 2.5, 7.0];

fn thompson_by_quadrature(means: &[f64], deviations: &[f64]) -> Vec<f64> {
    let largest = deviations.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 {
        return greedy(&means.iter().map(|mean| -mean).collect::<Vec<f64>>());
    }
    // Far narrower than the widest arm is as good as a point, but has a density.
    let spread: Vec<f64> = deviations.iter().map(|d| d.max(1e-6 * largest)).collect();
    let end = |side: f64| {
        means.iter().zip(&spread).map(|(m, s)| m + side * s).fold(f64::NEG_INFINITY, f64::max)
    };
    // Below `low` the arm that sets it is surely higher; above `high` nothing has mass.
    let (low, high) = (end(-7.0), end(7.0));
    let mut cuts = vec![low, high];
    for (mean, s) in means.iter().zip(&spread) {
        let inside = CUTS.map(|side| mean + side * s);
        cuts.extend(inside.into_iter().filter(|cut| (low..high).contains(cut)));
    }
    cuts.sort_by(f64::total_cmp);
    let mut mass = vec![0.0; means.len()];
    let mut below = vec![0.0; means.len()];
    for pair in cuts.windows(2).filter(|pair| pair[1] > pair[0]) {
        for (y, weight) in quadrature::nodes(pair[0], pair[1]) {
            for ((below, mean), s) in below.iter_mut().zip(means).zip(&spread) {
                *below = quadrature::normal_cdf((y - mean) / s);
            }
            for (arm, mass) in mass.iter_mut().enumerate() {
                let others = below.iter().enumerate().filter(|(b, _)| *b != arm);
                let density = quadrature::normal_pdf((y - means[arm]) / spread[arm]) / spread[arm];
                *mass += weight * density * others.map(|(_, p)| p).product::<f64>();
            }
        }
    }
    normalized(mass)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sums_to_one(pmf: &[f64]) -> bool {
        (pmf.iter().sum::<f64>() - 1.0).abs() < 1e-12 && pmf.iter().all(|p| (0.0..=1.0).contains(p))
    }

    proptest! {
        #[test]
        fn every_scheme_is_a_distribution(
            costs in prop::collection::vec(-3.0..3.0f64, 1..9),
            gamma in 0.0..1e4f64,
            epsilon in 0.0..=1.0f64,
        ) {
            prop_assert!(sums_to_one(&epsilon_greedy(&costs, epsilon)));
            prop_assert!(sums_to_one(&softmax(&costs, gamma)));
            prop_assert!(sums_to_one(&squarecb(&costs, gamma)));
            prop_assert!(sums_to_one(&fastcb(&costs, gamma)));
            prop_assert!(sums_to_one(&inverse_gap(&costs, gamma)));
            prop_assert!(sums_to_one(&inverse_gap_with_floor(&costs, gamma, epsilon)));
        }

        #[test]
        fn a_floor_holds_and_keeps_the_order(
            weights in prop::collection::vec(0.0..1.0f64, 1..9),
            epsilon in 0.0..=1.0f64,
        ) {
            let pmf = bag(&weights);
            let floored = floor(&pmf, epsilon, Floor::All);
            prop_assert!(sums_to_one(&floored), "{floored:?}");
            let least = epsilon / pmf.len() as f64;
            prop_assert!(floored.iter().all(|p| *p >= least - 1e-12));
            for (i, j) in (0..pmf.len()).zip(1..pmf.len()) {
                prop_assert!(pmf[i] >= pmf[j] || floored[i] <= floored[j]);
                prop_assert!(pmf[i] <= pmf[j] || floored[i] >= floored[j]);
            }
        }

        #[test]
        fn thompson_by_quadrature_agrees_with_the_closed_form_of_two_arms(
            gap in -3.0..3.0f64, s in 0.01..2.0f64, t in 0.01..2.0f64,
        ) {
            let exact = thompson(&[gap, 0.0], &[s, t]);
            let numeric = thompson_by_quadrature(&[gap, 0.0], &[s, t]);
            prop_assert!((exact[0] - numeric[0]).abs() < 1e-7, "{exact:?} {numeric:?}");
        }
    }

    #[test]
    fn estimates_that_are_not_finite_are_the_worst() {
        assert_eq!(greedy(&[f64::NAN, 0.5, f64::INFINITY]), [0.0, 1.0, 0.0]);
        let pmf = squarecb(&[f64::NAN, 0.1, 0.9], 10.0);
        assert!((pmf[0] - pmf[2]).abs() < 1e-15 && sums_to_one(&pmf), "{pmf:?}");
        assert_eq!(greedy(&[f64::NAN, f64::NAN]), [1.0, 0.0]);
    }

    #[test]
    fn alike_arms_are_drawn_alike_by_thompson() {
        for p in thompson(&[0.3; 5], &[0.2; 5]) {
            assert!((p - 0.2).abs() < 1e-12, "{p}");
        }
    }

    #[test]
    fn thompson_knows_an_arm_without_deviation() {
        // P(N(0, 1) > 1) against a constant 1 and a constant −5.
        let pmf = thompson(&[0.0, 1.0, -5.0], &[1.0, 0.0, 0.0]);
        assert!((pmf[0] - 0.158_655_253_931_457).abs() < 1e-6, "{pmf:?}");
        assert!(pmf[2] < 1e-9);
    }

    #[test]
    fn intervals_of_cost_say_who_may_be_best() {
        let bounds = [(0.1, 0.3), (0.2, 0.4), (0.35, 0.5)];
        assert_eq!(regcb_elimination(&bounds), [0.5, 0.5, 0.0]);
        assert_eq!(regcb_optimistic(&bounds), [1.0, 0.0, 0.0]);
    }
}
