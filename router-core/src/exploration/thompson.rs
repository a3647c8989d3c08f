//! How likely each arm's draw is the best: Thompson sampling with computed propensities.

use super::{greedy, normalized};
use crate::quadrature;

/// An arm whose mean is so many deviations of the difference below the best mean has less mass
/// than `Φ(−6) = 1e-9`.
const OUT_OF_REACH: f64 = 6.0;

/// Where nothing is left of a normal distribution, in deviations.
const END: f64 = 7.0;

/// Steps of the trapezoidal rule that are no dearer than intervals between cuts.
const MAX_STEPS: f64 = 200.0;

/// How likely each arm's draw from `N(mean, deviation²)` is the highest, to 1e-7.
///
/// Arms out of reach of the best mean have none of the mass. Two arms have the closed form; of
/// more, the integral of `φ_a(y)·Π_{b≠a} Φ_b(y)` is taken numerically and renormalised. An arm of
/// no deviation has all its mass at its mean. A mean that is not finite counts as the worst.
pub fn thompson(means: &[f64], deviations: &[f64]) -> Vec<f64> {
    let finite = (0..means.len()).filter(|arm| means[*arm].is_finite());
    let Some(best) = finite.max_by(|a, b| means[*a].total_cmp(&means[*b])) else {
        return greedy(means);
    };
    let is_near = |arm: &usize| {
        let gap = means[best] - means[*arm];
        let variance = deviations[best].powi(2) + deviations[*arm].powi(2);
        gap * gap <= OUT_OF_REACH * OUT_OF_REACH * variance
    };
    let near: Vec<usize> = (0..means.len()).filter(is_near).collect();
    let of = |values: &[f64]| near.iter().map(|arm| values[*arm]).collect::<Vec<f64>>();
    let mut pmf = vec![0.0; means.len()];
    for (arm, p) in near.iter().zip(among(&of(means), &of(deviations))) {
        pmf[*arm] = p;
    }
    pmf
}

fn among(means: &[f64], deviations: &[f64]) -> Vec<f64> {
    let largest = deviations.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 {
        return greedy(&means.iter().map(|mean| -mean).collect::<Vec<f64>>());
    }
    match means {
        [_] => return vec![1.0],
        [a, b] => {
            let spread = deviations[0].hypot(deviations[1]);
            let first = quadrature::normal_cdf((a - b) / spread);
            return vec![first, 1.0 - first];
        }
        _ => {}
    }
    // Far narrower than the widest arm is as good as a point, but has a density.
    let spread: Vec<f64> = deviations.iter().map(|d| d.max(1e-6 * largest)).collect();
    let end = |side: f64| {
        means.iter().zip(&spread).map(|(m, s)| m + side * s).fold(f64::NEG_INFINITY, f64::max)
    };
    // Below `low` the arm that sets it is surely higher; above `high` nothing has mass.
    let (low, high) = (end(-END), end(END));
    // Of functions whose spectra fall as exp(−(s·ω)²/2) the product's falls as if its spread
    // were 1/sqrt(Σ 1/s²); at that step the trapezoidal rule is off by 2·exp(−2π²) = 5e-9.
    let step = spread.iter().map(|s| 1.0 / (s * s)).sum::<f64>().sqrt().recip();
    if (high - low) / step > MAX_STEPS {
        return between_cuts(means, &spread, low, high);
    }
    let n_steps = (high - low) / step;
    let points = (0..).map(f64::from).take_while(|i| *i <= n_steps);
    integral(means, &spread, points.map(|i| (low + i * step, step)))
}

/// Where the integrand changes its nature, in deviations from each mean.
const CUTS: [f64; 5] = [-END, -2.5, 0.0, 2.5, END];

