//! New arms: a higher floor until they have been asked a few times, so that nobody is forced and
//! every propensity stays exact.

use crate::exploration::water_filled;

/// How an arm without plays is tried.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `n_plays` | `20` | plays after which an arm is like any other | |
/// | `floor` | `0.05` | its least probability until then | `[0, 1]` |
///
/// # References
///
/// `spec/statistics.md`, section 12.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurnIn {
    /// Plays after which an arm is like any other.
    pub n_plays: u64,
    /// Its least probability until then; at most `1 / K` of `K` eligible arms.
    pub floor: f64,
}

impl Default for BurnIn {
    fn default() -> Self {
        Self { n_plays: 20, floor: 0.05 }
    }
}

impl BurnIn {
    /// Lifts the arms of fewer plays to the floor; the others give way, but keep `floor_share / K`.
    /// Arms that are not eligible keep none.
    ///
    /// # Shapes
    ///
    /// All `[n_arms]`; `pmf` sums to 1 over the eligible arms, or is all 0.
    pub fn lift(
        &self,
        pmf: &[f64],
        plays: &[u64],
        eligible: &[bool],
        floor_share: f64,
    ) -> Vec<f64> {
        let n_eligible = eligible.iter().filter(|is| **is).count();
        if !plays.iter().zip(eligible).any(|(n, is)| *is && *n < self.n_plays) {
            return pmf.to_vec();
        }
        let even = 1.0 / n_eligible as f64;
        let least = |arm: usize| match (eligible[arm], plays[arm] < self.n_plays) {
            (false, _) => 0.0,
            (true, true) => self.floor.min(even),
            (true, false) => (floor_share * even).min(even),
        };
        let least: Vec<f64> = (0..pmf.len()).map(least).collect();
        water_filled(pmf, &least, 1.0 - least.iter().sum::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_new_arm_takes_its_share_from_the_others() {
        let burn_in = BurnIn::default();
        let pmf = burn_in.lift(&[0.9, 0.1, 0.0], &[99, 99, 0], &[true; 3], 0.03);
        let expected = [0.875, 0.075, 0.05];
        assert!(pmf.iter().zip(expected).all(|(p, e)| (p - e).abs() < 1e-12), "{pmf:?}");
        let known = burn_in.lift(&[0.9, 0.1, 0.0], &[99, 99, 20], &[true; 3], 0.03);
        assert_eq!(known, [0.9, 0.1, 0.0]);
        let gone = burn_in.lift(&[0.9, 0.1, 0.0], &[99, 99, 0], &[true, true, false], 0.03);
        assert_eq!(gone, [0.9, 0.1, 0.0]);
    }

    proptest! {
        #[test]
        fn whatever_comes_and_goes_it_is_a_distribution(
            arms in prop::collection::vec((0.0..1.0f64, 0..40u64, any::<bool>()), 1..30),
        ) {
            let eligible: Vec<bool> = arms.iter().map(|arm| arm.2).collect();
            let total: f64 = arms.iter().filter(|arm| arm.2).map(|arm| arm.0).sum();
            prop_assume!(total > 0.0);
            let mass = |arm: &(f64, u64, bool)| if arm.2 { arm.0 / total } else { 0.0 };
            let pmf: Vec<f64> = arms.iter().map(mass).collect();
            let plays: Vec<u64> = arms.iter().map(|arm| arm.1).collect();
            let lifted = BurnIn::default().lift(&pmf, &plays, &eligible, 0.0);
            prop_assert!((lifted.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{lifted:?}");
            let n_eligible = eligible.iter().filter(|is| **is).count() as f64;
            for (p, arm) in lifted.iter().zip(&arms) {
                prop_assert!(arm.2 || p.abs() < f64::EPSILON);
                prop_assert!(!arm.2 || arm.1 >= 20 || *p >= (1.0 / n_eligible).min(0.05) - 1e-12);
            }
        }
    }
}
