//! Exploration: estimates of the arms → how likely each is drawn. Explicit, so that every logged
//! propensity is exact.
//!
//! Costs are lower-is-better estimates of the eligible arms, at least one. Ties go to the lowest
//! arm. An estimate that is not finite counts as the worst there is. Formulas: `spec/statistics.md`,
//! section 8.

mod thompson;

pub use thompson::thompson;

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

/// `p_a ← max(p_a − τ, ε/K)` with the `τ` at which the sum is 1.
///
/// Above an ε of 0.999 all arms share alike.
pub fn floor(pmf: &[f64], epsilon: f64, floor: Floor) -> Vec<f64> {
    if epsilon > ALL_UNIFORM {
        return vec![1.0 / pmf.len() as f64; pmf.len()];
    }
    let lifted = |p: f64| floor == Floor::All || p > 0.0;
    let n_lifted = pmf.iter().filter(|p| lifted(**p)).count();
    let least = epsilon / n_lifted.max(1) as f64;
    let least: Vec<f64> = pmf.iter().map(|p| if lifted(*p) { least } else { 0.0 }).collect();
    water_filled(pmf, &least, 1.0 - epsilon)
}

/// `p_a ← max(p_a − τ, least_a)` with the `τ` at which what lies above `least` sums to `room`:
/// water-filling. What has neither mass nor a least stays without.
///
/// # Shapes
///
/// `pmf`, `least` and the result: `[K]`
pub(crate) fn water_filled(pmf: &[f64], least: &[f64], room: f64) -> Vec<f64> {
    let may_have = |(p, least): (&f64, &f64)| *p > 0.0 || *least > 0.0;
    let pairs = pmf.iter().zip(least).filter(|(p, least)| may_have((p, least)));
    let mut above: Vec<f64> = pairs.map(|(p, least)| p - least).collect();
    above.sort_by(|a, b| b.total_cmp(a));
    // Without room everything has its least.
    let (mut sum, mut tau) = (0.0, f64::INFINITY);
    for (i, excess) in above.iter().enumerate() {
        sum += excess;
        let candidate = (sum - room) / (i + 1) as f64;
        if excess - candidate <= 0.0 {
            break;
        }
        tau = candidate;
    }
    let filled = |(p, least): (&f64, &f64)| {
        if may_have((p, least)) { (p - tau).max(*least) } else { 0.0 }
    };
    pmf.iter().zip(least).map(filled).collect()
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
    }

    #[test]
    fn estimates_that_are_not_finite_are_the_worst() {
        assert_eq!(greedy(&[f64::NAN, 0.5, f64::INFINITY]), [0.0, 1.0, 0.0]);
        let pmf = squarecb(&[f64::NAN, 0.1, 0.9], 10.0);
        assert!((pmf[0] - pmf[2]).abs() < 1e-15 && sums_to_one(&pmf), "{pmf:?}");
        assert_eq!(greedy(&[f64::NAN, f64::NAN]), [1.0, 0.0]);
    }

    #[test]
    fn intervals_of_cost_say_who_may_be_best() {
        let bounds = [(0.1, 0.3), (0.2, 0.4), (0.35, 0.5)];
        assert_eq!(regcb_elimination(&bounds), [0.5, 0.5, 0.0]);
        assert_eq!(regcb_optimistic(&bounds), [1.0, 0.0, 0.0]);
    }
}