/// By Gauss–Legendre quadrature, cut at and around the means: for spreads of any ratio.
fn between_cuts(means: &[f64], spread: &[f64], low: f64, high: f64) -> Vec<f64> {
    let mut cuts = vec![low, high];
    for (mean, s) in means.iter().zip(spread) {
        let inside = CUTS.map(|side| mean + side * s);
        cuts.extend(inside.into_iter().filter(|cut| (low..high).contains(cut)));
    }
    cuts.sort_by(f64::total_cmp);
    let intervals = cuts.windows(2).filter(|pair| pair[1] > pair[0]);
    integral(means, spread, intervals.flat_map(|pair| quadrature::nodes(pair[0], pair[1])))
}

/// `∫ φ_a(y)·Π_{b≠a} Φ_b(y) dy` of each arm over weighted points, renormalised.
fn integral(means: &[f64], spread: &[f64], points: impl Iterator<Item = (f64, f64)>) -> Vec<f64> {
    let scales: Vec<f64> = spread.iter().map(|s| s.recip()).collect();
    let mut mass = vec![0.0; means.len()];
    let mut here = vec![(0.0, 0.0); means.len()];
    for (y, weight) in points {
        // The product of the others is that of those before times that of those after.
        let mut before = weight;
        for ((here, mean), scale) in here.iter_mut().zip(means).zip(&scales) {
            let (below, density) = quadrature::normal((y - mean) * scale);
            *here = (below, density * scale * before);
            before *= below;
        }
        let mut after = 1.0;
        for ((below, density), mass) in here.iter().zip(&mut mass).rev() {
            *mass += density * after;
            after *= below;
        }
    }
    normalized(mass)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All arms, between cuts.
    fn in_full(means: &[f64], deviations: &[f64]) -> Vec<f64> {
        let ends = |side: f64| means.iter().zip(deviations).map(move |(m, s)| m + side * s);
        let low = ends(-END).fold(f64::NEG_INFINITY, f64::max);
        between_cuts(means, deviations, low, ends(END).fold(f64::NEG_INFINITY, f64::max))
    }

    proptest! {
        #[test]
        fn two_arms_by_quadrature_agree_with_the_closed_form(
            gap in -3.0..3.0f64, s in 0.01..2.0f64, t in 0.01..2.0f64,
        ) {
            let exact = thompson(&[gap, 0.0], &[s, t]);
            let numeric = in_full(&[gap, 0.0], &[s, t]);
            prop_assert!((exact[0] - numeric[0]).abs() < 1e-7, "{exact:?} {numeric:?}");
        }

        #[test]
        fn arms_out_of_reach_and_long_steps_lose_nothing(
            arms in prop::collection::vec((-1.0..1.0f64, 0.002..1.0f64), 3..9), scale in 0.01..1.0f64,
        ) {
            let (means, deviations): (Vec<f64>, Vec<f64>) =
                arms.into_iter().map(|(mean, s)| (mean, s * scale)).unzip();
            let (short, full) = (thompson(&means, &deviations), in_full(&means, &deviations));
            for (p, q) in short.iter().zip(&full) {
                prop_assert!((p - q).abs() < 1e-6, "{short:?} {full:?}");
            }
        }
    }

    #[test]
    fn spreads_alike_take_few_steps_and_agree() {
        let (means, deviations) = ([0.5, 0.52, 0.45, 0.3, 0.51], [0.03, 0.04, 0.05, 0.06, 0.03]);
        let (short, full) = (thompson(&means, &deviations), in_full(&means, &deviations));
        for (p, q) in short.iter().zip(&full) {
            assert!((p - q).abs() < 2e-8, "{short:?} {full:?}");
        }
    }

    #[test]
    fn a_mean_that_is_not_finite_is_never_drawn() {
        let pmf = thompson(&[f64::NAN, 0.4, 0.5], &[0.1; 3]);
        assert!(pmf[0].abs() < f64::EPSILON && pmf[2] > pmf[1], "{pmf:?}");
        assert_eq!(thompson(&[f64::NAN; 2], &[0.1; 2]), [1.0, 0.0]);
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
}
